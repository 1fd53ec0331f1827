"""The scenario ``zbot``: GameOver Zeus after Operation Tovar, and newGOZ in July 2014.

Published: the disruption of late May and 2 June 2014, with 31 % fewer infections by the status
report of July (US Department of Justice), a half-life of about 73 days; sinkholes of newGOZ names
counted 127 clients on 14 July, 429 on 21 July and 8,494 on 25 July 2014 (Arbor Networks). newGOZ
has 1,000 names a day and asks for them in order from a random place on, all of them if none
answers (Arbor). The names of the old botnet are of the list ``zeus`` of stamparm/maltrail. How many
names were sinkholed, what came after 25 July, and all else is invented.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from remnant.simulate.beebone import BEEBONE
from remnant.simulate.scenario import Country, Event, WatchedName
from remnant.simulate.surroundings import Dga

__all__ = ["ZBOT"]

_SEIZED: Final = (
    "aemunkxyjmrznrls.info",
    "aemunkxyjmrznrls.org",
    "aexhilzfqgqcakjlrpvuxskjsc.com",
    "aitxkamkbatjbqbwgaqwylzpuk.net",
    "bmbmlttsifpzdytyofxwdcydmmr.org",
    "bmjzxhsovwhtqcqpvxxcmzk.com",
    "cedhfmhmovlxzpwggwbfy.com",
    "ceptqsbpbrgbajbqssccmrey.biz",
)

ZBOT: Final = replace(
    BEEBONE,
    name="zbot",
    title="GameOver Zeus and newGOZ",
    names_source="stamparm/maltrail zeus.txt; state invented",
    since=datetime(2014, 5, 26, tzinfo=UTC),
    until=datetime(2014, 8, 11, tzinfo=UTC),
    takedown=datetime(2014, 6, 2, tzinfo=UTC),
    default_scale=0.03,
    names=tuple(WatchedName(name) for name in _SEIZED),
    below=(),
    events=(
        Event(datetime(2014, 7, 11, tzinfo=UTC), "other", "press: newGOZ is seen (Malcovery)"),
    ),
    clients_a_day=12_000,
    half_life_days=73,
    new_a_day=0.0,
    countries=(
        Country("US", 0.13, -5),
        Country("IT", 0.1, 2),
        Country("JP", 0.09, 9),
        Country("AE", 0.07, 4, (4, 5)),
        Country("GB", 0.07, 1),
        Country("UA", 0.12, 3),
        Country("BY", 0.1, 3),
        Country("IN", 0.08, 5.5),
        Country("FR", 0.05, 2),
        Country("DE", 0.05, 2),
        Country("TR", 0.05, 3),
        Country("PL", 0.05, 2),
        Country("ID", 0.04, 7),
    ),
    networks=800,
    innocent_households=10_000,
    innocent_queries=60_000,
    dga=Dga("newgoz", "randomcut", lookups=1000, owned=4, share=0.0, again=False),
    clock_skew=0.02,
    curve=(
        (datetime(2014, 7, 10, tzinfo=UTC), 64),
        (datetime(2014, 7, 14, tzinfo=UTC), 127),
        (datetime(2014, 7, 21, tzinfo=UTC), 429),
        (datetime(2014, 7, 24, tzinfo=UTC), 6_500),
        (datetime(2014, 7, 25, tzinfo=UTC), 8_494),
        (datetime(2014, 8, 4, tzinfo=UTC), 9_800),
    ),
)
