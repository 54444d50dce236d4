"""The colours of classes where they are drawn on images: the report's, but for black and grey, which images have."""

ON_IMAGES = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#c2185b", "#8c564b", "#7b4fd0", "#bcbd22"
)  # fmt: skip


SHADES = (0.0, -0.45, 0.45)
"""How far the first ten classes, the next ten and those after are towards black, or towards white."""


def class_colour(label: int) -> str:
    """Of one class; ten after ten are darker, then lighter, and after thirty colours come again.

    >>> class_colour(0), class_colour(10), class_colour(20)
    ('#0072b2', '#003f62', '#73b1d5')
    >>> len({class_colour(label) for label in range(40)})
    30
    """
    shade, place = divmod(label, len(ON_IMAGES))
    towards = SHADES[shade % len(SHADES)]
    end, share = (255 if towards > 0 else 0), abs(towards)
    parts = (int(ON_IMAGES[place][first : first + 2], 16) for first in (1, 3, 5))
    return "#" + "".join(f"{round((1 - share) * part + share * end):02x}" for part in parts)
