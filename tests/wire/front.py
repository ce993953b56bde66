#!/usr/bin/env python3
"""One endpoint for all of AWS that `jitscan collect` asks, on 127.0.0.1.

usage: front.py --moto HOST:PORT --ministack HOST:PORT --root-secret SECRET --log FILE [--port N]
Prints its URL when it listens. The service is the signing name of the credential scope, the operation comes out of the
protocol; every request is checked against AWS's service model and its SigV4 signature. iam and sts go to ministack as
they were signed, the rest to moto under a key that moto takes for the caller's account; what neither has is served here
(front_served.py, front_resources.py). List answers are cut to AWS's page sizes on the way back. Whatever is left is a
501, never silence.

Control, unsigned: POST/GET/DELETE /__front/faults, POST /__front/fixtures, GET /__front/log[?since=N],
GET /__front/secrets (what must not be seen in any output), GET /__front/accounts,
POST /__front/mark (a note in the log).
"""

import argparse
import contextlib
import ctypes
import http.client
import json
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

import boto3
from botocore.config import Config

import front_model as model
import front_resources as resources
from front_accounts import Accounts
from front_faults import Faults, fault_answer
from front_model import BadAnswer, NotServed, Passed, Refused
from front_served import PAGES, SERVED, Fixtures, observe, paged

UPSTREAM_TIMEOUT_S = 60
HANG_S = 900
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "server", "date", "content-length"}
UNKNOWN_CODES = {"InvalidAction", "NotImplemented", "UnknownOperationException", "UnsupportedOperation"}
# Parameters that say which page, in the JSON bodies of the re-paged services.
PAGE_PARAMETERS = ("NextToken", "MaxResults", "nextToken", "maxResults")


class Call(dict):
    """One request: service, operation, account, key, arn, region, text (for the fault rules) and, as attributes, the
    operation model and how to send it on."""

    def upstream(self, allow=()):
        """The body of ministack's or moto's answer to this very request; its error is passed on as it is."""
        status, headers, body = self.send_on()
        if status >= 400 and model.error_code(status, body) not in allow:
            raise Passed(status, headers, body)
        return body


def corrected(call, data):
    """moto's answer where it is known not to be AWS's."""
    if call["service"] == "sso-admin" and isinstance(data.get("PermissionSet"), dict):
        if data["PermissionSet"].get("SessionDuration") == 3600:  # the default: a number there, PT1H at AWS
            data["PermissionSet"]["SessionDuration"] = "PT1H"
    if call["operation"] == "GetEventSelectors" and not data.get("EventSelectors") \
            and not data.get("AdvancedEventSelectors"):  # a trail that was given none has this one
        data["EventSelectors"] = [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [],
                                   "ExcludeManagementEventSources": []}]
    return resources.corrected(call, data)


class Front:
    def __init__(self, moto, ministack, root_secret, log):
        self.moto, self.ministack = moto, ministack
        self.accounts, self.faults, self.fixtures = Accounts(root_secret, moto), Faults(), Fixtures()
        self.details, self.managed, self.local = {}, {}, threading.local()
        self.log_path, self.log_lock, self.lines = log, threading.Lock(), 0
        self.log_file = open(log, "a", encoding="utf-8")

    # -------------------------------------------------------- one call

    def identify(self, method, target, headers, body):
        authorization = headers.get("authorization", "")
        credential = authorization.partition("Credential=")[2].partition(",")[0].split("/")
        if len(credential) != 5:
            raise Refused("MissingAuthenticationToken", "Missing Authentication Token", 403)
        key, _, region, signing_name, _ = credential
        call = Call(service=model.service_of(signing_name), operation="?", account=None, key=key, region=region,
                    arn=None, text=target + "\n" + body.decode("utf-8", "replace"))
        known = self.accounts.identity(key)
        if known:
            call.update(account=known["account"], arn=known["arn"])
        return call

    def handle(self, call, method, target, headers, body):
        """(status, headers, body) of the answer."""
        request = model.request_of(method, target, headers, body)
        call.operation, uri_params = model.operation_of(call["service"], request, body)
        call["operation"] = call.operation.name
        yield  # the operation is known: the faults may come in here
        call["params"] = params = model.parse(call.operation, request, uri_params, body)
        self.accounts.check(call, method, target, headers, body)
        resources.at_home(self, call, params)
        call.headers, call.send_on = headers, lambda: self.forward(call, method, target, headers, body)
        served = SERVED.get((call["service"], call["operation"]))
        if served:
            yield model.answer(call.operation, served(self, call, params))
        elif self.repaged(call):
            yield self.page(call, method, target, headers, body, params)
        else:
            status, answer_headers, answer_body = call.send_on()
            if status < 300:
                observe(self, call, params, answer_body)
                resources.learn_bucket(self, call, params)
            yield status, answer_headers, answer_body

    @staticmethod
    def repaged(call):
        spec = model.pagination(call["service"]).get(call["operation"])
        return spec and call["service"] in PAGES and isinstance(spec["result_key"], str)

    def page(self, call, method, target, headers, body, params):
        """All of the upstream's list, cut to the page that AWS would give."""
        spec = model.pagination(call["service"])[call["operation"]]
        member = spec["result_key"]
        if call["service"] in resources.SERVICES:
            return model.answer(call.operation, resources.listed(self, call, params))
        if call["service"] == "iam":  # signed: sent as it is; ministack gives everything
            result = model.result_of(call.operation, 200, {}, call.upstream())
            return model.answer(call.operation, paged(self, "iam", call["operation"], params, result, [member]))
        # JSON, as moto has it: of Identity Center's lists it leaves out members that the model requires.
        asked = {key: value for key, value in json.loads(body or b"{}").items() if key not in PAGE_PARAMETERS}
        items, answer_headers = [], {}
        while True:
            status, answer_headers, answer = self.forward(call, method, target, headers, json.dumps(asked).encode())
            if status >= 300:
                return status, answer_headers, answer
            result = json.loads(answer)
            items += result.get(member) or []
            if not result.get(spec["output_token"]):
                break
            asked[spec["input_token"]] = result[spec["output_token"]]
        result[member] = items
        made = paged(self, call["service"], call["operation"], params, result, [member])
        return 200, answer_headers, json.dumps(made).encode()

    # -------------------------------------------------------- upstream

    def forward(self, call, method, target, headers, body):
        to_ministack = call["service"] in ("iam", "sts")
        sent = {name: value for name, value in headers.items() if name not in HOP_BY_HOP | {"expect"}}
        if not to_ministack:
            key = self.accounts.moto_key(call["account"])
            sent["authorization"] = headers["authorization"].replace(f"Credential={call['key']}/", f"Credential={key}/")
            sent.pop("x-amz-security-token", None)
        status, answer_headers, answer = self.exchange(self.ministack if to_ministack else self.moto, method, target,
                                                       sent, body)
        unknown = answer_headers.get("Content-Type", "").startswith("text/html") and status >= 400
        if unknown or (status >= 400 and model.error_code(status, answer) in UNKNOWN_CODES):
            raise NotServed(f"{call['service']}:{call['operation']}: upstream has it not ({status}): {answer[:300]!r}")
        protocol = call.operation.service_model.protocol
        if status < 300 and "json" in protocol and answer and call.operation.output_shape is not None:
            data = corrected(call, json.loads(answer))
            problems = []
            model.wire_problems(data, call.operation.output_shape, "", problems)
            if problems:
                call["upstream_off"] = problems[:5]
            answer = json.dumps(data, ensure_ascii=False).encode()
        return status, answer_headers, answer

    def exchange(self, address, method, target, headers, body):
        """One request over a connection of this thread; one that the server had closed meanwhile is made anew."""
        pool = self.local.__dict__.setdefault("pool", {})
        for attempt in (0, 1):
            connection = pool.get(address)
            fresh = connection is None
            if fresh:
                connection = pool[address] = http.client.HTTPConnection(*address, timeout=UPSTREAM_TIMEOUT_S)
            try:
                connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                for name, value in headers.items():
                    connection.putheader(name, value.encode("utf-8") if isinstance(value, str) else value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                response = connection.getresponse()
                answer = response.read()
                return response.status, {name.title(): value for name, value in response.getheaders()
                                         if name.lower() not in HOP_BY_HOP}, answer
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                pool.pop(address).close()
                if fresh or attempt:
                    raise
            except Exception:
                pool.pop(address).close()
                raise

    def aws_managed(self, arn):
        """The GAAD entry of one of AWS's own policies, as ministack has it."""
        if arn not in self.managed:
            client = boto3.client("iam", endpoint_url="http://%s:%s" % self.ministack, region_name="us-east-1",
                                  aws_access_key_id="000000000000", aws_secret_access_key=self.accounts.root_secret,
                                  config=Config(proxies={}))
            policy = client.get_policy(PolicyArn=arn)["Policy"]
            version = client.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
            text = quote(json.dumps(version["Document"]), safe="")
            self.managed[arn] = {key: value for key, value in policy.items() if key in (
                "PolicyName", "PolicyId", "Arn", "Path", "DefaultVersionId", "CreateDate", "UpdateDate",
                "IsAttachable")}
            self.managed[arn]["PolicyVersionList"] = [{
                "Document": text, "VersionId": version["VersionId"], "IsDefaultVersion": True,
                "CreateDate": version["CreateDate"]}]
        return self.managed[arn]

    # -------------------------------------------------------- log

    def log(self, **entry):
        with self.log_lock:
            self.lines += 1
            self.log_file.write(json.dumps(dict(n=self.lines, **entry), ensure_ascii=False, default=str) + "\n")
            self.log_file.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "front/1", ""
    front = None  # set by main

    def log_message(self, *_):
        pass

    def one(self):
        # Transfer coding is not read: botocore and the Rust SDK send a length for everything that is asked here.
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the client was killed while it was asking
            self.close_connection = True
            return None
        if self.path.startswith("/__front/"):
            return self.control(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        started, call, note = time.time(), None, {}
        try:
            call = self.front.identify(self.command, self.path, headers, body)
            steps = self.front.handle(call, self.command, self.path, headers, body)
            next(steps)
            delay, rule = self.front.faults.take(call)
            if delay:
                time.sleep(delay)
                note["delay"] = delay
            if rule:
                note["fault"] = rule["kind"]
                answer = fault_answer(rule, call)
                if answer is None:
                    return self.break_off(rule["kind"], steps, started, call, note)
            else:
                answer = next(steps)
        except Passed as passed:
            answer = passed.args
        except Refused as refused:
            note["error"] = str(refused)
            if refused.fields.get("invalid"):
                note["invalid"] = True
            service = call["service"] if call else "sts"
            answer = model.error(service, refused.code, refused.message, refused.status,
                                 refused.fields.get("headers"))
        except NotServed as missing:
            note.update(error=str(missing), unserved=True)
            answer = model.error(call["service"], "NotImplemented", f"front: {missing}", 501)
        except BadAnswer as bad:
            note.update(error=str(bad), bad_answer=True)
            answer = model.error(call["service"], "InternalFailure", f"front: {bad}", 500)
        except Exception:
            note.update(error=traceback.format_exc(), bad_answer=True)
            traceback.print_exc()
            answer = model.error(call["service"] if call else "sts", "InternalFailure", "front: see its log", 500)
        self.finish_call(answer, started, call, note)

    def finish_call(self, answer, started, call, note, cut=False):
        status, headers, body = answer
        head = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
        head += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in HOP_BY_HOP]
        head += [f"Content-Length: {len(body)}", "Connection: close" if cut else "Connection: keep-alive", "", ""]
        if self.command == "HEAD":
            body = b""
        # Logged before it is sent: whoever has the answer finds the line.
        self.note(started, call, status, note)
        try:
            self.wfile.write("\r\n".join(head).encode("latin-1") + (body[:len(body) // 2] if cut else body))
        except OSError:
            self.close_connection = True
        if cut:
            self.close_connection = True

    def note(self, started, call, status, note):
        call = call or {}
        params = call.get("params") or {}
        shown = {name: value for name, value in params.items()
                 if isinstance(value, (str, int, bool)) and len(str(value)) <= 200 and "Document" not in name}
        self.front.log(time=round(started, 3), ms=round((time.time() - started) * 1000, 1), service=call.get("service"),
                       operation=call.get("operation"), account=call.get("account"), key=call.get("key"),
                       region=call.get("region"), arn=call.get("arn"), status=status, params=shown,
                       **({"upstream_off": call["upstream_off"]} if "upstream_off" in call else {}), **note)

    def break_off(self, kind, steps, started, call, note):
        self.close_connection = True
        if kind == "truncated":
            try:
                answer = next(steps)
            except Passed as passed:
                answer = passed.args
            return self.finish_call(answer, started, call, note, cut=True)
        self.note(started, call, None, note)
        if kind == "hang":  # until the client gives up
            with contextlib.suppress(OSError, ValueError):
                select.select([self.connection], [], [], HANG_S)
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        return None

    def control(self, body):
        front, path = self.front, urlsplit(self.path)
        query, name = parse_qs(path.query), path.path.removeprefix("/__front/")
        try:
            if name == "faults" and self.command in ("POST", "PUT"):
                front.faults.set(json.loads(body))
            elif name == "faults" and self.command == "DELETE":
                front.faults.set([])
            elif name == "fixtures" and self.command == "POST":
                front.fixtures.load(json.loads(body))
            elif name == "mark" and self.command == "POST":
                front.log(mark=json.loads(body))
            answer = {"faults": front.faults.get, "fixtures": lambda: {"settings": front.fixtures.data["settings"]},
                      "mark": lambda: {"n": front.lines}, "secrets": lambda: sorted(front.accounts.secrets),
                      "accounts": lambda: {key: value["account"] for key, value in front.accounts.keys.items()},
                      "log": lambda: self.log_since(int(query.get("since", ["0"])[0]))}[name]()
            status = 200
        except (KeyError, ValueError) as error:
            status, answer = 400, {"error": repr(error)}
        text = json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            self.wfile.write(f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                             f"Content-Length: {len(text)}\r\n\r\n".encode() + text)

    def log_since(self, since):
        with self.front.log_lock, open(self.front.log_path, encoding="utf-8") as lines:
            return [entry for entry in map(json.loads, lines) if entry["n"] > since]

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = one


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moto", type=address, required=True)
    parser.add_argument("--ministack", type=address, required=True)
    parser.add_argument("--root-secret", default="root-secret")
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # goes with its parent
    Handler.front = Front(args.moto, args.ministack, args.root_secret, args.log)
    server = HttpServer(("127.0.0.1", args.port), Handler)
    for service in PAGES:  # the models take 50 ms each; not at the first request
        model.service_model(service)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
