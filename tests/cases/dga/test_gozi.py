"""Gozi's words are those of a text of 1517 and of the notice below it."""

from __future__ import annotations

from remnant.cases.dga.gozi import _words


def test_words_have_three_letters_or_more_and_stand_in_the_order_of_the_text() -> None:
    words = _words()
    assert words[:5] == ("disputatio", "pro", "declaratione", "virtutis", "indulgentiarum")
    assert words[-3:] == ("ninetyfive", "latin", "txt")
    assert all(word.isascii() and word.isalpha() and len(word) >= 3 for word in words)
