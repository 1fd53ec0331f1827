"""Local data for Unbound."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from remnant.names import wire_to_text
from remnant.sinkhole.exports import Export
from remnant.sinkhole.servers import Serving
from remnant.sinkhole.unbound import local_zones, unbound_files
from remnant.sinkhole.zones import Answering, Zone
from sinkhole.seized import NOW, seized_zones

if TYPE_CHECKING:
    from pathlib import Path


def lines(*zones: Zone) -> list[str]:
    return local_zones(zones).with_serial(1).splitlines()[2:]


def zone(name: str, exact: str = "", below: str = "") -> Zone:
    answering = Answering("x", ("192.0.2.53",), (), (60,), 0)
    return Zone(name, answering, ["x"], dict.fromkeys(exact.split()), dict.fromkeys(below.split()))


def test_a_name_alone_is_data_in_a_static_zone() -> None:
    found = lines(zone("evil.example", "a.b.evil.example"))

    assert found[0] == 'local-zone: "evil.example." static'
    assert "local-data: 'a.b.evil.example. 60 IN A 192.0.2.53'" in found
    # What is between exists and has nothing.
    assert r"local-data: 'b.evil.example. 60 IN TYPE65534 \# 0'" in found


def test_a_name_with_all_below_it_is_a_redirect_zone_and_hides_what_lies_there() -> None:
    found = lines(zone("evil.example", "x.y.evil.example", "y.evil.example z.y.evil.example"))

    assert 'local-zone: "y.evil.example." redirect' in found
    assert not [line for line in found if "x.y.evil" in line or "z.y.evil" in line]
    whole = lines(zone("evil.example", "x.evil.example", "evil.example"))
    assert whole[0] == 'local-zone: "evil.example." redirect'
    assert not [line for line in whole if " NS " in line or "x.evil" in line]


LABELS = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4)


@given(LABELS)
def test_no_name_breaks_out_of_its_quotes(labels: list[bytes]) -> None:
    name = wire_to_text(b"".join(bytes((len(label),)) + label for label in labels) + b"\0")
    for line in lines(zone(name, name)):
        assert re.fullmatch(
            r"""local-zone: "[a-z0-9_.\\-]+" static|local-data: '[A-Za-z0-9_.\\ -]+'""", line
        )


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for now in (NOW, NOW + 9):
        export = Export(tmp_path, now=now)
        unbound_files(seized_zones(), export, Serving(str(tmp_path)))
        before = {path: path.read_bytes() for path in tmp_path.glob("*.conf")}

    assert export.written == 0
    assert {path.name for path in before} == {"unbound.conf", "unbound-zones.conf"}


def test_zones_of_generated_names_are_written_as_all_others() -> None:
    one, two = zone("a.test", "a.test"), zone(r"b\.;\000.test", r"b\.;\000.test")
    two.answering = one.answering
    # A second name inside makes a zone one that is written by itself.
    other = zone("a.test", "a.test x.a.test")
    rest = "local-data: 'x.a.test. 60 IN A 192.0.2.53'"

    assert lines(one) == [line for line in lines(other) if line != rest]
    text = r"b\046\059\000.test."
    assert lines(one, two)[len(lines(one)) :] == [
        line.replace("a.test.", text) for line in lines(one)
    ]
