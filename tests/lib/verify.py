"""Verifies DKIM signatures with verifiers that share no code with the signer.

    keys = verify.Keys()
    keys.add("ak._domainkey.example.com", "v=DKIM1; k=rsa; p=...") 
    verify.python_dkim(messages, keys)  -> for each message a list of Result, top signature first
    verify.perl_dkim(messages, keys)       the same by Perl's Mail::DKIM (RSA only: Debian's has no
                                           Ed25519, such a signature gets the result "unsupported")
    verify.opendkim(messages, keys)        one bool for each message; libopendkim's verifier, for the
                                           odd case only: it is the library that signs

messages are byte strings with CRLF line ends, as they arrived.  No DNS is asked: each verifier gets
the key records of Keys, and counts an unknown name as "no key".  A Result is (domain, selector,
algorithm, passed, detail).
"""
import collections
import os
import re
import subprocess
import tempfile

import dkim

Result = collections.namedtuple("Result", "domain selector algorithm passed detail")

UNSUPPORTED = "unsupported"


class Keys:
    """The TXT records a verifier may see: name -> text."""

    def __init__(self):
        self.records = {}

    def add(self, name, text):
        self.records[name.lower().rstrip(".")] = text

    def zone(self):
        """For dnsserver.Server."""
        return {name: {"TXT": [text]} for name, text in self.records.items()}


# ---- python3-dkim

def _tag(field, name):
    found = re.search(rb"(?:^|[;:])\s*" + name + rb"\s*=\s*([^;]*)", field)
    return re.sub(rb"\s+", b"", found[1]).decode("ascii", "replace") if found else ""


def _signature_fields(message):
    head = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", head)
    return [line for line in unfolded.split(b"\r\n")
            if re.match(rb"dkim-signature[ \t]*:", line, re.I)]


def python_dkim(messages, keys):
    def txt(name, timeout=5):
        return keys.records.get(name.decode().lower().rstrip("."), "").encode() or None
    results = []
    for message in messages:
        found = []
        for number, field in enumerate(_signature_fields(message)):
            try:
                passed, detail = dkim.DKIM(message, minkey=1024).verify(number, dnsfunc=txt), ""
            except dkim.DKIMException as error:
                passed, detail = False, str(error)
            found.append(Result(_tag(field, b"d"), _tag(field, b"s"), _tag(field, b"a"), passed,
                                detail or ("" if passed else "signature does not match")))
        results.append(found)
    return results


# ---- Mail::DKIM: one Perl process reads the names of message files and answers a line each

PERL = r"""
use strict; use warnings;
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
package FakeResolver;
sub new { my ($class, %txt) = @_; return bless { txt => \%txt }, $class }
sub errorstring { 'NOERROR' }
sub send {
    my ($self, $name, $type) = @_;
    my $packet = Net::DNS::Packet->new($name, $type);
    $packet->header->qr(1);
    my $text = $self->{txt}{lc $name};
    if (defined $text && $type eq 'TXT') {
        $packet->push(answer => Net::DNS::RR->new(
            owner => $name, type => 'TXT', txtdata => [ $text =~ /.{1,255}/gs ]));
    } else {
        $packet->header->rcode('NXDOMAIN');
    }
    return $packet;
}
package main;
my ($keyfile) = @ARGV;
my %txt;
open my $keys, '<', $keyfile or die "$keyfile: $!";
while (<$keys>) { chomp; my ($name, $text) = split /\t/, $_, 2; $txt{$name} = $text }
Mail::DKIM::DNS::resolver(FakeResolver->new(%txt));
$| = 1;
while (my $file = <STDIN>) {
    chomp $file;
    open my $in, '<:raw', $file or die "$file: $!";
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->load($in);
    print join("\t", map {
        my $detail = $_->result_detail; $detail =~ s/[\t\n|]/ /g;
        join '|', $_->domain // '', $_->selector // '', $_->algorithm // '', $detail
    } $verifier->signatures), "\n";
}
"""


def _write_messages(directory, messages):
    names = []
    for number, message in enumerate(messages):
        names.append(os.path.join(directory, "%d.eml" % number))
        with open(names[-1], "wb") as out:
            out.write(message)
    return names


def _perl_result(text):
    domain, selector, algorithm, detail = text.split("|", 3)
    if "unsupported algorithm" in detail:
        detail = UNSUPPORTED
    return Result(domain, selector, algorithm, detail == "pass", detail)


def perl_dkim(messages, keys):
    with tempfile.TemporaryDirectory(prefix="poolmilter-verify-") as directory:
        key_file = os.path.join(directory, "keys")
        with open(key_file, "w") as out:
            for name, text in keys.records.items():
                out.write("%s\t%s\n" % (name, text))
        names = _write_messages(directory, messages)
        done = subprocess.run(["/usr/bin/perl", "-e", PERL, key_file],
                              input="".join(n + "\n" for n in names).encode(), check=True,
                              stdout=subprocess.PIPE)
    lines = done.stdout.decode("utf-8", "replace").split("\n")[:-1]
    if len(lines) != len(messages):
        raise AssertionError("perl answered for %d of %d messages" % (len(lines), len(messages)))
    return [[_perl_result(text) for text in line.split("\t") if text] for line in lines]


# ---- libopendkim

def opendkim(messages, keys):
    """True where opendkim's test mode finds a good signature.  It reads files with LF."""
    with tempfile.TemporaryDirectory(prefix="poolmilter-verify-") as directory:
        key_file = os.path.join(directory, "keys")
        with open(key_file, "w") as out:
            for name, text in keys.records.items():
                out.write("%s %s\n" % (name, text))
        config = os.path.join(directory, "opendkim.conf")
        with open(config, "w") as out:
            out.write("Mode v\nTestPublicKeys %s\nUserID root\n" % key_file)
        passed = []
        for name in _write_messages(directory, [m.replace(b"\r\n", b"\n") for m in messages]):
            done = subprocess.run(["/usr/sbin/opendkim", "-x", config, "-t", name],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            passed.append(b"verification (" in done.stdout
                          and b"succeeded" in done.stdout)
        return passed


# ---- for tests

def all_good(results, expected):
    """None when every message's signatures are exactly those expected, a list of "domain/selector"
    or of "domain/selector/algorithm" in any order, and all pass; else what is wrong with the first
    message that is not."""
    for number, found in enumerate(results):
        names = sorted(_name(r, expected) for r in found)
        if names != sorted(expected):
            return "message %d: signatures %s, expected %s" % (number, names, expected)
        bad = [r for r in found if not (r.passed or _beyond(r))]
        if bad:
            return "message %d: %s" % (number, bad)
    return None


def _beyond(result):
    """An algorithm that this verifier does not know: no judgement."""
    return result.detail == UNSUPPORTED and result.algorithm.startswith("ed25519")


def _name(result, expected):
    deep = bool(expected) and expected[0].count("/") == 2
    return "/".join(result[:3] if deep else result[:2])
