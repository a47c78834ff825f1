#!/usr/bin/python3
"""The limiter's Redis driver (src/io/limiter_redis.c) when Redis is ill, gone, moved, somebody else, or
behind a proxy that does what networks do.  Rows of FAULTS.md are named.
"""
import contextlib
import os
import random
import re
import ssl
import subprocess
import threading
import time

import instance
import limiter_common
import redis
import tap
from limiter_common import BUSY, CHARGE, SLOW, used


class Away(limiter_common.Case):
    """B1: not there, killed, stopped."""

    def own(self, *options, **kw):
        server = redis.Server(*options, **kw).start()
        self.addCleanup(server.stop)
        return server

    def test_b1_not_there_at_start(self):
        server = self.own()
        server.kill()
        with self.drive(server) as d:
            self.assertQuick(d.ask(CHARGE), 0.3)
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed")
            self.assertIn("Connection refused", a.why)
            self.assertFailsAtOnce(d)
            self.assertEqual(d.await_changes("d"), "d")
            server.start()
            self.assertLess(d.await_up(), 5)
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(d.await_changes("du"), "du")

    def test_b1_name_that_does_not_exist(self):
        with self.drive(address="no-such-host.invalid:6379") as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")
            self.assertEqual(d.ask(CHARGE).what, "failed")

    def test_b1_unix_socket_not_there_then_there(self):
        server = self.own()
        server.kill()
        with self.drive(address="unix:" + server.socket) as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")
            server.start()
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")

    def test_b1_killed_and_restarted(self):
        server = self.own()
        with self.drive(server) as d:
            d.await_up()
            for _ in range(3):
                self.assertEqual(d.ask(CHARGE).what, "allowed")
                server.kill()
                a = d.ask(CHARGE)
                self.assertIn(a.what, ("failed", "uncertain"))
                self.assertQuick(a, 0.3)
                time.sleep(0.5)
                self.assertFailsAtOnce(d)
                server.start()
                self.assertLess(d.await_up(), 5)
            self.assertEqual(d.await_changes("u" + "du" * 3), "u" + "du" * 3)

    def test_b1_restarted_while_idle_is_not_noticed(self):
        server = self.own()
        with self.drive(server) as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            server.kill()
            server.start()
            for _ in range(3):
                self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(used(server, "k"), 3)
            self.assertEqual(d.changes(), "u")

    def test_b1_stopped_for_three_seconds_under_load(self):
        server = self.own()
        with self.drive(server) as d:
            d.await_up()
            d.send("burst", "16", "4500", "1000", "c:k:1000000/minute:1")
            time.sleep(0.5)
            server.pause()
            time.sleep(3)
            server.resume()
            lines = d.receive()
            allowed, over, failed, uncertain, longest = map(int, lines[-1].split()[1:])
            self.assertEqual(over, 0)
            self.assertGreater(failed, 1000)
            # Each of the eight connections had one command under way; keepers' probes are not ours.
            self.assertLessEqual(uncertain, 8)
            if not SLOW:
                self.assertLess(longest / 1e6, 0.1 + 0.2 + BUSY)
            self.assertEqual(len(lines) - 1, allowed)
            d.await_up()
            self.assertEqual(d.await_changes("udu"), "udu")
            # Those uncertain were charged when the server went on, or not; nothing else was.
            charged = used(server, "k", count="1000000/60s")
            self.assertLessEqual(allowed, charged)
            self.assertLessEqual(charged, allowed + uncertain)

    def test_b1_stopped_accepts_and_never_answers(self):
        server = self.own()
        with self.drive(server) as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            server.pause()
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "uncertain")
            self.assertQuick(a, 0.1)
            self.assertFailsAtOnce(d)
            server.resume()
            self.assertLess(d.await_up(), 5)
            # Stopped again after the reconnect.
            server.pause()
            self.assertEqual(d.ask(CHARGE).what, "uncertain")
            self.assertEqual(d.ask(CHARGE).what, "failed")
            server.resume()
            self.assertLess(d.await_up(), 5)
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(d.await_changes("ududu"), "ududu")

    def test_b1_stopped_at_start(self):
        server = self.own()
        server.pause()
        with self.drive(server) as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")
            self.assertFailsAtOnce(d)
            server.resume()
            self.assertLess(d.await_up(), 5)

    def test_all_connections_busy(self):
        with self.drive(connections=1, command_ms=1000) as d:
            d.await_up()
            lines = d.tell("burst", "8", "300", "0", "c:k:1000000/minute:1")
            allowed, over, failed, uncertain, _ = map(int, lines[-1].split()[1:])
            self.assertEqual((over, failed, uncertain), (0, 0, 0))
            self.assertEqual(used(self.server, "k", count="1000000/60s"), allowed)
            names = self.server.command("CLIENT", "LIST").strip().splitlines()
            self.assertLessEqual(len(names), 2)  # ours, and the one that asks

    def test_fewer_connections_after_a_change(self):
        with self.drive(connections=6, command_ms=1000) as d:
            d.await_up()
            d.tell("burst", "12", "200", "0", "c:k:1000000/minute:1")
            d.tell("change", "address=" + self.server.address, "connections=2", "command_ms=1000")
            d.tell("burst", "12", "200", "0", "c:k:1000000/minute:1")
            names = self.server.command("CLIENT", "LIST").strip().splitlines()
            self.assertLessEqual(len(names), 3)
            self.assertEqual(d.changes(), "u")

    def test_connections_are_bounded(self):
        with self.drive(connections=3, command_ms=1000) as d:
            d.await_up()
            d.tell("burst", "16", "300", "0", "c:k:1000000/minute:1")
            names = self.server.command("CLIENT", "LIST").strip().splitlines()
            self.assertLessEqual(len(names), 4)

    def test_change_of_address(self):
        other = self.own()
        with self.drive() as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(d.tell("change", "address=" + other.address), [". ok "])
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual((used(self.server, "k"), used(other, "k")), (1, 1))
            self.assertIn("error", d.tell("change", "address=nonsense:port")[0])
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(used(other, "k"), 2)
            self.assertEqual(d.tell("change", "address=" + other.address, "prefix=new"), [". ok "])
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(used(other, "k", prefix="new"), 1)
            self.assertEqual(d.await_changes("uu"), "uu")

    def test_change_away_from_a_dead_server(self):
        with self.drive(address="127.0.0.1:1") as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")
            d.tell("change", "address=" + self.server.address)
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")


class Between(limiter_common.Case):
    """B3, B5: something between us and Redis, or something else in its place."""

    def proxied(self, **settings):
        proxy = redis.Proxy(self.server)
        self.addCleanup(proxy.stop)
        return proxy, self.drive(address=proxy.address, **settings)

    def test_b3_late_reply_is_nobodys(self):
        proxy, d = self.proxied()
        with d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            proxy.fault = redis.delay(0.35 if not SLOW else 0.9)
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "uncertain")
            self.assertQuick(a, 0.1)
            proxy.fault = None
            d.await_up()
            # An answer that is told by its number: over, where the late one said allowed.
            self.assertEqual(d.ask("c:k2:1/minute:2").wait, -1)
            self.assertEqual(used(self.server, "k"), 2)  # once each, never again
            self.assertEqual(d.await_changes("udu"), "udu")

    def test_b3_reply_that_is_held_for_ever(self):
        proxy, d = self.proxied()
        with d:
            d.await_up()
            proxy.fault = redis.drop
            self.assertEqual(d.ask(CHARGE).what, "uncertain")
            self.assertEqual(d.ask(CHARGE).what, "failed")
            self.assertEqual(used(self.server, "k"), 1)

    def test_b3_reply_of_another_request(self):
        """A proxy that shifts replies by one: never taken, though each has the right form."""
        held = []

        def shift(chunk, send):
            held.append(chunk)
            send(held.pop(0) if len(held) > 1 else b":1\r\n")
            return True

        proxy, d = self.proxied()
        with d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            stale = b"*4\r\n:2\r\n:0\r\n:0\r\n:0\r\n"
            proxy.fault = redis.replace(stale)
            self.assertEqual(d.ask(CHARGE).what, "allowed")  # the second request: its own number
            before = proxy.accepted
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "uncertain")
            self.assertIn("odd reply", a.why)
            proxy.fault = None
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(proxy.accepted, before + 1)  # by another connection
            proxy.fault = shift
            self.assertIn(d.ask(CHARGE).what, ("uncertain", "failed"))

    def test_b3_connection_cut_within_a_reply(self):
        proxy, d = self.proxied()
        with d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            for octets in (0, 1, 5, 12):
                proxy.fault = redis.cut(octets)
                a = d.ask(CHARGE)
                self.assertEqual(a.what, "uncertain", octets)
                proxy.fault = None
                d.await_up()
                self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(used(self.server, "k"), 9)
            self.assertEqual(d.changes(), "u")  # single ones are no outage

    def test_b3_cut_again_and_again_opens_the_breaker(self):
        proxy, d = self.proxied()
        with d:
            d.await_up()
            proxy.fault = redis.cut(3)
            self.assertEqual([d.ask(CHARGE).what for _ in range(4)],
                             ["uncertain", "uncertain", "failed", "failed"])
            proxy.fault = None
            d.await_up()
            self.assertEqual(used(self.server, "k"), 2)

    def test_b3_connections_ended_while_idle(self):
        proxy, d = self.proxied()
        with d:
            d.await_up()
            for _ in range(3):
                self.assertEqual(d.ask(CHARGE).what, "allowed")
                proxy.break_all()
                time.sleep(0.05)
            self.assertEqual(d.changes(), "u")

    def test_b3_slow_but_in_time(self):
        proxy, d = self.proxied(command_ms=600)
        with d:
            d.await_up()
            proxy.fault = redis.delay(0.1)
            self.assertEqual([d.ask(CHARGE).what for _ in range(3)], ["allowed"] * 3)
            proxy.fault = redis.trickle(0.002)
            self.assertEqual([d.ask(CHARGE).what for _ in range(3)], ["allowed"] * 3)
            self.assertEqual(d.changes(), "u")

    HOSTILE = {
        "1 GB bulk announced": redis.replace(b"$1073741824\r\nxxxx"),
        "1 GB bulk sent": redis.flood(b"$1073741824\r\n" + b"x" * 65000),
        "line without end": redis.flood(b"+" + b"x" * 65000),
        "array of 2^31 announced": redis.replace(b"*2147483647\r\n"),
        "array of 2^62 announced": redis.replace(b"*4611686018427387904\r\n"),
        "array of many nils": redis.flood(b"*4000\r\n" + b"$-1\r\n" * 3999),
        "nested arrays": redis.replace(b"*1\r\n" * 100000),
        "nested wide arrays": redis.replace(b"*4000\r\n" * 1000),
        "garbage": redis.garble,
        "zeros": redis.replace(b"\0" * 10000),
        "nil": redis.replace(b"$-1\r\n"),
        "status": redis.replace(b"+OK\r\n"),
        "zero": redis.replace(b":0\r\n"),
        "empty array": redis.replace(b"*0\r\n"),
        "nil array": redis.replace(b"*-1\r\n"),
        "short array": redis.replace(b"*2\r\n:3\r\n:0\r\n"),
        "strings": redis.replace(b"*4\r\n$1\r\n3\r\n$1\r\n0\r\n$1\r\n0\r\n$1\r\n0\r\n"),
        "other code": redis.replace(b"*4\r\n:2\r\n:7\r\n:0\r\n:0\r\n"),
        "which too large": redis.replace(b"*4\r\n:2\r\n:1\r\n:9\r\n:5\r\n"),
        "which negative": redis.replace(b"*4\r\n:2\r\n:1\r\n:-1\r\n:5\r\n"),
        "wait of -2": redis.replace(b"*4\r\n:2\r\n:1\r\n:0\r\n:-2\r\n"),
        "over without a wait": redis.replace(b"*4\r\n:2\r\n:1\r\n:0\r\n:0\r\n"),
        "negative length": redis.replace(b"$-7\r\n"),
        "number that is none": redis.replace(b":abc\r\n"),
        "RESP3 double": redis.replace(b",1.5\r\n"),
        "RESP3 map": redis.replace(b"%1\r\n:1\r\n:2\r\n"),
        "an octet in 30 ms": redis.trickle(0.03),
    }

    def test_b5_hostile_server(self):
        for name, fault in self.HOSTILE.items():
            with self.subTest(name):
                self.server.command("FLUSHALL")
                proxy, d = self.proxied()
                with d:
                    d.await_up()
                    self.assertEqual(d.ask(CHARGE).what, "allowed")
                    proxy.fault = fault
                    a = d.ask(CHARGE)
                    self.assertEqual(a.what, "uncertain", a.why)
                    self.assertQuick(a, 0.1)
                    self.assertRegex(a.why, r"\A[ -~]+\Z")
                    self.assertLess(len(a.why), 300)
                    self.assertIn(d.ask(CHARGE).what, ("uncertain", "failed"))
                    with open("/proc/%d/status" % d.process.pid) as status:
                        peak = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
                    if not SLOW:
                        self.assertLess(peak, 40000)
                    proxy.fault = None
                    proxy.break_all()
                    d.await_up()

    def test_b5_hostile_from_the_start(self):
        for name in ("1 GB bulk sent", "garbage", "status", "zero", "an octet in 30 ms"):
            with self.subTest(name):
                proxy = redis.Proxy(self.server)
                proxy.fault = self.HOSTILE[name]
                self.addCleanup(proxy.stop)
                with self.drive(address=proxy.address) as d:
                    self.assertEqual(d.ask(CHARGE).what, "failed")
                    self.assertEqual(d.ask(CHARGE).what, "failed")
                    proxy.fault = None
                    proxy.break_all()
                    self.assertLess(d.await_up(), 5)

    def test_b5_surplus_after_a_reply(self):
        """The reply is right, but more comes: the connection is not used again."""
        proxy, d = self.proxied()
        with d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")

            def surplus(chunk, send):
                send(chunk + b"*4\r\n:3\r\n:0\r\n:0\r\n:0\r\n")
                return True

            before = proxy.accepted
            proxy.fault = surplus
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            proxy.fault = None
            self.assertEqual(d.ask("c:k2:1/minute:2").wait, -1)
            self.assertEqual(proxy.accepted, before + 1)


class Refused(limiter_common.Case):
    """B4: an error is never read as 0 or as leave."""

    def error(self, text):
        self.server.command("FLUSHALL")
        proxy = redis.Proxy(self.server)
        self.addCleanup(proxy.stop)
        with self.drive(address=proxy.address) as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            proxy.fault = redis.replace(b"-" + text + b"\r\n")
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed", a.why)
            self.assertEqual(d.ask(CHARGE).what, "failed")
            self.assertRegex(a.why, r"\A[ -~]+\Z")
            proxy.fault = None
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            lines = [line for line in d.lines if "down" in line]
        return a, lines

    def test_b4_error_replies(self):
        for text in (b"READONLY You can't write against a read only replica.",
                     b"LOADING Redis is loading the dataset in memory",
                     b"BUSY Redis is busy running a script.",
                     b"OOM command not allowed when used memory > 'maxmemory'.",
                     b"MISCONF Redis is configured to save RDB snapshots",
                     b"MOVED 1234 no.such.name:7000", b"MOVED", b"MOVED 1 :0", b"MOVED 1 [::1",
                     b"ASK 1234 127.0.0.1:7000", b"CLUSTERDOWN The cluster is down",
                     b"NOAUTH Authentication required.", b"NOPERM this user has no permissions",
                     b"ERR unknown command 'EVALSHA'", b"NOSCRIPT No matching script.",
                     b"NOREPLICAS Not enough good replicas to write.", b"", b"\xff\x01\x1b[2J",
                     b"ERR " + b"x" * 5000):
            with self.subTest(text[:20]):
                a, lines = self.error(text)
                self.assertLess(len(a.why), 280)
                self.assertIn(text[:10].decode("ascii", "replace").split("\ufffd")[0].strip(), a.why)
                self.assertEqual(len(lines), 1)
                self.assertIn("127.0.0.1:", lines[0])

    def test_b4_read_only_replica(self):
        replica = redis.Server("replicaof 127.0.0.1 %d" % self.server.port).start()
        self.addCleanup(replica.stop)
        with self.drive(replica) as d:
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed")
            self.assertTrue(any("READONLY" in line or "LOADING" in line or "MASTERDOWN" in line
                                for line in [a.why] + d.lines), d.lines)
            replica.command("REPLICAOF", "NO", "ONE")
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")

    def test_b4_out_of_memory(self):
        with self.drive() as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.server.command("CONFIG", "SET", "maxmemory", "1")
            try:
                a = d.ask(CHARGE)
                self.assertEqual(a.what, "failed")
                self.assertIn("OOM", a.why)
                time.sleep(0.3)
                self.assertEqual(d.ask(CHARGE).what, "failed")
            finally:
                self.server.command("CONFIG", "SET", "maxmemory", "0")
            d.await_up()
            self.assertEqual(used(self.server, "k"), 1)
            self.assertEqual(d.await_changes("udu"), "udu")

    def test_b4_busy_with_a_script(self):
        self.server.command("CONFIG", "SET", "busy-reply-threshold", "50")
        self.addCleanup(self.server.command, "CONFIG", "SET", "busy-reply-threshold", "5000")
        with self.drive() as d:
            d.await_up()

            def block():
                with contextlib.suppress(redis.Error):
                    self.server.command("EVAL", "while true do end", 0)

            thread = threading.Thread(target=block)
            thread.start()
            try:
                with self.assertRaisesRegex(redis.Error, "BUSY"):
                    while True:
                        self.server.command("PING")
                self.assertEqual(d.ask(CHARGE).what, "failed")
                self.assertIn("BUSY", d.ask(CHARGE).why)
            finally:
                self.server.command("SCRIPT", "KILL")
                thread.join()
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")

    def test_b4_wrong_type_at_a_key(self):
        with self.drive() as d:
            d.await_up()
            with self.server.client() as client:
                client.command("LPUSH", "{poolmilter}:l:20/60s:list", "x")
                client.command("SET", "{poolmilter}:l:20/60s:text", "1000")
                client.command("SET", "{poolmilter}:l:20/60s:lies", b"PM1:\0\0\0\xff")
            for key, text in (("list", "WRONGTYPE"), ("text", "damaged"), ("lies", "damaged")):
                a = d.ask("c:a:20/minute:1", "c:%s:20/minute:1" % key)
                self.assertEqual(a.what, "failed", key)
                self.assertIn(text, a.why)
            self.assertEqual(used(self.server, "a"), 0)
            self.assertEqual(d.ask("c:a:20/minute:1").what, "allowed")
            self.assertEqual(d.changes(), "u")  # one key is no outage

    def test_b4_unknown_command(self):
        server = redis.Server("rename-command EVALSHA \"\"", "rename-command EVAL \"\"").start()
        self.addCleanup(server.stop)
        with self.drive(server) as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")
            a = d.ask(CHARGE)
            self.assertIn("unknown command", a.why)

    def test_moved_is_followed(self):
        other = redis.Server().start()
        self.addCleanup(other.stop)
        proxy = redis.Proxy(self.server)
        self.addCleanup(proxy.stop)
        with self.drive(address=proxy.address) as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            proxy.fault = redis.replace(b"-MOVED 1234 127.0.0.1:%d\r\n" % other.port)
            for n in range(1, 4):
                self.assertEqual(d.ask(CHARGE).what, "allowed")
                self.assertEqual(used(other, "k"), n)
            d.tell("burst", "4", "50", "0", "c:many:1000000/minute:1")
            self.assertEqual(used(self.server, "many", count="1000000/60s"), 0)
            # The proxy had one charged there and told it otherwise; then nobody went there any more.
            self.assertEqual(used(self.server, "k"), 2)
            self.assertEqual(d.changes(), "u")

    def test_moved_to_and_fro(self):
        proxies = [redis.Proxy(self.server), redis.Proxy(self.server)]
        for p in proxies:
            self.addCleanup(p.stop)
        with self.drive(address=proxies[0].address) as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            for a, b in (proxies, proxies[::-1]):
                a.fault = redis.replace(b"-MOVED 1 127.0.0.1:%d\r\n" % b.port)
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed")
            self.assertEqual(used(self.server, "k"), 1 + 2)  # each proxy was asked once

    def test_real_cluster(self):
        buses = [instance.free_port() for _ in range(2)]
        nodes = [redis.Server("cluster-enabled yes", "cluster-port %d" % bus) for bus in buses]
        for n in nodes:
            self.addCleanup(n.stop)
            n.start()
        nodes[0].command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        nodes[1].command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        nodes[1].command("CLUSTER", "SET-CONFIG-EPOCH", 2)
        nodes[0].command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, buses[1])
        end = time.monotonic() + 10
        while any("cluster_state:ok" not in n.command("CLUSTER", "INFO") or
                  n.command("CLUSTER", "INFO").find("cluster_known_nodes:2") < 0 for n in nodes):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        for node in nodes:
            with self.drive(node) as d:
                d.await_up()
                a = d.ask("c:a:20/minute:1", "c:b:20/minute:1")
                self.assertEqual(a.what, "allowed", a.why)
                self.assertEqual(d.add(1, "x:f:1", "y:f:1"), "replied")
        keys = [n.command("DBSIZE") for n in nodes]
        self.assertEqual(sorted(keys), [0, 6])


class Once(limiter_common.Case):
    """Statistics: a batch whose fate is not known is sent again, and counts once."""

    def count(self, server=None):
        return (server or self.server).command("HGET", "{poolmilter}:t:x", "f")

    def again(self, d, serial):
        """Sends until it is answered, as the daemon does."""
        end = time.monotonic() + 10
        while d.add(serial, "x:f:1") != "replied":
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def own(self):
        server = redis.Server().start()
        self.addCleanup(server.stop)
        return server

    def test_stopped_within(self):
        server = self.own()
        with self.drive(server) as d:
            d.await_up()
            self.assertEqual(d.add(1, "x:f:1"), "replied")
            for serial in (2, 3, 4):
                server.pause()
                self.assertEqual(d.add(serial, "x:f:1"), "uncertain")
                self.assertEqual(d.add(serial, "x:f:1"), "refused")
                server.resume()
                self.again(d, serial)
                self.again(d, serial)
                self.assertEqual(self.count(server), str(serial))
            self.assertEqual(d.await_changes("u" + "du" * 3), "u" + "du" * 3)

    def test_killed_within(self):
        """Redis without a file forgets all: what was not answered counts, once."""
        server = self.own()
        with self.drive(server) as d:
            d.await_up()
            self.assertEqual(d.add(1, "x:f:1"), "replied")
            server.pause()
            self.assertEqual(d.add(2, "x:f:1"), "uncertain")
            server.kill()
            server.start()
            self.again(d, 2)
            self.assertEqual(self.count(server), "1")

    def test_refused(self):
        with self.drive() as d:
            d.await_up()
            self.assertEqual(d.add(1, "x:f:1"), "replied")
            self.server.command("CONFIG", "SET", "maxmemory", "1")
            try:
                self.assertEqual(d.add(2, "x:f:1"), "refused")
                self.assertEqual(self.count(), "1")
            finally:
                self.server.command("CONFIG", "SET", "maxmemory", "0")
            self.again(d, 2)
            self.assertEqual(self.count(), "2")

    REPLY = b"*4\r\n$20\r\n%020d\r\n:%d\r\n:%d\r\n:%d\r\n"
    ODD = {
        "another serial": redis.replace(REPLY % (1, 1, 0, 0)),
        "a charge's": redis.replace(b"*4\r\n:2\r\n:0\r\n:0\r\n:0\r\n"),
        "neither counted nor not": redis.replace(REPLY % (2, 2, 0, 0)),
        "fewer than none failed": redis.replace(REPLY % (2, 1, -1, 0)),
        "five": redis.replace(b"*5" + (REPLY % (2, 1, 0, 0))[2:] + b":0\r\n"),
        "serial cut": redis.replace(b"*4\r\n$1\r\n2\r\n:1\r\n:0\r\n:0\r\n"),
        "nil": redis.replace(b"$-1\r\n"),
        "status": redis.replace(b"+OK\r\n"),
        "garbage": redis.garble,
        "cut": redis.cut(9),
        "never": redis.drop,
        "late": redis.delay(0.35 if not SLOW else 0.9),
        "an octet in 30 ms": redis.trickle(0.03),
        "1 GB": redis.flood(b"$1073741824\r\n" + b"x" * 65000),
    }

    def test_odd_replies(self):
        for name, fault in self.ODD.items():
            with self.subTest(name):
                self.server.command("FLUSHALL")
                proxy = redis.Proxy(self.server)
                self.addCleanup(proxy.stop)
                with self.drive(address=proxy.address) as d:
                    d.await_up()
                    self.assertEqual(d.add(1, "x:f:1"), "replied")
                    proxy.fault = fault
                    self.assertEqual(d.add(2, "x:f:1"), "uncertain")
                    self.assertIn(d.add(2, "x:f:1"), ("uncertain", "refused"))
                    proxy.fault = None
                    proxy.break_all()
                    self.again(d, 2)
                    self.assertEqual(self.count(), "2")

    def test_failing_hash_that_is_none_of_the_batch(self):
        proxy = redis.Proxy(self.server)
        self.addCleanup(proxy.stop)
        with self.drive(address=proxy.address) as d:
            d.await_up()
            self.assertEqual(d.add(1, "x:f:1"), "replied")
            proxy.fault = redis.replace(self.REPLY % (2, 1, 1, 2 ** 40))
            self.assertEqual(d.add(2, "x:f:1"), "replied")

    def test_b4_wrong_type_at_a_key(self):
        with self.drive() as d:
            d.await_up()
            with self.server.client() as client:
                client.command("SET", "{poolmilter}:t:text", "x")
                client.command("HSET", "{poolmilter}:t:odd", "f", "x", "full", str(2 ** 63 - 1))
            self.assertEqual(d.add(1, "text:f:1", "odd:f:1", "odd:full:1", "odd:good:1", "x:f:1",
                                   "y:f:1"), "replied")
            self.assertEqual(d.tallies(), ["odd f 0", "odd full %d" % (2 ** 63 - 1), "odd good 1",
                                           "x f 1", "y f 1"])
            self.assertEqual(self.server.command("TTL", "{poolmilter}:t:text"), -1)
            self.assertEqual(d.add(1, "x:f:1"), "replied")
            self.assertEqual(self.count(), "1")
        self.assertEqual(d.changes(), "u")
        self.assertEqual(len(d.lines), 2)
        self.assertRegex(d.lines[1], '3 numbers of the statistics .* of "(text|odd)"')

    def test_b4_damaged_serial(self):
        key = "{poolmilter}:n:n1"
        with self.drive() as d, self.server.client() as client:
            d.await_up()
            for words in (("LPUSH", key, "x"), ("SET", key, "5"), ("SET", key, "x" * 20)):
                client.command("DEL", key)
                client.command(*words)
                line = d.tell("add", "n1", "1", "x:f:1")[-1]
                self.assertRegex(line, r"\A\. refused .*(WRONGTYPE|damaged serial)")
            self.assertEqual(self.count(), None)
            self.assertEqual(d.add(1, "y:f:1", node="n2"), "replied")
            client.command("DEL", key)
            self.assertEqual(d.add(1, "x:f:1"), "replied")
        self.assertEqual(d.changes(), "u")
        self.assertRegex(d.lines[1], "WRONGTYPE")

    def test_flow_through_faults(self):
        """Replies to batches are lost, late, cut, shifted; scripts are forgotten; Redis stands still."""
        server = self.own()
        rand = random.Random(4)
        faults = [redis.cut(0), redis.cut(11), redis.drop, redis.delay(0.25), redis.garble,
                  redis.replace(self.REPLY % (1, 1, 0, 0))]

        def fault(chunk, send):
            if not chunk.startswith(b"*4\r\n$20") or rand.random() < 0.6:
                send(chunk)
                return True
            return rand.choice(faults)(chunk, send)

        proxy = redis.Proxy(server)
        self.addCleanup(proxy.stop)
        with self.drive(address=proxy.address) as d:
            d.await_up()
            proxy.fault = fault
            result = d.flow("n1", 4, 4000, 200, 40)
            for _ in range(6):
                time.sleep(0.5)
                server.command("SCRIPT", "FLUSH")
                server.pause()
                time.sleep(0.2)
                server.resume()
            proxy.fault = None
            added, batches, refused, uncertain = result()
            print("# %d in %d batches, %d times refused, %d uncertain" %
                  (added, batches, refused, uncertain))
            self.assertGreater(uncertain, 3)
            self.assertEqual(sum(int(line.split()[2]) for line in d.tallies()), added)


class Waiting(limiter_common.Case):
    """For poolctl, which asks once and ends."""

    def test_wait_until_up(self):
        with self.drive() as d:
            self.assertEqual(d.tell("wait", "5000"), [". ok "])
            self.assertTrue(d.up())
            self.assertEqual(d.tell("wait", "0"), [". ok "])

    def test_reason_why_not(self):
        server = redis.Server().start()
        self.addCleanup(server.stop)
        server.kill()
        with self.drive(server) as d:
            begin = time.monotonic()
            self.assertIn("Connection refused", d.tell("wait", "300")[-1])
            self.assertGreaterEqual(time.monotonic() - begin, 0.3)
            d.send("wait", "10000")
            server.start()
            self.assertEqual(d.receive(), [". ok "])
        server.pause()
        with self.drive(server, connect_ms=5000, command_ms=5000) as d:
            self.assertEqual(d.tell("wait", "200"), [". error no connection yet"])
            server.resume()


class Secrets(limiter_common.Case):
    def test_password_database_and_acl(self):
        server = redis.Server(password="s3cret").start()
        self.addCleanup(server.stop)
        server.command("ACL", "SETUSER", "pm", "on", ">pmpass", "~{poolmilter}:*", "+@scripting",
                       "+@read", "+@write", "+@connection", "+time", "+del", "+scan")
        with self.drive(server, password="s3cret", database=3) as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
        self.assertIn("db3:keys=2", server.command("INFO", "keyspace"))
        with self.drive(server, username="pm", password="pmpass") as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(d.add(1, "x:f:1"), "replied")
            self.assertEqual(d.tell("limits")[-1], ". ok ")
            self.assertEqual(d.tallies(), ["x f 1"])
            server.command("ACL", "SETUSER", "pm", "-@write", "-@scripting")
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed")
            self.assertIn("NOPERM", a.why)
            server.command("ACL", "SETUSER", "pm", "+@write", "+@scripting")
            d.await_up()
        with self.drive(server, username="pm", password="pmpass", prefix="other") as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")

    def test_wrong_passwords_are_not_told(self):
        server = redis.Server(password="s3cret").start()
        self.addCleanup(server.stop)
        for settings in ({}, {"password": "hunter2"}, {"username": "x", "password": "hunter2"}):
            with self.drive(server, **settings) as d:
                d.ask(CHARGE)
                a = d.ask(CHARGE)
                self.assertEqual(a.what, "failed")
                self.assertRegex(a.why, "NOAUTH|WRONGPASS|unauthenticated")
                self.assertNotIn("hunter2", a.why + "".join(d.lines))

    def test_server_that_repeats_the_password(self):
        server = redis.Server("rename-command AUTH \"\"").start()
        self.addCleanup(server.stop)
        with self.drive(server, password="hunter2") as d:
            d.ask(CHARGE)
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed")
            self.assertIn("AUTH refused", a.why)
            self.assertNotIn("hunter2", a.why + "".join(d.lines))


class Sentinels(limiter_common.Case):
    def setUp(self):
        if not redis.available("redis-sentinel"):
            self.skipTest("no redis-sentinel")
        self.trio = redis.Replicated().start()
        self.addCleanup(self.trio.stop)
        self.master, self.replica, self.sentinel = self.trio.master, self.trio.replica, self.trio.sentinel

    def drive_by_sentinel(self):
        return self.drive(address="unused:1", master="mymaster",
                          sentinels="127.0.0.1:1,127.0.0.1:%d" % self.sentinel.port)

    def test_b1_failover_of_a_killed_master(self):
        with self.drive_by_sentinel() as d:
            d.await_up()
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            while used(self.replica, "k") == 0:  # replication follows after the answer
                time.sleep(0.01)
            self.master.kill()
            self.assertIn(d.ask(CHARGE).what, ("failed", "uncertain"))
            self.assertFailsAtOnce(d)
            self.trio.await_failover()
            self.assertLess(d.await_up(), 5)
            self.assertEqual(d.ask(CHARGE).what, "allowed")
            self.assertEqual(used(self.replica, "k"), 2)  # the charge was replicated
            self.assertEqual(d.await_changes("udu"), "udu")
            self.assertIn(str(self.replica.port), d.lines[-1])

    def test_b1_master_that_is_replaced_while_it_lives(self):
        """The old master goes on taking charges until its sentinel tells it, some 8 s later."""
        many = "c:k:9999/minute:1"
        with self.drive_by_sentinel() as d:
            d.await_up()
            self.assertEqual(d.ask(many).what, "allowed")
            self.sentinel.command("SENTINEL", "FAILOVER", "mymaster")
            self.trio.await_failover()
            begin = time.monotonic()
            while str(self.replica.port) not in d.lines[-1]:
                d.ask(many)
                self.assertLess(time.monotonic(), begin + 3)
                time.sleep(0.02)
            before = used(self.replica, "k", count="9999/60s")
            self.assertEqual(d.ask(many).what, "allowed")
            self.assertEqual(used(self.replica, "k", count="9999/60s"), before + 1)

    def test_unknown_master(self):
        with self.drive(master="other", sentinels="127.0.0.1:%d" % self.sentinel.port) as d:
            d.ask(CHARGE)
            a = d.ask(CHARGE)
            self.assertEqual(a.what, "failed")
            self.assertIn("knows no master", a.why)


class Encrypted(limiter_common.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.files = redis.Server()  # only its directory
        path = lambda name: os.path.join(cls.files.directory, name)
        run = lambda *words: subprocess.run(("openssl",) + words, check=True, capture_output=True)
        for name in ("ca", "other"):
            run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", path(name + ".key"), "-out", path(name + ".pem"), "-days", "2",
                "-subj", "/CN=%s" % name)
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            path("node.key"), "-out", path("node.csr"), "-subj", "/CN=redis.example")
        run("x509", "-req", "-in", path("node.csr"), "-CA", path("ca.pem"), "-CAkey",
            path("ca.key"), "-CAcreateserial", "-out", path("node.pem"), "-days", "2")
        cls.path = staticmethod(path)
        context = ssl.create_default_context(cafile=path("ca.pem"))
        context.check_hostname = False
        context.load_cert_chain(path("node.pem"), path("node.key"))
        cls.tls = redis.Server(*["tls-%s-file %s" % (k, path(v)) for k, v in (
            ("cert", "node.pem"), ("key", "node.key"), ("ca-cert", "ca.pem"))], tls=context)
        try:
            cls.tls.start()
        except redis.Error:
            cls.files.stop()
            cls.tls.stop()
            cls.server.stop()
            raise tap.unittest.SkipTest("redis-server has no TLS")

    @classmethod
    def tearDownClass(cls):
        cls.tls.stop()
        cls.files.stop()
        super().tearDownClass()

    def files_of(self, **names):
        return dict({k: self.path(v) for k, v in names.items()}, tls=1)

    def test_charges(self):
        settings = self.files_of(ca="ca.pem", cert="node.pem", key="node.key")
        with self.drive(self.tls, **settings) as d:
            d.await_up()
            for n in range(1, 4):
                self.assertEqual(d.ask(CHARGE).what, "allowed")
                self.assertEqual(used(self.tls, "k"), n)
            # The session tickets that TLS 1.3 sends do not make a connection look used up.
            self.assertLessEqual(len(self.tls.command("CLIENT", "LIST").strip().splitlines()), 2)
            self.assertEqual(d.changes(), "u")
            self.tls.pause()
            self.assertEqual(d.ask(CHARGE).what, "uncertain")
            self.tls.resume()
            d.await_up()

    def test_certificates_that_do_not_fit(self):
        for name, names, text in (
                ("another CA", dict(ca="other.pem", cert="node.pem", key="node.key"), "TLS: "),
                ("system's CAs", dict(), "TLS: "),
                ("no certificate of ours", dict(ca="ca.pem"), "")):
            with self.subTest(name), self.drive(self.tls, **self.files_of(**names)) as d:
                d.ask(CHARGE)
                a = d.ask(CHARGE)
                self.assertEqual(a.what, "failed")
                self.assertIn(text, a.why)

    def test_no_tls_there(self):
        with self.drive(**self.files_of(ca="ca.pem")) as d:
            self.assertEqual(d.ask(CHARGE).what, "failed")
            self.assertEqual(d.ask(CHARGE).what, "failed")

    def test_files_are_checked_at_load(self):
        with self.drive() as d:
            for names in (dict(ca="none.pem"), dict(ca="ca.key"), dict(cert="node.pem"),
                          dict(cert="node.pem", key="ca.key")):
                words = ["%s=%s" % item for item in self.files_of(**names).items()]
                self.assertIn("error", d.tell("check", "address=a:1", *words)[0], names)
            words = ["%s=%s" % item for item in self.files_of(ca="ca.pem").items()]
            self.assertEqual(d.tell("check", "address=a:1", *words), [". ok "])


if __name__ == "__main__":
    tap.main()
