"""The documents `resource-policies` and `public-keys`: what they must say by the servers, read past the front, and by
what was built; and what is left of them when a call is denied."""

import datetime

from collect_check import Failed, canonical, check, differences, document_of
from collect_resources import DEFAULT, REGIONS, SERVICES

# Which operation lists a service's resources; the other reads their policies.
LISTS = {"dynamodb": "ListTables", "ecr": "DescribeRepositories", "kms": "ListKeys", "lambda": "ListFunctions",
         "s3": "ListBuckets", "secretsmanager": "ListSecrets", "sns": "ListTopics", "sqs": "ListQueues"}
ASKS = {"dynamodb": "GetResourcePolicy", "ecr": "GetRepositoryPolicy", "kms": "GetKeyPolicy", "lambda": "GetPolicy",
        "s3": "GetBucketPolicy", "secretsmanager": "GetResourcePolicy", "sns": "GetTopicAttributes",
        "sqs": "GetQueueAttributes"}
OPERATIONS = sorted({*LISTS.values(), *ASKS.values(), "ListPublicKeys"})
# Where AWS tells a resource that is gone from one without a policy. Lambda has one code for both.
GOES = [service for service in SERVICES if service != "lambda"]
# Without these parameters AWS leaves something out: see front_resources.py.
NEEDED = {"ListBuckets": "MaxBuckets", "ListQueues": "MaxResults"}


# ---------------------------------------------------------------- reading past the front

def read(direct, account):
    """What the servers tell of an account, in the form of `fields`."""
    found = {service: {} for service in SERVICES}
    s3 = direct.client("s3", account)
    for bucket in direct.all(s3, "list_buckets", "Buckets"):
        region = s3.get_bucket_location(Bucket=bucket["Name"])["LocationConstraint"] or "us-east-1"
        found["s3"][f"arn:aws:s3:::{bucket['Name']}"] = region, lambda name=bucket["Name"]: s3.get_bucket_policy(
            Bucket=name)["Policy"]
    for region in REGIONS:
        kms, manager, sqs, sns, functions, ecr, dynamodb = (
            direct.client(service, account, region)
            for service in ("kms", "secretsmanager", "sqs", "sns", "lambda", "ecr", "dynamodb"))
        for key in direct.all(kms, "list_keys", "Keys"):
            found["kms"][key["KeyArn"]] = region, lambda key=key, client=kms: client.get_key_policy(
                KeyId=key["KeyId"], PolicyName="default")["Policy"]
        for secret in direct.all(manager, "list_secrets", "SecretList"):
            found["secretsmanager"][secret["ARN"]] = region, lambda secret=secret, client=manager: \
                client.get_resource_policy(SecretId=secret["ARN"]).get("ResourcePolicy")
        for url in direct.all(sqs, "list_queues", "QueueUrls"):
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            found["sqs"][told["QueueArn"]] = region, lambda told=told: told.get("Policy")
        for topic in direct.all(sns, "list_topics", "Topics"):
            found["sns"][topic["TopicArn"]] = region, lambda topic=topic, client=sns: client.get_topic_attributes(
                **topic)["Attributes"].get("Policy")
        for one in direct.all(functions, "list_functions", "Functions"):
            found["lambda"][one["FunctionArn"]] = region, lambda one=one, client=functions: client.get_policy(
                FunctionName=one["FunctionName"])["Policy"]
        for one in direct.all(ecr, "describe_repositories", "repositories"):
            found["ecr"][one["repositoryArn"]] = region, lambda one=one, client=ecr: client.get_repository_policy(
                repositoryName=one["repositoryName"])["policyText"]
        for name in direct.all(dynamodb, "list_tables", "TableNames"):
            arn = f"arn:aws:dynamodb:{region}:{account}:table/{name}"
            found["dynamodb"][arn] = region, lambda arn=arn, client=dynamodb: client.get_resource_policy(
                ResourceArn=arn)["Policy"]
    return form({service: {arn: {"Region": region, "Policy": or_none(policy)}
                           for arn, (region, policy) in resources.items()} for service, resources in found.items()})


def form(found):
    """The form of `fields` for {service: {ARN: ...}}: every service was asked, in every region."""
    return {service: {"Regions": None if service == "s3" else list(REGIONS), "Resources": found.get(service, {})}
            for service in SERVICES}


def or_none(policy):
    from botocore.exceptions import ClientError
    try:
        return policy()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchBucketPolicy", "ResourceNotFoundException",
                                               "RepositoryPolicyNotFoundException", "PolicyNotFoundException"):
            return None
        raise


# ---------------------------------------------------------------- the documents

def fields(document, account):
    """{service: {Regions, Resources: {ARN: {Region, Policy text or None}}}}, with the order and the members checked."""
    check(document is not None, f"no resource-policies document for {account}")
    check(set(document) == {"AccountId", "Services"} and document["AccountId"] == account,
          f"resource-policies/{account}: {str(document)[:200]}")
    names = [one["Service"] for one in document["Services"]]
    check(names == sorted(set(names)), f"resource-policies/{account}: services {names}")
    for one in document["Services"]:
        where, arns = f"resource-policies/{account} {one['Service']}", [held["Arn"] for held in one["Resources"]]
        check(arns == sorted(set(arns)), f"{where}: not by ARN, or one twice: {arns}")
        check(set(one) == {"Service", "Resources"} | ({"Regions"} if one["Service"] != "s3" else set()),
              f"{where}: members {sorted(one)}")
        beyond = [held for held in one["Resources"] if not {"Arn", "Region"} <= set(held) <= {"Arn", "Region", "Policy"}
                  or not isinstance(held.get("Policy", ""), str)]
        check(not beyond, f"{where}: {beyond[:2]}")
    return {one["Service"]: {"Regions": one.get("Regions"), "Resources": {
        held["Arn"]: {"Region": held["Region"], "Policy": held.get("Policy")} for held in one["Resources"]}}
        for one in document["Services"]}


def written(found, made):
    """(as built, found) with the policies read."""
    def read_policy(arn, one):
        if one["Policy"] is not None and made.get(arn, {}).get("Policy") == DEFAULT:
            return DEFAULT
        return document_of(one["Policy"]) if one["Policy"] is not None else None

    return ({arn: dict(one, Policy=canonical(one["Policy"])) for arn, one in made.items()},
            {arn: dict(one, Policy=canonical(read_policy(arn, one))) for arn, one in found.items()})


def wrong(world, direct, raw):
    """Lines that say where the documents differ from what the servers tell and from what was built."""
    lines = []
    for account in [world.management] + world.members:
        try:
            found = fields(raw.get(f"resource-policies/{account}"), account)
        except (Failed, KeyError, TypeError) as error:
            lines.append(f"resource-policies/{account}: {error!r}")
            continue
        # Where nothing was built the servers need not be asked.
        pairs = [("servers", read(direct, account) if account in world.resources else form({}), found)]
        pairs += [(f"as built, {service}", *written(found.get(service, {}).get("Resources", {}), made))
                  for service, made in world.resources.get(account, {}).items()]
        for what, expected, told in pairs:
            off = differences(expected, told)
            lines += [f"resource-policies/{account} ({what}) differs:"] + ["  " + line for line in off] if off else []
    off = differences(expected_keys(world), key_fields(raw.get("public-keys/_")))
    return lines + (["public-keys/_ differs:"] + ["  " + line for line in off] if off else [])


def counted(world):
    total = sum(len(made) for services in world.resources.values() for made in services.values())
    return f"{total} resources in {len(world.resources)} accounts, {len(expected_keys(world))} regions of public keys"


def ill_asked(world, calls):
    """Lines about calls that AWS would answer with less, about regions not asked, and about those that are closed."""
    lines = []
    for call in calls:
        if call["operation"] in NEEDED and NEEDED[call["operation"]] not in call["params"]:
            lines.append(f"{call['operation']} without {NEEDED[call['operation']]}: {call['params']}")
        if call["region"] not in REGIONS:
            lines.append(f"{call['service']}:{call['operation']} in {call['region']}, which is not enabled")
    asked = {(call["account"], call["region"], call["service"], call["operation"]) for call in calls}
    for account in [world.management] + world.members:
        for service, operation in LISTS.items():
            regions = {region for region in {call["region"] for call in calls}
                       if (account, region, service, operation) in asked}
            if service == "s3" and len(regions) != 1 or service != "s3" and regions != set(REGIONS):
                lines.append(f"{service}:{operation} of {account} in {sorted(regions)}")
    again = [call for call in calls if call["operation"] == "ListBuckets" and not call.get("fault")
             and "ContinuationToken" not in call["params"]]
    if len(again) != 1 + len(world.members):
        lines.append(f"ListBuckets begun {len(again)} times for {1 + len(world.members)} accounts")
    return lines


def without(document, service, operation):
    """A canonical document as it is when that operation is denied: without the service, where it was asked at all."""
    return dict(document, Services=[
        one for one in document["Services"]
        if one["Service"] != service or operation != LISTS[service] and not one["Resources"]])


def closed(document, arns):
    """A canonical document as it is when the policies of these resources may not be read."""
    return dict(document, Services=[dict(one, Resources=[
        {"Arn": held["Arn"], "Denied": True, "Region": held["Region"]} if held["Arn"] in arns else held
        for held in one["Resources"]]) for one in document["Services"]])


# ---------------------------------------------------------------- CloudTrail's public keys

def expected_keys(world):
    since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=5 * 365)).isoformat()
    return {region: {key["Fingerprint"]: canonical(key) for key in world.public_keys[region]
                     if key["ValidityEndTime"] > since} for region in REGIONS}


def key_fields(document):
    check(isinstance(document, list), f"public-keys/_ is no list: {str(document)[:200]}")
    for one in document:
        check(set(one) == {"Region", "PublicKeyList"}, f"public-keys/_: members {sorted(one)}")
    regions = [one["Region"] for one in document]
    check(len(regions) == len(set(regions)), f"public-keys/_: regions {regions}")
    return {one["Region"]: {key["Fingerprint"]: canonical(key) for key in one["PublicKeyList"]} for one in document}
