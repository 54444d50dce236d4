"""Names of RAFT's weights in torchvision. Lecture row L62."""

from zoo.dense.raft import RAFT
from zoo.weights.rules import Family, Rule, batch_norm, convolution, join


def raft(model: RAFT) -> Family:
    """The rules of one RAFT, torchvision/models/optical_flow/raft.py; normalisations of images have no weights."""
    rules: list[Rule] = []
    for part in ("feature_encoder", "context_encoder"):
        stem, unit = f"{part}.convnormrelu", f"{part}.layer{{stage}}.{{unit}}"
        ours = f"{part}/stage{{stage}}_unit{{unit+1}}"
        rules += convolution(f"{stem}.0", f"{part}/stem_conv") + batch_norm(f"{stem}.1", f"{part}/stem_norm")
        rules += convolution(f"{unit}.convnormrelu{{n}}.0", f"{ours}/conv{{n}}")
        rules += batch_norm(f"{unit}.convnormrelu{{n}}.1", f"{ours}/norm{{n}}")
        rules += convolution(f"{unit}.downsample.0", f"{ours}/shortcut_conv")
        rules += batch_norm(f"{unit}.downsample.1", f"{ours}/shortcut_norm")
        rules += convolution(f"{part}.conv", f"{part}/out")
    motion = "update_block.motion_encoder"
    rules += convolution(f"{motion}.convcorr{{n}}.0", "update/motion/correlation{n}")
    rules += convolution(f"{motion}.convflow{{n}}.0", "update/motion/flow{n}")
    rules += convolution(f"{motion}.conv.0", "update/motion/out")
    for gate in "zrq":
        theirs = f"update_block.recurrent_block.convgru{{n}}.conv{gate}"
        rules.append(Rule(f"{theirs}.weight", f"params/update/gru{{n}}/{gate}_kernel", (2, 3, 1, 0)))
        rules.append(Rule(f"{theirs}.bias", f"params/update/gru{{n}}/{gate}_bias"))
    rules += convolution("update_block.flow_head.conv{n}", "update/head{n}")
    rules += convolution("mask_predictor.convrelu.0", "update/mask1")
    rules += convolution("mask_predictor.conv", "update/mask2")
    return Family(join(tuple(rules)))
