"""The catalog's rows of the chapter `zoo.detection`: detectors of two stages."""

from typing import Any

from zoo.catalog.entry import Entry, Ref
from zoo.catalog.inputs import Input

REN_2015 = (
    "Ren et al., 2015, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks; "
    "Lin et al., 2017, Feature Pyramid Networks for Object Detection"
)
HE_2017 = "He et al., 2017, Mask R-CNN"
GIRSHICK_2014 = (
    "Girshick et al., 2014, Rich Feature Hierarchies for Accurate Object Detection and Semantic Segmentation"
)
GIRSHICK_2015 = "Girshick, 2015, Fast R-CNN"

RESNET50: dict[str, Any] = {"backbone": Ref("resnet50", num_classes=0)}
SECOND: dict[str, Any] = {
    **RESNET50,
    "frozen_norm": False,
    "pyramid_norm": True,
    "rpn_depth": 2,
    "convs": (256, 256, 256, 256),
    "hidden": (1024,),
}
"""torchvision's second versions: normalisations everywhere, convolutions in the heads."""
MOBILENET: dict[str, Any] = {
    "backbone": Ref("mobilenet_v3_large", num_classes=0, maps_only=True, epsilon=1e-5),
    "maps": ("stage6/block1", "final"),
    "anchor_sizes": 3 * ((32, 64, 128, 256, 512),),
    "rpn_score_thresh": 0.05,
}
VGG16: dict[str, Any] = {
    "backbone": Ref("vgg16", num_classes=0, maps_only=True),
    "num_classes": 21,
    "maps": ("stage5",),
    "width": 0,
    "anchor_sizes": ((128, 256, 512),),
    "rpn_pre_nms_top_n": (12000, 6000),
    "rpn_post_nms_top_n": (2000, 300),
    "pooling": "pool",
    "hidden": (4096, 4096),
    "box_batch_size_per_image": 128,
    "box_nms_thresh": 0.3,
}
"""Of the paper, section 3.3 and table 1; trained end to end, as rbgirshick/py-faster-rcnn does."""
ONE_MAP: dict[str, Any] = {
    **RESNET50,
    "num_classes": 81,
    "width": 0,
    "anchor_sizes": ((32, 64, 128, 256, 512),),
    "rpn_pre_nms_top_n": (12000, 6000),
    "rpn_post_nms_top_n": (2000, 300),
    "box_batch_size_per_image": 64,
}
"""Of Mask R-CNN, section 3.1, for COCO's 80 classes: networks without a pyramid."""
C4: dict[str, Any] = {**ONE_MAP, "maps": ("stage3",), "region": 14, "region_stages": ("stage4",), "hidden": ()}
"""Regions of 14 x 14 places, which the fifth stage halves (He et al., 2016, appendix A, and Detectron)."""
C5: dict[str, Any] = {**ONE_MAP, "maps": ("stage4",)}
"""Of stride 32, with the heads of the pyramid's networks, "as the res5 head is not applicable" (section 4.2)."""
TINY: dict[str, Any] = {
    "backbone": Ref("cifar_resnet8", num_classes=0),
    "num_classes": 11,
    "maps": ("stage1", "stage2", "stage3"),
    "width": 16,
    "anchor_sizes": ((8,), (16,), (24,), (32,)),
    "aspect_ratios": (0.75, 1.0, 1.5),
    "rpn_pre_nms_top_n": (64, 64),
    "rpn_post_nms_top_n": (32, 32),
    "rpn_batch_size_per_image": 32,
    "box_batch_size_per_image": 32,
    "box_detections_per_img": 8,
    "hidden": (32,),
}
"""Small boxes of small images, for tests."""

LAYOUT = ("torchvision/two_stage",)
BOX_HEADS = ("box_head/logits", "box_head/deltas")
MASK_HEADS = (*BOX_HEADS, "mask_head/logits")


def _faster(name: str, size: int, layouts: tuple[str, ...] = LAYOUT, **options: Any) -> Entry:
    builder, shape = "zoo.detection.faster_rcnn:FasterRCNN", (size, size, 3)
    return Entry(name, builder, "detection", shape, REN_2015, "L59, L60", options, layouts, BOX_HEADS)


def _mask(name: str, size: int, layouts: tuple[str, ...] = LAYOUT, **options: Any) -> Entry:
    builder, shape = "zoo.detection.mask_rcnn:MaskRCNN", (size, size, 3)
    return Entry(name, builder, "detection", shape, HE_2017, "L67-L69", options, layouts, MASK_HEADS)


def _keypoint(name: str, size: int, **options: Any) -> Entry:
    builder, shape = "zoo.detection.keypoint_rcnn:KeypointRCNN", (size, size, 3)
    return Entry(name, builder, "detection", shape, HE_2017, "L70", options, LAYOUT, BOX_HEADS)


def _of_proposals(name: str, kind: str, paper: str, lecture: str, heads: tuple[str, ...], **options: Any) -> Entry:
    """A row of a detector that is given proposals; none has published weights here."""
    side, count = (64, 32) if name.endswith("_tiny") else (600, 2000)
    inputs = (Input("images", (side, side, 3)), Input("proposals", (count, 4), kind="boxes"))
    return Entry(name, f"zoo.detection.{kind}", "detection", inputs, paper, lecture, options, (), heads)


_LITTLE = {"num_classes": 11, "box_batch_size_per_image": 16, "box_detections_per_img": 8}
_FEW = {"rpn_pre_nms_top_n": (2000, 150), "rpn_post_nms_top_n": (2000, 150)}

ENTRIES = (
    _of_proposals(
        "rcnn_alexnet", "rcnn:RCNN", GIRSHICK_2014, "L55", ("logits", "deltas"), backbone=Ref("alexnet", num_classes=0)
    ),
    _of_proposals(
        "rcnn_tiny",
        "rcnn:RCNN",
        GIRSHICK_2014,
        "L55",
        ("logits", "deltas"),
        backbone=Ref("cifar_resnet8", num_classes=0),
        side=16,
        context=2,
        **_LITTLE,
    ),
    _of_proposals(
        "fast_rcnn_vgg16",
        "fast_rcnn:FastRCNN",
        GIRSHICK_2015,
        "L57, L58",
        BOX_HEADS,
        backbone=Ref("vgg16", num_classes=0, maps_only=True),
    ),
    _of_proposals(
        "fast_rcnn_tiny",
        "fast_rcnn:FastRCNN",
        GIRSHICK_2015,
        "L57, L58",
        BOX_HEADS,
        backbone=Ref("cifar_resnet8", num_classes=0),
        map="stage2",
        hidden=(32,),
        **_LITTLE,
    ),
    _faster("fasterrcnn_vgg16", 600, **VGG16),
    _faster("fasterrcnn_resnet50_c4", 800, (), **C4),
    _faster("fasterrcnn_resnet50_fpn", 800, **RESNET50),
    _faster("fasterrcnn_resnet50_fpn_v2", 800, **SECOND),
    _faster("fasterrcnn_mobilenet_v3_large_fpn", 800, **MOBILENET),
    _faster("fasterrcnn_mobilenet_v3_large_320_fpn", 320, **MOBILENET, **_FEW),
    _faster("fasterrcnn_tiny", 64, **TINY),
    _mask("maskrcnn_resnet50_c4", 800, (), **C4, mask_convs=(), mask_width=256),
    _mask("maskrcnn_resnet50_c5", 800, (), **C5),
    _mask("maskrcnn_resnet50_fpn", 800, **RESNET50),
    _mask("maskrcnn_resnet50_fpn_v2", 800, **SECOND, mask_norm=True),
    _mask("maskrcnn_tiny", 64, **TINY, mask_region=7, mask_convs=(16,)),
    _keypoint("keypointrcnn_resnet50_fpn", 800, **RESNET50),
    _keypoint("keypointrcnn_tiny", 64, **TINY | {"num_classes": 2}, points=2, keypoint_region=7, keypoint_convs=(16,)),
)
