"""Runs one ingest and kills itself, without any clean-up, at a given step. Used by test_crash.

One line on standard input is one attempt: the folder, the file to ingest, and after how many calls
of the operating system's writing functions to die (or after how many microseconds: ``t1500``).
Each attempt is a child of this process, so that nothing is loaded or compiled again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from collate.made_up import EVIL, ingest, line, settings_in
from remnant.store import Store
from remnant.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counting(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            die()
        return function(*args, **kwargs)

    return counted


def attempt(folder: Path, source: Path, when: str) -> None:
    if when.startswith("t"):
        delay = int(when[1:]) / 1e6
        threading.Timer(delay, die).start()
    else:
        left = [int(when)]
        os.fsync = counting(os.fsync, left)
        os.replace = counting(os.replace, left)
        Path.mkdir = counting(Path.mkdir, left)  # type: ignore[method-assign]
        Path.replace = counting(Path.replace, left)  # type: ignore[method-assign]
        Ledger.add_files = counting(Ledger.add_files, left)  # type: ignore[method-assign]
        Ledger.put_source = counting(Ledger.put_source, left)  # type: ignore[method-assign]
        sa.event.listen(sa.Engine, "commit", lambda _: counting(lambda: None, left)())
    with Store.open(settings_in(folder), write=True) as store:
        ingest(store, source.read_bytes(), watchlist=EVIL, chunk=1 << 12)


def main() -> None:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    warm = Path(sys.argv[1])
    store = Store.open(settings_in(warm), write=True)
    ingest(store, line(1, "192.0.2.1"))
    store.close()
    print("ready", flush=True)  # noqa: T201 - the other side waits for it
    for text in sys.stdin:
        folder, source, when = text.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                attempt(Path(folder), Path(source), when)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
