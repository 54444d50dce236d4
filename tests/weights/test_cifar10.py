"""Published weights on real data: CIFAR ResNet-20 and DenseNet-BC-40-12 reach their published accuracies exactly."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.shared import shared

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR10 = tuple(v / 255 for v in (125.3, 123.0, 113.9)), tuple(v / 255 for v in (63.0, 62.1, 66.7))

pytestmark = pytest.mark.usefixtures("optimised")


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


def correct(name, file, mean, std, batch=1000):
    """How many test images a model with a file's weights classifies correctly, normalised as in its training."""
    path = shared("data", "weights", file)
    images, labels = test_set()
    variables = zoo.load_weights(name, path)
    model = zoo.create(name)

    @jax.jit
    def predicted(images):
        return model.apply(variables, (images / 255.0 - jnp.array(mean)) / jnp.array(std)).argmax(axis=-1)

    starts = range(0, len(labels), batch)
    return int(sum((predicted(images[i : i + batch]) == labels[i : i + batch]).sum() for i in starts))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["safetensors", "th"])
def test_resnet20_has_exactly_91_73_percent_on_cifar10(suffix):
    if suffix == "th":
        pytest.importorskip("torch")
    assert correct("cifar_resnet20", f"resnet20_cifar10.{suffix}", *IMAGENET) == 9173


@pytest.mark.slow
def test_densenet_bc_40_12_has_exactly_93_16_percent_on_cifar10():
    assert correct("cifar_densenet_bc_40_12", "densenet_bc_40_12_cifar10.safetensors", *CIFAR10, batch=500) == 9316
