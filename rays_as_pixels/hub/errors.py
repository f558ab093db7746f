"""What went wrong at the Hub, in one sentence: rule, value, remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

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
# The client's HTTP library differs between its versions, so its errors are known by name.
_NETWORK = {"TransportError", "TimeoutException", "RequestException", "ConnectionError"}


def status(error: Exception) -> int | None:
    """Return the HTTP status of an error, if it has one."""
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def is_unreachable(error: Exception) -> bool:
    """Tell whether the network is down or the Hub cannot answer at present."""
    if isinstance(error, HfHubHTTPError):
        return status(error) == 429 or (status(error) or 0) >= 500
    return not _NETWORK.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def is_hub_error(error: Exception) -> bool:
    """Tell whether the Hub's client may have raised this because of the Hub, network or disk."""
    return isinstance(error, OSError | ValueError | HfHubHTTPError) or is_unreachable(error)


@contextmanager
def hub_errors_explained(label: str, endpoint: str | None) -> Iterator[None]:
    """Turn errors of the Hub's client into CheckpointErrors; other errors pass."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        if not is_hub_error(error):
            raise
        raise explain(error, label, endpoint) from error


def explain(error: Exception, label: str, endpoint: str | None = None) -> CheckpointError:
    """Turn an error of the Hub's client into one that says what to do.

    Args:
        error: What was raised.
        label: The repository, as its user named it.
        endpoint: Address of the Hub; that of the environment if None.
    """
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client says "not in the cache" of everything
    hub = (endpoint or constants.ENDPOINT).rstrip("/")
    page = f"{hub}/{label.partition('@')[0]}"
    if isinstance(error, GatedRepoError):
        text = (
            f"model must be one you may read; got {label}, which is gated. Accept its terms at "
            f"{page} with your account, then {_LOG_IN}."
        )
    elif isinstance(error, RevisionNotFoundError):
        text = (
            f"revision must be a branch, tag or commit of the repository; got {label}, which has "
            f"no such revision. Look at {page}/commits/main, or leave @revision out."
        )
    elif isinstance(error, RepositoryNotFoundError):
        text = (
            f"model must be a repository that exists and that you may read; got {label}, which "
            f"{hub} does not show. Check the spelling; if it is private, {_LOG_IN}."
        )
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = (
            f"the disk must have room for the model; got none left while fetching {label}. Free "
            "some space, or put the cache on another disk with HF_HOME."
        )
    elif isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        text = (
            f"offline mode needs a model that was fetched before; got {label}, which is not in the "
            "cache or not all of it. Run once with HF_HUB_OFFLINE unset, or name a folder."
        )
    else:
        text = _explain_answer(error, label, hub)
    return CheckpointError(text)


def _explain_answer(error: Exception, label: str, hub: str) -> str:
    if status(error) in (401, 403):
        return (
            f"the token must be one that {hub} accepts for this; got {status(error)} for {label}. "
            f"Make a new one with the right to it, then {_LOG_IN}."
        )
    if is_unreachable(error):
        what = f"answered {status(error)}" if status(error) else "cannot be reached"
        return (
            f"the Hub must be reachable to fetch {label}; got {hub}, which {what}. Check the "
            "network and HF_ENDPOINT, then run the same command: files that arrived are kept."
        )
    words = " ".join(str(error).split())[:200]
    return (
        f"the Hub must answer as a Hub does; got {type(error).__name__} for {label}: {words}. "
        "Check HF_ENDPOINT and try again."
    )
