"""Retention: what is due, how it goes, and the proof that it went (docs/retention.md)."""
