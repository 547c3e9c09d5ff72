"""Names what this repository adds to Perfgate; nothing of it is imported here."""


def pytest_perfgate_instruments(config):
    return ["switches:ContextSwitches"]


def pytest_perfgate_formats(config):
    return {"html": "page:html"}
