"""Failure scenarios 33 to 48: Bedrock, Strands, Azure, Mastra, low-code, Haystack, DSPy, smolagents and what all share."""

from __future__ import annotations

from recorder import Did, Family, Session, prose

family = Family("scenarios")


@family.loop("Two models in turns, each refuses: the retries share one budget and one count", "rate_limit error_streak", scenario=33, model="claude-sonnet-4-5")
def t33_retries_across_two_models(s: Session) -> None:
    s.user("Summarise the call.")
    s.turn("", Did("get_transcript", {"call": 311}, prose("call", 1400)))
    for n in range(24):
        if n == 6:
            s.mark("not_before", model=True)
        if n == 18:
            s.mark("by_index", model=True)
        s.refused(429, "ThrottlingException: Too many tokens, please wait before trying again.", model=("claude-sonnet-4-5", "claude-haiku-4-5")[n % 2])
        s.wait(min(2**n, 30))


@family.loop("An ambiguous answer is verified, and the verification is as ambiguous, round after round", "cycle same_result", scenario=34)
def t34_ambiguous_answers(s: Session) -> None:
    s.user("Is the red kettle in stock?")
    for n in range(7):
        if n == 2:
            s.mark("not_before")
        s.turn("I check the stock.", Did("check_inventory", {"sku": "KET-R"}, "Possibly in stock. Please verify."))
        if n == 4:
            s.mark("by_index")
        s.turn("I verify it.", Did("verify_inventory", {"sku": "KET-R"}, "Verified as possibly in stock."))


@family.loop("Forty looks at a run that never leaves 'in_progress', each a paid turn, without a pause", "repeat same_result", scenario=35)
def t35_a_run_that_never_ends(s: Session) -> None:
    s.user("Start the compliance agent and bring me its verdict.")
    s.turn("", Did("start_run", {"agent": "compliance"}, {"run": "run_44"}))
    for n in range(40):
        if n == 2:
            s.mark("not_before")
        if n == 12:
            s.mark("by_index")
        s.turn("Is it finished?", Did("get_run", {"run": "run_44"}, {"run": "run_44", "status": "in_progress"}))


@family.loop("No limit of steps: search upon search with the same list of hits", "near_duplicate same_result stall", scenario=36)
def t36_searches_without_a_limit(s: Session) -> None:
    s.user("Find a case study about returns in fashion e-commerce in Norway.")
    fillers = ("", "study", "report", "example", "pdf", "2026", "2025", "new", "best", "online", "data", "paper")
    for n in range(40):
        if n == 3:
            s.mark("not_before")
        if n == 12:
            s.mark("by_index")
        query = f"case study returns fashion e-commerce Norway {fillers[n % 12]}".strip()
        s.turn("Not yet what I need.", Did("web_search", {"query": query, "page": 1}, ["retailhub.example/returns-101", "stylelog.example/nordic-fashion", "shopnews.example/refund-trends"]))


@family.loop("The HTTP node retries inside, the agent outside: 503 each time, whatever the query", "error_streak repeat cycle near_duplicate same_result", scenario=37)
def t37_retries_inside_retries(s: Session) -> None:
    s.user("Create the lead in the CRM.")
    for n in range(5):
        for _ in range(3):
            if n == 1:
                s.marks.setdefault("not_before", s.here + 1)
            if n == 2:
                s.marks["by_index"] = s.here + 1
            s.turn("", Did("http_request", {"method": "POST", "url": "https://crm.example/leads", "body": {"name": "Ruiz", "note": f"try {n + 1}"}}, error="503 Service Unavailable"))


@family.loop("The reranker's score stays below the bar however the query is rewritten", "near_duplicate same_result stall cycle", expect="warn", scenario=38)
def t38_a_bar_that_is_never_reached(s: Session) -> None:
    s.user("Which torque for the wheel bolts of the 1962 tractor?")
    words = ("wheel bolt torque 1962 tractor", "torque wheel bolt 1962 tractor", "1962 tractor wheel bolt torque", "torque of wheel bolt 1962 tractor", "wheel bolts torque 1962 tractor", "tractor 1962 wheel bolt torque", "wheel bolt torque tractor 1962", "torque wheel bolts tractor 1962", "wheel bolt torque of 1962 tractor", "1962 tractor torque wheel bolt", "the wheel bolt torque 1962 tractor", "bolt torque wheel 1962 tractor")
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("", Did("retrieve", {"query": query}, ["d-3", "d-8", "d-1"]))
        s.turn("", Did("rerank", {"query": query, "documents": ["d-3", "d-8", "d-1"]}, {"top_score": 0.41, "passed": False}))


@family.loop("The agent has its answer and never says finish: thought after thought in the same words", "stall repeat same_answer", expect="warn", scenario=39)
def t39_finish_is_never_said(s: Session) -> None:
    s.user("Who wrote 'The Magic Mountain'?")
    s.turn("Thought: I should search.", Did("search", {"query": "author The Magic Mountain"}, "Thomas Mann, 1924"))
    for n in range(16):
        if n == 5:
            s.mark("not_before", model=True)
        if n == 12:
            s.mark("by_index", model=True)
        s.turn("Thought: The answer is Thomas Mann. I now know the answer." if n % 2 else "Thought: I know that Thomas Mann wrote it.")


@family.loop("The same code on steps 2, 4, 6 and 8 with the same output, and little else in between", "repeat same_result stall cycle near_duplicate", expect="warn", scenario=40)
def t40_the_same_code_every_other_step(s: Session) -> None:
    s.user("How many words has the speech?")
    code = "text = open('speech.txt').read()\nprint(len(text.split()))"
    for n, other in enumerate(("import os; print(os.listdir('.'))", "print(open('speech.txt').read()[:40])", "print(type(text))", "print(text[-20:])", "print(len(text))", "print(text.count('.'))")):
        s.turn("", Did("python_interpreter", {"code": other}, prose(("out", n), 30)))
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("", Did("python_interpreter", {"code": code}, "1874\n"))


@family.loop("'Not found' comes as text that repeats the question, and the agent rephrases", "near_duplicate same_result error_streak", scenario=41)
def t41_not_found_as_text(s: Session) -> None:
    s.user("What is the warranty of the Brisa 200 fan?")
    words = (
        "Brisa 200 fan warranty", "Brisa 200 warranty", "warranty Brisa 200 fan", "Brisa 200 fan warranty period", "warranty of Brisa 200 fan",
        "Brisa 200 fan warranty terms", "Brisa 200 fan's warranty", "the Brisa 200 fan warranty", "fan Brisa 200 warranty", "Brisa 200 fan warranty years",
        "Brisa 200 fan guarantee warranty", "Brisa-200 fan warranty", "Brisa 200 fan warranty info", "Brisa 200 fan warranty length",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 10:
            s.mark("by_index")
        s.turn("I rephrase the question.", Did("search_knowledge_base", {"query": query}, f"Error: no results found for '{query}'"))


@family.loop("The window is full, the oldest results fall out unseen, and the agent asks for them again: a round of six", "truncation cycle same_result", scenario=42, model="llama3.1:8b", agent="helper", system=2600)
def t42_forgotten_and_asked_again(s: Session) -> None:
    s.user("Which of the six offices has the lowest rent per desk?")
    script = s.transcript()
    for n in range(5):
        for place, office in enumerate(("Aix", "Bari", "Cadiz", "Deva", "Evora", "Faro")):
            if n >= 1:
                script.parts["system"], script.parts["user"] = [0, 0], [0, 0]
                script.parts["tool:get_lease"] = [20_900, 4]
                script.parts["assistant"] = [200, 4]
            if n == 1 and place == 0:
                s.mark("not_before", model=True)
            if n == 4 and place == 0:
                s.mark("by_index")
            s.turn("Reading the lease.", Did("get_lease", {"office": office}, f"Lease of {office}. {prose(office, 5100)}"))


@family.loop("The same answer is validated again and refused again", "repeat error_streak same_result", scenario=43)
def t43_a_validation_that_cannot_be_met(s: Session) -> None:
    s.user("My policy number is on the old paper card, it has only five digits: 40112.")
    for n in range(9):
        if n == 2:
            s.mark("not_before")
        if n == 4:
            s.mark("by_index")
        s.turn("I check the policy number.", Did("validate_field", {"field": "policy_number", "value": "40112"}, {"valid": False, "message": "must have 10 digits"}))


@family.loop("A rule fires on its own update: the record goes to and fro, and only its revision counts up", "cycle same_result near_duplicate", expect="warn", scenario=44)
def t44_a_rule_that_fires_itself(s: Session) -> None:
    s.user("Incident INC-71 has been resolved, please update.")
    for n in range(15):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("", Did("update_record", {"table": "incident", "id": "INC-71", "state": "resolved"}, {"id": "INC-71", "state": "resolved", "mod_count": 40 + 2 * n}))
        s.turn("", Did("update_record", {"table": "incident", "id": "INC-71", "state": "in_progress"}, {"id": "INC-71", "state": "in_progress", "mod_count": 41 + 2 * n}))


@family.loop("The worker fails the same way each time, and the orchestrator gives it the same task again", "delegation repeat error_streak same_result cycle", scenario=45, agent="orchestrator")
def t45_the_worker_fails_and_is_asked_again(s: Session) -> None:
    s.user("Summarise the report of the third quarter.")
    for n in range(8):
        if n == 2:
            s.mark("not_before", model=True)
        if n == 5:
            s.mark("by_index")
        s.turn("", Did("delegate", {"to": "worker", "task": "summarise report Q3"}, "The worker could not open the report."), agent="orchestrator")
        s.turn("", Did("fetch_report", {"quarter": "Q3"}, error="FileNotFoundError: reports/q3.pdf"), agent="worker")


@family.loop("Ten agents at once call the tool that is down, and all try again at the same moments", "error_streak repeat same_result rate_limit", scenario=46, agent="lead")
def t46_retries_in_step(s: Session) -> None:
    s.user("Check the ten shops for the sold-out article.")
    for n in range(6):
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        for shop in range(10):
            s.turn("", Did("shop_api", {"shop": shop + 1, "article": "M-5"}, error="503 Service Unavailable", seconds=0.2), agent=f"checker-{shop + 1}")
        s.wait(2**n)


@family.loop("Five refused attempts, an hour of waiting, five more: the windows are apart, the storm is one", "rate_limit error_streak", expect="warn", scenario=48)
def t48_refusals_hours_apart(s: Session) -> None:
    s.user("Tag the photographs.")
    s.turn("I begin.", Did("list_photos", {}, [f"IMG_{n}" for n in range(8)]))
    for window in range(7):
        if window == 2:
            s.mark("not_before", model=True)
        if window == 5:
            s.mark("by_index", model=True)
        for _ in range(5):
            s.refused(429, "Rate limit reached for gpt-4o: requests per day")
            s.wait(5)
        s.given_up()
        s.wait(3600)
