"""Studies: one question each, asked by variants of a recipe."""
