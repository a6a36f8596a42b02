"""Words of others on a terminal: names, ids and errors come from models, tools and users, and may hold anything."""

from __future__ import annotations

import codecs
import json
import re
import sys
from typing import Any

from rich.markup import escape

#: Controls (a terminal obeys them), directions of writing, invisible marks, halves of characters.
_HIDDEN = "\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
_IN_TEXT = re.compile(f"[\x00-\x1f{_HIDDEN}]")
_IN_JSON = re.compile(f"[{_HIDDEN}]")
#: What our own pictures become where a terminal cannot show them.
_STAND_INS = {"█": "#", "░": ".", "■": "*", "▸": ">", "─": "-", "│": "|", "└": "`", "├": "|", "…": "...",
              "▔": "-", "▁": "_", "▂": ".", "▃": ".", "▄": ":", "▅": ":", "▆": "+", "▇": "+"}  # fmt: skip


def shown(text: str) -> str:
    r"""Text for a rich console: no markup in it, and what a terminal would obey or hide is written out ("\x1b")."""
    return escape(_IN_TEXT.sub(lambda found: _written_out(found[0]), text))


def counted(count: int, thing: str) -> str:
    """A number of things in words: "1 turn", "2,000 turns"."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _written_out(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


def json_text(document: Any) -> str:
    """A document as JSON that says the same in any encoding and moves no cursor."""
    is_utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    text = json.dumps(document, indent=2, ensure_ascii=not is_utf8)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def steady_streams() -> None:
    """Nothing that is printed may fail for the terminal's encoding."""
    codecs.register_error("runguard", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="runguard")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(char) or _written_out(char) for char in failed), error.end
