"""Open pages hear that something is new: one look at the store for all of them, twice a second.

What goes out is small: which case, its new state, how far its data reach. A page that hears it
fetches itself again (``static/live.js``). Nothing is queued but the newest news of each case, so a
reader that is slow or asleep costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from remnant.web.site import Site

__all__ = [
    "BEAT_S",
    "LOOK_S",
    "MOST",
    "MOST_EACH",
    "MOST_STRANGERS",
    "Full",
    "Live",
    "News",
    "Subscription",
]

LOOK_S: Final = 0.4
"""Seconds between two looks at the store."""
BEAT_S: Final = 10.0
"""Seconds without news after which an empty line is sent; as often the session is checked."""
MOST: Final = 500
"""Streams of one server."""
MOST_EACH: Final = 120
"""Streams of one account, or of one network where nobody is signed in."""
MOST_STRANGERS: Final = 300
"""Streams of all who are not signed in: they leave some to who is."""
_RETRY_MS: Final = 2000
_TIDY_S: Final = 30.0


class Full(Exception):
    """There are too many streams."""


@dataclass(frozen=True, slots=True)
class News:
    """The state of one case, or of all (an empty name).

    Attributes:
        case: name.
        state: as ``Site.state`` tells it.
        until: time of the newest message (UTC, ISO 8601).
        stored: when something was last stored.
        queries: for watched names; only for those who see every number.
        gone: the case was deleted.
    """

    case: str
    state: str
    until: str | None = None
    stored: str | None = None
    queries: int | None = None
    gone: bool = False

    def written(self, *, internal: bool) -> bytes:
        """Return the event as it is sent."""
        data: dict[str, Any] = {
            "case": self.case,
            "state": self.state,
            "until": self.until,
            "stored": self.stored,
        }
        if internal:
            data["queries"] = self.queries
        kind = "gone" if self.gone else "changed"
        return f"id: {self.state}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


@dataclass(eq=False, slots=True)
class Subscription:
    """One stream.

    Attributes:
        who: the account or the network.
        cases: what it wants to hear of.
        is_known: it is an account.
        heard: the state of each case that it was told last.
        news: what it was not yet told, the newest of each case.
        bell: rung when there is something, also when the server ends.
    """

    who: str
    cases: frozenset[str]
    is_known: bool = True
    heard: dict[str, str] = field(default_factory=dict)
    news: dict[str, News] = field(default_factory=dict)
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, news: News) -> None:
        """Take down what is new, unless it is not."""
        if self.heard.get(news.case) != news.state:
            self.heard[news.case] = news.state
            self.news[news.case] = news
            self.bell.set()


class Live:
    """All streams of one server. Everything but ``wake`` runs on the server's loop."""

    def __init__(self) -> None:
        self._site: Site | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._open: set[Subscription] = set()
        self._looker: ThreadPoolExecutor | None = None
        self.is_ending = False

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._open)

    def start(self, site: Site) -> None:
        """Begin to look at the store."""
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._looker = ThreadPoolExecutor(1, "live")
        self._task = self._loop.create_task(self._look())

    async def close(self) -> None:
        """Stop looking."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._looker is not None:
            self._looker.shutdown()

    def end(self) -> None:
        """Let every stream come to its end."""
        self.is_ending = True
        for one in self._open:
            one.bell.set()

    def wake(self) -> None:
        """Look at once; from any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._woken.set)

    def join(self, who: str, cases: Iterable[str], *, is_known: bool = True) -> Subscription:
        """Open a stream.

        Args:
            who: the account, or the network of who is not signed in.
            cases: what it wants to hear of.
            is_known: it is an account.

        Raises:
            Full: there are too many.
        """
        own = sum(one.who == who and one.is_known == is_known for one in self._open)
        strangers = sum(not one.is_known for one in self._open)
        if len(self._open) >= MOST or own >= MOST_EACH:
            raise Full
        if not is_known and strangers >= MOST_STRANGERS:
            raise Full
        one = Subscription(who, frozenset(cases), is_known)
        self._open.add(one)
        return one

    def leave(self, one: Subscription) -> None:
        """Close a stream."""
        self._open.discard(one)

    async def events(
        self,
        one: Subscription,
        *,
        seen: str | None,
        internal: bool,
        is_admitted: Callable[[], bool],
    ) -> AsyncIterator[bytes]:
        """Yield what is to be sent on a stream, from its opening to its end.

        Args:
            one: the stream.
            seen: the state that the browser heard of last.
            internal: tell every number.
            is_admitted: whether who listens may still do so; asked in a thread.
        """
        try:
            yield f"retry: {_RETRY_MS}\n\n".encode()
            if seen is not None and len(one.cases) == 1:
                one.heard.setdefault(next(iter(one.cases)), seen)
            for news in (await self._ask(one.cases)).values():
                one.hear(news)
            checked = asyncio.get_running_loop().time()
            while not self.is_ending:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(one.bell.wait(), BEAT_S)
                one.bell.clear()
                now = asyncio.get_running_loop().time()
                if now - checked >= BEAT_S:
                    checked = now
                    if not await self._in_thread(is_admitted):
                        yield b"event: ended\ndata: {}\n\n"
                        return
                if not one.news:
                    yield b": \n\n"
                while one.news:
                    _, news = one.news.popitem()
                    yield news.written(internal=internal)
        finally:
            self.leave(one)

    async def _look(self) -> None:
        """Tell every stream what is new to it, until the server ends."""
        loop = asyncio.get_running_loop()
        tidied = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_S)
            self._woken.clear()
            if loop.time() - tidied > _TIDY_S and self._site is not None:
                tidied = loop.time()
                await self._in_thread(self._site.snapshots.tidy)
            cases = frozenset[str]().union(*(one.cases for one in self._open))
            if not cases:
                continue
            # A store that cannot be read now (its disk is away) may be there again soon.
            with contextlib.suppress(Exception):
                await self._tell(cases)

    async def _tell(self, cases: frozenset[str]) -> None:
        found = await self._ask(cases)
        for one in self._open:
            for case in one.cases & found.keys():
                one.hear(found[case])

    async def _ask(self, cases: frozenset[str]) -> dict[str, News]:
        site = self._site
        if site is None:
            return {}
        found: dict[str, News] = await self._in_thread(
            lambda: {case: _news(site, case) for case in cases}
        )
        return found

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        # A thread of its own: those of the pages may all be busy.
        return await asyncio.get_running_loop().run_in_executor(self._looker, call)


def _news(site: Site, case: str) -> News:
    if not case:
        return News("", site.state(None))
    if site.library.origin(case) is None:
        return News(case, "", gone=True)
    state, extent = site.state(case), site.snapshots.extent(case)
    return News(
        case,
        state,
        until=None if extent.last is None else extent.last.isoformat(),
        stored=None if extent.read_at is None else extent.read_at.isoformat(),
        queries=extent.matched,
    )
