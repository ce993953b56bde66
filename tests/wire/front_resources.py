"""What moto lacks of the services whose resources carry policies, served so that a collector which is careless about
AWS's rules loses something: pages, the parameters without which AWS pages or tells less, and buckets at home in one
region only.

Fixture `ghosts` {ACCOUNT: {REGION: {SERVICE: [name]}}}: resources that are listed and not there when they are asked
for, as those deleted in between are.
"""

from urllib.parse import urlencode

import botocore.serialize

import front_model as model
from front_model import Refused, pagination
from front_served import paged, serves

SERVICES = ("dynamodb", "ecr", "kms", "lambda", "s3", "secretsmanager", "sns", "sqs")
# In these the answer to a bucket's name does not depend on where it is asked.
ANYWHERE = {"CreateBucket", "GetBucketLocation"}
HOME = "us-east-1"


# ---------------------------------------------------------------- the whole list of an upstream

def whole_list(front, call, params):
    """The upstream's result with all of its list, whatever page the caller asked for."""
    spec = pagination(call["service"])[call["operation"]]
    member, token_in, token_out = (spec[key] for key in ("result_key", "input_token", "output_token"))
    asked = {name: value for name, value in params.items() if name not in (token_in, spec.get("limit_key"))}
    serializer = botocore.serialize.create_serializer(call.operation.service_model.protocol)
    items = []
    while True:
        request = serializer.serialize_to_request(asked, call.operation)
        body, target = request["body"], request["url_path"]
        if isinstance(body, dict):  # the query protocol
            body = urlencode(body)
        if request["query_string"]:
            target += "?" + urlencode(request["query_string"], doseq=True)
        headers = {**{name: call.headers[name] for name in ("host", "authorization")},
                   **{name.lower(): value for name, value in request["headers"].items()}}
        status, answer_headers, answer = front.forward(call, request["method"], target, headers,
                                                       body.encode() if isinstance(body, str) else body)
        if status >= 300:
            raise model.Passed(status, answer_headers, answer)
        result = model.result_of(call.operation, status, {}, answer)
        items += result.get(member) or []
        if not result.get(token_out):
            break
        asked[token_in] = result[token_out]
    ghosts = front.fixtures.data["ghosts"].get(call["account"], {}).get(call["region"], {}).get(call["service"], ())
    result[member] = items + [ghost(call, name) for name in ghosts]
    return result


def ghost(call, name):
    """A list's entry of a resource that does not exist."""
    service, where = call["service"], f"{call['region']}:{call['account']}"
    arn = f"arn:aws:{service}:{where}:" + {"ecr": "repository/", "kms": "key/", "secretsmanager": "secret:"}.get(
        service, "") + name
    return {
        "dynamodb": name, "sqs": queue_url(call, name), "s3": {"Name": name}, "sns": {"TopicArn": arn},
        "kms": {"KeyId": name, "KeyArn": arn}, "secretsmanager": {"ARN": arn, "Name": name},
        "ecr": {"repositoryArn": arn, "registryId": call["account"], "repositoryName": name}}[service]


def listed(front, call, params):
    """All of the upstream's list, cut to the page that AWS would give."""
    result = whole_list(front, call, params)
    return paged(front, call["service"], call["operation"], params, result,
                 [pagination(call["service"])[call["operation"]]["result_key"]])


# ---------------------------------------------------------------- S3

@serves("s3", "ListBuckets")
def list_buckets(front, call, params):
    """moto has neither pages nor regions. AWS pages only where it is asked to by some parameter, and tells a bucket's
    region only then: API_ListBuckets, "MaxBuckets", "BucketRegion"."""
    result = whole_list(front, call, {})
    wanted, prefix = params.get("BucketRegion"), params.get("Prefix") or ""
    if wanted and wanted != call["region"]:
        raise Refused("InvalidArgument", "The bucket-region parameter is not the endpoint's region")
    found = [dict(bucket, BucketRegion=front.fixtures.bucket_regions.get(bucket["Name"], HOME))
             for bucket in sorted(result["Buckets"], key=lambda bucket: bucket["Name"])]
    result["Buckets"] = [bucket for bucket in found if bucket["Name"].startswith(prefix)
                         and wanted in (None, bucket["BucketRegion"])]
    if prefix:
        result["Prefix"] = prefix
    if any(params.get(name) for name in ("MaxBuckets", "ContinuationToken", "Prefix", "BucketRegion")):
        return paged(front, "s3", call["operation"], params, result, ["Buckets"])
    for bucket in result["Buckets"]:
        del bucket["BucketRegion"]
    return result


def at_home(front, call, params):
    """A bucket answers in its own region only; elsewhere S3 says where it is."""
    home = front.fixtures.bucket_regions.get(params.get("Bucket"))
    if call["service"] == "s3" and home and call["operation"] not in ANYWHERE and call["region"] != home:
        raise Refused("PermanentRedirect", "The bucket you are attempting to access must be addressed using the "
                      "specified endpoint.", 301, headers={"x-amz-bucket-region": home})


def learn_bucket(front, call, params):
    """Where a bucket was made; moto does not tell in its list."""
    if call["service"] != "s3":
        return
    if call["operation"] == "CreateBucket":
        place = (params.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
        front.fixtures.bucket_regions[params["Bucket"]] = place or HOME
    elif call["operation"] == "DeleteBucket":
        front.fixtures.bucket_regions.pop(params["Bucket"], None)


# ---------------------------------------------------------------- SQS, DynamoDB

def queue_url(call, name):
    return f"https://sqs.{call['region']}.amazonaws.com/{call['account']}/{name}"


@serves("sqs", "ListQueues")
def list_queues(front, call, params):
    """Without MaxResults there is no token, and what does not fit is lost: API_ListQueues, "MaxResults"."""
    result = whole_list(front, call, params)
    if params.get("MaxResults"):
        return paged(front, "sqs", call["operation"], params, result, ["QueueUrls"])
    return {"QueueUrls": result["QueueUrls"][:1000]}


@serves("dynamodb", "ListTables")
def list_tables(front, call, params):
    """The token is a table's name, as everywhere in DynamoDB, and need not be of a table that is still there."""
    names = sorted(whole_list(front, call, params)["TableNames"])
    settings, after = front.fixtures.data["settings"], params.get("ExclusiveStartTableName")
    if settings.get("empty_pages") and names and after is None:
        return {"TableNames": [], "LastEvaluatedTableName": "---"}
    left = [name for name in names if after is None or name > after]
    forced = settings.get("page_size", {})
    page = left[:min(params.get("Limit") or 100, forced.get("dynamodb", forced.get("*", 100)))]
    return {"TableNames": page, **({"LastEvaluatedTableName": page[-1]} if len(page) < len(left) else {})}


# ---------------------------------------------------------------- moto's answers, corrected

def corrected(call, data):
    """Queue URLs name AWS, not moto's host; GetKeyPolicy names the policy."""
    if call["service"] == "sqs":
        if "QueueUrl" in data:
            data["QueueUrl"] = queue_url(call, data["QueueUrl"].rsplit("/", 1)[-1])
        if "QueueUrls" in data:
            data["QueueUrls"] = [queue_url(call, url.rsplit("/", 1)[-1]) for url in data["QueueUrls"]]
    elif (call["service"], call["operation"]) == ("kms", "GetKeyPolicy"):
        data.setdefault("PolicyName", "default")
    return data
