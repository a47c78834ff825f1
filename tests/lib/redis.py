"""Private Redis servers and sentinels on loopback, and a proxy before one that does what networks do.

    with redis.Server() as server:              # a free port and a unix socket, no files
        server.command("SET", "a", "1")
        server.pause(), server.resume(), server.kill(), server.start()
    with redis.Sentinel(server) as sentinel: ...
    with redis.Replicated() as trio:            # a master, its replica, and the sentinel of both
        trio.master.kill(), trio.await_failover()
    with redis.Monitor(server) as monitor: ...  # then monitor.lines: what the server did meanwhile
    with redis.Proxy(server) as proxy:
        proxy.fault = redis.delay(0.5)

Nothing of the system's own Redis is touched; stop() leaves neither process nor directory behind.
"""
import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import instance


class Error(Exception):
    """A server that does not run, or an error reply."""


def available(program="redis-server"):
    return shutil.which(program) is not None


class Client:
    """One connection; command() returns str, int, None or lists of them, and raises Error."""

    def __init__(self, port, timeout=5, tls=None):
        self._sock = socket.create_connection(("127.0.0.1", port), timeout)
        if tls:
            self._sock = tls.wrap_socket(self._sock)
        self._file = self._sock.makefile("rb")

    def command(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self._sock.sendall(b"*%d\r\n" % len(words) +
                           b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self._reply()

    def _reply(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Error(rest.decode("latin-1"))
        if kind == b"+":
            return rest.decode("latin-1")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self._file.read(int(rest) + 2)[:-2].decode("latin-1")
        return [self._reply() for _ in range(int(rest))]

    def close(self):
        self._file.close()
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Server:
    """options: more lines of redis.conf.  password: for command(), too."""

    PROGRAM = "redis-server"

    def __init__(self, *options, password=None, tls=None):
        self.options = list(options)
        self.password = password
        self.tls = tls  # an ssl.SSLContext: the port speaks TLS
        self.port = instance.free_port()
        self.directory = tempfile.mkdtemp(prefix="poolmilter-redis-")
        self.socket = os.path.join(self.directory, "redis.sock")
        self.address = "127.0.0.1:%d" % self.port
        self._process = None
        atexit.register(self.stop)

    def _lines(self):
        port = "port 0\ntls-port %d" % self.port if self.tls else "port %d" % self.port
        lines = ["bind 127.0.0.1", port, "unixsocket %s" % self.socket, "save \"\"",
                 "appendonly no", "daemonize no", "dir %s" % self.directory]
        if self.password:
            lines.append("requirepass %s" % self.password)
        return lines + self.options

    def start(self):
        path = os.path.join(self.directory, "redis.conf")
        if not os.path.exists(path):
            with open(path, "w") as conf:
                conf.write("\n".join(self._lines()) + "\n")
        with open(os.path.join(self.directory, "log"), "a") as log:
            self._process = subprocess.Popen([self.PROGRAM, path], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log)
        self._await()
        return self

    def _await(self):
        end = time.monotonic() + 10
        while True:
            try:
                return self.command("PING")
            except (OSError, Error) as error:
                if isinstance(error, Error) and "LOADING" not in str(error):
                    return None
                if time.monotonic() > end or self._process.poll() is not None:
                    with open(os.path.join(self.directory, "log")) as log:
                        raise Error("%s does not run: %s" % (self.PROGRAM, log.read()[-2000:]))
            time.sleep(0.01)

    def client(self, timeout=5):
        client = Client(self.port, timeout, self.tls)
        if self.password:
            client.command("AUTH", self.password)
        return client

    def command(self, *words):
        with self.client() as client:
            return client.command(*words)

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        """At once; start() starts it again on the same port, empty."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.socket)

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


class Sentinel(Server):
    """Watches a master under the name "mymaster", alone (quorum 1), and gives it up after 500 ms."""

    PROGRAM = "redis-sentinel"

    def __init__(self, master):
        super().__init__()
        self.master = master

    def _lines(self):
        watch = "127.0.0.1 %d 1" % self.master.port
        lines = ["bind 127.0.0.1", "port %d" % self.port, "daemonize no", "dir %s" % self.directory,
                 "sentinel monitor mymaster %s" % watch,
                 "sentinel down-after-milliseconds mymaster 500",
                 "sentinel failover-timeout mymaster 3000"]
        if self.master.password:
            lines.append("sentinel auth-pass mymaster %s" % self.master.password)
        return lines

    def start(self):
        super().start()
        with contextlib.suppress(Error):  # Redis 7: quicker than every 10 s
            # It promotes only who has answered INFO within five ping periods, and then asks once a second.
            self.command("SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PING-PERIOD", 300)
        return self

    def ready(self):
        """True when it knows a replica that can be promoted."""
        for replica in self.command("SENTINEL", "REPLICAS", "mymaster"):
            known = dict(zip(replica[::2], replica[1::2]))
            if known["flags"] == "slave" and known["master-link-status"] == "ok":
                return True
        return False

    def master_port(self):
        return int(self.command("SENTINEL", "get-master-addr-by-name", "mymaster")[1])


class Replicated:
    """A master, a replica, and a sentinel that is ready to promote it.  Who asks the sentinel needs no password."""

    def __init__(self, password=None):
        self.master = Server("repl-diskless-sync-delay 0", password=password)
        self.replica = Server("replicaof 127.0.0.1 %d" % self.master.port,
                              *(["masterauth %s" % password] if password else []), password=password)
        self.sentinel = Sentinel(self.master)

    def start(self):
        self.master.start()
        self.replica.start()
        self._await(lambda: "master_link_status:up" in self.replica.command("INFO", "replication"))
        self.sentinel.start()
        self._await(self.sentinel.ready)
        return self

    def stop(self):
        for server in (self.sentinel, self.replica, self.master):
            server.stop()

    def await_failover(self):
        """Until the replica is the master, and the sentinel says so."""
        self._await(lambda: self.sentinel.master_port() == self.replica.port)
        self._await(lambda: "role:master" in self.replica.command("INFO", "replication"))

    @staticmethod
    def _await(condition):
        end = time.monotonic() + 20
        while not condition():
            if time.monotonic() > end:
                raise Error("the replication does not come about")
            time.sleep(0.02)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


class Monitor:
    """MONITOR's lines, as bytes, between the beginning and stop()."""

    def __init__(self, server):
        self.lines = []
        self._server = server
        self._client = server.client(timeout=None)
        self._client.command("MONITOR")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError, ValueError):
            for line in self._client._file:
                if line.endswith(b'"ECHO" "no more"\r\n'):
                    return
                self.lines.append(line)

    def stop(self):
        """All that the server did until now is in lines then."""
        if self._reader.is_alive():
            self._server.command("ECHO", "no more")
            self._reader.join(60)
            self._client.close()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


# Faults: called with a chunk of what the server sends and a send function; True: go on.

def delay(seconds):
    def fault(chunk, send):
        time.sleep(seconds)
        send(chunk)
        return True
    return fault


def cut(octets):
    """The connection ends within the reply."""
    def fault(chunk, send):
        send(chunk[:octets])
        return False
    return fault


def trickle(seconds):
    """An octet at a time."""
    def fault(chunk, send):
        for i in range(len(chunk)):
            send(chunk[i:i + 1])
            time.sleep(seconds)
        return True
    return fault


def replace(octets):
    """Something else instead of each reply."""
    def fault(chunk, send):
        send(octets)
        return True
    return fault


def flood(octets):
    """Without end."""
    def fault(chunk, send):
        while True:
            send(octets)
    return fault


def garble(chunk, send):
    send(bytes(255 - b for b in chunk))
    return True


def drop(chunk, send):
    return True


class Proxy:
    """Passes octets on to a server; .fault, if any, has its way with the replies.  .refuse closes
    new connections at once."""

    def __init__(self, server):
        self.server = server
        self.fault = None
        self.refuse = False
        self.accepted = 0
        self._pairs = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.accepted += 1
            try:
                server = None if self.refuse else socket.create_connection(
                    ("127.0.0.1", self.server.port))
            except OSError:
                server = None
            if server is None:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.add((client, server))
            for a, b, faulty in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(a, b, faulty), daemon=True).start()

    def _pump(self, source, target, faulty):
        with contextlib.suppress(OSError):
            while True:
                chunk = source.recv(65536)
                fault = self.fault if faulty else None
                if not chunk:
                    break
                if fault is None:
                    target.sendall(chunk)
                elif not fault(chunk, target.sendall):
                    break
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def break_all(self):
        """Ends all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def stop(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_all()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
