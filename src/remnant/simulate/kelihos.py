"""The scenario ``kelihos``: a takedown, silence of the operator, and a return with new names.

Published: Kelihos.B was taken down on 21 March 2012; about 116,000 bots came to the sinkhole in six
days, and about 1,000 a month were left in November 2013, a half-life of about 87 days (reports of
November 2013 on CrowdStrike's count; disputed by MalwareMustDie). Kelihos.A came back four months
after its takedown. The seized names are three that United States v. Levashov (D. Alaska,
3:17-cv-00074) names; the others are of the list ``kelihos`` of stamparm/maltrail; which of them
were seized, the dates of the return, and all else is invented.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from remnant.simulate.beebone import BEEBONE
from remnant.simulate.scenario import Country, Event, WatchedName
from remnant.simulate.surroundings import Return

__all__ = ["KELIHOS"]

_SEIZED: Final = (
    "combach.com",
    "goloduha.info",
    "gorodkoff.com",
    "aletazgi.ru",
    "batpicur.ru",
    "colzoqko.ru",
    "cucaklif.ru",
    "dawkavka.ru",
    "dohwapih.ru",
    "egsuista.ru",
    "gufuwcop.ru",
    "ihdidcyd.ru",
    "jiqnipun.ru",
    "jyuhysdo.ru",
    "keturduq.ru",
    "lafdamow.ru",
)
_SUSPENDED: Final = ("liwmiccu.ru", "lorbadxu.ru")
_BACK: Final = datetime(2012, 5, 21, tzinfo=UTC)

KELIHOS: Final = replace(
    BEEBONE,
    name="kelihos",
    title="Kelihos",
    names_source="stamparm/maltrail kelihos.txt; state invented",
    since=datetime(2012, 3, 14, tzinfo=UTC),
    until=datetime(2012, 6, 18, tzinfo=UTC),
    takedown=datetime(2012, 3, 21, tzinfo=UTC),
    default_scale=0.03,
    names=(
        *(WatchedName(name) for name in _SEIZED),
        *(WatchedName(name, "nxdomain") for name in _SUSPENDED),
    ),
    below=(),
    events=(
        Event(datetime(2012, 3, 27, tzinfo=UTC), "other", "press: 116,000 bots came in six days"),
    ),
    clients_a_day=30_000,
    half_life_days=87,
    new_a_day=0.0,
    countries=(
        Country("PL", 0.25, 2),
        Country("US", 0.1, -5),
        Country("TR", 0.09, 3),
        Country("ES", 0.08, 2),
        Country("IN", 0.08, 5.5),
        Country("UA", 0.08, 3),
        Country("RO", 0.07, 3),
        Country("RU", 0.06, 4),
        Country("BR", 0.06, -3),
        Country("MX", 0.05, -5),
        Country("TH", 0.04, 7),
        Country("VN", 0.04, 7),
    ),
    comeback=Return(
        at=_BACK,
        names=(
            "qivwonbe.ru",
            "rumtacyx.ru",
            "sopheqid.ru",
            "tylbaxof.ru",
            "wezcuhip.ru",
            "zafkydor.ru",
        ),
        updated=0.35,
        days=4,
        new_clients_a_day=400,
    ),
)
"""The names of the return are made up."""
