from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zstandard

from remnant.simulate import dnstap

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.simulate import SimulationResult
    from simulate.slow_decoder import Frame

WORDS = {3: "RQ", 4: "RR", 5: "CQ", 6: "CR"}


@pytest.mark.parametrize("tool", ["dnstap", "dnstap-ldns"])
def test_other_tools_count_the_same_messages(
    tool: str, short: SimulationResult, read: dict[Path, list[Frame]], tmp_path: Path
) -> None:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed (Debian packages golang-dnstap-cli, dnstap-ldns)")
    path, frames = next(iter(read.items()))
    plain = tmp_path / "plain.dnstap"
    with (short.out / path).open("rb") as packed, plain.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(packed, out)

    shown = subprocess.run(
        [program, "-r", str(plain), "-q"], capture_output=True, check=True, text=True
    )

    lines = [line.split() for line in shown.stdout.splitlines()]
    column = 1 if tool == "dnstap" else 2
    assert Counter(line[column] for line in lines) == Counter(WORDS[f.type] for f in frames)


def test_authorities_are_asked_by_the_resolver_not_the_client(
    read: dict[Path, list[Frame]],
) -> None:
    asked = [f for frames in read.values() for f in frames if f.type in {3, 4}]

    assert asked
    assert {f.client for f in asked} == {"192.0.2.1", "192.0.2.2"}
    assert {f.server for f in asked} == {"198.51.100.253"}
    assert not any(f.parsed.flags & 0x0100 for f in asked)


def test_no_frame_needs_more_room_than_it_has(short: SimulationResult) -> None:
    del short
    wire = np.frombuffer(
        b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x3d" + b"c" * 61, np.uint8
    ).copy()
    wire = np.concatenate([wire, wire[-62:], np.zeros(1, np.uint8)])[-255:]
    assert 12 + 255 + 4 + 12 + 60 + 11 + 20 < 512
    assert dnstap.MOST_BYTES > 512 + 4 + 64 + 100


def test_start_and_stop_are_the_control_frames_of_frame_streams() -> None:
    assert dnstap.START == (
        b"\x00\x00\x00\x00\x00\x00\x00\x22\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x16"
        b"protobuf:dnstap.Dnstap"
    )
    assert dnstap.STOP == b"\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x03"
