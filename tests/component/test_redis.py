#!/usr/bin/python3
"""Daemons whose limits are in Redis, when Redis is well, ill, gone, moved or somebody else; rows B and E5 of
FAULTS.md are named.  What the driver alone does is test_limiter_*.py's; whether limits are strict test_windows.py's.
"""
import contextlib
import re
import threading
import time

import common
import daemon
import redis
import redis_common
from limiter_common import used
from redis_common import BUSY, COMMAND, DEFERRED, PASSWORD, QUICK, REACHED, SLOW, settings

MANY = "1000000/hour"
LOCAL = {"login": None, "hostname": b"localhost", "family": "U"}    # a session of local submission
ISPS = ({"name": "big", "domains": ["big.example"], "limits": [MANY], "total_limits": ["4/hour"]},
        {"name": "quick", "domains": ["quick.example"], "total_limits": ["2/2s"]})


class Away(redis_common.RedisTest):
    """B1: Redis is not there, killed, stopped, failed over."""

    def test_B1_not_there_at_start(self):
        store = self.redis()
        for when_down, judge in (("local", self.judge_local), ("accept", self.judge_accept), ("defer", self.judge_defer)):
            with self.subTest(when_down=when_down):
                store.kill()
                server = self.limited(store, "4/hour", when_down=when_down, nodes=2)
                session = self.session(server)
                judge(server, session)
                self.await_changes(server, "d")
                store.start()
                self.await_up(server)
                self.assert_limit(server, self.send(session), "ok")
                self.await_changes(server, "du")

    def judge_local(self, server, session):
        """The node's share, 4 / 2, and no more."""
        for _ in range(2):
            self.assert_limit(server, self.send(session), "local")
        for _ in range(3):
            result = self.send(session)
            self.assert_limit(server, result, "local-over:p/acme/4/hour", "deferred")
            self.assertRegex(result.reply, b"^451 4.7.1 Sending limit 4/hour of pool acme is reached, try again in 3[56]")
        result = self.send(self.session(server, **LOCAL))
        self.assertIn(b"over the limit 4/hour", result.quarantine)

    def judge_accept(self, server, session):
        for _ in range(6):
            result = self.send(session)
            self.assert_limit(server, result, "unknown")
            self.assert_signed(result, daemon.pool())

    def judge_defer(self, server, session):
        for _ in range(3):
            result = self.send(session)
            self.assert_limit(server, result, "unknown", "deferred")
            self.assertEqual((result.reply, result.edits), (DEFERRED, []))
            self.assertEqual(server.message_line(result.queue_id)["reason"], "limits-unknown")
        result = self.send(self.session(server, **LOCAL))
        self.assertEqual((result.status, result.quarantine), ("accepted", b"poolmilter: its limits could not be asked"))
        self.assert_signed(result, daemon.pool())

    def killed(self, when_down, times, *replies):
        """Killed and started again every two seconds, under load: the load, and how many were let through how."""
        store = self.redis()
        server = self.limited(store, MANY, when_down=when_down, nodes=4, **QUICK)
        self.await_up(server)
        with common.Load(server, pause=0.005) as load:
            for _ in range(times):
                time.sleep(1)
                mark = server.mark()
                store.kill()
                time.sleep(1)
                store.start()
                self.await_up(server, mark)
        self.assert_nothing_lost(load, *replies)
        self.assert_quick(server, load, slow=4 * times)
        self.await_changes(server, "u" + "du" * times)
        return load, self.limits(server, load)

    def test_B1_killed_and_restarted_every_2_s_local(self):
        load, words = self.killed("local", 3)
        self.assertEqual(words.keys(), {"ok", "local"})

    def test_B1_killed_and_restarted_every_2_s_accept(self):
        load, words = self.killed("accept", 1)
        self.assertEqual(words.keys(), {"ok", "unknown"})

    def test_B1_killed_and_restarted_every_2_s_defer(self):
        load, words = self.killed("defer", 1, DEFERRED)
        self.assertEqual(words.keys(), {"ok", "unknown"})
        self.assertEqual((words["ok"], words["unknown"]), (len(load.accepted()), len(load.others())))

    def test_B1_stopped_again_after_a_reconnect(self):
        store = self.redis()
        server = self.limited(store, MANY, **QUICK)
        session = self.session(server)
        for _ in range(2):
            mark = server.mark()
            self.assert_limit(server, self.send(session), "ok")
            store.pause()
            times = []
            for _ in range(10):
                result = self.send(session)
                self.assert_limit(server, result, "local")
                times.append(result.answered - result.began)
            if not SLOW:
                self.assertLess(times[0], COMMAND + BUSY)
                self.assertLess(sorted(times[1:])[4], 0.05)     # the breaker is open
            store.resume()
            self.await_up(server, mark)
        self.await_changes(server, "ududu")

    def test_B1_no_message_waits_longer_than_for_one_command(self):
        """Not for connections either: neither at the start nor where there are fewer than messages."""
        store = self.redis()
        store.pause()
        for name in ("at the start", "later"):
            with self.subTest(name):
                server = self.limited(store, MANY, wait=name == "later", connect_timeout_ms=3000, command_timeout_ms=500)
                if name == "later":
                    store.resume()
                    self.await_up(server)
                    store.pause()
                with common.Load(server, threads=8, pause=0.01) as load:
                    time.sleep(1.5)
                self.assert_nothing_lost(load)
                self.assert_quick(server, load, slow=8, command=0.5)
                self.assertEqual(self.limits(server, load).keys(), {"local"})
        store.resume()

    def test_B1_failed_over_by_sentinel(self):
        trio = redis.Replicated(PASSWORD).start()
        self.addCleanup(trio.stop)
        server = self.limited(None, MANY, sentinels=["127.0.0.1:1", trio.sentinel.address], sentinel_master="mymaster",
                              **QUICK)
        self.await_up(server)
        with common.Load(server, pause=0.01) as load:
            time.sleep(0.5)
            mark = server.mark()
            trio.master.kill()
            trio.await_failover()
            self.assertIn(trio.replica.address, self.await_up(server, mark))
            before = used(trio.replica, "p/acme", count="1000000/3600s")
            time.sleep(0.5)
        self.assert_nothing_lost(load)
        self.assert_quick(server, load, slow=4)
        words = self.limits(server, load)
        self.assertEqual(words.keys(), {"ok", "local"})
        self.assertGreater(used(trio.replica, "p/acme", count="1000000/3600s"), before)
        self.await_changes(server, "udu")


class Ill(redis_common.RedisTest):
    """B2 to B5: Redis forgets, refuses, is far away, or somebody else."""

    def test_B2_flushed_under_load(self):
        """Each message is charged once, whatever is forgotten; nobody calls that down."""
        store = self.redis()
        server = self.limited(store, MANY)
        self.await_up(server)
        monitor = redis.Monitor(store)
        with common.Load(server) as load, store.client() as client:
            for number in range(40):
                client.command(*(["FLUSHALL"] if number % 4 == 0 else ["SCRIPT", "FLUSH"]))
                time.sleep(0.05)
        self.assert_nothing_lost(load)
        self.assertEqual(load.others(), [])
        self.assertEqual(self.limits(server, load), {"ok": len(load.results)})
        charged = redis_common.charges(monitor)
        self.assertEqual((len(charged), all(each.allowed for each in charged)), (len(load.results), True))
        self.assertIn("cmdstat_eval:", store.command("INFO", "commandstats"))
        self.await_changes(server, "u")

    FAULTS = {"delayed": redis.delay(3 * COMMAND), "cut": redis.cut(3), "never": redis.drop, "garbled": redis.garble,
              "a byte at a time": redis.trickle(COMMAND / 3), "1 GB bulk": redis.flood(b"$1073741824\r\n" + b"x" * 65000),
              "nested arrays": redis.replace(b"*1\r\n" * 100000), "shifted": redis.replace(b"*5\r\n:2\r\n:0\r\n:0\r\n:0\r\n:0\r\n")}

    def test_B3_B5_a_proxy_that_delays_cuts_garbles(self):
        """Each fault for half a second, under load; nothing is charged twice."""
        store = self.redis()
        proxy = self.proxy(store)
        server = self.limited(proxy, MANY, nodes=4, **QUICK)
        self.await_up(server)
        monitor, times = redis.Monitor(store), 0
        with common.Load(server, pause=0.005) as load:
            for name, fault in self.FAULTS.items():
                with self.subTest(name):
                    mark = server.mark()
                    proxy.fault = fault
                    server.wait_log(" redis: down: ", since=mark)
                    time.sleep(0.5)
                    proxy.fault = None
                    proxy.break_all()
                    self.await_up(server, mark)
                    time.sleep(0.2)
                    times += 1
        self.assertEqual(times, len(self.FAULTS))
        self.assert_nothing_lost(load)
        self.assertEqual(load.others(), [])
        self.assert_quick(server, load, slow=4 * times)
        words = self.limits(server, load)
        print("# %s" % dict(words))
        self.assertEqual(words.keys(), {"ok", "local"})
        # Each ok was charged; and of the others at most those that the fault met: two a session and fault, since
        # a single broken connection is no reason yet to stop asking.
        charged = redis_common.charges(monitor)
        self.assertLessEqual(words["ok"], len(charged))
        self.assertLessEqual(len(charged), words["ok"] + 2 * 4 * times)
        self.assertLess(server.memory_peak(), daemon.memory_limit(60000))
        self.await_changes(server, "u" + "du" * times)

    def test_B3_late_reply(self):
        """The answer to a message that has gone on is never the next one's."""
        store = self.redis()
        proxy = self.proxy(store)
        server = self.limited(proxy, pools=[daemon.pool(limits=[MANY]),
                                            daemon.pool("narrow", "narrow.example", limits=["1/hour"])], **QUICK)
        session = self.session(server)
        self.assert_limit(server, self.send(session, sender=b"a@narrow.example"), "ok")
        mark = server.mark()
        proxy.fault = redis.delay(3 * COMMAND)
        self.assert_limit(server, self.send(session), "local")
        proxy.fault = None
        self.await_up(server, mark)
        self.assert_limit(server, self.send(session, sender=b"a@narrow.example"), "over:p/narrow/1/hour", "deferred")
        self.assertEqual(used(store, "p/acme", count="1000000/3600s"), 1)   # once, and not again

    ERRORS = ("READONLY You can't write against a read only replica.", "LOADING Redis is loading the dataset in memory",
              "BUSY Redis is busy running a script.", "OOM command not allowed when used memory > 'maxmemory'.",
              "MISCONF Redis is configured to save RDB snapshots", "MOVED 1234 no.such.name:7000",
              "NOAUTH Authentication required.", "ERR unknown command 'EVALSHA'")

    def test_B4_errors(self):
        """A daemon for each error: when_down, the text in the log, once; an error is neither 0 nor leave.  The proxy
        only lies: the first message of each is charged.  The next one is not sent there."""
        store = self.redis()
        cases = []
        for number, error in enumerate(self.ERRORS):
            proxy = self.proxy(store)
            when_down = ("local", "accept", "defer")[number % 3]
            server = self.limited(proxy, "4/hour", when_down=when_down, nodes=4, prefix="case%d" % number)
            cases.append((error, when_down, proxy, server, self.session(server)))
        for error, when_down, proxy, server, session in cases:
            with self.subTest(error):
                self.await_up(server)
                proxy.fault = redis.replace(b"-" + error.encode() + b"\r\n")
                status, word = {"local": ("accepted", "local"), "accept": ("accepted", "unknown"),
                                "defer": ("deferred", "unknown")}[when_down]
                self.assert_limit(server, self.send(session), word, status)
                server.wait_log(r" redis: down: 127\.0\.0\.1:\d+: .*" + re.escape(error.partition(" ")[0]))
                if when_down == "local":
                    self.assert_limit(server, self.send(session), "local-over:p/acme/4/hour", "deferred")
                else:
                    self.assert_limit(server, self.send(session), word, status)
                mark = server.mark()
                proxy.fault = None
                self.await_up(server, mark)
                self.assert_limit(server, self.send(session), "ok")
                self.await_changes(server, "udu")

    def test_B4_real_ones(self):
        """Out of memory, a replica, a key of another type; the last is no outage."""
        store = self.redis()
        replica = self.redis("replicaof 127.0.0.1 %d" % store.port, "masterauth " + PASSWORD)
        server, other = self.limited(store, MANY), self.limited(replica, MANY)
        session = self.session(server)
        self.assert_limit(server, self.send(session), "ok")
        store.command("CONFIG", "SET", "maxmemory", "1")
        self.assert_limit(server, self.send(session), "local")
        server.wait_log(" redis: down: .*OOM ")
        mark = server.mark()
        store.command("CONFIG", "SET", "maxmemory", "0")
        self.await_up(server, mark)
        self.assert_limit(server, self.send(session), "ok")
        store.command("DEL", "{poolmilter}:l:1000000/3600s:p/acme")
        store.command("LPUSH", "{poolmilter}:l:1000000/3600s:p/acme", "x")
        self.assert_limit(server, self.send(session), "local")
        server.wait_log("warning|redis: .*WRONGTYPE")
        store.command("DEL", "{poolmilter}:l:1000000/3600s:p/acme")
        self.assert_limit(server, self.send(session), "ok")
        self.await_changes(server, "udu")
        self.assert_limit(other, self.send(self.session(other)), "local")
        other.wait_log(" redis: down: .*(READONLY|LOADING|MASTERDOWN)")

    def test_B6_names(self):
        """Names that the configuration allows make safe keys; others do not get that far."""
        store = self.redis()
        pools = [daemon.pool(name, "%s.example" % label, dkim_selector="s", dkim_key=daemon.key().path, limits=["9/hour"],
                             isp_limits=({"isp": "a_B.c-1", "limits": ["9/day"]},))
                 for name, label in (("a.b_c-1", "one"), ("x" * 64, "two"), ("p", "three"))]
        server = self.serve(pools, isps=({"name": "a_B.c-1", "domains": ["isp.example"], "total_limits": ["9/minute"]},),
                            redis=settings(store, prefix="a_B.c-1"))
        self.await_up(server)
        session = self.session(server)
        for label in ("one", "two", "three"):
            self.assert_limit(server, self.send(session, "x{y}%s\"@isp.example", sender=b"a@%s.example" % label.encode()), "ok")
        with store.client() as client:
            keys = client.command("KEYS", "*")
            self.assertEqual(len(keys), 3 * 2 + 1 + 1)
            for key in keys:
                self.assertRegex(key, r"\A\{a_B\.c-1\}:(probe|l:9/\d+s:(p|pi|i)/[\w./-]+)\Z")
                self.assertGreater(client.command("PTTL", key), 0)
        for name in ("a b", "a\r\nb", "%s", "{x}", "a/b", "x" * 500, ""):
            with self.subTest(name=name):
                server.write_config([daemon.pool(name, dkim_selector="s", dkim_key=daemon.key().path, limits=["9/hour"])])
                mark = server.mark()
                server.reload()
                server.wait_log("pools.*name", since=mark)
                server.write_config(pools, redis=settings(store, prefix=name))
                mark = server.mark()
                server.reload()
                server.wait_log("redis.prefix", since=mark)


class Over(redis_common.RedisTest):
    """E5, and what a message costs in round trips."""

    def test_E5_retry_after_the_window(self):
        """On whichever node; the refused ones were not charged."""
        store = self.redis()
        sessions = [self.session(self.limited(store, "3/2s")) for _ in range(2)]
        with redis.Monitor(store) as monitor:
            for number in range(3):
                self.assertEqual(self.send(sessions[number % 2]).status, "accepted")
            refused = [self.send(sessions[number % 2]) for number in range(10)]
            waits = [int(re.match(rb"451 4\.7\.1 Sending limit 3/2s of pool acme is reached, try again in (\d) seconds?$",
                                  result.reply)[1]) for result in refused]
            self.assertTrue(all(1 <= wait <= 2 for wait in waits), waits)
            time.sleep(waits[-1])
            retry = self.send(sessions[1])
        self.assert_signed(retry, daemon.pool())
        asked = redis_common.charges(monitor)
        self.assertEqual([each.allowed for each in asked], 3 * [True] + 10 * [False] + [True])
        self.assertGreaterEqual(asked[-1].time - asked[0].time, 2)

    def commands(self, store):
        """{command: calls} since the last time, without those of the test."""
        stats = dict(re.findall(r"cmdstat_([^:]+):calls=(\d+)", store.command("INFO", "commandstats")))
        store.command("CONFIG", "RESETSTAT")
        return {name: int(calls) for name, calls in stats.items() if not name.startswith(("config|", "info", "auth"))}

    def test_one_round_trip_a_message(self):
        store = self.redis()
        server = self.serve([daemon.pool(limits=[MANY, "2000000/day"])], isps=ISPS, redis=settings(store))
        self.await_up(server)
        session = self.session(server)
        self.commands(store)
        for _ in range(25):
            self.assert_limit(server, self.send(session, "a@big.example", "b@x.example", "c@big.example")
                              if _ < 2 else self.send(session, "b@x.example", "c@x.example"), "ok")
        found = self.commands(store)
        self.assertEqual({name: calls for name, calls in found.items() if name not in ("get", "set", "time")},
                         {"evalsha": 25})
        # Nothing to charge: nobody is asked.
        self.assertEqual(self.send(self.session(server, login=None)).status, "accepted")
        self.assertEqual(self.commands(store), {})

    def test_at_rcpt_redis_is_asked_only_after_a_message_was_over(self):
        store = self.redis()
        server = self.serve([daemon.pool()], isps=ISPS, redis=settings(store))
        self.await_up(server)
        session = self.session(server)
        self.assert_limit(server, self.send(session, *["%d@big.example" % n for n in range(4)]), "ok")
        self.commands(store)
        result = self.send(session, "a@big.example", "b@big.example")   # it is reached, but this node does not know
        self.assert_limit(server, result, "over:i/big/4/hour", "deferred")
        self.assertEqual((result.stage, result.refused, self.commands(store)["evalsha"]), ("eom", {}, 1))
        result = self.send(session, "a@big.example", "x@example.net", "b@big.example")
        self.assertEqual((result.status, result.recipients), ("accepted", [b"x@example.net"]))
        for reply in result.refused.values():
            self.assertRegex(reply, rb"^451 4\.7\.1 Sending limit 4/hour to big is reached, try again in \d+ seconds$")
        self.assertEqual((len(result.refused), self.commands(store)["evalsha"]), (2, 2))
        self.assertEqual(self.send(session, "x@example.net").status, "accepted")
        self.assertEqual(self.commands(store), {})
        # It frees elsewhere: a look says so, and it is charged as ever.
        store.command("DEL", "{poolmilter}:l:4/3600s:i/big")
        self.commands(store)
        self.assert_limit(server, self.send(session, "a@big.example"), "ok")
        self.assertEqual(self.commands(store)["evalsha"], 2)
        # Redis away: nobody is refused early.
        store.kill()
        result = self.send(session, "a@big.example")
        self.assert_limit(server, result, "local-over:i/big/4/hour", "deferred")
        self.assertEqual(result.stage, "eom")

    def test_at_rcpt_no_longer_than_the_wait(self):
        store = self.redis()
        server = self.serve([daemon.pool()], isps=ISPS, redis=settings(store))
        self.await_up(server)
        session = self.session(server)
        self.assertEqual(self.send(session, "a@quick.example", "b@quick.example").status, "accepted")
        self.assertEqual(self.send(session, "a@quick.example").stage, "eom")
        self.assertEqual(self.send(session, "a@quick.example").stage, "rcpt")
        time.sleep(2.1)
        self.commands(store)
        self.assert_limit(server, self.send(session, "a@quick.example"), "ok")
        self.assertEqual(self.commands(store)["evalsha"], 1)

    def test_a_window_does_not_grow_with_its_length(self):
        """8 octets and 12 for each of at most 100 buckets, for a second as for a day, full to the brim."""
        store = self.redis()
        server = self.limited(store, pools=[daemon.pool("second", "second.example", limits=["3000/second"]),
                                            daemon.pool("day", "day.example", limits=["3000/day"])])
        self.await_up(server)
        recipients = [b"%d@example.net" % number for number in range(31)]   # two of these are more than a bucket takes
        sizes = {}
        for pool, seconds in (("second", 1), ("day", 86400)):
            key = "{poolmilter}:l:3000/%ds:p/%s" % (seconds, pool)
            store.command("CONFIG", "RESETSTAT")
            with common.Load(server, sender=b"a@%s.example" % pool.encode(), recipients=recipients) as load, \
                    store.client() as client:
                sizes[pool] = []
                daemon.wait_for(lambda: sizes[pool].append(client.command("STRLEN", key)), 2)
                daemon.wait_for(lambda: len(load.results) > 200, 60)
            took = re.search(r"cmdstat_evalsha:calls=(\d+),usec=\d+,usec_per_call=([\d.]+)",
                             store.command("INFO", "commandstats"))
            print("# 3000/%d s: %d charged of %d, at most %d octets; a script takes %s us (%s calls)"
                  % (seconds, len(load.accepted()), len(load.results), max(sizes[pool]), took[2], took[1]))
            self.assertLessEqual(max(sizes[pool]), 8 + 12 * 100)
        self.assertEqual(used(store, "p/day", count="3000/86400s"), 96 * 31)
        self.assertGreater(max(sizes["day"]), 8 + 12 * 90)


class Reload(redis_common.RedisTest):
    def change(self, server, redis_settings, pattern="reload: done"):
        mark = server.mark()
        server.write_config([daemon.pool(limits=[MANY])], redis=redis_settings)
        server.reload()
        server.wait_log(pattern, since=mark)
        return mark

    def test_under_load(self):
        """Redis is added, another, by another way, with other keys, and gone again: no message is refused."""
        first, second = self.redis(), self.redis()
        server = self.serve([daemon.pool(limits=[MANY])])
        with common.Load(server) as load:
            for where, up, more in ((first, True, {}), (second, True, {}), (second, False, {"nodes": 3}),
                                    (second, False, {"connections": 2}), (second, False, {"connections": 9}),
                                    (second, False, {"prefix": "other"}), (second, True, {"database": 2}),
                                    ("unix:" + second.socket, True, {})):
                time.sleep(0.2)
                mark = self.change(server, settings(where, **more))
                if up:
                    self.await_up(server, mark)
            time.sleep(0.2)
            self.change(server, None)
            time.sleep(0.2)
            second.command("CONFIG", "RESETSTAT")
            time.sleep(0.2)
        self.assertEqual(load.others(), [])
        self.assertEqual(self.limits(server, load), {"ok": len(load.results)})
        self.assertNotIn("redis: down", server.log)
        self.assertNotIn("cmdstat_evalsha", second.command("INFO", "commandstats"))
        self.assertGreater(used(first, "p/acme", count="1000000/3600s"), 0)
        self.assertGreater(used(second, "p/acme", count="1000000/3600s"), 0)
        self.assertGreater(used(second, "p/acme", count="1000000/3600s", prefix="other"), 0)
        self.assertIn("db2:", second.command("INFO", "keyspace"))

    def test_another_number_of_nodes_while_redis_is_away(self):
        store = self.redis()
        store.kill()
        server = self.limited(store, "12/hour", nodes=2)
        session = self.session(server)
        for nodes, more in ((2, 6), (4, 0), (1, 6)):
            with self.subTest(nodes=nodes):
                server.write_config([daemon.pool(limits=["12/hour"])], redis=settings(store, nodes=nodes))
                server.reload()
                results = [self.send(session) for _ in range(13)]
                self.assertEqual(sum(result.status == "accepted" for result in results), more)
        self.await_changes(server, "d")

    def test_password_file_that_cannot_be_used(self):
        """Refused with the place; the old settings stay."""
        store = self.redis()
        server = self.limited(store, MANY)
        session = self.session(server)
        directory = daemon.new_directory()
        for name, text, mode, words in (("open", PASSWORD, 0o644, ""), ("empty", "\n", 0o600, "empty"), ("missing", None, 0, "No such file")):
            with self.subTest(name):
                path = directory / name
                if text is not None:
                    path.write_text(text)
                    path.chmod(mode)
                mark = self.change(server, settings(store, password_file=str(path), nodes=7), r"redis\.password_file")
                line = server.wait_log(r"poolmilter\.conf:\d+: redis\.password_file: ", since=mark)
                self.assertIn(str(path), line)
                self.assertIn(words, line)
                self.assert_limit(server, self.send(session), "ok")
        self.await_changes(server, "u")

    def test_wrong_password(self):
        """Redis says so, not the loader; neither password is told."""
        store = self.redis()
        server = self.limited(store, MANY)
        session = self.session(server)
        self.assert_limit(server, self.send(session), "ok")
        path = daemon.new_directory() / "wrong"
        path.touch(0o600)
        path.write_text("another-s3cret\n")
        mark = self.change(server, settings(store, password_file=str(path)))
        self.assert_limit(server, self.send(session), "local")
        server.wait_log(" redis: down: .*WRONGPASS", since=mark)
        path.write_text(PASSWORD + "\n")
        mark = server.mark()
        server.reload()
        self.await_up(server, mark)
        self.assert_limit(server, self.send(session), "ok")
        self.assertNotIn("another-s3cret", server.log)


class Crowd(redis_common.RedisTest):
    def test_64_connections(self):
        """Redis is restarted and settings change meanwhile. Data races are for ThreadSanitizer to find."""
        store = self.redis()
        server = self.limited(store, MANY, nodes=2, connections=4)
        self.await_up(server)
        with common.Load(server, threads=64) as load:
            for number in range(3):
                time.sleep(0.5)
                store.kill()
                time.sleep(0.2)
                server.write_config([daemon.pool(limits=[MANY])], isps=ISPS,
                                    redis=settings(store, nodes=number + 1, connections=4 + number))
                server.reload()
                mark = server.mark()
                store.start()
                self.await_up(server, mark)
            with contextlib.suppress(redis.Error):
                store.command("SCRIPT", "FLUSH")
            time.sleep(0.5)
        self.assert_nothing_lost(load)
        self.assertEqual(load.others(), [])
        words = self.limits(server, load)
        print("# %s" % dict(words))
        self.assertEqual(words.keys(), {"ok", "local"})


class Stopped(redis_common.RedisTest):
    """B1: Redis accepts connections and never answers, for 30 s, while the other tests run; judged last.

    This node keeps its share, 120 / 4, in a minute."""

    def test_B1_stopped_for_30_s(self):
        stopped.thread.join()
        server, load = stopped.server, stopped.load.stop()
        self.assertEqual(server.stop(), 0)
        self.assertNotIn(PASSWORD, server.log)
        self.assertEqual(stopped.changes, "ud")
        self.await_up(server, stopped.resumed)
        self.assert_nothing_lost(load, REACHED)
        self.assert_quick(server, load, slow=4)
        self.await_changes(server, "udu")
        words = self.limits(server, load)
        print("# %s" % dict(words))
        # What the node sent before is part of its share; what was under way then may be either.
        before = sum(1 for result in load.accepted() if result.answered < stopped.paused)
        self.assertTrue(30 - before - 4 <= words["local"] <= 30 - before, before)
        self.assertGreater(words["local-over:p/acme/120/minute"], 100)


class StoppedRun:
    def __init__(self):
        self.store = redis.Server(password=PASSWORD).start()
        self.server = daemon.Daemon([daemon.pool(limits=["120/minute"])], redis=settings(self.store, nodes=4, **QUICK))
        self.load = common.Load(self.server, pause=0.2)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.server.wait_log(" redis: up")
        with self.load:
            time.sleep(0.5)
            self.paused = time.monotonic()
            self.store.pause()
            time.sleep(30)
            self.changes = redis_common.changes_of(self.server)
            self.resumed = self.server.mark()
            self.store.resume()
            time.sleep(5)


stopped = None


def setUpModule():
    global stopped
    stopped = StoppedRun()


def tearDownModule():
    stopped.thread.join()
    stopped.server.stop()
    stopped.store.stop()


if __name__ == "__main__":
    common.main()
