"""Tasks, files of every kind, tokens, batches, metrics."""
