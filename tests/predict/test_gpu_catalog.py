"""The table of GPUs: under which spellings a GPU is found, what is said of one that is not, no figure out of range."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfgate.predict.gpu_catalog import GPUS, ROWS, find_gpu
from perfgate.predict.unpredicted_gpus import UNPREDICTED
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError

NAMES = list(GPUS)
ROUNDING = 0.02  # data sheets print two to four digits
OTHERS = pytest.mark.parametrize("other", UNPREDICTED.values(), ids=list(UNPREDICTED))
every_gpu = pytest.mark.parametrize("gpu", GPUS.values(), ids=NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_found_as_it_is_printed(name):
    assert find_gpu(name).name == name


@settings(deadline=None, derandomize=True, database=None, max_examples=50)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_case_and_separators_make_no_difference(name, data):
    separators = st.sampled_from(["", " ", "-", "_", " - "])
    cases = st.sampled_from([str.lower, str.upper, str.title])
    spelled = "".join(data.draw(separators) + data.draw(cases)(part) for part in name.split("-"))
    assert find_gpu(spelled + data.draw(separators)).name == name


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("h200", "H200"),
        ("A100 SXM 80GB", "A100-SXM-80GB"),
        ("rtx4090", "RTX-4090"),
        ("rtx_a6000", "RTX-A6000"),
        ("h100 pcie", "H100-PCIe-80GB"),
        ("H100-NVL", "H100-NVL-94GB"),
        ("gh200", "GH200-96GB"),
        ("RTX 6000", "RTX-6000-Ada"),
    ],
)
def test_parts_at_the_end_may_be_left_off(spelled, name):
    assert find_gpu(spelled).name == name


@pytest.mark.parametrize("name", ["A10", "A10G", "L4", "L40S"])
def test_a_name_that_others_begin_with_is_itself(name):
    assert find_gpu(name.lower()).name == name


@pytest.mark.parametrize(
    ("spelled", "candidates"),
    [
        ("A100", ["A100-SXM-80GB", "A100-SXM-40GB", "A100-PCIe-80GB", "A100-PCIe-40GB"]),
        ("a100 pcie", ["A100-PCIe-80GB", "A100-PCIe-40GB"]),
        ("h100", ["H100-SXM-80GB", "H100-PCIe-80GB", "H100-NVL-94GB"]),
        ("V100", ["V100-16GB", "V100-32GB"]),
        ("rtx", ["RTX-3090", "RTX-4090", "RTX-5090", "RTX-A6000", "RTX-6000-Ada"]),
    ],
)
def test_an_ambiguous_name_is_refused_with_its_candidates(spelled, candidates):
    with pytest.raises(UserError) as refused:
        find_gpu(spelled)
    assert str(refused.value) == f"GPU {spelled!r} is ambiguous; it can be {', '.join(candidates)}"


@pytest.mark.parametrize(
    ("spelled", "near"),
    [("RTX 4080", "RTX-4090"), ("A100 80GB", "A100-SXM-80GB"), ("NVIDIA A100-SXM4-80GB", "A100-SXM-80GB")],
)
def test_an_unknown_name_is_refused_with_near_ones(spelled, near):
    with pytest.raises(UserError) as refused:
        find_gpu(spelled)
    message = str(refused.value)
    assert message.startswith(f"GPU {spelled!r} is not known; near it are ")
    assert near in message
    assert "T4" not in message


@pytest.mark.parametrize("spelled", ["L40", "A1", "RTX-30", "V100S", "H"])
def test_a_name_cut_within_a_part_is_not_taken_for_another_card(spelled):
    with pytest.raises(UserError, match="is not known"):
        find_gpu(spelled)


@pytest.mark.parametrize("spelled", ["", " - ", "TPU", "Gaudi 3"])
def test_where_nothing_is_near_all_names_are_given(spelled):
    with pytest.raises(UserError) as refused:
        find_gpu(spelled)
    assert str(refused.value).endswith(f"; known are {', '.join(NAMES)}")
    assert "\n" not in str(refused.value)


def test_names_are_unique_in_every_spelling():
    assert len({name.replace("-", "").lower() for name, *_ in ROWS}) == len(ROWS) == len(GPUS)
    assert [name for name, *_ in ROWS] == NAMES


def test_a_gpu_can_key_a_dict():
    assert {find_gpu("T4"): 1}[find_gpu("t4")] == 1


@every_gpu
def test_figures_are_of_a_plausible_order(gpu):
    assert 16 * 2**30 <= gpu.memory_bytes <= 192 * 2**30
    assert gpu.memory_bytes % 2**30 == 0
    assert 200e9 <= gpu.bandwidth_bytes_per_s <= 10e12
    assert all(5e12 <= rate <= 6e15 for rate in gpu.flops_per_s.values())
    assert (7, 0) <= gpu.capability <= (12, 0)


@every_gpu
def test_memory_is_what_the_name_says(gpu):
    size = gpu.name.rpartition("-")[2]
    if size.endswith("GB"):
        assert gpu.memory_bytes == int(size.removesuffix("GB")) * 2**30


@every_gpu
def test_dtypes_are_those_of_the_generation(gpu):
    expected = {"float32", "float16"}
    if gpu.capability >= (8, 0):
        expected |= {"tf32", "bfloat16"}
    if gpu.capability >= (8, 9):
        expected |= {"float8"}
    assert set(gpu.flops_per_s) == expected


@every_gpu
def test_rates_are_dense_and_double_as_operands_halve(gpu):
    # A figure "with sparsity" among dense ones is twice what its neighbours call for.
    rates = gpu.flops_per_s
    assert rates["float16"] >= rates["float32"]
    if "bfloat16" in rates:
        assert rates["bfloat16"] == rates["float16"] >= rates["float32"]
        assert rates["tf32"] >= rates["float32"]
        assert rates["bfloat16"] / rates["tf32"] == pytest.approx(2, rel=ROUNDING)
    if "float8" in rates:
        assert rates["float8"] / rates["bfloat16"] == pytest.approx(2, rel=ROUNDING)


@every_gpu
def test_the_source_is_an_address_that_nvidia_or_its_customer_serves(gpu):
    address = urlsplit(gpu.source)
    assert address.scheme == "https"
    assert address.netloc.endswith(("nvidia.com", "nvdam.widen.net", "awsstatic.com"))
    assert address.path.strip("/")


@pytest.mark.parametrize(
    ("name", "dtype", "teraflops"),
    [
        ("RTX-3090", "bfloat16", 71),
        ("RTX-4090", "bfloat16", 165.2),
        ("A100-SXM-80GB", "bfloat16", 312),
        ("H100-SXM-80GB", "bfloat16", 989.5),
        ("L4", "bfloat16", 121),
        ("V100-16GB", "float16", 125),
    ],
)
def test_well_known_figures(name, dtype, teraflops):
    assert find_gpu(name).flops_per_s[dtype] == pytest.approx(teraflops * 1e12)


@OTHERS
def test_a_gpu_of_another_maker_is_known_with_its_memory_and_nothing_is_predicted_for_it(other):
    assert other.name not in GPUS
    kind = DEVICE_KINDS[other.kind]
    assert not kind.rules, "a kind with rules is predicted for"
    with pytest.raises(UserError) as refused:
        find_gpu(other.name.lower().replace("-", " "))
    message = str(refused.value)
    assert message.startswith(f"{other.name} has ")
    assert f"{other.memory_bytes // 2**30} GiB" in message
    assert kind.no_rules in message
    assert ("together with the host" in message) == other.shared


@OTHERS
def test_the_source_of_another_maker_s_gpu_is_an_address_of_the_maker(other):
    assert 16 * 2**30 <= other.memory_bytes <= 512 * 2**30
    assert urlsplit(other.source).netloc == {"rocm": "rocm.docs.amd.com", "mps": "www.apple.com"}[other.kind]
