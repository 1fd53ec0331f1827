"""Generated names as others publish them: whole lists."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from remnant.cases import dga

if TYPE_CHECKING:
    from pathlib import Path

LISTS = {
    "chinad": ("chinad", date(2017, 1, 13), date(2017, 1, 13)),
    "gozi": ("gozi-luther", date(2016, 3, 28), date(2016, 3, 31)),
    "kraken-v1": ("kraken-v1", date(2007, 7, 1), date(2015, 1, 1)),
    "murofet-v1": ("murofet-v1", date(2015, 9, 1), date(2015, 9, 6)),
    "murofet-v2": ("murofet-v2", date(2015, 9, 3), date(2015, 9, 3)),
    "necurs": ("necurs", date(2015, 8, 28), date(2015, 8, 31)),
    "newgoz": ("newgoz", date(2015, 8, 31), date(2015, 8, 31)),
    "qakbot": ("qakbot", date(2016, 2, 21), date(2016, 2, 29)),
    "ramnit": ("ramnit", date(2010, 1, 1), date(2020, 1, 1)),
    "ranbyus-september": ("ranbyus-september", date(2015, 9, 25), date(2015, 9, 25)),
    "simda": ("simda", date(2010, 1, 1), date(2020, 1, 1)),
    "symmi": ("symmi", date(2015, 8, 16), date(2015, 8, 31)),
    "tinba": ("tinba", date(2010, 1, 1), date(2020, 1, 1)),
}
"""By file: the family, and the first and the last day on which its list holds."""


def published(folder: Path, name: str) -> list[str]:
    return (folder / "dga" / f"{name}.txt").read_text().split()


@pytest.mark.parametrize("name", LISTS)
def test_a_published_list_holds_from_its_first_day_to_its_last(real_data: Path, name: str) -> None:
    names = published(real_data, name)
    family, *days = LISTS[name]
    for day in days:
        assert dga.generate(family, day)[: len(names)] == names
    # Murofet's list was published without its last twenty names.
    assert len(names) == (1000 if name == "murofet-v1" else dga.family(family).per_day)


@pytest.mark.parametrize("variant", ["a", "b"])
def test_conficker_makes_the_published_names_of_2020(real_data: Path, variant: str) -> None:
    names = published(real_data, f"conficker-{variant}-2020-start")
    made: list[str] = []
    while len(made) < len(names):
        made += dga.generate(
            f"conficker-{variant}", date(2020, 1, 1) + timedelta(days=len(made) // 250)
        )
    assert made[: len(names)] == names


def test_conficker_makes_the_names_that_f_secure_published(real_data: Path) -> None:
    text = (real_data / "indicators" / "conficker.txt").read_text()
    names = set(re.findall(r"^[a-z]+\.[a-z]+$", text, re.MULTILINE))
    assert set(dga.generate("conficker-a", date(2008, 12, 9))) <= names


def test_zloader_makes_the_published_names_of_each_day(real_data: Path) -> None:
    days: dict[str, list[str]] = {}
    for word in published(real_data, "zloader-q23Cud3xsNf3-first100days"):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", word):
            day = days.setdefault(word, [])
        else:
            day.append(word)
    assert len(days) == 95
    # The file ends within its last day.
    for text, names in days.items():
        assert dga.generate("zloader", date.fromisoformat(text))[: len(names)] == names
    assert [len(names) for names in days.values()][:-1] == [32] * 94
