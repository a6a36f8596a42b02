"""`runguard demo`: the main job on real LangChain and the real OpenAI client, against a local provider."""

from __future__ import annotations

import shlex
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from runguard_core.budgets import Budget
from runguard_core.cli import _render as render
from runguard_core.cli._app import Exit, fail
from runguard_core.errors import StoppedError
from runguard_core.guard import Guard
from runguard_core.ids import new_id
from runguard_core.ledger import CallFilter, EventFilter
from runguard_core.money import format_usd
from runguard_core.prices import PriceBook, PriceOverride
from runguard_core.reports import explain
from runguard_core.testing import FakeProvider, Reply, Request, ToolUse

_APP = "runguard-demo"
#: A model whose every answer of one token costs one cent.
_CENT_MODEL = "one-cent-model"
_CENT_PRICE = PriceOverride(nanos_per_mtok={"input": 0, "output": 10_000_000 * 10**6})
_CAP_CALLS, _ATTEMPTS = 10, 50


def run_demo(console: Console) -> int:
    """Play the scenes; the exit code says whether each ended as it should."""
    try:
        import langchain.agents  # noqa: F401, PLC0415
        import langchain_openai  # noqa: F401, PLC0415

        import runguard_langchain  # noqa: F401, PLC0415  # type: ignore[import-not-found]
    except ImportError:
        raise fail("the demo runs real LangChain: pip install 'runguard-core[langchain]'", Exit.USAGE) from None
    run = new_id()[:10].lower()
    guard = Guard(app=_APP, max_cost_per_session_usd="0.50", prices=PriceBook({_CENT_MODEL: _CENT_PRICE}))
    guard.install("langchain")
    scenes = [
        _healthy(console, guard, f"healthy-{run}"),
        _looping(console, guard, f"looping-{run}"),
        _burst(console, f"burst-{run}"),
    ]
    console.rule("4. Where the looping session's money went", align="left")
    session = f"looping-{run}"
    calls = guard.store.calls(CallFilter(app=_APP, session=session))
    render.print_explained(console, explain(session, calls, guard.store.events(EventFilter(session=session))))
    path = guard.store.url
    guard.close()
    console.rule("5. The ledger", align="left")
    ours = _command()
    console.print(f"{path}\nNext: {ours} sessions --store {path}\n      {ours} explain {session} --store {path}",
                  highlight=False, soft_wrap=True)  # fmt: skip
    good = all(scenes)
    console.print("[bold green]All scenes ended as they should.[/]" if good else "[bold red]A scene went wrong.[/]")
    return Exit.OK if good else Exit.FOUND_WRONG


def _command() -> str:
    """How to call this program again from here: by its path where it is not on PATH (`make demo`)."""
    called = Path(sys.argv[0])
    return "runguard" if called.name != "runguard" or shutil.which("runguard") else shlex.quote(str(called))


def _agent(url: str) -> Any:
    from langchain.agents import create_agent  # noqa: PLC0415
    from langchain_core.tools import tool  # noqa: PLC0415
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    @tool
    def search(query: str) -> str:
        """Search the catalogue."""
        return f"3 results for {query}" if query != "unicorns" else "no results"

    model = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="demo", max_retries=0)  # type: ignore[arg-type]  # text is fine
    return create_agent(model, [search], name="shop")


def _healthy(console: Console, guard: Guard, session: str) -> bool:
    console.rule("1. A healthy agent passes", align="left")
    script = [
        Reply(tool_calls=(ToolUse("search", {"query": "red shoes"}),), input_tokens=420, output_tokens=18),
        Reply(tool_calls=(ToolUse("search", {"query": "blue shoes"}),), input_tokens=470, output_tokens=18),
        Reply(text="We have red and blue shoes.", input_tokens=520, output_tokens=12),
    ]
    with FakeProvider(script) as provider, guard.session(session, user="ann") as held:
        answer = _agent(provider.openai_url).invoke({"messages": [("user", "Which shoes do you have?")]})
        said = answer["messages"][-1].content
        console.print(
            f"It answered {said!r} after {provider.request_count} requests; metered {format_usd(_nanos(guard, session))}, "
            f"{held.available_usd} USD of the session's budget left.", highlight=False,
        )  # fmt: skip
        return provider.request_count == 3 and _nanos(guard, session) > 0


def _looping(console: Console, guard: Guard, session: str) -> bool:
    console.rule("2. A looping agent is stopped before its next request", align="left")

    def forever(request: Request) -> Reply:
        return Reply(
            tool_calls=(ToolUse("search", {"query": "unicorns"}),),
            input_tokens=400 + 60 * request.index,
            output_tokens=18,
        )

    with FakeProvider(forever) as provider, guard.session(session, user="bob"):
        try:
            _agent(provider.openai_url).invoke({"messages": [("user", "Find me a unicorn.")]})
        except StoppedError as stop:
            console.print(f"[red]■[/] {stop.rule}: {getattr(stop, 'verdict', stop)}", highlight=False)
            console.print(
                f"The provider saw {provider.request_count} requests; LangGraph's own limit would have been 9,999 steps."
            )
            return provider.request_count == 3
    return False


def _burst(console: Console, session: str) -> bool:
    console.rule(f"3. {_ATTEMPTS} concurrent calls of $0.01 against a cap of $0.10", align="left")
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    from runguard_langchain import activate  # noqa: PLC0415  # type: ignore[import-not-found]

    cap = Budget("0.10 USD", name="burst", where={"session": session})
    prices = PriceBook({_CENT_MODEL: _CENT_PRICE})
    guard = Guard(app=_APP, budgets=[cap], quote="bound", prices=prices)
    with FakeProvider([Reply(text="x", output_tokens=1)]) as provider:
        model = ChatOpenAI(model=_CENT_MODEL, base_url=provider.openai_url, api_key="demo", max_retries=0, max_tokens=1)  # type: ignore[arg-type, call-arg]

        def call(_: int) -> bool:
            try:
                with activate(guard):
                    model.invoke("hi", config={"metadata": {"runguard_session": session}})
            except StoppedError:
                return False
            return True

        with ThreadPoolExecutor(_ATTEMPTS) as pool:
            passed = sum(pool.map(call, range(_ATTEMPTS)))
        spent = _nanos(guard, session)
        console.print(
            f"{passed} passed, {_ATTEMPTS - passed} were refused before sending; the provider saw {provider.request_count} "
            f"requests; spent {format_usd(spent)}.", highlight=False,
        )  # fmt: skip
        guard.close()
        return (passed, provider.request_count, spent) == (_CAP_CALLS, _CAP_CALLS, 100_000_000)


def _nanos(guard: Guard, session: str) -> int:
    return sum(call.cost_nanos for call in guard.store.calls(CallFilter(app=_APP, session=session)))
