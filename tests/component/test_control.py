#!/usr/bin/python3
"""The control socket of a running daemon, and poolctl limits: what is told is right, and nobody who
connects holds up mail, signals or anybody else."""
import csv
import hashlib
import io
import json
import os
import pathlib
import pwd
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import common
import daemon
import mta
import redis

ISPS = ({"name": "big", "domains": ["big.example"], "limits": ["4/minute"]},
        {"name": "all", "domains": ["all.example"], "total_limits": ["10/hour"]},
        {"name": "free", "domains": ["free.example"]})
ACME = daemon.pool(limits=["20/hour", "500/31d"])
BETA = daemon.pool("beta", "beta.example")
NOBODY = pwd.getpwnam("nobody").pw_uid
STRANGER = NOBODY - 1       # of no account
USAGE, UNAVAILABLE = 64, 69
SLOW = 5 if daemon.instrumented() else 1


def state_text(*lines):
    """A state file with these lines of words."""
    text = "".join(line + "\n" for line in ("poolmilter-limits 1", *lines))
    return text + "sha256 %s\n" % hashlib.sha256(text.encode()).hexdigest()


def become(uid):
    """For subprocess: as this user and group, without others."""
    return lambda: (os.setgroups([]), os.setgid(uid), os.setuid(uid))


def hour(ago=0):
    return time.strftime("%Y%m%d%H", time.gmtime(time.time() - 3600 * ago))


class ControlTest(common.ComponentTest):
    def limited(self, pools=(ACME, BETA), start=True, **settings):
        server = self.prepare(list(pools), **{"isps": ISPS, **settings})
        return server.start() if start else server

    def of_nobody(self, readers=NOBODY):
        """Root starts it, it becomes nobody."""
        server = self.prepare(text="")
        key = daemon.make_key(server.directory / "key.pem").path
        os.chmod(key, 0o640)
        os.chown(key, NOBODY, readers)
        for path in (server.directory, server.directory / "state"):
            os.chown(path, NOBODY, -1)
            path.chmod(0o755)
        server.settings.update(user="nobody", isps=ISPS)
        server.write_config([daemon.pool(dkim_key=key)])
        return server.start()

    def path(self, server):
        return str(server.directory / "state" / "control.sock")

    def state(self, server):
        return server.directory / "state" / "limits.state"

    def connect(self, server, timeout=10):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(timeout * SLOW)
        self.addCleanup(client.close)

        def connected():
            try:
                client.connect(self.path(server))
                return True
            except BlockingIOError:     # a full backlog, where there are hundreds at once
                return False

        self.assertTrue(daemon.wait_for(connected))
        return client

    def read(self, client):
        """All until the daemon closes, as lines."""
        pieces = []
        try:
            while not pieces or pieces[-1]:
                pieces.append(client.recv(1 << 16))
        except ConnectionResetError:        # it did not read all that was sent; what it said is here
            pass
        text = b"".join(pieces)
        self.assertEqual(text[-1:], b"\n")
        return text.decode("ascii").split("\n")[:-1]

    def ask(self, server, question):
        with self.connect(server) as client:
            client.sendall(question.encode("latin-1") + b"\n")
            return self.read(client)

    def send(self, session, *recipients, sender=b"a@example.com"):
        return session.deliver(common.message(sender), sender, [each.encode() for each in recipients]).status

    def fill(self, server, session=None):
        """4 of 4 to big, 7 of 10 to all: 10 of acme, 1 of beta."""
        session = session or self.session(server)
        self.assertEqual(self.send(session, "a@big.example", "b@big.example", "c@big.example", "d@big.example"),
                         "accepted")
        self.assertEqual(self.send(session, *["%d@all.example" % n for n in range(6)]), "accepted")
        self.assertEqual(self.send(session, "a@all.example", sender=b"a@beta.example"), "accepted")

    def limits(self, server):
        """{key and limit: (used, wait in us, most)}"""
        *lines, last = self.ask(server, "limits")
        self.assertEqual(last, ". ok")
        found = {}
        for line in lines:
            word, key, most, seconds, used, wait, share = line.split(" ")
            self.assertEqual(word, "limit")
            self.assertNotIn((key, int(most), int(seconds)), found)
            found[key, int(most), int(seconds)] = (int(used), int(wait), int(share))
        return found

    def poolctl(self, server, *arguments, status=0, **options):
        result = daemon.poolctl("limits", *arguments, "-c", server.config, **options)
        self.assertEqual(result.returncode, status, (result.stdout, result.stderr))
        return result.stdout.decode(), result.stderr.decode()


class Answers(ControlTest):
    def test_limits(self):
        server = self.limited()
        self.assertEqual(self.ask(server, "limits"), [". ok"])
        began = time.monotonic()
        self.fill(server)
        found = self.limits(server)
        took = time.monotonic() - began
        self.assertEqual({key: use[0] for key, use in found.items()},
                         {("p/acme", 20, 3600): 10, ("p/acme", 500, 31 * 86400): 10, ("pi/acme/big", 4, 60): 4,
                          ("i/all", 10, 3600): 7})
        for key, (_, wait, share) in found.items():
            self.assertEqual(share, key[1])
            if key[0] == "pi/acme/big":
                self.assertLessEqual(wait, 60e6)
                self.assertGreater(wait, (60 - took - 0.1) * 1e6)
            else:
                self.assertEqual(wait, 0)

    def test_reset(self):
        server = self.limited()
        session = self.session(server)
        self.fill(server, session)
        self.assertEqual(self.send(session, "e@big.example"), "deferred")
        self.assertEqual(self.ask(server, "reset pi/acme/big"), [". ok 1"])
        server.wait_log(r"control: reset: key=pi/acme/big forgotten=1$")
        self.assertEqual(self.send(session, "e@big.example"), "accepted")
        self.assertEqual(self.limits(server)["pi/acme/big", 4, 60][0], 1)
        self.assertEqual(self.ask(server, "reset p/acme"), [". ok 2"])
        self.assertEqual(self.ask(server, "reset p/acme"), [". ok 0"])
        self.assertNotIn("p/acme", [key[0] for key in self.limits(server)])
        self.assertEqual(self.ask(server, "reset p/nobody"), [". ok 0"])

    def test_stats(self):
        server = self.limited(start=False)
        tallies = ["tally over/acme/p/acme/20/hour/%s deferred 7" % hour(), "tally odd%20%25key%0A f%C3%BC -3",
                   "tally odd%20other n 9223372036854775807"]
        self.state(server).write_text(state_text(*tallies))
        server.start()
        *lines, last = self.ask(server, "stats")
        self.assertEqual(last, ". ok")
        self.assertLessEqual(set(tallies), set(lines))
        self.assertEqual(self.ask(server, "stats odd%20%25"), [tallies[1], ". ok"])
        self.assertEqual(sorted(self.ask(server, "stats odd")), [". ok", *sorted(tallies[1:])])
        self.assertEqual(self.ask(server, "stats nothing"), [". ok"])

    def test_what_is_no_request(self):
        server = self.limited()
        for question in ("", "limit", "limitsx", "limits x", "LIMITS", " limits", "limits ", "stats a b", "stats a%0",
                         "reset", "reset a b", "reset a%00", "reset \xff", "help", "limits\r", "\0", "reset a\0b",
                         "x" * 4000, "x" * 4096, "reset " + "k" * 4096, "reset " + "k" * 100000):
            with self.subTest(question[:20]):
                with self.connect(server) as client:
                    try:
                        client.sendall(question.encode("latin-1") + b"\n")
                    except (BrokenPipeError, ConnectionResetError):
                        pass
                    self.assertEqual(self.read(client), [". error no such request"])
        with self.connect(server) as client:        # only one line is read
            client.sendall(b"limits\nreset p/acme\n")
            self.assertEqual(self.read(client), [". ok"])
        with self.connect(server) as client:        # in pieces
            for piece in (b"re", b"set p/ac", b"me", b"\n"):
                client.sendall(piece)
                time.sleep(0.1)
            self.assertEqual(self.read(client), [". ok 0"])
        with self.connect(server) as client:        # a half line is none
            client.sendall(b"limits")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(client.recv(100), b"")

    def test_a_reload_keeps_it(self):
        server = self.limited()
        self.fill(server)
        before = os.stat(self.path(server)).st_ino
        for pools in ([ACME], [ACME, BETA]):
            server.write_config(pools)
            server.reload()
            self.assertEqual(self.limits(server)["i/all", 10, 3600][0], 7)
        self.assertEqual(os.stat(self.path(server)).st_ino, before)


class Load:
    """Mail all the time, and how long the longest message took."""

    def __init__(self, test, server):
        self.test, self.server, self.longest, self.sent, self.wrong = test, server, 0.0, 0, []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with mta.Session(self.server.address, login=common.LOGIN) as session:
            while not self.done.is_set():
                began = time.monotonic()
                result = session.deliver(common.message(b"a@beta.example"), b"a@beta.example", [b"b@example.net"])
                self.longest = max(self.longest, time.monotonic() - began)
                self.sent += 1
                if result.status != "accepted":
                    self.wrong.append(result.reply)
                time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        daemon.wait_for(lambda: self.sent > 20)
        self.done.set()
        self.thread.join()
        self.test.assertEqual(self.wrong, [])
        self.test.assertGreater(self.sent, 20)
        self.test.assertLess(self.longest, 1 * SLOW)


class Clients(ControlTest):
    """Whoever connects holds up nobody."""

    def assert_prompt(self, server, seconds=2.0):
        """It answers, soon, and a reload is soon done."""
        began = time.monotonic()
        self.assertEqual(self.ask(server, "reset p/nobody"), [". ok 0"])
        server.reload()
        took = time.monotonic() - began
        self.assertLess(took, seconds * SLOW)

    def test_silent_ones_are_dropped(self):
        server = self.limited()
        files = server.descriptors()
        with Load(self, server):
            began = time.monotonic()
            silent = [self.connect(server) for _ in range(10)]
            silent[0].sendall(b"limi")
            self.assert_prompt(server, 1.0)
            for client in silent:
                self.assertEqual(client.recv(10), b"")
            took = time.monotonic() - began
            self.assertGreater(took, 1.8)
            self.assertLess(took, 2.5 * SLOW)
        self.assertTrue(daemon.wait_for(lambda: server.descriptors() <= files + 1))

    def test_fifty_at_once(self):
        """Those over what it serves at a time wait for their turn."""
        server = self.limited()
        files = server.descriptors()
        answers, lock = [], threading.Lock()

        def one():
            answer = self.ask(server, "limits")
            with lock:
                answers.append(answer)

        with Load(self, server):
            cpu = server.cpu_seconds()
            blockers = [self.connect(server, 20) for _ in range(50)]
            self.assertLess(server.descriptors(), files + 20)
            since = server.mark()
            server.send_signal(signal.SIGHUP)
            server.wait_log(r"reload: done", 2, since)
            for client in blockers:
                self.assertEqual(client.recv(10), b"")
            threads = [threading.Thread(target=one) for _ in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertLess(server.cpu_seconds() - cpu, 5 * SLOW)
        self.assertEqual(answers, [[". ok"]] * 50)
        self.assertTrue(daemon.wait_for(lambda: server.descriptors() <= files + 1))

    def test_close_at_once(self):
        server = self.limited()
        files = server.descriptors()
        with Load(self, server):
            for number in range(500):
                with self.connect(server) as client:
                    if number % 3 == 0:
                        client.sendall(b"limits\n")
                    elif number % 3 == 1:
                        client.sendall(b"lim")
            self.assert_prompt(server)
        self.assertTrue(daemon.wait_for(lambda: server.descriptors() <= files + 1))

    def test_a_line_without_an_end(self):
        """100 MB of it are not taken."""
        server = self.limited()
        with Load(self, server):
            memory = server.memory()
            for _ in range(5):
                with self.connect(server) as client, self.assertRaises((BrokenPipeError, ConnectionResetError)):
                    for _ in range(100):
                        client.sendall(b"x" * 1000000)
            self.assert_prompt(server)
            self.assertLess(server.memory() - memory, daemon.memory_limit(2048))

    def big_server(self):
        """Answers of some 20 MB."""
        server = self.limited(start=False)
        lines = ["tally p/%s%d/%s messages 1" % ("x" * 60, number, hour()) for number in range(200000)]
        self.state(server).write_text(state_text(*lines))
        return server.start()

    def test_who_does_not_take_the_answer(self):
        server = self.big_server()
        with Load(self, server):
            memory = server.memory()
            lazy = [self.connect(server, 60) for _ in range(4)]
            began = time.monotonic()
            for client in lazy:
                client.sendall(b"stats\n")
            time.sleep(0.5)
            self.assertLess(server.memory() - memory, daemon.memory_limit(80 * 1024))   # there is one answer
            since = server.mark()
            server.send_signal(signal.SIGHUP)
            server.wait_log(r"reload: done", 2, since)
            whole = self.read(lazy[1])      # the second waits until the first has had its time
            took = time.monotonic() - began
            self.assertEqual(whole[-1], ". ok")
            self.assertGreaterEqual(len(whole), 200001)
            self.assertGreater(took, 1.8)
            self.assertLess(took, 5 * SLOW)
            for client in lazy:
                client.close()
            self.assert_prompt(server)
        self.assertTrue(daemon.wait_for(lambda: server.memory() - memory < daemon.memory_limit(20 * 1024)))

    def test_who_takes_it_slowly(self):
        """Gets all of it, though it takes longer than somebody who takes nothing is given."""
        server = self.big_server()
        with Load(self, server), self.connect(server, 60) as slow:
            began = time.monotonic()
            slow.sendall(b"stats p/x\n")
            pieces = []
            while not pieces or pieces[-1]:
                pieces.append(slow.recv(1 << 16))
                if len(pieces) % 50 == 1:
                    time.sleep(1)
            text = b"".join(pieces)
            took = time.monotonic() - began
        self.assertEqual((text.count(b"\n"), text[-6:]), (200001, b"\n. ok\n"))
        self.assertGreater(took, 3)
        self.assert_prompt(server)

    def test_stop_with_clients_of_all_kinds(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                server = self.big_server()
                clients = [self.connect(server) for _ in range(6)]
                clients[0].sendall(b"stats\n")
                clients[1].sendall(b"stats\n")
                clients[2].sendall(b"lim")
                time.sleep(0.3)
                began = time.monotonic()
                self.assertEqual(server.stop(number), 0)
                took = time.monotonic() - began
                self.assertLess(took, 2 * SLOW)
                self.assertFalse(os.path.lexists(self.path(server)))

    def test_no_descriptors_left(self):
        """No spin: it tries again from time to time, and answers when there is one."""
        server = self.limited(limits={resource.RLIMIT_NOFILE: 40})
        sessions = []
        while server.descriptors() < 40:
            sessions.append(mta.Session(server.address, login=common.LOGIN))
        client = self.connect(server)
        client.sendall(b"limits\n")
        cpu = server.cpu_seconds()
        time.sleep(2)
        self.assertLess(server.cpu_seconds() - cpu, 0.5 * SLOW)
        for session in sessions:
            session.quit()
        self.assertEqual(self.read(client), [". ok"])


class Socket(ControlTest):
    def test_root_and_the_user_only(self):
        server = self.of_nobody()
        self.assertEqual(os.stat(self.path(server)).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.path(server)).st_uid, NOBODY)
        (server.directory / "state").chmod(0o755)       # it is the socket itself that refuses
        for uid, allowed in ((NOBODY, True), (STRANGER, False)):
            code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
            result = subprocess.run(["/usr/bin/python3", "-c", code, self.path(server)], capture_output=True, check=False,
                                    preexec_fn=become(uid))
            self.assertEqual(result.returncode == 0, allowed, result.stderr)
            self.assertEqual(b"PermissionError" in result.stderr, not allowed)
        self.assertEqual(self.ask(server, "limits"), [". ok"])

    def test_a_stale_one_is_replaced(self):
        server = self.limited()
        server.send_signal(signal.SIGKILL)
        server.wait_exit()
        self.assertTrue(os.path.exists(self.path(server)))
        server.start()
        self.assertNotIn("control.sock", server.log)
        self.assertEqual(self.ask(server, "limits"), [". ok"])
        self.assertEqual(server.stop(), 0)
        self.assertFalse(os.path.lexists(self.path(server)))

    def test_a_second_daemon_is_refused(self):
        first = self.limited()
        self.fill(first)
        state = str(first.directory / "state")
        second = self.limited(start=False, state_dir=state)
        second.spawn()
        self.assertNotEqual(second.wait_exit(), 0)
        self.assertIn("state_dir: %s: another poolmilter uses it" % state, second.log)
        self.assertEqual(self.limits(first)["i/all", 10, 3600][0], 7)
        self.assert_still_works(first, ACME)

    def test_the_successors_is_left_alone(self):
        first = self.limited()
        os.unlink(self.path(first))
        second = self.limited(state_dir=str(first.directory / "state"))
        self.assertEqual(first.stop(), 0)
        self.assertEqual(self.ask(first, "limits"), [". ok"])
        self.assertTrue(second.alive)

    def test_mail_goes_on_without_it(self):
        server = self.limited(start=False)
        for name, make in (("file", lambda path: path.write_text("x")), ("directory", lambda path: path.mkdir())):
            with self.subTest(name):
                path = pathlib.Path(self.path(server))
                make(path)
                since = server.mark()
                server.start()
                server.wait_log(r"warning: \S+/control\.sock: .+: poolctl cannot ask this daemon$", since=since)
                self.assertEqual(self.send(self.session(server), "a@free.example"), "accepted")
                self.assertEqual(server.stop(), 0)
                self.assertTrue(path.exists())
                path.unlink() if path.is_file() else path.rmdir()

    def test_mail_goes_on_where_the_path_is_too_long(self):
        server = self.limited(start=False)
        state = server.directory / ("s" * 100)
        state.mkdir()
        server.settings["state_dir"] = str(state)
        server.write_config([ACME, BETA])
        server.start()
        server.wait_log(r"control\.sock: File name too long: poolctl cannot")
        self.assertEqual(self.send(self.session(server), "a@free.example"), "accepted")
        _, error = self.poolctl(server, status=UNAVAILABLE)
        self.assertIn("control.sock: File name too long", error)


class Poolctl(ControlTest):
    def rows(self, text):
        """The table as [(limit, used, %, room, deferred, key)]."""
        head, names, *lines = text.split("\n")[:-1]
        self.assertRegex(names, r"^LIMIT +USED +% +ROOM +DEFERRED +KEY$")
        self.assertTrue(all(len(re.split(r"  +", line.strip())) == 6 for line in lines), text)
        return head, [tuple(re.split(r"  +", line.strip())) for line in lines]

    def test_table(self):
        server = self.limited(start=False)
        self.state(server).write_text(state_text(
            "tally over/acme/pi/acme/big/4/minute/%s deferred 100" % hour(),
            "tally over/acme/pi/acme/big/4/minute/%s deferred 20" % hour(1),
            "tally over/acme/pi/acme/big/4/minute/%s held 3" % hour(1),
            "tally over/acme/pi/acme/big/4/minute/%s deferred 4000" % hour(3),
            "tally over/beta/i/all/10/hour/%s deferred_recipients 6" % hour(),
            "tally over/shop/p/shop/20/second/%s deferred 5" % hour(),
            "tally over/shop/odd/20/second/%s deferred 5" % hour(),
            "tally over//p/shop/20/second/%s deferred 5" % hour(),
            "tally over/shop/%s deferred 5" % hour(), "tally over/ deferred 5", "tally over/x deferred 5"))
        server.start()
        self.fill(server)
        text, error = self.poolctl(server)
        head, rows = self.rows(text)
        self.assertEqual(error, "")
        self.assertEqual(head, "poolmilter on this node: limits in use: 4, full: 1")
        self.assertRegex(rows[0][3], r"^in (60|5\d) s$")
        self.assertEqual(rows, [
            ("4/minute of pool acme to big", "4/4", "100", rows[0][3], "acme 120 (3 held)", "pi/acme/big"),
            ("10/hour to all", "7/10", "70", "now", "beta 6", "i/all"),
            ("20/hour of pool acme", "10/20", "50", "now", "-", "p/acme"),
            ("500/31d of pool acme", "10/500", "2", "now", "-", "p/acme"),
            ("20/second of pool shop", "0/20", "0", "now", "shop 5", "p/shop")])

    def test_deferred_mail_is_told(self):
        """What the daemon counts is what poolctl reads."""
        server = self.limited()
        session = self.session(server)
        self.fill(server, session)
        for _ in range(3):
            self.assertEqual(self.send(session, "x@big.example"), "deferred")
        _, rows = self.rows(self.poolctl(server)[0])
        self.assertEqual(rows[0][4:], ("acme 3", "pi/acme/big"))

    def test_nothing_in_use(self):
        server = self.limited()
        text, _ = self.poolctl(server)
        self.assertEqual(text, "poolmilter on this node: limits in use: 0, full: 0\n")

    def test_filters_and_all(self):
        server = self.limited()
        self.fill(server)

        def keys(*options):
            text = self.poolctl(server, *options)[0]
            return [(row[0], row[1]) for row in self.rows(text)[1]]

        self.assertEqual(keys("--pool", "acme"), [("4/minute of pool acme to big", "4/4"), ("20/hour of pool acme", "10/20"),
                                                  ("500/31d of pool acme", "10/500")])
        self.assertEqual(keys("-i", "ALL"), [("10/hour to all", "7/10")])
        self.assertEqual(keys("-p", "acme", "-i", "big"), [("4/minute of pool acme to big", "4/4")])
        self.assertEqual(keys("--pool", "beta", "--all"), [("4/minute of pool beta to big", "0/4")])
        self.assertEqual(len(keys("--all")), 5)
        for option, what in (("--pool", "pool"), ("--isp", "record")):
            _, error = self.poolctl(server, option, "nothing", status=UNAVAILABLE)
            self.assertEqual(error, 'poolctl limits: no %s "nothing"\n' % what)

    def test_json(self):
        server = self.limited(start=False)
        self.state(server).write_text(state_text(
            "tally over/acme/pi/acme/big/4/minute/%s deferred 2" % hour(),
            "tally over/acme/pi/acme/big/4/minute/%s warned 1" % hour(1)))
        server.start()
        self.fill(server)
        found = json.loads(self.poolctl(server, "--json")[0])
        self.assertEqual((found["where"], found["problem"], len(found["limits"])), ("poolmilter on this node", None, 4))
        first = found["limits"][0]
        self.assertTrue(50000 < first.pop("wait_ms") <= 60000)
        none = {"deferred": 0, "deferred_recipients": 0, "held": 0, "warned": 0, "rejected": 0}
        self.assertEqual(first, {"words": "4/minute of pool acme to big", "key": "pi/acme/big", "limit": "4/minute",
                                 "pool": "acme", "isp": "big", "used": 4, "most": 4, "over": [
                                     {"pool": "acme", "this_hour": {**none, "deferred": 2},
                                      "last_hour": {**none, "warned": 1}}]})
        self.assertEqual([(each["pool"], each["isp"]) for each in found["limits"][1:]],
                         [(None, "all"), ("acme", None), ("acme", None)])

    def test_csv(self):
        server = self.limited(start=False)
        self.state(server).write_text(state_text("tally over/acme/i/all/10/hour/%s deferred 2" % hour(),
                                                 "tally over/beta/i/all/10/hour/%s deferred 3" % hour(1)))
        server.start()
        self.fill(server)
        rows = list(csv.DictReader(io.StringIO(self.poolctl(server, "--csv")[0])))
        self.assertEqual(len(rows), 4)
        self.assertEqual(rows[1], {"key": "i/all", "limit": "10/hour", "pool": "", "isp": "all", "used": "7", "most": "10",
                                   "wait_ms": "0", "deferred": "5", "deferred_recipients": "0", "held": "0",
                                   "warned": "0", "rejected": "0"})

    def test_reset(self):
        server = self.limited()
        session = self.session(server)
        self.fill(server, session)
        self.assertEqual(self.send(session, "x@big.example"), "deferred")
        text, _ = self.poolctl(server, "reset", "pi/acme/big/4/minute")
        self.assertEqual(text, "poolmilter on this node: 1 window of pi/acme/big forgotten\n")
        self.assertEqual(self.send(session, "x@big.example"), "accepted")
        text, _ = self.poolctl(server, "reset", "p/acme")
        self.assertEqual(text, "poolmilter on this node: 2 windows of p/acme forgotten\n")
        for key, hint in (("p/acme", "lists the keys"), ("pi/acme/bog", 'did you mean "pi/acme/big"?'),
                          ("acme", "lists the keys"), ("", "lists the keys"), ("pi/acme", "")):
            _, error = self.poolctl(server, "reset", key, status=1)
            self.assertIn('nothing is counted under "%s"' % key, error)
            self.assertIn(hint, error)
        self.assertEqual(self.limits(server)["i/all", 10, 3600][0], 7)

    def test_usage(self):
        server = self.limited(start=False)
        for arguments in (["more"], ["reset"], ["reset", "a", "b"], ["--json", "--csv"], ["reset", "p/acme", "--json"],
                          ["reset", "p/acme", "--pool", "acme"], ["--none"]):
            with self.subTest(arguments):
                _, error = self.poolctl(server, *arguments, status=USAGE)
                self.assertIn('Try "poolctl help limits"', error)

    def test_the_daemon_is_not_running(self):
        server = self.limited()
        text, _ = self.poolctl(server)
        self.fill(server)
        self.assertEqual(server.stop(), 0)
        head, rows = self.rows(self.poolctl(server)[0])
        self.assertEqual(head, "%s, poolmilter is not running: limits in use: 4, full: 1" % self.state(server))
        self.assertEqual([row[1] for row in rows], ["4/4", "7/10", "10/20", "10/500"])
        _, error = self.poolctl(server, "reset", "p/acme", status=UNAVAILABLE)
        self.assertIn("poolmilter is not running: start it, then reset", error)
        whole = self.state(server).read_bytes()
        self.state(server).write_bytes(whole[:-5])
        _, error = self.poolctl(server, status=UNAVAILABLE)
        self.assertIn("limits.state: ", error)
        self.state(server).unlink()
        self.assertIn("limits in use: 0", self.poolctl(server)[0])

    def test_killed_the_socket_is_there_still(self):
        server = self.limited()
        server.send_signal(signal.SIGKILL)
        server.wait_exit()
        self.assertTrue(os.path.exists(self.path(server)))
        self.assertIn("poolmilter is not running: limits in use: 0", self.poolctl(server)[0])

    def test_without_rights(self):
        server = self.of_nobody(readers=STRANGER)    # who can read the configuration and the key
        for running in (True, False):
            for mode in (0o755, 0o700):
                with self.subTest(running=running, mode=mode):
                    (server.directory / "state").chmod(mode)
                    result = subprocess.run([*daemon.WRAP, daemon.POOLCTL, "limits", "-c", str(server.config)],
                                            capture_output=True, check=False, preexec_fn=become(STRANGER))
                    self.assertEqual(result.returncode, UNAVAILABLE, result.stderr)
                    self.assertIn(b": permission denied: run as root or as nobody\n", result.stderr)
            if running:
                self.assertEqual(self.send(self.session(server), "a@big.example"), "accepted")
                self.assertEqual(server.stop(), 0)


class Redis(ControlTest):
    def setUp(self):
        self.redis = redis.Server().start()
        self.addCleanup(self.redis.stop)

    def shared(self, **settings):
        return self.limited(redis={"address": self.redis.address, "connect_timeout_ms": 500,
                                   "command_timeout_ms": 500, "nodes": 2, **settings})

    def test_limits_and_reset(self):
        server = self.shared()
        session = self.session(server)
        self.assertTrue(daemon.wait_for(lambda: self.send(session, "a@big.example") == "accepted" and
                                        self.redis.command("DBSIZE") > 2))
        found = json.loads(self.poolctl(server, "--json", "--pool", "acme")[0])
        self.assertEqual(found["where"], "Redis at " + self.redis.address)
        used = {each["key"]: (each["used"], each["most"]) for each in found["limits"] if each["limit"] != "500/31d"}
        self.assertEqual((used["pi/acme/big"][1], used["p/acme"][1]), (4, 20))
        self.assertGreater(used["pi/acme/big"][0], 0)
        text, _ = self.poolctl(server, "reset", "p/acme/20/hour")
        self.assertEqual(text, "Redis at %s: 2 windows of p/acme forgotten\n" % self.redis.address)
        self.assertNotIn("p/acme ", self.poolctl(server)[0])

    def test_redis_is_down(self):
        server = self.shared()
        self.redis.kill()
        session = self.session(server)
        self.assertEqual(self.send(session, "a@big.example"), "accepted")
        text, error = self.poolctl(server, status=UNAVAILABLE)
        self.assertIn("poolctl limits: Redis at %s does not answer: " % self.redis.address, error)
        self.assertIn("this is what this node counts for itself meanwhile", error)
        self.assertIn("4/minute of pool acme to big", text)
        self.assertIn(" 1/2 ", text)
        found = json.loads(self.poolctl(server, "--json", status=UNAVAILABLE)[0])
        self.assertIn("does not answer", found["problem"])
        _, error = self.poolctl(server, "reset", "p/acme", status=UNAVAILABLE)
        self.assertIn("does not answer", error)
        self.assertEqual(server.stop(), 0)
        _, error = self.poolctl(server, status=UNAVAILABLE)
        self.assertIn("poolmilter is not running on this node", error)

    def test_redis_is_down_and_mail_is_not_counted_here(self):
        server = self.shared(when_down="accept")
        self.redis.kill()
        text, error = self.poolctl(server, status=UNAVAILABLE)
        self.assertEqual((text, error.count("\n")), ("", 1))


if __name__ == "__main__":
    common.main()
