"""Configurations of Knot, NSD and BIND that serve the seized zones as our own sinkhole does.

Each is two files: one with what belongs to the server, one with its zones, which an operator who
has a server can include alone. Answers over UDP are limited for each network, and what goes beyond
is answered with "come back over TCP", so that an infected machine is still counted and a forged
address gets no more than it would have sent. What is asked is written as dnstap before any limit.

References:
    knot.conf(5), nsd.conf(5), the BIND 9 administrator reference manual.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from remnant.errors import ExportError
from remnant.sinkhole.exports import Export
from remnant.sinkhole.zonefile import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from remnant.sinkhole.exports import Placed
    from remnant.sinkhole.zones import Zone

__all__ = ["SERVERS", "Listen", "Serving", "knot_files", "server_files"]

RATE: Final = 200
"""Answers a second over UDP for each network of clients; beyond that they are told to use TCP."""
PAYLOAD: Final = 1232
"""Bytes of the longest answer over UDP."""

_LISTEN: Final = re.compile(r"(?P<address>[0-9a-fA-F.:]{2,45})(?:@(?P<port>[0-9]{1,5}))?")
_DNSSEC: Final = """\
# DNSSEC: these zones are not signed. While the parent still has a DS record for one of them,
# resolvers that validate answer SERVFAIL, and the infected machines behind them are not seen.
# Have the DS removed at the registry, or sign here and give the registry the new one.
"""


@dataclass(frozen=True, slots=True)
class Listen:
    """An address and port to listen on."""

    address: str
    port: int = 53

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Return what ``ADDRESS`` or ``ADDRESS@PORT`` says.

        Raises:
            ExportError: it says something else.

        >>> Listen.parse("2001:db8::53@5300")
        Listen(address='2001:db8::53', port=5300)
        """
        found = _LISTEN.fullmatch(text)
        port = int(found["port"] or 53) if found else 0
        with contextlib.suppress(ValueError):
            if found and 1 <= port <= 65535:
                return cls(str(ipaddress.ip_address(found["address"])), port)
        raise ExportError(
            "this is no address to listen on",
            where="--listen",
            got=text,
            expected="ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53",
        )


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server is to run.

    Attributes:
        root: the folder of the files on the machine that serves, an absolute path.
        listen: where to answer.
        dnstap: a file, or ``unix:`` and the path of a socket; empty: no dnstap.
    """

    root: str
    listen: tuple[Listen, ...] = (Listen("0.0.0.0"), Listen("::"))  # noqa: S104 - to be reached
    dnstap: str = ""

    def __post_init__(self) -> None:
        for key, path in (("--root", self.root), ("--dnstap", self.dnstap.removeprefix("unix:"))):
            if path and not _PATH.fullmatch(path):
                raise ExportError(
                    "this path cannot stand in the configuration of a server",
                    where=key,
                    got=path,
                    expected="an absolute path of letters, digits and . _ + = @ , : / -",
                )


_PATH: Final = re.compile(r"/[A-Za-z0-9._+=@,:/ -]*")


def knot_files(zones: Sequence[Zone], folder: Path, listen: str) -> Path:
    """Write zones and a configuration for Knot; return the configuration.

    Args:
        zones: what is served.
        folder: where the files go, and where the server keeps its own.
        listen: ``ADDRESS`` or ``ADDRESS@PORT``.
    """
    export = Export(folder, now=max((zone.answering.serial for zone in zones), default=1))
    serving = Serving(str(folder.resolve()), (Listen.parse(listen),))
    return server_files("knot", zones, export, serving)


def server_files(
    server: ServerName, zones: Sequence[Zone], export: Export, serving: Serving
) -> Path:
    """Write zones and the configuration of a server; return the configuration.

    Raises:
        ExportError: a zone's name or a path cannot stand in this server's configuration.
    """
    kind = SERVERS[server]
    for folder in ("run", "zones", "shared"):
        (export.folder / folder).mkdir(exist_ok=True)
    export.zones(zones)
    export.file(kind.zones_file, kind.zones(export.placed, serving))
    export.file(kind.file, kind.main(serving))
    export.finish()
    return export.folder / kind.file


def _knot(serving: Serving) -> str:
    listen = ", ".join(f"{at.address}@{at.port}" for at in serving.listen)
    tap, modules = "", "mod-rrl/remnant"
    if serving.dnstap:
        modules += ", mod-dnstap/remnant"
        tap = f"""
# Debian: the package knot-module-dnstap. `remnant ingest CASE --vantage sinkhole_dns` reads this.
mod-dnstap:
  - id: remnant
    sink: "{serving.dnstap}"
    log-queries: on
    log-responses: on
"""
    return f"""\
# Written by remnant export knot. Check it:  knotc -c {serving.root}/knot.conf conf-check
{_DNSSEC}# In Knot:  dnssec-signing: on  in the template below.

server:
    rundir: "{serving.root}/run"
    listen: [{listen}]
    udp-max-payload: {PAYLOAD}
    identity: ""
    version: ""
    # A client subnet in a query is answered with scope 0: the answer is the same for all.
    edns-client-subnet: on

log:
  - target: stderr
    any: warning

database:
    storage: "{serving.root}/run"

mod-rrl:
  - id: remnant
    rate-limit: {RATE}
    slip: 1
{tap}
template:
  - id: default
    storage: "{serving.root}"
    global-module: [{modules}]
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none

include: "{serving.root}/knot-zones.conf"
"""


def _knot_zones(placed: Sequence[Placed], _: Serving) -> str:
    return "zone:\n" + "".join(
        f'  - domain: "{_in_quotes(at.zone)}."\n    file: "{at.file}"\n' for at in placed
    )


def _nsd(serving: Serving) -> str:
    listen = "\n".join(f"    ip-address: {at.address}@{at.port}" for at in serving.listen)
    tap = ""
    if serving.dnstap:
        tap = f"""
# NSD writes to a socket only; something has to listen there before NSD starts, such as
#   fstrm_capture -t protobuf:dnstap.Dnstap -u SOCKET -w nsd.dnstap
# `remnant ingest CASE --vantage sinkhole_dns` reads that file.
dnstap:
    dnstap-enable: yes
    dnstap-socket-path: "{serving.dnstap.removeprefix("unix:")}"
    dnstap-send-identity: yes
    dnstap-log-auth-query-messages: yes
    dnstap-log-auth-response-messages: yes
"""
    return f"""\
# Written by remnant export nsd. Check it:  nsd-checkconf {serving.root}/nsd.conf
{_DNSSEC}# NSD does not sign: ldns-signzone or another signer makes signed files of these.

server:
{listen}
    zonesdir: "{serving.root}"
    pidfile: "{serving.root}/run/nsd.pid"
    xfrdfile: "{serving.root}/run/xfrd.state"
    xfrdir: "{serving.root}/run"
    zonelistfile: "{serving.root}/run/zone.list"
    database: ""
    hide-version: yes
    hide-identity: yes
    minimal-responses: yes
    refuse-any: yes
    ipv4-edns-size: {PAYLOAD}
    ipv6-edns-size: {PAYLOAD}
    rrl-ratelimit: {RATE}
    rrl-slip: 1

remote-control:
    control-enable: no
{tap}
include: "{serving.root}/nsd-zones.conf"
"""


def _nsd_zones(placed: Sequence[Placed], _: Serving) -> str:
    return "".join(
        f'zone:\n    name: "{_in_quotes(at.zone)}"\n    zonefile: "{at.file}"\n' for at in placed
    )


def _bind(serving: Serving) -> str:
    listen = "\n".join(
        f"    listen-on{'-v6' if ':' in at.address else ''} port {at.port} {{ {at.address}; }};"
        for at in serving.listen
    )
    for family, version in (("listen-on", 4), ("listen-on-v6", 6)):
        if all(ipaddress.ip_address(at.address).version != version for at in serving.listen):
            listen += f"\n    {family} {{ none; }};"
    tap = ""
    if serving.dnstap:
        path = serving.dnstap.removeprefix("unix:")
        kind = "unix" if path != serving.dnstap else "file"
        tap = f"""
    # `remnant ingest CASE --vantage sinkhole_dns` reads this.
    dnstap {{ auth; }};
    dnstap-output {kind} "{path}";
"""
    return f"""\
# Written by remnant export bind. Check it:  named-checkconf -z {serving.root}/named.conf
{_DNSSEC}# In BIND:  dnssec-policy default; inline-signing yes;  in each zone.

options {{
    directory "{serving.root}";
    pid-file "{serving.root}/run/named.pid";
    session-keyfile "{serving.root}/run/session.key";
    managed-keys-directory "{serving.root}/run";
{listen}
    recursion no;
    allow-query {{ any; }};
    allow-transfer {{ none; }};
    notify no;
    dnssec-validation no;
    empty-zones-enable no;
    # Names of botnets need not be host names.
    check-names primary ignore;
    minimal-responses yes;
    minimal-any yes;
    max-udp-size {PAYLOAD};
    version none;
    hostname none;
    server-id none;
    rate-limit {{ responses-per-second {RATE}; slip 1; }};
{tap}}};

controls {{ }};

include "{serving.root}/named-zones.conf";
"""


def _bind_zones(placed: Sequence[Placed], serving: Serving) -> str:
    return "".join(
        f'zone "{_in_quotes(at.zone)}" {{ type primary; file "{serving.root}/{at.file}"; }};\n'
        for at in placed
    )


def _in_quotes(zone: str) -> str:
    """Return a zone's name for a quoted string of a configuration."""
    return safe_name(zone)


@dataclass(frozen=True, slots=True)
class _Server:
    file: str
    zones_file: str
    main: Callable[[Serving], str]
    zones: Callable[[Sequence[Placed], Serving], str]


ServerName = Literal["knot", "nsd", "bind"]

SERVERS: Final[dict[ServerName, _Server]] = {
    "knot": _Server("knot.conf", "knot-zones.conf", _knot, _knot_zones),
    "nsd": _Server("nsd.conf", "nsd-zones.conf", _nsd, _nsd_zones),
    "bind": _Server("named.conf", "named-zones.conf", _bind, _bind_zones),
}
"""The authoritative servers that files are written for."""
