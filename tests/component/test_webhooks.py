#!/usr/bin/python3
"""Events reach webhooks: all of them, in order, whatever goes wrong there.

A driver runs the dispatcher on a database that it fills itself (dispatchdrive.c); receivers misbehave
(tests/lib/webhookserver.py).
"""
import random
import time

import daemon
import dispatch_common
import tap
import webhookserver
from dispatch_common import QUICK, SLOW
from webhookserver import CUT, CUT_MID, GARBAGE, HANG, HUGE, Answer


def hook(server, name="all", **settings):
    return {"name": name, "url": getattr(server, "url", server), **QUICK, **settings}


class RequestTest(dispatch_common.DispatchTest):
    """What a request is, and what is in it."""

    def test_delivers(self):
        server = self.serve()
        d = self.dispatch(hook(server))
        self.await_complete(server, d.add(20, "all"))
        self.assertTrue(d.wait_empty())
        self.assertEqual([(r.webhook, r.compressed, r.path) for r in server.requests],
                         [("all", True, "/hook?key=Secret-In-URL")])
        event = server.events()[0]
        self.assertEqual((event["type"], event["pool"], event["node"]), ("deferred", "bolt", "node-1"))
        self.assertLess(d.end(), 20000 if SLOW else 2000)
        self.assertEqual(d.log, "")

    def test_signed(self):
        server = self.serve(secret="a secret of 24 octets...")
        d = self.dispatch(hook(server, secret_file=self.secret(), gzip=False,
                               headers=({"name": "Authorization", "value": "Bearer of a token"},)))
        self.await_complete(server, d.add(3, "all"))
        self.await_complete(server, ["Q1", "Q2", "Q3"] + d.add(100, "all"))
        self.assertEqual({r.headers["Authorization"] for r in server.requests}, {"Bearer of a token"})
        self.assertEqual(len({r.headers["X-Poolmilter-Delivery"] for r in server.requests}), len(server.requests))
        self.assertFalse(any(r.compressed for r in server.requests))
        request = server.requests[0]
        self.assertNotEqual(webhookserver.signature("another secret, as long", request.headers["X-Poolmilter-Timestamp"],
                                                    request.body), request.headers["X-Poolmilter-Signature"])

    def test_compressed_and_signed(self):
        server = self.serve(secret="a secret of 24 octets...")
        d = self.dispatch(hook(server, secret_file=self.secret()))
        added = d.add(1, "all")
        self.await_complete(server, added)
        self.await_complete(server, added + d.add(50, "all"))
        self.assertEqual([r.compressed for r in server.requests], [False, True])

    def test_batches_by_count(self):
        server = self.serve()
        d = self.dispatch(hook(server, batch=10, batch_ms=600000))
        added = d.add(25, "all")
        self.await_complete(server, added[:20])
        self.assertTrue(daemon.wait_for(lambda: d.waiting() == 5))
        self.await_complete(server, added + d.add(5, "all"))
        self.assertEqual([len(r.events) for r in server.requests], [10, 10, 10])

    def test_batches_by_time(self):
        server = self.serve()
        d = self.dispatch(hook(server, batch_ms=3000))
        begin = time.monotonic()
        added = d.add(1, "all")
        time.sleep(0.3)
        self.await_complete(server, added + d.add(2, "all"))
        self.assertEqual([len(r.events) for r in server.requests], [3])
        self.assertGreaterEqual(server.requests[0].time - begin, 2.9)

    def test_batches_by_size(self):
        server = self.serve()
        d = self.dispatch(hook(server, batch=10000, gzip=False))
        self.await_complete(server, d.add(700, "all", octets=4000))
        sizes = [len(r.body) for r in server.requests]
        self.assertLess(max(sizes), 1_001_000)
        self.assertGreater(min(sizes[:-1]), 900_000)

    def test_only_what_waits_for_it(self):
        server = self.serve()
        d = self.dispatch(hook(server, "one"), hook(server, "two", events=["bounced"]),
                          pools=[daemon.pool(webhooks=(hook(server, "acme-own"),))])
        one, own = d.add(5, "one"), d.add(5, "acme-own")
        both = d.add(5, "one", "acme-own")
        self.await_complete(server, one + both, "one")
        self.await_complete(server, own + both, "acme-own")
        self.assertEqual(server.events("two"), [])


class FailureTest(dispatch_common.DispatchTest):
    def test_faults_a_third_of_the_time(self):
        """One webhook for each kind of fault, and one for all of them together."""
        server = self.serve(secret="a secret of 24 octets...")
        kinds = {"status": 500, "hang": HANG, "cut": CUT, "cut-mid": CUT_MID, "garbage": GARBAGE, "huge": HUGE,
                 "mixed": (500, HANG, CUT, CUT_MID, GARBAGE, HUGE)}
        answers = {name: webhookserver.sometimes(kind, 1 / 3, seed) for seed, (name, kind) in enumerate(kinds.items())}
        server.answer = lambda request: answers[request.webhook](request)
        secret = self.secret()
        d = self.dispatch(*(hook(server, name, batch=10, timeout_ms=500, secret_file=secret) for name in kinds))
        added = []
        for _ in range(4):
            added += d.add(30, *kinds)
        end = time.monotonic() + 90
        while any(len(server.ids(name)) < len(added) for name in kinds) and time.monotonic() < end:
            d.tell("retry")     # the back-off has tests of its own
            time.sleep(0.3)
        self.assertTrue(d.wait_empty())
        for name in kinds:
            self.assert_complete(server, added, name)
            changes = d.changes("webhook/" + name)
            self.assertEqual(changes, "du" * (len(changes) // 2))
            # What a kept connection that was closed did not answer libcurl itself sends again.
            if name not in ("huge", "cut"):
                self.assertTrue(changes, name)
        self.assertLess(server.huge_sent, 64 << 20)     # what socket buffers hold
        self.assert_log(d, "webhook/status: down: HTTP status 500")
        self.assert_log(d, "webhook/hang: down: Timeout was reached")

    def test_killed(self):
        """At least once, and repeats have the same ID."""
        server = self.serve(killed=True)
        server.answer = webhookserver.sometimes((500, CUT, Answer(200, delay=0.1)), 0.3)
        d = self.dispatch(hook(server, batch=5), start=False)
        rand, added = random.Random(1), []
        for _ in range(12):
            d.start()
            added += d.add(30, "all")
            time.sleep(rand.random() * 0.3)
            d.kill()
        d.start()
        self.await_complete(server, added)
        self.assertTrue(d.wait_empty())
        print("# %d events, %d came" % (len(added), len(server.events())))

    def test_reasons(self):
        """What the other side says goes into the queue's error printable and cut."""
        server = self.serve()
        cases = {
            "text": (Answer(500, body=b"no\r\n\x1b[31m \xff" + b"x" * 3000), r"HTTP status 500: no\?\?\?\[31m \?x+\.\.\.$"),
            "nothing": (Answer(503), r"HTTP status 503$"),
            "forbidden": (403, r"HTTP status 403$"),
            "gone": (410, r"HTTP status 410$"),
            "redirect": (Answer(302, [("Location", "https://user:pw@other.example/Secret?a=Secret")]),
                         r"HTTP status 302, redirects are not followed: https://other\.example$"),
            "long head": (Answer(200, [("X-Filler", "y" * 60000)] * 3), r"the answer's head is too long"),
            "half": (CUT_MID, r"HTTP status 200, and the answer broke off: "),
            "garbage": (GARBAGE, r"."),
        }
        server.answer = lambda request: cases[request.webhook.replace("-", " ")][0]
        d = self.dispatch(*(hook(server, name.replace(" ", "-")) for name in cases),
                          hook("http://127.0.0.1:%d/" % daemon.free_port(), "nobody"))
        names = [name.replace(" ", "-") for name in cases] + ["nobody"]
        d.add(2, *names)
        self.assertTrue(daemon.wait_for(lambda: all(state[2] >= 1 for state in d.queue().values()), 20), d.queue())
        queue = d.queue()
        for name, (_, wanted) in cases.items():
            with self.subTest(name):
                waiting, dead, _, left, error = queue["webhook/" + name.replace(" ", "-")]
                self.assertEqual((waiting, dead), (2, 0))
                self.assertRegex(error, wanted)
                self.assertLess(len(error), 300)
                self.assertTrue(error.isprintable() and error.isascii(), error)
                self.assertLess(left, 150000)
        self.assertRegex(queue["webhook/nobody"][4], "(?i)connect")

    def test_redirect_is_not_followed(self):
        other = self.serve()
        server = self.serve()
        server.answer = lambda request: Answer(307, [("Location", other.url)])
        d = self.dispatch(hook(server))
        d.add(1, "all")
        self.assert_log(d, "webhook/all: down: HTTP status 307, redirects are not followed: http://127.0.0.1$")
        self.assertEqual(other.requests, [])

    def test_retry_after(self):
        server = self.serve()
        server.answer = lambda request: Answer(503, [("Retry-After", "3")]) if len(server.requests) == 1 else 200
        d = self.dispatch(hook(server))
        self.await_complete(server, d.add(3, "all"))
        self.assertGreaterEqual(server.requests[1].time - server.requests[0].time, 2.9)
        self.assert_log(d, "webhook/all: up again after [0-9.]+ s and 1 failures, 3 events waited$")

    def test_retry_after_is_bounded(self):
        """An hour at most; poolctl events retry need not wait for it."""
        server = self.serve()
        server.answer = lambda request: Answer(429, [("Retry-After", "1000000")]) if len(server.requests) == 1 else 200
        d = self.dispatch(hook(server))
        added = d.add(3, "all")
        self.assertTrue(daemon.wait_for(lambda: d.queue()["webhook/all"][2] == 1))
        left = d.queue()["webhook/all"][3]
        self.assertTrue(3500_000 < left <= 3600_000, left)
        begin = time.monotonic()
        d.tell("retry", "webhook/all")
        self.await_complete(server, added)
        self.assertLess(server.requests[1].time - begin, 20 if SLOW else 2)

    def test_back_off_grows(self):
        server = self.serve()
        server.answer = 500
        d = self.dispatch(hook(server))
        d.add(1, "all")
        server.wait(lambda: len(server.requests) == 3)
        gaps = [b.time - a.time for a, b in zip(server.requests, server.requests[1:])]
        for gap, least in zip(gaps, (0.8, 1.6)):
            self.assertGreaterEqual(gap, least - 0.01)
        if not SLOW:
            self.assertLess(gaps[-1], 4)
        self.assertEqual(d.changes("webhook/all"), "d")     # one line, not one for each try

    def test_too_large(self):
        """413: half as many, at once."""
        server = self.serve()
        server.answer = lambda request: 200 if len(request.events) <= 3 else 413
        d = self.dispatch(hook(server, batch=20))
        self.await_complete(server, d.add(60, "all"))
        self.assertTrue(d.wait_empty())
        self.assertEqual([len(r.events) for r in server.requests][:4], [20, 10, 5, 2])
        self.assertEqual(d.changes("webhook/all"), "")
        self.assert_log(d, "webhook/all: 20 at a time were refused, fewer are sent: HTTP status 413")

    def test_poison(self):
        """An event that is refused for itself is buried; all others arrive."""
        server = self.serve()
        server.answer = lambda request: 422 if "Q7" in dispatch_common.numbers(request.events) else 200
        d = self.dispatch(hook(server, batch=16))
        added = d.add(40, "all")
        self.await_complete(server, [number for number in added if number != "Q7"])
        self.assertTrue(d.wait_empty())
        alone = [r for r in server.requests if dispatch_common.numbers(r.events) == ["Q7"]]
        self.assertEqual(len(alone), 3)
        self.assertEqual(d.dead(), [("webhook/all", alone[0].ids[0], "HTTP status 422")])
        self.assertEqual(d.queue()["webhook/all"][1:3], (1, 0))
        self.assert_log(d, "event %s was refused 3 times and is dead: HTTP status 422" % alone[0].ids[0])
        self.assertEqual(d.changes("webhook/all"), "du")

    def test_max_age(self):
        server = self.serve()
        server.answer = 500
        d = self.dispatch(hook(server), events={"max_age": "2s"})
        d.add(5, "all")
        self.assert_log(d, "webhook/all: 5 events are dead, older than max_age")
        self.assertEqual(d.queue()["webhook/all"][:2], (0, 5))
        server.answer = 200
        self.await_complete(server, d.add(5, "all"))
        self.assertEqual(len(d.dead()), 5)

    def test_nobody_has_it_configured(self):
        server = self.serve()
        d = self.dispatch(hook(server), events={"max_age": "3s"})
        d.add(4, "old", "all")
        d.kill()
        d.start()
        self.assert_log(d, "4 events wait for webhook/old, which is not configured")
        self.assertNotIn("wait for webhook/all", d.log)
        self.assert_log(d, "webhook/old: 4 events are dead, older than max_age")

    def test_hanging_ones_do_not_starve_others(self):
        server = self.serve()
        server.answer = lambda request: HANG if request.webhook.startswith("bad") else 200
        bad, good = ["bad-%d" % i for i in range(40)], ["good-%d" % i for i in range(40)]
        d = self.dispatch(*(hook(server, name, timeout_ms=1000) for name in bad + good))
        added = d.add(1, *bad)
        self.assertTrue(daemon.wait_for(lambda: sum(state[2] > 0 for state in d.queue().values()) == 40, 40, 0.1))
        begin, first = time.monotonic(), d.add(2, *good)
        for _ in range(5):
            first += d.add(2, *good)
            server.wait(lambda: all(len(server.ids(name)) == len(first) for name in good))
        took = time.monotonic() - begin
        print("# %.1f s while 40 others hang; %d requests at a time" % (took, server.most))
        for name in good:
            self.assert_complete(server, first, name)
        self.assertLessEqual(server.most, 32)
        if not SLOW:
            self.assertLess(took, 10)
        server.answer = 200
        d.tell("retry")
        for name in bad:
            self.await_complete(server, added, name)


class TLSTest(dispatch_common.DispatchTest):
    def certificates(self, host="127.0.0.1"):
        return webhookserver.make_certificates(daemon.new_directory("tls"), host)

    def assert_refused(self, server, d, why):
        d.add(3, "all")
        self.assert_log(d, "webhook/all: down: .*" + why)
        self.assertEqual(server.requests, [])
        self.assertEqual(d.waiting(), 3)

    def test_trusted(self):
        ca, tls = self.certificates()
        server = self.serve(tls=tls, secret="a secret of 24 octets...")
        d = self.dispatch(hook(server, ca_file=ca, secret_file=self.secret()))
        self.await_complete(server, d.add(30, "all"))

    def test_unknown_authority(self):
        server = self.serve(tls=self.certificates()[1])
        self.assert_refused(server, self.dispatch(hook(server)), "certificate")

    def test_another_authority(self):
        server = self.serve(tls=self.certificates()[1])
        self.assert_refused(server, self.dispatch(hook(server, ca_file=self.certificates()[0])), "certificate")

    def test_another_host(self):
        ca, tls = self.certificates("127.0.0.2")
        server = self.serve(tls=tls)
        self.assert_refused(server, self.dispatch(hook(server, ca_file=ca)), "127.0.0.1")

    def test_no_tls_there(self):
        server = self.serve()
        d = self.dispatch(hook(server.url.replace("http:", "https:")))
        self.assert_refused(server, d, "SSL")


class LifeTest(dispatch_common.DispatchTest):
    def test_reload_to_another_url(self):
        """At once, whatever the back-off was; nothing of what waited is lost."""
        old, new = self.serve(), self.serve()
        old.answer = Answer(503, [("Retry-After", "3000")])
        d = self.dispatch(hook(old))
        added = d.add(10, "all")
        self.assertTrue(daemon.wait_for(lambda: d.queue()["webhook/all"][2] == 1))
        d.write_config([hook(new)])
        d.tell("reload")
        self.await_complete(new, added + d.add(10, "all"))
        self.assertEqual(len(old.requests), 1)

    def test_reload_while_requests_hang(self):
        """A webhook that goes and comes back while its request is under way."""
        server = self.serve()
        server.answer = lambda request: HANG if len(server.requests) == 1 else 200
        d = self.dispatch(hook(server, timeout_ms=1500))
        added = d.add(5, "all")
        self.assertTrue(server.wait(lambda: server.requests))
        d.write_config([hook(server, "other")])
        d.tell("reload")
        self.await_complete(server, d.add(5, "other"), "other")
        self.assertEqual(server.ids("all"), [])
        d.write_config([hook(server, timeout_ms=1500)])
        d.tell("reload")
        self.await_complete(server, added, "all")

    def test_ends_in_time(self):
        """What hangs is not waited for, and is there at the next start."""
        server = self.serve()
        server.answer = HANG
        d = self.dispatch(hook(server, timeout_ms=60000))
        added = d.add(5, "all")
        self.assertTrue(server.wait(lambda: server.requests))
        took = d.end()
        self.assertTrue(1900 < took < (20000 if SLOW else 4000), took)
        server.answer = 200
        d.start()
        self.await_complete(server, added)

    def test_what_is_answered_at_the_end_counts(self):
        server = self.serve()
        server.answer = Answer(200, delay=0.5)
        d = self.dispatch(hook(server))
        added = d.add(5, "all")
        self.assertTrue(server.wait(lambda: server.requests))
        d.end()
        d.start()
        self.assertEqual(d.waiting(), 0)
        self.assert_complete(server, added)
        self.assertEqual(len(server.events()), 5)

    def test_idle(self):
        """Nothing to do costs next to nothing."""
        server = self.serve()
        d = self.dispatch(*(hook(server, "w%d" % i) for i in range(50)))
        self.await_complete(server, d.add(1, "w7"))
        cpu = lambda: sum(map(int, open("/proc/%d/stat" % d.process.pid).read().rpartition(")")[2].split()[11:13]))
        before = cpu()
        time.sleep(2)
        print("# %d ticks of CPU in 2 s" % (cpu() - before))
        self.assertLess(cpu() - before, 100 if SLOW else 10)


if __name__ == "__main__":
    tap.main()
