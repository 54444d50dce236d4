# %% [markdown]
# # Convolution you can touch
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/02_convolution.ipynb)
#
# You count what a dense layer on images costs, slide filters over a photograph, continue it beyond its borders, watch
# one output's view of the image grow, pool, move the image and see the result move with it, write the gradient of a
# convolution by hand, and let it learn a filter back. At the end LeNet puts all of it together. The sections follow
# the slides, rows L19 to L37 of the lecture and the first half of its afternoon (L100); where the code differs from a
# slide, the erratum is named (E1, E2, E20 to E22). Three exercises check themselves.

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
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn import datasets

import zoo
from train.report.theme import COLOURS
from zoo.convolution import (
    BORDERS,
    BOX_BLUR,
    IDENTITY,
    SHARPEN,
    SHIFT_LEFT,
    Window,
    convolve,
    cross_correlate,
    dense_matrix,
    impulse,
    linear,
    max_pool,
    max_pool_gradient,
    mean_pool,
    mosaic,
    moving_average,
    output_size,
    pad,
    parameter_counts,
    receptive_field,
    same_padding,
)
from zoo.exercises.convolution import check_convolution_gradient, check_cross_correlate, check_output_size

BLUE, ORANGE, GREEN, PINK, *_ = COLOURS
plt.rcParams.update({"figure.dpi": 90, "figure.constrained_layout.use": True, "image.cmap": "gray", "font.size": 9})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})

photograph = datasets.load_sample_image("china.jpg")[30:390, 140:500] / np.float32(255)  # (360, 360, 3), in [0, 1]
photograph = mean_pool(photograph, 2)
grey = photograph.mean(-1)
digits = datasets.load_digits()


def show(axes, image, title="", **options):
    """An image in [0, 1]: what a filter takes beyond is cut off."""
    axes.imshow(np.clip(image, 0, 1) if not options else image, **options)
    axes.set(title=title, xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


# %% [markdown]
# ## "MLPs for images" (L19)
#
# Two reasons speak against a dense layer on images. It has a weight for each pair of input and output: for ten maps
# of an image of 32 x 32 already 31 million, where ten 5 x 5 filters have 760 parameters, whatever the image's size.

# %%
sides = np.array([8, 16, 32, 64, 128, 224])
counts = [parameter_counts((int(side), int(side), 3), filters=10, kernel=5) for side in sides]
figure, axes = plt.subplots(figsize=(5, 2.6))
axes.loglog(sides, [count.dense for count in counts], "o-", color=ORANGE, label="dense layer")
axes.loglog(sides, [count.convolution for count in counts], "o-", color=BLUE, label="ten 5 x 5 filters")
for count, side in ((counts[2], 32), (counts[-1], 224)):
    axes.annotate(
        f"{count.dense:,}", (side, count.dense), (-4, 4), textcoords="offset points", ha="right", color=ORANGE
    )
axes.text(sides[0], counts[0].convolution * 2, f"{counts[0].convolution}", color=BLUE)
axes.set(xlabel="side of the image, in pixels", ylabel="parameters", xticks=sides, xticklabels=sides, ylim=(1e2, 1e12))
axes.minorticks_off()
axes.legend(frameon=False, loc="center right")
plt.show()

# %% [markdown]
# The second reason: it does not know which pixels are neighbours. Shuffle the pixels of all images alike, and the
# weights with them, and it computes the same. A convolution of a shuffled image is another thing altogether.

# %%
draw = np.random.default_rng(0)
shuffle = draw.permutation(64)
weights = draw.normal(size=64)
digit = digits.images[0] / 16
shuffled = digit.ravel()[shuffle].reshape(8, 8)
print("xᵀw of the digit:   ", linear(digit.ravel(), weights))
print("xᵀw of it shuffled: ", linear(shuffled.ravel(), weights[shuffle]))

figure, axes = plt.subplots(1, 4, figsize=(7, 2))
show(axes[0], digit, "a digit")
show(axes[1], cross_correlate(digit, BOX_BLUR), "blurred")
show(axes[2], shuffled, "shuffled")
show(axes[3], cross_correlate(shuffled, BOX_BLUR), "shuffled, blurred")
plt.show()

# %% [markdown]
# ## "The convolutional operation" (L20)
#
# The linear operation has a weight for each input and gives one value. The convolution has a few, uses them at every
# place and gives a value for each: a dense layer of which nearly all weights are 0 and the others are the same.

# %%
figure, axes = plt.subplots(1, 2, figsize=(6, 2.8))
extent = {"cmap": "RdBu", "vmin": -2, "vmax": 2}
show(axes[0], draw.normal(size=(12, 12)), "dense layer: 144 weights", **extent)
show(axes[1], dense_matrix([-1, 2, -1], 12), "convolution: 3 weights, -1 2 -1", **extent)
for panel in axes:
    panel.set(xlabel="input", ylabel="output")
plt.show()

# %% [markdown]
# ## "1D convolutions" (L21)
#
# Each value becomes the mean of five neighbours. The slide asks three questions; look for the answers in the picture.
# Q1: why divide by 5? (The weights then sum to 1, and a constant stays as it is.) Q2: why an uneven size? (It has a
# centre; an even filter moves the signal by half a sample.) Q3: a smaller or larger filter? (A larger one smooths
# more: the noise's variance falls by its size, and so does what is narrow.)

# %%
time = np.arange(120)
clean = np.where((time > 40) & (time < 80), 1.0, 0.2)
signal = clean + draw.normal(0, 0.15, 120)
figure, axes = plt.subplots(1, 3, figsize=(9, 2.3), sharey=True)
for panel, size in zip(axes, (3, 5, 15), strict=True):
    panel.plot(signal, color="0.75", lw=0.8)
    panel.plot(cross_correlate(signal, moving_average(size), border="copy"), color=BLUE)
    panel.set(title=f"mean of {size}", xlabel="place")
plt.show()

# %% [markdown]
# ## "2D convolutions" (L22, L23, E1)
#
# $G[x, y] = \sum_{i, j} H[i, j]\, F[x + i, y + j]$, where $i$ and $j$ count from the centre of the filter (E1: the
# slide has $x + i$ and $y + i$ in both). A 7 x 7 image and a 3 x 3 filter: how large is the output? There are five
# places across and five down.

# %%
image7 = np.zeros((7, 7))
image7[2:5, 2:5] = 1
image7[3, 3] = 3
figure, axes = plt.subplots(1, 3, figsize=(8, 2.8), width_ratios=[7, 3, 5])
result = cross_correlate(image7, BOX_BLUR, border="valid")
for panel, table, title in zip(
    axes, (image7, 9 * BOX_BLUR, 9 * result), ("image", "9 times filter", "9 times output"), strict=True
):
    show(panel, table, f"{title}, {table.shape[0]} x {table.shape[1]}", cmap="Blues", vmin=0, vmax=2 * np.max(table))
    for (row, column), value in np.ndenumerate(np.asarray(table)):
        panel.text(column, row, f"{value:.0f}", ha="center", va="center")
axes[0].add_patch(Rectangle((-0.5, -0.5), 3, 3, fill=False, color=ORANGE, lw=2))
axes[2].add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, color=ORANGE, lw=2))
axes[0].add_patch(Rectangle((2.5, 1.5), 3, 3, fill=False, color=GREEN, lw=2))
axes[2].add_patch(Rectangle((2.5, 1.5), 1, 1, fill=False, color=GREEN, lw=2))
plt.show()

# %% [markdown]
# ### Exercise 1: cross-correlation
#
# `image` and `kernel` are matrices. Return the sums at all places where the kernel fits. Hint: two loops over the
# places, and `(patch * kernel).sum()` at each; or `np.lib.stride_tricks.sliding_window_view` and an `einsum`.


# %%
def my_correlate(image, kernel): ...  # yours


check_cross_correlate(my_correlate)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_correlate(image, kernel):
    patches = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("xyij,ij->xy", patches, kernel)


assert check_cross_correlate(solved_correlate)

# %% [markdown]
# ## Stride, padding and dilation (L23, L31, E22)
#
# A window of $K$ values takes $\lfloor (N + 2P - D(K-1) - 1) / S \rfloor + 1$ places along $N$ values, with padding
# $P$ on each side, stride $S$ and dilation $D$. The output has the size of the image only with padding $(K - 1) / 2$
# (E22: the slide says so of every convolution).

# %%
figure, axes = plt.subplots(1, 4, figsize=(9.5, 2.2))
for panel, (kernel, stride, padding, dilation) in zip(
    axes, ((3, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 0, 2)), strict=True
):
    places = output_size(7, kernel, stride, padding, dilation)
    for value in range(-padding, 7 + padding):
        panel.plot(value, 0, "s", ms=7, color=BLUE if 0 <= value < 7 else "0.85")
    for place in range(places):
        centre = place * stride - padding + dilation * (kernel - 1) / 2
        panel.plot(centre, 3, "s", ms=7, color=ORANGE)
        for tap in range(kernel):
            panel.plot([place * stride - padding + dilation * tap, centre], [0.25, 2.75], color="0.6", lw=0.6)
    settings = f"stride {stride}, padding {padding}"
    panel.set(xlim=(-1.7, 7.7), ylim=(-0.6, 3.6), title=f"{settings}\ndilation {dilation}: 7 → {places}")
    panel.axis("off")
plt.show()
print("padding that keeps the size, for kernels of 1, 3, 5, 7:", [same_padding(kernel) for kernel in (1, 3, 5, 7)])

# %% [markdown]
# ### Exercise 2: the size of the output
#
# Write the formula. Hint: a dilated window spans more than `kernel` values, and half a place is none.


# %%
def my_output_size(size, kernel, stride, padding, dilation): ...  # yours


check_output_size(my_output_size)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_output_size(size, kernel, stride, padding, dilation):
    span = dilation * (kernel - 1) + 1
    return (size + 2 * padding - span) // stride + 1


assert check_output_size(solved_output_size)

# %% [markdown]
# ## "Dealing with the border" (L24)
#
# To keep the size, the image has to go on beyond its edges. The slide's four ways, and a fifth that is often meant by
# "reflect": it does not repeat the pixel at the edge. The frame is where the photograph ends.

# %%
figure, axes = plt.subplots(1, 5, figsize=(10, 2.3))
small = photograph[::3, ::3]
for panel, border in zip(axes, [name for name in BORDERS if name != "valid"], strict=True):
    show(panel, pad(small, [(24, 24), (24, 24)], border), border)
    panel.add_patch(Rectangle((23.5, 23.5), *small.shape[:2], fill=False, color=ORANGE))
plt.show()
print({border: pad([1, 2, 3, 4], [(3, 3)], border).tolist() for border in BORDERS})

# %% [markdown]
# ## "Practice examples" (L25 to L28)
#
# What do the slide's four filters do? The first leaves the image alone; the second reads every value from its right
# neighbour, so the image moves left by a pixel; the third blurs; the last adds what the blur took away. In its middle
# stands 17/9.

# %% tags=["picture"]
filters = {"no change": IDENTITY, "shifted left": SHIFT_LEFT, "box blur": BOX_BLUR, "sharpened": SHARPEN}
figure, axes = plt.subplots(2, 4, figsize=(10, 4.2), height_ratios=[1, 2.2])
window = np.s_[60:120, 30:90]
for column, (name, kernel) in enumerate(filters.items()):
    show(axes[0, column], kernel, cmap="RdBu", vmin=-2, vmax=2)
    for (row, place), value in np.ndenumerate(kernel):
        ink = "white" if value > 1.5 else "black"
        axes[0, column].text(place, row, f"{value:.2g}", color=ink, ha="center", va="center", fontsize=8)
    show(axes[1, column], cross_correlate(photograph, kernel, border="reflect")[window], name)
plt.show()
print("centre of the last:", SHARPEN[1, 1], "= 17/9; its sum:", SHARPEN.sum().round(12))
moved = cross_correlate(grey, SHIFT_LEFT)
print("moved left by a pixel:", bool((moved[:, :-1] == grey[:, 1:]).all()))

# %% [markdown]
# ## "Convolution errata" (L29, E2)
#
# All of this is cross-correlation. Of an impulse it gives the filter back *turned around*: `i h g; f e d; c b a` (E2:
# the slide prints `i h h`). A convolution flips the filter first, and gives it back as it is. For filters that are
# learned it makes no difference.

# %%
letters = np.arange(1.0, 10).reshape(3, 3)  # a = 1 to i = 9
named = {
    "filter": letters,
    "cross-correlated": np.asarray(cross_correlate(impulse(3, 3), letters)),
    "convolved": np.asarray(convolve(impulse(3, 3), letters)),
}
figure, axes = plt.subplots(1, 3, figsize=(6, 2.2))
for panel, (title, table) in zip(axes, named.items(), strict=True):
    show(panel, table, title, cmap="Blues", vmin=0, vmax=18)
    for (row, column), value in np.ndenumerate(table):
        panel.text(column, row, " abcdefghi"[round(value)], ha="center", va="center", fontsize=12)
plt.show()

# %% [markdown]
# ## "Local connectivity", "Multiple neurons" and "Filter maps" (L30 to L33)
#
# A filter of an image with channels is local in space and *full in depth*: 5 x 5 x 3 weights for a colour image. D
# filters give D maps, one above the other. Here are eight by hand: edges in four directions, of brightness and of red
# against green.

# %%
across = np.outer([1, 4, 6, 4, 1], [-1, -2, 0, 2, 1]) / 48
down = across.T
slanted = (across + down) / 2, (across - down) / 2
white, red_green = np.ones(3) / 3, np.array([1.0, -1.0, 0.0])
bank = np.stack([each[..., None] * colour for colour in (white, red_green) for each in (across, down, *slanted)], -1)
maps = cross_correlate(photograph, bank, border="reflect")
tiles = np.pad(0.5 + 0.5 * bank / np.abs(bank).max(), [(1, 0), (1, 0), (0, 0), (0, 0)], constant_values=1)
coloured = tiles.reshape(6, 6, 3, 2, 4).transpose(3, 0, 4, 1, 2).reshape(12, 24, 3)
print("image", photograph.shape, "bank", bank.shape, "maps", maps.shape)

figure, axes = plt.subplots(1, 3, figsize=(10, 3), width_ratios=[1, 1.2, 2])
show(axes[0], photograph, "photograph")
show(axes[1], coloured, "filters")
show(axes[2], mosaic(maps, columns=4, gap=3), "filter maps", cmap="gray")
plt.show()

# %% [markdown]
# The slide's quiz: a second layer on D₁ maps has filters of size 5 x 5 x [**D₁**], and its output is [**32 x 32 x
# D₂**], with padding 2. Without padding a 5 x 5 filter leaves 28 x 28.

# %%
image32, first, second = np.zeros((32, 32, 3)), np.zeros((5, 5, 3, 6)), np.zeros((5, 5, 6, 16))
maps1 = cross_correlate(image32, first)
print("padded:  ", image32.shape, "→", maps1.shape, "→", cross_correlate(maps1, second).shape)
print("unpadded:", image32.shape, "→", cross_correlate(image32, first, border="valid").shape)

# %% [markdown]
# ## What one output sees: the receptive field (L33)
#
# Two 3 x 3 filters one after the other see 5 x 5 pixels, three see 7 x 7; a stride or a pooling between them doubles
# every later step, and dilation spreads the taps. `receptive_field` counts it, and the gradient of one output by the
# image shows it: black is where it is 0.

# %%
stacks = {
    "3x3": [Window(3)],
    "3x3, 3x3": [Window(3)] * 2,
    "3x3, 3x3, 3x3": [Window(3)] * 3,
    "3x3, pool, 3x3, pool, 3x3": [Window(3), Window(2, stride=2), Window(3), Window(2, stride=2), Window(3)],
    "dilation 1, 2, 4": [Window(3), Window(3, dilation=2), Window(3, dilation=4)],
}


def outputs(image, stack):
    """Means over the windows of a stack of layers."""
    for layer in stack:
        kernel = np.ones((layer.kernel, layer.kernel, 1, 1), np.float32) / layer.kernel**2
        image = jax.lax.conv_general_dilated(
            image,
            kernel,
            (layer.stride, layer.stride),
            "VALID",
            rhs_dilation=(layer.dilation, layer.dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    return image


def view(stack, size=25):
    """The derivative of the output in the middle by each pixel of an image."""

    def middle(image):
        result = outputs(image[None, ..., None], stack)[0, ..., 0]
        return result[result.shape[0] // 2, result.shape[1] // 2]

    return jax.grad(middle)(jnp.zeros((size, size)))


figure, axes = plt.subplots(1, 5, figsize=(10, 2.4))
for panel, (name, stack) in zip(axes, stacks.items(), strict=True):
    field, seen = receptive_field(stack), view(stack)
    across = int((np.abs(seen).max(0) > 0).sum())
    show(panel, seen, f"{name}\nsees {field.size} pixels, {across} by gradient", cmap="inferno", vmin=0)
    panel.title.set_fontsize(7)
plt.show()

# %% [markdown]
# ## "Towards a network for vision": shared weights (L19, L20)
#
# Shared over all places, the filters give a moved result for a moved image: exactly so where the border wraps around.
# That is *equivariance*. A dense layer with random weights knows nothing of it.

# %%
shift = (25, 40)
moved_then = cross_correlate(np.roll(grey, shift, (0, 1)), bank[:, :, 0, 0], border="wrap")
then_moved = np.roll(cross_correlate(grey, bank[:, :, 0, 0], border="wrap"), shift, (0, 1))
print("largest difference of moving before and after:", float(np.abs(moved_then - then_moved).max()))

dense = draw.normal(size=(64, 64)) / 8
rolled = np.roll(digit, (1, 2), (0, 1))
figure, axes = plt.subplots(2, 3, figsize=(6, 3.8))
kernel = draw.normal(size=(3, 3))
extent = {"cmap": "RdBu", "vmin": -3, "vmax": 3}
for row, image in zip(axes, (digit, rolled), strict=True):
    show(row[0], image)
    show(row[1], cross_correlate(image, kernel, border="wrap"), **extent)
    show(row[2], (image.ravel() @ dense).reshape(8, 8), **extent)
for panel, title in zip(axes[0], ("digit", "convolution", "dense layer"), strict=True):
    panel.set_title(title)
axes[0, 0].set_ylabel("here")
axes[1, 0].set_ylabel("moved")
plt.show()

# %% [markdown]
# ## "Pooling" and "Max pooling" (L34 to L36, E21)
#
# A region becomes its mean or its maximum: a quarter of the values for the next layer to compute with, and small
# deformations within a region leave the maximum as it is. The slide calls it an activation function, though it does
# not act on single values (E21).

# %%
grid = np.array([[1, 4, 3, 6], [2, 1, 0, 9], [2, 2, 7, 7], [5, 3, 3, 6]])
tables = {
    "the slide's grid": grid,
    "max": np.asarray(max_pool(grid)),
    "mean": np.asarray(mean_pool(grid)),
    "gradient of max": np.asarray(max_pool_gradient(grid, np.ones((2, 2)))),
}
figure, axes = plt.subplots(1, 4, figsize=(8.4, 2.3))
for panel, (title, table) in zip(axes, tables.items(), strict=True):
    show(panel, table, title, cmap="Blues", vmin=0, vmax=2 * table.max())
    for (row, column), value in np.ndenumerate(table):
        panel.text(column, row, f"{value:g}", ha="center", va="center")
for panel in (axes[0], axes[3]):
    panel.axhline(1.5, color=ORANGE)
    panel.axvline(1.5, color=ORANGE)
plt.show()

# %% [markdown]
# The gradient goes to the pixel that was the maximum, and to no other. The slide's grid has two 7s in one region: of
# equal ones the first in row-major order takes it, as in jax and torch (E21).
#
# Below, each pixel of a digit becomes a dot somewhere in a region of 4 x 4. Move all dots, each within its region:
# the pixels change altogether, the maxima not at all. Moving the whole image takes some dots into the next region,
# the more the farther it moves.


# %%
def dotted(key):
    """The digit as dots, each at a random place of its region of 4 x 4 pixels."""
    places = np.random.default_rng(key).integers(16, size=(8, 8))
    regions = np.eye(16)[places].reshape(8, 8, 4, 4) * (digits.images[2] / 16)[..., None, None]
    return regions.transpose(0, 2, 1, 3).reshape(32, 32)


dots, deformed = dotted(0), dotted(1)
steps = np.arange(0, 5)
pools = {
    "pixels": (lambda image: image, BLUE),
    "mean of 4 x 4": (lambda image: mean_pool(image, 4), GREEN),
    "maximum of 4 x 4": (lambda image: max_pool(image, 4), ORANGE),
    "maximum of 8 x 8": (lambda image: max_pool(image, 8), PINK),
}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.5), width_ratios=[1, 1, 1, 1.7])
show(axes[0], dots, "dots")
show(axes[1], deformed, "deformed")
show(axes[2], max_pool(deformed, 4), "maximum of 4 x 4, of both")
for name, (pool, colour) in pools.items():
    still = np.asarray(pool(dots))
    change = [np.linalg.norm(pool(np.roll(dots, step, 1)) - still) / np.linalg.norm(still) for step in steps]
    axes[3].plot(steps, change, "o-", color=colour, label=name)
axes[3].set(xlabel="moved by, in pixels", ylabel="relative change", xticks=steps)
axes[3].legend(frameon=False, fontsize=7, loc="lower right")
plt.show()
print("maxima of both are the same:", bool((max_pool(dots, 4) == max_pool(deformed, 4)).all()))

# %% [markdown]
# ## The gradient of a convolution (L29, L36, E20)
#
# Going back is a convolution again. Each weight has met a whole patch: its derivative is the correlation of image and
# output gradient. Each pixel was met by the whole kernel: its derivative is the *convolution*, kernel flipped, of the
# output gradient continued by zeros. That is the transposed convolution, which some slides call deconvolution though
# it undoes nothing (E20).
#
# ### Exercise 3: both gradients by hand
#
# For `correlate(image, kernel)` of exercise 1 return the derivative by the image and by the kernel, given that by the
# output. `cross_correlate(a, b, border="valid")` and `np.pad` are all you need.


# %%
def my_gradient(image, kernel, output_gradient): ...  # yours


check_convolution_gradient(my_gradient)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_gradient(image, kernel, output_gradient):
    wide = np.pad(output_gradient, [(side - 1, side - 1) for side in kernel.shape])
    by_image = cross_correlate(wide, kernel[::-1, ::-1], border="valid")
    return by_image, cross_correlate(image, output_gradient, border="valid")


assert check_convolution_gradient(solved_gradient)

# %% [markdown]
# With it, a filter can be learned. Somebody sharpened the photograph; starting from noise, gradient descent on the
# squared error finds the kernel with which it was done. The gradient is the one by hand.

# %%
patch = np.asarray(grey[40:140, 20:120]) - float(grey.mean())
wanted = np.asarray(cross_correlate(patch, SHARPEN, border="valid"))
kernel, velocity = draw.normal(0, 0.3, (3, 3)), np.zeros((3, 3))
rate = 0.9 / (9 * (patch**2).mean())
stages, errors = {}, []
for step in range(scale.pick(400, 2000) + 1):
    error = np.asarray(cross_correlate(patch, kernel, border="valid")) - wanted
    errors.append((error**2).mean())
    if step in (0, 5, 20, 100):
        stages[step] = kernel
    _, by_kernel = solved_gradient(patch, kernel, error / error.size)
    velocity = 0.9 * velocity + by_kernel
    kernel = kernel - rate * velocity

figure, axes = plt.subplots(1, 6, figsize=(10, 2.1), width_ratios=[1, 1, 1, 1, 1, 1.6])
for panel, (step, learned) in zip(axes, stages.items(), strict=False):
    show(panel, learned, f"step {step}", cmap="RdBu", vmin=-2, vmax=2)
show(axes[4], SHARPEN, "SHARPEN", cmap="RdBu", vmin=-2, vmax=2)
axes[5].semilogy(errors, color=BLUE)
axes[5].set(xlabel="step", title="mean squared error")
plt.show()
print("largest difference from SHARPEN:", float(np.abs(kernel - SHARPEN).max().round(4)))

# %% [markdown]
# ## "The Convolutional Network": LeNet (L37)
#
# Local filters at each layer, the same for each area; pooling downsizes the maps; the last layers are dense. `lenet5`
# names its stages. Its 61,706 parameters are mostly in the first dense layer, as one would expect from the beginning
# of this notebook.

# %%
model = zoo.create("lenet5")
variables = zoo.init(model, jax.random.key(0), (28, 28, 1))
sample = np.pad(np.kron(digits.images[2] / 16, np.ones((3, 3))), 2).astype(np.float32)  # 8 x 8 pixels, on 28 x 28
features = model.apply(variables, sample[None, ..., None], features=True)
parts = ("stage1", "stage2", "dense1", "dense2", "head")
layers = {name: sum(leaf.size for leaf in jax.tree.leaves(variables["params"][name])) for name in parts}
for name, value in features.items():
    print(f"{name:11} {' x '.join(map(str, value.shape[1:])):12}")
print(
    "parameters:", ", ".join(f"{name} {count:,}" for name, count in layers.items()), f"in all {sum(layers.values()):,}"
)

# %%
size = 28
print("input", size)
for name, window in (
    ("conv1", Window(5, padding=2)),
    ("pool1", Window(2, 2)),
    ("conv2", Window(5)),
    ("pool2", Window(2, 2)),
):
    size = output_size(size, *window)
    print(name, size)
stack = [Window(5, padding=2), Window(2, 2), Window(5), Window(2, 2)]

figure, axes = plt.subplots(1, 4, figsize=(10, 2.6), width_ratios=[1, 1.5, 1.5, 1.2])
show(axes[1], mosaic(features["stage1"][0], columns=3), "stage 1: 14 x 14 x 6", cmap="gray")
show(axes[2], mosaic(features["stage2"][0], columns=4), "stage 2: 5 x 5 x 16", cmap="gray")
axes[3].barh(list(layers)[::-1], list(layers.values())[::-1], color=BLUE)
axes[3].set(title="parameters")
seen = receptive_field(stack)
centre = seen.seen_by(2)
axes[0].add_patch(Rectangle((centre[0] - 0.5, centre[0] - 0.5), seen.size, seen.size, fill=False, color=ORANGE, lw=2))
show(axes[0], sample, f"28 x 28: a place of stage 2\nsees {seen.size} x {seen.size} of them")
plt.show()

# %% [markdown]
# Its filters are still random: the next notebook trains networks like this one, deeper ones too, and looks into them.
