r"""A response policy zone: what a resolver does about the names and addresses of a case.

Three triggers are used: the name that is asked for, the addresses that an answer holds, and the
name servers of what is asked for. Covered names are left out, as their own records would take the
wildcard above them away from their neighbours.

A policy zone gives its own meaning to owners that end in ``rpz-ip`` and the like. A watched name
that ends so would say something else than it says, and is left out.

References:
    draft-vixie-dnsop-dns-rpz-00; BIND 9 administrator reference manual, "Response Policy Zone";
    unbound.conf(5), "rpz".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from remnant.errors import ExportError
from remnant.names import is_below, labels_of
from remnant.sinkhole.zonefile import ZoneText, absolute, quoted, safe_name
from remnant.sinkhole.zones import names_above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from remnant.sinkhole.exports import Export
    from remnant.watchlist import Rule

__all__ = ["ACTIONS", "Action", "Policy", "policy_of", "prefix_owner", "rpz_files", "rpz_text"]

Action = Literal["nxdomain", "nodata", "walled-garden", "log-only"]
ACTIONS: Final[tuple[Action, ...]] = ("nxdomain", "nodata", "walled-garden", "log-only")
_CNAME: Final = {"nxdomain": ".", "nodata": "*.", "log-only": "rpz-passthru."}

FILE: Final = "rpz.zone"
_REFRESH: Final = 3600
_RETRY: Final = 600
_EXPIRE: Final = 1_209_600
_MINIMUM: Final = 60
MAX_NOTE: Final = 1000
"""Characters of the longest note."""


@dataclass(slots=True)
class Policy:
    """What a policy zone lists.

    Attributes:
        names: names that are triggers by themselves, in order.
        below: names that stand for all below them as well.
        servers: of name servers, the same two.
        prefixes: addresses in answers.
        reserved: names left out because a policy zone reads them as something else.
        too_long: names left out because they do not fit before the zone's own name.
    """

    names: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)
    servers_below: list[str] = field(default_factory=list)
    prefixes: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = field(default_factory=list)
    reserved: list[str] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)

    @property
    def triggers(self) -> int:
        """How many owners the zone has, the zone itself left out."""
        return (
            len(self.names)
            + 2 * len(self.below)
            + len(self.servers)
            + 2 * len(self.servers_below)
            + len(self.prefixes)
        )


def policy_of(rules: Iterable[Rule], origin: str, *, now: int, own: Sequence[str] = ()) -> Policy:
    """Return what a policy zone lists.

    Names and addresses that were lost, and generated names whose dates are past, are left out:
    somebody else may have them now.

    Args:
        rules: the compiled rules of a case.
        origin: folded name of the policy zone.
        now: the time (UTC microseconds).
        own: addresses that are never listed: the sinkhole's, and those of a walled garden.

    Raises:
        ExportError: a watched prefix holds one of the own addresses, or nothing is left to list.
    """
    kinds: dict[str, dict[str, None]] = {"exact": {}, "below": {}}
    servers: dict[str, dict[str, None]] = {"exact": {}, "below": {}}
    prefixes: dict[str, None] = {}
    for rule in rules:
        if rule.state == "lost" or _is_over(rule.until, now) or _is_over(rule.valid_until, now):
            continue
        if rule.kind == "address":
            prefixes[rule.text] = None
        elif rule.kind in kinds:
            name = rule.text.removeprefix("*.")
            kinds[rule.kind][name] = None
            if rule.role == "nameserver":
                servers[rule.kind][name] = None
    policy = Policy(prefixes=_prefixes(prefixes, own))
    room = 254 - _length(origin)
    policy.names, policy.below = _split(kinds, room, policy)
    policy.servers, policy.servers_below = _split(servers, room - len(".rpz-nsdname"), policy)
    policy.reserved = list(dict.fromkeys(policy.reserved))
    policy.too_long = list(dict.fromkeys(policy.too_long))
    if not policy.triggers:
        raise ExportError(
            "there is nothing for a policy zone to list",
            expected="a watched name or address that was not lost",
            hint="generated names count only while their dates are not past",
        )
    return policy


def _is_over(until: int | None, now: int) -> bool:
    return until is not None and until <= now


def _prefixes(
    texts: Iterable[str], own: Sequence[str]
) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    networks = [ipaddress.ip_network(text) for text in texts]
    for network in networks:
        for address in map(ipaddress.ip_address, own):
            if address in network:
                raise ExportError(
                    "the policy zone would list an address of your own",
                    got=f"{address} in {network}",
                    expected="watched addresses without the sinkhole's and the walled garden's",
                    hint="take it out of the case: answers of the sinkhole would be rewritten",
                )
    return sorted(networks, key=lambda at: (at.version, at.network_address.packed, at.prefixlen))


def _split(
    kinds: dict[str, dict[str, None]], room: int, policy: Policy
) -> tuple[list[str], list[str]]:
    """Return the exact names and those with all below them, without what these cover."""
    found: dict[str, list[str]] = {"exact": [], "below": []}
    covering = kinds["below"]
    for kind, names in kinds.items():
        for name in names:
            if kind == "exact" and name in covering:
                continue
            if any(above in covering for above in names_above(name)):
                continue
            if _is_reserved(name):
                policy.reserved.append(name)
            elif _length(name) + (2 if kind == "below" else 0) > room:
                policy.too_long.append(name)
            else:
                found[kind].append(name)
    return sorted(found["exact"]), sorted(found["below"])


def _is_reserved(name: str) -> bool:
    """Return whether a policy zone reads a name as another trigger, or as a star."""
    labels = labels_of(name)
    return labels[-1].startswith(b"rpz-") or labels[0] == b"*"


def _length(name: str) -> int:
    """Return the bytes of a name's labels on the wire, the root's left out."""
    return sum(len(label) + 1 for label in labels_of(name))


def prefix_owner(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """Return the owner, relative to the policy zone, that stands for addresses in answers.

    The length comes first, then the address from its end; ``zz`` stands for the longest run of
    zeros of an IPv6 address, as ``::`` does.

    >>> prefix_owner(ipaddress.ip_network("203.0.113.0/24"))
    '24.0.113.0.203.rpz-ip'
    >>> prefix_owner(ipaddress.ip_network("2001:db8::7/128"))
    '128.7.zz.db8.2001.rpz-ip'
    """
    if network.version == 4:
        parts = str(network.network_address).split(".")
    else:
        text = str(network.network_address)
        if "." in text:  # an IPv4-mapped address in newer Pythons
            text = _in_groups(network.network_address.packed)
        head, gap, tail = text.partition("::")
        parts = [part for part in head.split(":") if part]
        parts += ["zz"] if gap else []
        parts += [part for part in tail.split(":") if part]
    return ".".join((str(network.prefixlen), *reversed(parts), "rpz-ip"))


def _in_groups(packed: bytes) -> str:
    return "::" + ":".join(
        f"{int.from_bytes(packed[at : at + 2], 'big'):x}" for at in range(10, 16, 2)
    )


def rpz_text(
    policy: Policy,
    *,
    action: Action,
    garden: Sequence[str] = (),
    note: str = "",
    ttl: int = 60,
) -> ZoneText:
    """Return the policy zone as a master file without its serial.

    Args:
        policy: what is listed.
        action: what becomes of an answer.
        garden: with ``walled-garden``: addresses that are given, or one folded name instead.
        note: a text for people, in a TXT record of the zone, and where a walled garden's addresses
            are given also for who asks for TXT there.
        ttl: seconds.

    Raises:
        ExportError: the walled garden is missing, stated without need, or listed itself.
    """
    data = _action_data(policy, action, garden)
    if note and data[0][0] != "CNAME":
        data.append(("TXT", quoted(note)))
    action_lines = "".join(f" {ttl} IN {kind} {text}\n" for kind, text in data)
    lines = [
        f" {_REFRESH} {_RETRY} {_EXPIRE} {_MINIMUM}\n",
        f"@ {ttl} IN NS localhost.\n",
    ]
    if note:
        lines.append(f"@ {ttl} IN TXT {quoted(note)}\n")
    for owner in _owners(policy):
        lines += [owner + line for line in action_lines.splitlines(keepends=True)]
    return ZoneText(f"@ {ttl} IN SOA localhost. nobody.invalid. ", "".join(lines))


def _action_data(policy: Policy, action: Action, garden: Sequence[str]) -> list[tuple[str, str]]:
    if action != "walled-garden":
        if garden:
            raise ExportError(
                "a garden is only for the action walled-garden", where="--garden", got=action
            )
        return [("CNAME", _CNAME[action])]
    addresses, names = [], []
    for text in garden:
        try:
            addresses.append(ipaddress.ip_address(text))
        except ValueError:
            names.append(text)
    if not garden or (names and len(garden) > 1):
        raise ExportError(
            "the action walled-garden needs to know where",
            where="--garden",
            got=", ".join(garden) or None,
            expected="addresses, or one name",
            hint="--garden 192.0.2.80 --garden 2001:db8::80",
        )
    if names:
        _refuse_listed(policy, names[0])
        return [("CNAME", absolute(names[0]))]
    return [("A" if at.version == 4 else "AAAA", str(at)) for at in sorted(addresses, key=_order)]


def _order(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[int, bytes]:
    return address.version, address.packed


def _refuse_listed(policy: Policy, name: str) -> None:
    if name in policy.names or any(is_below(name, top) for top in policy.below):
        raise ExportError(
            "the walled garden is itself on the list",
            where="--garden",
            got=name,
            expected="a name that this case does not watch",
        )


def _owners(policy: Policy) -> Iterator[str]:
    """Yield the owners relative to the zone, each once."""
    for suffix, exact, below in (
        ("", policy.names, policy.below),
        (".rpz-nsdname", policy.servers, policy.servers_below),
    ):
        for name in exact:
            yield safe_name(name) + suffix
        for name in below:
            yield safe_name(name) + suffix
            yield f"*.{safe_name(name)}{suffix}"
    yield from map(prefix_owner, policy.prefixes)


def rpz_files(export: Export, text: ZoneText, origin: str, root: str) -> int:
    """Write a policy zone and how BIND and Unbound take it; return its serial."""
    serial = export.alone(FILE, text)
    zone = safe_name(origin)
    export.file("named-rpz.conf", _BIND.format(zone=zone, root=root, file=FILE))
    export.file("unbound-rpz.conf", _UNBOUND.format(zone=zone, root=root, file=FILE))
    return serial


_BIND: Final = """\
# Written by remnant export rpz, for BIND. In options {{ }}:
#     response-policy {{ zone "{zone}"; }} qname-wait-recurse no;
# In logging {{ }}, so that `remnant ingest` can read what was rewritten:
#     channel rpz {{ file "rpz.log"; print-time iso8601-utc; print-category yes; }};
#     category rpz {{ rpz; }};
zone "{zone}" {{
    type primary;
    file "{root}/{file}";
    allow-query {{ none; }};
    allow-transfer {{ none; }};
    check-names ignore;
}};
"""

_UNBOUND: Final = """\
# Written by remnant export rpz, for Unbound. In server: the modules need respip:
#     module-config: "respip validator iterator"
rpz:
    name: "{zone}."
    zonefile: "{root}/{file}"
    rpz-log: yes
    rpz-log-name: "{zone}"
"""
