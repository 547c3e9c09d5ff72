"""Programs of one's own run dry by themselves: what is counted, what stands in for unknown values, what stops."""

import importlib
import math
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from perfgate.actor.devices import open_device
from perfgate.actor.dry_run.apart import apart
from perfgate.actor.dry_run.cuda_rules import MIB
from perfgate.actor.dry_run.run import NoDryRun, dry_run
from perfgate.actor.instruments.syncs import Syncs
from perfgate.actor.programs.base import Program
from perfgate.gate.attribution import growth

FLOAT = 4
WEIGHTS = 64 * 64 + 64


class Loop(Program):
    """A training loop in plain torch; a subclass adds what it does besides."""

    optimizer_class = torch.optim.AdamW

    def __init__(self, device):
        self.place = device.torch_device
        self.network = nn.Linear(64, 64).to(self.place)
        self.optimizer = self.optimizer_class(self.network.parameters(), lr=0.01)
        self.total = 0.0
        self.kept = []
        self.mask = torch.ones(3, device=self.place)

    def step(self):
        self.optimizer.zero_grad()
        loss = self.network(torch.ones(8, 64, device=self.place)).square().mean()
        loss.backward()
        self.optimizer.step()
        self.after(loss.detach())
        return loss.detach()

    def after(self, loss):
        """Nothing."""


def doing(after):
    """The loop that does something with its loss besides."""
    return type("Doing", (Loop,), {"after": after})


@pytest.mark.parametrize(
    ("kind", "words"),
    [(torch.optim.AdamW, 2), (torch.optim.SGD, 0), (torch.optim.Adagrad, 1), (torch.optim.RMSprop, 1)],
)
def test_state_and_gradients_of_any_optimizer_are_known_and_not_leaked(kind, words):
    found = dry_run(type("Chosen", (Loop,), {"optimizer_class": kind}), {})
    parts = found["memory_by_part_bytes"]
    assert parts["weights"] == FLOAT * WEIGHTS == parts["gradients"]
    assert 0 <= parts["optimizer_state"] - words * FLOAT * WEIGHTS <= 2 * 64
    assert found["leaked_bytes"] == 0
    assert found["parameters"] == WEIGHTS


class Tied(nn.Module):
    """A layer that reads the weights of an embedding."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(64, 64), nn.Linear(64, 64, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens))


class Converted(Program):
    """Trains a model with tied weights, which it converts before or after it makes the optimizer, or in each step."""

    def __init__(self, device, converts):
        self.converts = converts
        self.network = Tied().double() if converts == "before" else Tied()
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        if converts == "after":
            self.network.double()

    def step(self):
        loss = self.network(torch.zeros(4, dtype=torch.int64)).square().mean()
        loss.backward()
        if self.converts == "in each step":
            self.network.double()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def test_a_model_that_is_converted_keeps_its_ties_and_its_optimizer():
    before, after, each = (dry_run(Converted, {"converts": when}) for when in ("before", "after", "in each step"))
    assert before == after
    assert before["work"] == each["work"]
    assert before["parameters"] == 64 * 64
    assert before["memory_by_part_bytes"]["weights"] == 2 * FLOAT * 64 * 64
    assert before["work"]["optimizer"]


def test_a_leak_of_one_number_shows():
    assert dry_run(doing(lambda self, loss: self.kept.append(loss.clone())), {})["leaked_bytes"] == 64


def test_a_backward_pass_is_seen_where_it_happens():
    class Inference(Loop):
        def step(self):
            with torch.no_grad():
                return self.network(torch.ones(8, 64))

    for program, handles in ((Loop, 2), (Inference, 1)):
        assert dry_run(program, {}, "cuda")["memory"]["workspaces"] == {"temporaries": handles * 32 * MIB}


def test_the_phases_of_a_loop_of_ones_own_are_told_apart():
    found = dry_run(Loop, {})["memory_by_phase_bytes"]
    assert list(found) == ["forward", "backward", "optimizer"]
    # This loop drops its gradients at the beginning of the next step, where they still lie.
    assert [found[phase]["gradients"] for phase in found] == [FLOAT * WEIGHTS] * 3
    assert found["optimizer"]["temporaries"] > found["forward"]["temporaries"]


def test_cudas_optimizer_of_a_loop_of_ones_own_works_on_lists():
    assert "_foreach_addcdiv_" in dry_run(Loop, {}, "cuda")["operators"]
    assert "_foreach_addcdiv_" not in dry_run(Loop, {})["operators"]


def logs(self, loss):
    self.total += loss.item()
    self.kept = [f"{loss.item():.3f}", f"{loss:.2f}", loss.tolist(), float(loss), math.exp(loss.item())]


def test_a_value_that_nothing_depends_on_gets_a_stand_in():
    assert dry_run(doing(logs), {})["operator_calls"] > dry_run(Loop, {})["operator_calls"]


def test_a_shuffled_loader_draws_the_same_order_each_time_and_nothing_depends_on_weights():
    """Its batches have different lengths, so that another order would be other work."""

    def padded(rows):
        return nn.utils.rnn.pad_sequence([torch.ones(row, 64) for row in rows], batch_first=True)

    class Shuffled(Loop):
        def __init__(self, device):
            super().__init__(device)
            self.loader = DataLoader(range(1, 65), batch_size=4, shuffle=True, collate_fn=padded)

        def drive(self, pace):
            for batch in self.loader:
                pace.begin()
                loss = self.network(batch).sum()
                pace.end(loss)
                self.total = loss.item()  # read, and no decision depends on it

    work = [sum(dry_run(Shuffled, {}, target)["work"][""]["contractions"]) for target in ("cpu", "cpu", "cuda")]
    assert len(set(work)) == 1


def test_a_module_that_a_program_imports_late_makes_nothing_depend_on_weights(tmp_path, monkeypatch):
    (tmp_path / "late_tensors.py").write_text("import torch\nKEPT = torch.zeros(8)\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Late(Loop):
        def __init__(self, device):
            importlib.import_module("late_tensors")
            super().__init__(device)

        after = logs

    assert dry_run(Late, {})["leaked_bytes"] == 0


def test_values_are_taken_to_be_finite():
    def checks(self, loss):
        assert torch.isfinite(loss)

    assert dry_run(doing(checks), {})["flops"] > 0


def bool_of(self, loss):
    if loss > 0.5:
        self.kept = []


def compares(self, loss):
    if loss.item() < 0.5:
        self.kept = []


def goes_by(self, loss):
    for _ in range(int(loss)):
        self.network(torch.ones(1, 64))


@pytest.mark.parametrize("decides", [bool_of, compares, goes_by])
def test_control_flow_on_an_unknown_value_stops_with_file_and_line(decides):
    line = decides.__code__.co_firstlineno + 1
    with pytest.raises(NoDryRun, match=rf"depends? on weights.* at tests/actor/test_own_programs_dry\.py:{line}"):
        dry_run(doing(decides), {})


def test_a_stop_that_the_program_catches_is_told_all_the_same():
    def swallows(self, loss):
        try:
            bool(loss > 0.5)
        except Exception:
            self.kept = []

    with pytest.raises(NoDryRun, match="looks at values"):
        dry_run(doing(swallows), {})


def reads(self, loss):
    self.kept = [loss.item(), loss.cpu(), loss[None].tolist(), f"{loss:.2f}", self.mask.nonzero()]
    torch.zeros(3).sum().item()  # the program's own bookkeeping


class Stepped:
    """Stands for the pace: two steps, as the counters pass takes them."""

    def __init__(self, instrument):
        self.instrument, self.left, self.counts = instrument, 3, []

    def begin(self):
        self.instrument.begin_step()

    def end(self, *_):
        self.counts.append(self.instrument.end_step()["host_syncs"])


def counted(program):
    """What the counters pass counts in each of three steps, and by module path, operation and line."""
    device = open_device({"kind": "cpu"}, "counters", None, 1)
    instrument = Syncs(device)
    instrument.start()
    built = program(device=device)
    instrument.built(built)
    pace = Stepped(instrument)
    for _ in range(3):
        pace.begin()
        pace.end(built.step())
    return pace.counts, instrument.findings()["host_syncs"]


@pytest.mark.parametrize(("place", "waits"), [(torch.device("cpu"), 0), ("cpu", 1)], ids=["stays", "to the host"])
def test_a_tensor_in_a_mapped_function_lies_where_its_rows_lie(place, waits):
    """So transformers made its masks before version 5; a tensor of ``vmap`` has no storage of its own."""

    def mapped(self, loss):
        self.kept = torch.vmap(lambda row: row.to(place).sum())(self.mask[None] * loss)

    assert counted(doing(mapped))[0] == [waits] * 3


def test_a_tensor_without_elements_is_not_waited_for():
    assert counted(doing(lambda self, loss: torch.tensor([], device=self.place)))[0] == [0, 0, 0]


def test_host_syncs_in_a_loop_are_counted_dry_as_in_a_real_step_by_file_and_line():
    program = doing(reads)
    counts, table = counted(program)
    found = dry_run(program, {})
    assert counts == [5, 5, 5]
    assert found["predicted_host_syncs"] == 5
    assert found["host_syncs"] == table
    (operations,) = table.values()
    line = reads.__code__.co_firstlineno + 1
    where = f"tests/actor/test_own_programs_dry.py:{line}"
    assert set(operations) == {f"{what} at {where}" for what in ("item", "cpu", "tolist", "print", "nonzero")}


def factorizes(self, loss):
    matrix = torch.eye(3, device=self.place) * loss
    self.kept = [torch.linalg.inv(matrix), torch.linalg.eigh(matrix), torch.linalg.svdvals(matrix)]
    self.kept += [torch.linalg.inv_ex(matrix), torch.linalg.det(matrix)]  # which do not look


def test_factorizations_that_look_whether_they_succeeded_make_the_host_wait():
    program = doing(factorizes)
    assert counted(program)[0] == [3, 3, 3]
    assert dry_run(program, {})["predicted_host_syncs"] == 3


class Fed(Loop):
    """Each batch comes from the host's memory."""

    def after(self, loss):
        torch.ones(4).to(self.place)
        torch.ones(4).to("cpu").sum().item()


def test_a_copy_from_unpinned_memory_is_a_sync_and_what_stays_on_the_host_is_none():
    counts, table = counted(Fed)
    assert counts == [1, 1, 1]
    assert next(iter(table[""])).startswith("copy to the device at ")
    assert dry_run(Fed, {})["predicted_host_syncs"] == 1


def test_a_line_that_moved_is_not_growth():
    before = {"host_syncs": {"": {"item at loop.py:10": 1}}}
    moved = {"host_syncs": {"": {"item at loop.py:12": 1, "item at loop.py:30": 1}}}
    assert growth("host_syncs", before, moved).endswith("(item at loop.py:30) +1")


class Writes(Loop):
    def __init__(self, device):
        super().__init__(device)
        self.rows = Path("rows.txt").read_text().split()
        Path("written.txt").write_text("dry")
        self.batches = DataLoader([torch.ones(64)] * 4, batch_size=2, num_workers=2)

    def step(self):
        (batch, *_) = self.batches
        return functional.relu(self.network(batch)).sum()


def test_a_dry_run_reads_here_and_writes_elsewhere_without_workers(tmp_path, monkeypatch):
    (tmp_path / "rows.txt").write_text("a b")
    monkeypatch.chdir(tmp_path)
    with apart():
        assert dry_run(Writes, {})["flops"] > 0
    assert Path.cwd() == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.txt"]


@contextmanager
def connection():
    """A connection to somewhere."""
    import socket

    with socket.socket() as found:
        yield found


def test_a_dry_run_is_offline():
    with apart(), connection() as found, pytest.raises(OSError, match="a dry run is offline"):
        found.connect(("192.0.2.1", 80))


def test_a_file_is_named_below_the_folder_of_packages_that_it_lies_in(tmp_path):
    beneath = tmp_path / "other" / "site-packages"
    code = (
        "import sys; sys.path.append(sys.argv[1]); from perfgate.actor.dry_run.places import short; "
        "print(short(sys.argv[1] + '/lib/code.py'), short('/elsewhere/code.py'))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(beneath)], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["lib/code.py", "/elsewhere/code.py"], "an environment may lie over another one"


class Recomputes(Loop):
    """Drops the activations of a layer with dropout, of which a GPU's kernel keeps something else than a CPU's."""

    def __init__(self, device):
        super().__init__(device)
        self.layer = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5), nn.Linear(64, 64)).to(self.place)

    def step(self):
        given = self.network(torch.ones(8, 64, device=self.place))
        loss = checkpoint(self.layer, given, use_reentrant=False).square().mean()
        loss.backward()
        return loss.detach()


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_a_recomputed_layer_is_what_the_forward_pass_was_under_any_rules(target):
    found = dry_run(Recomputes, {}, target)
    assert found["work"]["layer.0"]["contractions"][0] == 1 + 1 + 2
