"""Settings: order of sources, errors that name file and key, masking, the reference page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remnant.errors import SettingsError
from remnant.settings import ReferenceSettings, Settings, load, reference, show


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("REMNANT_"):
            monkeypatch.delenv(name)


def write(home: Path, text: str) -> Path:
    path = home / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def origin_of(settings: Settings, key: str) -> object:
    return next(row["origin"] for row in show(settings) if row["key"] == key)


def test_defaults_need_no_file(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.home == tmp_path
    assert settings.estimate.level == 0.95
    assert settings.judge.slowest_half_life_days == 180
    assert settings.judge.minimum_days == 14
    assert settings.report.minimum_count == 10
    assert settings.reference == ReferenceSettings()
    assert settings.database is None
    assert settings.database_url == f"sqlite:///{tmp_path}/state.sqlite"
    assert set(settings.origins.values()) == {"argument", "default"}


def test_the_site_key_is_outside_the_home_folder() -> None:
    settings = Settings()

    assert settings.site_key.name == "site.key"
    assert settings.home not in settings.site_key.parents


def test_argument_wins_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "[estimate]\nlevel = 0.8\n")

    assert load(tmp_path).estimate.level == 0.8
    assert origin_of(load(tmp_path), "estimate.level") == str(path)

    monkeypatch.setenv("REMNANT_ESTIMATE__LEVEL", "0.9")

    assert load(tmp_path).estimate.level == 0.9
    assert origin_of(load(tmp_path), "estimate.level") == "REMNANT_ESTIMATE__LEVEL"

    settings = load(tmp_path, overrides={"estimate.level": 0.99})

    assert settings.estimate.level == 0.99
    assert origin_of(settings, "estimate.level") == "argument"


def test_home_and_site_key_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "[judge]\nminimum_days = 21\n")
    monkeypatch.setenv("REMNANT_HOME", str(tmp_path))
    monkeypatch.setenv("REMNANT_SITE_KEY", str(tmp_path / "k"))
    settings = load()

    assert settings.home == tmp_path
    assert settings.site_key == tmp_path / "k"
    assert settings.judge.minimum_days == 21


def test_empty_variables_count_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMNANT_ESTIMATE__LEVEL", "")

    assert load(tmp_path).estimate.level == 0.95


def test_relative_paths_start_from_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, '[reference]\ntables = ["a.tsv", "/b.tsv"]\nas_names = "~/names.txt"\n')
    monkeypatch.setenv("HOME", "/home/someone")
    settings = load(tmp_path)

    assert settings.reference.tables == (tmp_path / "a.tsv", Path("/b.tsv"))
    assert settings.reference.as_names == Path("/home/someone/names.txt")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMNANT_REFERENCE__DATABASES", os.pathsep.join(["x.mmdb", "/y.mmdb"]))

    assert load(tmp_path).reference.databases == (tmp_path / "x.mmdb", Path("/y.mmdb"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[estimate]\nlevle = 0.9\n", "estimate.levle"),
        ("[estimat]\nlevel = 0.9\n", "estimat"),
        ('home = "/elsewhere"\n', "home"),
        ("origins = {}\n", "origins"),
    ],
)
def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path, text: str, key: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)

    assert caught.value.where == str(path)
    assert caught.value.got == key
    assert caught.value.hint is not None


def test_the_error_proposes_the_nearest_key(tmp_path: Path) -> None:
    write(tmp_path, "[judge]\nminimun_days = 9\n")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)

    assert caught.value.expected == "judge.minimum_days"


def test_an_unknown_nested_variable_is_an_error_and_a_foreign_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMNANT_REAL_DATA", "/somewhere")
    load(tmp_path)
    monkeypatch.setenv("REMNANT_ESTIMATE__LEVLE", "0.9")
    with pytest.raises(SettingsError, match="REMNANT_ESTIMATE__LEVEL"):
        load(tmp_path)


def test_an_unknown_override_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"estimate\.level"):
        load(tmp_path, overrides={"estimate.levels": 0.5})


@pytest.mark.parametrize(
    "text",
    [
        "[estimate]\nlevel = 1.0\n",
        "[estimate]\nlevel = nan\n",
        '[estimate]\nlevel = "0.9"\n',
        "[estimate]\nlevel = true\n",
        "[judge]\nslowest_half_life_days = 0\n",
        "[judge]\nminimum_days = 14.5\n",
        "[report]\nminimum_count = 0\n",
        '[store]\nmemory_limit = "lots"\n',
        "[store]\nmemory_limit = 2\n",
        '[reference]\ntables = "one.tsv"\n',
        '[reference]\ntables = ["a\\u0000b"]\n',
        'database = "state.sqlite"\n',
        "estimate = 3\n",
        "[estimate\n",
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)

    assert caught.value.where is not None
    assert caught.value.where.startswith(str(path))


def test_a_file_that_is_not_text_or_too_large_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="TOML"):
        load(tmp_path)
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(SettingsError, match="too large"):
        load(tmp_path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("size", ["2GB", "512MiB", "1 TB", "2048MiB"])
def test_sizes_are_as_the_query_engine_reads_them(tmp_path: Path, size: str) -> None:
    assert load(tmp_path, overrides={"store.memory_limit": size}).store.memory_limit == size


def test_the_default_memory_limit_is_a_valid_size(tmp_path: Path) -> None:
    default = load(tmp_path).store.memory_limit
    load(tmp_path, overrides={"store.memory_limit": default})

    assert int(default.removesuffix("MiB")) <= 2048


def test_show_masks_secrets(tmp_path: Path) -> None:
    url = "postgresql+psycopg://user:p@ss:word@db/remnant?sslpassword=secret&sslmode=require"
    settings = load(tmp_path, overrides={"database": url})
    rows = {row["key"]: row for row in show(settings)}

    assert settings.database == url
    assert rows["database"]["value"] == (
        "postgresql+psycopg://user:***@db/remnant?sslpassword=***&sslmode=require"
    )


def test_a_wrong_database_url_is_not_echoed_with_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, overrides={"database": "POSTGRES://me:hunter2@db/x"})

    assert "hunter2" not in str(caught.value)


def test_show_lists_every_setting_as_plain_data(tmp_path: Path) -> None:
    import json

    rows = show(load(tmp_path))

    assert json.loads(json.dumps(rows)) == rows
    assert [row["key"] for row in rows][:3] == ["home", "site_key", "database"]
    assert all(row["meaning"] for row in rows)


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().home = Path("/x")  # type: ignore[misc]


def test_the_reference_page_is_current() -> None:
    page = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"

    assert page.read_text(encoding="utf-8") == reference(), "write settings.reference() to it"


def test_every_setting_is_on_the_reference_page(tmp_path: Path) -> None:
    text = reference()
    for row in show(load(tmp_path)):
        assert f"`{str(row['key']).rpartition('.')[2]}`" in text


def test_importing_settings_loads_no_pydantic() -> None:
    code = "import sys, remnant.settings; sys.exit('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert done.returncode == 0
