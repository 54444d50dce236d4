# %% [markdown]
# # From the perceptron to the multi-layer perceptron
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/01_perceptron_to_mlp.ipynb)
#
# You train Rosenblatt's perceptron and see where it stops, follow the lecture's forward-backward example number by
# number, write backpropagation through a layer yourself and check it against autodiff, race optimizers over two error
# surfaces, and train a network on handwritten digits. The sections follow the slides, rows L1 to L18 of the lecture
# and the first half of its afternoon (L100). Where the code differs from a slide, the erratum is named (E3 to E10,
# E23). Four exercises check themselves.

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
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from sklearn import datasets

import train
import zoo
from train.report.theme import COLOURS
from zoo.exercises.perceptrons import check_backprop, check_chain_rule, check_rosenblatt, check_softmax
from zoo.perceptrons import (
    EARTHQUAKES,
    MLP,
    XOR_INPUTS,
    XOR_LABELS,
    adam_init,
    adam_step,
    backward,
    binary_cross_entropy,
    collapse,
    compose,
    cross_entropy,
    cross_entropy_gradient,
    earthquake_features,
    empirical_risk,
    example,
    forward,
    gradient_descent,
    init_layers,
    least_squares_gradient,
    least_squares_objective,
    least_squares_solution,
    mistake_bound,
    momentum_step,
    relu,
    relu_derivative,
    rosenblatt,
    sigmoid,
    sigmoid_derivative,
    softmax,
    squared_error,
    threshold_unit,
)

BLUE, ORANGE, GREEN, PINK, *_ = COLOURS
plt.rcParams.update({"figure.dpi": 90, "figure.constrained_layout.use": True, "image.cmap": "gray", "font.size": 9})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
digits = datasets.load_digits()

# %% [markdown]
# ## Structured and unstructured data ("Why computer vision and deep learning match", L1)
#
# A row of the earthquake table has features that somebody defined: latitude, longitude, depth. A picture of a digit
# has 64 grey values, none of which means anything alone. Deep learning finds the features itself.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), width_ratios=[2, 1])
drawn = left.scatter(
    [quake.longitude for quake in EARTHQUAKES],
    [quake.latitude for quake in EARTHQUAKES],
    c=[quake.magnitude for quake in EARTHQUAKES],
    s=[20 + quake.depth / 3 for quake in EARTHQUAKES],
    cmap="viridis",
)
figure.colorbar(drawn, ax=left, label="magnitude")
left.set(xlabel="longitude", ylabel="latitude", title="22 earthquakes; a larger dot is deeper")
right.imshow(digits.images[4], cmap="gray_r")
for (row, column), grey in np.ndenumerate(digits.images[4]):
    right.text(column, row, f"{grey:.0f}", ha="center", va="center", fontsize=6, color=BLUE if grey < 9 else "white")
right.set(title=f"a {digits.target[4]}, as 64 numbers", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## "Deep learning in one slide" (L2, E9)
#
# A network is a composition of functions, each with parameters of its own, and training looks for the parameters with
# the least sum of losses over the pairs $(x, y)$ *in* the training set (the slide writes $\subseteq$ where it means
# $\in$: E9). Here are two such functions, a linear one and an offset; the picture is the goal, over one parameter.

# %%
features, magnitudes = earthquake_features()
network = compose(lambda x, w: x @ w, lambda x, b: x + b)  # a_2(x; w, b)
offsets = np.linspace(2, 8, 61)
goal = [empirical_risk(network, squared_error, (np.zeros(4), b), features, magnitudes) for b in offsets[::3]]

figure, axes = plt.subplots(figsize=(4, 2.4))
axes.plot(offsets[::3], goal, color=BLUE)
axes.axvline(magnitudes.mean(), color=ORANGE, ls="--")
axes.text(magnitudes.mean() + 0.1, max(goal) * 0.8, f"mean magnitude\n{magnitudes.mean():.2f}", color=ORANGE)
axes.set(xlabel="$b$, with $w = 0$", ylabel="sum of the losses")
plt.show()

# %% [markdown]
# ## "The perceptron" and "Training a perceptron" (L3, L4, E10)
#
# One weight for each input: multiply, sum, add the bias, and compare with the threshold. Rosenblatt's rule visits one
# example at a time. Was the answer 0 and should be 1, the weights grow by the input; was it 1 and should be 0, they
# shrink by it. (E10: the slide says "multiple" for multiply, and no word of the bias. The bias learns too, as the
# weight of an input that is always 1.)

# %%
draw = np.random.default_rng(4)
points = np.concatenate([draw.normal([-1, -0.6], 0.7, (40, 2)), draw.normal([1.4, 1.2], 0.7, (40, 2))])
labels = np.repeat([0, 1], 40)
order = draw.permutation(80)
points, labels = points[order].astype(np.float32), labels[order]


def draw_points(axes, points, labels, size=14):
    for label, colour, marker in ((0, ORANGE, "o"), (1, BLUE, "s")):
        axes.scatter(
            *points[labels == label].T, color=colour, marker=marker, s=size, edgecolor="white", lw=0.4, zorder=3
        )


def draw_line(axes, weights, bias, **style):
    """The places where the weighted sum plus bias is 0."""
    xs = np.array(axes.get_xlim())
    axes.plot(xs, -(weights[0] * xs + bias) / weights[1], **style)


start, start_bias = np.array([-0.5, 0.6]), -0.2  # random, as on the slide
figure, axes = plt.subplots(figsize=(4.6, 3.4))
draw_points(axes, points, labels)
axes.set(xlim=(-3, 3.5), ylim=(-2.5, 3.2))
draw_line(axes, start, start_bias, color="0.6", ls=":", label="start")
for epochs in range(1, 20):
    fit = rosenblatt(points, labels, start, start_bias, learning_rate=0.1, max_epochs=epochs)
    last = bool(fit.converged)
    label = f"epoch {epochs}" if last else None
    draw_line(axes, fit.weights, fit.bias, color=GREEN, lw=2.5 if last else 0.8, label=label)
    if last:
        break
axes.set_title(f"{fit.mistakes} mistakes in {fit.epochs} epochs, then none")
axes.legend(frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# Novikoff (1962) showed that the rule, from a start at zero, makes at most $(R / \text{margin})^2$ mistakes on data
# that a line separates, whatever the order. It works on images as well: zeros against ones, eights against threes.
# The weights are then a picture, which says where ink speaks for which class.

# %%
figure, axes = plt.subplots(1, 3, figsize=(8, 2.5))
for panel, (zero, one) in zip(axes, ((0, 1), (3, 8), (4, 9)), strict=True):
    rows = np.isin(digits.target, (zero, one))
    images, classes = digits.data[rows] / 16, (digits.target[rows] == one).astype(int)
    fit = rosenblatt(images[:250], classes[:250], max_epochs=500)
    bound = mistake_bound(images[:250], classes[:250], fit.weights, fit.bias)
    right = float((threshold_unit(images[250:], fit.weights, fit.bias) == classes[250:]).mean())
    print(f"{zero} or {one}: {fit.mistakes} mistakes in {fit.epochs} epochs, bound {bound:,.0f}, held out {right:.1%}")
    extent = np.abs(fit.weights).max()
    panel.imshow(np.reshape(fit.weights, (8, 8)), cmap="RdBu", vmin=-extent, vmax=extent)
    panel.set(title=f"blue says {one}, red {zero}: {right:.1%}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ### Exercise 1: one visit of Rosenblatt's rule
#
# Write the step for one example: it returns the new weights and the new bias. Hint: the error `label - fired` is +1,
# 0 or -1, and that is nearly all of it.


# %%
def my_step(weights, bias, x, label): ...  # yours


check_rosenblatt(my_step)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_step(weights, bias, x, label):
    error = label - threshold_unit(x, weights, bias)
    return weights + error * x, bias + error


assert check_rosenblatt(solved_step)

# %% [markdown]
# ## "Problems with the perceptron": XOR (L5)
#
# No line separates XOR's classes, so the rule never rests: on the left are the lines after each visit of an example,
# the later the lighter, and from the second epoch on they repeat. A multi-layer perceptron with four hidden units
# bends the border. Here it is trained by plain gradient descent on the binary cross-entropy, both of which come
# later.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2))
for axes in (left, right):
    draw_points(axes, XOR_INPUTS, XOR_LABELS, size=60)
    axes.set(xlim=(-0.4, 1.4), ylim=(-0.4, 1.4), xticks=[0, 1], yticks=[0, 1])
weights, bias = np.array([0.3, -0.4]), 0.1
for epoch in range(1, 5):
    for x, label in zip(XOR_INPUTS, XOR_LABELS, strict=True):
        weights, bias, *_ = rosenblatt(x[None], label[None], weights, bias, learning_rate=0.5, max_epochs=1)
        draw_line(left, weights, bias, color=plt.cm.viridis(epoch / 5), lw=1)
    print(f"after epoch {epoch}: weights {weights[0]:.2f} and {weights[1]:.2f}, bias {bias:.2f}")
fit = rosenblatt(XOR_INPUTS, XOR_LABELS, max_epochs=1000)
left.set_title(f"perceptron: {fit.mistakes:,} mistakes in {fit.epochs:,} epochs")

mlp = MLP(hidden=(4,), num_classes=1, activation="tanh")
params = zoo.init(mlp, jax.random.key(0), (2,))


def xor_loss(params):
    return binary_cross_entropy(mlp.apply(params, XOR_INPUTS)[:, 0], XOR_LABELS)


params, losses = jax.jit(partial(gradient_descent, xor_loss, learning_rate=1.0, num_steps=300))(params)
grid = np.stack(np.meshgrid(np.linspace(-0.4, 1.4, 80), np.linspace(-0.4, 1.4, 80)), -1).astype(np.float32)
probability = sigmoid(mlp.apply(params, grid.reshape(-1, 2)))[:, 0].reshape(80, 80)
right.contourf(grid[..., 0], grid[..., 1], probability, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
right.set_title(f"MLP: loss {losses[0]:.2f}, after 300 steps {losses[-1]:.4f}")
plt.show()

# %% [markdown]
# ## "Forward propagation" and "Why have activation functions?" (L6, L7)
#
# Layer by layer the same: a weighted sum, a bias, an activation. Without activations a stack of layers is one layer,
# since $c(ax + b) + d = (ac)x + (cb + d)$; `collapse` multiplies it out. With ReLU each hidden unit adds a kink.

# %%
layers = init_layers(jax.random.key(3), (1, 16, 16, 1))
layers = [(w, 0.5 * jax.random.normal(jax.random.key(i), b.shape)) for i, (w, b) in enumerate(layers)]
x = np.linspace(-3, 3, 400, dtype=np.float32)[:, None]

figure, axes = plt.subplots(figsize=(5, 2.8))
for activation, colour in (("identity", ORANGE), ("relu", BLUE), ("tanh", GREEN)):
    outputs, _ = forward(layers, x, activation)
    axes.plot(x, outputs, color=colour, label=activation)
slope, intercept = collapse(layers)
axes.plot(x, x @ slope + intercept, "k:", label="one layer, collapsed")
count = sum(leaf.size for leaf in jax.tree.leaves(layers))
axes.set(xlabel="x", ylim=(-4, 4), title=f"the same {count} weights and biases, three activations")
axes.legend(frameon=False)
outputs, _ = forward(layers, x, "identity")
print("largest difference of three linear layers and one:", float(jnp.abs(outputs - (x @ slope + intercept)).max()))
plt.show()

# %% [markdown]
# ## "Non-linear activations": sigmoid and ReLU (L8, L9, E7)
#
# $\sigma'(z) = \sigma(z)(1 - \sigma(z))$ is never more than 1/4, and almost 0 away from the middle. The derivative of
# ReLU is 1 for positive sums. At 0 there is none: the slide takes 1, jax and torch take 0, and so does the library
# (E7). The dots are autodiff's.

# %%
z = np.linspace(-6, 6, 241)
figure, panels = plt.subplots(1, 2, figsize=(8, 2.6))
for axes, function, derivative, name in (
    (panels[0], sigmoid, sigmoid_derivative, "sigmoid"),
    (panels[1], relu, relu_derivative, "ReLU"),
):
    axes.plot(z, function(z), color=BLUE, label=name)
    axes.plot(z, derivative(z), color=ORANGE, label="its derivative")
    axes.plot(z[::20], jax.vmap(jax.grad(function))(z[::20]), "o", color=ORANGE, ms=4)
    axes.legend(frameon=False)
panels[1].set_ylim(-0.2, 3)
print("derivative of ReLU at 0:", float(relu_derivative(0.0)), "by hand,", jax.grad(relu)(0.0), "by autodiff")
plt.show()

# %% [markdown]
# ## "Back to basics: finding minima" and gradient descent (L10, L11, E23)
#
# $J(w) = \frac12 \sum_n (t_n - x_n^T w)^2$ has the gradient $-\sum_n (t_n - x_n^T w)\,x_n$. Where it is 0 the loss is
# stationary; minimal it is there because $J$ is convex (E23). The magnitudes of the earthquakes, from a constant and
# the logarithm of the depth: steps of $\gamma$ below $2 / \text{curvature}$ arrive, and larger ones run away.

# %%
inputs = jnp.stack([jnp.ones(22), jnp.log10(1 + features[:, 3])], axis=1)
targets = jnp.asarray(magnitudes)
objective = partial(least_squares_objective, inputs=inputs, targets=targets)
curvature = float(np.linalg.eigvalsh(inputs.T @ inputs).max())
best = least_squares_solution(inputs, targets)
print("gradient by hand at the solution:", least_squares_gradient(best, inputs, targets))

figure, axes = plt.subplots(figsize=(5, 2.8))
for factor, colour in ((0.1, GREEN), (1.0, BLUE), (1.9, PINK), (2.05, ORANGE)):
    _, values = gradient_descent(objective, jnp.zeros(2), factor / curvature, num_steps=300)
    axes.semilogy(values - objective(best), color=colour, label=f"γ = {factor} / curvature")
axes.set(xlabel="step", ylabel="J(w) above the minimum", ylim=(1e-5, 1e4))
axes.legend(frameon=False, ncols=2, fontsize=8)
plt.show()

# %% [markdown]
# ## "Stochastic gradient descent", momentum and Adam (L12, L13)
#
# A few examples a step, instead of all 22, are faster and not quite in the right direction. Momentum remembers past
# gradients; Adam divides by their size, so that all directions move alike. On the left they race on $J(w)$. On the
# right is the error of the next section's example, with its first layer multiplied by $a$ and its second by $b$:
# $\frac12(0.191\,ab - 1)^2$. It has a saddle at 0, where the gradient is 0 and the loss is not minimal (E23 again).


# %%
def path(step, state, gradient_of, weights, num_steps):
    """All weights on the way; `step(weights, gradient, state)` gives the next weights and state."""

    def advance(carry, key):
        weights, state = step(carry[0], gradient_of(carry[0], key), carry[1])
        return (weights, state), weights

    keys = jax.random.split(jax.random.key(0), num_steps)
    (_, _), ways = jax.lax.scan(advance, (weights, state), keys)
    return np.concatenate([weights[None], ways])


def of_batch(weights, key, size=4):
    rows = jax.random.choice(key, 22, (size,), replace=False)
    return least_squares_gradient(weights, inputs[rows], targets[rows]) * 22 / size


def of_all(objective):
    return lambda weights, key: jax.grad(objective)(weights)


def saddle(weights):
    return squared_error(example.forward().prediction * weights[0] * weights[1], example.TARGET)


def race(axes, objective, start, rate, adam_rate, num_steps, stochastic=None):
    zeros = jnp.zeros(2)
    plain = partial(momentum_step, learning_rate=rate, decay=0.0)
    racers = {
        "gradient descent": (plain, zeros, of_all(objective), BLUE),
        "momentum": (partial(momentum_step, learning_rate=rate), zeros, of_all(objective), ORANGE),
        "Adam": (partial(adam_step, learning_rate=adam_rate), adam_init(zeros), of_all(objective), GREEN),
    }
    if stochastic:
        racers["SGD, 4 examples"] = (plain, zeros, stochastic, PINK)
    for name, (step, state, gradient_of, colour) in racers.items():
        ways = path(step, state, gradient_of, jnp.asarray(start), num_steps)
        axes.plot(*ways.T, ".-", ms=3, lw=0.8, color=colour, label=f"{name}: {objective(ways[-1]):.3f}")
    a, b = np.meshgrid(np.linspace(*axes.get_xlim(), 60), np.linspace(*axes.get_ylim(), 60))
    heights = jax.vmap(jax.vmap(objective))(np.stack([a, b], -1).astype(np.float32))
    levels = np.geomspace(heights.min() + 0.01, heights.max(), 14)
    axes.contour(a, b, heights, levels=levels, colors="0.75", linewidths=0.6)
    axes.legend(frameon=False, fontsize=7, title=f"after {num_steps} steps", title_fontsize=7)


figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
left.set(xlim=(-0.5, 7), ylim=(-2.5, 3.5), xlabel="constant", ylabel="log depth", title="J(w), convex")
race(left, objective, [0.0, 2.5], 0.2 / curvature, 0.3, 40, of_batch)
right.set(xlim=(-1.5, 4), ylim=(-1.5, 4), xlabel="a", ylabel="b", title="the example's error, with a saddle at 0")
race(right, saddle, [1.0, -0.97], 0.3, 0.1, 60)
right.plot(0, 0, "k+", ms=9)
plt.show()

# %% [markdown]
# ## "Forward-backward by example" (L15, E4, E6, E8)
#
# The lecture's network has two inputs, two hidden units, one output and no activation, so it is linear (E8). Blue is
# the forward pass, orange the derivative of the error by each weight. For $w_6$ it is $\Delta h_2$: the first factor
# of the chain rule is the *derivative* of the error, which the slide's third line leaves out (E4).

# %% tags=["picture"]
first = example.forward()
gradients = example.backward(example.WEIGHTS, first)

PLACES = {"i1": (0, 1), "i2": (0, 0), "h1": (1, 1), "h2": (1, 0), "prediction": (2, 0.5)}
EDGES = {"w1": ("i1", "h1"), "w2": ("i2", "h1"), "w3": ("i1", "h2"), "w4": ("i2", "h2")}
EDGES |= {"w5": ("h1", "prediction"), "w6": ("h2", "prediction")}
figure, axes = plt.subplots(figsize=(7.4, 3.4))
for name, (source, target) in EDGES.items():
    (x0, y0), (x1, y1) = PLACES[source], PLACES[target]
    axes.plot([x0, x1], [y0, y1], color="0.8", zorder=1)
    near = 0.32 if name in ("w2", "w3") else 0.5
    at = x0 + near * (x1 - x0), y0 + near * (y1 - y0)
    style = {"ha": "center", "va": "center", "fontsize": 8}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(*at, f"{name} = {getattr(example.WEIGHTS, name)}\n", color=BLUE, bbox=box, **style)
    axes.text(*at, f"\n{getattr(gradients, name):.5f}", color=ORANGE, **style)
values = dict(zip(PLACES, (*example.INPUTS, first.h1, first.h2, first.prediction), strict=True))
for name, place in PLACES.items():
    axes.scatter(*place, s=1500, color="white", edgecolor=BLUE, zorder=2)
    short = "pred." if name == "prediction" else name
    axes.text(*place, f"{short}\n{values[name]:.4g}", ha="center", va="center", color=BLUE, zorder=3, fontsize=8)
axes.text(2.2, 0.5, f"target {example.TARGET:.0f}\nΔ = {first.delta:.3f}\nerror {first.error:.7f}", va="center")
axes.set(xlim=(-0.25, 2.75), ylim=(-0.3, 1.3))
axes.axis("off")
plt.show()

# %% [markdown]
# Step 5 updates all six weights at once, $w_1$ to $w_4$ with the *old* $w_5$ and $w_6$. The slide rounds to two
# decimals (E6), so its next prediction is .2533; without rounding it is .2557.

# %%
updated = example.update(example.WEIGHTS, gradients)
print("weight   before   gradient      after   slide")
for name, old, slope, new, slide in zip(
    updated._fields, example.WEIGHTS, gradients, updated, example.rounded(updated), strict=True
):
    print(f"{name:6} {old:8} {slope:10.5f} {new:10.7f} {slide:7}")
print(f"next prediction {example.forward(updated).prediction:.4f}", end=", ")
print(f"from rounded weights {example.forward(example.rounded(updated)).prediction:.4f}")

_, passes = example.train(num_steps=25)
figure, axes = plt.subplots(figsize=(4.6, 2.3))
axes.plot([each.prediction for each in passes], "o-", color=BLUE, ms=3)
axes.axhline(example.TARGET, color=ORANGE, ls="--")
axes.text(0, 1.02, "target", color=ORANGE, va="bottom")
axes.set(xlabel="step 6: repeat", ylabel="prediction", ylim=(0, 1.2))
plt.show()

# %% [markdown]
# ### Exercise 2: the slide's six derivatives
#
# `weights` has the fields `w1` to `w6`. Return the derivatives of $\frac12 (\text{prediction} - \text{target})^2$ in
# this order. Hint: $\Delta w_5 i_1$ is the first.


# %%
def my_gradients(weights, inputs, target): ...  # yours


check_chain_rule(my_gradients)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_gradients(weights, inputs, target):
    (i1, i2), w = inputs, weights
    h1, h2 = i1 * w.w1 + i2 * w.w2, i1 * w.w3 + i2 * w.w4
    delta = h1 * w.w5 + h2 * w.w6 - target
    return delta * w.w5 * i1, delta * w.w5 * i2, delta * w.w6 * i1, delta * w.w6 * i2, delta * h1, delta * h2


assert check_chain_rule(solved_gradients)

# %% [markdown]
# ## "The backward propagation algorithm": whole layers (L14)
#
# With $\delta$ the derivative of the loss by the sums $z = xW + b$ of a layer, its derivative is $x^T\delta$ by $W$,
# $\delta$ by $b$ and $\delta W^T$ by $x$; going back through an activation multiplies with its derivative. That is
# all of `backward`, here on digits and beside `jax.grad`, which knows nothing of it.

# %%
layers = init_layers(jax.random.key(1), (64, 32, 16, 10))
images, targets_10 = jnp.float32(digits.data[:100] / 16), jax.nn.one_hot(digits.target[:100], 10)


def total_loss(layers, images):
    return cross_entropy(forward(layers, images)[0], targets_10).sum()


@jax.jit
def gradients_by_hand(layers, images):
    logits, trace = forward(layers, images)
    return backward(layers, trace, cross_entropy_gradient(logits, targets_10))


by_hand = gradients_by_hand(layers, images)
by_autodiff = jax.jit(jax.grad(total_loss, argnums=(0, 1)))(layers, images)
largest = max(float(jnp.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (by_hand, by_autodiff)), strict=True))
count = sum(leaf.size for leaf in jax.tree.leaves(by_hand[0]))
print(f"{count:,} derivatives by weights and biases; largest difference {largest:.1e}")

figure, axes = plt.subplots(2, 6, figsize=(8, 2.9))
extent = float(jnp.abs(by_hand[1][:6]).max())
for column in range(6):
    axes[0, column].imshow(digits.images[column], cmap="gray_r")
    axes[1, column].imshow(by_hand[1][column].reshape(8, 8), cmap="RdBu_r", vmin=-extent, vmax=extent)
for panel in axes.flat:
    panel.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("digit")
axes[1, 0].set_ylabel("loss by pixel")
plt.show()

# %% [markdown]
# ### Exercise 3: backpropagation through a layer
#
# The layer is relu(x W + b), for a batch `x` of shape (examples, inputs). `gradient` is the derivative of the loss by
# the layer's outputs. Return its derivatives by `weights`, by `bias` and by `x`. Hint: three lines, after one for
# $\delta$.


# %%
def my_backprop(x, weights, bias, gradient): ...  # yours


check_backprop(my_backprop)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_backprop(x, weights, bias, gradient):
    delta = gradient * relu_derivative(x @ weights + bias)
    return x.T @ delta, delta.sum(axis=0), delta @ weights.T


assert check_backprop(solved_backprop)

# %% [markdown]
# ## "Binary classification" and "Multi-class classification" (L16, L17, E3, E5)
#
# Binary cross-entropy is the mean of $N$ terms, $i = 1$ to $N$ (E3: the slide sums from 0). Computed as the logarithm
# of a rounded probability it ends at infinity; from the logits it does not. The slide's `softmax` has two faults
# (E5): `np.exp` overflows from 89 on in float32, and `np.sum` without an axis mixes the examples of a batch.

# %%
z = np.linspace(-120, 120, 241, dtype=np.float32)
with np.errstate(over="ignore", divide="ignore"):
    naive = -np.log(1 / (1 + np.exp(-z)))
stable = jax.vmap(binary_cross_entropy, in_axes=(0, None))(z, 1.0)


def slides_softmax(X):
    exps = np.exp(X)
    return exps / np.sum(exps)


batch = np.float32([[1, 2, 3], [3, 2, 1], [0, 0, 0]])
figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.5), width_ratios=[1.5, 1, 1])
axes[0].plot(z, stable, color=BLUE, label="from the logit")
axes[0].plot(z, naive, color=ORANGE, ls="--", label="log of the sigmoid")
axes[0].set(xlabel="logit, where y = 1", ylabel="loss", title=f"log of the sigmoid: {naive[0]} at {z[0]:.0f}")
axes[0].legend(frameon=False)
for panel, table, name in ((axes[1], slides_softmax(batch), "slide"), (axes[2], np.asarray(softmax(batch)), "library")):
    panel.imshow(table, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table):
        panel.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.5 else "black")
    sums = ", ".join(f"{total:.2f}" for total in table.sum(-1))
    panel.set(title=f"{name}: rows sum to\n{sums}", xticks=[], yticks=[])
with np.errstate(over="ignore", invalid="ignore"):
    overflown = slides_softmax(np.float32([100, 0]))
print("softmax of (100, 0): the slide's", overflown, "and the library's", softmax(np.float32([100, 0])))
plt.show()

# %% [markdown]
# ### Exercise 4: a softmax that survives
#
# `logits` is a batch (examples, classes). Each row of the result sums to 1, and logits of ±1000 do no harm. Hint:
# subtracting a number from all logits of a row changes no ratio.


# %%
def my_softmax(logits): ...  # yours


check_softmax(my_softmax)

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution


def solved_softmax(logits):
    exponentials = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


assert check_softmax(solved_softmax)

# %% [markdown]
# ## Underfitting, overfitting and regularization ("ConvNets in practice", L18)
#
# Sixty noisy points, and a thousand more to test on. The linear classifier is too simple for two moons. A wide
# network learns the noise by heart: all training points are right, and islands are around some of them. Weight decay
# and dropout make its border smooth again; how much of each helps is what hyper-parameter tuning looks for.

# %%
moons, sides = datasets.make_moons(60, noise=0.32, random_state=1)
test_moons, test_sides = datasets.make_moons(1000, noise=0.32, random_state=2)
moons, test_moons = moons.astype(np.float32), test_moons.astype(np.float32)


@partial(jax.jit, static_argnums=(0, 2))
def trained(model, decay, num_steps):
    """The parameters after so many steps of Adam, with weight decay as a term of the loss, and training losses."""

    def loss(params, key):
        logits = model.apply(params, moons, train=True, rngs={"dropout": key})[:, 0]
        penalty = sum((kernel**2).sum() for kernel in jax.tree.leaves(params) if kernel.ndim > 1)
        return binary_cross_entropy(logits, sides) + decay * penalty

    def step(carry, key):
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params, key)
        return adam_step(params, gradient, state, learning_rate=0.01), value

    params = model.init(jax.random.key(0), moons)
    keys = jax.random.split(jax.random.key(1), num_steps)
    (params, _), losses = jax.lax.scan(step, (params, adam_init(params)), keys)
    return params, losses


plans = {
    "linear": (MLP(hidden=(), num_classes=1), 0.0),
    "128, 128": (MLP(hidden=(128, 128), num_classes=1), 0.0),
    "and weight decay": (MLP(hidden=(128, 128), num_classes=1), 3e-3),
    "or dropout": (MLP(hidden=(128, 128), num_classes=1, dropout=0.5), 0.0),
}
grid = np.stack(np.meshgrid(np.linspace(-2, 3, 90), np.linspace(-1.7, 2.2, 90)), -1).astype(np.float32)
figure, axes = plt.subplots(1, 4, figsize=(10, 2.7))
for panel, (name, (model, decay)) in zip(axes, plans.items(), strict=True):
    params, losses = trained(model, decay, scale.pick(400, 2000))
    border = sigmoid(model.apply(params, grid.reshape(-1, 2)))[:, 0].reshape(90, 90)
    panel.contourf(grid[..., 0], grid[..., 1], border, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
    draw_points(panel, moons, sides)
    accuracies = [
        float(((model.apply(params, inputs_)[:, 0] > 0) == classes).mean())
        for inputs_, classes in ((moons, sides), (test_moons, test_sides))
    ]
    panel.set(title="{}\ntrain {:.0%}, test {:.1%}".format(name, *accuracies), xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Train it in earnest: `digits_mlp`
#
# The same ideas with the engine: a recipe says what to train, `train.fit` does it, with shuffled batches, checkpoints
# and a report. Stop the cell if you like: `train.resume(outcome.workdir)` goes on to the same bits. First the linear
# classifier, for comparison and with the learning rate that it needs, then an MLP with two hidden layers.

# %%
epochs = scale.pick(20, 60)
changes = {"model.options": ("hidden=()",), "optimizer.learning_rate": 1e-2}
linear = train.fit(train.recipe("digits_mlp", changes, name="digits_linear", epochs=epochs))
outcome = train.fit(train.recipe("digits_mlp", epochs=epochs))
print(f"held out: linear {linear.metrics['accuracy']:.2%}, MLP {outcome.metrics['accuracy']:.2%}")

# %%
outcome

# %% [markdown]
# ## Look at what it got wrong
#
# The run's folder has the weights in a file, which `zoo.load_weights` reads. Of the held-out digits, here are those
# that the network takes for another; the bars are its softmax probabilities.

# %%
from train.config import Data
from train.data.sources import load

held_out = load(Data("digits"), "test").arrays()
model = zoo.create("mlp", hidden=(256, 128))
variables = zoo.load_weights(model, outcome.workdir / "model.safetensors", (8, 8, 1))
probabilities = softmax(model.apply(variables, held_out["image"] / np.float32(255)))
found = probabilities.argmax(-1)
wrong = np.flatnonzero(found != held_out["label"])
print(f"{len(wrong)} of {len(found)} are wrong")

shown = [*wrong, *np.flatnonzero(found == held_out["label"])][:8]
figure, axes = plt.subplots(2, 8, figsize=(10, 2.9), height_ratios=[1.4, 1])
for column, row in enumerate(shown):
    colour = ORANGE if row in wrong else BLUE
    axes[0, column].imshow(held_out["image"][row, ..., 0], cmap="gray_r")
    axes[0, column].set_title(f"{held_out['label'][row]}, found {found[row]}", color=colour, fontsize=9)
    axes[0, column].set(xticks=[], yticks=[])
    axes[1, column].bar(range(10), probabilities[row], color=colour)
    axes[1, column].set(ylim=(0, 1), xticks=range(10), yticks=[])
    axes[1, column].tick_params(labelsize=6)
axes[1, 0].set_ylabel("probability")
plt.show()

# %% [markdown]
# ## What remains
#
# An MLP sees 64 numbers without a place: shuffle the pixels of all images alike and it learns as well. The next
# notebook, on convolution, is about layers that know what is beside what.
