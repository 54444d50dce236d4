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
from zoo.geometric.group_pooling import mean_elements, pool_elements, pool_places
from zoo.geometric.groups import P4, P4M, Z2, Element, Group, group_named, move_maps, move_plane, product_table
from zoo.geometric.largest import largest
from zoo.geometric.pointnet import PointNet, of_the_set, orthogonality

__all__ = [
    "P4",
    "P4M",
    "Z2",
    "Element",
    "Group",
    "GroupCNN",
    "GroupConv",
    "LiftingConv",
    "PointNet",
    "group_convolution",
    "group_filters",
    "group_named",
    "largest",
    "lifting_convolution",
    "lifting_filters",
    "mean_elements",
    "move_maps",
    "move_plane",
    "of_the_set",
    "orthogonality",
    "pool_elements",
    "pool_places",
    "product_table",
]
