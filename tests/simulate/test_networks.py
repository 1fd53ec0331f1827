from __future__ import annotations

import itertools
from ipaddress import ip_address, ip_network

import numpy as np
import pytest

from remnant.simulate import LARGEST_SCALE
from remnant.simulate.beebone import BEEBONE
from remnant.simulate.networks import MONITOR_V4, Networks, build, prefix_rows


def made(scale: float) -> Networks:
    return build(BEEBONE, 70_000 * scale, np.random.default_rng(3))


@pytest.mark.parametrize("scale", [0.001, 1.0, LARGEST_SCALE])
def test_prefixes_are_private_aligned_and_do_not_overlap(scale: float) -> None:
    rows = prefix_rows(BEEBONE, made(scale))
    spans = [(ip_address(first), ip_address(last)) for first, last, *_ in rows]
    v4 = [(int(a), int(b)) for a, b in spans if a.version == 4]
    v6 = [(int(a), int(b)) for a, b in spans if a.version == 6]

    for family in (v4, v6):
        assert family == sorted(family)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(family))
        assert all((b - a + 1).bit_count() == 1 and a % (b - a + 1) == 0 for a, b in family)
    private = ip_network("10.0.0.0/8")
    assert all(a in private and b in private for a, b in spans[: len(v4)])
    assert all(b in ip_network("2001:db8::/32") for _, b in spans[len(v4) :])


def test_the_prefix_table_names_private_networks() -> None:
    networks = made(0.05)
    rows = prefix_rows(BEEBONE, networks)

    others = {65533, 65534, *range(65520, 65522), *range(65512, 65520)}
    assert {row[2] for row in rows} == {*networks.asn.tolist(), *others}
    assert not others & set(networks.asn.tolist())
    assert len(set(networks.asn.tolist())) == len(networks)
    assert all(64512 <= asn <= 65534 or 4_200_000_000 <= asn < 2**32 - 1 for asn in networks.asn)
    assert ("IR", "Simulated IR network 1") in {row[3:] for row in rows}
    assert any(int(ip_address(row[0])) <= MONITOR_V4 <= int(ip_address(row[1])) for row in rows)


def test_shares_of_countries_and_resolvers_are_met() -> None:
    networks = made(0.05)
    wanted = np.array([country.share for country in BEEBONE.countries])
    wanted /= wanted.sum()
    got = np.bincount(networks.country, networks.weight)

    assert got == pytest.approx(wanted, abs=0.002)
    assert np.bincount(networks.resolver, networks.weight) == pytest.approx([0.6, 0.4], abs=0.002)
    assert networks.weight[:50].sum() == pytest.approx(0.5, abs=0.04)
    assert networks.carrier_nat.mean() == pytest.approx(BEEBONE.carrier_nat, abs=0.001)
    # Not the largest: one carrier would rule its country.
    assert not networks.carrier_nat[:10].any()
    churn = np.bincount(networks.churn, networks.weight)
    assert churn == pytest.approx([way.share for way in BEEBONE.churn], abs=0.002)
