"""The cells of RNN, LSTM and GRU between their products: a step, and its derivatives.

Elman, 1990, Finding Structure in Time; Hochreiter and Schmidhuber, 1997, Long Short-Term Memory; Cho et al., 2014,
Learning Phrase Representations using RNN Encoder-Decoder, in the form of torch and cuDNN. Lecture rows L71, L75.

x is what the inputs give, u what the last h gives; an array for each gate, (batch, hidden). In arrays of their own, for
on CPU XLA vectorises no function of a slice: in one array a step of a GRU takes twice as long.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from zoo.sequences.recurrence import Carry, Cell, Gates


def _sums(first: Gates, second: Gates) -> Gates:
    """Gate by gate."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _simple(activation: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Cell:
    """h = activation(x + u), whose slope is a function of its value."""

    def step(x: Gates, u: Gates, carry: Carry) -> tuple[Carry, tuple[()]]:
        return (activation(x[0] + u[0]),), ()

    def coefficients(kept: tuple[()], before: Carry, after: Carry) -> Array:
        return slope(after[0])

    def tangent(slopes: Array, d_in: Gates, d_u: Gates, d_carry: Carry) -> Carry:
        return (slopes * (d_in[0] + d_u[0]),)

    return Cell(1, 1, step, coefficients, _sums, tangent)


TANH = _simple(jnp.tanh, lambda value: 1 - value * value)
RELU = _simple(jax.nn.relu, lambda value: (value > 0).astype(value.dtype))


def _lstm_gates(sums: Gates) -> Gates:
    """In the order i, f, o, g."""
    i, f, o, g = sums
    return jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o), jnp.tanh(g)


def _lstm_step(x: Gates, u: Gates, carry: Carry) -> tuple[Carry, Gates]:
    """c = f c + i g and h = o tanh(c). Kept are sums, not gates, which XLA would compute once more to keep them."""
    sums = _sums(x, u)
    i, f, o, g = _lstm_gates(sums)
    c = f * carry[1] + i * g
    return (o * jnp.tanh(c), c), sums


def _lstm_coefficients(kept: Gates, before: Carry, after: Carry) -> tuple[Array, ...]:
    i, f, o, g = _lstm_gates(kept)
    shown = jnp.tanh(after[1])
    of_i, of_f, of_o, of_g = g * i * (1 - i), before[1] * f * (1 - f), shown * o * (1 - o), i * (1 - g * g)
    return of_i, of_f, of_o, of_g, f, o * (1 - shown * shown)


def _lstm_tangent(coefficients: tuple[Array, ...], d_in: Gates, d_u: Gates, d_carry: Carry) -> Carry:
    of_i, of_f, of_o, of_g, of_before, of_after = coefficients
    d_i, d_f, d_o, d_g = _sums(d_in, d_u)
    d_c = of_before * d_carry[1] + of_i * d_i + of_f * d_f + of_g * d_g
    return of_o * d_o + of_after * d_c, d_c


LSTM = Cell(4, 2, _lstm_step, _lstm_coefficients, _sums, _lstm_tangent)


def _gru_step(x: Gates, u: Gates, carry: Carry) -> tuple[Carry, Gates]:
    """h = (1 - z) n + z h with n = tanh(x + r u); the gates are in the order r, z, n."""
    kept = x[0] + u[0], x[1] + u[1], x[2], u[2]
    _, z, n, _ = _gru_gates(kept)
    return ((1 - z) * n + z * carry[0],), kept


def _gru_gates(kept: Gates) -> Gates:
    """r, z and n, and u of the last."""
    r, z, x, u = kept
    r, z = jax.nn.sigmoid(r), jax.nn.sigmoid(z)
    return r, z, jnp.tanh(x + r * u), u


def _gru_coefficients(kept: Gates, before: Carry, after: Carry) -> tuple[Array, ...]:
    r, z, n, u = _gru_gates(kept)
    of_n = (1 - z) * (1 - n * n)
    return of_n * u * r * (1 - r), (before[0] - n) * z * (1 - z), of_n, r, z


def _gru_join(d_x: Gates, d_u: Gates) -> tuple[Array, ...]:
    """Of r and z the sums; of n, where u counts r times, both."""
    return d_x[0] + d_u[0], d_x[1] + d_u[1], d_x[2], d_u[2]


def _gru_tangent(coefficients: tuple[Array, ...], d_in: tuple[Array, ...], d_u: Gates, d_carry: Carry) -> Carry:
    of_r, of_z, of_n, r, z = coefficients
    d_r, d_z, d_n = d_in[0] + d_u[0], d_in[1] + d_u[1], d_in[2] + r * (d_in[3] + d_u[2])
    return (of_r * d_r + of_z * d_z + of_n * d_n + z * d_carry[0],)


GRU = Cell(3, 1, _gru_step, _gru_coefficients, _gru_join, _gru_tangent)

CELLS = {"tanh": TANH, "relu": RELU, "lstm": LSTM, "gru": GRU}
"""Every cell by its name."""
