"""What is watched, compiled: the table that every reader matches names and addresses against.

Rules of many cases live in one table, so that one pass over the traffic serves them all.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
import xxhash

from remnant.errors import CaseError
from remnant.names import text_to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from remnant.watchtable import Tables

__all__ = [
    "FALLBACKS",
    "FAMILY",
    "MAX_WORD",
    "OUTSIDE",
    "SINKHOLE",
    "UNLISTED",
    "Kind",
    "Role",
    "Rule",
    "State",
    "Watchlist",
    "digest_of",
]

Kind = Literal["exact", "below", "address", "family", "zone", "sinkhole"]
Role = Literal["c2", "download", "dga", "fastflux", "nameserver"]
State = Literal["seized", "suspended", "live", "lost", "unknown"]

FAMILY: Final = "family:"
"""What stands before the text of a ``family`` rule, so that it is never taken for a name."""

UNLISTED: Final = "unlisted:"
"""What stands before the zone in the text of a ``zone`` rule."""

OUTSIDE: Final = "outside:"
"""What stands before the text of a rule with dates where a query hit it outside of them."""

SINKHOLE: Final = "sinkhole"
"""Kind and text of the rule for what reached the sinkhole and hits nothing else."""

FALLBACKS: Final = frozenset({"zone", SINKHOLE})
"""Kinds of rules that no case lists: they stand in where no other rule of their case hits, and do
not belong to the watchlist's digest."""

MAX_WORD: Final = 63
"""Bytes of the longest family word."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that one case watches.

    Attributes:
        case: name of the case.
        kind: ``exact`` a name; ``below`` a name and everything below it (``*.`` in a case file);
            ``address`` a prefix, matched against A and AAAA answers and, in flows, destinations;
            ``family`` a word by which victim reports call the botnet; ``zone`` a seized zone, whose
            names count as not listed; ``sinkhole`` whatever else reached the case's sinkhole (these
            two come with the sinkhole's segments, see ``FALLBACKS``).
        text: as written in the case, normalised: folded name, ``*.`` + folded name, CIDR,
            ``family:`` + folded word, ``unlisted:`` + folded zone, or ``sinkhole``.
        role: what it is to the botnet.
        state: what the takedown made of it.
        zone: the seized zone where the case states it; else it is what ``cases.zones.zone_of``
            says of the name (deriving it here would slow every start).
        since: when it was seized or first watched (UTC microseconds), a note on the curves.
        until: when it was lost (UTC microseconds, exclusive), a note on the curves.
        valid_from: rule matches only queries from this time (UTC microseconds); set for generated
            (DGA) names: one day before the name's date.
        valid_until: rule matches only queries before this time (exclusive).
        source: where the indicator is from.
    """

    case: str
    kind: Kind
    text: str
    role: Role = "c2"
    state: State = "unknown"
    zone: str | None = None
    since: int | None = None
    until: int | None = None
    valid_from: int | None = None
    valid_until: int | None = None
    source: str | None = None


_EXACT: Final = 2000
_BELOW: Final = 1000
"""Specificity of a name entry: these, plus the number of labels; of a prefix: its length."""
_FAMILY: Final = -1
_NOTHING: Final = -2


def digest_of(rules: Iterable[Rule], case: str) -> str:
    """Return ``Watchlist.digest`` of rules that are not compiled, which takes far less time."""
    parts = sorted(
        f"{rule.kind}\t{rule.text}\t{rule.valid_from}\t{rule.valid_until}\n"
        for rule in rules
        if rule.case == case and rule.kind not in FALLBACKS
    )
    return str(xxhash.xxh3_128_hexdigest("".join(dict.fromkeys(parts)).encode()))


class Watchlist:
    """The rules of one or many cases, ready to be matched.

    An *entry* is one distinct thing to look for, (kind, name or prefix); it may stand for rules of
    several cases, or for several rules of one (generated names that return on other dates).
    Matching ignores the dates of the rules: ``collate`` judges those.

    Attributes:
        rules: the rules, in the order given.
        entry_offsets: int64[entries + 1]: the rules of entry ``e`` are
            ``entry_rules[entry_offsets[e]:entry_offsets[e + 1]]``.
        entry_rules: int32[rules]: indexes into ``rules``.
        specificity: int32[entries]: higher is more specific. An exact name is above any suffix, a
            longer suffix above a shorter one, any name above any prefix, a longer prefix (in bits
            of the 16-byte address) above a shorter one, any prefix above a family word. Rules of
            the kinds FALLBACKS are below all others, whatever entry they share.
    """

    def __init__(
        self, rules: tuple[Rule, ...], keys: list[tuple[Kind, bytes, int]], rows: list[int]
    ) -> None:
        self.rules = rules
        self._keys = keys
        entry_of_rule = np.array(rows, np.int32)
        self.entry_rules = np.argsort(entry_of_rule, kind="stable").astype(np.int32)
        self.entry_offsets = np.zeros(len(keys) + 1, np.int64)
        np.cumsum(np.bincount(entry_of_rule, minlength=len(keys)), out=self.entry_offsets[1:])
        self.specificity = np.fromiter(map(_specificity, keys), np.int32, len(keys))

    @classmethod
    def compile(cls, rules: Iterable[Rule]) -> Self:
        """Return the watchlist of these rules (none is allowed: it then matches nothing).

        Raises:
            NameSyntaxError: the text of a rule is not a name.
            CaseError: the text of an address rule is not an address or a prefix, or that of a
                family rule is empty or too long.

        >>> watched = Watchlist.compile([Rule("demo", "below", "*.evil.example")])
        >>> watched.entry_rules.tolist()
        [0]
        """
        rules = tuple(rules)
        index: dict[tuple[Kind, bytes, int], int] = {}
        rows = [index.setdefault(_key(rule), len(index)) for rule in rules]
        return cls(rules, list(index), rows)

    def extended(self, rules: Iterable[Rule]) -> Watchlist:
        """Return this watchlist with more rules for the cases that it has; itself where none is."""
        more = tuple(rule for rule in rules if rule.case in self.cases)
        return _extended(self, more) if more else self

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """The names of the cases, in order of their first rule."""
        return tuple(dict.fromkeys(rule.case for rule in self.rules))

    def cases_of(
        self, entries: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return the cases that watch each of n entries.

        Returns:
            (indexes into ``entries``, indexes into ``cases``); a pair may come more than once.
        """
        number = {case: i for i, case in enumerate(self.cases)}
        of_rule = np.array([number[rule.case] for rule in self.rules], np.int32)
        starts = self.entry_offsets[entries]
        counts = self.entry_offsets[entries + 1] - starts
        index = np.repeat(np.arange(entries.size), counts)
        within = np.arange(index.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return index, of_rule[self.entry_rules[np.repeat(starts, counts) + within]]

    def implied(
        self, entries: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return every entry that whatever hits one of these n name entries hits as well.

        Returns:
            (indexes into ``entries``, entries), the entry itself among them.
        """
        found, back = np.unique(entries, return_inverse=True)
        keys = [self._keys[entry] for entry in found.tolist()]
        names = [name for _, name, _ in keys]
        offsets = np.concatenate([[0], np.cumsum([len(name) for name in names])]).astype(np.int64)
        row, hit = self.match_wire(np.frombuffer(b"".join(names), np.uint8), offsets)
        # What is below a name need not be that name, which another entry may watch alone.
        below = np.array([kind == "below" for kind, _, _ in keys], np.bool_)
        exact = np.array([self._keys[entry][0] == "exact" for entry in hit.tolist()], np.bool_)
        kept = ~(below[row] & exact)
        row, hit = row[kept], hit[kept]
        starts = np.searchsorted(row, np.arange(found.size + 1))
        counts = np.diff(starts)[back]
        index = np.repeat(np.arange(entries.size), counts)
        within = np.arange(index.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return index, hit[np.repeat(starts[back], counts) + within]

    @cached_property
    def has_addresses(self) -> bool:
        """Whether any entry is an address prefix."""
        return any(kind == "address" for kind, _, _ in self._keys)

    @cached_property
    def has_families(self) -> bool:
        """Whether any entry is a family word."""
        return any(kind == "family" for kind, _, _ in self._keys)

    @cached_property
    def _words(self) -> Tables:
        """The tables of the family words, each as a wire name of one label."""
        from remnant.watchtable import build  # noqa: PLC0415 - loads Numba

        words = {key[1]: entry for entry, key in enumerate(self._keys) if key[0] == "family"}
        none = np.full(len(words), -1, np.int32)
        return build(list(words), np.array(list(words.values()), np.int32), none, [])

    @cached_property
    def tables(self) -> Tables:
        """The arrays that kernels take."""
        from remnant.watchtable import build  # noqa: PLC0415 - loads Numba

        names: dict[bytes, int] = {}
        exact: list[int] = []
        below: list[int] = []
        prefixes = []
        for entry, (kind, value, length) in enumerate(self._keys):
            if kind == "address":
                prefixes.append((value, length, entry))
                continue
            if kind in {"family", SINKHOLE}:
                continue
            name = names.setdefault(value, len(names))
            if name == len(exact):
                exact.append(-1)
                below.append(-1)
            (exact if kind == "exact" else below)[name] = entry
        return build(list(names), np.array(exact, np.int32), np.array(below, np.int32), prefixes)

    def digest(self, case: str) -> str:
        """Return 32 hex digits that change when what one case watches changes.

        Roles, states, sources and the order of the rules do not matter: they change no match.
        """
        return digest_of(self.rules, case)

    def match_wire(
        self, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return every entry that each of n names hits.

        Args:
            buffer: uncompressed wire names end to end, folded or not.
            offsets: int64[n + 1]: name i is ``buffer[offsets[i]:offsets[i + 1]]``. Bytes that are
                not a name hit nothing.

        Returns:
            (rows, entries), sorted by row, the most specific entry of a row first.
        """
        return _matched(self.tables, buffer, offsets)

    def match_words(
        self, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return every family entry that is one of n words, letters without case.

        Args:
            buffer: the words end to end, each as a wire name of one label: its length (1 to
                MAX_WORD), its bytes, 0. Words are whole: a part of one is no hit.
            offsets: int64[n + 1]: word i is ``buffer[offsets[i]:offsets[i + 1]]``.

        Returns:
            (rows, entries), sorted by row.
        """
        return _matched(self._words, buffer, offsets)

    def match_addresses(
        self, addresses: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return every prefix entry that covers each of n addresses.

        Args:
            addresses: uint8[n, 16]; an IPv4 address as ``::ffff:a.b.c.d``.

        Returns:
            (rows, entries), sorted by row, the longest prefix of a row first.
        """
        from remnant import watchtable  # noqa: PLC0415 - loads Numba

        tables = self.tables
        addresses = np.ascontiguousarray(addresses, np.uint8).reshape(-1, 16)
        hits = np.zeros(watchtable.MAX_HITS, np.int32)
        return _grown(
            lambda rows, entries: watchtable.match_addresses(tables, addresses, rows, entries, hits)
        )


@lru_cache(maxsize=8)
def _extended(watchlist: Watchlist, rules: tuple[Rule, ...]) -> Watchlist:
    return Watchlist.compile((*watchlist.rules, *rules))


def _matched(
    tables: Tables, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    from remnant import watchtable  # noqa: PLC0415 - loads Numba
    from remnant.wire import MAX_LABELS  # noqa: PLC0415 - loads Numba

    buffer = np.ascontiguousarray(buffer, np.uint8)
    offsets = np.ascontiguousarray(offsets, np.int64)
    starts = np.zeros(MAX_LABELS + 2, np.int64)
    hits = np.zeros(watchtable.MAX_HITS, np.int32)
    return _grown(
        lambda rows, entries: watchtable.match_names(
            tables, buffer, offsets, rows, entries, starts, hits
        ),
        offsets.size,
    )


def _grown(
    kernel: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int32]], int],
    expected: int = 0,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Run a kernel that reports how many hits it had room for, again if they were too many."""
    room = max(4096, expected)
    while True:
        rows = np.empty(room, np.int64)
        entries = np.empty(room, np.int32)
        total = int(kernel(rows, entries))
        if total <= room:
            return rows[:total].copy(), entries[:total].copy()
        room = total


def _key(rule: Rule) -> tuple[Kind, bytes, int]:
    match rule.kind:
        case "exact":
            return "exact", text_to_wire(rule.text), 0
        case "below":
            return "below", text_to_wire(rule.text.removeprefix("*.") or "."), 0
        case "address":
            return "address", *_prefix(rule.text)
        case "family":
            return "family", _word(rule.text.removeprefix(FAMILY)), 0
        case "zone":
            # The entry of ``*.`` and the zone's name: one entry stands for rules of both kinds.
            return "below", text_to_wire(rule.text.removeprefix(UNLISTED)), 0
        case "sinkhole":
            return "sinkhole", b"", 0


def _word(text: str) -> bytes:
    """Return a family word, folded, as a wire name of one label."""
    word = text.encode().lower()
    if not 0 < len(word) <= MAX_WORD:
        raise CaseError("this cannot be a family word", got=text, expected=f"1 to {MAX_WORD} bytes")
    return bytes([len(word)]) + word + b"\0"


def _prefix(text: str) -> tuple[bytes, int]:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise CaseError(
            "this is not an address or a prefix", got=text, expected="192.0.2.0/24 or 2001:db8::/32"
        ) from None
    packed = network.network_address.packed
    if network.version == 4:
        return b"\0" * 10 + b"\xff\xff" + packed, 96 + network.prefixlen
    return packed, network.prefixlen


def _specificity(key: tuple[Kind, bytes, int]) -> int:
    kind, value, length = key
    if kind == "address":
        return length
    if kind == "family":
        return _FAMILY
    if kind == SINKHOLE:
        return _NOTHING
    position = count = 0
    while value[position]:
        position += value[position] + 1
        count += 1
    return (_EXACT if kind == "exact" else _BELOW) + count
