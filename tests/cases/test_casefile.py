"""The case file: what it means, and what it refuses."""

from __future__ import annotations

import re
import time
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.made_cases import BEEBONE, QUICK
from remnant.cases import casefile, model
from remnant.cases.casefile import load, loads
from remnant.cases.library import BUILT_IN
from remnant.cases.model import Event, SinkholeConfig, Watch
from remnant.errors import CaseError
from remnant.names import text_to_wire
from remnant.sinkhole.zonefile import contact_name

HEAD = '[case]\nname = "x"\ntakedown = 2015-04-08\n'


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def watch(text: str) -> Watch:
    return loads(f"{HEAD}[[watch]]\n{text}\n", "x.toml").watches[0]


def refused(text: str) -> CaseError:
    with pytest.raises(CaseError) as raised:
        loads(text, "x.toml")
    return raised.value


def outcome(text: str) -> CaseError | None:
    """Return the error that a text gives, if it gives one."""
    try:
        loads(text, "x.toml")
    except CaseError as error:
        return error
    return None


def test_the_documented_case() -> None:
    case = loads(BEEBONE, "beebone.toml")
    assert (case.name, case.title) == ("beebone", "BeeBone (AAEH, VObfus, Changeup)")
    assert case.takedown == utc(2015, 4, 8)
    assert case.watches[0] == Watch(
        ("ns1.timedate1.com", "*.thepicturehut.net"),
        state="seized",
        since=utc(2015, 4, 8),
        source="maltrail changeup.txt",
    )
    assert case.watches[1] == Watch(addresses=("203.0.113.7/32",))
    assert case.watches[2] == Watch(
        dga="newgoz", role="dga", since=utc(2014, 7, 1), until=utc(2014, 7, 4)
    )
    assert case.events == (Event(utc(2015, 6, 4), "notice", "..."),)
    assert case.sinkhole == SinkholeConfig(("192.0.2.53", "2001:db8::53"), 60)
    assert case.duplicates == 0


def test_little_is_enough() -> None:
    case = loads(HEAD, "x.toml")
    assert case.title == "x"
    assert case.watches == ()
    assert case.sinkhole is None
    assert loads(f"{HEAD}[sinkhole]\n", "x.toml").sinkhole == SinkholeConfig((), 60)


def test_dates_and_times() -> None:
    found = watch('names = ["a.example"]\nfrom = 2015-04-08\nuntil = 2015-04-08')
    assert (found.since, found.until) == (utc(2015, 4, 8), utc(2015, 4, 9))
    found = watch(
        'names = ["a.example"]\nfrom = 2015-04-08T02:00:00+02:00\nuntil=2015-04-08T01:00:00Z'
    )
    assert (found.since, found.until) == (utc(2015, 4, 8), utc(2015, 4, 8, 1))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("takedown", "2015-04-08T00:00:00", "no zone"),
        ("takedown", "00:00:00", "wrong type"),
        ("takedown", '"2015-04-08"', "wrong type"),
        ("takedown", "20150408", "wrong type"),
        ("takedown", "0001-01-01", "cannot be right"),
        ("takedown", "9999-12-31", "cannot be right"),
        ("takedown", "0001-01-01T00:00:00+14:00", "cannot be right"),
        ("takedown", "9999-12-31T23:59:59-14:00", "cannot be right"),
        ("takedown", "2015-02-30", "not TOML"),
    ],
)
def test_times_that_are_refused(key: str, value: str, said: str) -> None:
    error = refused(f'[case]\nname = "x"\n{key} = {value}\n')
    assert said in error.what
    assert error.where is not None
    assert error.where.startswith("x.toml:3")


@pytest.mark.parametrize(
    "name",
    ["", "X", "-a", "a" * 64, "a b", "../x", "a/b", "a.b", "ä", "a\\u0000", "a\\n", "con\\u202e"],
)
def test_a_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    error = refused(f'[case]\nname = "{name}"\ntakedown = 2015-04-08\n')
    assert error.where is not None
    assert "case.name" in error.where


def test_every_place_is_named() -> None:
    text = BEEBONE.replace('"*.thepicturehut.net"', '\n  "ok.example",\n  "*.co.uk"')
    error = refused(text)
    assert error.where == "x.toml:9 (watch[0].names[2])"
    assert error.got == "*.co.uk"
    assert error.hint is not None
    assert "*.evil.co.uk" in error.hint


@pytest.mark.parametrize(
    ("old", "new", "where", "hint"),
    [
        ('role   = "c2"', 'role   = "c&c"', "x.toml:8 (watch[0].role)", None),
        ('state  = "seized"', 'state  = "siezed"', "x.toml:9 (watch[0].state)", "seized"),
        ("source =", "sources =", "x.toml:11 (watch[0].sources)", "source"),
        ('kind = "notice"', 'kind = "notify"', "x.toml:23 (event[0].kind)", "notice"),
        ("time = 2015", "when = 2015", "x.toml:21 (event[0].time)", None),
        ("ttl = 60", "ttl = 86401", "x.toml:28 (sinkhole.ttl)", None),
        ("ttl = 60", "ttl = -1", "x.toml:28 (sinkhole.ttl)", None),
        ("ttl = 60", "ttl = true", "x.toml:28 (sinkhole.ttl)", None),
        ('"2001:db8::53"', '"2001:db8::/64"', "x.toml:27 (sinkhole.addresses[1])", None),
        ("203.0.113.7/32", "203.0.113.7/24", "x.toml:14 (watch[1].addresses[0])", "0/24"),
        ('dga  = "newgoz"', 'dga  = "newgos"', "x.toml:17 (watch[2].dga)", "one by one"),
        ("from = 2014-07-01\n", "", "x.toml:16 (watch[2].from)", None),
        ("until = 2014-07-03", "until = 2014-06-30", "x.toml:19 (watch[2].until)", None),
        ("[sinkhole]", "[sinkholes]", "x.toml:26 (sinkholes)", "sinkhole"),
        ("[sinkhole]", "[[sinkhole]]", "x.toml:26 (sinkhole)", "one bracket"),
        ("[[event]]", "[event]", "x.toml:21 (event)", "two brackets"),
        ('"ns1.timedate1.com"', "7", "x.toml:7 (watch[0].names[0])", None),
        ('addresses = ["203.0.113.7/32"]', "addresses = []", "x.toml:13 (watch[1])", None),
        ('["203.0.113.7/32"]', '"203.0.113.7"', "x.toml:14 (watch[1].addresses)", '["..."]'),
        ("[case]", "[[case]]", "x.toml:1 (case)", "one bracket"),
        ('name     = "beebone"\n', "", "x.toml:1 (case.name)", None),
        ('dga  = "newgoz"', 'dga="newgoz"\nnames=["a.example"]', "x.toml:17 (watch[2].dga)", None),
        ('title    = "BeeBone', 'title    = "Bee\\u0007Bone', "x.toml:3 (case.title)", None),
    ],
)
def test_mistakes_are_found_where_they_are(
    old: str, new: str, where: str, hint: str | None
) -> None:
    assert BEEBONE.count(old) >= 1
    error = refused(BEEBONE.replace(old, new, 1))
    assert error.where == where
    if hint is not None:
        assert error.hint is not None
        assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "case is missing"),
        ("x", "not TOML"),
        ("[case", "not TOML"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "{a=" * 100_000, "nested too deeply"),
        ("a = " + "9" * 5000, "cannot be read"),
        ('a = "\0"', "not TOML"),
        ("case = 7", "wrong type"),
        ("watch = 7\n" + HEAD, "wrong type"),
        ("watch = [7]\n" + HEAD, "not a table"),
        (HEAD + HEAD, "not TOML"),
        (HEAD + "[case.x]\n", "no such key"),
        (HEAD + '[[watch]]\nnames = ["a.example", ["b.example"]]\n', "not a string"),
    ],
)
def test_nasty_toml_is_a_case_error(text: str, said: str) -> None:
    assert said in refused(text).text()


@QUICK
@given(st.text(st.sampled_from("[]{}=\"'\\\n.#,abcwth:0-9TZ é\0"), max_size=60))
def test_any_text_is_a_case_or_a_case_error(text: str) -> None:
    error = outcome(text)
    assert error is None or str(error).startswith("x.toml")


@QUICK
@given(st.sampled_from(range(len(BEEBONE))), st.characters(codec="utf-8"))
def test_a_changed_character_is_a_case_or_a_case_error(position: int, char: str) -> None:
    error = outcome(BEEBONE[:position] + char + BEEBONE[position + 1 :])
    assert error is None or str(error).replace("\n", "").isprintable()


def test_duplicates_merge_with_a_count() -> None:
    case = loads(
        f"""{HEAD}
        [[watch]]
        names = ["a.example", "A.example.", "*.a.example", "bücher.example"]
        addresses = ["203.0.113.7", "203.0.113.7/32", "::ffff:203.0.113.7"]
        [[watch]]
        names = ["a.EXAMPLE", "xn--bcher-kva.example", "b.example"]
        """,
        "x.toml",
    )
    assert case.watches[0].names == ("a.example", "*.a.example", "xn--bcher-kva.example")
    assert case.watches[0].addresses == ("203.0.113.7/32",)
    assert case.watches[1].names == ("a.example", "xn--bcher-kva.example", "b.example")
    assert case.duplicates == 1 + 2 + 2


@pytest.mark.parametrize(("key", "value"), [("role", "download"), ("state", "seized")])
def test_the_same_rule_with_another_meaning_is_an_error(key: str, value: str) -> None:
    error = refused(
        f"""{HEAD}
[[watch]]
names = ["b.example", "a.example"]
[[watch]]
names = [
  "A.example.",
]
{key} = "{value}"
"""
    )
    assert error.where == "x.toml:6 (watch[0].names[1]) and x.toml:9 (watch[1].names[0])"
    assert "a.example" in error.what
    assert error.got is not None
    assert value in error.got


def test_another_rule_with_another_meaning_is_none() -> None:
    loads(
        f"""{HEAD}
        [[watch]]
        names = ["*.a.example"]
        [[watch]]
        names = ["a.example", "*.b.a.example"]
        role = "download"
        state = "seized"
        """,
        "x.toml",
    )


def test_generated_names_twice() -> None:
    text = HEAD + '[[watch]]\ndga = "newgoz"\nfrom = 2014-07-01\nuntil = 2014-07-03\n'
    more = '[[watch]]\ndga = "newgoz"\nfrom = {}\nuntil = 2014-07-09\nstate = "seized"\n'
    loads(text + more.format("2014-07-04"), "x.toml")
    assert "another state" in refused(text + more.format("2014-07-03")).what


def test_a_zone_must_hold_its_names() -> None:
    assert watch('names = ["a.b.example", "*.b.example"]\nzone = "B.example."').zone == "b.example"
    for text in (
        'names = ["a.b.example", "evil.example"]\nzone = "b.example"',
        'names = ["notb.example"]\nzone = "b.example"',
        'names = ["a.b.example"]\nzone = "*.b.example"',
        'names = ["a.b.example"]\nzone = "b c"',
    ):
        error = refused(f"{HEAD}[[watch]]\n{text}\n")
        assert error.where == "x.toml:6 (watch[0].zone)"


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "beebone.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BEEBONE.replace("\n", "\r\n").encode())
    assert load(path) == loads(BEEBONE, "beebone.toml")


@pytest.mark.parametrize("data", [b"\xff\xfe[case]", "[case]\nname = 'é'".encode("latin-1")])
def test_a_file_that_is_not_utf8(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(data)
    with pytest.raises(CaseError, match="not UTF-8"):
        load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="cannot be read"):
        load(tmp_path / "x.toml")
    with pytest.raises(CaseError, match="cannot be read"):
        load(tmp_path)


def test_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(casefile, "MAX_NAMES", 3)
    text = HEAD + '[[watch]]\nnames = ["a.example", "b.example"]\naddresses = ["203.0.113.7"]\n'
    loads(text, "x.toml")
    with pytest.raises(CaseError, match="watches too much"):
        loads(text + '[[watch]]\nnames = ["a.example"]\n', "x.toml")
    monkeypatch.setattr(casefile, "MAX_FILE_BYTES", 100)
    path = tmp_path / "x.toml"
    path.write_text("#" * 101)
    with pytest.raises(CaseError, match="too large"):
        load(path)
    with pytest.raises(CaseError, match="too large"):
        loads("#" * 101, "x.toml")


def test_bounds_on_tables() -> None:
    table = '[[watch]]\ndga = "newgoz"\nfrom = 2014-07-01\nuntil = 2014-07-02\n'
    assert loads(HEAD + table * 100, "x.toml").duplicates == 99
    assert "too many tables" in refused(HEAD + table * 101).what
    event = "[[event]]\ntime = 2015-04-08\n"
    assert "too many events" in refused(HEAD + event * 10_001).what


def test_a_hostile_message_is_safe_to_print() -> None:
    error = refused(HEAD + '[[watch]]\nnames = ["evil\\u001b[2J\\u202e.example"]\n')
    assert "\x1b" not in str(error)
    assert "\u202e" not in str(error)


def test_many_names_load_in_reasonable_time() -> None:
    names = ",\n".join(f'"ns{number}.evil{number % 977}.example"' for number in range(20_000))
    began = time.process_time()
    case = loads(f"{HEAD}[[watch]]\nnames = [\n{names}\n]\n", "x.toml")
    assert len(case.watches[0].names) == 20_000
    # Linear work takes about 0.2 s; anything quadratic takes minutes.
    assert time.process_time() - began < 10


SINKHOLE = """\
[sinkhole]
addresses = ["192.0.2.53", "2001:DB8:0::53", "192.0.2.53"]
ttl_arms = [300, 60]
nameservers = ["NS1.Sink.Example.", "ns2.sink.example"]
contact = "Abuse.Desk@cert.example"
null_mx = true
spf = true
caa = true
http = "notice"
operator = "CERT Example"
help_url = "https://cert.example/help?lang=en"
identify = true
"""


def test_everything_that_a_case_may_say_of_its_sinkhole() -> None:
    assert loads(HEAD + SINKHOLE, "x.toml").sinkhole == SinkholeConfig(
        addresses=("192.0.2.53", "2001:db8::53"),
        ttl=60,
        ttl_arms=(60, 300),
        nameservers=("ns1.sink.example", "ns2.sink.example"),
        contact="Abuse.Desk@cert.example",
        null_mx=True,
        spf=True,
        caa=True,
        http="notice",
        operator="CERT Example",
        help_url="https://cert.example/help?lang=en",
        identify=True,
    )


def many(what: str, count: int) -> str:
    return ", ".join(f'"{what.format(number)}"' for number in range(count))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("addresses", f"[{many('192.0.2.{}', 9)}]", "too many addresses"),
        ("addresses", '["192.0.2.0/24"]', "address"),
        ("addresses", '["evil.example"]', "address"),
        ("ttl", "60.5", "wrong type"),
        ("ttl_arms", "[60]", "two different times"),
        ("ttl_arms", "[60, 60]", "two different times"),
        ("ttl_arms", "[60, 300, 600]", "two different times"),
        ("ttl_arms", "[60, 300]\nttl = 60", "two different times"),
        ("ttl_arms", "[60, 86401]", "not a number in range"),
        ("ttl_arms", "[true, 60]", "not a number in range"),
        ("nameservers", f"[{many('ns{}.sink.example', 9)}]", "too many name servers"),
        ("nameservers", '["*.sink.example"]', "no star"),
        ("nameservers", '["192.0.2.53"]', "an address, not a name"),
        ("contact", '"nobody"', "not a mail address"),
        ("contact", '"a@b"', "not a mail address"),
        ("contact", '"a b@c.example"', "not a mail address"),
        ("contact", '"a@b.example\\n1 A 6.6.6.6"', "line"),
        ("contact", f'"a@{"b" * 60}.{".".join(["c" * 62] * 3)}example"', "not a mail address"),
        ("null_mx", '"yes"', "wrong type"),
        ("http", '"302"', "not known"),
        ("http", "204", "wrong type"),
        ("help_url", '"javascript:alert(1)"', "not the address of a page"),
        ("help_url", '"https://a.example/\\"onclick=x"', "not the address of a page"),
        ("help_url", '"ftp://a.example/"', "not the address of a page"),
        ("identify", "1", "wrong type"),
        ("redirect", '"https://a.example/"', "no such key"),
    ],
)
def test_what_a_case_may_not_say_of_its_sinkhole(key: str, value: str, said: str) -> None:
    error = refused(f"{HEAD}[sinkhole]\n{key} = {value}\n")
    assert error.where is not None
    assert f"sinkhole.{key}" in error.where
    assert said in str(error)


def test_the_longest_contact_is_a_name_that_fits() -> None:
    domain = ".".join(["b" * 63] * 3)
    contact = f"{'a' * (252 - len(domain))}@{domain}"
    found = loads(f'{HEAD}[sinkhole]\ncontact = "{contact}"\n', "x.toml").sinkhole
    assert found is not None
    assert len(text_to_wire(contact_name(found.contact))) == 255


def test_eight_addresses_and_eight_servers_are_enough() -> None:
    text = (
        f"{HEAD}[sinkhole]\naddresses = [{many('192.0.2.{}', 8)}]\n"
        f"nameservers = [{many('ns{}.sink.example', 8)}]\n"
    )
    found = loads(text, "x.toml").sinkhole
    assert found is not None
    assert len(found.addresses) == len(found.nameservers) == 8


def test_limits_are_those_of_the_documentation() -> None:
    assert model.MAX_FILE_BYTES == 64 * 1024 * 1024
    assert model.MAX_NAMES == 2_000_000


def test_the_documentation_is_a_case() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "case-file.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    case = loads(blocks[0], "case-file.md")
    assert len(case.watches) == 4
    assert case.sinkhole is not None
    text = page.read_text("utf-8")
    words = (*model.ROLES, *model.STATES, *model.EVENT_KINDS, *BUILT_IN)
    keys = [field.name for field in fields(SinkholeConfig)]
    for word in (*words, *keys, *model.HTTP_REPLIES):
        assert f"`{word}`" in text


def test_family_words() -> None:
    found = watch('families = [" BeeBone", "citadel certpl", "beebone"]')

    assert found.families == ("beebone", "citadel certpl")


@pytest.mark.parametrize(
    "word",
    ["", " ", "a,b", "a;b", "a|b", 'a\\"b', "a\\nb", "b\u00fccher", "x" * 64, "Sinkhole", "dga"],
)
def test_words_that_are_no_family_are_refused(word: str) -> None:
    error = refused(f'{HEAD}[[watch]]\nfamilies = ["beebone", "{word}"]\n')

    assert error.where == "x.toml:5 (watch[0].families[1])"


def test_a_family_stated_twice_and_a_name_that_reads_alike() -> None:
    text = f'{HEAD}[[watch]]\nnames = ["beebone"]\n[[watch]]\nfamilies = ["Beebone"]\n{{}}\n'
    case = loads(text.format('state = "seized"'), "x.toml")
    again = '[[watch]]\nfamilies = ["beebone"]'

    assert case.duplicates == 0
    assert loads(text.format(again), "x.toml").duplicates == 1
    error = refused(text.format('state = "seized"\n' + again))
    assert error.where == "x.toml:7 (watch[1].families[0]) and x.toml:10 (watch[2].families[0])"
