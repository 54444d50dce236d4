# %% [markdown]
# # Geometric deep learning
#
# Networks that know what may happen to what they see. You turn filters by hand and see the maps of a turned image,
# train a network that knows turns beside one that does not, look at digits on a sphere, and classify sets of points,
# which have no order. Slide "Geometric deep learning", row L79. The functions are in `zoo.geometric`. Three exercises
# check themselves.

# %% tags=["install"]

# %%
from train import notebook

scale = notebook.start()

# %%
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import train
from train.data import load
from train.use.open_run import open_run
from zoo import geometric

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine

# %% [markdown]
# ## Groups: a filter in all its forms (L79)
#
# A convolution moves with the image: shift it, and the maps are shifted. But turn the image, and the maps are *not* the
# turned maps, for the filter stays upright. The cure of Cohen and Welling: apply every filter in all four forms, turned
# by 0, 90, 180 and 270 degrees. With the shifts these turns are a *group*, called p4.
#
# **Exercise 1.** Return the four forms of a filter, turned counter-clockwise. *Hint:* `np.rot90`.

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

# %% tags=["picture"]
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
# **Exercise 2.** Write down what you see: from the four maps of an image, (4, height, width), the four maps of the same
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
# **Exercise 3.** The features of a set: ReLU of `points @ weights`, and the largest over the points.

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
# `python -m train experiment rotations` and `python -m train experiment sphere-rotations` do all this with several
# seeds, and with networks that also learn from turned digits. `geometric.P4M` adds mirror images. The chapter is
# `zoo/geometric/README.md`.
