"""Plays: the Flax network, policies, search, self-play, matches."""
