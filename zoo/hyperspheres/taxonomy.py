"""How near classes are in a tree of groups: another source of privileged information. Lecture row L86.

Wu and Palmer, 1994, Verb Semantics and Lexical Selection, section 4; the superclasses of CIFAR-100 are those of
Krizhevsky, 2009, Learning Multiple Layers of Features from Tiny Images, section 3.1.
"""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from jaxtyping import Float

from zoo.names import unknown

CIFAR100_SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""The 20 superclasses of five classes each, in the order and with the names of the data set's own label files."""


CIFAR10_GROUPS: dict[str, tuple[str, ...]] = {
    "airplane": ("vehicle", "craft"),
    "automobile": ("vehicle", "road vehicle"),
    "bird": ("animal",),
    "cat": ("animal", "mammal", "carnivore"),
    "deer": ("animal", "mammal", "ungulate"),
    "dog": ("animal", "mammal", "carnivore"),
    "frog": ("animal",),
    "horse": ("animal", "mammal", "ungulate"),
    "ship": ("vehicle", "craft"),
    "truck": ("vehicle", "road vehicle"),
}
"""The groups of CIFAR-10's classes, from the outermost to the innermost: as many as ten classes need."""

TAXONOMIES: dict[str, dict[str, tuple[str, ...]]] = {
    "cifar10": CIFAR10_GROUPS,
    "cifar100": {name: (group,) for group, names in CIFAR100_SUPERCLASSES.items() for name in names},
}
"""The groups of each class, by the name of the data set."""


def taxonomy_of(data_set: str, class_names: Iterable[str]) -> list[tuple[str, ...]]:
    """The groups of each class of a data set, for `taxonomy_similarity`.

    Raises:
      UnknownNameError: there is no such data set here, or it has no class of this name.

    >>> taxonomy_of("cifar100", ["maple_tree", "shark"])
    [('trees',), ('fish',)]
    """
    if data_set not in TAXONOMIES:
        raise unknown("taxonomy", data_set, TAXONOMIES)
    groups, class_names = TAXONOMIES[data_set], list(class_names)
    for name in class_names:
        if name not in groups:
            raise unknown(f"{data_set} class", name, groups)
    return [groups[name] for name in class_names]


def taxonomy_similarity(groups: Sequence[Hashable | Sequence[Hashable]]) -> Float[np.ndarray, "classes classes"]:
    """Twice the depth of the last group that two classes share, over the sum of their own depths (Wu and Palmer).

    Depth counts steps down from a root above all groups, so that classes which share no group are at 0; a class is a
    leaf of its own below its last group, and at 1 to itself.

    Args:
      groups: of each class, from the outermost to the innermost, without the class itself; one group may stand alone.

    Raises:
      ValueError: no classes.

    >>> taxonomy_similarity([("animal", "fish"), ("animal", "bird"), "tool"])[0].round(3).tolist()
    [1.0, 0.333, 0.0]
    """
    paths = [_path(group) for group in groups]
    if not paths:
        raise ValueError("expected the groups of at least one class")
    similarity = np.eye(len(paths))
    for i, one in enumerate(paths):
        for j, other in enumerate(paths[:i]):
            depth = 2 * _shared(one, other) / (len(one) + 1 + len(other) + 1)
            similarity[i, j] = similarity[j, i] = depth
    return similarity


def _path(group: Hashable | Sequence[Hashable]) -> tuple[Hashable, ...]:
    alone = isinstance(group, (str, bytes)) or not isinstance(group, Sequence)
    return (group,) if alone else tuple(group)


def _shared(one: tuple[Hashable, ...], other: tuple[Hashable, ...]) -> int:
    """How many groups two paths share from the root on."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
