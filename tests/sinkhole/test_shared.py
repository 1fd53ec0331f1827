"""Numbers that two processes see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from remnant.sinkhole import fastpath
from remnant.sinkhole.recorder import RecorderState
from remnant.sinkhole.shared import COUNTERS, GAUGES, SLOTS, Numbers


def test_another_process_counts_and_its_numbers_outlive_it() -> None:
    numbers = Numbers()
    code = (
        "import os, sys; from remnant.sinkhole.shared import Numbers;"
        "n = Numbers(int(sys.argv[1])); n['rows'] += 5; n['bytes_in'] = 2**40; os._exit(1)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(numbers.handle)], pass_fds=[numbers.handle], check=False
    )

    assert (numbers["rows"], numbers["bytes_in"], numbers["messages"]) == (5, 2**40, 0)
    numbers.close()


def test_every_number_has_a_place_of_its_own_and_there_is_room() -> None:
    numbers = Numbers()
    assert len(set(SLOTS.values())) == len(COUNTERS) + len(GAUGES) <= numbers.values.size
    numbers.close()


def test_the_fast_path_counts_where_the_names_say() -> None:
    places = {
        name: getattr(fastpath, name.upper())
        for name in ("messages", "answered", "observed", "unlisted", "limited", "malformed",
                     "not_queries", "foreign", "silent", "unsent", "bytes_in", "bytes_out",
                     "batches", "cookies")
    }  # fmt: skip

    assert {name: SLOTS[name] for name in places} == places
    assert len(COUNTERS) >= fastpath.COUNTERS


def test_what_a_recorder_kept_is_told_with_a_sign_of_life() -> None:
    numbers = Numbers()
    numbers.kept(RecorderState(alarm="full", rows=3, lost=2, bytes=99, synced=1))

    assert [numbers[name] for name in ("rows", "lost", "stored_bytes", "synced", "alarm")] == [
        3, 2, 99, 1, 1,
    ]  # fmt: skip
    assert numbers["alive"] > 1_700_000_000_000_000
    numbers.kept(RecorderState())
    assert numbers["alarm"] == 0
    numbers.close()


def test_what_is_closed_is_given_back() -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))

    before = open_files()
    for _ in range(20):
        Numbers().close()

    assert open_files() == before
