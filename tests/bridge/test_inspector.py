"""The MCP Inspector's command line, where it is installed: `npm install -g @modelcontextprotocol/inspector@0.15`."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

from bridge.catalog import OFFERS
from lab.base.paths import Workspace

INSPECTOR = shutil.which("mcp-inspector")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(INSPECTOR is None, reason="mcp-inspector is not installed")]


@pytest.fixture
def inspected(workspace: Workspace) -> Any:
    """What the inspector prints of a request, and nothing on its standard error: `inspected("tools/list")`."""

    def ask(method: str, *more: str) -> Any:
        server = [sys.executable, "-P", "-m", "cli.main", "--workspace", str(workspace.root), "mcp"]
        command = [str(INSPECTOR), "--cli", *server, "--method", method, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert done.stderr == ""
        return json.loads(done.stdout)

    return ask


def test_the_inspector_lists_and_calls_everything(inspected: Any) -> None:
    assert [one["name"] for one in inspected("tools/list")["tools"]] == [one.name for one in OFFERS if not one.needs]
    assert [one["uri"] for one in inspected("resources/list")["resources"]] == ["autopilot://notes"]
    assert len(inspected("resources/templates/list")["resourceTemplates"]) == 4
    assert "be_researcher" in [one["name"] for one in inspected("prompts/list")["prompts"]]
    message = inspected("prompts/get", "--prompt-name", "be_researcher")["messages"][0]
    assert "autopilot_next_analysis" in message["content"]["text"]
    assert inspected("resources/read", "--uri", "autopilot://notes")["contents"][0]["mimeType"] == "text/markdown"
    status = inspected("tools/call", "--tool-name", "autopilot_status")
    assert status["isError"] is False and status["structuredContent"]["session"] is None
    handed = inspected("tools/call", "--tool-name", "autopilot_next_analysis", "--tool-arg", "wait=0")
    assert handed["structuredContent"]["state"] == "over"
    refused = inspected("tools/call", "--tool-name", "autopilot_runs", "--tool-arg", "limt=3")
    assert refused["isError"] is True and "limt: is no argument" in refused["content"][0]["text"]
