from __future__ import annotations

from remnant.names import is_below, wire_to_text
from remnant.simulate.beebone import BEEBONE
from remnant.simulate.questions import NXDOMAIN, questions


def watched_by_the_case(name: str) -> bool:
    exact = {watched.name for watched in BEEBONE.names}
    return name in exact or any(is_below(name, zone) for zone in BEEBONE.below)


def test_only_the_watched_names_are_watched() -> None:
    made = questions(BEEBONE)

    assert all(watched_by_the_case(name) for name in made.names[: made.watched])
    assert not any(watched_by_the_case(name) for name in made.names[made.watched :])
    assert len(set(made.names)) == len(made.names)


def test_innocent_names_use_reserved_or_trap_domains() -> None:
    made = questions(BEEBONE)
    reserved = ("example", "test", "invalid", "example.com", "example.net", "example.org")

    for name in made.names[made.watched : made.missing]:
        assert any(is_below(name, zone) for zone in reserved)


def test_every_watched_name_is_carried_by_some_version() -> None:
    made = questions(BEEBONE)

    assert set(made.version_names.ravel().tolist()) == set(range(made.watched))
    assert all(len(set(version)) == len(version) for version in made.version_names.tolist())


def test_the_table_holds_the_names_in_wire_form() -> None:
    made = questions(BEEBONE)
    table = made.table
    for row, name in enumerate(made.names):
        wire = table.wire[table.offsets[row] : table.offsets[row + 1]].tobytes()
        assert wire_to_text(wire) == name
        last = wire[table.top[row] :]
        assert len(last) == last[0] + 2
    assert (table.answer[made.popular : made.missing] == NXDOMAIN).all()
