#!/usr/bin/python3
"""Metrics as Prometheus' own Python library reads them; the dashboard and the manual name what there is."""
import collections
import json
import os
import pathlib
import re
import subprocess

import tap
from prometheus_client.parser import text_string_to_metric_families

SOURCE = pathlib.Path(os.environ["top_srcdir"])
PRINT = os.environ["METRICSPRINT"]
DASHBOARD = SOURCE / "contrib" / "grafana" / "poolmilter.json"
LIMIT = "pi/acme/gmail/20/second"
FIELDS_OF_ISP = {"messages", "recipients", "octets", "deferred_limit", "deferred_recipients", "held", "warned"}
CATEGORIES = ("bad_mailbox", "bad_domain", "inactive", "full", "temporary", "reputation", "policy",
              "authentication", "rate", "other")
NAME = re.compile(r"poolmilter_[a-z_]+")


def printed(*options):
    return subprocess.run([PRINT, *options], check=True, capture_output=True).stdout.decode()


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(text):
    """{name: {sorted label pairs: value}}; a series that is there twice is an error."""
    found = collections.defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert key not in found[sample.name], "twice: %s %s" % (sample.name, key)
            found[sample.name][key] = sample.value
    return found


def of(pool, isp=None):
    return (("isp", isp), ("pool", pool)) if isp else (("pool", pool),)


class Text(tap.TestCase):
    maxDiff = None

    def test_form(self):
        for text in (printed(), printed("--events")):
            self.form(text)

    def form(self, text):
        self.assertTrue(text.endswith("\n") and "\n\n" not in text)
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) )?poolmilter_[a-z_]+[ {]")
        for word in ("HELP", "TYPE"):
            names = re.findall(r"(?m)^# %s (\S+)" % word, text)
            self.assertEqual(len(names), len(set(names)), word)
        self.assertEqual(re.findall(r"(?m)^# HELP (\S+)", text), re.findall(r"(?m)^# TYPE (\S+)", text))

    def test_types(self):
        """Counters end in _total and nothing else does, which the library takes off their families."""
        for name, family in (families(printed("--redis")) | families(printed("--events"))).items():
            want = "histogram" if name.endswith("_duration_seconds") else \
                "counter" if family.samples and family.samples[0].name.endswith("_total") else "gauge"
            self.assertEqual(family.type, want, name)
            self.assertTrue(family.documentation.endswith("."), name)

    def test_counters_of_a_pool(self):
        found = samples(printed())
        want = {"messages": 4, "recipients": 8, "octets": 16384, "signatures": 2, "encoded": 1,
                "deferred_limit": 1, "deferred_recipients": 1, "held": 1, "warned": 1, "deferred": 1,
                "rejected": 1, "passed": 1, "errors": 1, "local_limit": 1, "unknown_limit": 1}
        got = {name[len("poolmilter_pool_"):-len("_total")]: values[of("acme")]
               for name, values in found.items() if name.startswith("poolmilter_pool_")}
        self.assertEqual(got, want)
        self.assertEqual(found["poolmilter_pool_messages_total"][of("beta")], 1)
        self.assertEqual(found["poolmilter_pool_held_total"][of("beta")], 0)

    def test_counters_of_an_isp(self):
        found = samples(printed())
        for isp in ("gmail", "yahoo"):
            self.assertEqual(found["poolmilter_isp_messages_total"][of("acme", isp)], 4)
            self.assertEqual(found["poolmilter_isp_recipients_total"][of("acme", isp)], 4)
            self.assertEqual(found["poolmilter_isp_deferred_limit_total"][of("acme", isp)], 1)
        self.assertEqual(found["poolmilter_isp_deferred_recipients_total"][of("acme", "gmail")], 1)
        self.assertEqual(found["poolmilter_isp_deferred_recipients_total"][of("acme", "yahoo")], 0)
        names = {"poolmilter_isp_%s_total" % field for field in FIELDS_OF_ISP}
        self.assertEqual({name for name in found if name.startswith("poolmilter_isp_")}, names)
        for name in names:
            self.assertEqual(set(found[name]), {of(pool, isp) for pool in ("acme", "beta")
                                                for isp in ("gmail", "yahoo")})

    def test_counters_of_a_limit(self):
        got = {dict(key)["outcome"]: (dict(key)["pool"], dict(key)["limit"], value)
               for key, value in samples(printed())["poolmilter_limit_reached_total"].items()}
        self.assertEqual(got, {outcome: ("acme", LIMIT, 1)
                               for outcome in ("deferred", "held", "warned", "deferred_recipients")})

    def test_histogram(self):
        found = samples(printed())
        buckets = [(float(dict(key)["le"]), value) for key, value
                   in found["poolmilter_message_duration_seconds_bucket"].items()]
        self.assertEqual(buckets, sorted(buckets))
        values = [value for _, value in buckets]
        self.assertEqual(values, sorted(values))
        by_bound = dict(buckets)
        self.assertEqual([by_bound[bound] for bound in (0.00025, 0.0005, 0.001, 0.01, 0.025, 10)],
                         [1, 6, 7, 7, 8, 8])
        self.assertEqual(buckets[-1], (float("inf"), 9))
        self.assertEqual(found["poolmilter_message_duration_seconds_count"][()], 9)
        self.assertAlmostEqual(found["poolmilter_message_duration_seconds_sum"][()], 50.0224)

    def test_gauges(self):
        found = samples(printed())
        for name, value in {"start_time_seconds": 1795262340, "pools": 2, "messages_in_progress": 3,
                            "limit_keys": 7, "stats_keys": 11, "stats_lost_total": 0,
                            "metrics_left_out": 0}.items():
            self.assertEqual(found["poolmilter_" + name], {(): value}, name)
        self.assertRegex(dict(next(iter(found["poolmilter_build_info"])))["version"], r"^\d+\.\d+\.\d+")
        self.assertNotIn("poolmilter_redis_up", found)
        self.assertEqual(samples(printed("--redis"))["poolmilter_redis_up"], {(): 0})

    def test_label_is_escaped(self):
        found = samples(printed("--label"))
        self.assertEqual(found["poolmilter_pool_messages_total"],
                         {of('we\\ird "pool"\nof {one}, \u00fc'): 1})

    def test_bounded(self):
        """10,005 pools, each with two ISPs."""
        found = samples(printed("--many"))
        self.assertEqual(len(found["poolmilter_pool_passed_total"]), 10000)
        self.assertEqual(len(found["poolmilter_isp_messages_total"]), 10000)
        self.assertEqual(found["poolmilter_metrics_left_out"][()], 5 + 10010)


class Events(tap.TestCase):
    def test_counters(self):
        found = samples(printed("--events"))
        want = {"delivered": 10, "delayed": 10, "bounced": 10, "expired": 10, "complaints": 10,
                **{"bounced_" + category: 1 for category in CATEGORIES}}
        for kind, key in (("pool", of("acme")), ("isp", of("acme", "gmail"))):
            got = {name[len("poolmilter_%s_" % kind):-len("_total")]: values[key]
                   for name, values in found.items() if name.startswith("poolmilter_%s_" % kind)}
            self.assertEqual(got, want, kind)
        self.assertEqual(found["poolmilter_pool_delivered_total"][of("beta")], 1)
        self.assertEqual(found["poolmilter_pool_bounced_total"][of("beta")], 0)
        self.assertEqual(found["poolmilter_isp_delivered_total"][of("beta", "-")], 1)

    def test_destinations(self):
        found = samples(printed("--events"))
        for name, values in {"waiting": (0, 12, 200000), "dead": (0, 0, 7), "oldest_seconds": (0, 3, 3600),
                             "failures": (0, 1, 25)}.items():
            want = {(("destination", each),): value
                    for each, value in zip(("file", "stream", "webhook/acme"), values)}
            self.assertEqual(found["poolmilter_events_" + name], want, name)
        self.assertEqual(found["poolmilter_events_behind_seconds"], {(): 4})
        self.assertEqual(found["poolmilter_events_start_time_seconds"], {(): 1795262340})

    def test_no_name_is_in_both_files(self):
        self.assertEqual(set(samples(printed("--redis"))) & set(samples(printed("--events"))), set())


class Dashboard(tap.TestCase):
    def setUp(self):
        self.board = json.loads(DASHBOARD.read_text())
        self.panels = [panel for panel in self.board["panels"] if panel["type"] != "row"]
        self.variables = {each["name"]: each for each in self.board["templating"]["list"]}

    def expressions(self):
        queries = [target["expr"] for panel in self.panels for target in panel["targets"]]
        queries += [each["query"]["query"] for each in self.variables.values()
                    if each["type"] == "query"]
        return queries

    def test_expressions_name_what_is_written(self):
        written = set(samples(printed("--redis"))) | set(samples(printed("--events")))
        named = set()
        for expression in self.expressions():
            names = set(NAME.findall(expression))
            self.assertTrue(names, expression)
            self.assertEqual(names - written, set(), expression)
            named |= names
        self.assertGreater(len(named), 10)

    def test_expressions_are_whole(self):
        for expression in self.expressions():
            for pair in ("()", "{}", "[]"):
                self.assertEqual(expression.count(pair[0]), expression.count(pair[1]), expression)
            for variable in re.findall(r"\$(\w+)", expression):
                self.assertIn(variable, {*self.variables, "__rate_interval", "__range"}, expression)

    def test_labels_are_written(self):
        """Each label in braces or behind "by" is one that this metric has; instance comes from the scrape."""
        labels = {name: {label for key in values for label, _ in key} | {"instance"}
                  for name, values in (*samples(printed("--redis")).items(),
                                       *samples(printed("--events")).items())}
        for expression in self.expressions():
            for name, matchers in re.findall(r"(poolmilter_\w+)\{([^}]*)\}", expression):
                self.assertLessEqual(set(re.findall(r"(\w+)\s*=~?", matchers)), labels[name], expression)
            known = set().union(*(labels[name] for name in NAME.findall(expression)))
            for group in re.findall(r"by \(([^)]*)\)", expression):
                self.assertLessEqual({each.strip() for each in group.split(",")}, known, expression)

    def test_panels(self):
        ids = [panel["id"] for panel in self.board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken = set()
        for panel in self.board["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells
        for panel in self.panels:
            self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
        self.assertEqual(self.variables["datasource"]["type"], "datasource")


class Manual(tap.TestCase):
    def test_names_all_fields(self):
        """Each field has a paragraph of its own in poolmilter.conf(5), and each metric is named there."""
        page = (SOURCE / "doc" / "poolmilter.conf.5.in").read_text()
        section = re.search(r"(?ms)^\.SH STATISTICS$(.*?)^\.SH ", page).group(1)
        found = (*samples(printed("--redis")), *samples(printed("--events")))
        for name in found:
            if name.startswith("poolmilter_pool_"):
                self.assertRegex(section, r"(?m)^\.B %s$" % name[len("poolmilter_pool_"):-len("_total")])
            elif not name.startswith("poolmilter_isp_"):
                self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), section)


if __name__ == "__main__":
    tap.main()
