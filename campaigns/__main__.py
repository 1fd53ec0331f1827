"""Run the campaigns and write ``docs/quality.md``: ``python -m campaigns [NAME ...]``.

With names only those are run and their sections printed; the page is written by a whole run. What
was run before is kept in ``.quality``, and not run again while the code that it rests on is as it
was.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

from campaigns import every
from campaigns.kept import Kept, load, run, save
from campaigns.page import page, section

if TYPE_CHECKING:
    from campaigns.campaign import Outcomes

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
    seconds = 0.0
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
                    outcomes[i, j] = kept.outcomes
                    seconds += kept.seconds
        for done in as_completed(waiting):
            i, j = waiting[done]
            kept = done.result()
            save(chosen[i].name, chosen[i].cells[j], kept)
            outcomes[i, j] = kept.outcomes
            seconds += kept.seconds
            label = ", ".join(f"{k} {v}" for k, v in chosen[i].cells[j].label.items())
            print(
                f"{time.monotonic() - began:7.0f} s  {chosen[i].name}: {label} "
                f"({kept.seconds:.0f} s of CPU)",
                flush=True,
            )
    parts = [
        (campaign, [outcomes[i, j] for j in range(len(campaign.cells))])
        for i, campaign in enumerate(chosen)
    ]
    if names:
        print("\n\n".join(section(campaign, found) for campaign, found in parts))
    else:
        _PAGE.write_text(page(parts, seconds))
        print(f"written: {_PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
