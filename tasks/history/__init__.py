"""What became of jobs over the last hours and days, by task and queue.

    from tasks.history import History

    for bucket in History(app).read(HOUR):
        print(bucket.at, bucket.total().processed, bucket.total().run.percentile(0.95))

Each worker counts in memory, in its main process, where the outcome of every job passes whatever
its pool, and sends what it has counted every two seconds with the lease keeper, in one step for all
jobs together. So a job costs no trip to the server, and neither Flower nor events are needed.

What is kept has a bound: buckets of a minute for six hours and of an hour for 14 days, with
`MOST_SERIES` pairs of task and queue in each; what comes beyond these is counted as `OTHER`. One
pair costs some 150 bytes a bucket: at the bound, about 20 MB in all.

A worker that is killed takes the last two seconds of its counts with it; one that is told to stop
sends them. Times of buckets are those of the broker's server.

tally.py     counts, histograms, percentiles
recorder.py  the worker's side
store.py     what the server keeps; reading it
"""

from tasks.history.recorder import recorder
from tasks.history.store import (
    DAY,
    HOUR,
    PERIODS,
    SIX_HOURS,
    TWO_WEEKS,
    WEEK,
    Bucket,
    History,
    Period,
    total,
)
from tasks.history.tally import BOUNDS, OTHER, Histogram, Series, Tally

__all__ = [
    "BOUNDS",
    "DAY",
    "HOUR",
    "OTHER",
    "PERIODS",
    "SIX_HOURS",
    "TWO_WEEKS",
    "WEEK",
    "Bucket",
    "Histogram",
    "History",
    "Period",
    "Series",
    "Tally",
    "recorder",
    "total",
]
