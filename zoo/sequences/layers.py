"""RNN, LSTM and GRU over whole sequences: several layers, both directions, padded sequences, states in and out.

Elman, 1990, Finding Structure in Time; Hochreiter and Schmidhuber, 1997, Long Short-Term Memory; Cho et al., 2014,
Learning Phrase Representations using RNN Encoder-Decoder; Schuster and Paliwal, 1997, Bidirectional Recurrent Neural
Networks. Equal to torch.nn.RNN, LSTM and GRU, see `zoo.weights.recurrent`. Lecture rows L71, L75, erratum E25.
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from zoo.nn.dense import last_axis_product
from zoo.sequences.cells import CELLS
from zoo.sequences.checks import check_mask, check_steps, steps_mask
from zoo.sequences.recurrence import Carry, recur

UNROLL = 1
"""Steps written out before the loop goes on: 4 gained nothing on CPU, and take longer to compile."""


class LSTMState(NamedTuple):
    """What an LSTM's layer takes from step to step."""

    h: Float[Array, "batch hidden"]
    """The output; the slides' m."""
    c: Float[Array, "batch hidden"]
    """The cell state."""


State = tuple[Float[Array, "batch hidden"] | LSTMState, ...]
"""What goes from step to step, of each layer: h, or h and c; of both directions the forward one, then the backward
one. As torch's order is, but each with the batch first."""


class Recurrent(nn.Module):
    """What the three have in common. Submodules `layer1`, `layer1_backward`, `layer2`, ... with `input_kernel`,
    `hidden_kernel` and `bias`, gate by gate along their last axis.

    States, and what is computed element by element, are in float32 at least, whatever `dtype` is.
    """

    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    """Whether each layer reads the sequence backwards too; the next one sees both outputs, joined."""
    dropout: float = 0.0
    """The share of each layer's outputs, but for the last one's, that training sets to zero."""
    use_bias: bool = True
    unroll: int = UNROLL
    """Steps that are written out before the loop over time goes on."""
    dtype: Any = jnp.float32
    """The type of matrix products and outputs."""
    param_dtype: Any = jnp.float32
    """The type that parameters are stored in."""

    @nn.nowrap
    def cell_name(self) -> str:
        """The key of `zoo.sequences.cells.CELLS`."""
        raise NotImplementedError

    @nn.compact
    def __call__(
        self,
        inputs: Float[Array, "batch time features"],
        *,
        lengths: Int[Array, " batch"] | None = None,
        mask: Bool[Array, "batch time"] | None = None,
        initial: State | None = None,
        train: bool = False,
    ) -> tuple[State, Float[Array, "batch time outputs"]]:
        """The state after each sequence's last real step, and the last layer's outputs, zero at steps that are padding.

        Steps that are padding change nothing, whatever they hold. A sequence without a real step is an error where its
        length is known; under `jit` it keeps its initial state.

        Args:
          inputs: sequences, padded to one number of steps.
          lengths: how many steps of each are real; the others are at the end.
          mask: instead, which steps are real, wherever they are.
          initial: states before the first step; zero by default. A backward direction begins at the last step.
          train: whether dropout is on; it needs the random key "dropout".

        Raises:
          ValueError: the inputs are no batch of sequences, an option or a length is out of range, the mask or the
            states do not fit, or both lengths and mask are given.
          EmptySequenceError: a sequence has no real step.
          TypeError: the inputs are integers, such as tokens that nobody has embedded.
        """
        self._check(inputs, lengths, mask)
        if lengths is not None:
            mask = steps_mask(lengths, inputs.shape[1])
        elif mask is not None:
            check_mask(mask, inputs)
        if initial is None:
            initial = self.initial_state(inputs.shape[0])
        else:
            self._check_state(initial, inputs.shape[0])
        x = inputs.astype(self.dtype)
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)  # what is there may be no number
            mask = mask.T
        x, final = x.transpose(1, 0, 2), []
        for number in range(self.num_layers):
            if number and self.dropout:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            seen = []
            for backward in (False, True)[: self._directions]:
                name = f"layer{number + 1}" + "_backward" * backward
                state = self._as_carry(initial[len(final)])
                last, states = self._direction(backward, name)(x, state, mask)
                seen.append(states)
                final.append(self._as_state(last))
            x = jnp.concatenate(seen, axis=-1) if self.bidirectional else seen[0]
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
        return tuple(final), x.transpose(1, 0, 2)

    def step(
        self, state: State, x: Float[Array, "batch features"], train: bool = False
    ) -> tuple[State, Float[Array, "batch hidden"]]:
        """One step through all layers, as a decoder takes it: the next state, and the last layer's output.

        Args:
          state: from `initial_state`, the call, or the last step.
          x: the step's inputs.
          train: as of the call.

        Raises:
          ValueError: the network is bidirectional, whose backward direction begins at the end.
        """
        if self.bidirectional:
            raise ValueError(f"{type(self).__name__} expected one direction for single steps, got bidirectional=True")
        state, outputs = self(x[:, None], initial=state, train=train)
        return state, outputs[:, 0]

    @nn.nowrap
    def initial_state(self, batch: int) -> State:
        """Zeros for every layer and direction, of so many sequences.

        >>> [each.h.shape for each in LSTM(8, num_layers=2).initial_state(3)]
        [(3, 8), (3, 8)]
        """
        count = CELLS[self.cell_name()].states
        zeros = jnp.zeros((batch, self.hidden_size), self._wide)
        return (self._as_state((zeros,) * count),) * (self.num_layers * self._directions)

    @property
    def _directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def _wide(self) -> Any:
        return jnp.promote_types(self.dtype, jnp.float32)

    def _direction(self, backward: bool, name: str) -> "Direction":
        return Direction(
            self.cell_name(),
            self.hidden_size,
            backward,
            self.use_bias,
            self.unroll,
            self.dtype,
            self.param_dtype,
            name=name,
        )

    def _as_carry(self, state: Any) -> Carry:
        parts = state if isinstance(state, tuple) else (state,)
        return tuple(jnp.asarray(part).astype(self._wide) for part in parts)

    def _as_state(self, carry: Carry) -> Any:
        return LSTMState(*carry) if len(carry) > 1 else carry[0]

    def _check(self, inputs: Array, lengths: Any, mask: Any) -> None:
        who = type(self).__name__
        if inputs.ndim != 3:
            raise ValueError(f"{who} expected sequences (batch, time, features), got shape {inputs.shape}")
        check_steps(inputs, who)
        if lengths is not None and mask is not None:
            raise ValueError(f"{who} expected lengths or a mask, got both")
        if lengths is not None and jnp.shape(lengths) != inputs.shape[:1]:
            raise ValueError(f"{who} expected {inputs.shape[0]} lengths, got shape {jnp.shape(lengths)}")
        if min(self.hidden_size, self.num_layers, self.unroll) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"{who} expected positive hidden_size, num_layers and unroll, and 0 <= dropout < 1, got "
                f"{self.hidden_size}, {self.num_layers}, {self.unroll} and {self.dropout}"
            )

    def _check_state(self, state: State, batch: int) -> None:
        def shapes(state: State) -> list:
            return [[jnp.shape(part) for part in (each if isinstance(each, tuple) else (each,))] for each in state]

        expected = shapes(jax.eval_shape(lambda: self.initial_state(batch)))
        got = shapes(state) if isinstance(state, tuple | list) else jnp.shape(state)
        if got != expected:
            raise ValueError(f"{type(self).__name__} expected states of shapes {expected}, got {got}")


class RNN(Recurrent):
    """h_t = tanh(x_t U + h_{t-1} W + b), or with ReLU.

    >>> model = RNN(hidden_size=4)
    >>> variables = model.init(jax.random.key(0), jnp.ones((2, 7, 3)))
    >>> (last,), outputs = model.apply(variables, jnp.ones((2, 7, 3)), lengths=jnp.array([7, 5]))
    >>> outputs.shape, bool((last[1] == outputs[1, 4]).all())
    ((2, 7, 4), True)
    """

    activation: Literal["tanh", "relu"] = "tanh"

    @nn.nowrap
    def cell_name(self) -> str:
        """See `Recurrent`.

        Raises:
          ValueError: the activation is another one.
        """
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"RNN expected the activation tanh or relu, got {self.activation!r}")
        return self.activation


class LSTM(Recurrent):
    """c_t = f ⊙ c_{t-1} + i ⊙ c̃ and h_t = o ⊙ tanh(c_t); gates in the slides' order i, f, o, g.

    Without biases it is the slides' LSTM (E25). Torch adds two biases to each other, here there is their sum.

    >>> model = LSTM(hidden_size=4, num_layers=2, bidirectional=True)
    >>> state, outputs = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x)[0], jnp.ones((2, 7, 3)))
    >>> len(state), state[0].c.shape, outputs.shape
    (4, (2, 4), (2, 7, 8))
    """

    @nn.nowrap
    def cell_name(self) -> str:
        """See `Recurrent`."""
        return "lstm"


class GRU(Recurrent):
    """h_t = (1 - z) ⊙ n + z ⊙ h_{t-1} with n = tanh(x_t U + b + r ⊙ (h_{t-1} W + d)); gates in torch's order r, z, n.

    The bias d, `hidden_bias`, is apart from b, for the reset gate r multiplies it: torch's form, and cuDNN's.

    >>> model = GRU(hidden_size=4)
    >>> variables = model.init(jax.random.key(0), jnp.ones((2, 7, 3)))
    >>> state, outputs = model.apply(variables, jnp.ones((2, 7, 3)))
    >>> state, output = model.apply(variables, state, jnp.ones((2, 3)), method="step")  # and on, step by step
    >>> output.shape
    (2, 4)
    """

    @nn.nowrap
    def cell_name(self) -> str:
        """See `Recurrent`."""
        return "gru"


class Direction(nn.Module):
    """One layer in one direction, time first: the products of all inputs at once, then the loop."""

    cell: str
    hidden_size: int
    reverse: bool
    use_bias: bool
    unroll: int
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(
        self, x: Float[Array, "time batch features"], carry: Carry, mask: Bool[Array, "time batch"] | None
    ) -> tuple[Carry, Float[Array, "time batch hidden"]]:
        """The last carry, and h after every step."""
        cell, hidden = CELLS[self.cell], self.hidden_size
        width = cell.gates * hidden
        kernel = self._parameter("input_kernel", (x.shape[-1], width))
        projected = self._of_gates(last_axis_product(x, kernel, (((2,), (0,)), ((), ()))))
        biases: list[Array | None] = [None] * cell.gates
        if self.use_bias:
            biases = self._of_gates(self._parameter("bias", (width,)))
        if self.use_bias and self.cell == "gru":  # of the candidate there are two
            projected[-1] = projected[-1] + biases[-1]
            biases[-1] = self._parameter("hidden_bias", (hidden,))
        kernel = self._parameter("hidden_kernel", (hidden, width))
        states, last = recur(cell, self.reverse, self.unroll, tuple(projected), kernel, tuple(biases), carry, mask)
        return last, states.astype(self.dtype)

    def _of_gates(self, weights: Array) -> list[Array]:
        return jnp.split(weights, CELLS[self.cell].gates, axis=-1)

    def _parameter(self, name: str, shape: tuple[int, ...]) -> Array:
        """Drawn uniformly in ±1/sqrt(hidden) as torch has it, and of the compute type."""
        bound = self.hidden_size**-0.5

        def draw(key: PRNGKeyArray) -> Array:
            return jax.random.uniform(key, shape, self.param_dtype, -bound, bound)

        return self.param(name, draw).astype(self.dtype)
