"""Look-ups over several sources: whose fact is taken, as of when, and what is never guessed."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from enrich.mmdb_writer import write
from remnant.enrich.reference import COLUMNS, Reference, missing_hint
from remnant.errors import ReferenceDataError
from remnant.schema import CLIENTS
from remnant.settings import ReferenceSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def packed(*texts: str) -> npt.NDArray[np.uint8]:
    raw = b"".join(
        socket.inet_pton(socket.AF_INET6, text if ":" in text else f"::ffff:{text}")
        for text in texts
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, 16)


def look(reference: Reference, *texts: str) -> list[dict[str, Any]]:
    return reference.lookup(packed(*texts)).to_pylist()


def load(
    home: Path,
    *,
    databases: dict[str, bytes] | None = None,
    tables: dict[str, str] | None = None,
    names: str | None = None,
) -> Reference:
    def put(files: dict[str, bytes] | dict[str, str] | None) -> tuple[Path, ...]:
        paths = []
        for name, content in (files or {}).items():
            path = home / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            paths.append(path)
        return tuple(paths)

    settings = ReferenceSettings(
        databases=put(databases),
        tables=put(tables),
        as_names=put({"names.txt": names})[0] if names else None,
    )
    return Reference.load(Settings(home=home, reference=settings))


NOTHING = dict.fromkeys(COLUMNS)
IP2ASN = "192.0.2.0\t192.0.2.255\t64500\tDE\tFirst\n2001:db8::\t2001:db8::ffff\t64501\tFR\tSix\n"


def test_without_sources_everything_is_null_but_the_built_in_roles() -> None:
    reference = Reference.none()

    assert reference.is_empty
    assert look(reference, "192.0.2.1", "2001:db8::1") == [NOTHING, NOTHING]
    assert look(reference, "8.8.8.8")[0] == NOTHING | {"role": "public_resolver"}
    assert Reference.load(Settings()).is_empty


def test_columns_have_the_types_of_the_clients_table(tmp_path: Path) -> None:
    wanted = {column.name: column.type for column in CLIENTS.columns if column.name in COLUMNS}
    for reference in (Reference.none(), load(tmp_path, tables={"a.tsv": IP2ASN})):
        for addresses in (packed("192.0.2.1", "192.0.3.1"), np.zeros((0, 16), np.uint8)):
            table = reference.lookup(addresses)

            assert {field.name: field.type for field in table.schema} == wanted
            assert len(table) == len(addresses)


def test_a_row_for_each_address_in_order_known_or_not(tmp_path: Path) -> None:
    reference = load(tmp_path, tables={"2015-04-08.tsv": IP2ASN})
    first = {
        "prefix": "192.0.2.0/24",
        "asn": 64500,
        "as_name": "First",
        "country": "DE",
        "role": None,
        "as_of": "2015-04-08",
    }
    unknown = NOTHING | {"as_of": "2015-04-08"}
    rows = look(reference, "192.0.3.0", "192.0.2.255", "::1", "192.0.2.0", "192.0.1.255")

    assert rows == [unknown, first, unknown, first, unknown]


@pytest.mark.parametrize(
    "text",
    [
        "::ffff:192.0.2.9",
        "64:ff9b::192.0.2.9",
        "2002:c000:0209::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdf6",
    ],
)
def test_an_address_that_carries_ipv4_is_looked_up_as_that(tmp_path: Path, text: str) -> None:
    assert look(load(tmp_path, tables={"a.tsv": IP2ASN}), text)[0]["asn"] == 64500


def test_each_field_comes_from_the_first_source_that_knows_it(tmp_path: Path) -> None:
    reference = load(
        tmp_path,
        databases={
            "country.mmdb": write({"192.0.2.0/25": {"country_code": "NL"}}, build_epoch=86_400)
        },
        tables={
            "20150408.pfx2as": "192.0.0.0\t16\t64499\n192.0.2.0\t24\t64500\n",
            "2016-01-01.tsv": IP2ASN,
        },
    )
    inside, outside, other = look(reference, "192.0.2.1", "192.0.2.129", "192.0.9.9")

    assert [inside[key] for key in COLUMNS] == [
        "192.0.2.0/24", 64500, "First", "NL", None, "1970-01-02",
    ]  # fmt: skip
    assert (outside["country"], outside["as_of"]) == ("DE", "2015-04-08")
    assert [other[key] for key in COLUMNS] == [
        "192.0.0.0/16", 64499, None, None, None, "2015-04-08",
    ]  # fmt: skip


def test_a_name_is_never_taken_from_a_source_that_means_another_as(tmp_path: Path) -> None:
    reference = load(
        tmp_path,
        tables={"a.pfx2as": "192.0.2.0\t24\t7\n", "b.tsv": IP2ASN},
        names="64500 wrong\n64501 also wrong\n",
    )

    assert look(reference, "192.0.2.1")[0]["as_name"] is None


def test_as_names_fill_what_no_source_names(tmp_path: Path) -> None:
    reference = load(
        tmp_path,
        tables={"a.pfx2as": "192.0.2.0\t24\t7\n2001:db8::\t32\t64501\n", "b.tsv": IP2ASN},
        names="7 SEVEN\n64501 not asked\n",
    )

    assert [row["as_name"] for row in look(reference, "192.0.2.1", "2001:db8::1")] == [
        "SEVEN",
        "Six",
    ]


def test_a_range_gives_the_largest_block_around_the_address(tmp_path: Path) -> None:
    table = "192.0.2.5\t192.0.2.20\t7\tDE\tx\n"
    rows = look(load(tmp_path, tables={"a.tsv": table}), "192.0.2.5", "192.0.2.9", "192.0.2.20")

    assert [row["prefix"] for row in rows] == ["192.0.2.5/32", "192.0.2.8/29", "192.0.2.20/32"]


def test_a_route_inside_another_does_not_change_the_others_prefix(tmp_path: Path) -> None:
    table = "10.0.0.0\t8\t1\n10.1.0.0\t16\t2\n"
    rows = look(load(tmp_path, tables={"a.tsv": table}), "10.0.0.1", "10.1.2.3", "10.2.0.0")

    assert [row["prefix"] for row in rows] == ["10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8"]


def test_the_date_is_the_builds_the_file_names_or_the_files(tmp_path: Path) -> None:
    reference = load(
        tmp_path,
        databases={"2011-01-01.mmdb": write({"192.0.2.0/24": {"asn": 1}})},
        tables={
            "routeviews-rv2-20150408-1200.pfx2as": "192.0.2.0\t24\t7\n",
            "20159999-12345678901.tsv": IP2ASN,
        },
    )
    os.utime(tmp_path / "20159999-12345678901.tsv", (0, 86_400 * 365))
    again = Reference.load(
        Settings(
            home=tmp_path,
            reference=ReferenceSettings(tables=(tmp_path / "20159999-12345678901.tsv",)),
        )
    )

    assert [(str(s.as_of), s.dated_by) for s in (*reference.sources[:2], *again.sources)] == [
        ("2015-04-08", "build date"),
        ("2015-04-08", "file name"),
        ("1971-01-01", "modification time"),
    ]


def test_extra_tables_are_asked_first(tmp_path: Path) -> None:
    own = tmp_path / "prefixes.tsv"
    own.write_text("192.0.2.0\t192.0.2.255\t64512\tIR\tSimulated\n")
    other = tmp_path / "b.tsv"
    other.write_text(IP2ASN)
    settings = Settings(home=tmp_path, reference=ReferenceSettings(tables=(other,)))

    assert look(Reference.load(settings, extra_tables=[own]), "192.0.2.1")[0]["asn"] == 64512
    assert look(Reference.load(settings), "192.0.2.1")[0]["asn"] == 64500


def test_what_could_not_be_used_is_counted(tmp_path: Path) -> None:
    reference = load(tmp_path, tables={"a.tsv": IP2ASN + "bad\n::\tffff::\t3\tDE\tall of IPv4\n"})

    assert reference.sources[0].bad == 2
    assert look(reference, "203.0.113.1")[0]["asn"] is None


def test_a_named_file_that_is_not_there_or_damaged_is_a_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.mmdb", tmp_path):
        settings = Settings(home=tmp_path, reference=ReferenceSettings(databases=(path,)))
        with pytest.raises(ReferenceDataError) as caught:
            Reference.load(settings)
        assert caught.value.where == str(path)
    with pytest.raises(ReferenceDataError, match="no line"):
        load(tmp_path, tables={"x.tsv": "\x00\x01"})


def test_a_second_load_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(tmp_path, tables={"a.tsv": IP2ASN + "bad\n"})
    monkeypatch.setattr("remnant.enrich.tables.read", None)
    second = load(tmp_path, tables={"renamed.tsv": IP2ASN + "bad\n"})

    assert second.sources[0].bad == 1
    assert second.sources[0].table == first.sources[0].table
    assert look(second, "192.0.2.1")[0]["asn"] == 64500


def test_the_hint_is_one_line() -> None:
    assert "\n" not in missing_hint()
    assert "iptoasn.com" in missing_hint()
