#!/usr/bin/python3
"""The hash of the body in signatures: bodies of all kinds through the daemon, and Python's dkim judges.

It shares nothing with libopendkim, whose hashes tests/unit/test_body_hash.c compares with.  Each message has
two signatures, which share one hash.  POOLMILTER_SEED repeats a run.
"""
import os
import random
import time

import common
import daemon

SEED = int(os.environ.get("POOLMILTER_SEED") or time.time_ns() % 1000000007)
RANDOM = 80
CHUNK = 65535           # octets of a body that Postfix hands over at once

KEY, OTHER = daemon.key("body", "ed25519"), daemon.key("other", "ed25519")
POOL = daemon.pool("acme", "example.com", dkim_key=KEY.path, signatures=(
    {"domain": "esp.example", "selector": "two", "key": OTHER.path},))
ZONE = daemon.Zone().add(POOL["dkim_selector"], "example.com", KEY.record).add("two", "esp.example", OTHER.record)

PIECES = (b" ", b"  ", b"\t", b"\r\n", b"\r\n\r\n", b" \r\n", b"\t \r\n", b"a", b"word", b"=20", b".", b"--", b"\0",
          b"\xff", b"\xc3\xa4", b"From ", b"\f", b"\v")


def random_body(source, pieces):
    body = b""
    for _ in range(source.choice((5, 40, 400))):
        kind = source.randrange(100)
        body += (b"x" * source.randrange(9000) if kind == 0 else b"y" * source.randrange(300) if kind < 4
                 else source.choice(pieces))
    return body + source.choice((b"", b"\r\n", b"\r\n\r\n \r\n"))


class BodyHash(common.ComponentTest):
    def setUp(self):
        server = self.serve([POOL], safe_encoding=False)
        server.wait_log("body=fast")
        self.mta = self.session(server)

    def check(self, body, form="relaxed"):
        head = b"From: <a@example.com>\r\nTo: <b@example.net>\r\nMessage-ID: <1@example.com>\r\n\r\n"
        result = self.mta.deliver(head + body, b"a@example.com", [b"b@example.net"], as_stored=True)
        self.assertEqual((result.status, result.reply), ("accepted", None))
        arrived = result.message if result.message.endswith(b"\r\n") else result.message + b"\r\n"  # as mailers do
        for domain, selector in (("example.com", POOL["dkim_selector"]), ("esp.example", "two")):
            self.assertEqual(daemon.failed_signatures(arrived, ZONE, domain, selector), [], body[:3000])
        tags = daemon.signatures(arrived)
        self.assertEqual([each["c"] for each in tags], ["relaxed/" + form] * 2)
        self.assertEqual(tags[0]["bh"], tags[1]["bh"])

    def test_named(self):
        for name, body in {
                "empty": b"", "an empty line": b"\r\n", "empty lines": b"\r\n" * 5, "blanks": b" \t",
                "a line of blanks": b" \t\r\n", "no line end": b"x", "blanks and no line end": b"x \t",
                "blanks at line ends": b"a \r\nb\t\r\nc \t \r\n", "trailing lines of blanks": b"a\r\n \r\n\t\r\n\r\n",
                "leading blanks": b"  a\r\n\tb\r\n", "dots": b".\r\n..\r\n.a\r\n", "a long line": b"z" * 100000,
                "a long line of blanks": b"a" + b" " * 100000 + b"b\r\n", "8-bit and NUL": b"\xe9\0\xff\r\n"}.items():
            with self.subTest(body=name):
                self.check(body)

    def test_bare_cr_gets_the_simple_form(self):
        for body in (b"\r", b"a\r", b"a\rb  c \r\n\r\n", b"a\r\r\nb \r\n", b"a \r\n\r\r\nb\r\n\r\n", b"\r\n\r x\r\n"):
            with self.subTest(body=body):
                self.check(body, "simple")

    def test_random(self):
        print("# POOLMILTER_SEED=%d" % SEED, flush=True)
        source = random.Random(SEED)
        for number in range(RANDOM):
            with self.subTest(number=number, seed=SEED):
                self.check(random_body(source, PIECES))
                body = random_body(source, PIECES + (b"\r",) * 3).rstrip(b"\r")
                self.check(body + b"\rx\r\n", "simple")

    def test_edges_of_chunks(self):
        """The MTA cuts a body anywhere: in a CRLF, in blanks, in trailing empty lines."""
        for end in (b"a  b \r\n\r\n \tc\r\n", b" \r\n\r\n"):
            for shift in range(len(end) + 1):
                with self.subTest(end=end, shift=shift):
                    self.check((b"w " * CHUNK)[:CHUNK - shift] + end)


if __name__ == "__main__":
    common.main()
