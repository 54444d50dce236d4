"""The HTML of a run report: blocks that take plain values and return escaped HTML, and the page around them.

One self-contained file: pictures are data URLs, there is no script, and the page's own security policy
forbids any request. Light and dark follow the reader's system.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report.figures import SMALL_IMAGE, shorten, viewable

LARGEST_THUMBNAIL = 160  # pixels; a grid of photographs stays below a megabyte

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --soft: #f5f6f8; --line: #dfe3e8; --muted: #626b76; --ink: #1b1f24; --over: #ffffff;
  --blue: #0072b2; --orange: #b84e00; --right: 0 114 178; --wrong: 213 94 0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171b21; --soft: #1f242c; --line: #343b45; --muted: #98a2ae; --ink: #e6e9ed; --over: #11151a;
    --blue: #56b4e9; --orange: #f0883e; --right: 86 180 233; --wrong: 240 136 62;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 66rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 3rem 0 .25rem; letter-spacing: -.005em; }
h3 { font-size: .85rem; margin: 0 0 .3rem; color: var(--muted); font-weight: 600; }
p { margin: 0 0 .9rem; max-width: 46rem; }
figure { margin: 0; }
.muted, figcaption, .eyebrow { color: var(--muted); }
.eyebrow { font-size: .8rem; margin: 0 0 .2rem; }
.headline { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; margin: 1.6rem 0 1.4rem; }
.headline strong {
  font-size: clamp(3rem, 12vw, 4.5rem); line-height: 1.05; letter-spacing: -.035em; font-weight: 650;
}
.headline span { display: block; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1rem 1.5rem;
  margin: 0; padding: 1rem 0; border-block: 1px solid var(--line);
}
.facts dt { font-size: .8rem; color: var(--muted); }
.facts dd { margin: 0; font-weight: 600; }
.note { border-left: 3px solid var(--orange); background: var(--soft); padding: .6rem 1rem; margin: 1rem 0; }
.row {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: 1.5rem 2rem;
  align-items: start;
}
.plot + .row { margin-top: 1.5rem; }
.plot img { display: block; width: 100%; height: auto; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(5.6rem, 1fr)); gap: 1.1rem .9rem;
  margin-top: .8rem;
}
.tiles img {
  display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--soft);
  border-radius: 3px;
}
.tiles .pixels { image-rendering: pixelated; }
.tiles figcaption { font-size: .8rem; line-height: 1.35; padding-top: .35rem; overflow-wrap: anywhere; }
.tiles b { display: block; font-size: .9rem; color: var(--ink); }
.tiles .wrong b { color: var(--orange); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
.matrix { margin: .4rem 0; }
.matrix td {
  min-width: 2.3rem; height: 2.3rem; padding: 0 .2rem; text-align: center; background: var(--soft);
  border: 1px solid var(--paper);
}
.matrix .corner { background: none; }
.matrix th { font-weight: 400; padding: 0 .5rem; text-align: right; white-space: nowrap; color: var(--muted); }
.matrix thead th { text-align: center; vertical-align: bottom; padding: 0 0 .25rem; }
.matrix .upright span { writing-mode: vertical-rl; transform: rotate(180deg); }
.matrix .right { background: rgb(var(--right) / var(--share)); }
.matrix .wrong { background: rgb(var(--wrong) / var(--share)); }
.matrix .strong { color: var(--over); }
.bars { width: 100%; }
.bars th { font-weight: 400; text-align: left; padding: .18rem .8rem .18rem 0; overflow-wrap: anywhere; }
.bars td { padding: .18rem 0; text-align: right; white-space: nowrap; }
.bars .bar { width: 40%; padding-right: .8rem; }
.bars .bar span { display: block; height: .6rem; background: var(--soft); border-radius: 2px; }
.bars .bar i { display: block; height: 100%; background: var(--blue); border-radius: 2px; }
.bars .count { color: var(--muted); padding-left: .8rem; }
.list th, .list td {
  padding: .2rem 1.4rem .2rem 0; text-align: left; font-weight: 400; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
.list th { color: var(--muted); }
.list td { overflow-wrap: anywhere; }
.list thead th { font-size: .8rem; white-space: nowrap; }
.values { width: 100%; }
.values th { width: 50%; }
.values td { padding-right: 0; }
details { margin-top: .6rem; }
summary { cursor: pointer; color: var(--muted); font-size: .875rem; }
pre {
  font: .875rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--soft); padding: .8rem 1rem; margin: .4rem 0 1.4rem; border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
code { font: inherit; }
@media (max-width: 34rem) {
  body { padding: 1.4rem 1rem 3rem; }
  .matrix td { min-width: 1.9rem; height: 1.9rem; padding: 0; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(4.6rem, 1fr)); }
}
@media print {
  body { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
}
"""

NARROW = "\u202f"  # a narrow space at which no line breaks
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Sequence[str], script_source: str = "") -> str:
    """The whole document; `body` is HTML, `title` plain text, `script_source` the digest of the one script allowed."""
    policy = f"{POLICY}; script-src {script_source}" if script_source else POLICY
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
{"".join(body)}</body>
</html>
"""


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
            f'<img{crisp} src="{_thumbnail(image)}" alt="{html.escape(description)}">'
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


def plain(value: Any) -> str:
    """A recipe's value as a person writes it.

    >>> plain(None), plain(True), plain([0.5, 0.75]), plain(1e-5), plain("sgd"), plain([])
    ('none', 'yes', '0.5, 0.75', '1e-05', 'sgd', 'none')
    """
    if value is None or value in ([], (), "", {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return str(value)


def percent(part: float, whole: float, digits: int = 2) -> str:
    """The share in percent, never rounded up to a perfect score.

    >>> percent(9173, 10_000), percent(99_999, 100_000), percent(3, 3)
    ('91.73\\u202f%', '99.99\\u202f%', '100.00\\u202f%')
    """
    rounded = round(100 * part / whole, digits)
    if rounded >= 100 and part < whole:
        rounded = 100 - 10**-digits
    return f"{rounded:.{digits}f}{NARROW}%"


def grouped(number: float) -> str:
    """A whole number in groups of three digits, between them a narrow space that does not break."""
    return f"{number:,.0f}".replace(",", NARROW)


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(7.25), duration(83), duration(7500)
    ('7.2 s', '1 min 23 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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


def _thumbnail(image: UInt8[np.ndarray, "height width channels"]) -> str:
    """Small images exactly, as PNG; large ones reduced, as JPEG."""
    from PIL import Image

    thumbnail = Image.fromarray(viewable(image))
    exact = max(thumbnail.size) < SMALL_IMAGE or thumbnail.mode == "RGBA"
    thumbnail.thumbnail((LARGEST_THUMBNAIL, LARGEST_THUMBNAIL))  # only ever makes it smaller
    stream = io.BytesIO()
    thumbnail.save(stream, **({"format": "PNG"} if exact else {"format": "JPEG", "quality": 88}))
    return _data_url(stream.getvalue(), "png" if exact else "jpeg")


def _data_url(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
