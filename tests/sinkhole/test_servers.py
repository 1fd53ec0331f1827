"""Configurations of other servers: what people and names may put into them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remnant.errors import ExportError
from remnant.names import wire_to_text
from remnant.sinkhole.exports import Export, Placed
from remnant.sinkhole.servers import SERVERS, Listen, Serving, knot_files, server_files
from sinkhole.seized import NOW, seized_zones

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("192.0.2.1", Listen("192.0.2.1", 53)),
        ("192.0.2.1@5300", Listen("192.0.2.1", 5300)),
        ("::", Listen("::", 53)),
        ("2001:DB8:0::1@1", Listen("2001:db8::1", 1)),
    ],
)
def test_where_to_listen(text: str, listen: Listen) -> None:
    assert Listen.parse(text) == listen


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "192.0.2.1:53", "192.0.2.1@0", "192.0.2.1@65536", "192.0.2.1@", "@53",
     "192.0.2.1@53]", "192.0.2.1@٥٣", "fe80::1%eth0", "192.0.2.0/24"],
)  # fmt: skip
def test_what_is_no_address_to_listen_on(text: str) -> None:
    with pytest.raises(ExportError, match="listen"):
        Listen.parse(text)


@pytest.mark.parametrize("path", ["relative", '/a"b', "/a\nb", "/a\\b", "/a{b", "/ä", "/a;b"])
def test_paths_that_would_break_out_of_their_quotes_are_refused(path: str) -> None:
    with pytest.raises(ExportError, match="path"):
        Serving(path)
    with pytest.raises(ExportError, match="path"):
        Serving("/srv", dnstap=f"unix:{path}")


LABELS = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4)


@given(LABELS)
def test_no_name_breaks_out_of_its_quotes(labels: list[bytes]) -> None:
    name = wire_to_text(b"".join(bytes((len(label),)) + label for label in labels) + b"\0")
    serving = Serving("/srv")
    for kind in SERVERS.values():
        plain = kind.zones([Placed("evil.example", "zones/a.zone", 1)], serving)
        text = kind.zones([Placed(name, "zones/a.zone", 1)], serving)

        assert text.count("\n") == plain.count("\n")
        assert text.count('"') == plain.count('"')
        [stated] = re.findall(r'(?:domain: |name: |zone )"([^"\n]*)"', text)
        assert re.fullmatch(r"[a-z0-9_.\\-]+", stated)


@pytest.mark.parametrize("kind", list(SERVERS))
def test_every_zone_stands_in_the_configuration_with_a_file_that_is_there(
    tmp_path: Path, kind: str
) -> None:
    zones = seized_zones()
    main = server_files(kind, zones, Export(tmp_path, now=NOW), Serving(str(tmp_path)))  # type: ignore[arg-type]
    text = (tmp_path / SERVERS[kind].zones_file).read_text()  # type: ignore[index]
    stated = re.findall(r'file: "([^"]+)"|file "([^"]+)"', text)

    assert main.is_file()
    assert len(stated) == len(zones)
    assert all((tmp_path / (one or other)).is_file() for one, other in stated)


def test_servers_in_one_folder_share_the_zone_files(tmp_path: Path) -> None:
    for kind in SERVERS:
        server_files(kind, seized_zones(), Export(tmp_path, now=NOW), Serving(str(tmp_path)))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    export = Export(tmp_path, now=NOW + 5)
    server_files("knot", seized_zones(), export, Serving(str(tmp_path)))

    assert export.written == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_dnstap_is_there_only_if_wanted() -> None:
    for kind in SERVERS.values():
        assert "dnstap {" not in kind.main(Serving("/srv"))
        assert "dnstap:" not in kind.main(Serving("/srv"))
        assert "/tap.sock" in kind.main(Serving("/srv", dnstap="unix:/srv/tap.sock"))


def test_bind_listens_on_nothing_that_was_not_named() -> None:
    only = SERVERS["bind"].main(Serving("/srv", (Listen("192.0.2.1", 53),)))

    assert "listen-on port 53 { 192.0.2.1; };" in only
    assert "listen-on-v6 { none; };" in only


def test_a_knot_for_tests(tmp_path: Path) -> None:
    path = knot_files(seized_zones(), tmp_path, "127.0.0.1@5353")

    assert path == tmp_path / "knot.conf"
    assert "listen: [127.0.0.1@5353]" in path.read_text()
    assert f"zones/evil.example.zone\t{NOW}\n" in (tmp_path / "zones.tsv").read_text()
