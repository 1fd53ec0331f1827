"""Campaign: fast flux told from content delivery and other names with many addresses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from campaigns.campaign import Campaign, Cell, Goal, Outcomes
from remnant.infrastructure.flux import HOLZ_THRESHOLD, features, holz
from remnant.simulate.flux import STYLES, Style, style_of
from remnant.simulate.flux_world import FluxWorld

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campaigns.campaign import Floats
    from remnant.simulate.flux import Lookups

__all__ = ["campaign"]

_REPEATS = 300
_BLOCK = 25
_DAYS = 7.0
_RATES = (120.0, 20.0)
_TITLES = {
    "kelihos": "flux like Kelihos",
    "zbot": "flux like GameOver Zeus",
    "slow_flux": "slow flux on 12 hosts",
    "cdn": "CDN in few ASes",
    "wide_cdn": "CDN in many ASes",
    "rotating_cdn": "CDN, new addresses daily",
    "rotating_wide_cdn": "CDN, new daily, many ASes",
    "narrow_flux": "flux in three ASes",
    "volunteer_pool": "pool of volunteers",
    "dynamic_dns": "host at home",
    "round_robin": "four servers",
}
_KNOWN_TO_FAIL = ("rotating_wide_cdn", "narrow_flux")
_OURS = "Remnant"
_WINDOW = "Holz, whole window"
_TWICE = "Holz, two lookups"

_FOUND = Goal("right", at_least=0.95, source="flux is found", quantity=_OURS)
_QUIET = Goal("right", at_least=0.99, source="no false alarm", quantity=_OURS)


def campaign() -> Campaign:
    """Return the campaign of fast flux."""
    cells = [_cell(style, rate) for rate in _RATES for style in STYLES]
    return Campaign(
        name="flux",
        title="Fast flux",
        text=(
            f"One name for {_DAYS:.0f} days at two sensors, sizes and lifetimes 0.5 to 2 times "
            "those of its style. Right is flux that is called flux, and any other name that is "
            "not; to refuse a name of flux is not right. Beside it the linear score of Holz et "
            "al. (NDSS 2008), on two lookups as its authors use it, and on all addresses of the "
            "window, which is all that aggregated passive DNS gives."
        ),
        metrics=("right", "refused"),
        cells=tuple(cells),
        anchor="The classic score with its published weights, on the same names in the same run.",
        notes=(
            "The styles were drawn by the authors of the rule, and its thresholds were set while "
            "looking at them: on real names it will do worse. What is hardest is content "
            "delivery that has new addresses each day: only its few ASes tell it from flux. "
            "Where it stands in many ASes, or flux in few, the rule is wrong; two rows show that."
        ),
        small=(1, 4),
    )


def _cell(name: str, rate: float) -> Cell:
    easy = rate == _RATES[0] and name not in _KNOWN_TO_FAIL
    goals = () if not easy else (_FOUND,) if STYLES[name].flux else (_QUIET,)
    label = {"name": _TITLES[name], "lookups a day": f"{rate:g}"}
    return Cell(label, _REPEATS, partial(_simulate, name, rate), goals)


def _simulate(
    name: str, rate: float, rng: np.random.Generator, repeats: int
) -> dict[str, Outcomes]:
    truth = STYLES[name].flux
    calls: dict[str, list[float]] = {_OURS: [], _TWICE: [], _WINDOW: []}
    for begin in range(0, repeats, _BLOCK):
        world = FluxWorld.make(int(rng.integers(1 << 31)))
        styles = [style_of(name, rng) for _ in range(min(_BLOCK, repeats - begin))]
        made = [world.lookups(style, _DAYS, rate) for style in styles]
        calls[_OURS] += _ours(world, styles, made)
        calls[_TWICE] += [_classic(world, _first_two(seen)) for seen in made]
        calls[_WINDOW] += [_classic(world, seen.address) for seen in made]
    return {method: _outcomes(truth, found) for method, found in calls.items()}


def _ours(world: FluxWorld, styles: list[Style], made: list[Lookups]) -> list[float]:
    """Return 1 for flux, 0 for none, NaN where it cannot be told."""
    parts = [
        world.seen(seen, style, f"n{i}.example")
        for i, (style, seen) in enumerate(zip(styles, made, strict=True))
    ]
    states = {
        row["name"]: row["state"] for row in features(pa.concat_tables(parts), world.reference)
    }
    words = {"flux": 1.0, "not_flux": 0.0}
    return [words.get(states.get(f"n{i}.example", ""), np.nan) for i in range(len(styles))]


def _classic(world: FluxWorld, addresses: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    distinct = np.unique(addresses)
    return float(holz(distinct.size, world.ases(distinct)).item() > HOLZ_THRESHOLD)


def _first_two(seen: Lookups) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    hours = np.unique(seen.hour)[:2]
    return seen.address[np.isin(seen.hour, hours)]


def _outcomes(truth: bool, found: Iterable[float]) -> Outcomes:
    value: Floats = np.array(list(found))
    calls = (np.nan_to_num(value) == float(truth)).astype(np.float64)
    return Outcomes(truth=np.full(value.size, float(truth)), value=value, calls=calls)
