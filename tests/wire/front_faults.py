"""Faults on demand. A rule is a JSON object:

  kind       throttle | http500 | html | expired_token | access_denied | truncated | hang | reset | delay
  service, operation, account, key   what it hits; a string, a list of strings, or absent for all
  contains   text that the request (its target and body) must contain, e.g. an account of a RoleArn
  after      so many matching calls pass first (0)
  times      so many are hit then (absent: all)
  per        fields (operation, account, key) for each value of which `after` and `times` count on their own
  seconds    of a delay (0.1)
  status     of an html page (502)
  hits, seen are counted here, to be read by GET /__front/faults
"""

import threading

from front_model import action_of, error, service_model

KINDS = ("throttle", "http500", "html", "expired_token", "access_denied", "truncated", "hang", "reset", "delay")
FIELDS = {"kind", "service", "operation", "account", "key", "contains", "after", "times", "per", "seconds", "status"}
# They say 403 in JSON too, where the others say 400.
FORBIDDEN = ("account", "accessanalyzer", "lambda", "sqs")
PAGE = (b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1>"
        b"<p>The proxy server received an invalid response.</p></body></html>")


class Faults:
    def __init__(self):
        self.rules, self.lock = [], threading.Lock()

    def set(self, rules):
        for rule in rules:
            if rule.get("kind") not in KINDS or set(rule) - FIELDS:
                raise ValueError(f"no such fault: {rule}")
        with self.lock:
            self.rules = [dict(rule, hits=0, seen={}) for rule in rules]

    def get(self):
        with self.lock:
            return [dict(rule, seen=sum(rule["seen"].values())) for rule in self.rules]

    def take(self, call):
        """(delay in seconds, the first rule of another kind that hits this call or None). Counts both."""
        delay = 0.0
        with self.lock:
            for rule in self.rules:
                if not matches(rule, call):
                    continue
                counter = "/".join(str(call.get(field)) for field in ["service"] + list(rule.get("per", ()))
                                   ) if rule.get("per") else ""
                seen = rule["seen"][counter] = rule["seen"].get(counter, 0) + 1
                after = rule.get("after", 0)
                if seen <= after or seen > after + rule.get("times", float("inf")):
                    continue
                rule["hits"] += 1
                if rule["kind"] != "delay":
                    return delay, rule
                delay += rule.get("seconds", 0.1)
        return delay, None


def matches(rule, call):
    for field in ("service", "operation", "account", "key"):
        wanted = rule.get(field)
        if wanted is not None and call.get(field) not in ([wanted] if isinstance(wanted, str) else wanted):
            return False
    return rule.get("contains", "") in call["text"]


def fault_answer(rule, call):
    """(status, headers, body) of the kinds that are an answer; None for truncated, hang and reset."""
    service, operation, kind = call["service"], call["operation"], rule["kind"]
    xml = service_model(service).protocol in ("query", "ec2", "rest-xml")
    if kind == "throttle":
        if service == "s3":
            return error(service, "SlowDown", "Please reduce your request rate.", 503)
        if service == "sqs":
            return error(service, "RequestThrottled", "Rate exceeded", 403)
        if xml:
            return error(service, "Throttling", "Rate exceeded", 400)
        if service in ("organizations", "account", "lambda"):
            return error(service, "TooManyRequestsException", "Too many requests",
                         400 if service == "organizations" else 429)
        return error(service, "ThrottlingException", "Rate exceeded", 429 if service == "accessanalyzer" else 400)
    if kind == "http500":
        return error(service, "InternalError" if service == "s3" else "InternalFailure",
                     "We encountered an internal error. Please try again.", 500)
    if kind == "html":
        return rule.get("status", 502), {"Content-Type": "text/html; charset=utf-8"}, PAGE
    if kind == "expired_token":
        code = "ExpiredToken" if xml else "ExpiredTokenException"
        return error(service, code, "The security token included in the request is expired",
                     403 if xml and service != "s3" or service in FORBIDDEN else 400)
    if kind == "access_denied":
        if service == "s3":  # S3 does not say for what
            return error(service, "AccessDenied", "Access Denied", 403)
        action = action_of(service, operation)
        action = {"sns": action.replace("sns:", "SNS:"), "sqs": action.lower()}.get(service, action)
        message = (f"User: {call['arn']} is not authorized to perform: {action} on resource: * because no "
                   f"identity-based policy allows the {action} action")
        code = "AuthorizationError" if service == "sns" else "AccessDenied" if xml else "AccessDeniedException"
        return error(service, code, message, 403 if xml or service in FORBIDDEN else 400)
    return None
