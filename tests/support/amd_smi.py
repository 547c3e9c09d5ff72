"""A scripted ``amd-smi`` that prints JSON as in AMD's documentation, for GPUs that nobody has here."""

import json
from pathlib import Path
from typing import Any

UUIDS = "GPU-9f444a2fb30adeb0", "GPU-b7d181671a192e45"
SCRIPT = """#!/bin/sh
case "$*" in
"list -e --json") cat "$0.list" ;;
static*) cat "$0.static" ;;
metric*) cat "$0.metric" ;;
process*) cat "$0.process" ;;
*) echo "unknown: $*" >&2; exit 2 ;;
esac
"""


def watts(value: float) -> dict[str, Any]:
    """A value with its unit, as the command prints it."""
    return {"value": value, "unit": "W"}


def answers() -> dict[str, Any]:
    """The output on a machine with two GPUs, by command."""
    return {
        "list": [
            {"gpu": number, "bdf": f"0000:8{number}:00.0", "uuid": "9fff74b9", "partition_id": 0, "hip_uuid": uuid}
            for number, uuid in enumerate(UUIDS)
        ],
        "static": {
            "gpu_data": [
                {
                    "gpu": number,
                    "asic": {"market_name": "AMD Instinct MI300X", "asic_serial": "0x9F444A2FB30ADEB0"},
                    "vram": {"type": "HBM3", "size": {"value": 196592, "unit": "MB"}},
                    "limit": {"ppt0": {"socket_power_limit": watts(750), "max_power_limit": watts(750)}},
                }
                for number in range(2)
            ]
        },
        "metric": {
            "gpu_data": [
                {
                    "gpu": 0,
                    "power": {"socket_power": watts(142)},
                    "clock": {"gfx_0": {"clk": {"value": 2107, "unit": "MHz"}}},
                    "energy": {"total_energy_consumption": {"value": 137905.5, "unit": "J"}},
                    "throttle": {
                        "ppt_violation_status": "ACTIVE",
                        "prochot_violation_status": "NOT ACTIVE",
                        "hbm_thermal_violation_status": "N/A",
                    },
                }
            ]
        },
        "process": [
            {
                "gpu": 0,
                "process_list": [
                    {"process_info": {"name": "python", "pid": 41, "mem_usage": {"value": 4096, "unit": "B"}}},
                    {"process_info": {"name": "python", "pid": 43, "mem_usage": {"value": 0, "unit": "B"}}},
                ],
            }
        ],
    }


def install(folder: Path, told: dict[str, Any]) -> Path:
    """Write the command into a folder that will be first on the path; a text is printed unchanged."""
    command = folder / "amd-smi"
    command.write_text(SCRIPT)
    command.chmod(0o755)
    for name, answer in told.items():
        command.with_name(f"amd-smi.{name}").write_text(answer if isinstance(answer, str) else json.dumps(answer))
    return folder
