"""A dense layer over the channels of tokens or pixels, whose weight gradient is one matrix product on CPU.

Left to itself XLA sums that gradient over every axis but the last, for which it writes a copy of its operand
transposed; flattened first, all tokens are the rows of one product. GPU and TPU keep `lax.dot_general` and its
gradients. Lecture rows L2 and L48.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from zoo.nn.forms import transposed
from zoo.nn.geometry import is_empty, is_zero, on_explicit_mesh
from zoo.nn.products import narrow_first


def last_axis_product(inputs: Array, kernel: Array, dimension_numbers: Any, precision: Any = None) -> Array:
    """What `flax.linen.Dense` takes as its `dot_general`: the last axis of the inputs times a kernel's first.

    Differentiable any number of times in both modes; under a mesh the first axis may be sharded.

    Args:
      inputs: (*batch, channels).
      kernel: (channels, features).
      dimension_numbers: as of `lax.dot_general`; others than these are computed by it.
      precision: the same; None is needed for the faster gradient.

    >>> over_last = (((2,), (0,)), ((), ()))
    >>> last_axis_product(jnp.ones((2, 5, 3)), jnp.ones((3, 4)), over_last).shape
    (2, 5, 4)
    """
    of_tokens = inputs.ndim > 2 and kernel.ndim == 2 and dimension_numbers == (((inputs.ndim - 1,), (0,)), ((), ()))
    plain = precision is not None or is_empty(inputs) or is_empty(kernel) or on_explicit_mesh(inputs, kernel)
    if plain or not of_tokens:
        return lax.dot_general(inputs, kernel, dimension_numbers, precision=precision)
    return _product(inputs, kernel)


class Dense(nn.Dense):
    """`flax.linen.Dense` with the gradient of `last_axis_product`. Parameters `kernel` and `bias`."""

    dot_general: Any = last_axis_product


def _plain(inputs: Float[Array, "*batch channels"], kernel: Float[Array, "channels features"]) -> Array:
    return lax.dot_general(inputs, kernel, (((inputs.ndim - 1,), (0,)), ((), ())))


_product = jax.custom_jvp(_plain)


def _tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    """A rule for tangents, not for cotangents: it keeps every order and both modes of differentiation."""
    (inputs, kernel), (d_inputs, d_kernel) = primals, tangents
    value, terms = _product(inputs, kernel), []
    if not is_zero(d_inputs):
        terms.append(_product(d_inputs, kernel))
    if not is_zero(d_kernel):
        terms.append(lax.platform_dependent(inputs, d_kernel, cpu=_along_kernel, default=_plain))
    return value, sum(terms[1:], terms[0]) if terms else jnp.zeros_like(value)


_product.defjvp(_tangent, symbolic_zeros=True)


def product_along_kernel(inputs: Float[Array, "*batch channels"], kernel: Float[Array, "channels features"]) -> Array:
    """The product of `last_axis_product` in a tangent that is linear in the kernel, for derivative rules.

    What such a rule computes is transposed as it stands, with no rule of its own.

    >>> product_along_kernel(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
    (2, 5, 4)
    """
    if is_empty(inputs) or is_empty(kernel) or on_explicit_mesh(inputs, kernel):
        return _plain(inputs, kernel)
    return lax.platform_dependent(inputs, kernel, cpu=_along_kernel, default=_plain)


def _along_kernel(inputs: Array, kernel: Array) -> Array:
    """The same product as a linear function of the kernel, whose transpose is `_weight_gradient`."""
    return transposed(_weight_gradient, jax.eval_shape(_plain, inputs, kernel), inputs, kernel)


def _weight_gradient(inputs: Array, slopes: Array) -> Array:
    return narrow_first(*(array.reshape(-1, array.shape[-1]) for array in (inputs, slopes)))
