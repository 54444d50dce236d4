"""Transfer: a network that knows ImageNet learns the classes of CIFAR-10 from fifty images each. Lecture row L38.

python -m train fit transfer_frozen                                                        its new head alone
python -m train fit transfer_finetuned --weights runs/transfer_frozen/model.safetensors    then all of it
python -m train fit transfer_finetuned --weights None                                      what the images alone teach

The published weights are fetched once; `--weights FILE` takes others. So do another network and other images:
python -m train fit transfer_frozen --model.name resnet50 --weights IMAGENET1K_V2 --data.source folder:DIR
    --data.limit None --data.crop 224 --data.resize 256
"""

import dataclasses

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.recipes.imagenet import AUGMENT

FROZEN = Recipe(
    name="transfer_frozen",
    model=Model("squeezenet1_1"),
    data=Data(source="tfds:cifar10", limit=500, batch_size=50, eval_batch_size=250, crop=128, smallest_area=0.6),
    augment=AUGMENT,
    optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=1e-2),
    schedule=Schedule("cosine", warmup=0.1),
    weights="IMAGENET1K_V1",
    freeze=("*", "!head/*"),
    epochs=20,
    eval_every=20,
    log_every=10,
)

FINETUNED = dataclasses.replace(
    FROZEN,
    name="transfer_finetuned",
    optimizer=Optimizer("adamw", learning_rate=1e-3, weight_decay=1e-2, layer_decay=0.8),
    freeze=(),
)

RECIPES = (FROZEN, FINETUNED)
