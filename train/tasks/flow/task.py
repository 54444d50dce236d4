"""Optical flow: two images, and for each pixel of the first the vector to where it is in the second.

Dosovitskiy et al., 2015, FlowNet; Teed and Deng, 2020, RAFT; without true flow Jonschkowski et al., 2020, What Matters
in Unsupervised Optical Flow. Losses are in `zoo.dense.flow_losses`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from train.config import Metric, RecipeError
from train.config.tasks.flow import Flow as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.protocol import Batch, OneForward, Page, Prediction, Ratio, Totals
from zoo.dense.flow_layers import whole
from zoo.dense.flow_losses import (
    MULTI_SCALE_WEIGHTS,
    multi_scale_loss,
    photometric_loss,
    sequence_loss,
    smoothness_loss,
)
from zoo.dense.flow_metrics import flow_sums, known
from zoo.dense.warp import warp

EPE = Metric("epe", "End-point error", unit="px", higher_is_better=False)
EPE_VISIBLE = Metric("epe_visible", "End-point error, not occluded", unit="px", higher_is_better=False)
FL_ALL = Metric("fl_all", "Outliers (Fl-all)", percent=True, higher_is_better=False)
ZERO = "epe_zero"
"""The end-point error of no motion at all: in the records and on the page, beside the model's."""
KINDS = {"image": Kind.IMAGE, "second": Kind.IMAGE, "flow": Kind.FLOW, "occluded": Kind.LABEL_MAP}

Flow = Float[Array, "batch height width 2"]
Outputs = Flow | Sequence[Float[Array, "batch _ _ 2"]]


@dataclasses.dataclass(frozen=True)
class OpticalFlow(OneForward):
    """A vector a pixel: float32 `batch["flow"]`, x before y, in pixels. Pixels where it is nan count nowhere."""

    places: ClassVar[Mapping[str, Kind]] = {"flow": Kind.FLOW}
    frames: ClassVar[tuple[str, ...]] = ("image", "second")
    writes: ClassVar[tuple[str, ...]] = ("flo",)

    has_occluded: bool
    """Whether examples say which pixels the second image does not show, as 1 in "occluded"."""
    supervised: str
    weights: tuple[float, ...] = ()
    gamma: float = 0.8
    compare: str = "census"
    smoothness: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """By which the images are normalised: the photometric loss is of pixels from 0 to 1."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: whether the examples say what is occluded."""
        values = dataclasses.asdict(settings)
        values["supervised"] = values.pop("loss")
        return cls("occluded" in source.spec, **values)

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Self:
        """See `Task`."""
        return dataclasses.replace(self, mean=mean, std=std)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See `Task`."""
        return (EPE, *((EPE_VISIBLE,) if self.has_occluded else ()), FL_ALL)

    @property
    def fields(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("image", "second", "flow", *(("occluded",) if self.has_occluded else ()))

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: two images of one size, and the flow between them."""
        super().check(spec, facts)
        if wrong := [f"{name} of kind {spec[name].kind}" for name in self.fields if spec[name].kind != KINDS[name]]:
            raise RecipeError(f"expected {', '.join(KINDS[name] for name in self.fields)}, found {', '.join(wrong)}")
        if len({spec[name].shape[:2] for name in self.fields}) > 1 or spec["image"].shape != spec["second"].shape:
            raise RecipeError(f"expected two images of one shape and a flow of their size, found {describe(spec)}")

    def model_options(self) -> dict[str, Any]:
        """None."""
        return {}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is; one that takes other than two images fails as it is put together."""
        return model

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The first images and the second."""
        return batch["image"], batch["second"]

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """The loss that the settings name. Of a batch in which no pixel counts it is 0."""
        counted, flows = self._counted(batch), _listed(outputs)
        if self.supervised == "photometric":
            return self._photometric(flows[-1], batch)
        same = all(flow.shape == batch["flow"].shape for flow in flows)
        if self.supervised == "sequence" or (self.supervised == "auto" and same):
            return Ratio(*sequence_loss(flows, batch["flow"], counted, self.gamma))
        strides = [stride_of(batch["flow"].shape[1:3], flow.shape[1:3]) for flow in flows]
        return Ratio(*multi_scale_loss(flows, batch["flow"], counted, self._weights(len(flows)), strides))

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """Sums over the pixels whose flow is known: of all, of those that stay visible, and for no motion."""
        flow = whole_flow(_listed(outputs)[-1], batch["flow"].shape[1:3])
        counted = self._counted(batch)
        still = flow_sums(jnp.zeros_like(batch["flow"]), batch["flow"], counted)
        totals = {**flow_sums(flow, batch["flow"], counted), "still": still["error"]}
        if self.has_occluded:
            visible = flow_sums(flow, batch["flow"], counted & (batch["occluded"] == 0))
            totals |= {"visible_pixels": visible["pixels"], "visible_error": visible["error"]}
        return totals

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean end-point errors, in pixels, and the share of outliers; nan where no pixel's flow is known."""
        scores = {
            "epe": quotient(totals["error"], totals["pixels"]),
            "fl_all": quotient(totals["outliers"], totals["pixels"]),
            ZERO: quotient(totals["still"], totals["pixels"]),
        }
        if self.has_occluded:
            scores["epe_visible"] = quotient(totals["visible_error"], totals["visible_pixels"])
        return scores

    def decode(self, outputs: Outputs) -> Prediction:
        """The flow, in pixels."""
        return {"flow": _listed(outputs)[-1].astype(jnp.float32)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.flow.page import FlowPage

        return FlowPage()

    def _counted(self, batch: Batch) -> Bool[Array, "batch height width"]:
        return known(batch["flow"]) & batch["mask"][:, None, None]

    def _weights(self, flows: int) -> tuple[float, ...]:
        if self.weights:
            return self.weights
        return MULTI_SCALE_WEIGHTS if flows == len(MULTI_SCALE_WEIGHTS) else tuple(2.0**i for i in range(flows))[::-1]

    def _photometric(self, flow: Float[Array, "batch _ _ 2"], batch: Batch) -> Ratio:
        """How unlike the images are, and how much the flow changes, each over what counts; true flow is not read."""
        first, second = (
            batch[name] * jnp.array(self.std or (1.0,)) + jnp.array(self.mean or (0.0,)) for name in self.frames
        )
        flow = whole_flow(flow, first.shape[1:3])
        warped, inside = warp(second, flow)
        counted = inside & batch["mask"][:, None, None]
        unlike = photometric_loss(first, warped, counted, self.compare)
        rough = smoothness_loss(flow, first)
        terms = zip((unlike.total, self.smoothness * rough.total), (unlike.weight, rough.weight), strict=True)
        total, weight = (jnp.stack(parts) for parts in zip(*terms, strict=True))
        return Ratio(total, weight)


def whole_flow(flow: Float[Array, "batch rows columns 2"], size: tuple[int, int]) -> Flow:
    """A flow of places that are `stride` pixels apart, at every pixel of the image.

    >>> whole_flow(jnp.ones((1, 2, 3, 2)), (7, 9)).shape
    (1, 7, 9, 2)
    """
    return whole(flow, stride_of(size, flow.shape[1:3]), size)


def stride_of(size: tuple[int, int], places: tuple[int, int]) -> int:
    """Pixels from one place to the next, a power of two, where so many places begin in an image.

    Raises:
      ValueError: there is none.

    >>> stride_of((436, 1024), (109, 256))
    4
    """
    for power in range(max(size).bit_length() + 1):
        if tuple(places) == tuple(-(-side // 2**power) for side in size):
            return 2**power
    raise ValueError(f"expected a flow of an image's size {tuple(size)} over a power of two, got {tuple(places)}")


def quotient(total: float, weight: float) -> float:
    """A sum over a number; of nothing it is nan.

    >>> quotient(3.0, 2.0), quotient(0.0, 0.0)
    (1.5, nan)
    """
    return float(total / weight) if weight else float("nan")


def _listed(outputs: Outputs) -> Sequence[Float[Array, "batch _ _ 2"]]:
    """The flows, of which an evaluation has one."""
    return outputs if isinstance(outputs, tuple | list) else (outputs,)
