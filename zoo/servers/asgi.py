"""An application for uvicorn."""

import asyncio
import os
from urllib.parse import parse_qs


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    peer = scope["client"][1]
    os.write(1, f"read {peer}\n".encode())
    query = parse_qs(scope["query_string"].decode())
    await asyncio.sleep(int(query.get("ms", ["0"])[0]) / 1000)
    while "gate" in query and not os.path.exists(os.path.join(os.environ["GATES"], query["gate"][0])):
        await asyncio.sleep(0.005)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
