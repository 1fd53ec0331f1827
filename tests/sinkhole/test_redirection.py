"""The recipes of ``docs/how-to/sinkhole-all-ports.md``, as they stand there, between two namespaces
of the network that the test makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sinkhole-all-ports.md"
SERVER = Path(__file__).with_name("standing.py")
SOURCE = Path(__file__).parents[2] / "src"

ASK = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=60) as peer:
            peer.sendall(b"GET / HTTP/1.1\\r\\nHost: c2.example\\r\\n\\r\\n")
            print(peer.recv(12).decode())
    except OSError as error:
        print(type(error).__name__)
"""


def block(title: str) -> str:
    """The rules in the section of the page with this title."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = re.search(r"```nft\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def network() -> Iterator[tuple[str, str]]:
    """Two namespaces, (the bot's, the sinkhole's), with a cable between them."""
    for program in ("ip", "nft"):
        if which(program) is None:
            pytest.skip(f"{program} is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces of the network")
    mark = uuid4().hex[:6]
    bot, sink = f"bot-{mark}", f"sink-{mark}"
    with ExitStack() as stack:
        for name in (bot, sink):
            try:
                run("ip", "netns", "add", name)
            except OSError as error:
                pytest.skip(f"no namespace can be made here: {error}")
            stack.callback(run, "ip", "netns", "del", name)
        run(
            "ip",
            "link",
            "add",
            "veth0",
            "netns",
            bot,
            "type",
            "veth",
            "peer",
            "veth0",
            "netns",
            sink,
        )
        # The sinkhole's address is not the first of its interface.
        for name, addresses in (
            (bot, ["192.0.2.1/24", "2001:db8::1/64"]),
            (sink, ["192.0.2.52/24", "192.0.2.53/24", "2001:db8::52/64", "2001:db8::53/64"]),
        ):
            run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", name, "link", "set", "veth0", "up")
            for address in addresses:
                flags = ["nodad"] if ":" in address else []
                run("ip", "-n", name, "address", "add", address, "dev", "veth0", *flags)
        yield bot, sink


@contextmanager
def serving(sink: str, *, transparent: bool) -> Iterator[subprocess.Popen[str]]:
    command = ["ip", "netns", "exec", sink, sys.executable, str(SERVER), "4444"]
    server = subprocess.Popen(
        [*command, str(int(transparent)), "192.0.2.53", "2001:db8::53"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n"
        yield server
    finally:
        server.stdin.close()
        assert server.wait(120) == 0
        server.stdout.close()


def ask(bot: str, *targets: str) -> list[str]:
    return run("ip", "netns", "exec", bot, sys.executable, "-c", ASK, *targets).splitlines()


TARGETS = [
    f"{host}:{port}"
    for host in ("192.0.2.53", "2001:db8::53")
    for port in (1, 80, 443, 4444, 31337, 65535)
]


@pytest.mark.parametrize("title", ["With nftables", "Without connection tracking: tproxy"])
def test_every_port_leads_to_the_sinkhole_which_knows_where_it_was_to_go(
    network: tuple[str, str], title: str
) -> None:
    bot, sink = network
    transparent = "tproxy" in title
    try:
        run("ip", "netns", "exec", sink, "nft", "-f", "-", stdin=block(title))
    except OSError as error:
        if "not supported" in str(error) or "No such file" in str(error):
            pytest.skip(f"the kernel has no such rules: {error}")
        raise
    if transparent:
        section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1]
        for line in re.findall(r"^ip .*$", section, re.MULTILINE):
            run("ip", "-n", sink, *line.split()[1:])
    with serving(sink, transparent=transparent) as server:
        assert server.stdout is not None
        answers = ask(bot, *TARGETS)
        events = [json.loads(server.stdout.readline()) for _ in TARGETS]
        # These are left alone, and so are other addresses of the machine.
        others = ask(bot, "192.0.2.53:22", "192.0.2.53:53", "192.0.2.52:80", "2001:db8::53:22")

    assert answers == ["HTTP/1.1 204"] * len(TARGETS)
    assert [f"{event['destination']}:{event['service_port']}" for event in events] == TARGETS
    assert {event["proof"] for event in events} == {"http"}
    assert others == ["ConnectionRefusedError"] * 4
