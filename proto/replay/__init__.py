"""Stubs of the replay service."""
