"""The catalog's rows of the chapter `zoo.geometric` that know a symmetry of images, of the sphere, or of sets."""

from zoo.catalog.entry import Entry

COHEN_2016 = "Cohen and Welling, 2016, Group Equivariant Convolutional Networks"
_GROUP_CNN = "zoo.geometric.group_cnn:GroupCNN"
_DIGIT = (28, 28, 1)


def _groups(name: str, group: str, width: int, shape: tuple[int, ...] = _DIGIT, **options: object) -> Entry:
    return Entry(
        name, _GROUP_CNN, "classification", shape, COHEN_2016, "L79", {"group": group, "width": width, **options}
    )


ENTRIES = (
    _groups("z2cnn", "z2", 20),
    _groups("p4cnn_pooled", "p4", 20, pool_elements=True),
    _groups("p4cnn", "p4", 10),
    _groups("p4mcnn", "p4m", 7),
    _groups("p4mcnn_tiny", "p4m", 2, (12, 12, 1), depth=2, head_side=2, pool_after=1),
)
