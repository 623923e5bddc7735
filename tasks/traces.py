"""Traces: spans from a web request through the publish to the job and what it calls.

Off unless `TRACES_URL` names where spans go (OTLP over HTTP, such as
`http://127.0.0.1:4318/v1/traces`), and then in each process that loads the app. The spans are those
of OpenTelemetry's own instrumentations of Celery, httpx and SQLAlchemy; a web application adds its
own, as `checkout_demo/app.py` does for FastAPI. What must be hidden is hidden before spans leave.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from celery import signals
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace.status import Status

from config.masking import rules
from tasks import carried

SEND_MS = 1_000
"""How long spans gather before they are sent; OpenTelemetry's default is five seconds."""

FLUSH_MS = 2_000
"""How long a process that ends waits for its last spans to be taken."""


class MaskingExporter(SpanExporter):
    """An exporter that hides what nobody should read: errors and addresses may hold anything."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans."""
        return self._inner.export([_masked(span) for span in spans])

    def shutdown(self) -> None:
        """Send nothing any more."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all is sent."""
        return self._inner.force_flush(timeout_millis)


def start(url: str, service: str = "expresslane") -> None:
    """Make spans from now on, and send them there."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = MaskingExporter(OTLPSpanExporter(endpoint=url, timeout=2))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SEND_MS))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call] # theirs
    HTTPXClientInstrumentor().instrument()
    # It asks for SQLAlchemy < 2.1, and works with 2.1: a test looks for its spans.
    SQLAlchemyInstrumentor().instrument(skip_dep_check=True)
    carried.takers.append(inject)
    carried.restorers.append(_in_context_of)
    for ending in (signals.worker_process_shutdown, signals.worker_shutdown):
        # Processes of the pool end without Python's own way of ending.
        ending.connect(lambda **_: provider.force_flush(FLUSH_MS), weak=False)


@contextmanager
def _in_context_of(headers: Mapping[str, Any]) -> Iterator[None]:
    carrier = {name: value for name, value in headers.items() if isinstance(value, str)}
    token = context.attach(extract(carrier))
    try:
        yield
    finally:
        # Celery's instrumentation leaves its own context behind for a task whose code is not here.
        context.detach(token)


def _masked(span: ReadableSpan) -> ReadableSpan:
    events = [
        type(event)(event.name, rules().value(dict(event.attributes or {})), event.timestamp)
        for event in span.events
    ]
    status = span.status
    if status.description:
        status = Status(status.status_code, rules().text(status.description))
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=rules().value(dict(span.attributes or {})),
        events=events,
        links=span.links,
        kind=span.kind,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
