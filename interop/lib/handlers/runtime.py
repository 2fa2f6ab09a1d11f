"""Stands in for awslambdaric, which cannot be had from Debian: it follows the
published Runtime API with nothing but Python's own HTTP client. It runs handlers
as they are written for Lambda."""

import http.client
import importlib
import json
import os
import pathlib
import sys
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]


def handler(event, context):
    if event.get("log"):
        print(event["log"], flush=True)
    if event.get("fail"):
        raise ValueError(event["fail"])
    return {"echo": event.get("echo"), "pid": os.getpid()}


if "." in os.environ.get("_HANDLER", ""):
    sys.path.append(str(pathlib.Path(__file__).parent))
    module, function = os.environ["_HANDLER"].rsplit(".", 1)
    handler = getattr(importlib.import_module(module), function)


def post(connection, path, answer):
    connection.request("POST", path, json.dumps(answer), {"Content-Type": "application/json"})
    connection.getresponse().read()


connection = http.client.HTTPConnection(API)
while True:
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    response = connection.getresponse()
    event, request = json.loads(response.read()), response.headers["Lambda-Runtime-Aws-Request-Id"]
    path = f"/2018-06-01/runtime/invocation/{request}/"
    try:
        post(connection, path + "response", handler(event, None))
    except Exception as e:
        post(connection, path + "error", {"errorType": type(e).__name__, "errorMessage": str(e), "stackTrace": traceback.format_tb(e.__traceback__)})
