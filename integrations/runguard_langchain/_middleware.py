"""A graceful end for agents: the stop becomes the last message. Counts nothing; the handler it activates does.

Where the policy asks for it (`advise`), what was warned of is told to the agent at the end of its next prompt, once. The note
is not kept in the agent's state: the prompts after it are what they would have been, and so is what a provider has cached.

With `response_format` a stopped agent has no structured response: `structured_response` is None.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NotRequired
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from runguard_core import Guard, StoppedError, safely
from runguard_langchain._handler import RunGuardCallbackHandler
from runguard_langchain._install import activate
from runguard_langchain._translate import ADVICE


class RunGuardState(AgentState[Any]):
    """The agent's state with the run it belongs to, where no outer callback says so."""

    runguard_run: NotRequired[Annotated[str, PrivateStateAttr]]


def _run_of(request: Any) -> str | None:
    """The run that `before_agent` opened."""
    found = request.state.get("runguard_run")
    return str(found) if found is not None else None


def _note(model: Any, text: str) -> AnyMessage:
    """A system message where the protocol takes one behind others; elsewhere a user's, which says whose it is."""
    if str(getattr(model, "_llm_type", "")).endswith("openai-chat"):
        return SystemMessage(f"RunGuard, which watches this run: {text}", additional_kwargs=ADVICE)
    return HumanMessage(f"[Not from the user, but from RunGuard, which watches this run] {text}", additional_kwargs=ADVICE)


if TYPE_CHECKING:
    _Middleware = AgentMiddleware[Any, Any, Any]
else:  # the number of its parameters has changed between versions
    _Middleware = AgentMiddleware


class RunGuardMiddleware(_Middleware):
    """Ends a stopped agent with an ordinary last message instead of an exception.

    The message's `response_metadata["runguard"]` says what stopped it, so that callers can tell a stop from an answer.
    """

    state_schema = RunGuardState
    tools = ()

    def __init__(self, guard: Guard, message: Callable[[StoppedError], str] = str) -> None:
        """Keep the guard and how a stop is worded for the user."""
        super().__init__()
        self.guard, self.message = guard, message

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Each invocation is a run."""
        return {"runguard_run": str(uuid4())}

    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """As `before_agent`."""
        return self.before_agent(state, runtime)

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[..., Any]) -> Any:
        """A stop ends the agent."""
        try:
            with activate(self.guard, run=_run_of(request)):
                return handler(self._advised(request))
        except StoppedError as stop:
            return ModelResponse(result=[self._last(stop)])

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Callable[..., Awaitable[Any]]) -> Any:
        """As `wrap_model_call`."""
        try:
            with activate(self.guard, run=_run_of(request)):
                return await handler(self._advised(request))
        except StoppedError as stop:
            return ModelResponse(result=[self._last(stop)])

    def wrap_tool_call(self, request: Any, handler: Callable[..., Any]) -> Any:
        """A stopped tool answers with an error; the next model call ends the agent."""
        try:
            with activate(self.guard, run=_run_of(request)):
                return handler(request)
        except StoppedError as stop:
            return self._answer(request, stop)

    async def awrap_tool_call(self, request: Any, handler: Callable[..., Awaitable[Any]]) -> Any:
        """As `wrap_tool_call`."""
        try:
            with activate(self.guard, run=_run_of(request)):
                return await handler(request)
        except StoppedError as stop:
            return self._answer(request, stop)

    def _advised(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        """The request with RunGuard's note behind its messages, where there is one."""
        if not self.guard.rules.advise:
            return request
        note = safely(lambda: self.guard.advice(RunGuardCallbackHandler(self.guard).caller_here()))
        return request if note is None else request.override(messages=[*request.messages, _note(request.model, note)])

    def _last(self, stop: StoppedError) -> AIMessage:
        about = {"stopped": True, "rule": stop.rule, "reason": str(stop)}
        return AIMessage(content=self.message(stop), response_metadata={"runguard": about})

    def _answer(self, request: Any, stop: StoppedError) -> ToolMessage:
        call = request.tool_call
        return ToolMessage(content=self.message(stop), tool_call_id=call["id"], name=call["name"], status="error")
