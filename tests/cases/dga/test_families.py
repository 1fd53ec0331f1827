"""Generated names against published lists."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import QUICK
from remnant.cases import dga
from remnant.errors import CaseError
from remnant.names import fold

PUBLISHED = {
    "chinad": (
        date(2017, 1, 13),
        256,
        "c6455d3b74d6ba59f7f3b3d1cafd0a6d90b32c0965692765a46f9e5832f76cd8",
        "8f6bacmw30xxv6sc.cn 486txu3yjly0xcmz.ru xmi6x8zg9rkanmyo.info",
    ),
    "gozi-luther": (
        date(2016, 3, 28),
        12,
        "c12501e23265cd9e6e36f7f855b1a563c56e94b27c0f73e5c5674f6a0b770e57",
        "quodpresidentemaxsagit.com pertantumfitusu.com indulgentiarumlicet.com",
    ),
    "kraken-v1": (
        date(2015, 1, 1),
        2000,
        "4c0e485b9119c19edf123bd06616825fd99457d42bacf59ae39aa089630c7862",
        "ibbwnhgh.mooo.com rbqdxflojkj.mooo.com smhburg.dyndns.org",
    ),
    "murofet-v1": (
        date(2015, 9, 1),
        1000,
        "ad13bfd90a220d426fd6e69420d46ee5de28389d290a89b9b3dd86da619a66d3",
        "giywswshrgxcvoqgvrkthmfa.ru xaiqpbprgymbvrwmzgiyprgdsk.com amgqgularpzxeapztxenbx.net",
    ),
    "murofet-v2": (
        date(2015, 9, 3),
        1020,
        "5a7984e9593b6fb6fbedc6843d29267da8356b6d912c222753688ab68d18abf7",
        "cmqvvxtppnibli.biz cmqvvxtppnibli.com rloqpoiongsuwyq.net",
    ),
    "necurs": (
        date(2015, 8, 28),
        2048,
        "b2a8b27d38b93ea2b4ebe5b823805de2225b9b37e9da63de5543167487bd67e7",
        "nccojqvabqvkiwhj.mx hoedwwwywnmmbi.ac aeaeneaoinf.mu",
    ),
    "newgoz": (
        date(2015, 8, 31),
        1000,
        "744074198343c6c2facbe9a31a497b613863584953aa390fe2f2a2d3688c7a02",
        "xzz3ug32bale1uo60y7xj6rge.com 1hyzmw3l2phycet88hzr2do34.net "
        "2ppq821cfem5m1mdua46pxg7bj.biz unlm9w9l8upy1kdde0kba7ktf.org",
    ),
    "qakbot": (
        date(2016, 2, 21),
        5000,
        "8d1a53fda2d77c21d44f699de911e22e27c97b68d5556e7874d8af74ac290194",
        "bqkrtxgkmriwsiwcngtivpx.info jdtmfupdyueqeldvhsjzdvzob.net guhmpoxzivhba.com",
    ),
    "ramnit": (
        date(2015, 1, 1),
        100,
        "af7709590b17dbf5a9f8126f383b86dab76a8a6ad4152d9c68bd6c70cc9cac8c",
        "knpqxlxcwtlvgrdyhd.com nvlyffua.com hgyudheedieibxy.com",
    ),
    "ranbyus-september": (
        date(2015, 9, 25),
        40,
        "9f2ec2fdef2f8f7c1acba07eb17cf0f89d568ef0890c6ba4c7c55293ab5c92ae",
        "jxbdxeyxttdmcjagi.me iqmadgybfhnrssadm.cc gdoldaognceaedkke.su",
    ),
    "simda": (
        date(2015, 1, 1),
        1000,
        "9490178f2d840c4f2c87d08fb168238d7545a23bec49642506c105f31ca6ad7e",
        "gatyfus.com lyvyxor.com vojyqem.com",
    ),
    "symmi": (
        date(2015, 8, 16),
        64,
        "ff7f142278a746400a707fafee5fdadaa2afe4460be427d92ddf300010b1a073",
        "ogovugtuipawi.ddns.net afowkaupbabe.ddns.net ipkureleakm.ddns.net",
    ),
    "tinba": (
        date(2015, 1, 1),
        401,
        "71679328b8fff7e9892c5c20f0325147df901b7d98564600243d13b248a81321",
        "blackfreeqazyio.cc nvfowikhevmy.com nvfowikhevmy.net",
    ),
}
"""A day, how many names are published, their SHA-256, and the first of them.

The sum is over the names in the order of the list, joined by line feeds, none at the end.
"""

DAYS_OF = {
    "conficker-a": (
        date(2020, 1, 1),
        10,
        "e4fd368ef81ed22c316c5d2e0cbece5de4337827c83625628270572b0688bdd9",
        "fvqcih.net nwyoodof.com rhrcwu.com",
    ),
    "conficker-b": (
        date(2020, 1, 1),
        10,
        "8992f1aa969d2416b792e141eda0fd85e4e0aced67d0dbc212ea55844631913e",
        "jqfgtmjl.ws wytetvzvfb.com zrbmw.info",
    ),
    "zloader": (
        date(2020, 1, 1),
        94,
        "95759e5c3a532ab5b00c5a2208c723937875d38e81e828a28aa9eb7cdfc43d00",
        "bmesbujnevpielirkwer.com crwsascultbtdvmibaiy.com xgvtmdqswnvhqjrlmjad.com",
    ),
}
"""The same of lists of several whole days, one after the other: the first day and how many."""


def digest(names: list[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


@pytest.mark.parametrize("family", PUBLISHED)
def test_a_family_makes_the_published_list(family: str) -> None:
    day, count, expected, first = PUBLISHED[family]
    names = dga.generate(family, day)
    assert names[: len(first.split())] == first.split()
    assert len(names) >= count
    assert digest(names[:count]) == expected


@pytest.mark.parametrize("family", DAYS_OF)
def test_a_family_makes_the_published_lists_of_days(family: str) -> None:
    day, days, expected, first = DAYS_OF[family]
    names: list[str] = []
    for number in range(days):
        names += dga.generate(family, day + timedelta(days=number))
    assert names[: len(first.split())] == first.split()
    assert digest(names) == expected


def test_what_is_said_to_be_checked_is_checked_here() -> None:
    assert {name for name, found in dga.FAMILIES.items() if found.checked} == {*PUBLISHED, *DAYS_OF}


DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize("family", sorted(dga.FAMILIES))
def test_every_family_generates_folded_names(family: str) -> None:
    found = dga.family(family)
    for day in (date(2000, 2, 29), date(2014, 7, 25), date(2099, 12, 31)):
        names = dga.generate(family, day)
        assert len(names) == found.per_day
        assert all(re.fullmatch(r"[a-z0-9]{1,63}(\.[a-z]+){1,2}", name) for name in names)
        assert all(fold(name) == name for name in names[:50])
        assert names == dga.generate(family, day)


SMALL = sorted(name for name, found in dga.FAMILIES.items() if found.per_day <= 500)


@pytest.mark.parametrize("family", SMALL)
@QUICK
@given(day=DAYS)
def test_a_list_holds_from_where_it_begins(family: str, day: date) -> None:
    found = dga.family(family)
    begins = found.begins(day)
    names = found.generate(day)
    if begins is None:
        assert found.epoch_days is None
        assert names == found.generate(date(2001, 1, 1))
        return
    assert found.epoch_days is not None
    # The last list of a month may be longer than the others.
    assert timedelta(0) <= day - begins < timedelta(days=found.epoch_days + 2)
    assert found.begins(begins) == begins
    assert found.generate(begins) == names
    before = begins - timedelta(days=1)
    assert found.begins(before) != begins
    assert found.generate(before) != names


@pytest.mark.parametrize("family", ["murofet-v1", "necurs", "qakbot"])
def test_a_long_list_changes_where_the_next_one_begins(family: str) -> None:
    found = dga.family(family)
    days = [date(2015, 8, 22) + timedelta(days=number) for number in range(14)]
    lists = [found.generate(day)[:20] for day in days]
    for day, following, names, after in zip(days, days[1:], lists, lists[1:], strict=False):
        assert (found.begins(day) == found.begins(following)) == (names == after)


def test_the_date_matters() -> None:
    day = date(2014, 7, 25)
    assert not set(dga.generate("newgoz", day)) & set(
        dga.generate("newgoz", day + timedelta(days=1))
    )


def test_seeds_and_keys_matter() -> None:
    day = date(2015, 9, 3)
    for stem in ("murofet-v2", "ranbyus-september", "zloader", "ramnit", "tinba", "qakbot"):
        heads = [
            tuple(dga.generate(name, day)[:40])
            for name in dga.FAMILIES
            if name == stem or name.startswith(f"{stem}-")
        ]
        assert len(heads) > 1
        assert len(set(heads)) == len(heads)


@pytest.mark.parametrize("found", dga.FAMILIES.values(), ids=lambda found: found.name)
def test_what_is_said_of_how_a_bot_goes_through_its_list_has_a_source(found: dga.Family) -> None:
    assert found.reference
    known = found.barrel is not None or found.lookups is not None
    assert known == (found.barrel_source is not None)
    assert found.lookups is None or 0 < found.lookups <= found.per_day
    assert found.lookback_days >= 0


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(CaseError) as raised:
        dga.generate("oldgoz", date(2014, 7, 25))
    assert raised.value.expected is not None
    assert "newgoz" in raised.value.expected


def documented(found: dga.Family) -> str:
    """The row of a family in the table of the documentation."""
    days = found.epoch_days
    cells = [
        f"`{found.name}`",
        found.title,
        f"{found.per_day:,}",
        "always" if days is None else f"{days} day" if days == 1 else f"{days} days",
        found.barrel or "",
        "" if found.lookups is None else f"{found.lookups:,}",
        "yes" if found.checked else "",
    ]
    return re.sub(r" +", " ", "| " + " | ".join(cells) + " |")


def test_the_table_of_the_documentation_is_that_of_the_families() -> None:
    page = Path(__file__).parents[3] / "docs" / "explanation" / "generated-names.md"
    rows = [row for row in page.read_text("utf-8").splitlines() if row.startswith("| `")][1:]
    assert [row.partition(" | ")[0] for row in rows] == [f"| `{name}`" for name in dga.FAMILIES]
    assert rows == [documented(found) for found in dga.FAMILIES.values()]
