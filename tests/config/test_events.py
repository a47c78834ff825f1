#!/usr/bin/python3
"""Configurations of events, webhooks, locks and bounce patterns, as a table; cases.py tells its form."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                              # noqa: E402
from cases import Files, add_all, in_isp, in_pool, isps, pool, record, top # noqa: E402

REDIS = 'redis: { address = "127.0.0.1:6379"; };\n'
EVENTS = "events: { };\n"
SECRET = "0123456789abcdef\n"


def events(keys):
    return top("events: { %s\n};" % keys)


def given(keys, **own):
    """Those of the pairs whose key begins no line of keys, before keys."""
    return " ".join("%s = %s;" % item for item in own.items() if not re.search(r"^%s =" % item[0], keys, re.M)) + "\n" + keys


def hook(keys, name="main"):
    """A good webhook with more keys, or with a key of its own replaced."""
    return "{ " + given(keys, name='"%s"' % name, url='"https://example.com/e"') + "\n}"


def hooks(*items):
    return top(EVENTS + "webhooks = (\n%s\n);" % ",\n".join(items))


def hook_headers(*items):
    return hooks(hook("headers = (\n%s\n);" % ",\n".join("{ %s\n}" % item for item in items)))


def rule(keys, **own):
    own = own or {"category": '"rate"', "pause": '"15m"'}
    return "{ " + given(keys, name='"r"', threshold='"10/5m"', **own) + "\n}"


def locks(*rules):
    return top(EVENTS + "isps = (\n%s\n);" % record("locks = (\n%s\n);" % ",\n".join(rules)))


def patterns(*items, kind="bounces"):
    return top("%s = (\n%s\n);" % (kind, ",\n".join("{ %s\n}" % given(item, category='"policy"') for item in items)))


BAD = [
    # --- events ---
    ("events as a string", top('events = "journal"; #! events | is a string: expected a group')),
    ("log at a relative path", events('log = "mail.log"; #! events.log | "mail.log": expected an absolute path, "jo')),
    ("log in capital letters", events('log = "Journal"; #! events.log | "Journal": expected')),
    ("history as a number", events("history = 7; #! events.history | is a number: expected a string: a time from 1s to 31d")),
    ("history without a unit", events('history = "7"; #! events.history | "7": expected a time from 1s to 31d such as "90s"')),
    ("history of nothing", events('history = "0d"; #! events.history | "0d": expected a time')),
    ("history of 32 days", events('history = "32d"; #! events.history | "32d": expected a time from 1s to 31d')),
    ("history of 31 days and a second", events('history = "2678401s"; #! events.history | expected a time')),
    ("history of very many seconds", events('history = "99999999999999999999s"; #! events.history | expected a time')),
    ("history below nothing", events('history = "-1d"; #! events.history | "-1d": expected a time')),
    ("history in words", events('history = "day"; #! events.history | "day": expected a time')),
    ("history with a blank", events('history = "7 d"; #! events.history | "7 d": expected a time')),
    ("history with a fraction", events('history = "1.5d"; #! events.history | "1.5d": expected a time')),
    ("max_age in weeks", events('max_age = "1w"; #! events.max_age | "1w": expected a time')),
    ("keep in two units", events('keep = "1d12h"; #! events.keep | "1d12h": expected a time')),
    ("event file at a relative path", events('file = "events.json"; #! events.file | expected an absolute path')),
    ("stream with a blank", events('stream = "a b"; #! events.stream | without blanks')),
    ("stream without redis", events('stream = "events"; #! events.stream | expected the group redis too')),
    ("stream of nothing", events("stream_max = 0; #! events.stream_max | from 1 to 1000000000")),
    ("unverified as a word", events('unverified = "no"; #! events.unverified | expected true or false')),
    ("unknown key of events", events('max_aged = "1d"; #! events.max_aged | did you mean "max_age"?')),
    ("21 event headers",
     top("event_headers = [ %s ]; #! event_headers | has 21 names: expected at most 20"
         % ", ".join('"X-%d"' % i for i in range(21)))),
    ("event header twice", top('event_headers = [ "X-A",\n"x-a" #! event_headers[1] | "x-a": stands here twice\n];')),
    ("event header with a colon", top('event_headers = [ "X-A:" ]; #! event_headers[0] | a header\'s name')),
    ("event header with a star", top('event_headers = [ "X-*" ]; #! event_headers[0] | a header\'s name')),
    # --- webhooks ---
    ("webhook without a name", hooks('{ url = "https://a.example/"; } #! webhooks[0].name | missing: expected a name')),
    ("webhook without a URL", hooks('{ name = "a"; } #! webhooks[0].url | missing: expected an http:// or https:// URL')),
    ("webhook's name with a slash", hooks(hook('name = "a/b"; #! webhooks[0].name | "a/b": expected a name'))),
    ("two webhooks of a name", hooks(hook(""), hook("", "b"), hook("")), {},
     [("main.conf", 10, "webhooks[2].name", '"main": the webhook at @D@/main.conf:4 has it already')]),
    ("webhooks of a name, of all and of a pool",
     top(EVENTS + "webhooks = (\n" + hook("") + ");", pool("webhooks = (\n" + hook("") + ");")), {},
     [("main.conf", 10, "pools[0].webhooks[0].name", '"main": the webhook at @D@/main.conf:4 has it already')]),
    ("webhooks of a name in two pools",
     top(EVENTS, pool("webhooks = (" + hook("") + ");"), pool("webhooks = (" + hook("") + ");", "b", "b.example")), {},
     [("main.conf", 11, "pools[1].webhooks[0].name", '"main": the webhook at @D@/main.conf:6 has it already')]),
    ("webhook of another scheme", hooks(hook('url = "ftp://a.example/"; #! webhooks[0].url | expected an http://'))),
    ("webhook to a path", hooks(hook('url = "/events"; #! webhooks[0].url | expected an http://'))),
    ("webhook without a host", hooks(hook('url = "https:///events"; #! webhooks[0].url | expected an http://'))),
    ("webhook with a login",
     hooks(hook('url = "https://u:p@a.example/"; #! webhooks[0].url | not shown here: expected an http://'))),
    ("webhook with a fragment", hooks(hook('url = "https://a.example/#x"; #! webhooks[0].url | and a fragment'))),
    ("webhook with a blank", hooks(hook('url = "https://a.example/a b"; #! webhooks[0].url | expected an http://'))),
    ("webhook with a line end", hooks(hook('url = "https://a.example/\\n"; #! webhooks[0].url | not shown here: expected'))),
    ("webhook of 2001 octets",
     hooks(hook('url = "https://a.example/%s"; #! webhooks[0].url | at most 2000 characters' % ("x" * 1983)))),
    ("webhook for an unknown event",
     hooks(hook('events = [ "bounced",\n"bounce" #! webhooks[0].events[1] | "bounce": expected one of "accepted", "del\n];'))),
    ("webhook for an event twice",
     hooks(hook('events = [ "held",\n"held" #! webhooks[0].events[1] | "held": stands here twice\n];'))),
    ("webhook for an event as a string", hooks(hook('events = "held"; #! webhooks[0].events | expected an array'))),
    ("webhook with a secret that is not there",
     hooks('{ name = "a"; url = "https://a.example/"; secret_file = "@D@/no"; } #! webhooks[0].secret_file | @D@/no: No such')),
    ("webhook with a secret open to others",
     hooks('{ name = "a"; url = "https://a.example/"; secret_file = "@D@/open.pem"; } '
           '#! webhooks[0].secret_file | is open to others')),
    ("webhook with a short secret",
     hooks('{ name = "a"; url = "https://a.example/"; secret_file = "@D@/s"; } '
           '#! webhooks[0].secret_file | @D@/s: too short: expected at least 16 octets'), {"s": "0123456789abcde\n"}),
    ("webhook with an empty secret",
     hooks('{ name = "a"; url = "https://a.example/"; secret_file = "@D@/s"; } #! webhooks[0].secret_file | empty'),
     {"s": "\n"}),
    ("pool's webhook with a secret that is not there",
     top(EVENTS, pool('webhooks = (\n{ name = "a"; url = "https://a.example/"; secret_file = "@D@/no"; } '
                      '#! pools[0].webhooks[0].secret_file | No such file\n);'))),
    ("webhook with a secret at a relative path",
     hooks(hook('secret_file = "s"; #! webhooks[0].secret_file | expected an absolute path'))),
    ("webhook with a CA that is not there",
     hooks('{ name = "a"; url = "https://a.example/"; ca_file = "@D@/no"; } #! webhooks[0].ca_file | @D@/no: No such')),
    ("webhook header without a value",
     hook_headers('name = "X-A"; #! webhooks[0].headers[0].value | missing')),
    ("webhook header with an empty value",
     hook_headers('name = "X-A";\nvalue = ""; #! webhooks[0].headers[0].value | "": expected 1 to 4000 printable')),
    ("webhook header with a line end",
     hook_headers('name = "X-A";\nvalue = "a\\r\\nX-B: c"; #! webhooks[0].headers[0].value | not shown here: expected 1 to 4000')),
    ("webhook header with UTF-8",
     hook_headers('name = "X-A";\nvalue = "ä"; #! webhooks[0].headers[0].value | printable ASCII')),
    ("webhook header with a blank behind it",
     hook_headers('name = "X-A";\nvalue = "a "; #! webhooks[0].headers[0].value | no blanks around')),
    ("webhook header with a colon",
     hook_headers('value = "a"; name = "X-A:"; #! webhooks[0].headers[0].name | "X-A:": expected a header\'s name')),
    ("webhook header with a blank",
     hook_headers('value = "a"; name = "X A"; #! webhooks[0].headers[0].name | "X A": expected a header\'s name')),
    ("webhook header twice", hook_headers('name = "X-A"; value = "a";', 'name = "x-a"; value = "b";'), {},
     [("main.conf", 8, "webhooks[0].headers[1].name", '"x-a" stands here twice')]),
] + [
    ("webhook header %s" % name,
     hooks(hook('headers = (\n{ name = "%s"; value = "a"; } #! webhooks[0].headers[0].name | "%s": each request has it\n);'
                % (name, name))))
    for name in ("Content-Type", "content-encoding", "Content-Length", "Transfer-Encoding", "HOST", "X-Poolmilter-Signature",
                 "x-poolmilter-anything")
] + [
    ("webhook batch of nothing", hooks(hook("batch = 0; #! webhooks[0].batch | 0: expected a number from 1 to 10000"))),
    ("webhook that waits for ever", hooks(hook("batch_ms = 600001; #! webhooks[0].batch_ms | from 0 to 600000"))),
    ("webhook without time", hooks(hook("timeout_ms = 99; #! webhooks[0].timeout_ms | from 100 to 600000"))),
    ("webhook with gzip as a number", hooks(hook("gzip = 1; #! webhooks[0].gzip | expected true or false"))),
    ("webhooks as a group", top("webhooks: { }; #! webhooks | is a group")),
    ("webhooks in a record", in_isp("webhooks = ( ); #! isps[0].webhooks | unknown key")),
    ("webhooks beside pools in include_dir", top('include_dir = "@D@/d";'),
     {"d/a.conf": "webhooks = ( ); #! webhooks | expected only pools"}),
    # --- locks ---
    ("lock without a name", locks('{ threshold = "1/day"; category = "rate"; pause = "1h"; } '
                                  "#! isps[0].locks[0].name | missing")),
    ("lock without a threshold", locks('{ name = "a"; category = "rate"; pause = "1h"; } '
                                       "#! isps[0].locks[0].threshold | missing: expected 1 to 1000000000")),
    ("lock with a threshold of nothing", locks(rule('threshold = "0/5m"; #! isps[0].locks[0].threshold | "0/5m": exp'))),
    ("lock with a threshold without a time", locks(rule('threshold = "10"; #! isps[0].locks[0].threshold | "10": exp'))),
    ("lock with pause and rate",
     locks('{ name = "a"; threshold = "1/day"; category = "rate"; pause = "1h"; rate = "1/second"; } '
           "#! isps[0].locks[0] | has pause and rate: expected one of them")),
    ("lock without pause and rate",
     locks('{ name = "a"; threshold = "1/day"; category = "rate"; } #! isps[0].locks[0] | expected pause or rate')),
    ("lock for any reply",
     locks('{ name = "a"; threshold = "1/day"; pause = "1h"; } #! isps[0].locks[0] | a category, a pattern, or both')),
    ("lock of an unknown category",
     locks(rule('category = "slow"; #! isps[0].locks[0].category | "slow": expected one of "bad-mailbox", "bad-domain"'))),
    ("lock of the category -", locks(rule('category = "-"; #! isps[0].locks[0].category | "-": expected one of'))),
    ("lock with an empty pattern", locks(rule('pattern = ""; #! isps[0].locks[0].pattern | a regular expression of 1'))),
    ("lock with a pattern of 1001 octets",
     locks(rule('pattern = "%s"; #! isps[0].locks[0].pattern | 1 to 1000 octets' % ("a" * 1001)))),
    ("lock with a pattern that is none", locks(rule('pattern = "a(b";')), {},
     [("main.conf", 6, "pattern", '"a(b": ')]),
    ("lock that pauses for nothing", locks(rule('pause = "0s"; #! isps[0].locks[0].pause | "0s": expected a time from'))),
    ("lock that pauses for ever", locks(rule('pause = "32d"; #! isps[0].locks[0].pause | "32d": expected a time'))),
    ("lock with a rate of nothing",
     locks(rule('rate = "0/second"; #! isps[0].locks[0].rate | "0/second": expected', category='"rate"'))),
    ("lock without steps", locks(rule('steps = 0; #! isps[0].locks[0].steps | from 1 to 30'))),
    ("lock with too many steps", locks(rule('steps = 31; #! isps[0].locks[0].steps | from 1 to 30'))),
    ("lock that climbs for 32 days",
     locks('{ name = "a"; threshold = "1/day"; category = "rate"; rate = "1/day"; step = "8d"; steps = 4; } '
           "#! isps[0].locks[0] | step times steps: expected at most 31 days")),
    ("two rules of a name", locks(rule(""), rule("")), {},
     [("main.conf", 9, "isps[0].locks[1]", 'the name "r" stands here twice')]),
    ("unknown key of a lock", locks(rule('treshold = "1/day"; #! isps[0].locks[0].treshold | did you mean "threshold"?'))),
    ("locks in a pool", in_pool("locks = ( ); #! pools[0].locks | unknown key")),
    ("lock of a shipped record",
     isps(record('locks = (\n{ name = "a"; threshold = "1/day"; pause = "1h"; } '
                 "#! shipped_isps[0].locks[0] | no reply counts\n);"), kind="shipped_isps")),
    # --- bounce patterns ---
    ("bounce pattern without a category",
     top('bounces = (\n{ code = "4"; } #! bounces[0].category | missing: expected one of "bad-mailbox"\n);')),
    ("bounce pattern of an unknown category",
     patterns('category = "soft"; code = "4"; #! bounces[0].category | "soft": expected one of')),
    ("bounce pattern for every reply", top('bounces = (\n{ category = "rate"; } #! bounces[0] | matches every reply\n);')),
    ("bounce pattern of an ISP that is not there",
     top('bounces = (\n{ isp = "gmial"; code = "4"; category = "rate"; } #! bounces[0] | "gmial": there is no such ISP\n);')),
    ("bounce pattern that is none",
     top('bounces = (\n{ pattern = "[a"; category = "rate"; } #! pattern | "[a": \n);')),
    ("shipped bounce pattern that is none",
     top('shipped_bounces = (\n{ pattern = "*a"; category = "rate"; } #! pattern | "*a": \n);')),
    ("shipped bounce pattern for every reply",
     top('shipped_bounces = (\n{ category = "rate"; } #! shipped_bounces[0] | matches every reply\n);')),
    ("bounce pattern with a tab", patterns('pattern = "a\\tb"; #! bounces[0].pattern | without control characters')),
    ("bounce pattern not in UTF-8",
     patterns('pattern = "a\udcff"; #! bounces[0].pattern | "a\\xff": expected a regular expression')),
    ("bounce pattern with a source of two lines",
     patterns('code = "4"; source = "a\\nb"; #! bounces[0].source | 1 to 500 octets')),
] + [
    ("bounce code \"%s\"" % code,
     patterns('code = "%s"; #! bounces[0].code | "%s": expected the begin of a reply code' % (code, code)))
    for code in ("", "x", "421 ", "1", "6.0.0", "5..7", ".5", "5.7.26.1.2.3", "-4", "5x")
]

UNWISE = [
    ("webhook over HTTP",
     hooks('{ name = "a"; url = "http://a.example/e"; } #? webhooks[0].url | "http://a.example": events travel unprotected')),
    ("webhook of a pool over HTTP",
     top(EVENTS, pool('webhooks = (\n{ name = "a"; url = "http://127.a.example/"; } '
                      "#? pools[0].webhooks[0].url | use https\n);"))),
    ("webhook over HTTP to an address",
     hooks('{ name = "a"; url = "http://192.0.2.1:8080/"; } #? webhooks[0].url | events travel unprotected')),
    ("event_headers without events", top('event_headers = [ "X-A" ]; #? event_headers | without the group events')),
    ("webhooks without events", top("webhooks = ( #? webhooks | does nothing without the group events, which is missing\n"
                                    + hook("") + ");")),
    ("webhooks of a pool without events",
     in_pool("webhooks = ( #? pools[0].webhooks | does nothing without the group events\n" + hook("") + ");")),
    ("locks without events",
     isps('{ name = "a"; domains = [ "a.example" ]; #? isps[0].locks | does nothing without the group events\nlocks = ('
          + rule("") + "); }")),
]

GOOD = [
    ("events with nothing in it", top(EVENTS)),
    ("events with everything",
     top(REDIS + 'events: { log = "/var/log/mail.log"; history = "31d"; max_age = "744h"; keep = "2678400s"; file = "/f";\n'
         'stream = "{a}:events"; stream_max = 1000000000; unverified = true; };\n'
         "event_headers = [ %s ];" % ", ".join('"X-%d"' % i for i in range(20)))),
    ("events of the journal", events('log = "journal"; history = "1s"; max_age = "90s"; keep = "15m";')),
    ("events of standard input", events('log = "stdin"; history = "2h";')),
    ("webhook with everything",
     hooks(hook('events = [ "accepted", "delivered", "deferred", "bounced", "expired", "held", "complaint" ];\n'
                'secret_file = "@D@/s"; ca_file = "@D@/public.pem"; batch = 10000; batch_ms = 0; timeout_ms = 100; gzip = false;\n'
                'headers = ( { name = "Authorization"; value = "Bearer a b"; }, { name = "X-Pool"; value = "a"; } );')),
     {"s": SECRET}),
    ("webhooks of all and of pools",
     top(EVENTS + "webhooks = (" + hook("") + "," + hook("", "b") + ");",
         pool("webhooks = (" + hook("", "c") + ");"), pool("webhooks = (" + hook("", "d") + ");", "b", "b.example"))),
    ("webhook with a query", hooks(hook('url = "https://a.example:8443/e?a=%C3%A4;b&c=d";'))),
    ("webhook URL of 2000 octets", hooks(hook('url = "https://a.example/%s";' % ("x" * 1982)))),
    ("lock that pauses", locks(rule(""))),
    ("lock that slows, by a pattern",
     locks(rule('rate = "1/second"; step = "1d"; steps = 30;', pattern='"4\\\\.7\\\\.28|zu schnell ä"'))),
    ("lock by category and pattern", locks(rule('pattern = "a";'))),
    ("rules of a name in two records",
     top(EVENTS + "isps = (\n%s,\n%s\n);" % (record("locks = (" + rule("") + ");"),
                                             record("locks = (" + rule("") + ");", "b", "b.example")))),
    ("locks of a shipped record without events",
     isps(record("locks = (" + rule("") + ");"), kind="shipped_isps")),
    ("bounce patterns",
     patterns('isp = "DEFAULT"; code = "5.7."; pattern = "spam|virus"; source = "ours";', 'code = "421";', 'pattern = "a";',
              'code = "4";', 'code = "5.7.26";')),
    ("shipped bounce pattern of a record that is not there", patterns('isp = "gone"; code = "4";', kind="shipped_bounces")),
]
QUIET = [
    ("webhook over HTTP to %s" % host, hooks(hook('url = "http://%s/e";' % host)))
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.8.9.10", "[::1]:80")
] + [case for case in GOOD if case[0] == "locks of a shipped record without events"]

add_all("bad", BAD)
add_all("unwise", UNWISE)
add_all("quiet", QUIET)
add_all("good", GOOD)

if __name__ == "__main__":
    tap.main()
