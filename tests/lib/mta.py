"""A fake Postfix: takes a message, shows it to a milter, applies what the milter asks for.

    with mta.Session("unix:/path/sock", login="acme") as session:
        result = session.deliver(message, b"a@example.com", [b"b@example.net"])
    result.status, result.message, result.sender, ...

What happens to a message and when is taken from Postfix 3.7: src/smtpd/smtpd.c and
src/global/mime_state.c (normalise), src/milter/milter8.c (what a filter is shown),
src/cleanup/cleanup_milter.c (what its requests do).  The own Received: header of an MTA is there too:
hidden from the filter, not counted by header changes, counted by header insertions.

All bytes; lines of messages end in CRLF.
"""
import re

import milter

OWN_RECEIVED = (b"Received: from client.example (client.example [192.0.2.1])\n"
                b"\tby mta.example (Postfix) with ESMTP id %s;\n"
                b"\tMon,  1 Jun 2026 12:00:00 +0000 (UTC)")
HEADER_LIMIT = 102400       # header_size_limit: what is longer is cut, which no signature survives

_LABEL = re.compile(rb"([^\x00-\x20:\x7f-\xff]+)[ \t]*:")
_PATH = re.compile(
    rb"""<?(?:[^\x00-\x20()<>@,;:\\"\[\]\x7f]+|"(?:[^"\\\r\n]|\\.)*")@[^\x00-\x20()<>@,;:\\"\x7f]+>?$""")


_ACTIONS = {"addheader": milter.ADDHDRS, "insheader": milter.ADDHDRS, "chgheader": milter.CHGHDRS,
            "replbody": milter.CHGBODY, "addrcpt": milter.ADDRCPT | milter.ADDRCPT_PAR,
            "delrcpt": milter.DELRCPT, "chgfrom": milter.CHGFROM, "quarantine": milter.QUARANTINE}


class BadEdit(AssertionError):
    """The milter asked for what Postfix answers with 451 4.3.5, or what nobody should ask for."""


def normalise(message):
    """The message as Postfix' smtpd and cleanup store it, before any milter sees it."""
    lines = [line.rstrip(b"\r") for line in message.split(b"\n")]
    if lines[-1] == b"":
        lines.pop()
    out, headers_done = [], False
    mailbox = True
    for line in lines:
        if mailbox and line.lstrip(b">").startswith(b"From "):
            line = b"X-Mailbox-Line: " + line
        elif mailbox:
            mailbox = False
        if not headers_done:
            label = _LABEL.match(line)
            if line == b"":
                headers_done = True
            elif label:
                line = label.group(1) + b":" + line[label.end():]
            elif not (out and line[:1] in (b" ", b"\t")):
                out.append(b"")
                headers_done = True
        out.append(line)
    if not headers_done:
        out.append(b"")
    return b"".join(line + b"\r\n" for line in out)


def split(message):
    """(headers, body) of a normalised message; a header is b"Name: value", its lines apart by LF."""
    head, _, body = message.partition(b"\r\n\r\n")
    if message.startswith(b"\r\n"):
        head, body = b"", message[2:]
    headers = []
    for line in head.split(b"\r\n") if head else []:
        if line[:1] in (b" ", b"\t") and headers:
            headers[-1] += b"\n" + line
        else:
            headers.append(line)
    return headers, body


def header_values(message, name):
    """All values of a header in a message, top to bottom, unfolded no further than stripped."""
    found = []
    for header in split(message)[0]:
        label, _, value = header.partition(b":")
        if label.lower() == name.lower():
            found.append(value.strip())
    return found


class QueueFile:
    """A message in the queue, and the requests of cleanup_milter.c on it."""

    def __init__(self, message, own_header, lead_space):
        headers, self.body = split(message)
        self.own = own_header
        self.headers = ([own_header] if own_header else []) + headers
        self.space = b"" if lead_space else b" "
        self.body_run = None        # None: none yet; bytearray: running; False: over

    def content(self, own=True):
        headers = [header for header in self.headers if own or header is not self.own]
        lines = [line for header in headers for line in _written_lines(header)]
        return b"".join(line + b"\r\n" for line in lines) + b"\r\n" + self.body

    def _find(self, index, name):
        """Where the index-th header of that name stands, the MTA's own not counted; or None."""
        for at, header in enumerate(self.headers):
            if header is self.own or _label(header).lower() != name.lower():
                continue
            index -= 1
            if index == 0:
                return at
        return None

    def _text(self, name, value):
        if not name:
            raise BadEdit("a header without a name")
        text = name + b":" + self.space + value
        if len(text) > HEADER_LIMIT:
            raise BadEdit("a header of %d octets: Postfix cuts it" % len(text))
        return text

    def add_header(self, name, value):
        self.headers.append(self._text(name, value))

    def insert_header(self, index, name, value):
        self.headers.insert(index, self._text(name, value))

    def change_header(self, index, name, value):
        at = self._find(max(index, 1), name)
        if not value:
            if at is not None:
                del self.headers[at]
        elif at is None:
            self.add_header(name, value)
        else:
            self.headers[at] = self._text(name, value)

    def replace_body(self, data):
        if self.body_run is False:
            raise BadEdit("body replacement in more than one run: 451 4.3.5 for ever")
        if self.body_run is None:
            self.body_run = bytearray()
        self.body_run += data

    def end_body_run(self):
        if self.body_run is None or self.body_run is False:
            return
        body, self.body_run = bytes(self.body_run), False
        if body.count(b"\n") != body.count(b"\r\n"):      # an LF ends a line, with or without a CR
            body = re.sub(rb"\r?\n", b"\r\n", body)
        self.body = body + (b"" if not body or body.endswith(b"\n") else b"\r\n")


def _label(header):
    return header.partition(b":")[0]


def _written_lines(header):
    """cleanup_out_header(): a line break in a header never starts another header."""
    lines = header.split(b"\n")
    return lines[:1] + [line if line[:1] in (b" ", b"\t") else b"\t" + line for line in lines[1:]]


class Result:
    """What became of a message.

    status      "accepted", "deferred" (4xx), "rejected" (5xx), "lost" (the milter hung up)
    reply       the SMTP reply of a refusal, and stage the event that brought it
    treated     the milter saw the message to its end (not waved through before)
    sender, arguments, recipients, message, quarantine: what is in the queue afterwards
    refused     {recipient: reply} of those refused at RCPT
    """

    def __init__(self, message, sender, arguments):
        self.status, self.stage, self.reply = "accepted", None, None
        self.treated = False
        self.message, self.image = message, message
        self.sender, self.arguments = sender, list(arguments)
        self.recipients, self.refused = [], {}
        self.quarantine = None
        self.edits = []

    def refuse(self, stage, reply):
        """Take over a verdict; False when it is none against the message."""
        line = reply.smtp
        if line is None:
            return False
        self.stage, self.reply = stage, line
        self.status = "deferred" if line.startswith(b"4") else "rejected"
        return True

    def header(self, name):
        return header_values(self.message, name)


class Session:
    """One SMTP client's connection with the filter behind it."""

    def __init__(self, address, client=b"192.0.2.1", hostname=b"client.example", family=None,
                 login=None, timeout=20.0, own_received=True, **offer):
        self.filter = milter.Milter(address, timeout)
        self.own_received = own_received
        self.login = login
        self.count = 0
        self.macro_values = {"j": "mta.example", "{daemon_name}": "mta.example",
                             "{daemon_addr}": "192.0.2.25", "v": "Postfix 3.7.11",
                             "_": b"%s [%s]" % (hostname, client)}
        try:
            self.filter.negotiate(**offer)
            self._greet(hostname, client, family)
        except BaseException:
            self.filter.close()
            raise

    def _greet(self, hostname, client, family):
        family = family or ("6" if b":" in client else "4")
        self.filter.macros("C", self.macro_values)
        self.connect_reply = self.filter.connect(hostname, family, 40000, client)
        if self.connect_reply.goes_on:
            self.filter.macros("H", {})
            self.filter.helo(hostname)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quit()

    def quit(self):
        self.filter.quit()

    def deliver(self, message, sender, recipients, login=None, arguments=(), queue_id=None,
                as_stored=False):
        """One transaction.  as_stored: the message needs no normalise() any more."""
        if not as_stored:
            message = normalise(message)
        self.count += 1
        queue_id = queue_id or "4%06dZQ" % self.count
        result = Result(message, sender, arguments)
        try:
            self._transaction(result, recipients, login or self.login, queue_id)
            self.filter.abort()     # Postfix ends every transaction so, the accepted ones too
        except milter.Closed:
            result.status, result.reply = "lost", b"451 4.7.1 Service unavailable - try again later"
        return result

    def _transaction(self, result, recipients, login, queue_id):
        own = OWN_RECEIVED % queue_id.encode() if self.own_received else None
        shown = self._envelope(result, recipients, login, queue_id)
        if result.status != "accepted":
            return
        queue = QueueFile(result.message, own, bool(self.filter.steps & milter.HDR_LEADSPC))
        if shown and self._content(result, queue_id):
            edits, reply = self.filter.end_of_message()
            result.treated, result.edits = True, edits
            _check_actions(edits, self.filter.actions)
            _apply(result, queue, edits)
            result.refuse("eom", reply)
        if result.status == "accepted":
            result.message, result.image = queue.content(), queue.content(own=False)

    def _envelope(self, result, recipients, login, queue_id):
        """MAIL, RCPT, DATA; False when the filter wants to see no more of the message."""
        macros = {"i": queue_id, "{mail_addr}": result.sender, "{mail_mailer}": "smtp",
                  "{rcpt_mailer}": "smtp"}
        if login is not None:
            macros.update({"{auth_type}": "PLAIN", "{auth_authen}": login})
        # The queue file is made after the first recipient: no ID before.
        early = {name: value for name, value in macros.items() if name != "i"}
        self.filter.macros("M", early)
        reply = self.filter.mail([b"<" + result.sender + b">", *result.arguments])
        if result.refuse("mail", reply):
            return False
        shown = reply.goes_on
        for recipient in recipients:
            if shown:
                known = macros if result.recipients else early
                self.filter.macros("R", {**known, "{rcpt_addr}": recipient})
                reply = self.filter.rcpt([b"<" + recipient + b">"])
                if reply.smtp is not None:
                    result.refused[recipient] = reply.smtp
                    continue
                shown = reply.goes_on
            result.recipients.append(recipient)
        if not result.recipients:
            result.status, result.stage, result.reply = "rejected", "rcpt", reply.smtp
            if reply.smtp and reply.smtp.startswith(b"4"):
                result.status = "deferred"
            return False
        if shown:
            self.filter.macros("T", macros)
            reply = self.filter.data()
            shown = not result.refuse("data", reply) and reply.goes_on
        return shown

    def _content(self, result, queue_id):
        """Headers and body; False when the filter decided before the end."""
        headers, body = split(result.message)
        macros = {"i": queue_id}
        for header in headers:
            name, _, value = header.partition(b":")
            self.filter.macros("L", macros)
            if self._decided(result, "header", self.filter.header(name, value)):
                return False
        self.filter.macros("N", macros)
        if self._decided(result, "eoh", self.filter.eoh()):
            return False
        for start in range(0, len(body), milter.BODY_CHUNK):
            self.filter.macros("B", macros)
            chunk = body[start:start + milter.BODY_CHUNK]
            if self._decided(result, "body", self.filter.body(chunk)):
                return False
        self.filter.macros("E", macros)
        return True

    @staticmethod
    def _decided(result, stage, reply):
        return result.refuse(stage, reply) or not reply.goes_on


def _check_actions(edits, actions):
    """Sendmail takes only what was negotiated; Postfix takes all."""
    for edit in edits:
        if not _ACTIONS[edit[0]] & actions:
            raise BadEdit("%s was not negotiated" % edit[0])


def _apply(result, queue, edits):
    """Carry out the requests in their order, as cleanup_milter.c does."""
    for kind, *fields in edits:
        if kind != "replbody":
            queue.end_body_run()
        if kind == "replbody":
            queue.replace_body(*fields)
        elif kind == "addheader":
            queue.add_header(*fields)
        elif kind == "insheader":
            queue.insert_header(*fields)
        elif kind == "chgheader":
            queue.change_header(*fields)
        elif kind == "quarantine":
            result.quarantine = fields[0]
        else:
            _apply_envelope(result, kind, fields)
    queue.end_body_run()


def _apply_envelope(result, kind, fields):
    address = fields[0]
    if address not in (b"", b"<>") and not _PATH.match(address):
        raise BadEdit("%s with a malformed address %r" % (kind, address))
    address = address.strip(b"<>")
    if kind == "chgfrom":
        result.sender = address
        _change_arguments(result, fields[1])
    elif kind == "addrcpt" and address not in result.recipients:
        result.recipients.append(address)
    elif kind == "delrcpt":
        _delete_recipient(result, address)


def _internal(address):
    """An address as Postfix stores it, without quoting (tok822_internalize())."""
    local, at, domain = address.rpartition(b"@")
    if local[:1] == b'"':
        local = re.sub(rb"\\(.)", rb"\1", local[1:-1], flags=re.S)
    return local + at + domain


def _delete_recipient(result, address):
    """cleanup_del_rcpt(): every recipient that the client gave so, case included.  That there must be one
    is a demand of ours: Postfix says nothing."""
    kept = [other for other in result.recipients if _internal(other) != _internal(address)]
    if len(kept) == len(result.recipients):
        raise BadEdit("recipient %r is to be deleted, there are %r" % (address, result.recipients))
    result.recipients = kept


def _change_arguments(result, text):
    """cleanup_chg_from(): only RET and ENVID are taken; what is not named stays as it was."""
    for argument in text.split():
        name = argument.partition(b"=")[0].upper()
        if name not in (b"RET", b"ENVID"):
            continue
        result.arguments = [old for old in result.arguments
                            if old.partition(b"=")[0].upper() != name] + [argument]


def wire_faults(message, longest=998):
    """What no mail on the wire may hold, as a list of texts: lone CR or LF, NUL, lines too long."""
    faults = []
    if re.search(rb"\r(?!\n)", message):
        faults.append("a bare CR")
    if re.search(rb"(?<!\r)\n", message):
        faults.append("a bare LF")
    if b"\0" in message:
        faults.append("a NUL")
    long_lines = [line for line in message.split(b"\r\n") if len(line) > longest]
    if long_lines:
        faults.append("a line of %d octets: %r" % (len(long_lines[0]), long_lines[0][:60]))
    return faults
