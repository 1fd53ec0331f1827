"""A person reads it: figures, tables for the terminal, and the report as one HTML file.

The path through this room: ``content.gather`` turns a view of the store into ``Content`` (plain
data, small counts already hidden), ``figures`` draws it, ``html.render`` writes the one file and
``export.write_figures`` the separate ones. ``text.render`` shows the rows of every reading verb.
"""
