"""A private instance of an MTA: its life, whatever the MTA.

A directory of its own, one process that leads a group of its own, and an end that leaves neither behind,
also when the test fails or the interpreter exits.
"""
import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile


class Error(Exception):
    pass


def free_port():
    """A loopback port that was free a moment ago, for TCP and UDP.

    None of those that the system gives to clients (ip_local_port_range): tests at work beside this
    one open connections all the time, and one of them would take it before the server does.
    """
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Instance:
    """milter: "unix:/path", "inet:PORT@HOST" or None.  Subclasses have _set_up(), which fills
    self.directory and sets self._process, a leader of its process group."""

    NAME = None

    def __init__(self, relay_port, milter=None):
        self.port = free_port()
        self.relay_port = relay_port
        self.milter = milter
        self.directory = None
        self._process = None

    def start(self):
        if os.geteuid() != 0:
            raise Error("%s must be started as root" % self.NAME)
        self.directory = tempfile.mkdtemp(prefix="poolmilter-%s-" % self.NAME.lower())
        os.chmod(self.directory, 0o755)
        atexit.register(self.stop)
        try:
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Ends every process of the instance and removes its directory; safe to call twice."""
        if self._process is not None:
            self._signal_group(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                pass
            # The daemons that it started stay in its process group.
            self._signal_group(signal.SIGKILL)
            self._process.wait(10)
            self._process = None
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None
            atexit.unregister(self.stop)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def _signal_group(self, number):
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass
