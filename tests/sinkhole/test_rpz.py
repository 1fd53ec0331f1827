"""The response policy zone: what it lists, how it is written, what it never lists."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING

import dns.name
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.errors import ExportError
from remnant.names import labels_of, wire_to_text
from remnant.sinkhole.rpz import ACTIONS, policy_of, prefix_owner, rpz_text
from remnant.watchlist import Rule

if TYPE_CHECKING:
    from remnant.sinkhole.rpz import Policy

ORIGIN = "rpz.x.invalid"
NOW = 1000


def rules(*texts: str, role: str = "c2", **more: object) -> list[Rule]:
    found = []
    for text in texts:
        kind = "below" if text.startswith("*.") else "address" if "/" in text else "exact"
        found.append(Rule("x", kind, text, role, **more))  # type: ignore[arg-type]
    return found


def policy(*texts: str, own: tuple[str, ...] = ()) -> Policy:
    return policy_of(rules(*texts), ORIGIN, now=NOW, own=own)


def written(listed: Policy, **options: object) -> dict[str, list[str]]:
    """Return the records of a policy zone, by owner relative to it; the zone's own left out."""
    text = rpz_text(listed, **({"action": "nxdomain"} | options)).with_serial(7)  # type: ignore[arg-type]
    origin = dns.name.from_text(ORIGIN)
    zone = dns.zone.from_text(text, origin=origin, relativize=False)
    assert zone.get_soa().serial == 7
    found: dict[str, list[str]] = {}
    for name, ttl, data in zone.iterate_rdatas():
        if name != origin:
            assert ttl == options.get("ttl", 60)
            found.setdefault(name.relativize(origin).to_text(), []).append(data.to_text())
    return found


def test_names_and_wildcards() -> None:
    found = written(policy("bad.example", "*.worse.example"))

    assert found == {"bad.example": ["."], "worse.example": ["."], "*.worse.example": ["."]}


def test_covered_names_have_no_record_that_would_stop_the_wildcard() -> None:
    listed = policy(
        "*.worse.example", "a.b.worse.example", "*.c.worse.example", "worse.example",
        "notworse.example",
    )  # fmt: skip

    assert set(written(listed)) == {"worse.example", "*.worse.example", "notworse.example"}


def test_name_servers_are_triggers_twice() -> None:
    listed = policy_of(
        rules("ns1.crime.example", "*.gang.example", "ns.gang.example", role="nameserver"),
        ORIGIN,
        now=NOW,
    )

    assert set(written(listed)) == {
        "ns1.crime.example", "gang.example", "*.gang.example",
        "ns1.crime.example.rpz-nsdname", "gang.example.rpz-nsdname",
        "*.gang.example.rpz-nsdname",
    }  # fmt: skip
    assert listed.triggers == 6


@pytest.mark.parametrize(
    ("prefix", "owner"),
    [
        ("203.0.113.7/32", "32.7.113.0.203.rpz-ip"),
        ("10.0.0.0/8", "8.0.0.0.10.rpz-ip"),
        ("2001:db8::7/128", "128.7.zz.db8.2001.rpz-ip"),
        ("2001:db8::/32", "32.zz.db8.2001.rpz-ip"),
        ("::1/128", "128.1.zz.rpz-ip"),
        ("1:2:3:4:5:6:7:8/128", "128.8.7.6.5.4.3.2.1.rpz-ip"),
        ("2001:0:0:2:3:0:0:4/128", "128.4.0.0.3.2.zz.2001.rpz-ip"),
        ("2001:db8:1:0:2:0:3:4/128", "128.4.3.0.2.0.1.db8.2001.rpz-ip"),
        ("::5:0:0/128", "128.0.0.5.zz.rpz-ip"),
        ("::ffff:0:0/96", "96.0.0.ffff.zz.rpz-ip"),
        ("::ffff:192.0.2.1/128", "128.201.c000.ffff.zz.rpz-ip"),
    ],
)
def test_how_addresses_are_written(prefix: str, owner: str) -> None:
    assert prefix_owner(ipaddress.ip_network(prefix)) == owner


@given(st.ip_addresses(), st.integers(1, 128))
def test_an_address_can_be_read_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    size, *parts, kind = prefix_owner(network).split(".")
    parts.reverse()
    text = ".".join(parts)
    if network.version == 6:
        gap = parts.index("zz") if "zz" in parts else None
        text = ":".join(parts)
        if gap is not None:
            text = f"{':'.join(parts[:gap])}::{':'.join(parts[gap + 1 :])}"

    assert kind == "rpz-ip"
    assert ipaddress.ip_network(f"{text}/{size}") == network


def test_what_was_lost_and_dates_that_are_past_are_left_out() -> None:
    given_rules = [
        *rules("lost.example", state="lost"),
        *rules("over.example", until=NOW),
        *rules("203.0.113.0/24", until=NOW),
        *rules("dga1.example", valid_from=0, valid_until=NOW),
        *rules("live.example", state="live"),
        *rules("dga2.example", valid_from=NOW + 1, valid_until=NOW + 2),
        *rules("on.example", until=NOW + 1),
        Rule("x", "family", "family:zeus"),
    ]

    assert set(written(policy_of(given_rules, ORIGIN, now=NOW))) == {
        "live.example", "dga2.example", "on.example",
    }  # fmt: skip


def test_with_nothing_to_list_there_is_no_zone() -> None:
    with pytest.raises(ExportError, match="nothing"):
        policy_of(rules("lost.example", state="lost"), ORIGIN, now=NOW)


@pytest.mark.parametrize("own", ["203.0.113.7", "2001:db8::53"])
def test_own_addresses_are_never_listed(own: str) -> None:
    with pytest.raises(ExportError, match="your own") as caught:
        policy("203.0.113.0/24", "2001:db8::/32", own=("192.0.2.1", own))
    assert own in str(caught.value.got)


@pytest.mark.parametrize(
    "name",
    ["32.8.8.8.8.rpz-ip", "ns.example.rpz-nsdname", "32.1.1.1.1.rpz-client-ip", "x.rpz-anything"],
)
def test_a_name_cannot_become_another_trigger(name: str) -> None:
    listed = policy(name, f"*.{name}", "bad.example")

    assert listed.reserved == [name]
    assert set(written(listed)) == {"bad.example"}


def test_names_that_do_not_fit_are_left_out_and_said() -> None:
    # 255 bytes, less the zone's labels and the root's.
    room = 254 - sum(len(label) + 1 for label in labels_of(ORIGIN))
    fits = ".".join(["a" * 63] * 3 + ["b" * (room - 3 * 64 - 1)])
    star = ".".join(["c" * 63] * 3 + ["d" * (room - 3 * 64 - 3)])
    listed = policy(fits, f"{fits}b", f"*.{star}", f"*.{star}d")

    assert listed.too_long == [f"{fits}b", f"{star}d"]
    assert set(written(listed)) == {fits, star, f"*.{star}"}


LABELS = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=5), st.booleans())
def test_no_name_can_write_a_record_of_its_own(names: list[list[bytes]], below: bool) -> None:
    texts = [
        wire_to_text(b"".join(bytes((len(label),)) + label for label in labels) + b"\0")
        for labels in names
    ]
    found = [Rule("x", "below" if below else "exact", f"{'*.' * below}{text}") for text in texts]
    listed = policy_of([*found, *rules("sure.example")], ORIGIN, now=NOW)
    text = rpz_text(listed, action="nodata").with_serial(7)
    owners = Counter(line.split(" ")[0] for line in text.splitlines()[2:])

    assert set(owners.values()) == {1}
    assert set(owners) == {
        owner
        for owner in owners
        if labels_of(owner.removeprefix("*."))
        in [labels_of(one) for one in (*texts, "sure.example")]
    }
    assert len(text.splitlines()) == 2 + listed.triggers
    assert len(written(listed, action="nodata")) == listed.triggers


@pytest.mark.parametrize(
    ("action", "target"), [("nxdomain", "."), ("nodata", "*."), ("log-only", "rpz-passthru.")]
)
def test_actions_are_written_as_targets(action: str, target: str) -> None:
    assert written(policy("bad.example"), action=action, ttl=5) == {"bad.example": [target]}


def test_a_walled_garden_has_addresses_and_a_note() -> None:
    found = written(
        policy("bad.example", "203.0.113.7/32"),
        action="walled-garden", garden=["2001:db8::80", "192.0.2.80"], note='a "note";',
    )  # fmt: skip

    assert found["bad.example"] == ["192.0.2.80", "2001:db8::80", '"a \\"note\\";"']
    assert found["32.7.113.0.203.rpz-ip"] == found["bad.example"]


def test_a_walled_garden_may_be_a_name_and_then_has_no_note_beside_it() -> None:
    found = written(
        policy("bad.example"), action="walled-garden", garden=["help.example.net"], note="x"
    )

    assert found == {"bad.example": ["help.example.net."]}


@pytest.mark.parametrize(
    ("action", "garden", "said"),
    [
        ("walled-garden", [], "where"),
        ("walled-garden", ["a.example.net", "192.0.2.1"], "where"),
        ("walled-garden", ["x.worse.example"], "itself on the list"),
        ("walled-garden", ["bad.example"], "itself on the list"),
        ("nxdomain", ["192.0.2.1"], "only for"),
    ],
)
def test_gardens_that_cannot_be(action: str, garden: list[str], said: str) -> None:
    with pytest.raises(ExportError, match=said):
        written(policy("bad.example", "*.worse.example"), action=action, garden=garden)


def test_the_same_rules_in_any_order_are_the_same_text() -> None:
    texts = [
        "b.example",
        "a.example",
        "*.c.example",
        "203.0.113.0/24",
        "2001:db8::/32",
        "a.example",
    ]
    for action in ACTIONS:
        garden = ["192.0.2.80"] if action == "walled-garden" else []
        first, second = (
            rpz_text(policy(*order), action=action, garden=garden) for order in (texts, texts[::-1])
        )
        assert first == second
