#!/usr/bin/env python3
"""The usage fold over raw CloudTrail files, in plain Python: slow, simple, and sharing nothing with jitscan.

`reference.py DIR` prints the counts; `fold(DIR)` gives rows to compare with:
(type, principalId, arn, accountId, accessKeyId, eventSource, eventName, outcome, account, region, category, day)
-> [count, first, last], times as CloudTrail writes them.

A record counts once for each (eventID, content); without an eventID, for each content. Service events and Insights are no
calls. Records without a time, source or name, with a key twice, or that are no JSON, are bad; a bad record costs itself.
"""
import gzip
import hashlib
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OUTCOMES = json.load(open(os.path.join(HERE, "outcomes.json"), encoding="utf-8"))
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Twice(ValueError):
    """An object holds a key twice."""


def members(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise Twice("a key stands twice")
    return out


def number(text):
    value = float(text)
    return int(value) if value.is_integer() else value


STRICT = json.JSONDecoder(object_pairs_hook=members, parse_float=number)


def files(folder):
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            # Digest files hold hashes of log files, no events ("CloudTrail digest file structure").
            if "_CloudTrail-Digest_" not in name and name.endswith((".json", ".json.gz")):
                yield os.path.join(root, name)


def records(text, bad):
    """Every record of a file's text; bad ones go to `bad` as the reason."""
    try:
        whole = STRICT.decode(text)
        if isinstance(whole, dict):
            return whole["Records"] if isinstance(whole.get("Records"), list) else [whole]
        return whole
    except ValueError:
        return one_by_one(text, bad)


def one_by_one(text, bad):
    """Records of a text that does not parse as a whole: objects of a list, or one after the other."""
    found = re.match(r'\s*\{\s*"Records"\s*:\s*\[|\s*\[', text)
    at, out = found.end() if found else 0, []
    while True:
        at = re.compile(r"[\s,\]}]*").match(text, at).end()
        if at >= len(text):
            return out
        try:
            record, at = STRICT.raw_decode(text, at)
            out.append(record)
        except Twice as error:
            # It parses without the rule, so its end is known.
            bad.append(str(error))
            at = json.JSONDecoder().raw_decode(text, at)[1]
        except ValueError as error:
            bad.append(str(error))
            # The next record begins where an object of a list does that holds what every record holds.
            later = re.compile(r',\{(?="eventVersion"|"[A-Za-z]+":)').finditer(text, at + 1)
            for mark in later:
                try:
                    record, _ = json.JSONDecoder().raw_decode(text, mark.start() + 1)
                except ValueError:
                    continue
                if "eventSource" in record:
                    at = mark.start() + 1
                    break
            else:
                return out


def outcome(source, name, code, message, response, addendum):
    # More of a call that was recorded before ("CloudTrail record contents", addendum).
    if isinstance(addendum, dict) and addendum.get("reason") == "UPDATED_DATA":
        return "unknown"
    signed_in = response.get(name) if source == "signin.amazonaws.com" and isinstance(response, dict) else None
    if signed_in == "Failure":
        return "denied" if name == "SwitchRole" else "not_evaluated"
    if not code:
        return "authorised" if not message or signed_in == "Success" else "unknown"
    bare = re.sub(r"^(Client|Server)\.", "", code)
    if bare in OUTCOMES["failed_after_authorisation"]["pairs"].get(source, []):
        return "failed_after_authorisation"
    for kind in ("denied", "not_evaluated", "authorised_no_effect"):
        if bare in OUTCOMES[kind]["codes"]:
            return kind
    return "unknown"


def category(record):
    kind, management = record.get("eventCategory"), record.get("managementEvent")
    if kind in ("Insight", "Aggregated") or record.get("eventType") in ("AwsCloudTrailInsight", "AwsAggregatedEvent"):
        return "insight"
    if kind == "NetworkActivity" or (not kind and record.get("eventType") == "AwsVpceEvent"):
        return "network_activity"
    if kind == "Data" or (not kind and management is False):
        return "data"
    if kind == "Management" or management is True:
        return "management"
    # Event versions before 1.07 say neither; then only S3 objects and Lambda invocations were data events.
    objects = any(r.get("type") == "AWS::S3::Object" for r in record.get("resources") or [] if isinstance(r, dict))
    source = record.get("eventSource")
    old = (source == "s3.amazonaws.com" and objects) or (source, record.get("eventName")) == ("lambda.amazonaws.com", "Invoke")
    return "data" if old else "management"


def wrong(record):
    if not isinstance(record, dict):
        return "no object"
    # Insights records name the measured call inside ("CloudTrail record contents for Insights events for trails").
    inside = record.get("insightDetails") if category(record) == "insight" else None
    for name in ("eventTime", "eventSource", "eventName"):
        if not record.get(name) and not (isinstance(inside, dict) and inside.get(name)):
            return f"no {name}"
    return None if TIME.fullmatch(str(record["eventTime"])) else "eventTime is no time"


def row(record):
    who = record.get("userIdentity") or {}
    source, name, at = record["eventSource"], record["eventName"], record["eventTime"]
    said = outcome(source, name, record.get("errorCode") or "", record.get("errorMessage") or "", record.get("responseElements"), record.get("addendum"))
    identity = tuple(who.get(key) or "" for key in ("type", "principalId", "arn", "accountId", "accessKeyId"))
    account = record.get("recipientAccountId") or record.get("accountId") or who.get("accountId") or ""
    return (*identity, source, name, said, account, record.get("awsRegion") or "", category(record), at[:10]), at


def text_of(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        return file.read().decode("utf-8-sig")


def good(path):
    """The records of a file that can be read."""
    return [record for record in records(text_of(path), []) if not wrong(record)]


def fold(folder):
    """The rows of a folder, what was counted on the way, and the files that hold bad records."""
    out, seen, bad, spoiled = {}, set(), [], set()
    read = duplicates = conflicts = calls = 0
    ids = set()
    for path in files(folder):
        before = len(bad)
        for record in records(text_of(path), bad):
            why = wrong(record)
            if why:
                bad.append(why)
                continue
            read += 1
            event = record.get("eventID") or record.get("eventId") or ""
            content = hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=16).digest()
            if (event, content) in seen:
                duplicates += 1
                continue
            seen.add((event, content))
            conflicts += bool(event) and event in ids
            ids.add(event)
            if record.get("eventType") == "AwsServiceEvent" or category(record) == "insight":
                continue
            calls += 1
            key, at = row(record)
            fact = out.get(key)
            if fact is None:
                out[key] = [1, at, at]
            else:
                fact[0] += 1
                fact[1], fact[2] = min(fact[1], at), max(fact[2], at)
        if len(bad) > before:
            spoiled.add(path)
    counts = {"read": read + len(bad), "stored": read - duplicates, "duplicates": duplicates, "conflicts": conflicts,
              "bad": len(bad), "calls": calls, "rows": len(out)}
    return out, counts, spoiled


if __name__ == "__main__":
    print(json.dumps(fold(sys.argv[1])[1]))
