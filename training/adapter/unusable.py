"""What is wrong with a part of the user's, as an error."""


class Unusable(Exception):
    """A part of the user's (environment, reward, policy) does not do what it has to; the text says what in one line."""


class Unfit(Unusable):
    """A space or an interface of an environment that no policy here can be given, found before anything trains."""

    def __init__(self, rule: str, helps: str) -> None:
        """Say what does not fit, and what would.

        Args:
            rule: what is wrong, with the space by name.
            helps: the wrapper, or the change, that helps.
        """
        super().__init__(f"{rule}; what helps: {helps}")
        self.rule, self.helps = rule, helps
