#!/usr/bin/python3
"""Recipients of several ISPs, and encodings that survive, under a real Postfix and Sendmail.

The rule that the tests of several ISPs end in, IspTest.assert_each_once(): every recipient has
exactly one copy at the sink, treated by the record of its ISP and by no other; its fields are what
was sent with the edits of pool and record, its parts decode to what was sent, it verifies with two
verifiers, and nothing of ours but the signatures is left in it.

Needs what test_postfix.py and test_sendmail.py need.
"""
import base64
import collections
import email
import email.policy
import functools
import re
import time
import unittest

import rig
from rig import daemon, postfix, verify

import dnsserver
import sendmail
import smtpproxy


class Record:
    """An ISP record's configuration, and what a test expects of its mail."""

    def __init__(self, name, domains=(), mx=(), deletes=(), sets=None, **encoding):
        self.name, self.domains, self.deletes = name, list(domains), list(deletes)
        self.encoding = encoding
        self.sets = sets or {}
        self.settings = {"name": name}
        if domains:
            self.settings["domains"] = self.domains
        if mx:
            self.settings["mx"] = list(mx)
        if encoding:
            self.settings["encoding"] = encoding
        if deletes:
            self.settings["delete_headers"] = self.deletes
        if sets:
            self.settings["set_headers"] = tuple({"name": n, "value": v} for n, v in sets.items())
        self.settings["add_headers"] = ({"name": "X-Treated", "value": "${pool} ${isp}"},)

    def wanted(self, content_type):
        """The transfer encoding of a text part with 8-bit content; None: any that keeps it."""
        wanted = self.encoding.get(content_type.rpartition("/")[2].replace("plain", "text"),
                                   self.encoding.get("global", "keep"))
        return None if wanted == "keep" else wanted


ALPHA = Record("alpha", ["alpha.example", "alpha2.example"], deletes=["X-Campaign"],
               **{"global": "base64"})
BETA = Record("beta", ["beta.example"], sets={"X-Mailer": "beta's"},
              **{"global": "quoted-printable"})
GAMMA = Record("gamma", ["*.gamma.example", "gamma.example"], html="base64",
               text="quoted-printable")
DELTA = Record("delta", ["delta.example"], deletes=["X-Mailer", "X-Camp*"])
DEFAULT = Record("default")
RECORDS = (ALPHA, BETA, GAMMA, DELTA, DEFAULT)

ACME = rig.Pool("acme", "example.com", spf_domain="ac-bounces.example.com", selectors=("ak",),
                add_headers=({"name": "X-Sender-Id", "value": "${pool}"},))
OTHER = rig.Pool("other", "other.example")
MEMBERS = rig.Pool("members", "members.example", users=["member-*"])
POOLS = (ACME, OTHER, MEMBERS)

# Four ISPs, several recipients of each, and some without a record.
EVERYBODY = {
    "a1@alpha.example": ALPHA, "b1@beta.example": BETA, "n1@example.net": DEFAULT,
    "a2@Alpha.Example": ALPHA, "g1@gamma.example": GAMMA, "g2@mail.gamma.example": GAMMA,
    "d1@delta.example": DELTA, "a3@alpha2.example": ALPHA, "b2@beta.example": BETA,
    "n2@example.org": DEFAULT, "d2@delta.example": DELTA, "b3@beta.example": BETA,
}
GROUPS = 5

EXTRA = b"X-Campaign: spring\r\n sale\r\nX-Mailer: the sender's\r\nX-Other: stays\r\n"
TEXT = "Gr\u00fc\u00dfe aus K\u00f6ln\r\n.\r\n..punkt\r\n\r\nEnde\r\n".encode()
HTML = "<p>Gr\u00fc\u00dfe</p>\r\n".encode()


def two_parts(author, number, extra=EXTRA):
    """text/plain and text/html in UTF-8, sent as 8bit."""
    head = rig.message(author, number, extra, body=b"").replace(
        b"Content-Type: text/plain\r\n", b'Content-Type: multipart/alternative; boundary="=b"\r\n')
    parts = b"".join(
        b"--=b\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n"
        % part for part in ((b"text/plain", TEXT), (b"text/html", HTML)))
    return head + b"preamble\r\n" + parts + b"--=b--\r\nepilogue\r\n"


def leaves(content):
    """[(content type, transfer encoding, decoded octets)] by Python's reader."""
    whole = email.message_from_bytes(content, policy=email.policy.compat32)
    return [(part.get_content_type(), part.get("Content-Transfer-Encoding", "7bit").strip().lower(),
             part.get_payload(decode=True)) for part in whole.walk() if not part.is_multipart()]


ENCODING_FIELDS = (b"content-transfer-encoding", b"mime-version")


def plain_fields(fields):
    return [f for f in fields if rig.sink.field_name(f) not in ENCODING_FIELDS]


def without_ours(rest):
    """(Received fields of an injection, the rest) of a message after rig.strip_added()."""
    found = re.match(rb"(?i)(Received: by [^\r\n]* \(poolmilter\)[^;]*;\r\n\t[^\r\n]*\r\n)?", rest)
    return found[0], rest[found.end():]


class IspTest(rig.E2ETest):
    """A site with the records above."""

    records = RECORDS

    @classmethod
    def isps(cls):
        return tuple(record.settings for record in cls.records)

    @staticmethod
    def pool_of(message):
        return next(pool for pool in POOLS if message.sender.endswith("@" + pool.spf_domain))

    def expected_fields(self, sent, pool, record):
        removed = list(pool.edits()[0]) + record.deletes + list(record.sets)
        fields = [f for f in rig.sink.split_fields(rig.sink.split(sent)[0])
                  if not rig._matches(f, removed + ["X-Pool", "X-Poolmilter-Split"])]
        added = [("%s: %s\r\n" % item).encode() for item in record.sets.items()]
        added.append(b"X-Treated: %s %s\r\n" % (pool.name.encode(), record.name.encode()))
        return plain_fields(fields) + pool.edits()[1] + added

    def assert_parts(self, rest, sent, record):
        have, want = leaves(rest), leaves(sent)
        self.assertEqual([(kind, octets) for kind, _, octets in have],
                         [(kind, octets) for kind, _, octets in want])
        for kind, encoding, octets in have:
            if kind.startswith("text/") and any(octet > 127 for octet in octets):
                self.assertEqual(encoding, record.wanted(kind) or encoding, (record.name, kind))

    def assert_copy(self, message, sent, record):
        """One message at the sink is as this record treats it; what the injection added on top."""
        pool = self.pool_of(message)
        self.assert_moved(message, pool)
        _, _, rest = rig.strip_added(message.content)
        trace, rest = without_ours(rest)
        have = plain_fields(rig.sink.split_fields(rig.sink.split(rest)[0]))
        self.assertEqual(sorted(have), sorted(self.expected_fields(sent, pool, record)))
        self.assert_parts(rest, sent, record)
        return trace

    def copies(self, number):
        """The messages of that number, once nothing is on its way any more."""
        self.assertTrue(self.site.mta.wait_empty(), self.site.mta.queue())
        return [m for m in self.site.sink.messages if rig.number_of(m.content) == str(number)]

    def assert_each_once(self, number, sent, expected, at_most=1):
        """expected: {recipient: its record}.  The number of copies that were injected again."""
        found = self.copies(number)
        counts = collections.Counter(rcpt.lower() for m in found for rcpt in m.rcpts)
        self.assertEqual(sorted(counts), sorted(rcpt.lower() for rcpt in expected))
        if at_most == 1:
            self.assertEqual(max(counts.values()), 1, counts)
        records = {rcpt.lower(): record for rcpt, record in expected.items()}
        again = 0
        for message in found:
            kinds = {records[rcpt.lower()].name: records[rcpt.lower()] for rcpt in message.rcpts}
            self.assertEqual(len(kinds), 1, "recipients of several ISPs: %s" % message.rcpts)
            again += bool(self.assert_copy(message, sent, *kinds.values()))
        self.assert_verifies(found, self.pool_of(found[0]))
        return again

    def send_whole(self, number, rcpts=EVERYBODY, author="author@example.com", content=None,
                   **options):
        """Sends one message, which must be accepted whole: (what was sent, the log's line)."""
        sent = content or two_parts(author, number)
        reply = self.site.send(sent, author, list(rcpts), **options)
        self.assertTrue(reply.accepted, reply)
        return sent, self.site.daemon.message_line(reply.queue_id)


def all_under(record, rcpts=EVERYBODY):
    return {rcpt: record for rcpt in rcpts}


class Neutral(IspTest):
    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS, isps=cls.isps(), mixed_isps="neutral").start()

    def test_default_treats_the_message(self):
        sent, line = self.send_whole("four")
        self.assert_each_once("four", sent, all_under(DEFAULT))
        self.assertEqual(len(self.copies("four")), 1)
        self.assertEqual((line["isp"], line["mixed"], line["nrcpt"]), ("default", "neutral", "12"))

    def test_one_isp_is_treated_as_it_wants(self):
        for record in RECORDS:
            with self.subTest(record.name):
                rcpts = {r: own for r, own in EVERYBODY.items() if own is record}
                sent, line = self.send_whole(record.name, rcpts)
                self.assert_each_once(record.name, sent, rcpts)
                self.assertEqual(line["isp"], record.name)
                self.assertNotIn("mixed", line)

    def test_dsn_options_are_kept(self):
        self.send_whole("dsn", mail_args="RET=HDRS ENVID=QQ1", rcpt_args="NOTIFY=DELAY")
        message, = self.copies("dsn")
        args = message.sender_args
        self.assertEqual((args["RET"], args["ENVID"]), ("HDRS", "QQ1"))
        self.assertEqual([args.get("NOTIFY") for args in message.rcpt_args], ["DELAY"] * 12)

    def test_pickup(self):
        content = two_parts("author@example.com", "pickup")
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com", *EVERYBODY)
        self.one("pickup")
        self.assert_each_once("pickup", content, all_under(DEFAULT))


class Defer(IspTest):
    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS, isps=cls.isps(), mixed_isps="defer").start()

    def test_in_turns_each_gets_its_own(self):
        content = two_parts("author@example.com", "turns")
        with self.site.connect() as c:
            turns = c.send_in_turns(content, "author@example.com", list(EVERYBODY))
        self.assertEqual([reply.code for reply, _ in turns], [250] * GROUPS)
        for _, rcpts in turns:
            self.assertEqual(len({EVERYBODY[rcpt].name for rcpt in rcpts}), 1, rcpts)
        self.assert_each_once("turns", content, EVERYBODY)

    def test_the_answer(self):
        with self.site.connect() as c:
            self.assertTrue(c.mail("author@example.com").accepted)
            self.assertTrue(c.rcpt("a1@alpha.example").accepted)
            reply = c.rcpt("b1@beta.example")
            self.assertEqual((reply.code, reply.text[:5]), (452, "4.5.3"))
            self.assertTrue(c.rcpt("a3@alpha2.example").accepted)
            self.assertTrue(c.command("RSET", "RSET").accepted)
            self.assertTrue(c.mail("author@example.com").accepted)
            self.assertTrue(c.rcpt("b1@beta.example").accepted, "the first of a new transaction")
        self.site.daemon.wait_log(r"isp: rcpt=<b1@beta.example> result=deferred reason=other-isp")

    def test_local_submission_is_never_deferred(self):
        content = two_parts("author@example.com", "local")
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com", *EVERYBODY)
        self.one("local")
        self.assert_each_once("local", content, all_under(DEFAULT))
        self.assertEqual(len(self.copies("local")), 1)

    def test_stranger_is_never_deferred(self):
        content = two_parts("author@example.com", "stranger")
        self.site.send(content, "author@example.com", list(EVERYBODY), xclient=rig.STRANGER)
        message, = self.copies("stranger")
        self.assert_unsigned(message, content, "author@example.com")
        self.assertEqual(len(message.rcpts), len(EVERYBODY))

    def test_login_is_deferred_and_served(self):
        author = "author@members.example"
        content = two_parts(author, "login")
        with self.site.connect(xclient=dict(rig.STRANGER, LOGIN="member-1")) as c:
            turns = c.send_in_turns(content, author, list(EVERYBODY))
        self.assertEqual(len(turns), GROUPS)
        self.assert_each_once("login", content, EVERYBODY)


class SplitTest(IspTest):
    """A site whose daemon injects again through a proxy, so that faults can be provoked there."""

    settings = {}
    main_cf = {}
    again = {}          # parameters of the smtpd that it injects into
    cleanups = {}

    @classmethod
    def setUpClass(cls):
        cls.again_port = daemon.free_port()
        cls.proxy = smtpproxy.Proxy(cls.again_port).start()
        try:
            cls.site = cls.make_site().start()
        except BaseException:
            cls.proxy.stop()
            raise

    @classmethod
    def make_site(cls):
        return rig.Site(POOLS, isps=cls.isps(), mixed_isps="split",
                        reinject="smtp://127.0.0.1:%d" % cls.proxy.port,
                        make_mta=functools.partial(postfix.Postfix, settings=cls.main_cf,
                                                   listeners={cls.again_port: cls.again},
                                                   cleanups=cls.cleanups),
                        **cls.settings)

    @classmethod
    def tearDownClass(cls):
        cls.proxy.stop()
        super().tearDownClass()

    def setUp(self):
        self.proxy.faults = {}
        if not self.site.daemon.alive:
            self.site.restart_daemon()
        super().setUp()


class Split(SplitTest):
    def test_each_gets_its_own(self):
        sent, line = self.send_whole("four")
        again = self.assert_each_once("four", sent, EVERYBODY)
        self.assertEqual(again, GROUPS - 1)
        self.assertEqual((line["isp"], line["mixed"]), ("alpha", "split"))
        self.assertEqual(line["split"], "beta:3/3,default:2/2,gamma:2/2,delta:2/2")

    def test_trace_of_the_first_reception(self):
        self.send_whole("trace", ["a@alpha.example", "b@beta.example"])
        beta, = [m for m in self.copies("trace") if m.rcpts == ["b@beta.example"]]
        self.assertEqual(len(beta.fields("Received")), 2)
        self.assertEqual(beta.fields("X-Poolmilter-Split"), [])

    def test_control_header(self):
        content = two_parts("author@example.com", "control", EXTRA + b"X-Pool: other\r\n")
        self.send_whole("control", content=content)
        self.assert_each_once("control", content, EVERYBODY)
        self.assertEqual({self.pool_of(m).name for m in self.copies("control")}, {"other"})

    def test_pool_with_users(self):
        author = "author@members.example"
        sent, _ = self.send_whole("users", author=author,
                                  xclient=dict(rig.STRANGER, LOGIN="member-7"))
        self.assert_each_once("users", sent, EVERYBODY)

    def test_pool_with_users_refuses_others(self):
        author = "author@members.example"
        sent, _ = self.send_whole("nouser", author=author,
                                  xclient=dict(rig.STRANGER, LOGIN="somebody"))
        message, = self.copies("nouser")
        self.assert_unsigned(message, sent, author)

    def test_null_sender(self):
        content = two_parts("author@example.com", "null")
        self.assertTrue(self.site.send(content, "", list(EVERYBODY)).accepted)
        found = self.copies("null")
        self.assertEqual({m.sender for m in found}, {""})
        self.assert_verifies(found, ACME)
        self.assertEqual(sorted(r.lower() for m in found for r in m.rcpts),
                         sorted(r.lower() for r in EVERYBODY))

    def test_local_submission_stays_whole(self):
        # The filter cannot take recipients off that Postfix may know by other names.
        content = two_parts("author@example.com", "pickup")
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com", *EVERYBODY)
        self.one("pickup")
        self.assert_each_once("pickup", content, all_under(DEFAULT))

    def test_dsn_options_keep_it_whole(self):
        content = two_parts("author@example.com", "dsn")
        for number, options in (("notify", {"rcpt_args": "NOTIFY=DELAY"}),
                                ("envid", {"mail_args": "ENVID=QQ1 RET=HDRS"}),
                                ("orcpt", {"rcpt_args": "ORCPT=rfc822;o@example.net"})):
            with self.subTest(number):
                content = two_parts("author@example.com", number)
                _, line = self.send_whole(number, content=content, **options)
                self.assertEqual(line["mixed"], "neutral")
                self.assert_each_once(number, content, all_under(DEFAULT))
                message, = self.copies(number)
                if "ENVID" in options.get("mail_args", ""):
                    self.assertEqual(message.sender_args["ENVID"], "QQ1")
                for args in message.rcpt_args:
                    key, _, value = options.get("rcpt_args", "").partition("=")
                    self.assertEqual(args.get(key, ""), value)

    MARK = (b"X-Poolmilter-Split: v=1; t=%d; pool=acme; isp=beta; mac=" % time.time()) + b"0" * 64

    def test_forged_mark_is_not_believed(self):
        for number, mark in (("forged", self.MARK), ("empty", b"X-Poolmilter-Split:"),
                             ("double", self.MARK + b"\r\n" + self.MARK)):
            with self.subTest(number):
                content = two_parts("author@example.com", number, EXTRA + mark + b"\r\n")
                _, line = self.send_whole(number, content=content)
                self.assertEqual(line["mixed"], "neutral")      # never split: it might be a loop
                self.assert_each_once(number, content, all_under(DEFAULT))

    def test_forged_mark_of_a_stranger_passes(self):
        content = two_parts("author@example.com", "fstranger", EXTRA + self.MARK + b"\r\n")
        self.site.send(content, "author@example.com", list(EVERYBODY), xclient=rig.STRANGER)
        message, = self.copies("fstranger")
        self.assert_unsigned(message, content, "author@example.com")

    def test_copied_mark(self):
        """A mark says which record treats a message of this sender, and that for minutes."""
        self.proxy.contents.clear()
        self.send_whole("genuine", ["a@alpha.example", "b@beta.example"])
        mark, = re.findall(rb"(?m)^X-Poolmilter-Split: .*isp=beta.*\r\n", self.proxy.contents[0])
        content = two_parts("author@example.com", "copied", EXTRA + mark)
        self.assertTrue(self.site.send(content, "author@example.com", list(EVERYBODY)).accepted)
        self.assert_each_once("copied", content, all_under(BETA))
        for number, changed in (("pool", mark.replace(b"acme", b"members")),
                                ("isp", mark.replace(b"beta", b"alpha")),
                                ("time", re.sub(rb"t=(\d+)\d\d", rb"t=\g<1>99", mark))):
            with self.subTest("another " + number):
                self.assertNotEqual(changed, mark)
                content = two_parts("author@example.com", number, EXTRA + changed)
                self.send_whole(number, content=content)
                self.assert_each_once(number, content, all_under(DEFAULT))
        with self.subTest("another sender"):
            content = two_parts("author@example.com", "sender", EXTRA + mark)
            self.assertTrue(self.site.send(content, "x@example.com", list(EVERYBODY)).accepted)
            self.assert_each_once("sender", content, all_under(DEFAULT))

    def test_forged_mark_without_a_pool_is_deferred(self):
        """It may be another node's copy of a message that had a pool there: never unsigned."""
        author = "author@nobody.example"
        content = two_parts(author, "nopool", EXTRA + self.MARK + b"\r\n")
        reply = self.site.send(content, author, ["a@alpha.example"])
        self.assertEqual((reply.stage, reply.code), (".", 451), reply)
        self.assertEqual(self.copies("nopool"), [])

    def test_octets_that_smtp_cannot_carry_stay_whole(self):
        for number, body in (("nul", b"a\0b\r\n"), ("nul-end", b"a\r\n\0\r\n")):
            with self.subTest(number):
                content = rig.message(number=number, body=body, extra=EXTRA)
                _, line = self.send_whole(number, content=content)
                self.assertEqual(line["split"], "beta:0/3,default:0/2,gamma:0/2,delta:0/2")
                self.assert_each_once(number, content, all_under(DEFAULT))

    def test_strangers_message_stays_whole(self):
        content = two_parts("author@example.com", "stranger")
        self.site.send(content, "author@example.com", list(EVERYBODY), xclient=rig.STRANGER)
        message, = self.copies("stranger")
        self.assert_unsigned(message, content, "author@example.com")

    def test_twenty_sessions_at_once(self):
        count = daemon.scaled(200)
        jobs = ((str(n), two_parts("author@example.com", n), "author@example.com",
                 [rcpt.replace("@", "-%d@" % n) for rcpt in EVERYBODY]) for n in range(count))
        load = rig.Load(self.site.mta.port, jobs).start().join()
        self.assertEqual(load.refusals, [])
        self.assertTrue(self.site.mta.wait_empty(60))
        messages = self.site.sink.messages
        counts = collections.Counter(r.lower() for m in messages for r in m.rcpts)
        self.assertEqual(len(counts), count * len(EVERYBODY))
        self.assertEqual(max(counts.values()), 1)
        self.assertEqual(len(messages), count * GROUPS)
        self.assert_verifies(messages[::4], ACME)
        for message in messages:
            records = {EVERYBODY[re.sub("-[0-9]+@", "@", rcpt)].name for rcpt in message.rcpts}
            self.assertEqual(message.fields("X-Treated"),
                             [b"X-Treated: acme %s\r\n" % records.pop().encode()])
            self.assertEqual(records, set())


class SplitRecipients(SplitTest):
    """Recipients that Postfix writes in another way than the client did."""

    ALIASES = ("both@beta.example=x@alpha.example,y@beta.example",
               "away@gamma.example=z@elsewhere.example",
               "first@alpha.example=b1@beta.example")
    main_cf = {"virtual_alias_maps": "inline:{ %s }" % " ".join(
        "{ %s = %s }" % tuple(alias.split("=")) for alias in ALIASES),
               "recipient_canonical_maps": "inline:{ { c@old.example = c@beta.example } }",
               "myorigin": "beta.example"}

    def deliver(self, number, rcpts, **options):
        """{recipient: [what X-Treated names in each of its copies]}."""
        _, self.line = self.send_whole(number, rcpts, **options)
        found = collections.defaultdict(list)
        for message in self.copies(number):
            treated, = message.fields("X-Treated")
            for rcpt in message.rcpts:
                found[rcpt] = sorted(found[rcpt] + [treated.split()[-1].decode()])
        return dict(found)

    def tearDown(self):
        self.assert_verifies(self.site.sink.messages, ACME)

    def test_alias_of_two(self):
        self.assertEqual(self.deliver("two", ["a@alpha.example", "both@beta.example"]),
                         {"a@alpha.example": ["alpha"], "x@alpha.example": ["beta"],
                          "y@beta.example": ["beta"]})

    def test_alias_elsewhere(self):
        self.assertEqual(self.deliver("away", ["a@alpha.example", "away@gamma.example",
                                               "g@gamma.example"]),
                         {"a@alpha.example": ["alpha"], "z@elsewhere.example": ["gamma"],
                          "g@gamma.example": ["gamma"]})

    def test_alias_to_one_who_is_there_too(self):
        # Two recipients that are one mailbox: a copy for each, as Postfix does without us.
        self.assertEqual(self.deliver("same", ["first@alpha.example", "b1@beta.example",
                                               "b2@beta.example"]),
                         {"b1@beta.example": ["alpha", "beta"], "b2@beta.example": ["beta"]})

    def test_twice_the_same(self):
        rcpts = ["a@alpha.example", "b@beta.example", "a@alpha.example", "b@beta.example",
                 "b@beta.example"]
        self.assertEqual(self.deliver("twice", rcpts),
                         {"a@alpha.example": ["alpha"], "b@beta.example": ["beta"]})

    def test_upper_case(self):
        self.assertEqual(self.deliver("upper", ["A@ALPHA.EXAMPLE", "B@BETA.Example"]),
                         {"A@ALPHA.EXAMPLE": ["alpha"], "B@BETA.Example": ["beta"]})

    def test_upper_and_lower_case(self):
        # Postfix delivers to addresses that differ in case only once.
        found = self.deliver("cases", ["A@ALPHA.EXAMPLE", "b@BETA.example", "B@beta.example",
                                       "b@beta.example"])
        self.assertEqual({rcpt.lower(): by for rcpt, by in found.items()},
                         {"a@alpha.example": ["alpha"], "b@beta.example": ["beta"]})

    def test_strange_local_parts(self):
        strange = ('"quoted user"@beta.example', '"a@b"@beta.example', "u=x@beta.example",
                   "u+tag@beta.example", "a!b@beta.example", "o'hara@beta.example",
                   '"comma,user"@beta.example', r'"back\\slash"@beta.example',
                   r'"quo\"te"@beta.example', "l" * 64 + "@beta.example", "%percent@beta.example",
                   '" "@beta.example')
        for number, rcpt in enumerate(strange):
            with self.subTest(rcpt):
                found = self.deliver("strange%d" % number, ["a@alpha.example", rcpt])
                self.assertEqual(found, {"a@alpha.example": ["alpha"], rcpt: ["beta"]})

    def test_needless_quotes(self):
        self.assertEqual(self.deliver("quotes", ["a@alpha.example", '"b"@beta.example']),
                         {"a@alpha.example": ["alpha"], "b@beta.example": ["beta"]})

    def test_what_cannot_be_injected_stays(self):
        for number, rcpt in enumerate(('"<x>"@beta.example', "b@b\u00fccher.example")):
            with self.subTest(rcpt):
                found = self.deliver("stays%d" % number, ["a@alpha.example", rcpt],
                                     mail_args="SMTPUTF8")
                self.assertEqual(found, {"a@alpha.example": ["default"], rcpt: ["default"]})

    def test_source_route(self):
        found = self.deliver("route", ["a@alpha.example", "@relay.example:b@beta.example"])
        self.assertEqual(found, {"a@alpha.example": ["default"], "b@beta.example": ["default"]})
        self.assertEqual(self.line["mixed"], "neutral")

    def test_utf8_local_part(self):
        self.assertEqual(self.deliver("utf8", ["a@alpha.example", "l\u00e4ser@beta.example"],
                                      mail_args="SMTPUTF8"),
                         {"a@alpha.example": ["alpha"], "l\u00e4ser@beta.example": ["beta"]})

    def test_rewritten_before_the_filter(self):
        # By SMTP the filter sees what the client gave, by pickup what Postfix made of it.
        self.assertEqual(self.deliver("canonical", ["a@alpha.example", "c@old.example"]),
                         {"a@alpha.example": ["alpha"], "c@beta.example": ["default"]})
        content = two_parts("author@example.com", "rewritten")
        rcpts = ["a@alpha.example", "c@old.example", "both@beta.example", "bob"]
        self.site.mta.sendmail(content.replace(b"\r\n", b"\n"), "author@example.com", *rcpts)
        self.one("rewritten")
        self.assert_each_once("rewritten", content, all_under(DEFAULT, [
            "a@alpha.example", "c@beta.example", "x@alpha.example", "y@beta.example",
            "bob@beta.example"]))


class SplitBcc(SplitTest):
    """Postfix adds a blind copy for each message that comes in: not for those injected again."""

    main_cf = {"always_bcc": "archive@arch.example",
               "recipient_bcc_maps": "inline:{ { b@beta.example = watch@arch.example } }",
               "virtual_alias_maps": "inline:{ { g@gamma.example = h@gamma.example } }"}
    again = {"cleanup_service_name": "again"}
    cleanups = {"again": {"always_bcc": "", "sender_bcc_maps": "", "recipient_bcc_maps": ""}}

    def test_one_blind_copy(self):
        _, line = self.send_whole("bcc", ["a@alpha.example", "b@beta.example", "g@gamma.example"])
        self.assertEqual(line["split"], "beta:1/1,gamma:1/1")
        self.assertEqual(sorted(rcpt for m in self.copies("bcc") for rcpt in m.rcpts),
                         ["a@alpha.example", "archive@arch.example", "b@beta.example",
                          "h@gamma.example", "watch@arch.example"])


class SplitFaults(SplitTest):
    """Nobody is lost, whatever becomes of the injection; nobody has it twice, unless it is said."""

    settings = {"syslog": {"level": "info"}}
    RCPTS = {rcpt: EVERYBODY[rcpt] for rcpt in ("a1@alpha.example", "b1@beta.example",
                                                "b2@beta.example", "g1@gamma.example")}

    def provoke(self, number, faults):
        self.proxy.faults = faults
        sent, line = self.send_whole(number, self.RCPTS)
        self.proxy.faults = {}
        return sent, line

    def stays_whole(self, number, faults):
        """All injections fail: one copy for all, as with "neutral"."""
        sent, line = self.provoke(number, faults)
        self.assertEqual((line["isp"], line["split"]), ("default", "beta:0/2,gamma:0/1"))
        self.site.daemon.wait_log("split: not for all recipients, the others stay")
        self.assert_each_once(number, sent, all_under(DEFAULT, self.RCPTS))
        self.assertEqual(len(self.copies(number)), 1)

    def test_refused_at_each_stage(self):
        for number, faults in {
                "greeting": {"connect": "421 4.3.2 no"}, "mail4": {"MAIL": "451 4.3.0 no"},
                "mail5": {"MAIL": "550 5.7.1 no"}, "rcpt4": {"RCPT": "450 4.2.0 no"},
                "rcpt5": {"RCPT": "550 5.1.1 no"}, "data4": {"DATA": "451 4.3.0 no"},
                "data5": {"DATA": "554 5.5.1 no"}, "dot4": {".": "451 4.7.1 no"},
                "dot5": {".": "554 5.6.0 no"}, "code": {"MAIL": "999 what"},
                "data2": {"DATA": "250 2.0.0 kept already"},
        }.items():
            with self.subTest(number):
                self.stays_whole(number, faults)

    def test_closed_at_each_stage(self):
        for stage in ("connect", "EHLO", "MAIL", "RCPT", "DATA", "."):
            with self.subTest(stage):
                self.stays_whole("closed-%s" % stage.replace(".", "dot"), {stage: smtpproxy.CLOSE})

    def test_hangs_then_closes(self):
        for stage in ("MAIL", "."):
            with self.subTest(stage):
                def hang(_):
                    time.sleep(0.5)
                    return smtpproxy.CLOSE
                self.stays_whole("hang-%s" % stage.replace(".", "dot"), {stage: hang})

    def test_nothing_listens(self):
        self.site.configure(reinject="smtp://127.0.0.1:%d" % daemon.free_port())
        self.site.daemon.reload()
        try:
            self.stays_whole("nothing", {})
        finally:
            self.site.configure()
            self.site.daemon.reload()

    def test_some_recipients_refused(self):
        for number, answer in (("some4", "450 4.2.0 no"), ("some5", "550 5.1.1 no")):
            with self.subTest(answer):
                sent, line = self.provoke(number, {
                    "RCPT": lambda line, answer=answer: answer if b"b2@" in line else None})
                self.assertEqual(line["split"], "beta:1/2,gamma:1/1")
                # Who is left goes with the first ones, under "default".
                self.assert_each_once(number, sent, dict(self.RCPTS, **{
                    "a1@alpha.example": DEFAULT, "b2@beta.example": DEFAULT}))

    def test_one_of_two_injections_fails(self):
        sent, line = self.provoke("half", {
            "RCPT": lambda line: smtpproxy.CLOSE if b"g1@" in line else None})
        self.assertEqual(line["split"], "beta:2/2,gamma:0/1")
        self.assert_each_once("half", sent, dict(self.RCPTS, **{
            "a1@alpha.example": DEFAULT, "g1@gamma.example": DEFAULT}))

    def test_lost_after_the_final_dot(self):
        """At worst a duplicate: the MTA has it, and we cannot know."""
        sent, line = self.provoke("after", {".": smtpproxy.CLOSE_AFTER})
        self.assertEqual(line["split"], "beta:0/2,gamma:0/1")
        found = self.copies("after")
        counts = collections.Counter(rcpt for m in found for rcpt in m.rcpts)
        self.assertEqual(counts, {"a1@alpha.example": 1, "b1@beta.example": 2, "b2@beta.example": 2,
                                  "g1@gamma.example": 2})
        self.assert_verifies(found, ACME)

    def deliver_until_accepted(self, number, content):
        load = rig.Load(self.site.mta.port, [(number, content, "author@example.com",
                                              list(self.RCPTS))], sessions=1, retry=True)
        return load.start()

    def test_killed_before_the_final_dot_went_out(self):
        gate = self.proxy.faults["."] = smtpproxy.Gate(2)
        content = two_parts("author@example.com", "kill")
        load = self.deliver_until_accepted("kill", content)
        gate.wait_reached()
        self.site.daemon.kill()
        self.proxy.faults = {}
        time.sleep(0.2)
        self.site.restart_daemon()
        load.join()
        self.assertTrue([r for r in load.refusals if r.deferred], load.replies)
        gate.open()
        self.assert_nobody_lost("kill", content, at_most=2)

    def assert_nobody_lost(self, number, sent, at_most):
        found = self.copies(number)
        counts = collections.Counter(rcpt for m in found for rcpt in m.rcpts)
        self.assertEqual(sorted(counts), sorted(self.RCPTS))
        self.assertLessEqual(max(counts.values()), at_most, counts)
        self.assert_verifies(found, ACME)

    def test_killed_between_two_injections(self):
        """The retry is split again: a duplicate for the first group's recipients, at worst."""
        gate = smtpproxy.Gate(2)
        self.proxy.faults["RCPT"] = lambda line: gate if b"g1@" in line else None
        content = two_parts("author@example.com", "between")
        load = self.deliver_until_accepted("between", content)
        gate.wait_reached()
        self.proxy.faults = {}
        self.site.daemon.kill()
        time.sleep(0.2)
        self.site.restart_daemon()
        load.join()
        gate.open()
        self.assertTrue([r for r in load.refusals if r.deferred], load.replies)
        self.assert_nobody_lost("between", content, at_most=2)

    def test_client_gone_meanwhile(self):
        """Nobody waits for the answer any more: Postfix goes on."""
        gate = self.proxy.faults["."] = smtpproxy.Gate()
        content = two_parts("author@example.com", "gone")
        c = self.site.connect()
        self.assertTrue(c.mail("author@example.com").accepted)
        for rcpt in self.RCPTS:
            self.assertTrue(c.rcpt(rcpt).accepted)
        self.assertEqual(c.command("DATA", "DATA").code, 354)
        c._socket.sendall(rig.client.wire(content))
        gate.wait_reached()
        c.close()
        gate.open()
        self.site.sink.wait(3)
        self.assert_each_once("gone", content, self.RCPTS)

    def test_reload_meanwhile(self):
        gate = self.proxy.faults["."] = smtpproxy.Gate()
        content = two_parts("author@example.com", "reload")
        load = self.deliver_until_accepted("reload", content)
        gate.wait_reached()
        self.site.configure(mixed_isps="neutral")
        self.site.daemon.reload()
        gate.open()
        load.join()
        self.site.configure()
        self.site.daemon.reload()
        self.assertEqual(load.refusals, [])
        self.assert_each_once("reload", content, self.RCPTS)

    def test_record_gone_meanwhile(self):
        """The mark of a copy under way names a record that a reload has taken away."""
        gate = self.proxy.faults["MAIL"] = smtpproxy.Gate()
        content = two_parts("author@example.com", "record")
        load = self.deliver_until_accepted("record", content)
        gate.wait_reached()
        self.site.configure(isps=(ALPHA.settings, DEFAULT.settings))
        self.site.daemon.reload()
        gate.open()
        load.join()
        self.site.configure()
        self.site.daemon.reload()
        self.assertEqual(load.refusals, [])
        self.assert_each_once("record", content, all_under(DEFAULT, self.RCPTS)
                              | {"a1@alpha.example": ALPHA})

    def test_sigterm_meanwhile(self):
        gate = self.proxy.faults["."] = smtpproxy.Gate()
        content = two_parts("author@example.com", "term")
        load = self.deliver_until_accepted("term", content)
        gate.wait_reached()
        self.site.daemon.send_signal(rig.signal.SIGTERM)
        time.sleep(0.3)
        gate.open()
        self.assertEqual(self.site.daemon.wait_exit(), 0)
        self.site.restart_daemon()
        load.join()
        self.assert_nobody_lost("term", content, at_most=2)


class Loop(SplitTest):
    """What is injected comes to a daemon with other secrets, which wants to split it too."""

    @classmethod
    def make_site(cls):
        site = super().make_site()
        cls.second = daemon.Daemon([pool.settings for pool in POOLS], start=False, isps=cls.isps(),
                                   socket_mode="0660", socket_group="postfix", mixed_isps="split",
                                   reinject=site.daemon.settings["reinject"])
        rig.os.chmod(cls.second.directory, 0o755)
        cls.second.start()
        site._make_mta = functools.partial(
            postfix.Postfix, listeners={cls.again_port: {"smtpd_milters": cls.second.address}})
        return site

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.second.stop()

    def test_one_hop_more_and_no_further(self):
        before = self.proxy.connections
        sent, _ = self.send_whole("hops")
        self.assertEqual(self.proxy.connections - before, GROUPS - 1)
        self.assert_each_once("hops", sent, EVERYBODY)      # each copy is for one ISP only

    def test_mark_of_another_is_removed(self):
        """The pool is for logins, and a copy has none.  Without a valid mark it must not pass
        unsigned: not taken, it stays on the message."""
        author = "author@members.example"
        self.send_whole("members", author=author, xclient=dict(rig.STRANGER, LOGIN="member-1"))
        found = self.copies("members")
        self.assertEqual([f for m in found for f in m.fields("X-Poolmilter-Split")], [])
        self.assertEqual(sorted(r.lower() for m in found for r in m.rcpts),
                         sorted(r.lower() for r in EVERYBODY))
        self.assert_verifies(found, MEMBERS)


SEVEN_BIT = ("PIPELINING", "SIZE 104857600", "DSN", "ENHANCEDSTATUSCODES")
SINKS = {"8BITMIME and SMTPUTF8": rig.sink.Sink.EXTENSIONS, "neither": SEVEN_BIT}

UTF8 = "Gr\u00fc\u00dfe \u20ac\r\n.\r\n..x\r\nFrom here\r\n".encode()
LATIN1 = "Gr\u00fc\u00dfe\r\n.x\r\n".encode("latin-1")
LONG_HTML = b"<p>" + b"word and word " * 7200 + b"</p>\r\n"


def _entity(body, *fields):
    """(fields, body) of a message or of a part."""
    return b"".join(f + b"\r\n" for f in fields), body


def _multipart(*parts, kind=b"mixed"):
    body = b"".join(b"--=_b\r\n" + fields + b"\r\n" + content + b"\r\n"
                    for fields, content in parts) + b"--=_b--\r\n"
    return _entity(body, b"MIME-Version: 1.0",
                   b'Content-Type: multipart/%s; boundary="=_b"' % kind)


def _text(charset, body, *more, kind=b"plain"):
    return _entity(body, b"Content-Type: text/%s; charset=%s" % (kind, charset), *more)


def _mime(entity):
    return b"MIME-Version: 1.0\r\n" + entity[0], entity[1]


def _labelled(entity, encoding=b"8bit"):
    """A whole message of which the multipart itself has a Content-Transfer-Encoding."""
    return entity[0] + CTE + encoding + b"\r\n", entity[1]


CTE = b"Content-Transfer-Encoding: "
BINARY = bytes(range(256)) * 20
ATTACHED = _entity(base64.encodebytes(BINARY).replace(b"\n", b"\r\n"),
                   b"Content-Type: application/octet-stream; name=a.bin",
                   b"Content-Disposition: attachment", CTE + b"base64")

# name -> (header fields besides rig.message()'s first five, body)
CONTENTS = {
    "utf-8 8bit": _mime(_text(b"utf-8", UTF8, CTE + b"8bit")),
    "utf-8 as 7bit": _mime(_text(b"utf-8", UTF8, CTE + b"7bit")),
    "utf-8 unlabelled": _mime(_text(b"utf-8", UTF8)),
    "latin-1 8bit": _mime(_text(b"iso-8859-1", LATIN1, CTE + b"8bit")),
    "latin-1 as 7bit": _mime(_text(b"iso-8859-1", LATIN1, CTE + b"7bit")),
    "latin-1 unlabelled": _mime(_text(b"iso-8859-1", LATIN1)),
    "html 8bit": _mime(_text(b"utf-8", b"<p>" + UTF8 + b"</p>\r\n", CTE + b"8bit", kind=b"html")),
    "no MIME fields at all": (b"", UTF8),
    "8-bit in two parts": _multipart(_text(b"utf-8", UTF8, CTE + b"8bit"),
                                     _text(b"utf-8", UTF8, CTE + b"8bit", kind=b"html"),
                                     kind=b"alternative"),
    "8-bit and an attachment": _multipart(_text(b"iso-8859-1", LATIN1), ATTACHED),
    "quoted-printable and base64": _multipart(
        _text(b"utf-8", b"Gr=C3=BC=C3=9Fe =\r\n.\r\n", CTE + b"quoted-printable"), ATTACHED),
    "a line of 998": _mime(_text(b"us-ascii", b"x" * 998 + b"\r\n")),
    "a line of 999": _mime(_text(b"us-ascii", b"x" * 999 + b"\r\n")),
    "a line of 2048": _mime(_text(b"us-ascii", b"word " * 409 + b"end\r\nx\r\n")),
    "a line of 100,000": _mime(_text(b"utf-8", b"a\r\n" + LONG_HTML, kind=b"html")),
    "a long 8-bit line": _mime(_text(b"utf-8", "\u00fc".encode() * 3000 + b"\r\n", CTE + b"8bit")),
    "long lines without MIME fields": (b"", b"word " * 500 + b"\r\n"),
    "long lines in a part": _multipart(_text(b"utf-8", b"short\r\n"),
                                       _text(b"utf-8", LONG_HTML, CTE + b"7bit", kind=b"html")),
    "format=flowed": _mime(_text(b"utf-8; format=flowed; delsp=yes",
                                 UTF8 + b"flowed \r\n on \r\n-- \r\nsig\r\n", CTE + b"8bit")),
    "leading dots": _mime(_text(b"utf-8", b".\r\n..\r\n...\r\n.x\r\n" + UTF8, CTE + b"8bit")),
    "blanks at line ends": _mime(_text(b"utf-8", b"a \r\nb\t\r\n \r\n" + UTF8, CTE + b"8bit")),
    "header of 1,200 with blanks": (b"References:" + b" <aaaaaaaa@example.com>" * 52 + b"\r\n",
                                    b"x\r\n"),
    "header of 5,000 with blanks": (b"Reply-To: a@example.com" + b", b@example.com" * 332 + b"\r\n",
                                    b"x\r\n"),
    "header of 1,200 without blanks": (b"References: <" + b"a" * 1188 + b">\r\n", b"x\r\n"),
    "header of 5,000 without blanks": (b"List-Unsubscribe: <https://e.example/" + b"a" * 4966
                                       + b">\r\n", b"x\r\n"),
    "unsigned header of 5,000 without blanks": (b"X-Long: " + b"a" * 5000 + b"\r\n", b"x\r\n"),
    "long and folded": (b"References:\r\n" + b" <a@example.com>" * 80
                        + b"\r\n\t<b@example.com>\r\n", b"x\r\n"),
    "raw 8-bit headers": (b"Cc: J\xc3\xb6rg <j@example.net>\r\n"
                          b"Reply-To: J\xf6rg <j@example.net>\r\n", b"x\r\n"),
    "long raw 8-bit header": (b"Reply-To:" + " J\u00f6rg <j@example.net>,".encode() * 70
                              + b" <k@example.net>\r\n", b"x\r\n"),
}


ASCII = b"Hello,\r\nworld.\r\n"
LABELS = {
    "ascii as 8bit": _mime(_text(b"utf-8", ASCII, CTE + b"8bit")),
    "ascii as binary": _mime(_text(b"utf-8", ASCII, CTE + b"binary")),
    "ascii as 8Bit": _mime(_text(b"utf-8", ASCII, b"content-transfer-encoding:  8Bit ")),
    "utf-8 as binary": _mime(_text(b"utf-8", UTF8, CTE + b"binary")),
    "8bit multipart of 8bit": _labelled(_multipart(_text(b"utf-8", UTF8, CTE + b"8bit"), ATTACHED)),
    "8bit multipart of 7bit": _labelled(_multipart(
        _text(b"utf-8", ASCII, CTE + b"7bit"), ATTACHED)),
    "8bit multipart of quoted-printable": _labelled(_multipart(
        _text(b"utf-8", b"=C3=BC\r\n", CTE + b"quoted-printable"), ATTACHED)),
    "8bit multipart in another": _multipart(
        (b"Content-Type: multipart/alternative; boundary=i\r\n" + CTE + b"8bit\r\n",
         b"--i\r\nContent-Type: text/plain; charset=utf-8\r\n" + CTE + b"8bit\r\n\r\n" + UTF8
         + b"\r\n--i--\r\n")),
    "7bit multipart of 8bit": _labelled(_multipart(_text(b"utf-8", UTF8, CTE + b"8bit")), b"7bit"),
}

ATTACHMENT = b"Content-Disposition: attachment; filename=a"
LEFT = {
    "attachment of 8-bit text": _multipart(_text(b"utf-8", ASCII), _text(
        b"utf-8", UTF8, ATTACHMENT, CTE + b"8bit")),
    "attachment of octets": _multipart(_text(b"utf-8", ASCII), _entity(
        b"\xff\xfe\xe4\r\n", b"Content-Type: application/octet-stream", ATTACHMENT, CTE + b"8bit")),
    "attachment with a long line": _multipart(_text(b"utf-8", ASCII), _text(
        b"utf-8", b"x" * 3000 + b"\r\n", ATTACHMENT)),
    "ascii attachment as 8bit": _multipart(_text(b"utf-8", ASCII), _entity(
        ASCII, b"Content-Type: text/plain", b"Content-Disposition: attachment", CTE + b"8bit")),
    "forwarded ascii as 8bit": _multipart(_text(b"utf-8", ASCII), _entity(
        b"From: a@b.example\r\n\r\nx\r\n", b"Content-Type: message/rfc822", CTE + b"8bit")),
    "forwarded 8-bit mail": _multipart(_text(b"utf-8", ASCII), _entity(
        b"From: x@y.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + CTE + b"8bit\r\n\r\n" + UTF8, b"Content-Type: message/rfc822", CTE + b"8bit")),
    "signed 8-bit text": (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; micalg=pgp-sha256; "
        b'protocol="application/pgp-signature"; boundary="=_b"\r\n',
        _multipart(_text(b"utf-8", UTF8, CTE + b"8bit"),
                   _entity(b"sig\r\n", b"Content-Type: application/pgp-signature"))[1]),
}
ALL_CONTENTS = dict(CONTENTS, **LABELS, **LEFT)


def _without_blanks(content):
    """(name, value) of the fields: folding may add a blank where there was none to fold at."""
    found = []
    for field in rig.sink.split_fields(rig.sink.split(content)[0]):
        name, _, value = field.partition(b":")
        if name.strip().lower() not in ENCODING_FIELDS:
            found.append((name, b"".join(value.split())))
    return found


class Hops(IspTest):
    """What leaves arrives as it is, whatever the next hop can take."""

    @classmethod
    def setUpClass(cls):
        cls.site = rig.Site(POOLS, make_mta=functools.partial(
            postfix.Postfix, settings={"smtp_connection_cache_on_demand": "no"})).start()

    @staticmethod
    def content(number, name):
        fields, body = ALL_CONTENTS[name]
        return rig.message("author@other.example", number, fields, body).replace(
            b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n", b"")

    def through(self, extensions, names=CONTENTS, mail_args=""):
        """{name: (sent, the message at the sink)}."""
        self.site.sink.extensions = list(extensions)
        sent = {}
        for number, name in enumerate(names):
            sent[name] = self.content(number, name)
            reply = self.site.send(sent[name], "author@other.example", mail_args=mail_args)
            self.assertTrue(reply.accepted, (name, reply))
        arrived = self.site.sink.wait(len(sent))
        by_number = {rig.number_of(m.content): m for m in arrived}
        return {name: (sent[name], by_number[str(number)]) for number, name in enumerate(names)}

    def broken(self, pairs):
        """{name: what is wrong with its signature} by each verifier."""
        found = {}
        contents = [message.content for _, message in pairs.values()]
        for verifier in (verify.python_dkim, verify.perl_dkim):
            for name, results in zip(pairs, verifier(contents, self.site.keys)):
                wrong = verify.all_good([results], OTHER.signatures)
                if wrong:
                    found.setdefault(name, []).append(wrong)
        return found

    def assert_same(self, sent, message):
        _, _, rest = rig.strip_added(message.content)
        self.assertEqual(_without_blanks(rest), _without_blanks(sent))
        self.assertEqual([leaf[::2] for leaf in leaves(rest)], [leaf[::2] for leaf in leaves(sent)])
        self.assertLessEqual(max(map(len, message.content.split(b"\r\n"))), 998)

    def check_contents(self, contents):
        for sink_name, extensions in SINKS.items():
            for mail_args in ("", "BODY=8BITMIME"):
                self.site.sink.clear()
                pairs = self.through(extensions, contents, mail_args)
                with self.subTest(sink_name, mail_args=mail_args):
                    self.assertEqual(sorted(self.broken(pairs)), [])
                for name, (sent, message) in pairs.items():
                    with self.subTest(sink_name, content=name, mail_args=mail_args):
                        self.assert_same(sent, message)

    def test_all_verify_and_decode(self):
        self.check_contents(CONTENTS)

    def test_labels_alone(self):
        """Postfix converts what is labelled 8bit or binary, whatever is in it, multiparts too."""
        self.check_contents(LABELS)

    def test_what_is_left_by_design(self):
        """Attachments, forwarded and signed mail: not ours to change, so a hop that must change
        them breaks our signature.  The log tells it."""
        pairs = self.through(rig.sink.Sink.EXTENSIONS, LEFT)
        self.assertEqual(sorted(self.broken(pairs)), ["attachment with a long line"])
        mark = self.site.daemon.mark()
        self.site.sink.clear()
        pairs = self.through(SEVEN_BIT, LEFT)
        self.assertEqual(sorted(self.broken(pairs)), sorted(LEFT))
        for number, name in enumerate(LEFT):
            line = self.site.daemon.wait_log(r"result=accepted", since=mark)
            mark = self.site.daemon.lines.index(line) + 1
            self.assertRegex(line, r"encoded=- reason=(attachment|message|text):\S+ ", name)
        for name, (sent, message) in pairs.items():
            if "long line" not in name:         # that one is cut in pieces
                _, _, rest = rig.strip_added(message.content)
                self.assertEqual([leaf[::2] for leaf in leaves(rest)],
                                 [leaf[::2] for leaf in leaves(sent)], name)

    def test_without_safe_encoding_signatures_break(self):
        """What the tests above are worth: Postfix does break these."""
        self.site.configure(safe_encoding=False)
        self.site.daemon.reload()
        try:
            broken = {}
            for sink_name, extensions in SINKS.items():
                self.site.sink.clear()
                broken[sink_name] = self.broken(self.through(extensions, CONTENTS))
        finally:
            self.site.configure()
            self.site.daemon.reload()
        long = {name for name in CONTENTS
                if "long" in name or re.search("999|,000|2048|1,200", name)}
        long -= {"unsigned header of 5,000 without blanks", "long raw 8-bit header"}
        self.assertEqual(set(broken["8BITMIME and SMTPUTF8"]), long)
        eight = {name for name, (fields, body) in CONTENTS.items() if b"8bit" in fields + body}
        self.assertEqual(set(broken["neither"]), long | eight)


HOSTER = Record("hoster", mx=["*.hoster.example", "mx.hoster.example"])


class AllDead(dict):
    """Trouble with every name."""

    def get(self, name, default=None):
        return "drop"


class Mx(IspTest):
    """Records found by MX hosts; the DNS server may be dead, mail goes on."""

    records = (ALPHA, HOSTER, DEFAULT)
    TIMEOUT = 0.5

    @classmethod
    def setUpClass(cls):
        hosts = {"hosted": ["10 mx1.hoster.example.", "20 mx2.hoster.example."],
                 "hosted2": ["10 MX.Hoster.Example."],
                 "half": ["10 mx1.hoster.example.", "20 mx.elsewhere.example."],
                 "later": ["10 mx.hoster.example."], "none": []}
        records = {name + ".example": {"MX": mx} for name, mx in hosts.items()}
        cls.dns = dnsserver.Server(dict(records, **{"": {"NS": ["a.root.example."]}})).start()
        cls.site = rig.Site(POOLS, isps=cls.isps(), resolver="127.0.0.1@%d" % cls.dns.port,
                            dns={"timeout_ms": int(cls.TIMEOUT * 1000)}).start()

    @classmethod
    def tearDownClass(cls):
        cls.dns.stop()
        super().tearDownClass()

    def deliver(self, number, *rcpts):
        """(the record that treated it, seconds that it took), from the log."""
        _, line = self.send_whole(number, rcpts)
        self.assertEqual(line["result"], "accepted")
        return line["isp"], float(line["took_ms"]) / 1000

    def test_found_by_mx(self):
        for number, (rcpt, record) in enumerate((
                ("a@hosted.example", "hoster"), ("a@HOSTED2.example", "hoster"),
                ("a@half.example", "default"), ("a@none.example", "default"),
                ("a@nowhere.example", "default"), ("a@alpha.example", "alpha"))):
            with self.subTest(rcpt):
                self.assertEqual(self.deliver(number, rcpt)[0], record)
        before = dict(self.dns.queries)
        self.assertNotIn(("alpha.example", "MX"), before)
        self.assertEqual(self.deliver("again", "b@hosted.example")[0], "hoster")
        self.assertEqual(self.dns.queries["hosted.example", "MX"], before["hosted.example", "MX"])
        content = two_parts("author@example.com", "treated")
        self.send_whole("treated", ["c@hosted.example", "d@hosted2.example"], content=content)
        self.assert_each_once("treated", content, all_under(HOSTER, ["c@hosted.example",
                                                                     "d@hosted2.example"]))

    def test_dead_server(self):
        server = self.site.daemon
        self.assertEqual(self.deliver("before", "a@hosted.example")[0], "hoster")
        mark = server.mark()
        self.dns.trouble = AllDead()
        record, seconds = self.deliver("dead", *("a@dead%d.example" % n for n in range(5)))
        self.assertEqual(record, "default")
        self.assertGreater(seconds, self.TIMEOUT * 0.9)
        self.assertLess(seconds, self.TIMEOUT + 0.5)
        server.wait_log("dns: no answer", since=mark)
        for number in range(5):
            record, seconds = self.deliver("broken%d" % number, "a@dead%d.example" % (10 + number))
            self.assertEqual(record, "default")
            self.assertLess(seconds, self.TIMEOUT / 2, "the breaker is open")
        self.assertEqual(self.deliver("cached", "b@hosted.example")[0], "hoster")
        self.dns.trouble = {}
        server.wait_log("dns: .* answers again", since=mark)
        self.assertEqual(self.deliver("back", "a@later.example")[0], "hoster")
        self.assertEqual(len([line for line in server.lines[mark:] if "dns: " in line]), 2)


class OfSendmail(IspTest):
    """The same with Sendmail; it has no XCLIENT, and all of loopback is trusted here."""

    @classmethod
    def setUpClass(cls):
        cls.again_port = daemon.free_port()
        make_mta = functools.partial(sendmail.Sendmail, listeners=[cls.again_port],
                                     aliases="both: x@alpha.example, y@beta.example\n")
        site = rig.Site(POOLS, isps=cls.isps(), trusted_networks=["127.0.0.0/8"], make_mta=make_mta,
                        reinject="smtp://127.0.0.1:%d" % cls.again_port)
        try:
            cls.site = site.start()
        except sendmail.Missing as missing:
            raise unittest.SkipTest(str(missing))

    def mode(self, mixed_isps):
        self.site.configure(mixed_isps=mixed_isps)
        self.site.daemon.reload()

    def test_neutral(self):
        self.mode("neutral")
        sent, line = self.send_whole("neutral")
        self.assertEqual(line["mixed"], "neutral")
        self.assert_each_once("neutral", sent, all_under(DEFAULT))

    def test_defer(self):
        self.mode("defer")
        content = two_parts("author@example.com", "turns")
        with self.site.connect() as c:
            turns = c.send_in_turns(content, "author@example.com", list(EVERYBODY))
        self.assertEqual([reply.code for reply, _ in turns], [250] * GROUPS)
        self.assert_each_once("turns", content, EVERYBODY)

    def test_split(self):
        self.mode("split")
        sent, line = self.send_whole("split")
        self.assertEqual(line["split"], "beta:3/3,default:2/2,gamma:2/2,delta:2/2")
        self.assertEqual(self.assert_each_once("split", sent, EVERYBODY), GROUPS - 1)

    def test_split_recipients(self):
        """Sendmail deletes them all, aliases with what they stand for too."""
        self.mode("split")
        for number, rcpt in enumerate((
                "B@BETA.Example", '"quoted user"@beta.example', '"a@b"@beta.example',
                "u+tag=x@beta.example", r'"quo\"te"@beta.example', "a!b@beta.example",
                '"comma,user"@beta.example', '"b"@beta.example', '"(x)"@beta.example')):
            with self.subTest(rcpt):
                self.treated("rcpt%d" % number, ["a@alpha.example", rcpt, rcpt],
                             {"a@alpha.example": "alpha", rcpt: "beta"})
        self.treated("alias", ["a@alpha.example", "both@" + sendmail.HOST],
                     {"a@alpha.example": "alpha", "x@alpha.example": "default",
                      "y@beta.example": "default"})

    def treated(self, number, rcpts, expected):
        self.send_whole(number, rcpts)
        have = sorted((rcpt, field) for m in self.copies(number) for rcpt in m.rcpts
                      for field in m.fields("X-Treated"))
        self.assertEqual(have, sorted((rcpt, b"X-Treated: acme %s\r\n" % name.encode())
                                      for rcpt, name in expected.items()))


if __name__ == "__main__":
    rig.main()
