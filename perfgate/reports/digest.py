"""The digest of a run in markdown, for a job's summary or a comment: at most sixty lines for a run of any size."""

import re
from collections.abc import Sequence

from perfgate.gate.wording import counted_as, many
from perfgate.records.runfile import RunFile
from perfgate.reports.folded import Told, attention, by_technique, measured, promised
from perfgate.reports.page.rows import ORDER, CaseRow
from perfgate.reports.tables import setting_rows, shown

LONGEST = 60  # the most lines
OPENING = 8  # the most lines of sentences
LONG = 300  # the most characters of a cell
ATTENTION = 20  # the most rows of cases that need attention
SETTINGS = ("step_time_s", "peak_memory_bytes", "predicted_peak_bytes", "flops")
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
# Brackets have a meaning only before other brackets, and an underscore has none inside a word, so ids stay readable.
MEANING = re.compile(r"[\\`*~|$]|\[(?=\^)|\](?=[(\[:])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
LEADING = re.compile(r"^(?:(?=[#+=-])|(?P<number>\d{1,9})(?=[.)](?:\s|$)))")  # a heading, a rule, or a list
LONG_LINE = 3000  # the most characters of a line of counts
Block = list[str]


def digest(
    title: str,
    opening: Sequence[str],
    rows: Sequence[CaseRow],
    sides: Sequence[str],
    link: str = "",
    settings: Sequence[Sequence[str]] = (),
) -> list[str]:
    """The lines of a digest, failures first.

    Args:
        title: the heading.
        opening: sentences, the most important first.
        rows: the rows of all cases.
        sides: a line about the candidate and a line about the reference.
        link: the URL or path of the page; empty if there is none.
        settings: a table of settings, its head first; may be empty.
    """
    told = attention(rows)
    shown = [
        f"## {plain(title)}", "", *said(opening),
        *worst_table(told), *passed_line(rows), "",
    ]  # fmt: skip
    end = [
        *map(plain, sides),
        *([""] if sides and link else []),
        *([f"Page: {linked(link)}"] if link else []),
    ]
    folds = [
        ("Cases by technique", [], technique_words(rows)),
        ("Effects: setting over vanilla", effect_rows(rows), ""),
        ("Settings", settings, ""),
    ]
    folds = [fold for fold in folds if len(fold[1]) > 1 or fold[2]]
    room = LONGEST - len(shown) - len(end)
    for number, (name, table, words) in enumerate(folds):
        # Each part takes the lines that it needs, and leaves the others a fair share.
        made = folded(name, table, words, room // (len(folds) - number))
        shown, room = [*shown, *made], room - len(made)
    return [*shown, *end]


def said(sentences: Sequence[str]) -> Block:
    """Sentences as a list, the first one in bold as a paragraph, and the number of those left out."""
    if not sentences:
        return []
    first, *rest = (plain(sentence) for sentence in sentences)
    more = [f"- and {len(rest) - OPENING} more, on the page"] if len(rest) > OPENING else []
    return [f"**{first}**", "", *(f"- {line}" for line in rest[:OPENING]), *more, *([""] if rest else [])]


def worst_table(told: Sequence[Told]) -> Block:
    """The table of cases that need attention, worst first."""
    if not told:
        return []
    table = [["verdict", "case", "what moved"], *([row.verdict, row.case, "; ".join(row.lines)] for row in told)]
    return [*pipes(table[: ATTENTION + 1]), *more_rows(len(table) - ATTENTION - 1), ""]


def passed_line(rows: Sequence[CaseRow]) -> Block:
    """One line for all cases that passed or are new."""
    counts = {word: sum(row.verdict == word and not row.failed for row in rows) for word in ("pass", "new")}
    words = {"pass": "passed", "new": "new, with nothing stored to hold them against"}
    told = [f"{many(count, 'case')} {words[word]}" for word, count in counts.items() if count]
    return [f"{'; '.join(told)}."] if told else []


def technique_words(rows: Sequence[CaseRow]) -> str:
    """The number of cases by technique and verdict, on one line."""
    counts = by_technique(rows)
    return "; ".join(
        f"{name}: {', '.join(f'{found[word]} {word}' for word in ORDER if word in found)}"
        for name, found in counts.items()
    )


def effect_rows(rows: Sequence[CaseRow]) -> list[list[str]]:
    """The table of effects: the promised and the measured ratio."""
    body = (
        [counted_as(verdict), verdict.case, verdict.metric, verdict.expected, measured(verdict)]
        for verdict in promised(rows)
        if verdict.change is not None
    )
    return [["verdict", "effect", "metric", "promised", "measured"], *body]


def settings_of(run: RunFile) -> list[list[str]]:
    """A row for each case with its most important metrics."""
    found = setting_rows(run)
    names = [name for name in SETTINGS if any(name in row for row in found)]
    names = [name for name in names if not name.startswith("predicted") or "peak_memory_bytes" not in names]
    return [["case", *names], *([row["case"], *(shown(name, row.get(name)) or "" for name in names)] for row in found)]


def folded(name: str, table: Sequence[Sequence[str]], words: str, lines: int) -> Block:
    """A table or a line behind a summary to click on; empty if it does not fit into this number of lines."""
    kept = lines - 8  # eight lines for a summary, the rule below the head, the count of left-out rows, and empty lines
    if not words and kept < 2:
        return []
    body = [plain(words, LONG_LINE)] if words else [*pipes(table[:kept]), *more_rows(len(table) - kept)]
    return [f"<details><summary>{plain(name)}</summary>", "", *body, "", "</details>", ""]


def more_rows(count: int) -> Block:
    """A line with the number of rows that are left out."""
    return ["", f"... and {count} more, on the page"] if count > 0 else []


def pipes(table: Sequence[Sequence[str]]) -> Block:
    """A table in markdown, its head first."""
    head, *rows = ([plain(cell) for cell in row] for row in table)
    return [line(head), line(["---"] * len(head)), *map(line, rows)]


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def linked(place: str) -> str:
    """A link; or a file's name, because a summary on a web page cannot link to files."""
    if re.fullmatch(r"https?://[^\s()<>]+", place):
        return f"[every case, with its causes]({place})"
    return plain(place)


class Safe(str):
    """Text that is already safe markdown, such as a code span that its content cannot leave."""


def plain(text: str, longest: int = LONG) -> str:
    """Text on one line, escaped so that no character has a meaning in markdown."""
    text = UNSEEN.sub(" ", text).strip()
    text = text if len(text) <= longest else f"{text[:longest]}..."
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return LEADING.sub(lambda found: f"{found['number'] or ''}\\", MEANING.sub(lambda found: f"\\{found[0]}", text))
