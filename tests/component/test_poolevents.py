#!/usr/bin/python3
"""poolevents from outside: a log that the test writes becomes events, each once, whatever happens to the log, to the
database or to the process."""
import json
import os
import pwd
import resource
import select
import signal
import subprocess
import threading
import time

import daemon
import events
import tap

NOBODY = pwd.getpwnam("nobody").pw_uid
SLOW = 5 if daemon.instrumented() or "POOLMILTER_SLOW" in os.environ else 1


def name(number):
    """A long queue ID."""
    return "4cQ%07dz1h" % number


class Poolevents(tap.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.directory = daemon.new_directory("log")
        self.directory.chmod(0o755)
        self.path = self.directory / "mail.log"
        self.log = events.MailLog(self.path)
        self.addCleanup(lambda: self.log.file.close())

    def prepare(self, **options):
        options.setdefault("log", self.path)
        options.setdefault("options", ["--from-start"])
        server = events.Events(start=False, **options)
        self.addCleanup(self.end, server)
        return server

    def serve(self, **options):
        return self.prepare(**options).start()

    def end(self, server):
        if server.process is None or server.process.returncode is not None:
            server.kill()
        else:
            self.assertEqual(server.stop(), 0, server.log)

    def told(self, made, *members):
        return [tuple(event.get(member) for member in members) for event in made]

    # From the log to the receiver.

    def test_end_to_end(self):
        lines = self.directory / "events.json"
        server = self.serve(events={"file": str(lines)})
        begun = time.time()
        self.log.add(*events.begin_lines(name(1), "a@example.net", "b@example.org", headers={"X-Campaign": "47 ü"}))
        self.log.add(events.delivery_line(name(1), "a@example.net"))
        self.log.add(events.delivery_line(name(1), "b@example.org", "deferred",
                                          "host mx.example.org[192.0.2.2] said: 452 4.2.2 Mailbox full "
                                          "(in reply to RCPT TO command)", "4.2.2"))
        self.log.add(events.delivery_line(name(1), "b@example.org", "bounced",
                                          "host mx.example.org[192.0.2.2] said: 550 5.1.1 No such user "
                                          "(in reply to RCPT TO command)"))
        self.log.add(events.removed_line(name(1)))
        self.log.add(*events.message_lines(name(2), "c@example.net", pool=None))
        made = server.wait_events(5)
        self.assertEqual(self.told(made, "type", "recipient", "code", "category"), [
            ("accepted", "a@example.net", None, None), ("accepted", "b@example.org", None, None),
            ("delivered", "a@example.net", 250, None), ("deferred", "b@example.org", 452, "full"),
            ("bounced", "b@example.org", 550, "bad-mailbox")])
        for event in made:
            self.assertEqual((event["queue_id"], event["pool"], event["sender"], event["node"], event["source"],
                              event["message_id"], event["headers"]),
                             (name(1), "acme", "news@example.com", "mx1", "log", "<%s@example.com>" % name(1),
                              {"X-Campaign": "47 ü"}))
        self.assertEqual(len({event["id"] for event in made}), 5)
        self.assertTrue(daemon.wait_for(lambda: lines.exists() and lines.read_text().count("\n") == 5, 10 * SLOW))
        self.assertEqual([json.loads(line) for line in lines.read_text().splitlines()], made)
        self.assertLess(time.time() - begun, 5 * SLOW)
        self.assertTrue(daemon.wait_for(lambda: server.query("SELECT count(*) FROM waiting") == [(0,)], 10 * SLOW))

    def test_expired(self):
        """It has the reply and the category of the last try."""
        server = self.serve()
        self.log.add(*events.begin_lines(name(1), "a@example.net"))
        for reply, dsn in (("452 4.2.2 Mailbox full", "4.2.2"), ("451 4.7.1 Greylisted, try again " + "x" * 1000, "4.7.1")):
            self.log.add(events.delivery_line(name(1), "a@example.net", "deferred", "host mx.example.net[192.0.2.1] said: "
                                              "%s (in reply to RCPT TO command)" % reply, dsn))
        self.log.add(events.line("postfix/qmgr", "%s: from=<b@bounces.example.com>, status=expired, returned to sender"
                                 % name(1)))
        made = server.wait_events(4)
        self.assertEqual(self.told(made[2:], "type", "recipient", "relay", "code", "dsn", "category"), [
            (kind, "a@example.net", "mx.example.net[192.0.2.1]:25", 451, "4.7.1", "policy")
            for kind in ("deferred", "expired")])
        self.assertEqual((len(made[3]["reply"]), made[3]["reply"]), (500, made[2]["reply"][:500]))

    def test_begins_at_the_end(self):
        self.log.message(name(1), "old@example.net")
        server = self.serve(options=[])
        self.log.message(name(2), "new@example.net")
        self.assertEqual(self.told(server.wait_events(2), "recipient"), [("new@example.net",)] * 2)
        server.kill()       # and what comes while nobody is there is not missed
        self.log.message(name(3), "away@example.net")
        server.start()
        self.assertEqual(self.told(server.wait_events(4), "recipient")[2:], [("away@example.net",)] * 2)

    def test_killed_before_the_first_line(self):
        self.log.message(name(1), "old@example.net")
        server = self.serve(options=[])
        server.kill()
        self.log.message(name(2), "new@example.net")
        server.start()
        self.assertEqual(self.told(server.wait_events(2), "recipient"), [("new@example.net",)] * 2)

    def test_its_own_lines(self):
        """They stand in the log that it reads: no events, no line for a line."""
        server = self.serve()
        self.log.add(*[each.replace(" poolmilter[", " poolevents[")
                       for each in events.message_lines(name(1), "a@example.net")])
        self.log.message(name(2), "a@example.net")
        self.assertEqual(self.told(server.wait_events(2), "queue_id"), [(name(2),)] * 2)
        before = server.mark()
        self.log.add(*[events.line("poolevents", "reload: done") for _ in range(100)])
        self.log.message(name(3), "a@example.net")
        self.assertEqual(len(server.wait_events(4)), 4)
        self.assertEqual(server.mark(), before, server.log)

    def test_once(self):
        for number in range(1, 6):
            self.log.message(name(number), "a@example.net")
        server = self.prepare(events={"file": str(self.directory / "events.json")})
        for _ in range(2):
            done = server.run("--once", "--from-start")
            self.assertEqual((done.returncode, len(server.events())), (0, 10), done.stderr)
        self.log.message(name(6), "b@example.net")
        self.log.rotate()
        self.log.message(name(7), "b@example.net")
        self.assertEqual(server.run("--once").returncode, 0)
        self.assertEqual(len(server.events()), 14)
        self.assertFalse((self.directory / "events.json").exists())

    def test_idle(self):
        """Nothing is written and next to no CPU used while no lines come."""
        server = self.serve()
        self.log.message(name(1), "a@example.net")
        server.wait_events(2)
        time.sleep(0.5)

        def written():
            return [(each.name, each.stat().st_mtime_ns, each.stat().st_size) for each in sorted(server.state.iterdir())
                    if not each.name.endswith("-shm")]

        before, used = written(), server.cpu_seconds()
        time.sleep(2)
        self.assertEqual(written(), before)
        self.assertLess(server.cpu_seconds() - used, 0.2 * SLOW)

    def test_old_ones_go(self):
        flights = "SELECT count(*) FROM flights WHERE queue_id LIKE '4c%'"
        for number in range(1, 3001):
            self.log.message(name(number), "a@example.net")
        server = self.prepare(events={"keep": "1s", "history": "1s"})
        self.assertEqual(server.run("--once", "--from-start").returncode, 0)
        self.assertEqual((len(server.events()), server.query(flights)), (6000, [(3000,)]))
        time.sleep(2.1)
        self.assertEqual(server.run("--once").returncode, 0)
        self.assertEqual((server.events(), server.query(flights)), ([], [(0,)]))

    # Hostile lines.

    def test_hostile_lines(self):
        server = self.serve()
        reply = 'host x[1.2.3.4] said: 550 5.1.1 "quoted" \\ \x01\x1b[31m {"a":1} status=sent (250 ok) ' + "ü" * 50
        self.log.add(*events.begin_lines(name(1), "a@example.net"))
        self.log.file.write(b"\0" * 5000 + b"x" * 100000 + b"\n" + b"\xff\xfe garbage\n\n\n")
        self.log.file.write(events.line("postfix/smtp", "y" * 200000).encode())
        self.log.add(events.delivery_line(name(1), "a@example.net", "bounced", reply))
        self.log.file.write(events.delivery_line(name(1), "a@example.net", "bounced", "550 5.1.1 \udcff\udc80")
                            .encode("utf-8", "surrogateescape"))
        self.log.message(name(2), "b@example.net")
        made = server.wait_events(5)
        self.assertEqual(self.told(made, "type"), [("accepted",), ("bounced",), ("bounced",), ("accepted",), ("delivered",)])
        self.assertIn('"quoted" \\ \x01\x1b[31m {"a":1}', made[1]["reply"])
        self.assertIn("\ufffd", made[2]["reply"])

    # Crashes.

    def test_killed(self):
        """kill -9 at any moment, with a writer and rotation: each event once."""
        over, written = threading.Event(), []

        def write():
            number = 0
            while not over.is_set():
                number += 1
                for line in events.message_lines(name(number), "user%d@example.net" % number):
                    half = len(line) // 2
                    self.log.add(line[:half])
                    if number % 4:
                        time.sleep(0.001)
                    self.log.add(line[half:])
                written.append(name(number))
                if number % 60 == 0:
                    self.log.rotate(keep=50)

        server = self.prepare()
        server.start()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for round_number in range(12):
                time.sleep(0.05 + 0.07 * round_number % 0.5)
                server.kill()
                server.start()
        finally:
            over.set()
            writer.join()
        made = server.wait_events(2 * len(written), 60)
        self.assertEqual(sorted(self.told(made, "queue_id", "type")),
                         sorted((each, kind) for each in written for kind in ("accepted", "delivered")))
        self.assertGreater(len(written), 200)
        self.assertNotRegex(server.log, "lost|left out")

    def test_disk_full(self):
        """The database cannot grow: nothing is lost, and it goes on when it can."""
        server = self.prepare()
        server.limits = {resource.RLIMIT_FSIZE: resource.RLIM_INFINITY}
        server._before_exec = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(
            resource.RLIMIT_FSIZE, (400000, resource.RLIM_INFINITY)))
        server.start()
        for number in range(1, 3001):
            self.log.message(name(number), "user%d@example.net" % number)
        server.wait_log("events are not collected: .*events.db", 30)
        self.assertLess(len(server.events()), 6000)
        self.assertTrue(server.alive)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        made = server.wait_events(6000, 60)
        server.wait_log("events are collected again", 30)
        self.assertEqual(sorted(self.told(made, "queue_id", "type")),
                         sorted((name(number), kind) for number in range(1, 3001) for kind in ("accepted", "delivered")))
        self.assertEqual(server.log.count("not collected"), 1, server.log)

    def test_stops_under_load(self):
        for number in range(20000):
            self.log.message(name(number), "user%d@example.net" % number)
        server = self.serve()
        server.wait_events(1)
        begun = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - begun, 10 * SLOW)
        server.start()
        self.assertEqual(len(server.wait_events(40000, 120)), 40000)

    # Configuration.

    def test_reload(self):
        server = self.serve()
        self.log.message(name(1), "a@example.net")
        server.wait_events(2)
        lines = self.directory / "later.json"
        server.group["file"] = str(lines)
        server.write_config()
        self.assertIn("reload: done", server.reload())
        self.log.message(name(2), "a@example.net")
        server.wait_events(4)
        self.assertTrue(daemon.wait_for(lambda: lines.exists() and lines.read_text().count("\n") == 2, 10 * SLOW))
        server.config.write_text(server.config.read_text() + "\nno_such_key = 1;\n")
        since = server.mark()
        server.send_signal(signal.SIGHUP)
        server.wait_log(r"poolmilter\.conf:\d+: .*no_such_key", since=since)
        server.wait_log("reload: refused", since=since)
        server.write_config()
        since = server.mark()
        told = daemon.poolctl("reload", "-c", server.config)    # no poolmilter runs here
        self.assertEqual((told.returncode, b"poolevents" in told.stderr), (69, False), told)
        server.wait_log("reload: done", since=since)
        server.write_config(events=None)
        self.assertIn("the group events is missing", server.reload())
        self.log.message(name(3), "a@example.net")
        self.assertEqual(len(server.wait_events(6)), 6)
        self.assertTrue(daemon.wait_for(lambda: lines.read_text().count("\n") == 4, 10 * SLOW))

    def test_refused(self):
        good, none, broken, no_user = self.prepare(), self.prepare(), self.prepare(), self.prepare()
        none.write_config(events=None)
        broken.config.write_text("pools = (")
        no_user.write_config(user=None)
        directory = self.prepare(log=self.directory)
        for server, options, status, text in (
                (good, ["--check"], 0, ""), (good, ["-V"], 0, ""), (good, ["--help"], 0, ""),
                (good, ["--no-such"], 64, "Usage"), (good, ["more"], 64, "unexpected argument"),
                (none, [], 78, "events: the group is missing"), (none, ["--check"], 78, "events: the group is missing"),
                (broken, [], 78, "poolmilter.conf:"), (broken, ["--check"], 78, "poolmilter.conf:"),
                (no_user, [], 78, "user: is needed"), (directory, ["--once"], 66, "not a regular file")):
            done = server.run(*options)
            self.assertEqual(done.returncode, status, (options, done.stderr))
            self.assertIn(text, done.stderr)

    def test_one_for_each_state_directory(self):
        server = self.serve()
        done = server.run("--once")
        self.assertEqual(done.returncode, 69)
        self.assertIn("poolevents.pid: another instance is running", done.stderr)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.run("--once").returncode, 0)

    def test_user_without_the_log(self):
        """As root it becomes the user; whose groups do not suffice is told so."""
        server = self.prepare()
        for path in (server.directory, server.state):
            os.chown(path, NOBODY, -1)
        key = daemon.make_key(server.directory / "key.pem").path
        os.chown(key, NOBODY, -1)
        server.settings["user"] = "nobody"
        server.write_config([daemon.pool(dkim_key=key)])
        self.path.chmod(0o640)
        done = server.run("--once", "--from-start")
        self.assertEqual(done.returncode, 66, done.stderr)
        self.assertRegex(done.stderr, "mail.log: Permission denied.*group adm")
        self.path.chmod(0o644)
        self.log.message(name(1), "a@example.net")
        server.start()
        server.wait_events(2)
        self.assertEqual((server.state / "events.db").stat().st_uid, NOBODY)
        self.log.rotate()
        self.path.chmod(0o600)
        self.log.message(name(2), "a@example.net")
        server.wait_log("not collected: .*Permission denied", 20)
        self.path.chmod(0o644)
        self.assertEqual(len(server.wait_events(4, 60)), 4)
        self.assertEqual(server.log.count("Permission denied"), 1, server.log)

    # Standard input.

    def test_stdin(self):
        server = self.prepare(log="stdin", stdin=subprocess.PIPE, options=[])
        server.start()
        server.process.stdin.write("".join(events.message_lines(name(1), "a@example.net")).encode())
        server.process.stdin.flush()
        server.wait_events(2)
        server.process.stdin.write("".join(events.message_lines(name(2), "a@example.net")).encode() + b"half a line")
        server.process.stdin.close()
        self.assertEqual(server.wait_exit(), 0)
        self.assertEqual(len(server.events()), 4)

    def answer(self, server):
        ready, _, _ = select.select([server.process.stdout], [], [], 10 * SLOW)
        self.assertTrue(ready, server.log)
        return server.process.stdout.readline()

    def test_stdin_confirmed(self):
        """What has been answered is in the database, also after kill -9."""
        server = self.prepare(log="stdin", stdin=subprocess.PIPE, options=["--confirm"])
        server.start()
        self.assertEqual(self.answer(server), b"OK\n")
        for line in events.message_lines(name(1), "a@example.net"):
            server.process.stdin.write(line.encode())
            server.process.stdin.flush()
            self.assertEqual(self.answer(server), b"OK\n")
        self.assertEqual(len(server.events()), 2)
        server.process.stdin.write(b"BEGIN TRANSACTION\n")
        for line in events.message_lines(name(2), "a@example.net"):
            server.process.stdin.write(line.encode())
        server.process.stdin.write(b"COMMIT TRANSACTION\n")
        server.process.stdin.flush()
        self.assertEqual([self.answer(server) for _ in range(9)],
                         [b"OK\n"] + [b"DEFER_COMMIT\n"] * 7 + [b"OK\n"])
        server.kill()
        self.assertEqual(len(server.events()), 4)


if __name__ == "__main__":
    tap.main()
