# %% [markdown]
# # RNN and LSTM step by step
#
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lecture-vision-zoo/lecture-vision-zoo/blob/main/colab/09_recurrent_networks.ipynb)
#
# You write a step of the slides' RNN and of their LSTM, see a recurrent network as a perceptron with shared layers,
# watch gradients vanish and explode as theory says, and look at what every gate of an LSTM does, step by step. Then
# networks read digits row by row, and a line of digits column by column. Slides "Layout of Recurrent Networks" to
# "LSTM: step-by-step", rows L71 to L76; erratum E25. The cells are in `zoo.sequences`. Three exercises check
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
from train import notebook

scale = notebook.start()

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
from zoo import sequences

# %matplotlib inline

runs = Path(tempfile.mkdtemp())  # gone with this machine

# %% [markdown]
# ## One step of an RNN (slides "Layout of Recurrent Networks" and "LSTMs vs RNNs", L71, L74)
#
# A recurrent network reads a sequence step by step. Three matrices do it, the same at every step: $U$ for what comes
# in, $W$ for the memory, $V$ for what goes out.
#
# $$c_t = W \tanh(c_{t-1}) + U x_t + b$$
#
# The memory is kept *before* tanh is taken of it. The slide has no formula for the output; here it is $V \tanh(c_t)$,
# so that $V$ reads what $W$ reads.
#
# **Exercise 1.** Write one step. Vectors are columns, so that a matrix stands left of them. Return the new memory and
# the output.

# %%
from zoo.exercises.sequences import check_rnn_step


def my_rnn_step(U, W, V, b, c, x):
    """The memory after the step, and the output."""
    ...  # yours


check_rnn_step(my_rnn_step)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_rnn_step(U, W, V, b, c, x):
    memory = W @ np.tanh(c) + U @ x + b
    return memory, V @ np.tanh(memory)


assert check_rnn_step(solved_rnn_step), check_rnn_step(solved_rnn_step)

# %% [markdown]
# All steps are a loop over that one. The library's `slide_rnn` is the same loop, compiled.

# %%
rnn = sequences.init_slide_rnn(jax.random.key(0), inputs=3, hidden=5, outputs=2)
steps = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
memory, by_hand = np.zeros(5, np.float32), []
for x in steps:
    memory, output = solved_rnn_step(*rnn, memory, x)
    by_hand.append(output)
last, outputs = jax.jit(sequences.slide_rnn)(rnn, jnp.zeros(5), steps)
print("largest difference:", np.abs(outputs - np.array(by_hand)).max())
assert np.allclose(outputs, by_hand, atol=1e-5)

# %% [markdown]
# ## Is it so different from a perceptron? (slide "RNNs vs MLPs", L72)
#
# Written out over time, it is a multi-layer perceptron with a layer for each step, into each of which an input comes.
# What is new is that all layers have *the same* parameters. So the gradient of the shared parameters is the sum of what
# each layer's own would be.

# %%
wanted = np.random.default_rng(1).normal(size=(20, 2))


def loss(network, params):
    """How far the outputs are from some wanted ones."""
    return jnp.square(network(params, jnp.zeros(5), steps)[1] - wanted).sum()


shared = jax.jit(jax.grad(lambda params: loss(sequences.slide_rnn, params)))(rnn)
of_layers = jax.jit(jax.grad(lambda layers: loss(sequences.unrolled_rnn, layers)))(20 * [rnn])
summed = sum(layer.W for layer in of_layers)
assert np.allclose(summed, shared.W, rtol=1e-3, atol=1e-3)
print("gradient of W, shared:", np.round(shared.W[0], 3))
print("sum over 20 layers:   ", np.round(summed[0], 3))

# %% [markdown]
# ## Gradients vanish, or explode (slide "The problem with RNNs", L73)
#
# Back in time the gradient is multiplied with $W$ at each step (and with the slope of tanh, which is at most 1). After
# $k$ steps it is about $\rho^k$ times as long, where $\rho$ is the *spectral radius*, the largest absolute value of an
# eigenvalue of $W$.
#
# **Exercise 2.** After how many steps is at most a share of the gradient left? Return the smallest whole number of
# steps, and `np.inf` where it never vanishes. *Hint:* $\rho^k \le s$, with logarithms.

# %%
from zoo.exercises.sequences import check_steps_until


def my_steps_until(radius, share):
    """How many steps back until at most this share of a gradient is left."""
    ...  # yours


check_steps_until(my_steps_until)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_steps_until(radius, share):
    return np.ceil(np.log(share) / np.log(radius)) if radius < 1 else np.inf


assert check_steps_until(solved_steps_until), check_steps_until(solved_steps_until)

# %% [markdown]
# Measured: the gradient of the last memory in each memory before it, for three matrices that differ in their radius
# alone. Dashed is $\rho^k$.

# %%
hidden, count = 64, 60
random = np.random.default_rng(0)
matrix = random.normal(size=(hidden, hidden))
matrix /= np.abs(np.linalg.eigvals(matrix)).max()
way = random.normal(size=hidden)


@jax.jit
def norms(W):
    """Lengths of the gradient of the last memory, in a drawn direction, 0, 1, 2, ... steps back."""
    params = sequences.SlideRNNParams(U=jnp.zeros((hidden, 1)), W=W, V=jnp.zeros((1, hidden)), b=jnp.zeros(hidden))

    def at_the_end(added):
        def step(memory, more):
            return sequences.slide_rnn_step(params, memory, jnp.zeros(1))[0] + more, None

        return jax.lax.scan(step, jnp.zeros(hidden), added)[0] @ way

    slopes = jax.grad(at_the_end)(jnp.zeros((count, hidden)))
    return jnp.linalg.norm(slopes, axis=1)[::-1]


figure, cell = plt.subplots(figsize=(6, 3), layout="constrained")
for radius in (0.8, 1.0, 1.2):
    found = norms(radius * matrix)
    (line,) = cell.semilogy(found / found[0], label=f"radius {radius}")
    cell.semilogy(radius ** np.arange(count), "--", color=line.get_color(), lw=1)
cell.set(xlabel="steps back in time", ylabel="length of the gradient")
cell.legend()
plt.show()

# %% [markdown]
# ## One step of an LSTM (slides "LSTM: step-by-step #1" to "#4", L75, L76, E25)
#
# An LSTM has a second memory, the *cell state* $c$, which no matrix multiplies: gates decide what of it stays, what is
# written, and what is shown as the output $m$. Vectors are rows now, so that matrices stand right of them.
#
# 1. What to forget: $f = \sigma(x_t U^{(f)} + m_{t-1} W^{(f)})$.
# 2. What is new, and how much of it to write: $i = \sigma(x_t U^{(i)} + m_{t-1} W^{(i)})$ and
#    $\tilde c_t = \tanh(x_t U^{(g)} + m_{t-1} W^{(g)})$.
# 3. The new cell state: $c_t = c_{t-1} \odot f + \tilde c_t \odot i$.
# 4. How much of it to show: $o = \sigma(x_t U^{(o)} + m_{t-1} W^{(o)})$, and $m_t = \tanh(c_t) \odot o$.
#
# **Erratum E25:** the slide's LSTM has no biases. Flax has one for each gate, torch two; `zoo.weights.recurrent` maps
# them.
#
# **Exercise 3.** Write the step. `U` and `W` are dictionaries of matrices, by "i", "f", "o" and "g".

# %%
from zoo.exercises.sequences import check_lstm_step


def sigmoid(z):
    """From 0 (shut) to 1 (open)."""
    return 1 / (1 + np.exp(-z))


def my_lstm_step(U, W, c, m, x):
    """The cell state and the output after the step."""
    ...  # yours


check_lstm_step(my_lstm_step)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def solved_lstm_step(U, W, c, m, x):
    f = sigmoid(x @ U["f"] + m @ W["f"])
    i = sigmoid(x @ U["i"] + m @ W["i"])
    candidate = np.tanh(x @ U["g"] + m @ W["g"])
    c = c * f + candidate * i
    o = sigmoid(x @ U["o"] + m @ W["o"])
    return c, np.tanh(c) * o


assert check_lstm_step(solved_lstm_step), check_lstm_step(solved_lstm_step)

# %% [markdown]
# ## What the gates do (L76)
#
# Here is an LSTM whose weights were set by hand so that it *remembers*. A step has three inputs: a number, a mark, and
# a 1, which does what a bias would. Where the mark is set, the input gate opens and the forget gate shuts: the old
# number goes, the new one is written. Where it is not, the cell state stays, whatever numbers come by.

# %% tags=["picture"]
numbers = np.array([0.9, -0.4, 0.7, 0.2, -0.8, 0.5, -0.6, 0.8, -0.3, 0.6, 0.1, -0.9, 0.4, 0.7])
marks = np.isin(np.arange(14), [1, 5, 11]).astype(float)
inputs = np.stack([numbers, marks, np.ones(14)], axis=1).astype(np.float32)


def columns(number, mark, always):
    """The matrix of a gate of one unit."""
    return np.array([[number], [mark], [always]], np.float32)


nothing = np.zeros((1, 1), np.float32)
remembers = sequences.SlideLSTMParams(
    U_i=columns(0, 16, -8),  # open where there is a mark
    U_f=columns(0, -16, 8),  # shut there
    U_o=columns(0, 0, 8),  # always open
    U_g=columns(1, 0, 0),  # the number
    **{f"W_{gate}": nothing for gate in "ifog"},
)
trace = jax.jit(sequences.slide_lstm_trace)(remembers, sequences.zero_carry(remembers, ()), inputs)
written = [f"{number:+.1f}" + "*" * int(mark) for number, mark in zip(numbers, marks, strict=True)]
marked = np.maximum.accumulate(np.where(marks > 0, np.arange(14), 0))
assert np.allclose(trace.c[1:, 0], np.tanh(numbers)[marked][1:], atol=5e-3)
sequences.plot_trace(trace, written)

# %% [markdown]
# The same picture of an LSTM that nobody set, with six units and noise as inputs: its gates are half open, and what is
# written is soon gone. `plot_trace` draws the trace of any sequence of yours.

# %%
lstm = sequences.init_slide_lstm(jax.random.key(0), inputs=3, hidden=6)
noise = np.zeros((24, 3), np.float32)
noise[:4] = 3 * np.random.default_rng(2).normal(size=(4, 3))
sequences.plot_trace(jax.jit(sequences.slide_lstm_trace)(lstm, sequences.zero_carry(lstm, ()), noise))

# %% [markdown]
# ## Who remembers for how long? (L73, L75)
#
# The first step shows one of eight symbols, then there is noise, then it is asked for. RNN and LSTM learn alike long
# from the same sequences; the LSTM's forget gates begin open. `python -m train experiment memory` does this for more
# lags, for GRUs, and for a second problem.

# %%
import dataclasses

from train.experiments.sequences import memory

plan = dataclasses.replace(memory.PLANS["quick"], steps=scale.pick(150, 800), seeds=1)
for lag in scale.pick((5, 40), (5, 20, 80)):
    right = {kind: memory.trained("recall", kind, lag, plan)[0] for kind in ("RNN", "LSTM")}
    print(f"{lag:3} steps:", ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in right.items()))

# %% [markdown]
# ## Reading an image row by row (L71)
#
# An image is a sequence too: a row after the other, from top to bottom. After the last row the network says which digit
# it was. The recipes `digits_rows_slide_rnn`, `digits_rows_slide_lstm`, `digits_rows_rnn`, `digits_rows_lstm` and
# `digits_rows_gru` differ in their cell alone.

# %%
epochs = scale.pick(6, 30)
outcome = train.fit(train.recipe("digits_rows_slide_lstm", epochs=epochs, eval_every=epochs), runs / "rows")
print(f"{100 * outcome.metrics['accuracy']:.1f} % of the held-out digits are right")

# %% [markdown]
# What does it say after each row? The same last layer, asked too early: most digits are known long before the end.

# %%
run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
digits = load(run.recipe.data, "test").read(np.arange(360))


@jax.jit
def after_each_row(images):
    """Logits after the first row, the second, ... (batch, rows, classes)."""
    states = model.apply(variables, images / 255.0, features=True)["layer1"]
    return states @ variables["params"]["head"]["kernel"] + variables["params"]["head"]["bias"]


said = after_each_row(digits["image"].astype(np.float32))
right = (np.argmax(said, axis=-1) == digits["label"][:, None]).mean(axis=0)
figure, cells = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
cells[0].plot(range(1, 9), 100 * right, "o-")
cells[0].set(xlabel="rows read", ylabel="digits that are right (%)", ylim=(0, 103))
shares = jax.nn.softmax(said[0], axis=-1)
cells[1].imshow(shares, cmap="Blues", vmin=0, vmax=1)
cells[1].set(xlabel="class", ylabel="rows read", title=f"what is said of a {digits['label'][0]}", xticks=range(10))
cells[1].set_yticks(range(8), range(1, 9))
plt.show()

# %% [markdown]
# ## A class at every step (L71)
#
# The output may be a sequence as well. Here a bidirectional LSTM reads a line of digits column by column, and says of
# each column to which digit it belongs, or that it is a gap: there are as many answers as steps.

# %%
epochs = scale.pick(4, 15)
recipe = train.recipe("lines_tags", epochs=epochs, eval_every=epochs)
outcome = train.fit(recipe, runs / "lines")
run = open_run(outcome.workdir)
model, variables = run.model(), run.variables()[1]
lines = load(run.recipe.data, "test").read(np.arange(4))
names = load(run.recipe.data, "test").facts.classes
tags = np.argmax(jax.jit(model.apply)(variables, lines["image"] / np.float32(255)), axis=-1)
figure, cells = plt.subplots(4, 1, figsize=(8, 5.2), layout="constrained")
for cell, image, guess, true in zip(cells, lines["image"], tags, lines["tags"], strict=True):
    cell.imshow(image[..., 0], cmap="gray_r")
    for column, (label, wanted) in enumerate(zip(guess, true, strict=True)):
        name = "·" if names[label] == "gap" else names[label]
        cell.text(column, 9.2, name, ha="center", fontsize=8, color="black" if label == wanted else "tab:orange")
    cell.set_axis_off()
plt.show()

# %% [markdown]
# ## What to do next
#
# `python -m train experiment gradients` measures the gradients of RNN, LSTM and GRU against theory, and
# `python -m train experiment memory` how long each remembers. `sequences.RNN`, `LSTM` and `GRU` are layers for networks
# of your own: several of them on each other, both directions, padded sequences, equal to torch's. The chapter is
# `zoo/sequences/README.md`.
