#!/usr/bin/python3
"""What became of 2,000 messages, told by poolevents through a real Postfix, whatever happens meanwhile.

A sink that takes, defers and refuses by the recipient's name; reports and complaints that come in later,
through Postfix' pipe(8) to poolctl bounce; an HTTP receiver.  While mail flows poolevents is killed -9 every
3 s, the receiver answers 500 or hangs a third of the time, the log is rotated every 5 s, Redis is
restarted.  In the end each recipient of each message has exactly its series of events at the receiver, in
their order; what came twice came with the same ID.
"""
import collections
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import daemon           # noqa: E402
import events           # noqa: E402
import maillog          # noqa: E402
import redis            # noqa: E402
import tap              # noqa: E402
import webhookserver    # noqa: E402

import client           # noqa: E402
import rig              # noqa: E402

MESSAGES = 2000
USER = "nobody"         # of the daemons and of pipe(8), which takes neither root nor postfix
LIFETIME = 90 if daemon.instrumented() else 45     # of the queue, seconds
SECRET = "secret of the receiver"
SCALE = 5 if daemon.instrumented() else 1
POOL = rig.Pool("acme", "example.com", sender_subdomain="mail")
ISPS = ({"name": "big", "domains": ["big.example"]}, {"name": "small", "domains": ["small.example"]})
# Kinds of recipients, by the number of the message.
KINDS = ("ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "once", "once", "twice", "refused", "late", "late", "spam",
         "spam", "several", "ok", "ok")


class Script(dict):
    """The sink's answers to RCPT, by the kind that the recipient's name begins with; and what was answered."""

    ANSWERS = {"once": (1, "451 4.7.1 Greylisted, try again"), "twice": (2, "452 4.2.2 Mailbox full"),
               "never": (1 << 30, "451 4.3.0 Try again later"), "refused": (1 << 30, "550 5.1.1 No such user here")}

    def __init__(self):
        super().__init__()
        self.said = collections.Counter()   # (recipient, class of the reply)

    def get(self, address, default=None):
        times, answer = self.ANSWERS.get(address.partition("-")[0], (0, None))
        if answer and self.said[address, answer[0]] < times:
            self.said[address, answer[0]] += 1
            return answer
        self.said[address, "2"] += 1
        return default


class Follower(threading.Thread):
    """poolevents, killed -9 from time to time and started again."""

    def __init__(self, config):
        super().__init__(daemon=True)
        self.config = config
        self.kills = 0
        self.log = open(os.path.join(os.path.dirname(config), "poolevents.log"), "ab")
        self.process = None
        self.over = threading.Event()

    def spawn(self, *options):
        self.process = subprocess.Popen([*daemon.WRAP, events.POOLEVENTS, "-c", str(self.config), "--stderr", *options],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def run(self):
        while not self.over.wait(3 * min(SCALE, 3)):
            self.process.kill()
            self.process.wait()
            self.kills += 1
            self.spawn()

    def calm(self):
        """No more kills."""
        self.over.set()
        self.join()

    def stop(self):
        self.process.terminate()
        status = self.process.wait(20 * SCALE)
        self.log.close()
        return status

    def text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")


class Restarts(threading.Thread):
    def __init__(self, server, seconds):
        super().__init__(daemon=True)
        self.server, self.seconds = server, seconds
        self.count = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.seconds):
            self.server.kill()
            self.over.wait(0.5)
            self.server.start()
            self.count += 1

    def stop(self):
        self.over.set()
        self.join()


# ---- mail

def recipients(number):
    isp = "big.example" if number % 3 else "small.example"
    kind = "never" if number % 100 == 77 else KINDS[number % len(KINDS)]
    if kind == "several":
        return ["ok-%d@%s" % (number, isp), "refused-%d@small.example" % number, "once-%d@big.example" % number]
    return ["%s-%d@%s" % (kind, number, isp)]


def report(message, rcpt):
    """A report of another MTA that the message has bounced after all."""
    fields = message.fields("Message-ID")[0].decode()
    text = ("From: Mail Delivery System <MAILER-DAEMON@mx.far.example>\r\nTo: <%s>\r\n"
            "Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\n"
            "Message-ID: <late.%s>\r\nDate: Mon, 1 Jun 2026 12:00:05 +0000\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n"
            "--b\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at host mx.far.example.\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.far.example\r\n\r\n"
            "Final-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: 5.2.1\r\n"
            "Diagnostic-Code: smtp; 550 5.2.1 This mailbox has been disabled\r\n"
            "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n%s\r\n--b--\r\n" % (message.sender, rcpt, rcpt, fields))
    return text.encode()


def complaint(message, rcpt):
    fields = message.fields("Message-ID")[0].decode()
    text = ("From: feedback@far.example\r\nTo: <%s>\r\nSubject: complaint\r\nDate: Mon, 1 Jun 2026 12:00:09 +0000\r\n"
            "Message-ID: <arf.%s>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n"
            "--b\r\nContent-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n"
            "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Far/1.0\r\n"
            "Version: 1\r\nOriginal-Mail-From: <%s>\r\nOriginal-Rcpt-To: <%s>\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\n%sSubject: a test\r\n\r\nHello.\r\n--b--\r\n"
            % (message.sender, rcpt, message.sender, rcpt, fields))
    return text.encode()


def drop_rights_to(user, *paths):
    who = pwd.getpwnam(user)
    for path in paths:
        for each in [path, *pathlib.Path(path).rglob("*")]:
            os.chown(each, who.pw_uid, who.pw_gid)


class Story(rig.E2ETest):
    server = receiver = follower = maillog = None

    @classmethod
    def setUpClass(cls):
        cls.server = redis.Server().start()
        cls.receiver = webhookserver.Server(secret=SECRET, killed=True).start()
        secret = daemon.new_directory("secret") / "webhook.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        secret.parent.chmod(0o755)
        for _, _, key in POOL.keys:
            pathlib.Path(key.path).parent.chmod(0o755)
            drop_rights_to(USER, key.path)
        cls.site = rig.Site(
            [POOL], make_mta=cls.make_mta, isps=ISPS, user=USER,
            redis={"address": cls.server.address}, event_headers=["X-Campaign"],
            webhooks=({"name": "all", "url": cls.receiver.url, "secret_file": str(secret), "timeout_ms": 1000 * SCALE,
                       "batch_ms": 200},))
        directory = cls.site.daemon.directory
        cls.log = directory / "mail.log"
        cls.file = directory / "events" / "events.json"
        cls.file.parent.mkdir()
        cls.site.daemon.settings["events"] = {"log": str(cls.log), "file": str(cls.file), "stream": "poolmilter:events"}
        cls.site.daemon.settings["return_path"] = {"expire_days": 14}
        drop_rights_to(USER, secret, cls.file.parent, directory / "state")
        cls.script = cls.site.sink.refuse = Script()
        cls.site.start()
        cls.maillog = maillog.MailLog(cls.log, cls.site.mta.log_file, cls.site.daemon)
        cls.maillog.start()
        cls.follower = Follower(cls.site.daemon.config)

    @classmethod
    def make_mta(cls, relay_port, milter):
        def prepare(config):
            with open(os.path.join(config, "master.cf"), "a") as out:
                out.write("poolbounce unix - n n - 10 pipe\n  flags=q user=%s argv=%s bounce -c %s "
                          "--recipient=${recipient} --sender=${sender}\n" % (USER, daemon.POOLCTL, cls.site.daemon.config))
        return rig.postfix.Postfix(relay_port, milter, prepare=prepare, settings={
            "relay_domains": POOL.spf_domain, "transport_maps": "inline:{%s=poolbounce:}" % POOL.spf_domain,
            "poolbounce_destination_recipient_limit": "1", "maximal_queue_lifetime": "%ds" % LIFETIME,
            "bounce_queue_lifetime": "1h", "maillog_file_permissions": "0644"})

    @classmethod
    def tearDownClass(cls):
        if cls.follower and cls.follower.process and cls.follower.process.poll() is None:
            cls.follower.process.kill()
            cls.follower.process.wait()
        if cls.maillog:
            cls.maillog.stop()
        super().tearDownClass()
        for each in (cls.receiver, cls.server):
            if each:
                each.stop()

    def test_all_is_told(self):
        self.follower.spawn("--from-start")
        self.follower.start()
        restarts = Restarts(self.server, 7)
        restarts.start()
        self.receiver.answer = webhookserver.sometimes([500, webhookserver.HANG], 1 / 3)
        self.maillog.rotate_every = 5
        sent = self.send_all()
        self.feed_back(sent)
        self.assertTrue(daemon.wait_for(lambda: not self.site.mta.queue(), LIFETIME + 60 * SCALE, 0.5), self.site.mta.queue())
        self.follower.calm()
        restarts.stop()
        self.assertGreater(self.follower.kills, 5)
        self.assertGreater(self.maillog.rotations, 2)
        self.assertGreater(restarts.count, 3)
        self.maillog.rotate_every = None
        self.receiver.answer = 200
        self.await_drained()
        self.judge(sent)
        self.assertEqual(self.follower.stop(), 0, self.follower.text()[-4000:])

    # ---- mail in

    def send_all(self):
        """{recipient: (number, queue ID)} of mail that was accepted, which is all."""
        jobs = [(n, rig.message(number=n, extra=b"X-Campaign: c%d\r\n" % n), "author@example.com", recipients(n))
                for n in range(MESSAGES)]
        load = rig.Load(self.site.mta.port, jobs, retry=True, seconds=120 * SCALE).start().join()
        self.assertEqual(len(load.accepted), MESSAGES, load.refusals[:5])
        return {rcpt: (n, load.replies[n][-1].queue_id) for n in range(MESSAGES) for rcpt in recipients(n)}

    def feed_back(self, sent):
        """Reports and complaints about what the sink has taken, and forged ones."""
        wanted = {rcpt for rcpt in sent if rcpt.startswith(("late-", "spam-"))}
        self.elsewhere = set()
        messages = self.site.sink.wait(len(wanted), 120 * SCALE, lambda m: m.rcpts[0] in wanted)
        with client.Client(self.site.mta.port) as connection:
            for number, message in enumerate(messages):
                rcpt = message.rcpts[0]
                make = report if rcpt.startswith("late-") else complaint
                reply = connection.send(make(message, rcpt), "", [message.sender])
                self.assertTrue(reply.accepted, reply)
                if number % 10 == 0:        # about somebody who never had the message from us
                    self.elsewhere.add(rcpt)
                    reply = connection.send(make(message, "never-had-it@big.example"), "", [message.sender])
                    self.assertTrue(reply.accepted, reply)
                if number % 10 == 1:
                    local, _, domain = message.sender.partition("@")
                    forged = "%s%s@%s" % (local[:-1], "a" if local[-1] != "a" else "b", domain)
                    self.assertEqual(self.site.send(make(message, rcpt), "", [forged]).code, 550)

    def await_drained(self):
        def drained():
            out = daemon.poolctl("events", "queue", "--json", "-c", self.site.daemon.config).stdout
            waiting = [each["waiting"] for each in json.loads(out)]
            return len(waiting) == 3 and not any(waiting)

        # Once the log is read to its end nothing comes after; a second look tells that it was.
        for _ in range(2):
            time.sleep(2 * SCALE)
            self.assertTrue(daemon.wait_for(drained, 120 * SCALE, 0.5), self.follower.text()[-4000:])

    # ---- judgement

    def expected(self, sent):
        """{recipient: [types in order]} from what the sink has said."""
        said = self.script.said
        want = {}
        for rcpt in sent:
            series = ["accepted"] + ["deferred"] * said[rcpt, "4"]
            if said[rcpt, "2"]:
                series.append("delivered")
            elif said[rcpt, "5"]:
                series.append("bounced")
            else:
                series.append("expired")
            if rcpt.startswith(("late-", "spam-")):
                # A report about somebody else is about the one who had the message: he forwarded it.
                series += ["bounced" if rcpt.startswith("late-") else "complaint"] * (2 if rcpt in self.elsewhere else 1)
            want[rcpt] = series
        return want

    def judge(self, sent):
        told, by_id = self.receiver.events(), {}
        for event in told:
            self.assertEqual(by_id.setdefault(event["id"], event), event)    # a repeat is the same
        got, later = collections.defaultdict(list), collections.defaultdict(list)
        for event in by_id.values():                                        # in the order that each came first
            (got if event["source"] == "log" else later)[event.get("recipient")].append(event["type"])
        for rcpt, types in later.items():       # a report may be quicker than the log
            got[rcpt] += types
        want = self.expected(sent)
        wrong = {rcpt: (got.get(rcpt), series) for rcpt, series in want.items() if got.get(rcpt) != series}
        strange = {rcpt: got[rcpt] for rcpt in got if rcpt not in want}
        print("# %d events, %d sent twice or more, %d kills, %d rotations" % (
            len(by_id), len(told) - len(by_id), self.follower.kills, self.maillog.rotations))
        self.assertEqual((len(wrong), dict(list(wrong.items())[:5])), (0, {}))
        self.assertEqual(strange, {})
        for event in by_id.values():
            self.judge_event(event, sent)
        self.assertEqual(self.receiver.faults, [])
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        self.assertEqual({line["id"] for line in lines}, set(by_id))

    def judge_event(self, event, sent):
        number, queue_id = sent[event["recipient"]]
        self.assertEqual(event["pool"], "acme", event)
        self.assertEqual(event["queue_id"], queue_id, event)
        self.assertEqual(event["message_id"], "<%s>" % rig.message_id(number), event)
        self.assertEqual(event["headers"], {"X-Campaign": "c%d" % number}, event)
        self.assertEqual(event["sender"], "author@example.com", event)
        self.assertEqual(event["isp"], event["recipient"].partition("@")[2].partition(".")[0], event)
        category = {"refused": "bad-mailbox", "late": "inactive", "twice": "full"}.get(event["recipient"].partition("-")[0])
        if event["type"] in ("bounced", "deferred") and category:
            self.assertEqual(event["category"], category, event)


if __name__ == "__main__":
    rig.main()
