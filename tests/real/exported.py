"""Servers that run on exported files, and what they answer."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from real.dns_servers import needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

UNTIL_READY_S: Final = 120
PACKAGES: Final = {
    "knotd": "knot", "knotc": "knot", "nsd": "nsd", "nsd-checkconf": "nsd",
    "nsd-checkzone": "nsd", "named": "bind9", "named-checkconf": "bind9-utils",
    "unbound": "unbound", "unbound-checkconf": "unbound", "fstrm_capture": "fstrm-bin",
}  # fmt: skip


def program(name: str) -> str:
    """Return where a program is; without it the test is skipped."""
    return needed(name, PACKAGES[name])


def check(*command: str) -> str:
    """Run a server's own checker, which has to find nothing; return what it says."""
    done = subprocess.run(
        [program(command[0]), *command[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def start(stack: ExitStack, log: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a server; it stops when the stack is left."""
    with log.open("ab") as output:
        server = subprocess.Popen(
            [program(command[0]), *command[1:]],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip

    def stop() -> None:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    stack.callback(stop)
    return server


def wait_for(ready: Callable[[], Any], server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server is ready; it has to become so."""
    deadline = time.monotonic() + UNTIL_READY_S
    while not ready():
        assert server.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
        time.sleep(0.05)


def start_and_wait(stack: ExitStack, folder: Path, port: int, asked: str, *command: str) -> None:
    """Start a server and wait until it answers about a name with NOERROR."""
    log = folder / f"{command[0]}.log"
    server = start(stack, log, *command)
    wait_for(lambda: _ready(port, asked), server, log)


def _ready(port: int, name: str) -> bool:
    try:
        # With RD, as a resolver answers nothing else from outside its cache.
        query = dns.message.make_query(name, "SOA")
        return dns.query.udp(query, "127.0.0.1", port=port, timeout=1).rcode() == dns.rcode.NOERROR
    except (OSError, dns.exception.DNSException):
        return False


def start_knot(stack: ExitStack, folder: Path, port: int, asked: str) -> None:
    """Run Knot on an exported folder."""
    start_and_wait(stack, folder, port, asked, "knotd", "-c", str(folder / "knot.conf"))


def start_nsd(stack: ExitStack, folder: Path, port: int, asked: str) -> None:
    """Run NSD on an exported folder, as the user who tests."""
    start_and_wait(
        stack, folder, port, asked,
        "nsd", "-d", "-u", getpass.getuser(), "-c", str(folder / "nsd.conf"),
    )  # fmt: skip


def start_bind(stack: ExitStack, folder: Path, port: int, asked: str) -> None:
    """Run BIND on an exported folder."""
    start_and_wait(
        stack, folder, port, asked, "named", "-g", "-n", "1", "-c", str(folder / "named.conf")
    )


def start_unbound(stack: ExitStack, folder: Path, port: int, asked: str) -> None:
    """Run Unbound on an exported folder, as the user who tests."""
    (folder / "as-user.conf").write_text(
        f'include: "{folder}/unbound.conf"\nserver:\n    username: ""\n    use-syslog: no\n'
        "    do-not-query-localhost: yes\n"
        '    local-zone: "." refuse\n',
        encoding="ascii",
    )
    start_and_wait(stack, folder, port, asked, "unbound", "-d", "-c", str(folder / "as-user.conf"))


def collect(stack: ExitStack, socket: Path, into: Path) -> None:
    """Write what servers tell a socket to a file."""
    log = into.with_suffix(".log")
    server = start(
        stack, log, "fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", str(socket),
        "-w", str(into),
    )  # fmt: skip
    wait_for(socket.exists, server, log)


def ask(
    port: int, name: str, kind: str, *, tcp: bool = False, timeout: float = 60, **options: Any
) -> dns.message.Message:
    """Ask on loopback; over TCP as well if the answer was cut."""
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232, **options)
    query.flags &= ~dns.flags.RD
    if tcp:
        return dns.query.tcp(query, "127.0.0.1", port=port, timeout=timeout)
    return dns.query.udp_with_fallback(query, "127.0.0.1", port=port, timeout=timeout)[0]


def has(*programs: str) -> bool:
    """Return whether all programs are there."""
    return all(shutil.which(name) for name in programs)


def records(reply: dns.message.Message) -> frozenset[tuple[str, str, int]]:
    """Return type, data and TTL of an answer's records, the serial of an SOA as a star."""
    found = set()
    for rrset in reply.answer:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        for data in rrset:
            found.add((kind, without_serial(data.to_text()), rrset.ttl))
    return frozenset(found)


def without_serial(text: str) -> str:
    """Return the data of a record in lower case (names follow the question's), no serial in it."""
    words = text.split(" ")
    if len(words) == 7:
        words[2] = "*"
    return text.lower() if len(words) != 7 else " ".join(words).lower()


def settle(stack: ExitStack) -> None:
    """Let servers tell what they keep back for a second before they stop."""
    stack.callback(time.sleep, 2)
