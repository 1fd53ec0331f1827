"""Every name that anybody asks for, and what it answers before and after the takedown."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.names import text_to_wire

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.scenario import Outcome, Scenario

__all__ = [
    "NXDOMAIN",
    "SINKHOLE_V4",
    "SINKHOLE_V6",
    "VERSIONS",
    "NameTable",
    "Questions",
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
_TTL_INNOCENT: Final = 3600
_POPULAR: Final = 400
VERSIONS: Final = 16
"""Versions of the bot; the first are the most frequent, and carry the first names."""


class NameTable(NamedTuple):
    """The names as kernels read them; in the second axis 0 is before, 1 after the takedown.

    Attributes:
        wire: all names in wire form, end to end.
        offsets: where each begins; one more for the end (names + 1).
        top: where each name's last label begins, from the name's start.
        answer: bits ``NXDOMAIN``, has A, has AAAA (names x 2).
        v4, v6: the addresses (names x 2 x 4 or 16).
        ttl: seconds (names x 2).
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

    The rows come in this order: watched, popular, missing (NXDOMAIN), traps, monitor.

    Attributes:
        names: folded texts.
        table: for kernels.
        watched, popular, missing, traps: where the rows of each kind end.
        version_names: names carried by each version of the bot (versions x names per bot).
    """

    names: tuple[str, ...]
    table: NameTable
    watched: int
    popular: int
    missing: int
    traps: int
    version_names: npt.NDArray[np.int16]


@dataclass(slots=True)
class _Answer:
    v4: str | None = None
    v6: str | None = None
    ttl: int = _TTL_INNOCENT


def questions(scenario: Scenario) -> Questions:
    """Return all names of a scenario: watched, innocent, and traps for careless matching."""
    watched = tuple(watched.name for watched in scenario.names)
    popular = tuple(_popular(i) for i in range(_POPULAR))
    missing = tuple(f"{word}{i}.invalid" for i in range(40) for word in ("wpad", "printer"))
    traps = _traps(scenario)
    names = (*watched, *popular, *missing, *traps, "health.monitor.test")
    answers: list[tuple[_Answer, _Answer]] = []
    for i, name in enumerate(scenario.names):
        c2 = _Answer(f"{_C2_V4}{10 + i}", None, scenario.c2_ttl)
        answers.append((c2, _after(name.after, c2, scenario)))
    for i in range(len(names) - len(watched)):
        here = _Answer(
            f"{_INNOCENT_V4}{i % 250 + 1}", f"{_INNOCENT_V6}{i + 1:x}" if i % 3 else None
        )
        row = len(watched) + i
        gone = len(watched) + len(popular) <= row < len(watched) + len(popular) + len(missing)
        answers.append((_Answer(), _Answer()) if gone else (here, here))
    stride = max(1, len(watched) // scenario.names_per_bot)
    version_names = np.array(
        [
            [(version + stride * i) % len(watched) for i in range(scenario.names_per_bot)]
            for version in range(VERSIONS)
        ],
        np.int16,
    )
    return Questions(
        names,
        _table(names, answers),
        watched=len(watched),
        popular=len(watched) + len(popular),
        missing=len(watched) + len(popular) + len(missing),
        traps=len(names) - 1,
        version_names=version_names,
    )


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


def _table(names: tuple[str, ...], answers: list[tuple[_Answer, _Answer]]) -> NameTable:
    wires = [text_to_wire(name) for name in names]
    count = len(names)
    bits = np.zeros((count, 2), np.uint8)
    v4 = np.zeros((count, 2, 4), np.uint8)
    v6 = np.zeros((count, 2, 16), np.uint8)
    ttl = np.zeros((count, 2), np.int64)
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
        wire=np.frombuffer(b"".join(wires), np.uint8),
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
