"""What many people ask at one state of the store is worked out once.

An answer is kept for the role (and the networks) of those it was made for, for the state of the
case that it shows, and for a few seconds only: what no state tells (a file that another process
wrote) is never older than that. A request that comes while the same is being worked out waits for
it. Of the written pages each account has its own, as they carry its name.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from fastapi import Response

from remnant.web.access.forms import STANDS_FOR_CSRF, csrf_value
from remnant.web.access.viewer import LOCAL, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fastapi import Request

__all__ = ["LIFE_S", "Answers", "Body", "Shared", "send"]

LIFE_S: Final = 10.0
_MOST_BYTES: Final = 32 << 20
_MOST_MODELS: Final = 64
_SHORT: Final = 1000

Value = TypeVar("Value")


@dataclass(slots=True)
class _Entry(Generic[Value]):
    state: Hashable
    born: float
    turn: threading.Lock = field(default_factory=threading.Lock)
    size: int = 0
    value: list[Value] = field(default_factory=list)


class Shared(Generic[Value]):
    """Values by key, each made once at each state. Safe to use from many threads.

    Args:
        most: the sum of all sizes that is kept.
        size: of a value.
        clock: seconds.
    """

    def __init__(
        self,
        most: int,
        size: Callable[[Value], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()
        self._held = 0

    @property
    def held(self) -> int:
        """The sum of the sizes of what is kept."""
        return self._held

    def get(self, key: Hashable, state: Hashable, make: Callable[[], Value]) -> Value:
        """Return what ``make`` returned at this state; one thread makes it, the others wait."""
        now = self._clock()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.state != state or now - entry.born > LIFE_S:
                self._drop(key)
                entry = self._entries[key] = _Entry(state, now)
            self._entries.move_to_end(key)
        with entry.turn:
            if not entry.value:
                value = make()
                size = self._size(value)
                entry.value.append(value)
                with self._lock:
                    if self._entries.get(key) is entry:
                        entry.size = size
                        self._held += size
                        while self._held > self._most:
                            self._drop(next(iter(self._entries)))
            return entry.value[0]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._held = 0

    def _drop(self, key: Hashable) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self._held -= gone.size


@dataclass(frozen=True, slots=True)
class Body:
    """A written page.

    Attributes:
        data: its bytes; where a form's secret stands in it, the word that stands for it.
        packed: the same with gzip; ``None`` for a short one, or one that differs by visit.
        kind: media type.
        tag: tells it from another.
        personal: a form's secret stands in it.
        headers: what else is sent.
    """

    data: bytes
    packed: bytes | None
    kind: str
    tag: str
    personal: bool
    headers: dict[str, str]

    @classmethod
    def of(cls, data: bytes, kind: str, headers: dict[str, str] | None = None) -> Body:
        """Return a body of these bytes."""
        personal = STANDS_FOR_CSRF.encode() in data
        packed = None if personal or len(data) < _SHORT else gzip.compress(data, 5, mtime=0)
        tag = hashlib.blake2b(data, digest_size=12).hexdigest()
        return cls(data, packed, kind, tag, personal, headers or {})


class Answers:
    """What pages answered, before and after it was written as HTML, JSON or CSV."""

    def __init__(self) -> None:
        self.models: Shared[Any] = Shared(_MOST_MODELS, lambda _: 1)
        self.bodies: Shared[Body] = Shared(_MOST_BYTES, lambda body: len(body.data) * 2)

    def clear(self) -> None:
        """Forget everything: somebody changed something by way of this server."""
        self.models.clear()
        self.bodies.clear()


def send(request: Request, body: Body) -> Response:
    """Return a body as an answer; one without content where the browser has it already."""
    viewer = request.state.viewer
    data, tag = body.data, body.tag
    if body.personal:
        secret = csrf_value(request)
        data = data.replace(STANDS_FOR_CSRF.encode(), secret.encode())
        tag += hashlib.blake2b(secret.encode(), digest_size=6).hexdigest()
    headers = body.headers | {
        "etag": f'W/"{tag}"',
        "vary": "Accept-Encoding, Accept, Cookie, Authorization",
        # What an account sees must not stay on a disk. On this machine the data lie there anyway.
        "cache-control": "private, no-cache"
        if viewer is LOCAL or viewer.role is Role.PUBLIC
        else "no-store",
    }
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if body.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        data = body.packed
    return Response(data, media_type=body.kind, headers=headers)


def _has(header: str, tag: str) -> bool:
    given = (part.strip().removeprefix("W/") for part in header[:2000].split(","))
    return any(part == f'"{tag}"' for part in given)
