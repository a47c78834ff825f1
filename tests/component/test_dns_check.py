#!/usr/bin/python3
"""poolctl dns check against a real DNS server (unbound with local data, on loopback).

Good zones are what poolctl dns print says, and independent judges accept them: python3-dkim, pyspf,
Mail::DMARC.  Each bad zone is a good one with one fault, and the check finds exactly that.
"""
import base64
import copy
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import time

import dkim
import dkim.util

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "config"))
import dnsjudge                                                         # noqa: E402
import instance                                                         # noqa: E402
import tap                                                              # noqa: E402
import unboundserver                                                    # noqa: E402
from poolctl import PROGRAM, SOURCE, Directory, run                     # noqa: E402

EX_OK, EX_WARNINGS, EX_ERRORS, EX_USAGE, EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 0, 1, 2, 64, 69, 75, 78
SLOW = bool(os.environ.get("POOLMILTER_SLOW"))
RSA1024 = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
RSA2048 = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:65537")
RSA4096 = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096")
ED25519 = ("-algorithm", "ED25519")

TOP = """listen = "unix:@D@/sock"; user = "@U@"; socket_group = "@G@"; state_dir = "@D@";
dns: { timeout_ms = %d; };
pools = ( %s );
"""
POOL = """{ name = "%(name)s"; sender_domain = "%(domain)s"; dkim_selector = "ak"; dkim_key = "@D@/%(key)s.pem";
  spf_domain = "%(spf_domain)s"; %(more)s }
"""
FULL = """sender_subdomain = "mail"; source_ips = [ "192.0.2.4", "2001:db8::4" ]; spf_include = [ "spf.esp.example" ];
  bimi_logo = "https://example.com/bimi/logo.svg"; bounce_target = "mx.esp.example";
  tracking_domain = "trk.example.com"; tracking_target = "trk.esp.example";
  dkim_next = { selector = "ak2"; key = "@D@/next.pem"; };
"""
DMARC = """dmarc: { policy = "reject"; subdomain_policy = "reject"; rua = "mailto:dmarc@reports.example"; };
"""

# What the pools' records lead to.
OTHERS = {
    "mx.esp.example": {"A": ["198.51.100.1"]},
    "trk.esp.example": {"A": ["198.51.100.2"]},
    "spf.esp.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
    "nospf.example": {"TXT": ["hello"]},
    "host.example": {"A": ["192.0.2.4"]},
    "alias.example": {"CNAME": ["mx.esp.example."]},
    "other.example": {"A": ["203.0.113.9"]},
}


def pool(name="acme", domain="example.com", spf_domain=None, key="key", more=""):
    return POOL % {"name": name, "domain": domain, "spf_domain": spf_domain or "ac-bounces." + domain, "key": key,
                   "more": more}


SETUPS = {
    "full": pool(more=FULL + DMARC),
    "subdomains": pool(more=FULL + DMARC + "match_subdomains = true;"),
    "weak": pool(key="weak", more=FULL + DMARC),
    "ed25519": pool(key="ed25519", more=FULL + DMARC),
    "large": pool(key="large", more=FULL + DMARC),
    "foreign": pool(spf_domain="bounce.foreign.example", more=FULL + DMARC),
    "lenient": pool(more=FULL + 'dmarc: { policy = "none"; rua = "mailto:d@example.com"; };'),
    "plain": pool(),
    "relayed": pool(more='spf_include = [ "spf.esp.example" ]; bounce_target = "mx.esp.example";'),
    "alias": pool(more='bounce_target = "mx.esp.example";'),
}


class Rig:
    """Configurations, their keys and their good zones, made once."""

    def __init__(self, directory):
        self.d = directory
        directory.key("key.pem")
        directory.key("next.pem", RSA2048)
        directory.key("weak.pem", RSA1024)
        directory.key("ed25519.pem", ED25519)
        directory.key("large.pem", RSA4096)
        self.paths = {name: self.configure(name, pools) for name, pools in SETUPS.items()}
        self.zones = {name: self.zone(path) for name, path in self.paths.items()}

    def configure(self, name, pools, timeout=2000):
        text = TOP % (timeout, pools)
        for mark, value in (("@D@", self.d.root), ("@U@", self.d.user), ("@G@", self.d.group)):
            text = text.replace(mark, value)
        return self.d.write(name + ".conf", text)

    @staticmethod
    def zone(path):
        status, out, err = run("dns", "print", "--json", "-c", path)
        assert status == EX_OK, err
        zone = copy.deepcopy(OTHERS)
        for record in json.loads(out)["records"]:
            value = record["value"]
            if record["type"] == "MX" and " " not in value:
                value = "10 " + value
            if record["type"] in ("MX", "PTR", "CNAME"):
                value = value.rstrip(".") + "."
            zone.setdefault(record["name"], {}).setdefault(record["type"], []).append(value)
        return zone

    def public(self, kind, *how):
        """A public key: base64 of what openssl writes for it."""
        pem = subprocess.run(["openssl", "genpkey", *kind], check=True, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, timeout=60).stdout
        path = self.d.write("other.pem", pem)
        der = subprocess.run(["openssl", *(how or ("pkey", "-pubout")), "-in", path], check=True, timeout=60,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        return "".join(line for line in der.splitlines() if not line.startswith("-"))


RIG = None
HELO, DOMAIN, BOUNCE = "mail.example.com", "example.com", "ac-bounces.example.com"
PTR4 = "4.2.0.192.in-addr.arpa"
KEY, NEXT = "ak._domainkey.example.com", "ak2._domainkey.example.com"
DMARC_AT, BIMI_AT, TRACK = "_dmarc.example.com", "default._bimi.example.com", "trk.example.com"
REPORTS = "example.com._report._dmarc.reports.example"
ADDRESSES = "ip4:192.0.2.4 ip6:2001:db8::4"


def put(name, kind, *values):
    """The values in place of those that the zone has; none: takes them away."""
    def change(zone):
        types = zone.setdefault(name, {})
        types[kind] = list(values)
        if not values:
            del types[kind]
    return change


def txt(name, *values):
    return put(name, "TXT", *values)


def also(name, kind, value):
    return lambda zone: zone.setdefault(name, {}).setdefault(kind, []).append(value)


def gone(name):
    return lambda zone: zone.pop(name, None)


def key_with(old, new):
    """The DKIM record with a piece replaced."""
    def change(zone):
        text = zone[KEY]["TXT"][0]
        assert old in text
        zone[KEY]["TXT"] = [text.replace(old, new)]
    return change


def key_p(make):
    """The DKIM record with another p=, made from the old one."""
    def change(zone):
        head, p = zone[KEY]["TXT"][0].split("p=")
        zone[KEY]["TXT"] = [head + "p=" + make(p)]
    return change


def spf_with(*terms):
    """SPF of the Return-Path's domain: terms between version and end."""
    return txt(BOUNCE, " ".join(("v=spf1",) + terms))


def many(count):
    """SPF with so many includes, of records that exist."""
    def change(zone):
        for i in range(count):
            zone["i%d.example" % i] = {"TXT": ["v=spf1 ip4:203.0.113.%d -all" % i]}
        includes = " ".join("include:i%d.example" % i for i in range(count))
        zone[BOUNCE]["TXT"] = ["v=spf1 %s include:spf.esp.example %s -all" % (ADDRESSES, includes)]
    return change


def BESIDE(zone):
    """A TXT record beside the tracking CNAME; the server answers with what comes first."""
    zone[TRACK] = {"TXT": ["hello"], **zone[TRACK]}


INCLUDE = "include:spf.esp.example"
GOOD_DMARC = "v=DMARC1; p=reject; sp=reject; rua=mailto:dmarc@reports.example"

# name, set-up, changes of its good zone, findings ("purpose: code")
BAD = [
    ("A missing", "full", [put(HELO, "A")], "helo: missing"),
    ("A of another address", "full", [put(HELO, "A", "192.0.2.5")], "helo: address-wrong"),
    ("AAAA missing", "full", [put(HELO, "AAAA")], "helo: missing"),
    ("PTR missing", "full", [gone(PTR4)], "ptr: missing"),
    ("PTR names a host that confirms", "full", [put(PTR4, "PTR", "host.example.")], "ptr: ptr-wrong"),
    ("PTR names a host that does not confirm", "full", [put(PTR4, "PTR", "other.example.")],
     "ptr: ptr-unconfirmed"),
    ("PTR names nothing", "full", [put(PTR4, "PTR", "gone.example.")], "ptr: ptr-unconfirmed"),
    ("two PTR", "full", [also(PTR4, "PTR", "other.example.")], "ptr: ptr-several"),
    ("SPF of the HELO name missing", "full", [txt(HELO)], "helo-spf: advisable"),
    ("MX is a CNAME", "full", [put(DOMAIN, "MX", "10 alias.example.")], "mx: mx-alias"),
    ("MX is no host", "full", [put(DOMAIN, "MX", "10 gone.example.")], "mx: mx-nowhere"),
    ("null MX", "full", [put(DOMAIN, "MX", "0 .")], "mx: mx-null"),
    ("neither MX nor A", "full", [put(DOMAIN, "MX")], "mx: mx-nowhere"),
    ("A, but no MX", "full", [put(DOMAIN, "MX"), put(DOMAIN, "A", "192.0.2.80")], "mx: advisable"),
    ("SPF missing", "full", [txt(BOUNCE)], "bounce-spf: missing"),
    ("TXT, but no SPF", "full", [txt(BOUNCE, "hello", "v=spf10 -all")], "bounce-spf: missing"),
    ("SPF of the sender missing", "full", [txt(DOMAIN)], "spf: advisable"),
    ("two SPF", "full", [also(BOUNCE, "TXT", "v=spf1 mx -all")], "bounce-spf: spf-several"),
    ("SPF without an address", "full", [spf_with("ip6:2001:db8::4", INCLUDE, "-all")],
     "bounce-spf: spf-unauthorised"),
    ("SPF with a softfail for us", "full", [spf_with(INCLUDE, "~all")], "bounce-spf: spf-unauthorised"),
    ("SPF of 11 look-ups", "full", [many(10)], "bounce-spf: spf-lookups"),
    ("SPF includes itself", "full", [spf_with(ADDRESSES, INCLUDE, "include:" + BOUNCE, "-all")],
     "bounce-spf: spf-lookups"),
    ("SPF of three void look-ups", "full",
     [spf_with(ADDRESSES, INCLUDE, "a:v1.example", "a:v2.example", "mx:v3.example", "-all")],
     "bounce-spf: spf-void-lookups"),
    ("SPF +all", "full", [spf_with(ADDRESSES, INCLUDE, "+all")], "bounce-spf: spf-all-pass"),
    ("SPF all without a sign", "full", [spf_with(ADDRESSES, INCLUDE, "all")], "bounce-spf: spf-all-pass"),
    ("SPF ?all", "full", [spf_with(ADDRESSES, INCLUDE, "?all")], "bounce-spf: spf-all-neutral"),
    ("SPF without all", "full", [spf_with(ADDRESSES, INCLUDE)], "bounce-spf: spf-all-none"),
    ("SPF with ptr", "full", [spf_with(ADDRESSES, INCLUDE, "ptr:example.com", "-all")], "bounce-spf: spf-ptr"),
    ("SPF includes what has none", "full", [spf_with(ADDRESSES, INCLUDE, "include:nospf.example", "-all")],
     "bounce-spf: spf-broken"),
    ("SPF redirects to nowhere", "full", [spf_with(ADDRESSES, INCLUDE, "redirect=gone.example")],
     "bounce-spf: spf-broken"),
    ("SPF with a broken address", "full", [spf_with("ip4:192.0.2.400", ADDRESSES, INCLUDE, "-all")],
     "bounce-spf: spf-broken"),
    ("SPF with an unknown mechanism", "full", [spf_with("ipv4:192.0.2.4", ADDRESSES, INCLUDE, "-all")],
     "bounce-spf: spf-broken"),
    ("SPF of three void look-ups, two of the domain itself", "full",
     [put(BOUNCE, "MX"), spf_with(ADDRESSES, INCLUDE, "a", "mx", "a:gone.example", "-all")],
     "bounce-spf: spf-void-lookups, bounce: bounce-nowhere"),
    ("SPF with a broken address, no address to try", "relayed", [spf_with("ip4:192.0.2.400", INCLUDE, "-all")],
     "bounce-spf: spf-broken"),
    ("SPF of two strings without a blank", "full",
     [lambda z: z[BOUNCE].update(TXT=[["v=spf1 ip4:192.0.2.4", "ip6:2001:db8::4 %s -all" % INCLUDE]])],
     "bounce-spf: spf-broken"),
    ("SPF with its include behind all", "full", [spf_with(ADDRESSES, "-all", INCLUDE)],
     "bounce-spf: spf-include-absent"),
    ("SPF without the include", "full", [spf_with(ADDRESSES, "-all")], "bounce-spf: spf-include-absent"),
    ("long SPF", "full",
     [spf_with(ADDRESSES, INCLUDE, *["ip4:203.0.113.%d" % i for i in range(30)], "-all")],
     "bounce-spf: record-long"),
    ("Sender ID", "full", [also(DOMAIN, "TXT", "spf2.0/pra include:mail.example.com -all")],
     "spf: spf-sender-id"),
    ("DKIM missing", "full", [gone(KEY)], "dkim: missing"),
    ("DKIM at the selector's name without _domainkey", "full",
     [lambda z: z.update({"ak.example.com": z.pop(KEY)})], "dkim: missing"),
    ("two DKIM records", "full", [also(KEY, "TXT", "v=DKIM1; p=")], "dkim: dkim-several"),
    ("DKIM cut at the first semicolon", "full", [txt(KEY, "v=DKIM1")], "dkim: dkim-cut"),
    ("DKIM with backslashes", "full", [key_with(";", "\\;")], "dkim: dkim-version"),
    ("DKIM of another version", "full", [key_with("DKIM1", "DKIM2")], "dkim: dkim-version"),
    ("DKIM version not first", "full", [key_with("v=DKIM1; k=rsa;", "k=rsa; v=DKIM1;")], "dkim: dkim-version"),
    ("DKIM without a separator", "full", [key_with("k=rsa;", "k=rsa; rsa;")], "dkim: dkim-broken"),
    ("DKIM with a tag twice", "full", [key_with("k=rsa;", "k=rsa; k=rsa;")], "dkim: dkim-broken"),
    ("DKIM in quotes of its own", "full", [key_with("v=DKIM1;", '"v=DKIM1;')], "dkim: dkim-broken"),
    ("DKIM of SSH", "full",
     [key_p(lambda p: "AAAAB3NzaC1yc2EAAAADAQABAAABAQDPGk8Y7X")], "dkim: dkim-ssh-key"),
    ("DKIM key cut off", "full", [key_p(lambda p: p[:200])], "dkim: dkim-garbled"),
    ("DKIM key with a character too few", "full", [key_p(lambda p: p[:50] + p[51:])], "dkim: dkim-garbled"),
    ("DKIM key as a PEM file", "full", [key_p(lambda p: "-----BEGIN PUBLIC KEY-----" + p)],
     "dkim: dkim-garbled"),
    ("DKIM key as PKCS #1", "full",
     [key_p(lambda p: RIG.public(RSA2048, "rsa", "-RSAPublicKey_out"))], "dkim: dkim-pkcs1"),
    ("DKIM key of 512 bits", "full",
     [key_p(lambda p: RIG.public(("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512")))],
     "dkim: dkim-short-key"),
    ("DKIM key of 1024 bits", "weak", [], "dkim: dkim-weak-key"),
    ("DKIM key of 4096 bits", "large", [], "dkim: record-long"),
    ("another DKIM key", "full", [key_p(lambda p: RIG.public(RSA2048))], "dkim: dkim-mismatch"),
    ("another Ed25519 key", "ed25519", [key_p(lambda p: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")],
     "dkim: dkim-mismatch"),
    ("Ed25519 key as SubjectPublicKeyInfo", "ed25519", [key_p(lambda p: "MCowBQYDK2VwAyEA" + p)],
     "dkim: dkim-garbled"),
    ("DKIM revoked", "full", [key_p(lambda p: "")], "dkim: dkim-revoked"),
    ("DKIM t=y", "full", [key_with("k=rsa;", "k=rsa; t=y;")], "dkim: dkim-testing"),
    ("DKIM t=s with subdomains", "subdomains", [key_with("k=rsa;", "k=rsa; t=s;")], "dkim: dkim-strict"),
    ("DKIM k=ed25519", "full", [key_with("k=rsa", "k=ed25519")], "dkim: dkim-key-type"),
    ("DKIM without k=", "ed25519", [key_with("k=ed25519; ", "")], "dkim: dkim-key-type"),
    ("DKIM h=sha1", "full", [key_with("k=rsa;", "k=rsa; h=sha1;")], "dkim: dkim-no-sha256"),
    ("DKIM s=tlsrpt", "full", [key_with("k=rsa;", "k=rsa; s=tlsrpt;")], "dkim: dkim-no-email"),
    ("DKIM CNAME to nowhere", "full", [gone(KEY), put(KEY, "CNAME", "gone.example.")], "dkim: cname-nowhere"),
    ("DomainKeys", "full", [txt("_domainkey.example.com", "o=-;")], "dkim: domainkeys-policy"),
    ("next key not published", "full", [gone(NEXT)], "dkim-next: dkim-next-missing"),
    ("next key is another", "full", [lambda z: z.update({NEXT: z[KEY]})], "dkim-next: dkim-mismatch"),
    ("DMARC missing", "full", [gone(DMARC_AT)], "dmarc: missing, bimi: bimi-dmarc"),
    ("two DMARC", "full", [also(DMARC_AT, "TXT", "v=DMARC1; p=none")],
     "dmarc: dmarc-several, bimi: bimi-dmarc"),
    ("DMARC in small letters", "full", [txt(DMARC_AT, GOOD_DMARC.replace("DMARC1", "dmarc1"))],
     "dmarc: dmarc-broken, bimi: bimi-dmarc"),
    ("DMARC p first", "full", [txt(DMARC_AT, "p=reject; v=DMARC1")], "dmarc: dmarc-broken, bimi: bimi-dmarc"),
    ("DMARC with commas", "full", [txt(DMARC_AT, GOOD_DMARC.replace("; ", ", "))],
     "dmarc: dmarc-broken, bimi: bimi-dmarc"),
    ("DMARC with a word alone", "full", [txt(DMARC_AT, GOOD_DMARC + "; quarantine")], "dmarc: dmarc-broken"),
    ("DMARC without rua", "full", [txt(DMARC_AT, "v=DMARC1; p=reject; sp=reject")], "dmarc: dmarc-no-rua"),
    ("DMARC as some guides print it", "full",
     [txt(DMARC_AT, "v=DMARC1; p=reject; sp=reject; mailto:report@example.com")], "dmarc: dmarc-bare-mailto"),
    ("DMARC p=block", "lenient", [txt(DMARC_AT, "v=DMARC1; p=block; rua=mailto:d@example.com"), gone(BIMI_AT)],
     "dmarc: dmarc-policy, bimi: advisable"),
    ("DMARC without p", "lenient", [txt(DMARC_AT, "v=DMARC1; rua=mailto:d@example.com"), gone(BIMI_AT)],
     "dmarc: dmarc-policy, bimi: advisable"),
    ("DMARC p weaker than wanted", "full", [txt(DMARC_AT, GOOD_DMARC.replace("p=reject", "p=quarantine", 1))],
     "dmarc: dmarc-weaker"),
    ("DMARC sp weaker than wanted", "full", [txt(DMARC_AT, GOOD_DMARC.replace("sp=reject", "sp=quarantine"))],
     "dmarc: dmarc-weaker"),
    ("DMARC pct", "full", [txt(DMARC_AT, GOOD_DMARC + "; pct=50")], "dmarc: dmarc-percent, bimi: bimi-dmarc"),
    ("DMARC rua without mailto", "full", [txt(DMARC_AT, GOOD_DMARC.replace("mailto:", ""))],
     "dmarc: dmarc-rua-broken"),
    ("DMARC rua of others", "full", [txt(DMARC_AT, GOOD_DMARC.replace("reports.example", "others.example"))],
     "dmarc: dmarc-rua-refused"),
    ("DMARC reports not agreed to", "full", [gone(REPORTS)], "dmarc-reports: dmarc-rua-refused"),
    ("DMARC at the domain itself", "full", [gone(DMARC_AT), also(DOMAIN, "TXT", GOOD_DMARC)],
     "dmarc: dmarc-place, bimi: bimi-dmarc"),
    ("DMARC without the last dot", "full", [lambda z: z.update({DMARC_AT + ".example.com": z.pop(DMARC_AT)})],
     "dmarc: dmarc-place, bimi: bimi-dmarc"),
    ("DMARC aspf=s", "full", [txt(DMARC_AT, GOOD_DMARC + "; aspf=s")], "dmarc: dmarc-spf-alignment"),
    ("DMARC adkim=s with subdomains", "subdomains", [txt(DMARC_AT, GOOD_DMARC + "; adkim=s")],
     "dmarc: dmarc-dkim-alignment"),
    ("spf_domain of another organisation", "foreign", [], "dmarc: dmarc-spf-alignment"),
    ("BIMI missing", "full", [gone(BIMI_AT)], "bimi: advisable"),
    ("two BIMI", "full", [also(BIMI_AT, "TXT", "v=BIMI1; l=")], "bimi: bimi-several"),
    ("BIMI without https", "full", [txt(BIMI_AT, "v=BIMI1; l=http://example.com/bimi/logo.svg")],
     "bimi: bimi-url"),
    ("BIMI with an empty l=", "full", [txt(BIMI_AT, "v=BIMI1; l=;")], "bimi: bimi-url"),
    ("BIMI with another logo", "full", [txt(BIMI_AT, "v=BIMI1; l=https://example.com/old.svg")],
     "bimi: bimi-logo"),
    ("BIMI without a version", "full", [txt(BIMI_AT, "l=https://example.com/bimi/logo.svg")],
     "bimi: bimi-broken"),
    ("BIMI without an enforcing DMARC", "lenient", [], "bimi: bimi-dmarc"),
    ("tracking missing", "full", [gone(TRACK)], "tracking: missing"),
    ("tracking leads elsewhere", "full", [put(TRACK, "CNAME", "other.example.")],
     "tracking: tracking-elsewhere"),
    ("tracking is a wrong A", "full", [gone(TRACK), put(TRACK, "A", "203.0.113.7")],
     "tracking: tracking-elsewhere"),
    ("tracking target has no address", "full", [gone("trk.esp.example")], "tracking: cname-nowhere"),
    ("bounces: neither MX nor A", "full", [put(BOUNCE, "MX")], "bounce: bounce-nowhere"),
    ("bounces: null MX", "full", [put(BOUNCE, "MX", "0 .")], "bounce: bounce-nowhere"),
    ("bounces: MX is no host", "full", [put(BOUNCE, "MX", "10 gone.example.")], "bounce: bounce-nowhere"),
    ("bounces: MX is a CNAME", "full", [also(BOUNCE, "MX", "20 alias.example.")], "bounce: mx-alias"),
    ("bounces: elsewhere", "full", [put(BOUNCE, "MX", "10 other.example.")], "bounce: bounce-elsewhere"),
    ("bounces: to the domain's own address", "full", [put(BOUNCE, "MX"), put(BOUNCE, "A", "192.0.2.80")],
     "bounce: bounce-elsewhere"),
    ("bounces: CNAME missing", "alias", [gone(BOUNCE)], "bounce: bounce-nowhere"),
    ("bounces: CNAME to nowhere", "alias", [put(BOUNCE, "CNAME", "gone.example.")], "bounce: bounce-nowhere"),
    ("bounces: CNAME elsewhere", "alias", [put(BOUNCE, "CNAME", "other.example.")], "bounce: bounce-elsewhere"),
    ("CNAME beside DMARC", "full", [put(DMARC_AT, "CNAME", "other.example.")], "dmarc: cname-conflict"),
    ("TXT beside the tracking CNAME", "full", [BESIDE], "tracking: cname-conflict"),
]

# These are as good as what is printed.
GOOD = [
    ("as printed", "full", []),
    ("subdomains", "subdomains", []),
    ("Ed25519", "ed25519", []),
    ("only what must be", "plain", []),
    ("bounces by CNAME", "alias", []),
    ("without addresses", "relayed", []),
    ("DKIM by CNAME", "full", [lambda z: z.update({"k.esp.example": z[KEY], KEY: {"CNAME": ["k.esp.example."]}})]),
    ("DKIM in many strings, with blanks", "full",
     [lambda z: z[KEY].update(TXT=[[z[KEY]["TXT"][0][:200] + " ", " " + z[KEY]["TXT"][0][200:]]])]),
    ("DKIM with all tags", "full",
     [key_with("k=rsa;", "k=rsa;h=sha1:sha256;s=email;t=s;n=a b; x_=1;")]),
    ("DKIM without a version and with a last semicolon", "full",
     [key_with("v=DKIM1; ", ""), key_p(lambda p: p + ";")]),
    ("SPF by another way", "full", [spf_with("mx:way.example", "a:host6.example", INCLUDE, "~all"),
                                    put("way.example", "MX", "10 host.example."),
                                    put("host6.example", "AAAA", "2001:db8::4")]),
    ("SPF of ten look-ups", "full", [many(9)]),
    ("SPF with look-ups behind all", "full",
     [spf_with(ADDRESSES, "include:SPF.esp.example.", "-all", "include:gone.example")]),
    ("SPF in capitals, by redirect", "full", [spf_with("redirect=all.example"),
                                              txt("all.example", "V=SPF1 %s %s -ALL" % (ADDRESSES, INCLUDE))]),
    ("SPF beside other TXT", "full", [also(BOUNCE, "TXT", "site-verification=1")]),
    ("SPF with void look-ups that are allowed", "full",
     [spf_with(ADDRESSES, INCLUDE, "a:v1.example", "mx:v2.example", "-all")]),
    ("MX elsewhere", "full", [put(DOMAIN, "MX", "10 other.example.")]),
    ("stricter DMARC, reports at home and with sizes", "full",
     [txt(DMARC_AT, "v=DMARC1;p=reject;rua=mailto:a@example.com!10m, mailto:b@x.example.com; fo=1; ri=3600")]),
    ("tracking by the target's own address", "full", [gone(TRACK), put(TRACK, "A", "198.51.100.2")]),
    ("more addresses at the HELO name", "full", [also(HELO, "A", "192.0.2.99")]),
]


def changed(setup, changes):
    zone = copy.deepcopy(RIG.zones[setup])
    for change in changes:
        change(zone)
    return zone


def check(server, path, *arguments):
    """Exit status and the report."""
    status, out, err = run("dns", "check", "--json", "-c", path, "--resolver", server, *arguments)
    return status, json.loads(out) if out.startswith("{") else {}, err


def findings(report):
    return {"%s: %s" % (r["for"], f["code"]) for r in report["records"] for f in r["findings"]}


def severities(report):
    return {f["severity"] for r in report["records"] for f in r["findings"]}


def status_of(severity):
    if "error" in severity:
        return EX_ERRORS
    if "unknown" in severity:
        return EX_TEMPFAIL
    return EX_WARNINGS if "warning" in severity else EX_OK


class Bad(tap.TestCase):
    def test_each_fault_is_found_and_nothing_else(self):
        self.assertGreaterEqual(len(BAD), 40)
        self.assertEqual(len({case[0] for case in BAD}), len(BAD))
        for name, setup, changes, want in BAD:
            with self.subTest(name):
                with unboundserver.Server(changed(setup, changes)) as server:
                    status, report, err = check(server.address, RIG.paths[setup])
                self.assertEqual(findings(report), set(want.split(", ")), err)
                self.assertEqual(status, status_of(severities(report)))

    def test_each_has_a_way_to_mend_it_and_a_place_in_the_manual(self):
        with open(os.path.join(SOURCE, "doc", "poolctl.1.in"), encoding="ascii") as f:
            manual = f.read().replace("\\-", "-")
        with open(os.path.join(SOURCE, "src", "core", "finding.c"), encoding="ascii") as f:
            codes = re.findall(r'= \{"([a-z0-9-]+)", FINDING_', f.read())
        self.assertGreater(len(codes), 50)
        for code in codes:
            with self.subTest(code):
                self.assertTrue(re.search(r"(?m)^\.B %s$" % re.escape(code), manual), code)
        found = {f for _, _, _, want in BAD for f in want.split(", ")}
        untested = set(codes) - {f.split(": ")[1] for f in found} - {"dns-unknown", "key-unreadable"}
        self.assertEqual(untested, set())


class Good(tap.TestCase):
    def test_nothing_is_found(self):
        for name, setup, changes in GOOD:
            with self.subTest(name):
                with unboundserver.Server(changed(setup, changes)) as server:
                    status, report, err = check(server.address, RIG.paths[setup])
                self.assertEqual(findings(report), set(), err)
                self.assertEqual(status, EX_OK)
                self.assertEqual(report["summary"]["good"], len(report["records"]))

    def test_judges_accept_it(self):
        for name, setup, changes in GOOD:
            with unboundserver.Server(changed(setup, changes)) as server:
                judge = Judge(server.port)
                key = "ed25519" if setup == "ed25519" else "key"
                with self.subTest(name, judge="dkim"):
                    self.assertTrue(judge.accepts_key(key), name)
                if setup in ("plain", "alias", "relayed"):
                    continue
                for domain, helo in ((BOUNCE, HELO), (DOMAIN, HELO)):
                    for address in ("192.0.2.4", "2001:db8::4"):
                        with self.subTest(name, judge="spf", domain=domain, address=address):
                            self.assertEqual(judge.spf(address, "postmaster@" + domain, helo), "pass", name)
                with self.subTest(name, judge="dmarc"):
                    self.assertEqual(judge.says_dmarc(), "pass reject pass pass", name)

    def test_judges_refuse_what_is_bad(self):
        """Else their consent above would prove nothing."""
        for name, changes, refuse in (
                ("dkim", [key_p(lambda p: "")], lambda j: not j.accepts_key("key")),
                ("spf", [spf_with("-all")], lambda j: j.spf("192.0.2.4", "postmaster@" + BOUNCE, HELO) == "fail"),
                ("dmarc", [gone(DMARC_AT)], lambda j: not j.says_dmarc().startswith("pass"))):
            with self.subTest(name), unboundserver.Server(changed("full", changes)) as server:
                self.assertTrue(refuse(Judge(server.port)))


class Judge(dnsjudge.Judge):
    """What receivers say of the mail of acme."""

    def accepts_key(self, key):
        message = b"From: a@example.com\r\nTo: b@recipient.example\r\nSubject: hi\r\n\r\nhello\r\n"
        algorithm, pem = b"rsa-sha256", pathlib.Path(RIG.d.path(key + ".pem")).read_bytes()
        if key == "ed25519":
            der = subprocess.run(["openssl", "pkey", "-in", RIG.d.path(key + ".pem"), "-outform", "DER"], check=True,
                                 stdout=subprocess.PIPE, timeout=60).stdout
            algorithm, pem = b"ed25519-sha256", base64.b64encode(der[-32:])
        signed = dkim.sign(message, b"ak", b"example.com", pem, signature_algorithm=algorithm) + message
        return self.dkim(signed) == [("example.com", "ak", "pass")]

    def says_dmarc(self):
        return self.dmarc("192.0.2.4", DOMAIN, BOUNCE, [(DOMAIN, "ak", "pass")], "pass")


class Trouble(tap.TestCase):
    def test_what_cannot_be_asked_is_unknown(self):
        for what in ("servfail", "drop"):
            with self.subTest(what):
                path = RIG.configure("short", SETUPS["full"], timeout=300)
                with unboundserver.Server(RIG.zones["full"], trouble={KEY: what}) as server:
                    status, report, err = check(server.address, path)
                self.assertEqual(findings(report), {"dkim: dns-unknown"}, err)
                self.assertEqual(status, EX_TEMPFAIL)
                (record,) = [r for r in report["records"] if r["findings"]]
                self.assertEqual(record["state"], {"servfail": "the DNS server failed (SERVFAIL)",
                                                   "drop": "no answer in time"}[what])

    def test_an_error_is_worse_than_unknown(self):
        with unboundserver.Server(changed("full", [gone(KEY)]), trouble={DMARC_AT: "servfail"}) as server:
            status, report, _ = check(server.address, RIG.paths["full"])
        self.assertEqual(findings(report), {"dkim: missing", "dmarc: dns-unknown", "bimi: dns-unknown"})
        self.assertEqual(status, EX_ERRORS)

    def test_no_server(self):
        path = RIG.configure("short", many_pools(200), timeout=300)
        begun = time.monotonic()
        status, report, _ = check("127.0.0.1@%d" % instance.free_port(), path)
        took = time.monotonic() - begun
        self.assertEqual(status, EX_TEMPFAIL)
        self.assertEqual(severities(report), {"unknown"})
        self.assertLess(took, 60 if SLOW else 5, "a dead server is not asked thousands of times")

    def test_wrong_use(self):
        for want, *arguments in ((EX_USAGE, "--resolver", "no address"), (EX_UNAVAILABLE, "nobody"),
                                 (EX_USAGE, "--no-such")):
            with self.subTest(arguments):
                status, out, err = run("dns", "check", "-c", RIG.paths["full"], *arguments)
                self.assertEqual((status, out), (want, ""))
                self.assertNotEqual(err, "")
        self.assertEqual(run("dns", "check", "-c", RIG.d.path("none.conf"))[0], EX_CONFIG)


class Report(tap.TestCase):
    def test_text(self):
        with unboundserver.Server(changed("full", [key_p(lambda p: ""), BESIDE])) as server:
            status, out, err = run("dns", "check", "-c", RIG.paths["full"], "--resolver", server.address)
            quiet = run("dns", "check", "-q", "-c", RIG.paths["full"], "--resolver", server.address)
        self.assertEqual(status, EX_ERRORS, err)
        lines = out.splitlines()
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertEqual(lines[0], "pool acme (example.com)")
        self.assertIn("good     A     mail.example.com", lines)
        at = lines.index("error    TXT   ak._domainkey.example.com")
        self.assertRegex(lines[at + 1], r"^ {9}v=DKIM1; k=rsa; p=[A-Za-z0-9+/]+ +v=DKIM1; k=rsa; p=$")
        self.assertIn("         dkim-revoked: p= is empty: the key is revoked", lines)
        self.assertEqual(lines[-1], "15 records: 13 good, 0 with notes, 0 with warnings, 2 with errors, 0 not known")
        self.assertEqual(quiet[0], EX_ERRORS)
        self.assertEqual(re.findall(r"(?m)^[a-z]+ +(?:A|AAAA|PTR|MX|TXT|CNAME) .*$", quiet[1]),
                         ["error    TXT   ak._domainkey.example.com", "error    CNAME trk.example.com"])

    def test_quiet_says_nothing_if_all_is_good(self):
        with unboundserver.Server(changed("full", [gone(NEXT)])) as server:
            self.assertEqual(run("dns", "check", "--quiet", "-c", RIG.paths["full"], "--resolver",
                                 server.address), (EX_OK, "", ""))

    def test_what_comes_from_the_dns_cannot_steer_the_terminal(self):
        with unboundserver.Server(RIG.zones["full"]) as server:
            server.stop()
            server.zone = changed("full", [txt(BIMI_AT, "v=BIMI1; l=\\027[31mhttps")])
            with server:
                out = run("dns", "check", "-c", RIG.paths["full"], "--resolver", server.address)[1]
        self.assertNotIn("\x1b", out)

    def test_chosen_pools(self):
        path = RIG.configure("two", pool(more=FULL) + "," + pool("beta", "beta.example"))
        with unboundserver.Server(RIG.zones["full"]) as server:
            status, report, _ = check(server.address, path, "beta")
        self.assertEqual({tuple(r["pools"]) for r in report["records"]}, {("beta",)})
        self.assertEqual(status, EX_ERRORS)

    def test_resolver_of_the_settings(self):
        with unboundserver.Server(RIG.zones["full"]) as server:
            path = RIG.configure("resolver", SETUPS["full"])
            with open(path, "a", encoding="ascii") as f:
                f.write('resolver = "%s";\n' % server.address)
            self.assertEqual(run("dns", "check", "-q", "-c", path), (EX_OK, "", ""))


class TagLists(tap.TestCase):
    """Which tag lists are lists of tags: python3-dkim must agree."""

    LISTS = ["v=DKIM1; p=", "v=DKIM1; p=;", "v=DKIM1;p=", " v = DKIM1 ; p = ", "v=DKIM1; p=a b  c", "v=DKIM1; n=; p=",
             "v=DKIM1; n=a=b; p=", "v=DKIM1; p=; ", "v=DKIM1; p; q=", "v=DKIM1; p=; p=", "v=DKIM1; ; p=",
             "v=DKIM1; =a; p=", "v=DKIM1; p=;;", "p", "v=DKIM1, k=rsa, p=; x", "v=DKIM1; k=rsa p=", "v=DKIM1; K=1; k=rsa; p=",
             "v=DKIM1; mailto:a@b; p="]

    def test_as_dkimpy(self):
        pools = ",".join(pool("p%d" % i, "p%d.example" % i) for i in range(len(self.LISTS)))
        path = RIG.configure("lists", pools)
        zone = {"ak._domainkey.p%d.example" % i: {"TXT": [text]} for i, text in enumerate(self.LISTS)}
        with unboundserver.Server(zone) as server:
            _, report, err = check(server.address, path)
        ours = {r["pools"][0]: {f["code"] for f in r["findings"]} for r in report["records"]
                if r["for"] == "dkim"}
        self.assertEqual(len(ours), len(self.LISTS), err)
        for i, text in enumerate(self.LISTS):
            try:
                dkim.util.parse_tag_value(text.encode())
                good = True
            except dkim.util.InvalidTagValueList:
                good = False
            with self.subTest(text):
                self.assertEqual("dkim-broken" not in ours["p%d" % i], good)


def many_pools(count):
    return ",".join(pool("p%d" % i, "p%d.example" % i, more=(FULL + DMARC)
                         .replace("example.com", "p%d.example" % i)
                         .replace('"192.0.2.4", "2001:db8::4"', '"10.%d.%d.1"' % (i // 256, i % 256)))
                    for i in range(count))


class Many(tap.TestCase):
    def test_1000_pools(self):
        path = RIG.configure("many", many_pools(1000))
        zone = RIG.zone(path)
        with unboundserver.Server(zone) as server:
            begun = time.monotonic()
            status, report, err = check(server.address, path)
            took = time.monotonic() - begun
        print("# %d records of 1,000 pools checked in %.2f s" % (len(report["records"]), took))
        self.assertEqual(findings(report), set(), err)
        self.assertEqual(status, EX_OK)
        self.assertGreater(len(report["records"]), 10000)
        self.assertLess(took, 300 if SLOW else 30)

    def test_bar_on_a_terminal(self):
        path = RIG.configure("short", many_pools(30), timeout=700)
        zone = RIG.zone(path)
        ours, theirs = pty.openpty()
        with unboundserver.Server(zone, trouble={"_dmarc.p7.example": "drop"}) as server:
            done = subprocess.Popen([PROGRAM, "dns", "check", "-q", "-c", path, "--resolver", server.address],
                                    stdout=subprocess.PIPE, stderr=theirs)
            os.close(theirs)
            out = done.communicate(timeout=60)[0].decode()
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:                 # the terminal is gone
            pass
        os.close(ours)
        self.assertRegex(seen.decode(), r"\r\[#+ *\] \d+ of \d+ records")
        self.assertTrue(seen.endswith(b"\r\x1b[K"))
        self.assertIn("dns-unknown", out)
        self.assertNotIn("records", out)


if __name__ == "__main__":
    with Directory() as root:
        RIG = Rig(root)
        tap.main()
