"""Recordings of torch's profiler (Kineto): a device's work and, if requested, the host's."""

from torch.profiler import ProfilerActivity, profile

from perfgate.actor.devices.base import Record, covered

COPIES = ("memcpy", "memset")


class Recording:
    """A recording, which begins when it is made.

    Args:
        activity: the member of ``ProfilerActivity`` for the device.
        host: whether to record operators and marks on the host too.
    """

    def __init__(self, activity: str, host: bool) -> None:
        self._activity = activity
        chosen = [getattr(ProfilerActivity, activity)]
        self._profile = profile(activities=[*chosen, ProfilerActivity.CPU] if host else chosen)
        self._profile.start()

    def ended(self) -> Record:
        """End the recording after the device is done."""
        self._profile.stop()
        events = [event for event in self._profile.profiler.kineto_results.events() if not event.is_user_annotation()]
        kinds = {kind: str(kind).rpartition(".")[2] for kind in {event.device_type() for event in events}}
        on_device = [event for event in events if kinds[event.device_type()] == self._activity]
        copies = [event for event in on_device if event.name().lower().startswith(COPIES)]
        kernels = [event for event in on_device if not event.name().lower().startswith(COPIES)]
        host = [event for event in events if kinds[event.device_type()] == "CPU"]
        busy_ns = covered((event.start_ns(), event.start_ns() + event.duration_ns()) for event in on_device)
        return Record(len(kernels), len(copies), busy_ns / 1e9 if busy_ns else None, kernels, copies, host)
