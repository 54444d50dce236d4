"""Groups of turns and mirrorings of the pixel grid, and what they do to images and to maps: p4 and p4m.

Cohen and Welling, 2016, Group Equivariant Convolutional Networks, section 4. Lecture row L79.

An element turns by quarters, after it has mirrored or not. It moves a function on the plane, (g f)(x) = f(g^-1 x), and
one on the group, (g F)(x, h) = F(g^-1 x, g^-1 h): every place goes where it is turned to, and what was seen under h is
now seen under g h.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Num

from zoo.names import unknown


class Element(NamedTuple):
    """First left and right are exchanged, or not; then all is turned counter-clockwise, as seen.

    >>> Element(1, True).after(Element(1, False))
    Element(quarter_turns=0, mirrored=True)
    >>> Element(1, False).inverse
    Element(quarter_turns=3, mirrored=False)
    """

    quarter_turns: int = 0
    """How often by 90 degrees, 0 to 3."""
    mirrored: bool = False

    def after(self, other: "Element") -> "Element":
        """The element that does the other one first, then this one: their product in the group."""
        turns = -other.quarter_turns if self.mirrored else other.quarter_turns  # a mirror sees turns run backwards
        return Element((self.quarter_turns + turns) % 4, self.mirrored != other.mirrored)

    @property
    def inverse(self) -> "Element":
        """The element that takes this one back; a mirroring is its own."""
        return self if self.mirrored else Element(-self.quarter_turns % 4)

    @property
    def matrix(self) -> Int[np.ndarray, "2 2"]:
        """Where it takes (x, y), x to the right and y upwards."""
        turn = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), self.quarter_turns)
        return turn @ np.diag([-1 if self.mirrored else 1, 1])


@dataclasses.dataclass(frozen=True)
class Group:
    """The elements that a network knows, beside translations; the first does nothing.

    >>> len(P4M), P4.places_after(Element(1))
    (8, (3, 0, 1, 2))
    """

    name: str
    elements: tuple[Element, ...]

    def __len__(self) -> int:
        return len(self.elements)

    def places_after(self, element: Element) -> tuple[int, ...]:
        """For each element h of the group the place of element^-1 h: what stands at h once `element` has moved all.

        Raises:
          ValueError: the element is none of the group's.
        """
        self.check(element)
        return tuple(self.elements.index(element.inverse.after(each)) for each in self.elements)

    def check(self, element: Element) -> None:
        """Refuses what is no element of the group.

        Raises:
          ValueError: it is none.

        >>> P4.check(Element(0, True))
        Traceback (most recent call last):
        ...
        ValueError: expected an element of p4, got Element(quarter_turns=0, mirrored=True)
        """
        if element not in self.elements:
            raise ValueError(f"expected an element of {self.name}, got {element}")


_TURNS = tuple(Element(turns) for turns in range(4))
Z2 = Group("z2", (Element(),))
"""Translations alone: what every convolutional network knows."""
P4 = Group("p4", _TURNS)
"""Translations and turns by 90 degrees."""
P4M = Group("p4m", (*_TURNS, *(Element(turns, True) for turns in range(4))))
"""Translations, turns by 90 degrees, and mirrorings."""
GROUPS = {group.name: group for group in (Z2, P4, P4M)}


def group_named(name: str) -> Group:
    """The group of this name: z2, p4 or p4m.

    Raises:
      UnknownNameError: there is none.
    """
    if name not in GROUPS:
        raise unknown("group", name, GROUPS)
    return GROUPS[name]


def move_plane(values: Num[Array, "..."], element: Element, axes: tuple[int, int] = (1, 2)) -> Num[Array, "..."]:
    """A function on the plane moved, f(g^-1 x): the array mirrored, then turned.

    Args:
      values: images (batch, height, width, channels), or of any shape with these two axes.
      element: what moves it.
      axes: the places of height and width.

    >>> move_plane(jnp.arange(4).reshape(2, 2), Element(1), axes=(0, 1))
    Array([[1, 3],
           [0, 2]], dtype=int32)
    """
    values = jnp.flip(values, axes[1]) if element.mirrored else values
    return jnp.rot90(values, element.quarter_turns, axes) if element.quarter_turns else values


def move_maps(
    maps: Num[Array, "batch height width elements channels"], element: Element, group: Group
) -> Num[Array, "batch height2 width2 elements channels"]:
    """A function on the group moved, F(g^-1 x, g^-1 h): maps moved as images are, and their elements with them.

    Raises:
      ValueError: the element is none of the group's, or the maps have another number of elements.
    """
    check_maps(maps, group)
    return reordered(move_plane(maps, element), group.places_after(element), axis=3)


def reordered(values: Num[Array, "..."], places: tuple[int, ...], axis: int) -> Num[Array, "..."]:
    """The entries of an axis in another order, cut and joined: the gradient of a look-up would be a scatter.

    Args:
      values: an array of any shape.
      places: for each new place the one where its entry was.
      axis: which.
    """
    if places == tuple(range(values.shape[axis])):
        return values
    parts = jnp.split(values, values.shape[axis], axis)
    return jnp.concatenate([parts[place] for place in places], axis)


def check_maps(maps: Num[Array, "..."], group: Group) -> None:
    """Refuses what are no maps on the group: (batch, height, width, elements, channels).

    Raises:
      ValueError: says what came.
    """
    if maps.ndim != 5 or maps.shape[3] != len(group):
        raise ValueError(
            f"expected maps on {group.name} (batch, height, width, {len(group)}, channels), got shape {maps.shape}"
        )


@functools.cache
def product_table(group: Group) -> Int[np.ndarray, "elements elements"]:
    """The place of g h in row g and column h.

    >>> product_table(P4)[1]
    array([1, 2, 3, 0])
    """
    return np.array([[group.elements.index(g.after(h)) for h in group.elements] for g in group.elements])
