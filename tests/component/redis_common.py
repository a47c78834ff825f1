"""Daemons that count in a real Redis: settings, what the log says of it, what Redis says of it.

Redis asks for a password in these tests, and no daemon may ever tell it: ComponentTest.end() of RedisTest looks.
"""
import collections
import os
import re

import common
import daemon
import redis

# A sanitizer slows all down: then times are looked at, but not judged by small limits.
SLOW = "POOLMILTER_SLOW" in os.environ or daemon.instrumented()
COMMAND = 0.8 if SLOW else 0.25     # command_timeout_ms where times are judged, in seconds
QUICK = {"connect_timeout_ms": int(2 * COMMAND * 1000), "command_timeout_ms": int(COMMAND * 1000)}
PATIENT = {"connect_timeout_ms": 1000, "command_timeout_ms": 2000}  # a busy machine does not make Redis seem down
BUSY = 0.25     # seconds that a machine with other work may add to a message's time
PASSWORD = "s3cret-of-redis"
LINE = re.compile(r": (\w+): pool=\S+ .* limit=(\S+) .*took_ms=(\S+) result=")
DEFERRED = b"451 4.3.0 Sending limits cannot be checked now, try again later"
REACHED = b"451 4.7.1 Sending limit "


def settings(server, **more):
    """The group redis; server: a redis.Server or redis.Proxy, or an address; None as a value leaves a key out."""
    path = daemon.DIRECTORY / "redis.password"
    if not path.exists():
        path.touch(0o600)
        path.write_text(PASSWORD + "\n")
    group = {"address": getattr(server, "address", server), "password_file": str(path),
             **PATIENT, **more}
    return {name: value for name, value in group.items() if value is not None}


def changes_of(server):
    """"u" and "d" for the lines of a daemon that tell a change of state."""
    return "".join(re.findall(r" redis: (u|d)(?:p at|own: )", server.log))


class RedisTest(common.ComponentTest):
    def redis(self, *options, password=PASSWORD):
        server = redis.Server(*options, password=password).start()
        self.addCleanup(server.stop)
        return server

    def proxy(self, server):
        proxy = redis.Proxy(server)
        self.addCleanup(proxy.stop)
        return proxy

    def limited(self, server, *limits, pools=None, wait=True, **group):
        """A daemon with one pool and its limits, or these pools, that counts in server.  wait: until it knows
        whether it can."""
        made = self.serve(pools or [daemon.pool(limits=list(limits))], redis=settings(server, **group))
        if wait:
            made.wait_log(" redis: (up|down)")
        return made

    def end(self, server):
        super().end(server)
        self.assertNotIn(PASSWORD, server.log)

    # What the log says.

    def await_up(self, server, since=0, seconds=5):
        """Redis counts as up; within 5 s of its recovery, says FAULTS.md."""
        return server.wait_log(r" redis: up at ", seconds, since)

    def await_changes(self, server, changes):
        """One line per change of state: "u" or "d" each."""
        daemon.wait_for(lambda: len(changes_of(server)) >= len(changes), 5)
        self.assertEqual(changes_of(server), changes, server.log[-3000:])

    def lines(self, server, load):
        """(word of limit=, seconds of took_ms=) of each message of the load, from the daemon's log."""
        wanted = {result.queue_id for result in load.results}
        found = lambda: {match[1]: (match[2], float(match[3]) / 1000) for match in map(LINE.search, server.lines[:]) if match}
        self.assertTrue(daemon.wait_for(lambda: wanted <= found().keys(), 20, 0.2), "a message without a line")
        return [line for queue_id, line in found().items() if queue_id in wanted]

    def limits(self, server, load):
        """{word of limit=: how many messages of the load}"""
        return collections.Counter(word for word, _ in self.lines(server, load))

    # What clients see.

    def send(self, session, *recipients, sender=b"a@example.com"):
        return common.send(session, sender=sender, recipients=[to.encode() for to in recipients or ("b@example.net",)])

    def assert_limit(self, server, result, limit, status="accepted"):
        self.assertEqual((result.status, server.message_line(result.queue_id)["limit"]), (status, limit),
                         (result.reply, server.log[-2000:]))

    def assert_nothing_lost(self, load, *replies):
        """All accepted, or deferred with one of these replies: never a 5xx, a hang or a broken connection."""
        others = [other for other in load.others()
                  if not (isinstance(other, tuple) and other[0] == "deferred" and other[1].startswith(replies or b"-"))]
        self.assertEqual(others[:5], [])
        self.assertTrue(load.results)

    def assert_quick(self, server, load, slow, command=COMMAND):
        """The daemon kept no message longer than for one command; at most `slow` so long."""
        times = sorted(took for _, took in self.lines(server, load))
        print("# %d messages; slowest: %s ms" % (len(times), " ".join("%.0f" % (t * 1000) for t in times[-5:])))
        if not SLOW:
            self.assertLess(times[-1], command + BUSY)
            self.assertLessEqual(sum(1 for took in times if took > command * 0.8), slow)


# What Redis says.

class Charge:
    """A request as Redis' MONITOR shows it: time (Redis' clock, seconds), amounts {key: recipients}, most and
    seconds {key: of its limit}; how many windows were written."""

    def __init__(self, words):
        keys = [word.decode() for word in words[3:3 + int(words[2])]]
        numbers = [int(word) for word in words[-3 * len(keys):]]
        self.most, self.seconds, self.amounts = (dict(zip(keys, numbers[at::3])) for at in range(3))
        self.time, self.written = None, 0

    @property
    def allowed(self):
        return self.written > 0


_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.S)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def _plain(word):
    return _ESCAPE.sub(lambda match: bytes([int(match[1][1:], 16)]) if len(match[1]) == 3
                       else _CONTROLS.get(match[1], match[1]), word)


def charges(monitor):
    """The Charges that a redis.Monitor saw executed, those of the store's probe left out.

    The time of an allowed one is the script's own, to the microsecond: it stands in what is written.  That of a
    refused one is MONITOR's of the script's TIME, some microseconds later.
    """
    found, current = [], None
    for line in monitor.stop().lines:
        head, _, tail = line.partition(b"] ")
        words = _WORD.findall(tail)
        if not head.endswith(b" lua"):
            current = None
            if words[0] in (b"EVALSHA", b"EVAL") and words[4 + int(words[2])] == b"charge" \
                    and not words[3].endswith(b":probe"):
                current = Charge(words)
        elif current is not None and words[0] == b"TIME":
            current.time = float(head[1:].split(b" ")[0])
            found.append(current)
        elif current is not None and words[0] == b"SET":
            current.time = int.from_bytes(_plain(words[2])[-12:-4], "big") / 1e6
            current.written += 1
    return found
