#!/usr/bin/python3
"""The sample, the table of settings and the manual know the same keys and the same defaults.

Runs `poolctl settings` (one line a key: path, type, default, expected, help) and `poolctl check`.
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                              # noqa: E402
from poolctl import SOURCE, Directory, run                              # noqa: E402

SAMPLE = os.path.join(SOURCE, "conf", "poolmilter.conf.sample.in")
BUILT = os.path.join(os.environ.get("top_builddir", "."), "conf", "poolmilter.conf.sample")
SHIPPED = {"shipped_isps": "isps.conf", "shipped_bounces": "bounces.conf"}  # they stand in included files

# A commented line that holds settings: "#" and a key or a brace, not prose.
COMMENTED = re.compile(r"^#( *(?:(?:\{ )?[a-z_]+ = .*|[a-z_]+: \{ *(?:#.*)?|\};))$")
# Items of lists that show what can stand there, not what does.
EXAMPLES = re.compile(r"(pools\[\]\.(signatures|set_headers|add_headers|isp_limits)|"
                      r"isps\[\]\.(set_headers|add_headers|locks)|webhooks\[\]\.headers|bounces)\[\]|"
                      r"webhooks\[\]\.(name|url)$")
TOKEN = re.compile(r'\s+|#[^\n]*|("(?:[^"\\]|\\.)*"|[A-Za-z_*][A-Za-z0-9_*-]*|[-+0-9.]+|[=:{}()\[\],;])')


def uncommented(text):
    return "\n".join(COMMENTED.sub(r" \1", line) for line in text.split("\n"))


class Reader:
    """Reads the sample's own part of libconfig's language into (path, value as text, line)."""

    def __init__(self, text):
        self.found = []
        self.tokens = []
        position, line = 0, 1
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None:
                raise AssertionError("line %d: cannot read %r" % (line, text[position:position + 20]))
            if match.group(1):
                self.tokens.append((match.group(1), line))
            line += match.group(0).count("\n")
            position = match.end()

    def next(self):
        return self.tokens.pop(0)[0]

    def peek(self):
        return self.tokens[0][0] if self.tokens else None

    def group(self, prefix):
        while self.peek() not in (None, "}"):
            name, line = self.tokens.pop(0)
            assert self.next() in "=:", "line %d: expected = after %s" % (line, name)
            path = prefix + name
            index = len(self.found)
            self.found.append(None)
            self.found[index] = (path, self.value(path), line)
            if self.peek() in (";", ","):
                self.next()

    def value(self, path):
        token = self.next()
        if token == "{":
            self.group(path + ".")
            assert self.next() == "}"
            return "{ }"
        if token == "(":
            while self.peek() != ")":
                assert self.next() == "{"
                self.group(path + "[].")
                assert self.next() == "}"
                if self.peek() == ",":
                    self.next()
            self.next()
            return "( )"
        if token == "[":
            elements = []
            while self.peek() != "]":
                elements.append(self.next())
                if self.peek() == ",":
                    self.next()
            self.next()
            return "[ %s ]" % ", ".join(elements) if elements else "[ ]"
        return token


def settings_of(text):
    """All but what the file includes."""
    reader = Reader("".join("\n" if line.startswith("@include ") else line for line in text.splitlines(True)))
    reader.group("")
    assert not reader.tokens
    return reader.found


def in_force(path, active):
    """Whether the group that the key stands in does: it may be left out as a whole."""
    group = path.rpartition(".")[0]
    return not group or group in active or any(other.startswith(group + ".") for other in active)


def table():
    status, output, errors = run("settings")
    assert status == 0, errors
    rows = [line.split("\t") for line in output.splitlines()]
    return {row[0]: row for row in rows}, rows


class Sample(tap.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(SAMPLE, encoding="ascii") as f:
            cls.text = f.read()
        cls.active = settings_of(cls.text)
        cls.all = settings_of(uncommented(cls.text))
        cls.table, cls.rows = table()

    def test_table_has_five_columns(self):
        self.assertGreater(len(self.rows), 40)
        for row in self.rows:
            self.assertEqual(len(row), 5, row)
            self.assertTrue(all(row), row)
        self.assertEqual(len(self.table), len(self.rows))

    def test_every_key_of_the_table_stands_in_the_sample_once(self):
        paths = [path for path, _, _ in self.all]
        for path in self.table:
            if path not in SHIPPED:
                self.assertEqual(paths.count(path), 1, path)

    def test_shipped_files_are_included(self):
        for key, name in SHIPPED.items():
            self.assertEqual(self.text.count('\n@include "@pkgdatadir@/%s"\n' % name), 1)
            with open(os.path.join(SOURCE, "conf", name), encoding="ascii") as f:
                self.assertIn("\n%s = (\n" % key, f.read())

    def test_built_sample_names_the_data_directory(self):
        with open(BUILT, encoding="ascii") as f:
            built = f.read()
        directory = re.search(r'^@include "(/.*/poolmilter)/isps\.conf"$', built, re.M)
        self.assertTrue(directory, "no @include of isps.conf in the data directory")
        self.assertEqual(built, self.text.replace("@pkgdatadir@", directory.group(1)))

    def test_every_key_of_the_sample_stands_in_the_table(self):
        for path, _, line in self.all:
            self.assertIn(path, self.table, "line %d" % line)

    def test_commented_values_are_the_defaults(self):
        active = {path for path, _, _ in self.active}
        lines = self.text.split("\n")
        compared = 0
        for path, value, line in self.all:
            default = self.table[path][2]
            if path in active or EXAMPLES.match(path):
                continue
            if default in ("none", "required if") or (default == "required" and not in_force(path, active)):
                self.assertIn("no default", lines[line - 1])
                continue
            compared += 1
            if path == "state_dir":  # configure's --localstatedir decides, the sample shows the usual one
                self.assertIn(value, (default, '"/var/lib/poolmilter"'))
            else:
                self.assertEqual(value, default, path)
        self.assertGreater(compared, 20)

    def test_empty_lists_are_the_defaults_too(self):
        for path, value, _ in self.active:
            if value == "( )" and path != "pools":
                self.assertEqual(self.table[path][2], "( )", path)

    def test_required_keys_are_active(self):
        active = {path for path, _, _ in self.active}
        for path, row in self.table.items():
            if row[2] == "required" and path.count("[]") <= 1 and in_force(path, active):
                self.assertIn(path, active)

    def check(self, text):
        with Directory() as d:
            d.key("keys/ak.example.com.pem")
            d.key("keys/ak2.example.com.pem")
            d.key("keys/esp1.pem")
            d.write("redis.pass", "secret\n", 0o640)
            d.write("relay.pass", "secret\n", 0o640)
            d.write("webhook.secret", "sixteen octets or more\n", 0o640)
            subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=redis",
                            "-keyout", d.path("redis.key"), "-out", d.path("redis.pem")],
                           check=True, stderr=subprocess.DEVNULL)
            shutil.copy(d.path("redis.pem"), d.path("redis-ca.pem"))
            shutil.copy(d.path("redis.pem"), d.path("webhook-ca.pem"))
            os.mkdir(d.path("pools.d"))
            for there, here in (("/etc/poolmilter/", d.path("")), ("/run/poolmilter/", d.path("")),
                                ('user = "poolmilter"', 'user = "%s"' % d.user),
                                ("@pkgdatadir@", os.path.join(SOURCE, "conf")), ('"postfix"', '"%s"' % d.group)):
                self.assertIn(there, text)
                text = text.replace(there, here)
            d.write("sample.conf", text)
            status, _, errors = run("check", "-c", d.path("sample.conf"))
            self.assertEqual((status, errors), (0, ""))

    def test_sample_loads_as_it_is(self):
        self.check(self.text)

    def test_sample_loads_with_every_key(self):
        text = uncommented(self.text)
        master, address = 'sentinel_master = "mymaster";', 'address = "127.0.0.1:6379";'
        pause, rate = 'pause = "15m";', 'rate = "1/second";'
        for alternative in (master, address, pause, rate):
            self.assertIn(alternative, text)
        self.check(text.replace(master, "").replace(rate, ""))
        self.check(text.replace(address, "").replace("sentinels = [ ]", 'sentinels = [ "10.0.0.1:26379" ]')
                   .replace(pause, ""))

    def test_manual_lists_every_key(self):
        status, output, _ = run("settings", "--man")
        self.assertEqual(status, 0)
        named = [line[3:].replace("\\-", "-") for line in output.splitlines() if line.startswith(".B ")]
        self.assertEqual(named, [row[0] for row in self.rows])


if __name__ == "__main__":
    unittest.TestCase.maxDiff = None
    tap.main()
