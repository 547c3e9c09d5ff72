"""Reading data: the work between a file and a batch. A GPU that waits for its data is an expensive heater.

From https://huggingface.co/docs/datasets/access, https://huggingface.co/docs/datasets/process and
https://huggingface.co/docs/datasets/use_with_pytorch. A data set is an Arrow table. Each row that Python sees is
extracted and converted separately, so slices cost far less than rows, and tensors more than lists. Since datasets
4.0.0 a column is read only when needed: `column[position]` in a loop, which used to be a look-up in a list, extracts
the row from the table each time, and is thousands of times slower. `map` in processes pays for starting them, and
gains if each row costs much. Workers of a `DataLoader` gain nothing here, because they share one core with the reader.

The rows are random tokens of different lengths. No device takes part.
"""

import pytest

pytestmark = pytest.mark.perf(tolerance={"peak_host_bytes": 0.05})  # some hundred kilobytes in all
QUICK = pytest.mark.perf(tier="quick")
FULL = pytest.mark.perf(tier="full")
OTHERS = ["indices", "batches", "map", "transform", "stream", "collate", "pack", "loader"]


@pytest.mark.parametrize("what", ["column", "rows", *(pytest.param(name, marks=QUICK) for name in OTHERS)])
def test_reading(perf, reading, what):
    perf(reading(what))


@QUICK
@pytest.mark.parametrize("format", ["numpy", "torch", pytest.param("arrow", marks=FULL)])
def test_format(perf, reading, format):
    perf(reading("rows", format=format))


@QUICK
def test_map_row_by_row(perf, reading):
    perf(reading("map", batched=False))


@FULL
@pytest.mark.parametrize("what", ["map", "loader"])
def test_processes(perf, reading, what):
    perf(reading(what, processes=1 if what == "loader" else 2))


@QUICK
def test_slices_cost_less_than_rows(effect, reading):
    effect(reading("rows"), reading("batches"), python_calls="< 0.2x", step_time_s="< 0.5x")


@QUICK
def test_a_map_over_batches_calls_python_less(effect, reading):
    effect(reading("map", batched=False), reading("map"), python_calls="< 0.5x", step_time_s="< 0.8x")


@QUICK
def test_a_stream_holds_less_than_a_map(effect, reading):
    """A map holds a whole data set, a stream only a batch at a time."""
    effect(reading("map", rows=4000), reading("stream", rows=4000), peak_host_bytes="< 0.9x")
