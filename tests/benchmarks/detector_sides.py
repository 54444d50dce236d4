"""The sides of the comparison of detectors, for `tests/benchmarks/sides.py`."""

import os
from collections.abc import Callable

import numpy as np

from tests.benchmarks.sides import LEARNING_RATE, MOMENTUM, Ours, compiled, descended

MODELS = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn")
CLASSES = 91
OBJECTS = 8


def examples(batch: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (batch, side, side, 3), boxes (batch, objects, 4) in pixels, and labels (batch, objects)."""
    random = np.random.default_rng(0)
    low = random.uniform(0, 0.6, (batch, OBJECTS, 2)) * side
    boxes = np.concatenate([low, low + random.uniform(0.1, 0.4, (batch, OBJECTS, 2)) * side], axis=2)
    images = random.random((batch, side, side, 3), np.float32)
    return images, boxes.astype(np.float32), random.integers(1, CLASSES, (batch, OBJECTS))


def masks_of(boxes: np.ndarray, side: int) -> np.ndarray:
    """Masks that fill the boxes, (batch, objects, side, side)."""
    left, top, right, bottom = np.moveaxis(boxes[..., None, None], 2, 0)
    y, x = np.mgrid[:side, :side] + 0.5
    return (x > left) & (x < right) & (y > top) & (y < bottom)


def ours(name: str, images: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> Ours:
    """Inference, a training step, and the seconds that compiling either took."""
    import jax
    import jax.numpy as jnp

    import zoo
    from zoo.detection import Truth

    model, key = zoo.create(name), jax.random.key(0, impl="rbg")
    variables = zoo.init(model, key, images.shape[1:])
    masks = jnp.asarray(masks_of(boxes, images.shape[1])) if name.startswith("mask") else None
    truth = Truth(jnp.asarray(boxes), jnp.asarray(labels), jnp.ones(labels.shape, bool), masks)
    inputs = jnp.asarray(images)
    rest = {kind: value for kind, value in variables.items() if kind != "params"}
    state = (jax.tree.map(jnp.copy, variables["params"]), jax.tree.map(jnp.zeros_like, variables["params"]))

    def step(state: tuple, images: jax.Array, truth: Truth, key: jax.Array) -> tuple:
        def loss(params: dict) -> jax.Array:
            terms = model.apply({"params": params, **rest}, images, truth, key, method="losses")
            return sum(term.value() for term in terms.values())

        params, velocity = state
        return descended(params, velocity, jax.grad(loss)(params))

    return compiled(model.apply, (variables, inputs), step, state, (inputs, truth, key))


def torchs(
    name: str, images: np.ndarray, boxes: np.ndarray, labels: np.ndarray, layout: str
) -> tuple[Callable, Callable]:
    """Inference and a training step."""
    import torch
    from torchvision.models import detection, resnet50
    from torchvision.models.detection import backbone_utils
    from torchvision.ops import FrozenBatchNorm2d
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    trunk, side = resnet50(norm_layer=FrozenBatchNorm2d), images.shape[1]
    single = name.startswith(("retinanet", "fcos"))
    of_pyramid = {"returned_layers": [2, 3, 4], "extra_blocks": LastLevelP6P7(256, 256)} if single else {}
    backbone = backbone_utils._resnet_fpn_extractor(trunk, 5, **of_pyramid)
    kinds = {"fasterrcnn": "FasterRCNN", "maskrcnn": "MaskRCNN", "retinanet": "RetinaNet", "fcos": "FCOS"}
    kind = getattr(detection, kinds[name.partition("_")[0]])
    layout = getattr(torch, "contiguous_format" if layout == "contiguous" else layout)
    model = kind(backbone, CLASSES, min_size=side, max_size=side).to(memory_format=layout)
    inputs = list(torch.from_numpy(images).permute(0, 3, 1, 2))
    targets = [
        {"boxes": torch.from_numpy(b), "labels": torch.from_numpy(n), "masks": torch.from_numpy(m).to(torch.uint8)}
        for b, n, m in zip(boxes, labels, masks_of(boxes, side), strict=True)
    ]
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)

    def inference() -> None:
        model.eval()
        with torch.inference_mode():
            model(inputs)

    def training() -> None:
        model.train()
        optimizer.zero_grad()
        sum(model(inputs, targets).values()).backward()
        optimizer.step()

    return inference, training
