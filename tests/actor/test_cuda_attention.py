"""The rule that chooses a kernel of attention, held against what torch chose on emulated cards."""

import json
from pathlib import Path

import pytest

from perfgate.actor.dry_run.cuda_attention import Asked, choose_attention, scratch_bytes
from perfgate.actor.dry_run.cuda_rules import CudaRules

TABLES = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "attention_kernels").glob("*.json"))]
ASKED = [
    pytest.param(table, place, id=f"{table['torch']}-{capability[0]}.{capability[1]}")
    for table in TABLES
    for place, capability in enumerate(table["capabilities"])
]


def asked(dtype, width, mask, causal, key_heads, query_length, key_length, trained, dropout):
    """A row of the table as the rule is asked."""
    return Asked(
        dtype,
        width,
        query_length,
        key_length,
        mask != "none",
        mask == "strided",
        mask == "trained",
        causal,
        key_heads != 8,
        trained,
        dropout,
    )


@pytest.mark.parametrize(("table", "place"), ASKED)
def test_the_rule_chooses_as_torch_does_on_the_emulated_card(table, place):
    count, capability = len(table["columns"]), tuple(table["capabilities"][place])
    version = tuple(int(part) for part in table["torch"].split(".")[:2])
    wrong = [
        row for row in table["rows"] if choose_attention(asked(*row[:count]), version, capability) != row[count + place]
    ]
    assert len(table["rows"]) > 1000
    assert not wrong


@pytest.mark.parametrize(
    ("version", "changes", "kind"),
    [
        ((2, 10), {}, "flash"),
        ((2, 13), {}, "cudnn"),
        ((2, 13), {"width": 192, "trained": True}, "cudnn"),
        ((2, 14), {"width": 192, "trained": True}, "flash"),
        ((2, 14), {"width": 256}, "cudnn"),
        ((2, 13), {"dtype": "float32", "grouped": True}, "math"),
        ((2, 14), {"dtype": "float32", "grouped": True}, "efficient"),
    ],
)
def test_versions_differ_as_documented(version, changes, kind):
    assert (
        choose_attention(
            Asked(**{"dtype": "bfloat16", "width": 64, "query_length": 128, "key_length": 128, **changes}),
            version,
            (9, 0),
        )
        == kind
    )


def test_a_kernel_that_cannot_compute_it_is_refused_by_its_name():
    masked = Asked("bfloat16", 64, 128, 128, masked=True)
    with pytest.raises(NotImplementedError, match="CUDA's flash attention does not support"):
        choose_attention(masked, (2, 14), (8, 0), "flash")
    assert choose_attention(masked, (2, 14), (8, 0), "cudnn") == "cudnn"  # asked by name only


def test_a_backward_pass_sums_the_query_in_32_bits_and_keys_by_head():
    query, key = (2, 8, 512, 64), (2, 2, 512, 64)
    name = "_scaled_dot_product_cudnn_attention_backward"
    assert scratch_bytes(name, query, query, 2) == 4 * 2 * 8 * 512 * 65
    assert scratch_bytes(name, query, key, 2) - scratch_bytes(name, query, query, 2) == 2 * 2 * 2 * 8 * 512 * 64
    assert scratch_bytes("_scaled_dot_product_cudnn_attention", query, key, 2) == 0


def test_what_generate_compiles_by_itself_has_no_rule():
    rules = CudaRules()
    assert "compiles by itself over a static cache" in rules.unknown({"cache": "static"})
    assert not rules.unknown({"cache": "dynamic"})
    assert not rules.unknown({"cache": "static", "compile_decode": "off"})


@pytest.mark.parametrize(("masked", "causal", "groups"), [(False, True, 1), (True, False, 1), (False, False, 4)])
def test_attention_by_products_is_attention(masked, causal, groups):
    torch = pytest.importorskip("torch")
    from perfgate.actor.dry_run.cuda_functions import by_math

    torch.manual_seed(0)
    query = torch.randn(2, 8, 6, 16)
    key, value = (torch.randn(2, 8 // groups, 6, 16) for _ in range(2))
    mask = torch.rand(2, 1, 6, 6) > 0.2 if masked else None
    attend = torch.nn.functional.scaled_dot_product_attention
    expected = attend(query, key, value, mask, is_causal=causal, enable_gqa=groups > 1)

    assert torch.allclose(by_math(query, key, value, mask, 0.0, causal, None), expected, atol=1e-5, equal_nan=True)
