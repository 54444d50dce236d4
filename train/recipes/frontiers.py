"""Both kinds of adversarial learning, on scikit-learn's digits. Lecture row L97.

python -m train fit digits_adversarial
python -m train fit digits_adversarial --task.norm l2 --task.epsilon 1.0
python -m train experiment robustness
python -m train fit digits_gan

The network is that of `digits`; each step sees images that three steps of projected gradient changed by at most a
tenth of the range of their pixels. With seed 0 it has 97.8 % of 360 held-out images right, and 89.4 % of those that ten
steps changed as much, in 33 seconds beside other work. From images as they are, in as many epochs, it learns to have
98.6 % right, and of those that twenty steps changed 44.7 % (`python -m train experiment robustness`).

`digits_gan` makes digits. With seed 0 these are at a Fréchet distance of 0.58 from the held-out ones, where training
digits are at 0.32 and a normal distribution of pixels at 1.90; precision 72.8 %, recall 92.8 %. It takes 64 s of
processor time.
"""

import dataclasses

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.adversarial import Adversarial
from train.config.tasks.gan import Gan
from train.recipes.digits import DIGITS

DIGITS_ADVERSARIAL = dataclasses.replace(
    DIGITS, name="digits_adversarial", task=Adversarial(epsilon=0.1, steps=3), epochs=20, eval_every=5
)

DIGITS_GAN = Recipe(
    name="digits_gan",
    model=Model("dcgan", options=("widths=(128, 64)",)),
    data=Data(source="digits", batch_size=64, eval_batch_size=360),
    task=Gan(),
    optimizer=Optimizer("adam", learning_rate=2e-4, b1=0.5, weight_decay=0.0),
    schedule=Schedule("constant"),
    epochs=100,
    eval_every=20,
)

RECIPES = (DIGITS_ADVERSARIAL, DIGITS_GAN)
