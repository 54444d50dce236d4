# %% [markdown]
# # The engine on many devices
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/06_many_devices.ipynb)
#
# You split a batch and its parameters over eight devices in three ways and see that the training is the same, find out
# what bfloat16 keeps of a number, stop a run in the middle and go on to the same bits, and keep runs where a
# disconnected Colab session cannot take them along. The lecture has no slides of this: it is how the minibatch SGD of
# row L12 becomes fast, and every recipe of the other notebooks can be trained so. On a CPU the eight devices are
# pretended, so here it is right, not fast; on a TPU v2-8 they are real. Three exercises check themselves.

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

# %% [markdown]
# jax counts devices once, when it is first asked for them, so this comes first. A CPU is taken for eight devices; an
# accelerator has those that it has: a TPU v2-8 eight, a T4 one. With one all of this runs, and nothing is split: choose
# a runtime without accelerator, or with a TPU, to see it.

# %%
from train import notebook

scale = notebook.start(devices=8)

# %%
import os
import signal
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

import train
import zoo
from train.engine.placement import make_placement
from zoo.exercises.many_devices import check_bytes_per_device, check_parallel_gradient, check_total

devices = jax.devices()
runs = Path(tempfile.mkdtemp())  # gone with this machine; the last section keeps runs elsewhere


def another():
    """A new folder, so that a cell may run again."""
    return Path(tempfile.mkdtemp(dir=runs))


print(f"{len(devices)} devices: {devices[0]}, ...")

# %% [markdown]
# ## One array, many devices
#
# A `Mesh` gives devices names along axes; ours has one axis, `data`. A `PartitionSpec` says which axis of an array is
# split along it: the batch is split by examples, and what is not split is on every device. Nothing else of the program
# changes: the compiler sees where arrays lie and puts in the communication.

# %%
mesh = Mesh(np.array(devices), ("data",))
by_example = NamedSharding(mesh, PartitionSpec("data"))
everywhere = NamedSharding(mesh, PartitionSpec())

digits = load_digits()
images = jax.device_put(np.float32(digits.images[:64]) / 16, by_example)
labels = jax.device_put(digits.target[:64], by_example)

figure, axes = plt.subplots(2, len(devices), figsize=(10, 2.9), layout="constrained", squeeze=False)
shards = sorted(images.addressable_shards, key=lambda shard: shard.index[0].start or 0)
for column, shard in zip(axes.T, shards, strict=True):
    for cell, image in zip(column, np.asarray(shard.data), strict=False):
        cell.imshow(image, cmap="gray_r")
        cell.set_axis_off()
    column[0].set_title(f"device {shard.device.id}", fontsize=9)
figure.suptitle("The first two digits of each device's part of the batch", fontsize=10)
plt.show()

# %% [markdown]
# ## The gradient of a batch, from its parts (minibatch SGD, L12)
#
# The loss is a mean over examples, and so is its gradient. Each device can compute the gradient of its part alone, and
# a single exchange makes the gradient of the batch. This is all of data parallelism.
#
# **Exercise 1.** `gradient(weights, inputs, targets)` gives the gradient of a mean. Ask it once for each device's part
# of the batch, and make the gradient of the whole batch of what comes. *Hint:* `np.split(inputs, devices)`.


# %%
def parallel_gradient(gradient, weights, inputs, targets, devices):
    """The gradient of the batch, from `devices` equal parts of it."""
    ...  # yours


check_parallel_gradient(parallel_gradient)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def parallel_gradient_solution(gradient, weights, inputs, targets, devices):
    pairs = zip(np.split(inputs, devices), np.split(targets, devices), strict=True)
    return sum(gradient(weights, *pair) for pair in pairs) / devices


assert check_parallel_gradient(parallel_gradient_solution)
check_parallel_gradient(parallel_gradient_solution)

# %% [markdown]
# jax has it in two forms. Under `jit` the batch is one array, split over the mesh, and the exchange is not to be seen.
# In a `shard_map` (and in the older `pmap`) the function sees its own part, and `jax.lax.pmean` is the exchange.

# %%
model = zoo.create("mlp", num_classes=10, hidden=(32,))
params = jax.device_put(zoo.init(model, jax.random.key(0), input_shape=(8, 8, 1))["params"], everywhere)


def loss(params, images, labels):
    logits = model.apply({"params": params}, images[..., None])
    return -jnp.mean(jnp.sum(jax.nn.one_hot(labels, 10) * jax.nn.log_softmax(logits), axis=-1))


def of_part(params, images, labels):
    own = jax.lax.pcast(params, "data", to="varying")  # each device's own copy: no exchange yet
    return jax.lax.pmean(jax.grad(loss)(own, images, labels), "data")


along = PartitionSpec("data")
of_parts = jax.jit(
    jax.shard_map(of_part, mesh=mesh, in_specs=(PartitionSpec(), along, along), out_specs=PartitionSpec())
)
whole = jax.jit(jax.grad(loss))(params, images, labels)
parts = of_parts(params, images, labels)
apart = max(float(jnp.abs(a - b).max()) for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True))
print(f"the two gradients differ by at most {apart:.1e}")

# %% [markdown]
# ## Who keeps what: `jit`, `fsdp`, `pmap`
#
# A recipe says it in one field, `placement`:
#
# - `jit`: each batch is shared out, the parameters are on every device;
# - `fsdp`: the parameters and what the optimizer remembers of them are shared out as well (Rajbhandari et al., 2020,
#   ZeRO, stage 3), and gathered when they are needed. Each device keeps an eighth, for more communication;
# - `pmap`: a replica a device, with explicit exchange.
#
# The picture shows which part of one kernel, of 64 inputs and 256 outputs, each device keeps.

# %% tags=["picture"]
kernel = jax.ShapeDtypeStruct((64, 256), jnp.float32)
figure, axes = plt.subplots(3, len(devices), figsize=(10, 2.6), layout="constrained", squeeze=False)
for row, name in zip(axes, ("jit", "fsdp", "pmap"), strict=True):
    kept = make_placement(name).state_shardings(kernel).devices_indices_map(kernel.shape)
    for cell, device in zip(row, devices, strict=True):
        mine = np.zeros(kernel.shape)
        mine[kept[device]] = 1
        cell.imshow(mine, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
        cell.set(xticks=[], yticks=[])
        if name == "jit":
            cell.set_title(f"device {device.id}", fontsize=9)
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %% [markdown]
# **Exercise 2.** How many bytes does a device keep of a float32 array under `fsdp`? The engine splits the longest axis
# that divides by the number of devices. An array of fewer than 4096 elements, or one of which no axis divides, stays
# whole on each. *Hint:* which axis it is does not change the number.


# %%
def bytes_per_device(shape, devices):
    """Bytes of a float32 array of this shape that each device keeps."""
    ...  # yours


check_bytes_per_device(bytes_per_device)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def bytes_per_device_solution(shape, devices):
    elements = int(np.prod(shape))
    shared = elements >= 4096 and any(size % devices == 0 for size in shape)
    return 4 * elements // (devices if shared else 1)


assert check_bytes_per_device(bytes_per_device_solution)
check_bytes_per_device(bytes_per_device_solution)

# %% [markdown]
# With momentum an optimizer remembers one number a parameter, Adam two. So much would each of your devices hold, of
# networks of the zoo, to train them with Adam: parameters, two moments, and a gradient.

# %%
names = ("resnet18", "resnet50", "vgg16", "convnext_base")
copies, held = 4, {}
for name in names:
    initialise = partial(zoo.init, zoo.create(name), input_shape=(224, 224, 3))
    variables = jax.eval_shape(initialise, jax.random.key(0))  # shapes alone: nothing is computed
    leaves = [leaf.shape for leaf in jax.tree.leaves(variables["params"])]
    held[name] = [copies * sum(bytes_per_device_solution(shape, count) for shape in leaves) / 2**30 for count in (1, 8)]

figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
places = np.arange(len(names))
for offset, (label, column) in zip((-0.2, 0.2), (("jit: all of it", 0), ("fsdp on 8 devices", 1)), strict=True):
    axis.barh(places + offset, [sizes[column] for sizes in held.values()], 0.38, label=label)
axis.set(yticks=places, yticklabels=names, xlabel="GiB on each device")
axis.invert_yaxis()
axis.legend()
plt.show()

# %% [markdown]
# ## The same training, three times
#
# The same recipe, with the three placements. Sums of floating-point numbers may be made in another order, and then the
# last bits differ; the training does not. `train.fit` shows its progress here, and what it
# returns has the numbers of the run and its report.

# %%
recipe = train.recipe("digits_mlp", epochs=scale.pick(6, 30), eval_every=2, log_every=4, steps_per_dispatch=1)
recipe

# %%
outcomes = {}
for name in ("jit", "fsdp", "pmap"):
    outcomes[name] = train.fit(train.recipe(recipe, placement=name), another() / name)
outcomes["fsdp"]

# %%
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, outcome), width in zip(outcomes.items(), (7, 4, 1.2), strict=True):
    lines = outcome.history("train")
    axis.plot([line["step"] for line in lines], [line["loss"] for line in lines], lw=width, label=name)
axis.set(xlabel="step", ylabel="training loss", yscale="log")
axis.legend()
plt.show()

weights = {name: load_file(outcome.workdir / "model.safetensors") for name, outcome in outcomes.items()}
for name, outcome in outcomes.items():
    rates = [line["images_per_second"] for line in outcome.history("train") if "images_per_second" in line]
    apart = max(np.abs(weights[name][key] - value).max() for key, value in weights["jit"].items())
    print(f"{name}: {outcome.metrics['accuracy']:.2%} right, {np.median(rates):,.0f} images a second;", end=" ")
    print(f"its weights differ from those of jit by at most {apart:.1e}")

# %% [markdown]
# With real devices the rate is what one looks at; eight pretended ones share two cores and only cost time. What limits
# real ones is the exchange: it takes as long for a small part as for a large one, so one makes the batch larger with
# the number of devices, and the learning rate with it.
#
# ## Half the bits: bfloat16
#
# A float32 has 8 bits of exponent and 24 of mantissa, of which the first is not stored. bfloat16 keeps the exponent and
# 8 bits of mantissa, so it reaches as far, with two to three digits; float16 spends its bits the other way and
# overflows at 65504.

# %%
values = np.geomspace(1e-9, 1e9, 400).astype(np.float32)
figure, axis = plt.subplots(figsize=(8, 3), layout="constrained")
for kind, colour in ((jnp.float16, "tab:orange"), (jnp.bfloat16, "tab:blue")):
    limits = jnp.finfo(kind)
    reached = values[(values >= float(limits.smallest_subnormal)) & (values <= float(limits.max))]
    error = np.abs(np.asarray(jnp.asarray(reached, kind), np.float64) / reached - 1)
    axis.plot(reached, np.maximum(error, 1e-6), ".", ms=3, color=colour, label=jnp.dtype(kind).name)
axis.set(xscale="log", yscale="log", xlabel="number", ylabel="relative error of rounding")
axis.legend()
plt.show()

# %% [markdown]
# So a network computes in bfloat16 (`model.dtype`), but parameters, statistics and sums are kept in float32: an update
# is often less than the 256th part of its weight, and would be rounded away.
#
# **Exercise 3.** Here is a sum that goes wrong: it stops at 512. Mend it, for values that stay bfloat16. *Hint:* what
# matters is the type of what is carried on.


# %%
def total(values):
    """The sum of bfloat16 numbers."""
    result = values[0]
    return jax.lax.scan(lambda sum, value: (sum + value, None), result, values[1:])[0]  # yours


check_total(total)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def total_solution(values):
    return jax.lax.scan(lambda sum, value: (sum + value, None), jnp.float32(0), values)[0]


assert check_total(total_solution)
check_total(total_solution)

# %%
half = train.fit(train.recipe(recipe, {"model.dtype": "bfloat16"}), another() / "bfloat16")
kinds = {str(array.dtype) for array in load_file(half.workdir / "model.safetensors").values()}
print(
    f"parameters: {kinds}; {half.metrics['accuracy']:.2%} right, in float32 {outcomes['jit'].metrics['accuracy']:.2%}"
)

# %% [markdown]
# ## Stop, and go on to the same bits
#
# Every run keeps checkpoints: parameters, what the optimizer remembers, the state of the random numbers and the place
# in the data. Press stop while a cell trains, and the run is saved after its step. Here a second thread presses it for
# you, after the first evaluation.


# %%
def press_stop(workdir):
    """What Jupyter's stop button does to the kernel, once a run has evaluated."""
    while not (workdir / "metrics.jsonl").exists() or '"eval"' not in (workdir / "metrics.jsonl").read_text():
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGINT)


folder = another() / "stopped"
threading.Thread(target=press_stop, args=[folder], daemon=True).start()
stopped = train.fit(recipe, folder)
stopped

# %%
resumed = train.resume(stopped.workdir)
print(f"stopped at step {stopped.step}, now at step {resumed.step}")
print(f"undisturbed: {outcomes['jit'].fingerprint}")
print(f"resumed:     {resumed.fingerprint}")
assert resumed.fingerprint == outcomes["jit"].fingerprint

# %%
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
for (label, outcome), style in zip((("undisturbed", outcomes["jit"]), ("resumed", resumed)), ("-", "."), strict=True):
    lines = outcome.history("train")
    axis.plot([line["step"] for line in lines], [line["loss"] for line in lines], style, label=label)
axis.axvline(stopped.step, color="tab:red", lw=1, label="stopped")
axis.set(xlabel="step", ylabel="training loss", yscale="log")
axis.legend()
plt.show()

# %% [markdown]
# ## When the session is gone
#
# A Colab session that disconnects takes its disk along. So keep the run's folder elsewhere, and go on from there in the
# next session; a run that was killed has lost what came after its last checkpoint, and ends with the same bits all the
# same. Checkpoints come once an epoch, or every `checkpoint_every` steps.
#
# On Google Drive, after it asked you for permission:
#
#     from google.colab import drive
#     drive.mount("/content/drive")
#     folder = "/content/drive/MyDrive/runs/digits"
#
# In a bucket of Google Cloud, as a folder by [gcsfuse](https://cloud.google.com/storage/docs/cloud-storage-fuse):
#
#     from google.colab import auth
#     auth.authenticate_user()
#     !mkdir -p bucket && gcsfuse --implicit-dirs YOUR_BUCKET bucket
#     folder = "bucket/runs/digits"
#
# Then the same cell begins the run in the first session and goes on with it in every other. Run it twice here.


# %%
def begin_or_go_on(recipe, folder):
    """Trains where there is no run yet, else goes on with the one that is there."""
    return train.resume(folder) if (Path(folder) / "recipe.json").exists() else train.fit(recipe, folder)


folder = runs / "kept"  # in Colab one of the folders above
first = begin_or_go_on(recipe, folder)
again = begin_or_go_on(recipe, folder)
assert first == again

# %% [markdown]
# The same in a terminal, where several machines can make one run, is in `train/README.md`:
#
#     python -m train fit digits --placement fsdp --model.dtype bfloat16
#     python -m train resume runs/digits
