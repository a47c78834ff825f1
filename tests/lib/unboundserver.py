"""A real DNS server (unbound, with local data) on a free loopback port, for tests.

    zone = {"example.com": {"TXT": ["v=spf1 -all"], "MX": ["10 mx.example.com."]}}
    with unboundserver.Server(zone) as server:
        ... ask server.address ("127.0.0.1@PORT") ...

Records: name -> type -> list of values in presentation form; a TXT value is given whole and split into
strings of 255 here (or is a list of strings).  No other name exists.  trouble: name -> "drop" (no answer
to any question about it) | "servfail".  Where a CNAME stands beside others, the first of
them is the answer to questions about it.  zone_files: name -> path of a complete zone file (with SOA
and NS) that the server loads.  Needs no privileges; leaves nothing behind.
"""
import atexit
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import instance

PROGRAM = shutil.which("unbound") or "/usr/sbin/unbound"

CONFIG = """server:
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{directory}"
  logfile: "{directory}/log"
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  unblock-lan-zones: yes
  local-zone: "." static
"""

ZONE_FILE = """server:
  local-zone: "{name}." transparent
auth-zone:
  name: "{name}."
  zonefile: "{path}"
  for-upstream: yes
  for-downstream: no
"""


def _txt(value):
    strings = value if isinstance(value, list) else \
        [value[i:i + 255] for i in range(0, len(value), 255)] or [""]
    return " ".join('"%s"' % s.replace("\\", "\\\\").replace('"', '\\"') for s in strings)


def _lines(zone, trouble):
    for name, types in zone.items():
        if name in trouble:             # local data would be an answer
            continue
        for kind, values in types.items():
            for value in values:
                data = _txt(value) if kind == "TXT" else value
                yield "  local-data: '%s. 60 IN %s %s'\n" % (name.rstrip("."), kind, data)
    for name, what in trouble.items():
        yield '  local-zone: "%s." %s\n' % (name, "deny" if what == "drop" else "always_refuse")


class Server:
    def __init__(self, zone, trouble=None, zone_files=None):
        self.zone = zone
        self.trouble = trouble or {}
        self.zone_files = zone_files or {}
        self.port = None                # kept over a stop and another start
        self.directory = None
        self._process = None

    def start(self):
        self.port = self.port or instance.free_port()
        self.address = "127.0.0.1@%d" % self.port
        self.directory = tempfile.mkdtemp(prefix="poolmilter-unbound-")
        atexit.register(self.stop)
        path = os.path.join(self.directory, "unbound.conf")
        with open(path, "w", encoding="ascii") as conf:
            conf.write(CONFIG.format(port=self.port, directory=self.directory))
            conf.writelines(_lines(self.zone, self.trouble))
            conf.writelines(ZONE_FILE.format(name=n, path=p) for n, p in self.zone_files.items())
        with open(os.path.join(self.directory, "stderr"), "w", encoding="ascii") as err:
            self._process = subprocess.Popen([PROGRAM, "-d", "-c", path], stdin=subprocess.DEVNULL,
                                             stdout=err, stderr=err, start_new_session=True)
        self._await()
        return self

    def _await(self):
        """Until it answers; it reads a large zone for seconds."""
        query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)
        deadline = time.monotonic() + 60
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.05)
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    udp.sendto(query, ("127.0.0.1", self.port))
                    udp.recv(512)
                    return
                except OSError:         # nobody listens yet, or no answer yet
                    time.sleep(0.02)
        said = "".join(open(os.path.join(self.directory, name), encoding="ascii").read()
                       for name in ("stderr", "log") if os.path.exists(os.path.join(self.directory, name)))
        self.stop()
        raise RuntimeError("unbound does not answer: %s" % said)

    def stop(self):
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None
            atexit.unregister(self.stop)

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()
