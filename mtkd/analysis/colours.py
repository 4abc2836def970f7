"""Okabe and Ito's colours, which colour-blind readers can tell apart, and shades of them."""

import zlib

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
OLIVE, DARK_GREY, BROWN = "#C7B400", "#5C5C5C", "#8C3D00"
CYCLE = (ORANGE, SKY, GREEN, OLIVE, BLUE, VERMILLION, PURPLE, GREY)  # of what has no own colour


def cycled(name: str) -> str:
    """A colour of the cycle for a name, the same in every figure."""
    return CYCLE[zlib.crc32(name.encode()) % len(CYCLE)]
