"""An orchestrator outside of the gateway, as the three designs have it: the field
that takes a prompt is a direct resolver here, which answers at once; a thread then
says the words, one mutation after the other. It is told how by one JSON object on
standard input, and prints its port.

A mutation that nobody answered is sent again, with the key that makes it harmless.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

job = json.loads(sys.stdin.readline())

SEND_MESSAGE = """mutation SendMessageMutation($input: SendMessageInput!) {
  sendMessage(input: $input) { locale message sessionId timeStamp } }"""
SEND_CHUNK = "mutation SendChunk($chunk: String!) { sendChunk(chunk: $chunk) }"
PUBLISH_TOKEN = """mutation PublishToken($sessionId: String!, $token: String!, $isComplete: Boolean!) {
  publishToken(sessionId: $sessionId, token: $token, isComplete: $isComplete) { sessionId token isComplete timestamp } }"""


def mutate(query, variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    key = str(uuid.uuid4())
    while True:
        request = AWSRequest(
            method="POST",
            url=job["endpoint"],
            data=body,
            headers={"Content-Type": "application/x-amz-json-1.1", "Idempotency-Key": key},
        )
        SigV4Auth(Credentials(*job["credentials"]), "appsync", "us-east-1").add_auth(request)
        signed = urllib.request.Request(job["endpoint"], body, dict(request.prepare().headers), method="POST")
        try:
            with urllib.request.urlopen(signed, timeout=20) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as err:
            raise RuntimeError(f"{err.code} {err.read()}") from err
        except OSError:  # it is being started again
            time.sleep(0.05)
            continue
        if "errors" in said:
            raise RuntimeError(said)
        return


def words(prompt):
    for word in job["words"]:
        if prompt == "fail" and word == job["words"][10]:
            return
        yield word
        time.sleep(job["pause"])


def messages(session, locale, prompt):
    def send(message):
        mutate(SEND_MESSAGE, {"input": {"sessionId": session, "message": message, "locale": locale}})

    send("#START_STREAM#")
    group = []
    for word in words(prompt):
        group.append(word)
        if len(group) > 5:
            send("".join(group))
            group = []
    if group:
        send("".join(group))
    if prompt == "fail":
        send("Sorry, I was not able to answer your question.")
        send("#STREAM_ERROR#")
    else:
        send("#END_STREAM#")


def chunks(prompt):
    for word in words(prompt):
        mutate(SEND_CHUNK, {"chunk": word})


def tokens(session, prompt):
    for word in words(prompt):
        mutate(PUBLISH_TOKEN, {"sessionId": session, "token": word, "isComplete": False})
    mutate(PUBLISH_TOKEN, {"sessionId": session, "token": "", "isComplete": True})


def resolve(event):
    field, arguments = event["info"]["fieldName"], event["arguments"]
    if field == "getLlmResponse":
        given = arguments["input"]
        work = threading.Thread(target=messages, args=(given["sessionId"], given["locale"], given["message"]))
        result = {"sessionId": given["sessionId"], "locale": given["locale"], "messages": [{"content": "success", "contentType": "PlainText"}]}
    elif field == "ModelSet":
        work = threading.Thread(target=chunks, args=(arguments["prompt"],))
        result = True
    else:
        session = str(uuid.uuid4())
        work = threading.Thread(target=tokens, args=(session, arguments["prompt"]))
        result = {"sessionId": session, "status": "streaming_started", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S")}
    work.start()
    return result


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(resolve(event)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
