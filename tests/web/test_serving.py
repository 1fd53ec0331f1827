from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from remnant.web import serving
from web.conftest import serving as running
from web.guarded import bare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from web.conftest import Served

WAIT_S = 20.0
HEAD = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with running(bare(tmp_path), beside=False) as server:
        yield server


def connected(server: Served) -> socket.socket:
    port = int(server.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def is_ended(line: socket.socket) -> bool:
    """Whether the server hangs up: false after a long wait."""
    try:
        while line.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("said", [b"", HEAD], ids=["nothing", "a part"])
def test_who_never_ends_the_head_of_a_request_is_hung_up_on(
    server: Served, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(serving, "HEAD_S", 0.3)
    with connected(server) as line:
        line.sendall(said)
        assert is_ended(line)


def test_bytes_that_drip_give_no_more_time(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_S", 1.0)
    with connected(server) as line:
        line.sendall(HEAD)
        until = time.monotonic() + WAIT_S
        dripped = 0
        try:
            while time.monotonic() < until:
                line.sendall(b"X-A: b\r\n")
                dripped += 1
                time.sleep(0.1)
        except ConnectionError:
            pass
        assert time.monotonic() < until
        assert dripped > 2


def test_who_never_ends_a_body_is_hung_up_on(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BODY_S", 0.3)
    with connected(server) as line:
        line.sendall(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname="
        )
        assert is_ended(line)


def test_a_connection_serves_one_request_after_another(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "HEAD_S", 0.5)
    with connected(server) as line:
        for _ in range(2):
            line.sendall(HEAD.replace(b"GET", b"HEAD") + b"\r\n")
            assert line.recv(65_536).startswith(b"HTTP/1.1 405")
            # Between two requests nobody is hurried: longer than a head may take.
            time.sleep(0.8)
