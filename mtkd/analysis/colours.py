"""Okabe and Ito's colours, which colour-blind readers can tell apart, and shades of them."""

import zlib

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
OLIVE, DARK_GREY, BROWN = "#C7B400", "#5C5C5C", "#8C3D00"
CYCLE = (ORANGE, SKY, GREEN, OLIVE, BLUE, VERMILLION, PURPLE, GREY)  # of tasks
OTHERS = ("#44AA99", "#882255", "#332288", "#117733", "#999933", "#6699CC")  # of unknown names


def cycled(name: str) -> str:
    """A colour for a name that has none of its own, the same in every figure."""
    return OTHERS[zlib.crc32(name.encode()) % len(OTHERS)]
