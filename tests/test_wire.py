"""The DNS kernels say what dnspython says, for good messages and for bad ones."""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remnant import names, wire

LABEL = st.binary(min_size=1, max_size=63)
WIRE_NAME = st.lists(LABEL, max_size=6).map(
    lambda labels: b"".join(bytes([len(x)]) + x for x in labels)[:254]
)


def ask(message: bytes) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    buffer = np.frombuffer(message or b"\0", np.uint8).copy()
    scratch = np.zeros(256, np.uint8)
    starts = np.zeros(wire.MAX_LABELS + 2, np.int64)
    out = np.zeros(wire.FIELDS, np.int64)
    reason = int(wire.question(buffer, 0, len(message), scratch, starts, out))
    return reason, buffer, scratch, starts, out


def name_of(message: bytes) -> str:
    _, buffer, scratch, starts, out = ask(message)
    held = buffer if out[wire.IN_PLACE] else scratch
    count = int(out[wire.LABELS])
    return names.wire_to_text(held[starts[0] : starts[count] + 1].tobytes())


def subnet_of(message: bytes) -> tuple[int, bytes | None]:
    _, buffer, _, _, out = ask(message)
    subnet = np.zeros(17, np.uint8)
    code, found = wire.edns(buffer, len(message), out, subnet)
    return int(code), subnet.tobytes() if found else None


def build(labels: list[bytes]) -> bytes:
    name = b""
    for label in labels:
        if len(name) + len(label) + 2 <= 255:
            name += bytes([len(label)]) + label
    return name + b"\0"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(LABEL, max_size=8).map(build), min_size=1, max_size=5))
def test_text_is_what_the_names_module_writes(wires: list[bytes]) -> None:
    offsets = np.cumsum([0, *map(len, wires)], dtype=np.int64)
    at, text = wire.names_to_text(np.frombuffer(b"".join(wires), np.uint8).copy(), offsets)
    written = [text[at[i] : at[i + 1]].tobytes().decode("ascii") for i in range(len(wires))]
    assert written == [names.wire_to_text(name) for name in wires]


@settings(max_examples=200, deadline=None)
@given(st.lists(LABEL, max_size=8).map(build), st.integers(0, 65535), st.integers(0, 65535))
def test_a_question_is_read_as_dnspython_reads_it(name: bytes, qtype: int, ident: int) -> None:
    message = ident.to_bytes(2, "big") + bytes.fromhex("01000001000000000000")
    message += name + qtype.to_bytes(2, "big") + b"\0\1"
    reason, _, _, _, out = ask(message)
    assert reason == 0
    assert (out[wire.IDENT], out[wire.QTYPE], out[wire.QCLASS]) == (ident, qtype, 1)
    expected, _ = dns.name.from_wire(message, 12)
    assert name_of(message) == names.wire_to_text(expected.canonicalize().to_wire() or b"")


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.one_of(
            LABEL.map(lambda x: bytes([len(x)]) + x),
            st.integers(0, 80).map(lambda at: bytes([0xC0, at])),
            st.binary(max_size=3),
            st.just(b"\0"),
        ),
        max_size=8,
    ).map(b"".join),
    st.integers(12, 60),
)
def test_compressed_names_are_resolved_or_refused_as_dnspython_does(body: bytes, at: int) -> None:
    message = bytes(12) + body
    buffer = np.frombuffer(message, np.uint8).copy()
    scratch = np.zeros(256, np.uint8)
    starts = np.zeros(wire.MAX_LABELS + 2, np.int64)
    count, after = wire.read_name(buffer, 0, at, len(message), scratch, starts)
    try:
        expected, used = dns.name.from_wire(message, at)
    except (dns.exception.DNSException, IndexError, ValueError):
        assert count == -1
        return
    assert count == len(expected.labels) - 1
    assert scratch[: starts[count] + 1].tobytes() == expected.to_wire()
    assert after == at + used


def test_pointers_cannot_make_a_loop() -> None:
    for body in (b"\xc0\x0c", b"\x01a\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\xc0\xff"):
        message = bytes(4) + b"\0\1" + bytes(6) + body + b"\0\1\0\1"
        assert ask(message)[0] == 2


@pytest.mark.parametrize("size", range(29))
def test_a_message_cut_anywhere_has_a_reason(size: int) -> None:
    message = dns.message.make_query("evil.test", "A", id=1).to_wire()
    expected = 1 if size < 12 else 2 if size < 23 else 3 if size < 27 else 0
    assert ask(message[:size])[0] == expected


def test_a_message_without_a_question_has_no_name() -> None:
    reason, _, _, _, out = ask(bytes(12))
    assert (reason, out[wire.LABELS]) == (0, -1)


@pytest.mark.parametrize(
    ("network", "bits", "expected"),
    [
        ("198.51.100.77", 24, bytes(10) + b"\xff\xff" + bytes([198, 51, 100, 0, 120])),
        ("198.51.100.77", 31, bytes(10) + b"\xff\xff" + bytes([198, 51, 100, 76, 127])),
        ("2001:db8:1234:ffff::", 56, bytes.fromhex("20010db81234ff00") + bytes(8) + b"\x38"),
        ("0.0.0.0", 0, None),
    ],
)  # fmt: skip
def test_the_client_subnet_is_read(network: str, bits: int, expected: bytes | None) -> None:
    option = dns.edns.ECSOption(network, bits)
    asked = dns.message.make_query("evil.test", "A", use_edns=0, options=[option])
    assert subnet_of(asked.to_wire()) == (0, expected)


@pytest.mark.parametrize(
    "data", ["", "0001", "00012100c6336401", "00011800c633", "0003180001020304", "000281002001"]
)
def test_a_client_subnet_that_makes_no_sense_is_none(data: str) -> None:
    option = dns.edns.GenericOption(dns.edns.OptionType.ECS, bytes.fromhex(data))
    asked = dns.message.make_query("evil.test", "A", use_edns=0, options=[option])
    assert subnet_of(asked.to_wire()) == (0, None)


@pytest.mark.parametrize("code", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.BADVERS])
def test_the_response_code_has_its_upper_bits(code: dns.rcode.Rcode) -> None:
    response = dns.message.make_response(dns.message.make_query("evil.test", "A", use_edns=0))
    response.set_rcode(code)
    assert subnet_of(response.to_wire())[0] == code


def test_case_bits_stand_for_the_letters_in_order() -> None:
    def bits(text: bytes) -> int:
        buffer = np.frombuffer(text, np.uint8).copy()
        starts = np.zeros(wire.MAX_LABELS + 2, np.int64)
        count = wire.labels(buffer, 0, buffer.size, starts)
        return int(wire.case_bits(buffer, starts, count))

    assert bits(b"\x03a1b\x02cd\0") == 0
    assert bits(b"\x03A1b\x02Cd\0") == 0b0101
    assert bits(b"\x3f" + b"A" * 63 + b"\x02AA\0") == 2**63 - 1
    assert bits(b"\0") == 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_break_the_kernels(message: bytes) -> None:
    reason, buffer, _, _, out = ask(message)
    assert 0 <= reason <= 3
    if reason == 0:
        wire.edns(buffer, len(message), out, np.zeros(17, np.uint8))
        kind, data, end = wire.record(buffer, int(out[wire.END]), len(message))
        assert kind == -1 or data <= end <= len(message)
