#!/usr/bin/python3
"""dnsserver.py as a program, for tests that are not written in Python.

    dnsd.py ZONE        ZONE: records as JSON, as for dnsserver.Server

Prints its port, then obeys lines on standard input, each answered by one line ("ok", or what was asked
for), and ends with standard input:

    trouble NAME WHAT   WHAT: drop, servfail, seconds to wait, well, or none (as "*" then);
                        NAME "*": all names
    records NAME JSON   replaces a name's records; null takes the name away
    ttl SECONDS         of all records
    count NAME TYPE     questions so far ("." is the root)
    total               questions so far, of all names and types
"""
import json
import sys

import dnsserver


class Trouble(dict):
    """What to do to a name, or to all."""

    def get(self, name, default=None):
        return super().get(name, super().get("*", default))


def set_trouble(server, name, what):
    if what == "none":
        server.trouble.pop(name, None)
    elif what == "well":
        server.trouble[name] = None
    elif what in ("drop", "servfail"):
        server.trouble[name] = what
    else:
        server.trouble[name] = float(what)
    return "ok"


def set_records(server, name, text):
    records = json.loads(text)
    if records is None:
        server.records.pop(name, None)
    else:
        server.records[name] = records
    return "ok"


def obey(server, line):
    command, *words = line.strip().split(None, 2)
    if command == "trouble":
        return set_trouble(server, words[0].rstrip("."), words[1])
    if command == "records":
        return set_records(server, words[0].rstrip("."), words[1])
    if command == "ttl":
        server.ttl = int(words[0])
        return "ok"
    if command == "count":
        return server.queries[words[0].rstrip("."), words[1]]
    if command == "total":
        return sum(server.queries.values())
    return "unknown command"


def main():
    server = dnsserver.Server(json.loads(sys.argv[1])).start()
    server.trouble = Trouble()
    print(server.port, flush=True)
    for line in sys.stdin:
        print(obey(server, line), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
