"""The smallest detector that follows the contract of `zoo.detection`, quick to compile: an object a cell of a grid."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from zoo.detection.contract import Detections, Term
from zoo.nn import Conv

STRIDE, MASK = 16, 4


class CellDetector(nn.Module):
    """Each cell says how likely it has an object, which one, its box, and a mask and keypoints in the box."""

    num_classes: int = 11
    points: int = 2
    share: float = 0.5
    """Of the cells without an object, those that learn in a step."""
    dtype: Any = None

    def setup(self):
        self.stem = Conv(8, (5, 5), 4, 2)
        self.head = Conv(1 + 4 + self.num_classes + MASK * MASK + 3 * self.points, (5, 5), STRIDE // 4, 2)

    def __call__(self, images, sizes=None, train=False, features=False):
        said = self._cells(images)
        chance = jax.nn.sigmoid(said["object"])
        label = 1 + jnp.argmax(said["label"][..., 1:], axis=-1)
        order = jnp.argsort(-chance, axis=1)
        boxes, masks, points = said["box"], jax.nn.sigmoid(said["mask"]), said["points"]
        boxes, scores, labels, masks, points = (
            jnp.take_along_axis(value, order.reshape(*order.shape, *[1] * (value.ndim - 2)), axis=1)
            for value in (boxes, chance, label, masks, points)
        )
        return Detections(boxes, scores, labels, scores > 0, masks, points)

    def losses(self, images, truth, key, sizes=None, train=True):
        said, centres = self._cells(images), self._centres(images)
        left_top, right_bottom = jnp.split(truth.boxes, 2, axis=-1)
        middle = ((left_top + right_bottom) / 2)[:, None]
        inside = jnp.all(jnp.abs(middle - centres[None, :, None]) <= STRIDE / 2, axis=-1) & truth.valid[:, None]
        positive, which = jnp.any(inside, axis=-1), jnp.argmax(inside, axis=-1)
        box = jnp.take_along_axis(truth.boxes, which[..., None], axis=1)
        label = jnp.take_along_axis(truth.labels, which, axis=1)
        sampled = positive | jax.random.bernoulli(key, self.share, positive.shape)
        errors = {
            "objectness": (optax.sigmoid_binary_cross_entropy(said["object"], positive), sampled),
            "box": (jnp.mean(jnp.abs(said["box"] - box), axis=-1) / STRIDE, positive),
            "classes": (optax.softmax_cross_entropy_with_integer_labels(said["label"], label), positive),
        }
        if truth.masks is not None:
            at = (jnp.arange(MASK) + 0.5) / MASK
            x, y = (jnp.floor(box[..., i, None] * (1 - at) + box[..., 2 + i, None] * at).astype(int) for i in (0, 1))
            image = jnp.arange(len(images))[:, None, None, None]
            mask = truth.masks[image, which[..., None, None], y[..., :, None], x[..., None, :]]
            wrong = jnp.mean(optax.sigmoid_binary_cross_entropy(said["mask"], mask), axis=(-1, -2))
            errors["mask"] = (wrong, positive)
        if truth.keypoints is not None:
            points = jnp.take_along_axis(truth.keypoints, which[..., None, None], axis=1)
            off = jnp.sum(jnp.abs(said["points"] - points)[..., :2] * points[..., 2:], axis=(-1, -2)) / STRIDE
            errors["keypoints"] = (off, positive)
        return {
            name: Term(jnp.sum(error, where=where), jnp.sum(where, dtype=jnp.float32))
            for name, (error, where) in errors.items()
        }

    def _centres(self, images):
        rows, columns = (jnp.arange(side // STRIDE) * STRIDE + STRIDE / 2 for side in images.shape[1:3])
        return jnp.stack(jnp.meshgrid(columns, rows), axis=-1).reshape(-1, 2)

    def _cells(self, images):
        x = self.head(nn.relu(self.stem(images)))
        x = x.reshape(len(x), -1, x.shape[-1])
        parts = jnp.split(x, [1, 5, 5 + self.num_classes, 5 + self.num_classes + MASK * MASK], axis=-1)
        centres = jnp.tile(self._centres(images), 2)
        points = parts[4].reshape(*x.shape[:2], self.points, 3)
        corner = jnp.array([-1, -1, 1, 1]) * STRIDE / 2
        return {
            "object": parts[0][..., 0],
            "box": centres + corner + 8 * parts[1],
            "label": parts[2],
            "mask": parts[3].reshape(*x.shape[:2], MASK, MASK),
            "points": points.at[..., :2].set(centres[:, None, :2] + 8 * points[..., :2]).at[..., 2].set(1),
        }
