#!/usr/bin/python3
"""Bad configurations (FAULTS.md F1, F2, D5) and good ones, as a table: `poolctl check -c FILE`.

In a text, `#! KEY | PART` at the end of a line says that exactly this line must be refused, with this
key's path and these words in the message; `#!! KEY | PART` stands for the file as a whole.  No other
error may come.  KEY `-` is none.  Lines that cannot hold a comment (open strings, syntax errors) have
their expectation as (line, key, part) beside the text.  @D@ is the test's directory.

A case is (name, text), (name, text, {file: text}) or (name, text, {...}, [(file, line, key, part)]).
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                              # noqa: E402
from poolctl import Directory, run                                      # noqa: E402

MARK = re.compile(r"#!(!?) (\S+) \| (.*)$")
CONFIGURATION = 78  # EX_CONFIG


def pool(keys, name="acme", domain="example.com"):
    """A good pool with more keys, or with a key of its own replaced."""
    lines = {"name": '"%s"' % name, "sender_domain": '"%s"' % domain, "spf_domain": '"b.%s"' % domain,
             "dkim_selector": '"ak"', "dkim_key": '"@D@/key.pem"'}
    given = re.findall(r"^(\w+) *=", keys, re.M)
    own = ["%s = %s;" % item for item in lines.items() if item[0] not in given]
    return "{ " + " ".join(own) + "\n" + keys + "\n}"


def top(keys, *pools):
    own = 'listen = "unix:@D@/s";\n' if not re.search(r"^listen\b", keys, re.M) else ""
    return "%s%s\npools = (\n%s\n);\n" % (own, keys, ",\n".join(pools or (pool(""),)))


def in_pool(keys):
    return top("", pool(keys))


def headers(kind, *values):
    return in_pool("%s = (\n%s\n);" % (kind, ",\n".join("{ %s\n}" % v for v in values)))


def redis(keys):
    return top("redis: { %s\n};" % keys)


def record(keys, name="big", domain="big.example"):
    """A good ISP record with more keys, or with a key of its own replaced."""
    own = ["%s = %s;" % item for item in (("name", '"%s"' % name), ("domains", '[ "%s" ]' % domain))
           if not re.search(r"^%s *=" % item[0], keys, re.M)]
    return "{ " + " ".join(own) + "\n" + keys + "\n}"


def isps(*records, kind="isps"):
    return top("%s = (\n%s\n);" % (kind, ",\n".join(records)))


def in_isp(keys):
    return isps(record(keys))


SPLIT = 'mixed_isps = "split"; reinject = "%s";\n'

L = "pools[0]."
BAD = [
    # --- files and their language ---
    ("empty file", "", {}, [("main.conf", 1, "-", "is empty")]),
    ("comments only", "# nothing\n/* here */\n", {}, [("main.conf", 1, "-", "is empty")]),
    ("missing file", None, {}, [("main.conf", 0, "-", "No such file")]),
    ("nul octet", b'listen = "unix:/s\0";\n', {}, [("main.conf", 0, "-", "NUL octets")]),
    ("nul escape", 'listen = "unix:/s\\x00x"; #! - | without NUL'),
    ("include within a line", 'listen = [ "unix:/s"\n,@include "/"\n];', {},
     [("main.conf", 2, "-", "at the begin of a line")]),
    ("at sign", "listen = @x; #! - | at the begin of a line"),
    ("open string", 'listen = "unix:/s;\n\n', {}, [("main.conf", 1, "-", "string without its end")]),
    ("open comment", top("/* a comment"), {}, [("main.conf", 2, "-", "comment without its end")]),
    ("open group", 'listen = "unix:/s";\nsyslog: {\n', {}, [("main.conf", 3, "-", "syntax error")]),
    ("open list", 'listen = "unix:/s";\npools = (\n', {}, [("main.conf", 3, "-", "syntax error")]),
    ("no equals sign", 'listen "unix:/s"; #! - | syntax error'),
    ("value without key", '"unix:/s"; #! - | syntax error'),
    ("no comma between pools", top("", pool("") + "\n" + pool("", "b", "b.example")), {},
     [("main.conf", 7, "-", "syntax error")]),
    ("duplicate key", top('user = "root";\nuser = "root"; #! - | duplicate setting')),
    ("duplicate key in a pool", in_pool("match_subdomains = true;\nmatch_subdomains = true; "
                                        "#! - | duplicate setting")),
    ("duplicate group", top("syslog: { };\nsyslog: { }; #! - | duplicate setting")),
    ("mixed array", top('trusted_networks = [ "::1", 1 ]; #! - | array')),
    ("number of more than 64 bits", top("max_message_size = 99999999999999999999; #! - | at most 64 bits")),
    ("error after a long comment", top("/* 1\n2\n3 */\n// 4\nnope = 1; #! nope | unknown key")),
    # --- includes ---
    ("include of nothing", top('@include "none.conf" #! @include | No such file')),
    ("include of a directory", top('@include "." #! @include | not a regular file')),
    ("include of itself", top('@include "main.conf" #! @include | includes itself')),
    ("include loop over two", top('@include "a.conf"'),
     {"a.conf": '\n@include "b.conf"', "b.conf": '@include "a.conf" #! @include | includes itself'}),
    ("include not closed", 'listen = "x";\n@include "a.conf\n', {},
     [("main.conf", 2, "-", "without the end of its string")]),
    ("error in an included file", top('\n@include "a.conf"'), {"a.conf": "# one\nnope = 1; #! nope | unknown"}),
    ("error after an included file", top('@include "a.conf"\nnope = 1; #! nope | unknown'),
     {"a.conf": "\n\n\nno_pool = \"reject\";\n\n"}),
    ("error in a file included in a list", 'listen = "unix:@D@/s";\npools = (\n@include "a.conf"\n);',
     {"a.conf": pool('spf_domain = "a..b"; #! pools[0].spf_domain | "a..b": expected a domain name')}),
    ("syntax error in an included file", top('@include "a.conf"'), {"a.conf": "\nx = = 1; #! - | syntax error"}),
    ("key twice through an include", top('no_pool = "pass";\n@include "a.conf"'),
     {"a.conf": '\nno_pool = "pass"; #! - | duplicate setting'}),
    # --- include_dir ---
    ("include_dir missing", top('include_dir = "@D@/none"; #! include_dir | No such file')),
    ("include_dir is a file", top('include_dir = "@D@/key.pem"; #! include_dir | Not a directory')),
    ("include_dir relative", top('include_dir = "pools.d"; #! include_dir | expected an absolute path')),
    ("key other than pools in include_dir", top('include_dir = "@D@/d";'),
     {"d/a.conf": '\nno_pool = "pass"; #! no_pool | only pools in a file of include_dir'}),
    ("unknown key in include_dir", top('include_dir = "@D@/d";'), {"d/a.conf": "nope = 1; #! nope | unknown key"}),
    ("include_dir in include_dir", top('include_dir = "@D@/d";'),
     {"d/a.conf": 'include_dir = "@D@/d"; #! include_dir | only pools'}),
    ("empty file in include_dir", top('include_dir = "@D@/d";'), {"d/a.conf": ""},
     [("d/a.conf", 1, "-", "is empty")]),
    ("syntax error in include_dir", top('include_dir = "@D@/d";'), {"d/a.conf": "pools = (; #! - | syntax error"}),
    ("two broken files in include_dir", top('include_dir = "@D@/d";'),
     {"d/a.conf": "\npools = (; #! - | syntax error", "d/b.conf": "pools = 1; #! pools | expected a list"}),
    ("pool in include_dir again", top('include_dir = "@D@/d";'),
     {"d/a.conf": "pools = (" + pool('name = "acme"; #! pools[0].name | "acme" (@D@/main.conf:4) has it already',
                                     domain="b.example") + ");"}),
    ("domain in two files of include_dir", top('include_dir = "@D@/d";'),
     {"d/a.conf": "pools = (" + pool("", "b", "b.example") + ");",
      "d/b.conf": "pools = (" + pool('sender_domain = "B.Example."; #! pools[0].sender_domain | d/a.conf:1) has it',
                                     "c", "c.b.example") + ");"}),
    # --- unknown and missing keys ---
    ("unknown key", top("nonsense_key = 1; #! nonsense_key | unknown key")),
    ("misspelt key", top("control_heder = \"X-A\"; #! control_heder | did you mean \"control_header\"?")),
    ("misspelt key in a pool", in_pool('reurn_path = "keep"; #! pools[0].reurn_path | did you mean "return_path"?')),
    ("key in the wrong group", top('syslog: {\nlocal_part = "b"; #! syslog.local_part | unknown key\n};')),
    ("pool's key at the top", top('dkim_key = "@D@/key.pem"; #! dkim_key | unknown key')),
    ("capital letter in a key", top("No_pool = \"pass\"; #! No_pool | did you mean \"no_pool\"?")),
    ("no listen", "#!! listen | missing: expected unix:\npools = (" + pool("") + ");"),
    ("no pools", 'listen = "unix:@D@/s"; #!! pools | missing: expected at least one pool'),
    ("empty pools", 'listen = "unix:@D@/s";\npools = ( ); #! pools | expected at least one pool'),
    ("pool without name", top("", '{ #! pools[0].name | missing\nsender_domain = "example.com"; spf_domain = '
                              '"b.example.com"; dkim_selector = "a"; dkim_key = "@D@/key.pem"; }')),
    ("pool without sender_domain", top("", '{ name = "a"; spf_domain = "b.example.com"; dkim_selector = "a"; '
                                       'dkim_key = "@D@/key.pem"; } #! pools[0].sender_domain | missing')),
    ("pool without spf_domain", top("", '{ name = "a"; sender_domain = "example.com"; dkim_selector = "a"; '
                                    'dkim_key = "@D@/key.pem"; } #! pools[0].spf_domain | missing')),
    ("pool without key", top("", '{ name = "a"; sender_domain = "example.com"; spf_domain = "b.example.com"; '
                             'dkim_selector = "a"; } #! pools[0].dkim_key | missing')),
    ("key without selector", top("", '{ name = "a"; sender_domain = "example.com"; spf_domain = "b.example.com"; '
                                 'dkim_key = "@D@/key.pem"; } #! pools[0].dkim_selector | missing')),
    ("empty pool", top("", '\n{ return_path = "keep"; } #! pools[0].name | missing'), {},
     [("main.conf", 5, "pools[0].sender_domain", "missing"), ("main.conf", 5, "pools[0].dkim_selector", "missing"),
      ("main.conf", 5, "pools[0].dkim_key", "missing")]),
    ("signature without key", in_pool('signatures = ( { selector = "x"; } ); #! pools[0].signatures[0].key | missing')),
    ("signature without selector",
     in_pool('signatures = ( { key = "@D@/key.pem"; } ); #! pools[0].signatures[0].selector | missing')),
    ("header without value", headers("add_headers", 'name = "X-A"; #! pools[0].add_headers[0].value | missing')),
    ("header without name", headers("set_headers", 'value = "a"; #! pools[0].set_headers[0].name | missing')),
    # --- wrong types ---
    ("number for a string", top("user = 0; #! user | is a number: expected a string")),
    ("boolean for a string", top("no_pool = false; #! no_pool | is true or false: expected a string")),
    ("string for a number", top('max_message_size = "4096"; #! max_message_size | is a string: expected a number')),
    ("fraction for a number", top("max_message_size = 4096.0; #! max_message_size | with a fraction: expected")),
    ("exponent for a number", top("max_message_size = 1e6; #! max_message_size | with a fraction: expected")),
    ("boolean for a number", top("signature_expire_days = true; #! signature_expire_days | expected a number")),
    ("number for a boolean", top("return_path: {\ncheck_bounces = 1; #! return_path.check_bounces | expected true\n};")),
    ("string for a boolean", in_pool('match_subdomains = "yes"; #! pools[0].match_subdomains | expected true or')),
    ("number for a mode", top("socket_mode = 0660; #! socket_mode | expected a string: 3 or 4 octal digits")),
    ("string for an array", in_pool('users = "acme"; #! pools[0].users | is a string: expected an array')),
    ("array of numbers", in_pool("users = [ 1 ]; #! pools[0].users[0] | is a number")),
    ("array for a string", in_pool('dkim_selector = [ "a" ]; #! pools[0].dkim_selector | is an array')),
    ("group for a string", in_pool("dkim_selector = { }; #! pools[0].dkim_selector | is a group")),
    ("string for a group", top('syslog = "mail"; #! syslog | is a string: expected a group')),
    ("list for a group", top("return_path = ( ); #! return_path | is a list ( ... ): expected a group")),
    ("group for a list", 'listen = "unix:@D@/s";\npools = { }; #! pools | is a group'),
    ("string in a list of groups", top("", '"acme" #! pools[0] | is a string: expected a group')),
    ("nested list of pools", top("", "( ) #! pools[0] | is a list ( ... ): expected a group")),
    ("group in an array of strings", in_pool('delete_headers = ( { } ); #! pools[0].delete_headers[0] | a group')),
    # --- ranges ---
    ("2^31", top("max_message_size = 2147483648; #! max_message_size | 2147483648: expected a number from 1024")),
    ("2^32+4096", top("max_message_size = 4294971392; #! max_message_size | 4294971392: expected")),
    ("hexadecimal 2^32-1", top("max_message_size = 0xffffffff; #! max_message_size | 4294967295: expected")),
    ("int64", top("max_message_size = 9223372036854775807L; #! max_message_size | 9223372036854775807: expected")),
    ("minus one", top("signature_expire_days = -1; #! signature_expire_days | -1: expected a number from 0 to 3650")),
    ("zero days", top("return_path: { expire_days = 0; }; #! return_path.expire_days | 0: expected a number from 1")),
    ("too many days", top("return_path: { expire_days = 3651; }; #! return_path.expire_days | 3651: expected")),
    ("tiny message size", top("max_message_size = 1023; #! max_message_size | 1023: expected")),
    # --- kinds of text ---
    ("listen nowhere", top("listen = [ ]; #! listen | is empty: expected at least one")),
    ("listen on a bare path", top('listen = "/run/s"; #! listen | expected unix:/PATH')),
    ("listen on a relative path", top('listen = "unix:s"; #! listen | expected unix:/PATH')),
    ("listen on a path of 108", top('listen = "unix:/%s"; #! listen | at most 107 octets' % ("x" * 107))),
    ("listen without host", top('listen = "inet:8892"; #! listen | inet:PORT@HOST')),
    ("listen on port 0", top('listen = "inet:0@127.0.0.1"; #! listen | inet:PORT@HOST')),
    ("listen on port 65536", top('listen = "inet:65536@127.0.0.1"; #! listen | inet:PORT@HOST')),
    ("listen on half an address", top('listen = "inet:25@127.0.0"; #! listen | inet:PORT@HOST')),
    ("listen in the wrong family", top('listen = "inet:25@::1"; #! listen | inet:PORT@HOST')),
    ("listen twice", top('listen = [ "unix:@D@/s",\n"local:@D@/s" #! listen[1] | stands here twice\n];')),
    ("mode with a 9", top('socket_mode = "0690"; #! socket_mode | "0690": expected 3 or 4 octal digits')),
    ("mode with set-id", top('socket_mode = "4660"; #! socket_mode | "4660": expected')),
    ("mode too short", top('socket_mode = "60"; #! socket_mode | "60": expected')),
    ("relative pid file", top('pid_file = "x.pid"; #! pid_file | expected an absolute path')),
    ("state_dir with a line end", top('state_dir = "/a\\nb"; #! state_dir | "/a\\x0ab": expected an absolute path')),
    ("user with a space", top('user = "no one"; #! user | "no one": expected a name')),
    ("unknown user", top('user = "nonesuch-user"; #! user | expected a user of this system')),
    ("unknown group", top('socket_group = "nonesuch-grp"; #! socket_group | expected a group of this system')),
    ("network with host bits", top('trusted_networks = [ "10.0.0.1/8" ]; #! trusted_networks[0] | bits are set')),
    ("network too long", top('trusted_networks = [ "10.0.0.0/33" ]; #! trusted_networks[0] | not an IP address')),
    ("network by name", top('trusted_networks = [ "localhost" ]; #! trusted_networks[0] | not an IP address')),
    ("last network of several lines", top('trusted_networks = [\n"::1",\n"x" #! trusted_networks[1] | not an IP\n];')),
    ("network twice", in_pool('networks = [ "192.0.2.1", "192.0.2.1/32" ]; #! pools[0].networks[1] | twice')),
    ("control header with a colon", top('control_header = "X-Pool:"; #! control_header | expected a header\'s name')),
    ("empty control header", top('control_header = ""; #! control_header | "": expected a header\'s name')),
    ("control header that mail needs", top('control_header = "subject"; #! control_header | mail can do without')),
    ("other on_error", top('on_error = "accept"; #! on_error | only "defer"')),
    ("unknown facility", top('syslog: { facility = "local8"; }; #! syslog.facility | "local8": expected one of "mail"')),
    ("unknown level", top('syslog: { level = "Info"; }; #! syslog.level | expected one of "debug"')),
    ("ident with a space", top('syslog: { ident = "pool milter"; }; #! syslog.ident | expected 1 to 32')),
    ("local part of 17", top('return_path: { local_part = "%s"; }; #! return_path.local_part | 1 to 16' % ("b" * 17))),
    ("local part with a plus", top('return_path: { local_part = "b+"; }; #! return_path.local_part | without \'+\'')),
    ("local part with two dots", top('return_path: { local_part = "a..b"; }; #! return_path.local_part | expected')),
    ("relative secret", top('return_path: { secret_files = [ "s" ]; }; #! return_path.secret_files[0] | absolute')),
    ("pool name with a space", in_pool('name = "a b"; #! pools[0].name | "a b": expected a name of 1 to 64')),
    ("pool name with %s and CR LF", in_pool('name = "%s\\r\\n"; #! pools[0].name | "%s\\x0d\\x0a": expected')),
    ("pool name of 65", in_pool('name = "%s"; #! pools[0].name | ...": expected' % ("n" * 65))),
    ("pool called reject", in_pool('name = "reject"; #! pools[0].name | no_pool could not mean it')),
    ("domain with two dots", in_pool('spf_domain = "a..b"; #! pools[0].spf_domain | "a..b": expected a domain name')),
    ("domain of one label", in_pool('sender_domain = "localhost"; #! pools[0].sender_domain | expected a domain name')),
    ("domain is an address", in_pool('sender_domain = "192.0.2.1"; #! pools[0].sender_domain | expected a domain')),
    ("domain is a mail address", in_pool('sender_domain = "a@b.example"; #! pools[0].sender_domain | expected a do')),
    ("domain with a label of 64", in_pool('spf_domain = "%s.example"; #! pools[0].spf_domain | expected' % ("a" * 64))),
    ("domain of bad UTF-8", in_pool('spf_domain = "\\xff.example"; #! pools[0].spf_domain | "\\xff.example": exp')),
    ("sender_subdomain with a space", in_pool('sender_subdomain = "m x"; #! pools[0].sender_subdomain | expected')),
    ("sender_subdomain too long", in_pool('sender_subdomain = "%s"; #! pools[0].sender_subdomain | at most 253'
                                          % ".".join(["a" * 60] * 4))),
    ("selector with an underscore", in_pool('dkim_selector = "a_b"; #! pools[0].dkim_selector | expected a selector')),
    ("selector with an empty label", in_pool('dkim_selector = "a..b"; #! pools[0].dkim_selector | expected a sel')),
    ("unknown return_path", in_pool('return_path = "srs"; #! pools[0].return_path | "srs": expected one of "signed"')),
    ("login with a space", in_pool('users = [ "a b" ]; #! pools[0].users[0] | expected a login name')),
    ("login twice", in_pool('users = [ "a",\n"a" #! pools[0].users[1] | stands here twice\n];')),
    ("star within a header name", in_pool('delete_headers = [ "X-*-A" ]; #! pools[0].delete_headers[0] | \'*\' at')),
    ("star alone", in_pool('delete_headers = [ "*" ]; #! pools[0].delete_headers[0] | "*": expected')),
    ("header deleted twice", in_pool('delete_headers = [ "X-A", "x-a" ]; #! pools[0].delete_headers[1] | twice')),
    ("unknown variable", headers("add_headers", 'name = "X-A";\nvalue = "${poool}"; '
                                 "#! pools[0].add_headers[0].value | unknown variable")),
    ("open variable", headers("add_headers", 'name = "X-A";\nvalue = "${pool"; '
                              '#! pools[0].add_headers[0].value | "${"')),
    ("line end in a value", headers("set_headers", 'name = "X-A";\nvalue = "a\\r\\nBcc: x"; '
                                    "#! pools[0].set_headers[0].value | control characters")),
    ("empty value", headers("set_headers", 'name = "X-A"; value = ""; #! pools[0].set_headers[0].value | "": expected')),
    # --- keys that do not go together ---
    ("two pools of a name", top("", pool(""), pool('name = "acme"; #! pools[1].name | pool "acme" (@D@/main.conf:4)',
                                                   domain="b.example"))),
    ("two pools of a domain",
     top("", pool(""), pool('spf_domain = "b.example.com";\nsender_domain = "EXAMPLE.com."; '
                            '#! pools[1].sender_domain | pool "acme" (@D@/main.conf:4) has it already', "b"))),
    ("two pools of a domain, U-label and A-label",
     top("", pool('sender_domain = "bücher.example";', "a", "a.example"),
         pool('sender_domain = "xn--bcher-kva.example"; #! pools[1].sender_domain | pool "a"', "b", "b.example"))),
    ("no_pool names nobody", top('no_pool = "other"; #! no_pool | "other": expected "pass", "reject" or the name')),
    ("signature twice", in_pool('signatures = (\n{ selector = "AK"; key = "@D@/key.pem"; } '
                                "#! pools[0].signatures | signed twice\n);")),
    ("delete From", in_pool('delete_headers = [ "from" ]; #! pools[0].delete_headers | other than From')),
    ("delete F*", in_pool('delete_headers = [ "F*" ]; #! pools[0].delete_headers | other than From')),
    ("delete DKIM-*", in_pool('delete_headers = [ "DKIM-*" ]; #! pools[0].delete_headers | other than DKIM-Signature')),
    ("set From", headers("set_headers", 'name = "FROM"; value = "a"; #! pools[0].set_headers | other than From')),
    ("add From", headers("add_headers", 'name = "From"; value = "a"; #! pools[0].add_headers | other than From')),
    ("add DKIM-Signature", headers("add_headers", 'name = "DKIM-Signature"; value = "a"; '
                                   "#! pools[0].add_headers | other than DKIM-Signature")),
    ("add the control header", headers("add_headers", 'name = "x-pool"; value = "a"; '
                                       "#! pools[0].add_headers | always removed")),
    ("set a header twice", headers("set_headers", 'name = "X-A"; value = "a";',
                                   'name = "x-a"; value = "b"; #! pools[0].set_headers | set twice')),
    ("sign Received", top('signed_headers = [ "Received" ]; #! signed_headers | does not change on the way')),
    ("oversign Return-Path", top('oversigned_headers = [ "Return-Path" ]; #! oversigned_headers | does not change')),
    ("pool signs DKIM-Signature", in_pool('signed_headers = [ "DKIM-Signature" ]; #! pools[0].signed_headers | exp')),
    # --- private keys ---
    ("key missing", in_pool('dkim_key = "@D@/none"; #! pools[0].dkim_key | @D@/none: No such file')),
    ("key empty", in_pool('dkim_key = "@D@/a"; #! pools[0].dkim_key | @D@/a:'), {"a": ""}),
    ("key garbage", in_pool('dkim_key = "@D@/a"; #! pools[0].dkim_key | @D@/a:'), {"a": "garbage\n"}),
    ("key public", in_pool('dkim_key = "@D@/public.pem"; #! pools[0].dkim_key | public')),
    ("key of 512 bits", in_pool('dkim_key = "@D@/512.pem"; #! pools[0].dkim_key | 1024')),
    ("key encrypted", in_pool('dkim_key = "@D@/encrypted.pem"; #! pools[0].dkim_key | encrypted')),
    ("key open to others", in_pool('dkim_key = "@D@/open.pem"; #! pools[0].dkim_key | open to others')),
    ("key is a directory", in_pool('dkim_key = "@D@"; #! pools[0].dkim_key | not a regular file')),
    ("key relative", in_pool('dkim_key = "key.pem"; #! pools[0].dkim_key | expected an absolute path')),
    ("key of a signature", in_pool('signatures = (\n{ selector = "x"; key = "@D@/none"; } '
                                   "#! pools[0].signatures | @D@/none\n);")),
    # --- ISP records ---
    ("unknown encoding", in_isp('encoding: {\nhtml = "qp"; #! isps[0].encoding.html | "qp": expected one of "keep"\n};')),
    ("encoding in capitals", in_isp('encoding: { global = "8BIT"; }; #! isps[0].encoding.global | "8BIT": expected one')),
    ("encoding 7bit", in_isp('encoding: { text = "7bit"; }; #! isps[0].encoding.text | "7bit": expected one of')),
    ("encoding is a string", in_isp('encoding = "base64"; #! isps[0].encoding | is a string: expected a group')),
    ("unknown kind of text", in_isp('encoding: { plain = "base64"; }; #! isps[0].encoding.plain | unknown key')),
    ("record without name", isps('{ domains = [ "a.example" ]; } #! isps[0].name | missing')),
    ("record name with a space", in_isp('name = "a b"; #! isps[0].name | "a b": expected a name of 1 to 64')),
    ("record name '-'", in_isp('name = "-"; #! isps[0].name | "-": expected a name')),
    ("star within a domain", in_isp('domains = [ "a.*.example" ]; #! isps[0].domains[0] | or *.example.com')),
    ("star without a dot", in_isp('domains = [ "*example.com" ]; #! isps[0].domains[0] | or *.example.com')),
    ("star over a top level", in_isp('domains = [ "*.com" ]; #! isps[0].domains[0] | "*.com": expected')),
    ("dot before a domain", in_isp('domains = [ ".example.com" ]; #! isps[0].domains[0] | ".example.com": expected')),
    ("recipient for a domain", in_isp('domains = [ "a@b.example" ]; #! isps[0].domains[0] | expected a domain name')),
    ("string for domains", in_isp('domains = "a.example"; #! isps[0].domains | is a string: expected an array')),
    ("MX host with a dot before it", in_isp('mx = [\n"mx.a.example",\n".b.example" #! isps[0].mx[1] | expected a do\n];')),
    ("MX host is an address", in_isp('mx = [ "192.0.2.1" ]; #! isps[0].mx[0] | "192.0.2.1": expected a domain name')),
    ("unknown key in a record", in_isp('domain = "a.example"; #! isps[0].domain | did you mean "domains"?')),
    ("pool's key in a record", in_isp('dkim_key = "@D@/key.pem"; #! isps[0].dkim_key | unknown key')),
    # --- limits ---
    ("limit without a window", in_pool('limits = [ "20" ]; #! pools[0].limits[0] | "20": expected 1 to 1000000000')),
    ("limit of nothing", in_pool('limits = [ "0/second" ]; #! pools[0].limits[0] | "0/second": expected')),
    ("limit per week", in_isp('limits = [ "1/week" ]; #! isps[0].limits[0] | "1/week": expected')),
    ("limit of 32 days", in_isp('total_limits = [\n"1/31d",\n"1/32d" #! isps[0].total_limits[1] | most 31 days\n];')),
    ("limit as a number", in_pool('limits = [ 20 ]; #! pools[0].limits[0] | expected')),
    ("limit as a string", in_pool('limits = "20/second"; #! pools[0].limits | is a string: expected an array')),
    ("limit twice", in_pool('limits = [ "1/second",\n"1/second" #! pools[0].limits[1] | "1/second": stands here twice\n];')),
    ("limit twice in other words", in_isp('limits = [ "5/60s",\n"5/minute" #! isps[0].limits[1] | stands here twice\n];')),
    ("limit twice for an ISP", in_pool('isp_limits = ( { isp = "default"; limits = [ "5/24h",\n'
                                       '"5/day" #! pools[0].isp_limits[0].limits[1] | stands here twice\n]; } );')),
    ("limits for an ISP that is not there",
     in_pool('isp_limits = (\n{ isp = "gmial"; limits = [ "1/day" ]; } #! pools[0].isp_limits[0].isp | '
             '"gmial": there is no such ISP record\n);')),
    ("limits for an ISP twice",
     in_pool('isp_limits = ( { isp = "default"; },\n'
             '{ isp = "DEFAULT"; } #! pools[0].isp_limits[1].isp | "DEFAULT" stands here twice\n);')),
    ("limits without an ISP",
     in_pool('isp_limits = (\n{ limits = [ "1/day" ]; } #! pools[0].isp_limits[0].isp | missing\n);')),
    ("on_limit misspelt", in_pool('on_limit = "deny"; #! pools[0].on_limit | one of "defer", "hold", "warn"')),
    ("count misspelt", in_pool('count = "mails"; #! pools[0].count | one of "recipients", "messages"')),
    ("total_limits in a pool", in_pool('total_limits = [ "1/day" ]; #! pools[0].total_limits | unknown key')),
    ("connections below zero", in_isp("connections = -1; #! isps[0].connections | -1: expected a number from 0")),
    # --- redis ---
    ("redis without an address", redis("#! redis.address | missing: expected it, or sentinels")),
    ("redis without a port", redis('address = "127.0.0.1"; #! redis.address | expected HOST:PORT')),
    ("redis at port 0", redis('address = "127.0.0.1:0"; #! redis.address | expected HOST:PORT')),
    ("redis at a relative path", redis('address = "unix:redis.sock"; #! redis.address | or unix:/PATH')),
    ("redis as a string", top('redis = "127.0.0.1:6379"; #! redis | is a string: expected')),
    ("address and sentinels",
     redis('address = "127.0.0.1:6379"; #! redis.address | not both\n'
           'sentinels = [ "127.0.0.1:26379" ]; sentinel_master = "m";')),
    ("sentinels without a master",
     redis('sentinels = [ "127.0.0.1:26379" ]; #! redis.sentinel_master | together with sentinels only')),
    ("master without sentinels",
     redis('address = "127.0.0.1:6379";\nsentinel_master = "m"; #! redis.sentinel_master | with sentinels only')),
    ("sentinel at a socket", redis('sentinels = [ "unix:/s" ]; #! redis.sentinels[0] | expected HOST:PORT')),
    ("user without a password",
     redis('address = "127.0.0.1:6379";\nusername = "p"; #! redis.username | expected a password_file with it')),
    ("user with a blank", redis('username = "p q"; #! redis.username | without blanks')),
    ("password that is not there",
     redis('address = "127.0.0.1:6379";\npassword_file = "@D@/none"; #! redis.password_file | No such file')),
    ("password in a directory",
     redis('address = "127.0.0.1:6379";\npassword_file = "@D@"; #! redis.password_file | not a regular file')),
    ("TLS over a socket",
     redis('address = "unix:/run/redis.sock";\ntls: { }; #! redis.tls | UNIX socket')),
    ("TLS with a CA that is not there",
     redis('address = "127.0.0.1:6379";\ntls: { #! redis.tls | @D@/none\nca_file = "@D@/none"; };')),
    ("TLS certificate without its key",
     redis('address = "127.0.0.1:6379";\ntls: {\ncert_file = "@D@/c"; #! redis.tls.cert_file | with key_file only\n};')),
    ("unknown key of redis", redis('adress = "127.0.0.1:6379"; #! redis.adress | did you mean "address"?')),
    ("prefix with a brace", redis('prefix = "a{b"; #! redis.prefix | expected a name')),
    ("no timeout", redis("command_timeout_ms = 0; #! redis.command_timeout_ms | from 5 to 10000")),
    ("no connections", redis("connections = 0; #! redis.connections | from 1 to 1000")),
    ("no nodes", redis("nodes = 0; #! redis.nodes | from 1 to 10000")),
    ("when_down misspelt", redis('when_down = "open"; #! redis.when_down | one of "local", "accept", "defer"')),
    ("no days of statistics", top("stats_days = 0; #! stats_days | from 1 to 3650")),
    ("summary lines for ever", top("stats_interval = -1; #! stats_interval | from 0 to 86400")),
    ("metrics at a relative path", top('metrics_file = "m.prom"; #! metrics_file | expected an absolute path')),
    ("two records with one domain",
     isps(record(""), record("", "b")), {},
     [("main.conf", 6, "isps[1].domains", '"big.example": record "big" (@D@/main.conf:3) has it already')]),
    ("two records with one domain, U-label and A-label",
     isps(record('domains = [ "bücher.example" ];'),
          record('domains = [ "a.example", "xn--bcher-kva.example." ];', "b")), {},
     [("main.conf", 6, "isps[1].domains", '"xn--bcher-kva.example": record "big" (@D@/main.conf:3) has it already')]),
    ("two records with one suffix",
     isps(record('domains = [ "*.a.example" ];'), record("", "b", "*.A.example")), {},
     [("main.conf", 6, "isps[1].domains", '"*.a.example": record "big" (@D@/main.conf:3) has it already')]),
    ("two records with one MX host",
     isps(record('mx = [ "mx.a.example" ];'), record('mx = [ "MX.a.example" ];', "b", "b.example")), {},
     [("main.conf", 6, "isps[1].mx", '"mx.a.example": record "big" (@D@/main.conf:3) has it already')]),
    ("two records with one domain in two files", isps(record("")).replace("isps = (", '@include "a.conf"\nisps = (')
     .replace("\nisps = (\n", '\nisps = (\n@include "b.conf"\n,\n'),
     {"a.conf": "# nothing\n", "b.conf": "\n\n" + record("", "other")},
     [("main.conf", 6, "isps[1].domains", '"big.example": record "other" (@D@/b.conf:3) has it already')]),
    ("domain twice in a record", in_isp('domains = [ "a.example",\n"A.example." ];'), {},
     [("main.conf", 3, "isps[0].domains", '"a.example" stands here twice')]),
    ("MX host twice in a record", in_isp('mx = [ "*.a.example", "*.a.example" ];'), {},
     [("main.conf", 3, "isps[0].mx", '"*.a.example" stands here twice')]),
    ("two records of a name",
     isps(record(""), record("", "BIG", "b.example")), {},
     [("main.conf", 6, "isps[1].name", '"BIG": the record at @D@/main.conf:3 has it already')]),
    ("two shipped records of a name",
     isps(record(""), record("", domain="b.example"), kind="shipped_isps"), {},
     [("main.conf", 6, "shipped_isps[1].name", '"big": the record at @D@/main.conf:3 has it already')]),
    ("two shipped records with one domain",
     isps(record(""), record("", "b"), kind="shipped_isps"), {},
     [("main.conf", 6, "shipped_isps[1].domains", '"big.example": record "big" (@D@/main.conf:3) has it already')]),
    ("record that can never match", isps('{ name = "a"; } #! isps[0].domains | can never match: expected domains or mx')),
    ("record with empty lists",
     isps('{ name = "a"; domains = [ ]; mx = [ ]; } #! isps[0].domains | can never match')),
    ("shipped record that can never match",
     isps('{ name = "a"; } #! shipped_isps[0].domains | can never match', kind="shipped_isps")),
    ("default with domains", isps(record("", "Default")), {},
     [("main.conf", 3, "isps[0].domains", 'expected none: "default" treats what no other record has')]),
    ("default with MX hosts", isps('{ name = "default"; mx = [ "*.a.example" ]; } #! isps[0].domains | expected none')),
    ("shipped default with domains", isps(record("", "default"), kind="shipped_isps"), {},
     [("main.conf", 3, "shipped_isps[0].domains", "expected none")]),
    ("records in include_dir", top('include_dir = "@D@/d";'),
     {"d/a.conf": "\nisps = ( " + record("") + " );"}, [("d/a.conf", 2, "isps", "expected only pools in a file of")]),
    ("ISP deletes From", in_isp('delete_headers = [ "fro*" ];'), {},
     [("main.conf", 3, "isps[0].delete_headers", "other than From")]),
    ("ISP sets DKIM-Signature", in_isp('set_headers = ( { name = "dkim-signature"; value = "a"; } ); '
                                       "#! isps[0].set_headers | other than DKIM-Signature")),
    ("ISP adds the control header", in_isp('add_headers = ( { name = "x-pool"; value = "a"; } ); '
                                           "#! isps[0].add_headers | always removed")),
    ("ISP sets a header twice", in_isp('set_headers = ( { name = "X-A"; value = "a"; },\n'
                                       '{ name = "x-a"; value = "b"; } #! isps[0].set_headers | set twice\n);')),
    ("ISP header without value", in_isp('add_headers = ( { name = "X-A"; } ); #! isps[0].add_headers[0].value | missing')),
    ("ISP header with an unknown variable", in_isp('add_headers = ( { name = "X-A"; value = "${isps}"; } ); '
                                                   "#! isps[0].add_headers[0].value | expected ${pool}, ${isp}")),
    ("shipped record sets From", isps(record('set_headers = ( { name = "From"; value = "a"; } ); '
                                             "#! shipped_isps[0].set_headers | other than From"), kind="shipped_isps")),
    ("Content-Transfer-Encoding deleted", in_pool('delete_headers = [ "content-transfer-encoding" ]; '
                                                  "#! pools[0].delete_headers | other than Content-Transfer-Encoding")),
    ("Content-* deleted", in_isp('delete_headers = [ "Content-*" ];'), {},
     [("main.conf", 3, "isps[0].delete_headers", "other than Content-Transfer-Encoding")]),
    ("Content-Transfer-Encoding set",
     headers("set_headers", 'name = "Content-Transfer-Encoding"; value = "8bit"; '
             "#! pools[0].set_headers | other than Content-Transfer-Encoding")),
    # --- recipients of several ISPs, look-ups ---
    ("unknown mixed_isps", top('mixed_isps = "both"; #! mixed_isps | "both": expected one of "neutral", "defer", "split"')),
    ("split without reinject", '#!! reinject | missing: expected smtp://HOST:PORT\n' + top('mixed_isps = "split";')),
    ("reinject without a port", top('reinject = "smtp://127.0.0.1"; #! reinject | expected smtp://HOST:PORT')),
    ("reinject without a scheme", top('reinject = "127.0.0.1:25"; #! reinject | expected smtp://HOST:PORT')),
    ("reinject by TLS", top('reinject = "smtps://127.0.0.1:465"; #! reinject | expected smtp://HOST:PORT')),
    ("reinject with a path", top('reinject = "smtp://127.0.0.1:25/x"; #! reinject | expected smtp://HOST:PORT')),
    ("reinject with a login", top('reinject = "smtp://a@127.0.0.1:25"; #! reinject | expected smtp://HOST:PORT')),
    ("reinject to IPv6 without brackets", top('reinject = "smtp://::1:25"; #! reinject | expected smtp://HOST:PORT')),
    ("reinject to port 0", top('reinject = "smtp://127.0.0.1:0"; #! reinject | expected smtp://HOST:PORT')),
    ("split, 127.0.0.1 not trusted", top(SPLIT % "smtp://127.0.0.1:10026"
                                         + 'trusted_networks = [ "::1" ]; #! trusted_networks | expected 127.0.0.1 among')),
    ("split, localhost not trusted", top(SPLIT % "smtp://localhost:10026"
                                         + 'trusted_networks = [ "192.0.2.0/24" ]; #! trusted_networks | expected 127')),
    ("split, ::1 not trusted", top(SPLIT % "smtp://[::1]:10026"
                                   + 'trusted_networks = [ "127.0.0.0/8" ]; #! trusted_networks | expected ::1 among')),
    ("resolver by name", top('resolver = "localhost"; #! resolver | "localhost": expected an IP address, or one with a')),
    ("resolver with a colon", top('resolver = "127.0.0.1:53"; #! resolver | expected an IP address')),
    ("resolver on port 65536", top('resolver = "127.0.0.1@65536"; #! resolver | expected an IP address')),
    ("two resolvers", top('resolver = [ "127.0.0.1", "::1" ]; #! resolver | is an array')),
    ("no time for the DNS", top("dns: { timeout_ms = 0; }; #! dns.timeout_ms | 0: expected a number from 10 to 60000")),
    ("too much time for the DNS", top("dns: { timeout_ms = 60001; }; #! dns.timeout_ms | 60001: expected a number from")),
    ("no cache", top("dns: { cache_entries = 99; }; #! dns.cache_entries | 99: expected a number from 100 to 10000000")),
    ("safe_encoding is a string", top('safe_encoding = "yes"; #! safe_encoding | is a string: expected true or false')),
    ("reencode_signed is a number", top("reencode_signed = 1; #! reencode_signed | is a number: expected true or false")),
    # --- what the DNS and the MTA have to know ---
    ("source address by name", in_pool('source_ips = [ "mail.example.com" ]; #! pools[0].source_ips[0] | expected an IPv4 or IPv6')),
    ("source network", in_pool('source_ips = [ "192.0.2.0/24" ]; #! pools[0].source_ips[0] | expected an IPv4 or IPv6')),
    ("source address with a blank", in_pool('source_ips = [ "192.0.2.4 " ]; #! pools[0].source_ips[0] | expected an IPv4 or')),
    ("source address twice", in_pool('source_ips = [ "2001:db8::1", "2001:DB8:0::1" ]; #! pools[0].source_ips[1] | once')),
    ("source address 0.0.0.0", in_pool('source_ips = [ "0.0.0.0" ]; #! pools[0].source_ips | "0.0.0.0" is no host\'s')),
    ("source address ::", in_pool('source_ips = [ "192.0.2.1", "::" ]; #! pools[0].source_ips | "::" is no host\'s address')),
    ("source address of a group", in_pool('source_ips = [ "224.0.0.1" ]; #! pools[0].source_ips | is no host\'s address')),
    ("source address of an IPv6 group", in_pool('source_ips = [ "ff02::1" ]; #! pools[0].source_ips | is no host\'s')),
    ("IPv4 written as IPv6", in_pool('source_ips = [ "::ffff:192.0.2.1" ]; #! pools[0].source_ips | expected it as IPv4')),
    ("SPF includes an address", in_pool('spf_include = [ "192.0.2.1" ]; #! pools[0].spf_include[0] | expected a domain name')),
    ("SPF includes with its keyword", in_pool('spf_include = [ "include:a.example" ]; #! pools[0].spf_include[0] | expected a domain')),
    ("SPF includes itself", in_pool('spf_include = [ "Example.com." ]; #! pools[0].spf_include | its own SPF record')),
    ("SPF includes the spf_domain", in_pool('spf_include = [ "b.example.com" ]; #! pools[0].spf_include | its own SPF')),
    ("SPF includes eleven", in_pool("spf_include = [ %s ]; #! pools[0].spf_include | at most 10"
                                    % ", ".join('"a%d.example"' % i for i in range(11)))),
    ("unknown DMARC policy", in_pool('dmarc: {\npolicy = "rejects"; #! pools[0].dmarc.policy | expected one of "none"\n};')),
    ("DMARC sp alone", in_pool('dmarc: { subdomain_policy = "reject"; }; #! pools[0].dmarc.subdomain_policy | expected policy')),
    ("DMARC rua alone", in_pool('dmarc: { rua = "mailto:a@example.com"; }; #! pools[0].dmarc.rua | expected policy with it')),
    ("rua without mailto", in_pool('dmarc: { policy = "none"; rua = "a@example.com"; #! pools[0].dmarc.rua | expected mailto:\n};')),
    ("rua without a domain", in_pool('dmarc: { policy = "none"; rua = "mailto:a"; #! pools[0].dmarc.rua | expected mailto:\n};')),
    ("rua with two addresses",
     in_pool('dmarc: { policy = "none"; rua = "mailto:a@b.example,mailto:c@d.example"; #! pools[0].dmarc.rua | expected\n};')),
    ("rua with a size", in_pool('dmarc: { policy = "none"; rua = "mailto:a@b.example!10m"; #! pools[0].dmarc.rua | expected\n};')),
    ("rua with a local part that needs UTF-8",
     in_pool('dmarc: { policy = "none"; rua = "mailto:bücher@b.example"; }; #! pools[0].dmarc.rua | expected ASCII')),
    ("rua so long that it cannot agree",
     in_pool('dmarc: { policy = "none"; rua = "mailto:a@%s"; }; #! pools[0].dmarc | at most 253' % ".".join(["x" * 60] * 4))),
    ("logo without TLS", in_pool('bimi_logo = "http://example.com/l.svg"; #! pools[0].bimi_logo | expected an https:// URL')),
    ("logo with a tag behind it", in_pool('bimi_logo = "https://example.com/l.svg; a=x"; #! pools[0].bimi_logo | expected an')),
    ("logo at a U-label", in_pool('bimi_logo = "https://bücher.example/l.svg"; #! pools[0].bimi_logo | expected ASCII')),
    ("tracking_domain alone", in_pool('tracking_domain = "t.example.com"; #! pools[0].tracking_domain | together')),
    ("tracking_target alone", in_pool('tracking_target = "t.esp.example"; #! pools[0].tracking_target | together')),
    ("tracking_domain is sender_domain",
     in_pool('tracking_target = "t.example"; tracking_domain = "example.com"; #! pools[0].tracking_domain | is sender_domain of')),
    ("tracking_domain is spf_domain",
     in_pool('tracking_target = "t.example"; tracking_domain = "b.example.com"; #! pools[0].tracking_domain | is spf_domain of')),
    ("tracking_domain is the HELO name",
     in_pool('sender_subdomain = "mail"; tracking_target = "t.example";\n'
             'tracking_domain = "mail.example.com"; #! pools[0].tracking_domain | is the sending hosts\' name of pool "acme"')),
    ("tracking_domain is another pool's spf_domain",
     top("", pool('tracking_target = "t.example"; tracking_domain = "b.b.example"; '
                  '#! pools[0].tracking_domain | is spf_domain of pool "b"'), pool("", "b", "b.example"))),
    ("tracking_domain is its target",
     in_pool('tracking_domain = "t.example.com"; tracking_target = "T.example.com"; #! pools[0].tracking_target | another')),
    ("tracking_domain with two targets",
     top("", pool('tracking_domain = "t.example.com"; tracking_target = "a.example";'),
         pool('tracking_domain = "t.example.com"; tracking_target = "b.example"; '
              '#! pools[1].tracking_target | has "a.example" for t.example.com: expected the same', "b", "b.example"))),
    ("bounce_target is spf_domain",
     in_pool('bounce_target = "b.example.com"; #! pools[0].bounce_target | another name than spf_domain')),
    ("bounce_target without spf_domain",
     top("", '{ name = "a"; sender_domain = "example.com"; return_path = "keep"; dkim_selector = "a";\n'
             'dkim_key = "@D@/key.pem"; bounce_target = "m.example"; #! pools[0].bounce_target | expected spf_domain with it\n}')),
    ("bounce_target is a CNAME",
     in_pool('tracking_domain = "t.example.com"; tracking_target = "t.example";\n'
             'bounce_target = "t.example.com"; #! pools[0].bounce_target | is a CNAME')),
    ("spf_domain with two targets",
     top("", pool('bounce_target = "a.example";'),
         pool('bounce_target = "c.example"; #! pools[1].bounce_target | has "a.example" for b.example.com\n'
              'spf_domain = "b.example.com";', "b", "sub.example.com"))),
    ("relay without host", in_pool("relay: { port = 25; }; #! pools[0].relay.host | missing")),
    ("relay with username alone",
     in_pool('relay: { host = "r.example"; username = "a"; }; #! pools[0].relay.username | expected password_file with it')),
    ("relay with password_file alone",
     in_pool('relay: { host = "r.example"; password_file = "/p"; }; #! pools[0].relay.password_file | expected username')),
    ("relay on port 0", in_pool('relay: { host = "r.example"; port = 0; #! pools[0].relay.port | expected a number from 1\n};')),
    ("relay with a port in its name", in_pool('relay: { host = "r.example:25"; #! pools[0].relay.host | expected a host\n};')),
    ("dkim_next without key", in_pool('dkim_next: { selector = "b"; }; #! pools[0].dkim_next.key | missing')),
    ("dkim_next without selector", in_pool('dkim_next: { key = "@D@/key.pem"; }; #! pools[0].dkim_next.selector | missing')),
    ("dkim_next with the selector in use",
     in_pool('dkim_next: { selector = "AK"; key = "@D@/ed25519.pem"; }; #! pools[0].dkim_next | "AK": expected another')),
    ("dkim_next with a selector of signatures",
     in_pool('signatures = ( { selector = "ed"; key = "@D@/ed25519.pem"; } );\n'
             'dkim_next: { selector = "ed"; key = "@D@/ed25519.pem"; }; #! pools[0].dkim_next | expected another selector than')),
    ("dkim_next at no time", in_pool('dkim_next: { selector = "b"; key = "@D@/key.pem";\n'
                                     'use_after = "soon"; #! pools[0].dkim_next.use_after | expected a date such as\n};')),
    ("require_dns is a string", top('require_dns = "yes"; #! require_dns | is a string: expected true or false')),
    # --- everything in one run ---
    ("many errors of several files",
     top('nope = 1; #! nope | unknown\nno_pool = "zz"; #! no_pool | the name of a pool\n@include "a.conf"\n'
         'include_dir = "@D@/d";', pool("users = 1; #! pools[0].users | is a number")),
     {"a.conf": "max_message_size = -1; #! max_message_size | -1: expected",
      "d/1.conf": "pools = ( { }, { } );\n",
      "d/2.conf": "\nx = 1; #! x | unknown"},
     [("d/1.conf", 1, "pools[%d].%s" % (i, key), "missing") for i in (0, 1)
      for key in ("name", "sender_domain", "spf_domain", "dkim_selector", "dkim_key")]),
]

GOOD = [
    ("smallest", top("")),
    ("every kind of socket", top('listen = [ "unix:@D@/s", "local:@D@/t", "inet:8892@127.0.0.1", '
                                 '"inet:8893@localhost",\n"inet6:8892@[::1]" ];')),
    ("socket path of 107", top('listen = "unix:/%s";' % ("x" * 106))),
    ("CRLF", top('no_pool = "reject";\n# comment\n').replace("\n", "\r\n")),
    ("no newline at the end", top("").rstrip("\n")),
    ("comment without newline at the end", top("") + "# the end"),
    ("comment and string signs in each other", top('/* " */ no_pool /* = */ = "pass"; // "\n# /*\n')),
    ("string in pieces", top('no_pool = "re"\n  "ject";')),
    ("limits of ranges", top("max_message_size = 1073741824; signature_expire_days = 3650;\n"
                             "return_path: { expire_days = 1; };")),
    ("hexadecimal", top("max_message_size = 0x100000;")),
    ("int64 in range", top("max_message_size = 1048576L;")),
    ("lists for arrays", top('trusted_networks = ( "::1" );', pool("users = ( ); signatures = [ ];"))),
    ("include, relative to the file", top('@include "sub/a.conf"'),
     {"sub/a.conf": '@include "b.conf"\n', "sub/b.conf": 'no_pool = "reject";'}),
    ("include, absolute", top('  @include "@D@/sub/a.conf"  # behind it'), {"sub/a.conf": 'no_pool = "reject";'}),
    ("include twice in different places", 'listen = "unix:@D@/s";\npools = (\n@include "a.conf"\n,\n'
     + pool("", "b", "b.example") + "\n);", {"a.conf": pool("")}),
    ("include of an empty file", top('@include "a.conf"'), {"a.conf": ""}),
    ("include_dir", top('include_dir = "@D@/d";'),
     {"d/b.conf": "pools = (" + pool("", "b", "b.example") + ");",
      "d/a.conf": "pools = (" + pool("", "c", "c.example") + "," + pool("", "d", "d.example") + ");",
      "d/README": "not read", "d/x.conf.bak": "not read", "d/.hidden.conf": "not read"}),
    ("all pools in include_dir", 'listen = "unix:@D@/s"; include_dir = "@D@/d";',
     {"d/b.conf": "pools = (" + pool("") + ");"}),
    ("no_pool names a pool of include_dir", top('no_pool = "b"; include_dir = "@D@/d";'),
     {"d/b.conf": "pools = (" + pool("", "b", "b.example") + ");"}),
    ("no pools yet, but an include_dir", 'listen = "unix:@D@/s"; include_dir = "@D@/d";', {"d/README": ""}),
    ("keep needs no spf_domain", top("", '{ name = "a"; sender_domain = "example.com"; return_path = "keep"; '
                                     'dkim_selector = "a"; dkim_key = "@D@/key.pem"; }')),
    ("domain of U-labels", in_pool('sender_domain = "Bücher.example.";\nspf_domain = "b.bücher.example";')),
    ("Ed25519 beside RSA", in_pool('signatures = ( { selector = "ed"; key = "@D@/ed25519.pem"; },\n'
                                   '{ domain = "esp.example"; selector = "a.b"; key = "@D@/key.pem"; } );')),
    ("key with CRLF", in_pool('dkim_key = "@D@/crlf.pem";')),
    ("spf_domain shared by pools", top("", pool('spf_domain = "b.example.com";'),
                                       pool('spf_domain = "b.example.com";', "b", "mail.example.com"))),
    ("ISP record with everything",
     in_isp('mx = [ "*.big.example", "mx.other.example" ];\nconnections = 5; messages_per_connection = 10;\n'
            'recipients_per_message = 100; delete_headers = [ "X-*" ];\n'
            'encoding: { global = "keep"; html = "base64"; text = "quoted-printable"; };\n'
            'set_headers = ( { name = "X-A"; value = "${isp}"; } ); add_headers = ( { name = "X-B"; value = "b"; } );')),
    ("limits of every kind",
     isps(record('limits = [ "20/second", "50000/day" ]; total_limits = [ "1000000000/31d", "1/1s" ];')).replace(
         "pools = (", "pools = (" + pool('limits = [ "5/30s", "7/15m", "9/2h" ]; on_limit = "hold"; count = "messages";\n'
                                        'isp_limits = ( { isp = "BIG"; limits = [ "1/day" ]; }, { isp = "default"; } );',
                                        "b", "b.example") + ",")),
    ("limits for a shipped record", top('shipped_isps = ( { name = "s"; domains = [ "s.example" ]; } );',
                                        pool('isp_limits = ( { isp = "s"; limits = [ ]; } );'))),
    ("record with MX hosts only", isps('{ name = "a"; mx = [ "*.a.example" ]; }')),
    ("record default", isps('{ name = "default"; encoding: { global = "8bit"; }; }')),
    ("shipped and custom default", top('isps = ( { name = "default"; } ); shipped_isps = ( { name = "Default"; } );')),
    ("custom record replaces a shipped one", isps(record("")) + "shipped_isps = (" + record("", "Big") + ");"),
    ("custom record takes a domain", isps(record("")) + "shipped_isps = (" + record("", "other") + ");"),
    ("domain and suffix, custom and shipped MX host",
     isps(record('mx = [ "*.mx.example" ];'), record("", "b", "*.big.example"))
     + "shipped_isps = (" + record('mx = [ "*.mx.example" ];', "c", "*.big.example") + ");"),
    ("a broken record that is replaced", isps(record("")) + 'shipped_isps = ( { name = "big"; } );'),
    ("split", top(SPLIT % "smtp://127.0.0.1:10026")),
    ("split by IPv6", top(SPLIT % "smtp://[::1]:10026")),
    ("split to another host", top(SPLIT % "smtp://mail.example.com:26" + 'trusted_networks = [ "192.0.2.1" ];')),
    ("split where only 127.0.0.1 is trusted", top(SPLIT % "smtp://127.0.0.1:26" + 'trusted_networks = [ "127.0.0.1" ];')),
    ("resolver with a port", top('resolver = "127.0.0.1@5353"; dns: { timeout_ms = 10; cache_entries = 100; };')),
    ("resolver by IPv6", top('resolver = "2001:db8::53";')),
    ("pool with all that the DNS has to know",
     in_pool('sender_subdomain = "mail"; source_ips = [ "192.0.2.4", "2001:db8::4" ];\n'
             'spf_include = [ "spf.esp.example" ]; bimi_logo = "https://example.com/l.svg"; bounce_target = "m.example";\n'
             'dmarc: { policy = "reject"; subdomain_policy = "none"; rua = "mailto:d@bücher.example"; };\n'
             'tracking_domain = "t.example.com"; tracking_target = "t.example";\n'
             'dkim_next: { selector = "n"; key = "@D@/ed25519.pem"; use_after = "2030-01-01"; };')),
    ("selector of dkim_next in use for another domain",
     in_pool('signatures = ( { domain = "esp.example"; selector = "n"; key = "@D@/key.pem"; } );\n'
             'dkim_next: { selector = "n"; key = "@D@/ed25519.pem"; };')),
    ("ten SPF includes", in_pool("spf_include = [ %s ];" % ", ".join('"a%d.example"' % i for i in range(10)))),
    ("one tracking_domain of two pools",
     top("", pool('tracking_domain = "t.example.com"; tracking_target = "t.example"; bounce_target = "m.example";'),
         pool('tracking_domain = "t.example.com"; tracking_target = "t.example";\nspf_domain = "b.example.com";',
              "b", "sub.example.com"))),
    ("templates", headers("add_headers", 'name = "X-A"; value = "${pool}:${header:X-B} $$ ${queue_id}";',
                          'name = "X-A"; value = "again";')),
]


def prepare(d):
    d.key("key.pem")
    d.key("ed25519.pem", ("-algorithm", "ED25519"))
    d.key("512.pem", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"))
    d.key("encrypted.pem", ("-algorithm", "RSA", "-aes128", "-pass", "pass:secret"))
    os.chmod(d.key("open.pem"), 0o644)
    with open(d.path("key.pem"), "rb") as f:
        pem = f.read()
    d.write("crlf.pem", pem.replace(b"\n", b"\r\n"))
    d.write("public.pem", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6rXJi5j8gs0XRLqVm7CVYJ1fNzXx1KBv5W9wfCMbrk8=\n"
            "-----END PUBLIC KEY-----\n")


def place(d, content):
    return content if isinstance(content, bytes) else content.replace("@D@", d.root).encode()


def marked(d, name, content):
    """What the marks in a file expect, as (file, line, key, part)."""
    expected = []
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        mark = MARK.search(line)
        if mark:
            expected.append((name, 0 if mark.group(1) else number, mark.group(2), mark.group(3)))
    return expected


def is_match(d, output_line, expectation):
    name, line, key, part = expectation
    start = d.path(name) + (":%d" % line if line else "") + ": "
    if key != "-":
        start += key + ": "
    return output_line.startswith(start) and part.replace("@D@", d.root) in output_line[len(start):]


class Files(tap.TestCase):
    def check(self, text, files=None, expected=()):
        with Directory() as d:
            prepare(d)
            expected = list(expected)
            for name, content in [("main.conf", text)] + list((files or {}).items()):
                if content is not None:
                    content = place(d, content)
                    expected += marked(d, name, content)
                    d.write(name, content)
            status, _, output = run("check", "--keys", "-c", d.path("main.conf"))
            errors = [line for line in output.splitlines() if not line.startswith("warning: ")]
            self.compare(d, status, output, errors, expected)

    def compare(self, d, status, output, errors, expected):
        self.assertEqual(status, CONFIGURATION if expected else 0, output)
        left = list(errors)
        for expectation in expected:
            found = [line for line in left if is_match(d, line, expectation)]
            self.assertTrue(found, "expected %r in:\n%s" % (expectation, output))
            left.remove(found[0])
        self.assertEqual(left, [], "not expected")


def add(kind, case):
    def test(self):
        if kind == "bad":
            self.assertTrue(len(case) > 3 or "#!" in str(case[1:]), "a bad file without expectation")
        self.check(*case[1:])
    name = "test_%s: %s" % (kind, case[0])
    assert not hasattr(Files, name), name
    setattr(Files, name, test)


for entry in BAD:
    add("bad", entry)
for entry in GOOD:
    add("good", entry)

if __name__ == "__main__":
    tap.main()
