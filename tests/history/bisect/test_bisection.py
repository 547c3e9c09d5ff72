"""A bisection by times: what it makes of duets that vary, with trials that are made up."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from perfgate.history.bisect.bisection import ATTEMPTS, Bisection, Wish
from perfgate.history.bisect.courses import Versions
from perfgate.history.bisect.decisions import together
from perfgate.history.bisect.state import State
from perfgate.history.bisect.trial import Trials
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile
from perfgate.shared.errors import UserError
from tests.support.runs import CASE, noisy_duets

SLOWER = 0.05


class Steps(Versions):
    """Steps that are numbers, of which none has to be built."""

    def side(self, step: str) -> str:
        return step


@dataclass(frozen=True)
class MadeUp(Trials):
    """Trials of three duets, in which steps from the ``planted`` one on are slower."""

    planted: int = 0
    launch_sd: float = 0.0
    taken: list[str] = field(default_factory=list)

    def run(self, before: str, now: str, dry: bool) -> RunFile:
        assert not dry
        self.taken.append(now)
        change = SLOWER * (int(before) < self.planted <= int(now))
        lines = noisy_duets(len(self.taken), pairs=3, change=change, launch_sd=self.launch_sd)
        run = RunFile({"run_id": str(len(self.taken))}, launches=tuple(map(Launch.from_json, lines)))
        return RunFile(run.header, launches=run.launches, verdicts=tuple(together([run], CASE)))


def bisected(folder: Path, planted: int, launch_sd: float) -> tuple[Bisection, MadeUp]:
    """A bisection of 16 steps."""
    trials = MadeUp(CASE, (), folder, folder / "log", planted=planted, launch_sd=launch_sd)
    course = Steps(folder, "made up", tuple(map(str, range(17))), lambda _: None)
    return Bisection(course, State(folder / "state", {}), trials, CASE, lambda _: None), trials


def test_duets_of_one_step_add_up_until_they_decide(tmp_path: Path) -> None:
    sure, noisy = (bisected(tmp_path, 11, launch_sd) for launch_sd in (0.001, 0.012))

    for bisection, _ in (sure, noisy):
        assert bisection.run(Wish("step_time_s")) == ""
        assert bisection.left().found
        assert bisection.left().first_bad == "11"
        assert bisection.state.change
        assert bisection.state.change.change == pytest.approx(SLOWER, abs=0.02)

    few, many = (trials.taken for _, trials in (sure, noisy))
    assert len(few) == 6  # both ends, four steps, and the change itself, of which one step is the bad end
    assert len(many) > len(few)
    assert max(map(many.count, many)) <= ATTEMPTS + 1


def test_ends_that_do_not_differ_are_asked_twice(tmp_path: Path) -> None:
    bisection, trials = bisected(tmp_path, 99, 0.001)

    with pytest.raises(UserError, match="did not get worse"):
        bisection.run(Wish("step_time_s"))

    assert trials.taken == ["16", "16"]
