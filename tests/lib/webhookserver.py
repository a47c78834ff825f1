"""A receiver of webhooks on loopback, by HTTP or HTTPS, which answers as it is told to.

    with webhookserver.Server(secret="...") as server:
        ... url = server.url ...
        server.answer = 500
        server.answer = webhookserver.sometimes(webhookserver.HANG, 1 / 3)
        server.wait(lambda: len(server.ids()) == 100)

answer is one of these, or a function of a Request that gives one:

    200, 500        a status
    Answer(...)     with headers, a body, and a time to think
    HANG            nothing is answered until the client goes, or the server stops
    CUT             the connection is closed without an answer
    CUT_MID         it is closed in the middle of a body, after 200
    GARBAGE         octets that are no HTTP
    HUGE            200, and a body of 1 GiB, if the client takes it

requests has each Request that came whole, in order; taken those that were answered whole with 2xx.  What
a request must be (POST, JSON of version 1, a good signature if there is a secret, a fresh timestamp, no
two at a time of one webhook) is checked for each: what is not so stands in faults.  A request is
recorded before it is answered.  most: requests that were there at the same time, at most.
"""
import collections
import contextlib
import gzip
import hashlib
import hmac
import http.server
import json
import os
import random
import socket
import ssl
import subprocess
import threading
import time

TIMEOUT = 60

Answer = collections.namedtuple("Answer", "status headers body delay", defaults=((), b"", 0))
HANG, CUT, CUT_MID, GARBAGE, HUGE = "hang", "cut", "cut_mid", "garbage", "huge"


def sometimes(fault, share, seed=1, otherwise=200):
    """An answer function: the fault for that share of the requests, by chance; a list: one of them."""
    rand, lock = random.Random(seed), threading.Lock()

    def answer(request):
        with lock:
            bad = rand.random() < share
            return (rand.choice(fault) if isinstance(fault, (list, tuple)) else fault) if bad else otherwise
    return answer


class Request:
    """headers: a mapping without regard to case; body: as sent; events: the events' objects; ids: of them."""

    def __init__(self, headers, path, body):
        self.headers, self.path, self.body = headers, path, body
        self.time = time.monotonic()
        self.webhook = headers.get("X-Poolmilter-Webhook", "")
        self.compressed = headers.get("Content-Encoding") == "gzip"
        self.content = gzip.decompress(body) if self.compressed else body
        self.value = json.loads(self.content)
        self.events = self.value["events"]
        self.ids = [event["id"] for event in self.events]


def signature(secret, timestamp, body):
    """What X-Poolmilter-Signature must be; secret and body: str or bytes."""
    text = lambda value: value.encode() if isinstance(value, str) else value
    return "v1=" + hmac.new(text(secret), text(timestamp) + b"." + text(body), hashlib.sha256).hexdigest()


def problems(request, secret=None, fresh=300):
    """What is wrong with a request, as texts."""
    found = []
    timestamp = request.headers.get("X-Poolmilter-Timestamp", "")
    given = request.headers.get("X-Poolmilter-Signature")
    if secret is not None and not hmac.compare_digest(given or "", signature(secret, timestamp, request.body)):
        found.append("signature %r" % given)
    if secret is None and given is not None:
        found.append("a signature without a secret")
    if not timestamp.isdigit() or abs(int(timestamp) - time.time()) > fresh:
        found.append("timestamp %r" % timestamp)
    if request.headers.get("Content-Type") != "application/json":
        found.append("content type %r" % request.headers.get("Content-Type"))
    if request.value.get("version") != 1 or not request.value.get("node") or not request.events:
        found.append("envelope %.200r" % request.value)
    if not request.headers.get("X-Poolmilter-Delivery") or not request.headers.get("User-Agent", "").startswith("poolmilter/"):
        found.append("headers %r" % request.headers.items())
    return found


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(OSError, ssl.SSLError):
            super().handle()

    def do_POST(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = owner._receive(self.headers, self.path, body)
        try:
            answer = owner.answer(request) if callable(owner.answer) else owner.answer
            self._answer(owner, request, answer)
        finally:
            owner._release(request)

    def do_GET(self):
        self.server.owner._fault("a %s request" % self.command)
        self.send_error(405)

    do_PUT = do_HEAD = do_CONNECT = do_GET

    def _answer(self, owner, request, answer):
        if isinstance(answer, int):
            answer = Answer(answer)
        if isinstance(answer, Answer):
            time.sleep(answer.delay)
            self._answer_whole(owner, request, answer)
            return
        self.close_connection = True
        if answer == HANG:
            self._hang(owner)
            return
        owner._release(request)
        if answer == CUT_MID:
            self._raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of ")
        elif answer == GARBAGE:
            self._raw(bytes(range(255, 0, -1)) * 20)
        elif answer == HUGE:
            owner._take(request)
            self._huge()
        else:
            assert answer == CUT, answer

    def _answer_whole(self, owner, request, answer):
        head = "HTTP/1.1 %d Told so\r\n" % answer.status
        for name, value in answer.headers:
            head += "%s: %s\r\n" % (name, value)
        head += "Content-Length: %d\r\n\r\n" % len(answer.body)
        if 200 <= answer.status < 300:
            owner._take(request)
        owner._release(request)
        self._raw(head.encode() + answer.body)

    def _raw(self, octets):
        self.wfile.write(octets)
        self.wfile.flush()

    def _hang(self, owner):
        """Until the client goes: it sends nothing more, so that its end is what can be read."""
        self.connection.settimeout(0.05)
        while not owner._stopping.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                pass

    def _huge(self):
        self._raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 1 << 30:
                self.wfile.write(b"x" * 65536)
                sent += 65536
        self.server.owner.huge_sent = max(self.server.owner.huge_sent, sent)


class _HTTPServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 200

    def handle_error(self, *_):
        pass        # a client that goes, or does not trust us

    def finish_request(self, request, client_address):
        if self.owner.tls is not None:
            request.settimeout(TIMEOUT)
            try:
                request = self.owner.tls.wrap_socket(request, server_side=True)
            except OSError as error:        # SSLError is one
                self.owner.handshakes_failed.append(str(error))
                return
        super().finish_request(request, client_address)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)
        request.close()


class Server:
    """secret: requests must be signed with it.  tls: an ssl.SSLContext.  host: what the URL names.
    killed: the client may be killed, so that requests of one webhook may seem to overlap."""

    def __init__(self, secret=None, tls=None, host="127.0.0.1", port=0, killed=False):
        self.secret, self.tls, self.killed = secret, tls, killed
        self.answer = 200
        self.requests, self.taken, self.faults = [], [], []
        self.handshakes_failed, self.huge_sent, self.most = [], 0, 0
        self._now = collections.Counter()
        self._released = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._server = _HTTPServer(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.url = "%s://%s:%d/hook?key=Secret-In-URL" % ("https" if tls else "http", host, self.port)

    def start(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    # Of handlers.

    def _fault(self, text):
        with self._changed:
            self.faults.append(text)

    def _receive(self, headers, path, body):
        request = Request(headers, path, body)
        found = problems(request, self.secret)
        with self._changed:
            self._now[request.webhook] += 1
            self.most = max(self.most, self._now.total())
            if self._now[request.webhook] > 1 and not self.killed:
                found.append("two at a time of %s" % request.webhook)
            self.faults += found
            self.requests.append(request)
            self._changed.notify_all()
        return request

    def _release(self, request):
        """Before the answer goes out: the next request may come before its thread is done."""
        with self._changed:
            if id(request) not in self._released:
                self._released.add(id(request))
                self._now[request.webhook] -= 1

    def _take(self, request):
        with self._changed:
            self.taken.append(request)
            self._changed.notify_all()

    # For tests.

    def wait(self, condition, seconds=20):
        """condition() as soon as it is true, or its last answer when the time is over."""
        end = time.monotonic() + seconds
        with self._changed:
            while not (answer := condition()) and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.2))
        return answer

    def events(self, webhook=None):
        """All events of requests that were answered whole with 2xx, in order, repeats included."""
        with self._changed:
            return [event for request in self.taken if webhook in (None, request.webhook) for event in request.events]

    def ids(self, webhook=None):
        """IDs of events(), each once, in the order in which they came first."""
        return list(dict.fromkeys(event["id"] for event in self.events(webhook)))


def make_certificates(directory, host="127.0.0.1"):
    """A CA and a certificate for a host that it has signed: (path of the CA's, ssl.SSLContext of a server)."""
    path = lambda name: os.path.join(str(directory), name)
    run = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True)
    name = "IP:" + host if host[0].isdigit() else "DNS:" + host
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
        "-addext", "keyUsage=critical,keyCertSign", "-keyout", path("ca.key"), "-out", path("ca.pem"))
    run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=receiver", "-keyout", path("key.pem"),
        "-out", path("request.pem"))
    with open(path("extensions"), "w") as out:
        out.write("subjectAltName=%s\n" % name)
    run("x509", "-req", "-in", path("request.pem"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
        "-CAcreateserial", "-days", "2", "-extfile", path("extensions"), "-out", path("cert.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path("cert.pem"), path("key.pem"))
    return path("ca.pem"), tls
