"""The organisation: its accounts and everything in them that may call AWS, before anybody has called anything."""

import json
from dataclasses import dataclass, field
from random import Random

from access import SETS, managed_arn
from workloads import (AUDIT_CALLS, AUDIT_POLICY, BROAD, CARELESS, DEPLOY_CALLS, DEPLOY_POLICY, KINDS, LINKED,
                       OPS_CALLS, OPS_POLICY, Call, allow, calls, document)

REGIONS = ["eu-west-1", "us-east-1"]
PRODUCTS = "payments orders catalogue search identity logistics billing pricing mobile reviews content fraud".split()
NOUNS = """ledger intake export router index sync quotes refunds mailer profile cart stock labels tracking report
session audit archive images feed ranking events limits partner invoice tax rates claims offers notify webhook replay
planner loader cache gateway batch digest scoring""".split()
PARENTS = {"management": "root", "security": "Security", "logs": "Security", "shared": "Infrastructure",
           "prod": "Production", "staging": "Staging", "dev": "Development", "sandbox": "Sandbox"}
# How many principals an account of a kind has, beside each other.
WEIGHTS = {"management": 0.3, "security": 0.7, "logs": 0.2, "shared": 3, "prod": 3, "staging": 2, "dev": 2,
           "sandbox": 2}
# Shares of applications by when they work.
RHYTHMS = {"daily": 62, "workdays": 15, "weekly": 5, "quarter": 2, "year": 1, "retired": 5, "new": 2, "never": 8}


def identifier(rng, prefix, length=17):
    """An id as IAM makes them."""
    return prefix + "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=length))


@dataclass
class Work:
    """What a principal does, and when."""
    calls: list[Call]
    rhythm: str
    region: str
    second: int  # of the day, when it begins
    since: int = 0  # day, for `new`
    until: int = 0  # day, for `retired`


@dataclass
class Role:
    """A role; `service` names what assumes it, where that is one."""
    name: str
    account: str
    id: str
    created: str
    trust: dict
    service: str = ""
    path: str = "/"
    inline: dict = field(default_factory=dict)
    managed: list = field(default_factory=list)
    boundary: str = ""
    work: Work | None = None

    @property
    def arn(self):
        """Its ARN."""
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


@dataclass
class User:
    """An IAM user: of the person with the address `owner`, who has a password, or of a program, which has a key."""
    name: str
    account: str
    id: str
    key: str
    created: str
    owner: str
    groups: list
    inline: dict
    work: Work | None

    @property
    def arn(self):
        """Its ARN."""
        return f"arn:aws:iam::{self.account}:user/{self.name}"


@dataclass
class Hop:
    """A role that a role of another account assumes on most days."""
    origin: Role
    target: Role
    rhythm: str
    second: int


@dataclass
class Account:
    """An account and what is in it."""
    id: str
    name: str
    kind: str
    product: str = ""
    roles: list = field(default_factory=list)
    users: list = field(default_factory=list)
    policies: dict = field(default_factory=dict)  # customer managed, by name
    groups: dict = field(default_factory=dict)  # names of AWS managed or own policies, by name of the group
    hops: list = field(default_factory=list)  # into and out of it
    sets: dict = field(default_factory=dict)  # roles of permission sets, by name of the set
    management: str = ""
    saml: str = ""

    def policy(self, name, statements):
        """Adds a customer managed policy and returns its ARN."""
        self.policies[name] = statements
        return f"arn:aws:iam::{self.id}:policy/{name}"


def accounts(seed, count):
    """The accounts of an organisation: four of its own, one of each stage for every product, the rest sandboxes."""
    rng = Random(f"{seed}/accounts")
    planned = [("tessel-management", "management", ""), ("security-tooling", "security", ""),
               ("log-archive", "logs", ""), ("shared-services", "shared", "")]
    for product in PRODUCTS[:max(1, (count - 4) // 3)]:
        planned += [(f"{stage}-{product}", stage, product) for stage in ("prod", "staging", "dev")]
    more = max(1, count - len(planned))
    planned += [("sandbox" if more == 1 else f"sandbox-{n + 1}", "sandbox", "") for n in range(more)]
    ids = rng.sample(range(10**11, 10**12), len(planned))
    return [Account(str(number), *of) for number, of in zip(ids, planned)]


def filled(statements, app, account, region):
    """Statements of an application's own."""
    text = json.dumps(statements).replace("{app}", app).replace("{account}", account).replace("{region}", region)
    return json.loads(text)


def trusts(kind, who, condition=None, action="sts:AssumeRole"):
    """A trust policy."""
    one = {"Effect": "Allow", "Principal": {kind: who}, "Action": action}
    return document({**one, "Condition": condition} if condition else one)


class Builder:
    """Fills one account."""

    def __init__(self, seed, account, days):
        self.rng = Random(f"{seed}/{account.id}")
        self.account = account
        self.days = days

    def date(self, first=2021, last=2024):
        """A day of the past."""
        rng = self.rng
        day = f"{rng.randint(first, last)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        return f"{day}T{rng.randint(8, 17):02}:00:00+00:00"

    def role(self, name, trust, **more):
        """Adds a role."""
        role = Role(name, self.account.id, identifier(self.rng, "AROA"), self.date(), trust, **more)
        self.account.roles.append(role)
        return role

    def work(self, kind_calls, app, rhythm=None, region=None, least=3):
        """Some of the calls of a kind, filled in, at some time."""
        rng = self.rng
        region = region or rng.choices(REGIONS, [7, 3])[0]
        chosen = rng.sample(kind_calls, rng.randint(min(least, len(kind_calls)), len(kind_calls)))
        own = [call._replace(request=call.request.replace("{app}", app).replace("{account}", self.account.id)
                             .replace("{region}", region)) for call in chosen]
        rhythm = rhythm or rng.choices(list(RHYTHMS), RHYTHMS.values())[0]
        return Work(own, rhythm, region, rng.randrange(60, 64_000), self.days - rng.randint(5, 60),
                    rng.randrange(self.days // 3, self.days))

    def service(self, name, service, managed, rhythm="never", kind_calls=(), **more):
        """Adds a role of a service with AWS managed policies."""
        work = self.work(list(kind_calls), name, rhythm) if kind_calls else None
        return self.role(name, trusts("Service", service), service=service,
                         managed=[managed_arn(one) for one in managed], work=work, **more)

    def standard(self, management, saml):
        """The roles that every account has, and in most kinds of accounts those of some administrators."""
        account, rng = self.account, self.rng
        account.management = management
        account.saml = f"arn:aws:iam::{account.id}:saml-provider/AWSSSO_{saml}_DO_NOT_DELETE"
        for name, service, policy, linked_calls in LINKED:
            self.role(name, trusts("Service", service), service=service, path=f"/aws-service-role/{service}/",
                      managed=[managed_arn(f"aws-service-role/{policy}")],
                      work=self.work(linked_calls, name, "daily", least=9) if linked_calls else None)
        if account.id != management:
            self.role("OrganizationAccountAccessRole", trusts("AWS", f"arn:aws:iam::{management}:root"),
                      managed=[managed_arn("AdministratorAccess")])
        if account.kind not in ("prod", "staging", "dev", "sandbox", "shared"):
            return
        stacks = next(kind.calls for kind in KINDS if kind.name == "stack")
        own = f"arn:aws:iam::{account.id}:root"
        people = {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{account.id}:role/aws-reserved/sso.amazonaws.com/*"}}
        self.service("cfn-execution", "cloudformation.amazonaws.com", ["AdministratorAccess"], "workdays", stacks)
        self.role("break-glass", trusts("AWS", own, people), managed=[managed_arn("AdministratorAccess")])
        if account.kind == "prod":
            self.role("shared-ops", trusts("AWS", own, people), inline={"operate": OPS_POLICY},
                      work=self.work(OPS_CALLS, "main", "never"))
        else:
            self.role("stage-admin", trusts("AWS", own), managed=[managed_arn("AdministratorAccess")])
            self.role("stage-tools", trusts("AWS", own), inline={"tools": document(*CARELESS[0])})
        for service in ("ec2", "lambda", "ecs-tasks", "glue"):
            if rng.random() < 0.4:
                self.service(f"bootstrap-{service}", f"{service}.amazonaws.com", ["AdministratorAccess"])

    def broad(self):
        """Groups of users, and policies that teams attach because they are there; returns the latter."""
        arns = {name: self.account.policy(name, statements) for name, statements in BROAD.items()}
        self.account.groups = {"legacy-admins": [managed_arn("AdministratorAccess")],
                               "legacy-readers": [managed_arn("ReadOnlyAccess")], "robots": [arns.pop("robots")]}
        del arns["no-identities"]
        return list(arns.values())

    def application(self, number, broad):
        """Adds an application's role with two to four policies."""
        rng, account = self.rng, self.account
        kind = rng.choices(KINDS, [one.share for one in KINDS])[0]
        app = f"{account.product or account.kind}-{NOUNS[number % len(NOUNS)]}"
        app += f"-{number // len(NOUNS)}" if number >= len(NOUNS) else ""
        work = self.work(kind.calls, app)
        cluster = f"oidc.eks.{work.region}.amazonaws.com/id/{'0A1B2C3D' * 4}"
        trust = trusts("Service", kind.service) if kind.service else trusts(
            "Federated", f"arn:aws:iam::{account.id}:oidc-provider/{cluster}",
            {"StringEquals": {f"{cluster}:aud": "sts.amazonaws.com"}}, "sts:AssumeRoleWithWebIdentity")
        role = self.role(f"{app}-{kind.name}", trust, service=kind.service, work=work)
        role.created = self.date(2021, 2024)
        first, *others = (filled(one, app, account.id, work.region) for one in kind.policies)
        role.managed = [account.policy(f"{app}-{kind.name}", first)] + [managed_arn(one) for one in kind.managed]
        role.inline = {f"more-{n}": one for n, one in enumerate(others)}
        luck = rng.random()
        if luck < 0.05:
            role.inline["hurry"] = filled(document(*rng.choice(CARELESS)), app, account.id, work.region)
        elif luck < 0.25:
            role.managed.append(rng.choice(broad))
        elif luck < 0.29:
            role.managed.append(managed_arn(rng.choice(["ReadOnlyAccess", "ReadOnlyAccess", "PowerUserAccess"])))
        if account.kind == "prod" and rng.random() < 0.1:
            role.boundary = f"arn:aws:iam::{account.id}:policy/no-identities"

    def user(self, number, people):
        """Adds an IAM user: most are programs of before there were roles, some are people who kept theirs."""
        rng, account = self.rng, self.account
        owner = rng.choice(people) if rng.random() < 0.2 else None
        kind = rng.choice(KINDS[:5])
        name = f"{account.name}-{rng.choice(['robot', 'ci', 'vendor'])}-{number}"
        name = f"{owner.login}-{account.name}" if owner else name
        rhythm = rng.choices(["daily", "workdays", "retired", "never"], [4, 3, 1, 2])[0]
        inline, groups = {}, []
        if owner:
            groups = [rng.choice(["legacy-admins", "legacy-readers", "legacy-readers", "legacy-readers"])]
        else:
            inline = {f"access-{n}": filled(one, name, account.id, "eu-west-1") for n, one in enumerate(kind.policies)}
            groups = ["robots"] if rng.random() < 0.5 else []
        if rng.random() < 0.08:
            inline["hurry"] = filled(document(*rng.choice(CARELESS)), name, account.id, "eu-west-1")
        kind_calls = USER_CALLS if owner else kind.calls
        account.users.append(User(name, account.id, identifier(rng, "AIDA"), identifier(rng, "AKIA", 16),
                                  self.date(2019, 2023), owner.email if owner else "", groups, inline,
                                  self.work(kind_calls, name, rhythm)))


USER_CALLS = calls("""
ec2 DescribeInstances r {"instancesSet":{},"filterSet":{}}
s3 ListBuckets r
iam ListRoles r
rds DescribeDBInstances r
monitoring DescribeAlarms r
""")


def permission_set_role(builder, one):
    """Adds the role of a permission set to an account that it is assigned to."""
    account, rng = builder.account, builder.rng
    trust = trusts("Federated", account.saml, {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
                   ["sts:AssumeRoleWithSAML", "sts:TagSession"])
    role = builder.role(f"AWSReservedSSO_{one.name}_{rng.getrandbits(64):016x}", trust,
                        path="/aws-reserved/sso.amazonaws.com/", managed=[managed_arn(name) for name in one.managed])
    if one.inline:
        role.inline = {"AwsSSOInlinePolicy": one.inline}
    account.sets[one.name] = role


def tools(found, builders):
    """Roles of tools that reach into other accounts: a deployer for each product, and a scanner for all accounts."""
    by_kind = {account.kind: account for account in reversed(found)}
    security, shared = by_kind["security"], by_kind["shared"]
    scanner = builders[security.id].service("posture-scanner", "lambda.amazonaws.com", [])
    scanner.inline = {"scan": document(allow("Scan", "sts:AssumeRole", "arn:aws:iam::*:role/security-audit"))}
    deployers = {}
    for account in found:
        builder = builders[account.id]
        ways = []
        if account is not security:
            ways.append((scanner, "security-audit", AUDIT_POLICY, AUDIT_CALLS, "daily"))
        if account.product:
            deployer = deployers.get(account.product)
            if deployer is None:
                deployer = builders[shared.id].service(f"deploy-{account.product}", "codebuild.amazonaws.com", [])
                targets = [f"arn:aws:iam::{one.id}:role/deploy" for one in found if one.product == account.product]
                deployer.inline = {"deploy": document(allow("Deploy", "sts:AssumeRole", " ".join(targets)))}
                deployers[account.product] = deployer
            ways.append((deployer, "deploy", DEPLOY_POLICY, DEPLOY_CALLS, "workdays"))
        for origin, name, policy, its_calls, rhythm in ways:
            target = builder.role(name, trusts("AWS", origin.arn), work=builder.work(its_calls, name, "never", least=4))
            target.inline = {"access": filled(policy, name, account.id, target.work.region)}
            hop = Hop(origin, target, rhythm, builder.rng.randrange(20_000, 60_000))
            account.hops.append(hop)
            (security if origin is scanner else shared).hops.append(hop)


def fill(seed, found, people, principals, days, assignments):
    """Fills accounts with about so many principals, and with the roles of the permission sets that are assigned."""
    management = found[0].id
    builders = {account.id: Builder(seed, account, days) for account in found}
    sets = {one.name: one for one in SETS}
    for account in found:
        builder = builders[account.id]
        builder.standard(management, f"{builder.rng.getrandbits(64):016x}")
        for name in sorted({name for one, name, _ in assignments if one is account}):
            permission_set_role(builder, sets[name])
    tools(found, builders)
    left = principals - sum(len(account.roles) for account in found)
    total = sum(WEIGHTS[account.kind] for account in found)
    for account in found:
        builder = builders[account.id]
        share = max(3, round(left * WEIGHTS[account.kind] / total))
        users = 0 if account.kind in ("management", "logs") else share // 14
        broad = builder.broad()
        for number in range(share - users):
            builder.application(number, broad)
        for number in range(users):
            builder.user(number, people)
