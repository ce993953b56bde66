"""A round with users and groups: the demo's plan takes but one policy from one user, and IAM has more calls for them.

Beside the demo's principals there are four users and two groups, and log records of what was used. What was not goes:
of a user's own policy, of an attached one, and of a group's, which the other member keeps; and one who has MFA gets a
grant.
"""

import gzip
import json
import uuid
from collections import Counter

from remediate_round import Round, check
from remediate_state import differences
from remediate_world import MANAGED, ingest, policy_of, rewritten, text_of

ACCOUNT = "710293847561"
SINCE = "2024-05-06T09:00:00Z"
DAYS = [f"2026-{month}-{day:02}" for month in ("08", "09", "10") for day in range(4, 31)]
SELDOM, DAILY = DAYS[::7], "extra-ben"
BOUNDARY = {"sid": "Edge", "allows": ["sqs:*", "ec2:*", "kms:*", "sns:*", "iam:*", "dynamodb:*"]}
POLICIES = {"extra-direct": ["kms:ListKeys", "kms:ScheduleKeyDeletion"], "extra-shared": ["sns:ListTopics"],
            "extra-plain": ["iam:ListUsers"], "extra-edge": BOUNDARY["allows"]}
# Group: its own policy, and what is attached.
GROUPS = {"extra-team": (["ec2:DescribeInstances", "ec2:StartInstances"], ["extra-shared"]),
          "extra-base": ([], ["extra-plain"])}
# User: path, groups, own policy, attached, boundary, what it used.
USERS = {
    "extra-ada": ("/extra/", ["extra-team", "extra-base"], ["sqs:ListQueues", "sqs:PurgeQueue"], ["extra-direct"], None,
                  ["ec2:DescribeInstances", "sns:ListTopics", "sqs:ListQueues", "kms:ListKeys", "iam:ListUsers"]),
    "extra-ben": ("/", ["extra-team", "extra-base"], [], [], None,
                  ["ec2:DescribeInstances", "ec2:StartInstances", "sns:ListTopics", "iam:ListUsers"]),
    "extra-cleo": ("/extra/deep/", [], ["dynamodb:ListTables", "dynamodb:DeleteTable"], [], "extra-edge",
                   ["dynamodb:ListTables"]),
    # With MFA; what is used now and then becomes a grant.
    "extra-dan": ("/", [], ["ec2:DescribeInstances", "ec2:StartInstances"], [], None,
                  ["ec2:DescribeInstances", "ec2:StartInstances"]),
}
WITH_MFA = "extra-dan"
REQUESTS = {"ec2:StartInstances": {"instancesSet": {"items": [{"instanceId": "i-0c4e71b92d5fa8036"}]}}}
# What has to become of them, by user: ben uses daily all that the team may, and stays in it.
CALLS = {"extra-ada": {"CreatePolicy": 2, "AttachUserPolicy": 3, "PutUserPolicy": 1, "DetachUserPolicy": 1,
                       "RemoveUserFromGroup": 1},
         "extra-cleo": {"PutUserPolicy": 1}}


def arn(kind, name, path="/"):
    return f"arn:aws:iam::{ACCOUNT}:{kind}{path}{name}"


DATES = {arn("policy", name): SINCE for name in POLICIES} | {arn("group", name): SINCE for name in GROUPS} \
    | {arn("user", name, told[0]): SINCE for name, told in USERS.items()}


def allowing(actions, name):
    return text_of(policy_of({"Sid": "Some", "Effect": "Allow", "Action": actions, "Resource": "*"}), name)


class Users(Round):
    name = "users"

    def __init__(self, *more):
        super().__init__(*more)
        self.kills = max(2, self.kills // 2)

    def part_store(self):
        iam, ids = self.world.root(ACCOUNT), {}
        for name, actions in POLICIES.items():
            iam.create_policy(PolicyName=name, PolicyDocument=allowing(actions, name))
        for name, (own, attached) in GROUPS.items():
            iam.create_group(GroupName=name)
            if own:
                iam.put_group_policy(GroupName=name, PolicyName="own", PolicyDocument=allowing(own, name))
            for policy in attached:
                iam.attach_group_policy(GroupName=name, PolicyArn=arn("policy", policy))
        for name, (path, groups, own, attached, boundary, _) in USERS.items():
            bounded = {"PermissionsBoundary": arn("policy", boundary)} if boundary else {}
            made = iam.create_user(UserName=name, Path=path, Tags=[MANAGED], **bounded)
            ids[name] = made["User"]["UserId"]
            if own:
                iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=allowing(own, name))
            for policy in attached:
                iam.attach_user_policy(UserName=name, PolicyArn=arn("policy", policy))
            for group in groups:
                iam.add_user_to_group(UserName=name, GroupName=group)
        rewritten(self.world, self.files)
        written = sum(self.log(day, ids) for day in DAYS)
        report = self.files / "iam" / ACCOUNT / "credential-report.csv"
        lines = report.read_text().splitlines()
        row = next(line for line in lines if line.startswith("legacy-backup,"))
        row = row.replace("legacy-backup", WITH_MFA).split(",")
        row[lines[0].split(",").index("mfa_active")] = "true"
        report.write_text("\n".join([*lines, ",".join(row)]) + "\n")
        ingest(self.world, self.jitscan, self.files, self.form)
        self.before = self.world.state()
        return (f"{len(USERS)} users, {len(GROUPS)} groups and {len(POLICIES)} policies beside the demo's, {written} "
                "records of theirs")

    def log(self, day, ids):
        """A log file of a day."""
        records = [{
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "principalId": ids[name], "arn": arn("user", name, path),
                             "accountId": ACCOUNT, "accessKeyId": "AKIA" + ids[name][4:20], "userName": name},
            "eventTime": f"{day}T10:00:0{index}Z", "eventSource": f"{action.split(':')[0]}.amazonaws.com",
            "eventName": action.split(":")[1], "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7",
            "userAgent": "aws-cli/2.31.7", "requestParameters": REQUESTS.get(action), "responseElements": None,
            "requestID": str(uuid.uuid4()), "eventID": str(uuid.uuid4()), "readOnly": action not in REQUESTS,
            "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        } for name, (path, *_, used) in USERS.items() if day in SELDOM or name == DAILY
            for index, action in enumerate(used)]
        beside = next(self.files.glob(f"cloudtrail/**/{ACCOUNT}/CloudTrail/us-east-1/{day.replace('-', '/')}"))
        path = beside / f"{ACCOUNT}_CloudTrail_us-east-1_{day.replace('-', '')}T1005Z_ExtraExtraExtra0.json.gz"
        path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))
        return len(records)

    def part_plan(self):
        self.plan, self.proof = self.plan_and_proof(self.jitscan, self.plan_path, "--principal", "extra-")
        made = {change["principal"].rsplit("/", 1)[-1]: Counter(step["do"]["call"] for step in change["steps"])
                for change in self.plan["changes"]}
        made.pop(WITH_MFA, None)
        return check(differences(CALLS, {name: dict(calls) for name, calls in made.items()}), self.told())
