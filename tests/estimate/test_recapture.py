from __future__ import annotations

from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import pytest

from campaigns.hosts import tally
from estimate.fakeview import DAY, HOUR, START, coverage_row, settings, sighting, view_of
from remnant.cases.model import Case
from remnant.estimate import recapture
from remnant.estimate.basis import Basis
from remnant.windows import Window

CASE = Case("test", "Test botnet", START)
DAYS = 10
MISSING = 50


def basis(sightings: list[dict[str, Any]], missing: int | None = MISSING) -> Basis:
    looked = [coverage_row(START + h * HOUR) for h in range(24 * DAYS) if h != missing]
    view = view_of(sightings, looked)
    return Basis(view, CASE, settings(), Window(START, START + DAYS * DAY), "resolver")


def traffic(seed: int) -> list[tuple[int, int, int]]:
    """Client, hour and minute of sightings, in order; some clients have negative hashes."""
    rng = np.random.default_rng(seed)
    clients = rng.integers(-(2**62), 2**62, 30)
    rows = [
        (int(client), hour, int(rng.integers(60)))
        for client in clients
        for hour in range(24 * DAYS)
        if hour != MISSING and rng.random() < 0.2
    ]
    return sorted(rows)


def test_counts_from_sightings_are_those_counted_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []
    run = ibis.Table.to_pyarrow

    def also_for_spark(table: ibis.Table, **options: Any) -> Any:
        compiled.append(ibis.to_sql(table, dialect="pyspark"))
        return run(table, **options)

    monkeypatch.setattr(ibis.Table, "to_pyarrow", also_for_spark)
    rows = traffic(3)
    here = basis([sighting(START + h * HOUR + timedelta(minutes=m), c, asn=7) for c, h, m in rows])
    span = recapture.span_of(here)
    assert span is not None

    [found] = recapture.read(here, span)

    assert len(compiled) > 5
    seen = {(client, hour) for client, hour, _ in rows}
    for k in (1, 5, 23, 24, 30, 47):
        assert found.lags[:, k].sum() == sum((c, h + k) in seen for c, h in seen)
    on = {(client, hour // 24) for client, hour, _ in rows}
    for k in (1, 4, 9):
        assert found.pairs[:, k].sum() == sum((c, d + k) in on for c, d in on)
    assert found.triples[:, 2].sum() == sum((c, d + 2) in on and (c, d + 4) in on for c, d in on)
    around = [
        (c, h + 1)
        for c, h in seen
        if (c, h + 2) in seen and h // 24 == (h + 2) // 24 and h + 1 != MISSING
    ]
    assert found.between[:, 0].sum() == len(around) > 0
    assert found.between[:, 1].sum() == sum(one in seen for one in around)
    assert found.hourly.sum() == len(seen)
    assert found.daily.sum() == len(on)
    assert found.clients.sum() == 30
    minutes: dict[Any, list[int]] = {(c, h // 24): [] for c, h, _ in rows}
    for client, hour, minute in rows:
        minutes[client, hour // 24].append(60 * hour + minute)
    spans = sum(max(times) - min(times) for times in minutes.values()) / 1440
    assert found.spans.sum() == pytest.approx(spans)
    assert found.slots.sum() == len({(c, (60 * h + m) // 10) for c, h, m in rows})


def test_simulated_counts_are_made_as_those_from_sightings() -> None:
    rows = [(client & 0xFFFFF, hour, minute) for client, hour, minute in traffic(4)]
    here = basis([sighting(START + h * HOUR, c, asn=7) for c, h, _ in rows], missing=None)
    span = recapture.span_of(here)
    assert span is not None
    days: dict[tuple[int, int], list[int]] = {}
    for client, hour, _ in sorted(rows):
        days.setdefault((client, hour // 24), []).append(hour % 24)
    client, day = np.array(list(days)).T
    mask = np.array([sum({1 << hour for hour in hours}) for hours in days.values()])
    width = np.array([(max(hours) - min(hours)) / 24 for hours in days.values()])
    slots = np.array([float(len(set(hours))) for hours in days.values()])

    [found] = recapture.read(here, span)
    [made] = tally(
        client, day, mask, width, slots, np.zeros_like(client), np.ones((1, DAYS), dtype=np.bool_)
    )

    for name in ("clients", "hourly", "daily", "pairs", "triples", "lags", "slots", "between"):
        np.testing.assert_array_equal(getattr(made, name), getattr(found, name), err_msg=name)
    np.testing.assert_allclose(made.spans, found.spans)


def test_hour_without_coverage_is_a_gap_in_pairs() -> None:
    sightings = [sighting(START + h * HOUR, 5, asn=7) for h in range(24 * DAYS)]
    here = basis(sightings)
    span = recapture.span_of(here)
    assert span is not None

    [found] = recapture.read(here, span)
    met, later, _ = found.hour_pairs()

    assert found.hourly.sum() == 24 * DAYS - 1
    np.testing.assert_array_equal(met[0, 1:], later[0, 1:])
    assert met[0, 1] == 24 * DAYS - 3


def test_networks_keep_units_apart_and_unknown_ones_are_pooled() -> None:
    sightings = [
        sighting(START + h * HOUR, client, asn=asn, country="NL", unit=unit)
        for h in range(0, 24 * DAYS, 6)
        for client, asn, unit in ((1, 7, "ipv4"), (2, 7, "ipv6_64"), (3, None, "ipv4"))
    ]
    here = basis(sightings)
    span = recapture.span_of(here)
    assert span is not None

    found = recapture.read(here, span)

    assert [(part.asn, part.unit) for part in found] == [
        (7, "ipv4"),
        (7, "ipv6_64"),
        (None, "ipv4"),
    ]
    assert all(part.clients.sum() == 1 for part in found)


@pytest.mark.parametrize("vantage", ["sinkhole_dns", "authority", "report"])
def test_no_hosts_where_clients_are_none(vantage: str) -> None:
    assert recapture.hosts_hidden(vantage)


def test_no_complete_day_is_no_span() -> None:
    view = view_of([sighting(START, 1)], [coverage_row(START)])
    here = Basis(view, CASE, settings(), Window(START, START + DAY), "resolver")

    assert recapture.span_of(here) is None


def test_a_client_that_never_rests_has_all_slots_of_the_day() -> None:
    """144 slots of ten minutes are more than eight bits with a sign hold."""
    step = timedelta(minutes=10)
    seen = [sighting(START + i * step, client) for i in range(2 * 144) for client in (1, 2)]
    view = view_of(seen, [coverage_row(START + h * HOUR) for h in range(48)])
    basis = Basis(view, CASE, settings(), Window(START, START + 2 * DAY), "resolver")
    span = recapture.span_of(basis)
    assert span is not None

    (network,) = recapture.read(basis, span)

    assert network.slots.sum() == 2 * 2 * 144
    assert network.beacons == 6
