"""What the golden files of flow networks were computed from: drawn by name, so that any library can draw it."""

import numpy as np

from tests.convnets.goldens import numbers

UPDATES, GAMMA = 3, 0.8

RAFTS = {
    "raft_residual": (72, 96),
    "raft_bottleneck": (72, 96),
    "raft_large": (128, 136),
    "raft_small": (128, 136),
}
"""Height and width of the images. Two narrow networks of the kinds of layers that the large and the small one have,
with two levels of correlations instead of four, and torchvision's own."""

NARROW = {
    "raft_residual": {
        "feature_encoder_layers": (8, 8, 12, 16, 24),
        "context_encoder_layers": (8, 8, 12, 16, 28),
        "corr_block_num_levels": 2,
        "corr_block_radius": 2,
        "motion_encoder_corr_layers": (16, 12),
        "motion_encoder_flow_layers": (8, 6),
        "motion_encoder_out_channels": 14,
        "recurrent_block_hidden_state_size": 16,
        "recurrent_block_kernel_size": ((1, 5), (5, 1)),
        "recurrent_block_padding": ((0, 2), (2, 0)),
        "flow_head_hidden_size": 10,
    },
    "raft_bottleneck": {
        "feature_encoder_layers": (8, 8, 12, 16, 24),
        "context_encoder_layers": (8, 8, 12, 16, 28),
        "corr_block_num_levels": 2,
        "corr_block_radius": 1,
        "motion_encoder_corr_layers": (16,),
        "motion_encoder_flow_layers": (8, 6),
        "motion_encoder_out_channels": 14,
        "recurrent_block_hidden_state_size": 16,
        "recurrent_block_kernel_size": (3,),
        "recurrent_block_padding": (1,),
        "flow_head_hidden_size": 10,
    },
}
"""Options of torchvision's, but for kinds of layers."""


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As for classifiers; steps of the flow are of a few pixels, and other numbers for each normalisation."""
    values = numbers.weight(name, shape)
    return values * np.float32(0.1) if name.startswith("update_block.flow_head.conv2") else values


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Two batches of two images, (batch, height, width, channels)."""
    both = np.random.default_rng([height, width]).uniform(-1, 1, (2, 2, height, width, 3))
    return both[0].astype(np.float32), both[1].astype(np.float32)


def target(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The true flow (batch, height, width, 2) in pixels, some of it too large to count, and where it is known."""
    random = np.random.default_rng([height, width, 1])
    flow = random.normal(0, 5, (2, height, width, 2))
    flow[0, :4, :5] = 500
    return flow.astype(np.float32), random.random((2, height, width)) < 0.7


MAPS, RADIUS, LEVELS = (2, 16, 19, 5), 4, 4
"""Of the operations: a pair of maps of an odd size."""


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Features of two images, channels last."""
    both = np.random.default_rng(2).standard_normal((2, *MAPS))
    return both[0].astype(np.float32), both[1].astype(np.float32)


def coordinates() -> np.ndarray:
    """Where to look, (batch, rows, columns, 2): x and y between places, at them, beyond the borders and far away."""
    random = np.random.default_rng(3)
    at = random.uniform(-8, 26, (*MAPS[:3], 2))
    at[0, :4] = at[0, :4].round()
    at[1, 0, :3] = [[1e4, 3], [-1e4, 2], [18, 15]]
    return at.astype(np.float32)


def finer() -> tuple[np.ndarray, np.ndarray]:
    """A flow (2, 3, 4, 2) and the logits (2, 3, 4, 576) of what makes it finer."""
    random = np.random.default_rng(4)
    flow, logits = random.standard_normal((2, 3, 4, 2)), 3 * random.standard_normal((2, 3, 4, 576))
    return flow.astype(np.float32), logits.astype(np.float32)


def slopes(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What the output's gradient is, channels last."""
    return np.random.default_rng(len(name)).normal(size=shape).astype(np.float32)


FLOWNETS = {"flownet_s": (128, 192), "flownet_c": (128, 192)}
WIDTHS, REFINED, REDIRECTED = (6, 8, 10, 12, 14, 16), (12, 10, 8, 6), 4
MAX_DISPLACEMENT, STEP = 4, 2


def layers(name: str) -> dict[str, tuple[int, ...]]:
    """Shapes in torch's layout, (filters, channels, rows, columns), transposed ones the other way; by our paths."""
    one, two, three, four, five, six = WIDTHS
    joined = three
    found = {"conv1": (one, 6, 7, 7), "conv2": (two, one, 5, 5), "conv3": (three, two, 5, 5)}
    if name == "flownet_c":
        found |= {"conv1": (one, 3, 7, 7), "conv_redir": (REDIRECTED, three, 1, 1)}
        joined = REDIRECTED + (2 * MAX_DISPLACEMENT // STEP + 1) ** 2
    found["conv3_1"] = (three, joined, 3, 3)
    for level, (before, here) in zip((4, 5, 6), ((three, four), (four, five), (five, six)), strict=True):
        found |= {f"conv{level}": (here, before, 3, 3), f"conv{level}_1": (here, here, 3, 3)}
    found = {f"{key}/conv": shape for key, shape in found.items()}
    channels = six
    found["predict_flow6"] = (2, channels, 3, 3)
    for level, here, skipped in zip((5, 4, 3, 2), REFINED, (five, four, three, two), strict=True):
        found |= {f"deconv{level}": (channels, here, 4, 4), f"upsample_flow{level + 1}": (2, 2, 4, 4)}
        channels = skipped + here + 2
        found[f"predict_flow{level}"] = (2, channels, 3, 3)
    return found


def filters(key: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Kernel in torch's layout, and bias."""
    turned = key.startswith(("deconv", "upsample"))
    kernel = numbers.weight(f"{key}.weight", shape)
    return {"kernel": kernel, "bias": numbers.weight(f"{key}.bias", (shape[1 if turned else 0],))}
