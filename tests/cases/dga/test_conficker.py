"""Conficker's sine is that of an old processor."""

from __future__ import annotations

import math

from remnant.cases.dga.conficker import _fsin


def test_small_arguments_have_the_usual_sine() -> None:
    for value in range(-50, 51):
        assert math.isclose(_fsin(float(value)), math.sin(value), rel_tol=1e-12, abs_tol=1e-15)


def test_huge_arguments_are_reduced_by_a_pi_of_66_bits() -> None:
    # The error of that pi, times the number of turns, is what the result is off by.
    error = 0xC90FDAA22168C234C * 2.0**-66
    assert error == math.pi
    value = 2.0**62
    angle = math.remainder(value, 2 * math.pi)
    assert math.sin(angle) != _fsin(value)
    assert abs(_fsin(value)) <= 1
    assert _fsin(-value) == -_fsin(value)
