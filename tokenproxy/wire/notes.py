"""Notes: what a reading wants to say about the provider's own numbers.

A note is a machine word, kept with the row. Some carry a detail after a colon
(``refusal_category:cyber``). This table is the list of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

ADVISOR_IN_TOP_LEVEL = "advisor_in_top_level"
BAD_COUNT = "bad_count"
BILLED_BY_DURATION = "billed_by_duration"
BODY_TOO_LARGE = "body_too_large"
BODY_UNREADABLE = "body_unreadable"
BREAKDOWN_MISMATCH = "breakdown_mismatch"
BYOK = "byok"
CACHE_EXCEEDS_INPUT = "cache_exceeds_input"
COUNTED_BEFORE = "counted_before"
CACHE_KINDS_UNKNOWN = "cache_kinds_unknown"
CACHE_SPLIT_EXCEEDS = "cache_split_exceeds_total"
CACHE_SPLIT_REMAINDER = "cache_split_remainder"
DECLINED_MODEL_UNKNOWN = "declined_model_unknown"
ERROR_CODE = "error_code"
EVENT_TOO_LARGE = "event_too_large"
EVENT_UNREADABLE = "event_unreadable"
FALLBACK_CREDIT = "fallback_credit"
FALLBACK_UNITEMIZED = "fallback_unitemized"
FINAL_USAGE_MISSING = "final_usage_missing"
INCLUDE_USAGE_ABSENT = "include_usage_absent"
INPUT_MISMATCH = "input_mismatch"
INPUT_ZERO_IGNORED = "input_zero_ignored"
INPUT_ZEROED = "input_zeroed"
ITERATION_TYPE_UNKNOWN = "iteration_type_unknown"
ITERATIONS_DROPPED = "iterations_dropped"
ITERATIONS_MISMATCH = "iterations_mismatch"
ITERATIONS_WITHOUT_MESSAGE = "iterations_without_message"
METRICS_MISMATCH = "metrics_mismatch"
MODALITY_EXCEEDS = "modality_exceeds"
MODALITY_SPLIT_UNCLEAR = "modality_split_unclear"
REASONING_EXCEEDS_OUTPUT = "reasoning_exceeds_output"
REFUSAL_CATEGORY = "refusal_category"
REFUSAL_CATEGORY_UNKNOWN = "refusal_category_unknown"
REFUSAL_OUTPUT_UNCLEAR = "refusal_output_unclear"
REPEATED_START = "repeated_message_start"
RETRY_DELAY = "retry_delay"
SERVER_TOOL_UNCOUNTED = "server_tool_uncounted"
TOTAL_MISMATCH = "total_mismatch"
UNDECODABLE = "undecodable_response"
USAGE_ABSENT = "usage_absent"
USAGE_NOT_KEPT = "usage_not_kept"
USAGE_NOT_OFFERED = "usage_not_offered"
USAGE_OBJECTS_DROPPED = "usage_objects_dropped"

MEANING: Mapping[str, str] = {
    ADVISOR_IN_TOP_LEVEL: "the top-level usage includes the advisor's tokens",
    BAD_COUNT: "a count was no whole number >= 0 and was left out",
    BILLED_BY_DURATION: "billed by the length of the audio: there are no tokens to count",
    BODY_TOO_LARGE: "the body was larger than is kept for reading",
    BODY_UNREADABLE: "the body is not the JSON it should be, or was cut",
    BREAKDOWN_MISMATCH: "usage by model does not add up to the usage of all; by model it counts",
    BYOK: "the upstream bills a key of the user's own; its charge is in the provider's cost",
    CACHE_EXCEEDS_INPUT: "more cached than input tokens were stated; the cached ones were left out",
    COUNTED_BEFORE: "the answer was looked at and counted before this call had ended",
    CACHE_KINDS_UNKNOWN: "of what kind the cached tokens are is not stated",
    CACHE_SPLIT_EXCEEDS: "the split of cache writes by time to live is larger than their total",
    CACHE_SPLIT_REMAINDER: "cache writes without a stated time to live were taken as 5 minutes",
    DECLINED_MODEL_UNKNOWN: "an attempt that declined does not say which model ran it",
    ERROR_CODE: "the provider's finer error code",
    EVENT_TOO_LARGE: "an event was larger than is kept for reading",
    EVENT_UNREADABLE: "an event's data could not be read",
    FALLBACK_CREDIT: "outcome of a fallback credit; redeemed means billed below list price",
    FALLBACK_UNITEMIZED: "a model declined within the call, but no list of attempts came",
    FINAL_USAGE_MISSING: "the stream ended in order, but without its final usage",
    INCLUDE_USAGE_ABSENT: "a stream without usage: stream_options.include_usage was not asked",
    INPUT_MISMATCH: "the kinds of input do not add up to it",
    INPUT_ZERO_IGNORED: "a gateway's later usage put 0 for a positive count; that one counts",
    INPUT_ZEROED: "the final usage set a positive count to zero",
    ITERATION_TYPE_UNKNOWN: "an attempt of a type we do not know was billed as one of its own",
    ITERATIONS_DROPPED: "there were more attempts than are read; the first are not counted",
    ITERATIONS_MISMATCH: "the attempts do not add up to the top-level usage; the attempts count",
    ITERATIONS_WITHOUT_MESSAGE: "top-level usage without an attempt that it belongs to",
    METRICS_MISMATCH: "the platform's own counts beside the answer differ from the answer's",
    MODALITY_EXCEEDS: "a kind of token was more than what it is part of; it was left out",
    MODALITY_SPLIT_UNCLEAR: "which media the cached tokens are of was not stated; taken as text",
    REASONING_EXCEEDS_OUTPUT: "more reasoning than output was stated; the reasoning was left out",
    REFUSAL_CATEGORY: "the policy category of a refusal",
    REFUSAL_CATEGORY_UNKNOWN: "an attempt declined before output, why is unknown: unbilled",
    REFUSAL_OUTPUT_UNCLEAR: "a refusal without content, but with output tokens; taken as billed",
    REPEATED_START: "the message began a second time; the last beginning counts",
    RETRY_DELAY: "the provider says, in the body, how long to wait before a retry",
    SERVER_TOOL_UNCOUNTED: "a tool of the provider's ran; what it used is not stated",
    TOTAL_MISMATCH: "the counts do not add up to the provider's total, read in any known way",
    UNDECODABLE: "the body's content-encoding is unknown or broken; the rest was not read",
    USAGE_ABSENT: "a successful response without a token count in it",
    USAGE_NOT_KEPT: "a usage object was too large, too deep or too wordy to be kept verbatim",
    USAGE_NOT_OFFERED: "this kind of answer never states its usage",
    USAGE_OBJECTS_DROPPED: "there were more usage objects than are kept verbatim",
}


def detailed(note: str, detail: str) -> str:
    """A note with its detail."""
    return f"{note}:{detail}"
