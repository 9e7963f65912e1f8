"""Whether an endpoint's model sees pictures: it is shown one, and says what colour it has.

A server may take a picture and its model see nothing of it, so taking it is not enough; the colour is one that nobody
guesses.
"""

import base64
import re

from agent.model.chat import Message, Reply

MAGENTA = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAATElEQVR42u3PMQkAAAwDsPo33UnoPQjEQNL0tQgICA"
    "gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgILAdBp+HSRtACMAAAAABJRU5ErkJggg=="
)
"""A PNG of 64 by 64 pixels, all of them magenta, in base64."""
QUESTION = "What colour is this picture? Answer with the name of the colour alone."
ANSWER = re.compile(r"magenta|fuchsia|pink|purple|violet", re.IGNORECASE)


def question() -> Message:
    """The message that only a model that sees can answer."""
    return Message(role="user", content=QUESTION, picture=base64.b64decode(MAGENTA))


def saw(reply: Reply) -> bool:
    """Whether an answer to `question` is that of a model that saw the picture."""
    return ANSWER.search(reply.message.content) is not None
