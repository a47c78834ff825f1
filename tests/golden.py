#!/usr/bin/python3
"""Golden messages: what poolctl process makes of whole messages, octet for octet.  TAP.

    golden.py             compare every tests/golden/NAME.eml with its expectation
    golden.py NAME...     only these
    golden.py --update [NAME...]
                          write the expectations anew.  That proves nothing: review the difference, line
                          by line; an expectation must be right, not merely what the program does.

Of each message there are
    NAME.eml       what comes in
    NAME.args      options for poolctl process beside or instead of the defaults (may be missing)
    NAME.conf      settings added to golden.conf.in (may be missing)
    NAME.expected  what goes out; the b= of our own signatures, which depends on the key, is "(key)"
    NAME.json      verdict, envelope and counts, as poolctl process --json tells them

Whatever the expectation says, every message is also checked by rules that know nothing of it:
    - every signature that we claim is verified by python3-dkim and by Perl's Mail::DKIM;
    - a header that no rule of golden.conf.in names, and the body, are the input's, octet for octet;
    - of messages that are encoded anew, Python's email package reads the same before and after: parts,
      their headers but for Content-Transfer-Encoding, and their decoded contents;
    - what passes is the input, octet for octet; what is refused gives no output.

Messages that are too large for a file are made here (GENERATED) and have no NAME.expected.

POOLCTL in the environment: the program, else src/poolctl in the current directory.
"""
import base64
import contextlib
import email
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import types

sys.dont_write_bytecode = True      # nothing is left in the source tree
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))

import dkim     # noqa: E402
import tap      # noqa: E402
import verify   # noqa: E402

GOLDEN = HERE / "golden"
POOLCTL = os.environ.get("POOLCTL", os.path.join(os.getcwd(), "src", "poolctl"))
TIME = "1700000000"
SECRET = b"golden return path secret, not of use elsewhere"
MEMBERS = ("result", "reason", "reply", "pool", "from_domain", "sender", "recipients", "size",
           "headers_added", "headers_deleted", "signatures")
EXIT_STATUS = {"accepted": 0, "passed": 0, "held": 0, "deferred": 75, "rejected": 77}

# Headers that the rules of a pool in golden.conf.in may change; the control header always goes.
TOUCHED = {
    "rules": (b"x-internal-", b"x-campaign", b"x-mailer", b"feedback-id", b"x-copy", b"x-envelope",
              b"x-login"),
    "both": (b"x-mailer", b"x-sender-id"),
}
CONTROL_HEADER = b"x-pool"
# What encoding may change (and folds in too long header lines: see unfolded()).
ENCODED = (b"content-transfer-encoding", b"mime-version")


# ---- large messages

def _plain(extra=b"", body=b"Hello\n"):
    return (b"From: Alice <alice@example.com>\nTo: bob@example.org\nSubject: Hello\n"
            b"Date: Tue, 14 Nov 2023 22:13:20 +0000\nMessage-ID: <1@example.com>\n" + extra + b"\n" + body)


GENERATED = {
    "header-of-64-kB": _plain(b"References:" + b"".join(b"\n <%d@example.com>" % n for n in range(3000))
                              + b"\nX-Long: " + b"y" * 65536 + b"\n"),
    "3600-addresses": _plain(b"Cc: " + b",\n ".join(b"user%d@example.org" % n for n in range(3600)) + b"\n"),
    "from-of-3600-addresses": b"From: " + b",\n ".join(b"user%d@example.com" % n for n in range(3600))
                              + b"\nSender: alice@example.com\nSubject: Hello\n\nHello\n",
    "20000-headers": _plain(b"".join(b"X-%d: %d\n" % (n % 100, n) for n in range(20000))),
    "500-signatures": b"".join(b"DKIM-Signature: v=1; a=rsa-sha256; d=d%d.example; s=s; h=from; bh=x; b=y\n" % n
                               for n in range(500)) + _plain(),
    "signature-of-40-kB": b"DKIM-Signature: v=1; b=" + b"A" * 40000 + b"\n" + _plain(),
    "500-subjects": _plain(b"".join(b"Subject: %d\n" % n for n in range(500))),
    "30-reply-to": _plain(b"".join(b"Reply-To: r%d@example.com\n" % n for n in range(30))),
    "body-of-1-MB-in-one-line": _plain(body=b"z" * 1000000 + b"\n"),
    "body-of-5-MB": _plain(body=b"All work and no play makes Jack a dull boy.\n" * 120000),
}


def ended(text):
    """The last line has an end, as on any wire."""
    return text if text.endswith(b"\n") else text + b"\n"


def wire(text):
    return re.sub(rb"\r?\n", b"\r\n", text)


# ---- running poolctl

class Case:
    """A message and what poolctl process makes of it."""

    def __init__(self, name, data):
        self.name, self.data = name, data
        self.out = self.report = self.status = self.problem = None

    def path(self, suffix):
        return GOLDEN / (self.name + suffix)

    def _text(self, suffix):
        path = self.path(suffix)
        return path.read_text() if path.exists() else ""

    def arguments(self):
        given = shlex.split(self._text(".args"))
        for option, value in (("-f", "alice@example.com"), ("-r", "bob@example.org"),
                              ("--queue-id", "4Shp4b1KBCz")):
            if option not in given:
                given += [option, value]
        return given

    def run(self, directory):
        config = directory / (self.name + ".conf")
        text = (GOLDEN / "golden.conf.in").read_text()
        config.write_text(text.replace("@TOP", self._text(".conf")).replace("@D", str(directory)))
        done = subprocess.run([POOLCTL, "process", "-c", str(config), "--time", TIME, "--json"]
                              + self.arguments(), input=self.data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        self.out, self.status = done.stdout, done.returncode
        try:
            self.report = json.loads(done.stderr)
        except ValueError:
            self.problem = "exit status %d, standard error: %r" % (done.returncode, done.stderr[-2000:])

    @property
    def ours(self):
        return len(self.report["signatures"])

    def outcome(self):
        members = MEMBERS + (("encoded", "not_encoded") if self.name.startswith("encode-") else ())
        return {member: self.report[member] for member in members}

    def outcome_text(self):
        return json.dumps(self.outcome(), indent=1, ensure_ascii=False) + "\n"

    def normal_output(self):
        """The output with the b= of our signatures, which are the topmost fields, made the same."""
        fields, rest = split(self.out)
        for number in range(self.ours):
            fields[number] = re.sub(rb"([;\s]b=)[^;]*?(\r?\n)\Z", rb"\1(key)\2", fields[number],
                                    flags=re.S)
        return b"".join(fields) + rest

    def on_the_wire(self):
        return wire(self.out)


FIELD = re.compile(rb"[!-9;-~]+[ \t]*:.*(?:\n[ \t].*)*(?:\n|\Z)")


def split(message):
    """The fields of the header, each with its line end, and all that follows them."""
    fields, at = [], 0
    while True:
        found = FIELD.match(message, at)
        if not found or not found.group():
            return fields, message[at:]
        fields.append(found.group())
        at = found.end()


def body_of(rest):
    """What follows the header without the empty line, if there is one."""
    return re.sub(rb"\A\r?\n", b"", rest, count=1)


def name_of(field):
    return field.partition(b":")[0].rstrip().lower()


def untouched(fields, touched):
    """The fields that nothing may change.  Of "Name :" only the blanks go, which MTAs drop as well."""
    return [re.sub(rb"\A([^:]*?)[ \t]+:", rb"\1:", f) for f in fields
            if not name_of(f).startswith(touched)]


def unfolded(field):
    """A field without blanks: folds, also in words that are too long, make no difference."""
    return re.sub(rb"\s+", b"", field)


def leaves(wire):
    """What a reader of its own makes of a message: type, other headers and decoded content of each leaf."""
    found = []
    for part in email.message_from_bytes(wire).walk():
        headers = [(name, value) for name, value in part.items()
                   if name.lower() not in ("content-transfer-encoding", "mime-version", "dkim-signature")]
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            found.append((part.get_content_type(), part.preamble, part.epilogue))
        elif not part.is_multipart():
            found.append((part.get_content_type(), headers if found else None, part.get_payload(decode=True)))
    return found


@contextlib.contextmanager
def clock_of_verifiers(now):
    """Both verifiers judge t= and x= as if it were then: the signatures of the tests have a fixed time."""
    real = dkim.time
    with tempfile.TemporaryDirectory(prefix="poolmilter-clock-") as directory:
        (pathlib.Path(directory) / "GoldenClock.pm").write_text(
            "package GoldenClock; BEGIN { *CORE::GLOBAL::time = sub () { %d } } 1;\n" % now)
        os.environ["PERL5OPT"] = "-I%s -MGoldenClock" % directory
        dkim.time = types.SimpleNamespace(time=lambda: now)
        try:
            yield
        finally:
            dkim.time = real
            del os.environ["PERL5OPT"]


# ---- the set-up, once

class Setup:
    """Keys, the records for the verifiers, and all messages processed."""

    def __init__(self, names):
        self.keys = verify.Keys()
        self.cases = {}
        with tempfile.TemporaryDirectory(prefix="poolmilter-golden-") as directory:
            self.directory = pathlib.Path(directory)
            self._make_keys()
            for name in names:
                case = Case(name, GENERATED[name] if name in GENERATED
                            else (GOLDEN / (name + ".eml")).read_bytes())
                case.run(self.directory)
                self.cases[name] = case
        good = [c for c in self.cases.values() if c.problem is None and c.ours > 0]
        wire = [c.on_the_wire() for c in good]
        with clock_of_verifiers(int(TIME) + 60):
            self.python = dict(zip((c.name for c in good), verify.python_dkim(wire, self.keys)))
            self.perl = dict(zip((c.name for c in good), verify.perl_dkim(wire, self.keys)))

    def _key(self, name, options):
        path = self.directory / name
        subprocess.run([POOLCTL, "genkey", "--domain", "example.com", "--selector", "x", "--out", str(path)]
                       + options, check=True, stdout=subprocess.PIPE)
        public = subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout", "-outform", "DER"],
                                check=True, stdout=subprocess.PIPE).stdout
        return public

    def _make_keys(self):
        # The records are made from the public keys by openssl, not by the program under test.
        rsa = base64.b64encode(self._key("rsa.pem", ["--type", "rsa"])).decode()
        ed = base64.b64encode(self._key("ed25519.pem", ["--type", "ed25519"])[-32:]).decode()
        for domain in re.findall(r'sender_domain = "([^"]*)"', (GOLDEN / "golden.conf.in").read_text()):
            domain = domain.encode("idna").decode()
            self.keys.add("ak._domainkey." + domain, "v=DKIM1; k=rsa; p=" + rsa)
            self.keys.add("ed._domainkey." + domain, "v=DKIM1; k=ed25519; p=" + ed)
        self.keys.add("esp1._domainkey.esp.example", "v=DKIM1; k=rsa; p=" + rsa)
        secret = self.directory / "return-path.secret"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)


def all_names():
    return sorted(p.stem for p in GOLDEN.glob("*.eml")) + sorted(GENERATED)


setup = None


# ---- the tests: one of each message

class Golden(tap.TestCase):
    maxDiff = 8000

    def check(self, name):
        case = setup.cases[name]
        self.assertIsNone(case.problem)
        self.assertEqual(case.status, EXIT_STATUS[case.report["result"]])
        self.check_refused_or_passed(case)
        if case.out:
            self.check_untouched(case)
        self.check_signatures(case, setup.python, "python3-dkim", all_known=True)
        self.check_signatures(case, setup.perl, "Mail::DKIM", all_known=False)
        self.check_expectation(case)

    def check_refused_or_passed(self, case):
        result, (fields, rest) = case.report["result"], split(case.data)
        if result in ("deferred", "rejected"):
            self.assertEqual(case.out, b"")
            self.assertIsNotNone(case.report["reply"])
            self.assertEqual(case.ours, 0)
        if result == "passed":
            self.assertEqual(case.ours, 0)
            # A header without an empty line behind it gets one; the control header goes where it counts.
            if rest.startswith((b"\n", b"\r\n")) and not any(name_of(f) == CONTROL_HEADER for f in fields):
                self.assertEqual(case.out, case.data)

    def check_untouched(self, case):
        before, before_rest = split(case.data)
        after, after_rest = split(case.out)
        if before and not before[-1].endswith(b"\n"):
            before[-1] += b"\n"
        touched = (CONTROL_HEADER,) + TOUCHED.get(case.report["pool"], ())
        if case.report["reason"] == "untrusted":
            touched = (b"-",)
        if any(len(line) > 998 for line in b"".join(before).splitlines()):
            before, after = list(map(unfolded, before)), list(map(unfolded, after))
        if case.report["encoded"] is not None:
            touched += ENCODED
            self.assertEqual(leaves(case.on_the_wire()), leaves(wire(ended(case.data))))
            after_rest = before_rest
        self.assertEqual(untouched(after[case.ours:], touched), untouched(before, touched))
        self.assertEqual(body_of(after_rest), body_of(before_rest))

    def check_signatures(self, case, results, verifier, all_known):
        for number, claimed in enumerate(case.report["signatures"]):
            wanted = (claimed["domain"], claimed["selector"], claimed["algorithm"])
            found = [r for r in results[case.name] if r[:3] == wanted]
            self.assertTrue(found, "%s does not see %s" % (verifier, wanted))
            known = all_known or found[0].detail != verify.UNSUPPORTED
            self.assertTrue(found[0].passed or not known, "%s: %s" % (verifier, found[0]))
            if all_known:   # and they stand on top, in this order
                self.assertEqual(results[case.name][number][:3], wanted)
        if case.report["result"] == "accepted":
            self.assertGreater(case.ours, 0)

    def check_expectation(self, case):
        if case.name in GENERATED:
            self.assertEqual(case.report["result"], "accepted")
            return
        self.assertEqual(json.loads(case.path(".json").read_text()), case.outcome())
        self.assertEqual(case.path(".expected").read_bytes(), case.normal_output())


class Suite(tap.TestCase):
    def test_every_expectation_has_a_message(self):
        strays = [p.name for p in GOLDEN.iterdir()
                  if p.suffix in (".expected", ".json", ".args", ".conf")
                  and not p.with_suffix(".eml").exists()]
        self.assertEqual(strays, [])

    def test_enough_messages(self):
        self.assertGreaterEqual(len(all_names()), 36)


def add_tests(names):
    for name in names:
        setattr(Golden, "test_" + name, lambda self, name=name: self.check(name))


def update(names):
    for name in names:
        case = setup.cases[name]
        if case.problem:
            sys.exit("%s: %s" % (name, case.problem))
        if name not in GENERATED:
            case.path(".json").write_text(case.outcome_text())
            case.path(".expected").write_bytes(case.normal_output())


def main():
    global setup
    arguments = sys.argv[1:]
    if "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return
    names = [a for a in arguments if a != "--update"] or all_names()
    setup = Setup(names)
    if "--update" in arguments:
        update(names)
        return
    add_tests(names)
    sys.argv[1:] = []
    tap.main()


if __name__ == "__main__":
    main()
