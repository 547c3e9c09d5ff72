"""Assembles the page: one file with its styles, scripts and data, which loads nothing from a network."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from perfgate.reports.page.content import Content
from perfgate.reports.report import Section

STATIC = files("perfgate.reports.page") / "static"
STYLES = ("uplot/uPlot.min.css", "page.css")
SCRIPTS = (
    "uplot/uPlot.iife.min.js", "format.js", "data.js", "pictures.js", "memory.js", "steps.js", "behind.js", "cases.js",
    "settings.js", "plane.js", "page.js",
)  # fmt: skip
PLANE_SCRIPTS = ("format.js", "data.js", "plane.js", "planes.js")  # the scripts of a page without cases
HISTORY_SCRIPTS = ("uplot/uPlot.iife.min.js", "format.js", "data.js", "history.js")
NONE = "'none'"
COMPRESSED_FROM = 600_000  # characters of data; gzip reduces them to a tenth


# The parts that scripts draw; the rest is written into the page as it is.
DRAWN = ("run", "cases", "details", "techniques", "planes", "metrics", "counts", "against", "before")


def page(content: Content) -> str:
    """The page as text."""
    data = packed({key: content[key] for key in DRAWN})
    return filled("page.html", [static(name) for name in SCRIPTS], {**content, "data": data})


def history_page(content: Content) -> str:
    """The page of a history as text."""
    return filled(
        "history.html", [static(name) for name in HISTORY_SCRIPTS], {**content, "data": packed(content["data"])}
    )


def plain_page(sections: Sequence[Section]) -> str:
    """The page of a report that has only sentences and tables."""
    found = [
        {
            "title": section.title,
            "lines": section.lines,
            "tables": [
                {"name": name, "columns": list(frame.columns), "rows": frame.fillna("").values.tolist()}
                for name, frame in section.tables.items()
            ],
            "notes": section.notes,
        }
        for section in sections
    ]
    planes = [plane for section in sections for plane in section.planes]
    scripts = [static(name) for name in PLANE_SCRIPTS] if planes else []
    return filled(
        "sections.html", scripts, {"title": "Perfgate", "sections": found, "data": packed({"planes": planes})}
    )


def filled(template: str, scripts: list[str], content: Mapping[str, Any]) -> str:
    """A template with its escaped content, and with all styles and scripts."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    styles = [static(name) for name in STYLES]
    environment = Environment(
        loader=FunctionLoader(static), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    about = {"policy": policy(styles, scripts), "styles": styles, "scripts": scripts}
    return environment.get_template(template).render(**about, **content)


def static(name: str) -> str:
    """The text of a file that is part of the page."""
    return (STATIC / name).read_text(encoding="utf-8")


def policy(styles: list[str], scripts: list[str]) -> str:
    """The content security policy, which allows only these styles and scripts."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(digest, scripts)) or NONE}",
            f"style-src {' '.join(map(digest, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def digest(text: str) -> str:
    """The digest of a text, as a source in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def packed(data: Mapping[str, Any]) -> dict[str, str]:
    """The data for a script element: JSON that no text can end early, compressed if it is large."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    if len(text) > COMPRESSED_FROM:
        return {"form": "gzip", "text": base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()}
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return {"form": "json", "text": escaped}
