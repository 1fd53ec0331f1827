"""Remnant measures what is left of a botnet after its takedown.

The folders of this package, in order, are the path that data takes: ``capture`` reads traffic,
``cases`` says what is watched, ``collate`` turns marked rows into sightings, ``enrich`` adds
context, ``estimate`` measures, ``judge`` concludes, ``report`` tells people. ``simulate`` makes
traffic up. ``store`` is the cellar.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
