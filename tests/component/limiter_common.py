"""The limiter's Redis driver in limiterdrive, its log lines and its answers; for test_limiter_*.py."""
import os
import re
import subprocess
import threading
import time

import redis
import tap

DRIVE = os.environ.get("LIMITERDRIVE", "tests/component/limiterdrive")
RUNNER = os.environ.get("LIMITERDRIVE_RUNNER", "").split()
# A sanitizer slows it down: then times are only looked at, not judged.
SLOW = bool(RUNNER) or "POOLMILTER_SLOW" in os.environ
BUSY = 0.15  # seconds that a machine with other work may add to any time here


class Answer:
    def __init__(self, line):
        words = line.split(" ", 5)
        self.what, self.which, self.wait, self.took = words[1], *map(int, words[2:5])
        self.why = words[5]
        self.took /= 1e6


class Drive:
    """limiterdrive with settings; a context manager."""

    def __init__(self, **settings):
        words = ["%s=%s" % item for item in settings.items()]
        self.process = subprocess.Popen(RUNNER + [DRIVE] + words, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self):
        for line in self.process.stderr:
            self.lines.append(re.sub(r"^\S+\[\d+\]: ", "", line.rstrip("\n")))

    def send(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def receive(self):
        lines = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("limiterdrive died: %s" % "\n".join(self.lines[-20:]))
            lines.append(line.rstrip("\n"))
            if line.startswith("."):
                return lines

    def tell(self, *words):
        self.send(*words)
        return self.receive()

    def ask(self, *words):
        return Answer(self.tell("ask", *words)[-1])

    def add(self, serial, *tallies, node="n1"):
        """The result of a batch of statistics: "replied", ..."""
        return self.tell("add", node, str(serial), *tallies)[-1].split(" ")[1]

    def tallies(self, start=""):
        """The statistics that are read back, "KEY FIELD VALUE", sorted."""
        lines = self.tell("tallies", start)
        if lines[-1] != ". ok ":
            raise AssertionError(lines[-1])
        return sorted(lines[:-1])

    def flow(self, *words):
        """Words as limiterdrive tells; call the result for what it answers, as numbers."""
        self.send("flow", *map(str, words))
        return lambda: [int(word) for word in self.receive()[-1].split()[1:]]

    def up(self):
        return self.tell("up")[-1] == ". 1"

    def await_up(self, seconds=5):
        """Seconds until it is up."""
        begin = time.monotonic()
        while not self.up():
            if time.monotonic() - begin > seconds:
                raise AssertionError("not up after %g s: %s" % (seconds, self.lines))
            time.sleep(0.01)
        return time.monotonic() - begin

    def changes(self):
        """"u" and "d" for the lines that tell a change of state."""
        return "".join(line[7] for line in self.lines if re.match("redis: (up|down)", line))

    def await_changes(self, want, seconds=2):
        end = time.monotonic() + seconds
        while self.changes() != want and time.monotonic() < end:
            time.sleep(0.01)
        return self.changes()

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self._reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        code = self.close()
        if kind is None and code != 0:
            raise AssertionError("limiterdrive ended with %s: %s" % (code, self.lines))


def used(server, key, prefix="poolmilter", count="20/60s"):
    """What stands in a window: the sum of its buckets."""
    with server.client() as client:
        text = client.command("GET", "{%s}:l:%s:%s" % (prefix, count, key))
    octets = (text or "").encode("latin-1")
    return sum(int.from_bytes(octets[i + 8:i + 12], "big") for i in range(8, len(octets), 12))


CHARGE = "c:k:20/minute:1"


class Case(tap.TestCase):
    @classmethod
    def setUpClass(cls):
        if not redis.available():
            raise tap.unittest.SkipTest("no redis-server")
        cls.server = redis.Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.server.command("FLUSHALL")

    def drive(self, server=None, **settings):
        settings.setdefault("address", (server or self.server).address)
        settings.setdefault("command_ms", 300 if SLOW else 100)
        drive = Drive(**settings)
        self.addCleanup(drive.process.kill)
        return drive

    def assertQuick(self, answer, seconds):
        if not SLOW:
            self.assertLess(answer.took, seconds + BUSY, answer.why)

    def assertFailsAtOnce(self, drive):
        """The breaker is open: no answer waits for anything."""
        answers = [drive.ask(CHARGE) for _ in range(9)]
        self.assertEqual({a.what for a in answers}, {"failed"})
        if not SLOW:
            self.assertLess(sorted(a.took for a in answers)[4], 0.002)

    def assertTtl(self, client):
        keys = client.command("KEYS", "*")
        self.assertTrue(keys)
        for key in keys:
            self.assertGreater(client.command("PTTL", key), 0, key)
