"""Credentials that providers and clients put into the texts of their errors, taken out before the ledger keeps them."""

from __future__ import annotations

import re

_VALUE = r"(?:(?:bearer|basic)\s+)?[^\s\"'&,;)}\]]+"
_SECRET = re.compile(
    "|".join((
        # what looks like a key: of OpenAI and Anthropic, Google, AWS, Hugging Face, GitHub, Groq, xAI, Replicate; a web token
        r"(?-i:\b(?:sk-|AIza|AKIA|ASIA|hf_|gh[pousr]_|gsk_|xai-|r8_|eyJ[\w-]+\.)[\w.-]{6,})",
        # what is called one: a parameter of a URL (Google's clients show `?key=`), a header, a field
        rf"(?<=[?&])(?:key|token|signature|sig)={_VALUE}",
        rf"\b(?:(?:x-)?api[-_]?key|access[-_]token|auth[-_]token|client[-_]secret|secret|password|authorization)[\"']?\s*[=:]\s*[\"']?{_VALUE}",
        r"\b(?:bearer|basic)\s+[\w.~+/=-]{8,}",
        r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",
    )),
    re.IGNORECASE,
)  # fmt: skip


def without_credentials(text: str) -> str:
    """The same text with every key, token and password in it replaced by "[credential]"."""
    return _SECRET.sub("[credential]", text)
