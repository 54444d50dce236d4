"""The LSTM of the slides: row vectors, no biases, a cell state c and outputs m. And what its gates do, step by step.

Hochreiter and Schmidhuber, 1997, Long Short-Term Memory; with the forget gate of Gers et al., 2000, Learning to Forget.
Lecture rows L75, L76, erratum E25.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from zoo.nn.initialisers import linear_uniform
from zoo.sequences.checks import check_steps


class SlideLSTMParams(NamedTuple):
    """The parameters by the slide's names, which all steps share; each matrix stands right of its row vector."""

    U_i: Float[Array, "inputs hidden"]
    U_f: Float[Array, "inputs hidden"]
    U_o: Float[Array, "inputs hidden"]
    U_g: Float[Array, "inputs hidden"]
    W_i: Float[Array, "hidden hidden"]
    W_f: Float[Array, "hidden hidden"]
    W_o: Float[Array, "hidden hidden"]
    W_g: Float[Array, "hidden hidden"]


class SlideLSTMCarry(NamedTuple):
    """What goes from one step to the next."""

    c: Float[Array, "*batch hidden"]
    """The cell state: the long memory, which no matrix multiplies."""
    m: Float[Array, "*batch hidden"]
    """The output, which other libraries call the hidden state h."""


class LSTMTrace(NamedTuple):
    """All that a step computes; of a sequence each has a time axis before the last one."""

    i: Float[Array, "*batch hidden"]
    """Input gate, of 0 to 1: how much of the candidate is written."""
    f: Float[Array, "*batch hidden"]
    """Forget gate, of 0 to 1: how much of the cell state stays."""
    o: Float[Array, "*batch hidden"]
    """Output gate, of 0 to 1: how much of the cell state is shown."""
    candidate: Float[Array, "*batch hidden"]
    """c̃, of -1 to 1: what could be written."""
    c: Float[Array, "*batch hidden"]
    """The cell state after the step."""
    m: Float[Array, "*batch hidden"]
    """The output."""


def slide_lstm_trace_step(
    params: SlideLSTMParams, carry: SlideLSTMCarry, x: Float[Array, "*batch inputs"]
) -> tuple[SlideLSTMCarry, LSTMTrace]:
    """One step in the slides' order, with everything that it computes on the way.

    Args:
      params: of the network.
      carry: c_{t-1} and m_{t-1}.
      x: the input x_t.

    >>> one = jnp.ones((1, 1))
    >>> params = SlideLSTMParams(*(number * one for number in (8, 8, 8, 1, 0, 0, 0, 0)))  # gates open where x is 1
    >>> carry, trace = slide_lstm_trace_step(params, SlideLSTMCarry(jnp.ones(1), jnp.zeros(1)), jnp.ones(1))
    >>> [f"{float(value[0]):.2f}" for value in (trace.candidate, carry.c, carry.m)]  # c is 1 + tanh(1)
    ['0.76', '1.76', '0.94']
    """
    # E25: no biases; where a library has them, a file's have to be zero.
    m = carry.m
    # 1: what to forget.
    f = jax.nn.sigmoid(x @ params.U_f + m @ params.W_f)
    # 2: what is new, and how much of it to write.
    i = jax.nn.sigmoid(x @ params.U_i + m @ params.W_i)
    candidate = jnp.tanh(x @ params.U_g + m @ params.W_g)
    # 3: the new cell state.
    c = carry.c * f + candidate * i
    # 4: how much of it to show.
    o = jax.nn.sigmoid(x @ params.U_o + m @ params.W_o)
    m = jnp.tanh(c) * o
    return SlideLSTMCarry(c, m), LSTMTrace(i, f, o, candidate, c, m)


def slide_lstm_step(
    params: SlideLSTMParams, carry: SlideLSTMCarry, x: Float[Array, "*batch inputs"]
) -> tuple[SlideLSTMCarry, Float[Array, "*batch hidden"]]:
    """One step: c_t = c_{t-1} ⊙ f + c̃_t ⊙ i, and the output m_t = tanh(c_t) ⊙ o.

    i, f and o are σ(x_t U + m_{t-1} W), each with matrices of its own, and c̃_t = tanh(x_t U_g + m_{t-1} W_g).
    """
    carry, _ = slide_lstm_trace_step(params, carry, x)
    return carry, carry.m


def slide_lstm(
    params: SlideLSTMParams, carry: SlideLSTMCarry, inputs: Float[Array, "*batch time inputs"]
) -> tuple[SlideLSTMCarry, Float[Array, "*batch time hidden"]]:
    """All steps of a sequence, one after the other: the last carry, and the output of every step.

    Raises:
      ValueError: there is no step, or the inputs are no sequence.
      TypeError: the inputs are integers.
    """
    check_steps(inputs, "slide_lstm")
    last, outputs = jax.lax.scan(lambda carry, x: slide_lstm_step(params, carry, x), carry, jnp.moveaxis(inputs, -2, 0))
    return last, jnp.moveaxis(outputs, 0, -2)


def slide_lstm_trace(
    params: SlideLSTMParams, carry: SlideLSTMCarry, inputs: Float[Array, "*batch time inputs"]
) -> LSTMTrace:
    """Gates, candidate, cell state and output of every step of a sequence: (*batch, time, hidden) each.

    Raises:
      ValueError: there is no step, or the inputs are no sequence.
      TypeError: the inputs are integers.

    >>> params = init_slide_lstm(jax.random.key(0), 3, 5)
    >>> slide_lstm_trace(params, zero_carry(params, ()), jnp.ones((7, 3))).f.shape
    (7, 5)
    """
    check_steps(inputs, "slide_lstm_trace")
    _, trace = jax.lax.scan(
        lambda carry, x: slide_lstm_trace_step(params, carry, x), carry, jnp.moveaxis(inputs, -2, 0)
    )
    return LSTMTrace(*(jnp.moveaxis(values, 0, -2) for values in trace))


def zero_carry(params: SlideLSTMParams, batch: tuple[int, ...]) -> SlideLSTMCarry:
    """The carry before the first step, (*batch, hidden) zeros each, in the parameters' type."""
    zeros = jnp.zeros((*batch, params.W_i.shape[0]), params.W_i.dtype)
    return SlideLSTMCarry(zeros, zeros)


def init_slide_lstm(key: PRNGKeyArray, inputs: int, hidden: int) -> SlideLSTMParams:
    """Random parameters: matrices uniform in ±1/sqrt(rows), as torch has linear layers.

    Args:
      key: a typed random key.
      inputs: numbers of a step.
      hidden: of cell state and output.
    """
    keys = jax.random.split(key, 8)
    shapes = 4 * [(inputs, hidden)] + 4 * [(hidden, hidden)]
    return SlideLSTMParams(*(linear_uniform(key, shape) for key, shape in zip(keys, shapes, strict=True)))


class SlideLSTM(nn.Module):
    """`slide_lstm` as a module. `SlideLSTMParams(**variables["params"])` are its parameters."""

    hidden_size: int
    param_dtype: Any = jnp.float32
    """Storage type of the parameters; a float64 one computes in float64."""

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "*batch time inputs"], initial: SlideLSTMCarry | None = None
    ) -> tuple[SlideLSTMCarry, Float[Array, "*batch time hidden"]]:
        """The last carry, and the output of every step.

        Args:
          inputs: (time, inputs) or batches of that.
          initial: the carry before the first step; zero by default.

        Raises:
          ValueError: there is no step, or the inputs are no sequence.
          TypeError: the inputs are integers.
        """
        check_steps(inputs, "SlideLSTM")
        hidden = self.hidden_size
        rows = {"U": inputs.shape[-1], "W": hidden}
        params = SlideLSTMParams(
            *(
                self.param(name, linear_uniform, (rows[name[0]], hidden), self.param_dtype)
                for name in SlideLSTMParams._fields
            )
        )
        if initial is None:
            kind = jnp.result_type(inputs, self.param_dtype)
            initial = SlideLSTMCarry(*(jnp.zeros((*inputs.shape[:-2], hidden), kind) for _ in range(2)))
        return slide_lstm(params, initial, inputs)
