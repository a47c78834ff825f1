#!/usr/bin/python3
"""From the log to the lock: a burst of 421 4.7.28 replies of one provider pauses exactly that pool x ISP on all
of 4 nodes, frees in time, and slows nothing else.  The rule is one as it ships, but for its pause.
"""
import time

import common
import daemon
import events
import redis_common
from redis_common import SLOW

REPLY = ("host gmail-smtp-in.l.google.com[192.0.2.26] said: 421-4.7.28 Gmail has detected an unusual rate of "
         "unsolicited mail originating 421-4.7.28 from your IP address. (in reply to end of DATA command)")
PAUSE = 20 if SLOW else 6
WITHIN = 20 if SLOW else 2      # seconds
RULE = {"name": "unusual-rate", "pattern": r"421[ -]4\.7\.28|unusual rate of", "threshold": "10/5m", "pause": "%ds" % PAUSE}
ISPS = ({"name": "gmail", "domains": ["gmail.example"], "mx": ["*.google.com"], "locks": (RULE,)},
        {"name": "other", "domains": ["other.example"], "locks": (RULE,)})
ACME, BETA = daemon.pool(), daemon.pool("beta", "beta.example")


class Burst(redis_common.RedisTest):
    def begin(self):
        store = redis_common.settings(self.redis())
        self.nodes = [self.serve([ACME, BETA], isps=ISPS, events={}, redis=store) for _ in range(4)]
        for node in self.nodes:
            self.await_up(node)
        self.sessions = {node: self.session(node) for node in self.nodes}
        path = daemon.new_directory("log") / "mail.log"
        self.log = events.MailLog(path)
        self.follower = events.Events([ACME, BETA], log=path, isps=ISPS, redis=store)
        self.addCleanup(self.follower.kill)

    def deferred(self, count, pool="acme", domain="gmail.example", reply=REPLY):
        for number in range(count):
            queue_id = "4%s%s%05d" % (pool.upper()[:1], domain.upper()[:1], self.number)
            self.number += 1
            self.log.add(*events.begin_lines(queue_id, "u%d@%s" % (number, domain), pool=pool),
                         events.delivery_line(queue_id, "u%d@%s" % (number, domain), "deferred", reply, "4.7.28"))

    def test_burst(self):
        self.number = 1
        self.begin()
        # Others' replies, and nine of ours: not one too few.
        self.deferred(30, pool="beta", domain="other.example", reply="host x said: 451 4.7.1 Greylisted")
        self.deferred(9)
        self.follower.wait_events(2 * 39)
        time.sleep(1)
        self.assertEqual(self.paused(), [False] * 4)
        began = time.monotonic()
        self.deferred(1)
        self.assertTrue(daemon.wait_for(lambda: all(self.paused()), WITHIN + 20, 0.02), self.follower.log[-3000:])
        took = time.monotonic() - began
        for node in self.nodes:                 # and nothing else
            self.assert_open(node)
        self.assertTrue(daemon.wait_for(lambda: not any(self.paused()), PAUSE * 2 + 10, 0.05))
        freed = time.monotonic() - began
        print("# 4 nodes paused after %.2f s, free after %.2f s of %d s" % (took, freed, PAUSE))
        self.assertLess(took, WITHIN + 0.5)
        self.assertGreaterEqual(freed, PAUSE - 0.5)
        self.assertLess(freed, PAUSE + took + WITHIN + 0.5)
        self.assertEqual(self.follower.log.count(" lock: pool=acme isp=gmail rule=unusual-rate paused "), 1, self.follower.log)
        self.assertEqual(self.follower.stop(), 0)

    def send(self, node, sender, recipient):
        data = common.mta.normalise(common.message(sender))
        return common.send(self.sessions[node], data, sender, [recipient.encode()])

    def paused(self):
        """Of each node: is acme's mail to the provider refused at RCPT?"""
        return [bool(self.send(node, b"a@example.com", "a@gmail.example").refused) for node in self.nodes]

    def assert_open(self, node):
        for sender, recipient in ((b"a@example.com", "a@other.example"), (b"a@example.com", "a@example.org"),
                                  (b"a@beta.example", "a@gmail.example"), (b"a@beta.example", "a@other.example")):
            result = self.send(node, sender, recipient)
            self.assertEqual((result.refused, result.status), ({}, "accepted"), (sender, recipient))
            self.assertLess(result.answered - result.began, 10 if SLOW else 1)


if __name__ == "__main__":
    common.tap.main()
