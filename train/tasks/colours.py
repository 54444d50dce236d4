"""The colours of classes where they are drawn on images: the theme's, but for black and grey, which images have."""

from train.report.theme import COLOURS

_INSTEAD = {"#000000": "#c2185b", "#7f7f7f": "#7b4fd0"}
ON_IMAGES = tuple(_INSTEAD.get(colour, colour) for colour in COLOURS)


def class_colour(label: int) -> str:
    """Of one class; after ten they come again.

    >>> class_colour(0) == class_colour(len(ON_IMAGES))
    True
    """
    return ON_IMAGES[label % len(ON_IMAGES)]
