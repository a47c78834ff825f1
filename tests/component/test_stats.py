#!/usr/bin/python3
"""Statistics: what each kind of message counts as, over restarts and several nodes, and how poolctl tells it.

poolctl reads them from the daemon, from Redis, and from the state file of a daemon that does not run;
the last is also how tests give it numbers of their own.
"""
import collections
import csv
import datetime
import hashlib
import io
import json
import os
import pathlib
import re
import stat
import time
import xml.etree.ElementTree

import common
import daemon
import redis_common
import sink
from prometheus_client.parser import text_string_to_metric_families

ISPS = ({"name": "big", "domains": ["big.example"], "limits": ["2/hour"]},
        {"name": "all", "domains": ["all.example"], "total_limits": ["1/hour"]},
        {"name": "net", "domains": ["net.example"]})
MESSAGE_FIELDS = ("messages recipients octets signatures encoded deferred_limit deferred_recipients held warned "
                  "deferred rejected passed errors local_limit unknown_limit").split()
EVENT_FIELDS = ("delivered delayed bounced expired complaints bounced_bad_mailbox bounced_bad_domain bounced_inactive "
                "bounced_full bounced_temporary bounced_reputation bounced_policy bounced_authentication bounced_rate "
                "bounced_other").split()
FIELDS = MESSAGE_FIELDS + EVENT_FIELDS


def now():
    """The time, as long as the hour is not nearly over: what comes after it is to be the same hour."""
    found = datetime.datetime.now(datetime.timezone.utc)
    if found.minute == 59:
        time.sleep(61 - found.second)
        found = datetime.datetime.now(datetime.timezone.utc)
    return found


NOW = now()


def hour(ago):
    """The hour of some hours ago, as keys have it."""
    return (NOW - datetime.timedelta(hours=ago)).strftime("%Y%m%d%H")


def iso(ago):
    return (NOW - datetime.timedelta(hours=ago)).strftime("%Y-%m-%dT%H:00Z")


def state(numbers):
    """limits.state with {key: {field: value}}; core/limiter_state.c."""
    text = "poolmilter-limits 1\n" + "".join("tally %s %s %d\n" % (key, field, value)
                                             for key, fields in numbers.items()
                                             for field, value in fields.items())
    return text + "sha256 %s\n" % hashlib.sha256(text.encode()).hexdigest()


class StatsTest(common.ComponentTest):
    def poolctl(self, server, *options, status=0):
        done = daemon.poolctl("stats", "-c", server.config, *options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return (done.stdout if status == 0 else done.stderr).decode()

    def rows(self, server, *options):
        """{labels: {field: value not 0}} of poolctl stats --json; the total's labels are None."""
        answer = json.loads(self.poolctl(server, "--json", *options))
        found = {}
        for row in [*answer["rows"], answer["total"]]:
            labels = tuple(row.pop(name) for name in answer["by"]) if row is not answer["total"] else None
            self.assertEqual(list(row), FIELDS)
            found[labels] = {field: value for field, value in row.items() if value}
        return found


class Stored(StatsTest):
    """Numbers that stand in a state file."""

    NUMBERS = {
        "p/acme/" + hour(0): {"messages": 100, "recipients": 150, "octets": 5 * 1024 * 1024, "signatures": 100},
        "p/acme/" + hour(2): {"messages": 50, "recipients": 50, "octets": 999, "deferred_limit": 7},
        "p/acme/" + hour(50): {"messages": 3, "recipients": 3, "octets": 1},
        "p/beta/" + hour(2): {"messages": 25, "recipients": 25, "octets": 1024, "rejected": 10},
        "p/-/" + hour(1): {"passed": 4},
        "pi/acme/gmail/" + hour(0): {"messages": 90, "recipients": 90},
        "pi/acme/yahoo/" + hour(0): {"messages": 60, "recipients": 60},
        "pi/acme/gmail/" + hour(2): {"messages": 50, "recipients": 50, "deferred_limit": 7},
        "pi/beta/gmail/" + hour(2): {"messages": 25, "recipients": 25, "rejected": 10},
        "over/acme/p/acme/5000/hour/" + hour(2): {"deferred": 7},
    }

    def stored(self, numbers=None):
        server = self.prepare()
        path = server.directory / "state" / "limits.state"
        path.write_text(state(self.NUMBERS if numbers is None else numbers))
        path.chmod(0o600)
        return server


class Report(Stored):
    def test_by_pool(self):
        self.assertEqual(self.rows(self.stored()), {
            ("-",): {"passed": 4},
            ("acme",): {"messages": 150, "recipients": 200, "octets": 5243879, "signatures": 100,
                        "deferred_limit": 7},
            ("beta",): {"messages": 25, "recipients": 25, "octets": 1024, "rejected": 10},
            None: {"messages": 175, "recipients": 225, "octets": 5244903, "signatures": 100,
                   "deferred_limit": 7, "rejected": 10, "passed": 4}})

    def test_by_isp_counts_a_message_once_in_the_total(self):
        found = self.rows(self.stored(), "--by", "isp")
        self.assertEqual(found[("gmail",)]["messages"], 165)
        self.assertEqual(found[("yahoo",)]["messages"], 60)
        self.assertEqual(found[None]["messages"], 175)
        self.assertEqual(set(found), {("gmail",), ("yahoo",), None})

    def test_of_an_isp(self):
        found = self.rows(self.stored(), "--isp", "gmail")
        self.assertEqual(found, {("acme",): {"messages": 140, "recipients": 140, "deferred_limit": 7},
                                 ("beta",): {"messages": 25, "recipients": 25, "rejected": 10},
                                 None: {"messages": 165, "recipients": 165, "deferred_limit": 7, "rejected": 10}})

    def test_by_time(self):
        server = self.stored()
        found = self.rows(server, "--pool", "acme", "--by", "hour", "--since", "3d")
        self.assertEqual({labels and labels[0]: row["messages"] for labels, row in found.items()},
                         {iso(0): 100, iso(2): 50, iso(50): 3, None: 153})
        days = collections.Counter()
        for ago, messages in ((0, 100), (2, 75), (50, 3)):
            days[iso(ago)[:10]] += messages
        found = self.rows(server, "--by", "day", "--since", "3d")
        self.assertEqual({labels[0]: row["messages"] for labels, row in found.items()
                          if labels and "messages" in row}, dict(days))
        found = self.rows(server, "--by", "pool,hour", "--since", "1h")
        self.assertEqual(set(found), {("acme", iso(0)), ("-", iso(1)), None})

    def test_since(self):
        server = self.stored()
        for text, messages in (("24h", 175), ("1h", 100), ("2h", 175), ("3d", 178), ("3650d", 178),
                               ((NOW - datetime.timedelta(days=4)).strftime("%Y-%m-%d"), 178),
                               ((NOW + datetime.timedelta(days=1)).strftime("%Y-%m-%d"), 0)):
            with self.subTest(text):
                self.assertEqual(self.rows(server, "--since", text)[None].get("messages", 0), messages)

    def test_table(self):
        lines = self.poolctl(self.stored()).splitlines()
        self.assertRegex(lines[0], r"^since %s, from .*limits\.state" % iso(24))
        self.assertEqual(lines[1], "")
        cells = [line.split() for line in lines[2:]]
        self.assertEqual(cells, [
            ["POOL", "MESSAGES", "RCPTS", "SIZE", "SIGNED", "LIMITED", "DEFERRED", "REJECTED", "PASSED", "ERRORS"],
            ["-", "0", "0", "0", "0", "0", "0", "0", "4", "0"],
            ["acme", "150", "200", "5.0M", "100", "7", "0", "0", "0", "0"],
            ["beta", "25", "25", "1.0K", "0", "0", "0", "10", "0", "0"],
            ["total", "175", "225", "5.0M", "100", "7", "0", "10", "4", "0"]])
        self.assertEqual(len({len(line) for line in lines[2:]}), 1)     # numbers stand to the right
        self.assertEqual(self.poolctl(self.stored(), "--by", "isp").splitlines()[1],
                         "a message to several ISPs is in the line of each, and once in the total")

    def test_csv(self):
        text = daemon.poolctl("stats", "-c", self.stored().config, "--csv", "--by", "pool,hour").stdout
        self.assertEqual(text.count(b"\n"), text.count(b"\r\n"))
        rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
        self.assertEqual(list(rows[0]), ["pool", "hour", *FIELDS])
        self.assertEqual([(row["pool"], row["hour"], row["messages"]) for row in rows],
                         [("-", iso(1), "0"), ("acme", iso(2), "50"), ("acme", iso(0), "100"),
                          ("beta", iso(2), "25")])

    def test_no_mail(self):
        server = self.stored({})
        self.assertRegex(self.poolctl(server), r"^no mail since %s \(.*\)\n$" % iso(24))
        server = self.stored()
        self.assertRegex(self.poolctl(server, "--pool", "other", "--isp", "gmail"),
                         r"^no mail of pool other to gmail since ")
        self.assertEqual(self.rows(server, "--pool", "other"), {None: {}})
        self.assertEqual(self.poolctl(server, "--csv", "--pool", "other").splitlines(), ["pool," + ",".join(FIELDS)])

    def test_keys_that_are_not_ours(self):
        """What somebody else has written there stands in no output."""
        strange = {key + "/" + hour(0): {"messages": 1} for key in (
            "p/a b", "p/a'b", "p/a\"b", "p/", "p", "pi/acme", "pi/acme/", "pi/acme/g,h", "x/acme", "p/acme/x/y")}
        strange.update({"p/acme/2026": {"messages": 1}, "p/acme/20261120xx": {"messages": 1},
                        "p/acme/" + hour(1): {"strange": 1}})
        text = "".join("tally %s %s 1\n" % (key.replace(" ", "%20"), next(iter(fields)))
                       for key, fields in strange.items())
        text = "poolmilter-limits 1\n" + text
        server = self.prepare()
        path = server.directory / "state" / "limits.state"
        path.write_text(text + "sha256 %s\n" % hashlib.sha256(text.encode()).hexdigest())
        self.assertEqual(self.rows(server), {None: {}})
        self.assertEqual(self.rows(server, "--by", "isp"), {None: {}})

    def test_usage(self):
        server = self.stored()
        for options, words in {
                ("--since", "24"): "--since", ("--since", "0h"): "--since", ("--since", "3651d"): "--since",
                ("--since", "2026-02-30"): "--since", ("--since", "2026-2-3"): "--since",
                ("--since", "24hours"): "--since", ("--since", ""): "--since", ("--since", "-1h"): "--since",
                ("--by", "week"): "--by", ("--by", ""): "--by", ("--by", "pool,pool"): "--by",
                ("--by", "pool,"): "--by", ("--pool", "a'b"): "--pool", ("--pool", ""): "--pool",
                ("--isp", "a b"): "--isp", ("--json", "--csv"): "one of",
                ("--csv", "--plot", "x.svg"): "one of", ("x",): "unexpected argument"}.items():
            with self.subTest(options):
                self.assertIn("poolctl stats: " + words, self.poolctl(server, *options, status=64))

    def test_help(self):
        for field in ("--pool", "--isp", "--since", "--by", "--json", "--csv", "--plot"):
            self.assertIn(field, daemon.poolctl("stats", "--help").stdout.decode())


class Plot(Stored):
    def draw(self, server, *options, path=None, status=0):
        """{title: [(left, height)]} of the boxes in the picture, without the legend's; both panels."""
        picture = pathlib.Path(path or server.directory / "plot.svg")
        answer = self.poolctl(server, "--plot", picture, *options, status=status)
        if status:
            return answer
        self.assertEqual(answer, "")
        text = picture.read_text()
        xml.etree.ElementTree.fromstring(text)      # well-formed
        boxes = {}
        for part in text.split('<g id="gnuplot_plot_')[1:]:
            title = re.search(r"<title>([^<]*)</title>", part)[1]
            corners = [re.findall(r"[\d.]+", each) for each in re.findall(r"points = '([^']*)'", part)]
            boxes[title] = [(float(each[0]), float(each[1]) - float(each[-1])) for each in corners[1:]]
        return boxes

    def test_heights(self):
        boxes = self.draw(self.stored(), "--since", "6h")
        self.assertEqual(list(boxes), ["beta", "acme", "rejected", "held", "deferred, other", "deferred, limit"])
        (two, before), (now, last) = boxes["acme"]
        self.assertLess(two, now)
        self.assertAlmostEqual(before / last, 0.5, 2)
        (left, stacked), (_, same) = boxes["beta"]      # upon acme's, behind which the second box hides
        self.assertEqual(left, two)
        self.assertAlmostEqual(stacked / last, 0.75, 2)
        self.assertAlmostEqual(same / last, 1, 2)
        self.assertAlmostEqual(boxes["deferred, limit"][0][1] / boxes["rejected"][0][1], 7 / 17, 2)

    def test_by_isp_and_of_a_pool(self):
        server = self.stored()
        self.assertEqual(list(self.draw(server, "--by", "isp"))[:2], ["yahoo", "gmail"])
        boxes = self.draw(server, "--pool", "beta")
        self.assertEqual(list(boxes)[0], "beta")
        self.assertEqual(len(boxes["beta"]), 1)

    def test_many_pools_and_days(self):
        numbers = {"p/pool_%02d/%s" % (pool, hour(24 * day)): {"messages": 100 - pool}
                   for pool in range(12) for day in range(20)}
        boxes = self.draw(self.stored(numbers), "--since", "20d")
        self.assertEqual(list(boxes)[:9], ["others", *("pool_%02d" % pool for pool in range(7, -1, -1))])
        self.assertEqual({len(each) for each in list(boxes.values())[:9]}, {20})

    def test_long_names_and_no_mail(self):
        server = self.stored({"p/%s/%s" % ("n" * 64, hour(0)): {"messages": 1}})
        self.assertEqual(list(self.draw(server))[0], "n" * 22 + "...")
        self.assertEqual(self.draw(server, "--pool", "other")["no mail"], [])

    def environment(self, **values):
        """For poolctl of this test; temporary files go to a directory that must be empty at the end."""
        temporary = daemon.new_directory("tmp")
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ.update({"TMPDIR": str(temporary), **values})
        return temporary

    def test_gnuplot_is_not_installed(self):
        server, temporary = self.stored(), self.environment(PATH=str(daemon.new_directory("empty")))
        self.assertEqual(self.draw(server, status=69),
                         "poolctl stats: --plot: gnuplot draws the picture and is not installed: on Debian it is in "
                         "the package gnuplot-nox\n")
        self.assertEqual(list(temporary.iterdir()), [])
        self.assertFalse((server.directory / "plot.svg").exists())

    def test_gnuplot_fails(self):
        for name, script, words in (("status", "echo boom >&2; exit 3", "boom"), ("nothing", "exit 0", "nothing"),
                                    ("killed", "kill -9 $$", "signal 9")):
            with self.subTest(name):
                bin_directory = daemon.new_directory("bin")
                program = bin_directory / "gnuplot"
                program.write_text("#!/bin/sh\n%s\n" % script)
                program.chmod(0o755)
                temporary = self.environment(PATH="%s:/usr/bin:/bin" % bin_directory)
                server = self.stored()
                (server.directory / "plot.svg").write_text("before")
                self.assertIn(words, self.draw(server, status=70))
                self.assertEqual((server.directory / "plot.svg").read_text(), "before")
                self.assertEqual(list(temporary.iterdir()), [])

    def test_file_cannot_be_written(self):
        server, temporary = self.stored(), self.environment()
        self.assertIn("no/plot.svg", self.draw(server, path=server.directory / "no" / "plot.svg", status=73))
        self.assertEqual(list(temporary.iterdir()), [])


class Counting(StatsTest):
    """By a daemon."""

    redis_up = None     # in metrics

    def limited(self, **settings):
        return self.serve([daemon.pool(),
                           daemon.pool("hold", "hold.example", limits=["1/hour"], on_limit="hold"),
                           daemon.pool("warn", "warn.example", limits=["1/hour"], on_limit="warn")],
                          isps=ISPS, max_message_size=100000, **settings)

    def send(self, session, *recipients, **more):
        return common.send(session, recipients=[each.encode() for each in recipients], **more)

    def assert_status(self, result, status, refused=0):
        self.assertEqual((result.status, len(result.refused)), (status, refused), result.reply)

    def all_kinds(self, server):
        """A message of each kind; what they count as: {(pool, isp): {field: value}}."""
        want = collections.defaultdict(collections.Counter)
        sizes = {}

        def count(result, pool, isps, **fields):
            sizes[result.queue_id] = (pool, isps)
            for isp in isps:
                want[pool, isp].update(fields)

        session = self.session(server)
        done = {"messages": 1, "recipients": 1, "signatures": 1}
        for _ in range(2):
            result = self.send(session, "a@big.example", "b@net.example")
            self.assert_status(result, "accepted")
            count(result, "acme", ("big", "net"), **done)
        result = self.send(session, "a@big.example")
        self.assert_status(result, "deferred")
        want["acme", "big"]["deferred_limit"] += 1
        result = self.send(session, "a@all.example")
        self.assert_status(result, "accepted")
        count(result, "acme", ("all",), **done)
        # Over total_limits: at the end of the message, or known at RCPT, with Redis from a message before only.
        result = self.send(session, "b@all.example")
        self.assert_status(result, "deferred", refused=result.stage == "rcpt")
        want["acme", "all"]["deferred_recipients" if result.stage == "rcpt" else "deferred_limit"] += 1
        result = self.send(session, "b@all.example", "b@net.example")
        self.assert_status(result, "accepted", refused=1)
        count(result, "acme", ("net",), **done)
        want["acme", "all"]["deferred_recipients"] += 1
        for pool in ("hold", "warn"):
            result = self.send(session, "a@net.example", sender=b"a@%s.example" % pool.encode())
            count(result, pool, ("net",), **done)
            result = self.send(session, "a@net.example", sender=b"a@%s.example" % pool.encode())
            self.assert_status(result, "accepted")
            if pool == "warn":
                count(result, pool, ("net",), warned=1, **done)
        self.assertTrue(want["hold", "net"])
        want["hold", "net"]["held"] += 1
        self.assert_status(self.send(session, "a@net.example", sender=b"a@elsewhere.example"), "accepted")
        self.assert_status(self.send(session, "a@net.example", data=common.message(body=b"x" * 70 + b"\r\n") +
                                     (b"x" * 70 + b"\r\n") * 2000), "rejected")
        with_no_login = self.session(server, login=None)
        self.assert_status(self.send(with_no_login, "a@net.example"), "accepted")
        want["-", "-"].update(passed=2, rejected=1)
        for queue_id, (pool, isps) in sizes.items():
            for isp in isps:
                want[pool, isp]["octets"] += int(server.message_line(queue_id)["size"])
        return {key: dict(fields) for key, fields in want.items()}

    def await_rows(self, server, labels, **fields):
        """With Redis the numbers are sent every few seconds."""
        found = lambda: {field: self.rows(server).get(labels, {}).get(field, 0) for field in fields}
        daemon.wait_for(lambda: found() == fields, 20, 0.2)
        self.assertEqual(found(), fields)

    def assert_counted(self, server, want):
        """By pool and ISP as wanted, and the same in each pool, messages to two ISPs once."""
        self.await_rows(server, None, messages=7, passed=2)
        found = self.rows(server, "--by", "pool,isp")
        total = found.pop(None)
        self.assertEqual(found, want)
        pools = self.rows(server)
        self.assertEqual(pools.pop(None), total)
        self.assertEqual(pools[("hold",)], want["hold", "net"])
        self.assertEqual(pools[("warn",)], want["warn", "net"])
        self.assertEqual(pools[("-",)], want["-", "-"])
        self.assertEqual(pools[("acme",)]["messages"], 4)
        self.assertEqual(pools[("acme",)]["recipients"], 6)

    def test_all_kinds_and_a_restart(self):
        server = self.limited()
        want = self.all_kinds(server)
        self.assert_counted(server, want)
        self.assertEqual(server.stop(), 0)
        self.assert_counted(server, want)       # from the state file
        server.start()
        self.assert_counted(server, want)
        self.send(self.session(server), "a@net.example", sender=b"a@warn.example")
        self.await_rows(server, ("warn",), messages=3)

    def test_a_reload_forgets_nothing(self):
        server = self.limited()
        want = self.all_kinds(server)
        server.reload()
        self.assert_counted(server, want)

    def test_summary(self):
        server = self.limited(stats_interval=1)
        session = self.session(server)
        result = self.send(session, "a@net.example")
        size = int(server.message_line(result.queue_id)["size"])
        line = server.wait_log(r"stats: pool=acme messages=1 ")
        words = line[line.index("stats: ") + len("stats: "):].split()
        self.assertEqual([word.partition("=")[0] for word in words], ["pool", *MESSAGE_FIELDS, "seconds"])
        got = dict(word.split("=") for word in words)
        self.assertEqual({field: int(got[field]) for field in MESSAGE_FIELDS if got[field] != "0"},
                         {"messages": 1, "recipients": 1, "octets": size, "signatures": 1})
        known = len(server.lines)
        self.send(session, "a@net.example", sender=b"a@hold.example")
        server.wait_log(r"stats: pool=hold messages=1 ", since=known)
        self.assertEqual([line for line in server.lines[known:] if "stats: pool=acme" in line], [])

    def test_metrics_file(self):
        path = daemon.new_directory("metrics") / "poolmilter.prom"
        server = self.limited(metrics_file=str(path))
        want = self.all_kinds(server)
        daemon.wait_for(lambda: path.exists() and 'poolmilter_pool_passed_total{pool="-"} 2' in path.read_text(), 40,
                        0.2)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        self.assertEqual([each.name for each in path.parent.iterdir()], [path.name])
        found = {}
        for family in text_string_to_metric_families(path.read_text()):
            for sample in family.samples:
                found[sample.name, sample.labels.get("pool"), sample.labels.get("isp")] = sample.value
        for pool, isp in want:
            self.assertEqual(found["poolmilter_isp_messages_total", pool, isp], want[pool, isp].get("messages", 0))
            self.assertEqual(found["poolmilter_isp_octets_total", pool, isp], want[pool, isp].get("octets", 0))
        self.assertEqual(found["poolmilter_pool_held_total", "hold", None], 1)
        self.assertEqual(found["poolmilter_pools", None, None], 3)
        self.assertEqual(found.get(("poolmilter_redis_up", None, None)), self.redis_up)
        self.assertEqual(found["poolmilter_message_duration_seconds_count", None, None],
                         len(re.findall(r" took_ms=\d", server.log)))


class Split(StatsTest):
    """Each recipient counts once, with the message or with the copy that went to it."""

    ISPS = ({"name": "one", "domains": ["one.example"], "encoding": {"global": "base64"}},
            {"name": "two", "domains": ["two.example"]})
    MIXED = (b"a@one.example", b"b@two.example", b"c@two.example")

    def setUp(self):
        self.sink = sink.Sink().start()
        self.addCleanup(self.sink.stop)
        self.server = self.serve(isps=self.ISPS, mixed_isps="split",
                                 reinject="smtp://127.0.0.1:%d" % self.sink.port)

    def recipients(self):
        return {labels and labels[0]: (row["messages"], row["recipients"])
                for labels, row in self.rows(self.server, "--by", "isp").items()}

    def test_copies(self):
        first = common.send(self.session(self.server), recipients=self.MIXED)
        self.assertEqual(first.recipients, [b"a@one.example"])
        self.assertEqual(self.recipients(), {"one": (1, 1), None: (1, 1)})
        copy, = self.sink.wait(1, timeout=10)
        inner = self.session(self.server, login=None, client=b"127.0.0.1", hostname=b"localhost")
        again = common.send(inner, copy.content, copy.sender.encode(), [each.encode() for each in copy.rcpts])
        self.assertEqual(again.status, "accepted")
        self.assertEqual(self.recipients(), {"one": (1, 1), "two": (1, 2), None: (2, 3)})

    def test_copies_that_are_not_taken(self):
        self.sink.stop()
        first = common.send(self.session(self.server), recipients=self.MIXED)
        self.assertEqual(len(first.recipients), 3)
        self.assertEqual(self.recipients(), {"one": (1, 1), "two": (1, 2), None: (1, 3)})


class Shared(Counting, redis_common.RedisTest):
    """The same, and more, with Redis, where several nodes count."""

    redis_up = 1

    def limited(self, **settings):
        if not hasattr(self, "store"):
            self.store = self.redis()
        server = super().limited(redis=redis_common.settings(self.store), **settings)
        self.await_up(server)
        return server

    def test_nodes_add_up(self):
        nodes = [self.limited(), self.limited()]
        for count, server in enumerate(nodes, 3):
            session = self.session(server)
            for _ in range(count):
                self.assert_status(self.send(session, "a@net.example"), "accepted")
        for server in nodes:
            self.await_rows(server, ("acme",), messages=7, recipients=7)
        self.assertRegex(self.poolctl(nodes[0]), "^since .*, from Redis at %s\n" % re.escape(self.store.address))
        keys = self.store.command("KEYS", "*/" + hour(0))
        self.assertGreaterEqual(len(keys), 2)
        for key in keys:
            self.assertGreater(self.store.command("TTL", key), 29 * 86400, key)

    def test_counted_while_redis_is_away(self):
        """It is told afterwards, once."""
        server = self.limited()
        self.store.kill()
        session = self.session(server)
        for _ in range(2):
            self.assert_status(self.send(session, "a@net.example", sender=b"a@warn.example"), "accepted")
        self.assertIn("poolctl stats: ", self.poolctl(server, status=69))
        known = len(server.lines)
        self.store.start()
        self.await_up(server, since=known)
        self.await_rows(server, ("warn",), messages=2, warned=1, local_limit=2)


if __name__ == "__main__":
    common.main()
