#!/usr/bin/env python3
"""Decisions on the wire: real SigV4 calls against ministack with AUTH=true.

Builds a small account, makes the calls of world.py as the users and roles
of account.py, and writes what the emulator answered as cases for `jitscan policy test`:

  cases.jsonl      one case a call (a call that needs two actions: two cases)
  calls.jsonl      {principal, action, resource, context, allowed, ...} for `jitscan can`
  gaad-ACCT.json   GetAccountAuthorizationDetails as the AWS CLI prints it, for `jitscan ingest iam`
  known.json       where the emulator is wrong, with the cases that show it

Three opinions meet: the answer written down by hand in world.py (AWS's, by its
documentation), the emulator's, and later jitscan's. The run fails when the first
two differ without an entry in KNOWN, and when an entry in KNOWN no longer differs.

usage: wire.py [--venv DIR] [--out DIR, default target/wire] [--keep-log]
Needs pip once; after that nothing but loopback.
"""

import argparse
import atexit
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_TIMEOUT_S = 60   # the server imports its services before it listens
CALL_TIMEOUT_S = 20    # a loopback call that takes longer is a hang
STOP_TIMEOUT_S = 5     # between SIGTERM and SIGKILL
EXPIRING_GRANT_S = 3   # life of the one grant whose expiry is waited for


def default_venv():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "jitscan-build" / "wire-venv"


def ensure_venv(venv, requirements=HERE / "requirements.txt"):
    """A venv with exactly those requirements; made once, under a lock, found again by the file's hash."""
    import fcntl
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = venv / "jitscan-requirements.sha256"
    python = venv / "bin" / "python"
    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(venv.parent / (venv.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted and python.exists():
            return python
        print(f"wire: installing into {venv}", file=sys.stderr)
        if venv.exists():
            if not (venv / "pyvenv.cfg").exists():
                sys.exit(f"wire: {venv} exists and is no venv; not touching it")
            shutil.rmtree(venv)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, stdout=sys.stderr)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "--no-deps", "-r", str(requirements)], check=True, stdout=sys.stderr)
        subprocess.run([str(python), "-m", "pip", "check", "--disable-pip-version-check"],
                       check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return python


# ---------------------------------------------------------------- the server

def die_with_parent():
    """Linux: the server goes when this process goes, even by SIGKILL."""
    if sys.platform == "linux":
        with contextlib.suppress(Exception):
            import ctypes
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Server:
    def __init__(self, account, root_key, root_secret):
        self.dir = Path(tempfile.mkdtemp(prefix="jitscan-wire-"))
        self.env_extra = {"MINISTACK_ACCOUNT_ID": account,
                          "AWS_ACCESS_KEY_ID": root_key, "AWS_SECRET_ACCESS_KEY": root_secret}
        self.process = None

    def start(self):
        for sub in ("home", "tmp", "s3"):
            (self.dir / sub).mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # A fresh environment: no proxy, no AWS profile, no setting of the caller's leaks in.
        env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC",
               "HOME": str(self.dir / "home"), "TMPDIR": str(self.dir / "tmp"),
               "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "AUTH": "true",
               "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "S3_DATA_DIR": str(self.dir / "s3"),
               "AWS_EC2_METADATA_DISABLED": "true", **self.env_extra}
        self.log = open(self.dir / "ministack.log", "wb")
        self.process = subprocess.Popen([sys.executable, "-m", "ministack"], cwd=self.dir, env=env,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                        start_new_session=True, preexec_fn=die_with_parent)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"ministack ended with {self.process.returncode}\n{self.log_tail()}")
            try:
                with opener.open(self.url + "/_ministack/health", timeout=2) as answer:
                    if answer.status == 200:
                        break
            except (urllib.error.URLError, OSError):
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"ministack did not answer in {START_TIMEOUT_S} s\n{self.log_tail()}")
            time.sleep(0.1)
        self.check_loopback_only()

    def check_loopback_only(self):
        """Every listening socket of the server's process group is on 127.0.0.1 (Linux only)."""
        if not os.path.exists("/proc/net/tcp"):
            return
        inodes = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.getpgid(int(pid)) != self.process.pid:
                    continue
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        link = os.readlink(f"/proc/{pid}/fd/{fd}")
                        if link.startswith("socket:["):
                            inodes.add(link[8:-1])
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with contextlib.suppress(FileNotFoundError), open(table) as lines:
                for line in list(lines)[1:]:
                    field = line.split()
                    address = field[1].split(":")[0]
                    if field[3] == "0A" and field[9] in inodes and address != "0100007F":
                        raise RuntimeError(f"ministack listens beyond loopback: {field[1]} in {table}")

    def log_tail(self):
        with contextlib.suppress(OSError):
            return (self.dir / "ministack.log").read_text(errors="replace")[-3000:]
        return ""

    def stop(self, keep_log=False):
        process, self.process = self.process, None
        if process is not None:
            # The group is the one this object started (start_new_session), nobody else's.
            for sig, wait in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, STOP_TIMEOUT_S)):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sig)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(wait)
                    break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self.log.close()
        if keep_log:
            print(f"wire: the server's log is in {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


# ---------------------------------------------------------------- calls

# What each service says when a policy is the reason.
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}


class Wire:
    """Clients by credentials, and one call with its outcome."""

    def __init__(self, url, region, user_agent):
        import boto3
        from botocore.config import Config
        self.boto3, self.url, self.region = boto3, url, region
        self.config = Config(
            retries={"total_max_attempts": 1}, connect_timeout=CALL_TIMEOUT_S, read_timeout=CALL_TIMEOUT_S,
            proxies={}, user_agent=user_agent, parameter_validation=True,
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
            s3={"addressing_style": "path"}, inject_host_prefix=False, ignore_configured_endpoint_urls=True)
        self.clients = {}

    def client(self, creds, service):
        key = (creds["AccessKeyId"], service)
        if key not in self.clients:
            self.clients[key] = self.session().client(
                service, endpoint_url=self.url, region_name=self.region, config=self.config,
                aws_access_key_id=creds["AccessKeyId"], aws_secret_access_key=creds["SecretAccessKey"],
                aws_session_token=creds.get("SessionToken"))
        return self.clients[key]

    def session(self):
        if not hasattr(self, "_session"):
            self._session = self.boto3.session.Session()
        return self._session

    def call(self, creds, service, operation, params):
        """(allowed, answer or error message). Anything that is neither an answer nor a denial fails the run."""
        from botocore.exceptions import ClientError
        try:
            return True, getattr(self.client(creds, service), operation)(**params)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in DENIED:
                return False, error.response["Error"].get("Message", "")
            raise RuntimeError(f"{service}:{operation} {params}: {code}: {error}") from error


def run(out, keep_log):
    sys.path.insert(0, str(HERE))
    import account
    import gate
    import world
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull,
                      AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    server = Server(account.A, account.ROOT_A["AccessKeyId"], account.ROOT_A["SecretAccessKey"])
    atexit.register(server.stop)

    def on_signal(signum, _frame):
        raise SystemExit(128 + signum)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, on_signal)
    started = time.monotonic()
    failed = True
    try:
        server.start()
        ready = time.monotonic()
        wire = Wire(server.url, account.REGION, account.USER_AGENT)
        checked = gate.gate(wire)
        built = world.World(wire)
        made = time.monotonic()
        problems = built.run_calls(EXPIRING_GRANT_S)
        out.mkdir(parents=True, exist_ok=True)
        built.write(out)  # may add problems
        failed = bool(problems)
        for problem in problems:
            print(f"wire: {problem}", file=sys.stderr)
        summary = built.summary()
        print(f"wire: gate {checked} checks; {summary}; server {ready - started:.1f} s, "
              f"world {made - ready:.1f} s, calls {time.monotonic() - made:.1f} s", file=sys.stderr)
    except Exception:
        print(server.log_tail()[-1500:], file=sys.stderr)
        raise
    finally:
        server.stop(keep_log)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=default_venv())
    parser.add_argument("--out", type=Path, default=Path("target") / "wire")
    parser.add_argument("--keep-log", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return run(args.out.resolve(), args.keep_log)
    python = ensure_venv(args.venv.expanduser().absolute())
    command = [str(python), "-I", "-B", str(HERE / "wire.py"), "--inside", "--out", str(args.out.absolute())]
    sys.stdout.flush()
    os.execv(str(python), command + (["--keep-log"] if args.keep_log else []))


if __name__ == "__main__":
    sys.exit(main())
