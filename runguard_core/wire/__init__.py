"""What providers' requests and answers and clients' errors look like: sizes of a prompt, usage, how a call ended.

Every adapter meets the same shapes. Mappings and objects are read alike, nothing raises on what is missing, only sizes are kept.
"""

from runguard_core.wire._answers import read_answer, read_chunks
from runguard_core.wire._credentials import without_credentials
from runguard_core.wire._errors import read_error
from runguard_core.wire._messages import Messages
from runguard_core.wire._prompts import Prompt, read_prompt, read_size
from runguard_core.wire._reading import read
from runguard_core.wire._usage import read_usage

__all__ = [
    "Messages", "Prompt", "read", "read_answer", "read_chunks", "read_error", "read_prompt", "read_size", "read_usage",
    "without_credentials",
]  # fmt: skip
