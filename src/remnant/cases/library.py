"""The stored cases, with every version that each of them ever had.

    <home>/cases/<name>/case.toml                        the case as it is now
    <home>/cases/<name>/versions/<UTC time>-<digest>.toml   each version, from when it was saved

A file is written beside its place, synced and renamed, so a reader sees the old version or the new
one. A version is written before ``case.toml``: what is current always has its version. A built-in
case is read from the package until a case of its name is stored; a stored case hides the built-in
one, and deleting it brings the built-in one back.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from remnant.cases import casefile
from remnant.cases.dump import dumps
from remnant.errors import CaseChanged, CaseError
from remnant.watchlist import FAMILY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remnant.cases.model import Case

__all__ = ["BUILT_IN", "Entry", "Library", "Version", "built_in", "indicators_of"]

BUILT_IN: Final = ("beebone", "conficker", "kelihos", "zbot")
"""The cases that come with the program."""

Origin = Literal["stored", "built-in"]

_VERSION: Final = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-([0-9a-f]{16})\.toml")
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``remnant case list``.

    Attributes:
        name: the case.
        origin: where it is read from; a stored case hides a built-in one of the same name.
        title: what people call it; ``None`` if the file cannot be read.
        takedown: UTC; ``None`` if the file cannot be read.
        problem: why the file cannot be read; ``None`` if it can.
    """

    name: str
    origin: Origin
    title: str | None
    takedown: datetime | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a stored case.

    Attributes:
        saved: when it was stored, UTC.
        digest: first 16 hex digits of the SHA-256 of the file.
        path: the file.
    """

    saved: datetime
    digest: str
    path: Path


class Library:
    """The cases of one home folder, and the built-in ones.

    Args:
        home: the data folder (``--home``); it need not exist before something is saved.
    """

    def __init__(self, home: Path) -> None:
        self._root = Path(home) / "cases"

    def names(self) -> list[str]:
        """Return the names of all cases, stored and built in, sorted."""
        return sorted({*self._stored(), *BUILT_IN})

    def list(self) -> tuple[Entry, ...]:
        """Return an entry for each case, sorted by name; a file that is broken is listed too."""
        return tuple(self._entry(name) for name in self.names())

    def origin(self, name: str) -> Origin | None:
        """Return where a case is read from, or ``None`` if there is no such case."""
        casefile.check_name(name)
        if self.path(name).is_file():
            return "stored"
        return "built-in" if name in BUILT_IN else None

    def path(self, name: str) -> Path:
        """Return where the case file of a stored case stands or would stand."""
        return self._root / casefile.check_name(name) / "case.toml"

    def get(self, name: str) -> Case:
        """Return a case by name: the stored one, else the built-in one.

        Raises:
            CaseError: no such case, or its file is broken.
        """
        origin = self.origin(name)
        if origin == "built-in":
            return built_in(name)
        if origin is None:
            raise CaseError(
                "there is no such case",
                got=name,
                expected="one of " + ", ".join(self.names()),
                hint="remnant case new NAME begins one, remnant case import FILE reads one",
            )
        path = self.path(name)
        case = casefile.load(path)
        if case.name != name:
            raise CaseError(
                "the file's name does not belong to its folder",
                where=str(path),
                got=case.name,
                expected=name,
                hint="remnant case import stores a case under its own name",
            )
        return case

    def text(self, name: str) -> str:
        """Return the text of a case file, with its comments.

        Raises:
            CaseError: no such case, or its file cannot be read.
        """
        case = self.get(name)
        if self.origin(case.name) == "built-in":
            return _built_in_text(name)
        return self.path(name).read_text("utf-8-sig")

    def save(
        self,
        case: Case,
        *,
        text: str | None = None,
        replace: bool = False,
        base: str | None = None,
        now: datetime | None = None,
    ) -> Version:
        """Store a case and return its version.

        Args:
            case: the case.
            text: the file as a person wrote it, to keep its comments; it must read as ``case``.
                Without it the case is written anew.
            replace: whether a stored case of this name may be replaced (its versions are kept).
            base: digest of the text that was edited (``digest``); where the case has another by
                now, nothing is stored.
            now: the time of the version; the clock's where it is not given.

        Saving exactly what is stored already changes nothing, even without ``replace``.

        Raises:
            CaseChanged: the case is not what ``base`` says any more.
            CaseError: a stored case of this name has another text and ``replace`` is false, or the
                folder cannot be written.
        """
        data = (dumps(case) if text is None else text).encode()
        if casefile.loads(data.decode(), f"case {case.name}") != case:
            raise CaseError("the text does not say what the case says", where=f"case {case.name}")
        path = self.path(case.name)
        saved = datetime.now(tz=UTC) if now is None else now.astimezone(UTC)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.is_symlink():
                raise CaseError("the folder of the case is a link", where=str(path.parent))
            with _turn(path.parent):
                if base is not None:
                    self._unchanged(case.name, base)
                present = path.read_bytes() if path.exists() else None
                if present == data:
                    current = self._current(case.name)
                    if current is not None:
                        return current
                elif present is not None:
                    if not replace:
                        raise _exists(case.name, path)
                    self._keep(path, present, _modified(path))
                version = self._keep(path, data, saved)
                _write(path, data, exclusive=present is None)
        except FileExistsError:
            raise _exists(case.name, path) from None
        except OSError as error:
            raise _unwritable(path, error) from None
        return version

    def digest(self, name: str) -> str | None:
        """Return the digest of a case's text as versions carry it; ``None``: there is no case."""
        origin = self.origin(name)
        if origin is None:
            return None
        built_in = origin == "built-in"
        return _digest(_built_in_text(name).encode() if built_in else self.path(name).read_bytes())

    def _unchanged(self, name: str, base: str) -> None:
        now = self.digest(name)
        if now != base:
            raise CaseChanged(
                "the case was stored by somebody else since it was read",
                where=f"case {name}",
                got=f"version {now}",
                expected=f"version {base}",
                hint="compare the two, then store yours on top of the newer one",
            )

    def delete(self, name: str) -> None:
        """Delete a stored case and all its versions.

        Raises:
            CaseError: the case is not stored (a built-in case cannot be deleted).
        """
        if self.origin(name) != "stored":
            raise CaseError(
                "there is no stored case of this name",
                got=name,
                hint="built-in cases belong to the program" if name in BUILT_IN else None,
            )
        folder = self.path(name).parent
        gone = folder.with_name(f".deleted-{name}-{secrets.token_hex(4)}")
        try:
            folder.rename(gone)  # in one step: a reader sees all of the case or nothing
            if gone.is_symlink():
                gone.unlink()
            else:
                shutil.rmtree(gone)
        except OSError as error:
            raise _unwritable(folder, error) from None

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a stored case, oldest first; of a built-in case, none.

        A case file that somebody edited in place counts as a version from its time of change.
        """
        path = self.path(name)
        found = []
        for entry in path.parent.joinpath("versions").glob("*.toml"):
            match = _VERSION.fullmatch(entry.name)
            if match is not None:
                saved = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
                found.append(Version(saved, match[2], entry))
        found.sort(key=lambda version: (version.saved, version.digest))
        if path.is_file():
            digest = _digest(path.read_bytes())
            # A version after the current one was never finished: the program was stopped between.
            while found and found[-1].digest != digest:
                if not any(version.digest == digest for version in found):
                    found.append(Version(max(_modified(path), found[-1].saved), digest, path))
                    break
                found.pop()
            if not found:
                found.append(Version(_modified(path), digest, path))
        return tuple(found)

    def watched_since(self, name: str) -> dict[str, datetime]:
        """Return since when each indicator is watched without a break, by its text.

        The text is that of the rules: a folded name, ``*.`` and a folded name, or CIDR; generated
        names stand under ``dga:`` and the family. A built-in case has no versions, so the answer
        is empty. Versions that can no longer be read are passed over.
        """
        since: dict[str, datetime] = {}
        for version in self.versions(name):
            try:
                texts = indicators_of(casefile.load(version.path))
            except CaseError:
                continue
            since = {text: since.get(text, version.saved) for text in texts}
        return since

    def _stored(self) -> Iterator[str]:
        if self._root.is_dir():
            for folder in self._root.iterdir():
                if not folder.name.startswith(".") and (folder / "case.toml").is_file():
                    try:
                        yield casefile.check_name(folder.name)
                    except CaseError:
                        continue

    def _entry(self, name: str) -> Entry:
        origin = self.origin(name) or "stored"
        try:
            case = self.get(name)
        except CaseError as error:
            return Entry(name, origin, None, None, error.text())
        return Entry(name, origin, case.title, case.takedown)

    def _current(self, name: str) -> Version | None:
        versions = self.versions(name)
        return versions[-1] if versions else None

    def _keep(self, path: Path, data: bytes, saved: datetime) -> Version:
        """Write one version unless the last one is the same; return it."""
        folder = path.parent / "versions"
        folder.mkdir(exist_ok=True)
        digest = _digest(data)
        last = self._current(path.parent.name)
        if last is not None and last.digest == digest and last.path != path:
            return last
        if last is not None and last.digest == digest:
            saved = last.saved
        elif last is not None:  # a clock that was set back does not reorder versions
            saved = max(saved, last.saved + timedelta(microseconds=1))
        kept = folder / f"{saved.strftime(_STAMP)}-{digest}.toml"
        _write(kept, data, exclusive=False)
        return Version(saved, digest, kept)


def built_in(name: str) -> Case:
    """Return a case that comes with the program.

    Raises:
        CaseError: no such case.
    """
    if name not in BUILT_IN:
        raise CaseError(
            "there is no such built-in case", got=name, expected="one of " + ", ".join(BUILT_IN)
        )
    return casefile.loads(_built_in_text(name), f"{name}.toml (built in)")


def indicators_of(case: Case) -> dict[str, None]:
    """Return the texts of everything that a case watches, in order, without repetition.

    Generated names stand as ``dga:`` and their family.
    """
    texts: dict[str, None] = {}
    for watch in case.watches:
        texts.update(dict.fromkeys(watch.names))
        texts.update(dict.fromkeys(watch.addresses))
        texts.update(dict.fromkeys(FAMILY + word for word in watch.families))
        if watch.dga is not None:
            texts[f"dga:{watch.dga}"] = None
    return texts


def _built_in_text(name: str) -> str:
    folder = resources.files("remnant.cases").joinpath("builtin")
    return folder.joinpath(f"{name}.toml").read_text("utf-8")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Let one process after the other look at the folder of a case and write to it."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _write(path: Path, data: bytes, *, exclusive: bool) -> None:
    """Write a file in one step: whole, or not at all; with ``exclusive`` never over another."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if exclusive:
            _link(beside, path)
        else:
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(source: Path, path: Path) -> None:
    """Give a file a second name, or fail with FileExistsError if the name is taken."""
    try:
        path.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no hard links: the check and the rename are two steps there.
        if path.exists():
            raise FileExistsError(path) from None
        source.replace(path)


def _exists(name: str, path: Path) -> CaseError:
    return CaseError(
        "a case of this name is stored already",
        where=str(path),
        got=name,
        hint="--replace puts the new version in its place and keeps the old one",
    )


def _unwritable(path: Path, error: OSError) -> CaseError:
    return CaseError("the case cannot be stored", where=str(path), got=error.strerror or str(error))
