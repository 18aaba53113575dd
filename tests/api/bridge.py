"""Passes bytes between a TCP port of this machine and a Unix socket, for tools that know only the former.

    bridge.py SOCKET

Prints the port and runs until it is ended. It changes nothing, so what a tool sees is what the daemon says.
"""

import asyncio
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, OSError):
        pass
    finally:
        try:
            writer.write_eof()
        except (OSError, RuntimeError):
            writer.close()


async def serve(socket_path):
    async def client(reader, writer):
        try:
            there, here = await asyncio.open_unix_connection(socket_path)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, here), pump(there, writer))
        here.close()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
