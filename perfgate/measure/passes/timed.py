"""The passes of a case, one function each: what is asked of an actor, and the launch that comes of it."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.server import Server, tail
from perfgate.measure.validity import judge, other_settings
from perfgate.records.launch import YARDSTICK_VERSIONS, Launch, Side, Value
from perfgate.records.layers import collapsed
from perfgate.records.metrics import metric
from perfgate.shared.workload import Workload
from perfgate.workloads.programs import workload_of

if TYPE_CHECKING:
    from perfgate.measure.stage import Stage

YARDSTICK = workload_of("yardstick.cpu", {"version": YARDSTICK_VERSIONS["cpu"]})
YARDSTICK_PARTS = ("matmul_s", "python_s", "copy_s")
YARDSTICK_SHARE = 0.6
WARMUP_STEPS = 3
FEW_STEPS = 2
TARGETS = ("cpu", "cuda")


@contextmanager
def dry_launch(
    stage: "Stage", case: str, workload: Workload, server: Server, side: Side
) -> Iterator[Callable[[], tuple[Launch, bool]]]:
    """The ledgers of a dry run, which goes on beside what is done meanwhile; what it yields waits for the launch, and
    returns also whether one was to be expected of this program."""
    start = Launch(case, workload.sha256, 0, {}, side=side, server=server.name, pass_name="dry")
    begin = time.perf_counter()
    # Where nothing is timed by anyone, nobody can be disturbed.
    alone = stage.plan.device == "none"
    with nullcontext() if alone else stage.held(stage.lock.shared()):
        actor = server.launch()
        try:
            actor.tell({"workload": workload.order, "pass": "dry", "targets": TARGETS})
            yield lambda: dry_answer(stage, actor, start, begin)
        finally:
            actor.close(kill=True)


def dry_answer(stage: "Stage", actor: Actor, start: Launch, begin: float) -> tuple[Launch, bool]:
    """The launch of a dry run that has begun, and whether one was to be expected of its program."""
    waited = time.perf_counter()
    try:
        answer = actor.answer(stage.plan.timeout_s)
    except LaunchFailed as failure:
        return stage.dated(failed(start, failure), begin), True
    finally:
        took_s = time.perf_counter() - waited
        stage.timesheet.dry_s += took_s
        stage.timesheet.programs_s += took_s
    if reason := answer.get("no_dry_run"):
        return stage.dated(start.rejected(f"no dry run: {reason}"), begin), not answer.get("silent")
    return stage.dated(in_ledgers(start, answer), begin), True


def in_ledgers(start: Launch, answer: dict[str, Any]) -> Launch:
    """The launch of a dry run that went through."""
    host, device = (answer["ledgers"][target] for target in TARGETS)
    metrics: dict[str, Value] = {
        "flops": host["flops"],
        "operator_calls": host["operator_calls"],
        "moved_bytes": host["read_bytes"] + host["written_bytes"],
        "predicted_peak_bytes": host["peak_memory_bytes"],
        "predicted_cuda_peak_bytes": device["peak_memory_bytes"],
        "leaked_bytes": host["leaked_bytes"],
        **({"padded_tokens": host["padded_tokens"]} if "padded_tokens" in host else {}),
        **{f"{part}_bytes": size for part, size in host["highest_by_part_bytes"].items()},
    }
    if moved := host["read_bytes"] + host["written_bytes"]:
        metrics["arithmetic_intensity"] = host["flops"] / moved
    ledger = {
        "parameters": host["parameters"],
        "trainable_parameters": host["trainable_parameters"],
        "flops_by_group": host["flops_by_group"],
        "highest_by_part_bytes": host["highest_by_part_bytes"],
        "memory_by_part_bytes": host["memory_by_part_bytes"],
        "cuda_memory_by_part_bytes": device["memory_by_part_bytes"],
        "work": collapsed(host["work"]),
        "memory": collapsed(host["memory"]),
        "cuda_memory": collapsed(device["memory"]),
        "kept": collapsed(host["kept"]),
    }
    return replace(start, metrics=metrics, details={"ledger": ledger})


def counters_launch(stage: "Stage", case: str, workload: Workload, server: Server, number: int) -> Launch:
    """Few steps with every operator watched; a launch whose settings are not those asked for may not be used."""
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="counters")
    try:
        ready, steps, answer = few_steps(stage, server, workload, "counters")
    except LaunchFailed as failure:
        return failed(start, failure)
    findings = answer["findings"]
    asked = findings.pop("asked", {})
    details = {
        "effective": findings.pop("effective", {}),
        "outcome": findings.pop("outcome", {}),
        "ledger": {name: collapsed(table) for name, table in findings.items()},
    }
    # What a program takes of itself is time, which is not to be had in this pass.
    counted = {name: v for name, v in columns(steps[1:]).items() if metric(name).exact or name == "device_busy_s"}
    launch = completed(start, {**answer["metrics"], **counted}, ready, details)
    wrong = other_settings(asked, details["effective"])
    return launch.rejected(wrong, final=True) if wrong else launch


def memory_launch(stage: "Stage", case: str, workload: Workload, server: Server, number: int) -> Launch:
    """Few steps with the profiler on; no time is taken, so the device may be shared."""
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="memory")
    try:
        ready, steps, answer = few_steps(stage, server, workload, "memory")
    except LaunchFailed as failure:
        return failed(start, failure)
    steady = {name: drop_first(value) for name, value in answer["metrics"].items()}
    told = {name: values for name, values in columns(steps[1:]).items() if not name.endswith("_s")}
    return completed(start, steady | told, ready, answer["findings"])


def few_steps(
    stage: "Stage", server: Server, workload: Workload, pass_name: str
) -> tuple[dict[str, Any], list[dict[str, float]], dict[str, Any]]:
    """What the program said when it was built, what each step brought, the first one's included, and what came last."""
    with stage.held(stage.untimed(workload)), stage.actor(server, workload, pass_name) as (actor, ready):
        steps = [stage.step(actor) for _ in range(1 + FEW_STEPS)]
        return ready, steps, stage.ask(actor, {"finish": True})


def timed_launch(stage: "Stage", case: str, workload: Workload, server: Server, number: int) -> Launch:
    """The case and the yardstick, stepped in turn on one core; who begins alternates between launches."""
    first = "case" if number % 2 == 0 else "yardstick"
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="time")
    with stage.held(stage.timed(workload)), on_core(stage.core), ExitStack() as stack:
        try:
            actor, ready = stack.enter_context(stage.actor(server, workload, "time"))
            yardstick, _ = stack.enter_context(stage.actor(server, YARDSTICK, "yardstick"))
            warm = warmed_up(stage, actor)
            rod_s = stage.step_yardstick(yardstick)["step_time_s"]
            count, beside = count_steps(stage, warm.turn_s()), max(1, round(YARDSTICK_SHARE * warm.step_s / rod_s))
            steps, rods = in_turn(stage, actor, yardstick, count, beside, first)
            phases = stage.phases(actor, ready)
            metrics: dict[str, Value] = stage.ask(actor, {"finish": True})["metrics"]
        except LaunchFailed as failure:
            return failed(start, failure)
    metrics |= columns(steps) | phases
    metrics |= {"setup_s": ready["setup_s"], "first_step_s": warm.first_s}
    parts = {part: [row[part] for row in rods] for part in YARDSTICK_PARTS}
    launch = completed(
        start,
        metrics,
        ready,
        {
            "first": first,
            "yardstick_version": YARDSTICK_VERSIONS["cpu"],
            "yardstick_steps": beside,
            "yardstick_parts_s": parts,
        },
    )
    return judge(launch, [row["step_time_s"] for row in rods], [row["process_time_s"] for row in rods])


def in_turn(
    stage: "Stage", actor: Actor, yardstick: Actor, count: int, beside: int, first: str
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    steps, rods = [], []
    for _ in range(count):
        if first == "case":
            steps.append(stage.step(actor))
        rods.append(mean_of([stage.step_yardstick(yardstick) for _ in range(beside)]))
        if first != "case":
            steps.append(stage.step(actor))
    return steps, rods


@dataclass(frozen=True)
class Warmth:
    """What the first steps of a program took.

    Attributes:
        first_s: the first one.
        step_s: the shortest.
        beside_s: what the shortest turn took beyond its step: some programs measure the machine beside themselves.
    """

    first_s: float
    step_s: float
    beside_s: float

    def turn_s(self, steps: int = 1) -> float:
        """How long a turn of so many steps takes."""
        return steps * self.step_s + self.beside_s


def warmed_up(stage: "Stage", actor: Actor) -> Warmth:
    """Let a program take its first steps."""
    steps, turns = [], []
    for _ in range(WARMUP_STEPS):
        begin = time.perf_counter()
        steps.append(float(stage.step(actor)["step_time_s"]))
        turns.append(time.perf_counter() - begin)
    return Warmth(steps[0], min(steps), max(min(turns) - min(steps), 0.0))


def count_steps(stage: "Stage", turn_s: float) -> int:
    wanted = int(stage.plan.steps_s / max(turn_s, 1e-6))
    return min(max(wanted, stage.plan.min_steps), stage.plan.max_steps)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Stay on the actors' core while they take turns: a turn then wakes nobody on another core, which took 10 to 20
    times as long in a virtual machine (``benchmarks/launch.py``). The stage sleeps while a step goes on.
    """
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def completed(start: Launch, metrics: dict[str, Value], ready: dict[str, Any], details: Any = None) -> Launch:
    """A launch that went through."""
    return replace(start, metrics=metrics, samples=ready["samples"], tokens=ready["tokens"], details=details or {})


def failed(start: Launch, failure: LaunchFailed) -> Launch:
    """A launch that ended early, with the reason and the end of what it printed."""
    rejected = start.rejected(failure.reason, failure.fault, failure.final)
    return replace(rejected, details={"output": tail(failure.output)})


def columns(steps: list[dict[str, float]]) -> dict[str, Value]:
    """From one mapping a step to one list a metric."""
    return {name: [step[name] for step in steps] for name in steps[0]}


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric."""
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def drop_first(value: Value) -> Value:
    """Without the first step, in which gradients and optimizer state came into being."""
    return value[1:] if isinstance(value, list) else value
