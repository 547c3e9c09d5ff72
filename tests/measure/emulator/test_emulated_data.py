"""What the emulated card is made of, checked without a torch for CUDA: profiles, generated functions, refusals."""

import os
import shutil
import subprocess
import sys

import pytest

from perfgate.doctor.emulated import look
from perfgate.measure.devices import cuda
from perfgate.measure.devices.cuda import EMULATED, cuda_devices
from perfgate.measure.devices.emulated import Emulated, emulated_devices
from perfgate.measure.emulator import build, symbols
from perfgate.measure.emulator.build import SOURCE, started_on, toolkit_of
from perfgate.measure.emulator.profiles import LIMITS, PROFILES, STANDARD, Profile
from perfgate.records.gpu import GpuIdentity
from perfgate.shared.errors import UserError
from tests import ROOT

DRIVER = """
#define cuWidgetMake cuWidgetMake_v2
CUresult CUDAAPI cuWidgetMake(int *made);
CUresult CUDAAPI cuWidgetAsk(void);
CUresult CUDAAPI cuInit(unsigned flags);
typedef enum { CUDA_SUCCESS = 0, CUDA_ERROR_OUT_OF_MEMORY = 2 } CUresult;
"""
RUNTIME = "enum cudaError { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorNotSupported = 801 };"
PROBE = """
#include <stdio.h>
const char *emu_error_name(int); const char *emu_result_name(int);
int cuWidgetAsk(void); int cuWidgetMake(void); int cublasSgemm_v2(void *); int cublasIsamax_v2(void);
int cudnnSpell(void); int cusolverDnCreate(void **);
int cusolverDnSgetrf(void); int ncclSend(void); int cudaWidget(void);
void emu_hit(void *c) { (void)c; }
void *emu_stream_of(void *h) { return h; }
void emu_library_call(const char *name, void *s) { (void)s; printf("kernel %s\\n", name); }
int emu_missing(const char *name, int status) { printf("missing %s\\n", name); return status; }
int main(void) {
    printf("%s %s %s\\n", emu_error_name(801), emu_error_name(7), emu_result_name(2));
    printf("%d %d\\n", cuWidgetAsk(), cuWidgetMake());
    void *handle = 0;
    int status = cusolverDnCreate(&handle);
    printf("made %d %d\\n", status, handle != 0);
    printf("%d %d %d\\n", cusolverDnSgetrf(), ncclSend(), cudaWidget());
    printf("%d %d %d\\n", cublasSgemm_v2(0), cublasIsamax_v2(), cudnnSpell());
}
"""

CORES_OF_A_MULTIPROCESSOR = {75: 64, 80: 64, 89: 128, 90: 128, 100: 128}  # CUDA programming guide, by capability
# Memory in GiB as sold, FP32 cores, memory bandwidth in GB/s, power in W, as NVIDIA publishes them.
PUBLISHED = {
    "h100-sxm-80gb": (80, 16896, 3350, 700),  # H100 data sheet, SXM5; cores: Hopper architecture white paper, table 3
    "h100-pcie-80gb": (80, 14592, 2000, 350),  # H100 data sheet, PCIe; cores: the same table
    "h200-141gb": (141, 16896, 4800, 700),  # H200 data sheet, SXM; the same chip as the H100 SXM
    "a100-40gb": (40, 6912, 1555, 400),  # A100 data sheet, 40GB SXM; cores: Ampere architecture white paper, table 4
    "a100-80gb": (80, 6912, 2039, 400),  # A100 data sheet, 80GB SXM; cores: the same table
    "l4-24gb": (24, 7424, 300, 72),  # L4 data sheet; cores: Ada architecture white paper
    "l40s-48gb": (48, 18176, 864, 350),  # L40S data sheet
    "rtx-4090-24gb": (24, 16384, 1008, 450),  # Ada architecture white paper, table of the GeForce RTX 4090
    "t4-16gb": (16, 2560, 320, 70),  # T4 data sheet
    "b200-180gb": (
        180,
        18944,
        8000,
        1000,
    ),  # DGX B200 data sheet, a GPU's part; cores: 148 multiprocessors, as CUDA tells
}


@pytest.mark.parametrize("title", PROFILES)
def test_a_profile_agrees_with_what_is_published_of_the_card(title: str) -> None:
    card = PROFILES[title]
    gibibytes, cores, gigabytes_s, watts = PUBLISHED[title]
    assert card.multiprocessors * CORES_OF_A_MULTIPROCESSOR[card.capability] == cores
    assert card.power_w == watts
    # Some cards keep a sixteenth of their memory for error correction, and all keep a little for themselves.
    assert 15 / 16 - 0.001 < card.memory_mib / (gibibytes * 1024) <= 1
    assert 2 * card.memory_clock_mhz * card.bus_bits / 8 / 1000 == pytest.approx(gigabytes_s, rel=0.03)


@pytest.mark.parametrize("title", PROFILES)
def test_a_profile_says_everything_that_the_driver_reads(title: str) -> None:
    said = dict(pair.split("=") for pair in PROFILES[title].described.split(";"))
    read = (SOURCE / "profile.h").read_text().partition("typedef struct {")[2].partition("}")[0]
    wanted = {word for line in read.splitlines() for word in line.partition(";")[0].replace("long", "").split(",")}
    assert {name.strip().removeprefix("char ").partition("[")[0] for name in wanted if name.strip()} == set(said)
    assert all(int(value) > 0 for key, value in said.items() if key != "name")
    assert 0 < PROFILES[title].reserved_mib < PROFILES[title].memory_mib


def test_the_page_names_each_card_with_its_memory() -> None:
    page = (ROOT / "docs" / "emulated-gpu.md").read_text()
    for title, card in PROFILES.items():
        capability = f"{card.capability // 10}.{card.capability % 10}"
        assert f"| `{title}` | {capability} | {card.memory_mib:,} MiB |" in page


def test_the_limits_are_of_the_capabilities_that_profiles_have() -> None:
    assert {profile.capability for profile in PROFILES.values()} == set(LIMITS)
    assert STANDARD in PROFILES


@pytest.mark.skipif(not shutil.which("cc"), reason="compiles C; install a compiler: apt install gcc")
def test_what_torch_imports_is_generated_and_tells_its_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "cuda.h").write_text(DRIVER)
    (tmp_path / "driver_types.h").write_text(RUNTIME)
    imported = {"cublasSgemm_v2", "cublasIsamax_v2", "cublasCreate_v2", "cudnnSpell", "cudnnCreate", "malloc"}
    imported |= {"cusolverDnCreate", "cusolverDnSgetrf", "ncclGetVersion", "ncclSend", "cudaWidget", "cudaMalloc"}
    monkeypatch.setattr(symbols, "imported", lambda _: imported)
    made = symbols.stubs(tmp_path, [tmp_path], SOURCE)
    assert "cublasCreate_v2" not in made  # written by hand
    assert " cuInit(" not in made
    assert " cudaMalloc(" not in made
    assert "ncclGetVersion" not in made  # the real library's
    (tmp_path / "made.c").write_text(made)
    (tmp_path / "probe.c").write_text(PROBE)
    command = ["cc", "-fPIC", f"-I{SOURCE}", "-o", "probe", "made.c", "probe.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    told = subprocess.run([str(tmp_path / "probe")], capture_output=True, text=True, check=True).stdout.splitlines()
    assert "cudaErrorNotSupported an unknown error CUDA_ERROR_OUT_OF_MEMORY" in told
    assert {"kernel cublasSgemm_v2", "missing cublasIsamax_v2", "missing cudnnSpell"} <= set(told)
    assert {"made 0 1", "missing cusolverDnSgetrf", "missing ncclSend", "missing cudaWidget", "9 5 801"} <= set(told)
    assert {"missing cuWidgetAsk", "missing cuWidgetMake_v2", "801 801", "0 15 3000"} <= set(told)


def test_a_missing_header_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"needs CUDA's header cuda\.h"):
        symbols.header_named("cuda.h", [tmp_path])


def test_an_unknown_profile_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="emulated:l4-24g: there is no such card") as refused:
        emulated_devices(True, "l4-24g")
    assert "l4-24gb" in str(refused.value)


def test_a_torch_without_cuda_is_refused_in_one_sentence(tmp_path) -> None:
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "__init__.py").touch()
    (torch / "version.py").write_text("cuda = None\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"needs a torch that is built for CUDA, .* pip install torch==2\.14\.1"):
        toolkit_of(str(python))


def tools(folder, monkeypatch, *names: str) -> None:
    """Leave these commands alone on the path, and no header of CUDA."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(build, "toolkit_of", lambda _: build.Toolkit(folder / "torch", "13.0"))


MISSING = {
    (): "built by a C compiler, and there is none; install one: apt install gcc",
    ("cc",): "built with nm, and there is none; install it: apt install binutils",
    ("cc", "nm"): r"needs CUDA's header cuda\.h, and there is none; set CUDA_HOME to a toolkit",
}


@pytest.mark.parametrize("there", MISSING)
def test_what_is_missing_is_named_with_what_to_install(there, tmp_path, monkeypatch) -> None:
    tools(tmp_path, monkeypatch, *there)
    with pytest.raises(UserError, match=MISSING[there]):
        started_on(PROFILES[STANDARD])
    told = look()
    assert (told.level, told.text.partition(":")[0]) == ("note", "No emulated GPU can be used")
    monkeypatch.setenv("CC", "tcc -g")
    with pytest.raises(UserError, match="and the compiler tcc, which CC names, is not there"):
        started_on(PROFILES[STANDARD])


def test_a_complete_environment_is_told_by_the_doctor(tmp_path, monkeypatch) -> None:
    tools(tmp_path, monkeypatch, "cc", "nm")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    (tmp_path / "include").mkdir()
    for header in build.HEADERS:
        (tmp_path / "include" / header).touch()
    assert (look().level, look().text.partition(":")[0]) == ("ok", "An emulated GPU can be used")


def test_the_emulated_card_is_never_taken_for_a_real_one(monkeypatch) -> None:
    class Reader:
        look_s = 0.0

        def gpus(self) -> list[GpuIdentity]:
            return [GpuIdentity(f"{EMULATED}000000000001", 0, "NVIDIA L4", 1 << 30)]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cuda, "find_reader", Reader)
    with pytest.raises(UserError, match="sees an emulated GPU, whose numbers are no card's"):
        cuda_devices(True)
    for title, profile in PROFILES.items():
        machine = Emulated(title, profile).machine
        assert (machine.name, machine.device) == (f"emulated-{title}", "emulated")


def test_the_driver_gives_the_identity_by_which_it_is_known() -> None:
    assert f'"{EMULATED}%012d"' in (SOURCE / "devices.c").read_text()


def test_a_process_is_put_on_a_card_by_its_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(build, "built", lambda _: tmp_path)
    monkeypatch.setenv("LD_PRELOAD", "/lib/other.so")
    found = started_on(Profile("Card", 90, 1, 2, 1, 1, 1, 1, 1, 1))
    assert found["LD_PRELOAD"].split(":") == [os.fspath(tmp_path / "libemu.so"), "/lib/other.so"]
    assert found["EMU_PROFILE"].startswith("name=Card;capability=90;")
