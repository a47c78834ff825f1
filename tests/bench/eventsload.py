#!/usr/bin/python3
"""eventsload.py - how many lines of the log poolevents takes in a second.

    tests/bench/eventsload.py [--messages N] [--window N] [--in-flight N] [--poolevents PATH]

Makes a log of N messages, seven lines each (client, message-id, event, pool, active, delivery, removed), of which
--window are in the queue at a time, their lines mixed; of --in-flight more there is no end: they stay in the queue.
Then runs poolevents --once over it, and prints lines a second, by wall time and by its own CPU time, and its
peak memory.  All files are in a directory of their own, which goes away.
"""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import daemon       # noqa: E402
import events       # noqa: E402

DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"       # Postfix' long queue IDs: base 52


def queue_id(number):
    text = ""
    for _ in range(9):
        number, digit = divmod(number, 52)
        text = DIGITS[digit] + text
    return "4c" + text + "z1h"


def write(path, messages, window, in_flight):
    """The lines, in an order as of a busy host; how many."""
    chance = random.Random(6)
    waiting, written = [], 0
    begun = time.time() - 3600
    with open(path, "w") as log:
        for number in range(messages + in_flight):
            name, rcpt = queue_id(number), "user%d@dom%d.example.net" % (number, number % 5000)
            at = begun + number / (messages + in_flight) * 3000
            lines = list(events.message_lines(name, rcpt, at=at, headers={"X-Campaign": "2026-%d" % (number % 50)}))
            head, tail = lines[:5], lines[5:]
            log.writelines(head)
            written += len(head)
            if number < in_flight:
                continue
            waiting.append(tail)
            if len(waiting) > window:
                at = chance.randrange(len(waiting))
                waiting[at], waiting[-1] = waiting[-1], waiting[at]
                tail = waiting.pop()
                log.writelines(tail)
                written += len(tail)
        for tail in waiting:
            log.writelines(tail)
            written += len(tail)
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=100000)
    parser.add_argument("--window", type=int, default=2000, help="messages in the queue at a time")
    parser.add_argument("--in-flight", type=int, default=0, help="messages that stay in the queue, before the others")
    parser.add_argument("--poolevents", help="the program")
    options = parser.parse_args()
    if options.poolevents:
        events.POOLEVENTS = os.path.abspath(options.poolevents)
    directory = daemon.new_directory("eventsload")
    log = directory / "mail.log"
    lines = write(log, options.messages, options.window, options.in_flight)
    server = events.Events(log=log, start=False)
    begun = time.monotonic()
    child = subprocess.Popen([events.POOLEVENTS, "-c", str(server.config), "--stderr", "--from-start", "--once"])
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - begun
    cpu = used.ru_utime + used.ru_stime
    made = server.query("SELECT count(*) FROM events")[0][0]
    print("lines=%d octets=%d events=%d status=%d wall_s=%.2f cpu_s=%.2f (user %.2f) lines_per_s=%d lines_per_cpu_s=%d"
          " peak_mb=%d database_mb=%d"
          % (lines, log.stat().st_size, made, os.waitstatus_to_exitcode(status), wall, cpu, used.ru_utime, lines / wall, lines / cpu,
             used.ru_maxrss // 1024, sum(each.stat().st_size for each in server.state.glob("events.db*")) >> 20))
    expected = 2 * options.messages + options.in_flight
    if status != 0 or made != expected:
        print("WRONG: expected %d events" % expected)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
