#!/usr/bin/env python3
"""A directory of people with a REST API, for following connectors/README.md: numbered pages, a key in a header, a lookup by mail.

    directory.py PORT

listens on loopback, goes on in the background and prints the number of its process. It remembers nothing once it is stopped.
"""

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEY = "key-of-the-directory"
FIELDS = ("name", "email", "phone")
PEOPLE = {
    "p1": {"id": "p1", "name": "Grace Hopper", "email": "grace@example.com", "phone": "+1 202 555 0134"},
    "p2": {"id": "p2", "name": "Alan Turing", "email": "alan@example.com", "phone": None},
}


class Directory(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def fail(self, status, code):
        self.answer(status, {"error": {"code": code, "message": code.replace("_", " ")}})

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length) or "{}")
        if self.headers.get("X-Key") != KEY:
            return self.fail(401, "wrong_key")
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        person = re.fullmatch(r"/people/(\w+)", url.path)
        if url.path == "/people" and self.command == "GET":
            return self.list(query)
        if url.path == "/people" and self.command == "POST":
            made = {"id": f"p{len(PEOPLE) + 1}", **{name: sent.get(name) for name in FIELDS}}
            PEOPLE[made["id"]] = made
            return self.answer(201, made)
        if person is None or person[1] not in PEOPLE:
            return self.fail(404, "no_such_person")
        if self.command == "PATCH":
            PEOPLE[person[1]].update({name: sent[name] for name in FIELDS if name in sent})
        if self.command == "DELETE":
            return self.answer(200, PEOPLE.pop(person[1]))
        return self.answer(200, PEOPLE[person[1]])

    def list(self, query):
        people = [one for one in PEOPLE.values() if query.get("email") in (None, one["email"])]
        size, page = int(query.get("size", 2)), int(query.get("page", 1))
        self.answer(200, {"people": people[(page - 1) * size : page * size]})

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Directory)
    process = os.fork()
    if process:
        print(process)
    else:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        server.serve_forever()
