"""Other pytest plugins, which cost over a second at each start and are not needed by these tests."""

RUN = ("hypothesispytest", "benchmark", "anyio", "randomly")
REPORT = ("html", "allure_pytest", "pytest_jsonreport", "metadata")
OTHERS = (*RUN, *REPORT)
QUIET = " ".join(f"-p no:{name}" for name in OTHERS)
