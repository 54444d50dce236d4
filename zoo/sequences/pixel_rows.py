"""Images read as sequences: a class for a whole image from its rows, and a class for each of its columns.

Le, Jaitly and Hinton, 2015, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units, section 4.2, for
images read step by step; Graves and Schmidhuber, 2005, Framewise Phoneme Classification with Bidirectional LSTM, for a
class at every step. Lecture rows L71-L76.
"""

from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import Network
from zoo.sequences.layers import GRU, LSTM, RNN
from zoo.sequences.slide_lstm import SlideLSTM
from zoo.sequences.slide_rnn import SlideRNN

Cell = Literal["slide_rnn", "slide_lstm", "rnn", "lstm", "gru"]
LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class Layer(Network):
    """One recurrent layer of any kind, over steps. Submodule `cell`."""

    cell: Cell
    hidden_size: int
    bidirectional: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "batch time features"]) -> Float[Array, "batch time outputs"]:
        """The outputs of every step, of the compute type."""
        if self.cell in LAYERS:
            layer = LAYERS[self.cell](self.hidden_size, bidirectional=self.bidirectional, **self.types, name="cell")
            return layer(x)[1]
        if self.bidirectional:
            raise ValueError(f"the slides' cells have one direction: expected rnn, lstm or gru, got {self.cell!r}")
        if self.cell == "slide_rnn":
            slides: nn.Module = SlideRNN(self.hidden_size, self.hidden_size, self.param_dtype, name="cell")
        else:
            slides = SlideLSTM(self.hidden_size, self.param_dtype, name="cell")
        return slides(x)[1].astype(self.dtype)


class RecurrentNetwork(Network):
    """What the two networks share: recurrent layers over steps. Submodules `layer1`, `layer2`, ... and `head`."""

    num_classes: int = 10
    """Outputs; 0 gives what the last layer sees instead of logits."""
    cell: Cell = "lstm"
    """Which recurrent layer: the slides' own, or those of `zoo.sequences.layers`."""
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    """The share of each layer's outputs that training sets to zero."""

    def _layers(self, x: Float[Array, "batch time features"], train: bool, named: dict[str, Array]) -> Array:
        """Adds each layer's outputs to the features, and returns the last one's."""
        if self.cell not in (*LAYERS, "slide_rnn", "slide_lstm") or min(self.hidden_size, self.num_layers) < 1:
            raise ValueError(
                "expected a cell of slide_rnn, slide_lstm, rnn, lstm and gru, and positive hidden_size and num_layers, "
                f"got {self.cell!r}, {self.hidden_size} and {self.num_layers}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"expected 0 <= dropout < 1, got {self.dropout}")
        layer = self.rematerialised(Layer, ())
        for number in range(1, self.num_layers + 1):
            name = f"layer{number}"
            options: dict[str, Any] = {"bidirectional": self.bidirectional, **self.types}
            named[name] = x = layer(self.cell, self.hidden_size, **options, name=name)(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x) if self.dropout else x
        return x

    def _head(self, x: Float[Array, "*batch features"], named: dict[str, Array]) -> Array:
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            head = nn.Dense(self.num_classes, dtype=self.wide, param_dtype=self.param_dtype, name="head")
            named["logits"] = x = head(x)
        return x

    def _check_features(self, images: Array, features: int) -> None:
        """Refuses images whose rows or columns have another number of values than those that it was made for."""
        given = self.variables.get("params", {}).get("layer1", {}).get("cell", {})
        if "layer1" in given:
            expected = given["layer1"]["input_kernel"].shape[0]
        elif given:
            expected = given["U"].shape[1] if "U" in given else given["U_i"].shape[0]
        else:
            return
        if expected != features:
            raise ValueError(
                f"{type(self).__name__} expected images with {expected} values a step, "
                f"got images of shape {images.shape}, which have {features}"
            )


class RowClassifier(RecurrentNetwork):
    """A class for an image, from its rows one after the other, from top to bottom: the last step's output decides.

    A bidirectional layer's backward direction ends at the first row, and is read there.

    >>> import jax
    >>> model = RowClassifier(hidden_size=16)
    >>> image = jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32)
    >>> jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image)[0], image).shape
    (2, 10)
    """

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Array]:
        """Logits, float32; with `features` all named features: layer1, layer2, ..., pre_logits and logits.

        Layers' features are (batch, height, outputs). In training with dropout it needs the random key "dropout".

        Raises:
          ValueError: no batch of images, of another width or channels than before, or an option is out of range.
          TypeError: the values are integers, such as pixels that nobody has scaled.
        """
        check_images(images, "RowClassifier")
        check_classes(self.num_classes)
        batch, height, width, channels = images.shape
        self._check_features(images, width * channels)
        named: dict[str, Array] = {}
        x = self._layers(images.astype(self.dtype).reshape(batch, height, width * channels), train, named)
        if self.bidirectional:
            forward, backward = jnp.split(x, 2, axis=-1)
            x = jnp.concatenate([forward[:, -1], backward[:, 0]], axis=-1)
        else:
            x = x[:, -1]
        x = self._head(x, named)
        return named if features else x


class ColumnTagger(RecurrentNetwork):
    """A class for every column of an image, which it reads from left to right, and back where it is bidirectional.

    >>> import jax
    >>> model = ColumnTagger(num_classes=11, hidden_size=16, bidirectional=True)
    >>> image = jax.ShapeDtypeStruct((2, 8, 40, 1), jnp.float32)
    >>> jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image)[0], image).shape
    (2, 40, 11)
    """

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch width outputs"] | Mapping[str, Array]:
        """Logits of each column, float32; with `features` all named features: layer1, ..., pre_logits and logits.

        All are (batch, width, outputs). In training with dropout it needs the random key "dropout".

        Raises:
          ValueError: no batch of images, of another height or channels than before, or an option is out of range.
          TypeError: the values are integers, such as pixels that nobody has scaled.
        """
        check_images(images, "ColumnTagger")
        check_classes(self.num_classes)
        batch, height, width, channels = images.shape
        self._check_features(images, height * channels)
        named: dict[str, Array] = {}
        columns = images.astype(self.dtype).transpose(0, 2, 1, 3).reshape(batch, width, height * channels)
        x = self._head(self._layers(columns, train, named), named)
        return named if features else x
