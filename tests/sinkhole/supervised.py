"""A supervisor of processes that do nothing, as a program: ``supervised.py HOME LISTENER``.

The listener, for metrics and health, is an open socket. ``plan.txt`` in the home folder is the
sensor of the plan; ``!`` refuses, ``?`` fails.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

from remnant.errors import RemnantError
from remnant.sinkhole.log import json_log
from remnant.sinkhole.order import Plan
from remnant.sinkhole.supervisor import Sockets, Supervisor


def main() -> None:
    home = Path(sys.argv[1])

    def build() -> Plan:
        text = (home / "plan.txt").read_text()
        if text == "!":
            raise RemnantError("this plan is refused", got="a test")
        if text == "?":
            raise PermissionError(13, "Permission denied")
        nothing: Any = None
        return Plan((), nothing, (), {"mine": None}, {}, None, 100, b"", bytes(16), text)

    sockets = Sockets()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    sockets.udp.append([udp])
    sockets.dns.append(socket.create_server(("127.0.0.1", 0)))
    taker = [sys.executable, str(Path(__file__).with_name("order_taker.py"))]
    supervisor = Supervisor(
        build,
        sockets,
        plan=build(),
        home=str(home),
        command=sys.argv[3:] or taker,
        log=json_log,
        metrics=socket.socket(fileno=int(sys.argv[2])),
    )
    sys.exit(asyncio.run(supervisor.run()))


if __name__ == "__main__":
    main()
