"""Commands of the sinkhole: run it, and verify what it kept."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from remnant.cli_audit import changes, now_recorded, reads
from remnant.cli_shared import (
    Format,
    FormatOption,
    emit_json,
    open_library,
    open_settings,
    open_store,
)
from remnant.web.access.actions import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from remnant.settings import Settings
    from remnant.sinkhole.order import Plan
    from remnant.sinkhole.supervisor import Sockets

__all__ = ["app"]

_DEFAULT_LISTEN: Final = "127.0.0.1:5300"
_CHILD: Final = "remnant.cli_sink_child"
_LONGEST_NAME: Final = 255


class _Sink(TyperGroup):
    """``remnant sink CASE...`` runs the sinkhole; only the other verbs are named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb that is left out in front."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["run", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_Sink,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run the sinkhole: remnant sink CASE... answers for seized names and keeps who asked. "
    "All options: remnant sink run --help",
)


@app.command("run", short_help="Answer for the names of cases (the verb may be left out).")
@changes(Action.SINKHOLE_STARTED, "cases", "all_cases", also=(Action.SINKHOLE_STOPPED,))
def run(
    cases: Annotated[
        list[str] | None, typer.Argument(help="The cases to serve.", metavar="CASE...")
    ] = None,
    *,
    all_cases: Annotated[bool, typer.Option("--all", help="Serve every stored case.")] = False,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Where DNS is answered over UDP and TCP; default {_DEFAULT_LISTEN}. "
            "HTTP and TLS are understood there as well.",
            metavar="ADDR[:PORT]",
        ),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="An address that names get, instead of the cases'.", metavar="ADDR"),
    ] = None,
    ports: Annotated[
        str | None,
        typer.Option(
            help="Further TCP ports for HTTP, TLS and anything else, at the addresses of --listen.",
            metavar="80,443,8000-8010",
        ),
    ] = None,
    connections: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Connections over TCP that may be open.")
    ] = 10_000,
    rate_limit: Annotated[
        str,
        typer.Option(
            help="Answers a second for one network (an IPv4 /24, an IPv6 /56), or off.",
            metavar="N|off",
        ),
    ] = "200",
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Processes that answer UDP; default: one a core."),
    ] = None,
    sensor: Annotated[str, typer.Option(help="Name of this sensor.")] = "sinkhole",
    nsid: Annotated[
        str, typer.Option(help="How this server names itself to who asks (NSID).")
    ] = "",
    cookie_secret: Annotated[
        Path | None,
        typer.Option(
            help="File with the secret of the DNS cookies (32 hex digits), for several servers "
            "behind one address; default: a new one at each start.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Where /metrics and /health are served.", metavar="ADDR:PORT"),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Become this user once the ports are open.")
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Answer UDP without the compiled fast path.")
    ] = False,
) -> None:
    """Answer for the seized names of cases and keep every query, live.

    Runs until SIGTERM or Ctrl-C. SIGHUP reads the cases again; if one is wrong, the sinkhole goes
    on as before. Events are written to standard error, one line of JSON each.
    """
    # Without a handler, SIGHUP would end the process.
    asked = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda *_: asked.set())
    from remnant.settings import load
    from remnant.sinkhole import rights
    from remnant.sinkhole.listeners import HAS_FAST_PATH
    from remnant.sinkhole.log import json_log
    from remnant.sinkhole.supervisor import Supervisor

    settings = open_settings()
    names = list(dict.fromkeys(cases or []))
    if all_cases == bool(names):
        raise typer.BadParameter("name the cases, or say --all")
    if not 1 <= len(sensor) <= _LONGEST_NAME or not sensor.isprintable():
        raise typer.BadParameter(f"--sensor is a printable word of 1 to {_LONGEST_NAME} characters")
    if len(nsid.encode(errors="surrogateescape")) > 64:
        raise typer.BadParameter("--nsid has at most 64 bytes")
    limit = _limit(rate_limit)
    secret = _secret(cookie_secret)
    places = list(dict.fromkeys(_place(text) for text in listen or [_DEFAULT_LISTEN]))
    processes = workers or len(os.sched_getaffinity(0))
    if slow or not HAS_FAST_PATH:
        processes = 0
    with contextlib.ExitStack() as opened:
        sockets = _open(places, ports, processes, connections)
        for sock in sockets.all():
            opened.enter_context(sock)
        control = None
        if metrics is not None:
            control = opened.enter_context(_listener(*_place(metrics)))
        if user is not None:
            rights.become(user)
        # From here on everything is read and made as it will be on the next reload.
        _usable(settings.home, "the home folder", "another --home")
        settings = load(settings.home)  # of that user
        _usable(settings.site_key.parent, "the folder of the keys", "another site_key")
        _kernels_kept(settings.home)
        from remnant.wire import kernels_are_new

        build = _builder(
            settings,
            names,
            answer=answer or [],
            # A network's queries are spread over the processes by their ports.
            rate_limit=None if limit is None else -(-limit // max(1, processes)),
            connections=connections,
            nsid=nsid.encode(errors="surrogateescape"),
            secret=secret,
            sensor=sensor,
        )
        if kernels_are_new():
            json_log("compiling", note="once on this machine, for up to a minute; then it answers")
        plan = build()
        rights.hand_none_on()
        for address, port in places:
            json_log("listening", address=address, port=port, protocols=["dns", "http", "tls"])
        if sockets.others:
            json_log("listening", ports=ports, protocols=["http", "tls", "tcp"])
        supervisor = Supervisor(
            build,
            sockets,
            plan=plan,
            home=str(settings.home),
            command=[sys.executable, "-m", _CHILD],
            log=json_log,
            metrics=control,
            asked_again=asked.is_set,
        )
        now_recorded(settings, Action.SINKHOLE_STOPPED)
        code = asyncio.run(supervisor.run())
    if code:
        raise typer.Exit(code)


@app.command("verify", short_help="Check the evidence: chain, signatures, segments.")
@reads
def verify(
    *,
    public_key: Annotated[
        str | None, typer.Option(help="The key that must have signed (64 hex digits).")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Check that no segment was changed or removed since it was written."""
    from remnant.sinkhole.verify import verify as check

    settings = open_settings()
    report = check(settings.home, public_key=public_key)
    if output is Format.JSON:
        emit_json(report.to_json())
    else:
        facts = {k: v for k, v in report.to_json().items() if k not in {"ok", "problems"}}
        for key, value in facts.items():
            typer.echo(f"{key:<11} {'-' if value is None else value}")
        for problem in report.problems:
            typer.echo(f"PROBLEM     {problem.where}: {problem.what}")
        typer.echo("evidence    " + ("is intact" if report.ok else "IS NOT INTACT"))
    if not report.ok:
        raise typer.Exit(1)


def _simulated(settings: Settings, cases: Sequence[str]) -> list[str]:
    """Return the cases that hold simulated sources: nothing real may be mixed with them."""
    if not settings.home.exists():
        return []
    with open_store(settings) as store, store.ledger.reading() as connection:
        return [case for case in cases if store.ledger.simulated(connection, case)]


def _builder(
    settings: Settings,
    names: Sequence[str],
    *,
    answer: Sequence[str],
    rate_limit: int | None,
    connections: int,
    nsid: bytes,
    secret: bytes,
    sensor: str,
) -> Callable[[], Plan]:
    """Return what makes the plan of the cases as they are stored when it is called.

    Without names these are all stored ones; a simulated one among them is left out, with a word.
    """
    from datetime import UTC, datetime

    from remnant.cases import indicators
    from remnant.cases.model import SinkholeConfig
    from remnant.cases.rules import compile_rules
    from remnant.errors import CaseError
    from remnant.sinkhole.directory import Directory
    from remnant.sinkhole.http_reply import make
    from remnant.sinkhole.log import json_log
    from remnant.sinkhole.order import Plan
    from remnant.sinkhole.recorder import facts_of
    from remnant.sinkhole.tables import compile_zones
    from remnant.sinkhole.zones import served_zones
    from remnant.watchlist import digest_of
    from remnant.windows import to_us

    addresses = [indicators.address(text) for text in answer]
    library = open_library(settings)

    def build() -> Plan:
        now = datetime.now(tz=UTC)
        chosen = list(names)
        if not names:
            stored = [entry.name for entry in library.list() if entry.origin == "stored"]
            if not stored:
                raise CaseError("no case is stored yet", hint="see: remnant case new --help")
            made_up = _simulated(settings, stored)
            chosen = [name for name in stored if name not in made_up]
            if made_up:
                json_log("left_out", cases=made_up, reason="they hold simulated sources")
        refused = _simulated(settings, chosen) if names else []
        if refused or not chosen:
            raise CaseError(
                "the case holds simulated sources; a sinkhole's are real",
                where=refused[0] if refused else None,
                hint="serve the case of the real takedown, or delete this one first",
            )
        found = [library.get(name) for name in chosen]
        rules = {case.name: compile_rules(case) for case in found}
        zones = served_zones(
            [(case, rules[case.name]) for case in found],
            answer=addresses,
            now=to_us(now),
            serials={case.name: _serial(settings, case.name) for case in found},
        )
        served, owners = compile_zones(zones)
        return Plan(
            zones=zones,
            served=served,
            memberships=Directory(zones, owners).memberships,
            facts=facts_of(zones, {name: digest_of(mine, name) for name, mine in rules.items()}),
            replies={
                case.name: make(case.sinkhole or SinkholeConfig(), case.title) for case in found
            },
            rate_limit=rate_limit,
            connections=connections,
            nsid=nsid,
            secret=secret,
            sensor=sensor,
        )

    return build


def _serial(settings: Settings, name: str) -> int:
    """Return a serial that grows when the case changes: the time of its file."""
    try:
        return int(open_library(settings).path(name).stat().st_mtime)
    except OSError:
        return 1


def _limit(text: str) -> int | None:
    if text == "off":
        return None
    if text.isdecimal() and 1 <= int(text) <= 1_000_000:
        return int(text)
    raise typer.BadParameter("--rate-limit is a number from 1 to 1000000, or off")


def _secret(path: Path | None) -> bytes:
    from remnant.errors import RemnantError

    if path is None:
        return os.urandom(16)
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise RemnantError(
            "the secret of the cookies cannot be read", where=str(path), got=error
        ) from None
    if len(secret) != 16:
        raise RemnantError(
            "the secret of the cookies has the wrong length",
            where=str(path),
            got=f"{len(secret)} bytes",
            expected="32 hex digits (16 bytes)",
        )
    return secret


def _place(text: str) -> tuple[str, int]:
    """Return the address and port of ``ADDR``, ``ADDR:PORT`` or ``[ADDR]:PORT``."""
    import ipaddress

    host, port = text, "53"
    if match := re.fullmatch(r"\[([^]]*)\](?::(.*))?", text):
        host, port = match[1], "53" if match[2] is None else match[2]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = str(ipaddress.ip_address(host))
        number = int(port) if port.isascii() and port.isdecimal() else 0
    except ValueError:
        number = 0
    if not 1 <= number <= 65535:
        raise typer.BadParameter(
            f"{text!r} is no place to listen; expected 192.0.2.53, 192.0.2.53:5300 or [::1]:5300"
        )
    return address, number


def _open(
    places: Sequence[tuple[str, int]], ports: str | None, workers: int, connections: int = 10_000
) -> Sockets:
    """Bind every socket, before rights are given up."""
    from remnant.sinkhole.listeners import open_listeners, udp_socket
    from remnant.sinkhole.ports import parse
    from remnant.sinkhole.supervisor import Sockets

    wanted = [] if ports is None else parse(ports)
    sockets = Sockets()
    try:
        for address, port in places:
            with _explained(address, port):
                for number in range(workers):
                    if number == len(sockets.udp):
                        sockets.udp.append([])
                    sockets.udp[number].append(udp_socket(address, port))
                if not workers:
                    sockets.slow.append(udp_socket(address, port))
            sockets.dns += open_listeners([address], [port], connections=connections)
        for address in dict.fromkeys(address for address, _ in places):
            # At the ports of DNS these protocols are understood as well.
            free = [port for port in wanted if (address, port) not in places]
            sockets.others += open_listeners([address], free, connections=connections)
    except BaseException:
        for sock in sockets.all():
            sock.close()
        raise
    return sockets


def _listener(address: str, port: int) -> socket.socket:
    with _explained(address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)


@contextlib.contextmanager
def _explained(address: str, port: int) -> Iterator[None]:
    """Turn a failure to bind into words."""
    from remnant.errors import RemnantError

    try:
        yield
    except OSError as error:
        hint = "another server may listen there: see ss -lnptu"
        if isinstance(error, PermissionError):
            hint = "ports below 1024 need the right for it: see the guide for operators"
        raise RemnantError(
            "the sinkhole cannot listen",
            where=f"{address} port {port}",
            got=error.strerror,
            hint=hint,
        ) from None


def _usable(folder: Path, what: str, other: str) -> None:
    """Make a folder, or say clearly why it cannot be used, or something in it."""
    from remnant.errors import StoreError

    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise refused
        for path in folder.iterdir():
            if not os.access(path, os.R_OK | os.W_OK):
                folder = path
                raise refused
    except OSError as error:
        raise StoreError(
            f"{what} cannot be used by the user that the sinkhole runs as",
            where=str(folder),
            got=error.strerror,
            hint=f"give it to that user with all that is in it, or choose {other}",
        ) from None


def _kernels_kept(home: Path) -> None:
    """Choose where compiled kernels are kept, for a user without a folder of its own.

    To be called before anything is imported that has kernels.
    """
    import platformdirs

    folder = platformdirs.user_cache_path("remnant")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    except OSError:
        usable = False
    if not usable:
        os.environ["XDG_CACHE_HOME"] = str(home / "cache")
