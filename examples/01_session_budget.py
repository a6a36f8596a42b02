"""A budget per conversation, without any framework: the call that would break it is not sent."""

from runguard_core import Guard, StoppedError, Usage

guard = Guard(app="example-session", store="memory://", max_cost_per_session_usd="0.01")


def ask(question: str) -> str:
    """A stand-in for a provider's client: reserve, call, post what it reported."""
    with guard.model_call("gpt-4o-mini", prompt=question, max_output_tokens=2000) as call:
        answer = f"an answer to {question}"
        call.post(Usage(input_tokens=50, output_tokens=1800))
        return answer


with guard.session("s-42", user="ann") as session:
    asked = 0
    try:
        for asked in range(1, 100):
            ask(f"question {asked}")
    except StoppedError as stop:
        print(f"question {asked} was not sent: {stop}")
print(f"spent {session.spent_usd} USD, {session.available_usd} USD left")
assert session.spent_usd <= 1
guard.close()
