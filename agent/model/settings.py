"""`[model]` in autopilot.toml: how an endpoint is asked."""

from typing import Annotated, Any, Literal

from pydantic import Field

from agent.model.budget import TURNS
from lab.base import Record, Table, Tables, Workspace


class ModelSettings(Record):
    """`[model]` in autopilot.toml: how the endpoint is asked. What is not set is not sent."""

    calling: Literal["auto", "tools", "response_format"] = "auto"
    """How the model calls tools; auto finds it out."""
    images: Literal["auto", "on", "off"] = "auto"
    """Whether the first message has a picture of the learning curves; auto finds out whether the model sees one."""
    turns: int = Field(default=TURNS, ge=4, le=200)
    """Requests that one analysis may take."""
    timeout: float = Field(default=180.0, ge=1, le=3600)
    """Seconds for one try, from the first byte sent to the last one received."""
    attempts: int = Field(default=6, ge=1, le=50)
    """How often a request is tried in all."""
    agent_wait: float = Field(default=600.0, ge=1, le=86_400)
    """Seconds that an analysis waits for an agent from outside (`--model agent`) before it is the offline researcher's.

    Long enough for a person to see that an agent has stopped; the trainer goes on meanwhile.
    """
    agent_silence: float = Field(default=180.0, ge=1, le=86_400)
    """Seconds between two calls of such an agent after which another one may take its analysis.

    Thinking takes a model a minute or two, and so does a person who is asked to allow a call.
    """
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    reasoning_effort: str | None = None
    max_tokens: int | None = Field(default=None, ge=64)
    """Tokens of an answer, as older endpoints call them."""
    max_completion_tokens: int | None = Field(default=None, ge=64)
    """Tokens of an answer and the thinking before it, as newer endpoints call them."""

    def sent(self) -> dict[str, Any]:
        """The settings that go into each request."""
        ours = {"calling", "images", "turns", "timeout", "attempts", "agent_wait", "agent_silence"}
        return self.model_dump(exclude=ours, exclude_none=True)


class ModelTables(Tables):
    """`[model]` in autopilot.toml, or the environment."""

    model: Annotated[
        ModelSettings,
        Table(example="[model] with timeout = 180", names=", ".join(ModelSettings.model_fields), environment=True),
    ] = ModelSettings()


def model_settings(workspace: Workspace) -> ModelSettings:
    """The model settings of a workspace.

    Raises:
        InvalidInput: the table is not written as it has to be.
    """
    return ModelTables.of(workspace).model
