"""Whose key it is: the accounts and secrets behind the access keys that the front has seen, SigV4 by them, and the key
by which moto knows an account.

ministack takes a twelve-digit key as that account's root and resolves the sessions that it minted itself, across
accounts too. moto checks no signature and finds the account by the access key alone, so each account gets one key
there, and requests are sent on under it.
"""

import hashlib
import http.client
import re
import threading
from urllib.parse import parse_qs

from ministack.core import sigv4

from front_model import Refused, XML_PROTOCOLS, service_model


class Accounts:
    def __init__(self, root_secret, moto):
        self.root_secret, self.moto = root_secret, moto
        self.keys, self.moto_keys, self.lock = {}, {}, threading.Lock()
        self.secrets = set()  # everything that must never be seen in an output: secrets, tokens, signatures

    def learn(self, key, account, secret, token=None, arn=None):
        with self.lock:
            self.keys[key] = {"account": account, "secret": secret, "token": token, "arn": arn}
            self.secrets |= {value for value in (secret, token) if value}

    def identity(self, key):
        if re.fullmatch(r"\d{12}", key):
            return {"account": key, "secret": self.root_secret, "token": None, "arn": f"arn:aws:iam::{key}:root"}
        with self.lock:
            return self.keys.get(key)

    def check(self, call, method, target, headers, body):
        """The identity behind a request, or the error that AWS has for it."""
        xml = service_model(call["service"]).protocol in XML_PROTOCOLS
        signature = sigv4.parse_header_signature(headers)
        if isinstance(signature, tuple):
            raise Refused(signature[0], signature[1], 400)
        with self.lock:
            self.secrets.add(signature.signature)
        found = self.identity(signature.access_key_id)
        if found is None or (found["token"] or "") != headers.get("x-amz-security-token", ""):
            raise Refused("InvalidClientTokenId" if xml else "UnrecognizedClientException",
                          "The security token included in the request is invalid.", 403 if xml else 400)
        path, _, query = target.partition("?")
        failure = sigv4.header_signature_failure(
            signature, found["secret"], method, path, parse_qs(query, keep_blank_values=True), headers, body)
        failure = failure or sigv4.request_time_failure(signature)
        content = headers.get("x-amz-content-sha256", "")
        if not failure and re.fullmatch(r"[0-9a-f]{64}", content) and content != hashlib.sha256(body).hexdigest():
            failure = ("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match.")
        if failure:
            code = failure[0]
            if code == "SignatureDoesNotMatch" and not xml:
                code = "InvalidSignatureException"
            raise Refused(code, failure[1], 403 if xml else 400)
        return found

    def moto_key(self, account):
        """A key that moto takes for that account: its AssumeRole gives one for any role ARN, existing or not."""
        with self.lock:
            if account in self.moto_keys:
                return self.moto_keys[account]
        body = ("Action=AssumeRole&Version=2011-06-15&RoleSessionName=front&"
                f"RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2Ffront")
        connection = http.client.HTTPConnection(*self.moto, timeout=20)
        try:
            connection.request("POST", "/", body, {
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "Authorization": "AWS4-HMAC-SHA256 Credential=FRONT/20200101/us-east-1/sts/aws4_request, "
                                 "SignedHeaders=host, Signature=0"})
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        key = re.search(r"<AccessKeyId>(\w+)</AccessKeyId>", text).group(1)
        with self.lock:
            return self.moto_keys.setdefault(account, key)
