"""What is watched: the takedown, its names and addresses, generated names, events.

casefile    TOML in, a Case out             dump       a Case as TOML
rules       a Case as rules to match        zones      the seized zone of a name
dga         generated names, by family      library    stored cases and their old versions
importing   lists that others publish       preview    what a case watches, and what looks wrong
"""
