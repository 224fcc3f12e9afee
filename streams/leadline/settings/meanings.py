"""What each setting means, for docs/settings.md. A test holds that each has its words, and that no words are left over."""

from collections.abc import Mapping

MODEL: Mapping[str, str] = {
    "name": "The model's name, by which requests ask for it.",
    "task": "`binary`: one of two classes; `regression`: a number.",
    "positive": "The class whose probability is the score. Needed where the classes are not 0 and 1, or false and true.",
    "threshold": "From this score on the prediction is positive. Without it the model's own `predict` counts.",
    "score": "`decision`: the model has a decision function and no probabilities. Its windows have no logloss, brier and mean_score.",
    "numeric": "Names of the features that are numbers.",
    "categorical": "Names of the features that are text.",
    "categories": "For a model that was trained on whole numbers in place of categories: for each such feature its categories, "
    "in the order of their numbers 0, 1 and so on.",
    "trusted": "Types of your own that the model's file may have, as `package.module.Class`. Workers import them: install them there.",
    "lookups": "Feature views that are read from Redis when a request is scored; each is a table `[lookups.VIEW]`, see below.",
    "missing": "`nan`: the model gets NaN for a feature that a request lacks; where it cannot take it, and with `refuse`, "
    "the request becomes a dead letter. With `refuse` requests also wait for a Redis that is away.",
    "horizon": "How long after the event an outcome may have happened. A later one does not count.",
    "grace": "How much longer than the horizon a record may take to arrive. Then its window is sealed and its state forgotten. "
    "`never` seals no window, and keeps all state for ever.",
    "window": "How long a window of live metrics is.",
    "policy": "Which outcome counts where a request has several: the `first` one, or the `latest` one.",
    "unlabelled": "`negative`: no outcome means no (fraud, churn): when horizon and grace are over, a prediction without one counts as "
    "labelled with the negative class, told apart as `assumed`. `unknown`: it stays without a label.",
    "segments": "Categories by which metrics are counted too. They need not be features.",
    "segment_limit": "How many combinations of their values a partition counts for each version. Further ones count under `*` and `other`.",
    "alerts": "The table `[alerts]`, see below.",
    "drift": "The table `[drift]`, see below.",
    "training": "The table `[training]`, see below.",
    "gate": "The table `[gate]`, see below.",
    "approval": "The table `[approval]`, see below.",
    "rollout": "The table `[rollout]`, see below.",
    "retrain_cooldown": "How long after a retrain request no other one of the model is made.",
    "runbook": "What alerts name as the page to read.",
}
LOOKUP: Mapping[str, str] = {
    "key": "The category whose value names the row: the Redis hash `PREFIX:features:VIEW:VALUE`.",
    "features": "Fields of that hash that are features. Its field `updated_ms` tells their age.",
}
ALERTS: Mapping[str, str] = {
    "metric": "Which metric is watched.",
    "reference": "What it should be. Without it, what it was on the reference file; a segment has its own.",
    "margin": "How much worse it may be.",
    "min_coverage": "Mature windows with a smaller share of labels are not judged.",
    "open_after": "A feature counts as drifted after so many drifted windows in a row.",
    "resolve_after": "And no longer after so many others in a row.",
    "false_alarms": "How many false incidents of the version that answers are allowed, such as `1 per 30d`; "
    "the kinds share them by `weights`.",
    "early_false_alarms": "How many early incidents that labels do not confirm are allowed.",
    "mode": "`calibrated` takes the spread of windows from the reference's own windows. `proven` needs no such thing, and is slower.",
    "cycle": "Windows of a whole cycle, such as `7d`, are judged together: what differs by the hour or the weekday is no fall.",
    "weights": "The share of the false alarms that each kind may cause; a kind that is left out opens nothing.",
    "dead_letters": "The share of the requests of ten minutes that may become dead letters, without an incident of the pipeline.",
}
DRIFT: Mapping[str, str] = {
    "method": "How far two distributions are apart. `ks` and `wasserstein` are for numbers; categories have no order, and are compared by "
    "`jensen-shannon` then.",
    "psi": "A feature drifts where its population stability index is above this, corrected for the number of rows.",
    "p_value": "And where chi-square's p is below this.",
    "own_p_value": "And where the reference's own windows differ so much less often than this.",
    "correction": "How the p values of all questions of a window are corrected for their number.",
}
TRAINING: Mapping[str, str] = {
    "recipe": "`module:function` of an importable module: the function gets `params` and returns an estimator that is not fitted. "
    "Without one, gradient boosting over what the signature says is trained, and calibrated.",
    "online": "The recipe returns a model of river. A training goes on from the snapshot before, and learns what was labelled since.",
    "params": "What the recipe gets.",
    "base": "A Parquet or CSV file of rows from before Leadline, which are trained on too.",
    "holdout": "The newest share of the rows, on which the candidate is compared with the champion.",
    "gap": "Rows so long before the held-out ones are left out of the training.",
    "max_rows": "Of more rows a sample is taken, and the receipt says so.",
    "timeout": "A training that takes longer fails.",
    "memory": "Memory that a training may take.",
    "seed": "Of the recipe and the samples.",
    "on": "The kinds of incidents that ask for a training. Labels do not confirm the last three: they are early.",
    "schedule": "A training is asked for this long, in event time, after the last one, or after the champion began.",
    "new_labels": "A training is asked for when so many more requests have an outcome than when one was last asked for.",
    "budget": "Most trainings in 30 days, whoever asks.",
}
GATE: Mapping[str, str] = {
    "metric": "What is compared. Without it `accuracy`, and for regression `mae`.",
    "margin": "How much worse the challenger may be over all.",
    "segment_margin": "How much worse it may be in a segment.",
    "effect": "How much better it has to be over all.",
    "alpha": "How often one that is no better may pass.",
    "min_rows": "Segments of fewer held-out rows are not compared.",
    "calibration_error": "The largest mean distance of the scores from the outcomes.",
    "max_gap": "How far the metric of two segments may be apart.",
    "latency": "Most milliseconds to score 1,000 rows.",
    "size": "Most bytes of the model file.",
    "checks": "Checks of your own, `module:function` of importable modules.",
}
APPROVAL: Mapping[str, str] = {
    "policy": "How many persons have to agree before a version becomes champion.",
    "not_requester": "Who asked for the training or the promotion does not count.",
    "proof": "`claim`: a name counts as it is given. `signature`: only commands that are signed by one of `keys` count.",
    "keys": "Names of persons, each with the public ed25519 key, in hexadecimal.",
    "expires": "An approval is waited for this long.",
}
ROLLOUT: Mapping[str, str] = {
    "begin": "What an approved version does: it becomes champion `at-once`, or by a `rollout`.",
    "automatic": "What is proven becomes champion. Without it a person promotes it, by `leadline rollout promote`.",
    "shadow": "So long a version scores in shadow at least before it answers anybody.",
    "steps": "Shares of the requests that it answers, one after the other.",
    "bake": "So long each step lasts at least.",
    "sample": "The share of the requests that are scored by the version too that does not answer.",
    "alpha": "How often a version that is worse by more than `margin` may become champion, and one that is no worse be rolled back.",
    "margin": "How much worse it may be; 0: it has to be better.",
    "segment_margin": "The same in each of the segments `protected`.",
    "protected": "Segments, as `name=value`, in each of which it has to be proven.",
    "budget": "How much all automatic promotions since a person's may lose together.",
    "min_pairs": "Before so many requests with a label, scored by both versions, there is no verdict.",
    "max_failed": "By how much the share of the requests for which it gives no score may be above the champion's.",
    "max_slower": "How many times as long as the champion it may take for a request.",
    "max_shift": "How far its mean score may be from the champion's on the same requests, in standard deviations of the reference.",
    "max_estimated_drop": "How far its accuracy, estimated without labels, may be below the champion's; "
    "of a regression: by what share its mean absolute error may be above.",
    "deadline": "A rollout that is not proven by then is inconclusive.",
    "on_deadline": "What happens then: the version is taken out (`abort`), stays as it is (`hold`), or becomes champion (`promote`).",
    "watch": "So long the champion before goes on in shadow after a promotion, to which a late rollback goes. Default: horizon and grace.",
    "cooldown": "So long after a rollback the same version does not begin again by itself.",
}
INSTALLATION: Mapping[str, str] = {
    "kafka_bootstrap": "Your broker's `host:port`, several with commas. "
    "Without it only `leadline up`, `replay` and the demo run: they start a Kafka.",
    "redis_url": "`redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS. Needed by models with lookups.",
    "kafka_jars_dir": "The jars of a Kafka 4 of your own, for the embedded one.",
    "prefix": "What the names of topics and groups begin with.",
    "models": "The folder of the models, for workers and commands; or a URL that machines share, such as `s3://bucket/path`.",
    "state": "Where a worker keeps its state.",
    "cache": "Where what was fetched is kept: the embedded Kafka, and versions out of a store. "
    "Default: `$XDG_CACHE_HOME/leadline`, or `~/.cache/leadline`.",
    "partitions": "Partitions of topics that are made.",
    "replication": "Replicas of topics that are made.",
    "clock": "What tells the time of windows and seals: the `wall` clock, or the `records` themselves (for replays).",
    "run_records": "Most records that a stage works on in one transaction.",
    "record_bytes": "Larger records become dead letters.",
    "max_ahead": "How far ahead of its arrival an event, or an outcome, may have happened.",
    "session_timeout": "After this silence Kafka gives a worker's partitions to others.",
    "health": "Where a worker tells its health over HTTP, `host:port`; `none`: nowhere.",
    "shadow_memory": "Memory that a worker of the stage `shadow` alone may have, such as `2GiB`; `none`: no limit.",
    "format": "The form of the topics that people read; see [Forms](forms.md). All forms are read, always.",
    "schema_registry": "`https://[user:password@]host[:port][/path]`: a schema registry with Confluent's routes, for `confluent`.",
}
SECURITY: Mapping[str, str] = {
    "security_protocol": "How the broker is reached.",
    "sasl_mechanism": "How the user proves himself.",
    "sasl_username": "The user.",
    "sasl_password": "The password.",
    "ssl_cafile": "The authority that signed the broker's certificate. Without it those of the system.",
    "ssl_certfile": "The client's certificate, where brokers ask for one.",
    "ssl_keyfile": "Its key.",
    "redis_ssl_cafile": "The authority that signed Redis' certificate.",
}
