"""Runs a handler that was written for AWS Lambda as an ordinary process behind HTTP.

serve.py NAME imports NAME, prints the port, and calls NAME.lambda_handler with the body of each POST.
"""
import importlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, sys.path[0] or '.')
handler = importlib.import_module(sys.argv[1]).lambda_handler


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        failed = False
        try:
            answer = handler(event, None)
        except Exception as error:  # as the runtime reports it
            answer, failed = {'errorMessage': str(error), 'errorType': type(error).__name__}, True
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        if failed:
            self.send_header('X-Amz-Function-Error', 'Unhandled')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(('127.0.0.1', 0), Endpoint)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
