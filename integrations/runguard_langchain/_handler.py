"""The callback handler: everything that is metered and every hard stop goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from runguard_core import Attribution, Guard, Outcome, OutcomeKind, StoppedError, safely
from runguard_langchain import _translate as translate
from runguard_langchain._anthropic import keep_first_usage, take_first_usage
from runguard_langchain._stops import GraphBubbleUp, bubbling
from runguard_langchain._tree import Node, tree_of


def _is_anthropic_stream(node: Node) -> bool:
    """Whether the answer came in pieces from Anthropic's protocol."""
    call = node.reservation.call if node.reservation is not None else None
    return node.is_stream and getattr(call, "provider", None) == "anthropic"


class RunGuardCallbackHandler(BaseCallbackHandler):
    """Meters model and tool calls and raises before a call that must not be sent. One per guard, however often made.

    Raises (into the program, from `*_start` only):
        StoppedError: as a class that is LangGraph's GraphBubbleUp too.
    """

    raise_error: bool = True  # otherwise LangChain logs the stop and sends the request
    run_inline: bool = True  # on the caller's thread and in its context, in order

    def __init__(self, guard: Guard) -> None:
        """Share everything with the other handlers of this guard."""
        self.guard = guard
        self._tree = tree_of(guard)

    @property
    def ignore_retriever(self) -> bool:
        """Retrievers are not paid calls."""
        return True

    @property
    def ignore_retry(self) -> bool:
        """A retry shows as another call."""
        return True

    @property
    def ignore_custom_event(self) -> bool:
        """Not ours."""
        return True

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

    # -- chains: the tree that says whose a call is --------------------------------------------------------------

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember where the run hangs."""
        self._tree.place(run_id, parent_run_id, tags, metadata, name, is_chain=True)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Settle what LangChain left open below."""
        self._leave(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Settle what LangChain left open below."""
        self._leave(run_id)

    # -- models ---------------------------------------------------------------------------------------------------

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Set the quote aside, or raise before the request is sent."""
        self._start_model(run_id, parent_run_id, tags, metadata, messages[0] if messages else (), kwargs)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """As `on_chat_model_start`, for completion models."""
        self._start_model(run_id, parent_run_id, tags, metadata, prompts[0] if prompts else "", kwargs)

    def on_llm_new_token(
        self, token: Any, *, chunk: Any = None, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Count what was seen, for streams that break off."""
        node = self._tree.nodes.get(run_id)
        if node is not None:
            node.is_stream = True
            if node.reservation is not None:
                node.reservation.is_claimed = True  # the request is out: whoever calls a model now calls for itself
            node.first_usage = node.first_usage or take_first_usage(getattr(chunk, "message", None))
            node.seen_chars += len(token) if isinstance(token, str) else 0

    def on_llm_end(self, response: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Post what the answer cost."""
        self._finish(
            run_id, lambda node: translate.completed(response, node.first_usage, is_anthropic_stream=_is_anthropic_stream(node))
        )

    def on_llm_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Void, or charge what is known."""
        self._finish(run_id, lambda node: translate.failed(error, kwargs.get("response"), node.seen_chars))

    # -- tools ----------------------------------------------------------------------------------------------------

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Judge the call by the run's history, or raise before the tool runs."""
        if self._tree.is_open(run_id):
            return
        node = self._tree.place(run_id, parent_run_id, tags, metadata, kwargs.get("name"))
        call = safely(lambda: translate.tool_call(serialized, input_str, inputs, kwargs.get("tool_call_id"), kwargs.get("name")))
        if call is not None:
            self._reserve(run_id, node, call, metadata, partial=None)

    def on_tool_end(self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Digest the result."""
        self._finish(run_id, lambda _: translate.tool_outcome(output))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """A failure of the tool; a pause for a human and a stop further down are none."""
        if isinstance(error, (StoppedError, GraphBubbleUp)):
            self._finish(run_id, lambda _: Outcome(kind=OutcomeKind.CANCELLED))
        else:
            self._finish(run_id, lambda _: Outcome(kind=OutcomeKind.FAILED, error=f"{type(error).__name__}: {error}"[:300]))

    def output_cap(self, run_id: UUID) -> int | None:
        """The output limit that was reserved for a model call in progress; None: leave the request's own."""
        node = self._tree.nodes.get(run_id)
        return node.reservation.max_output_tokens if node is not None and node.reservation is not None else None

    # -- how ------------------------------------------------------------------------------------------------------

    def _who(self, node: Node, metadata: Mapping[str, Any] | None) -> Attribution:
        values = translate.attribution(metadata) if metadata else {}
        if "agent" not in values:
            values["agent"] = node.agent
        return self.guard.attribution(**values, run=node.root, instance=node.instance)

    def _start_model(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: list[str] | None,
        metadata: dict[str, Any] | None,
        batch: Any,
        kwargs: dict[str, Any],
    ) -> None:
        if self._tree.is_open(run_id):
            return
        node = self._tree.place(run_id, parent_run_id, tags, metadata, None)
        parent = self._tree.find(parent_run_id)
        retry_of = parent.failed if parent is not None else None
        params = kwargs.get("invocation_params") or {}
        call = safely(lambda: translate.model_call(batch, params, metadata or {}, self._tree.sizes, retry_of))
        if call is None:  # a prompt we cannot read is still a paid call
            call = translate.model_call("", {}, metadata or {}, self._tree.sizes, None)
        if call.provider == "anthropic":
            keep_first_usage()
        self._reserve(run_id, node, call, metadata, partial=batch)
        self._tree.keep_prompt(node.root, batch)

    def _reserve(self, run_id: UUID, node: Node, call: Any, metadata: Mapping[str, Any] | None, partial: Any) -> None:
        try:
            node.reservation = self.guard.reserve(call, self._who(node, metadata), call_id=str(run_id), by="langchain")
        except StoppedError as error:
            self._tree.nodes.pop(run_id, None)
            raise bubbling(error, self._partial(node, partial)) from None

    def _partial(self, node: Node, batch: Any) -> Any:
        """The conversation at the stop: the prompt that was not sent, or the run's last one."""
        return list(batch) if isinstance(batch, (list, tuple)) else self._tree.prompts.get(node.root, batch)

    def _finish(self, run_id: UUID, outcome_of: Callable[[Node], Outcome]) -> None:
        """Settle a call; never raises."""
        node = self._tree.nodes.pop(run_id, None)
        if node is None:
            return
        if node.reservation is not None:
            outcome = safely(lambda: outcome_of(node)) or Outcome(kind=OutcomeKind.UNKNOWN)
            node.reservation.settle(outcome)
            parent = self._tree.find(node.parent)
            if parent is not None:
                parent.failed = node.reservation.call_id if outcome.kind is OutcomeKind.FAILED else None
            if node.is_run:
                self._tree.prompts.pop(node.root, None)
                who = node.reservation.attribution
                self.guard.end_run(who if who.run == node.root else who.with_values(run=node.root))
        self._tree.abandon(run_id)

    def _leave(self, run_id: UUID) -> None:
        """A chain has ended: calls below it that LangChain never closed have been cancelled; a root's run is over."""
        node = self._tree.nodes.pop(run_id, None)
        self._tree.abandon(run_id)
        if node is not None and node.is_run:
            self._tree.abandon(None, root=node.root)
            self._tree.prompts.pop(node.root, None)
            self.guard.end_run(self._who(node, None).with_values(run=node.root))
