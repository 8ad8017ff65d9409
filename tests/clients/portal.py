"""A portal in small, written by hand: the whole life of a session with requests and nothing else.

Environment: BROKER_URL, BROKER_CA, CLIENT_ID, CLIENT_PASSWORD, OWNER, perhaps INIT_FILE. Prints what it saw
as one JSON object; the same as portal.ts does.
"""

import base64
import json
import os
import time
import urllib.parse

import requests

BASE_URL = os.environ["BROKER_URL"]
OWNER = os.environ["OWNER"]
HEADERS = {"Content-Type": "application/json"}
http = requests.Session()
http.trust_env = False
http.verify = os.environ["BROKER_CA"]


def fetch_token():
    """Basic credentials, the grant in the query, an empty body and no Content-Type."""
    reply = http.post(f"{BASE_URL}/oauth2/token", params={"grant_type": "client_credentials"},
                      auth=(os.environ["CLIENT_ID"], os.environ["CLIENT_PASSWORD"]), timeout=10)
    if reply.status_code != 200:
        raise SystemExit(f"token: {reply.status_code} {reply.text}")
    return reply.json()["access_token"]


def call(path, body=None, method="POST"):
    data = None if body is None else json.dumps(body)
    reply = http.request(method, BASE_URL + path, data=data, headers=HEADERS, timeout=10)
    if reply.status_code != 200:
        raise SystemExit(f"{path}: {reply.status_code} {reply.text}")
    return reply.json()


def list_servers():
    servers, body = [], {"MaxResults": 1}
    while True:
        page = call("/describeServers", body)
        servers += page["Servers"]
        if page.get("NextToken") is None:
            return servers
        body["NextToken"] = page["NextToken"]


def await_state(identity, wanted):
    end = time.monotonic() + 60
    while True:
        sessions = call("/describeSessions", {"SessionIds": [identity], "Filters": []})["Sessions"]
        if sessions and sessions[0]["State"] == wanted:
            return sessions[0]
        if time.monotonic() > end or (sessions and sessions[0]["State"] == "DELETED"):
            raise SystemExit(f"{identity} is not {wanted} but {sessions}")
        time.sleep(0.1)


def session_url(session, token):
    server = session["Server"]
    return "https://{}:{}{}?authToken={}#{}".format(
        server["Ip"], server["Port"], server["WebUrlPath"], token, session["Id"])


HEADERS["Authorization"] = "Bearer " + fetch_token()
servers = list_servers()
init = {"InitFile": os.environ["INIT_FILE"]} if "INIT_FILE" in os.environ else {}
created = call("/createSessions", [
    {"Name": "portal", "Owner": OWNER, "Type": "VIRTUAL", "MaxConcurrents": 2, "DcvGlEnabled": False,
     **init},
    {"Name": "nowhere", "Owner": OWNER, "Type": "Virtual", "Requirements": "tag:purpose = 'nothing'"}])
first = created["SuccessfulList"][0]
identity = first["Id"]
session = await_state(identity, "READY")
mine = call("/describeSessions", {"Filters": [{"Key": "owner", "Value": OWNER}]})
user = urllib.parse.quote("DOMAIN\\some@user", safe="")
connection = call(f"/sessionConnectionData/{identity}/{user}", method="GET")
shots = call("/getSessionScreenshots", [{"SessionId": identity, "MaxWidth": 64, "MaxHeight": None},
                                        {"SessionId": "gone"}])
image = shots["SuccessfulList"][0]["SessionScreenshot"]["Images"][0]
permissions = call("/sessionPermissions", [{
    "SessionId": identity, "Owner": OWNER,
    "PermissionFile": base64.b64encode(b"[permissions]\n").decode()}], "PUT")
server = session["Server"]["Id"]
closed = call("/closeServers", [{"ServerId": server}])
forced = call("/closeServers", [{"ServerId": server, "Force": True}])
(while_closed,) = [s for s in list_servers() if s["Id"] == server]
opened = call("/openServers", [{"ServerId": server}, {"ServerId": "nope"}])
refused = http.post(BASE_URL + "/createSessions", headers=HEADERS, timeout=10, data=json.dumps(
    [{"Name": "x", "Owner": OWNER, "Type": "OTHER"}]))
deleted = call("/deleteSessions", [{"SessionId": identity, "Owner": OWNER, "Force": True}])
last = await_state(identity, "DELETED")
again = call("/deleteSessions", [{"SessionId": identity, "Owner": OWNER}])

print(json.dumps({
    "servers": [s["Id"] for s in servers],
    "accepted": [first["State"], first["Substate"]],
    "failure": [[u["CreateSessionRequestData"]["Name"], u["FailureReason"]]
                for u in created["UnsuccessfulList"]],
    "session": [session[key] for key in ("Name", "Owner", "Type", "NumOfConnections")],
    "server": server,
    "isMine": any(s["Id"] == identity for s in mine["Sessions"]),
    "sameSession": connection["Session"]["Id"] == identity,
    "url": session_url(connection["Session"], connection["ConnectionToken"]),
    "token": connection["ConnectionToken"],
    "format": image["Format"],
    "image": base64.b64decode(image["Data"])[:4].hex(),
    "noImage": [u["FailureReason"] for u in shots["UnsuccessfulList"]],
    "permissions": [len(permissions["SuccessfulList"]), len(permissions["UnsuccessfulList"])],
    "closed": [[u["CloseServerRequestData"]["ServerId"], u["FailureCode"]]
               for u in closed["UnsuccessfulList"]],
    "forced": [s["ServerId"] for s in forced["SuccessfulList"]],
    "whileClosed": [while_closed["Availability"], while_closed["UnavailabilityReason"]],
    "opened": [len(opened["SuccessfulList"]), opened["UnsuccessfulList"][0]["FailureReason"]],
    "refused": [refused.status_code, refused.json()["error"]],
    "deleted": [s["State"] for s in deleted["SuccessfulList"]],
    "last": last["State"],
    "again": [u["FailureReason"] for u in again["UnsuccessfulList"]],
}))
