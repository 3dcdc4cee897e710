"""Errors as application/problem+json (RFC 9457): a stable code for machines, a sentence for people, never a stack trace."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from core.faults import Fault

_LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_STATUS = {"invalid_time": 400, "invalid_parameter": 400, "too_much_asked": 400, "not_found": 404, "store_refuses_us": 503}
_TITLES = {
    "invalid_time": "The time cannot be used",
    "invalid_parameter": "A parameter cannot be used",
    "too_much_asked": "That is too much for one question",
    "too_many_questions": "Too many questions at once",
    "not_found": "Not found",
    "method_not_allowed": "This method is not offered here",
    "store_unavailable": "The telemetry store is not available",
    "store_refuses_us": "The telemetry store does not let Meshscope in",
    "state_unavailable": "The state database is not available",
    "internal": "Something went wrong in Meshscope",
}
# The faults of stores quote their database; that is for the log.
_TOLD = {
    "store_unavailable": "The telemetry store did not answer; it may be starting or overloaded. Try again in a moment.",
    "store_refuses_us": "The telemetry store and Meshscope do not know each other as they should; Meshscope's log says more.",
    "state_unavailable": "The state database did not answer; it may be starting or overloaded. Try again in a moment.",
}


class Problem(BaseModel):
    """What went wrong; ``code`` is one of a small, fixed set."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer that tells a problem."""
    title = _TITLES.get(code) or code.replace("_", " ").capitalize()
    told = Problem(type=f"urn:meshscope:problem:{code}", title=title, status=status, detail=detail, code=code)
    return JSONResponse(told.model_dump(), status, headers, MEDIA_TYPE)


def documented() -> dict[int | str, dict[str, Any]]:
    """Return how problems look, for the OpenAPI description of every endpoint."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {
        "4XX": {"description": "The question cannot be answered as asked", "content": content},
        "5XX": {"description": "No answer now", "content": content},
    }


def install_problems(app: FastAPI) -> None:
    """Make ``app`` tell every error as a problem."""
    app.add_exception_handler(Fault, _of_fault)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_surprise)


def fault_problem(fault: Fault) -> JSONResponse:
    """Return the problem that a fault tells."""
    status = _STATUS.get(fault.code, 503 if fault.retryable else 500)
    if status >= 500:
        _LOG.warning("no answer: %s: %s", fault.code, fault)
    headers = {"Retry-After": "1"} if fault.retryable else None
    return problem(status, fault.code, _TOLD.get(fault.code, str(fault)), headers)


async def _of_fault(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Fault)
    return fault_problem(error)


async def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(400, "invalid_parameter", "; ".join(_sentences(error.errors())))


def _sentences(errors: Sequence[Any]) -> list[str]:
    return [f"{'.'.join(str(part) for part in error['loc'][1:])[:64]}: {error['msg']}" for error in errors[:5]]


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(404, "not_found", f"There is nothing at {request.url.path[:200]!r}; see /api/openapi.json.")
    if error.status_code == 405:
        return problem(
            405, "method_not_allowed", f"{request.method[:20]} is not offered here; this API only reads.", _headers(error)
        )
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(error.status_code, code, str(error.detail), _headers(error))


def _headers(error: HTTPException) -> dict[str, str] | None:
    return dict(error.headers) if error.headers else None


async def _of_surprise(_request: Request, _error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, so that the server logs it.
    return problem(500, "internal", "The error was logged; it is not your question's fault.")
