"""An address is hashed once, however often it comes, and its client has one number."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from remnant.collate.clients import Clients
from remnant.collate.pseudonym import SiteKey, counting_unit

KEY = SiteKey(b"0123456789abcdef")
RNG = np.random.default_rng(2)


@pytest.mark.parametrize("distinct", [1, 50, 20_000])
def test_each_address_gets_the_client_that_its_unit_says(distinct: int) -> None:
    known = RNG.integers(0, 256, (distinct, 16), np.uint8)
    known[::2, :10] = 0
    known[::2, 10:12] = 0xFF
    # Some share a /64, and so a client.
    known[1::4, :8] = known[1, :8] if distinct > 1 else known[:1, :8]
    addresses = known[RNG.integers(0, distinct, 20_000)]
    clients = Clients(KEY, None)
    expected = KEY.clients(*counting_unit(addresses))

    for _ in range(2):
        codes = clients.codes(addresses)
        assert (clients.clients()[codes] == expected).all()
    assert clients.clients().size == np.unique(expected).size
    first = np.unique(codes, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_what_is_known_of_a_client_is_there_whenever_it_was_learned() -> None:
    def lookup(addresses: np.ndarray) -> pa.Table:
        last = addresses[:, 15]
        return pa.table(
            {
                "prefix": [f"192.0.2.{n}/32" for n in last],
                "asn": pa.array(last.astype(np.int64)),
                "as_name": pa.nulls(len(last), pa.string()),
                "country": ["DE" if n % 2 else None for n in last],
                "role": pa.nulls(len(last), pa.string()),
                "as_of": ["2024-01-01"] * len(last),
            }
        )

    clients = Clients(KEY, lookup)
    addresses = np.zeros((3, 16), np.uint8)
    addresses[:, 10:12] = 0xFF
    addresses[:, 12:] = [[192, 0, 2, n] for n in (7, 8, 9)]
    codes = [clients.codes(addresses[:2]), clients.codes(addresses[1:])]
    found = clients.columns(
        pa.array(np.concatenate(codes)), ("unit", "address", "asn", "country", "role", "prefix")
    )

    assert found["unit"].to_pylist() == ["ipv4"] * 4
    assert found["address"].to_pylist() == [f"192.0.2.{n}" for n in (7, 8, 8, 9)]
    assert found["asn"].to_pylist() == [7, 8, 8, 9]
    assert found["country"].to_pylist() == ["DE", None, None, "DE"]
    assert found["role"].to_pylist() == [None] * 4
    assert found["prefix"].to_pylist() == [f"192.0.2.{n}/32" for n in (7, 8, 8, 9)]
