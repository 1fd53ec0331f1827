"""Tests of what is worked out beside the server."""
