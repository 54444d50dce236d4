"""Names of ShuffleNet V2's weights in torchvision. Lecture row L48."""

from zoo.weights.blocks import conv_norm
from zoo.weights.rules import Family, join, linear

THEIRS, OURS = "stage{stage+1}.{block}", "stage{stage}/block{block+1}"

FAMILY = Family(
    join(
        conv_norm("conv1", "stem"),
        conv_norm(f"{THEIRS}.branch1", f"{OURS}/branch1/depthwise", 0),
        conv_norm(f"{THEIRS}.branch1", f"{OURS}/branch1/pointwise2", 2),
        conv_norm(f"{THEIRS}.branch2", f"{OURS}/branch2/pointwise1", 0),
        conv_norm(f"{THEIRS}.branch2", f"{OURS}/branch2/depthwise", 3),
        conv_norm(f"{THEIRS}.branch2", f"{OURS}/branch2/pointwise2", 5),
        conv_norm("conv5", "final"),
        linear("fc", "head"),
    )
)
