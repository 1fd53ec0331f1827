"""Writes the reference pages that are made from code, or checks that they are current.

python docs/generate.py            write them
python docs/generate.py --check    exit with 1 and their names where they are stale
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from remnant import schema, settings
from remnant.capture.readers import FORMATS
from remnant.schema import Table
from remnant.web.app import create_app
from remnant.web.reference import reference

REFERENCE = Path(__file__).parent / "reference"
README = Path(__file__).parents[1] / "README.md"

_BEGIN = "<!-- formats: generated, see docs/generate.py -->"
_END = "<!-- end of formats -->"


def tables_page() -> str:
    """Return the page about every column of every table."""
    parts = [
        "# Tables\n",
        "Generated from `schema.py`. Rooms meet in these tables; the stored ones are Parquet files "
        "(zstd) under `store/` in the home folder. Times are UTC microseconds.\n",
    ]
    tables = [value for value in vars(schema).values() if isinstance(value, Table)]
    for table in tables:
        parts.append(f"\n## {table.name}\n")
        where = (
            f"stored under `{table.name}/" + "/".join(f"{key}=…" for key in table.partitions) + "/`"
            if table.partitions
            else "in memory only"
        )
        parts.append(f"Version {table.version}; one row is {table.grain}; {where}.\n")
        parts.append("| column | type | meaning | unit | null means |\n|---|---|---|---|---|")
        for column in table.columns:
            kind = str(column.type).split("<values=")[0].replace("dictionary", "text, dictionary")
            parts.append(
                f"| `{column.name}` | {kind} | {column.meaning} | {column.unit or ''} "
                f"| {column.null or 'never null'} |"
            )
    return "\n".join(parts) + "\n"


def commands_page() -> str:
    """Return the page about every command, from its own help text."""
    parts = ["# Commands\n", "Generated from the help texts.\n"]
    for words in commands():
        done = subprocess.run(
            [sys.executable, "-m", "remnant", *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "", "COLUMNS": "100", "LANG": "C.UTF-8", "HOME": "/nonexistent"},
        )
        parts.append(f"\n## {' '.join(['remnant', *words])}\n\n```\n{done.stdout.rstrip()}\n```")
    return "\n".join(parts) + "\n"


def commands() -> list[list[str]]:
    """Return the words of every command, the root first."""
    import typer  # noqa: PLC0415 - a script

    from remnant.cli import app  # noqa: PLC0415 - a script

    found: list[list[str]] = []

    def walk(command: object, words: list[str]) -> None:
        found.append(words)
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


def formats_table(folder: str) -> str:
    """Return the table of every format that is read; ``folder``: where its pages lie."""
    lines = [
        "| what you have | `--input-format` | brings | seen from |",
        "|---|---|---|---|",
    ]
    for known in FORMATS:
        page = f"{folder}/{known.page or known.name}.md"
        where = "as the source says" if known.gives == "answers" else f"`{known.vantage}`"
        brings = f"{known.gives} only" if known.hits_only else known.gives
        lines.append(f"| [{known.title}]({page}) | `{known.name}` | {brings} | {where} |")
    return "\n".join(lines) + "\n"


def formats_page() -> str:
    """Return the page about every format."""
    return (
        "# Formats\n\nGenerated from the registered readers. Each format is recognised from its "
        "bytes, also inside gzip, xz, Zstandard and LZ4. [Knot](formats/knot.md) has no such log."
        "\n\n" + formats_table("formats")
    )


def readme() -> str:
    """Return the README with the table of formats as it must be."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{formats_table('docs/reference/formats')}{_END}{after}"


def api_page() -> str:
    """Return the page about the API, as the dashboard shows it under ``/api``."""
    with tempfile.TemporaryDirectory() as folder:
        api = reference(create_app(settings.load(Path(folder))))
    parts = [
        "# The API\n",
        "Generated from the OpenAPI document that the dashboard serves as `/openapi.json`; `/api` "
        "shows the same with every shape. Pages are made from these answers.\n",
        "Errors have one shape: `error` with `status`, `what`, `where`, `got`, `expected`, `hint`. "
        "A program sends `Authorization: Bearer TOKEN`.\n",
    ]
    for group in api.groups:
        parts.append(f"\n## {group.name.capitalize()}\n")
        for one in group.operations:
            parts.append(f"### `{one.method} {one.path}`\n")
            parts.append(f"{one.title}. {one.about}\n".replace("\n\n", "\n"))
            given = f", takes {one.body_shape}" if one.body_shape else ""
            shape = next((a.shape for a in one.answers if a.status == "200" and a.shape), None)
            gives = f", gives {shape}" if shape else ""
            parts.append(f"Operation `{one.id}`{given}{gives}. Roles: {', '.join(one.roles)}.\n")
            if one.parameters:
                parts.append("| parameter | in | type | default | meaning |\n|---|---|---|---|---|")
                parts += [
                    f"| `{p.name}`{'' if p.required else ' (optional)'} | {p.place} "
                    f"| {p.kind.replace('|', 'or')} | {p.default or ''} | {p.meaning} |"
                    for p in one.parameters
                ]
                parts.append("")
    return "\n".join(parts).rstrip() + "\n"


PAGES = {
    "api.md": api_page,
    "formats.md": formats_page,
    "tables.md": tables_page,
    "commands.md": commands_page,
    "settings.md": settings.reference,
}


def main() -> None:
    """Write the pages, or check them."""
    stale = []
    pages = [(REFERENCE / name, make) for name, make in PAGES.items()] + [(README, readme)]
    for path, make in pages:
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and stale:
        sys.exit(f"stale: {', '.join(stale)}; run: make docs")


if __name__ == "__main__":
    main()
