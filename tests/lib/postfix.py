"""A private Postfix (Debian's binaries) in a directory of its own, for tests and the quick start.

    with postfix.Postfix(relay_port=sink.port, milter="unix:/tmp/x/milter.sock") as mta:
        ... SMTP to ("127.0.0.1", mta.port), mta.sendmail(...), mta.queue(), mta.log() ...

Configuration, queue, data and log live below one temporary directory; /etc/postfix and an installed,
even running, Postfix are neither read (but for its compiled-in program paths) nor touched.  All mail is
relayed to relay_port on loopback, without DNS.  Clients on loopback may use XCLIENT, so that a test
can be any client (ADDR=) and any login (LOGIN=, seen by milters as {auth_authen}).

It starts master(8) directly: "postfix start" checks every file of the installation, which takes a
second and wants an installation of the usual shape.  Needs root, as Postfix does.
"""
import grp
import json
import os
import pwd
import re
import subprocess
import time

from instance import Error, Instance

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
"""

# What a poolmilter installation would set (first block), then what makes a test quick and lonely.
MAIN = {
    "milter_protocol": "6",
    "milter_default_action": "tempfail",

    "compatibility_level": "3.6",
    "myhostname": "mta.poolmilter.test",
    "mydestination": "",
    "local_recipient_maps": "",
    "alias_maps": "",
    "alias_database": "",
    "inet_protocols": "ipv4",
    "inet_interfaces": "127.0.0.1",
    "mynetworks": "127.0.0.0/8",
    "smtpd_relay_restrictions": "check_client_access static:OK, reject",
    "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
    "smtpd_peername_lookup": "no",
    "smtpd_tls_security_level": "none",
    "smtp_tls_security_level": "none",
    "smtp_dns_support_level": "disabled",
    "smtp_host_lookup": "native",
    "smtputf8_enable": "yes",
    "biff": "no",
    "append_dot_mydomain": "no",
    "message_size_limit": "104857600",
    "header_size_limit": "1024000",
    "in_flow_delay": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_error_sleep_time": "0",
    "smtpd_soft_error_limit": "1000",
    "smtpd_hard_error_limit": "1000",
    "default_process_limit": "100",
    "default_destination_concurrency_limit": "20",
    "initial_destination_concurrency": "20",
    "queue_run_delay": "2s",
    "minimal_backoff_time": "2s",
    "maximal_backoff_time": "4s",
    "milter_connect_timeout": "5s",
    "milter_command_timeout": "20s",
    "milter_content_timeout": "60s",
}

QUEUE_DIRS = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
              "private", "saved", "trace")


def milter_name(socket_name):
    """poolmilter's "inet:8892@127.0.0.1" as Postfix writes it, inet:127.0.0.1:8892."""
    inet = re.fullmatch(r"inet:(\d+)@(.*)", socket_name)
    return "inet:%s:%s" % (inet[2], inet[1]) if inet else socket_name


def service(line, settings):
    """An entry of master.cf with parameters of its own."""
    return "".join([line + "\n", *("  -o { %s = %s }\n" % item for item in settings.items())])


def setting(name):
    """The compiled-in value of a parameter."""
    # Its warning where /etc/postfix is empty ("No configuration") is none for us.
    out = subprocess.run(["/usr/sbin/postconf", "-dh", name], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    return out.stdout.decode().strip()


class Postfix(Instance):
    """milter: "unix:/path", "inet:PORT@HOST" or None, used for SMTP and for pickup.
    settings: main.cf parameters that win over MAIN.
    listeners: further smtpd, {port: {parameter: value}}; the parameters are for that one alone.
    cleanups: further cleanup, {service name: {parameter: value}}.
    prepare: called with the configuration's directory before the start."""

    NAME = "Postfix"

    def __init__(self, relay_port, milter=None, settings=None, listeners=None,
                 cleanups=None, prepare=None):
        super().__init__(relay_port, milter)
        self.settings = settings or {}
        self.listeners = listeners or {}
        self.cleanups = cleanups or {}
        self.prepare = prepare or (lambda config: None)

    def _set_up(self):
        self._make_directories()
        self._write_configuration()
        self._start_master()

    @property
    def config(self):
        return os.path.join(self.directory, "etc")

    @property
    def spool(self):
        return os.path.join(self.directory, "spool")

    @property
    def log_file(self):
        return os.path.join(self.directory, "maillog")

    def _make_directories(self):
        owner = pwd.getpwnam(setting("mail_owner")).pw_uid
        postdrop = grp.getgrnam(setting("setgid_group")).gr_gid
        for path in (self.config, self.spool, os.path.join(self.spool, "pid")):
            os.mkdir(path, 0o755)
        data = os.path.join(self.directory, "data")
        os.mkdir(data, 0o700)
        os.chown(data, owner, -1)
        for name in QUEUE_DIRS:
            path = os.path.join(self.spool, name)
            os.mkdir(path, 0o700)
            os.chown(path, owner, -1)
        for name, mode in (("public", 0o2710), ("maildrop", 0o1730)):
            path = os.path.join(self.spool, name)
            os.mkdir(path)
            os.chown(path, owner, postdrop)
            os.chmod(path, mode)

    def _write_configuration(self):
        main = dict(MAIN)
        main.update({
            "queue_directory": self.spool,
            "data_directory": os.path.join(self.directory, "data"),
            "maillog_file": self.log_file,
            "maillog_file_prefixes": self.directory,
            "relayhost": "[127.0.0.1]:%d" % self.relay_port,
        })
        if self.milter:
            name = milter_name(self.milter)
            main.update({"smtpd_milters": name, "non_smtpd_milters": name})
        main.update(self.settings)
        with open(os.path.join(self.config, "main.cf"), "w") as out:
            for key, value in main.items():
                out.write("%s = %s\n" % (key, value))
        with open(os.path.join(self.config, "master.cf"), "w") as out:
            out.write(MASTER.format(port=self.port))
            for port, settings in self.listeners.items():
                out.write(service("127.0.0.1:%d inet n - n - - smtpd" % port, settings))
            for name, settings in self.cleanups.items():
                out.write(service("%s unix n - n - 0 cleanup" % name, settings))
        self.prepare(self.config)
        # Postfix waits until main.cf has not changed for two seconds; it shall not wait for us.
        past = time.time() - 60
        os.utime(os.path.join(self.config, "main.cf"), (past, past))

    def _start_master(self):
        program = os.path.join(setting("daemon_directory"), "master")
        with open(os.path.join(self.directory, "master.err"), "wb") as err:
            self._process = subprocess.Popen([program, "-c", self.config, "-d"],
                                            stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                            cwd=self.spool, start_new_session=True)
        # The log line comes after the sockets are bound; a probe of the port would be a session
        # that the milter sees.
        deadline = time.monotonic() + 20
        while "daemon started" not in self.log():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Error("Postfix did not start:\n" + self._errors())
            time.sleep(0.02)

    def _errors(self):
        with open(os.path.join(self.directory, "master.err"), errors="replace") as err:
            return err.read() + self.log()

    # ---- use

    def command(self, *words, stdin=b"", check=True):
        """Runs one of Postfix' own commands on this instance; its standard output."""
        env = dict(os.environ, MAIL_CONFIG=self.config)
        done = subprocess.run(words, input=stdin, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if check and done.returncode:
            raise Error("%s: exit %d: %s" % (words[0], done.returncode, done.stderr.decode()))
        return done.stdout

    def sendmail(self, content, sender, *recipients):
        """Submits a message by pickup(8), as a local program does: no SMTP, lines end in LF."""
        self.command("/usr/sbin/sendmail", "-C", self.config, "-i", "-f", sender or "<>", "--",
                     *recipients, stdin=content)

    def queue(self):
        """The messages in the queue, as postqueue -j tells them."""
        out = self.command("/usr/sbin/postqueue", "-c", self.config, "-j")
        return [json.loads(line) for line in out.splitlines()]

    def flush(self):
        self.command("/usr/sbin/postqueue", "-c", self.config, "-f")

    def corrupt(self):
        """Names of the files in the queue "corrupt": must stay empty, always."""
        return os.listdir(os.path.join(self.spool, "corrupt"))

    def wait_empty(self, timeout=30):
        """Until nothing is queued; False when something still is."""
        deadline = time.monotonic() + timeout
        while self.queue():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def log(self):
        try:
            with open(self.log_file, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""
