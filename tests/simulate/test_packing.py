from __future__ import annotations

import io
from typing import TYPE_CHECKING

import zstandard

from remnant.simulate.packing import compressor

if TYPE_CHECKING:
    from remnant.simulate import SimulationResult


def test_what_is_packed_in_many_pieces_is_one_frame_with_a_small_window() -> None:
    pieces = [bytes([i % 251]) * 1000 + i.to_bytes(4) for i in range(500)]
    out = io.BytesIO()
    with compressor().stream_writer(out, closefd=False) as file:
        for piece in pieces:
            file.write(piece)

    packed = out.getvalue()

    assert zstandard.get_frame_parameters(packed).window_size == 1 << 16
    # By default a reader stops at the end of the first frame.
    assert zstandard.ZstdDecompressor().stream_reader(packed).read() == b"".join(pieces)


def test_traffic_is_packed_to_a_third_at_most(short: SimulationResult) -> None:
    for path in short.traffic.rglob("*.dnstap.zst"):
        packed = path.read_bytes()
        plain = zstandard.ZstdDecompressor().stream_reader(packed).read()

        assert len(packed) < len(plain) / 3
