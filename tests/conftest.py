"""What every test has: no network but loopback, a home and a site key of its own."""

from __future__ import annotations

import functools
import gc
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import typer.main
import typer.testing
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# The same examples each time, however long they take: what passed once passes again. New ones are
# tried by who asks for them, and in the long campaigns.
_CAMPAIGNS = ("REMNANT_API_EXAMPLES", "REMNANT_EXPLORE", "REMNANT_FUZZ_ROUNDS")
hypothesis_settings.register_profile(
    "steady",
    deadline=None,
    derandomize=not any(name in os.environ for name in _CAMPAIGNS),
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("steady")

_ASKED_FOR = {*_CAMPAIGNS, "REMNANT_REAL_DATA", "REMNANT_SINK_KILLS"}
"""What may be said to the tests; the settings of whoever runs them are not theirs."""
for _name in [name for name in os.environ if name.startswith("REMNANT_")]:
    if _name not in _ASKED_FOR:
        del os.environ[_name]
# Nor are the width and the colours of the terminal.
for _name in ("CLICOLOR_FORCE", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH"):
    os.environ.pop(_name, None)
os.environ |= {"COLUMNS": "80", "LINES": "24"}

# A process that runs one command works out all commands and their options once. The tests run
# hundreds in one process, each of which would work out the same for an eighth of a second.
_commands = functools.cache(typer.main.get_command)
typer.main.get_command = _commands
setattr(typer.testing, "_get_command", _commands)  # noqa: B010 - a name of its own there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres import Postgres

_connect = socket.socket.connect


def _only_loopback(self: socket.socket, address: Any) -> None:
    if self.family in {socket.AF_INET, socket.AF_INET6}:
        host = str(address[0])
        if not (host.startswith("127.") or host in {"::1", "localhost"}):
            raise AssertionError(f"a test tried to reach {host}")
    _connect(self, address)


TOGETHER: Final = {
    "tests/story/test_sinkhole": "",
    "tests/story/": "story",
    "tests/simulate/": "simulate",
}
"""Tests that share what takes long to make, by the start of their names; else a file is a group."""

SPREAD: Final = ("tests/capture/test_conformance.py", "tests/story/test_every_format.py")
"""What needs the kernels of all formats: run last, when they are compiled, and by all processes."""

BROWSER: Final = "tests/web/browser/"
"""What drives a browser."""

FIRST: Final = (
    "tests/story/", "tests/simulate/", "tests/fuzz/", "tests/sinkhole/", "tests/real/",
)  # fmt: skip
"""Where the long tests are: none of them is to be the last one, which all others wait for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring long tests to the front; among their like the order stays as it is."""
    for item in items:
        if item.nodeid.startswith(BROWSER):
            item.add_marker(pytest.mark.browser)

    def rank(item: pytest.Item) -> int:
        return 2 if item.nodeid.startswith(SPREAD) else not item.nodeid.startswith(FIRST)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays for the whole run anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


MEMORY: Final = 2 << 30
"""Bytes that a process which runs tests may need, with the servers that it starts."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Run one process more than there are processors, where there is memory for it.

    A test that waits for a server, or for a kernel that another process compiles, leaves its
    processor idle. One process more has something to do then.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ or not hasattr(os, "sched_getaffinity"):
        return None
    processors = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return processors + (memory >= (processors + 1) * MEMORY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process run all tests that need the same kernels and the same made-up data.

    Marks of groups do not come into it: xdist writes them into names, which pytest 9 ignores.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(SPREAD):
                return nodeid
            file = nodeid.partition("::")[0]
            groups = (group for start, group in TOGETHER.items() if file.startswith(start))
            return next(groups, "") or file

    # In the order of the tests, not by how many there are in a group.
    config.option.loadscopereorder = False
    return Together(config, log)


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    """A PostgreSQL of this process's tests."""
    from postgres import cluster

    with cluster() as running:
        yield running


@pytest.fixture
def postgres(cluster: Postgres) -> str:
    """The address of an empty PostgreSQL database of this test alone."""
    return cluster.make(f"t{secrets.token_hex(6)}")
