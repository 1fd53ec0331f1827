"""Shadowserver's headers as they were sent over the years, and rows under them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SOURCE = (
    "timestamp,protocol,src_ip,src_port,src_asn,src_geo,src_region,src_city,src_hostname,src_naics,"
    "src_sector,device_vendor,device_type,device_model"
)
_TARGET = "dst_ip,dst_port,dst_asn,dst_geo,dst_region,dst_city,dst_hostname,dst_naics,dst_sector"
_LABELS = "public_source,infection,family,tag,application,version,event_id"
_HTTP = "http_url,http_host,http_agent,forwarded_by,ssl_cipher,http_referer"

HEADERS = {
    "event4_sinkhole 2021": f"{_SOURCE},{_TARGET},{_LABELS}",
    "event4_sinkhole": f"{_SOURCE},severity,{_TARGET},{_LABELS},ssl_cipher,ssl_servername",
    "event4_sinkhole_http 2021": f"{_SOURCE},{_TARGET},{_LABELS},{_HTTP}",
    "event4_sinkhole_http": (
        f"{_SOURCE},severity,{_TARGET},{_LABELS},{_HTTP},ssl_servername,machine_name"
    ),
    "event4_sinkhole_dns 2021": f"{_SOURCE},infection,family,tag,query_type,query,count",
    "event4_sinkhole_dns": f"{_SOURCE},severity,infection,family,tag,query_type,query,count",
    "event4_sinkhole_http_referer": (
        "timestamp,protocol,http_referer_ip,http_referer_port,http_referer_asn,http_referer_geo,"
        "http_referer_region,http_referer_city,http_referer_hostname,http_referer_naics,"
        f"http_referer_sector,severity,{_TARGET},{_LABELS},http_url,http_host,http_referer,"
        "ssl_servername"
    ),
    "botnet_drone": (
        "timestamp,ip,port,asn,geo,region,city,hostname,type,infection,url,agent,cc_ip,cc_port,"
        "cc_asn,cc_geo,cc_dns,count,proxy,application,p0f_genre,p0f_detail,machine_name,id,naics,"
        "sic,cc_naics,cc_sic,sector,cc_sector,ssl_cipher,family,tag,public_source"
    ),
    "microsoft_sinkhole": (
        "timestamp,ip,asn,geo,url,type,http_agent,tor,src_port,p0f_genre,p0f_detail,hostname,"
        "dst_port,http_host,http_referer,http_referer_ip,http_referer_asn,http_referer_geo,dst_ip,"
        "dst_asn,dst_geo,naics,sic,http_referer_naics,http_referer_sic,sector,ssl_cipher,"
        "application,version"
    ),
    "sinkhole_dns": (
        "timestamp,ip,port,host,asn,geo,type,count,query,response,tag,naics,region,sector"
    ),
}
"""The headers of the formats; event6 and microsoft reports have those of event4."""


def report(name: str, *rows: Mapping[str, object], end: str = "\n") -> bytes:
    """A report as Shadowserver writes it: text quoted, numbers bare, nothing for what is empty."""
    return table(HEADERS[name].split(","), *rows, end=end)


def table(columns: Sequence[str], *rows: Mapping[str, object], end: str = "\n") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerow(columns)
    for row in rows:
        assert set(row) <= set(columns), set(row) - set(columns)
        cells = []
        for column in columns:
            value = row.get(column, "")
            quoted = '"' + str(value).replace('"', '""') + '"'
            cells.append(quoted if isinstance(value, str) and value else str(value))
        out.write(",".join(cells) + end)
    return out.getvalue().encode("utf-8", "surrogateescape")


TIME = "2024-06-15 12:00:01"
CONNECTION = {
    "timestamp": TIME,
    "protocol": "tcp",
    "src_ip": "192.0.2.17",
    "src_port": 43250,
    "src_asn": 64500,
    "src_geo": "NL",
    "dst_ip": "198.51.100.53",
    "dst_port": 80,
    "dst_asn": 64501,
    "infection": "beebone",
    "family": "vobfus",
    "tag": "worm;downloader",
    "event_id": "171",
}
REQUEST = CONNECTION | {
    "http_url": "GET /x?a=1 HTTP/1.1",
    "http_host": "Ns1.Evil.example:8080",
    "http_agent": 'Mozilla/4.0 ("quoted", comma)',
}
LOOKUP = {
    "timestamp": TIME,
    "protocol": "udp",
    "src_ip": "192.0.2.17",
    "src_port": 43250,
    "src_asn": 64500,
    "infection": "beebone",
    "family": "beebone",
    "query_type": "AAAA",
    "query": "Ns1.Evil.example",
    "count": 3,
}
DRONE = {
    "timestamp": "2011-04-23 00:00:05",
    "ip": "192.0.2.17",
    "port": 3218,
    "asn": 64500,
    "type": "tcp",
    "infection": "beebone",
    "cc_ip": "198.51.100.53",
    "cc_port": 80,
    "count": 2,
}
MICROSOFT = {
    "timestamp": "2014-09-12 00:00:00",
    "ip": "192.0.2.17",
    "asn": 64500,
    "type": "citadel-b54",
    "src_port": 64742,
    "dst_port": 443,
    "http_host": "198.51.100.7",
    "url": "/file.php",
    "dst_ip": "198.51.100.53",
}
OLD_LOOKUP = {
    "timestamp": "2020-12-21 00:00:00",
    "ip": "192.0.2.17",
    "port": 40159,
    "asn": 64500,
    "type": "A",
    "count": 1,
    "query": "4.Evil.example",
    "tag": "boaxxe",
}
REFERRER = {
    "timestamp": TIME,
    "protocol": "tcp",
    "http_referer_ip": "203.0.113.9",
    "http_referer_port": 80,
    "http_referer_asn": 64500,
    "dst_ip": "198.51.100.53",
    "infection": "beebone",
    "http_url": "GET /favicon.ico HTTP/1.1",
    "http_host": "evil.example",
}
SAMPLES = {
    "event4_sinkhole 2021": CONNECTION,
    "event4_sinkhole": CONNECTION | {"ssl_servername": "Tls.Evil.example", "severity": "critical"},
    "event4_sinkhole_http 2021": REQUEST,
    "event4_sinkhole_http": REQUEST | {"machine_name": "PC-7"},
    "event4_sinkhole_dns 2021": LOOKUP,
    "event4_sinkhole_dns": LOOKUP | {"severity": "info"},
    "event4_sinkhole_http_referer": REFERRER,
    "botnet_drone": DRONE,
    "microsoft_sinkhole": MICROSOFT,
    "sinkhole_dns": OLD_LOOKUP,
}
"""One row of each report."""
