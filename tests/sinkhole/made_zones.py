"""Seized zones that tests serve, one of each kind."""

from __future__ import annotations

from hypothesis import settings

from remnant.cases.model import SinkholeConfig
from remnant.sinkhole.zones import Answering, Zone

QUICK = settings(deadline=None, max_examples=200)
"""For properties: the machine is shared, so no test has a deadline."""

SECRET = bytes(range(16))
NSID = b"node-1"
CLIENT = bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 77))
"""An IPv4 client as 16 bytes."""
NOW = 1_700_000_000


def answering(
    *,
    ipv4: tuple[str, ...] = ("192.0.2.53", "192.0.2.54"),
    ipv6: tuple[str, ...] = ("2001:db8::53",),
    ttls: tuple[int, ...] = (60,),
    config: SinkholeConfig | None = None,
) -> Answering:
    return Answering("made", ipv4, ipv6, ttls, 2015040801, config or SinkholeConfig())


def zone(name: str, exact: str = "", below: str = "", what: Answering | None = None) -> Zone:
    """A zone; names are parted by spaces."""
    return Zone(
        name,
        what or answering(),
        ["made"],
        dict.fromkeys(exact.split()),
        dict.fromkeys(below.split()),
    )


def three_zones() -> list[Zone]:
    """A zone with everything, one that is watched as a whole, and one inside the first."""
    everything = answering(config=SinkholeConfig(null_mx=True, spf=True, caa=True))
    plain = answering(
        ipv6=(),
        ttls=(300,),
        config=SinkholeConfig(
            nameservers=("ns1.sink.test", "ns2.sink.test"), contact="j.doe@sink.test"
        ),
    )
    return [
        zone("evil.example", "c2.evil.example a.b.c.evil.example", "dga.evil.example", everything),
        zone("whole.example", "", "whole.example", plain),
        zone("far.near.evil.example", "far.near.evil.example", "", everything),
    ]
