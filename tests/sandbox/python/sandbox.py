"""The sandbox under test: a client of the official library for it, its steering, and a receiver of webhooks."""

import itertools
import json
import os
import queue
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe

BASE = os.environ.get("SANDBOX_URL")
if not BASE:
    raise SystemExit("SANDBOX_URL names the sandbox to test, such as http://127.0.0.1:12111")

_counter = itertools.count()
# A proxy of the environment has no business between two programs on loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def client(key="sk_test_python", max_network_retries=0):
    """A client of the official library that talks to the sandbox."""
    return stripe.StripeClient(key, base_addresses={"api": BASE}, max_network_retries=max_network_retries)


_NOTHING = object()


def steer(method, path, body=_NOTHING):
    """Calls the sandbox's steering."""
    data = None if body is _NOTHING else json.dumps(body).encode()
    request = urllib.request.Request(f"{BASE}/_sandbox{path}", data=data, method=method)
    with _opener.open(request, timeout=20) as answer:
        return json.load(answer)


def inject(action, **matcher):
    """Queues a fault for the next request it can happen to."""
    return steer("POST", "/faults", {**matcher, "action": action})


def fired(kind):
    """How often a kind of fault has fired."""
    return steer("GET", "/faults")["fired"][kind]


def fresh(name="ann"):
    """A text nobody else uses, fit for an email or a key."""
    return f"{name}.{os.getpid()}.{next(_counter)}@x.io"


class Receiver:
    """Receives webhooks on a free port; `statuses` are answered in turn, then 200."""

    def __init__(self, *statuses):
        self._got = queue.Queue()
        left = list(statuses)
        got = self._got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(left.pop(0) if left else 200)
                self.send_header("content-length", "0")
                self.end_headers()
                got.put((body, self.headers["stripe-signature"]))

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def next(self):
        """The next webhook: its raw body and its signature header."""
        return self._got.get(timeout=20)
