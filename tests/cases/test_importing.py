"""Lists that others publish become cases."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import BEEBONE, QUICK
from remnant.cases import importers, importing
from remnant.cases.casefile import loads
from remnant.cases.dump import dumps
from remnant.cases.importing import ImportResult, import_bytes, import_file, recognise
from remnant.cases.model import Watch
from remnant.errors import CaseError

DATA = Path(__file__).parents[1] / "data" / "cases"
TAKEDOWN = datetime(2015, 4, 8, tzinfo=UTC)


def read(path: str, **options: Any) -> ImportResult:
    return import_file(DATA / path, name="x", takedown=TAKEDOWN, **options)


def parse(data: str | bytes, **options: Any) -> ImportResult:
    raw = data.encode() if isinstance(data, str) else data
    return import_bytes(raw, "input", name="x", takedown=TAKEDOWN, **options)


def refused(data: str | bytes, **options: Any) -> CaseError:
    with pytest.raises(CaseError) as raised:
        parse(data, **options)
    return raised.value


def reasons(result: ImportResult) -> dict[str, str]:
    return {entry.text: entry.reason for entry in result.set_aside}


def test_a_plain_list() -> None:
    found = read("list/names.txt")
    assert found.format == "list"
    assert found.case.title == "x"
    assert found.case.watches == (
        Watch(
            (
                "ns1.evil.example",
                "ns2.evil.example",
                "*.worse.example",
                "xn--bcher-kva.example",
                "evil.example",
            ),
            ("203.0.113.7/32", "2001:db8::/48"),
            source="names.txt",
        ),
    )
    assert (found.names, found.addresses, found.duplicates) == (5, 2, 1)
    assert found.values == 5 + 2 + 1 + 12
    assert found.set_aside_count == len(found.set_aside) == 12
    why = reasons(found)
    assert found.set_aside[0].place == "line 11"
    assert "a URL" in why["hxxp://evil[.]example/gate.php"]
    assert "a URL" in why["http://203.0.113.9/a"]
    assert "URL or path" in why["evil.example/gate.php"]
    assert "a path" in why["/gate.php?a"]
    assert "an address with a port" in why["203.0.113.8:8080"]
    assert "an address with a port" in why["[2001:db8::1]:53"]
    assert "a name with a port" in why["evil.example:2323"]
    assert "e-mail" in why["person@evil.example"]
    assert "beyond its length" in why["203.0.113.7/24"]
    assert "single word" in why["nonsense"]
    assert "not a domain name" in why["two words.example"]
    assert "single word" in why["*.com"]


def test_below_means_everything_below() -> None:
    found = read("list/names.txt", below=True, state="seized", role="download")
    (watch,) = found.case.watches
    assert watch.names[:3] == ("*.ns1.evil.example", "*.ns2.evil.example", "*.worse.example")
    assert (watch.role, watch.state) == ("download", "seized")
    assert parse("co.uk\nevil.co.uk", below=True).set_aside_count == 1


def test_a_table_with_commas() -> None:
    found = read("csv/comma.csv")
    assert found.format == "csv"
    assert found.case.watches == (
        Watch(("ns1.evil.example",), ("203.0.113.7/32",), state="seized", source="comma.csv"),
        Watch(("ns2.evil.example",), role="download", source="comma.csv"),
    )
    assert found.duplicates == 1
    assert [(entry.place, entry.text) for entry in found.set_aside] == [
        ("line 7", "ns3.evil.example"),
        ("line 8", "http://evil.example/x"),
        ("line 10", "two\\nlines.example"),
    ]
    assert "boss is none of c2" in found.set_aside[0].reason


@pytest.mark.parametrize(
    ("path", "names", "addresses"),
    [
        ("csv/semicolon.csv", ("a.evil.example", "b.evil.example"), ()),
        ("csv/tab.tsv", ("c.evil.example",), ("203.0.113.7/32",)),
        ("csv/column.csv", ("d.evil.example", "e.evil.example"), ()),
    ],
)
def test_other_tables(path: str, names: tuple[str, ...], addresses: tuple[str, ...]) -> None:
    found = read(path)
    assert found.format == "csv"
    assert found.case.watches[0].names == names
    assert found.case.watches[0].addresses == addresses


def test_a_stix_bundle() -> None:
    found = read("stix/bundle.json")
    assert found.format == "stix"
    c2, download = found.case.watches
    assert c2.names == (
        "ns1.evil.example",
        "a.evil.example",
        "b.evil.example",
        "c.evil.example",
        "e.evil.example",
    )
    assert c2.addresses == ("203.0.113.0/24", "2001:db8::7/128", "198.51.100.0/24")
    assert (download.names, download.role) == (("files.evil.example",), "download")
    places = {entry.place: entry.reason for entry in found.set_aside}
    assert "a URL" in places["objects[4].value"]
    assert "more than any of" in places["objects[6].pattern"]
    assert "another language: snort" in places["objects[7].pattern"]
    assert "benign" in places["objects[8].pattern"]
    assert "revoked" in places["objects[9].pattern"]
    assert "neither a domain name" in places["objects[10].pattern"]
    assert len(places) == 6


def test_a_misp_event() -> None:
    found = read("misp/event.json")
    assert found.format == "misp"
    assert found.case.title == "A made-up botnet"
    (watch,) = found.case.watches
    assert watch.names == ("evil.example", "ns1.evil.example", "pair.example", "object.example")
    assert watch.addresses == (
        "203.0.113.7/32",
        "203.0.113.8/32",
        "2001:db8::9/128",
        "203.0.113.11/32",
    )
    why = reasons(found)
    assert "port" in why["203.0.113.10|8000"]
    assert "port" in why["evil.example|2323"]
    assert "a URL" in why["http://evil.example/gate.php"]
    assert "to_ids" in why["context.example"]
    assert "deleted" in why["gone.example"]
    assert found.set_aside_count == 6


@pytest.mark.parametrize("wrap", ['{{"response": [{0}]}}', "[{0}]"])
def test_misp_events_in_other_wrapping(wrap: str) -> None:
    event = (DATA / "misp" / "event.json").read_text()
    assert parse(wrap.format(event)).names == 4


def test_a_case_file_keeps_its_text() -> None:
    text = "# why\n" + BEEBONE
    found = import_bytes(text.encode("utf-8-sig"), "beebone.toml")
    assert found.format == "toml"
    assert found.text == text
    assert found.case == loads(BEEBONE, "x.toml")
    renamed = parse(text)
    assert renamed.case.name == "x"
    assert renamed.text is None
    with pytest.raises(CaseError, match="cannot be the name"):
        import_bytes(text.encode(), "beebone.toml", name="../x")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (BEEBONE, "toml"),
        ("case = {name = 'x', takedown = 2015-04-08}\n", "toml"),
        ("\n# c\n [[ watch ]]\n", "toml"),
        ("[case]\nnonsense", "toml"),
        ("domain\na.example\n", "csv"),
        ("a.example,b.example\n", "csv"),
        ("a.example # x, y\n", "list"),
        ("a.example\ncase.example\ncase.a = 7", "toml"),
        ("a.example\ncase.example\n", "list"),
        ("", "list"),
        ('{"type": "bundle"}', "stix"),
        ('[{"type": "domain-name", "id": "x", "value": "a.example"}]', "stix"),
        ('{"Event": {}}', "misp"),
        ('{"response": [{"Event": {}}]}', "misp"),
    ],
)
def test_formats_are_recognised_from_the_bytes(text: str, kind: str) -> None:
    assert recognise(text)[0] == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(encoding: str) -> None:
    assert parse("bücher.example\r\nb.example\r".encode(encoding)).names == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "nothing that can be watched"),
        (b"# only\n", "nothing that can be watched"),
        (b"http://evil.example/\n", "the first: a URL"),
        ("bücher.example".encode("latin-1"), "not text that can be read"),
        ("evil.example".encode("utf-16-le"), "NUL byte"),
        (b"evil.example\0", "NUL byte"),
        (b"\xff\xfee", "not text that can be read"),
        (b"\x1f\x8b" + zlib.compress(b"x"), "compressed"),
        (b"PK\x03\x04", "compressed"),
        (b"{", "not JSON"),
        (b"{}", "this JSON is not of a kind"),
        (b"[]", "this JSON is not of a kind"),
        (b'{"type": "report"}', "this JSON is not of a kind"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 1_000_000, "nested too deeply"),
        (b'{"type": "bundle", "x": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b'{"type": "bundle", "objects": 7}', "nothing that can be watched"),
        (b'{"type": "bundle", "objects": [7, null, {}, {"type": []}]}', "nothing that can be"),
        (b'{"Event": {"Attribute": [7], "Object": [7, {"Attribute": 7}]}}', "nothing that can be"),
        (b"a.example,b\n", "no column says"),
        (b'domain,x\n"a.example,b\n', "cannot be read"),
        (b"domain\n" + b"a" * 200_000, "cannot be read"),
    ],
)
def test_hostile_files_are_case_errors(data: bytes, said: str) -> None:
    assert said in refused(data).text()


def test_unhashable_json_values_are_set_aside_or_passed_over() -> None:
    event = {"Attribute": [{"type": "domain", "value": "a.example", "to_ids": [], "deleted": {}}]}
    assert parse(json.dumps({"Event": event})).names == 1
    objects = [
        {"type": {}, "id": []},
        {"type": "domain-name", "id": {}, "value": "a.example"},
        {"type": "infrastructure", "id": [], "infrastructure_types": [[], {}]},
        {"type": "relationship", "relationship_type": {}, "source_ref": [], "target_ref": {}},
        {"type": "indicator", "pattern_type": {}, "pattern": "[domain-name:value = 'b.example']"},
        {
            "type": "indicator",
            "indicator_types": [{}],
            "pattern": "[domain-name:value='c.example']",
        },
    ]
    assert parse(json.dumps({"type": "bundle", "objects": objects})).names == 2


def test_what_only_a_person_knows_must_be_said() -> None:
    for options in ({"name": "x"}, {"takedown": TAKEDOWN}, {}):
        with pytest.raises(CaseError, match="does not say its") as raised:
            import_bytes(b"a.example", "input", **options)
        assert "--takedown" in (raised.value.hint or "")
    with pytest.raises(CaseError, match="cannot be the name"):
        import_bytes(b"a.example", "input", name="A", takedown=TAKEDOWN)


def test_the_same_name_with_another_role_is_an_error() -> None:
    error = refused("domain,role\na.example,c2\nb.example,c2\nA.example.,download\n")
    assert "a.example" in error.what
    assert error.where == "input, line 2 and line 4"


def test_the_format_can_be_said() -> None:
    assert parse("a.example", input_format="list").names == 1
    assert refused("a.example", input_format="csv").what.startswith("no column")
    assert refused("a.example", input_format="stix").what == "this is not JSON"
    assert refused('{"x": 1}', input_format="misp").what.endswith("can be watched")


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "MAX_LISTED", 3)
    found = parse("a.example\n" + "/x\n" * 10)
    assert (len(found.set_aside), found.set_aside_count) == (3, 10)
    monkeypatch.setattr(importers, "MAX_NAMES", 2)
    assert "too much" in refused("a.example\nb.example\nc.example").what
    monkeypatch.setattr(importing, "MAX_FILE_BYTES", 10)
    assert "too large" in refused("a.example\nb.example").what


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="cannot be read"):
        import_file(tmp_path / "none.txt", name="x", takedown=TAKEDOWN)


def test_lone_surrogates_in_json_are_set_aside() -> None:
    event = {"info": "a\ud800b", "Attribute": [{"type": "domain", "value": "\ud800.example"}]}
    event["Attribute"] += [{"type": "domain", "value": "a.example"}]  # type: ignore[operator]
    found = parse(json.dumps({"Event": event}))
    assert found.set_aside_count == 1
    assert loads(dumps(found.case).encode().decode(), "x.toml") == found.case


@pytest.mark.parametrize(
    "char", ["1", ".", "a", "a.", "[", ":", "/", "\\", "é", "*.", "@", "hxxp:"]
)
def test_an_endless_line_takes_linear_time(char: str) -> None:
    found = parse("a.example\n" + char * 300_000 + "x\n")
    assert found.set_aside_count == 1


def test_a_case_file_takes_no_below() -> None:
    assert "says itself" in refused(BEEBONE, below=True).what


def test_what_is_set_aside_is_safe_to_print() -> None:
    found = parse("a.example\n/\x1b[2J\u202e" + "x" * 1000 + "\n")
    text = found.set_aside[0].text
    assert text.isprintable()
    assert len(text) < 250


@QUICK
@given(st.lists(st.text(max_size=20), max_size=10), st.booleans())
def test_any_list_becomes_a_case_that_can_be_stored(lines: list[str], below: bool) -> None:
    text = "\n".join(["ok.example", *lines])
    if "\0" in text:
        assert "NUL" in refused(text).what
        return
    found = parse(text, input_format="list", below=below)
    assert loads(dumps(found.case), "x.toml") == found.case
    assert found.values == found.names + found.addresses + found.duplicates + found.set_aside_count


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["domain", "ip-dst", "a.example"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "value", "id", "objects", "pattern", "Event", "Attribute"])
            | st.sampled_from(
                ["Object", "to_ids", "deleted", "response", "info", "indicator_types"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@QUICK
@given(JSON, st.sampled_from(["Event", "objects"]))
def test_any_json_is_a_case_or_a_case_error(value: object, key: str) -> None:
    text = json.dumps({"type": "bundle", key: value} if key == "objects" else {key: value})
    with suppress(CaseError):
        assert parse(text).names > 0


def test_the_result_as_plain_data() -> None:
    found = json.loads(json.dumps(read("list/names.txt").to_json()))
    assert found["case"] == "x"
    assert found["set_aside"][0]["place"] == "line 11"
