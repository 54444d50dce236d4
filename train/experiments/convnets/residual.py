"""The degradation experiment: plain networks get worse with depth, residual ones do not. Lecture row L39.

    python -m train experiment residual                  part of the data, for a small machine
    python -m train experiment residual --scale paper    64k steps of all of it, as published

He, Zhang, Ren and Sun, 2016, Deep Residual Learning for Image Recognition, Figures 1 and 6 and Table 6. The
claim is about *training* loss: were deeper networks only overfitting, theirs would be lower.

Measured at quick scale, seed 0, in 25 minutes on 2 cores of a CPU:

| network | training loss | training error | test error |
|---|--:|--:|--:|
| plain-20 | 0.308 | 5.6 % | 62.4 % |
| plain-56 | 1.893 | 70.9 % | 77.6 % |
| ResNet-20 | 0.011 | 0.0 % | 58.0 % |
| ResNet-56 | 0.009 | 0.0 % | 60.1 % |
"""

from typing import Any

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.experiments import Options
from train.experiments.convnets.comparison import compare, draw_losses, variations
from train.experiments.study import Results, Study
from train.recipes import cifar10
from train.report.theme import LIGHT, heading, labels, legend, new_figure, style

ARMS = {
    "plain-20": "cifar_plain20",
    "plain-56": "cifar_plain56",
    "ResNet-20": "cifar_resnet20",
    "ResNet-56": "cifar_resnet56",
}
"""The four networks: the name in the table, and in the catalog."""

PAPER_TEST_ERROR = {
    "plain-20": "9 to 10 % (Figure 1)",
    "plain-56": "about 13 % (Figure 1)",
    "ResNet-20": "8.75 %",
    "ResNet-56": "6.97 %",
}
"""Table 6 of the paper, and what can be read off the figure that the lecture shows of the plain networks."""

QUICK = Recipe(
    name="residual-quick",
    data=Data(source="tfds:cifar10", limit=640, batch_size=32, eval_batch_size=1000),
    augment=Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std),
    optimizer=Optimizer(learning_rate=0.03, nesterov=True, weight_decay=1e-4),
    schedule=Schedule("cosine", warmup=0.1),
    epochs=40,
    eval_every=40,
    log_every=20,
)
"""800 steps on 640 images and their mirror images: enough to learn them by heart, which only a network that can
be optimised does. A deep network starts slower: ResNet-56 is behind ResNet-20 until about step 650."""

PAPER = cifar10.PAPER


def recipes_of(options: Options) -> dict[str, Recipe]:
    """Every network's recipe, by its name in the table."""
    base = QUICK if options.scale == "quick" else PAPER
    return variations("residual", base, {arm: Model(name) for arm, name in ARMS.items()}, options)


def study(options: Options) -> Study:
    """The four networks, and what is said of them."""
    return compare("residual", recipes_of(options), PAPER_TEST_ERROR, claims, options, figure)


def run(options: Options) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def claims(results: Results) -> dict[str, bool]:
    """The lecture's statements, each True or False of these results."""
    loss = {arm: result.mean("train_loss") for arm, result in results.items()}
    test_error = {arm: result.error("accuracy") for arm, result in results.items()}
    return {
        "plain-56 has the higher training loss than plain-20": loss["plain-56"] > loss["plain-20"],
        "plain-56 has the higher test error, too": test_error["plain-56"] > test_error["plain-20"],
        "ResNet-56 has no higher training loss than ResNet-20": loss["ResNet-56"] <= loss["ResNet-20"],
    }


def figure(results: Results) -> Any:
    """Training loss of the four networks against steps: plain ones left, residual ones right."""
    drawing = new_figure(9, 3.6, LIGHT)
    panels = drawing.subplots(1, 2, sharey=True)
    for arm, result in results.items():
        deep = arm.endswith("56")
        line = {"color": LIGHT.orange, "linewidth": 1.8} if deep else {"color": LIGHT.blue, "linewidth": 1.2}
        draw_losses(panels[0 if arm.startswith("plain") else 1], arm, result, **line)
    for panel, title in zip(panels, ("plain", "residual"), strict=True):
        style(panel)
        heading(panel, title)
        labels(panel, x="step", y="training loss" if title == "plain" else "")
        legend(panel)
    return drawing
