"""IAM Identity Center's `sso-admin`, which ministack does not have, in ministack's own process: one instance in the
management account, seeded with the demo's permission sets, and the roles that these become in the accounts.

Sources, where nothing else is said: the operations of the IAM Identity Center API Reference, and of the IAM Identity
Center User Guide (UG) "Quotas", "Use IAM policies in permission sets", "Referencing permission sets in resource
policies, Amazon EKS, and AWS KMS"; which resources a call needs, all of which must be allowed: Service Authorization
Reference (SAR), "AWS IAM Identity Center". Requests and answers are held against botocore's model.

What is written into a set stands in its roles only once it is provisioned, which takes a moment: until then a request
is IN_PROGRESS and has no effect. The demo's AWSReservedSSO roles are taken over as they are: a role belongs to the set
of its name. Pages are small on purpose, so that clients have to turn them.
"""

import asyncio
import base64
import contextlib
import contextvars
import copy
import dataclasses
import datetime
import functools
import json
import re
import secrets
import sys
import traceback
import uuid

PAGE = 3               # entries of a page where the request does not say how many
SECONDS = 0.3          # what an asynchronous request takes
INLINE = "AwsSSOInlinePolicy"
# A region follows where the identity source is not in us-east-1 (UG, "Referencing permission sets").
PATH, PREFIX = "/aws-reserved/sso.amazonaws.com/", "AWSReservedSSO_"
MANAGED = 20           # managed policies of a set, AWS's and customers' (UG, "Quotas")
ATTACHED = 10          # managed policies of a role, where nobody asked for more (the same, and IAM's quotas)
INLINE_BYTES, INLINE_CHARACTERS = 32768, 10240  # with white space, and without it (UG, "Quotas")
SESSIONS = 60, 720     # minutes that a session may last (UG, "Set session duration for AWS accounts")
TRUSTED = {"Effect": "Allow", "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
           "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}}
# The calls that need an account as well as the instance and the permission set (SAR).
OF_ACCOUNTS = {"ProvisionPermissionSet", "ListAccountAssignments", "CreateAccountAssignment", "DeleteAccountAssignment"}
# Unicode's classes in the model's patterns, as nearly as Python's expressions have them.
SCRIPTS = {"L": r"\w", "M": r"\w", "N": r"\w", "Z": r"\s", "S": r"$+<=>^`|~", "P": r"!-#%-*,-/:;?@\[-\]_{}"}
SERVED = {}


class Refused(Exception):
    """What a call is answered with, by AWS's codes."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Failed(Exception):
    """Why an asynchronous request ends with FAILED."""


def role_of(name, role):
    """Whether a role is of the permission set of a name."""
    return re.fullmatch(rf"{PREFIX}{re.escape(name)}_[0-9a-f]{{16}}", role) is not None


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


# ---------------------------------------------------------------- botocore's model

@functools.cache
def model():
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    return ServiceModel(Loader().load_service_model("sso-admin", "service-2"), "sso-admin")


def problems_of(value, shape):
    """Where a request or an answer does not fit the model."""
    from botocore.validate import ParamValidator
    report, found = ParamValidator().validate(value, shape), []
    if report.has_errors():
        found.append(report.generate_report())
    beyond(value, shape, shape.name, found)
    return found


def beyond(value, shape, at, found):
    """What botocore leaves to the service: unknown members, values of enumerations, patterns, and upper bounds."""
    kind, most = shape.type_name, shape.metadata.get("max")
    if kind == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            if name in shape.members:
                beyond(inner, shape.members[name], f"{at}.{name}", found)
            else:
                found.append(f"unknown member {at}.{name}")
    elif kind == "list" and isinstance(value, list):
        for inner in value:
            beyond(inner, shape.member, f"{at}[]", found)
    elif kind == "string" and isinstance(value, str):
        pattern = shape.metadata.get("pattern")
        if shape.enum and value not in shape.enum:
            found.append(f"{at} is {value!r}, none of {', '.join(shape.enum)}")
        if pattern and "\\p{" in pattern:
            pattern = re.sub(r"\\p\{(\w)\}", lambda one: SCRIPTS[one[1]], pattern)
        elif pattern:
            pattern = f"(?a:{pattern})"
        if pattern and not re.fullmatch(pattern, value):
            found.append(f"{at} is {value[:80]!r}, and not as {shape.metadata['pattern']}")
    size = value if kind in ("integer", "long") else len(value) if isinstance(value, (str, list)) else None
    if most is not None and size is not None and size > most:
        found.append(f"{at}: {size} is more than {most}")


# ---------------------------------------------------------------- what there is

@dataclasses.dataclass
class PermissionSet:
    arn: str
    name: str
    session: str
    description: str = ""
    inline: str = ""
    managed: list = dataclasses.field(default_factory=list)    # ARNs of AWS's policies
    customer: list = dataclasses.field(default_factory=list)   # (path, name), of each account
    boundary: dict = None                                      # as the API has it
    tags: dict = dataclasses.field(default_factory=dict)
    created: datetime.datetime = dataclasses.field(default_factory=now)
    version: int = 0                                           # one more with every change of its policies

    def described(self):
        more = {"Description": self.description} if self.description else {}
        return {"PermissionSet": {"Name": self.name, "PermissionSetArn": self.arn, "CreatedDate": self.created,
                                  "SessionDuration": self.session, **more}}

    def attached(self, account):
        return [*self.managed, *(f"arn:aws:iam::{account}:policy{path}{name}" for path, name in self.customer)]

    def bounds(self, account):
        if not self.boundary:
            return ""
        path, name = reference_of(self.boundary.get("CustomerManagedPolicyReference") or {"Name": ""})
        return self.boundary.get("ManagedPolicyArn") or f"arn:aws:iam::{account}:policy{path}{name}"


def reference_of(told):
    return told.get("Path", "/"), told["Name"]


class Center:
    def __init__(self, told, iam):
        """`told`: the demo's identity-center.json, with `Owner` and `Accounts`."""
        self.iam, self.owner, self.accounts = iam, told["Owner"], told["Accounts"]
        self.instance, self.store = told["Instances"][0]["InstanceArn"], told["Instances"][0]["IdentityStoreId"]
        self.people = {("USER", one["UserId"]) for one in told["Users"]} \
            | {("GROUP", one["GroupId"]) for one in told["Groups"]}
        self.sets, self.requests, self.making = {}, {}, []
        for one in told["PermissionSets"]:
            self.sets[one["PermissionSetArn"]] = PermissionSet(
                one["PermissionSetArn"], one["Name"], one.get("SessionDuration") or "PT1H",
                one.get("Description") or "", one.get("InlinePolicy") or "",
                [policy["Arn"] for policy in one.get("ManagedPolicies") or ()],
                [reference_of(policy) for policy in one.get("CustomerManagedPolicyReferences") or ()],
                one.get("PermissionsBoundary"), created=datetime.datetime(2024, 3, 5, tzinfo=datetime.timezone.utc))
        self.assignments = [(one["AccountId"], one["PermissionSetArn"], one["PrincipalType"], one["PrincipalId"])
                            for one in told["AccountAssignments"]]
        # {(set, account): the version that its role there has}
        self.held = {(arn, account): 0 for account, arn, *_ in self.assignments}

    # ------------------------------------------------------------ the service

    async def serve(self, method, path, headers, body, query):
        from ministack.core.responses import get_account_id
        kind = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            answer = self.answer(headers.get("x-amz-target", "").rsplit(".", 1)[-1], body, get_account_id())
            return 200, kind, json.dumps(answer, default=lambda time: time.timestamp()).encode()
        except Refused as refused:
            print(f"sso-admin: {headers.get('x-amz-target')} {refused.code}: {refused}", file=sys.stderr, flush=True)
            told = {"__type": refused.code, "Message": str(refused)}
            return 400, {**kind, "x-amzn-ErrorType": refused.code}, json.dumps(told).encode()

    def answer(self, name, body, account):
        if name not in SERVED:
            raise Refused("UnknownOperationException", f"{name!r} is not served here")
        operation = model().operation_model(name)
        try:
            given = json.loads(body or b"{}")
        except ValueError as error:
            raise Refused("SerializationException", str(error)) from None
        if problems := problems_of(given, operation.input_shape):
            raise Refused("ValidationException", f"{name}: {'; '.join(problems)}")
        # Of the organisation's instance other accounts see that it is there.
        if account != self.owner and name != "ListInstances":
            raise Refused("AccessDeniedException", f"account {account} does not own {self.instance}")
        if given.get("InstanceArn", self.instance) != self.instance:
            raise Refused("ResourceNotFoundException", f"no instance {given['InstanceArn']}")
        arn = given.get("PermissionSetArn")
        if arn is not None and arn not in self.sets:
            raise Refused("ResourceNotFoundException", f"no permission set {arn}")
        answer = SERVED[name](self, given, *([self.sets[arn]] if arn else []))
        # The model has no empty document, and AWS sends one where a set has none.
        shown = {key: value for key, value in answer.items() if (key, value) != ("InlinePolicy", "")}
        if problems := problems_of(shown, operation.output_shape):
            raise AssertionError(f"the emulator's own answer: {name}: {'; '.join(problems)}")
        return answer

    def resources(self, name, given):
        """What must be allowed, all of it, the permission set first."""
        text = lambda key: given[key] if isinstance(given.get(key), str) else None
        arn = text("PermissionSetArn") or text("ResourceArn")
        accounts = [text("TargetId") or text("AccountId")] if name in OF_ACCOUNTS else []
        if accounts == [None]:  # all in which it is
            accounts = self.accounts_of(arn)
        found = [arn, text("InstanceArn"), *(f"arn:aws:sso:::account/{account}" for account in accounts)]
        return [one for one in found if one] or ["*"]

    # ------------------------------------------------------------ pages and requests that take a moment

    def paged(self, operation, given, member, entries):
        start, size = 0, given.get("MaxResults", PAGE)
        if given.get("NextToken"):
            with contextlib.suppress(ValueError):
                of, _, start = base64.urlsafe_b64decode(given["NextToken"]).decode().rpartition(" ")
                start = int(start) if of == operation else None
            if not isinstance(start, int):
                raise Refused("ValidationException", "a NextToken of another list")
        token = base64.urlsafe_b64encode(f"{operation} {start + size}".encode()).decode()
        return {member: entries[start:start + size], **({"NextToken": token} if len(entries) > start + size else {})}

    def begin(self, kind, told, effect):
        status = {**told, "Status": "IN_PROGRESS", "RequestId": str(uuid.uuid4()), "CreatedDate": now()}
        self.requests[kind, status["RequestId"]] = status
        self.making.append(status)
        asyncio.get_running_loop().call_later(SECONDS, self.end, status, effect)
        return {f"{kind}Status": dict(status)}

    def end(self, status, effect):
        self.making.remove(status)
        try:
            effect()
            status["Status"] = "SUCCEEDED"
        except Exception as error:
            if not isinstance(error, Failed):
                traceback.print_exc()
            status.update(Status="FAILED", FailureReason=str(error))

    def status(self, kind, number):
        if (kind, number) not in self.requests:
            raise Refused("ResourceNotFoundException", f"no request {number}")
        return {f"{kind}Status": dict(self.requests[kind, number])}

    # ------------------------------------------------------------ roles

    def accounts_of(self, arn):
        """The accounts in which a set is provisioned."""
        return sorted(account for one, account in self.held if one == arn)

    def assigned(self, arn, account):
        return [one for one in self.assignments if one[:2] == (account, arn)]

    def role(self, name):
        """The role of a set in the account of the request."""
        return next((role for role in self.iam._roles.values()
                     if role["Path"] == PATH and role_of(name, role["RoleName"])), None)

    def provision(self, one, accounts):
        """Brings the roles in these accounts to what the set was when it was asked for."""
        reasons = []
        for account in accounts:
            try:
                within(account, self.bring, one, account)
                self.held[one.arn, account] = one.version
            except Failed as reason:
                reasons.append(f"{account}: {reason}")
        if reasons:
            raise Failed("; ".join(reasons))

    def bring(self, one, account):
        attached, bounds = one.attached(account), one.bounds(account)
        for arn in filter(None, (*attached, bounds)):
            if not self.iam._policy_exists(arn):  # it must be there before (UG, "Use IAM policies in permission sets")
                raise Failed(f"Received a 404 status error: Policy {arn} does not exist")
        if len(attached) > ATTACHED:
            raise Failed(f"Received a 409 status error: Cannot exceed quota for PoliciesPerRole: {ATTACHED}")
        role = self.role(one.name) or self.new_role(one, account)
        for arn in set(role["AttachedPolicies"]) - set(attached):
            self.iam.detach_managed_policy(role, arn)
        for arn in attached:
            self.iam.attach_managed_policy(role, arn)
        role["InlinePolicies"] = {INLINE: one.inline} if one.inline else {}
        role["PermissionsBoundary"] = bounds

    def new_role(self, one, account):
        """A role of a name that no other had; its trust is that of the others in the account."""
        name = f"{PREFIX}{one.name}_{secrets.token_hex(8)}"
        others = (role["AssumeRolePolicyDocument"] for role in self.iam._roles.values()
                  if role["Path"] == PATH and ":saml-provider/AWSSSO_" in role["AssumeRolePolicyDocument"])
        provider = {"Federated": f"arn:aws:iam::{account}:saml-provider/AWSSSO_{secrets.token_hex(8)}_DO_NOT_DELETE"}
        made = json.dumps({"Version": "2012-10-17", "Statement": [{**TRUSTED, "Principal": provider}]})
        self.iam._roles[name] = {
            "RoleName": name, "Arn": f"arn:aws:iam::{account}:role{PATH}{name}", "RoleId": self.iam._gen_id("AROA"),
            "CreateDate": self.iam._now(), "Path": PATH, "AssumeRolePolicyDocument": next(others, made),
            "Description": one.description, "MaxSessionDuration": 43200, "PermissionsBoundary": "",
            "AttachedPolicies": [], "InlinePolicies": {}, "Tags": []}
        return self.iam._roles[name]

    def remove_role(self, name):
        role = self.role(name)
        for arn in list(role["AttachedPolicies"]):
            self.iam.detach_managed_policy(role, arn)
        del self.iam._roles[role["RoleName"]]

    def assign(self, key, one):
        self.provision(one, [key[0]])
        if key not in self.assignments:
            self.assignments.append(key)

    def unassign(self, key, one):
        if key not in self.assignments:
            raise Failed("Received a 404 status error: no such assignment")
        self.assignments.remove(key)
        if not self.assigned(one.arn, key[0]):  # with the last one the role goes (UG, "Referencing permission sets")
            within(key[0], self.remove_role, one.name)
            del self.held[one.arn, key[0]]


def within(account, function, *arguments):
    """Calls something as in a request of an account: iam's records are those of that account."""
    from ministack.core import responses
    context = contextvars.copy_context()
    context.run(responses._request_account_id.set, account)
    return context.run(function, *arguments)


# ---------------------------------------------------------------- operations

def serves(function):
    SERVED["".join(word.title() for word in function.__name__.split("_"))] = function
    return function


def changes(function):
    """A call that changes a set's policies: its roles are behind it then."""
    @functools.wraps(function)
    def change(service, given, one):
        function(service, given, one)
        one.version += 1
        return {}
    return serves(change)


class Service(Center):
    """The operations, each with what the request gives and the permission set that it names."""

    @serves
    def list_instances(self, given):
        return self.paged("ListInstances", given, "Instances", [{
            "InstanceArn": self.instance, "IdentityStoreId": self.store, "OwnerAccountId": self.owner,
            "Status": "ACTIVE"}])

    @serves
    def list_permission_sets(self, given):
        return self.paged("ListPermissionSets", given, "PermissionSets", list(self.sets))

    @serves
    def describe_permission_set(self, given, one):
        return one.described()

    @serves
    def create_permission_set(self, given):
        if any(one.name == given["Name"] for one in self.sets.values()):
            raise Refused("ConflictException", f"PermissionSet with name {given['Name']} already exists.")
        session = given.get("SessionDuration", "PT1H")
        hours, minutes = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?|.*", session).groups()
        if not SESSIONS[0] <= int(hours or 0) * 60 + int(minutes or 0) <= SESSIONS[1]:
            raise Refused("ValidationException", f"SessionDuration {session}: from PT1H to PT12H")
        arn = f"arn:aws:sso:::permissionSet/{self.instance.rsplit('/', 1)[-1]}/ps-{secrets.token_hex(8)}"
        self.sets[arn] = PermissionSet(arn, given["Name"], session, given.get("Description", ""),
                                       tags={tag["Key"]: tag["Value"] for tag in given.get("Tags", ())})
        return self.sets[arn].described()

    @serves
    def delete_permission_set(self, given, one):
        if self.accounts_of(one.arn) or any(status["PermissionSetArn"] == one.arn for status in self.making):
            raise Refused("ConflictException", f"Could not delete because PermissionSet {one.arn} is provisioned")
        del self.sets[one.arn]
        return {}

    @changes
    def put_inline_policy_to_permission_set(self, given, one):
        from ministack.core.iam_evaluator import validate_policy_document
        text = given["InlinePolicy"]
        if len(text.encode()) > INLINE_BYTES:
            raise Refused("ValidationException", f"InlinePolicy is longer than {INLINE_BYTES} bytes")
        if wrong := validate_policy_document(text):
            raise Refused("ValidationException", f"InlinePolicy: {wrong}")
        if len("".join(text.split()).encode()) > INLINE_CHARACTERS:
            raise Refused("ServiceQuotaExceededException", f"InlinePolicy has more than {INLINE_CHARACTERS} characters "
                          "that are no white space")
        one.inline = text

    @serves
    def get_inline_policy_for_permission_set(self, given, one):
        return {"InlinePolicy": one.inline}

    @changes
    def delete_inline_policy_from_permission_set(self, given, one):
        if not one.inline:
            raise Refused("ResourceNotFoundException", f"{one.arn} has no inline policy")
        one.inline = ""

    @staticmethod
    def attach(one, policies, policy, told):
        if policy in policies:
            raise Refused("ConflictException", f"{told} is attached to {one.arn} already")
        if len(one.managed) + len(one.customer) >= MANAGED:
            raise Refused("ServiceQuotaExceededException", f"{one.arn} has {MANAGED} managed policies")
        policies.append(policy)

    @staticmethod
    def detach(one, policies, policy, told):
        if policy not in policies:
            raise Refused("ResourceNotFoundException", f"{told} is not attached to {one.arn}")
        policies.remove(policy)

    @changes
    def attach_managed_policy_to_permission_set(self, given, one):
        arn = given["ManagedPolicyArn"]
        if not self.iam._policy_exists(arn):
            raise Refused("ResourceNotFoundException", f"no policy {arn}")
        self.attach(one, one.managed, arn, arn)

    @changes
    def detach_managed_policy_from_permission_set(self, given, one):
        self.detach(one, one.managed, given["ManagedPolicyArn"], given["ManagedPolicyArn"])

    @serves
    def list_managed_policies_in_permission_set(self, given, one):
        return self.paged(f"managed {one.arn}", given, "AttachedManagedPolicies",
                          [{"Name": arn.rsplit("/", 1)[-1], "Arn": arn} for arn in one.managed])

    @changes
    def attach_customer_managed_policy_reference_to_permission_set(self, given, one):
        policy = reference_of(given["CustomerManagedPolicyReference"])
        self.attach(one, one.customer, policy, "".join(policy))

    @changes
    def detach_customer_managed_policy_reference_from_permission_set(self, given, one):
        policy = reference_of(given["CustomerManagedPolicyReference"])
        self.detach(one, one.customer, policy, "".join(policy))

    @serves
    def list_customer_managed_policy_references_in_permission_set(self, given, one):
        return self.paged(f"customer {one.arn}", given, "CustomerManagedPolicyReferences",
                          [{"Name": name, "Path": path} for path, name in one.customer])

    @changes
    def put_permissions_boundary_to_permission_set(self, given, one):
        boundary = given["PermissionsBoundary"]
        if len(boundary) != 1:
            raise Refused("ValidationException", "PermissionsBoundary: one of both")
        one.boundary = copy.deepcopy(boundary)
        if "CustomerManagedPolicyReference" in boundary:
            one.boundary["CustomerManagedPolicyReference"].setdefault("Path", "/")

    @serves
    def get_permissions_boundary_for_permission_set(self, given, one):
        if not one.boundary:
            raise Refused("ResourceNotFoundException", f"{one.arn} has no permissions boundary")
        return {"PermissionsBoundary": one.boundary}

    @changes
    def delete_permissions_boundary_from_permission_set(self, given, one):
        self.get_permissions_boundary_for_permission_set(given, one)
        one.boundary = None

    def tagged(self, given):
        if given["ResourceArn"] not in self.sets:
            raise Refused("ResourceNotFoundException", f"no permission set {given['ResourceArn']}")
        return self.sets[given["ResourceArn"]].tags

    @serves
    def list_tags_for_resource(self, given):
        return self.paged(f"tags {given['ResourceArn']}", given, "Tags",
                          [{"Key": key, "Value": value} for key, value in self.tagged(given).items()])

    @serves
    def tag_resource(self, given):
        self.tagged(given).update({tag["Key"]: tag["Value"] for tag in given["Tags"]})
        return {}

    @serves
    def untag_resource(self, given):
        for key in given["TagKeys"]:
            self.tagged(given).pop(key, None)
        return {}

    @serves
    def provision_permission_set(self, given, one):
        accounts, told = self.accounts_of(one.arn), {"PermissionSetArn": one.arn}
        if given["TargetType"] == "AWS_ACCOUNT":  # also where it was not before: the role is made, with nobody assigned
            if given.get("TargetId") not in self.accounts:
                raise Refused("ValidationException", f"TargetId {given.get('TargetId')}: not in the organisation")
            accounts, told = [given["TargetId"]], {**told, "AccountId": given["TargetId"]}
        asked, all_of_them = copy.deepcopy(one), given["TargetType"] != "AWS_ACCOUNT"
        return self.begin("PermissionSetProvisioning", told, lambda: self.provision(
            asked, [account for account in accounts if not all_of_them or (one.arn, account) in self.held]))

    @serves
    def describe_permission_set_provisioning_status(self, given):
        return self.status("PermissionSetProvisioning", given["ProvisionPermissionSetRequestId"])

    @serves
    def list_accounts_for_provisioned_permission_set(self, given, one):
        wanted = {"LATEST_PERMISSION_SET_PROVISIONED": (True,), "LATEST_PERMISSION_SET_NOT_PROVISIONED": (False,)}
        wanted = wanted.get(given.get("ProvisioningStatus"), (True, False))
        found = [account for account in self.accounts_of(one.arn)
                 if (self.held[one.arn, account] == one.version) in wanted]
        return self.paged(f"accounts {one.arn} {given.get('ProvisioningStatus')}", given, "AccountIds", found)

    @serves
    def list_account_assignments(self, given, one):
        names = "AccountId", "PermissionSetArn", "PrincipalType", "PrincipalId"
        return self.paged(f"assignments {one.arn} {given['AccountId']}", given, "AccountAssignments",
                          [dict(zip(names, found)) for found in self.assigned(one.arn, given["AccountId"])])

    def assignment(self, given):
        """(what identifies it, what its status tells)"""
        if given["TargetId"] not in self.accounts:
            raise Refused("ResourceNotFoundException", f"no account {given['TargetId']} in the organisation")
        names = "TargetId", "PermissionSetArn", "PrincipalType", "PrincipalId"
        return tuple(given[name] for name in names), {name: given[name] for name in (*names, "TargetType")}

    @serves
    def create_account_assignment(self, given, one):
        """One that is there already is no error; with it the set is provisioned in the account, as it then is."""
        key, told = self.assignment(given)
        if key[2:] not in self.people:
            raise Refused("ResourceNotFoundException", f"no {key[2]} {key[3]}")
        asked = copy.deepcopy(one)
        return self.begin("AccountAssignmentCreation", told, lambda: self.assign(key, asked))

    @serves
    def delete_account_assignment(self, given, one):
        key, told = self.assignment(given)
        if key not in self.assignments:
            raise Refused("ResourceNotFoundException", f"no assignment of {key[2]} {key[3]} in {key[0]}")
        return self.begin("AccountAssignmentDeletion", told, lambda: self.unassign(key, one))

    @serves
    def describe_account_assignment_creation_status(self, given):
        return self.status("AccountAssignmentCreation", given["AccountAssignmentCreationRequestId"])

    @serves
    def describe_account_assignment_deletion_status(self, given):
        return self.status("AccountAssignmentDeletion", given["AccountAssignmentDeletionRequestId"])


# ---------------------------------------------------------------- into ministack

def serve(told):
    """Called in ministack's process before it serves: requests signed for `sso` come here, once they are allowed."""
    from ministack import app
    from ministack.core import iam_actions
    from ministack.core import iam_evaluator as evaluator
    from ministack.services import iam, tagging
    center, needed = Service(told, iam), contextvars.ContextVar("needed", default=())
    app.SERVICE_HANDLERS["sso"] = center.serve  # ministack knows by botocore that `sso` is a service, and has none
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sso"] = "sso"
    iam_actions._BOTOCORE_SERVICE_MAP["sso"] = ["sso-admin"]
    tagging._RESOURCE_TAG_COLLECTORS["sso"] = lambda: [
        (one.arn, [{"Key": key, "Value": value} for key, value in one.tags.items()]) for one in center.sets.values()]

    resource_of, enforce = iam_actions.extract_resource_arn, evaluator.enforce

    def resource(service, method, path, headers, body, query, region, account):
        if service != "sso":
            return resource_of(service, method, path, headers, body, query, region, account)
        given = {}
        with contextlib.suppress(ValueError):
            given = json.loads(body or b"{}")
        name = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        first, *more = center.resources(name, given if isinstance(given, dict) else {})
        needed.set(more)
        return first
    iam_actions.extract_resource_arn = resource

    def enforced(key, action, service, region, resource_arn="*", service_context=None):
        for arn in (resource_arn, *(needed.get() if service == "sso" else ())):
            if denied := enforce(key, action, service, region, arn, service_context):
                return denied
        return None
    evaluator.enforce = enforced
