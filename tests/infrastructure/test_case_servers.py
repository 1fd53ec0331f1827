"""The servers of a stored case: from imported records, and of candidates only if they are given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from remnant.enrich.reference import Reference
from remnant.infrastructure.case_servers import case_servers
from stored import Stored, home, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remnant.infrastructure.server import Server


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with opened(home(tmp_path_factory.mktemp("stored"))) as found:
        yield found


def listed(
    stored: Stored, *, until: datetime | None = None, candidates: Sequence[str] = ()
) -> dict[str, Server]:
    found = case_servers(
        stored.store, stored.view, stored.case, Reference.none(), until=until, candidates=candidates
    )
    return {one.value: one for one in found.servers}


def test_names_of_the_case_and_their_addresses_are_listed(stored: Stored) -> None:
    found = listed(stored)

    assert set(found) == {
        "c2.evil.example", "c2.other.example", "gone.evil.example", "5.6.7.8",
    }  # fmt: skip
    assert found["5.6.7.8"].names == 2
    assert found["c2.evil.example"].last_seen == datetime(2015, 5, 1, tzinfo=UTC)
    assert found["gone.evil.example"].state == "unknown"


def test_candidates_bring_their_addresses(stored: Stored) -> None:
    found = listed(stored, candidates=["hidden.test"])

    assert found["hidden.test"].candidate
    assert "5.6.7.9" in found
    assert not found["c2.evil.example"].candidate


def test_what_was_known_later_does_not_count(stored: Stored) -> None:
    found = listed(stored, until=datetime(2015, 2, 1, tzinfo=UTC))

    assert found["c2.evil.example"].state == "unknown"
    assert not found["c2.evil.example"].alive
