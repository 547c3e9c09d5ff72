"""The ledger's parts, each on its own: operators, storages, known values, the tracker, layers and growth."""

import gc
from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional

from perfgate.actor.dry_run.context import DryContext
from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.known_values import MAX_REAL, exact_modes
from perfgate.actor.dry_run.operators import extent_bytes
from perfgate.actor.dry_run.storages import Frame, Storages
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.gate.attribution import growth
from perfgate.records.layers import collapsed, expanded
from perfgate.shared.metrics import metric

FLOAT = 4  # bytes


@contextmanager
def dry(speeds=None):
    """A stand on which fake tensors are tracked."""
    fake, tracker = FakeTensorMode(allow_non_fake_inputs=True), Tracker(64, speeds)
    with fake, tracker, tracker.hooked():
        yield DryContext(fake, tracker, CpuRules())


def known(stand, values, dtype=torch.int64):
    """A fake tensor whose values are known."""
    with exact_modes():
        real = torch.tensor(values, dtype=dtype)
    return stand.adopt(real)


def values(tensor):
    """All values, in order, each looked at by itself."""
    flat = tensor.reshape(-1)
    return [flat[index].item() for index in range(flat.numel())]


def weights(*shape):
    """Real numbers that nobody knows, more than are ever carried along."""
    return torch.empty((32, *shape)).sum(0)


def charged(run, *shapes, dtype=torch.float32):
    """What ``run`` over tensors of these shapes costs: ``{group: (calls, FLOPs, read, written)}``."""
    with dry() as stand:
        tensors = [torch.empty(shape, dtype=dtype) for shape in shapes]
        stand.tracker.restart()
        run(*tensors)
        return {group: tuple(map(int, row[:4])) for (_, group), row in stand.tracker.work.items()}


def backward_of(run, *shapes):
    """The same of the backward pass alone, with respect to all tensors."""
    with dry() as stand:
        tensors = [torch.empty(shape, requires_grad=True) for shape in shapes]
        result = run(*tensors)
        grad = torch.empty_like(result)
        stand.tracker.restart()
        result.backward(grad)
        return {group: tuple(map(int, row[:4])) for (_, group), row in stand.tracker.work.items()}


@pytest.mark.parametrize(
    ("group", "run"),
    [
        ("contractions", lambda x: x @ x),
        ("contractions", lambda x: functional.linear(x, x, x[0])),
        ("contractions", lambda x: functional.conv1d(x[None], x[:, :, None])),
        (
            "contractions",
            lambda x: functional.scaled_dot_product_attention(*[x[None, None]] * 3),
        ),
        ("normalizations", lambda x: x.softmax(-1)),
        ("normalizations", lambda x: torch._safe_softmax(x, -1)),
        ("normalizations", lambda x: functional.layer_norm(x, (4,))),
        ("normalizations", lambda x: x.mean()),
        ("normalizations", lambda x: x.argmax(-1)),
        ("element-wise", lambda x: x + x),
        ("element-wise", lambda x: x.mul_(2)),
        ("element-wise", lambda x: functional.gelu(x)),
        ("element-wise", lambda x: x > 0),
        ("other", lambda x: torch.cat([x, x])),
        ("other", lambda x: x.clone()),
        ("other", lambda x: x.to(torch.bfloat16)),
        ("other", lambda x: x.masked_fill(torch.empty(4, 4, dtype=torch.bool), 0.0)),
        ("other", lambda x: torch.arange(3)),
    ],
)
def test_each_operator_belongs_to_one_group(group, run):
    found = charged(run, (4, 4))
    assert group in found
    assert set(found) - {group} <= {"other"}, "only what is moved may come along"


def marked(x):
    """A view under a name for the profiler, which runs nothing either."""
    with torch.profiler.record_function("marked"):
        return x.t()


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x.view(8, 2),
        lambda x: x.t()[1:, ::2].unsqueeze(0).expand(3, -1, -1),
        lambda x: x.detach(),
        lambda x: torch.empty_like(x),
        lambda x: x.reshape(-1),
        lambda x: x.split(2),
        lambda x: marked(x),
    ],
)
def test_views_and_empty_room_cost_nothing(run):
    assert charged(run, (4, 4)) == {}


def test_flops_of_a_linear_layer_are_two_a_weight_and_token_and_twice_that_backward():
    one = 2 * (2 * 3) * 4 * 5
    linear = functional.linear
    assert charged(linear, (2, 3, 4), (5, 4), (5,))["contractions"][:2] == (1, one)
    assert charged(linear, (2, 3, 4), (5, 4))["contractions"][:2] == (1, one)
    assert backward_of(linear, (2, 3, 4), (5, 4), (5,))["contractions"][:2] == (2, 2 * one)


def test_flops_of_products_and_convolutions():
    assert charged(torch.matmul, (2, 3, 4, 5), (2, 3, 5, 6))["contractions"][1] == 2 * 6 * 4 * 5 * 6
    images, kernels = (2, 3, 8, 8), (7, 3, 2, 2)
    step = lambda x, w: functional.conv2d(x, w, stride=2)  # noqa: E731
    assert charged(step, images, kernels)["contractions"][1] == 2 * (2 * 4 * 4) * 7 * (3 * 2 * 2)


@pytest.mark.parametrize("keys", [4, 6])
def test_flops_of_attention_are_two_products_and_five_backward(keys):
    batch, heads, queries, width = 2, 3, 4, 8
    shapes = [(batch, heads, length, width) for length in (queries, keys, keys)]
    product = 2 * batch * heads * queries * keys * width
    assert charged(functional.scaled_dot_product_attention, *shapes)["contractions"][:2] == (1, 2 * product)
    assert backward_of(functional.scaled_dot_product_attention, *shapes)["contractions"][:2] == (1, 5 * product)


def test_grouped_attention_counts_every_head_of_the_queries():
    shapes = [(2, 8, 4, 16), (2, 2, 4, 16), (2, 2, 4, 16)]
    grouped = lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)  # noqa: E731
    assert charged(grouped, *shapes)["contractions"][1] == 2 * 2 * (2 * 8 * 4 * 4 * 16)


def test_flops_of_softmax_and_layer_norm():
    softmax = lambda x: x.softmax(-1)  # noqa: E731
    norm = lambda x, w, b: functional.layer_norm(x, (4,), w, b)  # noqa: E731
    assert charged(softmax, (3, 4))["normalizations"][:2] == (1, 5 * 12)
    assert backward_of(softmax, (3, 4))["normalizations"][:2] == (1, 4 * 12)
    assert charged(norm, (3, 4), (4,), (4,))["normalizations"][:2] == (1, 7 * 12)
    assert backward_of(norm, (3, 4), (4,), (4,))["normalizations"][:2] == (1, 14 * 12)


def test_flops_of_element_wise_operators_are_one_a_result_and_of_reductions_one_an_input():
    assert charged(torch.add, (4, 1), (3,))["element-wise"][1] == 12
    assert charged(torch.sum, (4, 3))["normalizations"][1] == 12
    assert charged(lambda x: x.mul_(2), (4, 3))["element-wise"][1] == 12
    assert charged(lambda x: x + 1, (4, 3), dtype=torch.int64)["element-wise"][1] == 0


def test_flops_over_a_list_are_those_over_its_members():
    def together(a, b):
        torch._foreach_norm([a, b])
        torch._foreach_mul_([a, b], 2.0)

    def apart(a, b):
        for tensor in (a, b):
            torch.linalg.vector_norm(tensor)
            tensor.mul_(2.0)

    listed, single = charged(together, (10,), (20,)), charged(apart, (10,), (20,))
    assert {group: row[1] for group, row in listed.items()} == {group: row[1] for group, row in single.items()}


def test_a_fused_optimizer_reads_all_lists_and_writes_weights_and_state():
    def step(weight, grad, mean, square):
        with exact_modes():
            count = torch.ones(())
        torch._fused_adamw_(
            [weight, weight], [grad, grad], [mean, mean], [square, square], [], [count, count],
            lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    calls, flops, read, written = charged(step, (10,), (10,), (10,), (10,))["element-wise"]
    assert calls == 1
    assert flops >= 20
    assert read >= 2 * 4 * 10 * FLOAT
    assert written >= 2 * 3 * 10 * FLOAT


@pytest.mark.parametrize(
    ("run", "read", "written"),
    [
        (lambda x, y: x + y, 20 + 5, 20),
        (lambda x, y: x + y.expand(4, 5), 20 + 5, 20),
        (lambda x, y: y.expand(4, 5).clone(), 5, 20),
        (lambda x, y: x.t().clone(), 20, 20),
        (lambda x, y: x[:2] * 2, 10, 10),
        (lambda x, y: x.add_(y), 20 + 5, 20),
        (lambda x, y: x.copy_(y), 5, 20),
        (lambda x, y: x.zero_(), 0, 20),
        (lambda x, y: x[1:3].fill_(1.0), 0, 10),
        (lambda x, y: torch.zeros_like(x), 0, 20),
        (lambda x, y: torch.cat([x, x]), 40, 40),
        (lambda x, y: torch._foreach_add_([x, y], 1.0), 25, 25),
    ],
)
def test_traffic_is_each_operand_once_as_it_lies_in_memory(run, read, written):
    ((_, _, found_read, found_written),) = charged(run, (4, 5), (5,)).values()
    assert (found_read, found_written) == (FLOAT * read, FLOAT * written)


def test_an_embedding_reads_only_the_rows_that_are_asked_for():
    def look_up(weight):
        functional.embedding(torch.empty(2, 3, dtype=torch.int64), weight)

    _, flops, read, written = charged(look_up, (1000, 8))["other"]
    assert (flops, read, written) == (0, 8 * 6 + FLOAT * 6 * 8, FLOAT * 6 * 8)


def test_traffic_of_sixteen_bits_is_half():
    assert charged(torch.add, (4, 5), (4, 5), dtype=torch.bfloat16)["element-wise"][2:] == (2 * 40, 2 * 20)


def test_extent_counts_repeated_elements_once_and_no_elements_as_none():
    assert extent_bytes(torch.zeros(3, 1).expand(3, 7)) == 3 * FLOAT
    assert extent_bytes(torch.zeros(0, 4)) == 0
    assert extent_bytes(torch.zeros(0, 1).expand(0, 4)) == 0
    assert extent_bytes(torch.zeros(())) == FLOAT


def test_the_roofline_is_the_slower_of_arithmetic_and_traffic():
    speeds = {"float32": 1e3, "bfloat16": 1e6, "bytes_per_s": 1e9}
    with dry(speeds) as stand:
        x = torch.empty(10, 10)
        stand.tracker.restart()
        x @ x
        assert sum(row[4] for row in stand.tracker.work.values()) == pytest.approx(2 * 1000 / 1e3)
        stand.tracker.restart()
        x.clone()
        assert sum(row[4] for row in stand.tracker.work.values()) == pytest.approx(2 * 400 / 1e9)
        y = x.to(torch.bfloat16)
        stand.tracker.restart()
        y @ y
        assert sum(row[4] for row in stand.tracker.work.values()) == pytest.approx(2 * 1000 / 1e6)


class Room:
    """A frame's worth of storages, with real tensors."""

    def __init__(self, block_bytes=64):
        self.storages = Storages(block_bytes)

    def make(self, size_bytes, frame=None, path=""):
        tensor = torch.empty(size_bytes, dtype=torch.uint8)
        self.storages.see(tensor, frame, path)
        return tensor

    def peak(self, since=0):
        return sum(allocation.size_bytes for allocation in self.storages.at_peak(since))


@pytest.mark.parametrize(("block", "size", "rounded"), [(64, 0, 0), (64, 1, 64), (64, 65, 128), (512, 65, 512)])
def test_a_storage_takes_whole_blocks(block, size, rounded):
    room = Room(block)
    kept = room.make(size)
    assert room.peak() == rounded
    del kept


def test_the_peak_is_what_lives_at_the_same_time():
    room = Room()
    first = room.make(64)
    second = room.make(128)
    del first
    third = room.make(256)
    del second, third
    last = room.make(64)
    assert room.peak() == 128 + 256
    assert [allocation.died is None for allocation in room.storages.everything] == [False, False, False, True]
    del last


def test_of_two_equal_peaks_the_first_counts():
    room = Room()
    early = room.make(64, path="early")
    del early
    late = room.make(64, path="late")
    assert [allocation.path for allocation in room.storages.at_peak(0)] == ["early"]
    del late


def test_what_was_over_before_the_step_does_not_count():
    room = Room()
    kept = room.make(64)
    big = room.make(1024)
    del big
    since = room.storages.begin()
    assert room.peak(since) == 64
    assert len(room.storages.everything) == 1
    more = room.make(128)
    del more
    assert room.peak(since) == 192
    del kept


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3)), max_size=30), st.integers(0, 30))
def test_the_peak_is_that_of_a_plain_count(moves, begin):
    """Each move allocates and then releases the oldest few; the step begins after some moves."""
    room, living = Room(), []
    since, level, highest = room.storages.begin(), 0, 0
    for number, (size, releases) in enumerate(moves):
        if number == begin:
            since, highest = room.storages.begin(), level
        living.append(room.make(size))
        level += -(-size // 64) * 64
        highest = max(highest, level)
        for _ in range(min(releases, len(living))):
            level -= -(-living.pop(0).nbytes // 64) * 64
    assert room.peak(since) == highest


def test_views_share_their_storage():
    room = Room()
    whole = room.make(640)
    room.storages.see(whole[10:20], None, "")
    part = whole.view(2, 320)[1]
    del whole
    room.storages.see(part, None, "")
    assert room.peak() == 640
    assert len(room.storages.everything) == 1


def test_a_storage_that_grows_is_counted_once_at_its_new_size():
    room = Room()
    tensor = room.make(64)
    room.storages.name([tensor], "weights", "w")
    tensor.resize_(640)
    room.storages.see(tensor, None, "")
    assert room.peak() == 640
    del tensor
    assert all(allocation.died for allocation in room.storages.everything)


def test_a_name_stays_the_first():
    room = Room()
    tensor = room.make(64, path="here")
    room.storages.name([tensor, None], "weights", "there")
    room.storages.name([tensor], "activations", "elsewhere")
    (allocation,) = room.storages.at_peak(0)
    assert (allocation.what, allocation.path) == ("weights", "there")


def test_what_is_forgotten_is_not_counted():
    room = Room()
    kept, elsewhere = room.make(64), room.make(128)
    room.storages.forget(elsewhere)
    assert room.peak() == 64
    del kept, elsewhere


def test_what_outlives_its_module_call_is_an_activation_and_all_else_temporary():
    room = Room()
    frame, other = Frame("m"), Frame("n")
    outside = room.make(64)
    result, scratch, unfinished = room.make(64, frame, "m"), room.make(64, frame, "m"), room.make(64, other, "n")
    del scratch
    frame.left = True
    assert [allocation.what for allocation in room.storages.everything][1:3] == ["temporaries", "temporaries"]
    assert [allocation.what for allocation in room.storages.at_peak(0)] == [
        "temporaries", "activations", "temporaries", "temporaries",
    ]  # fmt: skip
    del result
    assert room.storages.everything[1].what == "activations"
    del outside, unfinished


def test_masks_and_positions_may_be_looked_at():
    with dry() as stand:
        mask = known(stand, [[0, 1, 1], [1, 1, 1]])
        assert not mask.all()
        assert mask[1].bool().all()
        assert not torch.equal(mask, torch.ones_like(mask))
        positions = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 7)
        assert values(positions) == [7, 0, 1, 0, 1, 2]
        assert int(positions.max()) == 7
        assert torch.cat([mask, mask.new_zeros((2, 1))], dim=-1).sum(-1)[1].item() == 3
        assert torch.stack([mask[0], mask[1]]).any()


@pytest.mark.parametrize("look", [bool, int, float, lambda x: x.item(), lambda x: torch.equal(x, x)])
def test_what_depends_on_weights_may_not_be_looked_at(look):
    with dry(), pytest.raises(DataDependentOutputException):
        look(weights() * 2)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_room_that_is_not_filled_holds_nothing_that_is_known(shape):
    with dry(), pytest.raises(DataDependentOutputException):
        torch.empty(shape).sum().item()


def test_factories_and_random_whole_numbers_are_known_and_random_real_ones_are_not():
    with dry():
        assert values(torch.arange(3)) == [0, 1, 2]
        assert values(torch.full((2,), 5.0)) == [5.0, 5.0]
        assert torch.zeros(()).item() == 0.0
        assert torch.tensor([1, 2]).sum().item() == 3
        assert sorted(values(torch.randperm(3))) == [0, 1, 2]
        assert torch.randint(2, 3, ()).item() == 2
        assert torch.empty(2, dtype=torch.int64).random_(2, 3).tolist() == [2, 2]
        assert torch.zeros((), dtype=torch.int64).random_(2, 3).item() == 2
        for chance in (
            torch.rand(()),
            torch.zeros(()).uniform_(),
            torch.zeros(()).random_(9),
            torch.ones(2).bernoulli_(),
        ):
            with pytest.raises(DataDependentOutputException):
                chance.sum().item()


def test_real_numbers_are_carried_along_only_in_small_tensors():
    with dry():
        assert torch.zeros(MAX_REAL).sum().item() == 0
        with pytest.raises(DataDependentOutputException):
            torch.zeros(MAX_REAL + 1).sum().item()
        assert torch.zeros(1000, dtype=torch.int64).sum().item() == 0


def test_overwriting_with_what_is_known_is_followed():
    with dry() as stand:
        x = known(stand, [1, 2, 3, 4])
        x[1:3] = 0
        x[0].fill_(9)
        x.view(2, 2)[1] += 5
        assert values(x) == [9, 0, 5, 9]
        steps = [known(stand, 1.0, torch.float32), known(stand, 2.0, torch.float32)]
        torch._foreach_add_(steps, 1.0)
        assert [step.item() for step in steps] == [2.0, 3.0]
        target = torch.zeros((), dtype=torch.int64)
        torch.add(x[0], x[1], out=target)
        assert target.item() == 9


def test_what_is_drawn_into_a_tensor_is_known_until_a_view_from_before_is_written():
    with dry():
        drawn = torch.empty(4, dtype=torch.int64)
        before = drawn[1:]
        drawn.random_(2, 3)
        after = drawn[:1]
        assert drawn.sum().item() == 8
        drawn.random_(3, 4)
        assert after.item() == 3
        before.random_(5, 6)
        assert before[0].item() == 5
        for part in (drawn, after):
            with pytest.raises(DataDependentOutputException):
                part.sum().item()
        drawn.random_(7, 8)
        assert drawn[1].item() == 7
        before.zero_()
        for part in (drawn, before):
            with pytest.raises(DataDependentOutputException):
                part.sum().item()


def unknown(*shape):
    """Whole numbers of which nothing is known."""
    return torch.empty(shape, dtype=torch.int64)


@pytest.mark.parametrize(
    "overwrite",
    [
        lambda x: x.copy_(unknown(4)),
        lambda x: x.add_(unknown(4)),
        lambda x: x[1:].mul_(unknown(3)),
        lambda x: x.view(2, 2)[0].copy_(unknown(2)),
        lambda x: torch._foreach_add_([x], [unknown(4)]),
        lambda x: torch.add(unknown(4), 1, out=x),
        lambda x: x.index_copy_(0, torch.arange(1), unknown(1)),
        lambda x: x.split(2)[1].copy_(unknown(2)),
        lambda x: x.unbind()[0].copy_(unknown()),
        lambda x: x.chunk(2)[0].add_(unknown(2)),
    ],
)
def test_overwriting_with_what_is_unknown_forgets_the_tensor_and_all_its_views(overwrite):
    with dry() as stand:
        x = known(stand, [1, 2, 3, 4])
        before, copy = x[2:], x.clone()
        overwrite(x)
        for part in (x, before, x.view(2, 2), x[0]):
            with pytest.raises(DataDependentOutputException):
                part.sum().item()
        assert values(copy) == [1, 2, 3, 4]


def parts_filled(x):
    """Writes a known value through members of a list of views."""
    x.split(2)[0].fill_(0)
    return x


def rows_filled(x):
    """The same by a loop over rows."""
    for row in x.view(2, 2):
        row[:1] = 0
    return x


@pytest.mark.parametrize(
    ("change", "expected"), [(parts_filled, [0, 0, 3, 4]), (rows_filled, [0, 2, 0, 4])], ids=["split", "loop"]
)
def test_a_value_written_through_a_list_of_views_is_never_missed(change, expected):
    with dry() as stand:
        x = change(known(stand, [1, 2, 3, 4]))
        try:
            found = values(x)
        except DataDependentOutputException:
            return  # forgotten, which is safe
        assert found == expected


def test_a_value_written_through_a_large_view_of_real_numbers_is_never_missed():
    with dry() as stand:
        x = known(stand, [[0.0] * MAX_REAL] * 2, torch.float32)
        x[0].fill_(1.0)
        try:
            found = values(x[0, :4])
        except DataDependentOutputException:
            return
        assert found == [1.0] * 4


def test_members_of_a_list_of_views_are_known():
    with dry() as stand:
        x = known(stand, [[1, 1], [0, 1]])
        assert [bool(row.all()) for row in x] == [True, False]
        assert [part.sum().item() for part in x.split(1)] == [2, 1]
        largest, where = x.max(dim=0)
        assert (values(largest), values(where)) == ([1, 1], [0, 0])
        assert x.tolist() == [[1, 1], [0, 1]]


def test_a_tracker_over_real_tensors_changes_none_of_their_values():
    x, counters = torch.zeros(3), [torch.zeros(()), torch.zeros(())]
    with Tracker(64, dry=False) as tracker:
        x.add_(1)
        torch._foreach_add_(counters, 1)
        buckets = torch.zeros(2, dtype=torch.int64)
        buckets += 3
        assert x.sum().item() == 3
    assert (x.tolist(), [counter.item() for counter in counters], buckets.tolist()) == ([1.0] * 3, [1.0] * 2, [3, 3])
    assert tracker.operators["add_"] == 2


@pytest.mark.parametrize("fake", [True, False])
def test_fake_and_real_tensors_are_charged_alike(fake):
    def step():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 2))
        tokens = torch.zeros((2, 3), dtype=torch.int64)
        model(tokens).sum().backward()

    with FakeTensorMode() if fake else torch.enable_grad(), Tracker(64, dry=fake) as tracker:
        step()
    assert tracker.operators["addmm"] == 2
    assert tracker.operators["mm"] == 4
    assert tracker.operators["native_layer_norm_backward"] == 1
    flops = {group: row[1] for (_, group), row in tracker.work.items()}
    assert flops["contractions"] == 3 * (2 * 6 * 4 * 4 + 2 * 6 * 4 * 2)


class Block(nn.Module):
    """A layer with a feed-forward part."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.up = nn.Linear(16, 32)
        self.act = nn.GELU()
        self.down = nn.Linear(32, 16)

    def forward(self, x):
        return x + self.down(self.act(self.up(self.norm(x))))


class Net(nn.Module):
    """Tied weights, two layers, and arithmetic of its own."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(64, 16)
        self.layers = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(16, 64, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.ones(16))

    def forward(self, tokens):
        x = self.embed(tokens) * self.scale
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


PARAMETERS = 64 * 16 + 2 * (2 * 16 + (16 + 1) * 32 + (32 + 1) * 16)
FORWARD = {
    "embed": {"other": 1},
    "": {"element-wise": 1},
    "layers.0": {"element-wise": 1},
    "layers.0.norm": {"normalizations": 1},
    "layers.0.up": {"contractions": 1},
    "layers.0.act": {"element-wise": 1},
    "layers.0.down": {"contractions": 1},
    "head": {"contractions": 1, "other": 1},  # back into three dimensions
}
# A bias sums up its gradient; where a residual forks, and for the tied weights, two gradients are added.
BACKWARD = {
    "embed": {"other": 1, "element-wise": 1},
    "": {"element-wise": 1},
    "layers.0.norm": {"normalizations": 2},
    "layers.0.up": {"contractions": 2, "normalizations": 1},
    "layers.0.act": {"element-wise": 1},
    "layers.0.down": {"contractions": 2, "normalizations": 1},
    "head": {"contractions": 2},
}


def twice(paths):
    """The same for the second layer."""
    return paths | {path.replace("0", "1"): groups for path, groups in paths.items() if "layers.0" in path}


@contextmanager
def watched(build):
    """A tracker that watches a new model, ready to count."""
    with dry() as stand:
        model = build()
        stand.tracker.watch(model)
        stand.tracker.restart()
        yield stand.tracker, model


def tokens():
    """Two sequences of three tokens."""
    return torch.empty((2, 3), dtype=torch.int64)


def calls(tracker):
    """Calls by module path and group."""
    found = {}
    for (path, group), row in tracker.work.items():
        found.setdefault(path, {})[group] = row[0]
    return found


def test_the_forward_pass_is_charged_to_the_innermost_module():
    with watched(Net) as (tracker, model):
        inputs = tokens()
        tracker.restart()
        model(inputs)
        assert calls(tracker) == twice(FORWARD)


def test_the_backward_pass_is_charged_to_the_module_whose_forward_pass_made_it():
    with watched(Net) as (tracker, model):
        logits = model(tokens())
        grad = torch.empty_like(logits)
        tracker.restart()
        logits.backward(grad)
        assert calls(tracker) == twice(BACKWARD)


@pytest.mark.parametrize(
    ("first", "groups"),
    [
        (lambda: nn.GELU(), {"element-wise": 1}),
        (lambda: nn.LayerNorm(8), {"normalizations": 1}),
        (lambda: nn.Linear(8, 8), {"contractions": 2, "normalizations": 1}),
        (lambda: nn.Tanh(), {"element-wise": 1}),
    ],
)
@pytest.mark.parametrize("second", [lambda: nn.Dropout(0.5), lambda: Quiet()], ids=["dropout", "without gradients"])
def test_the_backward_pass_stays_with_its_module_whatever_comes_after(first, groups, second):
    """A module that begins with operators of no gradient, as dropout does with its mask, must not take them over."""
    with watched(lambda: nn.Sequential(first(), second(), nn.Linear(8, 1))) as (tracker, model):
        result = model(torch.empty(4, 8, requires_grad=True))
        grad = torch.empty_like(result)
        tracker.restart()
        result.backward(grad)
        assert calls(tracker).get("0") == groups


class Quiet(nn.Module):
    """Begins with what has no gradient, as rotary embeddings do."""

    def forward(self, x):
        scale = torch.arange(8.0) + 1
        return x * scale


def test_recomputed_activations_are_charged_to_their_module():
    class Checkpointed(Net):
        def forward(self, tokens):
            x = self.embed(tokens) * self.scale
            for layer in self.layers:
                x = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
            return self.head(x)

    with watched(Checkpointed) as (tracker, model):
        tracker.restart()
        logits = model(tokens())
        logits.backward(torch.empty_like(logits))
        found = calls(tracker)
        assert found["layers.1.up"]["contractions"] == 1 + 1 + 2
        assert found["layers.0.act"]["element-wise"] == 1 + 1 + 1


def test_arithmetic_inside_a_normalizing_module_belongs_to_its_normalization():
    class OwnRMSNorm(nn.Module):
        def forward(self, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    class Other(OwnRMSNorm):
        pass

    Other.__name__ = "Plain"
    with watched(lambda: nn.Sequential(OwnRMSNorm(), Other())) as (tracker, model):
        inputs = torch.empty(4, 8, requires_grad=True)
        tracker.restart()
        result = model(inputs)
        assert calls(tracker) == {"0": {"normalizations": 5}, "1": {"element-wise": 4, "normalizations": 1}}
        tracker.restart()
        result.backward(torch.empty_like(result))
        assert set(calls(tracker)["0"]) <= {"normalizations", "other"}


def test_what_happens_outside_of_modules_is_charged_to_its_section():
    with watched(Net) as (tracker, model):
        weight = model.head.weight
        tracker.restart()
        weight.detach().mul_(1.0)
        with tracker.within("optimizer"):
            weight.detach().mul_(1.0)
            with tracker.within("clipping"):
                weight.detach().mul_(1.0)
            model.layers[0].act(weight.detach())
        weight.detach().mul_(1.0)
        assert calls(tracker) == {
            "": {"element-wise": 2},
            "optimizer": {"element-wise": 1},
            "clipping": {"element-wise": 1},
            "layers.0.act": {"element-wise": 1},
        }


def test_a_module_without_a_name_works_for_the_one_that_calls_it():
    class Caller(nn.Module):
        def forward(self, x):
            return nn.GELU()(x)

    with watched(lambda: nn.Sequential(Caller())) as (tracker, model):
        inputs = torch.empty(2, 2)
        tracker.restart()
        model(inputs)
        assert calls(tracker) == {"0": {"element-wise": 1}}


def test_a_module_that_fails_is_left():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    with watched(lambda: nn.Sequential(nn.GELU(), Fails())) as (tracker, model):
        inputs = torch.empty(2, 2)
        tracker.restart()
        with pytest.raises(ValueError, match="no"):
            model(inputs)
        inputs.mul_(1.0)
        assert calls(tracker) == {"0": {"element-wise": 1}, "": {"element-wise": 1}}


def test_modules_are_followed_only_while_hooked():
    with dry() as stand:
        tracker = stand.tracker
    tracker.watch(model := nn.GELU())
    model(torch.zeros(2))
    assert tracker.frames == []


def parts(tracker):
    """Bytes at the peak by module path and part."""
    sizes = Counter()
    for allocation in tracker.storages.at_peak(tracker.since):
        sizes[allocation.path, allocation.what] += allocation.size_bytes
    return sizes


def test_tied_weights_are_counted_once_and_under_one_module():
    with watched(Net) as (tracker, model):
        weights = {path: size for (path, part), size in parts(tracker).items() if part == "weights"}
        assert sum(weights.values()) == FLOAT * PARAMETERS
        tied = FLOAT * 64 * 16
        assert {path: size for path, size in weights.items() if "layers" not in path} == {"embed": tied}
        assert tracker.owners[id(model.head.weight)] == "embed", "its gradient and its state lie there, too"
        assert parts(tracker)["", "buffers"] == 64


def test_what_a_module_hands_on_is_an_activation_and_what_it_drops_is_temporary():
    class Works(nn.Module):
        def forward(self, x):
            scratch = x.exp()
            scratch = scratch.exp()
            return scratch.sum(-1)

    class Holds(nn.Module):
        def forward(self, x):
            self.kept = x.exp()
            return x

    with watched(lambda: nn.Sequential(Holds(), Works())) as (tracker, model):
        inputs = torch.empty(16, 16)
        tracker.storages.name([inputs], "activations", "inputs")
        tracker.restart()
        with torch.no_grad():
            model(inputs)
        size = FLOAT * 16 * 16
        found = {key: value for key, value in parts(tracker).items() if value}
        assert found == {
            ("inputs", "activations"): size,
            ("0", "activations"): size,
            ("1", "temporaries"): 2 * size,
        }


def test_activations_live_from_the_forward_to_the_backward_pass():
    with watched(lambda: nn.Sequential(*(nn.Tanh() for _ in range(3)))) as (tracker, model):
        inputs = torch.empty(64, 64, requires_grad=True)
        tracker.storages.name([inputs], "activations", "inputs")
        tracker.restart()
        model(inputs).sum().backward()
        size = FLOAT * 64 * 64
        found = parts(tracker)
        assert [found[str(number), "activations"] for number in range(3)] == [size] * 3
        gc.collect()
        living = [a.path for a in tracker.storages.everything if a.died is None and a.size_bytes == size]
        assert sorted(living) == ["0", "inputs"], "of the modules' tensors the input's gradient alone is left"


PLAIN = st.from_regex(r"[a-z_]{1,5}", fullmatch=True)
NUMBER = st.integers(0, 14).map(str)
PATHS = st.one_of(
    st.just(""),
    st.lists(st.one_of(PLAIN, NUMBER), min_size=1, max_size=5).map(".".join),
    st.builds("h.{}.mlp".format, NUMBER),
    st.builds("encoder.layer.{}.x.{}.w".format, NUMBER, NUMBER),
)
VALUES = st.one_of(
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(["other", "weights"]), st.integers(0, 2), max_size=2),
    st.dictionaries(st.sampled_from(["element-wise"]), st.lists(st.integers(0, 2), min_size=3, max_size=3)),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATHS, VALUES, max_size=40))
def test_collapsed_layers_come_apart_again(rows):
    short = collapsed(rows)
    assert expanded(short) == rows
    assert len(short) <= len(rows)
    assert list(short) == sorted(short)


def test_alike_layers_stand_on_one_line():
    rows = {f"h.{number}.mlp": [1, number // 5] for number in (*range(8), 11)} | {"": 3, "head": 4, "h.2.x.1": 1}
    assert collapsed(rows) == {
        "": 3,
        "h.2.x.1": 1,
        "h.{0-4}.mlp": [1, 0],
        "h.{5-7}.mlp": [1, 1],
        "h.11.mlp": [1, 2],
        "head": 4,
    }
    assert collapsed({f"h.{number}": 1 for number in (3, 1, 2, 5, 10)}) == {"h.{1-3,5,10}": 1}


def test_names_that_only_look_like_numbers_come_back_as_they_were():
    rows = {"experts.01.w": 1, "experts.02.w": 1, "experts.1.w": 1}
    assert expanded(collapsed(rows)) == rows


def ledger(**tables):
    """A ledger as a dry run's details hold it."""
    return {name: collapsed(rows) for name, rows in tables.items()}


BEFORE = ledger(
    work={
        "": {"other": [2, 0, 100]},
        **{f"h.{n}.mlp": {"contractions": [6, 6000, 600], "element-wise": [4, 40, 400]} for n in range(4)},
        "head": {"contractions": [3, 900, 90]},
    },
    memory={"head": {"weights": 1 << 20}, **{f"h.{n}": {"activations": 1 << 20} for n in range(4)}},
    cuda_memory={"head": {"weights": 1 << 20}},
)


def changed(table, **updates):
    """The ledger with other cells in one of its tables."""
    rows = expanded(BEFORE[table])
    for path, cells in updates.items():
        path = path.replace("__", ".")
        rows[path] = {**rows.get(path, {}), **cells}
    return BEFORE | {table: collapsed(rows)}


def test_growth_names_module_group_and_amount():
    now = changed("work", head={"contractions": [5, 2900, 90 + (3 << 20)]})
    assert growth("operator_calls", BEFORE, now) == "grown: head (contractions) +2"
    assert growth("flops", BEFORE, now) == f"grown: head (contractions) +{metric('flops').show(2000)}"
    assert growth("moved_bytes", BEFORE, now) == "grown: head (contractions) +3.00 MiB"


def test_growth_of_layers_that_are_alike_stands_on_one_line():
    now = changed("work", **{f"h__{n}__mlp": {"element-wise": [7, 70, 700]} for n in range(4)})
    assert growth("operator_calls", BEFORE, now) == "grown: h.{0-3}.mlp (element-wise) +3 each"
    some = changed("work", **{f"h__{n}__mlp": {"element-wise": [7, 70, 700]} for n in (0, 2, 3)})
    assert growth("operator_calls", BEFORE, some) == "grown: h.{0,2-3}.mlp (element-wise) +3 each"
    one = changed("work", h__2__mlp={"element-wise": [7, 70, 700]})
    assert growth("operator_calls", BEFORE, one) == "grown: h.2.mlp (element-wise) +3"


def test_growth_of_memory_names_the_part():
    now = changed("memory", **{f"h__{n}": {"activations": 3 << 20} for n in range(4)})
    assert growth("predicted_peak_bytes", BEFORE, now) == "grown: h.{0-3} (activations) +2.00 MiB each"
    assert growth("predicted_cuda_peak_bytes", BEFORE, now) == ""
    cuda = changed("cuda_memory", workspaces={"temporaries": 1 << 25})
    assert growth("predicted_cuda_peak_bytes", BEFORE, cuda) == "grown: workspaces (temporaries) +32.00 MiB"


def test_growth_shows_the_most_and_counts_the_rest():
    grown = {name: {"other": [size, 0, 0]} for name, size in (("a", 1), ("b", 5), ("c", 3), ("d", 2), ("e", 4))}
    assert growth("operator_calls", BEFORE, changed("work", **grown)) == (
        "grown: b (other) +5, e (other) +4, c (other) +3 and 2 more +3"
    )


def test_the_parts_of_a_growth_add_up_to_it():
    now = changed("work", h__0={"other": [0, 0, 0]}, fresh={"other": [9, 0, 0]})
    before = changed("work", h__0={"other": [4, 0, 0]})
    assert growth("operator_calls", before, now) == "grown: fresh (other) +9; elsewhere -4"
    assert growth("operator_calls", now, before, "shrunk", "-") == "shrunk: h.0 (other) -4; elsewhere +9"


def test_what_shrank_or_stayed_is_not_grown():
    assert growth("operator_calls", BEFORE, BEFORE) == ""
    assert growth("operator_calls", BEFORE, changed("work", head={"contractions": [1, 1, 1]})) == ""
    assert growth("step_time_s", BEFORE, changed("work", head={"contractions": [9, 9, 9]})) == ""
    assert growth("flops", {}, {}) == ""


def test_growth_outside_of_modules_says_so():
    now = changed("work", **{"": {"other": [4, 0, 100]}})
    assert growth("operator_calls", BEFORE, now) == "grown: the model itself, or outside of it (other) +2"


def test_the_softmax_of_attention_by_matrix_products_takes_a_byte_a_number_beside_its_result():
    scores = torch.randn(4, 64, 256)
    with torch.profiler.profile(profile_memory=True) as profiler:
        torch._safe_softmax(scores, -1)
    (event,) = [event for event in profiler.events() if event.name == "aten::_safe_softmax"]
    freed_bytes = -event.self_cpu_memory_usage
    assert freed_bytes == pytest.approx(CpuRules().scratch_bytes("_safe_softmax", (scores, -1), None), abs=64)
    assert CpuRules().scratch_bytes("_softmax", (scores, -1), None) == 0
