"""A partition of retrain requests that this trainer has: what is known of it, and the only producer that may say what becomes of it."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import numpy as np
import structlog

from leadline.core.processor import Batch, Output
from leadline.core.release.trainings import Trainings
from leadline.hosts.contract import Installation
from leadline.kafka.group import Source
from leadline.kafka.reader import Reader
from leadline.kafka.sender import Sender, TooLargeError, new_producer
from leadline.records import Candidate, Command, CommandAnswer, Record, RetrainRequest, Training, Verdict
from leadline.wire.run import Run

log = structlog.get_logger("leadline.trainer")

NAME = "trainer"
REQUESTS, COMMANDS, TRAININGS, CANDIDATES = "retrain-requests", "commands", "trainings", "candidates"
TOPIC_OF: dict[type[Record], str] = {
    Training: TRAININGS,
    Candidate: CANDIDATES,
    Verdict: "verdicts",
    CommandAnswer: "command-answers",
}


class Partition:
    """What is known of one partition. `open` it first: that fences a trainer which had it before."""

    def __init__(self, number: int, installation: Installation) -> None:
        self.number = number
        self.trainings = Trainings()
        self.candidates: list[Candidate] = []
        self.requests_end = 0
        self._installation = installation
        records_tell = installation.settings.clock == "records"
        self._producer = partial(
            new_producer, installation.bootstrap, f"{installation.settings.prefix}.{NAME}.{number}"
        )
        self._sender = Sender(self._producer(), installation.settings.prefix, records_tell, installation.wire)
        self._group = f"{installation.settings.prefix}.{NAME}"

    async def open(self) -> None:
        """Fence the trainer before, and read what was asked, and what it said: a command is about what was asked before it."""
        await self._sender.start()
        for topic in (TRAININGS, CANDIDATES, REQUESTS):
            async for record in self._all(topic):
                if isinstance(record, RetrainRequest):
                    self.trainings.ask(record)
                elif isinstance(record, Training):
                    self.trainings.hear(record)
                elif isinstance(record, Candidate):
                    self.candidates.append(record)

    async def close(self) -> None:
        await self._sender.close()

    async def say(self, records: Sequence[Record], as_of: int, behind: tuple[Source, int] | None = None) -> None:
        """Write records in one transaction, and in it that a source was worked on up to an offset. Raises TooLargeError; then none is."""
        outputs = [
            Output(topic, records=found, arrival_ms=np.full(len(found), as_of, np.int64))
            for topic in dict.fromkeys(TOPIC_OF.values())
            if (found := [each for each in records if TOPIC_OF[type(each)] == topic])
        ]
        offsets = {}
        if behind is not None:
            source, offset = behind
            offsets[self._installation.topic_name(source.topic), source.partition] = offset
        try:
            await self._sender.send_together(outputs, self._group, offsets)
        except TooLargeError:
            await self._sender.replace(self._producer())
            raise
        for each in records:
            if isinstance(each, Training):
                self.trainings.hear(each)
            elif isinstance(each, Candidate):
                self.candidates.append(each)

    async def hear(self, run: Run, trainer: str) -> None:
        """Take requests in, and answer commands that end a training."""
        batch = self._decoded(run)
        for offset, arrival_ms, record in zip(
            batch.offsets.tolist(), batch.arrival_ms.tolist(), batch.records, strict=True
        ):
            if isinstance(record, RetrainRequest):
                self.trainings.ask(record)
            elif isinstance(record, Command):
                answered = self.trainings.cancel(record, trainer, arrival_ms)
                if answered is not None:
                    answer, ends = answered
                    await self.say([answer, *ends], arrival_ms, (Source(COMMANDS, self.number), offset + 1))

    async def repeat(self) -> None:
        """Say ends again that whoever asked has not heard."""
        for each in self.trainings.unheard():
            await self.say([each], each.as_of)

    def since(self, model: str, time_ms: int) -> int:
        """Candidates of a model since a time."""
        return sum(each.model == model and each.as_of > time_ms for each in self.candidates)

    async def _all(self, topic: str) -> AsyncIterator[Record]:
        name = self._installation.topic_name(topic)
        async with Reader(self._installation.bootstrap, name, topic, [self.number]) as reader:
            await reader.from_beginning()
            ends = await reader.ends()
            if topic == REQUESTS:
                self.requests_end = ends[self.number]
            async for run in reader.until(ends):
                for record in self._decoded(run).records:
                    yield record

    def _decoded(self, run: Run) -> Batch:
        """What can be used of a run; the stages that read the same make dead letters of the rest."""
        batch, left_out = self._installation.wire.decode(run, self._installation.settings.record_bytes, None)
        for each in left_out:
            log.warning(
                "a record is left out", topic=each.topic, offset=each.offset, reason=each.reason, detail=each.detail
            )
        return batch
