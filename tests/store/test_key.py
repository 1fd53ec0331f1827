"""The file of the site key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remnant.errors import KeyMismatch, StoreError
from remnant.settings import Settings
from remnant.store import Store
from remnant.store.key import create_key, fingerprint, load_key

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_key_is_secret_and_comes_back(tmp_path: Path) -> None:
    place = tmp_path / "new" / "site.key"

    secret = create_key(place)

    assert len(secret) == 16
    assert load_key(place) == secret
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert list(place.parent.iterdir()) == [place]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    place = tmp_path / "site.key"
    secret = create_key(place)

    with pytest.raises(FileExistsError):
        create_key(place)
    assert load_key(place) == secret


@pytest.mark.parametrize("text", [b"", b"00", b"xyz" * 11, b"0" * 64, b"\xff" * 32])
def test_anything_else_is_no_key(tmp_path: Path, text: bytes) -> None:
    place = tmp_path / "site.key"
    place.write_bytes(text)

    with pytest.raises(KeyMismatch, match="32 hexadecimal digits"):
        load_key(place)


def test_a_missing_key_is_none(tmp_path: Path) -> None:
    assert load_key(tmp_path / "site.key") is None


def test_the_fingerprint_tells_keys_apart_and_not_what_they_are() -> None:
    assert fingerprint(bytes(16)) != fingerprint(bytes(15) + b"\1")
    assert bytes(16).hex() not in fingerprint(bytes(16))


def test_a_store_made_by_another_key_stays_readable(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", site_key=tmp_path / "site.key")
    with Store.open(settings, write=True) as store:
        assert store.site_key() == store.site_key()
    (tmp_path / "site.key").write_text("11" * 16)

    with Store.open(settings) as store:
        assert store.view("demo").sources == []
        with pytest.raises(KeyMismatch):
            store.site_key()


def test_a_place_where_no_key_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(home=tmp_path / "home", site_key=tmp_path / "file" / "site.key")
    with Store.open(settings, write=True) as store, pytest.raises(StoreError):
        store.site_key()
