from __future__ import annotations

import contextlib
import doctest
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remnant.sinkhole import listeners
from remnant.sinkhole.addresses import mapped, unit_of
from remnant.sinkhole.listeners import ListenError, destination_of, open_listeners

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_one_socket_for_each_address_and_port_that_does_not_block() -> None:
    found = open_listeners(["127.0.0.1", "127.0.0.2"], [0, 0, 0], connections=10)

    assert [listener.getsockname()[0] for listener in found] == ["127.0.0.1"] * 3 + [
        "127.0.0.2"
    ] * 3
    assert all(listener.getblocking() is False for listener in found)
    with socket.create_connection(found[0].getsockname(), timeout=60):
        pass
    for listener in found:
        listener.close()


def test_a_port_that_is_taken_is_said_and_what_was_opened_is_closed(taken: int) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ListenError) as caught:
        open_listeners(["127.0.0.1"], [0, 0, taken], connections=10)

    assert caught.value.where == f"127.0.0.1:{taken}"
    assert caught.value.got == "Address already in use"
    assert caught.value.hint is not None
    assert "ss -ltnp" in caught.value.hint
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(ListenError, match="does not have this address"):
        open_listeners(["192.0.2.1"], [0], connections=10)
    with pytest.raises(ListenError) as caught:
        open_listeners(["evil.example"], [80], connections=10)
    assert caught.value.got == "evil.example"


def test_ipv4_and_ipv6_can_have_every_address_of_the_same_port() -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    for _ in range(20):
        (six,) = open_listeners(["::"], [0], connections=10)
        port = six.getsockname()[1]
        with six, contextlib.suppress(ListenError):
            (four,) = open_listeners(["0.0.0.0"], [port], connections=10)
            four.close()
            return
        # Another test may have this port of one IPv4 address: then another port is tried.
    pytest.fail("no port could be had on every address of both kinds")


def run_with_limits(soft: int, hard: int, code: str) -> str:
    program = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from remnant.sinkhole.listeners import ListenError, open_listeners\n" + code
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return run.stdout


def test_the_soft_limit_of_open_files_is_raised_when_it_is_too_low() -> None:
    code = (
        "found = open_listeners(['127.0.0.1'], [0] * 300, connections=100)\n"
        "print(len(found), resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )

    assert run_with_limits(64, 1000, code) == "300 (1000, 1000)\n"


def test_the_soft_limit_is_left_when_it_suffices() -> None:
    code = (
        "open_listeners(['127.0.0.1'], [0] * 3, connections=10)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )

    assert run_with_limits(500, 1000, code) == "(500, 1000)\n"


def test_more_ports_than_files_are_said_before_anything_is_opened() -> None:
    code = (
        "try:\n"
        "    open_listeners(['127.0.0.1'], range(1, 65536), connections=100)\n"
        "except ListenError as error:\n"
        "    print(error)\n"
    )
    said = run_with_limits(64, 1000, code)

    assert "65,535 sockets to listen on and 100 connections" in said
    assert "1,000 files at most" in said
    assert "nftables" in said


def test_thousands_of_ports() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 4000:
        pytest.skip("this process may open too few files")
    code = (
        "found = open_listeners(['127.0.0.1'], [0] * 3000, connections=100)\n"
        "print(len({s.getsockname()[1] for s in found}))\n"
    )

    assert run_with_limits(1024, 4000, code) == "3000\n"


def test_without_redirection_the_destination_is_the_socket_s_own_address() -> None:
    for host, address in (("127.0.0.3", "::ffff:127.0.0.3"), ("::1", "::1")):
        try:
            (listener,) = open_listeners([host], [0], connections=10)
        except ListenError:
            assert host == "::1"
            continue
        with listener, socket.create_connection(listener.getsockname()[:2], timeout=60):
            accepted, _ = listener.accept()
            with accepted:
                port = listener.getsockname()[1]
                assert destination_of(accepted) == (
                    socket.inet_pton(socket.AF_INET6, address),
                    port,
                )


def test_one_source_is_an_ipv4_address_or_an_ipv6_64() -> None:
    units = [unit_of(mapped(text)) for text in ("192.0.2.1", "192.0.2.2", "192.0.2.1")]
    assert units[0] == units[2] != units[1]
    assert unit_of(mapped("2001:db8::1")) == unit_of(mapped("2001:db8::ffff:0:0:2"))
    assert unit_of(mapped("2001:db8::1")) != unit_of(mapped("2001:db8:0:1::1"))


def test_a_scope_is_left_out() -> None:
    assert mapped("fe80::1%eth0") == socket.inet_pton(socket.AF_INET6, "fe80::1")


def test_the_examples_hold() -> None:
    assert doctest.testmod(listeners).failed == 0
