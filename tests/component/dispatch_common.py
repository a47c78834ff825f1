"""The dispatcher of events in dispatchdrive: its configuration, its queue and its log; for test_webhooks.py."""
import os
import re
import subprocess
import threading

import daemon
import tap
import webhookserver

DRIVE = os.environ.get("DISPATCHDRIVE", "tests/component/dispatchdrive")
# A sanitizer slows it down: then times are only looked at, not judged.
SLOW = "POOLMILTER_SLOW" in os.environ

# Quick for tests: a batch goes as soon as it can.
QUICK = {"batch_ms": 0, "timeout_ms": 1000}


class Dispatcher:
    """dispatchdrive with a configuration that lives on when it is killed; start() starts it again."""

    def __init__(self, webhooks=(), pools=None, **groups):
        self.directory = daemon.new_directory("dispatch")
        self.config = self.directory / "poolmilter.conf"
        self.process, self.lines = None, []
        self.next = 1       # number of the next event
        self.write_config(webhooks, pools, **groups)

    def write_config(self, webhooks=(), pools=None, events=None, **groups):
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        whole = {"listen": "unix:%s" % (self.directory / "sock"), "user": "root", "state_dir": str(state),
                 "events": events or {"keep": "1d"}, "webhooks": tuple(webhooks),
                 "pools": tuple(pools or [daemon.pool()]), **groups}
        self.config.write_text(daemon.settings_text(whole))

    def start(self):
        # Proxies of the environment are for nobody here: there is none.
        self.process = subprocess.Popen([DRIVE, str(self.config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "http_proxy": "http://127.0.0.1:9",
                                             "https_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"})
        threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True).start()
        return self

    def _read_log(self, stream):
        for line in stream:
            self.lines.append(line.rstrip("\n"))

    @property
    def log(self):
        return "\n".join(self.lines[:])

    def tell(self, *words):
        """The lines of the answer before its last one, and what that says behind "ok"."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or not lines[-1].startswith("."):
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("dispatchdrive died:\n%s" % self.log[-3000:])
            lines.append(line.rstrip("\n"))
        _, result, rest = lines[-1].split(" ", 2)
        if result != "ok":
            raise AssertionError("%s: %s\n%s" % (words[0], rest, self.log[-3000:]))
        return lines[:-1], rest

    def add(self, count, *destinations, octets=100):
        """Events that wait for the destinations; webhooks by their names.  Their numbers, as queue IDs."""
        first, self.next = self.next, self.next + count
        names = [name if name in ("file", "stream") else "webhook/" + name for name in destinations]
        self.tell("add", ",".join(names), first, count, octets)
        return ["Q%d" % number for number in range(first, first + count)]

    def queue(self):
        """{name: (waiting, dead, failures, ms until the next try, error)}"""
        found = {}
        for line in self.tell("queue")[0]:
            name, waiting, dead, failures, left, error = line.split(" ", 5)
            found[name] = (int(waiting), int(dead), int(failures), int(left), error)
        return found

    def waiting(self):
        return sum(state[0] for state in self.queue().values())

    def wait_empty(self, seconds=30):
        return daemon.wait_for(lambda: self.waiting() == 0, seconds, 0.05)

    def dead(self):
        """[(name, ID, reason)]"""
        return [tuple(line.split(" ", 2)) for line in self.tell("dead")[0]]

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def end(self):
        """Ends the dispatcher and the process; the milliseconds that the dispatcher took."""
        ms = int(self.tell("end")[1])
        self.process.stdin.close()
        if self.process.wait(30) != 0:
            raise AssertionError("exit status %d\n%s" % (self.process.returncode, self.log[-5000:]))
        self.process.stdout.close()
        self.process = None
        return ms

    def wait_log(self, pattern, seconds=20, since=0):
        match = lambda: next((line for line in self.lines[since:] if re.search(pattern, line)), None)
        return daemon.wait_for(match, seconds, 0.02)

    def changes(self, name):
        """"d" and "u" for the lines that tell a change of state of a destination."""
        return "".join(re.findall(r"events: %s: (d|u)(?:own:|p again)" % re.escape(name), self.log))


def numbers(events):
    return [event["queue_id"] for event in events]


class DispatchTest(tap.TestCase):
    def serve(self, **settings):
        """A receiver; what it finds wrong with requests fails the test at its end."""
        server = webhookserver.Server(**settings).start()
        self.addCleanup(lambda: self.assertEqual(server.faults, []))
        self.addCleanup(server.stop)
        return server

    def dispatch(self, *hooks, start=True, webhooks=(), **settings):
        made = Dispatcher((*hooks, *webhooks), **settings)
        self.addCleanup(made.kill)
        # Neither of the webhooks' secrets, nor a report of a sanitizer.
        self.addCleanup(lambda: self.assertNotRegex(made.log, "(?i)secret|Sanitizer|runtime error"))
        if start:
            made.start()
        return made

    def secret(self, text="a secret of 24 octets...", name="hook.secret"):
        path = daemon.new_directory("secret") / name
        path.touch(0o600)
        path.write_text(text + "\n")
        return str(path)

    def assert_log(self, dispatcher, pattern, seconds=20, since=0):
        self.assertTrue(dispatcher.wait_log(pattern, seconds, since), "%s not in:\n%s" % (pattern, dispatcher.log[-3000:]))

    def assert_complete(self, server, numbers_added, webhook=None):
        """All events came, each for the first time in the order in which they were added; repeats have
        their ID, and no ID has two events."""
        events = server.events(webhook)
        by_id = {}
        for event in events:
            self.assertEqual(by_id.setdefault(event["id"], event), event)
        self.assertEqual(numbers(by_id.values()), numbers_added)

    def await_complete(self, server, numbers_added, webhook=None, seconds=40):
        server.wait(lambda: len(server.ids(webhook)) >= len(numbers_added), seconds)
        self.assert_complete(server, numbers_added, webhook)
