"""The catalog's rows of networks that say what is in an image, of the chapter `zoo.sequences`.

Sizes are those of the paper and of its authors' program: 512 numbers a word and in the LSTM, 30 % dropped, a vocabulary
of 12,000 (https://github.com/tensorflow/models, research/im2txt). The paper's encoder is GoogLeNet's successor with
batch normalisation (Ioffe and Szegedy, 2015), the program's Inception v3. Embedding and head
are of the vocabulary: for another one both are drawn anew.
"""

from typing import Any

from zoo.catalog.entry import Entry, Ref
from zoo.catalog.inputs import Input

VINYALS_2015 = "Vinyals et al., 2015, Show and Tell: A Neural Image Caption Generator"
WORDS = 20
"""Tokens of a caption, as the rows' sizes and times are measured; a network takes any number."""
SMALL = {"num_classes": 64, "embed_size": 64, "hidden_size": 128, "grid": 4, "dropout": 0.0}
"""For small images of several things: on a grid of 4 x 4 places the LSTM is told where they are."""
TINY = {"num_classes": 16, "embed_size": 8, "hidden_size": 12}


def _row(name: str, backbone: Ref, side: int, **options: Any) -> Entry:
    inputs = Input("images", (side, side, 3)), Input("tokens", (WORDS,), "int32", "tokens")
    options = {"backbone": backbone, "num_classes": 12_000, "dropout": 0.3, **options}
    builder, words = "zoo.sequences.captioner:Captioner", {"heads": ("head",), "embeddings": ("embed",)}
    return Entry(name, builder, "captioning", inputs, VINYALS_2015, "L77", options, **words)


ENTRIES = (
    _row("captioner_googlenet", Ref("googlenet", num_classes=0), 224),
    _row("captioner_inception_v3", Ref("inception_v3", num_classes=0), 299),
    _row("captioner_resnet50", Ref("resnet50", num_classes=0), 224),
    _row("captioner_small", Ref("vgg11_bn", maps_only=True, widths=(16, 32, 64, 128, 128)), 64, **SMALL),
    _row("captioner_tiny", Ref("resnet_tiny", num_classes=0), 32, dropout=0.0, **TINY),
)
