"""The scenario ``beebone``: what was published about the botnet's first weeks after its takedown.

Published: taken down on 8 April 2015 by law enforcement led by the Dutch NHTCU (Europol, FBI);
37,000 distinct hosts a day in the sinkhole, 33,000 by 4 June 2015, Iran leading before Peru
(R. Samani, Intel Security, in IT Security Guru, 4 June 2015): a half-life of about 340 days.
Names: the list ``changeup`` of stamparm/maltrail. Half of all bots of a botnet are in about 50
networks: Asghari, van Eeten, Bauer, IEEE Security & Privacy 13(5), 2015. Everything else is chosen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from remnant.simulate.scenario import Churn, Country, Event, Scenario, WatchedName

__all__ = ["BEEBONE"]

_FRIDAY: Final = (4,)
_FRIDAY_SATURDAY: Final = (4, 5)

_SEIZED: Final = (
    "ns1.timedate1.com",
    "ns1.timedate2.com",
    "ns1.timedate3.com",
    "ns1.timedate1.net",
    "ns1.timedate2.net",
    "ns1.timedate1.org",
    "ns1.datetoday1.com",
    "ns1.datetoday2.com",
    "ns1.datetoday1.net",
    "ns1.datetoday1.org",
    "ns1.helpupdater.net",
    "ns1.helpupdates.com",
    "ns1.helpupdated.org",
    "ns1.helpchecks.net",
    "ns1.player1253.com",
    "ns1.chopbell.com",
    "ns1.thepicturehut.net",
    "ns2.thepicturehut.net",
    "ns1.videoall.net",
    "existing.suroot.com",
)
_SUSPENDED: Final = ("ns1.chopsuwey.com", "ns1.mediashares.org", "22231.dtdns.net")
_NOT_SEIZED: Final = ("ns1.helpupdatek.tw",)

BEEBONE: Final = Scenario(
    name="beebone",
    title="BeeBone",
    since=datetime(2015, 3, 25, tzinfo=UTC),
    until=datetime(2015, 7, 1, tzinfo=UTC),
    takedown=datetime(2015, 4, 8, tzinfo=UTC),
    default_scale=0.05,
    names=(
        *(WatchedName(name) for name in _SEIZED),
        *(WatchedName(name, "nxdomain") for name in _SUSPENDED),
        *(WatchedName(name, "c2") for name in _NOT_SEIZED),
    ),
    below=("thepicturehut.net",),
    events=(
        Event(datetime(2015, 4, 9, tzinfo=UTC), "notice", "US-CERT alert TA15-098A"),
        Event(
            datetime(2015, 6, 4, tzinfo=UTC),
            "other",
            "press: 33,000 hosts a day are left of 37,000 (IT Security Guru)",
        ),
    ),
    clients_a_day=37_000,
    bots_per_client=1.3,
    half_life_days=340,
    new_a_day=0.0004,
    never_cleaned=0.2,
    hazard_spread=0.7,
    countries=(
        Country("IR", 0.22, 4.5, _FRIDAY),
        Country("PE", 0.13, -5),
        Country("VN", 0.055, 7),
        Country("IN", 0.055, 5.5),
        Country("ID", 0.05, 7),
        Country("EG", 0.045, 2, _FRIDAY_SATURDAY),
        Country("MX", 0.04, -5),
        Country("TR", 0.04, 3),
        Country("BR", 0.04, -3),
        Country("PH", 0.035, 8),
        Country("CO", 0.03, -5),
        Country("TH", 0.03, 7),
        Country("MA", 0.025, 1),
        Country("DZ", 0.025, 1, _FRIDAY_SATURDAY),
        Country("PK", 0.025, 5),
        Country("EC", 0.02, -5),
        Country("MY", 0.02, 8),
        Country("US", 0.02, -5),
        Country("VE", 0.015, -4.5),
        Country("IQ", 0.015, 3, _FRIDAY_SATURDAY),
        Country("UA", 0.015, 3),
        Country("RU", 0.015, 3),
        Country("BO", 0.01, -4),
        Country("GT", 0.01, -6),
        Country("TW", 0.01, 8),
        Country("ZA", 0.01, 2),
        Country("IT", 0.01, 2),
    ),
    networks=1200,
    network_shift=1,
    churn=(
        Churn("sticky", 0.5, 0.03),
        Churn("lease", 0.25, 0.3),
        Churn("forced-24h", 0.2, 1.0, forced=True),
        Churn("on-demand", 0.05, 2.0),
    ),
    pool_per_household=16,
    household_sizes=(0.82, 0.13, 0.05),
    carrier_nat=0.02,
    carrier_nat_bots=12,
    ipv6=0.06,
    always_on=0.08,
    online_chance=0.78,
    weekend_factor=0.85,
    session_hours=5.5,
    away=0.02,
    period_minutes=55,
    names_per_bot=4,
    more_names=0.12,
    retry=0.1,
    aaaa=0.1,
    c2_ttl=300,
    sinkhole_ttl=60,
    negative_ttl=300,
    innocent_households=20_000,
    innocent_queries=160_000,
    malformed=0.0003,
    resolvers=(("resolver-a", 0.6), ("resolver-b", 0.4)),
)
