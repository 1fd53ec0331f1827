"""The resolver's and the sinkhole's view joined: what is told, what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from estimate.fakeview import DAY, HOUR, START, coverage_row, settings, sighting, view_of
from remnant.cases.model import Case, SinkholeConfig
from remnant.estimate.basis import Basis
from remnant.estimate.coverage import default_window
from remnant.estimate.two_vantages import QUANTITIES, Cells, estimates, hosts, reach
from remnant.estimate.vantage_pairs import compare, pair

CASE = Case("test", "Test botnet", START)
DAYS = 3


def cells(left: list[float], right: list[float], both: list[float], **more: Any) -> Cells:
    """The same counts on each of seven days, one stratum for each number."""
    size = len(left)

    def tiled(values: list[float]) -> Any:
        return np.tile(np.array(values, float), 7)

    return Cells(
        day=np.repeat(np.arange(7), size) + 16_000,
        stratum=np.tile(np.arange(size), 7),
        left=tiled(left),
        right=tiled(right),
        both=tiled(both),
        left_busy=tiled(more.get("left_busy", left)),
        both_busy=tiled(more.get("both_busy", both)),
        histories=more.get("histories"),
    )


def histories(neither: float) -> Any:
    """Three lists on each of seven days; of 1,200 that asked, so many are in neither other."""
    asked = [[neither, 120], [180, 180]]
    return np.tile(np.array([[[0, 240], [240, 240]], asked], float), (7, 1, 1, 1))


def view(
    right: str = "sinkhole_http",
    *,
    clients: int = 40,
    blocked: int = 0,
    prefix: bool = False,
    shift: int = 0,
    silent: tuple[int, ...] = (),
) -> Any:
    """Each client asks at noon; two of three use the resolver; the last never arrive."""
    sightings, coverage = [], []
    for day in range(DAYS):
        for client in range(clients):
            time = START + day * DAY + 12 * HOUR + timedelta(seconds=client)
            if client % 3:
                sightings.append(sighting(time, client, asn=64500))
            if client < clients - blocked and client % 5:
                more: Any = {"sensor": "s", "vantage": right, "asn": 64500}
                sightings.append(sighting(time, client + shift, **more))
        sightings.append(sighting(START + day * DAY, 999, sensor="s", vantage=right, asn=64999))
    for hour in range(24 * DAYS):
        coverage.append(coverage_row(START + hour * HOUR))
        if hour // 24 not in silent:
            coverage.append(coverage_row(START + hour * HOUR, "s", right))
    known = []
    for client in range(clients) if prefix else ():
        for key in {client, client + shift}:
            known.append(
                {"client": key, "unit": "ipv4", "address": "192.0.2.1", "asn": 64500,
                 "prefix": f"10.{client % 9}.0.0/16", "source": "s", "sensor": "a",
                 "vantage": "resolver", "queries": 1, "first_time": START, "last_time": START}
            )  # fmt: skip
    return view_of(sightings, coverage, known)


def asked(made: Any, case: Case = CASE) -> dict[str, Any]:
    basis = Basis(made, case, settings(), default_window(made), "resolver")
    return {estimate.quantity: estimate for estimate in estimates(basis)}


def test_who_is_seen_at_both_is_counted_and_matched_by_address() -> None:
    found = asked(view())

    both = sum(bool(c % 3 and c % 5) for c in range(40))
    left = sum(bool(c % 3) for c in range(40))
    assert list(found) == list(QUANTITIES)
    assert found["seen_at_both"].value == both
    assert found["seen_at_both"].level is None
    assert found["reach_ratio"].value == pytest.approx(both / left)
    assert found["reach_ratio"].low < both / left < found["reach_ratio"].high
    # The network from which nobody asked the resolver is not in it.
    assert "32 seen a day" not in found["two_vantage_hosts"].method
    assert found["two_vantage_hosts"].value == pytest.approx(40, abs=3)


def test_addresses_that_never_meet_are_matched_by_prefix_and_no_hosts_are_told() -> None:
    found = asked(view(shift=10_000, prefix=True))

    assert found["seen_at_both"].unit == "prefixes"
    assert found["seen_at_both"].value == 6  # of nine, three have only clients of other resolvers
    assert found["two_vantage_hosts"].value is None
    assert "only the ratio" in found["two_vantage_hosts"].refusal


def test_resolvers_at_the_sinkhole_are_never_matched_as_hosts() -> None:
    found = asked(view("sinkhole_dns", prefix=True))

    assert found["seen_at_both"].unit == "prefixes"
    assert found["two_vantage_hosts"].value is None


def test_one_vantage_alone_is_no_question() -> None:
    made = view_of([sighting(START, 1)], [coverage_row(START)])

    assert pair(made) is None
    assert asked(made) == {}
    assert compare(made, CASE, settings()) is None


def test_a_day_that_one_of_them_misses_is_left_out_and_none_is_a_refusal() -> None:
    assert asked(view(silent=(1,)))["seen_at_both"].n == 2
    refused = asked(view(silent=(0, 1, 2)))
    assert [estimate.value for estimate in refused.values()] == [None] * 3


def test_names_answered_with_another_address_cannot_reach_the_sinkhole() -> None:
    made, other = view(), view()
    made.rows["answers"] = other.rows["answers"] = [
        {"rrname": "evil.example", "rrtype": 1, "rdata": "203.0.113.9", "time_first": START,
         "time_last": START, "count": 1, "sensor": "a", "source": "s1"}
    ]  # fmt: skip
    case = Case("test", "T", START, sinkhole=SinkholeConfig(addresses=("192.0.2.53",)))

    assert asked(made)["seen_at_both"].value > 0
    assert asked(other, case)["seen_at_both"].value is None


def test_who_is_told_that_a_seized_name_does_not_exist_has_not_arrived() -> None:
    made = view(blocked=10)
    for row in made.rows["sightings"]:
        if row["vantage"] == "resolver" and row["client"] >= 30:
            row["rcode"] = 3

    reach = asked(made)["reach_ratio"].value

    arrived = len([c for c in range(30) if c % 3 and c % 5])
    assert reach == pytest.approx(arrived / len([c for c in range(40) if c % 3]))


def test_blocking_in_some_networks_leaves_only_the_ratio() -> None:
    alike = hosts(cells([300, 300], [300, 300], [200, 200]))
    blocking = hosts(cells([300, 300], [300, 200], [200, 100]))

    assert alike.total is not None
    assert alike.total.value == pytest.approx(900, rel=0.02)
    assert blocking.total is None
    assert "differs between networks" in str(blocking.refusal)


def test_a_block_that_begins_leaves_only_the_ratio() -> None:
    made = cells([400], [400], [300])
    made.both[3:] = 150

    assert "differs between days" in str(hosts(made).refusal)


def test_quiet_hosts_make_the_estimate_a_lower_bound() -> None:
    made = hosts(cells([600], [500], [300], left_busy=[200], both_busy=[180]))

    assert made.total is not None
    assert "no upper limit" in str(made.bound)


def test_askers_that_arrive_less_the_more_they_ask_are_stopped() -> None:
    made = hosts(cells([600], [500], [300], left_busy=[300], both_busy=[50]))

    assert made.total is None
    assert "stops" in str(made.refusal)


def test_a_third_list_shows_a_block_that_is_alike_in_all_networks() -> None:
    free = hosts(cells([600], [840], [360], histories=histories(neither=120)))
    blocked = hosts(cells([1200], [840], [360], histories=histories(neither=720)))

    assert free.total is not None
    assert blocked.total is None
    assert "50% of the resolver's clients reached neither" in str(blocked.refusal)


def test_an_estimate_that_nobody_saw_most_of_is_refused() -> None:
    made = hosts(cells([300], [300], [40]))

    assert made.total is None
    assert "by neither" in str(made.refusal)


def test_nobody_in_common_is_a_refusal_not_an_error() -> None:
    assert hosts(cells([300], [300], [0])).total is None


def test_the_ratio_has_limits_even_where_all_or_none_arrive() -> None:
    everyone = reach(50, 100.0, 100.0, (200.0, 200.0, 200.0))
    nobody = reach(50, 100.0, 0.0, (200.0, 0.0, 0.0))

    assert everyone is not None
    assert everyone.low < everyone.value == everyone.high == 1.0
    assert nobody is not None
    assert nobody.low == nobody.value == 0.0 < nobody.high
    assert reach(1, 5.0, 3.0, (25.0, 15.0, 9.0)) is None


def test_both_stand_on_one_scale_over_the_same_hours() -> None:
    found = compare(view(silent=(2,)), CASE, settings())

    assert found is not None
    assert found.hours == 48
    left, right = found.sides
    assert (left.vantage, right.vantage) == ("resolver", "sinkhole_http")
    assert left.hourly == pytest.approx(26 / 24)
    assert right.hourly == pytest.approx(33 / 24)
    assert np.isnan(found.values[:, 2]).all()
    assert found.values[0, 0] == pytest.approx(26 / 24)
    assert (left.networks, right.networks, found.networks) == (1, 2, 2)
    assert left.share == 0.5
