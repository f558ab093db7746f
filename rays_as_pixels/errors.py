"""The three ways this package says no. Every message reads: rule, value, remedy."""


class InputError(ValueError):
    """The caller's input breaks a rule; the message names the rule, the value and the remedy."""


class CheckpointError(InputError):
    """A model folder or Hub repository is missing, incomplete, damaged or of another kind."""


class Cancelled(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Work stopped because its caller asked it to stop."""
