#!/usr/bin/env python3
"""Holds `jitscan logs verify` against AWS's own validator of CloudTrail digests.

usage: digests.py JITSCAN CHAINS [--venv DIR]
CHAINS is the folder that `JITSCAN_DUMP_CHAINS=CHAINS cargo nextest run -E 'test(integrity::dump)'` wrote: downloads of
signed chains, untouched and tampered with. For each, the classes behind `aws cloudtrail validate-logs` (awscli) walk
the same files through a stub of S3, and every digest and log that both judge must get the same verdict, class by
class. What awscli cannot say is counted by reason. Exits with 1 where they differ otherwise.
"""

import argparse
import base64
import collections
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from wire import default_venv, ensure_venv

HERE = Path(__file__).resolve().parent
SPKI = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f00")


# ---------------------------------------------------------------- awscli over a folder

class Pages:
    """A paginator of list_objects over a sorted list of keys."""

    def __init__(self, keys):
        self.keys = keys

    def paginate(self, Bucket, Marker, Prefix):
        self.found = [key for key in self.keys(Bucket) if key > Marker and key.startswith(Prefix)]
        return self

    def search(self, expression):
        assert expression == "Contents[*].Key"
        return iter(self.found)


class Bucket:
    """What of S3 the validator asks for, answered from the downloaded tree and the metadata that S3 had."""

    def __init__(self, tree, metadata, error):
        self.tree, self.metadata, self.error = tree, metadata, error
        self.by_name = {key.rsplit("/", 1)[-1]: value for key, value in metadata.items()}

    def get_client(self, bucket):
        return self

    def keys(self, bucket):
        root = self.tree / bucket
        files = (path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".meta.json"))
        return sorted(str(path.relative_to(root)) for path in files)

    def get_paginator(self, name):
        assert name == "list_objects"
        return Pages(self.keys)

    def get_object(self, Bucket, Key):
        path = self.tree / Bucket / Key
        if not path.is_file():
            raise self.error({"Error": {"Code": "NoSuchKey", "Message": "not there"}}, "GetObject")
        # A copy of an object carries its metadata along.
        metadata = self.metadata.get(Key) or self.by_name.get(path.name, {})
        sidecar = path.with_name(path.name + ".meta.json")
        if sidecar.exists():  # the metadata was tampered with
            saved = json.loads(sidecar.read_text())
            metadata = {**metadata, **saved.get("Metadata", saved)}
        return {"Body": io.BytesIO(path.read_bytes()), "Metadata": metadata}


class Keys:
    """ListPublicKeys of one region. The validator reads PKCS#1 only, so SubjectPublicKeyInfo is unwrapped for it."""

    def __init__(self, lists, region):
        self.keys = {}
        for one in lists:
            for key in one["PublicKeyList"] if one["Region"] == region else []:
                der = base64.b64decode(key["Value"])
                value = base64.b64encode(der.removeprefix(SPKI)).decode()
                self.keys[key["Fingerprint"]] = {**key, "Value": value}

    def get_public_keys(self, start_date, end_date):
        return dict(self.keys)


def reason(message):
    for text, status in (("signature verification", "invalid-signature"), ("invalid format", "invalid-format"),
                         ("has been moved", "moved"), ("public key not found", "key-missing"),
                         ("not found", "missing")):
        if text in message:
            return status
    return "other: " + message


def awscli(folder, about):
    """{object: verdict} and the gaps, by AWS's code."""
    from awscli.customizations.cloudtrail import validation as v
    error = v.ClientError
    bucket = Bucket(folder / "tree", about["metadata"], error)
    lists = json.loads((folder / "keys.json").read_text())
    said, gaps = {}, 0
    for chain in about["chains"]:
        provider = v.DigestProvider(bucket, chain["account"], chain["trail"], chain["home"], chain["region"],
                                    chain["organization"])
        address = lambda bucket, key: f"s3://{bucket}/{key}"

        def invalid(bucket, last_key, message, **_):
            said[address(bucket, last_key)] = reason(message)

        def not_there(bucket, last_key, **_):
            said[address(bucket, last_key)] = "digest-missing"

        def gap(**_):
            nonlocal gaps
            gaps += 1

        traverser = v.DigestTraverser(provider, about["bucket"], chain["prefix"].rstrip("/") or None,
                                      Keys(lists, chain["region"]), on_invalid=invalid, on_gap=gap,
                                      on_missing=not_there)
        start, end = (v.normalize_date(v.parse_date(about[asked] or chain[made]))
                      for asked, made in (("from", "start"), ("to", "end")))
        validator = v.CloudTrailValidateLogs.__new__(v.CloudTrailValidateLogs)
        validator.s3_client_provider = bucket
        validator._valid_logs = 0
        validator._write_status = lambda message, is_error=False: None
        record = lambda status: lambda log: said.__setitem__(address(log["s3Bucket"], log["s3Object"]), status)
        validator._on_log_invalid = record("log-hash-mismatch")
        validator._on_invalid_log_format = validator._on_log_trailing_data = record("invalid-format")
        validator._on_missing_log = record("log-missing")
        for digest in traverser.traverse_digests(start, end, is_backfill=chain["backfill"]):
            said[address(digest["digestS3Bucket"], digest["digestS3Object"])] = "valid"
            for log in digest["logFiles"]:
                said.setdefault(address(log["s3Bucket"], log["s3Object"]), "valid")
                validator._download_log(log)
    return said, gaps


# ---------------------------------------------------------------- jitscan

def jitscan(program, folder, about):
    """{object: status}, the statuses of what has no object in S3, and the number of gaps."""
    arguments = [program, "logs", "verify", str(folder / "tree"), "--public-keys", str(folder / "keys.json"), "--all",
                 "--format", "json", "--quiet"]
    for name in ("from", "to"):
        if about[name]:
            arguments += [f"--{name}", about[name]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3, 4):
        raise RuntimeError(f"{folder}: exit {done.returncode}: {done.stderr}")
    rows = [row for row in json.loads(done.stdout)["rows"] if row["kind"] != "chain"]
    said, local, gaps = {}, [], 0
    root = str(folder / "tree" / about["bucket"]) + "/"
    for row in rows:
        if row["status"] == "gap":
            gaps += 1
        elif row["object"].startswith("s3://"):
            said[row["object"]] = row["status"]
        elif row["status"] == "moved":  # the object that stands at that place
            said[f"s3://{about['bucket']}/{row['object'].removeprefix(root)}"] = "moved"
        else:
            local.append(row["status"])
    return said, local, gaps, done.returncode


# (jitscan, awscli) → why they need not agree, in any download. None: not judged.
EVERYWHERE = {
    ("newest-unsigned", "valid"): "awscli reads each signature from S3's metadata; a download has it in the next digest",
    ("newest-unsigned", None): "the same, of a log of such a digest",
    ("not-digested", None): "awscli does not look at logs that no digest names",
}

# Download → (jitscan, awscli) → why they do not agree there. An entry that is not needed is an error.
THERE = {
    "a log was moved to another day": {
        ("moved", "log-missing"): "jitscan looks for it elsewhere",
    },
    "a digest was moved to another day": {
        (None, "digest-missing"): "jitscan finds it elsewhere and says `moved` there",
        ("moved", None): "awscli does not look there",
    },
    "a digest was renamed": {
        ("moved", None): "no key of the chain's",
    },
    "a digest was put between two others": {
        ("invalid-signature", None): "awscli looks at what the chain names",
    },
    "a log was cut in half": {
        ("invalid-format", "log-hash-mismatch"): "awscli hashes what can be uncompressed",
    },
    "the end of a log was cut": {
        ("invalid-format", "valid"): "awscli asks for no checksum at the end of the gzip",
    },
    "bytes follow a digest": {
        ("invalid-format", "valid"): "awscli looks for such bytes in logs only",
        (None, "valid"): "logs of that digest: jitscan takes nothing from it",
    },
    "stored uncompressed": {
        ("valid", "invalid-format"): "what is in S3 is always compressed; what was downloaded need not be",
        ("valid", None): "logs of those digests",
    },
    "the oldest digests were not downloaded": {
        (None, "digest-missing"): "without --from jitscan calls this a gap",
    },
}


def compare(program, folder, totals, wrong):
    about = json.loads((folder / "about.json").read_text())
    download = about["name"]
    theirs, their_gaps = awscli(folder, about)
    ours, local, our_gaps, code = jitscan(program, folder, about)
    there = THERE.get(download, {})
    used = set()
    for name in sorted(theirs.keys() | ours.keys()):
        pair = ours.get(name), theirs.get(name)
        if pair[0] == pair[1]:
            totals[f"agree: {pair[0]}"] += 1
            continue
        why = there.get(pair) or EVERYWHERE.get(pair)
        used.add(pair)
        if why:
            totals[f"jitscan {pair[0] or '-'}, awscli {pair[1] or '-'}: {why}"] += 1
        else:
            wrong.append(f"{download}: {name}: jitscan says {pair[0]}, awscli {pair[1]}")
    wrong.extend(f"{download}: the entry {pair} of THERE is not needed" for pair in there.keys() - used)
    for status in local:
        totals[f"jitscan {status}, awscli -: {EVERYWHERE[status, None]}"] += 1
    totals["agree: gap"] += min(our_gaps, their_gaps)
    if our_gaps < their_gaps:
        wrong.append(f"{download}: jitscan finds {our_gaps} gaps, awscli {their_gaps}")
    elif our_gaps > their_gaps:
        totals["jitscan gap, awscli -: awscli speaks of gaps between two digests only"] += our_gaps - their_gaps
    bad = {"invalid-signature", "invalid-format", "moved", "log-hash-mismatch", "log-missing", "digest-missing"}
    found = bool(bad & set(ours.values()) or "moved" in local), bool(bad & set(theirs.values()))
    totals["downloads"] += 1
    totals[{(True, True): "downloads that both call tampered with", (False, False): "downloads that neither does",
            (True, False): "downloads that only jitscan does",
            (False, True): "downloads that only awscli does"}[found]] += 1
    clean = not local and not our_gaps and set(ours.values()) == {"valid"}
    if (code == 0) != clean:
        wrong.append(f"{download}: jitscan exits with {code}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jitscan")
    parser.add_argument("chains", type=Path)
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        python = ensure_venv(options.venv or default_venv().with_name("digests-venv"), HERE / "digests.txt")
        return subprocess.run([str(python), __file__, *sys.argv[1:], "--inside"], check=False).returncode
    totals, wrong = collections.Counter(), []
    for folder in sorted(path.parent for path in options.chains.glob("*/about.json")):
        compare(os.path.abspath(options.jitscan), folder, totals, wrong)
    for text, count in sorted(totals.items()):
        print(f"{count:6}  {text}")
    for text in wrong:
        print(f"WRONG  {text}")
    print(f"digests: {totals['downloads']} downloads, {len(wrong)} unlike expected", file=sys.stderr)
    return 1 if wrong or not totals["downloads"] else 0


if __name__ == "__main__":
    sys.exit(main())
