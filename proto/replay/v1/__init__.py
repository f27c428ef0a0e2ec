"""Stubs of replay.v1."""
