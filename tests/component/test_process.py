#!/usr/bin/python3
"""The daemon as a process: start, stop, reload, sockets, rights, and a world that fails around it.

Rows A2, A3, A4, A9 and F3 of the fault list.  Needs root (rights are dropped) and libfaketime.
"""
import contextlib
import glob
import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess
import time
from unittest import mock

import common
import daemon
import milter
import mta

ACME = daemon.pool("acme", "example.com")
BETA = daemon.pool("beta", "beta.example")
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


class Stop(common.ComponentTest):
    def test_A2_sigterm_under_load(self):
        server = self.serve()
        zone = daemon.zone_for(ACME)
        with common.Load(server) as load:
            self.assertTrue(daemon.wait_for(lambda: len(load.results) > 200, 30))
            started = time.monotonic()
            status = server.stop()
            took = time.monotonic() - started
        self.assertEqual(status, 0, server.log)
        self.assertLess(took, daemon.STOP_SECONDS)
        self.assertGreater(len(load.accepted()), 100)
        for result in load.accepted():
            self.assert_signed(result, ACME, zone)
        for other in load.others():
            self.assertTrue(isinstance(other, (OSError, milter.ProtocolError))
                            or other[0] in ("deferred", "lost"), other)

    def test_A2_stops_with_idle_and_half_done_connections(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                server = self.serve()
                idle = self.session(server)
                half = self.session(server)
                half.filter.macros("M", {"{auth_authen}": "acme"})
                half.filter.mail([b"<a@example.com>"])
                half.filter.rcpt([b"<b@example.net>"])
                half.filter.data()
                half.filter.header(b"From", b" a@example.com")
                half.filter.flush()
                self.assertTrue(idle.filter.sock)
                self.assertEqual(server.stop(number), 0)

    def test_A2_message_in_progress_is_finished_or_deferred(self):
        server = self.serve()
        session = self.session(server)
        client = session.filter
        client.macros("M", {"{auth_authen}": "acme"})
        client.mail([b"<a@example.com>"])
        client.rcpt([b"<b@example.net>"])
        client.data()
        headers, body = mta.split(common.message())
        for header in headers:
            client.header(*header.split(b":", 1))
        client.eoh()
        client.flush()
        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        try:
            client.body(body)
            edits, reply = client.end_of_message()
            if reply.smtp is None:
                self.assertIn(b"dkim-signature", [edit[2].lower() for edit in edits
                                                  if edit[0] == "insheader"])
            else:
                self.assertEqual(reply.smtp[:1], b"4", reply)
        except milter.Closed:
            pass                # Postfix answers 451 then
        self.assertEqual(server.wait_exit(), 0)

    def test_start_and_stop_are_logged(self):
        server = self.serve()
        server.wait_log(r"(?i)start")
        since = server.mark()
        self.assertEqual(server.stop(), 0)
        self.assertTrue([line for line in server.lines[since:]
                         if re.search(r"(?i)stop|exit|terminat", line)], server.log)
        for line in server.lines:
            self.assertRegex(line, r"^poolmilter\[%d\]: ." % server.pid)


class Reload(common.ComponentTest):
    def test_A3_five_hundred_reloads_under_load(self):
        server = self.serve()
        zone = daemon.zone_for(ACME)
        count = daemon.scaled(500)
        with common.Load(server, threads=2) as load:
            for number in range(count):
                server.write_config([ACME, BETA] if number % 2 else [ACME])
                server.reload()
                if number == count // 5:
                    memory, files = server.memory(), server.descriptors()
            threads = server.threads()
            self.assertTrue(server.alive)
            self.assertLess(server.memory() - memory, daemon.memory_limit(6144))
            self.assertLessEqual(server.descriptors(), files + 4)
            self.assertLess(threads, 64)
        self.assertEqual(load.others(), [], "every one should have been accepted")
        self.assertGreater(len(load.accepted()), count)
        for result in load.accepted()[:200] + load.accepted()[-200:]:
            self.assert_signed(result, ACME, zone)

    def test_A3_reload_takes_over_what_changed(self):
        server = self.serve([ACME])
        session = self.session(server)
        data = common.message(b"a@beta.example")

        def send():
            return session.deliver(data, b"a@beta.example", [b"b@example.net"])

        self.assert_untouched(send(), data)
        server.write_config([ACME, BETA])
        server.reload()
        self.assert_signed(send(), BETA)
        server.write_config([ACME])
        server.reload()
        self.assert_untouched(send(), data)

    def test_A3_bad_file_keeps_the_old_settings(self):
        server = self.serve([ACME])
        good = server.config.read_text()
        place = re.escape(str(server.config)) + r":\d+: "
        bad_files = {
            "syntax error": (good + "\npools = ( {\n", place),
            "half written": (good[:good.index("dkim_selector")], place),
            "unknown key": (good + "\nno_such_key = 1;\n", place + "no_such_key"),
            "wrong type": (good + "\nmax_message_size = \"much\";\n",
                           place + "max_message_size"),
            "missing DKIM key": (good.replace(ACME["dkim_key"], "/nonexistent/key.pem"),
                                 place + ".*/nonexistent/key.pem"),
            # No line is to blame for these.
            "empty": ("", re.escape(str(server.config))),
            "NUL octets": (good[:40] + "\0" * 40 + good[40:], re.escape(str(server.config))),
        }
        for name, (text, in_log) in bad_files.items():
            with self.subTest(file=name):
                server.write_config(text=text)
                since = server.mark()
                server.send_signal(signal.SIGHUP)
                server.wait_log(in_log, since=since)
                self.assert_still_works(server)
        server.write_config([ACME, BETA])
        server.reload()
        result = self.deliver(server, common.message(b"a@beta.example"), b"a@beta.example")
        self.assert_signed(result, BETA)

    def test_A3_missing_file_keeps_the_old_settings(self):
        server = self.serve([ACME])
        server.config.unlink()
        since = server.mark()
        server.send_signal(signal.SIGHUP)
        server.wait_log(re.escape(str(server.config)), since=since)
        self.assert_still_works(server)

    def test_A3_a_hundred_bad_reloads_cost_nothing(self):
        server = self.serve([ACME])
        good = server.config.read_text()
        server.write_config(text=good[:-20])
        count = daemon.scaled(100)
        for number in range(count):
            since = server.mark()
            server.send_signal(signal.SIGHUP)
            server.wait_log(r":\d+", since=since)
            if number == count // 5:
                memory, files = server.memory(), server.descriptors()
        self.assertLess(server.memory() - memory, daemon.memory_limit(3072))
        self.assertLessEqual(server.descriptors(), files)
        self.assert_still_works(server)

    def test_A3_hangups_in_a_row_do_not_stop_it(self):
        server = self.serve([ACME])
        for _ in range(200):
            server.send_signal(signal.SIGHUP)
        self.assert_still_works(server)
        self.assertTrue(server.alive)

    def test_A3_message_keeps_the_settings_that_it_began_with(self):
        server = self.serve([ACME])
        session = self.session(server)
        client = session.filter
        client.macros("M", {"{auth_authen}": "acme", "i": "4HALF"})
        client.mail([b"<a@example.com>"])
        client.rcpt([b"<b@example.net>"])
        client.data()
        headers, body = mta.split(common.message())
        client.header(*headers[0].split(b":", 1))
        client.flush()
        server.write_config([BETA])
        server.reload()
        for header in headers[1:]:
            client.header(*header.split(b":", 1))
        client.eoh()
        client.body(body)
        edits, reply = client.end_of_message()
        self.assertIsNone(reply.smtp)
        inserted = [edit for edit in edits if edit[0] == "insheader"]
        self.assertEqual(len(inserted), 1, edits)
        self.assertIn(b"d=example.com;", inserted[0][3])

    def test_poolctl_reload(self):
        server = self.prepare([ACME])
        pid_file = server.directory / "pid"
        server.settings["pid_file"] = str(pid_file)
        server.write_config([ACME])
        server.start()
        server.write_config([ACME, BETA])
        since = server.mark()
        done = daemon.poolctl("reload", "-c", server.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        server.wait_log(r"(?i)reload", since=since)
        result = self.deliver(server, common.message(b"a@beta.example"), b"a@beta.example")
        self.assert_signed(result, BETA)


class Sockets(common.ComponentTest):
    def test_A4_second_instance_leaves_the_first_alone(self):
        first = self.serve()
        path = pathlib.Path(first.address.partition(":")[2])
        inode = path.stat().st_ino
        second = self.prepare(listen=first.address)
        second.address = first.address
        second.spawn()
        self.assertNotEqual(second.wait_exit(), 0)
        self.assertIn(str(path), second.log)
        self.assertEqual(path.stat().st_ino, inode)
        self.assert_still_works(first)

    def test_A4_second_instance_on_an_inet_socket(self):
        address = "inet:%d@127.0.0.1" % daemon.free_port()
        first = self.prepare(listen=address)
        first.address = address
        first.start()
        second = self.prepare(listen=address)
        second.spawn()
        self.assertNotEqual(second.wait_exit(), 0)
        self.assertTrue(second.log)
        self.assert_still_works(first)

    def test_A4_stale_socket_file(self):
        first = self.serve()
        first.kill()
        path = pathlib.Path(first.address.partition(":")[2])
        self.assertTrue(stat.S_ISSOCK(path.stat().st_mode))
        first.start()
        self.assert_still_works(first)

    def test_A4_a_file_that_is_no_socket_is_left_alone(self):
        server = self.prepare()
        path = pathlib.Path(server.address.partition(":")[2])
        path.write_text("precious")
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertEqual(path.read_text(), "precious")
        self.assertIn(str(path), server.log)

    def test_socket_mode_and_group(self):
        group = grp.getgrnam("mail")
        server = self.serve(socket_mode="0660", socket_group="mail")
        status = os.stat(server.address.partition(":")[2])
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o660)
        self.assertEqual(status.st_gid, group.gr_gid)

    def test_several_sockets_at_once(self):
        server = self.prepare()
        other = "unix:%s" % (server.directory / "other")
        inet = "inet:%d@127.0.0.1" % daemon.free_port()
        addresses = [server.address, other, inet]
        server.write_config(listen=addresses)
        server.start()
        for address in addresses:
            with self.subTest(listen=address.partition(":")[0]):
                session = self.session(server, address=address)
                self.assert_signed(session.deliver(common.message(), b"a@example.com",
                                                   [b"b@example.net"]), ACME)

    def test_inet_shows_no_40_ms_step(self):
        address = "inet:%d@127.0.0.1" % daemon.free_port()
        server = self.prepare(listen=address)
        server.address = address
        server.start()
        session = self.session(server)
        times = []
        for _ in range(40):
            started = time.monotonic()
            result = session.deliver(common.message(), b"a@example.com", [b"b@example.net"])
            times.append(time.monotonic() - started)
            self.assertEqual(result.status, "accepted")
        median = sorted(times)[len(times) // 2]
        self.assertLess(median, 1.0 if daemon.instrumented() else 0.03)

    def test_address_that_cannot_be_had(self):
        server = self.prepare(listen="unix:/nonexistent/dir/sock")
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertIn("/nonexistent/dir/sock", server.log)


class Rights(common.ComponentTest):
    """F3; started as root, as all of this suite."""

    def setUp(self):
        self.assertEqual(os.geteuid(), 0, "these tests need root")
        self.nobody = pwd.getpwnam("nobody")

    def _server_of_nobody(self, key_owner, key_mode=0o600, **settings):
        server = self.prepare(text="")
        key = server.directory / "key.pem"
        made = daemon.make_key(key)
        os.chmod(key, key_mode)
        os.chown(key, key_owner, self.nobody.pw_gid if key_owner else 0)
        for path in (server.directory, server.directory / "state"):
            os.chown(path, self.nobody.pw_uid, self.nobody.pw_gid)
        pool = daemon.pool(dkim_key=made.path)
        server.settings.update(user="nobody", **settings)
        server.write_config([pool])
        return server, pool

    def test_F3_root_without_user(self):
        server = self.prepare(user=None)
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertRegex(server.log, r"\buser\b")
        self.assertFalse(os.path.exists(server.address.partition(":")[2]))

    def test_F3_unknown_user(self):
        server = self.prepare(user="no-such-user-here")
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertIn("no-such-user-here", server.log)

    def test_F3_key_unreadable_after_dropping_rights(self):
        server, pool = self._server_of_nobody(key_owner=0)
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertIn(pool["dkim_key"], server.log)
        self.assertNotIn("BEGIN", server.log)

    def test_F3_secret_unreadable_after_dropping_rights(self):
        server, _ = self._server_of_nobody(key_owner=self.nobody.pw_uid)
        secret = server.directory / "secret"
        secret.write_text("0123456789abcdef0123456789abcdef\n")
        secret.chmod(0o600)
        server.settings["return_path"] = {"secret_files": [str(secret)]}
        server.write_config([daemon.pool(dkim_key=str(server.directory / "key.pem"))])
        server.spawn()
        self.assertNotEqual(server.wait_exit(), 0)
        self.assertIn(str(secret), server.log)
        self.assertNotIn("0123456789abcdef", server.log)

    def test_rights_are_dropped_and_it_still_signs_and_reloads(self):
        server, pool = self._server_of_nobody(key_owner=self.nobody.pw_uid)
        server.start()
        status = pathlib.Path("/proc/%d/status" % server.pid).read_text()
        self.assertEqual(set(re.search(r"^Uid:(.*)$", status, re.M).group(1).split()),
                         {str(self.nobody.pw_uid)})
        self.assertEqual(set(re.search(r"^Gid:(.*)$", status, re.M).group(1).split()),
                         {str(self.nobody.pw_gid)})
        self.assertNotIn("0", re.search(r"^Groups:(.*)$", status, re.M).group(1).split())
        self.assertEqual(int(re.search(r"^CapEff:\s*(\w+)", status, re.M).group(1), 16), 0)
        self.assert_still_works(server, pool)
        server.reload()
        self.assert_still_works(server, pool)

    def test_pid_file(self):
        server = self.prepare()
        pid_file = server.directory / "pid"
        pid_file.write_text("4194999\n")        # a stale one: above pid_max
        server.settings["pid_file"] = str(pid_file)
        server.write_config()
        server.start()
        self.assertEqual(pid_file.read_text().strip(), str(server.pid))
        self.assertEqual(stat.S_IMODE(pid_file.stat().st_mode) & 0o022, 0)

    def test_no_secret_in_log_or_state(self):
        server = self.serve()
        self.assert_still_works(server)
        body = pathlib.Path(ACME["dkim_key"]).read_text().splitlines()[1]
        self.assertNotIn(body, server.log)
        for path in (server.directory / "state").rglob("*"):
            if path.is_file():
                self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)

    def test_secret_of_the_return_path_survives_a_restart(self):
        server = self.serve(return_path={"check_bounces": True})
        token = self.deliver(server).sender
        self.assertEqual(server.stop(), 0)
        server.start()
        bounce = self.deliver(server, common.message(b"m@example.net"), b"", [token], login=None)
        self.assertEqual(bounce.status, "accepted")


class Arguments(common.ComponentTest):
    def _run(self, *arguments):
        return subprocess.run([*daemon.WRAP, daemon.POOLMILTER, *map(str, arguments)],
                              capture_output=True, timeout=60, check=False)

    def test_version(self):
        done = self._run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.decode(), r"^poolmilter \d+\.\d+")

    def test_check_of_a_good_file(self):
        server = self.prepare()
        done = self._run("--check", "-c", server.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(os.path.exists(server.address.partition(":")[2]), "it took the socket")

    def test_check_tells_all_errors_with_their_lines(self):
        server = self.prepare()
        server.write_config(text=server.config.read_text() + "bad_one = 1;\nbad_two = 2;\n")
        done = self._run("--check", "-c", server.config)
        self.assertNotEqual(done.returncode, 0)
        text = (done.stdout + done.stderr).decode()
        for key in ("bad_one", "bad_two"):
            self.assertRegex(text, r"%s:\d+.*%s" % (re.escape(str(server.config)), key))

    def test_check_does_not_disturb_a_running_daemon(self):
        server = self.serve()
        self.assertEqual(self._run("--check", "-c", server.config).returncode, 0)
        self.assert_still_works(server)

    def test_bad_usage(self):
        for arguments in (["--no-such-option"], ["-c"], ["-c", "/nonexistent.conf", "--foreground",
                                                         "--stderr"]):
            with self.subTest(arguments=arguments):
                done = self._run(*arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr)

    def test_background(self):
        server = self.prepare()
        pid_file = server.directory / "pid"
        server.settings["pid_file"] = str(pid_file)
        server.write_config()
        done = subprocess.run([*daemon.WRAP, daemon.POOLMILTER, "-c", str(server.config)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(daemon.wait_for(
            lambda: pid_file.exists() and pid_file.read_text().strip()))
        pid = int(pid_file.read_text())
        try:
            # It listens when the parent has returned: that is what init systems count on.
            self.assert_signed(self.deliver(server), ACME)
            self.assertNotEqual(os.getsid(pid), os.getsid(0))
        finally:
            os.kill(pid, signal.SIGTERM)
            gone = daemon.wait_for(lambda: not os.path.exists("/proc/%d" % pid),
                                   daemon.STOP_SECONDS)
            if not gone:
                os.kill(pid, signal.SIGKILL)
        self.assertTrue(gone, "still there %d s after SIGTERM" % daemon.STOP_SECONDS)


@contextlib.contextmanager
def log_socket():
    """/dev/log as a socket of the test's own; only where the machine has none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind("/dev/log")
    try:
        yield sock
    finally:
        sock.close()
        os.unlink("/dev/log")


class Surroundings(common.ComponentTest):
    """A9: what the daemon leans on fails; mail goes on."""

    def _deliver_many(self, server, count=150, seconds=20):
        zone = daemon.zone_for(ACME)
        session = self.session(server)
        started = time.monotonic()
        for number in range(daemon.scaled(count)):
            self.assert_signed(session.deliver(common.message(number=number), b"a@example.com",
                                               [b"b@example.net"]), ACME, zone)
        self.assertLess(time.monotonic() - started, seconds)

    def _with_syslog(self):
        if os.path.lexists("/dev/log"):
            self.skipTest("/dev/log belongs to this machine's syslog")

    def test_A9_syslog_that_is_not_there(self):
        self._with_syslog()
        self._deliver_many(self.serve(stderr=False))

    def test_A9_syslog_that_nobody_reads(self):
        self._with_syslog()
        with log_socket():
            server = self.serve(stderr=False)
            self._deliver_many(server)
            self.assertEqual(server.stop(), 0)

    def test_A9_syslog_comes_back(self):
        self._with_syslog()
        with log_socket():
            server = self.serve(stderr=False)
            self._deliver_many(server, 30)
        self._deliver_many(server, 30)
        with log_socket() as log:
            log.settimeout(5)
            self.deliver(server, queue_id="4BACK")
            texts = []
            with contextlib.suppress(TimeoutError):
                while not any(b"4BACK: pool=acme" in text for text in texts):
                    texts.append(log.recv(65536))
            self.assertTrue(any(b"4BACK: pool=acme" in text for text in texts), texts)

    def test_syslog_line_has_facility_and_ident(self):
        self._with_syslog()
        with log_socket() as log:
            log.settimeout(5)
            server = self.serve(stderr=False)
            self.deliver(server, queue_id="4SYSLOG")
            text = b""
            while b"4SYSLOG" not in text:
                text = log.recv(65536)
            # Facility mail (2), severity info (6).
            self.assertRegex(text, rb"^<22>.*poolmilter\[%d\]: 4SYSLOG: pool=acme " % server.pid)

    def test_A9_stderr_that_nobody_reads(self):
        server = self.prepare()
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        server.spawn(stderr=writing)
        os.close(writing)
        self.assertTrue(server.wait_ready())
        session = self.session(server)
        # A pipe holds 64 KiB: some 300 lines.
        for _ in range(daemon.scaled(600)):
            result = session.deliver(common.message(), b"a@example.com", [b"b@example.net"])
            self.assertEqual(result.status, "accepted")

    def test_A9_state_directory_on_a_full_disk(self):
        disk = daemon.new_directory("disk")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
                                 capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest("no right to mount a tmpfs: %s" % mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True)
        server = self.serve(state_dir=str(disk))
        with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        self._deliver_many(server)
        server.reload()
        self._deliver_many(server, 20)
        self.assertEqual(server.stop(), 0)
        # The secret is there already: the full disk does not keep it from starting again.
        server.start()
        self._deliver_many(server, 20)
        self.assertEqual(server.stop(), 0)

    def test_A9_first_start_on_a_full_disk_is_refused_or_works(self):
        disk = daemon.new_directory("disk")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)],
                                 capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest("no right to mount a tmpfs: %s" % mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True)
        with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        server = self.prepare(state_dir=str(disk))
        server.spawn()
        if server.wait_ready(5):
            first = self.deliver(server)
            self.assert_signed(first, ACME)
        else:
            self.assertNotEqual(server.wait_exit(), 0)
            self.assertIn(str(disk), server.log)


class ClockJumps(common.ComponentTest):
    def test_A9_clock_jumps_an_hour_back_and_a_day_forward(self):
        if not FAKETIME:
            self.skipTest("libfaketime is not installed")
        offset_file = daemon.new_directory("clock") / "offset"
        offset_file.write_text("+0")
        server = self.serve(env={
            "LD_PRELOAD": FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": str(offset_file),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1"}, return_path={"check_bounces": True})
        session = self.session(server)
        zone = daemon.zone_for(ACME)
        senders = []
        for offset, seconds in (("+0", 0), ("-3600", -3600), ("+86400", 86400), ("+0", 0)):
            with self.subTest(offset=offset):
                offset_file.write_text(offset)
                result = session.deliver(common.message(), b"a@example.com", [b"b@example.net"])
                now = time.time() + seconds
                with mock.patch("time.time", return_value=now):
                    self.assert_signed(result, ACME, zone)
                stamp = int(daemon.signatures(result.message)[0]["t"])
                self.assertLess(abs(stamp - now), 60, "the clock of the daemon did not jump")
                self.assertLess(abs(float(server.message_line("4%06dZQ" % session.count)
                                          ["took_ms"])), 60000)
                senders.append(result.sender)
        # A token made before the jumps is still good after them.
        bounce = self.deliver(server, common.message(b"m@example.net"), b"", [senders[0]],
                              login=None)
        self.assertEqual(bounce.status, "accepted")
        self.assertEqual(server.stop(), 0)


if daemon.instrumented():
    # A sanitizer's run time asks for the time before libfaketime is ready, and the two wait for each other:
    # there is no such test in such a build. CI runs it in the ordinary one.
    del ClockJumps


if __name__ == "__main__":
    common.main()
