"""Stubs of engine.v1."""
