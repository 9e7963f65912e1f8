"""An OpenAI-compatible endpoint, by the `openai` package with tenacity around it.

Passing faults are tried again (`openai_retry.py` says which, and when); what can't get better by waiting (400, 401,
403, 404) is said at once, with what to fix. Whether the endpoint calls tools or only keeps to a schema is found out
with the first request.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Literal

import openai
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
)
from tenacity.stop import stop_base

from agent.model.chat import Message, ModelError, Reply, TooLong, Usage
from agent.model.openai_reply import estimated_usage, reply_of, usage_of
from agent.model.openai_retry import is_broke, passing, pause
from agent.model.redaction import redacted
from agent.model.seeing import question, saw
from agent.model.settings import ModelSettings
from agent.model.structured import LONGEST, TEXTS, answer_format, call_in, conversation
from lab.base import InvalidInput, Problem

REMEDY = {
    400: "it does not accept the request",
    401: "set OPENAI_API_KEY to a valid key",
    403: "this key may not use this model",
    404: "check --model and OPENAI_BASE_URL",
}
UNABLE = (400, 404, 415, 422, 500, 501)
"""Statuses of an endpoint that is asked for what it does not have; llama.cpp says 500."""
TOO_LONG = re.compile(
    r"context.{0,30}(length|size|window)|too long|too many tokens|maximum.{0,30}tokens", re.IGNORECASE
)
READY = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
PING: dict[str, Any] = {
    "type": "function",
    "function": {"name": "ready", "description": "Say that you are ready.", "parameters": READY},
}
GREETING = [
    {"role": "system", "content": "You work through tool calls."},
    {"role": "user", "content": "Call the tool `ready` with ok = true."},
]


AGAIN = 900.0
"""Seconds after which a model that could not do this work is asked again."""


class Cancelled(Exception):
    """The request was given up, since the session wants no answer any more."""


class Refused(ModelError):
    """The endpoint answered with a status that says no."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class OpenAIChat:
    """A model behind `/chat/completions`."""

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        asked: ModelSettings | None = None,
        *,
        stopping: threading.Event | None = None,
        left: Callable[[], float | None] = lambda: None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Connect lazily; `OPENAI_API_KEY` and `OPENAI_BASE_URL` mean what they mean everywhere.

        Args:
            model: its name at the endpoint.
            base_url: the endpoint, over `OPENAI_BASE_URL`.
            asked: how it is asked.
            stopping: ends waiting and trying again when it is set.
            left: seconds that a request may still take, waiting included; None for as long as it takes.
            sleep: how to wait between tries; else until `stopping` is set.

        Raises:
            InvalidInput: no key is set.
        """
        self._asked = asked or ModelSettings()
        stopping = stopping or threading.Event()
        self._stopping = stopping
        self._left = left
        try:
            self._client = openai.OpenAI(base_url=base_url, timeout=self._asked.timeout, max_retries=0)
        except openai.OpenAIError:
            rule = "is needed for this model (any text will do for a local endpoint)"
            problem = Problem(key="OPENAI_API_KEY", value="not set", rule=rule, valid="a key, or --model offline")
            raise InvalidInput([problem]) from None
        self._model = model
        self._listed: list[dict[str, Any]] = []
        self._calling = None if self._asked.calling == "auto" else self._asked.calling
        self._images = None if self._asked.images == "auto" else self._asked.images == "on"
        self._owed = Usage()
        """Tokens that finding out took, which the next answer is charged with."""
        self._useless: ModelError | None = None
        """Why the model can't do this work, once that is known."""
        self._again = 0.0
        """When it is asked once more all the same: servers load other models."""
        self._down = False
        """The last request was given up; until one succeeds the next are tried once each."""
        self._retrying = Retrying(
            retry=retry_if_exception(passing),
            wait=pause,
            stop=_InVain(self, stop_after_attempt(self._asked.attempts) | stop_when_event_set(stopping)),
            sleep=sleep or sleep_using_event(stopping),
            reraise=True,
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model

    def check(self) -> None:
        """Make sure that the endpoint answers and its model can do this work; one try, no waiting for one that is down.

        Raises:
            ModelError: it does not, or can't; says what to do.
        """
        self._down = True
        if self._calling is None:
            self._calling, _ = self._find_out()
        else:
            self._ask(GREETING)
        self.takes_images()

    def takes_images(self) -> bool:
        """Whether the model sees pictures; found out once, with a tiny one. Only one that calls tools is shown any."""
        try:
            if self._images is not False and self._calling is None:
                self._calling, spent = self._find_out()
                self._owed += spent
        except ModelError as error:  # it is down: it is asked again
            self._owed += error.spent or Usage()
        if self._images is None and self._calling == "tools":
            self._images = self._sees()
        return bool(self._images) and self._calling == "tools"

    def _sees(self) -> bool:
        """Whether the model can say what it is shown: one try, and whatever goes wrong, it does not."""
        self._down = True
        try:
            reply = self._ask([question().wire()])
        except ModelError as error:
            self._owed += error.spent or Usage()
            return False
        finally:
            self._down = False
        self._owed += reply.usage
        return saw(reply)

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """Ask the endpoint, in the way that its model can call tools; see `ChatModel.complete`."""
        spent, self._owed = self._owed, Usage()
        if self._useless is not None and time.monotonic() < self._again:
            useless = ModelError(str(self._useless))
            useless.spent = spent
            raise useless
        if self._calling is None:
            self._calling, asked = self._find_out()
            spent += asked
        if self._calling == "tools":
            reply = self._ask([message.wire() for message in messages], tools=list(tools))
        else:
            # The list of tools stays as it was while fewer are offered: a server keeps what it has read so far.
            listed = {tool["function"]["name"] for tool in self._listed}
            if not all(tool["function"]["name"] in listed for tool in tools):
                self._listed = list(tools)
            reply = self._ask(
                conversation(messages, self._listed), response_format=answer_format(tools, self._longest())
            )
            call = call_in(reply.message.content, len(messages), tools) if reply.finish == "stop" else None
            if call is not None:
                reply = reply.model_copy(update={"message": Message(role="assistant", tool_calls=(call,))})
        return reply.model_copy(update={"usage": reply.usage + spent})

    def _longest(self) -> int:
        """Characters of a text that fit an answer's limit even at one token each."""
        limit = self._asked.max_tokens or self._asked.max_completion_tokens
        return LONGEST if limit is None else min(LONGEST, limit // TEXTS)

    def _find_out(self) -> tuple[Literal["tools", "response_format"], Usage]:
        """How this endpoint's model calls tools: it is asked to call one, in either way."""
        spent = Usage()
        tries: list[tuple[Literal["tools", "response_format"], dict[str, Any]]] = [
            ("tools", {"tools": [PING]}),
            ("response_format", {"response_format": answer_format([PING])}),
        ]
        for calling, more in tries:
            try:
                reply = self._ask(GREETING, **more)
            except Refused as error:
                if error.status not in UNABLE:
                    raise
                last: ModelError = error
                continue
            spent += reply.usage
            called = reply.message.tool_calls if calling == "tools" else [call_in(reply.message.content, 0, [PING])]
            if any(call is not None and call.name == "ready" for call in called):
                return calling, spent
            last = ModelError(f"{self._model} neither calls tools nor keeps to a JSON schema: it can't do this work")
        if not isinstance(last, Refused):
            self._useless, self._again = last, time.monotonic() + AGAIN
        last.spent = spent
        raise last

    def in_vain(self, state: RetryCallState) -> bool:
        """Whether trying again would come too late, or has just been tried for long enough."""
        left = self._left()
        return self._down or (left is not None and state.upcoming_sleep >= left)

    def _ask(self, messages: list[dict[str, Any]], **more: Any) -> Reply:
        request = {"model": self._model, "messages": messages, **self._asked.sent(), **more}
        try:
            completion = self._retrying(self._within, request)
        except openai.APIStatusError as error:
            if error.status_code in (400, 413, 422) and TOO_LONG.search(str(error)):
                raise TooLong(f"the conversation does not fit the model's context ({_first_line(error)})") from error
            self._down = passing(error)
            remedy = REMEDY.get(error.status_code, "it did not get better by waiting")
            if is_broke(error):
                remedy = "the account has no credit left"
            raise Refused(
                f"the endpoint answered {error.status_code}: {remedy} ({_first_line(error)})", error.status_code
            ) from error
        except (openai.OpenAIError, TimeoutError) as error:
            self._down = True
            raise ModelError(f"the endpoint could not be reached: {_first_line(error)}") from error
        except Cancelled:
            raise ModelError("stopped on request") from None
        except (ValueError, RecursionError) as error:  # a body that is no JSON, or not of the API's shape
            raise ModelError(f"the endpoint's answer can't be read: {_first_line(error)}") from error
        self._down = False
        spent = usage_of(getattr(completion, "usage", None))
        try:
            reply = reply_of(completion)
        except Exception as error:
            said = f"the endpoint's answer is not of the API's shape: {type(error).__name__}: {_first_line(error)}"
            failed = error if isinstance(error, ModelError) else ModelError(said)
            failed.spent = spent
            raise failed from error
        if spent == Usage():
            spent = estimated_usage(request, reply)
        return reply.model_copy(update={"usage": spent})

    def _within(self, request: dict[str, Any]) -> Any:
        """One try, given up when its time is over: a time-out of the socket counts from each byte that drips in."""
        if self._stopping.is_set():
            raise Cancelled
        done: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

        def attempt() -> None:
            try:
                done.put((self._client.chat.completions.create(**request), None))
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits
                done.put((None, error))

        threading.Thread(target=attempt, daemon=True).start()
        try:
            left = self._left()
            patience = self._asked.timeout if left is None else min(self._asked.timeout, max(left, 0.001))
            completion, error = done.get(timeout=patience)
        except Empty:
            raise TimeoutError(f"no answer within {patience:.3g} s") from None
        if error is not None:
            raise error
        return completion


class _InVain(stop_base):
    """The end of trying: the attempts are used up, or another one would be in vain."""

    def __init__(self, chat: OpenAIChat, others: stop_base) -> None:
        self._chat, self._others = chat, others

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Whether to end after this try; see tenacity."""
        return self._others(retry_state) or self._chat.in_vain(retry_state)


def _first_line(error: BaseException) -> str:
    """What an error says, without the key: some endpoints quote it when they refuse it."""
    return redacted((str(error).splitlines() or [type(error).__name__])[0])[:300]
