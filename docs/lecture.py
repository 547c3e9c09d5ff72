"""Writes the page of the lecture, ``docs/lecture.md``: ``python docs/lecture.py``.

The topics come from ``perfgate/reports/lecture/topics.py``, and the numbers from ``docs/lecture.json``, which the
tour itself writes: ``perfgate tour --json --output docs/lecture.json --pictures docs/lecture``. A picture that is
missing there is drawn from the same numbers.
"""

import json
from pathlib import Path

from perfgate.reports.lecture.topic import Topic
from perfgate.reports.lecture.topics import topics
from perfgate.reports.lecture.walk import Told
from perfgate.reports.tour import draw, table

PICTURES = Path(__file__).with_suffix("")
PAGE, NUMBERS = Path(__file__).with_suffix(".md"), Path(__file__).with_suffix(".json")
BEGIN = """# The lecture

What training and running a model costs, topic by topic. Each topic has one command, which measures small models here,
or runs large ones dry, and explains its numbers. The whole tour:

```console
perfgate tour                          # all topics, one after the other, each explained: {seconds:.0f} s on two cores
perfgate tour --list                   # their names
perfgate tour generation translation   # some of them
perfgate tour --pictures pictures      # and draw those that have a picture
```

It needs `pip install 'perfgate[hf]'` and no checkout; image generation also needs `diffusers`. A topic that cannot run
is left out with a sentence, and the exit code is then 3. Ctrl-C ends it and names the command that goes on.

Times differ between machines and between runs, and these come from one launch each: they are there to be looked at, and
no gate. What gates the same is named below each topic. `python docs/lecture.py` writes this page from the topics in
`perfgate/reports/lecture/topics.py` and from the numbers of a tour in `docs/lecture.json`.
"""


def page() -> str:
    """The whole page."""
    told = {one["topic"]: one for one in json.loads(NUMBERS.read_text(encoding="utf-8"))["topics"]}
    begin = BEGIN.format(seconds=sum(one["took_s"] for one in told.values()))
    return "\n".join([begin, *(part(topic, told.get(topic.name, {})) for topic in topics())])


def part(topic: Topic, found: dict) -> str:
    """One topic."""
    seconds = f"   # {found['took_s']:.0f} s" if found.get("values") else ""
    lines = [f"## {topic.title}", "", topic.idea, "", "```console", topic.command + seconds, "```", ""]
    if found.get("values"):
        told = Told(topic, found["values"], found["took_s"], found["problem"])
        picture = PICTURES / f"{topic.name}.svg"
        if topic.drawn and not picture.exists():
            draw(told, picture)
        lines += [table(told).fillna("").to_markdown(index=False, disable_numparse=True), ""]
    else:
        lines += ["Its numbers have not been written down yet.", ""]
    if (PICTURES / f"{topic.name}.svg").exists():
        lines += [f"![{', '.join(topic.drawn)}]({PICTURES.name}/{topic.name}.svg)", ""]
    lines += [f"**Look.** {topic.look}", "", f"**Why.** {topic.why}", ""]
    return "\n".join([*lines, f"Gated by [{Path(topic.cases).name}](../perf_tests/{topic.cases}).", ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
