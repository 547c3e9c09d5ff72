"""The ranks of one launch: forked by its actor, which passes each token on to all of them and answers for them.

The stage sees one actor and one answer. Each rank is an actor of its own, on a core or GPU of its own; it finds its
place in the variables that ``torchrun`` sets (https://docs.pytorch.org/docs/stable/elastic/run.html).
"""

import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from perfgate.wire import Channel, describe_exit

# Of the stage's limit: first ranks that wait for another one give up, then those that gave no answer are named.
COLLECTIVE_SHARE, ANSWER_SHARE = 0.6, 0.9
# How long the rank that is to blame may take to end, after others have said that they lost it.
BLAME_S = 2.0
LOST = ("by peer", "pair closure", "broken pipe", "timed out", "distbackend", "diststore", "distnetwork")

Become = Callable[[int, int, int, str, bool], NoReturn]
Answers = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Rank:
    """One process of the launch.

    Attributes:
        number: from 0.
        pid: its process.
        channel: to it.
        output: the file that it prints to.
    """

    number: int
    pid: int
    channel: Channel
    output: Path


@dataclass(frozen=True)
class Ending:
    """How a rank ended that gave no good answer.

    Attributes:
        rank: which.
        reason: in the stage's words, such as ``crash`` or ``hang``.
        message: what it said last, or how its process ended.
    """

    rank: Rank
    reason: str
    message: str

    @property
    def lost_another(self) -> bool:
        """Whether it only tells that it lost another rank, as ``torch.distributed`` words it."""
        return any(phrase in self.message.lower() for phrase in LOST)


def lead(channel: Channel, order: dict[str, Any], output: str, become: Become) -> int:
    """Fork the ranks, and stand between them and the stage until it wants no more; returns the exit code.

    The ranks are of this process's group, with which they are killed, and the kernel ends them when it ends.

    Args:
        channel: to the stage.
        order: the stage's, with a place for each rank.
        output: the file that this process prints to.
        become: makes an actor of a forked child, and never returns.
    """
    limit_s = ANSWER_SHARE * order["timeout_s"]
    ranks = [forked(number, output, become) for number in range(len(order["places"]))]
    messages = orders(order, output)
    while messages:
        for rank, message in zip(ranks, messages, strict=True):
            with suppress(BrokenPipeError):  # it may have left an error to be read
                rank.channel.send(message)
        answers, endings = gathered(ranks, limit_s)
        if endings or len(answers) < len(ranks):
            found = blamed(ranks, answers, endings, limit_s)
            print(found.rank.output.read_text(errors="replace"), flush=True)
            message = f"rank {found.rank.number}: {found.message}"
            channel.send({"error": {"reason": found.reason, "message": message}})
            return 1
        channel.send(merged([answers[rank.number] for rank in ranks]))
        token = channel.receive()
        messages = [token] * len(ranks) if token else []
    return 0


def forked(number: int, output: str, become: Become) -> Rank:
    """A rank that waits for its order."""
    their_read, our_write = os.pipe()
    our_read, their_write = os.pipe()
    own_output = f"{output}.rank{number}"
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        become(parent, their_read, their_write, own_output, False)
    os.close(their_read)
    os.close(their_write)
    os.set_blocking(our_read, False)
    return Rank(number, pid, Channel(our_read, our_write), Path(own_output))


def orders(order: dict[str, Any], output: str) -> list[dict[str, Any]]:
    """What each rank is told: the stage's order with its own place in it, and how it finds the others."""
    common = {name: value for name, value in order.items() if name != "places"}
    count = len(order["places"])
    return [
        {
            **common,
            **place,
            "environment": {
                "RANK": str(number),
                "LOCAL_RANK": str(number),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                # All ranks are on this machine, whatever its name is resolved to.
                "GLOO_SOCKET_IFNAME": "lo",
                "PERFGATE_RENDEZVOUS": f"file://{output}.rendezvous",
                "PERFGATE_COLLECTIVE_TIMEOUT_S": str(COLLECTIVE_SHARE * order["timeout_s"]),
            },
        }
        for number, place in enumerate(order["places"])
    ]


def gathered(ranks: Sequence[Rank], limit_s: float) -> tuple[Answers, list[Ending]]:
    """Wait for the answers of all ranks, or until one is known to be to blame that there are none.

    Returns:
        Answers by number, and how ranks ended, the first one first.
    """
    answers: Answers = {}
    endings: list[Ending] = []
    waiting = {rank.channel.read_fd: rank for rank in ranks}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    deadline_s = time.monotonic() + limit_s
    while waiting:
        left_s = max(deadline_s - time.monotonic(), 0.0)
        ready = poll.poll(left_s * 1000)
        if not ready:
            break
        for fd, _ in ready:
            poll.unregister(fd)
            rank = waiting.pop(fd)
            with suppress(TimeoutError):
                answer = rank.channel.receive(left_s)
                if ending := ended(rank, answer):
                    endings.append(ending)
                else:
                    answers[rank.number] = answer or {}
        if any(not ending.lost_another for ending in endings):
            break
        if endings:
            deadline_s = min(deadline_s, time.monotonic() + BLAME_S)
    return answers, endings


def ended(rank: Rank, answer: dict[str, Any] | None) -> Ending | None:
    """How a rank ended, if its answer says so or there is none."""
    if answer is None:
        _, status = os.waitpid(rank.pid, 0)
        return Ending(rank, "crash", describe_exit(os.waitstatus_to_exitcode(status)))
    if error := answer.get("error"):
        return Ending(rank, error["reason"], error["message"])
    return None


def blamed(ranks: Sequence[Rank], answers: Answers, endings: Sequence[Ending], limit_s: float) -> Ending:
    """The ending that the others follow from: one by itself, else a rank's that says nothing."""
    if own := [ending for ending in endings if not ending.lost_another]:
        return own[0]
    told = {*answers, *(ending.rank.number for ending in endings)}
    if silent := [rank for rank in ranks if rank.number not in told]:
        waited = " while others waited for it" if told else f" within {limit_s:g} s"
        return Ending(silent[0], "hang", f"no answer{waited}")
    return endings[0]


def merged(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One answer for all ranks.

    A step is over when its last rank is done, bytes are those of the rank that holds most, and losses are the mean over
    the ranks' shares of the batch; all else is as rank 0 has it. What a rank computes does not tell how long it waits
    for others, so the processor's time is left out.
    """
    first = answers[0]
    if ready := first.get("ready"):
        return {"ready": {**ready, "setup_s": max(answer["ready"]["setup_s"] for answer in answers)}}
    metrics = {
        name: largest([answer["metrics"][name] for answer in answers]) if is_of_all(name) else value
        for name, value in first["metrics"].items()
        if name != "process_time_s"
    }
    if "findings" not in first:
        return {"metrics": metrics}
    findings = dict(first["findings"])
    if losses := findings.get("outcome", {}).get("losses"):
        every = [answer["findings"]["outcome"]["losses"] for answer in answers]
        mean = [sum(step) / len(answers) for step in zip(*every, strict=True)] if losses else []
        findings["outcome"] = {**findings["outcome"], "losses": mean}
    return {"metrics": metrics, "findings": findings}


def is_of_all(name: str) -> bool:
    """Whether a metric is the largest over the ranks."""
    return name == "step_time_s" or name.endswith("_bytes")


def largest(values: Sequence[Any]) -> Any:
    """The largest number; of lists, step by step."""
    if isinstance(values[0], list):
        return [max(step) for step in zip(*values, strict=True)]
    return max(values)
