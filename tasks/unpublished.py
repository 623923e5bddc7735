"""What became of a job whose publish has met an error."""

import redis
from kombu.exceptions import LimitExceeded

from tasks.errors import Unreachable


def unreachable(error: Exception) -> Unreachable:
    """Say what an error of a publish means for the job."""
    cause = error.__cause__ if isinstance(error.__cause__, redis.RedisError) else error
    # Without a connection, or with an answer that is a refusal, nothing is queued. What could not
    # connect has sent nothing, but redis-py names that step in its message only.
    is_full = isinstance(error.__cause__, LimitExceeded)
    is_loading = isinstance(cause, redis.BusyLoadingError)
    refused = is_full or is_loading or isinstance(cause, redis.ResponseError)
    if refused or "connecting to" in str(cause):
        return Unreachable(str(error), "the job was not queued; schedule it again later")
    advice = "the job may have been queued; its id will tell when the broker is back"
    return Unreachable(str(error), advice, may_be_queued=True)
