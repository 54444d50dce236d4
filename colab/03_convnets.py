# %% [markdown]
# # Convolutional networks
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/03_convnets.ipynb)
#
# You train a residual network to find digits in photographs, look at its filters, its maps and the evidence for what
# it says, see a plain network get worse with depth and a residual one not, add layers that change nothing, and
# compare the whole family, from LeNet to ConvNeXt, by its parameters. Slides "The ConvNet" to "ConvNets in practice",
# rows L37 to L48, and L18; errata E11 to E13. The networks are in `zoo.convnets`. Three exercises check themselves.

# %% tags=["install"]
# In Colab this installs the library. In a clone, and where it is installed, it does nothing.
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys

clone = os.path.exists("../zoo/__init__.py") and os.path.exists("../pyproject.toml")
if clone:
    sys.path.insert(0, os.path.abspath(".."))
needed = ("zoo", "train", "jax", "flax", "optax", "orbax", "grain", "tyro")
there = all(map(importlib.util.find_spec, needed))
if not there or tuple(map(int, importlib.metadata.version("jax").split(".")[:2])) < (0, 10):
    extra = "[tpu]" if os.path.exists("/dev/accel0") or os.path.exists("/dev/vfio/0") else ""
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True)
        driver = answer.stdout.split(".")[0]
        if answer.returncode == 0 and driver.isdigit():  # otherwise there is the command and no GPU
            older = int(driver) < 580 or importlib.util.find_spec("jax_cuda12_plugin")
            extra = "[cuda12]" if older else "[cuda]"  # CUDA 13 wants driver 580, and no CUDA 12 beside it
    address = "git+https://github.com/lecture-vision-zoo/lecture-vision-zoo"
    source = f"..{extra}" if clone else f"lecture-vision-zoo{extra} @ {address}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)

# %%
from train import notebook

scale = notebook.start()

# %%
import functools
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

import train
import zoo
import zoo.nn
from train.data import load, preprocess
from train.experiments.convnets import cardinality, residual, units
from train.use.open_run import open_run
from zoo.tables import count_parameters, summarise

runs = Path(tempfile.mkdtemp())  # gone with this machine

# %% [markdown]
# ## The ConvNet (slide "The ConvNet", L37)
#
# Local filters at each layer, the same everywhere in the image, maps that pooling makes smaller, and standard layers
# at the end. Below is where three classic networks keep their parameters. The convolutions do nearly all of the work
# and have few of them: of AlexNet's 61 million, 96 % stand in the standard layers. Later networks average the last
# maps instead, and keep one such layer.

# %%
figure, axes = plt.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
for cell, name in zip(axes, ("lenet5", "alexnet", "vgg16", "resnet50"), strict=True):
    found = summarise(name)
    stages = found.stage_parameters
    order = sorted(stages, key=lambda stage: (not stage.startswith("st"), stage == "head", stage != "stem", stage))
    colours = ["tab:blue" if stage.startswith("st") else "tab:orange" for stage in order]
    cell.barh(order, [100 * stages[stage] / found.parameters for stage in order], color=colours)
    cell.invert_yaxis()
    cell.set(xlabel="% of the parameters", xlim=(0, 100))
    cell.set_title(f"{name}: {found.parameters / 1e6:.3g} million\n{found.flops / 2e9:.2g} GMAC", fontsize=9)
plt.show()

# %% [markdown]
# Now one of our own. Its images are digits of 8 x 8 pixels, each somewhere in a darkened patch of a photograph of 24
# x 24 pixels, so that the network has to find the digit before it can read it. In the `full` scale it is ResNet-20 on
# CIFAR-10, which TFDS prepares first.

# %%
from sklearn.datasets import load_digits, load_sample_images

SIDE = 24


def in_photographs(digits, photograph, seed):
    """Each digit somewhere in a patch of the photograph, uint8 (n, SIDE, SIDE, 3)."""
    random, patches = np.random.default_rng(seed), []
    for digit in digits:
        top, left = (random.integers(0, side - SIDE) for side in photograph.shape[:2])
        patch = photograph[top : top + SIDE, left : left + SIDE] * 0.5
        row, column = random.integers(0, SIDE - 8 + 1, 2)
        ink = digit[..., None] / 16
        patch[row : row + 8, column : column + 8] *= 1 - ink
        patch[row : row + 8, column : column + 8] += 255 * ink
        patches.append(patch)
    return np.stack(patches).astype(np.uint8)


if scale.full:
    from train.data import prepare

    prepare("cifar10")
    recipe = train.recipe("cifar10_resnet20")
else:
    digits, photographs = load_digits(), load_sample_images().images
    rows = np.random.default_rng(0).permutation(len(digits.images))
    parts = {"": rows[:-360], "test_": rows[-360:]}
    arrays = {}
    for number, (part, chosen) in enumerate(parts.items()):
        arrays[f"{part}image"] = in_photographs(digits.images[chosen], photographs[number], seed=number)
        arrays[f"{part}label"] = digits.target[chosen].astype(np.int32)
    np.savez(runs / "photographs.npz", **arrays)
    recipe = train.recipe(
        "cifar10_resnet20",
        {
            "model.name": "cifar_resnet8",
            "data.source": f"npz:{runs / 'photographs.npz'}",
            "data.batch_size": 32,
            "data.eval_batch_size": 360,
            "optimizer.learning_rate": 0.1,
            "augment.pad_crop": 3,
            "augment.flip": False,
        },
        name="photographs",
        epochs=8,
        eval_every=4,
    )

held_out = load(recipe.data, "test")
names = held_out.facts.classes or [str(label) for label in range(10)]
pictures, labels = (held_out.read(np.arange(200))[field] for field in ("image", "label"))

figure, axes = plt.subplots(1, 10, figsize=(11, 1.5), layout="constrained")
for cell, picture, label in zip(axes, pictures, labels, strict=False):
    cell.imshow(picture)
    cell.set_title(names[label], fontsize=9)
    cell.set_axis_off()
plt.show()

# %%
outcome = train.fit(recipe, runs / "network")
outcome

# %% [markdown]
# ## What does each layer learn? (three slides of this title, L38)
#
# The first filters act on pixels, so they are pictures themselves: edges and colours. Behind them a channel is a map
# of where in the image its pattern is. Here are the strongest channels of each stage for one image. The maps get
# smaller and more abstract: the first stage still draws the photograph, the last says where something is that
# matters.

# %%
from zoo.convnets.looking import feature_maps, first_layer_filters, grad_cam

run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
images = preprocess(recipe.augment, run.spec)({"image": jnp.asarray(pictures)})["image"]
logits = jax.jit(model.apply)(variables, images)
predicted = np.asarray(logits.argmax(axis=-1))
probability = np.asarray(jax.nn.softmax(logits)[np.arange(len(labels)), labels])
right = np.flatnonzero(predicted == labels)
right = right[probability[right] >= np.median(probability[right])]  # the surer half
first = right[0]

filters = np.asarray(first_layer_filters(model, variables, images.shape[1:]))
figure, axes = plt.subplots(2, 8, figsize=(7, 1.9), layout="constrained")
for cell, picture in zip(axes.ravel(), filters, strict=True):
    cell.imshow(picture)
    cell.set_axis_off()
figure.suptitle("all filters of the first convolution", fontsize=10)
plt.show()

# %%
stages = [name for name in zoo.feature_info(model, images.shape[1:]) if name.startswith("st")]
SHOWN = 7
figure, axes = plt.subplots(len(stages), SHOWN + 1, figsize=(9, 1.2 * len(stages)), layout="constrained")
for row, stage in zip(axes, stages, strict=True):
    maps = np.asarray(feature_maps(model, variables, images[first : first + 1], stage))[0]
    row[0].imshow(pictures[first])
    row[0].set_ylabel(f"{stage}\n{maps.shape[0]} x {maps.shape[1]}, {maps.shape[2]}", fontsize=8)
    row[0].set(xticks=[], yticks=[])
    for cell, channel in zip(row[1:], np.argsort(-maps.max(axis=(0, 1))), strict=False):
        cell.imshow(maps[..., channel], cmap="magma")
        cell.set_axis_off()
plt.show()

# %% [markdown]
# **Exercise 1.** What does the network look at? Cover a part of the image and see how far the score of its class
# falls (Zeiler and Fergus, 2014). Slide a square of `size` pixels over the image, `stride` pixels at a time, fill it
# with `value`, and note the fall of the score for each place. `score` takes one image `(height, width, channels)` and
# gives one number. *Hint:* cover a copy; a side of 24 pixels has (24 - size) // stride + 1 places.

# %%
from zoo.exercises.convnets import check_occlusion


def my_occlusion(score, image, size, stride, value):
    """A map (rows, columns): the score of the whole image less that with a square covered."""
    ...  # yours


check_occlusion(my_occlusion)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_occlusion(score, image, size, stride, value):
    image = np.asarray(image)
    rows, columns = ((side - size) // stride + 1 for side in image.shape[:2])
    whole, drops = float(score(image)), np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            covered = image.copy()
            covered[row * stride : row * stride + size, column * stride : column * stride + size] = value
            drops[row, column] = whole - float(score(covered))
    return drops


assert check_occlusion(solved_occlusion), check_occlusion(solved_occlusion)

# %% [markdown]
# Occlusion asks the network hundreds of times. Grad-CAM (Selvaraju et al., 2017) asks once: the maps of a stage, each
# weighed by how much it raises the score. Both should point at the digit; the stage is the last but one, whose maps
# are still fine enough to show a place.


# %% tags=["picture"]
@jax.jit
def score(image, label):
    return model.apply(variables, image[None])[0, label]


shown = right[:8]
evidence = np.asarray(grad_cam(model, variables, images[shown], "stage2", jnp.asarray(labels[shown])))
figure, axes = plt.subplots(3, len(shown), figsize=(1.25 * len(shown), 3.9), layout="constrained")
for number, (place, column) in enumerate(zip(shown, axes.T, strict=True)):
    image, label = np.asarray(images[place]), int(labels[place])
    fall = solved_occlusion(lambda covered, label=label: score(covered, label), image, 6, 2, float(image.mean()))
    column[0].imshow(pictures[place])
    column[0].set_title(names[label], fontsize=10)
    for cell, heat, alpha in ((column[1], np.maximum(fall, 0), 0.65), (column[2], evidence[number], 0.65)):
        side = image.shape[0]
        edge = 2 if cell is column[1] else 0  # the first and last square's centres stand inside
        cell.imshow(pictures[place])
        extent = (edge - 0.5, side - edge - 0.5, side - edge - 0.5, edge - 0.5)
        cell.imshow(heat, cmap="magma", alpha=alpha, extent=extent, interpolation="bilinear")
        cell.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
for cell, name in zip(axes[:, 0], ("image", "occlusion", "Grad-CAM"), strict=True):
    cell.set_ylabel(name)
for cell in axes.ravel():
    cell.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Residual connections (slide "Improving ConvNets: Residual connections", L39)
#
# *What looks weird about the lines in the figures?* A network of 56 layers has a higher **training** error than one
# of 20. It is not overfitting, it is harder to optimise. Here is that experiment, small enough to watch: 8 and 20
# layers on 320 digits (in the `full` scale 20 and 56 on part of CIFAR-10), plain ones and ones with residual
# connections, which have exactly as many parameters. `python -m train experiment residual` is the published one.

# %%
shallow, deep = scale.pick((8, 20), (20, 56))
small = train.recipe(
    "digits",
    {
        "model.name": "cifar_resnet20",
        "data.limit": 320,
        "data.batch_size": 32,
        "augment.pad_crop": 0,
        "augment.rotate": 0.0,
        "optimizer.learning_rate": 0.03,
        "optimizer.weight_decay": 1e-4,
    },
    epochs=6,
    eval_every=6,
    log_every=2,
    checkpoint_every=1000,
)
base = scale.pick(small, residual.QUICK)
arms = {}
for depth in (shallow, deep):
    for kind, shortcut in (("plain", "none"), ("residual", "A")):
        options = (f"depth={depth}", f"shortcut={shortcut}")
        arms[kind, depth] = train.fit(train.recipe(base, {"model.options": options}), runs / f"{kind}-{depth}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for (kind, depth), arm in arms.items():
    lines = arm.history()
    losses = [line["loss"] for line in lines]
    cell = axes[0 if kind == "plain" else 1]
    colour, width = ("tab:orange", 2) if depth == deep else ("tab:blue", 1.3)
    cell.plot([line["step"] for line in lines], losses, color=colour, lw=width, label=f"{kind}-{depth}")
    error = 100 - 100 * arm.metrics["accuracy"]
    print(f"{kind}-{depth}: last training loss {losses[-1]:.3f}, held-out error {error:.1f} %")
for cell in axes:
    cell.set(xlabel="step", ylim=(0, None))
    cell.legend()
axes[0].set_ylabel("training loss")
plt.show()

# %% [markdown]
# ## F(x) = H(x) - x (slide "ResNet: Main idea", L40, E11)
#
# "If anything, the optimizer can simply set the weights to 0." Then F(x) = 0 and the unit is the identity: more
# layers, the same function. So a deeper residual network *can* be as good as a shallower one. **Erratum E11:** the
# slide says that this leads to "at least lower training error"; it is *at most equal*: never higher, if the optimizer
# finds it.
#
# Below each stage of the trained residual network gets one more unit, whose last scale is zero. Its logits stay the
# same, but for rounding.

# %%
random = np.random.default_rng(0)
arm = open_run(arms["residual", shallow].workdir)
shallow_model, shallow_variables = arm.model(), arm.variables()[1]
deep_model = zoo.create("cifar_resnet20", depth=shallow + 6)
shape = arm.spec["image"].shape
shapes = jax.eval_shape(deep_model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *shape), jnp.float32))
trained = flatten_dict(shallow_variables, sep="/")
grown = {}
for name, leaf in flatten_dict(shapes, sep="/").items():
    of_new_unit = np.zeros(leaf.shape) if name.endswith(("norm2/scale", "bias")) else random.uniform(0.1, 1, leaf.shape)
    grown[name] = trained.get(name, np.float32(of_new_unit))  # whatever the other weights are, F(x) = 0
grown = unflatten_dict(grown, sep="/")

batch = load(arm.recipe.data, "test").read(np.arange(100))
batch = preprocess(arm.recipe.augment, arm.spec)({"image": jnp.asarray(batch["image"])})["image"]
before = jax.jit(shallow_model.apply)(shallow_variables, batch)
after = jax.jit(deep_model.apply)(grown, batch)
figure, axes = plt.subplots(figsize=(3.2, 3.2), layout="constrained")
axes.plot(np.ravel(before), np.ravel(after), ".", ms=3)
axes.set(xlabel=f"logits of {shallow} layers", ylabel="logits with 3 identity units more")
axes.set_aspect("equal")
plt.show()
print("largest difference:", float(jnp.abs(before - after).max()))

# %% [markdown]
# ## The sum of all residuals (slide "ResNet", L41, E12)
#
# Beside the 34-layer network stands $x_L = x_l + \sum_{i=l}^{L-1} F(x_i)$. **Erratum E12:** that is not true of that
# network, which has a ReLU after each addition. It is exact where nothing follows the addition, as with
# pre-activation, and inside a stage, where no shortcut changes the shape. The library's units keep their F(x) in the
# collection "intermediates", so we add them up, for each of the five units of the next section.

# %%
from zoo.convnets.residual_units import UNITS, ResidualUnit, Stage, basic_branch


def misfit(unit):
    """How far x_L is from x_l + the sum of F(x_i), relative to x_L, over three units of a new stage."""
    conv = functools.partial(zoo.nn.Conv, use_bias=False)
    stage = Stage(4 * (basic_branch(8),), conv, zoo.nn.BatchNorm, unit, "A", opens_network=True)
    start = jax.random.normal(jax.random.key(0), (2, 8, 8, 8))
    parameters = stage.init(jax.random.key(1), start, train=False)
    keep = {"mutable": ["intermediates"], "capture_intermediates": lambda module, _: isinstance(module, ResidualUnit)}
    x, state = stage.apply(parameters, start, train=False, **keep)
    first, *blocks = state["intermediates"].values()
    total = first["__call__"][0] + sum(block["residual"][0] for block in blocks)
    return float(jnp.linalg.norm(x - total) / jnp.linalg.norm(x))


misfits = {unit: misfit(unit) for unit in UNITS}
figure, axes = plt.subplots(figsize=(7, 2.2), layout="constrained")
bars = axes.barh(list(misfits), [max(found, 1e-8) for found in misfits.values()])
axes.bar_label(bars, [f" {found:.1g}" for found in misfits.values()], fontsize=8)
axes.set(xscale="log", xlim=(1e-8, 30), xlabel="relative error of the formula")
axes.invert_yaxis()
plt.show()

# %% [markdown]
# ## Where norm and ReLU stand (slide "ResNext", table of residual units, L43)
#
# The slide's table: test errors on CIFAR-10 of five units, for 110 and 164 layers. Two are clearly worse than the
# original: one normalises the sum itself, so nothing passes unchanged; in the other a ReLU ends F(x), which can then
# only add and never subtract. Full pre-activation is the best: norm and ReLU stand in F alone, before its
# convolutions.

# %%
figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
for number, (depth, colour) in enumerate(((110, "tab:blue"), (164, "tab:orange"))):
    errors = [pair[number] for pair in units.PAPER_TEST_ERROR.values()]
    bars = axes.barh(np.arange(5) + 0.38 * number, errors, height=0.36, color=colour, label=f"ResNet-{depth}")
    axes.bar_label(bars, [f" {error:.2f}" for error in errors], fontsize=8)
axes.set(yticks=np.arange(5) + 0.19, yticklabels=list(units.PAPER_TEST_ERROR), xlim=(4, 9), xlabel="test error (%)")
axes.invert_yaxis()
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## Aggregated paths (slide "ResNext", L44 to L46, E13)
#
# **Erratum E13:** it is called ResNeXt. Its block has 32 paths 256 → 4 → 4 → 256 where ResNet's has one 256 → 64 → 64
# → 256, "with roughly the same complexity". The 32 narrow paths are the same as one of 128 channels whose 3x3
# convolution has 32 *groups*: each filter sees its own group alone.
#
# **Exercise 2.** How many weights has a convolution of `inputs` to `outputs` channels with a square `window` and this
# many `groups`, without bias? *Hint:* each of the `outputs` filters sees `inputs / groups` channels.

# %%
from zoo.exercises.convnets import check_conv_parameters


def my_conv_parameters(inputs, outputs, window, groups):
    """A number of weights."""
    ...  # yours


check_conv_parameters(my_conv_parameters)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_conv_parameters(inputs, outputs, window, groups):
    return outputs * (inputs // groups) * window**2


assert check_conv_parameters(solved_conv_parameters), check_conv_parameters(solved_conv_parameters)

# %% [markdown]
# So the two blocks of the slide's figure have 69,632 and 70,144 weights. Its Table 4 compares networks so: two of the
# same cost, then four that cost twice as many operations, spent on depth (ResNet-200), on width (1 x 100d), on width
# of two paths, and on more paths. More paths are spent best.

# %%
for paths, width in ((1, 64), (32, 4)):
    inner = paths * width
    layers = ((256, inner, 1, 1), (inner, inner, 3, paths), (inner, 256, 1, 1))
    print(f"{paths} x {width}d: {sum(solved_conv_parameters(*layer) for layer in layers):,} weights")

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for label, (name, errors) in cardinality.PAPER_ARMS.items():
    parameters, top1 = count_parameters(name) / 1e6, float(errors.partition(" /")[0])
    axes.plot(parameters, top1, "o", color="tab:orange" if "ResNeXt" in label else "tab:blue")
    axes.annotate(label, (parameters, top1), xytext=(6, 3), textcoords="offset points", fontsize=8)
axes.set(
    xlabel="parameters (million), counted here", ylabel="top-1 error (%), Table 4", xlim=(40, 102), ylim=(20, 22.5)
)
plt.show()

# %% [markdown]
# ## Dense connections (slide "Improving ConvNets: Dense connections", L47)
#
# DenseNet connects all pairs of layers of a block: each sees the features of all before it, and adds only a few, its
# growth rate. So it has few parameters for its depth; but all those features are kept, hence the slide's "loss of
# simplicity and speed". The picture shows how many channels each layer of DenseNet-121 sees, and each unit of
# ResNet-50; DenseNet's many layers are narrow: 32 channels each.

# %%
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for name, colour in (("densenet121", "tab:green"), ("resnet50", "tab:blue")):
    network, image = zoo.create(name), jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    shapes = flatten_dict(jax.eval_shape(network.init, jax.random.key(0), image)["params"])
    places = [path for path in shapes if path[-2:] == ("conv1", "kernel")]
    places = sorted(places, key=lambda path: (path[0], int("".join(filter(str.isdigit, path[1])))))
    axes.step(range(1, len(places) + 1), [shapes[path].shape[2] for path in places], color=colour, label=name)
    millions = sum(leaf.size for leaf in shapes.values()) / 1e6
    print(f"{name}: {millions:.1f} million parameters, top-1 {zoo.pretrained(name).top1:.1f} %")
axes.set(xlabel="layer (DenseNet) or unit (ResNet)", ylabel="channels that it sees")
axes.legend()
plt.show()

# %% [markdown]
# ## The family today (slide "Recent overview of ConvNets", L48)
#
# All of these are in the catalog, with the accuracy that torchvision published for their weights. Parameters are
# counted here, from the shapes alone. More parameters are not better by themselves: VGG-16 has 138 million, and
# EfficientNet-B0 is better with a 26th of them.

# %%
FAMILY = {
    "until 2014": ("alexnet", "vgg16", "googlenet"),
    "residual and dense": ("resnet18", "resnet50", "resnext101_32x8d", "densenet121"),
    "small": ("squeezenet1_1", "mobilenet_v2", "efficientnet_b0"),
    "recent": ("convnext_tiny", "vit_b_16", "swin_t"),
}
figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
for family, members in FAMILY.items():
    points = [(count_parameters(name) / 1e6, zoo.pretrained(name).top1) for name in members]
    axes.scatter(*zip(*points, strict=True), label=family)
    for name, point in zip(members, points, strict=True):
        axes.annotate(name, point, xytext=(5, 3), textcoords="offset points", fontsize=8)
axes.set(xscale="log", xlim=(1, 330), xlabel="parameters (million)", ylabel="ImageNet top-1 (%), published")
axes.legend(loc="lower right", fontsize=8)
plt.show()

# %% [markdown]
# ## Batch normalisation, in training and after (slide "ConvNets in practice", L18)
#
# Batch norm makes each channel's mean zero and its variance one, then scales and shifts it. In training, mean and
# variance are those of the *batch*, and running averages of them are kept; at evaluation the running ones are used.
# So in training an image's result depends on the images beside it. Here is one image in many random batches: the
# fewer images, the further is what the network says of it from what it says at evaluation. Forgetting to switch to
# evaluation is a usual mistake.

# %%
sizes, times = (2, 4, 16, 64), 30
in_batch = jax.jit(
    lambda batch: model.apply(variables, batch, train=True, mutable=["batch_stats"])[0][0, labels[first]]
)
random = np.random.default_rng(0)
others = np.delete(np.arange(len(images)), first)
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for place, size in enumerate(sizes):
    batches = [np.r_[first, random.choice(others, size - 1, replace=False)] for _ in range(times)]
    found = [float(in_batch(images[rows])) for rows in batches]
    axes.plot(place + random.uniform(-0.15, 0.15, times), found, ".", color="tab:blue", alpha=0.6)
axes.axhline(float(logits[first, labels[first]]), color="tab:orange", label="at evaluation")
axes.set(xticks=range(len(sizes)), xticklabels=sizes, xlabel="images in the batch", ylabel="logit of the right class")
axes.legend()
plt.show()

# %% [markdown]
# **Exercise 3.** Write batch norm of maps `x` `(batch, height, width, channels)`. Return the result, and mean and
# variance as they are kept from now on. In training a kept value is nine tenths of the old one and a tenth of the
# batch's; at evaluation both stay. Add 1e-5 to the variance. *Hint:* a channel's statistics are over the first three
# axes.

# %%
from zoo.exercises.convnets import check_batch_norm


def my_batch_norm(x, scale, bias, mean, var, train):
    """The result, the new mean and the new variance."""
    ...  # yours


check_batch_norm(my_batch_norm)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_batch_norm(x, scale, bias, mean, var, train):
    used = mean, var
    if train:
        used = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
        mean, var = (0.9 * old + 0.1 * new for old, new in zip((mean, var), used, strict=True))
    return (x - used[0]) / np.sqrt(used[1] + 1e-5) * scale + bias, mean, var


assert check_batch_norm(solved_batch_norm), check_batch_norm(solved_batch_norm)

# %% [markdown]
# What to do next: `python -m train explain RUN IMAGE` draws all of this for one image, and the next notebook takes a
# network that others trained and teaches it your images.
