"""Completions by several clients at once: tokens per second, and whether each reply is what the same request gets alone.

    plumb serve --serve.modules= --serve.policy=MODEL &
    python bench/service/completions.py [--url http://localhost:8000] [--clients 8] [--requests 3] [--tokens 64]

Every client has prompts, seeds and temperatures of its own. Prints one JSON line.
"""

import argparse
import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

TOPICS = ["rivers", "bread", "trains", "winter", "music", "paper", "stars", "apples"]


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    begin = time.monotonic()
    with urllib.request.urlopen(request, timeout=600) as reply:
        done = json.load(reply)
    return done["choices"][0]["text"], done["usage"]["completion_tokens"], time.monotonic() - begin


def body_of(client, number, tokens):
    topic = TOPICS[(client + number) % len(TOPICS)]
    prompt = f"Question {client}: what should one know about {topic}? " + "Think of an example. " * (client % 3) + "Answer:"
    return {"prompt": prompt, "max_tokens": tokens, "min_tokens": tokens, "seed": 100 * client + number,
            "temperature": 0.5 + 0.1 * (client % 8), "top_p": 0.95}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=3, help="of each client, one after another")
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    url = options.url + "/v1/completions"
    post(url, body_of(0, 0, 8))

    def ask(client):
        return [post(url, body_of(client, number, options.tokens)) for number in range(options.requests)]

    begin = time.monotonic()
    with ThreadPoolExecutor(options.clients) as pool:
        together = list(pool.map(ask, range(options.clients)))
    seconds = time.monotonic() - begin
    begin = time.monotonic()
    alone = [post(url, body_of(client, 0, options.tokens)) for client in range(options.clients)]
    alone_seconds = time.monotonic() - begin
    replies = [reply for client in together for reply in client]
    waits = sorted(reply[2] for reply in replies)
    print(json.dumps({
        "clients": options.clients, "replies": len(replies),
        "tokens_per_second": round(sum(reply[1] for reply in replies) / seconds, 1),
        "latency_s": {"p50": round(waits[len(waits) // 2], 2), "max": round(waits[-1], 2)},
        "alone_tokens_per_second": round(sum(reply[1] for reply in alone) / alone_seconds, 1),
        "other_text_than_alone": sum(client[0][0] != reply[0] for client, reply in zip(together, alone))}))


if __name__ == "__main__":
    main()
