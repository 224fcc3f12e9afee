"""The documents as those who type after them read them: their blocks of code, with the samples that they show put in."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_SHOWN = re.compile(r'^ *--8<-- "(?P<path>[^"]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code; ``sample``: the file that it shows."""

    place: str
    language: str
    text: str
    sample: Path | None


def blocks(page):
    """The blocks of a page, in order."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        line, inside = text[: found.start()].count("\n") + 1, found["text"]
        shown = _SHOWN.fullmatch(inside.rstrip("\n"))
        sample = ROOT / shown["path"] if shown else None
        code = sample.read_text("utf-8") if sample else inside
        yield Block(f"{page.relative_to(ROOT)}:{line}", found["language"], code, sample)


def commands(block):
    """The commands of a block of sh, without remarks and where their output goes."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for each in lines if (line := re.split(" [#>|]", each)[0].strip()) and not line.startswith("#")]
