"""What the first frame of a segment says: whose it is, and how the sinkhole answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Self

from remnant.names import NameSyntaxError, fold
from remnant.schema import EVENTS, VANTAGES
from remnant.watchlist import SINKHOLE, UNLISTED, Rule

__all__ = ["SegmentHead"]

_MAX_WORD: Final = 255
_MAX_ZONES: Final = 1_000_000
_ID_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The facts of a segment.

    Attributes:
        segment: its own name, 16 hex digits that were drawn at random.
        case: the case whose events it holds.
        sensor: the sensor.
        worker: which process of the sensor wrote it.
        vantages: where that process listened; what is of no event counts at the first.
        watchlist: digest of the case's rules at that time.
        ttls: times to live of the answers, in seconds.
        zones: the seized zones of the case, folded.
        created: when it began (UTC microseconds).
        clock: what the system knew of its clock then; empty if nothing.
        events: version of the table of events.
        simulated: a simulation wrote it.
    """

    segment: str
    case: str
    sensor: str
    worker: str
    vantages: tuple[str, ...]
    watchlist: str
    ttls: tuple[int, ...]
    zones: tuple[str, ...]
    created: int
    clock: dict[str, Any]
    events: int = EVENTS.version
    simulated: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain data; only a simulation says that it is one."""
        facts = asdict(self)
        if not self.simulated:
            del facts["simulated"]
        return facts

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Self | None:
        """Return the head that these facts are, or ``None`` if they are none that can be used."""
        try:
            zones, vantages = _texts(facts["zones"]), _texts(facts["vantages"])
            head = cls(
                segment=_text(facts["segment"]),
                case=_text(facts["case"]),
                sensor=_text(facts["sensor"]),
                worker=_text(facts["worker"]),
                vantages=vantages,
                watchlist=_text(facts["watchlist"]),
                ttls=tuple(int(n) for n in facts["ttls"]),
                zones=zones,
                created=int(facts["created"]),
                clock=dict(facts["clock"]),
                events=int(facts["events"]),
                simulated=facts.get("simulated") is True,
            )
            usable = (
                len(head.segment) == _ID_DIGITS
                and int(head.segment, 16) >= 0
                and head.events == EVENTS.version
                and vantages
                and all(vantage in VANTAGES for vantage in vantages)
                and all(fold(zone) == zone for zone in zones)
            )
        except (KeyError, TypeError, ValueError, OverflowError, NameSyntaxError):
            return None
        return head if usable else None

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules for what reached the sinkhole of this case and hits no listed rule."""
        return _rules(self.case, self.zones)


@lru_cache(maxsize=16)
def _rules(case: str, zones: tuple[str, ...]) -> tuple[Rule, ...]:
    """Return the same rules for the same zones: what is compiled from them is kept."""
    below = (Rule(case, "zone", f"{UNLISTED}{zone}") for zone in zones)
    return (*below, Rule(case, "sinkhole", SINKHOLE))


def _text(value: object) -> str:
    """Return a short printable word."""
    if not isinstance(value, str) or not value or len(value) > _MAX_WORD or not value.isprintable():
        raise ValueError(value)
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > _MAX_ZONES:
        raise ValueError(values)
    return tuple(_text(value) for value in values)
