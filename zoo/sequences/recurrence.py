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
Gates = tuple[Float[Array, "*time batch hidden"], ...]
"""An array for each gate of a cell."""


class Cell(NamedTuple):
    """What distinguishes a recurrent layer: elementwise functions, for the products are the loop's."""

    gates: int
    """How many products each of inputs and last h it takes."""
    states: int
    """How many arrays the carry has."""
    step: Callable[[Gates, Gates, Carry], tuple[Carry, PyTree[Array]]]
    """From what inputs and last h give, and the carry: the next one, and what `coefficients` needs."""
    coefficients: Callable[[PyTree[Array], Carry, Carry], PyTree[Array]]
    """The derivatives of a step, from what it kept and the carries before and after it; of all steps at once."""
    join: Callable[[Gates, Gates], PyTree[Array]]
    """The tangents of both products in as few arrays as the cell needs."""
    tangent: Callable[[PyTree[Array], PyTree[Array], Gates, Carry], Carry]
    """The next carry's tangent from coefficients, joined tangents, the tangent of what the last h gives, and the
    carry's tangent. Linear in the last three."""


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def recur(
    cell: Cell,
    reverse: bool,
    unroll: int,
    projected: Gates,
    kernels: tuple[Float[Array, "hidden hidden"], ...],
    biases: tuple[Float[Array, " hidden"] | None, ...],
    carry: Carry,
    mask: Bool[Array, "time batch"] | None,
) -> tuple[Float[Array, "time batch hidden"], Carry]:
    """h after every step, and the last carry. Differentiable any number of times in both modes.

    States are of the carry's type, products of the kernels'.

    Args:
      cell: what is computed between the products.
      reverse: from the last step to the first.
      unroll: steps that are written out before the loop goes on.
      projected: what the inputs give at each step, (time, batch, hidden) of each gate.
      kernels: what the last h is multiplied by, of each gate.
      biases: what is added to that, or None, of each gate.
      carry: before the first step.
      mask: which steps are real; the others keep the carry as it is.
    """

    def step(carry: Carry, given: tuple) -> tuple[Carry, Array]:
        x, real = given
        after, _ = cell.step(x, _from_hidden(carry[0], kernels, biases), carry)
        after = _held(real, after, carry)
        return after, after[0]

    last, states = lax.scan(step, carry, (projected, mask), reverse=reverse, unroll=unroll)
    return states, last


def _from_hidden(hidden: Array, kernels: tuple[Array, ...], biases: tuple[Array | None, ...]) -> Gates:
    """The products of a state with the kernels, in the state's type."""

    def one(kernel: Array, bias: Array | None) -> Array:
        product = jnp.matmul(hidden.astype(kernel.dtype), kernel, preferred_element_type=hidden.dtype)
        return product if bias is None else product + bias.astype(hidden.dtype)

    return tuple(map(one, kernels, biases))


def _held(real: Bool[Array, " batch"] | None, after: Carry, before: Carry) -> Carry:
    """The state after a step where the step is real, else the one before."""
    if real is None:
        return after
    return tuple(jnp.where(real[:, None], new, old) for new, old in zip(after, before, strict=True))


@functools.partial(recur.defjvp, symbolic_zeros=True)
def _tangent(cell: Cell, reverse: bool, unroll: int, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    projected, kernels, biases, carry, mask = primals
    d_projected, d_kernels, d_biases, d_carry, _ = tangents

    def step(carry: Carry, given: tuple) -> tuple[Carry, tuple]:
        x, real = given
        after, kept = cell.step(x, _from_hidden(carry[0], kernels, biases), carry)
        after = _held(real, after, carry)
        return after, (after, kept)

    last, (states, kept) = lax.scan(step, carry, (projected, mask), reverse=reverse, unroll=unroll)
    before = tuple(_shifted(first, each, reverse) for first, each in zip(carry, states, strict=True))

    wide = carry[0].dtype
    d_projected = tuple(_made(each).astype(wide) for each in d_projected)
    from_weights = tuple(map(functools.partial(_of_weights, before[0]), d_projected, kernels, d_kernels, d_biases))
    known = kernels, mask, kept, before, states
    joined = cell.join(d_projected, from_weights)
    d_last, d_states = _along(cell, reverse, unroll, known, joined, tuple(map(_made, d_carry)))
    return (states[0], last), (d_states, d_last)


def _of_weights(before: Array, like: Array, kernel: Array, d_kernel: Any, d_bias: Any) -> Array:
    """What the tangents of one gate's weights give at all steps, given h before each."""
    total = jnp.zeros_like(like)
    if not is_zero(d_kernel):
        total = total + product_along_kernel(before.astype(kernel.dtype), d_kernel).astype(like.dtype)
    if d_bias is not None and not is_zero(d_bias):
        total = total + d_bias.astype(like.dtype)
    return total


def _along(
    cell: Cell, reverse: bool, unroll: int, known: tuple, joined: PyTree[Array], d_carry: Carry
) -> tuple[Carry, Array]:
    """The tangents of the last carry and of h after every step: linear in the tangents."""

    @functools.partial(jax.checkpoint, prevent_cse=False)  # what is kept is what the steps kept, not the coefficients
    def along(known: tuple, joined: PyTree[Array], d_carry: Carry) -> tuple[Carry, Array]:
        kernels, mask, kept, before, after = known

        def step(d_carry: Carry, given: tuple) -> tuple[Carry, Array]:
            coefficients, d_in, real = given
            d_u = _from_hidden(d_carry[0], kernels, (None,) * len(kernels))
            d_after = _held(real, cell.tangent(coefficients, d_in, d_u, d_carry), d_carry)
            return d_after, d_after[0]

        coefficients = cell.coefficients(kept, before, after)
        return lax.scan(step, d_carry, (coefficients, joined, mask), reverse=reverse, unroll=unroll)

    return along(known, joined, d_carry)


def _shifted(first: Array, states: Array, reverse: bool) -> Array:
    """The state before every step, from that before the first one and those after every step."""
    parts = [states[1:], first[None]] if reverse else [first[None], states[:-1]]
    return jnp.concatenate(parts)


def _made(tangent: Any) -> Array:
    """A tangent as an array, be it zero."""
    return jnp.zeros(tangent.aval.shape, tangent.aval.dtype) if is_zero(tangent) else jnp.asarray(tangent)
