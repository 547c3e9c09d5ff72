"""The time limits of the proof's slices, and whether they were met."""

from benchmarks.proof.slices import STANDARD_PARTS, STORED_LAUNCHES

# The seconds planned for an H100, plus 20 s for each run to start, and 5 to 10%; slices without cases are limited
# by a fixed time. The plan says 254 s for one run (24 to 29 s a case, of which 6 s are the profiler's
# starts), 358 s for storing, and 698 s for the standard tier, of which two compiled cases take 138 s.
LIMITS_S = {"again": 300, "store": 420, "standard": 840, "": 1620}
GROUPED = {"standard": [f"standard-{part}" for part in range(1, STANDARD_PARTS + 1)], "": ["growth"]}  # must be done
RUN_WORDS = {
    "again": "one run",
    "store": f"storing it ({STORED_LAUNCHES} launches)",
    "standard": "the standard tier (1 launch)",
    "": "the rest of the proof",
}


def durations(slices):
    """The runs and the whole proof must not take too long; an interrupted slice would have taken longer than it did."""
    for name, limit_s in LIMITS_S.items():
        what = f"{RUN_WORDS[name]} takes"
        mine = {key: found for key, found in slices.items() if in_group(key, name)}
        took_s = sum(found["took_s"] for found in mine.values())
        missing = name in GROUPED and any(key not in mine for key in GROUPED[name])
        missing = missing or any(found.get("cut") for found in mine.values())
        told = f"{took_s / 60:.1f} min{' so far' if missing else ''}" if mine else ""
        held = None if not mine or (missing and took_s <= limit_s) else took_s <= limit_s
        yield what, f"at most {limit_s // 60} min", told, held


def in_group(key, name):
    """Whether the time of a slice counts for a line of the bar; the last line has all but the standard tier."""
    return key.partition("-")[0] == name if name else not key.startswith("standard")
