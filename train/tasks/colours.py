"""The colours of classes where they are drawn on images: the report's, but for black and grey, which images have."""

ON_IMAGES = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#c2185b", "#8c564b", "#7b4fd0", "#bcbd22"
)  # fmt: skip


def class_colour(label: int) -> str:
    """Of one class; after ten they come again.

    >>> class_colour(0) == class_colour(len(ON_IMAGES))
    True
    """
    return ON_IMAGES[label % len(ON_IMAGES)]
