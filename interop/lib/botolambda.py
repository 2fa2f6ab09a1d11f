"""boto3's Lambda client, as people use it. It reads calls from standard input, one
JSON object per line, and writes what came of each in the same way."""

import base64
import json
import sys

import boto3
import botocore.exceptions
from botocore.config import Config


def call(request):
    session = boto3.Session(*request["credentials"], region_name="us-east-1")
    client = session.client("lambda", endpoint_url=request["endpoint"], config=Config(retries={"total_max_attempts": 1}))
    try:
        answer = client.invoke(**request["input"])
    except botocore.exceptions.ClientError as e:
        return {"status": e.response["ResponseMetadata"]["HTTPStatusCode"], "code": e.response["Error"]["Code"], "class": type(e).__name__}
    log = base64.b64decode(answer.get("LogResult", "")).decode()
    return {"status": answer["StatusCode"], "payload": answer["Payload"].read().decode(), "error": answer.get("FunctionError"), "log": log}


for line in sys.stdin:
    print(json.dumps(call(json.loads(line))), flush=True)
