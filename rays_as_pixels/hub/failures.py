"""What went wrong at the Hub, in one sentence: rule, value, remedy."""

import errno

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from rays_as_pixels.errors import CheckpointError

_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_NETWORK = ("TransportError", "TimeoutException", "RequestException", "ConnectionError")


def explained(error: Exception, label: str, *, endpoint: str | None = None) -> CheckpointError:
    """Turn an error of the Hub's client into one that says what to do.

    Args:
        error: What was raised.
        label: The repository, as its user named it.
        endpoint: Address of the Hub; that of the environment if None.
    """
    hub = (endpoint or constants.ENDPOINT).rstrip("/")
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client says "not in the cache" of everything
    repository = label.partition("@")[0]
    if isinstance(error, GatedRepoError):
        return CheckpointError(
            f"model must be one you may read; got {label}, which is gated. Accept its terms at "
            f"{hub}/{repository} with your account, then {_LOG_IN}."
        )
    if isinstance(error, RevisionNotFoundError):
        return CheckpointError(
            f"revision must be a branch, tag or commit of the repository; got {label}, which has "
            f"no such revision. Look at {hub}/{repository}/commits/main, or leave @revision out."
        )
    if isinstance(error, RepositoryNotFoundError):
        return CheckpointError(
            f"model must be a repository that exists and that you may read; got {label}, which "
            f"{hub} does not show. Check the spelling; if it is private, {_LOG_IN}."
        )
    return _other(error, label, hub)


def _other(error: Exception, label: str, hub: str) -> CheckpointError:
    if is_no_space(error):
        return CheckpointError(
            f"the disk must have room for the model; got none left while fetching {label}. Free "
            "some space, or put the cache on another disk with HF_HOME; what has arrived is kept."
        )
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        return not_fetched(label)
    if status(error) == 401:
        return CheckpointError(
            f"the token must be one that {hub} knows; got one that it refuses, for {label}. Make a "
            f"new one, then {_LOG_IN}."
        )
    if status(error) == 403:
        return CheckpointError(
            f"the token must allow this; got 'forbidden' from {hub} for {label}. Make a token with "
            f"the right to it, then {_LOG_IN}."
        )
    if is_network(error) or (status(error) or 0) >= 500 or status(error) == 429:
        said = f"answered {status(error)}" if status(error) else "cannot be reached"
        return CheckpointError(
            f"the Hub must be reachable to fetch {label}; got {hub}, which {said}. Check the "
            "network and HF_ENDPOINT, then run the same command: it goes on where it stopped."
        )
    words = " ".join(str(error).split())[:200]
    return CheckpointError(
        f"the Hub must answer as a Hub does; got {type(error).__name__} for {label}: {words}. "
        "Check HF_ENDPOINT and try again."
    )


def not_fetched(label: str) -> CheckpointError:
    """Say that offline mode needs a model fetched earlier."""
    return CheckpointError(
        f"offline mode needs a model that was fetched before; got {label}, which is not in the "
        "cache or not all of it. Run once with HF_HUB_OFFLINE unset, or name a folder."
    )


def status(error: Exception) -> int | None:
    """Return the HTTP status of an error, if it has one."""
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def is_no_space(error: BaseException) -> bool:
    """Tell whether an error, or what caused it, is a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        cause = cause.__cause__
    return False


def is_network(error: BaseException) -> bool:
    """Tell whether an error is of the connection; clients of several makes are in use."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(_NETWORK) and not isinstance(error, HfHubHTTPError)
