"""The front's own test with boto3: a front that lets wrong requests through, or answers what AWS would not, makes every
other scenario worthless. Runs without the binary."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.request

import collect_world
from collect_check import Failed, check

# An account-wide list of each service, in pages as `resources` wants them.
LISTS = {"s3": ("list_buckets", "Buckets", {"MaxBuckets": 1000}),
         "sqs": ("list_queues", "QueueUrls", {"MaxResults": 1000}), "sns": ("list_topics", "Topics", {}),
         "lambda": ("list_functions", "Functions", {}), "dynamodb": ("list_tables", "TableNames", {}),
         "kms": ("list_keys", "Keys", {}),
         "secretsmanager": ("list_secrets", "SecretList", {}), "ecr": ("describe_repositories", "repositories", {})}


def refused(code, function, **params):
    from botocore.exceptions import ClientError
    try:
        function(**params)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        check(found == code, f"{function.__name__} {params}: {found}, not {code}: {error}")
        return error.response
    raise Failed(f"{function.__name__} {params} was answered, not refused with {code}")


def pages(client, operation, member, **params):
    return [page.get(member, []) for page in client.get_paginator(operation).paginate(**params)]


def front_itself(lab):
    world = lab.world("front", build=False)
    world.size = collect_world.SMALL
    world.build()
    counts = [part(world) for part in (signing, iam, trails, analyzer, lists, resources, public_keys,
                                             protocols, faults)]
    return f"{sum(counts)} checks with boto3"


# ---------------------------------------------------------------- who is asking

def session(world, account):
    return world.servers.client("sts", creds=world.caller).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/{collect_world.ROLE}", RoleSessionName="test",
        ExternalId=collect_world.EXTERNAL_ID)["Credentials"]


def signing(world):
    servers, caller, member = world.servers, world.caller, world.members[0]
    me = servers.client("sts", creds=caller).get_caller_identity()
    check(me["Account"] == world.management and me["Arn"].endswith(":user/collector"), f"caller identity {me}")
    creds = session(world, member)
    me = servers.client("sts", creds=creds).get_caller_identity()
    check(me["Account"] == member and ":assumed-role/" in me["Arn"], f"identity of the session {me}")
    refused("AccessDenied", servers.client("sts", creds=caller).assume_role,
            RoleArn=f"arn:aws:iam::{member}:role/{collect_world.ROLE}", RoleSessionName="test")
    wrong = dict(creds, SecretAccessKey="x" * 40)
    for service, code in (("iam", "SignatureDoesNotMatch"), ("cloudtrail", "InvalidSignatureException"),
                          ("account", "InvalidSignatureException"), ("s3", "SignatureDoesNotMatch")):
        servers.clients.clear()  # kept by key id: a wrong secret needs a new one
        call = {"iam": "list_users", "cloudtrail": "describe_trails", "account": "list_regions", "s3": "list_buckets"}
        refused(code, getattr(servers.client(service, creds=wrong), call[service]))
    servers.clients.clear()
    refused("UnrecognizedClientException",
            servers.client("cloudtrail", creds=dict(creds, SessionToken="t")).describe_trails)
    servers.clients.clear()
    refused("InvalidClientTokenId", servers.client("iam", creds={"AccessKeyId": "AKIAUNKNOWN000000000",
                                                                "SecretAccessKey": "x"}).list_users)
    found = [servers.client("iam", creds=one).get_account_authorization_details()["RoleDetailList"][0]["Arn"]
             .split(":")[4] for one in (caller, creds)]
    check(found == [world.management, member], f"GAAD of the accounts {found}")
    return 10


# ---------------------------------------------------------------- IAM

def iam(world):
    client = world.servers.client("iam", creds=world.caller)
    whole = client.get_account_authorization_details(MaxItems=1000)
    members = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    total = sum(len(whole[member]) for member in members)
    check(not whole["IsTruncated"] and total > 20, f"GAAD in one page: {total}")
    seen, marker, count = [], {}, 0
    while True:
        page = client.get_account_authorization_details(MaxItems=3, **marker)
        held = [entry["Arn"] for member in members for entry in page[member]]
        check(len(held) == 3 or not page["IsTruncated"], f"a page of {len(held)}")
        seen, count = seen + held, count + 1
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    check(seen == [entry["Arn"] for member in members for entry in whole[member]] and count == -(-total // 3),
          f"{count} pages of 3 for {total}")
    refused("ValidationError", client.get_account_authorization_details, Marker=marker["Marker"], MaxItems=4)
    refused("ValidationError", client.get_account_authorization_details, MaxItems=1001)
    boundaries = [user for user in whole["UserDetailList"] if "PermissionsBoundary" in user]
    check(len(boundaries) == 1, f"{len(boundaries)} users with a boundary in GAAD")
    check(any(one["Arn"] == collect_world.READ_ONLY for one in whole["Policies"]), "no AWS managed policy in GAAD")

    arn = f"arn:aws:iam::{world.management}:user/collector"
    for granularity in ("SERVICE_LEVEL", "ACTION_LEVEL"):
        job = client.generate_service_last_accessed_details(Arn=arn, Granularity=granularity)["JobId"]
        first = client.get_service_last_accessed_details(JobId=job)["JobStatus"]
        check(first == "IN_PROGRESS", f"{first} at the first call")
        done = client.get_service_last_accessed_details(JobId=job, MaxItems=1)
        check(done["JobStatus"] == "COMPLETED" and done["IsTruncated"] and len(done["ServicesLastAccessed"]) == 1,
              f"last accessed: {done}")
        told = "TrackedActionsLastAccessed" in done["ServicesLastAccessed"][0]
        check(told == (granularity == "ACTION_LEVEL"), f"{granularity}: actions {told}")
    refused("NoSuchEntity", client.get_service_last_accessed_details, JobId="0" * 36)
    refused("NoSuchEntity", client.generate_service_last_accessed_details,
            Arn=f"arn:aws:iam::{world.members[0]}:role/{collect_world.ROLE}")

    refused("ReportNotPresent", client.get_credential_report)
    states = [client.generate_credential_report()["State"]]
    refused("ReportInProgress", client.get_credential_report)
    states += [client.generate_credential_report()["State"]]
    check(states == ["STARTED", "COMPLETE"] and b"user-0000" in client.get_credential_report()["Content"], f"{states}")
    return 16


# ---------------------------------------------------------------- CloudTrail, Access Analyzer

def trails(world):
    account = world.members[1]
    client = world.servers.client("cloudtrail", creds=session(world, account))
    made = collect_world.events(account, 130, seed=3, regions=("us-east-1",))
    world.servers.control("fixtures", {"events": {account: {"us-east-1": made + [
        dict(made[0], managementEvent=False, eventID="data")]}}})
    found = pages(client, "lookup_events", "Events")
    check([len(page) for page in found] == [50, 50, 30], f"pages of {[len(page) for page in found]}")
    flat = [event for page in found for event in page]
    times = [event["EventTime"] for event in flat]
    check(times == sorted(times, reverse=True), "not newest first")
    texts = {json.loads(event["CloudTrailEvent"])["eventID"] for event in flat}
    check(texts == {event["eventID"] for event in made}, "the events are not those of the fixture")
    middle = times[65]
    later = [event for page in pages(client, "lookup_events", "Events", StartTime=middle) for event in page]
    check(len(later) == sum(at >= middle for at in times), f"{len(later)} events after StartTime")
    reads = pages(client, "lookup_events", "Events", LookupAttributes=[
        {"AttributeKey": "EventName", "AttributeValue": "ListRoles"}])
    check({event["EventName"] for page in reads for event in page} == {"ListRoles"}, "LookupAttributes is ignored")
    two = [{"AttributeKey": "EventName", "AttributeValue": "x"}, {"AttributeKey": "EventId", "AttributeValue": "x"}]
    refused("InvalidLookupAttributesException", client.lookup_events, LookupAttributes=two)
    token = client.lookup_events()["NextToken"]
    refused("InvalidNextTokenException", client.lookup_events, NextToken=token, MaxResults=10)
    return 8


def analyzer(world):
    account = world.members[0]
    client = world.servers.client("accessanalyzer", creds=session(world, account))
    arn = client.list_analyzers(type="ACCOUNT")["analyzers"][0]["arn"]
    check(client.list_analyzers(type="ORGANIZATION")["analyzers"] == [], "ListAnalyzers ignores the type")
    found = client.list_findings_v2(analyzerArn=arn, filter={"status": {"eq": ["ACTIVE"]}})["findings"]
    check(len(found) == 3, f"{len(found)} active findings")
    detail = client.get_finding_v2(analyzerArn=arn, id=found[0]["id"])
    check(detail["findingDetails"][0]["externalAccessDetails"]["principal"], "GetFindingV2 without details")
    refused("ResourceNotFoundException", client.get_finding_v2, analyzerArn=arn, id="none")
    warning = {"findingDetails": "d", "findingType": "WARNING", "issueCode": "X", "learnMoreLink": "https://x.example",
               "locations": []}
    world.servers.control("fixtures", {"checks": {
        "ValidatePolicy": [{"contains": "PassRole", "answer": {"findings": [warning]}}],
        "CheckAccessNotGranted": [{"answer": {"result": "FAIL", "message": "m"}}]}})
    for text, wanted in (("iam:PassRole", 1), ("s3:Get*", 0)):
        policy = json.dumps(collect_world.policy({"Effect": "Allow", "Action": text, "Resource": "*"}))
        told = client.validate_policy(policyDocument=policy, policyType="IDENTITY_POLICY")["findings"]
        check(len(told) == wanted, f"ValidatePolicy {text}: {told}")
    new = client.check_no_new_access(newPolicyDocument=policy, existingPolicyDocument=policy,
                                     policyType="IDENTITY_POLICY")["result"]
    granted = client.check_access_not_granted(policyDocument=policy, access=[{"actions": ["s3:GetObject"]}],
                                              policyType="IDENTITY_POLICY")["result"]
    public = client.check_no_public_access(policyDocument=policy, resourceType="AWS::S3::Bucket")["result"]
    check((new, granted, public) == ("PASS", "FAIL", "PASS"), f"checks: {new} {granted} {public}")
    return 8


def lists(world):
    org, sso = (world.servers.client(service, creds=world.caller) for service in ("organizations", "sso-admin"))
    world.servers.control("fixtures", {"settings": {"page_size": {"*": 2}, "empty_pages": True}})
    found = pages(org, "list_accounts", "Accounts")
    check([len(page) for page in found] == [0, 2, 1], f"ListAccounts in pages of {[len(page) for page in found]}")
    regions = world.servers.client("account", creds=world.caller)
    check([len(page) for page in pages(regions, "list_regions", "Regions")] == [0, 2, 1], "ListRegions")
    world.servers.control("fixtures", {"settings": {"page_size": {}, "empty_pages": False}})
    refused("ValidationException", org.list_accounts, MaxResults=21)
    account, arn, _, _ = min(world.center["assignments"])
    told = pages(sso, "list_accounts_for_provisioned_permission_set", "AccountIds", InstanceArn=world.instance,
                 PermissionSetArn=arn)
    check(account in [one for page in told for one in page], "ListAccountsForProvisionedPermissionSet")
    for arn, record in world.center["sets"].items():
        tags = [one for page in pages(sso, "list_tags_for_resource", "Tags", InstanceArn=world.instance,
                                      ResourceArn=arn) for one in page]
        check({one["Key"]: one["Value"] for one in tags} == record["tags"], f"tags of {arn}: {tags}")
    return 5


# ---------------------------------------------------------------- policies at resources, public keys

def resources(world):
    """What a careless collector loses: the pages, BucketRegion and the queues beyond, a bucket asked elsewhere."""
    account, creds = world.members[0], session(world, world.members[0])

    def client(service, region="us-east-1", of=world.caller):
        return world.servers.client(service, region=region, creds=of)

    for service, (operation, member, params) in LISTS.items():
        whole = [one for page in pages(client(service), operation, member, **params) for one in page]
        check(len(whole) >= 5, f"{service}: {len(whole)} resources")
        world.servers.control("fixtures", {"settings": {"page_size": {"*": 2}, "empty_pages": True}})
        found = pages(client(service), operation, member, **params)
        world.servers.control("fixtures", {"settings": {"page_size": {}, "empty_pages": False}})
        check([one for page in found for one in page] == whole and [len(page) for page in found][:2] == [0, 2],
              f"{service} in pages of {[len(page) for page in found]}")
    s3, sqs = client("s3"), client("sqs")
    check("BucketRegion" not in s3.list_buckets()["Buckets"][0], "BucketRegion without a parameter")
    check({one["BucketRegion"] for one in s3.list_buckets(MaxBuckets=99)["Buckets"]} == {"us-east-1", "eu-west-1"},
          "BucketRegion")
    world.servers.control("fixtures", {"settings": {"page_size": {"*": 2}}})
    check("NextToken" not in sqs.list_queues(), "ListQueues in pages though without MaxResults")
    world.servers.control("fixtures", {"settings": {"page_size": {}}})
    since = world.servers.mark("elsewhere")
    s3.get_bucket_policy(Bucket=f"data-eu-west-1-0-{world.management}")
    told = [call["status"] for call in world.servers.calls(since, operation="GetBucketPolicy")]
    check(told == [301, 200], f"a bucket asked in another region: {told}")  # botocore goes where it is sent
    url = sqs.list_queues()["QueueUrls"][0]
    check(url == f"https://sqs.us-east-1.amazonaws.com/{world.management}/queue-0", f"queue URL {url}")
    check(set(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy", "QueueArn"])["Attributes"])
          == {"Policy", "QueueArn"}, "attributes of a queue")
    arn = f"arn:aws:lambda:eu-west-1:{account}:function:function-0"
    check("StatementId" not in client("lambda", "eu-west-1", creds).get_policy(FunctionName=arn)["Policy"], "GetPolicy")
    names = {name: [f"{name}-1"] for name in LISTS if name != "lambda"}
    world.servers.control("fixtures", {"ghosts": {account: {"us-east-1": names}}})
    for service in names:
        operation, member, params = LISTS[service]
        told = str(pages(client(service, of=creds), operation, member, **params))
        check(f"{service}-1" in told, f"{service}: no ghost in {told}")
    world.servers.control("fixtures", {"ghosts": {account: {}}})
    gone = f"arn:aws:dynamodb:us-east-1:{account}:table/"
    for service, code, call, params in (
            ("s3", "NoSuchBucket", "get_bucket_policy", {"Bucket": "s3-1"}),
            ("s3", "NoSuchBucketPolicy", "get_bucket_policy", {"Bucket": f"data-us-east-1-1-{account}"}),
            ("dynamodb", "ResourceNotFoundException", "get_resource_policy", {"ResourceArn": gone + "dynamodb-1"}),
            ("dynamodb", "PolicyNotFoundException", "get_resource_policy", {"ResourceArn": gone + "table_1.x-y"}),
            ("ecr", "RepositoryNotFoundException", "get_repository_policy", {"repositoryName": "ecr-1"}),
            ("ecr", "RepositoryPolicyNotFoundException", "get_repository_policy", {"repositoryName": "team/image-1"}),
            ("lambda", "ResourceNotFoundException", "get_policy", {"FunctionName": "function-1"}),
            ("kms", "NotFoundException", "get_key_policy", {"KeyId": "kms-1"}),
            ("sns", "NotFound", "get_topic_attributes", {"TopicArn": f"arn:aws:sns:us-east-1:{account}:sns-1"}),
            ("sqs", "AWS.SimpleQueueService.NonExistentQueue", "get_queue_attributes", {"QueueUrl": url + "-1"}),
            ("secretsmanager", "ResourceNotFoundException", "get_resource_policy", {"SecretId": "secretsmanager-1"})):
        refused(code, getattr(client(service, of=creds), call), **params)
    return 2 * len(LISTS) + 7 + len(names) + 11


def public_keys(world):
    client = world.servers.client("cloudtrail", creds=world.caller)
    made = [key["Fingerprint"] for key in world.public_keys["us-east-1"]]
    now = time.time()
    for params, wanted in (({}, made[:1]), ({"StartTime": now - 5 * 365 * 86400}, made[:3]),
                           ({"StartTime": now - 600 * 86400, "EndTime": now - 500 * 86400}, made[1:2])):
        told = [key["Fingerprint"] for key in client.list_public_keys(**params)["PublicKeyList"]]
        check(told == wanted, f"ListPublicKeys {params}: {told}, not {wanted}")
    refused("InvalidTimeRangeException", client.list_public_keys, StartTime=now, EndTime=now - 1)
    return 4


# ---------------------------------------------------------------- the wire itself

def signed(world, service, headers, body, creds=None):
    """(status, body) of a JSON request signed by botocore's signer, past its own checks."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    creds = creds or world.caller
    request = AWSRequest("POST", world.servers.url + "/", headers=headers, data=body)
    SigV4Auth(Credentials(creds["AccessKeyId"], creds["SecretAccessKey"]), service, "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection(world.servers.url.removeprefix("http://"), timeout=20)
    connection.request("POST", "/", body, dict(request.headers))
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def protocols(world):
    json11 = {"Content-Type": "application/x-amz-json-1.1"}
    for prefix in ("CloudTrail_20131101", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"):
        status, text = signed(world, "cloudtrail", {**json11, "X-Amz-Target": prefix + ".DescribeTrails"}, b"{}")
        check(status == 200 and "trailList" in text, f"target {prefix}: {status} {text[:200]}")
    status, text = signed(world, "cloudtrail", {**json11, "X-Amz-Target": "x.DescribeTrails"}, b'{"Nonsense": 1}')
    check(status == 400 and "unknown member" in text, f"an unknown member: {status} {text[:200]}")
    status, text = signed(world, "organizations", {**json11, "X-Amz-Target": "x.ListPolicies"}, b'{"Filter": "NONE"}')
    check(status == 400 and "none of" in text, f"a wrong enum value: {status} {text[:200]}")
    status, text = signed(world, "organizations", {**json11, "X-Amz-Target": "x.DescribePolicy"}, b"{}")
    check(status == 400 and "Missing required" in text, f"a missing member: {status} {text[:200]}")
    status, text = signed(world, "iam", {"Content-Type": "application/x-www-form-urlencoded"},
                          b"Action=ListUsers&Version=2010-05-08&Nonsense=1")
    check(status == 400 and "unknown parameter" in text, f"an unknown parameter: {status} {text[:200]}")
    served = world.servers.client
    for call in (served("accessanalyzer", creds=world.caller).get_paginator("list_archive_rules").paginate,):
        try:
            list(call(analyzerName="x"))
            raise Failed("ListArchiveRules was answered")
        except Exception as error:
            check("501" in str(getattr(error, "response", "")) or "NotImplemented" in str(error), f"not a 501: {error}")
    world.servers.control("fixtures", {"findings": {"arn:aws:access-analyzer:us-east-1:"
                                                    f"{world.members[0]}:analyzer/outer": [{"id": "half"}]}})
    client = served("accessanalyzer", creds=session(world, world.members[0]))
    refused("InternalFailure", client.list_findings_v2,
            analyzerArn=f"arn:aws:access-analyzer:us-east-1:{world.members[0]}:analyzer/outer")
    return 8


def faults(world):
    from botocore.exceptions import ClientError, HTTPClientError
    servers = world.servers
    calls = {"iam": "list_users", "cloudtrail": "describe_trails", "organizations": "list_roots",
             "account": "list_regions", "s3": "list_buckets", "accessanalyzer": "list_analyzers",
             "kms": "list_keys", "lambda": "list_functions", "sns": "list_topics", "sqs": "list_queues"}
    codes = {"throttle": {"iam": "Throttling", "cloudtrail": "ThrottlingException", "s3": "SlowDown",
                          "organizations": "TooManyRequestsException", "account": "TooManyRequestsException",
                          "lambda": "TooManyRequestsException", "sns": "Throttling", "sqs": "RequestThrottled",
                          None: "ThrottlingException"},
             "expired_token": {"iam": "ExpiredToken", "s3": "ExpiredToken", "sns": "ExpiredToken",
                               "sqs": "ExpiredToken", None: "ExpiredTokenException"},
             "access_denied": {"iam": "AccessDenied", "s3": "AccessDenied", "sns": "AuthorizationError",
                               "sqs": "AccessDenied", None: "AccessDeniedException"},
             "http500": {"s3": "InternalError", None: "InternalFailure"}}
    count = 0
    for kind, by_service in codes.items():
        for service, operation in calls.items():
            client = servers.client(service, creds=world.caller)
            servers.faults({"kind": kind, "service": service, "after": 1, "times": 1})
            getattr(client, operation)()
            refused(by_service.get(service, by_service.get(None)), getattr(client, operation))
            getattr(client, operation)()
            check(servers.control("faults")[0]["hits"] == 1, f"{kind} {service}: hits")
            count += 1
    client = servers.client("iam", creds=world.caller)
    for kind in ("html", "truncated", "reset"):
        servers.faults({"kind": kind, "operation": "ListUsers", "times": 1})
        try:
            client.list_users()
            raise Failed(f"{kind}: answered")
        except (ClientError, HTTPClientError):
            count += 1
        client.list_users()
    servers.faults({"kind": "delay", "seconds": 0.5})
    started = time.monotonic()
    client.list_users()
    check(time.monotonic() - started >= 0.5, "delay")
    servers.faults({"kind": "hang", "operation": "ListUsers"})
    address = servers.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), 5) as line:  # an unsigned call does not hang
        line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        line.settimeout(5)
        check(line.recv(100).startswith(b"HTTP/1.1 403"), "an unsigned request")
    servers.faults()
    bad = urllib.request.Request(servers.url + "/__front/faults", method="POST", data=b'[{"kind": "nonsense"}]')
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(bad, timeout=5)
        raise Failed("a rule of no kind was taken")
    except urllib.error.HTTPError as error:
        check(error.code == 400, f"{error.code}")
    return count + 4
