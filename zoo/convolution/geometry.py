"""Sizes and places: how large a layer's output is, and which part of the input one output value sees.

Dumoulin and Visin, 2016, A guide to convolution arithmetic for deep learning; Araujo, Norris and Sim, 2019,
Computing Receptive Fields of Convolutional Neural Networks (Distill). Lecture rows L23, L31, L33, erratum
E22.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Window(NamedTuple):
    """A layer that slides a window along an axis: a convolution or a pooling."""

    kernel: int
    stride: int = 1
    padding: int | tuple[int, int] = 0
    """On each side, or before and after."""
    dilation: int = 1


class ReceptiveField(NamedTuple):
    """Which inputs, along one axis, each output of a stack of layers depends on."""

    size: int
    """The extent of what one output sees, in inputs; with dilation there may be unseen inputs within."""
    stride: int
    """How far the view moves from one output to the next (also called the jump)."""
    start: int
    """The first input that output 0 sees; negative where it sees padding."""

    def seen_by(self, output: int) -> range:
        """The inputs from the first to the last that this output sees, beyond the edges too."""
        first = self.start + output * self.stride
        return range(first, first + self.size)


def output_size(input: int, kernel: int, stride: int = 1, padding: int | tuple[int, int] = 0, dilation: int = 1) -> int:
    """How many places a window takes along an axis of `input` values.

    Args:
      input: the axis's size, without padding.
      kernel: the window's size.
      stride: the step from one place to the next.
      padding: values added on each side, or before and after.
      dilation: the distance of neighbouring kernel values; 1 leaves no gaps.

    Raises:
      ValueError: a size is not positive, the padding is negative, or the window does not fit.

    The 7x7 image with a 3x3 filter, then 32x32 with 5x5 filters, without and with padding:

    >>> output_size(7, 3), output_size(32, 5), output_size(32, 5, padding=2)
    (5, 28, 32)
    """
    before, after = _checked(Window(kernel, stride, padding, dilation))
    span = dilation * (kernel - 1) + 1
    if input < 1 or span > before + input + after:
        raise ValueError(
            f"input: expected at least {max(1, span - before - after)} values for a window of {span} "
            f"with padding {(before, after)}, got {input}"
        )
    return (before + input + after - span) // stride + 1


def same_padding(kernel: int, dilation: int = 1) -> tuple[int, int]:
    """The padding before and after that keeps the size at stride 1: (K - 1) / 2 each for an odd kernel.

    (E22: the slide's "output same size as input" holds only with it; without it K - 1 values are lost.)
    An even kernel needs one more value before than after, since its centre is its value `K // 2`.

    Raises:
      ValueError: a number is not positive.

    >>> same_padding(5), same_padding(4), same_padding(3, dilation=2)
    ((2, 2), (2, 1), (2, 2))
    """
    _checked(Window(kernel, dilation=dilation))
    return dilation * (kernel // 2), dilation * (kernel - 1 - kernel // 2)


def receptive_field(layers: Iterable[Window | tuple]) -> ReceptiveField:
    """What one output of a stack of layers sees of the input, along one axis.

    Each layer widens the view by what its window reaches beyond one value, in steps of the layers below it.

    Args:
      layers: from the input on, each a `Window`, or a tuple (kernel, stride, padding, dilation) of which all
        but the kernel may be left out.

    Raises:
      ValueError: a size is not positive, or a padding negative.

    Two 3x3 convolutions see as much as one of 5x5; VGG-16 sees 212 pixels at its last pooling:

    >>> receptive_field([(3,), (3,)])
    ReceptiveField(size=5, stride=1, start=0)
    >>> convolution, pooling = Window(3, padding=1), Window(2, stride=2)
    >>> receptive_field([*[convolution] * 2, pooling] * 2 + [*[convolution] * 3, pooling] * 3)
    ReceptiveField(size=212, stride=32, start=-90)
    """
    size, stride, start = 1, 1, 0
    for layer in (Window(*values) for values in layers):
        before, _ = _checked(layer)
        size += layer.dilation * (layer.kernel - 1) * stride
        start -= before * stride
        stride *= layer.stride
    return ReceptiveField(size, stride, start)


def _checked(layer: Window) -> tuple[int, int]:
    """The padding before and after, if all numbers of the layer make sense."""
    for name in ("kernel", "stride", "dilation"):
        if getattr(layer, name) < 1:
            raise ValueError(f"{name}: expected a positive number, got {getattr(layer, name)}")
    padding = tuple(layer.padding) if isinstance(layer.padding, Sequence) else (layer.padding,) * 2
    if len(padding) != 2 or min(padding) < 0:
        raise ValueError(f"padding: expected a size from 0, or one before and one after, got {layer.padding}")
    return padding
