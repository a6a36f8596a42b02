"""Recorded runs, and playing them through a real guard under any policy."""

from runguard_core.replay._dead_tail import Beat, beats_of_calls, dead_tail_nanos
from runguard_core.replay._from_ledger import recordings_of
from runguard_core.replay._incident import incident_json
from runguard_core.replay._many import play_each, play_many
from runguard_core.replay._parsing import RecordingError, parse_line, parse_run
from runguard_core.replay._played import Played, Stop, Tally, Warn, played_json
from runguard_core.replay._playing import play
from runguard_core.replay._reading import read_recordings, recording_files
from runguard_core.replay._recording import RecordedEvent, Recording
from runguard_core.replay._summing import ReplaySum, RuleSum, sum_json, summed
from runguard_core.replay._timeline import noon
from runguard_core.replay._to_ledger import Importer, Rows

__all__ = [
    "Beat",
    "Importer",
    "Played",
    "RecordedEvent",
    "Recording",
    "RecordingError",
    "ReplaySum",
    "Rows",
    "RuleSum",
    "Stop",
    "Tally",
    "Warn",
    "beats_of_calls",
    "dead_tail_nanos",
    "incident_json",
    "noon",
    "parse_line",
    "parse_run",
    "play",
    "play_each",
    "play_many",
    "played_json",
    "read_recordings",
    "recording_files",
    "recordings_of",
    "sum_json",
    "summed",
]
