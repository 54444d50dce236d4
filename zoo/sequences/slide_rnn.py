"""The recurrent network of the slides: U reads the inputs, W goes on from the memory, V gives the outputs.

Elman, 1990, Finding Structure in Time. Lecture rows L71, L74.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from zoo.nn.initialisers import linear_uniform
from zoo.sequences.checks import check_steps


class SlideRNNParams(NamedTuple):
    """The parameters by the slide's names, which all steps share; each matrix stands left of its column vector."""

    U: Float[Array, "hidden inputs"]
    W: Float[Array, "hidden hidden"]
    V: Float[Array, "outputs hidden"]
    b: Float[Array, " hidden"]


def slide_rnn_step(
    params: SlideRNNParams, carry: Float[Array, "*batch hidden"], x: Float[Array, "*batch inputs"]
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch outputs"]]:
    """One step: c_t = W tanh(c_{t-1}) + U x_t + b, and y_t = V tanh(c_t).

    The memory is kept before tanh is taken of it. The slide has no formula for the output: here V reads what W reads,
    so that tanh(c_t) is the hidden state of Elman's network, and of `torch.nn.RNN`.

    Args:
      params: of the network.
      carry: the memory c_{t-1}.
      x: the input x_t.

    >>> params = SlideRNNParams(U=jnp.eye(2), W=jnp.zeros((2, 2)), V=jnp.ones((1, 2)), b=jnp.array([0.0, 1.0]))
    >>> memory, output = slide_rnn_step(params, jnp.zeros(2), jnp.array([0.5, -1.0]))
    >>> memory.tolist(), f"{output[0]:.4f}"  # tanh(0.5) + tanh(0)
    ([0.5, 0.0], '0.4621')
    """
    memory = jnp.tanh(carry) @ params.W.T + x @ params.U.T + params.b
    return memory, jnp.tanh(memory) @ params.V.T


def slide_rnn(
    params: SlideRNNParams, carry: Float[Array, "*batch hidden"], inputs: Float[Array, "*batch time inputs"]
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch time outputs"]]:
    """All steps of a sequence, one after the other: the last memory, and the output of every step.

    Raises:
      ValueError: there is no step, or the inputs are no sequence.
      TypeError: the inputs are integers.
    """
    check_steps(inputs, "slide_rnn")
    last, outputs = jax.lax.scan(
        lambda memory, x: slide_rnn_step(params, memory, x), carry, jnp.moveaxis(inputs, -2, 0)
    )
    return last, jnp.moveaxis(outputs, 0, -2)


def init_slide_rnn(key: PRNGKeyArray, inputs: int, hidden: int, outputs: int) -> SlideRNNParams:
    """Random parameters: matrices uniform in ±1/sqrt(columns), as torch has linear layers, and b zero.

    Args:
      key: a typed random key.
      inputs: numbers of a step.
      hidden: of the memory.
      outputs: of a step.

    >>> init_slide_rnn(jax.random.key(0), 3, 5, 2).V.shape
    (2, 5)
    """
    u, w, v = jax.random.split(key, 3)
    return SlideRNNParams(
        _drawn(u, (hidden, inputs)), _drawn(w, (hidden, hidden)), _drawn(v, (outputs, hidden)), jnp.zeros(hidden)
    )


def _drawn(key: PRNGKeyArray, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """A matrix that stands left of its column vector: `linear_uniform` draws those that stand right of a row."""
    return linear_uniform(key, shape[::-1], dtype).T


class SlideRNN(nn.Module):
    """`slide_rnn` as a module. `SlideRNNParams(**variables["params"])` are its parameters."""

    hidden_size: int
    outputs: int
    """Numbers that V gives at each step."""
    param_dtype: Any = jnp.float32
    """Storage type of the parameters; a float64 one computes in float64."""

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "*batch time inputs"], initial: Float[Array, "*batch hidden"] | None = None
    ) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch time outputs"]]:
        """The last memory, and the output of every step.

        Args:
          inputs: (time, inputs) or batches of that.
          initial: the memory before the first step; zero by default.

        Raises:
          ValueError: there is no step, or the inputs are no sequence.
          TypeError: the inputs are integers.
        """
        check_steps(inputs, "SlideRNN")
        params = SlideRNNParams(
            U=self.param("U", _drawn, (self.hidden_size, inputs.shape[-1]), self.param_dtype),
            W=self.param("W", _drawn, (self.hidden_size, self.hidden_size), self.param_dtype),
            V=self.param("V", _drawn, (self.outputs, self.hidden_size), self.param_dtype),
            b=self.param("b", nn.initializers.zeros, (self.hidden_size,), self.param_dtype),
        )
        if initial is None:
            kind = jnp.result_type(inputs, self.param_dtype)
            initial = jnp.zeros((*inputs.shape[:-2], self.hidden_size), kind)
        return slide_rnn(params, initial, inputs)
