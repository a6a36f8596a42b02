"""The callback handler: everything that is metered and every hard stop goes through it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables.config import ensure_config

from runguard_core import (
    Attribution,
    CallNode,
    CallTree,
    Guard,
    Messages,
    OpenCall,
    Outcome,
    StoppedError,
    current_session,
    safely,
)
from runguard_langchain import _translate as translate
from runguard_langchain._passing import GraphBubbleUp, bubbling, keep_first_usage

_MAX_PROMPTS = 1000
#: The run that the middleware knows of, for agents whose outer callbacks do not reach the handler.
RUN: ContextVar[str | None] = ContextVar("runguard_langchain_run", default=None)


@dataclass(slots=True, eq=False)
class Run(CallNode):
    """A run of LangChain's in progress: a chain, a graph's step, a model, a tool.

    Attributes:
        name: LangChain's; a graph's name is an agent's.
        is_stream: the answer comes in pieces; first_usage: of the first event of an Anthropic stream.
    """

    name: str | None = None
    is_stream: bool = False
    first_usage: Mapping[str, Any] | None = None


class _Shared:
    """What all handlers of one guard share, so that attaching four ways at once counts once."""

    def __init__(self, guard: Guard) -> None:
        """The runs in progress, the sizes of messages seen, the last prompt of each run for a stop that happens in a tool."""
        self.tree: CallTree[Run] = CallTree(guard)
        self.messages = Messages(translate.as_mapping)
        self.prompts: dict[str | None, list[Any]] = {}


_shared: weakref.WeakKeyDictionary[Guard, _Shared] = weakref.WeakKeyDictionary()


class RunGuardCallbackHandler(BaseCallbackHandler):
    """Meters model and tool calls and raises before a call that must not be sent. One per guard, however often made.

    Raises (into the program, from `*_start` only):
        StoppedError: as a class that is LangGraph's GraphBubbleUp too.
    """

    raise_error: bool = True  # otherwise LangChain logs the stop and sends the request
    run_inline: bool = True  # on the caller's thread and in its context, in order
    ignore_retriever: bool = True  # not paid
    ignore_retry: bool = True  # shows as another call
    ignore_custom_event: bool = True

    def __init__(self, guard: Guard) -> None:
        """Share everything with the other handlers of this guard."""
        self.guard = guard
        shared = _shared.get(guard) or _shared.setdefault(guard, _Shared(guard))
        self._tree, self._messages, self._prompts = shared.tree, shared.messages, shared.prompts

    def __eq__(self, other: object) -> bool:
        """Handlers of one guard are one, so LangChain's own de-duplication works."""
        return isinstance(other, RunGuardCallbackHandler) and other.guard is self.guard

    def __hash__(self) -> int:
        """By guard."""
        return id(self.guard)

    def __copy__(self) -> RunGuardCallbackHandler:
        """Itself: configs are copied, a guard is not."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RunGuardCallbackHandler:
        """Itself."""
        return self

    # -- chains: the tree that says whose a call is ---------------------------------------------------------------

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Remember where the run hangs."""
        self._place(run_id, parent_run_id, kwargs, is_chain=True)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Settle what LangChain left open below: it has been cancelled."""
        self._ended(self._tree.leave(run_id))

    def on_chain_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """As `on_chain_end`."""
        self._ended(self._tree.leave(run_id))

    # -- models ---------------------------------------------------------------------------------------------------

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[Any]], *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Set the quote aside, or raise before the request is sent."""
        self._start_model(run_id, parent_run_id, messages[0] if messages else (), kwargs)

    def on_llm_start(
        self, serialized: Any, prompts: list[str], *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """As `on_chat_model_start`, for completion models."""
        self._start_model(run_id, parent_run_id, prompts[0] if prompts else "", kwargs)

    def on_llm_new_token(
        self, token: Any, *, chunk: Any = None, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Count what was seen, for streams that break off."""
        node = self._tree.find(run_id)
        if node is not None and node.call is not None:
            node.is_stream = True
            node.call.reservation.is_claimed = True  # the request is out: whoever calls a model now calls for itself
            node.first_usage = node.first_usage or translate.take_first_usage(getattr(chunk, "message", None))
            node.call.seen_chars += len(token) if isinstance(token, str) else 0

    def on_llm_end(self, response: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Post what the answer cost."""

        def outcome(node: Run, call: OpenCall) -> Outcome:
            is_anthropic = node.is_stream and getattr(call.reservation.call, "provider", None) == "anthropic"
            return translate.completed(response, node.first_usage, is_anthropic_stream=is_anthropic)

        self._finish(run_id, outcome)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Void, or charge what is known."""
        self._finish(run_id, lambda _, call: translate.failed(error, kwargs.get("response"), call.seen_chars))

    # -- tools ----------------------------------------------------------------------------------------------------

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Judge the call by the run's history, or raise before the tool runs."""
        node = self._place(run_id, parent_run_id, kwargs)
        call = safely(lambda: translate.tool_call(serialized, input_str, kwargs)) if node.call is None else None
        if call is not None:
            self._reserve(node, call, kwargs, partial=None)

    def on_tool_end(self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Digest the result."""
        self._finish(run_id, lambda *_: translate.tool_outcome(output))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """A failure of the tool; a pause for a human and a stop further down are none."""
        is_stop = isinstance(error, (StoppedError, GraphBubbleUp))
        self._finish(run_id, lambda *_: translate.tool_failure(error, is_stop=is_stop))

    def output_cap(self, run_id: UUID) -> int | None:
        """The output limit that was reserved for a model call in progress; None: leave the request's own."""
        node = self._tree.find(run_id)
        return node.call.reservation.max_output_tokens if node is not None and node.call is not None else None

    def caller_here(self) -> Attribution:
        """Whose a model call made here would be, read from the callbacks that LangChain would hand it."""
        config = ensure_config()
        node, said = self._tree.find(getattr(config.get("callbacks"), "parent_run_id", None)), config.get("metadata") or {}
        return self._tree.who(node, {**({"run": RUN.get()} if node is None else {}), **translate.attribution(said)})

    # -- how ------------------------------------------------------------------------------------------------------

    def _place(self, run_id: UUID, parent_run_id: UUID | None, about: Mapping[str, Any], *, is_chain: bool = False) -> Run:
        """The node of a run. A `graph:step:*` run's parent is a graph, and a graph's name is an agent's."""
        known = self._tree.find(run_id)
        if known is not None:
            return known
        parent = self._tree.find(parent_run_id) if parent_run_id is not None else None
        node, metadata = Run(run_id, parent, name=about.get("name")), about.get("metadata") or {}
        if parent is None:
            node.agent = metadata.get("lc_agent_name")
            node.run, node.is_run = _root(run_id, is_chain=is_chain)
        elif is_chain and any(tag.startswith("graph:step:") for tag in about.get("tags") or ()):
            named = parent.name if parent.name not in {None, "LangGraph"} else None
            node.agent, node.instance = named or metadata.get("lc_agent_name") or parent.name, str(parent_run_id)
        return self._tree.enter(node)

    def _start_model(self, run_id: UUID, parent_run_id: UUID | None, batch: Any, about: Mapping[str, Any]) -> None:
        node = self._place(run_id, parent_run_id, about)
        if node.call is not None:
            return
        params, metadata = about.get("invocation_params") or {}, about.get("metadata") or {}
        retry_of = node.parent.failed if node.parent is not None else None
        call = safely(lambda: translate.model_call(batch, params, metadata, self._messages, retry_of))
        if call is None:  # a prompt we cannot read is still a paid call
            call = translate.model_call("", {}, metadata, self._messages, None)
        if call.provider == "anthropic":
            keep_first_usage()
        self._reserve(node, call, about, partial=batch)
        if not isinstance(batch, str):
            if len(self._prompts) >= _MAX_PROMPTS:
                self._prompts.clear()
            self._prompts[node.run] = list(batch)

    def _reserve(self, node: Run, call: Any, about: Mapping[str, Any], partial: Any) -> None:
        who = self._tree.who(node, translate.attribution(about.get("metadata") or {}))
        try:
            call_id = node.run if node.is_run and node.run is not None else str(node.key)  # a root is named by its id
            node.call = OpenCall(self.guard.reserve(call, who, call_id=call_id, by="langchain"), node.key)
        except StoppedError as error:
            node.is_run = False  # a call that was not made ends nothing
            self._tree.leave(node.key)
            said = list(partial) if isinstance(partial, (list, tuple)) else self._prompts.get(node.run, partial)
            raise bubbling(error, said) from None  # with the prompt that was not sent, or the run's last one

    def _finish(self, run_id: UUID, outcome_of: Callable[[Run, OpenCall], Outcome]) -> None:
        """Settle a call; never raises."""
        self._ended(self._tree.finish(run_id, outcome_of))

    def _ended(self, node: Run | None) -> None:
        if node is not None and node.is_run:
            self._prompts.pop(node.run, None)


def _root(run_id: UUID, *, is_chain: bool) -> tuple[str, bool]:
    """The run that a run without a known parent belongs to, and whether it is one itself."""
    told = RUN.get()
    if told is not None:
        return told, False
    session = current_session()
    if not is_chain and session is not None and session.attribution.run is not None:
        return session.attribution.run, False
    return str(run_id), True
