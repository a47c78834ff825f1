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
POOL, OTHER = "poolmilter", "opendkim"
SENDER = "sender@d%d.example.com"
MANY_POOLS = 100_000
MANY_KEYS = 200


class BenchError(Exception):
    """A scenario cannot give an honest figure."""


# ---- Filters -----------------------------------------------------------------------------------


class Filter:
    """A running filter: made from a setup, ready when it has signed one message."""

    name = ""

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
                      f'trusted_networks = [ "127.0.0.0/8" ];\npools = (\n')
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
        self.running = {}
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

    def setup(self, **more):
        return {"domains": 1, "keys": [self.key(2048)], **more}

    def filters(self, **more):
        """The filters with this setup, {name: Filter}. They stay up for later scenarios: an idle one costs
        nothing, and libmilter takes 5 s to stop."""
        setup = self.setup(**more)
        return {name: self.filter(name, setup) for name in self.names}

    def filter(self, name, setup):
        mark = name, repr(sorted(setup.items()))
        if mark not in self.running:
            self.running[mark] = KINDS[name](self, setup).__enter__()
        return self.running[mark]

    def stop_filters(self):
        for running in self.running.values():  # all are told first, so that they stop side by side
            running.process.terminate()
        for running in self.running.values():
            running.stop()

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
            command += [f"--{name}", str(value)]
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

    def rounds_of(self, filters, messages, **load):
        """Interleaved rounds. `messages` may differ by filter: {name: number}.
        Returns {name: {figure: Series}}, latencies flattened as latency_p50, latency_p99 ..."""
        share = {name: messages[name] if isinstance(messages, dict) else messages for name in filters}
        for name, target in filters.items():
            self.load(target, messages=max(load.get("connections", 1) * 2, share[name] // 10), **load)
        figures = {name: {} for name in filters}
        for number in range(self.rounds):
            order = list(filters) if number % 2 == 0 else list(reversed(filters))
            for name in order:
                for key, value in flatten(self.load(filters[name], messages=share[name], **load)).items():
                    figures[name].setdefault(key, Series()).append(value)
        return figures

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


def scenario(name, quick=True):
    def keep(function):
        SCENARIOS[name] = (function, quick)
        return function
    return keep


@scenario("sign-4k")
def sign_4k(bench):
    """Sign only, 4 KiB, 4 connections, a session for each message"""
    table = Table(sign_4k.__doc__)
    raw = bench.raw_series()
    filters = bench.filters()
    figures = bench.rounds_of(filters, bench.count(4000), connections=4)
    compare(table, figures, "CPU us per message", "cpu_us_per_message", Goal(0.32, 0.21))
    if POOL in figures:
        table.row("the same in raw RSA-2048 signatures", figures[POOL]["cpu_us_per_message"].text(), "-",
                  f"R = {raw.text()} us", figures[POOL]["cpu_us_per_message"].median / raw.median, Goal(2.0, 1.3))
    else:
        table.row("raw RSA-2048 signature, us", "-", "-", f"R = {raw.text()}")
    compare(table, figures, "messages per second", "messages_per_second", Goal(3.0, 4.5, more=True))
    compare(table, figures, "latency p50 us", "latency_p50")
    note_generator(table, figures)
    return table


def sign_size(bench, title, size, messages):
    table = Table(title)
    filters = bench.filters()
    figures = bench.rounds_of(filters, messages, connections=4, size=size)
    compare(table, figures, "CPU us per message", "cpu_us_per_message")
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
    extra = ('add_headers = ( { name = "X-Sender-Id"; value = "${pool}"; }, { name = "Feedback-ID"; value ='
             ' "${header:X-Campaign}:${pool}:bulk:bench"; } ); delete_headers = [ "X-Campaign" ];')
    filters = bench.filters(return_path="signed", extra=extra)
    figures = bench.rounds_of(filters, bench.count(4000), connections=4)
    compare(table, figures, "CPU us per message", "cpu_us_per_message")
    compare(table, figures, "messages per second", "messages_per_second")
    table.notes.append("opendkim only signs here. Re-encoding and limits are not part of it yet: no goal applies.")
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
(lowest-highest). Verdict: *after* = what we are after, *good*, *missed*. How it is measured: README.md beside this file.
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
    parser.add_argument("--quick", action="store_true", help="about a minute: fewer messages, 2 rounds, no long scenario")
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
        places = [args.poolmilter] if args.poolmilter else ["src/poolmilter", HERE.parent.parent / "src/poolmilter"]
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
    names = bench.args.scenario or [n for n, (_, quick) in SCENARIOS.items() if quick or not bench.args.quick]
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
