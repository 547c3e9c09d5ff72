"""The digest in markdown: never longer than sixty lines, and no text of a case can break it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from perfgate.reports.digest import LONGEST, UNSEEN, digest, pipes, plain
from perfgate.reports.page.rows import CaseRow
from tests.support.runs import CASE
from tests.support.verdicts import verdict

CHARACTERS = st.one_of(st.sampled_from("|`<>*_[]()!\\\n\r&#~$@-:"), st.characters(exclude_categories=["Cs"]))
HOSTILE = st.text(CHARACTERS, max_size=40)


def row(case: str, word: str, **more: object) -> CaseRow:
    """A case with one verdict of this word."""
    return CaseRow(case, word, "batch_size", "gpt2", "", {}, (verdict(case, word, **more),))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=5))
def test_no_text_breaks_a_table(texts: list[tuple[str, str]]) -> None:
    rows = [list(texts[0]), *map(list, texts)]

    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("\n".join(pipes([["a", "b"], *rows])))

    assert [token.type for token in tokens].count("tr_open") == len(rows) + 1
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 2 * (len(rows) + 1)
    for token, text in zip(inline[2:], [text for pair in rows for text in pair], strict=True):
        assert {child.type for child in token.children or ()} <= {"text"}, (text, token.children)
        assert "".join(child.content for child in token.children or ()) == shown(text)


def shown(text: str) -> str:
    """What a reader sees of a text that is shown as it is."""
    return MarkdownIt("zero").parse(plain_of(text))[1].content if plain_of(text) else ""


def plain_of(text: str) -> str:
    """A text without what cannot be seen."""
    return UNSEEN.sub(" ", text).strip()


@settings(max_examples=50, deadline=None)
@given(HOSTILE)
def test_no_sentence_becomes_a_heading_a_list_or_a_tag(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(plain(text))

    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}


@pytest.mark.parametrize("word", ["regressed", "pass", "inconclusive", "new"])
@pytest.mark.parametrize("count", [1, 30, 10_000])
@pytest.mark.slice
def test_it_never_has_more_than_sixty_lines(word: str, count: int) -> None:
    rows = [row(f"training/test_{number % 40}.py::test_it[{number}]", word) for number in range(count)]
    sentences = [f"sentence {number}" for number in range(count)]

    lines = digest(
        "Run", sentences, rows, ["this", "that"], "page.html", [["case", "value"], *(["a", "1"] for _ in rows)]
    )

    assert len(lines) <= LONGEST
    assert not any("\n" in line for line in lines)
    assert lines[-1] == "Page: page.html"
    assert sum("<details>" in line for line in lines) == sum("</details>" in line for line in lines)


def test_what_failed_comes_before_what_passed() -> None:
    rows = [row("a.py::test_worse", "regressed", change=0.5), row(CASE, "pass")]

    text = "\n".join(digest("Run", [], rows, []))

    assert text.index("test_worse") < text.index("1 case passed.")
    assert CASE not in text
