"""Pedestrians of Penn-Fudan: fine-tuning on 170 photographs, with boxes and masks. Lecture rows L38, L67.

python -m train fit penn_fudan_squeezenet --weights IMAGENET1K_V1 --data.source masks:DIR
"""


from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.detection import Detection
from train.recipes.imagenet import AUGMENT

SQUEEZENET = Recipe(
    name="penn_fudan_squeezenet",
    model=Model(
        "maskrcnn_tiny",
        options=(
            "backbone=squeezenet1_1",
            "maps=('stage1','stage2','stage3')",
            "extra=none",
            "width=64",
            "anchor_sizes=((36,48),(64,84),(110,145))",
            "aspect_ratios=(2.0,3.2)",
            "rpn_fg_iou_thresh=0.6",
            "rpn_pre_nms_top_n=(300,300)",
            "rpn_post_nms_top_n=(100,50)",
            "rpn_batch_size_per_image=64",
            "box_batch_size_per_image=32",
            "box_detections_per_img=20",
            "hidden=(256,)",
            "mask_region=14",
            "mask_convs=(64,64)",
            "mask_aligned=True",
        ),
    ),
    data=Data(source="masks:PennFudanPed", held_out=36, batch_size=2, eval_batch_size=12, canvas=256),
    augment=AUGMENT,
    task=Detection(masks=True),
    optimizer=Optimizer("adamw", learning_rate=5e-4, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.15),
    weights="IMAGENET1K_V1",
    weights_into="backbone",
    freeze=("backbone/stem/*", "backbone/stage1/*"),
    epochs=30,
    eval_every=10,
    log_every=35,
)

RECIPES = (SQUEEZENET,)
