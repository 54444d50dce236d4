"""A convolution in a form of its own on CPU, with derivatives of every order and in both modes.

A convolution is linear in its images and in its kernel. A form is its sum arranged in another way, forward and for
either gradient; this file makes a differentiable function of the three. GPU and TPU keep XLA's own convolution, with
XLA's own gradients: the platform is decided at lowering.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from zoo.nn.geometry import Geometry, is_zero, plain
from zoo.nn.window import bound


class Form(NamedTuple):
    """How a convolution is computed on CPU, each part from geometry, images and kernel."""

    forward: Callable[[Geometry, Array, Array], Array] = plain
    along_images: Callable[[Geometry, Array, Array], Array] | None = None
    """The same sum as a linear function of the images, whose transpose is the images' gradient; None: `forward`."""
    along_kernel: Callable[[Geometry, Array, Array], Array] | None = None
    """The same sum as a linear function of the kernel, whose transpose is the kernel's gradient; None: `forward`."""


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def in_form(
    form: Form,
    geometry: Geometry,
    images: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels_per_group features"],
) -> Float[Array, "batch *places features"]:
    """`zoo.nn.geometry.plain`, on CPU in this form."""
    return _on_cpu(form.forward, geometry, images, kernel)


@functools.partial(in_form.defjvp, symbolic_zeros=True)
def _tangent(form: Form, geometry: Geometry, primals: Any, tangents: Any) -> tuple[Array, Array]:
    """A rule for tangents, not for cotangents: it keeps every order and both modes of differentiation."""
    (images, kernel), (d_images, d_kernel) = primals, tangents
    terms = []
    if not is_zero(d_images):
        terms.append(_on_cpu(form.along_images or form.forward, geometry, d_images, kernel))
    if not is_zero(d_kernel):
        terms.append(_on_cpu(form.along_kernel or form.forward, geometry, images, d_kernel))
    value = in_form(form, geometry, images, kernel)
    return value, sum(terms[1:], terms[0]) if terms else jnp.zeros_like(value)


def _on_cpu(function: Callable, geometry: Geometry, images: Array, kernel: Array) -> Array:
    if function is plain:
        return plain(geometry, images, kernel)
    default = bound(plain, geometry)
    return lax.platform_dependent(images, kernel, cpu=bound(_shared, function, geometry), default=default)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _shared(function: Callable, geometry: Geometry, images: Array, kernel: Array) -> Array:
    """Layers that are alike share one function of the program, which is traced and lowered once."""
    return function(geometry, images, kernel)


def transpose_of_input_gradient(
    gradient: Callable[[Geometry, tuple[int, ...], Array, Array], Array],
) -> Callable[[Geometry, Array, Array], Array]:
    """The `along_images` of a form whose images' gradient is a function of geometry, their shape, kernel and slopes.

    Reverse mode transposes it again, and so runs that gradient.
    """

    def along_images(geometry: Geometry, images: Array, kernel: Array) -> Array:
        out = jax.eval_shape(bound(plain, geometry), images, kernel)
        return transposed(bound(gradient, geometry, images.shape), out, kernel, images)

    return along_images


def transpose_of_weight_gradient(
    gradient: Callable[[Geometry, tuple[int, ...], Array, Array], Array],
) -> Callable[[Geometry, Array, Array], Array]:
    """The `along_kernel` of a form whose kernel's gradient is a function of geometry, its shape, images and slopes."""

    def along_kernel(geometry: Geometry, images: Array, kernel: Array) -> Array:
        out = jax.eval_shape(bound(plain, geometry), images, kernel)
        return transposed(bound(gradient, geometry, kernel.shape), out, images, kernel)

    return along_kernel


def transposed(
    gradient: Callable[[Array, Array], Array], out: jax.ShapeDtypeStruct, other: Array, tangent: Array
) -> Array:
    """The transpose of `gradient(other, out)`, which is linear in `out`, at `tangent`."""

    @functools.partial(jax.checkpoint, prevent_cse=False)  # the forward pass keeps `other` and nothing made of it
    def transpose(other: Array, tangent: Array) -> Array:
        (result,) = jax.linear_transpose(functools.partial(gradient, other), out)(_varying(tangent, other))
        return result

    return transpose(other, tangent)


def _varying(array: Array, other: Array) -> Array:
    """The array as it is; under `jax.shard_map` of a type that varies over the devices where `other` does.

    Multiplication would see to that by itself, `jax.linear_transpose` refuses its argument.
    """
    never = (other[(0,) * other.ndim] > 0) & False
    return jnp.where(never, jnp.zeros_like(array), array)
