#!/usr/bin/python3
"""poolctl bounce: formats of many MTAs, whose message it was, what is kept, hostile mail, and Postfix' pipe(8)."""
import collections
import json
import os
import pathlib
import pwd
import resource
import shutil
import smtplib
import sqlite3
import stat
import subprocess
import sys
import time

import daemon
import postfix
import tap

ROOT = pathlib.Path(os.environ.get("top_srcdir") or pathlib.Path(__file__).resolve().parents[2])
sys.path.insert(0, str(ROOT / "tests" / "bounces"))
import make                                                             # noqa: E402
import replies                                                          # noqa: E402

OK, NOUSER, TEMPFAIL = 0, 67, 75
DAY = 86400
# The reports' own day: so the events' time is none in the future.
NOW = 1795168925                # 2026-11-20 10:02:05
SLOW = bool(os.environ.get("POOLMILTER_SLOW"))
SECRET = "0123456789abcdef0123456789abcdef\n"
QUEUE_ID = "4XyZ12AbCdE"


class Place:
    """A configuration with its state; owner: the user of the state and the files in it."""

    def __init__(self, pools=None, owner=None, **settings):
        self.directory = daemon.new_directory("bounce")
        self.directory.chmod(0o755)
        self.state = self.directory / "state"
        self.state.mkdir()
        self.config = self.directory / "poolmilter.conf"
        self.tokens = {}
        secret = self.state / "return-path.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        self.write(pools or [daemon.pool()], **settings)
        if owner:
            for path in (self.state, secret):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def write(self, pools, **settings):
        whole = {"listen": "unix:%s/sock" % self.directory, "state_dir": str(self.state), "event_headers": ["X-Campaign"],
                 "events": {"log": "stdin"}, **settings, "pools": tuple(pools)}
        self.config.write_text(daemon.settings_text({k: v for k, v in whole.items() if v is not None})
                               + "".join('@include "%s"\n' % (ROOT / "conf" / name)
                                         for name in ("isps.conf", "bounces.conf")))

    def token(self, rcpt=None, pool="acme", when=NOW, queue_id=QUEUE_ID):
        """The Return-Path of a message, for one recipient or (None) for several."""
        key = (rcpt, pool, when, queue_id)
        if key not in self.tokens:
            words = ["verp", "encode", "-c", self.config, "--pool", pool, "--time", when, "--queue-id", queue_id]
            done = daemon.poolctl(*words, *(["--rcpt", rcpt] if rcpt else []))
            assert done.returncode == OK, done.stderr
            self.tokens[key] = done.stdout.decode().strip()
        return self.tokens[key]

    def run(self, message, recipient, *options, when=NOW):
        if isinstance(message, str):
            message = message.encode()
        return daemon.poolctl("bounce", "-c", self.config, "--recipient", recipient, "--sender", "", "--time", when,
                              *options, data=message)

    def events(self, message, recipient, **options):
        """What it would keep."""
        done = self.run(message, recipient, "--dry-run", **options)
        assert done.returncode == OK, (done.returncode, done.stderr)
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def kept(self):
        path = self.state / "events.db"
        if not path.exists():
            return []
        with sqlite3.connect(path, timeout=30) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchall():
                return []       # it is being made
            return [json.loads(row[0]) for row in db.execute("SELECT json FROM events ORDER BY seq")]


def mail(key="sendmail-user-unknown", number=500):
    return make.Mail(key, number)


class Corpus(tap.TestCase):
    """Each report says what it is made to say."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.cases = make.cases() + make.special_cases()

    def test_reports(self):
        for case in self.cases:
            with self.subTest(case.name):
                got = self.place.events(case.message, self.place.token(case.rcpt))
                self.assertEqual([(e.get("recipient"), e["type"], e.get("code", 0), e.get("dsn"), e.get("category"))
                                  for e in got], [tuple(notice) for notice in case.notices])
                for event in got:
                    self.assertEqual((event["source"], event["pool"], event["queue_id"], event.get("message_id")),
                                     (case.source, "acme", QUEUE_ID, case.message_id))
                    self.assertNotIn("unsure", event)
                    if event["type"] != "delivered":
                        # No reply is made up, and none swallows what follows it.
                        self.assertLess(len(event["reply"]), 700)
                        self.assertNotIn("Dear customer", event["reply"])

    def test_there_are_enough(self):
        self.assertGreaterEqual(len(self.cases), 200)
        self.assertEqual(len({case.name for case in self.cases}), len(self.cases))
        formats = collections.defaultdict(set)
        for case in self.cases:
            for notice in case.notices:
                if notice.category:
                    formats[notice.category].add(case.name.split()[0])
        self.assertEqual(set(formats), {reply.category for reply in replies.REPLIES.values()})
        self.assertEqual({category for category, of in formats.items() if len(of) < 5}, set())

    def test_headers_of_the_message(self):
        event, = self.place.events(make.build(make.postfix, mail()), self.place.token(mail().rcpt))
        self.assertEqual(event["headers"], {"X-Campaign": "autumn"})
        self.assertEqual(event["relay"], "mx.sender.example")
        self.assertEqual(event["time"], "2026-11-20T10:02:03.000000Z")


class Feedback(tap.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.token = cls.place.token(mail().rcpt)

    def test_complaints(self):
        for kind in ("abuse", "fraud", "virus", "Abuse"):
            with self.subTest(kind):
                event, = self.place.events(make.feedback(mail(), kind), self.token)
                self.assertEqual((event["type"], event["source"], event["recipient"], event["message_id"]),
                                 ("complaint", "report", mail().rcpt, mail().message_id))

    def test_other_feedback(self):
        for kind in ("not-spam", "auth-failure", "opt-out", "other", "dmarc", ""):
            with self.subTest(kind):
                self.assertEqual(self.place.events(make.feedback(mail(), kind), self.token), [])

    def test_recipient_left_out(self):
        hidden = mail().original.replace(mail().rcpt, "redacted@example.invalid")
        shown = self.place.events(make.feedback(mail(), rcpt=False), self.token)
        self.assertEqual([e["recipient"] for e in shown], [mail().rcpt])
        event, = self.place.events(make.feedback(mail(), rcpt=False, original=hidden), self.token)
        self.assertNotIn("recipient", event)
        self.assertEqual((event["type"], event["queue_id"], event["pool"]), ("complaint", QUEUE_ID, "acme"))

    def test_to_an_address_of_its_own(self):
        for form, wanted in ((self.token, 1), (self.token.replace("+", "+a", 1), 0), ("news@example.com", 0)):
            done = self.place.run(make.feedback(mail(), return_path=form), "abuse@ac-bounces.example.com", "--dry-run")
            self.assertEqual(len(done.stdout.splitlines()), wanted, form)

    def test_old(self):
        event, = self.place.events(make.old_feedback(mail()), self.token)
        self.assertEqual((event["type"], event["recipient"]), ("complaint", mail().rcpt))


class Nothing(tap.TestCase):
    """Mail that says nothing of a message makes no event, and is told."""

    def test_no_events(self):
        place = Place()
        token = place.token("ann@mail.example")
        for name, message, word in (
                ("vacation", make.VACATION, "auto-reply"), ("person", make.PERSON, "mail"),
                ("receipt", make.RECEIPT, "auto-reply"), ("report of nothing", make.EMPTY_REPORT, "unreadable"),
                ("bounce of nothing", make.MUTE_BOUNCE, "unreadable"), ("empty", "", "mail"), ("a line", "x", "mail"),
                ("octets", bytes(range(256)) * 10, "mail")):
            with self.subTest(name):
                done = place.run(message, token)
                self.assertEqual((done.returncode, done.stdout), (OK, b""))
                self.assertIn("report=%s events=0" % word, done.stderr.decode())
        self.assertEqual(place.kept(), [])


class Owner(tap.TestCase):
    """Whose it is: what the Return-Path proves, and nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.place = Place([daemon.pool(), daemon.pool("two", "example.org")])

    def report(self, *rcpts, action="failed", final=None):
        m = mail()
        groups = "\n".join("Final-Recipient: rfc822; %s\nAction: %s\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no "
                           "user\n" % (rcpt, action) for rcpt in rcpts)
        return make._report(m, [(make.STATUS, "Reporting-MTA: dns; mx\n\n" + groups), (make.HEADERS, m.headers)])

    def test_not_ours(self):
        for address in ("postmaster@ac-bounces.example.com", "abuse@ac-bounces.example.com", "ann@ac-bounces.example.com",
                        "b@ac-bounces.example.com", "bounce@ac-bounces.example.com", "b+abc@elsewhere.example", "nonsense",
                        "", "@", "b+x@"):
            done = self.place.run(self.report("ann@old.example"), address)
            self.assertEqual(done.returncode, NOUSER, (address, done.stderr))

    def test_refused(self):
        good = self.place.token("ann@old.example")
        local, _, domain = good.partition("@")
        flipped = local[:10] + ("a" if local[10] != "a" else "c") + local[11:]
        forms = {"forged": [flipped + "@" + domain, local + "@ac-bounces.example.org"],
                 "malformed": [local[:9] + "@" + domain, local[:-2] + "=1@" + domain, "b+@" + domain],
                 "expired": [self.place.token("ann@old.example", when=NOW - 400 * DAY)],
                 "future": [self.place.token("ann@old.example", when=NOW + 5 * DAY)]}
        for word, addresses in forms.items():
            for address in addresses:
                with self.subTest("%s %s" % (word, address)):
                    done = self.place.run(self.report("ann@old.example"), address)
                    self.assertEqual((done.returncode, done.stdout), (OK, b""))
                    self.assertIn("token=%s" % word, done.stderr.decode())
        self.assertEqual(self.place.kept(), [])

    def test_case_of_a_token(self):
        token = self.place.token("ann@old.example")
        for address in (token.upper(), token.capitalize()):
            self.assertEqual(len(self.place.events(self.report("ann@old.example"), address)), 1)

    def test_forwarded(self):
        """Another address than ours is named: it was forwarded there, by our recipient."""
        token = self.place.token(mail().rcpt)
        event, = self.place.events(self.report("home@elsewhere.example"), token)
        self.assertEqual((event["recipient"], event["dsn"]), (mail().rcpt, "5.1.1"))
        nobody = self.place.token("hidden@old.example")
        event, = self.place.events(self.report("victim@elsewhere.example"), nobody)
        self.assertNotIn("recipient", event)
        self.assertNotIn("victim", json.dumps(event))

    def test_others_in_the_report(self):
        token = self.place.token("ann@old.example")
        report = self.report("victim@elsewhere.example", "ann@old.example", "other@elsewhere.example")
        self.assertEqual([e["recipient"] for e in self.place.events(report, token)], ["ann@old.example"])

    def test_contradictions_of_others(self):
        m = mail("sendmail-user-unknown", 600)
        token = self.place.token("hidden@old.example")
        report = make._report(m, [(make.STATUS, make.status(m, "mx") + "\nFinal-Recipient: rfc822; b@x.example\nAction: "
                                   "delivered\nStatus: 2.0.0\n")])
        self.assertEqual(self.place.events(report, token), [])

    def test_several_recipients(self):
        """Without history it is the report alone that names them: unsure."""
        token = self.place.token(None)
        events = self.place.events(self.report("ann@old.example", "bob@old.example"), token)
        self.assertEqual([(e["recipient"], e["unsure"]) for e in events],
                         [("ann@old.example", True), ("bob@old.example", True)])
        self.assertEqual(len({e["id"] for e in events}), 2)

    def test_xtext(self):
        token = self.place.token("ann+x@old.example")
        m = mail()
        report = make._report(m, [(make.STATUS, "Reporting-MTA: dns; mx\n\nOriginal-Recipient: rfc822;ann+2Bx@old.example\n"
                                   "Final-Recipient: rfc822;z@old.example\nAction: failed\nStatus: 5.1.1\n")])
        self.assertEqual([e["recipient"] for e in self.place.events(report, token)], ["ann+x@old.example"])

    def test_utf8_recipient(self):
        rcpt = "köln@müller.example"
        m = mail()
        for written in (rcpt, r"k\x{F6}ln@m\x{FC}ller.example"):
            report = make._report(m, [("Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n",
                                       "Reporting-MTA: dns; mx\n\nFinal-Recipient: utf-8; %s\nAction: failed\nStatus: 5.1.1\n"
                                       % written)])
            self.assertEqual([e["recipient"] for e in self.place.events(report, self.place.token(rcpt))], [rcpt])

    def test_without_hmac(self):
        """What anybody can write proves nothing: no event without history, unless the configuration wants them."""
        for mode, address in (("verp", "b+ann=old.example@ac-bounces.example.com"),
                              ("plain", "bounce@ac-bounces.example.com")):
            for unverified in (False, True):
                with self.subTest("%s %s" % (mode, unverified)):
                    place = Place([daemon.pool(return_path=mode)], events={"log": "stdin", "unverified": unverified})
                    events = place.events(self.report("ann@old.example"), address)
                    self.assertEqual([(e["recipient"], e["unsure"]) for e in events],
                                     [("ann@old.example", True)] if unverified else [])


class Kept(tap.TestCase):
    def test_once(self):
        """The same message handed over again is the same event; another one about the same is another."""
        place = Place(events={"log": "stdin", "file": "/nowhere/events.json"})
        m = mail()
        message = make.build(make.postfix, m)
        for _ in range(3):
            done = place.run(message, place.token(m.rcpt))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (OK, b"", b""))
        self.assertEqual(len(place.kept()), 1)
        place.run(message, place.token(m.rcpt), when=NOW + 3000)        # Postfix tries again later
        self.assertEqual(len(place.kept()), 1)
        place.run(message.replace(b"Date: Fri, 20", b"Date:  Fri, 20", 1), place.token(m.rcpt))
        place.run(message, place.token(m.rcpt, queue_id="4OTHER"))
        self.assertEqual(len({e["id"] for e in place.kept()}), 3)
        with sqlite3.connect(place.state / "events.db") as db:
            self.assertEqual(db.execute("SELECT count(*) FROM waiting").fetchone(), (3,))
        self.assertEqual(stat.S_IMODE((place.state / "events.db").stat().st_mode), 0o600)

    def test_dry_run_keeps_nothing(self):
        place = Place()
        self.assertEqual(len(place.events(make.build(make.qmail, mail()), place.token(mail().rcpt))), 1)
        self.assertEqual(sorted(os.listdir(place.state)), ["return-path.secret"])

    def test_json(self):
        place = Place()
        done = place.run(make.build(make.qmail, mail()), place.token(mail().rcpt), "--json")
        self.assertEqual([json.loads(done.stdout)], place.kept())

    def test_later(self):
        """What is wrong on our side lets Postfix keep the mail, and loses nothing."""
        message, place = make.build(make.postfix, mail()), Place()
        token = place.token(mail().rcpt)
        (place.state / "events.db").mkdir()
        self.assertEqual(place.run(message, token).returncode, TEMPFAIL)
        (place.state / "events.db").rmdir()
        (place.state / "events.db").write_bytes(b"no database" * 1000)
        self.assertEqual(place.run(message, token).returncode, TEMPFAIL)
        (place.state / "events.db").unlink()
        for name, settings in (("no group", {"events": None}), ("wrong", {"mixed_isps": "sometimes"}),
                               ("no directory", {"state_dir": str(place.directory / "none")})):
            place.write([daemon.pool()], **settings)
            self.assertEqual(place.run(message, token).returncode, TEMPFAIL, name)
        place.write([daemon.pool()])
        (place.state / "return-path.secret").rename(place.state / "away")
        self.assertEqual(place.run(message, token).returncode, TEMPFAIL)
        (place.state / "away").rename(place.state / "return-path.secret")
        for words in ([], ["--recipient"], ["--recipient", token, "--never"], ["--recipient", token, "more"]):
            self.assertEqual(daemon.poolctl("bounce", "-c", place.config, *words, data=message).returncode, TEMPFAIL)
        self.assertEqual(place.run(message, token).returncode, OK)
        self.assertEqual(len(place.kept()), 1)

    def test_locked(self):
        place = Place()
        message, token = make.build(make.postfix, mail()), place.token(mail().rcpt)
        place.run(message, token)
        db = sqlite3.connect(place.state / "events.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        done = place.run(make.build(make.qmail, mail()), token)
        self.assertEqual(done.returncode, TEMPFAIL)
        db.execute("ROLLBACK")
        db.close()
        self.assertEqual(len(place.kept()), 1)
        self.assertEqual(place.run(make.build(make.qmail, mail()), token).returncode, OK)
        self.assertEqual(len(place.kept()), 2)

    def test_several_at_once(self):
        place = Place()
        running = []
        for number in range(12):
            m = mail(number=number * 4)
            p = subprocess.Popen([daemon.POOLCTL, "bounce", "-c", place.config, "--recipient", place.token(m.rcpt)],
                                 stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            running.append((p, make.build(make.postfix, m)))
        for p, message in running:
            self.assertEqual((p.communicate(message)[1], p.returncode), (b"", OK))
        self.assertEqual(len(place.kept()), 12)


class Hostile(tap.TestCase):
    """Bounded time and memory, no crash, nothing injected."""

    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.rcpt = mail().rcpt
        cls.token = cls.place.token(cls.rcpt)

    def measured(self, message):
        """Exit status, events, seconds of CPU and KiB of one run."""
        p = subprocess.Popen([daemon.POOLCTL, "bounce", "-c", self.place.config, "--recipient", self.token, "--time",
                              str(NOW), "--dry-run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out = p.communicate(message)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return p.returncode, out[0].splitlines(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss

    def test_sizes(self):
        m = mail()
        report = make.build(make.postfix, m)
        deep = "".join("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1000))
        nested = "Content-Type: message/rfc822\n\n" * 30000
        status = "Reporting-MTA: dns; x\n\n"
        group = "Final-Recipient: rfc822; u%d@x.example\nAction: failed\nStatus: 5.1.1\n\n"
        whole = "multipart/report; boundary=b\n\n"
        names = {
            "10 MB behind the report": report + b"x" * 76 * 140000,
            "10 MB of lines": report.replace(b"Dear customer", b"line\n" * 2000000),
            "1,000 multiparts deep": ("From: MAILER-DAEMON@x\n" + deep).encode(),
            "30,000 messages in one another": ("From: MAILER-DAEMON@x\n" + nested).encode(),
            "100,000 parts": ("Content-Type: " + whole + "--b\n\nx\n" * 100000).encode(),
            "a header line of 1 MB": b"From: MAILER-DAEMON@x\nSubject: " + b"a" * 1000000 + b"\n\nx@y.example: 550 no\n",
            "200,000 fields": b"A: b\n" * 200000 + b"\nx\n",
            "100,000 parameters": b"Content-Type: multipart/report; " + b"a=b; " * 100000 + b"\n\nx\n",
            "100,000 folded parameters": b"Content-Type: multipart/report" + b";\n a=b" * 100000 + b"\n\nx\n",
            "continued parameters": b"Content-Type: text/plain" + b"".join(b";\n n*%d=b" % n for n in range(5000)) + b"\n\nx\n",
            "100,000 recipients": ("Content-Type: " + whole + "--b\n" + make.STATUS + "\n" + status
                                   + "".join(group % n for n in range(100000))).encode(),
            "one line of addresses": b"From: MAILER-DAEMON@x\n\nundeliverable: " + b"a@b.example " * 80000,
            "lines of addresses": b"From: MAILER-DAEMON@x\n\nundeliverable\n" + b"".join(
                b"<a%d@b.example>: 550 no\n" % n for n in range(40000)),
            "signs": b"From: MAILER-DAEMON@x\n\nundeliverable " + b"@" * 900000,
            "a long local part": b"From: MAILER-DAEMON@x\n\nundeliverable " + b"a" * 900000 + b"@b.example",
            "digits": b"From: MAILER-DAEMON@x\n\nundeliverable x@y.example " + b"550 " * 200000,
            "tags": b"From: MAILER-DAEMON@x\nContent-Type: text/html\n\nundeliverable " + b"<style" * 150000,
            "NULs": b"From: MAILER-DAEMON@x\n\nundeliverable x@y.example 550 " + b"\0" * 900000,
            "bare CRs": b"From: MAILER-DAEMON@x\r\rundeliverable\r" * 20000,
            "charset unknown": b"From: MAILER-DAEMON@x\nContent-Type: text/plain; charset=" + b"x" * 1000
                               + b"\n\nundeliverable x@y.example 550 no\n",
            "charset wrong": b"From: MAILER-DAEMON@x\nContent-Type: text/plain; charset=utf-16\n\n" + b"\xd8\x00" * 400000,
            "shifts": b"From: MAILER-DAEMON@x\nContent-Type: text/plain; charset=iso-2022-jp\n\n" + b"\x1b$B\x1b(B" * 100000,
            "broken base64": b"From: MAILER-DAEMON@x\nContent-Transfer-Encoding: base64\n\n" + b"=A=" * 300000,
            "boundaries that are prefixes": ("Content-Type: multipart/report; boundary=a\n\n" + "".join(
                "--%s\nContent-Type: multipart/mixed; boundary=%s\n\n" % ("a" * n, "a" * (n + 1))
                for n in range(1, 600))).encode(),
        }
        for name, message in names.items():
            with self.subTest(name):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                status_, events, cpu, memory = self.measured(message)
                self.assertEqual(status_, OK)
                self.assertLessEqual(len(events), 1)
                if name.startswith("10 MB"):
                    self.assertEqual(len(events), 1)
                self.assertLess(memory, daemon.memory_limit(200 * 1024))
                if not SLOW:
                    self.assertLess(cpu - before.ru_utime - before.ru_stime, 3)

    def test_injection(self):
        evil = 'no\\u0000","recipient":"victim@x.example"}\x01\x1b[31m\r\t\x7f "quotes" \\ \xe9\n {"id":"x"}'
        m = mail()
        for message in (
                make._report(m, [(make.STATUS, "Reporting-MTA: dns; %s\n\nFinal-Recipient: rfc822; %s\nAction: failed\nStatus: "
                                  "5.1.1\nDiagnostic-Code: smtp; 550 %s\n" % (evil, m.rcpt, evil)),
                                 (make.HEADERS, "Message-ID: <%s>\nX-Campaign: %s\n" % (evil, evil))]),
                make.head("MAILER-DAEMON@x.example", evil) + "\nundeliverable\n\n<%s>:\n550 %s\n" % (m.rcpt, evil)):
            done = self.place.run(message.encode("latin-1"), self.token, "--dry-run")
            self.assertEqual(done.returncode, OK, done.stderr)
            lines = done.stdout.split(b"\n")
            self.assertEqual(len(lines), 2)
            event = json.loads(lines[0])
            self.assertEqual(event["recipient"], m.rcpt)
            self.assertFalse(any(octet < 32 or octet == 127 for octet in lines[0]), lines[0])

    def test_log_lines(self):
        for address in ("a\nb@x.example", "a\x1b[1m@x.example", "\xff\xfe@x.example", "a" * 5000 + "@x.example"):
            done = self.place.run(make.PERSON, address)
            self.assertEqual(done.returncode, NOUSER)
            self.assertEqual(done.stderr.count(b"\n"), 1)
            self.assertFalse(any(octet < 32 for octet in done.stderr.rstrip(b"\n")), done.stderr)
            # Output that begins with a status code would win over the exit status, pipe(8).
            self.assertTrue(done.stderr.startswith(b"poolctl bounce: "))


class Pipe(tap.TestCase):
    """A real Postfix with what poolctl postfix generates."""

    def test_postfix(self):
        nobody = pwd.getpwnam("nobody")
        pools = [daemon.pool(), daemon.pool("own", "example.net", spf_domain="example.net")]
        place = Place(pools, owner=nobody, user="nobody")
        for key in {pool["dkim_key"] for pool in pools}:
            os.chown(key, nobody.pw_uid, nobody.pw_gid)
        self.addCleanup(lambda: [os.chown(pool["dkim_key"], 0, 0) for pool in pools])
        # pipe(8) runs it as nobody, who may not enter the build tree.
        poolctl = daemon.DIRECTORY / "poolctl"
        shutil.copy(daemon.POOLCTL, poolctl)
        poolctl.chmod(0o755)
        out = place.directory / "out"
        done = daemon.poolctl("postfix", "-c", place.config, "--output", out, "--bounces", "people@mta.example")
        self.assertEqual(done.returncode, OK, done.stderr)
        self.assertEqual([line for line in (out / "bounces").read_text().splitlines() if line[0] != "#"],
                         ["postmaster@ac-bounces.example.com\tpeople@mta.example",
                          "abuse@ac-bounces.example.com\tpeople@mta.example"])
        self.assertEqual([line for line in (out / "bounce_domains").read_text().splitlines()[2:]],
                         ["ac-bounces.example.com\tpoolmilter-bounce:",
                          "# Not example.net: it is a sender_domain and has other mail."])
        apply = out / "apply.sh"
        service = [line for line in apply.read_text().splitlines() if "poolctl bounce" in line][0]
        installed = service.split("argv=")[1].split()[0]
        apply.write_text(apply.read_text().replace(installed, str(poolctl)))

        def prepare(config):
            past = time.time() - 60
            for directory in (config, out):
                for name in os.listdir(directory):
                    os.utime(os.path.join(directory, name), (past, past))
            subprocess.run(["/bin/sh", apply, config], check=True, capture_output=True)
            # Nobody listens at the milter's socket here.
            subprocess.run(["postconf", "-c", config, "-e", "smtpd_milters=", "non_smtpd_milters="], check=True)

        settings = {"smtpd_relay_restrictions": "reject_unauth_destination", "mynetworks": "192.0.2.1/32",
                    "bounce_queue_lifetime": "1h", "transport_retry_time": "1s"}
        with postfix.Postfix(9, settings=settings, prepare=prepare) as mta:
            self.deliver(mta, place, mail(number=4))
            self.wrong_for_a_while(mta, place)
            self.check(mta, place)

    def send(self, mta, message, rcpt, sender=""):
        with smtplib.SMTP("127.0.0.1", mta.port) as smtp:
            smtp.sendmail(sender or "<>", [rcpt], message)

    def deliver(self, mta, place, m):
        token = place.token(m.rcpt, when=int(time.time()))
        self.send(mta, make.build(make.postfix, m), token)
        self.assertTrue(daemon.wait_for(lambda: len(place.kept()) == 1, 30), mta.log())
        event, = place.kept()
        self.assertEqual((event["recipient"], event["type"], event["code"], event["pool"]), (m.rcpt, "bounced", 550, "acme"))
        self.assertEqual(os.stat(place.state / "events.db").st_uid, pwd.getpwnam("nobody").pw_uid)
        # The time is our Postfix' own, not the report's.
        self.assertNotEqual(event["time"][:10], "2026-11-19")
        # Not a Return-Path: returned; of another domain: not taken.
        self.send(mta, b"Subject: x\n\nx\n", "somebody@ac-bounces.example.com", "me@sender.example")
        self.assertTrue(daemon.wait_for(lambda: "status=bounced (user unknown" in mta.log(), 30), mta.log())
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.send(mta, b"Subject: x\n\nx\n", "b+x@elsewhere.example")
        # Two Return-Paths in one mail are read for each.
        two = [place.token("a@x.example", when=int(time.time())), place.token("b@x.example", when=int(time.time()))]
        with smtplib.SMTP("127.0.0.1", mta.port) as smtp:
            smtp.sendmail("<>", two, make.build(make.exim, m))
        self.assertTrue(daemon.wait_for(lambda: len(place.kept()) == 3, 30), mta.log())

    def wrong_for_a_while(self, mta, place):
        """A configuration that is wrong keeps bounces in the queue."""
        good = place.config.read_text()
        place.config.write_text(good + "nonsense = 1;\n")
        token = place.token  # before it was wrong
        place.config.write_text(good)
        address = token("c@x.example", when=int(time.time()))
        place.config.write_text(good + "nonsense = 1;\n")
        self.send(mta, make.build(make.qmail, mail(number=8)), address)
        self.assertTrue(daemon.wait_for(lambda: "status=deferred (temporary failure" in mta.log(), 30), mta.log())
        self.assertEqual(len(place.kept()), 3)
        place.config.write_text(good)
        mta.flush()
        self.assertTrue(daemon.wait_for(lambda: len(place.kept()) == 4, 30), mta.log())

    def check(self, mta, place):
        """--check has nothing to say of it, and names what is taken away."""
        def found():
            done = daemon.poolctl("postfix", "-c", place.config, "--check", "--config-dir", mta.config, "--json")
            return {entry["setting"] for entry in json.loads(done.stdout)}

        ours = {"poolmilter-bounce", "transport_maps", "relay_domains", "relay_recipient_maps",
                "poolmilter-bounce_destination_recipient_limit"}
        self.assertEqual(found() & ours, set())
        for setting, value, wanted in (("transport_maps", "", "transport_maps"), ("relay_domains", "x.example", "relay_domains"),
                                       ("relay_recipient_maps", "inline:{a@x.example=y}", "relay_recipient_maps"),
                                       ("poolmilter-bounce_destination_recipient_limit", "50",
                                        "poolmilter-bounce_destination_recipient_limit")):
            before = mta.command("/usr/sbin/postconf", "-c", mta.config, "-h", setting).decode().strip()
            mta.command("/usr/sbin/postconf", "-c", mta.config, "-e", "%s=%s" % (setting, value))
            self.assertEqual(found() & ours, {wanted})
            mta.command("/usr/sbin/postconf", "-c", mta.config, "-e", "%s=%s" % (setting, before))
        mta.command("/usr/sbin/postconf", "-c", mta.config, "-MX", "poolmilter-bounce/unix")
        self.assertIn("poolmilter-bounce", found())


if __name__ == "__main__":
    tap.main()
