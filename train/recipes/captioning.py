"""Captions of scenes of digits, which come with the package, and of photographs as COCO has them.

python -m train fit scenes_captions
python -m train fit scenes_captions --task.beams 1                         greedy search
python -m train predict runs/scenes_captions runs/scenes_captions/example.png
python -m train fit coco_captions --data.source coco:annotations/captions_train2017.json

Of `scenes_captions` the rules that say the captions are in `train/data/sources/scene_captions.py`. Digits are shifted
and not mirrored, which would make them others. The network is a thin VGG-11 whose last map is given to the LSTM on a
grid of 4 x 4 places: their mean alone would not say which digit is where. The 250 test scenes have a BLEU-4 of 64.7
and a BLEU-1 of 84.7, and 72.33 % of the next words are right (a perplexity of 1.9), after 127 s beside other work.

`coco_captions` is Show and Tell (Vinyals et al., 2015) on a ResNet-50 whose published weights stay, as those of the
paper's network did at first. It mirrors images, of which captions then say right for left. It is for accelerators, and
was not trained here; the paper has a BLEU-4 of 27.7 on COCO (table 1), and trained the convolutions too after a while.
"""

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.captioning import Captioning
from train.recipes.imagenet import AUGMENT

SCENES = Recipe(
    name="scenes_captions",
    model=Model("captioner_small"),
    data=Data(source="scenes:4000", batch_size=16, eval_batch_size=125),
    augment=Augment(pad_crop=4, mean=(0.31, 0.31, 0.31), std=(0.22, 0.22, 0.22)),
    task=Captioning(words=10),
    optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.15),
    epochs=8,
    eval_every=4,
    log_every=125,
)

COCO = Recipe(
    name="coco_captions",
    model=Model("captioner_resnet50", dtype="bfloat16"),
    data=Data(
        source="coco:annotations/captions_train2017.json",
        workers=8,
        batch_size=64,
        eval_batch_size=128,
        crop=224,
        smallest_area=0.5,
    ),
    augment=AUGMENT,
    task=Captioning(),
    optimizer=Optimizer("adamw", learning_rate=4e-4, weight_decay=1e-2, clip_norm=5.0),
    schedule=Schedule("cosine", warmup=0.05),
    weights="IMAGENET1K_V2",
    weights_into="backbone",
    freeze=("backbone/*",),
    epochs=10,
)

RECIPES = (SCENES, COCO)
