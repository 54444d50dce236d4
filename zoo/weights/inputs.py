"""Images as another library's networks take them, made ours by the first convolution.

Weights that were trained on blue, green and red from 0 to 255, say, load as weights for the images that
`zoo.preprocess` gives: the convolution multiplies and adds anyway, so another scale, mean and order of the channels
are only other numbers in its kernel and bias.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Inputs(NamedTuple):
    """Channel c of their image is `scale[c]` times channel `channels[c]` of ours, plus `shift[c]`.

    The first convolution has to be without padding, whose zeros would mean other colours.
    """

    convolution: str
    """Path of ours without the collection, such as "stem/conv"; with a bias."""
    channels: tuple[int, ...]
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def to_ours(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All variables by our paths, the first convolution's made for our images."""
        kernel, bias = self._first(arrays)
        if kernel is None or bias is None:
            return dict(arrays)
        ours = np.empty_like(kernel, np.float64)
        ours[..., self.channels, :] = kernel * np.array(self.scale)[:, None]
        moved = bias + self._shifted(kernel)
        return self._replaced(arrays, ours, moved)

    def to_theirs(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inverse, but for rounding."""
        kernel, bias = self._first(arrays)
        if kernel is None or bias is None:
            return dict(arrays)
        theirs = kernel[..., self.channels, :] / np.array(self.scale, np.float64)[:, None]
        return self._replaced(arrays, theirs, bias - self._shifted(theirs))

    def _first(self, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Kernel and bias, if they are there and fit: what misses or misfits is reported by whoever loads."""
        kernel, bias = (arrays.get(f"params/{self.convolution}/{name}") for name in ("kernel", "bias"))
        if kernel is None or bias is None or kernel.ndim < 2 or bias.ndim != 1:
            return None, None
        return (kernel, bias) if kernel.shape[-2:] == (len(self.channels), *bias.shape) else (None, None)

    def _shifted(self, kernel: np.ndarray) -> Float[np.ndarray, "filters"]:
        """What each filter gives where the image is the shift alone."""
        return np.einsum("...co,c->...o", kernel.astype(np.float64), self.shift).reshape(-1, kernel.shape[-1]).sum(0)

    def _replaced(
        self,
        arrays: Mapping[str, np.ndarray],
        kernel: Float[np.ndarray, "*window channels filters"],
        bias: Float[np.ndarray, "filters"],
    ) -> dict[str, np.ndarray]:
        first = f"params/{self.convolution}"
        changed = {f"{first}/kernel": kernel, f"{first}/bias": bias}
        return {**arrays, **{name: array.astype(arrays[name].dtype) for name, array in changed.items()}}
