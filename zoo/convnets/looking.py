"""What each layer learns: filters, feature maps, the pixels that excite a unit, and where the evidence for a class is.

Every function works for any image model of the catalog with its variables, at evaluation, and at any of its named
features; `zoo.convnets.stimuli` has what excites a unit most. Simonyan, Vedaldi and Zisserman, 2014, Deep Inside
Convolutional Networks (saliency); Zeiler and Fergus, 2014, Visualizing and Understanding Convolutional Networks
(deconvnet); Springenberg et al., 2015, Striving for Simplicity (guided backpropagation); Selvaraju et al., 2017,
Grad-CAM: Visual Explanations from Deep Networks. Lecture row L38.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from zoo.convnets.rewiring import Activation, continued_from, with_activations
from zoo.features import first_kernel
from zoo.names import unknown

Images = Float[Array, "batch height width channels"]
Model, Variables = nn.Module, PyTree[Array]


class Unit(NamedTuple):
    """What is looked at: a channel of a named feature; a channel of "logits" is a class."""

    feature: str
    channel: int | Int[Array, ""]
    """Counted from 0. One that is traced, so that one program serves all, is not checked."""
    over: Callable[..., Array] = jnp.max
    """Makes one number of a map's places: `jnp.max` looks at the strongest, `jnp.mean` at all."""


def first_layer_filters(
    model: Model, variables: Variables, image_shape: tuple[int, int, int]
) -> Float[Array, "filters window_height window_width channels"]:
    """The filters of the first convolution as pictures in [0, 1], all on one scale, where mid-grey is zero.

    Raises:
      ValueError: the model has no convolution, or does not take images of this shape.
    """
    kernel = first_kernel(model, variables, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    if kernel is None:
        raise ValueError(f"{type(model).__name__} does not begin with a convolution")
    filters = jnp.transpose(kernel, (3, 0, 1, 2)).astype(jnp.float32)
    return 0.5 + 0.5 * filters / jnp.maximum(jnp.abs(filters).max(), jnp.finfo(jnp.float32).tiny)


def feature_maps(
    model: Model, variables: Variables, images: Images, feature: str
) -> Float[Array, "batch height width channels"]:
    """The activations of a named feature.

    Raises:
      UnknownNameError: the model has no such feature.
      ValueError: the feature is a vector, not a map.
    """
    maps = _feature(model, _features(model, variables, images), feature)
    if maps.ndim != 4:
        raise ValueError(f"expected a feature of maps (batch, height, width, channels), {feature} has {maps.shape}")
    return maps


def response(model: Model, variables: Variables, images: Images, unit: Unit) -> Float[Array, "batch"]:
    """How strongly each image excites the unit.

    Raises:
      UnknownNameError: the model has no such feature.
      ValueError: the feature has no such channel.
    """
    return _response(model, _features(model, variables, images), unit)


def saliency(model: Model, variables: Variables, images: Images, unit: Unit) -> Images:
    """The gradient of the unit's response with respect to each pixel.

    The paper's picture is the largest magnitude over channels. Raises what `response` raises.
    """
    return _gradients(model, variables, images, [unit], {})[0]


def deconvnet(model: Model, variables: Variables, images: Images, unit: Unit) -> Images:
    """The unit's response projected back to pixels by a deconvolutional network.

    This is the gradient, but each ReLU lets pass back what is positive *there*, whether or not it was active.
    Activations other than ReLU and ReLU6 keep their derivative. Raises what `response` raises.
    """
    return deconvnets(model, variables, images, [unit])[0]


def deconvnets(
    model: Model, variables: Variables, images: Images, units: Sequence[Unit]
) -> Float[Array, "units batch height width channels"]:
    """What `deconvnet` gives of each unit, by one program, which compiles in the time of one."""
    return _gradients(model, variables, images, units, _DECONVNET)


def guided_gradients(model: Model, variables: Variables, images: Images, unit: Unit) -> Images:
    """The gradient by guided backpropagation: each ReLU that was active lets pass back what is positive.

    Activations other than ReLU and ReLU6 keep their derivative. Raises what `response` raises.
    """
    return _gradients(model, variables, images, [unit], _GUIDED)[0]


def has_relus(model: Model, variables: Variables, images: Images) -> bool:
    """Whether there is a ReLU or ReLU6: where there is none, the two above are the plain gradient."""
    found = []

    def note(x: Array) -> Array:
        found.append(x)
        return x

    apply = with_activations(lambda images: _features(model, variables, images), replacing_relus(lambda relu: note))
    jax.eval_shape(apply, images)
    return bool(found)


def grad_cam(
    model: Model, variables: Variables, images: Images, feature: str, label: int | Int[Array, ""] | Int[Array, "batch"]
) -> Float[Array, "batch height width"]:
    """Where a feature's maps speak for a class: max(0, sum of maps, each times the mean gradient of the logit).

    Args:
      model: a classifier.
      variables: its own.
      images: as it takes them.
      feature: the name of its maps to look at.
      label: a class for all images, or one for each.

    Raises:
      UnknownNameError: the model has no such feature.
      ValueError: the feature is a vector, or the logits do not depend on it (the last map of a vision transformer,
        whose classifier reads the class token alone); or there is no such class, or not one for each image.
    """
    shape, dtype = jnp.shape(label), jnp.asarray(label).dtype
    if shape not in ((), images.shape[:1]) or not jnp.issubdtype(dtype, jnp.integer):
        raise ValueError(
            f"expected the number of a class, or one for each of the {len(images)} images, got {dtype} of shape {shape}"
        )
    maps = feature_maps(model, variables, images, feature)
    rest = continued_from(lambda images: _features(model, variables, images), feature)

    def evidence(maps: Array) -> Array:
        logits = rest(maps, images).get("logits", jnp.zeros((len(maps), 0)))
        _check_channel(label, logits.shape[-1], "classes")
        return (logits[jnp.arange(len(logits)), jnp.asarray(label)] if shape else logits[:, label]).sum()

    weights = jax.grad(evidence)(maps).mean(axis=(1, 2), dtype=jnp.float32)
    return nn.relu(jnp.einsum("bhwc,bc->bhw", maps.astype(jnp.float32), weights))


def _features(model: Model, variables: Variables, images: Images) -> Mapping[str, Array]:
    return model.apply(variables, images, features=True)


def _response(model: Model, named: Mapping[str, Array], unit: Unit) -> Array:
    values = _feature(model, named, unit.feature)
    if jnp.ndim(unit.channel):
        raise ValueError(f"expected one channel of {unit.feature}, got an array of shape {jnp.shape(unit.channel)}")
    _check_channel(unit.channel, values.shape[-1], f"channels of {unit.feature}")
    channel = values[..., unit.channel]
    return unit.over(channel.reshape(len(channel), math.prod(channel.shape[1:])), axis=1)


def _feature(model: Model, named: Mapping[str, Array], feature: str) -> Array:
    if feature not in named:
        raise unknown(f"feature of {type(model).__name__}", feature, named)
    return named[feature]


def _check_channel(channel: int | Array, count: int, what: str) -> None:
    if isinstance(channel, jax.core.Tracer):
        return
    for number in np.ravel(channel):
        if not 0 <= number < count:
            raise ValueError(f"expected one of the {count} {what}, counted from 0, got {number}")


def _relu_with(relu: Activation, backward: Callable[[Array, Array], Array]) -> Activation:
    """The activation, whose gradient is `backward(input, gradient from above)`."""

    @jax.custom_vjp
    def changed(x: Array) -> Array:
        return relu(x)

    changed.defvjp(lambda x: (relu(x), x), lambda x, above: (backward(x, above),))
    return changed


def replacing_relus(relu: Callable[[Activation], Activation]) -> dict[Activation, Activation]:
    """`relu` in place of each ReLU; but the one in a hard sigmoid is part of a gate, and stays."""
    return {jax.nn.hard_sigmoid: jax.nn.hard_sigmoid, **{old: relu(old) for old in (nn.relu, nn.relu6)}}


_DECONVNET = replacing_relus(lambda relu: _relu_with(relu, lambda x, above: nn.relu(above)))
_GUIDED = replacing_relus(lambda relu: _relu_with(relu, lambda x, above: jax.vjp(relu, x)[1](nn.relu(above))[0]))


def _gradients(
    model: Model,
    variables: Variables,
    images: Images,
    units: Sequence[Unit],
    replacements: Mapping[Activation, Activation],
) -> Float[Array, "units batch height width channels"]:
    def totals(images: Images) -> Float[Array, "units"]:
        named = _features(model, variables, images)  # images do not touch each other at evaluation
        return jnp.stack([_response(model, named, unit).sum() for unit in units])

    values, backwards = jax.vjp(with_activations(totals, replacements), images)
    if len(units) == 1:
        return backwards(jnp.ones_like(values))[0][None]
    return jax.vmap(backwards)(jnp.eye(len(units), dtype=values.dtype))[0]
