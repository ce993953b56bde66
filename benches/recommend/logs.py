"""CloudTrail's log files of one account.

A record of some principal and call is the same every day but for its times and ids, so it is made once, as a text with
places for these.
"""

import base64
import gzip
import hashlib
import json
import os
from collections import namedtuple
from random import Random

from access import SETS
from people import quarter_end, uuid
from workloads import Call
from world import REGIONS, identifier

BY_NAME = {one.name: one for one in SETS}
# Global services, whose events stand in one region.
GLOBAL = {f"{name}.amazonaws.com" for name in ("iam", "route53", "budgets", "ce", "organizations")}
CLOCK = [f"T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}Z" for at in range(86_400)]
PYTHON = "Boto3/1.40.45 md/Botocore#1.40.45 ua/2.1 os/linux#6.1 md/arch#aarch64 lang/python#3.13.7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
# Share of its days on which a machine works: on some it is down, or nothing comes in.
UP = 0.97
# What differs from event to event: the caller's access key, one that is handed out, when the caller's session began and
# the new one ends, when it happened, and ids.
FIELDS = ("key", "given", "since", "expires", "at", "request", "event", "shared")

# Where and how somebody calls.
Place = namedtuple("Place", "region account agent address")
# A record to be filled in, with the region and the service that it is of.
Text = namedtuple("Text", "region source text")


def template(record):
    """A record as a text with places where its values are `@field@`."""
    text = json.dumps(record, separators=(",", ":")).replace("%", "%%")
    for name in FIELDS:
        text = text.replace(f"@{name}@", f"%({name})s")
    return Text(record["awsRegion"], record["eventSource"], text)


def assumed(role, session, on_behalf=None):
    """The identity of a session of a role."""
    issuer = {"type": "Role", "principalId": role.id, "arn": role.arn, "accountId": role.account,
              "userName": role.name}
    identity = {
        "type": "AssumedRole", "principalId": f"{role.id}:{session}",
        "arn": f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session}", "accountId": role.account,
        "accessKeyId": "@key@",
        "sessionContext": {"sessionIssuer": issuer,
                           "attributes": {"creationDate": "@since@", "mfaAuthenticated": "false"}},
    }
    return {**identity, "onBehalfOf": on_behalf} if on_behalf else identity


def record(identity, call, place, request, response=None, resources=None, **more):
    """A record of a call."""
    region = "us-east-1" if call.source in GLOBAL else place.region
    made = {
        "eventVersion": "1.11", "userIdentity": identity, "eventTime": "@at@", "eventSource": call.source,
        "eventName": call.event, "awsRegion": region, "sourceIPAddress": place.address, "userAgent": place.agent,
        "requestParameters": request, "responseElements": response, "requestID": "@request@", "eventID": "@event@",
        "readOnly": call.read,
    }
    if resources:
        made["resources"] = resources
    made |= {"eventType": "AwsApiCall", "managementEvent": not call.data, "recipientAccountId": place.account,
             "eventCategory": "Data" if call.data else "Management", **more}
    # Services call from within.
    if place.address != place.agent:
        made["tlsDetails"] = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                              "clientProvidedHostHeader": call.source.replace(".amazonaws", f".{region}.amazonaws")}
    return made


def calling(identity, call, place):
    """The text of a call."""
    request = json.loads(call.request.replace("{account}", place.account).replace("{region}", place.region))
    resources = None
    if call.data:
        bucket = f"arn:aws:s3:::{request['bucketName']}"
        resources = [{"type": "AWS::S3::Object", "ARN": f"{bucket}/{request['key']}"},
                     {"accountId": place.account, "type": "AWS::S3::Bucket", "ARN": bucket}]
    return template(record(identity, call, place, request, None, resources))


def entering(identity, role, session, event, place, request=None, **more):
    """The text of assuming a role, which hands out a key."""
    request = {"roleArn": role.arn, "roleSessionName": session, "durationSeconds": 3600, **(request or {})}
    response = {
        "credentials": {"accessKeyId": "@given@", "sessionToken": "IQoJb3JpZ2luX2VjEJ", "expiration": "@expires@"},
        "assumedRoleUser": {"assumedRoleId": f"{role.id}:{session}",
                            "arn": f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session}"},
    }
    resources = [{"accountId": role.account, "type": "AWS::IAM::Role", "ARN": role.arn}]
    call = Call("sts.amazonaws.com", event, True, False, "")
    return template(record(identity, call, place, request, response, resources, **more))


def served(role, session, region):
    """The text of a service that assumes a role of its."""
    place = Place(region, role.account, role.service, role.service)
    return entering({"type": "AWSService", "invokedBy": role.service}, role, session, "AssumeRole", place)


def federated(role, session, place):
    """The text of a pod that assumes a role with a token of its cluster."""
    provider = role.trust["Statement"][0]["Principal"]["Federated"]
    subject = f"system:serviceaccount:apps:{role.name}"
    identity = {"type": "WebIdentityUser", "principalId": f"{provider}:sts.amazonaws.com:{subject}",
                "userName": subject, "identityProvider": provider}
    return entering(identity, role, session, "AssumeRoleWithWebIdentity", place)


def signing_in(identity, place, mfa):
    """The text of an IAM user who signs in to the console."""
    call = Call("signin.amazonaws.com", "ConsoleLogin", False, False, "")
    identity = {name: value for name, value in identity.items() if name != "accessKeyId"}
    made = record(identity, call, place, None, {"ConsoleLogin": "Success"}, additionalEventData={"MFAUsed": mfa})
    return template({**made, "eventType": "AwsConsoleSignIn"})


class Trail:
    """Writes the logs of an account, day by day."""

    def __init__(self, seed, account, people, sessions, organization, identities, out):
        self.rng = Random(f"{seed}/{account.id}/logs")
        self.seed, self.account, self.people, self.sessions = seed, account, people, sessions
        self.organization, self.identities, self.out = organization, identities, out
        self.records, self.files = 0, 0
        self.last = {}  # by ARN when a principal last called, where, and which service
        self.bins = {region: [] for region in REGIONS}
        self.known = {}  # texts by what they are for
        self.machines = [role for role in account.roles if role.work and role.work.rhythm != "never"]

    def emit(self, text, day, second, **values):
        """Adds an event to the files of the day."""
        values |= {"at": day + CLOCK[min(second, 86_399)], "request": uuid(self.rng), "event": uuid(self.rng)}
        self.bins[text.region].append((second, text.text % values))

    def session(self, arn, key, start, calls, day, second, pause):
        """A session: its beginning, unless that is recorded elsewhere, and calls with pauses between them."""
        since = day + CLOCK[second]
        if start:
            expires = day + CLOCK[min(second + 3600, 86_399)]
            self.emit(start, day, second, given=key, key=key, since=since, expires=expires)
        for text in calls:
            second += 1 + int(self.rng.random() * pause)
            self.emit(text, day, second, key=key, since=since)
            self.last[arn] = day + CLOCK[min(second, 86_399)], text.region, text.source

    def key(self):
        """An access key of a session."""
        return identifier(self.rng, "ASIA", 16)

    def machine_texts(self, role):
        """The texts of a role that a service or a pod assumes: its beginning, and its calls."""
        rng, work = self.rng, role.work
        linked = "aws-service-role" in role.path
        place = Place(work.region, role.account, PYTHON, f"10.{rng.randrange(256)}.{rng.randrange(256)}.9")
        if linked:
            place = place._replace(agent=role.service, address=role.service)
        session = f"i-0{rng.getrandbits(64):016x}" if role.service.startswith("ec2") else role.name
        start = served(role, session, work.region) if role.service else federated(role, session, place)
        return start, [calling(assumed(role, session), call, place) for call in work.calls]

    def machine(self, role, day):
        """A day of a role: its first two calls, and some of the others."""
        rng = self.rng
        if role.arn not in self.known:
            self.known[role.arn] = self.machine_texts(role)
        start, calls = self.known[role.arn]
        calls = [call for at, call in enumerate(calls) if at < 2 or rng.random() < 0.6]
        self.session(role.arn, self.key(), start, calls, day, role.work.second + rng.randrange(600), 1200)

    def recorder(self, role, day, hours=24):
        """Config looks at every region every four hours, so that each day of each has events."""
        for region in REGIONS:
            if region not in self.known:
                place = Place(region, role.account, role.service, role.service)
                identity = assumed(role, "AWSConfig-Describe")
                self.known[region] = (served(role, "AWSConfig-Describe", region),
                                      [calling(identity, call, place) for call in role.work.calls])
            start, calls = self.known[region]
            for hour in range(0, hours, 4):
                second = hour * 3600 + self.rng.randrange(60, 3000)
                self.session(role.arn, self.key(), start, [self.rng.choice(calls)], day, second, 30)

    def user(self, user, day):
        """A day of an IAM user."""
        rng = self.rng
        if user.arn not in self.known:
            identity = {"type": "IAMUser", "principalId": user.id, "arn": user.arn, "accountId": user.account,
                        "accessKeyId": "@key@", "userName": user.name}
            place = Place(user.work.region, user.account, BROWSER if user.owner else PYTHON, "203.0.113.77")
            start = signing_in(identity, place, rng.choice(["Yes", "Yes", "No"])) if user.owner else None
            self.known[user.arn] = start, [calling(identity, call, place) for call in user.work.calls]
        start, calls = self.known[user.arn]
        key = self.key() if user.owner else user.key
        self.session(user.arn, key, start, [call for call in calls if rng.random() < 0.7], day,
                     user.work.second + rng.randrange(600), 600)

    def person_texts(self, session):
        """What somebody does with a permission set: where they begin, every call, those that they make, and how they go
        on to the role of operators, with what they do there."""
        rng, account, person = self.rng, self.account, self.people[session.person]
        role = account.sets[session.set]
        place = Place(rng.choices(REGIONS, [8, 2])[0], account.id, BROWSER, f"203.0.113.{session.person % 250}")
        identity = assumed(role, person.login, {"userId": person.user_id, "identityStoreArn": self.identities})
        provider = "MrsEkzqAtEEoSnIJrDUPK2Xg8Q5="
        start = entering({"type": "SAMLUser", "principalId": f"{provider}:{person.login}", "userName": person.login,
                          "identityProvider": provider}, role, person.login, "AssumeRoleWithSAML", place,
                         {"principalArn": account.saml})
        every = [calling(identity, call, place) for call in BY_NAME[session.set].calls]
        # Most touch few services, a few touch many.
        mine = rng.sample(every, min(len(every), 2 + int(rng.paretovariate(0.8))))
        further = None
        if session.set == "ProductionOperator":
            ops = next(one for one in account.roles if one.name == "shared-ops")
            there = [calling(assumed(ops, person.login), call, place) for call in ops.work.calls]
            further = ops.arn, entering(identity, ops, person.login, "AssumeRole", place), there
        return role.arn, start, every, mine, further

    def person(self, session, day):
        """A session of somebody who came through Identity Center."""
        rng, name = self.rng, (session.person, session.set)
        if name not in self.known:
            self.known[name] = self.person_texts(session)
        arn, start, every, mine, further = self.known[name]
        if session.routine:
            chosen = [every[at] for at in session.routine]
        elif session.calls == 0:
            chosen = every
        else:
            chosen = [mine[min(int(rng.expovariate(0.7)), len(mine) - 1)] for _ in range(session.calls)]
        key = self.key()
        self.session(arn, key, start, chosen, day, session.second, session.pause)
        if further and rng.random() < 0.2:
            ops, entry, there = further
            own, at = self.key(), session.second + 60
            since, expires = day + CLOCK[session.second], day + CLOCK[at + 3600]
            self.emit(entry, day, at, key=key, given=own, since=since, expires=expires)
            self.session(ops, own, None, rng.sample(there, 2), day, at, 300)

    def hop_texts(self, hop, leaves):
        """The texts of a hop as one of both accounts sees it: how it begins, the step itself, what is done there."""
        origin, target = hop.origin, hop.target
        place = Place(target.work.region, self.account.id, PYTHON, "198.51.100.23")
        identity = assumed(origin, origin.name) if leaves else {
            "type": "AWSAccount", "principalId": f"{origin.id}:{origin.name}", "accountId": origin.account}
        step = entering(identity, target, origin.name, "AssumeRole", place, sharedEventID="@shared@")
        calls = [calling(assumed(target, origin.name), call, place) for call in target.work.calls]
        return served(origin, origin.name, place.region), step, calls

    def hop(self, hop, day):
        """A role of one account assumes one of another: each account has its own record, with an id in common."""
        digest = hashlib.md5(f"{self.seed}/{day}/{hop.origin.arn}/{hop.target.arn}".encode()).digest()
        given, shared = "ASIA" + base64.b32encode(digest)[:16].decode(), uuid(Random(digest))
        second = hop.second + digest[0] * 4
        leaves = hop.origin.account == self.account.id
        if hop.target.arn not in self.known:
            self.known[hop.target.arn] = self.hop_texts(hop, leaves)
        start, step, calls = self.known[hop.target.arn]
        key, since = self.key(), day + CLOCK[second - 30]
        if leaves:
            self.session(hop.origin.arn, key, start, [], day, second - 30, 1)
            self.last[hop.origin.arn] = day + CLOCK[second], step.region, step.source
        expires = day + CLOCK[second + 3600]
        self.emit(step, day, second, key=key, given=given, since=since, expires=expires, shared=shared)
        if not leaves:
            some = [call for call in calls if self.rng.random() < 0.8]
            self.session(hop.target.arn, given, None, some, day, second, 120)

    def works(self, work, day, number):
        """Whether a machine works on a day."""
        due = {
            "daily": True, "workdays": day.weekday() < 5, "weekly": day.weekday() == work.second % 7,
            "quarter": quarter_end(day), "year": day.month == 1 and day.day < 8, "new": number >= work.since,
            "retired": number < work.until, "never": False,
        }
        return due[work.rhythm] and self.rng.random() < UP

    def write(self, day):
        """Writes the day's files, one for every region, in the layout of an organisation's trail."""
        account = self.account.id
        for region, events in self.bins.items():
            events.sort(key=lambda event: event[0])
            folder = os.path.join(self.out, "AWSLogs", self.organization, account, "CloudTrail", region,
                                  day.replace("-", "/"))
            os.makedirs(folder, exist_ok=True)
            stamp = f"{day.replace('-', '')}T2355Z_{identifier(self.rng, '', 16)}"
            text = '{"Records":[' + ",".join(text for _, text in events) + "]}"
            with open(os.path.join(folder, f"{account}_CloudTrail_{region}_{stamp}.json.gz"), "wb") as file:
                file.write(gzip.compress(text.encode(), 1, mtime=0))
            self.records += len(events)
            self.files += 1
            events.clear()

    def run(self, days, end):
        """Writes all days, and some hours more: the last two of any logs may still be coming in, says `jitscan`."""
        recorder, *machines = self.machines
        for number, date in enumerate(days):
            day = date.isoformat()
            self.recorder(recorder, day)
            for role in machines:
                if self.works(role.work, date, number):
                    self.machine(role, day)
            for user in self.account.users:
                if self.works(user.work, date, number):
                    self.user(user, day)
            for session in self.sessions.get(number, ()):
                self.person(session, day)
            for hop in self.account.hops:
                if hop.rhythm == "daily" or date.weekday() < 5:
                    self.hop(hop, day)
            self.write(day)
        self.recorder(recorder, end.isoformat(), 8)
        self.write(end.isoformat())
