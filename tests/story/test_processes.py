"""Runs that are stopped, watched, doubled or piped away: in processes of their own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from story.telling import CASE, DAYS, plain
from story.test_truth import counted, told, true_answers, true_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from story.telling import Made, Place

PATIENCE = 300.0
"""Seconds: kernels may have to be compiled first, on a machine that does other things too."""


@pytest.fixture
def stuck(place: Place, made: Made) -> Iterator[subprocess.Popen[bytes]]:
    """An ingest that stored one day of a resolver and waits in the middle of another source."""
    first, second = made.files("resolver-a", days=DAYS[:2])
    process = place.start("ingest", CASE, first, "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    half = plain(second)
    process.stdin.write(half[: len(half) // 2])
    process.stdin.flush()
    # Reading while another process writes: this is how the test knows how far that one came.
    last = time.monotonic() + PATIENCE
    while place.run("traffic", CASE).code != 0:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < last
        time.sleep(0.2)
    yield process
    process.stdin.close()
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def end(process: subprocess.Popen[bytes], with_signal: int) -> tuple[int, str]:
    process.send_signal(with_signal)
    code = process.wait(PATIENCE)
    assert process.stderr is not None
    return code, process.stderr.read().decode()


def test_killed_in_the_middle_and_run_again(
    stuck: subprocess.Popen[bytes], place: Place, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMNANT_STORE__WAIT_S", "0.1")
    one_day = true_days(made, "resolver-a", DAYS[:1])
    assert counted(place.ask("traffic", CASE), "start") == one_day
    busy = place.run("ingest", CASE, *made.files())
    assert busy.code == 1
    assert "another process is writing" in busy.err
    assert str(stuck.pid) in busy.err
    assert "hint" in busy.err

    assert end(stuck, signal.SIGKILL)[0] == -signal.SIGKILL
    assert counted(place.ask("traffic", CASE), "start") == one_day

    states = {row["path"]: row["state"] for row in place.ingest(*made.files())}
    assert list(states.values()).count("known") == 1
    assert told(place.answers()) == true_answers(made)


@pytest.mark.parametrize(
    ("with_signal", "code", "words"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_stopped_politely(
    with_signal: int,
    code: int,
    words: str,
    stuck: subprocess.Popen[bytes],
    place: Place,
    made: Made,
) -> None:
    left, said = end(stuck, with_signal)

    assert left == code, said
    assert words in said
    assert "Traceback" not in said
    assert "unchanged" in said
    rows = place.ask("traffic", CASE)
    assert counted(rows, "start") == true_days(made, "resolver-a", DAYS[:1])
    assert not list((place.home / "store").rglob("scratch*/*"))


def test_piped_into_head(small: Place) -> None:
    process = small.start("traffic", CASE, "--by", "hour", "--format", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(20)
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()

    assert process.wait(PATIENCE) in {0, 1, 141, -signal.SIGPIPE}
    assert said == ""


def test_progress_shows_on_a_terminal_and_not_in_a_pipe(place: Place, made: Made) -> None:
    quiet = place.do("ingest", CASE, *made.files(days=DAYS[:1])).err
    assert "\x1b" not in quiet
    assert "reading" not in quiet
    assert len(quiet.splitlines()) <= 3

    outer, inner = pty.openpty()
    loud = place.start("ingest", CASE, *made.files(days=DAYS[1:2]), stderr=inner)
    os.close(inner)
    seen = b""
    try:
        while part := os.read(outer, 4096):
            seen += part
    except OSError:  # the other end is closed
        pass
    assert loud.stdout is not None
    loud.stdout.close()
    assert loud.wait(PATIENCE) == 0
    os.close(outer)
    assert b"reading" in seen
    assert b"%" in seen or b"B/s" in seen or b"/" in seen


def test_output_that_cannot_be_written(small: Place) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110 - a device
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = small.start("traffic", CASE, stdout=full)
    _, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert b"Traceback" not in err
    assert b"No space left" in err
