from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from remnant.report.figures import by_country, by_name, coverage_by_day, figures, online_by_day
from remnant.report.suppress import Hidden
from report.sample import empty_content, hostile_content, make_content


def test_every_figure_says_what_where_when_and_from_which_data() -> None:
    for figure in figures(make_content()):
        assert figure.title
        assert "25 Mar 2015 to 30 Jun 2015" in figure.facts
        assert "DNS resolver" in figure.facts
        assert "data as of 30 Jun 2015" in figure.facts
        assert figure.facts.startswith("SIMULATED")
        assert figure.label
        assert figure.rows


def test_rows_have_the_columns_that_they_say() -> None:
    for content in (make_content(), hostile_content(), empty_content()):
        for figure in figures(content):
            assert all(len(row) == len(figure.columns) for row in figure.rows)


def test_hidden_counts_are_hidden_in_rows_and_drawings() -> None:
    content = make_content()
    figure = by_country(content)
    assert figure.rows[-1] == ("LI", "<10", "<10", "hidden")
    assert "LI" not in figure.label


def test_a_gap_is_drawn_as_nothing_and_kept_in_the_numbers() -> None:
    content = make_content()
    figure = online_by_day(content)
    assert "4 days are not drawn" in figure.label
    assert figure.rows[30][1] is None
    assert len(figure.rows) == len(content.days)


def test_equal_coverage_is_one_bar() -> None:
    spec = coverage_by_day(make_content()).specification()
    assert sum(map(len, spec["datasets"].values())) == 5


def test_titles_stand_in_files_with_the_key_of_the_marks() -> None:
    spec = online_by_day(make_content()).specification()
    assert spec["title"]["text"] == "Clients online at a time"
    told = " ".join(spec["title"]["subtitle"])
    assert "1 8 Apr 2015 takedown" in told
    assert "shaded: gaps" in told


def test_hostile_names_are_legible_in_figures() -> None:
    for figure in figures(hostile_content()):
        text = repr(figure.specification()) + repr(figure.rows) + figure.label
        assert "\u202e" not in text
        assert "\x1b" not in text


def test_three_hundred_countries_make_fifteen_bars() -> None:
    content = make_content()
    many = tuple(replace(content.countries[0], code=f"{i:02}") for i in range(300))
    figure = by_country(replace(content, countries=many, countries_total=300))
    assert figure.note == "15 of 300 shown"
    assert len(figure.rows) == 300


def test_nothing_seen_is_said() -> None:
    assert "None seen" in by_name(empty_content()).label
    hidden = replace(empty_content().days[0], queries=Hidden.SMALL, clients=Hidden.SMALL)
    for figure in figures(replace(empty_content(), days=(hidden,))):
        assert figure.inline()


def test_the_day_of_a_mark_is_in_the_drawing() -> None:
    content = make_content()
    late = replace(content.marks[0], time=content.window.until + timedelta(days=9))
    spec = online_by_day(replace(content, marks=(late,))).specification()
    assert "takedown" not in " ".join(spec["title"]["subtitle"])
