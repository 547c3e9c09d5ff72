"""The ranks of one launch. The launch's actor forks them, gives each turn to all of them, and merges their answers.

The stage sees only this one actor and one answer. Each rank is an actor with a core or GPU of its own. It learns its
rank from the variables that ``torchrun`` sets (https://docs.pytorch.org/docs/stable/elastic/run.html).
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

# Shares of the stage's limit: first, ranks that wait for another one give up; then ranks without an answer are blamed.
COLLECTIVE_SHARE, ANSWER_SHARE = 0.6, 0.9
# The time that the rank to blame may take to end after others reported that they lost it.
BLAME_S = 2.0
HELLO_S = 5.0
LOST = ("by peer", "pair closure", "broken pipe", "timed out", "timeout", "distbackend", "diststore", "distnetwork")

Become = Callable[[int, int, int, str, bool], NoReturn]
Answers = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class Rank:
    """One process of the launch.

    Attributes:
        number: the rank, from 0.
        channel: the channel to the process.
        place: the part of its order with its core or GPU, and with the variables by which it finds the other ranks.
        pid: the process id; ``None`` on another host.
        output: the file that the process prints to; ``None`` on another host.
    """

    number: int
    channel: Channel
    place: dict[str, Any]
    pid: int | None = None
    output: Path | None = None


@dataclass(frozen=True)
class Ending:
    """The end of a rank that failed.

    Attributes:
        rank: the number of the rank.
        reason: the reason in the stage's words, such as ``crash`` or ``hang``.
        message: the rank's last message, or a description of how its process ended.
    """

    rank: Rank
    reason: str
    message: str

    @property
    def lost_another(self) -> bool:
        """Whether the message only says that another rank was lost, in the words of ``torch.distributed``."""
        return any(phrase in self.message.lower() for phrase in LOST)


def lead(channel: Channel, order: dict[str, Any], output: str, become: Become) -> int:
    """Fork the ranks, and pass messages between them and the stage until the stage is done; return the exit code.

    The ranks belong to the process group of this process and are killed with it. The kernel ends them when this process
    ends.

    Args:
        channel: the channel to the stage.
        order: the stage's order, with a place for each rank.
        output: the file that this process prints to.
        become: turns a forked child into an actor, and never returns.
    """
    limit_s = ANSWER_SHARE * order["timeout_s"]
    ranks = assembled(order, output, become)
    common = {name: value for name, value in order.items() if name not in ("places", "ranks", "hosts")}
    messages = [{**common, **rank.place} for rank in ranks]
    while messages:
        for rank, message in zip(ranks, messages, strict=True):
            with suppress(ConnectionError):  # the rank may have ended, and its error must still be read
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
    """All ranks of the launch. They are forked here; under torchrun only the first is, and the others join it."""
    places, count, hosts = order["places"], order["ranks"], order.get("hosts")
    if hosts:
        address = hosts["address"]
        rendezvous = f"tcp://{address}:{free_port()}"
    else:
        address = "127.0.0.1"
        # All ranks are on this machine, so they must not depend on what its host name resolves to.
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
    """The environment variables that tell a process its rank and the number of ranks."""
    return {"RANK": str(rank), "LOCAL_RANK": str(local_rank), "LOCAL_WORLD_SIZE": str(local_ranks)}


def forked(number: int, place: dict[str, Any], output: str, become: Become) -> Rank:
    """Fork a rank on this host, which then waits for its order."""
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
    """Wait for all ranks but the first to connect from where torchrun started them; return their first messages.

    Raises:
        TimeoutError: a rank did not connect in time.
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
    """A port on which no process listens."""
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


def gathered(ranks: Sequence[Rank], limit_s: float) -> tuple[Answers, list[Ending]]:
    """Wait for the answers of all ranks, or until it is known which rank failed.

    Returns:
        The answers by rank, and the ranks that ended, in the order in which they ended.
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
    """The end of a rank, if its answer reports one or if there is no answer; else ``None``."""
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
    """Merge the answers of all ranks into one.

    The registry of metrics says which value counts for each metric: a step ends when its last rank ends, and bytes are
    those of the rank with the most. A loss is the mean over the ranks, each of which has a share of the batch. All
    other values are those of rank 0.
    """
    first = answers[0]
    if ready := first.get("ready"):
        return {"ready": {**ready, "setup_s": max(answer["ready"]["setup_s"] for answer in answers)}}
    metrics = {
        name: largest([answer["metrics"][name] for answer in answers])
        if metric(name).told_by_ranks == "largest"
        else value
        for name, value in first["metrics"].items()
        # One rank's processor time does not show how long it waits for others.
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
    """The largest of some numbers; for lists, the largest at each position."""
    if isinstance(values[0], list):
        return [max(step) for step in zip(*values, strict=True)]
    return max(values)
