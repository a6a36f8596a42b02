"""Work that comes back to the same place because the place has changed, or because it must."""

from __future__ import annotations

from recorder import Did, Family, Session, prose

family = Family("healthy-working")


@family.healthy("The same status call, and its answer rises from nothing to done: polling with progress")
def polling_with_progress(s: Session) -> None:
    s.user("Start the export and tell me when it is finished.")
    s.turn("", Did("start_export", {"kind": "full"}, {"job": 77}))
    for percent in (0, 4, 11, 19, 30, 42, 55, 68, 81, 93, 100):
        s.turn("", Did("get_job", {"job": 77}, {"job": 77, "state": "done" if percent == 100 else "running", "percent": percent}))
        s.wait(20)
    s.turn("The export is finished.")


@family.healthy("A declared poll tool answers 'pending' twenty-five times: that is what it is for", policy='[tools.get_build]\nrepetition = "poll"\n')
def declared_poll_with_equal_answers(s: Session) -> None:
    s.user("Deploy once the build is green.")
    for n in range(26):
        s.turn("", Did("get_build", {"id": "b-912"}, {"id": "b-912", "status": "green" if n == 25 else "pending"}))
        s.wait(30)
    s.turn("", Did("deploy", {"build": "b-912"}, {"deployed": True}))
    s.turn("Build b-912 is deployed.")


@family.healthy("Wait, look, wait, look: the waiting always answers the same, the looking does not for long", warn_ok=True)
def waiting_between_looks(s: Session) -> None:
    s.user("Tell me when all nodes of the cluster have been upgraded.")
    for done in (0, 1, 1, 2, 3, 3, 4, 5, 6):
        s.turn("", Did("sleep", {"seconds": 60}, "slept 60 seconds", seconds=60))
        s.turn("", Did("bash", {"command": "kubectl get nodes -o wide | grep -c v1.31"}, f"{done}\n"))
    s.turn("All six nodes have been upgraded.")


@family.healthy("Edit, test, edit, test: the same test run with another outcome each time")
def edit_and_test(s: Session) -> None:
    s.user("Make the tests of the tokenizer pass.")
    fails = (9, 7, 7, 4, 3, 1, 0)
    for n, failed in enumerate(fails):
        s.turn("I change the next rule.", Did("replace", {"file": "tokenizer.py", "old": prose((n, "old"), 40), "new": prose((n, "new"), 44)}, f"1 replacement, line {31 + n * 8}"))
        out = f"{failed} failed, {20 - failed} passed in 1.{n}2s\n{prose(('trace', n), 160) if failed else ''}"
        s.turn("", Did("bash", {"command": "pytest tests/test_tokenizer.py -q"}, out, seconds=1.4))
    s.turn("All twenty tests pass.")


@family.healthy("Twice a timeout, then an answer: retries that succeed", warn_ok=True)
def retries_that_succeed(s: Session) -> None:
    s.user("What is the temperature in the cold store?")
    for _ in range(2):
        s.turn("Asking the sensor.", Did("read_sensor", {"id": "cold-1"}, error="TimeoutError: no answer within 5 s", seconds=5))
        s.wait(3)
    s.turn("Asking once more.", Did("read_sensor", {"id": "cold-1"}, {"celsius": -19.4}))
    s.turn("It is 19.4 degrees below zero.")


@family.healthy("The failing test is run twice, to be sure that it always fails, and then mended", warn_ok=True)
def failing_test_twice_and_then_mended(s: Session) -> None:
    s.user("test_parse fails on my machine, please mend it.")
    for n in range(2):
        out = f"F\nE  AssertionError: ['a', ' b'] != ['a', 'b']\n1 failed in 0.{21 + 4 * n}s"
        s.turn("Does it always fail?" if n else "First the test.", Did("bash", {"command": "pytest -q test_parse.py"}, out))
    s.turn("It does.", Did("bash", {"command": "sed -i 's/text.split/strip_all(text.split/' parse.py"}, ""))
    s.turn("", Did("bash", {"command": "pytest -q test_parse.py"}, ".\n1 passed in 0.20s"))
    s.turn("The test passes now.")


@family.healthy("A keep-alive between steps of varied work always answers 'ok'", warn_ok=True)
def keep_alive_between_steps(s: Session) -> None:
    s.user("Migrate the nine tables.")
    for n in range(9):
        table = prose(("table", n), 11).replace(" ", "_")
        s.turn("", Did("copy_table", {"table": table}, {"table": table, "rows": 1200 + n * 911}))
        s.turn("", Did("compare_counts", {"table": table}, {"table": table, "left": 1200 + n * 911, "right": 1200 + n * 911}))
        s.turn("", Did("keep_alive", {}, "ok"))
    s.turn("All nine tables are migrated.")


@family.healthy("A declared keep-alive is called again and again while a person thinks: the policy says not to look at it", policy='[tools.keep_alive]\nrepetition = "exempt"\n')
def declared_keep_alive(s: Session) -> None:
    s.user("Keep the line open until I am back.")
    for _ in range(20):
        s.turn("", Did("keep_alive", {}, "ok"))
        s.wait(25)
    s.turn("Welcome back.")


@family.healthy("The same article four times into the basket, whose total grows each time")
def four_of_the_same_into_the_basket(s: Session) -> None:
    s.user("Four boxes of the blue gloves, please; the shop takes only one box per call.")
    for n in range(1, 5):
        s.turn("", Did("add_item", {"sku": "GLV-BLUE-M", "quantity": 1}, {"items": n, "total": f"{n * 12.5:.2f} EUR"}))
    s.turn("Four boxes are in the basket, 50.00 EUR.")


@family.healthy("The state is looked at before the work and after it, and is the same")
def state_before_and_after(s: Session) -> None:
    s.user("Rotate the signing key without downtime.")
    s.turn("Is everything well?", Did("health", {"service": "signer"}, {"service": "signer", "healthy": True}))
    for step in ("create_key", "publish_key", "switch_key", "retire_key"):
        s.turn("", Did(step, {"name": "sign-2026-11"}, f"{step} done, {prose(step, 20)}"))
    s.turn("Still well?", Did("health", {"service": "signer"}, {"service": "signer", "healthy": True}))
    s.turn("The key is rotated, the service stayed healthy.")


@family.healthy("A file is read again after each of five edits; its content has changed each time")
def a_file_read_after_each_edit(s: Session) -> None:
    s.user("Bring the style of report.md in line with the guide.")
    for n in range(6):
        s.turn("", Did("read_file", {"path": "report.md"}, prose(("report", n), 420)))
        if n < 5:
            s.turn("", Did("replace", {"path": "report.md", "old": prose((n, "a"), 30), "new": prose((n, "b"), 30)}, "File edited."))
    s.turn("report.md follows the guide now.")


@family.healthy("git status between edits, clean again after each commit: a habit, not a loop", warn_ok=True)
def git_status_between_edits(s: Session) -> None:
    s.user("Split the change into five commits.")
    for n in range(5):
        file = f"src/part_{n}.py"
        s.turn("", Did("bash", {"command": "git status --short"}, ""))
        s.turn("", Did("write_file", {"path": file, "text": prose(file, 200)}, f"{200 + n} bytes written to {file}"))
        s.turn("", Did("bash", {"command": f"git add {file} && git commit -qm 'Part {n + 1}: {prose(n, 20)}' && git log -1 --format=%s"}, f"Part {n + 1}: {prose(n, 20)}"))
    s.turn("Five commits are made.")


@family.healthy("Twenty-five rows are inserted, each confirmed with the same words")
def rows_inserted(s: Session) -> None:
    s.user("Enter the business cards I typed below into the database.")
    for n in range(25):
        row = {"name": prose(("name", n), 14), "company": prose(("company", n), 18), "phone": f"+41 44 {200 + n * 7} {10 + n} {99 - n}"}
        s.turn("", Did("insert_row", {"table": "contacts", "row": row}, "INSERT 0 1"))
    s.turn("Twenty-five contacts are entered.")


@family.healthy("The same letter to thirty people; each time 'queued'. Stopped half-way it would be worse than not begun", warn_ok=True)
def thirty_letters(s: Session) -> None:
    s.user("Invite everybody on the list to the summer party.")
    for n in range(30):
        name = prose(("guest", n), 9).replace(" ", ".")
        args = {"to": f"{name}{n}@example.org", "subject": "Summer party on 3 July", "body": f"Dear {name}, we invite you to our summer party on 3 July at 6 pm in the garden. Please answer by 20 June."}
        s.turn("", Did("send_mail", args, {"status": "queued", "id": f"msg-{(n * 7919 + 13) % 99991:05d}"}))
    s.turn("Thirty invitations are on their way.")


@family.healthy("Twenty entries are checked and all are valid: equal answers to unlike questions")
def twenty_valid_entries(s: Session) -> None:
    s.user("Check the bank details of the suppliers.")
    for n in range(20):
        iban = f"DE{(n * 37) % 89 + 10} {3704 + n * 53} {4000 + n * 389} {1000 + n * 277} {2000 + n * 131} {n * 3 + 10}"
        s.turn("", Did("validate_iban", {"iban": iban}, True))
    s.turn("All twenty are valid.")


@family.healthy("Twenty-two temporary files are removed, each without a word: silence is success here", warn_ok=True)
def files_removed_in_silence(s: Session) -> None:
    s.user("Delete the files of the cancelled projects, one by one, so that each deletion is logged.")
    for n in range(22):
        s.turn("", Did("bash", {"command": f"rm -r archive/{prose(('project', n), 16).replace(' ', '-')}-{n}"}, ""))
    s.turn("They are deleted.")


@family.healthy("A search by halves: the same test says 'bad' again and again, of another revision each time")
def search_by_halves(s: Session) -> None:
    s.user("Which commit broke the import?")
    for n, bad in enumerate((True, True, False, True, True, False, True)):
        left = 120 >> n
        s.turn("", Did("bash", {"command": "python -c 'import app'"}, "ImportError: cannot import name 'Row'" if bad else ""))
        said = "bad" if bad else "good"
        s.turn("", Did("bash", {"command": f"git bisect {said}"}, f"Bisecting: {left} revisions left to test after this [{(n * 7919 + 11) * 104729:x}] {prose(('commit', n), 30)}"))
    s.turn("The import was broken by the change of the row type.")


@family.healthy("A test that fails now and then is run four times on purpose; its outcome varies")
def a_flaky_test_run_again(s: Session) -> None:
    s.user("Is test_upload flaky?")
    for out in ("1 passed in 0.41s", "1 failed in 0.44s\nE  ConnectionResetError", "1 passed in 0.39s", "1 failed in 0.47s\nE  AssertionError: 2 != 3"):
        s.turn("", Did("bash", {"command": "pytest -q tests/test_upload.py"}, out))
    s.turn("Yes: two of four runs failed, for two reasons.")


@family.healthy("The same button turns the page of a viewer: one call, another page each time")
def the_next_button(s: Session) -> None:
    s.user("On which page of the scan is the signature?")
    for n in range(14):
        s.turn("", Did("click", {"element": "button#next"}, f"page {n + 2} of 40: {prose(('scan', n), 90)}"))
    s.turn("The signature is on page 15.")


@family.healthy("The same die is thrown eight times, because somebody asked for eight throws", warn_ok=True)
def a_die_thrown_eight_times(s: Session) -> None:
    s.user("Throw a die eight times.")
    for n in (3, 6, 6, 1, 4, 4, 2, 5):
        s.turn("", Did("roll", {"sides": 6}, n))
    s.turn("3, 6, 6, 1, 4, 4, 2 and 5.")


@family.healthy("A thought is written down between the steps of real work")
def thoughts_between_steps(s: Session) -> None:
    s.user("Find out why the build is slow and speed it up.")
    for n in range(8):
        s.turn("", Did("think", {"thought": f"Next I look at {prose(('thought', n), 50)}."}, "Your thought has been logged."))
        s.turn("", Did("bash", {"command": f"time make {prose(('target', n), 9).replace(' ', '-')}"}, f"real 0m{12 - n}.{n * 3}s\n{prose(('build', n), 80)}"))
    s.turn("The build takes 5 seconds instead of 12.")


@family.healthy("Two passwords are refused and a third is taken: different failures on the way to success")
def failures_that_differ(s: Session) -> None:
    s.user("Create the account for the new colleague.")
    for user, error in (
        ("mueller", "ValueError: user name 'mueller' is taken"), ("müller2", "ValueError: only ASCII letters and digits"),
        ("mueller2", "PermissionError: group 'staff' needs an approver"),
    ):  # fmt: skip
        s.turn("", Did("create_user", {"name": user, "group": "staff"}, error=error))
    s.turn("", Did("create_user", {"name": "mueller2", "group": "staff", "approver": "lind"}, {"id": 411}))
    s.turn("The account mueller2 exists.")
