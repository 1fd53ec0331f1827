"""The fields of PBDNSMessage, and texts that become wire form again."""

from __future__ import annotations

import dns.name
import dns.rdata
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import powerdns_writer as writer
from dnstap_writer import data, number
from remnant.capture import powerdns_fields as fields_of
from remnant.capture.protobuf import next_bytes

NAME = np.zeros(256, np.uint8)
STARTS = np.zeros(130, np.int64)
SCRATCH = np.zeros(fields_of.SCRATCH_BYTES, np.uint8)
DATA = np.zeros(fields_of.SCRATCH_BYTES, np.uint8)


def view_of(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(raw, np.uint8).copy()


def message(raw: bytes) -> dict[str, int] | None:
    fields = np.zeros(fields_of.FIELDS, np.int64)
    if not fields_of.read_message(view_of(raw), 0, len(raw), fields):
        return None
    return {
        name: int(fields[getattr(fields_of, name)])
        for name in fields_of.__all__
        if name.isupper() and name not in {"FIELDS", "RECORD_TAG", "SCRATCH_BYTES"}
        if not name.startswith("RECORD_")
    }


def wire_name(text: bytes) -> bytes | None:
    labels = int(fields_of.wire_name(view_of(text), 0, len(text), NAME, STARTS, SCRATCH))
    return None if labels < 0 else NAME[: STARTS[labels] + 1].tobytes()


def wire_data(kind: int, text: bytes) -> bytes | None:
    raw = writer.record(b"a.", kind, text)
    fields = np.zeros(fields_of.FIELDS, np.int64)
    view = view_of(raw)
    assert fields_of.read_record(view, 0, len(raw), fields)
    size = int(fields_of.wire_data(view, fields, DATA, NAME, STARTS, SCRATCH))
    return None if size < 0 else DATA[:size].tobytes()


def test_every_field_is_found_also_those_with_long_tags() -> None:
    raw = writer.message(
        writer.RESPONSE,
        b"a.test.",
        qtype=28,
        time=1.5,
        asked=0.25,
        rcode=3,
        applied=writer.policy(kind=6, type_=4),
        subnet=b"\x01\x02\x03\x00",
    )
    found = message(raw)
    assert found is not None

    numbers = {
        "TYPE": 2,
        "PROTOCOL": 1,
        "SECONDS": 1,
        "MICROSECONDS": 500_000,
        "IDENT": 7,
        "FROM_PORT": 40000,
        "TO_PORT": 53,
        "QTYPE": 28,
        "RCODE": 3,
        "QUERY_SECONDS": 0,
        "QUERY_MICROSECONDS": 250_000,
        "POLICY_TYPE": 4,
        "POLICY_KIND": 6,
    }
    assert {name: found[name] for name in numbers} == numbers
    texts = {
        "IDENTITY": b"rec1",
        "FROM": bytes([198, 51, 100, 7]),
        "QNAME": b"a.test.",
        "POLICY": b"my.rpz",
        "POLICY_TRIGGER": b"evil.test.",
        "SUBNET": b"\x01\x02\x03\x00",
    }
    assert {name: raw[found[name] :][: len(text)] for name, text in texts.items()} == texts


def test_what_is_missing_is_unset() -> None:
    found = message(number(1, 1))

    assert found is not None
    assert {name for name, value in found.items() if value != -1} == {"TYPE"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        data(2, b"x"),
        number(1, 1) + b"\x0a",
        number(1, 1) + data(12, b"\xff"),
        number(1, 1) + data(13, b"\x08"),
        number(1, 1) + data(12, b"x")[:-1],
        number(1, 1) + b"\x0b",
        data(1, b"\x01"),
    ],
)
def test_what_is_no_message_is_told(raw: bytes) -> None:
    assert message(raw) is None


def test_unknown_fields_are_stepped_over() -> None:
    raw = number(1, 1) + number(31, 5) + data(500, b"x") + b"\x29" + bytes(8) + b"\x2d" + bytes(4)

    assert message(raw) is not None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=63), max_size=6))
def test_a_printed_name_becomes_the_name_again(labels: list[bytes]) -> None:
    name = dns.name.Name([*labels, b""])
    # As PowerDNS prints it: dots and backslashes escaped, other bytes by number.
    printed = b"".join(_printed(label) + b"." for label in labels) or b"."

    assert wire_name(printed) == name.to_wire()


def _printed(label: bytes) -> bytes:
    out = b""
    for byte in label:
        if byte in b".\\":
            out += b"\\" + bytes([byte])
        elif 0x20 < byte < 0x7F:
            out += bytes([byte])
        else:
            out += b"\\%03d" % byte
    return out


@pytest.mark.parametrize(
    "text", [b"", b"..", b"a..b.", b"x" * 64, b"\\", b"\\25", b"\\256", b"a." * 128]
)
def test_what_is_no_name_is_told(text: bytes) -> None:
    assert wire_name(text) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=255), min_size=1, max_size=4))
def test_printed_strings_become_the_data_again(strings: list[bytes]) -> None:
    wired = b"".join(bytes([len(one)]) + one for one in strings)
    printed = dns.rdata.from_wire("IN", "TXT", wired, 0, len(wired)).to_text().encode()

    assert wire_data(16, printed) == wired


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b'"',
        b'"a" ',
        b'"a"  "b"',
        b'"a""b"',
        b'"\\25"',
        b'"\\256"',
        b'"\\',
        b'"' + b"x" * 256 + b'"',
    ],
)
def test_what_are_no_strings_is_told(text: bytes) -> None:
    assert wire_data(16, text) is None


@pytest.mark.parametrize(
    ("kind", "text", "wired"),
    [
        (1, b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x01"),
        (1, b"\xc0\x00\x02", None),
        (28, bytes(16), bytes(16)),
        (28, bytes(4), None),
        (5, b"A.b.", b"\x01A\x01b\x00"),
        (12, b".", b"\x00"),
        (15, b"mail.", None),
        (33, b"host.", None),
        (65, b"1 .", None),
    ],
)
def test_data_is_what_its_type_says(kind: int, text: bytes, wired: bytes | None) -> None:
    assert wire_data(kind, text) == wired


def test_records_are_found_one_after_the_other() -> None:
    raw = number(1, 0) + data(2, b"one") + data(3, b"x") + b"\x2d" + bytes(4) + data(2, b"")
    raw += b"\x29" + bytes(8) + data(2, b"three") + number(40, 3)
    view, position, found = view_of(raw), 0, []
    while True:
        start, position = map(int, next_bytes(view, position, len(raw), fields_of.RECORD_TAG))
        if start < 0:
            break
        found.append(raw[start:position])

    assert found == [b"one", b"", b"three"]


@pytest.mark.parametrize("raw", [b"\x12\x05abc", b"\x12", b"\x80", b"\x08", b"\x08\x80"])
def test_no_record_is_found_in_what_is_cut_off(raw: bytes) -> None:
    assert int(next_bytes(view_of(raw), 0, len(raw), fields_of.RECORD_TAG)[0]) == -1
