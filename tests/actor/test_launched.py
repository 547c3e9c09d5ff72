"""Kernels are told by the module that launched them, in the backward pass too."""

from perfgate.actor.launched import BACKWARD, MARK, Span, by_module, shortened

HOST = (
    Span(f"{MARK}head", 0, 100),
    Span(f"{MARK}head.inner", 10, 50),
    Span("aten::mul", 20, 30, sequence=7),
    Span(f"{BACKWARD}: MulBackward", 200, 220, thread=2, sequence=7, forward_thread=1),
)


def test_a_launch_belongs_to_the_innermost_module() -> None:
    launched = [(25, "void at::native::mul<float>"), (60, "add"), (150, "add")]

    assert by_module(launched, HOST) == {"": {"add": 1}, "head": {"add": 1}, "head.inner": {"mul<float>": 1}}


def test_a_launch_of_the_backward_pass_belongs_to_the_module_that_made_its_node() -> None:
    assert by_module([(210, "mul"), (210, "mul")], HOST) == {"head.inner": {"mul": 2}}


def test_long_names_are_cut() -> None:
    assert len(shortened("k" * 200)) == 80


def test_a_launch_after_the_last_inner_call_belongs_to_the_one_around_it_and_after_all_to_none() -> None:
    calls = [Span(f"{MARK}block.{place}", 10 * place, 10 * place + 5) for place in range(100)]
    host = [*calls, Span(f"{MARK}block", 0, 1000), Span(f"{MARK}root", -5, 1010)]

    told = by_module([(993, "add"), (997, "mul"), (1005, "sub"), (1020, "div")], host)

    assert told == {"block.99": {"add": 1}, "block": {"mul": 1}, "root": {"sub": 1}, "": {"div": 1}}
