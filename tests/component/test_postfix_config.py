#!/usr/bin/python3
"""poolctl postfix: what it generates, as text and as Postfix reads it; what --check finds in good and bad
settings.

Postfix is not started here (tests/e2e/test_pools.py does that): postconf and postmap are asked.
"""
import json
import os
import socket
import subprocess
import time

import common           # noqa: F401  finds tests/lib
import daemon
import tap

OK, FOUND, USAGE, UNAVAILABLE, NOINPUT, CANTCREAT, CONFIG = 0, 1, 64, 69, 66, 73, 78
PASSWORD = "hush-hush of the relay"
ROUTE = ({"name": "X-Route", "value": "${pool}/${isp}"},)

MAIN = """\
compatibility_level = 3.6
queue_directory = %(queue)s
myhostname = mta.poolmilter.test
mydestination =
relayhost =
"""

MASTER = """\
smtp      inet  n - y - - smtpd
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
pickup    unix  n - y 60 1 pickup
cleanup   unix  n - y - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - y - - trivial-rewrite
smtp      unix  - - y - - smtp
relay     unix  - - y - - smtp
  -o syslog_name=postfix/$service_name
"""

GOLDEN_MAIN = """\
# Made by "poolctl postfix" from %(config)s; changes here get lost.
# For main.cf, which cannot include it: apply.sh puts it there; or by hand.  Where a list of
# milters or tables stands there already, these are added to it.

# Where poolmilter listens.  A relative path is one in the queue directory, and found from within
# a chroot as well.  Behind other milters: what they change is signed then.
poolmilter_milter = unix:poolmilter/milter.sock
smtpd_milters = $poolmilter_milter
non_smtpd_milters = $poolmilter_milter

# While poolmilter is away, clients keep their mail.
milter_default_action = tempfail
milter_protocol = 6

# Lines that end in LF alone smuggle mail in.  (Postfix 3.5.23, 3.6.13, 3.7.9, 3.8.4 and later; the
# older ones do not know it.)
smtpd_forbid_bare_newline = yes

# The ways of the pools, by the envelope sender that poolmilter has set.
poolmilter_transports = texthash:%(dir)s/senders, pipemap:{inline:{@b.example.org=any},randmap:{pm-two:,pm2-two:}}
sender_dependent_default_transport_maps = $poolmilter_transports

# The ways that keep the numbers of ISPs, by a header field that poolmilter sets.
poolmilter_routes = regexp:%(dir)s/routes
milter_header_checks = $poolmilter_routes
pm-acme+big.isp_destination_concurrency_limit = 5
pm-acme+big.isp_destination_recipient_limit = 20
pm-two+big.isp_destination_concurrency_limit = 5
pm-two+big.isp_destination_recipient_limit = 20
pm+big.isp_destination_concurrency_limit = 5
pm+big.isp_destination_recipient_limit = 20

# Larger mail is refused by poolmilter (max_message_size), after it has been sent:
# message_size_limit must be above 0 and at most 104857600.

# Nothing tells Postfix which mail these ISP records' numbers are for, so they are not kept:
# mute
# In the records, in poolmilter.conf:
#	set_headers = ( { name = "X-Route"; value = "${pool}/${isp}"; } );
"""

GOLDEN_MASTER = """\
# Made by "poolctl postfix" from %(config)s; changes here get lost.
# For master.cf, which cannot include it: apply.sh puts it there; or by hand.

pm-acme unix - - n - - smtp
    -o syslog_name=postfix/$service_name
    -o smtp_bind_address=127.0.0.4
    -o smtp_bind_address6=::1
    -o smtp_bind_address_enforce=yes
    -o inet_protocols=all
    -o smtp_helo_name=mail.example.com

pm-two unix - - n - - smtp
    -o syslog_name=postfix/$service_name
    -o smtp_bind_address=127.0.0.5
    -o smtp_bind_address_enforce=yes
    -o inet_protocols=ipv4

pm2-two unix - - n - - smtp
    -o syslog_name=postfix/$service_name
    -o smtp_bind_address=127.0.0.6
    -o smtp_bind_address_enforce=yes
    -o inet_protocols=ipv4

pm-relayed unix - - n - - smtp
    -o syslog_name=postfix/$service_name
    -o smtp_tls_security_level=encrypt
    -o smtp_sasl_auth_enable=yes
    -o smtp_sasl_password_maps=texthash:%(dir)s/passwords
    -o smtp_sender_dependent_authentication=yes
    -o smtp_sasl_security_options=noanonymous

pm-acme+big.isp unix - - n - 5 smtp
    -o syslog_name=postfix/$service_name
    -o smtp_bind_address=127.0.0.4
    -o smtp_bind_address6=::1
    -o smtp_bind_address_enforce=yes
    -o inet_protocols=all
    -o smtp_helo_name=mail.example.com
    -o smtp_connection_cache_destinations=static:all
    -o smtp_connection_reuse_count_limit=49

pm-two+big.isp unix - - n - 5 smtp
    -o syslog_name=postfix/$service_name
    -o smtp_bind_address=127.0.0.5
    -o smtp_bind_address_enforce=yes
    -o inet_protocols=ipv4
    -o smtp_connection_cache_destinations=static:all
    -o smtp_connection_reuse_count_limit=49

pm+big.isp unix - - n - 5 smtp
    -o syslog_name=postfix/$service_name
    -o smtp_connection_cache_destinations=static:all
    -o smtp_connection_reuse_count_limit=49

127.0.0.1:10026 inet n - n - 200 smtpd
    -o syslog_name=postfix/split
    -o mynetworks=127.0.0.0/8,[::1]/128
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_relay_restrictions=permit_mynetworks,reject
    -o smtpd_helo_restrictions=
    -o smtpd_sender_restrictions=
    -o smtpd_recipient_restrictions=
    -o smtpd_data_restrictions=
    -o smtpd_end_of_data_restrictions=
    -o smtpd_sasl_auth_enable=no
    -o smtpd_tls_security_level=none
"""

GOLDEN_SENDERS = """\
# Made by "poolctl postfix" from %(config)s; changes here get lost.
# The way of mail by its envelope sender.
@b.example.com	pm-acme:
@b.example.net	pm-relayed:[smtp.relay.example]:587
"""

GOLDEN_ROUTES = """\
# Made by "poolctl postfix" from %(config)s; changes here get lost.
# The way of mail by the pool and the ISP that poolmilter has found; a relay's is never left.
/^X-Route:[ \t]*acme\\/big[.]isp$/i FILTER pm-acme+big.isp:
/^X-Route:[ \t]*two\\/big[.]isp$/i FILTER pm-two+big.isp:
/^X-Route:[ \t]*relayed\\/big[.]isp$/i DUNNO
/^X-Route:[ \t]*[^\\/]*\\/big[.]isp$/i FILTER pm+big.isp:
"""


def pool(name, domain, **settings):
    return daemon.pool(name, domain, spf_domain=settings.pop("spf_domain", "b." + domain), **settings)


class Place:
    """A configuration of poolmilter, what is generated from it, and Postfix' own files, in one directory."""

    def __init__(self, pools, isps=(), listen="unix:/var/spool/postfix/poolmilter/milter.sock", **settings):
        self.directory = daemon.new_directory("postfix")
        self.directory.chmod(0o755)
        self.password = self.directory / "relay.pass"
        self.password.write_text(PASSWORD + "\n")
        self.password.chmod(0o600)
        self.config = self.directory / "poolmilter.conf"
        self.out = self.directory / "out"
        self.etc = self.directory / "etc"
        self.queue = self.directory / "queue"
        self.write(pools, isps, listen=listen.replace("QUEUE", str(self.queue)), **settings)

    def write(self, pools, isps=(), **settings):
        for p in pools:
            if "relay" in p:
                p["relay"] = {key: str(self.password) if key == "password_file" else value
                              for key, value in p["relay"].items()}
        self.config.write_text(daemon.settings_text({
            "state_dir": str(self.directory), **settings, "pools": tuple(pools), "isps": tuple(isps)}))

    def run(self, *words):
        return daemon.poolctl("postfix", "-c", self.config, *words)

    def generate(self, *words):
        done = self.run("--output", self.out, *words)
        assert done.returncode == OK, done.stderr.decode()
        return done

    def text(self, name):
        return (self.out / name).read_text()

    def golden(self, text):
        return text.replace("%(config)s", str(self.config)).replace("%(dir)s", str(self.out))

    # ---- Postfix

    def make_postfix(self, main="", master=""):
        self.etc.mkdir(mode=0o755)
        self.queue.mkdir(mode=0o755)
        (self.queue / "poolmilter").mkdir(mode=0o755)
        (self.etc / "main.cf").write_text(MAIN % {"queue": self.queue} + main)
        (self.etc / "master.cf").write_text(MASTER + master)

    def listen(self):
        """The milter's socket, without anybody behind it."""
        path = self.queue / "poolmilter" / "milter.sock"
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
        path.chmod(0o666)

    def apply(self):
        self.cool()
        done = subprocess.run(["/bin/sh", self.out / "apply.sh", self.etc], capture_output=True, check=False)
        assert done.returncode == OK, done.stderr.decode()

    def cool(self):
        """Postfix' programs wait until a file that they read is two seconds old; they shall not wait for us."""
        past = time.time() - 60
        for directory in (self.etc, self.out):
            for name in os.listdir(directory):
                os.utime(directory / name, (past, past))

    def postconf(self, *words):
        self.cool()
        done = subprocess.run(["/usr/sbin/postconf", "-c", self.etc, *words], capture_output=True, check=True)
        return done.stdout.decode(), done.stderr.decode()

    def query(self, table, key):
        self.cool()
        done = subprocess.run(["/usr/sbin/postmap", "-c", self.etc, "-q", key, table], capture_output=True,
                              check=False)
        assert done.stderr == b"", done.stderr.decode()
        return done.stdout.decode().strip()

    def check(self, *words):
        self.cool()
        return self.run("--check", "--config-dir", self.etc, *words)


def typical():
    """A pool with a name and both kinds of addresses, one with two addresses, a relay's, a bare one."""
    return Place(
        [pool("acme", "example.com", source_ips=["127.0.0.4", "::1"], sender_subdomain="mail"),
         pool("two", "example.org", source_ips=["127.0.0.5", "127.0.0.6"]),
         pool("relayed", "example.net", sender_subdomain="mail", source_ips=["203.0.113.7"],
              relay={"host": "smtp.relay.example", "username": "acme", "password_file": ""}),
         pool("bare", "example.edu")],
        [{"name": "big.isp", "domains": ["big.example"], "connections": 5, "messages_per_connection": 50,
          "recipients_per_message": 20, "set_headers": ROUTE},
         {"name": "mute", "domains": ["mute.example"], "connections": 2}],
        listen="unix:/var/spool/postfix/poolmilter/milter.sock", mixed_isps="split",
        reinject="smtp://127.0.0.1:10026")


class Generated(tap.TestCase):
    maxDiff = None

    def test_files(self):
        place = typical()
        place.generate()
        self.assertEqual(sorted(os.listdir(place.out)), ["apply.sh", "main.cf.poolmilter", "master.cf.poolmilter",
                                                         "passwords", "routes", "senders"])
        for name, text in (("main.cf.poolmilter", GOLDEN_MAIN), ("master.cf.poolmilter", GOLDEN_MASTER),
                           ("senders", GOLDEN_SENDERS), ("routes", GOLDEN_ROUTES)):
            self.assertEqual(place.text(name), place.golden(text), name)

    def test_same_again(self):
        place = typical()
        place.generate()
        before = {name: place.text(name) for name in os.listdir(place.out)}
        place.generate()
        self.assertEqual({name: place.text(name) for name in os.listdir(place.out)}, before)

    def test_standard_output_has_the_texts(self):
        place = typical()
        said = place.run().stdout.decode()
        for text in (GOLDEN_MAIN, GOLDEN_MASTER, GOLDEN_SENDERS, GOLDEN_ROUTES):
            expected = text.replace("%(config)s", str(place.config)).replace("%(dir)s",
                                                                            "$config_directory/poolmilter")
            self.assertIn(expected, said)
        self.assertNotIn("#!/bin/sh", said)

    def test_password_only_in_its_file(self):
        place = typical()
        old = os.umask(0)
        try:
            done = place.generate()
            # One that an editor has opened to all becomes closed again.
            (place.out / "passwords").chmod(0o666)
            place.generate()
        finally:
            os.umask(old)
        place.make_postfix()
        said = [place.run(), done, place.run("--sendmail"), place.check(), place.check("--json")]
        for one in said:
            self.assertNotIn(PASSWORD.encode(), one.stdout + one.stderr)
        for name in os.listdir(place.out):
            mode = (place.out / name).stat().st_mode & 0o777
            self.assertEqual(PASSWORD in place.text(name), name == "passwords", name)
            self.assertEqual(mode, {"passwords": 0o600, "apply.sh": 0o755}.get(name, 0o644), name)
        self.assertIn("@b.example.net\tacme:%s\n" % PASSWORD, place.text("passwords"))

    def test_printing_needs_no_password(self):
        place = typical()
        place.password.unlink()
        self.assertEqual(place.run().returncode, OK)

    def test_passwords_that_cannot_stand_in_a_table(self):
        cases = {
            "missing": None,
            "open to others": (b"secret\n", 0o644),
            "blank at the end": (b"secret \n", 0o600),
            "control character": (b"sec\x07ret\n", 0o600),
            "not UTF-8": (b"sec\xffret\n", 0o600),
            "empty": (b"\n", 0o600),
        }
        for name, case in cases.items():
            with self.subTest(name):
                place = typical()
                place.password.unlink()
                if case:
                    place.password.write_bytes(case[0])
                    place.password.chmod(case[1])
                done = place.run("--output", place.out)
                self.assertEqual(done.returncode, NOINPUT, done.stderr)
                self.assertIn(str(place.password).encode(), done.stderr)
                self.assertNotIn(b"ret", done.stderr.replace(b"control", b""))
                self.assertFalse(place.out.exists())

    def test_bounces(self):
        place = Place([pool("a", "example.com"), pool("b", "example.org", spf_domain="b.example.com"),
                       pool("c", "example.net", spf_domain="example.net"),
                       pool("d", "example.edu", return_path="keep")])
        place.generate("--bounces", "postmaster@mta.example")
        self.assertEqual([line for line in place.text("bounces").splitlines() if line[0] != "#"],
                         ["b.example.com\tbounces", "@b.example.com\tpostmaster@mta.example"])
        self.assertIn("Not @example.net", place.text("bounces"))
        place.make_postfix()
        place.apply()
        for name in ("virtual_alias_maps", "virtual_alias_domains"):
            self.assertIn("texthash:%s/bounces" % place.out, place.postconf("-hx", name)[0])
        self.assertEqual(place.query("texthash:%s/bounces" % place.out, "@b.example.com"), "postmaster@mta.example")

    def test_relays(self):
        for name, relay, expected, absent in (
                ("starttls", {"host": "r.example"}, ["smtp_tls_security_level=encrypt"], ["sasl", "wrapper"]),
                ("no TLS", {"host": "r.example", "starttls": False}, ["smtp_tls_security_level=none"], ["sasl"]),
                ("TLS from the start", {"host": "r.example", "port": 465},
                 ["smtp_tls_security_level=encrypt", "smtp_tls_wrappermode=yes"], []),
                ("login without TLS", {"host": "r.example", "starttls": False, "username": "u", "password_file": ""},
                 ["smtp_sasl_security_options=noanonymous,noplaintext"], []),
                ("login without TLS on this host",
                 {"host": "127.0.0.1", "starttls": False, "username": "u", "password_file": ""},
                 ["smtp_sasl_security_options=noanonymous\n"], []),
                ("login with TLS", {"host": "r.example", "username": "u", "password_file": ""},
                 ["smtp_sasl_security_options=noanonymous\n", "smtp_sender_dependent_authentication=yes"], [])):
            with self.subTest(name):
                place = Place([pool("r", "example.com", relay=relay)])
                place.generate()
                for text in expected:
                    self.assertIn("-o " + text, place.text("master.cf.poolmilter"))
                for text in absent:
                    self.assertNotIn(text, place.text("master.cf.poolmilter"))
                self.assertIn("@b.example.com\tpm-r:[%s]:%d\n" % (relay["host"], relay.get("port", 587)),
                              place.text("senders"))

    def test_addresses_of_other_hosts(self):
        pools = [pool("near", "example.com", source_ips=["203.0.113.1", "127.0.0.9"]),
                 pool("far", "example.org", source_ips=["203.0.113.2"], sender_subdomain="mail")]
        place = Place(pools)
        done = place.generate()
        master = place.text("master.cf.poolmilter")
        self.assertIn("smtp_bind_address=127.0.0.9", master)
        self.assertNotIn("203.0.113.", master)
        self.assertIn(b"warning: pool far: this host has none of its source_ips", done.stderr)
        self.assertNotIn(b"pool near", done.stderr)
        # By IPv6 its mail would leave from an address that it does not have.
        self.assertEqual(master.count("inet_protocols=ipv4"), 2)
        done = place.generate("--any-address")
        self.assertEqual(done.stderr, b"")
        master = place.text("master.cf.poolmilter")
        for address in ("203.0.113.1", "127.0.0.9", "203.0.113.2"):
            self.assertIn("smtp_bind_address=%s\n" % address, master)

    def test_pools_that_postfix_cannot_tell_apart(self):
        place = Place([pool("a", "example.com", spf_domain="b.example.com", source_ips=["127.0.0.4"]),
                       pool("b", "sub.example.com", spf_domain="b.example.com", source_ips=["127.0.0.5"]),
                       pool("c", "example.org", source_ips=["127.0.0.6"])])
        done = place.generate()
        self.assertIn(b"pools a and b send from @b.example.com", done.stderr)
        self.assertNotIn("b.example.com", place.text("senders").replace(str(place.config), ""))
        self.assertNotRegex(place.text("master.cf.poolmilter"), r"(?m)^pm-a\b")    # it may be in a directory's name
        self.assertIn("@b.example.org\tpm-c:", place.text("senders"))

    def test_pools_that_share_a_way(self):
        place = Place([pool("a", "example.com", spf_domain="b.example.com", source_ips=["127.0.0.4"]),
                       pool("b", "sub.example.com", spf_domain="b.example.com", source_ips=["127.0.0.4"])])
        done = place.generate()
        self.assertNotIn(b"tell them apart", done.stderr)
        self.assertIn("@b.example.com\tpm-a:\n", place.text("senders"))
        self.assertNotRegex(place.text("master.cf.poolmilter"), r"(?m)^pm-b\b")    # it may be in a directory's name

    def test_keep_is_known_by_the_sender_domain(self):
        place = Place([pool("k", "example.com", return_path="keep", spf_domain=None, source_ips=["127.0.0.4"])])
        done = place.generate()
        self.assertIn("@example.com\tpm-k:\n", place.text("senders"))
        self.assertIn(b'pool k: return_path is "keep"', done.stderr)

    def test_a_pools_header_does_not_route(self):
        """It would stand in mail for recipients of others, of this host too."""
        place = Place([pool("a", "example.com", source_ips=["127.0.0.4"], set_headers=ROUTE)],
                      [{"name": "big", "domains": ["big.example"], "connections": 1}])
        done = place.generate()
        self.assertNotIn("FILTER", place.text("routes"))
        self.assertIn(b"in a pool's header does not route", done.stderr)

    def test_numbers_of_the_default_record(self):
        """They hold for the pools' own ways, and route nothing: its recipients may be this host's."""
        place = Place([pool("a", "example.com", source_ips=["127.0.0.4"]), pool("b", "example.org")],
                      [{"name": "default", "connections": 3, "recipients_per_message": 7, "set_headers": ROUTE}])
        place.generate()
        self.assertNotIn("FILTER", place.text("routes"))
        self.assertIn("pm-a_destination_concurrency_limit = 3\npm-a_destination_recipient_limit = 7\n",
                      place.text("main.cf.poolmilter"))

    def test_headers_of_any_name_are_matched_as_they_are(self):
        header = "X-a.+^b|('"
        place = Place([pool("a.b", "example.com", source_ips=["127.0.0.4"])],
                      [{"name": "i.s", "domains": ["big.example"], "connections": 1,
                        "set_headers": ({"name": header, "value": "${pool}/${isp}"},)}])
        place.generate()
        place.make_postfix()
        table = "regexp:%s/routes" % place.out
        self.assertEqual(place.query(table, header + ": a.b/i.s"), "FILTER pm-a.b+i.s:")
        for other in ("X-a: a.b/i.s", "X-aa+^b|(': a.b/i.s", header + ": aXb/i.s", header + ": a.b/iXs", header.lower() + ": A.B/i.s",
                      "Y" + header + ": a.b/i.s", header + ": a.b/i.s2"):
            self.assertEqual(place.query(table, other), "", other)

    def test_many_pools(self):
        place = Place([pool("p%d" % n, "p%d.example" % n, source_ips=["127.0.1.%d" % (n % 250 + 1)],
                            dkim_key=daemon.key("many").path) for n in range(201)])
        done = place.generate()
        self.assertIn(b"201 services in master.cf", done.stderr)
        self.assertEqual(place.text("senders").count("\tpm-"), 201)

    def test_sockets(self):
        for listen, milter in (("unix:/run/poolmilter/m.sock", "unix:/run/poolmilter/m.sock"),
                               ("unix:/var/spool/postfix/x/m.sock", "unix:x/m.sock"),
                               ("inet:8892@127.0.0.1", "inet:127.0.0.1:8892"),
                               ("inet:8892@0.0.0.0", "inet:127.0.0.1:8892"),
                               ("inet6:8892@::1", "inet:[::1]:8892"),
                               ("inet6:8892@::", "inet:[::1]:8892")):
            with self.subTest(listen):
                place = Place([pool("a", "example.com")], listen=listen)
                self.assertIn("poolmilter_milter = %s\n" % milter, place.run().stdout.decode())

    def test_sendmail(self):
        place = typical()
        said = place.run("--sendmail").stdout.decode()
        self.assertIn("INPUT_MAIL_FILTER(`poolmilter', `S=unix:/var/spool/postfix/poolmilter/milter.sock, F=T, "
                      "T=C:10s;S:20s;R:20s;E:60s')dnl\n", said)
        self.assertIn("confMAX_MESSAGE_SIZE', `104857600'", said)
        self.assertIn("3 pools have", said)

    def test_wrong_words(self):
        place = typical()
        for words in (["--bogus"], ["extra"], ["--check", "--sendmail"], ["--output", "/x", "--check"], ["--json"],
                      ["--config-dir", "/x"], ["--bounces", "nobody"], ["--bounces", "a b@example.com"],
                      ["--bounces", "a@b;c"], ["--output", "/tmp/a b"], ["--output", "/tmp/$x"]):
            with self.subTest(words):
                self.assertEqual(place.run(*words).returncode, USAGE)
        self.assertEqual(place.run("--check", "--config-dir", "/nonexistent").returncode, UNAVAILABLE)
        self.assertEqual(place.run("--output", "/proc/no/such").returncode, CANTCREAT)
        self.assertEqual(daemon.poolctl("postfix", "-c", "/nonexistent").returncode, CONFIG)


class Applied(tap.TestCase):
    """As Postfix' own programs read it."""

    def test_accepted_and_idempotent(self):
        place = typical()
        place.generate()
        place.make_postfix()
        place.apply()
        once = [(place.etc / name).read_text() for name in ("main.cf", "master.cf")]
        self.assertEqual(place.postconf("-n")[1], "")
        self.assertEqual(place.postconf("-M")[1], "")
        place.apply()
        self.assertEqual([(place.etc / name).read_text() for name in ("main.cf", "master.cf")], once)

    def test_tables_answer(self):
        place = typical()
        place.generate()
        place.make_postfix()
        place.apply()
        senders, pipe = place.postconf("-hx", "poolmilter_transports")[0].strip().split(", ")
        self.assertEqual(place.query(senders, "@b.example.com"), "pm-acme:")
        self.assertEqual(place.query(senders, "@b.example.net"), "pm-relayed:[smtp.relay.example]:587")
        self.assertEqual(place.query(senders, "@b.example.org"), "")
        self.assertEqual({place.query(pipe, "@b.example.org") for _ in range(40)}, {"pm-two:", "pm2-two:"})
        self.assertEqual(place.query(pipe, "@b.example.com"), "")

    def test_what_stands_there_stays(self):
        place = typical()
        place.generate()
        place.make_postfix("smtpd_milters = inet:127.0.0.1:11332\n"
                           "non_smtpd_milters = $smtpd_milters\n"
                           "sender_dependent_default_transport_maps = texthash:/etc/postfix/mine\n"
                           "milter_header_checks = regexp:/etc/postfix/theirs\n")
        place.apply()
        place.apply()
        self.assertEqual(place.postconf("-h", "smtpd_milters", "non_smtpd_milters", "milter_header_checks",
                                        "sender_dependent_default_transport_maps")[0].splitlines(),
                         ["inet:127.0.0.1:11332, $poolmilter_milter", "$smtpd_milters",
                          "$poolmilter_routes, regexp:/etc/postfix/theirs",
                          "$poolmilter_transports, texthash:/etc/postfix/mine"])

    def test_milter_by_another_name_is_not_added_again(self):
        place = typical()
        place.generate()
        place.make_postfix("smtpd_milters = { unix:poolmilter/milter.sock, command_timeout=20s }\n"
                           "non_smtpd_milters = $smtpd_milters\n")
        place.apply()
        self.assertEqual(place.postconf("-hx", "non_smtpd_milters")[0].strip(),
                         "{ unix:poolmilter/milter.sock, command_timeout=20s }")


# What is wrong; lines for main.cf; arguments of "postconf -P" or whole entries for master.cf; files beside
# main.cf; where and what is found.
MILTER = "unix:poolmilter/milter.sock"
SUBMISSION = "submission/inet"
BACK = "127.0.0.1:10025 inet n - y - - smtpd -o content_filter= -o smtpd_client_restrictions="
FAULTS = [
    ("accept while it is away", "milter_default_action = accept", [], {}, [("main.cf", "milter_default_action")]),
    ("refuse while it is away", "milter_default_action = reject", [], {}, [("main.cf", "milter_default_action")]),
    ("accept on submission", "", ["submission/inet/milter_default_action=accept"], {},
     [(SUBMISSION, "milter_default_action")]),
    ("accept for mail from programs", "", ["cleanup/unix/milter_default_action=accept"], {},
     [("cleanup/unix", "milter_default_action")]),
    ("accept of its own", "smtpd_milters = { %s, default_action=accept }" % MILTER, [], {},
     [("main.cf", "smtpd_milters")]),
    ("accept of its own, with blanks", "smtpd_milters = { %s, default_action = accept }" % MILTER, [], {},
     [("main.cf", "smtpd_milters")]),
    ("no milter", "smtpd_milters =", [], {}, [("main.cf", "smtpd_milters")]),
    ("another milter", "smtpd_milters = inet:127.0.0.1:1", [], {}, [("main.cf", "smtpd_milters")]),
    ("another path", "smtpd_milters = unix:poolmilter/other.sock", [], {}, [("main.cf", "smtpd_milters")]),
    ("no milter on submission", "", ["submission/inet/smtpd_milters="], {}, [(SUBMISSION, "smtpd_milters")]),
    ("no milter for mail from programs", "non_smtpd_milters =", [], {}, [("main.cf", "non_smtpd_milters")]),
    ("no milter in cleanup", "", ["cleanup/unix/non_smtpd_milters="], {}, [("cleanup/unix", "non_smtpd_milters")]),
    ("twice", "smtpd_milters = %s, %s" % (MILTER, MILTER), [], {}, [("main.cf", "smtpd_milters")]),
    ("another one behind", "smtpd_milters = %s, inet:127.0.0.1:11332" % MILTER, [], {},
     [("main.cf", "smtpd_milters")]),
    ("no_milters everywhere", "receive_override_options = no_milters", [], {},
     [("main.cf", "receive_override_options"), ("127.0.0.1:10026/inet", "receive_override_options")]),
    ("no_milters on submission", "", ["submission/inet/receive_override_options=no_milters"], {},
     [(SUBMISSION, "receive_override_options")]),
    ("clients switched off", "smtpd_milter_maps = cidr:/etc/postfix/x", [], {}, [("main.cf", "smtpd_milter_maps")]),
    ("protocol 2", "milter_protocol = 2", [], {}, [("main.cf", "milter_protocol")]),
    ("connect time", "milter_connect_timeout = 1s", [], {}, [("main.cf", "milter_connect_timeout")]),
    ("command time", "milter_command_timeout = 2s", [], {}, [("main.cf", "milter_command_timeout")]),
    ("content time", "milter_content_timeout = 5s", [], {}, [("main.cf", "milter_content_timeout")]),
    ("content time of its own", "smtpd_milters = { %s, content_timeout=5s }" % MILTER, [], {},
     [("main.cf", "smtpd_milters")]),
    ("content time on submission", "", ["submission/inet/milter_content_timeout=5s"], {},
     [(SUBMISSION, "milter_content_timeout")]),
    ("no login", "milter_mail_macros = i {auth_type}", [], {}, [("main.cf", "milter_mail_macros")]),
    ("no queue ID", "milter_end_of_data_macros =", [], {}, [("main.cf", "milter_end_of_data_macros")]),
    ("outside the chroot", "smtpd_milters = %(queue)s/poolmilter/milter.sock".replace("= ", "= unix:"), [], {},
     [("smtp/inet", "smtpd_milters")]),
    ("bare newlines", "smtpd_forbid_bare_newline = no", [], {}, [("main.cf", "smtpd_forbid_bare_newline")]),
    ("bare newlines on submission", "", ["submission/inet/smtpd_forbid_bare_newline=no"], {},
     [(SUBMISSION, "smtpd_forbid_bare_newline")]),
    ("no size limit", "message_size_limit = 0", [], {}, [("main.cf", "message_size_limit")]),
    ("size limit above ours", "message_size_limit = 104857601", [], {}, [("main.cf", "message_size_limit")]),
    ("proxy before the queue", "", ["smtp/inet/smtpd_proxy_filter=127.0.0.1:10024"], {},
     [("smtp/inet", "smtpd_proxy_filter")]),
    ("filter that loops", "content_filter = smtp:[127.0.0.1]:10024", [], {}, [("main.cf", "content_filter")]),
    ("filter that comes back trusted", "content_filter = smtp:[127.0.0.1]:10024", [BACK], {},
     [("127.0.0.1:10025/inet", "receive_override_options")]),
    ("filter and header_checks", "content_filter = smtp:[127.0.0.1]:10024\nheader_checks = regexp:ETC/x",
     [BACK + " -o receive_override_options=no_milters"], {"x": "/^Subject:/ IGNORE\n"},
     [("127.0.0.1:10025/inet", "receive_override_options")]),
    ("filter and canonical", "content_filter = smtp:[127.0.0.1]:10024\ncanonical_maps = texthash:ETC/x",
     [BACK + " -o receive_override_options=no_milters"], {"x": "root@mta.example ann@example.com\n"},
     [("127.0.0.1:10025/inet", "receive_override_options")]),
    ("masquerading of a Return-Path", "masquerade_domains = example.com", [], {}, [("main.cf", "masquerade_domains")]),
    ("canonical Return-Path by domain", "canonical_maps = texthash:ETC/x", [],
     {"x": "@b.example.com @example.com\n"}, [("main.cf", "canonical_maps")]),
    ("canonical sender by expression", "sender_canonical_maps = regexp:ETC/x", [],
     {"x": "/./ noreply@example.com\n"}, [("main.cf", "sender_canonical_maps")]),
    ("generic", "smtp_generic_maps = texthash:ETC/x", [], {"x": ""}, [("main.cf", "smtp_generic_maps")]),
    ("generic of a transport", "", ["smtp/unix/smtp_generic_maps=texthash:/etc/x"], {},
     [("smtp/unix", "smtp_generic_maps")]),
    ("headers removed", "smtp_header_checks = regexp:ETC/x", [], {"x": "/^Received:/ OK\n/^Subject:/  ignore\n"},
     [("main.cf", "smtp_header_checks")]),
    ("headers replaced", "smtp_header_checks = pcre:ETC/x", [], {"x": "/^X-A: .*/ REPLACE X-A: b\n"},
     [("main.cf", "smtp_header_checks")]),
    ("MIME headers removed", "smtp_mime_header_checks = regexp:ETC/x", [], {"x": "/^Content-/ STRIP\n"},
     [("main.cf", "smtp_mime_header_checks")]),
    ("nested headers removed", "smtp_nested_header_checks = regexp:ETC/x", [], {"x": "/^Content-/ IGNORE\n"},
     [("main.cf", "smtp_nested_header_checks")]),
    ("body replaced", "smtp_body_checks = regexp:ETC/x", [], {"x": "/a/ REPLACE b\n"},
     [("main.cf", "smtp_body_checks")]),
    ("table that cannot be read", "smtp_header_checks = regexp:ETC/none", [], {}, [("main.cf", "smtp_header_checks")]),
    ("our headers removed", "milter_header_checks = $poolmilter_routes, regexp:ETC/x", [],
     {"x": "/^DKIM-Signature:/ IGNORE\n"}, [("main.cf", "milter_header_checks")]),
    ("short lines", "smtp_line_length_limit = 900", [], {}, [("main.cf", "smtp_line_length_limit")]),
    ("pools' ways not in use", "sender_dependent_default_transport_maps =", [], {},
     [("main.cf", "sender_dependent_default_transport_maps")] * 3),
    ("another table first", "sender_dependent_default_transport_maps = texthash:ETC/x, $poolmilter_transports", [],
     {"x": "@b.example.com smtp:\n"}, [("main.cf", "sender_dependent_default_transport_maps")]),
    ("transports for all", "transport_maps = texthash:ETC/x", [], {"x": "* smtp:[gw.example]\n"},
     [("main.cf", "transport_maps")]),
    ("transports for all by expression", "transport_maps = regexp:ETC/x", [], {"x": "/./ smtp:[gw.example]\n"},
     [("main.cf", "transport_maps")]),
    ("service missing", "", ["-MX", "pm-acme/unix"], {}, [("main.cf", "pm-acme")]),
    ("another address", "", ["pm-acme/unix/smtp_bind_address=127.0.0.99"], {}, [("pm-acme/unix", "smtp_bind_address")]),
    ("another name", "", ["pm-acme/unix/smtp_helo_name=x.example"], {}, [("pm-acme/unix", "smtp_helo_name")]),
    ("relay without TLS", "", ["pm-relayed/unix/smtp_tls_security_level=may"], {},
     [("pm-relayed/unix", "smtp_tls_security_level")]),
    ("service of a pool that is gone", "", ["pm-gone unix - - n - - smtp"], {}, [("pm-gone/unix", "service")]),
    ("another number", "pm-acme+big.isp_destination_concurrency_limit = 6", [], {},
     [("main.cf", "pm-acme+big.isp_destination_concurrency_limit")]),
    ("more processes", "", ["pm-acme+big.isp unix - - n - 9 smtp -o smtp_bind_address=127.0.0.4 "
                            "-o smtp_bind_address6=::1 -o smtp_bind_address_enforce=yes -o inet_protocols=all "
                            "-o smtp_helo_name=mail.example.com -o smtp_connection_reuse_count_limit=49 "
                            "-o smtp_connection_cache_destinations=static:all -o syslog_name=x"], {},
     [("pm-acme+big.isp/unix", "process_limit")]),
    ("routes not in use", "milter_header_checks =", [], {}, [("main.cf", "milter_header_checks")]),
    ("no header checks", "receive_override_options = no_header_body_checks", [], {},
     [("main.cf", "receive_override_options")]),
    ("a relay host beside routes", "relayhost = [gw.example]", [], {}, [("main.cf", "relayhost")]),
    ("all filtered mail to one host", "default_filter_nexthop = [gw.example]", [], {},
     [("main.cf", "default_filter_nexthop")]),
    ("no listener for split", "", ["-MX", "127.0.0.1:10026/inet"], {}, [("main.cf", "127.0.0.1:10026")]),
    ("split copies untreated", "", ["127.0.0.1:10026/inet/receive_override_options=no_milters"], {},
     [("127.0.0.1:10026/inet", "receive_override_options")]),
]

# Settings that look alike and are no faults: what they do is done before the signature, or not to our mail.
GOOD = [
    ("nothing else", "", [], {}),
    ("header_checks", "header_checks = regexp:ETC/x", [], {"x": "/^Subject:/ IGNORE\n"}),
    ("canonical addresses of others", "canonical_maps = texthash:ETC/x", [],
     {"x": "root@mta.example ann@example.com\n@example.com @example.org\n"}),
    ("canonical Return-Path, but for recipients", "recipient_canonical_maps = texthash:ETC/x", [],
     {"x": "@b.example.com @example.com\n"}),
    ("canonical headers alone", "sender_canonical_maps = regexp:ETC/x\nsender_canonical_classes = header_sender", [],
     {"x": "/./ noreply@example.com\n"}),
    ("masquerading of others", "masquerade_domains = example.info", [], {}),
    ("masquerading with an exemption", "masquerade_domains = !b.example.com !b.example.org !b.example.net "
                                       "!b.example.edu example.com", [], {}),
    ("masquerading of headers alone", "masquerade_domains = example.com\nmasquerade_classes = header_sender", [], {}),
    ("checks that only log", "smtp_header_checks = regexp:ETC/x", [], {"x": "# IGNORE\n/^Subject:/ INFO seen\n"}),
    ("another milter in front", "smtpd_milters = inet:127.0.0.1:11332 $poolmilter_milter", [], {}),
    ("times of its own", "smtpd_milters = { %s, content_timeout=2m, default_action=tempfail }" % MILTER, [], {}),
    ("missing headers added", "always_add_missing_headers = yes\nlocal_header_rewrite_clients = static:all", [], {}),
    ("transports of single domains", "transport_maps = texthash:ETC/x", [], {"x": "inside.example smtp:[gw]\n"}),
    ("another table behind", "sender_dependent_default_transport_maps = $poolmilter_transports, texthash:ETC/x", [],
     {"x": "@b.example.com smtp:\n"}),
    ("filter as it should be", "content_filter = smtp:[127.0.0.1]:10024\nheader_checks = regexp:ETC/x",
     [BACK + " -o receive_override_options=no_milters,no_header_body_checks,no_address_mappings"],
     {"x": "/^Subject:/ IGNORE\n"}),
    ("no milter behind a filter", "content_filter = smtp:[127.0.0.1]:10024", [BACK + " -o smtpd_milters="], {}),
    ("bare newlines made whole", "smtpd_forbid_bare_newline = reject", [], {}),
]


class Checked(tap.TestCase):
    """--check; each fault is put into settings that are good."""

    @classmethod
    def setUpClass(cls):
        place = cls.place = typical()
        text = place.config.read_text().replace("/var/spool/postfix/", "%s/" % place.queue)
        place.config.write_text(text)
        place.generate()
        # A path in this queue directory: what poolctl writes for the usual one.
        for name in ("main.cf.poolmilter", "apply.sh"):
            path = place.out / name
            path.write_text(path.read_text().replace("unix:%s/poolmilter" % place.queue, "unix:poolmilter"))
        place.make_postfix()
        place.listen()
        place.apply()
        cls.good = {name: (place.etc / name).read_text() for name in ("main.cf", "master.cf")}

    def setUp(self):
        self.restore()

    def restore(self):
        for name in os.listdir(self.place.etc):
            (self.place.etc / name).unlink()
        for name, text in self.good.items():
            (self.place.etc / name).write_text(text)

    def spoil(self, main, master, files):
        self.restore()
        etc = str(self.place.etc)
        for name, text in files.items():
            (self.place.etc / name).write_text(text)
        for line in main.splitlines():
            self.place.postconf("-e", (line.replace("ETC", etc).replace("%(queue)s", str(self.place.queue))))
        if master[:1] == ["-MX"]:
            self.place.postconf(*master)
            master = []
        for entry in master:
            words = entry.split()
            if len(words) > 1:
                self.place.postconf("-M", "%s/%s=%s" % (words[0], words[1], entry))
            else:
                self.place.postconf("-P", entry)

    def found(self):
        done = self.place.check("--json")
        self.assertIn(done.returncode, (OK, FOUND), done.stderr)
        findings = json.loads(done.stdout)
        self.assertEqual(done.returncode, FOUND if findings else OK)
        for one in findings:
            self.assertEqual(sorted(one), ["mend", "problem", "setting", "value", "where"])
            self.assertTrue(one["problem"] and one["mend"])
        return [(one["where"], one["setting"]) for one in findings]

    def test_faults(self):
        self.assertGreaterEqual(len(FAULTS), 25)
        for name, main, master, files, expected in FAULTS:
            with self.subTest(name):
                self.spoil(main, master, files)
                self.assertEqual(self.found(), expected)

    def test_no_faults(self):
        for name, main, master, files in GOOD:
            with self.subTest(name):
                self.spoil(main, master, files)
                self.assertEqual(self.found(), [])

    def test_text(self):
        self.spoil("milter_default_action = accept", [], {})
        done = self.place.check()
        self.assertEqual(done.returncode, FOUND)
        self.assertEqual(done.stdout.decode(),
                         "main.cf: milter_default_action = accept\n"
                         "\twhile poolmilter is away, mail leaves unsigned, or damaged if it went away amid an edit\n"
                         "\t-> milter_default_action = tempfail\n")
        self.restore()
        done = self.place.check()
        self.assertEqual((done.returncode, done.stdout), (OK, b"nothing in these settings endangers mail\n"))

    def test_password_table_open_to_others(self):
        table = self.place.out / "passwords"
        table.chmod(0o644)
        try:
            self.assertEqual(self.found(), [("pm-relayed/unix", "smtp_sasl_password_maps")])
        finally:
            table.chmod(0o600)

    def test_stale_table(self):
        table = self.place.out / "senders"
        text = table.read_text()
        table.write_text(text.replace(":587", ":588"))
        try:
            self.assertEqual(self.found(), [("main.cf", "sender_dependent_default_transport_maps")])
        finally:
            table.write_text(text)

    def test_socket(self):
        path = self.place.queue / "poolmilter" / "milter.sock"
        parent = path.parent
        for name, spoil, mend in (
                ("closed socket", lambda: path.chmod(0o600), lambda: path.chmod(0o666)),
                ("closed directory", lambda: parent.chmod(0o700), lambda: parent.chmod(0o755)),
                ("no socket", path.unlink, self.place.listen)):
            with self.subTest(name):
                spoil()
                try:
                    self.assertEqual(self.found(), [("smtp/inet", "smtpd_milters")])
                finally:
                    mend()

    def test_text_that_leaves_in_eight_bits(self):
        config = self.place.config.read_text()
        self.place.config.write_text(config + "safe_encoding = false;\n")
        try:
            self.assertEqual(self.found(), [("main.cf", "disable_mime_output_conversion")])
            self.spoil("disable_mime_output_conversion = yes", [], {})
            self.assertEqual(self.found(), [])
        finally:
            self.place.config.write_text(config)

    def test_copies(self):
        """To this host they would come back as a loop; through the listener for split, twice."""
        self.spoil("always_bcc = archive@mta.example", [], {})
        self.assertEqual(self.found(), [("main.cf", "always_bcc")] * 2)

    def test_debian_as_it_comes(self):
        """Nothing of ours in it."""
        for name, text in (("main.cf", MAIN % {"queue": self.place.queue}), ("master.cf", MASTER)):
            (self.place.etc / name).write_text(text)
        found = self.found()
        for setting in ("smtpd_milters", "non_smtpd_milters", "smtpd_forbid_bare_newline", "milter_header_checks",
                        "sender_dependent_default_transport_maps", "127.0.0.1:10026", "pm-acme"):
            self.assertIn(("main.cf", setting), found)
        self.assertNotIn(("main.cf", "milter_default_action"), found)      # tempfail by itself

if __name__ == "__main__":
    tap.main()
