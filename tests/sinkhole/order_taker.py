"""A process that takes a supervisor's order and does nothing but what a test tells it to.

``behave.json`` in the home folder says by the name of the process how it behaves; ``started.txt``
gets a line for each process that starts: its name, its id and the sensor that it was told.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from remnant.sinkhole.order import HELD_BACK, read_order
from remnant.sinkhole.shared import Numbers


def main() -> None:
    hung_up: list[int] = []
    for number in HELD_BACK:
        signal.signal(number, lambda number, _: hung_up.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    order = read_order(int(sys.argv[1]))
    if os.getppid() != order.parent:
        return
    home = Path(order.home)
    name = order.role.name
    behaviour = json.loads((home / "behave.json").read_text()).get(name, "")
    sensor = "" if order.plan is None else order.plan.sensor
    stop: list[int] = []
    # Before it says that it has started: whoever reads that may end it at once.
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    with (home / "started.txt").open("a") as file:
        file.write(f"{name} {os.getpid()} {sensor}\n")
    numbers = Numbers(order.numbers)
    if behaviour == "cannot start":
        sys.exit(3)
    numbers["alive"] = time.time_ns() // 1000
    while behaviour == "waits" and not stop and not (home / "go").exists():
        time.sleep(0.02)
    if behaviour != "never ready":
        os.write(order.ready, b"!")
    while not stop:
        numbers["alive"] = time.time_ns() // 1000
        numbers["messages"] += 1
        numbers["alarm"] = int(behaviour == "cannot write")
        if behaviour == "dies":
            sys.exit(4)
        if hung_up:
            # Whole or not at all: the test may look at any moment.
            being_written = home / f"{name}.signals.new"
            being_written.write_text(" ".join(map(str, hung_up)))
            being_written.replace(home / f"{name}.signals")
        if os.getppid() != order.parent:
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main()
