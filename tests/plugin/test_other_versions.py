"""Cases under versions of the libraries for which nothing is stored: held against the nearest that are."""

import pytest

from perfgate.records.portable import pair_of
from perfgate.system.provenance import software

NONE = ("--perf-device", "none")
PRELOAD = "torch_programs perfgate.actor.dry_run.run"  # else each actor imports them again
CASES = """
@pytest.mark.parametrize("fault", ["call", "looks", "none"])
def test_fault(perf, fault):
    perf(Workload("torch_programs:Stack", {"fault": fault if fault != "none" else None}))
"""
NEWER_TORCH = "import torch\ntorch.__version__ = torch.torch_version.TorchVersion('2.99.0')\n"


@pytest.mark.slice
@pytest.mark.untimed
def test_what_got_worse_since_other_versions_fails_until_it_is_stored_for_these(exact):
    exact.write(CASES)
    exact.run(*NONE, "--perf-update", "new").assert_outcomes(passed=3)
    here = exact.path / "baselines" / "portable" / pair_of(software())
    here.rename(here.with_name(f"{here.name.partition('-transformers-')[0]}-transformers-4.57"))
    (exact.path / "faulty").touch()
    result = exact.run(*NONE, "--perf-update", "new")
    result.assert_outcomes(failed=2, passed=1)
    case = "test_case.py::test_fault"
    result.stdout.fnmatch_lines_random(
        [
            f"*ok {case}[[]none]: * exact metrics pass since transformers 4.57*",
            "*flops got worse by +* since transformers 4.57 (*tolerance 1.0%; grown: second.linear (contractions) +*",
            f"*{case}[[]looks]: dry_run is lost since transformers 4.57, and with it all exact metrics (*",
            f"*Accept it with: pytest 'perf_tests/{case}[[]call]' --perf-device none --perf-update all --perf-reason *",
        ]
    )
    stored = (here / "test_case.json").read_text()
    assert "[none]" in stored
    assert "[call]" not in stored, "a case that failed is not stored"
    # What CUDA would do is not known for this torch, whatever is stored.
    (exact.path / "newer_torch.py").write_text(NEWER_TORCH)
    accept = ("--perf-update", "all", "--perf-reason", "upgrade", "-o", f"perf_preload=newer_torch {PRELOAD}")
    accepted = exact.run(*NONE, *accept)
    accepted.assert_outcomes(passed=3)
    reason = "the rules of CUDA are known for torch 2.6 to 2.14, and this is torch 2.99"
    accepted.stdout.fnmatch_lines([f"*[[]call]: predicted_cuda_peak_bytes is undecided since * (*{reason})"])
    assert "[call]" in (here / "test_case.json").read_text()
