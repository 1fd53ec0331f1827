"""A folder of exported files, exported into again."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.errors import ExportError
from remnant.names import wire_to_text
from remnant.sinkhole.exports import LIST, Export, Placed, write_file
from remnant.sinkhole.zonefile import ZoneText
from remnant.sinkhole.zones import Answering, Zone
from sinkhole.seized import seized_zones

ANSWERING = Answering("x", ("192.0.2.53",), (), (60,), 0)


def zone(name: str, *exact: str, answering: Answering = ANSWERING) -> Zone:
    return Zone(name, answering, ["x"], dict.fromkeys(exact or (name,)))


def run(folder: Path, *zones: Zone, now: int = 100, serial: int | None = None) -> dict[str, Placed]:
    export = Export(folder, now=now, serial=serial)
    export.zones(zones)
    export.finish()
    return {placed.zone: placed for placed in export.placed}


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_zones_that_hold_the_same_share_a_file(tmp_path: Path) -> None:
    placed = run(
        tmp_path, zone("a.test"), zone("b.test"), zone("c.test", "www.c.test"), zone("d.test")
    )

    assert placed["a.test"].file == placed["b.test"].file == placed["d.test"].file
    assert placed["a.test"].file.startswith("shared/")
    assert placed["c.test"].file == "zones/c.test.zone"
    assert set(files(tmp_path)) == {placed["a.test"].file, "zones/c.test.zone", LIST}
    for name in ("a.test", "b.test"):
        text = (tmp_path / placed[name].file).read_text()
        read = dns.zone.from_text(text, origin=f"{name}.", relativize=False)
        assert read.get_soa().serial == 100
        assert read.get_rdataset(f"{name}.", "A") is not None


def test_the_same_content_is_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    run(tmp_path, *seized_zones(), now=100)
    before = files(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.zone")}
    export = Export(tmp_path, now=999)
    export.zones(seized_zones())
    export.finish()

    assert files(tmp_path) == before
    assert export.written == 0
    assert export.kept == len(before)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.zone")} == times


def test_only_what_changed_has_a_new_serial(tmp_path: Path) -> None:
    run(tmp_path, zone("a.test", "x.a.test"), zone("b.test", "y.b.test"), now=100)
    placed = run(tmp_path, zone("a.test", "x.a.test"), zone("b.test", "z.b.test"), now=200)

    assert placed["a.test"].serial == 100
    assert placed["b.test"].serial == 200


def test_a_serial_grows_even_if_the_clock_does_not(tmp_path: Path) -> None:
    run(tmp_path, zone("a.test", "x.a.test"), serial=2_026_112_601)
    placed = run(tmp_path, zone("a.test", "y.a.test"), now=1_795_000_000)

    assert placed["a.test"].serial == 2_026_112_602


def test_a_zone_that_moves_to_another_file_has_a_newer_serial(tmp_path: Path) -> None:
    other = replace(ANSWERING, ttls=(300,))
    run(tmp_path, *map(zone, ("a.test", "b.test")), now=100)
    run(tmp_path, *map(zone, ("a.test", "b.test")), zone("c.test", answering=other), now=900)
    placed = run(tmp_path, zone("a.test"), zone("b.test"), zone("c.test"), zone("d.test"), now=200)

    # It joined a file whose own content is as old as 100.
    assert placed["c.test"].file == placed["a.test"].file
    assert {at.serial for at in placed.values()} == {901}


def test_files_of_zones_that_are_gone_go_and_others_stay(tmp_path: Path) -> None:
    run(tmp_path, zone("a.test", "x.a.test"), zone("b.test", "y.b.test"))
    (tmp_path / "zones" / "mine.zone").write_text("kept", encoding="ascii")
    run(tmp_path, zone("a.test", "x.a.test"))

    assert set(files(tmp_path)) == {"zones/a.test.zone", "zones/mine.zone", LIST}


def test_a_chosen_serial_holds_for_all_and_never_goes_back(tmp_path: Path) -> None:
    placed = run(tmp_path, zone("a.test"), zone("b.test", "x.b.test"), serial=7)
    assert {at.serial for at in placed.values()} == {7}
    with pytest.raises(ExportError, match="not newer") as caught:
        run(tmp_path, zone("a.test"), zone("b.test", "x.b.test"), serial=6)
    assert caught.value.expected is not None
    assert caught.value.expected.startswith("8 ")
    assert {at.serial for at in run(tmp_path, zone("a.test"), serial=8).values()} == {8}


def test_a_run_that_was_interrupted_is_made_good(tmp_path: Path) -> None:
    run(tmp_path, zone("a.test", "x.a.test"), now=100)
    listed = (tmp_path / LIST).read_bytes()
    run(tmp_path, zone("a.test", "y.a.test"), now=500)
    (tmp_path / LIST).write_bytes(listed)  # it wrote the zone, and then the power went
    placed = run(tmp_path, zone("a.test", "z.a.test"), now=200)

    assert placed["a.test"].serial == 501


@pytest.mark.parametrize(
    "line",
    [
        "a.test\t../../etc/passwd\t1",
        "a.test\tzones/../../x.zone\t1",
        "a.test\t/etc/x.zone\t1",
        "a.test\tzones/x\t1",
        "a.test\tzones/x.zone\t-1",
        "a.test\tzones/x.zone",
        "\0\xff",
    ],
)
def test_a_list_that_somebody_wrote_is_not_followed(tmp_path: Path, line: str) -> None:
    (tmp_path / LIST).write_text(f"{line}\n", encoding="utf-8")

    with pytest.raises(ExportError, match="earlier export") as caught:
        Export(tmp_path, now=1)
    assert caught.value.where is not None
    assert f"{LIST}:1" in caught.value.where


BYTES = st.lists(st.binary(min_size=1, max_size=63), min_size=1, max_size=3)


@given(BYTES)
def test_no_name_leads_out_of_the_folder(labels: list[bytes]) -> None:
    name = wire_to_text(b"".join(bytes((len(label),)) + label for label in labels) + b"\0")
    written: list[str] = []

    class Noted(Export):
        def file(self, name: str, text: str) -> None:
            del text
            written.append(name)

        def __post_init__(self) -> None:
            pass

    export = Noted(Path("nowhere"), now=1)
    export.zones([zone(name)])

    folder, _, file = written[0].partition("/")
    assert folder == "zones"
    assert len(file) <= 255
    assert not set(file) - set("abcdefghijklmnopqrstuvwxyz0123456789-_.=")
    assert not file.startswith(".")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert write_file(path, b"first")
    held = path.open("rb")
    assert write_file(path, b"second")
    assert not write_file(path, b"second")

    with held:
        assert held.read() == b"first"
    assert path.read_bytes() == b"second"
    assert [found.name for found in path.parent.iterdir()] == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").touch()

    with pytest.raises(OSError, match="taken"):
        write_file(tmp_path / "taken", b"x")
    assert [found.name for found in tmp_path.iterdir()] == ["taken"]


def test_a_file_with_a_serial_of_its_own(tmp_path: Path) -> None:
    text = ZoneText("# serial ", "\nfirst\n")
    assert Export(tmp_path, now=100).alone("x.conf", text) == 100
    assert Export(tmp_path, now=200).alone("x.conf", text) == 100
    assert Export(tmp_path, now=50).alone("x.conf", ZoneText("# serial ", "\nsecond\n")) == 101
    with pytest.raises(ExportError, match="not newer"):
        Export(tmp_path, now=1, serial=100).alone("x.conf", text)


def test_many_generated_names_take_little_time(tmp_path: Path) -> None:
    import time

    zones = [zone(f"dga{number}.test") for number in range(50_000)]
    began = time.process_time()
    placed = run(tmp_path, *zones)

    assert len(placed) == 50_000
    assert len(files(tmp_path)) == 2
    # About half a second of work; one file each would take far longer.
    assert time.process_time() - began < 20
