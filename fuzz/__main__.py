"""``scripts/fuzz``: hostile records into the decoders beside a naive reference, or hostile model folders, by seed.

One JSON line of figures at the end.
"""

import argparse
import itertools
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console

from fuzz.check import Found, check, check_run
from fuzz.check_folder import check_added, check_folders
from fuzz.child import Child, DiedError
from fuzz.folders import FILES
from fuzz.inputs import run
from fuzz.reference import Raw
from fuzz.shrink import from_text, shrink, to_text
from leadline.embedded import progress_bar

KINDS = {"records": check_run, "models": check_folders, "added": check_added}
"""What is fuzzed, and what checks a run of it."""
_RUN_S = 300.0
_ENOUGH = 10
"""Failures after which there is no point in going on."""


def main() -> int:
    """Run what is asked for; 1 where the product and the reference differ, or a run killed its process."""
    asked = _arguments()
    if asked.record:
        return _again([from_text(text) for text in asked.record])
    fuzz = Fuzz(asked)
    with progress_bar(Console(stderr=True)) as progress, ThreadPoolExecutor(asked.processes) as threads:
        working = [threads.submit(fuzz.work) for _ in range(asked.processes)]
        try:
            while not all(each.done() for each in working):
                progress(f"{fuzz.failures} failures", fuzz.inputs, asked.inputs)
                time.sleep(0.2)
        except KeyboardInterrupt:
            fuzz.end()
    for each in working:
        each.result()
    print(json.dumps(fuzz.row()))
    return int(fuzz.failures > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("what", nargs="?", choices=KINDS, default="records", help="added: by the child of `model add`")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="records, of all topics together, or folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first run of the seed: to go on, or to repeat one")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so long, whatever the inputs")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="append", help="repeat a failure: a record as its line names it")
    return parser.parse_args()


class Fuzz:
    """Runs of one seed, shared out among processes, and what came of them."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.inputs = self.failures = 0
        self._seed, self._wanted, self._kind = asked.seed, asked.inputs, asked.what
        self._began = time.monotonic()
        self._end = self._began + 60 * asked.minutes
        self._numbers = itertools.count(asked.first)
        self._topics: dict[str, Counter[str]] = {}
        self._slowest_s, self._lock = 0.0, threading.Lock()

    def work(self) -> None:
        """Take one run after the other until all is done; one process, and one of these threads, for each core."""
        child = Child(KINDS[self._kind])
        try:
            for number in self._due():
                began = time.monotonic()
                try:
                    found = child.ask(self._seed, number, seconds=_RUN_S)
                except DiedError as died:
                    found = Found(self._topic(number), wrong=str(died), died=True)
                with self._lock:
                    self._count(found, time.monotonic() - began)
                if found.wrong and self._kind == "records":
                    self._tell(number, found)
                elif found.wrong:
                    self._say(number, found.wrong, self._repeat(number))
        finally:
            child.close()

    def end(self) -> None:
        """Let the runs at hand be the last."""
        self._end = 0.0

    def _due(self) -> Iterator[int]:
        while self.inputs < self._wanted and self.failures < _ENOUGH and time.monotonic() < self._end:
            yield next(self._numbers)

    def _count(self, found: Found, seconds: float) -> None:
        own = self._topics.setdefault(found.topic, Counter())
        own.update({"runs": 1, "accepted": found.accepted, **found.rejected})
        own.update({"crashes": 1} if found.died else {"disagreements": 1} if found.wrong else {})
        self.inputs += found.accepted + found.rejected.total()
        self.failures += bool(found.wrong)
        self._slowest_s = max(self._slowest_s, seconds)

    def _topic(self, number: int) -> str:
        return run(self._seed, number)[0] if self._kind == "records" else FILES[number % len(FILES)]

    def _repeat(self, number: int) -> str:
        return f"{self._kind} --seed {self._seed} --first {number} --inputs 1 --processes 1"

    def _say(self, number: int, why: str, repeat: str) -> None:
        print(json.dumps({"failure": why, "run": number, "repeat": f"scripts/fuzz {repeat}"}), flush=True)

    def _tell(self, number: int, found: Found) -> None:
        """A line that repeats it, as small as it gets."""
        child = Child(check)
        topic, records = run(self._seed, number)
        try:
            least = shrink(records, lambda fewer: bool(_ask(child, topic, fewer).wrong))
            why = _ask(child, topic, least).wrong or found.wrong
        finally:
            child.close()
        repeat = self._repeat(number)
        if len(least) < len(records):
            repeat = " ".join(f"--record {to_text(topic, record)}" for record in least)
        self._say(number, why, repeat)

    def row(self) -> dict[str, Any]:
        """The figures of all runs."""
        total = sum(self._topics.values(), Counter[str]())
        seconds = time.monotonic() - self._began
        figures = {name: total.pop(name, 0) for name in ("runs", "accepted", "clock", "disagreements", "crashes")}
        return {
            "seed": self._seed,
            "inputs": self.inputs,
            **figures,
            "rejected": dict(total.most_common()),
            "slowest_run_s": round(self._slowest_s, 2),
            "seconds": round(seconds, 1),
            "inputs_per_s": int(self.inputs / seconds),
            "topics": {topic: dict(own.most_common()) for topic, own in sorted(self._topics.items())},
        }


def _ask(child: Child, topic: str, records: list[Raw]) -> Found:
    try:
        found: Found = child.ask(topic, records, seconds=_RUN_S)
    except DiedError as died:
        return Found(topic, wrong=str(died), died=True)
    return found


def _again(given: list[tuple[str, Raw]]) -> int:
    child = Child(check)
    found = _ask(child, given[0][0], [record for _, record in given])
    child.close()
    print(json.dumps({"failure": found.wrong, "accepted": found.accepted, "rejected": found.rejected}))
    return int(bool(found.wrong))


if __name__ == "__main__":
    sys.exit(main())
