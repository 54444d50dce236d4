"""The blocks of a report: they take plain values and return escaped HTML."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report.figures import SMALL_IMAGE, viewable
from train.report.words import percent, plain, shorten

LARGEST_THUMBNAIL = 160
"""Pixels a side; a grid of photographs stays below a megabyte."""


def section(title: str, *blocks: str, text: str = "") -> str:
    """A heading, an optional line of plain text under it, and blocks of HTML."""
    lead = f'<p class="muted">{html.escape(text)}</p>\n' if text else ""
    return f"<section>\n<h2>{html.escape(title)}</h2>\n{lead}{''.join(blocks)}</section>\n"


def headline(eyebrow: str, title: str, result: str, label: str, detail: str) -> str:
    """What ran, and its result as the largest thing on the page."""
    eyebrow, title, result, label, detail = map(html.escape, (eyebrow, title, result, label, detail))
    return (
        f'<header>\n<p class="eyebrow">{eyebrow}</p>\n<h1>{title}</h1>\n</header>\n'
        f'<div class="headline"><strong>{result}</strong>'
        f'<div><span>{label}</span><span class="muted">{detail}</span></div></div>\n'
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A row of small labelled values."""
    items = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in pairs)
    return f'<dl class="facts">{items}</dl>\n'


def note(text: str) -> str:
    """A line that must not be missed."""
    return f'<p class="note">{html.escape(text)}</p>\n'


def row(*blocks: str) -> str:
    """Blocks side by side where there is room, below each other on a phone."""
    return f'<div class="row">{"".join(f"<div>{block}</div>" for block in blocks)}</div>\n'


def picture(light: bytes, dark: bytes, description: str, width: int) -> str:
    """A figure as two PNGs, for light and dark, at most `width` CSS pixels wide."""
    return (
        f'<figure class="plot" style="max-width:{width}px"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{_data_url(dark)}">'
        f'<img src="{_data_url(light)}" alt="{html.escape(description)}"></picture></figure>\n'
    )


def tiles(
    images: Sequence[UInt8[np.ndarray, "height width channels"]],
    captions: Sequence[Sequence[str]],
    descriptions: Sequence[str],
    wrong: bool,
) -> str:
    """A grid of examples: lines of caption, the first bold (orange if wrong), and a description in words."""
    items = []
    kind = ' class="wrong"' if wrong else ""
    for image, (first, *others), description in zip(images, captions, descriptions, strict=True):
        crisp = ' class="pixels"' if max(image.shape[:2]) < SMALL_IMAGE else ""
        lines = "<br>".join(map(html.escape, others))
        items.append(
            f'<figure{kind} title="{html.escape(description)}">'
            f'<img{crisp} src="{_image(image)}" alt="{html.escape(description)}">'
            f"<figcaption><b>{html.escape(first)}</b>{lines}</figcaption></figure>\n"
        )
    return f'<div class="tiles">{"".join(items)}</div>\n'


def matrix(counts: Int[np.ndarray, "classes classes"], class_names: Sequence[str]) -> str:
    """A confusion matrix as a table; a cell's colour is the square root of its share of the row."""
    upright = ' class="upright"' if max(map(len, class_names)) > 2 else ""
    heads = "".join(f'<th scope="col"{upright}><span>{html.escape(shorten(name))}</span></th>' for name in class_names)
    support = counts.sum(axis=1)
    lines = []
    for true, name in enumerate(class_names):
        cells = [_cell(counts[true], predicted, true, class_names) for predicted in range(len(class_names))]
        if not support[true]:
            cells[true] = '<td title="no example of this class">–</td>'
        lines.append(f'<tr><th scope="row">{html.escape(shorten(name))}</th>{"".join(cells)}</tr>\n')
    head = f'<tr><td class="corner"></td>{heads}</tr>'
    return (
        f'<div class="scroll"><table class="matrix"><thead>{head}</thead>\n'
        f"<tbody>{''.join(lines)}</tbody></table></div>\n"
    )


def bars(rows: Sequence[tuple[str, float | None, str, str]]) -> str:
    """Horizontal bars: (name, share in [0, 1] or None where there is none, its text, a count)."""
    lines = []
    for name, share, text, count in rows:
        fill = "" if share is None else f'<i style="width:{100 * share:.2f}%"></i>'
        lines.append(
            f'<tr><th scope="row">{html.escape(shorten(name, 30))}</th><td class="bar"><span>{fill}</span></td>'
            f'<td>{html.escape(text)}</td><td class="count">{html.escape(count)}</td></tr>\n'
        )
    return f'<table class="bars"><tbody>{"".join(lines)}</tbody></table>\n'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table with a head."""
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(v)}</td>" for v in values) + "</tr>\n" for values in rows)
    return (
        f'<div class="scroll"><table class="list"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n'
    )


def values(title: str, pairs: Mapping[str, Any]) -> str:
    """Named values under a small heading; nested ones get dotted names."""
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>\n'
        for name, value in _flat(pairs)
    )
    return f'<h3>{html.escape(title)}</h3>\n<table class="list values"><tbody>{body}</tbody></table>\n'


def details(summary: str, block: str) -> str:
    """A block that opens on a click."""
    return f"<details><summary>{html.escape(summary)}</summary>\n{block}</details>\n"


def command(text: str) -> str:
    """A line to type into a shell."""
    return f"<pre><code>{html.escape(text)}</code></pre>\n"


def _flat(pairs: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines = []
    for name, value in pairs.items():
        nested = isinstance(value, Mapping) and value
        lines += _flat(value, f"{prefix}{name}.") if nested else [(f"{prefix}{name}", plain(value))]
    return lines


def _cell(row: Float[np.ndarray, " classes"], predicted: int, true: int, class_names: Sequence[str]) -> str:
    count = int(row[predicted])
    if not count:
        return "<td></td>"
    share = count / row.sum()
    strength = share**0.5
    kind = ("right" if predicted == true else "wrong") + (" strong" if strength > 0.6 else "")
    pair = f"true {class_names[true]}, predicted {class_names[predicted]}"
    title = f"{pair}: {count} of {row.sum()} ({percent(count, row.sum(), 1)})"
    return f'<td class="{kind}" style="--share:{strength:.3f}" title="{html.escape(title)}">{count:,}</td>'


def thumbnail(image: UInt8[np.ndarray, "height width channels"]) -> UInt8[np.ndarray, "height width channels"]:
    """As much of an image as a tile shows: small images as they are, larger ones reduced to `LARGEST_THUMBNAIL`.

    >>> thumbnail(np.zeros((320, 640, 3), np.uint8)).shape, thumbnail(np.zeros((8, 8, 2), np.uint8)).shape
    ((80, 160, 3), (8, 8, 2))
    """
    if max(image.shape[:2]) <= LARGEST_THUMBNAIL:
        return image
    from PIL import Image

    reduced = Image.fromarray(viewable(image))
    reduced.thumbnail((LARGEST_THUMBNAIL, LARGEST_THUMBNAIL))
    return np.atleast_3d(np.asarray(reduced))


def _image(image: UInt8[np.ndarray, "height width channels"]) -> str:
    """Small images exactly, as PNG; large ones reduced, as JPEG."""
    from PIL import Image

    shown = Image.fromarray(viewable(thumbnail(image)))
    exact = max(shown.size) < SMALL_IMAGE or shown.mode == "RGBA"
    stream = io.BytesIO()
    shown.save(stream, **({"format": "PNG"} if exact else {"format": "JPEG", "quality": 88}))
    return _data_url(stream.getvalue(), "png" if exact else "jpeg")


def _data_url(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
