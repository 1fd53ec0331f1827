"""The lists of known sinkholes and public resolvers."""

from __future__ import annotations

import ipaddress

import pyarrow as pa
import pytest

from remnant import names
from remnant.enrich.addresses import parse
from remnant.enrich.roles import ROLES, known, roles_of


def role(text: str) -> str | None:
    found = parse(pa.array([text]))
    value: str | None = roles_of(found.high, found.low)[0].as_py()
    return value


@pytest.mark.parametrize("text", ["8.8.8.8", "2620:fe::fe", "1.1.1.1"])
def test_well_known_resolvers(text: str) -> None:
    assert role(text) == "public_resolver"


@pytest.mark.parametrize("text", ["199.2.137.5", "192.42.116.41"])
def test_known_sinkholes(text: str) -> None:
    assert role(text) == "sinkhole"


@pytest.mark.parametrize("text", ["8.8.8.9", "192.0.2.1", "::", "ffff::"])
def test_everything_else_has_no_role(text: str) -> None:
    assert role(text) is None


def test_no_addresses_have_no_roles() -> None:
    found = parse(pa.array([], pa.string()))

    assert roles_of(found.high, found.low).to_pylist() == []


@pytest.mark.parametrize("listed", list(ROLES))
def test_every_line_is_a_public_address_or_a_name_with_operator_and_source(listed: str) -> None:
    entries = known(listed)
    addresses = parse(pa.array([entry.indicator for entry in entries])).length >= 0

    assert len(set(entries)) == len(entries)
    for entry, is_address in zip(entries, addresses, strict=True):
        assert entry.operator
        assert entry.source
        if is_address:
            assert ipaddress.ip_network(entry.indicator).is_global
        else:
            assert names.fold(entry.indicator) == entry.indicator
            assert "." in entry.indicator
