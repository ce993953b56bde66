"""Worlds for collect.py: built with boto3 through the front, and written down as they were built.

`World.iam[account]`, `.organization`, `.center` hold what the servers must tell later, in the forms of
collect_check.py; `.resources[account]` and `.public_keys` in those of collect_resources.py.
"""

import concurrent.futures
import gzip
import io
import json
import random
import time
import zlib
from dataclasses import dataclass

import collect_resources

ROLE = "jitscan-collect"
EXTERNAL_ID = "collect-7"
USER = "collector"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
# Text that breaks careless decoding: percent signs that are meant, plus signs, other scripts, quotes.
ODD = ["100%25 sûr", "a+b %2B c", "漢字/日本", "Größe “quoted”", "back\\slash \"q\"", "%7B%22x%22%7D", "plain"]
THREADS = 3


@dataclass
class Size:
    """How much of everything."""
    accounts: int = 3           # the management account included
    users: int = 8              # in the management account; the members' come on top
    roles: int = 8
    member_users: int = 2       # in each member
    member_roles: int = 2
    policies: int = 4
    groups: int = 2
    sets: int = 4
    assignments: int = 12
    people: int = 4
    teams: int = 2
    policies_of_org: int = 2    # of each type
    events: int = 60


BIG = Size(accounts=60, users=264, roles=264, member_users=4, member_roles=4, policies=60, groups=12, sets=40,
           assignments=2000, people=120, teams=25, policies_of_org=8, events=300)
SMALL = Size()
MANY = Size(accounts=14, users=4, roles=4, member_users=3, member_roles=3, sets=2, assignments=6)


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def odd_policy(number, action="s3:GetObject"):
    return policy({"Sid": f"S{number}", "Effect": "Allow", "Action": [action, "sqs:*"],
                   "Resource": f"arn:aws:s3:::bucket-{number}/{ODD[number % len(ODD)]}/*",
                   "Condition": {"StringLike": {"aws:PrincipalTag/team": [ODD[(number + 1) % len(ODD)], "x"]},
                                 "Bool": {"aws:SecureTransport": "true"}}},
                  {"Effect": "Deny", "NotAction": "iam:Get*", "Resource": "*",
                   "Condition": {"IpAddress": {"aws:SourceIp": f"10.{number % 250}.0.0/16"}}})


def text(document):
    return json.dumps(document, ensure_ascii=False)


def tags(number):
    # No & or <: ministack writes tags into its XML without escaping.
    return {"team": ODD[number % len(ODD)].replace("\\", "/").replace('"', "'"), "owner": f"o{number % 7}@x.example"}


def tag_list(of):
    return [{"Key": key, "Value": value} for key, value in of.items()]


def in_parallel(jobs):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


class World:
    def __init__(self, servers, size):
        self.servers, self.size, self.management = servers, size, servers.account
        self.random = random.Random(7)
        self.iam, self.members, self.keys, self.trail_arns, self.buckets = {}, [], [], {}, {}
        self.organization = {"units": {}, "accounts": {}, "policies": {}}
        self.center = {"sets": {}, "assignments": set(), "memberships": set(), "users": {}, "groups": {}}

    def client(self, service, account=None, region="us-east-1"):
        return self.servers.client(service, account or self.management, region)

    def build(self):
        started = time.monotonic()
        self.build_organization()
        self.build_caller()
        accounts = [self.management] + self.members
        for account in accounts:
            self.iam.setdefault(account, {"users": {}, "roles": {}, "groups": {}, "policies": {}})
        in_parallel([lambda account=account, index=index: self.build_iam(account, index)
                     for index, account in enumerate(accounts)])
        self.build_center()
        self.build_trails()
        self.build_fixtures()
        collect_resources.build(self)
        collect_resources.build_keys(self)
        self.seconds = time.monotonic() - started
        return self

    # -------------------------------------------------------- organisation

    def build_organization(self):
        org = self.client("organizations")
        org.create_organization(FeatureSet="ALL")
        self.root = org.list_roots()["Roots"][0]["Id"]
        for kind in ("SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"):
            org.enable_policy_type(RootId=self.root, PolicyType=kind)
        units = []
        for top in range(3):
            parent, path = self.root, ""
            for depth in range(3):
                name = f"ou-{top}-{depth}"
                path = f"{path}/{name}"
                parent_id, parent = parent, org.create_organizational_unit(
                    ParentId=parent, Name=name)["OrganizationalUnit"]["Id"]
                units.append(parent)
                self.organization["units"][parent] = {"Name": name, "ParentId": parent_id}
        for number in range(1, self.size.accounts):
            account = org.create_account(AccountName=f"Konto {number:02d} ü", Email=f"a{number}@x.example"
                                         )["CreateAccountStatus"]["AccountId"]
            parent = ([self.root] + units)[number % (len(units) + 1)]
            if parent != self.root:
                org.move_account(AccountId=account, SourceParentId=self.root, DestinationParentId=parent)
            self.members.append(account)
            self.organization["accounts"][account] = {"Name": f"Konto {number:02d} ü", "ParentId": parent}
        for kind, short in (("SERVICE_CONTROL_POLICY", "scp"), ("RESOURCE_CONTROL_POLICY", "rcp")):
            for number in range(self.size.policies_of_org):
                document = policy({"Sid": f"D{number}", "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*",
                                   "Condition": {"StringNotLike": {"aws:PrincipalArn": ODD[number % len(ODD)]}},
                                   **({"Principal": "*"} if short == "rcp" else {})})
                made = org.create_policy(Content=text(document), Description=f"Beschreibung ü {number}", Type=kind,
                                         Name=f"{short}-{number}")["Policy"]["PolicySummary"]
                targets = self.random.sample([self.root] + units + self.members, min(3, len(self.members)))
                for target in targets:
                    org.attach_policy(PolicyId=made["Id"], TargetId=target)
                self.organization["policies"][made["Id"]] = {
                    "Name": made["Name"], "Type": kind, "Content": document, "Targets": sorted(targets)}

    def build_caller(self):
        """The user that runs jitscan, with no more than it may need, and the role that it assumes in the members."""
        iam = self.client("iam")
        self.iam[self.management] = {"users": {}, "roles": {}, "groups": {}, "policies": {}}
        reads = ["iam:Get*", "iam:List*", "iam:Generate*", "sts:AssumeRole"]
        document = policy({"Effect": "Allow", "Action": reads, "Resource": "*"})
        iam.create_user(UserName=USER)
        iam.put_user_policy(UserName=USER, PolicyName="collect", PolicyDocument=text(document))
        self.iam[self.management]["users"][USER] = user_record(USER, "/", inline={"collect": document})
        key = iam.create_access_key(UserName=USER)["AccessKey"]
        self.caller = {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}
        self.keys.append(key["AccessKeyId"])
        trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole",
                        "Principal": {"AWS": f"arn:aws:iam::{self.management}:root"},
                        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}})
        rights = policy({"Effect": "Allow", "Action": reads[:3], "Resource": "*"})
        for account in self.members:
            iam = self.client("iam", account)
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=text(trust))
            iam.put_role_policy(RoleName=ROLE, PolicyName="collect", PolicyDocument=text(rights))
            role = role_record(ROLE, "/", trust, inline={"collect": rights})
            self.iam[account] = {"users": {}, "roles": {ROLE: role}, "groups": {}, "policies": {}}

    # -------------------------------------------------------- IAM of one account

    def build_iam(self, account, index):
        iam, made, size = self.client("iam", account), self.iam[account], self.size
        home = account == self.management
        arns = []
        for number in range(size.policies if home else 2):
            arns.append(self.managed_policy(iam, made, account, number))
        for number in range(size.groups if home else 1):
            self.group(iam, made, number, arns)
        for number in range(size.users if home else size.member_users):
            self.user(iam, made, number, arns, index)
        for number in range(size.roles if home else size.member_roles):
            self.role(iam, made, account, number, arns)
        if index < 2:
            iam.update_account_password_policy(MinimumPasswordLength=14, RequireSymbols=True, MaxPasswordAge=90)
        if home:
            iam.create_saml_provider(Name="idp", SAMLMetadataDocument="<EntityDescriptor>" + "x" * 1000
                                     + "</EntityDescriptor>")
            iam.create_open_id_connect_provider(Url="https://token.actions.example.com", ClientIDList=["sts"],
                                                ThumbprintList=["0" * 40])
            serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]["SerialNumber"]
            iam.enable_mfa_device(UserName="user-0000", SerialNumber=serial, AuthenticationCode1="123456",
                                  AuthenticationCode2="234567")
            self.mfa = serial

    @staticmethod
    def managed_policy(iam, made, account, number):
        name, path = f"policy-{number:03d}", "/team/sub/" if number % 3 == 0 else "/"
        first = odd_policy(number)
        arn = iam.create_policy(PolicyName=name, Path=path, PolicyDocument=text(first))["Policy"]["Arn"]
        versions, default = {"v1": first}, "v1"
        for later in range(number % 4):  # up to four versions; the default is the last but for every other policy
            document = odd_policy(number + later + 1, "ec2:StartInstances")
            version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(document),
                                                SetAsDefault=number % 2 == 0)["PolicyVersion"]["VersionId"]
            versions[version] = document
            default = version if number % 2 == 0 else default
        made["policies"][arn] = {"PolicyName": name, "Path": path, "DefaultVersionId": default, "versions": versions}
        return arn

    @staticmethod
    def group(iam, made, number, arns):
        name, path = f"group-{number:02d}", "/groups/" if number % 2 else "/"
        iam.create_group(GroupName=name, Path=path)
        document = odd_policy(number + 3)
        iam.put_group_policy(GroupName=name, PolicyName="inline", PolicyDocument=text(document))
        iam.attach_group_policy(GroupName=name, PolicyArn=arns[number % len(arns)])
        made["groups"][name] = {"Path": path, "inline": {"inline": document}, "attached": {arns[number % len(arns)]}}

    def user(self, iam, made, number, arns, index):
        name, path = f"user-{number:04d}", "/staff/" if number % 5 == 0 else "/"
        record = user_record(name, path, tags=tags(number) if number % 3 == 0 else {})
        more = {"Tags": tag_list(record["tags"])} if record["tags"] else {}
        if number % 10 == 1:
            record["boundary"] = more["PermissionsBoundary"] = arns[0]
        iam.create_user(UserName=name, Path=path, **more)
        if number % 2 == 0:
            record["inline"]["own"] = odd_policy(number)
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=text(record["inline"]["own"]))
        if number % 4 == 0:
            arn = arns[number % len(arns)]
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
            record["attached"].add(arn)
        if number % 3 == 1:
            group = sorted(made["groups"])[number % len(made["groups"])]
            iam.add_user_to_group(UserName=name, GroupName=group)
            record["groups"].add(group)
        if number % 25 == 0:
            key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
            self.keys.append(key)
            if number:
                iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
        made["users"][name] = record

    @staticmethod
    def role(iam, made, account, number, arns):
        name, path = f"role-{number:04d}", "/service-role/" if number % 4 == 0 else "/"
        trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole",
                        "Principal": {"AWS": f"arn:aws:iam::{account}:root"} if number % 2 else
                        {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]},
                        **({"Condition": {"StringEquals": {"sts:ExternalId": ODD[number % len(ODD)]}}}
                           if number % 2 else {})})
        record = role_record(name, path, trust, tags=tags(number) if number % 4 == 1 else {})
        more = {"Tags": tag_list(record["tags"])} if record["tags"] else {}
        if number % 8 == 1:
            record["boundary"] = more["PermissionsBoundary"] = arns[-1]
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=text(trust),
                        MaxSessionDuration=7200 if number % 2 else 3600, **more)
        if number % 2 == 0:
            record["inline"]["do"] = odd_policy(number, "dynamodb:PutItem")
            iam.put_role_policy(RoleName=name, PolicyName="do", PolicyDocument=text(record["inline"]["do"]))
        if number % 3 == 0:
            arn = READ_ONLY if number % 9 == 0 else arns[number % len(arns)]
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
            record["attached"].add(arn)
        if number % 50 == 5:
            iam.create_instance_profile(InstanceProfileName=f"profile-{number}")
            iam.add_role_to_instance_profile(InstanceProfileName=f"profile-{number}", RoleName=name)
            record["profiles"].add(f"profile-{number}")
        made["roles"][name] = record

    # -------------------------------------------------------- Identity Center

    def build_center(self):
        sso, store = self.client("sso-admin"), self.client("identitystore")
        instance = sso.list_instances()["Instances"][0]
        self.instance, self.store_id, size = instance["InstanceArn"], instance["IdentityStoreId"], self.size
        people, teams = [], []
        for number in range(size.people):
            people.append(store.create_user(
                IdentityStoreId=self.store_id, UserName=f"person{number}@x.example", DisplayName=f"Përson {number} 漢",
                Name={"GivenName": f"P{number}", "FamilyName": ODD[0]},
                Emails=[{"Value": f"person{number}@x.example", "Type": "work", "Primary": True}])["UserId"])
            self.center["users"][people[-1]] = f"person{number}@x.example"
        for number in range(size.teams):
            teams.append(store.create_group(IdentityStoreId=self.store_id, DisplayName=f"Team {number} ü",
                                            Description=f"team {number}")["GroupId"])
            self.center["groups"][teams[-1]] = f"Team {number} ü"
            for person in self.random.sample(people, min(5, len(people))):
                store.create_group_membership(IdentityStoreId=self.store_id, GroupId=teams[-1],
                                              MemberId={"UserId": person})
                self.center["memberships"].add((teams[-1], person))
        sets = []
        for number in range(size.sets):
            more = {} if number % 3 else {"SessionDuration": f"PT{number % 12 + 1}H"}
            arn = sso.create_permission_set(InstanceArn=self.instance, Name=f"set-{number}",
                                            Description=f"Satz ü {number}", **more)["PermissionSet"]["PermissionSetArn"]
            sets.append(arn)
            self.permission_set(sso, arn, number, more.get("SessionDuration"))
        accounts, targets = [self.management] + self.members, []
        # About three principals share an account and a permission set, as groups of a team do.
        pairs = [(account, arn) for account in accounts for arn in sets]
        self.random.shuffle(pairs)
        for account, arn in pairs[:max(1, size.assignments // 3 + 1)]:
            for kind, principal in [("GROUP", self.random.choice(teams)), ("USER", self.random.choice(people)),
                                    ("USER", self.random.choice(people)), ("GROUP", self.random.choice(teams))]:
                entry = (account, arn, kind, principal)
                if entry not in self.center["assignments"] and len(self.center["assignments"]) < size.assignments:
                    self.center["assignments"].add(entry)
                    targets.append(entry)
        in_parallel([lambda entry=entry: sso.create_account_assignment(
            InstanceArn=self.instance, TargetId=entry[0], TargetType="AWS_ACCOUNT", PermissionSetArn=entry[1],
            PrincipalType=entry[2], PrincipalId=entry[3]) for entry in targets])

    def permission_set(self, sso, arn, number, duration):
        where = {"InstanceArn": self.instance, "PermissionSetArn": arn}
        record = {"Name": f"set-{number}", "Description": f"Satz ü {number}", "SessionDuration": duration,
                  "managed": set(), "customer": set(), "inline": None, "boundary": None,
                  "tags": {f"key {at}": f"Wert ü {at}" for at in range(number % 3)}}
        if number % 2 == 0:
            sso.attach_managed_policy_to_permission_set(ManagedPolicyArn=READ_ONLY, **where)
            record["managed"].add(READ_ONLY)
        if number % 4 == 1:
            sso.attach_customer_managed_policy_reference_to_permission_set(
                CustomerManagedPolicyReference={"Name": f"policy-{number:03d}", "Path": "/team/"}, **where)
            record["customer"].add((f"policy-{number:03d}", "/team/"))
        if number % 3 == 0:
            record["inline"] = odd_policy(number)
            sso.put_inline_policy_to_permission_set(InlinePolicy=text(record["inline"]), **where)
        if number % 5 == 0:
            record["boundary"] = {"ManagedPolicyArn": READ_ONLY} if number % 10 else {
                "CustomerManagedPolicyReference": {"Name": "edge", "Path": "/"}}
            sso.put_permissions_boundary_to_permission_set(PermissionsBoundary=record["boundary"], **where)
        if record["tags"]:  # moto keeps none; the front does
            sso.tag_resource(InstanceArn=self.instance, ResourceArn=arn,
                             Tags=[{"Key": key, "Value": value} for key, value in record["tags"].items()])
        self.center["sets"][arn] = record

    # -------------------------------------------------------- trails, events, what only the front has

    def build_trails(self):
        """The first account has a multi-region trail, the second one of a region with advanced selectors; the others
        have none, so their events come from LookupEvents."""
        for index, account in enumerate(([self.management] + self.members)[:2]):
            bucket, trail = f"trail-{account}", self.client("cloudtrail", account)
            self.client("s3", account).create_bucket(Bucket=bucket)
            arn = trail.create_trail(Name=f"trail-{index}", S3BucketName=bucket, IsMultiRegionTrail=index == 0,
                                     IncludeGlobalServiceEvents=True)["TrailARN"]
            trail.start_logging(Name=arn)
            if index == 0:
                trail.put_event_selectors(TrailName=arn, EventSelectors=[
                    {"ReadWriteType": "All", "IncludeManagementEvents": True,
                     "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::secrets/"]}]}])
            else:
                trail.put_event_selectors(TrailName=arn, AdvancedEventSelectors=[
                    {"Name": "management ü", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}])
            self.trail_arns[account], self.buckets[account] = arn, bucket
            put_logs(self.client("s3", account), bucket, account,
                     events(account, self.size.events, seed=index, regions=("us-east-1",)))

    def build_fixtures(self):
        given = {"events": {}, "analyzers": {}, "findings": {}, "last_accessed": {}}
        for index, account in enumerate(self.members[1:4]):
            made = events(account, self.size.events, seed=index + 10)
            given["events"][account] = {region: [event for event in made if event["awsRegion"] == region]
                                        for region in ("us-east-1", "eu-west-1")}
        for account in [self.management] + self.members[:2]:
            arn = f"arn:aws:access-analyzer:us-east-1:{account}:analyzer/outer"
            given["analyzers"][account] = {"us-east-1": [
                {"arn": arn, "name": "outer", "type": "ACCOUNT", "createdAt": "2026-01-01T00:00:00Z",
                 "status": "ACTIVE"}]}
            given["findings"][arn] = [finding(account, number) for number in range(5)]
        self.servers.control("fixtures", given)
        self.findings = [found["id"] for arn in given["findings"] for found in given["findings"][arn]
                         if found["status"] == "ACTIVE"]


def user_record(name, path, inline=None, tags=None):
    return {"Path": path, "inline": dict(inline or {}), "attached": set(), "groups": set(), "tags": dict(tags or {}),
            "boundary": None}


def role_record(name, path, trust, inline=None, tags=None):
    return {"Path": path, "trust": trust, "inline": dict(inline or {}), "attached": set(), "tags": dict(tags or {}),
            "boundary": None, "profiles": set()}


def finding(account, number):
    return {"id": f"{account}-{number}", "resource": f"arn:aws:iam::{account}:role/role-{number:04d}",
            "resourceType": "AWS::IAM::Role", "resourceOwnerAccount": account, "findingType": "ExternalAccess",
            "createdAt": "2026-02-01T00:00:00Z", "updatedAt": "2026-02-02T00:00:00Z",
            "analyzedAt": "2026-02-02T00:00:00Z",
            "status": "ACTIVE" if number % 2 == 0 else "RESOLVED",
            "findingDetails": [{"externalAccessDetails": {
                "action": ["sts:AssumeRole"], "condition": {}, "isPublic": False,
                "principal": {"AWS": "arn:aws:iam::999999999999:root"}}}]}


def events(account, count, seed=0, regions=("us-east-1", "eu-west-1")):
    """CloudTrail records of management events of the last ten days."""
    chance, made, now = random.Random(seed), [], int(time.time()) - 3600
    names = [("iam.amazonaws.com", "ListRoles", True), ("iam.amazonaws.com", "CreateRole", False),
             ("s3.amazonaws.com", "ListBuckets", True), ("ec2.amazonaws.com", "RunInstances", False),
             ("sts.amazonaws.com", "AssumeRole", True)]
    for number in range(count):
        source, name, reads = names[number % len(names)]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - chance.randrange(10 * 86400)))
        if number % 3:
            who = {"type": "IAMUser", "principalId": f"AIDA{account}", "accountId": account, "userName": "user-0000",
                   "arn": f"arn:aws:iam::{account}:user/staff/user-0000", "accessKeyId": "AKIA0000000000000001"}
        else:
            role = f"arn:aws:iam::{account}:role/role-0001"
            who = {"type": "AssumedRole", "principalId": f"AROA{account}:s", "accountId": account,
                   "arn": f"arn:aws:sts::{account}:assumed-role/role-0001/s", "accessKeyId": "ASIA0000000000000001",
                   "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": f"AROA{account}", "arn": role,
                                                        "accountId": account, "userName": "role-0001"},
                                      "attributes": {"creationDate": at, "mfaAuthenticated": "false"}}}
        record = {"eventVersion": "1.09", "userIdentity": who, "eventTime": at, "eventSource": source,
                  "eventName": name,
                  "awsRegion": regions[number % len(regions)], "sourceIPAddress": "192.0.2.7", "userAgent": "ü/1",
                  "requestParameters": {"roleName": f"r{number}"} if not reads else None, "responseElements": None,
                  "requestID": f"{seed}-{number}", "eventID": f"{chance.getrandbits(128):032x}", "readOnly": reads,
                  "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": account,
                  "eventCategory": "Management"}
        if number % 7 == 0:
            record.update(errorCode="AccessDenied", errorMessage="not authorized – nein")
        if name == "AssumeRole":
            record["resources"] = [{"accountId": account, "type": "AWS::IAM::Role",
                                    "ARN": f"arn:aws:iam::{account}:role/role-0001"}]
        made.append(record)
    return made


def put_logs(s3, bucket, account, records):
    """The records as CloudTrail delivers them, a file for a region and a day."""
    files = {}
    for record in records:
        files.setdefault((record["awsRegion"], record["eventTime"][:10]), []).append(record)
    for (region, day), held in sorted(files.items()):
        body = io.BytesIO()
        with gzip.GzipFile(fileobj=body, mode="wb", mtime=0) as packed:
            packed.write(json.dumps({"Records": held}, ensure_ascii=False).encode())
        name = f"{account}_CloudTrail_{region}_{day.replace('-', '')}T2355Z_{zlib.crc32((region + day).encode()):016d}"
        s3.put_object(Bucket=bucket, Body=body.getvalue(),
                      Key=f"AWSLogs/{account}/CloudTrail/{region}/{day.replace('-', '/')}/{name}.json.gz")
    return len(files)
