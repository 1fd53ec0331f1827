"""Judgement: what the measures mean, by rules that were declared before the data.

This is the only room that concludes. A verdict may be ``cannot_tell``; that is a state, not an
error.
"""

from __future__ import annotations
