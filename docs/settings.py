"""Writes the page of all settings, ``docs/settings.md``, from their declarations: ``python docs/settings.py``."""

from pathlib import Path

from perfgate.shared.settings import (
    DENOISER_TRAINING,
    FORWARD,
    GENERATION,
    IMAGE_GENERATION,
    MODEL_LOADING,
    OPERATORS,
    READING,
    SERVING,
    TOKENIZING,
    TRAINING,
    Kind,
    Setting,
)

PAGE = Path(__file__).with_suffix(".md")
BEGIN = """# Settings

A case chooses settings by name: `perf(training(model, batch_size=4, optimizer="adafactor"))`. A setting that it does
not name is at its default, in bold here. After the steps Perfgate reads back what was in force, and rejects a launch
whose settings are not those that were asked for.

`python docs/settings.py` writes this page from the declarations in `perfgate/shared/settings/`.
"""
HEAD = "| setting | values | what it does | needs |\n|---|---|---|---|\n"
FORMS = {"size": "a positive number", "count": "a number, 0 for off", "share": "a share below 0.5", "text": "a text"}


def page() -> str:
    """The whole page."""
    kinds = [
        ("Training", TRAINING),
        ("Generation", GENERATION),
        ("Serving", SERVING),
        ("Forward passes", FORWARD),
        ("Image generation", IMAGE_GENERATION),
        ("Training a denoiser", DENOISER_TRAINING),
        ("Loading a model", MODEL_LOADING),
        ("Tokenizing", TOKENIZING),
        ("Reading data", READING),
    ]
    parts = [BEGIN, *(f"## {title}\n\n{table(kind)}" for title, kind in kinds)]
    operators = (f"### {kind.name}\n\n{table(kind)}" for kind in OPERATORS.values())
    parts.append("## Operators\n\n" + "\n".join(operators))
    return "\n".join(parts)


def table(kind: Kind) -> str:
    """The settings of a kind of workload, a row each."""
    return HEAD + "".join(row(setting, kind) for setting in kind)


def row(setting: Setting, kind: Kind) -> str:
    """One setting."""
    if setting.values:
        values = f"**`{setting.default}`**" + "".join(f", `{value}`" for value in setting.values[1:])
    else:
        values = FORMS[setting.form] + (f"; **`{setting.default}`**" if setting.form in ("size", "share") else "")
    return f"| `{setting.name}` | {values} | {setting.doc} | {needs(setting, kind)} |\n"


def needs(setting: Setting, kind: Kind) -> str:
    """What some values need."""
    told = []
    for need in setting.needs:
        if need.kinds and kind.name not in need.kinds:
            continue
        here = [value for value in need.values if value in setting.values]
        if need.values and not here:
            continue
        things = [
            *(["a GPU"] if need.gpu else []),
            *(["a C++ compiler"] if need.compiler else []),
            *(["the folder"] if need.folder else []),
            *([f"`{need.package}`" + (f" {need.since} or newer" if need.since else "")] if need.package else []),
        ]
        values = ", ".join(f"`{value}`" for value in here)
        told.append(f"{values}: {' and '.join(things)}" if values else " and ".join(things))
    return "; ".join(told)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
