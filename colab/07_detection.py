# %% [markdown]
# # From R-CNN to Mask R-CNN on your photo
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/07_detection.ipynb)
#
# You look for objects as the lecture does: with windows, then with proposals, then with a network that proposes its
# own. You write overlap, suppression and the pooling of a region by hand, see what rounding does to a region, train a
# Mask R-CNN, watch its boxes come to where the objects are, and let it mark a photo of yours. Slides "R-CNN" to "Mask
# R-CNN", rows L55 to L60 and L67 to L70; erratum E18. The detectors are in `zoo.detection`. Three exercises check
# themselves.

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
# The extra `detection`: OpenCV has selective search, pycocotools the measure of COCO.
extra = {"pycocotools": "pycocotools>=2.0.8", "cv2": "opencv-contrib-python-headless>=4.10"}
missing = [package for module, package in extra.items() if not importlib.util.find_spec(module)]
if missing:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)

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
from matplotlib.patches import Rectangle
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

import train
import zoo
from train.data import load
from train.data.decode import read_picture
from train.store.workdir import Workdir
from train.tasks.detection.drawing import Shown, grid, objects_of
from train.use.open_run import open_run
from zoo.detection.boxes import iou

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine
photograph = load_sample_images().images[0]  # of a temple in China


def draw_boxes(cell, boxes, colour, **options):
    """Rectangles over an image, of boxes (left, top, right, bottom) in pixels."""
    for left, top, right, bottom in np.asarray(boxes) - 0.5:  # matplotlib's pixels begin at -0.5
        cell.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, **options))


# %% [markdown]
# ## What is to be found
#
# Digits 0, 1 and 7, enlarged, each somewhere in a darkened patch of a photograph of 48 x 48 pixels. An example has
# a varying number of objects, and of each its box, its class and its mask. In the `full` scale it is the library's
# own `scenes`: up to eight of all ten digits, which cover each other. Of your own images the sources `coco:FILE`,
# `voc:PATH` and `masks:PATH` read the same.

# %%
SIDE, CELL, KEPT, MOST = 48, 24, (0, 1, 7), 2
digits = load_digits()


def composed(random, rows, photograph, height=SIDE, width=SIDE, least=1, most=MOST):
    """A patch of the photograph with `least` to `most` digits, and what there is to know of them."""
    top, left = random.integers(0, photograph.shape[0] - height), random.integers(0, photograph.shape[1] - width)
    image = photograph[top : top + height, left : left + width] * 0.5
    boxes, classes, masks = (np.zeros((most, *shape)) for shape in ((4,), (), (height, width)))
    across = width // CELL
    count = random.integers(least, most + 1)
    for number, cell in enumerate(random.permutation(height // CELL * across)[:count]):
        row, size = random.choice(rows), random.integers(16, CELL)
        small = Image.fromarray(np.uint8(digits.images[row] * 15))
        ink = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC)) / 240
        top, left = (CELL * place + random.integers(0, CELL - size + 1) for place in divmod(cell, across))
        place = slice(top, top + size), slice(left, left + size)
        image[place] = image[place] * (1 - ink[..., None]) + 255 * ink[..., None]
        masks[number][place] = ink > 0.4
        y, x = np.nonzero(masks[number])
        boxes[number] = x.min(), y.min(), x.max() + 1, y.max() + 1
        classes[number] = KEPT.index(digits.target[row])
    return {
        "image": np.clip(image, 0, 255).astype(np.uint8),
        "boxes": boxes,
        "classes": classes.astype(np.int32),
        "masks": masks > 0,
        "boxes_valid": np.arange(most) < count,
    }


if scale.full:
    source = "scenes"
else:
    rows = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(digits.target, KEPT)))
    arrays = {"class_names": np.array([str(digit) for digit in KEPT])}
    for number, (part, chosen, count) in enumerate((("", rows[100:], 200), ("test_", rows[:100], 40))):
        random, photo = np.random.default_rng(number), load_sample_images().images[number]
        examples = [composed(random, chosen, photo) for _ in range(count)]
        arrays |= {part + name: np.stack([each[name] for each in examples]) for name in examples[0]}
    np.savez(runs / "scenes.npz", **arrays)
    source = f"npz:{runs / 'scenes.npz'}"

recipe = train.recipe("scenes_instances", {"data.source": source})
held_out = load(recipe.data, "test")
names = held_out.facts.classes
scenes = held_out.read(np.arange(40))


def true_objects(row):
    """What is in a scene."""
    true = {name: scenes[name][row] for name in ("boxes", "classes", "masks")}
    return objects_of({**true, "valid": scenes["boxes_valid"][row]})


CHOSEN = int(np.argmax(scenes["boxes_valid"].sum(axis=1)))  # a scene with as many objects as there can be
first = true_objects(CHOSEN)
grid([Shown(scenes["image"][row], None, true_objects(row), "") for row in range(6)], names, columns=6, side=1.6)

# %% [markdown]
# ## Windows at every place (slide "R-CNN", L55)
#
# The simplest detector is a classifier that looks through a window at every place, at every size, at every
# proportion. How many windows are that? With steps of a quarter of the window more than ten thousand in a photograph,
# and few of them fit an object well. With steps of a pixel it would be millions. So the first question is *where to
# look*.


# %%
def windows(height, width, sizes, ratios, step=0.25):
    """Boxes (left, top, right, bottom) of every size and proportion, `step` of their sides apart."""
    found = []
    for size in sizes:
        for ratio in ratios:
            high, wide = size * ratio**0.5, size / ratio**0.5
            y, x = np.arange(0, height - high + 1, step * high), np.arange(0, width - wide + 1, step * wide)
            top, left = (each.ravel() for each in np.meshgrid(y, x, indexing="ij"))
            found.append(np.stack([left, top, left + wide, top + high], axis=1))
    return np.concatenate(found)


PROPORTIONS = (0.5, 1.0, 2.0)
for step in (0.5, 0.25, 0.1):
    count = len(windows(*photograph.shape[:2], (32, 64, 128, 256), PROPORTIONS, step))
    print(f"{photograph.shape[0]} x {photograph.shape[1]} pixels, steps of {step} of a window: {count:,} windows")

# %% [markdown]
# ## Overlap (L60)
#
# How well a box fits an object is said by the *intersection over union*: the area that both have, over the area that
# either has. It is 1 for the same box and 0 for boxes that lie apart. At 0.5, where a detection usually counts as
# right, it looks worse than one would think.
#
# **Exercise 1.** Write it for two boxes `(left, top, right, bottom)`. *Hint:* the intersection's left is the larger of
# the two lefts; what has a side below 0 has no area.

# %%
from zoo.exercises.detection import check_iou


def my_iou(box, other):
    """Intersection over union, a number from 0 to 1."""
    ...  # yours


check_iou(my_iou)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_iou(box, other):
    width = max(0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0, min(box[3], other[3]) - max(box[1], other[1]))
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (box, other)]
    return width * height / (sum(areas) - width * height)


assert check_iou(solved_iou), check_iou(solved_iou)

# %%
figure, axes = plt.subplots(1, 5, figsize=(10, 2.3), layout="constrained")
for cell, shift in zip(axes, (0, 2, 4, 7, 14), strict=True):
    box, other = np.array([4, 4, 24, 24]), np.array([4, 4, 24, 24]) + shift
    both = np.array([*np.maximum(box[:2], other[:2]), *np.minimum(box[2:], other[2:])])
    cell.add_patch(Rectangle(both[:2], *(both[2:] - both[:2]), color="tab:orange", alpha=0.5, lw=0))
    draw_boxes(cell, [box], "tab:blue", lw=2)
    draw_boxes(cell, [other], "tab:orange", lw=2)
    cell.set(xlim=(0, 42), ylim=(42, 0), xticks=[], yticks=[], aspect="equal")
    cell.set_title(f"IoU {solved_iou(box, other):.2f}", fontsize=10)
plt.show()

# %% [markdown]
# ## One box for each object (L60)
#
# A detector says an object many times over, with boxes that lie close together. *Non-maximum suppression* keeps the
# best, drops what overlaps with it by more than a threshold, takes the best of the rest, and so on.
#
# **Exercise 2.** `boxes` `(n, 4)` and `scores` `(n,)`: return the numbers of the boxes that stay, the best first.
# *Hint:* `solved_iou` of two boxes is there, and `np.argsort(-scores)`. A box that is gone suppresses no other.

# %%
from zoo.exercises.detection import check_nms


def my_nms(boxes, scores, threshold):
    """A list of numbers of boxes."""
    ...  # yours


check_nms(my_nms)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_nms(boxes, scores, threshold):
    left, kept = list(np.argsort(-scores)), []
    while left:
        best, *others = left
        kept.append(int(best))
        left = [other for other in others if solved_iou(boxes[best], boxes[other]) <= threshold]
    return kept


assert check_nms(solved_nms), check_nms(solved_nms)

# %% [markdown]
# Here boxes are scattered around the objects of a scene, and score as well as they fit. A low threshold drops good
# boxes of objects that stand close together, a high one keeps several of one object. `zoo.detection.nms` is the same
# with sizes that are fixed, so that it can be compiled, and keeps to the last one what torchvision keeps.

# %%
random = np.random.default_rng(1)
around = np.repeat(first.boxes, 12, axis=0) + random.normal(0, 2.5, (12 * len(first.boxes), 4))
fit = np.asarray(iou(around, first.boxes)).max(axis=1)
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for cell, threshold in zip(axes, (1.0, 0.7, 0.4, 0.1), strict=True):
    kept = solved_nms(around, fit, threshold)
    cell.imshow(scenes["image"][CHOSEN])
    draw_boxes(cell, around[kept], "tab:orange", lw=1.3)
    cell.set_title(f"threshold {threshold}: {len(kept)} boxes", fontsize=10)
    cell.set_axis_off()
plt.show()

# %% [markdown]
# ## Proposals (slide "Selective search", L56)
#
# Selective search starts from small regions of one colour and joins the two that are most alike, in colour, texture,
# size and fill, again and again. The box of every region on the way is a proposal: boxes of all sizes, at places
# where something *is*. On the right, how many objects of the scenes are found by the first so many boxes. Windows in
# a random order need many more.

# %%
from zoo.detection.proposals import padded, recall, selective_search

boxes = 2 * selective_search(photograph[::2, ::2])  # of half the size it takes a quarter of the time
counts, most = (1, 2, 5, 10, 20, 50, 100, 200), 200
some = scenes["image"][: scale.pick(15, 40)]
random = np.random.default_rng(0)
everywhere = windows(*some.shape[1:3], (12, 17, 24), (1.0, 1.5, 2.2))
found = {
    "selective search": [padded(selective_search(image), most) for image in some],
    "windows in random order": [padded(random.permutation(everywhere), most) for _ in some],
}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained", width_ratios=(1.2, 1))
left.imshow(photograph)
draw_boxes(left, boxes[:60], "white", lw=0.7)
left.set_title(f"60 of {len(boxes)} proposals", fontsize=10)
left.set_axis_off()
for name, proposals in found.items():
    hits, objects = recall(
        jnp.stack(proposals), scenes["boxes"][: len(some)], scenes["boxes_valid"][: len(some)], counts
    )
    right.plot(counts, 100 * np.asarray(hits) / int(objects), "o-", label=name)
right.set(xscale="log", xlabel="boxes an image", ylabel="objects found (%) at IoU 0.5", ylim=(0, 103))
right.set(xticks=counts, xticklabels=counts)
right.minorticks_off()
right.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## R-CNN: an image for each proposal (slide "R-CNN", L55)
#
# R-CNN cuts out each of 2000 proposals, with some of what is around it, warps it to the size that a classifier wants,
# and runs the network on it, 2000 times. A linear classifier a class says what is there; a regression says by how much
# the box should move: by shares of its width and height, and by the logarithm of how much larger it should be, so that
# small and large boxes are treated alike.

# %%
from zoo.detection.warp import warped, with_context

picture = np.float32(photograph[None]) / 255
chosen = boxes[np.linspace(0, min(len(boxes), 400) - 1, 8).astype(int)]
crops = np.asarray(jax.jit(warped, static_argnums=2)(picture, with_context(chosen, 64, 8)[None], 64))[0]
figure, axes = plt.subplots(1, 8, figsize=(11, 1.6), layout="constrained")
for cell, crop, (x0, y0, x1, y1) in zip(axes, crops, chosen, strict=True):
    cell.imshow(crop)
    draw_boxes(cell, [[8, 8, 56, 56]], "white", lw=1)
    cell.set_title(f"{x1 - x0:.0f} x {y1 - y0:.0f}", fontsize=9)
    cell.set_axis_off()
plt.show()

# %% [markdown]
# ## Fast R-CNN: one map for all (slides "Fast R-CNN" and "RoI pooling", L57, L58)
#
# Proposals overlap, so R-CNN computes the same features again and again. Fast R-CNN runs the convolutions once, on the
# whole image, and cuts out of the *feature map*. What it cuts has to have one size for the layers that follow: *RoI
# pooling* divides the region into, say, 7 x 7 parts and takes the maximum of each. Then all of it, the network, the
# classifier and the boxes, learns from one loss.
#
# **Exercise 3.** Here is the lecture's map of 8 x 8 values. Round the box `(left, top, right, bottom)` to whole places,
# the last of which belong to it: it is `right - left + 1` places wide. Part `i` of `bins` begins at `floor(i * size /
# bins)` and ends before `ceil((i + 1) * size / bins)`, counted from the box's first place. Return the maxima
# `(bins, bins)`. *Hint:* `grid[row, column]`: x goes along columns.

# %%
from zoo.exercises.detection import check_roi_pool

LECTURE = np.array(
    [
        [0.1, 0.3, 0.2, 0.3, 0.2, 0.6, 0.8, 0.9],
        [0.4, 0.5, 0.1, 0.4, 0.7, 0.1, 0.4, 0.3],
        [0.2, 0.1, 0.3, 0.8, 0.6, 0.2, 0.1, 0.1],
        [0.4, 0.6, 0.2, 0.1, 0.3, 0.6, 0.1, 0.2],
        [0.1, 0.8, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3],
        [0.2, 0.9, 0.4, 0.5, 0.1, 0.1, 0.1, 0.2],
        [0.3, 0.1, 0.8, 0.6, 0.3, 0.3, 0.6, 0.5],
        [0.5, 0.5, 0.2, 0.1, 0.1, 0.2, 0.1, 0.2],
    ],
    np.float32,
)


def my_roi_pool(grid, box, bins):
    """The maximum of each part, (bins, bins)."""
    ...  # yours


check_roi_pool(my_roi_pool)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_roi_pool(grid, box, bins):
    left, top, right, bottom = (round(corner) for corner in box)
    region = grid[top : bottom + 1, left : right + 1]
    ends = [
        [(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)] for size in region.shape
    ]  # -(-a // b) rounds up
    return np.array([[region[y0:y1, x0:x1].max() for x0, x1 in ends[1]] for y0, y1 in ends[0]])


assert check_roi_pool(solved_roi_pool), check_roi_pool(solved_roi_pool)

# %% [markdown]
# ## RoIAlign: no rounding (slide "RoIAlign", L68)
#
# Rounding moves the region by up to half a place of the map, and a place of the map is 16 or 32 pixels of the image.
# A classifier does not mind, but a mask and a tight box do. *RoIAlign* keeps the box where it is, takes samples at
# regular places in each part, between the values of the map, and averages them. The dashed box is the region, the
# orange lines what each method takes for it.

# %%
from zoo.detection import roi_align, roi_pool

BOX, BINS = (1.3, 0.8, 6.6, 5.9), 2
given = LECTURE[None, ..., None], np.float32([[BOX]])
results = {
    "RoIPool": jax.jit(lambda *given: roi_pool(*given, BINS, 1.0))(*given),
    "RoIAlign": jax.jit(lambda *given: roi_align(*given, BINS, 1.0, sampling_ratio=2, aligned=True))(*given),
}
rounded = [round(corner) for corner in BOX]
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained")
for cell, (name, result) in zip(axes, results.items(), strict=True):
    cell.imshow(LECTURE, cmap="Blues", vmax=1.4)
    for (row, column), value in np.ndenumerate(LECTURE):
        cell.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=8, color="0.25")
    part = np.asarray(result)[0, 0, ..., 0]
    if name == "RoIPool":
        edges = np.array([rounded[0], rounded[1], rounded[2] + 1, rounded[3] + 1])
    else:
        edges = np.array(BOX)
        steps = (np.arange(2 * BINS) + 0.5) / (2 * BINS)  # two samples a side of each part
        x, y = (edges[i] + steps * (edges[i + 2] - edges[i]) - 0.5 for i in range(2))
        cell.plot(*map(np.ravel, np.meshgrid(x, y)), "o", color="tab:orange", ms=4)
    draw_boxes(cell, [BOX], "black", lw=1.5, ls="--")
    x, y = (np.linspace(edges[i], edges[i + 2], BINS + 1) for i in range(2))
    for i, j in np.ndindex(BINS, BINS):
        draw_boxes(cell, [[x[j], y[i], x[j + 1], y[i + 1]]], "tab:orange", lw=2)
    cell.set_title(f"{name}: " + ", ".join(f"{value:.2f}" for value in part.ravel()), fontsize=11)
    cell.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Faster R-CNN: a network that proposes (slide "Faster R-CNN", L59)
#
# Now the slowest part is the search for proposals. Faster R-CNN has the network do it: a small window slides over the
# feature map, and at each place it says of a few boxes of known sizes and proportions, the *anchors*, whether there is
# an object, and how they should move. That is the sliding window again, but on a map that is there anyway. What the
# papers measured with VGG-16 for an image:

# %%
published = {
    "R-CNN": (47.0, "proposals not counted"),
    "Fast R-CNN": (1.83, "1.51 s of it for selective search"),
    "Faster R-CNN": (0.198, "0.01 s of it for proposals"),
}
figure, axes = plt.subplots(figsize=(8, 1.9), layout="constrained")
axes.barh(list(published), [seconds for seconds, _ in published.values()])
for row, (seconds, about) in enumerate(published.values()):
    axes.text(1.1 * seconds, row, f"{seconds:g} s, {about}", va="center", fontsize=9)
axes.set(xlabel="seconds an image, as published", xscale="log", xlim=(0.1, 5000))
axes.invert_yaxis()
plt.show()

# %% [markdown]
# These are the anchors of the small detector that we train next, at one place, and those of all places that overlap
# with an object by more than 0.5: they learn to say "object". A scene has more than a thousand anchors and a few
# objects, so each step draws some of them, at most half of them objects.

# %%
from zoo.detection.anchors import Anchors

ANCHORS = scale.pick(((14,), (20,)), ((10, 15), (20, 26)))
height, width = scenes["image"].shape[1:3]
of_maps = Anchors(ANCHORS, (1.3, 2.0)).of_maps([(height // 2, width // 2), (height // 4, width // 4)], (height, width))
every = np.concatenate(of_maps)
fits = np.asarray(iou(every, first.boxes)).max(axis=1) > 0.5
per_place = 2 * len(ANCHORS[0])
middle = per_place * (height // 4 * (width // 2) + width // 4)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
for cell in axes:
    cell.imshow(scenes["image"][CHOSEN])
    cell.set_axis_off()
draw_boxes(axes[0], of_maps[0][middle : middle + per_place], "white", lw=1.5)
coarse = per_place * (height // 8 * (width // 4) + width // 8)
draw_boxes(axes[0], of_maps[1][coarse : coarse + per_place], "tab:orange", lw=1.5)
axes[0].set_title(f"at one place; {len(every)} in all", fontsize=10)
draw_boxes(axes[1], every[fits], "white", lw=0.8)
draw_boxes(axes[1], first.boxes, "tab:orange", lw=2)
axes[1].set_title(f"{fits.sum()} that fit an object", fontsize=10)
plt.show()

# %% [markdown]
# ## Mask R-CNN (slides "Mask R-CNN", L67, E18)
#
# Mask R-CNN is Faster R-CNN with RoIAlign and a small network that says of each place in a box whether it belongs to
# the object. **Erratum E18:** the slide says that it is the state of the art in *semantic* segmentation and relies on
# *Fast* R-CNN; it is *instance* segmentation, each object apart from the others, and *Faster* R-CNN.
#
# The loss is a sum of five: is there an object, and where, of anchors; which class, and where, of the proposals; and
# the masks. In the `full` scale this is the recipe `scenes_instances`, in the `quick` one a smaller network learns for
# less than a minute, and it shows.

# %%
SMALL = (
    "maps=('stage2','stage3')",
    "frozen_norm=False",
    "extra='none'",
    "width=32",
    f"anchor_sizes={ANCHORS}",
    "aspect_ratios=(1.3,2.0)",
    "rpn_pre_nms_top_n=(60,60)",
    "rpn_post_nms_top_n=(24,24)",
    "rpn_fg_iou_thresh=0.6",
    "rpn_batch_size_per_image=32",
    "box_batch_size_per_image=24",
    "box_positive_fraction=0.5",
    "box_detections_per_img=8",
    "hidden=(128,)",
    "mask_region=7",
    "mask_convs=(16,16)",
    "mask_aligned=True",
)
small = {
    "data.source": source,
    "data.batch_size": 10,
    "data.eval_batch_size": 40,
    "model.options": SMALL,
    "augment.pad_crop": 0,
    "optimizer.learning_rate": 3e-3,
}
quick = train.recipe("scenes_instances", small, epochs=4, eval_every=1, log_every=5, checkpoint_every=1000)
outcome = train.fit(scale.pick(quick, recipe), runs / "masks")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
lines, judged = outcome.history(), outcome.history("eval")
TERMS = {
    "rpn_object": "object or not",
    "rpn_box": "boxes of proposals",
    "class": "classes",
    "box": "boxes",
    "mask": "masks",
}
for name, title in TERMS.items():
    left.plot([line["step"] for line in lines], [line[name] for line in lines], label=title)
left.set(xlabel="step", ylabel="terms of the training loss", yscale="log")
left.legend(fontsize=8, loc="lower left")
for name, title in {"ap50": "boxes, IoU 0.5", "ap": "boxes", "mask_ap50": "masks, IoU 0.5", "mask_ap": "masks"}.items():
    right.plot([line["step"] for line in judged], [100 * line[name] for line in judged], "o-", label=title)
right.set(xlabel="step", ylabel="average precision (%)", ylim=(0, 103))
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# *Average precision* (L60): all detections of a class, the surest first, are right where they overlap with an object
# that nobody found before, and wrong else. Precision over recall is a curve; AP is the area under it, averaged over
# the classes, and with COCO over ten thresholds of the overlap, from 0.5 to 0.95.
#
# After each evaluation the run kept what it saw in the first scenes. So one sees the boxes come to the objects (thin
# white: what is there).

# %%
seen = Workdir(outcome.workdir).read_seen()
shown = []
for row in range(2):
    for step, arrays in seen:
        predicted = objects_of({name: array[row] for name, array in arrays.items()}, least=0.5)
        shown.append(Shown(scenes["image"][row], true_objects(row), predicted, f"step {step}"))
grid(shown, names, columns=len(seen), side=2.0)

# %% [markdown]
# ## Your photo
#
# Name a photograph, and Mask R-CNN with ResNet-50, which others trained on COCO's 80 classes, marks it; the weights
# (170 MB) are fetched once. In the `full` scale it marks the photograph of the temple otherwise. In the `quick` one
# nothing is fetched: a photograph with digits is marked by the network that you trained. It learned from patches of
# 48 x 48 pixels, but convolutions, anchors and regions do not mind how large an image is; it only has to propose more.
#
# At the command line that is `python -m train predict RUN FILE...`: it draws the files, and writes down what is in them
# as COCO has it, in pixels of the file. Of a video, which needs `pip install "av>=14.1"`, it marks every frame.

# %%
MY_PHOTO = None  # or a file, such as "/content/drive/MyDrive/street.jpg"

# %% tags=["picture"]
from zoo.detection.canvas import in_original, on_canvas

DETECTOR, WEIGHTS = "maskrcnn_resnet50_fpn", "COCO_V1"


def marked(photo, model, variables, prepare, names, least=0.6):
    """A figure of a photograph (height, width, 3) with the objects that a detector is sure of."""
    images, sizes = on_canvas([prepare(photo)])
    found = jax.device_get(jax.jit(model.apply)(variables, images, sizes))
    predicted = {name: getattr(found, name)[0] for name in ("scores", "masks", "valid")}
    predicted["boxes"] = in_original(found.boxes[0], sizes[0], photo.shape[:2])
    objects = objects_of({**predicted, "classes": found.labels[0] - 1}, least)  # 0 is the background
    return grid([Shown(photo, None, objects, "")], names, side=6)


if scale.full or MY_PHOTO:
    photo = np.asarray(read_picture(MY_PHOTO)) if MY_PHOTO else photograph  # upright
    model, published = zoo.create(DETECTOR), zoo.pretrained(DETECTOR)
    given = zoo.load_weights(model, WEIGHTS), zoo.preprocess(DETECTOR), published.class_names[1:]
else:
    photo = composed(np.random.default_rng(5), rows[:100], photograph, 144, 240, 12, 12)["image"]
    run = open_run(outcome.workdir)
    mean, std = run.recipe.augment.mean, run.recipe.augment.std
    more = {"rpn_pre_nms_top_n": (300, 300), "rpn_post_nms_top_n": (100, 100), "box_detections_per_img": 20}
    model = run.model().clone(**more)
    given = run.variables()[1], lambda pixels: (pixels / np.float32(255) - mean) / np.float32(std), names
marked(photo, model, *given)

# %% [markdown]
# ## What rounding costs (L68 to L70)
#
# He et al. measured it on COCO, with a map of stride 32: RoIAlign in place of RoIPool takes mask AP from 23.6 to 30.9
# and box AP from 28.2 to 34.0, and most where boxes have to be tight, from 26.9 to 36.4 at an overlap of 0.75. In place
# of masks the last part can say where a person's joints are: `keypointrcnn_resnet50_fpn`.
#
# What to do next: `python -m train fit scenes_instances` is the whole recipe, `--data.source coco:FILE.json` takes
# your own objects, and `python -m train check-data` says first what is wrong with them.
