"""An application for gunicorn."""

import os
import time
from urllib.parse import parse_qs


def application(environ, start_response):
    peer = environ["REMOTE_PORT"]
    os.write(1, f"read {peer}\n".encode())
    query = parse_qs(environ["QUERY_STRING"])
    time.sleep(int(query.get("ms", ["0"])[0]) / 1000)
    while "gate" in query and not os.path.exists(os.path.join(os.environ["GATES"], query["gate"][0])):
        time.sleep(0.005)
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
