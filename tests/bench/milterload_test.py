#!/usr/bin/python3
"""milterload_test.py - the load generator is honest: filters that misbehave are never counted as speed.

Each test is a filter of a few lines that speaks raw milter frames on a UNIX socket; milterload is run against
it, and its exit status and counts are looked at, and what it sent. The program is $MILTERLOAD, or one compiled here.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tap  # noqa: E402

NR_ALL = 0x80 | 0xFF000  # SMFIP_NR_HDR and NR_CONN .. NR_BODY
NO_BODY, NO_HELO, LEADSPC, SETSYMLIST = 0x10, 0x2, 1 << 20, 0x100
NO_REPLY = {"C": 1 << 12, "H": 1 << 13, "M": 1 << 14, "R": 1 << 15, "T": 1 << 16, "L": 1 << 7, "N": 1 << 18,
            "B": 1 << 19}


def insert(name, value, index=0):
    return b"i", struct.pack("!I", index) + name + b"\0" + value + b"\0"


def signature(domain=b"example.com", length=88):
    return insert(b"DKIM-Signature", b"v=1; a=ed25519-sha256; d=" + domain + b"; s=x;\n\tb=" + b"A" * length)


class FakeFilter:
    """Answers with `script`: {command: [(reply, data), ...]}; a command it does not name gets "continue"."""

    def __init__(self, script, events=0, actions=0x1FF, lists=b"", version=6):
        self.script, self.events, self.seen, self.macros = script, events, [], []
        self.negotiation = struct.pack("!III", version, actions, events) + lists
        self.threads = []
        self.dir = tempfile.mkdtemp(prefix="milterload-test-")
        self.path = self.dir + "/sock"
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.server.accept()
                self.threads.append(threading.Thread(target=self.serve, args=(peer,), daemon=True))
                self.threads[-1].start()

    def serve(self, peer):
        with contextlib.suppress(OSError, EOFError, struct.error), peer, peer.makefile("rb") as stream:
            while True:
                length = struct.unpack("!I", stream.read(4))[0]
                packet = stream.read(length)
                self.answer(peer, chr(packet[0]), packet[1:])

    def answer(self, peer, command, data):
        (self.macros if command == "D" else self.seen).append((command, data))
        if command == "O":
            return send(peer, b"O", self.negotiation)
        if command in "DAQ" or (self.events & NO_REPLY.get(command, 0) and command not in self.script):
            return None
        for reply, payload in self.script.get(command, [(b"c", b"")]):
            if reply == b"close":
                peer.close()
                raise EOFError
            send(peer, reply, payload)
        return None

    def settle(self):
        """Until all that was sent has been read: the sender does not wait for that."""
        for thread in self.threads:
            thread.join(10)

    def commands(self):
        return "".join(command for command, _ in self.seen)

    def close(self):
        self.server.close()
        shutil.rmtree(self.dir)


def send(peer, command, data):
    peer.sendall(struct.pack("!I", len(data) + 1) + command + data)


class Honest(tap.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="milterload-test-")
        cls.program = os.environ.get("MILTERLOAD")
        if not cls.program:
            cls.program = cls.work + "/milterload"
            subprocess.run(["cc", "-std=c11", "-O1", "-pthread", str(HERE / "milterload.c"), "-o", cls.program],
                           check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def run_load(self, script, *options, **filter_options):
        """Returns exit status, the JSON figures and the filter, which is closed at the test's end."""
        filter_ = FakeFilter(script, **filter_options)
        self.addCleanup(filter_.close)
        done = subprocess.run([self.program, "--json", "--socket", "unix:" + filter_.path, "--messages", "3",
                               "--timeout", "2", *options], capture_output=True, text=True, timeout=60)
        filter_.settle()
        self.complaint = done.stderr
        return done.returncode, json.loads(done.stdout), filter_

    def bad(self, script, counter, *options, **filter_options):
        status, figures, _ = self.run_load(script, *options, **filter_options)
        self.assertEqual((status, figures["messages"], figures[counter]), (1, 0, 3))
        self.assertNotIn("cpu_us_per_message", figures)

    GOOD = {"E": [signature(), (b"c", b"")]}

    def test_good(self):
        status, figures, filter_ = self.run_load(self.GOOD)
        self.assertEqual((status, figures["messages"], figures["errors"]), (0, 3, 0))
        self.assertEqual(filter_.commands()[:5], "OCHMR")
        self.assertTrue(filter_.commands().endswith("NBEAQ"))

    def test_unsigned(self):
        self.bad({}, "unsigned")

    def test_unsigned_is_fine_when_none_is_expected(self):
        self.assertEqual(self.run_load({}, "--expect", "none")[0], 0)

    def test_signature_of_another_domain(self):
        self.bad({"E": [signature(b"example.net"), (b"c", b"")]}, "unsigned")

    def test_signature_too_short(self):
        self.bad({"E": [signature(length=10), (b"c", b"")]}, "unsigned")

    def test_two_signatures_wanted(self):
        self.bad(self.GOOD, "unsigned", "--signatures", "2")

    def test_tempfail_at_each_stage(self):
        for command in "MRTLNBE":
            with self.subTest(command):
                self.bad({command: [(b"t", b"")]}, "tempfail")

    def test_verdicts_on_the_session(self):
        self.bad({"C": [(b"t", b"")]}, "tempfail")
        self.bad({"H": [(b"r", b"")]}, "reject")
        self.bad({"C": [(b"a", b"")]}, "unsigned")

    def test_reply_codes(self):
        self.bad({"R": [(b"y", b"451 4.7.1 later\0")]}, "tempfail")
        self.bad({"E": [signature(), (b"y", b"550 5.7.1 no\0")]}, "reject")
        self.bad({"E": [signature(), (b"y", b"250 fine\0")]}, "broken")

    def test_discard_and_quarantine(self):
        self.bad({"E": [signature(), (b"d", b"")]}, "other")
        self.bad({"E": [signature(), (b"q", b"why\0"), (b"c", b"")]}, "held")

    def test_protocol_errors(self):
        body_split = [(b"b", b"x"), signature(), (b"b", b"y"), (b"c", b"")]
        for name, script in {"edit before the end": {"M": [signature()]},
                             "unknown reply": {"E": [(b"Z", b"")]},
                             "data after a verdict": {"E": [signature(), (b"c", b"x")]},
                             "edit without its end": {"E": [(b"h", b"name"), (b"c", b"")]},
                             "body replaced in two runs": {"E": body_split},
                             "connection closed": {"E": [(b"close", b"")]},
                             "no reply": {"E": []}}.items():
            with self.subTest(name):
                self.bad(script, "broken")
                self.assertIn("milterload: message", self.complaint)

    def test_negotiation_refused(self):
        self.bad(self.GOOD, "broken", version=7)
        self.bad(self.GOOD, "broken", actions=0xFFFF)

    def test_nobody_listens(self):
        done = subprocess.run([self.program, "--json", "--socket", f"unix:{self.work}/none"], capture_output=True,
                              text=True)
        self.assertEqual((done.returncode, json.loads(done.stdout)["messages"]), (1, 0))

    def test_no_reply_flags_are_honoured(self):
        status, figures, _ = self.run_load(self.GOOD, events=NR_ALL)
        self.assertEqual((status, figures["messages"]), (0, 3))

    def test_events_switched_off(self):
        filter_ = self.run_load(self.GOOD, events=NO_BODY | NO_HELO)[2]
        self.assertNotIn("H", filter_.commands())
        self.assertNotIn("B", filter_.commands())

    def test_skip(self):
        filter_ = self.run_load({"B": [(b"s", b"")], **self.GOOD}, "--messages", "1", "--size", "300000")[2]
        self.assertEqual(filter_.commands().count("B"), 1)

    def test_body_chunks(self):
        filter_ = self.run_load(self.GOOD, "--messages", "1", "--size", "300000")[2]
        sizes = [len(data) for command, data in filter_.seen if command == "B"]
        self.assertEqual(sizes[:-1], [65535] * 4)
        headers = sum(len(data.replace(b"\n", b"\r\n")) + 2 for command, data in filter_.seen if command == "L")
        self.assertAlmostEqual(sum(sizes) + headers, 300000, delta=40)

    def test_leading_space(self):
        for events, value in ((0, b"1.0"), (LEADSPC, b" 1.0")):
            filter_ = self.run_load(self.GOOD, events=events)[2]
            self.assertIn(("L", b"MIME-Version\0" + value + b"\0"), filter_.seen)

    def test_macros(self):
        filter_ = self.run_load(self.GOOD, "--messages", "1", "--auth", "joe")[2]
        headers = filter_.commands().count("L")
        self.assertEqual(sum(data[:1] == b"L" for _, data in filter_.macros), headers)
        mail = next(data for _, data in filter_.macros if data[:1] == b"M")
        self.assertIn(b"{auth_authen}\0joe\0", mail)
        self.assertNotIn(b"\0i\0", b"\0" + mail[1:])
        data = next(data for _, data in filter_.macros if data[:1] == b"T")
        self.assertRegex(data, b"^Ti\0[0-9A-Z]+\0$")

    def test_macro_list_of_the_filter(self):
        lists = struct.pack("!I", 2) + b"{mail_host} i\0"
        filter_ = self.run_load(self.GOOD, "--messages", "1", lists=lists)[2]
        self.assertIn(("D", b"M{mail_host}\0example.com\0"), filter_.macros)
        self.assertTrue(any(data.startswith(b"Cj\0") for _, data in filter_.macros))

    def test_sessions(self):
        filter_ = self.run_load(self.GOOD, "--messages", "10", "--per-session", "4", "--connections", "2")[2]
        self.assertEqual([filter_.commands().count(c) for c in "CMQ"], [3, 10, 3])

    def test_spread_over_domains(self):
        filter_ = self.run_load(self.GOOD, "--messages", "10", "--from", "a@d%d.example", "--domains", "10",
                                "--expect", "none")[2]
        self.assertEqual(len({data for command, data in filter_.seen if command == "M"}), 10)

    def test_dump_is_the_mail_after_the_edits(self):
        dump = self.work + "/dump"
        script = {"E": [insert(b"X-Second", b"2", 1), signature(), (b"h", b"X-Last\0end\0"),
                        (b"m", struct.pack("!I", 1) + b"x-campaign\0\0"), (b"b", b"new "), (b"b", b"body\r\n"),
                        (b"a", b"")]}
        self.assertEqual(self.run_load(script, "--dump", dump)[0], 0)
        head, body = pathlib.Path(dump).read_bytes().split(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"DKIM-Signature: v=1;"))
        self.assertRegex(head, b"\r\nX-Second: 2\r\nDate: ")
        self.assertTrue(head.endswith(b"\r\nX-Last: end"))
        self.assertNotIn(b"X-Campaign", head)
        self.assertEqual(body, b"new body\r\n")

    def message(self, text):
        path = self.work + "/message.eml"
        pathlib.Path(path).write_bytes(text)
        return path

    def test_message_from_a_file(self):
        path = self.message(b"From: X <x@x.example>\r\nSubject: one\r\n two\r\nX-None:\r\n\r\nb\xc3\xa4dy\r\n")
        for events, space in ((0, b""), (LEADSPC, b" ")):
            filter_ = self.run_load(self.GOOD, "--messages", "1", "--message", path, events=events)[2]
            self.assertEqual([data for command, data in filter_.seen if command == "L"],
                             [b"From\0" + space + b"Bench Sender <sender@example.com>\0",
                              b"Subject\0" + space + b"one\n two\0", b"X-None\0" + space + b"\0"])
            self.assertIn(("B", b"b\xc3\xa4dy\r\n"), filter_.seen)

    def test_message_that_is_none(self):
        for text in (b"From: a\r\n", b"From: a\r\n\r\nbody", b"no field\r\n\r\nbody\r\n", b"", b"A: b\r\n\r\n\0\r\n"):
            with self.subTest(text):
                done = subprocess.run([self.program, "--socket", "unix:/none", "--message", self.message(text)],
                                      capture_output=True)
                self.assertEqual(done.returncode, 2)

    def test_edits_that_are_expected(self):
        edits = {"header": (b"h", b"X-New\0yes\0"), "body": (b"b", b"new\r\n"), "sender": (b"e", b"<b@example.net>\0"),
                 "rcpt": (b"-", b"<rcpt@example.org>\0")}
        spare = ("--rcpt", "rcpt@example.org", "--rcpt", "other@example.org")
        script = {"E": [*edits.values(), signature(), (b"c", b"")]}
        self.assertEqual(self.run_load(script, *spare, "--expect-edits", "header,body,sender,rcpt")[0], 0)
        self.assertEqual(self.run_load(self.GOOD, "--expect-edits", "none")[0], 0)
        for name, edit in edits.items():
            script = {"E": [edit, signature(), (b"c", b"")]}
            with self.subTest(name):
                self.assertEqual(self.run_load(script, *spare, "--expect-edits", name)[0], 0)
                self.bad(script, "other_edits", *spare, "--expect-edits", "none")
                self.bad(self.GOOD, "other_edits", *spare, "--expect-edits", name)

    def test_envelope_edits(self):
        dump = self.work + "/envelope"
        script = {"E": [(b"e", b"<token@b.example.com>\0"), (b"-", b"<a0@r.example>\0"), (b"+", b"<new@r.example>\0"),
                        signature(), (b"c", b"")]}
        status = self.run_load(script, "--messages", "1", "--rcpt", "a%d@r.example", "--rcpt", "b@r.example",
                               "--dump-envelope", dump)[0]
        self.assertEqual((status, pathlib.Path(dump).read_text()),
                         (0, "MAIL FROM:<token@b.example.com>\nRCPT TO:<b@r.example>\n"))

    def test_envelope_edits_that_lose_mail(self):
        gone = (b"-", b"<rcpt@example.org>\0")
        for name, edits in {"nobody is left": [gone], "a stranger": [(b"-", b"<who@example.org>\0")],
                            "twice": [(b"+", b"<new@example.org>\0"), gone, gone],
                            "no path": [(b"e", b"a@example.org\0")]}.items():
            with self.subTest(name):
                self.bad({"E": [*edits, signature(), (b"c", b"")]}, "broken")

    def test_spread_over_recipient_domains(self):
        filter_ = self.run_load(self.GOOD, "--messages", "10", "--rcpt", "a@d%d.example", "--rcpt-domains", "10")[2]
        self.assertEqual(len({data for command, data in filter_.seen if command == "R"}), 10)


if __name__ == "__main__":
    tap.main()
