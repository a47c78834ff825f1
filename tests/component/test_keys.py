#!/usr/bin/python3
"""Private keys: what is refused when the configuration loads, and replacement under load.

Rows D5 and D6 of the fault list.
"""
import os
import pathlib
import pwd
import subprocess
import threading

import common
import daemon
import mta


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class BadKeys(common.ComponentTest):
    """D5: refused at load with file and reason; by the daemon, by poolctl check, and by a reload."""

    def setUp(self):
        self.directory = daemon.new_directory("keys")
        self.good = pathlib.Path(daemon.key("good").path).read_text()

    def _file(self, name, text, mode=0o600):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def _made(self, name, *arguments):
        path = self.directory / name
        openssl(*arguments, "-out", path)
        path.chmod(0o600)
        return path

    def bad_keys(self):
        """{what is wrong: (path, pattern that the reason must match)}."""
        source = daemon.key("good").path
        stranger = self._file("stranger.pem", self.good)
        os.chown(stranger, pwd.getpwnam("nobody").pw_uid, -1)
        (self.directory / "directory.pem").mkdir()
        return {
            "missing": (self.directory / "none.pem", r"(?i)no such file|not found|missing"),
            "empty": (self._file("empty.pem", ""), r"(?i)empty|pem|key"),
            "garbage": (self._file("garbage.pem", "garbage\n" * 50), r"(?i)pem|key"),
            "binary": (self._file("binary.pem", "\0\1\2" * 900), r"(?i)pem|key"),
            "cut": (self._file("cut.pem", self.good[:len(self.good) // 2]), r"(?i)pem|key"),
            "broken base64": (self._file("broken.pem", self.good.replace("M", "*", 5)),
                              r"(?i)pem|key"),
            "public": (self._made("public.pem", "pkey", "-in", source, "-pubout"),
                       r"(?i)public|private|pem"),
            "512 bits": (self._made("512.pem", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                                    "rsa_keygen_bits:512"), r"512|1024"),
            "1023 bits": (self._made("1023.pem", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                                     "rsa_keygen_bits:1023"), r"1023|1024"),
            "elliptic": (self._made("ec.pem", "genpkey", "-algorithm", "EC", "-pkeyopt",
                                    "ec_paramgen_curve:P-256"), r"(?i)rsa|ed25519|type"),
            "encrypted": (self._made("encrypted.pem", "pkey", "-in", source, "-aes128", "-passout",
                                     "pass:secret"), r"(?i)encrypt|pass"),
            "readable by others": (self._file("world.pem", self.good, 0o644),
                                   r"(?i)mode|others|permission|readable|0?644"),
            "writable by the group": (self._file("group.pem", self.good, 0o620),
                                      r"(?i)mode|group|permission|writable|0?620"),
            "owned by a stranger": (stranger, r"(?i)own|belong"),
            "a directory": (self.directory / "directory.pem", r"(?i)director|regular|file"),
        }

    def _assert_told(self, text, path, reason):
        told = [line for line in text.splitlines() if str(path) in line]
        self.assertTrue(told, "the file is not named:\n" + text)
        self.assertRegex("\n".join(told).replace(str(path), "KEYFILE"), reason)
        self.assertRegex("\n".join(told), r"poolmilter\.conf:\d+")
        for line in self.good.splitlines()[1:-1]:
            self.assertNotIn(line, text, "the key is in the log")

    def test_D5_refused_at_start_and_by_check(self):
        for name, (path, reason) in self.bad_keys().items():
            with self.subTest(key=name):
                server = self.prepare([daemon.pool(dkim_key=str(path))])
                server.spawn()
                self.assertNotEqual(server.wait_exit(), 0)
                self._assert_told(server.log, path, reason)
                checked = daemon.poolctl("check", "-c", server.config, timeout=30)
                self.assertEqual(checked.returncode, 78, checked)
                self._assert_told((checked.stdout + checked.stderr).decode(), path, reason)

    def test_D5_refused_by_a_reload_that_keeps_the_old_key(self):
        server = self.serve()
        for name, (path, _) in self.bad_keys().items():
            with self.subTest(key=name):
                server.write_config([daemon.pool(dkim_key=str(path))])
                since = server.mark()
                server.send_signal(daemon.signal.SIGHUP)
                server.wait_log(str(path), since=since)
                self.assert_still_works(server)

    def test_D5_bad_key_of_an_additional_signature(self):
        path = self._file("extra.pem", "garbage\n")
        server = self.prepare([daemon.pool(signatures=(
            {"domain": "esp.example", "selector": "e", "key": str(path)},))])
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self._assert_told(server.log, path, r"(?i)pem|key")

    def test_D5_crlf_pem_is_taken_or_refused_at_load(self):
        path = self.directory / "crlf.pem"
        path.write_bytes(self.good.replace("\n", "\r\n").encode())
        path.chmod(0o600)
        pool = daemon.pool(dkim_key=str(path))
        server = self.prepare([pool])
        server.spawn()
        if server.wait_ready():
            self.assert_signed(self.deliver(server), pool)
        else:
            self.assertNotEqual(server.wait_exit(), 0)
            self.assertIn(str(path), server.log)

    def test_D5_good_forms_are_taken(self):
        source = daemon.key("good").path
        forms = {
            "PKCS#1": self._made("pkcs1.pem", "rsa", "-in", source, "-traditional"),
            "1024 bits": self._made("1024.pem", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                                    "rsa_keygen_bits:1024"),
            "4096 bits": self._made("4096.pem", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                                    "rsa_keygen_bits:4096"),
            "text before the key": self._file("text.pem", "a comment\n\n" + self.good),
            "no final newline": self._file("final.pem", self.good.rstrip("\n")),
            "readable by the group": self._file("shared.pem", self.good, 0o640),
        }
        for name, path in forms.items():
            with self.subTest(key=name):
                pool = daemon.pool(dkim_key=str(path))
                self.assert_signed(self.deliver(self.serve([pool])), pool)

    def test_genkey_makes_what_the_daemon_takes(self):
        for kind, extra in (("rsa", ["--bits", "2048"]), ("ed25519", [])):
            with self.subTest(type=kind):
                path = self.directory / ("made-%s.pem" % kind)
                done = daemon.poolctl("genkey", "--type", kind, *extra, "--domain", "example.com",
                                      "--selector", "ak", "--out", path)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(path.stat().st_mode & 0o777, 0o600)
                record = "".join(part for number, part in
                                 enumerate(done.stdout.decode().split('"')) if number % 2)
                self.assertIn("p=", record)
                pool = daemon.pool(dkim_key=str(path), dkim_selector="ak")
                result = self.deliver(self.serve([pool]))
                self.assert_signed(result, pool,
                                   daemon.Zone().add("ak", "example.com", record))
                again = daemon.poolctl("genkey", "--type", kind, *extra, "--domain", "example.com",
                                       "--selector", "ak", "--out", path)
                self.assertNotEqual(again.returncode, 0, "it overwrote a key")


class KeysUnderLoad(common.ComponentTest):
    """D6: many threads, many keys, keys replaced and reloaded meanwhile; every signature verifies."""

    POOLS, MESSAGES, THREADS, REPLACEMENTS = 20, 5000, 16, 12

    def setUp(self):
        self.directory = daemon.new_directory("load")
        self.pools, self.records = [], []
        for number in range(self.POOLS):
            made = daemon.make_key(self.directory / ("k%d.pem" % number))
            self.pools.append(daemon.pool("p%d" % number, "d%d.example" % number,
                                          dkim_key=made.path))
            self.records.append([made.record])

    def _deliver_share(self, server, share, results):
        with mta.Session(server.address, login="acme") as session:
            for number in share:
                pool = self.pools[number % self.POOLS]
                author = b"a%d@%s" % (number, pool["sender_domain"].encode())
                data = common.message(author, number=number, body=b"mail %d\r\n" % number)
                results.append((number % self.POOLS,
                                session.deliver(data, author, [b"b%d@example.net" % number])))

    def _replace(self, server, number):
        """A new key takes the place of the old file, as a careful administrator does it."""
        pool = self.pools[number]
        new = daemon.make_key(self.directory / "new.pem")
        self.records[number].append(new.record)
        os.rename(new.path, pool["dkim_key"])
        server.reload()

    def _verifies(self, result, number, records):
        pool = self.pools[number]
        return any(not daemon.failed_signatures(
            result.message,
            daemon.Zone().add(pool["dkim_selector"], pool["sender_domain"], record),
            pool["sender_domain"]) for record in records)

    def test_D6_keys_replaced_under_load(self):
        server = self.serve(self.pools)
        results = []
        total = daemon.scaled(self.MESSAGES)
        threads = [threading.Thread(target=self._deliver_share, daemon=True, args=(
            server, range(start, total, self.THREADS), results)) for start in range(self.THREADS)]
        for thread in threads:
            thread.start()
        for number in range(self.REPLACEMENTS):
            self._replace(server, number % self.POOLS)
        for thread in threads:
            thread.join(300)
        self.assertEqual(len(results), total, "a thread ended early")
        wrong = [(result.status, result.reply) for _, result in results
                 if result.status != "accepted"]
        self.assertEqual(wrong, [])
        for number, result in results:
            self.assertTrue(self._verifies(result, number, self.records[number]),
                            "pool p%d: %r" % (number, result.message[:800]))
        # From now on only the new keys.
        fresh = []
        self._deliver_share(server, range(self.POOLS), fresh)
        for number, result in fresh:
            self.assertTrue(self._verifies(result, number, self.records[number][-1:]),
                            "pool p%d signs with a key that was replaced" % number)

    def test_D6_key_removed_after_start(self):
        """A key that is gone: the pool signs with the parsed one or defers, but never sends unsigned."""
        pool = self.pools[0]
        server = self.serve([pool])
        author = b"a@" + pool["sender_domain"].encode()
        os.unlink(pool["dkim_key"])
        results = [self.deliver(server, common.message(author), author)]
        since = server.mark()
        server.send_signal(daemon.signal.SIGHUP)
        server.wait_log(pool["dkim_key"], since=since)
        results.append(self.deliver(server, common.message(author), author))
        for result in results:
            if result.status == "accepted":
                self.assertTrue(self._verifies(result, 0, self.records[0]))
            else:
                self.assertEqual(result.reply[:1], b"4")


class ManyKeys(common.ComponentTest):
    """Beyond 1,000 key files each is parsed when its first message comes."""

    COUNT = 1001

    def setUp(self):
        self.directory = daemon.new_directory("many")
        self.pools = []
        for number in range(self.COUNT):
            path = self.directory / ("%d.pem" % number)
            path.symlink_to(daemon.key().path)
            self.pools.append(daemon.pool("p%d" % number, "d%d.example" % number, dkim_key=str(path)))

    def _send(self, server, number, queue_id):
        return self.deliver(server, common.message(b"a@d%d.example" % number), queue_id=queue_id)

    def test_D5_key_gone_before_its_first_use_is_never_unsigned(self):
        server = self.serve(self.pools)
        (self.directory / "7.pem").unlink()
        (self.directory / "8.pem").unlink()
        (self.directory / "8.pem").write_text("garbage")
        (self.directory / "8.pem").chmod(0o600)
        for number in (7, 8):
            result = self._send(server, number, "4GONE%d" % number)
            self.assertEqual(result.reply[:9], b"451 4.3.0")
            self.assertEqual(result.edits, [])
            self.assertRegex(server.wait_log(r"4GONE%d: error: " % number), r"/%d\.pem: " % number)
            self.assertEqual(server.message_line("4GONE%d" % number)["reason"], "signature")
        result = self._send(server, 9, "4THERE")
        self.assert_signed(result, self.pools[9], daemon.zone_for(self.pools[9]))

    def test_check_keys_parses_them_all(self):
        server = self.prepare(self.pools)
        (self.directory / "1000.pem").unlink()
        (self.directory / "1000.pem").write_text("garbage")
        (self.directory / "1000.pem").chmod(0o600)
        lazy = daemon.poolctl("check", "-c", server.config)
        self.assertEqual(lazy.returncode, 0, lazy.stderr)
        full = daemon.poolctl("check", "--keys", "-c", server.config)
        self.assertEqual(full.returncode, 78, full.stdout)
        self.assertIn(b"1000.pem: not a PEM file", full.stderr)


if __name__ == "__main__":
    common.main()
