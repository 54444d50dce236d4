"""Heads with parameters or memory of their own: the directions that angular margins learn, and moving prototypes. L89.

These are what hyperspherical prototypes are compared with; they need no such head (see `zoo.hyperspheres.spaces`).
"""

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Int

from zoo.hyperspheres.class_means import moving_means
from zoo.hyperspheres.losses import cosines

DECAY = 0.9
"""Of moving prototypes, a batch."""


class LearnedDirections(nn.Module):
    """A network and a learned direction a class: Wang et al., 2018, CosFace; Deng et al., 2019, ArcFace."""

    backbone: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, *inputs: Array, train: bool = False) -> Mapping[str, Array]:
        """ "cosines" (batch, classes), and the "embedding" that the network gives (batch, dims)."""
        embedding = self.backbone(*inputs, train=train).astype(jnp.float32)
        shape = (self.num_classes, embedding.shape[-1])
        directions = self.param("directions", nn.initializers.normal(1.0), shape, jnp.float32)
        unit = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
        return {"cosines": cosines(embedding, unit), "embedding": embedding}


class MovingPrototypes(nn.Module):
    """A network and the moving mean of each class's embeddings: Snell et al., 2017, Prototypical Networks.

    The means are among the batch statistics; in training the labels move them.
    """

    backbone: nn.Module
    num_classes: int
    decay: float = DECAY

    @nn.compact
    def __call__(
        self, images: Array, labels: Int[Array, "batch"] | None = None, train: bool = False
    ) -> Mapping[str, Array]:
        """The "embedding" that the network gives (batch, dims), the "means" (classes, dims), and which are "present".

        Raises:
          ValueError: labels are missing in training.
        """
        embedding = self.backbone(images, train=train).astype(jnp.float32)
        zeros = functools.partial(self.variable, "batch_stats", init_fn=jnp.zeros)
        sums = zeros("sums", shape=(self.num_classes, embedding.shape[-1]))
        weights = zeros("weights", shape=(self.num_classes, 1))  # sums begin at zero, and so do these
        if train and not self.is_initializing():
            if labels is None:
                raise ValueError("moving prototypes need the labels of the images in training")
            sums.value = moving_means(sums.value, embedding, labels, self.decay)
            weights.value = moving_means(weights.value, jnp.ones((len(labels), 1)), labels, self.decay)
        present = weights.value[:, 0] > 0
        means = sums.value / jnp.where(present[:, None], weights.value, 1.0)
        return {"embedding": embedding, "means": means, "present": present}
