"""simple-mockforce on a port: it answers requests of the `requests` library inside this process, and this hands them over.

Nothing leaves the machine: a request that it has no answer for raises, and is 404 here; one that it fails at is 500. It sends a body with
204, which HTTP does not know and nobody reads here, and knows queries only with the slash that simple-salesforce ends their path with.
"""

import http.server
import json

import requests
from simple_mockforce import mock_salesforce

ORG = "https://mock.salesforce.com"


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def hand_over(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        kept = {name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers}
        try:
            path = self.path.replace("/query?", "/query/?").replace("/queryAll?", "/queryAll/?")
            answer = requests.request(self.command, ORG + path, headers=kept, data=body, stream=True)
            status, body = answer.status_code, b"" if answer.status_code == 204 else answer.content
        except requests.exceptions.ConnectionError:
            status, body = 404, b'[{"errorCode": "NOT_FOUND", "message": "no such route"}]'
        except Exception as failure:
            status, body = 500, json.dumps([{"errorCode": "UNKNOWN_EXCEPTION", "message": repr(failure)}]).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = hand_over

    def log_message(self, *_):
        pass


@mock_salesforce
def main():
    server = http.server.HTTPServer(("127.0.0.1", 0), Front)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
