"""The file that `runguard policy init` writes."""

STARTER = """# What RunGuard may let an agent spend.
# `runguard policy check` reads this file, `runguard policy schema` says what may stand in it.
app = "my-agent"
mode = "enforce"                 # enforce | observe (count and announce only) | off

[[budgets]]
name = "session"
limit = "0.50 USD"               # also "200k tokens", "40 turns", "30 calls", "12 tool calls", "10m"
per = ["session"]
thresholds = [0.7]

[[budgets]]
name = "day"
limit = "20 USD"
period = "day"

# [[budgets]]
# name = "user-day"
# limit = "2 USD"
# per = ["user"]                 # as guard.session(..., user="u1") names them
# period = "day"

[detectors.repeat]
stop_after = 3                   # the 3rd equal call in a row with equal results is not made

# [tools.get_status]
# repetition = "poll"            # asking again is what this tool is for

# [prices."my-deployment"]
# same_as = "openai:gpt-4o-mini"
"""
