"""Make docs/licenses.md: what the image ships besides Leadline, under which licences. What is not known to be permissive is refused.

Run as: make_licenses.py [--check], by a Python that has the packages of requirements/runtime.txt. With --check nothing is written,
and a page that differs is an error.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements/runtime.txt"
PAGE = ROOT / "docs/licenses.md"

PERMISSIVE = frozenset(
    "0BSD,Apache-2.0,Apache-2.0 WITH LLVM-exception,BSD-2-Clause,BSD-3-Clause,BSD-3-Clause-Modification,CC0-1.0,ISC,MIT,MIT-0,PSF-2.0,"
    "Unicode-3.0,Unicode-DFS-2016,Zlib".split(",")
)

SPDX = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
"""What packages write in words that can mean one licence only ("BSD License" is none of them)."""


class Reading(NamedTuple):
    """A licence that somebody read in the licence files of a package, and words that stand there."""

    licence: str
    words: str


READ = {
    "confluent-kafka": Reading("Apache-2.0", "Apache 2.0 license"),
    "faust-streaming": Reading("BSD-3-Clause", "The BSD License (3 Clause"),
    "mode-streaming": Reading("BSD-3-Clause", "The BSD License (3 Clause"),
    "pyruhvro": Reading("MIT", "MIT License"),
    "python-dateutil": Reading("BSD-3-Clause", "The above BSD License Applies to all code"),
    "scipy": Reading("BSD-3-Clause", "3. Neither the name of the copyright holder"),
    "skops": Reading("MIT", "MIT License"),
    "venusian": Reading("BSD-3-Clause-Modification", "4.  If any files are modified"),
}
"""Packages whose metadata has no word that means one licence only."""


class Carried(NamedTuple):
    """A library of others that wheels carry beside their own, under a licence of its own."""

    wheels: str
    licence: str
    why: str


GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
CARRIED = {
    "libgfortran": Carried(
        "numpy, scipy", GCC, "GCC's run-time library: the exception lets what is linked with it have any licence"
    ),
    "libgomp": Carried("scikit-learn", GCC, "as libgfortran"),
    "libquadmath": Carried(
        "numpy, scipy",
        "LGPL-2.1-or-later",
        "a shared library in a file of its own, unchanged, which anybody can replace: what the LGPL asks of those who link with it",
    ),
    "libscipy_openblas": Carried("numpy, scipy", "BSD-3-Clause", "permissive"),
    "librdkafka": Carried("confluent-kafka", "BSD-2-Clause", "permissive"),
}

PAGE_TEXT = """\
# Licences of what the image ships

Made by `scripts/make_licenses.py` from the metadata of the packages in `requirements/runtime.txt`, as Linux takes them; a test holds
that it is current. Only licences that are known to be permissive are let in, so no copyleft (GPL, AGPL, LGPL, SSPL, BSL, MPL) and
nothing unknown. Leadline itself is Apache-2.0.

| package | version | licence |
| --- | --- | --- |
{packages}

¹ The metadata has no word that means one licence only: it was read in the licence files, and the script looks for the words again.

## Libraries that the wheels carry
Each is a file of its own in the folder `NAME.libs`, put there by who built the wheel. Two licences are not permissive; the last column
says why the library may be there.

| library | in | licence | why |
| --- | --- | --- | --- |
{libraries}

Who passes the image on passes libquadmath on too. Its source is part of GCC's; the licence files of `numpy` and `scipy` say where that is.

## What is compiled into the wheels
Where a wheel has an SBOM of its own (`pydantic-core` and `pyruhvro`, for their Rust crates), each part is checked as the packages are.
The other wheels say it in their licence files at best, and no check sees it. Of what is known, RocksDB (in `rocksdict`: Apache-2.0 or
GPL-2.0) and Zstandard (in `rocksdict`, `pyarrow`, librdkafka: BSD-3-Clause or GPL-2.0) leave the choice, and the permissive one is chosen.

## What is not in the table
Python and Debian's packages come with the base image; their licences are in `/usr/share/doc/*/copyright` there. Programs under the GPL are
among them (bash, coreutils), and glibc is under the LGPL: all as Debian built them, unchanged.

The extra `embedded` is not in the image: its Java is under the GPL with the Classpath exception.
"""


def locked() -> list[Requirement]:
    """What the lock names for a machine like this one."""
    lines = [line.rstrip("\\ ") for line in LOCK.read_text("utf-8").splitlines() if line[:1].isalnum()]
    return [wanted for wanted in map(Requirement, lines) if wanted.marker is None or wanted.marker.evaluate()]


def name(package: Distribution) -> str:
    """As the lock writes it."""
    return canonicalize_name(package.name)


def permissive(expression: str) -> bool:
    """Whether there is a choice (OR) all of whose parts (AND) are permissive.

    >>> permissive("MIT AND Zlib"), permissive("MIT OR GPL-2.0-only"), permissive("(MIT OR ISC) AND GPL-2.0-only")
    (True, True, False)
    """
    while inner := re.search(r"\(([^()]*)\)", expression):
        expression = expression.replace(inner[0], "MIT" if permissive(inner[1]) else "not permissive")
    return any(PERMISSIVE.issuperset(choice.split(" AND ")) for choice in expression.split(" OR "))


def licence(package: Distribution) -> str:
    """The licence as an SPDX expression; where nobody knows it, what the metadata says instead."""
    known = READ.get(name(package))
    return known.licence if known else said(package)


def said(package: Distribution) -> str:
    """The licence by the metadata alone."""
    words = next(_declared(package), "nothing is declared").partition("\n")[0]
    return SPDX.get(words, words)


def _declared(package: Distribution) -> Iterator[str]:
    """What the metadata says, the most exact first."""
    for field in ("License-Expression", "License"):
        if field in package.metadata:
            yield package.metadata[field]
    for classifier in package.metadata.get_all("Classifier") or []:
        if classifier.startswith("License :: "):
            yield classifier.rpartition(" :: ")[2]


def _licence_files(package: Distribution) -> str:
    own = re.compile(r"\.dist-info/.*(licen[cs]e|copying)[^/]*$", re.IGNORECASE)
    return "\n".join(path.read_text("utf-8") for path in package.files or [] if own.search(str(path)))


def carried(package: Distribution) -> set[str]:
    """The names of the libraries below NAME.libs, without the digest and the version that the file names end on."""
    files = [path.name for path in package.files or [] if path.parts[0].endswith(".libs")]
    return {re.sub(r"(64_)?(-[0-9a-f]{8})+\.so.*", "", name) for name in files}


def compiled(package: Distribution) -> Iterator[tuple[str, str]]:
    """What is compiled in, by the SBOM that the wheel may have: parts and their licences."""
    for path in package.files or []:
        if re.search(r"\.dist-info/sboms/.*\.(cdx|cyclonedx)\.json$", str(path)):
            for part in json.loads(path.read_text("utf-8"))["components"]:
                for one in part.get("licenses", []):
                    yield part["name"], one.get("expression") or one["license"].get("id") or one["license"]["name"]


def refusals(packages: Iterable[Distribution]) -> Iterator[str]:
    """Why packages may not be shipped, a line each."""
    for package in packages:
        if not permissive(licence(package)):
            yield f"{name(package)}: not known to be permissive: {licence(package)}"
        if name(package) in READ and READ[name(package)].words not in _licence_files(package):
            yield f"{name(package)}: its licence files changed: read them again"
        for library in sorted(carried(package) - CARRIED.keys()):
            yield f"{name(package)}: nobody has judged the licence of {library}, which it carries"
        for part, its in compiled(package):
            if not permissive(its):
                yield f"{name(package)}: {part}, compiled into it, is not known to be permissive: {its}"


def page(packages: Iterable[Distribution]) -> str:
    """The text of docs/licenses.md."""
    rows = [
        f"| {name(package)} | {package.version} | {licence(package)}{' ¹' if name(package) in READ else ''} |"
        for package in packages
    ]
    libraries = [f"| {library} | {one.wheels} | {one.licence} | {one.why} |" for library, one in CARRIED.items()]
    return PAGE_TEXT.format(packages="\n".join(rows), libraries="\n".join(libraries))


def mismatches(wanted: Iterable[Requirement]) -> Iterator[str]:
    """What is installed in another version than the lock says."""
    for one in wanted:
        if distribution(one.name).version not in one.specifier:
            yield f"{one.name}: {one.specifier} is locked, {distribution(one.name).version} is installed"


def main(check: bool) -> int:
    """Write the page, or compare it."""
    packages = [distribution(wanted.name) for wanted in locked()]
    wrong = [*mismatches(locked()), *refusals(packages)]
    if check and PAGE.read_text("utf-8") != page(packages):
        wrong.append("docs/licenses.md is not current: run scripts/make_licenses.py")
    if not check and not wrong:
        PAGE.write_text(page(packages), "utf-8")
    for line in wrong:
        print(line, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
