"""Images that a network learns to make against one that tells them from real ones. Lecture row L97."""

import dataclasses
from typing import ClassVar, Literal

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Gan(Task):
    """Makes images like those of the data, by a generator and a discriminator such as those of `dcgan`."""

    kind: ClassVar[str] = "gan"

    loss: Literal["non_saturating", "minimax"] = "non_saturating"
    """Of the generator: -log D, or log(1 - D), whose gradient vanishes where the discriminator is sure."""
    latent: int = 64
    """Numbers that an image is made of, each uniform in [-1, 1]."""
    neighbours: int = 3
    """How far precision and recall look for images of the same kind."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"latent": 1 <= self.latent <= 4096, "neighbours": 1 <= self.neighbours <= 100}
