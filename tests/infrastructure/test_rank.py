from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_maps import made_map, number_of
from remnant.infrastructure.graph import Graph
from remnant.infrastructure.rank import CANDIDATES, UNIT, candidates, ranking
from remnant.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

Edge = tuple[Any, ...]

NAMES = [f"n{i}.test" for i in range(8)]
THINGS = [f"192.0.2.{i}" for i in range(5)]
EDGES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.just("resolves_to"), st.sampled_from(THINGS)),
    max_size=20,
    unique=True,
)


def score_of(graph: Graph, value: str) -> float:
    found = ranking(graph)
    return float(found.scores[found.relations.holding[number_of(graph, value)]])


def test_the_nearest_comes_first_with_its_reason() -> None:
    graph = made_map(
        [
            ("seed.test", "resolves_to", "192.0.2.1", "2015-04-01", "2015-04-09"),
            ("near.test", "resolves_to", "192.0.2.1", "2015-04-02", "2015-04-20"),
            ("near.test", "resolves_to", "192.0.2.2", "2015-04-02", "2015-04-20"),
            ("far.test", "resolves_to", "192.0.2.2", "2015-04-02", "2015-04-20"),
        ],
        seeds=["seed.test"],
        alone=["alone.test"],
    )

    found = candidates(graph, kinds=CANDIDATES)

    assert [one.value for one in found] == ["192.0.2.1", "near.test", "192.0.2.2", "far.test"]
    near = found[1]
    assert near.reasons == ("shares 192.0.2.1 with the seed seed.test, 2-9 April 2015",)
    assert near.paths == (("seed.test", "192.0.2.1", "near.test"),)
    assert 0 < near.score < found[0].score < 1
    assert 0 < near.ppr < 1
    assert 0.45 < near.belief < 1


def test_hubs_sinkholes_and_seeds_are_no_candidates_and_join_nothing() -> None:
    graph = made_map(
        [
            ("seed.test", "resolves_to", "192.0.2.1"),
            ("customer.test", "resolves_to", "192.0.2.1"),
            ("seed.test", "sinkholed_at", "192.0.2.53"),
            ("other.test", "sinkholed_at", "192.0.2.53"),
        ],
        seeds=["seed.test"],
        hubs={"192.0.2.1": "shared hosting", "192.0.2.53": "sinkhole"},
    )

    assert candidates(graph, kinds=CANDIDATES) == []


def test_the_domain_of_a_seed_is_no_news() -> None:
    graph = made_map(
        [("ns1.evil.test", "below", "evil.test"), ("www.evil.test", "below", "evil.test")],
        seeds=["ns1.evil.test"],
    )

    assert candidates(graph, kinds=CANDIDATES) == []


def test_one_thing_speaks_for_a_domain() -> None:
    graph = made_map(
        [
            ("seed.test", "resolves_to", "192.0.2.1"),
            ("c2.evil.test", "resolves_to", "192.0.2.1"),
            ("c2.evil.test", "below", "evil.test"),
            ("www.evil.test", "below", "evil.test"),
        ],
        seeds=["seed.test"],
    )

    found = candidates(graph, kinds=("name", "domain"))

    assert [(one.value, one.also) for one in found] == [
        ("c2.evil.test", ("evil.test", "www.evil.test"))
    ]


def test_many_names_of_a_wildcard_domain_take_one_place() -> None:
    names = [f"x{i}.wild.test" for i in range(40)]
    graph = made_map(
        [("seed.test", "resolves_to", "192.0.2.1"), ("z.test", "resolves_to", "192.0.2.1")]
        + [(name, "resolves_to", "192.0.2.1") for name in names]
        + [(name, "below", "wild.test") for name in names],
        seeds=["seed.test"],
    )

    found = candidates(graph, limit=2, kinds=("name",))

    assert [one.value for one in found] == ["z.test", "x0.wild.test"]
    assert len(found[1].also) == 20


def test_what_is_known_to_be_innocent_is_no_candidate_and_vouches_for_others() -> None:
    edges: list[Edge] = [
        ("seed.test", "resolves_to", "192.0.2.1"),
        ("good.test", "resolves_to", "192.0.2.1"),
        ("unknown.test", "resolves_to", "192.0.2.1"),
    ]
    graph = made_map(edges, seeds=["seed.test"])

    found = candidates(graph, benign=[number_of(graph, "good.test")])

    assert "good.test" not in {one.value for one in found}
    before = {one.value: one.belief for one in candidates(graph, kinds=CANDIDATES)}
    after = {one.value: one.belief for one in found}
    assert after["unknown.test"] < before["unknown.test"]


def test_only_edges_of_the_window_count() -> None:
    graph = made_map(
        [
            ("seed.test", "resolves_to", "192.0.2.1", "2015-04-01", "2015-04-09"),
            ("early.test", "resolves_to", "192.0.2.1", "2014-04-01", "2014-04-09"),
        ],
        seeds=["seed.test"],
    )
    window = Window(datetime(2015, 1, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC))

    assert "early.test" in {one.value for one in candidates(graph)}
    assert "early.test" not in {one.value for one in candidates(graph, window=window)}


def test_ranks_sum_to_one_and_without_seeds_there_are_none() -> None:
    edges: list[Edge] = [("a.test", "resolves_to", "192.0.2.1")]

    assert ranking(made_map(edges, seeds=["a.test"])).walk.ranks.sum() == pytest.approx(1)
    nothing = ranking(made_map(edges))
    assert not nothing.scores.any()
    assert nothing.notes == ("no seed of the case is on the map: nothing is ranked",)
    assert candidates(Graph.empty()) == []
    assert candidates(made_map(edges, seeds=["a.test"]), limit=0) == []


@settings(deadline=None, max_examples=40)
@given(EDGES, st.permutations(NAMES + THINGS), st.randoms())
def test_neither_numbers_nor_the_order_of_the_edges_matter(
    edges: list[Edge], order: Sequence[str], random: Any
) -> None:
    one = made_map(edges, seeds=NAMES[:2], alone=NAMES + THINGS)
    shuffled = sorted(edges, key=lambda _: random.random())
    kinds = dict(zip(one.nodes["value"].to_pylist(), one.nodes["kind"].to_pylist(), strict=True))
    other = made_map(shuffled, seeds=NAMES[:2], order=order)

    first = {c.value: c.score for c in candidates(one, kinds=CANDIDATES)}
    second = {c.value: c.score for c in candidates(other, kinds=CANDIDATES)}

    assert {value for value, kind in kinds.items() if kind == "address"} >= {
        value for value in first if value in THINGS
    }
    assert second == pytest.approx(first, abs=1e-5)
    as_before = [str(value) for value in one.nodes["value"].to_pylist()]
    same = made_map(shuffled, seeds=NAMES[:2], order=as_before)
    assert ranking(same).scores.tobytes() == ranking(one).scores.tobytes()


@settings(deadline=None, max_examples=60)
@given(EDGES, st.sampled_from(NAMES[2:]), st.sampled_from(NAMES[:2]))
def test_a_new_address_shared_with_a_seed_lowers_no_candidate(
    edges: list[Edge], candidate: str, seed: str
) -> None:
    """Where names have fewer edges than there is room for; one that has more loses a little."""
    edges = [edge for edge in edges if edge[2] in THINGS[:3]]
    before = made_map(edges, seeds=NAMES[:2], alone=NAMES)
    new = [(candidate, "resolves_to", "198.51.100.1"), (seed, "resolves_to", "198.51.100.1")]
    after = made_map([*edges, *new], seeds=NAMES[:2], alone=NAMES)

    for name in NAMES[2:]:
        assert score_of(after, name) >= score_of(before, name) - 2e-3
    assert score_of(after, candidate) > score_of(before, candidate) - 1e-6


@settings(deadline=None, max_examples=40)
@given(EDGES)
def test_what_nothing_joins_to_a_seed_has_no_score(edges: list[Edge]) -> None:
    graph = made_map(edges, seeds=NAMES[:1], alone=NAMES)
    joined = {NAMES[0]}
    for _ in range(10):
        for tail, _, head in edges:
            if tail in joined or head in joined:
                joined |= {tail, head}

    found = candidates(graph, kinds=CANDIDATES)

    assert {one.value for one in found} == joined - {NAMES[0]}


def test_hostile_text_and_times_are_taken_as_they_are() -> None:
    edges: list[Edge] = [
        ("seed.test", "resolves_to", "192.0.2.1", "0001-01-01", "9999-12-31"),
        ("<script>.\\000\x1b.test", "resolves_to", "192.0.2.1", "1970-01-01", "2015-01-02", 1),
        ("a" * 255, "alias_of", "seed.test", "2015-04-09", "2015-04-02", 0),
        ("b.test", "alias_of", "c.test"),
        ("c.test", "alias_of", "b.test"),
        ("b.test", "alias_of", "seed.test"),
    ]

    found = candidates(made_map(edges, seeds=["seed.test"]), kinds=CANDIDATES)

    values = {one.value for one in found}
    assert {"<script>.\\000\x1b.test", "a" * 255, "b.test", "c.test"} <= values
    assert all(one.reasons and np.isfinite(one.score) for one in found)


def test_the_example_of_the_documentation() -> None:
    april, page = ("2015-04-02", "2015-04-09"), Path(__file__).parents[2] / "docs" / "explanation"
    edges: list[Edge] = [
        *((f"c{i}.test", "resolves_to", "203.0.113.7", *april) for i in (1, 2, 3)),
        ("x.test", "resolves_to", "203.0.113.7", *april),
        ("c1.test", "served_by", "ns1.y.test", *april),
        ("x.test", "served_by", "ns1.y.test", *april),
        ("shop.test", "resolves_to", "203.0.113.7", "2015-05-01", "2015-06-01"),
    ]
    graph = made_map(edges, seeds=["c1.test", "c2.test", "c3.test"])
    text = (page / "ranking-candidates.md").read_text(encoding="utf-8")

    found = ranking(graph)

    for one in found.best(kinds=CANDIDATES):
        visits, odds = found.walk.visits[one.node], found.beliefs.odds[one.node]
        near = visits / (visits + UNIT)
        alike = one.score**2 / near
        row = f"| {visits:.3f} | {near:.3f} | {odds:.2f} | {alike:.3f} | {one.score:.3f} |"
        assert f"| {one.value} {row}" in text
        if one.value in {"x.test", "shop.test"}:
            assert all(f'"{reason}"' in text for reason in one.reasons)


def test_addresses_are_listed_only_on_request() -> None:
    edges = [("seed.test", "resolves_to", "203.0.113.7"), ("x.test", "resolves_to", "203.0.113.7")]
    graph = made_map(edges, seeds=["seed.test"])

    assert [one.value for one in candidates(graph)] == ["x.test"]
    assert [one.value for one in candidates(graph, kinds=["address"])] == ["203.0.113.7"]
