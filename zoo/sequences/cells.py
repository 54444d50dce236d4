"""The cells of RNN, LSTM and GRU between their products: a step, and its derivatives.

Elman, 1990, Finding Structure in Time; Hochreiter and Schmidhuber, 1997, Long Short-Term Memory; Cho et al., 2014,
Learning Phrase Representations using RNN Encoder-Decoder, in the form of torch and cuDNN. Lecture rows L71, L75.

x is what the inputs give, u what the last h gives: (batch, gates * hidden), gate by gate.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.sequences.recurrence import Carry, Cell

Gates = Float[Array, "*time batch gates"]


def _simple(activation: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Cell:
    """h = activation(x + u), whose slope is a function of its value."""

    def step(x: Gates, u: Gates, carry: Carry) -> tuple[Carry, tuple[()]]:
        return (activation(x + u),), ()

    def coefficients(kept: tuple[()], before: Carry, after: Carry) -> Array:
        return slope(after[0])

    def tangent(slopes: Array, d_in: Array, d_u: Gates, d_carry: Carry) -> Carry:
        return (slopes * (d_in + d_u),)

    return Cell(1, 1, False, step, coefficients, jnp.add, tangent)


TANH = _simple(jnp.tanh, lambda value: 1 - value * value)
RELU = _simple(jax.nn.relu, lambda value: (value > 0).astype(value.dtype))


def _lstm_step(x: Gates, u: Gates, carry: Carry) -> tuple[Carry, Array]:
    """c = f c + i g and h = o tanh(c); the gates are in the order i, f, o, g."""
    # All at once, σ(z) = (tanh(z / 2) + 1) / 2: XLA vectorises no function of a slice on CPU.
    half = jnp.repeat(jnp.array([0.5, 0.5, 0.5, 1.0], x.dtype), carry[0].shape[-1])
    gates = half * jnp.tanh(half * (x + u)) + (1 - half)
    i, f, o, g = jnp.split(gates, 4, axis=-1)
    c = f * carry[1] + i * g
    return (o * jnp.tanh(c), c), gates


def _lstm_coefficients(gates: Array, before: Carry, after: Carry) -> tuple[Array, ...]:
    i, f, o, g = jnp.split(gates, 4, axis=-1)
    shown = jnp.tanh(after[1])
    return (
        g * i * (1 - i),
        before[1] * f * (1 - f),
        shown * o * (1 - o),
        i * (1 - g * g),
        f,
        o * (1 - shown * shown),
    )


def _lstm_tangent(coefficients: tuple[Array, ...], d_in: Gates, d_u: Gates, d_carry: Carry) -> Carry:
    of_i, of_f, of_o, of_g, of_before, of_after = coefficients
    d_i, d_f, d_o, d_g = jnp.split(d_in + d_u, 4, axis=-1)
    d_c = of_before * d_carry[1] + of_i * d_i + of_f * d_f + of_g * d_g
    return of_o * d_o + of_after * d_c, d_c


LSTM = Cell(4, 2, False, _lstm_step, _lstm_coefficients, jnp.add, _lstm_tangent)


def _gru_step(x: Gates, u: Gates, carry: Carry) -> tuple[Carry, tuple[Array, ...]]:
    """h = (1 - z) n + z h with n = tanh(x + r u); the gates are in the order r, z, n."""
    (x_r, x_z, x_n), (u_r, u_z, u_n) = jnp.split(x, 3, axis=-1), jnp.split(u, 3, axis=-1)
    r, z = jax.nn.sigmoid(x_r + u_r), jax.nn.sigmoid(x_z + u_z)
    n = jnp.tanh(x_n + r * u_n)
    return ((1 - z) * n + z * carry[0],), (r, z, n, u_n)


def _gru_coefficients(kept: tuple[Array, ...], before: Carry, after: Carry) -> tuple[Array, ...]:
    r, z, n, u_n = kept
    of_n = (1 - z) * (1 - n * n)
    return of_n * u_n * r * (1 - r), (before[0] - n) * z * (1 - z), of_n, r, z


def _gru_join(d_x: Gates, d_u: Gates) -> tuple[Array, Array]:
    """Of r and z the sums; of n, where u counts r times, both."""
    hidden = d_x.shape[-1] // 3
    return d_x.at[..., : 2 * hidden].add(d_u[..., : 2 * hidden]), d_u[..., 2 * hidden :]


def _gru_tangent(
    coefficients: tuple[Array, ...], d_in: tuple[Array, Array], d_u: Gates, d_carry: Carry
) -> Carry:
    of_r, of_z, of_n, r, z = coefficients
    (d_r, d_z, d_n), (u_r, u_z, u_n) = jnp.split(d_in[0], 3, axis=-1), jnp.split(d_u, 3, axis=-1)
    return (of_r * (d_r + u_r) + of_z * (d_z + u_z) + of_n * (d_n + r * (d_in[1] + u_n)) + z * d_carry[0],)


GRU = Cell(3, 1, True, _gru_step, _gru_coefficients, _gru_join, _gru_tangent)

CELLS = {"tanh": TANH, "relu": RELU, "lstm": LSTM, "gru": GRU}
"""Every cell by its name."""
