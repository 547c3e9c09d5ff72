"""What torch's profiler (Kineto) records of a device's work, and nothing of the host's."""

from torch.profiler import ProfilerActivity, profile

from perfgate.actor.devices.base import Record, covered

COPIES = ("memcpy", "memset")


class Recording:
    """A recording, which begins at once.

    Args:
        activity: the member of ``ProfilerActivity`` for the device.
    """

    def __init__(self, activity: str) -> None:
        self._activity = activity
        self._profile = profile(activities=[getattr(ProfilerActivity, activity)])
        self._profile.start()

    def ended(self) -> Record:
        """End it, when the device is done."""
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        events = [event for event in events if str(event.device_type()).endswith(self._activity)]
        copies = sum(event.name().lower().startswith(COPIES) for event in events)
        busy_ns = covered((event.start_ns(), event.start_ns() + event.duration_ns()) for event in events)
        return Record(len(events) - copies, copies, busy_ns / 1e9 if busy_ns else None)
