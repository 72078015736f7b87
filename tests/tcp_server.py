"""The end of a TCP server of the tests."""

import asyncio


async def close_server(server: asyncio.Server) -> None:
    """asyncio tells of a connection some steps of the event loop after it has accepted it. A server
    that closes meanwhile leaves the connection open.
    """
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening)
    for _ in range(3):
        await asyncio.sleep(0)
    server.close()
