"""The loop over time of every cell, whose weight gradient is one matrix product of all steps.

Differentiated as it stands, a loop adds up the gradient of its weights step by step, a pass over the whole matrix each
time. Here the tangent of a step is split: what the weights' tangent gives at all steps is one product before the loop,
and the loop goes on with the states' tangents alone. Transposed, that is backpropagation through time (Werbos, 1990)
with one product for the weights after the loop, as cuDNN has it. Lecture rows L71, L73.
"""

import functools
from collections.abc import Callable, Sequence
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
    kernel: Float[Array, "hidden gates"],
    biases: tuple[Float[Array, " hidden"] | None, ...],
    carry: Carry,
    mask: Bool[Array, "time batch"] | None,
) -> tuple[Float[Array, "time batch hidden"], Carry]:
    """h after every step, and the last carry. Differentiable any number of times in both modes.

    States are of the carry's type, products of the kernel's.

    Args:
      cell: what is computed between the products.
      reverse: from the last step to the first.
      unroll: steps that are written out before the loop goes on.
      projected: what the inputs give at each step, (time, batch, hidden) of each gate.
      kernel: what the last h is multiplied by, gate by gate along its last axis.
      biases: what is added to that, or None, of each gate.
      carry: before the first step.
      mask: which steps are real; the others keep the carry as it is.
    """

    def step(carry: Carry, given: tuple) -> tuple[Carry, Array]:
        x, real = given
        after, _ = cell.step(x, _from_hidden(carry[0], kernel, biases), carry)
        after = _held(real, after, carry)
        return after, after[0]

    last, states = lax.scan(step, carry, (projected, mask), reverse=reverse, unroll=unroll)
    return states, last


def _from_hidden(hidden: Array, kernel: Array, biases: Sequence[Array | None]) -> Gates:
    """What the last h gives, of each gate."""
    # A product of all gates is faster on two cores than one for each. Its parts are written out, for on CPU XLA
    # vectorises no function of a slice.
    parts = lax.optimization_barrier(jnp.split(_product(hidden, kernel), len(biases), axis=-1))
    return tuple(
        part if bias is None else part + bias.astype(part.dtype) for part, bias in zip(parts, biases, strict=True)
    )


def _product(hidden: Array, kernel: Array) -> Array:
    """In the state's type."""
    return jnp.matmul(hidden.astype(kernel.dtype), kernel, preferred_element_type=hidden.dtype)


def _turned_product(hidden: Array, turned: Array) -> Array:
    """The same, of a kernel whose axes are exchanged."""
    over_hidden = (((1,), (1,)), ((), ()))
    return lax.dot_general(hidden.astype(turned.dtype), turned, over_hidden, preferred_element_type=hidden.dtype)


def _held(real: Bool[Array, " batch"] | None, after: Carry, before: Carry) -> Carry:
    """The state after a step where the step is real, else the one before."""
    if real is None:
        return after
    return tuple(jnp.where(real[:, None], new, old) for new, old in zip(after, before, strict=True))


@functools.partial(recur.defjvp, symbolic_zeros=True)
def _tangent(cell: Cell, reverse: bool, unroll: int, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    projected, kernel, biases, carry, mask = primals
    d_projected, d_kernel, d_biases, d_carry, _ = tangents

    def step(carry: Carry, given: tuple) -> tuple[Carry, tuple]:
        x, real = given
        after, kept = cell.step(x, _from_hidden(carry[0], kernel, biases), carry)
        after = _held(real, after, carry)
        return after, (after, kept)

    last, (states, kept) = lax.scan(step, carry, (projected, mask), reverse=reverse, unroll=unroll)
    before = tuple(_shifted(first, each, reverse) for first, each in zip(carry, states, strict=True))

    d_projected = tuple(_made(each).astype(carry[0].dtype) for each in d_projected)
    from_weights = tuple(map(jnp.zeros_like, d_projected))
    if not is_zero(d_kernel):
        product = product_along_kernel(before[0].astype(kernel.dtype), d_kernel).astype(carry[0].dtype)
        from_weights = tuple(jnp.split(product, cell.gates, axis=-1))
    from_weights = tuple(
        total if d_bias is None or is_zero(d_bias) else total + d_bias.astype(total.dtype)
        for total, d_bias in zip(from_weights, d_biases, strict=True)
    )
    joined = cell.join(d_projected, from_weights)
    known = kernel, mask, kept, before, states
    d_last, d_states = _along(cell, reverse, unroll, known, joined, tuple(map(_made, d_carry)))
    return (states[0], last), (d_states, d_last)


def _along(
    cell: Cell, reverse: bool, unroll: int, known: tuple, joined: PyTree[Array], d_carry: Carry
) -> tuple[Carry, Array]:
    """The tangents of the last carry and of h after every step: linear in the tangents."""

    @functools.partial(jax.checkpoint, prevent_cse=False)  # what is kept is what the steps kept, not the coefficients
    def along(known: tuple, joined: PyTree[Array], d_carry: Carry) -> tuple[Carry, Array]:
        kernel, mask, kept, before, after = known

        def step(d_carry: Carry, given: tuple) -> tuple[Carry, Array]:
            coefficients, d_in, real = given
            # Back in time this is one product of all gates with the kernel turned around, which is done once.
            d_u = tuple(jnp.split(_turned_product(d_carry[0], turned), cell.gates, axis=-1))
            d_after = _held(real, cell.tangent(coefficients, d_in, d_u, d_carry), d_carry)
            return d_after, d_after[0]

        coefficients, turned = cell.coefficients(kept, before, after), lax.optimization_barrier(kernel.T)
        return lax.scan(step, d_carry, (coefficients, joined, mask), reverse=reverse, unroll=unroll)

    return along(known, joined, d_carry)


def _shifted(first: Array, states: Array, reverse: bool) -> Array:
    """The state before every step, from that before the first one and those after every step."""
    parts = [states[1:], first[None]] if reverse else [first[None], states[:-1]]
    return jnp.concatenate(parts)


def _made(tangent: Any) -> Array:
    """A tangent as an array, be it zero."""
    return jnp.zeros(tangent.aval.shape, tangent.aval.dtype) if is_zero(tangent) else jnp.asarray(tangent)
