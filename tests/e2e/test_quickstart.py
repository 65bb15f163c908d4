"""docs/deploy.md, "Quickstart": its lines, run by a shell against the local stack, end at the page with its key."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

from e2e.client import Client
from support.documents import document

# Answers as the AWS CLI would, from the emulator; and stand-ins for what deploys.
_AWS = """#!{python}
import sys, boto3, jmespath
service, operation, *words = sys.argv[1:]
if (service, operation) == ("sts", "get-caller-identity"):
    raise SystemExit
options = dict(zip(words[::2], words[1::2])) if "--include-value" not in words else {{
    **dict(zip(words[:2][::2], words[:2][1::2])), "--query": words[words.index("--query") + 1]}}
client = boto3.client(service, endpoint_url="{endpoint}", region_name="us-east-1",
                      aws_access_key_id="test", aws_secret_access_key="test")
if (service, operation) == ("cloudformation", "describe-stacks"):
    assert options["--stack-name"] == "dropzone-dev"
    answer = client.describe_stacks(StackName="dropzone")
elif (service, operation) == ("apigateway", "get-api-key"):
    answer = client.get_api_key(apiKey=options["--api-key"], includeValue=True)
else:
    raise SystemExit(64)
found = jmespath.search(options["--query"], answer)
print(*(found if isinstance(found, list) else [found]))
"""
_RECORDED = '#!/bin/sh\necho "${0##*/} $*" >> "$CALLS"\n'


def test_it_ends_at_the_page_with_its_key(client: Client, tmp_path: Path) -> None:
    # GIVEN an AWS CLI that knows the stack, and programs that would deploy it
    deploy = document("docs/deploy.md")
    section = deploy.text.partition("## Quickstart\n")[2].partition("\n## ")[0]
    [script, *_] = [part for part in section.split("\n\n") if part.startswith("    ")]
    tools = tmp_path / "tools"
    tools.mkdir()
    aws = _AWS.format(python=sys.executable, endpoint=client.endpoints.emulator_url)
    for name, text in {"aws": aws, "uv": _RECORDED, "make": _RECORDED}.items():
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(stat.S_IRWXU)

    # WHEN the ten lines are run
    assert len(script.splitlines()) == 10
    ran = subprocess.run(  # noqa: S603
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": f"{tools}{os.pathsep}{os.defpath}", "CALLS": str(tmp_path / "calls")},
        capture_output=True,
        text=True,
        check=False,
    )

    # THEN the last one has the page, and the key that opens the API
    assert ran.returncode == 0, ran.stderr
    match = re.fullmatch(r"Page: (\S+)/  API key: (\S+)", ran.stdout.splitlines()[-1])
    assert match, ran.stdout
    assert match[1] == client.stack.deployment.outputs()["ApiUrl"]
    # That is its address on AWS; here the API has another.
    assert client.request("GET", "/", key=None).headers["content-type"].startswith("text/html")
    assert client.request("GET", "/sources", key=match[2]).status_code == 200

    # AND what was deployed is dev, as built
    calls = (tmp_path / "calls").read_text(encoding="utf-8")
    assert "make install" in calls
    assert re.search(r"uv run sam deploy .*--config-env dev --template-file .* --region eu-central-1", calls)
