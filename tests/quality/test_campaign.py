"""The scores of a campaign, and the page that shows them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from campaigns.campaign import (
    Campaign,
    Cell,
    Goal,
    Outcomes,
    binomial,
    generator,
    mean_interval,
    ratio_interval,
    score,
)
from campaigns.kept import Kept, inputs, loaded
from campaigns.kept import digests as digests_of
from campaigns.page import as_before, goals_met, page, renewed, section

NAN = float("nan")


def outcomes(**changes: object) -> Outcomes:
    fields = {
        "truth": np.array([10.0, 10.0, 10.0, 20.0]),
        "value": np.array([11.0, 9.0, NAN, 20.0]),
        "low": np.array([8.0, 9.5, NAN, 19.0]),
        "high": np.array([12.0, 9.8, NAN, np.inf]),
        "n": np.array([100.0, 100.0, 0.0, 100.0]),
        "baseline": np.array([14.0, 14.0, 14.0, 24.0]),
        "calls": np.array([1.0, 0.0, 0.0, 1.0]),
    } | changes
    return Outcomes(**fields)  # type: ignore[arg-type]


def test_scores_leave_refusals_out_and_count_them() -> None:
    found = outcomes()

    assert score("bias", found).value == pytest.approx(0.0)
    assert score("mare", found).value == pytest.approx(0.2 / 3)
    assert score("coverage", found).value == pytest.approx(2 / 3)
    assert score("below", found).value == pytest.approx(1.0)
    assert score("refused", found).value == pytest.approx(0.25)
    assert score("wrong", found).value == pytest.approx(0.5)
    assert score("error_cut", found).value == pytest.approx(1 - 2 / 12)
    assert score("rmse_root_n", found).value == pytest.approx(np.sqrt(2 / 3))
    assert score("bias", found).n == 3


def test_what_is_looked_for_is_scored_by_recall_and_precision() -> None:
    found = Outcomes(
        truth=np.full(4, 40.0),
        value=np.array([40.0, 36.0, 20.0, 40.0]),
        listed=np.array([0.8, 0.7, 0.4, 0.8]),
    )

    assert score("recall", found).value == pytest.approx(0.85)
    assert score("worst", found).value == pytest.approx(0.5)
    assert score("precision", found).value == pytest.approx(0.675)
    assert Goal("recall", at_least=0.9).met(score("recall", found))
    assert not Goal("worst", at_least=0.9).met(score("worst", found))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_monte_carlo_intervals_hold_what_they_should(share: float) -> None:
    rng = np.random.default_rng(5)
    held = [0, 0, 0]
    for _ in range(400):
        hits = int(rng.binomial(300, share))
        values = rng.exponential(share, 200)
        above = values * rng.uniform(0.5, 1.5, 200)
        for i, (found, truth) in enumerate(
            [
                (binomial(hits, 300), share),
                (mean_interval(values), share),
                (ratio_interval(above, values), 1.0),
            ]
        ):
            held[i] += found.low <= truth <= found.high

    assert all(0.91 <= count / 400 <= 0.985 for count in held)


def test_a_goal_is_met_if_its_bound_lies_inside_the_interval_or_the_score_is_better() -> None:
    assert Goal("coverage", at_least=0.95).met(binomial(940, 1000))
    assert not Goal("coverage", at_least=0.95).met(binomial(900, 1000))
    assert Goal("coverage", at_least=0.9).met(binomial(999, 1000))
    assert Goal("wrong", at_most=0.05).met(binomial(0, 100))
    assert not Goal("wrong", at_most=0.05).met(binomial(20, 100))
    rng = np.random.default_rng(1)
    assert not Goal("bias", at_most=0.01).met(mean_interval(rng.normal(-0.05, 0.01, 100)))
    assert Goal("bias", at_most=0.01).met(mean_interval(rng.normal(-0.01, 0.01, 100)))
    assert not Goal("mare", at_most=1.0).met(mean_interval(np.array([])))


def drawn(rng: np.random.Generator, repeats: int, spread: float) -> Outcomes:
    value = rng.normal(100, spread, repeats)
    return Outcomes(truth=np.full(repeats, 100.0), value=value, low=value - 2, high=value + 2)


CAMPAIGN = Campaign(
    name="trial",
    title="A trial",
    text="Numbers.",
    metrics=("bias", "coverage", "error_cut"),
    cells=(
        Cell({"spread": "1"}, 400, partial(drawn, spread=1.0)),
        Cell({"spread": "4"}, 400, partial(drawn, spread=4.0)),
    ),
    goals=(Goal("coverage", at_least=0.93, source="ours"),),
    anchor="none published",
    notes="Wide noise is not covered.",
)


def run() -> list[Outcomes | dict[str, Outcomes]]:
    return [cell.simulate(generator("trial", cell.label), cell.repeats) for cell in CAMPAIGN.cells]


def test_a_section_shows_every_cell_every_goal_and_what_falls_short() -> None:
    text = section(CAMPAIGN, run())

    assert "| spread | repeats | bias | interval coverage | error cut |" in text
    assert "✓" in text
    assert "**✗**" in text
    assert "- interval coverage ≥ 93.0 % (ours)" in text
    assert text.endswith("Wide noise is not covered.")
    assert [met for _, met in goals_met(CAMPAIGN, run())] == [True, False]
    assert "**1 of 2 goals are met.**" in page([(CAMPAIGN, run())], 60)


def test_the_same_words_give_the_same_numbers() -> None:
    first, second = run(), run()

    assert isinstance(first[0], Outcomes)
    assert isinstance(second[0], Outcomes)
    assert (first[0].value == second[0].value).all()
    other = generator("trial", {"spread": "2"}).normal()
    assert other != generator("trial", {"spread": "1"}).normal()


def other(title: str) -> Campaign:
    return replace(CAMPAIGN, name=title.lower(), title=title, notes="")


def test_renewing_one_section_leaves_the_others_and_counts_all_goals() -> None:
    first, second = other("First"), other("Second")
    old = page([(first, run()), (CAMPAIGN, run())], 120)
    assert "**2 of 4 goals are met.**" in old
    assert "The run takes 2 minutes of CPU." in old

    new = section(second, run(), "5 files of code, digest `00`; 3.0 minutes of CPU.")
    found = renewed(old, {"Second": new}, ["First", "Second", "A trial"])

    titles = [line for line in found.splitlines() if line.startswith("## ")]
    assert titles == ["## First", "## Second", "## A trial"]
    assert section(first, run()) in found
    assert "**3 of 6 goals are met.**" in found
    assert "The run takes 5 minutes of CPU." in found
    assert found.count("Made from: an earlier whole run, which did not record it.") == 2
    assert "Made from: 5 files of code" in found
    assert renewed(found, {"Second": new}, ["First", "Second", "A trial"]) == found


def test_a_campaign_that_is_gone_leaves_the_page() -> None:
    old = page([(other("First"), run()), (CAMPAIGN, run())], 60)

    assert "## First" not in renewed(old, {}, ["A trial"])


def test_a_section_is_known_again_whatever_it_was_made_from() -> None:
    old = page([(CAMPAIGN, run())], 60, {"trial": "3 files of code, digest `aa`."})

    assert as_before(old, section(CAMPAIGN, run()))
    assert not as_before(old, section(replace(CAMPAIGN, text="Other numbers."), run()))


def test_inputs_name_the_code_and_not_the_commit() -> None:
    files = digests_of(loaded()[:3])
    kept = Kept(run()[0], 400, 90.0, files)
    older = Kept(run()[0], 400, 90.0, dict.fromkeys(files, "0" * 64))

    assert inputs([kept, kept]) == inputs([kept, kept])
    assert inputs([kept]).startswith("3 files of code, digest `")
    assert "1.5 minutes of CPU" in inputs([kept])
    assert "have changed since" not in inputs([kept])
    assert "; 1 of 9 cells, the others are not run yet" in inputs([kept], of=9)
    assert "; 3 of them have changed since" in inputs([older])
