"""Names of video networks' weights in torchvision. Lecture row L51."""

from collections.abc import Mapping

import numpy as np

from zoo.convnets.swin import relative_rows
from zoo.video.resnet import VideoResNet
from zoo.video.swin import VideoSwin
from zoo.weights.blocks import conv_norm
from zoo.weights.rules import Family, Rule, batch_norm, convolution, join, layer_norm, linear
from zoo.weights.swin import block_of_swin


def video_resnet(model: VideoResNet) -> Family:
    """The rules of one residual network for clips, torchvision/models/video/resnet.py."""
    theirs, ours = "layer{stage}.{block}", "stage{stage}/block{block+1}"
    split = bool(model.stem_width)
    stem = (
        convolution("stem.0", "stem/conv_spatial", 3)
        + batch_norm("stem.1", "stem/conv_norm")
        + convolution("stem.3", "stem/conv_temporal", 3)
        if split
        else convolution("stem.0", "stem/conv", 3)
    )
    return Family(
        join(
            stem,
            batch_norm(f"stem.{4 if split else 1}", "stem/norm"),
            convolution(f"{theirs}.conv{{n}}.0", f"{ours}/conv{{n}}", 3),
            convolution(f"{theirs}.conv{{n}}.0.0", f"{ours}/conv{{n}}_spatial", 3),
            batch_norm(f"{theirs}.conv{{n}}.0.1", f"{ours}/conv{{n}}_norm"),
            convolution(f"{theirs}.conv{{n}}.0.3", f"{ours}/conv{{n}}_temporal", 3),
            batch_norm(f"{theirs}.conv{{n}}.1", f"{ours}/norm{{n}}"),
            convolution(f"{theirs}.downsample.0", f"{ours}/shortcut/conv", 3),
            batch_norm(f"{theirs}.downsample.1", f"{ours}/shortcut/norm"),
            linear("fc", "head"),
        )
    )


def _separable(theirs: str, ours: str) -> tuple[Rule, ...]:
    """TemporalSeparableConv."""
    return conv_norm(f"{theirs}.0", f"{ours}/spatial", space=3) + conv_norm(f"{theirs}.1", f"{ours}/temporal", space=3)


def _inception(index: int, ours: str) -> tuple[Rule, ...]:
    """SepInceptionBlock3D."""
    theirs = f"features.{index}.branch"
    return join(
        conv_norm(f"{theirs}0", f"{ours}/conv1x1", space=3),
        conv_norm(f"{theirs}1.0", f"{ours}/reduce3x3", space=3),
        _separable(f"{theirs}1.1", f"{ours}/conv3x3"),
        conv_norm(f"{theirs}2.0", f"{ours}/reduce5x5", space=3),
        _separable(f"{theirs}2.1", f"{ours}/conv5x5"),
        conv_norm(f"{theirs}3.1", f"{ours}/project", space=3),
    )


MODULES = {
    5: "stage2/a",
    6: "stage2/b",
    **{8 + i: f"stage3/{'abcde'[i]}" for i in range(5)},
    14: "stage4/a",
    15: "stage4/b",
}

S3D = Family(
    join(
        _separable("features.0", "stem"),
        conv_norm("features.2", "stage1/reduce3x3", space=3),
        _separable("features.3", "stage1/conv3x3"),
        *(_inception(index, path.replace("/", "/inception_")) for index, path in MODULES.items()),
        (
            Rule("classifier.1.weight", "params/head/kernel", (1, 0), singletons=3),
            Rule("classifier.1.bias", "params/head/bias"),
        ),
    )
)
"""torchvision/models/video/s3d.py."""

_THEIRS, _OURS = "blocks.{block}", "block{block+1}"
_POOLS = {"q": "query", "k": "key", "v": "value"}
_POSITIONS = {"t": "time", "h": "height", "w": "width"}

MVIT = Family(
    join(
        convolution("conv_proj", "stem", 3),
        (
            Rule("pos_encoding.class_token", "params/class_token"),
            Rule("pos_encoding.class_pos", "params/class_position"),
            Rule("pos_encoding.spatial_pos", "params/spatial_positions"),
            Rule("pos_encoding.temporal_pos", "params/temporal_positions"),
        ),
        layer_norm(f"{_THEIRS}.norm{{n}}", f"{_OURS}/norm{{n}}"),
        linear(f"{_THEIRS}.attn.qkv", f"{_OURS}/attention/in_proj"),
        linear(f"{_THEIRS}.attn.project.0", f"{_OURS}/attention/out_proj"),
        *(
            convolution(f"{_THEIRS}.attn.pool_{letter}.pool", f"{_OURS}/attention/{name}_pool", 3)
            + layer_norm(f"{_THEIRS}.attn.pool_{letter}.norm_act.0", f"{_OURS}/attention/{name}_norm")
            for letter, name in _POOLS.items()
        ),
        (
            Rule(f"{_THEIRS}.attn.rel_pos_{letter}", f"params/{_OURS}/attention/positions_{name}")
            for letter, name in _POSITIONS.items()
        ),
        linear(f"{_THEIRS}.mlp.0", f"{_OURS}/mlp/dense1"),
        linear(f"{_THEIRS}.mlp.3", f"{_OURS}/mlp/dense2"),
        linear(f"{_THEIRS}.project", f"{_OURS}/project"),
        layer_norm("norm", "final_norm"),
        linear("head.1", "head"),
    )
)
"""torchvision/models/video/mvit.py."""


def swin3d(model: VideoSwin) -> Family:
    """The rules of one Swin transformer for clips, torchvision/models/video/swin_transformer.py."""
    stages: list[Rule] = []
    for stage in range(1, len(model.depths) + 1):
        theirs, ours = f"features.{2 * stage - 2}.{{block}}", f"stage{stage}/block{{block+1}}"
        merge = f"features.{2 * stage - 3}"
        stages += layer_norm(f"{merge}.norm", f"stage{stage}/merge/norm") if stage > 1 else ()
        stages += linear(f"{merge}.reduction", f"stage{stage}/merge/dense") if stage > 1 else ()
        stages += block_of_swin(theirs, ours)
    index = relative_rows(tuple(model.window))

    def indices(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What torchvision keeps beside each table as a buffer."""
        table = ".relative_position_bias_table"
        return {f"{name.removesuffix(table)}.relative_position_index": index for name in arrays if name.endswith(table)}

    return Family(
        join(
            convolution("patch_embed.proj", "stem/conv", 3),
            layer_norm("patch_embed.norm", "stem/norm"),
            stages,
            layer_norm("norm", "final_norm"),
            linear("head", "head"),
        ),
        ignored=(r".*\.relative_position_index",),  # follows from the window
        derived=indices,
    )
