from __future__ import annotations

import numpy as np
import pytest

from made_maps import made_map, number_of
from remnant.infrastructure.graph import EDGE_TYPES, Graph
from remnant.infrastructure.relations import STRENGTHS, Relations, families, holdings, words


def weight_of(graph: Graph, tail: str, head: str) -> float:
    relations = Relations.of(graph)
    ends = zip(relations.tails.tolist(), relations.heads.tolist(), strict=True)
    wanted = tuple(int(relations.holding[number_of(graph, value)]) for value in (tail, head))
    return float(relations.weights[list(ends).index(wanted)])  # type: ignore[arg-type]


def test_every_type_of_edge_has_a_strength_or_joins_nothing() -> None:
    assert set(EDGE_TYPES) - set(STRENGTHS) == {"in_asn", "sinkholed_at", "asks"}
    assert all(0 < one.weight <= 1 and 0 < one.coupling < 1 for one in STRENGTHS.values())


def test_what_asks_and_what_holds_anyone_joins_nothing() -> None:
    graph = made_map(
        [("a.test", "sinkholed_at", "sink"), ("192.0.2.0/24", "asks", "a.test")], seeds=["a.test"]
    )

    assert Relations.of(graph).rows.size == 0


def test_a_domain_and_the_names_below_it_are_one_thing() -> None:
    graph = made_map(
        [
            ("c2.evil.test", "below", "evil.test"),
            ("www.evil.test", "below", "evil.test"),
            ("c2.evil.test", "resolves_to", "192.0.2.1"),
            ("evil.test", "served_by", "ns.dns.test"),
        ]
    )

    holding = holdings(graph)

    assert len({holding[number_of(graph, n)] for n in ("c2.evil.test", "www.evil.test")}) == 1
    assert holding[number_of(graph, "c2.evil.test")] == number_of(graph, "evil.test")
    assert holding[number_of(graph, "192.0.2.1")] == number_of(graph, "192.0.2.1")


def test_names_below_a_large_domain_or_a_hub_are_their_own() -> None:
    large = made_map([(f"n{i}.big.test", "below", "big.test") for i in range(31)])
    hub = made_map([("a.dyn.test", "below", "dyn.test")], hubs={"dyn.test": "dynamic DNS"})

    assert np.array_equal(holdings(large), np.arange(32))
    assert set(families(large).tolist()) == {number_of(large, "big.test")}
    assert np.array_equal(holdings(hub), np.arange(2))
    assert np.array_equal(families(hub), np.arange(2))


def test_a_domain_below_itself_is_taken() -> None:
    """Nobody but an attacker would make such a map."""
    graph = made_map([("a.test", "below", "b.test"), ("b.test", "below", "a.test")])

    assert Relations.of(graph).rows.size >= 0


def test_a_wildcard_domain_is_one_neighbour() -> None:
    graph = made_map(
        [(f"n{i}.big.test", "below", "big.test") for i in range(50)]
        + [(f"n{i}.big.test", "resolves_to", "192.0.2.1") for i in range(50)]
        + [("other.test", "resolves_to", "192.0.2.1")]
    )

    assert Relations.of(graph).known[number_of(graph, "192.0.2.1")] == 2


def test_neighbours_that_the_map_leaves_out_count() -> None:
    graph = made_map(
        [("a.test", "resolves_to", "192.0.2.1"), ("b.test", "resolves_to", "192.0.2.1")],
        degrees={"192.0.2.1": 90, "a.test": 5000},
    )

    known = Relations.of(graph).known
    assert known[number_of(graph, "192.0.2.1")] == 90
    assert known[number_of(graph, "a.test")] == 1


SEED = ("seed.test", "resolves_to", "192.0.2.1", "2015-03-01", "2015-03-10")


@pytest.mark.parametrize(
    ("since", "until", "share"),
    [
        ("2015-02-01", "2015-03-05", 1.0),
        ("2015-03-10", "2015-03-12", 1.0),
        ("2015-03-24", "2015-03-25", 0.2 * 0.5),
        ("2014-01-01", "2015-02-15", 0.2 * 0.5),
        ("2019-01-01", "2019-02-15", 0.02),
        ("2019-02-15", "2019-01-01", 1.0),
        (None, None, 1.0),
    ],
)
def test_other_tenants_of_an_address_say_less(
    since: str | None, until: str | None, share: float
) -> None:
    graph = made_map(
        [SEED, ("x.test", "resolves_to", "192.0.2.1", since, until)], seeds=["seed.test"]
    )

    weight = weight_of(graph, "x.test", "192.0.2.1")

    assert weight / weight_of(graph, "seed.test", "192.0.2.1") == pytest.approx(share)


def test_where_no_seed_was_the_time_of_all_seeds_counts() -> None:
    late = ("x.test", "resolves_to", "192.0.2.9", "2015-03-24", "2015-04-01")

    weight = weight_of(made_map([SEED, late], seeds=["seed.test"]), "x.test", "192.0.2.9")

    assert weight == pytest.approx(0.1 * 1000 / 1010)


def test_few_responses_say_less() -> None:
    graph = made_map([("a.test", "resolves_to", "192.0.2.1", None, None, 10)])

    assert weight_of(graph, "a.test", "192.0.2.1") == pytest.approx(0.5)


def test_rare_things_couple_more() -> None:
    graph = made_map(
        [(f"n{i}.test", "resolves_to", "192.0.2.1") for i in range(8)]
        + [("n0.test", "resolves_to", "192.0.2.2"), ("m.test", "resolves_to", "192.0.2.2")]
    )
    relations = Relations.of(graph)

    coupling = np.tanh(relations.couplings)

    assert coupling[0] == pytest.approx(0.5 * coupling[-1])
    assert coupling[-1] == pytest.approx(0.6 * 1000 / 1010)


def test_words_of_a_column_without_rows() -> None:
    assert words(Graph.empty().edges["type"])[0] == []
    assert Relations.of(Graph.empty()).rows.size == 0
