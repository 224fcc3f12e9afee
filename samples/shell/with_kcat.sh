#!/bin/sh
# Ask, read the prediction, tell the outcome, read the incident: kcat and jq, topics in JSON.
set -eu
prefix=${LEADLINE_PREFIX:-leadline}
order=order-$(date +%s)-$$

send() { # a record on a topic; keys go where the Java client sends them
    printf '%s\t%s\n' "$order" "$2" | kcat -P -b "$KAFKA_BOOTSTRAP" -t "$prefix.$1" -K '\t' -X partitioner=murmur2_random
}

await() { # what a filter of jq prints of the records of a topic, once it prints something
    until
        found=$(kcat -C -b "$KAFKA_BOOTSTRAP" -t "$prefix.$1" -o beginning -e -q -X isolation.level=read_committed | jq -r "$2")
        [ -n "$found" ]
    do sleep 1; done
    echo "$found"
}

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

send prediction-requests '{"request_id": "'"$order"'", "model": "'"$MODEL"'", "event_time": "'"$(now)"'", "features": {"amount": 250.0}}'
await predictions 'select(.request_id == "'"$order"'") | "prediction \(.request_id) \(.model_version) \(.score)"'
send outcomes '{"request_id": "'"$order"'", "outcome": 1, "outcome_time": "'"$(now)"'"}'
echo "outcome $order 1"
await alerts 'select(.model == "'"$MODEL"'") | "incident \(.alert_id) \(.state) \(.kind) \(.severity)"'
