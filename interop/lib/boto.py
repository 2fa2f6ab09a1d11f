"""A program that uses boto3 as people do. It reads calls from standard input,
one JSON object per line, and writes what came of each in the same way.

boto3 gets its clients from descriptions of services; botocore/runnel is one of
Runnel's own routes. Paths, signatures, HTTP and errors are all boto3's.
"""

import json
import pathlib
import sys

import boto3
import botocore.exceptions
from botocore.config import Config


def client(endpoint, access_key, secret, token=None):
    session = boto3.Session(access_key, secret, token, region_name="us-east-1")
    loader = session._session.get_component("data_loader")
    loader.search_paths.append(str(pathlib.Path(__file__).with_name("botocore")))
    return session.client("runnel", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))


def call(request):
    c = client(request["endpoint"], *request["credentials"])
    if request["operation"] == "presign":
        return {"url": c.generate_presigned_url("transcript", {"Session": request["session"]}, request["expires"])}
    try:
        if request["operation"] == "submit":
            answer = c.submit(Session=request["session"], prompt=request["prompt"])
        else:
            answer = c.transcript(Session=request["session"])
    except botocore.exceptions.ClientError as e:
        return {"status": e.response["ResponseMetadata"]["HTTPStatusCode"]}
    return {"status": answer["ResponseMetadata"]["HTTPStatusCode"], "session": answer["session"]}


for line in sys.stdin:
    print(json.dumps(call(json.loads(line))), flush=True)
