#!/usr/bin/python3
"""poolctl dns print: BIND loads what it prints, and independent judges accept it.

The fragment goes through named-checkzone (as part of a root zone, since its names are of many zones);
everything else reads what BIND made of it.  Judges: dkimpy verifies mail that poolctl process signed,
pyspf evaluates the SPF records, Mail::DMARC parses the DMARC record.
"""
import ipaddress
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "config"))
import dkim                                                             # noqa: E402
import spf                                                              # noqa: E402
import tap                                                              # noqa: E402
from poolctl import PROGRAM, Directory, run                             # noqa: E402

EX_OK, EX_USAGE, EX_UNAVAILABLE = 0, 64, 69
ED25519 = ("-algorithm", "ED25519")
RSA4096 = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096")
OTHER_RSA = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:65537")

CONFIGURATION = """listen = "unix:@D@/s";
state_dir = "@D@";
return_path: { secret_files = [ "@D@/secret" ]; };
pools = (
  { name = "acme"; sender_domain = "example.com"; sender_subdomain = "mail";
    spf_domain = "bounces.example.com"; bounce_target = "mx.esp.example";
    source_ips = [ "192.0.2.4", "192.0.2.5", "192.0.2.9", "2001:db8::25" ];
    dkim_selector = "ak"; dkim_key = "@D@/a.pem";
    signatures = ( { selector = "Ed"; key = "@D@/ed.pem"; },
                   { domain = "esp.example"; selector = "esp1"; key = "@D@/esp.pem"; } );
    spf_include = [ "spf.esp.example" ];
    dmarc: { policy = "reject"; subdomain_policy = "quarantine"; rua = "mailto:dmarc@reports.example"; };
    bimi_logo = "https://example.com/bimi/logo.svg";
    tracking_domain = "trk.example.com"; tracking_target = "trk.esp.example";
    dkim_next: { selector = "next"; key = "@D@/next.pem"; }; },
  { name = "news"; sender_domain = "news.example.com"; sender_subdomain = "out"; match_subdomains = true;
    spf_domain = "bounces.example.com"; source_ips = [ "198.51.100.7" ];
    dkim_selector = "n"; dkim_key = "@D@/n.pem";
    signatures = ( { domain = "esp.example"; selector = "esp1"; key = "@D@/esp.pem"; } ); },
  { name = "client"; sender_domain = "b\u00fccher.example"; spf_domain = "b.b\u00fccher.example";
    bounce_target = "mx.esp.example"; dkim_selector = "c"; dkim_key = "@D@/c.pem"; }
);
"""

ROOT = """$TTL 60
. IN SOA ns.test. host.test. 1 3600 600 86400 60
. IN NS ns.test.
ns.test. IN A 127.0.0.1
mx.esp.example. 60 IN A 203.0.113.25
m.example. 60 IN A 203.0.113.26
spf.esp.example. 60 IN TXT "v=spf1 ip4:203.0.113.0/24 -all"
"""
OWN = {("ns.test.", "A"), ("mx.esp.example.", "A"), ("m.example.", "A"), (".", "SOA"), (".", "NS"), ("spf.esp.example.", "TXT")}


def load_zone(d, fragment):
    """What BIND makes of a fragment: a set of (name, type, data as in the file)."""
    d.write("zone", ROOT + fragment)
    done = subprocess.run(["named-checkzone", "-i", "full-sibling", "-k", "fail", "-m", "fail", "-n", "fail",
                           "-M", "fail", "-S", "fail", "-r", "fail", "-T", "warn", "-D", "-o", d.path("loaded"), ".", d.path("zone")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stdout.decode())
    records = set()
    with open(d.path("loaded"), encoding="ascii") as f:
        for line in f:
            name, _, _, kind, data = line.rstrip("\n").split(None, 4)
            records.add((name, kind, data))
    return records


def texts(zone, name):
    """The TXT records of a name, each in one piece."""
    return ["".join(data[1:-1].split('" "')) for owner, kind, data in zone if (owner, kind) == (name, "TXT")]


class Zone:
    """A loaded zone as judges ask it."""

    def __init__(self, records):
        self.records = records

    def txt(self, name, timeout=5):
        found = texts(self.records, name.decode().lower())
        return found[0].encode() if len(found) == 1 else None

    def spf_lookup(self, name, qtype, tcpfallback=True, timeout=30):
        answers = []
        for owner, kind, data in self.records:
            if owner != name.rstrip(".").lower() + "." or kind not in (qtype, "CNAME"):
                continue
            if kind == "TXT":
                answers.append(((name, kind), tuple(piece.encode() for piece in data[1:-1].split('" "'))))
            elif kind in ("A", "AAAA"):
                answers.append(((name, kind), ipaddress.ip_address(data).packed if kind == "AAAA" else data))
            else:
                answers.append(((name, kind), data.rstrip(".")))
        return answers


class Print(tap.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = d = Directory().__enter__()
        d.key("a.pem")
        d.key("n.pem", OTHER_RSA)
        d.key("c.pem", RSA4096)
        d.key("ed.pem", ED25519)
        for name in ("esp.pem", "next.pem"):
            d.write(name, subprocess.run(["openssl", "genpkey", *ED25519], check=True, stdout=subprocess.PIPE).stdout)
        d.write("secret", b"0123456789abcdef0123456789abcdef")
        cls.config = d.write("main.conf", CONFIGURATION.replace("@D@", d.root))
        status, cls.fragment, cls.errors = run("dns", "print", "-c", cls.config)
        assert status == EX_OK, cls.errors
        cls.zone = load_zone(d, cls.fragment)
        status, output, _ = run("dns", "print", "-c", cls.config, "--format", "json")
        assert status == EX_OK
        cls.report = json.loads(output)

    @classmethod
    def tearDownClass(cls):
        cls.directory.__exit__()

    def named(self, kind):
        return {(name, data) for name, this, data in self.zone if this == kind and (name, this) not in OWN}

    def test_hosts(self):
        self.assertEqual(self.named("A"),
                         {("mail.example.com.", "192.0.2.%d" % n) for n in (4, 5, 9)}
                         | {("out.news.example.com.", "198.51.100.7")})
        self.assertEqual(self.named("AAAA"), {("mail.example.com.", "2001:db8::25")})

    def test_pointers_are_those_of_the_addresses(self):
        expected = {(ipaddress.ip_address(data).reverse_pointer + ".", name)
                    for name, data in self.named("A") | self.named("AAAA")}
        self.assertEqual(self.named("PTR"), expected)

    def test_aliases_and_mail_hosts(self):
        self.assertEqual(self.named("CNAME"), {("trk.example.com.", "trk.esp.example."),
                                               ("b.xn--bcher-kva.example.", "mx.esp.example.")})
        self.assertEqual(self.named("MX"), {("bounces.example.com.", "10 mx.esp.example.")})

    def test_suggestions_are_comments(self):
        for name, host in (("example.com", "mail.example.com"), ("news.example.com", "out.news.example.com")):
            self.assertIn("\n;%s.\t3600\tIN\tMX\t10 %s.\n" % (name, host), self.fragment)

    def test_nothing_is_there_twice(self):
        lines = [line for line in self.fragment.splitlines() if line and not line.startswith(";")]
        self.assertEqual(len(lines), len(set(lines)))
        self.assertEqual(len(lines), len([r for r in self.zone if r[:2] not in OWN]))

    def test_bind_table_and_json_agree(self):
        in_json = {(r["name"] + ".", r["type"], r["data"]) for r in self.report["records"] if r["need"] != "if-none"}
        self.assertEqual(in_json, {r for r in self.zone if r[:2] not in OWN})
        status, table, _ = run("dns", "print", "-c", self.config, "--format", "table")
        self.assertEqual(status, EX_OK)
        rows = [line.split(None, 4) for line in table.splitlines()[1:]]
        self.assertEqual([(r[0], r[1], r[2], r[3], r[4]) for r in rows],
                         [(r["name"], r["type"], r["for"], r["need"],
                           ("%d " % r["preference"] if r["type"] == "MX" else "") + r["value"])
                          for r in self.report["records"]])

    # --- judges ---

    def signed(self, sender):
        message = ("From: <%s>\r\nTo: <b@example.net>\r\nSubject: x\r\nDate: Mon, 1 Jun 2026 12:00:00 +0000\r\n"
                   "Message-ID: <1@example.com>\r\n\r\nHello\r\n" % sender).encode()
        done = subprocess.run([PROGRAM, "process", "-c", self.config, "-f", sender, "-r", "b@example.net"],
                              input=message, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, EX_OK, done.stderr)
        return done.stdout

    def test_dkimpy_verifies_every_signature(self):
        verified = 0
        for sender, count in (("a@example.com", 3), ("a@x.news.example.com", 2), ("a@xn--bcher-kva.example", 1)):
            message = self.signed(sender)
            self.assertEqual(message.count(b"DKIM-Signature:"), count)
            for index in range(count):
                self.assertTrue(dkim.DKIM(message).verify(idx=index, dnsfunc=Zone(self.zone).txt), (sender, index))
                verified += 1
        self.assertEqual(verified, 6)

    def test_dkimpy_refuses_with_another_key(self):
        message = self.signed("a@example.com")
        wrong = {r for r in self.zone if not r[0].startswith("ak._domainkey.")}
        wrong |= {("ak._domainkey.example.com.", kind, data) for name, kind, data in self.zone
                  if name == "n._domainkey.news.example.com."}
        self.assertIn(False, [self.verdict(message, index, wrong) for index in range(3)])

    @staticmethod
    def verdict(message, index, zone):
        try:
            return dkim.DKIM(message).verify(idx=index, dnsfunc=Zone(zone).txt)
        except dkim.DKIMException:
            return False

    def test_next_key_is_the_one_of_its_file(self):
        public = subprocess.run(["openssl", "pkey", "-in", self.directory.path("next.pem"), "-pubout", "-outform", "DER"],
                                check=True, stdout=subprocess.PIPE).stdout[-32:]
        key, _, algorithm, _ = dkim.load_pk_from_dns(b"next._domainkey.example.com.", dnsfunc=Zone(self.zone).txt)
        self.assertEqual((algorithm, bytes(key)), (b"ed25519", public))

    def spf_result(self, address, sender, helo="unknown.example"):
        spf.DNSLookup = Zone(self.zone).spf_lookup
        result, _, why = spf.query(i=address, s=sender, h=helo, strict=2).check()
        return result, why

    def test_pyspf_passes_the_sources_and_nobody_else(self):
        acme, news, other = ["192.0.2.4", "192.0.2.5", "192.0.2.9", "2001:db8::25"], ["198.51.100.7"], "203.0.113.1"
        strangers = ["192.0.2.3", "192.0.2.6", "192.0.2.8", "192.0.2.10", "198.51.100.6", "2001:db8::24", "203.0.114.1"]
        for sender, helo, good, bad in (
                ("b@bounces.example.com", "x.example", acme + news + [other], strangers),
                ("a@example.com", "x.example", acme + [other], strangers + news),
                ("a@news.example.com", "x.example", news, strangers + acme + [other]),
                ("", "mail.example.com", acme, strangers + news + [other]),
                ("", "out.news.example.com", news, strangers + acme)):
            for address in good:
                self.assertEqual(self.spf_result(address, sender, helo)[0], "pass", (address, sender))
            for address in bad:
                self.assertEqual(self.spf_result(address, sender, helo)[0], "fail", (address, sender))

    def test_spf_strings_are_short_and_alone(self):
        names = {name for name, data in self.named("TXT") if "v=spf1" in data}
        self.assertEqual(names, {n + "." for n in ("mail.example.com", "example.com", "bounces.example.com",
                                                   "out.news.example.com", "news.example.com")})
        for name in names:
            self.assertEqual(len([t for t in texts(self.zone, name) if t.startswith("v=spf1")]), 1)
        for _, data in self.named("TXT"):
            self.assertLessEqual(max(len(piece) for piece in data[1:-1].split('" "')), 255)

    def test_mail_dmarc_reads_the_policy(self):
        records = {name: texts(self.zone, name) for name, _ in self.named("TXT") if name.startswith("_dmarc.")}
        self.assertEqual(list(records), ["_dmarc.example.com."])
        (text,) = records["_dmarc.example.com."]
        judge = "my $p = Mail::DMARC::Policy->new($ARGV[0]); $p->is_valid or die; print join '|', $p->p, $p->sp, $p->rua"
        done = subprocess.run(["perl", "-MMail::DMARC::Policy", "-e", judge, text], stdout=subprocess.PIPE, timeout=60, check=True)
        self.assertEqual(done.stdout.decode(), "reject|quarantine|mailto:dmarc@reports.example")
        self.assertEqual(texts(self.zone, "example.com._report._dmarc.reports.example."), ["v=DMARC1"])

    def test_logo(self):
        self.assertEqual(texts(self.zone, "default._bimi.example.com."), ["v=BIMI1; l=https://example.com/bimi/logo.svg"])

    # --- the command ---

    def test_good_pools_have_no_warnings(self):
        self.assertEqual(self.report["warnings"], [])
        self.assertEqual(self.errors, 'warning: %s:17: pools[1].spf_domain: "bounces.example.com" is not below sender_domain '
                         '"news.example.com": SPF may not align with From:\n' % self.config)

    def test_warnings(self):
        with Directory() as d:
            d.key("key.pem")
            pool = ('{ name = "%s"; sender_domain = "%s.example"; spf_domain = "b.%s.example"; bounce_target = "m.example";'
                    ' dkim_selector = "s"; dkim_key = "' + d.path("key.pem") + '"; sender_subdomain = "m"; source_ips = [ %s ]; }')
            pools = pool % ("a", "a", "a", '"10.0.0.1"'), pool % ("b", "b", "b", "")
            config = d.write("main.conf", 'listen = "unix:%s"; pools = ( %s );' % (d.path("s"), ", ".join(pools)))
            status, output, errors = run("dns", "print", "--json", "-c", config)
            self.assertEqual(status, EX_OK)
            wanted = ['pool "a": 10.0.0.1 is a private address: no receiver sees it',
                      "%s signs for a.example and for b.example: expected a key for each domain (poolctl genkey)" % d.path("key.pem")]
            self.assertEqual(errors, "".join("warning: %s\n" % w for w in wanted))
            self.assertEqual(json.loads(output)["warnings"], wanted)

    def test_chosen_pool(self):
        status, fragment, _ = run("dns", "print", "-c", self.config, "news")
        self.assertEqual(status, EX_OK)
        zone = load_zone(self.directory, fragment)
        self.assertLess(zone, self.zone)
        self.assertEqual({r[0] for r in zone if r[:2] not in OWN},
                         {"out.news.example.com.", "7.100.51.198.in-addr.arpa.", "news.example.com.", "bounces.example.com.",
                          "n._domainkey.news.example.com.", "esp1._domainkey.esp.example."})

    def test_one_zone_of_them(self):
        d, apex = self.directory, "B\u00fccher.example."
        status, fragment, _ = run("dns", "print", "-c", self.config, "--zone", apex)
        self.assertEqual(status, EX_OK)
        status, whole, _ = run("dns", "print", "-c", self.config, "--zone", "example.com")
        self.assertEqual(status, EX_OK)
        apexes = ("xn--bcher-kva.example.", fragment, 2), ("example.com.", whole, 18)
        for name, text, count in apexes:
            d.write("one", "$ORIGIN %s\n@ 60 IN SOA ns host 1 3600 600 86400 60\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n%s" % (name, text))
            done = subprocess.run(["named-checkzone", "-i", "local", "-D", "-o", d.path("loaded"), name, d.path("one")],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertNotIn(b"out-of-zone", done.stdout)
            lines = [line for line in text.splitlines() if line and not line.startswith(";")]
            self.assertEqual(len(lines), count)
            self.assertTrue(all(line.split()[0].endswith(name) for line in lines))

    def test_obsolete_records_when_asked_for(self):
        status, fragment, _ = run("dns", "print", "-c", self.config, "--legacy")
        self.assertEqual(status, EX_OK)
        more = load_zone(self.directory, fragment) - self.zone
        self.assertEqual({(name, texts({r}, name)[0].split()[0]) for r in more for name in r[:1]},
                         {("example.com.", "spf2.0/pra"), ("news.example.com.", "spf2.0/pra")}
                         | {("_domainkey.%s." % d, "o=-") for d in ("example.com", "news.example.com", "xn--bcher-kva.example")})
        self.assertEqual(fragment.count("historic"), 5)
        for address, result in (("192.0.2.4", "pass"), ("192.0.2.3", "fail")):  # SPF stays what it was
            self.assertEqual(self.spf_result(address, "a@example.com")[0], result)

    def test_wrong_arguments(self):
        for arguments, status, part in ((("dns",), EX_USAGE, "print or check"),
                                        (("dns", "show"), EX_USAGE, '"show" is neither'),
                                        (("dns", "print", "--format", "xml"), EX_USAGE, '"xml" is not bind, table or json'),
                                        (("dns", "print", "--zone", "a..b"), EX_USAGE, '"a..b" is no domain name'),
                                        (("dns", "print", "--nope"), EX_USAGE, "unknown option"),
                                        (("dns", "print", "-c", self.config, "acme", "acne"), EX_UNAVAILABLE, 'no pool "acne"')):
            got, output, errors = run(*arguments)
            self.assertEqual((got, output), (status, ""), arguments)
            self.assertIn(part, errors)

    def test_help(self):
        status, output, _ = run("dns", "--help")
        self.assertEqual(status, EX_OK)
        self.assertIn("poolctl dns print", output)

    def test_key_that_cannot_be_read(self):
        """More keys than are parsed at the start: one of them is none."""
        with Directory() as d:
            pools = []
            for number in range(1001):
                d.key("%d.pem" % number, ED25519)
                pools.append('{ name = "p%d"; sender_domain = "p%d.example"; spf_domain = "b.p%d.example"; bounce_target = "m.example";'
                             ' dkim_selector = "s"; dkim_key = "%s"; }' % (number, number, number, d.path("%d.pem" % number)))
            d.write("7.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            config = d.write("main.conf", 'listen = "unix:%s"; pools = ( %s );' % (d.path("s"), ",\n".join(pools)))
            status, output, errors = run("dns", "print", "-c", config)
            self.assertEqual(status, EX_UNAVAILABLE)
            self.assertIn("poolctl dns print: s._domainkey.p7.example: ", errors)
            zone = load_zone(d, output)
            self.assertEqual(len([r for r in zone if r[1] == "TXT" and r[:2] not in OWN]), 1000)
            self.assertEqual(texts(zone, "s._domainkey.p7.example."), [])
            self.assertIn("; no key: %s" % d.path("7.pem"), output)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = None
    tap.main()
