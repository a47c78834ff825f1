"""SMTP proxy that passes everything on to a real server, or misbehaves where it is told to.

    with smtpproxy.Proxy(port_of_the_real_server) as proxy:
        proxy.faults = {"RCPT": lambda line: "550 5.1.1 no" if b"<bad@" in line else None,
                        ".": smtpproxy.CLOSE}

faults maps a stage ("connect", "EHLO", "MAIL", "RCPT", "DATA", "." for the end of the data) to what
happens there, or to a function of the client's line that gives it or None:

    a text           is the answer; the server never hears of the command
    CLOSE            both connections are closed; the server never hears of it
    CLOSE_AFTER      the server hears it and answers, then both are closed; the client hears nothing
    a Gate           waits at it, then passes on
    None             passes on

connections and stages (a Counter) tell what came; contents are what came between DATA and the final
dot, with it.  A gate is for what must happen meanwhile:

    gate = proxy.faults["."] = smtpproxy.Gate()
    gate.wait_reached(); ... ; gate.open()
"""
import collections
import socket
import socketserver
import threading

TIMEOUT = 60
CLOSE, CLOSE_AFTER = object(), object()


class Gate:
    """Connections wait here until it is opened, or for some seconds."""

    def __init__(self, seconds=TIMEOUT):
        self.seconds = seconds
        self._reached = threading.Event()
        self._open = threading.Event()

    def open(self):
        self._open.set()

    def wait_reached(self, seconds=TIMEOUT):
        if not self._reached.wait(seconds):
            raise TimeoutError("nobody came to the gate in %s s" % seconds)

    def pass_through(self):
        self._reached.set()
        self._open.wait(self.seconds)


class _Closed(Exception):
    pass


class _Connection(socketserver.StreamRequestHandler):
    def handle(self):
        proxy = self.server.owner
        proxy.connections += 1
        try:
            with socket.create_connection(("127.0.0.1", proxy.target), TIMEOUT) as upstream:
                self._up, self._replies = upstream, upstream.makefile("rb")
                self._converse()
        except (_Closed, OSError):
            pass

    def _converse(self):
        proxy = self.server.owner
        greeting = self._reply()
        self._act("connect", b"", lambda: greeting)
        while True:
            line = self._need(self.rfile.readline())
            verb = line.split(None, 1)[0].upper().decode("ascii", "replace")
            answer = self._act(verb, line, lambda: self._ask(line))
            if verb == "DATA" and answer[:3] == b"354":
                content = self._content()
                proxy.contents.append(content)
                self._act(".", b"", lambda: self._ask(content))

    def _act(self, stage, line, pass_on):
        """Answers the client, or misbehaves; what was answered."""
        proxy = self.server.owner
        proxy.stages[stage] += 1
        fault = proxy.faults.get(stage)
        if callable(fault):
            fault = fault(line)
        if fault is CLOSE:
            raise _Closed
        if isinstance(fault, Gate):
            fault.pass_through()
        answer = fault.encode() + b"\r\n" if isinstance(fault, str) else pass_on()
        if fault is CLOSE_AFTER:
            raise _Closed
        self.wfile.write(answer)
        return answer

    def _ask(self, octets):
        self._up.sendall(octets)
        return self._reply()

    def _reply(self):
        lines = []
        while not lines or lines[-1][3:4] == b"-":
            lines.append(self._need(self._replies.readline()))
        return b"".join(lines)

    def _content(self):
        """What the client sends after the 354, with the final dot."""
        lines = []
        while not lines or lines[-1] != b".\r\n":
            lines.append(self._need(self.rfile.readline()))
        return b"".join(lines)

    @staticmethod
    def _need(line):
        if not line.endswith(b"\n"):
            raise _Closed
        return line


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 200


class Proxy:
    """target: the port of the real server, which may be set later."""

    def __init__(self, target=None):
        self.target = target
        self.faults = {}
        self.connections = 0
        self.stages = collections.Counter()
        self.contents = []
        self._server = None

    def start(self):
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.owner = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()
