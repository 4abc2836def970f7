"""Errors, paths, progress, locks, whole files: what every floor may use."""
