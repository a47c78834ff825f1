"""The MTA's end of the milter protocol, as Postfix speaks it (src/milter/milter8.c).

    client = milter.Milter("unix:/path/sock")
    client.negotiate()                       # what Postfix offers; refusals raise Closed
    client.macros("M", {"i": "4ABC"})
    reply = client.mail([b"<a@example.com>"])
    edits, reply = client.end_of_message()

An event is sent only if the filter wants it, and an answer awaited only if the filter said that it
gives one; both as Postfix reads the flags.  Frames are gathered and written when an answer is due,
which is what Postfix' stream buffer does.  raw() writes hostile bytes.  Every wait is bounded by
`timeout`; a filter that hangs up raises Closed, one that says nothing in time raises TimeoutError.

Names are those of libmilter/mfdef.h without their prefix.
"""
import collections
import re
import socket
import struct
import time

# What the MTA can do for the filter: SMFIF_*.
ADDHDRS, CHGBODY, ADDRCPT, DELRCPT, CHGHDRS, QUARANTINE, CHGFROM, ADDRCPT_PAR, SETSYMLIST = (
    1 << bit for bit in range(9))
ALL_ACTIONS = (1 << 9) - 1

# Events that can be left out, answers that can be left out, and other steps: SMFIP_*.
NOCONNECT, NOHELO, NOMAIL, NORCPT, NOBODY, NOHDRS, NOEOH, NR_HDR, NOUNKNOWN, NODATA = (
    1 << bit for bit in range(10))
SKIP, RCPT_REJ, NR_CONN, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_UNKN, NR_EOH, NR_BODY = (
    1 << bit for bit in range(10, 20))
HDR_LEADSPC = 1 << 20
ALL_STEPS = (1 << 21) - 1
NO_REPLY_STEPS = (NR_HDR | NR_CONN | NR_HELO | NR_MAIL | NR_RCPT | NR_DATA | NR_UNKN | NR_EOH
                  | NR_BODY)
# Protocol 2 of Postfix' milter_protocol: no DATA, no unknown, no skip, no silent steps.
V2_STEPS = NOCONNECT | NOHELO | NOMAIL | NORCPT | NOBODY | NOHDRS | NOEOH

# What Postfix sends without being asked (main.cf milter_*_macros), by the letter of the event.
DEFAULT_MACROS = {
    "C": ["j", "{daemon_name}", "{daemon_addr}", "v", "_"],
    "H": ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
    "M": ["i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}",
          "{mail_mailer}"],
    "R": ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
    "T": ["i"], "L": ["i"], "N": ["i"], "B": ["i"], "E": ["i"],
}
# SMFIM_*: the stages of smfi_setsymlist() and the events that they cover in Postfix.
STAGES = ("C", "H", "M", "R", "T", "BE", "LN")

BODY_CHUNK = 65535
_FLUSH_AT = 65536
_VERDICTS = {b"c": "continue", b"a": "accept", b"r": "reject", b"t": "tempfail", b"d": "discard",
             b"y": "reply", b"s": "skip", b"4": "shutdown", b"f": "conn_fail"}


class Closed(ConnectionError):
    """The filter hung up where an answer was due."""


class ProtocolError(Exception):
    """The filter said what Postfix would not understand."""


class Reply(collections.namedtuple("Reply", "kind text")):
    """A verdict: kind is a word of _VERDICTS; text is the SMTP reply of a "reply"."""

    @property
    def smtp(self):
        """The line that Postfix gives its client, or None where it goes on."""
        if self.kind == "reply":
            return re.sub(rb"%(%?)", rb"\1", self.text)
        return {"reject": b"550 5.7.1 Command rejected",
                "tempfail": b"451 4.7.1 Service unavailable - try again later",
                "shutdown": b"421 4.3.2 Service shutting down"}.get(self.kind)

    @property
    def goes_on(self):
        return self.kind in ("continue", "skip")


CONTINUE = Reply("continue", b"")


def connect_socket(address, timeout):
    """A connected socket for "unix:PATH", "local:PATH" or "inet:PORT@HOST"."""
    kind, _, where = address.partition(":")
    if kind in ("unix", "local"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = where
    else:
        port, _, host = where.partition("@")
        sock = socket.socket(socket.AF_INET6 if kind == "inet6" else socket.AF_INET,
                             socket.SOCK_STREAM)
        target = (host.strip("[]"), int(port))
    sock.settimeout(timeout)
    try:
        _connect(sock, target, time.monotonic() + timeout)
    except OSError:
        sock.close()
        raise
    return sock


def _connect(sock, target, end):
    """A full backlog of a UNIX socket is EAGAIN here, where Postfix' blocking connect() waits."""
    while True:
        try:
            return sock.connect(target)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.002)


def frame(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


def strings(*values):
    return b"".join(value + b"\0" for value in values)


class Milter:
    def __init__(self, address, timeout=20.0):
        self.sock = connect_socket(address, timeout)
        self.inbox = b""
        self.outbox = bytearray()
        self.macro_names = DEFAULT_MACROS
        self.version = self.actions = self.steps = None
        self.offered_steps = ALL_STEPS
        self.skipped = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Frames.

    def raw(self, data):
        """Write bytes as they are, after what waits to be written."""
        self.outbox += data
        self.flush()

    def send(self, command, data=b""):
        self.outbox += frame(command, data)
        if len(self.outbox) > _FLUSH_AT:
            self.flush()

    def flush(self):
        out, self.outbox = self.outbox, bytearray()
        try:
            self.sock.sendall(out)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed("hung up while being written to") from error

    def receive(self):
        """One frame: (command, data)."""
        self.flush()
        (length,) = struct.unpack(">I", self._read(4))
        if not 1 <= length < 1 << 30:
            raise ProtocolError("packet of %d octets" % length)
        data = self._read(length)
        return data[:1], data[1:]

    def _read(self, count):
        parts = [self.inbox]
        have = len(self.inbox)
        while have < count:
            try:
                part = self.sock.recv(max(65536, count - have))
            except ConnectionResetError as error:
                raise Closed("connection reset") from error
            if not part:
                raise Closed("hung up")
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        self.inbox = data[count:]
        return data[:count]

    # Negotiation.

    def negotiate(self, version=6, actions=ALL_ACTIONS, steps=ALL_STEPS):
        self.offered_steps = steps
        self.send(b"O", struct.pack(">III", version, actions, steps))
        command, data = self.receive()
        if command != b"O" or len(data) < 12:
            raise ProtocolError("answer %r to the negotiation" % command)
        self.version, self.actions, self.steps = struct.unpack(">III", data[:12])
        if self.version > version:
            raise ProtocolError("filter speaks protocol %d, offered was %d"
                                % (self.version, version))
        if self.actions & ~actions:
            raise ProtocolError("filter wants actions %#x, offered were %#x"
                                % (self.actions, actions))
        self._macro_lists(data[12:])
        return self

    def _macro_lists(self, data):
        """What smfi_setsymlist() asked for; Postfix then forgets its lists for all stages."""
        if not data:
            return
        self.macro_names = {}
        while data:
            (stage,) = struct.unpack(">I", data[:4])
            names, _, data = data[4:].partition(b"\0")
            for event in STAGES[stage]:
                self.macro_names[event] = names.decode().replace(",", " ").split()

    # Events.

    def macros(self, event, values):
        """Send those of `values` ({name: text}) that the filter gets with this event."""
        data = b""
        for name in self.macro_names.get(event, ()):
            value = values.get(name)
            if value is not None:
                data += strings(name.encode(), value if isinstance(value, bytes)
                                else value.encode("utf-8", "surrogateescape"))
        self.send(b"D", event.encode() + data)

    def _event(self, command, data, leave_out, silent):
        if self.skipped is not None and self.skipped != command:
            self.skipped = None
        known = self.offered_steps | V2_STEPS
        if leave_out & self.steps or not leave_out & known or self.skipped == command:
            return CONTINUE
        self.send(command, data)
        if silent & self.steps:
            return CONTINUE
        return self._verdict(command)

    def _verdict(self, command):
        while True:
            answer, data = self.receive()
            if answer == b"p":
                continue
            if answer not in _VERDICTS:
                raise ProtocolError("answer %r to %r" % (answer, command))
            if answer == b"s":
                self.skipped = command
            return Reply(_VERDICTS[answer], data.rstrip(b"\0"))

    def connect(self, hostname=b"client.example", family="4", port=40000, address=b"192.0.2.1"):
        """family: "4", "6", "L" (UNIX) or "U" (unknown: neither port nor address is sent)."""
        data = strings(hostname) + family.encode()
        if family != "U":
            data += struct.pack(">H", port) + strings(address)
        return self._event(b"C", data, NOCONNECT, NR_CONN)

    def helo(self, name=b"client.example"):
        return self._event(b"H", strings(name), NOHELO, NR_HELO)

    def mail(self, arguments):
        return self._event(b"M", strings(*arguments), NOMAIL, NR_MAIL)

    def rcpt(self, arguments):
        return self._event(b"R", strings(*arguments), NORCPT, NR_RCPT)

    def data(self):
        return self._event(b"T", b"", NODATA, NR_DATA)

    def unknown(self, command):
        return self._event(b"U", strings(command), NOUNKNOWN, NR_UNKN)

    def header(self, name, value):
        """value: what follows the colon, lines apart by LF; its first space goes only if asked for."""
        if not self.steps & HDR_LEADSPC and value.startswith(b" "):
            value = value[1:]
        # A C string ends at its NUL: that is all that Postfix sends of such a header.
        return self._event(b"L", strings(name.split(b"\0")[0], value.split(b"\0")[0]), NOHDRS,
                           NR_HDR)

    def eoh(self):
        return self._event(b"N", b"", NOEOH, NR_EOH)

    def body(self, chunk):
        return self._event(b"B", chunk, NOBODY, NR_BODY)

    def end_of_message(self):
        """([edit, ...], verdict); an edit is a tuple that begins with the name of its request."""
        self.send(b"E")
        edits = []
        while True:
            answer, data = self.receive()
            if answer in _VERDICTS:
                return edits, Reply(_VERDICTS[answer], data.rstrip(b"\0"))
            if answer != b"p":
                edits.append(_edit(answer, data))

    def abort(self):
        """Goes with what is written next, as Postfix sends it."""
        self.send(b"A")

    def quit(self):
        """QUIT and hang up."""
        try:
            self.send(b"Q")
            self.flush()
        except Closed:
            pass
        self.close()

    def close(self):
        self.sock.close()


def _edit(answer, data):
    """One modification request, its fields taken apart as milter8_event() does."""
    if answer == b"b":
        if len(data) > BODY_CHUNK:      # MILTER_CHUNK_SIZE: more is for nobody to send
            raise ProtocolError("body chunk of %d octets" % len(data))
        return ("replbody", data)
    if answer in (b"m", b"i"):
        (index,) = struct.unpack(">I", data[:4])
        name, value = _fields(data[4:], 2, 2)
        return ("chgheader" if answer == b"m" else "insheader", index, name, value)
    kind, least, most = {b"h": ("addheader", 2, 2), b"e": ("chgfrom", 1, 2),
                         b"+": ("addrcpt", 1, 1), b"2": ("addrcpt", 1, 2),
                         b"-": ("delrcpt", 1, 1), b"q": ("quarantine", 1, 1)}.get(
                             answer, (None, 0, 0))
    if kind is None:
        raise ProtocolError("request %r at the end of a message" % answer)
    return (kind, *_fields(data, least, most))


def _fields(data, least, most):
    if not data.endswith(b"\0"):
        raise ProtocolError("a string without its end: %r" % data[-40:])
    fields = data[:-1].split(b"\0")
    if not least <= len(fields) <= most:
        raise ProtocolError("%d strings where %d to %d belong" % (len(fields), least, most))
    return fields + [b""] * (most - len(fields))
