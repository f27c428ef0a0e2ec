"""Stubs of the engine service."""
