"""From the bytes of a batch to what a model sees: which moves, in which order, then normalisation.

A move is drawn once an example and done to every field by its kind. Read `moves.py` and `geometry.py` first;
`colour.py` and `trivial.py` change images and clips alone, `mixing.py` their labels too.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Key

from train.config import Augment, RecipeError
from train.data.augment import colour, geometry, mixing
from train.data.augment.moves import At, Batch, of_planes, planes_of
from train.data.augment.trivial import trivial_augment
from train.data.fields import NO_FACTS, PIXELS, SIZE, STILL, Facts, Kind, Spec, describe, size_of
from train.data.flow_bytes import to_motion

_TO_FLOAT = {Kind.IMAGE: colour.to_float, Kind.CLIP: colour.to_float, Kind.FLOWS: to_motion}
"""What bytes become."""
_OTHERS = tuple(kind for kind in Kind if kind not in (*PIXELS, *STILL))
RULES = {
    *geometry.APPLY,
    *((move, kind) for move in ("trivial", "cutout", "erase", "mixup", "cutmix") for kind in PIXELS),
    *((move, kind) for move in ("cutout", "erase") for kind in _OTHERS),
}
"""Which moves know what to do with which kinds, beside those that stay as they are (`STILL`). Holes and noise hide
pixels and move none: boxes and label maps stay right. TrivialAugment moves some, and mixing shows two examples."""


def augment(
    config: Augment, spec: Spec, facts: Facts = NO_FACTS, mixes: tuple[str, ...] = ()
) -> Callable[[Key[Array, ""], Batch], Batch]:
    """The pure function `f(key, batch) -> batch` for training: uint8 images become float32, varied.

    Mixup and cutmix add NAME_b for each field that is mixed and "mix" (float32), the weight of NAME in the loss:
    mix * loss(label) + (1 - mix) * loss(label_b). Give it the whole batch, before devices share it:
    they mix each image with another of the batch. Fields that are not in the spec stay as they are.

    Args:
      config: which moves.
      spec: the fields of an example.
      facts: what they mean.
      mixes: the fields that the task mixes where images are mixed, often its label.

    Raises:
      RecipeError: a move has no rule for a field, or does not fit it; the message names both.

    >>> from train.data.fields import Field
    >>> spec = {"image": Field(Kind.IMAGE, (8, 8, 1), "uint8"), "label": Field(Kind.LABEL, (), "int32")}
    >>> import jax.numpy as jnp
    >>> batch = {"image": jnp.zeros((2, 8, 8, 1), jnp.uint8), "label": jnp.array([3, 5])}
    >>> mixed = jax.jit(augment(Augment(flip=True, mixup=0.2), spec, mixes=("label",)))(jax.random.key(0), batch)
    >>> mixed["image"].dtype, mixed["label_b"].tolist(), mixed["mix"].shape
    (dtype('float32'), [5, 3], (2,))
    """
    _check_moves(config, spec, facts, mixes)
    normalise = _normaliser(config, spec)
    images = {name: field.kind for name, field in spec.items() if field.kind in PIXELS}
    floats = {name: _TO_FLOAT[field.kind] for name, field in spec.items() if field.kind in _TO_FLOAT}
    shown = {name: field for name, field in spec.items() if size_of(field)}

    def recolour(batch: Batch, change: Callable[[Array], Array]) -> Batch:
        """Changes images and clips, frames as channels of one image."""
        changed = {
            name: of_planes(change(planes_of(batch[name], kind)), kind, batch[name].shape)
            for name, kind in images.items()
        }
        return {**batch, **changed}

    def apply(key: Key[Array, ""], batch: Batch) -> Batch:
        count = len(next(iter(batch.values())))
        sizes = [size_of(field._replace(shape=batch[name].shape[1:])) for name, field in shown.items()]
        at = At(*sizes[0], facts) if sizes else None  # not of the spec: a batch may be wide or tall
        # Each variation has a key of its own, so that switching one on leaves the others' draws alone.
        keys = [jax.random.fold_in(key, number) for number in range(8)]
        # Those that take bytes come first: a quarter of the memory traffic.
        if config.pad_crop:
            batch = geometry.move("pad_crop", batch, geometry.draw_shift(keys[0], count, config.pad_crop), spec, at)
        if config.flip:
            mirror = geometry.draw_mirror(keys[1], count)
            if SIZE in spec:
                mirror = mirror._replace(width=batch[SIZE][:, 1])
            batch = geometry.move("flip", batch, mirror, spec, at)
        if config.trivial:
            batch = {**batch, **{name: trivial_augment(keys[7], batch[name]) for name in images}}
        batch = {**batch, **{name: change(batch[name]) for name, change in floats.items()}}
        if config.rotate:
            batch = geometry.move("rotate", batch, geometry.draw_turn(keys[2], count, config.rotate), spec, at)
        if config.cutout:
            batch = recolour(batch, lambda value: colour.cutout(keys[3], value, config.cutout))
        if config.erase:
            batch = recolour(batch, lambda value: colour.random_erasing(keys[4], value, config.erase))
        if config.mixup or config.cutmix:
            weights = []

            def mix(value: Array) -> Array:
                mixed, weight = mixing.mix(keys[5], keys[6], value, config.mixup, config.cutmix)
                weights.append(weight)
                return mixed

            batch = recolour(batch, mix) | mixing.partners(batch, mixes)
            batch["mix"] = weights[0]  # all have the same
        return normalise(batch)

    return apply


def preprocess(config: Augment, spec: Spec) -> Callable[[Batch], Batch]:
    """The pure function `f(batch) -> batch` for evaluation: float32 images, normalised and not varied.

    Fields of the spec that a batch lacks are not asked for.

    Raises:
      RecipeError: mean or std do not fit the images.
    """
    normalise = _normaliser(config, spec)
    floats = {name: _TO_FLOAT[field.kind] for name, field in spec.items() if field.kind in _TO_FLOAT}

    def apply(batch: Batch) -> Batch:
        return normalise({**batch, **{name: f(batch[name]) for name, f in floats.items() if name in batch}})

    return apply


def _normaliser(config: Augment, spec: Spec) -> Callable[[Batch], Batch]:
    images = {name: field.shape[-1] for name, field in spec.items() if field.kind in PIXELS}
    for part in ("mean", "std"):
        values = getattr(config, part)
        for channels in images.values():
            if len(values) not in (0, 1, channels):
                raise RecipeError(f"augment.{part}: expected one value or {channels}, one a channel, got {values}")

    def normalise(batch: Batch) -> Batch:
        return {**batch, **{name: normalised(batch[name]) for name in images if name in batch}}

    def normalised(value: Float[Array, "batch ... channels"]) -> Float[Array, "batch ... channels"]:
        return colour.normalise(value, config.mean or (0.0,), config.std or (1.0,))

    return normalise if config.mean or config.std else lambda batch: batch


def _check_moves(config: Augment, spec: Spec, facts: Facts, mixes: tuple[str, ...]) -> None:
    names = ("pad_crop", "flip", "trivial", "rotate", "cutout", "erase", "mixup", "cutmix")
    moves = [name for name in names if getattr(config, name)]
    for move in moves:
        for name, field in spec.items():
            if field.kind not in STILL and (move, field.kind) not in RULES:
                raise RecipeError(f"augment.{move}: no rule for field {name!r} ({field.kind})")
        if not any(size_of(field) if move in geometry.MOVES else field.kind in PIXELS for field in spec.values()):
            raise RecipeError(f"augment.{move}: expected examples with an image, found {describe(spec)}")
    if SIZE in spec and (wrong := [move for move in moves if move in ("pad_crop", "rotate")]):
        raise RecipeError(f"augment.{wrong[0]}: expected images that fill their canvas, found the field {SIZE!r}")
    if config.mixup or config.cutmix:
        if not mixes:
            raise RecipeError("augment.mixup and augment.cutmix mix labels: they do not go with a task that mixes none")
        for name in mixes:
            if name not in spec:
                raise RecipeError(
                    f"augment.mixup and augment.cutmix mix labels: expected {name!r} among the fields,"
                    f" found {', '.join(spec)}"
                )
    if not set(moves) & set(geometry.MOVES):
        return
    sizes = {name: size for name, field in spec.items() if (size := size_of(field))}
    if len(set(sizes.values())) > 1 or None in next(iter(sizes.values())):
        raise RecipeError(f"augment: expected fields of one height and width, found {describe(spec)}")
    for name, field in spec.items():
        if field.kind == Kind.KEYPOINTS and max(map(max, facts.mirror), default=-1) >= field.shape[-2]:
            raise RecipeError(
                f"augment: expected pairs of the {field.shape[-2]} points of {name!r}, got {facts.mirror}"
            )
