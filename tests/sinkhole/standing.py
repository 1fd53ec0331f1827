"""A sinkhole for streams as a program of its own: ``standing.py PORT TRANSPARENT ADDRESS...``.

Prints ``ready``, then one JSON object for each event, until its input ends.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys
from typing import TYPE_CHECKING

from remnant.sinkhole.certificates import Certificates
from remnant.sinkhole.http_reply import EMPTY, Reply
from remnant.sinkhole.listeners import open_listeners
from remnant.sinkhole.streams import Streams

if TYPE_CHECKING:
    from remnant.sinkhole.events import Event


def tell(event: Event) -> None:
    destination = ipaddress.IPv6Address(event.destination)
    facts = {
        "destination": str(destination.ipv4_mapped or destination),
        "service_port": event.service_port,
        "proof": event.proof,
        "name": event.name.hex(),
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def reply_for(name: bytes, destination: bytes) -> Reply:
    assert len(destination) == 16, name
    return EMPTY


async def serve(port: int, addresses: list[str], *, transparent: bool) -> None:
    sockets = open_listeners(addresses, [port], connections=100, transparent=transparent)
    streams = Streams(sockets, emit=tell, reply_for=reply_for, certificates=Certificates())
    await streams.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await streams.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[3:], transparent=sys.argv[2] == "1"))
