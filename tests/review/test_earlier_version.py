"""The page over a workspace that version 0.7.0 wrote."""

import shutil

import pytest

from lab.base.paths import Workspace
from tests.review.conftest import Serve
from tests.test_earlier_version import EARLIER, SESSION


@pytest.mark.parametrize("kind", ["runs", "proposals"])
def test_each_of_its_runs_and_proposals_has_a_page(serve: Serve, workspace: Workspace, kind: str) -> None:
    shutil.copytree(EARLIER, workspace.root, dirs_exist_ok=True)
    site = serve()
    pattern = "runs/2*" if kind == "runs" else "proposals/2*.json"
    names = [path.name.removesuffix(".json") for path in EARLIER.glob(pattern)]
    assert len(names) == 5
    for name in names:
        answer = site.get(f"/{kind}/{name}")
        assert (answer.status_code, name in answer.text) == (200, True)


def test_its_sessions_are_shown(serve: Serve, workspace: Workspace) -> None:
    shutil.copytree(EARLIER, workspace.root, dirs_exist_ok=True)
    site = serve()
    assert SESSION in site.get("/sessions").text
    assert SESSION in site.get("/").text
    for page in ("/", "/runs", "/search", f"/sessions/{SESSION}"):
        assert site.get(page).status_code == 200, page
