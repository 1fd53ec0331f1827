"""Sightings: rows of ``queries`` and a watchlist become rows of each case.

``pseudonym`` turns addresses into clients, ``sightings`` joins queries to cases, ``spill`` keeps
what does not fit into memory, ``known`` recognises a source that was read before, and ``ingest``
runs one source from its bytes to one commit.
"""
