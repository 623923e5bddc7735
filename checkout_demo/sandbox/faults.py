"""The faults of the ERP sandbox: switched on over HTTP, kept in memory, gone with the process."""

import asyncio

import structlog
from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

_logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Faults(BaseModel):
    """What is wrong with the ERP now. Only calls that do something (POST) feel it."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: int = Field(0, ge=0, le=60_000, description="how long every call waits at first")
    fail_next: int = Field(0, ge=0, le=1_000, description="how many calls to come do nothing: 503")
    down: bool = Field(False, description="whether every call does nothing: 503")


class Gate:
    """Lets calls in, or fails them as the faults say. For the event loop's thread only."""

    def __init__(self) -> None:
        self.faults = Faults()

    def change(self, wanted: Faults) -> Faults:
        """Set what was sent, keep the rest, and return all."""
        self.faults = self.faults.model_copy(update=wanted.model_dump(exclude_unset=True))
        return self.faults

    async def refusal(self) -> Response | None:
        """Wait as long as the latency says; then return the failure that is due, if any."""
        if self.faults.latency_ms:
            _logger.info("a call waits", latency_ms=self.faults.latency_ms)
        try:
            await asyncio.sleep(self.faults.latency_ms / 1_000)
        except asyncio.CancelledError:
            # The process is being stopped amid a long latency: the caller still gets an answer,
            # and the log no traceback.
            return _unavailable("the ERP is stopping")
        if self.faults.down:
            return _unavailable("the ERP is switched off")
        if self.faults.fail_next:
            left = self.faults.fail_next - 1
            self.faults = self.faults.model_copy(update={"fail_next": left})
            return _unavailable("the ERP was told to fail this call")
        return None


def _unavailable(detail: str) -> Response:
    return JSONResponse({"detail": detail}, 503)
