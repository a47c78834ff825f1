#!/usr/bin/python3
"""The image test: what the MTA holds after our edits = what `poolctl process` writes, byte for byte.

The same message goes through the daemon and the fake MTA, and through poolctl process with the same
time and queue ID; both must end in the same bytes and the same sender, and the signatures verify.
Over all golden messages (tests/golden/*.eml), a dozen of its own, and random messages under random
edit rules; with the body replaced by each encoding, and with recipients taken off by a split.  The random
seed is printed; IMAGE_TEST_SEED repeats a run.
"""
import contextlib
import os
import pathlib
import random
import re
import time

import common
import daemon
import mimegen
import mta
import sink

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
ACME = daemon.pool("acme", "example.com")
HEAD = (b"From: a@example.com\r\nTo: b@example.net\r\nSubject: Test\r\n"
        b"Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n")
PLAIN = {
    "simple": HEAD + b"\r\nHello\r\n",
    "no body": HEAD + b"\r\n",
    "no empty line": HEAD,
    "body of empty lines": HEAD + b"\r\n" + b"\r\n" * 9,
    "bare LF line ends": (HEAD + b"\r\nHello\r\nWorld\r\n").replace(b"\r\n", b"\n"),
    "no final newline": HEAD + b"\r\nHello",
    "dots and From lines": HEAD + b"\r\n.\r\n..x\r\nFrom y\r\n",
    "folds and tabs": b"X-F:\r\n a\r\n\t b\r\n \t\r\nX-E:\r\nX-S:   \r\n" + HEAD + b"\r\nx\r\n",
    "8-bit": HEAD + b"X-8: caf\xc3\xa9 \xff\r\n\r\n\x80\xff\r\n",
    "body without headers between": HEAD + b"this is no header\r\nmore: text\r\n",
    "bare CR": HEAD + b"\r\na\rb\r\n\r\r\n",
    "NUL in the body": HEAD + b"\r\na\0b\r\n",
    "space before the colon": b"X-Old : 1\r\n" + HEAD + b"\r\nx\r\n",
    "Resent": b"Resent-From: r@example.com\r\nResent-To: s@example.net\r\n" + HEAD + b"\r\nx\r\n",
    "signed by another": b"DKIM-Signature: v=1; d=x.example; b=AA\r\n" + HEAD + b"\r\nx\r\n",
    "many Received": b"Received: by a\r\n\tb\r\n" * 40 + HEAD + b"\r\nx\r\n",
    "two From": HEAD + b"From: c@example.com\r\n\r\nx\r\n",
    "starts with a space": b" \r\n" + HEAD + b"\r\nx\r\n",
    "mbox line": b"From a@example.com Mon Jun 1 12:00:00 2026\r\n" + HEAD + b"\r\nx\r\n",
    "a chunk and more": HEAD + b"\r\n" + b"0123456789\r\n" * 12000,
}


class ImageTest(common.ComponentTest):
    """Compares the two ways of one message."""

    count = 0

    def compare(self, server, session, data, recipients=(b"b@example.net",), zone=None):
        """One message both ways; returns the fake MTA's result."""
        ImageTest.count += 1
        stored = mta.normalise(data)
        queue_id = "4IMG%d" % ImageTest.count
        result = session.deliver(stored, b"a@example.com", list(recipients), queue_id=queue_id,
                                 as_stored=True)
        self.assertIn(result.status, ("accepted", "rejected"), result.reply)
        done = self.process(server, stored, recipients, queue_id, self.signing_time(result))
        if result.status == "rejected":
            self.assertEqual(done.returncode, 77, done.stderr)
            return result
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_same(result.image, done.stdout)
        self.assertIn(b"<" + result.sender + b">" if b"<" in done.stderr else result.sender,
                      done.stderr, "the new sender")
        if result.edits and daemon.signatures(result.image) and zone is not None:
            self.assertTrue(daemon.dkim.DKIM(result.image).verify(0, dnsfunc=zone.lookup),
                            "does not verify: %r" % result.image[:2000])
        return result

    @staticmethod
    def signing_time(result):
        if any(edit[0] == "insheader" for edit in result.edits):
            return int(daemon.signatures(result.image)[0]["t"])
        return int(time.time())

    @staticmethod
    def process(server, data, recipients, queue_id, when):
        arguments = ["-c", server.config, "-f", "a@example.com"]
        for recipient in recipients:
            arguments += ["-r", recipient.decode()]
        return daemon.poolctl("process", *arguments, "--user", common.LOGIN, "--client",
                              "192.0.2.1", "--queue-id", queue_id, "--time", when, data=data)

    def assert_same(self, held, written):
        if held == written:
            return
        at = next((n for n, (a, b) in enumerate(zip(held, written)) if a != b),
                  min(len(held), len(written)))
        self.fail("differ at octet %d of %d and %d:\nMTA holds   ...%r\nprocess has ...%r"
                  % (at, len(held), len(written), held[max(at - 60, 0):at + 100],
                     written[max(at - 60, 0):at + 100]))


class Messages(ImageTest):
    EDITS = dict(delete_headers=["X-Old", "X-F", "Received"],
                 set_headers=({"name": "X-Set", "value": "${pool} ${header:Subject}"},),
                 add_headers=({"name": "X-Add", "value": "${queue_id} ${header:X-8}"},
                              {"name": "Feedback-ID", "value": "${rcpt_domain}:${login}"}))

    def _run(self, messages):
        for edits in ({}, self.EDITS):
            pool = daemon.pool("acme", "example.com", **edits)
            server = self.serve([pool], no_pool="acme")
            session = self.session(server)
            zone = daemon.zone_for(pool)
            for name, data in messages.items():
                with self.subTest(message=name, edits=bool(edits)):
                    self.compare(server, session, data, zone=zone)

    def test_plain_messages(self):
        self._run(PLAIN)

    def test_golden_messages(self):
        golden = {path.name: path.read_bytes() for path in sorted(GOLDEN.glob("**/*.eml"))}
        self.assertGreater(len(golden), 0, "no golden messages in %s" % GOLDEN)
        self._run(golden)

    def test_several_recipients_and_signatures(self):
        pool = daemon.pool("acme", "example.com", signatures=(
            {"domain": "esp.example", "selector": "e1", "key": daemon.key("esp").path},
            {"domain": "example.com", "selector": "ed", "key": daemon.key("esp", "ed25519").path}))
        server = self.serve([pool])
        session = self.session(server)
        result = self.compare(server, session, PLAIN["simple"],
                              [b"b@example.net", b"c@example.org"], daemon.zone_for(pool))
        self.assertEqual(len(daemon.signatures(result.image)), 3)

    def test_every_return_path_mode(self):
        for mode in ("signed", "verp", "plain", "keep"):
            with self.subTest(mode=mode):
                pool = daemon.pool("acme", "example.com", return_path=mode)
                server = self.serve([pool])
                self.compare(server, self.session(server), PLAIN["simple"],
                             zone=daemon.zone_for(pool))

    def test_process_keeps_line_ends(self):
        """What it writes for LF mail is what it writes for CRLF mail but for the line ends."""
        server = self.serve([daemon.pool("acme", "example.com", **self.EDITS)])
        self.assert_still_works(server)
        for name in ("simple", "folds and tabs", "8-bit", "dots and From lines"):
            with self.subTest(message=name):
                crlf = self.process(server, PLAIN[name], [b"b@example.net"], "4LF", 1800000000)
                lines = self.process(server, PLAIN[name].replace(b"\r\n", b"\n"),
                                     [b"b@example.net"], "4LF", 1800000000)
                self.assertEqual((crlf.returncode, lines.returncode), (0, 0), crlf.stderr)
                self.assertNotIn(b"\r", lines.stdout)
                self.assertEqual(lines.stdout, crlf.stdout.replace(b"\r\n", b"\n"))


ENCODINGS = {"qp.example": {"global": "quoted-printable"}, "base64.example": {"global": "base64"},
             "8bit.example": {"global": "8bit"},
             "mixed.example": {"html": "base64", "text": "quoted-printable"}}
ISPS = tuple({"name": domain.partition(".")[0], "domains": [domain], "encoding": encoding,
              "add_headers": ({"name": "X-ISP", "value": "${isp}"},)} for domain, encoding in ENCODINGS.items())


class ReplacedBodies(ImageTest):
    """The body goes through smfi_replacebody(), the label through header edits."""

    def _run(self, server, messages):
        session = self.session(server)
        zone = daemon.zone_for(ACME)
        replaced = labelled = 0
        for name, data in messages.items():
            for domain in ENCODINGS:
                with self.subTest(message=name, domain=domain):
                    result = self.compare(server, session, data, [b"b@" + domain.encode()], zone=zone)
                    replaced += any(edit[0] == "replbody" for edit in result.edits)
                    labelled += any(edit[0] in ("chgheader", "addheader")
                                    and b"Content-Transfer-Encoding" in edit for edit in result.edits)
        return replaced, labelled

    def test_messages_of_all_kinds(self):
        server = self.serve([ACME], isps=ISPS, no_pool="acme")
        golden = {path.name: path.read_bytes() for path in sorted(GOLDEN.glob("**/*.eml"))}
        replaced, labelled = self._run(server, {**PLAIN, **golden})
        self.assertGreater(replaced, len(ENCODINGS) * len(PLAIN) // 4)
        self.assertGreater(labelled, len(PLAIN))

    def test_random_messages(self):
        seed = int(os.environ.get("IMAGE_TEST_SEED") or time.time_ns() % 1000000007)
        print("# %s: IMAGE_TEST_SEED=%d" % (self.id(), seed), flush=True)
        server = self.serve([ACME], isps=ISPS)
        count = daemon.scaled(50)
        replaced, _ = self._run(server, {"random %d of IMAGE_TEST_SEED=%d" % (number, seed): mimegen.message(
            random.Random("%d/%d" % (seed, number))).data for number in range(count)})
        self.assertGreater(replaced, count // 2)

    def test_body_of_many_chunks_and_of_none(self):
        server = self.serve([ACME], isps=ISPS)
        for name, body in (("chunks", b"caf\xc3\xa9 0123456789\r\n" * 60000),
                           ("64 KiB", (b"\xe9" * 126 + b"\r\n") * 512), ("one octet", b"\xe9\r\n"),
                           ("empty", b""), ("dots", b"\xe9\r\n.\r\n..\r\n")):
            with self.subTest(body=name):
                replaced, _ = self._run(server, {name: HEAD + b"\r\n" + body})
                # "8bit" needs no other body
                self.assertEqual(replaced, 3 if body else 0)

    def test_process_keeps_line_ends(self):
        server = self.serve([ACME], isps=ISPS)
        for domain in ENCODINGS:
            with self.subTest(domain=domain):
                data = HEAD + b"\r\ncaf\xc3\xa9\r\n.\r\n" + b"x" * 100 + b"\r\n"
                crlf, lines = (self.process(server, each, [b"b@" + domain.encode()], "4LF", 1800000000)
                               for each in (data, data.replace(b"\r\n", b"\n")))
                self.assertEqual((crlf.returncode, lines.returncode), (0, 0), crlf.stderr)
                self.assertEqual(lines.stdout, crlf.stdout.replace(b"\r\n", b"\n"))


class DeletedRecipients(ImageTest):
    """mixed_isps = "split": other ISPs' recipients are taken off; what is injected again comes in anew."""

    RECIPIENTS = [b"one@qp.example", b"two@base64.example", b"Three@QP.example", b"four@8bit.example",
                  b'"f i v e"@base64.example', b"six@elsewhere.example"]

    def setUp(self):
        self.sink = sink.Sink().start()
        self.addCleanup(self.sink.stop)

    def serve_split(self):
        return self.serve([ACME], isps=ISPS, mixed_isps="split",
                          reinject="smtp://127.0.0.1:%d" % self.sink.port)

    def test_what_stays_and_what_comes_again(self):
        server = self.serve_split()
        session = self.session(server)
        zone = daemon.zone_for(ACME)
        data = HEAD + b"\r\ncaf\xc3\xa9\r\n.\r\n" + b"x" * 100 + b"\r\n"
        first = self.compare(server, session, data, self.RECIPIENTS, zone=zone)
        self.assertEqual(first.recipients, [b"one@qp.example", b"Three@QP.example"])
        self.assertEqual(first.header(b"Content-Transfer-Encoding"), [b"quoted-printable"])
        self.assertEqual(first.header(b"X-ISP"), [b"qp"])
        seen = {}
        for copy in self.sink.wait(3, timeout=10):
            again = session.deliver(copy.content, copy.sender.encode(),
                                    [each.encode() for each in copy.rcpts])
            self.assertEqual(len(again.recipients), len(copy.rcpts))
            self.assertTrue(daemon.dkim.DKIM(again.image).verify(0, dnsfunc=zone.lookup))
            self.assertEqual(again.header(b"X-Poolmilter-Split"), [])
            label = again.header(b"Content-Transfer-Encoding")
            seen.update({each: (label, again.header(b"X-ISP")) for each in again.recipients})
        self.assertEqual(len(self.sink.messages), 3)
        self.assertEqual(seen, {
            self.RECIPIENTS[1]: ([b"base64"], [b"base64"]), self.RECIPIENTS[3]: ([b"8bit"], [b"8bit"]),
            self.RECIPIENTS[4]: ([b"base64"], [b"base64"]),
            # No record has it: safe_encoding alone chooses what is shorter.
            self.RECIPIENTS[5]: (seen[self.RECIPIENTS[5]][0], [])})

    def test_nobody_takes_them(self):
        """All stay, and the message is treated for all of them."""
        server = self.serve_split()
        self.sink.stop()
        result = self.deliver(server, HEAD + b"\r\nHello\r\n", recipients=self.RECIPIENTS)
        self.assert_signed(result, ACME)
        self.assertEqual(result.recipients, self.RECIPIENTS)
        self.assertEqual((result.header(b"X-ISP"), result.header(b"Content-Transfer-Encoding")), ([], []))
        self.assertNotIn("delrcpt", [edit[0] for edit in result.edits])


class RandomScripts(ImageTest):
    """Random rules of a pool and an ISP record over random messages."""

    NAMES = [b"X-A", b"X-B", b"X-Bee", b"X-Long-Name-Of-A-Header", b"List-Id", b"Received",
             b"Reply-To", b"Subject", b"X"]
    PIECES = ["word", "a", "${pool}", "${queue_id}", "${header:Subject}", "${header:X-A}",
              "${header:X-Absent}", "${rcpt_domain}", "${login}", "$$", ";", "x" * 90,
              "${header:X-Long-Name-Of-A-Header}", "caf\u00e9"]
    VALUES = [b"one", b"two words", b"", b"   ", b"tab\there", b"x" * 200, b"caf\xc3\xa9",
              b"\xff\xfe", b"trailing  ", b"a, b, c", b"(comment) \"quoted\"", b"=?utf-8?q?x?="]

    def setUp(self):
        self.seed = int(os.environ.get("IMAGE_TEST_SEED") or time.time_ns() % 1000000007)
        print("# %s: IMAGE_TEST_SEED=%d" % (self.id(), self.seed), flush=True)
        self.random = random.Random(self.seed)

    def _cased(self, name):
        return bytes(char ^ 0x20 if chr(char).isalpha() and self.random.random() < 0.3 else char
                     for char in name)

    def _value(self):
        parts = [self.random.choice(self.VALUES) for _ in range(self.random.choice((1, 1, 1, 2, 4)))]
        gap = self.random.choice([b"\r\n ", b"\r\n\t", b"\r\n \t \r\n "])
        return self.random.choice([b" ", b"", b"\t", b"  ", b"\r\n "]) + gap.join(parts)

    def _message(self):
        headers = [HEAD]
        for _ in range(self.random.choice((0, 1, 3, 10, 40))):
            name = self._cased(self.random.choice(self.NAMES))
            headers.append(name + b":" + self._value() + b"\r\n")
        if self.random.random() < 0.7:
            self.random.shuffle(headers)
        body = b"".join(self.random.choice([b"text\r\n", b"\r\n", b".\r\n", b"x" * 900 + b"\r\n",
                                            b"\xe9\xff\r\n", b"a\0b\r\n", b" \t\r\n"])
                        for _ in range(self.random.choice((0, 1, 5, 60))))
        return b"".join(headers) + b"\r\n" + body

    def _rule(self):
        text = "".join(self.random.choice(self.PIECES) + self.random.choice(["", " ", "  "])
                       for _ in range(self.random.randint(1, 6)))
        return {"name": self._cased(self.random.choice(self.NAMES[:-3])).decode(),
                "value": "v" + text}

    def _some(self, make, most=3):
        return [make() for _ in range(self.random.randint(0, most))]

    @staticmethod
    def _unlike(items, name):
        """No two alike: a configuration may refuse doubles."""
        return list({name(item).lower(): item for item in items}.values())

    def _rules(self):
        deletes = self._some(lambda: self.random.choice(
            [self._cased(name).decode() for name in self.NAMES if name != b"Subject"]
            + ["X-B*", "x-*"]))
        return {"delete_headers": self._unlike(deletes, str),
                "set_headers": tuple(self._unlike(self._some(self._rule), lambda rule: rule["name"].lower())),
                "add_headers": tuple(self._some(self._rule))}

    def _record(self):
        return {"name": "net", "domains": ["example.net"], **self._rules(), "encoding": {
            "global": self.random.choice(["keep", "quoted-printable", "base64", "8bit"])}}

    def test_random_rules_over_random_messages(self):
        server = self.serve([ACME])
        session = self.session(server)
        signed = edited = replaced = 0
        for script in range(daemon.scaled(60)):
            pool, record = daemon.pool("acme", "example.com", **self._rules()), self._record()
            server.write_config([pool], isps=(record,))
            server.reload()
            zone = daemon.zone_for(pool)
            for number in range(6):
                data = self._message()
                with self.subTest(seed=self.seed, script=script, message=number):
                    with self._context(pool, record, data):
                        result = self.compare(server, session, data, zone=zone)
                    kinds = {edit[0] for edit in result.edits}
                    signed += "insheader" in kinds
                    edited += bool(kinds & {"addheader", "chgheader"})
                    replaced += "replbody" in kinds
        # The generator must reach what it is for.
        self.assertGreater(signed, 0)
        self.assertGreater(edited, 0)
        self.assertGreater(replaced, 0)

    @contextlib.contextmanager
    def _context(self, pool, record, data):
        """Put rules and message into a failure."""
        try:
            yield
        except AssertionError as error:
            keys = ("delete_headers", "set_headers", "add_headers", "encoding")
            rules = [{key: rules.get(key) for key in keys} for rules in (pool, record)]
            shown = re.sub(rb"x{40,}", b"x...x", data[:3000])
            raise AssertionError("%s\nrules: %r\nmessage: %r" % (error, rules, shown)) from error


if __name__ == "__main__":
    common.main()
