"""Remembers: the ring in device memory and what is sampled from it."""
