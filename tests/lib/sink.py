"""SMTP server that keeps every message it is given, byte for byte.

    with sink.Sink() as s:
        ... make an MTA send to ("127.0.0.1", s.port) ...
        for message in s.wait(1000, timeout=60): message.sender, .rcpts, .content

The content is what stood between DATA and the final dot: dots unstuffed, CRLF kept, nothing else
touched (aiosmtpd joins lines and decodes addresses, so it cannot be the judge of bytes here).  A line
ends at CRLF only; a lone CR or LF stays in the content, where a test can find it.

The server is an asyncio loop in a thread of its own.  Messages are shared with the caller under
one condition variable.
"""
import asyncio
import threading
import time

LINE_LIMIT = 64 * 1024 * 1024


class Visit:
    """One connection: the client's address, and when it came and went (monotonic; gone None: still here)."""

    def __init__(self, peer):
        self.peer = peer
        self.came = time.monotonic()
        self.gone = None


class Message:
    """One delivered message.  sender and rcpts are addresses without angle brackets; the _args
    are the ESMTP arguments behind them, one dict (upper-cased names) for each address; visit is the
    connection that it came by."""

    def __init__(self):
        self.helo = ""
        self.visit = None
        self.sender = None
        self.sender_args = {}
        self.rcpts = []
        self.rcpt_args = []
        self.content = b""
        self.time = 0.0

    def header_bytes(self):
        """Everything before the empty line, which belongs to neither side."""
        return split(self.content)[0]

    def body_bytes(self):
        return split(self.content)[1]

    def fields(self, name=None):
        """Raw header fields (name to final CRLF), all of them or those of one name."""
        found = split_fields(self.header_bytes())
        if name is None:
            return found
        return [f for f in found if field_name(f) == name.lower().encode()]


def split(content):
    """(header block with its final CRLF, body) of a message."""
    if content.startswith(b"\r\n"):
        return b"", content[2:]
    head, found, body = content.partition(b"\r\n\r\n")
    return (head + b"\r\n", body) if found else (content, b"")


def split_fields(head):
    """The raw fields of a header block: a line that begins with a blank goes on with the last one."""
    fields = []
    for line in head.split(b"\r\n")[:-1]:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line + b"\r\n"
        else:
            fields.append(line + b"\r\n")
    return fields


def field_name(field):
    return field.partition(b":")[0].strip().lower()


def _address(argument):
    """("addr", {ARG: value}) of what follows "MAIL FROM:" or "RCPT TO:"."""
    argument = argument.strip()
    quoted = False
    for end, char in enumerate(argument):
        if char == '"' and argument[end - 1] != "\\":
            quoted = not quoted
        elif char == ">" and not quoted:
            break
    else:
        raise ValueError("no address in %r" % argument)
    args = {}
    for word in argument[end + 1:].split():
        key, _, value = word.partition("=")
        args[key.upper()] = value
    return argument[argument.index("<") + 1:end], args


class _Session:
    def __init__(self, sink, reader, writer, visit):
        self.sink, self.reader, self.writer, self.visit = sink, reader, writer, visit
        self.helo = ""
        self.message = None

    async def run(self):
        self.say("220 sink.test ESMTP")
        while True:
            line = await self.line()
            if line is None:
                return
            verb, _, argument = line[:-2].decode("utf-8", "surrogateescape").partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 2.0.0 bye")
                await self.writer.drain()
                return
            await self.command(verb.upper(), argument)
            await self.writer.drain()

    async def line(self):
        try:
            return await self.reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def say(self, text):
        self.writer.write(text.encode() + b"\r\n")

    async def command(self, verb, argument):
        if verb in ("EHLO", "HELO"):
            self.helo = argument
            self.message = None
            words = ["sink.test"] + (self.sink.extensions if verb == "EHLO" else [])
            for number, word in enumerate(words):
                self.say("250%s%s" % ("-" if number < len(words) - 1 else " ", word))
        elif verb == "MAIL":
            self.message = Message()
            self.message.helo = self.helo
            self.message.visit = self.visit
            self.message.sender, self.message.sender_args = _address(argument[5:])
            self.say("250 2.1.0 ok")
        elif verb == "RCPT":
            self.rcpt(argument)
        elif verb == "DATA":
            await self.data()
        elif verb == "RSET":
            self.message = None
            self.say("250 2.0.0 ok")
        elif verb == "NOOP":
            self.say("250 2.0.0 ok")
        else:
            self.say("502 5.5.2 what?")

    def rcpt(self, argument):
        address, args = _address(argument[3:])
        answer = self.sink.refuse.get(address)
        if answer:
            self.say(answer)
            return
        self.message.rcpts.append(address)
        self.message.rcpt_args.append(args)
        self.say("250 2.1.5 ok")

    async def data(self):
        if self.message is None or not self.message.rcpts:
            self.say("503 5.5.1 no recipients")
            return
        self.say("354 go on")
        lines = []
        while True:
            line = await self.line()
            if line is None:
                self.writer.close()
                return
            if line == b".\r\n":
                break
            lines.append(line[1:] if line[:1] == b"." else line)
        if self.sink.delay:
            await asyncio.sleep(self.sink.delay)
        self.message.content = b"".join(lines)
        self.message.time = time.time()
        self.sink.keep(self.message)
        self.message = None
        self.say("250 2.0.0 kept")


class Sink:
    """The server.  extensions are EHLO words; refuse maps a recipient to the answer it gets; delay is
    how long a message is looked at before it is taken."""

    EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN",
                  "ENHANCEDSTATUSCODES")

    def __init__(self, extensions=EXTENSIONS, port=0):
        self.extensions = list(extensions)
        self.refuse = {}
        self.delay = 0
        self.port = port
        self.connections = 0
        self._messages = []
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = None

    def start(self):
        self._server = self._loop.run_until_complete(asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=LINE_LIMIT, backlog=200))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._thread = None

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    async def _shut(self):
        self._server.close()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        visit = Visit(writer.get_extra_info("peername")[0])
        try:
            await _Session(self, reader, writer, visit).run()
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            # Not raised on: asyncio would print a traceback for each open session at the stop.
            pass
        finally:
            visit.gone = time.monotonic()
            writer.close()

    def keep(self, message):
        with self._arrived:
            self._messages.append(message)
            self._arrived.notify_all()

    @property
    def messages(self):
        with self._arrived:
            return list(self._messages)

    def clear(self):
        with self._arrived:
            self._messages.clear()

    def wait(self, count=1, timeout=30, match=None):
        """The messages (those for which match(message) holds) once there are count of them.
        TimeoutError says how many came."""
        def chosen():
            return [m for m in self._messages if match is None or match(m)]
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(chosen()) >= count, timeout):
                raise TimeoutError("%d of %d messages reached the sink in %s s"
                                   % (len(chosen()), count, timeout))
            return chosen()
