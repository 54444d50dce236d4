"""What the golden files of torchvision's video networks were made with."""

import numpy as np

from tests.convnets.goldens import numbers

CLASSES = 5
CHANNELS = 8
"""Of the first stage of networks that are thinner than the published ones."""
CLIPS = 3
"""Of which one at evaluation, and all in training."""
THIN = {
    "residual": (6, 40, 36),
    "mvit_v1": (4, 32, 48),
    "mvit_v2": (4, 32, 48),
    "swin3d": (7, 41, 34),
    "c3d": (8, 34, 30),
}
"""Networks with fewer units and channels: frames, height and width of their clips.

"residual" has every kind of convolution. Maps of "swin3d" are padded and have seams in time, height and width.
torchvision has no C3D: "c3d" is of torch's layers as the paper's Figure 3 has them."""
PUBLISHED = {
    "r3d_18": (6, 40, 36),
    "mc3_18": (6, 40, 36),
    "r2plus1d_18": (6, 40, 36),
    "s3d": (14, 210, 212),
    "mvit_v1_b": (4, 64, 64),
    "mvit_v2_s": (4, 64, 64),
    "swin3d_t": (6, 72, 72),
    "swin3d_s": (),
    "swin3d_b": (),
}
"""The same of the published ones, of which those without sizes are compared in names alone.

S3D's last pooling asks for as many pixels. Swin's windows are as large as the maps of the last stages."""
SIZES = {**THIN, **PUBLISHED}
MVIT = {"depths": (1, 2, 1), "width": 8, "key_stride": 4}
"""Of both versions; the fields of `zoo.video.MViT`."""
SWIN = {"patch_size": [2, 4, 4], "embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "window_size": [2, 3, 3]}
C3D = {"widths": (4, 4, 6, 8, 8), "hidden": 12}
"""The fields of `zoo.video.C3D`."""
SLOPES = {
    "c3d": ("features.0.weight", "features.8.weight", "dense.0.weight", "dense.6.weight"),
    "residual": ("stem.0.weight", "layer3.0.conv1.0.0.weight", "layer4.0.conv2.0.weight", "fc.weight"),
    "mvit_v1": ("conv_proj.weight", "pos_encoding.temporal_pos", "blocks.1.attn.pool_k.pool.weight", "head.1.weight"),
    "mvit_v2": ("conv_proj.weight", "blocks.1.attn.rel_pos_t", "blocks.1.attn.rel_pos_w", "blocks.2.mlp.0.weight"),
    "swin3d": (
        "patch_embed.proj.weight",
        "features.0.1.attn.relative_position_bias_table",
        "features.2.1.attn.qkv.weight",
        "head.weight",
    ),
}
"""Parameters whose gradients are kept, of the mean square of the logits in training."""


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As of the classifiers' golden files; tables of positions are uniform between -1 and 1, as activations."""
    drawn = numbers.weight(name, shape)
    is_table = len(shape) == 2 and (name.startswith("pos_encoding") or ".rel_pos_" in name)
    return drawn / np.float32(np.sqrt(6 / np.prod(shape[1:]))) if is_table else drawn


def clips(size: tuple[int, int, int], count: int = CLIPS) -> np.ndarray:
    """Channels first, as torch takes them; of different brightness."""
    drawn = 2 * np.random.default_rng(0).random((count, 3, *size)) - 1
    return (drawn + np.linspace(-0.5, 0.5, count)[:, None, None, None, None]).astype(np.float32)
