"""What becomes of records that a topic does not take because they are too large, in a lane that sends without a transaction.

The broker refuses a batch as a whole. Its records are sent again in ever smaller parts, and none that has arrived comes again. An output
that is too large alone becomes a dead letter of the request that it answers.
"""

import structlog

from leadline.hosts.contract import Installation
from leadline.hosts.decoding import letter_of, log_lost
from leadline.kafka.failures import Sent
from leadline.kafka.quick_producers import BY_KEY, QuickProducers
from leadline.kafka.sender import OUTPUT
from leadline.topology import Step
from leadline.wire.dead_letters import stub, to_record
from leadline.wire.run import Run
from leadline.wire.topics import DEAD_LETTERS

log = structlog.get_logger("leadline.settling")

_WAIT_S = 30.0


class Settling:
    """``under_way`` are the runs whose outputs are not all known to be at the broker; ``size`` are their bytes."""

    def __init__(self, step: Step, installation: Installation, producers: QuickProducers) -> None:
        self._step = step
        self._installation = installation
        self._producers = producers
        self._under_way: list[Run] = []
        self._given_up: set[tuple[int, int]] = set()
        self.size = 0

    def has_sent(self, run: Run) -> None:
        """What comes of a run is handed to the producers."""
        self._under_way.append(run)
        self.size += sum(map(len, filter(None, run.values)))

    def has_arrived(self) -> None:
        """All that was handed over is at the broker."""
        self._under_way.clear()
        self._given_up.clear()
        self.size = 0

    def settle(self) -> None:
        """Send again what was refused, so that all of it arrives that can. Raises KafkaException."""
        self._send_parts(self._producers.refused(_WAIT_S))

    def _send_parts(self, refused: list[Sent]) -> None:
        half = (len(refused) + 1) // 2
        for part in filter(None, (refused[:half], refused[half:])):
            left = self._producers.send_again(part, _WAIT_S)
            if left and len(part) == 1:
                self._give_up(part[0])
            elif left:
                self._send_parts(left)

    def _give_up(self, record: Sent) -> None:
        """A record is too large by itself."""
        if record.topic_name != self._installation.topic_name(DEAD_LETTERS):
            self._make_letter(record)
        elif record.key or record.value:
            self._send_parts([Sent(record.topic_name, BY_KEY, *stub(record.key, record.value, record.headers or []))])
        else:
            log_lost(self._step.name, record.headers or [])

    def _make_letter(self, output: Sent) -> None:
        """A dead letter of the request that an output answers: it has its key and partition."""
        detail = f"{output.topic_name} takes no record of {len(output.value or b'')} bytes: raise its max.message.bytes"
        for run in self._under_way:
            for at, key in enumerate(run.keys):
                position = run.partition, run.offsets[at]
                if key == output.key and run.partition == output.partition and position not in self._given_up:
                    self._given_up.add(position)
                    row = to_record(
                        letter_of(run, at, OUTPUT, detail), self._installation.settings.prefix, self._step.name
                    )
                    return self._send_parts([Sent(self._installation.topic_name(DEAD_LETTERS), BY_KEY, *row)])
        log.error("no request is known of an output that is too large", step=self._step.name, topic=output.topic_name)
        return None
