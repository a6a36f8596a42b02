"""`runguard prices --refresh`: fetch the price list, check it, keep it. Prices are never fetched otherwise."""

from __future__ import annotations

import os
import tempfile
from urllib.error import URLError
from urllib.request import Request, urlopen

from runguard_core.errors import PriceDataError
from runguard_core.guard import price_file
from runguard_core.prices import count_models, read_price_list

_TIMEOUT_SECONDS = 30
_MAX_BYTES = 64 * 1024 * 1024


def refresh_prices(url: str | None) -> str:
    """Fetch, check and keep a list; one sentence about it.

    Raises:
        PriceDataError: it cannot be fetched, is none, or cannot be kept; the list in use stays.
    """
    from genai_prices.update_prices import DEFAULT_UPDATE_URL  # noqa: PLC0415  on command only

    place = url or DEFAULT_UPDATE_URL
    if not place.startswith(("http://", "https://")):
        raise PriceDataError(file=place, key="--url", expected="an http or https address")
    try:
        with urlopen(Request(place), timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  the scheme was checked
            content = response.read(_MAX_BYTES)
    except (URLError, OSError, ValueError) as error:
        raise PriceDataError(file=place, key="(address)", expected=f"an answer: {error}") from None
    count = count_models(read_price_list(content, file=place))
    path = price_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(name, path)  # noqa: PTH105  the new list is whole or not there
    except OSError as error:
        raise PriceDataError(file=str(path), key="(file)", expected=f"a place to write: {error.strerror}") from None
    return f"{count} models from {place}, kept in {path}"
