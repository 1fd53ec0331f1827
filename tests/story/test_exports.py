"""Other people's servers: what the commands write, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path

CASE = """
[case]
name = "mine"
takedown = 2015-04-08

[[watch]]
names = ["ns1.timedate1.com", "*.thepicturehut.net", "one.example", "two.example"]
state = "seized"

[[watch]]
addresses = ["203.0.113.7"]
"""
SINK = '[sinkhole]\naddresses = ["192.0.2.53"]\n'
WRITTEN = {
    "zone": {"catalog.zone", "zones.tsv"},
    "knot": {"knot.conf", "knot-zones.conf", "zones.tsv"},
    "nsd": {"nsd.conf", "nsd-zones.conf", "zones.tsv"},
    "bind": {"named.conf", "named-zones.conf", "zones.tsv"},
    "unbound": {"unbound.conf", "unbound-zones.conf"},
    "rpz": {"rpz.zone", "named-rpz.conf", "unbound-rpz.conf"},
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def keep(place: Place, text: str) -> None:
    file = place.folder / "case.toml"
    file.write_text(text, encoding="utf-8")
    place.do("case", "import", file, "--replace")


@pytest.mark.parametrize("kind", list(WRITTEN))
def test_every_export_is_written_and_then_stays_the_same(
    place: Place, tmp_path: Path, kind: str
) -> None:
    keep(place, CASE + SINK)
    first = place.do("export", kind, "mine", "-o", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    second = place.do("export", kind, "mine", "-o", tmp_path / "out")

    assert {path.name for path in before if path.parent == tmp_path / "out"} == WRITTEN[kind]
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before
    assert first.out != second.out or kind == "rpz"


@pytest.mark.parametrize("kind", ["zone", "knot", "nsd", "bind", "unbound"])
def test_without_an_address_the_command_says_how_to_give_one(
    place: Place, tmp_path: Path, kind: str
) -> None:
    keep(place, CASE)
    outcome = place.run("export", kind, "mine", "-o", tmp_path / "out")

    assert outcome.code == 1
    assert "--answer 192.0.2.53" in outcome.err
    assert not (tmp_path / "out").exists()
    place.do("export", kind, "mine", "-o", tmp_path / "out", "--answer", "198.51.100.1")
    texts = [path.read_text() for path in (tmp_path / "out").rglob("*.*") if path.is_file()]
    assert any("A 198.51.100.1" in text for text in texts)


@pytest.mark.parametrize("answer", ["evil.example", "192.0.2.0/24", "", "192.0.2.1 A 6.6.6.6"])
def test_an_answer_is_an_address(place: Place, tmp_path: Path, answer: str) -> None:
    keep(place, CASE)
    outcome = place.run("export", "zone", "mine", "-o", tmp_path / "out", "--answer", answer)

    assert outcome.code == 1
    assert "address" in outcome.err


def test_a_changed_case_changes_what_it_must(place: Place, tmp_path: Path) -> None:
    keep(place, CASE + SINK)
    place.do("export", "zone", "mine", "-o", tmp_path, "--serial", "5")
    keep(place, CASE.replace("ns1.timedate1.com", "ns2.timedate1.com") + SINK)
    place.do("export", "zone", "mine", "-o", tmp_path)
    serials = {
        line.split("\t")[0]: int(line.split("\t")[2])
        for line in (tmp_path / "zones.tsv").read_text().splitlines()[1:]
    }

    assert serials["thepicturehut.net"] == serials["one.example"] == 5
    assert serials["timedate1.com"] > 5
    assert " 5 3600 600" in (tmp_path / "catalog.zone").read_text()  # the same zones as before


def test_generated_names_of_some_days(place: Place, tmp_path: Path) -> None:
    keep(
        place,
        '[case]\nname = "mine"\ntakedown = 2014-06-02\n[[watch]]\ndga = "newgoz"\n'
        f"from = 2014-07-01\nuntil = 2014-07-20\n{SINK}",
    )
    said = place.do(
        "export", "zone", "mine", "-o", tmp_path, "--since", "2014-07-10", "--until", "2014-07-11"
    ).out

    # Three days of 1,000 names: that day, and the days on both sides of it.
    assert said.startswith("3,000 zones, 3 files")


def test_a_policy_zone_refuses_the_sinkhole_and_says_what_it_leaves_out(
    place: Place, tmp_path: Path
) -> None:
    keep(place, CASE + SINK)
    refused = place.run("export", "rpz", "mine", "-o", tmp_path / "rpz", "--answer", "203.0.113.7")
    assert refused.code == 1
    assert "203.0.113.7 in 203.0.113.7/32" in refused.err
    keep(place, CASE.replace("one.example", "32.8.8.8.8.rpz-ip") + SINK)
    said = place.do("export", "rpz", "mine", "-o", tmp_path / "rpz", "--serial", "9")

    assert said.out.startswith("5 triggers in rpz.mine.invalid, serial 9")
    assert "left out" in said.err
    assert "rpz-ip" in said.err


def test_several_cases_in_one_server(place: Place, tmp_path: Path) -> None:
    keep(place, CASE + SINK)
    place.do(
        "export", "zone", "mine,beebone", "-o", tmp_path, "--answer", "192.0.2.53",
        "--catalog", "takedowns.example",
    )  # fmt: skip

    assert "\nchopbell.com\t" in (tmp_path / "zones.tsv").read_text()


@pytest.mark.parametrize(
    "options",
    [("--listen", "everywhere"), ("--root", "not/absolute"), ("--dnstap", '/a"; drop')],
)
def test_options_that_cannot_stand_in_a_configuration(
    place: Place, tmp_path: Path, options: tuple[str, str]
) -> None:
    keep(place, CASE + SINK)
    outcome = place.run("export", "knot", "mine", "-o", tmp_path / "out", *options)

    assert outcome.code == 1
    assert options[0] in outcome.err
    assert not (tmp_path / "out").exists()


def test_files_for_another_machine_name_its_folder(place: Place, tmp_path: Path) -> None:
    keep(place, CASE + SINK)
    for kind, file in (("knot", "knot.conf"), ("nsd", "nsd.conf"), ("bind", "named.conf")):
        place.do("export", kind, "mine", "-o", tmp_path, "--root", "/srv/sink", "--dnstap", "none")
        text = (tmp_path / file).read_text()
        assert "/srv/sink/run" in text
        assert str(tmp_path) not in text
        assert "dnstap" not in text
