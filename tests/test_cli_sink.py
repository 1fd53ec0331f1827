"""The options of ``remnant sink``: what they mean, and what is refused."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
import typer

from ports import free_port
from remnant.cli_sink import _limit, _open, _place, _secret
from remnant.errors import RemnantError
from story.telling import Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5300", ("192.0.2.53", 5300)),
        ("0.0.0.0:53", ("0.0.0.0", 53)),
        ("::", ("::", 53)),
        ("2001:DB8:0::1", ("2001:db8::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5300", ("::1", 5300)),
    ],
)
def test_places(text: str, place: tuple[str, int]) -> None:
    assert _place(text) == place


@pytest.mark.parametrize(
    "text",
    ["", ":", ":53", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:+5",
     "192.0.2.53:5_3", "192.0.2.53: 53", "192.0.2.53:\u0665\u0663", "[::1", "[::1]5300",
     "[::1]:", "[]:53", "localhost:53", "192.0.2.0/24", "192.0.2.53@53"],
)  # fmt: skip
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="no place to listen"):
        _place(text)


def test_limits() -> None:
    assert (_limit("off"), _limit("1"), _limit("1000000")) == (None, 1, 1_000_000)
    for text in ("0", "-1", "1000001", "", "2.5", "none"):
        with pytest.raises(typer.BadParameter, match="rate-limit"):
            _limit(text)


def test_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("00112233445566778899aabbccddeeff\n")

    assert _secret(path) == bytes.fromhex("00112233445566778899aabbccddeeff")
    assert len(_secret(None)) == 16
    assert _secret(None) != _secret(None)
    for text in ("", "00", "x" * 32, "00" * 17):
        path.write_text(text)
        with pytest.raises(RemnantError, match="secret"):
            _secret(path)
    with pytest.raises(RemnantError, match="cannot be read"):
        _secret(tmp_path / "nowhere")


def test_ports_beside_those_of_dns() -> None:
    """A port that is DNS at one address is a port like others at the next."""
    first, second, third = free_port(), free_port(), free_port()
    sockets = _open(
        [("127.0.0.1", first), ("127.0.0.2", second)], f"{first},{second},{third}", workers=2
    )
    with contextlib.ExitStack() as closed:
        for sock in sockets.all():
            closed.enter_context(sock)

        assert [len(group) for group in sockets.udp] == [2, 2]
        assert [sock.getsockname() for sock in sockets.dns] == [
            ("127.0.0.1", first),
            ("127.0.0.2", second),
        ]
        assert {sock.getsockname() for sock in sockets.others} == {
            ("127.0.0.1", second), ("127.0.0.1", third),
            ("127.0.0.2", first), ("127.0.0.2", third),
        }  # fmt: skip


def test_without_the_fast_path_there_is_one_socket_for_each_place() -> None:
    port = free_port()
    sockets = _open([("127.0.0.1", port), ("::1", port)], None, workers=0)
    with contextlib.ExitStack() as closed:
        for sock in sockets.all():
            closed.enter_context(sock)

        assert sockets.udp == []
        assert [sock.family for sock in sockets.slow] == [socket.AF_INET, socket.AF_INET6]


def test_a_port_that_is_taken_is_said_and_nothing_stays_open() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(RemnantError, match="listen"):
        _open([("127.0.0.1", port)], None, workers=1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("beebone", "--all"), "name the cases, or say --all"),
        (("--all", "--sensor", ""), "--sensor"),
        (("--all", "--sensor", "a\nb"), "--sensor"),
        (("--all", "--sensor", "a" * 256), "--sensor"),
        (("--all", "--nsid", "n" * 65), "64 bytes"),
        (("--all", "--user", "nobody-of-this-name"), "no such user"),
        (("--all", "--metrics", "192.0.2.1:9"), "cannot listen"),
        (("--all", "--workers", "0"), "workers"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    outcome = Place(tmp_path).run("sink", *words, "--listen", f"127.0.0.1:{free_port()}")

    assert outcome.code in {1, 2}
    assert said in outcome.said
