#!/usr/bin/env python3
"""The usage fold as a user of plain Python would write it: gzip, json, a dictionary. `python_fold.py DIR`."""
import glob
import gzip
import json
import sys
import time


def main(folder):
    began, fold = time.perf_counter(), {}
    for path in glob.glob(f"{folder}/**/*.json.gz", recursive=True):
        with gzip.open(path) as file:
            records = json.loads(file.read())["Records"]
        for r in records:
            who, at = r["userIdentity"], r["eventTime"]
            key = (who.get("type"), who.get("principalId"), who.get("arn"), who.get("accountId"), who.get("accessKeyId"),
                   r["eventSource"], r["eventName"], r.get("errorCode"), r["recipientAccountId"], r["awsRegion"], at[:10])
            fact = fold.get(key)
            if fact is None:
                fold[key] = [1, at, at]
            else:
                fact[0] += 1
                if at < fact[1]:
                    fact[1] = at
                if at > fact[2]:
                    fact[2] = at
    calls = sum(fact[0] for fact in fold.values())
    print(f"python: {len(fold)} rows, {calls} records, {time.perf_counter() - began:.2f} s")


main(sys.argv[1])
