"""Streets of CamVid: a class for every pixel of photographs from a moving car. Lecture rows L61, L65.

python -m train fit camvid --data.source label_maps:CamVid
python -m train fit camvid --data.source label_maps:CamVid --weights None        what the images alone teach
python -m train fit camvid --data.source label_maps:CamVid --weights None --model.name unet_same
python -m train fit camvid_squeezenet --data.source label_maps:CamVid

The folder has train/, trainannot/, test/ and testannot/, as SegNet's tutorial has them (Brostow, Fauqueur and Cipolla,
2009; Badrinarayanan, Kendall and Cipolla, 2017, SegNet, section 4.1): 360 x 480 pixels, eleven classes and void.
Published weights are fetched once; `--weights FILE` takes others.

`camvid` is DeepLabV3 on MobileNetV3 that knows the classes of Pascal VOC, cars, bicycles and people among them, with a
head for eleven. Classes weigh by their median frequency over their own, as in SegNet. Images are mirrored, and cut at
random from themselves with a border of 40 pixels that counts nowhere; evaluation sees them whole, which it would not
with `--data.crop`. `trimap_iou` is the mean IoU of the pixels at most 3 from an edge.

It was not trained here. `camvid_squeezenet` knows of ImageNet what SqueezeNet does, and scores its maps. Measured with
48 of the tutorial's 367 training images and 16 of its 233 test images, with DeepScale's weights as the package ndf
0.1.4 has them, seed 0, on 2 cores of a CPU that others used too:

| | mean IoU | pixels | mean of the classes | near edges |
|---|--:|--:|--:|--:|
| after 60 epochs | 54.92 % | 84.13 % | 73.92 % | 39.53 % |
| the best, after 50 | 55.04 % | 84.07 % | 74.08 % | 39.46 % |

It took 460 s, and 635 s of processor time. Poles, signs and people it draws too large: rare classes weigh much. SegNet
reports a mean IoU of 60.1 %, from about 3500 images. At `camvid`'s rate, with momentum, it had 19 % after 40 epochs.
"""

import dataclasses

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.segmentation import Segmentation
from train.recipes.imagenet import AUGMENT

DEEPLAB = Recipe(
    name="camvid",
    model=Model("deeplabv3_mobilenet_v3_large"),
    data=Data("label_maps:CamVid", batch_size=8, eval_batch_size=8),
    augment=dataclasses.replace(AUGMENT, pad_crop=40),
    task=Segmentation(balanced=True, trimap=3),
    optimizer=Optimizer(learning_rate=5e-3, momentum=0.9, weight_decay=1e-4),
    schedule=Schedule("quadratic", warmup=0.05),
    weights="COCO_WITH_VOC_LABELS_V1",
    epochs=60,
    eval_every=10,
    log_every=5,
)

SQUEEZENET = dataclasses.replace(
    DEEPLAB,
    name="camvid_squeezenet",
    model=Model("squeezenet1_1"),
    optimizer=Optimizer("adamw", learning_rate=1e-3, weight_decay=1e-2, clip_norm=10.0),
    schedule=Schedule("one_cycle", warmup=0.15),
    weights="IMAGENET1K_V1",
)

RECIPES = (DEEPLAB, SQUEEZENET)
