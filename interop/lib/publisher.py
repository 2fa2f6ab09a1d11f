"""A publisher as the reference implementation has it: for each group of a model's
words it signs one mutation for AppSync with botocore, and sends it, one after the
other. It reads what to publish from standard input: one JSON object.
"""

import json
import sys
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

MUTATION = """mutation SendMessageMutation($input: SendMessageInput!) {
  sendMessage(input: $input) { locale message sessionId timeStamp } }"""


def send(endpoint, credentials, session, message):
    variables = {"input": {"sessionId": session, "message": message, "locale": "en_US"}}
    request = AWSRequest(
        method="POST",
        url=endpoint,
        data=json.dumps({"query": MUTATION, "operationName": "SendMessageMutation", "variables": variables}),
        headers={"Content-Type": "application/x-amz-json-1.1"},
    )
    SigV4Auth(credentials, "appsync", "us-east-1").add_auth(request)
    prepared = request.prepare()
    body = prepared.body if isinstance(prepared.body, bytes) else prepared.body.encode()
    with urllib.request.urlopen(urllib.request.Request(endpoint, body, dict(prepared.headers), method="POST"), timeout=60) as answer:
        said = json.load(answer)
    if "errors" in said or said["data"]["sendMessage"]["message"] != message:
        raise RuntimeError(said)


for line in sys.stdin:
    job = json.loads(line)
    for text in job["messages"]:
        send(job["endpoint"], Credentials(*job["credentials"]), job["session"], text)
    print("done", flush=True)
