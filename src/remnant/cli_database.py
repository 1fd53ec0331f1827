"""Commands for the database of the small mutable state: accounts, ledger, audit log."""

from __future__ import annotations

from typing import Annotated

import typer

from remnant.cli_audit import changes, recorded
from remnant.cli_shared import Format, FormatOption, emit, open_settings, open_store, say
from remnant.web.access.actions import COMMAND_LINE, Action

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The database of the small mutable state."
)


@app.callback()
def _database() -> None:
    """Let the verb be named, also while there is one only."""


@app.command("copy", short_help="Copy all of it into another database.")
@changes(Action.DATABASE_COPIED)
def copy(
    *,
    to: Annotated[
        str,
        typer.Option(
            help="SQLAlchemy URL of an empty database, as the setting database takes it.",
            metavar="URL",
        ),
    ],
    output: FormatOption = Format.TABLE,
) -> None:
    """Copy accounts, tokens, sessions, the audit log, the ledger and registrations.

    From the database that the settings name into an empty one: from SQLite to PostgreSQL, or back.
    Whole or not at all; counts and digests of every table are compared before it counts. What is
    copied stays where it is. Stop dashboard and sinkhole first: what they write afterwards stands
    in the old database alone. Case files and Parquet files are in the home folder and stay there.
    """
    from dataclasses import replace

    from remnant.cli_audit import person
    from remnant.store.copying import copy_state, hidden
    from remnant.store.ledger import TABLES as LEDGER
    from remnant.store.ledger import is_missing
    from remnant.store.observations import TABLES as OBSERVATIONS
    from remnant.web.access.audit import AuditLog
    from remnant.web.access.tables import TABLES as ACCESS
    from remnant.web.access.tables import Database

    settings = open_settings()
    told = f"{hidden(settings.database_url)} to {hidden(to)}"
    recorded().about(told)
    tables = [LEDGER, OBSERVATIONS, ACCESS]
    if is_missing(settings.database_url):
        rows = copy_state(settings.database_url, to, tables)  # which refuses
    else:
        with open_store(settings, write=True) as store:  # no ingest, no sinkhole meanwhile
            store.settle()
            rows = copy_state(settings.database_url, to, tables)
    database = Database(replace(settings, database=to))
    try:
        log = AuditLog(database, settings.web)
        log.record(COMMAND_LINE, person(), Action.DATABASE_COPIED, told)
    finally:
        database.close()
    emit(
        [{"table": one.table, "rows": one.rows, "digest": one.digest} for one in rows],
        output,
        ("table", "rows", "digest"),
    )
    say(
        f"Copied {sum(one.rows for one in rows):,} rows of {len(rows)} tables; counts and digests "
        f"are the same. Now set database in {settings.home / 'settings.toml'} (or "
        "REMNANT_DATABASE) to that URL, and start the dashboard and the sinkhole again."
    )
