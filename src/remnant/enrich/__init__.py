"""Context: whose an address is, in which country, and what it is known to be.

Every fact comes from a source that somebody named, with its date; what no source knows is null,
never a guess. No row is ever dropped.
"""
