"""What the component tests share: messages, a test case that starts daemons and checks their end.

A test fails too when a daemon that it started ends with another status than 0 after SIGTERM, when a
sanitizer reports, and when a result that should be signed breaks a rule of the wire.
"""
import itertools
import pathlib
import sys
import threading
import time

sys.dont_write_bytecode = True      # nothing is left in the source tree
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import daemon  # noqa: E402
import milter  # noqa: E402
import mta     # noqa: E402
import tap     # noqa: E402

LOGIN = "acme"          # what authenticated clients of the tests call themselves


def message(sender=b"a@example.com", body=b"Hello\r\n\r\nWorld\r\n", extra=b"", subject=b"Test",
            number=1):
    """A plain message as a client sends it; extra: more header lines, with their CRLF."""
    return (b"From: Sender <%s>\r\n" % sender if sender is not None else b"") + (
        b"To: <b@example.net>\r\n"
        b"Subject: %s\r\n"
        b"Date: Mon, 1 Jun 2026 12:00:00 +0000\r\n"
        b"Message-ID: <%d@example.com>\r\n"
        b"%s\r\n%s" % (subject, number, extra, body))


_numbers = itertools.count(1)


def send(session, data=None, sender=b"a@example.com", recipients=(b"b@example.net",)):
    """One message; the result has queue_id, that no other message of this process has, began and answered
    (monotonic).  data: as it is stored in a queue; None: a plain message."""
    queue_id, began = "4L%07d" % next(_numbers), time.monotonic()
    result = session.deliver(mta.normalise(message(sender)) if data is None else data, sender, recipients,
                             queue_id=queue_id, as_stored=True)
    result.queue_id, result.began, result.answered = queue_id, began, time.monotonic()
    return result


class Load:
    """Threads that deliver until they are told to end; what they got is in results.

    servers: one, or several that the threads take in turns.  pause: seconds after each message.
    """

    def __init__(self, servers, threads=4, sender=b"a@example.com", recipients=(b"b@example.net",), pause=0.0):
        self.servers = servers if isinstance(servers, (list, tuple)) else [servers]
        self.data, self.sender = mta.normalise(message(sender)), sender
        self.recipients, self.pause = recipients, pause
        self.results, self.over = [], threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads), "a session hangs"
        return self

    def _run(self, number):
        server, session = self.servers[number % len(self.servers)], None
        while not self.over.is_set():
            try:
                session = session or mta.Session(server.address, login=LOGIN)
                result = send(session, self.data, self.sender, self._recipients())
                self.results.append(result)
                if result.status != "lost":
                    self.over.wait(self._pause())
                    continue
            except (OSError, milter.ProtocolError) as error:
                self.results.append(error)
                time.sleep(0.05)
            session = None
        if session:
            session.quit()

    # What the next message is like; for subclasses.

    def _recipients(self):
        return self.recipients

    def _pause(self):
        return self.pause

    # What came of it.

    def accepted(self):
        return [result for result in self.results
                if isinstance(result, mta.Result) and result.status == "accepted"]

    def others(self):
        return [result if isinstance(result, Exception) else (result.status, result.reply)
                for result in self.results
                if not isinstance(result, mta.Result) or result.status != "accepted"]


class ComponentTest(tap.TestCase):
    maxDiff = 4000

    def serve(self, pools=None, text=None, **settings):
        """A daemon that is stopped, and its end checked, when the test is over."""
        server = daemon.Daemon(pools, text, start=False, **settings)
        self.addCleanup(self.end, server)
        return server.start()

    def prepare(self, pools=None, text=None, **settings):
        """The same, not yet started."""
        server = daemon.Daemon(pools, text, start=False, **settings)
        self.addCleanup(self.end, server)
        return server

    def end(self, server):
        if server.process is None:
            return
        if server.process.returncode is not None:
            server.kill()
            return
        self.assertEqual(server.stop(), 0, "exit status after SIGTERM; log:\n" + server.log)

    def session(self, server, login=LOGIN, **options):
        """An SMTP client's connection; authenticated unless login is None."""
        session = mta.Session(options.pop("address", server.address), login=login, **options)
        self.addCleanup(session.quit)
        return session

    def deliver(self, server, data=None, sender=b"a@example.com", recipients=(b"b@example.net",),
                login=LOGIN, queue_id=None, arguments=(), **options):
        """One message on a connection of its own."""
        session = mta.Session(server.address, login=login, **options)
        try:
            return session.deliver(message() if data is None else data, sender, recipients,
                                   queue_id=queue_id, arguments=arguments)
        finally:
            session.quit()

    # What a result must be.

    def assert_signed(self, result, pool, zone=None, rules_of_wire=True):
        """Accepted, signed by the pool, the signature on top and verifying."""
        self.assertEqual((result.status, result.reply), ("accepted", None))
        self.assertTrue(result.message.lower().startswith(b"dkim-signature:"),
                        "no signature on top:\n%r" % result.message[:300])
        zone = zone or daemon.zone_for(pool)
        failures = daemon.failed_signatures(result.message, zone, pool["sender_domain"],
                                            pool["dkim_selector"])
        self.assertEqual(failures, [], "in:\n%r" % result.message[:3000])
        if rules_of_wire:
            head = result.message.partition(b"\r\n\r\n")[0] + b"\r\n"
            self.assertEqual(mta.wire_faults(head), [])

    def assert_untouched(self, result, data):
        """Accepted as it came: no edit, envelope included."""
        self.assertEqual((result.status, result.reply), ("accepted", None))
        self.assertEqual(result.edits, [])
        self.assertEqual(result.image, mta.normalise(data))

    def assert_refused(self, result, status, reply):
        """Refused with a reply that begins so; nothing was changed."""
        self.assertEqual(result.status, status, result.reply)
        self.assertTrue(result.reply.startswith(reply),
                        "%r does not begin with %r" % (result.reply, reply))

    def assert_still_works(self, server, pool=None):
        """The daemon lives and treats a message as it should."""
        self.assertTrue(server.alive, "the daemon died; log:\n" + server.log)
        self.assert_signed(self.deliver(server), pool or daemon.pool())


main = tap.main
