"""Files and folders that went wrong: a clear message, the right exit code, nothing lost."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dnstap_writer import (
    CLIENT_QUERY,
    CLIENT_RESPONSE,
    START,
    START_TIME,
    control,
    message,
    query,
    response,
    stream,
)
from story.telling import CASE, DAYS, Outcome, Place, frames, joined, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from story.telling import Made

WATCHED = "ns1.evil.example"
HOUR = 3600.0


@pytest.fixture
def real(tmp_path: Path) -> Place:
    """A home with a case of one name, which is not simulated."""
    place = Place(tmp_path / "real")
    place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    return place


def asked(count: int = 3, **options: Any) -> list[bytes]:
    return [
        message(CLIENT_QUERY, query(WATCHED, ident=i), **{"time": START_TIME + i * HOUR} | options)
        for i in range(count)
    ]


def read(place: Place, data: bytes, *options: object) -> tuple[Outcome, dict[str, Any]]:
    """Ingest one named file; return the outcome and its row."""
    path = place.folder / "in.dnstap"
    path.write_bytes(data)
    outcome = place.run("ingest", "evil", path, *options, "--format", "json")
    import json

    (row,) = json.loads(outcome.out)["sources"]
    assert row["messages"] + row["malformed"] + row["skipped"] == row["records"]
    assert "Traceback" not in outcome.err
    return outcome, row


def queries(place: Place) -> int:
    return sum(row["queries"] or 0 for row in place.ask("traffic", "evil"))


def test_a_file_cut_off_in_a_frame_keeps_what_was_whole(real: Place) -> None:
    outcome, row = read(real, stream(*asked())[:-20])

    assert outcome.code == 0, outcome.err
    assert row["matched"] == queries(real) == 2
    assert row["notes"] or outcome.err


def test_a_file_without_its_stop_frame_is_whole(real: Place) -> None:
    outcome, row = read(real, stream(*asked(), stop=b""))

    assert (outcome.code, row["state"], row["matched"]) == (0, "new", 3)


def test_a_compressed_file_cut_off(real: Place) -> None:
    import gzip

    outcome, row = read(real, gzip.compress(stream(*asked(400, time=START_TIME)))[:-600])

    assert outcome.code == 0, outcome.err
    assert row["state"] == "damaged"
    assert 0 < row["matched"] < 400
    assert "damaged" in outcome.err + str(row["notes"])


def test_an_empty_file_is_listed(real: Place) -> None:
    outcome, row = read(real, b"")

    assert (outcome.code, row["state"], row["records"]) == (0, "empty", 0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(500), id="magic"),
        pytest.param(b"<!doctype html><title>not found</title>" * 30, id="html"),
        pytest.param(control(2, b"protobuf:other.Thing") + bytes(40), id="content-type"),
        pytest.param(random.Random(1).randbytes(4096), id="noise"),
    ],
)
def test_what_no_reader_knows_fails_when_named_and_not_in_a_folder(
    data: bytes, real: Place
) -> None:
    outcome, row = read(real, data)
    assert outcome.code == 1
    assert row["state"] in {"not recognised", "not read"}
    assert "in.dnstap" in outcome.err
    assert "dnstap" in outcome.err

    folder = real.folder / "folder"
    folder.mkdir()
    (folder / "junk").write_bytes(data)
    (folder / "good.dnstap").write_bytes(stream(*asked()))
    outcome = real.run("ingest", "evil", folder)
    assert outcome.code == 0, outcome.err
    assert "junk" in outcome.out
    assert queries(real) == 3


def test_clocks_of_1970_and_of_the_future_are_kept_apart(real: Place) -> None:
    wrong = [
        message(CLIENT_QUERY, query(WATCHED), time=5.0),
        message(CLIENT_QUERY, query(WATCHED), time=None),
        message(CLIENT_QUERY, query(WATCHED), time=4e9),
    ]
    outcome, row = read(real, stream(*wrong, *asked()))

    assert outcome.code == 0
    assert row["clock_faults"] == 3
    assert queries(real) == 3
    assert [r["start"][:4] for r in real.ask("traffic", "evil")] == ["2015"]


def test_a_file_of_clock_faults_alone_is_no_data_and_says_so(real: Place) -> None:
    outcome, row = read(real, stream(message(CLIENT_QUERY, query(WATCHED), time=5.0)))
    assert (outcome.code, row["clock_faults"]) == (0, 1)

    outcome = real.run("traffic", "evil")
    assert outcome.code == 1
    assert "hint" in outcome.err


def test_responses_alone_are_counted_and_named(real: Place) -> None:
    only = [
        message(CLIENT_RESPONSE, response(query(WATCHED, ident=i)), time=START_TIME + i)
        for i in range(4)
    ]
    outcome, row = read(real, stream(*only, message(CLIENT_RESPONSE, None), message(5, None)))

    assert outcome.code == 0
    assert row["matched"] == queries(real) == 4
    assert "responses are counted" in str(row["notes"])


def test_a_folder_of_junk_does_not_stop_the_one_good_file(real: Place) -> None:
    folder = real.folder / "mixed"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "nowhere").symlink_to(folder / "is not there")
    (folder / "page.html").write_text("<html></html>")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    (folder / "noise.bin").write_bytes(random.Random(2).randbytes(10_000))
    (folder / "zero").touch()
    (folder / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (folder / "x\x1b[2J\n").write_bytes(b"hostile name")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dnstap")).write_bytes(
        stream(*asked(2, client="192.0.2.9"))
    )
    os.mkfifo(folder / "pipe")
    (folder / "deep" / "er" / "good.dnstap").write_bytes(stream(*asked()))
    for form in ("table", "csv", "json"):
        outcome = real.run("ingest", "evil", folder, "--format", form)
        assert outcome.code == 0, outcome.said
        assert "\x1b" not in outcome.said
        outcome.said.encode("utf-8")

    assert queries(real) == 5


def test_a_pipe_that_is_named_is_read(real: Place) -> None:
    pipe = real.folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["/bin/sh", "-c", f"cat > '{pipe}'"], stdin=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        writer.stdin.write(stream(*asked()))
        writer.stdin.close()
        outcome = real.run("ingest", "evil", pipe)

    assert outcome.code == 0, outcome.err
    assert queries(real) == 3


def test_a_missing_file_is_named_and_the_others_are_read(real: Place) -> None:
    good = real.folder / "good.dnstap"
    good.write_bytes(stream(*asked()))
    outcome = real.run("ingest", "evil", real.folder / "gone.dnstap", good)

    assert outcome.code == 1
    assert "gone.dnstap" in outcome.err
    assert "No such file" in outcome.err
    assert queries(real) == 3


# Disks and permissions.


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 2_000, 40_000])
def test_a_disk_that_takes_no_more_loses_nothing(size: int, mine: Place, made: Made) -> None:
    before = mine.ask("traffic", CASE)
    more = made.folder / "traffic" / "resolver-a" / "2015-04-10.dnstap.zst"
    with files_no_larger_than(size):
        outcome = mine.run("ingest", CASE, more)

    assert outcome.code == 1, outcome.said
    assert "Traceback" not in outcome.err
    assert str(mine.home) in outcome.err
    assert mine.ask("traffic", CASE) == before
    (row,) = mine.ingest(more)
    assert row["state"] == "new"


def test_a_full_disk_loses_nothing(mine: Place, made: Made) -> None:
    disk = mine.folder / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False
        ).returncode
    ):
        pytest.skip("file systems cannot be mounted here")
    try:
        shutil.copytree(mine.home, disk / "home")
        shutil.copytree(mine.folder / "key", disk / "key")
        full = Place(disk)
        before = full.ask("traffic", CASE)
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", 0) as ballast:
            while True:
                ballast.write(bytes(4096))
        more = made.folder / "traffic" / "resolver-a" / "2015-04-10.dnstap.zst"
        outcome = full.run("ingest", CASE, more)
        assert outcome.code == 1
        assert "No space left" in outcome.err or "full" in outcome.err
        assert "Traceback" not in outcome.err
        assert full.ask("traffic", CASE) == before
        (disk / "ballast").unlink()
        assert full.ingest(more)[0]["state"] == "new"
    finally:
        # The frames of an exception hold what was mapped from there.
        gc.collect()
        subprocess.run(["umount", str(disk)], check=True)


@contextlib.contextmanager
def as_nobody() -> Iterator[Path]:
    """Become a user whom permissions bind; yield a folder that it may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = os.geteuid() == 0
    # That user may not read the interpreter's own files: what is needed is loaded before.
    before = Place(folder / "before")
    before.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
    (folder / "first.dnstap").write_bytes(stream(*asked()))
    before.do("ingest", "evil", folder / "first.dnstap")
    before.do("report", "evil", "-o", folder / "first.html")
    queries(before)
    try:
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    with as_nobody() as folder:
        place = Place(folder / "place")
        place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
        secret = folder / "secret.dnstap"
        secret.write_bytes(stream(*asked()))
        secret.chmod(0)
        outcome = place.run("ingest", "evil", secret)

        assert outcome.code == 1
        assert "secret.dnstap" in outcome.err
        assert "Permission denied" in outcome.err


def test_a_home_that_may_not_be_written(tmp_path: Path) -> None:
    with as_nobody() as folder:
        place = Place(folder / "place")
        place.do("case", "new", "evil", "--takedown", "2015-04-08", "--watch", "*.evil.example")
        good = folder / "good.dnstap"
        good.write_bytes(stream(*asked()))
        place.do("ingest", "evil", good)
        more = folder / "more.dnstap"
        more.write_bytes(stream(*asked(9, client="192.0.2.77")))
        kept = [path for path in [place.home, *place.home.rglob("*")] if path.is_dir()]
        for path in kept:
            path.chmod(0o555)
        outcome = place.run("ingest", "evil", more)
        assert outcome.code == 1, outcome.said
        assert str(place.home) in outcome.err
        assert "Traceback" not in outcome.err
        assert queries(place) == 3
        for path in kept:
            path.chmod(0o755)
        report = place.run("report", "evil", "-o", folder / "no" / "such" / "r.html")
        assert report.code in {0, 1}
        assert "Traceback" not in report.err


def test_another_site_key_is_refused(mine: Place, made: Made) -> None:
    before = mine.ask("traffic", CASE)
    key = mine.folder / "key" / "site.key"
    kept = key.read_bytes()
    key.unlink()
    outcome = mine.run("ingest", CASE, *made.files(days=DAYS[:1]))
    assert outcome.code == 1
    assert "key" in outcome.err

    if key.exists():
        key.unlink()
    key.write_bytes(kept)
    key.chmod(0o600)
    assert mine.ask("traffic", CASE) == before


def test_a_ledger_that_is_no_database(mine: Place) -> None:
    (mine.home / "state.sqlite").write_bytes(b"not a database" * 100)
    for command in (["traffic", CASE], ["ingest", CASE, "x"], ["sensor", "list", CASE]):
        outcome = mine.run(*command)
        assert outcome.code == 1
        assert "state.sqlite" in outcome.err
        assert "Traceback" not in outcome.err


def test_a_stored_file_that_is_gone_or_broken(mine: Place) -> None:
    kept = sorted((mine.home / "store").rglob("activity/**/*.parquet"))
    kept += sorted((mine.home / "store").rglob("sightings/**/*.parquet"))
    for path in kept:
        path.write_bytes(b"PAR1 this is none PAR1")
    outcome = mine.run("traffic", CASE, "--by", "name")

    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert str(mine.home) in outcome.err


def test_frames_of_impossible_length(real: Place) -> None:
    outcome, row = read(real, START + (2**31).to_bytes(4, "big") + b"x" * 100)

    assert outcome.code in {0, 1}
    assert row["matched"] == 0
    del row


def test_joined_files_are_one(real: Place, made: Made) -> None:
    one, other = (plain(path) for path in made.files(days=DAYS[:1]))

    assert len(list(frames(joined([one, other])))) == len([*frames(one), *frames(other)])
