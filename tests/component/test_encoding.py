#!/usr/bin/python3
"""Re-encoding, and the headers of ISP records: rows C1 to C11, D1 and D2 of the list of faults.

Each message goes through the daemon to a recipient whose ISP record has one rule.  What the fake MTA holds
afterwards is judged by tests/lib/mimeread.py, whatever is expected of the case; then by the case itself: the
encodings that the leaves have then, or LEFT: not one octet of the body changed.
"""
import base64
import re

import common
import daemon
import mimeread
import mta

RULES = {
    "keep": {"global": "keep"},
    "qp": {"global": "quoted-printable"},
    "base64": {"global": "base64"},
    "8bit": {"global": "8bit"},
    "mixed": {"html": "base64", "text": "quoted-printable"},
}
ISPS = tuple({"name": name, "domains": ["%s.example" % name], "encoding": encoding}
             for name, encoding in RULES.items())
POOL = daemon.pool("acme", "example.com")
ZONE = daemon.zone_for(POOL)
TOP = (b"From: a@example.com\r\nTo: b@example.net\r\nSubject: Test\r\n"
       b"Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n")
LEFT, ANY = "left", "any"       # not one octet changed; whatever mimeread.compare() allows
ALL_LEFT, ALL_ANY = dict.fromkeys(RULES, LEFT), dict.fromkeys(RULES, ANY)
SAFE = "safe"                   # of a leaf: quoted-printable or base64, what is shorter
QP, B64, EIGHT, SEVEN, NONE = b"quoted-printable", b"base64", b"8bit", b"7bit", b""
UTF8 = "Gr\u00fc\u00dfe aus K\u00f6ln\r\n\u65e5\u672c\u8a9e\r\n".encode()


def part(content, kind="text/plain; charset=utf-8", label=None, *more):
    """A part, or with TOP before it a message."""
    fields = [b"Content-Type: %s\r\n" % kind.encode()] if kind else []
    if label:
        fields.append(b"Content-Transfer-Encoding: %s\r\n" % label)
    fields += [field + b"\r\n" for field in more]
    return b"".join(fields) + b"\r\n" + content


def multi(boundary, *parts, kind="mixed", close=True, after=b""):
    """A multipart as a part."""
    lines = [b"Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n" % (kind.encode(), boundary)]
    lines += [b"--" + boundary + b"\r\n" + each + b"\r\n" for each in parts]
    if close:
        lines.append(b"--" + boundary + b"--" + after + b"\r\n")
    return b"".join(lines)


def b64(octets, width=76):
    text = base64.b64encode(octets)
    return b"".join(text[at:at + width] + b"\r\n" for at in range(0, len(text), width))


TEXT = part(UTF8, label=EIGHT)
HTML = part(b"<p>" + UTF8 + b"</p>\r\n", "text/html; charset=utf-8", EIGHT)
BOUNDARY_70 = b"b" * 70
LONG = b"word " * 199 + b"1234\r\n"      # 999 octets

# name -> (message without TOP, {rule: encodings of all leaves afterwards, LEFT or ANY})
CASES = {
    "C1": {
        "multipart/signed": (multi(b"x", TEXT, part(b"sig\r\n", "application/pgp-signature"), kind="signed"), ALL_LEFT),
        "multipart/encrypted": (multi(b"x", part(b"Version: 1\r\n", "application/pgp-encrypted"), TEXT,
                                      kind="encrypted"), ALL_LEFT),
        "S/MIME": (part(b64(b"\x30\x80" * 300), "application/pkcs7-mime; smime-type=enveloped-data", B64), ALL_LEFT),
        "message/rfc822": (part(TOP + TEXT, "message/rfc822", EIGHT), ALL_LEFT),
        "message/rfc822 beside text": (
            multi(b"outer", part(TOP + multi(b"inner", TEXT, HTML), "message/rfc822"), TEXT),
            {"qp": [NONE, QP], "base64": [NONE, B64], "8bit": LEFT}),
        "message/delivery-status and text/rfc822-headers": (
            multi(b"x", part(b"Notification\r\n"), part(b"Action: failed\r\n", "message/delivery-status"),
                  part(TOP, "text/rfc822-headers"), kind="report"), {"qp": [QP, NONE, QP], "keep": LEFT}),
        "attachments of text": (
            multi(b"x", TEXT, part(UTF8, "text/plain", EIGHT, b"Content-Disposition: attachment"),
                  part(UTF8, "text/html", EIGHT, b"Content-Disposition: ATTACHMENT; filename=x"),
                  part(UTF8, "text/csv", EIGHT, b"Content-Disposition: unheard-of")),
            {"base64": [B64, EIGHT, EIGHT, EIGHT], "keep": [SAFE, EIGHT, EIGHT, EIGHT]}),
        "an attachment is the whole message": (
            part(UTF8, "text/plain", EIGHT, b"Content-Disposition: attachment"), ALL_LEFT),
        "a multipart is the attachment": (
            multi(b"outer", TEXT, b"Content-Disposition: attachment\r\n" + multi(b"inner", TEXT, HTML)),
            {"base64": [B64, EIGHT, EIGHT], "mixed": [QP, EIGHT, EIGHT]}),
        "a digest has messages": (multi(b"outer", part(TOP + TEXT, None), TEXT, kind="digest"),
                                  {"base64": [NONE, B64], "mixed": [NONE, QP]}),
        "other types": (multi(b"x", part(b64(b"\xff" * 99), "image/png", B64), part(b"x\r\n", "model/mesh")), ALL_LEFT),
        "signed part beside text": (
            multi(b"x", TEXT, multi(b"s", HTML, part(b"sig\r\n", "application/pgp-signature"), kind="signed"),
                  HTML), {"mixed": [QP, EIGHT, NONE, B64], "8bit": LEFT}),
        "inline is text": (part(UTF8, "text/plain", EIGHT, b"Content-Disposition: inline; filename=x"),
                           {"base64": [B64], "qp": [QP]}),
    },
    "C2": {
        "not closed": (multi(b"x", TEXT, HTML, close=False), ALL_LEFT),
        "inner not closed": (multi(b"x", multi(b"y", TEXT, HTML, close=False), TEXT), ALL_LEFT),
        "outer and inner the same": (multi(b"x", multi(b"x", TEXT), HTML), ALL_LEFT),
        "inner begins as the outer": (multi(b"x", multi(b"xy", TEXT), HTML), ALL_LEFT),
        "outer begins as the inner": (multi(b"xy", multi(b"x", TEXT), HTML), ALL_LEFT),
        "siblings share a boundary": (multi(b"x", multi(b"y", TEXT), multi(b"y", HTML)), ALL_LEFT),
        "sibling's boundary in a text": (multi(b"x", multi(b"y", TEXT), part(b"--y--\r\n")), ALL_LEFT),
        "70 characters": (multi(BOUNDARY_70, TEXT, HTML), {"mixed": [QP, B64], "base64": [B64, B64]}),
        "71 characters": (multi(b"b" * 71, TEXT, HTML), ALL_LEFT),
        "blanks behind the last": (multi(b"x", TEXT, HTML, after=b" \t"), ALL_LEFT),
        "blanks behind each": (multi(b"x", TEXT, HTML).replace(b"--x\r\n", b"--x \r\n"), ALL_LEFT),
        "text behind the last": (multi(b"x", TEXT, HTML, after=b"y"), ALL_LEFT),
        "closed twice": (multi(b"x", TEXT) + b"--x--\r\n", ALL_ANY),
        "another part behind the end": (multi(b"x", TEXT) + b"--x\r\n" + HTML + b"--x--\r\n", ALL_ANY),
        "boundary with blanks": (multi(b"a b  c", TEXT, HTML), ALL_ANY),
        "boundary ends with a blank": (multi(b"ab ", TEXT, HTML), ALL_LEFT),
        "boundary of all signs": (multi(b"'()+_,-./:=?", TEXT, HTML), {"mixed": [QP, B64]}),
        "no boundary": (b"Content-Type: multipart/mixed\r\n\r\n--x\r\n" + TEXT + b"\r\n--x--\r\n", ALL_LEFT),
        "empty boundary": (multi(b"", TEXT), ALL_LEFT),
        "two boundaries": (multi(b"x", TEXT).replace(b"=\"x\"", b"=\"x\"; boundary=y"), ALL_LEFT),
        "two Content-Types": (b"Content-Type: text/plain\r\n" + multi(b"x", TEXT), ALL_LEFT),
        "no parts": (multi(b"x"), ALL_LEFT),
        "preamble and epilogue": (
            multi(b"x", TEXT, HTML).replace(b"\r\n\r\n--x", b"\r\n\r\npre\r\n--\r\n amble\r\n--x", 1)
            + b"\r\n-- \r\nepi\r\n\r\nlogue", {"mixed": [QP, B64], "8bit": LEFT}),
        "decoded text is a boundary line": (
            multi(b"x", part(b64(b"--x--\r\n" + UTF8), label=B64), HTML),
            {"8bit": [QP, EIGHT], "qp": [QP, QP]}),
        "decoded text is an outer boundary line": (
            multi(b"x", multi(b"y", part(b64(b"a\r\n--x\r\n" + UTF8), label=B64)), HTML),
            {"8bit": [QP, EIGHT]}),
    },
    "C4": {
        **{"encoding %s" % label: (part(UTF8, label=label.encode()), ALL_LEFT)
           for label in ("quoted_printable", "8-bit", "base-64", "x-unknown", "7bit (comment)", "base64; a=b",
                         "\"base64\"", "base64 base64", "uuencode", "utf-8")},
        "two encodings": (part(b64(UTF8), "text/plain", B64, b"Content-Transfer-Encoding: base64"), ALL_LEFT),
        "two encodings that differ": (part(UTF8, "text/plain", EIGHT, b"content-transfer-encoding: base64"), ALL_LEFT),
        **{"type %s" % kind: (part(UTF8, kind, EIGHT), ALL_LEFT)
           for kind in ("text", "text/", "/html", "text/html/x", "text html", "(c) text/html",
                        "text/html text/plain", "application/x-nobody-knows")},
        "two encodings in a part": (
            multi(b"x", part(b64(UTF8), "text/plain", B64, b"Content-Transfer-Encoding: base64"), HTML),
            {"qp": [b"(several)", QP], "8bit": LEFT}),
        "two types in a part": (multi(b"x", part(UTF8, "text/plain", EIGHT, b"Content-Type: text/html"), HTML),
                                {"base64": [EIGHT, B64]}),
        "two types": (part(UTF8, "text/plain", EIGHT, b"Content-Type: image/png"), ALL_LEFT),
        "encoded multipart": (b"Content-Transfer-Encoding: base64\r\n" + multi(b"x", TEXT), ALL_LEFT),
        **{"%s in a part's header" % name: (multi(b"x", HTML, lines + TEXT), ALL_LEFT)
           for name, lines in (("no field", b"no field at all\r\n"), ("a blank line", b"X: y\r\n \r\n"),
                               ("a continuation of nothing", b" x\r\n"),
                               ("a blank before the colon", b"X : y\r\n"), ("no name", b": y\r\n"),
                               ("a bare CR", b"X: a\rb\r\n"), ("a NUL", b"X: a\0b\r\n"))},
        "in one part of two": (multi(b"x", part(UTF8, label=b"x-y"), HTML), {"base64": [b"x-y", B64]}),
        "no type, no encoding": (part(UTF8, None), {"qp": [QP], "base64": [B64], "8bit": [EIGHT],
                                                    "keep": [SAFE]}),
    },
    "C5": {
        "8-bit labelled 7bit": (part(UTF8, label=SEVEN), {"qp": [QP], "base64": [B64], "8bit": [EIGHT],
                                                           "keep": [SAFE]}),
        "8-bit labelled not at all": (part(UTF8), {"qp": [QP], "base64": [B64], "8bit": [EIGHT]}),
        "Latin-1 that says UTF-8": (part(b"caf\xe9\r\n"), {"qp": [QP], "base64": [B64], "8bit": [EIGHT]}),
        "UTF-16 in base64": (part(b64("Gr\u00fc\u00dfe\r\n".encode("utf-16")),
                                  "text/plain; charset=utf-16", B64),
                             {"qp": [QP], "base64": LEFT, "8bit": [QP], "keep": LEFT}),
        "UTF-16 as it is": (part("Gr\u00fc\u00dfe\r\n".encode("utf-16"), "text/plain; charset=utf-16", EIGHT),
                            {"qp": [QP], "base64": [B64], "8bit": [QP], "keep": ANY}),
        "ISO-2022-JP": (part("\u65e5\u672c\u8a9e\r\n".encode("iso2022_jp"),
                             "text/plain; charset=iso-2022-jp", SEVEN),
                        {"qp": [QP], "base64": [B64], "8bit": LEFT, "keep": LEFT}),
        "Big5": (part("\u4e2d\u6587\r\n".encode("big5"), "text/html; charset=big5", EIGHT),
                 {"qp": [QP], "base64": [B64], "8bit": LEFT, "mixed": [B64]}),
        "unknown charset": (part(bytes(range(128, 256)) + b"\r\n", "text/plain; charset=x-nobody", EIGHT),
                            {"qp": [QP], "base64": [B64], "8bit": LEFT}),
        # A label alone makes MTAs rewrite the header for a 7-bit hop.
        "ASCII labelled 8bit": (part(b"Hello\r\n", label=EIGHT), {"qp": [QP], "8bit": [SEVEN], "keep": [SEVEN]}),
        "ASCII labelled binary": (part(b"Hello\r\n", label=b"binary"), {"8bit": [SEVEN], "keep": [SEVEN]}),
        "ASCII labelled binary in a part": (multi(b"x", part(b"Hello\r\n", label=b"binary")), {"keep": [SEVEN]}),
        "multipart labelled 8bit": (
            b"Content-Transfer-Encoding: 8bit\r\n" + multi(
                b"outer", TEXT, b"Content-Transfer-Encoding: 8bit\r\n" + multi(b"inner", HTML)),
            {"keep": [SAFE, SAFE], "base64": [B64, B64], "8bit": LEFT}),
        "ASCII in base64": (part(b64(b"Hello\r\n"), label=B64), {"8bit": [SEVEN], "qp": [QP], "base64": LEFT}),
        "8-bit in quoted-printable": (part(b"Gr=C3=BC=C3=9Fe\r\n=E6=97=A5\r\n", label=QP),
                                      {"8bit": [EIGHT], "base64": [B64], "qp": LEFT}),
    },
    "C6": {
        **{"broken quoted-printable %s" % name: (part(b"caf=C3=A9\r\n" + text + b"\r\n", label=QP),
                                                 {"base64": LEFT, "8bit": LEFT})
           for name, text in (("=", b"a=Zb"), ("one digit", b"a=4"), ("8-bit", b"caf\xc3\xa9"),
                              ("blank at the end", b"a "), ("soft break with a blank", b"a= \r\nb"),
                              ("NUL", b"a\0b"), ("control character", b"a\x01b"), ("bare CR", b"a\rb"))},
        **{"broken base64 %s" % name: (part(text + b"\r\n", label=B64), {"qp": LEFT, "8bit": LEFT})
           for name, text in (("letter", b"SGVs!G8K"), ("length", b"SGVsbG8"), ("padding inside", b"SGU=SGVs"),
                              ("padding too long", b"SGVsbG8K===="), ("bits behind the end", b"SGV="),
                              ("bits behind one octet", b"SR=="),
                              ("blanks", b"SGVs bG8K"), ("text behind it", b"SGVsbG8K\r\n-- \r\nby a list"),
                              ("8-bit", b"SGVs\xc3\xa9bG8K"), ("URL alphabet", b"_-__"))},
        "bare LF in base64": (part(b64(b"one\ntwo\r\n"), label=B64),
                              {"qp": [QP], "8bit": [QP], "base64": LEFT}),
        "bare CR in base64": (part(b64(b"one\rtwo\r\n"), label=B64), {"qp": [QP], "8bit": [QP]}),
        "NUL in base64": (part(b64(b"one\0two\r\n"), label=B64), {"qp": [QP], "8bit": [QP]}),
        "no final newline in base64": (part(b64(b"one"), label=B64), {"qp": [QP], "8bit": [QP]}),
        "the same in a part": (multi(b"x", part(b64(b"one"), label=B64), HTML),
                               {"qp": [QP, QP], "8bit": [SEVEN, EIGHT]}),
        "soft break at the end": (part(b"one=\r\n", label=QP), {"base64": [B64], "8bit": ANY}),
        "base64 in odd lines": (part(b64(UTF8, 5), label=B64), {"qp": [QP], "8bit": [EIGHT]}),
        "base64 in one line of 5,000": (part(b64(UTF8 * 150, 5000), label=B64), {"qp": [QP], "base64": [B64],
                                                                                "keep": [B64]}),
        "quoted-printable in one line of 5,000": (part(b"=C3=A9" * 900 + b"\r\n", label=QP),
                                                  {"qp": [QP], "base64": [B64], "keep": [QP]}),
        "empty base64": (part(b"", label=B64), ALL_LEFT),
    },
    "C7": {
        "999 octets": (part(LONG), {"keep": [QP], "qp": [QP], "base64": [B64], "8bit": [QP]}),
        "998 octets": (part(LONG.replace(b"4", b"")), {"keep": LEFT, "8bit": LEFT}),
        "2,048 octets": (part(b"x" * 2048 + b"\r\n"), {"keep": [QP], "8bit": [QP]}),
        "1 MB": (part(b"y" * 1000000 + b"\r\n"), {"keep": [QP], "8bit": [QP], "base64": [B64]}),
        "1 MB of 8-bit": (part(b"\xe9" * 1000000 + b"\r\n", label=EIGHT), {"keep": [B64], "8bit": [QP]}),
        "in one part": (multi(b"x", part(LONG), HTML), {"keep": ANY, "8bit": [QP, EIGHT]}),
        "in an attachment": (multi(b"x", part(b"x\r\n"), part(LONG, "application/x", None)),
                             {"keep": LEFT, "8bit": LEFT}),
        "in a signed part": (multi(b"x", part(LONG), part(b"sig\r\n", "application/pgp-signature"),
                                   kind="signed"), ALL_LEFT),
        "in the preamble": (multi(b"x", part(b"x\r\n")).replace(b"\r\n\r\n", b"\r\n\r\n" + LONG, 1),
                            {"keep": LEFT, "base64": [B64]}),
    },
    "C8": {
        "leading dots": (part(b".\r\n..\r\n.x\r\n...\r\n"),
                         {"qp": [QP], "base64": [B64], "8bit": LEFT, "keep": LEFT}),
        "empty body": (part(b""), ALL_LEFT),
        "one empty line": (part(b"\r\n"), ALL_ANY),
        "nine empty lines": (part(b"\r\n" * 9), ALL_ANY),
        "NUL": (part(b"a\0b\r\n"), {"qp": [QP], "base64": [B64], "8bit": [QP], "keep": [QP]}),
        "bare CR": (part(b"a\rb\r\n"), {"qp": [QP], "base64": [B64], "8bit": [QP], "keep": [QP]}),
        "bare CR in the header": (b"X: a\rb\r\n" + TEXT, ALL_LEFT),
        "bare LF": (part(b"a\nb\r\n"), {"qp": [QP], "base64": [B64]}),
        "smuggling": (part(b"a\r\n.\r\nMAIL FROM:<x@example.com>\r\n\r.\r\nb\n.\r\nc\r\r\n.\r\r\nd\r"),
                      {"qp": [QP], "base64": [B64], "8bit": ANY, "keep": ANY}),
        "smuggling in base64": (part(b64(b"a\r\n.\r\nQUIT\r\nb\r.\rc\n.\nd\r\r\n"), label=B64),
                                {"qp": [QP], "8bit": [QP]}),
        "every octet": (part(b64(bytes(range(256)) * 3), label=B64),
                        {"qp": [QP], "8bit": [QP], "base64": LEFT}),
        "empty parts": (multi(b"x", part(b""), part(b"", "text/html"), TEXT), {"base64": [NONE, NONE, B64]}),
        "blanks at line ends": (part(b"a \r\nb\t\r\n \r\n\t\r\n"), {"qp": [QP], "base64": [B64], "8bit": LEFT}),
    },
    "C11": {
        "format=flowed": (part(b"one \r\ntwo \r\n> three \r\n four\r\n-- \r\nme\r\n",
                               "text/plain; format=flowed; delsp=yes"),
                          {"qp": [QP], "base64": [B64], "8bit": LEFT, "keep": LEFT}),
        "From at line start": (part(b"From here\r\n>From there\r\n\r\nFrom\r\nFrom \r\n"),
                               {"qp": [QP], "base64": [B64], "8bit": LEFT}),
        "signature line": (part(b"x\r\n-- \r\n--\r\n--x\r\n"), {"qp": [QP], "base64": [B64], "8bit": LEFT}),
        "From in base64": (part(b64(b"From here\r\n-- \r\n"), label=B64), {"qp": [QP], "8bit": [SEVEN]}),
    },
}


class EncodingTest(common.ComponentTest):
    count = 0

    def serve_rules(self, **settings):
        settings.setdefault("isps", ISPS)
        return self.serve([POOL], **settings)

    def treat(self, server, rule, data, **options):
        """One message to the recipient of that rule: (result, re-encoded leaves, log line)."""
        EncodingTest.count += 1
        queue_id = "4ENC%d" % EncodingTest.count
        result = self.deliver(server, data, recipients=[b"r@%s.example" % rule.encode()],
                              queue_id=queue_id, **options)
        self.assert_signed(result, POOL, ZONE, rules_of_wire=False)
        top = sum(edit[0] == "insheader" for edit in result.edits)
        changes = mimeread.compare(mta.normalise(data), result.image, top)
        return result, changes, server.message_line(queue_id)

    def check_case(self, server, data, rule, expected):
        before = mta.normalise(TOP + data)
        result, changes, line = self.treat(server, rule, before)
        tree = mimeread.read(result.image)
        if expected == LEFT:
            self.assertEqual(changes, [])
        elif expected != ANY:
            found = [SAFE if want == SAFE and leaf.label in (QP, B64) else leaf.label
                     for leaf, want in zip(tree.leaves(), expected)]
            self.assertEqual(found, expected)
            self.assertGreater(len(changes), 0)
        self.assertEqual(line["encoded"] == "-", not changes)
        return changes, line

    def run_row(self, row):
        server = self.serve_rules()
        changed = 0
        for name, (data, rules) in CASES[row].items():
            for rule, expected in rules.items():
                with self.subTest(message=name, rule=rule):
                    changes, line = self.check_case(server, data, rule, expected)
                    changed += bool(changes)
                    self.check_reason(data, rule, changes, line)
        self.assertGreater(changed, 0)
        self.assert_still_works(server)

    def check_reason(self, data, rule, changes, line):
        """Whoever wants another encoding and does not get it finds out why."""
        tree = mimeread.read(mta.normalise(TOP + data))
        if changes or rule == "keep" or mimeread.disagreement(tree.data) is None and all(
                leaf.octets == b"" or leaf.attachment or not leaf.type.startswith("text/")
                or leaf.label.decode("latin-1") == RULES[rule].get("global")
                or leaf.decoded() is not None and not leaf.sealed for leaf in tree.leaves()):
            return
        self.assertIn("reason", line)


class Rows(EncodingTest):
    """The rows' messages, by their table; a test for each row is made below."""


for _row in CASES:
    setattr(Rows, "test_%s" % _row, lambda self, row=_row: self.run_row(row))


class MoreOfRows(EncodingTest):
    """What does not fit into the table."""

    def test_C3_depth_and_parts_up_to_the_limits(self):
        server = self.serve_rules()
        for name, data, labels in (("20 levels", nested(20), [B64]), ("500 parts", many(500), [B64] * 500)):
            with self.subTest(message=name):
                result, _, _ = self.treat(server, "base64", TOP + data)
                self.assertEqual([leaf.label for leaf in mimeread.read(result.image).leaves()], labels)

    def test_C7_warning(self):
        server = self.serve_rules()
        for name in ("in a signed part", "in an attachment", "in the preamble"):
            with self.subTest(message=name):
                _, _, line = self.treat(server, "keep", TOP + CASES["C7"][name][0])
                self.assertIn("reason", line)

    def test_C7_not_safe_is_left_as_it_is(self):
        server = self.serve_rules(safe_encoding=False)
        for name, (data, _) in CASES["C7"].items():
            with self.subTest(message=name):
                _, changes, line = self.treat(server, "keep", TOP + data)
                self.assertEqual((changes, line["encoded"]), ([], "-"))

    def test_C7_header_lines(self):
        server = self.serve_rules()
        for name, field in (("words", b"word " * 400), ("one word", b"x" * 3000), ("8-bit", b"\xc3\xa9" * 1500),
                            ("addresses", b", ".join(b"user%d@example.org" % n for n in range(100)))):
            with self.subTest(field=name):
                data = TOP + b"X-Long: " + field + b"\r\nCc: a@example.org\r\n\r\nx\r\n"
                result, _, _ = self.treat(server, "keep", data)
                self.assertLessEqual(mimeread.longest_line(result.image), mimeread.LINE_MAX)

    def test_C7_header_lines_of_one_name(self):
        """The right one of several is folded."""
        server = self.serve_rules()
        data = TOP + b"".join(b"X-Same: %d%s\r\n" % (n, b" word" * (300 if n in (2, 5) else 1))
                              for n in range(7)) + TEXT
        for rule in ("keep", "base64"):
            with self.subTest(rule=rule):
                result, changes, _ = self.treat(server, rule, data)
                self.assertEqual(len(changes), 1)
                self.assertLessEqual(mimeread.longest_line(result.image), mimeread.LINE_MAX)
                self.assertEqual([value[:1] for value in result.header(b"X-Same")],
                                 [b"%d" % n for n in range(7)])

    def test_C9_not_signed_is_not_encoded(self):
        server = self.serve_rules()
        body = b"Content-Type: text/plain\r\n\r\n" + UTF8 + LONG
        to = b"To: b@example.net\r\nSubject: Test\r\nDate: Mon, 1 Jun 2026 12:00:00 +0000\r\n"
        for name, head in (("no From", b""), ("two", b"From: a@example.com\r\nfrom: b@example.com\r\n"),
                           ("empty", b"From:\r\n"), ("unreadable", b"From: <a@b@example.com>\r\n"),
                           ("of nobody", b"From: a@elsewhere.example\r\n")):
            for rule in RULES:
                with self.subTest(author=name, rule=rule):
                    data = head + to + body
                    recipient = b"r@%s.example" % rule.encode()
                    self.assert_untouched(self.deliver(server, data, recipients=[recipient]), data)
        with self.subTest(author="no header at all"):
            self.assert_untouched(self.deliver(server, UTF8, recipients=[b"r@qp.example"]), UTF8)

    def test_C9_signed_is_encoded(self):
        server = self.serve_rules()
        for name, author in (("group", b"From: Us: a@example.com;\r\n"),
                             ("blank", b"X: y\r\nFrom : a@example.com\r\n"),
                             ("quoted comma", b'From: "Doe, J" <a@example.com>\r\n'),
                             ("3,600 addresses", b"From: a@example.com\r\nCc: " + b",\r\n ".join(
                                 b"u%d@example.org" % n for n in range(3600)) + b"\r\n")):
            with self.subTest(author=name):
                result, changes, _ = self.treat(server, "base64", author + TOP.partition(b"\r\n")[2] + TEXT)
                self.assertEqual((len(changes), result.header(b"Content-Transfer-Encoding")), (1, [B64]))

    def test_untrusted_is_not_encoded(self):
        server = self.serve_rules()
        data = TOP + TEXT
        self.assert_untouched(self.deliver(server, data, recipients=[b"r@qp.example"], login=None), data)

    SIGNED = b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=s; h=from; bh=AA==; b=AA==\r\n"

    def test_D3_signed_by_its_author(self):
        server = self.serve_rules()
        for rule in RULES:
            with self.subTest(rule=rule):
                _, changes, line = self.treat(server, rule, self.SIGNED + TOP + TEXT)
                self.assertEqual((changes, line["encoded"]), ([], "-"))
                self.assertEqual(line["reason"], "signed")
        ours = self.SIGNED.replace(b"other.example; s=s;", b"example.com; s=s-acme;")
        result = self.deliver(server, ours + TOP + TEXT, recipients=[b"r@base64.example"])
        self.assertEqual(result.header(b"Content-Transfer-Encoding"), [B64])
        self.assertTrue(daemon.dkim.DKIM(result.image).verify(0, dnsfunc=ZONE.lookup))
        server = self.serve_rules(reencode_signed=True)
        _, changes, _ = self.treat(server, "base64", self.SIGNED + TOP + TEXT)
        self.assertEqual(len(changes), 1)

    def test_labels_of_the_message(self):
        """Content-Transfer-Encoding keeps its name and place, or is added; MIME-Version is added once."""
        server = self.serve_rules()
        bare = TOP.replace(b"MIME-Version: 1.0\r\n", b"")
        for name, data in (("with all", TOP + TEXT), ("no MIME at all", bare + b"\r\n" + UTF8),
                           ("no label", TOP + part(UTF8)), ("folded label", TOP + part(
                               UTF8, "text/plain", b"\r\n 8bit")), ("odd case", TOP + part(
                                   UTF8, "text/plain", None, b"content-TRANSFER-encoding:8BIT"))):
            for rule, label in (("qp", QP), ("base64", B64)):
                with self.subTest(message=name, rule=rule):
                    result, _, _ = self.treat(server, rule, data)
                    self.assertEqual(result.header(b"Content-Transfer-Encoding"), [label])
                    self.assertEqual(result.header(b"MIME-Version"), [b"1.0"])
                    covered = daemon.signatures(result.message)[0]["h"].lower().split(":")
                    self.assertIn("content-transfer-encoding", covered)

    def test_labels_of_multiparts(self):
        """8bit becomes 7bit where all in it is 7bit now, and the message is signed so."""
        server = self.serve_rules()
        data = TOP + CASES["C5"]["multipart labelled 8bit"][0]
        for rule, label in (("keep", SEVEN), ("base64", SEVEN), ("8bit", EIGHT)):
            with self.subTest(rule=rule):
                result, _, _ = self.treat(server, rule, data)
                tree = mimeread.read(result.image)
                self.assertEqual([part.label for part in tree.walk() if part.is_multipart], [label, label])

    def test_default_record_treats_the_others(self):
        server = self.serve_rules(isps=({"name": "default", "encoding": {"global": "base64"}}, ISPS[0]))
        ascii_text = TOP + part(b"Hello\r\n")
        for domain, labels in ((b"elsewhere", [B64]), (b"keep", [])):
            result = self.deliver(server, ascii_text, recipients=[b"r@%s.example" % domain])
            self.assertEqual(result.header(b"Content-Transfer-Encoding"), labels)


def nested(levels):
    data = TEXT
    for level in range(levels, 0, -1):
        data = multi(b"level-%d-" % level, data)
    return data


def many(count):
    return multi(b"x", *[part(b"x\r\n", "text/plain")] * count)


def body_of(message):
    return message.partition(b"\r\n\r\n")[2]


class Bars(EncodingTest):
    """Time, which is CPU time of the daemon, and memory: of small messages, and with wide bars, where they
    are not the program's own (valgrind, sanitizers)."""

    def setUp(self):
        self.seconds = 60.0 if daemon.instrumented() else 1.0
        self.large_size = (2 if daemon.instrumented() else 50) * 1024 * 1024

    def measure(self, server, rule, data):
        """(seconds, KiB more at the peak than before, result) of one message on its own connection."""
        seconds, memory = server.cpu_seconds(), server.memory()
        with mta.Session(server.address, login=common.LOGIN, timeout=60) as session:
            result = session.deliver(data, b"a@example.com", [b"r@%s.example" % rule.encode()], as_stored=True)
        self.assertEqual((result.status, result.reply), ("accepted", None))
        return server.cpu_seconds() - seconds, server.memory_peak() - memory, result

    def test_C3_thousand_levels_and_100000_parts(self):
        server = self.serve_rules()
        for name, data in (("1,000 levels", nested(1000)), ("100,000 levels", nested_quickly(100000)),
                           ("100,000 parts", many(100000)),
                           ("100,000 empty parts", multi(b"x", *[b""] * 100000)),
                           ("100,000 parts without a header", multi(b"x", *[b"\r\ny"] * 100000)),
                           ("100,000 fields in a part", multi(b"x", b"X: y\r\n" * 100000 + b"\r\nz")),
                           ("a multipart of 1,000,000 boundary lines", multi(b"x", *[b"\r\n"] * 1000000)),
                           ("1,000,000 lines that begin as one", multi(b"x", part(b"--\r\n" * 1000000)))):
            for rule in ("base64", "keep"):
                with self.subTest(message=name, rule=rule):
                    seconds, _, result = self.measure(server, rule, TOP + data)
                    self.assertLess(seconds, self.seconds)
                    if "lines that" not in name:
                        self.assertEqual(body_of(result.image), body_of(TOP + data))
        self.assert_still_works(server)

    def large(self, size):
        """name -> (rule, message of about that size)"""
        text = b"The quick brown fox jumps over the lazy dog, caf\xc3\xa9 and all.\r\n"
        octets = bytes(range(256)) * (size * 3 // 4 // 256)
        return {
            "one line": ("base64", part(b"x" * size + b"\r\n")),
            "lines as quoted-printable": ("qp", part(text * (size // len(text)), label=EIGHT)),
            "8-bit in one line": ("qp", part(b"\xe9" * (size // 3) + b"\r\n", label=EIGHT)),
            "base64 as 8bit": ("8bit", part(b64(text * (size * 3 // 4 // len(text))), label=B64)),
            "attachment beside a text": ("base64", multi(b"x", TEXT, part(b64(octets), "application/x", B64))),
        }

    def test_C10_body_of_50_mb(self):
        """Size is that of the message as it comes in or as it goes out, whichever is larger."""
        plain = self.serve_large(safe_encoding=False)
        for name, (rule, data) in self.large(self.large_size).items():
            with self.subTest(message=name, rule=rule):
                server = self.serve_large()
                self.assert_still_works(server)
                seconds, memory, result = self.measure(server, rule, TOP + data)
                size = max(len(TOP + data), len(result.image))
                encoding = seconds - self.measure(plain, "keep", TOP + data)[0]
                print("# %s: %.2f s, %.2f s of it for encoding; memory %.2f times the size"
                      % (name, seconds, encoding, memory * 1024 / size), flush=True)
                self.assertNotEqual(body_of(result.image), body_of(data))
                self.assertLess(encoding, self.seconds)
                self.assertLess(memory * 1024, daemon.memory_limit(3 * size))
                server.stop()

    def test_C10_linear(self):
        """Twice the size takes at most two and a half times as long: the best of some runs."""
        server = self.serve_large()
        half, whole = self.large(self.large_size // 4), self.large(self.large_size // 2)
        for name, (rule, data) in whole.items():
            with self.subTest(message=name, rule=rule):
                for _ in range(3):
                    less = min(self.measure(server, rule, TOP + half[name][1])[0] for _ in range(2))
                    more = self.measure(server, rule, TOP + data)[0]
                    if more <= 2.5 * less:
                        break
                self.assertLessEqual(more, 2.5 * less + (1 if daemon.instrumented() else 0))

    def serve_large(self, **settings):
        return self.serve_rules(max_message_size=200 * 1024 * 1024, **settings)

    def test_C10_large_headers(self):
        server = self.serve_rules()
        for name, field in (("header of 64 kB", b"X-Long: " + b"y" * 65536 + b"\r\n"),
                            ("header of 64 kB of words", b"X-Long: " + b"word " * 13000 + b"z\r\n"),
                            ("20,000 headers", b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(20000))),
                            ("20,000 copies", b"X-Same: 1\r\n" * 20000),
                            ("500 long headers", b"".join(b"X-%d: %s\r\n" % (n, b"w " * 700)
                                                          for n in range(500)))):
            with self.subTest(message=name):
                data = TOP + field + TEXT
                seconds, _, result = self.measure(server, "qp", data)
                self.assertLess(seconds, self.seconds)
                self.assert_signed(result, POOL, ZONE, rules_of_wire=False)
                self.assertLessEqual(mimeread.longest_line(result.image), mimeread.LINE_MAX)
                self.assertEqual(len(mimeread.compare(data, result.image, 1)), 1)


def nested_quickly(levels):
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
                      for n in range(levels))
    return opened + TEXT + b"".join(b"\r\n--b%d--" % n for n in range(levels - 1, -1, -1)) + b"\r\n"


class IspHeaders(common.ComponentTest):
    """D1, D2: the headers of ISP records, after the pool's."""

    def serve_record(self, pool_rules=None, **rules):
        """A daemon whose record "net" for example.net has these rules."""
        self.pool = daemon.pool("acme", "example.com", return_path="keep", **(pool_rules or {}))
        return self.serve([self.pool], isps=({"name": "net", "domains": ["example.net"], **rules},))

    def names(self, message):
        return [header.partition(b":")[0].lower() for header in mta.split(message)[0]]

    def test_D1_delete_copies_in_mixed_case(self):
        server = self.serve_record(delete_headers=["X-Gone"])
        spellings = (b"X-Gone", b"x-gone", b"X-GONE", b"x-Gone")
        for count in (0, 1, 3, 50):
            with self.subTest(copies=count):
                extra = b"".join(b"%s: %d\r\nX-Stays-%d: 1\r\n" % (spellings[n % 4], n, n)
                                 for n in range(count))
                result = self.deliver(server, common.message(extra=extra))
                self.assert_signed(result, self.pool)
                self.assertNotIn(b"x-gone", self.names(result.message))
                stayed = [name for name in self.names(result.message) if name.startswith(b"x-stays-")]
                self.assertEqual(len(stayed), count)

    def test_D1_delete_what_the_pool_added_and_set(self):
        server = self.serve_record(
            {"add_headers": ({"name": "X-Pool-Added", "value": "1"}, {"name": "X-Kept", "value": "2"}),
             "set_headers": ({"name": "X-Pool-Set", "value": "3"},)},
            delete_headers=["x-pool-*"])
        for extra in (b"", b"X-Pool-Set: before\r\nX-POOL-ADDED: before\r\n" * 3):
            with self.subTest(before=extra):
                result = self.deliver(server, common.message(extra=extra))
                self.assert_signed(result, self.pool)
                self.assertFalse([name for name in self.names(result.message) if name.startswith(b"x-pool-")])
                self.assertEqual(result.header(b"X-Kept"), [b"2"])

    def test_D1_delete_and_add_the_same_name(self):
        server = self.serve_record({"add_headers": ({"name": "X-Id", "value": "pool"},)},
                                   delete_headers=["X-Id"], add_headers=({"name": "X-ID", "value": "isp"},))
        for count in (0, 3, 50):
            with self.subTest(copies=count):
                result = self.deliver(server, common.message(extra=b"x-id: 1\r\n" * count))
                self.assert_signed(result, self.pool)
                self.assertEqual(result.header(b"X-Id"), [b"isp"])

    def test_D1_set_after_the_pools_set(self):
        server = self.serve_record({"set_headers": ({"name": "X-Set", "value": "pool"},)},
                                   set_headers=({"name": "x-set", "value": "${isp} of ${pool}"},))
        for extra in (b"", b"X-SET: 1\r\nX-Set: 2\r\n"):
            with self.subTest(before=extra):
                result = self.deliver(server, common.message(extra=extra))
                self.assert_signed(result, self.pool)
                self.assertEqual(result.header(b"X-Set"), [b"net of acme"])

    def test_D1_sets_after_the_pools_add(self):
        """What the pool added goes, and fields that were changed in between keep their values."""
        server = self.serve_record({"add_headers": ({"name": "X-Two", "value": "pool"},)},
                                   set_headers=({"name": "X-One", "value": "isp one"},
                                                {"name": "X-Two", "value": "isp two"},
                                                {"name": "X-Three", "value": "isp three"}))
        extra = b"X-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n"
        for before in (extra, extra + extra.lower(), b""):
            with self.subTest(before=before):
                result = self.deliver(server, common.message(extra=before))
                self.assert_signed(result, self.pool)
                self.assertEqual([result.header(b"X-" + name) for name in (b"One", b"Two", b"Three")],
                                 [[b"isp one"], [b"isp two"], [b"isp three"]])

    def test_another_record_does_nothing(self):
        server = self.serve_record(delete_headers=["X-Gone"],
                                   add_headers=({"name": "X-New", "value": "${isp}"},))
        result = self.deliver(server, common.message(extra=b"X-Gone: 1\r\n"), recipients=[b"b@example.org"])
        self.assert_signed(result, self.pool)
        self.assertEqual((result.header(b"X-Gone"), result.header(b"X-New")), ([b"1"], []))

    HOSTILE = {
        "LF": b"one\nX-Evil: two", "CR": b"one\rX-Evil: two",
        "folded": b"one\r\n X-Evil: two\r\n\tX-Evil: three",
        "NUL": b"one\0X-Evil: two", "control characters": bytes(range(1, 32)) + b"\x7f",
        "8-bit": b"caf\xe9 \xff\xfe", "UTF-8": "Gr\u00fc\u00dfe \U0001f600".encode(), "10 kB": b"word " * 2000,
        "10 kB without blanks": b"x" * 10000, "10 kB of 8-bit": b"\xc3\xa9" * 5000,
        "percent": b"%s %n ${isp} $$ {",
        "encoded line break": b"=?utf-8?q?a=0D=0AX-Evil=3A_b?=", "only blanks": b"   ", "nothing": b"",
    }
    VALUES = ("${header:Subject}", "<${header:From}>", "${rcpt}", "${rcpt_domain};${login}",
              "i=${isp} s=${header:Subject} l=${login} r=${rcpt} p=${pool}")

    def test_D2_templates(self):
        server = self.serve_record(
            {"delete_headers": ["X-Nothing"]},
            add_headers=tuple({"name": "X-T-%d" % n, "value": value} for n, value in enumerate(self.VALUES)),
            set_headers=({"name": "X-T-Set", "value": "${isp} ${header:Subject}"},))
        for name, text in self.HOSTILE.items():
            for where in ("Subject", "From", "recipient", "login"):
                with self.subTest(value=name, where=where):
                    self._check_expansion(server, where, text)

    def _check_expansion(self, server, where, text):
        line = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n ") if where in ("Subject", "From") else text
        subject = line if where == "Subject" else b"Test"
        author = b"a@example.com"
        if where == "From":
            author = b'"%s" <a@example.com>' % re.sub(rb'(["\\])', rb"\\\1", line)
        data = b"From: %s\r\n" % author + common.message(None, subject=subject)
        # The protocol's strings end at a NUL.
        text = text.split(b"\0")[0]
        recipient = b'"%s"@example.net' % text if where == "recipient" else b"b@example.net"
        result = self.deliver(server, data, recipients=[recipient],
                              login=text or "x" if where == "login" else "acme")
        self.assertEqual((result.status, result.reply), ("accepted", None))
        if where == "From" and b"\0" in data:
            self.assertEqual(result.edits, [])      # an author that cannot be read
            return
        if not re.search(rb"\r(?!\n)|[\x0b\x0c\0]", data):     # those in From or Subject no verifier likes
            self.assert_signed(result, self.pool, rules_of_wire=False)
        self._check_header(mta.normalise(data), result)

    def _check_header(self, before, result):
        new = self.names(result.image)
        for name in self.names(before):
            self.assertIn(name, new)
            new.remove(name)
        self.assertEqual([name for name in new if not name.startswith(b"x-t-")],
                         [b"dkim-signature"] * (b"dkim-signature" in new))
        self.assertIn(b"x-t-set", new)
        self.assertEqual(len(new), len(set(new)))
        for header in mta.split(result.image)[0]:
            if header.lower().startswith(b"x-t-"):
                lines = header.replace(b"\n", b"\r\n")
                self.assertEqual(mta.wire_faults(lines), [])
                self.assertIsNone(re.search(rb"[\x80-\xff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", lines))
                self.assertTrue(all(map(bytes.strip, lines.split(b"\r\n"))), lines[:300])
        self.assertTrue(result.header(b"X-T-Set")[0].startswith(b"net"))


if __name__ == "__main__":
    common.main()
