"""How a call that raised has ended."""

from __future__ import annotations

from collections.abc import Iterator

from runguard_core.calls import Outcome, OutcomeKind

#: Causes that say that the request never left, by name.
_NOT_SENT = frozenset(
    {"ConnectError", "ConnectionRefusedError", "gaierror", "UnsupportedProtocol", "InvalidURL", "ClientConnectorError"}
)
#: Packages whose errors carry the status that a server really sent; frameworks give theirs one of their own.
_CLIENTS = ("openai", "httpx", "anthropic", "requests", "aiohttp", "cohere", "mistralai", "google", "botocore")


def read_error(error: BaseException, output_chars: int = 0) -> Outcome:
    """How a call that raised has ended. Only a status that a server sent says that nothing was billed.

    Args:
        error: what was raised, with its causes.
        output_chars: characters of the answer that had come.
    """
    chain = list(_causes(error))
    sent = [status for one in chain if (status := _status(one)) is not None]
    never_left = not sent and not output_chars and any(type(one).__name__ in _NOT_SENT for one in chain)
    return Outcome(
        kind=OutcomeKind.FAILED if isinstance(error, Exception) else OutcomeKind.CANCELLED,
        billed=not never_left,
        output_chars=output_chars,
        error=f"{type(error).__name__}: {error}"[:300],
        error_status=sent[0] if sent and sent[0] >= 400 and not output_chars else None,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    if not type(error).__module__.startswith(_CLIENTS):
        return None
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
    return status if isinstance(status, int) else None
