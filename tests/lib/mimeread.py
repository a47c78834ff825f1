"""Reads the MIME structure of messages for tests, and compares a message before and after re-encoding.

    tree = mimeread.read(message)            the parts, where they stand, and doubts about them
    changes = mimeread.compare(before, after)   [(part before, part after)] of the re-encoded leaves

Nothing here comes from the program under test.  Three readers look at a message: one that takes
multiparts apart from the outside in and knows boundary lines by the whole line, one that goes from
line to line, from the inside out, and knows them by their beginning, and Python's email package.  Where
they differ the structure is in doubt, and compare() lets nobody change such a message.

Messages are bytes with CRLF line ends, as an MTA stores them.  A leaf is a part that is no multipart;
message/rfc822 is one too: it is not looked into.
"""
import base64
import binascii
import email
import email.policy
import functools
import quopri
import re

LINE_MAX = 998          # octets without CRLF, RFC 5321 4.5.3.1.6
ENCODED_MAX = 76        # RFC 2045 6.7, 6.8
KNOWN = (b"", b"7bit", b"8bit", b"binary", b"quoted-printable", b"base64")

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_BLANK = re.compile(rb"[ \t]+\r\n")
_TYPE = re.compile(rb"[!#-'*+\-.0-9A-Z^-~]+/[!#-'*+\-.0-9A-Z^-~]+\s*(;.*)?", re.I | re.S)
_QUOTED_PRINTABLE = re.compile(rb"(?:[\t\x20-\x3c\x3e-\x7e]|=[0-9A-Fa-f]{2}|=\r\n|\r\n)*")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*=?=?")


class Damage(AssertionError):
    """A message is not what it was."""


# ---- contents

def decode(label, content):
    """What a content stands for, octet for octet; None where readers could differ."""
    if label == b"quoted-printable":
        if not _QUOTED_PRINTABLE.fullmatch(content) or re.search(rb"[ \t](?:\r\n|\Z)", content):
            return None
        return quopri.decodestring(content)
    if label == b"base64":
        text = content.replace(b"\r\n", b"")
        if not _BASE64.fullmatch(text) or len(text) % 4:
            return None
        try:
            octets = base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
        return octets if base64.b64encode(octets) == text else None
    return content if label in KNOWN else None


def is_lines(content):
    """Lines of at most 998 octets without NUL and lone CR or LF."""
    return not re.search(rb"\0|\r(?!\n)|(?<!\r)\n|[^\r\n]{999}", content)


def is_7bit(content):
    return content.isascii() and is_lines(content)


def longest_line(content):
    return max(map(len, content.split(b"\r\n")))


# ---- structure

class Part:
    """start, content, end: offsets of its header, its content and its end in data."""

    def __init__(self, data, start, parent=None):
        self.data, self.start, self.parent = data, start, parent
        self.children, self.fields, self.labels_at, self.doubts = [], [], [], []
        self.content = self.end = None

    def values(self, name):
        return [field.partition(b":")[2].strip() for field in self.fields
                if field.partition(b":")[0].strip().lower() == name]

    def settle(self):
        """What the fields say; Python's email package reads Content-Type."""
        head = email.message_from_bytes(b"".join(
            field for field in self.fields if field[:12].lower() == b"content-type"))
        default = "message/rfc822" if self.parent and self.parent.type == "multipart/digest" else None
        self.type = head.get_content_type() if "content-type" in head else default or "text/plain"
        types = self.values(b"content-type")
        self.type_is_clear = len(types) < 2 and all(map(_TYPE.fullmatch, types))
        boundary = head.get_boundary()
        self.boundary = boundary.encode("ascii", "surrogateescape") if boundary else None
        labels = self.values(b"content-transfer-encoding")
        self.label = b" ".join(labels).lower() if len(labels) < 2 else b"(several)"
        dispositions = self.values(b"content-disposition")
        up = self.parent
        self.attachment = bool(up and up.attachment) or any(
            not re.fullmatch(rb"inline\s*(;.*)?", value, re.I | re.S) for value in dispositions)
        self.sealed = bool(up and (up.sealed or up.type in ("multipart/signed",
                                                            "multipart/encrypted")))
        self.depth = up.depth + 1 if up else 0

    @property
    def is_multipart(self):
        return self.type.startswith("multipart/") and self.boundary is not None

    @property
    def octets(self):
        return self.data[self.content:self.end]

    def decoded(self):
        return decode(self.label, self.octets)

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    def leaves(self):
        return [part for part in self.walk() if not part.is_multipart]

    def shape(self):
        return (self.type, self.boundary, [child.shape() for child in self.children])

    def holds_boundary(self, content):
        """True if a line of this content would look like a boundary line of the message."""
        root = self
        while root.parent:
            root = root.parent
        return any(re.search(rb"(?:\A|\n)--" + re.escape(part.boundary), content)
                   for part in root.walk() if part.is_multipart)

    def doubt(self):
        """The first doubt about it or anything in it, as text; None: none."""
        return next((text for part in self.walk() for text in part.doubts), None)


def _read_header(part, end):
    """Fields up to the empty line; part.content is where the content begins."""
    data, at = part.data, part.start
    while True:
        line_end = data.find(b"\r\n", at, end)
        if at == end and part.parent and data.startswith(b"\r\n", end):
            part.content = end + 2      # the empty line is the one before the next boundary: no content
            return
        if line_end < 0:
            part.doubts.append("header without an end")
            part.content = end
            return
        line = data[at:line_end + 2]
        if line == b"\r\n":
            part.content = line_end + 2
            return
        if line[:1] in (b" ", b"\t") and part.fields:
            part.fields[-1] += line
            if _BLANK.fullmatch(line) and part.parent:
                part.doubts.append("blank continuation line")
            if part.labels_at and part.labels_at[-1][1] == at:
                part.labels_at[-1] = (part.labels_at[-1][0], line_end + 2)
        elif _FIELD.match(line):
            part.fields.append(line)
            if _FIELD.match(line).group(1).lower() == b"content-transfer-encoding":
                part.labels_at.append((at, line_end + 2))
        else:
            part.doubts.append("no field: %r" % line[:40])
            part.content = at
            return
        at = line_end + 2


def _read_part(data, start, end, parent):
    part = Part(data, start, parent)
    _read_header(part, end)
    part.end = max(end, part.content)
    part.settle()
    if part.is_multipart and part.depth < 200:
        if part.label not in KNOWN[:4]:
            part.doubts.append("multipart with an encoding")    # RFC 2045 6.4
        _read_multipart(part)
    return part


def _read_multipart(part):
    lines = re.compile(rb"(?<=\r\n)--%s(--)?[ \t]*(?=\r\n|\Z)" % re.escape(part.boundary))
    begin = None
    for found in lines.finditer(part.data, part.content, part.end):
        if begin is not None:
            end = max(begin, found.start() - 2)
            part.children.append(_read_part(part.data, begin, end, part))
        begin = min(found.end() + 2, part.end)
        if found.group(1):
            break
    else:
        part.doubts.append("not closed")
        if begin is not None:
            part.children.append(_read_part(part.data, begin, part.end, part))
    if not part.children:
        part.doubts.append("multipart without parts")


@functools.lru_cache(maxsize=8)
def read(message):
    """The parts as the first reader sees them.  Not to be changed: the next call may give it again."""
    return _read_part(message, 0, len(message), None)


def _ranges_by_line(message):
    """(content, end) of the leaves as the second reader sees them; None: it cannot."""
    found, open_parts = [], []

    def begin(start, parent):
        part = Part(message, start, parent)
        _read_header(part, len(message))
        part.settle()
        if part.is_multipart:
            open_parts.append(part)
        else:
            found.append([part.content, None])
        return part.content

    at = begin(0, None)
    while 0 <= at < len(message) and open_parts:
        here = next((part for part in reversed(open_parts)
                     if message.startswith(b"--" + part.boundary, at)), None)
        if here is not None:
            while open_parts[-1] is not here:
                open_parts.pop()
            if found and found[-1][1] is None:
                found[-1][1] = max(found[-1][0], at - 2)
            closed = message.startswith(b"--", at + 2 + len(here.boundary))
        at = message.find(b"\r\n", at) + 2
        if at < 2:
            break
        if here is not None and closed:
            open_parts.pop()
        elif here is not None:
            at = begin(at, here)
    if found and found[-1][1] is None:
        found[-1][1] = len(message)
    return [tuple(each) for each in found]


def python_leaves(message):
    """The leaves as Python's email package sees them: (type, raw content); that of message/* is None."""
    found = []

    def walk(part):
        payload = part._payload         # get_payload() would guess at characters
        if part.get_content_maintype() == "message":
            found.append((part.get_content_type(), None))
        elif isinstance(payload, list):
            for child in payload:
                walk(child)
        else:
            found.append((part.get_content_type(),
                          (payload or "").encode("ascii", "surrogateescape")))

    walk(email.message_from_bytes(message, policy=email.policy.compat32))
    return found


@functools.lru_cache(maxsize=8)
def disagreement(message):
    """How the three readers differ about a message, as text; None: they do not."""
    tree = read(message)
    if tree.doubt():
        return tree.doubt()
    leaves = tree.leaves()
    if [(leaf.content, leaf.end) for leaf in leaves] != _ranges_by_line(message):
        return "from the inside out there are other parts"
    python = python_leaves(message)
    mine = [(leaf.type, None if leaf.type.startswith("message/") else leaf.octets)
            for leaf in leaves]
    return None if python == mine else "Python's email package sees other parts"


# ---- comparing

def _skeleton(tree):
    """All octets of the body but the leaves' contents and the Content-Transfer-Encoding fields."""
    pieces, at = [], tree.content
    for part in tree.walk():
        for start, end in part.labels_at:
            if part is not tree:
                pieces.append(tree.data[at:start])
                at = end
        if not part.is_multipart:
            pieces.append(tree.data[at:part.content] + b"\0content\0")
            at = part.end
    pieces.append(tree.data[at:])
    return b"".join(pieces)


def fields_without_label(part):
    return [field for field in part.fields
            if not re.match(rb"content-transfer-encoding[ \t]*:", field, re.I)]


def _unfolded(field):
    return re.sub(rb"\s+", b"", field)


def compare_headers(before, after, top, encoded):
    """The header of the message, ours on top taken off: all is as it was, but
    Content-Transfer-Encoding and MIME-Version where something was encoded, and the folding of lines
    over 998 octets."""
    old, new = fields_without_label(before), fields_without_label(after)[top:]
    had_version = bool(before.values(b"mime-version"))
    if encoded and not had_version:
        new = [field for field in new if not field.lower().startswith(b"mime-version")]
    if len(old) != len(new):
        raise Damage("%d header fields were %d" % (len(new), len(old)))
    for one, other in zip(old, new):
        if one != other and (longest_line(one) <= LINE_MAX or _unfolded(one) != _unfolded(other)
                             or longest_line(other) > LINE_MAX):
            raise Damage("header field %r became %r" % (one[:200], other[:200]))
    if encoded and len(after.values(b"mime-version")) != 1:
        raise Damage("MIME-Version: %r" % after.values(b"mime-version"))
    if not encoded and before.labels_at and before.label != after.label:
        raise Damage("Content-Transfer-Encoding changed alone")


def _compare_leaf(old, new):
    """True if the leaf was re-encoded, rightly."""
    if old.label == new.label and old.octets == new.octets:
        if old.depth and old.fields != new.fields:
            raise Damage("fields %r became %r" % (old.fields, new.fields))
        return False
    if not old.type.startswith("text/") or old.attachment or old.sealed:
        raise Damage("changed a part that is not to be touched: %s" % old.type)
    if len(new.labels_at) > 1:
        raise Damage("two Content-Transfer-Encoding fields")
    was, became = old.decoded(), new.decoded()
    if was is None:
        raise Damage("changed a part that cannot be decoded beyond doubt: %r" % old.label)
    if became != was:
        raise Damage("content %r became %r" % (was[:200], became and became[:200]))
    _check_form(new)
    return True


def _compare_multipart(old, new):
    """True if its label is another: 8bit or binary may become 7bit, where that is true."""
    if old.label == new.label:
        if old.depth and old.fields != new.fields:
            raise Damage("fields %r became %r" % (old.fields, new.fields))
        return False
    if old.label not in (b"8bit", b"binary") or new.label != b"7bit" or not new.octets.isascii():
        raise Damage("multipart labelled %r became %r" % (old.label, new.label))
    if old.sealed or old.type in ("multipart/signed", "multipart/encrypted"):
        raise Damage("label of a signed multipart, or in one, changed")
    return True


def _check_form(part):
    """The rules of what we have encoded ourselves."""
    octets, label = part.octets, part.label
    if label in (b"quoted-printable", b"base64"):
        if longest_line(octets) > ENCODED_MAX:
            raise Damage("%s with a line of %d octets" % (label.decode(), longest_line(octets)))
        if re.search(rb"(?m)^(?:From |\.|--)", octets):
            raise Damage("%s with a line that somebody might quote, double or split" % label.decode())
    elif label == b"8bit":
        if octets.isascii():
            raise Damage("8bit says a part of pure ASCII")
    elif label not in (b"", b"7bit"):
        raise Damage("encoding %r" % label)
    elif not octets.isascii():
        raise Damage("8-bit octets in a part labelled %r" % label)
    if not is_lines(octets):
        raise Damage("what was encoded cannot travel as lines")
    if part.depth == 0 and octets and not octets.endswith(b"\r\n"):
        raise Damage("the body does not end with CRLF")


def compare(before, after, top=0):
    """
    Raises Damage unless after is before with text leaves re-encoded, and with 7bit instead of 8bit on
    multiparts that have become so: the same contents to the octet, the same octets everywhere else, in the same order.  top: our header fields on top of after.  Returns
    [(part before, part after)] of the leaves that were re-encoded.
    """
    old, new = read(before), read(after)
    if old.octets == new.octets and old.values(b"content-transfer-encoding") == new.values(
            b"content-transfer-encoding"):
        compare_headers(old, new, top, encoded=False)
        return []
    doubt = disagreement(before)
    if doubt:
        raise Damage("changed although the structure is in doubt: " + doubt)
    doubt = disagreement(after)
    if doubt:
        raise Damage("the result is in doubt: " + doubt)
    if old.shape() != new.shape():
        raise Damage("parts %r became %r" % (old.shape(), new.shape()))
    if _skeleton(old) != _skeleton(new):
        raise Damage("octets outside of contents changed")
    changes = []
    for one, other in zip(old.walk(), new.walk()):
        if one.depth and fields_without_label(one) != fields_without_label(other):
            raise Damage("header of a part changed: %r, %r" % (one.fields, other.fields))
        if (_compare_multipart if one.is_multipart else _compare_leaf)(one, other):
            changes.append((one, other))
    compare_headers(old, new, top, encoded=bool(changes))
    _compare_by_python(before, after)
    if not changes:
        raise Damage("something changed, but no encoding")
    return changes


def _compare_by_python(before, after):
    """Python's email package decodes both; it must find the same in both."""
    old, new = (list(email.message_from_bytes(message).walk()) for message in (before, after))
    for one, other in zip(old, new):
        if one.is_multipart():
            continue
        # It takes "base64 " and "base64\t" for no encoding at all: such a part is judged by decode().
        if str(one.get("content-transfer-encoding", "")).strip() != one.get(
                "content-transfer-encoding", ""):
            continue
        if one.get_payload(decode=True) != other.get_payload(decode=True):
            raise Damage("Python decodes %r, then %r" % (one.get_payload(decode=True)[:200],
                                                         other.get_payload(decode=True)[:200]))
