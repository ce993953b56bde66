"""What the front answers itself, because no emulator has it, from fixtures and from what went through the front.

Every function takes (front, call, params) and gives the result as the model has it; front.py checks it against the
model and writes it in the service's protocol. `call.upstream()` sends the request on as it was signed, where ministack
shall judge signature and permission first.
"""

import base64
import datetime
import hashlib
import json
import re
import threading
import uuid

from front_model import Refused, pagination, result_of, when

# (page size when the caller asks for none, largest): the services' documented quotas
PAGES = {"iam": (100, 1000), "organizations": (20, 20), "sso-admin": (100, 100), "identitystore": (100, 100),
         "cloudtrail": (50, 50), "account": (50, 50), "accessanalyzer": (100, 100), "s3": (10000, 10000),
         "kms": (100, 1000), "secretsmanager": (100, 100), "sqs": (1000, 1000), "sns": (100, 100), "lambda": (50, 50),
         "ecr": (100, 1000), "dynamodb": (100, 100)}
REGIONS = [("us-east-1", "ENABLED_BY_DEFAULT"), ("eu-west-1", "ENABLED_BY_DEFAULT"), ("eu-south-2", "DISABLED")]
DEFAULT_USE = [("s3", "Amazon S3", "2026-10-01T08:00:00+00:00"), ("iam", "AWS Identity and Access Management", None)]
SERVED = {}


def serves(service, *operations):
    def register(function):
        for operation in operations:
            SERVED[service, operation] = function
        return function
    return register


class Fixtures:
    """What was loaded by POST /__front/fixtures; see the keys below. `settings`: page_size {service: n} (a smaller page
    than AWS's), empty_pages (the first page of every list is empty, with a token, as AWS allows itself)."""
    KEYS = {"regions", "events", "event_files", "public_keys", "last_accessed", "analyzers", "findings", "checks",
            "provisioned", "outdated", "ghosts", "settings"}

    def __init__(self):
        self.data, self.lock, self.files = {key: {} for key in self.KEYS}, threading.Lock(), {}
        self.boundaries, self.jobs, self.reports, self.set_boundaries, self.bucket_regions = {}, {}, {}, {}, {}
        self.set_tags = {}

    def load(self, given):
        if set(given) - self.KEYS:
            raise ValueError(f"no such fixtures: {sorted(set(given) - self.KEYS)}")
        with self.lock:
            for key, value in given.items():
                self.data[key].update(value)

    def events(self, account, region):
        """The management events, newest first; from `events` {ACCOUNT: {REGION: [record]}} or
        `event_files` {ACCOUNT: {REGION: path of NDJSON}}."""
        with self.lock:
            if (account, region) not in self.files:
                records = list(self.data["events"].get(account, {}).get(region, ()))
                path = self.data["event_files"].get(account, {}).get(region)
                if path:
                    with open(path, encoding="utf-8") as lines:
                        records += [json.loads(line) for line in lines if line.strip()]
                records = [record for record in records if record.get("managementEvent", True)]
                records.sort(key=lambda record: (record["eventTime"], record["eventID"]), reverse=True)
                self.files[account, region] = records
            return self.files[account, region]


# ---------------------------------------------------------------- pages

def page_token(offset, salt):
    return base64.urlsafe_b64encode(f"{offset}:{salt}".encode()).decode()


def slice_page(front, service, operation, params, items, keys):
    """(items of this page, next token or None). A token is good only for the parameters that it was given with."""
    spec = pagination(service).get(operation, {})
    limit_key = keys.get("limit") or spec.get("limit_key")
    token_key = keys.get("token") or spec.get("input_token")
    usual, largest = PAGES.get(service, (100, 1000))
    size = min(params.get(limit_key) or usual, largest)
    forced = front.fixtures.data["settings"].get("page_size", {})
    size = min(size, forced.get(service, forced.get("*", size)))
    salt = hashlib.sha256(json.dumps({key: value for key, value in params.items() if key != token_key},
                                     sort_keys=True, default=str).encode()).hexdigest()[:16]
    offset = 0
    if params.get(token_key):
        try:
            text = base64.urlsafe_b64decode(params[token_key]).decode()
            offset = int(text.split(":")[0])
            if text.split(":")[1] != salt:
                raise ValueError
        except (ValueError, IndexError):
            code = {"iam": "ValidationError", "cloudtrail": "InvalidNextTokenException",
                    "organizations": "InvalidInputException", "kms": "InvalidMarkerException",
                    "secretsmanager": "InvalidNextTokenException", "s3": "InvalidArgument", "sns": "InvalidParameter",
                    "lambda": "InvalidParameterValueException", "ecr": "InvalidParameterException",
                    "sqs": "InvalidAddress"}.get(service, "ValidationException")
            raise Refused(code, f"Invalid value for {token_key}") from None
    elif front.fixtures.data["settings"].get("empty_pages") and items:
        return [], page_token(0, salt)
    page = items[offset:offset + size]
    more = offset + size < len(items)
    return page, page_token(offset + size, salt) if more else None


def paged(front, service, operation, params, result, members, **keys):
    """`result` with its list members cut to one page; several members are paged as one sequence, as GAAD does."""
    items = [(member, item) for member in members for item in result.get(member) or ()]
    page, token = slice_page(front, service, operation, params, items, keys)
    for member in members:
        result[member] = [item for name, item in page if name == member]
    spec = pagination(service).get(operation, {})
    flag = "IsTruncated" if service == "iam" else spec.get("more_results")
    if flag:
        result[flag] = token is not None
    token_out = "Marker" if service == "iam" else spec["output_token"]
    result.pop(token_out, None)
    if token:
        result[token_out] = token
    return result


# ---------------------------------------------------------------- IAM

GAAD = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


@serves("iam", "GetAccountAuthorizationDetails")
def authorization_details(front, call, params):
    """ministack answers one page whatever MaxItems says and leaves out boundaries and AWS's own policies."""
    body = call.upstream()
    key = (call["account"], hashlib.sha256(re.sub(rb"<RequestId>.*?</RequestId>", b"", body)).digest())
    if key not in front.details:
        result = result_of(call.operation, 200, {}, body)
        for detail, kind in [(user, "user") for user in result.get("UserDetailList", ())] + [
                (role, "role") for role in result.get("RoleDetailList", ())]:
            arn = front.fixtures.boundaries.get((call["account"], kind, detail[kind.title() + "Name"]))
            if arn:
                detail["PermissionsBoundary"] = {
                    "PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}
        attached = {policy["PolicyArn"] for kind in GAAD[:3] for detail in result.get(kind, ())
                    for policy in detail.get("AttachedManagedPolicies", ())}
        result["Policies"] = list(result.get("Policies", ())) + [
            front.aws_managed(arn) for arn in sorted(attached) if arn.startswith("arn:aws:iam::aws:")]
        front.details[key] = result
    result = {member: list(items) for member, items in front.details[key].items() if member in GAAD}
    return paged(front, "iam", call["operation"], params, result, GAAD, limit="MaxItems", token="Marker")


@serves("iam", "GenerateCredentialReport")
def generate_report(front, call, params):
    call.upstream()
    state = front.fixtures.reports[call["account"]] = front.fixtures.reports.get(call["account"], 0) + 1
    if state == 1:
        return {"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}
    return {"State": "INPROGRESS" if state == 2 else "COMPLETE"}


@serves("iam", "GetCredentialReport")
def get_report(front, call, params):
    state = front.fixtures.reports.get(call["account"], 0)
    if state == 0:
        raise Refused("ReportNotPresent", "No report exists.", 410)
    body = call.upstream()
    if state < 3:  # asking for it counts as waiting, too
        front.fixtures.reports[call["account"]] = state + 1
        raise Refused("ReportInProgress", "Credential report generation is in progress.", 404)
    return result_of(call.operation, 200, {}, body)


@serves("iam", "GenerateServiceLastAccessedDetails")
def generate_last_accessed(front, call, params):
    call.upstream()
    if params["Arn"].split(":")[4] != call["account"]:
        raise Refused("NoSuchEntity", f"ARN {params['Arn']} cannot be found.", 404)
    job = str(uuid.uuid4())
    front.fixtures.jobs[job] = dict(params, account=call["account"], polls=0,
                                    made=datetime.datetime.now(datetime.timezone.utc))
    return {"JobId": job}


@serves("iam", "GetServiceLastAccessedDetails")
def get_last_accessed(front, call, params):
    call.upstream(allow=("NoSuchEntity",))  # signature and permission; the job is known here only
    job = front.fixtures.jobs.get(params["JobId"])
    if job is None or job["account"] != call["account"]:
        raise Refused("NoSuchEntity", f"Job {params['JobId']} not found.", 404)
    job["polls"] += 1
    result = {"JobStatus": "COMPLETED", "JobType": job.get("Granularity", "SERVICE_LEVEL"),
              "JobCreationDate": job["made"], "ServicesLastAccessed": [], "IsTruncated": False}
    if job["polls"] == 1:
        result.update(JobStatus="IN_PROGRESS", JobCompletionDate=job["made"])
        return result
    result["JobCompletionDate"] = job["made"] + datetime.timedelta(seconds=1)
    result["ServicesLastAccessed"] = [service_use(entry, job) for entry in
                                      front.fixtures.data["last_accessed"].get(job["Arn"]) or default_use()]
    return paged(front, "iam", call["operation"], params, result, ["ServicesLastAccessed"],
                 limit="MaxItems", token="Marker")


def default_use():
    return [{"ServiceNamespace": space, "ServiceName": name, **({"LastAuthenticated": at} if at else {})}
            for space, name, at in DEFAULT_USE]


def service_use(entry, job):
    """One service; times become datetimes, and actions are told only where the job asked for them."""
    made = dict({"TotalAuthenticatedEntities": 1 if "LastAuthenticated" in entry else 0}, **entry)
    if "LastAuthenticated" in made:
        made["LastAuthenticated"] = when(made["LastAuthenticated"])
        made.setdefault("LastAuthenticatedEntity", job["Arn"])
        made.setdefault("LastAuthenticatedRegion", "us-east-1")
        if made["ServiceNamespace"] in ("s3", "iam"):
            made.setdefault("TrackedActionsLastAccessed", [
                {"ActionName": "ListAllMyBuckets" if made["ServiceNamespace"] == "s3" else "ListRoles",
                 "LastAccessedEntity": job["Arn"], "LastAccessedTime": made["LastAuthenticated"],
                 "LastAccessedRegion": "us-east-1"}])
    if job.get("Granularity") != "ACTION_LEVEL":
        made.pop("TrackedActionsLastAccessed", None)
    for action in made.get("TrackedActionsLastAccessed", ()):
        if "LastAccessedTime" in action:
            action["LastAccessedTime"] = when(action["LastAccessedTime"])
    return made


# ---------------------------------------------------------------- Identity Center

@serves("sso-admin", "ListAccountsForProvisionedPermissionSet")
def accounts_of_permission_set(front, call, params):
    # An account is outdated only where the fixture `outdated` {ARN: [account]} says so; see ProvisioningStatus.
    outdated = front.fixtures.data["outdated"].get(params["PermissionSetArn"], ())
    accounts = front.fixtures.data["provisioned"].get(params["PermissionSetArn"], ())
    if params.get("ProvisioningStatus"):
        wanted = params["ProvisioningStatus"] == "LATEST_PERMISSION_SET_NOT_PROVISIONED"
        accounts = [account for account in accounts if (account in outdated) == wanted]
    return paged(front, "sso-admin", call["operation"], params, {"AccountIds": sorted(set(accounts))}, ["AccountIds"])


@serves("sso-admin", "PutPermissionsBoundaryToPermissionSet")
def put_set_boundary(front, call, params):
    front.fixtures.set_boundaries[params["PermissionSetArn"]] = params["PermissionsBoundary"]
    return {}


@serves("sso-admin", "GetPermissionsBoundaryForPermissionSet")
def get_set_boundary(front, call, params):
    found = front.fixtures.set_boundaries.get(params["PermissionSetArn"])
    if found is None:
        raise Refused("ResourceNotFoundException", "Could not find a permissions boundary for this permission set")
    return {"PermissionsBoundary": found}


@serves("sso-admin", "TagResource")
def tag_set(front, call, params):
    front.fixtures.set_tags.setdefault(params["ResourceArn"], {}).update(
        {tag["Key"]: tag["Value"] for tag in params["Tags"]})
    return {}


@serves("sso-admin", "ListTagsForResource")
def tags_of_set(front, call, params):
    tags = front.fixtures.set_tags.get(params["ResourceArn"], {})
    result = {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}
    return paged(front, "sso-admin", call["operation"], params, result, ["Tags"])


# ---------------------------------------------------------------- CloudTrail and account

def lookup_event(record):
    identity = record.get("userIdentity", {})
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    name = identity.get("userName") or (identity.get("arn", "").rsplit("/", 1)[-1]
                                        if identity.get("type") == "AssumedRole" else issuer.get("userName"))
    made = {"EventId": record["eventID"], "EventName": record["eventName"],
            "ReadOnly": "true" if record.get("readOnly") else "false", "EventTime": when(record["eventTime"]),
            "EventSource": record["eventSource"], "CloudTrailEvent": json.dumps(record, ensure_ascii=False),
            "Resources": [{"ResourceType": resource.get("type", ""), "ResourceName": resource["ARN"]}
                          for resource in record.get("resources") or () if "ARN" in resource]}
    if identity.get("accessKeyId"):
        made["AccessKeyId"] = identity["accessKeyId"]
    if name:
        made["Username"] = name
    return made


@serves("cloudtrail", "LookupEvents")
def lookup_events(front, call, params):
    if len(params.get("LookupAttributes", ())) > 1:
        raise Refused("InvalidLookupAttributesException", "Only one lookup attribute may be given.")
    start, end = params.get("StartTime"), params.get("EndTime")
    start, end = start and when(start), end and when(end)
    if start and end and start > end:
        raise Refused("InvalidTimeRangeException", "The start time is after the end time.")
    found = []
    for record in front.fixtures.events(call["account"], call["region"]):
        at = when(record["eventTime"])
        if (start and at < start) or (end and at > end):
            continue
        event = lookup_event(record)
        if all(str(event.get(asked["AttributeKey"])) == asked["AttributeValue"]
               for asked in params.get("LookupAttributes", ())):
            found.append(event)
    return paged(front, "cloudtrail", call["operation"], params, {"Events": found}, ["Events"])


@serves("cloudtrail", "ListPublicKeys")
def list_public_keys(front, call, params):
    """The keys that were good at some time in the range; without times the range is this instant."""
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = (when(params[name]) if params.get(name) else now for name in ("StartTime", "EndTime"))
    if start > end:
        raise Refused("InvalidTimeRangeException", "The start time is after the end time.")
    made = [dict(key, Value=base64.b64decode(key["Value"]), ValidityStartTime=when(key["ValidityStartTime"]),
                 ValidityEndTime=when(key["ValidityEndTime"]))
            for key in front.fixtures.data["public_keys"].get(call["region"], [])]
    told = [key for key in made if key["ValidityStartTime"] <= end and key["ValidityEndTime"] >= start]
    return paged(front, "cloudtrail", call["operation"], params, {"PublicKeyList": told}, ["PublicKeyList"])


@serves("account", "ListRegions")
def list_regions(front, call, params):
    wanted = params.get("RegionOptStatusContains")
    regions = front.fixtures.data["regions"].get(call["account"]) or front.fixtures.data["regions"].get("*") or REGIONS
    found = [{"RegionName": name, "RegionOptStatus": status} for name, status in regions
             if not wanted or status in wanted]
    return paged(front, "account", call["operation"], params, {"Regions": found}, ["Regions"])


# ---------------------------------------------------------------- Access Analyzer

TIMES = ("createdAt", "updatedAt", "analyzedAt", "lastResourceAnalyzedAt", "lastAccessed")


def with_times(value):
    """Fixtures hold times as text; every member of the service that is a time has one of these names."""
    if isinstance(value, dict):
        return {key: when(inner) if key in TIMES and isinstance(inner, str) else with_times(inner)
                for key, inner in value.items()}
    return [with_times(inner) for inner in value] if isinstance(value, list) else value


@serves("accessanalyzer", "ListAnalyzers")
def list_analyzers(front, call, params):
    found = front.fixtures.data["analyzers"].get(call["account"], {}).get(call["region"], [])
    found = [with_times(analyzer) for analyzer in found if params.get("type") in (None, analyzer["type"])]
    return paged(front, "accessanalyzer", call["operation"], params, {"analyzers": found}, ["analyzers"])


@serves("accessanalyzer", "GetAnalyzer")
def get_analyzer(front, call, params):
    for analyzer in front.fixtures.data["analyzers"].get(call["account"], {}).get(call["region"], []):
        if analyzer["name"] == params["analyzerName"]:
            return {"analyzer": with_times(analyzer)}
    raise Refused("ResourceNotFoundException", f"Analyzer {params['analyzerName']} not found", 404)


def findings_of(front, call, params):
    arn = params["analyzerArn"]
    mine = [analyzer["arn"] for analyzer in
            front.fixtures.data["analyzers"].get(call["account"], {}).get(call["region"], [])]
    if arn not in mine:
        raise Refused("ResourceNotFoundException", f"Analyzer {arn} not found", 404)
    return front.fixtures.data["findings"].get(arn, [])


def passes(finding, criteria):
    for name, rule in criteria.items():
        value = finding.get(name)
        if "eq" in rule and value not in rule["eq"] or "neq" in rule and value in rule["neq"]:
            return False
        if "contains" in rule and not any(part in str(value) for part in rule["contains"]):
            return False
        if "exists" in rule and (value is not None) != rule["exists"]:
            return False
    return True


@serves("accessanalyzer", "ListFindingsV2")
def list_findings(front, call, params):
    found = [with_times({key: value for key, value in finding.items() if key != "findingDetails"})
             for finding in findings_of(front, call, params) if passes(finding, params.get("filter") or {})]
    return paged(front, "accessanalyzer", call["operation"], params, {"findings": found}, ["findings"])


@serves("accessanalyzer", "GetFindingV2")
def get_finding(front, call, params):
    for finding in findings_of(front, call, params):
        if finding["id"] == params["id"]:
            result = with_times({key: value for key, value in finding.items() if key != "findingType"})
            result["findingType"] = finding["findingType"]
            return paged(front, "accessanalyzer", call["operation"], params, result, ["findingDetails"])
    raise Refused("ResourceNotFoundException", f"Finding {params['id']} not found", 404)


def within(given, found):
    """Whether everything of `given` is so in `found`, which may say more; lists must be of one length."""
    if isinstance(given, dict):
        return isinstance(found, dict) and all(within(inner, found.get(key)) for key, inner in given.items())
    if isinstance(given, list):
        return isinstance(found, list) and len(given) == len(found) and all(map(within, given, found))
    return given == found


@serves("accessanalyzer", "ValidatePolicy", "CheckNoNewAccess", "CheckAccessNotGranted", "CheckNoPublicAccess")
def check_policy(front, call, params):
    """The answer of `checks` {operation: [{contains: text of the policy, given: parameters, answer: {...}}]}, the first
    that applies. What the model cannot say of the parameters is refused here: one Access of at most a hundred actions,
    a resource type for resource policies alone."""
    name = call["operation"]
    text = params.get("policyDocument") or params.get("newPolicyDocument") or ""
    access = params.get("access") or []
    if len(access) > 1 or any(len(one.get("actions") or ()) > 100 for one in access):
        raise Refused("ValidationException", "access: too many", invalid=True)
    if params.get("validatePolicyResourceType") and params["policyType"] != "RESOURCE_POLICY":
        raise Refused("ValidationException", "validatePolicyResourceType without RESOURCE_POLICY", invalid=True)
    try:
        json.loads(text)
    except ValueError:
        if name != "ValidatePolicy":
            raise Refused("ValidationException", "The policy is no JSON.") from None
    usual = {"findings": []} if name == "ValidatePolicy" else {
        "result": "PASS", "message": "The policy document does not grant new access.", "reasons": []}
    rules = [rule["answer"] for rule in front.fixtures.data["checks"].get(name, ())
             if rule.get("contains", "") in text and within(rule.get("given", {}), params)]
    result = with_times(dict(rules[0] if rules else usual))
    return paged(front, "accessanalyzer", name, params, result, ["findings"]) if name == "ValidatePolicy" else result


# ---------------------------------------------------------------- what is learnt from calls that were sent on

def observe(front, call, params, body):
    """Keeps of a successful call what the servers do not tell later: session keys, boundaries, assignments."""
    service, name = call["service"], call["operation"]
    if name in ("AssumeRole", "GetSessionToken", "CreateAccessKey"):
        result = result_of(call.operation, 200, {}, body)
        if name == "CreateAccessKey":
            key = result["AccessKey"]
            front.accounts.learn(key["AccessKeyId"], call["account"], key["SecretAccessKey"], None,
                                 f"arn:aws:iam::{call['account']}:user/{key['UserName']}")
        else:
            key, user = result["Credentials"], result.get("AssumedRoleUser", {})
            arn = user.get("Arn") or call["arn"]
            front.accounts.learn(key["AccessKeyId"], arn.split(":")[4], key["SecretAccessKey"], key["SessionToken"],
                                 arn)
    elif service == "iam" and params.get("PermissionsBoundary") and name in (
            "CreateUser", "CreateRole", "PutUserPermissionsBoundary", "PutRolePermissionsBoundary"):
        kind = "user" if "User" in name else "role"
        front.fixtures.boundaries[call["account"], kind, params[kind.title() + "Name"]] = params["PermissionsBoundary"]
        front.details.clear()
    elif service == "iam" and name in ("DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary", "DeleteUser",
                                       "DeleteRole"):
        kind = "user" if "User" in name else "role"
        front.fixtures.boundaries.pop((call["account"], kind, params[kind.title() + "Name"]), None)
        front.details.clear()
    elif service == "sso-admin" and name in ("CreateAccountAssignment", "DeleteAccountAssignment"):
        accounts = front.fixtures.data["provisioned"].setdefault(params["PermissionSetArn"], [])
        if name == "CreateAccountAssignment":
            accounts.append(params["TargetId"])
        elif params["TargetId"] in accounts:
            accounts.remove(params["TargetId"])
