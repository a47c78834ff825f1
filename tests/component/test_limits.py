#!/usr/bin/python3
"""Sending limits in the memory of one daemon, seen from the MTA (FAULTS.md, row E5).  That they are strict:
test_windows.py.
"""
import os
import pathlib
import re
import signal
import time

import common
import daemon
import sink

ISPS = ({"name": "big", "domains": ["big.example", "also.big.example"], "limits": ["3/minute"]},
        {"name": "all", "domains": ["all.example"], "total_limits": ["4/hour"]},
        {"name": "free", "domains": ["free.example"]})
ACME = daemon.pool()
BETA = daemon.pool("beta", "beta.example")
REPLY = (rb"451 4\.7\.1 Sending limit %s is reached, try again in (\d+) seconds?$")
FAKETIME = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def to(*recipients):
    return [each.encode() for each in recipients]


class LimitsTest(common.ComponentTest):
    def limited(self, pools=None, **settings):
        return self.serve(pools or [ACME], **{"isps": ISPS, **settings})

    def send(self, session, *recipients, sender=b"a@example.com", data=None):
        self.number = getattr(self, "number", 0) + 1
        result = session.deliver(common.message(sender) if data is None else data, sender, to(*recipients),
                                 queue_id="4N%04d" % self.number)
        result.queue_id = "4N%04d" % self.number
        return result

    def assert_accepted(self, result, limit="ok", server=None):
        self.assertEqual((result.status, result.reply, result.quarantine), ("accepted", None, None))
        if server:
            self.assertEqual(server.message_line(result.queue_id)["limit"], limit)

    def assert_deferred(self, result, words, server, name):
        """451 with the limit and the seconds; nothing changed; the log has the same wait."""
        self.assertEqual((result.status, result.stage), ("deferred", "eom"), result.reply)
        match = re.match(REPLY % words.encode(), result.reply)
        self.assertTrue(match, result.reply)
        self.assertEqual(result.edits, [])
        line = server.message_line(result.queue_id)
        self.assertEqual((line["result"], line["reason"], line["limit"], line["dkim"]),
                         ("deferred", "limit", "over:" + name, "-"))
        self.assertEqual(-(-int(line["wait_ms"]) // 1000), int(match.group(1)))


class Counting(LimitsTest):
    def test_recipients(self):
        server = self.limited([daemon.pool(limits=["5/hour"])])
        session = self.session(server)
        self.assert_accepted(self.send(session, "a@free.example", "b@free.example", "c@example.net"), server=server)
        self.assert_deferred(self.send(session, *["%d@free.example" % n for n in range(3)]), "5/hour of pool acme",
                             server, "p/acme/5/hour")
        self.assert_accepted(self.send(session, "a@free.example", "b@free.example"))
        self.assertEqual(self.send(session, "a@free.example").status, "deferred")

    def test_messages(self):
        server = self.limited([daemon.pool(limits=["2/hour"], count="messages")])
        session = self.session(server)
        self.assert_accepted(self.send(session, *["%d@big.example" % n for n in range(9)]))
        self.assert_accepted(self.send(session, "a@free.example"))
        self.assert_deferred(self.send(session, "a@free.example"), "2/hour of pool acme", server, "p/acme/2/hour")

    def test_a_pool_and_an_isp(self):
        """Each pool has the record's limits for itself, or its own for this ISP."""
        server = self.limited([ACME, BETA, daemon.pool("own", "own.example", isp_limits=(
            {"isp": "BIG", "limits": ["1/minute"]},)), daemon.pool("none", "none.example", isp_limits=({"isp": "big"},))])
        session = self.session(server)
        for sender, name, most in ((b"a@example.com", "acme", 3), (b"a@beta.example", "beta", 3), (b"a@own.example", "own", 1)):
            with self.subTest(pool=name):
                for number in range(most):
                    self.assert_accepted(self.send(session, "%d@also.big.example" % number, sender=sender))
                self.assert_deferred(self.send(session, "a@big.example", sender=sender),
                                     "%d/minute of pool %s to big" % (most, name), server,
                                     "pi/%s/big/%d/minute" % (name, most))
                self.assert_accepted(self.send(session, "a@free.example", sender=sender), "-", server)
        for number in range(9):
            self.assert_accepted(self.send(session, "a@big.example", sender=b"a@none.example"), "-", server)

    def test_all_pools_together(self):
        server = self.limited([ACME, BETA])
        session = self.session(server)
        self.assert_accepted(self.send(session, "a@all.example", "b@all.example"), server=server)
        self.assert_accepted(self.send(session, "a@all.example", sender=b"a@beta.example"))
        self.assert_deferred(self.send(session, "a@all.example", "b@all.example"), "4/hour to all", server, "i/all/4/hour")
        self.assert_accepted(self.send(session, "a@all.example", sender=b"a@beta.example"))

    def test_all_or_none(self):
        """A message over one limit is not charged to another; nor is one that fails for another reason."""
        server = self.limited([daemon.pool(limits=["6/hour"])], max_message_size=5000)
        session = self.session(server)
        self.assert_accepted(self.send(session, "a@big.example", "b@big.example", "c@big.example"))
        for number in range(10):
            result = self.send(session, "a@big.example", "b@free.example")
            self.assert_deferred(result, "3/minute of pool acme to big", server, "pi/acme/big/3/minute")
            result = self.send(session, "a@free.example", data=common.message(body=b"x" * 9000))
            self.assertEqual((result.status, result.reply[:3]), ("rejected", b"552"))
        self.assert_accepted(self.send(session, "a@free.example", "b@free.example", "c@free.example"))
        self.assert_deferred(self.send(session, "a@free.example"), "6/hour of pool acme", server, "p/acme/6/hour")

    def test_mail_that_is_not_treated_is_not_counted(self):
        server = self.limited()
        for number in range(9):
            result = self.deliver(server, common.message(b"a@nowhere.example"), b"a@nowhere.example", to("a@big.example"))
            self.assertEqual(result.status, "accepted")
            self.assertEqual(self.deliver(server, recipients=to("a@big.example"), login=None).status, "accepted")
        self.assert_accepted(self.send(self.session(server), *["%d@big.example" % n for n in range(3)]))


class OverTheLimit(LimitsTest):
    def fill(self, session):
        self.assert_accepted(self.send(session, *["%d@big.example" % n for n in range(3)]))

    def assert_held(self, result, server):
        self.assert_signed(result, ACME)
        self.assertEqual(result.quarantine, b"poolmilter: over the limit 3/minute of pool acme to big")
        line = server.message_line(result.queue_id)
        self.assertEqual((line["result"], line["reason"], line["limit"]), ("held", "limit", "over:pi/acme/big/3/minute"))

    def test_hold(self):
        server = self.limited([daemon.pool(on_limit="hold")])
        session = self.session(server)
        self.fill(session)
        self.assert_held(self.send(session, "a@big.example"), server)
        self.assert_held(self.send(session, *["%d@big.example" % n for n in range(4)]), server)
        self.assert_accepted(self.send(session, "a@free.example"))

    def test_hold_with_a_new_body(self):
        """The body is still one run of its own."""
        isps = tuple({**isp, "encoding": {"global": "base64"}} for isp in ISPS)
        server = self.limited([daemon.pool(on_limit="hold")], isps=isps)
        session = self.session(server)
        self.fill(session)
        result = self.send(session, "a@big.example")
        self.assert_held(result, server)
        kinds = [edit[0] for edit in result.edits]
        self.assertEqual((kinds[-1], kinds.count("quarantine")), ("replbody", 1))

    def test_warn(self):
        server = self.limited([daemon.pool(on_limit="warn")])
        session = self.session(server)
        self.fill(session)
        result = self.send(session, "a@big.example")
        self.assert_signed(result, ACME)
        self.assertIsNone(result.quarantine)
        line = server.message_line(result.queue_id)
        self.assertEqual((line["result"], line["limit"], "reason" in line),
                         ("accepted", "over:pi/acme/big/3/minute", False))
        self.assertGreater(int(line["wait_ms"]), 30000)

    def test_local_submission_is_held_not_deferred(self):
        server = self.limited()
        self.fill(self.session(server))
        local = self.session(server, login=None, hostname=b"localhost", family="U")
        self.assert_held(self.send(local, "a@big.example"), server)
        self.assert_held(self.send(local, *["%d@big.example" % n for n in range(4)]), server)

    def test_never(self):
        server = self.limited()
        session = self.session(server)
        result = self.send(session, *["%d@big.example" % n for n in range(4)])
        self.assert_refused(result, "rejected", b"554 5.7.1 More recipients (4) than the sending limit 3/minute of pool "
                                                b"acme to big ever allows: ")
        self.assertEqual(result.edits, [])
        line = server.message_line(result.queue_id)
        self.assertEqual((line["limit"], line["wait_ms"], line["reason"]), ("over:pi/acme/big/3/minute", "-", "limit"))
        self.fill(session)

    def test_at_rcpt(self):
        server = self.limited()
        session = self.session(server)
        self.assert_accepted(self.send(session, *["%d@all.example" % n for n in range(4)]))
        result = self.send(session, "a@all.example", "b@free.example", "c@all.example")
        self.assert_accepted(result, "-", server)
        self.assertEqual(result.recipients, [b"b@free.example"])
        self.assertEqual(sorted(result.refused), [b"a@all.example", b"c@all.example"])
        for reply in result.refused.values():
            self.assertRegex(reply, REPLY % b"4/hour to all")
        server.wait_log(r": limit: rcpt=<c@all\.example> limit=over:i/all/4/hour wait_ms=\d+ result=deferred$")
        # Not where the client has no other time, nor where it is not ours.
        local = self.session(server, login=None, hostname=b"localhost", family="U")
        result = self.send(local, "a@all.example")
        self.assertEqual((result.refused, result.quarantine is not None), ({}, True))
        self.assertEqual(self.deliver(server, login=None, recipients=to("a@all.example")).refused, {})

    def test_E5_retry_after_the_window(self):
        """Refused ones are not charged, so the retry finds room as soon as the window has passed."""
        server = self.serve([daemon.pool(limits=["3/2s"])])
        session = self.session(server)
        began = time.monotonic()
        for _ in range(3):
            self.assert_accepted(self.send(session, "a@example.net"))
        filled = time.monotonic()
        refused, result = 0, None
        while time.monotonic() < began + 20:
            result = self.send(session, "a@example.net")
            if result.status == "accepted":
                break
            refused += 1
            self.assertEqual(result.status, "deferred")
            wait = int(server.message_line(result.queue_id)["wait_ms"])
            self.assertLessEqual(wait, 2000)
            time.sleep(min(wait / 1000 + 0.001, 0.2))
        self.assert_signed(result, ACME)
        self.assertGreater(refused, 3)
        self.assertGreaterEqual(time.monotonic() - began, 2)
        self.assertLess(time.monotonic() - filled, 2 + 0.5 * (10 if daemon.instrumented() else 1))


class Split(LimitsTest):
    """A message in pieces is charged once; over a limit no piece of it is sent."""

    def setUp(self):
        self.sink = sink.Sink().start()
        self.addCleanup(self.sink.stop)

    def serve_split(self, isps, **pool):
        return self.serve([daemon.pool(**pool)], isps=isps, mixed_isps="split",
                          reinject="smtp://127.0.0.1:%d" % self.sink.port)

    ISPS = ({"name": "one", "domains": ["one.example"], "limits": ["2/hour"], "encoding": {"global": "base64"}},
            {"name": "two", "domains": ["two.example"], "limits": ["3/hour"], "total_limits": ["3/hour"]})
    MIXED = ("a@one.example", "b@two.example", "c@two.example")

    def test_charged_once(self):
        server = self.serve_split(self.ISPS, limits=["4/hour"])
        session = self.session(server)
        first = self.send(session, *self.MIXED)
        self.assert_accepted(first, server=server)
        self.assertEqual(first.recipients, to("a@one.example"))
        copy, = self.sink.wait(1, timeout=10)
        # The copy comes in as the MTA gives it: from this host, without a login. It is paid for.
        inner = self.session(server, login=None, client=b"127.0.0.1", hostname=b"localhost")
        again = self.send(inner, *copy.rcpts, sender=copy.sender.encode(), data=copy.content)
        self.assert_accepted(again, "-", server)
        self.assertEqual((again.refused, len(again.recipients)), ({}, 2))
        # 3 of the pool, 1 to one and 2 to two are charged: one each is left.
        self.assertEqual(self.send(session, "a@one.example", "b@one.example").status, "deferred")
        self.assert_accepted(self.send(session, "c@two.example"), server=server)
        self.assert_deferred(self.send(session, "a@one.example"), "4/hour of pool acme", server, "p/acme/4/hour")

    def test_copies_that_are_not_taken_are_not_charged_again(self):
        server = self.serve_split(self.ISPS, limits=["4/hour"])
        self.sink.stop()
        session = self.session(server)
        first = self.send(session, *self.MIXED)
        self.assert_accepted(first, server=server)
        self.assertEqual(first.recipients, to(*self.MIXED))
        self.assert_accepted(self.send(session, "c@two.example"), server=server)
        self.assertEqual(self.send(session, "a@one.example").status, "deferred")

    def test_over_the_limit_nothing_is_injected(self):
        for on_limit, status in (("defer", "deferred"), ("hold", "accepted")):
            with self.subTest(on_limit=on_limit):
                server = self.serve_split(self.ISPS, on_limit=on_limit)
                session = self.session(server)
                self.assert_accepted(self.send(session, "a@two.example", "b@two.example"))
                result = self.send(session, *self.MIXED)
                self.assertEqual(result.status, status)
                if status == "accepted":    # whole, in quarantine, treated by the record default
                    self.assertIsNotNone(result.quarantine)
                    self.assertEqual(result.recipients, to(*self.MIXED))
                    self.assertEqual(server.message_line(result.queue_id)["mixed"], "neutral")
                    self.assert_signed(result, ACME)
                self.assert_accepted(self.send(session, "a@one.example", "b@one.example"))
        time.sleep(0.5)
        self.assertEqual(self.sink.messages, [])


class Life(LimitsTest):
    """Counters outlive a restart and a reload."""

    POOL = daemon.pool(limits=["5/hour"])

    def state(self, server):
        return server.directory / "state" / "limits.state"

    def left(self, server):
        """How many more of 5 are accepted."""
        session = self.session(server)
        for count in range(7):
            if self.send(session, "a@example.net").status != "accepted":
                return count
        return None

    def test_restart(self):
        server = self.serve([self.POOL])
        self.assert_accepted(self.send(self.session(server), "a@example.net", "b@example.net", "c@example.net"))
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.state(server).stat().st_mode & 0o777, 0o600)
        server.start()
        self.assertNotIn("limits:", server.log)
        self.assertEqual(self.left(server), 2)

    def test_damaged_file(self):
        server = self.serve([self.POOL])
        self.assert_accepted(self.send(self.session(server), "a@example.net"))
        self.assertEqual(server.stop(), 0)
        whole = self.state(server).read_bytes()
        for name, damaged in (("cut", whole[:-9]), ("changed", whole.replace(b"acme", b"acne")), ("text", b"hello\n"),
                              ("octets", os.urandom(5000))):
            with self.subTest(name):
                self.state(server).write_bytes(damaged)
                since = server.mark()
                server.start()
                server.wait_log(r"warning: limits: \S+/limits\.state: .+: the counters begin empty$", since=since)
                self.assertEqual(self.left(server), 5)
                self.assertEqual(server.stop(), 0)
        self.state(server).unlink()
        self.state(server).mkdir()
        since = server.mark()
        server.start()
        server.wait_log(r"warning: limits: \S+/limits\.state: not a regular file: the counters", since=since)
        self.assertEqual(self.left(server), 5)
        since = server.mark()
        self.assertEqual(server.stop(), 0)
        server.wait_log(r"warning: limits: \S+/limits\.state: cannot be written: ", since=since)

    def test_reload(self):
        """A limit that did not change goes on; a changed one begins anew, and the old one's count is not lost."""
        server = self.serve([daemon.pool(limits=["5/hour", "100/day"])])
        self.assert_accepted(self.send(self.session(server), "a@example.net", "b@example.net"))
        server.write_config([self.POOL])
        server.reload()
        self.assertEqual(self.left(server), 3)
        server.write_config([daemon.pool(limits=["6/hour"])])
        server.reload()
        self.assertEqual(self.left(server), 6)
        server.write_config([self.POOL])
        server.reload()
        self.assertEqual(self.left(server), 0)
        server.write_config([daemon.pool()])
        server.reload()
        self.assert_accepted(self.send(self.session(server), "a@example.net"), "-", server)

    def test_a_limit_appears_by_reload_in_the_middle_of_a_message(self):
        """The message ends under the settings that it began with."""
        server = self.serve()
        session = self.session(server)
        client = session.filter
        client.macros("M", {"{auth_authen}": "acme"})
        client.mail([b"<a@example.com>"])
        for number in range(9):
            client.rcpt([b"<%d@example.net>" % number])
        client.data()
        server.write_config([self.POOL])
        server.reload()
        client.header(b"From", b" a@example.com")
        client.eoh()
        edits, reply = client.end_of_message()
        self.assertIsNone(reply.smtp)
        self.assertIn("insheader", [edit[0] for edit in edits])

    def test_written_each_minute(self):
        """A minute passes in a second; the process ends without a chance to write.

        libfaketime leaves the wait for signals as long as it is, so a signal ends it."""
        if not FAKETIME:
            self.skipTest("libfaketime is not installed")
        server = self.prepare([daemon.pool(limits=["5/31d"])])
        server.env = {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": "+0 x60", "DONT_FAKE_MONOTONIC": "0"}
        server.start()
        self.assert_accepted(self.send(self.session(server), "a@example.net", "b@example.net"))
        self.assertTrue(daemon.wait_for(lambda: server.reload() and self.state(server).exists(), 20, 0.3))
        first = self.state(server).stat()
        time.sleep(2.5)
        server.reload()
        server.reload()
        self.assertEqual(self.state(server).stat().st_ino, first.st_ino, "written again though nothing has changed")
        server.send_signal(signal.SIGKILL)
        server.wait_exit()
        server.env = {}
        server.start()
        self.assertEqual(self.left(server), 3)


if daemon.instrumented():
    del Life.test_written_each_minute   # a sanitizer's run time and libfaketime wait for each other


if __name__ == "__main__":
    common.main()
