"""The cases of ``perf_tests`` that the proof runs: some wait for the host, and some keep the device busy."""

from dataclasses import dataclass, replace

TRAINING, INFERENCE = "perf_tests/training", "perf_tests/inference"


@dataclass(frozen=True)
class Tier:
    """One choice of cases.

    Attributes:
        device: the value of ``--perf-device``.
        largest: the tier that contains all the cases.
        cases: the node ids of all cases.
        calibrated: the cases that are compared with themselves in duets.
        grown: the case that is made to keep more memory; a GPT-2, whose blocks ``docs/demos/hungry_forward.py``
            replaces.
        demoted: ids of cases whose peak memory is known to differ between launches.
    """

    device: str
    largest: str
    cases: tuple[str, ...]
    calibrated: tuple[str, ...]
    grown: str
    demoted: tuple[str, ...] = ()


SMALL = (
    f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-quick-8]",
    f"{TRAINING}/test_batch_size.py::test_batch_size[bert-quick-8]",
    f"{TRAINING}/test_batch_size.py::test_batch_size_accelerate[gpt2-quick-8]",
    f"{TRAINING}/test_gradient_accumulation.py::test_gradient_accumulation[gpt2-quick-4]",
    f"{INFERENCE}/test_batch_size.py::test_batch_size[gpt2-quick-8]",
)
# On a fast GPU the small shapes wait for the host. The shapes that keep the GPU busy were chosen to have few weights,
# because one core of the host draws all weights anew for each launch.
CUDA = Tier(
    device="cuda",
    largest="standard",
    cases=(
        *SMALL,
        f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-8]",
        f"{TRAINING}/test_batch_size.py::test_batch_size[vit-base-8]",
        f"{TRAINING}/test_gradient_accumulation.py::test_gradient_accumulation[vit-base-4]",
        f"{INFERENCE}/test_prefill_and_decode.py::test_prefill_and_decode[gpt2-512]",
        f"{INFERENCE}/test_encoders.py::test_encoders[bert-large-uncased-masked-lm]",
    ),
    calibrated=(
        f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-quick-8]",
        f"{TRAINING}/test_batch_size.py::test_batch_size[vit-base-8]",
        f"{INFERENCE}/test_prefill_and_decode.py::test_prefill_and_decode[gpt2-512]",
    ),
    grown=f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-8]",
)
DRY = Tier(
    device="cpu",
    largest="quick",
    cases=(
        *SMALL,
        f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-quick-1]",
        f"{TRAINING}/test_batch_size.py::test_batch_size[vit-quick-8]",
        f"{TRAINING}/test_gradient_accumulation.py::test_gradient_accumulation[vit-quick-4]",
        f"{INFERENCE}/test_prefill_and_decode.py::test_prefill_and_decode[gpt2-quick-512]",
        f"{INFERENCE}/test_encoders.py::test_encoders[bert-quick-masked-lm]",
    ),
    calibrated=(
        f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-quick-8]",
        f"{TRAINING}/test_batch_size.py::test_batch_size[vit-quick-8]",
        f"{INFERENCE}/test_prefill_and_decode.py::test_prefill_and_decode[gpt2-quick-512]",
    ),
    grown=f"{TRAINING}/test_batch_size.py::test_batch_size[gpt2-quick-1]",
)
TIERS = {"cuda": CUDA, "dry": DRY, "emulated": replace(CUDA, device="emulated", calibrated=())}
