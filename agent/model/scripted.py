"""A model that says what a script tells it: deterministic, for tests of everything around a model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from agent.model.chat import Message, ModelError, Reply

Step = Reply | Callable[[Sequence[Message]], Reply]


class ScriptedModel:
    """A model that plays replies in order; a step may look at the conversation to make its reply."""

    def __init__(self, steps: Iterable[Step], name: str = "scripted") -> None:
        self._steps: Iterator[Step] = iter(steps)
        self._name = name
        self.seen: list[tuple[Message, ...]] = []
        """Every conversation that the model was asked to go on with."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """Play the next step; ModelError at the end of the script. See `ChatModel.complete`."""
        self.seen.append(tuple(messages))
        step = next(self._steps, None)
        if step is None:
            raise ModelError("the script is over")
        return step if isinstance(step, Reply) else step(messages)
