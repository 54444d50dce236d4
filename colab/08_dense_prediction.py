# %% [markdown]
# # Dense prediction: a value for every pixel
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/08_dense_prediction.ipynb)
#
# You label every pixel of an image, with a network that begins coarse and becomes fine, write the overlap by which that
# is judged and the transposed convolution that enlarges maps, and label a photo of yours. Then you see where every
# pixel moves, from one frame to the next, and what an image does not show: depth, the direction of surfaces, paint and
# light. Slides "Semantic segmentation" to "Deconvolution", rows L61 to L66; errata E19 and E20. The networks and
# methods are in `zoo.dense`. Three exercises check themselves.

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
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

import train
import zoo
from train.data import load, preprocess
from train.data.decode import read_picture
from train.tasks.colours import class_colour
from train.tasks.segmentation.drawing import Palette
from train.use.open_run import open_run

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine


def show(rows, titles=(), side=1.5):
    """Rows of pictures, with titles over the first one's or over each."""
    titles = [titles, *[()] * (len(rows) - 1)] if not titles or isinstance(titles[0], str) else titles
    tall = side * np.shape(rows[0][0])[0] / np.shape(rows[0][0])[1]
    size = side * len(rows[0]), tall * len(rows) + 0.25 * sum(map(bool, titles))
    _, axes = plt.subplots(len(rows), len(rows[0]), figsize=size, layout="constrained", squeeze=False)
    for cells, pictures, names in zip(axes, rows, titles, strict=True):
        for cell, picture in zip(cells, pictures, strict=True):
            cell.imshow(picture, cmap="gray", interpolation="nearest")
            cell.set_axis_off()
        for cell, name in zip(cells, names, strict=False):
            cell.set_title(name, fontsize=9)
    plt.show()


# %% [markdown]
# ## A class for every pixel (slide "Semantic segmentation", L61)
#
# The library's `scenes` are digits on a textured ground, up to eight, which cover each other. Of each scene there is a
# *label map*: of every pixel one of ten digits, or background. Two digits of one kind have one label: semantic
# segmentation tells kinds apart, not objects. Of your own images the source `label_maps:PATH` reads the same.

# %%
recipe = train.recipe("scenes_segmentation")
held_out = load(recipe.data, "test")
digits, ground = held_out.facts.classes, held_out.facts.background
palette = Palette((*digits, "background"), ground, held_out.facts.ignore)
scenes = held_out.read(np.arange(40))
images, labels = scenes["image"], scenes["label_map"]
show([images[:7], [palette.over(*pair) for pair in zip(images[:7], labels, strict=False)]])

figure, cell = plt.subplots(figsize=(7, 0.4), layout="constrained")
for label, name in enumerate(digits):
    cell.text(label, 0, name, color="white", ha="center", bbox={"facecolor": class_colour(label), "lw": 0})
cell.set(xlim=(-0.5, 9.5), ylim=(-1, 1))
cell.set_axis_off()
plt.show()

# %% [markdown]
# ## How well? (L61)
#
# Most pixels are background, so that "background everywhere" gets most pixels right. So each class is judged by itself,
# by *intersection over union*: the pixels that are of the class and labelled so, over those that are either.
#
# **Exercise 1.** `true` and `predicted` are label maps `(height, width)` of the labels `0, ..., classes - 1`. Return
# one number a class, `nan` for a class that is in neither map. *Hint:* `true == label` is where it is.

# %%
from zoo.exercises.dense import check_class_iou


def my_class_iou(true, predicted, classes):
    """Intersection over union of each class, (classes,)."""
    ...  # yours


check_class_iou(my_class_iou)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_class_iou(true, predicted, classes):
    found = []
    for label in range(classes):
        both = ((true == label) & (predicted == label)).sum()
        either = ((true == label) | (predicted == label)).sum()
        found.append(both / either if either else np.nan)
    return np.array(found)


assert check_class_iou(solved_class_iou), check_class_iou(solved_class_iou)

# %% [markdown]
# ## What a coarse map loses (L65)
#
# A network that classifies has a map that is 32 times as coarse as its image: it knows what, and hardly where. How good
# can labels from such a map be? Here true label maps are made coarser, as shares of the classes in squares of pixels,
# and enlarged again, *without any network*: that is about the best that a map of this size can do. Long et al. asked
# the same of photographs, whose objects are larger: 86 % at 32 pixels, 96 % at 8, 98.5 % at 4.

# %% tags=["picture"]
from zoo.nn.resize import resize

whole = jax.jit(lambda shares: jnp.argmax(resize(shares, labels.shape[1:]), axis=-1))
shares, STRIDES = np.eye(len(palette.names), dtype=np.float32)[labels], (16, 8, 4, 2)
best, pictures = [], []
for stride in STRIDES:
    count = labels.shape[1] // stride
    coarse = shares.reshape(len(labels), count, stride, count, stride, -1).mean(axis=(2, 4))
    again = np.asarray(whole(coarse))
    best.append(100 * np.nanmean(solved_class_iou(labels, again, len(palette.names))))
    pictures.append(palette.over(images[2], again[2]))
names = [f"1 of {stride} x {stride}: {score:.0f} %" for stride, score in zip(STRIDES, best, strict=True)]
show([[images[2], *pictures, palette.over(images[2], labels[2])]], ["image", *names, "true"])

# %% [markdown]
# ## Transposed convolution, not "deconvolution" (slide "Deconvolution", L66, E20)
#
# How does a network enlarge a map? A convolution with a stride of 2 halves it: each place gathers from a window. Turned
# around, each place *spreads* over a window, and what overlaps adds up. As a matrix that is the transpose.
#
# **Exercise 2.** In one dimension: `row` `(n,)` and `kernel` `(k,)`; value `i` adds `row[i] * kernel` to the result
# from place `stride * i` on. *Hint:* begin with zeros, `stride * (n - 1) + k` of them.

# %%
from zoo.exercises.dense import check_transposed


def my_transposed(row, kernel, stride):
    """The transposed convolution of a row."""
    ...  # yours


check_transposed(my_transposed)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_transposed(row, kernel, stride):
    result = np.zeros(stride * (len(row) - 1) + len(kernel))
    for i, value in enumerate(row):
        result[stride * i : stride * i + len(kernel)] += value * kernel
    return result


assert check_transposed(solved_transposed), check_transposed(solved_transposed)

# %% [markdown]
# What each of five values adds has a colour of its own. A kernel of four places that is a triangle gives straight lines
# between the values: that is *bilinear interpolation*, in which FCN's layers begin. With three places and a stride of 2
# every second place gets twice as much, which is seen as a checkerboard in images.

# %%
from zoo.nn.resize import bilinear_window

row = np.array([1.0, 3.0, 2.0, 0.5, 2.0])
kernels = {"two ones": np.ones(2), "three ones": np.ones(3), "bilinear": bilinear_window(4)}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.3), layout="constrained", sharey=True)
for cell, (name, kernel) in zip(axes, kernels.items(), strict=True):
    base = np.zeros(2 * (len(row) - 1) + len(kernel))
    for number in range(len(row)):
        added = solved_transposed(row * (np.arange(len(row)) == number), kernel, 2)
        cell.bar(np.arange(len(base)), added, bottom=base, width=0.9, color=f"C{number}")
        base += added
    cell.set(title=name, xlabel="place of the result", xticks=range(0, len(base), 2))
plt.show()

# %% [markdown]
# The same of images, with `zoo.nn.transposed.transposed_convolution`. And **erratum E20:** "deconvolution" would be the
# inverse of a convolution, and it is not. On the right a photograph went through a convolution with a stride of 2 and
# back through its transpose, with the same kernel: what the first blurred, the second blurs once more. (The dark
# borders are where the kernel reaches beyond the map: FCN crops them.)

# %%
from zoo.nn.conv import convolution
from zoo.nn.transposed import transposed_convolution

photograph = load_sample_images().images[0]  # of a temple in China
patch = photograph[150:214, 280:344].mean(axis=-1, dtype=np.float32)[None, ..., None] / 255
coarse = patch[:, 2::4, 2::4]
window = bilinear_window(4)
square = np.float32(np.outer(window, window))[..., None, None]
ways = {
    "four times two ones": (coarse, np.ones((4, 4, 1, 1), np.float32), 4),
    "seven ones, stride 4": (coarse, np.ones((7, 7, 1, 1), np.float32) / 2, 4),
    "bilinear": (coarse, np.float32(np.outer(bilinear_window(8), bilinear_window(8)))[..., None, None], 4),
}
spread = jax.jit(transposed_convolution, static_argnums=2)
enlargements = {name: np.asarray(spread(*given))[0, ..., 0] for name, given in ways.items()}
halved = jax.jit(lambda images: convolution(images, square / 4, strides=2, padding=1))(patch)
back = np.asarray(spread(halved, square, 2))[0, ..., 0]
show(
    [[coarse[0, ..., 0], *enlargements.values(), patch[0, ..., 0], back]],
    ["16 x 16", *enlargements, "photograph", "there and back"],
)

# %% [markdown]
# ## FCN: from coarse to fine (slide "FCN", L65, E19)
#
# A *fully convolutional network* is a classifier whose dense layers are convolutions too, so that it scores every place
# of its map, of an image of any size. FCN-32s enlarges these scores by 32. FCN-16s also scores the map before, which is
# twice as fine, and adds; FCN-8s one more. On Pascal VOC 2011 that gave 59.4, 62.4 and 62.7 % in the first paper.
# `zoo.create("fcn8s_vgg16")` is the network of the paper, `FCN(backbone, num_classes)` the same head on any backbone.
#
# The loss is one for each pixel. **Erratum E19:** the slide has a squared loss, the paper a softmax cross entropy. For
# a pixel whose right class has the score $s$ and all ten others 0, the squared loss also punishes scores that are *too*
# right.

# %%
scores = np.linspace(-6, 8, 200)
figure, cell = plt.subplots(figsize=(6, 2.4), layout="constrained")
cell.plot(scores, np.logaddexp(scores, np.log(10)) - scores, label="softmax cross entropy")
cell.plot(scores, (scores - 1) ** 2, label="squared, as on the slide")
cell.set(xlabel="score of the right class", ylabel="loss of a pixel", ylim=(0, 12))
cell.legend()
plt.show()

# %% [markdown]
# Now a small one learns: a thin VGG-11, whose five maps are all scored. In the `full` scale it is the recipe
# `scenes_segmentation`, in the `quick` one it learns from fewer scenes for less than a minute, and it shows: it finds
# strokes long before it knows of which digit they are, and a stroke of the wrong digit is as wrong as background.

# %%
small = {
    "data.limit": 600,
    "data.eval_batch_size": 50,
    "augment.pad_crop": 4,
    "optimizer.learning_rate": 4e-3,
}
quick = train.recipe("scenes_segmentation", small, epochs=5, eval_every=1, log_every=25, checkpoint_every=1000)
outcome = train.fit(scale.pick(quick, recipe), runs / "scenes")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6), layout="constrained")
lines, judged = outcome.history(), outcome.history("eval")
left.plot([line["step"] for line in lines], [line["loss"] for line in lines])
left.set(xlabel="step", ylabel="loss of a pixel", ylim=(0, None))
for name, title in {"pixel_accuracy": "pixels that are right", "mean_iou": "mean IoU"}.items():
    right.plot([line["step"] for line in judged], [100 * line[name] for line in judged], "o-", label=title)
right.axhline(100 * np.mean(labels == ground), color="gray", ls=":", label="pixels of the background")
right.set(xlabel="step", ylabel="held out (%)", ylim=(0, 103))
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# Here are the labels of held-out scenes as the network adds up its scores: those of the coarsest map alone, then with
# one finer map after the other, each enlarged to the image. All maps learned together, so that none has to be right
# alone: after a short training the finest, which sees least but is exact, does most of it.

# %%
run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
prepare = preprocess(run.recipe.augment, run.spec)


@jax.jit
def sums(images):
    """The sum of scores after each map, from coarse to fine, each as large as the images; and the network's own."""

    def is_score(module, _):
        return (module.name or "").startswith("score_")

    given = prepare({"image": images})["image"]
    logits, kept = model.apply(variables, given, capture_intermediates=is_score, mutable=["intermediates"])
    scores = [kept["intermediates"][name]["__call__"][0] for name in kept["intermediates"]]
    total, found = 0.0, []
    for each in sorted(scores, key=lambda score: score.shape[1]):
        total = each + (resize(total, each.shape[1:3]) if found else 0)
        found.append(total)
    return [resize(total, images.shape[1:3]) for total in found], logits


summed, logits = sums(images)
assert np.allclose(summed[-1], logits, atol=1e-4)
maps = [np.asarray(jnp.argmax(total, axis=-1)) for total in summed]
chosen = np.argsort([np.nanmean(solved_class_iou(*pair, 11)) for pair in zip(labels, maps[-1], strict=True)])[
    [20, 30, 39]
]
rows = [[images[row], *(palette.over(images[row], each[row]) for each in (*maps, labels))] for row in chosen]
stages = [f"{64 >> place} x {64 >> place}" for place in range(len(maps) - 1, -1, -1)]
show(rows, ["image", stages[0], *(f"+ {name}" for name in stages[1:]), "true"], side=1.4)

# %% [markdown]
# ## Your photo
#
# Name a photograph, and LR-ASPP with MobileNetV3, which others trained on the 20 classes of Pascal VOC (people, cars,
# dogs, bottles and so on), labels it; the weights (13 MB) are fetched once. In the `full` scale it labels the
# photograph of the temple otherwise, on which there is little to find. In the `quick` one nothing is fetched: six
# held-out scenes side by side are labelled by the network that you trained, on 64 x 64 pixels; a network of
# convolutions does not mind.
#
# At the command line that is `python -m train predict RUN FILE...`, or with `--weights COCO_WITH_VOC_LABELS_V1
# --model.name deeplabv3_resnet50` one that is larger and better.

# %%
MY_PHOTO = None  # or a file, such as "/content/drive/MyDrive/street.jpg"

# %%
NETWORK, WEIGHTS = "lraspp_mobilenet_v3_large", "COCO_WITH_VOC_LABELS_V1"

if scale.full or MY_PHOTO:
    photo = np.asarray(read_picture(MY_PHOTO)) if MY_PHOTO else photograph  # upright
    segmenter, published = zoo.create(NETWORK), zoo.load_weights(NETWORK, WEIGHTS)
    given = zoo.preprocess(NETWORK)(photo)[None]
    named = Palette(zoo.pretrained(NETWORK).class_names, 0, 255)
else:
    photo = np.concatenate([np.concatenate(list(row), axis=1) for row in images[:6].reshape(2, 3, 64, 64, 3)])
    segmenter, published, named = model, variables, palette
    given = prepare({"image": photo[None]})["image"]
label_map = jax.jit(lambda images: jnp.argmax(resize(segmenter.apply(published, images), photo.shape[:2]), axis=-1)[0])(
    given
)
show([[photo, named.over(photo, np.asarray(label_map))]], side=4)
print("found:", ", ".join(named.names[label] for label in np.unique(label_map)))

# %% [markdown]
# ## Where every pixel goes (slide "Optical flow", L62)
#
# *Optical flow* says of every pixel of one frame where it is in the next: two numbers, to the right and down. A flow is
# drawn in colours: the hue is the direction, and the stronger the colour, the faster. Left the wheel, which is the key,
# then what a camera sees that is moved to the left, that turns, and that comes closer.

# %%
from zoo.dense import flow_to_colour, wheel_picture

y, x = np.mgrid[-1:1:65j, -1:1:65j]
flows = {"to the right": (np.ones_like(x), np.zeros_like(y)), "turning": (-y, x), "growing": (x, y)}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained")
axes[0].imshow(wheel_picture(32))
axes[0].set_title("the wheel", fontsize=10)
for cell, (name, flow) in zip(axes[1:], flows.items(), strict=True):
    cell.imshow(flow_to_colour(np.stack(flow, axis=-1), 1.5))
    some = slice(8, None, 16)
    places = np.mgrid[8:65:16, 8:65:16][::-1]
    cell.quiver(*places, *(part[some, some] for part in flow), angles="xy", scale=8, pivot="mid")
    cell.set_title(name, fontsize=10)
for cell in axes:
    cell.set_axis_off()
plt.show()

# %% [markdown]
# The library's `moving` are pairs of frames of digits that move on a moving ground, and their exact flow. Two classical
# methods find it from the frames alone. Both want the second frame to look like the first where the flow points, and
# the flow to be smooth, for brightness alone does not say where a pixel went (the *aperture problem*). *Horn-Schunck*
# (1981) squares both terms, and blurs the flow at borders; *TV-L1* (2007) takes their absolute values, and lets the
# flow jump.

# %%
from zoo.dense import end_point_error, horn_schunck, tv_l1

pairs = load(train.recipe("moving_flow").data, "test").read(np.arange(12))
first, second, true = pairs["image"], pairs["second"], pairs["flow"]
found = {
    "Horn-Schunck": np.asarray(horn_schunck(first, second, levels=2)),
    "TV-L1": np.asarray(tv_l1(first, second, levels=2)),
}
rows, titles = [], []
for row in range(3):
    longest = float(np.linalg.norm(true[row], axis=-1).max())
    rows.append([first[row], second[row], *(flow_to_colour(flow[row], longest) for flow in (true, *found.values()))])
    errors = [float(np.mean(end_point_error(flow[row], true[row]))) for flow in found.values()]
    named = [f"{name}: {error:.2f}" for name, error in zip(found, errors, strict=True)]
    titles.append(["first frame", "second frame", "exact flow", *named])
show(rows, titles, side=1.7)

# %% [markdown]
# The numbers are *end-point errors*: how far a vector is off, in pixels, on average. They are largest where something
# is covered in the second frame, or has left it, for there is nothing that could be found.

# %%
hidden = pairs["occluded"] == 1
everything = {"no motion": np.zeros_like(true), **found}
errors = {name: np.asarray(end_point_error(flow, true)) for name, flow in everything.items()}
figure, cell = plt.subplots(figsize=(6, 1.9), layout="constrained")
for shift, (name, where) in enumerate({"seen in both frames": ~hidden, "covered in the second": hidden}.items()):
    means = [error[where].mean() for error in errors.values()]
    bars = cell.barh(np.arange(3) + 0.38 * shift, means, 0.36, label=name)
    cell.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
cell.set(yticks=np.arange(3) + 0.19, yticklabels=errors, xlabel=f"end-point error in pixels, {len(true)} pairs")
cell.set_xlim(0, 1.15 * cell.get_xlim()[1])
cell.invert_yaxis()
cell.legend(fontsize=8)
plt.show()

# %% [markdown]
# If a flow is right, the second frame, looked up where it points, is the first: `zoo.dense.warp`. With the exact flow
# that is so, but for what is covered, where the digit that covers it appears a second time. (TV-L1 is closer even
# there, with a flow that is less right: to look alike is what it is after.) A network can learn from that picture
# alone, without true flow: `python -m train fit moving_flow --task.loss photometric`.
#
# FlowNet, of the slide, gets both frames and says the flow, which it learned from rendered chairs. PWC-Net and RAFT,
# which came after it, compare features of both frames, as these methods compare brightness. All are here:
# `zoo.create("flownet_s")`, `"pwc_small"`, `"raft_large"`.

# %%
from zoo.dense import warp

row = 0
warps = {"exact flow": true[row], "TV-L1": found["TV-L1"][row]}
looked_up = [np.asarray(warp(second[row][None], flow[None])[0][0]) for flow in warps.values()]
difference = [np.abs(each - first[row]).mean(axis=-1) / 128 for each in (second[row].astype(float), *looked_up)]
grey = [np.repeat(1 - np.clip(each, 0, 1)[..., None], 3, axis=-1) for each in difference]
show(
    [
        [first[row], second[row], *(np.uint8(np.rint(each)) for each in looked_up)],
        [np.where(hidden[row][..., None], np.array([0.9, 0.4, 0.1]), 1.0), *grey],
    ],
    [
        ["first frame", "second frame", *(f"warped by {name}" for name in warps)],
        ["covered in the second", *["difference to the first"] * 3],
    ],
    side=1.8,
)

# %% [markdown]
# ## What an image does not show (slides "Depth", "Surface normals and reflectance", L63, L64)
#
# Where an image is bright, is it the paint, or does light fall there? The library's `surfaces` are rendered scenes of
# floors, walls and balls, of which all is known: *depth*, bright where it is near; *normals*, the directions in which
# surfaces face, as red (right), green (up) and blue (towards you); *reflectance*, the paint; *shading*, the light that
# falls on it. `python -m train fit surfaces_all` teaches a network to say all four from the image.

# %%
from train.tasks.surfaces.drawing import coloured

rendered = load(train.recipe("surfaces_all").data, "test").read(np.arange(8))
MAPS = ("depth", "normals", "reflectance", "shading")
metres = float(rendered["depth"][:3].min()), float(rendered["depth"][:3].max())
shown = [[rendered["image"][row], *(coloured(name, rendered[name][row], metres) for name in MAPS)] for row in range(3)]
show(shown, ["image", *MAPS], side=1.7)

# %% [markdown]
# ## Normals from depth (L64)
#
# These maps are not independent. A pixel with its depth is a point in space, and two steps along the surface, to the
# right and down, span the plane that touches it: their cross product is the normal.
#
# **Exercise 3.** `points` `(height, width, 3)` are right, down and away from you, in metres. Return the normals of the
# inner pixels, `(height - 2, width - 2, 3)`, of length one and out of the surface, towards you. The steps go from the
# neighbour on one side to that on the other. *Hint:* `np.cross(down, right)`; of a wall that faces you it is `(0, 0,
# -1)`.

# %%
from zoo.exercises.dense import check_normals


def my_normals(points):
    """A direction for each inner pixel."""
    ...  # yours


check_normals(my_normals)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_normals(points):
    right = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normal = np.cross(down, right)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


assert check_normals(solved_normals), check_normals(solved_normals)

# %% [markdown]
# From the exact depth that is right to a fraction of a degree, but at borders of objects, where a step leads from one
# surface to another. `zoo.dense.pinhole_normals` does the same, up to the border of the image. So a network that knows
# the depth well knows the normals; but small errors of depth are large ones of normals: on the right one part in a
# hundred was added to the depth, as noise.

# %%
from train.data.sources.surfaces import FOCAL
from zoo.dense import angles, pinhole_normals


@jax.jit
def of_depth(depth, true):
    """Normals, and how far they are off in degrees."""
    normals = pinhole_normals(depth, FOCAL)
    return normals, angles(normals, true)


row = 1
depth, exact = rendered["depth"][row, ..., 0], rendered["normals"][row]
noise = np.float32(1 + 0.01 * np.random.default_rng(0).normal(size=depth.shape))
results = {"from depth": of_depth(depth, exact), "from depth and noise": of_depth(depth * noise, exact)}
figure, axes = plt.subplots(1, 5, figsize=(10, 2.4), layout="constrained")
axes[0].imshow(coloured("normals", exact))
axes[0].set_title("exact normals", fontsize=10)
for place, (name, (normals, off)) in enumerate(results.items()):
    axes[1 + 2 * place].imshow(coloured("normals", np.asarray(normals)))
    axes[1 + 2 * place].set_title(name, fontsize=10)
    bar = axes[2 + 2 * place].imshow(np.asarray(off), vmin=0, vmax=60, cmap="magma")
    axes[2 + 2 * place].set_title(f"off by {np.median(off):.1f}° (median)", fontsize=10)
figure.colorbar(bar, ax=axes, label="degrees", shrink=0.8)
for cell in axes:
    cell.set_axis_off()
plt.show()

# %% [markdown]
# ## Paint times light (slide "Surface normals and reflectance", L64)
#
# A matt surface looks like its reflectance times its shading. The scenes are made so: the product, with the curve that
# screens expect, is the image, to the rounding of its bytes. An image alone does not say which is which: a flat
# painting of the scene in even light (below) looks the same, and so does paint of half the brightness in twice the
# light. What paint and light usually look like has to be learned.

# %%
from train.data.sources.surfaces import GAMMA
from zoo.dense import reconstruct

image = rendered["image"][row] / 255
reflectance, shading = rendered["reflectance"][row], rendered["shading"][row]
product = np.asarray(reconstruct(reflectance[None], shading[None]))[0] ** (1 / GAMMA)
print(f"largest difference: {255 * np.abs(product - image).max():.2f} of 255")
painting, even = reflectance * shading, np.ones_like(shading)
show(
    [
        [coloured("reflectance", reflectance), coloured("shading", shading), product, image],
        [coloured("reflectance", painting), coloured("shading", even), (painting * even) ** (1 / GAMMA), image],
    ],
    [
        ["reflectance", "shading", "product", "image"],
        ["a painting of it", "even light: white", "product", "image"],
    ],
    side=1.8,
)

# %% [markdown]
# Who knows normals and paint can light the scene anew: shading is the cosine of the angle between the normal and the
# direction to the lamp (Lambert), and a little light from everywhere.

# %%
from train.data.sources.surfaces import AMBIENT, LIGHT


def lit(towards):
    """The scene in the light of a lamp in this direction: right, down, away from you."""
    towards = np.array(towards) / np.linalg.norm(towards)
    light = AMBIENT + (1 - AMBIENT) * np.maximum(exact @ towards, 0)
    return (reflectance * light[..., None]) ** (1 / GAMMA)


lamps = {
    "as it was": LIGHT,
    "from the right": (0.9, -0.3, -0.3),
    "from behind you": (0, 0, -1),
    "from above": (0, -1, -0.1),
    "from below": (0, 0.9, -0.4),
}
assert np.allclose(lit(LIGHT), product, atol=1e-3)
show([[lit(towards) for towards in lamps.values()]], list(lamps), side=1.9)

# %% [markdown]
# ## What to do next
#
# `python -m train fit scenes_segmentation` is the whole recipe of the small network, `python -m train fit moving_flow`
# learns flow, `python -m train fit surfaces_all` depth, normals, reflectance and shading; each draws a page of what it
# saw. `--data.source label_maps:PATH`, `flow:PATH` and `depth:PATH` take your own files. The chapter is
# `zoo/dense/README.md`; masks of single objects are in notebook 7.
