"""Faults of a device: a scripted one runs out of memory, fails, hangs, and takes its process with it."""

import json
from collections.abc import Callable

from benchmarks.faults.world import Ran, World

FAULTS = {
    "out_of_memory": "out of memory: MemoryError: the fake device is out of memory",
    "crash": "fell off the bus",
    "killed": "SIGKILL",
    "hang": "hang",
}


def device(event: str) -> Callable[[World], Ran]:
    """A run on a scripted device with an event from its ninth step on."""

    def act(world: World) -> Ran:
        script = world.folder / "device.json"
        described = {"uuid": "GPU-1", "name": "Fake 1", "memory_bytes": 1 << 30, "events": {"8-": event}}
        script.write_text(json.dumps({"devices": [described]}))
        ran = world.run("--perf-device", f"fake:{script}")
        for path in world.folder.glob("device.json*"):
            path.unlink()
        return ran

    return act


ROWS = tuple((f"the device: {event}", "devices", "fails", says, device(event)) for event, says in FAULTS.items())
