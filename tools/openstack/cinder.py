"""Makes Cinder's volume types and raises its quotas: cinder.py ENV TYPE..."""
import json
import sys
import urllib.request

env = dict(line.split("=", 1) for line in open(sys.argv[1]) if "=" in line and line[0] != "#")
env = {name: value.strip() for name, value in env.items()}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(method, url, body, token=None):
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("X-Auth-Token", token)
    with opener.open(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null"), answer.headers


default = {"id": "default"}
admin = {"name": "admin", "password": env["OS_PASSWORD"], "domain": default}
body, headers = call("POST", env["OS_AUTH_URL"] + "/auth/tokens", {"auth": {
    "identity": {"methods": ["password"], "password": {"user": admin}},
    "scope": {"project": {"name": "admin", "domain": default}}}})
token = headers["X-Subject-Token"]
cinder = next(service for service in body["token"]["catalog"] if service["type"] == "volumev3")["endpoints"][0]["url"]
known = {kind["name"] for kind in call("GET", cinder + "/types", None, token)[0]["volume_types"]}
for name in sys.argv[2:]:
    if name not in known:
        call("POST", cinder + "/types", {"volume_type": {"name": name, "extra_specs": {"volume_backend_name": name}}}, token)
quotas = {"volumes": 10000, "snapshots": 10000, "gigabytes": 1000000}
call("PUT", cinder + "/os-quota-class-sets/default", {"quota_class_set": quotas}, token)
