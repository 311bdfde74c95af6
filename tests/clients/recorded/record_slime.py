"""Records what slime's remote_rm sends, byte by byte: record_slime.py CHECKOUT NAME

slime is not on a package index, so its requests are kept here and replayed by test_slime.py. CHECKOUT is the repository
at the commit to be recorded (only slime/rollout/rm_hub/__init__.py of it runs), NAME names the recordings
(slime-NAME-CONNECTION.http, all bytes of one connection). Needs aiohttp: run it with .venv-clients/bin/python."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from test_slime import SAMPLES, split_request  # noqa: E402
from trainer_code import load  # noqa: E402


async def record(hub):
    connections, tasks = [], []

    async def serve(reader, writer):
        tasks.append(asyncio.current_task())
        connections.append(b"")
        here, rest = len(connections) - 1, b""
        while part := await reader.read(65536):
            connections[here] += part
            rest += part
            while (request := split_request(rest)) is not None:
                rest = rest[len(request):]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n1.5")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 8000)
    arguments = SimpleNamespace(rm_url="http://127.0.0.1:8000/reward", custom_rm_path=None, rm_type="remote_rm")
    for prompt, response, label in SAMPLES:
        sample = SimpleNamespace(prompt=prompt, response=response, label=label, metadata=None, custom_rm_path=None)
        assert await hub.async_rm(arguments, sample) == 1.5
    if hasattr(hub, "_get_shared_session"):
        await hub._get_shared_session().close()
    await asyncio.gather(*tasks)
    server.close()
    return connections


def main():
    checkout, name = Path(sys.argv[1]).resolve(), sys.argv[2]
    hub = load(checkout, "slime.rollout.rm_hub")
    for number, sent in enumerate(asyncio.run(record(hub))):
        (Path(__file__).parent / f"slime-{name}-{number}.http").write_bytes(sent)


main()
