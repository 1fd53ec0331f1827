"""The commands' numbers are the hidden truth's, whichever way the traffic comes in."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from typing import TYPE_CHECKING, Any

import lz4.frame
import pytest
import zstandard

from dnstap_writer import START, STOP
from remnant.windows import iso
from story.telling import AFTER, CASE, DAYS, frames, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from story.telling import Made, Place


def true_days(made: Made, resolver: str = "all", days: tuple[str, ...] | None = DAYS) -> Any:
    return {
        f"{row['day']}T00:00:00Z": (row["queries"], row["clients"])
        for row in made.truth("daily", resolver=resolver)
        if days is None or str(row["day"]) in days
    }


def true_hours(made: Made, resolver: str = "all", days: tuple[str, ...] | None = DAYS) -> Any:
    return {
        iso(row["hour"]): (row["queries"], row["clients"])
        for row in made.truth("hourly", resolver=resolver)
        if days is None or iso(row["hour"])[:10] in days
    }


def counted(rows: list[dict[str, Any]], *keys: str) -> Any:
    found = {
        row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): (
            row["queries"],
            row["clients"],
        )
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def true_answers(made: Made) -> dict[str, Any]:
    day = DAYS[1]
    return {
        "day": true_days(made),
        "hour": true_hours(made),
        "name": counted(made.truth("names", day=day), "name"),
        "network": counted(made.truth("networks", day=day), "asn", "country"),
        "sensor": {
            row["resolver"]: (row["queries"], row["clients"])
            for row in made.truth("daily", day=day)
            if row["resolver"] != "all"
        },
    }


def told(answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "day": counted(answers["day"], "start"),
        "hour": counted(answers["hour"], "start"),
        "name": counted(answers["name"], "name"),
        "network": counted(answers["network"], "asn", "country"),
        "sensor": counted(answers["sensor"], "sensor"),
    }


def test_every_file_on_its_own(small: Place, made: Made) -> None:
    assert told(small.answers()) == true_answers(made)


def test_countries_are_the_networks_of_a_country(small: Place, made: Made) -> None:
    found = small.ask("traffic", CASE, "--by", "country", "--since", DAYS[0], "--until", DAYS[1])
    queries: dict[str, int] = {}
    for row in made.truth("networks", day=DAYS[0]):
        queries[row["country"]] = queries.get(row["country"], 0) + row["queries"]

    assert {row["country"]: row["queries"] for row in found} == queries
    assert sum(row["clients"] for row in found) == true_days(made)[f"{DAYS[0]}T00:00:00Z"][1]


def test_all_days_as_one_stream_from_standard_input(whole: Place, made: Made) -> None:
    assert counted(whole.ask("traffic", CASE), "start") == true_days(made, days=None)
    hours = whole.ask("traffic", CASE, "--by", "hour")
    assert counted(hours, "start") == true_hours(made, days=None)
    assert all(row["coverage"] == 1 for row in hours)
    names: dict[str, int] = {}
    for row in made.truth("names"):
        names[row["name"]] = names.get(row["name"], 0) + row["queries"]
    found = whole.ask("traffic", CASE, "--by", "name")
    assert {row["name"]: row["queries"] for row in found} == names


@pytest.mark.parametrize("resolver", ["resolver-a", "resolver-b"])
def test_one_resolver_alone(resolver: str, place: Place, made: Made) -> None:
    place.ingest(*made.files(resolver))

    assert counted(place.ask("traffic", CASE), "start") == true_days(made, resolver)
    hours = place.ask("traffic", CASE, "--by", "hour")
    assert counted(hours, "start") == true_hours(made, resolver)


def test_the_counts_of_each_source_are_those_that_were_written(place: Place, made: Made) -> None:
    for row in place.ingest(*made.files()):
        written = next(
            line for line in made.truth("files") if row["path"].endswith(f"/{line['path']}")
        )
        assert row["state"] == "new"
        assert row["messages"] + row["malformed"] + row["skipped"] == row["records"]
        assert row["skipped"] == written["skipped"]
        damaged = {key: written[key] for key in ("short", "cut", "loop", "label")}
        assert row["malformed"] == sum(damaged.values())
        assert row["records"] == written["messages"]


# How the same traffic may come in.


def recompressed(folder: Path, files: list[Path]) -> list[Path]:
    ways: list[Callable[[bytes], bytes]] = [
        lambda data: data,
        gzip.compress,
        lzma.compress,
        zstandard.ZstdCompressor(level=1).compress,
        lz4.frame.compress,
        lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    ]
    return [write(folder / f"{i}.dat", ways[i](plain(path))) for i, path in enumerate(files)]


def split(folder: Path, files: list[Path]) -> list[Path]:
    parts = []
    for i, path in enumerate(files):
        every = list(frames(plain(path)))
        third = len(every) // 3
        for j, part in enumerate((every[:third], every[third : 2 * third], every[2 * third :])):
            parts.append(write(folder / f"{i}-{j}.dnstap", START + b"".join(part) + STOP))
    return parts


def shuffled(folder: Path, files: list[Path]) -> list[Path]:
    mixed = split(folder, files)
    random.Random(7).shuffle(mixed)
    return mixed


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("way", [recompressed, shuffled])
def test_the_same_traffic_another_way(
    way: Callable[[Path, list[Path]], list[Path]], place: Place, made: Made, tmp_path: Path
) -> None:
    place.ingest(*way(tmp_path, made.files()))

    assert told(place.answers()) == true_answers(made)


def test_known_traffic_in_new_clothes_changes_nothing(
    mine: Place, made: Made, tmp_path: Path
) -> None:
    files = made.files()
    states = [row["state"] for row in mine.ingest(*recompressed(tmp_path, files), *files)]

    assert states == ["known"] * 2 * len(files)
    assert told(mine.answers()) == true_answers(made)


def test_bzip2_is_named_when_it_is_not_read(place: Place, made: Made, tmp_path: Path) -> None:
    path = write(tmp_path / "x.bz2", bz2.compress(plain(made.files()[0])))
    outcome = place.run("ingest", CASE, path)

    assert outcome.code == 1
    assert "bz" in outcome.err


def test_a_folder_is_the_files_in_it(place: Place, made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "traffic"
    for path in made.files(days=DAYS[1:2]):
        (folder / path.parent.name).mkdir(parents=True)
        write(folder / path.parent.name / path.name, path.read_bytes())
    states = [row["state"] for row in place.ingest(folder)]

    assert states == ["new", "new"]
    assert counted(place.ask("traffic", CASE), "start") == true_days(made, days=DAYS[1:2])


def test_files_that_grow(place: Place, made: Made, tmp_path: Path) -> None:
    names = []
    for i, path in enumerate(made.files()):
        data = plain(path)
        every = list(frames(data))
        half = len(START + b"".join(every[: len(every) // 2]))
        names.append(write(tmp_path / f"{i}.dnstap", data[: half + 7 * (i % 2)]))
    place.ingest(*names)
    for path, name in zip(made.files(), names, strict=True):
        write(name, plain(path))
    states = {row["state"] for row in place.ingest(*names)}

    assert states == {"grown"}
    assert told(place.answers()) == true_answers(made)


@pytest.mark.parametrize("target", [f"{CASE},other", "--all-cases"])
def test_one_pass_for_two_cases(target: str, place: Place, made: Made, tmp_path: Path) -> None:
    text = made.case.read_text(encoding="utf-8").replace(CASE, "other")
    place.do("case", "import", write(tmp_path / "other.toml", text.encode()))
    files = made.files(days=DAYS[1:2])
    rows = place.do("ingest", target, *files, "--format", "json").out

    assert rows.count('"case": "other"') == rows.count(f'"case": "{CASE}"') == len(files)
    for case in (CASE, "other"):
        assert counted(place.ask("traffic", case), "start") == true_days(made, days=DAYS[1:2])


def test_a_case_that_comes_later_reads_what_is_known(mine: Place, made: Made) -> None:
    mine.do("case", "new", "later", "--takedown", DAYS[1], "--watch", "*.timedate1.com")
    mine.do("ingest", f"{CASE},later", *made.files(days=DAYS[1:2]))
    rows = mine.ask("traffic", "later", "--by", "name", "--since", DAYS[1], "--until", DAYS[2])
    truth = counted(made.truth("names", day=DAYS[1]), "name")

    assert counted(rows, "name") == {k: v for k, v in truth.items() if "timedate1.com" in k}
    assert counted(mine.ask("traffic", CASE), "start") == true_days(made)


def test_windows_are_half_open(small: Place, made: Made) -> None:
    rows = small.ask("traffic", CASE, "--since", DAYS[1], "--until", f"{DAYS[2]}T00:00:00Z")
    assert list(counted(rows, "start")) == [f"{DAYS[1]}T00:00:00Z"]
    day = counted(rows, "start")[f"{DAYS[1]}T00:00:00Z"]
    assert day == true_days(made)[f"{DAYS[1]}T00:00:00Z"]

    last = small.ask("traffic", CASE, "--by", "hour", "--since", f"{DAYS[2]}T23:00:00Z")
    assert list(counted(last, "start")) == [f"{DAYS[2]}T23:00:00Z"]
    assert small.ask("traffic", CASE, "--until", AFTER) == small.ask("traffic", CASE)


def test_clients_are_the_day_s_distinct_clients(small: Place, made: Made) -> None:
    rows = small.ask("clients", CASE, "--since", DAYS[1], "--until", DAYS[2])
    (truth,) = made.truth("daily", day=DAYS[1], resolver="all")

    assert len(rows) == len({row["address"] for row in rows}) == truth["clients"]
    assert sum(row["queries"] for row in rows) == truth["queries"]
    assert sum(row["unit"] == "ipv6_64" for row in rows) == truth["clients_ipv6_64"]
