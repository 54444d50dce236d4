"""Dense connections against residual ones at equal parameters. Lecture rows L46, L47.

    python -m train experiment dense                  two networks of 0.18 million parameters, part of the data
    python -m train experiment dense --scale paper    0.77 million, and a residual one of 1.7 million, 300 epochs

Huang, Liu, van der Maaten and Weinberger, 2017, Densely Connected Convolutional Networks, Table 2 and Figure 4: a
DenseNet-BC has the error of a residual network of three times as many parameters.
"""

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.experiments import Options
from train.experiments.convnets.comparison import compare, variations
from train.experiments.study import Results, Study
from train.recipes import cifar, cifar10

DENSE, RESIDUAL, LARGER = "DenseNet-BC", "ResNet", "larger ResNet"

QUICK_ARMS = {
    RESIDUAL: Model("cifar_resnet20", options=("depth=14",)),
    DENSE: Model("cifar_densenet_bc_40_12"),
}
PAPER_ARMS = {
    RESIDUAL: Model("cifar_preact_resnet110", options=("depth=50",)),
    DENSE: Model("cifar_densenet_bc_100_12"),
    LARGER: Model("cifar_preact_resnet164"),
}
PAPER_TEST_ERROR = {DENSE: "4.51 %", LARGER: "5.46 %"}
"""DenseNet-BC-100 with growth rate 12, and the pre-activation ResNet-164."""

QUICK = Recipe(
    name="dense-quick",
    data=Data(source="tfds:cifar10", limit=6400, batch_size=64, eval_batch_size=1000),
    augment=Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std),
    optimizer=Optimizer(learning_rate=0.1, weight_decay=1e-4, nesterov=True),
    schedule=Schedule("one_cycle", warmup=0.25),
    epochs=3,
    eval_every=3,
    log_every=10,
)
"""300 steps on 6400 images and their mirror images."""

PAPER = cifar.on("cifar10", next(recipe for recipe in cifar.BASES if recipe.name == "densenet_bc_100_12"))


def recipes_of(options: Options) -> dict[str, Recipe]:
    """Every network's recipe, by its name in the table."""
    base, models = (QUICK, QUICK_ARMS) if options.scale == "quick" else (PAPER, PAPER_ARMS)
    return variations("dense", base, models, options)


def study(options: Options) -> Study:
    """The networks, and what is said of them."""
    published = {} if options.scale == "quick" else PAPER_TEST_ERROR
    return compare("dense", recipes_of(options), published, claims, options)


def run(options: Options) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def claims(results: Results) -> dict[str, bool]:
    """That dense connections make more of as many parameters."""
    dense, residual = results[DENSE], results[RESIDUAL]
    error = {arm: result.error("accuracy") for arm, result in results.items()}
    found = {
        "the parameters are equal to 3 %": abs(dense.parameters / residual.parameters - 1) < 0.03,
        "the dense network has the lower training loss": dense.mean("train_loss") < residual.mean("train_loss"),
        "the dense network has the lower test error": error[DENSE] < error[RESIDUAL],
    }
    if LARGER in results:
        found["and no higher one than a residual network of twice the parameters"] = error[DENSE] <= error[LARGER]
    return found
