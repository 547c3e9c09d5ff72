"""Puts the page together: one file with its styles, scripts and data inside, which asks nothing of any network."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from perfgate.reports.page.content import Content

STATIC = files("perfgate.reports.page") / "static"
STYLES = ("uplot/uPlot.min.css", "page.css")
SCRIPTS = ("uplot/uPlot.iife.min.js", "format.js", "pictures.js", "behind.js", "cases.js", "settings.js", "page.js")
COMPRESSED_FROM = 600_000  # characters of data; gzip makes them a tenth


def page(content: Content) -> str:
    """The page as text."""
    from jinja2 import Environment, StrictUndefined

    styles, scripts = ([(STATIC / name).read_text(encoding="utf-8") for name in names] for names in (STYLES, SCRIPTS))
    inside = {key: content[key] for key in DRAWN_BY_SCRIPTS}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((STATIC / "page.html").read_text(encoding="utf-8"))
    return template.render(
        **content, policy=policy(styles, scripts), styles=styles, scripts=scripts, data=packed(inside)
    )


DRAWN_BY_SCRIPTS = ("run", "cases", "details", "techniques", "points", "metrics", "counts", "against", "before")


def policy(styles: list[str], scripts: list[str]) -> str:
    """The content security policy: nothing but these very styles and scripts."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(digest, scripts))}",
            f"style-src {' '.join(map(digest, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def digest(text: str) -> str:
    """A text as a source of a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def packed(data: Mapping[str, Any]) -> dict[str, str]:
    """The data for a script element: JSON that no text can end early, or the same compressed where it is large."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    if len(text) > COMPRESSED_FROM:
        return {"form": "gzip", "text": base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()}
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return {"form": "json", "text": escaped}
