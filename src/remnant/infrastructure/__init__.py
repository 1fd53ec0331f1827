"""The map: what names, addresses and servers are joined to.

``passive_dns`` finds the records that sources brought.
"""
