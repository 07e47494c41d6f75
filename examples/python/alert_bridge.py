"""Writes the alerts of Prometheus' Alertmanager to people: python alert_bridge.py SESSION PORT TO…

Alertmanager's side: `webhook_configs: [{url: "http://127.0.0.1:PORT/"}]`. An alert is answered for only when
every message of it is accepted, and its keys make it safe to repeat: Alertmanager tries again after a 503.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from protocol.client.blocking import connect
from protocol.client.errors import ClientError
from protocol.errors import RpcError

SESSION, PORT, *PEOPLE = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        alerts = json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"]
        try:
            with connect() as client:
                for alert in alerts:
                    tell(client, alert)
        except (ClientError, RpcError) as error:
            print(error, flush=True)
            self.send_response(503)
        else:
            self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def tell(client, alert: dict) -> None:
    mark = "🔥" if alert["status"] == "firing" else "✅"
    summary = alert["annotations"].get("summary", "")
    text = f"{mark} {alert['labels']['alertname']} {alert['status']}. {summary}".rstrip()
    for to in PEOPLE:
        key = f"alert-{alert['fingerprint']}-{alert['startsAt']}-{alert['status']}-{to}"
        client.call("message.send", sessionId=SESSION, to=to, text=text, idempotencyKey=key)
        print("told", to, text, flush=True)


server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
