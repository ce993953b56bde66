"""The resources of a world that carry policies of their own, and CloudTrail's public keys: built, and written down as
they were built. collect_resource_policies.py reads and compares them.

`World.resources[account]` is {service: {ARN: {"Region", "Policy"}}}: the policy as it was put there, None where none
was, DEFAULT where the service gives one by itself. `World.public_keys[region]` are the keys as ListPublicKeys has them.
"""

import base64
import datetime
import hashlib
import io
import json
import zipfile

REGIONS = ("eu-west-1", "us-east-1")
SERVICES = ("dynamodb", "ecr", "kms", "lambda", "s3", "secretsmanager", "sns", "sqs")
DEFAULT = "(the service's own)"
STRANGER = "999999999999"
LAST = "Größe “quoted” <&> 漢字"


# ---------------------------------------------------------------- building

def policies(account, action, resource, word=LAST):
    """One policy after the other: for another account, for all the world, for a service."""
    statements = [
        [{"Sid": "Other", "Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam::{STRANGER}:root",
                                                                   f"arn:aws:iam::{account}:role/role-0000"]},
          "Action": action, "Resource": resource, "Condition": {"StringLike": {"aws:PrincipalTag/team": [word, "x"]}}}],
        [{"Sid": "Public", "Effect": "Allow", "Principal": "*", "Action": [action], "Resource": resource}],
        [{"Sid": "Service", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": action,
          "Resource": resource,
          "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:*:{account}:rule/a+b%20*"}}},
         {"Sid": "Far", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": action, "Resource": resource,
          "Condition": {"StringNotEquals": {"aws:PrincipalAccount": [account, STRANGER]}}}]]
    number = 0
    while True:
        yield {"Version": "2012-10-17", "Id": f"p{number}", "Statement": statements[number % len(statements)]}
        number += 1


def put_text(document, number):
    """The document as text, in different layouts: what is collected must be this text, not one of the same sense."""
    return json.dumps(document, ensure_ascii=number % 3 == 2, indent=1 if number % 2 else None)


def build(world):
    """In the first three accounts, in two regions; five of everything and more in the first, so that pages of two or
    three do not hold them."""
    world.resources = {}
    for index, account in enumerate(([world.management] + world.members)[:3]):
        made = world.resources[account] = {service: {} for service in SERVICES}
        for region in REGIONS:
            count = 5 if index == 0 and region == "us-east-1" else 2
            if index == 2 and region == "eu-west-1":
                continue  # listed, and nothing there
            for service in SERVICES:
                BUILD[service](world, account, region, count, made[service])
        if bucket := world.buckets.get(account):
            made["s3"][f"arn:aws:s3:::{bucket}"] = {"Region": "us-east-1", "Policy": None}


def buckets(world, account, region, count, made):
    client, texts = world.client("s3", account, region), policies(account, "s3:GetObject", "arn:aws:s3:::x/*")
    for number in range(count):
        name = f"data-{region}-{number}-{account}"
        more = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=name, **more)
        document = next(texts) if number != 1 else None
        if document:
            client.put_bucket_policy(Bucket=name, Policy=put_text(document, number))
        made[f"arn:aws:s3:::{name}"] = {"Region": region, "Policy": document}


def keys(world, account, region, count, made):
    # Latin-1 is all that the model allows in a key policy.
    client, texts = world.client("kms", account, region), policies(account, "kms:Decrypt", "*", "Größe <&> é")
    for number in range(count):
        document = next(texts) if number != 1 else None
        more = {"Policy": put_text(document, number)} if document else {}
        arn = client.create_key(Description=f"key {number}", **more)["KeyMetadata"]["Arn"]
        made[arn] = {"Region": region, "Policy": document or DEFAULT}


def secrets(world, account, region, count, made):
    client, texts = world.client("secretsmanager", account, region), policies(account, "secretsmanager:Get*", "*")
    for number in range(count):
        arn = client.create_secret(Name=f"app/secret-{number}", SecretString="x")["ARN"]
        document = next(texts) if number != 1 else None
        if document:
            client.put_resource_policy(SecretId=arn, ResourcePolicy=put_text(document, number))
        made[arn] = {"Region": region, "Policy": document}


def queues(world, account, region, count, made):
    client, texts = world.client("sqs", account, region), policies(account, "sqs:SendMessage", "*")
    for number in range(count):
        document = next(texts) if number != 1 else None
        more = {"Attributes": {"Policy": put_text(document, number)}} if document else {}
        client.create_queue(QueueName=f"queue-{number}", **more)
        made[f"arn:aws:sqs:{region}:{account}:queue-{number}"] = {"Region": region, "Policy": document}


def topics(world, account, region, count, made):
    client, texts = world.client("sns", account, region), policies(account, "sns:Publish", "*")
    for number in range(count):
        arn = client.create_topic(Name=f"topic-{number}")["TopicArn"]
        document = next(texts) if number != 1 else None
        if document:
            client.set_topic_attributes(TopicArn=arn, AttributeName="Policy",
                                        AttributeValue=put_text(document, number))
        made[arn] = {"Region": region, "Policy": document or DEFAULT}


def functions(world, account, region, count, made):
    """moto looks for the role in its own IAM, where nothing else is."""
    client, iam, code = world.client("lambda", account, region), world.servers.moto_client("iam", account), io.BytesIO()
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("f.py", "def handler(event, context): pass")
    try:
        role = iam.get_role(RoleName="function")["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                         "Principal": {"Service": "lambda.amazonaws.com"}}]}
        role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    grants = [[(f"arn:aws:iam::{STRANGER}:root", {})], [],
              [("*", {"PrincipalOrgID": "o-abcdefghij"}), ("events.amazonaws.com", {
                  "SourceArn": f"arn:aws:events:{region}:{account}:rule/a+b", "SourceAccount": account})],
              [("*", {})]]
    for number in range(count):
        arn = client.create_function(FunctionName=f"function-{number}", Runtime="python3.12", Role=role,
                                     Handler="f.handler", Code={"ZipFile": code.getvalue()})["FunctionArn"]
        statements = []
        for order, (principal, more) in enumerate(grants[number % len(grants)]):
            client.add_permission(FunctionName=f"function-{number}", StatementId=f"s{order}", Principal=principal,
                                  Action="lambda:InvokeFunction", **more)
            condition = {"StringEquals": {"aws:PrincipalOrgID": more["PrincipalOrgID"]}} if "PrincipalOrgID" in more \
                else {"ArnLike": {"AWS:SourceArn": more["SourceArn"]},
                      "StringEquals": {"AWS:SourceAccount": account}} if more else None
            who = {"Service": principal} if "amazonaws" in principal else principal
            statements.append({"Sid": f"s{order}", "Effect": "Allow", "Action": "lambda:InvokeFunction",
                               "Resource": arn, "Principal": {"AWS": who} if principal.startswith("arn:") else who,
                               **({"Condition": condition} if condition else {})})
        made[arn] = {"Region": region, "Policy": {"Version": "2012-10-17", "Id": "default", "Statement": statements}
                     if statements else None}


def repositories(world, account, region, count, made):
    client, texts = world.client("ecr", account, region), policies(account, "ecr:BatchGetImage", "*")
    for number in range(count):
        name = f"team/image-{number}"
        arn = client.create_repository(repositoryName=name)["repository"]["repositoryArn"]
        document = next(texts) if number != 1 else None
        if document:  # of a repository's own policy there is no Resource
            document = dict(document, Statement=[{key: value for key, value in statement.items() if key != "Resource"}
                                                 for statement in document["Statement"]])
            client.set_repository_policy(repositoryName=name, policyText=put_text(document, number))
        made[arn] = {"Region": region, "Policy": document}


def tables(world, account, region, count, made):
    client, texts = world.client("dynamodb", account, region), policies(account, "dynamodb:GetItem", "*")
    for number in range(count):
        arn = client.create_table(
            TableName=f"table_{number}.x-y", BillingMode="PAY_PER_REQUEST", KeySchema=[
                {"AttributeName": "k", "KeyType": "HASH"}], AttributeDefinitions=[
                {"AttributeName": "k", "AttributeType": "S"}])["TableDescription"]["TableArn"]
        document = next(texts) if number != 1 else None
        if document:
            client.put_resource_policy(ResourceArn=arn, Policy=put_text(document, number))
        made[arn] = {"Region": region, "Policy": document}


BUILD = {"dynamodb": tables, "ecr": repositories, "kms": keys, "lambda": functions, "s3": buckets,
         "secretsmanager": secrets, "sns": topics, "sqs": queues}


# ---------------------------------------------------------------- CloudTrail's public keys

def build_keys(world):
    """Keys of two regions, RSA as AWS's are: good today, two years ago, four and a half years ago, and one that is past
    the five years which are asked for. A region that is not enabled has one, too."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    today = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    world.public_keys = {}
    for region, spans in (("us-east-1", [(-30, 335), (-760, -395), (-2000, -1640), (-2700, -2100)]),
                          ("eu-west-1", [(-100, 265), (-465, -99)]), ("eu-south-2", [(-10, 355)])):
        world.public_keys[region] = []
        for start, end in spans:
            der = rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
            world.public_keys[region].append({
                "Value": base64.b64encode(der).decode(), "Fingerprint": hashlib.md5(der).hexdigest(),
                **{name: (today + datetime.timedelta(days=days)).isoformat() for name, days in (
                    ("ValidityStartTime", start), ("ValidityEndTime", end))}})
    world.servers.control("fixtures", {"public_keys": world.public_keys})
