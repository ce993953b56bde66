"""AWS's service models at work: which service and operation a request is, whether it and an answer fit the model, and
answers and errors in the protocol of the service. Everything is botocore's model, read through moto's routers."""

import datetime
import functools
import json
import uuid

import botocore.loaders
import botocore.parsers
from botocore.validate import ParamValidator
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_router_class
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

# Where the signing name of the credential scope is not botocore's name of the service.
BY_SIGNING_NAME = {"sso": "sso-admin", "access-analyzer": "accessanalyzer"}
# The prefix of IAM actions, where it is not botocore's name.
ACTION_PREFIX = {"sso-admin": "sso", "accessanalyzer": "access-analyzer"}
XML_PROTOCOLS = ("query", "ec2", "rest-xml")


class Refused(Exception):
    """An error that AWS would answer; `status` is the HTTP status."""

    def __init__(self, code, message, status=400, **fields):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.fields = code, message, status, fields


class Passed(Exception):
    """An upstream's own error answer: status, headers, body."""


class NotServed(Exception):
    """Neither served here nor known upstream: answered with 501, never silently."""


class BadAnswer(Exception):
    """The front's own answer does not fit the model: the fixture or the front is wrong."""


@functools.cache
def service_model(service):
    try:
        return get_service_model(service)
    except Exception as error:
        raise NotServed(f"no service model {service}: {error}") from None


@functools.cache
def router(service):
    model = service_model(service)
    return get_router_class(service, model.protocol)(model)


@functools.cache
def pagination(service):
    """{operation: {input_token, output_token, limit_key, result_key, more_results?}} of botocore's paginators."""
    try:
        return botocore.loaders.Loader().load_service_model(service, "paginators-1")["pagination"]
    except botocore.exceptions.UnknownServiceError:
        return {}


def service_of(signing_name):
    return BY_SIGNING_NAME.get(signing_name, signing_name)


def request_of(method, target, headers, body):
    """moto's request object; RAW_URI keeps the path as it was sent, which routing and S3 need."""
    request = Request.from_primitives(method, "http://" + headers.get("host", "127.0.0.1") + target, headers, body)
    request.environ["RAW_URI"] = target
    return request


def operation_of(service, request, body):
    """(operation model, uri parameters). aws-sdk-rust and botocore differ in the prefix of X-Amz-Target: only its
    last part counts."""
    model = service_model(service)
    target = request.headers.get("X-Amz-Target")
    if model.protocol == "json":
        name, params = (target or "").rsplit(".", 1)[-1], {}
    elif model.protocol in ("query", "ec2"):
        name, params = request.values.get("Action", ""), {}
    else:
        try:
            operation, params = router(service).match(request)
        except HTTPException:
            raise NotServed(f"{service}: no operation for {request.method} {request.raw_path}") from None
        return operation, params
    if name not in model.operation_names:
        raise NotServed(f"{service}: no operation {name!r}")
    return model.operation_model(name), params


def parse(operation, request, uri_params, body):
    """The parameters of the request, checked: types and required members (botocore), unknown members, enum values and
    upper bounds (here; botocore leaves those to the service)."""
    protocol = operation.service_model.protocol
    if operation.input_shape is None:
        return {}
    streaming = operation.has_streaming_input
    parsed = PROTOCOL_PARSERS[protocol](operation, map_type=dict).parse({
        "query_string": request.args, "headers": request.headers, "values": request.values, "method": request.method,
        "body": b"" if streaming else body, "url_path": request.raw_path, "url_params": uri_params})
    if streaming:
        return parsed
    problems = []
    if protocol == "json" or (protocol == "rest-json" and body):
        wire_problems(json.loads(body or b"{}"), operation.input_shape, "", problems)
    elif protocol == "query":
        members = {shape.serialization.get("name", name) for name, shape in operation.input_shape.members.items()}
        problems += [f"unknown parameter {key}" for key in request.values
                     if key.split(".")[0] not in members | {"Action", "Version"}]
    problems += problems_of(parsed, operation.input_shape)
    if problems:
        raise Refused("ValidationException" if protocol not in XML_PROTOCOLS else "ValidationError",
                      f"{operation.name}: " + "; ".join(problems), invalid=True)
    return parsed


def problems_of(value, shape):
    report = ParamValidator().validate(value, shape)
    problems = [report.generate_report()] if report.has_errors() else []
    values_beyond_model(value, shape, "", problems)
    return problems


# What a JSON scalar of each kind of shape looks like on the wire. boto3 takes a number for text and text for a time;
# the Rust SDK does not, and AWS does not send them.
SCALARS = {"string": str, "boolean": bool, "integer": int, "long": int, "double": (int, float), "float": (int, float),
           "timestamp": (int, float), "blob": str}


def wire_problems(value, shape, where, problems):
    """Where a JSON body has other types or members than the model; botocore's validator looks only for the known ones."""
    kind = shape.type_name
    if value is None:
        return
    if kind == "structure" and isinstance(value, dict):
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            if name not in known:
                problems.append(f"unknown member {where}.{name}")
            else:
                wire_problems(inner, known[name], f"{where}.{name}", problems)
    elif kind == "list" and isinstance(value, list):
        for inner in value:
            wire_problems(inner, shape.member, where + "[]", problems)
    elif kind == "map" and isinstance(value, dict):
        for inner in value.values():
            wire_problems(inner, shape.value, where + "{}", problems)
    else:
        iso = kind == "timestamp" and shape.serialization.get("timestampFormat") in ("iso8601", "rfc822")
        if not isinstance(value, str if iso else SCALARS.get(kind, ())):
            problems.append(f"{where} is {type(value).__name__} {str(value)[:60]!r}, not {kind}")
        elif kind == "string" and getattr(shape, "enum", None) and value not in shape.enum:
            problems.append(f"{where} is {value!r}, none of {', '.join(shape.enum)}")


def values_beyond_model(value, shape, where, problems):
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            if name not in shape.members:
                problems.append(f"unknown member {where}.{name}")
            elif inner is not None:
                values_beyond_model(inner, shape.members[name], f"{where}.{name}", problems)
    elif kind == "list" and isinstance(value, (list, tuple)):
        for inner in value:
            values_beyond_model(inner, shape.member, where + "[]", problems)
    elif kind == "map" and isinstance(value, dict):
        for key, inner in value.items():
            values_beyond_model(key, shape.key, where + "{key}", problems)
            values_beyond_model(inner, shape.value, where + "{}", problems)
    elif kind == "string" and getattr(shape, "enum", None):
        if value not in shape.enum:
            problems.append(f"{where} is {value!r}, none of {', '.join(shape.enum)}")
    elif kind in ("integer", "long") and shape.metadata.get("max") is not None:
        if isinstance(value, int) and value > shape.metadata["max"]:
            problems.append(f"{where} is {value}, more than {shape.metadata['max']}")


def answer(operation, result, request_id=None):
    """(status, headers, body) of a result that fits the model."""
    shape = operation.output_shape
    if shape is not None:
        problems = problems_of(result, shape)
        if problems:
            raise BadAnswer(f"{operation.service_model.service_name}:{operation.name}: " + "; ".join(problems))
    model = operation.service_model
    serializer = get_serializer_class(model.service_name, model.protocol)(
        operation, context=SerializationContext(request_id or str(uuid.uuid4())))
    made = serializer.serialize(result)
    body = made["body"]
    return made["status_code"], dict(made["headers"]), body.encode() if isinstance(body, str) else body


def error(service, code, message, status=400, headers=None):
    """(status, headers, body) of an error in the protocol of the service, with further headers."""
    request_id, query_code = str(uuid.uuid4()), None
    try:
        protocol, metadata = service_model(service).protocol, service_model(service).metadata
        if metadata.get("awsQueryCompatible") is not None:  # SQS: the code of its old protocol stands in a header
            query_code = code.removesuffix("Exception")
    except NotServed:
        protocol, metadata = "json", {}
    if protocol in XML_PROTOCOLS:
        kind = "Sender" if status < 500 else "Receiver"
        inner = f"<Code>{code}</Code><Message>{xml_text(message)}</Message>"
        if service == "s3":
            body = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
        else:
            space = service_model(service).metadata.get("xmlNamespace", "")
            body = (f'<ErrorResponse xmlns="{space}"><Error><Type>{kind}</Type>{inner}</Error>'
                    f"<RequestId>{request_id}</RequestId></ErrorResponse>")
        return status, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id, **(headers or {})}, body.encode()
    kind = "json" if protocol == "rest-json" else f"x-amz-json-{metadata.get('jsonVersion', '1.1')}"
    query_error = f"{query_code};{'Sender' if status < 500 else 'Receiver'}"
    headers = {"Content-Type": f"application/{kind}", "x-amzn-RequestId": request_id, "x-amzn-ErrorType": code,
               **({"x-amzn-query-error": query_error} if query_code else {}), **(headers or {})}
    member = "message" if protocol == "rest-json" else "Message"
    body = {member: message} if protocol == "rest-json" else {"__type": code, member: message}
    return status, headers, json.dumps(body).encode()


def xml_text(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def result_of(operation, status, headers, body):
    """What an upstream answer says, by the model (timestamps become datetimes)."""
    parser = botocore.parsers.create_parser(operation.service_model.protocol)
    parsed = parser.parse({"status_code": status, "headers": headers, "body": body}, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def error_code(status, body):
    """The error code of an upstream answer, or ''."""
    if status < 400:
        return ""
    text = body[:4000].decode("utf-8", "replace")
    if "<Code>" in text:
        return text.split("<Code>", 1)[1].split("</Code>", 1)[0]
    try:
        data = json.loads(body)
        return str(data.get("__type", data.get("code", ""))).rsplit("#", 1)[-1]
    except (ValueError, AttributeError):
        return ""


def action_of(service, operation):
    """The IAM action that an operation needs, as AWS's error messages name it."""
    special = {("s3", "ListObjectsV2"): "s3:ListBucket", ("s3", "ListBuckets"): "s3:ListAllMyBuckets",
               ("s3", "HeadBucket"): "s3:ListBucket", ("s3", "HeadObject"): "s3:GetObject"}
    return special.get((service, operation), f"{ACTION_PREFIX.get(service, service)}:{operation}")


def when(value):
    """A time of a fixture (text, number or datetime) as an aware datetime."""
    if isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
