#!/usr/bin/python3
"""The fake MTA itself: it must do to a message what Postfix does, or the other tests prove nothing.

The cases follow Postfix' own (src/cleanup/cleanup_milter.in*, src/global/mime_state.c).
"""
import socket
import struct
import threading

import common
import daemon
import milter
import mta

MESSAGE = b"A: 1\r\nX: 1\r\n folded\r\nx: 2\r\nB: 2\r\nX: 3\r\n\r\nbody\r\n"


class Normalise(common.tap.TestCase):
    def test_what_smtpd_and_cleanup_store(self):
        cases = {
            "nothing to do": (MESSAGE, MESSAGE),
            "bare LF": (b"A: 1\n\nx\n", b"A: 1\r\n\r\nx\r\n"),
            "CR CR LF": (b"A: 1\r\r\n\r\nx\r\r\r\n", b"A: 1\r\n\r\nx\r\n"),
            "CR inside a line stays": (b"A: 1\r\n\r\na\rb\r\n", b"A: 1\r\n\r\na\rb\r\n"),
            "no final line end": (b"A: 1\r\n\r\nx", b"A: 1\r\n\r\nx\r\n"),
            "no empty line": (b"A: 1\r\n", b"A: 1\r\n\r\n"),
            "text after headers": (b"A: 1\r\ntext\r\n", b"A: 1\r\n\r\ntext\r\n"),
            "space before the colon": (b"A \t: 1\r\n\r\n", b"A: 1\r\n\r\n"),
            "not in the body": (b"A: 1\r\n\r\nB : 2\r\n", b"A: 1\r\n\r\nB : 2\r\n"),
            "8-bit is no header name": (b"A\xc3: 1\r\n", b"\r\nA\xc3: 1\r\n"),
            "starts folded": (b" x\r\nA: 1\r\n", b"\r\n x\r\nA: 1\r\n"),
            "mbox line": (b">From x\r\nA: 1\r\n\r\n", b"X-Mailbox-Line: >From x\r\nA: 1\r\n\r\n"),
            "no headers": (b"\r\nx\r\n", b"\r\nx\r\n"),
        }
        for name, (given, stored) in cases.items():
            with self.subTest(message=name):
                self.assertEqual(mta.normalise(given), stored)
                self.assertEqual(mta.normalise(stored), stored, "not stable")

    def test_split(self):
        self.assertEqual(mta.split(MESSAGE), ([b"A: 1", b"X: 1\n folded", b"x: 2", b"B: 2",
                                               b"X: 3"], b"body\r\n"))
        self.assertEqual(mta.split(b"\r\nA: 1\r\n\r\n"), ([], b"A: 1\r\n\r\n"))
        self.assertEqual(mta.split(b"A: 1\r\n\r\n"), ([b"A: 1"], b""))


class Edits(common.tap.TestCase):
    CASES = {
        "add": ([("addheader", b"N", b" v")], b"A|X|x|B|X|N"),
        "add twice": ([("addheader", b"N", b" v"), ("addheader", b"M", b" v")],
                      b"A|X|x|B|X|N|M"),
        "insert on top": ([("insheader", 0, b"N", b" v")], b"N|A|X|x|B|X"),
        "insert twice on top": ([("insheader", 0, b"N", b" v"), ("insheader", 0, b"M", b" v")],
                                b"M|N|A|X|x|B|X"),
        "insert in the middle": ([("insheader", 2, b"N", b" v")], b"A|X|N|x|B|X"),
        "insert past the end": ([("insheader", 99, b"N", b" v")], b"A|X|x|B|X|N"),
        "insert before what was added": ([("addheader", b"N", b" v"),
                                          ("insheader", 5, b"M", b" v")], b"A|X|x|B|X|M|N"),
        "delete the second of a name": ([("chgheader", 2, b"X", b"")], b"A|X|B|X"),
        "delete in any case": ([("chgheader", 3, b"x", b"")], b"A|X|x|B"),
        "index 0 is 1": ([("chgheader", 0, b"X", b"")], b"A|x|B|X"),
        "delete what is not there": ([("chgheader", 4, b"X", b"")], b"A|X|x|B|X"),
        "delete from first to last leaves one": ([("chgheader", n, b"X", b"") for n in (1, 2, 3)],
                                                 b"A|x|B"),
        "delete from last to first": ([("chgheader", n, b"X", b"") for n in (3, 2, 1)], b"A|B"),
        "change takes the new spelling": ([("chgheader", 1, b"b", b" v")], b"A|X|x|b|X"),
        "change what is not there adds": ([("chgheader", 9, b"B", b" v")], b"A|X|x|B|X|B"),
    }

    def _apply(self, edits, own=None, lead_space=True):
        result = mta.Result(MESSAGE, b"a@example.com", [b"SIZE=9", b"RET=FULL"])
        result.recipients = [b"b@example.net"]
        queue = mta.QueueFile(MESSAGE, own, lead_space)
        mta._apply(result, queue, edits)
        return queue, result

    def test_headers(self):
        for own in (None, b"Received: own"):
            for name, (edits, expected) in self.CASES.items():
                if own:     # insertions count it, changes do not see it
                    edits = [(edit[0], edit[1] + 1, *edit[2:])
                             if edit[0] == "insheader" else edit for edit in edits]
                with self.subTest(case=name, own_received=bool(own)):
                    queue, _ = self._apply(edits, own)
                    found = b"|".join(header.partition(b":")[0] for header in queue.headers
                                      if header is not own)
                    self.assertEqual(found, expected)

    def test_own_received_is_hidden(self):
        queue, _ = self._apply([("chgheader", 1, b"Received", b"")], b"Received: own")
        self.assertEqual(queue.headers[0], b"Received: own")
        queue, _ = self._apply([("insheader", 0, b"N", b" v")], b"Received: own")
        self.assertEqual(queue.headers[:2], [b"N: v", b"Received: own"])
        self.assertTrue(queue.content().startswith(b"N: v\r\nReceived: own\r\nA: 1\r\n"))
        self.assertTrue(queue.content(own=False).startswith(b"N: v\r\nA: 1\r\n"))

    def test_space_before_values(self):
        self.assertEqual(self._apply([("addheader", b"N", b"v")])[0].headers[-1], b"N:v")
        self.assertEqual(self._apply([("addheader", b"N", b"v")], lead_space=False)[0].headers[-1],
                         b"N: v")

    def test_line_breaks_in_values(self):
        queue, _ = self._apply([("addheader", b"N", b" a\n b\nEvil: c")])
        self.assertIn(b"N: a\r\n b\r\n\tEvil: c\r\n\r\n", queue.content())
        queue, _ = self._apply([("addheader", b"N", b" a\r\n b")])
        self.assertEqual(mta.wire_faults(queue.content()), ["a bare CR"])

    def test_body(self):
        queue, _ = self._apply([("replbody", b"one\r"), ("replbody", b"\ntw\ro\n\r\nthree")])
        self.assertTrue(queue.content().endswith(b"\r\n\r\none\r\ntw\ro\r\n\r\nthree\r\n"))
        with self.assertRaises(mta.BadEdit):
            self._apply([("replbody", b"a"), ("addheader", b"N", b" v"), ("replbody", b"b")])

    def test_envelope(self):
        _, result = self._apply([("chgfrom", b"<n@example.com>", b"RET=HDRS SIZE=1 ENVID=x"),
                                 ("addrcpt", b"<c@example.net>", b""),
                                 ("addrcpt", b"c@example.net", b""),
                                 ("delrcpt", b"<b@example.net>"), ("quarantine", b"why")])
        self.assertEqual(result.sender, b"n@example.com")
        self.assertEqual(result.arguments, [b"SIZE=9", b"RET=HDRS", b"ENVID=x"])
        self.assertEqual(result.recipients, [b"c@example.net"])
        self.assertEqual(result.quarantine, b"why")
        for address in (b"a b@example.com", b"a@b\r\nc", b"a", b"a@", b"<a@b>, <c@d>"):
            with self.subTest(address=address), self.assertRaises(mta.BadEdit):
                self._apply([("chgfrom", address, b"")])

    def test_header_that_postfix_would_cut(self):
        with self.assertRaises(mta.BadEdit):
            self._apply([("addheader", b"N", b"v" * 102401)])


class Faults(common.tap.TestCase):
    def test_wire_faults(self):
        self.assertEqual(mta.wire_faults(b"a\r\n" + b"x" * 998 + b"\r\n"), [])
        for bad in (b"a\rb\r\n", b"a\nb\r\n", b"a\0\r\n", b"x" * 999 + b"\r\n"):
            with self.subTest(text=bad[:10]):
                self.assertEqual(len(mta.wire_faults(bad)), 1)


class Client(common.tap.TestCase):
    """The protocol client against a filter of ten lines."""

    def _filter(self, steps, answers):
        """A filter that negotiates `steps`, notes what it is sent, and answers from a list."""
        directory = daemon.new_directory("filter")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / "sock"))
        listener.listen()
        got = []

        def run():
            sock, _ = listener.accept()
            with sock, listener, sock.makefile("rb") as stream:
                while (head := stream.read(4)):
                    data = stream.read(struct.unpack(">I", head)[0])
                    got.append(data)
                    if data[:1] == b"O":
                        sock.sendall(milter.frame(b"O", struct.pack(
                            ">III", 6, milter.ADDHDRS, steps)))
                    elif data[:1] in answers:
                        sock.sendall(answers[data[:1]])

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        return "unix:%s" % (directory / "sock"), got

    ANSWERS = {letter: milter.frame(b"c") for letter in (b"C", b"H", b"M", b"R", b"T")}

    def test_respects_what_the_filter_wants(self):
        answers = dict(self.ANSWERS)
        answers[b"E"] = (milter.frame(b"p") + milter.frame(b"h", b"N\0 v\0") + milter.frame(b"c"))
        steps = (milter.NR_HDR | milter.NR_EOH | milter.NR_BODY | milter.NOHELO
                 | milter.HDR_LEADSPC)
        address, got = self._filter(steps, answers)
        with mta.Session(address, login="me", timeout=5) as session:
            result = session.deliver(MESSAGE, b"a@example.com", [b"b@example.net"])
        self.assertEqual(result.status, "accepted")
        self.assertIn(b"N: v\r\n", result.message)
        daemon.wait_for(lambda: got[-1] == b"Q")
        events = b"".join(data[:1] for data in got if data[:1] != b"D")
        self.assertEqual(events, b"OCMRTLLLLLNBEAQ")
        self.assertIn(b"LX\0 1\n folded\0", got)
        self.assertIn(b"{auth_authen}\0me\0", [data for data in got if data[:2] == b"DM"][0])

    def test_first_space_goes_only_if_asked_for(self):
        answers = dict(self.ANSWERS)
        answers[b"E"] = milter.frame(b"c")
        address, got = self._filter(milter.NR_HDR | milter.NR_EOH | milter.NR_BODY, answers)
        with mta.Session(address, timeout=5) as session:
            session.deliver(MESSAGE, b"a@example.com", [b"b@example.net"])
        self.assertIn(b"LX\x001\n folded\0", got)

    def test_refusals(self):
        for letter, answer, stage, status in (
                (b"M", milter.frame(b"t"), "mail", "deferred"),
                (b"R", milter.frame(b"y", b"550 5.1.1 no 100%% \0"), "rcpt", "rejected"),
                (b"T", milter.frame(b"r"), "data", "rejected"),
                (b"E", milter.frame(b"y", b"451 4.3.0 later\0"), "eom", "deferred"),
                (b"T", milter.frame(b"a"), None, "accepted")):
            with self.subTest(event=letter, answer=answer):
                answers = dict(self.ANSWERS)
                answers[letter] = answer
                address, _ = self._filter(
                    milter.NR_HDR | milter.NR_EOH | milter.NR_BODY | milter.NOHELO, answers)
                with mta.Session(address, timeout=5) as session:
                    result = session.deliver(MESSAGE, b"a@example.com", [b"b@example.net"])
                self.assertEqual((result.stage, result.status), (stage, status))
                if letter == b"R":
                    self.assertEqual(result.reply, b"550 5.1.1 no 100% ")

    def test_hung_up(self):
        address, _ = self._filter(0, {b"C": milter.frame(b"c"), b"H": milter.frame(b"c"),
                                      b"M": b"\0\0\0\0"})
        with mta.Session(address, timeout=5) as session:
            with self.assertRaises(milter.ProtocolError):
                session.deliver(MESSAGE, b"a@example.com", [b"b@example.net"])


class Verifier(common.tap.TestCase):
    """A verifier that says yes to everything would make most tests worthless."""

    def test_reads_signatures(self):
        found = daemon.signatures(b"dkim-signature: v=1; d=a;\r\n\tb=x\r\n y\r\nFrom: z\r\n"
                                  b"DKIM-Signature: d=c\r\n\r\nDKIM-Signature: d=body\r\n")
        self.assertEqual([tags["d"] for tags in found], ["a", "c"])
        self.assertEqual(found[0]["b"], "xy")

    def test_unsigned_and_wrong_are_told(self):
        zone = daemon.zone_for(daemon.pool())
        self.assertTrue(daemon.failed_signatures(MESSAGE, zone, "example.com"))
        forged = (b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s-acme;"
                  b" h=from; bh=AAAA; b=AAAA\r\nFrom: a@example.com\r\n\r\nx\r\n")
        self.assertTrue(daemon.failed_signatures(forged, zone, "example.com"))


if __name__ == "__main__":
    common.main()
