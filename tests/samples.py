"""One sample or more of every format that comes in: small, with what is right and what is not.

All are made here, on documentation addresses; each holds a query for ``ns1.evil.example``, or a
record or a flow that matters. ``write_all`` makes a folder of them, as an operator would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import dns.message
import dns.rrset

import cdns_writer
import dnstap_writer
import pcap_writer
import powerdns_writer
import segment_writer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BAD_LINES", "POLICIES", "SAMPLES", "Sample", "write_all"]


class Sample(NamedTuple):
    """Bytes of one format.

    Attributes:
        reader: the name of the format.
        file: a name such as operators give.
        data: what is in it.
        text: whether it consists of lines.
    """

    reader: str
    file: str
    data: bytes
    text: bool = True


ZEEK = (
    b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n"
    b"#fields\tts\tid.orig_h\tid.orig_p\tid.resp_p\tproto\tquery\tqtype\trcode\tanswers\n"
    b"1428494400.250000\t192.0.2.17\t43250\t53\tudp\tNs1.evil.example\t28\t3\t-\n"
    b"1428494401.250000\t2001:db8::17\t43250\t53\ttcp\ta\\x20b.example\t1\t0\t192.0.2.1,x.y\n"
    b"not a row\n"
)
ZEEK_JSON = (
    b'{"ts":1428494400.25,"id.orig_h":"192.0.2.17","id.orig_p":43250,"id.resp_p":53,"proto":"udp",'
    b'"query":"ns1.evil.example","qtype":28,"rcode":3,"answers":["192.0.2.1","a\\\\x20b"]}\n'
    b'{"ts":1428494401.25,"id.orig_h":"2001:db8::17","query":"a\\u00e9.example"}\n'
    b'{"broken":\n'
)
ZEEK_CONN = (
    b"#separator \\x09\n#path\tconn\n"
    b"#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\thistory\n"
    b"1428494400.250000\t192.0.2.17\t43250\t198.51.100.53\t443\ttcp\tSF\tShADadFf\n"
    b"1428494400.250000\t2001:db8::17\t8\t2001:db8::53\t0\ticmp\tOTH\t-\n"
    b"not a row\n"
)
ZEEK_CONN_JSON = (
    b'{"ts":1428494400.25,"id.orig_h":"192.0.2.17","id.orig_p":43250,"id.resp_h":"198.51.100.53",'
    b'"id.resp_p":443,"proto":"udp","conn_state":"S0"}\n'
    b'{"broken":\n'
)
BIND = (
    b"08-Apr-2015 12:00:00.123 queries: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 (x): "
    b"query: Ns1.evil.example IN AAAA +E(0)TK (198.51.100.53) [ECS 203.0.113.0/24/0]\n"
    b"08-Apr-2015 12:00:01.123 general: info: zone example/IN: loaded\n"
    b"08-Apr-2015 12:00:02.123 queries: info: client 192.0.2.17#1: query: a..b IN A +\n"
)
BIND_RESPONSES = (
    b"2015-04-08T12:00:00.123Z responses: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 (x): "
    b"response: Ns1.evil.example IN AAAA NXDOMAIN 0 1 1 +E(0)TK (198.51.100.53)\n"
    b"2015-04-08T12:00:00.123Z responses: info: client 192.0.2.17#1: response: a..b IN A\n"
)
BIND_BOTH = BIND + BIND_RESPONSES
BIND_RPZ = (
    b"08-Apr-2015 12:00:00.123 rpz: info: client @0x7f8a4c0b1d50 192.0.2.17#43250 "
    b"(Ns1.evil.example): view v: rpz QNAME NXDOMAIN rewrite Ns1.evil.example/A/IN via "
    b"ns1.evil.example.rpz.local\n"
    b"08-Apr-2015 12:00:00.123 rpz: info: client 192.0.2.17#43250: disabled rpz IP DROP rewrite "
    b"ns1.evil.example via 32.7.2.0.192.rpz-ip.rpz.local\n"
    b"08-Apr-2015 12:00:01.123 rpz: info: client 192.0.2.17#43250: rpz QNAME NODATA rewrote\n"
    b"08-Apr-2015 12:00:02.123 general: info: rpz: rpz.local: reload start\n"
)
UNBOUND = (
    b"[1428494400] unbound[812:0] info: start of service (unbound 1.17.1).\n"
    b"[1428494400] unbound[812:1] info: 192.0.2.17 Ns1.evil.example. AAAA IN\n"
    b"[1428494401] unbound[812:1] info: 192.0.2.17 ns1.evil.example. AAAA IN NXDOMAIN 0.1 0 99\n"
    b"[1428494401] unbound[812:a] info: 2001:db8::17 a?b.example. A IN\n"
    b"[1428494402] unbound[812:0] info: 192.0.2.17 cut&off A IN\n"
    b"[1428494402] unbound[812:0] info: 192.0.2.17 - - - FORMERR - - - \n"
)
UNBOUND_TAGGED = (
    b"2015-04-08T12:00:00.123+02:00 unbound[812:0] query: 192.0.2.17 ns1.evil.example. A IN\n"
    b"2015-04-08T12:00:00.223+02:00 unbound[812:0] reply: 192.0.2.17 ns1.evil.example. A IN "
    b"NOERROR 0.1 0 99 on tcp 198.51.100.53 853\n"
)
UNBOUND_RPZ = (
    b"[1428494400] unbound[812:0] info: rpz: applied [my zone] evil.example. rpz-nxdomain "
    b"192.0.2.17@57994 ns1.evil.example. A IN\n"
    b"[1428494400] unbound[812:1] info: evil.example. inform 2001:db8::17@4000 evil.example. A IN\n"
    b"[1428494400] unbound[812:1] info: rpz: applied evil.example. rpz-drop 192.0.2.1@x a. A IN\n"
    b"[1428494402] unbound[812:0] info: service stopped (unbound 1.17.1).\n"
)
DNSMASQ = (
    b"2015-04-08T14:00:00+02:00 gw dnsmasq[812]: started, version 2.90 cachesize 150\n"
    b"2015-04-08T14:00:00+02:00 gw dnsmasq[812]: query[AAAA] Ns1.evil.example from 192.0.2.17\n"
    b"2015-04-08T14:00:00+02:00 gw dnsmasq[812]: forwarded Ns1.evil.example to 9.9.9.9\n"
    b"2015-04-08T14:00:00+02:00 gw dnsmasq[812]: query[A] a b.example from 2001:db8::17\n"
    b"2015-04-08T14:00:01+02:00 gw dnsmasq[812]: reply Ns1.evil.example is <CNAME>\n"
    b"2015-04-08T14:00:01+02:00 gw dnsmasq[812]: reply x.example is 2001:db8::1\n"
    b"2015-04-08T14:00:01+02:00 gw dnsmasq[812]: reply x.example is 2001:db8::2\n"
    b"2015-04-08T14:00:02+02:00 gw dnsmasq[812]: query[A] a..b from 192.0.2.17\n"
    b"2015-04-08T14:00:03+02:00 gw dnsmasq[812]: query[A] ns1.evil.example from 192.0.2.18\n"
    b"2015-04-08T14:00:03+02:00 gw dnsmasq[812]: gravity blocked ns1.evil.example is 0.0.0.0\n"
)
DNSMASQ_EXTRA = (
    b"2015-04-08T12:00:00Z gw dnsmasq[8]: UDP 1 192.0.2.17/53001 query[A] evil.example from "
    b"192.0.2.17\n"
    b"2015-04-08T12:00:00Z gw dnsmasq[8]: TCP 2 2001:db8::17/53002 query[type=65280] "
    b"evil.example from 2001:db8::17\n"
    b"2015-04-08T12:00:00Z gw dnsmasq[8]: UDP 1 192.0.2.17/53001 forwarded evil.example to ::1\n"
    b"2015-04-08T12:00:00Z gw dnsmasq[8]: TCP 2 2001:db8::17/53002 reply error is SERVFAIL\n"
    b"2015-04-08T12:00:01Z gw dnsmasq[8]: UDP 1 192.0.2.17/53001 reply evil.example is 192.0.2.1\n"
)
PDNS_AUTH = (
    b"2015-04-08T12:00:00Z ns1 pdns_server[8]: Done launching threads, ready to distribute\n"
    b"2015-04-08T12:00:00Z ns1 pdns_server[8]: Remote 192.0.2.17<-203.0.113.0/24 wants "
    b"'Ns1.evil.example|AAAA', do = 1, bufsize = 1232 (4096): packetcache MISS\n"
    b"2015-04-08T12:00:01Z ns1 pdns_server[8]: TCP Remote 2001:db8::17 wants 'a\\032b.example|A'"
    b", do = 0, bufsize = 512: packetcache HIT\n"
    b"2015-04-08T12:00:01Z ns1 pdns_server[8]: Remote 192.0.2.17 wants 'a..b|A', do = 0, bufsize ="
    b" 512\n"
)
PDNS_AUTH_STRUCTURED = (
    b'Apr 08 12:00:00 msg="Query received" subsystem="pdns" level="0" prio="Notice" tid="3" '
    b'ts="1428494400.250" dnssec="0" max reply length="1232" query="q\\"\\\\032.evil.example" '
    b'remote="192.0.2.17" type="A"\n'
    b'Apr 08 12:00:00 msg="packetcache MISS" subsystem="pdns" ts="1428494400.250"\n'
    b'Apr 08 12:00:00 msg="Query received" subsystem="pdns" ts="1428494400.250" query="a..b"\n'
)
PDNS_RECURSOR = (
    b"2015-04-08T12:00:00Z r pdns_recursor[8]: 3 [7/1] question for 'Ns1.evil.example|AAAA' from "
    b"192.0.2.17:43250 (ecs 203.0.113.0/24)\n"
    b"2015-04-08T12:00:00Z r pdns_recursor[8]: 3 question answered from packet cache tag=0 from "
    b"192.0.2.17:43251\n"
    b"2015-04-08T12:00:01Z r pdns_recursor[8]: 3 [7/2] answer to question 'Ns1.evil.example|AAAA'"
    b": 0 answers, 1 additional, took 1 packets, 0.2 netw ms, 0.4 tot ms, 0 throttled, rcode=3\n"
    b"2015-04-08T12:00:02Z r pdns_recursor[8]: 3 [8/1] TCP question for 'a..b|A' from [::1]:53\n"
)
PDNS_RECURSOR_STRUCTURED = (
    b'Apr 08 12:00:00 msg="Question" subsystem="syncres" level="0" prio="Info" tid="3" '
    b'ts="1428494400.250" ecs="203.0.113.0/24" mtid="1" proto="tcp" qname="q\\".evil.example" '
    b'qtype="A" remote="192.0.2.17:34985"\n'
    b'Apr 08 12:00:00 msg="Answer" subsystem="syncres" level="0" prio="Info" tid="3" '
    b'ts="1428494400.251" answers="2" ecs="" mtid="1" proto="tcp" qname="q\\".evil.example" '
    b'qtype="A" rcode="0" rd="1" remote="192.0.2.17:34985" validationState="Secure"\n'
    b'Apr 08 12:00:00 msg="Question answered from packet cache" subsystem="in" level="0" tid="3" '
    b'ts="1428494400.300" proto="udp" qname="evil.example" qtype="A" remote="198.51.100.1:4000" '
    b'source="[2001:db8::17]:47276" tag="0"\n'
    b'Apr 08 12:00:00 msg="Answer" subsystem="syncres" ts="1428494400.251" qname="x\n'
)
SHADOWSERVER = (
    b'"timestamp","protocol","src_ip","src_port","src_asn","dst_ip","dst_port","infection","tag",'
    b'"http_host","http_agent"\r\n'
    b'"2024-06-15 12:00:01","tcp","192.0.2.17",43250,64500,"198.51.100.53",80,"beebone","a;b",'
    b'"Ns1.evil.example:80","say ""hi"",\nor not"\r\n'
    b'"2024-06-15 12:00:01","tcp","192.0.2.17",43250,64500,,,,,,\r\n'
    b'"2024-06-15 12:00:02","tcp","not an address",1,,,,"beebone",,"x.example",\r\n'
    b'"never closed,x\r\n'
    b'"2024-06-15 12:00:03","udp","2001:db8::17",1,,,,"beebone",,"x.example",\r\n'
)
NFDUMP = (
    b"ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n"
    b"2018-01-10 11:22:41,2018-01-10 11:22:43,1.968,192.0.2.17,198.51.100.53,51388,443,TCP,"
    b"...AP.SF,0,0,87,6051,0,0\n"
    b"2018-01-10 11:22:41,x,1,192.0.2.17,198.51.100.53\n"
    b"Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n2,16128,212,65560,107,76\n"
)
SURICATA_V1 = (
    b'{"timestamp":"2015-04-08T12:00:00.250000+0000","flow_id":7,"event_type":"dns",'
    b'"src_ip":"192.0.2.17","src_port":43250,"dest_ip":"198.51.100.53","dest_port":53,'
    b'"proto":"UDP","dns":{"type":"query","id":9,"rrname":"Ns1.evil.example","rrtype":"AAAA",'
    b'"tx_id":0}}\n'
    b'{"timestamp":"2015-04-08T12:00:01.250000+0000","event_type":"http","http":{}}\n'
    b'{"broken":\n'
)
SURICATA_V2 = (
    b'{"timestamp":"2015-04-08T12:00:00.250000+0200","flow_id":7,"event_type":"dns",'
    b'"src_ip":"192.0.2.17","src_port":43250,"dest_ip":"198.51.100.53","dest_port":53,'
    b'"proto":"UDP","dns":{"type":"query","id":9,"rrname":"ns1.evil.example","rrtype":"A",'
    b'"tx_id":0}}\n'
    b'{"timestamp":"2015-04-08T12:00:00.300000+0200","flow_id":7,"event_type":"dns",'
    b'"src_ip":"192.0.2.17","src_port":43250,"dest_ip":"198.51.100.53","dest_port":53,'
    b'"proto":"UDP","dns":{"version":2,"type":"answer","id":9,"flags":"8180","qr":true,'
    b'"rcode":"NOERROR","rrname":"ns1.evil.example","rrtype":"A","answers":[{"rrname":'
    b'"ns1.evil.example","rrtype":"A","ttl":60,"rdata":"192.0.2.53"}],'
    b'"grouped":{"A":["192.0.2.53"]}}}\n'
)
SURICATA_V3 = (
    b'{"timestamp":"2015-04-08T12:00:00.250000Z","flow_id":7,"event_type":"dns",'
    b'"src_ip":"192.0.2.17","src_port":43250,"dest_ip":"198.51.100.53","dest_port":53,'
    b'"proto":"UDP","dns":{"version":3,"type":"request","tx_id":0,"id":9,'
    b'"queries":[{"rrname":"ns1.evil.example","rrtype":"A"}]}}\n'
    b'{"timestamp":"2015-04-08T12:00:00.300000Z","flow_id":7,"event_type":"dns",'
    b'"src_ip":"198.51.100.53","src_port":53,"dest_ip":"192.0.2.17","dest_port":43250,'
    b'"proto":"UDP","dns":{"version":3,"type":"response","id":9,"rcode":"NXDOMAIN",'
    b'"queries":[{"rrname":"ns1.evil.example","rrtype":"A"}]}}\n'
)
COF = (
    b'{"rrname":"Ns1.evil.example.","rrtype":"A","rdata":["192.0.2.53","192.0.2.54"],'
    b'"time_first":1428494400,"time_last":1428580800,"count":7,"sensor_id":"a"}\n'
    b'{"rrname":"evil.example","rrtype":"NS","rdata":"NS1.evil.example.","time_first":1428494400,'
    b'"time_last":1428494400}\n'
    b'{"rrname":"evil.example","rrtype":"NS"}\n'
)
DNSDB = (
    b'{"cond":"begin"}\n'
    b'{"obj":{"count":7,"time_first":1428494400,"time_last":1428580800,"rrname":'
    b'"ns1.evil.example.","rrtype":"A","bailiwick":"evil.example.","rdata":["192.0.2.53"]}}\n'
    b'{"obj":{"rrname":"ns1.evil.example."}}\n'
    b'{"cond":"succeeded"}\n'
)
PASSIVEDNS = (
    b"1428494400.250000||192.0.2.17||198.51.100.53||IN||ns1.evil.example.||A||192.0.2.53||60||7\n"
    b"1428494400.250000||192.0.2.17||198.51.100.53||IN||evil.example.||NS||a.b.||60||1\n"
    b"x||192.0.2.17||198.51.100.53||IN||evil.example.||NS||a.b.||60||1\n"
)


def _answered() -> tuple[bytes, bytes]:
    asked = dns.message.make_query("Ns1.evil.example", "A", use_edns=0)
    asked.id = 7
    answer = dns.message.make_response(asked)
    answer.answer.append(dns.rrset.from_text("ns1.evil.example.", 60, "IN", "A", "192.0.2.53"))
    return asked.to_wire() or b"", answer.to_wire() or b""


_QUERY, _RESPONSE = _answered()
DNSTAP = dnstap_writer.stream(
    dnstap_writer.message(dnstap_writer.CLIENT_QUERY, _QUERY),
    dnstap_writer.message(dnstap_writer.CLIENT_RESPONSE, _RESPONSE),
    dnstap_writer.message(dnstap_writer.RESOLVER_QUERY, _QUERY),
    dnstap_writer.message(dnstap_writer.CLIENT_QUERY, b"bad"),
)
_PACKETS = (
    pcap_writer.ethernet(pcap_writer.ipv4(pcap_writer.udp(pcap_writer.query("ns1.evil.example")))),
    pcap_writer.ethernet(pcap_writer.ipv6(pcap_writer.udp(pcap_writer.query("ns1.evil.example")))),
    pcap_writer.ethernet(pcap_writer.ipv4(pcap_writer.udp(b"bad"))),
)
PCAP = pcap_writer.pcap(*_PACKETS)
PCAPNG = pcap_writer.pcapng(*_PACKETS)
_POWERDNS = [
    powerdns_writer.message(kind, b"Ns1.evil.example.", ident=9)
    for kind in (powerdns_writer.QUERY, powerdns_writer.RESPONSE)
]
POWERDNS = powerdns_writer.stream(*(2 * _POWERDNS))


def _cdns() -> bytes:
    block = cdns_writer.Block()
    block.add("Ns1.evil.example", rcode=3)
    block.add("www.example")
    return cdns_writer.file(block.value())


def _segment() -> bytes:
    rows = segment_writer.events(
        segment_writer.row("Ns1.evil.example", ttl=60),
        segment_writer.row("guess.evil.example", rcode=3, unlisted=True),
        segment_writer.row("", proof="http", detail='{"path":"/"}'),
    )
    return b"".join(
        [
            segment_writer.head(zones=("evil.example",)),
            segment_writer.frame_of(1, rows, counts=(2, 1, 1, 0)),
            b"not a frame",
            segment_writer.alive(2, counts=(1, 0, 0, 5)),
            segment_writer.end(3),
        ]
    )


SAMPLES: Final = (
    Sample("dnstap", "resolver.dnstap", DNSTAP, text=False),
    Sample("pcap", "capture.pcap", PCAP, text=False),
    Sample("pcap", "capture.pcapng", PCAPNG, text=False),
    Sample("cdns", "authority.cdns", _cdns(), text=False),
    Sample("powerdns-protobuf", "recursor.pb", POWERDNS, text=False),
    Sample("segment", "20150408T120000Z-udp-0-0123456789abcdef.rseg", _segment(), text=False),
    Sample("zeek", "dns.log", ZEEK),
    Sample("zeek", "dns.json.log", ZEEK_JSON),
    Sample("zeek-conn", "conn.log", ZEEK_CONN),
    Sample("zeek-conn", "conn.json.log", ZEEK_CONN_JSON),
    Sample("suricata", "eve-v1.json", SURICATA_V1),
    Sample("suricata", "eve-v2.json", SURICATA_V2),
    Sample("suricata", "eve-v3.json", SURICATA_V3),
    Sample("dnsdb", "dnsdb.jsonl", DNSDB),
    Sample("cof", "cof.jsonl", COF),
    Sample("passivedns", "passivedns.log", PASSIVEDNS),
    Sample("nfdump", "flows.csv", NFDUMP),
    Sample("shadowserver", "2024-06-15-event4_sinkhole_http-example.csv", SHADOWSERVER),
    Sample("bind", "named-queries.log", BIND),
    Sample("bind", "named-responses.log", BIND_RESPONSES),
    Sample("bind", "named-both.log", BIND_BOTH),
    Sample("bind-rpz", "named-rpz.log", BIND_RPZ),
    Sample("unbound", "unbound.log", UNBOUND),
    Sample("unbound", "unbound-tagged.log", UNBOUND_TAGGED),
    Sample("unbound-rpz", "unbound-rpz.log", UNBOUND_RPZ),
    Sample("dnsmasq", "dnsmasq.log", DNSMASQ),
    Sample("dnsmasq", "pihole.log", DNSMASQ_EXTRA),
    Sample("pdns-auth", "pdns.log", PDNS_AUTH),
    Sample("pdns-auth", "pdns-structured.log", PDNS_AUTH_STRUCTURED),
    Sample("pdns-recursor", "recursor.log", PDNS_RECURSOR),
    Sample("pdns-recursor", "recursor-structured.log", PDNS_RECURSOR_STRUCTURED),
)
"""The name of a reader, then of a file, then the bytes."""

POLICIES: Final = (("bind", BIND, BIND_RPZ), ("unbound", UNBOUND, UNBOUND_RPZ))
"""Logs of one server: queries, and the hits of policies on them."""

BAD_LINES: Final = {
    "zeek": b"1\t2\n",
    "zeek-conn": b"1\t2\n",
    "suricata": b'{"broken":\n',
    "cof": b'{"broken":\n',
    "dnsdb": b'{"broken":\n',
    "passivedns": b"x||192.0.2.17||198.51.100.53||IN||evil.example.||NS||a.b.||60||1\n",
    "nfdump": b"1,2\n",
    "shadowserver": b"1,2\n",
    "bind": b"client 192.0.2.1#1: query: a..b IN A +\n",
    "bind-rpz": b"client 192.0.2.1#1: rpz IP DROP rewrite a..b via c\n",
    "unbound": b"[1428494400] unbound[812:0] info: 192.0.2.1 a..b. A IN\n",
    "unbound-rpz": b"[1428494400] unbound[812:0] info: rpz: applied a. b c@d e. A IN\n",
    "dnsmasq": b"2015-04-08T12:00:00Z dnsmasq[8]: query[A] a..b from 192.0.2.1\n",
    "pdns-auth": b"Remote 192.0.2.1 wants 'a..b|A', do = 0, bufsize = 512\n",
    "pdns-recursor": b"3 [1/1] question for 'a..b|A' from 192.0.2.1:53\n",
}
"""A line of each text format that is malformed."""


def write_all(folder: Path) -> None:
    """Write every sample to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        (folder / sample.file).write_bytes(sample.data)
