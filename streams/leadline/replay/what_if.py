"""What the policy of a model would have decided about a challenger, and when: the stages join and rollout over two logs, in memory."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from leadline.core.models import LoadedVersion, Signature, Version
from leadline.core.processor import Output
from leadline.core.release.evidence import Columns, Terms, look
from leadline.core.release.look import Look
from leadline.records import (
    ACCEPTED,
    PROMOTE,
    START,
    Command,
    CommandAnswer,
    Comparison,
    PairCounts,
    Record,
    Rollout,
    Verdict,
    brief,
)
from leadline.replay.errors import LogError, NothingCountedError
from leadline.replay.logs import Log
from leadline.replay.pairs import PairedLogs
from leadline.replay.report import told
from leadline.settings import ModelSettings
from leadline.testing.driver import Driver
from leadline.topology import step
from leadline.wire.codec import encode, key_of, read, value_of
from leadline.wire.dead_letters import REASON_HEADER

DECIDES = ("promote", "roll-back", "inconclusive")
PLACES = ("shadow", "canary", "watch")
_TOLD = ("rollouts", "verdicts", "comparisons", "commands", "command-answers")
_STEPS = ("join", "rollout")
_ACTOR = "simulation"
_RUN = 20_000
_LOOKS_AT_CORRECTIONS = 4
"""In a window. The stage looks every ten seconds; each look takes a while where windows are many."""

Progress = Callable[[str, int, int], None]


class Question(NamedTuple):
    """Whether ``challenger`` would have taken over from ``champion``, by these settings."""

    settings: ModelSettings
    champion: str
    challenger: str


class Seen(NamedTuple):
    """A look at the pairs, and the stage time of it."""

    at: int
    look: Look


class Decided(NamedTuple):
    """What the stages wrote; each look; and the verdict that decided, None where none did before the logs ended.

    ``at``: the stage time of the verdict, or of the end. ``letters``: records that could not be used, by the reason. ``late``: pairs that
    came after their window was due.
    """

    records: list[Record]
    looks: list[Seen]
    verdict: Verdict | None
    at: int
    letters: dict[str, int]
    late: int

    @property
    def rollouts(self) -> list[Rollout]:
        return [each for each in self.records if isinstance(each, Rollout)]


def decide(question: Question, logs: PairedLogs, progress: Progress) -> Decided:
    """All that is decided, until there is a verdict or the logs end."""
    begin_ms = logs.starts_ms // question.settings.window * question.settings.window
    driver = Driver(_OneModel(question), [step(name) for name in _STEPS])
    _begin(driver, question, begin_ms)
    sources, looking = [_Source(each) for each in logs], _Looking(question.settings, begin_ms)
    total, done, verdict, at_ms = sum(map(len, logs)), 0, None, begin_ms
    for at_ms in _times(question.settings, begin_ms, logs):
        done += sum(source.publish(driver, at_ms) for source in sources)
        _let_pass(driver, at_ms)
        progress("published", done, total)
        looking.look(driver, at_ms)
        verdict = _deciding(driver)
        if verdict is not None:
            break
    letters = _letters(driver)
    if not looking.counted:
        raise NothingCountedError(f"nothing counted: no request has two predictions that can be used; {told(letters)}")
    records = [record for topic in _TOLD for record in driver.read(topic)]
    return Decided(records, looking.seen, verdict, at_ms, letters, looking.late)


def _times(settings: ModelSettings, begin_ms: int, logs: PairedLogs) -> list[int]:
    """When something may happen: just after the labels of a cycle with pairs are due, a step is over, or the deadline; soon after what was
    due is corrected; and at the end.
    """
    policy, cycle = settings.rollout, settings.alerts.cycle or settings.window
    steps = [begin_ms + policy.shadow + 1 + number * (policy.bake + 1) for number in range(len(policy.steps) + 1)]
    late = [] if policy.deadline is None else [begin_ms + policy.deadline + 1]
    cycles = {(at - begin_ms) // cycle + 1 for at in logs.requests().values()}
    due = [begin_ms + number * cycle + settings.mature_after + 1 for number in cycles]
    corrected = _corrected(settings, begin_ms, logs)
    return sorted({each for each in (*due, *steps, *late, *corrected) if each < logs.ends_ms} | {logs.ends_ms})


def _corrected(settings: ModelSettings, begin_ms: int, logs: PairedLogs) -> list[int]:
    """Moments after what came when its window was due already, a few in a window: a correction may decide too."""
    part = max(1, settings.window // _LOOKS_AT_CORRECTIONS)
    late = np.concatenate([log.arrival_ms[log.arrival_ms > due] for log, due in logs.due_ms(settings)])
    found: list[int] = (begin_ms + np.unique((late - begin_ms) // part + 1) * part).tolist()
    return found


class _Source:
    """A log, and how much of it is published."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._at = 0

    def publish(self, driver: Driver, until_ms: int) -> int:
        """Publish what had arrived by then; how many records it was."""
        log, start = self._log, self._at
        stop = self._at = int(log.arrival_ms.searchsorted(until_ms, side="right"))
        if stop > start:
            output = Output(log.topic, log.keys[start:stop], columns=log.columns.slice(start, stop - start))
            rows = zip(output.keys, encode(output), log.arrival_ms[start:stop].tolist(), strict=True)
            for key, value, arrival_ms in rows:
                driver.publish(log.topic, key, value, arrival_ms)
        return stop - start


def _let_pass(driver: Driver, at_ms: int) -> None:
    """Let the stages do all until a time: what the join says of it, the rollout hears of before its own time passes."""
    for _ in _STEPS:
        driver.settle(_RUN)
        driver.pass_time(at_ms)
    driver.settle(_RUN)


def _begin(driver: Driver, question: Question, at_ms: int) -> None:
    """A champion, and a person who starts the rollout of its challenger with the first window. Raises LogError where that is refused."""
    for kind, arguments in (
        (PROMOTE, {"version": question.champion}),
        (START, {"version": question.challenger, "mode": "shadow"}),
    ):
        command = Command(kind, kind, question.settings.name, _ACTOR, "what if", arguments, at_ms)
        driver.publish("commands", key_of("commands", command), value_of(command), at_ms)
        driver.settle()
    answers = [each for each in driver.read("command-answers") if isinstance(each, CommandAnswer)]
    refused = [each.reason for each in answers if each.answer != ACCEPTED]
    if refused or len(answers) != 2:
        why = refused[0] if refused else told(_letters(driver))
        raise LogError(f"no rollout of {brief(question.challenger)} begins: {why}")


def _deciding(driver: Driver) -> Verdict | None:
    verdicts = [each for each in driver.read("verdicts") if isinstance(each, Verdict) and each.at in PLACES]
    return next((each for each in verdicts if each.verdict in DECIDES), None)


class _Looking:
    """Looks at the comparisons as the stage does, each time that more is due and when it decides; ``seen``: what was new."""

    def __init__(self, settings: ModelSettings, since_ms: int) -> None:
        self._settings = settings
        self._since_ms = since_ms
        self._columns = Columns()
        self._newest: dict[tuple[int, str, float], Comparison] = {}
        self._read = 0
        self.seen: list[Seen] = []

    @property
    def counted(self) -> bool:
        """Whether there are pairs, due or not."""
        return bool(self._newest)

    @property
    def late(self) -> int:
        """Pairs of windows that are due, of which one prediction came later."""
        due = [(each.counts, each.mature) for each in self._newest.values() if each.segment == "*" and each.mature]
        return sum(_pairs(now) - _pairs(then) for now, then in due)

    def look(self, driver: Driver, at_ms: int) -> None:
        rows = driver.topics["comparisons", 0]
        for _, value, _, _ in rows[self._read :]:
            each = read("comparisons", value)
            assert isinstance(each, Comparison)
            self._columns.put(each)
            self._newest[each.window_start, each.segment, each.sample] = each
        self._read = len(rows)
        found = look(self._columns, Terms.of(self._settings, self._since_ms, at_ms))
        last = self.seen[-1].look if self.seen else None
        decides = found.verdict in DECIDES and last is not None and found.verdict != last.verdict
        if decides or (found.pairs, found.unlike) != ((last.pairs, last.unlike) if last else (0, 0)):
            self.seen.append(Seen(at_ms, found))


def _pairs(counts: PairCounts) -> int:
    return counts.both + counts.first + counts.second + counts.neither + counts.alike + counts.unlike


def _letters(driver: Driver) -> dict[str, int]:
    reasons = (dict(headers).get(REASON_HEADER) for _, _, headers, _ in driver.topics["dead-letters", 0])
    return dict(Counter(reason.decode() for reason in reasons if reason).most_common())


class _OneModel:
    """The model of a question: two versions that nobody has to load, as their predictions are there."""

    def __init__(self, question: Question) -> None:
        self._settings = question.settings
        self._versions = {question.champion, question.challenger}

    def names(self) -> list[str]:
        return [self._settings.name]

    def settings(self, model: str) -> ModelSettings | None:
        return self._settings if model == self._settings.name else None

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> Version | None:
        if self.settings(model) is None or version not in self._versions:
            return None
        return Version(self._settings, version, Signature.of([], [], {}), None)

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return None

    def fetched(self) -> int:
        return 0
