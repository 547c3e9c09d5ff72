"""Draws the picture of time over memory, or energy, as a separate file; on the page a script draws the same data."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from perfgate.reports.tables import shown

STYLE = """
svg { font: 11px system-ui, sans-serif; fill: #1c2128; background: #fff }
.grid, .leader { stroke: #d0d7de } .frontline { stroke: #1a7f37; fill: none } .dot { fill: #8c959f }
.front { fill: #1a7f37; font-weight: 600 }
"""
TICKS = (0.25, 0.5, 0.75, 1.0)


def svg(plane: Mapping[str, Any]) -> bytes:
    """The SVG text of a picture whose data ``drawing`` made."""
    box, most = plane["box"], plane["most"]
    size = {"viewBox": f"0 0 {box['width']} {box['height']}", "width": str(box["width"]), "height": str(box["height"])}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size})
    ElementTree.SubElement(root, "title").text = plane["name"]
    ElementTree.SubElement(root, "style").text = STYLE
    text(root, box["left"], 14, f"{plane['name']}: time a {plane['unit']}")
    text(
        root, (box["left"] + box["right"]) / 2, box["height"] - 8, plane["across"]["title"], **{"text-anchor": "middle"}
    )
    for share in TICKS:
        x = box["left"] + share * (box["right"] - box["left"])
        y = box["bottom"] - share * (box["bottom"] - box["top"])
        line(root, box["left"], y, box["right"], y, "grid")
        text(root, box["left"] - 6, y + 4, str(shown("step_time_s", share * most["time"])), **{"text-anchor": "end"})
        across = str(shown(plane["across"]["metric"], share * most["across"]))
        text(root, x, box["bottom"] + 16, across, **{"text-anchor": "middle"})
    front = sorted(point["at"] for point in plane["points"] if point["front"])
    ElementTree.SubElement(root, "polyline", {"class": "frontline", "points": " ".join(f"{x},{y}" for x, y in front)})
    for point in plane["points"]:
        (x, y), label = point["at"], point["label"]
        kind = " front" if point["front"] else ""
        left, middle = label["at"]
        if label["far"]:
            line(root, x, y, left, middle, "leader")
        dot = {"class": f"dot{kind}", "cx": str(x), "cy": str(y), "r": "6" if kind else "4"}
        ElementTree.SubElement(root, "circle", dot)
        text(root, left, middle + 4, label["text"], **{"class": kind.strip()})
    return ElementTree.tostring(root, encoding="unicode").encode()


def text(root: ElementTree.Element, x: float, y: float, written: str, **more: str) -> None:
    """Add a text."""
    ElementTree.SubElement(root, "text", {"x": str(x), "y": str(y), **more}).text = written


def line(root: ElementTree.Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    """Add a line."""
    ends = {"x1": str(x1), "y1": str(y1), "x2": str(x2), "y2": str(y2)}
    ElementTree.SubElement(root, "line", {"class": kind, **ends})
