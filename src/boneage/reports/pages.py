"""Parts of self-contained HTML pages: no script, no file beside them, nothing from the network."""

import base64
import html
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "definitions_html",
    "escape",
    "figure_html",
    "image_uri",
    "jpeg_uri",
    "page_html",
    "png_uri",
    "section_html",
    "table_html",
]

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --muted: #555; --paper: #fff; --line: #d0d0d0;
  --notice: #fff4d6; --notice-line: #b57a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --muted: #aaa; --paper: #16181b; --line: #43474d;
    --notice: #33290f; --notice-line: #d79a1e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 62rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans",
  sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .6rem; padding-bottom: .2rem;
  border-bottom: 1px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; }
.notice { border-left: .35rem solid var(--notice-line); background: var(--notice);
  padding: .7rem 1rem; margin: 0 0 1rem; }
.notice p { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { text-align: left; max-width: 34rem; color: var(--muted); font-size: .9rem;
  padding-bottom: .3rem; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; }
tbody th { font-weight: 400; }
table.settings th, table.settings td { text-align: left; white-space: normal;
  overflow-wrap: anywhere; }
figure { margin: 1rem 0 1.5rem; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption { color: var(--muted); font-size: .9rem; margin-top: .35rem; max-width: 46rem; }
.plots img { width: 100%; padding: .5rem; }
.plots figure.narrow { max-width: 40rem; }
.strip { display: grid; gap: 1rem; list-style: none; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.strip figure { margin: 0; }
.strip img { width: 100%; aspect-ratio: 3 / 4; object-fit: contain; background: #000; }
dl { max-width: 46rem; }
dt { color: var(--muted); }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
.scale { display: flex; gap: .5rem; align-items: center; font-size: .82rem; margin-top: .3rem; }
.scale .bar { flex: 1; height: .7rem; }
footer { margin-top: 2.5rem; padding-top: .75rem; border-top: 1px solid var(--line);
  color: var(--muted); font-size: .9rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2 { break-after: avoid; }
  tr, li { break-inside: avoid; }
  .notice, .strip img, .scale .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def escape(text: object) -> str:
    """Make any text safe between tags and in quoted attributes."""
    return html.escape(str(text), quote=True)


def page_html(title: str, body: Iterable[str], style: str = "") -> str:
    """Put parts together into a page.

    Args:
        title: Plain text of the title; escaped here.
        body: HTML of the parts, in order.
        style: CSS of this page alone, after that of all pages.

    Returns:
        The whole document, in English.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}{style}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def section_html(heading: str, *parts: str) -> str:
    """Make a section with a heading of the second level; ``parts`` are HTML."""
    return "\n".join(["<section>", f"<h2>{escape(heading)}</h2>", *parts, "</section>"])


def table_html(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], css_class: str = ""
) -> str:
    """Make a table whose first column names the rows.

    Args:
        caption: Plain text above the table.
        header: Plain text of the column heads, one a column.
        rows: Plain text of the cells.
        css_class: Class of the table.

    Returns:
        HTML that scrolls sideways where the screen is narrow.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="{escape(css_class)}">'
        f"<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def definitions_html(pairs: Iterable[tuple[str, str]], css_class: str = "") -> str:
    """Make a list of names and what belongs to them, both plain text; empty without any."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="{escape(css_class)}">{items}</dl>' if items else ""


def figure_html(uri: str, alt: str, caption: str, css_class: str = "", *, below: str = "") -> str:
    """Make a figure.

    Args:
        uri: The picture as a data URI.
        alt: Plain text for who cannot see it.
        caption: Plain text under it.
        css_class: Class of the figure.
        below: HTML between the picture and the caption.
    """
    return (
        f'<figure class="{escape(css_class)}"><img src="{escape(uri)}" alt="{escape(alt)}">{below}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def png_uri(png: bytes) -> str:
    """Give the data URI of a PNG file's content."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def image_uri(image: NDArray[np.uint8], longest_px: int = 480) -> str:
    """Give a grey image as a data URI.

    Args:
        image: Grey values, shape (height, width), uint8.
        longest_px: Larger images are scaled down to this many pixels on their longer side.

    Returns:
        A PNG data URI.
    """
    import cv2

    _, encoded = cv2.imencode(".png", _reduced(image, longest_px))
    return png_uri(encoded.tobytes())


def jpeg_uri(image: NDArray[np.uint8], longest_px: int) -> str:
    """Give a picture as a data URI of a JPEG file, which keeps a page with photographs small.

    Args:
        image: Grey values, shape (height, width), or colours, shape (height, width, 3) in the
            order blue, green, red; uint8.
        longest_px: Larger pictures are scaled down to this many pixels on their longer side.

    Returns:
        A JPEG data URI.
    """
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, 90]
    _, encoded = cv2.imencode(".jpg", _reduced(image, longest_px), options)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _reduced(image: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """Scale a picture down, never up, until its longer side has ``longest_px`` pixels."""
    import cv2

    height, width = image.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
