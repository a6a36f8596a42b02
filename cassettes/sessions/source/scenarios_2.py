"""Failure scenarios 17 to 32: CrewAI, AutoGen, OpenAI, Anthropic, browser agents, PydanticAI, Semantic Kernel, Google."""

from __future__ import annotations

from recorder import Did, Family, Session, prose

family = Family("scenarios")


@family.loop("The manager delegates the same task anew, and each delegation starts the worker's count at one", "delegation repeat cycle same_result near_duplicate", scenario=17, agent="manager")
def t17_delegated_again_and_again(s: Session) -> None:
    s.user("Price the refurbishment of hall 3.")
    for n in range(7):
        if n == 2:
            s.mark("not_before", model=True)
        if n == 5:
            s.mark("by_index")
        s.turn("The estimator must do it.", Did("delegate_work", {"coworker": "estimator", "task": "Price the refurbishment of hall 3", "context": "floor plan attached"}, "I cannot price it without the materials list."), agent="manager")
        for file in ("floor_plan.pdf", "prices.xlsx"):
            s.turn("", Did("open_file", {"name": file}, f"{file}: no materials list inside"), agent="estimator")
        s.turn("I cannot price it without the materials list.", agent="estimator")


@family.loop("The same search with the same answer on turns 3, 5, 7, 9 and 11, other work in between: paid for five times", "repeat same_result stall cycle near_duplicate", expect="warn", scenario=18)
def t18_repeats_that_are_not_adjacent(s: Session) -> None:
    s.user("Prepare the visit of the Finnish delegation.")
    s.turn("", Did("list_guests", {}, ["Aalto", "Niemi", "Korhonen"]))
    s.turn("", Did("book_room", {"name": "Oslo"}, "booked"))
    between = ("write_agenda", "order_lunch", "print_badges", "book_taxi", "send_programme", "reserve_parking")
    for n, deed in enumerate(between):
        if n == 2:
            s.mark("not_before")
        if n == 4:
            s.mark("by_index")
        s.turn("", Did("search", {"query": "Finnish business etiquette"}, "Be punctual. Shake hands. First names are common."))
        s.turn("", Did(deed, {"for": ("Aalto", "Niemi", "Korhonen")[n % 3], "note": prose(deed, 30)}, f"{deed}: done, {prose(n, 18)}"))


@family.loop("Coder and executor speak in turns, so no counter of consecutive replies sees that the code fails the same way each time", "error_streak same_result near_duplicate", scenario=19, agent="coder")
def t19_speakers_in_turns(s: Session) -> None:
    s.user("Plot the tide at Cuxhaven.")
    for n in range(10):
        code = f"import tidelib\nfig = tidelib.plot({('cuxhaven', 54, 'station=1', 'Cuxhaven')[n % 4]!r}, days={n + 1})\nfig.save('tide-{n}.png')"
        s.turn(f"Attempt {n + 1}: " + prose(("attempt", n), 40), agent="coder")
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("", Did("execute_code", {"code": code}, error="ModuleNotFoundError: No module named 'tidelib'"), agent="executor")


@family.loop("Triage and billing hand over to each other within one run, each with its whole history", "delegation cycle repeat", scenario=20, agent="triage")
def t20_handoff_pair(s: Session) -> None:
    s.user("Refund the annual plan I bought by mistake.")
    for n in range(8):
        if n == 2:
            s.mark("not_before", model=True)
        s.turn("", Did("transfer_to_billing_agent", {}, '{"assistant": "Billing agent"}'), agent="triage")
        if n == 4:
            s.mark("by_index")
        s.turn("", Did("transfer_to_triage_agent", {}, '{"assistant": "Triage agent"}'), agent="billing")


@family.loop("Four results of 8,000 tokens a turn: the fifth prompt no longer fits and must not be sent", "overflow context_growth", scenario=21)
def t21_fan_out_fills_the_next_prompt(s: Session) -> None:
    s.user("Compare all vendor contracts.")
    for n in range(5):
        if n == 4:
            s.mark("not_before", model=True)
            s.mark("by_index", model=True)
            s.refused(400, "context_length_exceeded: maximum context length is 128000 tokens")
            break
        s.turn("Reading four contracts.", *[Did("read_contract", {"id": f"V-{4 * n + k}"}, prose(("contract", n, k), 32_600)) for k in range(4)], together=True)


@family.loop("Broken JSON in two alternating forms; each retry sends everything again", "stall repeat cycle same_answer", expect="warn", scenario=23)
def t23_parse_retries(s: Session) -> None:
    s.user("The ten largest lakes as JSON. " + prose("context", 6000))
    forms = ("Here is the JSON: ```json [{'name': 'Caspian Sea'}] ```", "[{'name': 'Caspian Sea'},]")
    for n in range(12):
        if n == 4:
            s.mark("not_before", model=True)
        if n == 9:
            s.mark("by_index", model=True)
        s.turn(forms[n % 2])
        s.user("That was not valid JSON. Answer with JSON only.")


@family.loop("The agent hears its own answer and calls the function again: an echo chamber", "repeat same_result", scenario=24, agent="voice")
def t24_function_echo(s: Session) -> None:
    for n in range(9):
        s.user("Our store opens at nine" if n else "When do you open?")
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("", Did("get_store_hours", {"store": "main"}, {"open": "09:00"}))
        s.turn("Our store opens at nine.")


@family.loop("One tool result of 150,000 tokens is paid for again on every later turn", "context_growth overflow", expect="warn", scenario=25, model="claude-sonnet-4-5")
def t25_a_result_paid_for_on_every_turn(s: Session) -> None:
    s.user("Find the three slowest requests in the trace and explain them.")
    s.turn("", Did("read_file", {"path": "trace.meta"}, "1,204,118 spans"))
    s.turn("", Did("read_file", {"path": "trace.json"}, prose("trace", 600_000)))
    for n in range(12):
        if n == 7:
            s.mark("by_index")
        s.turn("", Did("bash", {"command": f"jq '.spans[{n * 31}]' trace.json"}, f"{{'name': '{prose(('span', n), 20)}', 'ms': {910 - n * 13}}}"))
    s.turn("The slowest three are explained above.")


@family.loop("A bare tool loop reads the same file until somebody stops it", "repeat same_result", scenario=26, model="claude-sonnet-4-5")
def t26_tool_use_spiral(s: Session) -> None:
    s.user("What is the default port?")
    for n in range(12):
        if n == 2:
            s.mark("not_before")
        if n == 4:
            s.mark("by_index")
        s.turn("Let me look at the configuration.", Did("read_file", {"path": "config/default.yaml"}, "name: gate\nlog: info\n"))


@family.loop("The click succeeds, the page does not change, and the next step plans the same click", "cycle repeat same_result stall", scenario=27, agent="browser")
def t27_a_click_that_does_nothing(s: Session) -> None:
    s.user("Download the brochure.")
    for n in range(9):
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("The download button is element 14.", Did("click", {"index": 14}, "Clicked element 14."))
        s.turn("", Did("get_state", {}, {"url": "https://shop.example/brochure", "title": "Brochure", "elements": 31}))


@family.loop("A valid but empty list for every rephrased query", "near_duplicate same_result", scenario=28)
def t28_empty_but_valid(s: Session) -> None:
    s.user("Flights from Basel to Split on 12 May below 100 euros?")
    words = (
        "Basel Split 12 May under 100", "Basel to Split 12 May under 100", "Basel Split 12 May below 100", "Split from Basel 12 May under 100",
        "Basel Split May 12 under 100", "flights Basel Split 12 May under 100", "Basel Split 12 May under 100 EUR", "cheap Basel Split 12 May under 100",
        "Basel Split on 12 May under 100", "Basel - Split 12 May under 100", "flight Basel Split 12 May under 100", "Basel Split 12 May under 100 euros",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("No flights; another wording.", Did("search_flights", {"query": query}, []))


@family.loop("The critic says the same sentence to every slightly changed draft", "near_duplicate same_result stall", expect="warn", scenario=29, agent="writer")
def t29_a_critic_never_satisfied(s: Session) -> None:
    s.user("A slogan for the insurance fair.")
    text = "Safe today, safe tomorrow, safe with us, wherever your road may lead you"
    ends = ("", ".", "!", ", always", ", ever", ", on and on", " next", ", all", ", dear friend", " now")
    for n, end in enumerate(ends):
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("", Did("ask_critic", {"draft": text + end}, "Revise: the tone is not confident enough."), agent="writer")


@family.loop("An outer loop enters an inner one anew and its counters with it; every try ends in the same soft failure", "same_result error_streak near_duplicate repeat cycle", scenario=30, agent="extractor")
def t30_an_inner_loop_entered_again(s: Session) -> None:
    s.user("Extract the table on page 7.")
    for outer in range(5):
        s.turn(f"Round {outer + 1} of the outer loop.", Did("begin_round", {"round": outer + 1}, f"round {outer + 1} begun"), agent="refiner")
        for inner in range(3):
            if outer == 1 and inner == 0:
                s.mark("not_before")
            if outer == 3 and inner == 2:
                s.mark("by_index")
            s.turn("", Did("parse_table", {"page": 7, "mode": ("lattice", "stream", "hybrid")[inner], "tolerance": outer + 2}, {"status": "partial_parse_error", "rows": 0}), agent="extractor")


@family.loop("The prompt grows past the size from which each token costs twice as much", "overflow context_growth", expect="warn", scenario=31, model="gemini-2.5-pro")
def t31_past_the_price_cliff(s: Session) -> None:
    s.user("Find all clauses on liability in the data room.")
    for n in range(12):
        if n == 11:
            s.mark("by_index")
        s.turn("Next folder.", Did("read_folder", {"folder": f"room/{n + 1:02d}"}, prose(("folder", n), 88_000)))
    s.turn("The clauses are listed.")


@family.loop("A playbook routes to itself", "repeat delegation same_result", scenario=31, agent="router")
def t31_a_playbook_routes_to_itself(s: Session) -> None:
    s.user("I want to speak to somebody about my claim.")
    for n in range(9):
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("", Did("route_to_playbook", {"playbook": "claims"}, "playbook claims entered"))


@family.loop("The knowledge base is asked the same in other words and gives the same chunks", "near_duplicate same_result", scenario=32)
def t32_knowledge_base_asked_again(s: Session) -> None:
    s.user("Does the policy cover hail damage to solar panels?")
    chunks = [{"id": "c-19", "text": "Storm damage is covered."}, {"id": "c-04", "text": "Glass is covered separately."}]
    words = (
        "hail damage solar panels covered", "solar panels hail damage covered", "is hail damage to solar panels covered", "covered hail damage solar panels",
        "hail damage of solar panels covered", "solar panel hail damage covered", "hail damage solar panels cover", "hail damage on solar panels covered",
        "hail damages solar panels covered", "coverage hail damage solar panels", "solar panels covered hail damage", "covered: hail damage, solar panels",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("The passages do not mention hail.", Did("retrieve_kb", {"text": query}, chunks))
