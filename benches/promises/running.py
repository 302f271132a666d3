"""Starting, stopping and running for long: rows 9, 10 and 31 of the promises."""

import signal
import statistics
import tempfile
import threading
import time
from pathlib import Path

import httpx

import load
import watch
from versions import Versions

STARTS = 5
STEADY = 20
HELD = 50
MIX = [2, 4, 20]
SOAK_CLIENTS = 4
BAND_MIB_AN_HOUR = 1.0
SWAP_EVERY = 60.0
VOTERS = 8


def warm(setting):
    """The first picture after /readyz says yes takes no longer than later ones."""
    firsts, steady = [], []
    for _ in range(setting.count(STARTS)):
        with watch.serving(setting) as server:
            for at in range(1 + STEADY):
                began = time.perf_counter()
                server.draw().raise_for_status()
                (steady if at else firsts).append(time.perf_counter() - began)
    ratio = max(firsts) / watch.quantile(steady, 0.99)
    yield f"slowest first picture of {len(firsts)} starts, against the p99 of later ones", f"{ratio:.2f}×", "1.2×", ratio <= 1.2


def shutdown(setting):
    """SIGTERM with pictures in flight and kept jobs queued: the former are answered, the latter are there after a restart."""
    count = setting.count(HELD)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with watch.serving(setting, data=data) as server:
            server.draw()
            # One caller, so that the next process knows whose jobs these are.
            caller = httpx.Client(base_url=server.url, timeout=120)
            caller.get("/")
            kept = [kept_job(caller, at) for at in range(count)]
            statuses, threads = [], []
            for at in range(count):
                work = threading.Thread(target=lambda seed=at: statuses.append(server.draw(seed=seed).status_code))
                work.start()
                threads.append(work)
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            began, refused = time.perf_counter(), ""
            try:
                refused = str(httpx.post(f"{server.url}/v1/images/generations", json=watch.body(2), timeout=5).status_code)
            except httpx.TransportError:
                refused = "no connection"
            late = time.perf_counter() - began
            [work.join() for work in threads]
            server.process.wait(60)
            code = server.process.returncode
        with watch.serving(setting, data=data) as server:
            caller.base_url = server.url
            states = wait_for_ends(caller, kept)
    done, completed = statuses.count(200), states.count("completed")
    yield f"of {count} in flight at SIGTERM answered with a picture; exit status", f"{done}; {code}", f"{count}; 0", done == count and code == 0
    yield f"of {count} kept jobs completed, at last after a restart", str(completed), str(count), completed == count
    yield "a new request then", f"{refused} in {late * 1e3:.0f} ms", "refused in 500 ms", refused in ("503", "no connection") and late < 0.5


def kept_job(caller: httpx.Client, seed: int) -> str:
    answer = caller.post("/v1/jobs", json=watch.body(20, seed=seed) | {"keep": True})
    return answer.raise_for_status().json()["id"]


def wait_for_ends(caller: httpx.Client, kept: list[str]) -> list[str]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        states = [caller.get(f"/v1/jobs/{job}").json().get("state") for job in kept]
        if not {"queued", "running"} & set(states):
            break
        time.sleep(0.5)
    return states


def vote(server, rater: str, seed: int) -> int:
    """A rater's thumb on a picture of their own; 1 once it is acknowledged."""
    made = server.draw(2, seed=seed, rater=rater).raise_for_status().json()["data"][0]
    thumb = {"image_id": made["image_id"], "token": made["feedback_token"], "rating": "up" if seed % 2 else "down"}
    return int(httpx.post(f"{server.url}/v1/feedback", json=thumb, timeout=30).status_code == 201)


def soak(setting):
    """Mixed load for minutes, with votes and a swap a minute that nothing is kept warm for; memory by a line through its last two thirds."""
    samples, errors, end = [], 0, time.monotonic() + setting.minutes * 60
    with tempfile.TemporaryDirectory() as folder, watch.serving(setting, "--swap-keep-warm", "0", "--feedback-rate", "0", data=Path(folder) / "data") as server:
        server.draw()
        versions = Versions(setting.binary, Path(folder) / "data", Path(folder) / "pack")
        pictures = votes = swaps = 0
        swapped = time.monotonic()
        while time.monotonic() < end:
            if time.monotonic() - swapped > SWAP_EVERY:
                versions.swap()
                swaps, swapped = swaps + 1, time.monotonic()
            votes += sum(vote(server, f"rater {at}", len(samples)) for at in range(VOTERS))
            asks = load.asks(96, MIX, len(samples))
            run = load.measure(server.url, lambda client, asks=asks: load.closed_loop(client, asks, SOAK_CLIENTS), 60)
            errors += sum(answer.status != 200 for answer in run.answers)
            pictures += len(run.good())
            samples.append((time.monotonic(), server.memory_mib()))
        served = server.metrics().get('plaudit_swaps_total{kind="generator",result="served"}', 0)
        counted = sum(value for name, value in server.metrics().items() if name.startswith("plaudit_votes_total"))
    tail = samples[len(samples) // 3 :]
    slope = statistics.linear_regression(*zip(*tail)).slope * 3600 if len(tail) > 2 else 0.0
    span = tail[-1][1] - tail[0][1] if tail else 0.0
    yield "swaps that came to serve", f"{served:.0f} of {swaps}", "all but the last", served >= swaps - 1
    yield f"votes counted, of {votes} that were acknowledged", f"{counted:.0f}", str(votes), counted == votes
    yield f"errors among {pictures + errors} pictures in {setting.minutes:g} minutes", str(errors), "0", errors == 0
    long = setting.minutes >= 10
    verdict = slope < BAND_MIB_AN_HOUR if long else True
    promised = "below 1 MiB/h" if long else "judged from 10 minutes on"
    yield f"memory, last {len(tail)} samples: {tail[0][1]:.0f} to {tail[-1][1]:.0f} MiB", f"{slope:+.1f} MiB/h ({span:+.2f} MiB)", promised, verdict
