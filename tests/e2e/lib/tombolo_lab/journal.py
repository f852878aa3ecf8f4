# SPDX-License-Identifier: Apache-2.0
"""A node's log, read by the tombolo-journal command: a JSON object a line."""

import base64
import json
import subprocess

from .judge import Judge


def run(node, built, *args: str) -> subprocess.CompletedProcess:
    return subprocess.run([built.journal, *args, str(node.journal_root)], capture_output=True, text=True,
                          timeout=120)


def dump(node, built, stream: str = "default", may_be_damaged: bool = False) -> list:
    """All records of one stream, oldest first, as the command prints them; what it says of numbers that are missing (a
    broker was killed while it wrote) is no record. may_be_damaged: those that can be read."""
    done = subprocess.run([built.journal, "dump", "-o", "json", str(node.journal_root), stream],
                          capture_output=True, text=True, timeout=120)
    if done.returncode not in ((0, 1) if may_be_damaged else (0,)):
        raise RuntimeError(f"tombolo-journal dump failed ({done.returncode}): {done.stderr.strip()}")
    said = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    return [record for record in said if "gap" not in record]


def payload_of(record: dict) -> bytes:
    if "payload_base64" in record:
        return base64.b64decode(record["payload_base64"])
    return record.get("payload", "").encode()


def judge_log(records: list, accounts: dict) -> dict:
    """Judges the numbered payloads of a log; gives publisher -> Judge. Others are left out."""
    judges = {name: Judge(account.is_numbered) for name, account in accounts.items()}
    for record in records:
        try:
            said = json.loads(payload_of(record))
            judge = judges.get(said["p"])
        except (ValueError, KeyError, TypeError):
            continue
        if judge:
            judge.arrived(said["n"])
    return judges
