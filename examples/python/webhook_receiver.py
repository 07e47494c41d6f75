"""Takes webhooks whose signature is right: WEBHOOK_SECRET=whsec_… python webhook_receiver.py [PORT]

Needs `pip install standardwebhooks`. The same event may come twice, under the same webhook-id: this one keeps
the ids that it has seen in memory; keep yours where your results are.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])  # a secret without whsec_: Webhook(secret.encode())
SEEN: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = WEBHOOK.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(400)
        else:
            if self.headers["webhook-id"] not in SEEN:
                SEEN.add(self.headers["webhook-id"])
                print(event["type"], event["sessionId"], flush=True)
            self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Handler)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
