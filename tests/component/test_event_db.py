#!/usr/bin/python3
"""poolctl events: what it shows of the database, for people and as JSON, how it follows, and what
it does to the queue.  Nothing that a stranger wrote reaches the terminal as a command."""
import fcntl
import json
import os
import pty
import signal
import sqlite3
import struct
import subprocess
import termios
import threading
import time

import common
import daemon
import tap

EVENTDBADD = os.environ.get("EVENTDBADD") or str(daemon.ROOT / "tests/component/eventdbadd")
DESTINATIONS = ("file", "webhook/crm")
USAGE, UNAVAILABLE, CONFIG = 64, 69, 78
DAY = 24 * 3600


def event(n, kind="delivered", **members):
    return {"id": "%032x" % n, "time": "2026-11-20T13:14:%02d.000001Z" % (n % 60), "type": kind,
            "pool": "acme", "isp": "gmail", "recipient": "r%d@gmail.com" % n, "dsn": "2.0.0",
            "reply": "250 OK %d" % n, **members}


class EventsTest(common.ComponentTest):
    def setUp(self):
        self.server = self.prepare(events={"file": "/tmp/unused.jsonl"},
                                   webhooks=({"name": "crm", "url": "http://127.0.0.1:9/"},))
        self.state = self.server.directory / "state"

    def add(self, *events, destinations=DESTINATIONS):
        lines = "".join("%s %s\n" % (e.get("pool", "-"), json.dumps(e)) for e in events)
        subprocess.run([*daemon.WRAP, EVENTDBADD, str(self.state), ",".join(destinations)],
                       input=lines.encode(), check=True, capture_output=True, timeout=60)

    def sql(self, text, *values):
        with sqlite3.connect(self.state / "events.db") as db:
            rows = db.execute(text, values).fetchall()
        db.close()
        return rows

    def poolctl(self, *arguments, status=0, zone="UTC"):
        """What it says on standard output; on standard error where it fails."""
        first = [a for a in arguments[:1] if not a.startswith("-")]
        rest = arguments[len(first):]
        done = subprocess.run([*daemon.WRAP, daemon.POOLCTL, "events", *first, "-c",
                               str(self.server.config), *rest],
                              capture_output=True, timeout=60, check=False,
                              env={**os.environ, "TZ": zone})
        self.assertEqual(done.returncode, status, done)
        if status == 0:
            self.assertEqual(done.stderr, b"")
        return (done.stderr if status else done.stdout).decode()

    def json_lines(self, *arguments):
        return [json.loads(line) for line in self.poolctl(*arguments, "--json").splitlines()]

    def queue(self):
        return {row["destination"]: row for row in json.loads(self.poolctl("queue", "--json"))}

    # Events.

    def test_events(self):
        self.add(event(1), event(2, "bounced", dsn="5.1.1", category="bad-mailbox",
                                 reply="550 5.1.1 no such user"),
                 event(3, pool="beta", recipient="post@kunde.example"))
        lines = self.poolctl(zone="Europe/Berlin").splitlines()
        self.assertEqual(lines[0].split(), ["TIME", "TYPE", "POOL", "ISP", "RECIPIENT", "DSN",
                                            "CATEGORY", "REPLY"])
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[1].split(), ["2026-11-20", "14:14:01", "delivered", "acme", "gmail",
                                            "r1@gmail.com", "2.0.0", "-", "250", "OK", "1"])
        self.assertEqual(lines[2].split()[2:],
                         ["bounced", "acme", "gmail", "r2@gmail.com", "5.1.1", "bad-mailbox",
                          "550", "5.1.1", "no", "such", "user"])
        self.assertEqual(lines[0].index("REPLY"), lines[2].index("550 5.1.1"))
        self.assertEqual(self.json_lines(), [event(1), event(2, "bounced", dsn="5.1.1",
                                             category="bad-mailbox", reply="550 5.1.1 no such user"),
                                             event(3, pool="beta", recipient="post@kunde.example")])

    def test_choice(self):
        self.add(*(event(n, kind, pool=pool) for n, (kind, pool) in enumerate(
            (("accepted", "acme"), ("bounced", "acme"), ("deferred", "beta"), ("bounced", "beta"),
             ("expired", "acme"), ("complaint", "acme")))))
        for options, numbers in (((), [0, 1, 2, 3, 4, 5]),
                                 (("--pool", "beta"), [2, 3]),
                                 (("--type=bounced",), [1, 3]),
                                 (("--type", "expired,complaint"), [4, 5]),
                                 (("--type", "bounced", "--pool", "acme"), [1]),
                                 (("--pool", "nobody"), []),
                                 (("--type", "held"), [])):
            with self.subTest(options=options):
                got = [int(e["id"], 16) for e in self.json_lines(*options)]
                self.assertEqual(got, numbers)
        self.assertEqual(self.poolctl("--pool=nobody"), "no events\n")

    def test_since(self):
        self.add(*(event(n) for n in range(5)))
        now = int(time.time())
        for n, age in enumerate((3 * DAY, 2 * DAY, 2 * 3600, 1800, 60)):
            self.sql("UPDATE events SET time = ? WHERE seq = ?", (now - age) * 1000000, n + 1)
        day = time.strftime("%Y-%m-%d", time.gmtime(now - 2 * DAY))
        for since, first in (("30d", 0), ("49h", 1), ("24h", 2), ("60m", 3), ("5m", 4),
                             (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 7000)), 3),
                             (day, 1), ("2026-01-01", 0)):
            with self.subTest(since=since):
                got = [int(e["id"], 16) for e in self.json_lines("--since=" + since)]
                self.assertEqual(got, list(range(first, 5)))
        self.assertEqual(len(self.json_lines()), 3, "the last 24 hours")

    def test_strangers(self):
        """Control characters, bidirectional ones, line ends and what is not JSON."""
        self.add(event(1, reply="550 \x1b[2J\x1b]0;x\x07\r\n\x9b31m \u202etxt\u2028line"),
                 event(2, recipient="a\nb@\x1b[31mx.example", pool="acme"))
        self.sql("UPDATE events SET json = 'no JSON \x1b[2J' WHERE seq = 2")
        text = self.poolctl()
        self.assertEqual(len(text.splitlines()), 3)
        for c in text:
            self.assertTrue(c.isprintable() or c == "\n", repr(c))
        self.assertIn("550 ?[2J?]0;x????31m ?txt?line", text)

    def test_terminal(self):
        """Lines end where the terminal does, in columns and not in octets."""
        self.add(event(1, reply="250 " + "x" * 300), event(2, reply="250 " + "漢" * 200),
                 event(3, recipient="r" * 200 + "@x.example"))
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 130, 0, 0))
        process = subprocess.Popen([*daemon.WRAP, daemon.POOLCTL, "events", "-c",
                                    str(self.server.config)], stdout=slave)
        os.close(slave)
        output = b""
        try:
            while chunk := os.read(master, 65536):
                output += chunk
        except OSError:                     # the other side is closed
            pass
        self.assertEqual(process.wait(60), 0)
        lines = output.decode().replace("\r", "").splitlines()
        self.assertEqual(len(lines), 4)
        for line in lines[1:]:
            self.assertIn(sum(2 if c == "漢" else 1 for c in line), (129, 130), line)

    # Following.

    def started(self, *options, stdout=subprocess.PIPE):
        """A follower, and the numbers of the events that it has shown, which grow."""
        process = subprocess.Popen([*daemon.WRAP, daemon.POOLCTL, "events", "--follow", "--json", "-c",
                                    str(self.server.config), *options], stdout=stdout)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        shown = []
        if stdout == subprocess.PIPE:
            reader = threading.Thread(target=lambda: shown.extend(
                int(json.loads(line)["id"], 16) for line in process.stdout))
            reader.start()
            self.addCleanup(reader.join)
        # It has begun when it reads the database: nothing that is added from now on is passed over.
        self.assertTrue(daemon.wait_for(lambda: self.reads(process), 20 * daemon.scaled(1) + 20))
        time.sleep(0.3)
        return process, shown

    def reads(self, process):
        try:
            return any("events.db-shm" in os.readlink("/proc/%d/fd/%s" % (process.pid, fd))
                       for fd in os.listdir("/proc/%d/fd" % process.pid))
        except OSError:
            return False

    def test_follow(self):
        self.add(*(event(n) for n in range(3)))
        for number, options in ((signal.SIGINT, ()), (signal.SIGTERM, ("--since", "1h"))):
            with self.subTest(options=options):
                process, shown = self.started(*options)
                before = len(self.json_lines())
                have = list(range(before)) if options else []
                for n in range(before, before + 30):
                    self.add(event(n))
                    have.append(n)
                self.assertTrue(daemon.wait_for(lambda: len(shown) >= len(have), 20), shown)
                self.assertEqual(shown, have)
                process.send_signal(number)
                self.assertEqual(process.wait(20), 0)

    def test_follow_pool(self):
        self.add(event(0))
        process, shown = self.started("--pool", "beta", "--type=bounced")
        self.add(event(1), event(2, pool="beta"), event(3, "bounced", pool="beta"),
                 event(4, "bounced"))
        self.assertTrue(daemon.wait_for(lambda: shown, 20))
        self.add(event(5, "bounced", pool="beta"))
        self.assertTrue(daemon.wait_for(lambda: len(shown) == 2, 20))
        self.assertEqual(shown, [3, 5])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 0)

    def test_follow_reader_gone(self):
        """It ends when nobody reads any more, though nothing comes."""
        self.add(event(0))
        read, write = os.pipe()
        process, _ = self.started(stdout=write)
        os.close(write)
        self.assertIsNone(process.poll())
        os.close(read)
        self.assertEqual(process.wait(20), 0)

    def test_slow_reader(self):
        """Who does not read holds nothing: the log beside the database begins anew."""
        self.add(*(event(n, reply="x" * 3000) for n in range(200)))
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        process, _ = self.started("--since=1h", stdout=write)
        os.close(write)
        self.sql("UPDATE events SET json = json || ' '")
        self.assertEqual(self.sql("PRAGMA wal_checkpoint(RESTART)")[0][0], 0, "not held up")
        self.assertIsNone(process.poll())

    # The queue.

    def test_queue(self):
        self.add(event(1), event(2))
        self.add(event(3), destinations=("webhook/old",))
        self.add(event(4), destinations=("webhook/empty",))
        self.sql("DELETE FROM waiting WHERE destination ="
                 " (SELECT number FROM destinations WHERE name = 'webhook/empty')")
        later = int(time.time()) + 600
        self.sql("UPDATE destinations SET failures = 3, next_try = ?, error = ? WHERE name = ?",
                 later * 1000000, "503 \x1b[2J busy", "webhook/crm")
        self.sql("UPDATE waiting SET since = 1795262400000000")
        rows = self.queue()
        self.assertEqual(sorted(rows), ["file", "webhook/crm", "webhook/old"])
        self.assertEqual(rows["webhook/crm"], {
            "destination": "webhook/crm", "configured": True, "waiting": 2, "dead": 0,
            "oldest": "2026-11-21T12:00:00Z", "failures": 3,
            "next_try": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(later)),
            "error": "503 \x1b[2J busy"})
        self.assertEqual((rows["webhook/old"]["configured"], rows["webhook/old"]["waiting"]),
                         (False, 1))
        self.assertEqual((rows["file"]["next_try"], rows["file"]["error"]), (None, None))
        lines = self.poolctl("queue", zone="Europe/Berlin").splitlines()
        self.assertEqual(lines[0].split(), ["DESTINATION", "WAITING", "OLDEST", "DEAD", "FAILURES",
                                            "NEXT", "TRY", "LAST", "ERROR"])
        self.assertEqual(lines[1].split(),
                         ["file", "2", "2026-11-21", "13:00:00", "0", "0", "now", "-"])
        self.assertIn("503 ?[2J busy", lines[2])
        self.assertIn("not in the configuration", lines[3])
        self.assertEqual(len(lines), 4)

    def test_queue_empty(self):
        """Destinations of the configuration that have had no event are there, too."""
        self.add()
        self.assertEqual({name: row["waiting"] for name, row in self.queue().items()},
                         {"file": 0, "webhook/crm": 0})

    def bury(self, name, *seqs):
        for seq in seqs:
            self.sql("DELETE FROM waiting WHERE seq = ? AND destination ="
                     " (SELECT number FROM destinations WHERE name = ?)", seq, name)
            self.sql("INSERT INTO dead SELECT number, ?, 1, ? FROM destinations WHERE name = ?",
                     seq, "410 \x1b gone", name)

    def test_dead(self):
        self.add(*(event(n) for n in range(1, 6)))
        self.bury("webhook/crm", 1, 2)
        self.bury("file", 2)
        letters = self.json_lines("dead")
        self.assertEqual([(x["destination"], x["event"]["recipient"]) for x in letters],
                         [("file", "r2@gmail.com"), ("webhook/crm", "r1@gmail.com"),
                          ("webhook/crm", "r2@gmail.com")])
        self.assertEqual(letters[0], {"destination": "file", "reason": "410 \x1b gone",
                                      "event": event(2)})
        self.assertEqual(len(self.poolctl("dead", "webhook/crm").splitlines()), 3)
        self.assertIn("410 ? gone", self.poolctl("dead", "file"))
        self.assertIn("webhook/crm: tried again now; 2 dead wait again\n",
                      self.poolctl("retry", "--dead", "webhook/crm"))
        self.assertEqual(self.poolctl("dead", "webhook/crm"), "nothing is dead\n")
        self.assertEqual({name: (row["waiting"], row["dead"]) for name, row in self.queue().items()},
                         {"file": (4, 1), "webhook/crm": (5, 0)})
        self.assertEqual(self.poolctl("drop", "--dead", "--all"), "all destinations: 1 dead dropped\n")
        self.assertEqual(self.queue()["file"]["dead"], 0)

    def test_retry_and_drop(self):
        self.add(*(event(n) for n in range(4)))
        later = (int(time.time()) + 600) * 1000000
        self.sql("UPDATE destinations SET next_try = ?", later)
        self.assertEqual(self.poolctl("retry", "file"), "file: tried again now\n")
        self.assertIsNone(self.queue()["file"]["next_try"])
        self.assertIsNotNone(self.queue()["webhook/crm"]["next_try"])
        self.assertEqual(self.poolctl("retry"), "all destinations: tried again now\n")
        self.assertIsNone(self.queue()["webhook/crm"]["next_try"])
        self.assertEqual(self.poolctl("drop", "webhook/crm"), "webhook/crm: 4 waiting dropped\n")
        self.assertEqual({name: row["waiting"] for name, row in self.queue().items()},
                         {"file": 4, "webhook/crm": 0})
        self.assertEqual(self.poolctl("drop", "--all"), "all destinations: 4 waiting dropped\n")
        self.assertEqual(len(self.json_lines()), 4, "the events stay")

    # What goes wrong.

    def test_usage(self):
        for arguments, words in ((("nonsense",), '"nonsense" is neither queue, dead, retry nor drop'),
                                 (("--since=yesterday",), '"yesterday": expected 30m'),
                                 (("--since=0h",), "expected 30m"),
                                 (("--since=99999d",), "expected 30m"),
                                 (("--type=delivered,lost",), '"delivered,lost": expected accepted'),
                                 (("--type=",), "expected accepted"),
                                 (("queue", "file"), 'unexpected argument "file"'),
                                 (("dead", "file", "x"), 'unexpected argument "x"'),
                                 (("queue", "--pool=acme"), "queue: takes no --pool"),
                                 (("retry", "--json"), "retry: takes no --json"),
                                 (("queue", "--dead"), "--dead: for retry and drop"),
                                 (("retry", "--all"), "--all: for drop"),
                                 (("drop",), "drop: expected a destination, or --all"),
                                 (("drop", "file", "--all"), "drop: expected a destination, or --all"),
                                 (("--bogus",), "unknown option")):
            with self.subTest(arguments=arguments):
                self.assertIn(words, self.poolctl(*arguments, status=USAGE))

    def test_no_database(self):
        for action in ((), ("queue",), ("dead",), ("retry",), ("drop", "--all")):
            with self.subTest(action=action):
                self.assertIn("events.db: cannot be opened: No such file or directory",
                              self.poolctl(*action, status=UNAVAILABLE))
        self.assertFalse((self.state / "events.db").exists(), "nobody but poolevents makes it")

    def test_unavailable(self):
        self.add(event(1))
        for action in ("retry", "drop", "dead"):
            with self.subTest(action=action):
                self.assertIn('no destination "webhook/cmr"',
                              self.poolctl(action, "webhook/cmr", status=UNAVAILABLE))
        self.sql("PRAGMA user_version = 99")
        self.assertIn("made by a newer poolmilter", self.poolctl(status=UNAVAILABLE))
        self.server.config.write_text("rubbish")
        self.poolctl(status=CONFIG)

    def test_owner(self):
        """Root looks at what belongs to somebody else, who can write afterwards."""
        owner = os.stat(self.state).st_uid
        if os.geteuid() == 0:
            owner = 65534
            os.chown(self.state, owner, -1)
        self.add(event(1))
        process, shown = self.started("--since=1h")
        self.assertTrue(daemon.wait_for(lambda: shown, 20))
        self.assertEqual({path.name: (path.stat().st_uid, path.stat().st_mode & 0o7777)
                          for path in self.state.glob("events.db*")},
                         {name: (owner, 0o600) for name in ("events.db", "events.db-wal",
                                                            "events.db-shm")})
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 0)


if __name__ == "__main__":
    tap.main()
