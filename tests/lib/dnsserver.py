"""DNS server for tests: answers from a dict, on a free loopback port, over UDP and TCP.

    with dnsserver.Server({"ak._domainkey.example.com": {"TXT": ["v=DKIM1; p=..."]}}) as server:
        ... ask 127.0.0.1, server.port ...

Records: name -> type -> list of presentation strings.  TXT values are given whole and split into
strings of 255 here.  A name without records gets NXDOMAIN; a known name without that type an empty
answer.  trouble[name] = "servfail" | "drop" | seconds provokes what real servers do.  queries counts
questions by (name, type), so that a test can see a cache at work.
The wire format is python3-dnspython's; its package is called dns, which is why this file is not.
"""
import collections
import socketserver
import struct
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

import instance


def txt_strings(value):
    """Presentation form of one TXT record: quoted strings of at most 255 octets."""
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join('"%s"' % value[i:i + 255] for i in range(0, len(value), 255)) or '""'


class _Udp(socketserver.BaseRequestHandler):
    def handle(self):
        wire, sock = self.request
        answer = self.server.owner.answer(wire, udp=True)
        if answer:
            sock.sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            answer = self.server.owner.answer(self.rfile.read(struct.unpack(">H", head)[0]))
            if answer is None:
                return
            self.wfile.write(struct.pack(">H", len(answer)) + answer)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Server:
    def __init__(self, records=None, ttl=60):
        self.ttl = ttl
        self.trouble = {}
        self.queries = collections.Counter()
        self.records = {}
        for name, types in (records or {}).items():
            self.records[name.lower().rstrip(".")] = types
        self._servers = []

    def start(self):
        self.port = instance.free_port()
        address = ("127.0.0.1", self.port)
        self._servers = [_UdpServer(address, _Udp), _TcpServer(address, _Tcp)]
        for server in self._servers:
            server.owner = self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    def answer(self, wire, udp=False):
        """The reply to a query, or None for silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text().lower().rstrip(".")
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries[name, kind] += 1
        trouble = self.trouble.get(name)
        if trouble == "drop":
            return None
        if isinstance(trouble, (int, float)):
            time.sleep(trouble)
        reply = dns.message.make_response(query, recursion_available=True)
        if trouble == "servfail":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.records:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._fill(reply, question.name, name, kind)
        return self._wire(query, reply, udp)

    def _fill(self, reply, qname, name, kind):
        types = self.records[name]
        if "CNAME" in types and kind != "CNAME":
            kind = "CNAME"
        values = types.get(kind, [])
        if kind == "TXT":
            values = [txt_strings(v) for v in values]
        if values:
            reply.answer.append(dns.rrset.from_text(qname, self.ttl, "IN", kind, *values))

    @staticmethod
    def _wire(query, reply, udp):
        if not udp:
            return reply.to_wire(max_size=65535)
        size = max(512, query.payload) if query.edns >= 0 else 512
        try:
            return reply.to_wire(max_size=size)
        except dns.exception.TooBig:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            return reply.to_wire()
