# %% [markdown]
# # Geometric deep learning
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/11_geometric_learning.ipynb)
#
# Networks that know the structure of what they see. Part I: graphs, row L78. You write the graph convolution of GCN
# with matrices and the attention of GAT, let a network find the two sides of a karate club of which only the leaders
# are known, and classify digits as graphs of superpixels. Part II: groups, row L79. You turn filters by hand and see
# the maps of a turned image, train a network that knows turns beside one that does not, look at digits on a sphere,
# and classify sets of points, which have no order. The functions are in `zoo.geometric`. Exercises check themselves.

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

# %% [markdown]
# # Part I: graphs
#
# Part I needs networkx and scikit-image, which Colab has; elsewhere `pip install networkx scikit-image`.

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import train
from train.data import load
from train.use.open_run import open_run
from zoo import geometric

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine

# %% [markdown]
# ## Message passing (L78)
#
# An image has its pixels on a grid, and a convolution knows who is whose neighbour. A graph says it itself: nodes with
# features, and edges. A layer of a graph network is *message passing*: along every edge its sender sends something, and
# every node takes in what arrives, in no order: a sum, a mean, a maximum.
#
# Here node 2 hears from 0 and 1, and node 0 from 2. `propagate` is the whole of it.

# %%
nodes = jnp.array([[1.0], [2.0], [4.0]])
edges = jnp.array([[0, 2], [1, 2], [2, 0]])  # from, to
graph = geometric.Graph.of(nodes, edges)
heard = geometric.propagate(graph, lambda sender, receiver: sender)
print("what each node hears:", heard[:, 0])
assert heard[:, 0].tolist() == [4.0, 0.0, 3.0]

# %% [markdown]
# ## The graph convolution of GCN (Kipf and Welling, 2017)
#
# With the adjacency matrix $A$, $A_{ij} = 1$ where there is an edge from $j$ to $i$, the sum over the neighbours is
# $AX$. GCN adds an edge from each node to itself, and divides by the degrees of both ends, so that nodes with many
# neighbours do not become loud:
#
# $$D^{-1/2} (A + I) D^{-1/2} X W$$
#
# where $D$ has the degrees, with the edge to itself, on its diagonal.
#
# **Exercise 1.** Write it with matrices.

# %%
from zoo.exercises.graphs import check_graph_convolution


def my_graph_convolution(A, X, W):
    """New features of each node."""
    ...  # yours


check_graph_convolution(my_graph_convolution)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_graph_convolution(A, X, W):
    with_loops = A + np.eye(len(A))
    scales = with_loops.sum(axis=1) ** -0.5
    return scales[:, None] * with_loops * scales @ X @ W


assert check_graph_convolution(solved_graph_convolution), check_graph_convolution(solved_graph_convolution)

# %% [markdown]
# The library never makes the matrix $A$: Cora's would have 2708 x 2708 entries, of which 0.14 % are not 0. It sends
# along the list of edges instead, and comes to the same numbers.

# %%
club = load(train.recipe("karate_gcn").data, "train")[0]
graph = geometric.Graph.of(jnp.asarray(club["nodes"]), jnp.asarray(club["edges"]))
W = np.random.default_rng(0).normal(size=(34, 4)).astype(np.float32)
by_list = jax.jit(geometric.graph_convolution)(graph, W)
by_matrix = solved_graph_convolution(np.asarray(geometric.adjacency(graph)), club["nodes"], W)
assert np.allclose(by_list, by_matrix, atol=1e-5)
print("largest difference:", np.abs(by_list - by_matrix).max())

# %% [markdown]
# In which order the nodes stand means nothing: in another order, the outputs stand in that order too. This is what a
# network on graphs has in place of a convolution's shifts.

# %%
order = np.random.default_rng(1).permutation(34)
places = np.argsort(order)
shuffled = geometric.Graph.of(jnp.asarray(club["nodes"][order]), jnp.asarray(places[club["edges"]]))
assert np.allclose(jax.jit(geometric.graph_convolution)(shuffled, W), by_list[order], atol=1e-5)

# %% [markdown]
# ## The two sides of a karate club
#
# In the 1970s Zachary watched a karate club of 34 members that split after a quarrel between its instructor (node 0)
# and its president (node 33). Who is friends with whom is known. Of two members it is known which side they took, the
# two leaders; a GCN finds the others. What a node is called is its only feature.

# %% tags=["picture"]
from train.report.theme import LIGHT
from train.tasks.nodes.drawing import graph_drawing

outcome = train.fit(train.recipe("karate_gcn"), runs / "karate")
print(f"{100 * outcome.metrics['accuracy']:.1f} % of the other 32 members are right")

run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
logits = jax.jit(model.apply)(variables, club["nodes"][None], club["edges"][None])[0]
wrong = np.argmax(logits, axis=-1) != club["labels"]
learned = club["parts"] == 1
names = load(run.recipe.data, "train").facts.classes
graph_drawing(club["edges"], np.asarray(logits), wrong, learned, names, LIGHT)

# %% [markdown]
# Squares are the two that were learned from, rings the members that are wrong. Without edges nothing but the two names
# would be known of anybody.
#
# ## Who counts how much? Attention (GAT, Veličković et al., 2018)
#
# GCN weighs a neighbour by degrees alone. GAT learns it: an edge has a *logit*, computed from what its two ends hold,
# and a node weighs its neighbours by the softmax of the logits of the edges that arrive there.
#
# **Exercise 2.** Given the logit of each edge and the node that it arrives at, return the weight of each edge. *Hint:*
# `np.maximum.at(largest, receivers, logits)` and `np.add.at(total, receivers, shares)` gather by node; subtract the
# largest logit of each node before `np.exp`.

# %%
from zoo.exercises.graphs import check_attention


def my_attention(logits, receivers, nodes):
    """The weight of each edge; `nodes` is how many nodes there are."""
    ...  # yours


check_attention(my_attention)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_attention(logits, receivers, nodes):
    largest = np.full(nodes, -np.inf)
    np.maximum.at(largest, receivers, logits)
    shares = np.exp(logits - largest[receivers])
    total = np.zeros(nodes)
    np.add.at(total, receivers, shares)
    return shares / total[receivers]


assert check_attention(solved_attention), check_attention(solved_attention)

# %% [markdown]
# GAT's logit is a part of the sender plus a part of the receiver, through a LeakyReLU. So all nodes rank the same
# senders in the same order: whoever is heard most by one node is heard most by all. GATv2 (Brody et al., 2022) takes
# the LeakyReLU before the sum, and each node has favourites of its own. Here all five nodes hear from all five.

# %%
everybody = np.array([(a, b) for b in range(5) for a in range(5)])
meeting = geometric.Graph.of(jnp.eye(5), jnp.asarray(everybody))


def weights(logits):
    """How much each node (row) hears from each (column)."""
    return geometric.segment_softmax(logits[:, 0], meeting.receivers, 5).reshape(5, 5)


random = np.random.default_rng(3)
values, attention = 2 * random.normal(size=(2, 5, 1, 8)).astype(np.float32), random.normal(size=(2, 1, 8)).astype("f4")
of_gat = weights(jax.jit(geometric.gat_logits)(meeting, values[0], *attention))
of_gatv2 = weights(jax.jit(geometric.gatv2_logits)(meeting, *values, attention[0]))
figure, cells = plt.subplots(1, 2, figsize=(6.5, 2.9), layout="constrained")
for cell, shown, title in zip(cells, (of_gat, of_gatv2), ("GAT", "GATv2"), strict=True):
    cell.imshow(shown, cmap="Blues", vmin=0, vmax=1)
    cell.set(title=title, xlabel="from node", ylabel="to node")
plt.show()
assert len(set(np.argmax(of_gat, axis=1).tolist())) == 1
print("heard most, by node:", "GAT", np.argmax(of_gat, axis=1), "GATv2", np.argmax(of_gatv2, axis=1))

# %% [markdown]
# ## Images as graphs
#
# A picture can be a graph too: superpixels are its nodes, which know their brightness and where they are, and those
# that touch have an edge. A graph has one class now: the network computes features of each node, takes their mean, and
# a linear layer says which digit it is. Batches are padded to the largest graph.

# %%
from train.data.sources.superpixels import superpixels_of

digit = load(train.recipe("digits").data, "test")[3]["image"][..., 0]
large = np.kron(digit / 255, np.ones((4, 4)))
small = superpixels_of(large)
x, y = ((small.nodes[:, 1:] + 1) / 2 * 32 - 0.5).T
figure, cells = plt.subplots(1, 2, figsize=(6.5, 3.2), layout="constrained")
cells[0].imshow(large, cmap="gray")
cells[1].imshow(small.nodes[:, 0][small.segments], cmap="gray")
for a, b in small.edges:
    cells[1].plot(x[[a, b]], y[[a, b]], color="tab:orange", lw=0.8)
cells[1].scatter(x, y, s=14, color="tab:orange", zorder=3)
for cell, title in zip(cells, ("the digit", f"{len(small.nodes)} nodes, {len(small.edges) // 2} edges"), strict=True):
    cell.set(title=title)
    cell.set_axis_off()
plt.show()

# %%
epochs = scale.pick(20, 100)
outcome = train.fit(train.recipe("superpixels_sage", epochs=epochs, eval_every=epochs), runs / "superpixels")
print(f"{100 * outcome.metrics['accuracy']:.1f} % of the held-out graphs are right")

# %% [markdown]
# ## What papers are about
#
# The usual test of graph networks is Cora: 2708 papers, the words in each, and who cites whom; of 140 papers the
# subject is known. With Planetoid's files `ind.cora.x` and so on in a folder,
# `python -m train fit cora_gcn --data.data-dir FOLDER` trains Kipf and Welling's network of 23,040 parameters, and
# `python -m train experiment nodes --data-dir FOLDER` compares it with GraphSAGE, GAT and a network that sees no
# citations. What they reach is in `zoo/geometric/README.md`.

# %% [markdown]
# # Part II: groups, the sphere and points
#
# Networks that know what may happen to what they see.

# %% [markdown]
# ## Groups: a filter in all its forms (L79)
#
# A convolution moves with the image: shift it, and the maps are shifted. But turn the image, and the maps are *not* the
# turned maps, for the filter stays upright. The cure of Cohen and Welling: apply every filter in all four forms, turned
# by 0, 90, 180 and 270 degrees. With the shifts these turns are a *group*, called p4.
#
# **Exercise 3.** Return the four forms of a filter, turned counter-clockwise. *Hint:* `np.rot90`.

# %%
from zoo.exercises.groups import check_four_forms


def my_four_forms(kernel):
    """The filter turned by 0, 90, 180 and 270 degrees."""
    ...  # yours


check_four_forms(my_four_forms)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_four_forms(kernel):
    return [np.rot90(kernel, turns) for turns in range(4)]


assert check_four_forms(solved_four_forms), check_four_forms(solved_four_forms)

# %% [markdown]
# Here they are at work on a digit: a filter that looks for an edge, in four forms, and the map of each. Below, the same
# for the digit turned by 90 degrees. Each map has come to another form, and is turned.

# %%
edge = np.array([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]], np.float32)
digit = load(train.recipe("digits_p4cnn").data, "test")[8]["image"].astype(np.float32) / 255
turn = geometric.Element(quarter_turns=1)


def maps_of(image):
    """(height, width, elements) of one image."""
    return geometric.lifting_convolution(image[None], edge[:, :, None, None], geometric.P4, padding=1)[0, ..., 0]


figure, cells = plt.subplots(3, 5, figsize=(8, 5), layout="constrained")
for cell, form in zip(cells[0, 1:], solved_four_forms(edge), strict=True):
    cell.imshow(form, cmap="PuOr", vmin=-1, vmax=1)
for row, image in ((1, digit), (2, np.rot90(digit))):
    cells[row, 0].imshow(image[..., 0], cmap="gray_r")
    for place, cell in enumerate(cells[row, 1:]):
        cell.imshow(maps_of(image)[..., place], cmap="PuOr", vmin=-3, vmax=3)
        cell.set_title(f"{90 * place}°", fontsize=9)
for cell in cells.ravel():
    cell.set_axis_off()
plt.show()

# %% [markdown]
# **Exercise 4.** Write down what you see: from the four maps of an image, (4, height, width), the four maps of the same
# image turned by 90 degrees counter-clockwise.

# %%
from zoo.exercises.groups import check_turned_maps


def my_turned_maps(maps):
    """The maps of the turned image."""
    ...  # yours


check_turned_maps(my_turned_maps)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_turned_maps(maps):
    return np.roll(np.rot90(maps, axes=(1, 2)), 1, axis=0)  # turned, and each at the place of the next form


assert check_turned_maps(solved_turned_maps), check_turned_maps(solved_turned_maps)

# %%
found = np.moveaxis(maps_of(np.rot90(digit)), -1, 0)
assert np.allclose(found, solved_turned_maps(np.moveaxis(maps_of(digit), -1, 0)), atol=1e-5)

# %% [markdown]
# The next layer takes such maps, and its filters have a part for each form; they are turned, and their parts change
# places. So it goes on, layer by layer: `geometric.group_convolution`. At the end the largest value over forms and
# places is taken, and the answer does not depend on how the image is turned. With mirror images too the group has eight
# elements, and is called p4m.
#
# ## What it is good for (L79)
#
# Two networks of about 12,000 parameters, a plain one and one on p4, learn from *upright* digits. Then both are shown
# turned ones.

# %%
from train.experiments.geometric import held_out

tests = held_out.upright_and_turned(train.recipe("digits_p4cnn").data)
epochs = scale.pick(6, 20)
for name, model in {"plain": {"model.name": "z2cnn", "model.options": ("depth=4", "head_side=2")}, "p4": {}}.items():
    outcome = train.fit(train.recipe("digits_p4cnn", model, epochs=epochs, eval_every=epochs), runs / name)
    right = held_out.accuracies(outcome.workdir, tests)
    print(f"{name}: upright {100 * right['accuracy_upright']:.1f} %,", end=" ")
    print(f"by 90 degrees {100 * right['accuracy_quarters']:.1f} %, by any angle {100 * right['accuracy_any']:.1f} %")

# %% [markdown]
# What each says of one digit on its way around: the probability of the right class over the angle. On p4 it repeats
# itself every 90 degrees, exactly; in between, turns are not of the group, and what is known of them was learned.

# %%
from train.data.sources.rotated import turned

pixels = load(train.recipe("digits_p4cnn").data, "test")[8]
angles = np.arange(0, 361, 5)
around = np.stack([turned(pixels["image"], float(angle)) for angle in angles])
figure, cell = plt.subplots(figsize=(7, 2.6), layout="constrained")
for name in ("plain", "p4"):
    run = open_run(runs / name)
    normalise = run.recipe.augment
    inputs = (around / np.float32(255) - np.float32(normalise.mean[0])) / np.float32(normalise.std[0])
    shares = jax.nn.softmax(jax.jit(run.model().apply)(run.variables()[1], inputs))
    cell.plot(angles, shares[:, int(pixels["label"])], label=name)
cell.set(xlabel="turned by (degrees)", ylabel="probability", xticks=range(0, 361, 90), ylim=(-0.05, 1.05))
cell.set_title(f"Is it a {pixels['label']}?")
cell.legend()
plt.show()

# %% [markdown]
# ## The sphere (L79)
#
# Some images have no edge: the sky, the weather, what a camera sees that looks everywhere. On a grid of angles they are
# distorted, and more so towards the poles. As sums of spherical harmonics they are not: a rotation mixes only harmonics
# of one degree. Here is a digit around the north pole, and the same turned in three dimensions: as samples the second
# is hardly a digit, and the power of each degree is the same.

# %%
figure, cells = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
spectra = {}
for cell, name in zip(cells[:2], ("spherical_digits", "spherical_digits:rotated"), strict=True):
    image = load(train.config.Data(name), "test")[8]["image"].astype(np.float32) / 255
    cell.imshow(image[..., 0], cmap="gray_r", extent=(0, 360, 180, 0), aspect="auto")
    cell.set(xlabel="longitude (degrees)", ylabel="from the pole (degrees)", title=name)
    spectra[name] = geometric.power_spectrum(geometric.to_coefficients(image[None], 10))[0, :, 0]
for name, power in spectra.items():
    cells[2].semilogy(power, "o-", label=name, alpha=0.7)
cells[2].set(xlabel="degree", ylabel="power")
plt.show()

# %% [markdown]
# A filter that looks alike in all directions multiplies each degree by a number; that is the whole convolution. A
# spherical network learns these numbers, and at the end knows an image by the power of each degree. It learns from
# digits around the pole, and is tested on digits anywhere.

# %%
epochs = scale.pick(4, 20)
outcome = train.fit(train.recipe("spherical_digits", epochs=epochs, eval_every=epochs), runs / "sphere")
tests = {name: load(train.config.Data(name), "test") for name in spectra}
for name, share in held_out.accuracies(outcome.workdir, tests).items():
    print(f"{name}: {100 * share:.1f} %")

# %% [markdown]
# ## Points (L79)
#
# A set of points has no order: a network may not say something else when they come in another. PointNet sends each
# point through the same small network, and takes the largest value of each feature.
#
# **Exercise 5.** The features of a set: ReLU of `points @ weights`, and the largest over the points.

# %%
from zoo.exercises.groups import check_set_features


def my_set_features(points, weights):
    """What a set is known by, (features,)."""
    ...  # yours


check_set_features(my_set_features)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_set_features(points, weights):
    return np.maximum(points @ weights, 0).max(axis=0)


assert check_set_features(solved_set_features), check_set_features(solved_set_features)

# %%
epochs = scale.pick(4, 20)
outcome = train.fit(train.recipe("points_pointnet", epochs=epochs, eval_every=epochs), runs / "points")
print(f"{100 * outcome.metrics['accuracy']:.1f} % of the held-out sets are right")

# %% [markdown]
# Which points decide? Those that have the largest value of some feature. Qi et al. call them the critical points: they
# trace the form. With them alone, what does the network say?

# %%
run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
sets = load(run.recipe.data, "test").read(np.arange(5))
points, valid = (np.asarray(each) for each in run.task.inputs(sets))
see = jax.jit(lambda points, valid: model.apply(variables, points, valid, features=True))
features = see(points, valid)
winners = np.where(valid[..., None], features["points"], -1).argmax(axis=1)
critical = np.stack([np.isin(np.arange(len(one)), best) for one, best in zip(points, winners, strict=True)]) & valid
figure, cells = plt.subplots(1, 5, figsize=(9, 2), layout="constrained")
for cell, one, real, few, label in zip(cells, points, valid, critical, sets["label"], strict=True):
    cell.scatter(*one[real & ~few].T, s=6, color="lightgray")
    cell.scatter(*one[few].T, s=8, color="tab:blue")
    cell.set(xlim=(-1, 1), ylim=(1, -1), aspect="equal", title=f"{label}: {few.sum()} of {real.sum()}")
    cell.set_axis_off()
plt.show()
print("true:", sets["label"])
print("of all points:", np.argmax(features["logits"], axis=-1))
print("of the critical ones:", np.argmax(see(points, critical)["logits"], axis=-1))

# %% [markdown]
# It need not be the same, for the two matrices come from networks with critical points of their own.
#
# ## What to do next
#
# `python -m train experiment rotations` and `python -m train experiment spherical-rotations` do all this with several
# seeds, and with networks that also learn from turned digits. `geometric.P4M` adds mirror images. The chapter is
# `zoo/geometric/README.md`.
