#!/usr/bin/python3
"""Locks of pools to ISPs: set by replies or by hand, obeyed by the milter daemons of all nodes, freed in time.

The replies are counted by src/events/lock_rules.c, here in lockdrive.
"""
import hashlib
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse

import common
import daemon
import events
import redis
import redis_common
from redis_common import SLOW

DRIVE = os.environ.get("LOCKDRIVE") or str(daemon.ROOT / "tests" / "component" / "lockdrive")
RULES = ({"name": "throttled", "pattern": r"\b4\.7\.28\b", "threshold": "10/5m", "pause": "1h"},
         {"name": "rate", "category": "rate", "threshold": "4/1h", "rate": "2/hour", "step": "10m", "steps": 5},
         {"name": "once", "category": "policy", "pattern": "listed", "threshold": "1/1h", "pause": "2s"})
ISPS = ({"name": "big", "domains": ["big.example"], "locks": RULES},
        {"name": "All", "domains": ["all.example"]},
        {"name": "one", "domains": ["one.example"], "limits": ["4/hour"]})
ACME, BETA = daemon.pool(), daemon.pool("beta", "beta.example")
REPLY = "421 4.7.28 Our system has detected an unusual rate of mail"
PAUSED = rb"451 4\.7\.1 Sending of pool acme to big is paused until \d\d:\d\d:\d\d UTC, try again in (\d+) seconds?$"
USAGE, UNAVAILABLE = 64, 69
SECONDS = 10 if SLOW else 2     # in which all nodes obey


def word(text):
    return urllib.parse.quote(text.encode(), safe="/:;,+=()[]<>@\"")


def lock_words(pool="acme", isp="big", rule="-", lasts=3600.0, since=None, rate=None, why=""):
    since = int((since or time.time()) * 1e6)
    kind = "slowed %d %d %d" % rate if rate else "paused"
    return "lock %s %s %s %d %d %s %s" % (pool, isp, rule, since, since + int(lasts * 1e6), kind, word(why))


class Drive:
    """lockdrive on a configuration."""

    def __init__(self, config):
        self.process = subprocess.Popen([DRIVE, str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self._reader.start()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if answer[-1:] != ["."]:
            raise AssertionError("lockdrive died: " + "".join(self.lines[-20:]))
        return [int(number) for number in answer[:-1]]

    def events(self, count, kind="deferred", source="log", pool="acme", isp="big", category="other", age=0, reply=REPLY):
        """Which of so many events have set a lock, from 1 on."""
        return self.tell("event %d %s %s %s %s %s %d %s" % (count, kind, source, pool, isp, category, age, word(reply)))

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait(20)
        self._reader.join(5)
        self.process.stderr.close()
        log = "".join(self.lines)
        assert status == 0 and "Sanitizer" not in log, log
        return log


class LocksTest(redis_common.RedisTest):
    def locked(self, pools=(ACME, BETA), **settings):
        # The group events: without it there is nobody who would set locks, says the loader.
        return self.serve(list(pools), **{"isps": ISPS, "events": {}, **settings})

    def drive(self, server):
        drive = Drive(server.config)
        self.addCleanup(drive.stop)
        return drive

    def poolctl(self, server, *arguments, status=0):
        result = daemon.poolctl("locks", *arguments, "-c", server.config)
        self.assertEqual(result.returncode, status, (result.stdout, result.stderr))
        return result.stdout.decode(), result.stderr.decode()

    def set(self, server, pool="acme", isp="big", lasts="1h", *more):
        return self.poolctl(server, "set", pool, isp, "--for", lasts, *more)[0]

    def release(self, server, pool="acme", isp="big", **options):
        return self.poolctl(server, "release", pool, isp, **options)

    def list(self, server, **options):
        found = json.loads(self.poolctl(server, "--json", **options)[0])
        return found

    def locks(self, server):
        """{"POOL/ISP": rule}"""
        return {"%s/%s" % (lock["pool"], lock["isp"]): lock["rule"] for lock in self.list(server)["locks"]}

    def status(self, server, recipient="a@big.example", sender=b"a@example.com", session=None, pool=None):
        session = session or self.session(server)
        return self.send(session, recipient, sender=sender).status

    def assert_paused(self, server, session=None, rule="-"):
        """Refused at RCPT: acme to big; nothing else is."""
        session = session or self.session(server)
        result = self.send(session, "a@big.example")
        self.assertEqual(list(result.refused), [b"a@big.example"], result.status)
        self.assertRegex(result.refused[b"a@big.example"], PAUSED)
        server.wait_log(r": limit: rcpt=<a@big\.example> limit=over:lock/acme/big/%s wait_ms=\d+ result=deferred$"
                        % re.escape(rule))
        self.assert_open(server, session, big=False)

    def assert_open(self, server, session=None, big=True):
        session = session or self.session(server)
        for sender, recipient in ((b"a@example.com", "a@all.example"), (b"a@example.com", "a@example.net"),
                                  (b"a@beta.example", "a@big.example")) + (((b"a@example.com", "a@big.example"),) if big else ()):
            result = self.send(session, recipient, sender=sender)
            self.assertEqual((result.status, result.refused), ("accepted", {}), (sender, recipient, result.reply))

    def await_paused(self, server, paused=True, seconds=SECONDS):
        """It is refused, or taken again, within so many seconds: how long that took."""
        session, began = self.session(server), time.monotonic()
        same = lambda: bool(self.send(session, "a@big.example").refused) == paused
        self.assertTrue(daemon.wait_for(same, seconds, 0.05), (paused, server.log[-2000:]))
        return time.monotonic() - began


class Obeyed(LocksTest):
    """What a lock means for mail; in the memory of one daemon."""

    def test_exactly_one_pool_and_isp(self):
        server = self.locked()
        self.assert_open(server)
        self.assertRegex(self.set(server), r"^poolmilter on this node: acme to big is paused until \d{4}-\d\d-\d\dT[\d:]+Z$")
        server.wait_log(r" lock: set: pool=acme isp=big rule=- paused until=\d{4}-\d\d-\d\dT[\d:]+Z$")
        self.assert_paused(server)
        self.assertEqual(self.release(server)[0], "released: acme to big\n")
        server.wait_log(r" lock: released: pool=acme isp=big rule=- ")
        self.assert_open(server)

    def test_freed_in_time(self):
        server = self.locked()
        began = time.monotonic()
        self.set(server, "acme", "big", "3s")
        self.assert_paused(server)
        self.await_paused(server, False, 10)
        self.assertGreater(time.monotonic() - began, 2.9)
        if not SLOW:
            self.assertLess(time.monotonic() - began, 4)
        server.wait_log(r" lock: ended: pool=acme isp=big rule=- ")
        self.assertEqual(self.locks(server), {})

    def test_at_the_end_of_the_message(self):
        """The pool is known by From: only, so the client has got past RCPT."""
        server = self.locked()
        self.set(server)
        session = self.session(server)
        result = common.send(session, data=common.message(b"a@example.com"), sender=b"x@elsewhere.example",
                             recipients=[b"a@all.example", b"a@big.example"])
        self.assertEqual((result.status, result.stage, result.edits), ("deferred", "eom", []))
        wait = int(re.match(PAUSED, result.reply)[1])
        line = server.message_line(result.queue_id)
        self.assertEqual((line["limit"], line["reason"], line["dkim"]), ("over:lock/acme/big/-", "limit", "-"))
        self.assertEqual(-(-int(line["wait_ms"]) // 1000), wait)
        self.assertGreater(wait, 3500)

    def test_several_recipients_at_rcpt(self):
        server = self.locked()
        self.set(server)
        result = self.send(self.session(server), "a@big.example", "b@all.example", "c@big.example")
        self.assertEqual((result.status, result.recipients), ("accepted", [b"b@all.example"]))
        self.assertEqual(sorted(result.refused), [b"a@big.example", b"c@big.example"])

    def test_the_longest_of_several(self):
        server = self.locked()
        self.set(server, "acme", "big", "10m")
        self.set(server, "acme", "ALL", "20m")
        result = common.send(self.session(server), data=common.message(b"a@example.com"), sender=b"x@elsewhere.example",
                             recipients=[b"a@big.example", b"a@all.example", b"b@big.example"])
        self.assertIn(b"Sending of pool acme to All is paused until ", result.reply)

    def test_hold_and_local(self):
        for pool, options in ((daemon.pool(on_limit="hold"), {}),
                              (ACME, {"login": None, "hostname": b"localhost", "family": "U"})):
            with self.subTest(options=options):
                server = self.locked([pool, BETA])
                self.set(server)
                result = self.send(self.session(server, **options), "a@big.example")
                self.assert_signed(result, pool)
                self.assertRegex(result.quarantine, rb"^poolmilter: sending of pool acme to big is paused until [\d:]{8} UTC$")
                line = server.message_line(result.queue_id)
                self.assertEqual((line["result"], line["limit"]), ("held", "over:lock/acme/big/-"))

    def test_warn(self):
        server = self.locked([daemon.pool(on_limit="warn")])
        self.set(server)
        result = self.send(self.session(server), "a@big.example")
        self.assert_signed(result, ACME)
        self.assertEqual(server.message_line(result.queue_id)["limit"], "over:lock/acme/big/-")

    def test_paused_mail_is_not_charged(self):
        server = self.locked([daemon.pool(limits=["2/hour"])])
        self.set(server)
        session = self.session(server)
        for _ in range(4):
            common.send(session, data=common.message(b"a@example.com"), sender=b"x@elsewhere.example",
                        recipients=[b"a@big.example"])
        self.assertEqual([self.status(server, "a@all.example", session=session) for _ in range(3)],
                         ["accepted", "accepted", "deferred"])

    def test_statistics(self):
        server = self.locked()
        self.set(server)
        self.assertEqual(self.send(self.session(server), "a@big.example").refused.keys(), {b"a@big.example"})
        result = daemon.poolctl("stats", "--json", "-c", server.config)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b'"deferred_recipients": 1', result.stdout)
        self.assertEqual(daemon.poolctl("limits", "-c", server.config).returncode, 0)

    def test_many_locks(self):
        """A thousand others; and what is not locked goes on."""
        server = self.locked()
        state = server.directory / "state" / "locks.state"
        self.assertEqual(server.stop(), 0)
        text = "poolmilter-locks 1\n" + "".join(lock_words("p%d" % n, "i%d" % n) + "\n" for n in range(1000)) \
            + lock_words() + "\n"
        state.write_text(text + "sha256 %s\n" % hashlib.sha256(text.encode()).hexdigest())
        server.start()
        self.assertEqual(len(self.locks(server)), 1001)
        self.assert_paused(server)


class Slowed(LocksTest):
    def over(self, server, session, recipients=("a@big.example",)):
        return server.message_line(self.send(session, *recipients).queue_id)["limit"]

    def test_rate(self):
        server = self.locked()
        self.assertRegex(self.set(server, "acme", "big", "1h", "--rate", "2/hour"), "acme to big is slowed until ")
        session = self.session(server)
        self.assertEqual([self.over(server, session) for _ in range(3)], ["ok", "ok", "over:pi/acme/big/2/hour"])
        self.assert_open(server, session, big=False)
        self.release(server)
        self.assertEqual(self.over(server, session), "-")

    def test_climbs(self):
        server = self.locked()
        self.set(server, "acme", "big", "1h", "--rate", "2/hour", "--step", "3s")
        session = self.session(server)
        self.assertEqual([self.over(server, session) for _ in range(3)], ["ok", "ok", "over:pi/acme/big/2/hour"])
        self.assertTrue(daemon.wait_for(lambda: self.over(server, session) == "ok", 10, 0.1))
        self.assertIn(self.list(server)["locks"][0]["rate"], ("4/hour", "8/hour"))

    def test_steps_tell_how_long(self):
        server = self.locked()
        self.poolctl(server, "set", "acme", "big", "--rate", "1/second", "--step", "10m", "--steps", "5")
        self.assertIn(self.list(server)["locks"][0]["left"], range(2900, 3001))

    def test_more_recipients_than_the_rate_are_not_refused_for_ever(self):
        server = self.locked()
        self.set(server, "acme", "big", "1h", "--rate", "2/hour")
        session = self.session(server)
        many = ["%d@big.example" % n for n in range(9)]
        self.assertEqual(self.over(server, session, many), "ok")
        result = self.send(session, *many)
        self.assertRegex(result.reply, rb"^451 4\.7\.1 Sending limit 2/hour of pool acme to big is reached, try again")

    def test_the_same_limit_is_not_charged_twice(self):
        server = self.locked()
        self.set(server, "acme", "one", "1h", "--rate", "4/hour")
        session = self.session(server)
        self.assertEqual([self.over(server, session, ["a@one.example"]) for _ in range(5)],
                         4 * ["ok"] + ["over:pi/acme/one/4/hour"])

    def test_with_redis_down(self):
        """This node's share of a rate may be less than a message: later, never 5xx."""
        store = self.redis()
        server = self.locked(redis=redis_common.settings(store, nodes=4))
        self.set(server, "acme", "big", "1h", "--rate", "4/hour")
        session = self.session(server)
        self.assertTrue(daemon.wait_for(lambda: self.over(server, session) != "-", 5 * SECONDS))
        store.kill()
        self.assertTrue(daemon.wait_for(lambda: self.over(server, session).startswith("local"), 10))
        result = self.send(session, *["%d@big.example" % n for n in range(3)])
        self.assertRegex(result.reply, rb"^451 4\.7\.1 Sending limit 4/hour of pool acme to big is reached")


class Life(LocksTest):
    """The state file, reloads, two nodes without Redis."""

    def test_restart(self):
        for how in ("stopped", "killed"):
            with self.subTest(how):
                server = self.locked()
                self.set(server, "acme", "big", "1h", "--why", "421 \"no\" %\r\n\x01 äö")
                self.set(server, "acme", "All", "1s")
                if how == "stopped":
                    self.assertEqual(server.stop(), 0)
                else:
                    server.kill()
                self.assertEqual((server.directory / "state" / "locks.state").stat().st_mode & 0o777, 0o600)
                time.sleep(1)
                server.start()
                self.assert_paused(server)
                lock, = self.list(server)["locks"]
                self.assertEqual((lock["isp"], lock["why"]), ("big", "421 \"no\" %\r\n\x01 äö"))
                self.release(server)
                self.assertEqual(server.stop(), 0)
                server.start()
                self.assert_open(server)

    def test_damaged_file(self):
        server = self.locked()
        self.set(server)
        self.assertEqual(server.stop(), 0)
        state = server.directory / "state" / "locks.state"
        whole = state.read_bytes()
        for name, damaged in (("cut", whole[:-9]), ("changed", whole.replace(b"big", b"bag")), ("octets", os.urandom(3000))):
            with self.subTest(name):
                state.write_bytes(damaged)
                since = server.mark()
                server.start()
                server.wait_log(r"warning: locks: \S+/locks\.state: .+$", since=since)
                self.assert_open(server)
                self.assertEqual(server.stop(), 0)

    def test_reload(self):
        """Locks stay over a reload, also one that takes the pool's rules away."""
        server = self.locked()
        self.set(server)
        server.write_config([ACME, BETA], isps=({"name": "big", "domains": ["big.example"]},))
        server.reload()
        self.assert_paused(server)

    def test_two_nodes_of_their_own(self):
        one, two = self.locked(), self.locked()
        self.set(one)
        self.assert_paused(one)
        self.assert_open(two)
        self.assertEqual(self.locks(two), {})

    def test_from_memory_to_redis_and_back(self):
        store = self.redis()
        server = self.locked()
        self.set(server)
        server.write_config([ACME, BETA], redis=redis_common.settings(store))
        server.reload()
        self.assert_open(server)        # Redis has the word now
        self.set(server)
        self.await_paused(server)
        server.write_config([ACME, BETA])
        server.reload()
        self.assert_paused(server)
        self.release(server)
        self.assert_open(server)


class Control(LocksTest):
    """The requests of the control socket and the command line."""

    def ask(self, server, question):
        return subprocess.run(["/usr/bin/python3", "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX); "
                               "s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\\n'); "
                               "sys.stdout.write(b''.join(iter(lambda: s.recv(4096), b'')).decode())",
                               str(server.directory / "state" / "control.sock"), question],
                              capture_output=True, text=True, check=True).stdout.splitlines()

    def test_requests(self):
        server = self.locked()
        words = lock_words(rule="r", why="a b%")
        self.assertEqual(self.ask(server, "locks"), [". ok"])
        self.assertEqual(self.ask(server, words), [". ok 1"])
        self.assertEqual(self.ask(server, words), [". ok 0"])
        self.assertEqual(self.ask(server, "locks"), [words, ". ok"])
        self.assertEqual(self.ask(server, "release acme big"), [". ok 1"])
        self.assertEqual(self.ask(server, "release acme big"), [". ok 0"])
        for wrong in ("lock", "lock acme big", words + " x", words.replace("acme", "ac%20me"), words.replace("paused", "x")):
            self.assertEqual(self.ask(server, wrong), [". error no such lock can be"], wrong)
        for wrong in ("locks x", "release", "release acme", "release acme big x", "lockss"):
            self.assertEqual(self.ask(server, wrong), [". error no such request"], wrong)
        self.assertEqual(self.ask(server, lock_words(lasts=1, since=1)), [". error it has ended"])

    def test_which_one_stays(self):
        server = self.locked()
        for rule, more, answer in (("a", {"rate": (2, 60, 0), "lasts": 3600}, 1),   # slow
                                   ("b", {"lasts": 60}, 1),                         # a pause is more
                                   ("a", {"rate": (2, 60, 0), "lasts": 9999}, 0),
                                   ("c", {"lasts": 50}, 0),                         # ends before
                                   ("c", {"lasts": 100}, 1),
                                   ("c", {"lasts": 200}, 0),                        # the same rule
                                   ("-", {"lasts": 10}, 1),                         # by hand
                                   ("d", {"lasts": 9999}, 0)):
            self.assertEqual(self.ask(server, lock_words(rule=rule, **more)), [". ok %d" % answer], (rule, more))

    def test_list(self):
        server = self.locked()
        self.assertEqual(self.poolctl(server)[0], "poolmilter on this node: locks: 0\n")
        self.assertEqual(self.list(server), {"where": "poolmilter on this node", "problem": None, "locks": []})
        self.set(server, "acme", "big", "15m", "--why", "421 \x1b[31mred\nline")
        self.set(server, "beta", "ALL", "1h", "--rate", "1/second", "--step", "10m")
        one, two = self.list(server)["locks"]
        self.assertEqual((one["pool"], one["isp"], one["rule"], one["paused"], one["rate"], one["why"]),
                         ("acme", "big", "-", True, None, "421 \x1b[31mred\nline"))
        self.assertEqual((two["pool"], two["isp"], two["paused"], two["rate"], two["why"]),
                         ("beta", "All", False, "1/second", None))
        self.assertIn(one["left"], range(800, 901))
        out = self.poolctl(server)[0].splitlines()
        self.assertEqual(out[0], "poolmilter on this node: locks: 2")
        self.assertRegex(out[1], "^POOL +ISP +RULE +NOW +SINCE +UNTIL +LEFT +WHY$")
        self.assertRegex(out[2], r"^acme +big +- +paused +\S+Z +\S+Z +1[45]m \d+s +421 \?\[31mred\?line$")
        self.assertRegex(out[3], r"^beta +All +- +1/second +\S+Z +\S+Z +(59m \d+s|1h 0m) +-$")
        self.assertEqual(len(out), 4)

    def test_names_and_usage(self):
        server = self.locked()
        hour = ("--for", "1h")
        for arguments, status, said in (
                (("set", "acne", "big", *hour), UNAVAILABLE, 'no pool "acne"'),
                (("set", "acme", "bag", *hour), UNAVAILABLE, 'no record "bag"'),
                (("release", "acme", "big"), 1, "pool acme has no lock to big"),
                (("set", "acme", "big"), USAGE, "for how long"),
                (("set", "acme", "big", "--for", "never"), USAGE, "no time such as"),
                (("set", "acme", "big", "--for", "400d"), USAGE, "no time such as"),
                (("set", "acme", "big", "--rate", "fast"), USAGE, "no rate such as"),
                (("set", "acme", "big", "--rate", "1/second", "--step", "31d", "--steps", "2"), USAGE, "at most 31 days"),
                (("set", "acme", "big", "--rate", "1/second", "--steps", "2"), USAGE, "goes with --step"),
                (("set", "acme", "big", *hour, "--step", "10m"), USAGE, "go with --rate"),
                (("set", "acme", *hour), USAGE, "expected a pool and an ISP record"),
                (("release", "acme"), USAGE, "expected a pool and an ISP record, or --all"),
                (("release", "--all", "acme", "big"), USAGE, "expected a pool"),
                (("release", "acme", "big", *hour), USAGE, "go with set"),
                (("--all",), USAGE, "--all releases"),
                (("halt",), USAGE, 'unexpected argument "halt"')):
            with self.subTest(arguments=arguments):
                self.assertIn(said, self.poolctl(server, *arguments, status=status)[1])
        self.assertEqual(self.locks(server), {})
        self.assertEqual(self.poolctl(server, "release", "--all")[0], "there are no locks\n")
        self.set(server)
        self.set(server, "beta", "All")
        self.assertEqual(self.poolctl(server, "release", "--all")[0], "released: acme to big\nreleased: beta to All\n")
        self.assertEqual(self.locks(server), {})

    def test_no_daemon(self):
        server = self.locked()
        self.assertEqual(server.stop(), 0)
        for arguments in ((), ("release", "acme", "big"), ("set", "acme", "big", "--for", "1h")):
            self.assertIn("poolmilter is not running on this node", self.poolctl(server, *arguments, status=UNAVAILABLE)[1])


class Nodes(LocksTest):
    """With Redis: all nodes obey."""

    def nodes(self, store, count, **group):
        servers = [self.locked(redis=redis_common.settings(store, **group)) for _ in range(count)]
        for server in servers:
            self.await_up(server)
        return servers

    def test_four_nodes_within_two_seconds(self):
        servers = self.nodes(self.redis(), 4)
        for server in servers:
            self.assert_open(server)
        began = time.monotonic()
        self.assertRegex(self.set(servers[0]), r"^Redis at 127\.0\.0\.1:\d+: acme to big is paused until ")
        for server in servers:
            self.await_paused(server, True, SECONDS)
        paused = time.monotonic() - began
        for server in servers:
            self.assert_paused(server)
            self.assertEqual(self.locks(server), {"acme/big": "-"})
        began = time.monotonic()
        self.release(servers[3])
        for server in servers:
            self.await_paused(server, False, SECONDS)
        freed = time.monotonic() - began
        print("# 4 nodes: paused after %.2f s, freed after %.2f s" % (paused, freed))
        for server in servers:
            self.assert_open(server)
            self.assertEqual(len(re.findall(" lock: set: pool=acme isp=big ", server.log)), 1)
            self.assertEqual(len(re.findall(" lock: released: pool=acme isp=big ", server.log)), 1)
        if not SLOW:
            self.assertLess(max(paused, freed), 2.5)

    def test_at_the_start(self):
        """Who starts obeys from the first message on."""
        store = self.redis()
        first, = self.nodes(store, 1)
        self.set(first)
        self.assert_paused(self.nodes(store, 1)[0])

    def test_ends_everywhere_and_leaves_nothing_behind(self):
        store = self.redis()
        one, two = self.nodes(store, 2)
        self.set(one, "acme", "All", "2s")
        self.set(one, "acme", "big", "1h")
        self.assertGreater(store.command("PTTL", "{poolmilter}:k"), 3600 * 1000)
        for server in (one, two):
            server.wait_log(" lock: ended: pool=acme isp=All ", 10)
        self.set(one, "beta", "big")    # a change: who reads sees the ended one
        self.assertTrue(daemon.wait_for(lambda: set(store.command("HKEYS", "{poolmilter}:k")) ==
                                        {"", "acme/big", "beta/big"}, 5 * SECONDS))

    def test_redis_goes_and_comes(self):
        """Known locks stay while it is away; a lock set meanwhile is obeyed here at once, and by all later."""
        store = self.redis()
        one, two = self.nodes(store, 2, **redis_common.QUICK)
        self.set(one)
        self.await_paused(two)
        store.kill()
        for server in (one, two):
            self.assert_paused(server)
        out, said = self.poolctl(one, "set", "acme", "All", "--for", "1h")
        self.assertIn("poolmilter on this node: acme to All is paused", out)
        self.assertIn("this node is told, and tells Redis later", said)
        self.assertEqual(self.send(self.session(one), "a@all.example").refused.keys(), {b"a@all.example"})
        self.assertEqual(self.send(self.session(two), "a@all.example").refused, {})
        found = self.list(one, status=UNAVAILABLE)
        self.assertEqual({lock["isp"] for lock in found["locks"]}, {"big", "All"})
        self.assertIn("does not answer", found["problem"])
        self.assertIn("does not answer", self.release(one, status=UNAVAILABLE)[1])
        store.start()       # empty: it has lost the first one
        for server in (one, two):
            session = self.session(server)
            self.assertTrue(daemon.wait_for(lambda: self.send(session, "a@all.example").refused and
                                            not self.send(session, "a@big.example").refused, 10 * SECONDS, 0.1),
                            server.log[-2000:])
        self.assertEqual(self.locks(two), {"acme/All": "-"})

    def test_restart_while_redis_is_away(self):
        store = self.redis()
        server, = self.nodes(store, 1)
        self.set(server)
        self.await_paused(server)
        store.kill()
        self.assertEqual(server.stop(), 0)
        server.start()
        self.assert_paused(server)

    def test_hostile_hash(self):
        """What is no lock is ignored, with one line; the others are obeyed."""
        store = self.redis()
        key = "{poolmilter}:k"
        good = lock_words(rule="r")
        for field, value in (("acme/big", good), ("acme/All", lock_words("acme", "one")),
                             ("beta/big", lock_words("beta", "big", "r%0a")), ("beta/All", "x" * 100000),
                             ("y" * 5000, "x"), ("a\r\nb", b"\x00\xff"), ("beta/one", lock_words("beta", "one", lasts=-9)),
                             ("acme/one", lock_words("acme", "one", lasts=1e12)), ("", "1.1")):
            store.command("HSET", key, field, value)
        server, = self.nodes(store, 1)
        server.wait_log(r"redis: \d fields among the locks are no locks: ignored$")
        self.assert_paused(server, rule="r")
        self.assertEqual(self.locks(server), {"acme/big": "r"})
        self.assertNotIn("xxxxxxxxxx", server.log)
        time.sleep(2.2)
        self.assertEqual(server.log.count("fields among the locks"), 1)

    def test_not_ours(self):
        """Somebody else's type at the key: locks are not known, limits and mail go on."""
        store = self.redis()
        store.command("SET", "{poolmilter}:k", "mine")
        server, = self.nodes(store, 1)
        self.assert_open(server)
        server.wait_log("redis: .*WRONGTYPE")
        self.assertNotIn("redis: down", server.log)
        self.assertIn("WRONGTYPE", self.poolctl(server, status=UNAVAILABLE)[1])
        store.command("DEL", "{poolmilter}:k")
        self.set(server)
        self.await_paused(server)

    def test_thousands(self):
        """5,000 locks are read in steps, and only when they have changed."""
        store = self.redis()
        server, = self.nodes(store, 1)
        with store.client() as client:
            for number in range(5000):
                client.command("HSET", "{poolmilter}:k", "p%d/i" % number, lock_words("p%d" % number, "i", "r", why="x" * 150))
            client.command("HSET", "{poolmilter}:k", "", "1.1")
        server.wait_log("lock: 4800 more were set or freed", 20)
        self.set(server)
        self.await_paused(server, True, 5 * SECONDS)
        with redis.Monitor(store) as monitor:
            time.sleep(3)
        scans = sum(b'"HSCAN"' in line for line in monitor.lines)
        self.assertEqual(scans, 0)
        self.assertGreater(sum(b"lua" in line for line in monitor.lines), 0)


class Rules(LocksTest):
    """The replies that set locks."""

    def test_exactly_the_tenth(self):
        for name, store in (("memory", None), ("redis", self.redis())):
            with self.subTest(name):
                server = self.locked(**({"redis": redis_common.settings(store)} if store else {}))
                drive = self.drive(server)
                if store:
                    self.await_counting(drive, store)
                self.assertEqual(drive.events(9), [])
                self.assertEqual(self.locks(server), {})
                self.assertEqual(drive.events(1), [1])
                self.assertEqual(self.locks(server), {"acme/big": "throttled"})
                self.await_paused(server)
                self.assert_paused(server, rule="throttled")
                self.assertEqual(drive.events(50), [])      # while it is in force they do not count
                lock, = self.list(server)["locks"]
                self.assertEqual(lock["why"], REPLY)
                log = drive.lines[-1]
                self.assertRegex(log, r'lock: pool=acme isp=big rule=throttled paused until=\S+ \(10 replies in 300 s, '
                                      r'last: "421 4\.7\.28 Our system .*"\)')
                self.release(server)
                self.await_paused(server, False)
                time.sleep(1.1)                             # it looks once a second
                self.assertEqual(drive.events(25), [10])    # anew, from the beginning

    def await_counting(self, drive, store):
        """Until it counts in Redis, with events of another rule and pool."""
        self.assertTrue(daemon.wait_for(lambda: drive.events(1, pool="beta", category="rate", reply="x") is not None and
                                        any("lock/beta/big/rate" in key for key in store.command("KEYS", "*")), 10))

    def test_no_others(self):
        server = self.locked()
        drive = self.drive(server)
        for other in ({"pool": "beta", "count": 9}, {"isp": "All"}, {"isp": "one"}, {"isp": ""}, {"pool": ""}, {"isp": "none"},
                      {"pool": "none"}, {"reply": "421 4.7.0 other"}, {"reply": ""}, {"kind": "delivered"},
                      {"kind": "expired"}, {"kind": "held"}, {"kind": "complaint"}, {"kind": "accepted"},
                      {"source": "report", "kind": "bounced"}, {"source": "text", "kind": "bounced"}, {"age": 301},
                      {"category": "policy", "reply": "x"}, {"category": "temporary", "reply": "blacklisted"}):
            count = other.pop("count", 50)
            self.assertEqual(drive.events(count, **other), [], other)
        self.assertEqual(self.locks(server), {})
        self.assertEqual(drive.events(4, age=250), [])
        self.assertEqual(drive.events(4, kind="bounced"), [])
        self.assertEqual(drive.events(2), [2])
        self.assertEqual(drive.events(1, pool="beta"), [1])     # it had 9
        self.assertEqual(self.locks(server), {"acme/big": "throttled", "beta/big": "throttled"})

    def test_category_and_rate(self):
        server = self.locked()
        drive = self.drive(server)
        self.assertEqual(drive.events(6, category="rate", reply="451 slow down"), [4])
        lock, = self.list(server)["locks"]
        self.assertEqual((lock["rule"], lock["paused"], lock["rate"]), ("rate", False, "2/hour"))
        self.assertIn(lock["left"], range(2900, 3001))
        self.assertEqual(drive.events(12), [10])                # a pause is more
        self.assertEqual(self.locks(server), {"acme/big": "throttled"})
        self.assertEqual(drive.events(9, category="rate", reply="451 slow down"), [])

    def test_both_category_and_pattern_and_the_first_reply(self):
        server = self.locked()
        drive = self.drive(server)
        self.assertEqual(drive.events(3, category="policy", reply="550 LISTED here"), [1])
        self.assertEqual(self.locks(server), {"acme/big": "once"})
        self.await_paused(server, False, 10)
        self.assertTrue(daemon.wait_for(lambda: drive.events(1, category="policy", reply="550 listed") == [1], 5))

    def test_two_processes_and_four_nodes(self):
        """The replies of two nodes add up; the lock reaches all; one of them sets it."""
        store = self.redis()
        servers = [self.locked(redis=redis_common.settings(store)) for _ in range(4)]
        drives = [self.drive(server) for server in servers[:2]]
        for drive in drives:
            self.await_counting(drive, store)
        store.command("DEL", *[key for key in store.command("KEYS", "*") if "lock/beta" in key])
        self.assertEqual([drives[0].events(4), drives[1].events(5)], [[], []])
        self.assertEqual([drives[0].events(1), drives[1].events(1)], [[1], []])
        for server in servers:
            self.await_paused(server)
            self.assert_paused(server, rule="throttled")

    def test_at_the_same_time(self):
        """Each of 20 replies comes to two nodes at a time: one lock, and it is not prolonged."""
        store = self.redis()
        server = self.locked(redis=redis_common.settings(store))
        drives = [self.drive(server) for _ in range(2)]
        for drive in drives:
            self.await_counting(drive, store)
        found = [None, None]

        def run(at):
            found[at] = drives[at].events(20)

        threads = [threading.Thread(target=run, args=(at,)) for at in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found[0] + found[1]), 1, found)

    def test_redis_down(self):
        """Each process counts for itself, the daemon of the node obeys, and Redis learns of it later."""
        store = self.redis()
        server = self.locked(redis=redis_common.settings(store, **redis_common.QUICK))
        drive = self.drive(server)
        self.await_counting(drive, store)
        store.kill()
        self.assertEqual(drive.events(12), [10])
        self.assert_paused(server, rule="throttled")
        store.start()
        self.assertTrue(daemon.wait_for(lambda: "acme/big" in store.command("HKEYS", "{poolmilter}:k"), 10))
        self.assert_paused(server, rule="throttled")

    def test_nobody_takes_it(self):
        """Without a daemon the lock is tried again with each reply, and set when there is one."""
        server = self.locked()
        drive = self.drive(server)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(drive.events(30), [])
        self.assertEqual(sum("cannot be set: poolmilter is not running" in line for line in drive.lines), 1)
        server.start()
        self.assertEqual(drive.events(1), [1])
        self.assert_paused(server, rule="throttled")


class EndToEnd(LocksTest):
    """From lines of two nodes' logs, through their poolevents and Redis, to four milter daemons."""

    PAUSE = 20 if SLOW else 6
    ISPS = ({"name": "big", "domains": ["big.example"], "locks": (
        {"name": "throttled", "pattern": r"\b4\.7\.28\b", "threshold": "10/5m", "pause": "%ds" % PAUSE},)},)
    SAID = "host mx.big.example[192.0.2.1] said: %s (in reply to end of DATA command)"

    def serve_events(self, store):
        path = daemon.new_directory("log") / "mail.log"
        log = events.MailLog(path)
        self.addCleanup(log.file.close)
        server = events.Events([ACME, BETA], log=path, start=False, options=["--from-start"], isps=self.ISPS,
                               redis=redis_common.settings(store))
        self.addCleanup(self.end, server)
        server.start()
        self.await_up(server)
        return log

    def burst(self, log, number, count, recipient="a@big.example", reply=REPLY, **more):
        """A message that is deferred so often."""
        queue_id = "4cQ%07dz1h" % number
        log.add(*events.begin_lines(queue_id, recipient, **{"isp": "big", **more}))
        for _ in range(count):
            log.add(events.delivery_line(queue_id, recipient, "deferred", self.SAID % reply, "4.7.28"))

    def test_a_burst_of_421(self):
        store = self.redis()
        nodes = [self.locked(isps=self.ISPS, redis=redis_common.settings(store)) for _ in range(4)]
        one, two = self.serve_events(store), self.serve_events(store)
        self.burst(one, 1, 30, reply="450 4.2.2 Mailbox full")
        self.burst(one, 2, 9, pool="beta")
        self.burst(one, 3, 30, recipient="a@other.example", isp="default")
        self.burst(one, 4, 5)
        self.burst(two, 5, 4)
        time.sleep(1.5)
        for node in nodes:
            self.assert_open(node)
        began = time.monotonic()
        self.burst(two, 6, 1)
        for node in nodes:
            self.await_paused(node)
        paused = time.monotonic() - began
        for node in nodes:
            self.assert_paused(node, rule="throttled")
        for node in nodes:
            self.await_paused(node, False, 2 * self.PAUSE)
            self.assert_open(node)
        freed = time.monotonic() - began
        print("# paused on 4 nodes after %.2f s, freed after %.2f s of %d" % (paused, freed, self.PAUSE))
        self.assertGreater(freed, self.PAUSE)
        if not SLOW:
            self.assertLess(paused, 2.5)
            self.assertLess(freed, self.PAUSE + 2)


if __name__ == "__main__":
    common.main()
