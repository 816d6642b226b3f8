"""The frame of an HTML page that needs nothing else: its look, plots and pictures are in it."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

_HEIGHT_PX = 120

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b2733; background: #fff; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem } small, figcaption { color: #5b6570 }
table { border-collapse: collapse } th, td { padding: .25rem .75rem; text-align: right }
th:first-child, td:first-child { text-align: left }
tr { border-bottom: 1px solid #e6e8eb } img { max-width: 100% }
.headline, .sheet { display: flex; flex-wrap: wrap; gap: 1rem }
.headline div { border: 1px solid #e6e8eb; border-radius: 6px; padding: .6rem 1rem }
.headline b { display: block; font-size: 1.4rem }
figure { margin: 0; width: 250px } figcaption { font-size: .8rem; overflow-wrap: anywhere }
"""


def page(title: str, sections: Sequence[str]) -> str:
    """``sections`` are HTML already, ``title`` is text."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(sections)}</body></html>\n'


def image(pixels: NDArray[np.uint8], alternative: str) -> str:
    """``pixels`` (height, width, 3), uint8 RGB, no higher than ``_HEIGHT_PX`` on the page."""
    found = Image.fromarray(pixels)
    found.thumbnail((4 * _HEIGHT_PX, _HEIGHT_PX))
    file = io.BytesIO()
    found.save(file, "JPEG", quality=80)
    return f'<img alt="{escape(alternative)}" src="data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}">'


def picture(figure: Figure) -> str:
    """A plot; its title says what it is."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
