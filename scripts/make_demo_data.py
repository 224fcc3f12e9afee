"""Make the demo's sample of flights: six weeks of storms, and what the model learned on, months before.

Run as: make_demo_data.py STREAM.csv.gz, with the columns request_id, event_time, outcome_time, label, segment (the airport), carrier, dest,
distance, sched_dep_min, dow, sched_block_min, temp, humid, wind_speed, precip, pressure, visib.
"""

import csv
import gzip
import io
import sys
from pathlib import Path

DATA = Path(__file__).parents[1] / "streams" / "leadline" / "demo" / "data"
FLIGHT = (
    "request_id event_time outcome_time label origin carrier dest distance sched_dep_min dow sched_block_min".split()
)
WEATHER = ["temp", "humid", "wind_speed", "precip", "pressure", "visib"]


def main(source: Path) -> None:
    """Write history.csv.gz (January to March, every fourth flight with its weather), live.csv.gz and weather.csv.gz (June 10 on)."""
    with gzip.open(source, "rt", encoding="utf-8", newline="") as rows:
        flights = [row | {"origin": row["segment"]} for row in csv.DictReader(rows)]
    history = [row for i, row in enumerate(flights) if row["event_time"] < "2013-04-01" and i % 4 == 0 and row["label"]]
    live = [row for row in flights if "2013-06-10" <= row["event_time"] < "2013-07-25"]
    hours = {(row["event_time"][:13] + ":00:00Z", row["origin"]): row for row in live if row["temp"]}
    weather = [
        {"time": time, "origin": origin} | {name: row[name] for name in WEATHER}
        for (time, origin), row in sorted(hours.items())
    ]
    write("history.csv.gz", [*FLIGHT, *WEATHER], history)
    write("live.csv.gz", FLIGHT, live)
    write("weather.csv.gz", ["time", "origin", *WEATHER], weather)


def write(name: str, columns: list[str], rows: list[dict[str, str]]) -> None:
    """The same rows give the same bytes."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    (DATA / name).write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    sys.stdout.write(f"{name}: {len(rows)} rows, {(DATA / name).stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
