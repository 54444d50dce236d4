"""Names of vision transformers' weights in torchvision. Lecture row L48."""

from zoo.weights.rules import Family, Rule, convolution, join, layer_norm, linear

_THEIRS, _OURS = "encoder.layers.encoder_layer_{block}", "stage1/block{block+1}"

FAMILY = Family(
    join(
        convolution("conv_proj", "stem/conv"),
        (
            Rule("class_token", "params/class_token"),
            Rule("encoder.pos_embedding", "params/position_embedding"),
            Rule(f"{_THEIRS}.self_attention.in_proj_weight", f"params/{_OURS}/attention/in_proj/kernel", (1, 0)),
            Rule(f"{_THEIRS}.self_attention.in_proj_bias", f"params/{_OURS}/attention/in_proj/bias"),
        ),
        linear(f"{_THEIRS}.self_attention.out_proj", f"{_OURS}/attention/out_proj"),
        layer_norm(f"{_THEIRS}.ln_{{n}}", f"{_OURS}/norm{{n}}"),
        linear(f"{_THEIRS}.mlp.0", f"{_OURS}/mlp/dense1"),
        linear(f"{_THEIRS}.mlp.3", f"{_OURS}/mlp/dense2"),
        layer_norm("encoder.ln", "final_norm"),
        linear("heads.head", "head"),
        linear(f"{_THEIRS}.mlp.linear_{{n}}", f"{_OURS}/mlp/dense{{n}}"),  # files from before 2022
    )
)
"""torchvision/models/vision_transformer.py."""
