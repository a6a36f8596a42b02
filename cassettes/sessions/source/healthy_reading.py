"""Work that goes through many like things, and looks like a loop only from afar."""

from __future__ import annotations

from recorder import Did, Family, Session, prose

family = Family("healthy-reading")


@family.healthy("Page after page with other rows, to the last one: pagination")
def pages(s: Session) -> None:
    s.user("Export the names of all customers.")
    for page in range(1, 13):
        rows = [f"{page * 10 + n}-{prose((page, n), 9)}" for n in range(4)] if page < 12 else [prose("last", 9)]
        s.turn("Next page.", Did("list_customers", {"page": page, "per_page": 4}, {"page": page, "pages": 12, "rows": rows}))
    s.turn("These are all customers: " + prose("names", 300))


@family.healthy("Every answer brings another cursor and other rows")
def cursors(s: Session) -> None:
    s.user("How many refunds above 100 euros were there in October?")
    cursor = None
    for n in range(15):
        following = f"eyJvIjoi{n:02d}Zx{(n * 7919) % 97:02d}Q" if n < 14 else None
        args = {"min": 100, "month": "2026-10", **({"cursor": cursor} if cursor else {})}
        s.turn("", Did("list_refunds", args, {"rows": [{"id": 9000 + n * 5 + k, "eur": 100 + (n * 31 + k * 17) % 400} for k in range(3)], "next": following}))
        cursor = following
    s.turn("There were 45 refunds above 100 euros.")


@family.healthy("Offsets to the end, where one empty page says that it is the end")
def offsets_to_the_empty_page(s: Session) -> None:
    s.user("Add up the hours booked on project Delta.")
    for n in range(9):
        rows = [{"day": f"2026-10-{n * 3 + k + 1:02d}", "hours": (n * 5 + k * 3) % 8 + 1} for k in range(3)] if n < 8 else []
        s.turn("", Did("bookings", {"project": "delta", "offset": n * 3, "limit": 3}, rows))
    s.turn("108 hours are booked on project Delta.")


@family.healthy("Thirty files are read, each once")
def thirty_files(s: Session) -> None:
    s.user("Review the module `ingest` for missing licence headers.")
    s.turn("First the list of files.", Did("list_files", {"path": "ingest"}, "\n".join(f"ingest/step_{n:02d}.py" for n in range(30))))
    for n in range(30):
        s.turn("", Did("read_file", {"path": f"ingest/step_{n:02d}.py"}, f"# licence: MIT\n{prose(('file', n), 300)}"))
    s.turn("All thirty files have a licence header.")


@family.healthy("A long document is summarised part by part; each part has another summary")
def parts_of_a_document(s: Session) -> None:
    s.user("Summarise the tender documents, part by part.")
    for n in range(18):
        s.turn("", Did("summarise_part", {"document": "tender.pdf", "part": n + 1, "of": 18, "max_words": 40}, prose(("part", n), 220)))
    s.turn(prose("whole", 500))


@family.healthy("Each part is indexed and the answer is always the same word: another part is another deed", warn_ok=True)
def parts_indexed_with_one_word(s: Session) -> None:
    s.user("Index the handbook.")
    for n in range(20):
        s.turn("", Did("index_part", {"document": "handbook", "part": n + 1, "text": prose(("handbook", n), 200)}, {"status": "indexed"}))
    s.turn("The handbook is indexed.")


@family.healthy("Four unlike places are searched in vain, the fifth has it: that is what searching is")
def empty_searches_then_a_find(s: Session) -> None:
    s.user("Who approved the budget of the trade fair?")
    for tool, query in (
        ("search_mail", "trade fair budget approval"), ("search_wiki", "exhibition costs 2026"),
        ("search_tickets", "stand construction invoice"), ("search_chat", "Hannover booth money ok'd by"),
    ):  # fmt: skip
        s.turn("Nothing there.", Did(tool, {"query": query}, []))
    s.turn("Perhaps the minutes.", Did("search_minutes", {"query": "fair"}, [{"id": "2026-04-12", "text": "Board approves 40,000 EUR for the fair (Lindqvist)"}]))
    s.turn("Ms Lindqvist's board approved it on 12 April.")


@family.healthy("Three wordings without a hit, and then the honest answer: the turn that gives up must not be refused", warn_ok=True)
def three_wordings_then_an_honest_answer(s: Session) -> None:
    s.user("Does the handbook say anything about office dogs?")
    for query in ("office dogs policy", "policy on dogs in the office", "dogs in office policy"):
        s.turn("Let me look for it.", Did("search_handbook", {"query": query}, {"hits": []}))
    s.turn("The handbook says nothing about dogs.")


@family.healthy("Five patterns without a match while an unknown code base is explored, then the place is found", warn_ok=True)
def patterns_without_a_match(s: Session) -> None:
    s.user("Where is the retry limit set?")
    for pattern in ("MAX_RETRIES", "retry_limit", "attempts\\s*=", "RetryPolicy", "backoff"):
        s.turn(f"I look for {pattern}.", Did("bash", {"command": f"grep -rn '{pattern}' src/"}, ""))
    s.turn("Perhaps in the configuration.", Did("bash", {"command": "grep -rni tries etc/"}, "etc/worker.ini:14:tries=5"))
    s.turn("It is set in etc/worker.ini, line 14.")


@family.healthy("Fifteen sub-questions of one question, each with its own answer: a fan-out, and it ends", scenario=10, warn_ok=True)
def fifteen_sub_questions(s: Session) -> None:
    s.user("Compare the net revenue of our fifteen branches in 2025.")
    towns = "Aarhus Basel Bergen Bonn Bruges Cork Delft Essen Ghent Graz Leeds Lyon Malmo Porto Turin".split()
    s.turn("I ask for each branch.", *[Did("query_engine", {"question": f"Net revenue of the branch in {town} in 2025?"}, f"{town}: {2.1 + n * 0.37:.2f} million EUR") for n, town in enumerate(towns)], together=True)
    s.turn("Turin leads with 7.28 million, Aarhus is last with 2.10 million.")


@family.healthy("Twenty different tool calls asked for in one turn and run at once", scenario=20)
def twenty_calls_in_one_turn(s: Session) -> None:
    s.user("What is the stock of the twenty best-selling articles?")
    s.turn("", *[Did("get_stock", {"sku": f"A-{4100 + 13 * n}"}, {"sku": f"A-{4100 + 13 * n}", "stock": (n * 37) % 90}) for n in range(20)], together=True)
    s.turn("Six of the twenty are below their minimum.")


@family.healthy("Search and calculator in turns, with other questions and other numbers each time", scenario=4)
def search_and_calculator_in_turns(s: Session) -> None:
    s.user("Population density of the six largest lakesides?")
    for n, place in enumerate(("Geneva", "Zug", "Como", "Lucerne", "Bregenz", "Neuchatel")):
        people, area = 203_000 - 31_700 * n, 15.9 + n
        s.turn("", Did("search", {"query": f"population and area of {place}"}, f"{place}: {people} inhabitants, {area:.1f} km2"))
        s.turn("", Did("calculator", {"expression": f"{people}/{area:.1f}"}, f"{people / area:.1f}"))
    s.turn("Geneva is by far the densest.")


@family.healthy("Twelve domain names are looked up and all are taken: equal answers to unlike questions")
def names_that_are_all_taken(s: Session) -> None:
    s.user("Find a free .io name for a note-taking app.")
    names = "noted jotter memopad scribe pagelet inkwell quillbox thoughtly penstroke marginalia leaflet foolscap".split()
    for name in names:
        s.turn("", Did("check_domain", {"name": f"{name}.io"}, "taken"))
    s.turn("", Did("check_domain", {"name": "commonplacer.io"}, "available"))
    s.turn("commonplacer.io is free.")


@family.healthy("A research of twelve pages fills a quarter of the window: growth that is the work itself", warn_ok=True, model="claude-sonnet-4-5")
def a_long_research(s: Session) -> None:
    s.user("Write a report on the market for heat pumps in Europe.")
    for n in range(12):
        s.turn(f"Reading about {prose(('topic', n), 30)}.", Did("fetch_page", {"url": f"https://reports.example/{n * n + 17}"}, prose(("page", n), 16_000)))
    s.turn(prose("report", 1400))


@family.healthy("Take a task, do it, take the next: the same call with another answer each time, twice empty at the end", warn_ok=True)
def a_queue_is_emptied(s: Session) -> None:
    s.user("Work through the queue of address changes.")
    for n in range(9):
        s.turn("", Did("next_task", {}, {"task": f"AC-{310 + n}", "customer": 7000 + 41 * n, "city": prose(("city", n), 8)}))
        s.turn("", Did("update_address", {"customer": 7000 + 41 * n, "city": prose(("city", n), 8)}, {"customer": 7000 + 41 * n, "version": n % 3 + 2}))
    s.turn("", Did("next_task", {}, {"task": None}))
    s.turn("Perhaps one more has come in.", Did("next_task", {}, {"task": None}))
    s.turn("The queue is empty, nine addresses were changed.")


@family.healthy("Two hundred varied calls of good work: length alone is no loop")
def two_hundred_varied_calls(s: Session) -> None:
    s.user("Bring the catalogue up to date: prices, pictures, texts, stock.")
    for n in range(50):
        item = f"K{500 + n * 3}"
        s.turn("", Did("get_item", {"id": item}, {"id": item, "name": prose((item, "name"), 24), "price": 5 + n * 3 % 47}))
        s.turn("", Did("find_price", {"name": prose((item, "name"), 24), "supplier": n % 7}, {"price": 6 + (n * 5) % 53, "valid": f"2026-12-{n % 28 + 1:02d}"}))
        s.turn("", Did("set_price", {"id": item, "price": 6 + (n * 5) % 53}, {"id": item, "revision": 100 + n}))
        s.turn("", Did("write_text", {"id": item, "text": prose((item, "text"), 90)}, {"id": item, "words": 12 + n % 9}))
    s.turn("All fifty items are up to date.")
