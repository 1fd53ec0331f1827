"""Strategies that make cases, and a short case for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st

from remnant.cases.casefile import count_duplicates, family_word, watched_name
from remnant.cases.indicators import address, bare, prefix
from remnant.cases.model import (
    EVENT_KINDS,
    HTTP_REPLIES,
    MAX_SINK_ADDRESSES,
    MAX_TTL,
    ROLES,
    STATES,
    Case,
    Event,
    SinkholeConfig,
    Watch,
)
from remnant.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = settings(deadline=None, max_examples=40)
"""For properties: the machine is shared, so no test has a deadline."""

BEEBONE = """\
[case]
name     = "beebone"
title    = "BeeBone (AAEH, VObfus, Changeup)"
takedown = 2015-04-08T00:00:00Z

[[watch]]
names  = ["ns1.timedate1.com", "*.thepicturehut.net"]
role   = "c2"
state  = "seized"
from   = 2015-04-08
source = "maltrail changeup.txt"

[[watch]]
addresses = ["203.0.113.7/32"]

[[watch]]
dga  = "newgoz"
from = 2014-07-01
until = 2014-07-03

[[event]]
time = 2015-06-04T00:00:00Z
kind = "notice"
note = "..."

[sinkhole]
addresses = ["192.0.2.53", "2001:db8::53"]
ttl = 60
"""

DAY = timedelta(days=1)
START = datetime(1990, 1, 1, tzinfo=UTC)

# One line of text; what a person may write in a title, with quotes, backslashes and other scripts.
LINES = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters='"\\#'))
NOTES = LINES.map(lambda text: text[:200])
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MIDNIGHTS = st.integers(0, 40_000).map(lambda days: START + days * DAY)
MOMENTS = st.one_of(TIMES, MIDNIGHTS)

_LABEL = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,8}[A-Za-z0-9_])?", fullmatch=True)
_SUFFIX = st.sampled_from(["com", "co.uk", "example", "ddns.net", "dtdns.net", "xn--p1ai"])


def _kept(normalise: Callable[[str], str], text: str) -> str | None:
    try:
        return normalise(text)
    except CaseError:
        return None


def _normal(
    texts: st.SearchStrategy[str], normalise: Callable[[str], str]
) -> st.SearchStrategy[str]:
    kept = texts.map(lambda text: _kept(normalise, text)).filter(lambda text: text is not None)
    return kept.map(str)


NAMES = _normal(
    st.one_of(
        st.builds("{}{}.{}".format, st.sampled_from(["", "*."]), _LABEL, _SUFFIX),
        st.builds(r"{}\{:03d}x.{}".format, _LABEL, st.integers(0, 255), _SUFFIX),
        st.builds("{}bücher.{}".format, st.sampled_from(["", "*."]), _SUFFIX),
    ),
    watched_name,
)
WORDS = _normal(st.text(st.characters(codec="ascii"), min_size=1, max_size=12), family_word)
PREFIXES = _normal(st.ip_addresses().map(str), prefix)
ADDRESSES = _normal(st.ip_addresses().map(str), address)


@st.composite
def watches(draw: st.DrawFn) -> Watch:
    """Return a watch as ``loads`` would make it."""
    since, until = draw(st.none() | MOMENTS), draw(st.none() | MOMENTS)
    if since is not None and until is not None and until <= since:
        since, until = until, since
    if since is not None and since == until:
        until = None
    role, state = draw(st.sampled_from(ROLES)), draw(st.sampled_from(STATES))
    source = draw(st.none() | NOTES)
    if draw(st.integers(0, 4)) == 0:
        first = since or START
        return Watch(
            dga="newgoz",
            role=role,
            state=state,
            since=first,
            until=until if until is not None and until > first else first + DAY,
            source=source,
        )
    names = tuple(draw(st.lists(NAMES, max_size=4, unique=True)))
    words = tuple(draw(st.lists(WORDS, max_size=3, unique=True)))
    least = 0 if names or words else 1
    addresses = tuple(draw(st.lists(PREFIXES, min_size=least, max_size=3, unique=True)))
    zone = bare(names[0]) if len(names) == 1 and draw(st.booleans()) else None
    return Watch(names, addresses, None, role, state, since, until, zone, source, words)


@st.composite
def sinkholes(draw: st.DrawFn) -> SinkholeConfig:
    """Return what a case's sinkhole answers as ``loads`` would make it."""
    seconds = st.integers(0, MAX_TTL)
    arms = sorted(draw(st.just([]) | st.lists(seconds, min_size=2, max_size=2, unique=True)))
    servers = NAMES.filter(lambda name: not name.startswith("*."))
    return SinkholeConfig(
        addresses=tuple(draw(st.lists(ADDRESSES, max_size=MAX_SINK_ADDRESSES, unique=True))),
        ttl=arms[0] if arms else draw(seconds),
        ttl_arms=tuple(arms),
        nameservers=tuple(draw(st.lists(servers, max_size=3, unique=True))),
        contact=draw(st.just("") | st.from_regex(r"[A-Za-z0-9._+-]{1,9}@a-1\.B", fullmatch=True)),
        null_mx=draw(st.booleans()),
        spf=draw(st.booleans()),
        caa=draw(st.booleans()),
        http=draw(st.sampled_from(HTTP_REPLIES)),
        operator=draw(NOTES),
        help_url=draw(st.just("") | st.from_regex(r"https?://[!#-;=?-~]{1,20}", fullmatch=True)),
        identify=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a case as ``loads`` would make it."""
    made = tuple(draw(st.lists(watches(), max_size=4)))
    try:
        duplicates = count_duplicates(made, lambda index, key, text: f"{index} {key} {text}")
    except CaseError:
        made, duplicates = made[:1], 0
    return Case(
        name=draw(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)),
        title=draw(NOTES.filter(bool)),
        takedown=draw(MOMENTS),
        watches=made,
        events=tuple(
            draw(
                st.lists(
                    st.builds(
                        Event, MOMENTS, st.sampled_from(EVENT_KINDS), NOTES, st.none() | NOTES
                    ),
                    max_size=3,
                )
            )
        ),
        sinkhole=draw(st.none() | sinkholes()),
        duplicates=duplicates,
    )
