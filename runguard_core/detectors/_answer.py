"""What kind of answer a tool gave, from the first words of its text: told, done, empty, failed, busy or waiting.

Repeating a call means something else after each. A failure that waiting does not cure will be the same next time; "not yet"
asks to be asked again; "ok" is what a batch of equal actions gets. The words are English, and a wrong guess only changes how
often a repetition is tolerated, never whether two answers count as equal.
"""

from __future__ import annotations

import re
from enum import StrEnum

#: Characters of a text that are read.
HEAD_CHARS = 160
#: A longer text tells something; only a shorter one can be nothing but a word of state.
_SHORT_CHARS = 120
_BRIEF_CHARS = 24


class Answer(StrEnum):
    """What an answer is.

    TOLD: anything else. BRIEF: a word or a number, which different questions may well share. DONE: an action's "ok". EMPTY:
    nothing. FAILED: a failure. BUSY: a failure that may pass by
    itself (rate limit, time-out). WAITING: "not yet".
    """

    TOLD = "told"
    BRIEF = "brief"
    DONE = "done"
    EMPTY = "empty"
    FAILED = "failed"
    BUSY = "busy"
    WAITING = "waiting"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOTHING = frozenset({"", "none", "null", "nil", "undefined", "[]", "{}", "()", "''", '""', "n/a"})
_FAILED = _words("""
    error errors exception exceptions traceback fail failed fails failing failure failures cannot can't couldn't couldnt
    unable invalid denied forbidden unauthorized unsupported unrecognized refused rejected aborted fatal unavailable
""")
#: These are said of failures and of anything else: they count in short texts, and where a text begins with them.
_WEAK = _words("not no nothing could empty missing unknown")
_FIRST_WORDS = 6
#: Failures that may pass by themselves.
_BUSY = re.compile(
    r"\b(?:429|502|503|504)\b|time-?d?[ -]?out|too many requests|rate[ _-]?limit|throttl|overload|temporar|econnreset|connection"
    r"|\breset\b|\bbusy\b|\blocked\b|\bquota\b|try again (?:later|in|after)|retry[ -](?:later|after|in)"
)
#: So plain that they need no word of failure beside them.
_PLAINLY_BUSY = re.compile(
    r"\b(?:429|502|503|504) \w|too many requests|throttled|overloaded|timed out|rate limit|service unavailable"
)
_BUSY_HINTS = _words("429 502 503 504 requests throttled overloaded out limit unavailable")
_WAITING = _words("""
    pending running queued processing waiting in_progress inprogress scheduled initializing provisioning building deploying
""")
#: "not ready yet", "still no answer".
_NOT_YET = _words("yet still")
_DONE = _words("""
    ok okay done success successful successfully succeeded true created updated deleted removed added saved sent written
    accepted complete completed clicked moved pressed scrolled alive healthy valid passed pass logged noted recorded clean
    200 201 204
""")
#: An acknowledgement has no more words.
_ACK_WORDS = 6
_SEPARATORS = str.maketrans(dict.fromkeys('"`()[]{}<>:;,.=!?|/\\#*-\n\r\t', " "))
#: "0 failed", "no errors found", `"error": null`: the word of failure says there was none.
_NO_FAILURE = re.compile(
    r"\b(?:no|0|zero|without)\s+(?:\w+\s+)?(?:errors?|fail\w*|exceptions?|warnings?|issues?|problems?|conflicts?|violations?)\b"
    r"|\"?\b(?:errors?|error_\w+|fail\w*|exceptions?)\"?\s*[:=]\s*(?:null|none|false|0\b|\"\"|\[\]|\{\})",
    re.IGNORECASE,
)


#: Without one of these the expression above cannot match.
_NO_FAILURE_HINTS = _FAILED | _words("no 0 zero without error error_code error_message failures warnings issues problems")
#: JSON that holds keys and no values.
_HOLLOW = re.compile(r"[\[\]{}\s,]*(?:\"[^\"]*\"\s*:\s*(?:\[\]|\{\}|null|\"\"|0|false)[\[\]{}\s,]*)*")
#: Tools that do nothing but wait, by the beginning of their names.
_PAUSES = ("sleep", "wait", "pause", "delay")


def read_answer(text: str, tool: str = "") -> Answer:
    """The kind of a result's text; a tool that pauses says "not yet" by what it is."""
    if tool and tool.lower().startswith(_PAUSES):
        return Answer.WAITING
    is_short = len(text) <= _SHORT_CHARS
    head = text[:HEAD_CHARS].lower()
    if is_short and (head.strip(" .\n") in _NOTHING or (head[:1] in "[{" and _HOLLOW.fullmatch(head))):
        return Answer.EMPTY
    words = _split(head)
    if _fails(words, is_short=is_short) and _fails(_split(_NO_FAILURE.sub(" ", head)), is_short=is_short):
        if is_short and not _NOT_YET.isdisjoint(words):
            return Answer.WAITING
        return Answer.BUSY if _BUSY.search(head) else Answer.FAILED
    if is_short:
        return _read_short(head, words)
    return Answer.TOLD


def _read_short(head: str, words: list[str]) -> Answer:
    if not _WAITING.isdisjoint(words):
        return Answer.WAITING
    if not _BUSY_HINTS.isdisjoint(words) and _PLAINLY_BUSY.search(head):
        return Answer.BUSY
    if len(words) <= _ACK_WORDS and not _DONE.isdisjoint(words) and "false" not in words:
        return Answer.DONE
    if not _NO_FAILURE_HINTS.isdisjoint(words) and _NO_FAILURE.search(head):
        return Answer.DONE
    return Answer.BRIEF if len(head) <= _BRIEF_CHARS else Answer.TOLD


def read_failure(error: str) -> Answer:
    """The kind of an exception's text: BUSY when it may pass by itself."""
    return Answer.BUSY if _BUSY.search(error[:HEAD_CHARS].lower()) else Answer.FAILED


def _split(text: str) -> list[str]:
    return text.translate(_SEPARATORS).split()


def _fails(words: list[str], *, is_short: bool) -> bool:
    return not (_FAILED.isdisjoint(words) and _WEAK.isdisjoint(words if is_short else words[:_FIRST_WORDS]))


#: What a failing tool repeats of its arguments: quoted and bracketed parts, paths.
_ECHO = re.compile(r"\[[^\]]*\]|\"[^\"]*\"|'[^']*'|`[^`]*`|\S*/\S*")


def folded_failure(text: str) -> str:
    """The start of a failure's text without what it repeats of the arguments; numbers stay, for they may be the progress."""
    return " ".join(_ECHO.sub("~", text[: 2 * HEAD_CHARS]).lower().split())[:HEAD_CHARS]
