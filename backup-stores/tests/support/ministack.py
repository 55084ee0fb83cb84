"""Runs ministack for a test, and asks it with botocore, as another client than ours.

`ministack.py PORT DIRECTORY PERSIST` (0 or 1) starts the server and prints one line of JSON with the keys of a user that it made. Then it
reads requests, one line of JSON each, and answers each with one. The server ends when standard input does.
"""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import botocore.config
import botocore.exceptions
import botocore.session

port, directory, persist = sys.argv[1:4]
endpoint = f"http://127.0.0.1:{port}"
program = os.path.join(os.path.dirname(sys.executable), "ministack")
server = None


def start():
    global server
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": directory, "TMPDIR": directory,
        "AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": port, "SERVICES": "s3,iam,sts",
        "S3_PERSIST": persist, "S3_DATA_DIR": os.path.join(directory, "s3"),
        "PERSIST_STATE": persist, "STATE_DIR": os.path.join(directory, "state"),
    }
    log = open(os.path.join(directory, "ministack.log"), "a")
    server = subprocess.Popen([program], env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("ministack did not start; see ministack.log")
            time.sleep(0.02)


def stop(how=signal.SIGTERM):
    if server.poll() is None:
        server.send_signal(how)
    server.wait()


def client(service, key, secret):
    config = botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return botocore.session.Session().create_client(
        service, region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, config=config)


def ask(request):
    if "server" in request:
        if request["server"] in ("stop", "restart"):
            stop()
        if request["server"] in ("kill", "kill-restart"):
            stop(signal.SIGKILL)
        if request["server"] in ("start", "restart", "kill-restart"):
            start()
        return {}
    arguments = request.get("arguments", {})
    if "zeros" in request:
        arguments["Body"] = bytes(request["zeros"])
    answer = getattr(clients[request["service"]], request["operation"])(**arguments)
    if "Body" in answer:
        digest, size, head = hashlib.sha256(), 0, b""
        for piece in answer["Body"].iter_chunks(1 << 20):
            digest.update(piece)
            size += len(piece)
            head = (head + piece)[:4096]
        answer["Body"] = {"sha256": digest.hexdigest(), "size": size, "text": head.decode("utf-8", "replace")}
    return answer


for name in list(os.environ):
    if name.startswith("AWS_") or name.lower().endswith("_proxy"):
        del os.environ[name]
start()
try:
    iam = client("iam", "test", "test")
    iam.create_user(UserName="backup")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="backup", PolicyName="all", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="backup")["AccessKey"]
    if persist == "1":
        made = {"AccessKeyId": "test", "SecretAccessKey": "test"}
    clients = {name: client(name, made["AccessKeyId"], made["SecretAccessKey"]) for name in ("s3", "iam", "sts")}
    print(json.dumps({"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}), flush=True)
    for line in sys.stdin:
        try:
            answer = ask(json.loads(line))
        except botocore.exceptions.ClientError as error:
            answer = {"error": error.response["Error"].get("Code", "?")}
        except Exception as error:  # The test shall see it.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)
finally:
    stop(signal.SIGKILL)
