"""Recipes, runs and their identity, records, what each run does."""
