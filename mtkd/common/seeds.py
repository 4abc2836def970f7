"""Seeds of random number generators."""

import numpy as np


def derive_seed(*numbers: int) -> int:
    """A well-mixed 32-bit seed from several small numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
