"""One search box for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from web.places.conftest import BIG, SIX, SMALL

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def found(client: TestClient, text: str) -> dict[str, list[dict[str, Any]]]:
    answer = client.get("/search.json", params={"q": text})
    assert answer.status_code == 200, answer.text
    return {group["kind"]: group["hits"] for group in answer.json()["groups"]}


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("C2.EVIL.example.", "name", "/cases/spread/names/c2.evil.example"),
        ("https://c2.evil.example/x", "name", "/cases/spread/names/c2.evil.example"),
        ("deep.wide.example", "name", "/cases/spread/names/%2A.wide.example"),
        ("evil", "name", "/cases/spread/names/c2.evil.example"),
        ("c2.evil.example", "map", "/cases/spread/map?node=name%20c2.evil.example"),
        (f"AS{BIG}", "network", f"/cases/spread/networks/{BIG}"),
        (f"{BIG}", "network", f"/cases/spread/networks/{BIG}"),
        ("example TELECOM", "network", f"/cases/spread/networks/{BIG}"),
        ("de", "country", "/cases/spread/countries/DE"),
        ("Germany", "country", "/cases/spread/countries/DE"),
        ("198.51.100.7", "client", "/cases/spread/clients?span=all&network=198.51.100.7"),
        ("198.51.100.7", "network", f"/cases/spread/networks/{BIG}"),
        ("198.51.100.7", "prefix", "/cases/spread/prefixes/198.51.100.0/24"),
        ("192.0.2.0/24", "prefix", "/cases/spread/prefixes/192.0.2.0/24"),
        ("2001:db8:3::1", "network", f"/cases/spread/networks/{SIX}"),
        ("5.6.7.8", "server", "/search?q=c2.evil.example"),
        ("c2.evil.example", "server", "/search?q=5.6.7.8"),
        ("spread", "case", "/cases/spread"),
        ("Spread", "case", "/cases/spread"),
    ],
)
def test_what_is_looked_for_is_found_first(
    analyst: TestClient, text: str, kind: str, path: str
) -> None:
    assert found(analyst, text)[kind][0]["path"] == path


def test_every_hit_leads_to_a_page_of_this_site(analyst: TestClient) -> None:
    for text in ("198.51.100.7", "de", "telecom", "192.0.2.0/24", f"AS{SMALL}"):
        for kind, hits in found(analyst, text).items():
            for hit in hits:
                assert hit["path"].startswith("/")
                if kind not in {"name", "map"}:  # other pages' own
                    assert analyst.get(hit["path"]).status_code == 200, hit


@pytest.mark.parametrize(
    "text",
    ["", " ", "\u202e", "\0", "'; DROP TABLE x; --", "%", "_", "<script>alert(1)</script>", ".",
     "*.", "a" * 255, "AS", "1/2/3", "[", "http://", "::", "/", "\\", "💩", "é" * 200],
)  # fmt: skip
def test_empty_and_nonsense_are_answered_kindly(analyst: TestClient, text: str) -> None:
    answer = analyst.get("/search", params={"q": text}, headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "\u202e" not in answer.text
    assert "Type what you look for" in answer.text or "ound" in answer.text


def test_the_public_finds_what_is_published(public: TestClient) -> None:
    assert found(public, "de")["country"][0]["path"] == "/cases/spread/countries/DE"
    assert found(public, f"AS{BIG}")["network"]
    for text in ("198.51.100.7", "203.0.113.0/24", "c2.evil.example", "5.6.7.8"):
        assert set(found(public, text)) <= {"case"}, text


def test_an_owner_finds_own_clients_only(owner: TestClient) -> None:
    assert found(owner, "203.0.113.2")["client"]
    assert found(owner, "192.0.2.7").get("client")
    for text in ("198.51.100.7", "192.0.2.77", "2001:db8:3::1", "5.6.7.8", "evil.example"):
        assert not set(found(owner, text)) & {"client", "server", "name", "map"}, text


def test_one_case_that_cannot_be_read_does_not_hide_the_others(
    analyst: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remnant.errors import StoreError
    from remnant.web.pages import search

    def broken(*_: object) -> Any:
        raise StoreError("a file of the store is missing")

    monkeypatch.setattr(search, "in_case", broken)
    answer = analyst.get("/search.json", params={"q": "spread"}).json()
    assert answer["groups"][0]["hits"][0]["path"] == "/cases/spread"
    assert "spread could not be searched: a file of the store is missing" in answer["notes"]
