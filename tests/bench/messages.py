#!/usr/bin/python3
"""messages.py - what newsletters look like, for bench.py: made here, and looked at when they come back.

Made always the same (a seed), so that runs can be compared. As a program it writes one:

    tests/bench/messages.py --size 51200 [--attachment OCTETS] [--ascii] >message.eml
"""
import argparse
import email
import random
import sys

PLAIN = ("the week brings new offers for everyone who likes to travel light and pay less while our shops in many towns"
         " open early on Saturday morning with fresh bread coffee and a little music please find below what we have"
         " picked for you this time your voucher stays valid until the end of the month and works online too").split()
WITH_8BIT = ("für Grüße schöne Straße Käse Größe Prüfung natürlich über Bücher Frühstück Köln München Zürich Café été"
             " déjà vœux français à señor mañana próximo smörgåsbord łódź żółty 12\u00a0€ „Angebot“ – …"
             " it\u2019s").split(" ")
SHARE_8BIT = 0.03  # of all octets
HEADER = """Date: Mon, 06 Jan 2025 10:00:00 +0000
From: Bench Sender <sender@d0.example.com>
To: <rcpt@example.org>
Reply-To: replies@example.net
Subject: Figures of the week: what a message costs,
 and where its time goes
Message-ID: <4Y0000000000@bench.example>
MIME-Version: 1.0
Content-Type: {type}; boundary="{boundary}"
List-Id: Bench weekly <weekly.bench.example>
List-Unsubscribe: <https://bench.example/u/1>,
 <mailto:unsubscribe@bench.example>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
X-Campaign: 2025-01

"""
PART = """--{boundary}
Content-Type: {type}; charset=UTF-8
Content-Transfer-Encoding: {encoding}

"""
HTML_HEAD = """<!DOCTYPE html>
<html lang="de"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Figures of the week</title>
<style>body{margin:0;padding:0;background:#f4f4f4}a{color:#0b5394;text-decoration:none}</style></head>
<body><table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tbody>
"""
HTML_TAIL = "</tbody></table></body></html>\n"


class Prose:
    """Sentences whose octets are SHARE_8BIT beyond ASCII, as near as words allow."""

    def __init__(self, seed, ascii_only):
        self.random, self.ascii_only = random.Random(seed), ascii_only
        self.octets = self.high = 0

    def word(self):
        short = not self.ascii_only and self.high < SHARE_8BIT * self.octets
        word = self.random.choice(WITH_8BIT if short else PLAIN)
        self.note(word)
        return word

    def note(self, text):
        """Counts text that is put in beside the words."""
        octets = text.encode()
        self.octets += len(octets) + 1
        self.high += sum(octet > 127 for octet in octets)

    def sentence(self):
        words = [self.word() for _ in range(self.random.randint(6, 18))]
        return " ".join(words).capitalize() + "."


def wrapped(words, width=72):
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def cut(lines, size):
    """Lines until they have `size` octets; the last one is cut to fit."""
    left, kept = size, []
    for line in lines:
        octets = line.encode() + b"\r\n"
        if len(octets) >= left:
            kept.append(line.encode()[:max(left - 2, 0)].decode(errors="ignore").encode() + b"\r\n")
            return b"".join(kept)
        kept.append(octets)
        left -= len(octets)
    raise AssertionError("lines do not end")


def text_lines(prose):
    while True:
        for _ in range(4):
            yield from wrapped((prose.sentence() + " " + prose.sentence()).split())
            yield ""
        link = f"https://news.bench.example/r/{prose.random.getrandbits(40):010x}?utm_source=weekly&utm_medium=email"
        prose.note(link)
        yield link
        yield ""


def html_lines(prose):
    while True:
        number = prose.random.getrandbits(40)
        link = (f'<a href="https://news.bench.example/r/{number:010x}?utm_source=weekly&amp;utm_medium=email'
                f'&amp;utm_campaign=2025-01" style="font-weight:bold;color:#0b5394">')
        box = '<tr><td align="left" style="padding:12px 24px;font:16px/1.5 Arial,sans-serif;color:#333333">'
        picture = f'  <img src="https://img.bench.example/{number:010x}.png" width="552" height="120" alt="">'
        prose.note(box + link + picture)
        yield box
        yield f"  {link}{prose.sentence()}</a>"
        yield f"  <p>{prose.sentence()} {prose.sentence()}</p>"
        yield picture
        yield "</td></tr>"


def attachment_lines(size):
    """base64 of something like a PDF."""
    from base64 import encodebytes
    return encodebytes(random.Random(3).randbytes(size * 57 // 78)).replace(b"\n", b"\r\n")


def crlf(text):
    return text.replace("\n", "\r\n").encode()


def alternative(size, boundary, ascii_only):
    """multipart/alternative, its header not included, of `size` octets: half text/plain, half text/html."""
    encoding = "7bit" if ascii_only else "8bit"
    parts = [PART.format(boundary=boundary, type=t, encoding=encoding) for t in ("text/plain", "text/html")]
    frame = sum(len(crlf(part)) + 2 for part in parts) + len(boundary) + 6
    half = max((size - frame) // 2, 200)
    page = half - len(crlf(HTML_HEAD + HTML_TAIL))
    html = crlf(HTML_HEAD) + cut(html_lines(Prose(2, ascii_only)), page) + crlf(HTML_TAIL) if page > 200 else \
        cut(html_lines(Prose(2, ascii_only)), half)
    return (crlf(parts[0]) + cut(text_lines(Prose(1, ascii_only)), half) + b"\r\n" + crlf(parts[1]) + html
            + f"\r\n--{boundary}--\r\n".encode())


def newsletter(size, attachment=0, ascii_only=False):
    """A message of about `size` octets: two 8-bit UTF-8 parts, and an attachment that takes `attachment` of them."""
    inner, outer = "=_alternative_5f3a9c", "=_mixed_81d07b"
    if not attachment:
        head = crlf(HEADER.format(type="multipart/alternative", boundary=inner))
        return head + alternative(size - len(head), inner, ascii_only)
    head = crlf(HEADER.format(type="multipart/mixed", boundary=outer))
    head += crlf(f'--{outer}\nContent-Type: multipart/alternative; boundary="{inner}"\n\n')
    tail = crlf(f"--{outer}\nContent-Type: application/pdf; name=figures.pdf\nContent-Disposition: attachment;"
                " filename=figures.pdf\nContent-Transfer-Encoding: base64\n\n")
    end = crlf(f"--{outer}--\n")
    content = attachment_lines(attachment - len(tail) - len(end))
    return head + alternative(size - attachment - len(head), inner, ascii_only) + tail + content + end


def share_8bit(mail):
    return sum(octet > 127 for octet in mail) / len(mail)


def leaves(mail):
    return [part for part in email.message_from_bytes(mail).walk() if not part.is_multipart()]


def label(part):
    return part.get("Content-Transfer-Encoding", "7bit").strip().lower()


def difference(before, after, wanted):
    """Why `after` is not `before` with the encodings of `wanted` ({type: encoding}; other parts stay), or None."""
    old, new = leaves(before), leaves(after)
    if [part.get_content_type() for part in old] != [part.get_content_type() for part in new]:
        return "other parts"
    for was, now in zip(old, new):
        kind = was.get_content_type()
        if now.get_payload(decode=True) != was.get_payload(decode=True):
            return f"{kind}: other content"
        if label(now) != wanted.get(kind, label(was)):
            return f"{kind}: {label(now)} instead of {wanted.get(kind, label(was))}"
        if kind not in wanted and now.as_bytes() != was.as_bytes():
            return f"{kind}: was to stay"
        if kind in wanted and max(map(len, now.get_payload().split("\r\n"))) > 76:
            return f"{kind}: a line over 76"
    return None if any(part.get_content_type() in wanted for part in old) or not wanted else "no such part"


def main():
    parser = argparse.ArgumentParser(description="Writes a newsletter to standard output.")
    parser.add_argument("--size", type=int, default=50 << 10)
    parser.add_argument("--attachment", type=int, default=0, help="octets of it that an attachment takes")
    parser.add_argument("--ascii", action="store_true")
    args = parser.parse_args()
    sys.stdout.buffer.write(newsletter(args.size, args.attachment, args.ascii))


if __name__ == "__main__":
    main()
