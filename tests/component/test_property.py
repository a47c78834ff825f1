#!/usr/bin/python3
"""The property test of re-encoding: whatever a message is, its contents stay and nothing else changes.

Every message in tests/ and random ones (tests/lib/mimegen.py) go through the daemon, by the milter protocol
and the fake MTA, once for each rule and for safe_encoding on and off.  What the MTA holds afterwards is
judged by readers that share nothing with the program (tests/lib/mimeread.py):
    - compare(): contents, and all octets outside of re-encoded contents and their labels, stay
    - where no reader doubts, the rule is obeyed; else the log line has a reason; what no rule concerns
      changes only where safe_encoding has a need
    - with safe_encoding all travels unchanged over a hop that knows only 7-bit lines, or there is a reason
    - treating the result again changes nothing more
    - the signature verifies (of some: python3-dkim takes its time)

POOLMILTER_SEED repeats a run; POOLMILTER_PROPERTY_MESSAGES is how many random messages there are;
POOLMILTER_PROPERTY_ONLY=N takes only the random message number N.
"""
import collections
import multiprocessing
import os
import pathlib
import random
import time
import traceback

import common
import daemon
import mimegen
import mimeread
import mta

TESTS = pathlib.Path(__file__).resolve().parents[1]
SEED = int(os.environ.get("POOLMILTER_SEED") or time.time_ns() % 1000000007)
COUNT = int(os.environ.get("POOLMILTER_PROPERTY_MESSAGES") or (200 if daemon.instrumented() else 1000))
ONLY = os.environ.get("POOLMILTER_PROPERTY_ONLY")
VERIFY_EVERY = 10
FAILURES_SHOWN = 5

# ISP record -> what its encoding group says
RULES = {
    "keep": {"global": "keep"},
    "qp": {"global": "quoted-printable"},
    "base64": {"global": "base64"},
    "8bit": {"global": "8bit"},
    "mixed": {"html": "base64", "text": "quoted-printable"},
}
POOL = daemon.pool("acme", "example.com", dkim_key=daemon.key("property", "ed25519").path)
ZONE = daemon.Zone().add(POOL["dkim_selector"], POOL["sender_domain"], daemon.key("property", "ed25519").record)

EIGHT = (b"8bit", b"binary")
Facts = collections.namedtuple("Facts", "name rule safe wanted lost changes")


def kind_of(part):
    if part.is_multipart:
        return "multipart"
    return {"text/html": "html", "text/plain": "text"}.get(part.type, "other")


def rule_for(rules, part):
    """What the record says about a text part; one whose type is not clear is neither HTML nor plain."""
    kind = kind_of(part) if part.type_is_clear else "other"
    return rules.get(kind) or rules.get("global", "keep")


def is_eligible(part):
    """A leaf that rules are for."""
    return (part.type.startswith("text/") and not part.attachment and not part.sealed
            and part.octets != b"")


def encoding_for(rule, part, content):
    """The labels that a part may have when the rule is obeyed; content: decoded."""
    if rule in ("quoted-printable", "base64"):
        return (rule.encode(),)
    if (not mimeread.is_lines(content) or part.holds_boundary(content)
            or not part.depth and not content.endswith(b"\r\n")):
        return (b"quoted-printable",)
    return (b"", b"7bit") if content.isascii() else (b"8bit",)


def unmet(rules, safe, old, new):
    """What is asked for this leaf and was not done, as text; None: all is well."""
    if not is_eligible(old):
        return None
    content, rule = old.decoded(), rule_for(rules, old)
    if rule == "keep":
        if safe and (not mimeread.is_7bit(new.octets) or new.label in EIGHT):
            return "not safe"
    elif new.label.decode("latin-1") != rule and (
            content is None or content and new.label not in encoding_for(rule, old, content)):
        return "%r, not %s" % (new.label, rule)
    return None


def lost(rule, image):
    """What would not travel, as text; None: all would, but for the 8-bit text that was asked for."""
    head, _, body = image.partition(b"\r\n\r\n")
    if mimeread.longest_line(head) > mimeread.LINE_MAX:
        return "a long header line"
    # MTAs rewrite such a label for a 7-bit hop, whatever the content is.
    if rule != "8bit" and any(part.label in EIGHT for part in mimeread.read(image).walk()):
        return "a label"
    if not (mimeread.is_lines if rule == "8bit" else mimeread.is_7bit)(body):
        return "body"
    return None


def check_keep(rules, safe, changes):
    """What no rule concerns changes only if it is not safe."""
    for old, new in changes:
        concerned = not old.is_multipart and rule_for(rules, old) != "keep"
        relabelled = old.label in EIGHT and new.label == b"7bit"
        if not concerned and (not safe or mimeread.is_7bit(old.octets) and not relabelled):
            raise mimeread.Damage("changed without a rule or a need: %r" % old.octets[:200])


class Judge:
    """Sends messages through both daemons and judges what comes out.  Lives in a process of its own."""

    def __init__(self, addresses):
        self.sessions = {safe: mta.Session(address, login=common.LOGIN)
                         for safe, address in addresses.items()}
        self.facts, self.failures, self.verified = {}, [], 0

    def message(self, name, data, clean):
        stored = mta.normalise(data)
        tree = mimeread.read(stored)
        doubt = mimeread.disagreement(stored)
        for rule in RULES:
            for safe in (True, False):
                try:
                    self._treat(name, stored, tree, clean and not doubt, rule, safe)
                except Exception:
                    self.failures.append("%s, rule %s, safe_encoding %s: %s\n%r" % (
                        name, rule, safe, traceback.format_exc(limit=-2), stored[:6000]))
                    return      # what is wrong with one rule is with others: one report a message

    def _deliver(self, stored, rule, safe, queue_id):
        session = self.sessions[safe]
        result = session.deliver(stored, b"a@example.com", [b"r@%s.example" % rule.encode()],
                                 queue_id=queue_id, as_stored=True)
        if result.status != "accepted":
            raise AssertionError("%s %s" % (result.status, result.reply))
        top = sum(edit[0] == "insheader" for edit in result.edits)
        if result.edits and not top:
            raise AssertionError("edited but not signed")
        return result, top

    def _treat(self, name, stored, tree, clean, rule, safe):
        queue_id = "4P%dS%d%s" % (len(self.facts), safe, multiprocessing.current_process().name)
        result, top = self._deliver(stored, rule, safe, queue_id)
        if not top:
            if result.image != stored:
                raise mimeread.Damage("changed but not signed")
            return
        changes = mimeread.compare(stored, result.image, top)
        check_keep(RULES[rule], safe, changes)
        changed = [edit for edit in result.edits if edit[0] not in ("insheader", "chgfrom")]
        if changed and tree.values(b"dkim-signature"):
            raise mimeread.Damage("changed although its author signed it")
        wanted = self._wanted(tree, mimeread.read(result.image), RULES[rule], safe)
        if wanted and clean:
            raise AssertionError("%s, although nothing is in doubt" % wanted)
        self.facts[queue_id] = Facts(name, rule, safe, wanted, safe and lost(rule, result.image), sorted(
            {"%s:%s" % (kind_of(new), new.label.decode() or "7bit") for _, new in changes}))
        self._verify(result.image)
        if changes:
            self._again(result.image, top, rule, safe)

    @staticmethod
    def _wanted(old, new, rules, safe):
        """What is asked for and was not done anywhere in the message."""
        if old.octets == new.octets and old.label == new.label:
            new = old
        texts = [unmet(rules, safe, *leaves) for leaves in zip(old.leaves(), new.leaves())]
        return next(filter(None, texts), None)

    def _verify(self, image):
        if len(self.facts) % VERIFY_EVERY:
            return
        failures = daemon.failed_signatures(image, ZONE, POOL["sender_domain"],
                                            POOL["dkim_selector"])
        if failures:
            raise AssertionError("signature: %s" % failures)
        self.verified += 1

    def _again(self, image, top, rule, safe):
        """The result without our signature is treated once more."""
        head, end, body = image.partition(b"\r\n\r\n")
        fields = mta.split(head + end)[0][top:]
        once = b"".join(field.replace(b"\n", b"\r\n") + b"\r\n" for field in fields) + b"\r\n" + body
        result, top = self._deliver(once, rule, safe, "4PAGAIN")
        changed = [edit[:3] for edit in result.edits if edit[0] not in ("insheader", "chgfrom")]
        if changed:
            raise AssertionError("a second time changes more: %r" % changed)


def corpus():
    """(name, octets) of the messages in tests/; what has no From: gets a header that is treated."""
    for path in sorted([*TESTS.glob("golden/*.eml"), *TESTS.glob("fuzz/seeds/*/*")]):
        data = path.read_bytes()
        yield str(path.relative_to(TESTS)), data
        if path.suffix != ".eml":
            yield str(path.relative_to(TESTS)) + " as a body", mimegen.HEAD + b"\r\n" + data
            yield str(path.relative_to(TESTS)) + " below a header", mimegen.HEAD + data


def random_message(number):
    return mimegen.message(random.Random("%d/%d" % (SEED, number)))


def work(addresses, share, shares, results):
    """One process: every shares-th message."""
    judge = Judge(addresses)
    messages = 0
    if ONLY is None:
        for name, data in list(corpus())[share::shares]:
            judge.message(name, data, clean=False)
            messages += 1
    for number in range(share, COUNT, shares) if ONLY is None else [int(ONLY)] if share == 0 else []:
        made = random_message(number)
        judge.message("random message %d" % number, made.data, made.clean)
        messages += 1
    results.put((messages, judge.facts, judge.failures, judge.verified))


class Property(common.ComponentTest):
    def _servers(self):
        isps = tuple({"name": name, "domains": ["%s.example" % name], "encoding": encoding}
                     for name, encoding in RULES.items())
        return {safe: self.serve([POOL], isps=isps, no_pool="acme", safe_encoding=safe,
                                 control_header="X-None-Has-This")
                for safe in (True, False)}

    def _run(self, servers, shares=2):
        addresses = {safe: server.address for safe, server in servers.items()}
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        workers = [context.Process(target=work, args=(addresses, share, shares, results), name="W%d" % share)
                   for share in range(shares)]
        for worker in workers:
            worker.start()
        done = [results.get(timeout=600 + COUNT) for _ in workers]
        for worker in workers:
            worker.join()
        return done

    def test_contents_stay_and_nothing_else_changes(self):
        print("# POOLMILTER_SEED=%d POOLMILTER_PROPERTY_MESSAGES=%d" % (SEED, COUNT), flush=True)
        servers = self._servers()
        done = self._run(servers)
        facts = {queue_id: fact for each in done for queue_id, fact in each[1].items()}
        failures = [text for each in done for text in each[2]]
        failures += self._check_log(servers, facts)
        print("# %s" % self._summary(done, facts), flush=True)
        for text in failures[:FAILURES_SHOWN]:
            with self.subTest(seed=SEED):
                self.fail("%d failures; POOLMILTER_SEED=%d\n%s" % (len(failures), SEED, text))
        if ONLY is None:
            self._check_reach(done, facts)

    @staticmethod
    def _summary(done, facts):
        return "%d messages, %d treated, %d re-encoded, %d verified, %d left with a reason" % (
            sum(each[0] for each in done), len(facts), sum(bool(fact.changes) for fact in facts.values()),
            sum(each[3] for each in done), sum(bool(fact.wanted) for fact in facts.values()))

    @staticmethod
    def _check_log(servers, facts):
        """What the daemons say of each message is what has happened."""
        failures = []
        lines = {}
        for server in servers.values():
            server.wait_log(r"result=")
            for line in server.log.split("\n"):
                queue_id, found, rest = line.partition(": pool=")
                if found:
                    lines[queue_id.split()[-1]] = rest
        for queue_id, fact in facts.items():
            line = lines.get(queue_id)
            encoded = line and line.partition(" encoded=")[2].split()[0]
            if encoded is None:
                failures.append("%s: no log line" % (fact,))
            elif sorted(encoded.split(",")) != (fact.changes or ["-"]):
                failures.append("%s: the log says encoded=%s" % (fact, encoded))
            elif (fact.wanted or fact.lost) and " reason=" not in line:
                failures.append("%s: left without a reason" % (fact,))
        return failures

    def _check_reach(self, done, facts):
        """The messages reach what they are for: leaving all as it is passes no test."""
        count = collections.Counter((fact.rule, fact.safe) for fact in facts.values() if fact.changes)
        least = COUNT // 5
        for rule in RULES:
            for safe in (True, False):
                if rule == "keep" and not safe:
                    self.assertEqual(count[rule, safe], 0)
                else:
                    self.assertGreater(count[rule, safe], least // (4 if rule == "keep" else 1), (rule, safe))
        self.assertGreater(sum(bool(fact.wanted) for fact in facts.values()), COUNT // 5)
        self.assertGreater(sum(each[3] for each in done), COUNT // 2)


if __name__ == "__main__":
    common.main()
