from importlib.util import find_spec

import pytest

from perfgate import Workload

WITHOUT_PEFT = pytest.mark.skipif(not find_spec("peft"), reason="LoRA needs peft; pip install peft")


@pytest.mark.parametrize("lora_rank", [0, pytest.param(8, marks=WITHOUT_PEFT)])
def test_fine_tuning(perf, lora_rank):
    perf(Workload("programs:FineTuning", {"lora_rank": lora_rank}))
