# `server` is the ThreadingHTTPServer; this takes the place of server.serve_forever().
import signal, socket, threading

connections = set()
get_request, shutdown_request = server.get_request, server.shutdown_request

def remember():
    connection, address = get_request()
    connections.add(connection)
    return connection, address

def forget(connection):
    connections.discard(connection)
    shutdown_request(connection)

server.get_request, server.shutdown_request = remember, forget
server.daemon_threads = False  # server_close() waits for the threads that still answer
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())

server.serve_forever()  # returns after SIGTERM
for connection in list(connections):
    connection.shutdown(socket.SHUT_RD)  # lets idle clients go; answers are still sent
server.server_close()
