"""One process of the sinkhole: started by its supervisor, never by a person."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from remnant.collate.clients import Lookup
    from remnant.settings import Settings
    from remnant.sinkhole.keeper import Round
    from remnant.sinkhole.order import Order, Plan
    from remnant.sinkhole.recorder import Recorder
    from remnant.sinkhole.shared import Numbers

__all__ = ["main"]

_DIE_WITH_PARENT: Final = 1
_KEEPER_S: Final = 1.0
_KEEPER_NICE: Final = 10
_SWITCH_S: Final = 0.0005


def main() -> None:
    """Do what the order at the descriptor of the first argument says, until SIGTERM."""
    from remnant.sinkhole.log import log_as_json
    from remnant.sinkhole.order import HELD_BACK, read_order
    from remnant.sinkhole.shared import Numbers

    for number in HELD_BACK:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    if sys.platform == "linux":
        # A sinkhole whose supervisor was killed ends, rather than run on unseen.
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    order = read_order(int(sys.argv[1]))
    log_as_json(order.role.name)
    if os.getppid() != order.parent:
        return
    numbers = Numbers(order.numbers)

    def ready() -> None:
        numbers["alive"] = time.time_ns() // 1000
        os.write(order.ready, b"!")
        os.close(order.ready)

    kinds: dict[str, Callable[[Order, Numbers, Callable[[], None]], None]] = {
        "udp": _udp,
        "streams": _streams,
        "keeper": _keeper,
    }
    kinds[order.role.kind](order, numbers, ready)


def _adopted(handles: tuple[int, ...]) -> list[socket.socket]:
    return [socket.socket(fileno=handle) for handle in handles]


def _recorder(order: Order, plan: Plan, vantages: tuple[str, ...]) -> Recorder:
    from remnant.sinkhole.recorder import Recorder

    return Recorder(
        Path(order.home) / "sinkhole",
        sensor=plan.sensor,
        cases=plan.facts,
        memberships=plan.memberships,
        worker=order.role.name,
        vantages=vantages,
    )


def _udp(order: Order, numbers: Numbers, ready: Callable[[], None]) -> None:
    import numpy as np

    from remnant.sinkhole.answer_kernel import Identity
    from remnant.sinkhole.limiter import new_limiter
    from remnant.sinkhole.udp_worker import UdpWorker

    plan = order.plan
    assert plan is not None
    recorder = _recorder(order, plan, ("sinkhole_dns",))
    worker = UdpWorker(
        _adopted(order.udp),
        served=plan.served,
        identity=Identity(
            np.frombuffer(plan.secret, "<u8").copy(), np.frombuffer(plan.nsid, np.uint8).copy()
        ),
        limiter=new_limiter(plan.rate_limit),
        recorder=recorder,
        numbers=numbers,
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    # The thread that answers needs the interpreter for a moment each round: it need not wait long.
    sys.setswitchinterval(_SWITCH_S)
    worker.warm()
    ready()
    worker.run()
    recorder.close()


def _streams(order: Order, numbers: Numbers, ready: Callable[[], None]) -> None:
    import numpy as np

    from remnant.sinkhole.certificates import Certificates
    from remnant.sinkhole.directory import Directory
    from remnant.sinkhole.limiter import admits, new_limiter
    from remnant.sinkhole.policy import Policy
    from remnant.sinkhole.stream_worker import StreamWorker

    plan = order.plan
    assert plan is not None
    recorder = _recorder(order, plan, ("sinkhole_dns", "sinkhole_tcp", "sinkhole_http"))
    limiter = new_limiter(plan.rate_limit)

    def is_limited(address: bytes, now: int) -> bool:
        source = np.frombuffer(address, np.uint8).copy()
        return not admits(limiter, source, now)

    async def serve() -> None:
        worker = StreamWorker(
            dns=_adopted(order.dns),
            others=_adopted(order.others),
            slow=_adopted(order.udp),
            policy=Policy(plan.zones, nsid=plan.nsid, secret=plan.secret),
            directory=Directory(plan.zones, plan.memberships),
            replies=plan.replies,
            certificates=Certificates(),
            recorder=recorder,
            numbers=numbers,
            connections=plan.connections,
            is_limited=is_limited if order.udp else None,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run(ready)

    asyncio.run(serve())
    recorder.close()


def _keeper(order: Order, numbers: Numbers, ready: Callable[[], None]) -> None:
    from remnant.cases.library import Library
    from remnant.cases.rules import compile_rules
    from remnant.cli_shared import load_reference
    from remnant.errors import CaseError
    from remnant.settings import load
    from remnant.sinkhole.keeper import Keeper

    # Whoever answers comes first, where the two share a core.
    with contextlib.suppress(OSError):
        os.nice(_KEEPER_NICE)
    settings = load(Path(order.home))
    library = Library(settings.home)

    def rules_of(case: str) -> Any:
        try:
            return compile_rules(library.get(case))
        except CaseError:
            return None

    lookup = load_reference(settings, *order.cases).lookup
    _warm(settings, lookup)
    keeper = Keeper(settings, rules_of, lookup=lookup)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: keeper.reload_soon())

    def told(done: Round) -> None:
        numbers["commits"] += int(done.frames > 0)
        numbers["committed_rows"] += done.rows
        numbers["busy"] = int(done.busy)
        numbers["alarm"] = int(done.alarm is not None)
        numbers["alive"] = time.time_ns() // 1000

    ready()
    keeper.run(stop, _KEEPER_S, told)
    keeper.close()


def _warm(settings: Settings, lookup: Lookup) -> None:
    """Go once the whole way with one made-up event in a folder of its own.

    So that what must be compiled or loaded is, before the first real event waits for it.
    """
    import dataclasses
    import tempfile

    import numpy as np

    from remnant.sinkhole.addresses import mapped
    from remnant.sinkhole.events import Counts, Event
    from remnant.sinkhole.keeper import Keeper
    from remnant.sinkhole.recorder import CaseFacts, Recorder
    from remnant.sinkhole.stream_worker import batch_of
    from remnant.watchlist import Rule, digest_of

    rules = [Rule("warm", "exact", "warm.invalid")]
    source = mapped("127.0.0.1")
    event = Event(
        time.time_ns() // 1000,
        source,
        1,
        source,
        53,
        "dns_tcp",
        b"\x04warm\x07invalid\x00",
        1,
        0,
        60,
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        own = dataclasses.replace(settings, home=place, site_key=place / "key", database=None)
        recorder = Recorder(
            place / "sinkhole",
            sensor="warm",
            cases={"warm": CaseFacts(digest_of(rules, "warm"), (60,), ("warm.invalid",))},
            memberships=[("warm",)],
            worker="warm",
        )
        recorder.add(batch_of([event]), np.zeros(1, np.int32), Counts(messages=1))
        recorder.close()
        keeper = Keeper(own, lambda _: rules, lookup=lookup)
        keeper.round()
        keeper.close()


if __name__ == "__main__":
    main()
