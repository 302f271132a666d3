"""webuiapi, a client library of AUTOMATIC1111's web UI, and the calls that Open WebUI makes."""

import threading
import time

import httpx
from harness import BASE, HEADERS, PROMPT, STEPS, Cases, distance, expect, expect_error, gradient, picture
from webuiapi import WebUIApi

case = Cases("webuiapi")
# Seconds that a run may need to begin, and to end after an interrupt.
PATIENCE = 10


def connected() -> WebUIApi:
    made = WebUIApi(baseurl=f"{BASE}/sdapi/v1", steps=STEPS)
    # By itself it can send a name and a password only.
    made.session.headers.update(HEADERS)
    return made


api = connected()


@case
def two_pictures_come_back_with_their_facts():
    result = api.txt2img(prompt=PROMPT, negative_prompt="red", seed=7, cfg_scale=5, batch_size=2)
    expect(len(result.images) == 2, len(result.images))
    expect(distance(*result.images) > 1, "both pictures are the same")
    expect(result.info["all_seeds"] == [7, 8] and result.info["prompt"] == PROMPT, result.info)
    return f"{result.images}, info {result.info}"


@case
def the_same_seed_is_the_openai_routes_picture():
    mine = api.txt2img(prompt=PROMPT, seed=7, cfg_scale=5, sampler_name="Euler").image
    body = {"prompt": PROMPT, "seed": 7, "guidance_scale": 5, "num_inference_steps": STEPS, "scheduler": "euler"}
    answer = httpx.post(f"{BASE}/v1/images/generations", json=body, headers=HEADERS, timeout=60).json()
    expect(distance(mine, picture(answer["data"][0]["b64_json"])) == 0, "it is another picture")


@case
def samplers_models_and_options_are_told():
    samplers = {sampler["name"] for sampler in api.get_samplers()}
    models = api.get_sd_models()
    expect({"Euler", "Euler a", "DDIM"} <= samplers, samplers)
    expect(models and models[0]["title"] and models[0]["model_name"], models)
    expect(api.get_options()["sd_model_checkpoint"] == models[0]["title"], api.get_options())
    return f"{sorted(samplers)}; {models}; {api.get_options()}"


@case
def every_sampler_it_names_draws():
    names = [sampler["name"] for sampler in api.get_samplers()]
    pictures = {api.txt2img(prompt=PROMPT, seed=7, sampler_name=name).image.tobytes() for name in names}
    expect(len(pictures) == len(names), f"{names} draw {len(pictures)} different pictures")
    return ", ".join(names)


@case
def options_can_be_set_to_the_model_that_serves():
    api.set_options({"sd_model_checkpoint": api.get_sd_models()[0]["title"]})


@case
def a_picture_is_drawn_from_a_picture():
    start = gradient(*api.txt2img(prompt=PROMPT).image.size)

    def edit(strength):
        size = {"width": start.width, "height": start.height}
        return api.img2img(images=[start], prompt=PROMPT, seed=1, steps=10, denoising_strength=strength, **size).image

    weak, strong = (distance(edit(strength), start) for strength in (0.1, 1.0))
    expect(weak < strong, f"distance {weak:.1f} at strength 0.1, {strong:.1f} at 1.0")
    return f"distance to its picture {weak:.1f} at strength 0.1, {strong:.1f} at 1.0"


@case
def progress_is_told_and_interrupt_ends_the_run():
    seen, answers = [], []

    def long_run():
        try:
            answers.append(connected().txt2img(prompt=PROMPT, steps=150, batch_size=8))
        except RuntimeError as error:
            answers.append(error)

    idle = api.get_progress()["progress"]
    thread, began = threading.Thread(target=long_run), time.monotonic()
    thread.start()
    while not any(seen) and time.monotonic() - began < PATIENCE:
        time.sleep(0.05)
        seen.append(api.get_progress()["progress"])
    api.interrupt()
    thread.join(timeout=PATIENCE)
    expect(idle == 0 and 0 < seen[-1] < 1, f"progress when idle {idle}, while running {seen}")
    expect(not thread.is_alive(), f"{PATIENCE} s after the interrupt it still runs")
    return f"progress {seen[-1]:.2f}; ended {time.monotonic() - began:.1f} s after it began with {str(answers[0])[:200]}"


@case
def a_size_it_cannot_draw_falls_back_to_its_own():
    own, odd = api.txt2img(prompt=PROMPT).image, api.txt2img(prompt=PROMPT, width=501, height=777).image
    expect(own.size == odd.size, (own.size, odd.size))


@case
def a_sampler_it_does_not_know_is_an_error_of_the_client():
    return expect_error(RuntimeError, lambda: api.txt2img(prompt=PROMPT, sampler_name="magic"))


@case
def open_webui_gets_its_picture():
    """Its own calls: read the options, set the model, ask with just these fields, read `images` and `info`."""
    options = httpx.get(f"{BASE}/sdapi/v1/options", headers=HEADERS).raise_for_status().json()
    chosen = {"sd_model_checkpoint": options["sd_model_checkpoint"]}
    httpx.post(f"{BASE}/sdapi/v1/options", json=chosen, headers=HEADERS).raise_for_status()
    body = {"prompt": PROMPT, "batch_size": 1, "width": 512, "height": 512, "steps": STEPS, "negative_prompt": "red"}
    answer = httpx.post(f"{BASE}/sdapi/v1/txt2img", json=body, headers=HEADERS, timeout=60).raise_for_status().json()
    expect(isinstance(answer["info"], str), "`info` is a JSON text in A1111")
    return picture(answer["images"][0])
