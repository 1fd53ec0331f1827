"""Real name servers, started on loopback and asked by a real dig."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE = 120.0
"""Seconds after which a server does not start or end any more."""
ZONE = r"""$ORIGIN evil.example.
$TTL 60
@ SOA ns1 host 1 60 60 60 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.10
www A 192.0.2.11
www AAAA 2001:db8::10
alias CNAME www
txt TXT "it is so"
a\032b A 192.0.2.12
"""


def needed(program: str, package: str) -> str:
    """Return where a program is; without it the test is skipped."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed (Debian: {package})")
    return path


def ask(port: int, name: str, kind: str, *options: str) -> int:
    """Ask on loopback; return dig's exit code, 0 if an answer came."""
    command = [needed("dig", "bind9-dnsutils"), "@127.0.0.1", "-p", str(port), "+tries=1"]
    command += ["+time=20", *options, "-q", name, "-t", kind]
    return subprocess.run(command, capture_output=True, check=False).returncode


def ask_all(port: int, questions: Path) -> None:
    """Ask what a file says, a name and a type in each line."""
    command = [needed("dig", "bind9-dnsutils"), "@127.0.0.1", "-p", str(port), "+tries=1"]
    subprocess.run(
        [*command, "+time=20", "+notcp", "-f", str(questions)], capture_output=True, check=False
    )


@contextlib.contextmanager
def serving(command: Sequence[str], log: Path, port: int, zone: str = "UTC") -> Iterator[None]:
    """Run a server that writes to its standard error until it answers, and then what follows."""
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TZ": zone, "LC_ALL": "C"}
    with log.open("ab") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + PATIENCE
        while ask(port, "ready.example", "A") != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"{command[0]} does not run here")
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE)


@contextlib.contextmanager
def authority(folder: Path, *options: str) -> Iterator[tuple[int, Path]]:
    """Run PowerDNS with the zone evil.example; give its port and its log."""
    program = needed("pdns_server", "pdns-server")
    port, log = free_port(), folder / "pdns.log"
    (folder / "evil.zone").write_text(ZONE, encoding="ascii")
    (folder / "zones.conf").write_text(
        f'zone "evil.example" {{ type master; file "{folder}/evil.zone"; }};\n', encoding="ascii"
    )
    (folder / "pdns.conf").write_text(
        f"launch=bind\nbind-config={folder}/zones.conf\nlocal-address=127.0.0.1\n"
        f"local-port={port}\nsocket-dir={folder}\nloglevel=5\ndisable-syslog=yes\n"
        "security-poll-suffix=\n",
        encoding="ascii",
    )
    command = [program, f"--config-dir={folder}", "--daemon=no", "--guardian=no", *options]
    with serving(command, log, port):
        yield port, log
