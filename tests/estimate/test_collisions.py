"""Generated names of somebody else: who shows them, and who does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from estimate.fakeview import DAY, START, FakeView, sighting
from remnant.estimate import collisions
from remnant.windows import Window


def outside(day: int, client: int, name: str = "golf.com", **more: Any) -> dict[str, Any]:
    """A query for a generated name outside of its dates."""
    return sighting(START + day * DAY, client, name=name, indicator=f"outside:{name}", **more)


def inside(client: int, name: str = "golf.com", **more: Any) -> dict[str, Any]:
    return sighting(START, client, name=name, indicator=name, **more)


def view_of(beside: list[dict[str, Any]], counted: list[dict[str, Any]] | None = None) -> Any:
    return FakeView({"unlisted": beside, "sightings": counted or []})


def collided(view: Any, window: Window | None = None) -> list[str]:
    return sorted(collisions.names(view, window).to_pyarrow()["name"].to_pylist())


def visitors(clients: int, days: int = 2, **more: Any) -> list[dict[str, Any]]:
    """So many clients, spread over so many days, that ask for one name."""
    return [outside(10 + client % days, client, **more) for client in range(clients)]


def test_a_site_of_others_is_asked_for_on_any_day() -> None:
    view = view_of(visitors(collisions.MIN_CLIENTS), [inside(client) for client in range(20)])
    assert collided(view) == ["golf.com"]


def test_a_few_stray_clients_or_a_single_day_remove_no_name() -> None:
    assert collided(view_of(visitors(collisions.MIN_CLIENTS - 1))) == []
    assert collided(view_of(visitors(50, days=1))) == []
    again = [outside(10 + day, 1) for day in range(30)]
    assert collided(view_of(again)) == []


def test_a_bot_with_a_wrong_clock_goes_through_a_list_and_shows_no_collision() -> None:
    names = [f"n{number}.com" for number in range(collisions.FEW_NAMES + 1)]
    bots = [outside(client % 5, client, name) for client in range(40) for name in names]
    assert collided(view_of(bots)) == []
    # The same clients with one name less a day go through no list.
    fewer = [outside(client % 5, client, name) for client in range(40) for name in names[1:]]
    assert collided(view_of(fewer)) == names[1:]


def test_who_goes_through_lists_hides_no_real_visitors() -> None:
    crawler = [outside(10 + n % 3, 99, f"n{n}.com") for n in range(500)]
    view = view_of([*crawler, outside(10, 99), *visitors(6)])
    assert collided(view) == ["golf.com"]
    (row,) = collisions.names(view).to_pyarrow().to_pylist()
    assert (row["queries"], row["clients"]) == (6, 6)


def test_wrong_clocks_of_a_large_botnet_are_a_small_share() -> None:
    bots = [inside(client) for client in range(200)]
    # One in twenty of those inside the dates is ten.
    assert collided(view_of(visitors(9), bots)) == []
    assert collided(view_of(visitors(10), bots)) == ["golf.com"]


def test_vantages_are_never_added_together() -> None:
    half = [outside(10 + n % 2, n, vantage="sinkhole_dns") for n in range(3)]
    other = [outside(10 + n % 2, 10 + n, vantage="resolver") for n in range(4)]
    assert collided(view_of([*half, *other])) == []
    both = [*visitors(6), *visitors(8, vantage="sinkhole_dns")]
    (row,) = collisions.names(view_of(both)).to_pyarrow().to_pylist()
    assert (row["queries"], row["clients"]) == (8, 8)


def test_names_that_are_not_listed_are_another_matter() -> None:
    rows = [row | {"indicator": "unlisted:golf.com"} for row in visitors(20)]
    assert collided(view_of(rows)) == []


def test_only_queries_of_the_window_are_looked_at() -> None:
    view = view_of(visitors(8, days=4))
    assert collided(view, Window(START, START + 12 * DAY)) == []
    assert collided(view, Window(START + 10 * DAY, START + 14 * DAY)) == ["golf.com"]
    (row,) = collisions.names(view).to_pyarrow().to_pylist()
    assert row["first"] == START + 10 * DAY
    assert row["last"] == START + 13 * DAY


def test_the_summary_counts_all_and_shows_the_collided() -> None:
    stray = outside(3, 1, "stray.net", weight=4)
    found = collisions.summary(view_of([stray, *visitors(7)]))
    assert (found.outside_names, found.outside_queries, found.collided) == (2, 11, 1)
    assert found.rows[0]["name"] == "golf.com"
    assert found.rows[0]["first"] == (START + 10 * DAY).isoformat().replace("+00:00", "Z")
    assert found.to_json()["collided"] == 1


def test_a_case_without_any_has_none() -> None:
    found = collisions.summary(view_of([]), Window(START, START + timedelta(days=1)))
    assert (found.outside_names, found.outside_queries, found.collided, found.rows) == (0, 0, 0, ())


def test_the_example_of_the_documentation() -> None:
    visits = [outside(10 + client % 2, client) for client in range(7)]
    assert collided(view_of(visits, [inside(client) for client in range(40)])) == ["golf.com"]
    assert collided(view_of(visits, [inside(client) for client in range(200)])) == []
