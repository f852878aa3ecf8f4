# SPDX-License-Identifier: Apache-2.0
"""What the ledger in a journal says."""

import json

from plugin_raw import read_journal


def entries(root, node: str = "") -> list:
    """What the ledger in a journal says was lost: at this node, or at the node below called node."""
    found = []
    for record in read_journal(root, "loss"):
        topic = f"{node}/tombolo/loss" if node else "tombolo/loss"
        if record["topic"] == topic:
            found.append(json.loads(record["payload"]))
    return found


def lost(found: list, reason: str = "", stream: str = "default") -> int:
    return sum(entry["count"] for entry in found
               if entry["stream"] == stream and reason in ("", entry["reason"]))
