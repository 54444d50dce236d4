"""A convolutional network that sees an image, and an LSTM that says what is in it, word by word.

Vinyals, Toshev, Bengio and Erhan, 2015, Show and Tell: A Neural Image Caption Generator. Lecture row L77.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from zoo.convnets.torch_layers import adaptive_avg_pool
from zoo.nn.checks import check_images
from zoo.nn.dense import Dense
from zoo.nn.maps import maps_of
from zoo.nn.network import Network
from zoo.sequences.layers import LSTM, State


class Captioner(Network):
    """Logits of the next word, of an image and the words before it.

    As in the paper (section 3.1) the image is what the LSTM reads first, once, as a vector of the size of a word's;
    then it reads words. Submodules `backbone`, `image`, `embed`, `lstm` and `head`.

    A caption is found word by word: `begin` reads images, `step` gives the logits after one more word, as
    `zoo.sequences.search` asks for them. `remat` is of the backbone.

    >>> import zoo
    >>> model = Captioner(zoo.create("resnet_tiny", num_classes=0), num_classes=100)
    >>> images, tokens = jnp.ones((2, 32, 32, 3)), jnp.ones((2, 7), int)
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, tokens)[0]).shape
    (2, 7, 100)
    """

    backbone: nn.Module
    """A network that answers `features=True`; made with `num_classes=0` it has no head of its own. Its last map is
    read."""
    num_classes: int
    """Words of the vocabulary, among them those that begin and end a caption."""
    embed_size: int = 512
    """Numbers that a word, and the image, become before the LSTM reads them."""
    hidden_size: int = 512
    """Of the LSTM."""
    dropout: float = 0.0
    """The share of what the LSTM reads, and of what it gives, that training sets to zero."""
    grid: int = 1
    """The last map is averaged into so many places a side; one is its mean, which does not say where something is."""

    def setup(self) -> None:
        """What follows the backbone, which is there already."""
        self.image = nn.Dense(self.embed_size, **self.types)
        self.embed = nn.Embed(self.num_classes, self.embed_size, **self.types)
        self.lstm = LSTM(self.hidden_size, **self.types)
        self.head = Dense(self.num_classes, dtype=self.wide, param_dtype=self.param_dtype)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        images: Float[Array, "batch height width channels"],
        tokens: Int[Array, "batch *captions time"],
        train: bool = False,
        features: bool = False,
    ) -> Float[Array, "batch *captions time words"] | dict[str, Float[Array, "batch ..."]]:
        """Of each token the logits of the next one, in float32 at least.

        Those of a place depend on the tokens up to it alone: what pads a caption at its end changes nothing before.
        With `features` the backbone's maps, then `image`, `embedded`, `hidden` and `logits`.

        Args:
          images: normalised.
          tokens: numbers of words, from that which begins every caption on; an image may have several captions, and is
            seen once.
          train: whether to drop some, and whether the backbone's statistics are those of the batch.
          features: whether all named features are wanted.

        Raises:
          ValueError: images or tokens of the wrong shape, or a size that is not positive.
          TypeError: images that are integers, or tokens that are not.
          EmptySequenceError: there is no token.
        """
        self._check(images, tokens)
        named, state = self._begun(images, train)
        named["embedded"] = embedded = self.embed(tokens)
        if tokens.ndim == 3:  # each caption goes on from its image
            state = jax.tree.map(lambda leaf: jnp.repeat(leaf, tokens.shape[1], axis=0), state)
        words = embedded.reshape(math.prod(tokens.shape[:-1]), tokens.shape[-1], self.embed_size)
        _, hidden = self.lstm(self._dropped(words, train), initial=state)
        named["hidden"] = hidden = hidden.reshape(*tokens.shape, self.hidden_size)
        named["logits"] = logits = self.head(self._dropped(hidden, train).astype(self.wide))
        return named if features else logits

    def begin(self, images: Float[Array, "batch height width channels"], train: bool = False) -> State:
        """The LSTM's state after it has read the images.

        Args:
          images: normalised.
          train: as of the call.

        Raises:
          ValueError: images of the wrong rank or too small, or a size that is not positive.
          TypeError: they are integers.
        """
        self._check(images)
        return self._begun(images, train)[1]

    def step(
        self, state: State, tokens: Int[Array, " n"], train: bool = False
    ) -> tuple[State, Float[Array, "n words"]]:
        """One more word of each caption: the next state, and the logits of the word after it.

        Args:
          state: from `begin` or the step before.
          tokens: the words.
          train: as of the call.
        """
        state, hidden = self.lstm.step(state, self._dropped(self.embed(tokens), train))
        return state, self.head(self._dropped(hidden, train).astype(self.wide))

    def _begun(self, images: Array, train: bool) -> tuple[dict[str, Array], State]:
        """The backbone's maps with what is made of the last one, and the state after it."""
        named = maps_of(self.backbone, images, train)
        places = adaptive_avg_pool(list(named.values())[-1].astype(self.wide), self.grid)
        channels = self.grid**2 * places.shape[-1]
        named["image"] = image = self.image(places.reshape(-1, channels).astype(self.dtype))
        state, _ = self.lstm(self._dropped(image, train)[:, None])
        return named, state

    def _dropped(self, x: Array, train: bool) -> Array:
        return self.drop(x, deterministic=not train) if self.dropout else x

    def _check(self, images: Array, tokens: Array | None = None) -> None:
        check_images(images, "Captioner")
        sizes = {name: getattr(self, name) for name in ("num_classes", "embed_size", "hidden_size", "grid")}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected a positive integer, got {size}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected at least 0 and less than 1, got {self.dropout}")
        if tokens is None:
            return
        count = images.shape[0]
        if tokens.ndim not in (2, 3) or tokens.shape[0] != count:
            raise ValueError(
                f"Captioner expected tokens ({count}, time) or ({count}, captions, time), got shape {tokens.shape}"
            )
        if not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise TypeError(f"Captioner expected tokens as integers, got {tokens.dtype}")
