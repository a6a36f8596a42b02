"""Other calls, the same nothing: equal or empty answers, and failures that come back whatever is tried."""

from __future__ import annotations

from recorder import Did, Family, Session

family = Family("loops-results")


@family.loop("One question in ten wordings, each time no hit: rewording will not find what is not there", "near_duplicate same_result")
def reworded_search_without_hits(s: Session) -> None:
    s.user("When does the maintenance contract with Zellweger end?")
    words = (
        "Zellweger maintenance contract end date", "end date of Zellweger maintenance contract", "Zellweger maintenance contract end",
        "maintenance contract Zellweger end date", "contract end date Zellweger maintenance", "when does Zellweger maintenance contract end",
        "Zellweger maintenance contract expiry date", "Zellweger maintenance contract date of end", "end of maintenance contract Zellweger",
        "Zellweger contract maintenance end date", "the Zellweger maintenance contract end date", "date Zellweger maintenance contract ends",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("Let me try another wording.", Did("search_documents", {"query": query}, {"hits": []}))


@family.loop("Four tools and fourteen unlike questions have found nothing: the agent looks where nothing is", "same_result stall", expect="warn")
def nothing_found_anywhere(s: Session) -> None:
    s.user("Find out why customer Okafor was charged twice.")
    asked = (
        ("search_mail", "Okafor double charge"), ("search_tickets", "refund June"), ("search_wiki", "payment gateway retries"),
        ("query_logs", "charge.created customer=okafor"), ("search_mail", "bank statement"), ("query_logs", "idempotency replay"),
        ("search_tickets", "duplicate"), ("search_wiki", "Stripe runbook"), ("query_logs", "POST /v1/charges status=500"),
        ("search_mail", "invoice 4471"), ("search_tickets", "Okafor"), ("search_wiki", "chargebacks"), ("query_logs", "webhook timeout"),
        ("search_mail", "from:finance subject:dispute"),
    )  # fmt: skip
    for n, (tool, query) in enumerate(asked):
        if n == 7:
            s.mark("not_before")
        if n == 9:
            s.mark("by_index")
        s.turn("Nothing yet, looking elsewhere.", Did(tool, {"q": query}, []))


@family.loop("Whatever is asked of the database, it says permission denied", "error_streak same_result")
def the_same_failure_with_other_arguments(s: Session) -> None:
    s.user("How many refunds were there in each month of this year?")
    asked = (
        "select count(*) from billing.refunds", "select date_trunc('month', at), count(*) from billing.refunds group by 1",
        "select * from billing.refunds limit 1", "select reltuples from pg_class where oid = 'billing.refunds'::regclass",
        "with r as (select * from billing.refunds) select count(*) from r", "select count(id) from billing.refunds where at > '2026-01-01'",
        "table billing.refunds", "select 1 from billing.refunds", "select max(at) from billing.refunds", "select min(at) from billing.refunds",
    )  # fmt: skip
    for n, sql in enumerate(asked):
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("I try another query.", Did("run_sql", {"sql": sql}, error="ProgrammingError: permission denied for schema billing"))


@family.loop("Reworded searches that all bring the same three documents: nothing new comes in", "near_duplicate same_result stall")
def reworded_search_with_the_same_hits(s: Session) -> None:
    s.user("How large is the battery of the V4 scooter?")
    hits = [{"id": "man-2", "score": 0.71}, {"id": "man-7", "score": 0.69}, {"id": "faq-1", "score": 0.66}]
    words = (
        "V4 scooter battery size", "battery size of V4 scooter", "V4 scooter battery capacity", "size of the battery V4 scooter",
        "V4 scooter battery size kWh", "scooter V4 battery size", "battery V4 scooter size", "V4 scooter size of battery",
        "what is V4 scooter battery size", "V4 scooter's battery size", "the V4 scooter battery size", "V4 scooter battery: size",
    )  # fmt: skip
    for n, query in enumerate(words):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("The documents do not say; searching again.", Did("retrieve", {"query": query, "top_k": 3}, hits))


@family.loop("Four full pages, then one empty page after another: the end was passed long ago", "same_result near_duplicate stall", expect="warn")
def pages_past_the_end(s: Session) -> None:
    s.user("List the names of all our suppliers.")
    names = [["Abel", "Brandt", "Costa"], ["Dietz", "Ekman", "Ferri"], ["Gallo", "Hahn", "Ivarsson"], ["Jonas"]]
    for page in range(1, 25):
        if page == 10:
            s.mark("not_before")
        if page == 16:
            s.mark("by_index")
        items = names[page - 1] if page <= 4 else []
        s.turn("Next page.", Did("list_suppliers", {"page": page, "per_page": 3}, {"items": items}))


@family.loop("The same query with a higher limit each time, and never a match", "near_duplicate same_result repeat")
def higher_limit_same_emptiness(s: Session) -> None:
    s.user("Find the photograph of the old mill.")
    for n, limit in enumerate((5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)):
        if n == 3:
            s.mark("not_before")
        if n == 8:
            s.mark("by_index")
        s.turn("I raise the limit.", Did("search_photos", {"query": "old mill black and white", "limit": limit}, "No matches."))


@family.loop("Status 200, and an error in the body every time: a failure is one even when it does not raise", "error_streak same_result near_duplicate")
def failure_in_a_good_answer(s: Session) -> None:
    s.user("Reserve a table for four on Friday evening.")
    for n, time in enumerate(("19:00", "19:30", "20:00", "18:30", "18:00", "20:30", "21:00", "17:30", "17:00", "21:30", "22:00")):
        if n == 4:
            s.mark("not_before")
        if n == 9:
            s.mark("by_index")
        body = {"ok": False, "error": {"code": "UPSTREAM_UNAVAILABLE", "message": "reservation system offline"}, "request_id": f"c0ffee{n}1-9b3e-4f10-a8f4-0d5e77{n}1c2d{n}"}
        s.turn("I try another time.", Did("reserve_table", {"party": 4, "day": "2026-11-13", "time": time}, body))


@family.loop("The same broken query with other spacing, case and alias: the column still does not exist", "error_streak near_duplicate same_result repeat")
def cosmetic_changes_to_a_broken_query(s: Session) -> None:
    s.user("Total sales per customer, please.")
    asked = (
        "SELECT custmer_id, SUM(total) FROM orders GROUP BY custmer_id", "select custmer_id, sum(total) from orders group by custmer_id",
        "SELECT o.custmer_id, SUM(o.total) FROM orders o GROUP BY o.custmer_id", "SELECT custmer_id,\n       SUM(total)\nFROM orders\nGROUP BY 1",
        "SELECT custmer_id, SUM(total) AS sales FROM orders GROUP BY custmer_id", "SELECT custmer_id , SUM( total ) FROM orders GROUP BY custmer_id;",
        "SELECT custmer_id, SUM(total) s FROM public.orders GROUP BY custmer_id", "SELECT DISTINCT custmer_id, SUM(total) FROM orders GROUP BY custmer_id",
        "SELECT custmer_id, SUM(total) FROM orders AS t GROUP BY custmer_id", "SELECT custmer_id, sum(total) total FROM orders GROUP BY custmer_id",
    )  # fmt: skip
    for n, sql in enumerate(asked):
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("Adjusting the query.", Did("run_sql", {"sql": sql}, 'ERROR: column "custmer_id" does not exist'))


@family.loop("Thought after thought and no deed: the tool only says that it has written them down", "stall repeat same_result near_duplicate", expect="warn")
def thoughts_without_deeds(s: Session) -> None:
    s.user("Rename the project to Aurora everywhere.")
    thoughts = (
        "The name appears in many files, so I must be systematic.", "First I should list the files that hold the old name.",
        "Listing is needed before any rename can begin.", "It would be wise to plan the order of the renames.",
        "Configuration first, then code, then documents.", "Or perhaps documents first, since they break nothing.",
        "I should consider how the tests would notice.", "A rename may also touch the package's name.",
        "The order matters less than completeness.", "Completeness needs a list of files.", "So I should list the files.",
        "Let me think about how to list them.", "There are several ways to list files.", "Each has its merits.",
    )  # fmt: skip
    for n, thought in enumerate(thoughts):
        if n == 5:
            s.mark("not_before")
        if n == 11:
            s.mark("by_index")
        s.turn("", Did("think", {"thought": thought}, "Your thought has been logged."))


@family.loop("Two ways to the same closed door in turns: each is refused every time, whatever the address", "error_streak cycle same_result near_duplicate")
def two_tools_refused_in_turns(s: Session) -> None:
    s.user("Read the three reports on the partner portal.")
    for n in range(9):
        path = ("q1", "q2", "q3", "2026/q1", "2026/q2", "2026/q3", "reports/q1", "reports/q2", "reports/q3")[n]
        if n == 3:
            s.mark("not_before")
        if n == 7:
            s.mark("by_index")
        s.turn("Fetching it.", Did("fetch_url", {"url": f"https://portal.example/{path}.pdf"}, error="HTTPStatusError: 403 Forbidden"))
        s.turn("Trying the browser.", Did("open_browser", {"url": f"https://portal.example/{path}.pdf"}, error="NavigationError: 403 Forbidden"))
