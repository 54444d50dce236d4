"""The sides of the comparison of networks for segmentation, for `tests/benchmarks/sides.py`."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.benchmarks.sides import LEARNING_RATE, MOMENTUM, Ours, compiled, descended

CLASSES = 21
AUX_WEIGHT = 0.5
"""Of the auxiliary head's loss, where there is one."""


def fcn32s_vgg16() -> Any:
    """The authors' network, as the golden files have it."""
    from tests.dense.goldens.write_networks import FCN

    return FCN((64, 128, 256, 512, 512), 4096, 32, counts=(2, 2, 3, 3, 3), classes=CLASSES)


def unet_same() -> Any:
    """U-Net with padded convolutions."""
    from tests.dense.goldens.write_networks import UNet

    return UNet((64, 128, 256, 512, 1024), "same", classes=CLASSES)


def torchvisions(name: str, **options: Any) -> Any:
    """torchvision's network of this name."""
    from torchvision.models import segmentation

    return getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES, **options)


MODELS: dict[str, Callable[[], Any]] = {
    "fcn32s_vgg16": fcn32s_vgg16,
    "unet_same": unet_same,
    "fcn_resnet50": partial(torchvisions, "fcn_resnet50", aux_loss=True),
    "deeplabv3_resnet50": partial(torchvisions, "deeplabv3_resnet50", aux_loss=True),
    "lraspp_mobilenet_v3_large": partial(torchvisions, "lraspp_mobilenet_v3_large"),
}
"""Torch's network, by the name of ours."""


def examples(batch: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (batch, side, side, 3), and the labels of their pixels (batch, side, side)."""
    random = np.random.default_rng(0)
    images = random.standard_normal((batch, side, side, 3)).astype(np.float32)
    return images, random.integers(0, CLASSES, (batch, side, side))


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> Ours:
    """Inference, a training step, and the seconds that compiling either took."""
    import jax
    import jax.numpy as jnp
    import optax

    import zoo

    model, key = zoo.create(name, num_classes=CLASSES), jax.random.key(0, impl="rbg")
    variables = zoo.init(model, key, images.shape[1:])
    inputs = jnp.asarray(images), jnp.asarray(labels), key
    state = (jax.tree.map(jnp.copy, variables), jax.tree.map(jnp.zeros_like, variables["params"]))

    def step(state: tuple, images: jax.Array, labels: jax.Array, key: jax.Array) -> tuple:
        variables, velocity = state
        rest = {kind: value for kind, value in variables.items() if kind != "params"}

        def loss(params: dict) -> tuple[jax.Array, dict]:
            given = {"train": True, "mutable": list(rest), "rngs": {"dropout": key}}
            outputs, updated = model.apply({"params": params, **rest}, images, **given)
            outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
            losses = {
                head: optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
                for head, logits in outputs.items()
            }
            return losses["logits"] + AUX_WEIGHT * losses.get("aux1", 0.0), updated

        slopes, updated = jax.grad(loss, has_aux=True)(variables["params"])
        params, velocity = descended(variables["params"], velocity, slopes)
        return {"params": params, **updated}, velocity

    return compiled(model.apply, (variables, inputs[0]), step, state, inputs)


def torchs(name: str, images: np.ndarray, labels: np.ndarray, layout: str) -> tuple[Callable, Callable]:
    """Inference and a training step."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = getattr(torch, "contiguous_format" if layout == "contiguous" else layout)
    model = MODELS[name]().to(memory_format=layout)
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    targets = torch.from_numpy(labels)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learned, LEARNING_RATE, MOMENTUM)

    def inference() -> None:
        model.eval()
        with torch.inference_mode():
            model(inputs)

    def training() -> None:
        model.train()
        for module in model.modules():
            if len(images) == 1 and type(module).__name__ == "ASPPPooling":
                module.eval()  # of one value a channel torch refuses statistics
        optimizer.zero_grad()
        outputs = model(inputs)
        outputs = outputs if isinstance(outputs, dict) else {"out": outputs}  # as torchvision has it
        losses = {head: torch.nn.functional.cross_entropy(scores, targets) for head, scores in outputs.items()}
        (losses["out"] + AUX_WEIGHT * losses.get("aux", 0.0)).backward()
        optimizer.step()

    return inference, training
