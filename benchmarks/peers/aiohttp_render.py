"""Renders requests as one would by hand: a bare loop over asyncio and aiohttp, every job at once, no records kept."""

import asyncio
import json
import os
import random
import ssl
import sys
from pathlib import Path

import aiohttp

# The pace of `kling render`, apart from a sandbox of its own process.
FIRST_SECONDS = 2.0
GROWTH = 1.3
MOST_SECONDS = 10.0
PIECE_BYTES = 256 * 1024


async def render(session, request, place):
    host = os.environ["FAL_QUEUE_RUN_HOST"]
    key = {"Authorization": f"Key {os.environ['FAL_KEY']}"}
    url = f"https://{host}/{request['endpoint']}"
    async with session.post(url, json=request["arguments"], headers=key) as answer:
        answer.raise_for_status()
        job = await answer.json()
    wait = FIRST_SECONDS
    while True:
        await asyncio.sleep(wait * random.uniform(0.8, 1.2))
        wait = min(wait * GROWTH, MOST_SECONDS)
        async with session.get(job["status_url"], headers=key) as answer:
            answer.raise_for_status()
            status = await answer.json()
        if status["status"] == "COMPLETED":
            break
    async with session.get(job["response_url"], headers=key) as answer:
        answer.raise_for_status()
        result = await answer.json()
    async with session.get(result["video"]["url"]) as answer:
        answer.raise_for_status()
        with open(place, "wb") as file:
            async for piece in answer.content.iter_chunked(PIECE_BYTES):
                file.write(piece)


async def render_all(requests, folder, concurrency):
    folder.mkdir(parents=True, exist_ok=True)
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    slots = asyncio.Semaphore(concurrency)

    async def bounded(request):
        async with slots:
            await render(session, request, folder / f"{request['id']}.mp4")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        await asyncio.gather(*map(bounded, requests))


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["requests"]
    asyncio.run(render_all(wanted, Path(sys.argv[2]), int(sys.argv[3])))
