from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from remnant.report.canvas import SHAPES, Canvas, Labels, dots, glyph, text_width


def area(corners: tuple[tuple[float, float], ...]) -> float:
    x, y = np.array(corners).T
    return 0.5 * abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1)))


def test_shapes_of_one_radius_cover_about_the_same_area() -> None:
    for name, corners in SHAPES.items():
        if corners:
            assert 0.7 < area(corners) / np.pi < 1.3, name


def test_marks_are_written_to_a_tenth_of_a_pixel() -> None:
    assert dots([(1.04, 2.0)]) == "M1 2h0"
    assert glyph("circle", 10, 10, 2.06) == "M7.9 10a2.1 2.1 0 1 0 4.1 0a2.1 2.1 0 1 0 -4.1 0Z"


def test_text_is_escaped_and_what_turns_it_round_is_shown() -> None:
    canvas = Canvas(100, 50)
    canvas.text(1, 2, "<b>\u202e&\x07", size=10, fill="#000000", halo="#ffffff")
    root = ET.fromstring(canvas.svg('say "<i>"'))

    texts = [part.text for part in root]
    assert texts == ["<b>\\u202e&\\x07"] * 2
    assert root.get("aria-label") == 'say "<i>"'


def test_labels_stay_in_the_frame_and_apart() -> None:
    labels = Labels((0, 0, 200, 100), np.zeros((0, 2)))
    placed = [labels.place(100, 50, 5, 60, 12) for _ in range(12)]
    boxes = [(x, y - 6, x + 60, y + 6) for x, y in filter(None, placed)]

    assert 4 <= len(boxes) < 12
    assert all(b[0] >= 0 and b[1] >= 0 and b[2] <= 200 and b[3] <= 100 for b in boxes)
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_label_takes_the_side_where_it_covers_least() -> None:
    crowd = np.column_stack([np.linspace(20, 80, 20), np.full(20, 50.0)])
    labels = Labels((0, 0, 200, 100), crowd)
    place = labels.place(10, 50, 5, 60, 12)

    assert place is not None
    assert abs(place[1] - 50) > 5
    assert Labels((0, 40, 200, 60), crowd).place(10, 50, 5, 60, 12) is None


def test_wide_letters_take_more_room() -> None:
    assert text_width("www", 12) > text_width("iii", 12)
