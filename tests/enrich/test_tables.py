"""Text tables: the shapes, bad lines, compression, AS names."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.enrich import tables
from remnant.enrich.content import segments
from remnant.enrich.tables import read, read_names, unpack
from remnant.errors import ReferenceDataError

if TYPE_CHECKING:
    from remnant.enrich.content import Content

HERE = Path("table.tsv")


def facts(content: Content) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in content.facts.to_pylist()]


def test_ip2asn() -> None:
    content = read(
        HERE,
        b"1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n"
        b"1.0.1.0\t1.0.3.255\t0\tNone\tNot routed\n"
        b"2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t64501\tde\t\xffname \n",
    )

    assert content.format == "ip2asn"
    assert facts(content) == [
        (13335, "CLOUDFLARENET", "US"),
        (None, None, None),
        (64501, "\N{REPLACEMENT CHARACTER}name", "DE"),
    ]
    assert content.bad == 0


def test_ip2country() -> None:
    content = read(HERE, b"192.0.2.0\t192.0.2.255\tNL\n2001:db8::\t2001:db8::1\tXX\n")

    assert content.format == "ip2country"
    assert facts(content) == [(None, None, "NL"), (None, None, None)]


def test_pfx2as_takes_the_first_of_several_origins_and_none_of_a_set() -> None:
    content = read(HERE, b"192.0.2.0\t24\t64501_64500\n198.51.100.0\t24\t1,2\n2001:db8::\t32\t7\n")

    assert content.format == "pfx2as"
    assert [row[0] for row in facts(content)] == [64501, None, 7]
    assert content.bad == 0
    assert content.notes == (
        "1 prefixes have several origins: the first is taken",
        "1 prefixes have an AS set as origin: no AS is given",
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"# a comment",
    ],
)
def test_lines_that_are_no_data_are_not_counted(line: bytes) -> None:
    content = read(HERE, b"192.0.2.0\t24\t7\n" + line + b"\n198.51.100.0\t24\t8\n")

    assert (len(content.facts), content.bad) == (2, 0)


@pytest.mark.parametrize(
    "line",
    [
        b"192.0.2.0\t24",
        b"192.0.2.0\t24\t7\t8",
        b"192.0.2.0\t33\t7",
        b"192.0.2.0\t-1\t7",
        b"192.0.2\t24\t7",
        b"192.0.2.0/8\t24\t7",
        b"192.0.2.0\t24\t",
        b"192.0.2.0\t24\tAS7",
        b"192.0.2.0\t24\t4294967296",
        b"192.0.2.0\t24\t99999999999999999999",
        b"\xff\xfe\t24\t7",
        b"\x1b[2J" + b"x" * 100_000,
    ],
)
def test_a_bad_line_of_pfx2as_is_counted_and_costs_nothing_else(line: bytes) -> None:
    content = read(HERE, b"192.0.2.0\t24\t7\n" + line + b"\n2001:db8::\t32\t8\r\n")

    assert [row[0] for row in facts(content)] == [7, 8]
    assert content.bad == 1


@pytest.mark.parametrize(
    "line",
    [
        b"192.0.2.0\t192.0.2.9\t7\tUS",
        b"192.0.2.0\t192.0.2.9\tx\tUS\tname",
        b"192.0.2.0\tx\t7\tUS\tname",
        b"192.0.2.0/24\t192.0.2.9\t7\tUS\tname",
    ],
)
def test_a_bad_line_of_ip2asn_is_counted(line: bytes) -> None:
    good = b"198.51.100.0\t198.51.100.255\t7\tUS\tname\n"
    content = read(HERE, good + line)

    assert (len(content.facts), content.bad) == (1, 1)


def test_a_quote_in_a_name_is_a_letter() -> None:
    content = read(HERE, b'1.0.0.0\t1.0.0.1\t7\tUS\t"half\n2.0.0.0\t2.0.0.1\t8\tUS\tit\'s"\n')

    assert [row[1] for row in facts(content)] == ['"half', "it's\""]


def test_ranges_that_answer_for_others_are_counted_unless_they_say_nothing() -> None:
    content = read(
        HERE,
        b"192.0.2.0\t192.0.2.255\t7\tUS\tname\n"
        b"::\t1fff:ffff::\t0\tNone\tNot routed\n"  # spans IPv4, says nothing
        b"::\tffff::\t9\tUS\tall\n"
        b"0.0.0.0\t255.255.255.255\t9\tUS\tall\n"
        b"192.0.2.9\t192.0.2.1\t9\tUS\tupside down\n",
    )
    table, misplaced = segments(content)

    assert misplaced == 3
    assert set(table["asn"].to_pylist()) == {7, None}


@pytest.mark.parametrize("data", [b"", b"nothing\n", b"a\tb\tc\n", b"\x00" * 1000, b"\t\t\n"])
def test_a_file_without_a_usable_line_is_refused(data: bytes) -> None:
    with pytest.raises(ReferenceDataError) as caught:
        read(HERE, data)

    assert caught.value.where == str(HERE)
    assert caught.value.expected is not None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    good = b"192.0.2.0\t24\t7\n"
    content = read(HERE, good + data.replace(good, b""))
    table, _ = segments(content)

    assert 7 in table["asn"].to_pylist()


def test_gzip_of_one_member_or_several() -> None:
    assert unpack(HERE, gzip.compress(b"a\n")) == b"a\n"
    assert unpack(HERE, gzip.compress(b"a\n") + gzip.compress(b"b\n") + b"\x00") == b"a\nb\n"
    assert unpack(HERE, b"plain") == b"plain"


def test_damaged_compression_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(bytes(100_000))
    with pytest.raises(ReferenceDataError, match="cut off"):
        unpack(HERE, packed[:-9])
    with pytest.raises(ReferenceDataError, match="damaged"):
        unpack(HERE, packed[:10] + b"\xff" * 20)
    monkeypatch.setattr(tables, "_UNPACKED_LIMIT", 99_999)
    with pytest.raises(ReferenceDataError, match="too large"):
        unpack(HERE, packed)


def test_as_names() -> None:
    table, bad = read_names(
        HERE,
        b"# AS names\n64501 SECOND, DE\nAS64500\tFIRST\n64501|again\n\nnothing\n0 ZERO\n"
        b"99999999999 FAR\n64502 \xff\n",
    )

    assert table["asn"].to_pylist() == [64500, 64501, 64502]
    assert table["as_name"].to_pylist() == ["FIRST", "SECOND, DE", "\N{REPLACEMENT CHARACTER}"]
    assert bad == 3


def test_names_of_nothing_are_refused() -> None:
    with pytest.raises(ReferenceDataError, match="no line names"):
        read_names(HERE, b"x\n")
