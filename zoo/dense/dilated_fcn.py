"""A fully convolutional network on a dilated backbone, whose last map is as fine as an eighth of the image.

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation; Yu and Koltun, 2016,
Multi-Scale Context Aggregation by Dilated Convolutions; as torchvision/models/segmentation/fcn.py. Lecture rows L61,
L65.
"""

from jaxtyping import Array, Float

from zoo.dense.segmenter import FCNHead, OnOneMap


class DilatedFCN(OnOneMap):
    """Two convolutions on the last map of a backbone, and bilinear enlargement. Submodules `backbone`, `head`, `aux1`.

    The skips of the paper's FCN-8s are not needed where the backbone keeps its resolution: give it
    `replace_stride_with_dilation`. `zoo.dense.FCN` has them.
    """

    dropout: float = 0.1
    """The share of the head's hidden activations that is dropped in training; needs the random stream "dropout"."""

    def scores(
        self, x: Float[Array, "batch rows columns channels"], train: bool
    ) -> Float[Array, "batch rows columns classes"]:
        """See `OnOneMap`."""
        return self.rematerialised(FCNHead)(self.num_classes, self.dropout, **self.shared, name="head")(x, train)
