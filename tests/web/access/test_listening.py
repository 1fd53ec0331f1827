from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from remnant.errors import AccessError
from remnant.settings import WebSettings
from remnant.web.access.access import Access
from remnant.web.access.listening import decide
from remnant.web.access.viewer import Role
from web.guarded import PASSWORD, bare

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.5.5.5"])
def test_on_this_machine_without_accounts_nobody_signs_in(tmp_path: Path, host: str) -> None:
    door = decide(host, bare(tmp_path))
    assert not door.guarded
    assert door.warning is None


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "site.example"])
def test_elsewhere_it_does_not_start_without_an_operator(
    tmp_path: Path, quick_passwords: None, host: str
) -> None:
    settings = bare(tmp_path)
    with pytest.raises(AccessError, match="remnant account add NAME --role operator"):
        decide(host, settings)
    access = Access(settings)
    access.accounts.add("anna", PASSWORD, Role.ANALYST)
    with pytest.raises(AccessError, match="no operator"):
        decide(host, settings)
    access.accounts.add("olga", PASSWORD, Role.OPERATOR)
    access.close()
    door = decide(host, settings)
    assert door.guarded
    assert door.warning is not None
    assert "unencrypted" in door.warning


def test_where_there_are_accounts_this_machine_signs_in_too(
    peopled: Settings,
) -> None:
    door = decide("127.0.0.1", peopled)
    assert door.guarded
    assert door.warning is None


def test_accounts_can_be_demanded_before_there_are_any(tmp_path: Path) -> None:
    settings = replace(bare(tmp_path), web=WebSettings(accounts=True))
    with pytest.raises(AccessError):
        decide("127.0.0.1", settings)


def test_tls_needs_both_files(tmp_path: Path, peopled: Settings) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text("x")
    with pytest.raises(AccessError, match="both"):
        decide("0.0.0.0", peopled, cert)
    with pytest.raises(AccessError, match="no such file"):
        decide("0.0.0.0", peopled, cert, key)
    key.write_text("x")
    door = decide("0.0.0.0", peopled, cert, key)
    assert door.scheme == "https"
    assert door.warning is None
    assert door.options["ssl_certfile"] == str(cert)


def test_no_proxy_is_believed_by_the_server_itself(tmp_path: Path) -> None:
    assert decide("127.0.0.1", bare(tmp_path)).options["proxy_headers"] is False
