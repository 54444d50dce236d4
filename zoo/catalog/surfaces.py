"""The catalog's rows of networks that measure something at each pixel, of the chapter `zoo.dense`."""

from zoo.catalog.entry import Entry, Ref

EIGEN_2015 = (
    "Eigen and Fergus, 2015, Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale "
    "Convolutional Architecture"
)

VARIANTS = {
    "surfaces_resnet18": ("resnet18", 64),
    "surfaces_resnet50": ("resnet50", 64),
    "surfaces_tiny": ("resnet_tiny", 8),
}

ENTRIES = tuple(
    Entry(
        name,
        "zoo.dense.encoder_decoder:EncoderDecoder",
        "surfaces",
        (64, 64, 3) if name.endswith("_tiny") else (480, 640, 3),
        EIGEN_2015,
        "L63, L64",
        {"backbone": Ref(backbone, num_classes=0), "width": width},
        heads=(),
    )
    for name, (backbone, width) in VARIANTS.items()
)
