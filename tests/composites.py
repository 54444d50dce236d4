"""Models that are not one image with one class: clips, pairs, tokens, and a network on a backbone; with their rows."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import pytest

from zoo.catalog import CATALOG, Entry, Input, Ref
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.nn import Conv, global_avg_pool
from zoo.nn.checks import CLIP_AXES, check_images

SOURCE = "Nobody, 2000, Nothing"


class Clips(nn.Module):
    """Two convolutions over time and space, the first with strides (1, 4, 4), the second with (2, 1, 1)."""

    num_classes: int = 5

    @nn.compact
    def __call__(self, clips, train=False, features=False):
        check_images(clips, "Clips", (2, 8, 8), CLIP_AXES, "clips")
        named = {"stem": (x := Conv(4, (3, 3, 3), strides=(1, 4, 4), padding=1, name="stem")(clips))}
        named["stage1"] = x = Conv(6, (3, 1, 1), strides=(2, 1, 1), padding=(1, 0, 0), name="stage1")(nn.relu(x))
        named["pooled"] = x.mean((1, 2, 3), keepdims=True)
        named["logits"] = x = nn.Dense(self.num_classes, name="head")(global_avg_pool(x))
        return named if features else x


class Pair(nn.Module):
    """A map from two images, and one number an example that scales it."""

    @nn.compact
    def __call__(self, first, second, scale, train=False, features=False):
        x = jnp.concatenate([first, second], axis=-1)
        named = {"flow": (x := Conv(2, (4, 2), strides=(4, 2), padding=0, name="conv")(x) * scale[:, None, None, None])}
        return named if features else x


class Tokens(nn.Module):
    """A vector for each token, and one for every two neighbours."""

    @nn.compact
    def __call__(self, tokens, train=False, features=False):
        named = {"embedded": (x := nn.Embed(11, 4, name="embed")(tokens))}
        named["pairs"] = x = Conv(3, (2,), strides=2, padding=0, name="conv")(x)
        return named if features else {"pairs": x, "longest": jnp.argmax(x.sum(-1), axis=-1)}


class OnBackbone(nn.Module):
    """A classifier on the last stage of any network that answers `features=True`. Submodules `backbone`, `head`."""

    backbone: nn.Module
    num_classes: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, train=False, features=False):
        named = dict(self.backbone(images, train, features=True))
        named["logits"] = x = nn.Dense(self.num_classes, name="head")(global_avg_pool(named["stage3"]))
        return named if features else x


def small_resnet(num_classes: int = 4, widening: int = 2) -> CifarResNet:
    """A builder that is a function."""
    return CifarResNet(num_classes=num_classes, depth=14, widening=widening)


def on_small_resnet(num_classes: int = 4, depth: int = 14) -> OnBackbone:
    """One whose class has no other row."""
    return OnBackbone(CifarResNet(num_classes=0, depth=depth, shortcut="conv3x3"), num_classes)


def _row(name: str, builder: str, task: str, inputs: Any, **options: Any) -> Entry:
    return Entry(name, f"{__name__}:{builder}", task, inputs, SOURCE, "L1", options, ("akamaster/cifar_resnet",))


IMAGE = Input("first", (16, 16, 3))
ROWS = (
    _row("clips", "Clips", "classification", (Input("clips", (4, 16, 16, 3), kind="clip"),)),
    _row("pair", "Pair", "flow", (IMAGE, Input("second", IMAGE.shape), Input("scale", (), kind="number"))),
    _row("tokens", "Tokens", "captioning", (Input("tokens", (6,), "int32", "tokens"),)),
    _row("on_resnet8", "OnBackbone", "classification", (32, 32, 3), backbone=Ref("cifar_resnet8", num_classes=0)),
    _row(
        "on_resnet20",
        "OnBackbone",
        "classification",
        (32, 32, 3),
        backbone=Ref("cifar_resnet20", num_classes=0),
        num_classes=7,
    ),
    _row(
        "on_that",
        "OnBackbone",
        "classification",
        (32, 32, 3),
        backbone=Ref("on_resnet8", backbone=Ref("cifar_resnet8", widening=2)),
    ),
    _row("small_resnet", "small_resnet", "classification", (32, 32, 3), widening=3),
)


@pytest.fixture
def composites(monkeypatch):
    """The catalog with these rows too."""
    monkeypatch.setattr("zoo.catalog.CATALOG", {**CATALOG, **{row.name: row for row in ROWS}})
