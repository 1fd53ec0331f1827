"""Opening the store for writing while others write."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from remnant.cli_shared import open_store
from remnant.errors import StoreBusy
from remnant.settings import load
from remnant.store.lock import WriterLock

if TYPE_CHECKING:
    from pathlib import Path

    from remnant.settings import Settings


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, WriterLock]:
    """A store to which somebody writes."""
    monkeypatch.setenv("REMNANT_SITE_KEY", str(tmp_path / "key" / "site.key"))
    monkeypatch.setenv("REMNANT_STORE__WAIT_S", "60")
    home = tmp_path / "home"
    (home / "store").mkdir(parents=True)
    return load(home), WriterLock(home / "store" / "writer.lock")


def test_a_writer_waits_for_its_turn(
    held: tuple[Settings, WriterLock],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, lock = held
    monkeypatch.setattr("remnant.cli_shared._SILENT_WAIT_S", 0.1)
    told: list[str] = []

    def say(text: str) -> None:
        """Let the other one end when somebody was told that it is waited for."""
        told.append(text)
        lock.release()

    monkeypatch.setattr("remnant.cli_shared.say", say)
    with open_store(settings, write=True):
        pass

    (said,) = told
    assert said.count("Waiting for process") == 1
    assert "store.wait_s" in said


def test_a_short_wait_is_not_worth_a_word(
    held: tuple[Settings, WriterLock],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, lock = held
    monkeypatch.setattr("remnant.cli_shared._SILENT_WAIT_S", 60.0)
    release = threading.Timer(0.1, lock.release)
    release.start()
    with open_store(settings, write=True):
        pass
    release.join()

    assert capsys.readouterr().err == ""


def test_patience_has_an_end(
    held: tuple[Settings, WriterLock], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, lock = held
    monkeypatch.setenv("REMNANT_STORE__WAIT_S", "0.1")
    with pytest.raises(StoreBusy, match="another process is writing"):
        open_store(load(settings.home), write=True)
    with open_store(settings):
        pass  # readers never wait
    lock.release()
