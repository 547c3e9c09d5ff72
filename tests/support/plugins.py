"""Other plugins of pytest, which cost over a second at each start and have no part in what is tested."""

RUN = ("hypothesispytest", "benchmark", "anyio", "randomly")
REPORT = ("html", "allure_pytest", "pytest_jsonreport", "metadata")
OTHERS = (*RUN, *REPORT)
QUIET = " ".join(f"-p no:{name}" for name in OTHERS)
