"""poolmilter and poolctl under test: configurations, keys, starting, stopping, looking at /proc.

    with daemon.Daemon(pools=[daemon.pool("acme", "example.com")]) as server:
        with mta.Session(server.address) as session: ...
        server.message_line("4ABC")["result"]

Environment: POOLMILTER and POOLCTL name the programs (default: src/ of the build tree);
POOLMILTER_WRAP is a command prefix such as "valgrind -q --error-exitcode=99".  Under valgrind, and
with sanitizers compiled in, scaled() makes counts smaller and memory_limit() bounds wider.

Everything lives in one directory per process, which goes away at its end; a daemon that was not
stopped is killed then.
"""
import atexit
import base64
import collections
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import dkim

import milter
from instance import free_port                                         # noqa: F401

ROOT = pathlib.Path(os.environ.get("abs_top_builddir")
                    or pathlib.Path(__file__).resolve().parents[2])
POOLMILTER = os.environ.get("POOLMILTER") or str(ROOT / "src" / "poolmilter")
POOLCTL = os.environ.get("POOLCTL") or str(ROOT / "src" / "poolctl")
WRAP = shlex.split(os.environ.get("POOLMILTER_WRAP", ""))

STOP_SECONDS = 10
_SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:"
                        r"|ERROR: LeakSanitizer")
_running = set()


def _make_directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="pm-"))
    path.chmod(0o755)           # a daemon that dropped its rights looks into it
    return path


DIRECTORY = _make_directory()


@atexit.register
def _clean_up():
    for server in list(_running):
        server.kill()
    shutil.rmtree(DIRECTORY, ignore_errors=True)


def new_directory(name="d"):
    return pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=DIRECTORY))


def instrumented():
    """True where time and memory are not the program's own: valgrind or a sanitizer."""
    if WRAP:
        return True
    with open(POOLMILTER, "rb") as program:
        image = program.read()
    return b"__asan_init" in image or b"__tsan_init" in image


def scaled(count):
    """The count of the test; a fiftieth under a wrapper (valgrind), where all takes 50 times as long."""
    return max(count // 50, 4) if WRAP else count


def memory_limit(kib):
    """A bound for memory; ten times as wide where red zones and shadows count in."""
    return kib * 10 if instrumented() else kib


def wait_for(condition, seconds=10.0, step=0.02):
    """condition() as soon as it is true, or its last answer when the time is over."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(step)


# Configurations.

def _quoted(text):
    return '"%s"' % "".join(
        "\\" + char if char in '"\\' else "\\x%02x" % ord(char) if ord(char) < 32 else char
        for char in text)


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "%d" % value
    if isinstance(value, dict):
        return "{ %s }" % settings_text(value)
    if isinstance(value, tuple):
        return "( %s )" % ", ".join(_value(item) for item in value)
    if isinstance(value, list):
        return "[ %s ]" % ", ".join(_value(item) for item in value)
    return _quoted(str(value))


def settings_text(settings):
    """libconfig text: dict = group, list = array of scalars, tuple = list of groups."""
    return "".join("%s = %s;\n" % (name, _value(value)) for name, value in settings.items())


# Keys.

Key = collections.namedtuple("Key", "path record")      # a PEM file; its public half as TXT record
_keys = {}


def make_key(path, kind="rsa", bits=2048):
    """Write a private key as PEM, mode 0600."""
    options = ["-algorithm", "ED25519"] if kind == "ed25519" else [
        "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:%d" % bits]
    subprocess.run(["openssl", "genpkey", *options, "-out", str(path)], check=True,
                   capture_output=True)
    os.chmod(path, 0o600)
    return Key(str(path), public_record(path, kind))


def public_record(path, kind="rsa"):
    der = subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout", "-outform", "DER"],
                         check=True, capture_output=True).stdout
    if kind == "ed25519":
        der = der[-32:]         # RFC 8463, 4: the bare key
    return "v=DKIM1; k=%s; p=%s" % (kind, base64.b64encode(der).decode())


def key(name="acme", kind="rsa"):
    """The key of that name; made once per process."""
    if (name, kind) not in _keys:
        _keys[name, kind] = make_key(DIRECTORY / ("%s-%s.pem" % (name, kind)), kind)
    return _keys[name, kind]


def pool(name="acme", domain="example.com", **settings):
    """A complete pool, its key in key(name); settings replace or, with None, remove keys of it."""
    made = {"name": name, "sender_domain": domain, "spf_domain": "ac-bounces." + domain,
            "dkim_selector": "s-" + name}
    made["dkim_key"] = settings.pop("dkim_key", None) or key(name).path
    made.update(settings)
    return {setting: value for setting, value in made.items() if value is not None}


# Verification.

class Zone(dict):
    """The DNS of the tests: TXT records for dkimpy."""

    def add(self, selector, domain, record):
        self[("%s._domainkey.%s." % (selector, domain)).encode()] = record.encode()
        return self

    def add_pool(self, settings):
        return self.add(settings["dkim_selector"], settings["sender_domain"],
                        public_record(settings["dkim_key"]))

    def lookup(self, name, timeout=5):
        del timeout
        return self.get(name)


def zone_for(*pools):
    zone = Zone()
    for settings in pools:
        zone.add_pool(settings)
    return zone


def signatures(message):
    """[{tag: value}] of the DKIM-Signature fields of a message, top to bottom."""
    found = []
    head = message.partition(b"\r\n\r\n")[0]
    for name, value in re.findall(rb"(?ims)^(dkim-signature)[ \t]*:((?:.*?)(?:\r\n(?=[^ \t])|\Z))",
                                  head + b"\r\n"):
        del name
        tags = {}
        for tag in re.sub(rb"\s+", b"", value).split(b";"):
            label, _, content = tag.partition(b"=")
            tags[label.decode("latin-1")] = content.decode("latin-1")
        found.append(tags)
    return found


def failed_signatures(message, zone, domain, selector=None):
    """Which signatures of that domain do not verify: [(index, reason)]; no signature at all is one."""
    failures, seen = [], 0
    for index, tags in enumerate(signatures(message)):
        if tags.get("d") != domain or selector not in (None, tags.get("s")):
            continue
        seen += 1
        try:
            if not dkim.DKIM(message, minkey=1024).verify(index, dnsfunc=zone.lookup):
                failures.append((index, "does not verify"))
        except dkim.DKIMException as error:
            failures.append((index, repr(error)))
    if not seen:
        failures.append((None, "no signature of %s" % domain))
    return failures


# Processes.

class Failed(AssertionError):
    """The daemon did not do what the test stands on: start, stop, log."""


class Daemon:
    """One running poolmilter.

    settings    replace those of the smallest configuration; None leaves one out
    text        the whole configuration instead
    limits      {resource.RLIMIT_...: count} for the process
    stderr      False: it logs to syslog
    uid         run as this user, to whom its directory is given
    """

    def __init__(self, pools=None, text=None, start=True, options=(), env=None, limits=None,
                 stderr=True, uid=None, **settings):
        self.directory = new_directory("daemon")
        self.config = self.directory / "poolmilter.conf"
        self.address = "unix:%s" % (self.directory / "sock")
        self.options = [*(["--stderr"] if stderr else []), *options]
        self.env, self.limits, self.uid = env or {}, limits or {}, uid
        self.settings = settings
        self.lines, self.process, self._reader = [], None, None
        self._changed = threading.Condition()
        self.write_config(pools, text)
        if start:
            self.start()

    def write_config(self, pools=None, text=None, **settings):
        """(Re)write the configuration file in one step, as an editor does."""
        (self.directory / "state").mkdir(exist_ok=True)
        if pools is None:
            pools = [pool()]
        if text is None:
            whole = {"listen": self.address, "user": "root",
                     "state_dir": str(self.directory / "state")}
            whole.update(self.settings)
            whole.update(settings)
            whole["pools"] = tuple(pools)
            text = settings_text({name: value for name, value in whole.items()
                                  if value is not None})
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.rename(self.config)

    # Life.

    def start(self, seconds=20.0):
        self.spawn()
        if not self.wait_ready(seconds):
            self.kill()
            raise Failed("not listening on %s after %d s; log:\n%s"
                         % (self.address, seconds, self.log))
        return self

    def spawn(self, stderr=subprocess.PIPE):
        """Start without waiting for the socket.  stderr: where its log goes instead of to lines."""
        if self.uid:
            for path in [self.directory, *self.directory.rglob("*")]:
                os.chown(path, self.uid, self.uid)
        command = [*WRAP, POOLMILTER, "-c", str(self.config), "--foreground", *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=stderr,
                                        env={**os.environ, **self.env},
                                        preexec_fn=self._before_exec
                                        if self.limits or self.uid else None)
        _running.add(self)
        if self.process.stderr:
            self._reader = threading.Thread(target=self._read, args=(self.process.stderr,),
                                            daemon=True)
            self._reader.start()
        return self

    def _before_exec(self):
        import resource
        if self.uid:
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)
        for what, count in self.limits.items():
            resource.setrlimit(what, (count, count))

    def _read(self, stream):
        for line in stream:
            with self._changed:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        stream.close()

    def wait_ready(self, seconds=20.0):
        """True once an MTA could negotiate on the socket; False when the daemon ended or is mute."""
        scale = 5 if instrumented() else 1
        return bool(wait_for(lambda: self.process.poll() is not None or self.negotiates(),
                             seconds * scale)) and self.process.poll() is None

    def negotiates(self, address=None):
        try:
            with milter.Milter(address or self.address, timeout=5) as client:
                client.negotiate()
                client.quit()
            return True
        except (OSError, milter.ProtocolError):
            return False

    def wait_exit(self, seconds=STOP_SECONDS):
        """The exit status; Failed when it does not come in time."""
        try:
            status = self.process.wait(seconds * (5 if instrumented() else 1))
        except subprocess.TimeoutExpired:
            raise Failed("still running after %s s; log:\n%s" % (seconds, self.log)) from None
        if self._reader:
            self._reader.join(5)
        _running.discard(self)
        return status

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """End it and return the exit status; reports of sanitizers fail the test here."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.send_signal(number)
        try:
            status = self.wait_exit()
        except Failed:
            self.kill()
            raise
        report = _SANITIZER.search(self.log)
        if report:
            raise Failed("sanitizer report:\n" + self.log[max(report.start() - 200, 0):][:20000])
        return status

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        _running.discard(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process is None or self.process.returncode is not None:
            self.kill()
            return
        status = self.stop()
        if status != 0 and kind is None:
            raise Failed("exit status %s after SIGTERM; log:\n%s" % (status, self.log))

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process.poll() is None

    # Its log.

    @property
    def log(self):
        with self._changed:
            return "\n".join(self.lines)

    def wait_log(self, pattern, seconds=10.0, since=0):
        """The first line from `since` on that the pattern is found in; Failed when none comes."""
        wanted = re.compile(pattern)
        end = time.monotonic() + seconds * (5 if instrumented() else 1)
        with self._changed:
            at = since
            while True:
                while at < len(self.lines):
                    if wanted.search(self.lines[at]):
                        return self.lines[at]
                    at += 1
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
        raise Failed("no log line like %r; log:\n%s" % (pattern, self.log))

    def mark(self):
        """Where the log ends now, for wait_log(since=)."""
        with self._changed:
            return len(self.lines)

    def message_line(self, queue_id, seconds=10.0):
        """The line of a message as {key: value}."""
        line = self.wait_log(r"(^|\s)%s: pool=" % re.escape(queue_id), seconds)
        fields = line.partition(queue_id + ": ")[2]
        return dict(re.findall(r"([a-z_]+)=(\"(?:[^\"\\]|\\.)*\"|<[^>]*>|\S+)", fields))

    # Reload.

    def reload(self, seconds=10.0):
        """SIGHUP, and wait for the line about it."""
        since = self.mark()
        self.send_signal(signal.SIGHUP)
        return self.wait_log(r"(?i)reload", seconds, since)

    # /proc.

    def _status(self, field):
        with open("/proc/%d/status" % self.pid) as status:
            return int(re.search(r"^%s:\s+(\d+)" % field, status.read(), re.M).group(1))

    def memory(self):
        """Resident memory in KiB."""
        return self._status("VmRSS")

    def memory_peak(self):
        return self._status("VmHWM")

    def threads(self):
        return self._status("Threads")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def cpu_seconds(self):
        """User and system time so far, by the process' own clock: /proc counts in ticks of 10 ms."""
        return time.clock_gettime(~self.pid << 3 | 2)   # clock_getcpuclockid(3)


def poolctl(*arguments, data=b"", timeout=120):
    """Run poolctl: a CompletedProcess with bytes."""
    return subprocess.run([*WRAP, POOLCTL, *map(str, arguments)], input=data, capture_output=True,
                          timeout=timeout, check=False)
