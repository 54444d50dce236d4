# %% [markdown]
# # Networks that see motion
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/10_video.ipynb)
#
# You look at videos as strips of film, see why one frame is not enough, stack optical flow as a temporal stream has it,
# spread a kernel of images over time, and train two networks on clips whose class is how a digit moves: one that sees a
# frame, which is at chance, and one of 3D convolutions, which is not. It then watches a longer film through a sliding
# window, and a video file. Slides "Deep learning for videos" to "A problem with video recognition", rows L49 to L53.
# The networks are in `zoo.video`. Three exercises check themselves.

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
# The extra `video`: PyAV reads and writes video files.
if not importlib.util.find_spec("av"):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "av>=14.1"], check=True)

# %%
from train import notebook

scale = notebook.start()

# %%
import functools
import math
import tempfile
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import train
import zoo
from train.data import load, preprocess
from train.use.open_run import open_run

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine


def strips(rows, names, titles, side=1.0):
    """Rows of pictures, each with its name at the left, under one row of titles."""
    size = side * (len(titles) + 1.2), side * len(rows) + 0.3
    _, axes = plt.subplots(len(rows), len(titles), figsize=size, layout="constrained", squeeze=False)
    for cells, pictures, name in zip(axes, rows, names, strict=True):
        for cell, picture in zip(cells, pictures, strict=True):
            cell.imshow(picture, interpolation="nearest")
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for cell, title in zip(axes[0], titles, strict=True):
        cell.set_title(title, fontsize=9)
    plt.show()


# %% [markdown]
# ## From images to videos (slide "From images to videos", L49)
#
# A video is images in order: one axis more, `(time, height, width, channels)`. Networks are given *clips*, a few frames
# of it. The library's `moving_clips:motion` are clips of sixteen frames in which a real, handwritten digit moves over a
# still ground. The class is *how* it moves, of ten ways; which digit it is does not matter. At the border it comes back
# at the other side.

# %%
config = train.recipe("moving_r3d").data
test = load(config, "test")
names = test.facts.classes
clips, labels = (test.arrays()[name] for name in ("clip", "label"))
print("clips:", clips.shape, clips.dtype, "classes:", ", ".join(names))
shown = np.arange(0, 16, 3)
some = [int(np.flatnonzero(labels == label)[place]) for label, place in {1: 1, 3: 1, 5: 0, 8: 4}.items()]
strips(clips[some][:, shown], [names[labels[row]] for row in some], [f"frame {number}" for number in shown])

# %% [markdown]
# ## Why one frame is not enough (L49)
#
# Here is the first frame of a clip of each class. Which way will the digit go? Nothing in the frame says it, and it is
# so by construction: where the digit begins, and on which ground, is drawn without a look at the class. Whatever a
# network learns from single frames, on new clips it is right in one of ten.

# %%
first = [int(np.flatnonzero(labels == label)[1]) for label in range(10)]
strips([clips[first[:5], 0], clips[first[5:], 0]], ["", ""], 5 * [""], side=1.1)
print("from left to right:", ", ".join(names[labels[row]] for row in first))

# %% [markdown]
# ## Three families (slides "Two-stream networks", "3D convolutional networks", "Recurrent networks", L49, L51, L52)
#
# * **Two streams**: a network of images sees a frame, another the *flow* around it, and what they say is fused late.
# * **3D convolutions** slide their windows over time as they do over height and width.
# * **Recurrent**: a network of images sees each frame, and an LSTM what it says of them, one after the other.
#
# All are in the zoo, at the sizes of their papers; transformers, which came after the lecture's, too.

# %%
for name in ("two_stream_resnet18", "c3d", "i3d", "r3d_18", "lrcn_alexnet", "swin3d_t"):
    entry = zoo.describe(name)
    shapes = jax.eval_shape(functools.partial(zoo.init, zoo.create(name), jax.random.key(0), *entry.inputs))
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))
    print(f"{name:20} {count / 1e6:6.1f} million parameters, sees {' and '.join(map(str, entry.inputs))}")

# %% [markdown]
# ## Flow as an input (slide "Two-stream networks", L49, L50)
#
# Optical flow says of each pixel where it is in the next frame: motion, without colours. It is found from the frames
# alone, here by TV-L1, as the paper's authors did. Below each frame is the flow to the next one; the hue is the
# direction, as the wheel at the end of the row shows.

# %% tags=["picture"]
from zoo.dense import flow_to_colour, tv_l1, wheel_picture

rows, said = [], []
for row in (some[1], some[3]):
    clip = clips[row]
    flows = np.asarray(tv_l1(clip[:-1], clip[1:]))  # (15, 32, 32, 2): x and y, in pixels
    at = np.arange(0, 15, 3)
    wheel = np.asarray(wheel_picture(16))
    blank = np.full_like(clip[0], 255)
    rows += [[*clip[at], blank], [*(flow_to_colour(flows[number], 1.5) for number in at), wheel]]
    said += [names[labels[row]], "flow"]
strips(rows, said, [*(f"frame {number}" for number in at), ""])

# %% [markdown]
# A network of images takes such flow as it takes colours: *L* fields in a row are an image of 2*L* channels, x and y of
# the first field, then of the second, and so on. The paper has ten.
#
# **Exercise 1.** `flows` are `(L, height, width, 2)`, in pixels. Return the stack `(height, width, 2L)`, cut off at 20
# pixels and divided by 20, so that it is in [-1, 1]. *Hint:* `np.clip`, `np.moveaxis`.

# %%
from zoo.exercises.video import check_flow_stack


def my_flow_stack(flows):
    """The fields as channels of one image."""
    ...  # yours


check_flow_stack(my_flow_stack)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_flow_stack(flows):
    stack = np.moveaxis(np.clip(flows, -20, 20) / 20, 0, 2)  # height, width, L, 2
    return stack.reshape(*stack.shape[:2], -1)


assert check_flow_stack(solved_flow_stack), check_flow_stack(solved_flow_stack)

# %% [markdown]
# The temporal stream is then any network of images. Averages over such a stack already tell directions and speeds
# apart: here is the mean flow of where something moves, a point a clip. There and back is little on average: to tell it
# from no motion it takes the order of the fields.

# %%
few = np.flatnonzero(np.isin(labels, (0, 1, 2, 3, 5, 8)))[: scale.pick(48, 150)]
means = []
for row in few:
    flows = np.asarray(tv_l1(clips[row, :-1:3], clips[row, 1::3]))
    moves = np.linalg.norm(flows, axis=-1) > 0.4
    means.append(flows[moves].mean(axis=0) if moves.any() else np.zeros(2))
means = np.array(means)
figure, cell = plt.subplots(figsize=(6.5, 3), layout="constrained")
for label in np.unique(labels[few]):
    cell.plot(*means[labels[few] == label].T, "o", ms=5, label=names[label])
cell.set(xlabel="mean flow to the right, pixels", ylabel="mean flow down, pixels")
cell.invert_yaxis()
figure.legend(fontsize=8, loc="outside right center")
plt.show()

# %% [markdown]
# **Exercise 2.** Each stream ends in logits. *Late fusion* makes one answer of them: the mean of their probabilities.
# `logits` are `(answers, classes)`. The same is done with the clips of a long video.

# %%
from zoo.exercises.video import check_fused


def my_fused(logits):
    """The mean of the probabilities, (classes,)."""
    ...  # yours


check_fused(my_fused)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_fused(logits):
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (scores / scores.sum(axis=1, keepdims=True)).mean(axis=0)


assert check_fused(solved_fused), check_fused(solved_fused)

# %% [markdown]
# ## Convolutions that see time (slide "3D convolutional networks", L51)
#
# A window of 3 x 3 x 3 has three frames, of three rows and columns each. With weights that *differ* over time it
# answers to motion: this one takes the frame before from the one after. Of a film that stands still nothing is left.

# %%
from zoo.nn import convolution

clip = jnp.asarray(clips[some[2]], jnp.float32)[None].mean(-1, keepdims=True) / 255
still = jnp.repeat(clip[:, :1], 16, axis=1)
change = jnp.zeros((3, 3, 3, 1, 1)).at[0, 1, 1].set(-1).at[2, 1, 1].set(1)
answers = [np.asarray(convolution(film, change, padding=(0, 1, 1)))[0, ..., 0] for film in (clip, still)]
at = np.arange(0, 14, 3)
greys = [np.asarray(film)[0, at + 1, ..., 0] for film in (clip, still)]
rows = [each for pair in zip(greys, [0.5 + answer[at] / 2 for answer in answers], strict=True) for each in pair]
coloured = [[plt.cm.gray(np.clip(picture, 0, 1)) for picture in row] for row in rows]
strips(coloured, ["moves", "answer", "stands still", "answer"], [f"frame {number + 1}" for number in at])
assert np.abs(answers[1]).max() < 1e-5 < np.abs(answers[0]).max()

# %% [markdown]
# 3D networks need not begin from nothing: *inflation* spreads a kernel that was learned from images over time. Of a
# film that stands still it then makes, in every frame, exactly what it made of the image.
#
# **Exercise 3.** `kernel` is `(height, width, channels, filters)`. Return the one of clips, `(times, height, width,
# channels, filters)`: the same at all times, such that a film that stands still is seen as its frame was.

# %%
from zoo.exercises.video import check_inflated


def my_inflated(kernel, times):
    """The kernel at every time."""
    ...  # yours


check_inflated(my_inflated)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_inflated(kernel, times):
    return np.repeat(kernel[None], times, axis=0) / times


assert check_inflated(solved_inflated), check_inflated(solved_inflated)

# %% [markdown]
# An edge filter, inflated to three frames. On the film that stands still it is the filter of the image; where something
# moves it is the mean of three, and so blurred along the way. A network then learns to do better with time.

# %%
edges = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32).reshape(3, 3, 1, 1) / 4
inflated = jnp.asarray(solved_inflated(edges, 3))
number = 13
frame = clip[:, number]
of_frame = np.asarray(convolution(frame, jnp.asarray(edges), padding=1))[0, ..., 0]
of_films = [
    np.asarray(convolution(film, inflated, padding=(0, 1, 1)))[0, number - 1, ..., 0]
    for film in (jnp.repeat(frame[:, None], 16, axis=1), clip)
]
print("largest difference on a film that stands still:", np.abs(of_films[0] - of_frame).max())
assert np.allclose(of_films[0], of_frame, atol=1e-5)
pictures = [np.asarray(frame)[0, ..., 0], *(0.5 + each for each in (of_frame, *of_films))]
titles = ["frame", "edges of it", "inflated, still film", "inflated, moving film"]
strips([[plt.cm.gray(np.clip(picture, 0, 1)) for picture in pictures]], [""], titles, side=1.6)

# %% [markdown]
# `zoo.video.inflate` does it for a whole network: of GoogLeNet's variables, such as `zoo.load_weights` gives, it makes
# I3D's.

# %% [markdown]
# ## One frame against all of them
#
# Two networks learn the ten ways to move from the same thousand clips: ResNet-8, which sees a frame, and a small
# network of 3D convolutions, which sees all sixteen.

# %%
epochs = scale.pick({"moving_spatial": 2, "moving_r3d": 3}, {"moving_spatial": 10, "moving_r3d": 10})
outcomes = {
    name: train.fit(train.recipe(name, epochs=count, eval_every=count), runs / name) for name, count in epochs.items()
}
right = {name: 100 * outcome.metrics["accuracy"] for name, outcome in outcomes.items()}
figure, cell = plt.subplots(figsize=(6, 1.6), layout="constrained")
bars = cell.barh(["one frame", "all frames, 3D"], right.values(), color=["tab:grey", "tab:blue"])
cell.bar_label(bars, fmt="%.1f %%")
cell.axvline(10, color="black", ls="--", lw=1)
cell.set(xlim=(0, 110), xlabel="test clips that are right (%); dashed: chance")
cell.invert_yaxis()
plt.show()

# %% [markdown]
# The first is at chance, and stays there however long it learns. With ten epochs each, and with a temporal stream, for
# which the flow of all clips is computed first: `python -m train experiment motion`.
#
# ## A longer film, through a window
#
# Networks of clips see sixteen frames. Over a longer film their window slides: here three films were joined, and the
# window goes two frames at a time. Where it lies within one of them, the network can say what moves; across a cut it
# sees what it never learned. In the quick scale it learned for three of its ten epochs, and is often wrong.

# %%
from zoo.video import mean_of_probabilities, over_windows

run = open_run(outcomes["moving_r3d"].workdir)
model, variables = run.model(), run.variables()[1]
prepare = preprocess(run.recipe.augment, run.spec)
parts = [int(np.flatnonzero(labels == label)[1]) for label in (6, 1, 9)]
film = np.concatenate(clips[parts])
seen = prepare({"clip": film[None]})["clip"]
windows = jax.jit(lambda film: over_windows(lambda clip: model.apply(variables, clip), film, 16, 2))(seen)[0]
chances = np.asarray(jax.nn.softmax(windows))
figure, cell = plt.subplots(figsize=(7, 2.6), layout="constrained")
middles = np.arange(len(chances)) * 2 + 8
for label in np.argsort(-chances.max(axis=0))[:5]:
    cell.plot(middles, 100 * chances[:, label], "o-", ms=3, label=names[label])
for place, row in enumerate(parts):
    cell.text(16 * place + 8, 108, names[labels[row]], ha="center", fontsize=9)
    cell.axvline(16 * place, color="black", lw=0.6)
cell.set(xlim=(0, 48), ylim=(0, 105), xlabel="frame in the middle of the window", ylabel="probability (%)")
figure.legend(fontsize=8, loc="outside right center")
plt.show()
whole = np.asarray(jax.nn.softmax(mean_of_probabilities(windows)))
print("the film as a whole:", ", ".join(f"{names[i]} {100 * whole[i]:.0f} %" for i in np.argsort(-whole)[:3]))

# %% [markdown]
# ## A video file
#
# The same film as an MP4 file, which the run predicts: it writes the video with what is seen in each window beside it,
# and all numbers as json. In a terminal: `python -m train predict runs/moving_r3d film.mp4`. Put the path of a video of
# your own here, and look at `moving_r3d` being sure of what it never saw.

# %%
from train.data.video_file import Video, VideoWriter
from train.use.clip_predictor import RunClipPredictor
from train.use.whole_videos import predict_whole_videos

path = runs / "film.mp4"
with VideoWriter(path, Fraction(8), *film.shape[1:3]) as writer:
    for number, frame in enumerate(film):
        writer.add(frame, Fraction(number, 8))

[written] = predict_whole_videos(RunClipPredictor(run), [path], runs / "seen")
with Video(written.video) as video:
    frames = [np.asarray(frame.picture) for number, frame in enumerate(video) if number in (4, 20, 36)]
figure, cells = plt.subplots(1, 3, figsize=(12, 1.9), layout="constrained")
for cell, frame in zip(cells, frames, strict=True):
    cell.imshow(frame)
    cell.set_axis_off()
plt.show()

# %% [markdown]
# ## What does a network look at? (slide "A problem with video recognition", L53)
#
# In videos of sports the ground is a lawn, a court, or water: who knows the ground knows much of the answer. The slide
# asks in which order a network that learned whole videos does on normal ones, without background, without the actor,
# and with another actor. In the library's `moving_clips:context` the actor is a digit with a motion of its own, and the
# ground has the colour of the class in most videos. What do you expect?

# %%
settings = {"context": "normal", "no_background": "no background", "no_actor": "no actor", "other_actor": "other actor"}
rows = []
for what in settings:
    source = load(train.recipe("moving_r3d", {"data.source": f"moving_clips:{what}"}).data, "test")
    rows.append(source.arrays()["clip"][7][shown])
strips(rows, list(settings.values()), [f"frame {number}" for number in shown])

# %% [markdown]
# The slide has the digits 1, 4, 2 and 3. We read them in the order of the four settings: normal videos are best, those
# without an actor second, with another actor third, and without background last: the network knows the scene. `python
# -m train experiment context` measures it.
#
# ## What to do next
#
# * Your own clips, a folder a class: `python -m train fit moving_r3d --data.source clips:PATH --data.crop 112`.
# * Networks that learned the 400 actions of Kinetics say what is done in a video of yours: `python -m train predict
#   --weights KINETICS400_V1 --model.name r3d_18 clip.mp4 --output seen`.
# * `python -m train fit moving_lrcn` is the recurrent network, `popularity` a number a video (L54).
# * The chapter is `zoo/video/README.md`.
