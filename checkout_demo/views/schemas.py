"""What the JSON answers look like, for `/openapi.json`."""

from typing import Any

from pydantic import BaseModel, Field

from config.queues import DEFAULT


class ProductBody(BaseModel):
    """A product. `price` is a decimal string in euros."""

    sku: str
    name: str
    price: str


class OrderJobBody(BaseModel):
    """One of an order's jobs."""

    job_id: str
    task: str
    status_url: str


class OrderBody(BaseModel):
    """An order that is stored. `total` is a decimal string; the addresses are absolute."""

    order_id: str
    total: str
    currency: str
    url: str
    jobs: list[OrderJobBody]


class ProgressBody(BaseModel):
    """How far a job is."""

    done: int
    total: int
    message: str


class JobStatusBody(BaseModel):
    """How a job is. `error` is `ErrorType: message`."""

    jobId: str  # noqa: N815 (the contract's spelling)
    status: str
    data: Any
    progress: ProgressBody | None
    attempts: int
    error: str | None


class JobRequest(BaseModel):
    """A job to be scheduled."""

    task: str
    data: dict[str, Any] = Field(default_factory=dict)
    queue: str = DEFAULT


class ScheduledJob(BaseModel):
    """The id under which the job's state is found."""

    jobId: str  # noqa: N815 (the contract's spelling)


class MailBody(BaseModel):
    """A mail that the sandbox has got. `html` is foreign: do not show it as it is."""

    to: str
    subject: str
    message_id: str
    html: str


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that a view reads by itself, so that all its faults can be named."""
    schema = model.model_json_schema()
    # Without definitions of its own, which OpenAPI keeps elsewhere.
    inlined = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"content": {"application/json": {"schema": inlined}}, "required": True}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(part, definitions) for name, part in schema.items()}
