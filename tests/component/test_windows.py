#!/usr/bin/python3
"""The promise of the limits (DESIGN.md; FAULTS.md B7): in no window of the stated length more than the limit is
accepted, on all nodes together, and under constant overload at least 95 % of it in each.

Four daemons on one Redis, and one daemon that counts in memory, are offered ten times the limit and more, in
bursts across the edges of windows and without a pause.  All windows are looked at, not only aligned ones:

- With Redis each charge is known to the microsecond, by Redis' own clock, from what its script wrote.
- From outside a charge is known as a span: it lies between the begin of its message and the answer.  More than N
  charges whose spans all lie in less than a window's length break the promise for certain.

The minute's offer goes on beside the other tests, so it is judged last.
"""
import random
import signal
import threading
import time

import common
import daemon
import redis
import redis_common
from redis_common import SLOW

CLOCK = 0.005   # seconds that a refusal may have come before MONITOR tells it
MINUTE = 67     # seconds of the minute's offer

POOLS = [daemon.pool("second", "second.example", limits=["40/second"]),
         daemon.pool("three", "three.example", limits=["120/3s"]),
         daemon.pool("many", "many.example", limits=["90/2s"]),
         daemon.pool("minute", "minute.example", limits=["60/minute"]),
         daemon.pool("one", "one.example", limits=["80/2s"]),
         daemon.pool("two", "two.example", limits=["80/2s"])]
ISPS = ({"name": "big", "domains": ["big.example"], "limits": ["40/2s"], "total_limits": ["110/3s"]},)


class Offer(common.Load):
    """each: recipients of a message, at most.  steady sessions hardly pause; the others pause about calm seconds after each
    message, but not near the edges of aligned windows: edge, part of a window's length."""

    def __init__(self, servers, pool, seconds, steady=4, bursting=4, calm=0.02, edge=0.1, each=1,
                 domains=("example.net",)):
        super().__init__(servers, threads=steady + bursting, sender=b"a@%s.example" % pool.encode())
        self.length, self.calm, self.edge = seconds, calm, edge
        self.steady = self.threads[:steady]
        self.each, self.domains = each, domains
        self.chance = random.Random(pool)

    def _recipients(self):
        return [b"%d@%s" % (number, self.chance.choice(self.domains).encode())
                for number in range(self.chance.randint(1, self.each))]

    def _pause(self):
        part = time.time() / self.length % 1
        if part < self.edge or part > 1 - self.edge:
            return 0
        if threading.current_thread() in self.steady:
            return 0.002
        return self.chance.random() * 2 * self.calm


class Site:
    """Daemons that count together: four with Redis, or one."""

    def __init__(self, shared):
        self.redis = redis.Server(password=redis_common.PASSWORD).start() if shared else None
        # A machine with much else to do must not make Redis seem down: then each node has its own share.
        group = redis_common.settings(self.redis, command_timeout_ms=10000) if shared else None
        self.servers = [daemon.Daemon(POOLS, isps=ISPS, redis=group) for _ in range(4 if shared else 1)]

    def stop(self):
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
        statuses = {server.stop() for server in self.servers}
        if self.redis:
            self.redis.stop()
        assert statuses == {0}, "exit status"
        assert not any("redis: down" in server.log for server in self.servers), "Redis was down"


def sums(charges, length, begins):
    """What was charged in [begin, begin + length), for each begin; all are sorted.  charges: [(time, amount)]"""
    first = last = inside = 0
    for begin in begins:
        while last < len(charges) and charges[last][0] < begin + length:
            inside += charges[last][1]
            last += 1
        while first < last and charges[first][0] < begin:
            inside -= charges[first][1]
            first += 1
        yield inside


def surely_inside(spans, most, length):
    """Begins of spans that have more than the most in a window from there on, for certain."""
    for at, (begin, _, _) in enumerate(spans):
        inside = 0
        for began, answered, amount in spans[at:]:
            if began >= begin + length:
                break
            inside += amount if answered < begin + length else 0
        if inside > most:
            yield begin


def amount_to(domain=None):
    """How much of a message counts: its recipients, or those of a domain."""
    return lambda result: sum(1 for recipient in result.recipients
                              if domain is None or recipient.endswith(b"@" + domain))


class WindowsTest(redis_common.RedisTest):
    site = None
    SHARED = False

    @classmethod
    def setUpClass(cls):
        cls.site = Site(cls.SHARED)

    @classmethod
    def tearDownClass(cls):
        cls.site.stop()

    def setUp(self):
        self.monitor = None
        if self.site.redis:
            self.site.redis.command("FLUSHALL")
            self.monitor = redis.Monitor(self.site.redis)

    # From outside.

    def judge_spans(self, name, load, most, seconds, amount=amount_to()):
        """No window has surely more."""
        for result in load.accepted():
            self.assertIsNone(result.quarantine)
        spans = sorted((result.began, result.answered, amount(result)) for result in load.accepted())
        broken = [begin - spans[0][0] for begin in surely_inside(spans, most, seconds)]
        self.assertEqual(broken, [], name)
        return spans

    def judge_use(self, name, load, most, seconds):
        """Each window has 95 %, as far as can be seen: it may end in a gap of the offer at either side."""
        spans = self.judge_spans(name, load, most, seconds)
        offers = sorted(result.began for result in load.results)
        gap = max(after - before for before, after in zip(offers, offers[1:]))
        window = seconds + 2 * gap + max(answered - began for began, answered, _ in spans)
        start, step, looked, least = offers[0], min(seconds / 20, 0.3), 0, most
        while start + window < offers[-1]:
            least = min(least, sum(amount for began, answered, amount in spans
                                   if start <= began and answered <= start + window))
            start += step
            looked += 1
        print("# %s %d/%ds: %d offered, longest gap %.0f ms; %d accepted, at least %d in %d windows of %.2f s"
              % (name, most, seconds, len(offers), gap * 1000, len(spans), least, looked, window))
        self.assertGreater(looked, 10)
        self.assertGreaterEqual(len(offers) * (5 if SLOW else 1), 10 * most * (offers[-1] - offers[0]) / seconds)
        self.assertGreaterEqual(least, 0.95 * most)

    # From inside.

    def judge_charges(self, asked, name, most, seconds):
        """No window has more; where one was refused, the window that ends there has nearly all."""
        key = "{poolmilter}:l:%d/%ds:%s" % (most, seconds, name)
        charged = sorted((each.time, each.amounts[key]) for each in asked if each.allowed and key in each.amounts)
        refused = sorted(each.time for each in asked if not each.allowed and key in each.amounts)
        worst = max(sums(charged, seconds, [at for at, _ in charged]))
        self.assertLessEqual(worst, most, name)
        full = list(sums(charged, seconds + CLOCK, [at - seconds - CLOCK for at in refused]))
        print("# %s %d/%ds: at most %d in a window, at least %d where one was refused"
              % (name, most, seconds, worst, min(full)))
        return charged, dict(zip(refused, full))

    def judge(self, load, pool, most, seconds):
        self.assertEqual([other for other in load.others() if not isinstance(other, tuple)
                          or not other[1].startswith(redis_common.REACHED)], [])
        self.judge_use("p/" + pool, load, most, seconds)
        if not self.monitor:
            return
        charged, full = self.judge_charges(redis_common.charges(self.monitor), "p/" + pool, most, seconds)
        self.assertEqual(sum(amount for _, amount in charged),
                         sum(len(result.recipients) for result in load.accepted()))
        self.assertGreaterEqual(min(full.values()), 0.95 * most)

    def one(self, pool, most, seconds, windows, **options):
        with Offer(self.site.servers, pool, seconds, **options) as load:
            time.sleep(windows * seconds)
        self.judge(load, pool, most, seconds)


class Promise:
    """The tests of both kinds of site."""

    def test_B7_a_second(self):
        self.one("second", 40, 1, windows=6)

    def test_B7_three_seconds(self):
        self.one("three", 120, 3, windows=3)

    def test_B7_several_recipients(self):
        self.one("many", 90, 2, windows=4, each=3)

    def test_B7_several_limits(self):
        """Two pools to one ISP and others: limits of a pool, of a pool to the ISP, and to the ISP in all."""
        options = {"each": 3, "steady": 2, "bursting": 2, "domains": ("big.example", "big.example", "small.example")}
        loads = {pool: Offer(self.site.servers, pool, 2, **options) for pool in ("one", "two")}
        with loads["one"], loads["two"]:
            time.sleep(8)
        both = common.Load([], threads=0)
        both.results = loads["one"].results + loads["two"].results
        self.assertEqual([other for other in both.others() if not isinstance(other, tuple)
                          or not other[1].startswith(redis_common.REACHED)], [])
        limits = [("i/big", 110, 3, both, amount_to(b"big.example"))]
        for pool, load in loads.items():
            limits += [("p/" + pool, 80, 2, load, amount_to()),
                       ("pi/%s/big" % pool, 40, 2, load, amount_to(b"big.example"))]
        for name, most, seconds, load, amount in limits:
            self.judge_spans(name, load, most, seconds, amount)
        if self.monitor:
            self.judge_several(limits)

    def judge_several(self, limits):
        """All are charged or none; and each refusal had a reason: one of its limits was nearly full."""
        asked, reasons = redis_common.charges(self.monitor), {}
        for each in asked:
            self.assertIn(each.written, (0, len(each.amounts)))
        for name, most, seconds, load, amount in limits:
            charged, full = self.judge_charges(asked, name, most, seconds)
            self.assertGreater(max(sums(charged, seconds, [at for at, _ in charged])), 0.9 * most, "not reached")
            self.assertEqual(sum(much for _, much in charged), sum(map(amount, load.accepted())), name)
            for at, inside in full.items():
                reasons[at] = reasons.get(at, False) or inside >= most * 0.98 - 2   # 3 recipients at most
        self.assertGreater(len(reasons), 100)
        self.assertEqual([at for at, reason in reasons.items() if not reason], [])


class Memory(Promise, WindowsTest):
    pass


class Shared(Promise, WindowsTest):
    SHARED = True

    def test_B7_every_key_lives_no_longer_than_its_window(self):
        with Offer(self.site.servers, "second", 1), Offer(self.site.servers, "one", 2, domains=("big.example",)):
            time.sleep(1)
        with self.site.redis.client() as client:
            lives = {key: client.command("PTTL", key) for key in client.command("KEYS", "*")}
            self.assertIn("{poolmilter}:l:110/3s:i/big", lives)
            for key, life in lives.items():
                self.assertGreater(life, 0, key)
                if ":l:" in key:
                    self.assertLessEqual(life, 4000, key)
            time.sleep(4.1)
            self.assertEqual(client.command("KEYS", "*:l:*"), [])


class TheMinute(WindowsTest):
    """Last of all."""

    @classmethod
    def setUpClass(cls):
        pass

    tearDownClass = setUpClass

    def setUp(self):
        pass

    def check(self, site, monitor, load, ends):
        self.site, self.monitor = site, monitor
        time.sleep(max(ends - time.monotonic(), 0))
        self.judge(load.stop(), "minute", 60, 60)

    def test_B7_memory(self):
        self.check(*minutes["memory"])

    def test_B7_shared(self):
        self.check(*minutes["shared"])


minutes = {}


def setUpModule():
    for name, shared in (("memory", False), ("shared", True)):
        site = Site(shared)
        monitor = redis.Monitor(site.redis) if shared else None
        load = Offer(site.servers, "minute", 60, steady=0, calm=0.25, edge=0.001).__enter__()
        minutes[name] = site, monitor, load, time.monotonic() + MINUTE


def tearDownModule():
    for site, _, load, _ in minutes.values():
        load.stop()
        site.stop()


if __name__ == "__main__":
    common.main()
