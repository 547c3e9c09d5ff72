"""The picture of the allocator's timeline, from a snapshot's events."""

from benchmarks.allocator import GIB, Step, columns, moments, picture


def event(action, addr=0, size=0):
    return {"action": action, "addr": addr, "size": size}


# An activation that lives until the backward pass, a gradient that stays, and a segment for AdamW's list.
EVENTS = [
    event("alloc", 1, 1000),
    event("alloc", 2, GIB),
    event("free_requested", 2, GIB),
    event("free_completed", 2, GIB),
    event("snapshot"),
    event("alloc", 3, 512),
    event("free_requested", 1, 1000),
    event("snapshot"),
    event("segment_alloc", 4, 2 * GIB),
    event("alloc", 4, 2 * GIB),
    event("free_requested", 4, 2 * GIB),
]
STEP = Step("gpt2 on an emulated card", EVENTS, (GIB, 2 * GIB), 3 * GIB + 512)


def test_what_is_held_belongs_to_the_part_of_the_step_that_took_it():
    found = moments(STEP)
    assert found[0].held == (GIB, 0, 0, 0)
    assert found[2].held == (GIB, GIB + 1024, 0, 0)
    assert found[6].held == (GIB, 1024, 512, 0)
    assert found[7].held == (GIB, 0, 512, 0)
    assert (found[10].held, found[10].reserved) == ((GIB, 0, 512, 2 * GIB), 4 * GIB)
    assert found[-1].held == (GIB, 0, 512, 0)


def test_a_column_shows_the_moment_in_which_most_is_held():
    many = [event("alloc", 9, GIB), event("free_requested", 9, GIB)] * 5000
    shown = columns(moments(Step("", many, (0, 0), GIB)))
    assert {sum(moment.held) for moment in shown} == {GIB}
    assert len(shown) < 1000


def test_the_picture_names_the_step_its_parts_and_its_peak():
    drawn = picture(STEP)
    for told in ("gpt2 on an emulated card", "forward pass", "backward pass", "AdamW", "peak: 3,221,225,984 bytes"):
        assert told in drawn
    assert drawn.endswith("</svg>\n")
