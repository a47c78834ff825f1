#!/usr/bin/python3
"""The lines that tell poolevents(8) of a message: poolmilter(8), LOG."""
import re

import common
import daemon
import sink

LINE_MAX = 1500
ISPS = ({"name": "big", "domains": ["big.example"], "encoding": {"global": "base64"}}, {"name": "default"})


def unescape(word):
    return re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match.group(1), 16)]), word.encode("ascii"))


class EventLine(common.ComponentTest):
    def lines(self, server, queue_id):
        """All lines of a message up to its own, as text behind the queue ID."""
        server.wait_log(r"(^|\s)%s: pool=" % queue_id)
        return re.findall(r"(?m)\b%s: (.*)$" % queue_id, server.log)

    def words(self, server, queue_id):
        """The words of a message's event lines, which stand before its own line and nowhere else."""
        lines = [line for line in self.lines(server, queue_id) if not line.startswith("split: ")]
        self.assertTrue(lines.pop().startswith("pool="), lines)
        for line in lines:
            self.assertRegex(line, r"^event:( [!-~]+)+$")
            self.assertLessEqual(len(queue_id + ": " + line), LINE_MAX)
        return [unescape(word) for line in lines for word in line.split(" ")[1:]]

    def tell(self, server, extra=b"", recipients=(b"b@example.net",), **options):
        result = self.deliver(server, common.message(extra=extra), recipients=recipients, queue_id="4EV1", **options)
        self.assertEqual(result.status, "accepted", result.reply)
        return self.words(server, "4EV1")

    def test_no_group_no_line(self):
        server = self.serve(event_headers=["Subject"])
        self.assertEqual(self.tell(server), [])

    def test_no_line_where_info_is_hidden(self):
        server = self.serve(events={}, syslog={"level": "notice"})
        self.assertEqual(self.deliver(server, queue_id="4EV1").status, "accepted")
        self.assertEqual(server.stop(), 0)
        self.assertNotIn("4EV1", server.log)

    def test_recipients_and_headers(self):
        server = self.serve(events={}, event_headers=["X-Campaign", "subject", "X-None"])
        self.assertEqual(self.tell(server, b"X-campaign: summer 1\r\nX-Campaign: other\r\n", (b"b@example.net", b"C@example.org")),
                         [b"header:X-Campaign:summer 1", b"header:subject:Test", b"rcpt:b@example.net", b"rcpt:C@example.org"])

    def test_headers_as_they_came_in(self):
        """Also where the pool removes or replaces them."""
        server = self.serve([daemon.pool(delete_headers=["X-Campaign"], set_headers=({"name": "X-B", "value": "new"},))],
                            events={}, event_headers=["X-Campaign", "X-B"])
        self.assertEqual(self.tell(server, b"X-Campaign: 1\r\nX-B: old\r\n"),
                         [b"header:X-Campaign:1", b"header:X-B:old", b"rcpt:b@example.net"])

    def test_hostile_values(self):
        cases = {
            "another word": (b"1 rcpt:victim@example.net", b"1 rcpt:victim@example.net"),
            "another line": (b"1\r\n 4EV2: event: rcpt:victim@example.net", b"1 4EV2: event: rcpt:victim@example.net"),
            "escapes": (b"%20%0A%%", b"%20%0A%%"),
            "control characters": (b"\x01\x1b[2J\x7f\x0b.\t", b"\x01\x1b[2J\x7f\x0b."),
            "quotes": (b"\"'\\`{}<>$(id)", b"\"'\\`{}<>$(id)"),
            "UTF-8": ("größer €".encode(), "größer €".encode()),
            "not UTF-8": (b"a\xff\xfe\x80b", b"a\xff\xfe\x80b"),
            "blanks only": (b" \t ", b""),
            "empty": (b"", b""),
            "long": (b"x" * 900, b"x" * 300),
            "long, control characters": (b"\x02" * 900, b"\x02" * 300),
            "long, UTF-8": (b"a" + "ä".encode() * 400, b"a" + "ä".encode() * 149),
            "folded very often": (b"\r\n ".join([b"a"] * 200), b"a " * 150),
        }
        server = self.serve(events={}, event_headers=["X-Campaign"])
        session = self.session(server)
        for number, (name, (value, told)) in enumerate(cases.items()):
            with self.subTest(value=name):
                queue_id = "4EV%d" % (number + 10)
                result = session.deliver(common.message(extra=b"X-Campaign: %s\r\n" % value), b"a@example.com",
                                         (b"b@example.net",), queue_id=queue_id)
                self.assertEqual(result.status, "accepted", result.reply)
                self.assertEqual(self.words(server, queue_id), [b"header:X-Campaign:" + told, b"rcpt:b@example.net"])
        self.assertNotRegex(server.log, r"(?m)^(?!.*event:).*victim")

    def test_hostile_recipients(self):
        server = self.serve(events={}, return_path={"check_bounces": False})
        rcpts = (b'"a b rcpt:x@y"@example.net', "jürgen@exämple.net".encode(), b"%41@example.net", b"x" * 330 + b"@example.net")
        self.assertEqual(self.tell(server, recipients=rcpts), [b"rcpt:" + rcpt for rcpt in rcpts[:3]])

    def test_300_recipients(self):
        server = self.serve(events={}, event_headers=["Subject"])
        rcpts = tuple(b"recipient-%03d.with-a-longer-name@department.example.net" % n for n in range(300))
        words = self.tell(server, recipients=rcpts)
        self.assertEqual(words, [b"header:Subject:Test"] + [b"rcpt:" + rcpt for rcpt in rcpts])
        self.assertLess(len(self.lines(server, "4EV1")), 20)

    def test_only_what_is_treated(self):
        """Nothing of what is passed, deferred or rejected; held mail is told."""
        server = self.serve([daemon.pool(), daemon.pool("hold", "hold.example", limits=["1/day"], on_limit="hold"),
                             daemon.pool("full", "full.example", limits=["2/day"]),
                             daemon.pool("tiny", "tiny.example", limits=["1/day"])], events={}, event_headers=["Subject"])
        stranger = {"login": None, "client": b"192.0.2.1"}
        cases = (("passed", b"a@elsewhere.example", {}), ("passed", b"a@example.com", stranger), ("held", b"a@hold.example", {}),
                 ("accepted", b"a@full.example", {}), ("deferred", b"a@full.example", {}), ("rejected", b"a@tiny.example", {}))
        for number, (result, sender, options) in enumerate(cases):
            with self.subTest(result=result, sender=sender):
                queue_id = "4EV%d" % (number + 10)
                self.deliver(server, common.message(sender), sender, (b"b@example.net", b"c@example.net"), queue_id=queue_id,
                             **options)
                self.assertEqual(server.message_line(queue_id)["result"], result)
                self.assertEqual(self.words(server, queue_id), [b"header:Subject:Test", b"rcpt:b@example.net",
                                                                b"rcpt:c@example.net"] if result in ("accepted", "held") else [])

    def test_split(self):
        """Recipients of a copy are told by the copy's own lines, or here if it was not taken."""
        copies = sink.Sink().start()
        self.addCleanup(copies.stop)
        server = self.serve(events={}, isps=ISPS, mixed_isps="split", reinject="smtp://127.0.0.1:%d" % copies.port)
        rcpts = (b"b@example.net", b"c@big.example", b"d@example.net")
        for queue_id, told in (("4EV1", [rcpts[0], rcpts[2]]), ("4EV2", sorted(rcpts))):
            self.deliver(server, recipients=rcpts, queue_id=queue_id)
            self.assertEqual(sorted(self.words(server, queue_id)), [b"rcpt:" + rcpt for rcpt in told])
            copies.stop()       # nobody takes the second one's

    def test_reload_decides(self):
        """A message is told as the settings say that it began with."""
        server = self.serve(events={})
        self.assertEqual(self.tell(server), [b"rcpt:b@example.net"])
        server.write_config([daemon.pool()], events=None)
        self.assertIn("reload: done", server.reload())
        self.deliver(server, queue_id="4EV2")
        self.assertEqual(self.words(server, "4EV2"), [])


if __name__ == "__main__":
    common.main()
