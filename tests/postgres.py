"""A PostgreSQL of the tests' own: a new cluster that answers on a socket in its folder alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEBIANS: Final = Path("/usr/lib/postgresql")
_OPTIONS: Final = (
    "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c synchronous_commit=off "
    "-c shared_buffers=16MB -c max_connections=60 -c autovacuum=off"
)


@dataclass(frozen=True)
class Postgres:
    """A running cluster."""

    folder: Path
    user: str

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{self.user}@/{database}?host={self.folder}"

    def make(self, database: str) -> str:
        """Make an empty database; return its address."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)


@contextmanager
def cluster() -> Iterator[Postgres]:
    """Run a cluster, as a user without rights where the tests run as root; skip without one.

    Its folder has a short name: that of a socket has 107 bytes at most. It sorts text by the rules
    of a language, as most installations do and SQLite does not.
    """
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    name, options = _whose(folder)

    def run(program: str, *words: str) -> None:
        subprocess.run(
            [programs / program, *words],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **options,
        )

    data = str(folder / "data")
    try:
        run(
            "initdb", "-D", data, "-A", "trust", "-U", name, "-E", "UTF8", "--no-sync",
            "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US",
        )  # fmt: skip
        log = str(folder / "log")
        run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", f"{_OPTIONS} -k {folder}")
        try:
            yield Postgres(folder, name)
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    kept = sorted(_DEBIANS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return kept[-1].parent if kept else None


def _whose(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return who runs the cluster, which refuses to be root's, and how to become that."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, {}
    try:
        person = pwd.getpwnam("postgres")
    except KeyError:
        person = pwd.getpwnam("nobody")
    os.chown(folder, person.pw_uid, person.pw_gid)
    groups: list[int] = []
    return person.pw_name, {
        "user": person.pw_uid,
        "group": person.pw_gid,
        "extra_groups": groups,
    }
