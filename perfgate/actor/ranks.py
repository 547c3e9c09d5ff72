"""The ranks of one launch: forked by its actor, which passes each turn on to all of them and answers for them.

The stage sees one actor and one answer. Each rank is an actor of its own, on a core or GPU of its own; it finds its
place in the variables that ``torchrun`` sets (https://docs.pytorch.org/docs/stable/elastic/run.html).
"""

import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from perfgate.shared.metrics import metric
from perfgate.shared.wire import Channel, describe_exit

# Of the stage's limit: first ranks that wait for another one give up, then those that gave no answer are named.
COLLECTIVE_SHARE, ANSWER_SHARE = 0.6, 0.9
# How long the rank that is to blame may take to end, after others have said that they lost it.
BLAME_S = 2.0
HELLO_S = 5.0
LOST = ("by peer", "pair closure", "broken pipe", "timed out", "timeout", "distbackend", "diststore", "distnetwork")

Become = Callable[[int, int, int, str, bool], NoReturn]
Answers = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Rank:
    """One process of the launch.

    Attributes:
        number: from 0.
        channel: to it.
        place: the part of its order that says where it goes, and how it finds the others.
        pid: its process; ``None`` on another host.
        output: the file that it prints to; ``None`` on another host.
    """

    number: int
    channel: Channel
    place: dict[str, Any]
    pid: int | None = None
    output: Path | None = None


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
    ranks = assembled(order, output, become)
    common = {name: value for name, value in order.items() if name not in ("places", "ranks", "hosts")}
    messages = [{**common, **rank.place} for rank in ranks]
    while messages:
        for rank, message in zip(ranks, messages, strict=True):
            with suppress(ConnectionError):  # it may have left an error to be read
                rank.channel.send(message)
        answers, endings = gathered(ranks, limit_s)
        if endings or len(answers) < len(ranks):
            found = blamed(ranks, answers, endings, limit_s)
            if found.rank.output:
                print(found.rank.output.read_text(errors="replace"), flush=True)
            channel.send({"error": {"reason": found.reason, "message": f"rank {found.rank.number}: {found.message}"}})
            return 1
        channel.send(merged([answers[rank.number] for rank in ranks]))
        turn = channel.receive()
        messages = [turn] * len(ranks) if turn else []
    return 0


def assembled(order: dict[str, Any], output: str, become: Become) -> list[Rank]:
    """All ranks of the launch: forked here, or, where torchrun started several, the first one here and each other one
    from where it was started."""
    places, count, hosts = order["places"], order["ranks"], order.get("hosts")
    if hosts:
        address = hosts["address"]
        rendezvous = f"tcp://{address}:{free_port()}"
    else:
        address = "127.0.0.1"
        # All ranks are on this machine, whatever its name is resolved to.
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        rendezvous = f"file://{output}.rendezvous"
    common = {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": address,
        "PERFGATE_RENDEZVOUS": rendezvous,
        "PERFGATE_COLLECTIVE_TIMEOUT_S": str(COLLECTIVE_SHARE * order["timeout_s"]),
    }
    ranks = []
    for number, place in enumerate(places):
        own = variables(number, number, len(places))
        ranks.append(forked(number, {**place, "environment": common | own}, output, become))
    if hosts:
        kind = order["device"]["kind"]
        for number, (channel, hello) in sorted(joined(hosts["port"], count, order["timeout_s"]).items()):
            own = variables(number, hello["local_rank"], hello["local_world_size"])
            device = {"kind": kind, "uuid": hello["visible"], "position": hello["local_rank"]}
            cores = [hello["core"]] if kind == "cpu" else None
            ranks.append(Rank(number, channel, {"device": device, "cores": cores, "environment": common | own}))
    return ranks


def variables(rank: int, local_rank: int, local_ranks: int) -> dict[str, str]:
    """The variables by which a process knows its place among others."""
    return {"RANK": str(rank), "LOCAL_RANK": str(local_rank), "LOCAL_WORLD_SIZE": str(local_ranks)}


def forked(number: int, place: dict[str, Any], output: str, become: Become) -> Rank:
    """A rank on this host, which waits for its order."""
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
    return Rank(number, Channel(our_read, our_write), place, pid, Path(own_output))


def joined(port: int, ranks: int, limit_s: float) -> dict[int, tuple[Channel, dict[str, Any]]]:
    """Let in ranks from where torchrun started them, all but the first; returns what they told of themselves.

    Raises:
        TimeoutError: one did not come.
    """
    found: dict[int, tuple[Channel, dict[str, Any]]] = {}
    deadline_s = time.monotonic() + ANSWER_SHARE * limit_s
    with socket.create_server(("", port)) as listener:
        while len(found) < ranks - 1:
            listener.settimeout(max(deadline_s - time.monotonic(), 0.01))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                absent = [str(number) for number in range(1, ranks) if number not in found]
                raise TimeoutError(f"rank {', '.join(absent)} did not join; is torchrun up on its host?") from None
            connection.setblocking(False)
            channel = Channel(connection.fileno(), os.dup(connection.detach()))
            with suppress(ConnectionError, TimeoutError):
                hello = channel.receive(HELLO_S) or {}
                if 0 < hello.get("rank", 0) < ranks and hello["rank"] not in found:
                    channel.send({"go": True})
                    found[hello["rank"]] = channel, hello
                    continue
            channel.close()
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


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
    if answer is None and rank.pid is None:
        return Ending(rank, "crash", "its process ended on its host")
    if answer is None:
        _, status = os.waitpid(rank.pid or 0, 0)
        return Ending(rank, "crash", describe_exit(os.waitstatus_to_exitcode(status)))
    if error := answer.get("error"):
        return Ending(rank, error["reason"], error["message"])
    return None


def blamed(ranks: Sequence[Rank], answers: Answers, endings: Sequence[Ending], limit_s: float) -> Ending:
    """The failure that caused the others: a rank that failed by itself, else one that never answered."""
    if own := [ending for ending in endings if not ending.lost_another]:
        return own[0]
    told = {*answers, *(ending.rank.number for ending in endings)}
    if silent := [rank for rank in ranks if rank.number not in told]:
        waited = " while others waited for it" if told else f" within {limit_s:g} s"
        return Ending(silent[0], "hang", f"no answer{waited}")
    return endings[0]


def merged(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One answer for all ranks.

    The registry says of each metric which value counts: a step is over when its last rank is done, bytes are those of
    the rank that holds most. Losses are the mean over the ranks' shares of the batch; all else is as rank 0 has it.
    """
    first = answers[0]
    if ready := first.get("ready"):
        return {"ready": {**ready, "setup_s": max(answer["ready"]["setup_s"] for answer in answers)}}
    metrics = {
        name: largest([answer["metrics"][name] for answer in answers])
        if metric(name).told_by_ranks == "largest"
        else value
        for name, value in first["metrics"].items()
        # What one rank computes does not tell how long it waits for others.
        if metric(name).told_by_ranks != "nothing" and not name.startswith("process_")
    }
    if "findings" not in first:
        return {"metrics": metrics}
    findings = dict(first["findings"])
    if losses := findings.get("outcome", {}).get("losses"):
        every = [answer["findings"]["outcome"]["losses"] for answer in answers]
        mean = [sum(step) / len(answers) for step in zip(*every, strict=True)] if losses else []
        findings["outcome"] = {**findings["outcome"], "losses": mean}
    return {"metrics": metrics, "findings": findings}


def largest(values: Sequence[Any]) -> Any:
    """The largest number; of lists, step by step."""
    if isinstance(values[0], list):
        return [max(step) for step in zip(*values, strict=True)]
    return max(values)
