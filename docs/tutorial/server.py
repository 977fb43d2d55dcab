#!/usr/bin/env python3
"""A key-value server over HTTP, with a bug: can you see it?

  GET  /k       -> 200 and the value, or 404
  PUT  /k       -> 200; the body is the new value
  POST /k       -> 200 if the value was FROM and is now TO (body: "FROM TO"), else 409

Every value is kept in a file, so that nothing acknowledged is lost when the server is killed.
`server.py --fixed` is the same without the bug. `server.py --lazy` has another one: it answers
before it has written, and writes every two seconds.
"""
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

address, folder = sys.argv[1], sys.argv[2]
lazy = "--lazy" in sys.argv
fixed = lazy or "--fixed" in sys.argv
lock = threading.Lock()
unwritten = {}


def read(key):
    if key in unwritten:
        return unwritten[key]
    try:
        with open(os.path.join(folder, key)) as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(key, value):
    if lazy:
        unwritten[key] = value
    else:
        store(key, value)


def store(key, value):
    new = os.path.join(folder, f"{key}.{threading.get_ident()}.new")
    with open(new, "w") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, os.path.join(folder, key))


def store_later():
    while True:
        time.sleep(2)
        for key, value in list(unwritten.items()):
            store(key, value)


def compare_and_set(key, old, new):
    if read(key) != old:
        return False
    write(key, new)  # Somebody else may have written since.
    return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def do_GET(self):
        value = read(self.path[1:])
        self.answer(404) if value is None else self.answer(200, value)

    def do_PUT(self):
        value = self.body()
        with lock:
            write(self.path[1:], value)
        self.answer(200)

    def do_POST(self):
        old, new = self.body().split()
        if fixed:
            with lock:
                done = compare_and_set(self.path[1:], old, new)
        else:
            done = compare_and_set(self.path[1:], old, new)
        self.answer(200 if done else 409)

    def log_message(self, *_):
        pass


host, port = address.rsplit(":", 1)
threading.Thread(target=store_later, daemon=True).start()
print("listening on", address, flush=True)
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
