"""The catalog's rows of networks that make images, of the chapter `zoo.frontiers`."""

from zoo.catalog.entry import Entry
from zoo.catalog.inputs import Input

RADFORD_2016 = (
    "Radford, Metz and Chintala, 2016, Unsupervised Representation Learning with Deep Convolutional Generative "
    "Adversarial Networks"
)
LATENT = 100
"""Numbers that an image is made of, in the paper; the networks take any number."""


def _row(name: str, kind: str, latent: int, shape: tuple[int, int, int], widths: tuple[int, ...]) -> Entry:
    inputs = (Input("latents", (latent,), kind="vector"), Input("images", shape))
    inputs = inputs if kind == "DCGAN" else inputs[:1]
    options = {"shape": shape, "widths": widths}
    return Entry(name, f"zoo.frontiers.gan:{kind}", "generation", inputs, RADFORD_2016, "L97", options, heads=())


_PAPER = (LATENT, (64, 64, 3), (1024, 512, 256, 128))
_TINY = (12, (8, 8, 1), (8, 4))

ENTRIES = (
    _row("dcgan", "DCGAN", *_PAPER),
    _row("dcgan_generator", "Generator", *_PAPER),
    _row("dcgan_tiny", "DCGAN", *_TINY),
    _row("dcgan_generator_tiny", "Generator", *_TINY),
)
