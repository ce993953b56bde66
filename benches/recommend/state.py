"""What AWS answers about the organisation at the end: the files that are ingested beside the logs."""

import csv
import json
import os
from random import Random

from access import AWS_MANAGED, SERVICE_CONTROL, SETS, managed_arn
from people import uuid
from world import PARENTS, REGIONS, identifier

ORGANIZATION = "o-9tessel4k2"
ROOT = "r-ts4k"
INSTANCE = "ssoins-72233e4b5c6d7f80"
STORE = "d-90671b2c3d"
POLICY_DATES = {"CreateDate": "2024-02-06T09:00:00+00:00", "UpdateDate": "2024-02-06T09:00:00+00:00"}
REPORT = """user arn user_creation_time password_enabled password_last_used password_last_changed password_next_rotation
mfa_active access_key_1_active access_key_1_last_rotated access_key_1_last_used_date access_key_1_last_used_region
access_key_1_last_used_service access_key_2_active access_key_2_last_rotated access_key_2_last_used_date
access_key_2_last_used_region access_key_2_last_used_service cert_1_active cert_1_last_rotated cert_2_active
cert_2_last_rotated""".split()


def save(path, value):
    """Writes a JSON file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, separators=(",", ":"))


def attached(arns):
    """Attached policies, as IAM lists them."""
    return [{"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in arns]


def policy(rng, arn, statements):
    """A managed policy, as IAM lists it."""
    path = "/" + "".join(f"{part}/" for part in arn.split(":policy/")[1].split("/")[:-1])
    version = {"Document": statements, "VersionId": "v1", "IsDefaultVersion": True,
               "CreateDate": POLICY_DATES["CreateDate"]}
    return {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyId": identifier(rng, "ANPA"), "Arn": arn, "Path": path,
            "DefaultVersionId": "v1", "AttachmentCount": 1, "PermissionsBoundaryUsageCount": 0, "IsAttachable": True,
            "PolicyVersionList": [version], **POLICY_DATES}


def authorization_details(account, last):
    """GetAccountAuthorizationDetails of an account; `last` says by ARN when something was last used."""
    rng = Random(f"{account.id}/ids")

    def inline(policies):
        return [{"PolicyName": name, "PolicyDocument": statements} for name, statements in policies.items()]

    users = [{"Path": "/", "UserName": user.name, "UserId": user.id, "Arn": user.arn, "CreateDate": user.created,
              "UserPolicyList": inline(user.inline), "GroupList": user.groups, "AttachedManagedPolicies": [],
              "Tags": []} for user in account.users]
    groups = [{"Path": "/", "GroupName": name, "GroupId": identifier(rng, "AGPA"),
               "Arn": f"arn:aws:iam::{account.id}:group/{name}", "CreateDate": POLICY_DATES["CreateDate"],
               "GroupPolicyList": [], "AttachedManagedPolicies": attached(arns)}
              for name, arns in account.groups.items()]
    roles = []
    for role in account.roles:
        used = last.get(role.arn)
        one = {"Path": role.path, "RoleName": role.name, "RoleId": role.id, "Arn": role.arn, "CreateDate": role.created,
               "AssumeRolePolicyDocument": role.trust, "InstanceProfileList": [], "RolePolicyList": inline(role.inline),
               "AttachedManagedPolicies": attached(role.managed), "Tags": [], "MaxSessionDuration": 3600,
               "RoleLastUsed": {"LastUsedDate": used[0], "Region": used[1]} if used else {}}
        if role.service.startswith("ec2"):
            one["InstanceProfileList"] = [{
                "Path": "/", "InstanceProfileName": role.name, "InstanceProfileId": identifier(rng, "AIPA"),
                "Arn": f"arn:aws:iam::{account.id}:instance-profile/{role.name}", "CreateDate": role.created,
                "Roles": [{name: one[name] for name in ("Path", "RoleName", "RoleId", "Arn", "CreateDate")}]}]
        if role.boundary:
            one["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": role.boundary}
        roles.append(one)
    policies = [policy(rng, f"arn:aws:iam::{account.id}:policy/{name}", of) for name, of in account.policies.items()]
    policies += [policy(rng, managed_arn(name), statements) for name, statements in AWS_MANAGED.items()]
    return {"UserDetailList": users, "GroupDetailList": groups, "RoleDetailList": roles, "Policies": policies}


def credential_report(account, last, path):
    """The credential report of an account."""
    rng = Random(f"{account.id}/report")
    rows = [{"user": "<root_account>", "arn": f"arn:aws:iam::{account.id}:root", "password_enabled": "not_supported",
             "user_creation_time": "2021-01-04T09:00:00+00:00", "password_last_used": "no_information",
             "password_last_changed": "not_supported", "password_next_rotation": "not_supported", "mfa_active": "true"}]
    for user in account.users:
        at, region, service = last.get(user.arn, ("N/A", "N/A", "N/A"))
        row = {"user": user.name, "arn": user.arn, "user_creation_time": user.created, "password_enabled": "false"}
        if user.owner:
            row |= {"password_enabled": "true", "password_last_used": "no_information" if at == "N/A" else at,
                    "password_last_changed": user.created, "mfa_active": rng.choice(["true", "true", "false"])}
        else:
            row |= {"access_key_1_active": "true", "access_key_1_last_rotated": user.created,
                    "access_key_1_last_used_date": at, "access_key_1_last_used_region": region,
                    "access_key_1_last_used_service": service.split(".")[0], "mfa_active": "false"}
        rows.append(row)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, REPORT, "N/A")
        writer.writeheader()
        for row in rows:
            inactive = ("access_key_1_active", "access_key_2_active", "cert_1_active", "cert_2_active")
            writer.writerow({**dict.fromkeys(inactive, "false"), **row})


def organization(accounts):
    """Accounts, organisational units and service control policies."""
    units = {name: f"ou-ts4k-{name.lower()[:8]:0<8}" for name in
             ("Security", "Infrastructure", "Workloads", "Production", "Staging", "Development", "Sandbox")}
    ids = {"root": ROOT, **units}
    above = {name: "Workloads" if name in ("Production", "Staging", "Development") else "root" for name in units}
    everywhere = [(ROOT, "ROOT")] + [(one, "ORGANIZATIONAL_UNIT") for one in units.values()]
    everywhere += [(account.id, "ACCOUNT") for account in accounts]
    policies = [("FullAWSAccess", everywhere, {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}]})]
    for name, targets, statements in SERVICE_CONTROL:
        kinds = [(ids[target], "ROOT" if target == "root" else "ORGANIZATIONAL_UNIT") for target in targets]
        policies.append((name, kinds, statements))
    return {
        "Organization": {"Id": ORGANIZATION, "MasterAccountId": accounts[0].id, "FeatureSet": "ALL"},
        "Roots": [{"Id": ROOT, "Name": "Root"}],
        "OrganizationalUnits": [{"Id": ids[name], "Name": name, "ParentId": ids[above[name]]} for name in units],
        "Accounts": [{"Id": account.id, "Name": account.name, "Email": f"aws+{account.name}@tessel.example",
                      "Status": "ACTIVE", "ParentId": ids[PARENTS[account.kind]]} for account in accounts],
        "Policies": [{"Id": "p-" + name.replace("-", "")[:14], "Name": name, "Type": "SERVICE_CONTROL_POLICY",
                      "Content": json.dumps(statements),
                      "Targets": [{"TargetId": target, "Type": kind} for target, kind in targets]}
                     for name, targets, statements in policies],
    }


def identity_center(people, assignments):
    """Permission sets, assignments, users and groups of Identity Center."""
    rng = Random("groups")
    arns = {one.name: f"arn:aws:sso:::permissionSet/{INSTANCE}/ps-{rng.getrandbits(64):016x}" for one in SETS}
    groups = {name: uuid(rng) for name in sorted({group for person in people for group in person.groups})}
    return {
        "Instances": [{"InstanceArn": f"arn:aws:sso:::instance/{INSTANCE}", "IdentityStoreId": STORE}],
        "PermissionSets": [
            {"PermissionSetArn": arns[one.name], "Name": one.name, "SessionDuration": f"PT{one.hours}H",
             "ManagedPolicies": [{"Name": name.rsplit("/", 1)[-1], "Arn": managed_arn(name)} for name in one.managed],
             "InlinePolicy": json.dumps(one.inline) if one.inline else ""} for one in SETS],
        "AccountAssignments": [
            {"AccountId": account.id, "PermissionSetArn": arns[name],
             "PrincipalType": "GROUP" if isinstance(holder, str) else "USER",
             "PrincipalId": groups[holder] if isinstance(holder, str) else holder.user_id}
            for account, name, holder in assignments],
        "Users": [{"UserId": person.user_id, "UserName": person.login, "DisplayName": person.name,
                   "Emails": [{"Value": person.email, "Primary": True}]} for person in people],
        "Groups": [{"GroupId": number, "DisplayName": name} for name, number in groups.items()],
        "GroupMemberships": [{"GroupId": groups[group], "MemberId": {"UserId": person.user_id}}
                             for person in people for group in person.groups],
    }


def roster(people, accounts, path):
    """The people, as their employer lists them, and every second of the programs that have a user."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "email", "manager", "team", "kind", "start", "end", "iam_users"])
        users = [user for account in accounts for user in account.users]
        for one in people:
            own = ";".join(user.arn for user in users if user.owner == one.email)
            writer.writerow([f"E{one.number:04}", one.name, one.email, one.manager, one.team, one.kind, one.started,
                             one.ended, own])
        for number, user in enumerate([user for user in users if not user.owner][::2], 1):
            writer.writerow([f"S{number:04}", user.name, "", "", "", "service", "2021-01-01", "", user.arn])


def trails(accounts):
    """The organisation's trail: all management events, and data events of S3 in every account."""
    arn = f"arn:aws:cloudtrail:{REGIONS[0]}:{accounts[0].id}:trail/organisation"
    described = {"Name": "organisation", "TrailARN": arn, "HomeRegion": REGIONS[0], "S3BucketName": "tessel-trail",
                 "IncludeGlobalServiceEvents": True, "IsMultiRegionTrail": True, "IsOrganizationTrail": True,
                 "LogFileValidationEnabled": False, "HasCustomEventSelectors": True, "HasInsightSelectors": False}
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "ExcludeManagementEventSources": [],
                "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}
    return [{"trailList": [described]}, {"TrailARN": arn, "EventSelectors": [selector]},
            {"TrailARN": arn, "IsLogging": True, "StartLoggingTime": "2021-02-01T09:00:00+00:00"}]
