"""The byte stream: every compression, damage, checkpoints, and the reader's loop."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib
from typing import TYPE_CHECKING

import lz4.frame
import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture.stream import HEAD_BYTES, ByteStream, compression_of
from remnant.errors import DamagedInput

if TYPE_CHECKING:
    from collections.abc import Callable

random.seed(1)
TEXT = b"".join(b"%d evil.test\n" % random.randrange(10**9) for _ in range(20_000))
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
}
FORMATS = [*PACK, None]


def pack(kind: str | None, data: bytes) -> bytes:
    return data if kind is None else PACK[kind](data)


def consume(stream: ByteStream, record: int = 7) -> bytes:
    """Read as a reader does that understands records of a fixed size only."""
    out = []
    while stream.more():
        whole = stream.view.size // record * record
        out.append(stream.view[:whole].tobytes())
        stream.advance(whole)
    out.append(stream.view.tobytes())
    stream.advance(stream.view.size)
    return b"".join(out)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("chunk", [1000, 8 << 20])
def test_the_content_and_its_digest_do_not_depend_on_the_compression(
    kind: str | None, chunk: int
) -> None:
    packed = pack(kind, TEXT)
    assert compression_of(packed) == kind
    with ByteStream(io.BytesIO(packed), "x", chunk=chunk) as stream:
        assert stream.head() == TEXT[:HEAD_BYTES]
        assert consume(stream) == TEXT
        assert stream.digest == xxhash.xxh3_128_hexdigest(TEXT)
        assert (stream.offset, stream.damage) == (len(TEXT), None)
        assert not stream.more()


@pytest.mark.parametrize("kind", list(PACK))
def test_members_end_to_end_are_one_stream(kind: str) -> None:
    parts = [TEXT[:5], b"", TEXT[5:200_000], TEXT[200_000:]]
    packed = b"".join(PACK[kind](part) for part in parts)
    with ByteStream(io.BytesIO(packed), "x") as stream:
        assert consume(stream) == TEXT
        assert stream.damage is None


@pytest.mark.parametrize("kind", list(PACK))
def test_a_truncated_file_gives_what_was_there_and_says_so(kind: str) -> None:
    packed = PACK[kind](TEXT)
    with ByteStream(io.BytesIO(packed[: len(packed) * 2 // 3]), "x", chunk=4096) as stream:
        got = consume(stream)
    assert TEXT.startswith(got)
    # xz and Zstandard give whole blocks only, and this text may be one block.
    assert kind in {"xz", "zstd"} or len(got) > 1000
    if kind != "zstd":
        assert stream.damage


@pytest.mark.parametrize("kind", list(PACK))
def test_damage_in_the_middle_ends_the_stream(kind: str) -> None:
    packed = bytearray(PACK[kind](TEXT))
    half = len(packed) // 2
    packed[half : half + 64] = bytes(64)
    with ByteStream(io.BytesIO(bytes(packed)), "x") as stream:
        got = consume(stream)
        assert stream.damage or got != TEXT
        assert stream.offset == len(got)


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zero_bytes_after_a_member_are_padding(kind: str) -> None:
    with ByteStream(io.BytesIO(PACK[kind](TEXT) + bytes(512)), "x") as stream:
        assert consume(stream) == TEXT
        assert stream.damage is None


@pytest.mark.parametrize("kind", list(PACK))
def test_other_bytes_after_a_member_are_damage_after_the_content(kind: str) -> None:
    with ByteStream(io.BytesIO(PACK[kind](TEXT) + b"trailing rubbish"), "x") as stream:
        assert consume(stream) == TEXT


def test_what_is_not_compressed_is_as_it_is() -> None:
    packed = bz2.compress(b"x")
    assert compression_of(packed) is None
    with ByteStream(io.BytesIO(b""), "x") as stream:
        assert (stream.head(), stream.more(), stream.offset) == (b"", False, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 500),
    st.lists(st.integers(1, 30_000), max_size=4),
    st.booleans(),
)
def test_views_end_at_checkpoints_and_digests_are_compared(
    chunk: int, record: int, places: list[int], right: bool
) -> None:
    data = TEXT[:20_000]
    digest = {at: xxhash.xxh3_128_hexdigest(data[:at]) for at in places}
    with ByteStream(io.BytesIO(data), "x", chunk=chunk) as stream:
        stream.watch([(at, digest[at] if right else "0" * 32) for at in places])
        ends = set()
        while stream.more():
            ends.add(stream.offset + stream.view.size)
            whole = stream.view.size // record * record
            stream.advance(whole)
        stream.advance(stream.view.size)
        assert {at for at in places if at <= len(data)} <= ends
        agreed = {(0, at): digest[at] for at in places if at <= len(data)}
        assert stream.matched == (agreed if right else {})
        assert stream.digest == xxhash.xxh3_128_hexdigest(data)


def test_a_record_longer_than_a_chunk_makes_the_view_grow() -> None:
    with ByteStream(io.BytesIO(TEXT), "x", chunk=1000) as stream:
        sizes = []
        while stream.more():
            sizes.append(stream.view.size)
        assert sizes == sorted(sizes)
        assert stream.view.tobytes() == TEXT


def test_memory_stays_at_a_few_chunks() -> None:
    packed = gzip.compress(bytes(64 << 20))
    with ByteStream(io.BytesIO(packed), "x", chunk=1 << 20) as stream:
        largest = 0
        while stream.more():
            largest = max(largest, stream.view.size)
            stream.advance(stream.view.size)
        assert stream.offset == 64 << 20
        assert largest <= 2 << 20


def test_xz_that_asks_for_too_much_memory_is_refused() -> None:
    packed = bytearray(lzma.compress(TEXT))
    # The header of the first block: size, flags, LZMA2, one byte of properties, the dictionary.
    size = (packed[12] + 1) * 4
    assert packed[14:16] == b"\x21\x01"
    packed[16] = 36  # 1 GiB
    checksum = zlib.crc32(packed[12 : 12 + size - 4])
    packed[12 + size - 4 : 12 + size] = checksum.to_bytes(4, "little")

    with (
        ByteStream(io.BytesIO(bytes(packed)), "big.xz") as stream,
        pytest.raises(DamagedInput, match="too much memory") as caught,
    ):
        stream.head()
    assert caught.value.where == "big.xz"


@given(
    st.integers(1, 9000),
    st.integers(1, 500),
    st.lists(st.integers(1, 9000), min_size=2, max_size=5),
    st.booleans(),
)
def test_what_follows_an_agreed_place_is_digested_in_turn(
    chunk: int, record: int, sizes: list[int], short: bool
) -> None:
    parts = [TEXT[i * 9000 : i * 9000 + size] for i, size in enumerate(sizes)]
    known = [(len(part), xxhash.xxh3_128_hexdigest(part)) for part in parts]
    shown = []

    def follow(at: int, head: bytes) -> list[tuple[int, str]]:
        shown.append((at, head))
        return known

    data = b"".join(parts)[: -1 if short else None]
    with ByteStream(io.BytesIO(data), "x", chunk=chunk) as stream:
        stream.watch(known, follow)
        assert consume(stream, record) == data
        assert stream.digest == xxhash.xxh3_128_hexdigest(data)
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        whole = ends[:-1] if short else ends
        for start, end in zip([0, *ends], whole, strict=False):
            assert stream.matched[start, end] == xxhash.xxh3_128_hexdigest(data[start:end])
        assert [at for at, _ in shown if at in ends] == [at for at in ends if at < len(data)]
        assert all(head == data[at : at + 4096] for at, head in shown)
