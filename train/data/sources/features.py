"""From the features that a TFDS data set declares to fields: which are read, under which name, as which kind."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from train.config import DataError
from train.data.fields import RESERVED, Field, Kind, size_of
from train.data.sampled import CLIP

MOST_OBJECTS = 100
"""Objects of an image at most, as many as COCO's evaluation looks at; TFDS does not say how many there are."""
_ANY_SIZE = {Kind.IMAGE: (None, None, 3), Kind.CLIP: (None, None, None, 3), Kind.LABEL_MAP: (None, None)}


class Part(NamedTuple):
    """A feature as a field."""

    path: tuple[str, ...]
    """Where a record has it: its name, after that of the sequence that it is in."""
    field: Field
    classes: tuple[str, ...] = ()
    """What its labels are called."""


def parts_of(name: str, features: Any, any_size: bool) -> dict[str, Part]:
    """The fields of a data set, by name; features that are of no kind are left out.

    Images, labelled images (label maps), class labels, boxes and single numbers keep their names; the first video is
    "clip". Of the first sequence that has boxes these are "boxes", class labels "classes", single numbers as they are
    called.

    Args:
      name: of the data set, for messages.
      features: `builder.info.features`.
      any_size: whether images may differ in size; then they are RGB.

    Raises:
      DataError: there is no image or nothing beside it, or images differ in size.
    """
    parts: dict[str, Part] = {}
    for key, part in [*_single(features), *_objects(features)]:
        if key not in RESERVED and key not in parts:
            parts[key] = part
    if not {"image", CLIP} & parts.keys() or len(parts) == 1:
        raise DataError(f"{name}: expected features image and label, found: {', '.join(features)}")
    if "image" not in parts:  # there is nothing in which boxes could be
        parts = {key: part for key, part in parts.items() if part.field.kind not in (Kind.BOXES, Kind.LABEL_MAP)}
    if "label" in features and ("label" not in parts or parts["label"].field.kind != Kind.LABEL):
        raise DataError(f"{name}: expected a class label, found {features['label']}")
    for key, part in parts.items():
        if part.field.kind not in (Kind.IMAGE, Kind.CLIP, Kind.LABEL_MAP):
            continue
        if any_size:
            parts[key] = part._replace(field=part.field._replace(shape=_ANY_SIZE[part.field.kind]))
        elif None in size_of(part.field):
            raise DataError(
                f"{name}: expected images of one size, found shape {part.field.shape};"
                " cut them to one with --data.crop, or put them on one with --data.canvas"
            )
    return parts


def _single(features: Any) -> Iterator[tuple[str, Part]]:
    """Features of which an example has one."""
    from tensorflow_datasets import features as kinds

    from train.data.sources.tfds_videos import StoredFrames

    for key, feature in features.items():
        if isinstance(feature, kinds.LabeledImage):
            yield (
                key,
                Part((key,), Field(Kind.LABEL_MAP, tuple(feature.shape)[:2], "int32"), tuple(feature.names or ())),
            )
        elif isinstance(feature, StoredFrames):
            yield CLIP, Part((key,), Field(Kind.CLIP, (None, *feature.video_shape[1:3], 3), "uint8"))
        elif isinstance(feature, kinds.Image):
            if feature.np_dtype == np.uint8:
                yield key, Part((key,), Field(Kind.IMAGE, tuple(feature.shape), "uint8"))
        elif isinstance(feature, kinds.BBoxFeature):
            if _relative(feature):
                yield key, Part((key,), Field(Kind.BOXES, (1, 4), "float32"))
        elif (part := _number((key,), feature)) is not None:
            yield key, part


def _objects(features: Any) -> Iterator[tuple[str, Part]]:
    """Features of which an example has one an object."""
    from tensorflow_datasets import features as kinds

    for key, feature in features.items():
        if not isinstance(feature, kinds.Sequence):
            continue
        inner = feature.feature
        found = {(key, name): inner[name] for name in inner} if hasattr(inner, "items") else {(key,): inner}
        if not any(isinstance(one, kinds.BBoxFeature) and _relative(one) for one in found.values()):
            continue
        most = (MOST_OBJECTS,)
        for path, one in found.items():
            if isinstance(one, kinds.BBoxFeature):
                yield "boxes", Part(path, Field(Kind.BOXES, (None, 4), "float32", most))
            elif (part := _number(path, one)) is not None:
                field = part.field._replace(shape=(None,), most=most)
                yield "classes" if field.kind == Kind.LABEL else path[-1], part._replace(field=field)
        return  # another sequence would count other objects


def _number(path: tuple[str, ...], feature: Any) -> Part | None:
    """A class label or a single number."""
    from tensorflow_datasets import features as kinds

    if isinstance(feature, kinds.ClassLabel):
        return Part(path, Field(Kind.LABEL, (), "int32"), tuple(feature.names))
    if not isinstance(feature, kinds.Tensor) or tuple(feature.shape) or isinstance(feature, kinds.Text):
        return None
    dtype = np.dtype(feature.np_dtype)
    if dtype.kind == "f":
        return Part(path, Field(Kind.VALUE, (), "float32"))
    return Part(path, Field(Kind.PLAIN, (), dtype.name)) if dtype.kind in "biu" else None


def _relative(feature: Any) -> bool:
    """Whether boxes are top, left, bottom, right as shares of the image, as TFDS has them unless it says otherwise."""
    described = getattr(feature, "bbox_format", None)
    return described is None or described.name == "REL_YXYX"
