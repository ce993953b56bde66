"""Runs of the binary, what they wrote, and comparisons that say where two things differ."""

import csv
import datetime
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

from collect_world import EXTERNAL_ID, ROLE

RUN_TIMEOUT_S = 900
# Times and names of a run, not of the account. Everything else must be the same in two runs on one world.
# (moto says of every trail that it delivered just now).
VOLATILE = {"JobId", "JobCreationDate", "JobCompletionDate", "GeneratedTime", "LatestDeliveryTime",
            "LatestDeliveryAttemptTime", "LatestDeliveryAttemptSucceeded"}
READS = re.compile(r"^(Get|List|Describe|Lookup|Head|Validate|Check|GenerateCredentialReport$|"
                   r"GenerateServiceLastAccessedDetails$|AssumeRole$)")


class Failed(Exception):
    """A check that did not hold; the message is for the reader."""


def check(holds, message):
    if not holds:
        raise Failed(message)


# ---------------------------------------------------------------- runs

class Run:
    """One run of the binary and everything it left: code, out, err, rows, seconds, and the calls in the log."""

    def __init__(self, lab, world, name, *args, store=None, trace=True, creds=None, command="collect", at=None,
                 role=True, timeout=RUN_TIMEOUT_S):
        self.lab, self.world, self.name, servers = lab, world, name, world.servers
        self.folder = lab.out / "runs" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.store = Path(store) if store else self.folder / "store"
        secrets = set(servers.control("secrets"))
        since = servers.mark(name)
        argv = [lab.binary, "--store", str(self.store), "--format", "json"] + (["-vvv"] if trace else [])
        argv += [command] + (["--endpoint-url", servers.url] if command == "collect" else [])
        argv += (["--role-name", ROLE, "--external-id", EXTERNAL_ID] if command == "collect" and role else [])
        argv += list(args)
        started = time.monotonic()
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder,
                                            env=self.environment(creds or world.caller, trace), start_new_session=True)
            try:
                if at:
                    at(self, since)
                self.code = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise Failed(f"{name}: not done in {timeout} s") from None
            finally:
                if self.process.poll() is None:
                    os.killpg(self.process.pid, signal.SIGKILL)
                    self.process.wait()
        self.seconds = time.monotonic() - started
        self.out, self.err = ((self.folder / part).read_text(errors="replace") for part in ("stdout", "stderr"))
        self.calls = servers.calls(since)
        lab.all_calls(name, self.calls)
        lab.look_for_secrets(self, set(servers.control("secrets")) - secrets
                             | {world.caller["SecretAccessKey"]})

    def environment(self, creds, trace):
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC",
               "AWS_ACCESS_KEY_ID": creds["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": creds["SecretAccessKey"],
               "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}
        if "LD_LIBRARY_PATH" in os.environ:  # a debug binary may find DuckDB by it
            env["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        if trace:
            env["RUST_LOG"] = "trace"
        return env

    def rows(self):
        """The rows by account; the organisation's own row, under the management account too, is left out."""
        try:
            return {row["account"]: row for row in json.loads(self.out)["rows"] if row["name"] != "(organization)"}
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(f"{self.name}: no JSON with rows on stdout ({error}):\n{self.tail()}") from None

    def expect(self, *codes):
        check(self.code in codes,
              f"{self.name}: exit code {self.code}, not {' or '.join(map(str, codes))}\n{self.tail()}")
        return self

    def tail(self):
        # A trace fills stderr: the messages are the lines that no tracing subscriber wrote.
        plain = [line for line in self.err.splitlines() if not re.search(r"\b(TRACE|DEBUG)\b", line)]
        return f"stdout: {self.out[-1500:]}\nstderr: " + "\n".join(plain[-25:])

    def said(self):
        return self.out + self.err

    def operations(self):
        """[(service, operation)] in the order of their first call."""
        return list(dict.fromkeys((call["service"], call["operation"]) for call in self.calls))

    def documents(self):
        """{"KIND/ACCOUNT": canonical document} of the store's newest documents."""
        out = self.folder / "export"
        if not self.store.exists():
            return {}
        made = subprocess.run([self.lab.binary, "--store", str(self.store), "lake", "documents", "--export", str(out)],
                              capture_output=True, text=True, timeout=120, cwd=self.folder,
                              env=self.environment(self.world.caller, False))
        check(made.returncode == 0, f"{self.name}: lake documents --export: {made.returncode}\n{made.stderr[-2000:]}")
        self.raw = {}
        for path in sorted(out.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(out).with_suffix(""))
                text = path.read_text(encoding="utf-8")
                try:
                    self.raw[name] = text if path.suffix == ".csv" else json.loads(text)
                except ValueError as error:
                    raise Failed(f"{self.name}: {path} is no JSON: {error}") from None
        self.lab.look_for_secrets_in(self, out)
        return {name: canonical(document) for name, document in self.raw.items()}


# ---------------------------------------------------------------- comparing

def canonical(value):
    """Without what differs from run to run, times as UTC, policy texts parsed, lists in one order."""
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in sorted(value.items())
                if key not in VOLATILE and inner is not None}
    if isinstance(value, (list, tuple, set)):
        return sorted((canonical(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        if value.startswith(("user,arn,", "<root_account>,")):
            return credential_rows(value)
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value):
            return canonical(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")))
    return value


def credential_rows(text):
    """A credential report; ministack gives the root user the time of the report as its creation."""
    return {row["user"]: {key: inner for key, inner in row.items()
                          if not (row["user"] == "<root_account>" and key == "user_creation_time")}
            for row in csv.DictReader(io.StringIO(text))}


def document_of(text):
    """A policy document, whether parsed, JSON text or URL-encoded JSON text."""
    if not isinstance(text, str):
        return text
    return json.loads(text) if text.lstrip().startswith("{") else json.loads(urllib.parse.unquote(text))


def differences(expected, found, where="", limit=12):
    """Lines that say where two canonical values differ."""
    lines = []

    def walk(left, right, path):
        if len(lines) >= limit or left == right:
            return
        if isinstance(left, dict) and isinstance(right, dict):
            for key in sorted(set(left) | set(right), key=str):
                if key not in right:
                    lines.append(f"{path}/{key}: missing, expected {short(left[key])}")
                elif key not in left:
                    lines.append(f"{path}/{key}: not expected: {short(right[key])}")
                else:
                    walk(left[key], right[key], f"{path}/{key}")
        elif isinstance(left, (list, set, tuple)) and isinstance(right, (list, set, tuple)):
            gone = [item for item in left if item not in right]
            new = [item for item in right if item not in left]
            if len(gone) == len(new) == 1:
                walk(gone[0], new[0], path + "[]")
            else:
                lines.append(f"{path}: {len(left)} expected, {len(right)} found; missing {short(gone)}, "
                             f"not expected {short(new)}")
        else:
            lines.append(f"{path}: expected {short(left)}, found {short(right)}")

    walk(expected, found, where)
    return lines[:limit]


def short(value):
    text = repr(value)
    return text if len(text) < 240 else text[:240] + "..."


def same(expected, found, what):
    lines = differences(expected, found)
    check(not lines, f"{what} differs:\n  " + "\n  ".join(lines))


# ---------------------------------------------------------------- the forms in which a world is compared
# They name the members that jitscan keeps; `left_out` tells which others the servers gave.

def left_out(server, exported):
    """["Users.Locale", ...]: members that the servers' answers have and no exported entry has."""
    found = []
    for name, entries in server.items():
        def keys(of):
            of = [of] if isinstance(of, dict) else of or []
            return {key for entry in of for key, value in entry.items() if value not in (None, "", [], {})}
        found += [f"{name}.{key}" for key in sorted(keys(entries) - keys(exported.get(name)))]
    return found


def iam_fields(document):
    """GAAD -> {users, roles, groups, policies}: every field that GAAD has, by name."""
    def attached(entry):
        return {policy["PolicyArn"] for policy in entry.get("AttachedManagedPolicies", ())}

    def inline(entry, key):
        return {policy["PolicyName"]: document_of(policy["PolicyDocument"]) for policy in entry.get(key) or ()}

    def common(entry):
        return {"Arn": entry["Arn"], "Path": entry["Path"], "CreateDate": canonical(entry.get("CreateDate")),
                "attached": attached(entry)}

    def tagged(entry):
        return {"tags": {tag["Key"]: tag["Value"] for tag in entry.get("Tags") or ()},
                "boundary": (entry.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")}

    users = {user["UserName"]: {**common(user), **tagged(user), "Id": user["UserId"],
                                "inline": inline(user, "UserPolicyList"), "groups": set(user.get("GroupList") or ())}
             for user in document["UserDetailList"]}
    groups = {group["GroupName"]: {**common(group), "Id": group["GroupId"], "inline": inline(group, "GroupPolicyList")}
              for group in document["GroupDetailList"]}
    roles = {role["RoleName"]: {**common(role), **tagged(role), "Id": role["RoleId"],
                                "trust": document_of(role["AssumeRolePolicyDocument"]),
                                "inline": inline(role, "RolePolicyList"),
                                "profiles": {profile["InstanceProfileName"]
                                             for profile in role.get("InstanceProfileList") or ()}}
             for role in document["RoleDetailList"]}
    policies = {policy["Arn"]: {"PolicyName": policy["PolicyName"], "Path": policy.get("Path"),
                                "Id": policy["PolicyId"],
                                "DefaultVersionId": policy["DefaultVersionId"],
                                "versions": {version["VersionId"]: document_of(version["Document"])
                                             for version in policy["PolicyVersionList"]}}
                for policy in document["Policies"]}
    return {"users": users, "roles": roles, "groups": groups, "policies": policies}


def once(document):
    """Every object of a GAAD document once."""
    for member, key in (("UserDetailList", "UserName"), ("GroupDetailList", "GroupName"),
                        ("RoleDetailList", "RoleName"), ("Policies", "Arn")):
        names = [entry[key] for entry in document[member]]
        check(len(names) == len(set(names)), f"{member}: an object arrived twice")


def organization_fields(document):
    return {"organization": canonical({key: document["Organization"].get(key) for key in
                                       ("Id", "Arn", "FeatureSet", "MasterAccountId")}),
            "roots": {root["Id"]: root["Name"] for root in document["Roots"]},
            "units": {unit["Id"]: {"Name": unit["Name"], "ParentId": unit["ParentId"], "Arn": unit["Arn"]}
                      for unit in document["OrganizationalUnits"]},
            "accounts": {account["Id"]: {key: canonical(account.get(key)) for key in
                                         ("Arn", "Name", "Email", "Status", "JoinedTimestamp", "ParentId")}
                         for account in document["Accounts"]},
            "policies": {policy["Id"]: {"Arn": policy["Arn"], "Name": policy["Name"], "Type": policy["Type"],
                                        "AwsManaged": bool(policy.get("AwsManaged")),
                                        "Content": document_of(policy["Content"]),
                                        "Targets": {(target["TargetId"], target["Type"])
                                                    for target in policy["Targets"]}}
                         for policy in document["Policies"]}}


def center_fields(document):
    def boundary(permission_set):
        return canonical(permission_set.get("PermissionsBoundary")) or None

    return {"instances": {one["InstanceArn"]: one["IdentityStoreId"] for one in document["Instances"]},
            "sets": {one["PermissionSetArn"]: {
                "Name": one["Name"], "Description": one.get("Description"),
                "SessionDuration": one.get("SessionDuration"),
                "CreatedDate": canonical(one.get("CreatedDate")),
                "managed": {policy["Arn"] for policy in one.get("ManagedPolicies") or ()},
                "customer": {(policy["Name"], policy.get("Path", "/"))
                             for policy in one.get("CustomerManagedPolicyReferences") or ()},
                "inline": document_of(one["InlinePolicy"]) if one.get("InlinePolicy") else None,
                "tags": {tag["Key"]: tag["Value"] for tag in one["Tags"]},
                "boundary": boundary(one)} for one in document["PermissionSets"]},
            "assignments": sorted((one["AccountId"], one["PermissionSetArn"], one["PrincipalType"], one["PrincipalId"])
                                  for one in document["AccountAssignments"]),
            "users": {user["UserId"]: {"UserName": user["UserName"], "DisplayName": user.get("DisplayName"),
                                       "Emails": {(email["Value"], bool(email.get("Primary")))
                                                  for email in user.get("Emails") or ()}}
                      for user in document["Users"]},
            "groups": {group["GroupId"]: {"DisplayName": group["DisplayName"]} for group in document["Groups"]},
            "memberships": sorted((one["GroupId"], one["MemberId"]["UserId"]) for one in document["GroupMemberships"])}


def trail_fields(document):
    """The three kinds of answers in a trails document, by trail."""
    found = {"trails": {}, "selectors": {}, "status": {}}
    for answer in document:
        for trail in answer.get("trailList") or ():
            found["trails"][trail["TrailARN"]] = canonical(trail)
        if "EventSelectors" in answer or "AdvancedEventSelectors" in answer:
            found["selectors"][answer["TrailARN"]] = canonical({
                key: answer.get(key) or [] for key in ("EventSelectors", "AdvancedEventSelectors")})
        if "IsLogging" in answer:
            found["status"][answer["TrailARN"]] = canonical({key: answer.get(key) for key in
                                                             ("IsLogging", "StartLoggingTime", "StopLoggingTime")})
    return found
