#!/usr/bin/python3
"""The running half of try.sh: poolmilter, a private Postfix and a sink, one message, a verdict.

    try.py --programs DIRECTORY --directory DIRECTORY [--keep]

Servers and the sink belong to this process (with --keep to a child that stays) and end with it.
Everything it writes is in the directory, which is the caller's to remove; the child that stays
removes it itself when it is stopped.
"""
import argparse
import email
import os
import pathlib
import pwd
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "lib"))

import postfix  # noqa: E402
import sink     # noqa: E402
import verify   # noqa: E402

USER = "nobody"
DOMAIN, SELECTOR, SPF_DOMAIN = "example.com", "ak", "ac-bounces.example.com"

SHIPPED_ISPS = pathlib.Path(__file__).resolve().parents[1] / "conf" / "isps.conf"

CONFIGURATION = """\
listen = "unix:{directory}/run/milter.sock";
socket_group = "postfix";
pid_file = "{directory}/run/pid";
user = "{user}";
state_dir = "{directory}/run";

@include "{directory}/run/isps.conf"
isps = (
  {{ name = "neighbour";
    domains = [ "example.net" ];
    encoding: {{ html = "base64"; text = "quoted-printable"; }};
    add_headers = ( {{ name = "X-Provider"; value = "${{isp}}"; }} ); }}
);
pools = (
  {{ name = "acme";
    sender_domain = "{domain}";
    spf_domain = "{spf_domain}";
    dkim_selector = "{selector}";
    dkim_key = "{directory}/run/{selector}.{domain}.pem"; }}
);
"""

MESSAGE = """\
From: Alice <alice@example.com>\r
To: Bob <bob@example.net>\r
Subject: Hello through poolmilter\r
Date: {date}\r
Message-ID: <try@example.com>\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
{text}"""

TEXT = """\
Hello Bob, grüß dich,\r
\r
this message left signed, encoded as your provider wants it, and its bounces come back to us.\r
"""


class Failed(Exception):
    pass


def say(text):
    print("== " + text, flush=True)


def show(text):
    print("".join("   %s\n" % line for line in text.splitlines()), flush=True)


class Trial:
    def __init__(self, programs, directory):
        self.programs, self.directory = pathlib.Path(programs), pathlib.Path(directory)
        self.run = self.directory / "run"
        self.config = self.directory / "poolmilter.conf"
        self.sink = sink.Sink()
        self.keys = verify.Keys()
        self.daemon = self.mta = None

    # ---- servers

    def start(self):
        self.run.mkdir(mode=0o755)
        self.make_key()
        shutil.copy(SHIPPED_ISPS, self.run)
        self.config.write_text(CONFIGURATION.format(
            directory=self.directory, user=USER, domain=DOMAIN, spf_domain=SPF_DOMAIN,
            selector=SELECTOR))
        say("configuration, %s" % self.config)
        show(self.config.read_text())
        account = pwd.getpwnam(USER)
        for path in (self.run, *self.run.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
        self.sink.start()
        self.start_daemon()
        self.mta = postfix.Postfix(self.sink.port, "unix:%s/milter.sock" % self.run).start()

    def make_key(self):
        """A key by poolctl; the verifier gets the record that poolctl prints for the DNS."""
        key = self.run / ("%s.%s.pem" % (SELECTOR, DOMAIN))
        done = subprocess.run([self.programs / "poolctl", "genkey", "--type", "rsa", "--bits", "2048",
                               "--domain", DOMAIN, "--selector", SELECTOR, "--out", key],
                              stdout=subprocess.PIPE)
        record = done.stdout.decode()
        if done.returncode or not key.exists():
            raise Failed("poolctl genkey failed")
        say("a DKIM key; what would stand in the DNS")
        show(record)
        self.keys.add("%s._domainkey.%s" % (SELECTOR, DOMAIN),
                      "".join(re.findall(r'"([^"]*)"', record)))

    def start_daemon(self):
        command = [self.programs / "poolmilter", "-c", self.config]
        if subprocess.run([*command, "--check"]).returncode:
            raise Failed("poolmilter does not like its configuration")
        with open(self.directory / "poolmilter.log", "wb") as log:
            self.daemon = subprocess.Popen([*command, "--foreground", "--stderr"], stderr=log,
                                           stdout=log, stdin=subprocess.DEVNULL,
                                           start_new_session=True)
        deadline = time.monotonic() + 20
        while not (self.run / "milter.sock").exists():
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise Failed("poolmilter did not start:\n" + self.log())
            time.sleep(0.05)

    def stop(self):
        if self.mta is not None:
            self.mta.stop()
        if self.daemon is not None:
            self.daemon.terminate()
            try:
                self.daemon.wait(10)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        self.sink.stop()

    def log(self):
        return (self.directory / "poolmilter.log").read_text(errors="replace")

    # ---- the message

    def send(self):
        content = MESSAGE.format(text=TEXT, date=time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()))
        say("sent to Postfix on 127.0.0.1:%d: MAIL FROM:<alice@example.com> "
            "RCPT TO:<bob@example.net>" % self.mta.port)
        with smtplib.SMTP("127.0.0.1", self.mta.port, timeout=30) as client:
            client.sendmail("alice@example.com", ["bob@example.net"], content.encode())
        message = self.sink.wait(1, 30)[0]
        say("what left Postfix")
        show("MAIL FROM:<%s>\nRCPT TO:<%s>\n\n%s" % (
            message.sender, ">\nRCPT TO:<".join(message.rcpts),
            message.content.decode("utf-8", "replace").replace("\r\n", "\n")))
        say("what poolmilter logged")
        show(self.log())
        return message

    @staticmethod
    def decodes(message):
        """By Python's own reader of mail."""
        parsed = email.message_from_bytes(message.content)
        return (str(parsed["Content-Transfer-Encoding"]) == "quoted-printable"
                and parsed.get_payload(decode=True) == TEXT.encode())

    def verdict(self, message):
        """True if all is as promised; prints each promise with yes or no."""
        results = verify.python_dkim([message.content], self.keys)[0]
        checks = [
            ("signed by %s, selector %s" % (DOMAIN, SELECTOR),
             [r[:2] for r in results] == [(DOMAIN, SELECTOR)]),
            ("the signature verifies (python3-dkim)",
             bool(results) and all(r.passed for r in results)),
            ("the Return-Path was moved to %s" % SPF_DOMAIN,
             message.sender.endswith("@" + SPF_DOMAIN)),
            ("the From: header is still Alice's",
             message.fields("From") == [b"From: Alice <alice@example.com>\r\n"]),
            ("the recipient is still Bob", message.rcpts == ["bob@example.net"]),
            ("treated as the record of Bob's provider says: its header",
             message.fields("X-Provider") == [b"X-Provider: neighbour\r\n"]),
            ("the text is quoted-printable, and decodes to what was sent", self.decodes(message)),
        ]
        for text, good in checks:
            print("   %-3s  %s" % ("yes" if good else "NO", text))
        passed = all(good for _, good in checks)
        say("VERDICT: %s" % ("it works" if passed else "it does NOT work"))
        for result in results:
            if not result.passed:
                print("   " + result.detail)
        return passed


def trial(options):
    """Runs it all, and the servers' end too unless they are to be kept: (Trial, passed)."""
    made = Trial(options.programs, options.directory)
    passed = False
    try:
        made.start()
        passed = made.verdict(made.send())
    except (Failed, OSError, TimeoutError, smtplib.SMTPException, postfix.Error) as error:
        print("try.sh: %s" % error, file=sys.stderr)
        if made.mta is not None:
            print(made.mta.log(), file=sys.stderr)
    finally:
        if not (passed and options.keep):
            made.stop()
    return made, passed


def instructions(made):
    say("kept running (process %d)" % os.getpid())
    show("""\
Postfix     127.0.0.1:{mta}, sends all it gets to the sink; {etc}, log {log}
sink        127.0.0.1:{sink}, writes what arrives to {directory}/mail/
poolmilter  {directory}/poolmilter.conf, log {directory}/poolmilter.log
send        python3 -c 'import smtplib; smtplib.SMTP("127.0.0.1", {mta}).sendmail("alice@example.com", \
["bob@example.net"], "From: alice@example.com\\r\\n\\r\\nHello\\r\\n")'
reload      {programs}/poolctl reload -c {directory}/poolmilter.conf
stop        kill {pid}    (stops all of it and removes {directory})
""".format(mta=made.mta.port, etc=made.mta.config, log=made.mta.log_file, sink=made.sink.port,
           directory=made.directory, programs=made.programs, pid=os.getpid()))


def attend(made):
    """The child that stays: writes what arrives to files until it is told to stop."""
    mail = made.directory / "mail"
    mail.mkdir()
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    written = 0
    try:
        while True:
            messages = made.sink.messages
            for number in range(written, len(messages)):
                message = messages[number]
                head = "X-Sink-From: <%s>\r\n" % message.sender + "".join(
                    "X-Sink-To: <%s>\r\n" % rcpt for rcpt in message.rcpts)
                (mail / ("%d.eml" % (number + 1))).write_bytes(head.encode() + message.content)
            written = len(messages)
            time.sleep(0.2)
    finally:
        made.stop()
        shutil.rmtree(made.directory, ignore_errors=True)


def keep(options):
    """Forks the child that stays; the parent ends when the child has its verdict."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            return 0 if answer.read() == b"passed" else 1
    os.close(reader)
    os.setsid()
    made, passed = trial(options)
    if passed:
        instructions(made)
        sys.stdout.flush()
        os.write(writer, b"passed")
        os.close(writer)
        attend(made)
    return 0 if passed else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    if options.keep:
        return keep(options)
    return 0 if trial(options)[1] else 1


if __name__ == "__main__":
    sys.exit(main())
