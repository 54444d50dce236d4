"""The sides of the comparison of torchvision's segmentation networks, for `tests/benchmarks/sides.py`."""

import os
import time
from collections.abc import Callable

import numpy as np

from tests.benchmarks.sides import LEARNING_RATE, MOMENTUM

MODELS = ("fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large")
CLASSES = 21
AUX_WEIGHT = 0.5


def examples(batch: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (batch, side, side, 3), and the class of each pixel (batch, side, side)."""
    random = np.random.default_rng(0)
    return random.random((batch, side, side, 3), np.float32), random.integers(0, CLASSES, (batch, side, side))


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> tuple[Callable, Callable, tuple[float, float]]:
    """Inference, a training step, and the seconds that compiling either took."""
    import jax
    import jax.numpy as jnp
    import optax

    import zoo

    model, key = zoo.create(name), jax.random.key(0, impl="rbg")
    variables = zoo.init(model, key, images.shape[1:])
    inputs = jnp.asarray(images), jnp.asarray(labels), key
    state = (jax.tree.map(jnp.copy, variables), jax.tree.map(jnp.zeros_like, variables["params"]))

    def step(state: tuple, images: jax.Array, labels: jax.Array, key: jax.Array) -> tuple:
        variables, velocity = state

        def loss(params: dict) -> tuple:
            others = {**variables, "params": params}
            rngs = {"dropout": key}
            outputs, updated = model.apply(others, images, train=True, rngs=rngs, mutable=["batch_stats"])
            outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
            losses = {
                head: optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
                for head, logits in outputs.items()
            }
            return losses["logits"] + AUX_WEIGHT * losses.get("aux1", 0.0), updated

        slopes, updated = jax.grad(loss, has_aux=True)(variables["params"])
        velocity = jax.tree.map(lambda v, slope: MOMENTUM * v + slope, velocity, slopes)
        params = jax.tree.map(lambda param, v: param - LEARNING_RATE * v, variables["params"], velocity)
        return {"params": params, **updated}, velocity

    started = time.perf_counter()
    infer = jax.jit(model.apply).lower(variables, inputs[0]).compile()
    between = time.perf_counter()
    train = jax.jit(step, donate_argnums=0).lower(state, *inputs).compile()
    took = between - started, time.perf_counter() - between

    def training() -> None:
        nonlocal state
        state = jax.block_until_ready(train(state, *inputs))

    return lambda: jax.block_until_ready(infer(variables, inputs[0])), training, took


def torchs(name: str, images: np.ndarray, labels: np.ndarray, layout: str) -> tuple[Callable, Callable]:
    """Inference and a training step."""
    import torch
    from torchvision.models import segmentation

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = getattr(torch, "contiguous_format" if layout == "contiguous" else layout)
    aux = {} if name.startswith("lraspp") else {"aux_loss": True}
    model = getattr(segmentation, name)(weights=None, weights_backbone=None, **aux).to(memory_format=layout)
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    targets, cross_entropy = torch.from_numpy(labels), torch.nn.functional.cross_entropy
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)

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
        loss = cross_entropy(outputs["out"], targets)
        if "aux" in outputs:
            loss = loss + AUX_WEIGHT * cross_entropy(outputs["aux"], targets)
        loss.backward()
        optimizer.step()

    return inference, training
