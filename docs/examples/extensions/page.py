"""A format: the report as one HTML page."""

from html import escape


def html(report):
    parts = ["<!doctype html><meta charset=utf-8>"]
    for section in report.sections:
        parts.append(f"<h1>{escape(section.title)}</h1>")
        parts += [f"<p>{escape(line)}</p>" for line in section.lines]
        for name, frame in section.tables.items():
            parts += [f"<h2>{escape(name)}</h2>", frame.fillna("").to_html(index=False)]
        parts += [f"<p>{escape(line)}</p>" for line in section.notes]
    return "\n".join(parts)
