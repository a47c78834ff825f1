"""SMTP client that sends exactly the bytes it is given, and can claim to be another client.

    with client.Client(port) as c:
        reply = c.send(content, "a@example.com", ["b@example.net"])
        reply.code, reply.text, reply.stage ("MAIL", "RCPT", "DATA" or "."), reply.queue_id

smtplib is not used: it changes line ends, and hides the answer to all but the last command.
Every answer is awaited (no pipelining), so that a refusal is seen at the command it belongs to.
A connection that breaks, or a 421, is an answer 421 with an empty text.
"""
import re
import socket

TIMEOUT = 60


class Reply:
    def __init__(self, stage, code, text=""):
        self.stage, self.code, self.text = stage, code, text

    def __repr__(self):
        return "%s: %d %s" % (self.stage, self.code, self.text)

    @property
    def accepted(self):
        return self.code == 250

    @property
    def deferred(self):
        return 400 <= self.code < 500

    @property
    def queue_id(self):
        """Of the answer to the final dot, as Postfix or as Sendmail words it."""
        found = re.search(r"queued as (\w+)|2\.0\.0 (\w+) Message accepted", self.text)
        return found and (found[1] or found[2])


class Refused(Exception):
    """Not even a greeting, EHLO or XCLIENT went through; reply says what came instead."""

    def __init__(self, reply):
        super().__init__(repr(reply))
        self.reply = reply


def wire(content):
    """What goes out between DATA and its answer: dots stuffed at each line begin, final dot."""
    if content[:1] == b".":
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return content + b".\r\n"


class Client:
    """xclient: attributes such as {"ADDR": "192.0.2.99", "LOGIN": "acme"}; source: our address."""

    def __init__(self, port, xclient=None, source="127.0.0.1"):
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT, (source, 0))
        except OSError as error:
            raise Refused(Reply("connect", 421, str(error))) from error
        self._lines = self._socket.makefile("rb")
        try:
            self._need("connect", 220, self._answer("connect"))
            self._need("EHLO", 250, self.command("EHLO", "EHLO client.example"))
            if xclient:
                words = " ".join("%s=%s" % item for item in xclient.items())
                self._need("XCLIENT", 220, self.command("XCLIENT", "XCLIENT " + words))
                self._need("EHLO", 250, self.command("EHLO", "EHLO client.example"))
        except Refused:
            self.close()
            raise

    def close(self):
        self._lines.close()
        self._socket.close()

    def quit(self):
        try:
            self.command("QUIT", "QUIT")
        finally:
            self.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.quit()

    @staticmethod
    def _need(stage, code, reply):
        if reply.code != code:
            raise Refused(Reply(stage, reply.code, reply.text))

    def _answer(self, stage):
        texts = []
        while True:
            try:
                line = self._lines.readline()
            except ConnectionError:
                line = b""
            if not line:
                return Reply(stage, 421)
            texts.append(line[4:].decode("utf-8", "replace").rstrip())
            if line[3:4] != b"-":
                return Reply(stage, int(line[:3]), "\n".join(texts))

    def _write(self, stage, data):
        try:
            self._socket.sendall(data)
        except ConnectionError:
            return Reply(stage, 421)
        return self._answer(stage)

    def command(self, stage, line):
        return self._write(stage, line.encode() + b"\r\n")

    def mail(self, sender, args=""):
        return self.command("MAIL", ("MAIL FROM:<%s> %s" % (sender, args)).rstrip())

    def rcpt(self, address, args=""):
        return self.command("RCPT", ("RCPT TO:<%s> %s" % (address, args)).rstrip())

    def send(self, content, sender, rcpts, mail_args="", rcpt_args=""):
        """One message; the answer is the first that is no success, or that to the final dot."""
        reply = self.mail(sender, mail_args)
        for address in rcpts:
            if not reply.accepted:
                return reply
            reply = self.rcpt(address, rcpt_args)
        if not reply.accepted:
            return reply
        reply = self.command("DATA", "DATA")
        if reply.code != 354:
            return reply
        return self.content(content)

    def send_in_turns(self, content, sender, rcpts, turns=20, **options):
        """As an MTA does: recipients that get a 4xx are sent again, in a transaction of their own.
        [(answer to the final dot, recipients of this transaction)]."""
        done = []
        while rcpts:
            if len(done) == turns:
                raise AssertionError("after %d turns %s still wait" % (turns, rcpts))
            reply = self.mail(sender, options.get("mail_args", ""))
            if not reply.accepted:
                raise AssertionError("MAIL: %s" % reply)
            answers = [(rcpt, self.rcpt(rcpt, options.get("rcpt_args", ""))) for rcpt in rcpts]
            refused = [str(answer) for _, answer in answers
                       if not (answer.accepted or answer.deferred)]
            if refused:
                raise AssertionError(refused)
            taken = [rcpt for rcpt, answer in answers if answer.accepted]
            if not taken:
                raise AssertionError("all recipients deferred: %s" % answers)
            rcpts = [rcpt for rcpt, answer in answers if answer.deferred]
            reply = self.command("DATA", "DATA")
            if reply.code == 354:
                reply = self.content(content)
            done.append((reply, taken))
        return done

    def content(self, content):
        """What follows the 354."""
        return self._write(".", wire(content))


def send_once(port, content, sender, rcpts, xclient=None, source="127.0.0.1", **options):
    """send() on a connection of its own."""
    try:
        with Client(port, xclient, source) as c:
            return c.send(content, sender, rcpts, **options)
    except Refused as refused:
        return refused.reply
