#!/usr/bin/python3
"""What became of the mail in the statistics: poolctl stats, Redis and the metrics file, each event counted once,
whatever dies meanwhile.
"""
import collections
import json
import random
import time

from prometheus_client.parser import text_string_to_metric_families

import common
import daemon
import events
import redis_common

ISPS = ({"name": "big", "domains": ["big.example"]}, {"name": "small", "domains": ["small.example"]})
REPLIES = {"bad_mailbox": ("550 5.1.1 No such user here", "5.1.1"), "full": ("552 5.2.2 Mailbox full", "5.2.2"),
           "inactive": ("550 5.2.1 This mailbox has been disabled", "5.2.1")}
SAID = "host mx[192.0.2.1] said: %s (in reply to RCPT TO command)"


class Stats(redis_common.RedisTest):
    def begin(self, **settings):
        path = daemon.new_directory("log") / "mail.log"
        self.log = events.MailLog(path)
        self.addCleanup(self.log.file.close)
        self.server = events.Events([daemon.pool(), daemon.pool("beta", "beta.example")], log=path, start=False,
                                    options=["--from-start"], isps=ISPS, **settings)
        self.addCleanup(self.server.kill)
        self.want = collections.Counter()       # (pool, isp, field)
        self.number = 0
        self.random = random.Random(4)

    def count(self, pool, isp, *fields):
        for field in fields:
            self.want[pool, isp, field] += 1

    def mail(self, count):
        """Messages with what becomes of them, by chance."""
        for _ in range(count):
            self.number += 1
            pool, isp = self.random.choice(["acme", "beta"]), self.random.choice(["big", "small"])
            queue_id, rcpt = "4cQ%07dz1h" % self.number, "u%d@%s.example" % (self.number, isp)
            lines = list(events.begin_lines(queue_id, rcpt, pool=pool))
            for _ in range(self.random.choice([0, 0, 1, 3])):
                lines.append(events.delivery_line(queue_id, rcpt, "deferred", SAID % "451 4.3.0 Try again"))
                self.count(pool, isp, "delayed")
            category = self.random.choice([None, None, *REPLIES])
            if category:
                reply, dsn = REPLIES[category]
                lines.append(events.delivery_line(queue_id, rcpt, "bounced", SAID % reply, dsn))
                self.count(pool, isp, "bounced", "bounced_" + category)
            else:
                lines.append(events.delivery_line(queue_id, rcpt))
                self.count(pool, isp, "delivered")
            self.log.add(*lines, events.removed_line(queue_id))

    def total(self):
        """How many events there are to be."""
        return self.number + sum(n for (_, _, field), n in self.want.items() if not field.startswith("bounced_"))

    def counted(self):
        """The same numbers, as poolctl stats has them."""
        done = daemon.poolctl("stats", "--json", "--by", "pool,isp", "--since", "2h", "-c", self.server.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        return collections.Counter({(row["pool"], row["isp"], field): value for row in json.loads(done.stdout)["rows"]
                                    for field, value in row.items() if field not in ("pool", "isp") and value})

    def by_pool(self):
        found = collections.Counter()
        for (pool, _, field), n in self.want.items():
            found[pool, field] += n
        return found

    def assert_counted(self):
        self.assertTrue(daemon.wait_for(lambda: self.counted() == self.want, 30, 0.2), (self.counted(), self.want))

    def test_without_redis(self):
        self.begin()
        self.mail(100)
        self.server.start()
        self.server.wait_events(self.total())
        self.assert_counted()
        self.mail(20)
        self.server.wait_events(self.total())
        self.assert_counted()
        self.assertEqual(self.server.stop(), 0)
        self.assert_counted()           # also while it does not run

    def shipped(self):
        return daemon.wait_for(lambda: not self.server.query(
            "SELECT 1 FROM tallies WHERE key NOT LIKE 't/%' UNION SELECT 1 FROM facts WHERE name = 'tallies.batch'"
            " AND value <> ''"), 30, 0.2)

    def test_with_redis(self):
        """Exactly once, while poolevents is killed and Redis stands still."""
        store = self.redis()
        self.begin(redis=redis_common.settings(store))
        self.server.start()
        for turn in range(4):
            self.mail(30)
            time.sleep(self.random.uniform(0, 6))
            if turn % 2:
                store.pause()
                self.mail(10)
                time.sleep(1)
                self.server.kill()
                store.resume()
            else:
                self.server.kill()
            self.server.start()
        self.server.wait_events(self.total())
        self.assertTrue(self.shipped(), self.server.log[-2000:])
        self.assert_counted()
        self.assertGreater(len([key for key in store.command("KEYS", "*") if ":t:p" in key]), 1)
        self.assertEqual(self.server.stop(), 0)

    def test_metrics(self):
        path = daemon.new_directory("metrics") / "poolmilter.prom"
        self.begin(metrics_file=str(path), events={"file": str(path.with_name("events.json"))})
        self.mail(50)
        self.server.start()
        self.server.wait_events(self.total())
        self.server.kill()              # numbers go on over a restart
        self.mail(50)
        self.server.start()
        self.server.wait_events(self.total())
        mine = path.with_name("poolmilter-events.prom")

        def written():
            if not mine.exists():
                return {}
            return {(sample.name, *sorted(sample.labels.items())): sample.value
                    for family in text_string_to_metric_families(mine.read_text()) for sample in family.samples}

        want = {("poolmilter_pool_%s_total" % field, ("pool", pool)): n for (pool, field), n in self.by_pool().items()}
        want |= {("poolmilter_isp_%s_total" % field, ("isp", isp), ("pool", pool)): n
                 for (pool, isp, field), n in self.want.items()}
        want[("poolmilter_events_waiting", ("destination", "file"))] = 0
        self.assertTrue(daemon.wait_for(lambda: want.items() <= written().items(), 60, 0.3), written())
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    common.tap.main()
