"""The catalog's rows of networks that measure something at each pixel, of the chapter `zoo.dense`."""

from zoo.catalog.entry import Entry, Ref

EIGEN_2015 = (
    "Eigen and Fergus, 2015, Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale "
    "Convolutional Architecture"
)

LARGE, SMALL = (480, 640, 3), (64, 64, 3)
VARIANTS = {
    "surfaces_resnet18": (Ref("resnet18", num_classes=0), 64, LARGE),
    "surfaces_resnet50": (Ref("resnet50", num_classes=0), 64, LARGE),
    "surfaces_small": (Ref("resnet_tiny", num_classes=0, width=16), 16, SMALL),
    "surfaces_tiny": (Ref("resnet_tiny", num_classes=0), 8, SMALL),
}

ENTRIES = tuple(
    Entry(
        name,
        "zoo.dense.encoder_decoder:EncoderDecoder",
        "surfaces",
        shape,
        EIGEN_2015,
        "L63, L64",
        {"backbone": backbone, "width": width},
        heads=(),
    )
    for name, (backbone, width, shape) in VARIANTS.items()
)
