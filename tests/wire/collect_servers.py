"""moto, ministack and the front on loopback, and boto3 clients for the building and the reading of worlds."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import wire

HERE = Path(__file__).resolve().parent
ROOT_SECRET = "root-secret-of-the-emulator"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server of ours in its own session, with a log; it goes when this process goes."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log = name, log
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if name == "front" else open(log, "wb"),
            stderr=open(str(log) + ".err", "wb"), start_new_session=True, preexec_fn=wire.die_with_parent)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(wire.STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Servers:
    """One set of servers. `url` is the endpoint; `account` the management account."""

    def __init__(self, folder, account):
        self.folder, self.account = Path(folder), account
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "front.ndjson"
        self.log.write_text("")
        self.ministack = wire.Server(account, "root-test", ROOT_SECRET)
        self.moto = self.front = None
        self.clients, self.moto_creds, self.session, self.lock = {}, {}, None, threading.Lock()

    def start(self):
        # All from this thread: a child's death signal is bound to the thread that made it.
        self._start_moto()
        self.ministack.start()
        self._await_moto()
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LANG": "C.UTF-8",
               "AWS_EC2_METADATA_DISABLED": "true", "PYTHONDONTWRITEBYTECODE": "1"}
        self.front = Process("front", [sys.executable, str(HERE / "front.py"), "--moto", f"127.0.0.1:{self.moto_port}",
                                       "--ministack", self.ministack.url.removeprefix("http://"), "--root-secret",
                                       ROOT_SECRET, "--log", str(self.log)], self.folder / "front.log", env)
        self.url = self.front.process.stdout.readline().decode().strip()
        if not self.url:
            raise RuntimeError("the front did not start\n" + (self.folder / "front.log.err").read_text()[-3000:])
        return self

    def _start_moto(self):
        self.moto_port = free_port()
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC",
               "AWS_EC2_METADATA_DISABLED": "true",
               "PYTHONDONTWRITEBYTECODE": "1"}
        self.moto = Process("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.moto_port)],
                            self.folder / "moto.log", env)

    def _await_moto(self):
        deadline = time.monotonic() + wire.START_TIMEOUT_S
        while time.monotonic() < deadline and self.moto.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.moto_port), 1):
                return
            time.sleep(0.1)
        raise RuntimeError("moto did not start\n" + (self.folder / "moto.log.err").read_text()[-3000:])

    def stop(self):
        for server in (self.front, self.moto):
            if server:
                server.stop()
        self.ministack.stop()

    # -------------------------------------------------------- talking to them

    def client(self, service, account=None, region="us-east-1", creds=None, url=None):
        """A boto3 client; without creds as the root of the account (ministack: a twelve-digit key)."""
        import boto3
        from botocore.config import Config
        account = account or self.account
        creds = creds or {"AccessKeyId": account, "SecretAccessKey": ROOT_SECRET}
        key = (service, region, creds["AccessKeyId"], url)
        with self.lock:
            if key not in self.clients:
                self.session = self.session or boto3.session.Session()  # it keeps the models, which take long to read
                self.clients[key] = self.session.client(
                    service, endpoint_url=url or self.url, region_name=region,
                    aws_access_key_id=creds["AccessKeyId"], aws_secret_access_key=creds["SecretAccessKey"],
                    aws_session_token=creds.get("SessionToken"),
                    config=Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=120, proxies={},
                                  s3={"addressing_style": "path"}, max_pool_connections=16,
                                  request_checksum_calculation="when_required", inject_host_prefix=False,
                                  response_checksum_validation="when_required", ignore_configured_endpoint_urls=True))
            return self.clients[key]

    def moto_client(self, service, account, region="us-east-1"):
        """A client of moto itself, past the front; moto finds the account by the key of an AssumeRole into it."""
        url = f"http://127.0.0.1:{self.moto_port}"
        if account not in self.moto_creds:
            self.moto_creds[account] = self.client("sts", account, url=url).assume_role(
                RoleArn=f"arn:aws:iam::{account}:role/reader", RoleSessionName="reader")["Credentials"]
        return self.client(service, account, region, creds=self.moto_creds[account], url=url)

    def control(self, name, data=None, method=None):
        request = urllib.request.Request(
            f"{self.url}/__front/{name}", method=method or ("GET" if data is None else "POST"),
            data=None if data is None else json.dumps(data).encode())
        with OPENER.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def faults(self, *rules):
        self.control("faults", list(rules))

    def mark(self, text):
        """The number of the last line of the log, to read from."""
        return self.control("mark", text)["n"]

    def calls(self, since=0, **wanted):
        """The calls in the log after that line, those with these fields."""
        return [entry for entry in self.control(f"log?since={since}") if "mark" not in entry
                and all(entry.get(field) == value for field, value in wanted.items())]
