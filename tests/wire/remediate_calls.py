"""The recorded calls of a plan's principals, made for real: from log records to requests, and who makes them.

A record becomes the request of the same operation with the record's own parameters; what the record lacks and the API
requires is made up from the resource it names. Reads are made whole; whatever writes ends behind the decision (DRY), so
that a recorded iam:DeleteUser deletes nobody, except in sts, whose decision is half in the service.
"""

import contextlib
import datetime
import gzip
import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import wire
from remediate_center import role_of
from remediate_emulator import DRY
from remediate_world import DRY_NOW, HELPER, REGION, policy_of

HERE = Path(__file__).resolve().parent
DENIED = wire.DENIED | {"AuthorizationErrorException", "Client.UnauthorizedOperation", "ForbiddenException",
                        "Forbidden", "NotAuthorized", "NotAuthorizedException", "UnauthorizedException"}
BROKEN = {"InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException",
          "InvalidSignatureException", "UnrecognizedClientException", "InvalidAccessKeyId", "IncompleteSignature",
          "MissingAuthenticationToken"}
CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|\d{4}[-/]\d\d[-/]\d\d")
SERVICES = {"monitoring": "cloudwatch", "access-analyzer": "accessanalyzer", "elasticloadbalancing": "elbv2"}
# Names of requestParameters that say nothing of the request's parameters.
SAID_ELSEWHERE = {"host", "location", "policy", "acl", "versioning", "encryption"}
# Actions that are not called as the operation that needs them.
ACTIONS = {"s3:ListBuckets": "s3:ListAllMyBuckets", "s3:ListObjectsV2": "s3:ListBucket",
           "s3:HeadObject": "s3:GetObject",
           "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration", "lambda:Invoke": "lambda:InvokeFunction"}
TWELVE_HOURS = 12 * 3600
# What is looked at where a policy names no service.
COMMON = ("dynamodb", "ec2", "iam", "kms", "lambda", "logs", "rds", "s3", "secretsmanager", "sns", "sqs", "ssm")


# ---------------------------------------------------------------- records

class Call:
    """Calls that are the same but for ids made anew each time."""

    def __init__(self, principal, record):
        self.principal, self.record = principal, record
        self.source, self.name, self.region = record["eventSource"], record["eventName"], record["awsRegion"]
        self.service = self.source.split(".")[0]
        self.events, self.count = [], 0

    def __str__(self):
        on = ",".join(arns(self.record)) or json.dumps(self.record.get("requestParameters"))[:120]
        return f"{self.principal.rsplit('/', 1)[-1]} {self.service}:{self.name} {self.region} {on}"


def arns(record):
    return sorted(one["ARN"] for one in record.get("resources") or () if "ARN" in one)


def records(folder):
    """Every record of the log files, once for each account that has it."""
    seen = set()
    for path in sorted(folder.rglob("*.json.gz")):
        if "/CloudTrail/" not in path.as_posix():
            continue
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]:
            key = record.get("eventID"), record.get("recipientAccountId")
            if key not in seen:
                seen.add(key)
                yield record


def who(record):
    """(ARN, unique id) of the user or role behind a record."""
    identity = record.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    arn = issuer.get("arn") if identity.get("type") == "AssumedRole" else identity.get("arn")
    return arn, (identity.get("principalId") or "").split(":")[0]


def source_of(record):
    """The source identity of the session behind a record."""
    return (record["userIdentity"].get("sessionContext") or {}).get("sourceIdentity")


def distinct(folder, principals):
    """The distinct authorised calls of these principals {ARN: id}, and how many records there are by outcome."""
    calls, outcomes = {}, Counter()
    for record in records(folder):
        arn, number = who(record)
        if principals.get(arn) != number:
            continue
        outcomes[record.get("errorCode") or ("failed" if record.get("errorMessage") else "authorised")] += 1
        if record.get("errorCode") or record.get("errorMessage"):
            continue
        same = CHANGING.sub("…", json.dumps([arns(record), record.get("requestParameters")], sort_keys=True))
        key = arn, record["eventSource"], record["eventName"], record["awsRegion"], same
        call = calls.setdefault(key, Call(arn, record))
        call.events.append(record["eventID"])
        call.count += 1
    return list(calls.values()), outcomes


def actions():
    """{(service, event name): action} as the demo's own fixtures have it."""
    out = {}
    for key, template in json.loads((HERE.parents[1] / "fixtures/demo/calls.json").read_text()).items():
        service, name = key.split(":")
        out[service, template.get("name") or name] = template.get("action", key.split("+")[0])
    return out


# ---------------------------------------------------------------- requests

def operation_of(client, name):
    """The operation that CloudTrail calls so: Lambda's have the API's date at the end."""
    names = client.meta.service_model.operation_names
    return next((one for one in (name, re.sub(r"\d{8}(v\d)?$", "", name)) if one in names), None)


def parameters(client, operation, given, arn, unknown):
    """What the record has, by the API's names, and what the API requires."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    if shape is None:
        return {}
    given = given or {}
    if client.meta.service_model.service_name == "ec2":
        given = of_ec2(operation, given)
    if client.meta.service_model.service_name == "s3" and "bucketName" in given:
        given = dict(given, bucket=given["bucketName"])
        del given["bucketName"]
    out = read(shape, given, unknown)
    known = named_by(arn)
    for member in shape.required_members:
        if member not in out:
            out[member] = made_up(shape.members[member], member, known)
    for member, value in named_by(arn).items():  # what the resource says where the record says nothing
        match = next((name for name in shape.members if name.lower() == member and name not in out), None)
        if match and member in ("keyid", "bucket", "tablename", "queueurl", "secretid", "functionname"):
            out[match] = value
    return out


def of_ec2(operation, given):
    """EC2's records have sets of items, with other names than the API's lists."""
    def items(name):
        return (given.get(name) or {}).get("items") or []
    out = {key: value for key, value in given.items() if not isinstance(value, dict)}
    if items("filterSet"):
        out["filters"] = [{"name": one["name"], "values": [value["value"] for value in one["valueSet"]["items"]]}
                          for one in items("filterSet")]
    if operation == "RunInstances":
        out.update(items("instancesSet")[0])
        if "iamInstanceProfile" in given:
            out["iamInstanceProfile"] = given["iamInstanceProfile"]
    elif items("instancesSet"):
        out["instanceIds"] = [one["instanceId"] for one in items("instancesSet")]
    if items("ipPermissions"):
        out["ipPermissions"] = [{"ipProtocol": one["ipProtocol"], "fromPort": one["fromPort"], "toPort": one["toPort"],
                                 "ipRanges": one["ipRanges"]["items"]} for one in items("ipPermissions")]
    return out


def read(shape, value, unknown, at=""):
    if shape.type_name == "structure" and isinstance(value, dict):
        out = {}
        by_name = {name.lower(): name for name in shape.members}
        for key, item in value.items():
            name = by_name.get(key.lower())
            if name is None:
                if key.lower() not in SAID_ELSEWHERE:
                    unknown.add(f"{at}{key}")
            elif item is not None:
                out[name] = read(shape.members[name], item, unknown, f"{at}{key}.")
        return out
    if shape.type_name == "list" and isinstance(value, list):
        return [read(shape.member, item, unknown, at) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: read(shape.value, item, unknown, at) for key, item in value.items()}
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name == "blob":
        return str(value).encode()
    return value


def made_up(shape, name, known):
    if name.lower() in known and shape.type_name == "string":
        return known[name.lower()]
    kind, limits = shape.type_name, shape.metadata
    if kind == "string":
        if shape.enum:
            return shape.enum[0]
        length = max(int(limits.get("min", 1)), min(8, int(limits.get("max", 8))))
        return json.dumps(policy_of()) if "PolicyDocument" in name else "x" * length
    if kind == "structure":
        members = shape.required_members or (list(shape.members)[:1] if shape.is_tagged_union else [])
        return {member: made_up(shape.members[member], member, known) for member in members}
    if kind == "list":
        return [made_up(shape.member, name, known)]
    return {"map": {}, "boolean": False, "blob": b"x", "float": 1.0, "double": 1.0,
            "timestamp": datetime.datetime(2026, 1, 1)}.get(kind, int(limits.get("min", 1)))


def named_by(arn):
    """Values of parameters, by their name in lower case, that lead to a resource; wildcards become some text."""
    arn = arn.replace("*", "x").replace("?", "x")
    if not arn.startswith("arn:"):
        return {}
    _, _, service, region, account, resource = arn.split(":", 5)
    last = resource.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    if service == "s3":
        bucket, _, key = resource.partition("/")
        return {"bucket": bucket, "key": key or "x"}
    return {"sqs": {"queueurl": f"https://sqs.{region}.amazonaws.com/{account}/{resource}"},
            "dynamodb": {"tablename": last, "tablearn": arn}, "secretsmanager": {"secretid": arn},
            "lambda": {"functionname": last}, "kms": {"keyid": arn}, "iam": {"rolename": last, "username": last},
            "sts": {"rolearn": arn}, "logs": {"loggroupname": resource.removeprefix("log-group:").split(":")[0]},
            }.get(service, {}) | ({"rolearn": arn, "rolesessionname": "session"} if ":role/" in arn else {})


# ---------------------------------------------------------------- making them

class Wire:
    """Makes calls, and knows which of them the emulator decides at all."""

    def __init__(self, world):
        self.world, self.controls, self.made, self.dry = world, {}, 0, 0
        self.unknown, self.buckets = set(), set()

    def make(self, creds, service, region, operation, params, whole):
        """(allowed, error code, message)."""
        from botocore import xform_name
        from botocore.exceptions import ClientError
        client = self.world.client(service, creds, region=region)
        token = DRY_NOW.set(not whole)
        self.made, self.dry = self.made + 1, self.dry + (not whole)
        try:
            if operation not in client.meta.service_model.operation_names:
                return self.raw(client, creds, region, operation, params, whole)
            getattr(client, xform_name(operation))(**params)
        except ClientError as error:
            code, message = (error.response["Error"].get(name, "") for name in ("Code", "Message"))
            if code in BROKEN:
                raise RuntimeError(f"{service}:{operation} as {creds['AccessKeyId']}: {error}") from error
            return code not in DENIED, code, message
        finally:
            DRY_NOW.reset(token)
        return True, "", ""

    def raw(self, client, creds, region, operation, params, whole):
        """An operation that agents make and the SDK's model does not have, by the service's JSON protocol."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from botocore.httpsession import URLLib3Session
        told = client.meta.service_model.metadata
        request = AWSRequest("POST", self.world.server.url + "/", data=json.dumps(params), headers={
            "Content-Type": f"application/x-amz-json-{told['jsonVersion']}",
            "X-Amz-Target": f"{told['targetPrefix']}.{operation}", **({} if whole else {DRY: "1"})})
        signed = Credentials(creds["AccessKeyId"], creds["SecretAccessKey"], creds.get("SessionToken"))
        SigV4Auth(signed, client.meta.service_model.signing_name, region).add_auth(request)
        answer = URLLib3Session(proxies={}).send(request.prepare())
        with contextlib.suppress(ValueError):
            body = json.loads(answer.content)
            code = str(body.get("__type", "")).rsplit("#", 1)[-1]
            if code in BROKEN:
                raise RuntimeError(f"{operation} as {creds['AccessKeyId']}: {body}")
            return code not in DENIED, code, body.get("message") or body.get("Message") or ""
        return True, str(answer.status_code), ""

    def request(self, call):
        """(service, region, operation, parameters, whether it is made whole), or None where there is no such API."""
        from botocore.exceptions import UnknownServiceError
        service = SERVICES.get(call.service, call.service)
        try:
            client = self.world.client(service, self.world.nobody, region=call.region)
        except UnknownServiceError:
            return None
        whole = bool(call.record.get("readOnly")) or service == "sts"
        operation = operation_of(client, call.name)
        if operation is None:
            if "targetPrefix" not in client.meta.service_model.metadata:
                return None
            return service, call.region, call.name, call.record.get("requestParameters") or {}, whole
        unknown = set()
        params = parameters(client, operation, call.record.get("requestParameters"),
                            (arns(call.record) or [""])[0], unknown)
        self.unknown |= {f"{call.service}:{call.name} {name}" for name in unknown}
        return service, call.region, operation, params, whole

    def bucket(self, request, account):
        """S3 says that there is no such bucket before it decides about an object: there is one."""
        service, _, _, params, _ = request
        if service == "s3" and "Key" in params and params["Bucket"] not in self.buckets:
            self.world.client("s3", account=account).create_bucket(Bucket=params["Bucket"])
            self.buckets.add(params["Bucket"])

    def decides(self, request):
        """The action as which the emulator decides a request: the one that it refuses to a user without policies."""
        key = json.dumps(request, sort_keys=True, default=str)
        if key not in self.controls:
            service, region, operation, params, _ = request
            allowed, _, message = self.make(self.world.nobody, service, region, operation, params, False)
            named = re.search(r"is not authorized to perform: (\S+)", message)
            self.controls[key] = "" if allowed else named[1] if named else "?"
        return self.controls[key]


class Sessions:
    """Credentials of users and roles, whoever their trust admits: for a moment root lets a helper in."""

    def __init__(self, world):
        self.world, self.creds, self.swapped = world, {}, 0

    def of(self, arn, source=None):
        """Credentials of a user or role; of a role those of a session with that source identity, where there is one."""
        if (arn, source) not in self.creds:
            account, name = arn.split(":")[4], arn.rsplit("/", 1)[-1]
            iam = self.world.root(account)
            if ":user/" in arn:
                self.creds[arn, source] = iam.create_access_key(UserName=name)["AccessKey"]
            else:
                helper = {"AWS": f"arn:aws:iam::{self.world.management}:user/{HELPER}"}
                admits = json.dumps(policy_of({"Effect": "Allow", "Principal": helper,
                                               "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]}))
                more = {"SourceIdentity": source} if source else {}
                with Trust(self.world, arn, lambda _: admits):
                    self.creds[arn, source] = self.world.client("sts", self.world.helper).assume_role(
                        RoleArn=arn, RoleSessionName="session", DurationSeconds=TWELVE_HOURS, **more)["Credentials"]
                self.swapped += 1
        return self.creds[arn, source]


class Trust:
    """Another trust policy for a while; afterwards the text of before."""

    def __init__(self, world, arn, change):
        self.iam, self.name, self.change = world.root(arn.split(":")[4]), arn.rsplit("/", 1)[-1], change

    def text(self):
        return unquote(self.iam.get_role(RoleName=self.name)["Role"]["AssumeRolePolicyDocument"])

    def __enter__(self):
        self.before = self.text()
        self.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=self.change(self.before))

    def __exit__(self, *_):
        self.iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=self.before)
        assert self.text() == self.before, self.name


class Assigned:
    """A permission set assigned to people in an account for a while: its role there, which goes with the last one."""

    def __init__(self, world, one, account, people):
        users = {key.lower(): user["UserId"] for user in world.center["Users"]
                 for key in (user["UserName"], *(mail["Value"] for mail in user.get("Emails", ())))}
        self.world, self.name, self.account = world, one["Name"], account
        self.given = [{"InstanceArn": world.instance, "PermissionSetArn": one["PermissionSetArn"], "TargetId": account,
                       "TargetType": "AWS_ACCOUNT", "PrincipalType": "USER", "PrincipalId": users[person.lower()]}
                      for person in people]

    def ended(self, call):
        for status in [self.world.settled(answer) for answer in [call(**given) for given in self.given]]:
            assert status["Status"] == "SUCCEEDED", status

    def __enter__(self):
        self.ended(self.world.sso().create_account_assignment)
        role, = roles_of(self.world, self.name, self.account)
        return role

    def __exit__(self, *_):
        self.ended(self.world.sso().delete_account_assignment)
        assert not roles_of(self.world, self.name, self.account), self.name


def roles_of(world, name, account):
    """ARNs of the roles that a permission set is in an account: one or none."""
    return [one["Arn"] for one in world.root(account).list_roles()["Roles"] if role_of(name, one["RoleName"])]


# ---------------------------------------------------------------- what policies say, by their actions alone

def documents(state, arn):
    """The identity policies of a user or role, read."""
    account = state[arn.split(":")[4]]
    user = account["UserDetailList"].get(arn)
    holder = user or account["RoleDetailList"][arn]
    names = (user or {}).get("GroupList", ())
    groups = [one for one in account["GroupDetailList"].values() if one["GroupName"] in names]
    texts = []
    for one in (holder, *groups):
        for name in ("UserPolicyList", "RolePolicyList", "GroupPolicyList"):
            texts += [policy["PolicyDocument"] for policy in one.get(name, ())]
        for policy in one["AttachedManagedPolicies"]:
            versions = account["Policies"][policy["PolicyArn"]]["PolicyVersionList"]
            texts += [version["Document"] for version in versions if version["IsDefaultVersion"]]
    return [json.loads(text) for text in texts]


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(policies, effect="Allow"):
    return [one for policy in policies for one in listed(policy["Statement"]) if one["Effect"] == effect]


def matches(action, patterns):
    one = "|".join(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in listed(patterns))
    return re.fullmatch(one, action, re.IGNORECASE) is not None


def on(policies, action, effect="Allow"):
    """The statements that speak of an action."""
    return [one for one in statements(policies, effect)
            if ("Action" in one and matches(action, one["Action"]))
            or ("NotAction" in one and not matches(action, one["NotAction"]))]


def taken(world, before, after):
    """Operations with their parameters that policies allowed before and no statement allows after."""
    named = [action for one in statements(before) for action in listed(one.get("Action", []))]
    prefixes = {action.split(":")[0].lower() for action in named if ":" in action}
    broad = "*" in named or any("NotAction" in one for one in statements(before))
    prefixes = sorted(prefixes.union(COMMON if broad else ()))
    client_of = {}
    for prefix in prefixes:
        try:
            client_of[prefix] = world.client({"cloudwatch": "cloudwatch", **SERVICES}.get(prefix, prefix), world.nobody)
        except Exception:  # no API of that name: ssmmessages, say
            continue
    found = []
    for prefix, client in client_of.items():
        for operation in client.meta.service_model.operation_names:
            action = ACTIONS.get(f"{prefix}:{operation}", f"{prefix}:{operation}")
            gave = on(before, action)
            if not gave or on(after, action) or on(before, action, "Deny"):
                continue
            resource = listed(gave[0].get("Resource", "*"))[0]
            region = resource.split(":")[3] if resource.startswith("arn:") else ""
            region = region if re.fullmatch(r"[a-z]+-[a-z]+-\d", region) else REGION
            params = parameters(client, operation, {}, resource, set())
            found.append((action, (client.meta.service_model.service_name, region, operation, params, False)))
    return found
