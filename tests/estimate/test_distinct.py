"""Distinct clients as bits are the distinct clients."""

from __future__ import annotations

from estimate.fakeview import DAY, HOUR, START, coverage_row, sighting, view_of
from remnant.estimate.distinct import distinct_clients
from remnant.estimate.traffic import sightings
from remnant.windows import Window


def test_groups_of_more_clients_than_a_number_has_bits_are_counted_once_each() -> None:
    rows = [
        sighting(START + hour * HOUR, client - 90, asn=client % 5 or None, name=f"n{client % k}")
        for client in range(200)
        for hour, k in ((0, 3), (1, 3), (2, 7))
    ]
    rows.append(sighting(START + 5 * DAY, 999, name="n0"))  # outside of the window
    view = view_of(rows, [coverage_row(START)])
    window = Window(START, START + DAY)
    seen: dict[tuple[str, int | None], set[int]] = {}
    for row in rows[:-1]:
        seen.setdefault((row["name"], row["asn"]), set()).add(row["client"])

    table = sightings(view, window, "resolver")
    found = distinct_clients(view, window, "resolver", table, "name", "asn").to_pyarrow()

    assert {(row["name"], row["asn"]): row["clients"] for row in found.to_pylist()} == {
        key: len(clients) for key, clients in seen.items()
    }
