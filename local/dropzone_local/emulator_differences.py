"""Where the emulator differs from AWS in a way that the stack would notice, and is put right after a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropzone_local.aws import Clients


def correct_event_sources(clients: Clients, *, enabled: bool) -> None:
    """Give event source mappings numbers and a truth value where the template had parameters.

    CloudFormation's parameters are text, and MiniStack 1.5.33 keeps them so. Comparing "5" with a number ends every
    round of its poller, and no message is ever delivered; a mapping that is "false" is on.
    """
    client = clients.lambda_()
    for page in client.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            concurrency = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
            client.update_event_source_mapping(
                UUID=mapping["UUID"],
                Enabled=enabled,
                BatchSize=int(mapping["BatchSize"]),
                MaximumBatchingWindowInSeconds=int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
                ScalingConfig={"MaximumConcurrency": int(concurrency)} if concurrency is not None else {},
            )
