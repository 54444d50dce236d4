"""What stands beyond the edge of an image: the borders a filter may read.

Szeliski, 2022, Computer Vision: Algorithms and Applications, section 3.2. Lecture row L24.
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Shaped

from zoo.names import unknown

Border = Literal["valid", "zero", "wrap", "copy", "reflect", "mirror"]
"""The name of a rule: `pad` says what each of them reads beyond the edge."""

# The slide's "reflect" repeats the edge, as scipy.ndimage's "reflect" does; numpy calls that "symmetric",
# and gives the name "reflect" to what scipy calls "mirror".
_NUMPY_MODES = {
    "zero": "constant",
    "wrap": "wrap",
    "copy": "edge",
    "reflect": "symmetric",
    "mirror": "reflect",
}

BORDERS: tuple[Border, ...] = ("valid", *_NUMPY_MODES)
"""The names of all borders."""


def pad(
    image: Shaped[ArrayLike, "*space_and_channels"], widths: Sequence[tuple[int, int]], border: Border
) -> Shaped[Array, "*padded"]:
    """The image continued beyond its edges, as far as `widths` says, by the rule that `border` names.

    | border    | beyond the edges of `a b c d` | scipy.ndimage | numpy.pad   |
    |-----------|-------------------------------|---------------|-------------|
    | "zero"    | `0 0 0 [a b c d] 0 0 0`       | "constant"    | "constant"  |
    | "wrap"    | `b c d [a b c d] a b c`       | "grid-wrap"   | "wrap"      |
    | "copy"    | `a a a [a b c d] d d d`       | "nearest"     | "edge"      |
    | "reflect" | `c b a [a b c d] d c b`       | "reflect"     | "symmetric" |
    | "mirror"  | `d c b [a b c d] c b a`       | "mirror"      | "reflect"   |

    "valid" adds nothing. A width may exceed the image: the rule then goes on repeating.

    Args:
      image: axes of space, then any others.
      widths: how many values to put before and after, for each of the leading axes.
      border: one of `BORDERS`.

    Raises:
      UnknownNameError: there is no such border.
      ValueError: more widths than axes, or a negative one.

    >>> pad([1, 2, 3, 4], [(3, 3)], "reflect").tolist()
    [3, 2, 1, 1, 2, 3, 4, 4, 3, 2]
    >>> pad([1, 2, 3, 4], [(3, 3)], "mirror").tolist()
    [4, 3, 2, 1, 2, 3, 4, 3, 2, 1]
    """
    if border not in BORDERS:
        raise unknown("border", border, BORDERS)
    image = jnp.asarray(image)
    if len(widths) > image.ndim or any(width < 0 for pair in widths for width in pair):
        raise ValueError(
            f"widths: expected at most {image.ndim} pairs of sizes from 0 for an image of shape "
            f"{image.shape}, got {list(widths)}"
        )
    if border == "valid":
        return image
    return jnp.pad(image, [*widths, *[(0, 0)] * (image.ndim - len(widths))], mode=_NUMPY_MODES[border])
