"""Builds the account, makes the calls and writes them down as cases.

Every call carries the answer AWS gives by its documentation (YES or NO), written down by hand.
Where ministack answers otherwise, the call names an entry of KNOWN.
"""

import datetime as dt
import json
import time
from collections import Counter
from pathlib import Path

from account import (A, AWS_MANAGED, B, BUCKETS, GROUPS, KEYS, KNOWN, MANAGED, MATRIX, NO, OBJECTS, P, QUEUES,
                     REGION, ROLES, ROOT_A, ROOT_B, SECRETS, TABLES, TAGGED_OBJECTS, TOPIC, TOPIC_POLICY, USERS,
                     USER_AGENT, YES, allow, deny, iam, matrix_key, s3, sqs, table)

HERE = Path(__file__).resolve().parent


def now_iso():
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---------------------------------------------------------------- who calls

class Who:
    """A caller: credentials, and everything of the case that belongs to the caller."""

    def __init__(self, label, creds, principal, account, identity=(), boundary=None, session=None,
                 role_arn=None, context=None, unknown=()):
        self.label, self.creds, self.principal, self.account = label, creds, principal, account
        self.identity, self.boundary, self.session = list(identity), boundary, session
        self.role_arn, self.context, self.unknown = role_arn, context or {}, list(unknown)


# ---------------------------------------------------------------- the world

class World:
    def __init__(self, wire):
        self.wire = wire
        self.cases, self.calls, self.problems, self.known = [], [], [], {}
        self.counter, self.outcomes = 0, Counter()
        self.resource_policy, self.resource_tags, self.made_policy = {}, {}, {}
        self.who = {"root": Who("root", ROOT_A, f"arn:aws:iam::{A}:root", A, context={"aws:userid": A}),
                    "root-b": Who("root-b", ROOT_B, f"arn:aws:iam::{B}:root", B, context={"aws:userid": B})}
        self.build()

    # -- building

    def root(self, service, op, account=A, **params):
        allowed, answer = self.wire.call(ROOT_A if account == A else ROOT_B, service, op, params)
        if not allowed:
            raise RuntimeError(f"root of {account} is refused {service}:{op}: {answer}")
        return answer

    def build(self):
        for bucket, policy in BUCKETS.items():
            self.root("s3", "create_bucket", Bucket=bucket)
        for bucket, key in OBJECTS + [("jw-data", matrix_key(i)) for i in range(len(MATRIX))]:
            self.root("s3", "put_object", Bucket=bucket, Key=key, Body=b"x")
        for (bucket, key), tags in TAGGED_OBJECTS.items():
            self.root("s3", "put_object", Bucket=bucket, Key=key, Body=b"x",
                      Tagging="&".join(f"{k}={v}" for k, v in tags.items()))
        self.queue_url = {}
        for name, (policy, tags) in QUEUES.items():
            attributes = {"Policy": json.dumps(policy)} if policy else {}
            self.queue_url[name] = self.root("sqs", "create_queue", QueueName=name, Attributes=attributes,
                                             tags=tags)["QueueUrl"]
            self.resource_policy[sqs(name)], self.resource_tags[sqs(name)] = policy, dict(tags)
        for name, tags in TABLES.items():
            self.root("dynamodb", "create_table", TableName=name, BillingMode="PAY_PER_REQUEST",
                      AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"},
                                            {"AttributeName": "state", "AttributeType": "S"}],
                      KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                      GlobalSecondaryIndexes=[{"IndexName": "by_state", "Projection": {"ProjectionType": "ALL"},
                                               "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}]}],
                      Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
            self.root("dynamodb", "put_item", TableName=name,
                      Item={"pk": {"S": "1"}, "amount": {"N": "5"}, "note": {"S": "n"}, "state": {"S": "open"}})
            self.resource_tags[table(name)] = dict(tags)
        self.secret_arn = {}
        for name, policy in SECRETS.items():
            arn = self.root("secretsmanager", "create_secret", Name=name, SecretString="s")["ARN"]
            self.secret_arn[name], self.resource_policy[arn] = arn, policy(arn)
            if policy(arn):
                self.root("secretsmanager", "put_resource_policy", SecretId=arn, ResourcePolicy=json.dumps(policy(arn)))
        self.key_arn = {}
        for name, policy in KEYS.items():
            arn = self.root("kms", "create_key", Policy=json.dumps(policy), Description=name,
                            BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
            self.key_arn[name], self.resource_policy[arn] = arn, policy
        self.root("sns", "create_topic", Name="news")
        self.root("sns", "set_topic_attributes", TopicArn=TOPIC, AttributeName="Policy",
                  AttributeValue=json.dumps(TOPIC_POLICY))
        self.resource_policy[TOPIC] = TOPIC_POLICY
        for name in ("/app/one", "/app/two", "/sys/three"):
            self.root("ssm", "put_parameter", Name=name, Value="v", Type="String")

        for name, doc in MANAGED.items():
            self.root("iam", "create_policy", PolicyName=name, PolicyDocument=json.dumps(doc))
            self.made_policy[iam("policy", name)] = {"name": name, "policy": doc}
        version = self.root("iam", "get_policy", PolicyArn=AWS_MANAGED)["Policy"]["DefaultVersionId"]
        document = self.root("iam", "get_policy_version", PolicyArn=AWS_MANAGED, VersionId=version)
        self.aws_managed = document["PolicyVersion"]
        self.made_policy[AWS_MANAGED] = {"name": AWS_MANAGED.rsplit("/")[-1], "policy": self.aws_managed["Document"]}
        for name, group in GROUPS.items():
            self.root("iam", "create_group", GroupName=name, Path=group["path"])
            self.put("group", name, group)
        for name, made in USERS.items():
            self.make_user(name, made)
        for name, made in ROLES.items():
            self.make_role(name, made)
        for bucket, policy in BUCKETS.items():
            if policy:
                self.root("s3", "put_bucket_policy", Bucket=bucket, Policy=json.dumps(policy))
            self.resource_policy[s3(bucket)] = policy

    def put(self, kind, name, made):
        account, title = made.get("account", A), kind.capitalize()
        for policy, doc in made["inline"].items():
            self.root("iam", f"put_{kind}_policy", account, **{f"{title}Name": name}, PolicyName=policy,
                      PolicyDocument=json.dumps(doc))
        for managed in made["managed"]:
            arn = managed if managed.startswith("arn:") else iam("policy", managed)
            self.root("iam", f"attach_{kind}_policy", account, **{f"{title}Name": name}, PolicyArn=arn)
        if made.get("boundary"):
            self.root("iam", f"put_{kind}_permissions_boundary", account, **{f"{title}Name": name},
                      PermissionsBoundary=iam("policy", made["boundary"]))

    def documents(self, made):
        docs = [{"name": n, "policy": d} for n, d in made["inline"].items()]
        docs += [self.made_policy[m if m.startswith("arn:") else iam("policy", m)] for m in made["managed"]]
        for group in made.get("groups", ()):
            docs += [{"name": f"group/{group}/{d['name']}", "policy": d["policy"]}
                     for d in self.documents(GROUPS[group])]
        return docs

    def boundary(self, made):
        return [self.made_policy[iam("policy", made["boundary"])]] if made.get("boundary") else None

    def make_user(self, name, made):
        account = made["account"]
        tags = [{"Key": k, "Value": v} for k, v in made["tags"].items()]
        answer = self.root("iam", "create_user", account, UserName=name, Path=made["path"], Tags=tags)["User"]
        self.put("user", name, made)
        for group in made["groups"]:
            self.root("iam", "add_user_to_group", account, GroupName=group, UserName=name)
        creds = self.root("iam", "create_access_key", account, UserName=name)["AccessKey"]
        context = {"aws:userid": answer["UserId"]}
        context.update({f"aws:PrincipalTag/{k}": v for k, v in made["tags"].items()})
        self.who[name] = Who(name, creds, answer["Arn"], account, self.documents(made), self.boundary(made),
                             context=context)
        self.resource_tags[answer["Arn"]] = dict(made["tags"])

    def make_role(self, name, made):
        tags = [{"Key": k, "Value": v} for k, v in made["tags"].items()]
        answer = self.root("iam", "create_role", made["account"], RoleName=name, Path=made["path"],
                           AssumeRolePolicyDocument=json.dumps(made["trust"]), Tags=tags)["Role"]
        self.put("role", name, made)
        made["arn"], made["id"] = answer["Arn"], answer["RoleId"]
        self.resource_policy[answer["Arn"]], self.resource_tags[answer["Arn"]] = made["trust"], dict(made["tags"])

    # -- what AWS authorises for a call: [(action, resource, context)]

    def authorisations(self, service, op, params, account):
        return getattr(self, f"auth_{service}")(op, params, account)

    def auth_s3(self, op, p, account):
        context = {"s3:authType": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256"}
        if op == "list_buckets":
            return [("s3:ListAllMyBuckets", "*", context)]
        context["s3:ResourceAccount"] = A
        target = s3(p["Bucket"], p.get("Key"))
        names = {"list_objects_v2": "ListBucket", "head_bucket": "ListBucket", "list_object_versions":
                 "ListBucketVersions", "get_bucket_location": "GetBucketLocation", "get_bucket_policy":
                 "GetBucketPolicy", "get_object": "GetObject", "head_object": "GetObject", "put_object": "PutObject",
                 "copy_object": "PutObject", "delete_object": "DeleteObject", "get_object_tagging":
                 "GetObjectTagging", "get_bucket_versioning": "GetBucketVersioning"}
        made = dict(context)
        for param, key in (("Prefix", "prefix"), ("Delimiter", "delimiter"), ("MaxKeys", "max-keys")):
            if op.startswith("list_object") and param in p:
                made[f"s3:{key}"] = str(p[param])
        if op == "put_object":
            for param, key in (("ACL", "acl"), ("ServerSideEncryption", "server-side-encryption")):
                if param in p:
                    made[f"s3:x-amz-{key}"] = p[param]
        if op in ("get_object", "head_object"):
            made.update({f"s3:ExistingObjectTag/{k}": v
                         for k, v in TAGGED_OBJECTS.get((p["Bucket"], p["Key"]), {}).items()})
        found = [("s3:" + names[op], target, made)]
        if op == "put_object" and "ACL" in p:
            found.append(("s3:PutObjectAcl", target, made))
        if op == "copy_object":
            found.append(("s3:GetObject", s3(p["CopySource"]["Bucket"], p["CopySource"]["Key"]), context))
        return found

    def auth_sqs(self, op, p, account):
        names = {"send_message_batch": "SendMessage", "list_queues": "ListQueues"}
        action = "sqs:" + names.get(op, "".join(w.capitalize() for w in op.split("_")))
        if op == "list_queues":
            return [(action, "*", {})]
        owner, name = p["QueueUrl"].split("/")[-2:] if "QueueUrl" in p else (account, p["QueueName"])
        return [(action, sqs(name, owner), self.request_tags(p.get("Tags"), p.get("TagKeys")))]

    @staticmethod
    def request_tags(tags=None, keys=None):
        if isinstance(tags, list):
            tags = {t["Key"]: t["Value"] for t in tags}
        context = {f"aws:RequestTag/{k}": v for k, v in (tags or {}).items()}
        if tags or keys:
            context["aws:TagKeys"] = list(tags or ()) + list(keys or ())
        return context

    def auth_dynamodb(self, op, p, account):
        action = "dynamodb:" + "".join(w.capitalize() for w in op.split("_"))
        if op == "list_tables":
            return [(action, "*", {})]
        context = {}
        if "ProjectionExpression" in p:
            context["dynamodb:Attributes"] = [a.strip() for a in p["ProjectionExpression"].split(",")]
        if op in ("get_item", "query", "scan"):
            context["dynamodb:Select"] = p.get("Select") or (
                "SPECIFIC_ATTRIBUTES" if "ProjectionExpression" in p else "ALL_ATTRIBUTES")
        key = p.get("Key", p.get("Item", {})).get("pk", p.get("ExpressionAttributeValues", {}).get(":v"))
        if key and "IndexName" not in p:
            context["dynamodb:LeadingKeys"] = [key["S"]]
        if op == "put_item":
            context["dynamodb:Attributes"] = sorted(p["Item"])
        return [(action, table(p["TableName"], p.get("IndexName")), context)]

    def auth_sts(self, op, p, account):
        if op == "assume_role":
            context = {"sts:RoleSessionName": p["RoleSessionName"], **self.request_tags(p.get("Tags"))}
            if "ExternalId" in p:
                context["sts:ExternalId"] = p["ExternalId"]
            found = [("sts:AssumeRole", p["RoleArn"], context)]
            if p.get("Tags"):
                found.append(("sts:TagSession", p["RoleArn"], context))
            return found
        if op == "get_federation_token":
            return [("sts:GetFederationToken", f"arn:aws:sts::{account}:federated-user/{p['Name']}", {})]
        return [("sts:" + "".join(w.capitalize() for w in op.split("_")), "*", {})]

    def auth_iam(self, op, p, account):
        action = "iam:" + "".join(w.capitalize() for w in op.split("_"))
        context = self.request_tags(p.get("Tags"), p.get("TagKeys"))
        if "RoleName" in p:
            resource = ROLES[p["RoleName"]]["arn"]
        elif "UserName" in p:
            resource = self.who[p["UserName"]].principal
        elif "GroupName" in p:
            resource = iam("group", p["GroupName"], GROUPS[p["GroupName"]]["path"])
        else:
            resource = p.get("PolicyArn", "*")
        if op.startswith("attach_") or op.startswith("detach_"):
            context["iam:PolicyARN"] = p["PolicyArn"]
        return [(action, resource, context)]

    def auth_kms(self, op, p, account):
        action = "kms:" + "".join(w.capitalize() for w in op.split("_"))
        return [(action, p.get("KeyId", "*"), {"kms:CallerAccount": account})]

    def auth_secretsmanager(self, op, p, account):
        action = "secretsmanager:" + "".join(w.capitalize() for w in op.split("_"))
        return [(action, self.secret_arn[p["SecretId"]], {"secretsmanager:SecretId": self.secret_arn[p["SecretId"]]})]

    def auth_ssm(self, op, p, account):
        action = "ssm:" + "".join(w.capitalize() for w in op.split("_"))
        return [(action, f"arn:aws:ssm:{REGION}:{account}:parameter{p['Name']}", {})]

    def auth_sns(self, op, p, account):
        action = "sns:" + "".join(w.capitalize() for w in op.split("_"))
        return [(action, p.get("TopicArn", "*"), {})]

    def auth_ec2(self, op, p, account):
        return [("ec2:" + "".join(w.capitalize() for w in op.split("_")), "*", {})]

    # -- one call

    def call(self, who, service, op, params, answer, known=None, denied_action=None):
        """Makes the call as `who`; `answer` is AWS's by its documentation, `known` why the emulator's differs."""
        who = self.who[who] if isinstance(who, str) else who
        self.counter += 1
        call_id = f"w{self.counter:03}-{who.label}-{service}-{op}"
        if str(params.get("Key", "")).startswith("cond/"):
            call_id += "-" + params["Key"][5:7]  # the row of MATRIX
        at = now_iso()
        observed, reply = self.wire.call(who.creds, service, op, params)
        if known is None and observed != answer:
            self.problems.append(f"{call_id}: AWS allows: {answer}, the emulator: {observed} "
                                 f"({reply if not observed else 'no error'})")
        if known is not None and observed == answer:
            self.problems.append(f"{call_id}: the emulator is right now; drop known={known!r}")
        wanted = self.authorisations(service, op, params, who.account)
        if not answer and len(wanted) > 1:
            # One refused call says nothing about the call's other actions.
            wanted = [w for w in wanted if w[0] == (denied_action or wanted[0][0])]
        for action, resource, context in wanted:
            self.record(call_id + (f"-{action.split(':')[1]}" if len(wanted) > 1 else ""),
                        who, action, resource, context, at, answer, observed, known)
        self.outcomes["allowed" if observed else "denied"] += 1
        return reply if observed else None

    def resource_policy_of(self, resource):
        if resource.startswith("arn:aws:s3:::"):
            return self.resource_policy.get(resource.split("/")[0])
        return self.resource_policy.get(resource)

    def record(self, case_id, who, action, resource, extra, at, answer, observed, known):
        epoch = int(dt.datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.timezone.utc).timestamp())
        context = {"aws:SourceIp": "127.0.0.1", "aws:CurrentTime": at, "aws:EpochTime": str(epoch),
                   "aws:SecureTransport": "false", "aws:RequestedRegion": REGION, "aws:UserAgent": USER_AGENT,
                   "aws:ViaAWSService": "false", **who.context, **extra}
        service = action.split(":")[0]
        tagged = resource.split("/index/")[0]
        for key, value in self.resource_tags.get(tagged, {}).items():
            context[f"aws:ResourceTag/{key}"] = value
            if ":iam:" in resource:
                context[f"iam:ResourceTag/{key}"] = value
        request = {"principal": who.principal}
        if who.role_arn:
            request["principal_role_arn"] = who.role_arn
        request.update(action=action, resource=resource)
        if resource != "*":
            fields = resource.split(":")
            request["resource_account"] = fields[4] if len(fields) > 4 and fields[4].isdigit() else A
        request["context"] = dict(sorted(context.items()))
        if who.unknown:
            request["unknown_context"] = who.unknown
        policy = self.resource_policy_of(resource)
        case = {"id": case_id, "request": request, "identity_policies": who.identity,
                "permission_boundaries": who.boundary, "scps": [], "rcps": [], "resource_policy": policy,
                "session_policy": who.session, "expected": "Allowed" if answer else "Denied",
                "observed": "Allowed" if observed else "Denied"}
        if known:
            case["emulator_wrong"] = KNOWN[known][0]
            self.known.setdefault(known, []).append(case_id)
        self.cases.append(case)
        # What `jitscan can` would have to know beyond the account's IAM data (trust policies are in it).
        beyond = (["resource_policy"] if policy and service != "sts" else []) + (
            ["session_policy"] if who.session is not None else [])
        row = {"id": case_id, "principal": who.principal, "action": action, "resource": resource,
               "context": request["context"], "allowed": answer, "observed": observed, "beyond_iam": beyond,
               "cross_account": request.get("resource_account", who.account) != who.account}
        if who.role_arn:
            row["principal_role_arn"] = who.role_arn
        if known:
            row["emulator_wrong"] = KNOWN[known][0]
        self.calls.append(row)

    # -- sessions

    def session(self, by, role_name, session_name, answer=YES, known=None, denied_action=None, docs=None, arns=(),
                tags=None, label=None, **params):
        """AssumeRole as a recorded call; the session as a new caller where it succeeded."""
        role_made = ROLES[role_name]
        params = {"RoleArn": role_made["arn"], "RoleSessionName": session_name, **params}
        if docs is not None:
            params["Policy"] = json.dumps(docs)
        if arns:
            params["PolicyArns"] = [{"arn": iam("policy", a)} for a in arns]
        if tags:
            params["Tags"] = [{"Key": k, "Value": v} for k, v in tags.items()]
        issued = now_iso()
        reply = self.call(by, "sts", "assume_role", params, answer, known, denied_action)
        if reply is None:
            return None
        session = None
        if docs is not None or arns:
            session = [{"name": "session", "policy": docs}] if docs is not None else []
            session += [self.made_policy[iam("policy", a)] for a in arns]
        context = {"aws:userid": f"{role_made['id']}:{session_name}", "aws:TokenIssueTime": issued,
                   "aws:MultiFactorAuthPresent": "false"}
        context.update({f"aws:PrincipalTag/{k}": v for k, v in {**role_made["tags"], **(tags or {})}.items()})
        who = Who(label or f"{role_name}.{session_name}", reply["Credentials"], reply["AssumedRoleUser"]["Arn"],
                  role_made["account"], self.documents(role_made), self.boundary(role_made), session,
                  role_made["arn"], context)
        return who

    # -- all calls

    def run_calls(self, expiring_s):
        self.expiring_start(expiring_s)
        self.user_calls()
        self.role_calls()
        self.resource_policy_calls()
        self.cross_account_calls()
        self.expiring_end()
        return self.problems

    def get(self, who, bucket, key, answer, known=None):
        return self.call(who, "s3", "get_object", {"Bucket": bucket, "Key": key}, answer, known)

    def put_object(self, who, bucket, key, answer, known=None, **extra):
        return self.call(who, "s3", "put_object", {"Bucket": bucket, "Key": key, "Body": b"y", **extra}, answer, known)

    def queue(self, who, op, name, answer, known=None, **extra):
        params = {"QueueName": name} if op == "get_queue_url" else {"QueueUrl": self.queue_url[name]}
        if op == "send_message":
            params["MessageBody"] = "m"
        return self.call(who, "sqs", op, {**params, **extra}, answer, known)

    def item(self, who, op, name, answer, known=None, **extra):
        params = {"TableName": name}
        if op == "get_item":
            params["Key"] = {"pk": {"S": "1"}}
        if op == "put_item":
            params["Item"] = {"pk": {"S": "2"}, "amount": {"N": "1"}}
        if op == "query" and "IndexName" not in extra:
            params.update(KeyConditionExpression="pk = :v", ExpressionAttributeValues={":v": {"S": "1"}})
        elif op == "query":
            params.update(KeyConditionExpression="#s = :v", ExpressionAttributeNames={"#s": "state"},
                          ExpressionAttributeValues={":v": {"S": "open"}})
        return self.call(who, "dynamodb", op, {**params, **extra}, answer, known)

    def listing(self, who, bucket, answer, known=None, **extra):
        return self.call(who, "s3", "list_objects_v2", {"Bucket": bucket, **extra}, answer, known)

    def expiring_start(self, seconds):
        """A live grant: allowed now, refused when it has run out (checked at the end)."""
        self.expires = time.time() + seconds
        until = dt.datetime.fromtimestamp(int(self.expires) + 1, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.expires = int(self.expires) + 1
        doc = P(allow("sqs:GetQueueAttributes", sqs("jobs"), {"DateLessThan": {"aws:CurrentTime": until}}))
        self.root("iam", "put_user_policy", UserName="temp", PolicyName="grant", PolicyDocument=json.dumps(doc))
        self.who["temp"].identity = [{"name": "grant", "policy": doc}]
        self.queue("temp", "get_queue_attributes", "jobs", YES)

    def expiring_end(self):
        time.sleep(max(0.0, self.expires + 0.2 - time.time()))
        self.queue("temp", "get_queue_attributes", "jobs", NO)

    def user_calls(self):
        get, put, queue, item, listing, call = (self.get, self.put_object, self.queue, self.item, self.listing,
                                                self.call)
        # plain identity policies
        get("alice", "jw-data", "public/a.txt", YES)
        get("alice", "jw-data", "secret/s.txt", NO)
        call("alice", "s3", "head_object", {"Bucket": "jw-data", "Key": "public/a.txt"}, YES)
        put("alice", "jw-data", "public/new.txt", NO)
        call("alice", "s3", "delete_object", {"Bucket": "jw-data", "Key": "public/a.txt"}, NO)
        listing("alice", "jw-data", YES, Prefix="public/")
        listing("alice", "jw-data", NO, Prefix="secret/")
        listing("alice", "jw-data", NO)
        call("alice", "s3", "list_buckets", {}, YES)
        call("alice", "s3", "get_bucket_location", {"Bucket": "jw-data"}, YES)
        call("alice", "s3", "get_bucket_location", {"Bucket": "jw-policy"}, NO)
        call("alice", "sts", "get_caller_identity", {}, YES)
        call("alice", "iam", "list_users", {}, NO)
        call("tina", "sts", "get_caller_identity", {}, YES)
        call("tina", "s3", "list_buckets", {}, NO)
        # groups, managed policies, Deny
        queue("bob", "send_message", "jobs", YES)
        queue("bob", "get_queue_attributes", "jobs", YES)
        queue("bob", "get_queue_url", "jobs", NO)
        queue("bob", "receive_message", "jobs", NO)
        queue("bob", "send_message", "audit", NO)
        item("bob", "get_item", "orders", YES)
        item("bob", "query", "orders", YES)
        item("bob", "query", "orders", YES, IndexName="by_state")
        item("bob", "put_item", "orders", NO)
        item("bob", "get_item", "ledger", NO)
        item("bob", "describe_table", "orders", YES)
        # NotAction, NotResource
        get("carol", "jw-data", "secret/s.txt", YES)
        queue("carol", "get_queue_attributes", "audit", YES)
        call("carol", "sqs", "list_queues", {}, YES)
        call("carol", "iam", "list_users", {}, NO)
        call("carol", "iam", "get_role", {"RoleName": "reader"}, NO)
        item("carol", "get_item", "orders", YES)
        item("carol", "query", "orders", YES, IndexName="by_state")
        item("carol", "get_item", "ledger", NO)
        call("carol", "dynamodb", "list_tables", {}, NO)
        call("carol", "ec2", "describe_regions", {}, YES)
        call("carol", "ssm", "get_parameter", {"Name": "/sys/three"}, YES)
        # boundary
        get("dave", "jw-data", "public/a.txt", YES)
        listing("dave", "jw-data", YES)
        put("dave", "jw-data", "public/d.txt", NO)
        queue("dave", "send_message", "jobs", YES)
        queue("dave", "send_message", "audit", NO)
        queue("dave", "get_queue_attributes", "audit", YES)
        call("dave", "iam", "list_users", {}, NO)
        item("dave", "get_item", "orders", NO)
        put("dave", "jw-policy", "dave/d.txt", YES)
        put("dave", "jw-policy", "other/d.txt", NO)
        queue("dave", "receive_message", "shared", YES)
        # addresses, dates
        queue("erin", "send_message", "jobs", YES)
        queue("erin", "send_message", "audit", NO)
        queue("erin", "get_queue_attributes", "jobs", YES)
        queue("erin", "get_queue_attributes", "audit", NO)
        queue("frank", "send_message", "jobs", YES)
        queue("frank", "send_message", "audit", NO)
        queue("frank", "get_queue_attributes", "jobs", YES)
        queue("frank", "get_queue_attributes", "audit", NO)
        # MFA with long-term keys, then with GetSessionToken
        wanted = {"grace": (NO, YES, NO, YES, YES), "grace.token": (NO, NO, NO, NO, NO)}
        grace, issued = self.who["grace"], now_iso()
        token = call("grace", "sts", "get_session_token", {}, YES)
        self.who["grace.token"] = Who("grace.token", token["Credentials"], grace.principal, A, grace.identity,
                                      context={**grace.context, "aws:TokenIssueTime": issued,
                                               "aws:MultiFactorAuthPresent": "false"})
        for name, answers in wanted.items():
            for op, answer in zip(("send_message", "receive_message", "get_queue_attributes", "get_queue_url",
                                   "list_queue_tags"), answers):
                queue(name, op, "jobs", answer)
        # tags in the request
        def tag_user(tags, answer):
            call("heidi", "iam", "tag_user", {"UserName": "target", "Tags": [
                {"Key": k, "Value": v} for k, v in tags.items()]}, answer)
            if answer:
                self.resource_tags[self.who["target"].principal].update(tags)
        tag_user({"team": "blue"}, YES)
        tag_user({"team": "red"}, NO)
        tag_user({"team": "green", "cost": "1"}, YES)
        tag_user({"team": "blue", "other": "1"}, NO)
        tag_user({"cost": "1"}, NO)
        call("heidi", "iam", "untag_user", {"UserName": "target", "TagKeys": ["cost"]}, YES)
        self.resource_tags[self.who["target"].principal].pop("cost")
        call("heidi", "iam", "untag_user", {"UserName": "target", "TagKeys": ["cost", "locked"]}, NO)
        queue("heidi", "tag_queue", "jobs", YES, Tags={"cost-center": "1", "x": "2"})
        self.resource_tags[sqs("jobs")].update({"cost-center": "1", "x": "2"})
        queue("heidi", "tag_queue", "jobs", NO, Tags={"x": "2"})
        queue("heidi", "untag_queue", "jobs", YES, TagKeys=["x", "cost-center"])
        for key in ("x", "cost-center"):
            self.resource_tags[sqs("jobs")].pop(key)
        queue("heidi", "untag_queue", "jobs", NO, TagKeys=["x", "team"])
        # policy variables
        get("ivan", "jw-data", "home/ivan/x.txt", YES, "variables")
        get("ivan", "jw-data", "home/judy/x.txt", NO)
        get("ivan", "jw-data", "home/${aws:username}/x.txt", NO, "variables")
        put("ivan", "jw-data", "home/ivan/y.txt", YES, "variables")
        listing("ivan", "jw-data", YES, "variables", Prefix="home/ivan/")
        listing("ivan", "jw-data", NO, Prefix="home/judy/")
        get("ivan", "jw-data", "blue/b.txt", YES, "variables")
        get("ivan", "jw-data", "red/r.txt", NO)
        get("ivan", "jw-data", "public/a.txt", YES, "variables")
        get("ivan", "jw-data", "odd/*star.txt", YES, "variables")
        get("ivan", "jw-data", "odd/xstar.txt", NO)
        queue("ivan", "send_message", "jobs", YES, "variables")
        queue("ivan", "send_message", "audit", NO)
        get("judy", "jw-data", "home/judy/x.txt", YES, "variables")
        get("judy", "jw-data", "home/ivan/x.txt", NO)
        get("judy", "jw-data", "home/${aws:username}/x.txt", YES)  # 2008: the text itself
        get("ruth", "jw-data", "home/ruth/x.txt", YES, "variables")
        get("ruth", "jw-data", "home/ruth/private.txt", NO)
        get("ruth", "jw-data", "public/a.txt", NO)
        listing("ruth", "jw-data", YES)
        # S3's own keys
        listing("laura", "jw-data", YES, MaxKeys=5)
        listing("laura", "jw-data", NO, MaxKeys=50)
        listing("laura", "jw-data", NO)
        listing("laura", "jw-policy", YES, Prefix="open/", Delimiter="/")
        listing("laura", "jw-policy", NO, Prefix="open/")
        put("laura", "jw-data", "acl/1", YES, ACL="bucket-owner-full-control")
        put("laura", "jw-data", "acl/2", NO)
        put("laura", "jw-data", "acl/3", NO, ACL="private")
        put("laura", "jw-data", "sse/1", YES, ServerSideEncryption="AES256")
        put("laura", "jw-data", "sse/2", NO)
        put("laura", "jw-data", "null/1", YES, ServerSideEncryption="AES256")
        put("laura", "jw-data", "null/2", NO)
        get("laura", "jw-data", "tagged/red.txt", YES)
        get("laura", "jw-data", "tagged/blue.txt", NO)
        call("carl", "s3", "copy_object", {"Bucket": "jw-data", "Key": "copy/1", "CopySource": {
            "Bucket": "jw-data", "Key": "public/a.txt"}}, YES)
        call("fred", "s3", "copy_object", {"Bucket": "jw-data", "Key": "copy/2", "CopySource": {
            "Bucket": "jw-policy", "Key": "role/r.txt"}}, NO, denied_action="s3:GetObject")
        # IAM reads
        call("mallory", "iam", "list_users", {}, YES)
        call("mallory", "iam", "list_roles", {}, YES)
        call("mallory", "iam", "list_groups", {}, NO)
        call("mallory", "iam", "get_account_summary", {}, NO)
        call("mallory", "iam", "get_user", {"UserName": "alice"}, YES)
        call("mallory", "iam", "get_role", {"RoleName": "reader"}, NO)
        call("mallory", "iam", "list_attached_user_policies", {"UserName": "oscar"}, YES)
        call("mallory", "iam", "list_group_policies", {"GroupName": "devs"}, YES)
        call("mallory", "iam", "list_policy_versions", {"PolicyArn": iam("policy", "edge")}, YES)
        call("mallory", "iam", "get_policy", {"PolicyArn": iam("policy", "edge")}, NO)
        call("wendy", "iam", "get_role", {"RoleName": "reader"}, YES, "iam-path")
        call("wendy", "iam", "get_role", {"RoleName": "ext"}, NO)
        call("wendy", "iam", "list_role_policies", {"RoleName": "reader"}, NO, "iam-path")
        call("wendy", "iam", "get_user", {"UserName": "target"}, YES)
        call("wendy", "iam", "get_user", {"UserName": "wendy"}, NO)
        call("wendy", "iam", "attach_user_policy", {"UserName": "temp", "PolicyArn": iam("policy", "all-s3")}, NO)
        call("wendy", "iam", "attach_user_policy", {"UserName": "temp", "PolicyArn": AWS_MANAGED}, YES, "iam-key")
        queue("wendy", "send_message", "jobs", YES)
        queue("wendy", "send_message_batch", "jobs", YES, "sqs-batch", Entries=[{"Id": "1", "MessageBody": "m"}])
        # an AWS-managed policy
        get("peggy", "jw-data", "secret/s.txt", YES)
        listing("peggy", "jw-data", YES)
        put("peggy", "jw-data", "p.txt", NO)
        queue("peggy", "receive_message", "jobs", NO)
        # resource tags, DynamoDB's keys
        queue("vic", "send_message", "jobs", YES)
        queue("vic", "send_message", "audit", NO)
        item("vic", "describe_table", "orders", YES)
        item("vic", "describe_table", "ledger", NO)
        item("vic", "get_item", "orders", YES, ProjectionExpression="pk, amount")
        item("vic", "get_item", "orders", NO, ProjectionExpression="pk, note")
        item("vic", "query", "orders", NO, Select="ALL_ATTRIBUTES")
        item("vic", "query", "orders", YES, Select="COUNT")
        item("vic", "put_item", "orders", YES, "dynamodb-key", Item={"pk": {"S": "vic"}, "amount": {"N": "1"}})
        item("vic", "put_item", "orders", NO, Item={"pk": {"S": "eve"}, "amount": {"N": "1"}})
        # other services
        call("sam", "ssm", "get_parameter", {"Name": "/app/one"}, YES)
        call("sam", "ssm", "get_parameter", {"Name": "/app/two"}, NO)
        call("sam", "ssm", "get_parameter", {"Name": "/sys/three"}, NO)
        call("sam", "ec2", "describe_regions", {}, YES)
        call("sam", "ec2", "describe_vpcs", {}, YES)
        call("tina", "ec2", "describe_vpcs", {}, NO)
        # the matrix with long-term keys
        for number, row in enumerate(MATRIX):
            get("oscar", "jw-data", matrix_key(number), row[1], row[3] if len(row) > 3 else None)

    def role_calls(self):
        get, put, queue, item, listing, call, session = (
            self.get, self.put_object, self.queue, self.item, self.listing, self.call, self.session)
        reader = session("nina", "reader", "r-1")
        get(reader, "jw-data", "secret/s.txt", YES)
        listing(reader, "jw-data", YES)
        put(reader, "jw-data", "r.txt", NO)
        call(reader, "sts", "get_caller_identity", {}, YES)
        call(reader, "iam", "list_users", {}, NO)
        get(reader, "jw-policy", "role/r.txt", YES)
        get(reader, "jw-policy", "role/locked.txt", NO)
        # who may assume
        session("oscar", "reader", "o-1", NO)
        session("nina", "named", "n-1")
        session("mallory", "named", "m-1", NO)
        session("quinn", "direct", "q-1", YES, "trust-direct")
        session("nina", "direct", "n-2", NO)
        session("quinn", "anyone", "q-2", YES, "trust-direct")
        session("nina", "anyone", "n-3")
        session("nina", "ext", "n-4", ExternalId="x-42")
        session("nina", "ext", "n-5", NO)
        session("nina", "ext", "n-6", NO, ExternalId="x-43")
        session("nina", "dated", "n-7")
        session("nina", "expired", "n-8", NO)
        session("nina", "denied", "n-9", NO)
        session("rita", "denied", "r-2")
        session("rita", "ext", "r-3", NO, ExternalId="x-42")
        session("nina", "mfa", "n-10", NO)
        session("nina", "nearby", "n-11")
        session("nina", "far", "n-12", NO)
        session("nina", "service", "n-13", NO)
        session("nina", "wrongaction", "n-14", NO)
        session("nina", "blueonly", "n-15", NO)
        session("nina", "pinned", "nina-1")
        session("nina", "pinned", "other-1", NO)
        session("nina", "pinnedvar", "nina", YES, "variables")
        session("nina", "pinnedvar", "other", NO)
        session("dave", "reader", "d-1")            # the boundary allows sts:AssumeRole
        session("beth", "reader", "b-2", NO)        # neither identity nor boundary
        session("root", "reader", "root-1", NO, "root-assume")
        # tags on the session
        tagged = session("mallory", "tagged", "t-1", tags={"project": "p1"})
        get(tagged, "jw-data", "public/a.txt", YES)
        get(tagged, "jw-data", "secret/s.txt", NO)
        get(tagged, "jw-data", "blue/b.txt", NO)
        session("mallory", "tagged", "t-2", NO, tags={"project": "p2"})
        session("mallory", "tagged", "t-3", NO)
        session("mallory", "notag", "t-4", NO, denied_action="sts:TagSession", tags={"project": "p1"})
        session("mallory", "notag", "t-5")
        both = session("mallory", "tagged", "t-6", tags={"project": "p1", "team": "blue"})
        get(both, "jw-data", "blue/b.txt", YES)     # the session's tag replaces the role's
        # chains
        chained = session(reader, "chained", "c-1")
        queue(chained, "send_message", "jobs", YES)
        get(chained, "jw-data", "public/a.txt", NO)
        session(reader, "chained2", "c-2", YES, "trust-direct")
        session(reader, "named", "c-3", NO)
        session(chained, "chained", "c-4", NO)
        session("nina", "chained", "c-5", NO)
        # boundary on a role
        bounded = session("nina", "bounded", "b-1")
        get(bounded, "jw-data", "secret/s.txt", YES)
        put(bounded, "jw-data", "b.txt", NO)
        queue(bounded, "send_message", "jobs", NO)
        put(bounded, "jw-policy", "sess/1", YES)    # the policy names this session
        put(bounded, "jw-policy", "role/1", NO)     # it names the role: the boundary limits
        get(bounded, "jw-policy", "role/r.txt", YES)
        put(bounded, "jw-policy", "arn/1", YES, "principal-arn")
        other = session("nina", "bounded", "b-3")
        put(other, "jw-policy", "sess/2", NO)
        # session policies
        only = session("nina", "wide", "s-1", docs=P(allow("s3:GetObject", s3("jw-data", "public/*"))))
        get(only, "jw-data", "public/a.txt", YES)
        get(only, "jw-data", "secret/s.txt", NO)
        queue(only, "send_message", "jobs", NO)
        without = session("nina", "wide", "s-2", docs=P(allow("*"), deny("s3:GetObject", s3("jw-data", "secret/*"))))
        get(without, "jw-data", "public/a.txt", YES)
        get(without, "jw-data", "secret/s.txt", NO)
        queue(without, "send_message", "audit", YES)
        call(without, "iam", "list_users", {}, NO)
        managed = session("nina", "wide", "s-3", arns=["public-only"])
        get(managed, "jw-data", "public/a.txt", YES)
        get(managed, "jw-data", "secret/s.txt", NO)
        mixed = session("nina", "wide", "s-4", docs=P(allow("sqs:*")), arns=["public-only"])
        get(mixed, "jw-data", "public/a.txt", YES)
        queue(mixed, "send_message", "jobs", YES)
        item(mixed, "get_item", "orders", NO)
        wide = session("nina", "wide", "s-5")
        item(wide, "put_item", "orders", YES)
        item(wide, "get_item", "ledger", YES)
        get(wide, "jw-secure", "s.txt", NO)
        revoked = session("nina", "revoked", "v-1")
        get(revoked, "jw-data", "public/a.txt", NO)
        call(revoked, "sts", "get_caller_identity", {}, YES)
        # a federated user
        call("alice", "sts", "get_federation_token", {"Name": "fed0"}, NO)
        fed_doc = P(allow("s3:GetObject", [s3("jw-data", "public/*"), s3("jw-policy", "fred/*")]),
                    allow("sqs:SendMessage"))
        issued = now_iso()
        token = call("fred", "sts", "get_federation_token", {"Name": "fed1", "Policy": json.dumps(fed_doc)}, YES)
        fed = Who("fed1", token["Credentials"], f"arn:aws:sts::{A}:federated-user/fed1", A, self.who["fred"].identity,
                  session=[{"name": "session", "policy": fed_doc}],
                  # the federating user, who is not in the session's ARN
                  role_arn=self.who["fred"].principal,
                  context={"aws:userid": f"{A}:fed1", "aws:TokenIssueTime": issued},
                  unknown=["aws:MultiFactorAuthPresent"])
        get(fed, "jw-data", "public/a.txt", YES)
        get(fed, "jw-data", "secret/s.txt", NO)
        put(fed, "jw-data", "fed.txt", NO)
        queue(fed, "send_message", "jobs", YES)
        queue(fed, "send_message", "audit", NO)
        queue(fed, "receive_message", "jobs", NO)
        put(fed, "jw-policy", "fed/1", YES, "federated-direct")
        get(fed, "jw-policy", "fred/f.txt", YES, "federated-direct")
        # the matrix with a session
        mx = session("nina", "matrix", "mx-1")
        for number, row in enumerate(MATRIX):
            get(mx, "jw-data", matrix_key(number), row[2], row[4] if len(row) > 4 else None)

    def resource_policy_calls(self):
        get, put, queue, call = self.get, self.put_object, self.queue, self.call
        get("tina", "jw-policy", "open/o.txt", YES)
        put("tina", "jw-policy", "open/p.txt", NO)
        get("carol", "jw-policy", "open/o.txt", NO)
        get("carl", "jw-policy", "open/o.txt", YES)
        get("carl", "jw-policy", "locked/l.txt", NO)
        get("carl", "jw-policy", "role/r.txt", YES)
        call("tina", "s3", "delete_object", {"Bucket": "jw-policy", "Key": "acct/a.txt"}, NO)
        get("root", "jw-policy", "role/r.txt", YES)
        get("root", "jw-policy", "locked/l.txt", NO, "root-resource-deny")
        get("carl", "jw-secure", "s.txt", NO)
        self.listing("carl", "jw-secure", NO)
        get("alice", "jw-notp", "n.txt", YES)
        get("carl", "jw-notp", "n.txt", NO, "not-principal")
        get("beth", "jw-notp", "n.txt", NO, "not-principal")
        # queues
        queue("uma", "send_message", "shared", YES)
        queue("uma", "receive_message", "shared", NO)
        queue("uma", "purge_queue", "shared", NO)
        queue("uma", "get_queue_attributes", "shared", YES)
        queue("tina", "get_queue_attributes", "shared", NO)
        queue("bob", "send_message", "shared", NO)
        queue("tina", "send_message", "shared", NO)
        # a topic
        call("uma", "sns", "publish", {"TopicArn": TOPIC, "Message": "m"}, YES)
        call("tina", "sns", "publish", {"TopicArn": TOPIC, "Message": "m"}, NO)
        call("uma", "sns", "get_topic_attributes", {"TopicArn": TOPIC}, NO)
        # secrets
        for who, op, name, answer in (
                ("sam", "get_secret_value", "db/dev", YES), ("sam", "get_secret_value", "db/prod", NO),
                ("sam", "describe_secret", "db/dev", YES), ("sam", "describe_secret", "db/prod", NO),
                ("tina", "get_secret_value", "db/prod", YES), ("tina", "get_secret_value", "db/dev", NO),
                ("tina", "describe_secret", "db/prod", NO)):
            call(who, "secretsmanager", op, {"SecretId": name}, answer)
        # keys: the key policy must at least delegate to the account
        for who, name, answer in (
                ("kate", "account", YES), ("kim", "account", NO), ("kate", "named", NO), ("kim", "named", YES),
                ("kate", "denied", NO), ("kate", "conditional", NO)):
            call(who, "kms", "describe_key", {"KeyId": self.key_arn[name]}, answer)
        call("kate", "kms", "list_aliases", {}, YES)
        call("kim", "kms", "list_aliases", {}, NO)

    def cross_account_calls(self):
        queue, session = self.queue, self.session
        queue("bea", "send_message", "xacct", YES)
        queue("bea", "receive_message", "xacct", NO)   # the queue allows, her own policies do not
        queue("bea", "send_message", "jobs", NO)       # her own policies allow, the queue does not
        queue("ben", "send_message", "xacct", YES)
        queue("ben", "receive_message", "xacct", NO)
        queue("ben", "purge_queue", "xacct", NO)
        partner = session("bea", "partner", "p-1", ExternalId="deal")
        self.get(partner, "jw-data", "public/a.txt", YES)
        self.get(partner, "jw-data", "secret/s.txt", NO)
        session("bea", "partner", "p-2", NO)
        session("bea", "partneruser", "p-3", NO)
        session("ben", "partner", "p-4", NO, ExternalId="deal")
        session("ben", "partneruser", "p-5", NO)       # named, but another account's user needs both sides
        self.call("bea", "sts", "get_caller_identity", {}, YES)

    # -- what comes out

    def details(self, account):
        """GetAccountAuthorizationDetails, with what ministack leaves out of it and AWS puts in."""
        found = self.root("iam", "get_account_authorization_details", account)
        found.pop("ResponseMetadata", None)
        for kind, made, rows in (("UserName", USERS, found["UserDetailList"]),
                                 ("RoleName", ROLES, found["RoleDetailList"])):
            for row in rows:
                limit = made[row[kind]].get("boundary") if row[kind] in made else None
                if limit:
                    row["PermissionsBoundary"] = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy",
                                                  "PermissionsBoundaryArn": iam("policy", limit)}
        attached = Counter(p["PolicyArn"] for part in ("UserDetailList", "GroupDetailList", "RoleDetailList")
                           for row in found[part] for p in row["AttachedManagedPolicies"])
        if AWS_MANAGED in attached:
            policy = self.root("iam", "get_policy", account, PolicyArn=AWS_MANAGED)["Policy"]
            found["Policies"].append({**policy, "PolicyVersionList": [self.aws_managed]})
        for policy in found["Policies"]:
            known = self.root("iam", "get_policy", account, PolicyArn=policy["Arn"])["Policy"]
            policy.setdefault("CreateDate", known["CreateDate"])
            policy.setdefault("UpdateDate", known.get("UpdateDate", known["CreateDate"]))
            policy["AttachmentCount"], policy["IsAttachable"] = attached[policy["Arn"]], True
            policy["PermissionsBoundaryUsageCount"] = sum(
                r.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") == policy["Arn"]
                for r in found["UserDetailList"] + found["RoleDetailList"])
            for version in policy["PolicyVersionList"]:
                version.setdefault("CreateDate", policy["CreateDate"])
        return found

    def write(self, out):
        def lines(name, rows):
            (out / name).write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
        lines("cases.jsonl", self.cases)
        lines("calls.jsonl", self.calls)
        iso = lambda value: value.isoformat() if isinstance(value, dt.datetime) else str(value)
        for account in (A, B):
            (out / f"gaad-{account}.json").write_text(json.dumps(self.details(account), indent=1, default=iso) + "\n")
        known = {name: {"reason": reason, "page": page, "cases": self.known.get(name, [])}
                 for name, (reason, page) in sorted(KNOWN.items())}
        (out / "known.json").write_text(json.dumps(known, indent=1) + "\n")
        (out / "KNOWN.md").write_text(self.known_page())
        page = HERE / "KNOWN.md"
        if not page.exists() or page.read_text() != self.known_page():
            self.problems.append(f"KNOWN.md is out of date: cp {out}/KNOWN.md {page}")
        unused = [name for name, entry in known.items() if not entry["cases"]]
        if unused:
            self.problems.append(f"no call shows {', '.join(unused)}")

    def known_page(self):
        text = ["# Where ministack 1.5.33 (AUTH=true) is wrong\n\n",
                "Written by wire.py out of KNOWN and the calls of world.py; do not edit. In these cases `expected`\n",
                "is AWS's answer by the page named and `observed` is ministack's.\n"]
        for name, (reason, page) in sorted(KNOWN.items()):
            text.append(f"\n## {name}\n{reason}\n<{page}>\n\n")
            text += [f"- `{case}`\n" for case in self.known.get(name, [])]
        return "".join(text)

    def summary(self):
        wrong = sum("emulator_wrong" in c for c in self.cases)
        return (f"{self.counter} calls ({self.outcomes['allowed']} allowed, {self.outcomes['denied']} denied), "
                f"{len(self.cases)} cases, {wrong} where the emulator is known to be wrong")
