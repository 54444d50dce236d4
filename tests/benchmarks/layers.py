"""What the layers' own forms win on this platform: their time over that of plain lax and flax.

    python -m tests.benchmarks.layers           every layer, forwards and with gradients
    python -m tests.benchmarks.layers grouped   grouped and depthwise convolutions alone
    python -m tests.benchmarks.layers resnet    a training step of ResNet-20 and its compilation

Below 1 is ahead. Both sides run in turn in one process; medians of the rounds, compilation apart. The line
says how busy other processes kept the machine: quote numbers of a quiet one only.
"""

import functools
import os
import statistics
import sys
import time
from collections.abc import Callable
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from zoo.convnets import cifar_resnet
from zoo.nn import BatchNorm, avg_pool, convolution, max_pool

ROUNDS = 15


def normal(*shape: int) -> jax.Array:
    """Never zeros, which some hardware multiplies faster."""
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def interleaved(functions: dict[str, Callable], *args, rounds: int = ROUNDS) -> dict[str, float]:
    """The median time of each function in milliseconds, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        jax.block_until_ready(function(*args))
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            jax.block_until_ready(function(*args))
            times[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def compare(title: str, ours: Callable, theirs: Callable, *args: jax.Array, rounds: int = ROUNDS) -> None:
    """Prints the times and their ratio, of the function and of its gradients in all arguments."""
    line = f"{title:44}"
    direction = normal(*jax.eval_shape(theirs, *args).shape)
    for kind in ("forward", "gradients"):

        def compiled(function: Callable, kind: str = kind) -> Callable:
            if kind == "forward":
                return jax.jit(function)
            return jax.jit(lambda direction, *args: jax.vjp(function, *args)[1](direction))

        busy = Busy()
        inputs = args if kind == "forward" else (direction, *args)
        took = interleaved({"ours": compiled(ours), "theirs": compiled(theirs)}, *inputs, rounds=rounds)
        ratio = took["ours"] / took["theirs"]
        line += f"  {kind} {took['ours']:7.2f} / {took['theirs']:7.2f} ms = {ratio:4.2f} (others {busy.share():.1f})"
    print(line, flush=True)


class Busy:
    """How many cores other processes used since it was made; Linux only, elsewhere not a number."""

    def __init__(self) -> None:
        self.others, self.wall = self._others(), time.perf_counter()

    def _others(self) -> float:
        try:
            with open("/proc/stat") as file:
                user, nice, system = map(int, file.readline().split()[1:4])
        except OSError:
            return float("nan")
        own = os.times()
        return (user + nice + system) / os.sysconf("SC_CLK_TCK") - own.user - own.system

    def share(self, of_children: float = 0.0) -> float:
        """Cores; less the seconds of processor time that this one's children took."""
        return (self._others() - self.others - of_children) / (time.perf_counter() - self.wall)


def lax_convolution(strides: int, padding: int, groups: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}
    return lax.conv_general_dilated(images, kernel, (strides,) * 2, [(padding,) * 2] * 2, **options)


def convolutions() -> None:
    for batch, size, channels, features, window, strides in (
        (128, 32, 3, 16, 3, 1),
        (128, 32, 16, 16, 3, 1),
        (128, 32, 16, 32, 3, 2),
        (128, 16, 32, 32, 3, 1),
        (128, 8, 64, 64, 3, 1),
        (32, 32, 16, 16, 3, 1),
        (256, 32, 16, 16, 3, 1),
        (128, 28, 1, 6, 5, 1),
        (8, 56, 64, 64, 3, 1),
        (128, 32, 16, 64, 1, 1),
        (8, 56, 256, 64, 1, 1),
        (8, 56, 256, 512, 1, 2),
        (8, 7, 512, 2048, 1, 1),
        (1, 14, 256, 1024, 1, 1),
        (4, 2, 512, 512, 3, 1),  # the last two stages of ResNet-18, of small images
        (4, 4, 256, 512, 3, 2),
        (64, 4, 64, 128, 3, 2),  # the last stage of a residual network of 8x8 images
        (64, 2, 128, 128, 3, 1),
        (1, 7, 512, 512, 3, 1),
        (8, 7, 512, 512, 3, 1),
    ):
        compare(
            f"conv {window}x{window}/{strides} {batch}x{size}x{size}x{channels} -> {features}",
            lambda x, k, s=strides, p=window // 2: convolution(x, k, s, p),
            functools.partial(lax_convolution, strides, window // 2, 1),
            normal(batch, size, size, channels),
            normal(window, window, channels, features),
        )


def grouped() -> None:
    for batch, size, channels, groups, window, strides in (
        (4, 56, 128, 32, 3, 1),  # the four stages of ResNeXt-50
        (4, 28, 256, 32, 3, 1),
        (4, 14, 512, 32, 3, 1),
        (4, 14, 1024, 32, 3, 2),
        (4, 7, 1024, 32, 3, 1),
        (4, 14, 208, 26, 3, 1),  # RegNetY-400MF
        (4, 56, 144, 144, 3, 1),  # MobileNet v2
        (4, 56, 144, 144, 3, 2),
        (4, 14, 384, 384, 3, 1),
        (4, 7, 960, 960, 3, 1),
        (4, 28, 240, 240, 5, 1),  # EfficientNet-B0
        (4, 28, 240, 240, 5, 2),
        (2, 56, 96, 96, 7, 1),  # ConvNeXt-T
        (4, 14, 384, 384, 7, 1),
    ):
        compare(
            f"{groups} groups {window}x{window}/{strides} {batch}x{size}x{size}x{channels}",
            lambda x, k, s=strides, p=window // 2, g=groups: convolution(x, k, s, p, groups=g),
            functools.partial(lax_convolution, strides, window // 2, groups),
            normal(batch, size, size, channels),
            normal(window, window, channels // groups, channels),
            rounds=5,  # lax's take seconds
        )


def pools() -> None:
    for shape, window, strides, padding in (
        ((8, 112, 112, 64), 3, 2, 1),
        ((8, 64, 64, 64), 2, 2, 0),
        ((128, 28, 28, 6), 2, 2, 0),
        ((8, 28, 28, 192), 3, 1, 1),
    ):
        title = f"pool {window}x{window}/{strides} {'x'.join(map(str, shape))}"
        for name, ours, theirs in (("max", max_pool, nn.max_pool), ("avg", avg_pool, nn.avg_pool)):
            compare(
                f"{name} {title}",
                lambda x, ours=ours, w=window, s=strides, p=padding: ours(x, w, s, p),
                lambda x, theirs=theirs, w=window, s=strides, p=padding: theirs(x, (w, w), (s, s), [(p, p)] * 2),
                normal(*shape),
            )


def norms() -> None:
    for shape in ((128, 32, 32, 16), (128, 8, 8, 64), (8, 56, 56, 256)):
        channels = jnp.ones(shape[-1])
        statistics_of = {"mean": channels, "var": channels}

        def ours(x, scale, bias, stats=statistics_of):
            variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": stats}
            return nn.relu(BatchNorm().apply(variables, x, False, mutable=["batch_stats"])[0])

        def theirs(x, scale, bias, stats=statistics_of):
            variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": stats}
            layer = nn.BatchNorm(use_running_average=False, momentum=0.9)
            return nn.relu(layer.apply(variables, x, mutable=["batch_stats"])[0])

        compare(f"batch norm, relu {'x'.join(map(str, shape))}", ours, theirs, normal(*shape), channels, channels)


class FlaxBatchNorm(nn.BatchNorm):
    """flax's layer, called as ours is."""

    def __call__(self, x, use_running_average):
        return super().__call__(x, use_running_average)


def flax_conv(features, window, padding, **options) -> nn.Conv:
    return nn.Conv(features, window, padding=[(padding, padding)] * 2, **options)


def resnet(depth: int = 20, batch: int = 128) -> None:
    """A training step with our layers, with our norm alone, and with flax's."""
    images, labels = normal(batch, 32, 32, 3), jnp.arange(batch) % 10
    norm = functools.partial(FlaxBatchNorm, momentum=0.9)
    variants = {
        "ours": {"BatchNorm": BatchNorm},
        "norm": {"Conv": flax_conv},
        "flax": {"Conv": flax_conv, "BatchNorm": norm},
    }
    steps = {}
    for name, layers in variants.items():
        with mock.patch.multiple(cifar_resnet, **layers):
            model = cifar_resnet.CifarResNet(depth=depth)
            key = jax.random.key(0, impl="rbg")
            variables = jax.jit(lambda key, model=model: model.init(key, images[:1]))(key)

            def step(variables, model=model):
                def loss(params):
                    out, state = model.apply({**variables, "params": params}, images, True, mutable=["batch_stats"])
                    return optax.softmax_cross_entropy_with_integer_labels(out, labels).mean(), state

                gradients, state = jax.grad(loss, has_aux=True)(variables["params"])
                return {"params": optax.apply_updates(variables["params"], gradients), **state}

            started, used = time.perf_counter(), time.process_time()
            lowered = jax.jit(step).lower(variables)
            traced = time.perf_counter()
            compiled = lowered.compile()
            wall, used = time.perf_counter() - traced, time.process_time() - used
            print(f"{name}: traced in {traced - started:.1f} s, compiled in {wall:.1f} s; {used:.1f} s of processor")
            steps[name] = functools.partial(compiled, variables)
    busy = Busy()
    took = interleaved(steps)
    shown = ", ".join(f"{name} {ms:.0f} ms ({ms / took['flax']:.2f})" for name, ms in took.items())
    print(f"ResNet-{depth}, batch {batch}: {shown}; others used {busy.share():.1f} cores")


if __name__ == "__main__":
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {os.cpu_count()} cores")
    if sys.argv[1:] == ["resnet"]:
        resnet()
    elif sys.argv[1:] == ["grouped"]:
        grouped()
    else:
        convolutions()
        grouped()
        pools()
        norms()
