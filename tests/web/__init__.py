"""The dashboard: what its tests share."""
