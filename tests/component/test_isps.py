#!/usr/bin/python3
"""The shipped ISP records (conf/isps.conf), poolctl isps and poolctl explain.

MX hosts come from a DNS server of the test's own.
"""
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "config"))
import dnsserver                                                        # noqa: E402
import tap                                                              # noqa: E402
from poolctl import PROGRAM, SOURCE, Directory, run                     # noqa: E402

SHIPPED = os.path.join(SOURCE, "conf", "isps.conf")
EX_OK, EX_USAGE, EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG = 0, 64, 69, 77, 78

# What Microsoft has for everyone, besides the five domains below (Mozilla's ISPDB).
OUTLOOK = """at be cl cz de dk es fr hu ie in it jp kr lv my ph pt sa sg sk co.id co.il co.th com.ar com.au com.br
com.gr com.tr com.vn"""
HOTMAIL = """be ca cl cz de dk es fi fr gr hu it lt lv my nl no ph rs se sg sk co.id co.il co.in co.jp co.kr co.th
co.uk co.za com.ar com.au com.br com.hk com.tr com.tw com.vn"""
LIVE = """at be ca cl cn de dk fi fr hk ie in it jp nl no ru se co.jp co.uk co.za com.ar com.au com.mx com.my com.ph
com.pt com.sg"""

EXPECTED = {
    "gmail": "gmail.com googlemail.com",
    "yahoo": "yahoo.com yahoo.de yahoo.co.uk yahoo.com.mx ymail.com rocketmail.com cox.net",
    "yahoo_jp": "yahoo.co.jp",
    "aol": "aol.com aim.com netscape.net cs.com aol.co.uk aol.com.mx",
    "att": "att.net bellsouth.net sbcglobal.net verizon.net",
    "outlook": "hotmail.com live.com msn.com outlook.com windowslive.com livemail.tw "
               + " ".join("outlook." + top for top in OUTLOOK.split()) + " "
               + " ".join("hotmail." + top for top in HOTMAIL.split()) + " "
               + " ".join("live." + top for top in LIVE.split()),
    "icloud": "icloud.com me.com mac.com",
    "mailru": "mail.ru inbox.ru list.ru bk.ru internet.ru mail.ua mail.kz",
    "yandex": "yandex.ru yandex.com yandex.ua ya.ru narod.ru",
    "rambler": "rambler.ru",
    "gmx_webde": "gmx.net gmx.de gmx.at gmx.ch mein.gmx mail.gmx gmx.co.uk gmx.com.tr gmx.li web.de",
    "mailcom": "mail.com email.com usa.com post.com",
    "tonline": "t-online.de magenta.de",
    "orange_fr": "orange.fr wanadoo.fr",
    "free_fr": "free.fr",
    "laposte_fr": "laposte.net",
    "sfr_fr": "sfr.fr neuf.fr club-internet.fr",
    "comcast": "comcast.net",
    "charter": "charter.net spectrum.net bresnan.net",
    "bt": "btinternet.com talk21.com",
    "libero": "libero.it iol.it giallo.it",
    "virgilio": "virgilio.it",
    "tim": "tim.it alice.it",
    "onet": "onet.pl op.pl vp.pl onet.eu",
    "o2_pl": "o2.pl tlen.pl",
    "wp": "wp.pl",
    "seznam": "seznam.cz spoluzaci.cz",
    "kpn_nl": "kpnmail.nl xs4all.nl telfort.nl",
    "ziggo_nl": "ziggo.nl upcmail.nl",
    "proximus_be": "skynet.be proximus.be belgacom.net",
    "bluewin_ch": "bluewin.ch",
    "vodafone_de": "vodafonemail.de arcor.de kabelmail.de",
    "qq": "qq.com",
    "netease": "163.com 126.com yeah.net",
    "naver": "naver.com",
    "daum": "daum.net",
    "telstra_au": "bigpond.com telstra.com",
    "uol_br": "uol.com.br bol.com.br",
    "rediff": "rediffmail.com",
    "zoho": "zoho.com zohomail.com",
    "default": "example.com mail.gmail.com xgmail.com localhost",
}

# An MX host that each record with MX rules must know, and some that look like it.
HOSTS = {
    "gmail": "aspmx.l.google.com alt1.aspmx.l.google.com aspmx2.googlemail.com smtp.google.com",
    "yahoo": "mta7.am0.yahoodns.net",
    "yahoo_jp": "mx1.mail.yahoo.co.jp",
    "outlook": "outlook-com.olc.protection.outlook.com",
    "office365": "contoso-com.mail.protection.outlook.com contoso-com.o-v1.mx.microsoft",
    "icloud": "mx01.mail.icloud.com",
    "mailru": "mxs.mail.ru emx.mail.ru",
    "yandex": "mx.yandex.ru mx.yandex.net",
    "gmx_webde": "mx00.gmx.net mx-ha02.web.de",
    "mailcom": "mx00.mail.com",
    "tonline": "mx00.t-online.de mx03.t-online.de",
    "orange_fr": "smtp-in.orange.fr",
    "kpn_nl": "mx1.kpnmail.nl",
    "qq": "mx1.qq.com",
    "netease": "163mx01.mxmail.netease.com",
    "zoho": "mx.zoho.com",
    "fastmail": "in1-smtp.messagingengine.com",
    "proton": "mail.protonmail.ch",
    "mimecast": "eu-smtp-inbound-1.mimecast.com za-smtp.mimecast.co.za je.mimecast-offshore.com",
    "barracuda": "d1.ess.barracudanetworks.com",
    "netvigator": "mx.netvigator.com",
    "default": "google.com mx.google.com.example xgoogle.com mx.mail.ru mx04.t-online.de mx1.comcast.net",
}

POOLS = """pools = (
  { name = "acme"; sender_domain = "example.com"; spf_domain = "b.example.com"; match_subdomains = true;
    dkim_selector = "ak"; dkim_key = "@D@/key.pem"; signed_headers = [ "X-Tag" ];
    signatures = ( { domain = "esp.example"; selector = "ed"; key = "@D@/ed25519.pem"; } );
    delete_headers = [ "X-Internal-*" ]; add_headers = ( { name = "X-Acme"; value = "${pool}/${sender}"; } ); },
  { name = "closed"; sender_domain = "closed.example"; return_path = "keep"; users = [ "boss" ];
    dkim_selector = "ck"; dkim_key = "@D@/key.pem"; }
);
"""
CUSTOM = """isps = (
  { name = "mine"; domains = [ "web.de", "*.mine.example" ]; mx = [ "*.mx.mine.example" ];
    encoding: { html = "base64"; text = "quoted-printable"; };
    delete_headers = [ "X-Acme" ];
    set_headers = ( { name = "X-Campaign"; value = "${header:X-C}:${isp}"; } );
    add_headers = ( { name = "X-Isp"; value = "${isp} ${rcpt_domain} ${login} $$"; },
                    { name = "X-Nothing"; value = "${login}"; } ); },
  { name = "SEZNAM"; domains = [ "seznam.cz" ]; connections = 7; },
  { name = "twin"; domains = [ "twin.example" ]; encoding: { html = "base64"; }; }
);
"""


class Conf(Directory):
    """A directory with a configuration that includes the shipped records."""

    def __init__(self, *keys, custom=CUSTOM, port=9, timeout_ms=2000, pools=POOLS):
        self.keys = "".join(keys)
        self.custom, self.pools = custom, pools
        self.dns = 'resolver = "127.0.0.1@%d"; dns: { timeout_ms = %d; };\n' % (port, timeout_ms)

    def __enter__(self):
        super().__enter__()
        self.key("key.pem")
        self.key("ed25519.pem", ("-algorithm", "ED25519"))
        self.write("return-path.secret", b"0123456789abcdef0123456789abcdef")
        self.conf = self.write("main.conf", ('listen = "unix:@D@/s"; state_dir = "@D@";\n%s%s@include "%s"\n%s%s' % (
            self.keys, self.dns, SHIPPED, self.custom, self.pools)).replace("@D@", self.root))
        return self

    def run(self, command, *arguments, status=EX_OK):
        got, output, errors = run(command, "-c", self.conf, *arguments)
        if (got, errors if got == EX_OK else "") != (status, ""):
            raise AssertionError("%s: status %d, not %d: %s%s" % (arguments, got, status, output, errors))
        return output if status == EX_OK else output + errors

    def json(self, command, *arguments, status=EX_OK):
        return json.loads(self.run(command, "--json", *arguments, status=status))

    def records(self, *domains):
        """Domain -> (record, how), in one call."""
        options = [word for domain in domains for word in ("--domain", domain)]
        return {r["domain"]: (r["isp"], r["how"]) for r in self.json("isps", *options)}


def places(path):
    """Name -> (line, the comment above it) of the records in a file."""
    found, comment = {}, []
    with open(path, encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            match = re.match(r'  \{ name = "([^"]+)";', line)
            if match:
                found[match.group(1)] = (number, " ".join(comment))
            comment = comment + [line.strip("# \n")] if line.startswith("  # ") else []
    return found


class Shipped(tap.TestCase):
    def test_every_domain_has_its_record(self):
        wanted = {domain: name for name, domains in EXPECTED.items() for domain in domains.split()}
        self.assertGreater(len(wanted), 200)
        with Conf("", custom="") as c:
            found = c.records(*wanted)
        self.assertEqual({domain: found[domain][0] for domain in wanted}, wanted)
        for domain, name in wanted.items():
            self.assertEqual(found[domain][1], "default" if name == "default" else "domain", domain)

    def test_every_record_is_looked_at_here(self):
        named = set(places(SHIPPED))
        self.assertEqual(named, (set(EXPECTED) | set(HOSTS)) - {"default"})

    def test_every_record_has_source_and_date(self):
        for name, (_, comment) in places(SHIPPED).items():
            self.assertRegex(comment, r"\b\d{4}-\d\d-\d\d\.$", name)
            self.assertRegex(comment, r"KumoMTA|https?://|github\.com|ISPDB|collected by us", name)

    def test_every_domain_of_the_file_leads_back_to_its_record(self):
        with Conf("", custom="") as c:
            records = c.json("isps")
            domains = {domain: r["name"] for r in records for domain in r["domains"]}
            found = c.records(*domains)
        self.assertGreater(len(domains), 250)
        self.assertEqual({domain: found[domain][0] for domain in domains}, domains)

    def test_records_change_nothing(self):
        with Conf("", custom="") as c:
            for r in c.json("isps"):
                self.assertEqual(set(r["encoding"].values()), {"keep"}, r["name"])
                self.assertEqual(r["delete_headers"] + r["set_headers"] + r["add_headers"], [], r["name"])

    def test_every_mx_host_has_its_record(self):
        wanted = {host: name for name, hosts in HOSTS.items() for host in hosts.split()}
        zone = {"d%d.test" % n: {"MX": ["10 %s." % host]} for n, host in enumerate(wanted)}
        with dnsserver.Server(zone) as server, Conf("", custom="", port=server.port) as c:
            found = c.records(*zone)
        for n, (host, name) in enumerate(wanted.items()):
            self.assertEqual(found["d%d.test" % n], (name, "default" if name == "default" else "mx"), host)


class Isps(tap.TestCase):
    def test_list_tells_place_and_source_of_every_record(self):
        with Conf() as c:
            rows = [line.split() for line in c.run("isps").split("\n\n")[0].splitlines()[1:]]
            lines = {row[0]: row for row in rows}
            self.assertEqual(len(rows), len(lines))
            for name, (number, _) in places(SHIPPED).items():
                if name != "seznam":
                    self.assertEqual((lines[name][1], lines[name][-1]), ("shipped", "%s:%d" % (SHIPPED, number)))
            for name, (number, _) in places(c.conf).items():
                if name not in ("acme", "closed"):
                    self.assertEqual((lines[name][1], lines[name][-1]), ("custom", "%s:%d" % (c.conf, number)))
            self.assertEqual(lines["default"], ["default", "built-in", "0", "0", "-", "-", "-"])
            self.assertEqual(lines["mine"][2:6], ["2", "1", "html:base64,text:quoted-printable,other:keep",
                                                  "delete:1,set:1,add:2"])
            self.assertNotIn("seznam", lines)

    def test_list_tells_what_custom_records_have_taken(self):
        with Conf() as c:
            here, there = places(c.conf), places(SHIPPED)
            self.assertEqual(c.run("isps").split("\n\n")[1].splitlines(), [
                "gmx_webde (%s:%d): web.de is taken by mine (%s:%d)" % (
                    SHIPPED, there["gmx_webde"][0], c.conf, here["mine"][0]),
                "seznam (%s:%d): is replaced by SEZNAM (%s:%d)" % (
                    SHIPPED, there["seznam"][0], c.conf, here["SEZNAM"][0])])

    def test_json_has_the_same(self):
        with Conf() as c:
            records = {r["name"]: r for r in c.json("isps")}
            self.assertTrue(records["seznam"]["replaced"])
            self.assertFalse(records["SEZNAM"]["replaced"])
            self.assertEqual(records["SEZNAM"]["numbers"], {"connections": 7, "messages_per_connection": None,
                                                            "recipients_per_message": None})
            self.assertEqual(records["gmx_webde"]["taken"], [{"rule": "web.de", "by": "mine"}])
            self.assertEqual(records["orange_fr"]["numbers"], {"connections": 2, "messages_per_connection": 100,
                                                               "recipients_per_message": 100})
            self.assertEqual((records["gmail"]["file"], records["gmail"]["line"], records["gmail"]["source"]),
                             (SHIPPED, places(SHIPPED)["gmail"][0], "shipped"))
            self.assertEqual(records["mine"]["encoding"],
                             {"html": "base64", "text": "quoted-printable", "other": "keep"})
            self.assertEqual(records["mine"]["set_headers"],
                             [{"name": "X-Campaign", "value": "${header:X-C}:${isp}"}])
            self.assertEqual((records["default"]["source"], records["default"]["file"]), ("built-in", None))

    def test_one_record(self):
        with Conf() as c:
            self.assertEqual(c.run("isps", "mine").splitlines(), [
                "name      mine", "source    custom", "place     %s:%d" % (c.conf, places(c.conf)["mine"][0]),
                "domains   web.de", "          *.mine.example", "mx        *.mx.mine.example",
                "encoding  html:base64,text:quoted-printable,other:keep",
                "headers   delete X-Acme", "          set X-Campaign: ${header:X-C}:${isp}",
                "          add X-Isp: ${isp} ${rcpt_domain} ${login} $$", "          add X-Nothing: ${login}"])
            self.assertIn("\nreplaces  %s:%d\n" % (SHIPPED, places(SHIPPED)["seznam"][0]), c.run("isps", "Seznam"))
            self.assertIn("\n          web.de (taken by mine, %s:" % c.conf, c.run("isps", "gmx_webde"))
            self.assertEqual(c.json("isps", "GMAIL")["name"], "gmail")

    def test_limits_of_a_record(self):
        custom = """isps = ( { name = "mine"; domains = [ "mine.example" ]; limits = [ "20/second", "50000/24h" ];
                       total_limits = [ "100/second" ]; } );\n"""
        with Conf(custom=custom) as c:
            self.assertEqual(c.run("isps", "mine").splitlines()[-2:], [
                "limits    20/second, 50000/day (of each pool)", "          100/second (of all pools together)"])
            j = c.json("isps", "mine")
            self.assertEqual((j["limits"], j["total_limits"]), (["20/second", "50000/day"], ["100/second"]))
            self.assertEqual(c.json("isps", "default")["limits"], [])

    def test_unknown_record(self):
        with Conf() as c:
            self.assertEqual(c.run("isps", "gmal", status=EX_UNAVAILABLE),
                             'poolctl isps: no record "gmal": did you mean "gmail"?\n')
            self.assertEqual(c.run("isps", "nothing-like-it", status=EX_UNAVAILABLE),
                             'poolctl isps: no record "nothing-like-it"\n')

    def test_domains_and_recipients(self):
        with Conf() as c:
            mine = "custom %s:%d" % (c.conf, places(c.conf)["mine"][0])
            self.assertEqual(
                c.run("isps", "-d", "WEB.de.", "-d", "a.b.mine.example", "-r", "<Bob@gmail.com>", "-r", "bob").splitlines(),
                ["WEB.de.: mine (domain); " + mine, "a.b.mine.example: mine (suffix *.mine.example); " + mine,
                 "gmail.com: gmail (domain); shipped %s:%d" % (SHIPPED, places(SHIPPED)["gmail"][0]),
                 "-: default (default: no record has the domain); built-in -"])

    def test_mx_hosts(self):
        zone = {"hosted.test": {"MX": ["1 ASPMX.L.Google.com.", "5 alt1.aspmx.l.google.com."]},
                "mixed.test": {"MX": ["1 aspmx.l.google.com.", "5 mx.mixed.test."]},
                "two.test": {"MX": ["1 aspmx.l.google.com.", "5 mx1.qq.com."]},
                "custom.test": {"MX": ["1 a.mx.mine.example."]},
                "null.test": {"MX": ["0 ."]}, "nothing.test": {"A": ["192.0.2.1"]}, "bad.test": {},
                "web.de": {"MX": ["1 aspmx.l.google.com."]}}
        with dnsserver.Server(zone) as server, Conf(port=server.port) as c:
            server.trouble["bad.test"] = "servfail"
            options = [word for domain in zone for word in ("-d", domain)] + ["-d", "nowhere.test"]
            found = {r["domain"]: r for r in c.json("isps", *options)}
            self.assertEqual({d: (r["isp"], r["how"]) for d, r in found.items()}, {
                "hosted.test": ("gmail", "mx"), "mixed.test": ("default", "default"),
                "two.test": ("default", "default"), "custom.test": ("mine", "mx"),
                "null.test": ("default", "default"), "nothing.test": ("default", "default"),
                "bad.test": ("default", "default"), "nowhere.test": ("default", "default"),
                "web.de": ("mine", "domain")})
            self.assertEqual([d for d in found if found[d]["mx_failed"]], ["bad.test"])
            self.assertCountEqual(found["mixed.test"]["mx"], [{"host": "aspmx.l.google.com", "isp": "gmail"},
                                                              {"host": "mx.mixed.test", "isp": None}])
            self.assertNotIn(("web.de", "MX"), server.queries)
            text = c.run("isps", "-d", "hosted.test")
            self.assertRegex(text, r"^hosted\.test: gmail \(mx: MX hosts [a-z.0-9]+ \(gmail\), [a-z.0-9]+ \(gmail\)\);")

    def test_dead_server(self):
        with dnsserver.Server({}) as server, Conf(port=server.port, timeout_ms=400) as c:
            names = ["a%d.test" % n for n in range(5)]
            for name in names:
                server.trouble[name] = "drop"
            start = time.monotonic()
            found = c.json("isps", *[word for name in names for word in ("-d", name)])
            took = time.monotonic() - start
        self.assertEqual([(r["isp"], r["mx_failed"]) for r in found], [("default", True)] * 5)
        self.assertGreaterEqual(took, 0.4)
        self.assertLess(took, 1.4)  # the timeout is for all of them together

    def test_wrong_use(self):
        with Conf() as c:
            for arguments in (["a", "b"], ["gmail", "-d", "a.test"], ["--nope"]):
                self.assertIn('Try "poolctl help isps".', c.run("isps", *arguments, status=EX_USAGE))
        self.assertEqual(run("isps", "-c", "/nonexistent.conf")[0], EX_CONFIG)


SMTP = ("--client", "127.0.0.1")
SPLIT = 'mixed_isps = "split"; reinject = "smtp://127.0.0.1:10026";\n'


class Explain(tap.TestCase):
    def explain(self, c, sender, *rcpts, more=(), status=EX_OK):
        return c.json("explain", "-f", sender, *[word for rcpt in rcpts for word in ("-r", rcpt)], *more,
                      status=status)

    def test_pool_and_why(self):
        cases = [
            ("", "a@example.com", "acme", "sender_domain", "accepted", None),
            ("", "a@EXAMPLE.com", "acme", "sender_domain", "accepted", None),
            ("", "a@x.y.example.com", "acme", "match_subdomains", "accepted", None),
            ("", "a@other.example", None, None, "passed", "no-pool"),
            ('no_pool = "acme";', "a@other.example", "acme", "no_pool", "accepted", None),
            ("", "a@closed.example", "closed", "sender_domain", "passed", "not-in-pool"),
        ]
        for keys, sender, pool, by, result, reason in cases:
            with self.subTest(sender=sender, keys=keys), Conf(keys) as c:
                j = self.explain(c, sender, "b@gmail.com")
                part = j["treatments"][0]
                self.assertEqual((j["pool"], j["pool_by"], part["result"], part["reason"]), (pool, by, result, reason))

    def test_client(self):
        with Conf() as c:
            for more, result, reason in ((("--client", "192.0.2.1"), "passed", "untrusted"),
                                         (SMTP, "passed", "not-in-pool"),
                                         (("--user", "boss"), "accepted", None)):
                part = self.explain(c, "a@closed.example", "b@gmail.com", more=more)["treatments"][0]
                self.assertEqual((part["result"], part["reason"]), (result, reason), more)
        with Conf('no_pool = "reject";') as c:
            j = self.explain(c, "a@other.example", "b@gmail.com", status=EX_NOPERM)
            self.assertEqual(j["treatments"][0]["reply"]["code"], "550")

    def test_treatment(self):
        with Conf() as c:
            j = self.explain(c, "ann@example.com", "bob@web.de", more=("--user", "u1"))
            part = j["treatments"][0]
            self.assertEqual(part["isp"], "mine")
            self.assertEqual(part["encoding"], {"html": "base64", "text": "quoted-printable", "other": "keep"})
            self.assertEqual([(h["by"], h["edit"], h["name"], h.get("value"), h.get("expanded"))
                              for h in part["headers"]], [
                ("pool", "delete", "X-Internal-*", None, None),
                ("pool", "add", "X-Acme", "${pool}/${sender}", "acme/ann@example.com"),
                ("isp", "delete", "X-Acme", None, None),
                ("isp", "set", "X-Campaign", "${header:X-C}:${isp}", None),
                ("isp", "add", "X-Isp", "${isp} ${rcpt_domain} ${login} $$", "mine web.de u1 $"),
                ("isp", "add", "X-Nothing", "${login}", "u1")])
            self.assertEqual([(s["domain"], s["selector"], s["algorithm"], s["key"]) for s in part["signatures"]],
                             [("example.com", "ak", "rsa-sha256", c.path("key.pem")),
                              ("esp.example", "ed", "ed25519-sha256", c.path("ed25519.pem"))])
            names = part["signed_headers"]
            self.assertEqual(len(names), len(set(names)))
            for name in ("from", "subject", "content-type", "list-unsubscribe-post", "feedback-id", "x-tag", "x-acme",
                         "x-campaign", "x-isp", "x-nothing"):
                self.assertIn(name, names)
            self.assertNotIn("received", names)
            self.assertEqual(part["oversigned_headers"],
                             ["from", "reply-to", "list-unsubscribe", "list-unsubscribe-post"])
            status, output, errors = run("verp", "decode", "-c", c.conf, "--json", "--rcpt", "bob@web.de",
                                         part["return_path"])
            self.assertEqual(status, EX_OK, errors)
            self.assertEqual(json.loads(output)["pool"], "acme")
            self.assertEqual(self.explain(c, "a@closed.example", "b@seznam.cz", more=("-u", "boss"))
                             ["treatments"][0]["return_path"], "a@closed.example")

    def test_recipients_by_mx_and_their_limits(self):
        zone = {"hosted.test": {"MX": ["1 aspmx.l.google.com."]}}
        with dnsserver.Server(zone) as server, Conf(port=server.port) as c:
            j = self.explain(c, "ann@example.com", "bob@hosted.test")
            self.assertEqual([(r["recipient"], r["isp"], r["how"], r["mx"]) for r in j["recipients"]],
                             [("bob@hosted.test", "gmail", "mx", [{"host": "aspmx.l.google.com", "isp": "gmail"}])])
            self.assertEqual(j["treatments"][0]["limits"]["connections"], 5)
            self.assertEqual(server.queries["hosted.test", "MX"], 1)

    RCPTS = ("a@gmail.com", "b@web.de", "c@seznam.cz", "d@twin.example")

    def parts(self, j):
        return [(p["when"], p["isp"], p["recipients"]) for p in j["treatments"]]

    def test_several_isps(self):
        split = [("now", "gmail", ["a@gmail.com", "c@seznam.cz"]), ("injected again", "mine", ["b@web.de"]),
                 ("injected again", "twin", ["d@twin.example"])]
        defer = [(when.replace("injected again", "another transaction"), isp, rcpts) for when, isp, rcpts in split]
        neutral = [("now", "default", list(self.RCPTS))]
        for keys, more, mixed, expected in (("", SMTP, "neutral", neutral),
                                            (SPLIT, SMTP, "split", split),
                                            (SPLIT, (), "neutral", neutral),
                                            ('mixed_isps = "defer";', SMTP, "defer", defer),
                                            ('mixed_isps = "defer";', (), "neutral", neutral)):
            with self.subTest(keys=keys, more=more), Conf(keys) as c:
                j = self.explain(c, "ann@example.com", *self.RCPTS, more=more)
                self.assertEqual((j["mixed_isps"], self.parts(j)), (mixed, expected))
        with Conf(SPLIT) as c:
            j = self.explain(c, "ann@example.com", "a@gmail.com", "c@seznam.cz", more=SMTP)
            self.assertEqual((j["mixed_isps"], self.parts(j)),
                             ("alike", [("now", "gmail", ["a@gmail.com", "c@seznam.cz"])]))
            j = self.explain(c, "ann@example.com", "a@gmail.com", "x@gmail.com", more=SMTP)
            self.assertIsNone(j["mixed_isps"])

    def test_it_is_what_process_does(self):
        """The message's own treatment: the same pool, record, signatures and edits."""
        eml = b"From: <ann@example.com>\nX-Internal-1: a\n\nhello\n"
        for keys in ("", SPLIT):
            with Conf(keys) as c:
                rcpts = [word for rcpt in self.RCPTS for word in ("-r", rcpt)]
                j = self.explain(c, "ann@example.com", *self.RCPTS, more=SMTP)
                done = json.loads(process(c, eml, "-f", "ann@example.com", *rcpts, *SMTP))
                part = j["treatments"][0]
                self.assertEqual((j["pool"], part["isp"], j["mixed_isps"], part["recipients"]),
                                 (done["pool"], done["isp"], done["mixed_isps"], done["recipients"]))
                self.assertCountEqual([s["domain"] for s in part["signatures"]],
                                      [s["domain"] for s in done["signatures"]])
                self.assertEqual([p["recipients"] for p in j["treatments"][1:]],
                                 [g["recipients"] for g in done["injected_again"]])
                added = {e["name"]: e["value"].strip() for e in done["edits"] if e["edit"] == "add"}
                told = {h["name"]: h["expanded"] for h in part["headers"] if h["edit"] == "add"}
                self.assertEqual({name: value for name, value in told.items() if value}, added)

    def test_limits(self):
        custom = """isps = ( { name = "mine"; domains = [ "mine.example" ]; limits = [ "20/second" ]; connections = 5;
                       total_limits = [ "100/second" ]; encoding: { html = "base64"; }; } );\n"""
        pools = POOLS.replace("match_subdomains = true;",
                              'match_subdomains = true; limits = [ "5000/hour" ]; on_limit = "hold";')
        charges = [("p/acme", "5000/hour", 3), ("pi/acme/mine", "20/second", 2), ("i/mine", "100/second", 2)]
        rcpts = "a@mine.example", "b@mine.example", "c@gmail.com"
        for keys in ("", SPLIT):
            with Conf(keys, custom=custom, pools=pools) as c:
                j = self.explain(c, "ann@example.com", *rcpts, more=SMTP)
                limits = j["treatments"][0]["limits"]
                self.assertEqual([(x["key"], x["limit"], x["amount"]) for x in limits["charges"]], charges)
                self.assertEqual((limits["on_limit"], limits["count"]), ("hold", "recipients"))
                self.assertEqual([part["limits"]["charges"] for part in j["treatments"][1:]], [[]] * bool(keys))
                text = c.run("explain", *SMTP, "-f", "ann@example.com",
                             *[word for rcpt in rcpts for word in ("-r", rcpt)])
                self.assertIn("limits      5000/hour of pool acme: this message counts 3 (recipients)\n"
                              "            20/second of pool acme to mine: this message counts 2 (recipients)\n"
                              "            100/second to mine: this message counts 2 (recipients)\n"
                              "            over one of them: hold (on_limit)\n", text)
                self.assertEqual("limits      charged with the message itself\n" in text, bool(keys))

    def test_text(self):
        with Conf(SPLIT) as c:
            text = c.run("explain", *SMTP, "-f", "ann@mail.example.com",
                         *[word for rcpt in self.RCPTS for word in ("-r", rcpt)])
            for part in ("client      client in trusted_networks\n", "by match_subdomains of example.com; %s:" % c.conf,
                         "<b@web.de>: mine (domain); custom %s:" % c.conf, "at smtp://127.0.0.1:10026\n",
                         "\nnow: <a@gmail.com> <c@seznam.cz>\nrecord      gmail\n",
                         "\ninjected again: <b@web.de>\nrecord      mine\n",
                         "encoding    html:base64,text:quoted-printable,other:keep\n",
                         "pool: add X-Acme: ${pool}/${sender} -> acme/ann@mail.example.com\n",
                         "isp: set X-Campaign: ${header:X-C}:${isp}\n", "isp: add X-Nothing: ${login} -> (nothing)\n",
                         "signatures  d=example.com s=ak a=rsa-sha256 key=%s\n" % c.path("key.pem"),
                         "oversigned  from reply-to", "connections at a time: 5", "result      accepted\n"):
                self.assertIn(part, text)

    def test_wrong_use(self):
        with Conf() as c:
            for arguments in ([], ["-f", "a@example.com"], ["-r", "b@gmail.com"], ["-f", "<>", "-r", "b@gmail.com"],
                              ["-f", "a@example.com\r\nBcc: x", "-r", "b@gmail.com"],
                              ["-f", "a@example.com", "-r", "b@gmail.com\n"], ["-f", "a@b.c", "-r", "b@c.d", "more"],
                              ["-f", "a@b.c", "-r", "b@c.d", "--client", "nobody"]):
                self.assertIn('Try "poolctl help explain".', c.run("explain", *arguments, status=EX_USAGE))


def process(c, eml, *arguments):
    return subprocess.run([PROGRAM, "process", "-c", c.conf, "--json", *arguments], input=eml, timeout=60, check=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).stderr


if __name__ == "__main__":
    tap.TestCase.maxDiff = None
    tap.main()
