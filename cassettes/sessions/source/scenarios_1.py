"""Failure scenarios 1 to 16: LangChain, LangGraph, LlamaIndex, LiteLLM, CrewAI."""

from __future__ import annotations

from recorder import Did, Family, Session, prose

family = Family("scenarios")
PASSAGES = ["Returns are possible within 30 days.", "Shoes must be unworn.", "A label is in every parcel."]


@family.loop("The tool answers 429 into the scratchpad and the agent sends the equal call again", "repeat error_streak rate_limit", scenario=1)
def t01_executor_repeats_a_refused_call(s: Session) -> None:
    s.user("How many visitors came yesterday?")
    for n in range(15):
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("I should query the analytics.", Did("analytics", {"metric": "visitors", "day": "2026-11-20"}, error="HTTPError: 429 Too Many Requests"))


@family.loop("The parser rejects the same broken JSON at each new prompt", "stall repeat same_answer", scenario=2)
def t02_parser_rejects_the_same_text(s: Session) -> None:
    s.user("Which city is larger, Graz or Linz? Answer with one action as JSON.")
    for n in range(12):
        if n == 2:
            s.mark("not_before", model=True)
        if n == 6:
            s.mark("by_index", model=True)
        s.turn('{"action": "Final Answer", "action_input": "Graz"')
        s.user("Observation: Could not parse LLM output. Answer with one action as JSON.")


@family.loop("The retriever brings the same passages for the same query, again and again", "repeat same_result", scenario=3)
def t03_the_same_passages(s: Session) -> None:
    s.user("Can I return shoes that I wore once outdoors?")
    for n in range(10):
        if n == 2:
            s.mark("not_before")
        if n == 4:
            s.mark("by_index")
        s.turn("I need the exact rule.", Did("retriever", {"query": "return worn shoes"}, PASSAGES))


@family.loop("Search and calculator in turns with equal values", "cycle", scenario=4)
def t04_search_and_calculator_ping_pong(s: Session) -> None:
    s.user("What is a tenth of the population of Malta?")
    for n in range(7):
        if n == 2:
            s.mark("not_before")
        s.turn("I need the population.", Did("search", {"query": "population of Malta"}, "Malta: 563,443 (2023)"))
        if n == 4:
            s.mark("by_index")
        s.turn("Now a tenth.", Did("calculator", {"expression": "563443/10"}, "56344.3"))


@family.loop("Two layers of retries multiply: nine refused attempts that look like one call from outside", "rate_limit error_streak", expect="warn", scenario=5)
def t05_retries_around_retries(s: Session) -> None:
    s.user("Classify the ticket.")
    for n in range(9):
        if n == 5:
            s.mark("not_before", model=True)
        if n == 8:
            s.mark("by_index", model=True)
        s.refused(429, "Rate limit reached for gpt-4o on requests per min")
        s.wait((0.5, 1, 4)[n % 3])


@family.loop("A validator asks for what the model cannot know: every attempt fails with the same sentence", "error_streak same_result near_duplicate", scenario=6)
def t06_a_validator_that_never_passes(s: Session) -> None:
    s.user("Fill in the order form for two office chairs.")
    for n in range(15):
        sku = ("CHAIR-01", "CH-OFFICE", "OFC-2", "CHAIR-BLK", "C100", "SEAT-7", "CHR-2026", "OC-11", "CHAIR-XL", "CH-2", "SKU-1", "CHAIR", "OFF-CH", "AX-1", "CH-9")[n]
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("", Did("OrderForm", {"sku": sku, "quantity": 2}, error="ValidationError: 1 error for OrderForm: sku: not in the catalogue"))


@family.loop("Planner and worker ping-pong while every result stays in the state: eleven visits, 80,000 tokens a prompt", "context_growth overflow", expect="warn", scenario=7, agent="planner")
def t07_state_that_only_grows(s: Session) -> None:
    s.user("Plan the move of the archive.")
    for n in range(12):
        if n == 8:
            s.mark("not_before", model=True)
        if n == 11:
            s.mark("by_index")
        s.turn("The plan needs another section.", Did("read_section", {"plan": "archive", "section": n + 1}, prose(("section", n), 32_000)))


@family.loop("Other nodes run, the state's hash stays: the graph does not converge", "same_result near_duplicate cycle stall", expect="warn", scenario=8)
def t08_a_graph_that_does_not_converge(s: Session) -> None:
    s.user("Harmonise the two glossaries.")
    ways = ("merge by term", "merge by the term", "merge per term", "merging by term", "by term merge", "merge with term", "merge by term again", "term-wise merge", "merge by each term", "merge term by term")
    for n, way in enumerate(ways):
        if n == 4:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("", Did("apply_step", {"step": way}, "0 entries changed, state 5e1c unchanged"))
        s.turn("", Did("judge_state", {"focus": ("terms", "order", "case", "gaps")[n % 4]}, "conflicts: 14 of 14"))


@family.loop("Status 200 and an empty body, and the agent words its question anew", "near_duplicate same_result", scenario=9)
def t09_empty_bodies_and_new_wordings(s: Session) -> None:
    s.user("What did the board decide about the site in Ghent?")
    words = (
        "board decision site Ghent", "decision of the board on the site in Ghent", "board decision about Ghent site", "Ghent site board decision",
        "what did the board decide on the Ghent site", "Ghent site decision by the board", "the board's decision on site Ghent",
        "board decision regarding the site Ghent", "decision board Ghent site", "site Ghent decision board",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("I rephrase.", Did("query_engine", {"input": query}, ""))


@family.loop("ReAct asks the same with cosmetic changes and reads the same answer", "near_duplicate same_result repeat", scenario=10)
def t10_cosmetic_changes(s: Session) -> None:
    s.user("What was ACME's revenue in 2023?")
    words = (
        "ACME revenue 2023", "ACME revenue, 2023", "acme revenue 2023", "ACME revenue 2023?", "Acme Revenue 2023", "ACME 2023 revenue",
        "ACME's revenue 2023", "revenue ACME 2023", "ACME revenue (2023)", "ACME revenue in 2023",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("Thought: I need the revenue.", Did("annual_reports", {"input": query}, "The report for 2023 is not part of the index; 2022: 4.1 bn."))


@family.loop("A workflow's shared context keeps the output of every step, and every step is given all of it", "context_growth overflow", expect="warn", scenario=11)
def t11_context_of_all_steps(s: Session) -> None:
    s.user("Assess the twelve bids.")
    script = s.transcript()
    for n in range(12):
        if n == 8:
            s.mark("not_before", model=True)
        if n == 11:
            s.mark("by_index")
        s.turn("", Did("assess", {"bid": n + 1}, prose(("bid", n), 3000)))
        script.add("user", 3000 * (n + 1), n + 1)


@family.loop("Retries apply to each of three fallbacks: twelve refused attempts of one request", "rate_limit error_streak", expect="warn", scenario=12)
def t12_retries_of_every_fallback(s: Session) -> None:
    s.user("Give this ticket a title.")
    for n in range(12):
        if n == 6:
            s.mark("not_before", model=True)
        if n == 11:
            s.mark("by_index", model=True)
        model = ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro")[n // 4]
        s.refused(429, f"RateLimitError: {model}: too many requests", model=model)
        s.wait(2)


@family.loop("One role of a crew searches on and on in other words before the writer has begun", "near_duplicate same_result", scenario=16, agent="researcher")
def t16_one_role_eats_the_pool(s: Session) -> None:
    s.user("A short article on oyster farming in Zeeland.")
    s.turn("Two tasks: research, then writing.", Did("assign", {"role": "researcher", "task": "research"}, "assigned"), agent="manager")
    words = (
        "oyster farming Zeeland number of farms", "number of oyster farms Zeeland", "oyster farms in Zeeland number", "how many oyster farms Zeeland",
        "Zeeland oyster farms number", "number oyster farming farms Zeeland", "Zeeland number of oyster farms", "oyster farming farms in Zeeland number",
        "number of farms oyster farming Zeeland", "Zeeland oyster farming number of farms", "oyster Zeeland farms number", "farms number oyster Zeeland",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 9:
            s.mark("by_index")
        s.turn("Still no number.", Did("web_search", {"q": query}, "No results."), agent="researcher")
