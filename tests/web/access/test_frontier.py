from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remnant.web.access.frontier import host_of, is_loopback
from web.guarded import OPERATOR, PASSWORD, bare, guarding, send

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings
    from web.guarded import Guarded

PROXY = ("192.0.2.1", 4711)


def status(folder: Path, host: str, *, guarded: bool, **web: object) -> int:
    from dataclasses import replace

    from fastapi.testclient import TestClient

    from remnant.settings import WebSettings
    from remnant.web.app import create_app

    settings = replace(bare(folder), web=WebSettings(**web))  # type: ignore[arg-type]
    app = create_app(settings, guarded=guarded, beside=False)
    with TestClient(app, base_url="http://localhost") as client:
        found: int = client.get("/static/any/page.js", headers={"host": host}).status_code
    return found


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8060", "127.0.0.1:1", "127.9.9.9", "[::1]:8060", "localhost."]
)
def test_a_server_of_this_machine_goes_by_its_own_names(tmp_path: Path, host: str) -> None:
    assert status(tmp_path, host, guarded=False) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "0.0.0.0",
        "a b",
        "x@localhost",
        "[::2]",
    ],
)
def test_a_strangers_name_that_leads_to_this_machine_is_refused(tmp_path: Path, host: str) -> None:
    assert status(tmp_path, host, guarded=False) == 421


def test_names_can_be_allowed(tmp_path: Path) -> None:
    assert status(tmp_path, "Desk.example:80", guarded=False, hosts=("desk.example",)) == 200
    assert status(tmp_path, "any.example", guarded=True) == 200
    assert status(tmp_path, "any.example", guarded=True, hosts=("site.example",)) == 421
    assert status(tmp_path, "localhost", guarded=True, hosts=("site.example",)) == 200


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_a_proxy_before_a_server_without_accounts_is_refused(tmp_path: Path, name: str) -> None:
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app

    with TestClient(
        create_app(bare(tmp_path), beside=False), base_url="http://localhost"
    ) as client:
        answer = client.get("/account.json", headers={name: "198.51.100.1"})
    assert answer.status_code == 403
    assert "remnant account add" in answer.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "told"),
    [
        ((), "198.51.100.1", "192.0.2.1"),
        (("192.0.2.0/24",), "198.51.100.1", "198.51.100.1"),
        (("192.0.2.1",), "10.9.9.9, 198.51.100.1", "198.51.100.1"),
        (("192.0.2.1", "10.0.0.0/8"), "203.0.113.9, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (("192.0.2.1",), "<script>", "192.0.2.1"),
        (("192.0.2.1",), "", "192.0.2.1"),
        (("198.51.100.0/24",), "203.0.113.1", "192.0.2.1"),
    ],
)
def test_only_a_trusted_proxy_says_where_somebody_comes_from(
    peopled: Settings, trusted: tuple[str, ...], forwarded: str, told: str
) -> None:
    with guarding(peopled, trusted_proxies=trusted) as site:
        browser = site.browser(client=PROXY)
        browser.headers["x-forwarded-for"] = forwarded
        send(browser, "/login", "/login", name=OPERATOR, password=PASSWORD)
        assert site.access.log.entries()[0].address == told


def test_over_tls_cookies_are_the_hosts_own_and_browsers_stay_with_it(peopled: Settings) -> None:
    with guarding(peopled, trusted_proxies=("192.0.2.1",)) as site:
        browser = site.browser(client=PROXY)
        browser.base_url = "https://site.example"
        # A proxy took TLS off: the server itself hears plain HTTP.
        browser.headers["x-forwarded-proto"] = "https"
        answer = send(browser, "/login", "/login", name=OPERATOR, password=PASSWORD)

        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-remnant_session=")
        for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert flag in cookie
        assert "Domain" not in cookie
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert browser.get("/account.json").status_code == 200


def test_without_tls_nothing_promises_it(site: Guarded) -> None:
    answer = send(site.client, "/login", "/login", name=OPERATOR, password=PASSWORD)
    assert "Secure" not in answer.headers["set-cookie"]
    assert "strict-transport-security" not in answer.headers


def test_what_is_refused_at_the_frontier_carries_the_headers_of_all_answers(site: Guarded) -> None:
    answer = site.client.post("/login", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_websockets_are_not_spoken(site: Guarded) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), site.client.websocket_connect("/cases"):
        pass


@pytest.mark.parametrize(
    ("header", "host"),
    [("[::1]", "::1"), ("A.B:1", "a.b"), ("", None), ("a/b", None), ("a:b", None), ("a:1:2", None)],
)
def test_hosts_are_read_from_their_header(header: str, host: str | None) -> None:
    assert host_of(header) == host


def test_every_address_is_not_this_machine() -> None:
    assert [
        h for h in ("", "0.0.0.0", "::", "127.0.0.1.evil.example", "8.8.8.8") if is_loopback(h)
    ] == []


def test_a_request_with_two_lengths_is_refused_and_ends_the_connection(site: Guarded) -> None:
    answer = site.client.post(
        "/login",
        content=b"0\r\n\r\n",
        headers={"transfer-encoding": "chunked", "content-length": "5"},
    )
    assert answer.status_code == 400
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/cases/", "/login/?next=here"])
def test_nobody_is_sent_to_the_host_that_a_request_claims(site: Guarded, path: str) -> None:
    answer = site.client.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 307
    assert answer.headers["location"] == path.replace("/?", "?").removesuffix("/")
