"""Other plugins of pytest, which cost over a second at each start and have no part in what is tested."""

OTHERS = ("hypothesispytest", "benchmark", "anyio", "html", "allure_pytest", "pytest_jsonreport", "metadata")
QUIET = " ".join(f"-p no:{name}" for name in OTHERS)
