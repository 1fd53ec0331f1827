"""What is read of a query is what the kernels read of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remnant import wire
from remnant.sinkhole.query import Additional, read_name, read_records
from sinkhole.made_zones import QUICK

NAMES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.binary(min_size=1, max_size=63), max_size=5).map(
        lambda labels: b"".join(bytes((len(label),)) + label for label in labels) + b"\0\0\1"
    ),
)
OPT = b"\0\0\x29\x10\0\0\0\x80\0\0\0"
A = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"
TSIG = b"\1k\0\0\xfa\0\xff\0\0\0\0\0\0"


@QUICK
@given(NAMES)
def test_names_are_the_kernels(data: bytes) -> None:
    starts = np.zeros(wire.MAX_LABELS + 2, np.int64)
    count = wire.labels(np.frombuffer(data or b"\0", np.uint8).copy(), 0, len(data), starts)

    assert read_name(data, 0) == (None if count < 0 else starts[: count + 1].tolist())


@QUICK
@given(st.lists(st.one_of(st.sampled_from([OPT, A, TSIG]), st.binary(max_size=16)), max_size=3))
def test_records_end_where_the_kernels_say(parts: list[bytes]) -> None:
    data = bytes(12) + b"".join(parts)
    buffer = np.frombuffer(data, np.uint8).copy()
    position = 12
    for _ in parts:
        kind, _, position = wire.record(buffer, position, len(data))
        if kind < 0:
            break
    whole = position == len(data) and (not parts or kind >= 0)

    if read_records(data, 12, 0, len(parts)) is not None:
        assert whole


def test_an_opt_record_is_found_among_others() -> None:
    rest = read_records(bytes(12) + A + OPT, 12, 1, 1)

    assert rest == Additional(12 + len(A) + 3, b"", signed=False)
    assert rest.fixed(bytes(12) + A + OPT) == (4096, 0, 0x80)


def test_a_signature_is_the_last_record() -> None:
    assert read_records(TSIG, 0, 0, 1) == Additional(0, b"", signed=True)
    assert read_records(TSIG, 0, 1, 0) is None
    assert read_records(TSIG + OPT, 0, 0, 2) is None
    assert read_records(OPT + TSIG, 0, 0, 2) == Additional(3, b"", signed=True)


def test_what_is_wrong_with_records() -> None:
    assert read_records(b"", 0, 0, 1) is None
    assert read_records(A[:-1], 0, 0, 1) is None
    assert read_records(A + b"\0", 0, 0, 1) is None
    assert read_records(OPT + OPT, 0, 0, 2) is None
    assert read_records(OPT, 0, 1, 0) is None
    assert read_records(b"\1a" + OPT, 0, 0, 1) is None
    assert read_records(b"\xc0\x0c" + OPT[1:], 0, 0, 1) is None
    assert read_records(b"\x40" + A[2:], 0, 0, 1) is None
    assert read_records(b"\xc0", 0, 0, 1) is None
