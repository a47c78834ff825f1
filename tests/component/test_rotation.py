#!/usr/bin/python3
"""Rotation of keys: which key signs when, poolctl keys, keys.state; under load every signature verifies.

The zone is our own DNS server; what is published when is written down, and each message is verified (by
dkimpy, in processes of their own) against the zone as it was between its begin and its answer.
"""
import hashlib
import json
import os
import pathlib
import pickle
import pwd
import re
import signal
import subprocess
import sys
import time

import common
import daemon
import dnsserver
import mta

NOBODY = pwd.getpwnam("nobody").pw_uid
STRANGER = NOBODY - 1       # of no account
REFUSED, USAGE, UNAVAILABLE, CREATE, LATER, NO_RIGHTS, CONFIG = 1, 64, 69, 73, 75, 77, 78
SLOW = 5 if daemon.instrumented() else 1


def record_name(selector, domain="example.com"):
    return "%s._domainkey.%s" % (selector, domain)


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def selector_of(result):
    return daemon.signatures(result.message)[0]["s"]


def become(uid):
    """For subprocess: as this user and group, without others."""
    return lambda: (os.setgroups([]), os.setgid(uid), os.setuid(uid))


class Zone:
    """A DNS server whose changes are written down."""

    def __init__(self):
        self.server = dnsserver.Server().start()
        self.history = [(0.0, {})]      # (monotonic time, {name: record}) from the oldest

    def publish(self, selector, record, domain="example.com"):
        self._change({**self.history[-1][1], record_name(selector, domain): record})

    def remove(self, selector, domain="example.com"):
        records = dict(self.history[-1][1])
        del records[record_name(selector, domain)]
        self._change(records)

    def _change(self, records):
        self.server.records = {name: {"TXT": [text]} for name, text in records.items()}
        self.history.append((time.monotonic(), records))

    def between(self, began, ended):
        """The zones that were published at some moment of that time."""
        return [records for number, (since, records) in enumerate(self.history)
                if since <= ended and (number + 1 == len(self.history) or self.history[number + 1][0] > began)]

    @property
    def resolver(self):
        return "127.0.0.1@%d" % self.server.port


class RotationTest(common.ComponentTest):
    def setUp(self):
        self.zone = Zone()
        self.addCleanup(self.zone.server.stop)
        self.zone.publish("ak1", daemon.key("ak1").record)

    def pool(self, own="ak1", following="ak2", name="acme", domain="example.com", key=None, **use_after):
        """A pool whose keys are those of the selectors' names."""
        following = following and {"selector": following, "key": key or daemon.key(following).path, **use_after}
        return daemon.pool(name, domain, dkim_selector=own, dkim_key=daemon.key(own).path, dkim_next=following)

    def made(self, *pools, **settings):
        """A daemon with a pid file, not yet started."""
        server = self.prepare(text="")
        server.settings.update({"resolver": self.zone.resolver, "pid_file": str(server.directory / "pid"), **settings})
        server.write_config(pools or [self.pool()])
        return server

    def served(self, *pools, **settings):
        return self.made(*pools, **settings).start()

    def change(self, server, *pools, **settings):
        server.write_config(pools, **settings)
        server.reload()

    def state(self, server):
        return server.directory / "state" / "keys.state"

    def keys(self, server, *arguments, expect=0):
        action, *rest = arguments
        done = daemon.poolctl("keys", action, "-c", server.config, *rest)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return (done.stdout + done.stderr).decode()

    def switch(self, server, *arguments, pool="acme", expect=0):
        """poolctl keys switch; with success, the daemon has taken it."""
        since = server.mark() if server.process else 0
        text = self.keys(server, "switch", *arguments, pool, expect=expect)
        if expect == 0 and server.process and server.alive:
            server.wait_log("reload: done", since=since)
        return text

    def status(self, server, *arguments, expect=0):
        """{(pool, selector): object} of poolctl keys status --json."""
        done = daemon.poolctl("keys", "status", "-c", server.config, "--json", *arguments)
        self.assertEqual(done.returncode, expect, done.stderr)
        return {(row["pool"], row["selector"]): row for row in json.loads(done.stdout)}

    def assert_signs(self, server, selector, sender=b"a@example.com"):
        """With this selector, so that it verifies against the zone of now."""
        result = self.deliver(server, common.message(sender), sender)
        self.assertEqual((result.status, selector_of(result)), ("accepted", selector))
        domain = sender.partition(b"@")[2].decode()
        zone = daemon.Zone().add(selector, domain, self.zone.history[-1][1][record_name(selector, domain)])
        self.assertEqual(daemon.failed_signatures(result.message, zone, domain, selector), [])


# ---- under load

def verify_all(tasks, processes=2):
    """What is wrong with each message, None where nothing is: by python3-dkim.  A task is (message, selector,
    record)."""
    shares = [tasks[number::processes] for number in range(processes)]
    running = [subprocess.Popen([sys.executable, __file__, "--verify"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for _ in shares]
    for process, share in zip(running, shares):
        process.stdin.write(pickle.dumps(share))
        process.stdin.close()
    answers = [pickle.loads(process.stdout.read()) for process in running]
    for process in running:
        process.stdout.close()
        if process.wait() != 0:
            raise AssertionError("the verifier failed")
    found = [None] * len(tasks)
    for number, answer in enumerate(answers):
        found[number::processes] = answer
    return found


def verifier():
    answers = []
    for message, selector, record in pickle.load(sys.stdin.buffer):
        failures = daemon.failed_signatures(message, daemon.Zone().add(selector, "example.com", record),
                                            "example.com", selector)
        answers.append(str(failures) if failures else None)
    sys.stdout.buffer.write(pickle.dumps(answers))


class UnderLoad(RotationTest):
    MESSAGES, THREADS = 10000, 6

    def _wait_for(self, load, count):
        self.assertTrue(daemon.wait_for(lambda: len(load.results) >= count, 300 * SLOW),
                        "%d messages only" % len(load.results))

    def _past(self):
        """Waits until messages that are under way now have been answered."""
        time.sleep(2 * SLOW)

    def _rotate(self, server, load, total):
        """Two rotations: by a switch, and by the clock; between them the keys move up in the settings."""
        self._wait_for(load, total // 10)
        self.switch(server, expect=REFUSED)                     # its record is not there yet
        self.zone.publish("ak2", daemon.key("ak2").record)
        server.reload()                                         # published, and not switched
        self._wait_for(load, total * 2 // 10)
        self.switch(server)
        self._wait_for(load, total * 4 // 10)
        self.change(server, self.pool("ak2", None))
        self._past()
        self.zone.remove("ak1")
        self._wait_for(load, total * 6 // 10)
        after = time.time() + 3 * SLOW
        self.change(server, self.pool("ak2", "ak3", use_after=utc(after)))
        time.sleep(after - time.time() + 2 * SLOW)              # require_dns: the clock alone is not enough
        self.zone.publish("ak3", daemon.key("ak3").record)
        server.wait_log("keys: pool=acme signs with ak3 since ", 90)
        self._wait_for(load, total * 9 // 10)
        self.change(server, self.pool("ak3", None))
        self._past()
        self.zone.remove("ak2")
        self._wait_for(load, total)

    def test_all_verify_against_the_zone_of_their_moment(self):
        total = daemon.scaled(self.MESSAGES)
        server = self.served(require_dns=True)
        with common.Load(server, self.THREADS) as load:
            self._rotate(server, load, total)
        self.assertEqual(load.others(), [])
        results = load.accepted()
        tasks, unpublished = [], []
        for result in results:
            selector = selector_of(result)
            zones = self.zone.between(result.began, result.answered)
            if not all(record_name(selector) in records for records in zones):
                unpublished.append((selector, result.queue_id))
                continue
            tasks.append((result.message, selector, zones[0][record_name(selector)]))
        self.assertEqual(unpublished, [])
        self.assertGreaterEqual(len(tasks), total)
        self.assertEqual([each for each in verify_all(tasks) if each], [])
        counts = {name: sum(task[1] == name for task in tasks) for name in ("ak1", "ak2", "ak3")}
        self.assertTrue(all(count > total // 20 for count in counts.values()), counts)
        self.assertEqual(sum(counts.values()), len(tasks))


# ---- the switch

class Switch(RotationTest):
    def test_refused_until_the_record_is_there(self):
        server = self.served()
        before = server.mark()
        wrong = daemon.key("other").record
        for name, change, expect, text in (
                ("missing", lambda: None, REFUSED, "ak2._domainkey.example.com is missing"),
                ("wrong", lambda: self.zone.publish("ak2", wrong), REFUSED, "ak2._domainkey.example.com is wrong"),
                ("revoked", lambda: self.zone.publish("ak2", "v=DKIM1; p="), REFUSED, "is wrong"),
                ("no answer", lambda: self.zone.server.trouble.update({record_name("ak2"): "servfail"}), LATER,
                 "ak2._domainkey.example.com is unknown")):
            with self.subTest(record=name):
                change()
                self.assertIn(text, self.switch(server, expect=expect))
                self.assertFalse(self.state(server).exists())
                self.assert_signs(server, "ak1")
        self.zone.server.trouble.clear()
        self.zone.publish("ak2", daemon.key("ak2").record)
        self.assertEqual([line for line in server.lines[before:] if "reload" in line], [])
        text = self.switch(server)
        self.assertIn("acme signs from now on with ak2.\n", text)
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 86400 - 1))
        self.assertIn("ak1._domainkey.example.com may be removed from the DNS from %s on" % day, text)
        server.wait_log(r"keys: pool=acme signs with ak2 since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", since=before)
        self.assert_signs(server, "ak2")
        self.assertIn("acme signs already with ak2.\n", self.switch(server))
        self.assert_signs(server, "ak2")

    def test_outlives_a_restart_and_a_reload(self):
        self.zone.publish("ak2", daemon.key("ak2").record)
        server = self.served()
        self.switch(server)
        server.reload()
        self.assert_signs(server, "ak2")
        server.stop()
        server.start()
        server.wait_log("keys: pool=acme signs with ak2 since ")
        self.assert_signs(server, "ak2")
        done = daemon.poolctl("process", "-c", server.config, "-f", "a@example.com", "-r", "b@example.net",
                              data=common.message())
        self.assertIn(b"s=ak2;", done.stdout)
        done = daemon.poolctl("explain", "-c", server.config, "-f", "a@example.com", "-r", "b@example.net")
        self.assertIn(b"s=ak2 ", done.stdout)
        self.assertIn(b"key=" + daemon.key("ak2").path.encode(), done.stdout)

    def test_without_a_daemon_it_waits_for_the_start(self):
        self.zone.publish("ak2", daemon.key("ak2").record)
        server = self.made()
        self.assertIn("poolmilter does not run: it will when it starts", self.switch(server))
        server.start()
        self.assert_signs(server, "ak2")

    def test_without_a_pid_file_the_daemon_is_not_told(self):
        self.zone.publish("ak2", daemon.key("ak2").record)
        server = self.served(pid_file=None)
        self.assertIn("no pid_file is set", self.switch(server, expect=UNAVAILABLE))
        self.assert_signs(server, "ak1")
        server.reload()
        self.assert_signs(server, "ak2")

    def test_back(self):
        self.zone.publish("ak2", daemon.key("ak2").record)
        server = self.served(self.pool(use_after="2020-01-01"))
        self.assert_signs(server, "ak2")
        since = server.mark()
        text = self.switch(server, "--back")
        self.assertIn("acme signs with ak1, and not with ak2 before the next", text)
        self.assertIn("Leave the record of ak2 in the DNS for 7 days", text)
        server.wait_log("keys: pool=acme signs with ak1 since .*, dkim_next was taken back", since=since)
        self.assert_signs(server, "ak1")
        server.reload()
        self.assert_signs(server, "ak1")
        self.assertEqual(self.status(server)["acme", "ak2"]["state"], "taken-back")
        self.switch(server)
        self.assert_signs(server, "ak2")
        self.zone.remove("ak1")
        self.assertIn("ak1._domainkey.example.com is missing", self.switch(server, "--back", expect=REFUSED))
        self.assert_signs(server, "ak2")
        self.assertIn("warning: ak1._domainkey.example.com is missing", self.switch(server, "--back", "--force"))
        result = self.deliver(server)
        self.assertEqual(selector_of(result), "ak1")

    def test_force(self):
        server = self.served()
        self.assertIn("warning: ak2._domainkey.example.com is missing", self.switch(server, "--force"))
        self.assertEqual(selector_of(self.deliver(server)), "ak2")

    def test_force_cannot_go_before_require_dns(self):
        server = self.served(require_dns=True)
        self.assertIn("require_dns is set, so --force cannot help", self.switch(server, "--force", expect=REFUSED))
        self.assert_signs(server, "ak1")

    def test_forced_before_and_required_now(self):
        """A reload never signs with a selector whose record was not seen, whatever was forced before."""
        server = self.served()
        self.switch(server, "--force")
        self.change(server, self.pool(), require_dns=True)
        self.assert_signs(server, "ak1")
        server.wait_log("warning: keys: pool=acme waits with ak2, its DNS record is missing: ")
        self.assertEqual(self.status(server)["acme", "ak2"]["state"], "waits-for-dns")
        self.zone.publish("ak2", daemon.key("ak2").record)
        server.wait_log("keys: pool=acme signs with ak2 since ", 30, since=server.mark())
        self.assert_signs(server, "ak2")

    def test_what_cannot_be_switched(self):
        server = self.made(self.pool(), self.pool(name="lone", domain="lone.example", following=None))
        for arguments, expect, text in (
                (["none"], UNAVAILABLE, 'no pool "none"'), (["lone"], UNAVAILABLE, "has no dkim_next"),
                ([], USAGE, "expected the name of one pool"), (["acme", "lone"], USAGE, "expected the name of one pool"),
                (["--json", "acme"], USAGE, "unknown option")):
            with self.subTest(arguments=arguments):
                self.assertIn(text, self.keys(server, "switch", *arguments, expect=expect))
        self.assertIn("neither status nor switch", self.keys(server, "print", expect=USAGE))
        self.assertFalse(self.state(server).exists())


class Bound(RotationTest):
    """What was switched is one key of one pool under one name."""

    def setUp(self):
        super().setUp()
        self.zone.publish("ak2", daemon.key("ak2").record)
        self.server = self.served()
        self.switch(self.server)

    def test_another_key_of_the_same_selector(self):
        self.change(self.server, self.pool(key=daemon.key("other").path))
        self.assert_signs(self.server, "ak1")

    def test_another_selector_of_the_same_key(self):
        self.change(self.server, self.pool(following="ak9", key=daemon.key("ak2").path))
        self.assert_signs(self.server, "ak1")

    def test_another_pool_of_the_domain(self):
        self.change(self.server, self.pool(name="bravo"))
        self.assert_signs(self.server, "ak1")

    def test_forgotten_once_it_is_out_of_the_settings(self):
        time.sleep(1.1)         # an entry of this very second may be about newer settings
        self.change(self.server, self.pool(following=None))
        self.assert_signs(self.server, "ak1")
        self.server.wait_log("keys: pool=acme: ak2 is no dkim_next any more")
        self.change(self.server, self.pool())
        self.assert_signs(self.server, "ak1")

    def test_moved_it_is_history(self):
        time.sleep(1.1)
        self.change(self.server, self.pool("ak2", None))
        self.assert_signs(self.server, "ak2")
        self.server.wait_log("keys: pool=acme: ak2 is no dkim_next any more")
        rows = self.status(self.server)
        self.assertEqual(rows["acme", "ak2"]["state"], "signing")
        former = rows["acme", "ak1"]
        self.assertEqual((former["role"], former["state"]), ("former", "retired"))
        self.assertEqual(former["removable"] - former["since"], 7 * 86400)
        self.assertIn("ak1._domainkey.example.com may be removed", self.keys(self.server, "status"))
        self.zone.publish("ak3", daemon.key("ak3").record)
        self.change(self.server, self.pool("ak2", "ak3"))
        self.assert_signs(self.server, "ak2")
        self.switch(self.server)
        self.assert_signs(self.server, "ak3")
        self.assertIn(("acme", "ak1"), self.status(self.server))

    def test_moved_and_not_removed_is_refused(self):
        self.server.write_config([self.pool("ak2", "ak2")])
        done = daemon.poolctl("check", "-c", self.server.config)
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn(b"dkim_next: is dkim_selector and dkim_key already: expected it to be removed", done.stderr)
        since = self.server.mark()
        self.server.send_signal(signal.SIGHUP)
        self.server.wait_log("reload: refused", since=since)
        self.assert_signs(self.server, "ak2")

    def test_two_keys_of_one_name_are_refused(self):
        self.server.write_config([self.pool("ak1", "ak1", key=daemon.key("other").path)])
        done = daemon.poolctl("check", "-c", self.server.config)
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn(b'"ak1": expected another selector than that of dkim_key', done.stderr)

    def test_a_bad_next_key_is_refused(self):
        path = self.server.directory / "bad.pem"
        path.write_text("garbage\n")
        path.chmod(0o600)
        self.server.write_config([self.pool(key=str(path))])
        done = daemon.poolctl("check", "-c", self.server.config)
        self.assertEqual(done.returncode, CONFIG)
        self.assertIn(b"pools[0].dkim_next.key: %s: not a PEM file" % str(path).encode(), done.stderr)


# ---- the clock and the DNS

class Time(RotationTest):
    def test_use_after_passes_while_it_runs(self):
        after = int(time.time()) + 4 * SLOW
        server = self.served(self.pool(use_after=utc(after)))
        self.zone.publish("ak2", daemon.key("ak2").record)
        self.assertEqual(self.status(server)["acme", "ak2"]["state"], "waits-for-time")
        seen = []
        while not seen or seen[-1][1] == "ak1":
            began = time.time()
            seen.append((began, selector_of(self.deliver(server)), time.time()))
            self.assertLess(began, after + 10 * SLOW)
        for began, selector, ended in seen:
            if ended < after:
                self.assertEqual(selector, "ak1")
            if began >= after + 0.05:       # time() may be a tick behind the clock that we read
                self.assertEqual(selector, "ak2")
        self.assertGreater(len(seen), 1)
        server.wait_log("keys: pool=acme signs with ak2 since %s$" % utc(after))
        self.assertFalse(self.state(server).exists())       # the configuration says it all

    def test_require_dns_waits_for_the_record(self):
        server = self.served(self.pool(use_after="2020-01-01"), require_dns=True)
        server.wait_log("warning: keys: pool=acme waits with ak2, its DNS record is missing: ")
        self.assert_signs(server, "ak1")
        self.zone.publish("ak2", daemon.key("other").record)
        server.wait_log("warning: keys: pool=acme waits with ak2, its DNS record is wrong: ", 30)
        for _ in range(5):
            server.reload()
            self.assert_signs(server, "ak1")
        self.assertFalse(self.state(server).exists())
        since = server.mark()
        self.zone.publish("ak2", daemon.key("ak2").record)
        server.wait_log("keys: pool=acme signs with ak2 since ", 30, since=since)
        self.assert_signs(server, "ak2")
        self.assertIn("\nseen acme example.com ak2 ", self.state(server).read_text())
        # It was seen: a restart does not wait for the DNS.
        server.stop()
        self.zone.server.trouble[record_name("ak2")] = "drop"
        server.start()
        self.assert_signs(server, "ak2")

    def test_a_silent_dns_holds_up_nothing(self):
        self.zone.server.trouble[record_name("ak2")] = "drop"
        server = self.served(self.pool(use_after="2020-01-01"), require_dns=True)
        longest = 0.0
        for _ in range(20):
            began = time.monotonic()
            self.assert_signs(server, "ak1")
            longest = max(longest, time.monotonic() - began)
        self.assertLess(longest, 1 * SLOW)
        began = time.monotonic()
        server.reload()
        self.assertLess(time.monotonic() - began, 1 * SLOW)

    def test_reload_between_publishing_and_switch(self):
        server = self.served(require_dns=True)
        self.zone.publish("ak2", daemon.key("ak2").record)
        for _ in range(5):
            server.reload()
            self.assert_signs(server, "ak1")
        self.switch(server)
        self.assert_signs(server, "ak2")

    def test_back_while_it_waits(self):
        server = self.served(self.pool(use_after="2020-01-01"), require_dns=True)
        server.wait_log("warning: keys: pool=acme waits with ak2")
        self.switch(server, "--back")
        self.zone.publish("ak2", daemon.key("ak2").record)
        time.sleep(8 * SLOW)
        self.assert_signs(server, "ak1")
        self.assertNotIn("signs with ak2", server.log)


# ---- keys.state

class State(RotationTest):
    def setUp(self):
        super().setUp()
        self.zone.publish("ak2", daemon.key("ak2").record)

    def _whole(self, server):
        """The state is whole, or not there: poolctl has nothing to say against it."""
        done = daemon.poolctl("keys", "status", "-c", server.config, "--no-dns")
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_killed_at_any_moment(self):
        server = self.served()
        command = [*daemon.WRAP, daemon.POOLCTL, "keys", "switch", "-c", str(server.config), "acme"]
        began = time.monotonic()
        self.switch(server)
        took = time.monotonic() - began
        self.switch(server, "--back")
        outcomes = set()
        for number in range(daemon.scaled(60)):
            self.state(server).unlink(missing_ok=True)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(took * number / 50)
            process.kill()
            process.wait()
            self._whole(server)
            outcomes.add(self.state(server).exists())
            server.reload()
            self.assert_signs(server, "ak2" if self.state(server).exists() else "ak1")
        self.assertEqual(outcomes, {False, True})
        self.switch(server)
        self.assert_signs(server, "ak2")

    def _damages(self, good):
        """{what is wrong: (text, reason)}"""
        lines = good.decode().splitlines(keepends=True)
        entry = lines[1].split(" ")

        def made(*rows, version=lines[0]):
            text = version + "".join(rows)
            return (text + "sha256 %s\n" % hashlib.sha256(text.encode()).hexdigest()).encode()

        def changed(at, word):
            return made(" ".join(entry[:at] + [word] + entry[at + 1:]))
        return {
            "cut": (good[:-10], "it is cut"),
            "cut in an entry": (good[:60], "it is cut"),
            "one letter": (good.replace(b"ak2", b"ak3"), "the checksum does not match"),
            "zeros": (b"\0" * len(good), "the first line is not that of this version"),
            "a later version": (made(version="poolmilter-keys 2\n"), "the first line is not that of this version"),
            "something behind it": (good + b"x\n", "it is cut, or something follows"),
            "an unknown mark": (changed(0, "sworn"), "a line is not as it should be"),
            "no fingerprint": (changed(4, "ab"), "a line is not as it should be"),
            "a time that is none": (changed(5, "-1"), "a line is not as it should be"),
            "a pool twice": (made(lines[1], lines[1]), "a pool stands there twice"),
        }

    def test_damaged(self):
        server = self.served()
        self.switch(server)
        good = self.state(server).read_bytes()
        for name, (text, reason) in self._damages(good).items():
            with self.subTest(damage=name):
                self.state(server).write_bytes(text)
                since = server.mark()
                server.reload()
                server.wait_log("warning: .*state_dir: .*/keys.state: %s.*: no key counts as switched" % reason,
                                since=since)
                self.assert_signs(server, "ak1")
                self.assertEqual(self.state(server).read_bytes(), text)     # left for somebody to look at
                text = self.switch(server)
                self.assertIn("written anew, other pools have to be switched again", text)
                self.assert_signs(server, "ak2")
                self._whole(server)

    def test_what_is_no_file(self):
        server = self.made()
        self.state(server).mkdir()
        server.start()
        self.assertRegex(server.log, "keys.state: not a regular file: no key counts as switched")
        self.assert_signs(server, "ak1")
        self.assertIn("cannot be written", self.switch(server, expect=CREATE))
        self.assert_signs(server, "ak1")

    def _of_nobody(self, readers):
        """Root starts it, it becomes nobody; the keys may be read by a group."""
        server = self.prepare(text="")
        paths = {name: server.directory / (name + ".pem") for name in ("ak1", "ak2")}
        for name, path in paths.items():
            path.write_bytes(pathlib.Path(daemon.key(name).path).read_bytes())
            path.chmod(0o640)
            os.chown(path, NOBODY, readers)
        for path in (server.directory, server.directory / "state"):
            os.chown(path, NOBODY, -1)
            path.chmod(0o755)
        server.settings.update(user="nobody", resolver=self.zone.resolver, pid_file=str(server.directory / "pid"))
        server.write_config([daemon.pool(dkim_selector="ak1", dkim_key=str(paths["ak1"]),
                                         dkim_next={"selector": "ak2", "key": str(paths["ak2"])})])
        return server.start()

    def test_as_root_and_as_the_user(self):
        for uid in (0, NOBODY):
            with self.subTest(uid=uid):
                server = self._of_nobody(NOBODY)
                for arguments, selector in (([], "ak2"), (["--back"], "ak1")):
                    since = server.mark()
                    done = subprocess.run([*daemon.WRAP, daemon.POOLCTL, "keys", "switch", "-c", str(server.config),
                                           *arguments, "acme"], capture_output=True, check=False,
                                          preexec_fn=become(uid))
                    self.assertEqual(done.returncode, 0, done.stderr)
                    server.wait_log("reload: done", since=since)
                    self.assert_signs(server, selector)

    def test_without_rights(self):
        server = self._of_nobody(STRANGER)      # who can read the configuration and the keys
        done = subprocess.run([*daemon.WRAP, daemon.POOLCTL, "keys", "switch", "-c", str(server.config), "acme"],
                              capture_output=True, check=False, preexec_fn=become(STRANGER))
        self.assertEqual(done.returncode, NO_RIGHTS, done.stderr)
        self.assertIn(b"/state: Permission denied\n", done.stderr)
        self.assertFalse(self.state(server).exists())
        self.assert_signs(server, "ak1")
        for path in server.directory.glob("ak*.pem"):
            os.chown(path, NOBODY, NOBODY)
        done = subprocess.run([*daemon.WRAP, daemon.POOLCTL, "keys", "switch", "-c", str(server.config), "acme"],
                              capture_output=True, check=False, preexec_fn=become(STRANGER))
        self.assertEqual(done.returncode, CONFIG, done.stderr)
        self.assertFalse(self.state(server).exists())

    def test_two_switches_at_a_time(self):
        names = ["p%d" % number for number in range(6)]
        for name in names:
            self.zone.publish("ak1", daemon.key("ak1").record, name + ".example")
            self.zone.publish("ak2", daemon.key("ak2").record, name + ".example")
        server = self.served(*(self.pool(name=name, domain=name + ".example") for name in names))
        for arguments, selector in ([], "ak2"), (["--back"], "ak1"), ([], "ak2"):
            running = [subprocess.Popen([*daemon.WRAP, daemon.POOLCTL, "keys", "switch", "-c", str(server.config),
                                         *arguments, name], stdout=subprocess.DEVNULL) for name in names * 2]
            self.assertEqual([process.wait() for process in running], [0] * len(running))
            self._whole(server)
            time.sleep(1)
            server.reload()
            for name in names:
                self.assert_signs(server, selector, b"a@%s.example" % name.encode())


# ---- keys status

class Status(RotationTest):
    def test_table(self):
        server = self.made()
        text = self.keys(server, "status")
        self.assertRegex(text, r"(?m)^POOL +SELECTOR +DOMAIN +TYPE +AGE +STATE +DNS$")
        self.assertRegex(text, r"(?m)^acme +ak1 +example.com +rsa-2048 +0d +signing +published$")
        self.assertRegex(text, r"(?m)^acme +ak2 +example.com +rsa-2048 +0d +waits-for-switch +missing$")
        self.assertRegex(text, r"(?m)^acme: ak2._domainkey.example.com: .*poolctl dns print shows the record$")
        self.zone.publish("ak2", daemon.key("ak2").record)
        self.assertIn("acme: ak2 is published: poolctl keys switch acme\n", self.keys(server, "status"))
        self.switch(server)
        text = self.keys(server, "status", "acme")
        self.assertRegex(text, r"(?m)^acme +ak1 +example.com +rsa-2048 +0d +retired on \S+Z +published$")
        self.assertRegex(text, r"(?m)^acme +ak2 +example.com +rsa-2048 +0d +signing since \S+Z +published$")
        self.assertRegex(text, r"may be removed from the DNS from \d{4}-\d\d-\d\d on; before, make ak2 dkim_selector")

    def test_json(self):
        server = self.made(self.pool(use_after="2030-01-02T03:04:05Z"))
        rows = self.status(server)
        changed = int(os.stat(daemon.key("ak2").path).st_mtime)
        self.assertEqual(rows["acme", "ak1"], {
            **rows["acme", "ak1"], "domain": "example.com", "role": "dkim_key", "state": "signing",
            "file": daemon.key("ak1").path, "type": "rsa-2048", "since": None, "use_after": None, "removable": None,
            "dns": "published", "dns_why": None, "record": daemon.key("ak1").record, "also_for": None})
        self.assertEqual(rows["acme", "ak2"], {
            **rows["acme", "ak2"], "role": "dkim_next", "state": "waits-for-time", "use_after": 1893553445,
            "changed": changed, "dns": "missing", "record": daemon.key("ak2").record})

    def test_exit_status(self):
        server = self.made()
        self.zone.publish("ak1", daemon.key("other").record)
        self.assertEqual(self.status(server, expect=REFUSED)["acme", "ak1"]["dns"], "wrong")
        self.zone.remove("ak1")
        self.assertEqual(self.status(server, expect=REFUSED)["acme", "ak1"]["dns"], "missing")
        self.zone.server.trouble[record_name("ak1")] = "servfail"
        self.assertEqual(self.status(server, expect=LATER)["acme", "ak1"]["dns"], "unknown")
        asked = self.zone.server.queries.total()
        rows = self.status(server, "--no-dns")
        self.assertIsNone(rows["acme", "ak1"]["dns"])
        self.assertEqual(self.zone.server.queries.total(), asked)
        self.assertIn('no pool "none"', self.keys(server, "status", "none", expect=UNAVAILABLE))

    def test_one_key_for_two_domains(self):
        server = self.made(self.pool(following=None), self.pool(following=None, name="bravo", domain="bravo.example"),
                           self.pool("ak9", None, name="lone", domain="lone.example"))
        self.zone.publish("ak1", daemon.key("ak1").record, "bravo.example")
        self.zone.publish("ak9", daemon.key("ak9").record, "lone.example")
        rows = self.status(server)
        self.assertEqual({key[0]: row["also_for"] for key, row in rows.items()},
                         {"acme": "bravo.example", "bravo": "example.com", "lone": None})
        text = self.keys(server, "status")
        self.assertIn("signs for bravo.example, too: expected a key for each domain", text)
        self.assertEqual(len(re.findall("too: expected a key", text)), 2)

    def test_kinds_and_other_signatures(self):
        key = daemon.key("ed", "ed25519")
        pool = daemon.pool(dkim_selector="ak1", dkim_key=daemon.key("ak1").path, signatures=(
            {"selector": "ed", "key": key.path},))
        self.zone.publish("ed", key.record)
        row = self.status(self.made(pool))["acme", "ed"]
        self.assertEqual((row["role"], row["type"], row["state"], row["dns"]),
                         ("signatures", "ed25519", "signing", "published"))


if __name__ == "__main__":
    if sys.argv[1:] == ["--verify"]:
        verifier()
    else:
        common.main()
