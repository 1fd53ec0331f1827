"""What every test has: no network but loopback, a home and a site key of its own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

_connect = socket.socket.connect


def _only_loopback(self: socket.socket, address: Any) -> None:
    if self.family in {socket.AF_INET, socket.AF_INET6}:
        host = str(address[0])
        if not (host.startswith("127.") or host in {"::1", "localhost"}):
            raise AssertionError(f"a test tried to reach {host}")
    _connect(self, address)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run all of a file, unless a larger group is named.

    The tests of a file need the same kernels and the same made-up data.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            place = item.path.relative_to(item.config.rootpath).with_suffix("")
            item.add_marker(pytest.mark.xdist_group("/".join(place.parts[1:])))


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point Remnant at a home and a key of this test alone, and forbid the network."""
    monkeypatch.setenv("REMNANT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REMNANT_SITE_KEY", str(tmp_path / "key" / "site.key"))
    monkeypatch.setattr(socket.socket, "connect", _only_loopback)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of captures written by others."""
    place = os.environ.get("REMNANT_REAL_DATA")
    if not place:
        pytest.skip("REMNANT_REAL_DATA does not name a folder with captures written by others")
    return Path(place)
