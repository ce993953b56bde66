#!/usr/bin/env python3
"""Makes src/recommend/data/managed.tsv.zst: what AWS managed policies allow on every resource without conditions.

    scripts/managed-policies.py POLICIES.json[.gz]

The file maps names to policies with `Path` and `Document`, as moto's table of AWS managed policies does. Left out are
policies for services (their paths say so) and those with a Deny, of which one cannot tell by their actions alone what they
allow. A line is the name, the path, and the action patterns with commas between them. Wants the zstd command.
"""

import gzip
import json
import pathlib
import subprocess
import sys

PATHS = ("/", "/job-function/")
OUT = pathlib.Path(__file__).resolve().parent.parent / "src/recommend/data/managed.tsv.zst"


def many(value):
    return value if isinstance(value, list) else [value]


def patterns(document):
    """The action patterns that it allows on everything; none where it denies something."""
    found = set()
    for statement in many(document["Statement"]):
        if statement["Effect"] != "Allow":
            return set()
        plain = "Condition" not in statement and "Action" in statement and "Resource" in statement
        if plain and "*" in many(statement["Resource"]):
            found.update(many(statement["Action"]))
    return found


def main():
    path = sys.argv[1]
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        policies = json.load(file)
    newest = max(policy.get("UpdateDate", policy["CreateDate"])[:10] for policy in policies.values())
    lines = [f"# AWS managed policies as of {newest}"]
    for name, policy in sorted(policies.items()):
        allowed = patterns(policy["Document"]) if policy["Path"] in PATHS else set()
        if allowed:
            lines.append("\t".join((name, policy["Path"], ",".join(sorted(allowed)))))
    text = "\n".join(lines) + "\n"
    subprocess.run(["zstd", "-19", "-q", "-f", "-o", str(OUT)], input=text.encode(), check=True)
    print(f"{len(lines) - 1} policies, {len(text)} bytes, {OUT.stat().st_size} compressed", file=sys.stderr)


if __name__ == "__main__":
    main()
