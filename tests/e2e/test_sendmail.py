#!/usr/bin/python3
"""poolmilter under a real Sendmail 8.17.

Sendmail is unpacked from Debian's packages, not installed (see tests/lib/sendmail.py).  It has no
XCLIENT: 127.0.0.2 plays the trusted client here and 127.0.0.1 the stranger.
Needs root, unshare, m4, apt-get (or $POOLMILTER_DEBS), python3-dkim, python3-nacl, libmail-dkim-perl.
"""
import itertools
import time
import unittest

import rig
from rig import daemon

import sendmail

ACME = rig.Pool("acme", "example.com", spf_domain="ac-bounces.example.com", selectors=("ak",))
DUAL = rig.Pool("dual", "dual.example", selectors=("r1",), ed25519="e1")
EDIT = rig.Pool("edit", "edit.example",
                delete_headers=["X-Internal-*", "X-Campaign"],
                set_headers=({"name": "X-Mailer", "value": "the tests"},),
                add_headers=({"name": "X-Sender-Id", "value": "${pool}"},))
HELD = rig.Pool("held", "held.example", limits=["1/hour"], on_limit="hold", selectors=("h1",))
POOLS = (ACME, DUAL, EDIT)

TRUSTED, STRANGER = "127.0.0.2", "127.0.0.1"


class Sendmail(rig.E2ETest):
    @classmethod
    def setUpClass(cls):
        site = rig.Site((*POOLS, HELD), make_mta=sendmail.Sendmail, trusted_networks=[TRUSTED + "/32"])
        try:
            cls.site = site.start()
        except sendmail.Missing as missing:
            raise unittest.SkipTest(str(missing))

    def setUp(self):
        if not self.site.daemon.alive:
            self.site.restart_daemon()
        super().setUp()

    def deliver(self, number, content=None, author="author@example.com", source=TRUSTED,
                **options):
        sent = content if content is not None else rig.message(author, number)
        reply = self.site.send(sent, options.pop("sender", author), source=source, **options)
        self.assertTrue(reply.accepted, reply)
        return self.one(number), sent

    def test_two_hundred_messages(self):
        count = daemon.scaled(200)
        extra = b"X-Internal-Route: 7\r\nX-Campaign: spring\r\n sale\r\nX-Mailer: none\r\n"

        def jobs():
            for number, pool in zip(range(count), itertools.cycle(POOLS)):
                author = "author@" + pool.domain
                body = b"line %d\r\n.dot\r\n\r\n" % number * (number % 97)
                yield (str(number), rig.message(author, number, extra, body), author,
                       ["reader@example.net"])
        load = rig.Load(self.site.mta.port, jobs(), sessions=10, source=TRUSTED).start().join()
        self.assertEqual(load.refusals, [])
        messages = self.site.sink.wait(count, 60)
        self.assertEqual(len(messages), count)
        for pool in POOLS:
            mail = [m for m in messages if m.sender.endswith("@" + pool.spf_domain)]
            self.assertIn(len(mail), (count // 3, count // 3 + 1))
            self.assert_treated(mail, load.sent, pool)
        lines = self.site.message_lines()
        for answers in load.replies.values():
            self.assertEqual(len(lines.get(answers[-1].queue_id, [])), 1, answers[-1])

    def test_stranger_is_never_signed(self):
        message, sent = self.deliver("stranger", source=STRANGER)
        self.assert_unsigned(message, sent, "author@example.com")

    def test_null_sender_stays(self):
        message, _ = self.deliver("null", sender="")
        self.assertEqual(message.sender, "")
        self.assert_verifies([message], ACME)

    def test_several_recipients_share_a_token(self):
        rcpts = ["r%d@example.net" % n for n in range(20)]
        message, _ = self.deliver("many", rcpts=rcpts)
        self.assertEqual(sorted(message.rcpts), sorted(rcpts))
        self.assert_moved(message, ACME)

    def test_esmtp_arguments_are_kept(self):
        message, _ = self.deliver("args", mail_args="BODY=8BITMIME RET=HDRS ENVID=QQ314159",
                                  rcpt_args="NOTIFY=SUCCESS,DELAY")
        self.assert_moved(message, ACME)
        self.assertEqual((message.sender_args.get("RET"), message.sender_args.get("ENVID")),
                         ("HDRS", "QQ314159"))
        self.assertEqual(message.rcpt_args[0].get("NOTIFY"), "SUCCESS,DELAY")

    def test_D1_fifty_copies(self):
        names = (b"X-Campaign", b"x-campaign", b"X-Internal-A", b"x-InterNAL-b")
        extra = b"".join(b"%s: copy %d\r\nX-Keep: %d\r\n" % (names[n % 4], n, n)
                         for n in range(50))
        content = rig.message("author@edit.example", "fifty", extra)
        message, _ = self.deliver("fifty", content, "author@edit.example")
        self.assert_treated([message], {"fifty": content}, EDIT)

    def test_D7_headers(self):
        cases = {
            "folds": b"References:\r\n <1@example.com>\r\n\t<2@example.com>\r\n",
            "tabs": b"In-Reply-To:\t<1@example.com>\r\nX-A:\tb\tc\r\n",
            "8bit": b"X-Latin1: \xe4\xf6\xfc\r\nCc: J\xc3\xb6rg <j@example.net>\r\n",
            "no-space": b"X-A:b\r\nList-Id:<l.example.com>\r\n",
            "spaces": b"X-A:    b\r\nReply-To:   r@example.com\r\n",
            "long": b"References: " + b"<r@example.com>" * 50 + b"\r\n",
        }
        for number, extra in cases.items():
            with self.subTest(number):
                message, _ = self.deliver(number, rig.message(number=number, extra=extra))
                self.assert_moved(message, ACME)
                self.assert_verifies([message], ACME)

    def test_bodies(self):
        cases = {"dots": b".\r\n..\r\n.x\r\n", "empty": b"", "lines": b"\r\n\r\n",
                 "blanks": b"a \t\r\n \r\n", "from": b"From here\r\n"}
        cases["big"] = (b"x" * 70 + b"\r\n") * 3000
        for number, body in cases.items():
            with self.subTest(number):
                message, sent = self.deliver(number, rig.message(number=number, body=body))
                self.assert_treated([message], {number: sent}, ACME)

    def test_forged_bounce_is_refused(self):
        message, _ = self.deliver("token")
        local, _, domain = message.sender.partition("@")
        with self.site.connect(source=STRANGER) as c:
            self.assertTrue(c.mail("").accepted)
            self.assertTrue(c.rcpt(message.sender).accepted)
            self.assertEqual(c.rcpt("%s@%s" % (local[:-4], domain)).code, 550)

    def test_over_a_limit_it_is_held_until_it_is_let_go(self):
        author = "author@held.example"
        self.deliver("fits", author=author)
        content = rig.message(author, "held")
        reply = self.site.send(content, author, source=TRUSTED)
        self.assertTrue(reply.accepted, reply)
        line, = self.site.message_lines()[reply.queue_id]
        self.assertEqual((line["result"], line["limit"]), ("held", "over:p/held/1/hour"))
        time.sleep(3)       # the queue is run every 2 s
        self.assertNotIn("held", [rig.number_of(m.content) for m in self.site.sink.messages])
        self.assertIn(b"poolmilter: over the limit 1/hour of pool held", self.site.mta.command("-bp", "-qQ"))
        self.site.mta.command("-qQ", "-Q", "-qI" + reply.queue_id)
        self.assert_treated([self.one("held")], {"held": content}, HELD)
        self.assertEqual(len(self.site.message_lines()[reply.queue_id]), 1)

    def test_A1_killed(self):
        self.site.daemon.kill()
        content = rig.message(number="killed")
        self.assertTrue(self.site.send(content, source=TRUSTED).deferred)
        self.site.restart_daemon()
        message, _ = self.deliver("killed", content)
        self.assert_treated([message], {"killed": content}, ACME)

    def test_A1_killed_between_envelope_and_data(self):
        content = rig.message(number="middle")
        with self.site.connect(source=TRUSTED) as c:
            self.assertTrue(c.mail("author@example.com").accepted)
            self.assertTrue(c.rcpt("reader@example.net").accepted)
            self.site.daemon.kill()
            reply = c.command("DATA", "DATA")
            if reply.code == 354:
                reply = c.content(content)
            self.assertTrue(reply.deferred, reply)
        self.site.restart_daemon()
        message, _ = self.deliver("middle", content)
        self.assertEqual(len(self.site.sink.messages), 1)
        self.assert_treated([message], {"middle": content}, ACME)


if __name__ == "__main__":
    rig.main()
