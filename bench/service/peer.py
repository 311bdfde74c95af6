"""The yardstick for `plumb serve`: FastAPI and transformers, scoring by the cosine of MiniLM embeddings of prompt and
response, in the form of OpenRLHF's reward server. Needs fastapi, uvicorn, transformers and torch.

    python bench/service/peer.py --model models/all-minilm-l6-v2 --port 5001 [--threads 2] [--batch]

The model runs in the request handler, a request at a time, as that server does. With --batch a thread takes what waits,
up to 32 requests, and runs it as one batch.
"""

import argparse
import asyncio
import concurrent.futures

import torch
import uvicorn
from fastapi import FastAPI, Request
from transformers import AutoModel, AutoTokenizer


class Scorer:
    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval()

    @torch.inference_mode()
    def embed(self, texts):
        batch = self.tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        hidden = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).float()
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)

    def score(self, prompts, responses):
        rows = self.embed(prompts + responses)
        return (rows[: len(prompts)] * rows[len(prompts):]).sum(1).tolist()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--port", type=int, default=5001)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--batch", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    scorer = Scorer(given.model)
    app = FastAPI()
    waiting = asyncio.Queue()
    worker = concurrent.futures.ThreadPoolExecutor(1)

    async def run_batches():
        loop = asyncio.get_running_loop()
        while True:
            jobs = [await waiting.get()]
            while len(jobs) < 32 and not waiting.empty():
                jobs.append(waiting.get_nowait())
            prompts = [text for job in jobs for text in job[0]]
            responses = [text for job in jobs for text in job[1]]
            scores = await loop.run_in_executor(worker, scorer.score, prompts, responses)
            for job in jobs:
                job[2].set_result(scores[: len(job[0])])
                scores = scores[len(job[0]):]

    @app.post("/get_reward")
    async def get_reward(request: Request):
        body = await request.json()
        prompts = body["prompts"]
        responses = [query[len(prompt):] for query, prompt in zip(body["query"], prompts)]
        if given.batch:
            done = asyncio.get_running_loop().create_future()
            await waiting.put((prompts, responses, done))
            scores = await done
        else:
            scores = scorer.score(prompts, responses)
        return {"rewards": scores, "scores": scores, "extra_logs": {}}

    if given.batch:
        @app.on_event("startup")
        async def begin():
            app.state.batches = asyncio.create_task(run_batches())

    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning")


main()
