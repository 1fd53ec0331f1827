"""Copies of the hostile home that tests may write to, and the application over one."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from story.telling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

_FIELD = re.compile(r'name="csrf" value="([0-9a-f]+)"')
HTML = {"accept": "text/html"}


@dataclass(frozen=True)
class Own:
    """A home, and its application as its operator; pages wait for what they need."""

    place: Place
    app: FastAPI
    client: TestClient

    def json(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def page(self, path: str, **query: Any) -> str:
        answer = self.client.get(path, params=query, headers=HTML)
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, page: str, path: str, **fields: Any) -> Any:
        found = _FIELD.search(self.page(page))
        assert found
        return self.client.post(path, data=fields | {"csrf": found[1]}, headers=HTML)


def copied(filled: Place, folder: Path) -> Place:
    """Copy a home that no application is open over: files come and go in one that is used.

    Results that were worked out are current in the copy too. They belong to a case file as it lies
    on the disk, so the copy has that very file, which is replaced by another but never written to.
    """

    def copy(source: str, target: str) -> None:
        if Path(source).name == "case.toml":
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(filled.folder, folder, copy_function=copy)
    return Place(folder)


@contextmanager
def own_home(filled: Place, folder: Path) -> Iterator[Own]:
    """Copy a home and open its application."""
    from fastapi.testclient import TestClient

    from remnant.web.app import create_app
    from web.conftest import settings_of

    place = copied(filled, folder / "copy")
    app = create_app(settings_of(place), beside=False)
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield Own(place, app, client)
