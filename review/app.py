"""The page: a FastAPI app that renders on the server; every answer is made from the record when it is asked for."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from lab.base import AutopilotError, Damaged, InvalidInput, NotFound, before_threads, rule_of
from review.forms import deciding, saying, several
from review.page import HERE, Page
from review.pages import charts, groups, pages


def create_app(page: Page) -> FastAPI:
    """The app of one workspace.

    Args:
        page: what its routes share.
    """
    before_threads()
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, default_response_class=HTMLResponse)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for router in (pages(page), groups(page), charts(page), deciding(page), several(page), saying(page)):
        app.include_router(router)

    @app.get("/favicon.ico")
    def _icon() -> FileResponse:
        return FileResponse(HERE / "static" / "icon.svg", media_type="image/svg+xml")

    @app.exception_handler(AutopilotError)
    def _expected(request: Request, error: AutopilotError) -> HTMLResponse:
        # A record that is gone or can't be read is no fault of the page's.
        status = 404 if isinstance(error, (NotFound, Damaged)) else 400 if isinstance(error, InvalidInput) else 500
        return page.sorry(request, status, str(error))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> HTMLResponse:
        return page.sorry(
            request, error.status_code, "there is no such page" if error.status_code == 404 else error.detail
        )

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> HTMLResponse:
        first = error.errors()[0]
        return page.sorry(request, 400, f"{first['loc'][-1]} = {str(first.get('input'))[:60]}: {rule_of(first)}")

    app.middleware("http")(page.guard)
    return app
