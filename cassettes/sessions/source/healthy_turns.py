"""Several agents at work, several runs of one session, and turns of the model that only look idle."""

from __future__ import annotations

from datetime import UTC, datetime

from recorder import Did, Family, Session, prose

family = Family("healthy-turns")


@family.healthy("Writer and reviewer in turns, with another draft and another verdict each time", agent="writer")
def writer_and_reviewer(s: Session) -> None:
    s.user("Write the press release about the new factory.")
    verdicts = ("too long, and the date is missing", "the quote sounds wooden", "numbers of jobs contradict each other", "one typo in the headline", "approved")
    for n, verdict in enumerate(verdicts):
        s.turn("", Did("submit_draft", {"text": prose(("draft", n), 300)}, f"draft {n + 1} received"), agent="writer")
        s.turn("", Did("review", {"draft": n + 1}, verdict), agent="reviewer")
    s.turn("The press release is approved.", agent="writer")


@family.healthy("Handed to a specialist and back once: the way it should be", agent="triage")
def handed_over_and_back_once(s: Session) -> None:
    s.user("Change my address, and why was I charged twice?")
    s.turn("", Did("update_address", {"customer": 88, "street": "Kirchweg 4"}, "updated"), agent="triage")
    s.turn("", Did("transfer_to_billing", {"reason": "double charge"}, "Transferred."), agent="triage")
    s.turn("", Did("list_charges", {"customer": 88}, [{"id": 1, "eur": 20}, {"id": 2, "eur": 20}]), agent="billing")
    s.turn("", Did("refund", {"charge": 2}, "refunded"), agent="billing")
    s.turn("", Did("transfer_to_triage", {"reason": "refund done"}, "Transferred."), agent="billing")
    s.turn("Your address is changed and the second charge refunded.", agent="triage")


@family.healthy("Three sub-agents side by side make the same first call each, once", agent="lead")
def the_same_first_call_in_three_agents(s: Session) -> None:
    s.user("Check the three services for slow queries.")
    for place in range(5):
        for service in ("orders", "stock", "users"):
            call = (
                Did("get_schema", {"database": "main"}, "tables: orders, stock, users, events") if place == 0
                else Did("slow_queries", {"service": service, "hour": place}, f"{service}, hour {place}: {prose((service, place), 70)}")
            )  # fmt: skip
            s.turn("", call, agent=f"inspector-{service}")
    s.turn("Two slow queries were found in `stock`.", agent="lead")


@family.healthy("Four instances of one agent go through the same four steps at the same time, each once", agent="lead")
def four_instances_in_step(s: Session) -> None:
    s.user("Check the new release in four regions.")
    for step, args, result in (
        ("get_release", {"name": "4.2"}, {"name": "4.2", "images": 3}), ("list_checks", {"kind": "smoke"}, ["login", "search", "pay"]),
        ("run_checks", {"kind": "smoke"}, "3 of 3 passed"), ("read_errors", {"minutes": 10}, []),
    ):  # fmt: skip
        for region in ("eu", "us", "ap", "sa"):
            s.turn("", Did(step, args, result), agent=f"checker#{region}")
    s.turn("The release is well in all four regions.", agent="lead")


@family.healthy("Five drafts of one slogan are drawn with temperature: one prompt, five answers, as asked")
def drafts_drawn_with_temperature(s: Session) -> None:
    s.user("Five slogans for a bakery, independent of each other.")
    script = s.transcript()
    before = {origin: list(counts) for origin, counts in script.parts.items()}
    for text in ("Bread with a morning in it.", "We rise before you do.", "Crust, crumb, kindness.", "Warm since four o'clock.", "The good half of the day."):
        script.parts = {origin: list(counts) for origin, counts in before.items()}
        s.turn(text)


@family.healthy("The history is summarised on purpose when it gets long: the prompt shrinks, its system prompt stays", model="claude-sonnet-4-5")
def history_summarised_on_purpose(s: Session) -> None:
    s.user("Go through all contracts and list those that end this year.")
    script = s.transcript()
    for n in range(24):
        s.turn("", Did("read_contract", {"id": f"C-{n + 1:03d}"}, prose(("contract", n), 9000)))
        if n in {9, 19}:
            s.turn("Summary so far: " + prose(("summary", n), 900))
            script.parts["tool:read_contract"], script.parts["assistant"] = [0, 0], [1000, 1]
    s.turn("Seven contracts end this year: " + prose("contracts", 200))


@family.healthy("After a summary on purpose the files in question are read once more, then the work is done", warn_ok=True)
def read_once_more_after_a_summary(s: Session) -> None:
    s.user("Move the configuration of the nine services into one file.")
    script, names = s.transcript(), ("auth", "cart", "feed", "mail", "pay", "rate", "ship", "tax", "user")
    for name in names:
        s.turn("", Did("read_file", {"path": f"{name}/config.toml"}, prose((name, "config"), 2400)))
    s.turn("Summary so far: " + prose("summary", 600))
    script.parts["tool:read_file"], script.parts["assistant"] = [0, 0], [700, 1]
    for name in names:
        s.turn("", Did("read_file", {"path": f"{name}/config.toml"}, prose((name, "config"), 2400)))
        s.turn("", Did("append", {"path": "config.toml", "text": prose((name, "new"), 120)}, f"120 bytes appended for {name}"))
    s.turn("All nine services share config.toml.")


@family.healthy("One 429, one wait, and on it goes")
def one_refusal_and_a_wait(s: Session) -> None:
    s.user("Translate the five labels.")
    for n in range(5):
        if n == 2:
            s.refused(429, "Rate limit reached for gpt-4o on requests per min")
            s.wait(20)
        s.turn("", Did("save_label", {"id": n, "text": prose(("label", n), 24)}, f"label {n} saved"))
    s.turn("Five labels are translated.")


@family.healthy("Somebody asks the same question twice in one conversation and gets the same answer twice")
def the_same_question_twice(s: Session) -> None:
    for wording in ("When do you open tomorrow?", "Sorry, I was away. When do you open tomorrow?"):
        s.user(wording)
        s.turn("", Did("get_hours", {"day": "2026-12-03"}, {"open": "09:00", "close": "18:00"}))
        s.turn("We open at nine.")


@family.healthy("Twenty turns of talk without a tool: a person answers each time", model="claude-haiku-4-5")
def a_talk_without_tools(s: Session) -> None:
    for n in range(20):
        s.user(prose(("question", n), 70) + "?")
        s.turn(prose(("answer", n), 260))


def _price_check(s: Session) -> None:
    s.user("Compare today's price of article K-77 with the limit.")
    s.turn("", Did("get_price", {"article": "K-77"}, {"article": "K-77", "eur": "18.90"}))
    s.turn("", Did("get_limit", {"article": "K-77"}, {"article": "K-77", "eur": "21.00"}))
    s.turn("The price is below the limit.")


for _hour in range(6):
    family.healthy(
        "A scheduled agent does the same every hour, in a new run of the same session",
        name=f"the_same_every_hour_{_hour + 1}", session="price-check", start=datetime(2026, 12, 21, 6 + _hour, tzinfo=UTC),
    )(_price_check)  # fmt: skip


@family.healthy("The final answer follows four attempts of the parser, each with another mistake: it converges")
def an_answer_that_converges(s: Session) -> None:
    s.user("The invoice as JSON, please.")
    for field, error in (("date", "date: expected YYYY-MM-DD"), ("total", "total: expected a number"), ("vat", "vat: field required")):
        s.turn("", Did("final_result", {"number": "A-17", "note": f"{field} corrected next", "tries": prose(field, 20)}, error=f"ValidationError: {error}"))
    s.turn("", Did("final_result", {"number": "A-17", "date": "2026-10-30", "total": 99.5, "vat": 19}, "accepted"))


@family.healthy("A supervisor gives the same worker six different tasks", agent="supervisor")
def six_tasks_for_one_worker(s: Session) -> None:
    s.user("Prepare the quarterly report.")
    for n, task in enumerate(("collect sales by region", "collect head count", "draw the margin chart", "list open risks", "write the outlook", "check all numbers")):
        s.turn("", Did("delegate", {"to": "analyst", "task": task}, prose(("done", n), 120)), agent="supervisor")
        s.turn("", Did("query", {"sql": f"select {prose(('sql', n), 40)}"}, prose(("rows", n), 90)), agent="analyst")
    s.turn("The report is ready.", agent="supervisor")
