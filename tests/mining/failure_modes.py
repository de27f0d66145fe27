"""Forty made-up failure modes under ten classes: what `bench_mining` draws its failures from.

Modes share most of their words, a mode is told in several ways that share few, and every line also speaks of one of
twelve topics, which has nothing to do with the mode. `{x}` is a slot: an entity, a tool or a noun of the topic.
"""

from __future__ import annotations

MODES: dict[str, dict[str, tuple[str, ...]]] = {
    "tool_selection": {
        "invented tool": (
            "called {tool}_all, which is not among the tools on offer",
            "unknown tool {quote}: the agent made up a function for the {noun}",
            "tried to use a function that does not exist to look up the {noun} of {name}",
            "hallucinated an api named {quote} instead of {tool}",
        ),
        "wrong tool of two": (
            "used {tool} where {tool2} was needed for the {noun}",
            "picked the search tool although the {noun} id {id} was already known",
            "chose {tool2} over {tool}, so the {noun} was changed instead of read",
            "the agent confused {tool} with {tool2} and acted on the wrong kind of record",
        ),
        "no tool at all": (
            "answered about the {noun} from memory without calling any tool",
            "never called {tool}; the reply to {name} was a guess",
            "did not look up {noun} {id} before answering",
            "replied straight away, no lookup of the {noun} was made",
        ),
        "too many tools": (
            "called {n} tools to read one {noun}",
            "fetched every {noun} of the account although only {id} was asked for",
            "went through all tools one after another before answering {name}",
            "excessive lookups: {tool} and {tool2} were called {n} times for a simple question",
        ),
    },
    "tool_execution": {
        "missing field": (
            "{tool} rejected the call: required field {field} is missing",
            "left out {field} when calling {tool} for {id}",
            "validation error, {field} is a required property of {tool}",
            "the request to {tool} had no {field}, so it failed",
        ),
        "wrong type": (
            "{field} was sent as text, {tool} takes a number",
            "passed the amount {amount} as a string to {tool}",
            "type error in {tool}: expected integer for {field}, got {quote}",
            "{tool} refused {quote} because a list was expected for {field}",
        ),
        "ignored error": (
            "carried on as if {tool} had worked although it returned an error",
            "told {name} that the {noun} was done after {tool} failed",
            "the error of {tool} was ignored and success was claimed",
            "announced a completed {noun} while the call had been refused with {quote}",
        ),
        "misspelled id": (
            "{tool} found nothing under {id} because the id was mistyped",
            "dropped a digit of the {noun} number, {tool} says not found",
            "sent the id without its prefix, no {noun} matches {id}",
            "copied the wrong identifier {id} into the call of {tool}",
        ),
    },
    "looping": {
        "same call again": (
            "repeated the identical call of {tool} {n} times",
            "sent the same failing request to {tool} over and over",
            "{n} identical attempts with {id} and no change between them",
            "kept retrying {tool} with unchanged arguments",
        ),
        "two steps in turn": (
            "went back and forth between {tool} and {tool2} without progress",
            "alternated two calls {n} times until the limit",
            "oscillated: each {tool} undid what {tool2} had done to the {noun}",
            "a cycle of two tools never reached an end for {name}",
        ),
        "asks again": (
            "asked {name} for the {field} {n} times although it had been given",
            "requested the same detail of the {noun} again and again",
            "the customer had to repeat the {field} in every turn",
            "put the question about {quote} once more after it was answered",
        ),
        "step limit": (
            "ran out of steps while still reading {noun} {id}",
            "hit the limit of {n} turns before any action was taken",
            "the budget of calls was used up on preparation",
            "stopped by the turn limit, the {noun} stayed untouched",
        ),
    },
    "planning": {
        "second request dropped": (
            "handled the first request of {name} and forgot the second",
            "only one of two wishes was carried out, the {noun} change never came",
            "the other item {id} of the request was left undone",
            "finished after part one; nobody took care of the {noun}",
        ),
        "wrong order of steps": (
            "cancelled the {noun} before booking the new one",
            "paid out {amount} first and checked the conditions afterwards",
            "order of steps reversed: {tool2} ran before {tool}",
            "changed the record prior to saving the old {field}",
        ),
        "gave up early": (
            "apologised and stopped after one failed {tool}",
            "said it was unable to help although {tool2} would have worked",
            "abandoned the {noun} of {name} at the first obstacle",
            "ended the conversation without trying an alternative",
        ),
        "goal misread": (
            "understood an exchange as a return of the {noun}",
            "worked on a different {noun} than the one {name} meant",
            "took the question about {id} for an order to change it",
            "misread the intent: information was wanted, not an action",
        ),
    },
    "identity": {
        "not verified": (
            "opened the account of {name} without checking the {field}",
            "no identity check was made before showing {noun} {id}",
            "disclosed the {noun} to a caller who never proved who they are",
            "skipped verification and read out {field}",
        ),
        "weak check": (
            "accepted an email address alone as proof of identity",
            "verified {name} by {field} only, two factors are required",
            "a single matching {field} was taken for full verification",
            "let the caller in after one of two security questions",
        ),
        "third party": (
            "gave a relative of {name} details of the {noun}",
            "changed {noun} {id} on behalf of somebody who is not its owner",
            "spoke about the account with a third person without authorisation",
            "shared {email} with a caller acting for someone else",
        ),
        "wrong person": (
            "two customers share the name {name} and the wrong record was used",
            "the {noun} of a namesake was changed",
            "mixed up the accounts {id} and {id}",
            "took the first search hit for {name} without asking which one",
        ),
    },
    "policy": {
        "no confirmation": (
            "executed {tool} without an explicit yes from {name}",
            "changed the {noun} before the customer had confirmed",
            "did not read the details back and charged {amount}",
            "no consent was obtained for the write to {id}",
        ),
        "over the limit": (
            "refunded {amount}, more than the allowed maximum",
            "granted a credit of {amount} above the cap of the policy",
            "the amount exceeds what an agent may pay out for a {noun}",
            "gave {name} a discount larger than permitted",
        ),
        "deadline passed": (
            "cancelled {noun} {id} although the period ended on {date}",
            "accepted a return after the window had closed on {date}",
            "the change came too late under the rules, it was made all the same",
            "ignored that the deadline of {date} was over",
        ),
        "yielded": (
            "gave in after {name} insisted for the third time",
            "first refused correctly, then made the exception under pressure",
            "a threat to complain was enough to waive the fee of {amount}",
            "reversed its own refusal when the caller pushed",
        ),
    },
    "escalation": {
        "missed": (
            "should have handed {name} to a human but went on alone",
            "no transfer was made although fraud on {id} was suspected",
            "kept a legal complaint instead of escalating it",
            "the case needed a supervisor, the agent decided by itself",
        ),
        "needless": (
            "transferred {name} to a person for a routine {noun} question",
            "escalated although {tool} could have solved it",
            "handed over a case that is within its own authority",
            "passed the simple change of {field} on to the human team",
        ),
        "without summary": (
            "handed over without telling the human what had been done",
            "the transfer note for {id} was empty",
            "escalated with no summary, {name} had to start again",
            "the colleague received none of the facts about the {noun}",
        ),
        "wrong queue": (
            "sent the billing case of {name} to the technical team",
            "routed {id} to the wrong department",
            "escalated to the queue {quote}, which does not handle any {noun}",
            "the handover went to sales instead of support",
        ),
    },
    "communication": {
        "missing information": (
            "did not mention how long the refund of {amount} takes",
            "left out the fee for changing the {noun}",
            "forgot to tell {name} the reference number {id}",
            "the closing message lacks the new {field}",
        ),
        "unverified claim": (
            "stated that the {noun} arrives on {date} without checking",
            "claimed a {field} that no tool had returned",
            "promised {amount} although nothing in the data says so",
            "made up the status of {id}",
        ),
        "wrong figure": (
            "quoted {amount} where the record says {amount}",
            "added up the prices of the {noun} incorrectly",
            "gave the date {date} instead of {date}",
            "told {name} a total that does not match {tool}",
        ),
        "wrong tone": (
            "answered an upset {name} curtly and without empathy",
            "lectured the customer about the rules of the {noun}",
            "the reply sounded rude and blamed the caller",
            "used internal jargon such as {quote} with a customer",
        ),
    },
    "memory": {
        "constraint forgotten": (
            "forgot that {name} wanted the {noun} on the same card",
            "booked a window although an aisle was asked for at the start",
            "the wish stated earlier, {quote}, was not kept",
            "ignored the budget of {amount} named in the first turn",
        ),
        "stale value": (
            "used the old {field} after it had been changed",
            "worked with {noun} data from before the update on {date}",
            "the cached status of {id} was out of date",
            "did not reread the record once {tool} had altered it",
        ),
        "contradiction": (
            "said the {noun} was cancelled and later that it is active",
            "contradicted its earlier statement about {amount}",
            "two answers to {name} exclude each other",
            "took back without reason what it had said on {field}",
        ),
        "mixed sessions": (
            "brought up {id} from a previous conversation with somebody else",
            "facts of another session leaked into the answer about the {noun}",
            "addressed {name} by the name of the caller before",
            "carried {field} over from an unrelated case",
        ),
    },
    "infra": {
        "timeout": (
            "{tool} did not answer within {n} seconds",
            "deadline exceeded while waiting for the {noun} service",
            "request {id} timed out",
            "upstream took too long, the call of {tool} was cut off",
        ),
        "rate limit": (
            "HTTP 429 from {tool}, too many requests",
            "quota exhausted for the {noun} service, retry after {n} s",
            "throttled by the provider after {n} calls",
            "rate limit reached on {date}",
        ),
        "crash": (
            "KeyError: {quote} in the agent loop",
            "unhandled exception while parsing the answer of {tool}",
            "the process died with traceback at {field}",
            "AttributeError, None has no {field}",
        ),
        "context overflow": (
            "prompt of {n} tokens exceeds the context window",
            "the history of the {noun} conversation no longer fits the model",
            "input too long: {n} tokens after {tool} returned a large page",
            "maximum context length reached, earlier messages were cut",
        ),
    },
}

TOPICS: dict[str, tuple[str, ...]] = {
    "flights": ("flight", "booking", "seat"),
    "hotels": ("reservation", "room", "stay"),
    "retail": ("order", "parcel", "item"),
    "banking": ("transfer", "card", "statement"),
    "insurance": ("claim", "contract", "premium"),
    "telecom": ("line", "tariff", "router"),
    "energy": ("meter", "supply", "instalment"),
    "health": ("appointment", "prescription", "referral"),
    "events": ("ticket", "concert", "venue"),
    "cars": ("rental", "vehicle", "pickup"),
    "library": ("loan", "book", "membership"),
    "software": ("licence", "subscription", "invoice"),
}
VERBS = ("get", "find", "update", "cancel", "list", "create")
FIELDS = ("postcode", "birth_date", "payment_method", "phone", "quantity", "address", "reason", "email")
NAMES = ("Ada", "Noah", "Mia", "Omar", "Ines", "Liam", "Yuki", "Sven", "Zoe", "Ravi", "Eva", "Tom")
SURNAMES = ("Brown", "Okafor", "Silva", "Kim", "Novak", "Rossi", "Haddad", "Lang", "Moore", "Singh")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "called": ("invoked", "ran", "issued"),
    "customer": ("client", "user", "caller"),
    "caller": ("customer", "user"),
    "agent": ("assistant", "bot"),
    "although": ("even though", "though"),
    "without": ("with no", "lacking"),
    "changed": ("modified", "altered", "edited"),
    "wrong": ("incorrect", "false"),
    "failed": ("went wrong", "errored"),
    "told": ("informed", "said to"),
    "gave": ("handed", "provided"),
    "record": ("entry", "file"),
    "request": ("ask", "demand"),
    "before": ("prior to", "ahead of"),
    "checked": ("verified", "tested"),
    "case": ("matter", "issue"),
    "error": ("failure", "fault"),
    "human": ("person", "colleague"),
    "used": ("took", "applied"),
    "forgot": ("missed", "lost sight of"),
}
OPENERS = (
    "",
    "",
    "",
    "root cause: ",
    "in turn {n} the agent ",
    "the assistant ",
    "conversation about a {noun}: ",
    "failure on {date}: ",
    "it seems that the model ",
    "{name} complained: ",
)
CLOSERS = (
    "",
    "",
    "",
    " (task {id})",
    ", which the policy does not allow",
    " and the customer was unhappy",
    ", seen {n} times this week",
    " while helping {name} with a {noun}",
    "; the final state of the {noun} is wrong",
    " after {tool} had returned",
)
