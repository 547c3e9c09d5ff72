"""What operators are taken to return from shapes alone is what torch's fake tensors return."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from perfgate.actor.dry_run.known_values import tensors_of
from perfgate.actor.dry_run.results import KEPT, result_of

aten = torch.ops.aten


@pytest.fixture(autouse=True)
def nothing_kept():
    KEPT.clear()
    yield
    KEPT.clear()


def told(out):
    """All that is known of a result's tensors."""
    asked = (torch.Tensor.stride, torch.Tensor.storage_offset, torch.Tensor.is_inference, type)
    named = ("shape", "dtype", "device", "requires_grad")
    return [
        [
            *(getattr(tensor, name) for name in named),
            *(ask(tensor) for ask in asked),
            tensor.untyped_storage().nbytes(),
        ]
        for tensor in tensors_of(out)
    ]


OPERATORS = {
    "product": lambda x: (aten.mm.default, (x, x.t()), {}),
    "sum": lambda x: (aten.sum.dim_IntList, (x, [0]), {"dtype": torch.float64}),
    "comparison": lambda x: (aten.gt.Scalar, (x, 0), {}),
    "cast": lambda x: (aten._to_copy.default, (x,), {"dtype": torch.bfloat16}),
    "view": lambda x: (aten.view.default, (x, [3, 8]), {}),
    "transposed": lambda x: (aten.t.default, (x,), {}),
    "part": lambda x: (aten.slice.Tensor, (x, 0, 1, 3), {}),
    "of a part": lambda x: (aten.slice.Tensor, (x[1:], 1, 2, 4), {}),
    "pieces": lambda x: (aten.split.Tensor, (x, 2), {}),
    "several": lambda x: (aten.max.dim, (x, 1), {}),
    "list": lambda x: (aten.cat.default, ([x, x, x[:1]],), {}),
    "repeated": lambda x: (aten.add.Tensor, (x[:, :1].expand(4, 6), 1), {}),
    "number": lambda x: (aten.full_like.default, (x, 2), {}),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("made_for_inference", [False, True])
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_a_result_is_the_same_the_second_time(operator, made_for_inference, inference):
    with FakeTensorMode():
        with torch.inference_mode(made_for_inference):
            first, second = torch.empty(4, 6), torch.empty(4, 6)
        with torch.inference_mode(inference):
            expected = told(operator(second)[0](*operator(second)[1], **operator(second)[2]))
            result_of(*operator(first))
            out = result_of(*operator(second))

    assert told(out) == expected
    of_first, of_second = first.untyped_storage()._cdata, second.untyped_storage()._cdata
    for tensor in tensors_of(out):
        assert tensor.untyped_storage()._cdata != of_first
        assert (tensor.untyped_storage()._cdata == of_second) == operator(second)[0].is_view


def test_numbers_that_are_equal_and_of_other_types_are_told_apart():
    with FakeTensorMode():
        x = torch.empty(3, dtype=torch.int64)

        kinds = [result_of(aten.add.Scalar, (x, number), {}).dtype for number in (1, 1.0, True)]

    assert kinds == [torch.int64, torch.float32, torch.int64]


def test_the_default_type_of_numbers_is_told_apart():
    with FakeTensorMode():
        x, kinds = torch.empty(3, dtype=torch.int64), []
        for default in (torch.float32, torch.float64):
            torch.set_default_dtype(default)
            kinds.append(result_of(aten.div.Tensor, (x, x), {}).dtype)
        torch.set_default_dtype(torch.float32)

    assert kinds == [torch.float32, torch.float64]


def test_other_shapes_strides_and_types_are_told_apart():
    with FakeTensorMode():
        for made in (torch.empty(4, 6), torch.empty(6, 4).t(), torch.empty(4, 6).half(), torch.empty(5, 6)):
            assert told(result_of(aten.relu.default, (made,), {})) == told(aten.relu.default(made))


@pytest.mark.parametrize(
    ("func", "arguments"),
    [
        (aten.add_.Tensor, lambda x: (x, 1)),
        (aten.empty.memory_format, lambda x: ([2, 2],)),
        (aten._conj.default, lambda x: (x.to(torch.complex64),)),
    ],
)
def test_what_writes_makes_or_is_no_plain_tensor_is_asked_of_torch(func, arguments):
    with FakeTensorMode():
        x = torch.empty(2, 2)

        for _ in range(2):
            out = result_of(func, arguments(x), {})
            assert isinstance(out, FakeTensor)

    assert not any(key[0] is func for key in KEPT)


def test_real_tensors_are_computed():
    x = torch.tensor([1.0, -1.0])

    assert [result_of(aten.relu.default, (x,), {}).tolist() for _ in range(2)] == [[1, 0], [1, 0]]
    assert not KEPT
