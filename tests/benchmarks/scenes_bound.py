"""How well can the digits of the scenes be told if their pixels are known? A bound of what segmentation can reach.

    python -m tests.benchmarks.scenes_bound                   6 epochs of 8000 scenes, 407 s of processor time
    python -m tests.benchmarks.scenes_bound --scenes 1000     of those that recipes learn from by default

A classifier sees one digit of a scene at a time: the true mask of what is visible of it, and the mask of all others,
which is what can cover it. Prints how many digits it names right, and the mean IoU of label maps in which every true
mask has the class that it gives: what a network would reach that knew every digit's pixels and nothing of the others.
"""

import argparse

import flax.linen as nn
import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from PIL import Image

from train.data.sources.scenes import BACKGROUND, SIDE, SIZES, scenes
from zoo.dense import confusion, intersection_over_union
from zoo.nn import BatchNorm

WINDOW = 20
"""Pixels a side of what the classifier sees."""
BATCH, RATE, DECAY, WIDTHS = 128, 4e-3, 0.02, (32, 64, 128)


class Classifier(nn.Module):
    """Six convolutions, two of each width, with pooling between the widths."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch side side 2"], train: bool = False) -> Float[Array, "batch classes"]:
        for level, width in enumerate(WIDTHS):
            x = nn.max_pool(x, (2, 2), (2, 2)) if level else x
            for _ in range(2):
                x = nn.relu(BatchNorm()(nn.Conv(width, (3, 3), use_bias=False)(x), not train))
        return nn.Dense(BACKGROUND)(nn.Dropout(0.3, deterministic=not train)(x.mean(axis=(1, 2))))


def windows(split: str, count: int = 0) -> tuple[Float[np.ndarray, "n side side 2"], Int[np.ndarray, "n 3"]]:
    """Each digit's mask and that of all others in a square about it; and its scene, its place there, its class."""
    found, which = [], []
    arrays = scenes(split, count).arrays()
    for scene, place in np.argwhere(arrays["classes_valid"]):
        own, every = arrays["masks"][scene, place], arrays["masks"][scene].any(axis=0)
        left, top, right, bottom = arrays["boxes"][scene, place].astype(int)
        side = max(right - left, bottom - top)
        corner = left - (side - (right - left)) // 2, top - (side - (bottom - top)) // 2
        box = (*corner, corner[0] + side, corner[1] + side)
        cut = [Image.fromarray(mask).convert("L").crop(box) for mask in (own, every & ~own)]
        found.append(np.stack([each.resize((WINDOW, WINDOW), Image.Resampling.BILINEAR) for each in cut], axis=-1))
        which.append((scene, place, arrays["classes"][scene, place]))
    return np.array(found, np.float32) / 255, np.array(which)


def trained(images: np.ndarray, labels: np.ndarray, epochs: int) -> dict[str, Array]:
    """The classifier's variables."""
    model = Classifier()
    variables = model.init(jax.random.key(0), images[:2])
    steps = epochs * (len(images) // BATCH)
    tx = optax.adamw(optax.cosine_onecycle_schedule(steps, RATE), weight_decay=DECAY)

    @jax.jit
    def step(variables, state, x, y, key):
        def loss(params):
            rest = {"params": params, "batch_stats": variables["batch_stats"]}
            logits, moved = model.apply(rest, x, train=True, mutable=["batch_stats"], rngs={"dropout": key})
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), moved

        (value, moved), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        change, state = tx.update(gradient, state, variables["params"])
        return {"params": optax.apply_updates(variables["params"], change), **moved}, state, value

    state, order, key = tx.init(variables["params"]), np.random.default_rng(0), jax.random.key(1)
    for epoch in range(epochs):
        rows = order.permutation(len(images))[: len(images) // BATCH * BATCH].reshape(-1, BATCH)
        for number, these in enumerate(rows):
            at = jax.random.fold_in(key, epoch * len(rows) + number)
            variables, state, value = step(variables, state, images[these], labels[these], at)
        print(f"epoch {epoch + 1}  loss {float(value):.4f}", flush=True)
    return variables


def main() -> None:
    """Trains the classifier, and prints what it reaches on the test scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    images, which = windows("train", options.scenes)
    print(f"{options.scenes} scenes, {len(images)} digits of {SIZES[0]} to {SIZES[1]} pixels on {SIDE} x {SIDE}")
    variables = trained(images, which[:, 2], options.epochs)
    images, which = windows("test")
    predict = jax.jit(lambda x: Classifier().apply(variables, x).argmax(axis=-1))
    guess = np.concatenate([predict(images[first : first + 500]) for first in range(0, len(images), 500)])
    arrays = scenes("test").arrays()
    painted = np.full_like(arrays["label_map"], BACKGROUND)
    for (scene, place, _), label in zip(which, guess, strict=True):
        painted[scene][arrays["masks"][scene, place]] = label
    counts = confusion(arrays["label_map"], painted, np.ones_like(painted, bool), BACKGROUND + 1)
    print(f"{np.mean(guess == which[:, 2]):.2%} of {len(which)} digits of the test scenes are named right")
    print(f"true masks with these names have a mean IoU of {np.mean(intersection_over_union(np.asarray(counts))):.2%}")


if __name__ == "__main__":
    main()
