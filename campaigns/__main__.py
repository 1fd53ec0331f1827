"""Run the campaigns and write ``docs/quality.md``: ``python -m campaigns [--renew] [NAME ...]``.

With names only those are run and their sections printed; the page is written by a whole run. With
``--renew`` the sections of these names are written into the page, and all others stay as they are;
``--kept`` beside it runs nothing, and writes the rows that are kept. What was run before is kept in
``.quality``, and not run again while the code that it rests on is as it was. The page says what
each table was made from.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

from campaigns import every
from campaigns.kept import Kept, inputs, load, run, save
from campaigns.page import as_before, page, renewed, section

if TYPE_CHECKING:
    from campaigns.campaign import Campaign

_PAGE: Final = Path(__file__).parent.parent / "docs" / "quality.md"


def main(words: list[str]) -> int:
    """Run the campaigns of these names (none: all) and return the exit code."""
    renew, kept_only = "--renew" in words, "--kept" in words
    names = [word for word in words if word not in {"--renew", "--kept"}]
    chosen = [campaign for campaign in every() if not names or campaign.name in names]
    unknown = set(names) - {campaign.name for campaign in chosen}
    if unknown or (renew and not names):
        known = ", ".join(campaign.name for campaign in every())
        wrong = f"no such campaign: {', '.join(sorted(unknown))}" if unknown else "--renew what?"
        print(f"{wrong}; there are {known}", file=sys.stderr)
        return 2
    if kept_only:
        chosen = [some for some in map(_of_kept, chosen) if some.cells]
    made = _made(chosen)
    parts = [(campaign, [kept.outcomes for kept in made[campaign.name]]) for campaign in chosen]
    cells = {campaign.name: len(campaign.cells) for campaign in every()}
    told = {name: inputs(kept, of=cells[name]) for name, kept in made.items()}
    sections = {
        campaign.title: section(campaign, found, told[campaign.name]) for campaign, found in parts
    }
    if renew:
        old = _PAGE.read_text()
        others = [campaign for campaign in every() if campaign.name not in names]
        sections |= _recorded(old, others)
        _PAGE.write_text(renewed(old, sections, [campaign.title for campaign in every()]))
    elif names:
        print("\n\n".join(sections.values()))
        return 0
    else:
        seconds = sum(kept.seconds for cells in made.values() for kept in cells)
        _PAGE.write_text(page(parts, seconds, told))
    print(f"written: {_PAGE}")
    return 0


def _of_kept(campaign: Campaign) -> Campaign:
    """Return a campaign with only those cells whose outcomes are kept."""
    cells = tuple(cell for cell in campaign.cells if load(campaign.name, cell) is not None)
    return replace(campaign, cells=cells)


def _recorded(old: str, others: list[Campaign]) -> dict[str, str]:
    """Return sections that stay, where what is kept shows what they were made from."""
    found = {}
    for campaign in others:
        cells = [load(campaign.name, cell, changed=True) for cell in campaign.cells]
        kept = [cell for cell in cells if cell is not None]
        if len(kept) < len(cells):
            continue
        outcomes = [cell.outcomes for cell in kept]
        if as_before(old, section(campaign, outcomes)):
            found[campaign.title] = section(campaign, outcomes, inputs(kept))
    return found


def _made(chosen: list[Campaign]) -> dict[str, list[Kept]]:
    """Return the outcomes of every cell, by campaign: kept ones where the code is as it was."""
    began = time.monotonic()
    outcomes: dict[tuple[int, int], Kept] = {}
    waiting: dict[Future[Kept], tuple[int, int]] = {}
    # A process of its own for each cell: what it loads is what its outcomes rest on.
    with ProcessPoolExecutor(
        len(os.sched_getaffinity(0)), get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for i, campaign in enumerate(chosen):
            for j, cell in enumerate(campaign.cells):
                kept = load(campaign.name, cell)
                if kept is None:
                    waiting[pool.submit(run, campaign.name, cell)] = (i, j)
                else:
                    outcomes[i, j] = kept
        for done in as_completed(waiting):
            i, j = waiting[done]
            outcomes[i, j] = done.result()
            save(chosen[i].name, chosen[i].cells[j], outcomes[i, j])
            label = ", ".join(f"{k} {v}" for k, v in chosen[i].cells[j].label.items())
            print(
                f"{time.monotonic() - began:7.0f} s  {chosen[i].name}: {label} "
                f"({outcomes[i, j].seconds:.0f} s of CPU)",
                flush=True,
            )
    return {
        campaign.name: [outcomes[i, j] for j in range(len(campaign.cells))]
        for i, campaign in enumerate(chosen)
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
