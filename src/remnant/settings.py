"""The settings: what they are, what they mean, and where each value came from.

Every setting is declared once, below, with its meaning and its limits; the reference page and the
error messages are made from that. Sections are named as the rooms that read them. A value comes
from, in this order: an argument, the environment (``REMNANT_SECTION__KEY``), the file
``settings.toml`` in the home folder, the default. An unknown key is an error.

The classes are plain frozen dataclasses, so that importing this module costs nothing; pydantic
checks the values when settings are loaded.
"""
# ruff: noqa: RUF009 - _setting() is dataclasses.field() with the house's metadata

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping  # noqa: TC003 - get_type_hints reads it
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

from remnant.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "EstimateSettings",
    "InfrastructureSettings",
    "JudgeSettings",
    "ReferenceSettings",
    "ReportSettings",
    "ResolveSettings",
    "Settings",
    "SinkholeSettings",
    "StoreSettings",
    "WebSettings",
    "load",
    "reference",
    "show",
]

FILE_NAME: Final = "settings.toml"
_FILE_LIMIT: Final = 1 << 20
_ENV_PREFIX: Final = "REMNANT_"
_GIB: Final = 1 << 30


def _setting(
    meaning: str,
    default: object = None,
    *,
    factory: Callable[[], object] | None = None,
    shown: str | None = None,
    expected: str | None = None,
    in_file: bool = True,
    **limits: object,
) -> Any:  # noqa: ANN401 - as dataclasses.field: the declared type of the field holds
    """Declare one setting.

    ``shown`` describes a default that depends on the machine, ``expected`` a limit that is no
    range; ``limits`` are constraints in pydantic's words.
    """
    metadata = {
        "meaning": meaning,
        "shown": shown,
        "expected": expected,
        "in_file": in_file,
        "limits": limits,
    }
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def _user_folder(kind: str) -> Path:
    import platformdirs  # noqa: PLC0415 - only where no folder is given

    folder: Path = getattr(platformdirs, f"user_{kind}_path")("remnant", appauthor=False)
    return folder


def _memory_limit() -> str:
    """Return 2 GiB, or 40 % of the memory that this process may use where that is less."""
    known = []
    with contextlib.suppress(AttributeError, OSError, ValueError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):  # no control group, or "max"
        known.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    available = min((size for size in known if size > 0), default=5 * _GIB)
    return f"{min(2 * _GIB, available * 2 // 5) >> 20}MiB"


def _threads() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``[store]``: what reading and compacting the store may use of this machine."""

    memory_limit: str = _setting(
        "memory that the query engine may use before it spills to disk",
        factory=_memory_limit,
        shown="2 GiB, or 40 % of the memory where that is less",
        expected="a size such as 2GB or 512MiB",
        pattern=r"(?i)^[1-9]\d{0,8} ?[KMGT]i?B$",
    )
    threads: int = _setting(
        "threads of the query engine",
        factory=_threads,
        shown="one for each processor that this process may use",
        ge=1,
        le=1024,
    )
    wait_s: float = _setting(
        "seconds that a command waits while another process writes to the store; a sinkhole that "
        "runs does so for a moment each second",
        30.0,
        ge=0,
        le=86_400,
    )


@dataclass(frozen=True, slots=True)
class ReferenceSettings:
    """``[reference]``: prefix tables and databases that say whose an address is.

    For each field (AS, AS name, country) the first source that knows it wins, databases before
    tables, each in the order given.
    """

    databases: tuple[Path, ...] = _setting(
        "databases in MaxMind's MMDB format (GeoLite2, DB-IP Lite, IPinfo Lite, ...)", ()
    )
    tables: tuple[Path, ...] = _setting(
        "text tables: CAIDA's pfx2as, or ranges as iptoasn.com publishes them; "
        "plain or compressed with gzip",
        (),
    )
    as_names: Path | None = _setting(
        "names of ASes, one to a line: the number, then the name; used where no other source "
        "names the AS",
        shown="none",
    )
    visitors: Path | None = _setting(
        "addresses that are known to be no victims, one to a line: ADDRESS or PREFIX, a "
        "comma, and scanner, crawler, monitor, sandbox, researcher, resolver or sinkhole",
        shown="none",
    )


@dataclass(frozen=True, slots=True)
class EstimateSettings:
    """``[estimate]``: how sure an interval is."""

    level: float = _setting("level of every interval", 0.95, ge=0.5, lt=1.0)


@dataclass(frozen=True, slots=True)
class InfrastructureSettings:
    """``[infrastructure]``: how far a map goes, and what joins nothing in it."""

    hops: int = _setting(
        "rounds of pivoting from the seeds: each asks what the names and addresses of the round "
        "before are joined to",
        4,
        ge=1,
        le=12,
    )
    nodes: int = _setting(
        "names, addresses and servers on a map at most", 20_000, ge=10, le=5_000_000
    )
    nodes_per_hop: int = _setting(
        "new ones in a round at most; those joined to most of what is known come first",
        5_000,
        ge=1,
        le=5_000_000,
    )
    names_per_address: int = _setting(
        "new names that an address or a server brings at most; those seen most come first",
        200,
        ge=1,
        le=1_000_000,
    )
    names_per_domain: int = _setting(
        "new names that a registered domain brings at most", 50, ge=1, le=1_000_000
    )
    addresses_per_name: int = _setting(
        "new addresses, name servers and mail exchangers that a name brings at most",
        500,
        ge=1,
        le=1_000_000,
    )
    shared_domains: int = _setting(
        "an address, alias or server with more registered domains than this at once, which are not "
        "the case's, joins nothing (and with more than ten times as many as are the case's)",
        30,
        ge=1,
        le=1_000_000,
    )
    apart_days: float = _setting(
        "a name is not joined to an address that it had more days before or after those through "
        "which the map came to it",
        30.0,
        ge=0.0,
        le=36_500.0,
    )


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """``[judge]``: when clean-up counts as effective."""

    slowest_half_life_days: float = _setting(
        "clean-up is effective when the population halves at least this fast, in days",
        180.0,
        gt=0.0,
        le=36500.0,
    )
    minimum_days: int = _setting(
        "complete days after the takedown below which the verdict is 'cannot_tell'",
        14,
        ge=3,
        le=3650,
    )


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """``[report]``: what may be published."""

    minimum_count: int = _setting(
        "counts below this are hidden in a report that is not internal", 10, ge=1, le=1_000_000
    )


@dataclass(frozen=True, slots=True)
class ResolveSettings:
    """``[resolve]``: the one resolver that ``remnant servers --resolve`` asks."""

    server: str | None = _setting(
        "address of the resolver, and perhaps its port; nothing else is ever asked",
        shown="none: --resolve refuses",
        expected="an address such as 127.0.0.1, 127.0.0.1:5353 or [::1]:53",
        pattern=r"^\[?[0-9A-Fa-f:.]{2,45}\]?(:[0-9]{1,5})?$",
    )
    timeout_s: float = _setting("seconds to wait for an answer", 3.0, gt=0, le=60)
    per_second: float = _setting("questions a second at most", 20.0, gt=0, le=10_000)
    most: int = _setting("questions of one run at most", 2_000, ge=1, le=1_000_000)


@dataclass(frozen=True, slots=True)
class SinkholeSettings:
    """``[sinkhole]``: what the sinkhole keeps."""

    keep_days: int = _setting(
        "days that segments (every event, with addresses) are kept, so that they can be read again "
        "when a watchlist changes; what is in the store stays",
        90,
        ge=1,
        le=36_500,
    )


@dataclass(frozen=True, slots=True)
class WebSettings:
    """``[web]``: who may look at the dashboard, and for how long."""

    accounts: bool = _setting(
        "demand accounts on this machine too; they are always demanded elsewhere, and wherever "
        "there are any",
        False,
    )
    public: bool = _setting(
        "show sums, small counts hidden, to whoever is not signed in (a server without accounts "
        "has no such visitors)",
        False,
    )
    hosts: tuple[str, ...] = _setting(
        "names under which browsers reach the server; others are refused. None: this machine's "
        "own names where nobody signs in, any name where everybody does",
        (),
        expected="host names or addresses without a port",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
        (),
        expected="addresses or prefixes",
    )
    session_hours: float = _setting(
        "hours after which everybody signs in again", 12.0, gt=0.0, le=8_760.0
    )
    idle_hours: float = _setting(
        "hours without a request after which a session ends", 2.0, gt=0.0, le=8_760.0
    )
    login_attempts: int = _setting(
        "wrong passwords for one account from one network before it must wait, each time twice as "
        "long",
        5,
        ge=1,
        le=1_000,
    )
    second_factor: bool = _setting(
        "demand a second factor (a code of an authenticator program) of everybody who signs in; "
        "who has none yet makes it first",
        False,
    )
    audit_days: int = _setting("days that the audit log is kept", 365, ge=1, le=36_500)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; ``load`` is the usual way to get them.

    Attributes:
        home: folder of the store, the settings file and the small state.
        site_key: file of the key that makes pseudonyms; outside the store on purpose.
        database: SQLAlchemy URL of the small mutable state; ``None`` for SQLite in ``home``.
        store: a section, as are ``reference``, ``estimate``, ``infrastructure``, ``judge``,
            ``report``, ``resolve``, ``sinkhole`` and ``web``.
        origins: where each value came from, by ``section.key``; empty unless loaded.
    """

    home: Path = _setting(
        "folder of the store, of settings.toml and of the small state",
        factory=lambda: _user_folder("data"),
        shown="the platform's user data folder",
        in_file=False,
    )
    site_key: Path = _setting(
        "file of the site key, which makes pseudonyms of addresses; keep it outside the store",
        factory=lambda: _user_folder("config") / "site.key",
        shown="site.key in the platform's user configuration folder",
    )
    database: str | None = _setting(
        "SQLAlchemy URL of the small mutable state (ledger, custody, notices)",
        shown="SQLite: state.sqlite in the home folder",
        expected="a URL such as postgresql+psycopg://user@host/remnant",
        pattern=r"^[a-z][a-z0-9_+]*://",
    )
    store: StoreSettings = field(default_factory=StoreSettings)
    reference: ReferenceSettings = field(default_factory=ReferenceSettings)
    estimate: EstimateSettings = field(default_factory=EstimateSettings)
    infrastructure: InfrastructureSettings = field(default_factory=InfrastructureSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    resolve: ResolveSettings = field(default_factory=ResolveSettings)
    sinkhole: SinkholeSettings = field(default_factory=SinkholeSettings)
    web: WebSettings = field(default_factory=WebSettings)
    origins: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in use: ``database``, else SQLite in the home folder."""
        return self.database or f"sqlite:///{self.home / 'state.sqlite'}"


@dataclass(frozen=True, slots=True)
class _Declared:
    """One setting as declared above."""

    key: str
    type: Any
    meaning: str
    default: Callable[[], object]
    shown: str | None
    expected: str | None
    in_file: bool
    limits: Mapping[str, Any]

    @property
    def variable(self) -> str:
        return _ENV_PREFIX + self.key.upper().replace(".", "__")


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody wrote it, where, and what relative paths start from."""

    value: object
    origin: str
    base: Path
    is_text: bool = False


def load(home: Path | None = None, *, overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings for a home folder.

    Args:
        home: the home folder; ``None`` takes ``REMNANT_HOME``, else the platform's folder for
            user data.
        overrides: values by ``section.key`` that win over environment and file, as the command
            line gives them.

    Raises:
        SettingsError: a key is unknown, a value is wrong, or the file cannot be read. The message
            names the file or variable, the key, and what would have been right.
    """
    declared = {item.key: item for item in _declared()}
    here = Path.cwd()
    arguments = dict(overrides or {})
    if home is not None:
        arguments["home"] = home
    given = {
        **_from_environment(declared, here),
        **{key: _Given(value, "argument", here) for key, value in arguments.items()},
    }
    for key, value in given.items():
        if key not in declared:
            raise _unknown(key, value.origin, declared)
    item = declared["home"]
    folder = _checked(item, given["home"]) if "home" in given else item.default()
    given = {**_from_file(Path(str(folder)) / FILE_NAME, declared), **given}
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for key, item in declared.items():
        values[key] = _checked(item, given[key]) if key in given else item.default()
        origins[key] = given[key].origin if key in given else "default"
    return _assemble(values, origins)


def show(settings: Settings) -> list[dict[str, object]]:
    """Return every setting as plain data: key, value, origin and meaning, in declared order.

    Paths are text, and the password in a database URL is masked. The origin is ``argument``, the
    variable's name, the file's path, or ``default``.
    """
    rows = []
    for item in _declared():
        owner, _, name = item.key.rpartition(".")
        value = getattr(getattr(settings, owner) if owner else settings, name)
        if isinstance(value, Path):
            value = str(value)
        elif isinstance(value, tuple):
            value = [str(part) for part in value]
        elif item.key == "database":
            value = _masked(value or settings.database_url)
        origin = settings.origins.get(item.key, "argument")
        rows.append({"key": item.key, "value": value, "origin": origin, "meaning": item.meaning})
    return rows


def reference() -> str:
    """Return the reference page of all settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "<!-- Made by remnant.settings.reference(); a test checks that it is current. -->",
        "",
        f"Settings live in `{FILE_NAME}` in the home folder.",
        "A value comes from, in this order: the command line, the environment, the file,",
        "the default. An unknown key in the file or an unknown `REMNANT_SECTION__KEY` variable is",
        "an error, so a typing mistake never passes silently.",
        "Relative paths in the file start from its folder; `~` is the user's home.",
        f"In a variable, several paths are separated by `{os.pathsep}`, several names by a comma.",
        "`remnant settings show` prints every value and where it came from.",
    ]
    section = None
    for item in _declared():
        owner, _, name = item.key.rpartition(".")
        if owner != section:
            section = owner
            lines += ["", f"## `[{owner}]`" if owner else "## Top of the file"]
            lines += [
                "",
                "| key | variable | default | limits | meaning |",
                "|---|---|---|---|---|",
            ]
        default = item.shown if item.shown is not None else _toml(item.default())
        limits = _limits_text(item) or "-"
        meaning = item.meaning if item.in_file else f"{item.meaning} (not in the file)"
        lines.append(f"| `{name}` | `{item.variable}` | {default} | {limits} | {meaning} |")
    return "\n".join(lines) + "\n"


def _declared() -> Iterator[_Declared]:
    yield from _declared_in(Settings, "")


def _declared_in(owner: type, prefix: str) -> Iterator[_Declared]:
    hints = get_type_hints(owner)
    for item in fields(owner):
        hint = hints[item.name]
        if is_dataclass(hint):
            yield from _declared_in(hint, f"{item.name}.")  # type: ignore[arg-type]  # a class
        elif "meaning" in item.metadata:
            factory = item.default_factory
            if factory is MISSING:
                factory = partial(getattr, item, "default")
            yield _Declared(prefix + item.name, hint, default=factory, **item.metadata)


def _from_environment(declared: Mapping[str, _Declared], here: Path) -> dict[str, _Given]:
    variables = {item.variable: item for item in declared.values()}
    given = {}
    for name, text in sorted(os.environ.items()):
        if not name.startswith(_ENV_PREFIX):
            continue
        item = variables.get(name)
        if item is not None:
            if not text:
                continue  # an empty variable is one that is not set
            value: object = text
            if item.type == tuple[Path, ...]:
                value = [part for part in text.split(os.pathsep) if part]
            elif item.type == tuple[str, ...]:
                value = [part.strip() for part in text.split(",") if part.strip()]
            given[item.key] = _Given(value, name, here, is_text=True)
        elif "__" in name:
            raise _unknown(name, "the environment", variables)
    return given


def _from_file(path: Path, declared: Mapping[str, _Declared]) -> dict[str, _Given]:
    import tomllib  # noqa: PLC0415 - only when settings are loaded

    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_LIMIT + 1)
        if len(raw) > _FILE_LIMIT:
            raise SettingsError("the settings file is too large", where=str(path), expected="1 MiB")
        content = tomllib.loads(raw.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(
            "the settings file cannot be read", where=str(path), got=error.strerror
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(
            "the settings file is not valid TOML", where=str(path), got=error
        ) from None
    sections = {key.partition(".")[0] for key in declared if "." in key}
    flat: dict[str, object] = {}
    for name, value in content.items():
        if name not in sections:
            flat[name] = value
        elif isinstance(value, dict):
            flat |= {f"{name}.{inner}": part for inner, part in value.items()}
        else:
            raise SettingsError(
                "this is a section", where=f"{path}: {name}", got=value, expected=f"[{name}]"
            )
    in_file = {key: item for key, item in declared.items() if item.in_file}
    for key in flat:
        if key not in in_file:
            raise _unknown(key, str(path), in_file)
    return {key: _Given(value, str(path), path.parent) for key, value in flat.items()}


def _checked(item: _Declared, given: _Given) -> object:
    """Return the value in its declared type and within its limits."""
    import pydantic  # noqa: PLC0415 - slow to import, needed for given values only

    hint: Any = item.type
    if item.limits:
        hint = Annotated[hint, pydantic.Field(**item.limits)]
    value = given.value
    try:
        if item.type in {int, float} and isinstance(value, bool | str) and not given.is_text:
            raise ValueError("a number without quotes")  # noqa: TRY301 - one message for all
        value = pydantic.TypeAdapter(hint).validate_python(value)
        if isinstance(value, Path):
            value = _absolute(value, given.base)
        elif isinstance(value, tuple) and item.type == tuple[Path, ...]:
            value = tuple(_absolute(part, given.base) for part in value)
    except (pydantic.ValidationError, TypeError, ValueError, RuntimeError) as error:
        shown = _masked(str(value)) if item.key == "database" else value
        expected = _limits_text(item)
        if not expected and isinstance(error, pydantic.ValidationError):
            expected = error.errors(include_url=False)[0]["msg"]
        raise SettingsError(
            "the setting has a wrong value",
            where=f"{given.origin}: {item.key}",
            got=shown,
            expected=expected or str(error),
            hint=f"{item.key}: {item.meaning}",
        ) from None
    return value


def _absolute(path: Path, base: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("a path without NUL")
    return base / path.expanduser()


def _assemble(values: Mapping[str, object], origins: Mapping[str, str]) -> Settings:
    top = {key: value for key, value in values.items() if "." not in key}
    sections = {
        item.name: {
            key.partition(".")[2]: value
            for key, value in values.items()
            if key.startswith(f"{item.name}.")
        }
        for item in fields(Settings)
    }
    return Settings(
        **top,  # type: ignore[arg-type]  # checked by pydantic against the same declarations
        store=StoreSettings(**sections["store"]),  # type: ignore[arg-type]
        reference=ReferenceSettings(**sections["reference"]),  # type: ignore[arg-type]
        estimate=EstimateSettings(**sections["estimate"]),  # type: ignore[arg-type]
        infrastructure=InfrastructureSettings(**sections["infrastructure"]),  # type: ignore[arg-type]
        judge=JudgeSettings(**sections["judge"]),  # type: ignore[arg-type]
        report=ReportSettings(**sections["report"]),  # type: ignore[arg-type]
        resolve=ResolveSettings(**sections["resolve"]),  # type: ignore[arg-type]
        sinkhole=SinkholeSettings(**sections["sinkhole"]),  # type: ignore[arg-type]
        web=WebSettings(**sections["web"]),  # type: ignore[arg-type]
        origins=MappingProxyType(dict(origins)),
    )


def _unknown(key: str, where: str, known: Mapping[str, object]) -> SettingsError:
    import difflib  # noqa: PLC0415 - only for a message

    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return SettingsError(
        "there is no such setting",
        where=where,
        got=key,
        expected=close[0] if close else ", ".join(known),
        hint="remnant settings show lists all settings",
    )


def _masked(url: object) -> str:
    """Return a database URL without its password and without secrets in its query part."""
    text = str(url)
    text = re.sub(r"(//[^/?#]*?:)[^/?#]*@", r"\1***@", text)
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*", r"\1***", text)


def _limits_text(item: _Declared) -> str:
    if item.expected is not None:
        return item.expected
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[word]} {limit}" for word, limit in item.limits.items())


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"
