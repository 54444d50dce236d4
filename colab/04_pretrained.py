# %% [markdown]
# # A pretrained network on your images
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/04_pretrained.ipynb)
#
# You take a network that others trained, give it images as it wants them, and teach it *your* images from a handful
# of each class: first a new last layer alone, then all layers, the lower ones slower. You compare that with learning
# from scratch, save the result, and predict pictures of your own. The lecture asks "What does each layer learn?"
# (slides of this title, row L38): here is what that is good for. In the `quick` scale nothing is downloaded: a small
# network learns the digits 0 to 6 first, and then has to learn 7, 8 and 9 from five images each. In the `full` scale
# it is a ResNet-18 that knows ImageNet. Three exercises check themselves.

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
import tempfile
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

import train
import zoo
from train.data import load, preprocess
from zoo.weights import NewHeadWarning

runs = Path(tempfile.mkdtemp())  # gone with this machine

# %% [markdown]
# ## Your images
#
# Images lie in a folder for each class: `flowers/rose/*.jpg`, `flowers/tulip/*.jpg`. That is all. To use your own,
# change the line `MY_IMAGES`; in Colab, mount your Drive first with `from google.colab import drive;
# drive.mount("/content/drive")`. A fifth of each class is held out; or make the folders `train` and `val` yourself.
# With photographs of your own choose the `full` scale: `%env NOTEBOOK_SCALE=full` in a cell above the first, and
# restart.

# %%
MY_IMAGES = None  # or a folder, such as "/content/drive/MyDrive/flowers"

# %% [markdown]
# Without one, the next cell writes a folder: digits of 8 x 8 pixels, each in a darkened patch of a photograph of 16 x
# 16. `mine` has the digits 7, 8 and 9, in photographs that are not those of `known`, from which the small network
# learns first.

# %%
SIDE, HELD_OUT = 16, 60
digits, photographs = load_digits(), load_sample_images().images


def write_folder(root, classes, photograph, most, seed=0):
    """Writes root/train/CLASS/*.png, at most so many a class, and root/val/CLASS/*.png."""
    random = np.random.default_rng(seed)
    for label in classes:
        rows = random.permutation(np.flatnonzero(digits.target == label))
        for part, chosen in (("train", rows[HELD_OUT:][:most]), ("val", rows[:HELD_OUT])):
            folder = root / part / str(label)
            folder.mkdir(parents=True)
            for row in chosen:
                top, left = (random.integers(0, side - SIDE) for side in photograph.shape[:2])
                patch = photograph[top : top + SIDE, left : left + SIDE] * 0.5
                place = tuple(slice(start, start + 8) for start in random.integers(2, SIDE - 9, 2))
                ink = digits.images[row][..., None] / 16
                patch[place] = patch[place] * (1 - ink) + 255 * ink
                Image.fromarray(patch.astype(np.uint8)).save(folder / f"{row}.png")


write_folder(runs / "known", range(7), photographs[0], most=200)
write_folder(runs / "mine", range(7, 10), photographs[1], most=20)
folder = Path(MY_IMAGES or runs / "mine")

# %% [markdown]
# A recipe reads the folder by `folder:PATH`. Images may be of any size: here `data.canvas` resizes whole ones onto a
# square, in the `full` scale `data.crop` cuts windows of 224 pixels, as for ImageNet. We start from the zoo's recipe
# for transfer, and train on `PER_CLASS` images of each class alone.

# %%
NETWORK = scale.pick("cifar_resnet8", "resnet18")
PER_CLASS = 5
framing = scale.pick(
    {"data.canvas": SIDE, "data.crop": 0, "augment.pad_crop": 2},
    {"data.crop": 224, "data.resize": 256},
)
shared = {
    "model.name": NETWORK,
    "data.source": f"folder:{folder}",
    "data.limit": None,
    "data.eval_batch_size": 60,
    "augment.flip": MY_IMAGES is not None,  # a mirrored digit is none
    **framing,
}
look = train.recipe("transfer_frozen", shared)
sources = {split: load(look.data, split) for split in ("train", "test")}
classes = sources["train"].facts.classes
shared["data.limit"] = PER_CLASS * len(classes)
shared["data.batch_size"] = min(32, PER_CLASS * len(classes))
print({split: len(source) for split, source in sources.items()}, "images of", ", ".join(classes))

figure, axes = plt.subplots(len(classes), 10, figsize=(9, 0.95 * len(classes)), layout="constrained", squeeze=False)
labels = np.array([sources["train"].peek(row, "label") for row in range(len(sources["train"]))])
for label, cells in enumerate(axes):
    for cell in cells:
        cell.set(xticks=[], yticks=[])
    for cell, row in zip(cells, np.flatnonzero(labels == label), strict=False):
        cell.imshow(sources["train"][row]["image"])
    cells[0].set_ylabel(classes[label])
plt.show()

# %% [markdown]
# ## A pretrained network
#
# The catalog knows which weights are published, how well they do, and how they want their images.
# `zoo.load_weights("resnet18", "IMAGENET1K_V1")` fetches them from torchvision once and compares their sha256;
# `zoo.preprocess` is the transform that they were evaluated with. Giving a network other images than it learned from
# is the usual reason why it "does not work".

# %%
published = zoo.pretrained("resnet18")
print(f"{published.name}: {len(published.class_names)} classes, top-1 {published.top1} %, as published")
print(published.preprocessing)

transform = zoo.preprocess("resnet18")
figure, axes = plt.subplots(1, 4, figsize=(11, 2.4), layout="constrained", width_ratios=(1.5, 1, 1.5, 1))
mean, std = (np.array(values) for values in (published.preprocessing.mean, published.preprocessing.std))
for (left, right), photograph in zip(axes.reshape(2, 2), photographs, strict=True):
    seen = transform(photograph)
    left.imshow(photograph)
    left.set_title("{} x {} pixels".format(*photograph.shape[:2]), fontsize=9)
    right.imshow(np.clip(seen * std + mean, 0, 1))
    right.set_title(f"{seen.shape[0]} x {seen.shape[1]}, {seen.min():.1f} to {seen.max():.1f}", fontsize=9)
    left.set_axis_off()
    right.set_axis_off()
plt.show()

# %% [markdown]
# **Exercise 1.** Do it by hand, but for the resizing: cut the central square of `crop` pixels a side out of uint8
# `pixels` `(height, width, 3)`, scale it to [0, 1], subtract the mean and divide by the standard deviation of each
# channel. *Hint:* the square's top is `round((height - crop) / 2)`.

# %%
from zoo.exercises.pretrained import check_prepare


def my_prepare(pixels, crop, mean, std):
    """What the network takes, (crop, crop, 3)."""
    ...  # yours


check_prepare(my_prepare)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_prepare(pixels, crop, mean, std):
    top, left = (round((side - crop) / 2) for side in pixels.shape[:2])
    return (pixels[top : top + crop, left : left + crop] / 255 - mean) / std


assert check_prepare(solved_prepare), check_prepare(solved_prepare)

# %% [markdown]
# In the `full` scale the weights are fetched, and the network says what is in the two photographs. In the `quick` one
# our small network learns the digits 0 to 6 now, from 200 images each. Either way `weights` is then what
# `zoo.load_weights` and a recipe's `weights` take: the name of published weights, or a file.

# %%
if scale.full:
    weights = published.name
    variables = zoo.load_weights(NETWORK, weights)
    logits = zoo.create(NETWORK).apply(variables, jnp.stack([transform(photograph) for photograph in photographs]))
    for scores in np.asarray(jax.nn.softmax(logits)):
        print(", ".join(f"{published.class_names[i]} {100 * scores[i]:.0f} %" for i in np.argsort(-scores)[:5]))
    known_classes = len(published.class_names)
else:
    changes = {
        **shared,
        "data.source": f"folder:{runs / 'known'}",
        "data.limit": None,
        "data.batch_size": 64,
        "augment.flip": False,
        "optimizer.learning_rate": 5e-3,
        "optimizer.layer_decay": 1.0,
    }
    recipe = train.recipe("transfer_finetuned", changes, name="known", weights=None, epochs=12, eval_every=6)
    before = train.fit(recipe, runs / "before")
    weights = str(before.workdir / "model.safetensors")
    known_classes = 7
    print(before)

# %% [markdown]
# ## What its features know (slides "What does each layer learn?", L38)
#
# `num_classes=0` leaves the last layer out: the network gives the features that it makes of an image. It never saw
# our classes. Do they lie apart in these features all the same? Below is the plane in which the held-out images
# differ most, for the pretrained network and for the same network before any training. A plane shows two of many
# dimensions; how much there is in all of them, the next section measures.

# %%
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

shape = tuple(sources["test"][0]["image"].shape)
headless = zoo.create(NETWORK, num_classes=0)
bodies = {
    "pretrained": zoo.load_weights(NETWORK, weights, shape, num_classes=0),
    "untrained": zoo.init(headless, jax.random.key(1), shape),
}
normalise = preprocess(look.augment, sources["test"].spec)


@jax.jit
def features_of(variables, images):
    return headless.apply(variables, normalise({"image": images})["image"])


def features(variables, source, rows):
    return np.concatenate(
        [
            np.asarray(features_of(variables, source.read(part)["image"]))
            for part in np.array_split(rows, -(-len(rows) // 60))
        ]
    )


rows = {split: np.arange(min(len(source), 600)) for split, source in sources.items()}
true = {split: np.array([source.peek(row, "label") for row in rows[split]]) for split, source in sources.items()}
known = {
    name: {split: features(variables, sources[split], rows[split]) for split in sources}
    for name, variables in bodies.items()
}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for cell, (name, found) in zip(axes, known.items(), strict=True):
    plane = PCA(2).fit_transform(StandardScaler().fit_transform(found["test"]))
    for label, said in enumerate(classes):
        cell.plot(*plane[true["test"] == label].T, ".", label=said)
    cell.set(title=name, xticks=[], yticks=[])
axes[1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## A linear probe
#
# The quickest way to use a pretrained network: compute the features once, and fit a linear classifier on them, here
# scikit-learn's logistic regression. No gradient goes through the network. How many images of each class does it
# need? A gap between the lines is what was learned from *other* classes.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def probe(found, count, seed):
    """The held-out accuracy of a linear classifier, from so many images of each class."""
    random = np.random.default_rng(seed)
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(true["train"] == label))[:count] for label in range(len(classes))]
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    linear.fit(found["train"][chosen], true["train"][chosen])
    return linear.score(found["test"], true["test"])


counts = [count for count in (1, 2, 5, 10, 20, 50) if count <= np.bincount(true["train"]).min()]
probes = {name: [[probe(found, n, seed) for seed in range(5)] for n in counts] for name, found in known.items()}
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
for name, scores in probes.items():
    axes.errorbar(counts, 100 * np.mean(scores, 1), 100 * np.std(scores, 1), marker="o", capsize=3, label=name)
axes.axhline(100 / len(classes), color="gray", ls=":", label="chance")
axes.set(xlabel="images of each class", ylabel="held-out accuracy (%)", xscale="log", xticks=counts, xticklabels=counts)
axes.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# ## A new head
#
# To train the network itself for other classes, its last layer is replaced.
#
# **Exercise 2.** `variables` are two dictionaries, `params` and `batch_stats`. Return the same with a new
# `params["head"]`: a `kernel` of (inputs, `classes`) with random numbers of standard deviation
# $1/\sqrt{\text{inputs}}$, drawn with `key`, and a `bias` of zeros. Leave what you were given as it is. *Hint:*
# `{**old, "name": new}` is a copy with one entry changed; `jax.random.normal(key, shape)`.

# %%
from zoo.exercises.pretrained import check_new_head


def my_new_head(variables, classes, key):
    """The variables with a new last layer."""
    ...  # yours


check_new_head(my_new_head)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_new_head(variables, classes, key):
    inputs = len(variables["params"]["head"]["kernel"])
    kernel = jax.random.normal(key, (inputs, classes)) / jnp.sqrt(inputs)
    head = {"kernel": kernel, "bias": jnp.zeros(classes)}
    return {**variables, "params": {**variables["params"], "head": head}}


assert check_new_head(solved_new_head), check_new_head(solved_new_head)

# %% [markdown]
# `zoo.load_weights` does it by itself, and says so with a warning; so does a recipe that has `weights`.

# %%
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    theirs = zoo.load_weights(NETWORK, weights, shape, num_classes=len(classes))
print(said[0].message)
ours = solved_new_head(
    zoo.load_weights(NETWORK, weights, shape, num_classes=known_classes), len(classes), jax.random.key(0)
)
print(jax.tree.map(jnp.shape, theirs["params"]["head"]), jax.tree.map(jnp.shape, ours["params"]["head"]))
warnings.simplefilter("ignore", NewHeadWarning)  # from here on it is what we want

# %% [markdown]
# ## Frozen or fine-tuned
#
# Two ways to train it. **Frozen**: `freeze=("*", "!head/*")` moves the head alone; that is a linear probe again,
# inside the network, and is hard to spoil. **Fine-tuned**: all layers move, and more can be learned; but much of what
# the network knew can be lost, so the lower layers, which are the most general, move slower: `layer_decay=0.8`
# multiplies the learning rate from each layer to the one below.
#
# **Exercise 3.** The learning rates of `layers` layers, from the input to the head: the head's is `peak`, and each
# layer's is `decay` times that of the layer above it.

# %%
from zoo.exercises.pretrained import check_learning_rates


def my_learning_rates(layers, peak, decay):
    """As many learning rates, from the input to the head."""
    ...  # yours


check_learning_rates(my_learning_rates)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_learning_rates(layers, peak, decay):
    return peak * decay ** np.arange(layers - 1, -1, -1.0)


assert check_learning_rates(solved_learning_rates), check_learning_rates(solved_learning_rates)

# %%
from train.engine.transfer import layers

model = zoo.create(NETWORK, num_classes=len(classes))
number = layers(model, (jax.ShapeDtypeStruct((1, *shape), jnp.float32),))
names = {}
for path, layer in number.items():
    names.setdefault(layer, path.rsplit("/", 2)[0] if path.count("/") > 2 else path.split("/")[0])
names = {layer: "/".join(name.split("/")[:2]) for layer, name in names.items()}
figure, axes = plt.subplots(figsize=(6, 0.3 * len(names) + 0.6), layout="constrained")
rates = solved_learning_rates(len(names), 3e-3, 0.8)
axes.barh([names[layer] for layer in sorted(names)], rates)
axes.set(xlabel="learning rate at its peak")
plt.show()

# %% [markdown]
# Now three runs on the same few images: from scratch, frozen, fine-tuned. Each takes seconds, or a minute or two on a
# GPU.

# %%
rate = scale.pick(3e-3, 1e-3)
changes = {
    "scratch": ("transfer_finetuned", None, {"optimizer.learning_rate": rate, "optimizer.layer_decay": 1.0}),
    "frozen": ("transfer_frozen", weights, {"optimizer.learning_rate": 10 * rate}),
    "fine-tuned": ("transfer_finetuned", weights, {"optimizer.learning_rate": rate}),
}
outcomes = {}
for name, (base, start, changed) in changes.items():
    options = {"weights": start, "epochs": 40, "eval_every": 8, "checkpoint_every": 1000}
    recipe = train.recipe(base, {**shared, **changed}, name=name, **options)
    outcomes[name] = train.fit(recipe, runs / name)

# %% tags=["picture"]
learned = load(recipe.data, "train")
taught = learned.read(np.arange(len(learned)))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", width_ratios=(2, 3))
by_class = [taught["image"][taught["label"] == label][:PER_CLASS] for label in range(min(len(classes), 4))]
left.imshow(np.concatenate([np.concatenate(list(images), axis=1) for images in by_class]))
left.set_axis_off()
left.set_title(f"{PER_CLASS} images of each of {len(classes)} classes", fontsize=10)
for name, outcome in outcomes.items():
    lines = outcome.history("eval")
    scores = [100 * line["accuracy"] for line in lines]
    right.plot([line["epoch"] for line in lines], scores, "o-", label=f"{name}: {scores[-1]:.0f} %")
right.axhline(100 / len(classes), color="gray", ls=":", label="chance")
right.set(xlabel="epoch", ylabel="held-out accuracy (%)", ylim=(0, 100))
right.legend(loc="lower left", ncols=4, fontsize=8, columnspacing=1)
plt.show()

# %% [markdown]
# From scratch so few images teach the network what *these* images look like; the pretrained one knew where to look.
# With more images the lines come together. Measured at another scale (`python -m train fit transfer_frozen`):
# SqueezeNet with ImageNet's weights and 50 images of each class of CIFAR-10 has 68.9 % frozen, 73.1 % fine-tuned
# after that, and 26.9 % from scratch.
#
# The outcome of a run shows its report: curves, confusions, the images that it got wrong.

# %%
outcomes["fine-tuned"]

# %% [markdown]
# ## Save it, load it
#
# A run leaves `model.safetensors`, which `zoo.load_weights` reads. `zoo.save_weights` writes any variables, also with
# the names that torchvision uses, where the catalog knows such a layout: then PyTorch can load them.

# %%
best = outcomes["fine-tuned"].workdir
variables = zoo.load_weights(NETWORK, best / "model.safetensors", shape, num_classes=len(classes))
zoo.save_weights(variables, runs / "mine.safetensors")
again = zoo.load_weights(NETWORK, runs / "mine.safetensors", shape, num_classes=len(classes))
print("the same bits:", jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), variables, again)))
print(f"{(runs / 'mine.safetensors').stat().st_size / 1e6:.2f} MB")
if scale.full:
    zoo.save_weights(variables, runs / "for_pytorch.safetensors", layout="torchvision", model=model)

# %% [markdown]
# ## Predict your own pictures
#
# `python -m train predict RUN PICTURE...` does this at the command line: any picture, of any size, is turned upright
# and resized as evaluation does. Here are some of the held-out ones; name your own files instead.

# %%
from train.use.predict import predict_images

place = folder / "val" if (folder / "val").is_dir() else folder
pictures = tuple(sorted((place / name).iterdir())[0] for name in classes)
records = predict_images(best, pictures, output=runs / "predictions")
figure, axes = plt.subplots(1, len(records), figsize=(3.2 * len(records), 1.8), layout="constrained", squeeze=False)
for cell, picture in zip(axes[0], pictures, strict=True):
    cell.imshow(Image.open(runs / "predictions" / f"{picture.stem}.png"))
    cell.set_axis_off()
plt.show()
