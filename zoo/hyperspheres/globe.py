"""Prototypes and embedded points on the unit sphere: a globe to turn in a page or notebook, and a still picture.

Lecture rows L80-L94. The script of the globe is globe.js beside this file.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import importlib.resources
import json
import typing
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from zoo.hyperspheres.scene import (
    BEHIND,
    VIRIDIS,
    Scene,
    class_colours,
    graticule,
    lightened,
    make_scene,
    turned,
    viewpoint,
)

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HINT = "Drag to turn; two fingers, or Ctrl and the wheel, zoom."
STYLE = """
.zoo-globe { margin: 0; max-width: 42rem; }
.zoo-globe canvas {
  display: block; width: 100%; aspect-ratio: 4 / 3; cursor: grab; touch-action: pan-y; border-radius: 4px;
}
.zoo-globe canvas:active { cursor: grabbing; }
.zoo-globe canvas:focus-visible { outline: 2px solid #3f90da; }
.zoo-globe div { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .8rem; margin: .4rem 0; }
.zoo-globe div[hidden] { display: none; }
.zoo-globe button { font: inherit; min-width: 4.5rem; }
.zoo-globe input { flex: 1 1 8rem; accent-color: #3f90da; }
.zoo-globe output { flex: 0 1 auto; min-width: 8rem; font-variant-numeric: tabular-nums; }
.zoo-globe i { flex: 1 1 8rem; max-width: 16rem; height: .7rem; border-radius: 2px; }
.zoo-globe figcaption { font-size: .85rem; opacity: .75; }
@media (max-width: 34rem) { .zoo-globe canvas { aspect-ratio: 1; } }
"""


def globe(
    prototypes: Float[np.ndarray, "classes dims"],
    frames: Float[np.ndarray, "frames points dims"] | Float[np.ndarray, "points dims"],
    labels: Int[np.ndarray, " points"] | None,
    class_names: Sequence[str] = (),
    titles: Sequence[str] = (),
    values: Float[np.ndarray, " points"] | None = None,
    unit: str = "",
) -> str:
    """A sphere that a reader turns, as a piece of HTML that needs no library, no network and no other file.

    It may stand several times on one page; in a notebook `IPython.display.HTML(globe(...))` shows it. A page whose
    security policy is strict has to allow the source `script_source()`. Several frames, such as epochs of a training,
    get a slider and are joined along great circles; the last one is shown first. Vectors are made unit vectors, but
    for zeros, which stay in the centre. Two dimensions are a circle; of more than three, the first three principal
    axes of the prototypes are shown (of the last frame's points where the prototypes span less), and a caption says
    how much of the variance they keep.

    Args:
      prototypes: one a class, or the poles of a regression.
      frames: outputs of any length, the same points in every frame.
      labels: the class of each point; may be None where there are values.
      class_names: one a prototype; by default its number.
      titles: one a frame, such as "epoch 3: 97.1 %"; by default its number.
      values: of a regression; they then colour the points in place of the classes.
      unit: of the values.

    Raises:
      ValueError: for shapes or counts that do not fit each other, not finite numbers, labels that are no class.
    """
    scene = make_scene(prototypes, frames, labels, class_names, values)
    if len(titles) not in (0, len(scene.frames)):
        raise ValueError(f"expected {len(scene.frames)} titles, one a frame, or none, got {len(titles)}")
    projected = scene.dims > 3
    data = {
        "dims": scene.dims,
        "view": _rounded(np.array(viewpoint(scene))),
        "names": scene.names,
        "colours": class_colours(len(scene.names)),
        "prototypes": _rounded(scene.prototypes),
        "frames": [_rounded(frame) for frame in scene.frames],
        "angles": [_rounded(row) for row in scene.angles] if projected else [],
        "labels": scene.labels.tolist(),
        "values": [float(f"{value:.6g}") for value in scene.values],
        "range": list(scene.limits),
        "stops": VIRIDIS,
        "unit": unit,
        "titles": [str(title) for title in titles],
    }
    # A name may hold a tag's end; these three letters mean the same to JSON, and nothing to HTML.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    count, points = len(scene.frames), scene.frames.shape[1]
    what = f"{len(scene.names)} prototypes and {points} points" + (f" in {count} frames" if count > 1 else "")
    hidden = " hidden" if count == 1 else ""
    return f"""<figure class="zoo-globe" data-lm-suppress-shortcuts="true">
<style>{STYLE}</style>
<canvas tabindex="0" role="img" aria-label="Unit sphere with {what}; arrow keys turn it, plus and minus zoom"></canvas>
<p data-waiting>The globe is drawn by a script, and scripts do not run here.</p>
<div{hidden}><button type="button">Play</button><input type="range" aria-label="Frame"
min="0" max="{count - 1}" step="1" value="{count - 1}" autocomplete="off"><output></output></div>
{_legend(scene, unit)}<figcaption>{html.escape(scene.caption)}{HINT}</figcaption>
<script type="application/json">{text}</script>
<script>{_script()}</script>
</figure>
"""


def script_source() -> str:
    """The script of every globe as a Content-Security-Policy names it: put it after `script-src`.

    >>> script_source()[:8]
    "'sha256-"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()}'"


def globe_picture(
    prototypes: Float[np.ndarray, "classes dims"],
    points: Float[np.ndarray, "points dims"],
    labels: Int[np.ndarray, " points"] | None,
    class_names: Sequence[str] = (),
    values: Float[np.ndarray, " points"] | None = None,
    unit: str = "",
    title: str = "",
    paper: str = "#ffffff",
    ink: str = "#1b1f24",
) -> Figure:
    """The same as a still picture, 6 by 5 inches, from where the prototypes lie far apart in it.

    Arguments are those of `globe`, for one frame; `paper` and `ink` are the colours of page and text.

    Raises:
      ValueError: as `globe`, and for points of several frames.
    """
    from matplotlib.figure import Figure

    if np.ndim(points) != 2:
        raise ValueError(f"expected points (points, dims), got shape {np.shape(points)}")
    scene = make_scene(prototypes, points, labels, class_names, values)
    figure = Figure(figsize=(6, 5), layout="constrained", facecolor=paper)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.12, 1.12), aspect="equal")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=ink, parse_math=False)
    if scene.caption:
        figure.supxlabel(scene.caption.strip(), fontsize=8, color=ink, alpha=0.75, parse_math=False)
    view = viewpoint(scene)
    _draw_sphere(axes, scene, view, ink)
    _draw_points(axes, scene, view, unit, paper, ink)
    _draw_prototypes(axes, scene, view, paper, ink)
    return figure


def _draw_sphere(axes: Axes, scene: Scene, view: tuple[float, float], ink: str) -> None:
    around = np.linspace(0, 2 * np.pi, 145)
    axes.plot(np.cos(around), np.sin(around), color=ink, alpha=0.4, lw=1, zorder=0)
    for circle in graticule(around) if scene.dims > 2 else ():
        right, up, depth = turned(circle, *view).T
        for part, alpha in ((depth < BEHIND, 0.06), (depth >= BEHIND, 0.18)):
            axes.plot(
                np.where(part, right, np.nan), np.where(part, up, np.nan), color=ink, alpha=alpha, lw=0.8, zorder=0
            )


def _draw_points(axes: Axes, scene: Scene, view: tuple[float, float], unit: str, paper: str, ink: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba_array

    light = _lightness(paper, ink)
    colours = to_rgba_array([lightened(class_colours(len(scene.names)), light)[label] for label in scene.labels])
    if scene.values.size:
        ramp = LinearSegmentedColormap.from_list("values", lightened(VIRIDIS, light))
        shades = ScalarMappable(Normalize(*scene.limits), ramp)
        colours = shades.to_rgba(scene.values)
        bar = axes.figure.colorbar(shades, ax=axes, shrink=0.6, aspect=30, pad=0.02)
        bar.set_label(unit, color=ink, parse_math=False)
        bar.ax.tick_params(colors=ink, labelsize=8, length=0)
        bar.outline.set_visible(False)
    right, up, depth = turned(scene.frames[0], *view).T
    for part, alpha, order in ((depth < BEHIND, 0.3, 1), (depth >= BEHIND, 0.85, 3)):
        size = 12 if len(depth) <= 400 else 6
        axes.scatter(right[part], up[part], s=size, c=colours[part], alpha=alpha, linewidths=0, zorder=order)


def _draw_prototypes(axes: Axes, scene: Scene, view: tuple[float, float], paper: str, ink: str) -> None:
    """The nearest first; a name that would lie on another is left out."""
    seen, colours = turned(scene.prototypes, *view), lightened(class_colours(len(scene.names)), _lightness(paper, ink))
    taken: list[tuple[float, float, float]] = []
    for k in np.argsort(-seen[:, 2]):
        right, up, depth = seen[k]
        order, alpha = (2, 0.45) if depth < BEHIND else (4, 1.0)
        axes.plot([0, right], [0, up], color=colours[k], alpha=0.8 * alpha, lw=1.2, zorder=order)
        axes.plot(right, up, "o", ms=9, mfc=colours[k], mec=ink, mew=1.2, alpha=alpha, zorder=order)
        name = scene.names[k] if len(scene.names[k]) <= 18 else scene.names[k][:17] + "…"
        long = 0.04 * len(name)  # about, for this size of letters
        left = right + 0.05 if right >= 0 else right - 0.05 - long
        if any(abs(up - y) < 0.06 and left < end and left + long > begin for begin, end, y in taken):
            continue
        taken.append((left, left + long, up))
        axes.annotate(
            name, (right, up), xytext=(8 if right >= 0 else -8, 0), textcoords="offset points", fontsize=9,
            ha="left" if right >= 0 else "right", va="center", color=ink, alpha=max(alpha, 0.6), parse_math=False,
            zorder=order,
        )  # fmt: skip


def _lightness(paper: str, ink: str) -> float:
    """How much white is mixed into the colours: some on dark paper."""
    from matplotlib.colors import to_rgb

    return 0.3 if sum(to_rgb(paper)) < sum(to_rgb(ink)) else 0.0


@functools.cache
def _script() -> str:
    """Starts every globe that is there and not yet drawn: a notebook may run it elsewhere than where it stands."""
    functions = importlib.resources.files("zoo.hyperspheres").joinpath("globe.js").read_text(encoding="utf-8")
    begin = 'document.querySelectorAll(".zoo-globe:not([data-started])").forEach(start);'
    return f'(() => {{\n"use strict";\n{functions}{begin}\n}})();'


def _legend(scene: Scene, unit: str) -> str:
    if not scene.values.size:
        return ""
    low, high = (html.escape(f"{limit:.4g} {unit}".strip()) for limit in scene.limits)
    return f"<div><span>{low}</span><i></i><span>{high}</span></div>\n"


def _rounded(numbers: Float[np.ndarray, "..."]) -> list[float]:
    """In one row, to three decimals, without a minus before a zero."""
    return (np.round(numbers, 3) + 0.0).ravel().tolist()
