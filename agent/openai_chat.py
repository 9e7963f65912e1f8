"""An OpenAI-compatible endpoint, by the `openai` package with tenacity around it.

Passing faults (time-outs, cut connections, 408, 409, 429, 5xx) are tried again with growing, jittered pauses; what
can't get better by waiting (400, 401, 403, 404) is said at once, with what to fix.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import openai
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from agent.chat import Message, ModelError, Reply, ToolCall, Usage
from lab.errors import InvalidInput, Problem

ATTEMPTS = 6
PASSING = (408, 409, 429)
REMEDY = {
    400: "it does not accept the request: does this model know tool calls?",
    401: "set OPENAI_API_KEY to a valid key",
    403: "this key may not use this model",
    404: "check --model and OPENAI_BASE_URL",
}


def passing(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in PASSING or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError)  # time-outs are a kind of it


def pause(state: RetryCallState) -> float:
    """Seconds until the next try: what the server asks for (`Retry-After`), else exponential with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, openai.APIStatusError):
        asked = error.response.headers.get("retry-after", "")
        if asked.replace(".", "", 1).isdigit():
            return min(float(asked), 300.0)
    return wait_random_exponential(multiplier=1, max=60)(state)


class OpenAIChat:
    """A model behind `/chat/completions`."""

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        timeout: float = 120,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect lazily; `OPENAI_API_KEY` and `OPENAI_BASE_URL` mean what they mean everywhere.

        Args:
            model: its name at the endpoint.
            base_url: the endpoint, over `OPENAI_BASE_URL`.
            timeout: seconds for one try.
            attempts: how often to try in all.
            sleep: how to wait between them.

        Raises:
            InvalidInput: no key is set.
        """
        try:
            self._client = openai.OpenAI(base_url=base_url, timeout=timeout, max_retries=0)
        except openai.OpenAIError:
            rule = "is needed for this model (any text will do for a local endpoint)"
            problem = Problem(key="OPENAI_API_KEY", value="not set", rule=rule, valid="a key, or --model offline")
            raise InvalidInput([problem]) from None
        self._model = model
        self._retrying = Retrying(
            retry=retry_if_exception(passing),
            wait=pause,
            stop=stop_after_attempt(attempts),
            sleep=sleep,
            reraise=True,
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """See `ChatModel.complete`."""
        request: dict[str, Any] = {
            "model": self._model, "messages": [message.wire() for message in messages], "tools": list(tools),
        }  # fmt: skip
        try:
            completion = self._retrying(self._client.chat.completions.create, **request)
        except openai.APIStatusError as error:
            remedy = REMEDY.get(error.status_code, "it did not get better by waiting")
            raise ModelError(f"the endpoint answered {error.status_code}: {remedy} ({_first_line(error)})") from error
        except openai.OpenAIError as error:
            raise ModelError(f"the endpoint could not be reached: {_first_line(error)}") from error
        except ValueError as error:  # a body that is no JSON, or not of the API's shape
            raise ModelError(f"the endpoint's answer can't be read: {_first_line(error)}") from error
        try:
            return _reply(completion)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"the endpoint's answer is not of the API's shape: {_first_line(error)}") from error


def _reply(completion: Any) -> Reply:
    if not getattr(completion, "choices", None):
        raise ModelError("the endpoint answered without any choice")
    message = completion.choices[0].message
    calls = tuple(
        ToolCall(id=call.id or f"call_{index}", name=call.function.name, arguments=call.function.arguments or "{}")
        for index, call in enumerate(message.tool_calls or ())
        if getattr(call, "function", None)
    )
    usage = completion.usage
    used = (
        Usage(input_tokens=usage.prompt_tokens or 0, output_tokens=usage.completion_tokens or 0) if usage else Usage()
    )
    text = message.content or getattr(message, "refusal", None) or ""
    if isinstance(text, list):  # some servers answer in parts
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
    return Reply(message=Message(role="assistant", content=text, tool_calls=calls), usage=used)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
