"""poolevents under test: a log that the test writes, the daemon that follows it, and the events in its database.

    log = events.MailLog(path)
    with events.Events(log=path) as server:
        log.message("4bXyz12345zQ1", "a@example.net")
        server.wait_events(2)[1]["type"]

Environment: POOLEVENTS names the program; POOLMILTER_WRAP as in daemon.py.
"""
import json
import os
import pathlib
import sqlite3
import subprocess
import threading
import time

import daemon

POOLEVENTS = os.environ.get("POOLEVENTS") or str(daemon.ROOT / "src" / "poolevents")
HOST = "mx1"


def stamp(at=None):
    """A time as rsyslog writes it: 2026-11-20T12:00:01.123456+00:00."""
    at = time.time() if at is None else at
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".%06d+00:00" % (at % 1 * 1000000)


def line(program, text, at=None, host=HOST):
    return "%s %s %s[123]: %s\n" % (stamp(at), host, program, text)


def word(text):
    """A word of core/word.h."""
    return "".join(c if "!" <= c <= "~" and c != "%" else "".join("%%%02X" % o for o in c.encode()) for c in text)


def begin_lines(queue_id, *recipients, pool="acme", isp="default", sender="news@example.com", headers=None,
                at=None, result="accepted"):
    """What stands in the log until a message is in the queue."""
    words = ["header:%s:%s" % pair for pair in (headers or {}).items()] + ["rcpt:" + each for each in recipients]
    yield line("postfix/smtpd", "%s: client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=acme" % queue_id, at)
    yield line("postfix/cleanup", "%s: message-id=<%s@example.com>" % (queue_id, queue_id), at)
    if pool:
        yield line("poolmilter", "%s: event: %s" % (queue_id, " ".join(map(word, words))), at)
        yield line("poolmilter", "%s: pool=%s isp=%s from=<%s> return_path=<b@bounces.example.com> nrcpt=%d size=1000 "
                   "encoding=- headers=+1-0 dkim=ok limit=ok took_ms=1.0 result=%s"
                   % (queue_id, pool, isp, sender, len(recipients), result), at)
    yield line("postfix/qmgr", "%s: from=<b@bounces.example.com>, size=1200, nrcpt=%d (queue active)"
               % (queue_id, len(recipients)), at)


def delivery_line(queue_id, recipient, status="sent", reply="250 2.0.0 Ok: queued as 4F00D", dsn=None, at=None,
                  relay="mx.example.net[192.0.2.1]:25"):
    dsn = dsn or {"sent": "2.0.0", "deferred": "4.2.0", "bounced": "5.1.1"}[status]
    return line("postfix/smtp", "%s: to=<%s>, relay=%s, delay=0.5, delays=0.1/0/0.2/0.2, dsn=%s, status=%s (%s)"
                % (queue_id, recipient, relay, dsn, status, reply), at)


def removed_line(queue_id, at=None):
    return line("postfix/qmgr", "%s: removed" % queue_id, at)


def message_lines(queue_id, *recipients, at=None, **options):
    """All lines of a message that was delivered at once."""
    yield from begin_lines(queue_id, *recipients, at=at, **options)
    for recipient in recipients:
        yield delivery_line(queue_id, recipient, at=at)
    yield removed_line(queue_id, at)


class MailLog:
    """The log file, as a syslog daemon writes it: opened again only when it is told to."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.file = None
        self.reopen()

    def reopen(self):
        if self.file:
            self.file.close()
        self.file = open(self.path, "ab", buffering=0)

    def add(self, *lines):
        self.file.write("".join(lines).encode("utf-8", "surrogateescape"))

    def message(self, queue_id, *recipients, **options):
        self.add(*message_lines(queue_id, *recipients, **options))

    def rotate(self, keep=5, writes_late=()):
        """As logrotate does; writes_late are written to the old file before the log is opened again."""
        for number in range(keep - 1, 0, -1):
            older = self.path.with_name("%s.%d" % (self.path.name, number))
            if older.exists():
                older.rename(self.path.with_name("%s.%d" % (self.path.name, number + 1)))
        self.path.rename(self.path.with_name(self.path.name + ".1"))
        self.path.touch()
        self.add(*writes_late)
        self.reopen()


class Events(daemon.Daemon):
    """One poolevents.  log: events.log of the settings; events: more of that group; state: the state directory of
    another daemon, which then is left to it."""

    def __init__(self, pools=None, log=None, events=None, stdin=subprocess.DEVNULL, **options):
        self.group = {"log": str(log), **(events or {})}
        self.stdin = stdin
        super().__init__(pools, **options)

    def write_config(self, pools=None, text=None, **settings):
        settings = {"events": self.group, **settings}
        super().write_config(pools, text, **settings)

    def spawn(self, stderr=subprocess.PIPE):
        command = [*daemon.WRAP, POOLEVENTS, "-c", str(self.config), *self.options]
        self.process = subprocess.Popen(command, stdin=self.stdin, stdout=subprocess.PIPE
                                        if self.stdin == subprocess.PIPE else subprocess.DEVNULL, stderr=stderr,
                                        env={**os.environ, **self.env},
                                        preexec_fn=self._before_exec if self.limits or self.uid else None)
        daemon._running.add(self)
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        return self

    def wait_ready(self, seconds=20.0):
        since = self.since
        try:
            self.wait_log(r"\bstarted: version=|not started", seconds, since)
        except daemon.Failed:
            return False
        return self.alive

    def start(self, seconds=20.0):
        self.since = self.mark()
        return super().start(seconds)

    def run(self, *options, timeout=60, **keywords):
        """Run it to its end with more options: a CompletedProcess."""
        return subprocess.run([*daemon.WRAP, POOLEVENTS, "-c", str(self.config), "--stderr", *options],
                              capture_output=True, text=True, timeout=timeout, check=False, **keywords)

    # What it has made.

    @property
    def state(self):
        return self.directory / "state"

    def query(self, sql, *values):
        """Rows of the database."""
        base = sqlite3.connect("file:%s?mode=ro" % (self.state / "events.db"), uri=True, timeout=30)
        try:
            return base.execute(sql, values).fetchall()
        finally:
            base.close()

    def events(self):
        """All events that are kept, in their order."""
        return [json.loads(row[0]) for row in self.query("SELECT json FROM events ORDER BY seq")]

    def wait_events(self, count, seconds=20.0):
        """All events, as soon as there are so many."""
        def enough():
            try:
                return self.query("SELECT count(*) FROM events")[0][0] >= count
            except sqlite3.OperationalError:        # it is being made
                return False

        if not daemon.wait_for(enough, seconds * (5 if daemon.instrumented() else 1), 0.05):
            raise daemon.Failed("not %d events; log:\n%s" % (count, self.log))
        return self.events()
