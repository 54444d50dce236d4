"""The recurrent network written out over time: a perceptron of many layers that share their parameters. Row L72."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.sequences.checks import check_steps
from zoo.sequences.slide_rnn import SlideRNNParams, slide_rnn_step


def unrolled_rnn(
    layers: Sequence[SlideRNNParams],
    carry: Float[Array, "*batch hidden"],
    inputs: Float[Array, "*batch time inputs"],
) -> tuple[Float[Array, "*batch hidden"], Float[Array, "*batch time outputs"]]:
    """A perceptron of as many layers as steps, each with parameters of its own, an input and an output.

    With the same parameters in every layer it is `slide_rnn`, whose gradient is the sum of the layers' gradients.

    Args:
      layers: the parameters of each layer, from the first step on.
      carry: the memory before the first.
      inputs: a step for each layer.

    Raises:
      ValueError: there are not as many layers as steps, no step, or the inputs are no sequence.
      TypeError: the inputs are integers.

    >>> from zoo.sequences.slide_rnn import slide_rnn
    >>> shared = SlideRNNParams(U=jnp.ones((2, 1)), W=jnp.eye(2), V=jnp.ones((1, 2)), b=jnp.zeros(2))
    >>> steps = jnp.array([[1.0], [0.0], [-1.0]])
    >>> apart, together = unrolled_rnn(3 * [shared], jnp.zeros(2), steps), slide_rnn(shared, jnp.zeros(2), steps)
    >>> bool(jnp.allclose(apart[1], together[1]))
    True
    """
    check_steps(inputs, "unrolled_rnn")
    if len(layers) != inputs.shape[-2]:
        raise ValueError(f"expected parameters for each of {inputs.shape[-2]} steps, got {len(layers)}")
    outputs = []
    for time, params in enumerate(layers):
        carry, output = slide_rnn_step(params, carry, inputs[..., time, :])
        outputs.append(output)
    return carry, jnp.stack(outputs, axis=-2)
