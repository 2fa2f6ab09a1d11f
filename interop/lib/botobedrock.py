"""Debian's boto3 is older than Bedrock: it gets a description of the runtime
from botocore/bedrock-runtime. Paths, signatures, HTTP, event streams and errors
are all boto3's.
"""

import json
import pathlib
import sys

import boto3
import botocore.exceptions
from botocore.config import Config


def client(endpoint, access_key, secret):
    session = boto3.Session(access_key, secret, region_name="us-east-1")
    loader = session._session.get_component("data_loader")
    loader.search_paths.append(str(pathlib.Path(__file__).with_name("botocore")))
    return session.client("bedrock-runtime", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))


def call(request):
    c = client(request["endpoint"], *request["credentials"])
    said, code = [], None
    try:
        if "messages" in request:
            for event in c.converse_stream(modelId=request["model"], messages=request["messages"])["stream"]:
                said.append(event)
        elif request.get("whole"):
            answer = c.invoke_model(modelId=request["model"], body=json.dumps(request["body"]))
            said.append({"body": json.loads(answer["body"].read()), "inputTokens": answer["inputTokens"]})
        else:
            answer = c.invoke_model_with_response_stream(modelId=request["model"], body=json.dumps(request["body"]))
            said.append(answer["contentType"])
            for event in answer["body"]:
                said.append(json.loads(event["chunk"]["bytes"]))
    except botocore.exceptions.ClientError as e:  # an EventStreamError is one
        code = e.response["Error"]["Code"]
    return {"said": said, "code": code}


for line in sys.stdin:
    print(json.dumps(call(json.loads(line))), flush=True)
