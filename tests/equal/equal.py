#!/usr/bin/env python3
"""Equality: `equal.py STORE RAWDIR [--truth FILE] [--show N]`.

Compares the usage fold of a jitscan store with two others over the raw files, row by row: reference.py (plain Python)
and oracle.sql (DuckDB's read_json); with --truth also every count that the generator planted. Exit 0: all equal;
1: something differs. Wants `pip install duckdb==1.5.*`.

Sessions are compared by their identity as recorded (type, principalId, arn, accountId, accessKeyId), not by the hash
that is their key; resources, variants and five-minute slots are summed over.
"""
import argparse
import collections
import gzip
import json
import os
import sqlite3
import sys
import tempfile

import duckdb

import reference

# Sums over what the reference does not know; sessions repeat from file to file, so they are made distinct first.
STORED = """
WITH who AS (
    SELECT DISTINCT session, identity_type, principal_id, principal_arn, principal_account, access_key
    FROM read_parquet($sessions, union_by_name := true)
)
SELECT identity_type, principal_id, principal_arn, principal_account, access_key, source, name, outcome, account, region,
    category, day, sum(count)::BIGINT, strftime(min(first), '%Y-%m-%dT%H:%M:%SZ'), strftime(max(last), '%Y-%m-%dT%H:%M:%SZ')
FROM read_parquet($usage, union_by_name := true) LEFT JOIN who USING (session)
GROUP BY ALL"""

COLUMNS = {
    "eventVersion": "VARCHAR", "eventTime": "VARCHAR", "eventSource": "VARCHAR", "eventName": "VARCHAR",
    "awsRegion": "VARCHAR", "sourceIPAddress": "VARCHAR", "userAgent": "VARCHAR", "errorCode": "VARCHAR",
    "errorMessage": "VARCHAR", "requestID": "VARCHAR", "eventID": "VARCHAR", "eventType": "VARCHAR",
    "eventCategory": "VARCHAR", "managementEvent": "BOOLEAN", "recipientAccountId": "VARCHAR",
    "sharedEventID": "VARCHAR", "responseElements": "JSON", "addendum": "STRUCT(reason VARCHAR)", "resources": "STRUCT(type VARCHAR)[]",
    "userIdentity": "STRUCT(type VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, accessKeyId VARCHAR, invokedBy VARCHAR)",
}


def parts(store, kind):
    """Files of a kind that the store's newest generation names."""
    manifest = sqlite3.connect(f"file:{store}/manifest.sqlite?mode=ro", uri=True)
    return [os.path.join(store, name) for (name,) in manifest.execute("SELECT name FROM parts WHERE kind = ?", (kind,))]


def stored(connection, store):
    files = {"usage": parts(store, "usage"), "sessions": parts(store, "sessions")}
    if not files["usage"]:
        return {}
    return {row[:12]: list(row[12:]) for row in connection.execute(STORED, files).fetchall()}


def by_sql(connection, folder, spoiled, scratch):
    """oracle.sql over the files of a folder; of those in `spoiled`, over their good records."""
    shapes = {"records": [], "array": [], "lines": []}
    for path in reference.files(folder):
        if path in spoiled:
            # read_json gives up on these files: it gets the records that reference.py could read.
            clean = os.path.join(scratch, f"{len(shapes['lines'])}.ndjson")
            with open(clean, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in reference.good(path))
            shapes["lines"].append(clean)
            continue
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            head = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
        shapes["array" if head[:1] == b"[" else "records" if b'"Records"' in head else "lines"].append(path)
    fields = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items()) + "}"
    connection.execute(f"CREATE OR REPLACE TABLE raw ({fields})")
    names, size = ", ".join(COLUMNS), "maximum_object_size=268435456"
    reads = {
        "records": f"SELECT unnest(r, max_depth := 1) FROM (SELECT unnest(Records) AS r FROM read_json($f$, columns={{Records: 'STRUCT({fields})[]'}}, {size}))",
        "array": f"SELECT * FROM read_json($f$, format='array', columns={columns}, {size})",
        "lines": f"SELECT * FROM read_json($f$, format='unstructured', columns={columns}, {size})",
    }
    for shape, paths in shapes.items():
        if paths:
            # The list of files has to be a constant.
            listed = "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"
            connection.execute(f"INSERT INTO raw BY NAME SELECT {names} FROM ({reads[shape].replace('$f$', listed)})")
    connection.execute("CREATE OR REPLACE TABLE outcomes (kind VARCHAR, source VARCHAR, code VARCHAR)")
    table = []
    for kind, entry in reference.OUTCOMES.items():
        if isinstance(entry, dict):
            table += [(kind, "", code) for code in entry.get("codes", [])]
            table += [(kind, source, code) for source, codes in entry.get("pairs", {}).items() for code in codes]
    connection.executemany("INSERT INTO outcomes VALUES (?, ?, ?)", table)
    with open(os.path.join(reference.HERE, "oracle.sql"), encoding="utf-8") as file:
        rows = connection.execute(file.read()).fetchall()
    return {row[:12]: list(row[12:]) for row in rows}


def compare(title, wanted, got, show):
    """Prints how many rows agree; returns how many do not."""
    equal = sum(1 for key, value in wanted.items() if got.get(key) == value)
    other = [key for key in wanted if key in got and got[key] != wanted[key]]
    missing, extra = [k for k in wanted if k not in got], [k for k in got if k not in wanted]
    print(f"{title}: {equal} rows equal, {len(other)} different, {len(missing)} only there, {len(extra)} only in the store")
    for word, keys in (("different", other), ("only there", missing), ("only in the store", extra)):
        for key in sorted(keys, key=str)[:show]:
            print(f"  {word}: {key} there {wanted.get(key)} store {got.get(key)}")
    return len(other) + len(missing) + len(extra)


def counted(store):
    """What the manifest says of all files."""
    manifest = sqlite3.connect(f"file:{store}/manifest.sqlite?mode=ro", uri=True)
    names = ("read", "stored", "duplicates", "conflicts", "quarantined")
    sums = manifest.execute(f"SELECT {', '.join(f'sum({name})' for name in names)} FROM files").fetchone()
    return dict(zip(names, sums))


def against_truth(connection, store, truth, rows, show):
    """Compares what the generator planted with the store's manifest, coverage, events and usage fold."""
    manifest = sqlite3.connect(f"file:{store}/manifest.sqlite?mode=ro", uri=True)
    said = counted(store)
    wanted = {n: truth["bad" if n == "quarantined" else n] for n in said} | {"files": truth["files"], "calls": truth["calls"], "denied": truth["denied"]}
    got = said | {"files": manifest.execute("SELECT count(*) FROM files").fetchone()[0]}
    got |= {"calls": sum(v[0] for v in rows.values()), "denied": sum(v[0] for k, v in rows.items() if k[7] == "denied")}
    wrong = compare("truth, counts", wanted, got, show)

    def pairs(sql, kind):
        return {"|".join(str(part) for part in row[:-1]): row[-1] for row in connection.execute(sql, {"f": parts(store, kind)}).fetchall()}

    coverage = "read_parquet($f, union_by_name := true)"
    kinds = {f"{k.rsplit('|', 1)[0]}|{k.rsplit('|', 1)[1].lower()}": n for k, n in truth["by_account_region_category"].items()}
    wrong += compare("truth, account x region x category", kinds, pairs(f"SELECT account, region, category, sum(count)::BIGINT FROM {coverage} GROUP BY ALL", "coverage"), show)
    wrong += compare("truth, account x region x hour", truth["by_account_region_hour"], pairs(f"SELECT account, region, epoch(hour)::BIGINT // 3600, sum(count)::BIGINT FROM {coverage} GROUP BY ALL", "coverage"), show)
    wrong += compare("truth, source x name", truth["by_source_name"], pairs(f"SELECT source, name, count(*) FROM {coverage} GROUP BY ALL", "events"), show)
    who = collections.defaultdict(lambda: [0, 0, None, None])
    sql = STORED.replace("access_key\n", "access_key, invoked_by\n").replace("access_key, source", "access_key, invoked_by, source")
    for row in connection.execute(sql, {"usage": parts(store, "usage"), "sessions": parts(store, "sessions")}).fetchall():
        acts = who[row[:6]]
        acts[0] += row[13]
        acts[1] += row[13] * (row[8] == "denied")
        acts[2] = min(acts[2] or row[14], row[14])
        acts[3] = max(acts[3] or row[15], row[15])
    # First and last of an identity are over all its records; only those that made nothing but calls compare.
    planted, called = {}, {}
    for row in truth["identities"]:
        key = tuple(row[n] for n in ("type", "principal_id", "arn", "account", "access_key", "invoked_by"))
        if row["calls"]:
            times = [iso(row["first"]), iso(row["last"])] if row["calls"] == row["events"] else who.get(key, [0, 0, None, None])[2:]
            planted[key] = [row["calls"], row["denied"], *times]
    called.update(who)
    return wrong + compare("truth, identities", planted, called, show)


def iso(seconds):
    import datetime
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("store")
    args.add_argument("raw")
    args.add_argument("--truth")
    args.add_argument("--show", type=int, default=5, help="rows of each kind to print that differ")
    args.add_argument("--no-python", action="store_true", help="SQL alone: for millions of records")
    args = args.parse_args()
    connection = duckdb.connect()
    got = stored(connection, args.store)
    wrong, spoiled = 0, set()
    if not args.no_python:
        wanted, counts, spoiled = reference.fold(args.raw)
        print(f"raw files: {counts}")
        said = counted(args.store)
        wrong += compare("plain Python, counts", {name: counts["bad" if name == "quarantined" else name] for name in said}, said, args.show)
        wrong += compare("plain Python", wanted, got, args.show)
    with tempfile.TemporaryDirectory() as scratch:
        title = "DuckDB SQL" + (f" ({len(spoiled)} files with bad records cleaned by reference.py)" if spoiled else "")
        wrong += compare(title, by_sql(connection, args.raw, spoiled, scratch), got, args.show)
    if args.truth:
        with open(args.truth, encoding="utf-8") as file:
            wrong += against_truth(connection, args.store, json.load(file), got, args.show)
    print("DIFFERENT" if wrong else "EQUAL")
    sys.exit(1 if wrong else 0)


main()
