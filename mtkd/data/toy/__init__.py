"""The toy benchmark: GLUE-shaped tasks in a small made-up language."""
