"""Learns: the torch twin of the network, its loss, its updates, the publishing of weights."""
