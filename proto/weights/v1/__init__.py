"""Stubs of weights.v1."""
