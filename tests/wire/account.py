"""The account that wire.py builds, as data: buckets, queues, users, roles and their policies,
the condition matrix, and KNOWN, where ministack is wrong and which page of AWS says so.
"""

import json

A, B, GATE = "123456789012", "210987654321", "999999999999"
REGION = "us-east-1"
USER_AGENT = "jitscan-wire/1"
ROOT_A = {"AccessKeyId": "root-test", "SecretAccessKey": "root-secret"}
# ministack takes a twelve-digit access key as the root user of that account.
ROOT_B = {"AccessKeyId": B, "SecretAccessKey": "root-secret"}
ROOT_GATE = {"AccessKeyId": GATE, "SecretAccessKey": "root-secret"}
YES, NO = True, False
DOC = "https://docs.aws.amazon.com/"
IAM = DOC + "IAM/latest/UserGuide/"

KNOWN = {
    "variables": ("policy variables are not replaced: ${...} is matched as text",
                  IAM + "reference_policies_variables.html"),
    "principal-arn": ("aws:PrincipalArn of a role session is the session's ARN; AWS gives the role's ARN with its path",
                      IAM + "reference_policies_condition-keys.html#condition-keys-principalarn"),
    "trust-direct": ("a trust policy that names the caller itself (or *) in the same account still needs an identity "
                     "policy that allows sts:AssumeRole", DOC + "STS/latest/APIReference/API_AssumeRole.html"),
    "root-assume": ("a root user may assume a role", IAM + "id_credentials_sts-comparison.html"),
    "iam-path": ("the path is missing from the resource ARN of IAM calls",
                 IAM + "reference_identifiers.html#identifiers-arns"),
    "not-principal": ("statements with NotPrincipal never match",
                      IAM + "reference_policies_elements_notprincipal.html"),
    "root-resource-deny": ("a Deny in a resource policy does not bind the account's root user",
                           DOC + "AmazonS3/latest/API/API_PutBucketPolicy.html"),
    "for-any-if-exists": ("ForAnyValue with IfExists is taken to hold where the key is absent; tried on AWS it does not",
                          "https://repost.aws/questions/QU9HFmDzP0QGuU-fd7rS6B7w"),
    "no-key": ("the condition key is never supplied although such a request carries it",
               IAM + "reference_policies_condition-keys.html"),
    "s3-key": ("the S3 condition key is never supplied although such a request carries it",
               DOC + "AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html"),
    "dynamodb-key": ("dynamodb:LeadingKeys is never supplied",
                     DOC + "amazondynamodb/latest/developerguide/specifying-conditions.html"),
    "iam-key": ("iam:PolicyARN is never supplied", IAM + "reference_policies_iam-condition-keys.html"),
    "sqs-batch": ("the batch calls are authorised under their own names; AWS authorises SendMessageBatch as "
                  "sqs:SendMessage",
                  DOC + "AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html"),
    "federated-direct": ("a resource policy naming the federated-user session, or the user behind it, grants nothing",
                         IAM + "access_policies.html#policies_session"),
}


# ---------------------------------------------------------------- policy shorthand

def P(*statements, version="2012-10-17"):
    return {"Version": version, "Statement": list(statements)}


def statement(effect, action, resource, condition, principal, extra):
    made = {"Effect": effect}
    if principal is not None:
        made["Principal"] = principal
    if action is not None:
        made["Action"] = action
    if resource is not None:
        made["Resource"] = resource
    made.update(extra)
    if condition is not None:
        made["Condition"] = condition
    return made


def allow(action=None, resource="*", condition=None, principal=None, **extra):
    return statement("Allow", action, None if "NotResource" in extra else resource, condition, principal, extra)


def deny(action=None, resource="*", condition=None, principal=None, **extra):
    return statement("Deny", action, None if "NotResource" in extra else resource, condition, principal, extra)


def trust(*statements):
    return P(*statements)


def trusts(principal, condition=None, action="sts:AssumeRole", effect="Allow"):
    return statement(effect, action, None, condition, principal, {})


def s3(bucket, key=None):
    return f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")


def sqs(name, account=A):
    return f"arn:aws:sqs:{REGION}:{account}:{name}"


def table(name, index=None):
    return f"arn:aws:dynamodb:{REGION}:{A}:table/{name}" + (f"/index/{index}" if index else "")


def iam(kind, name, path="/", account=A):
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


ROOT = {"AWS": f"arn:aws:iam::{A}:root"}
LONG_AGO, FAR = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
EPOCH_2020 = "1577836800"


# ---------------------------------------------------------------- the condition matrix
# One object a condition; the same policies on user oscar (path /ops/, team=blue, cost-center=42)
# and on role matrix (path /svc/, team=red; session mx-1). Columns: condition, oscar, session,
# then the entry of KNOWN where the emulator is wrong, for oscar and for the session.

MATRIX = [
    ({"StringEquals": {"aws:username": "oscar"}}, YES, NO),
    ({"StringEqualsIgnoreCase": {"aws:username": "OSCAR"}}, YES, NO),
    ({"StringNotEquals": {"aws:username": "oscar"}}, NO, YES),
    ({"StringNotEqualsIgnoreCase": {"aws:PrincipalTag/team": "BLUE"}}, NO, YES),
    ({"StringLike": {"aws:username": ["x*", "os*"]}}, YES, NO),
    ({"StringLike": {"aws:username": "osca?"}}, YES, NO),
    ({"StringLike": {"aws:username": "osc?"}}, NO, NO),
    ({"StringEquals": {"aws:username": "os*"}}, NO, NO),
    ({"StringNotLike": {"aws:username": "x*"}}, YES, YES),
    ({"StringNotLike": {"aws:username": ["x*", "os*"]}}, NO, YES),
    ({"StringEqualsIfExists": {"aws:username": "nobody"}}, NO, YES),
    ({"StringNotEqualsIfExists": {"aws:username": "oscar"}}, NO, YES),
    ({"StringLikeIfExists": {"aws:username": "o*"}}, YES, YES),
    ({"Null": {"aws:username": "true"}}, NO, YES),
    ({"Null": {"aws:TokenIssueTime": "true"}}, YES, NO),
    ({"Null": {"aws:TokenIssueTime": "false"}}, NO, YES),
    ({"DateGreaterThan": {"aws:TokenIssueTime": LONG_AGO}}, NO, YES),
    ({"DateLessThanIfExists": {"aws:TokenIssueTime": LONG_AGO}}, YES, NO),
    ({"DateLessThan": {"aws:CurrentTime": FAR}}, YES, YES),
    ({"DateLessThan": {"aws:CurrentTime": LONG_AGO}}, NO, NO),
    ({"DateGreaterThanEquals": {"aws:CurrentTime": EPOCH_2020}}, YES, YES),
    ({"DateLessThanEquals": {"aws:EpochTime": FAR}}, YES, YES),
    ({"DateNotEquals": {"aws:CurrentTime": LONG_AGO}}, YES, YES),
    ({"NumericGreaterThan": {"aws:EpochTime": EPOCH_2020}}, YES, YES),
    ({"NumericLessThan": {"aws:PrincipalTag/cost-center": "50"}}, YES, NO),
    ({"NumericGreaterThanEquals": {"aws:PrincipalTag/cost-center": "43"}}, NO, NO),
    ({"NumericEquals": {"aws:PrincipalTag/cost-center": ["1", "42.0"]}}, YES, NO),
    ({"NumericNotEquals": {"aws:PrincipalTag/cost-center": "41"}}, YES, YES),
    ({"NumericLessThanEqualsIfExists": {"aws:PrincipalTag/cost-center": "41"}}, NO, YES),
    ({"Bool": {"aws:SecureTransport": "false"}}, YES, YES),
    ({"Bool": {"aws:SecureTransport": "true"}}, NO, NO),
    ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, NO, YES),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, YES, NO),
    ({"Null": {"aws:MultiFactorAuthAge": "true"}}, YES, YES),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1/32"]}}, YES, YES),
    ({"IpAddress": {"aws:SourceIp": "127.0.0.1"}}, YES, YES),
    ({"IpAddress": {"aws:SourceIp": "127.0.0.2/31"}}, NO, NO),
    ({"IpAddress": {"aws:SourceIp": "::1/128"}}, NO, NO),
    ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, NO, NO),
    ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}, YES, YES),
    ({"StringEquals": {"aws:PrincipalAccount": A}}, YES, YES),
    ({"StringNotEquals": {"aws:PrincipalAccount": [A, B]}}, NO, NO),
    ({"StringEquals": {"aws:PrincipalType": "User"}}, YES, NO),
    ({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, NO, YES),
    ({"ArnEquals": {"aws:PrincipalArn": iam("user", "oscar", "/ops/")}}, YES, NO),
    ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:user/ops/osc?r"}}, YES, NO),
    ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{A}:role/svc/*"}}, NO, YES, None, "principal-arn"),
    ({"StringEquals": {"aws:PrincipalArn": iam("role", "matrix", "/svc/")}}, NO, YES, None, "principal-arn"),
    ({"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:sts::{A}:assumed-role/*"}}, YES, YES, None, "principal-arn"),
    ({"ArnNotEquals": {"aws:PrincipalArn": iam("user", "oscar", "/ops/")}}, NO, YES),
    ({"ArnLikeIfExists": {"aws:SourceArn": "arn:aws:sns:*:*:x"}}, YES, YES),
    ({"StringEquals": {"aws:PrincipalTag/team": "blue"}}, YES, NO),
    ({"StringEquals": {"aws:PrincipalTag/team": ["red", "blue"]}}, YES, YES),
    ({"StringEquals": {"AWS:principaltag/TEAM": "blue"}}, YES, NO),
    ({"StringLike": {"aws:PrincipalTag/none": "*"}}, NO, NO),
    ({"StringEquals": {"aws:RequestedRegion": ["eu-west-1", REGION]}}, YES, YES),
    ({"StringNotEquals": {"aws:RequestedRegion": REGION}}, NO, NO),
    ({"StringEquals": {"aws:ResourceAccount": A}}, YES, YES),
    ({"StringEquals": {"s3:ResourceAccount": B}}, NO, NO),
    ({"StringLike": {"aws:userid": "AIDA*"}}, YES, NO),
    ({"StringLike": {"aws:userid": "AROA*:mx-1"}}, NO, YES),
    ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, NO, NO),
    ({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, YES, YES),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, YES, YES),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, NO, NO),
    ({"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a"]}}, NO, NO, "for-any-if-exists", "for-any-if-exists"),
    ({"ForAllValues:StringLike": {"aws:PrincipalTag/team": ["b*", "g*"]}}, YES, NO),
    ({"ForAnyValue:StringNotEquals": {"aws:PrincipalTag/team": ["blue", "green"]}}, NO, YES),
    ({"StringEquals": {"aws:username": "oscar", "aws:PrincipalTag/team": "red"}}, NO, NO),
    ({"StringEquals": {"aws:PrincipalTag/team": "blue"}, "IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, YES, NO),
    ({"StringEquals": {"aws:PrincipalTag/team": "blue"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, NO, NO),
    ({"StringLike": {"aws:UserAgent": "jitscan-wire/*"}}, YES, YES, "no-key", "no-key"),
    ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, YES, YES, "no-key", "no-key"),
    ({"Bool": {"aws:ViaAWSService": "false"}}, YES, YES, "no-key", "no-key"),
    ({"StringEquals": {"s3:authType": "REST-HEADER"}}, YES, YES, "s3-key", "s3-key"),
    ({"StringNotEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, NO, NO, "s3-key", "s3-key"),
    ({"StringEquals": {"aws:PrincipalArn": "${aws:PrincipalArn}"}}, YES, YES, "variables", "variables"),
    ({"StringLike": {"aws:userid": "*:${aws:username}"}}, NO, NO),
]


def matrix_key(number):
    return f"cond/{number:02}.txt"


def matrix_policies():
    """The matrix as managed policies that stay below AWS's 6,144 characters."""
    statements = [allow("s3:GetObject", s3("jw-data", matrix_key(i)), row[0]) for i, row in enumerate(MATRIX)]
    docs, start = [], 0
    for end in range(1, len(statements) + 1):
        if end == len(statements) or len(json.dumps(P(*statements[start:end + 1]))) > 6000:
            docs.append(P(*statements[start:end]))
            start = end
    return {f"matrix-{i + 1}": doc for i, doc in enumerate(docs)}


# ---------------------------------------------------------------- buckets, queues, ...

BUCKETS = {
    "jw-data": None,
    "jw-policy": P(
        allow("s3:PutObject", s3("jw-policy", "dave/*"), principal={"AWS": iam("user", "dave", "/eng/")}),
        allow("s3:PutObject", s3("jw-policy", "sess/*"),
              principal={"AWS": f"arn:aws:sts::{A}:assumed-role/bounded/b-1"}),
        allow(["s3:PutObject", "s3:GetObject"], s3("jw-policy", "role/*"),
              principal={"AWS": iam("role", "bounded", "/app/")}),
        allow("s3:DeleteObject", s3("jw-policy", "acct/*"), principal=ROOT),
        allow("s3:GetObject", s3("jw-policy", "open/*"), {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
              principal="*"),
        allow("s3:PutObject", s3("jw-policy", "open/*"), {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
              principal={"AWS": "*"}),
        allow("s3:PutObject", s3("jw-policy", "arn/*"),
              {"ArnEquals": {"aws:PrincipalArn": iam("role", "bounded", "/app/")}}, principal="*"),
        allow("s3:PutObject", s3("jw-policy", "fed/*"),
              principal={"AWS": f"arn:aws:sts::{A}:federated-user/fed1"}),
        allow("s3:GetObject", s3("jw-policy", "fred/*"), principal={"AWS": iam("user", "fred")}),
        deny("s3:GetObject", s3("jw-policy", "open/*"), principal={"AWS": iam("user", "carol", "/eng/")}),
        deny("s3:GetObject", s3("jw-policy", "locked/*"), principal=ROOT),
        deny("s3:GetObject", s3("jw-policy", "role/locked.txt"),
             principal={"AWS": iam("role", "reader", "/app/")}),
    ),
    "jw-secure": P(deny("s3:*", [s3("jw-secure"), s3("jw-secure", "*")],
                        {"Bool": {"aws:SecureTransport": "false"}}, principal="*")),
    "jw-notp": P(deny("s3:GetObject", s3("jw-notp", "*"),
                      NotPrincipal={"AWS": [f"arn:aws:iam::{A}:root", iam("user", "alice", "/eng/"),
                                            iam("user", "beth")]})),
}
OBJECTS = [("jw-data", k) for k in ("public/a.txt", "secret/s.txt", "home/ivan/x.txt", "home/judy/x.txt",
                                    "home/ruth/x.txt", "home/ruth/private.txt", "blue/b.txt", "red/r.txt",
                                    "odd/*star.txt", "odd/xstar.txt", "home/${aws:username}/x.txt")]
OBJECTS += [("jw-policy", k) for k in ("open/o.txt", "locked/l.txt", "role/r.txt", "role/locked.txt",
                                       "acct/a.txt", "fred/f.txt")]
OBJECTS += [("jw-secure", "s.txt"), ("jw-notp", "n.txt")]
TAGGED_OBJECTS = {("jw-data", "tagged/red.txt"): {"color": "red"}, ("jw-data", "tagged/blue.txt"): {"color": "blue"}}

QUEUES = {
    "jobs": (None, {"team": "blue"}),
    "audit": (None, {"team": "red"}),
    "shared": (P(
        allow("sqs:ReceiveMessage", sqs("shared"), principal={"AWS": iam("user", "dave", "/eng/")}),
        allow("sqs:SendMessage", sqs("shared"), principal={"AWS": [iam("user", "uma"), iam("user", "bob", "/eng/")]}),
        deny("sqs:SendMessage", sqs("shared"), principal={"AWS": iam("user", "bob", "/eng/")}),
        allow("sqs:PurgeQueue", sqs("shared"), principal={"AWS": A}),
        allow("sqs:GetQueueAttributes", sqs("shared"), {"StringEquals": {"aws:PrincipalTag/team": "green"}},
              principal={"AWS": "*"}),
    ), {}),
    "xacct": (P(
        allow("sqs:SendMessage", sqs("xacct"), principal={"AWS": f"arn:aws:iam::{B}:root"}),
        allow("sqs:ReceiveMessage", sqs("xacct"), principal={"AWS": iam("user", "bea", account=B)}),
    ), {}),
}
TABLES = {"orders": {"team": "blue"}, "ledger": {}}

MANAGED = {
    "dev-tables": P(allow(["dynamodb:Get*", "dynamodb:Query", "dynamodb:DescribeTable"],
                          [table("orders"), table("orders", "*")])),
    "edge": P(allow(["s3:Get*", "s3:List*", "sqs:SendMessage", "sqs:GetQueue*", "sts:AssumeRole"]),
              deny("sqs:SendMessage", sqs("audit"))),
    "only-get": P(allow("s3:GetObject")),
    "all-s3": P(allow("s3:*")),
    "public-only": P(allow("s3:GetObject", s3("jw-data", "public/*"))),
    **matrix_policies(),
}
AWS_MANAGED = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"

GROUPS = {
    "devs": {"path": "/eng/", "inline": {"queues": P(allow(["sqs:Send*", "sqs:GetQueue*"], sqs("jobs")))},
             "managed": ["dev-tables"]},
    "homes": {"path": "/", "inline": {"home": P(
        allow(["s3:GetObject", "s3:PutObject"], s3("jw-data", "home/${aws:username}/*")),
        allow("s3:ListBucket", s3("jw-data"), {"StringLike": {"s3:prefix": "home/${aws:username}/*"}}))},
        "managed": []},
}


def user(path="/", inline=None, managed=(), groups=(), boundary=None, tags=None, account=A):
    return {"path": path, "inline": {"inline": inline} if inline else {}, "managed": list(managed),
            "groups": list(groups), "boundary": boundary, "tags": tags or {}, "account": account}


USERS = {
    "alice": user("/eng/", P(
        allow("s3:GetObject", [s3("jw-data", "public/*"), s3("jw-notp", "*")]),
        allow("s3:ListBucket", s3("jw-data"), {"StringLike": {"s3:prefix": ["none/*", "public/*"]}}),
        allow("s3:ListAllMyBuckets"), allow("s3:GetBucketLocation", s3("jw-data")))),
    "bob": user("/eng/", P(deny("dynamodb:*", table("ledger")), deny("sqs:GetQueueUrl", sqs("jobs"))),
                groups=["devs"]),
    "carol": user("/eng/", P(allow(NotAction=["iam:*", "sts:*"]),
                             deny("dynamodb:*", NotResource=[table("orders"), table("orders", "*")]))),
    "carl": user("/eng/", P(allow("s3:*"))),
    "beth": user("/", P(allow("s3:*")), boundary="all-s3"),
    "dave": user("/eng/", P(allow("*")), boundary="edge"),
    "erin": user("/ops/", P(
        allow("sqs:SendMessage", sqs("jobs"), {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
        allow("sqs:SendMessage", sqs("audit"), {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow("sqs:GetQueueAttributes", [sqs("jobs"), sqs("audit")]),
        deny("sqs:GetQueueAttributes", sqs("audit"), {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))),
    "frank": user("/ops/", P(
        allow("sqs:SendMessage", sqs("jobs"), {"DateLessThan": {"aws:CurrentTime": FAR}}),
        allow("sqs:SendMessage", sqs("audit"), {"DateLessThan": {"aws:CurrentTime": LONG_AGO}}),
        allow("sqs:GetQueueAttributes", "*"),
        deny("sqs:GetQueueAttributes", sqs("jobs"), {"DateGreaterThan": {"aws:CurrentTime": FAR}}),
        deny("sqs:GetQueueAttributes", sqs("audit"), {"DateGreaterThan": {"aws:EpochTime": EPOCH_2020}}))),
    "grace": user("/ops/", P(
        allow("sqs:SendMessage", sqs("jobs"), {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        allow("sqs:ReceiveMessage", sqs("jobs"), {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}),
        allow(["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], sqs("jobs")),
        deny("sqs:GetQueueAttributes", "*", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}),
        deny("sqs:GetQueueUrl", "*", {"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
        allow("sqs:ListQueueTags", sqs("jobs"), {"Null": {"aws:MultiFactorAuthPresent": "true"}}))),
    "heidi": user("/", P(
        allow("iam:TagUser", "*", {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "locked"]},
                                   "StringEquals": {"aws:RequestTag/team": ["blue", "green"]}}),
        allow("iam:UntagUser"), deny("iam:UntagUser", "*", {"ForAnyValue:StringEquals": {"aws:TagKeys": ["locked"]}}),
        allow("sqs:TagQueue", sqs("jobs"), {"ForAnyValue:StringLike": {"aws:TagKeys": ["cost*"]}}),
        allow("sqs:UntagQueue", sqs("jobs"), {"ForAllValues:StringNotEquals": {"aws:TagKeys": ["team"]},
                                              "Null": {"aws:TagKeys": "false"}}))),
    "ivan": user("/", groups=["homes"], tags={"team": "blue"}, inline=P(
        allow("s3:GetObject", s3("jw-data", "${aws:PrincipalTag/team}/*")),
        allow("s3:GetObject", s3("jw-data", "${aws:PrincipalTag/none, 'public'}/*")),
        allow("s3:GetObject", s3("jw-data", "odd/${*}star.txt")),
        allow("sqs:SendMessage", "*", {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}))),
    "judy": user("/", groups=["homes"], inline=P(
        allow("s3:GetObject", s3("jw-data", "home/${aws:username}/*"), ), version="2008-10-17")),
    "ruth": user("/", P(allow("s3:*", [s3("jw-data"), s3("jw-data", "*")]),
                        deny("s3:*", NotResource=[s3("jw-data"), s3("jw-data", "home/${aws:username}/*")]),
                        deny("s3:GetObject", s3("jw-data", "home/${aws:username}/private.txt")))),
    "kate": user("/", P(allow("kms:DescribeKey"), allow("kms:ListAliases"))),
    "kim": user("/"),
    "laura": user("/", P(
        allow("s3:ListBucket", s3("jw-data"), {"NumericLessThanEquals": {"s3:max-keys": "10"}}),
        allow("s3:ListBucket", s3("jw-policy"), {"StringEquals": {"s3:delimiter": "/", "s3:prefix": "open/"}}),
        allow(["s3:PutObject", "s3:PutObjectAcl"], s3("jw-data", "acl/*"),
              {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
        allow("s3:PutObject", s3("jw-data", "sse/*")),
        deny("s3:PutObject", s3("jw-data", "sse/*"),
             {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}),
        allow("s3:PutObject", s3("jw-data", "null/*")),
        deny("s3:PutObject", s3("jw-data", "null/*"), {"Null": {"s3:x-amz-server-side-encryption": "true"}}),
        allow("s3:GetObject", s3("jw-data", "tagged/*"), {"StringEquals": {"s3:ExistingObjectTag/color": "red"}}))),
    "mallory": user("/", P(allow(["IAM:lIsT*", "iam:Get??ount*", "iam:GetUser"]),
                           allow(["sts:AssumeRole", "sts:TagSession"]),
                           deny("iam:ListGroups"))),
    "nina": user("/", P(allow(["sts:AssumeRole", "sts:TagSession"], [
        iam("role", "*", "/app/"), iam("role", "*", "/svc/"), iam("role", "*", "/ext/")]))),
    "quinn": user("/"),
    "rita": user("/", P(allow("sts:AssumeRole", iam("role", "denied", "/ext/"))), tags={"team": "blue"}),
    "oscar": user("/ops/", managed=[f"matrix-{i + 1}" for i in range(len(matrix_policies()))],
                  tags={"team": "blue", "cost-center": "42"}),
    "peggy": user("/", managed=[AWS_MANAGED]),
    "sam": user("/", P(allow("secretsmanager:GetSecretValue",
                             f"arn:aws:secretsmanager:{REGION}:{A}:secret:db/dev-??????"),
                       allow("secretsmanager:DescribeSecret"),
                       allow("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{A}:parameter/app/*"),
                       deny("ssm:GetParameter", f"arn:aws:ssm:*:*:parameter/app/two"),
                       allow("ec2:Describe*", "*", {"StringEquals": {"aws:RequestedRegion": REGION}}))),
    "tina": user("/"),
    "uma": user("/", tags={"team": "green"}),
    "vic": user("/", P(
        allow("sqs:*", "*", {"StringEquals": {"aws:ResourceTag/team": "blue"}}),
        allow("dynamodb:DescribeTable", "*", {"StringEquals": {"aws:ResourceTag/team": "blue"}}),
        allow(["dynamodb:GetItem", "dynamodb:Query"], table("orders"),
              {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "amount"]},
               "StringEqualsIfExists": {"dynamodb:Select": ["SPECIFIC_ATTRIBUTES", "COUNT"]}}),
        allow("dynamodb:PutItem", table("orders"),
              {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["vic"]},
               "Null": {"dynamodb:LeadingKeys": "false"}}))),
    "wendy": user("/", P(allow("iam:GetRole", iam("role", "*", "/app/")),
                         allow("iam:ListRolePolicies", iam("role", "reader")),
                         allow("iam:GetUser", iam("user", "t?rget")),
                         allow("iam:AttachUserPolicy", "*", {"ArnLike": {"iam:PolicyARN": AWS_MANAGED}}),
                         allow("sqs:SendMessage", sqs("jobs")))),
    "fred": user("/", P(allow(["s3:GetObject", "s3:PutObject"], s3("jw-data", "*")),
                        allow("sqs:*", sqs("jobs")), allow("sts:GetFederationToken"))),
    "target": user("/"),
    "temp": user("/"),
    "bea": user("/", P(allow("sqs:SendMessage", sqs("xacct")), allow("sqs:SendMessage", sqs("jobs")),
                       allow("sts:AssumeRole", f"arn:aws:iam::{A}:role/ext/*")), account=B),
    "ben": user("/", P(allow("sqs:*")), account=B),
}


def role(path, trust_doc, inline=None, managed=(), boundary=None, tags=None, account=A):
    return {"path": path, "trust": trust_doc, "inline": {"inline": inline} if inline else {},
            "managed": list(managed), "boundary": boundary, "tags": tags or {}, "account": account}


NINA = {"AWS": iam("user", "nina")}
ROLES = {
    "reader": role("/app/", trust(trusts(ROOT)), P(
        allow(["s3:GetObject", "s3:ListBucket"], [s3("jw-data"), s3("jw-data", "*"), s3("jw-policy", "role/*")]),
        allow("sts:AssumeRole", iam("role", "chained", "/svc/")))),
    "named": role("/app/", trust(trusts(NINA))),
    "direct": role("/app/", trust(trusts({"AWS": iam("user", "quinn")}))),
    "anyone": role("/app/", trust(trusts({"AWS": "*"}))),
    "ext": role("/ext/", trust(trusts(ROOT, {"StringEquals": {"sts:ExternalId": "x-42"}}))),
    "dated": role("/ext/", trust(trusts(NINA, {"DateLessThan": {"aws:CurrentTime": FAR}}))),
    "expired": role("/ext/", trust(trusts(NINA, {"DateLessThan": {"aws:CurrentTime": LONG_AGO}}))),
    "denied": role("/ext/", trust(trusts(ROOT), trusts(NINA, effect="Deny"))),
    "mfa": role("/ext/", trust(trusts(ROOT, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}))),
    "nearby": role("/ext/", trust(trusts(ROOT, {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}))),
    "far": role("/ext/", trust(trusts(ROOT, {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))),
    "service": role("/svc/", trust(trusts({"Service": "ec2.amazonaws.com"}))),
    "wrongaction": role("/svc/", trust(trusts(ROOT, action="sts:AssumeRoleWithSAML"))),
    "blueonly": role("/svc/", trust(trusts(ROOT, {"StringEquals": {"aws:PrincipalTag/team": "blue"}}))),
    "pinned": role("/svc/", trust(trusts(ROOT, {"StringLike": {"sts:RoleSessionName": "nina-*"}}))),
    "pinnedvar": role("/svc/", trust(trusts(ROOT, {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}))),
    "tagged": role("/svc/", trust(trusts(ROOT, {"StringEquals": {"aws:RequestTag/project": "p1"}},
                                         ["sts:AssumeRole", "sts:TagSession"])),
                   P(allow("s3:GetObject", s3("jw-data", "public/*"),
                           {"StringEquals": {"aws:PrincipalTag/project": "p1"}}),
                     allow("s3:GetObject", s3("jw-data", "secret/*"),
                           {"StringEquals": {"aws:PrincipalTag/project": "p2"}}),
                     allow("s3:GetObject", s3("jw-data", "blue/*"),
                           {"StringEquals": {"aws:PrincipalTag/team": "blue"}})), tags={"team": "red"}),
    "notag": role("/svc/", trust(trusts(ROOT))),
    "chained": role("/svc/", trust(trusts({"AWS": iam("role", "reader", "/app/")})),
                    P(allow("sqs:*", sqs("jobs")))),
    "chained2": role("/svc/", trust(trusts({"AWS": iam("role", "reader", "/app/")}))),
    "bounded": role("/app/", trust(trusts(ROOT)), P(allow("s3:*", s3("jw-data", "*")), allow("sqs:*")),
                    boundary="only-get"),
    "wide": role("/app/", trust(trusts(ROOT)), P(allow(["s3:*", "sqs:*", "dynamodb:*"])),
                 tags={"team": "red"}),
    "revoked": role("/app/", trust(trusts(ROOT)), P(
        allow("s3:*"), deny("*", "*", {"DateLessThan": {"aws:TokenIssueTime": FAR}}))),
    "matrix": role("/svc/", trust(trusts(ROOT)),
                   managed=[f"matrix-{i + 1}" for i in range(len(matrix_policies()))], tags={"team": "red"}),
    "partner": role("/ext/", trust(trusts({"AWS": B}, {"StringEquals": {"sts:ExternalId": "deal"}})),
                    P(allow("s3:GetObject", s3("jw-data", "public/*")))),
    "partneruser": role("/ext/", trust(trusts({"AWS": iam("user", "ben", account=B)}))),
}

SECRETS = {
    "db/dev": lambda arn: None,
    "db/prod": lambda arn: P(allow("secretsmanager:GetSecretValue", "*", principal={"AWS": iam("user", "tina")}),
                             deny("secretsmanager:DescribeSecret", "*", principal={"AWS": iam("user", "sam")})),
}
ADMIN_KEY = allow(["kms:Put*", "kms:Get*"], "*", principal=ROOT)
KEYS = {
    "account": P(allow("kms:*", "*", principal=ROOT)),
    "named": P(ADMIN_KEY, allow("kms:DescribeKey", "*", principal={"AWS": iam("user", "kim")})),
    "denied": P(allow("kms:*", "*", principal=ROOT),
                deny("kms:DescribeKey", "*", principal={"AWS": iam("user", "kate")})),
    "conditional": P(allow("kms:*", "*", {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, principal=ROOT)),
}
TOPIC = f"arn:aws:sns:{REGION}:{A}:news"
TOPIC_POLICY = P(allow("sns:Publish", TOPIC, principal={"AWS": iam("user", "uma")}),
                 allow("sns:GetTopicAttributes", TOPIC, principal=ROOT))
