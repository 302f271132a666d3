"""The load: what is asked for, when, and what came back. The same list of requests for every side."""

import asyncio
import http.cookiejar
import itertools
import random
import resource
import time
from dataclasses import dataclass

import httpx

COUNTS = ["one", "two", "three", "four"]
COLOURS = ["red", "blue", "green", "yellow", "purple"]
OBJECTS = ["stars", "hearts", "fish", "trees", "cats", "circles"]
PLACES = ["on the beach", "in the city", "at night", "in the snow"]
GUIDANCE = 5.0
SCHEDULER = "euler"
# How a PNG begins, in base64.
PNG = "iVBORw0KGgo"


@dataclass(frozen=True)
class Ask:
    """One request. No prompt comes twice in 480, so that a cache of text features helps nobody."""

    prompt: str
    steps: int
    seed: int

    def body(self) -> dict:
        settings = {"num_inference_steps": self.steps, "guidance_scale": GUIDANCE, "scheduler": SCHEDULER, "seed": self.seed}
        return {"prompt": self.prompt, "n": 1} | settings


@dataclass(frozen=True)
class Answer:
    """`status` 0: no answer within the time allowed. Seconds count from when the request was due."""

    steps: int
    status: int
    seconds: float
    retry_after: bool
    model_seconds: float | None


@dataclass(frozen=True)
class Run:
    """One measurement of one side."""

    answers: list[Answer]
    seconds: float
    generator_cpu: float

    def good(self, steps: int | None = None) -> list[float]:
        return [a.seconds for a in self.answers if a.status == 200 and steps in (None, a.steps)]


def asks(count: int, mix: list[int], seed: int) -> list[Ask]:
    """Prompts all over the place, steps drawn from the mix."""
    drawn = random.Random(seed)
    prompts = [" ".join(words) for words in itertools.product(COUNTS, COLOURS, OBJECTS, PLACES)]
    drawn.shuffle(prompts)
    return [Ask(prompts[i % len(prompts)], drawn.choice(mix), drawn.randrange(2**32)) for i in range(count)]


async def send(client: httpx.AsyncClient, ask: Ask, due: float) -> Answer:
    try:
        answer = await client.post("/v1/images/generations", json=ask.body())
    except httpx.TimeoutException:
        return Answer(ask.steps, 0, time.perf_counter() - due, False, None)
    seconds = time.perf_counter() - due
    if answer.status_code == 200 and not answer.json()["data"][0]["b64_json"].startswith(PNG):
        raise RuntimeError("an answer holds no PNG")
    if answer.status_code not in (200, 429, 503, 504):
        raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
    model = answer.headers.get("x-model-seconds")
    return Answer(ask.steps, answer.status_code, seconds, "retry-after" in answer.headers, float(model) if model else None)


async def closed_loop(client, waiting: list[Ask], concurrency: int) -> list[Answer]:
    """Each of `concurrency` clients asks again as soon as it has its answer."""
    queue, answers = iter(waiting), []

    async def one_client():
        for ask in queue:
            answers.append(await send(client, ask, time.perf_counter()))

    await asyncio.gather(*(one_client() for _ in range(concurrency)))
    return answers


async def open_loop(client, waiting: list[Ask], rate: float, seed: int) -> list[Answer]:
    """Requests come as a Poisson process, whatever has been answered."""
    drawn, began, due = random.Random(seed), time.perf_counter(), 0.0

    async def at(offset, ask):
        await asyncio.sleep(began + offset - time.perf_counter())
        return await send(client, ask, began + offset)

    tasks = []
    for ask in waiting:
        due += drawn.expovariate(rate)
        tasks.append(at(due, ask))
    return list(await asyncio.gather(*tasks))


def measure(url: str, make_load, timeout: float, deadline: float | None = None) -> Run:
    """Runs a load of the functions above, and notes what the generator itself cost. A deadline is told to the server, and its client leaves then."""

    async def whole():
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        headers = {"X-Request-Timeout": f"{deadline:g}"} if deadline else {}
        async with httpx.AsyncClient(base_url=url, timeout=deadline or timeout, limits=limits, headers=headers) as client:
            # Without cookies every request is a client of its own: the queue is among many, not one client's.
            client.cookies.jar.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
            return await make_load(client)

    began, cpu = time.perf_counter(), own_cpu()
    answers = asyncio.run(whole())
    return Run(answers, time.perf_counter() - began, own_cpu() - cpu)


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
