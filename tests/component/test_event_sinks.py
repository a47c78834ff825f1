#!/usr/bin/python3
"""Events reach a file of JSON lines and a Redis Stream: all of them, in order, each whole, whatever goes
wrong there.

A driver runs the dispatcher on a database that it fills itself (dispatchdrive.c).
"""
import json
import os
import shutil
import stat
import threading
import time

import daemon
import dispatch_common
import redis
import tap
import webhookserver
from dispatch_common import numbers


class FileTest(dispatch_common.DispatchTest):
    def file(self, **settings):
        """A dispatcher to a file, and the file's path."""
        path = daemon.new_directory("events") / "events.json"
        return self.dispatch(events={"file": str(path)}, **settings), path

    def read(self, *paths):
        """The events in files; each line must be whole."""
        found = []
        for path in paths:
            content = path.read_text()
            self.assertTrue(content.endswith("\n") or not content)
            found += [json.loads(line) for line in content.splitlines()]
        return found

    def test_lines(self):
        d, path = self.file()
        added = d.add(50, "file")
        added += d.add(50, "file")
        self.assertTrue(d.wait_empty())
        self.assertEqual(numbers(self.read(path)), added)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o640 & ~self.umask())
        d.end()
        self.assertEqual(d.log, "")

    @staticmethod
    def umask():
        mask = os.umask(0)
        os.umask(mask)
        return mask

    def test_unfinished_line_of_a_crash(self):
        d, path = self.file(start=False)
        path.write_text('{"id":"whole"}\n{"id":"cu')
        d.start()
        added = d.add(3, "file")
        self.assertTrue(d.wait_empty())
        lines = path.read_text().splitlines()
        self.assertEqual(lines[:2], ['{"id":"whole"}', '{"id":"cu'])
        self.assertEqual([json.loads(line)["queue_id"] for line in lines[2:]], added)

    def test_rotation(self):
        """Renamed every 0.1 s while it is written: no line is lost or cut."""
        d, path = self.file()
        files, added = [], []
        end = time.monotonic() + 120
        while len(files) < 12:
            self.assertLess(time.monotonic(), end)
            for _ in range(5):
                added += d.add(40, "file")
                time.sleep(0.02)
            if path.exists():
                files.append(path.with_name("events.json.%d" % len(files)))
                path.rename(files[-1])
        self.assertTrue(d.wait_empty())
        self.assertEqual(numbers(self.read(*files, *([path] if path.exists() else []))), added)

    def test_emptied(self):
        """logrotate's copytruncate."""
        d, path = self.file()
        added = d.add(10, "file")
        self.assertTrue(d.wait_empty())
        copy = path.with_name("copy")
        shutil.copyfile(path, copy)
        os.truncate(path, 0)
        added += d.add(10, "file")
        self.assertTrue(d.wait_empty())
        self.assertEqual(numbers(self.read(copy, path)), added)

    def test_killed(self):
        d, path = self.file(start=False)
        added = []
        for i in range(10):
            d.start()
            added += d.add(200, "file", octets=1000)
            time.sleep(0.01 * i)
            d.kill()
        d.start()
        self.assertTrue(d.wait_empty())
        found = []
        for line in path.read_text().splitlines():
            if line.endswith("}"):      # else what a killed write left
                found.append(json.loads(line))
        by_id = {event["id"]: event for event in found}
        self.assertEqual(numbers(by_id.values()), added)
        print("# %d events, %d lines" % (len(added), len(found)))

    def test_not_possible(self):
        """Later again, with a reason; other destinations do not wait for it."""
        server = webhookserver.Server().start()
        self.addCleanup(server.stop)
        d, path = self.file(webhooks=[{"name": "all", "url": server.url, **dispatch_common.QUICK}], start=False)
        path.mkdir()
        d.start()
        added = d.add(5, "file", "all")
        self.await_complete(server, added)
        self.assert_log(d, "events: file: down: .*/events.json: Is a directory")
        path.rmdir()
        d.tell("retry")
        self.assertTrue(d.wait_empty())
        self.assertEqual(numbers(self.read(path)), added)
        self.assert_log(d, "events: file: up again after")

    def test_not_a_file(self):
        d, path = self.file(start=False)
        os.mkfifo(path)
        d.start()
        d.add(5, "file")
        self.assert_log(d, "events: file: down: .*/events.json: not a regular file")

    def test_reload_to_another_file(self):
        d, path = self.file()
        added = d.add(5, "file")
        self.assertTrue(d.wait_empty())
        other = path.with_name("other.json")
        d.write_config(events={"file": str(other)})
        d.tell("reload")
        added += d.add(5, "file")
        self.assertTrue(d.wait_empty())
        self.assertEqual(numbers(self.read(path, other)), added)
        self.assertEqual(len(self.read(other)), 5)


class StreamTest(dispatch_common.DispatchTest):
    KEY = "events:of-mail"

    def redis(self, *options):
        server = redis.Server(*options).start()
        self.addCleanup(server.stop)
        return server

    def stream(self, server, **events):
        return self.dispatch(events={"stream": self.KEY, **events},
                             redis={"address": server.address, "connect_timeout_ms": 1000, "command_timeout_ms": 2000})

    def entries(self, server):
        """[{field: value}] of the stream."""
        return [dict(zip(fields[::2], fields[1::2])) for _, fields in server.command("XRANGE", self.KEY, "-", "+")]

    def test_entries(self):
        server = self.redis()
        d = self.stream(server)
        added = d.add(1200, "stream")
        self.assertTrue(d.wait_empty())
        entries = self.entries(server)
        events = [json.loads(entry["event"]) for entry in entries]
        self.assertEqual(numbers(events), added)
        for entry, event in zip(entries, events):
            self.assertEqual((entry["id"], entry["type"], entry["pool"]), (event["id"], event["type"], event["pool"]))
        self.assertEqual(d.changes("stream"), "")

    def test_one_round_trip_for_a_batch(self):
        server = self.redis()
        d = self.stream(server)
        d.add(1, "stream")
        self.assertTrue(d.wait_empty())
        before = server.command("INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2].split(",")[0]
        d.add(300, "stream")
        self.assertTrue(d.wait_empty())
        after = server.command("INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2].split(",")[0]
        self.assertEqual(int(after) - int(before), 1)

    def test_bounded(self):
        server = self.redis()
        d = self.stream(server, stream_max=100)
        d.add(3000, "stream", octets=10)
        self.assertTrue(d.wait_empty())
        self.assertTrue(100 <= server.command("XLEN", self.KEY) < 400, server.command("XLEN", self.KEY))

    def test_restarted(self):
        """Redis comes and goes: at least once, in order, repeats with the same id."""
        server = self.redis("appendonly yes", "appendfsync always")
        d = self.stream(server)
        added, stop = [], threading.Event()

        def restart():
            while not stop.wait(0.7):
                server.kill()
                time.sleep(0.2)
                server.start()
        restarter = threading.Thread(target=restart)
        restarter.start()
        try:
            for _ in range(60):
                added += d.add(20, "stream")
                time.sleep(0.05)
        finally:
            stop.set()
            restarter.join()
        self.assertTrue(d.wait_empty())
        entries = self.entries(server)
        by_id = {entry["id"]: json.loads(entry["event"]) for entry in entries}
        self.assertEqual(numbers(by_id.values()), added)
        print("# %d events, %d entries, %s" % (len(added), len(entries), d.changes("stream")))
        self.assertIn("du", d.changes("stream"))

    def test_back_at_once(self):
        """However long the back-off has grown: when the server is found again, events go."""
        server = self.redis()
        d = self.stream(server)
        added = d.add(5, "stream")
        self.assertTrue(d.wait_empty())
        server.kill()
        added = d.add(5, "stream")
        self.assertTrue(daemon.wait_for(lambda: d.queue()["stream"][2] >= 3, 20))
        server.start()
        begin = time.monotonic()
        self.assertTrue(d.wait_empty())
        took = time.monotonic() - begin
        print("# %.1f s after its start" % took)
        if not dispatch_common.SLOW:
            self.assertLess(took, 4)
        self.assertEqual(numbers(json.loads(entry["event"]) for entry in self.entries(server)), added)

    def test_hangs(self):
        server = self.redis()
        d = self.stream(server)
        added = d.add(5, "stream")
        self.assertTrue(d.wait_empty())
        server.pause()
        added += d.add(5, "stream")
        self.assert_log(d, "events: stream: down: .*no reply in time")
        server.resume()
        self.assertTrue(d.wait_empty())
        by_id = {entry["id"]: json.loads(entry["event"]) for entry in self.entries(server)}
        self.assertEqual(numbers(by_id.values()), added)

    def test_key_is_something_else(self):
        server = self.redis()
        server.command("SET", self.KEY, "a text")
        d = self.stream(server)
        added = d.add(5, "stream")
        self.assert_log(d, "events: stream: down: .*WRONGTYPE")
        self.assertEqual(server.command("GET", self.KEY), "a text")
        server.command("DEL", self.KEY)
        self.assertTrue(d.wait_empty())
        self.assertEqual(numbers(json.loads(entry["event"]) for entry in self.entries(server)), added)


if __name__ == "__main__":
    tap.main()
