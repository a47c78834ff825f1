"""Makes random messages: MIME trees of all kinds, right ones and wrong ones.

    made = mimegen.message(random.Random(seed))
    made.data       the message, CRLF line ends
    made.clean      no doubt about anything: what a rule asks for must be done
"""
import base64
import re

HEAD = (b"From: a@example.com\r\nTo: b@example.net\r\nSubject: Test\r\n"
        b"Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n")
CHARSETS = (("us-ascii", "ascii"), ("utf-8", "utf-8"), ("iso-8859-1", "latin-1"), ("koi8-r", "koi8-r"),
            ("utf-16", "utf-16"), ("iso-2022-jp", "iso2022_jp"), ("big5", "big5"), ("x-nobody-knows", "utf-8"),
            (None, "ascii"))
WORDS = ("Hello", "world", "a", "=", "=3D", "caf\u00e9", "\u0416\u0443\u043a", "\u65e5\u672c\u8a9e",
         "\u4e2d\u6587", "-", "--", "<b>bold</b>", "&amp;", "http://example.com/?a=b&c=d", "x" * 60, "\t", "  ", "\u20ac", "~",
         "From", ".", "100%", "\"quoted\"", "end=")
LINES = ("From here", ">From there", ".", "..", ". dot", "-- ", "--", "--x", "trailing blank ", "tab\t", " ",
         "\t", "=", "=20", "= ", "soft=", "", "", "----------", "x" * 75, "x" * 76, "x" * 77, "x" * 998)
LONG = (999, 1000, 2048, 5000)
BOUNDARY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-'+./:=?"
MISSPELT = ("quoted_printable", "QuotedPrintable", "8-bit", "base-64", "7-bit", "base64; x=y", "7bit (yes)",
            "x-unknown", "x-uuencode", "base64 base64", "8bit, base64", "", "utf-8", "\"base64\"")
BAD_TYPES = ("text/html; charset=\"utf-8", "text", "text/", "/html", "text/html text/plain", "text/html/x",
             "(c) text/html", "text /html", "text/html (c); charset=utf-8", "", "text/html;;charset=utf-8",
             "multipart", "multipart/mixed", "multipart/mixed; boundary", "multipart/mixed; boundary=",
             "multipart/mixed; boundary=\"\"", "message/rfc822", "text/plain; boundary=x",
             "application/pkcs7-mime; smime-type=signed-data", "text/plain; charset=\"a\\\"b\"")


class Made:
    def __init__(self):
        self.data, self.clean = b"", True


class Generator:
    def __init__(self, random):
        self.random = random
        self.made = Made()
        # Half of the messages are clean; in the others each place may go wrong, or those of one theme.
        self.nasty = random.choice((0, 0, 0, 0, 0.02, 0.05, 0.2))
        self.theme = random.choice((None, None, "content", "header", "boundary")) if not self.nasty else None
        self.boundaries = []

    def wrong(self, scale=1.0):
        """True now and then, in a message that is not to be clean."""
        if self.random.random() >= self.nasty * scale:
            return False
        self.made.clean = False
        return True

    def wrong_of(self, theme):
        if self.theme == theme and self.chance(0.3):
            self.made.clean = False
            return True
        return self.wrong(0.5)

    def chance(self, share):
        return self.random.random() < share

    def pick(self, choices):
        return self.random.choice(choices)

    def mixed_case(self, text):
        return "".join(c.swapcase() if self.chance(0.1) else c for c in text)

    # ---- contents

    def text(self):
        """Lines of text; what a charset does not have is dropped later."""
        lines = []
        for _ in range(self.pick((0, 1, 1, 3, 8, 20))):
            if self.chance(0.3):
                lines.append(self.pick(LINES))
            else:
                lines.append(" ".join(self.pick(WORDS) for _ in range(self.pick((1, 4, 12)))))
        if self.chance(0.08):
            lines.insert(self.random.randint(0, len(lines)), "long " * (self.pick(LONG) // 5))
        if self.chance(0.04):
            lines.append("y" * self.pick(LONG))
        end = self.pick(("\r\n", "\r\n", "", "\r\n\r\n", "\r\n" * 5, " "))
        return "\r\n".join(lines) + end

    def octets(self):
        """Octets that are no lines: they need an encoding."""
        pieces = (b"\0", b"\r", b"\n", b"\r\n", b"text", b"\xff", b"\x1b$B", b"\x7f", b" \n", b"\x0c",
                  b"a" * 80)
        return b"".join(self.pick(pieces) for _ in range(self.pick((1, 5, 40))))

    def content(self):
        """(charset, octets) of a text."""
        charset, codec = self.pick(CHARSETS)
        if self.chance(0.06):
            return charset, self.octets()
        if charset is None and self.chance(0.3):
            codec = "utf-8"
        return charset, self.text().encode(codec, "ignore")

    def encoded(self, octets):
        """(label, content) as it may stand in a message; a rare one is broken."""
        lines = not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets)
        label = self.pick(("", "7bit", "8bit", "binary", "quoted-printable", "quoted-printable", "base64",
                           "base64"))
        if not lines and label in ("", "7bit", "8bit", "binary") and not self.wrong(3):
            label = self.pick(("quoted-printable", "base64"))
        if label in ("", "7bit") and not octets.isascii() and not self.chance(0.2):
            label = "8bit"
        if label == "quoted-printable":
            return label, self.quoted_printable(octets)
        if label == "base64":
            return label, self.base64(octets)
        return label, octets

    def quoted_printable(self, octets):
        text = b"\r\n".join(self._quoted_line(line) for line in octets.split(b"\r\n"))
        if self.chance(0.1):
            text = re.sub(rb"=[0-9A-F]{2}", lambda found: found.group().lower(), text)
        if self.wrong_of("content"):
            end = self.pick((b" \r\n", b"\t\r\n", b"\n", b"\r\n", b"\r\n"))
            text = re.sub(rb"(?<!=)\r\n", end, text, count=self.pick((0, 1)))
            text = self.insert(text, (b"", b"", b"=", b"=Z", b"=4", b" \r\n", b"\xe9", b"= \r\n", b"\0",
                                      b"=\r"))
        return text

    def insert(self, text, pieces):
        at = self.random.randint(0, len(text))
        return text[:at] + self.pick(pieces) + text[at:]

    def _quoted_line(self, line):
        width = self.pick((76, 76, 40, 4))
        plain = bytes(range(32, 127)).replace(b"=", b"") + b"\t"
        pieces = [b"%c" % octet if octet in plain and not (octet in b" \t" and at == len(line) - 1)
                  else b"=%02X" % octet for at, octet in enumerate(line)]
        out, length = [], 0
        for at, piece in enumerate(pieces):
            if length + len(piece) > width - 1 and not (at == len(pieces) - 1
                                                        and length + len(piece) <= width):
                out.append(b"=\r\n")
                length = 0
            out.append(piece)
            length += len(piece)
        return b"".join(out)

    def base64(self, octets):
        width = self.pick((76, 76, 64, 60, 4, 1000))
        text = base64.b64encode(octets)
        text = b"\r\n".join(text[n:n + width] for n in range(0, len(text), width))
        if len(text) > 990 and width > 76:
            self.made.clean = False
        if self.chance(0.7) and text:
            text += b"\r\n"
        if self.wrong_of("content"):
            if self.chance(0.5):        # bits behind the end
                text = re.sub(rb"[AQgw=](?==)", self.pick((b"B", b"/", b"=")), text, 1)
            text = self.insert(text, (b"", b"", b"=", b"!", b" ", b"A", b"--", b"=\r\n", b"\xe9", b"\0", b"====",
                                      b"\r\n\r\n-- \r\nsent by a list\r\n"))
        return text

    # ---- headers of parts

    def field(self, name, value):
        sep = self.pick((": ", ": ", ": ", ":", ":\t", ":  ", ":\r\n "))
        return (self.mixed_case(name) + sep + value).encode("latin-1") + b"\r\n"

    def label_fields(self, label):
        if not label:
            return []
        if self.wrong():
            label = self.pick(MISSPELT)
        fields = [self.field("Content-Transfer-Encoding",
                             self.mixed_case(label) + self.pick(("", "", "", "", " ", "\t")))]
        if self.wrong(0.5):
            fields.append(self.field("Content-Transfer-Encoding", self.pick(("7bit", "base64", label))))
        return fields

    def type_fields(self, kind, charset):
        if kind is None:
            return []
        if self.wrong(0.5):
            kind, charset = self.pick(BAD_TYPES), None
        if charset:
            kind += self.pick(("; charset=%s", ";charset=\"%s\"", ";\r\n\tcharset=%s", "; charset=%s;",
                               "; format=flowed; charset=%s")) % charset
        fields = [self.field("Content-Type", kind if "oundary" in kind or "OUNDARY" in kind
                             else self.mixed_case(kind))]
        if self.wrong(0.3):
            fields.append(self.field("Content-Type", self.pick(("text/plain", "text/html", "image/png"))))
        return fields

    def header(self, fields):
        """A part's header in some order, with other fields."""
        if self.chance(0.2):
            fields.append(self.field("Content-ID", "<x@example.com>"))
        if self.chance(0.1):
            fields.append(self.field("Content-Description", "folded\r\n\tdescription"))
        if self.wrong_of("header"):
            fields.append(self.pick((b"no field at all\r\n", b" \r\n", b"Name : x\r\n", b"X: a\rb\r\n",
                                     b": x\r\n", b"X: \0\r\n", b"X: \xe9\r\n", b"X: " + b"y" * 1200 + b"\r\n", b"--\r\n",
                                     b"From here\r\n")))
        self.random.shuffle(fields)
        return b"".join(fields)

    def disposition_fields(self):
        if self.chance(0.8):
            return []
        return [self.field("Content-Disposition", self.pick(
            ("inline", "Inline; filename=x.txt", "attachment", "attachment; filename=\"x.html\"", "ATTACHMENT",
             "form-data; name=x")))]

    # ---- parts: (header, content)

    def leaf(self):
        kind = self.pick(("text/plain", "text/plain", "text/html", "text/html", "text/calendar", None,
                          "image/png", "application/octet-stream"))
        if kind and not kind.startswith("text/"):
            return (self.header(self.type_fields(kind, None) + self.label_fields("base64")),
                    self.base64(self.octets()))
        charset, octets = self.content()
        label, content = self.encoded(octets)
        if kind is None and charset not in (None, "us-ascii"):
            kind = "text/plain"
        fields = self.type_fields(kind, charset) + self.label_fields(label) + self.disposition_fields()
        return self.header(fields), content

    def rfc822(self):
        inner, content = self.leaf()
        return (self.header(self.type_fields("message/rfc822", None)),
                b"From: c@example.org\r\nSubject: inner\r\n" + inner + b"\r\n" + content)

    def boundary(self):
        """A boundary, and the text of its parameter."""
        text = "".join(self.pick(BOUNDARY) for _ in range(self.pick((8, 8, 12, 30, 69, 70))))
        if any(text.startswith(other) or other.startswith(text) for other in self.boundaries):
            text = ("%d=_%d" % (len(self.boundaries), self.random.randint(0, 10 ** 9)))
        if self.wrong_of("boundary"):
            other = self.pick(self.boundaries) if self.boundaries else "x"
            text = self.pick((other, other + "x", other[:-1] or "y", "z" * 71, "z" * 200, "a b", "a b ", "a*b",
                              other.swapcase(), other + "--", "--" + other, "x", "-", "--"))
        self.boundaries.append(text)
        if not re.fullmatch(r"[A-Za-z0-9_'+.-]+", text) or self.chance(0.5):
            return text, '"%s"' % text
        return text, text

    def multipart(self, depth):
        boundary, shown = self.boundary()
        kind = self.pick(("mixed", "alternative", "alternative", "related", "report", "digest", "x-own",
                          "signed", "encrypted"))
        name = self.pick(("boundary", "boundary", "Boundary", "BOUNDARY"))
        kind = "multipart/%s; %s=%s" % (kind, name, shown)
        if self.chance(0.1):
            kind += "; type=\"text/html\""
        if self.wrong(0.3):
            kind += self.pick(("; boundary=other", " (comment)", "; boundary*0=x", "; x", ";;"))
        fields = self.type_fields(kind, None)
        if self.chance(0.15):
            fields += self.label_fields(self.pick(("7bit", "8bit", "binary")))
        if self.wrong(0.3):
            fields += [self.field("Content-Transfer-Encoding", self.pick(("base64", "quoted-printable")))]
        if self.chance(0.3):
            fields += self.disposition_fields()
        return self.header(fields), self.multipart_body(boundary, depth)

    def boundary_line(self, boundary, end=b""):
        line = b"--" + boundary.encode() + end
        if self.wrong(0.3):
            line += self.pick((b" ", b"\t \t", b"x", b"--", b"\r", b" x"))
        return line + b"\r\n"

    def outside(self):
        """Preamble or epilogue."""
        if self.chance(0.6):
            return b""
        return self.pick((b"This is a multi-part message in MIME format.\r\n", b"\r\n", b"\r\n\r\n",
                          b"pre\r\namble\r\n", b"--\r\n", b"-- \r\n", b"\tx \r\n"))

    def multipart_body(self, boundary, depth):
        pieces = [self.outside()]
        count = self.pick((1, 2, 2, 3, 5)) if not self.wrong(0.2) else 0
        for _ in range(count):
            header, content = self.part(depth + 1)
            if self.wrong_of("boundary"):
                mine, other = boundary.encode(), self.pick(self.boundaries).encode()
                content += self.pick((b"\r\n--" + mine + b"x\r\n", b"\r\n--" + mine[:-1] + b"\r\n",
                                      b"\r\n" + mine + b"\r\n", b"\r\n --" + mine + b"\r\n",
                                      b"\r--" + mine + b"\r", b"\r\n--" + other + b"--\r\n"))
            end = b"\r\n" if not self.wrong(0.2) else b""
            pieces.append(self.boundary_line(boundary) + header + b"\r\n" + content + end)
        if not self.wrong(0.5):
            pieces.append(self.boundary_line(boundary, b"--"))
            outside = self.outside()
            pieces.append(outside)
            if not outside and self.chance(0.3):
                pieces[-2] = pieces[-2][:-2]
        return b"".join(pieces)

    def part(self, depth):
        if depth < 6 and self.chance(0.65 if depth == 0 else 0.3):
            return self.multipart(depth)
        if depth > 0 and self.chance(0.04):
            return self.rfc822()
        return self.leaf()

    def message(self):
        header, body = self.part(0)
        fields = [HEAD]
        if not self.chance(0.1):
            fields.append(self.pick((b"MIME-Version: 1.0\r\n", b"mime-version:1.0\r\n",
                                     b"MIME-Version: 1.0 (x)\r\n")))
        if self.wrong(0.3):
            fields.append(b"MIME-Version: 1.0\r\n")
        if self.chance(0.03):
            self.made.clean = False
            fields.append(b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=s; h=from; bh=AA==;"
                          b" b=AA==\r\n")
        if self.chance(0.04):
            fields.append(b"X-Long: " + self.pick((b"word " * 300, b"y" * 1500)) + b"\r\n")
        if self.wrong(0.2):
            fields.append(self.pick((b"X-8: caf\xe9\r\n", b"X-Nul: \0\r\n", b"X-Empty:\r\n")))
        self.random.shuffle(fields)
        data = b"".join(fields) + header + b"\r\n" + body
        if self.wrong(0.3):
            data = data[:self.random.randint(len(data) - len(body), len(data))]
        if self.wrong(0.2):
            data = data.replace(b"\r\n", self.pick((b"\n", b"\r\n", b"\r\r\n")))
        self.made.data = data
        return self.made


def message(random):
    return Generator(random).message()
