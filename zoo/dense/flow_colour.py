"""A flow as colours: hue for its direction, strength for its length, as the colour wheel of Middlebury has them.

Baker et al., 2011, A Database and Evaluation Methodology for Optical Flow, Figure 5; the colours are those of
`torchvision.utils.flow_to_image`. Lecture row L62.
"""

import numpy as np
from jaxtyping import Float, UInt8

_ARCS = ((15, 1, True), (6, 0, False), (4, 2, True), (11, 1, False), (13, 0, True), (6, 2, False))
"""From red over yellow, green, cyan, blue and magenta back: how many colours, which of red, green and blue changes, and
whether it rises."""
_FULL = ((0,), (1,), (1,), (2,), (2,), (0,))
"""What of red, green and blue is full all along an arc."""
_SMALLEST = np.float32(2**-23)  # added to the largest length: a flow that is zero everywhere is white
_BEYOND = 0.75
"""Of the colour, where a flow is longer than the longest that is asked for."""
UNKNOWN = 128
"""The grey of unknown flow."""


def colour_wheel() -> Float[np.ndarray, "55 3"]:
    """Red, green and blue from 0 to 255 of 55 directions, the first and the last next to each other.

    >>> colour_wheel()[[0, 15, 21]].tolist()
    [[255.0, 0.0, 0.0], [255.0, 255.0, 0.0], [0.0, 255.0, 0.0]]
    """
    arcs = []
    for (count, changing, rises), full in zip(_ARCS, _FULL, strict=True):
        arc, ramp = np.zeros((count, 3), np.float32), np.floor(255 * np.arange(count) / count)
        arc[:, full] = 255
        arc[:, changing] = ramp if rises else 255 - ramp
        arcs.append(arc)
    return np.concatenate(arcs)


def flow_to_colour(
    flow: Float[np.ndarray, "height width 2"], longest: float | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """White where nothing moves, the more colourful the faster; grey where the flow is unknown (nan).

    Args:
      flow: x before y, in pixels.
      longest: the length that has the full colour, in pixels, beyond which colours darken; by default the largest of
        the flow.

    Raises:
      ValueError: the flow has another shape.

    >>> flow_to_colour(np.array([[[1.0, 0.0], [0.0, 0.0], [np.nan, 0.0]]])).tolist()
    [[[255, 0, 0], [255, 255, 255], [128, 128, 128]]]
    """
    flow = np.asarray(flow, np.float32)
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise ValueError(f"expected a flow (height, width, 2), got {flow.shape}")
    known = np.isfinite(flow).all(axis=-1)
    flow = np.where(known[..., None], flow, 0)
    if longest is None:
        longest = length_of(flow).max(initial=0) + _SMALLEST
    flow = flow / np.float32(max(longest, _SMALLEST))
    length = length_of(flow)
    wheel = colour_wheel() / np.float32(255)
    place = (np.arctan2(-flow[..., 1], -flow[..., 0]) / np.float32(np.pi) + 1) / 2 * (len(wheel) - 1)
    first = np.floor(place).astype(int)
    share = (place - first)[..., None]
    hue = (1 - share) * wheel[first] + share * wheel[(first + 1) % len(wheel)]
    strength = length[..., None]
    colour = np.where(strength <= 1, 1 - strength * (1 - hue), _BEYOND * hue)
    return np.where(known[..., None], np.floor(255 * colour), UNKNOWN).astype(np.uint8)


def length_of(flow: Float[np.ndarray, "*pixels 2"]) -> Float[np.ndarray, "*pixels"]:
    """Of each vector, in pixels.

    >>> length_of(np.array([[3.0, 4.0]])).tolist()
    [5.0]
    """
    return np.hypot(flow[..., 0], flow[..., 1])


def wheel_picture(radius: int = 32) -> UInt8[np.ndarray, "side side 3"]:
    """The key to the colours: a disc in which each place has the colour of the flow that leads to it from the middle.

    Args:
      radius: of the disc, in pixels; beyond it the picture is white.

    Raises:
      ValueError: the radius is below 1.

    >>> wheel_picture(2)[2, 4].tolist()
    [255, 0, 0]
    """
    if radius < 1:
        raise ValueError(f"expected a radius of a pixel or more, got {radius}")
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
    flow = np.stack([columns, rows], axis=-1)
    inside = length_of(flow) <= 1
    return np.where(inside[..., None], flow_to_colour(flow, 1.0), 255).astype(np.uint8)
