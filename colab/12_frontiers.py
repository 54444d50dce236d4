# %% [markdown]
# # What networks do not understand yet
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/12_frontiers.ipynb)
#
# The end of the lecture, rows L97 to L99. You write an attack that nobody sees and watch a network fall for it, train
# one that withstands more, and let two networks learn against each other until one of them draws digits. Then a network
# learns one task after the other and forgets, until you hold it, and another is right for the wrong reason, which a
# test does not show and an intervention does. The functions are in `zoo.frontiers`. Exercises check themselves.

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
import optax

import train
from train.config.tasks.adversarial import Adversarial
from train.data import load
from train.use.open_run import open_run
from zoo import frontiers

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine


def network_of(outcome):
    """Logits of pixels from 0 to 1, by what a run learned."""
    run = open_run(outcome.workdir)
    model, variables = run.model(), run.variables()[1]
    return lambda pixels: model.apply(variables, pixels)


# %% [markdown]
# ## Attacks (L97)
#
# A perceptron with two hidden layers learns scikit-learn's digits, which have 8 x 8 pixels.

# %%
epochs = scale.pick(15, 30)
plain = network_of(train.fit(train.recipe("digits_mlp", epochs=epochs, eval_every=epochs), runs / "plain"))
test = load(train.recipe("digits_mlp").data, "test").arrays()
pixels, labels = test["image"].astype(np.float32) / 255, jnp.asarray(test["label"])


def accuracy(network, images):
    """The share of held-out digits that are right."""
    return float(jnp.mean(network(images).argmax(axis=-1) == labels))


print(f"{100 * accuracy(plain, pixels):.1f} % of the held-out digits are right")

# %% [markdown]
# The network has a gradient with respect to its *weights*, by which it learned. It has one with respect to its *input*,
# too: which pixels, if they were a little brighter or darker, would make the loss larger? The fast gradient sign method
# (Goodfellow, Shlens and Szegedy, 2015) changes every pixel by the same small amount $\epsilon$, in the direction that
# hurts:
#
# $$x' = x + \epsilon \, \mathrm{sign}(\nabla_x L(x))$$
#
# **Exercise 1.** Write it; pixels stay from 0 to 1. *Hint:* `jax.grad(loss)(image)`, `jnp.sign`, `jnp.clip`.

# %%
from zoo.exercises.frontiers import check_fgsm


def my_fgsm(loss, image, epsilon):
    """The changed image; `loss` is a function of an image."""
    ...  # yours


check_fgsm(my_fgsm)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_fgsm(loss, image, epsilon):
    return jnp.clip(image + epsilon * jnp.sign(jax.grad(loss)(image)), 0, 1)


assert check_fgsm(solved_fgsm), check_fgsm(solved_fgsm)

# %% [markdown]
# Here it is at work: digits, the change, and what the network says of both. Of a change by a tenth of the range of
# pixels people would say the same as before.


# %%
def losses_of(network, labels):
    """The loss of each image, as a function of images."""
    return lambda images: optax.softmax_cross_entropy_with_integer_labels(network(images), labels)


@jax.jit
def attacked(image, label):
    return solved_fgsm(lambda x: losses_of(plain, label[None])(x[None])[0], image, 0.1)


shown = np.arange(8)
changed = jax.vmap(attacked)(pixels[shown], labels[shown])
figure, cells = plt.subplots(3, len(shown), figsize=(9, 3.9), layout="constrained")
rows = ((pixels[shown], "gray"), (changed - pixels[shown], "PuOr"), (changed, "gray"))
for line, (images, colours) in zip(cells, rows, strict=True):
    low = -1.0 if colours == "PuOr" else 0.0
    for cell, image in zip(line, images, strict=True):
        cell.imshow(image[..., 0], cmap=colours, vmin=0.2 * low, vmax=1 if low == 0 else 0.2)
        cell.set_axis_off()
for line, images in ((cells[0], pixels[shown]), (cells[2], changed)):
    for cell, said, label in zip(line, plain(images).argmax(axis=-1), labels[shown], strict=True):
        cell.set_title(f"{said}", color="black" if said == label else "tab:red", fontsize=10)
plt.show()

# %% [markdown]
# `frontiers.fgsm` does it for a batch, and `frontiers.pgd` takes many small steps, each followed by a step back into
# the ball of $\epsilon$ around the image. A network can learn from what they make: at each step it sees the worst that
# three steps find (Madry et al., 2018). That is *adversarial training*, and the task `adversarial` wraps any other.

# %%
hardened = train.recipe(
    "digits_mlp", epochs=epochs, eval_every=epochs, task=Adversarial(epsilon=0.1, steps=3, eval_steps=3)
)
robust = network_of(train.fit(hardened, runs / "robust"))
sizes = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
signs = np.sign(np.random.default_rng(0).normal(size=pixels.shape)).astype(np.float32)
figure, cell = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, network, colour in (("plain", plain, "tab:blue"), ("adversarial", robust, "tab:orange")):
    loss = losses_of(network, labels)
    attacks = {
        "noise": lambda e: np.clip(pixels + e * signs, 0, 1),
        "PGD": jax.jit(lambda e, loss=loss: frontiers.pgd(loss, pixels, e, e / 4, 10)),
    }
    for (kind, attack), line in zip(attacks.items(), ("--", "-"), strict=True):
        found = [100 * accuracy(network, attack(size)) for size in sizes]
        cell.plot(sizes, found, line, color=colour, label=f"{name}, {kind}")
cell.set(xlabel="change of each pixel at most", ylabel="accuracy (%)")
cell.legend()
plt.show()

# %% [markdown]
# Noise of the same size does little to either network: it is the direction that counts.

# %% [markdown]
# ## Two networks against each other (L97)
#
# "Adversarial" has another meaning. In a generative adversarial network (Goodfellow et al., 2014) a *generator* makes
# images $G(z)$ of random numbers $z$, and a *discriminator* says how probable it is, $D(x)$, that an image is real. It
# learns to tell them apart, and the generator to be taken for real:
#
# $$L_D = -\mathrm{mean} \log D(x) - \mathrm{mean} \log (1 - D(G(z))), \quad L_G = -\mathrm{mean} \log D(G(z))$$
#
# $D$ is the sigmoid of a logit $l$, and $-\log D = \log(1 + e^{-l})$, which `np.logaddexp(0, -l)` computes for any $l$.
#
# **Exercise 2.** Both losses of logits. What is $-\log(1 - D)$?

# %%
from zoo.exercises.frontiers import check_players


def my_players(real, made):
    """The losses of the discriminator and of the generator, of the logits of real and of made images."""
    ...  # yours


check_players(my_players)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_players(real, made):
    of_discriminator = np.logaddexp(0, -real).mean() + np.logaddexp(0, made).mean()
    return of_discriminator, np.logaddexp(0, -made).mean()


assert check_players(solved_players), check_players(solved_players)

# %% [markdown]
# Both are convolutional here, the generator's convolutions transposed (DCGAN, Radford et al., 2016). One step moves
# both: of each loss the other's weights are constants. `python -m train fit digits_gan` trains three times as long as
# the `quick` scale here, and its digits are better.

# %%
epochs = scale.pick(30, 100)
outcome = train.fit(train.recipe("digits_gan", epochs=epochs, eval_every=epochs), runs / "gan")
print(f"precision {outcome.metrics['precision']:.0%}, recall {outcome.metrics['recall']:.0%}")

# %% tags=["picture"]
run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
make = jax.jit(lambda z: model.apply(variables, z, method="generate"))
ends = jax.random.uniform(jax.random.key(0), (2, 4, run.task.latent), minval=-1, maxval=1)
ways = jnp.stack([(1 - t) * ends[0] + t * ends[1] for t in np.linspace(0, 1, 12)], axis=1)
images = make(ways.reshape(-1, run.task.latent)).reshape(4, 12, 8, 8)
figure, cells = plt.subplots(4, 12, figsize=(9, 3.1), layout="constrained")
for cell, image in zip(cells.ravel(), images.reshape(-1, 8, 8), strict=True):
    cell.imshow(image, cmap="gray", vmin=-1, vmax=1)
    cell.set_axis_off()
plt.show()

# %% [markdown]
# Each row goes in a straight line from one random $z$ to another. How good are they? *Precision* is the share of made
# images that lie among real ones, *recall* the share of real ones that lie among made ones (Kynkäänniemi et al., 2019).
# A generator that always draws the same fine 3 has the first and not the second. Both are of features that a small
# classifier has learned.

# %% [markdown]
# ## One task after the other (L98)
#
# A network learns digits, then the same digits with their pixels in another order, then in a third. What becomes of the
# first task? It is forgotten. Elastic weight consolidation (Kirkpatrick et al., 2017) asks how much the network's
# answers depend on each weight, its Fisher information $F_i$, and holds it accordingly while the next task is learned:
#
# $$\frac{1}{2} \sum_i F_i (\theta_i - \theta_i^*)^2$$
#
# with the weights $\theta^*$ that it had after the tasks before.
#
# **Exercise 3.** Write the penalty.

# %%
from zoo.exercises.frontiers import check_penalty


def my_penalty(weights, before, importance):
    """One number; all three are arrays of one shape."""
    ...  # yours


check_penalty(my_penalty)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_penalty(weights, before, importance):
    return np.sum(importance * (weights - before) ** 2) / 2


assert check_penalty(solved_penalty), check_penalty(solved_penalty)

# %% [markdown]
# The accuracy on each task (columns) after each was learned (rows), without the penalty and with it.

# %%
from train.experiments.frontiers import forgetting

plan = forgetting.Plan(steps=scale.pick(250, 1000), seeds=1)
figure, cells = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for cell, method in zip(cells, (forgetting.NAIVE, forgetting.EWC), strict=True):
    measures, matrix = forgetting.of_one(forgetting.PERMUTED, method, plan, seed=0)
    cell.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(matrix):
        ink = "white" if share > 0.6 else "black"
        cell.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=8)
    cell.set(title=f"{method}: {100 * measures['accuracy']:.0f} % at the end", xlabel="task", ylabel="learned so far")
plt.show()

# %% [markdown]
# ## Right for the wrong reason (L99)
#
# Digits on coloured grounds: of nineteen training images in twenty the colour is that of the class, so that a network
# need not look at the digit. Another one learns from colours that say nothing. On test images of *its own* kind either
# is fine. What tells them apart is an *intervention*: change the colour and nothing else. How many answers stay?
#
# **Exercise 4.** The share of images whose most probable class is the same before and after.

# %%
from zoo.exercises.frontiers import check_same_answer


def my_same_answer(before, after):
    """A share; `before` and `after` are logits (images, classes)."""
    ...  # yours


check_same_answer(my_same_answer)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_same_answer(before, after):
    return np.mean(np.argmax(before, axis=1) == np.argmax(after, axis=1))


assert check_same_answer(solved_same_answer), check_same_answer(solved_same_answer)

# %%
epochs = scale.pick(15, 30)
tests = {name: load(train.config.Data(f"coloured_digits:{name}"), "test") for name in ("own", "other", "grey")}
grounds = {name: source.arrays()["image"].astype(np.float32) / 255 for name, source in tests.items()}
true = tests["own"].arrays()["label"]
learned = {}
for name in ("own", "any"):
    recipe = train.recipe("digits_mlp", {"data.source": f"coloured_digits:{name}"}, epochs=epochs, eval_every=epochs)
    learned[name] = network_of(train.fit(recipe, runs / name))
    said = {ground: learned[name](images) for ground, images in grounds.items()}
    right = {ground: f"{np.mean(np.argmax(logits, axis=1) == true):.0%}" for ground, logits in said.items()}
    same = solved_same_answer(said["own"], said["other"])
    print(f"learned from {name} colours: right {right}; another colour, the same answer: {same:.0%}")

# %% [markdown]
# Where does it look? Hide a square of the image, slide it over all places, and see by how much the probability of the
# right class falls: `frontiers.occluded` hides, `frontiers.squares` slides, `frontiers.effect` compares.

# %%
masks = frontiers.squares(16, 16, side=4, step=2)
figure, cells = plt.subplots(2, 5, figsize=(9, 3.8), layout="constrained")
some = grounds["own"][:5]
for line, (name, network) in zip(cells, learned.items(), strict=True):
    hidden = jax.jit(jax.vmap(lambda mask, network=network: network(frontiers.occluded(some, mask, 0.4))))(masks)
    chances, whole = jax.nn.softmax(hidden), jax.nn.softmax(network(some))
    for number, cell in enumerate(line):
        fall = whole[number, true[number]] - chances[:, number, true[number]]
        cell.imshow(some[number])
        count = int(len(fall) ** 0.5)
        cell.imshow(fall.reshape(count, count), cmap="Reds", alpha=0.6, vmin=0, vmax=1, extent=(-0.5, 15.5, 15.5, -0.5))
        cell.set_axis_off()
    line[0].set_title(f"learned from {name} colours", fontsize=9, loc="left")
plt.show()

# %% [markdown]
# ## What to do next
#
# `python -m train experiment robustness`, `forgetting` and `shortcut` do this with more methods, attacks and
# interventions; `python -m train fit digits_gan` trains the generator for longer, and its report shows whether it made
# its digits or learned them by heart. The chapter is `zoo/frontiers/README.md`.
