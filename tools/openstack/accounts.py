"""Users, projects, roles and endpoints; prints what tests read: accounts.py KEYSTONE PASSWORD NAME=PORT..."""
import json, sys, urllib.request
keystone, password, *ports = sys.argv[1:]
port = dict(line.split("=") for line in ports)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
token = None
def call(method, path, body=None):
    request = urllib.request.Request(keystone + path, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("X-Auth-Token", token)
    with opener.open(request, timeout=60) as answer:
        text = answer.read()
        return (json.loads(text) if text else None), answer.headers
default = {"id": "default"}
user = {"name": "admin", "password": password, "domain": default}
_, headers = call("POST", "/auth/tokens", {"auth": {
    "identity": {"methods": ["password"], "password": {"user": user}},
    "scope": {"project": {"name": "admin", "domain": default}}}})
token = headers["X-Subject-Token"]
roles = {role["name"]: role["id"] for role in call("GET", "/roles")[0]["roles"]}
roles["service"] = call("POST", "/roles", {"role": {"name": "service"}})[0]["role"]["id"]
def project(name):
    return call("POST", "/projects", {"project": {"name": name, "domain_id": "default"}})[0]["project"]["id"]
def user(name, project, *granted):
    made = call("POST", "/users", {"user": {"name": name, "password": password, "domain_id": "default", "default_project_id": project}})
    for role in granted:
        call("PUT", "/projects/%s/users/%s/roles/%s" % (project, made[0]["user"]["id"], roles[role]))
service, demo, other = project("service"), project("demo"), project("other")
for name in ("swift", "cinder", "backup"):
    user(name, service, "admin", "service")
user("demo", demo, "member")
user("other", other, "member")
# The administrator may act in each project.
admin = next(user["id"] for user in call("GET", "/users")[0]["users"] if user["name"] == "admin")
for where in (service, demo, other):
    call("PUT", "/projects/%s/users/%s/roles/%s" % (where, admin, roles["admin"]))
here = "http://127.0.0.1:"
for name, kind, url in (
    ("swift", "object-store", here + port["proxy"] + "/v1/AUTH_%(project_id)s"),
    ("cinderv3", "volumev3", here + port["cinder_api"] + "/v3/%(project_id)s"),
    # Stood for by tests.
    ("nova", "compute", here + port["nova"] + "/v2.1"),
    ("cms-backup", "cms-backup", here + port["backup"] + "/v1"),
):
    made = call("POST", "/services", {"service": {"name": name, "type": kind}})[0]["service"]["id"]
    for interface in ("public", "internal"):
        call("POST", "/endpoints", {"endpoint": {"service_id": made, "interface": interface, "region_id": "RegionOne", "url": url}})
print("OS_AUTH_URL=" + keystone)
print("OS_REGION_NAME=RegionOne")
print("OS_IDENTITY_API_VERSION=3\nOS_VOLUME_API_VERSION=3")
print("OS_USER_DOMAIN_NAME=Default\nOS_PROJECT_DOMAIN_NAME=Default")
print("# Members of a project of their own: demo and other. admin is admin of each project; backup is admin and service in the project")
print("# service. All have one password.")
print("OS_USERNAME=demo\nOS_PROJECT_NAME=demo\nOS_PASSWORD=" + password)
print("# Where the catalogue has the services that tests may stand for: compute (Nova) and cms-backup.")
print("NOVA_PORT=" + port["nova"])
print("BACKUP_PORT=" + port["backup"])
