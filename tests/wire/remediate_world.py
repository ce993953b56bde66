"""The demo's organisation made for real in ministack, its state read back, and a store made of that state.

ministack takes a twelve-digit access key as the root user of that account; everything here is made as root.
"""

import contextvars
import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

from remediate_center import INLINE, role_of
from remediate_emulator import DRY, ROOT_SECRET, Emulator
from remediate_state import differences, documents_read, plain, plain_of_demo, sets_of_demo, without, zulu

REGION = "us-east-1"
AS_OF = "2026-11-01T00:00:00Z"
RUNNER, EXECUTOR, HELPER, NOBODY = "jitscan-runner", "jitscan-executor", "helper", "nobody"
EXECUTES = ["iam:Get*", "iam:List*", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutUserPolicy",
            "iam:DeleteUserPolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:AttachUserPolicy",
            "iam:DetachUserPolicy", "iam:AddUserToGroup", "iam:RemoveUserFromGroup", "iam:CreatePolicy",
            "iam:DeletePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:TagRole", "iam:TagPolicy",
            "sso:*PermissionSet*", "sso:List*"]
# Without it the executor may not change a user or role: all have it but those that are nobody's to change.
MANAGED = {"Key": "jitscan:managed", "Value": "true"}
UNMANAGED = ("/aws-service-role/", "/aws-reserved/", "break-glass")
SERVED = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


# ---------------------------------------------------------------- the world

def text_of(document, name):
    """A document as a text, in the three ways in which people write them: all must come back as they were."""
    way = sum(name.encode()) % 3
    if way == 0:
        return json.dumps(document, separators=(",", ":"))
    return json.dumps(document) if way == 1 else json.dumps(document, indent=2) + "\n"


class World:
    def __init__(self, demo, dates):
        """`demo`: the folder that `jitscan demo` made. `dates`: of creation, by ARN, of what is made beside it."""
        self.input = Path(demo) / "input"
        self.wanted = {path.parent.name: json.loads(path.read_text())
                       for path in sorted(self.input.glob("iam/*/authorization-details.json"))}
        self.accounts = sorted(self.wanted)
        organization = json.loads((self.input / "organization.json").read_text())
        self.management = organization["Organization"]["MasterAccountId"]
        self.center = json.loads((self.input / "identity-center.json").read_text())
        self.instance = self.center["Instances"][0]["InstanceArn"]
        for one in self.center["PermissionSets"]:
            if one.get("InlinePolicy"):
                one["InlinePolicy"] = text_of(json.loads(one["InlinePolicy"]), one["Name"])
        self.server = Emulator(self.management, self.told(dates))
        self.sessions, self.clients, self.ids, self.documents = None, {}, {}, 0

    def told(self, more):
        managed, dates, last_used = {}, dict(more), {}
        for details in self.wanted.values():
            for policy in details["Policies"]:
                dates[policy["Arn"]] = zulu(policy["CreateDate"])
                for version in policy["PolicyVersionList"]:
                    dates[f"{policy['Arn']}:{version['VersionId']}"] = zulu(version["CreateDate"])
                if policy["Arn"].startswith("arn:aws:iam::aws:"):
                    managed[policy["Arn"]] = text_of(default_version(policy)["Document"], policy["PolicyName"])
            for member in SERVED[:3]:
                for one in details.get(member, ()):
                    for dated in (one, *one.get("InstanceProfileList", ())):
                        dates[dated["Arn"]] = zulu(dated["CreateDate"])
                    if (one.get("RoleLastUsed") or {}).get("LastUsedDate"):
                        used = one["RoleLastUsed"]
                        last_used[one["Arn"]] = dict(used, LastUsedDate=zulu(used["LastUsedDate"]))
        center = {**self.center, "Owner": self.management, "Accounts": [self.management, *self.accounts]}
        return {"managed": managed, "dates": dates, "last_used": last_used, "center": center}

    def client(self, service, creds=None, account=None, region=REGION):
        """A boto3 client, without creds as root; policy documents stay the texts that IAM sends."""
        import boto3
        from botocore import handlers
        from botocore.config import Config
        creds = creds or {"AccessKeyId": account, "SecretAccessKey": ROOT_SECRET}
        key = (service, region, creds["AccessKeyId"])
        if key not in self.clients:
            if self.sessions is None:
                self.sessions = boto3.session.Session()
                for event, handler, *_ in handlers.BUILTIN_HANDLERS:
                    if handler in (handlers.json_decode_policies, handlers.decode_quoted_jsondoc):
                        self.sessions.events.unregister(event, handler)
            client = self.sessions.client(
                service, endpoint_url=self.server.url, region_name=region,
                aws_access_key_id=creds["AccessKeyId"], aws_secret_access_key=creds["SecretAccessKey"],
                aws_session_token=creds.get("SessionToken"),
                config=Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60, proxies={},
                              s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                              response_checksum_validation="when_required", inject_host_prefix=False,
                              ignore_configured_endpoint_urls=True, parameter_validation=True))
            client.meta.events.register("before-sign.*", lambda request, **_: dry_header(request))
            self.clients[key] = client
        return self.clients[key]

    def root(self, account):
        return self.client("iam", account=account)

    def sso(self):
        return self.client("sso-admin", account=self.management)

    def set_of(self, role):
        """The permission set that a role of Identity Center's is, as the demo has it."""
        return next(one for one in self.center["PermissionSets"] if role_of(one["Name"], role))

    def build(self, allowed, starts=None):
        """Everything of the demo in ministack, and those who test; `allowed`: the executor's policy, or none; `starts`:
        that of who becomes the executor, and changes the management account, or none."""
        self.server.start()
        for account, details in self.wanted.items():
            iam = self.root(account)
            for policy in details["Policies"]:
                if not policy["Arn"].startswith("arn:aws:iam::aws:"):
                    self.policy(iam, policy)
            for group in details["GroupDetailList"]:
                iam.create_group(GroupName=group["GroupName"], Path=group["Path"])
                self.holds(iam, "group", group["GroupName"], group["GroupPolicyList"], group)
            for user in details["UserDetailList"]:
                made = iam.create_user(UserName=user["UserName"], Path=user["Path"], Tags=tagged(user),
                                       **bound(user))
                self.ids[user["UserId"]] = made["User"]["UserId"]
                self.holds(iam, "user", user["UserName"], user["UserPolicyList"], user)
                for group in user["GroupList"]:
                    iam.add_user_to_group(GroupName=group, UserName=user["UserName"])
            for role in details["RoleDetailList"]:
                self.role(iam, role)
            self.executor(iam, allowed)
        iam = self.root(self.management)
        roles = [f"arn:aws:iam::{account}:role/{EXECUTOR}" for account in self.accounts]
        self.runner = self.tester(iam, RUNNER, [] if starts else roles)
        starts = starts or json.dumps(policy_of({"Effect": "Allow", "Action": EXECUTES, "Resource": "*"}))
        iam.put_user_policy(UserName=RUNNER, PolicyName="remediate", PolicyDocument=starts)
        self.helper, self.nobody = self.tester(iam, HELPER, ["*"]), self.tester(iam, NOBODY, [])
        return self

    def document(self, document, name):
        self.documents += 1
        return text_of(document, name)

    def policy(self, iam, policy):
        wanted = default_version(policy)
        assert len(policy["PolicyVersionList"]) == 1, policy["Arn"]
        text = self.document(wanted["Document"], policy["PolicyName"])
        arn = iam.create_policy(PolicyName=policy["PolicyName"], Path=policy["Path"],
                                PolicyDocument=text)["Policy"]["Arn"]
        version = "v1"
        while version != wanted["VersionId"]:  # an older one that was deleted since
            now = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)["PolicyVersion"]
            iam.delete_policy_version(PolicyArn=arn, VersionId=version)
            version = now["VersionId"]
        self.ids[policy["PolicyId"]] = iam.get_policy(PolicyArn=arn)["Policy"]["PolicyId"]

    def holds(self, iam, kind, name, inline, holder):
        for one in inline:
            text = self.document(one["PolicyDocument"], name + one["PolicyName"])
            if one["PolicyName"] == INLINE:  # Identity Center's roles have the text of their permission set
                text, document = self.set_of(name)["InlinePolicy"], one["PolicyDocument"]
                assert json.loads(text) == document, name
            getattr(iam, f"put_{kind}_policy")(**{f"{kind.title()}Name": name}, PolicyName=one["PolicyName"],
                                               PolicyDocument=text)
        for one in holder["AttachedManagedPolicies"]:
            getattr(iam, f"attach_{kind}_policy")(**{f"{kind.title()}Name": name}, PolicyArn=one["PolicyArn"])

    def role(self, iam, role):
        made = iam.create_role(
            RoleName=role["RoleName"], Path=role["Path"], Tags=tagged(role),
            AssumeRolePolicyDocument=self.document(role["AssumeRolePolicyDocument"], role["RoleName"]),
            MaxSessionDuration=role.get("MaxSessionDuration", 3600), **bound(role))
        self.ids[role["RoleId"]] = made["Role"]["RoleId"]
        self.holds(iam, "role", role["RoleName"], role["RolePolicyList"], role)
        for profile in role["InstanceProfileList"]:
            name = profile["InstanceProfileName"]
            found = iam.create_instance_profile(InstanceProfileName=name, Path=profile["Path"])["InstanceProfile"]
            self.ids[profile["InstanceProfileId"]] = found["InstanceProfileId"]
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role["RoleName"])

    def executor(self, iam, allowed):
        runner = {"AWS": f"arn:aws:iam::{self.management}:user/{RUNNER}"}
        trust = {"Effect": "Allow", "Principal": runner, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName=EXECUTOR, AssumeRolePolicyDocument=json.dumps(policy_of(trust)))
        allowed = allowed or json.dumps(policy_of({"Effect": "Allow", "Action": EXECUTES, "Resource": "*"}))
        iam.put_role_policy(RoleName=EXECUTOR, PolicyName="remediate", PolicyDocument=allowed)

    def tester(self, iam, name, roles):
        """A user of the management account, of which the demo has no IAM state, that may assume these roles."""
        iam.create_user(UserName=name)
        if roles:
            allowed = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], "Resource": roles}
            iam.put_user_policy(UserName=name, PolicyName="assume", PolicyDocument=json.dumps(policy_of(allowed)))
        return iam.create_access_key(UserName=name)["AccessKey"]

    def strays(self):
        """Where the emulator's state is not the demo's, and how much there is."""
        state = self.state()
        read = lambda document: json.loads(document) if isinstance(document, str) else document
        # What the demo's documents do not have, and ids that are nowhere else.
        passing = {"AttachmentCount", "PermissionsBoundaryUsageCount", "UpdateDate", "GroupId", "Roles"}
        problems, counted = [], Counter()
        for account in self.accounts:
            for member, ones in state[account].items():
                counted[member] += len(ones)
                skipped = passing | ({"PolicyId"} if member == "Policies" else set())
                wanted = {one["Arn"]: plain_of_demo(one, self.ids) for one in self.wanted[account][member]}
                own = f":role/{EXECUTOR}"
                made = {arn: documents_read(one, read) for arn, one in ones.items() if not arn.endswith(own)}
                for one in made.values():
                    if MANAGED in one.get("Tags", ()):
                        one["Tags"].remove(MANAGED)
                problems += differences(without(wanted, skipped), without(made, skipped), f"{account}/{member}")
        sets, wanted = state[self.management]["PermissionSets"], sets_of_demo(self.center)
        problems += differences(wanted, without(sets, {"CreatedDate"}), "permission sets")
        assigned = [one for found in sets.values() for ones in found["Assignments"].values() for one in ones]
        return problems, (f"{len(self.accounts)} accounts, {counted['UserDetailList']} users, "
                          f"{counted['GroupDetailList']} groups, {counted['RoleDetailList']} roles, "
                          f"{counted['Policies']} managed policies, {self.documents} documents written in three ways, "
                          f"{len(sets)} permission sets in {len(assigned)} assignments")

    # -------------------------------------------------------- what there is

    def details(self, account):
        """GetAccountAuthorizationDetails whole, documents as IAM sends them: percent-encoded texts."""
        found = {member: [] for member in SERVED}
        for page in self.root(account).get_paginator("get_account_authorization_details").paginate():
            for member in SERVED:
                found[member] += page[member]
        return found

    def state(self):
        """Everything of all accounts, documents as texts, lists in order: two states are equal or they are not."""
        out = {}
        for account in self.accounts:
            found = self.details(account)
            longest = {one["RoleName"]: one["MaxSessionDuration"] for one in self.root(account).list_roles()["Roles"]}
            for role in found["RoleDetailList"]:
                role["MaxSessionDuration"] = longest[role["RoleName"]]
            out[account] = {member: {one["Arn"]: plain(one) for one in found[member]} for member in SERVED}
        out[self.management] = {**{member: {} for member in SERVED}, "PermissionSets": self.permission_sets()}
        return out

    def permission_sets(self):
        """Every permission set by its name, who is assigned to it, and the accounts where its role is behind it."""
        sso = self.sso()

        def listed(operation, member, **given):
            pages = sso.get_paginator(operation).paginate(InstanceArn=self.instance, **given)
            return [one for page in pages for one in page[member]]

        def boundary(given):
            try:
                return sso.get_permissions_boundary_for_permission_set(**given)["PermissionsBoundary"]
            except sso.exceptions.ResourceNotFoundException:
                return None
        out = {}
        for arn in listed("list_permission_sets", "PermissionSets"):
            given, one = {"InstanceArn": self.instance, "PermissionSetArn": arn}, {"PermissionSetArn": arn}
            one.update(plain(sso.describe_permission_set(**given)["PermissionSet"]))
            one["InlinePolicy"] = sso.get_inline_policy_for_permission_set(**given)["InlinePolicy"]
            one["PermissionsBoundary"] = boundary(given)
            one["ManagedPolicies"] = sorted(policy["Arn"] for policy in listed(
                "list_managed_policies_in_permission_set", "AttachedManagedPolicies", PermissionSetArn=arn))
            one["CustomerPolicies"] = sorted(policy["Path"] + policy["Name"] for policy in listed(
                "list_customer_managed_policy_references_in_permission_set", "CustomerManagedPolicyReferences",
                PermissionSetArn=arn))
            tags = listed("list_tags_for_resource", "Tags", ResourceArn=arn)
            one["Tags"] = {tag["Key"]: tag["Value"] for tag in tags}
            provisioned = ("list_accounts_for_provisioned_permission_set", "AccountIds")
            one["Outdated"] = listed(*provisioned, PermissionSetArn=arn,
                                     ProvisioningStatus="LATEST_PERMISSION_SET_NOT_PROVISIONED")
            one["Assignments"] = {account: [] for account in listed(*provisioned, PermissionSetArn=arn)}
            for account, ones in one["Assignments"].items():
                told = listed("list_account_assignments", "AccountAssignments", AccountId=account, PermissionSetArn=arn)
                ones += sorted(f"{found['PrincipalType']} {found['PrincipalId']}" for found in told)
            out[one["Name"]] = one
        return out

    def settled(self, answer):
        """The status of a request to Identity Center once it is not in progress any more."""
        from botocore import xform_name
        (kind, status), = [item for item in answer.items() if item[0].endswith("Status")]
        name = kind.removesuffix("Status")
        number = ("ProvisionPermissionSet" if name == "PermissionSetProvisioning" else name) + "RequestId"
        ask = getattr(self.sso(), f"describe_{xform_name(kind)}")
        deadline = time.monotonic() + 30
        while status["Status"] == "IN_PROGRESS":
            if time.monotonic() > deadline:
                raise RuntimeError(f"in progress for 30 s: {status}")
            time.sleep(0.05)
            status = ask(InstanceArn=self.instance, **{number: status["RequestId"]})[kind]
        return status


DRY_NOW = contextvars.ContextVar("dry", default=False)


def dry_header(request):
    if DRY_NOW.get():
        request.headers[DRY] = "1"


def tagged(holder):
    return holder["Tags"] + [MANAGED] * (not any(text in holder["Arn"] for text in UNMANAGED))


def as_the_cli(details):
    """What `aws iam get-account-authorization-details` prints: documents are objects in it, their texts are lost."""
    if isinstance(details, dict):
        return {key: json.loads(unquote(item)) if key.endswith("Document") else as_the_cli(item)
                for key, item in details.items()}
    return [as_the_cli(item) for item in details] if isinstance(details, list) else details


def bound(holder):
    boundary = holder.get("PermissionsBoundary")
    return {"PermissionsBoundary": boundary["PermissionsBoundaryArn"]} if boundary else {}


def default_version(policy):
    return next(one for one in policy["PolicyVersionList"] if one["IsDefaultVersion"])


def policy_of(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


# ---------------------------------------------------------------- the store

class Jitscan:
    """The program, on one store."""

    def __init__(self, binary, store, config, world=None):
        self.binary, self.world = binary, world
        self.common = ["--store", str(store), "--config", str(config)]

    def environment(self, creds=None):
        env = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR") if name in os.environ}
        env.update(LANG="C.UTF-8", TZ="UTC", AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull,
                   AWS_SHARED_CREDENTIALS_FILE=os.devnull)
        if creds:
            env.update(AWS_ACCESS_KEY_ID=creds["AccessKeyId"], AWS_SECRET_ACCESS_KEY=creds["SecretAccessKey"])
        return env

    def start(self, *arguments, creds=None):
        return subprocess.Popen([self.binary, *self.common, *map(str, arguments)], text=True,
                                env=self.environment(creds), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def run(self, *arguments, expect=0, creds=None, timeout=900):
        """(stdout, stderr); any other exit code than expected is an error of the run."""
        process = self.start(*arguments, creds=creds)
        out, err = process.communicate(timeout=timeout)
        if expect is not None and process.returncode != expect:
            said = " ".join(map(str, arguments))
            raise RuntimeError(f"jitscan {said}: exit code {process.returncode}, not {expect}\n"
                               f"{out[-1500:]}\n{err[-3000:]}")
        return out, err


def rewritten(world, target):
    """The demo's files with the ids that ministack gave; how many ids were replaced in how many files."""
    shutil.copytree(world.input, target)
    old = re.compile("|".join(map(re.escape, sorted(world.ids))))
    replaced = files = 0
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        data = path.read_bytes()
        packed = data[:2] == b"\x1f\x8b"
        text = (gzip.decompress(data) if packed else data).decode()
        made, count = old.subn(lambda found: world.ids[found[0]], text)
        if count:
            path.write_bytes(gzip.compress(made.encode(), 1, mtime=0) if packed else made.encode())
            replaced, files = replaced + count, files + 1
    return replaced, files


def ingest(world, jitscan, files, form):
    """As `jitscan demo` does it, the state of IAM and the documents of Identity Center being the emulator's."""
    for account in world.accounts:
        path = files / "iam" / account / "authorization-details.json"
        path.write_text(json.dumps(form(world.details(account)), default=lambda time: time.isoformat(), indent=4))
    path, sets = files / "identity-center.json", world.permission_sets()
    center = json.loads(path.read_text())
    for one in center["PermissionSets"]:
        one["InlinePolicy"] = sets[one["Name"]]["InlinePolicy"]
    path.write_text(json.dumps(center))
    jitscan.run("ingest", "cloudtrail", files / "cloudtrail")
    for kind, paths in (("iam", sorted(files.glob("iam/*/authorization-details.json"))),
                        ("credential-report", sorted(files.glob("iam/*/credential-report.csv"))),
                        ("organization", [files / "organization.json"]),
                        ("identity-center", [files / "identity-center.json"]), ("roster", [files / "roster.csv"])):
        jitscan.run("ingest", kind, "--captured-at", AS_OF, *paths)
