"""Rules of the building blocks that several of torchvision's networks are made of. Lecture row L48."""

from zoo.weights.rules import Rule, batch_norm, convolution


def conv_norm(theirs: str, ours: str, index: int = 0, space: int = 2) -> tuple[Rule, ...]:
    """A convolution at an index of a torch Sequential, and the norm behind it; such is Conv2dNormActivation."""
    layers = convolution(f"{theirs}.{index}", f"{ours}/conv", space)
    return layers + batch_norm(f"{theirs}.{index + 1}", f"{ours}/norm")


def basic_conv(theirs: str, ours: str) -> tuple[Rule, ...]:
    """BasicConv2d, of the inception networks."""
    return convolution(f"{theirs}.conv", f"{ours}/conv") + batch_norm(f"{theirs}.bn", f"{ours}/norm")


def squeeze_excite(theirs: str, ours: str) -> tuple[Rule, ...]:
    """SqueezeExcitation."""
    return convolution(f"{theirs}.fc1", f"{ours}/reduce") + convolution(f"{theirs}.fc2", f"{ours}/expand")
