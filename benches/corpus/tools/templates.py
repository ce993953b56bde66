#!/usr/bin/env python3
"""Reduces real CloudTrail records to templates: `templates.py /work/shared/data/invictus/CloudTrail > src/templates.jsonl`.

A template is the record's own text, key for key and byte for byte, in which whatever tells one call from the next
(ids, times, names, accounts, regions, who called) is a slot `⟦kind,argument,number⟧`; slots of one number repeat one
value. The generator (src/template.rs) lists the kinds. Invictus has management events only, so data events and a few
frequent calls are written here by hand after the examples of the CloudTrail user guide ("CloudTrail record contents",
"Logging data events") and of the S3, Lambda, DynamoDB and STS guides on CloudTrail.
"""
import collections, glob, json, re, sys

KEEP = 3  # templates of one (source, name, error), each with another skeleton
# Shares of all calls by event source (percent), roughly what organisation trails with data events look like.
SHARE = {"s3:data": 18, "s3": 5, "kms": 12, "sts": 6, "ec2": 22, "logs": 5, "lambda:data": 6, "lambda": 2,
         "dynamodb:data": 6, "ssm": 8, "iam": 5, "secretsmanager": 4, "rds": 2}
GLOBAL = {"iam", "route53", "organizations", "cloudfront", "account", "ce", "health"}

TOKENS = re.compile("|".join([
    r"(?P<role>arn:aws:iam::\d{12}:role/aws-service-role/[\w./-]+)",
    r"(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)",
    r"(?P<UUID>\b[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}\b)",
    r"(?P<iso>\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)",
    r"(?P<cons>\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{1,2}, 20\d\d,? \d{1,2}:\d\d:\d\d [AP]M)",
    r"(?P<tmp>\b(?:ASIA|AKIA)[A-Z0-9]{16}\b)",
    r"(?P<uid>\b(?:AROA|AIDA|ANPA|AIPA)[A-Z0-9]{17}\b)",
    r"(?P<res>\b(?:i|vpc|subnet|rtb|sg|sgr|vol|eni|nat|igw|eipalloc|eipassoc|ami|snap|acl|rtbassoc|r|vpce|dopt|ni-attach|eni-attach|lt|fl|pcx|aclassoc|vpc-cidr-assoc|use1-az|o|ou|cid)-)(?P<hex>[0-9a-f]{8,17})\b",
    r"(?P<bkt>(?:baker221b|invictus-aws|cdktoolkit-stagingbucket|config-bucket|stratus-red-team-[a-z0-9-]*bucket|stratus-red-team-bdbp)[a-z0-9-]*)",
    r"(?P<sec>stratus-red-team-retrieve-secret-\d+)(?P<sfx>-[A-Za-z0-9]{6})?",
    r"(?P<num>(?:credentials|secret)-\d+)\b",
    r"(?P<name>stratus-red-team[a-z0-9_-]*)",
    r"(?P<acct>\b(?:123837392027|218007301253)\b)",
    r"(?P<reg>us-east-1)",
    r"(?P<user>\b(?:bert-jan|benjamin)\b)",
    r"(?P<ip>\b(?:192\.168|10\.\d+)\.\d+\.\d+\b)",
    r"(?P<ms>\b\d{13,19}\b)",
    r"(?P<b64>(?<!\\)(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{40,}={0,2})",
]))


def slots(text, first=0):
    """The text with slots in place of what varies."""
    known = {}
    def number(key):
        return known.setdefault(key, first + len(known))
    def put(m):
        kind, whole = m.lastgroup, m.group(0)
        if m.group("role"): return re.sub(r"\d{12}", "⟦acct⟧", whole)
        if m.group("uuid"):
            before = text[max(0, m.start() - 8):m.start()]
            return f"⟦{'key' if before.endswith(':key/') else 'uuid'},0,{number(whole)}⟧"
        if m.group("UUID"): return f"⟦UUID,0,{number(whole)}⟧"
        if m.group("iso"): return "⟦iso⟧"
        if m.group("cons"): return "⟦cons⟧"
        if m.group("tmp"): return f"{whole[:4]}⟦upper,16,{number(whole)}⟧"
        if m.group("uid"): return f"{whole[:4]}⟦puid,17,{number(whole)}⟧"
        if m.group("res"): return f"{m.group('res')}⟦phex,{len(m.group('hex'))},{number(whole)}⟧"
        if m.group("bkt"): return f"⟦bkt,0,{number(whole)}⟧"
        if m.group("sec"):
            out = f"⟦name,0,{number(m.group('sec'))}⟧"
            return out + (f"-⟦psfx,6,{number(whole)}⟧" if m.group("sfx") else "")
        if m.group("num"): return f"{whole.split('-')[0]}-⟦pnum,40,{number(whole)}⟧"
        if m.group("name"): return f"⟦name,0,{number(whole)}⟧"
        if m.group("acct"): return "⟦acct⟧"
        if m.group("reg"): return "⟦reg⟧"
        if m.group("user"): return "⟦user⟧"
        if m.group("ip"): return "⟦ip⟧"
        if m.group("ms"): return f"⟦dig,{len(whole)},{number(whole)}⟧"
        if m.group("b64"):
            pad = "=" * whole.count("=")
            return f"⟦b64,{len(whole) - len(pad)},{number(whole)}⟧{pad}"
        return whole
    out = TOKENS.sub(put, text)
    assert first + len(known) <= 64, len(known)
    return out


def raw_records(path):
    text, at = open(path, encoding="utf-8").read(), 0
    at, decoder = text.index("[") + 1, json.JSONDecoder()
    while text[at] != "]":
        record, end = decoder.raw_decode(text, at)
        yield record, text[at:end]
        at = end + (text[end] == ",")


def member(text, key):
    """The raw text of a top-level member."""
    at = re.search(rf'(?:^\{{|,)"{key}":', text)
    return (at.end(), json.JSONDecoder().raw_decode(text, at.end())[1]) if at else None


def template(record, text):
    identity, who = record["userIdentity"], None
    via = identity.get("invokedBy") if identity.get("type") not in (None, "AWSService") else None
    kind = {"AWSService": "service", None: "event"}.get(identity.get("type"), "session")
    cuts = []
    if kind == "session":
        cuts.append((*member(text, "userIdentity"), "⟦id⟧"))
    cuts.append((*member(text, "eventTime"), '"⟦time⟧"'))
    cuts.append((*member(text, "eventID"), '"⟦eid⟧"'))
    cuts.append((*member(text, "recipientAccountId"), '"⟦rec⟧"'))
    for key, slot in (("sourceIPAddress", "ip"), ("userAgent", "ua")):
        if key in record and not re.search(r"\.amazonaws\.com$|AWS Internal", record[key] or "AWS Internal"):
            cuts.append((*member(text, key), f'"⟦{slot}⟧"'))
    if len(record.get("requestID", "")) == 16:
        cuts.append((*member(text, "requestID"), '"⟦upper,16,0⟧"'))
    extra = record.get("additionalEventData") or {}
    out, at, first = [], 0, 1
    whole = text
    pieces = []
    for start, end, slot in sorted(cuts):
        pieces += [whole[at:start], ("slot", slot)]
        at = end
    pieces.append(whole[at:])
    # Slots are numbered over the whole record, so the cuts go in as marks and come out again.
    marks, joined = [], ""
    for piece in pieces:
        if isinstance(piece, tuple):
            joined += f"\x01{len(marks)}\x02"
            marks.append(piece[1])
        else:
            joined += piece
    if identity.get("arn"):
        joined = joined.replace(identity["arn"], "⟦arn⟧")
    joined = slots(joined, first)
    joined = re.sub(r'("bytesTransferred(?:In|Out)":)(\d+(?:\.\d+)?)', r"\1⟦num,60000,60⟧" if extra.get("bytesTransferredOut") else r"\1\2", joined, count=0)
    joined = joined.replace("bytesTransferredIn\":⟦num,60000,60⟧", "bytesTransferredIn\":0")
    return kind, via, re.sub("\x01(\\d+)\x02", lambda m: marks[int(m.group(1))], joined)


TLS = ('"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",'
       '"clientProvidedHostHeader":"%s"}')


def hand(source, name, request, response, rest="", head="", tail="", read="true", data=False, error="", host=None,
         version="1.09", rid="⟦uuid,0,1⟧", agent="⟦ua⟧", who="⟦id⟧", ip="⟦ip⟧", etype="AwsApiCall", tls=True):
    host = host or f"{source.split('.')[0]}.⟦reg⟧.amazonaws.com"
    error = "".join(f'"{k}":"{v}",' for k, v in zip(("errorCode", "errorMessage"), error))
    return (f'{{"eventVersion":"{version}","userIdentity":{who},"eventTime":"⟦time⟧","eventSource":"{source}",'
            f'"eventName":"{name}","awsRegion":"⟦reg⟧","sourceIPAddress":"{ip}","userAgent":"{agent}",{error}'
            f'"requestParameters":{request},"responseElements":{response},{rest}"requestID":"{rid}","eventID":"⟦eid⟧",'
            f'"readOnly":{read},{head}"eventType":"{etype}","managementEvent":{str(not data).lower()},'
            f'"recipientAccountId":"⟦rec⟧",{tail}"eventCategory":"{"Data" if data else "Management"}"'
            + ("," + TLS % host if tls else "") + "}")


def hand_written():
    s3 = "s3.amazonaws.com"
    def extra(out, inn="0"):
        return ('"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256",'
                f'"bytesTransferredIn":{inn},"AuthenticationMethod":"AuthHeader","x-amz-id-2":"⟦b64,76,30⟧",'
                f'"bytesTransferredOut":{out}}},')
    def res(key, bucket="⟦bkt,0,2⟧"):
        return (f'"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{key}"}},'
                f'{{"accountId":"⟦acct⟧","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}],')
    parquet = "⟦name,0,3⟧/dt=⟦date⟧/part-⟦dig,5,4⟧-⟦uuid,0,5⟧.c000.snappy.parquet"
    logs = "AWSLogs/⟦acct⟧/vpcflowlogs/⟦reg⟧/⟦path⟧/⟦acct⟧_vpcflowlogs_⟦reg⟧_fl-⟦phex,17,6⟧_⟦dig,8,7⟧.log.gz"
    asset = "assets/⟦name,0,3⟧/⟦hex,32,8⟧.⟦pnum,9,9⟧.js"
    state = "env/⟦name,0,3⟧/terraform.tfstate"
    host = "⟦bkt,0,2⟧.s3.⟦reg⟧.amazonaws.com"
    def s3req(key, more=""):
        return f'{{"bucketName":"⟦bkt,0,2⟧","Host":"{host}"{more},"key":"{key}"}}'
    out = []
    def add(share, weight, kind, text, via=None):
        out.append((share, weight, kind, via, text))
    for key, w in ((parquet, 30), (logs, 8), (asset, 20), (state, 4)):
        add("s3:data", w, "session", hand(s3, "GetObject", s3req(key), "null", extra("⟦num,900000,31⟧"), res(key), rid="⟦upper,16,1⟧", data=True, host=host))
    for key, w in ((parquet, 14), (logs, 5)):
        add("s3:data", w, "session", hand(s3, "PutObject", s3req(key, ',"x-amz-acl":"bucket-owner-full-control","x-amz-server-side-encryption":"aws:kms"'),
            '{"x-amz-server-side-encryption":"aws:kms","x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:⟦reg⟧:⟦acct⟧:key/⟦key,0,10⟧","x-amz-version-id":"⟦b64,32,11⟧"}',
            extra("0", "⟦num,900000,31⟧"), res(key), rid="⟦upper,16,1⟧", data=True, read="false", host=host))
    add("s3:data", 12, "session", hand(s3, "HeadObject", s3req(parquet), "null", extra("0"), res(parquet), rid="⟦upper,16,1⟧", data=True, host=host))
    add("s3:data", 3, "session", hand(s3, "HeadObject", s3req(parquet), "null", extra("0"), res(parquet), rid="⟦upper,16,1⟧", data=True, host=host, error=("NoSuchKey", "The specified key does not exist.")))
    add("s3:data", 3, "session", hand(s3, "GetObject", s3req(parquet), "null", extra("243"), res(parquet), rid="⟦upper,16,1⟧", data=True, host=host, error=("AccessDenied", "Access Denied")))
    add("s3:data", 3, "session", hand(s3, "DeleteObject", s3req(parquet), "null", extra("0"), res(parquet), rid="⟦upper,16,1⟧", data=True, read="false", host=host))
    add("s3:data", 9, "session", hand(s3, "ListObjects", f'{{"list-type":"2","bucketName":"⟦bkt,0,2⟧","encoding-type":"url","prefix":"⟦name,0,3⟧/dt=⟦date⟧/","Host":"{host}","max-keys":"1000"}}', "null", extra("⟦num,90000,31⟧"),
        '"resources":[{"accountId":"⟦acct⟧","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::⟦bkt,0,2⟧"},{"type":"AWS::S3::Object","ARNPrefix":"arn:aws:s3:::⟦bkt,0,2⟧/⟦name,0,3⟧/dt=⟦date⟧/"}],', rid="⟦upper,16,1⟧", data=True, host=host))
    fn = "arn:aws:lambda:⟦reg⟧:⟦acct⟧:function:⟦name,0,2⟧"
    for kind, via, agent, ip, who, w in (("session", None, "⟦ua⟧", "⟦ip⟧", "⟦id⟧", 5), ("service", None, "events.amazonaws.com", "events.amazonaws.com", '{"type":"AWSService","invokedBy":"events.amazonaws.com"}', 4),
                                   ("service", None, "sns.amazonaws.com", "sns.amazonaws.com", '{"type":"AWSService","invokedBy":"sns.amazonaws.com"}', 2)):
        add("lambda:data" if kind == "session" else "service", w, kind, hand("lambda.amazonaws.com", "Invoke", f'{{"functionName":"{fn}","invocationType":"Event"}}' if kind == "service" else f'{{"invocationType":"RequestResponse","functionName":"{fn}","clientContext":null}}', "null",
            '"additionalEventData":{"functionVersion":"' + fn + ':$LATEST"},', f'"resources":[{{"accountId":"⟦acct⟧","type":"AWS::Lambda::Function","ARN":"{fn}"}}],', data=True, read="false", agent=agent, ip=ip, who=who, tls=kind == "session",
            tail='' if kind == "session" else '"sharedEventID":"⟦uuid,0,20⟧",'))
    table = '"resources":[{"accountId":"⟦acct⟧","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:⟦reg⟧:⟦acct⟧:table/⟦name,0,2⟧"}],'
    for name, req, read, w, err in (("GetItem", '"key":{"pk":"HIDDEN_DUE_TO_SECURITY_REASONS"},"consistentRead":false', "true", 10, ""),
                             ("PutItem", '"key":{"pk":"HIDDEN_DUE_TO_SECURITY_REASONS"}', "false", 5, ""),
                             ("PutItem", '"key":{"pk":"HIDDEN_DUE_TO_SECURITY_REASONS"},"conditionExpression":"HIDDEN_DUE_TO_SECURITY_REASONS"', "false", .7, ("ConditionalCheckFailedException", "The conditional request failed")),
                             ("UpdateItem", '"key":{"pk":"HIDDEN_DUE_TO_SECURITY_REASONS","sk":"HIDDEN_DUE_TO_SECURITY_REASONS"},"returnValues":"ALL_NEW"', "false", 5, ""),
                             ("Query", '"keyConditionExpression":"HIDDEN_DUE_TO_SECURITY_REASONS","limit":⟦num,100,31⟧', "true", 7, ""),
                             ("GetItem", '"key":{"pk":"HIDDEN_DUE_TO_SECURITY_REASONS"}', "true", .3, ("ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded."))):
        add("dynamodb:data", w, "session", hand("dynamodb.amazonaws.com", name, f'{{"tableName":"⟦name,0,2⟧",{req}}}', "null", "", table, rid="⟦upper,52,1⟧", data=True, read=read, error=err))
    role = "arn:aws:iam::⟦acct⟧:role/⟦name,0,2⟧"
    creds = '{"accessKeyId":"ASIA⟦upper,16,3⟧","sessionToken":"⟦b64,660,4⟧==","expiration":"⟦cons⟧"}'
    for svc, w in (("lambda", 8), ("ec2", 8), ("ecs-tasks", 5), ("config", 3), ("cloudtrail", 2), ("states", 3), ("glue", 2), ("ssm", 2)):
        name = f"{svc}.amazonaws.com"
        add("service", w, "service", hand("sts.amazonaws.com", "AssumeRole", f'{{"roleArn":"{role}","roleSessionName":"⟦hex,32,5⟧"}}',
            f'{{"credentials":{creds},"assumedRoleUser":{{"assumedRoleId":"AROA⟦puid,17,6⟧:⟦hex,32,5⟧","arn":"arn:aws:sts::⟦acct⟧:assumed-role/⟦name,0,2⟧/⟦hex,32,5⟧"}}}}',
            "", f'"resources":[{{"accountId":"⟦acct⟧","type":"AWS::IAM::Role","ARN":"{role}"}}],', tail='"sharedEventID":"⟦uuid,0,20⟧",', agent=name, ip=name,
            who=f'{{"type":"AWSService","invokedBy":"{name}"}}', tls=False, version="1.08"))
    add("sts", 6, "session", hand("sts.amazonaws.com", "AssumeRole", f'{{"roleArn":"{role}","roleSessionName":"botocore-session-⟦dig,10,5⟧","durationSeconds":3600}}',
        f'{{"credentials":{creds},"assumedRoleUser":{{"assumedRoleId":"AROA⟦puid,17,6⟧:botocore-session-⟦dig,10,5⟧","arn":"arn:aws:sts::⟦acct⟧:assumed-role/⟦name,0,2⟧/botocore-session-⟦dig,10,5⟧"}}}}',
        "", f'"resources":[{{"accountId":"⟦acct⟧","type":"AWS::IAM::Role","ARN":"{role}"}}],', version="1.08"))
    add("sts", 9, "session", hand("sts.amazonaws.com", "GetCallerIdentity", "null", "null"))
    for name, w, req in (("CreateLogStream", 12, '{"logGroupName":"/aws/lambda/⟦name,0,2⟧","logStreamName":"⟦path⟧/[$LATEST]⟦hex,32,3⟧"}'),
                         ("FilterLogEvents", 3, '{"logGroupName":"/aws/lambda/⟦name,0,2⟧","startTime":⟦dig,13,3⟧,"limit":10000,"interleaved":true}'),
                         ("DescribeLogStreams", 3, '{"logGroupName":"/aws/lambda/⟦name,0,2⟧","orderBy":"LastEventTime","descending":true,"limit":50}'),
                         ("GetLogEvents", 2, '{"logGroupName":"/ecs/⟦name,0,2⟧","logStreamName":"ecs/app/⟦hex,32,3⟧","limit":1000,"startFromHead":true}')):
        add("logs", w, "session", hand("logs.amazonaws.com", name, req, "null", '"apiVersion":"20140328",' if False else "", read=str(not name.startswith("Create")).lower()))
    add("logs", .6, "session", hand("logs.amazonaws.com", "CreateLogStream", '{"logGroupName":"/aws/lambda/⟦name,0,2⟧","logStreamName":"⟦path⟧/[$LATEST]⟦hex,32,3⟧"}', "null", read="false",
        error=("ResourceAlreadyExistsException", "The specified log stream already exists")))
    return out


DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "Unauthorized", "AuthorizationError"}


def main(folder):
    seen, count, rows = collections.Counter(), collections.Counter(), []
    records = [r for path in sorted(glob.glob(f"{folder}/*.json")) for r in raw_records(path)]
    for record, _ in records:
        count[record["eventSource"], record["eventName"], record.get("errorCode", "")] += 1
    skeletons = set()
    for record, text in records:
        shape = record["eventSource"], record["eventName"], record.get("errorCode", "")
        if record["userIdentity"].get("type") == "Root" or len(text) > 8000 or "BEGIN CERT" in text: continue
        kind, via, body = template(record, text)
        skeleton = shape, kind, via, re.sub(r"⟦[^⟧]*⟧|\d+", "", re.sub(r'":"[^"]*"', '":""', body))
        if skeleton in skeletons or seen[shape, via] >= KEEP: continue
        skeletons.add(skeleton)
        seen[shape, via] += 1
        share = shape[0].split(".")[0] if kind == "session" else "service"
        rows.append([share, shape, kind, via, body])
    out = []
    per = collections.Counter(tuple(r[1]) for r in rows)
    for share, shape, kind, via, body in rows:
        weight = count[shape] ** .7 / per[tuple(shape)] * (.6 if shape[2] else 1) * (.3 if kind != "session" else 1)
        out.append([share, weight, kind, via, body])
    out += [list(row) for row in hand_written()]
    totals = collections.Counter()
    for share, weight, *_ in out:
        totals[share if share in SHARE or share == "service" else "rest"] += weight
    rest = 100 - sum(SHARE.values())
    print(json.dumps({"origin": "reduced from 2,900 records of github.com/invictus-ir/aws_dataset, commit 4667aa9c26330bc3317ed8bd526f4b83cff13602, path CloudTrail/, "
                      "MIT licence, copyright (c) 2023 Invictus Incident Response; data events and service AssumeRole written by hand after the CloudTrail user guide; made by tools/templates.py"}, ensure_ascii=False))
    for share, weight, kind, via, body in out:
        key = share if share in SHARE or share == "service" else "rest"
        scale = {"service": 100}.get(key) or SHARE.get(key, rest)
        probe = re.sub(r"⟦(num|dig)[^⟧]*⟧", "1", body).replace("⟦id⟧", "{}")
        try:
            record = json.loads(probe)
        except ValueError as error:
            sys.exit(f"{error}: {probe}")
        code = record.get("errorCode", "")
        bare = re.sub(r"^(Client|Server)\.", "", code)
        source = record["eventSource"].split(".")[0]
        print(json.dumps({"source": record["eventSource"], "name": record["eventName"], "error": code, "kind": kind, "via": via or "",
                          "weight": max(1, round(weight / totals[key] * scale * 10000)), "global": source in GLOBAL,
                          "category": record["eventCategory"], "call": record["eventType"] != "AwsServiceEvent", "denied": bare in DENIED,
                          "text": body}, ensure_ascii=False, separators=(",", ":")))


main(sys.argv[1])
