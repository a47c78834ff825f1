"""What a receiver says of a message: python3-dkim, pyspf and Mail::DMARC, all asking one DNS server.

    judge = dnsjudge.Judge(port)            a server on loopback
    judge.dkim(content)                     [(d=, s=, "pass" or why not)], top signature first
    judge.spf("127.0.0.4", sender, helo)    "pass", "fail", "none", ...
    judge.dmarc(ip, from_domain, sender_domain, dkim, spf)
                                            "RESULT POLICY DKIM SPF", such as "pass none pass pass";
                                            dkim as from dkim(), spf as from spf()
"""
import re
import subprocess

import dkim
import dns.exception
import dns.resolver
import spf

DMARC = r"""use strict; use warnings; use Mail::DMARC::PurePerl; use Net::DNS::Resolver;
my ($port, $ip, $from, $sender, $spf, @dkim) = @ARGV;
my $d = Mail::DMARC::PurePerl->new;
$d->set_resolver(Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $port, recurse => 1));
$d->source_ip($ip); $d->envelope_to("example.org"); $d->envelope_from($sender); $d->header_from($from);
$d->dkim([map { my ($domain, $selector, $result) = split m{/};
    { domain => $domain, selector => $selector, result => $result } } @dkim]);
$d->spf([{ domain => $sender, scope => "mfrom", result => $spf }]);
my $r = $d->validate;
my $policy = eval { $r->published->p };     # it dies where there is no record
print join(" ", map { $_ // "-" } $r->result, $policy, $r->dkim, $r->spf);
"""


class Judge:
    def __init__(self, port):
        self.port = port
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers = ["127.0.0.1"]
        self.resolver.port = port

    def _records(self, name, kind, *_, **__):
        """As pyspf wants it: ((name, type), value) of the name, or of what its CNAMEs lead to."""
        name = name.rstrip(".")
        try:
            answer = self.resolver.resolve(name, kind)
        except dns.resolver.NoAnswer:   # a CNAME alone, where the server does not follow it
            try:
                alias = self.resolver.resolve(name, "CNAME")
            except dns.exception.DNSException:
                return []
            return self._records(alias[0].target.to_text(True), kind)
        except dns.exception.DNSException:
            return []
        values = {"TXT": lambda r: r.strings, "PTR": lambda r: r.target.to_text(True),
                  "MX": lambda r: (r.preference, r.exchange.to_text(True))}
        return [((name, kind), values.get(kind, lambda r: r.address)(r)) for r in answer]

    def _txt(self, name, **_):
        """As python3-dkim wants it."""
        found = self._records(name.decode(), "TXT")
        return b"".join(found[0][1]) if found else None

    def dkim(self, content):
        head = re.sub(rb"\r\n(?=[ \t])", b"", content.partition(b"\r\n\r\n")[0])
        results = []
        for number in range(len(re.findall(rb"(?im)^dkim-signature[ \t]*:", head))):
            judge = dkim.DKIM(content, minkey=1024)
            try:
                result = "pass" if judge.verify(number, dnsfunc=self._txt) else "fail"
            except dkim.DKIMException as error:
                result = str(error)
            fields = {k: (judge.signature_fields or {}).get(k, b"").decode() for k in (b"d", b"s")}
            results.append((fields[b"d"], fields[b"s"], result))
        return results

    def spf(self, ip, sender, helo):
        spf.DNSLookup = self._records
        query = spf.query(i=ip, s=sender, h=helo)
        try:                    # as check() does, for which everything from 127.0.0.0/8 passes
            record = query.dns_spf(query.d)
            return query.check1(record, query.d, 0)[0] if record else "none"
        except spf.PermError:
            return "permerror"
        except spf.TempError:
            return "temperror"

    def dmarc(self, ip, from_domain, sender_domain, dkim_results, spf_result):
        done = subprocess.run(["/usr/bin/perl", "-e", DMARC, str(self.port), ip, from_domain, sender_domain,
                               spf_result, *("/".join(r) for r in dkim_results)],
                              check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        return done.stdout
