"""Loops and losses on the side of the model: prompts that grow, shrink or are refused, answers that bring nothing."""

from __future__ import annotations

from recorder import Did, Family, Session, prose

family = Family("loops-turns")


@family.loop("The answer is handed in again and again although it was taken the first time", "repeat same_result stall")
def final_answer_without_end(s: Session) -> None:
    s.user("What is the capital of Australia? Hand in with submit_answer.")
    for n in range(8):
        if n == 2:
            s.mark("not_before")
        if n == 5:
            s.mark("by_index")
        s.turn("The capital of Australia is Canberra.", Did("submit_answer", {"answer": "Canberra"}, "Answer recorded."))


@family.loop("The loop's driver says 'continue', the model announces what it will do, and nothing is ever done", "stall same_answer", expect="warn")
def announcements_without_end(s: Session) -> None:
    s.user("Clean up the address list in addresses.csv.")
    says = (
        "I will now clean up the address list.", "Next I am going to clean up the list of addresses.", "I will proceed with cleaning the list.",
        "Now I will begin to clean up the addresses.", "I am about to start with the clean-up.", "I will start cleaning the address list now.",
    )  # fmt: skip
    for n in range(16):
        if n == 6:
            s.mark("not_before", model=True)
        if n == 13:
            s.mark("by_index", model=True)
        s.turn(says[n % 6])
        s.user("Continue.")


@family.loop("Each log that is read stays in the prompt until it no longer fits: the call must not be sent", "overflow context_growth")
def results_sent_again_until_the_window_is_full(s: Session) -> None:
    s.user("Which of last week's deployments caused the errors?")
    for n in range(20):
        if s.transcript().tokens > 116_000 and "not_before" not in s.marks:
            s.mark("not_before", model=True)
        if s.transcript().tokens > 128_000:
            s.mark("by_index", model=True)
            s.refused(400, '{"error": {"code": "context_length_exceeded", "message": "maximum context length is 128000 tokens"}}')
            break
        s.turn("Reading the next log.", Did("read_log", {"deployment": f"web-{2210 + n}"}, prose(("log", n), 48_000)))


@family.loop("The oldest messages, the system prompt among them, are silently dropped while the work goes on", "truncation", expect="warn", model="llama3.1:8b", agent="helper", system=4200)
def the_system_prompt_is_dropped(s: Session) -> None:
    s.user("Read the minutes of all meetings and list the decisions.")
    script = s.transcript()
    for n in range(14):
        if n == 7:
            script.parts["system"] = [0, 0]
            script.parts["user"] = [0, 0]
            s.mark("not_before", model=True)
        if n >= 7:
            script.parts["tool:read_minutes"] = [15_200 - 120 * (n % 3), 4]
            script.parts["assistant"] = [260, 4]
        if n == 10:
            s.mark("by_index")
        s.turn("Decisions noted, next meeting.", Did("read_minutes", {"meeting": f"2026-0{n % 9 + 1}-1{n % 7}"}, prose(("minutes", n), 3800)))


@family.loop("Sixteen attempts at one turn, every one answered 429, with longer and longer waits", "rate_limit error_streak")
def refusals_with_longer_waits(s: Session) -> None:
    s.user("Translate the manual.")
    s.turn("I begin with chapter one.", Did("read_chapter", {"number": 1}, prose("chapter", 1200)))
    waits = (1, 2, 4, 8, 16, 32, *[60] * 14)
    for n, wait in enumerate(waits):
        if n == 5:
            s.mark("not_before", model=True)
        if n == 14:
            s.mark("by_index", model=True)
        s.refused(429, '{"error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "Rate limit reached for gpt-4o"}}')
        s.wait(wait)


@family.loop("Each summary makes the agent forget that it has read everything: ten equal readings with equal results, over and over", "stall cycle same_result repeat", expect="warn")
def summarised_and_all_over_again(s: Session) -> None:
    s.user("Which of the ten meters is due for inspection?")
    script = s.transcript()
    for n in range(5):
        for meter in range(10):
            if n == 2 and meter == 0:
                s.mark("not_before")
            if n == 4 and meter == 0:
                s.mark("by_index")
            s.turn("", Did("read_sheet", {"meter": f"M-{meter + 1}"}, f"meter M-{meter + 1}: {prose(('sheet', meter), 2400)}"))
        s.turn("Summary so far: the sheets of the meters have to be read.")
        script.parts["tool:read_sheet"], script.parts["assistant"] = [0, 0], [120, 1]


@family.loop("The memory keeps every message twice: the prompt grows by half with each turn, the work does not", "context_growth overflow", expect="warn")
def memory_that_doubles(s: Session) -> None:
    s.user("Draft answers to the open letters.")
    script = s.transcript()
    for n in range(11):
        if n == 7:
            s.mark("not_before", model=True)
        if n == 10:
            s.mark("by_index")
        s.turn("A draft is ready.", Did("save_draft", {"letter": f"L-{n + 40}", "text": prose(("draft", n), 420)}, f"draft {n + 1} saved"))
        script.add("assistant", int(sum(chars for chars, _ in script.parts.values()) * 0.5), 3 * (n + 1))


@family.loop("Research fills the window, the oldest messages are dropped unseen, and the rest is retried against a 429", "truncation overflow rate_limit context_growth", agent="browser")
def window_full_then_truncated_then_refused(s: Session) -> None:
    s.user("Research the market for e-bike batteries.")
    script = s.transcript()
    for n in range(26):
        s.turn("Reading the next source.", Did("visit", {"url": f"https://site-{n}.example/e-bike"}, prose(("site", n), 17_600)))
    script.parts["system"], script.parts["user"] = [0, 0], [0, 0]
    script.parts["tool:visit"] = [240_000, 14]
    s.mark("not_before", model=True)
    for n in range(26, 30):
        s.turn("Reading the next source.", Did("visit", {"url": f"https://site-{n - 26}.example/e-bike"}, prose(("site", n - 26), 17_600)))
    for n in range(36):
        if n == 14:
            s.mark("by_index", model=True)
        s.refused(429, "Rate limit reached for gpt-4o on tokens per min")
        s.wait(20)
        s.given_up()
