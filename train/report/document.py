"""The page around the blocks of a report: one self-contained file of HTML, and how it looks.

Pictures are data URLs, there is no script but the one that is named, and the page's own security policy forbids any
request. Light and dark follow the reader's system.
"""

import html
from collections.abc import Sequence

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
