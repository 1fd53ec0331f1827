"""All that pages show of a case is there when a demo has gone its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from remnant.store import Store
from remnant.web.results.filling import filled
from remnant.web.results.kept import Kept, Key
from remnant.web.results.kinds import KINDS
from remnant.web.results.process import Worker, WorkFailed
from remnant.web.results.state import state_of
from web.changing import CASE, commit, settled

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings


def heads(settings: Settings) -> dict[str, Any]:
    kept = Kept(settings.home)
    return {kind: kept.head(Key(CASE, kind, internal=True)) for kind in KINDS}


@pytest.mark.parametrize("works", [True, False])
def test_every_kind_is_made_whether_or_not_the_process_beside_works(
    works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settled(tmp_path)
    commit(settings)
    if not works:

        def failed(*_: object) -> None:
            raise WorkFailed("it ended by itself")

        monkeypatch.setattr(Worker, "do", failed)
    with Store.open(settings) as store:
        view = store.view(CASE)
        state = state_of(settings, CASE, store.stamp(CASE))
        with filled(settings, store, view):
            pass

    assert {kind: (head.stamp, head.problem) for kind, head in heads(settings).items()} == (
        dict.fromkeys(KINDS, (state, None))
    )


def test_an_error_beside_it_is_told_and_nothing_more_is_made(tmp_path: Path) -> None:
    settings = settled(tmp_path)
    commit(settings)
    with (
        Store.open(settings) as store,
        pytest.raises(ZeroDivisionError),
        filled(settings, store, store.view(CASE)),
    ):
        raise ZeroDivisionError
    assert heads(settings)["verdict"] is None
