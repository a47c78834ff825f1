#!/usr/bin/python3
"""The milter protocol as the daemon meets it: negotiation, aborts, floods, frames of hostile peers.

Rows A5 to A8 of the fault list, and the flags that the negotiation must settle on.
"""
import contextlib
import re
import os
import resource
import socket
import struct
import threading
import time

import common
import daemon
import milter
import mta

ACME = daemon.pool("acme", "example.com")
BETA = daemon.pool("beta", "beta.example")
MARK = b"X-Mark: of-an-aborted-message\r\n"


def quietly(action):
    """Run an action whose end by the other side is as good as an answer."""
    with contextlib.suppress(OSError, milter.ProtocolError):
        return action()
    return None


class Negotiation(common.ComponentTest):
    def test_asks_for_silent_events_and_leading_spaces(self):
        """No round trip where none is needed: the event is silent or left out."""
        steps = self.session(self.serve()).filter.steps
        for names in (("NR_HDR",), ("NR_BODY",), ("HDR_LEADSPC",), ("NR_EOH", "NOEOH"),
                      ("NR_CONN",), ("NR_HELO", "NOHELO"), ("NR_UNKN", "NOUNKNOWN")):
            with self.subTest(flags=names):
                self.assertTrue(any(steps & getattr(milter, name) for name in names),
                                "%s not set in %#x" % (" or ".join(names), steps))

    def test_answers_data_and_the_events_that_can_refuse(self):
        steps = self.session(self.serve()).filter.steps
        for name in ("NR_DATA", "NODATA", "NR_RCPT", "NORCPT", "NOMAIL", "NOHDRS", "NOBODY"):
            with self.subTest(flag=name):
                self.assertFalse(steps & getattr(milter, name), "%s set in %#x" % (name, steps))

    def test_asks_for_no_more_than_it_may_use(self):
        actions = self.session(self.serve()).filter.actions
        needed = milter.ADDHDRS | milter.CHGHDRS | milter.CHGFROM
        self.assertEqual(actions & needed, needed)

    def test_works_where_every_event_wants_an_answer(self):
        server = self.serve()
        session = self.session(server, steps=milter.ALL_STEPS & ~milter.NO_REPLY_STEPS)
        self.assertEqual(session.filter.steps & milter.NO_REPLY_STEPS, 0)
        self.assert_signed(session.deliver(common.message(), b"a@example.com",
                                           [b"b@example.net"]), ACME)

    def test_messages_without_headers_or_body(self):
        """libmilter ignores what its table of states does not foresee: BODY or the end after DATA."""
        session = self.session(self.serve(), timeout=5)
        for data in (b"\r\n", b"\r\ntext\r\n", b"From: a@example.com\r\n\r\n"):
            with self.subTest(message=data):
                result = session.deliver(data, b"a@example.com", [b"b@example.net"])
                self.assertEqual((result.status, result.treated), ("accepted", True))
                self.assertEqual(bool(result.edits), data.startswith(b"From"))

    def test_works_without_leading_spaces(self):
        server = self.serve()
        session = self.session(server, steps=milter.ALL_STEPS & ~milter.HDR_LEADSPC)
        result = session.deliver(common.message(), b"a@example.com", [b"b@example.net"])
        self.assert_signed(result, ACME)
        self.assertIn(b"\r\nSubject: Test\r\n", result.message)

    def test_A8_refuses_an_mta_that_lacks_a_feature_and_names_it(self):
        lacking = {
            "change-from": (dict(actions=milter.ALL_ACTIONS & ~milter.CHGFROM),
                            r"(?i)chgfrom|change.?from|change the sender|envelope sender"),
            "add headers": (dict(actions=milter.ALL_ACTIONS & ~milter.ADDHDRS),
                            r"(?i)addhdrs|add.{0,5}header"),
            "change headers": (dict(actions=milter.ALL_ACTIONS & ~milter.CHGHDRS),
                               r"(?i)chghdrs|change.{0,5}header"),
            "protocol 2": (dict(version=2, steps=milter.V2_STEPS), r"(?i)protocol|version|data"),
        }
        for name, (offer, in_log) in lacking.items():
            with self.subTest(lacking=name):
                server = self.serve()
                since = server.mark()
                with self.assertRaises((milter.Closed, milter.ProtocolError)):
                    mta.Session(server.address, **offer)
                server.wait_log(in_log, since=since)
                self.assert_still_works(server)


class Exhaustion(common.ComponentTest):
    LIMIT, CLIENTS = 64, 200

    def _flood(self, server):
        """Open CLIENTS connections and offer a negotiation on each; a full backlog is a 4xx."""
        clients = []
        for _ in range(self.CLIENTS):
            try:
                client = milter.Milter(server.address, timeout=0.2)
            except OSError:
                continue
            clients.append(client)
            quietly(lambda client=client: client.raw(milter.frame(
                b"O", struct.pack(">III", 6, milter.ALL_ACTIONS, milter.ALL_STEPS))))
        return clients

    @staticmethod
    def _served(clients):
        """How many of them have the answer to their negotiation two seconds later."""
        time.sleep(2)
        for client in clients:
            client.sock.settimeout(0.01)
        return sum(quietly(client.receive) is not None for client in clients)

    def test_A5_few_descriptors_and_many_clients(self):
        server = self.serve(limits={resource.RLIMIT_NOFILE: self.LIMIT})
        self.assert_still_works(server)
        for attempt in range(2):
            with self.subTest(attempt=attempt):
                clients = self._flood(server)
                self.addCleanup(lambda clients=clients: [client.close() for client in clients])
                served = self._served(clients)
                self.assertGreater(served, 0, "nobody was served")
                self.assertLess(served, self.CLIENTS, "the limit was never reached")
                used, seconds = server.cpu_seconds(), 3
                time.sleep(seconds)
                used = server.cpu_seconds() - used
                self.assertTrue(server.alive, "it died; log:\n" + server.log)
                self.assertLess(used, seconds / 4, "%.2f s of CPU in %d s of doing nothing"
                                % (used, seconds))
                for client in clients:
                    client.close()
                self.assertTrue(daemon.wait_for(lambda: server.negotiates(), 15),
                                "alive but deaf; log:\n" + server.log[-2000:])
                self.assert_still_works(server)
        self.assertLess(len(server.lines), 300, "a line for every failure")


    def test_A5_few_threads(self):
        """libmilter forgets a session that it finds no thread for; ours waits for one that is free."""
        uid = 64999  # nobody else's: the limit counts all threads of a user
        key = daemon.make_key(daemon.new_directory("key") / "key.pem")
        for path in (key.path, os.path.dirname(key.path)):
            os.chown(path, uid, uid)
        # LeakSanitizer needs a thread of its own at the end; other tests find leaks.
        env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        server = self.serve([daemon.pool(dkim_key=key.path)], user=None, uid=uid,
                            limits={resource.RLIMIT_NPROC: 10}, env=env)
        sessions = [mta.Session(server.address, login=common.LOGIN) for _ in range(40)]
        failures = []

        def send(session):
            result = session.deliver(common.message(), b"a@example.com", [b"b@example.net"])
            if result.status != "accepted":
                failures.append((result.status, result.reply))

        for _ in range(3):
            threads = [threading.Thread(target=send, args=(s,)) for s in sessions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertIn("cannot start a thread", server.log)
        descriptors = server.descriptors()
        for session in sessions:
            session.quit()
        self.assertTrue(daemon.wait_for(lambda: server.descriptors() <= descriptors - 40, 15),
                        "descriptors of closed sessions stay open")
        self.assertEqual(self.deliver(server).status, "accepted")


class Floods(common.ComponentTest):
    def _steady(self, server, provoke, lines=20, kib=4096):
        """Memory, descriptors and log stay as they are while something is provoked."""
        self.assert_still_works(server)
        provoke(self._many)     # whatever is allocated once, is now
        daemon.wait_for(lambda: False, 0.3)
        # Threads' stacks are kept, as many as were needed at the same time, which the machine's load
        # decides (with AddressSanitizer a megabyte each): a round may need more than those before. A leak
        # adds to every round, so a round that adds little is the proof that there is none.
        for _ in range(4):
            memory, files, logged = server.memory(), server.descriptors(), server.mark()
            provoke(self._many)
            self.assertTrue(server.alive, "it died; log:\n" + server.log[-2000:])
            self.assertTrue(daemon.wait_for(lambda: server.descriptors() <= files + 2, 10),
                            "%d descriptors, before %d" % (server.descriptors(), files))
            growth = server.memory() - memory
            if growth < daemon.memory_limit(kib):
                break
        self.assertLess(growth, daemon.memory_limit(kib), "in each of the rounds")
        self.assertLessEqual(server.mark() - logged, lines,
                             "\n".join(server.lines[logged:logged + 40]))
        self.assert_still_works(server)

    _many = 1000

    def test_A6_port_probes(self):
        server = self.serve()
        self._many = daemon.scaled(10000)

        def probe(count):
            for _ in range(count):
                milter.connect_socket(server.address, 10).close()

        self._steady(server, probe)

    def test_A6_port_probes_over_inet(self):
        address = "inet:%d@127.0.0.1" % daemon.free_port()
        server = self.prepare(listen=address)
        server.address = address
        server.start()
        self._many = daemon.scaled(2000)

        def probe(count):
            for number in range(count):
                sock = milter.connect_socket(address, 10)
                if number % 2:      # half of them end with a reset
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()

        self._steady(server, probe)

    def test_A6_half_packets(self):
        server = self.serve()
        negotiation = milter.frame(b"O", struct.pack(">III", 6, milter.ALL_ACTIONS,
                                                     milter.ALL_STEPS))
        mail = milter.frame(b"M", b"<a@example.com>\0")
        cuts = [b"\0\0", negotiation[:5], negotiation[:-1], negotiation + mail[:3],
                negotiation + mail[:-1], negotiation + milter.frame(b"D", b"M{auth_authen}"),
                negotiation + mail + milter.frame(b"R", b"<b@example.net>")]
        self._many = daemon.scaled(700)

        def cut_off(count):
            for number in range(count):
                sock = milter.connect_socket(server.address, 10)
                quietly(lambda: sock.sendall(cuts[number % len(cuts)]))
                sock.close()

        self._steady(server, cut_off)

    def test_A6_claimed_length_is_not_allocated(self):
        server = self.serve()
        self.assert_still_works(server)
        for length in (0xffffffff, 0x80000000, 1 << 30, 100 << 20):
            with self.subTest(length=length):
                before = server.memory()
                with milter.Milter(server.address, timeout=10) as client:
                    client.negotiate()
                    quietly(lambda: client.raw(struct.pack(">I", length) + b"M" + b"x" * 300000))
                    with self.assertRaises(milter.Closed):
                        client.receive()
                self.assertLess(server.memory() - before, daemon.memory_limit(8192))
        self.assert_still_works(server)

    def test_A6_a_silent_client_does_not_hold_up_others(self):
        server = self.serve()
        held = [milter.Milter(server.address) for _ in range(30)]
        self.addCleanup(lambda: [client.close() for client in held])
        for client in held:
            client.raw(b"\0\0\0")
        started = time.monotonic()
        self.assert_still_works(server)
        self.assertLess(time.monotonic() - started, 10)


class Disorder(common.ComponentTest):
    FRAMES = {
        "C": milter.frame(b"C", b"client.example\x004\x9c\x40192.0.2.1\0"),
        "H": milter.frame(b"H", b"client.example\0"),
        "M": milter.frame(b"M", b"<a@example.com>\0"),
        "R": milter.frame(b"R", b"<b@example.net>\0"),
        "T": milter.frame(b"T"), "N": milter.frame(b"N"), "E": milter.frame(b"E"),
        "A": milter.frame(b"A"), "Q": milter.frame(b"Q"), "K": milter.frame(b"K"),
        "L": milter.frame(b"L", b"From\0 a@example.com\0"),
        "B": milter.frame(b"B", b"text\r\n"),
        "U": milter.frame(b"U", b"XYZZY\0"),
        "O": milter.frame(b"O", struct.pack(">III", 6, milter.ALL_ACTIONS, milter.ALL_STEPS)),
        "D": milter.frame(b"D", b"Mi\0004ABC\0{auth_authen}\0acme\0"),
        # Malformed: strings without an end, no strings, unknown letters, nothing at all.
        "m": milter.frame(b"M", b"<a@example.com>"), "n": milter.frame(b"M", b""),
        "r": milter.frame(b"R", b""), "l": milter.frame(b"L", b"From"),
        "k": milter.frame(b"L", b"\0\0"), "d": milter.frame(b"D", b"M{auth_authen}"),
        "e": milter.frame(b"D", b""), "c": milter.frame(b"C", b"x"), "h": milter.frame(b"H", b""),
        "z": milter.frame(b"Z", b"?"), "0": struct.pack(">I", 0), "o": milter.frame(b"O", b"\0"),
    }
    # Written as the letters above, "O" (one negotiation) always first.
    SEQUENCES = ["E", "B", "R", "L", "N", "T", "A", "Q", "K", "CE", "CB", "CHR", "CHMT", "CHME",
                 "CHMB", "CHMM", "CHMRM", "CHMRTT", "CHMRTE", "CHMRTNL", "CHMRTBN", "CHMRTLNBL",
                 "CHMRTLNBEE", "CHMRTLNBER", "CHMRTLNBEB", "CC", "CHC", "CHMC", "CHMRTLC", "OO",
                 "CO", "CHMO", "CHMRTLO", "CHMRTLNBO", "AAAA", "CHMAAAM", "CHMRAR", "CUUU",
                 "CHMUR", "CHMRTU", "CHMRTLQ", "CHMRTLNBQ", "Cm", "CHm", "CHn", "CHMr", "CHMRTl",
                 "CHMRTk", "CHdM", "eCH", "c", "Ch", "CHMRTLz", "z", "0", "CHM0", "CHMRTL0", "o",
                 "CHMRTLNBEQC", "CHMRTLNBEKCHMRTLNBE", "KCH", "CHMRTLNKCHM"]

    def test_A6_commands_out_of_order(self):
        server = self.serve()
        files = server.descriptors()
        for sequence in self.SEQUENCES:
            with self.subTest(sequence=sequence):
                sock = milter.connect_socket(server.address, 10)
                quietly(lambda: sock.sendall(b"".join(
                    self.FRAMES[letter] for letter in "O" + sequence)))
                quietly(lambda: sock.shutdown(socket.SHUT_WR))
                self._drain(sock)
                self.assertTrue(server.alive, "it died; log:\n" + server.log[-2000:])
        self.assertTrue(daemon.wait_for(lambda: server.descriptors() <= files + 2, 10))
        self.assert_still_works(server)

    def test_A6_first_frame_is_no_negotiation(self):
        server = self.serve()
        for letter, data in self.FRAMES.items():
            if letter == "O":
                continue
            with self.subTest(frame=letter):
                sock = milter.connect_socket(server.address, 10)
                quietly(lambda: sock.sendall(data + self.FRAMES["M"] + self.FRAMES["E"]))
                quietly(lambda: sock.shutdown(socket.SHUT_WR))
                self._drain(sock)
        self.assert_still_works(server)

    def _drain(self, sock):
        """Read to the end; the other side must hang up once ours is closed."""
        try:
            while sock.recv(65536):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            self.fail("still open 10 s after we closed our side")
        finally:
            sock.close()

    def test_A6_second_negotiation_never_makes_a_stranger_trusted(self):
        """libmilter forgets about CONNECT then: a client that is not known is not a local one."""
        server = self.serve()
        with milter.Milter(server.address, timeout=5) as client:
            client.negotiate()
            client.raw(self.FRAMES["O"])
            client.sock.settimeout(1)
            quietly(client.receive)
            client.sock.settimeout(5)
            edits = quietly(lambda: self._whole_message(client))
        if edits is not None:
            self.assertEqual(edits, [])
        self.assert_still_works(server)

    def test_A6_message_without_connect_is_not_trusted(self):
        server = self.serve()
        with milter.Milter(server.address, timeout=5) as client:
            client.negotiate()
            edits = quietly(lambda: self._whole_message(client, connect=False))
        if edits is not None:
            self.assertEqual(edits, [])
        self.assert_still_works(server)

    @staticmethod
    def _whole_message(client, connect=True):
        """One message from a stranger; the edits, or [] when it was waved through."""
        replies = []
        if connect:
            client.send(b"C", b"client.example\x004\x9c\x40192.0.2.1\0")
        client.macros("M", {})
        replies.append(client.mail([b"<a@example.com>"]))
        replies.append(client.rcpt([b"<b@example.net>"]))
        replies.append(client.data())
        if not all(reply.goes_on for reply in replies):
            return []
        client.header(b"From", b" a@example.com")
        client.eoh()
        client.body(b"text\r\n")
        return client.end_of_message()[0]


class CarryOver(common.ComponentTest):
    STAGES = ("connect", "mail", "rcpt", "rcpt2", "data", "header", "headers", "eoh", "body",
              "body2")

    def _abort_after(self, session, stage):
        """A message of acme, broken off after a stage."""
        client = session.filter
        macros = {"{auth_authen}": "acme", "i": "4ABORT"}
        headers, body = mta.split(common.message(extra=MARK + b"From: second@example.com\r\n"))
        steps = {
            "connect": lambda: None,
            "mail": lambda: (client.macros("M", macros), client.mail([b"<mark@example.com>"])),
            "rcpt": lambda: client.rcpt([b"<mark@example.net>"]),
            "rcpt2": lambda: client.rcpt([b"<mark2@example.net>"]),
            "data": client.data,
            "header": lambda: client.header(*headers[0].split(b":", 1)),
            "headers": lambda: [client.header(*line.split(b":", 1)) for line in headers[1:]],
            "eoh": client.eoh,
            "body": lambda: client.body(b"mark\r\n" * 5000),
            "body2": lambda: client.body(body),
        }
        for name in self.STAGES:
            steps[name]()
            if name == stage:
                break
        client.abort()

    def test_A7_abort_after_every_stage(self):
        server = self.serve([ACME, BETA])
        session = self.session(server)
        for number, stage in enumerate(self.STAGES):
            with self.subTest(after=stage):
                self._abort_after(session, stage)
                queue_id = "4AFTER%d" % number
                result = session.deliver(common.message(b"a@beta.example"), b"a@beta.example",
                                         [b"b@example.net"], queue_id=queue_id)
                self.assert_signed(result, BETA)
                self.assertEqual(len(daemon.signatures(result.message)), 1)
                self.assertTrue(result.sender.endswith(b"@" + BETA["spf_domain"].encode()))
                self.assertNotIn(b"mark", result.message.lower())
                line = server.message_line(queue_id)
                self.assertEqual((line["pool"], line["nrcpt"]), ("beta", "1"))

    def test_A7_login_does_not_outlive_its_transaction(self):
        server = self.serve([ACME, BETA])
        for ended in (True, False):
            with self.subTest(first_message="delivered" if ended else "aborted"):
                session = self.session(server, login=None)
                if ended:
                    first = session.deliver(common.message(), b"a@example.com",
                                            [b"b@example.net"], login="acme")
                    self.assert_signed(first, ACME)
                else:
                    self._abort_after(session, "headers")
                data = common.message()
                second = session.deliver(data, b"a@example.com", [b"b@example.net"])
                self.assert_untouched(second, data)

    def test_A7_untrusted_then_trusted_on_one_connection(self):
        server = self.serve()
        session = self.session(server, login=None)
        data = common.message()
        for _ in range(3):
            self.assert_untouched(session.deliver(data, b"a@example.com", [b"b@example.net"]), data)
            self.assert_signed(session.deliver(data, b"a@example.com", [b"b@example.net"],
                                               login="acme"), ACME)

    def test_A7_a_thousand_messages_alternating_pools(self):
        pools = [ACME, BETA, daemon.pool("gamma", "gamma.example")]
        zone = daemon.zone_for(*pools)
        server = self.serve(pools)
        session = self.session(server)
        memory, senders = None, set()
        count = daemon.scaled(1000)
        for number in range(count):
            pool = pools[number * 7 % 3]
            author = b"a%d@%s" % (number, pool["sender_domain"].encode())
            data = common.message(author, body=b"mail %d\r\n" % number, number=number)
            result = session.deliver(data, author, [b"b%d@example.net" % number])
            self.assert_signed(result, pool, zone)
            self.assertEqual(len(daemon.signatures(result.message)), 1)
            local, _, domain = result.sender.partition(b"@")
            self.assertEqual(domain.decode(), pool["spf_domain"])
            self.assertNotIn(local, senders, "the token of another message")
            senders.add(local)
            self.assertTrue(result.message.endswith(b"\r\n\r\nmail %d\r\n" % number))
            if number == count // 5:
                memory = server.memory()
        self.assertLess(server.memory() - memory, daemon.memory_limit(4096))

    def test_A7_tokens_belong_to_their_pool(self):
        """check_bounces is the judge: a token is good at its own domain only."""
        server = self.serve([ACME, BETA], return_path={"check_bounces": True})
        session = self.session(server)
        for number in range(10):
            pool, other = (ACME, BETA) if number % 2 else (BETA, ACME)
            author = b"a@" + pool["sender_domain"].encode()
            token = session.deliver(common.message(author), author,
                                    [b"b%d@example.net" % number]).sender.partition(b"@")[0]
            for domain, good in ((pool["spf_domain"], True), (other["spf_domain"], False)):
                bounce = self.deliver(server, common.message(b"mailer-daemon@example.net"), b"",
                                      [token + b"@" + domain.encode()], login=None)
                self.assertEqual(bounce.status, "accepted" if good else "rejected",
                                 (token, domain, bounce.reply))


class QueueId(common.ComponentTest):
    def test_log_line_has_the_id_that_the_mta_gives_late(self):
        server = self.serve()
        self.deliver(server, queue_id="4LATE1", recipients=[b"b@example.net", b"c@example.net"])
        line = server.message_line("4LATE1")
        self.assertEqual((line["pool"], line["nrcpt"], line["result"]), ("acme", "2", "accepted"))
        self.assertTrue(re.match(r"example\.com/s-acme/rsa-sha256$", line["dkim"]), line)


if __name__ == "__main__":
    common.main()
