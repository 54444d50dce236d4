"""What the heads see of each region: RoIPool or RoIAlign of the maps, and after it stages of the backbone, if any.

Girshick, 2015, Fast R-CNN, section 2.1; He et al., 2017, Mask R-CNN, section 3. Stages: He et al., 2016, Deep Residual
Learning for Image Recognition, appendix A: a residual network has no dense layers to make a head of, so conv5 ("res5",
here stage4) runs on every region of the map of conv4 ("C4", here stage3), of stride 16. Lecture rows L57-L59, L67-L69.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Bool, Float

from zoo.detection.roi import roi_align_levels, roi_pool_levels
from zoo.nn import BatchNorm
from zoo.nn.maps import maps_of


def pooled(
    features: Sequence[Float[Array, "batch height width channels"]],
    boxes: Float[Array, "batch n 4"],
    side: int,
    height: int,
    kind: str,
    sampling_ratio: int = 2,
    sizes: Float[Array, "batch 2"] | None = None,
) -> Float[Array, "batch n side side channels"]:
    """What is taken of each region, of the map that its size wants.

    Args:
      features: the maps, from fine to coarse.
      boxes: left, top, right, bottom in pixels.
      side: bins a side.
      height: of the canvas, in pixels.
      kind: "align" for RoIAlign, "pool" for RoIPool.
      sampling_ratio: RoIAlign's samples a side of a bin.
      sizes: true heights and widths in pixels, where what surrounds the images is kept out.

    Raises:
      ValueError: there is no such kind.
    """
    scales = [2.0 ** round(math.log2(x.shape[1] / height)) for x in features]
    if kind == "pool":
        return roi_pool_levels(features, boxes, side, scales, sizes=sizes)
    if kind != "align":
        raise ValueError(f"expected pooling of pool or align, got {kind!r}")
    return roi_align_levels(features, boxes, side, scales, sampling_ratio, sizes=sizes)


def maps_below(
    backbone: nn.Module,
    images: Float[Array, "batch height width channels"],
    train: bool,
    names: Sequence[str],
    stages: Sequence[str] = (),
) -> dict[str, Float[Array, "batch _ _ _"]]:
    """Maps of the backbone, from fine to coarse, for which the stages that regions go through are not run.

    Args:
      backbone: answers `features=True`; with stages it has `maps_before` and `through` too, as `ResNet` has.
      images: its input.
      train: whether it trains.
      names: which maps.
      stages: those that regions go through, the backbone's last ones.

    Raises:
      ValueError: the backbone's stages cannot be run one by one, or others than its last ones are asked for.
      UnknownNameError: it has no map or no stage of a name.
    """
    if not stages:
        return maps_of(backbone, images, train, names)
    if not hasattr(backbone, "maps_before"):
        kind = type(backbone).__name__
        raise ValueError(f"expected a backbone whose stages run one by one, such as ResNet, got {kind}")
    last = backbone.stage_names[-len(stages) :]
    if tuple(stages) != last:
        raise ValueError(f"expected region_stages of the backbone's last stages, {last}, got {tuple(stages)}")
    maps = backbone.maps_before(stages[0], images, train)
    if unknown := [name for name in names if name not in maps]:
        raise ValueError(f"expected maps before {stages[0]}, which are {', '.join(maps)}, got {unknown[0]}")
    return {name: maps[name] for name in maps if name in names}


def through_stages(
    backbone: nn.Module,
    stages: Sequence[str],
    regions: Float[Array, "n rows columns channels"],
    train: bool,
    real: Bool[Array, "n"] | None = None,
) -> Float[Array, "n _ _ _"]:
    """What stages of the backbone make of each region.

    Args:
      backbone: as for `maps_below`.
      stages: by name, in order.
      regions: what is taken of each.
      train: whether the backbone's normalisations take the statistics of these regions.
      real: which regions count in them; by default all.
    """
    with nn.intercept_methods(_counting(real)):
        for stage in stages:
            regions = backbone.through(stage, regions, train)
    return regions


def _counting(real: Bool[Array, "n"] | None) -> Callable[..., Any]:
    """Tells batch normalisations which regions are real."""

    def count(call: Callable, arguments: tuple, options: Mapping[str, Any], context: Any) -> Any:
        if real is None or not isinstance(context.module, BatchNorm) or context.method_name != "__call__":
            return call(*arguments, **options)
        return call(*arguments, **{**options, "mask": real[:, None, None]})

    return count
