"""Small models, tasks and batches that the tests of the engine share."""

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from train.config import LOSS, Metric
from train.engine.state import TrainState, initial_state
from train.tasks.classification.task import Classification
from train.tasks.protocol import OneForward, Ratio
from zoo.nn import BatchNorm, Conv

TASK = Classification(("a", "b", "c"))


class Block(nn.Module):
    """Batch norm, ReLU and dropout: what of a network differs between training and evaluation."""

    dropout: float
    dtype: Any
    axis_name: str | None

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(BatchNorm(dtype=self.dtype, axis_name=self.axis_name, name="norm")(x, not train))
        return nn.Dropout(self.dropout, deterministic=not train)(x)


class Net(nn.Module):
    """A dense network with all kinds of state that a model can have, quick to compile."""

    dropout: float = 0.0
    dtype: Any = jnp.float32
    remat: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, train=False):
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        x = nn.Dense(8, dtype=self.dtype, name="first")(images.reshape(len(images), -1))
        x = block(self.dropout, self.dtype, self.axis_name, name="block")(x, train)
        return nn.Dense(3, dtype=self.dtype, name="last")(x)


class ConvNet(nn.Module):
    """Two convolutions with batch norm; the second kernel is large enough for fsdp to share."""

    num_classes: int = 3
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, train=False):
        x = images
        for number, features in ((1, 16), (2, 32)):
            x = Conv(features, (3, 3), strides=2, padding=1, use_bias=False, name=f"conv{number}")(x)
            x = nn.relu(BatchNorm(axis_name=self.axis_name, name=f"norm{number}")(x, not train))
        return nn.Dense(self.num_classes, name="head")(x.mean(axis=(1, 2)))


class Boxes(nn.Module):
    """What a detector is to the engine: it takes images and boxes, and gives a nested dictionary."""

    num_classes: int = 3
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, proposals, train=False):
        x = BatchNorm(axis_name=self.axis_name, name="norm")(images.reshape(len(images), -1), not train)
        x = nn.relu(nn.Dense(16)(x))
        x = jnp.concatenate([proposals, jnp.broadcast_to(x[:, None], (*proposals.shape[:2], 16))], axis=-1)
        heads = {"boxes": nn.Dense(4, name="boxes")(x), "logits": nn.Dense(self.num_classes, name="classes")(x)}
        return {"heads": heads, "masks": nn.Dense(9, name="masks")(x).reshape(*x.shape[:2], 3, 3)}


@dataclasses.dataclass(frozen=True)
class Detection(OneForward):
    """Boxes of images, a varying number: `valid` marks those that are there, and the loss is their mean."""

    metrics: ClassVar = (Metric("error", "Error", higher_is_better=False), LOSS)
    fields: ClassVar = ("image", "objects")

    def inputs(self, batch):
        return batch["image"], batch["objects"]["proposals"]

    def objective(self, outputs, batch):
        losses = sum(self._losses(outputs, batch))
        return Ratio(jnp.sum(losses), jnp.sum(self._real(batch), dtype=jnp.float32))

    def totals(self, outputs, batch):
        real = self._real(batch)
        box, label, mask = self._losses(outputs, batch)
        predicted = jnp.argmax(outputs["heads"]["logits"], axis=-1)
        pairs = 3 * batch["objects"]["label"] + predicted
        return {
            "boxes": jnp.sum(real, dtype=jnp.float32),
            "loss": jnp.sum(box + label + mask),
            "confusion": jnp.zeros(9).at[pairs].add(real).reshape(3, 3),
        }

    def scores(self, totals):
        right = totals["confusion"].trace()
        return {"error": float(1 - right / totals["boxes"]), "loss": float(totals["loss"] / totals["boxes"])}

    def decode(self, outputs):
        return {"boxes": outputs["heads"]["boxes"], "masks": outputs["masks"] > 0}

    def _real(self, batch):
        return batch["objects"]["valid"] & batch["mask"][:, None]

    def _losses(self, outputs, batch):
        objects, heads = batch["objects"], outputs["heads"]
        box = jnp.mean(jnp.abs(heads["boxes"] - objects["boxes"]), axis=-1)
        label = optax.softmax_cross_entropy_with_integer_labels(heads["logits"], objects["label"])
        mask = jnp.mean(optax.sigmoid_binary_cross_entropy(outputs["masks"], objects["masks"]), axis=(-1, -2))
        return tuple(jnp.where(self._real(batch), part, 0) for part in (box, label, mask))


class Terms(Detection):
    """The same with a loss of two terms: boxes and masks for each box, classes for each image that has a box."""

    def objective(self, outputs, batch):
        box, label, mask = map(jnp.sum, self._losses(outputs, batch))
        real = self._real(batch)
        weights = jnp.sum(real, dtype=jnp.float32), jnp.sum(jnp.any(real, axis=1), dtype=jnp.float32)
        return Ratio(jnp.stack([box + mask, label]), jnp.stack(weights))


def detection_batch(size=16, seed=0):
    """Images with up to three objects each."""
    random = np.random.default_rng(seed)
    objects = {
        "proposals": random.uniform(size=(size, 3, 4)).astype(np.float32),
        "boxes": random.uniform(size=(size, 3, 4)).astype(np.float32),
        "label": random.integers(0, 3, (size, 3)).astype(np.int32),
        "masks": random.integers(0, 2, (size, 3, 3, 3)).astype(np.float32),
        "valid": random.integers(0, 2, (size, 3)).astype(bool),
    }
    return {**images_and_labels(size, seed), "objects": objects}


def images_and_labels(size=16, seed=0):
    """Float images of 4 x 4 with labels, as the step sees them."""
    random = np.random.default_rng(seed)
    return {
        "image": random.normal(size=(size, 4, 4, 1)).astype(np.float32),
        "label": random.integers(0, 3, size).astype(np.int32),
        "index": np.arange(size, dtype=np.int32),
        "mask": np.ones(size, bool),
    }


def make_state(model, optimizer, *inputs, seed=0, ema=False) -> TrainState:
    """A state before the first step, its parameters drawn by numpy: nothing but zeros is left to compile."""
    random = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[0].key != "params":
            return np.full(leaf.shape, path[-1].key == "var", leaf.dtype)  # running mean 0, variance 1
        return random.normal(size=leaf.shape, scale=0.3).astype(leaf.dtype)

    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    return jax.jit(lambda tree, key: initial_state(tree, optimizer, key, ema))(variables, jax.random.key(seed))


def steps(optimizer, params, grads):
    """The parameters after a step with each gradient, and the optimiser's last state."""

    @jax.jit
    def step(params, state, grad):
        updates, state = optimizer.update(grad, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for grad in grads:
        params, state = step(params, state, grad)
    return jax.device_get(params), state
