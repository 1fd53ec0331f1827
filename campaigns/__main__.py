"""Run the campaigns and write ``docs/quality.md``: ``python -m campaigns [NAME ...]``.

With names only those are run and their sections printed; the page is written by a whole run.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Final

from campaigns import every
from campaigns.campaign import Outcomes, generator
from campaigns.page import page, section

if TYPE_CHECKING:
    from campaigns.campaign import Cell

_PAGE: Final = Path(__file__).parent.parent / "docs" / "quality.md"


def main(names: list[str]) -> int:
    """Run the campaigns of these names (none: all) and return the exit code."""
    chosen = [campaign for campaign in every() if not names or campaign.name in names]
    unknown = set(names) - {campaign.name for campaign in chosen}
    if unknown:
        known = ", ".join(campaign.name for campaign in every())
        print(f"no such campaign: {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    began = time.monotonic()
    outcomes: dict[tuple[int, int], Outcomes | dict[str, Outcomes]] = {}
    jobs = [
        (i, j, campaign.name, cell)
        for i, campaign in enumerate(chosen)
        for j, cell in enumerate(campaign.cells)
    ]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        waiting = {pool.submit(run, name, cell): (i, j) for i, j, name, cell in jobs}
        for done in as_completed(waiting):
            i, j = waiting[done]
            outcomes[i, j], seconds = done.result()
            label = ", ".join(f"{k} {v}" for k, v in chosen[i].cells[j].label.items())
            print(f"{time.monotonic() - began:7.0f} s  {chosen[i].name}: {label} ({seconds:.0f} s)")
    parts = [
        (campaign, [outcomes[i, j] for j in range(len(campaign.cells))])
        for i, campaign in enumerate(chosen)
    ]
    if names:
        print("\n\n".join(section(campaign, found) for campaign, found in parts))
    else:
        _PAGE.write_text(page(parts, time.monotonic() - began))
        print(f"written: {_PAGE}")
    return 0


def run(campaign: str, cell: Cell) -> tuple[Outcomes | dict[str, Outcomes], float]:
    """Return the outcomes of a cell and the seconds that they took."""
    began = time.monotonic()
    found = cell.simulate(generator(campaign, cell.label), cell.repeats)
    return found, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
