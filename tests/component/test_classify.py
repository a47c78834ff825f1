#!/usr/bin/python3
"""poolctl classify, and the shipped bounce patterns (conf/bounces.conf) on the replies of replies.txt.

Each reply is of the category that stands beside it, and each shipped pattern decides on one of them at least.
"""
import collections
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "config"))
import tap                                                              # noqa: E402
from poolctl import PROGRAM, SOURCE, Directory, run                     # noqa: E402

SHIPPED = os.path.join(SOURCE, "conf", "bounces.conf")
ISPS = os.path.join(SOURCE, "conf", "isps.conf")
REPLIES = os.path.join(SOURCE, "tests", "component", "replies.txt")
EX_OK, EX_USAGE, EX_UNAVAILABLE, EX_CONFIG = 0, 64, 69, 78
HARD = {"bad-mailbox", "bad-domain", "inactive"}
CATEGORIES = HARD | {"full", "temporary", "reputation", "policy", "authentication", "rate", "other"}


def replies():
    """(ISP or None, category, reply) of each line."""
    found = []
    with open(REPLIES, encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#"):
                isp, category, reply = line.rstrip("\n").split("\t")
                found.append((None if isp == "-" else isp, category, reply))
    return found


def entries():
    """The line of each shipped pattern -> its keys; a pattern begins with "{" on its first line."""
    found, text, line = {}, "", 0
    with open(SHIPPED, encoding="utf-8") as f:
        for number, content in enumerate(f, 1):
            if content.startswith("  { "):
                text, line = "", number
            text += content
            if line and re.search(r"\},?$", content):
                found[line] = dict(re.findall(r"(\w+) = ((?:\"(?:[^\"\\]|\\.)*\"\s*)+);", text))
                line = 0
    return found


class Conf(Directory):
    def __init__(self, more="", shipped=True):
        self.more, self.shipped = more, shipped

    def __enter__(self):
        super().__enter__()
        self.key("key.pem")
        includes = '@include "%s"\n@include "%s"\n' % (ISPS, SHIPPED) if self.shipped else ""
        self.conf = self.write("poolmilter.conf", """listen = "unix:%s"; state_dir = "%s"; events: { };
pools = ( { name = "a"; sender_domain = "example.com"; spf_domain = "b.example.com"; dkim_selector = "s";
            dkim_key = "%s"; } );
%s%s""" % (self.path("s"), self.root, self.path("key.pem"), self.more.replace("@D@", self.root), includes))
        return self

    def classify(self, *arguments, lines=None, status=EX_OK):
        done = subprocess.run([PROGRAM, "classify", "-c", self.conf, *arguments], timeout=60, check=False,
                              input=b"" if lines is None else lines, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != status:
            raise AssertionError("status %d: %r" % (done.returncode, done.stderr))
        return done.stdout, done.stderr.decode("utf-8", "backslashreplace")

    def json(self, *arguments, lines=None):
        return json.loads(self.classify("--json", *arguments, lines=lines)[0])


class Shipped(tap.TestCase):
    def classified(self):
        by_isp = collections.defaultdict(list)
        for isp, category, reply in replies():
            by_isp[isp].append((category, reply))
        with Conf() as c:
            for isp, rows in by_isp.items():
                arguments = ["--isp", isp] if isp else []
                found = c.json(*arguments, lines="".join(reply + "\n" for _, reply in rows).encode())
                self.assertEqual([r["reply"] for r in found], [reply for _, reply in rows])
                for (category, _), row in zip(rows, found):
                    yield isp, category, row

    def test_replies(self):
        wrong, hit = [], set()
        for isp, category, row in self.classified():
            if row["category"] != category:
                wrong.append("%s: %s is %s, not %s (%s:%s)" % (isp, row["reply"], row["category"], category,
                                                              row["file"], row["line"]))
            if row["line"] is not None:
                self.assertEqual(row["file"], SHIPPED)
                hit.add(row["line"])
        self.assertEqual(wrong, [])
        all_of_them = entries()
        self.assertGreaterEqual(len(all_of_them), 300)
        self.assertEqual([n for n in all_of_them if n not in hit], [], "lines that no reply meets")
        self.assertEqual([n for n in hit if n not in all_of_them], [], "lines that the test does not see")

    def test_replies_are_many(self):
        rows = replies()
        count = collections.Counter(category for _, category, _ in rows)
        self.assertGreaterEqual(len(rows), 250)
        self.assertEqual(set(count) - {"-"}, CATEGORIES)
        for category in CATEGORIES - {"other"}:
            self.assertGreaterEqual(count[category], 15, category)
        self.assertEqual(len(set(rows)), len(rows), "the same twice")

    def test_entries_have_sources_and_records(self):
        with open(ISPS, encoding="utf-8") as f:
            names = set(re.findall(r'\{ name = "(\w+)"', f.read()))
        for line, keys in entries().items():
            self.assertIn("category", keys, line)
            self.assertRegex(keys["source"], r"(\b20\d\d-\d\d-\d\d|no document)\"$", line)
            if "isp" in keys:
                self.assertIn(keys["isp"].strip('"'), names, line)

    # Each shipped lock rule counts some reply of its ISP.  Those of Yahoo's family stand under "-".
    def test_lock_rules(self):
        with open(ISPS, encoding="utf-8") as f:
            records = re.split(r"^  \{ name = ", f.read(), flags=re.M)[1:]
        rules = 0
        for record in records:
            isp = record.split('"')[1]
            locks = re.search(r"locks = \((.*?)\);", record, re.S)
            for rule in re.findall(r"\{([^{}]*)\}[,\s]*(?=\{|$)", locks.group(1).strip(), re.S) if locks else []:
                keys = dict(re.findall(r'(\w+) = "((?:[^"\\]|\\.)*)"', rule))
                pattern = re.compile(keys.get("pattern", "").replace("\\\\", "\\"), re.I)
                count = [reply for owner, category, reply in replies() if owner in (isp, None)
                         and keys.get("category", category) == category and pattern.search(reply)]
                self.assertTrue(count, (isp, keys))
                rules += 1
        self.assertGreaterEqual(rules, 20)

    # A recipient's name is foreign text: it must not make another reason of "no such user".
    def test_names_of_recipients(self):
        names = """full quota overquota over-quota spam spamtrap spamcop spamhaus sorbs blacklist block-list rbl
            cloudmark senderbase rate.limit ratelimit throttle dmarc dkim spf ptr rdns unauthenticated nullmx blocked disabled
            virus attachment policy greylist timeout expired phishing reputation 4.7.28 ts03 s3150""".split()
        with Conf() as c:
            for text in ("550 5.1.1 <%s@example.org>: Recipient address rejected: User unknown in local recipient table",
                         "550 5.1.1 %s@example.org... User unknown", "550 No such user %s@example.org here"):
                rows = c.json(lines="".join(text % name + "\n" for name in names).encode())
                self.assertEqual([(name, row["category"]) for name, row in zip(names, rows)
                                  if row["category"] != "bad-mailbox"], [], text)

    # What is said of the sender, its account or its address must not take the recipient off a list.
    def test_about_the_sender_is_never_hard(self):
        texts = ["550 5.7.1 Your email was not found to be authenticated",
                 "550 Mail from your domain is not registered",
                 "554 Your IP address was not found in our list of known senders", "550 Sender account suspended",
                 "550 your mail server is not listed in DNS", "550 5.7.1 IP not found in allowed hosts list",
                 "554 5.7.1 Access denied: your IP address 203.0.113.9 has been blocked",
                 "550 5.7.1 Email blocked by cbl.abuseat.org", "550 5.1.0 sender rejected",
                 "550 5.7.1 <a@example.com>: Sender address rejected: User unknown in virtual mailbox table",
                 "550 Verification failed for <bounce@example.com> Sender verify failed",
                 "554 5.7.1 You are not allowed to send mail, account blocked",
                 "550 5.7.1 Recipient does not want to receive mail from you",
                 "550 5.7.1 Message rejected. The recipient has blocked your address"]
        with Conf() as c:
            rows = c.json(lines="".join(text + "\n" for text in texts).encode())
        self.assertEqual([row["reply"] for row in rows if row["category"] in HARD], [])

    def test_refused_connections_are_never_hard(self):
        with Conf() as c:
            rows = c.json(lines=b"".join(b"connect to full.example[192.0.2.1]:25: %s\n" % why for why in (
                b"Connection timed out", b"Connection refused", b"No route to host", b"Network is unreachable")))
        self.assertEqual({row["category"] for row in rows}, {"temporary"})


CUSTOM = """bounces = ( { pattern = "user unknown"; category = "policy"; source = "ours"; },
  { isp = "gmail"; code = "4.2.1"; category = "full"; } );
"""


class Command(tap.TestCase):
    def test_custom_wins(self):
        with Conf(CUSTOM) as c:
            found = c.json("550 5.1.1 user unknown")
            self.assertEqual((found["category"], found["class"], found["by"], found["file"], found["line"],
                              found["pattern"], found["source"]),
                             ("policy", "block", "custom pattern", c.conf, 4, "user unknown", "ours"))
            self.assertEqual(c.json("--isp", "gmail", "450 4.2.1 x")["category"], "full")
            self.assertEqual(c.json("--isp", "yahoo", "450 4.2.1 x")["category"], "temporary")
            self.assertEqual(c.json("--domain", "googlemail.com", "450 4.2.1 x")["category"], "full")
            self.assertEqual(c.json("--domain", "no.such.example", "450 4.2.1 x")["category"], "temporary")

    def test_codes_are_taken_from_the_text(self):
        cases = [
            ("550 5.1.1 xyzzy", 550, "5.1.1", "bad-mailbox"),
            ("550-5.1.1 xyzzy", 550, "5.1.1", "bad-mailbox"),
            ("host mx.example[192.0.2.1] said: 552 5.2.2 xyzzy (in reply to RCPT TO command)", 552, "5.2.2", "full"),
            ("host mx.example[192.0.2.1] refused to talk to me: 421 4.3.2 xyzzy", 421, "4.3.2", "temporary"),
            ("552 xyzzy", 552, None, "full"),
            ("xyzzy (#5.1.2)", None, "5.1.2", "bad-domain"),
            ("xyzzy", None, None, "other"),
            ("250 2.0.0 Ok: queued as 4ABC", 250, "2.0.0", "-"),
        ]
        with Conf(shipped=False) as c:
            for text, code, dsn, category in cases:
                found = c.json(text)
                self.assertEqual((found["code"], found["dsn"], found["category"]), (code, dsn, category), text)

    def test_words_are_joined(self):
        with Conf() as c:
            self.assertEqual(c.json("550", "5.1.1", "no", "such", "user")["reply"], "550 5.1.1 no such user")

    def test_text(self):
        with Conf(CUSTOM) as c:
            self.assertEqual(c.classify("550 5.1.1 user unknown")[0].decode(),
                             "category  policy\nclass     block\nby        custom pattern\nplace     %s:4\n"
                             "pattern   user unknown\nsource    ours\n" % c.conf)
            self.assertEqual(c.classify("550 5.1.2 xyzzy")[0],
                             b"category  bad-domain\nclass     hard\nby        enhanced status code 5.1.2\n")
            self.assertEqual(c.classify("552 xyzzy")[0], b"category  full\nclass     soft\nby        reply code 552\n")
            self.assertEqual(c.classify("xyzzy")[0], b"category  other\nclass     other\nby        nothing known\n")
            self.assertEqual(c.classify("250 ok")[0], b"category  -\nclass     -\nby        success\n")
            self.assertEqual(c.classify(lines=b"550 5.1.1 user unknown\r\n\n550 5.1.2 a\033[2J\xff\n")[0].decode(),
                             "policy          %s:4  550 5.1.1 user unknown\n"
                             "bad-domain      enhanced status code  550 5.1.2 a\\033[2J\\377\n" % c.conf)

    def test_hostile_lines(self):
        with Conf() as c:
            lines = (b"550 " + b"a" * 100000 + b"\n" + b"550 " + b"user is not " * 8000 + b"\n" + bytes(range(1, 10)) +
                     b"\xff\xfe\n" + b"550 5.1.1 \xc3\x28 user unknown\n")
            begun = time.monotonic()
            rows = c.json(lines=lines)
            took = time.monotonic() - begun
        self.assertEqual([r["category"] for r in rows], ["other", "other", "other", "bad-mailbox"])
        self.assertIn("\ufffd", rows[3]["reply"])
        self.assertTrue(took < 10 or "POOLMILTER_SLOW" in os.environ, took)

    def test_catastrophic_pattern(self):
        with Conf('bounces = ( { pattern = "(a+)+$"; category = "full"; }, { pattern = "^550 (a|aa)+c"; '
                  'category = "full"; } );\n') as c:
            begun = time.monotonic()
            out, err = c.classify(lines=b"550 5.1.1 " + b"a" * 3000 + b"!\n550 " + b"a" * 38 + b"!\n")
            took = time.monotonic() - begun
        self.assertTrue(out.startswith(b"bad-mailbox "), out)
        self.assertEqual(err.count('pattern "(a+)+$" was given up'), 1, err)
        self.assertTrue(took < 10 or "POOLMILTER_SLOW" in os.environ, took)

    def test_wrong_patterns(self):
        for more, place, why in (
                ('bounces = (\n  { pattern = "ok"; category = "full"; },\n  { pattern = "a(b"; category = "full"; }\n'
                 ');\n', 6, "missing closing parenthesis"),
                ('isps = ( { name = "mine"; domains = [ "mine.example" ]; locks = (\n  { name = "x"; pattern = "[a"; '
                 'threshold = "1/1m"; pause = "1m"; } ); } );\n', 5, "missing terminating ]")):
            with Conf(more) as c:
                out, err = c.classify("550 x", status=EX_CONFIG)
                self.assertEqual(out, b"")
                self.assertIn("%s:%d: " % (c.conf, place), err)
                self.assertIn(why, err)

    def test_wrong_use(self):
        with Conf() as c:
            self.assertIn('no record "nobody"', c.classify("--isp", "nobody", "550 x", status=EX_UNAVAILABLE)[1])
            for arguments in (["--isp", "gmail", "--domain", "gmail.com", "x"], ["--what"], ["-i"]):
                self.assertIn('Try "poolctl help classify".', c.classify(*arguments, status=EX_USAGE)[1])
            self.assertEqual(run("classify", "--help")[0], EX_OK)
            self.assertEqual(run("classify", "-c", c.path("none"), "x")[0], EX_CONFIG)


if __name__ == "__main__":
    tap.TestCase.maxDiff = None
    tap.main()
