"""Every name that anybody asks for, and what it answers before and after the takedown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.cases.dga import generate
from remnant.names import text_to_wire

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.scenario import Outcome, Scenario

__all__ = [
    "NXDOMAIN",
    "SINKHOLE_V4",
    "SINKHOLE_V6",
    "VERSIONS",
    "WORD",
    "NameTable",
    "Questions",
    "c2_address",
    "questions",
]

SINKHOLE_V4: Final = "192.0.2.53"
SINKHOLE_V6: Final = "2001:db8::53"
_C2_V4: Final = "203.0.113."
_INNOCENT_V4: Final = "198.51.100."
_INNOCENT_V6: Final = "2001:db8:0:80::"

NXDOMAIN: Final = 1
"""Bit of ``NameTable.answer``: the name does not exist; else bits 2 and 4: it has A, AAAA."""

_HAS_A: Final = 2
_HAS_AAAA: Final = 4
_BLOCK_V4: Final = "198.51.100.254"
_DAYS_MORE: Final = 2
_TTL_INNOCENT: Final = 3600
_POPULAR: Final = 400
WORD: Final = 8
"""Bytes that are copied at once."""

VERSIONS: Final = 16
"""Versions of the bot; the first are the most frequent, and carry the first names."""


class NameTable(NamedTuple):
    """The names as kernels read them; in the second axis 0 is before, 1 after the takedown.

    2 is what a resolver answers that blocks them.

    Attributes:
        wire: all names in wire form, end to end, and ``WORD`` bytes more (copies take words).
        offsets: where each begins; one more for the end (names + 1).
        top: where each name's last label begins, from the name's start.
        answer: bits ``NXDOMAIN``, has A, has AAAA (names x 3).
        v4, v6: the addresses (names x 3 x 4 or 16).
        ttl: seconds (names x 3).
    """

    wire: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]
    answer: npt.NDArray[np.uint8]
    v4: npt.NDArray[np.uint8]
    v6: npt.NDArray[np.uint8]
    ttl: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Questions:
    """The name table and which of its rows are what.

    The rows come in this order: watched, popular, missing (NXDOMAIN), traps, monitor, the names of
    the botnet's return, generated names day after day.

    Attributes:
        names: folded texts.
        table: for kernels.
        watched, popular, missing, traps: where the rows of each kind end.
        monitor: the row of the monitor's name.
        unlisted: where the names of the return end; those behind it are generated.
        version_names: names carried by each version of the bot (versions + 1 x names per bot); the
            last version is that of the return.
        reached: 0 for names that never lead to the sinkhole; else bits 1: answers with its address
            after the takedown, 2: its DNS is asked after the takedown.
        generated: generated names of each day (days x names a day; 0 x 0 without), as rows.
        first_day: the day of the first of them (days since 1970).
        indicator: the watch rule that each name hits; "" for those that hit none.
    """

    names: tuple[str, ...]
    table: NameTable
    watched: int
    popular: int
    missing: int
    traps: int
    monitor: int
    unlisted: int
    version_names: npt.NDArray[np.int32]
    reached: npt.NDArray[np.uint8]
    generated: npt.NDArray[np.int32]
    first_day: int
    indicator: tuple[str, ...]

    def of_case(self, name: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return which names the case watches."""
        return (name < self.watched) | (name >= self.unlisted)


@dataclass(slots=True)
class _Answer:
    v4: str | None = None
    v6: str | None = None
    ttl: int = _TTL_INNOCENT


def questions(scenario: Scenario, random: np.random.Generator | None = None) -> Questions:
    """Return all names of a scenario: watched, innocent, and traps for careless matching.

    Args:
        scenario: what is simulated.
        random: draws which generated names are registered; needed where there are any.
    """
    watched = tuple(watched.name for watched in scenario.names)
    popular = tuple(_popular(i) for i in range(_POPULAR))
    missing = tuple(f"{word}{i}.invalid" for i in range(40) for word in ("wpad", "printer"))
    traps = _traps(scenario)
    back = () if scenario.comeback is None else scenario.comeback.names
    names = (*watched, *popular, *missing, *traps, "health.monitor.test", *back)
    blocked = _blocked(scenario)
    answers: list[tuple[_Answer, ...]] = []
    for i, name in enumerate(scenario.names):
        c2 = _Answer(c2_address(i), None, scenario.c2_ttl)
        after = _after(name.after, c2, scenario)
        answers.append((c2, after, blocked if name.after == "sinkhole" else after))
    for i in range(len(names) - len(watched) - len(back)):
        here = _Answer(
            f"{_INNOCENT_V4}{i % 250 + 1}", f"{_INNOCENT_V6}{i + 1:x}" if i % 3 else None
        )
        row = len(watched) + i
        gone = len(watched) + len(popular) <= row < len(watched) + len(popular) + len(missing)
        answers.append((_Answer(),) * 3 if gone else (here,) * 3)
    answers += [
        (_Answer(f"{_C2_V4}{220 + i % 30}", None, scenario.c2_ttl),) * 3 for i in range(len(back))
    ]
    reached = [3 if name.after == "sinkhole" else 0 for name in scenario.names]
    reached += [0] * (len(names) - len(watched))
    unlisted = len(names)
    made = _generated(scenario, random, blocked)
    first_day, generated = made.first_day, made.rows + unlisted
    names += made.names
    answers += made.answers
    reached += made.reached
    stride = max(1, len(watched) // scenario.names_per_bot)
    version_names = [
        [(version + stride * i) % len(watched) for i in range(scenario.names_per_bot)]
        for version in range(VERSIONS)
    ]
    version_names.append(
        [unlisted - len(back) + i % len(back) for i in range(scenario.names_per_bot)]
        if back
        else version_names[0]
    )
    return Questions(
        names,
        _table(names, answers),
        watched=len(watched),
        popular=len(watched) + len(popular),
        missing=len(watched) + len(popular) + len(missing),
        traps=unlisted - len(back) - 1,
        monitor=unlisted - len(back) - 1,
        unlisted=unlisted,
        version_names=np.array(version_names, np.int32),
        reached=np.array(reached, np.uint8),
        generated=generated.astype(np.int32),
        first_day=first_day,
        indicator=tuple(
            _indicator(name, scenario) if i < len(watched) or i >= unlisted else ""
            for i, name in enumerate(names)
        ),
    )


def c2_address(i: int) -> str:
    """Return where the scenario's name of a number is before the takedown."""
    return f"{_C2_V4}{10 + i % 200}"


def _indicator(name: str, scenario: Scenario) -> str:
    for zone in scenario.below:
        if name.endswith("." + zone):
            return f"*.{zone}"
    return name


def _blocked(scenario: Scenario) -> _Answer:
    """Return what a resolver answers that blocks the seized names."""
    if scenario.blocking.answer == "own":
        return _Answer(_BLOCK_V4, None, 60)
    return _Answer(ttl=scenario.negative_ttl)


class _Generated(NamedTuple):
    first_day: int
    rows: npt.NDArray[np.int64]
    names: tuple[str, ...]
    answers: list[tuple[_Answer, ...]]
    reached: list[int]


def _generated(
    scenario: Scenario, random: np.random.Generator | None, blocked: _Answer
) -> _Generated:
    """Return the generated names of all days, and a few before and after for wrong clocks.

    The same name on two days is one row, with the answer of the first.
    """
    given = scenario.dga
    if given is None or random is None:
        return _Generated(0, np.empty((0, 0), np.int64), (), [], [])
    first = scenario.since.date() - timedelta(days=_DAYS_MORE)
    rows: dict[str, int] = {}
    answers: list[tuple[_Answer, ...]] = []
    reached: list[int] = []
    table = []
    gone = _Answer(ttl=scenario.negative_ttl)
    sink = _Answer(SINKHOLE_V4, SINKHOLE_V6, scenario.sinkhole_ttl)
    c2 = _Answer(f"{_C2_V4}250", None, scenario.c2_ttl)
    asked = 2 if given.delegated else 0
    for day in range(scenario.days + 2 * _DAYS_MORE):
        names = generate(given.family, first + timedelta(days=day))
        drawn = random.permutation(len(names))
        owned = set(drawn[: given.owned].tolist())
        rivals = set(drawn[given.owned : given.owned + given.rivals].tolist())
        for i, name in enumerate(names):
            if name not in rows:
                rows[name] = len(rows)
                if i in owned:
                    answers.append((gone, sink, blocked))
                elif i in rivals:
                    answers.append((c2, c2, c2))
                else:
                    answers.append((gone, gone, gone))
                reached.append(3 if i in owned else 0 if i in rivals else asked)
        table.append([rows[name] for name in names])
    width = max(map(len, table))
    # A day with fewer names repeats its last one.
    full = [row + row[-1:] * (width - len(row)) for row in table]
    epoch = (first - date(1970, 1, 1)).days
    return _Generated(epoch, np.array(full, np.int64), tuple(rows), answers, reached)


def _popular(i: int) -> str:
    host = ("www", "cdn", "mail", "api", "static", "img")[i % 6]
    site = ("news", "shop", "video", "games", "bank", "chat", "maps")[i % 7]
    zone = ("example", "test", "example.com", "example.net", "example.org")[i % 5]
    return f"{host}.{site}{i}.{zone}"


def _traps(scenario: Scenario) -> tuple[str, ...]:
    """Names that end, begin or look like watched ones and are not watched."""
    exact = [
        name.name
        for name in scenario.names
        if not any(name.name.endswith("." + zone) for zone in scenario.below)
    ][:3]
    out = []
    for name in exact:
        host, _, zone = name.partition(".")
        out += [
            f"not{name}",
            f"{name}.example",
            f"{zone}.example",
            f"www.{zone}",
            f"{host}.x{zone}",
            f"a.{name}",
            # One label that holds a dot: the same dotted text, another name.
            f"{host}." + zone.replace(".", r"\."),
        ]
    for zone in scenario.below:
        out += [f"not{zone}", f"{zone}.example", zone.replace(".", r"\.") + ".test"]
    return tuple(out)


def _after(outcome: Outcome, c2: _Answer, scenario: Scenario) -> _Answer:
    if outcome == "sinkhole":
        return _Answer(SINKHOLE_V4, SINKHOLE_V6, scenario.sinkhole_ttl)
    return c2 if outcome == "c2" else _Answer(ttl=scenario.negative_ttl)


def _table(names: tuple[str, ...], answers: list[tuple[_Answer, ...]]) -> NameTable:
    wires = [text_to_wire(name) for name in names]
    count = len(names)
    bits = np.zeros((count, 3), np.uint8)
    v4 = np.zeros((count, 3, 4), np.uint8)
    v6 = np.zeros((count, 3, 16), np.uint8)
    ttl = np.zeros((count, 3), np.int64)
    for row, phases in enumerate(answers):
        for phase, answer in enumerate(phases):
            ttl[row, phase] = answer.ttl
            if answer.v4 is None:
                bits[row, phase] = NXDOMAIN
                continue
            bits[row, phase] = _HAS_A | (_HAS_AAAA if answer.v6 else 0)
            v4[row, phase] = list(IPv4Address(answer.v4).packed)
            if answer.v6:
                v6[row, phase] = list(IPv6Address(answer.v6).packed)
    return NameTable(
        wire=np.frombuffer(bytearray(b"".join(wires)) + bytes(WORD), np.uint8),
        offsets=np.concatenate([[0], np.cumsum([len(wire) for wire in wires])]).astype(np.int64),
        top=np.array([_last_label(wire) for wire in wires], np.int64),
        answer=bits,
        v4=v4,
        v6=v6,
        ttl=ttl,
    )


def _last_label(wire: bytes) -> int:
    at = 0
    while wire[at + 1 + wire[at]]:
        at += 1 + wire[at]
    return at
