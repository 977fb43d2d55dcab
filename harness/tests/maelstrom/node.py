#!/usr/bin/env python3
"""A node for each workload, correct or with one mistake: `node.py WORKLOAD [MISTAKE]`.

Nodes keep what must be agreed on in the service lin-kv, one key for each object, and change it by
compare-and-set until that succeeds. What need not be agreed on at once they tell each other again
and again until it is acknowledged.
"""
import json
import os
import subprocess
import sys
import threading
import time

workload, mistake = sys.argv[1], (sys.argv[2:] or [""])[0]
lock = threading.RLock()
me, peers, next_id = "", [], 0
waiting = {}  # our requests by number: what to do with the answer


def say(line):
    with lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def send(dest, body):
    say(json.dumps({"src": me, "dest": dest, "body": body}))


def reply(request, **body):
    send(request["src"], dict(body, in_reply_to=request["body"]["msg_id"]))


def ask(dest, then, **body):
    """Asks, and calls `then` with the answer; nobody asks again."""
    global next_id
    with lock:
        next_id += 1
        waiting[next_id] = then
        send(dest, dict(body, msg_id=next_id))


def change(key, new_of, done, refused):
    """Changes a key of lin-kv: `new_of(old)` is what it is to hold (None: leave it)."""

    def read(answer):
        if answer["type"] == "error" and answer["code"] != 20:
            return refused(answer)
        old = answer.get("value")
        new = new_of(old)
        if new is None:
            return done(old)

        def swapped(answer):
            if answer["type"] == "cas_ok":
                done(new)
            elif answer["code"] == 22:
                change(key, new_of, done, refused)
            else:
                refused(answer)

        ask("lin-kv", swapped, type="cas", key=key, to=new, **{"from": old},
            create_if_not_exists=old is None)

    ask("lin-kv", read, type="read", key=key)


def give_up(request):
    return lambda answer: reply(request, type="error", code=answer["code"], text="the service says so")


# ---- echo and unique-ids

issued = 0


def echo(request):
    said = request["body"]["echo"]
    if mistake == "shouts" and isinstance(said, str):
        said = said.upper()
    reply(request, type="echo_ok", echo=said)


def generate(request):
    global issued
    issued += 1
    # Beyond 2 ** 53, and so close to each other that only whole digits tell them apart.
    id = 2 ** 60 + issued * 16 + (0 if mistake == "no-node" else int(me[1:]))
    if mistake == "rounds":
        id = int(float(id))
    reply(request, type="generate_ok", id=id)


# ---- broadcast and g-set: a set that each tells the others

elements, untold = set(), {}


def learn(element):
    if element in elements:
        return
    elements.add(element)
    if mistake == "keeps-to-itself":
        return
    for peer in peers:
        untold.setdefault(peer, set()).add(element)
        if mistake == "tells-once":
            send(peer, {"type": "tell", "elements": [element]})


def tell(request):
    for element in request["body"]["elements"]:
        learn(element)
    if mistake != "tells-once":
        send(request["src"], {"type": "told", "elements": request["body"]["elements"]})


def told(message):
    untold.get(message["src"], set()).difference_update(message["body"]["elements"])


def tell_again():
    while mistake != "tells-once":
        time.sleep(0.05)
        with lock:
            for peer, some in untold.items():
                if some:
                    send(peer, {"type": "tell", "elements": sorted(some)})


def add_element(request):
    element = request["body"].get("message", request["body"].get("element"))
    if not (mistake == "forgets" and element % 7 == 0):
        learn(element)
    reply(request, type=request["body"]["type"] + "_ok")


def read_set(request):
    seen = sorted(elements)
    if mistake == "invents":
        seen = seen + [1000000]
    name = "messages" if workload == "broadcast" else "value"
    reply(request, type="read_ok", **{name: seen})


# ---- counters: what each node has added, told to the others

counts = {}


def add_delta(request):
    up, down = counts.get(me, (0, 0))
    delta = request["body"]["delta"]
    if mistake == "adds-twice" and up % 3 == 0:
        delta *= 2
    if mistake == "only-up" and delta < 0:
        delta = 0
    counts[me] = (up + max(delta, 0), down + max(-delta, 0))
    reply(request, type="add_ok")


def read_counter(request):
    reply(request, type="read_ok", value=sum(up - down for up, down in counts.values()))


def merge(message):
    for node, (up, down) in message["body"]["counts"].items():
        mine = counts.get(node, (0, 0))
        if node != me:
            counts[node] = (max(up, mine[0]), max(down, mine[1]))


def tell_counts():
    while mistake != "keeps-to-itself":
        time.sleep(0.05)
        with lock:
            for peer in peers:
                send(peer, {"type": "merge", "counts": counts})


# ---- lin-kv

cache = {}


def read_key(request):
    key = request["body"]["key"]
    if mistake == "reads-cache" and key in cache:
        return reply(request, type="read_ok", value=cache[key])

    def answer(answer):
        if answer["type"] == "error":
            return reply(request, type="error", code=answer["code"], text="no such key")
        cache[key] = answer["value"]
        reply(request, type="read_ok", value=answer["value"])

    ask("lin-kv", answer, type="read", key=key)


def write_key(request):
    key, value = request["body"]["key"], request["body"]["value"]

    def answer(answer):
        cache[key] = value
        reply(request, type="write_ok")

    ask("lin-kv", answer, type="write", key=key, value=value)


def cas_key(request):
    body = request["body"]
    key = body["key"]

    def answer(answer):
        if answer["type"] == "cas_ok":
            cache[key] = body["to"]
            reply(request, type="cas_ok")
        elif mistake == "always-swaps" and answer["code"] == 22:
            reply(request, type="cas_ok")
        else:
            reply(request, type="error", code=answer["code"], text="the service says so")

    ask("lin-kv", answer, type="cas", key=key, **{"from": body["from"], "to": body["to"]})


# ---- transactions: the whole database in one key


def txn(request):
    steps = request["body"]["txn"]
    seen = []

    def new_of(old):
        seen[:] = []
        database = dict(old or {})
        for f, key, value in steps:
            name = str(key)
            if f == "r":
                seen.append([f, key, database.get(name)])
            else:
                before = database.get(name) or []
                database[name] = before + [value] if f == "append" else value
                seen.append([f, key, value])
        return database if database != (old or {}) else None

    def done(_):
        reply(request, type="txn_ok", txn=seen)

    if mistake == "blind-writes":

        def read(answer):
            new = new_of(answer.get("value"))
            if new is None:
                return done(None)
            ask("lin-kv", lambda _: done(None), type="write", key="db", value=new)

        return ask("lin-kv", read, type="read", key="db")
    if mistake == "local":
        cache["db"] = new_of(cache.get("db")) or cache.get("db")
        return done(None)
    change("db", new_of, done, give_up(request))


# ---- kafka: each log in one key


def send_message(request):
    key, message = "log" + request["body"]["key"], request["body"]["msg"]

    def new_of(old):
        log = old or []
        if mistake == "drops" and message % 5 == 0:
            return log + [None]
        return log + [message]

    def done(log):
        offset = len(log) - 1
        if mistake == "one-offset" and offset % 4 == 3:
            offset -= 1
        reply(request, type="send_ok", offset=offset)

    change(key, new_of, done, give_up(request))


def poll(request):
    offsets = request["body"]["offsets"]
    found = {}

    def take(key, start, answer):
        log = answer.get("value") or []
        told = [[i, m] for i, m in enumerate(log) if i >= start and m is not None]
        if mistake == "reversed":
            told.reverse()
        found[key] = told
        if len(found) == len(offsets):
            reply(request, type="poll_ok", msgs=found)

    for key, start in offsets.items():
        ask("lin-kv", lambda a, k=key, s=start: take(k, s, a), type="read", key="log" + key)


def commit(request):
    offsets = request["body"]["offsets"]

    def new_of(old):
        new = dict(old or {})
        for key, offset in offsets.items():
            new[key] = max(offset, new.get(key, 0))
        if mistake == "commits-more":
            new = {key: offset + 1000 for key, offset in new.items()}
        return new if new != old else None

    change("committed", new_of, lambda _: reply(request, type="commit_offsets_ok"), give_up(request))


def committed(request):
    def answer(answer):
        known = answer.get("value") or {}
        keys = request["body"]["keys"]
        reply(request, type="list_committed_offsets_ok",
              offsets={key: known[key] for key in keys if key in known})

    ask("lin-kv", answer, type="read", key="committed")


# ---- the protocol itself

started = 0


def init(request):
    global me, peers
    if mistake == "never-ready":
        return
    me = request["body"]["node_id"]
    peers = [node for node in request["body"]["node_ids"] if node != me]
    print("started as %s in %s" % (me, os.getcwd()), file=sys.stderr, flush=True)
    reply(request, type="init_ok")
    if mistake == "forks":
        subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         start_new_session=True)
    if mistake == "bad-lines":
        for line in ["this belongs into the log", "", '{"src":"n1","dest":"c1","body":{},"more":1}',
                     '{"src":"n1","dest":"nobody","body":{"type":"x"}}', '{"src":"n1","dest":']:
            say(line)
    again = {"broadcast": tell_again, "g-set": tell_again, "g-counter": tell_counts,
             "pn-counter": tell_counts}.get(workload)
    if again:
        threading.Thread(target=again, daemon=True).start()


def misbehave(request):
    """What nodes do that ends badly, at their 20th request; whether the request is to be served."""
    global started
    started += 1
    if mistake == "dies" and me == "n1" and started == 20:
        print("giving up", file=sys.stderr, flush=True)
        os._exit(3)
    if mistake == "late" and started % 20 == 0:
        threading.Timer(1.5, lambda: HANDLERS[request["body"]["type"]](request)).start()
        return False
    if mistake == "relays" and "relayed" not in request["body"] and peers:
        # The peer answers the client itself, at the client's own name.
        say(json.dumps({"src": request["src"], "dest": peers[0],
                        "body": dict(request["body"], relayed=True)}))
        return False
    return True


sets = workload in ("broadcast", "g-set")
counters = workload in ("g-counter", "pn-counter")
HANDLERS = {
    "init": init, "echo": echo, "generate": generate, "broadcast": add_element,
    "topology": lambda request: reply(request, type="topology_ok"),
    "add": add_element if sets else add_delta,
    "read": read_set if sets else read_counter if counters else read_key,
    "write": write_key, "cas": cas_key, "txn": txn, "send": send_message, "poll": poll,
    "commit_offsets": commit, "list_committed_offsets": committed,
    "tell": tell, "told": told, "merge": merge,
}

for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    with lock:
        if "in_reply_to" in body:
            then = waiting.pop(body["in_reply_to"], None)
            if then:
                then(body)
        elif body["type"] not in HANDLERS:
            reply(message, type="error", code=10, text="no such request")
        elif body["type"] in ("init", "topology", "tell", "told", "merge") or misbehave(message):
            HANDLERS[body["type"]](message)
