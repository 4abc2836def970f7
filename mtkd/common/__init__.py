"""Errors, paths, progress, locks, atomic writes: what every layer may use."""
