#!/usr/bin/python3
"""Limits while Redis goes and comes: what it allowed counts in the node's share, and what the share allowed is told
to Redis when it is back.  The promise is kept over both changes, as far as `nodes` is right.
"""
import common                                                           # noqa: F401 (finds the libraries)
import daemon
import redis_common
import tap
from limiter_common import used

KEY = "p/acme"
WINDOW = "10/3600s"


class Handover(redis_common.RedisTest):
    def start(self, **group):
        store = self.redis()
        server = self.limited(store, "10/hour", **group)
        self.await_up(server)
        return store, server, self.session(server)

    def up_again(self, store, server):
        mark = server.mark()
        store.start()
        self.await_up(server, mark)

    def used(self, store, amount):
        """Redis is told within some seconds what it has missed."""
        daemon.wait_for(lambda: used(store, KEY, count=WINDOW) == amount, 5)
        self.assertEqual(used(store, KEY, count=WINDOW), amount)

    def test_the_share_knows_what_redis_allowed(self):
        store, server, session = self.start(nodes=2)
        for _ in range(4):
            self.assert_limit(server, self.send(session), "ok")
        store.kill()
        self.assert_limit(server, self.send(session), "local")
        self.assert_limit(server, self.send(session), "local-over:p/acme/10/hour", "deferred")

    def test_who_had_more_than_his_share_waits(self):
        store, server, session = self.start(nodes=5)
        for _ in range(4):
            self.assert_limit(server, self.send(session), "ok")
        store.kill()
        self.assert_limit(server, self.send(session), "local-over:p/acme/10/hour", "deferred")

    def test_redis_is_told_what_it_has_missed(self):
        store, server, session = self.start()
        self.assert_limit(server, self.send(session, "x@a.example", "y@a.example"), "ok")
        store.kill()
        for _ in range(3):
            self.assert_limit(server, self.send(session, "x@a.example", "y@a.example"), "local")
        self.up_again(store, server)    # empty: it keeps nothing on disk here
        self.used(store, 6)
        self.assert_limit(server, self.send(session, "1@b.example", "2@b.example", "3@b.example", "4@b.example"), "ok")
        self.assert_limit(server, self.send(session), "over:p/acme/10/hour", "deferred")

    def test_two_changes_tell_everything_once(self):
        store, server, session = self.start()
        for sent in range(1, 5):
            store.kill()
            self.assert_limit(server, self.send(session), "local")
            self.up_again(store, server)
            self.used(store, 1)     # of each outage only what fell into it
        store.kill()
        for _ in range(6):
            self.assert_limit(server, self.send(session), "local")
        self.assert_limit(server, self.send(session), "local-over:p/acme/10/hour", "deferred")

    def test_accepted_without_asking_is_not_counted(self):
        store, server, session = self.start(when_down="accept")
        store.kill()
        for _ in range(3):
            self.assert_limit(server, self.send(session), "unknown")
        self.up_again(store, server)
        self.assert_limit(server, self.send(session), "ok")
        self.used(store, 1)


if __name__ == "__main__":
    tap.main()
