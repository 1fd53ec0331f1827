"""The manifest shows each change of what was kept."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from remnant.errors import KeyMismatch, StoreError
from remnant.sinkhole.evidence_key import key_path
from remnant.sinkhole.manifest import Manifest, public_key, verify
from sinkhole.recording import (
    NOW,
    OTHERS,
    RULES,
    Clock,
    add,
    asked,
    decompressed,
    facts_for,
    home,
    keeper,
    recorder,
    rounds,
    segments,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remnant.settings import Settings


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home with two sealed segments and one that is open, and its key; made once."""
    folder = tmp_path_factory.mktemp("kept")
    before = {name: os.environ.get(name) for name in ("REMNANT_HOME", "REMNANT_SITE_KEY")}
    os.environ["REMNANT_HOME"] = str(folder / "home")
    os.environ["REMNANT_SITE_KEY"] = str(folder / "key" / "site.key")
    try:
        settings, clock = home(), Clock()
        for number in range(3):
            clock.now = NOW + number * 1_000_000
            writing = recorder(settings, clock, worker=f"udp-{number}")
            add(writing, *[asked(time=clock.now)] * (number + 1))
            if number < 2:
                writing.close()
        keeping = keeper(settings, clock)
        rounds(keeping)
        keeping.close()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return folder / "home", folder / "key"


@pytest.fixture
def copied(kept: tuple[Path, Path]) -> Settings:
    """A copy of that home for this test alone."""
    settings = home()
    shutil.copytree(kept[0], settings.home)
    shutil.copytree(kept[1], settings.site_key.parent)
    return settings


def lines(settings: Settings) -> list[bytes]:
    return (settings.home / "sinkhole" / "manifest.jsonl").read_bytes().splitlines(keepends=True)


def write(settings: Settings, data: list[bytes]) -> None:
    (settings.home / "sinkhole" / "manifest.jsonl").write_bytes(b"".join(data))


def what(settings: Settings) -> list[str]:
    return [problem.what for problem in verify(settings.home).problems]


def test_what_was_kept_is_whole(copied: Settings) -> None:
    report = verify(copied.home)

    assert report.ok
    # The keeper took the last one for abandoned, when its writer was gone.
    assert (report.segments + report.open, report.removed) == (3, 0)
    assert report.rows == 6
    assert report.lines == 1 + 3 + report.segments
    assert report.public_key == public_key(copied)
    assert report.first is not None
    assert report.last is not None
    assert (report.last - report.first).total_seconds() == 2
    told = report.to_json()
    assert told["ok"] is True
    assert told["first"] == "2026-08-01T12:00:00Z"
    assert json.dumps(told)
    assert verify(copied.home).to_json() == told


def test_the_key_and_the_manifest_are_their_owners_only(copied: Settings) -> None:
    for path in (key_path(copied), copied.home / "sinkhole" / "manifest.jsonl"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key_path(copied).parent == copied.site_key.parent
    assert not key_path(copied).is_relative_to(copied.home)


def test_nothing_is_whole_too() -> None:
    report = verify(home().home)

    assert report.ok
    assert (report.lines, report.segments, report.public_key) == (0, 0, None)


def sealed(settings: Settings) -> Path:
    return next(path for path in segments(settings) if path.name.endswith(".zst"))


def _flip(settings: Settings) -> None:
    path = sealed(settings)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _replace(settings: Settings) -> None:
    import zstandard

    path = sealed(settings)
    data = bytearray(decompressed(path))
    data[-50] ^= 1
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(data)))


def _longer(settings: Settings) -> None:
    import zstandard

    path = sealed(settings)
    path.write_bytes(zstandard.ZstdCompressor().compress(decompressed(path) + b"more"))


def _shorter(settings: Settings) -> None:
    import zstandard

    path = sealed(settings)
    path.write_bytes(zstandard.ZstdCompressor().compress(decompressed(path)[:-1]))


def _missing(settings: Settings) -> None:
    sealed(settings).unlink()


def _planted(settings: Settings) -> None:
    path = sealed(settings)
    shutil.copy(path, path.with_name("20260801T120000Z-udp-0-ffffffffffffffff.rseg.zst"))


def _recompressed_with_damage(settings: Settings) -> None:
    sealed(settings).write_bytes(b"\x28\xb5\x2f\xfd")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_flip, "its bytes are not those|it is shorter"),
        (_replace, "its bytes are not those that were sealed"),
        (_longer, "it is longer than what was sealed"),
        (_shorter, "it is shorter than what was sealed"),
        (_missing, "the segment is missing and has no tombstone"),
        (_planted, "the manifest does not know this segment"),
        (_recompressed_with_damage, "it is shorter than what was sealed: 0 of"),
    ],
)
def test_a_changed_segment_is_found(
    copied: Settings, change: Callable[[Settings], None], expected: str
) -> None:
    import re

    change(copied)
    report = verify(copied.home)

    assert len(report.problems) == 1
    assert re.search(expected, report.problems[0].what)
    assert report.problems[0].where.startswith("sinkhole/demo/2026")
    assert not report.to_json()["ok"]


def test_another_compression_of_the_same_bytes_is_the_same(copied: Settings) -> None:
    import zstandard

    path = sealed(copied)
    path.write_bytes(zstandard.ZstdCompressor(level=9).compress(decompressed(path)))
    assert verify(copied.home).ok
    path.with_name(path.name.removesuffix(".zst")).write_bytes(decompressed(path))
    assert verify(copied.home).ok
    path.unlink()
    assert verify(copied.home).ok


@pytest.mark.parametrize("number", range(5))
def test_a_changed_line_is_found(copied: Settings, number: int) -> None:
    data = lines(copied)
    facts = data[number].replace(b'"time":"2', b'"time":"3')
    assert facts != data[number]
    write(copied, [*data[:number], facts, *data[number + 1 :]])

    assert "the signature is wrong" in what(copied)
    if number < len(data) - 1:
        assert "the chain is broken before this line" in what(copied)


@pytest.mark.parametrize("number", range(1, 4))
def test_a_line_that_was_taken_out_is_found(copied: Settings, number: int) -> None:
    data = lines(copied)
    write(copied, data[:number] + data[number + 1 :])

    assert "the chain is broken before this line" in what(copied)


def test_lines_in_another_order_are_found(copied: Settings) -> None:
    data = lines(copied)
    write(copied, [data[0], data[2], data[1], *data[3:]])

    assert "the chain is broken before this line" in what(copied)


def test_a_line_without_the_key_is_found(copied: Settings) -> None:
    data = lines(copied)
    body = json.loads(data[-1])
    body["signature"] = "00" * 64
    write(copied, [*data[:-1], json.dumps(body, separators=(",", ":")).encode() + b"\n"])

    assert what(copied) == ["the signature is wrong"]


@pytest.mark.parametrize(
    "line", [b"not json\n", b"{}\n", b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n", b"null\n"]
)
def test_any_line_is_survived(copied: Settings, line: bytes) -> None:
    data = lines(copied)
    write(copied, [*data, line, data[-1]])

    assert "the line cannot be read" in what(copied)
    with pytest.raises(StoreError, match="cannot be read"):
        Manifest(copied)


def test_a_manifest_of_another_key_is_found_if_the_right_one_is_known(
    copied: Settings,
) -> None:
    right = public_key(copied)
    assert right is not None
    assert verify(copied.home, public_key=right.upper()).ok
    (copied.home / "sinkhole" / "manifest.jsonl").unlink()
    key_path(copied).unlink()
    forged = Manifest(copied)
    for path in segments(copied):
        name = path.name.split("-")[-1][:16]
        forged.begin(name, "demo", path.name.removesuffix(".zst"), {})

    assert verify(copied.home).ok
    report = verify(copied.home, public_key=right)
    assert not report.ok
    assert "the manifest is of another key" in {problem.what for problem in report.problems}


def test_without_its_key_the_manifest_is_not_continued(copied: Settings) -> None:
    secret = key_path(copied).read_bytes()
    key_path(copied).unlink()
    with pytest.raises(KeyMismatch, match="not there"):
        Manifest(copied).begin("a" * 16, "demo", "x", {})
    key_path(copied).write_bytes(b"0" * 64 + b"\n")
    with pytest.raises(KeyMismatch, match="another key"):
        Manifest(copied).begin("a" * 16, "demo", "x", {})
    key_path(copied).write_bytes(b"short")
    with pytest.raises(KeyMismatch, match="not a key"):
        Manifest(copied).begin("a" * 16, "demo", "x", {})
    key_path(copied).write_bytes(secret)
    Manifest(copied).begin("a" * 16, "demo", "x", {})
    assert what(copied) == ["the segment is missing and has no tombstone"]


def test_what_a_kill_left_of_a_line_is_overwritten(copied: Settings) -> None:
    data = lines(copied)
    write(copied, [*data, data[-1][:40]])
    assert what(copied) == ["the last line is not complete"]
    manifest = Manifest(copied)
    assert lines(copied)[-1] == data[-1][:40]
    manifest.remove(next(iter(manifest.segments)), "test")

    assert len(lines(copied)) == len(data) + 1
    assert what(copied) == ["it has a tombstone and is still there"]


def test_two_processes_continue_one_chain(copied: Settings) -> None:
    one, two = Manifest(copied), Manifest(copied)
    names = list(one.segments)
    one.remove(names[0], "first")
    two.remove(names[1], "second")
    # Once is enough.
    one.remove(names[1], "again")
    two.begin(names[0], "demo", "x", {})

    reasons = [json.loads(line).get("reason") for line in lines(copied)]
    assert reasons[-2:] == ["first", "second"]
    assert set(what(copied)) == {"it has a tombstone and is still there"}


def test_many_threads_continue_one_chain(copied: Settings) -> None:
    def begin(worker: int) -> None:
        manifest = Manifest(copied)
        for number in range(10):
            manifest.begin(f"{worker:08x}{number:08x}", "demo", "x", {})

    threads = [threading.Thread(target=begin, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    report = verify(copied.home)
    assert len(report.problems) == 40
    assert {problem.what for problem in report.problems} == {
        "the segment is missing and has no tombstone"
    }


def test_a_full_disk_leaves_the_chain_whole(
    copied: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest(copied)
    data = lines(copied)

    def full(file: int, what: Any, start: int) -> int:
        if start >= sum(map(len, data)) + 20:
            raise OSError(28, os.strerror(28))
        return real(file, what[:20], start)

    real = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(StoreError):
            manifest.begin("a" * 16, "demo", "x", {})
    assert lines(copied) == data
    manifest.begin("a" * 16, "demo", "x", {})
    assert what(copied) == ["the segment is missing and has no tombstone"]


def test_a_manifest_that_became_shorter_is_refused(copied: Settings) -> None:
    manifest = Manifest(copied)
    write(copied, lines(copied)[:2])
    with pytest.raises(StoreError, match="shorter"):
        manifest.refresh()


def test_segments_that_nobody_committed_yet_are_told_as_open() -> None:
    settings, clock = home(), Clock()
    writing = recorder(
        settings, clock, cases=facts_for(*RULES, *OTHERS), memberships=[("demo", "other")]
    )
    add(writing, asked(), asked(time=NOW + 5))
    report = verify(settings.home)

    assert report.ok
    assert (report.open, report.rows, report.segments) == (2, 4, 0)
    assert report.unsealed_bytes == sum(
        path.stat().st_size for case in ("demo", "other") for path in segments(settings, case)
    )
    writing.close()
