"""Any job's state, and scheduling a sample job, for programs."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from checkout_demo.faults import BadOrder, Fault
from checkout_demo.job_cards import as_json
from checkout_demo.sample_jobs import SAMPLE_JOBS
from checkout_demo.views.events import events_of
from checkout_demo.views.schemas import JobRequest, JobStatusBody, ScheduledJob, body_of
from checkout_demo.web.reading import JsonObject
from config.queues import DEFAULT, QUEUES
from tasks.errors import BadJob
from tasks.scheduler import schedule, status
from tasks.states import JobState

router = APIRouter(tags=["jobs"])

_QUEUE_NAMES = tuple(queue.name for queue in QUEUES)


@router.get("/jobs/{job_id}", response_model=JobStatusBody, responses={404: {}, 503: {}})
def job_status(job_id: str) -> Response:
    """Tell how a job is. 404, with status Unknown, for an id that was never seen."""
    now = status(job_id)
    return JSONResponse(as_json(now), 404 if now.state is JobState.UNKNOWN else 200)


def _known(job_id: str) -> str:
    # Before the stream begins: afterwards, there is no status code left to say it with.
    if status(job_id).state is JobState.UNKNOWN:
        raise HTTPException(404, "No job of this id was ever scheduled, or it is forgotten.")
    return job_id


@router.get(
    "/jobs/{job_id}/events", response_class=EventSourceResponse, responses={404: {}, 503: {}}
)
async def job_events(job_id: Annotated[str, Depends(_known)]) -> AsyncIterator[ServerSentEvent]:
    """Tell the job's status now and at every change, until it is finished."""
    async for event in events_of([job_id]):
        yield event


@router.post(
    "/api/jobs",
    status_code=202,
    response_model=ScheduledJob,
    responses={422: {}, 503: {}},
    openapi_extra=body_of(JobRequest),
)
def schedule_job(body: JsonObject) -> Response:
    """Schedule one of the sample jobs: `{"task", "data", "queue"}`; the queue is optional."""
    faults = list(_faults_of(body))
    if faults:
        raise BadOrder(faults)
    try:
        job_id = schedule(body["task"], body.get("data"), body.get("queue", DEFAULT))
    except BadJob as error:
        raise BadOrder([Fault("data", f"{error}.")]) from None
    return JSONResponse({"jobId": job_id}, 202, headers={"Location": f"/jobs/{job_id}"})


def _faults_of(body: Mapping[str, Any]) -> Iterator[Fault]:
    task, data, queue = body.get("task"), body.get("data", {}), body.get("queue", DEFAULT)
    if not isinstance(task, str) or task not in SAMPLE_JOBS:
        yield Fault("task", f"This must be one of: {', '.join(SAMPLE_JOBS)}.")
    if not isinstance(data, dict):
        yield Fault("data", "This must be an object with the job's named values.")
    if not isinstance(queue, str) or queue not in _QUEUE_NAMES:
        yield Fault("queue", f"This must be one of: {', '.join(_QUEUE_NAMES)}.")
