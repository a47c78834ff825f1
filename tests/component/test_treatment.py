#!/usr/bin/python3
"""What happens to messages: who is trusted, whose mail it is, header edits, Return-Path, signatures.

Rows D1 to D4, D7, E1 to E4, C8 to C10 of the fault list as far as a milter client can provoke them.
Every signature is verified with dkimpy over the message as the (fake) MTA holds it in the end.
"""
import pathlib
import re
import shutil
import time

import common
import daemon
import mta

ACME = daemon.pool("acme", "example.com")
BETA = daemon.pool("beta", "beta.example")
ZONE = daemon.zone_for(ACME, BETA)
SPF = ACME["spf_domain"].encode()


def names(message):
    """The names of all header fields of a message, in lower case."""
    return [header.partition(b":")[0].lower() for header in mta.split(message)[0]]


class Trust(common.ComponentTest):
    def test_who_is_trusted(self):
        server = self.serve(trusted_networks=["127.0.0.0/8", "::1", "203.0.113.0/24",
                                              "2001:db8::/32"])
        data = common.message()
        cases = {
            "stranger": (dict(client=b"192.0.2.1"), None, False),
            "authenticated stranger": (dict(client=b"192.0.2.1"), "acme", True),
            "empty login": (dict(client=b"192.0.2.1"), "", False),
            "loopback": (dict(client=b"127.0.0.1"), None, True),
            "loopback of IPv6": (dict(client=b"::1"), None, True),
            "loopback of IPv6 as Sendmail writes it": (dict(client=b"IPv6:::1"), None, True),
            "in a trusted network": (dict(client=b"203.0.113.255"), None, True),
            "beside a trusted network": (dict(client=b"203.0.114.0"), None, False),
            "in a trusted network of IPv6": (dict(client=b"2001:db8:1::1"), None, True),
            "beside a trusted network of IPv6": (dict(client=b"2001:db9::1"), None, False),
            "UNIX socket": (dict(client=b"/run/x", hostname=b"localhost", family="L"), None, True),
            "local submission of Sendmail": (dict(hostname=b"localhost", family="U"), None, True),
            "client whose address Postfix lost": (dict(hostname=b"unknown", family="U"), None,
                                                  False),
            "claims localhost in HELO and name": (dict(client=b"192.0.2.1",
                                                       hostname=b"localhost"), None, False),
        }
        for name, (options, login, trusted) in cases.items():
            with self.subTest(client=name):
                result = self.deliver(server, data, login=login, **options)
                if trusted:
                    self.assert_signed(result, ACME, ZONE)
                else:
                    self.assert_untouched(result, data)

    def test_garbage_as_address_is_nobody(self):
        """libmilter hangs up on such a CONNECT; if it ever does not: not trusted."""
        server = self.serve()
        for address in (b"127.0.0.1.evil", b"", b"::1", b"127"):
            with self.subTest(address=address):
                result = self.deliver(server, client=address, family="4", login=None)
                self.assertEqual(result.edits, [])
                self.assertEqual(daemon.signatures(result.message), [])

    def test_untrusted_mail_is_not_even_asked_for(self):
        server = self.serve()
        session = self.session(server, login=None)
        result = session.deliver(common.message(extra=b"X-Pool: acme\r\n"), b"a@example.com",
                                 [b"b@example.net"], queue_id="4STRANGER")
        self.assertFalse(result.treated)
        self.assert_untouched(result, common.message(extra=b"X-Pool: acme\r\n"))
        line = server.message_line("4STRANGER")
        self.assertEqual((line["result"], line["reason"]), ("passed", "untrusted"))

    def test_users_and_networks_of_a_pool(self):
        pool = daemon.pool("acme", users=["acme", "acme-*"])
        other = daemon.pool("beta", "beta.example", networks=["203.0.113.0/24"])
        server = self.serve([pool, other], trusted_networks=["203.0.112.0/22", "127.0.0.0/8"])
        cases = [
            (b"a@example.com", "acme", b"192.0.2.1", pool),
            (b"a@example.com", "acme-7", b"192.0.2.1", pool),
            (b"a@example.com", "acm", b"192.0.2.1", None),
            (b"a@example.com", "xacme", b"192.0.2.1", None),
            (b"a@example.com", None, b"203.0.113.1", None),
            (b"a@beta.example", None, b"203.0.113.1", other),
            (b"a@beta.example", None, b"203.0.112.1", None),
            (b"a@beta.example", "acme", b"192.0.2.1", None),
        ]
        for author, login, client, signer in cases:
            with self.subTest(author=author, login=login, client=client):
                data = common.message(author)
                result = self.deliver(server, data, author, login=login, client=client)
                if signer:
                    self.assert_signed(result, signer, ZONE)
                else:
                    self.assert_untouched(result, data)


class Author(common.ComponentTest):
    """Row C9 and the rules about From: and Sender:."""

    HEAD = (b"To: b@example.net\r\nDate: Mon, 1 Jun 2026 12:00:00 +0000\r\n"
            b"Message-ID: <1@example.com>\r\n")

    def _deliver(self, server, headers):
        data = headers + self.HEAD + b"\r\ntext\r\n"
        return data, self.deliver(server, data)

    def test_C9_never_signed(self):
        server = self.serve()
        cases = {
            "no From": b"",
            "no headers at all": b"\r\n",
            "two From": b"From: a@example.com\r\nFrom: a@example.com\r\n",
            "two From in other spellings": b"from: a@example.com\r\nX: y\r\nFROM: b@example.com\r\n",
            "two From, one with a space before the colon":
                b"From: a@example.com\r\nFrom : b@example.com\r\n",
            "empty": b"From:\r\n",
            "blank": b"From:  \r\n\t\r\n",
            "null address": b"From: <>\r\n",
            "group without members": b"From: undisclosed:;\r\n",
            "no domain": b"From: alice\r\n",
            "empty domain": b"From: alice@\r\n",
            "empty local part": b"From: <@example.com>\r\n",
            "only a display name": b"From: \"a@example.com\"\r\n",
            "several without Sender": b"From: a@example.com, b@example.com\r\n",
            "several with two Senders": b"From: a@example.com, b@example.com\r\n"
                                        b"Sender: a@example.com\r\nSender: b@example.com\r\n",
            "several, Sender of nobody's domain": b"From: a@example.com, b@example.com\r\n"
                                                  b"Sender: a@other.example\r\n",
            "several, Sender with several": b"From: a@example.com, b@example.com\r\n"
                                            b"Sender: a@example.com, b@example.com\r\n",
            "subdomain": b"From: a@sub.example.com\r\n",
            "longer name": b"From: a@notexample.com\r\n",
            "our domain as a prefix": b"From: a@example.com.evil.example\r\n",
            "our address as a display name": b"From: \"a@example.com\" <x@evil.example>\r\n",
            "our address as a comment": b"From: x@evil.example (a@example.com)\r\n",
            "two at signs": b"From: a@example.com@evil.example\r\n",
        }
        for name, headers in cases.items():
            with self.subTest(author=name):
                data, result = self._deliver(server, headers)
                self.assert_untouched(result, data)

    def test_C9_signed(self):
        server = self.serve()
        many = b",\r\n ".join(b"user%d@example.com" % n for n in range(3600))
        cases = {
            "plain": b"From: a@example.com\r\n",
            "upper case": b"FROM: A@EXAMPLE.COM\r\n",
            "trailing dot": b"From: a@example.com.\r\n",
            "quoted comma": b"From: \"Doe, John\" <a@example.com>\r\n",
            "comment": b"From: (x@evil.example) a@example.com (y)\r\n",
            # Not as the first line: Postfix takes that for an mbox separator.
            "space before the colon": b"X-First: 1\r\nFrom : a@example.com\r\n",
            "folded right after the name": b"From:\r\n a@example.com\r\n",
            "folded in the middle": b"From: \"John\r\n\tDoe\"\r\n <a@example.com>\r\n",
            "no space": b"From:a@example.com\r\n",
            "encoded display name": b"From: =?utf-8?q?a=40evil=2Eexample?= <a@example.com>\r\n",
            "another address as display name": b"From: \"x@evil.example\" <a@example.com>\r\n",
            "8-bit display name": b"From: J\xc3\xb6rg <a@example.com>\r\n",
            "several with Sender": b"From: a@other.example, b@example.com\r\n"
                                   b"Sender: c@example.com\r\n",
            "Sender that does not matter": b"From: a@example.com\r\nSender: x@evil.example\r\n",
            "3,600 addresses": b"From: " + many + b"\r\nSender: a@example.com\r\n",
        }
        for name, headers in cases.items():
            with self.subTest(author=name):
                data, result = self._deliver(server, headers)
                self.assert_signed(result, ACME, ZONE, rules_of_wire=b"\xc3" not in headers)
                self.assertTrue(result.image.endswith(mta.normalise(data)))

    def test_subdomains_and_idn(self):
        wide = daemon.pool("acme", match_subdomains=True)
        idn = daemon.pool("beta", "xn--bcher-kva.example")
        zone = daemon.zone_for(wide, idn)
        server = self.serve([wide, idn])
        for address, pool in ((b"a@example.com", wide), (b"a@x.y.example.com", wide),
                              (b"a@xexample.com", None),
                              (b"a@b\xc3\xbccher.example", idn),
                              (b"a@XN--BCHER-KVA.example", idn)):
            with self.subTest(author=address):
                data, result = self._deliver(server, b"From: " + address + b"\r\n")
                if pool:
                    self.assert_signed(result, pool, zone)
                else:
                    self.assert_untouched(result, data)

    def test_no_pool(self):
        data = common.message(b"a@other.example")
        for value in ("pass", "reject", "beta"):
            with self.subTest(no_pool=value):
                server = self.serve([ACME, BETA], no_pool=value)
                result = self.deliver(server, data, b"a@other.example")
                if value == "pass":
                    self.assert_untouched(result, data)
                elif value == "reject":
                    self.assert_refused(result, "rejected", b"550 5.7.1")
                else:
                    self.assert_signed(result, BETA, ZONE)
                two = common.message(extra=b"From: second@example.com\r\n")
                result = self.deliver(server, two)
                self.assertEqual(daemon.signatures(result.message), [], "two From: never signed")


class ControlHeader(common.ComponentTest):
    def test_chooses_a_pool_and_is_removed(self):
        server = self.serve([ACME, BETA])
        for spelling in (b"X-Pool: beta\r\n", b"x-pool:beta\r\n", b"X-POOL:\r\n\tbeta \r\n"):
            with self.subTest(header=spelling):
                result = self.deliver(server, common.message(extra=spelling))
                self.assert_signed(result, BETA, ZONE)
                self.assertEqual(len(daemon.signatures(result.message)), 1)
                self.assertNotIn(b"x-pool", names(result.message))

    def test_removed_in_all_copies(self):
        server = self.serve([ACME, BETA])
        result = self.deliver(server, common.message(extra=b"X-Pool: acme\r\nx-pool: acme\r\n"))
        self.assert_signed(result, ACME, ZONE)
        self.assertNotIn(b"x-pool", names(result.message))

    def test_unknown_or_not_permitted_pool(self):
        closed = daemon.pool("beta", "beta.example", users=["somebody-else"])
        server = self.serve([ACME, closed])
        replies = set()
        for name in (b"no-such-pool", b"beta", b"", b"acme beta", b"x" * 3000):
            with self.subTest(pool=name[:20]):
                result = self.deliver(server, common.message(extra=b"X-Pool: " + name + b"\r\n"))
                self.assert_refused(result, "rejected", b"550 5.7.1")
                replies.add(result.reply)
        self.assertEqual(len(replies), 1, "the reply tells which pools there are: %r" % replies)

    def test_does_not_make_two_From_signed(self):
        server = self.serve([ACME, BETA])
        result = self.deliver(server, common.message(
            extra=b"X-Pool: beta\r\nFrom: second@example.com\r\n"))
        self.assertEqual(daemon.signatures(result.message), [])

    def test_other_name(self):
        server = self.serve([ACME, BETA], control_header="X-Our-Pool")
        result = self.deliver(server, common.message(extra=b"X-Our-Pool: beta\r\nX-Pool: acme\r\n"))
        self.assert_signed(result, BETA, ZONE)
        self.assertIn(b"x-pool", names(result.message))
        self.assertNotIn(b"x-our-pool", names(result.message))


class HeaderEdits(common.ComponentTest):
    MIXED = (b"X-Gone", b"x-gone", b"X-GONE", b"x-Gone")

    def test_D1_delete_copies_in_mixed_case(self):
        server = self.serve([daemon.pool(delete_headers=["X-Gone"])])
        for count in (0, 1, 2, 3, 50):
            with self.subTest(copies=count):
                extra = b"".join(b"%s: %d\r\nX-Stays-%d: %d\r\n" % (self.MIXED[n % 4], n, n, n)
                                 for n in range(count))
                result = self.deliver(server, common.message(extra=extra))
                self.assert_signed(result, ACME, ZONE)
                self.assertNotIn(b"x-gone", names(result.message))
                stayed = [name for name in names(result.message) if name.startswith(b"x-stays-")]
                self.assertEqual(stayed, [b"x-stays-%d" % n for n in range(count)])

    def test_D1_delete_by_prefix(self):
        server = self.serve([daemon.pool(delete_headers=["X-Internal-*", "Received"])])
        extra = (b"X-Internal-A: 1\r\nReceived: by one\r\nX-INTERNAL-B: 2\r\nX-Internal: 3\r\n"
                 b"x-internal-a: 4\r\nreceived: by two\r\n\tfolded\r\nX-Internal-A: 5\r\n")
        result = self.deliver(server, common.message(extra=extra))
        self.assert_signed(result, ACME, ZONE)
        left = names(result.image)
        self.assertEqual([name for name in left if name.startswith(b"x-internal")],
                         [b"x-internal"])
        self.assertNotIn(b"received", left)

    def test_D1_delete_and_add_the_same_name(self):
        server = self.serve([daemon.pool(delete_headers=["X-Id"],
                                         add_headers=({"name": "X-Id", "value": "new"},))])
        result = self.deliver(server, common.message(extra=b"X-Id: 1\r\nx-id: 2\r\nX-ID: 3\r\n"))
        self.assert_signed(result, ACME, ZONE)
        self.assertEqual(result.header(b"X-Id"), [b"new"])

    def test_set_replaces_all_by_one(self):
        server = self.serve([daemon.pool(set_headers=({"name": "X-Id", "value": "${pool}"},))])
        for extra in (b"", b"X-Id: 1\r\n", b"x-id: 1\r\nX-A: b\r\nX-ID: 2\r\nX-Id:\r\n 3\r\n"):
            with self.subTest(before=extra):
                result = self.deliver(server, common.message(extra=extra))
                self.assert_signed(result, ACME, ZONE)
                self.assertEqual(result.header(b"X-Id"), [b"acme"])

    def test_all_variables(self):
        values = {
            "pool": b"acme", "sender_domain": b"example.com", "rcpt_domain": b"example.net",
            "queue_id": b"4VARS", "message_id": b"<1@example.com>", "header:Subject": b"Test",
            "header:subject": b"Test", "header:X-Absent": None, "login": b"acme",
            "rcpt": b"b@example.net", "sender": b"a@example.com",
        }
        rules = tuple({"name": "X-V%d" % n, "value": "<${%s}>" % name}
                      for n, name in enumerate(values))
        server = self.serve([daemon.pool(add_headers=rules)])
        result = self.deliver(server, queue_id="4VARS")
        self.assert_signed(result, ACME, ZONE)
        for number, (name, value) in enumerate(values.items()):
            with self.subTest(variable=name):
                self.assertEqual(result.header(b"X-V%d" % number), [b"<%s>" % (value or b"")])

    def test_added_headers_are_signed(self):
        server = self.serve([daemon.pool(
            add_headers=({"name": "X-Added", "value": "1"},),
            set_headers=({"name": "X-Set", "value": "2"},))])
        result = self.deliver(server)
        covered = daemon.signatures(result.message)[0]["h"].lower().split(":")
        for name in ("x-added", "x-set", "from", "to", "subject", "date", "message-id"):
            self.assertIn(name, covered)
        self.assertGreaterEqual(covered.count("from"), 2, "From is not oversigned")

    HOSTILE = {
        "folded": b"one\r\n X-Evil: two\r\n\tX-Evil: three",
        "8-bit of unknown charset": b"caf\xe9 \xff\xfe",
        "UTF-8": "Grüße aus Köln \U0001f600".encode(),
        "control characters": b"a\x01b\x0bc\x0cd\x1be\x7ff",
        "bare CR": b"one\rX-Evil: two",
        "quotes and braces": b"${pool} \"quoted\" \\ %s %n {x}",
        "10 kB of words": b" ".join([b"word"] * 2000),
        "10 kB folded": b"\r\n ".join([b"x" * 70] * 140),
        "10 kB of 8-bit": b"\r\n ".join([b"\xc3\xa9" * 35] * 140),
        "encoded line break": b"=?utf-8?q?a=0D=0AX-Evil=3A_b?=",
        "only spaces": b"   ",
        "Unicode line separators": "a\u2028X-Evil: b\u0085X-Evil: c".encode(),
    }

    def test_D2_templates_fed_from_headers(self):
        rules = ({"name": "X-T-Subject", "value": "${header:Subject}"},
                 {"name": "X-T-Both", "value": "s=${header:Subject}; f=${header:From};"})
        server = self.serve([daemon.pool(add_headers=rules,
                                         set_headers=({"name": "X-T-Set",
                                                       "value": "${header:Subject}"},))])
        for name, text in self.HOSTILE.items():
            with self.subTest(subject=name):
                result = self.deliver(server, common.message(subject=text))
                self._check_expansion(result, common.message(subject=text))

    def test_D2_templates_fed_from_From(self):
        server = self.serve([daemon.pool(add_headers=({"name": "X-T-From",
                                                       "value": "${header:From}"},))])
        for name, text in self.HOSTILE.items():
            quoted = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            data = b'From: "%s" <a@example.com>\r\n' % quoted + common.message(None)
            with self.subTest(display_name=name):
                self._check_expansion(self.deliver(server, data), data)

    def test_D2_templates_fed_from_recipient_and_login(self):
        rules = ({"name": "X-T-Rcpt", "value": "${rcpt}"},
                 {"name": "X-T-Domain", "value": "${rcpt_domain}"},
                 {"name": "X-T-Sender", "value": "${sender}"},
                 {"name": "X-T-Login", "value": "${login}"})
        server = self.serve([daemon.pool(add_headers=rules, return_path="keep")])
        data = common.message()
        for name, text in self.HOSTILE.items():
            with self.subTest(value=name):
                result = self.deliver(
                    server, data, sender=b'"' + text + b'"@example.com',
                    recipients=[b'"' + text + b'"@example.net'], login=text)
                self._check_expansion(result, data)

    def _check_expansion(self, result, data):
        """Signed; no header but ours more than before; ours lawful on the wire."""
        self.assertEqual((result.status, result.reply), ("accepted", None))
        if not re.search(rb"\r(?!\n)|[\x0b\x0c]", data):       # those: see D7
            self.assert_signed(result, ACME, ZONE, rules_of_wire=False)
        before, after = names(mta.normalise(data)), names(result.image)
        new = list(after)
        for name in before:
            self.assertIn(name, new)
            new.remove(name)
        for name in new:
            self.assertTrue(name == b"dkim-signature" or name.startswith(b"x-t-"), new)
        self.assertEqual(len(new), len(set(new)), "a header twice: %r" % new)
        for header in mta.split(result.image)[0]:
            if not header.lower().startswith(b"x-t-"):
                continue
            lines = header.replace(b"\n", b"\r\n")
            self.assertEqual(mta.wire_faults(lines), [])
            self.assertIsNone(re.search(rb"[\x80-\xff]", lines), "8-bit left: %r" % lines[:200])
            self.assertIsNone(re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", lines))
            for line in lines.split(b"\r\n"):
                self.assertTrue(line.strip(), "a blank continuation line: %r" % lines[:200])


class Signatures(common.ComponentTest):
    def test_several_signatures_rsa_and_ed25519(self):
        rsa, edwards = daemon.key("esp"), daemon.key("esp", "ed25519")
        pool = daemon.pool(signatures=(
            {"domain": "esp.example", "selector": "e1", "key": rsa.path},
            {"domain": "example.com", "selector": "ed", "key": edwards.path}))
        zone = daemon.zone_for(pool).add("e1", "esp.example", rsa.record).add(
            "ed", "example.com", edwards.record)
        server = self.serve([pool])
        result = self.deliver(server, queue_id="4THREE")
        self.assert_signed(result, pool, zone)
        found = {(tags["d"], tags["s"], tags["a"]) for tags in daemon.signatures(result.message)}
        self.assertEqual(found, {("example.com", "s-acme", "rsa-sha256"),
                                 ("esp.example", "e1", "rsa-sha256"),
                                 ("example.com", "ed", "ed25519-sha256")})
        self.assertEqual(daemon.failed_signatures(result.message, zone, "esp.example"), [])
        self.assertEqual(daemon.failed_signatures(result.message, zone, "example.com"), [])
        self.assertEqual(set(server.message_line("4THREE")["dkim"].split(",")),
                         {"%s/%s/%s" % tags for tags in found})

    def test_tags(self):
        tags = daemon.signatures(self.deliver(self.serve()).message)[0]
        self.assertEqual((tags["v"], tags["a"], tags["c"]), ("1", "rsa-sha256", "relaxed/relaxed"))
        self.assertNotIn("l", tags)
        self.assertRegex(tags["t"], r"^\d+$")

    def test_D4_changes_after_signing(self):
        result = self.deliver(self.serve())
        own, _, rest = result.message.partition(b"\r\nFrom: ")
        changes = {
            "From appended": own + b"\r\nFrom: " + rest.replace(
                b"\r\n\r\n", b"\r\nFrom: evil@evil.example\r\n\r\n", 1),
            "From prepended": b"From: evil@evil.example\r\n" + result.message,
            "body": result.message.replace(b"World", b"world"),
            "Subject": result.message.replace(b"Subject: Test", b"Subject: Tast"),
        }
        self.assertEqual(daemon.failed_signatures(result.message, ZONE, "example.com"), [])
        for name, changed in changes.items():
            with self.subTest(change=name):
                self.assertNotEqual(daemon.failed_signatures(changed, ZONE, "example.com"), [])

    SIGNED = b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=From; bh=AAAA; b=BBBB\r\n"

    def test_D3_mail_that_is_signed_already(self):
        server = self.serve()
        first = self.deliver(server)
        cases = {
            "by us, well": (first.image, b""),
            "by another": (None, self.SIGNED),
            "no tags": (None, b"DKIM-Signature: nonsense\r\n"),
            "empty": (None, b"DKIM-Signature:\r\n"),
            "only a colon and folds": (None, b"DKIM-Signature:\r\n \r\n\t\r\n"),
            "doubled tags": (None, b"DKIM-Signature: v=1; v=1; d=a; d=b;;;=; b=\r\n"),
            "8-bit and controls": (None, b"DKIM-Signature: v=1\x01\xff; d=\xc3\xa9\r\n"),
            "of our domain, malformed": (None, b"DKIM-Signature: v=1; a=; d=example.com; s=s-acme;"
                                               b" h=; bh=; b=\r\n"),
            "unknown version": (None, b"DKIM-Signature: v=9; a=rsa-sha1; d=example.com\r\n"),
            "500 of them": (None, self.SIGNED * 500),
            "500 malformed": (None, b"DKIM-Signature: x\r\n" * 500),
            "one of 40 kB": (None, b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; b="
                             + b"\r\n\t".join([b"A" * 70] * 570) + b"\r\n"),
            "one of 40 kB in a line": (None, b"DKIM-Signature: b=" + b"A" * 40000 + b"\r\n"),
        }
        for name, (data, extra) in cases.items():
            with self.subTest(signature=name):
                result = self.deliver(server, data or common.message(extra=extra))
                self.assertEqual(result.status, "accepted", result.reply)
                self.assertNotIn("chgheader", [edit[0] for edit in result.edits])
                top = daemon.signatures(result.message)[0]
                self.assertEqual((top.get("d"), top.get("s")), ("example.com", "s-acme"))
                self.assertTrue(daemon.dkim.DKIM(result.message).verify(0, dnsfunc=ZONE.lookup),
                                result.message[:1500])

    def test_D7_shapes_of_headers(self):
        server = self.serve()
        shapes = {
            "folded right after its name": b"Subject:\r\n Test\r\n",
            "tabs": b"Subject:\tTest\ttabs\t\r\n",
            "no space": b"Subject:Test\r\n",
            "several spaces": b"Subject:    Test   \r\n",
            "blank continuation lines": b"Subject: one\r\n \r\n\t\r\n two\r\n",
            "nothing but a blank continuation": b"Subject:\r\n \r\n",
            "empty": b"Subject:\r\n",
            "one space": b"Subject: \r\n",
            "8-bit": b"Subject: caf\xc3\xa9 \xff\r\n",
            "space before the colon": b"Subject \t: Test\r\n",
            "long line of 997": b"Subject: " + b"x" * 988 + b"\r\n",
            "folded 500 times": b"Subject: " + b"\r\n ".join([b"x"] * 500) + b"\r\n",
            "three of them": b"Subject: 1\r\nsubject: 2\r\nSUBJECT: 3\r\n",
            "trailing white space before folds": b"Subject: a \r\n  b \t\r\n\tc\r\n",
            "form feed": b"Subject: a\x0cb\r\n",
            "vertical tab": b"Subject: a \x0b b\r\n",
            "bare CR": b"Subject: a\rb\r\n",
        }
        for name, header in shapes.items():
            with self.subTest(header=name):
                data = common.message(extra=header).replace(b"Subject: Test\r\n", b"", 1)
                result = self.deliver(server, data)
                self.assert_signed(result, ACME, ZONE, rules_of_wire=False)
                self.assertTrue(result.image.endswith(mta.normalise(data)),
                                "a header was changed")

    def test_C8_shapes_of_bodies(self):
        server = self.serve(safe_encoding=False)
        bodies = {
            "none": b"", "one empty line": b"\r\n", "empty lines only": b"\r\n" * 50,
            "leading dots": b".\r\n..\r\n.x\r\n", "trailing empty lines": b"x\r\n\r\n\r\n",
            "trailing spaces": b"x  \t\r\n \t\r\n", "NUL": b"a\0b\r\n\0\r\n",
            "bare CR": b"a\rb\r\n\rc\r\n", "8-bit": bytes(range(128, 256)) + b"\r\n",
            "line of 998": b"x" * 998 + b"\r\n", "From at line start": b"From x\r\n>From y\r\n",
            "just a chunk": b"x" * 76 * 1 + b"\r\n" + b"y" * 65455 + b"\r\n",
            "edge of a chunk in a line end": b"x" * 65534 + b"\r\nabc\r\n",
            "one more than a chunk": b"z" * 65534 + b"\r\n",
            "300 kB": b"0123456789 abcdef\r\n" * 16000,
        }
        for name, body in bodies.items():
            with self.subTest(body=name):
                result = self.deliver(server, common.message(body=body))
                self.assert_signed(result, ACME, ZONE)
                self.assertTrue(result.message.endswith(b"\r\n\r\n" + body), "the body was changed")


class Sizes(common.ComponentTest):
    """Row C10."""

    def test_C10_max_message_size(self):
        server = self.serve(max_message_size=100000)
        self.assert_signed(self.deliver(server, common.message(body=b"x" * 70 + b"\r\n" * 10000)),
                           ACME, ZONE)
        large = common.message(body=(b"x" * 70 + b"\r\n") * 1500)
        self.assert_refused(self.deliver(server, large), "rejected", b"552 5.3.4")
        headers = common.message(extra=b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900)
                                                for n in range(120)))
        self.assert_refused(self.deliver(server, headers), "rejected", b"552 5.3.4")
        # Nothing of the large one is left on the connection.
        session = self.session(server)
        self.assert_refused(session.deliver(large, b"a@example.com", [b"b@example.net"]),
                            "rejected", b"552 5.3.4")
        self.assert_signed(session.deliver(common.message(), b"a@example.com", [b"b@example.net"]),
                           ACME, ZONE)

    def test_C10_too_large_is_not_kept(self):
        server = self.serve(max_message_size=1000000)
        self.assert_still_works(server)
        before = server.memory_peak()
        body = (b"x" * 70 + b"\r\n") * 700000        # 50 MB
        self.assert_refused(self.deliver(server, common.message(body=body)), "rejected",
                            b"552 5.3.4")
        self.assertLess(server.memory_peak() - before, daemon.memory_limit(8192))

    def test_C10_body_of_50_mb(self):
        server = self.serve()
        self.assert_still_works(server)
        before = server.memory_peak()
        data = common.message(body=(b"x" * 70 + b"\r\n") * 694444)
        result = self.deliver(server, data, timeout=120)
        self.assert_signed(result, ACME, ZONE)
        grown = server.memory_peak() - before
        self.assertGreater(grown, 0)
        self.assertLess(grown * 1024, 3 * len(data) * (4 if daemon.instrumented() else 1))
        # And it is given back: the next one needs no more.
        peak = server.memory_peak()
        self.assertEqual(self.deliver(server, data, timeout=120).status, "accepted")
        self.assertLess(server.memory_peak() - peak, daemon.memory_limit(8192))

    def test_C10_twenty_thousand_headers(self):
        server = self.serve([daemon.pool(delete_headers=["X-D*"])])
        extra = b"".join(b"X-%s%d: value\r\n" % (b"D" if n % 100 == 0 else b"H", n)
                         for n in range(20000))
        result = self.deliver(server, common.message(extra=extra), timeout=60)
        if result.status == "rejected":
            self.assertEqual(result.reply[:1], b"5")
            return
        self.assert_signed(result, ACME, ZONE)
        self.assertEqual(len([name for name in names(result.message)
                              if name.startswith(b"x-h")]), 19800)
        self.assertFalse([name for name in names(result.message) if name.startswith(b"x-d")])

    def test_C10_twenty_thousand_copies_of_one_header(self):
        server = self.serve([daemon.pool(delete_headers=["X-Copy"])])
        extra = b"X-Copy: value\r\n" * 20000
        result = self.deliver(server, common.message(extra=extra), timeout=60)
        self.assert_signed(result, ACME, ZONE)
        self.assertNotIn(b"x-copy", names(result.message))

    def test_C10_header_of_64_kb(self):
        server = self.serve(safe_encoding=False)
        folded = b"Subject: " + b"\r\n ".join([b"x" * 70] * 900) + b"\r\n"
        for name, header in (("folded", folded), ("X-Long", b"X-Long: " + b"y" * 65536 + b"\r\n")):
            with self.subTest(header=name):
                data = common.message(extra=header)
                result = self.deliver(server, data)
                self.assert_signed(result, ACME, ZONE, rules_of_wire=False)
                self.assertTrue(result.image.endswith(mta.normalise(data)))


class ReturnPath(common.ComponentTest):
    SENDERS = (b"a@example.com", b"other@elsewhere.example", b"UPPER@EXAMPLE.COM")

    def test_modes(self):
        for mode in ("signed", "verp", "plain", "keep"):
            server = self.serve([daemon.pool(return_path=mode)])
            for sender in self.SENDERS:
                with self.subTest(mode=mode, sender=sender):
                    result = self.deliver(server, sender=sender)
                    self.assert_signed(result, ACME, ZONE)
                    self.assertEqual(result.header(b"From"), [b"Sender <a@example.com>"])
                    changes = [edit for edit in result.edits if edit[0] == "chgfrom"]
                    if mode == "keep":
                        self.assertEqual((result.sender, changes), (sender, []))
                    else:
                        self.assertEqual(len(changes), 1)
                        local, _, domain = result.sender.rpartition(b"@")
                        self.assertEqual(domain, SPF)
                        self.assertLessEqual(len(local), 64)

    def test_plain_says_nothing_about_the_message(self):
        server = self.serve([daemon.pool(return_path="plain")])
        first = self.deliver(server, recipients=[b"b@example.net"]).sender
        second = self.deliver(server, recipients=[b"c@example.org"]).sender
        self.assertEqual((first, second), (b"bounce@" + SPF,) * 2)

    def test_verp_decodes_to_the_recipient(self):
        """Row E3: what fits reads back exactly; what does not becomes a token."""
        server = self.serve([daemon.pool(return_path="verp")])
        for recipient in (b"b@example.net", b"b+tag=x@example.net", b"first.last@sub.example.net",
                          b"o'neil!x%y@example.net", b"a-b_c@example.net", b"UPPER@Example.NET"):
            with self.subTest(recipient=recipient):
                sender = self.deliver(server, recipients=[recipient]).sender
                done = daemon.poolctl("verp", "decode", "-c", server.config, sender.decode())
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(recipient.lower(), done.stdout.lower())

    def test_E3_difficult_recipients(self):
        for mode in ("signed", "verp"):
            server = self.serve([daemon.pool(return_path=mode)],
                                return_path={"check_bounces": True})
            for recipient in (b"x" * 64 + b"@example.net", b"x" * 64 + b"@" + b"y." * 90 + b"example",
                              "jörg@bücher.example".encode(), b'"a b"@example.net',
                              b'"a@b"@example.net', b'"a\\"b"@example.net', b"a=b+c!d%e@example.net",
                              b"postmaster", b"user@[192.0.2.7]"):
                with self.subTest(mode=mode, recipient=recipient):
                    result = self.deliver(server, recipients=[recipient])
                    self.assert_signed(result, ACME, ZONE)
                    local, _, domain = result.sender.rpartition(b"@")
                    self.assertEqual(domain, SPF)
                    self.assertLessEqual(len(local), 64)
                    self.assertRegex(local, rb"^[!#-'*+\-/-9=?A-Z^-~.]+$", "needs quotes")
                    bounce = self.deliver(server, common.message(b"m@example.net"), b"",
                                          [result.sender], login=None)
                    self.assertEqual(bounce.status, "accepted", bounce.reply)

    def test_E4_null_sender_stays(self):
        for mode in ("signed", "verp", "plain", "keep"):
            with self.subTest(mode=mode):
                result = self.deliver(self.serve([daemon.pool(return_path=mode)]), sender=b"")
                self.assert_signed(result, ACME, ZONE)
                self.assertEqual(result.sender, b"")
                self.assertNotIn("chgfrom", [edit[0] for edit in result.edits])

    def test_E4_an_address_that_is_ours_already_stays(self):
        for mode in ("signed", "verp", "plain"):
            with self.subTest(mode=mode):
                server = self.serve([daemon.pool(return_path=mode)])
                once = self.deliver(server).sender
                again = self.deliver(server, sender=once, recipients=[b"z@example.org"])
                self.assert_signed(again, ACME, ZONE)
                self.assertEqual(again.sender, once)

    def test_E4_several_recipients_have_one_token(self):
        server = self.serve(return_path={"check_bounces": True})
        recipients = [b"b%d@example%d.net" % (n, n % 5) for n in range(100)]
        result = self.deliver(server, recipients=recipients)
        self.assert_signed(result, ACME, ZONE)
        self.assertEqual(result.recipients, recipients)
        self.assertEqual([edit[0] for edit in result.edits].count("chgfrom"), 1)
        other = self.deliver(server, recipients=recipients, queue_id="4OTHER")
        self.assertNotEqual(result.sender, other.sender, "the token is not the message's own")
        bounce = self.deliver(server, common.message(b"m@example.net"), b"", [result.sender],
                              login=None)
        self.assertEqual(bounce.status, "accepted")

    def test_E4_esmtp_arguments_stay(self):
        arguments = [b"SIZE=1000", b"BODY=8BITMIME", b"RET=HDRS", b"ENVID=QQ314159"]
        result = self.deliver(self.serve(), arguments=arguments)
        self.assert_signed(result, ACME, ZONE)
        self.assertTrue(result.sender.endswith(SPF))
        self.assertEqual(result.arguments, arguments)


class Bounces(common.ComponentTest):
    ALPHABET = b"abcdefghijklmnopqrstuvwxyz0123456789"

    def _token(self, server, **options):
        local, _, domain = self.deliver(server, **options).sender.rpartition(b"@")
        self.assertEqual(domain, SPF)
        return local

    def _try(self, server, local, domain=SPF, **options):
        return self.deliver(server, common.message(b"mailer-daemon@example.net"), b"",
                            [local + b"@" + domain], login=None, **options)

    def _assert_refused(self, result):
        self.assertEqual(result.stage, "rcpt", (result.status, result.reply))
        self.assert_refused(result, "rejected", b"550 5.1.1")

    def test_E1_flipped_in_every_place(self):
        server = self.serve(return_path={"check_bounces": True})
        token = self._token(server)
        self.assertEqual(self._try(server, token).status, "accepted")
        start = token.index(b"+") + 1
        session = self.session(server, login=None)
        for place in range(start, len(token)):
            for other in self.ALPHABET:
                if other == token[place]:
                    continue
                forged = token[:place] + bytes([other]) + token[place + 1:]
                result = session.deliver(common.message(), b"", [forged + b"@" + SPF])
                self.assertEqual(result.stage, "rcpt", "accepted: %r for %r" % (forged, token))
                self.assert_refused(result, "rejected", b"550 5.1.1")

    def test_E1_cut_grown_and_empty(self):
        server = self.serve(return_path={"check_bounces": True})
        token = self._token(server)
        prefix = token[:token.index(b"+") + 1]
        forgeries = [token[:length] for length in range(len(prefix), len(token))]
        forgeries += [token + b"a", token + b"0", token[:-1] + b"=", token + token,
                      prefix + b"a" * 60, prefix + b"+" + token[len(prefix):],
                      prefix + b"0" * (len(token) - len(prefix)),
                      prefix + b"\xc3\xa9" * 10, prefix + b"%00" * 5]
        for forged in forgeries:
            with self.subTest(token=forged):
                self._assert_refused(self._try(server, forged))

    def test_E1_of_another_domain_or_secret(self):
        server = self.serve([ACME, BETA], return_path={"check_bounces": True})
        other = self.serve(return_path={"check_bounces": True})
        self._assert_refused(self._try(server, self._token(server), BETA["spf_domain"].encode()))
        self._assert_refused(self._try(server, self._token(other)))

    def test_E1_expired_and_from_the_future(self):
        server = self.serve(return_path={"check_bounces": True, "expire_days": 14})

        def token(days):
            made = daemon.poolctl("verp", "encode", "-c", server.config, "--pool", "acme", "--rcpt",
                                  "b@example.net", "--time", int(time.time()) + days * 86400)
            self.assertEqual(made.returncode, 0, made.stderr)
            return made.stdout.partition(b"@")[0]

        self.assertEqual(self._try(server, self._token(server)).status, "accepted")
        for days in (0, -10, -14, 1):
            with self.subTest(days=days):
                self.assertEqual(self._try(server, token(days)).status, "accepted")
        for days in (-16, -20, -400, 3, 10, 400):
            with self.subTest(days=days):
                self._assert_refused(self._try(server, token(days)))

    def test_E2_case_changed_on_the_way(self):
        server = self.serve(return_path={"check_bounces": True})
        token = self._token(server)
        for changed in (token.lower(), token.upper(), token.title(), token.swapcase()):
            for domain in (SPF, SPF.upper()):
                with self.subTest(token=changed, domain=domain):
                    self.assertEqual(self._try(server, changed, domain).status, "accepted")

    def test_one_forged_recipient_among_good_ones(self):
        server = self.serve(return_path={"check_bounces": True})
        good = self._token(server) + b"@" + SPF
        forged = b"b+forged@" + SPF
        result = self.deliver(server, common.message(b"m@example.net"), b"",
                              [good, forged, b"x@example.org"], login=None)
        self.assertEqual(result.recipients, [good, b"x@example.org"])
        self.assertEqual(list(result.refused), [forged])
        self.assertEqual(result.status, "accepted")

    def test_off_means_off(self):
        server = self.serve(return_path={"check_bounces": False})
        self.assertEqual(self._try(server, b"b+forged").status, "accepted")

    def test_secrets_rotate(self):
        old = self.serve(return_path={"check_bounces": True})
        token = self._token(old)
        new = self.serve(return_path={"check_bounces": True})
        self.deliver(new)
        server = self.prepare()
        files = []
        for name, source in (("new", new), ("old", old)):
            path = server.directory / name
            shutil.copy(source.directory / "state" / "return-path.secret", path)
            path.chmod(0o600)
            files.append(str(path))
        server.write_config(return_path={"check_bounces": True, "secret_files": files})
        server.start()
        self.assertEqual(self._try(server, token).status, "accepted")
        fresh = self._token(server)
        self.assertEqual(self._try(new, fresh).status, "accepted", "the first secret signs")
        self._assert_refused(self._try(old, fresh))
        server.write_config(return_path={"check_bounces": True, "secret_files": files[:1]})
        server.reload()
        self._assert_refused(self._try(server, token))
        self.assertEqual(self._try(server, fresh).status, "accepted")


class Log(common.ComponentTest):
    def test_keys_in_their_order(self):
        server = self.serve()
        self.deliver(server, queue_id="4ORDER", recipients=[b"b@example.net", b"c@example.net"])
        line = server.wait_log(r"4ORDER: ")
        self.assertRegex(line, r"^poolmilter\[%d\]: 4ORDER: pool=acme isp=default from=<a@example\.com> "
                               r"return_path=<[^<>@ ]+@ac-bounces\.example\.com> nrcpt=2 size=\d+ encoded=- "
                               r"headers=\+\d+-\d+ dkim=example\.com/s-acme/rsa-sha256 "
                               r"limit=- took_ms=\d+(\.\d+)? result=accepted( |$)" % server.pid)

    def test_the_manual_parses_the_line(self):
        """The regular expression that poolmilter(8) gives its readers."""
        manual = pathlib.Path(__file__).resolve().parents[2] / "doc" / "poolmilter.8.in"
        lines = manual.read_text().partition("BEGIN REGEX\n")[2].partition('.\\" END REGEX')[0]
        parts = [part for part in lines.splitlines() if not part.startswith(".")]
        text = "".join(parts).replace("\\-", "-").replace("\\e", "\\").replace("(?<", "(?P<")
        pattern = re.compile(text)
        line = ("4A: pool=acme isp=gmail%s from=<a@example.com> return_path=- nrcpt=4 size=10 encoded=%s headers=+1-2 "
                "dkim=- limit=%s took_ms=0.9 result=accepted")
        for limit, over, wait in (("ok", None, None), ("-", None, None), ("unknown", None, None),
                                  ("over:pi/a.b/t-online/20/30s wait_ms=1234", "pi/a.b/t-online/20/30s", "1234"),
                                  ("over:i/gmail/1/day wait_ms=-", "i/gmail/1/day", None)):
            match = pattern.match(line % ("", "-", limit))
            self.assertIsNotNone(match, limit)
            self.assertEqual((match["over"], match["wait_ms"]), (over, wait))
        for limit in ("over:", "over:p/a/1/day", "ok wait_ms=1", "no"):
            self.assertIsNone(pattern.match(line % ("", "-", limit)), limit)
        for mixed, encoded, expected in (
                ("", "-", (None, None, None, None)),
                (" mixed=neutral", "- reason=text:broken-base64", ("neutral", None, None, "text:broken-base64")),
                (" mixed=split split=yahoo:2/3,t-online:1/1", "html:base64,text:quoted-printable reason=other:a,html:b",
                 ("split", "yahoo:2/3,t-online:1/1", "html:base64,text:quoted-printable", "other:a,html:b"))):
            match = pattern.match(line % (mixed, encoded, "ok"))
            self.assertIsNotNone(match, line % (mixed, encoded, "ok"))
            self.assertEqual((match["mixed"], match["split"], match["encoded"], match["not_encoded"]), expected)
        server = self.serve(max_message_size=100000)
        sent = [(common.message(), "acme"), (common.message(), None),
                (common.message(extra=b"X-Pool: none\r\n"), "acme"),
                (common.message(body=b"x\r\n" * 60000), "acme")]
        for number, (data, login) in enumerate(sent):
            self.deliver(server, data, login=login, queue_id="4REGEX%d" % number)
            line = server.wait_log(r"4REGEX%d: " % number).partition("]: ")[2]
            match = pattern.match(line)
            self.assertIsNotNone(match, line)
            self.assertEqual(match["id"], "4REGEX%d" % number)
            self.assertEqual(match["result"] == "accepted", match["reason"] is None)

    def test_one_line_per_message(self):
        server = self.serve(max_message_size=100000)
        cases = [("accepted", common.message(), "acme"),
                 ("passed", common.message(), None),
                 ("passed", common.message(b"a@other.example"), "acme"),
                 ("rejected", common.message(extra=b"X-Pool: none\r\n"), "acme"),
                 ("rejected", common.message(body=b"x" * 98 + b"\r\n" * 60000), "acme")]
        for number, (expected, data, login) in enumerate(cases):
            queue_id = "4LINE%d" % number
            with self.subTest(queue_id=queue_id):
                self.deliver(server, data, login=login, queue_id=queue_id)
                line = server.message_line(queue_id)
                self.assertEqual(line["result"], expected)
                if expected != "accepted":
                    self.assertIn("reason", line)
        self.deliver(server, queue_id="4LAST")
        server.message_line("4LAST")
        for number in range(len(cases)):
            found = [line for line in server.lines if "4LINE%d: " % number in line]
            self.assertEqual(len(found), 1, found)

    def test_hostile_envelope_cannot_forge_lines(self):
        server = self.serve()
        evil = b'x\r\n\x1b[31m 4FAKE: pool=acme result=accepted" \xff\xc3<>@example.com'
        self.deliver(server, sender=evil, recipients=[evil], login=evil, queue_id="4HOSTILE")
        server.message_line("4HOSTILE")
        self.assertFalse([line for line in server.lines if re.search(r"\]: 4FAKE", line)])
        for line in server.lines:
            self.assertRegex(line, r"^poolmilter\[\d+\]: [\x20-\x7e\u0080-\uffff]*$")
            self.assertLess(len(line), 4000)

    def test_long_values_are_cut(self):
        server = self.serve([daemon.pool(return_path="keep")])
        self.deliver(server, sender=b"x" * 20000 + b"@example.com", queue_id="4LONG")
        line = server.wait_log(r"4LONG: ")
        self.assertLess(len(line), 2048, "syslog cuts such a line, and result= is its end")
        self.assertIn("result=", line)


if __name__ == "__main__":
    common.main()
