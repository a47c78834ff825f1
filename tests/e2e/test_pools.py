#!/usr/bin/python3
"""Pools on their own ways through a real Postfix, by what "poolctl postfix" generates.

Two pools with addresses and HELO names of their own, one of two addresses, one that goes by a relay (a
second Postfix that wants TLS and a login), one with nothing of its own, and an ISP that takes one
connection at a time.  Sinks stand behind both Postfix and tell who came, from where, as whom.
"""
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import daemon        # noqa: E402
import instance      # noqa: E402
import postfix       # noqa: E402
import sink          # noqa: E402
import tap           # noqa: E402

import client        # noqa: E402
import rig           # noqa: E402

USER, PASSWORD = "acme", "secret of the relay"
SLACK = 0.05
DELAY = 0.15            # how long the sink looks at a message where connections are counted
ISPS = ({"name": "narrow", "domains": ["narrow.example", "narrow2.example"], "connections": 1,
         "messages_per_connection": 3, "recipients_per_message": 2,
         "set_headers": ({"name": "X-Route", "value": "${pool}/${isp}"},)},
        {"name": "quiet", "domains": ["quiet.example"], "connections": 1})

ACME = rig.Pool("acme", "example.com", source_ips=["127.0.0.4"], sender_subdomain="mail")
OTHER = rig.Pool("other", "example.net", source_ips=["127.0.0.5"], sender_subdomain="out.mx")
TWO = rig.Pool("two", "example.org", source_ips=["127.0.0.6", "127.0.0.7"], sender_subdomain="mail")
BARE = rig.Pool("bare", "example.edu")
KEEP = rig.Pool("keeper", "keeper.example", source_ips=["127.0.0.8"], sender_subdomain="mail",
                return_path="keep", spf_domain=None)
RELAYED = rig.Pool("relayed", "relayed.example")


class Relay:
    """The second Postfix: takes mail only with TLS and a login (sasldb), and gives it to a sink."""

    def __init__(self):
        self.sink = sink.Sink()
        self.directory = daemon.new_directory("relay")
        self.directory.chmod(0o755)     # smtpd is not root when it looks into the database
        self.database = self.directory / "sasldb2"
        self.mta = None

    def start(self):
        self.set_password(PASSWORD)
        self._make_certificate()
        self.sink.start()
        self.mta = postfix.Postfix(self.sink.port, prepare=self._write_sasl, settings={
            "myhostname": "relay.poolmilter.test",
            "mynetworks": "",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_path": "smtpd",
            "smtpd_sasl_local_domain": "relay.poolmilter.test",
            "smtpd_sasl_authenticated_header": "yes",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_auth_only": "yes",
            "smtpd_tls_received_header": "yes",
            "smtpd_tls_cert_file": self.directory / "cert.pem",
            "smtpd_tls_key_file": self.directory / "key.pem",
        })
        self.mta.start()
        return self

    def stop(self):
        if self.mta is not None:
            self.mta.stop()
        self.sink.stop()

    def set_password(self, password):
        subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-f", self.database, "-u", "relay.poolmilter.test", USER],
                       input=password.encode(), check=True, capture_output=True)
        self.database.chmod(0o644)      # for smtpd, which is not root; it goes with the test's directory

    def _write_sasl(self, config):
        """Where Debian's smtpd looks for the settings of Cyrus SASL."""
        directory = pathlib.Path(config) / "sasl"
        directory.mkdir()
        (directory / "smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: %s\n"
            % self.database)

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=relay.poolmilter.test", "-keyout", self.directory / "key.pem",
                        "-out", self.directory / "cert.pem"], check=True, capture_output=True)


def overlap(visits):
    """How many of the connections were open at a time, at most.  Postfix does not wait for the answer to
    QUIT: the next one may come before the sink knows that the last is over."""
    events = sorted((t, step) for v in visits for t, step in ((v.came, 1), ((v.gone or float("inf")) - SLACK, -1)))
    now = most = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most


class Pools(rig.E2ETest):
    relay = None

    @classmethod
    def setUpClass(cls):
        cls.relay = Relay().start()
        password_file = cls.relay.directory / "password"
        password_file.write_text(PASSWORD + "\n")
        password_file.chmod(0o600)
        RELAYED.settings["relay"] = {"host": "127.0.0.1", "port": cls.relay.mta.port, "starttls": True,
                                     "username": USER, "password_file": str(password_file)}
        cls.split_port = instance.free_port()
        cls.site = rig.Site([ACME, OTHER, TWO, BARE, KEEP, RELAYED], make_mta=cls.make_mta, isps=ISPS,
                            mixed_isps="split", reinject="smtp://127.0.0.1:%d" % cls.split_port)
        cls.site.start()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.relay.stop()

    @classmethod
    def make_mta(cls, relay_port, _milter):
        """A Postfix that knows of pools only what poolctl postfix has told it."""
        cls.generated = cls.site.daemon.directory / "postfix"
        return postfix.Postfix(relay_port, prepare=cls.apply, settings={
            # All mail ends at the sink, that of ISPs too, which goes to their domains.
            "default_filter_nexthop": "[127.0.0.1]:%d" % relay_port,
        })

    @classmethod
    def poolctl(cls, *words):
        return daemon.poolctl("postfix", "-c", cls.site.daemon.config, *words)

    @classmethod
    def apply(cls, config):
        done = cls.poolctl("--output", cls.generated)
        if done.returncode:
            raise AssertionError(done.stderr.decode())
        subprocess.run(["/bin/sh", cls.generated / "apply.sh", config], check=True, capture_output=True)

    def setUp(self):
        super().setUp()
        self.relay.sink.clear()
        self.site.sink.delay = 0

    def send_many(self, pool, count, rcpts, first):
        """Messages in parallel, one recipient list each; their numbers."""
        numbers = range(first, first + count)
        jobs = [(n, rig.message("author@" + pool.domain, n), "author@" + pool.domain, rcpts) for n in numbers]
        load = rig.Load(self.site.mta.port, jobs, sessions=10).start().join()
        self.assertEqual(load.accepted, set(numbers), load.refusals[:3])
        return {str(n) for n in numbers}

    def arrived(self, numbers, timeout=60):
        return self.site.sink.wait(len(numbers), timeout, lambda m: rig.number_of(m.content) in numbers)

    def assert_way(self, pool, first, addresses, helo):
        numbers = self.send_many(pool, 12, ("reader@wide.example",), first)
        messages = self.arrived(numbers)
        self.assertEqual({m.helo for m in messages}, {helo})
        self.assertEqual({m.visit.peer for m in messages}, set(addresses))
        self.assert_verifies(messages, pool)

    def test_pool_has_its_address_and_name(self):
        self.assert_way(ACME, 100, ["127.0.0.4"], "mail.example.com")

    def test_other_pool_has_its_own(self):
        self.assert_way(OTHER, 200, ["127.0.0.5"], "out.mx.example.net")

    def test_pool_without_any_leaves_as_before(self):
        self.assert_way(BARE, 300, ["127.0.0.1"], "mta.poolmilter.test")

    def test_keep_goes_by_the_sender_domain(self):
        self.assert_way(KEEP, 400, ["127.0.0.8"], "mail.keeper.example")

    def test_two_addresses_are_both_used(self):
        numbers = self.send_many(TWO, 60, ("reader@wide.example",), 500)
        messages = self.arrived(numbers)
        self.assertEqual({m.visit.peer for m in messages}, {"127.0.0.6", "127.0.0.7"})
        self.assertEqual({m.helo for m in messages}, {"mail.example.org"})

    def test_relay_gets_its_pool_and_nothing_else(self):
        relayed = self.send_many(RELAYED, 10, ("reader@wide.example",), 600)
        narrow = self.send_many(RELAYED, 5, ("reader@narrow.example",), 620)
        others = self.send_many(ACME, 10, ("reader@wide.example",), 640)
        self.arrived(others)
        messages = self.relay.sink.wait(15, 60)
        self.assertEqual({rig.number_of(m.content) for m in messages}, relayed | narrow)
        self.assertEqual({rig.number_of(m.content) for m in self.site.sink.messages}, others)
        for m in messages:
            received = b"".join(m.fields("Received"))
            self.assertIn(b"(Authenticated sender: %s@relay.poolmilter.test)" % USER.encode(), received)
            self.assertRegex(received, rb"using TLSv1\.[23]")
        self.assert_verifies(messages, RELAYED)

    def test_refused_login_is_deferred_not_lost(self):
        """The relay has another password: the mail waits, and goes once both have the same."""
        self.assertTrue(self.site.mta.wait_empty())     # of the other tests' mail
        self.relay.set_password("another one")
        try:
            numbers = self.send_many(RELAYED, 1, ("reader@wide.example",), 700)
            self.assertTrue(daemon.wait_for(lambda: "SASL authentication failed" in self.site.mta.log(), 20),
                            self.site.mta.log()[-3000:])
            self.assertEqual(len(self.site.mta.queue()), 1)
            self.assertEqual(self.relay.sink.messages, [])
        finally:
            self.relay.set_password(PASSWORD)
        self.site.mta.flush()
        self.assertEqual({rig.number_of(m.content) for m in self.relay.sink.wait(1, 60)}, numbers)

    def narrow(self, pool, first, domain, count=9):
        numbers = self.send_many(pool, count, ("reader@" + domain,), first)
        messages = self.arrived(numbers)
        visits = {id(m.visit): m.visit for m in messages}.values()
        daemon.wait_for(lambda: all(v.gone for v in visits), 20)
        return messages, list(visits)

    def test_isp_takes_one_connection_at_a_time(self):
        self.site.sink.delay = DELAY
        messages, visits = self.narrow(ACME, 800, "narrow.example")
        self.assertEqual(overlap(visits), 1)
        self.assertEqual({m.visit.peer for m in messages}, {"127.0.0.4"})
        self.assertEqual({m.helo for m in messages}, {"mail.example.com"})
        # The same load where no record says so: the measure can tell.
        _, visits = self.narrow(ACME, 820, "wide.example")
        self.assertGreater(overlap(visits), 1)

    def test_isp_numbers_hold_for_all_its_domains_together(self):
        self.site.sink.delay = DELAY
        done = []
        threads = [threading.Thread(target=lambda at=at, domain=domain: done.append(
            self.narrow(OTHER, at, domain, 6))) for at, domain in ((840, "narrow.example"), (850, "narrow2.example"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(len(done), 2)
        busy = [(m.time - DELAY, m.time) for messages, _ in done for m in messages]
        busy.sort()
        for (_, end), (begin, _) in zip(busy, busy[1:]):
            self.assertGreater(begin, end - 0.02)

    def test_isp_sees_so_many_messages_in_a_connection(self):
        messages, _ = self.narrow(ACME, 860, "narrow.example", 12)
        counts = {}
        for m in messages:
            counts[id(m.visit)] = counts.get(id(m.visit), 0) + 1
        self.assertLessEqual(max(counts.values()), 3)
        self.assertGreater(max(counts.values()), 1)

    def test_isp_sees_so_many_recipients_in_a_message(self):
        rcpts = tuple("reader%d@narrow.example" % n for n in range(5))
        number = 880
        client.send_once(self.site.mta.port, rig.message("author@example.com", number), "author@example.com", rcpts)
        messages = self.site.sink.wait(3, 30, lambda m: rig.number_of(m.content) == str(number))
        self.assertEqual(sorted(r for m in messages for r in m.rcpts), sorted(rcpts))
        self.assertEqual(max(len(m.rcpts) for m in messages), 2)
        self.assertEqual({m.visit.peer for m in messages}, {"127.0.0.4"})

    def test_record_without_a_header_leaves_all_as_it_is(self):
        self.site.sink.delay = DELAY
        messages, visits = self.narrow(ACME, 890, "quiet.example")
        self.assertEqual({m.visit.peer for m in messages}, {"127.0.0.4"})
        self.assertGreater(overlap(visits), 1)

    def test_pool_without_any_shares_a_way_to_the_isp(self):
        self.site.sink.delay = DELAY
        messages, visits = self.narrow(BARE, 930, "narrow.example")
        self.assertEqual(overlap(visits), 1)
        self.assertEqual({m.visit.peer for m in messages}, {"127.0.0.1"})

    def test_mixed_recipients_are_split_by_the_generated_listener(self):
        number = 900
        client.send_once(self.site.mta.port, rig.message("author@example.com", number), "author@example.com",
                         ("a@narrow.example", "b@wide.example"))
        messages = self.site.sink.wait(2, 30, lambda m: rig.number_of(m.content) == str(number))
        self.assertEqual(sorted(r for m in messages for r in m.rcpts), ["a@narrow.example", "b@wide.example"])
        routes = {m.rcpts[0]: m.fields("X-Route") for m in messages}
        self.assertEqual(routes, {"a@narrow.example": [b"X-Route: acme/narrow\r\n"], "b@wide.example": []})
        self.assertEqual({m.visit.peer for m in messages}, {"127.0.0.4"})
        self.assert_verifies(messages, ACME)

    def test_a_clients_own_route_header_does_not_route(self):
        """Mail of no pool with the header: Postfix looks only at what poolmilter adds."""
        number = 910
        content = rig.message("author@nobody.example", number, extra=b"X-Route: acme/narrow\r\n")
        client.send_once(self.site.mta.port, content, "author@nobody.example", ("reader@narrow.example",))
        message = self.one(number)
        self.assertEqual(message.visit.peer, "127.0.0.1")
        self.assertEqual(message.helo, "mta.poolmilter.test")

    def test_null_sender_leaves_by_the_default_way(self):
        number = 920
        client.send_once(self.site.mta.port, rig.message("author@example.com", number), "", ("reader@wide.example",))
        message = self.one(number)
        self.assertEqual(message.sender, "")
        self.assertEqual(message.visit.peer, "127.0.0.1")

    def test_check_finds_only_what_the_test_needs(self):
        """That all mail goes to the sink, whatever its domain, and a message size of Postfix' own."""
        done = self.poolctl("--check", "--config-dir", self.site.mta.config)
        said = done.stdout.decode()
        settings = [line.split(" = ")[0] for line in said.splitlines() if not line.startswith("\t")]
        self.assertEqual(settings, ["main.cf: relayhost", "main.cf: default_filter_nexthop"], said)
        self.assertEqual(done.returncode, 1)

    def test_no_secret_in_logs_or_output(self):
        for text in (self.site.mta.log(), self.site.daemon.log, self.poolctl().stdout.decode(),
                     self.poolctl("--output", self.generated).stdout.decode()):
            self.assertNotIn(PASSWORD, text)
        self.assertEqual((self.generated / "passwords").stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    tap.main()
