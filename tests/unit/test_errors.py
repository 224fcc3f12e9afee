"""Whatever goes wrong with a command is one line on standard error: what, where, what to do; never a traceback."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from commands import ALL, NAMES_OF_SETTINGS, run
from leadline.cli import common
from leadline.foreign_text import shown

HOSTILE = "[/b]\x1b[31m\u202e\n"
DEEP = "a = " + "[" * 100_000
REQUEST = '{"request_id": "r", "event_time": 1767225600000, "features": {"x": %s}, "user_id": "%s"}'
OUTCOME = '{"request_id": "r", "outcome": %s, "outcome_time": %s}'
LOG = "request_id,event_time,model_version,score,label_pred,segment,arrival_time,outcome,outcome_time\n"
ADD = ["model", "add", "m.skops", "--settings", "good.toml", "--reference", "ref.csv"]
REPLAY = ["replay", "--predictions", "log.csv", "--outcomes", "log.csv", "--horizon", "1d", "--window", "1d"]
REQUESTS = ["send", "--to", "requests", "--model", "good"]
OUTCOMES = ["send", "--to", "outcomes"]
PULL = ["mlflow", "pull", "--from", "sqlite:///m.db", "--settings", "good.toml", "--reference", "ref.csv"]
WHAT_IF = ["rollout", "simulate", *REPLAY[1:], "--champion", "v", "--challenger", "w"]
NONE, GONE, THERE = None, "127.0.0.1:1", "there"
"""KAFKA_BOOTSTRAP: not set, where nobody listens, and where every command thinks that a broker answers."""

CASES = [
    # command, exit code, what is said, KAFKA_BOOTSTRAP
    (["up", "--port", "99999"], 2, "--port", NONE),
    (["up", "--workers", "0"], 2, "--workers", NONE),
    (["up", "--port", "0", "--data", "/dev/null/x"], 1, "/dev/null", NONE),
    (["up"], 1, "127.0.0.1:1 does not answer", GONE),
    (["worker"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["worker", "--step", HOSTILE], 2, "is not one of 'scoring', 'shadow', 'join'", GONE),
    (["worker", "join"], 2, "join", GONE),
    (["topics", "plan"], 1, "127.0.0.1:1 does not answer", GONE),
    (["topics", "plan", "--retention", HOSTILE], 2, "duration", GONE),
    (["topics", "plan", "--partitions", "two"], 2, "--partitions", GONE),
    (["topics", "apply"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["topics", "apply", "--retention", "soon"], 2, "--retention: 'soon' is not a duration", GONE),
    (["topics", "apply", "--partitions", "0"], 2, "--partitions", GONE),
    (["topics", "acls", "extra"], 2, "extra", NONE),
    (["topics", "acls", "--producer"], 2, "--producer", NONE),
    (["topics", "acls", "--owner", "User:me"], 2, "--owner", NONE),
    (["asyncapi", HOSTILE], 2, "unexpected", NONE),
    (["asyncapi", "--yaml"], 2, "--yaml", NONE),
    (["asyncapi", "--json=1"], 2, "--json", NONE),
    ([*ADD, "--settings", "none.toml"], 1, "none.toml: no such", NONE),
    ([*ADD, "--settings", "deep.toml"], 1, "deep.toml: not valid TOML", NONE),
    ([*ADD, "--settings", "wrong.toml"], 1, "wrong.toml: size", NONE),
    ([*ADD, "--settings", "."], 1, "cannot be read", NONE),
    ([*ADD, "--reference", "none.csv"], 1, "none.csv: cannot be read", NONE),
    ([*ADD, "--reference", "ref.txt"], 1, "ref.txt: write the reference as", NONE),
    ([*ADD, "--outcome", HOSTILE], 1, "error: ", NONE),
    (ADD, 1, "skops", NONE),
    ([*ADD, "--champion"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    ([*ADD, "--timeout", "soon"], 2, "--timeout: 'soon' is not a duration", NONE),
    ([*ADD, "--version", "../v1"], 1, "cannot name a version", NONE),
    (["model", "promote", "../st", "x"], 1, "has no version x", GONE),
    (["model", "promote", "good", "v1"], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "promote", "good", "v1", "--timeout", "soon"], 2, "--timeout: 'soon' is not a duration", NONE),
    (["model", "promote", "good"], 2, "'version'", NONE),
    (["model", "promote", "good", "@champion"], 1, "the champion of good is not known", NONE),
    (["model", "promote", "good", "@newest"], 2, "is no alias", NONE),
    (["model", "promote", "models:/good"], 2, "names no version", NONE),
    (["model", "diff", "good", "v1"], 2, "'after'", NONE),
    (["model", "diff", HOSTILE, "v1", "v2", "v3"], 2, "unexpected", NONE),
    (["model", "diff", "good", "v1", "@challenger"], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "card", "good"], 2, "'version'", NONE),
    (["model", "card", HOSTILE, HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "card", "models:/good@champion"], 1, "the champion of good is not known", NONE),
    (["model", "export", "good", "v1"], 2, "'file'", NONE),
    (["model", "export", "good", "v1", "v1.tar"], 1, "manifest.json is not JSON", NONE),
    (["model", "export", HOSTILE, "v1", "v1.tar"], 1, "has no version", NONE),
    (["model", "promote", HOSTILE, HOSTILE], 1, "has no version", NONE),
    (["approve", "good", "--reason", "r"], 2, "'version'", NONE),
    (["approve", "good", "v1"], 2, "--reason", NONE),
    (["approve", "good", "@newest", "--reason", "r"], 2, "is no alias", NONE),
    (["reject", "good", "--reason", "r"], 2, "say which version of good", NONE),
    (["approve", "good", "v1", "--reason", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["reject", "good", "v1", "--reason", "r", "--timeout", "soon"], 2, "--timeout", GONE),
    (["reject", "good", "v1", "--reason", "r"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["reject", HOSTILE, HOSTILE, "--reason", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "start", "good", "v2"], 2, "--reason", NONE),
    (["rollout", "start", "good", "--reason", "r"], 2, "say which version of good", NONE),
    (["rollout", "start", "good", "v2", "--reason", "r", "--mode", "ab"], 2, "write --mode ab --share v2=0.3", GONE),
    (["rollout", "start", "good", "v2", "--reason", "r", "--share", "v2=0.3"], 2, "write --mode ab --share v2=0.3", GONE),
    (["rollout", "start", "good", "v2", "--reason", "r", "--mode", "ab", "--share", HOSTILE], 2, "is not VERSION=SHARE", GONE),
    (["rollout", "start", "good", "v2", "--reason", "r", "--mode", "ab", "--share", "v2=1_0"], 2, "between 0 and 1", GONE),
    (["rollout", "start", "good", "v2", "--reason", "r", "--mode", "ab", "--share", "a=0.6", "--share", "b=0.6"], 2, "more than 1", GONE),
    (["rollout", "start", HOSTILE, HOSTILE, "--reason", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "pause", "good"], 2, "--reason", NONE),
    (["rollout", "pause", "good", "--reason", "r"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["rollout", "pause", HOSTILE, HOSTILE, "--reason", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "resume", "good", "--reason", "r", "--timeout", "soon"], 2, "--timeout: 'soon' is not a duration", NONE),
    (["rollout", "resume", "good", "--reason", "r"], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "resume", "--reason", "r"], 2, "'model'", NONE),
    (["rollout", "promote", "good"], 2, "--reason", NONE),
    (["rollout", "promote", "good", "v2", "--reason", "r", "--timeout", "soon"], 2, "--timeout: 'soon' is", NONE),
    (["rollout", "promote", HOSTILE, HOSTILE, "--reason", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "abort", "good"], 2, "--reason", NONE),
    (["rollout", "abort", "good", "v2", "v3", "--reason", "r"], 2, "unexpected", NONE),
    (["rollout", "abort", "good", "--reason", "r"], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "rollback", "good"], 2, "--reason", NONE),
    (["rollout", "rollback", "models:/good", "--reason", "r"], 2, "names no version", NONE),
    (["rollout", "rollback", "good", "v2", "--reason", "r"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["rollout", "status"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["rollout", "status", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "status", "good", "v2"], 2, "unexpected", NONE),
    (["rollout", "story"], 2, "'model'", NONE),
    (["rollout", "story", HOSTILE, HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["rollout", "story", "good"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (WHAT_IF, 1, "log.csv: has no prediction of w: its versions are v", NONE),
    ([*WHAT_IF, "--champion", "w"], 2, "are both w", NONE),
    ([*WHAT_IF, "--challenger", HOSTILE], 1, "has no prediction of", NONE),
    ([*WHAT_IF[:6], "--champion", "v", "--challenger", "w"], 2, "say --horizon and --window", NONE),
    ([*WHAT_IF, "--window", HOSTILE], 2, "--window", NONE),
    ([*WHAT_IF, "--window", "0s"], 1, "window: ", NONE),
    ([*WHAT_IF, "--margin", "1"], 1, "margin: ", NONE),
    ([*WHAT_IF, "--alpha", "much"], 2, "--alpha", NONE),
    ([*WHAT_IF, "--alpha", "0"], 1, "alpha: ", NONE),
    ([*WHAT_IF, "--settings", "wrong.toml"], 1, "wrong.toml: size", NONE),
    ([*WHAT_IF, "--settings", "numbers.toml"], 1, "task is regression", NONE),
    ([*WHAT_IF, "--outcomes", "none.csv"], 2, "none.csv", NONE),
    ([*WHAT_IF, "--predictions", "p.csv"], 1, "p.csv: not a log with the columns", NONE),
    ([*WHAT_IF, "--predictions", "apart.csv"], 1, "apart.csv: no request was scored by both v and w", NONE),
    (["keys", "show"], 1, "config/leadline/key.pem ", NONE),
    (["keys", "show", HOSTILE], 2, "unexpected", NONE),
    (["keys", "show", "--private"], 2, "--private", NONE),
    (["keys", "new"], 1, "key.pem is there already", NONE),
    (["keys", "new", "--force"], 2, "--force", NONE),
    (["keys", "new", HOSTILE], 2, "unexpected", NONE),
    (["model", "init", "none.skops", "--reference", "ref.csv"], 1, "none.skops: No such file", NONE),
    (["model", "init", "m.skops", "--reference", "none.csv"], 1, "none.csv: cannot be read", NONE),
    (["model", "init", "m.skops"], 2, "--reference", NONE),
    (["model", "init", "m.skops", "--reference", "ref.csv", "--name", HOSTILE], 1, "cannot name a model", NONE),
    (["model", "init", "m.skops", "--reference", "ref.csv"], 1, "m.skops is no skops file", NONE),
    (["model", "show"], 2, "'model'", NONE),
    (["gate", "run", "good", "--challenger", "v1", "--data", "ref.csv"], 2, "who answers is not known", NONE),
    (["gate", "run", "good", "--challenger", "v1", "--data", "ref.csv"], 1, "127.0.0.1:1 does not answer", GONE),
    (["gate", "run", HOSTILE, "--challenger", "v1", "--data", "ref.csv", "--first"], 1, "has no model", NONE),
    (["gate", "run", "good", "--challenger", "v9", "--data", "ref.csv", "--first"], 1, "good v9 is not on this disk", NONE),
    (["gate", "run", "good", "--challenger", "v1", "--data", "none.csv", "--first"], 1, "none.csv cannot be read", NONE),
    (["gate", "run", "good", "--data", "ref.csv"], 2, "--challenger", NONE),
    (["gate", "run", "good", "--challenger", "v1", "--data", "ref.csv", "--champion", "v0", "--first"], 2, "say one of them", NONE),
    (["gate", "run", "good", "--challenger", "v1", "--data", "ref.csv", "--candidates", "0"], 2, "--candidates", NONE),
    (["model", "push", "good", "v1"], 2, "--to", NONE),
    (["model", "push", "good", "v1", "--to", "s3://b/p"], 2, "is a URL, and push copies to a folder", NONE),
    (["model", "push", HOSTILE, "v1", "--to", "."], 1, "has no version", NONE),
    (["model", "push", "good", "v1", "--to", "nowhere"], 1, "nowhere is no folder", NONE),
    (["model", "push", "good", "v1", "--to", "models"], 1, "name another one", NONE),
    (["model", "push", "good", "v1", "--to", "."], 1, "manifest.json is not JSON", NONE),
    (["trainer"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["trainer"], 1, "does not answer", GONE),
    (["trainer", HOSTILE], 2, "unexpected", NONE),
    (["notify", "--config", "none.toml"], 1, "none.toml: cannot be read", NONE),
    (["notify", "--config", "pager.toml"], 1, "PAGER_URL is not set", NONE),
    (["notify", "--config", HOSTILE], 1, "cannot be read", NONE),
    (["alerts", "list"], 1, "127.0.0.1:1 does not answer", GONE),
    (["alerts", "list"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["alerts", "list", HOSTILE], 2, "unexpected", NONE),
    (["alerts", "show"], 2, "'ID'", NONE),
    (["alerts", "show", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["alerts", "show", "i1"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["alerts", "acknowledge"], 2, "'ID'", NONE),
    (["alerts", "acknowledge", "i1", "--timeout", "soon"], 2, "--timeout: 'soon' is not a duration", NONE),
    (["alerts", "acknowledge", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["alerts", "silence", "m", "--kind", "performance", "--reason", "r"], 2, "--for", NONE),
    (["alerts", "silence", "m", "--kind", "x", "--for", "soon", "--reason", "r"], 2, "--for: 'soon'", NONE),
    (["alerts", "silence", HOSTILE, "--kind", "x", "--for", "1d", "--reason", "r"], 1, "127.0.0.1:1 does not", GONE),
    (["alerts", "unsilence", "m"], 2, "--kind", NONE),
    (["alerts", "unsilence", "m", "--kind", "x", "--timeout", "soon"], 2, "--timeout: 'soon' is", NONE),
    (["alerts", "unsilence", "m", "--kind", "x"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["model", "list", HOSTILE], 2, "unexpected", NONE),
    (["model", "list"], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "list", "--jsn"], 2, "--jsn", NONE),
    (["model", "show", HOSTILE], 1, "has no model", NONE),
    (["model", "show", "good"], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "configure", "good", HOSTILE, "--reason", "r"], 2, "is not KEY=VALUE", GONE),
    (["model", "configure", "good", "drift.psi=1", "drift.psi=2", "--reason", "r"], 2, "is there twice", GONE),
    (["model", "configure", "good", "drift.psi=1"], 2, "--reason", GONE),
    (["model", "configure", "good", "drift.psi=1", "--reason", "r", "--timeout", "soon"], 2, "--timeout", GONE),
    (["model", "configure", "good", "drift.psi=1", "--reason", "r"], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "configure", "good", "drift.psi=1", "--reason", "r"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["retrain", "good"], 2, "--reason", GONE),
    (["retrain", "good", "--reason", "r", "--force", "--cancel"], 2, "say one of them", GONE),
    (["retrain", HOSTILE, "--reason", "r", "--timeout", "soon"], 2, "--timeout", GONE),
    (["retrain", "good", "--reason", "r"], 1, "127.0.0.1:1 does not answer", GONE),
    (["retrain", "good", "--reason", "r"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["model", "remove", "good"], 1, "say --force", NONE),
    (["model", "remove", "good", "v1"], 1, "127.0.0.1:1 does not answer", GONE),
    (["model", "remove", HOSTILE, "--force"], 1, "has no model", NONE),
    (["model", "remove", "good", "../v1", "--force"], 1, "has no version ../v1", NONE),
    (["verify", "good"], 2, "version", NONE),
    (["verify", "good", "v2"], 1, "has no good v2", NONE),
    (["verify", HOSTILE, "../v1"], 1, "has no", NONE),
    (["verify", "good", "v1", "--json"], 1, "manifest.json is not JSON", NONE),
    (["forget"], 2, "--user", NONE),
    (["forget", "--user", ""], 1, "--user is empty", NONE),
    (["forget", "--user", "u", HOSTILE], 2, "unexpected", NONE),
    ([*OUTCOMES, "rows.jsonl"], 1, "127.0.0.1:1 does not answer", GONE),
    (["send", "rows.jsonl", "--to", HOSTILE], 2, "--to", NONE),
    (["send", "rows.jsonl", "--to", "requests"], 2, "--model is missing", NONE),
    (["send", "rows.jsonl", "--to", "requests", "--model", "../good"], 1, "has no model ../good", THERE),
    ([*OUTCOMES, "none.csv"], 1, "none.csv: no such file", THERE),
    ([*OUTCOMES, "ref.txt"], 1, "send takes", THERE),
    ([*OUTCOMES, "bad.parquet"], 1, "bad.parquet: cannot be read", THERE),
    ([*OUTCOMES, "bad.jsonl.gz"], 1, "bad.jsonl.gz: cannot be read", THERE),
    ([*OUTCOMES, "deep.jsonl"], 1, "deep.jsonl, line 1: not JSON", THERE),
    ([*OUTCOMES, "list.jsonl"], 1, "list.jsonl, line 1: not an object", THERE),
    ([*OUTCOMES, "rows.csv"], 1, "rows.csv, row 2: outcome_time is 'tomorrow'", THERE),
    ([*OUTCOMES, "ragged.csv"], 1, "ragged.csv: cannot be read: CSV parse error: Row #3", THERE),
    ([*OUTCOMES, "log.csv.gz"], 1, "log.csv.gz: cannot be read", THERE),
    ([*OUTCOMES, "column.csv"], 1, "column.csv: no column outcome; it has request_id, Outcome, outcome_time", THERE),
    ([*OUTCOMES, "semicolon.csv"], 1, 'separated by ";"', THERE),
    ([*OUTCOMES, "latin1.csv"], 1, "latin1.csv, line 2: not UTF-8", THERE),
    ([*OUTCOMES, "twice.csv"], 1, "twice.csv: column outcome is there twice", THERE),
    ([*OUTCOMES, "local.csv"], 1, "local.csv, row 1: outcome_time is 2026-10-25 02:30:00, which has no zone", THERE),
    ([*OUTCOMES, "unit.csv"], 1, "unit.csv, row 1: event-time-unit: outcome_time looks like seconds", THERE),
    ([*REQUESTS, "other.jsonl", "--no-atomic"], 1, "nothing was sent", THERE),
    ([*REQUESTS, "other.jsonl"], 1, "other.jsonl: no column x; it has request_id, event_time, X", THERE),
    ([*OUTCOMES, "late.jsonl"], 1, "late.jsonl, line 1: time-out-of-range", THERE),
    ([*OUTCOMES, "huge.jsonl"], 1, "huge.jsonl, line 1: outcome is", THERE),
    ([*OUTCOMES, "int64.jsonl"], 1, "int64.jsonl, line 1: outcome_time is", THERE),
    ([*REQUESTS, "half.jsonl"], 1, "half.jsonl, line 1: a text has half a surrogate pair", THERE),
    ([*REQUESTS, "large.jsonl"], 1, "large.jsonl, line 2: record-too-large", THERE),
    ([*REQUESTS, f"{HOSTILE}.csv"], 1, "no such file", THERE),
    (["tail", HOSTILE], 2, "is not one of 'prediction-requests'", NONE),
    (["tail", "metrics", "-n", "-1"], 2, "-n", NONE),
    (["tail", "predictions"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["tail", "predictions"], 1, "127.0.0.1:1 does not answer", GONE),
    (["dead-letters", "list"], 1, "127.0.0.1:1 does not answer", GONE),
    (["dead-letters", "list", "--since", HOSTILE], 2, "--since", GONE),
    (["dead-letters", "list", "--until", "2026-01-01"], 2, "with zone", GONE),
    (["dead-letters", "list", "--topic", HOSTILE], 2, "is not one of 'prediction-requests'", GONE),
    (["dead-letters", "show"], 2, "'letter'", NONE),
    (["dead-letters", "show", HOSTILE], 2, "such as 0/12", GONE),
    (["dead-letters", "show", "0/1"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["dead-letters", "replay", "--since", "h"], 2, "duration", GONE),
    (["dead-letters", "replay", "--topic", "letters"], 2, "'letters' is not one of", GONE),
    (["dead-letters", "replay", "--dry-run"], 1, "127.0.0.1:1 does not answer", GONE),
    (["audit", "show"], 1, "127.0.0.1:1 does not answer", GONE),
    (["audit", "show", "--since", HOSTILE], 2, "--since", GONE),
    (["mlflow", "push", "good", "v1"], 2, "--to", NONE),
    (["mlflow", "push", "models:/good", "--to", "sqlite:///m.db"], 2, "names no version", NONE),
    (["mlflow", "push", HOSTILE, "v1", "--to", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    ([*PULL, "none"], 2, "names no version", NONE),
    ([*PULL, "models:/theirs@champion", "--settings", "none.toml"], 1, "none.toml: no such", NONE),
    ([*PULL, "models:/theirs@champion", "--reference", "ref.txt"], 1, "127.0.0.1:1 does not answer", GONE),
    (["audit", "show", "--model"], 2, "--model", GONE),
    (["audit", "verify"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["audit", "verify", "--from", "none.jsonl"], 1, "none.jsonl: cannot be read: No such file", NONE),
    (["audit", "verify", "--from", HOSTILE], 1, "cannot be read", NONE),
    (["audit", "who"], 2, "name either --request ID, or --at TIME", GONE),
    (["audit", "who", "--at", "yesterday", "--model", "m"], 2, "--at: 'yesterday' is not ISO-8601", GONE),
    (["audit", "who", "--request", HOSTILE], 1, "127.0.0.1:1 does not answer", GONE),
    (["audit", "export"], 2, "'file'", GONE),
    (["audit", "export", "out.jsonl"], 1, "127.0.0.1:1 does not answer", GONE),
    (["audit", "export", "none/out.jsonl"], 1, "none/out.jsonl: cannot be written", THERE),
    (["metrics", "--windows", "0"], 2, "--windows", NONE),
    (["metrics", "--once", "--json"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["metrics", "--once"], 1, "127.0.0.1:1 does not answer", GONE),
    ([*REPLAY, "--outcomes", "none.csv"], 2, "none.csv", GONE),
    ([*REPLAY, "--horizon", HOSTILE], 2, "--horizon", GONE),
    ([*REPLAY, "--as-of", "today"], 2, "--as-of", GONE),
    ([*REPLAY, "--policy", "last"], 2, "'last' is not one of 'first', 'latest'", GONE),
    ([*REPLAY, "--task", "ranking"], 2, "'ranking' is not one of 'binary', 'regression'", GONE),
    (REPLAY, 1, "127.0.0.1:1 does not answer", GONE),
    ([*REPLAY, "--predictions", "p.csv"], 1, "p.csv: not a log with the columns", GONE),
    ([*REPLAY, "--out", "none/m.csv"], 2, "none/m.csv cannot be written", GONE),
    ([*REPLAY, "--predictions", "two.csv", "--outcomes", "two.csv"], 1, "the labels are 1, 2: say which", GONE),
    ([*REPLAY, "--positive", "x"], 1, "--positive x: the labels", GONE),
    ([*REPLAY, "--predictions", "empty.csv"], 1, "empty.csv: has no rows", GONE),
    ([*REPLAY, "--predictions", "seconds.csv"], 1, "row 1: looks like seconds", GONE),
    (["watch", "calibrate", "gone", "v1"], 1, "has no model gone", NONE),
    (["watch", "calibrate", "good", "v2"], 1, "good v2 is not on this disk", NONE),
    (["watch", "calibrate", HOSTILE, HOSTILE, HOSTILE], 1, "has no model", NONE),
    (["watch", "calibrate", "good", "v1", "--draws", "0"], 2, "--draws", NONE),
    (["report"], 2, "--model", NONE),
    (["report", "--model", "gone"], 1, "has no model gone", NONE),
    (["report", "--model", HOSTILE], 1, "has no model", NONE),
    (["report", "--model", "good"], 1, "KAFKA_BOOTSTRAP is not set", NONE),
    (["report", "--model", "good"], 1, "127.0.0.1:1 does not answer", GONE),
    (["report", "--model", "good", "--out", "none/r.html"], 2, "none/r.html cannot be written", GONE),
    ([*REPLAY, "--report", "none/r.html"], 2, "none/r.html cannot be written", GONE),
    (["simulate", "--seeds", "0"], 2, "--seeds", NONE),
    (["simulate", "--seed", "x"], 2, "--seed", NONE),
    (["simulate", "--events", "0"], 2, "--events", NONE),
    (["ready"], 2, "'model'", NONE),
    (["ready", HOSTILE], 1, "has no model", NONE),
    (["ready", "../good"], 1, "has no model ../good", GONE),
    (["doctor", "--no-such"], 2, "--no-such", NONE),
    (["doctor", "Kafka"], 2, "Kafka", NONE),
    (["doctor", "--json", "--json=1"], 2, "--json", NONE),
]  # fmt: skip
FILES = {
    "good.toml": 'name = "good"\nnumeric = ["x"]\n', "wrong.toml": 'name = "good"\nsize = 1\n', "deep.toml": DEEP,
    "numbers.toml": 'name = "n"\ntask = "regression"\n', "m.skops": "no zip",
    "ref.csv": "x,outcome\n1,0\n2,1\n", "ref.txt": "", "p.csv": "a,b\n1,2\n", "models/good/model.toml": 'name = "good"\nnumeric = ["x"]\n',
    "config/leadline/key.pem": "no key",
    "models/good/v1/manifest.json": "", "bad.parquet": "no", "bad.jsonl.gz": "no", "deep.jsonl": "[" * 100_000, "list.jsonl": "[]",
    "rows.csv": "request_id,outcome,outcome_time\nr1,1,1767225600000\nr2,1,tomorrow\n", "rows.jsonl": "{}",
    "ragged.csv": "request_id,outcome,outcome_time\nr1,1,1767225600000\nr2,1\n",
    "pager.toml": "[[targets]]\nname = 'p'\nkind = 'apprise'\nurl_env = 'PAGER_URL'\n",
    "column.csv": "request_id,Outcome,outcome_time\nr1,1,1767225600000\n", "log.csv.gz": "no",
    "semicolon.csv": "request_id;outcome;outcome_time\nr1;1;1767225600000\n",
    "latin1.csv": "request_id,outcome,outcome_time,city\nr1,1,1767225600000,M\udce1laga\n",
    "twice.csv": "request_id,outcome,outcome_time,outcome\nr1,1,1767225600000,0\n",
    "local.csv": "request_id,outcome,outcome_time\nr1,1,2026-10-25 02:30:00\n",
    "unit.csv": "request_id,outcome,outcome_time\nr1,1,1767225600\n",
    "other.jsonl": '{"request_id": "r", "event_time": 1767225600000, "X": 1}',
    "log.csv": LOG + "r1,1767225600000,v,0.5,1,s,1767225600000,1,1767225600000\n", "empty.csv": LOG,
    "apart.csv": LOG + "".join(f"r{each},1767225600000,{each},0.5,1,s,1767225600000,1,1767225600000\n" for each in "vw"),
    "two.csv": LOG + "r1,1767225600000,v,0.5,1,s,1767225600000,2,1767225600000\n",
    "seconds.csv": LOG + "r1,1767225600,v,0.5,1,s,1767225600,1,1767225600\n",
    "huge.jsonl": OUTCOME % ("9" * 400, 1),
    "int64.jsonl": OUTCOME % (1, str(2**63)),
    "late.jsonl": OUTCOME % (1, str(2**61)),
    "half.jsonl": REQUEST % (1, r"\ud800"), "large.jsonl": REQUEST % (1, "") + "\n" + REQUEST % (1, "u" * 2_000_000),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with these files, and nobody's settings."""
    for name in [name for name in os.environ if name.startswith(NAMES_OF_SETTINGS)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    return tmp_path


class NoSender:
    """Takes what a test's command sends before it finds what is wrong."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_): ...

    async def send_and_wait(self, *_): ...


def pretend_that_a_broker_answers(monkeypatch):
    async def sizes(*_):
        return {("outcomes", 0): 0}

    async def check_topics(*_): ...

    monkeypatch.setattr("leadline.kafka.cluster.check_topics", check_topics)
    monkeypatch.setattr("leadline.kafka.cluster.sizes", sizes)
    monkeypatch.setattr("leadline.kafka.sender.open_sender", lambda *_: NoSender())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_three_unhappy_paths_here(words):
    assert len([case for case in CASES if tuple(case[0][: len(words)]) == words]) >= 3


@pytest.mark.parametrize(("arguments", "code", "says", "bootstrap"), CASES, ids=lambda case: repr(case)[:60])
def test_what_goes_wrong_is_one_line(place, monkeypatch, capsys, arguments, code, says, bootstrap):
    if bootstrap is not NONE:
        monkeypatch.setenv("KAFKA_BOOTSTRAP", bootstrap)
    if bootstrap is THERE:
        pretend_that_a_broker_answers(monkeypatch)
    if "deep" in str(arguments):
        gc.collect()  # what other tests left must not be cleared away while the stack is full
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    assert err.startswith("error: ")
    assert says in err
    assert err.rstrip("\n") == shown(err.rstrip("\n"), 10_000)
    assert "Traceback" not in err


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_an_option_that_is_unknown_is_one_line(place, capsys, words):
    assert run([*words, "--\x1b[31m"]) == 2
    _, err = capsys.readouterr()
    assert (err.count("\n"), "\x1b" in err) == (1, False), err


@pytest.mark.parametrize(
    "name",
    [
        "LEADLINE_PREFIX",
        "LEADLINE_PARTITIONS",
        "REDIS_URL",
        "LEADLINE_MAX_AHEAD",
        "LEADLINE_FORMAT",
        "LEADLINE_SCHEMA_REGISTRY",
    ],
)
@pytest.mark.parametrize("words", [["tail", "alerts"], ["doctor"], ["asyncapi"], ["worker"], ["up"]], ids=" ".join)
def test_a_setting_that_is_wrong_is_one_line(place, monkeypatch, capsys, words, name):
    monkeypatch.setenv(name, HOSTILE)
    assert run(words) == 1
    _, err = capsys.readouterr()
    assert (err.count("\n"), name.partition("_")[2].lower() in err.lower()) == (1, True), err


def test_what_nobody_foresaw_is_one_line_and_debug_shows_where(place, monkeypatch, capsys):
    def broken():
        raise RuntimeError(f"sky\n{HOSTILE}")

    monkeypatch.setattr("leadline.cli.tail.broker", broken)
    assert run(["tail", "alerts"]) == 1
    assert capsys.readouterr().err.startswith(r"error: RuntimeError: sky | [/b]\x1b[31m\u202e | (not foreseen")
    monkeypatch.setenv("LEADLINE_DEBUG", "0")  # and is taken away again after the test
    assert run(["--debug", "tail", "alerts"]) == 1
    err = capsys.readouterr().err
    assert "in broken" in err
    assert "\x1b" not in err


def test_a_user_without_home_needs_none(place, monkeypatch, capsys):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}[0])
    assert run(["asyncapi"]) == 0


@pytest.mark.parametrize("words", [["topics", "plan"], ["up"], REPLAY], ids=lambda words: words[0])
def test_a_broker_that_accepts_and_stays_silent_is_left_in_time(place, monkeypatch, capsys, words):
    monkeypatch.setattr(common, "ANSWERS_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{silent.getsockname()[1]}")
        assert run(words) == 1
    assert "does not answer (not within 0 s)" in capsys.readouterr().err


def started(*arguments, **more):
    command = [sys.executable, "-m", "leadline", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_a_reader_that_goes_away_is_no_error():
    process = started("topics", "acls", env={**os.environ, "PYTHONUNBUFFERED": "1"})
    process.stdout.close()
    assert (process.stderr.read(), process.wait(30)) == ("", 1)


def test_ctrl_c_is_no_error():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {**os.environ, "KAFKA_BOOTSTRAP": f"127.0.0.1:{silent.getsockname()[1]}"}
        process = started("tail", "alerts", env=environment)
        accepted, _ = silent.accept()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert (process.stderr.read(), process.wait(30)) == ("", 130)
        accepted.close()


def test_a_worker_logs_what_a_command_leaves_out():
    said = "structlog.get_logger('leadline.x').info('assigned'); structlog.get_logger('leadline.x').warning('odd')"
    as_command = f"import structlog; from leadline.logs import *; log_to_standard_error(); {said}"
    as_worker = f"import structlog; from leadline.logs import *; log_to_standard_error(); configure_logs(); {said}"
    for code, lines in ((as_command, 1), (as_worker, 2)):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr.count("\n"), "odd" in done.stderr) == ("", lines, True)


def test_the_contract_is_json(place, capsys):
    assert run(["asyncapi"]) == 0
    assert json.loads(capsys.readouterr().out)["asyncapi"]
