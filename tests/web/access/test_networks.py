from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.errors import AccessError
from remnant.web.access.networks import covers, owned, owns, parse_networks
from remnant.web.access.viewer import LOCAL, NOBODY, PUBLIC, Role, Viewer

OWNER = Viewer(
    "isp",
    Role.OWNER,
    ("AS64500", "10.0.0.0/9", "192.0.2.0/24", "2001:db8:1::/48", "2001:db8:9::/60"),
)
ROWS: list[tuple[int | None, str | None, bool]] = [
    (64500, "203.0.113.9", True),
    (None, "192.0.2.7", True),
    (64501, "192.0.2.255", True),
    (64501, "192.0.3.0", False),
    (1, "10.127.255.255", True),
    (1, "10.128.0.0", False),
    (1, "2001:db8:1::/64", True),
    (1, "2001:db8:1:ffff::/64", True),
    (1, "2001:db8:2::/64", False),
    (1, "2001:db8:9:f::/64", True),
    (1, "2001:db8:9:10::/64", False),
    (1, "::/64", False),
    (None, None, False),
    (645, "64.5.0.0", False),
]


def test_ases_and_prefixes_have_one_spelling() -> None:
    given = ["64500", "as64500", "AS1", "2001:DB8::/32", "192.0.2.0/24", "192.0.2.1", "10.0.0.0/8"]
    assert parse_networks(given) == (
        "AS1", "AS64500", "10.0.0.0/8", "192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AS",
        "AS-1",
        "AS4294967296",
        "AS٣",
        "192.0.2.1/24",
        "300.0.0.0/8",
        "AS1;",
        "fe80::1%eth0/64",
        "x",
    ],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(AccessError, match="no network"):
        parse_networks([text])


def test_an_account_cannot_have_endless_networks() -> None:
    with pytest.raises(AccessError, match="too many"):
        parse_networks(f"AS{number}" for number in range(1_001))


@pytest.mark.parametrize(("asn", "address", "mine"), ROWS)
def test_whose_a_row_is(asn: int | None, address: str | None, mine: bool) -> None:
    assert owns(OWNER, asn, address) is mine
    assert owns(LOCAL, asn, address) is True
    assert owns(PUBLIC, asn, address) is False
    assert owns(NOBODY, asn, address) is False


def test_a_prefix_is_owned_as_a_whole_or_not_at_all() -> None:
    assert owns(OWNER, address="10.1.0.0/16")
    assert not owns(OWNER, address="10.0.0.0/8")
    assert not covers(("192.0.2.0/24",), "no address")


def rows(viewer: Viewer, *, by_address: bool = True) -> list[bool]:
    import ibis

    table = ibis.memtable(
        [{"n": n, "asn": asn, "address": address} for n, (asn, address, _) in enumerate(ROWS)],
        schema=ibis.schema({"n": "int64", "asn": "int64", "address": "string"}),
    )
    mine = owned(viewer, table.asn, table.address if by_address else None)
    found: Any = table.select("n", mine=mine).order_by("n").to_pyarrow()
    return list(found["mine"].to_pylist())


def test_the_query_finds_the_same_rows() -> None:
    assert rows(OWNER) == [mine for _, _, mine in ROWS]
    assert all(rows(LOCAL))
    assert not any(rows(PUBLIC))
    assert not any(rows(NOBODY))


def test_networks_of_another_role_give_nothing() -> None:
    assert not any(rows(Viewer("x", Role.PUBLIC, OWNER.networks)))


def test_without_addresses_only_ases_tell() -> None:
    assert rows(OWNER, by_address=False) == [asn == 64500 for asn, _, _ in ROWS]


_FOUR = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
_SIX = st.integers(0, 2**64 - 1).map(lambda high: ipaddress.IPv6Address(high << 64))


@settings(max_examples=8, deadline=None)
@given(
    st.lists(_FOUR | _SIX, min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 64)), min_size=1, max_size=5),
)
def test_the_query_and_the_library_agree_on_any_address(
    addresses: list[Any], chosen: list[tuple[int, int]]
) -> None:
    import ibis

    prefixes = []
    for index, length in chosen:
        address = addresses[index % len(addresses)]
        bits = length % 33 if address.version == 4 else length
        prefixes.append(str(ipaddress.ip_network((address, bits), strict=False)))
    viewer = Viewer("isp", Role.OWNER, parse_networks(prefixes))
    texts = [str(a) if a.version == 4 else f"{a}/64" for a in addresses]
    table = ibis.memtable({"n": range(len(texts)), "address": texts})
    mine = owned(viewer, ibis.null("int64"), table.address)
    found: Any = table.select("n", mine=mine).order_by("n").to_pyarrow()["mine"].to_pylist()
    assert found == [owns(viewer, address=text) for text in texts]
