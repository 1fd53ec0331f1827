"""The page of results: a section per campaign, a row per cell, every score with its interval."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import numpy as np

from campaigns.campaign import METRICS, rows_of, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.campaign import Campaign, Goal, Metric, Outcomes, Row, Score

    Found = Sequence[Outcomes | dict[str, Outcomes]]

__all__ = ["as_before", "goals_met", "page", "renewed", "section"]

_INPUTS: Final = "Made from: "
_UNKNOWN: Final = "an earlier whole run, which did not record it."
_NO_ERROR: Final = 1e-6

_SHARES = {
    "bias",
    "mare",
    "coverage",
    "below",
    "refused",
    "wrong",
    "right",
    "error_cut",
    "recall",
    "worst",
    "precision",
}


def page(
    parts: Sequence[tuple[Campaign, Found]],
    seconds: float,
    inputs: Mapping[str, str] | None = None,
) -> str:
    """Return the whole page (Markdown).

    Args:
        parts: the campaigns and their outcomes.
        seconds: of CPU that they took.
        inputs: what each was made from, in words, by its name.
    """
    known = inputs or {}
    met = [
        (campaign, state) for campaign, found in parts for _, state in goals_met(campaign, found)
    ]
    reached = sum(state for _, state in met)
    lines = [
        "# How good the numbers are",
        "",
        "Written by `make quality`; do not edit. Each estimator was given made-up botnets whose",
        "truth it cannot read. Seeds are fixed by the names of the settings: runs repeat exactly.",
        "",
        "Every score stands with its 95 % Monte Carlo interval: what the score would be with",
        "endless repeats lies in there 95 times of 100. A goal is met if its bound lies inside",
        "that interval, or the score is better.",
        "",
        f"**{reached} of {len(met)} goals are met.** Where one is not, the text below its table",
        "says why.",
        f"The run takes {seconds / 60:.0f} minutes of CPU.",
        "",
        "| score | what it is |",
        "|---|---|",
        *(f"| {_name(metric)} | {text} |" for metric, text in METRICS.items()),
        "",
    ]
    sections = [section(campaign, found, known.get(campaign.name, "")) for campaign, found in parts]
    lines += ["\n\n".join(sections), ""]
    return "\n".join(lines)


def renewed(old: str, new: Mapping[str, str], order: Sequence[str]) -> str:
    """Return a page with some sections made anew, and all others as they are.

    Goals and minutes in its head are those of all its tables. Where a section does not say what it
    was made from, it now says that this was not recorded.

    Args:
        old: the page.
        new: sections by title.
        order: the titles of all campaigns; a section of none of them is left out.
    """
    head, *rest = old.split("\n## ")
    before = {part.partition("\n")[0]: f"## {part.strip()}" for part in rest}
    sections = {
        title: new.get(title) or _stated(before[title])
        for title in order
        if title in new or title in before
    }
    marks = "".join(
        line for text in sections.values() for line in text.splitlines() if line.startswith("|")
    )
    reached, missed = marks.count("✓"), marks.count("✗")
    head = re.sub(
        r"\*\*\d+ of \d+ goals are met\.\*\*",
        f"**{reached} of {reached + missed} goals are met.**",
        head,
    )
    more = sum(
        _minutes(text) - _minutes(before.get(title, ""))
        for title, text in new.items()
        if _bare(text) != _bare(before.get(title, ""))
    )
    head = re.sub(
        r"The run takes (\d+) minutes of CPU\.",
        lambda found: f"The run takes {int(found[1]) + more:.0f} minutes of CPU.",
        head,
    )
    return "\n\n".join([head.strip(), *sections.values()]) + "\n"


def as_before(old: str, text: str) -> bool:
    """Return whether a page has this section, but for what it was made from."""
    _, *rest = old.split("\n## ")
    return any(_bare(f"## {part.strip()}") == _bare(text) for part in rest)


def _bare(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith(_INPUTS)).strip()


def _stated(text: str) -> str:
    return text if f"\n{_INPUTS}" in text else f"{text}\n\n{_INPUTS}{_UNKNOWN}"


def _minutes(text: str) -> float:
    found = re.search(rf"^{_INPUTS}.*; ([0-9.]+) minutes of CPU", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def section(campaign: Campaign, found: Found, inputs: str = "") -> str:
    """Return the section of one campaign (Markdown); ``inputs`` says what it was made from."""
    rows = _rows(campaign, found)
    factors = list(dict.fromkeys(key for row in rows for key in row.label))
    head = [*factors, "repeats", *(_name(metric) for metric in campaign.metrics)]
    lines = [
        f"## {campaign.title}",
        "",
        campaign.text.strip(),
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        cells = [row.label.get(factor, "") for factor in factors]
        cells.append(f"{row.outcomes.truth.size:,}")
        cells += [_cell(metric, row.outcomes, row.goals) for metric in campaign.metrics]
        lines.append("| " + " | ".join(cells) + " |")
    wanted = {goal: None for row in rows for goal in row.goals}
    if wanted:
        lines += ["", "Goals (✓ met, ✗ not met, in the cells that they hold for):", ""]
        lines += [f"- {_goal(goal)}" for goal in wanted]
    if campaign.anchor:
        lines += ["", f"Best published: {campaign.anchor.strip()}"]
    if campaign.notes:
        lines += ["", campaign.notes.strip()]
    if inputs:
        lines += ["", f"{_INPUTS}{inputs}"]
    return "\n".join(lines)


def goals_met(campaign: Campaign, found: Found) -> list[tuple[str, bool]]:
    """Return every goal of every cell in words, and whether it is met."""
    states = []
    for row in _rows(campaign, found):
        label = ", ".join(f"{key} {value}" for key, value in row.label.items())
        for goal in row.goals:
            if _missing(goal.metric, row.outcomes):
                states.append((f"{label}: {_goal(goal)}: nothing to score", False))
                continue
            reached = score(goal.metric, row.outcomes)
            shown = _score(goal.metric, reached)
            states.append((f"{label}: {_goal(goal)}: {shown}", goal.met(reached)))
    return states


def _rows(campaign: Campaign, found: Found) -> list[Row]:
    pairs = zip(campaign.cells, found, strict=True)
    return [row for cell, outcomes in pairs for row in rows_of(campaign, cell, outcomes)]


def _name(metric: Metric) -> str:
    return {
        "mare": "mean absolute relative error",
        "rmse_root_n": "RMSE · √n",
        "coverage": "interval coverage",
        "below": "bound holds",
        "error_cut": "error cut",
        "wrong": "wrong calls",
        "right": "right calls",
        "recall": "found",
        "worst": "found in the worst repeat",
    }.get(metric, metric)


def _cell(metric: Metric, outcomes: Outcomes, goals: Sequence[Goal]) -> str:
    if _missing(metric, outcomes):
        return "-"
    found = score(metric, outcomes)
    marks = [goal.met(found) for goal in goals if goal.metric == metric]
    return _score(metric, found) + ("" if not marks else " ✓" if all(marks) else " **✗**")


def _missing(metric: Metric, outcomes: Outcomes) -> bool:
    """Return whether outcomes lack what a metric is made of."""
    needed = {
        "coverage": outcomes.low,
        "rmse_root_n": outcomes.n,
        "error_cut": outcomes.baseline,
        "wrong": outcomes.calls,
        "right": outcomes.calls,
        "precision": outcomes.listed,
    }
    if metric == "error_cut" and outcomes.baseline is not None:
        wrong = np.abs(outcomes.baseline - outcomes.truth)
        # Nothing can be better than what has no error.
        return bool(np.nanmean(wrong) < _NO_ERROR * np.nanmean(np.abs(outcomes.truth)))
    return metric in needed and needed[metric] is None


def _score(metric: Metric, found: Score) -> str:
    if not math.isfinite(found.value):
        return "-"
    if metric in _SHARES:
        value, low, high = (_percent(part) for part in (found.value, found.low, found.high))
    else:
        value, low, high = (f"{part:.3f}" for part in (found.value, found.low, found.high))
    return value if low == high else f"{value} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if abs(share) < 0.1 else f"{100 * share:.1f} %"


def _goal(goal: Goal) -> str:
    bounds = []
    percent = goal.metric in _SHARES
    if goal.at_least is not None:
        bounds.append(f"≥ {_percent(goal.at_least) if percent else f'{goal.at_least:g}'}")
    if goal.at_most is not None:
        bounds.append(f"≤ {_percent(goal.at_most) if percent else f'{goal.at_most:g}'}")
    size = "absolute " if goal.metric == "bias" else ""
    source = f" ({goal.source})" if goal.source else ""
    of = f" of {goal.quantity}" if goal.quantity else ""
    return f"{size}{_name(goal.metric)}{of} {' and '.join(bounds)}{source}"
