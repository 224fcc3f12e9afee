"""A rollout as it was decided, read off the records: nothing of it is kept a second time."""

from leadline.core.release.story.heard import Heard, Tally
from leadline.core.release.story.next_step import Ahead, ahead
from leadline.core.release.story.story import ENDS, PLACES, Story, story, summary
from leadline.core.release.story.told import Told, who_answers

__all__ = ["ENDS", "PLACES", "Ahead", "Heard", "Story", "Tally", "Told", "ahead", "story", "summary", "who_answers"]
