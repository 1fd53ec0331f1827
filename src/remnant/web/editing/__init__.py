"""Editing a case in a browser: what was typed, what is wrong with it, what it would match."""
