from perfgate import Workload


def test_sums(perf):
    perf(Workload("sums:Sums", {"count": 300_000}))
