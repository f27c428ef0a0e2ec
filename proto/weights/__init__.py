"""Stubs of the weights service."""
