from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant.capture import text_fields as fields
from remnant.names import text_to_wire


def view(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The field between bytes that no kernel may take for a part of it."""
    return np.frombuffer(b"77" + data + b"77", np.uint8).copy()


def microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1713484800.441203", 1713484800441203),
        (b"1713484800", 1713484800000000),
        (b"29.8346689999", 29834669),
        (b"0.9999996", 1000000),
        (b"-12.5", -12500000),
        (b"999999999999.000001", 999999999999000001),
    ],
)
def test_seconds_become_microseconds(text: bytes, value: int) -> None:
    assert fields.parse_seconds(view(text), 2, 2 + len(text)) == value


@pytest.mark.parametrize(
    "text",
    [b"", b"-", b".5", b"5.", b"1e9", b"1.2.3", b"XXXXXXXXXX.XXXXXX", b"1234567890123", b"+1"],
)
def test_what_is_no_decimal_number_of_seconds_is_bad(text: bytes) -> None:
    assert fields.parse_seconds(view(text), 2, 2 + len(text)) == fields.BAD


@settings(deadline=None)
@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001
    st.one_of(st.none(), st.integers(-23 * 60, 23 * 60)),
    st.sampled_from("T t"),
)
def test_iso_times_are_read_as_python_reads_them(
    time: datetime, offset: int | None, between: str
) -> None:
    zone = timezone(timedelta(minutes=offset)) if offset is not None else None
    text = time.replace(tzinfo=zone).isoformat(between).encode()

    value, zoned = fields.parse_iso(view(text), 2, 2 + len(text))

    assert zoned == (offset is not None)
    assert value == microseconds(time.replace(tzinfo=zone or UTC))


@pytest.mark.parametrize(
    "text",
    [
        b"2015-02-29T00:00:00Z",
        b"2015-04-08T24:00:00Z",
        b"2015-04-08T12:00:00.Z",
        b"2015-04-08T12:00:00+2:00",
        b"2015-04-08T12:00:00Zulu",
        b"2015-13-08T12:00:00",
        b"2015-04-08",
        b"0000-01-01T00:00:00",
    ],
)
def test_what_is_no_iso_time_is_bad(text: bytes) -> None:
    assert fields.parse_iso(view(text), 2, 2 + len(text))[0] == fields.BAD


@settings(deadline=None)
@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.sampled_from(["", "%eth0"]))
def test_addresses_are_read_as_python_reads_them(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, scope: str
) -> None:
    for text in {str(address), address.exploded, str(address).upper()}:
        out = np.full(20, 9, np.uint8)
        spelled = (text + scope if address.version == 6 else text).encode()

        family = fields.parse_address(view(spelled), 2, 2 + len(spelled), out, 2)

        assert family == address.version
        packed = (
            address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
        )
        assert out[2:18].tobytes() == packed
        assert out[[0, 1, 18, 19]].tolist() == [9, 9, 9, 9]


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789abcdefF.:%/ ", max_size=42))
def test_what_python_takes_for_no_address_is_none(text: str) -> None:
    out = np.zeros(16, np.uint8)
    raw = text.encode()
    family = fields.parse_address(view(raw), 2, 2 + len(raw), out, 0)
    bare = text.split("%", maxsplit=1)[0] if ":" in text else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        # Python refuses leading zeros in IPv4 because some read them as octal; logs mean decimal.
        octets = bare.rsplit(":", maxsplit=1)[-1].split(".")
        assert family == 0 or any(len(octet) > 1 and octet[0] == "0" for octet in octets)
    else:
        assert family == address.version


def test_ipv6_with_an_ipv4_tail() -> None:
    out = np.zeros(16, np.uint8)
    text = b"64:ff9b::192.0.2.33"

    assert fields.parse_address(view(text), 2, 2 + len(text), out, 0) == 6
    assert out.tobytes() == ipaddress.ip_address(text.decode()).packed


def spell(label: bytes, *, hexadecimal: bool) -> bytes:
    out = bytearray()
    for byte in label:
        if hexadecimal:
            out += bytes([byte]) if 33 <= byte <= 126 and byte != 92 else b"\\x%02x" % byte
        elif byte in b'.\\"();@$':
            out += b"\\" + bytes([byte])
        else:
            out += bytes([byte]) if 33 <= byte <= 126 else b"\\%03d" % byte
    return bytes(out)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=63), max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_printed_names_become_wire_names(
    labels: list[bytes], hexadecimal: bool, final_dot: bool
) -> None:
    if hexadecimal:
        # Zeek joins the labels of a name without marking the dots inside them.
        labels = [label.replace(b".", b"-") for label in labels]
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    text = b".".join(spell(label, hexadecimal=hexadecimal) for label in labels) or b"."
    if final_dot and labels:
        text += b"."
    out = np.zeros(len(text) + 4, np.uint8)

    end = fields.parse_name(view(text), 2, 2 + len(text), hexadecimal, out, 1)

    if len(wire) > 255:
        assert end == -1
    else:
        assert out[1:end].tobytes() == wire


@pytest.mark.parametrize(
    "text", [b"", b".a", b"a..b", b"a" * 64, b"a" * 64 + b".b", b".".join([b"a" * 63] * 4), b"a\\"]
)
def test_what_is_no_name_is_refused(text: bytes) -> None:
    out = np.zeros(len(text) + 4, np.uint8)

    assert fields.parse_name(view(text), 2, 2 + len(text), False, out, 0) == -1


def test_the_longest_name() -> None:
    text = b".".join([b"a" * 63] * 3 + [b"b" * 61])
    out = np.zeros(300, np.uint8)

    end = fields.parse_name(view(text), 2, 2 + len(text), True, out, 0)

    assert end == 255
    assert out[:end].tobytes() == text_to_wire(text.decode())


@pytest.mark.parametrize("text", [b"\\25", b"\\256", b"\\2x5"])
def test_a_bad_decimal_escape_is_refused(text: bytes) -> None:
    out = np.zeros(20, np.uint8)

    assert fields.parse_name(view(text), 2, 2 + len(text), False, out, 0) == -1


@settings(deadline=None)
@given(st.dates(datetime(1, 1, 1).date(), datetime(9999, 12, 31).date()))  # noqa: DTZ001
def test_days_of_dates(day: object) -> None:
    assert isinstance(day, type(datetime(1, 1, 1).date()))  # noqa: DTZ001

    days = fields.days_from_civil(day.year, day.month, day.day)

    assert days == (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days
