#!/usr/bin/env python3
"""An adapter: talks to the server of docs/tutorial. One JSON object a line, in and out."""
import http.client
import json
import sys

METHODS = {"read": "GET", "write": "PUT", "cas": "POST"}
connection = None


def perform(request):
    global connection
    if request["type"] == "open":
        seconds = request["timeout_ms"] / 1000
        connection = http.client.HTTPConnection(request["host"], request["port"], timeout=seconds)
        connection.connect()
        return {"type": "ok"}
    if request["type"] == "close":
        connection.close()
        return {"type": "ok"}
    if request["f"] not in METHODS:
        return {"type": "fail", "error": "not-supported"}
    value = request["value"]  # Of a read, None; of a write, 5; of a cas, [from, to].
    body = " ".join(map(str, value)) if request["f"] == "cas" else None if value is None else str(value)
    connection.request(METHODS[request["f"]], f"/{request['key']}", body)
    answer = connection.getresponse()
    text = answer.read().decode()
    if request["f"] == "read" and answer.status in (200, 404):
        return {"type": "ok", "value": int(text) if answer.status == 200 else None}
    if answer.status == 200:
        return {"type": "ok"}
    # Only what certainly had no effect is a failure: here, a value that was another one.
    return {"type": "fail" if answer.status == 409 else "info", "error": f"status {answer.status}"}


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = perform(request)
    except Exception as error:  # The request may have arrived: nobody knows.
        answer = {"type": "info", "error": repr(error)}
    print(json.dumps({"id": request["id"], **answer}), flush=True)
