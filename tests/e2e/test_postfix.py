#!/usr/bin/python3
"""poolmilter under a real Postfix: what leaves it, byte for byte, and what becomes of faults.

Letters with numbers (A1, D4, ...) are rows of the project's table of faults.
Needs root, Debian's postfix, python3-dkim, python3-nacl, libmail-dkim-perl, opendkim.
"""
import itertools
import os
import re
import signal
import time

import rig
from rig import daemon, redis, verify

ACME = rig.Pool("acme", "example.com", spf_domain="ac-bounces.example.com", selectors=("ak",))
DUAL = rig.Pool("dual", "dual.example", selectors=("r1",), ed25519="e1")
EDIT = rig.Pool("edit", "edit.example",
                delete_headers=["X-Internal-*", "X-Campaign"],
                set_headers=({"name": "X-Mailer", "value": "the tests"},),
                add_headers=({"name": "X-Sender-Id", "value": "${pool}"},))
IDN = rig.Pool("idn", "xn--bcher-kva.example", asked="b\u00fccher.example")
WIDE = rig.Pool("wide", "wide.example", match_subdomains=True)
MEMBERS = rig.Pool("members", "members.example", users=["member-*"])
PLAIN = rig.Pool("plain", "plain.example", return_path="plain")
VERP = rig.Pool("verp", "verp.example", return_path="verp")
KEEP = rig.Pool("keep", "keep.example", return_path="keep")
POOLS = (ACME, DUAL, EDIT, IDN, WIDE, MEMBERS, PLAIN, VERP, KEEP)


def jobs(numbers, pools=(ACME,), body=b"Hello,\r\n\r\nworld.\r\n"):
    """Jobs for rig.Load: messages of the pools in turn."""
    for number, pool in zip(numbers, itertools.cycle(pools)):
        author = "author@" + pool.domain
        yield (str(number), rig.message(author, number, body=body), author,
               ["reader@example.net"])


class Thousand(rig.E2ETest):
    """The bar of the project's first issue, and the log lines that go with it."""

    COUNT = daemon.scaled(1000)
    USED = (ACME, DUAL, EDIT)

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS).start()
        cls.load = rig.Load(cls.site.mta.port, cls.thousand()).start().join()
        cls.arrived = cls.site.sink.wait(len(cls.load.accepted), 120)

    @classmethod
    def thousand(cls):
        extra = (b"X-Internal-Route: 7\r\nX-Campaign: spring\r\n sale\r\nX-Mailer: none\r\n"
                 b"x-internal-ID:\t8\r\n")
        for number, pool in zip(range(cls.COUNT), itertools.cycle(cls.USED)):
            author = "author@" + pool.domain
            body = b"line %d\r\n.dot\r\n\r\n" % number * (number % 97)
            yield (str(number), rig.message(author, number, extra, body), author,
                   ["reader-%d@example.net" % number])

    def setUp(self):
        pass        # the sink keeps what setUpClass() delivered

    def test_all_are_delivered_once(self):
        self.assertEqual(self.load.refusals, [])
        self.assertEqual(len(self.load.accepted), self.COUNT)
        self.assertEqual(sorted(rig.number_of(m.content) for m in self.arrived),
                         sorted(str(n) for n in range(self.COUNT)))
        for message in self.arrived:
            self.assertEqual(message.rcpts,
                             ["reader-%s@example.net" % rig.number_of(message.content)])
        self.assertTrue(self.site.mta.wait_empty())
        self.assertEqual(self.site.mta.corrupt(), [])

    def test_all_verify_and_nothing_else_changed(self):
        for pool in self.USED:
            mail = [m for m in self.arrived if m.sender.endswith("@" + pool.spf_domain)]
            self.assertIn(len(mail), (self.COUNT // len(self.USED),
                                      self.COUNT // len(self.USED) + 1))
            self.assert_treated(mail, self.load.sent, pool)

    def test_no_two_messages_share_a_token(self):
        self.assertEqual(len({m.sender for m in self.arrived}), self.COUNT)

    def test_one_log_line_each(self):
        lines = self.site.message_lines()
        for number, answers in self.load.replies.items():
            found = lines.get(answers[-1].queue_id, [])
            self.assertEqual(len(found), 1, "lines of %s" % answers[-1])
            pool = self.USED[int(number) % len(self.USED)]
            line = found[0]
            self.assertEqual((line["pool"], line["sender"], line["nrcpt"], line["result"]),
                             (pool.name, "author@" + pool.domain, "1", "accepted"))
            self.assertEqual(sorted(name.rpartition("/")[0] for name in line["dkim"].split(",")),
                             sorted(pool.signatures), line[0])
            self.assertEqual(line["headers"], "+2-4" if pool is EDIT else "+0-0")
        self.assertEqual(len(lines), self.COUNT)

    def test_log_has_the_return_path(self):
        lines = self.site.message_lines()
        logged = {found[0]["return_path"].strip("<>") for found in lines.values()}
        self.assertEqual(logged, {m.sender for m in self.arrived})


class Treatment(rig.E2ETest):
    """Who is treated, by which pool, and how."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS).start()

    def deliver(self, number, content=None, author="author@example.com", pool_author=None,
                **options):
        """Sends one message, which must be accepted: (message at the sink, what was sent)."""
        sent = content if content is not None else rig.message(author, number)
        reply = self.site.send(sent, pool_author or author, **options)
        self.assertTrue(reply.accepted, reply)
        return self.one(number), sent

    def test_pickup(self):
        content = rig.message(number="pickup", body=b"local\n.\n..mail\n")
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com",
                               "reader@example.net")
        message = self.one("pickup")
        self.assert_treated([message],
                            {"pickup": content.partition(b"\r\n\r\n")[0]
                             + b"\r\n\r\nlocal\r\n.\r\n..mail\r\n"}, ACME)

    def test_pickup_without_a_final_newline(self):
        content = rig.message(number="unended", body=b"no newline at the end")
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com",
                               "reader@example.net")
        self.assert_treated([self.one("unended")], {"unended": content + b"\r\n"}, ACME)

    def test_stranger_with_our_from_is_never_signed(self):
        for number, extra in (("stranger", b""), ("stranger-x", b"X-Pool: acme\r\n")):
            with self.subTest(extra=extra):
                content = rig.message(number=number, extra=extra)
                message, _ = self.deliver(number, content, xclient=rig.STRANGER)
                self.assert_unsigned(message, content, "author@example.com")

    def test_stranger_is_logged_as_passed(self):
        reply = self.site.send(rig.message(number="logged"), xclient=rig.STRANGER)
        line = self.site.daemon.message_line(reply.queue_id)
        self.assertEqual((line["result"], line["dkim"]), ("passed", "-"))
        self.assertIn("reason", line)

    def test_authenticated_stranger_is_signed(self):
        message, sent = self.deliver("login", xclient=dict(rig.STRANGER, LOGIN="acme"))
        self.assert_treated([message], {"login": sent}, ACME)

    def test_pool_with_users(self):
        author = "author@" + MEMBERS.domain
        message, sent = self.deliver("member", author=author,
                                     xclient=dict(rig.STRANGER, LOGIN="member-7"))
        self.assert_treated([message], {"member": sent}, MEMBERS)
        message, sent = self.deliver("other", author=author,
                                     xclient=dict(rig.STRANGER, LOGIN="acme"))
        self.assert_unsigned(message, sent, author)

    def test_domain_of_nobody_passes(self):
        for author in ("author@sub.example.com", "author@notexample.com", "a@elsewhere.example"):
            number = "nobody-" + author.partition("@")[2]
            with self.subTest(author=author):
                message, sent = self.deliver(number, author=author)
                self.assert_unsigned(message, sent, author)

    def test_two_from_fields_are_never_signed(self):
        content = rig.message(number="two", extra=b"From: other@example.com\r\n")
        message, _ = self.deliver("two", content)
        self.assert_unsigned(message, content, "author@example.com")

    def test_rsa_and_ed25519(self):
        message, sent = self.deliver("dual", author="author@" + DUAL.domain)
        self.assert_treated([message], {"dual": sent}, DUAL)
        algorithms = {r.algorithm for r in
                      verify.python_dkim([message.content], self.site.keys)[0]}
        self.assertEqual(algorithms, {"rsa-sha256", "ed25519-sha256"})

    def test_libopendkim_verifies_too(self):
        message, _ = self.deliver("third")
        altered = message.content.replace(b"world", b"World")
        self.assertEqual(verify.opendkim([message.content, altered], self.site.keys),
                         [True, False])

    def test_pool_keys_do_not_mix(self):
        message, _ = self.deliver("mix")
        keys = verify.Keys()
        keys.add("ak._domainkey.example.com", DUAL.keys[0][2].record)
        for verifier in (verify.python_dkim, verify.perl_dkim):
            self.assertIsNotNone(verify.all_good(verifier([message.content], keys),
                                                 ACME.signatures))

    def test_a_label_and_u_label(self):
        for number, domain in (("a-label", "xn--bcher-kva.example"),
                               ("a-label-upper", "XN--BCHER-KVA.Example"),
                               ("u-label", "b\u00fccher.example")):
            with self.subTest(domain=domain):
                content = rig.message(number=number).replace(
                    b"author@example.com", ("author@" + domain).encode())
                message, sent = self.deliver(number, content, pool_author="author@" + IDN.domain)
                self.assert_treated([message], {number: sent}, IDN)

    def test_smtputf8(self):
        content = rig.message("autor@b\u00fccher.example", "utf8")
        message, _ = self.deliver("utf8", content, pool_author="\u00e4utor@b\u00fccher.example",
                                  mail_args="SMTPUTF8 BODY=8BITMIME")
        self.assert_treated([message], {"utf8": content}, IDN)

    def test_subdomains(self):
        for number, domain in (("sub0", "wide.example"), ("sub1", "a.wide.example"),
                               ("sub3", "a.b.c.wide.example"), ("case", "A.Wide.EXAMPLE")):
            with self.subTest(domain=domain):
                message, sent = self.deliver(number, author="author@" + domain)
                self.assert_treated([message], {number: sent}, WIDE)

    def test_sender_decides_between_several_from(self):
        content = rig.message(number="several", extra=b"Sender: author@example.com\r\n").replace(
            b"From: Author <author@example.com>",
            b"From: B <b@elsewhere.example>, Author <author@example.com>")
        message, _ = self.deliver("several", content)
        self.assert_treated([message], {"several": content}, ACME)

    def test_control_header_chooses_and_is_removed(self):
        content = rig.message(number="control", extra=b"X-Pool: dual\r\n")
        message, _ = self.deliver("control", content)
        self.assert_treated([message], {"control": content.replace(b"X-Pool: dual\r\n", b"")},
                            DUAL)

    def test_D1_fifty_copies_in_mixed_case(self):
        names = (b"X-Campaign", b"x-campaign", b"X-CAMPAIGN", b"X-Internal-A", b"x-InterNAL-b")
        extra = b"".join(b"%s: copy %d\r\nX-Keep: %d\r\n" % (names[n % 5], n, n)
                         for n in range(50))
        author = "author@" + EDIT.domain
        content = rig.message(author, "fifty", extra)
        message, _ = self.deliver("fifty", content, author)
        self.assert_treated([message], {"fifty": content}, EDIT)
        self.assertEqual(len(message.fields("X-Keep")), 50)

    def test_D4_field_added_after_signing(self):
        message, _ = self.deliver("forged")
        head, _, body = message.content.partition(b"\r\n\r\n")
        forged = [b"From: Boss <boss@example.com>\r\n" + message.content,
                  head + b"\r\nFrom: Boss <boss@example.com>\r\n\r\n" + body]
        for verifier in (verify.python_dkim, verify.perl_dkim):
            for results in verifier(forged, self.site.keys):
                self.assertEqual([r.passed for r in results], [False], results)
        self.assertEqual(verify.opendkim(forged, self.site.keys), [False, False])


def _fields(*lines):
    return b"".join(line + b"\r\n" for line in lines)


# name -> (extra header fields, body).  All that Postfix lets through unchanged: delivered = sent.  What
# safe_encoding changes (8-bit text, long lines) stands in test_isps.py.
ODD = {
    "folded right after the name": (_fields(b"X-A:", b" folded", b"Reply-To:", b"\tr@example.com"),
                                    b"x\r\n"),
    "tabs": (_fields(b"X-A:\tb\tc\t", b"In-Reply-To:\t<1@example.com>", b"\t\t<2@example.com>"),
             b"\tx\t\r\n"),
    "8-bit header": (_fields(b"Cc: J\xc3\xb6rg <j@example.net>", b"X-Latin1: \xe4\xf6\xfc\xdf"),
                     b"x\r\n"),
    "blank continuation lines": (_fields(b"References: <1@example.com>", b" ", b"\t <2@example.com>",
                                         b"  \t "), b"x\r\n"),
    "empty values": (_fields(b"X-Empty:", b"X-Blank: ", b"Cc:", b"List-Id:"), b"x\r\n"),
    "no space after the colon": (_fields(b"Cc:c@example.net", b"X-A:b"), b"x\r\n"),
    "many spaces after the colon": (_fields(b"Cc:      c@example.net   "), b"x\r\n"),
    "names in mixed case": (_fields(b"cC: c@example.net", b"LIST-unsubscribe: <https://e.example>"),
                            b"x\r\n"),
    "the same field many times": (_fields(*[b"Cc: c%d@example.net" % n for n in range(40)]),
                                  b"x\r\n"),
    "a long line in a header": (_fields(b"References: " + b"<r@example.com>" * 60), b"x\r\n"),
    "a header of 30 kB": (_fields(b"References:", *[b" <%d@example.com>" % n
                                                   for n in range(1800)]), b"x\r\n"),
    "a thousand headers": (_fields(*[b"X-%d: %d" % (n, n) for n in range(1000)]), b"x\r\n"),
    "list headers": (_fields(b"List-Unsubscribe: <https://example.com/u?i=1>",
                             b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
                             b"Feedback-ID: 1:2:3:4"), b"x\r\n"),
    "resent": (_fields(b"Resent-From: r@example.com", b"Resent-To: s@example.net",
                       b"Resent-Date: Mon, 1 Jun 2026 13:00:00 +0000",
                       b"Resent-Message-ID: <r1@example.com>"), b"x\r\n"),
    "older Received fields": (_fields(b"Received: from a by b; Mon, 1 Jun 2026 11:00:00 +0000",
                                      b"Received: from c", b"\tby d; Mon, 1 Jun 2026 10:00:00 +0000"),
                              b"x\r\n"),
    "leading dots": (b"", b".\r\n..\r\n...\r\n.x\r\n..x\r\n \r\n.\r\n"),
    "empty body": (b"", b""),
    "empty lines only": (b"", b"\r\n\r\n\r\n"),
    "empty lines at the end": (b"", b"x\r\n\r\n\r\n"),
    "empty lines at the begin": (b"", b"\r\n\r\nx\r\n"),
    "blanks at line ends": (b"", b"a \r\nb\t\r\n \r\n \t \r\n"),
    "runs of blanks": (b"", b"a  b\t\tc \t d\r\n"),
    "From at line begin": (b"", b"From here\r\n>From there\r\n-- \r\nsignature\r\n"),
    "control characters": (b"", b"\x01\x02\x07\x0b\x0c\x1b[1m\x7f\r\n"),
    "lines of 900": (b"", (b"x" * 900 + b"\r\n") * 30),
    "a megabyte": (b"", (b"0123456789abcdef" * 4 + b"\r\n") * 16000),
    "header text in the body": (b"", b"From: b@example.com\r\nDKIM-Signature: v=1\r\n\r\nx\r\n"),
}


class Odd(rig.E2ETest):
    """D7 and the part of C8 that Postfix lets through: what arrives is what was sent, and verifies."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS).start()

    def send(self, number, content, **options):
        reply = self.site.send(content, **options)
        self.assertTrue(reply.accepted, reply)
        return self.one(number)

    def test_D7_odd_messages(self):
        for number, (name, (extra, body)) in enumerate(ODD.items()):
            with self.subTest(name):
                content = rig.message(number=number, extra=extra, body=body)
                message = self.send(number, content)
                self.assert_treated([message], {str(number): content}, ACME)

    def test_no_empty_line_after_the_headers(self):
        content = rig.message(number="headless", body=b"")[:-2]
        message = self.send("headless", content)
        self.assert_treated([message], {"headless": content + b"\r\n"}, ACME)

    def test_C8_bare_cr_and_lf(self):
        # Postfix turns a bare LF into a line end (and may replace a bare CR) before the filter sees
        # it; what leaves must verify and hold no lone CR or LF that we made.
        for number, body in (("lf", b"a\nb\n\nc\r\n"), ("mixed", b"a\n\r\nb\r\n"),
                             ("smuggle", b"a\n.\r\nMAIL FROM:<x@y.example>\r\n")):
            with self.subTest(number):
                message = self.send(number, rig.message(number=number, body=body))
                self.assert_moved(message, ACME)
                self.assert_verifies([message], ACME)
                self.assertNotIn(b"\n", message.content.replace(b"\r\n", b""))
        self.assertEqual(len(self.site.sink.messages), 3)

    def test_C8_our_fields_have_no_lone_cr_or_lf(self):
        content = rig.message("author@" + EDIT.domain, "edited")
        message = self.send("edited", content, sender="author@" + EDIT.domain)
        head = message.header_bytes().replace(b"\r\n", b"")
        self.assertNotIn(b"\r", head)
        self.assertNotIn(b"\n", head)
        self.assertLessEqual(max(map(len, message.header_bytes().split(b"\r\n"))), 998)

    def test_D3_already_signed(self):
        bad = (b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=AAAA; b=BBBB\r\n",
               b"DKIM-Signature: this is not one\r\n", b"DKIM-Signature:\r\n",
               b"DKIM-Signature: " + b"a" * 900 + b"\r\n")
        for number, field in enumerate(bad):
            with self.subTest(field[:40]):
                content = rig.message(number="s%d" % number, extra=field)
                message = self.send("s%d" % number, content)
                signatures, _, rest = rig.strip_added(message.content)
                self.assertEqual((len(signatures), rest), (1, content))
                result = verify.python_dkim([message.content], self.site.keys)[0][0]
                self.assertEqual(result[:4], ("example.com", "ak", "rsa-sha256", True))


class Envelope(rig.E2ETest):
    """E1 to E4 as far as Postfix shows them."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS).start()

    def send(self, number, sender="author@example.com", rcpts=("reader@example.net",),
             author="author@example.com", **options):
        reply = self.site.send(rig.message(author, number), sender, rcpts, **options)
        self.assertTrue(reply.accepted, reply)
        return self.one(number)

    def token(self, number):
        return self.send(number).sender

    def test_E4_null_sender_stays(self):
        message = self.send("null", sender="")
        self.assertEqual(message.sender, "")
        self.assert_verifies([message], ACME)

    def test_E4_rewritten_only_once(self):
        token = self.token("first")
        message = self.send("second", sender=token)
        self.assertEqual(message.sender, token)
        self.assert_verifies([message], ACME)

    def test_E4_several_recipients_share_a_token(self):
        rcpts = ["r%d@example.net" % n for n in range(20)]
        message = self.send("many", rcpts=rcpts)
        self.assertEqual(sorted(message.rcpts), sorted(rcpts))
        self.assert_moved(message, ACME)

    def test_E4_esmtp_arguments_are_kept(self):
        message = self.send("args", mail_args="SIZE=2000 BODY=8BITMIME RET=HDRS ENVID=QQ314159",
                            rcpt_args="NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Orig+2Bx@example.net")
        self.assert_moved(message, ACME)
        args = dict(message.sender_args)
        self.assertEqual(int(args.pop("SIZE")) // 1000, len(message.content) // 1000)
        self.assertEqual(args, {"BODY": "8BITMIME", "RET": "HDRS", "ENVID": "QQ314159"})
        self.assertEqual(message.rcpt_args,
                         [{"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;Orig+2Bx@example.net"}])

    def test_E3_strange_recipients(self):
        for number, rcpt in enumerate(("user=x@example.net", "user+tag@example.net",
                                       '"quoted user"@example.net', "a!b@example.net",
                                       "l" * 64 + "@example.net", "o'hara@example.net",
                                       "u" * 60 + "@" + ("d" * 60 + ".") * 3 + "example")):
            with self.subTest(rcpt=rcpt):
                message = self.send("e3-%d" % number, rcpts=[rcpt])
                self.assertEqual(message.rcpts, [rcpt])
                self.assert_moved(message, ACME)

    def test_E3_utf8_recipient(self):
        message = self.send("e3-utf8", rcpts=["l\u00e4ser@b\u00fccher.example"],
                            mail_args="SMTPUTF8")
        self.assert_moved(message, ACME)

    def test_plain_verp_keep(self):
        message = self.send("plain", author="author@plain.example")
        self.assertEqual(message.sender, "bounce@" + PLAIN.spf_domain)
        message = self.send("keep", author="author@keep.example")
        self.assertEqual(message.sender, "author@example.com")
        message = self.send("verp", author="author@verp.example")
        self.assertRegex(message.sender, r"^b\+reader=example\.net@" + VERP.spf_domain)

    def bounce(self, rcpt, xclient=None):
        """The answer to RCPT of a bounce for that address, from a stranger."""
        with self.site.connect(xclient=xclient or rig.STRANGER) as c:
            self.assertTrue(c.mail("").accepted)
            return c.rcpt(rcpt)

    def test_E1_bounce_to_a_genuine_token(self):
        token = self.token("genuine")
        self.assertTrue(self.bounce(token).accepted)
        reply = self.site.send(rig.message("mailer-daemon@elsewhere.example", "bounce"), "", [token],
                               xclient=rig.STRANGER)
        self.assertTrue(reply.accepted, reply)
        message = self.one("bounce")
        self.assertEqual((message.sender, message.rcpts), ("", [token]))
        self.assertEqual(message.fields("DKIM-Signature"), [])

    def test_E1_forged_tokens_are_refused(self):
        local, _, domain = self.token("original").partition("@")
        head, _, text = local.partition("+")
        flipped = text[:-3] + ("a" if text[-3] != "a" else "b") + text[-2:]
        forged = {
            "one character changed": "%s+%s" % (head, flipped),
            "first character changed": "%s+%s%s" % (head, "b" if text[0] != "b" else "c", text[1:]),
            "cut": local[:-4],
            "longer": local + "aaaa",
            "empty": head + "+",
            "no token": head,
            "garbage": head + "+hello",
        }
        for name, address in forged.items():
            with self.subTest(name):
                reply = self.bounce("%s@%s" % (address, domain))
                self.assertEqual((reply.stage, reply.code), ("RCPT", 550), reply)
        reply = self.bounce("%s@%s" % (local, DUAL.spf_domain))
        self.assertEqual(reply.code, 550, "token of another domain: %s" % reply)

    def test_E2_case_does_not_matter(self):
        token = self.token("case")
        for address in (token.upper(), token.lower(), token.swapcase()):
            with self.subTest(address):
                self.assertTrue(self.bounce(address).accepted)

    def test_refused_recipient_does_not_hurt_the_others(self):
        with self.site.connect(xclient=rig.STRANGER) as c:
            self.assertTrue(c.mail("").accepted)
            self.assertEqual(c.rcpt("b+forged@" + ACME.spf_domain).code, 550)
            self.assertTrue(c.rcpt("reader@example.net").accepted)
            self.assertEqual(c.command("DATA", "DATA").code, 354)
            reply = c.content(rig.message("x@elsewhere.example", "other"))
            self.assertTrue(reply.accepted, reply)
        self.assertEqual(self.one("other").rcpts, ["reader@example.net"])


class Faults(rig.E2ETest):
    """A1: kill -9.  A2: SIGTERM under load.  A pool whose key is gone."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS).start()

    def setUp(self):
        if not self.site.daemon.alive:
            self.site.restart_daemon()
        super().setUp()

    def assert_delivered_once(self, load):
        """Each accepted message is at the sink once, treated; no other is; nothing is corrupt."""
        self.assertTrue(self.site.mta.wait_empty())
        messages = self.site.sink.messages
        self.assertEqual(sorted(rig.number_of(m.content) for m in messages), sorted(load.accepted))
        self.assert_treated(messages, load.sent, ACME)
        self.assertEqual(self.site.mta.corrupt(), [])

    def test_A1_killed_before_mail(self):
        with self.site.connect() as c:
            self.site.daemon.kill()
            reply = c.send(rig.message(number="before"), "author@example.com",
                           ["reader@example.net"])
            self.assertTrue(reply.deferred, reply)
        reply = self.site.send(rig.message(number="before"))
        self.assertTrue(reply.deferred, "no daemon: %s" % reply)
        self.site.restart_daemon()
        load = rig.Load(self.site.mta.port, jobs(["before"]), sessions=1).start().join()
        self.assertEqual(load.refusals, [])
        self.assert_delivered_once(load)

    def test_A1_pickup_waits_for_the_daemon(self):
        self.site.daemon.kill()
        content = rig.message(number="waits")
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com",
                               "reader@example.net")
        time.sleep(2)
        self.assertEqual(self.site.sink.messages, [], "unsigned mail left")
        self.site.restart_daemon()
        # pickup(8) tries again once a minute, or when it is told of new mail.
        self.site.mta.sendmail(rig.message(number="wakes").replace(b"\r\n", b"\n"),
                               "author@example.com", "reader@example.net")
        message = self.one("waits", 90)
        self.assert_treated([message], {"waits": content}, ACME)

    def test_A1_killed_under_load(self):
        load = rig.Load(self.site.mta.port, jobs(range(daemon.scaled(600)), body=b"x" * 70 + b"\r\n"),
                        retry=True, pause=0.02)
        load.start()
        for _ in range(6):
            time.sleep(0.25)
            self.site.daemon.kill()
            time.sleep(0.1)
            self.site.restart_daemon()
        load.join()
        self.assertEqual(len(load.accepted), daemon.scaled(600))
        self.assertTrue(load.refusals, "no session met a dead daemon: nothing was tested")
        self.assertEqual([r for r in load.refusals if not r.deferred], [])
        self.assert_delivered_once(load)

    def test_A2_sigterm_under_load(self):
        load = rig.Load(self.site.mta.port, jobs(itertools.count(), body=b"x" * 70 + b"\r\n"))
        load.start()
        self.site.sink.wait(50)
        self.site.daemon.send_signal(signal.SIGTERM)
        status = self.site.daemon.wait_exit(daemon.STOP_SECONDS)
        time.sleep(0.2)
        load.stop()
        self.assertEqual(status, 0, self.site.daemon.log[-3000:])
        self.assertTrue(load.refusals, "no session met the stop: nothing was tested")
        self.assertEqual([r for r in load.refusals if not r.deferred], [])
        self.assert_delivered_once(load)

    def test_key_gone_at_start(self):
        self.site.daemon.stop()
        path = ACME.settings["dkim_key"]
        for name, spoil in (("missing", lambda: os.rename(path, path + ".away")),
                            ("garbage", lambda: self.replace(path, b"-----BEGIN nothing\n")),
                            ("readable by others", lambda: self.replace_mode(path, 0o644))):
            with self.subTest(name):
                spoil()
                try:
                    self.refuses_to_start(path)
                finally:
                    os.rename(path + ".away", path)
        self.site.restart_daemon()
        load = rig.Load(self.site.mta.port, jobs(["again"]), sessions=1).start().join()
        self.assert_delivered_once(load)

    @staticmethod
    def replace(path, text):
        os.rename(path, path + ".away")
        with open(path, "wb") as out:
            out.write(text)
        os.chmod(path, 0o600)

    @staticmethod
    def replace_mode(path, mode):
        os.rename(path, path + ".away")
        with open(path + ".away", "rb") as key, open(path, "wb") as out:
            out.write(key.read())
        os.chmod(path, mode)

    def refuses_to_start(self, path):
        server = self.site.daemon
        mark = server.mark()
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertIn(path, "\n".join(server.lines[mark:]))
        reply = self.site.send(rig.message(number="nokey"))
        self.assertTrue(reply.deferred, reply)

    def test_key_gone_at_reload(self):
        path = ACME.settings["dkim_key"]
        mark = self.site.daemon.mark()
        os.rename(path, path + ".away")
        try:
            self.site.daemon.send_signal(signal.SIGHUP)
            self.site.daemon.wait_log(path, since=mark)
            load = rig.Load(self.site.mta.port, jobs(["old"]), sessions=1).start().join()
        finally:
            os.rename(path + ".away", path)
        self.assertEqual(load.refusals, [])
        self.assert_delivered_once(load)
        self.site.daemon.reload()


class Reload(rig.E2ETest):
    """A3: reload under load, and with a broken file."""

    RELOADS = daemon.scaled(500)

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS).start()

    def reload(self, number):
        """By SIGHUP and by poolctl in turn; waits until the daemon says that it has."""
        mark = self.site.daemon.mark()
        if number % 2:
            done = daemon.poolctl("reload", "-c", self.site.daemon.config)
            self.assertEqual(done.returncode, 0, done.stderr)
        else:
            self.site.daemon.send_signal(signal.SIGHUP)
        return self.site.daemon.wait_log(r"(?i)reload", since=mark)

    def idle_descriptors(self):
        """Descriptors once no MTA is connected any more: the least of two seconds."""
        counts = []
        for _ in range(20):
            counts.append(self.site.daemon.descriptors())
            time.sleep(0.1)
        return min(counts)

    def test_A3_reloads_under_load(self):
        server = self.site.daemon
        warm = rig.Load(self.site.mta.port, jobs(["warm%d" % n for n in range(60)]))
        warm.start().join()
        for number in range(max(self.RELOADS // 10, 2)):
            self.reload(number)
        descriptors, memory = self.idle_descriptors(), server.memory()
        self.site.sink.wait(60)
        self.site.sink.clear()
        load = rig.Load(self.site.mta.port, jobs(itertools.count()), sessions=4, pause=0.01,
                        seconds=300).start()
        try:
            for number in range(self.RELOADS):
                self.assertNotRegex(self.reload(number), r"(?i)fail|error|refused|kept")
        finally:
            load.stop()
        self.assertEqual(load.refusals, [])
        self.assertGreater(len(load.accepted), 50)
        messages = self.site.sink.wait(len(load.accepted), 60)
        self.assert_treated(messages, load.sent, ACME)
        self.assertLessEqual(self.idle_descriptors(), descriptors)
        self.assertLess(server.memory() - memory, daemon.memory_limit(4096))

    def test_A3_reload_takes_effect_and_broken_file_does_not(self):
        server = self.site.daemon
        self.assertEqual(self.sender_of("normal").partition("@")[2], ACME.spf_domain)
        new = dict(ACME.settings, spf_domain="new.example.com")
        server.write_config([new])
        self.reload(0)
        self.assertEqual(self.sender_of("new").partition("@")[2], "new.example.com")
        good = server.config.read_text()
        for name, text in (("syntax", good.replace("pools = (", "pools = ((", 1)),
                           ("half written", good[:len(good) // 2]),
                           ("unknown key", good + "\nno_such_key = 1;\n"),
                           ("empty", "")):
            with self.subTest(name):
                server.write_config(text=text)
                mark = server.mark()
                server.send_signal(signal.SIGHUP)
                server.wait_log(r"poolmilter\.conf:\d+", since=mark)
                done = daemon.poolctl("reload", "-c", server.config)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(self.sender_of(name.replace(" ", "-")).partition("@")[2],
                                 "new.example.com")
        self.site.configure()
        self.reload(0)
        self.assertEqual(self.sender_of("back").partition("@")[2], ACME.spf_domain)

    def sender_of(self, number):
        reply = self.site.send(rig.message(number=number))
        self.assertTrue(reply.accepted, reply)
        return self.one(number).sender


class Inet(rig.E2ETest):
    """The same over a TCP socket."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS, listen="inet:%d@127.0.0.1" % daemon.free_port()).start()

    def test_hundred_messages(self):
        load = rig.Load(self.site.mta.port, jobs(range(100), (EDIT,))).start().join()
        self.assertEqual(load.refusals, [])
        messages = self.site.sink.wait(100)
        self.assert_treated(messages, load.sent, EDIT)

    def test_stranger(self):
        content = rig.message(number="stranger")
        self.assertTrue(self.site.send(content, xclient=rig.STRANGER).accepted)
        self.assert_unsigned(self.one("stranger"), content, "author@example.com")

    def test_A1_killed(self):
        self.site.daemon.kill()
        self.assertTrue(self.site.send(rig.message(number="killed")).deferred)
        self.site.restart_daemon()
        self.assertTrue(self.site.send(rig.message(number="killed")).accepted)
        self.one("killed")


NARROW = rig.Pool("narrow", "narrow.example", limits=["1/hour"])
HELD = rig.Pool("held", "held.example", limits=["1/hour"], on_limit="hold", selectors=("h1",))


class Limits(rig.E2ETest):
    """Over a limit: the client keeps the message, or Postfix holds it until it is let go."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site((ACME, NARROW, HELD)).start()

    def first(self, pool):
        """The one that fits, at the sink when this returns."""
        number = pool.settings["name"] + "-first"
        author = "author@" + pool.domain
        self.assertTrue(self.site.send(rig.message(author, number), author).accepted)
        self.one(number)

    def test_limits(self):
        self.first(NARROW)
        author = "author@narrow.example"
        with self.subTest("deferred"):
            reply = self.site.send(rig.message(author, "over"), author)
            self.assertTrue(reply.deferred, reply)
            self.assertIn("4.7.1 Sending limit 1/hour of pool narrow is reached, try again in ", str(reply))
        with self.subTest("too many"):
            reply = self.site.send(rig.message(author, "many"), author, ["a@example.net", "b@example.net"])
            self.assertIn("5.7.1 More recipients (2) than the sending limit 1/hour of pool narrow ever allows",
                          str(reply))
        content = {"local": rig.message(author, "local")}
        with self.subTest("by pickup"):
            self.site.mta.sendmail(content["local"].replace(b"\r\n", b"\n"), author, "reader@example.net")
            self.let_go(content, NARROW, "local")
        self.first(HELD)
        author = "author@held.example"
        content["held"] = rig.message(author, "held")
        with self.subTest("held"):
            self.assertTrue(self.site.send(content["held"], author).accepted)
            self.let_go(content, HELD, "held")
        self.assertTrue(self.site.mta.wait_empty())
        self.assertEqual(self.site.mta.corrupt(), [])

    def let_go(self, content, pool, number):
        """It is held, whole and signed; postsuper lets it go, and it does not come by us again."""
        self.assertTrue(daemon.wait_for(self.site.mta.queue), "nothing is in the queue")
        entry, = self.site.mta.queue()
        self.assertEqual(entry["queue_name"], "hold")
        line, = self.site.message_lines()[entry["queue_id"]]
        self.assertEqual((line["result"], line["limit"]),
                         ("held", "over:p/%s/1/hour" % pool.settings["name"]))
        self.assertIn(entry["queue_id"] + ": milter-hold: ", self.site.mta.log())    # Postfix drops the reason
        time.sleep(1)
        self.assertNotIn(number, [rig.number_of(m.content) for m in self.site.sink.messages])
        self.site.mta.command("/usr/sbin/postsuper", "-c", self.site.mta.config, "-H", entry["queue_id"])
        self.site.mta.flush()
        self.assert_treated([self.one(number)], content, pool)
        self.assertEqual(len(self.site.message_lines()[entry["queue_id"]]), 1)


BRIEF = rig.Pool("brief", "brief.example", limits=["2/3s"])


class LimitsInRedis(rig.E2ETest):
    """E5: over a limit in Redis the client's retry is delivered; without Redis by this node's share of it."""

    @classmethod
    def setUpClass(cls):
        cls.redis = redis.Server().start()
        cls.site = rig.Site((ACME, BRIEF), redis={"address": cls.redis.address, "command_timeout_ms": 1000,
                                                  "nodes": 2}).start()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.redis.stop()

    def offer(self, *numbers):
        """Sends each until it is accepted, waiting as the reply tells; how often all were deferred."""
        deferred = 0
        for number in numbers:
            self.sent[number] = rig.message("author@brief.example", number)
            while not (reply := self.site.send(self.sent[number], "author@brief.example")).accepted:
                self.assertTrue(reply.deferred, reply)
                wait = re.search(r"4\.7\.1 Sending limit 2/3s of pool brief is reached, try again in (\d) second", str(reply))
                self.assertIsNotNone(wait, reply)
                deferred += 1
                self.assertLess(deferred, 10)
                time.sleep(int(wait[1]))
        return deferred

    def words(self):
        return [match["limit"] for match in map(rig.LOG_LINE.search, self.site.daemon.log.split("\n")) if match]

    def test_E5(self):
        self.sent = {}
        self.assertEqual(self.offer("one", "two"), 0)
        self.assertGreaterEqual(self.offer("three"), 1)
        self.assertTrue(daemon.wait_for(lambda: set(self.words()) == {"ok", "over:p/brief/2/3s"}), self.words())
        self.redis.kill()
        self.assertGreaterEqual(self.offer("four", "five"), 1)  # one in 3 s is the share
        self.assertEqual([word for word in self.words() if word.startswith("local")].count("local"), 2)
        mark = self.site.daemon.mark()
        self.redis.start()
        self.site.daemon.wait_log(" redis: up", 5, mark)
        self.offer("six")
        self.assertTrue(daemon.wait_for(lambda: self.words()[-1] == "ok"), self.words())
        self.site.sink.wait(len(self.sent))
        self.assertTrue(self.site.mta.wait_empty())
        arrived = self.site.sink.messages
        self.assertEqual(sorted(rig.number_of(m.content) for m in arrived), sorted(self.sent))
        self.assert_treated(arrived, self.sent, BRIEF)
        self.assertEqual(self.site.mta.corrupt(), [])


if __name__ == "__main__":
    rig.main()
