"""What the end-to-end tests share: a site (sink, daemon, MTA), messages, and the judgement of what
arrives.

The rule that nearly all tests end in, E2ETest.assert_treated(): every message at the sink is, to the
byte, DKIM signatures + the MTA's Received + what was sent with the pool's header edits; the
signatures are those of the pool and verify; the envelope sender is at the pool's spf_domain.
"""
import os
import pathlib
import re
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import daemon        # noqa: E402
import postfix       # noqa: E402
import redis         # noqa: E402,F401
import sink          # noqa: E402
import tap           # noqa: E402
import verify        # noqa: E402

import client        # noqa: E402

# SIGTERM (make, a runner's time limit) must run the atexit handlers that stop the servers.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

SESSIONS = 20
STRANGER = {"ADDR": "192.0.2.99", "NAME": "stranger.example"}

# One line a message: keys in the documented order, unused ones "-".
LOG_LINE = re.compile(
    r"poolmilter\[\d+\]: (?P<id>\w+): pool=(?P<pool>\S+) isp=(?P<isp>\S+) "
    r"(mixed=(?P<mixed>neutral|alike|split) (split=(?P<split>\S+) )?)?from=<(?P<sender>[^>]*)> "
    r"return_path=(?P<return_path>\S+) nrcpt=(?P<nrcpt>\d+) size=(?P<size>\d+) "
    r"encoded=(?P<encoded>\S+) (reason=(?P<not_encoded>\S+) )?"
    r"headers=(?P<headers>\S+) dkim=(?P<dkim>\S+) limit=(?P<limit>\S+) (wait_ms=(?P<wait_ms>\d+|-) )?took_ms=[\d.]+ result=(?P<result>\w+)"
    r"(?P<reason> reason=.+)?$")


class Pool:
    """A pool's configuration, and what a test expects of its mail."""

    def __init__(self, name, domain, selectors=("s1",), ed25519=None, asked=None, **settings):
        """selectors[0] signs with RSA; ed25519: selector of a second signature by the same domain.
        asked: sender_domain as the configuration writes it, if not as domain."""
        self.name, self.domain = name, domain
        self.spf_domain = settings.get("spf_domain", "bounces." + domain)
        self.signatures = ["%s/%s" % (domain, selectors[0])]
        self.keys = [(domain, selectors[0], daemon.key(name))]
        if ed25519:
            key = daemon.key(name, "ed25519")
            self.keys.append((domain, ed25519, key))
            self.signatures.append("%s/%s" % (domain, ed25519))
            settings["signatures"] = ({"domain": domain, "selector": ed25519, "key": key.path},)
        settings.setdefault("spf_domain", self.spf_domain)
        self.settings = daemon.pool(name, asked or domain, dkim_selector=selectors[0],
                                    dkim_key=self.keys[0][2].path, **settings)

    def edits(self):
        """(name patterns removed from the message, fields added to it)."""
        removed = list(self.settings.get("delete_headers", []))
        added = []
        for header in self.settings.get("set_headers", ()):
            removed.append(header["name"])
            added.append(header)
        added += self.settings.get("add_headers", ())
        return removed, [("%s: %s\r\n" % (h["name"], h["value"].replace("${pool}", self.name)))
                         .encode() for h in added]


def keys_of(pools):
    keys = verify.Keys()
    for pool in pools:
        for domain, selector, key in pool.keys:
            keys.add("%s._domainkey.%s" % (selector, domain), key.record)
    return keys


class Site:
    """Sink, daemon and MTA, wired together.  make_mta(relay_port, milter) -> an object with start(),
    stop(), port.  settings are the daemon's."""

    def __init__(self, pools, make_mta=postfix.Postfix, listen=None, **settings):
        self.pools = {pool.name: pool for pool in pools}
        self.keys = keys_of(pools)
        self.sink = sink.Sink()
        self.daemon = daemon.Daemon([p.settings for p in pools], start=False,
                                    socket_mode="0660", socket_group="postfix", **settings)
        if listen:
            self.daemon.address = listen
        self.daemon.settings["pid_file"] = str(self.daemon.directory / "pid")
        os.chmod(self.daemon.directory, 0o755)      # the MTA's user looks for the socket in it
        self._make_mta = make_mta
        self.mta = None

    def configure(self, **settings):
        self.daemon.write_config([p.settings for p in self.pools.values()], **settings)

    def start(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("MTAs start as root only")
        if not os.path.exists("/usr/sbin/postconf"):
            raise unittest.SkipTest("postfix is not installed")     # its group is used in any case
        try:
            self.configure()
            self.sink.start()
            self.daemon.start()
            self.mta = self._make_mta(self.sink.port, self.daemon.address)
            self.mta.start()
        except BaseException:
            self.stop(check=False)
            raise
        return self

    def stop(self, check=True):
        """Also says when the daemon did not end as it should."""
        try:
            if self.mta is not None:
                self.mta.stop()
        finally:
            self.sink.stop()
            if check and self.daemon.process is not None and self.daemon.alive:
                status = self.daemon.stop()
                if status != 0:
                    raise daemon.Failed("exit status %d after SIGTERM:\n%s"
                                        % (status, self.daemon.log))
            self.daemon.kill()

    def send(self, content, sender="author@example.com", rcpts=("reader@example.net",), **options):
        return client.send_once(self.mta.port, content, sender, rcpts, **options)

    def connect(self, **options):
        return client.Client(self.mta.port, **options)

    def restart_daemon(self):
        """After kill -9 or a stop; a stale socket is no hindrance."""
        self.daemon.kill()
        self.daemon.start()

    def message_lines(self):
        """{queue ID: [LOG_LINE matches]} of the daemon's log."""
        found = {}
        for line in self.daemon.log.split("\n"):
            match = LOG_LINE.search(line)
            if match:
                found.setdefault(match["id"], []).append(match)
        return found


# ---- messages

def message(sender="author@example.com", number=1, extra=b"", body=b"Hello,\r\n\r\nworld.\r\n",
            subject=b"a test"):
    """Complete headers, so that Postfix adds none but Received."""
    head = ("From: Author <%s>\r\nTo: Reader <reader@example.net>\r\n"
            "Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <%s>\r\n"
            % (sender, message_id(number))).encode()
    return head + b"Subject: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n" % subject \
        + extra + b"\r\n" + body


def message_id(number):
    return "e2e.%s@client.example" % number


def number_of(content):
    """The number given to message(), as text; None for another message."""
    found = re.search(rb"(?im)^Message-ID: <e2e\.([^@]+)@client\.example>", content)
    return found and found[1].decode()


def strip_added(content):
    """(signature fields on top, the MTA's Received, the rest) of a delivered message."""
    fields = sink.split_fields(sink.split(content)[0])
    count = 0
    while count < len(fields) and sink.field_name(fields[count]) == b"dkim-signature":
        count += 1
    own = fields[count] if count < len(fields) else b""
    if sink.field_name(own) != b"received" or b"mta.poolmilter.test" not in own:
        raise AssertionError("no Received of the MTA after %d signatures:\n%r"
                             % (count, content[:2000]))
    signatures = fields[:count]
    return signatures, own, content[len(b"".join(signatures)) + len(own):]


def _matches(field, patterns):
    name = sink.field_name(field).decode("latin-1")
    return any(name.startswith(p[:-1].lower()) if p.endswith("*") else name == p.lower()
               for p in patterns)


def edit_difference(sent, rest, pool):
    """None when rest (a delivered message after strip_added) is sent with the pool's header edits
    and nothing else; else what differs.  Where an added field stands is the daemon's business."""
    removed, added = pool.edits()
    want_head, want_body = sink.split(sent)
    have_head, have_body = sink.split(rest)
    want = [f for f in sink.split_fields(want_head) if not _matches(f, removed)]
    have = sink.split_fields(have_head)
    for field in added:
        if field not in have:
            return "header missing: %r" % field
        have.remove(field)
    if have != want:
        return "headers %r, expected %r" % (have, want)
    if have_body != want_body:
        return "body %r..., expected %r..." % (have_body[:500], want_body[:500])
    return None


# ---- load

class Load:
    """Sessions that send messages in parallel.  Each job is (number, content, sender, rcpts).

    Without retry a message is tried once; with it, after each 4xx again on a new connection, until
    it is accepted or the time is over.  replies[number] is the list of answers.  Endless jobs run
    until stop().
    """

    def __init__(self, port, jobs, sessions=SESSIONS, retry=False, pause=0.0, seconds=120,
                 source="127.0.0.1"):
        self.port, self.retry, self.pause, self.source = port, retry, pause, source
        self.replies = {}
        self.sent = {}
        self._jobs = iter(jobs)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._deadline = time.monotonic() + seconds
        self._errors = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(sessions)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """No new jobs; wait for those that run."""
        self._stop.set()
        return self.join()

    def join(self):
        for thread in self._threads:
            thread.join(max(self._deadline - time.monotonic(), 0) + 90)
            if thread.is_alive():
                raise AssertionError("a session hangs")
        if self._errors:
            raise self._errors[0]
        return self

    def _next(self):
        with self._lock:
            if self._stop.is_set():
                return None
            return next(self._jobs, None)

    def _work(self):
        connection = None
        try:
            job = self._next()
            while job is not None:
                connection = self._deliver(connection, *job)
                if self.pause:
                    self._stop.wait(self.pause)
                job = self._next()
        except Exception as error:      # given to join(), a thread has nobody to raise it to
            self._errors.append(error)
        finally:
            if connection:
                connection.quit()

    def _deliver(self, connection, number, content, sender, rcpts):
        answers = self.replies.setdefault(number, [])
        self.sent[number] = content
        while True:
            try:
                connection = connection or client.Client(self.port, source=self.source)
                reply = connection.send(content, sender, rcpts)
            except client.Refused as refused:
                reply = refused.reply
            answers.append(reply)
            if reply.accepted:
                return connection
            if connection:
                connection.quit()
                connection = None
            if not (self.retry and reply.deferred) or time.monotonic() > self._deadline:
                return None
            time.sleep(0.05)

    @property
    def accepted(self):
        return {n for n, answers in list(self.replies.items()) if answers and answers[-1].accepted}

    @property
    def refusals(self):
        return [r for answers in list(self.replies.values()) for r in answers if not r.accepted]


# ---- judgement

class E2ETest(tap.TestCase):
    maxDiff = 4000
    site = None

    @classmethod
    def tearDownClass(cls):
        if cls.site is not None:
            site, cls.site = cls.site, None
            site.stop()

    def setUp(self):
        self.site.sink.clear()

    def one(self, number, timeout=30):
        """The message of that number, once it is at the sink."""
        return self.site.sink.wait(
            1, timeout, lambda m: number_of(m.content) == str(number))[0]

    def assert_verifies(self, messages, pool):
        """All of the pool's signatures, no other, pass with both verifiers."""
        self.assertTrue(messages)
        contents = [m.content for m in messages]
        for verifier in (verify.python_dkim, verify.perl_dkim):
            wrong = verify.all_good(verifier(contents, self.site.keys), pool.signatures)
            self.assertIsNone(wrong, verifier.__name__)

    def assert_moved(self, message, pool):
        """The envelope sender is a signed token at the pool's domain."""
        local, _, domain = message.sender.partition("@")
        self.assertEqual(domain, pool.spf_domain)
        self.assertRegex(local, r"\Ab\+[a-z2-7]{20,}\Z")
        self.assertLessEqual(len(local), 64)

    def assert_unsigned(self, message, sent, sender):
        """Delivered as if no filter were there."""
        signatures, _, rest = strip_added(message.content)
        self.assertEqual(signatures, [])
        self.assertEqual(rest, sent)
        self.assertEqual(message.sender, sender)

    def assert_treated(self, messages, sent, pool):
        """The rule of this file's head.  sent: {number: content}."""
        for message in messages:
            self.assert_moved(message, pool)
            signatures, _, rest = strip_added(message.content)
            self.assertEqual(len(signatures), len(pool.signatures))
            wrong = edit_difference(sent[number_of(message.content)], rest, pool)
            self.assertIsNone(wrong, "message %s" % number_of(message.content))
        self.assert_verifies(messages, pool)


main = tap.main
