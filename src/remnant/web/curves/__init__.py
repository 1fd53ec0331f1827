"""Curves over time: from roll-ups or from a published result, drawn at once and as a figure."""
