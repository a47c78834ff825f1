#!/usr/bin/python3
"""doc/GUIDE, followed as its reader would: its own text, file by file and command by command.

The names and the address in it become others by the command that the guide gives for that.  The paths of
its files are moved below a directory of this test; Postfix is a private one, the DNS an unbound that loads
the zone from "poolctl dns print", the receiver a sink.  Left out is what changes the machine (packages,
user, systemd) and what looks at the journal; but the daemons have no more rights than their systemd units
give them, and the mail log is made of what Postfix and they say.  What arrives is judged by python3-dkim, pyspf
and Mail::DMARC, which ask that DNS; an HTTP receiver has the events.
"""
import grp
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import daemon        # noqa: E402
import dnsjudge      # noqa: E402
import events        # noqa: E402
import maillog       # noqa: E402
import postfix       # noqa: E402
import sink          # noqa: E402
import tap           # noqa: E402
import unboundserver # noqa: E402
import webhookserver # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
GUIDE = TOP / "doc" / "GUIDE"
UNITS = TOP / "contrib" / "systemd"
DOMAIN, ADDRESS, SHOP_ADDRESS, READER = "example.net", "127.0.0.4", "127.0.0.5", "me@example.org"
REVERSE = "0.0.127.in-addr.arpa"
USER, GROUP = "nobody", "nogroup"

# Commands of the guide that this test does not run: they change the machine, or look at its journal.
NOT_HERE = re.compile(r"^(timeout|hostnamectl|apt-get|DEBIAN_FRONTEND|adduser|contrib/packages\.sh|\[ -x|\./configure"
                      r"|make|systemctl|journalctl|sleep)|/etc/hosts|debconf-set-selections")

SOA = """$TTL 60
{zone}. IN SOA ns.dns.test. host.dns.test. 1 60 60 60 60
{zone}. IN NS ns.dns.test.
"""


def unit_settings(unit, name):
    """The values of a setting of a systemd unit."""
    return re.findall(r"(?m)^%s=(.*)$" % name, (UNITS / (unit + ".service.in")).read_text())


def unit_rights(unit):
    """The command that starts another with the capabilities of the unit."""
    (words,) = unit_settings(unit, "CapabilityBoundingSet")
    names = ",".join("+" + word[len("CAP_"):].lower() for word in words.split())
    return ["setpriv", "--bounding-set=-all,%s" % names, "--no-new-privs"]


class Block:
    """Lines of the guide that are indented: commands, or the text of a file."""

    def __init__(self, section, file, where, text):
        self.section, self.file, self.where, self.text = section, file, where, text


def read_guide(text):
    """The blocks of the guide, without what commands say (lines with "|")."""
    blocks, section, name, lines = [], 0, None, []
    for line in text.split("\n") + [""]:
        if line.startswith("    "):
            lines.append(line[4:])
            continue
        if lines:
            kept = "".join(l + "\n" for l in lines if not l.startswith("| "))
            blocks.append(Block(section, name and name[1], name and name[2], kept))
            lines, name = [], None
        heading = re.match(r"(\d+)\. ", line)
        if heading:
            section = int(heading[1])
        if line:
            name = re.fullmatch(r"(/\S+?)(?:, (in the pool|at the end))?:", line)
    return blocks


class Site:
    """A machine of the guide's: its files, its Postfix, the DNS, the daemons, and the reader of the mail."""

    # master.cf has the place where poolctl would be installed.
    NOT_INSTALLED = 'sed -i "s,argv=[^ ]*/poolctl,argv=%s," "$MAIL_CONFIG/master.cf"\n' % daemon.POOLCTL

    def __init__(self):
        self.root = daemon.new_directory("guide")
        self.root.chmod(0o755)
        self.sink = sink.Sink()
        self.receiver = webhookserver.Server()
        self.mta = self.dns = self.server = self.log = self.events = None
        guide = self.personal(GUIDE.read_text())
        self.blocks = read_guide(guide)

    def personal(self, text):
        """The guide with this test's names in it, by its own command."""
        (command,) = [b.text for b in read_guide(text) if b.section == 0 and b.text.startswith("sed ")]
        for placeholder, ours in (("YOUR.DOMAIN", DOMAIN), ("YOUR.ADDRESS", ADDRESS), ("YOU@ELSEWHERE", READER)):
            assert placeholder in command, command
            command = command.replace(placeholder, ours)
        done = subprocess.run(["/bin/sh", "-ec", command], cwd=TOP, check=True, capture_output=True, text=True)
        return done.stdout.replace("192.0.2.5", SHOP_ADDRESS)

    def local(self, text):
        """The text with paths below our directory, and our user instead of one that would have to be made."""
        text = text.replace("/usr/share/poolmilter", str(TOP / "conf"))
        text = text.replace("https://crm.%s/mail-events" % DOMAIN, self.receiver.url)
        text = re.sub(r"/(etc|run|var)/(?=poolmilter|postfix|spool|aliases|log)", r"%s/\1/" % self.root, text)
        text = re.sub(r"(-g|chgrp) poolmilter\b", r"\1 " + GROUP, text)
        return re.sub(r'(-o |user = "?)poolmilter\b', r"\1" + USER, text)

    def path(self, name):
        return pathlib.Path(self.local(name))

    # Life.

    def start(self):
        for name in ("etc/postfix", "run/poolmilter", "var/state", "var/log", "bin"):
            (self.root / name).mkdir(parents=True)
        # Where the build has its configuration is not where the guide has it.
        tool = self.root / "bin" / "poolctl"
        tool.write_text('#!/bin/sh\nconfig="%s"\n'
                        'case $1 in genkey) ;; classify) shift; set -- classify -c "$config" "$@" ;;\n'
                        '*) set -- "$@" -c "$config" ;; esac\n'
                        'exec %s "$@"\n' % (self.path("/etc/poolmilter/poolmilter.conf"), daemon.POOLCTL))
        tool.chmod(0o755)
        self.sink.start()
        self.receiver.start()
        self.mta = postfix.Postfix(self.sink.port)
        self.mta.start()
        self.dns = unboundserver.Server({})
        self.dns.start()
        return self

    def stop(self):
        for thing in (self.events, self.log, self.server, self.mta, self.dns, self.receiver, self.sink):
            if thing is not None:
                thing.stop()

    def start_by_unit(self, unit, server):
        """The server with the rights of the unit."""
        server.config = self.path("/etc/poolmilter/poolmilter.conf")
        before, daemon.WRAP = daemon.WRAP, unit_rights(unit) + daemon.WRAP
        try:
            return server.start()
        finally:
            daemon.WRAP = before

    def start_daemon(self):
        server = daemon.Daemon(text="", start=False)
        server.address = "unix:%s" % self.path("/var/spool/postfix/poolmilter/milter.sock")
        self.server = self.start_by_unit("poolmilter", server)

    def start_events(self, said):
        """A mail log that only the daemon's group may read, and poolevents."""
        path = self.path("/var/log/mail.log")
        self.log = maillog.MailLog(path, self.mta.log_file, self.server)
        os.chown(path, 0, grp.getgrnam(GROUP).gr_gid)
        path.chmod(0o640)
        self.log.start()
        self.receiver.secret = self.path("/etc/poolmilter/crm.secret").read_text().strip()
        self.run_by_unit("poolevents", "ExecStartPre")
        self.events = self.start_by_unit("poolevents", events.Events(text="", start=False))

    def run_by_unit(self, unit, name, pid=None):
        """What systemd does for a setting: with the unit's rights where there is no "+"."""
        for command in unit_settings(unit, name):
            for theirs, ours in (("$MAINPID", str(pid)), ("@bindir@/", ""), ("@sysconfdir@", "/etc"),
                                 ("@sbindir@/poolevents", events.POOLEVENTS)):
                command = command.replace(theirs, ours)
            rights = "" if command.startswith("+") else " ".join(unit_rights(unit))
            self.shell("%s %s\n" % (rights, command.lstrip("+")))

    def publish(self, *records):
        """What the reader does with the lines of "poolctl dns print": (zone, lines) in a DNS server."""
        for zone, text in records:
            path = self.root / (zone + ".zone")
            if not path.exists():
                path.write_text(SOA.format(zone=zone))
            with path.open("a") as out:
                out.write(text)
            self.dns.zone_files[zone] = path
        self.dns.stop()
        self.dns.start()

    # What the reader does.

    def shell(self, text):
        """Run as it stands; its standard output."""
        env = dict(os.environ, MAIL_CONFIG=self.mta.config,
                   PATH="%s:/usr/sbin:/usr/bin:/sbin:/bin" % (self.root / "bin"))
        done = subprocess.run(["/bin/sh", "-e"], input=self.local(text), env=env, cwd=self.root, text=True,
                              capture_output=True, timeout=60)
        if done.returncode:
            raise AssertionError("exit %d of:\n%s\n%s%s" % (done.returncode, text, done.stdout, done.stderr))
        return done.stdout

    def write(self, block):
        path = self.path(block.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.local(block.text)
        if path.name == "poolmilter.conf":      # what a test needs beside the guide's text
            text += 'state_dir = "%s/var/state/s";\nresolver = "%s";\n' % (self.root, self.dns.address)
        path.write_text(text)

    def append(self, block):
        """Lines that the guide puts at the end of a file."""
        with self.path(block.file).open("a") as out:
            out.write(self.local(block.text))

    def insert(self, block):
        """Lines that the guide puts into a pool."""
        path = self.path(block.file)
        head, brace, tail = path.read_text().rpartition("}")
        path.write_text(head + self.local(block.text) + brace + tail)

    def follow(self, section, **before):
        """Do what a section says; what its commands said.  before: of blocks with this word, what the reader
        does before them by hand."""
        said = []
        for block in self.blocks:
            if block.section == section:
                for word, act in before.items():
                    if word in block.text:
                        act("".join(said))
                said.append(self.do(block) or "")
        return "".join(said)

    def do(self, block):
        if block.file:
            return {None: self.write, "in the pool": self.insert, "at the end": self.append}[block.where](block)
        commands = re.findall(r"(?:[^\n]*[\\|]\n)*[^\n]*\n", block.text)
        return self.shell("".join(c if c != "postfix reload\n" else self.NOT_INSTALLED + c
                                  for c in commands if not NOT_HERE.search(c)))


class Guide(tap.TestCase):
    """The sections in their order: each stands on those before it."""

    site = None

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        try:
            cls.site.start()
        except BaseException:
            cls.site.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.site.stop()

    def judge_arrived(self, selector, count):
        """The newest of count messages at the reader is what section 7 promises."""
        message = self.site.sink.wait(count)[-1]
        judge = dnsjudge.Judge(self.site.dns.port)
        self.assertEqual(message.rcpts, [READER])
        self.assertEqual((message.visit.peer, message.helo), (ADDRESS, "mail." + DOMAIN))
        bounces = message.sender.rpartition("@")[2]
        self.assertEqual(bounces, "ac-bounces." + DOMAIN)
        self.assertEqual(judge.dkim(message.content), [(DOMAIN, selector, "pass")])
        self.assertEqual(judge.spf(message.visit.peer, message.sender, message.helo), "pass")
        self.assertEqual(judge.spf(SHOP_ADDRESS, message.sender, message.helo), "fail")
        self.assertEqual(judge.dmarc(message.visit.peer, DOMAIN, bounces, judge.dkim(message.content), "pass"),
                         "pass none pass pass")
        return message

    def publish_pool(self, domain, records, pool=""):
        """The zone of the domain, and the PTR record that the address' owner has to set."""
        proposed = ";%s.\t" % domain                # the MX record, as a comment: the domain has none
        self.assertEqual(records.count(proposed), 1, records)
        self.site.publish((domain, records.replace(proposed, proposed[1:])),
                          (REVERSE, self.site.shell("poolctl dns print --zone %s %s" % (REVERSE, pool))))

    def publish_first(self, said):
        self.publish_pool(DOMAIN, (self.site.root / (DOMAIN + ".records")).read_text())

    def publish_next(self, said):
        (record,) = re.findall(r"(?m)^ak2\._domainkey\.\S+\t.*\n", said)
        refused = self.site.shell("! poolctl keys switch acme 2>&1")
        self.assertIn("missing", refused)
        self.site.publish((DOMAIN, record))

    def test_01_before_you_begin(self):
        self.site.follow(1)
        self.assertNotIn("example.com", "".join(b.text for b in self.site.blocks))

    def test_02_directories(self):
        self.site.follow(2)
        self.assertEqual(self.site.path("/etc/poolmilter/keys").stat().st_mode & 0o7777, 0o750)

    def test_03_key_and_pool(self):
        self.assertIn("good, 1 pools in 3 files", self.site.follow(3))

    def test_04_dns(self):
        missing = self.site.shell("poolctl dns check || [ $? = 2 ]")
        self.assertRegex(missing, r" 0 good, .* [1-9]\d* with errors")
        said = self.site.follow(4, check=self.publish_first)
        self.assertRegex(said, r"\n(\d+) records: \1 good, 0 with notes, 0 with warnings, 0 with errors, 0 not known")

    def test_05_start(self):
        self.site.start_daemon()
        said = self.site.follow(5)
        self.site.run_by_unit("poolmilter", "ExecReload", self.site.server.pid)
        self.site.server.wait_log("reload: done")
        self.assertRegex(said, r"pool +author's domain %s: acme" % re.escape(DOMAIN))

    def test_06_postfix(self):
        self.assertIn("nothing in these settings endangers mail", self.site.follow(6))

    def test_07_first_message(self):
        self.site.follow(7)
        message = self.judge_arrived("ak1", 1)
        self.assertIn(b"Hello Bob.", message.content)
        self.assertRegex(self.site.server.log, r"pool=acme .* dkim=%s/ak1/rsa-sha256 .* result=accepted"
                         % re.escape(DOMAIN))

    def await_event(self, kind):
        """Until the receiver has such an event and nothing waits; for follow()."""
        def has_come():
            if kind not in [event["type"] for event in self.site.receiver.events()]:
                return False
            return not any(each["waiting"] for each in json.loads(self.site.shell("poolctl events queue --json")))

        def wait(said):
            self.assertTrue(daemon.wait_for(has_come, 90, 0.1), self.site.events.log)
        return wait

    def test_09_bounces_and_events(self):
        said = self.site.follow(9, **{"apply.sh": self.site.start_events,
                                      "poolctl events\n": self.await_event("delivered"),
                                      "--type bounced": self.await_event("bounced")})
        self.assertIn("nothing in these settings endangers mail", said)
        for row in (r"accepted +acme .* - +- +-", r"delivered +acme .* 2\.0\.0 +- +250 2\.0\.0 kept",
                    r"bounced +acme .* 5\.1\.1 +bad-mailbox +550 5\.1\.1 No such user here"):
            self.assertRegex(said, r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +%s$" % row)
        for line in (r"webhook/crm +0 .*", r"pool\tacme", r"category +bad-mailbox", r"by +shipped pattern",
                     r"poolmilter on this node: locks: 0"):
            self.assertRegex(said, r"(?m)^%s$" % line)
        self.judge_arrived("ak1", 2)
        self.judge_events()

    def judge_events(self):
        """The message of section 9 has its events, those that the log tells and the one of the bounce."""
        told = self.site.receiver.events()
        self.assertEqual([(event["type"], event["source"]) for event in told],
                         [("accepted", "log"), ("delivered", "log"), ("bounced", "report")])
        for event in told:
            self.assertEqual((event["pool"], event["sender"], event["recipient"], event["headers"]),
                             ("acme", "ann@" + DOMAIN, READER, {"X-Campaign": "2026-47"}))
            self.assertEqual(event["queue_id"], told[0]["queue_id"])
        self.assertEqual((told[2]["category"], told[2]["class"]), ("bad-mailbox", "hard"))
        self.assertEqual(self.site.receiver.faults, [])
        file = self.site.path("/var/log/poolmilter/events.json")
        self.assertEqual(file.owner(), USER)        # poolevents has become the user
        self.assertEqual([json.loads(line) for line in file.read_text().splitlines()], told)

    def test_10_a_new_key(self):
        self.site.follow(10, switch=self.publish_next)
        self.site.follow(7)
        self.judge_arrived("ak2", 3)

    def test_11_second_pool(self):
        said = self.site.follow(11)
        self.assertIn("good, 2 pools in 5 files", said)
        self.assertIn("ak1._domainkey.shop.example.", said)
        (block,) = [b for b in self.site.blocks if "apply.sh" in b.text and b.section == 6]
        self.site.do(block)
        self.publish_pool("shop.example", self.site.shell("poolctl dns print --zone shop.example"), "shop")
        self.site.shell("printf 'From: s@shop.example\\nTo: %s\\n\\nHello.\\n' | sendmail -f s@shop.example %s"
                        % (READER, READER))
        message = self.site.sink.wait(4)[-1]
        self.assertEqual((message.visit.peer, message.helo), (SHOP_ADDRESS, "mail.shop.example"))

    def test_12_lines_for_a_pool(self):
        relay, limits = [b for b in self.site.blocks if b.where == "in the pool"]
        path = self.site.path(limits.file)
        before = path.read_text()
        for block, word in ((limits, "isp_limits"), (relay, "spf_include")):
            with self.subTest(word):
                self.site.insert(block)
                said = self.site.shell("poolctl check || true")
                path.write_text(before)
                self.assertIn(word, block.text)
                self.assertIn("good, 2 pools", said)

    def test_13_each_day(self):
        said = self.site.follow(13)
        self.assertRegex(said, r"(?m)^acme +3 ")
        self.assertRegex(said, r"(?m)^webhook/crm ")
        self.assertIn("nothing in these settings endangers mail", said)

    def test_14_commands_are_there(self):
        """What the text and the table name."""
        named = set(re.findall(r"\bpoolctl ([a-z]+)", GUIDE.read_text()))
        self.assertGreater(len(named), 8)
        for command in sorted(named):
            with self.subTest(command):
                self.assertIn("poolctl " + command, self.site.shell("%s help %s" % (daemon.POOLCTL, command)))


if __name__ == "__main__":
    tap.main()
