"""Whose an event is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remnant.names import text_to_wire
from remnant.sinkhole.directory import Directory
from remnant.sinkhole.tables import compile_zones
from served import zones
from sinkhole.made_zones import QUICK


def mapped(*address: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(address)


MANY, OTHER = mapped(192, 0, 2, 54), mapped(198, 51, 100, 1)
ELSEWHERE = mapped(10, 0, 0, 1)


def made() -> Directory:
    found = zones()
    return Directory(found, compile_zones(found)[1])


def cases(name: bytes, destination: bytes = ELSEWHERE) -> tuple[tuple[str, ...], str, bool]:
    directory = made()
    found = directory.find(name, destination)
    return directory.memberships[found.owner], found.case, found.unlisted


def test_a_name_belongs_to_the_cases_of_its_zone_whatever_address_it_came_to() -> None:
    assert cases(text_to_wire("ns1.timedate1.com"), OTHER) == (("many", "other"), "many", False)
    assert cases(b"\x03NS1\x09TimeDate1\x03COM\0", OTHER) == (("many", "other"), "many", False)
    assert cases(text_to_wire("new.timedate1.com")) == (("many", "other"), "many", True)
    assert cases(text_to_wire("other.test")) == (("other",), "other", False)
    assert cases(text_to_wire("any.thing.inner.outer.net")) == (("many",), "many", False)


def test_everything_else_belongs_to_the_cases_of_the_address() -> None:
    for name in (b"", b"\0", text_to_wire("example.com"), text_to_wire("com")):
        assert cases(name, MANY) == (("many",), "many", False)
        assert cases(name, OTHER) == (("other",), "other", False)
        assert cases(name, bytes.fromhex("20010db8000000000000000000000053"))[0] == ("many",)
        assert cases(name) == (("many", "other"), "many", False)


def test_numbers_that_the_fast_path_wrote_stay_what_they_are() -> None:
    found = zones()
    owners = compile_zones(found)[1]

    assert Directory(found, owners).memberships[: len(owners)] == owners


@QUICK
@given(st.binary(max_size=300), st.binary(min_size=16, max_size=16))
def test_any_bytes_belong_to_somebody(name: bytes, destination: bytes) -> None:
    directory = made()
    before = len(directory.memberships)
    found = directory.find(name, destination)

    assert directory.memberships[found.owner]
    # What strangers send makes no new sets of cases.
    assert len(directory.memberships) <= before + 1


def test_what_strangers_send_is_bounded() -> None:
    directory = made()
    for i in range(3000):
        directory.find(text_to_wire(f"x{i}.timedate1.com"), mapped(10, 0, i >> 8, i & 255))
    before = len(directory.memberships)
    directory.find(text_to_wire("y.timedate1.com"), mapped(11, 0, 0, 1))

    assert len(directory.memberships) == before <= 4
