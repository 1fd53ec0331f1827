"""Countries: names, and a place for most of them on the grid."""

from __future__ import annotations

from remnant.report.lands import NAMES, find, name_of, tiles


def test_every_code_of_iso_3166_has_a_name() -> None:
    assert len(NAMES) == 250  # 249, and Kosovo, which providers call XK
    assert all(code.isupper() and len(code) == 2 and name.strip() for code, name in NAMES.items())
    assert len(set(NAMES.values())) == len(NAMES)


def test_tiles_do_not_cover_one_another_and_neighbours_are_near() -> None:
    placed = tiles()
    assert len(set(placed.values())) == len(placed) > 220
    assert set(placed) <= set(NAMES)
    assert max(column for column, _ in placed.values()) < 28
    for one, two in (("DE", "PL"), ("US", "CA"), ("FR", "BE"), ("BR", "PE"), ("EG", "LY")):
        (x1, y1), (x2, y2) = placed[one], placed[two]
        assert abs(x1 - x2) + abs(y1 - y2) <= 2, (one, two)
    assert placed["US"][0] < placed["GB"][0] < placed["RU"][0] < placed["JP"][0]
    assert placed["SE"][1] < placed["IT"][1] < placed["LY"][1] < placed["ZA"][1]


def test_people_find_countries_by_code_name_and_part() -> None:
    assert find("Deutschland") == ["DE"]
    assert find("türkiye") == find("turkey") == find("TR")[:1] == ["TR"]
    assert find("korea") == ["KR", "KP"]
    assert find("united")[:1] == ["AE"]
    assert "GB" in find("kingdom")
    assert find("zz") == find("1.2.3.4") == []
    assert name_of("CI") == "Côte d'Ivoire"
