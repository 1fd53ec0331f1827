"""What the fast path finds for a name is what the zones say of it."""

from __future__ import annotations

import random
import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remnant.names import text_to_wire
from remnant.sinkhole.answer_kernel import new_scratch
from remnant.sinkhole.tables import (
    APEX,
    BELOW,
    BETWEEN,
    EXACT,
    SERVER,
    ZONE,
    compile_zones,
)
from remnant.sinkhole.zones import names_above
from remnant.watchtable import lookup_name
from remnant.wire import kernel, labels
from sinkhole.made_zones import QUICK, answering, zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remnant.sinkhole.tables import Served
    from remnant.sinkhole.zones import Zone


@kernel
def _lookup(served: Any, message: Any, starts: Any, hits: Any) -> Any:
    count = labels(message, 0, message.size, starts)
    return lookup_name(served.names, message, starts, count, hits)


def found(served: Served, name: str) -> tuple[int, bool, int]:
    """Return (zone, whether the name is listed, what else it is) as the answering kernel does."""
    scratch = new_scratch()
    message = np.frombuffer(text_to_wire(name), np.uint8).copy()
    listed, flags = False, 0
    for entry in scratch.hits[: _lookup(served, message, scratch.starts, scratch.hits)]:
        flag = int(served.entry_flags[entry])
        flags |= flag & (APEX | SERVER | BETWEEN)
        listed = listed or bool(flag & (EXACT | BELOW))
        if flag & ZONE:
            return int(served.entry_zone[entry]), listed, flags
    return -1, False, 0


def said(zones: Sequence[Zone], name: str) -> tuple[int, bool, int]:
    """Return the same by the methods of the zones."""
    tops = {zone.name: number for number, zone in enumerate(zones)}
    number = next((tops[above] for above in (name, *names_above(name)) if above in tops), -1)
    if number < 0:
        return -1, False, 0
    mine = zones[number]
    flags = APEX if name == mine.name else 0
    # The apex of a zone may be a name server of the zone around it.
    flags |= SERVER if any(name in other.servers_inside for other in zones) else 0
    flags |= BETWEEN if name in set(mine.between()) else 0
    return number, mine.watched(name), flags


LABEL = st.sampled_from(["a", "b", "c2", "sinkhole-ns1", "x" * 40])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@QUICK
@given(
    st.lists(
        st.tuples(st.lists(LABEL, max_size=2), st.lists(NAME, max_size=4), st.lists(NAME)),
        min_size=1,
        max_size=5,
    ),
    st.lists(NAME, max_size=8),
)
def test_every_name_is_to_the_kernel_what_it_is_to_the_zones(
    wanted: list[tuple[list[str], list[str], list[str]]], asked: list[str]
) -> None:
    tops = list(dict.fromkeys(".".join([*head, "seized", "test"]) for head, _, _ in wanted))

    def innermost(name: str) -> str:
        return next(above for above in (name, *names_above(name)) if above in tops)

    exact: dict[str, set[str]] = {top: set() for top in tops}
    below: dict[str, set[str]] = {top: set() for top in tops}
    for top, (_, first, second) in zip(tops, wanted, strict=False):
        for kind, names in ((exact, first), (below, second)):
            for name in names:
                kind[innermost(f"{name}.{top}")].add(f"{name}.{top}")
    zones = [zone(top, " ".join(exact[top]), " ".join(below[top])) for top in tops]
    served, _ = compile_zones(zones)
    everything = {f"{name}.{top}" for name in asked for top in tops}
    everything |= {*tops, "seized.test", "test"}
    for mine in zones:
        everything |= mine.existing()

    for name in sorted(everything):
        number, listed, flags = said(zones, name)
        # A zone inside another one makes the names between the two exist.
        between = any(name in names_above(top) for top in tops) and number >= 0
        mine_number, mine_listed, mine_flags = found(served, name)
        assert (mine_number, mine_listed) == (number, listed), name
        assert mine_flags & (APEX | SERVER) == flags & (APEX | SERVER), name
        if not listed and not flags & (APEX | SERVER):
            assert bool(mine_flags & BETWEEN) == bool(flags & BETWEEN or between), name


def test_two_hundred_thousand_zones_are_compiled_in_seconds() -> None:
    rng = random.Random(2014)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    what = answering()
    names = {
        "".join(rng.choices(letters, k=rng.randrange(22, 29))) + ".net" for _ in range(200_000)
    }
    zones = [zone(name, name, "", what) for name in sorted(names)]
    compile_zones(zones[:10])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    served, owners = compile_zones(zones)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    arrays = [array for part in served for array in (part if isinstance(part, tuple) else (part,))]
    kept = sum(array.nbytes for array in arrays) / 2**20
    print(f"{len(zones):,} zones: {seconds:.1f} s, {kept:.0f} MB kept, {grown:.0f} MB at the peak")  # noqa: T201 - shown with -s

    assert owners == [("made",)]
    for one in rng.sample(zones, 200):
        assert found(served, one.name)[1]
        assert found(served, f"x.{one.name}")[:2] == (found(served, one.name)[0], False)
    assert seconds < 60
    assert kept < 400
