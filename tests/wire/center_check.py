#!/usr/bin/env python3
"""remediate_center.py's own test with boto3: one that lets wrong calls through makes remediate.py worthless.
usage: center_check.py JITSCAN OUT_DIR; of JITSCAN only `demo` is needed. One line "ok NAME: figures" a part."""

import atexit
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -I leaves the folder of the script out
from remediate import Test  # noqa: E402
from remediate_center import SERVED, role_of  # noqa: E402
from remediate_state import plain  # noqa: E402
from wire import default_venv, ensure_venv  # noqa: E402

TEXT = '{ "Version": "2012-10-17",\n\t"Statement": {"Effect": "Allow", "Action": "sqs:List*", "Resource": "*"} }\r\n '
READ, AUDIT = ({"ManagedPolicyArn": f"arn:aws:iam::aws:policy/{name}"} for name in ("ReadOnlyAccess", "SecurityAudit"))
NEW, *MORE = ({"CustomerManagedPolicyReference": {"Name": f"check-{one}", "Path": "/check/"}} for one in range(20))
OWN, DENIED, MISSING, CONFLICT, WRONG, QUOTA = MORE[0], *(f"{word}Exception" for word in (
    "AccessDenied", "ResourceNotFound", "Conflict", "Validation", "ServiceQuotaExceeded"))
TAGS = [{"Key": f"key{number}", "Value": "ü"} for number in range(4)]
# In this order: operation (* is PermissionSet), and parameters with what it answers or is refused with.
CALLS = [
    ("Create*", ({"Name": "Check"}, CONFLICT), ({"Name": "x" * 33}, WRONG), ({"Name": "a b"}, WRONG),
     ({"Name": "y", "SessionDuration": "PT13H"}, WRONG)),
    ("TagResource", ({"Tags": TAGS}, {})), ("ListTagsForResource", ({}, {"Tags": TAGS[:3]})),
    ("UntagResource", ({"TagKeys": ["key0"]}, {})), ("ListTagsForResource", ({}, {"Tags": TAGS[1:]})),
    ("List*s", ({"NextToken": "bm90aGluZyA="}, WRONG), ({"MaxResults": 101}, WRONG)),
    ("GetInlinePolicyFor*", ({}, {"InlinePolicy": ""})), ("PutInlinePolicyTo*", ({"InlinePolicy": "{"}, WRONG),
     ({"InlinePolicy": TEXT + " " * 32768}, WRONG), ({"InlinePolicy": TEXT.replace("List", "x" * 10240)}, QUOTA),
     ({"InlinePolicy": TEXT}, {})), ("DeleteInlinePolicyFrom*", ({}, {}), ({}, MISSING)),
    ("PutInlinePolicyTo*", ({"InlinePolicy": TEXT + " " * (32768 - len(TEXT))}, {}), ({"InlinePolicy": TEXT}, {})),
    ("AttachManagedPolicyTo*", (READ, {}), (AUDIT, {}), (READ, CONFLICT)),
    ("DetachManagedPolicyFrom*", (AUDIT, {}), (AUDIT, MISSING)),
    ("AttachCustomerManagedPolicyReferenceTo*", *((one, {}) for one in MORE), (OWN, CONFLICT), (NEW, QUOTA)),
    ("DetachCustomerManagedPolicyReferenceFrom*", *((one, {}) for one in MORE[1:]), (NEW, MISSING)),
    ("GetPermissionsBoundaryFor*", ({}, MISSING)), ("DeletePermissionsBoundaryFrom*", ({}, MISSING)),
    ("PutPermissionsBoundaryTo*", ({"PermissionsBoundary": {}}, WRONG), ({"PermissionsBoundary": AUDIT}, {})),
    ("DeletePermissionsBoundaryFrom*", ({}, {})), ("PutPermissionsBoundaryTo*", ({"PermissionsBoundary": OWN}, {})),
    ("CreateAccountAssignment", ({"PrincipalId": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}, MISSING)),
    ("DeleteAccountAssignment", ({}, MISSING)), ("Provision*", ({"TargetId": "000000000000"}, WRONG)),
]


class Check(Test):
    def same(self, found, wanted, *about):
        assert found == wanted, f"{about} {found!r} is not {wanted!r}"

    def call(self, name, given=(), wanted=None, sso=None):
        """What a call answers, held against what is wanted of it: an error code, or members."""
        from botocore import xform_name
        from botocore.exceptions import ClientError
        sso = sso or self.world.sso()
        needs = sso.meta.service_model.operation_model(name).input_shape.required_members
        given = {key: self.fill[key] for key in needs if key in self.fill} | dict(given)
        try:
            answer = getattr(sso, xform_name(name))(**given)
        except ClientError as error:
            return self.same(error.response["Error"]["Code"], wanted, name, given, error)
        self.same({key: answer.get(key) for key in wanted} if isinstance(wanted, dict) else None, wanted, name, given)
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    def ended(self, name, given=(), wanted="SUCCEEDED"):
        """A request that takes a moment, to its end; meanwhile it has no effect."""
        before, answer = self.role(), self.call(name, given)
        self.same(([status["Status"] for status in answer.values()], self.role()), (["IN_PROGRESS"], before))
        self.same(self.world.settled(answer)["Status"], wanted, name, given)

    def role(self, name="Check"):
        roles = self.world.details(self.account)["RoleDetailList"]
        return next((plain(one) for one in roles if role_of(name, one["RoleName"])), None)

    def part_seed(self):
        figures, world = self.make_world(), self.world
        self.account, self.called = world.accounts[-1], set()
        world.sso().meta.events.register("before-call", lambda model, **_: self.called.add(model.name))
        self.fill = {"InstanceArn": world.instance, "PrincipalType": "USER", "TargetType": "AWS_ACCOUNT", "TargetId":
                     self.account, "AccountId": self.account, "PrincipalId": world.center["Users"][0]["UserId"]}
        self.before = world.state()
        self.same(self.call("ListInstances")["Instances"][0]["OwnerAccountId"], self.world.management)
        pages = list(world.sso().get_paginator("list_permission_sets").paginate(InstanceArn=world.instance))
        return f"{figures}; pages of {[len(page['PermissionSets']) for page in pages]}"

    def part_set(self):
        made = self.call("CreatePermissionSet", {"Name": "Check", "Description": "x", "SessionDuration": "PT1H30M"})
        self.fill.update(dict.fromkeys(("PermissionSetArn", "ResourceArn"), made["PermissionSet"]["PermissionSetArn"]))
        told = [(name.replace("*", "PermissionSet"), *one) for name, *ones in CALLS for one in ones]
        for one in (("DescribePermissionSet", {}, made), *told):
            self.call(*one)
        found, tags = self.world.permission_sets()["Check"], {tag["Key"]: tag["Value"] for tag in TAGS[1:]}
        self.same(found, found | {
            "SessionDuration": "PT1H30M", "InlinePolicy": TEXT, "PermissionsBoundary": OWN, "Tags": tags, "Outdated": [],
            "ManagedPolicies": [*READ.values()], "CustomerPolicies": ["/check/check-1"], "Assignments": {}})
        return f"{len(told)} calls, {sum(isinstance(one[-1], str) for one in told)} of them refused"

    def part_roles(self):
        """Assigned, changed, provisioned, and taken away: what is in the role, to the byte."""
        iam = self.world.root(self.account)
        self.ended("CreateAccountAssignment", (), "FAILED")  # the account has not the policy that the set refers to
        arn = iam.create_policy(PolicyName="check-1", Path="/check/", PolicyDocument=TEXT)["Policy"]["Arn"]
        self.ended("CreateAccountAssignment")
        holds = lambda role: ([one["PolicyDocument"] for one in role["RolePolicyList"]], "PermissionsBoundary" in role,
                              {one["PolicyArn"] for one in role["AttachedManagedPolicies"]})
        role, trust = self.role(), lambda one: json.loads(one["AssumeRolePolicyDocument"])
        self.same((*holds(role), trust(role)), ([TEXT], True, {arn, *READ.values()}, trust(self.role("ReadOnlyAccess"))))
        self.call("DeletePermissionSet", (), CONFLICT)
        behind = lambda: self.world.permission_sets()["Check"]["Outdated"]
        for name, given in (("DetachManagedPolicyFrom", READ), ("DeletePermissionsBoundaryFrom", ()),
                            ("PutInlinePolicyTo", {"InlinePolicy": TEXT + "\t"})):
            self.call(name + "PermissionSet", given)
            self.same((self.role(), behind()), (role, [self.account]))
        self.ended("ProvisionPermissionSet", {"TargetType": "ALL_PROVISIONED_ACCOUNTS"})
        self.same((*holds(self.role()), behind()), ([TEXT + "\t"], False, {arn}, []))
        for verb, there in (("Delete", None), ("Create", False), ("Delete", None)):  # a role anew is another one
            self.ended(verb + "AccountAssignment")
            self.same((now := self.role()) and now["Arn"] == role["Arn"], there)
        self.call("DeletePermissionSet")
        iam.delete_policy(PolicyArn=arn)
        self.same(self.world.state(), self.before)
        return "a role made, brought up to its set, and removed with the last assignment; the state is that of before"

    def part_allowed(self):
        """Nobody gets in; besides the set the instance must be allowed, and the account where there is one."""
        iam, instance = self.world.root(self.world.management), self.world.instance
        account, describe, listing = "arn:aws:sso:::account/*", "DescribePermissionSet", "ListAccountAssignments"
        one, other, *_ = (found["PermissionSetArn"] for found in self.world.center["PermissionSets"])
        self.call(describe, {"PermissionSetArn": one}, DENIED, self.world.client("sso-admin", self.world.nobody))
        self.call("ListPermissionSets", (), DENIED, self.world.client("sso-admin", account=self.account))
        iam.create_user(UserName="check")
        sso = self.world.client("sso-admin", iam.create_access_key(UserName="check")["AccessKey"])
        for allowed, name, arn, wanted in (
                ([one], describe, one, DENIED), ([one, instance], describe, one, None), (["*"], describe, other, None),
                ([one, instance], describe, other, DENIED), ([one, instance], listing, one, DENIED),
                ([one, instance, account], listing, one, None), (["*"], "DeletePermissionSet", one, CONFLICT)):
            iam.put_user_policy(UserName="check", PolicyName="check", PolicyDocument=json.dumps({
                "Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sso:*", "Resource": allowed}}))
            self.call(name, {"PermissionSetArn": arn}, wanted, sso)
        return self.same(set(SERVED) - self.called, set()) or f"{len(SERVED)} operations called"


if __name__ == "__main__":
    if sys.argv[-1] != "inside":
        python = str(ensure_venv(default_venv()))
        os.execve(python, [python, "-I", "-B", os.path.abspath(__file__), *sys.argv[1:3], "inside"],
                  {name: value for name, value in os.environ.items() if not name.startswith("AWS_")})
    check = Check(Namespace(jitscan=os.path.abspath(sys.argv[1]), out=Path(sys.argv[2]).absolute()))
    atexit.register(lambda: check.world and check.world.server.stop())
    sys.exit(not all(check.part(name, getattr(check, f"part_{name}")) for name in ("seed", "set", "roles", "allowed")))
