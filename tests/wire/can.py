#!/usr/bin/env python3
"""Holds `jitscan policy test` and `jitscan can` against what wire.py recorded.

usage: can.py JITSCAN OUT
OUT is the folder that wire.py wrote. Exits with 1 where an answer differs.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def run(arguments):
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def answer(jitscan, store, row):
    """What `jitscan can` says to one recorded call."""
    arguments = [jitscan, "--store", store, "--format", "ndjson", "--quiet", "can", row["principal"], row["action"],
                 row["resource"], "--no-other-context"]
    if not row["action"].startswith("sts:"):  # trust policies are in the IAM state
        arguments.append("--no-resource-policy")
    for key, values in row["context"].items():
        for value in values if isinstance(values, list) else [values]:
            arguments += ["--context", f"{key}={value}"]
    done = run(arguments)
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()}"
    return json.loads(done.stdout)["decision"]


def main():
    jitscan, out = os.path.abspath(sys.argv[1]), Path(sys.argv[2])
    tested = run([jitscan, "policy", "test", str(out / "cases.jsonl")])
    print(tested.stderr.strip(), file=sys.stderr)
    failed = tested.returncode != 0
    rows = [json.loads(line) for line in (out / "calls.jsonl").read_text().splitlines()]
    # What resource policies, session policies and federation decide is not in the IAM state; `policy test` has it.
    rows = [row for row in rows if not row["beyond_iam"] and not row["cross_account"]]
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        ingested = run([jitscan, "--store", store, "ingest", "iam", *map(str, sorted(out.glob("gaad-*.json")))])
        if ingested.returncode != 0:
            print(ingested.stderr, file=sys.stderr)
            return 1
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = list(pool.map(lambda row: answer(jitscan, store, row), rows))
    wrong = 0
    for row, found in zip(rows, answers):
        if (found == "Allowed") != row["allowed"] or found not in ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied"):
            wrong += 1
            print(f"{row['id']}: allowed is {row['allowed']}, jitscan can says {found}", file=sys.stderr)
    print(f"can: {len(rows)} calls, {wrong} unlike expected", file=sys.stderr)
    return 1 if failed or wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
