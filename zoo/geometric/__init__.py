"""Networks that know a symmetry of what they see: turned images, the sphere, sets of points.

Read `groups.py` first, then `group_convolution.py`. Lecture rows L78, L79.
"""

from zoo.geometric.group_cnn import GroupCNN
from zoo.geometric.group_convolution import (
    GroupConv,
    LiftingConv,
    group_convolution,
    group_filters,
    lifting_convolution,
    lifting_filters,
)
from zoo.geometric.group_pooling import mean_elements, mean_places, pool_elements, pool_places
from zoo.geometric.group_resnet import GroupResNet
from zoo.geometric.groups import P4, P4M, Z2, Element, Group, group_named, move_maps, move_plane, product_table
from zoo.geometric.largest import largest
from zoo.geometric.pointnet import PointNet, of_the_set, orthogonality
from zoo.geometric.spherical import (
    SphericalCNN,
    invariants,
    low_degrees,
    power_spectrum,
    zonal_convolution,
)
from zoo.geometric.spherical_harmonics import rotated, to_coefficients, to_samples

__all__ = [
    "P4",
    "P4M",
    "Z2",
    "Element",
    "Group",
    "GroupCNN",
    "GroupConv",
    "GroupResNet",
    "LiftingConv",
    "PointNet",
    "SphericalCNN",
    "group_convolution",
    "group_filters",
    "group_named",
    "invariants",
    "largest",
    "lifting_convolution",
    "lifting_filters",
    "low_degrees",
    "mean_elements",
    "mean_places",
    "move_maps",
    "move_plane",
    "of_the_set",
    "orthogonality",
    "pool_elements",
    "pool_places",
    "power_spectrum",
    "product_table",
    "rotated",
    "to_coefficients",
    "to_samples",
    "zonal_convolution",
]
