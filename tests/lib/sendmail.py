"""A private Sendmail 8.17 in a directory of its own.

    with sendmail.Sendmail(relay_port=sink.port, milter="unix:/tmp/x/milter.sock") as mta:
        ... SMTP to ("127.0.0.1", mta.port), mta.queue(), mta.log() ...

Debian's sendmail-bin conflicts with Postfix, so it is not installed: apt-get downloads the packages
(into $POOLMILTER_DEBS, kept there, or else into a temporary directory) and dpkg -x unpacks them.  The
programs run from there, with a sendmail.cf of our own made by m4 from sendmail-cf.  All mail goes to
relay_port on loopback, without DNS.

Missing(text) tells that the packages cannot be had.  Needs root.
"""
import glob
import os
import re
import socket
import subprocess
import time

from instance import Error, Instance

PACKAGES = ("sendmail-bin", "sendmail-base", "sendmail-cf")

M4 = """\
include(`{cf}/m4/cf.m4')
OSTYPE(`linux')
define(`confDOMAIN_NAME', `{host}')
define(`QUEUE_DIR', `{top}/queue')
define(`confPID_FILE', `{top}/sendmail.pid')
define(`STATUS_FILE', `{top}/statistics')
define(`HELP_FILE', `{top}/help')
define(`ALIAS_FILE', `stab:{top}/aliases')
define(`confCW_FILE', `-o {top}/local-host-names')
define(`confCT_FILE', `-o {top}/trusted-users')
define(`confCR_FILE', `-o {top}/relay-domains')
define(`confHOSTS_FILE', `/etc/hosts')
define(`confSERVICE_SWITCH_FILE', `{top}/service.switch')
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe,TrustStickyBit')
define(`confTO_IDENT', `0')
define(`confTO_QUEUEWARN', `')
define(`confMIN_QUEUE_AGE', `0')
define(`confQUEUE_LA', `1000')
define(`confREFUSE_LA', `1000')
define(`confDELAY_LA', `1000')
define(`confLOG_LEVEL', `10')
define(`confDELIVERY_MODE', `background')
define(`confMAX_DAEMON_CHILDREN', `200')
define(`RELAY_MAILER_ARGS', `TCP $h {relay_port}')
define(`SMART_HOST', `relay:[127.0.0.1]')
FEATURE(`no_default_msa')
FEATURE(`nocanonify')
FEATURE(`promiscuous_relay')
FEATURE(`accept_unresolvable_domains')
FEATURE(`accept_unqualified_senders')
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={port}')
{listeners}
{milter}
MAILER(`local')
MAILER(`smtp')
"""

LISTENER = "DAEMON_OPTIONS(`Name=MTA{number}, Family=inet, Addr=127.0.0.1, Port={port}')"

MILTER = "INPUT_MAIL_FILTER(`poolmilter', `S={socket}, F=T, T=C:10s;S:20s;R:20s;E:60s')"

# Before it reads sendmail.cf, Sendmail looks for the machine's full name and sleeps for 60 seconds if
# it finds none.  In a namespace of its own it finds this one, without DNS.
HOST = "mta.poolmilter.test"
NAMESPACE = ["unshare", "--uts", "--mount", "sh", "-c",
             'mount --bind "$1" /etc/hosts && hostname "$2" && shift 2 && exec "$@"', "sh"]

# Where Debian's sendmail-bin keeps the program itself.
PROGRAM = "usr/libexec/sendmail/sendmail"
CF = "usr/share/sendmail/cf"


class Missing(Exception):
    pass


def _run(words, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        raise Missing("%s: %s" % (" ".join(words), done.stdout.decode(errors="replace")))
    return done.stdout.decode(errors="replace")


def _installed(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.startswith(b"install ok")


def _libraries():
    """The libraries that sendmail-bin depends on and this machine lacks."""
    out = _run(["apt-cache", "depends", "--no-recommends", "--no-suggests", "sendmail-bin"])
    names = re.findall(r"^\s*Depends: (lib\S+)$", out, re.M)
    return [name for name in names if not _installed(name)]


def unpack(root):
    """Downloads (unless $POOLMILTER_DEBS has them) and unpacks Sendmail below root."""
    cache = os.environ.get("POOLMILTER_DEBS") or os.path.join(root, "debs")
    os.makedirs(cache, exist_ok=True)
    wanted = [p for p in (*PACKAGES, *_libraries())
              if not glob.glob(os.path.join(cache, p + "_*.deb"))]
    if wanted:
        _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *wanted], cwd=cache)
    for package in (*PACKAGES, *_libraries()):
        newest = max(glob.glob(os.path.join(cache, package + "_*.deb")))
        _run(["dpkg", "-x", newest, root])
    # A set-ID program would not look at LD_LIBRARY_PATH; root needs neither.
    os.chmod(os.path.join(root, PROGRAM), 0o755)


class Sendmail(Instance):
    """listeners: further ports on which it listens, with the same milter.
    aliases: lines of aliases(5), for local parts at HOST."""

    NAME = "Sendmail"

    def __init__(self, relay_port, milter=None, listeners=(), aliases=""):
        super().__init__(relay_port, milter)
        self.aliases = aliases
        self.listeners = listeners

    def _set_up(self):
        unpack(self._root)
        self._configure()
        self._start_daemon()

    @property
    def _root(self):
        return os.path.join(self.directory, "root")

    @property
    def _cf(self):
        return os.path.join(self.directory, "sendmail.cf")

    @property
    def log_file(self):
        return os.path.join(self.directory, "log")

    def _configure(self):
        os.mkdir(os.path.join(self.directory, "queue"), 0o700)
        for name, text in (("aliases", self.aliases), ("service.switch", "hosts files\naliases files\n"),
                           ("hosts", "127.0.0.1 %s localhost\n" % HOST)):
            with open(os.path.join(self.directory, name), "w") as out:
                out.write(text)
        source = M4.format(
            cf=os.path.join(self._root, CF), top=self.directory, port=self.port, host=HOST,
            relay_port=self.relay_port,
            listeners="\n".join(LISTENER.format(number=number, port=port)
                                for number, port in enumerate(self.listeners, 2)),
            milter=MILTER.format(socket=self.milter) if self.milter else "")
        # m4's warning is about FEATURE(`promiscuous_relay'): only loopback can reach this one.
        done = subprocess.run(["m4", "-D_CF_DIR_=%s/" % os.path.join(self._root, CF)],
                              input=source.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True)
        with open(self._cf, "wb") as out:
            out.write(done.stdout)

    def _command(self, *words):
        libraries = [os.path.join(self._root, d) for d in
                     ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")]
        libraries += glob.glob(os.path.join(self._root, "usr/lib/*-linux-gnu"))
        env = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries))
        return [os.path.join(self._root, PROGRAM), "-C", self._cf, *words], env

    def command(self, *words):
        """Runs Sendmail with these arguments on this instance's queue; its standard output."""
        words, env = self._command(*words)
        hosts = os.path.join(self.directory, "hosts")
        return subprocess.run([*NAMESPACE, hosts, HOST, *words], env=env, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=True).stdout

    def _start_daemon(self):
        # -X would log every SMTP line; the "log" here is what the daemon says on standard error,
        # since syslog belongs to the machine.
        words, env = self._command("-bD", "-q2s")
        with open(self.log_file, "wb") as log:
            hosts = os.path.join(self.directory, "hosts")
            self._process = subprocess.Popen([*NAMESPACE, hosts, HOST, *words], env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        deadline = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.directory, "sendmail.pid")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Error("Sendmail did not start:\n" + self.log())
            time.sleep(0.02)
        while not self._listens():  # the file may come first
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Error("Sendmail does not listen:\n" + self.log())
            time.sleep(0.02)

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except ConnectionRefusedError:
            return False
        return True

    def queue(self):
        """Names of the queue's control files."""
        return [n for n in os.listdir(os.path.join(self.directory, "queue")) if n.startswith("qf")]

    def wait_empty(self, timeout=30):
        deadline = time.monotonic() + timeout
        while self.queue():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def log(self):
        with open(self.log_file, errors="replace") as log:
            return log.read()
