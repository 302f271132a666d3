"""Starting, stopping and running for long: rows 9, 10 and 31 of the promises."""

import signal
import statistics
import threading
import time

import httpx

import load
import watch

STARTS = 5
STEADY = 20
HELD = 12
MIX = [2, 4, 20]
SOAK_CLIENTS = 4
BAND_MIB_AN_HOUR = 1.0


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
    """SIGTERM with pictures in flight: all of them are answered, and kept jobs are there after a restart (tests/api/stopping.rs)."""
    with watch.serving(setting) as server:
        server.draw()
        statuses, threads = [], []
        for at in range(HELD):
            work = threading.Thread(target=lambda seed=at: statuses.append(server.draw(seed=seed).status_code))
            work.start()
            threads.append(work)
        time.sleep(0.3)
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
    done = statuses.count(200)
    yield f"of {HELD} in flight at SIGTERM answered with a picture; exit status", f"{done}; {code}", f"{HELD}; 0", done == HELD and code == 0
    yield "a new request then", f"{refused} in {late * 1e3:.0f} ms", "refused in 500 ms", refused in ("503", "no connection") and late < 0.5


def soak(setting):
    """Mixed load for minutes; memory by a line through its last two thirds."""
    samples, errors, end = [], 0, time.monotonic() + setting.minutes * 60
    with watch.serving(setting) as server:
        server.draw()
        pictures = 0
        while time.monotonic() < end:
            asks = load.asks(96, MIX, len(samples))
            run = load.measure(server.url, lambda client, asks=asks: load.closed_loop(client, asks, SOAK_CLIENTS), 60)
            errors += sum(answer.status != 200 for answer in run.answers)
            pictures += len(run.good())
            samples.append((time.monotonic(), server.memory_mib()))
    tail = samples[len(samples) // 3 :]
    slope = statistics.linear_regression(*zip(*tail)).slope * 3600 if len(tail) > 2 else 0.0
    span = tail[-1][1] - tail[0][1] if tail else 0.0
    yield f"errors among {pictures + errors} pictures in {setting.minutes:g} minutes", str(errors), "0", errors == 0
    long = setting.minutes >= 10
    verdict = slope < BAND_MIB_AN_HOUR if long else True
    promised = "below 1 MiB/h" if long else "judged from 10 minutes on"
    yield f"memory, last {len(tail)} samples: {tail[0][1]:.0f} to {tail[-1][1]:.0f} MiB", f"{slope:+.1f} MiB/h ({span:+.2f} MiB)", promised, verdict
