"""Names of RegNets' weights in torchvision. Lecture row L48."""

from zoo.weights.rules import Family, Rule, batch_norm, convolution, join, linear


def _stage(stage: int) -> tuple[Rule, ...]:
    theirs = f"trunk_output.block{stage}.block{stage}-{{block}}"
    ours = f"stage{stage}/block{{block+1}}"
    layers = [(f"{theirs}.proj", f"{ours}/shortcut/conv", f"{ours}/shortcut/norm")]
    layers += [
        (f"{theirs}.f.{letter}", f"{ours}/conv{n}", f"{ours}/norm{n}") for n, letter in enumerate("abc", start=1)
    ]
    return join(
        *(join(convolution(f"{part}.0", conv), batch_norm(f"{part}.1", norm)) for part, conv, norm in layers),
        convolution(f"{theirs}.f.se.fc1", f"{ours}/se/reduce"),
        convolution(f"{theirs}.f.se.fc2", f"{ours}/se/expand"),
    )


FAMILY = Family(
    join(
        convolution("stem.0", "stem/conv"),
        batch_norm("stem.1", "stem/norm"),
        *map(_stage, (1, 2, 3, 4)),
        linear("fc", "head"),
    )
)
"""torchvision/models/regnet.py."""
