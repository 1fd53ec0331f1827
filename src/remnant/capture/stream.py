"""The bytes of a source: opened, decompressed, digested, handed out chunk by chunk.

A source is its *decompressed* stream: the digest covers what a reader has consumed, so the same
content renamed or recompressed has the same digest. Compression is recognised from the first bytes:
gzip (RFC 1952), xz, Zstandard (RFC 8878) and LZ4 frames, with any number of concatenated members.
"""

from __future__ import annotations

import io
import lzma
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, Protocol, Self, cast

import numpy as np
import xxhash

from remnant.errors import DamagedInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Buffer

    Follow = Callable[[int, bytes], Iterable[tuple[int, str]]]

__all__ = ["CHUNK_BYTES", "HEAD_BYTES", "ByteStream", "compression_of", "decompressed"]

CHUNK_BYTES: Final = 16 << 20
HEAD_BYTES: Final = 64 << 10
_INPUT_BYTES: Final = 256 << 10
_ZSTANDARD_BYTES: Final = 512
_XZ_MEMORY: Final = 256 << 20
"""Memory for one xz member; the strongest preset needs 65 MiB."""
_NEXT_BYTES: Final = 4096
"""What ``watch`` shows of the bytes after a checkpoint that agreed."""
_TRAILS: Final = 64
"""Digests that are computed at once."""

_DAMAGE: Final = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError)
"""What the decompressors raise on damaged data."""

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)


def compression_of(head: bytes) -> str | None:
    """Return gzip, xz, zstd or lz4 by the first bytes, or ``None``."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return None


def decompressed(raw: io.BufferedReader) -> IO[bytes]:
    """Return a stream of the decompressed bytes of a buffered binary stream."""
    match compression_of(raw.peek(6)[:6]):
        case "gzip":
            return cast("IO[bytes]", _Members(raw, _Gzip))
        case "xz":
            return cast("IO[bytes]", _Members(raw, _Xz))
        case "lz4":
            import lz4.frame  # noqa: PLC0415 - only where needed

            return cast("IO[bytes]", _Members(raw, lz4.frame.LZ4FrameDecompressor))
        case "zstd":
            return cast("IO[bytes]", _Members(raw, _Zstandard))
        case _:
            return raw


class _Decompressor(Protocol):
    """One compressed member: what ``lzma.LZMADecompressor`` offers."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """One gzip member behind the interface of ``lzma.LZMADecompressor``."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(out) < max_length
        return out


class _MemoryLimit(Exception):
    """A member needs more memory than it gets."""


class _Xz:
    """One xz stream behind the interface of ``lzma.LZMADecompressor``, with bounded memory."""

    def __init__(self) -> None:
        self._inner = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    @property
    def needs_input(self) -> bool:
        return self._inner.needs_input

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._inner.decompress(data, max_length)
        except lzma.LZMAError as error:
            # The module says it in words only.
            if "memory usage limit" in str(error).lower():
                raise _MemoryLimit from error
            raise


class _Zstandard:
    """One Zstandard frame behind the interface of ``lzma.LZMADecompressor``.

    The input goes in by small pieces: the library cannot bound its output, and 512 bytes make at
    most 16 MiB. What was decompressed before an error is handed out before the error is.
    """

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - only where needed

        self._error = zstandard.ZstdError
        # 128 MiB is the largest window that decompressors accept by default.
        self._inner = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._input = b""
        self._ready = b""
        self._failure: str | None = None

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._ready and self._failure is None

    @property
    def eof(self) -> bool:
        return self._inner.eof and not self._ready

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + self._input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._failure is not None and not self._ready:
            raise ValueError(self._failure)
        source = self._input + data if self._failure is None else b""
        parts = [self._ready]
        size = len(self._ready)
        used = 0
        while size < max_length and used < len(source) and not self._inner.eof:
            try:
                part = self._inner.decompress(source[used : used + _ZSTANDARD_BYTES])
            except self._error as error:
                self._failure = str(error)
                break
            used += _ZSTANDARD_BYTES
            parts.append(part)
            size += len(part)
        self._input = source[used:]
        out = b"".join(parts)
        if self._failure is not None and not out:
            raise ValueError(self._failure)
        self._ready = out[max_length:]
        return out[:max_length]


class _Members(io.RawIOBase):
    """Concatenated compressed members; hands out all that was read before any damage."""

    def __init__(self, raw: IO[bytes], member: Callable[[], _Decompressor]) -> None:
        super().__init__()
        self._raw = raw
        self._member = member
        self._current: _Decompressor | None = None
        self._input = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer)
        while True:
            if self._current is None:
                # Zero bytes between members are padding (RFC 1952 leaves it open, xz allows it).
                while not self._input.lstrip(b"\0"):
                    self._input = self._raw.read(_INPUT_BYTES)
                    if not self._input:
                        return 0
                self._input = self._input.lstrip(b"\0")
                self._current = self._member()
            elif self._current.needs_input and not self._input:
                self._input = self._raw.read(_INPUT_BYTES)
                if not self._input:
                    raise EOFError("the compressed data ends before its end marker")
            data, self._input = self._input, b""
            out = self._current.decompress(data, len(target))
            if self._current.eof:
                self._input = self._current.unused_data or b""
                self._current = None
            if out:
                target[: len(out)] = out
                return len(out)


@dataclass(slots=True)
class _Trail:
    """A digest that starts somewhere in the stream, and what to compare it with.

    Attributes:
        start: offset of its first byte.
        hash: of all bytes since.
        ahead: places and digests to compare, the nearest last.
    """

    start: int
    hash: xxhash.xxh3_128
    ahead: list[tuple[int, str]]


class ByteStream:
    """Hands a reader the unread bytes of a source and digests what it has used.

    The reader's loop: ``while stream.more(): ... use stream.view ... stream.advance(n)``. What is
    not advanced over stays at the front of the next view. A view never reaches across a checkpoint
    that it has not reached before, so that a reader's batch can end there.

    Args:
        raw: the stream as stored, perhaps compressed.
        name: how errors call it.
        chunk: bytes to read at a time; also how much room is added when a record does not fit.

    Attributes:
        view: the unread bytes (uint8; valid until the next call of ``more``).
        offset: position of ``view[0]`` in the decompressed stream.
        matched: the digests that agreed, by where their bytes start and end.
        damage: why decompression ended early, or ``None``.
    """

    def __init__(self, raw: IO[bytes], name: str, *, chunk: int = CHUNK_BYTES) -> None:
        self.name = name
        self.offset = 0
        self.matched: dict[tuple[int, int], str] = {}
        self.damage: str | None = None
        self._chunk = chunk
        self._buffer = np.empty(max(chunk, HEAD_BYTES), np.uint8)
        self._stop = 0
        self.view: npt.NDArray[np.uint8] = self._buffer[:0]
        self._start = 0
        self._raw = (
            raw
            if isinstance(raw, io.BufferedReader)
            else io.BufferedReader(cast("io.RawIOBase", raw))
        )
        self._trails = [_Trail(0, xxhash.xxh3_128(), [])]
        self._follow: Follow | None = None
        try:
            self._source = decompressed(self._raw)
        except _DAMAGE as error:
            raise DamagedInput("the data cannot be read", where=name, got=error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.close()
        self._raw.close()

    @property
    def digest(self) -> str:
        """xxh3-128 of the bytes advanced over so far (32 hex digits)."""
        return self._trails[0].hash.hexdigest()

    def digest_since(self, start: int) -> str | None:
        """Return the digest of the bytes since an offset, if one is still computed from there."""
        return next((t.hash.hexdigest() for t in self._trails if t.start == start), None)

    @property
    def raw_position(self) -> int:
        """Bytes taken from the stored (perhaps compressed) stream, for progress."""
        try:
            return self._raw.tell()
        except (OSError, ValueError):
            return self.offset

    def head(self) -> bytes:
        """Return up to 64 KiB of the start without using them up; call before ``more``."""
        while self._stop < HEAD_BYTES and self._pull(HEAD_BYTES - self._stop):
            pass
        return self._buffer[:HEAD_BYTES][: self._stop].tobytes()

    def peek(self, count: int) -> bytes:
        """Return up to ``count`` bytes of the start without using them up; call before ``more``."""
        return self._next(count)

    def watch(self, checkpoints: Iterable[tuple[int, str]], follow: Follow | None = None) -> None:
        """Compare the digest at these offsets with these values on the way past them.

        Args:
            checkpoints: offsets and digests of all bytes before them.
            follow: called once for each offset at which a digest agreed and more bytes come, with
                the offset and the next 4096 bytes. It returns lengths and digests: from there on
                another digest is computed and compared with these, and so on.
        """
        self._trails[0].ahead = sorted((c for c in checkpoints if c[0] > self.offset), reverse=True)
        self._follow = follow

    def more(self) -> bool:
        """Add bytes to the view; return False when there are none left."""
        shown = self._start + self.view.size
        if shown == self._stop:
            if self._start:
                # The tail of the last view moves to the front; it is at most one record.
                self._buffer[: self.view.size] = self.view.copy()
                self._stop = shown = self.view.size
                self._start = 0
            if self._stop == self._buffer.size:
                self._buffer = np.concatenate([self._buffer, np.empty(self._chunk, np.uint8)])
            if not self._pull(min(self._chunk, self._buffer.size - self._stop)):
                self.view = self._buffer[self._start : shown]
                return False
        end = self.offset + shown - self._start
        ahead = (at for trail in self._trails for at, _ in trail.ahead if at > end)
        limit = min(ahead, default=None)
        stop = self._stop if limit is None else min(self._stop, shown + limit - end)
        self.view = self._buffer[self._start : stop]
        return True

    def advance(self, count: int) -> None:
        """Use up the first bytes of the view and digest them."""
        used = self.view[:count]
        stop = self.offset + used.size
        while True:
            at = min((t.ahead[-1][0] for t in self._trails if t.ahead), default=stop + 1)
            part = used[: min(at, stop) - self.offset]
            for trail in self._trails:
                trail.hash.update(part.data)
            used = used[part.size :]
            self.offset += part.size
            self._start += part.size
            if at > stop:
                break
            self._compare(at)
        self.view = self.view[count:]

    def _compare(self, at: int) -> None:
        """Compare the digests that have a checkpoint here, and follow what comes after."""
        agreed = -1
        for trail in self._trails:
            while trail.ahead and trail.ahead[-1][0] == at:
                _, digest = trail.ahead.pop()
                if trail.hash.hexdigest() == digest:
                    self.matched[trail.start, at] = digest
                    agreed = max(agreed, trail.start)
        if agreed < 0 or self._follow is None:
            return
        # What went before the stretch that agreed, and has nothing to compare any more.
        self._trails[1:] = [t for t in self._trails[1:] if t.ahead or t.start >= agreed]
        following = self._next(_NEXT_BYTES)
        if following and len(self._trails) < _TRAILS:
            ahead = sorted(((at + n, d) for n, d in self._follow(at, following)), reverse=True)
            if ahead:
                self._trails.append(_Trail(at, xxhash.xxh3_128(), ahead))

    def _next(self, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset`` on, also beyond the view."""
        while self._stop - self._start < count:
            if self._stop == self._buffer.size:
                self._buffer = np.concatenate([self._buffer, np.empty(HEAD_BYTES, np.uint8)])
            if not self._pull(min(HEAD_BYTES, self._buffer.size - self._stop)):
                break
        return self._buffer[self._start : min(self._stop, self._start + count)].tobytes()

    def _pull(self, count: int) -> int:
        try:
            got = self._source.readinto(self._buffer[self._stop : self._stop + count].data)  # type: ignore[attr-defined]
        except _MemoryLimit:
            raise DamagedInput(
                "the xz data needs too much memory to decompress",
                where=self.name,
                expected=f"at most {_XZ_MEMORY >> 20} MiB",
                hint="decompress it with xz, and ingest the result",
            ) from None
        except _DAMAGE as error:
            self.damage = str(error) or type(error).__name__
            return 0
        self._stop += got or 0
        return int(got or 0)
