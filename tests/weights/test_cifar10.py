"""Published weights on real data: CIFAR ResNet-20 reaches its published accuracy exactly."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.shared import shared

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what these weights were trained with


@functools.cache
def test_set():
    """All 10,000 test images of CIFAR-10, (N, 32, 32, 3) uint8, and labels."""
    data_dir = shared("data", "tfds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds

        examples = list(tfds.data_source("cifar10", data_dir=data_dir, split="test"))
    return np.stack([e["image"] for e in examples]), np.array([e["label"] for e in examples])


test_set.__test__ = False


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["safetensors", "th"])
def test_resnet20_has_exactly_91_73_percent_on_cifar10(suffix):
    if suffix == "th":
        pytest.importorskip("torch")
    path = shared("data", "weights", f"resnet20_cifar10.{suffix}")
    images, labels = test_set()
    variables = zoo.load_weights("cifar_resnet20", path)
    model = zoo.create("cifar_resnet20")

    @jax.jit
    def predicted(images):
        normalised = (images / 255.0 - jnp.array(MEAN)) / jnp.array(STD)
        return model.apply(variables, normalised).argmax(axis=-1)

    correct = sum((predicted(images[i : i + 1000]) == labels[i : i + 1000]).sum() for i in range(0, 10_000, 1000))
    assert int(correct) == 9173
