#!/usr/bin/python3
"""bench.py - poolmilter and opendkim side by side: what does a message cost?

Both filters run at the same time, fed in turns (interleaved rounds) by milterload, which speaks milter as
Postfix 3.7 does; rawrsa gives the price of a bare signature. Figures are medians of the rounds with their
range; the ratios stand beside the goals ("good", "what we are after") of the project. Before a filter is measured,
one of its messages is verified with python3-dkim: a filter that signs rubbish has no speed.

CPU is user + system of the filter's process tree per message. It repeats well; rates and latencies do not on a
machine that others use too: the column "others" tells how many cores were busy with something else meanwhile.

Exit status: 0 all scenarios ran (goals may be missed: see --strict), 1 a scenario failed or, with --strict, a "good"
goal was missed, 2 usage or environment.
"""
import argparse
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import messages  # noqa: E402

POOL, OTHER = "poolmilter", "opendkim"
SENDER = "sender@d%d.example.com"
MANY_POOLS = 100_000
MANY_KEYS = 200
MANY_DOMAINS = 100_000
MX_DOMAINS = 1000
GOOGLE_MX = ["1 aspmx.l.google.com.", "5 alt1.aspmx.l.google.com.", "5 alt2.aspmx.l.google.com.",
             "10 alt3.aspmx.l.google.com.", "10 alt4.aspmx.l.google.com."]
ISP_RCPT = "rcpt@isp.example.net"
NEWSLETTER = {"text/html": "base64", "text/plain": "quoted-printable"}  # what the record of `reencode` wants
POOL_HEADERS = ('add_headers = ( { name = "X-Sender-Id"; value = "${pool}"; }, { name = "Feedback-ID"; value ='
                ' "${header:X-Campaign}:${pool}:bulk:bench"; } ); delete_headers = [ "X-Campaign" ];')


class BenchError(Exception):
    """A scenario cannot give an honest figure."""


# ---- Filters -----------------------------------------------------------------------------------


class Filter:
    """A running filter: made from a setup, ready when it has signed one message."""

    name = ""
    unknown = ()  # keys of a setup that mean nothing to it

    def __init__(self, bench, setup):
        self.bench, self.setup = bench, setup
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=bench.work))
        self.process = None
        self.load_seconds = None

    def endpoint(self):
        if self.setup.get("socket") == "inet":
            return f"inet:{self.port}@127.0.0.1"
        return f"unix:{self.dir}/sock"

    def __enter__(self):
        self.port = free_port()
        command = self.configure()
        if self.setup.get("cpus"):
            command = ["taskset", "-c", ",".join(map(str, self.setup["cpus"]))] + command
        self.log = open(self.dir / "log", "w")
        begun = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL)
        try:
            self.wait_ready()
            self.load_seconds = time.monotonic() - begun
            self.prove()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_ready(self):
        """Ready is: it answers a negotiation. A listening socket alone may be there before the settings are."""
        deadline = time.monotonic() + self.setup.get("patience", 60)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.process.returncode}: {self.log_tail()}")
            if self.answers(deadline - time.monotonic()):
                return
            time.sleep(0.02)
        raise BenchError(f"{self.name} is not ready in time: {self.log_tail()}")

    def answers(self, seconds):
        inet = self.setup.get("socket") == "inet"
        probe = socket.socket(socket.AF_INET if inet else socket.AF_UNIX)
        with contextlib.closing(probe):
            try:
                probe.settimeout(max(seconds, 0.1))
                probe.connect(("127.0.0.1", self.port) if inet else f"{self.dir}/sock")
                probe.sendall(struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF))
                return probe.recv(5)[4:] == b"O"
            except OSError:
                return False

    def prove(self):
        """One message through the filter, its signature checked by a library that is not the filter's."""
        dump = self.dir / "dump.eml"
        self.bench.load(self, messages=1, dump=dump)
        if not self.bench.verify(dump.read_bytes(), self.setup["keys"]):
            raise BenchError(f"{self.name}: the signature does not verify")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def log_tail(self):
        return (self.dir / "log").read_text(errors="replace").strip()[-500:] or "(no output)"

    def key_of(self, number):
        keys = self.setup["keys"]
        return keys[number % len(keys)]

    def memory_kib(self, field="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise BenchError(f"no {field} of {self.name}")


class Poolmilter(Filter):
    name = POOL

    def configure(self):
        listen = self.endpoint()
        domains, extra = self.setup["domains"], self.setup.get("extra", "")
        return_path = self.setup.get("return_path", "keep")
        conf = self.dir / "poolmilter.conf"
        (self.dir / "state").mkdir(mode=0o700)
        with open(conf, "w") as out:
            user = 'user = "root";\n' if os.geteuid() == 0 else ""
            out.write(f'listen = "{listen}";\n{user}state_dir = "{self.dir}/state";\n'
                      f'trusted_networks = [ "127.0.0.0/8" ];\n{self.setup.get("settings", "")}\npools = (\n')
            for n in range(domains):
                out.write(f'  {{ name = "pool{n}"; sender_domain = "d{n}.example.com";'
                          f' spf_domain = "bounce.d{n}.example.com"; return_path = "{return_path}";'
                          f' dkim_selector = "ak"; dkim_key = "{self.key_of(n)}";'
                          f' {extra.replace("%d", str(n))} }}{"," if n + 1 < domains else ""}\n')
            out.write(");\n")
        return [str(self.bench.args.poolmilter), "-c", str(conf), "--foreground"]


class Opendkim(Filter):
    """As its documentation and Debian's sample advise: tables, From oversigned, safe keys required."""

    name = OTHER
    unknown = ("settings", "extra", "return_path")

    def configure(self):
        domains = self.setup["domains"]
        where = self.endpoint().replace("unix:", "local:")
        with open(self.dir / "KeyTable", "w") as out:
            out.writelines(f"k{n} d{n}.example.com:ak:{self.key_of(n)}\n" for n in range(domains))
        with open(self.dir / "SigningTable", "w") as out:
            out.writelines(f"d{n}.example.com k{n}\n" for n in range(domains))
        conf = self.dir / "opendkim.conf"
        conf.write_text(f"""Syslog yes
SyslogSuccess yes
Mode s
Canonicalization relaxed/relaxed
OversignHeaders From
KeyTable file:{self.dir}/KeyTable
SigningTable file:{self.dir}/SigningTable
Socket {where}
PidFile {self.dir}/pid
UMask 007
""")
        return [self.bench.args.opendkim, "-f", "-x", str(conf)]


KINDS = {POOL: Poolmilter, OTHER: Opendkim}


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- Figures -----------------------------------------------------------------------------------


class Series(list):
    """One figure over the rounds."""

    @property
    def median(self):
        return statistics.median(self)

    def text(self, scale=1.0, digits=0):
        if not self:
            return "-"
        middle, low, high = (x * scale for x in (self.median, min(self), max(self)))
        if len(self) == 1:
            return f"{middle:,.{digits}f}"
        return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


class Goal:
    """`value` against the limits of PERF.md. `more` is better, or less."""

    def __init__(self, good, after=None, more=False, form="{:.2f}"):
        self.good, self.after, self.more, self.form = good, after, more, form

    def meets(self, value, limit):
        return limit is not None and (value >= limit if self.more else value <= limit)

    def verdict(self, value):
        if self.meets(value, self.after):
            return "after"
        if self.good is None:
            return "not yet"
        return "good" if self.meets(value, self.good) else "missed"

    def limit_text(self, limit):
        if limit is None:
            return "-"
        return (">= " if self.more else "<= ") + self.form.format(limit)


class Table:
    """The rows of one scenario."""

    HEAD = ("what", POOL, OTHER, "compared", "value", "good", "after", "verdict")

    def __init__(self, title):
        self.title, self.rows, self.notes = title, [], []

    def row(self, what, pool="-", other="-", compared="", value=None, goal=None):
        text = "" if value is None else (goal.form if goal else "{:.2f}").format(value)
        self.rows.append((what, pool, other, compared, text,
                          goal.limit_text(goal.good) if goal else "",
                          goal.limit_text(goal.after) if goal else "",
                          goal.verdict(value) if goal and value is not None else ""))

    def verdicts(self):
        return [row[-1] for row in self.rows if row[-1]]

    def markdown(self):
        lines = [f"### {self.title}", "", "| " + " | ".join(self.HEAD) + " |",
                 "|" + "---|" * len(self.HEAD)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines + [""] + [f"{note}\n" for note in self.notes])

    def plain(self):
        rows = [self.HEAD] + self.rows
        width = [max(len(row[i]) for row in rows) for i in range(len(self.HEAD))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, width)).rstrip() for row in rows]
        return "\n".join([f"== {self.title}"] + lines + self.notes) + "\n"


# ---- The bench ---------------------------------------------------------------------------------


class Bench:
    """Tools, keys, the working directory, and runs of the load generator."""

    def __init__(self, args, work):
        self.args, self.work = args, pathlib.Path(work)
        self.names = [args.only] if args.only else [POOL, OTHER]
        self.rounds = args.rounds or (2 if args.quick else 5)
        self.milterload = self.tool("milterload", [])
        self.rawrsa = self.tool("rawrsa", ["-lcrypto"])
        self.keys = {}
        self.mails = {}
        self.running = {}
        self.dns_server = None
        self.redis_server = None
        self.others = Series()

    def tool(self, name, libraries):
        """The program that make built, or one compiled now from the source beside this file."""
        for place in (pathlib.Path("tests/bench") / name, HERE / name):
            if os.access(place, os.X_OK) and place.stat().st_mtime >= (HERE / f"{name}.c").stat().st_mtime:
                return str(place.resolve())
        out = str(self.work / name)
        subprocess.run(["cc", "-std=c11", "-O2", "-pthread", str(HERE / f"{name}.c"), "-o", out] + libraries,
                       check=True)
        return out

    def linked(self, name):
        """A program that only make can build, with our libraries in it; that of the daemon's build."""
        builds = [self.args.poolmilter.parent.parent] if self.args.poolmilter else []
        for place in [build / "tests/bench" / name for build in builds] + [pathlib.Path("tests/bench") / name]:
            if os.access(place, os.X_OK):
                if place.stat().st_mtime < (HERE / f"{name}.c").stat().st_mtime:
                    break
                return str(place.resolve())
        raise BenchError(f"no {name}, or an old one: make tests/bench/{name}")

    def count(self, full):
        """Messages of a round."""
        return max(full // 4, 40) if self.args.quick else full

    def key(self, kind, number=0):
        """PEM file of a key, made at first use, mode 0600."""
        if (kind, number) not in self.keys:
            path = self.work / f"key-{kind}-{number}.pem"
            algorithm = (["-algorithm", "ED25519"] if kind == "ed25519" else
                         ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{kind}"])
            path.touch(mode=0o600)
            subprocess.run(["openssl", "genpkey", *algorithm, "-out", str(path)], check=True,
                           stderr=subprocess.DEVNULL)
            self.keys[kind, number] = path
        return self.keys[kind, number]

    def mail(self, size, **options):
        """Path of a newsletter (messages.py), made at first use."""
        mark = size, repr(options)
        if mark not in self.mails:
            path = self.work / f"mail-{len(self.mails)}.eml"
            path.write_bytes(messages.newsletter(size, **options))
            self.mails[mark] = path
        return self.mails[mark]

    def dns(self, domains=("example.org",)):
        """A DNS server on loopback that sends mail for these domains to Google's hosts; the setting for it."""
        if self.dns_server is None:
            import dnsserver
            self.dns_server = dnsserver.Server(ttl=86400).start()
        self.dns_server.records.update({name: {"MX": GOOGLE_MX} for name in domains})
        return f'resolver = "127.0.0.1@{self.dns_server.port}";\n'

    def redis(self, place):
        """Settings: the limits are in a Redis on loopback. place: "port" or "socket"."""
        if self.redis_server is None:
            import redis
            self.redis_server = redis.Server().start()
        server = self.redis_server
        return f'redis: {{ address = "{server.address if place == "port" else "unix:" + server.socket}"; }};\n'

    def redis_calls(self):
        """How many scripts Redis has run."""
        stats = self.redis_server.command("INFO", "commandstats")
        found = re.search(r"cmdstat_evalsha:calls=(\d+)", stats)
        return int(found[1]) if found else 0

    def shipped(self):
        """Settings: the ISP records that we ship, and the DNS that their MX rules need."""
        return self.dns() + f'@include "{TOP}/conf/isps.conf"'

    def setup(self, **more):
        return {"domains": 1, "keys": [self.key(2048)], **more}

    def filters(self, **more):
        """The filters with this setup, {name: Filter}. They stay up for later scenarios: an idle one costs
        nothing, and libmilter takes 5 s to stop."""
        setup = self.setup(**more)
        return {name: self.filter(name, setup) for name in self.names}

    def filter(self, name, setup):
        setup = {key: value for key, value in setup.items() if key not in KINDS[name].unknown}
        mark = name, repr(sorted(setup.items()))
        if mark not in self.running:
            self.running[mark] = KINDS[name](self, setup).__enter__()
        return self.running[mark]

    def stop_filters(self):
        for running in self.running.values():  # all are told first, so that they stop side by side
            running.process.terminate()
        for running in self.running.values():
            running.stop()
        if self.dns_server:
            self.dns_server.stop()
        if self.redis_server:
            self.redis_server.stop()

    def verify(self, mail, keys):
        """Every signature of the message verifies with one of the keys' public halves (all RSA or Ed25519)."""
        import dkim

        def record(name, timeout=5):
            kind = "ed25519" if name.startswith(b"ed.") else "rsa"
            pem = self.key("ed25519") if kind == "ed25519" else keys[0]
            public = subprocess.run(["openssl", "pkey", "-in", str(pem), "-pubout", "-outform", "DER"],
                                    check=True, capture_output=True).stdout
            if kind == "ed25519":
                public = public[-32:]
            return b"v=DKIM1; k=" + kind.encode() + b"; p=" + base64.b64encode(public)

        signatures = mail.split(b"\r\n\r\n", 1)[0].lower().count(b"dkim-signature:")
        return signatures > 0 and all(
            dkim.DKIM(mail).verify(idx=n, dnsfunc=record) for n in range(signatures))

    def load(self, target, messages, connections=1, per_session=1, size=4096, cpus=None, **options):
        """One run of milterload against a filter. Anything but `messages` good messages is an error."""
        command = [self.milterload, "--json", "--socket", target.endpoint(), "--messages", str(messages),
                   "--connections", str(connections), "--per-session", str(per_session), "--size", str(size),
                   "--from", SENDER, "--pid", str(target.process.pid)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        if cpus:
            command = ["taskset", "-c", ",".join(map(str, cpus))] + command
        busy = busy_seconds()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"{target.name}: milterload says {done.stdout.strip()[:400]} {done.stderr.strip()[:400]}")
        result = json.loads(done.stdout)
        ours = (result["cpu_us_per_message"] + result["generator_cpu_us_per_message"]) * messages / 1e6
        result["others_cores"] = max(0.0, (busy_seconds() - busy - ours) / result["seconds"])
        if result["seconds"] > 0.3:  # below that the kernel's ticks are too coarse
            self.others.append(result["others_cores"])
        return result

    def rounds_of(self, filters, messages, own=None, beside=None, **load):
        """Interleaved rounds. `messages` may differ by filter: {name: number}; so may options of the load: `own`,
        {name: {option: value}}. `beside` is called in every round.
        Returns {name: {figure: Series}}, latencies flattened as latency_p50, latency_p99 ..."""
        share = {name: messages[name] if isinstance(messages, dict) else messages for name in filters}
        loads = {name: {**load, **(own or {}).get(name, {})} for name in filters}
        for name, target in filters.items():
            self.load(target, messages=max(load.get("connections", 1) * 2, share[name] // 10), **loads[name])
        figures = {name: {} for name in filters}
        for number in range(self.rounds):
            order = list(filters) if number % 2 == 0 else list(reversed(filters))
            for name in order:
                for key, value in flatten(self.load(filters[name], messages=share[name], **loads[name])).items():
                    figures[name].setdefault(key, Series()).append(value)
            if beside:
                beside()
        return figures

    def prove_treatment(self, target, mail, wanted, **load):
        """One message through the filter comes out as `mail` with the encodings of `wanted`, and signed. Returns
        it and its envelope."""
        dump, envelope = self.work / "dump.eml", self.work / "dump.envelope"
        self.load(target, messages=1, message=mail, dump=dump, dump_envelope=envelope, **load)
        after = dump.read_bytes()
        why = messages.difference(mail.read_bytes(), after, wanted)
        if why is None and not self.verify(after, target.setup["keys"]):
            why = "the signature does not verify"
        if why is not None:
            raise BenchError(f"{target.name}, a message of {len(after)} octets: {why}")
        return after, envelope.read_text()

    def encode_cost(self, mail, wanted, *options):
        """The encoding stage alone: figures of encodecost, its result looked at. `wanted`: {type: encoding}."""
        result = self.work / "encoded.eml"
        kinds = {"text/html": "--html", "text/plain": "--text"}
        command = [self.linked("encodecost"), "--message", str(mail), "--write", str(result), *options]
        for kind, encoding in wanted.items():
            command += [kinds[kind], encoding]
        done = subprocess.run(command, check=True, capture_output=True)
        why = messages.difference(mail.read_bytes(), result.read_bytes(), wanted)
        if why is not None:
            raise BenchError(f"encodecost: {why}")
        return json.loads(done.stdout)

    def raw(self, *options):
        """CPU us of one bare signature."""
        done = subprocess.run([self.rawrsa, "--signatures", "1000", *options], check=True, capture_output=True)
        return json.loads(done.stdout)

    def raw_series(self, *options):
        return Series(self.raw(*options)["cpu_us_per_signature"] for _ in range(self.rounds))


def busy_seconds():
    """CPU time that this machine spent on anything at all."""
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def flatten(result):
    flat = {}
    for key, value in result.items():
        if isinstance(value, dict):
            flat.update({f"{key.removesuffix('_us')}_{rank}": x for rank, x in value.items()})
        else:
            flat[key] = value
    return flat


def text_of(figures, name, key, scale=1.0, digits=0):
    return figures[name][key].text(scale, digits) if name in figures else "-"


def compare(table, figures, what, key, goal=None, scale=1.0, digits=0):
    """One row: both filters and their ratio."""
    value = None
    if POOL in figures and OTHER in figures:
        value = figures[POOL][key].median / figures[OTHER][key].median
    table.row(what, text_of(figures, POOL, key, scale, digits), text_of(figures, OTHER, key, scale, digits),
              "o" if value is not None else "", value, goal)


def note_generator(table, figures):
    parts = [f"{name} {f['generator_cpu_us_per_message'].median:.0f}" for name, f in figures.items()]
    table.notes.append(f"Load generator's own CPU, us per message: {', '.join(parts)}.")


# ---- Scenarios ---------------------------------------------------------------------------------

SCENARIOS = {}


def scenario(name, quick=True, alone=False):
    """alone: there is nothing in it for opendkim."""
    def keep(function):
        SCENARIOS[name] = (function, quick, alone)
        return function
    return keep


def with_shipped(bench, filters):
    """The same filters, and poolmilter once more with the ISP records that we ship: they are to change nothing."""
    if POOL not in filters:
        return filters
    shipped = bench.filter(POOL, bench.setup(settings=bench.shipped()))
    bench.load(shipped, messages=50, connections=4)  # the MX hosts come into the cache
    return {**filters, "shipped": shipped}


def note_shipped(table, figures, goal=None):
    if "shipped" in figures:
        text, median = figures["shipped"]["cpu_us_per_message"].text(), figures["shipped"]["cpu_us_per_message"].median
        value = median / figures[OTHER]["cpu_us_per_message"].median if OTHER in figures else None
        table.row("the same with the shipped ISP records, by MX", text, "-", "o" if value else "", value, goal)


@scenario("sign-4k")
def sign_4k(bench):
    """Sign only, 4 KiB, 4 connections, a session for each message"""
    table = Table(sign_4k.__doc__)
    raw = bench.raw_series()
    filters = with_shipped(bench, bench.filters())
    figures = bench.rounds_of(filters, bench.count(4000), connections=4, expect_edits="none")
    compare(table, figures, "CPU us per message", "cpu_us_per_message", Goal(0.32, 0.21))
    note_shipped(table, figures, Goal(0.32, 0.21))
    if POOL in figures:
        table.row("the same in raw RSA-2048 signatures", figures[POOL]["cpu_us_per_message"].text(), "-",
                  f"R = {raw.text()} us", figures[POOL]["cpu_us_per_message"].median / raw.median, Goal(2.0, 1.3))
    else:
        table.row("raw RSA-2048 signature, us", "-", "-", f"R = {raw.text()}")
    compare(table, figures, "messages per second", "messages_per_second", Goal(3.0, 4.5, more=True))
    compare(table, figures, "latency p50 us", "latency_p50")
    note_generator(table, figures)
    return table


def sign_size(bench, title, size, count):
    table = Table(title)
    filters = with_shipped(bench, bench.filters())
    figures = bench.rounds_of(filters, count, connections=4, size=size, expect_edits="none")
    compare(table, figures, "CPU us per message", "cpu_us_per_message")
    note_shipped(table, figures)
    compare(table, figures, "messages per second", "messages_per_second")
    table.notes.append("No goal for signing alone at this size.")
    return table


@scenario("sign-50k")
def sign_50k(bench):
    """Sign only, 50 KiB, 4 connections"""
    return sign_size(bench, sign_50k.__doc__, 50 << 10, bench.count(3000))


@scenario("sign-1m")
def sign_1m(bench):
    """Sign only, 1 MiB, 4 connections"""
    return sign_size(bench, sign_1m.__doc__, 1 << 20, bench.count(600))


@scenario("session")
def long_sessions(bench):
    """Sign only, 4 KiB, 4 connections, 100 messages in a session"""
    table = Table(long_sessions.__doc__)
    filters = bench.filters()
    figures = bench.rounds_of(filters, bench.count(4000), connections=4, per_session=100)
    compare(table, figures, "CPU us per message", "cpu_us_per_message")
    compare(table, figures, "messages per second", "messages_per_second")
    return table


@scenario("edits")
def edits(bench):
    """Signature, Return-Path moved, two headers added, one deleted; 4 KiB, 4 connections"""
    table = Table(edits.__doc__)
    filters = bench.filters(return_path="signed", extra=POOL_HEADERS)
    figures = bench.rounds_of(filters, bench.count(4000), connections=4)
    compare(table, figures, "CPU us per message", "cpu_us_per_message")
    compare(table, figures, "messages per second", "messages_per_second")
    table.notes.append("opendkim only signs here. Without re-encoding and limits no goal applies: see all-4k.")
    return table


@scenario("latency")
def latency(bench):
    """Latency with 1 connection, sign only, 4 KiB"""
    table = Table(latency.__doc__)
    filters = bench.filters()
    figures = bench.rounds_of(filters, bench.count(2000), connections=1)
    compare(table, figures, "p50 us, MAIL to verdict", "latency_p50", Goal(0.35, 0.16))
    compare(table, figures, "p99 us", "latency_p99")
    compare(table, figures, "connect to end of HELO, p50 us", "setup_p50")
    return table


@scenario("crowd")
def crowd(bench):
    """100 connections at once, sign only, 4 KiB, a session for each message"""
    table = Table(crowd.__doc__)
    filters = bench.filters()
    figures = bench.rounds_of(filters, bench.count(6000), connections=100)
    compare(table, figures, "p50 ms, MAIL to verdict", "latency_p50", scale=1e-3, digits=1)
    compare(table, figures, "p99 ms, MAIL to verdict", "latency_p99", scale=1e-3, digits=1)
    compare(table, figures, "p99 ms, connect to verdict", "session_p99", scale=1e-3, digits=1)
    if POOL in figures:
        pool = figures[POOL]
        worst = pool["session_p99"].median
        table.row("p99 with the wait for a connection, s", f"{worst / 1e6:.3f}", "-", "seconds", worst / 1e6,
                  Goal(0.3, None, form="{:.3f}"))
        table.row("the same against its p50", f"{worst / pool['session_p50'].median:.1f}", "-", "x p50",
                  worst / pool["session_p50"].median, Goal(None, 4.0, form="{:.1f}"))
    table.notes.append("Judged from connect() on: a filter that lets connections wait before it serves them gains"
                       " nothing.")
    return table


@scenario("inet")
def inet(bench):
    """TCP on loopback against a UNIX socket, 1 connection, 4 KiB, 100 messages in a session"""
    table = Table(inet.__doc__)
    load = {"connections": 1, "per_session": 100}
    messages = {POOL: bench.count(1000), OTHER: 60}  # opendkim needs 88 ms for each over inet
    near = bench.rounds_of(bench.filters(return_path="signed"), messages, **load)
    far = bench.rounds_of(bench.filters(return_path="signed", socket="inet"), messages, **load)
    for what, key in (("p50", "latency_p50"), ("p99", "latency_p99"), ("max", "latency_max")):
        table.row(f"UNIX {what} us", text_of(near, POOL, key), text_of(near, OTHER, key))
        table.row(f"inet {what} us", text_of(far, POOL, key), text_of(far, OTHER, key))
    if POOL in far:
        table.row("inet p50 against UNIX", "", "", "x UNIX", far[POOL]["latency_p50"].median
                  / near[POOL]["latency_p50"].median, Goal(2.0, 1.3))
        table.row("no 40 ms step: inet p99, ms", "", "", "ms", far[POOL]["latency_p99"].median / 1e3,
                  Goal(38.0, 20.0, form="{:.1f}"))
    table.notes.append("poolmilter also moves the Return-Path here: several edits in a row are what makes the step.")
    return table


@scenario("threads")
def threads(bench):
    """Two threads against one: RSA-4096, 4 KiB, so that the generator hardly counts"""
    table = Table(threads.__doc__)
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise BenchError("needs two cores")
    generator = cpus[2:] or None  # with two cores only it has to share them
    runs = {}
    for cores, own, load in ((1, cpus[:1], generator or cpus[1:]), (2, cpus[:2], generator)):
        runs[cores] = bench.rounds_of(bench.filters(keys=[bench.key(4096)], cpus=own), bench.count(600) * cores,
                                      connections=8, per_session=50, cpus=load)
    cells = {name: scaling(runs[1][name], runs[2][name], generator is None) for name in bench.names}
    for what, key in (("messages/s, filter on one core", "one"), ("messages/s, on two", "two"),
                      ("their ratio, as measured", "ratio"), ("CPU us per message, on one", "cpu_one"),
                      ("CPU us per message, on two", "cpu_two"), ("cores it kept busy, of two", "busy"),
                      ("cores that were left for it", "room"), ("two against one", "scaling")):
        pool, other = (f"{cells[n][key]:,.2f}" if n in cells else "-" for n in (POOL, OTHER))
        judged = key == "scaling" and POOL in cells
        table.row(what, pool, other, "x" if judged else "", cells[POOL][key] if judged else None,
                  Goal(1.8, 1.95, more=True) if judged else None)
    one, two = (bench.raw("--bits", "4096", "--threads", t)["signatures_per_second"] for t in ("1", "2"))
    table.notes.append(f"Bare RSA-4096 signatures on this machine: two threads {two / one:.2f} x one.")
    table.notes.append("Two against one = 2 x (CPU per message on one core / on two) x (cores it kept busy / cores"
                       " left for it), neither factor above 1: the first shows contention that burns CPU, the second"
                       " contention that waits. Left for it is two less what "
                       + ("the generator and " if generator is None else "") + "other programs used.")
    return table


def scaling(one, two, shared):
    """Figures of a filter on one core and on two. A plain ratio of rates would blame the filter for the
    generator's share of a two-core machine, and praise it when something else disturbed the run on one."""
    own = two["generator_cpu_us_per_message"].median * two["messages_per_second"].median / 1e6 if shared else 0.0
    found = {"one": one["messages_per_second"].median, "two": two["messages_per_second"].median,
             "cpu_one": one["cpu_us_per_message"].median, "cpu_two": two["cpu_us_per_message"].median,
             "busy": two["filter_cores"].median, "room": 2 - own - two["others_cores"].median}
    found["ratio"] = found["two"] / found["one"]
    found["scaling"] = 2 * min(1.0, found["cpu_one"] / found["cpu_two"]) * min(1.0, found["busy"] / found["room"])
    return found


@scenario("ed25519")
def ed25519(bench):
    """An Ed25519 signature beside the RSA one, 4 KiB, 4 connections (poolmilter only)"""
    table = Table(ed25519.__doc__)
    raw = bench.raw_series("--ed25519")
    table.row("raw Ed25519 signature, us", "-", "-", raw.text(digits=1))
    if POOL not in bench.names:
        return table
    extra = f'signatures = ( {{ domain = "d%d.example.com"; selector = "ed"; key = "{bench.key("ed25519")}"; }} );'
    rsa, both = bench.filter(POOL, bench.setup()), bench.filter(POOL, bench.setup(extra=extra))
    bench.load(both, messages=100, signatures=2)
    single, double = Series(), Series()
    for _ in range(bench.rounds):
        for target, series, count in ((rsa, single, 1), (both, double, 2)):
            series.append(bench.load(target, messages=bench.count(4000), connections=4,
                                     signatures=count)["cpu_us_per_message"])
    table.row("CPU us, RSA only", single.text())
    table.row("CPU us, RSA and Ed25519", double.text())
    table.row("difference", "", "", "us", double.median - single.median, Goal(80, 50, form="{:.0f}"))
    return table


def record(keys, name="bench", domains=(ISP_RCPT.split("@")[1],)):
    """An ISP record."""
    listed = ", ".join(f'"{domain}"' for domain in domains)
    return f'{{ name = "{name}"; domains = [ {listed} ]; {keys} }}'


def encoding(**kinds):
    return "encoding: { %s };" % " ".join(f'{kind} = "{word}";' for kind, word in kinds.items())


@scenario("reencode", alone=True)
def reencode(bench):
    """A newsletter of 50 KiB (8-bit text and HTML, half each): HTML to base64, text to quoted-printable"""
    table = Table(reencode.__doc__)
    mail = bench.mail(50 << 10)
    rule = encoding(html=NEWSLETTER["text/html"], text=NEWSLETTER["text/plain"])
    filters = {"sign": bench.filter(POOL, bench.setup(settings="safe_encoding = false;")),
               "encode": bench.filter(POOL, bench.setup(settings=f"isps = ( {record(rule)} );"))}
    load = {"message": mail, "rcpt": ISP_RCPT, "connections": 4}
    own = {"sign": {"expect_edits": "none"}, "encode": {"expect_edits": "body"}}
    bench.prove_treatment(filters["sign"], mail, {}, rcpt=ISP_RCPT, **own["sign"])
    bench.prove_treatment(filters["encode"], mail, NEWSLETTER, rcpt=ISP_RCPT, **own["encode"])
    raw, stage, sizes = Series(), Series(), {}
    others = {word: Series() for word in ("quoted-printable", "base64")}

    def beside():
        raw.append(bench.raw()["cpu_us_per_signature"])
        found = bench.encode_cost(mail, NEWSLETTER)
        stage.append(found["stage_us"])
        sizes.update(found)
        for word, series in others.items():
            series.append(bench.encode_cost(mail, dict.fromkeys(NEWSLETTER, word))["stage_us"])

    load["messages"] = bench.count(2000)
    figures = bench.rounds_of(filters, own=own, beside=beside, **load)
    sign, both = (figures[name]["cpu_us_per_message"] for name in ("sign", "encode"))
    more = Series(b - a for a, b in zip(sign, both))
    table.row("re-encoding: the stage alone, CPU us", stage.text(), "-", f"R = {raw.text()} us",
              stage.median / raw.median, Goal(0.6))
    table.row("sign only, CPU us per message", sign.text(), "-", "R", sign.median / raw.median)
    table.row("sign and re-encode", both.text(), "-", "R", both.median / raw.median)
    table.row("their difference", more.text(), "-", "R", more.median / raw.median)
    for word, series in others.items():
        table.row(f"the stage alone, both parts to {word}", series.text(), "-", "R", series.median / raw.median)
    table.notes.append(f"The body grows from {sizes['body']:,} to {sizes['new_body']:,} octets: more to hash, and all"
                       " of it goes back to the MTA. The difference has these costs in it, the stage alone has not; the"
                       " goal is for the stage. Sign only has safe_encoding = false, or it would re-encode too.")
    return table


@scenario("untouched", alone=True)
def untouched(bench):
    """What the ISP and encoding stages cost when nothing is to change, CPU us (7-bit mail, 4 connections)"""
    table = Table(untouched.__doc__)
    shipped = bench.setup(settings=bench.shipped())
    filters = {"no ISP records, safe_encoding = false": bench.setup(settings="safe_encoding = false;"),
               "no ISP records": bench.setup(),
               "shipped ISP records, found by domain": shipped,
               "shipped ISP records, found by MX": shipped,
               "a rule that the message meets": bench.setup(settings=f"isps = ( {record(encoding(text='8bit'))} );")}
    filters = {name: bench.filter(POOL, setup) for name, setup in filters.items()}
    own = {"shipped ISP records, found by domain": {"rcpt": "rcpt@gmail.com"},
           "a rule that the message meets": {"rcpt": ISP_RCPT}}
    for size, count in ((4 << 10, 2000), (50 << 10, 1500)):
        figures = bench.rounds_of(filters, bench.count(count), own=own, connections=4, size=size, expect_edits="none")
        first = None
        for name, found in figures.items():
            cpu = found["cpu_us_per_message"]
            first = first or cpu
            more = Series(b - a for a, b in zip(first, cpu))
            table.row(f"{size >> 10} KiB: {name}", cpu.text(), "-", "" if cpu is first else f"{more.text()} us more")
    mail = bench.mail(50 << 10, ascii_only=True)
    for what, options in (("nothing is wanted", ()), ("nothing is wanted, safe_encoding", ("--safe",)),
                          ("a rule that the message meets", ("--safe", "--global", "8bit"))):
        table.row(f"50 KiB, two parts, the stage alone: {what}",
                  f"{bench.encode_cost(mail, {}, *options)['stage_us']:.1f}")
    table.notes.append("The stage alone is exact; at the daemon differences of some us are noise.")
    return table


@scenario("limits", alone=True)
def limits(bench):
    """Limits in Redis against the same limits in memory, 4 KiB, 4 connections, 1,000 messages a second"""
    table = Table(limits.__doc__)
    keys = encoding(**{"global": "quoted-printable"}) + (' limits = [ "1000000/minute" ];'
                                                         ' total_limits = [ "1000000/minute" ];')
    kinds = {"sign only, one limit": ({"extra": 'limits = [ "1000000/minute" ];'}, "", {}),
             "all features, three limits": ({"extra": POOL_HEADERS + ' limits = [ "1000000/minute" ];',
                                             "return_path": "signed"}, f"isps = ( {record(keys)} );",
                                            {"message": bench.mail(4 << 10)})}
    places = {"memory": "", "Redis, UNIX socket": bench.redis("socket"), "Redis, TCP": bench.redis("port")}
    for what, (setup, settings, load) in kinds.items():
        filters = {name: bench.filter(POOL, bench.setup(**setup, settings=place + settings))
                   for name, place in places.items()}
        figures = bench.rounds_of(filters, bench.count(2000), connections=4, rate=1000, rcpt=ISP_RCPT, **load)
        memory = figures["memory"]["cpu_us_per_message"]
        for name, found in figures.items():
            cpu, rate = found["cpu_us_per_message"], found["messages_per_second"].median
            ratio = Series(mine / base for mine, base in zip(cpu, memory))
            table.row(f"{what}, {name}, {rate:,.0f} a second: CPU us", cpu.text(), "-",
                      *(("x memory", ratio.median, Goal(1.05)) if cpu is not memory else ()))
    table.notes.append("Compared round by round. The script's own time is Redis', not the daemon's.")
    return table


@scenario("mx", alone=True)
def mx_cache(bench):
    """Look-ups of an ISP record by five MX hosts, from the cache"""
    table = Table(mx_cache.__doc__)
    bench.dns(f"c{n}.example.org" for n in range(MX_DOMAINS))
    conf = bench.work / "mxcost.conf"
    conf.write_text(f'listen = "unix:{bench.work}/mxcost"; state_dir = "{bench.work}";\n{bench.shipped()}\n'
                    f'pools = ( {{ name = "a"; sender_domain = "example.com"; return_path = "keep"; dkim_selector ='
                    f' "ak"; dkim_key = "{bench.key(2048)}"; }} );\n')
    runs = [(domains, threads, prefetch) for prefetch in ((), ("--prefetch",)) for domains in (1, MX_DOMAINS)
            for threads in (1, 4)]
    figures = {run: {"cpu_us": Series(), "wall_us": Series()} for run in runs}
    for _ in range(bench.rounds):
        for run in runs:
            for key, value in mx_cost(bench, conf, *run).items():
                figures[run][key].append(value)
    for run, found in figures.items():
        domains, threads, prefetch = run
        what = "start and find, as a message does" if prefetch else "find"
        cpu, wall = found["cpu_us"], found["wall_us"]
        table.row(f"{what}: {plural(domains, 'domain')}, {plural(threads, 'thread')}, CPU us", cpu.text(digits=2), "-",
                  f"a thread: {wall.text(digits=2)} us", None if prefetch else cpu.median,
                  None if prefetch else Goal(2.0))
    table.notes.append('"A thread" is the time that one of them needs for a look-up: with more threads than cores it'
                       " waits for a core too.")
    return table


def plural(number, noun):
    return f"{number:,} {noun}{'s' if number > 1 else ''}"


def mx_cost(bench, conf, domains, threads, prefetch):
    asked = sum(bench.dns_server.queries.values())
    done = subprocess.run([bench.linked("mxcost"), "--config", str(conf), "--domain", "c%d.example.org", "--isp",
                           "gmail", "--domains", str(domains), "--threads", str(threads), "--lookups",
                           str(bench.count(200_000)), *prefetch], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip())
    asked = sum(bench.dns_server.queries.values()) - asked
    if asked != domains:
        raise BenchError(f"mxcost: the DNS server was asked {asked} times for {domains} domains")
    found = json.loads(done.stdout)
    return {key: found[key] for key in ("cpu_us", "wall_us")}


@scenario("isps", quick=False, alone=True)
def many_domains(bench):
    """100,000 domains in ISP records against ten, CPU us per message of 4 KiB, 4 connections"""
    table = Table(many_domains.__doc__)
    shapes = {"10 domains in 1 record": (10, 1), f"{MANY_DOMAINS:,} domains in 1,000 records": (MANY_DOMAINS, 1000),
              f"{MANY_DOMAINS:,} domains in as many records": (MANY_DOMAINS, MANY_DOMAINS)}
    with contextlib.ExitStack() as stack:
        filters = {what: stack.enter_context(Poolmilter(bench, bench.setup(settings=many_records(bench, *shape),
                                                                           patience=600)))
                   for what, shape in shapes.items()}
        loaded = {what: (running.load_seconds, running.memory_kib() / 1024) for what, running in filters.items()}
        own = {what: {"rcpt_domains": shapes[what][0]} for what in shapes}
        # Each record adds a header: a message that no record was found for would have none.
        figures = bench.rounds_of(filters, bench.count(2000), own=own, connections=4, rcpt="u@r%d.example.net",
                                  expect_edits="header")
    few = None
    for what, found in figures.items():
        cpu = found["cpu_us_per_message"]
        few = few or cpu
        if cpu is few:
            table.row(f"{what}: CPU us", cpu.text())
            continue
        table.row(f"{what}: load, s", f"{loaded[what][0]:.2f}", value=loaded[what][0], goal=Goal(10))
        table.row(f"{what}: memory, MiB", f"{loaded[what][1]:.0f}", value=loaded[what][1],
                  goal=Goal(400, form="{:.0f}"))
        table.row(f"{what}: CPU us", cpu.text(), "-", "x", cpu.median / few.median, Goal(1.1, 1.03))
    table.notes.append("Load and memory: no goals of their own, those of 100,000 pools. Recipients are spread over all"
                       " domains; each record adds a header with its name. 1 domain in 100 more is a suffix.")
    return table


def many_records(bench, domains, records):
    """Settings with so many records, in a file of their own."""
    path = bench.work / f"records-{domains}-{records}.conf"
    share = domains // records
    header = 'add_headers = ( { name = "X-Isp"; value = "${isp}"; } );'
    with open(path, "w") as out:
        out.write("isps = (\n")
        for n in range(records):
            names = [f"r{k}.example.net" for k in range(n * share, (n + 1) * share)]
            if n % max(records // 1000, 1) == 0:
                names.append(f"*.s{n}.example.net")
            out.write(record(header, f"isp{n}", names) + (",\n" if n + 1 < records else "\n"))
        out.write(");\n")
    return f'@include "{path}"'


def all_features(bench, title, mail, count, goals):
    """`goals`: of CPU, of messages/s, of latency; None: not judged."""
    table = Table(title)
    keys = encoding(**{"global": "quoted-printable"}) + ('add_headers = ( { name = "X-Isp"; value = "${isp}"; } );'
                                                         ' delete_headers = [ "X-Sender-*" ];'
                                                         ' limits = [ "1000000/minute" ]; total_limits = [ "1000000/minute" ];')
    filters = bench.filters(return_path="signed", extra=POOL_HEADERS + ' limits = [ "50000000/day" ];',
                            settings=bench.redis("port") + f"isps = ( {record(keys)} );")
    own = {POOL: {"expect_edits": "header,body,sender"}, OTHER: {"expect_edits": "none"}}
    load = {"message": mail, "rcpt": ISP_RCPT}
    for name, target in filters.items():
        wanted = dict.fromkeys(NEWSLETTER, "quoted-printable") if name == POOL else {}
        after, envelope = bench.prove_treatment(target, mail, wanted, rcpt=ISP_RCPT, **own[name])
        if name == POOL and not (b"\r\nX-Isp: bench\r\n" in after and b"\r\nX-Sender-Id:" not in after
                                 and "@bounce.d0.example.com>\n" in envelope):
            raise BenchError(f"{name}: headers or Return-Path are not as configured")
    asked = bench.redis_calls()
    figures = bench.rounds_of(filters, bench.count(count), own=own, connections=4, **load)
    if POOL in filters and bench.redis_calls() - asked < bench.count(count):
        raise BenchError("the limits were not asked for in Redis")
    compare(table, figures, "CPU us per message", "cpu_us_per_message", goals[0])
    compare(table, figures, "messages per second", "messages_per_second", goals[1])
    if POOL in filters:
        alone = bench.encode_cost(mail, dict.fromkeys(NEWSLETTER, "quoted-printable"), "--safe")["stage_us"]
        table.row("of that the encoding stage alone, CPU us", f"{alone:,.0f}", "-")
    if goals[2]:
        figures = bench.rounds_of(filters, bench.count(count // 2), own=own, **load)
        compare(table, figures, "p50 us with 1 connection, MAIL to verdict", "latency_p50", goals[2])
    table.notes.append("poolmilter: both texts to quoted-printable, headers of pool and ISP added and deleted, a signed"
                       " Return-Path, the signature, three limits in Redis (TCP). opendkim only signs.")
    return table


@scenario("all-4k")
def all_4k(bench):
    """All features, newsletter of 4 KiB, 4 connections"""
    return all_features(bench, all_4k.__doc__, bench.mail(4 << 10), 3000,
                        [Goal(0.40, 0.29), Goal(2.2, 3.2, more=True), Goal(0.45, 0.25)])


@scenario("all-50k")
def all_50k(bench):
    """All features, newsletter of 50 KiB, 4 connections"""
    return all_features(bench, all_50k.__doc__, bench.mail(50 << 10), 2000, (Goal(0.65, 0.42), None, None))


@scenario("all-1m")
def all_1m(bench):
    """All features, 1 MiB: newsletter of 50 KiB with an attachment, 4 connections"""
    return all_features(bench, all_1m.__doc__, bench.mail(1 << 20, attachment=(1 << 20) - (50 << 10)), 500,
                        (Goal(0.9, 0.5), None, None))


def pools(bench, title, keys, names):
    """100,000 pools against one."""
    table = Table(title)
    many_keys = [bench.key(2048, n) for n in range(keys)]
    for name in names:
        kind = KINDS[name]
        with kind(bench, bench.setup()) as one, \
                kind(bench, bench.setup(domains=MANY_POOLS, keys=many_keys, patience=600)) as many:
            memory = many.memory_kib()
            first = bench.load(many, messages=bench.count(4000), connections=4, domains=MANY_POOLS)
            warm = {"messages": 1000, "connections": 4, "domains": 1000}
            bench.load(many, **warm)
            bench.load(one, messages=500, connections=4)
            single, spread = Series(), Series()
            for _ in range(bench.rounds):
                single.append(bench.load(one, messages=2000, connections=4)["cpu_us_per_message"])
                spread.append(bench.load(many, **{**warm, "messages": 2000})["cpu_us_per_message"])
            after = many.memory_kib()
        cells = {"load, s": (many.load_seconds, Goal(10, None)),
                 "memory after load, MiB": (memory / 1024, Goal(400, None, form="{:.0f}")),
                 "memory after the messages, MiB": (after / 1024, Goal(400, None, form="{:.0f}")),
                 "CPU us, one pool": (single, None),
                 "CPU us, first messages over all pools": (first["cpu_us_per_message"], None),
                 "CPU us, 1,000 of the pools, keys in use": (spread, None),
                 "the same against one pool": (spread.median / single.median, Goal(1.1, 1.03))}
        for what, (value, goal) in cells.items():
            text = value.text() if isinstance(value, Series) else f"{value:,.2f}"
            place = {"pool": text} if name == POOL else {"other": text}
            table.row(what, **place, value=value if goal and name == POOL else None,
                      goal=goal if name == POOL else None)
    table.notes.append(f"{MANY_POOLS:,} pools share {keys} key file{'s' if keys > 1 else ''}.")
    return table


@scenario("pools", quick=False)
def many_pools(bench):
    """100,000 pools, 200 keys"""
    return pools(bench, many_pools.__doc__, MANY_KEYS, bench.names)


@scenario("pools-one-key", quick=False)
def many_pools_one_key(bench):
    """100,000 pools, one key"""
    return pools(bench, many_pools_one_key.__doc__, 1, bench.names)


@scenario("memory", quick=False)
def memory(bench):
    """Memory (VmRSS of the process, MiB): 200 pools with a key each"""
    table = Table(memory.__doc__)
    keys = [bench.key(2048, n) for n in range(MANY_KEYS)]
    cells = {name: memory_of(bench, KINDS[name](bench, bench.setup(domains=MANY_KEYS, keys=keys)))
             for name in bench.names}
    goals = {"start": Goal(25, None, form="{:.1f}"), "bodies": Goal(40, None, form="{:.1f}"), "peak": None,
             "early": None, "late": None, "growth": Goal(2.0, None, form="{:.1f}")}
    titles = {"start": "after start", "bodies": "after 100 connections x 1 MiB", "peak": "peak during these",
              "early": "after 10,000 messages of 4 KiB", "late": "after 100,000", "growth": "growth, MiB: flat"}
    for key, goal in goals.items():
        pool, other = (f"{cells[n][key]:.1f}" if n in cells else "-" for n in (POOL, OTHER))
        judged = goal is not None and POOL in cells
        table.row(titles[key], pool, other, "MiB" if judged else "", cells[POOL][key] if judged else None,
                  goal if judged else None)
    return table


def memory_of(bench, target):
    with target:
        found = {"start": target.memory_kib() / 1024}
        bench.load(target, messages=400, connections=100, size=1 << 20, domains=MANY_KEYS)
        time.sleep(1)
        found["bodies"], found["peak"] = target.memory_kib() / 1024, target.memory_kib("VmHWM") / 1024
        load = {"connections": 4, "per_session": 20, "domains": MANY_KEYS}
        bench.load(target, messages=10_000, **load)
        found["early"] = target.memory_kib() / 1024
        bench.load(target, messages=90_000, **load)
        found["late"] = target.memory_kib() / 1024
        found["growth"] = found["late"] - found["early"]
    return found


# ---- Report ------------------------------------------------------------------------------------


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return (done.stdout or done.stderr).strip().split("\n")[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({error})"


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def described(args):
    """The command, without paths of this machine."""
    words = [os.path.basename(word) if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["tests/bench/bench.py"] + words)


def environment(bench):
    distribution = next((line.split("=", 1)[1].strip('"') for line in
                         pathlib.Path("/etc/os-release").read_text().splitlines()
                         if line.startswith("PRETTY_NAME=")), "?")
    lines = {"Command": f"`{described(bench.args)}`, {bench.rounds} interleaved rounds",
             "Date": time.strftime("%Y-%m-%d %H:%M %Z"),
             "Machine": f"{cpu_model()}, {os.cpu_count()} cores, {os.uname().sysname} {os.uname().release},"
                        f" {distribution}",
             "OpenSSL": first_line(["openssl", "version"])}
    if POOL in bench.names:
        lines[POOL] = first_line([str(bench.args.poolmilter), "--version"])
    if OTHER in bench.names:
        lines[OTHER] = first_line([bench.args.opendkim, "-V"])
    lines["Logging"] = ("both log a line for each message to syslog; /dev/log "
                        + ("is there" if os.path.exists("/dev/log") else "is not there: no daemon takes the lines"))
    if bench.others:
        lines["Others"] = (f"while we measured, other programs kept {bench.others.median:.2f} cores busy (median;"
                           f" most: {max(bench.others):.2f})")
    return lines


LEGEND = """o = opendkim in the same run, R = one raw RSA-2048 signature with a cached key. Figures are medians of the rounds
(lowest-highest). Verdict: *after* = what we are after, *good*, *missed*. How it is
measured: README.md beside this file.
"""


def write_markdown(bench, tables, failures, path):
    lines = ["# Results of tests/bench/bench.py", "", "Written by the program; do not edit.", ""]
    lines += [f"- {name}: {text}" for name, text in environment(bench).items()] + ["", LEGEND]
    lines += [table.markdown() for table in tables]
    lines += [f"- scenario {name} FAILED: {error}" for name, error in failures]
    pathlib.Path(path).write_text("\n".join(lines).rstrip() + "\n")


# ---- Main --------------------------------------------------------------------------------------


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two minutes: fewer messages, 2 rounds, no long scenario")
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS), help="only this one (may be repeated)")
    parser.add_argument("--only", choices=[POOL, OTHER], help="run one filter alone (no ratios)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5, quick: 2)")
    parser.add_argument("--poolmilter", help="the daemon (src/poolmilter of the build directory)")
    parser.add_argument("--opendkim", default=shutil.which("opendkim", path=os.environ["PATH"] + ":/usr/sbin"))
    parser.add_argument("--write", metavar="FILE", help="write the tables as Markdown")
    parser.add_argument("--strict", action="store_true", help="a missed \"good\" goal is a failure")
    args = parser.parse_args()
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return args, parser


def check_environment(args, parser):
    if args.only != OTHER:
        places = [args.poolmilter] if args.poolmilter else ["src/poolmilter", TOP / "src/poolmilter"]
        args.poolmilter = next((pathlib.Path(p).resolve() for p in places if os.access(p, os.X_OK)), None)
        if args.poolmilter is None:
            parser.error("no poolmilter: build it, or name it with --poolmilter")
    if args.only != POOL and not args.opendkim:
        parser.error("no opendkim (Debian: opendkim)")
    try:
        import dkim  # noqa: F401
    except ImportError:
        parser.error("no python3-dkim: signatures cannot be verified")
    try:
        import dns  # noqa: F401
    except ImportError:
        parser.error("no python3-dnspython: MX look-ups have nobody to ask")
    try:
        import nacl  # noqa: F401
    except ImportError:
        parser.error("no python3-nacl: Ed25519 signatures cannot be verified")


def run_scenario(bench, name):
    begun = time.monotonic()
    print(f"-- {name} ...", file=sys.stderr, flush=True)
    table = SCENARIOS[name][0](bench)
    print(table.plain(), flush=True)
    print(f"-- {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return table


def run_all(bench):
    names = bench.args.scenario or [n for n, (_, quick, alone) in SCENARIOS.items()
                                    if (quick or not bench.args.quick) and not (alone and bench.args.only == OTHER)]
    tables, failures = [], []
    for name in names:
        try:
            tables.append(run_scenario(bench, name))
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"{name}: FAILED: {error}", file=sys.stderr, flush=True)
            failures.append((name, error))
    return tables, failures


def work_directory():
    """opendkim trusts a key only when no one else can write to any folder above it: not so below /tmp."""
    place = "/run" if os.access("/run", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="poolmilter-bench-", dir=place)


def main():
    args, parser = parse_arguments()
    check_environment(args, parser)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that filters are stopped
    with work_directory() as work:
        bench = Bench(args, work)
        try:
            tables, failures = run_all(bench)
        finally:
            bench.stop_filters()
        for name, text in environment(bench).items():
            print(f"{name}: {text}")
        if args.write:
            write_markdown(bench, tables, failures, args.write)
    missed = sum(table.verdicts().count("missed") for table in tables)
    print(f"{len(tables)} scenarios ran, {len(failures)} failed, {missed} goals missed")
    return 1 if failures or (args.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
