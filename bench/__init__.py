"""Measures: benchmarks, peers beside us, committed results."""
