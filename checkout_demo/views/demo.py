"""The sample jobs, for people: pick one, fill its data, watch it."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from checkout_demo.faults import Fault
from checkout_demo.job_cards import JobCard, clean
from checkout_demo.sample_jobs import SAMPLE_JOBS
from checkout_demo.web.errors import error_answer
from checkout_demo.web.pages import page, see_other
from checkout_demo.web.reading import FormFields
from checkout_demo.web.store import Store, TheStore
from tasks.errors import Unreachable
from tasks.scheduler import schedule, status
from tasks.states import JobState

router = APIRouter(prefix="/demo", include_in_schema=False)

# Scheduled from here, a job's title is known while it waits; its state does not carry its name.
_TITLE = "Your job"


@router.get("")
def demo(request: Request, store: TheStore) -> Response:
    """Offer the sample jobs, each with its form."""
    return _demo_page(request, store)


@router.post("")
def schedule_sample(request: Request, store: TheStore, form: FormFields) -> Response:
    """Schedule a sample job. Fields: `task`, and the job's own."""
    job = SAMPLE_JOBS.get(form.get("task", ""))
    if job is None:
        return error_answer(request.scope, 422, "There is no such sample job.", field="task")
    data, faults = job.read(form)
    if faults:
        return _demo_page(request, store, chosen=job.task, fields=form, faults=faults)
    job_id = schedule(job.task, data)
    return see_other(request, f"/demo/{job_id}", f"“{job.title}” is scheduled.")


@router.get("/{job_id}")
def sample(request: Request, job_id: str) -> Response:
    """Show one job: its state, its progress, and its data when they arrive."""
    return _job_page(request, "demo_job.html", job_id)


@router.get("/{job_id}/state")
def sample_state(request: Request, job_id: str) -> Response:
    """Show the job's state alone: the part of the page that changes."""
    return _job_page(request, "parts/demo_state.html", job_id)


def _demo_page(
    request: Request,
    store: Store,
    *,
    chosen: str = "",
    fields: dict[str, str] | None = None,
    faults: list[Fault] | None = None,
) -> Response:
    return page(
        request,
        "demo.html",
        status=422 if faults else 200,
        current="demo",
        jobs=SAMPLE_JOBS.values(),
        suggestions=_suggestions(store),
        chosen=chosen,
        fields=fields or {},
        faults=faults or [],
    )


def _suggestions(store: Store) -> dict[str, str]:
    """Fill the forms, so that a click is enough."""
    return {
        "payload": "Hello from the demo page",
        "wait_at_most": "5",
        "url": f"{store.settings.store}/",
        "to": "you@example.com",
        "subject": "A page for you",
        "selector": "nav a",
    }


def _job_page(request: Request, template: str, job_id: str) -> Response:
    try:
        now = status(job_id)
    except Unreachable:
        now = None
    card = JobCard(job_id, _TITLE, "", now)
    unknown = card.state == JobState.UNKNOWN
    return page(
        request,
        template,
        status=404 if unknown else 200,
        current="demo",
        card=card,
        data=_pretty(now.data if now else None),
    )


def _pretty(data: Any) -> str:  # noqa: ANN401 (any job's data)
    return "" if data is None else json.dumps(clean(data), indent=2, ensure_ascii=False)
