"""The catalog's rows of the chapter `zoo.geometric` that know a symmetry of images, of the sphere, or of sets."""

from zoo.catalog.entry import Entry
from zoo.catalog.inputs import Input

COHEN_2016 = "Cohen and Welling, 2016, Group Equivariant Convolutional Networks"
QI_2017 = "Qi et al., 2017, PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation"
ESTEVES_2018 = "Esteves et al., 2018, Learning SO(3) Equivariant Representations with Spherical CNNs"
_GROUP_CNN = "zoo.geometric.group_cnn:GroupCNN"
_DIGIT = (28, 28, 1)


def _groups(name: str, group: str, width: int, shape: tuple[int, ...] = _DIGIT, **options: object) -> Entry:
    return Entry(
        name, _GROUP_CNN, "classification", shape, COHEN_2016, "L79", {"group": group, "width": width, **options}
    )


def _residual(name: str, group: str, depth: int, widths: tuple[int, ...], side: int = 32) -> Entry:
    builder, options = "zoo.geometric.group_resnet:GroupResNet", {"group": group, "depth": depth, "widths": widths}
    return Entry(name, builder, "classification", (side, side, 3), COHEN_2016, "L79", options)


def _points(name: str, count: int, dims: int, **options: object) -> Entry:
    given = (Input("points", (count, dims), kind="points"),)
    return Entry(name, "zoo.geometric.pointnet:PointNet", "point_classification", given, QI_2017, "L79", options)


def _sphere(name: str, side: int, **options: object) -> Entry:
    builder = "zoo.geometric.spherical:SphericalCNN"
    return Entry(name, builder, "classification", (side, side, 1), ESTEVES_2018, "L79", options)


ENTRIES = (
    _groups("z2cnn", "z2", 20),
    _groups("p4cnn_pooled", "p4", 20, pool_elements=True),
    _groups("p4cnn", "p4", 10),
    _groups("p4mcnn", "p4m", 7),
    _groups("p4mcnn_tiny", "p4m", 2, (12, 12, 1), depth=2, head_side=2, pool_after=1),
    _residual("z2_resnet44", "z2", 44, (32, 64, 128)),
    _residual("p4m_resnet44", "p4m", 44, (11, 23, 45)),
    _residual("z2_resnet26", "z2", 26, (71, 142, 284)),
    _residual("p4m_resnet26", "p4m", 26, (25, 50, 100)),
    _residual("p4m_resnet_tiny", "p4m", 8, (2, 3, 4), 8),
    _sphere("spherical_cnn", 24),
    _sphere("spherical_cnn_tiny", 8, bandwidths=(4, 3), widths=(4, 6)),
    _points("pointnet", 1024, 3),
    _points("pointnet_vanilla", 1024, 3, input_transform=False, feature_transform=False),
    _points("pointnet_tiny", 32, 2, num_classes=10, width=1 / 16),
)
