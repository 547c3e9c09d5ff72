"""Lists the licence of each installed package that a package needs, and fails for one that may not be used.

    python ci/licenses.py [PACKAGE ...]

Without a name: everything that Perfgate needs with any of its extras. What is not installed here is not seen. A licence
must be permissive, or weak copyleft for files or libraries (MPL, LGPL): Perfgate imports these packages, and copies
nothing of them.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from license_expression import ExpressionError, LicenseSymbol, Licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0"),
    *("MIT-CMU", "PSF-2.0", "Unlicense", "Zlib"),
    *("LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"),
}
# A licence's name in SPDX, for the names that metadata from before PEP 639 has: trove classifiers, then free text.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",  # or BSD-2-Clause: the classifier does not tell, and both are allowed
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
}
# Packages whose metadata do not tell, or not all: what the files say that come with them.
READ = {
    "docutils": "BSD-2-Clause AND BSD-3-Clause",  # COPYING.rst: the rest is public domain, and a file for Emacs is GPL
    "torchao": "BSD-3-Clause",  # LICENSE
    "pygaljs": "LGPL-3.0-only",  # its two statements differ; this is the stricter one
}


def needed(names: list[str]) -> Iterator[Distribution]:
    """The installed packages that packages need, and these themselves, in alphabetical order."""
    found: dict[str, Distribution] = {}
    left = [(name, extra) for name in names for extra in ("", *(extras_of(name)))]
    seen = set(left)
    while left:
        name, extra = left.pop()
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for line in found[name].requires or []:
            required = Requirement(line)
            if required.marker and not required.marker.evaluate({"extra": extra}):
                continue
            fresh = {(canonicalize_name(required.name), wanted) for wanted in ("", *required.extras)} - seen
            seen |= fresh
            left.extend(fresh)
    return (found[name] for name in sorted(found))


def extras_of(name: str) -> list[str]:
    """The names of a package's extras."""
    return distribution(name).metadata.get_all("Provides-Extra") or []


def licence_of(package: Distribution) -> str:
    """What a package says of its licence, as an SPDX expression if it can be read as one; empty if it says nothing."""
    told = package.metadata
    by_hand = READ.get(canonicalize_name(package.name))
    if by_hand or told["License-Expression"]:
        return by_hand or told["License-Expression"]
    trove = [line.split(" :: ") for line in told.get_all("Classifier") or []]
    names = sorted(SPDX.get(parts[-1], parts[-1]) for parts in trove if parts[0] == "License")
    if names:
        return " AND ".join(names)
    text = (told["License"] or "").strip()
    return "" if text == "UNKNOWN" else SPDX.get(text, text)


def is_allowed(licence: str) -> bool:
    """Whether a licence may be used: all of what is joined by AND, one of what is joined by OR."""
    licensing = Licensing()
    try:
        expression = licensing.parse(re.sub(r" WITH [\w.-]+", "", licence))  # an exception only adds permissions
    except ExpressionError:
        return False
    if expression is None:
        return False
    values = {
        symbol: licensing.TRUE if symbol.key in ALLOWED else licensing.FALSE
        for symbol in expression.symbols
        if isinstance(symbol, LicenseSymbol)
    }
    return bool(expression.subs(values, simplify=True) == licensing.TRUE)


def main(names: list[str]) -> int:
    """Print the list; the exit code says whether all may be used."""
    refused = []
    for package in needed([canonicalize_name(name) for name in names] or ["perfgate"]):
        licence = licence_of(package)
        print(f"{package.name:32} {package.version:16} {' '.join(licence.split())[:80] or 'no licence'}")
        if not is_allowed(licence):
            refused.append(f"{package.name} ({licence or 'no licence'})")
    if refused:
        print(f"Not to be used before somebody read them (READ in ci/licenses.py): {', '.join(refused)}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
