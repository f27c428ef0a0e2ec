"""Replay as a service: chunks in, batches out, and a log from which a crashed server finds everything again."""
