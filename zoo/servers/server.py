"""A threading server of the standard library; the one argument names how it treats SIGTERM."""

import itertools
import os
import signal
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

STYLE = sys.argv[1]
lock = threading.Lock()
in_flight = 0


def say(line):
    os.write(1, (line + "\n").encode())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
            say(f"secured {self.client_address[1]}")
        super().setup()

    def do_GET(self):
        global in_flight
        with lock:
            in_flight += 1
        peer = self.client_address[1]
        say(f"read {peer}")
        query = parse_qs(urlparse(self.path).query)
        time.sleep(int(query.get("ms", ["0"])[0]) / 1000)
        while "gate" in query and not os.path.exists(os.path.join(os.environ["GATES"], query["gate"][0])):
            time.sleep(0.005)
        if urlparse(self.path).path == "/stream":
            self.stream(peer)
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")
        say(f"answered {peer}")
        with lock:
            in_flight -= 1

    def stream(self, peer):
        """Chunks without end; the generator's first ones are there when `parted` is said."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in itertools.count():
            chunk = b"part %d\n" % number
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if number == 2:
                say(f"parted {peer}")
            time.sleep(0.02)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def drain(*_):
    def finish():
        server.shutdown()
        server.socket.close()
        say("closed")
        while in_flight:
            time.sleep(0.01)
        os._exit(0)

    threading.Thread(target=finish).start()


HANDLERS = {
    "none": None,
    "ignore": signal.SIG_IGN,
    "exit": lambda *_: os._exit(0),
    "drain": drain,
}

if STYLE == "late-handler":
    # The signal comes while this is still starting; nothing is installed yet.
    say("starting")
    time.sleep(1)
    signal.signal(signal.SIGTERM, drain)
elif HANDLERS[STYLE] is not None:
    signal.signal(signal.SIGTERM, HANDLERS[STYLE])

server = Server((os.environ["ADDRESS"], int(os.environ["PORT"])), Handler)
if "CERTIFICATE" in os.environ:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    # Without tickets the client's Finished is the last word of the handshake.
    context.num_tickets = 0
    # The handshake is the business of the connection's thread.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
say("listening")
server.serve_forever()
# After a drain the process ends with its last answer.
threading.Event().wait()
