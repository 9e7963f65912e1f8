"""An OpenAI-compatible endpoint, by the `openai` package with tenacity around it.

Passing faults are tried again (`openai_retry.py` says which, and when); what can't get better by waiting (400, 401,
403, 404) is said at once, with what to fix. Whether the endpoint calls tools or only keeps to a schema is found out
with the first request.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from queue import Empty, SimpleQueue
from typing import Any

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
from agent.model.openai_check import Calling, Refused, Unable, find_out
from agent.model.openai_reply import estimated_usage, fault_in, reply_of, usage_of
from agent.model.openai_retry import is_about_tools, is_broke, is_too_long, passing, pause, said_by
from agent.model.openai_text import completion_in
from agent.model.redaction import redacted
from agent.model.seeing import question, saw
from agent.model.settings import ModelSettings
from agent.model.structured import LONGEST, TEXTS, answer_format, call_in, conversation
from agent.model.subset import declared
from lab.base import InvalidInput, Problem

REMEDY = {
    400: "it does not accept the request",
    401: "set OPENAI_API_KEY to a valid key",
    403: "this key may not use this model",
    404: "check --model and OPENAI_BASE_URL",
}


AGAIN = 900.0
"""Seconds after which a model that could not do this work is asked again."""


class Cancelled(Exception):
    """The request was given up, since the session wants no answer any more."""


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
        self._calling: Calling | None = None if self._asked.calling == "auto" else self._asked.calling
        self._images = None if self._asked.images == "auto" else self._asked.images == "on"
        self._owed = Usage()
        """Tokens that finding out took, which the next answer is charged with."""
        self._useless: ModelError | None = None
        """Why the model can't do this work at all, once that is known."""
        self._again = 0.0
        """When it is asked once more all the same: servers load other models."""
        self._bare = False
        """The endpoint does not take back what it sends beyond the API's fields."""
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

    def check(self, tools: Sequence[dict[str, Any]] = ()) -> None:
        """Make sure that the endpoint answers and its model can do this work; one try, no waiting for one that is down.

        It is tried as it will be used: with all tools, and with a second turn after what one of them answered.

        Args:
            tools: what it will be offered, as the API wants it.

        Raises:
            ModelError: it does not, or can't; says what to do.
        """
        self._down = True
        try:
            self._calling, _ = self._find_out(tools, twice=True)
        except Unable:
            if self._asked.calling == "auto":
                raise  # else it is as the user says: it answered
        self.takes_images()

    def takes_images(self) -> bool:
        """Whether the model sees pictures; found out once, with a tiny one. Only one that calls tools is shown any."""
        try:
            if self._images is not False and self._calling is None:
                self._calling, spent = self._find_out((), twice=False)
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
            self._calling, asked = self._find_out((), twice=False)
            spent += asked
        if self._calling == "tools":
            reply = self._with_tools(messages, tools)
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

    def _with_tools(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], **more: Any) -> Reply:
        """What came beyond the API's fields goes back as it came, unless the endpoint itself does not take it."""
        if self._bare:
            messages = [_bare(message) for message in messages]
        used = {call.id for message in messages for call in message.tool_calls}
        try:
            return self._ask([message.wire() for message in messages], tools, used, tools=declared(tools), **more)
        except Refused as error:
            beyond = {
                name for m in messages for extra in (m.extra, *(call.extra for call in m.tool_calls)) for name in extra
            }
            if not error.is_about_the_request or not any(name in str(error) for name in beyond):
                raise
            self._bare = True
            return self._with_tools(messages, tools, **more)

    def _longest(self) -> int:
        """Characters of a text that fit an answer's limit even at one token each."""
        limit = self._asked.max_tokens or self._asked.max_completion_tokens
        return LONGEST if limit is None else min(LONGEST, limit // TEXTS)

    def _find_out(self, tools: Sequence[dict[str, Any]], *, twice: bool) -> tuple[Calling, Usage]:
        ways: tuple[Calling, ...] = ("tools", "response_format") if self._calling is None else (self._calling,)
        limited = bool(self._asked.max_tokens or self._asked.max_completion_tokens)
        try:
            return find_out(self._trial, self._model, ways, tools, limited=limited, twice=twice)
        except Unable as unable:
            if self._asked.calling == "auto":
                self._useless, self._again = unable, time.monotonic() + AGAIN
            raise

    def _trial(self, way: Calling, messages: Sequence[Message], tools: Sequence[dict[str, Any]], **more: Any) -> Reply:
        """One request of the check; newer models know its limit by another name only."""
        try:
            if way == "tools":
                return self._with_tools(messages, tools, **more)
            return self._ask(conversation(messages, tools), response_format=answer_format(tools), **more)
        except Refused as error:
            if "max_tokens" not in more or "max_tokens" not in str(error):
                raise
            return self._trial(way, messages, tools, max_completion_tokens=more.pop("max_tokens"), **more)

    def in_vain(self, state: RetryCallState) -> bool:
        """Whether trying again would come too late, or has just been tried for long enough."""
        left = self._left()
        return self._down or (left is not None and state.upcoming_sleep >= left)

    def _ask(
        self,
        messages: list[dict[str, Any]],
        offered: Sequence[dict[str, Any]] = (),
        used: Collection[str] = (),
        **more: Any,
    ) -> Reply:
        request = {"model": self._model, "messages": messages, **self._asked.sent(), **more}
        try:
            completion = self._retrying(self._within, request)
        except openai.APIStatusError as error:
            if is_too_long(error):
                raise TooLong(f"the conversation does not fit the model's context ({_said(error)})") from error
            self._down = passing(error)
            remedy = REMEDY.get(error.status_code, "it did not get better by waiting")
            if is_broke(error):
                remedy = "the account has no credit left"
            said = f"the endpoint answered {error.status_code}: {remedy} ({_said(error)})"
            raise Refused(said, error.status_code, tools=is_about_tools(error)) from error
        except (openai.APITimeoutError, TimeoutError) as error:
            self._down = True
            if "Connect" in type(error.__cause__).__name__:  # httpx's ConnectTimeout: nobody took it
                raise ModelError(f"the endpoint could not be reached: {_said(error)}") from error
            rule = f"the endpoint took the request and is still writing, or stuck, after {self._asked.timeout:g} s"
            raise ModelError(f"{rule}: [model] in autopilot.toml has timeout and max_tokens") from error
        except openai.OpenAIError as error:
            self._down = True
            raise ModelError(f"the endpoint could not be reached: {_said(error)}") from error
        except Cancelled:
            raise ModelError("stopped on request") from None
        except (ValueError, RecursionError) as error:  # a body that is no JSON, or not of the API's shape
            raise ModelError(f"the endpoint's answer can't be read: {_said(error)}") from error
        self._down = False
        spent = usage_of(getattr(completion, "usage", None))
        try:
            reply = reply_of(completion, {tool["function"]["name"] for tool in offered}, used)
        except Exception as error:
            said = f"the endpoint's answer is not of the API's shape: {type(error).__name__}: {_said(error)}"
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
                done.put((self._answer(request), None))
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

    def _answer(self, request: dict[str, Any]) -> Any:
        """A completion, whatever it came as; an error in the body of a 200 is that error."""
        raw = self._client.chat.completions.with_raw_response.create(**request)
        try:
            completion: Any = raw.parse()
        except ValueError:
            completion = completion_in(raw.http_response.text)
            if isinstance(completion, str):
                raise
        completion = completion_in(completion) if isinstance(completion, str) else completion
        if (fault := fault_in(completion)) is not None:
            status, said = fault
            error = openai.APIStatusError(said, response=raw.http_response, body=None)
            error.status_code = status
            raise error
        return completion


class _InVain(stop_base):
    """The end of trying: the attempts are used up, or another one would be in vain."""

    def __init__(self, chat: OpenAIChat, others: stop_base) -> None:
        self._chat, self._others = chat, others

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Whether to end after this try; see tenacity."""
        return self._others(retry_state) or self._chat.in_vain(retry_state)


def _bare(message: Message) -> Message:
    calls = tuple(call.model_copy(update={"extra": {}}) for call in message.tool_calls)
    return message.model_copy(update={"extra": {}, "tool_calls": calls})


def _said(error: BaseException) -> str:
    """What an error says, its body whatever that is, without the key: some endpoints quote it when they refuse it."""
    return redacted(said_by(error))[:300]
