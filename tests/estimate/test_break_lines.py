from __future__ import annotations

import numpy as np
import pytest

from estimate.test_break_evidence import made, noise
from remnant.estimate.break_lines import lines_at


def test_a_real_step_does_not_pass_for_memory() -> None:
    rng = np.random.default_rng(4)
    response = 0.05 * noise(rng, 1, 90, 0.3)[0] - 0.37 * (np.arange(90) >= 61)

    lines = lines_at(made(response), 61)

    assert lines.jump.quantile(0.5) == pytest.approx(-0.37, abs=0.06)
    assert lines.sigma == pytest.approx(0.05, abs=0.015)
    assert lines.phi < 0.6
