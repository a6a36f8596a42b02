"""Loops between agents, and inside one of several."""

from __future__ import annotations

from recorder import Did, Family, Session

family = Family("loops-agents")


@family.loop("Triage hands to billing, billing hands back, with the same reason each time: nobody works", "delegation cycle repeat", agent="triage")
def hand_over_and_back(s: Session) -> None:
    s.user("I was charged for a seat I never booked.")
    for n in range(6):
        if n == 2:
            s.mark("not_before", model=True)
        s.turn("This is a billing question.", Did("transfer_to_billing", {"reason": "charge for a seat"}, "Transferred to billing."), agent="triage")
        if n == 4:
            s.mark("by_index")
        s.turn("A seat is not mine to judge.", Did("transfer_to_triage", {"reason": "seat question"}, "Transferred to triage."), agent="billing")


@family.loop("Three agents pass a question round in a ring, each time in other words", "delegation cycle repeat near_duplicate same_result", agent="planner")
def ring_of_three(s: Session) -> None:
    s.user("Can we promise delivery of order 5512 before Christmas?")
    says = ("please confirm the date", "could you confirm the date", "kindly confirm the date", "confirm the date for us", "the date needs your word", "we need your word on the date", "your word on the date, please")
    for n, ask in enumerate(says):
        if n == 2:
            s.mark("not_before", model=True)
        if n == 5:
            s.mark("by_index")
        for giver, taker in (("planner", "logistics"), ("logistics", "sales"), ("sales", "planner")):
            s.turn("Not mine to decide.", Did("delegate", {"to": taker, "task": f"Order 5512: {ask}"}, f"{taker} has been asked."), agent=giver)


@family.loop("One of three sub-agents that work side by side repeats itself, the others do well", "repeat same_result", agent="lead")
def one_of_three_side_by_side(s: Session) -> None:
    s.user("Compare the three cloud offers.")
    s.turn("Three researchers start.", Did("start", {"offers": ["north", "south", "west"]}, "started"))
    for n in range(9):
        s.turn("", Did("read_offer", {"offer": "north", "page": n + 1}, f"north, page {n + 1}: storage {11 + n} EUR, egress {n * 2} EUR"), agent="researcher-north")
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("", Did("read_offer", {"offer": "south", "page": 1}, "south, page 1: please log in to see prices"), agent="researcher-south")
        s.turn("", Did("read_offer", {"offer": "west", "page": n + 1}, f"west, page {n + 1}: cpu {70 - 3 * n} EUR, support tier {n % 4}"), agent="researcher-west")


@family.loop("A fresh sub-agent for the same task each time: its own counters start anew, its parent's must not", "repeat cycle delegation same_result", agent="lead")
def a_fresh_agent_for_the_same_task(s: Session) -> None:
    s.user("Find the owner of the service `tax-calc`.")
    for n in range(7):
        worker = f"finder-{n + 1}"
        s.transcript(worker).add("user", 60)
        if n == 2:
            s.mark("not_before", model=True)
        if n == 5:
            s.mark("by_index")
        s.turn("I ask a finder.", Did("spawn_agent", {"role": "finder", "task": "owner of service tax-calc"}, "The finder found no owner."), agent="lead")
        s.turn("", Did("grep", {"pattern": "tax-calc", "path": "CODEOWNERS"}, ""), agent=worker)
        s.turn("", Did("ask_directory", {"service": "tax-calc"}, "unknown service"), agent=worker)
        s.turn("I found no owner.", agent=worker)


@family.loop("Writer and checker exchange the same two messages: the text does not change, nor does the complaint", "cycle delegation same_result repeat", agent="writer")
def writer_and_checker_stuck(s: Session) -> None:
    s.user("Write the notice about the lift repair.")
    for n in range(7):
        if n == 2:
            s.mark("not_before", model=True)
        if n == 4:
            s.mark("by_index")
        s.turn("Here is the notice.", Did("submit_draft", {"text": "The lift is out of order until Friday."}, "draft received"), agent="writer")
        s.turn("It lacks a telephone number.", Did("return_draft", {"comment": "add a telephone number"}, "returned to writer"), agent="checker")
