"""Configurations as tables of named cases, each tried with `poolctl check -c FILE`, for the tests beside
this file.

In a text, `#! KEY | PART` at the end of a line says that exactly this line must be refused, with this
key's path and these words in the message; `#!! KEY | PART` stands for the file as a whole.  No other
error may come.  KEY `-` is none.  Lines that cannot hold a comment (open strings, syntax errors) have
their expectation as (line, key, part) beside the text.  `#? KEY | PART` is the same for a warning, of a
file of the kind "unwise".  Of the kind "quiet" no warning may come.  @D@ is the test's directory.

A case is (name, text), (name, text, {file: text}) or (name, text, {...}, [(file, line, key, part)]).
"""
import os
import re

import tap
from poolctl import Directory, run

MARK = re.compile(r"#([!?])(!?) (\S+) \| (.*)$")
CONFIGURATION = 78  # EX_CONFIG


def pool(keys, name="acme", domain="example.com"):
    """A good pool with more keys, or with a key of its own replaced."""
    lines = {"name": '"%s"' % name, "sender_domain": '"%s"' % domain, "spf_domain": '"b.%s"' % domain,
             "dkim_selector": '"ak"', "dkim_key": '"@D@/key.pem"'}
    given = re.findall(r"^(\w+) *=", keys, re.M)
    own = ["%s = %s;" % item for item in lines.items() if item[0] not in given]
    return "{ " + " ".join(own) + "\n" + keys + "\n}"


def top(keys, *pools):
    own = 'listen = "unix:@D@/s";\n' if not re.search(r"^listen\b", keys, re.M) else ""
    return "%s%s\npools = (\n%s\n);\n" % (own, keys, ",\n".join(pools or (pool(""),)))


def in_pool(keys):
    return top("", pool(keys))


def headers(kind, *values):
    return in_pool("%s = (\n%s\n);" % (kind, ",\n".join("{ %s\n}" % v for v in values)))


def redis(keys):
    return top("redis: { %s\n};" % keys)


def record(keys, name="big", domain="big.example"):
    """A good ISP record with more keys, or with a key of its own replaced."""
    own = ["%s = %s;" % item for item in (("name", '"%s"' % name), ("domains", '[ "%s" ]' % domain))
           if not re.search(r"^%s *=" % item[0], keys, re.M)]
    return "{ " + " ".join(own) + "\n" + keys + "\n}"


def isps(*records, kind="isps"):
    return top("%s = (\n%s\n);" % (kind, ",\n".join(records)))


def in_isp(keys):
    return isps(record(keys))


def prepare(d):
    d.key("key.pem")
    d.key("ed25519.pem", ("-algorithm", "ED25519"))
    d.key("512.pem", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"))
    d.key("encrypted.pem", ("-algorithm", "RSA", "-aes128", "-pass", "pass:secret"))
    os.chmod(d.key("open.pem"), 0o644)
    with open(d.path("key.pem"), "rb") as f:
        pem = f.read()
    d.write("crlf.pem", pem.replace(b"\n", b"\r\n"))
    d.write("public.pem", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6rXJi5j8gs0XRLqVm7CVYJ1fNzXx1KBv5W9wfCMbrk8=\n"
            "-----END PUBLIC KEY-----\n")


def place(d, content):
    return content if isinstance(content, bytes) else content.replace("@D@", d.root).encode("utf-8", "surrogateescape")


def marked(d, name, content, sign):
    """What the marks with this sign in a file expect, as (file, line, key, part)."""
    expected = []
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        mark = MARK.search(line)
        if mark and mark.group(1) == sign:
            expected.append((name, 0 if mark.group(2) else number, mark.group(3), mark.group(4)))
    return expected


def is_match(d, output_line, expectation):
    name, line, key, part = expectation
    start = d.path(name) + (":%d" % line if line else "") + ": "
    if key != "-":
        start += key + ": "
    return output_line.startswith(start) and part.replace("@D@", d.root) in output_line[len(start):]


class Files(tap.TestCase):
    """The tests are added by add_all()."""

    def check(self, kind, text, files=None, expected=()):
        with Directory() as d:
            prepare(d)
            expected = list(expected)
            for name, content in [("main.conf", text)] + list((files or {}).items()):
                if content is not None:
                    content = place(d, content)
                    expected += marked(d, name, content, "?" if kind == "unwise" else "!")
                    d.write(name, content)
            status, _, output = run("check", "--keys", "-c", d.path("main.conf"))
            self.assertEqual(status, CONFIGURATION if kind == "bad" else 0, output)
            if kind in ("unwise", "quiet"):
                self.compare(d, output, output.replace("warning: ", "").splitlines(), expected)
            else:
                errors = [line for line in output.splitlines() if not line.startswith("warning: ")]
                self.compare(d, output, errors, expected)

    def compare(self, d, output, lines, expected):
        left = list(lines)
        for expectation in expected:
            found = [line for line in left if is_match(d, line, expectation)]
            self.assertTrue(found, "expected %r in:\n%s" % (expectation, output))
            left.remove(found[0])
        self.assertEqual(left, [], "not expected")


def add(kind, case):
    def test(self):
        if kind in ("bad", "unwise"):
            self.assertTrue(len(case) > 3 or "#!" in str(case[1:]) or "#?" in str(case[1:]), "no expectation")
        self.check(kind, *case[1:])
    name = "test_%s: %s" % (kind, case[0])
    assert not hasattr(Files, name), name
    setattr(Files, name, test)


def add_all(kind, table):
    for case in table:
        add(kind, case)
