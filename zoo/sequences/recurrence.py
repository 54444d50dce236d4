"""The loop over time of every cell, whose weight gradient is one matrix product of all steps.

Differentiated as it stands, a loop adds up the gradient of its weights step by step, a pass over the whole matrix each
time. Here the tangent of a step is split: what the weights' tangent gives at all steps is one product before the loop,
and the loop goes on with the states' tangents alone. Transposed, that is backpropagation through time (Werbos, 1990)
with one product for the weights after the loop, as cuDNN has it. Lecture rows L71, L73.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from zoo.nn.dense import product_along_kernel
from zoo.nn.geometry import is_zero

Carry = tuple[Float[Array, "batch hidden"], ...]
"""The state between two steps: h first; of an LSTM then c."""


class Cell(NamedTuple):
    """What distinguishes a recurrent layer: elementwise functions, for the products are the loop's."""

    gates: int
    """How many numbers of each projection belong to one hidden unit."""
    states: int
    """How many arrays the carry has."""
    own_bias: bool
    """Whether the last gate's bias beside the last h is not the one beside the inputs."""
    step: Callable[[Array, Array, Carry], tuple[Carry, PyTree[Array]]]
    """From what inputs and last h give, (batch, gates * hidden) each, and the carry: the next one, and what
    `coefficients` needs."""
    coefficients: Callable[[PyTree[Array], Carry, Carry], PyTree[Array]]
    """The derivatives of a step, from what it kept and the carries before and after it; of all steps at once."""
    join: Callable[[Array, Array], PyTree[Array]]
    """The tangents of both projections in as few arrays as the cell needs."""
    tangent: Callable[[PyTree[Array], PyTree[Array], Array, Carry], Carry]
    """The next carry's tangent from coefficients, joined tangents, the tangent of what the last h gives, and the
    carry's tangent. Linear in the last three."""


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def recur(
    cell: Cell,
    reverse: bool,
    unroll: int,
    projected: Float[Array, "time batch gates"],
    kernel: Float[Array, "hidden gates"],
    bias: Float[Array, " gates"] | None,
    carry: Carry,
    mask: Bool[Array, "time batch"] | None,
) -> tuple[Float[Array, "time batch hidden"], Carry]:
    """h after every step, and the last carry. Differentiable any number of times in both modes.

    States are of the carry's type, products of the kernel's.

    Args:
      cell: what is computed between the products.
      reverse: from the last step to the first.
      unroll: steps that are written out before the loop goes on.
      projected: what the inputs give at each step.
      kernel: what the last h is multiplied by.
      bias: what is added to that, where the cell tells it from the projection's.
      carry: before the first step.
      mask: which steps are real; the others keep the carry as it is.
    """

    def step(carry: Carry, given: tuple) -> tuple[Carry, Array]:
        x, real = given
        after, _ = cell.step(x, _from_hidden(carry[0], kernel, bias), carry)
        after = _held(real, after, carry)
        return after, after[0]

    last, states = lax.scan(step, carry, (projected, mask), reverse=reverse, unroll=unroll)
    return states, last


def _from_hidden(hidden: Array, kernel: Array, bias: Array | None) -> Array:
    """The product of a state with the kernel, in the state's type."""
    product = jnp.matmul(hidden.astype(kernel.dtype), kernel, preferred_element_type=hidden.dtype)
    return product if bias is None else product + bias.astype(hidden.dtype)


def _held(real: Bool[Array, " batch"] | None, after: Carry, before: Carry) -> Carry:
    """The state after a step where the step is real, else the one before."""
    if real is None:
        return after
    return tuple(jnp.where(real[:, None], new, old) for new, old in zip(after, before, strict=True))


@functools.partial(recur.defjvp, symbolic_zeros=True)
def _recur_tangent(cell: Cell, reverse: bool, unroll: int, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    projected, kernel, bias, carry, mask = primals
    d_projected, d_kernel, d_bias, d_carry, _ = tangents

    def step(carry: Carry, given: tuple) -> tuple[Carry, tuple]:
        x, real = given
        after, kept = cell.step(x, _from_hidden(carry[0], kernel, bias), carry)
        after = _held(real, after, carry)
        return after, (after, kept)

    last, (states, kept) = lax.scan(step, carry, (projected, mask), reverse=reverse, unroll=unroll)
    before = tuple(_shifted(first, each, reverse) for first, each in zip(carry, states, strict=True))

    wide = carry[0].dtype
    d_projected = _made(d_projected).astype(wide)
    from_weights = jnp.zeros_like(d_projected)
    if not is_zero(d_kernel):
        from_weights = from_weights + product_along_kernel(before[0].astype(kernel.dtype), d_kernel).astype(wide)
    if bias is not None and not is_zero(d_bias):
        from_weights = from_weights + d_bias.astype(wide)
    joined = cell.join(d_projected, from_weights)
    d_carry = tuple(map(_made, d_carry))
    known = kernel, mask, kept, before, states
    d_last, d_states = _along(cell, reverse, unroll, known, (joined, d_carry))
    return (states[0], last), (d_states, d_last)


def _along(cell: Cell, reverse: bool, unroll: int, known: tuple, tangents: tuple) -> tuple[Carry, Array]:
    """The tangents of the last carry and of h after every step: linear in the tangents."""

    @functools.partial(jax.checkpoint, prevent_cse=False)  # what is kept is what the steps kept, not the coefficients
    def along(known: tuple, tangents: tuple) -> tuple[Carry, Array]:
        kernel, mask, kept, before, after = known
        joined, d_carry = tangents

        def step(d_carry: Carry, given: tuple) -> tuple[Carry, Array]:
            coefficients, d_x, real = given
            d_after = cell.tangent(coefficients, d_x, _from_hidden(d_carry[0], kernel, None), d_carry)
            d_after = _held(real, d_after, d_carry)
            return d_after, d_after[0]

        coefficients = cell.coefficients(kept, before, after)
        return lax.scan(step, d_carry, (coefficients, joined, mask), reverse=reverse, unroll=unroll)

    return along(known, tangents)


def _shifted(first: Array, states: Array, reverse: bool) -> Array:
    """The state before every step, from that before the first one and those after every step."""
    parts = [states[1:], first[None]] if reverse else [first[None], states[:-1]]
    return jnp.concatenate(parts)


def _made(tangent: Any) -> Array:
    """A tangent as an array, be it zero."""
    return jnp.zeros(tangent.aval.shape, tangent.aval.dtype) if is_zero(tangent) else jnp.asarray(tangent)
