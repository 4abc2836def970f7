"""The method, usable alone: heads, model, losses, training, soft targets, prediction."""
