"""The tables of a ledger.

Every table has a deterministic key: it never depends on which rollout happened to finish first.
"""

from __future__ import annotations

from optimizer.ledger.table import Table, columns

APPLICATION_ID = 0x686F6E65
"""`hone` in ASCII: tells a ledger from any other SQLite file."""
MAJOR, MINOR = 2, 1
USER_VERSION = MAJOR * 1000 + MINOR
"""A reader opens any minor version of its major, which differ by whole tables; any other major is refused."""

USAGE = (
    "input_tokens INTEGER, cached_tokens INTEGER, output_tokens INTEGER, reasoning_tokens INTEGER, usd REAL?,"
    " n_calls INTEGER, n_replayed_calls INTEGER"
)

CAMPAIGN = Table(
    name="campaign",
    columns=columns(
        "id INTEGER, campaign TEXT, benchmark TEXT, benchmark_version TEXT, base_commit TEXT, base_tree "
        "TEXT, seed INTEGER, settings_json TEXT, settings_hash TEXT, split_manifest_hash TEXT, "
        "started_at TEXT, hone_version TEXT, is_simulated INTEGER"
    ),
    key=("id",),
)
SESSION = Table(
    name="session",
    columns=columns(
        "id INTEGER, started_at REAL, pid INTEGER, host TEXT, limit_usd REAL?, limit_tokens INTEGER?, "
        "limit_rollouts INTEGER?, limit_candidates INTEGER?, limit_hours REAL?"
    ),
    key=("id",),
    is_content=False,
)
HEARTBEAT = Table(
    name="heartbeat",
    columns=columns("session_id INTEGER, seq INTEGER, beat_at REAL"),
    key=("session_id", "seq"),
    is_compact=True,
    is_content=False,
)
SESSION_END = Table(
    name="session_end",
    columns=columns("session_id INTEGER, ended_at REAL, reason TEXT"),
    key=("session_id",),
    is_content=False,
)
BLOB = Table(
    name="blob",
    columns=columns("sha TEXT, pack INTEGER, offset INTEGER, length INTEGER, kind TEXT"),
    key=("sha",),
    is_compact=True,
)
TASK = Table(
    name="task",
    columns=columns("id TEXT, split TEXT, group_name TEXT, slices TEXT"),
    key=("id",),
    is_compact=True,
)
ROLLOUT = Table(
    name="rollout",
    columns=columns(
        "id TEXT, tree TEXT, task_id TEXT, purpose TEXT, trial INTEGER, status TEXT, score REAL?, checks "
        f"TEXT, {USAGE}, trace_sha TEXT?, note TEXT, sandbox_level TEXT, wall_s REAL, cpu_s REAL, "
        "recorded_at REAL"
    ),
    key=("id",),
    indexes=("tree, purpose", "task_id, purpose", "trace_sha"),
)
ROLLOUT_METRIC = Table(
    name="rollout_metric",
    columns=columns("rollout_id TEXT, name TEXT, value REAL"),
    key=("rollout_id", "name"),
    is_compact=True,
)
TALLY = Table(
    name="tally",
    columns=columns(f"n_rollouts INTEGER, n_unpriced INTEGER, {USAGE}"),
    key=("n_rollouts",),
    is_content=False,
)
TRACE_EVENT = Table(
    name="trace_event",
    columns=columns("trace_sha TEXT, seq INTEGER, kind TEXT, name TEXT, is_error INTEGER, preview TEXT, wall_s REAL"),
    key=("trace_sha", "seq"),
    is_compact=True,
)
MODEL_CALL = Table(
    name="model_call",
    columns=columns(
        f"luck TEXT, request_hash TEXT, occurrence INTEGER, rollout_id TEXT, body BLOB, body_hash TEXT, {USAGE}"
    ),
    key=("luck", "request_hash", "occurrence"),
    indexes=("rollout_id",),
)
CALL_INTENT = Table(
    name="call_intent",
    columns=columns(
        "id INTEGER, luck TEXT, request_hash TEXT, occurrence INTEGER, rollout_id TEXT, usd REAL?, tokens INTEGER, "
        "recorded_at REAL"
    ),
    key=("id",),
    is_content=False,
)
CALL_INTENT_END = Table(
    name="call_intent_end",
    columns=columns("id INTEGER, outcome TEXT, ended_at REAL"),
    key=("id",),
    is_content=False,
)
BATCH = Table(
    name="batch",
    columns=columns("n INTEGER, head_commit TEXT, task_ids TEXT, rollout_ids TEXT, recorded_at REAL"),
    key=("n",),
)
FAILURE = Table(
    name="failure",
    columns=columns(
        "id TEXT, batch INTEGER, rollout_id TEXT, task_id TEXT, tree TEXT, signal TEXT, label TEXT, "
        "symptom TEXT, cause TEXT, evidence TEXT, span INTEGER?, severity REAL, signature TEXT, "
        "check_name TEXT, expected TEXT, context TEXT, rung TEXT, diagnosed_by TEXT"
    ),
    key=("id",),
    indexes=("batch, id", "rollout_id"),
    is_compact=True,
)
MODEL_ANSWER = Table(
    name="model_answer",
    columns=columns(
        "purpose TEXT, subject TEXT, question_hash TEXT, model TEXT, outcome TEXT, text TEXT, tool_calls TEXT, "
        f"stop TEXT, {USAGE}, recorded_at REAL"
    ),
    key=("purpose", "subject", "question_hash"),
)
DIAGNOSIS = Table(
    name="diagnosis",
    columns=columns(
        "failure_id TEXT, batch INTEGER, model TEXT, outcome TEXT, label TEXT, span INTEGER?, evidence TEXT, cause "
        "TEXT, expected TEXT, intervention TEXT, rung TEXT?, superseded_by TEXT?, winner TEXT?, rule TEXT, refused "
        f"TEXT, {USAGE}, recorded_at REAL"
    ),
    key=("failure_id",),
    indexes=("outcome, failure_id",),
)
CLUSTER = Table(
    name="cluster",
    columns=columns(
        "id INTEGER, batch INTEGER, step INTEGER, label TEXT, signature TEXT, name TEXT, state TEXT, "
        "n_failures INTEGER, n_attempts INTEGER, n_fruitless INTEGER, failing_tasks TEXT, severity REAL, "
        "last_seen_batch INTEGER, dormant_until_batch INTEGER?, parent INTEGER?, weight REAL, "
        "n_resolved INTEGER, resolved_by INTEGER?, reopened_since TEXT?"
    ),
    key=("id", "batch", "step"),
    indexes=("parent, id WHERE parent IS NOT NULL",),
    is_compact=True,
)
CLUSTER_MEMBER = Table(
    name="cluster_member",
    columns=columns("cluster_id INTEGER, failure_id TEXT"),
    key=("cluster_id", "failure_id"),
    indexes=("failure_id",),
    is_compact=True,
)
EVAL_CASE = Table(
    name="eval_case",
    columns=columns(
        "id TEXT, batch INTEGER, step INTEGER, task_id TEXT, cluster_id INTEGER, failure_id TEXT, "
        "rollout_id TEXT, check_name TEXT, state TEXT, n_runs INTEGER, n_passes INTEGER, note TEXT, "
        "layer TEXT, weight REAL, slices TEXT, synthetic_of TEXT?, prefix INTEGER?, verification TEXT"
    ),
    key=("id", "batch", "step"),
    indexes=("cluster_id, id", "failure_id, id", "task_id, id"),
    is_compact=True,
)
DATASET = Table(
    name="dataset",
    columns=columns("id TEXT, batch INTEGER, step INTEGER, parent TEXT, entries TEXT, pedigree TEXT"),
    key=("id",),
    is_compact=True,
)
REVIEW = Table(
    name="review",
    columns=columns(
        "id TEXT, batch INTEGER, step INTEGER, kind TEXT, subject TEXT, question TEXT, options TEXT, default_answer "
        "TEXT, cautious_answer TEXT, payload TEXT, is_waiting INTEGER"
    ),
    key=("id",),
    indexes=("subject, id",),
)
REVIEW_ANSWER = Table(
    name="review_answer",
    columns=columns(
        "item_id TEXT, ord INTEGER, answer TEXT, answered_by TEXT, note TEXT, batch INTEGER, step INTEGER, "
        "recorded_at REAL"
    ),
    key=("item_id", "ord"),
    is_compact=True,
)
CONTROL_READ = Table(
    name="control_read",
    columns=columns("n INTEGER, batch INTEGER, step INTEGER, n_messages INTEGER, recorded_at REAL"),
    key=("n",),
)
CONTROL_MESSAGE = Table(
    name="control_message",
    columns=columns("id TEXT, read_n INTEGER, ord INTEGER, who TEXT, verb TEXT, payload TEXT, sent_at REAL"),
    key=("id",),
    indexes=("read_n, ord",),
)
PROPOSAL = Table(
    name="proposal",
    columns=columns(
        "n INTEGER, batch INTEGER, cluster_id INTEGER, is_proposed INTEGER, title TEXT, hypothesis TEXT, "
        "edits TEXT, target_tasks TEXT, rung TEXT?, proposer TEXT, predicted_fixes TEXT, predicted_risks "
        f"TEXT, proposal_usage TEXT?, refusal_code TEXT?, refusal_reason TEXT?, {USAGE}, recorded_at REAL"
    ),
    key=("n",),
    indexes=("cluster_id, n", "refusal_code, n WHERE refusal_code IS NOT NULL"),
)
CANDIDATE = Table(
    name="candidate",
    columns=columns(
        "n INTEGER, parent TEXT, parent_n INTEGER?, commit_sha TEXT, tree TEXT, cluster_id INTEGER, "
        "batch INTEGER, diff_sha TEXT, recorded_at REAL"
    ),
    key=("n",),
    unique=("tree",),
    indexes=("parent_n, n", "commit_sha", "cluster_id, n"),
)
DECISION = Table(
    name="decision",
    columns=columns(
        "candidate INTEGER, verdict TEXT, reason_code TEXT, reason TEXT, val_before REAL?, val_after "
        "REAL?, val_low REAL?, val_high REAL?, fixed TEXT, broken TEXT, n_fixed INTEGER, n_broken "
        f"INTEGER, n_rollouts INTEGER, {USAGE}, recorded_at REAL"
    ),
    key=("candidate",),
    indexes=("verdict, candidate", "reason_code, verdict, candidate", "val_after, candidate"),
)
GATE_CHECK = Table(
    name="gate_check",
    columns=columns(
        "candidate INTEGER, ord INTEGER, name TEXT, value REAL?, op TEXT, threshold REAL, is_passed INTEGER?, note TEXT"
    ),
    key=("candidate", "ord"),
    is_compact=True,
)
TASK_RESULT = Table(
    name="task_result",
    columns=columns(
        "candidate INTEGER, split TEXT, task_id TEXT, purpose TEXT, trial INTEGER, is_passed INTEGER, "
        "base_passed INTEGER?, rollout_id TEXT"
    ),
    key=("candidate", "split", "task_id", "purpose", "trial"),
    indexes=("task_id, candidate", "candidate WHERE is_passed <> base_passed"),
    is_compact=True,
)
ACCEPTED = Table(
    name="accepted",
    columns=columns("candidate INTEGER, commit_sha TEXT, position INTEGER, recorded_at REAL"),
    key=("candidate",),
    unique=("position",),
    indexes=("commit_sha",),
)
EVENT = Table(
    name="event",
    columns=columns("seq INTEGER, kind TEXT, candidate INTEGER?, text TEXT, recorded_at REAL"),
    key=("seq",),
)
TRUNK = Table(
    name="trunk",
    columns=columns(
        "seq INTEGER, batch INTEGER, commit_sha TEXT, candidate INTEGER?, value REAL, low REAL?, high "
        "REAL?, n_tasks INTEGER, n_rollouts INTEGER, recorded_at REAL"
    ),
    key=("seq",),
)
SPEND = Table(
    name="spend",
    columns=columns("seq INTEGER, usd REAL, tokens INTEGER, rollouts INTEGER, candidates INTEGER, recorded_at REAL"),
    key=("seq",),
)
END = Table(
    name="campaign_end",
    is_content=False,
    columns=columns("session_id INTEGER, seq INTEGER, reason_code TEXT, text TEXT, recorded_at REAL"),
    key=("session_id", "seq"),
)
FINAL_SEAL = Table(
    name="final_seal",
    columns=columns(
        "n INTEGER, benchmark TEXT, benchmark_version TEXT, split_manifest_hash TEXT, base_commit TEXT, base_tree "
        "TEXT, head_commit TEXT, head_tree TEXT, n_trials INTEGER, is_untouched INTEGER, opened_at REAL"
    ),
    key=("n",),
)
FINAL_RESULT = Table(
    name="final_result",
    columns=columns(
        "n INTEGER, base REAL, head REAL, difference REAL, low REAL, high REAL, n_tasks INTEGER, n_groups INTEGER, "
        "n_trials INTEGER, n_rollouts INTEGER, n_unmeasured INTEGER, n_val_candidates INTEGER, sandbox_levels TEXT, "
        f"slices TEXT, is_simulated INTEGER, {USAGE}, recorded_at REAL"
    ),
    key=("n",),
)
CALIBRATION = Table(
    name="calibration",
    columns=columns("tree TEXT, n_trials INTEGER, content TEXT, recorded_at REAL"),
    key=("tree", "n_trials"),
)

TABLES: tuple[Table, ...] = (
    CAMPAIGN,
    SESSION,
    HEARTBEAT,
    SESSION_END,
    BLOB,
    TASK,
    ROLLOUT,
    ROLLOUT_METRIC,
    TALLY,
    TRACE_EVENT,
    MODEL_CALL,
    CALL_INTENT,
    CALL_INTENT_END,
    BATCH,
    FAILURE,
    MODEL_ANSWER,
    DIAGNOSIS,
    CLUSTER,
    CLUSTER_MEMBER,
    EVAL_CASE,
    DATASET,
    REVIEW,
    REVIEW_ANSWER,
    CONTROL_READ,
    CONTROL_MESSAGE,
    PROPOSAL,
    CANDIDATE,
    DECISION,
    GATE_CHECK,
    TASK_RESULT,
    ACCEPTED,
    EVENT,
    TRUNK,
    SPEND,
    END,
    FINAL_SEAL,
    FINAL_RESULT,
    CALIBRATION,
)


def schema_sql() -> tuple[str, ...]:
    """All statements that turn an empty database into a ledger of this version."""
    statements = [statement for table in TABLES for statement in table.statements()]
    return (*statements, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {USER_VERSION}")
