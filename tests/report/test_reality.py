"""The sizes of a botnet, told to people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remnant.report.reality import paragraphs, rungs
from remnant.report.suppress import Hidden
from report.sample import make_content

if TYPE_CHECKING:
    from remnant.report.facts import Content, Measure


def changed(quantity: str, **changes: Any) -> Content:
    """The sample with one of its measures changed."""
    content = make_content()

    def one(measure: Measure) -> Measure:
        here = measure.quantity == quantity and measure.vantage is None
        return replace(measure, **changes) if here else measure

    return replace(content, measures=tuple(map(one, content.measures)))


def test_counted_sizes_stand_before_concluded_ones_and_each_names_another_view() -> None:
    found = rungs(make_content())

    assert [rung.counted for rung in found] == sorted((r.counted for r in found), reverse=True)
    assert [rung.label for rung in found][-3:] == [
        "Infected machines in all",
        "Infected machines in all (HTTP)",
        "Infected machines at a time",
    ]


def test_the_story_says_addresses_are_no_machines_and_gives_intervals() -> None:
    told = paragraphs(make_content())

    assert "None of these is the number of infected machines" in told[0]
    assert "about 41,250 machines (95 % interval 38,400 to 44,300)" in told[1]
    assert "13 % of the addresses ever seen" in told[1]
    assert "they are never added up" in told[3]
    assert "scanners, researchers or monitors" in told[4]
    assert "412 seen from the DNS resolvers" in told[4]


def test_a_lower_bound_is_called_one() -> None:
    content = changed("infected_population", method="lower bound, Chao", high=None)
    text = paragraphs(content)[1]

    assert "at least 41,250 machines (95 % sure: at least 38,400)" in text
    assert "That is at least 13 % of the addresses" in text
    assert "The true number may be much larger" in text
    assert "upper limit" not in text


def test_every_concluded_size_says_when() -> None:
    machines, online = paragraphs(make_content())[1:3]

    assert "between 25 Mar 2015 and 30 Jun 2015" in machines
    assert "between 25 Mar 2015 and 30 Jun 2015" in online


def test_machines_and_addresses_are_whole() -> None:
    content = changed("infected_population", value=50.12, low=33.24, high=71.7)

    assert "about 50 machines (95 % interval 33 to 72)" in paragraphs(content)[1]


def test_who_is_left_out_is_told_of_every_view() -> None:
    content = make_content()
    (one,) = (found for found in content.measures if found.quantity == "bystanders")
    others = (
        replace(one, vantage="resolver", value=0.0, low=0.0, high=0.0),
        replace(one, vantage="sinkhole_http", value=63.0, low=63.0, high=63.0),
        replace(one, vantage="sinkhole_tcp", value=None, hidden=Hidden.SMALL),
    )
    rest = tuple(found for found in content.measures if found.quantity != "bystanders")
    told = paragraphs(replace(content, measures=(*rest, *others)))[-1]

    assert "63 seen from the sinkhole, by web requests" in told
    assert "<10 seen from the sinkhole, by connections" in told
    assert "resolver" not in told


def test_a_refusal_is_told_with_its_reason() -> None:
    content = changed(
        "infected_population", value=None, low=None, high=None, assumptions=("addresses change",)
    )

    assert paragraphs(content)[1] == (
        "How many machines that are cannot be told: addresses change."
    )


def test_what_is_hidden_is_not_told() -> None:
    content = changed("footprint", value=None, low=None, high=None, hidden=Hidden.SMALL)

    assert "312" not in " ".join(paragraphs(content))
    assert "not published" in paragraphs(content)[0]


def test_where_nothing_was_seen_there_is_nothing_to_conclude() -> None:
    told = paragraphs(replace(make_content(), measures=()))

    assert told == [
        "No address was seen, so there is nothing to conclude from.",
        "The number of machines behind them is not stated here.",
    ]
