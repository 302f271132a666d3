"""OpenAI's own Python client."""

import asyncio
import time

import httpx
import openai
from harness import BASE, HEADERS, KEY, PROMPT, STEPS, STRICT_BASE, STRICT_KEY, Cases, distance, expect, expect_error, gradient, needs, picture, png

case = Cases("openai")
client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY or "none", max_retries=0)
FEW = {"num_inference_steps": STEPS}
# More work than any timeout below waits for.
LONG = {"num_inference_steps": 150, "guidance_scale": 5}


def draw(extra=None, **values):
    return client.images.generate(prompt=PROMPT, extra_body=FEW | (extra or {}), **values)


@case
def a_model_is_listed_and_described():
    models = client.models.list().data
    expect(models, "no model is listed")
    expect(client.models.retrieve(models[0].id).id == models[0].id, "the listed model is not described")
    return models[0].to_json(indent=None)


@case
def two_pictures_come_back_with_consecutive_seeds():
    answer = draw({"seed": 7}, n=2)
    seeds = [data.seed for data in answer.data]
    expect(seeds == [7, 8], seeds)
    first, second = (picture(data.b64_json) for data in answer.data)
    expect(first.format == "PNG" and first.size == second.size, (first, second))
    expect(distance(first, second) > 1, "both pictures are the same")
    expect(answer._request_id, "no x-request-id")
    facts = answer.to_dict()
    for data in facts["data"]:
        data["b64_json"] = f"… {first.format} {first.size}"
    return f"{facts}, request {answer._request_id}"


@case
def a_seed_means_the_same_picture_each_time():
    one, two = (draw({"seed": 11}).data[0].b64_json for _ in range(2))
    other = draw({"seed": 12}).data[0].b64_json
    expect(one == two, "the same seed drew two pictures")
    expect(one != other, "two seeds drew the same picture")


@case
def every_setting_of_diffusers_reaches_the_picture():
    base = {"seed": 3, "scheduler": "euler", "guidance_scale": 5}
    plain = picture(draw(base).data[0].b64_json)
    moves = [{"scheduler": "DDIMScheduler"}, {"guidance_scale": 1}, {"negative_prompt": "red"}, {"num_inference_steps": 6}, {"guidance_interval": [0.5, 1]}]
    same = [move for move in moves if distance(picture(draw(base | move).data[0].b64_json), plain) == 0]
    expect(not same, f"these change nothing: {same}")


@case
def a_url_leads_to_the_picture():
    url = draw(response_format="url").data[0].url
    answer = httpx.get(httpx.URL(BASE).join(url))
    expect(answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer)
    return f"{url}: {dict(answer.headers)}"


@case
def webp_and_jpeg_are_drawn():
    formats = {name: picture(draw(output_format=name).data[0].b64_json).format for name in ("webp", "jpeg")}
    expect(formats == {"webp": "WEBP", "jpeg": "JPEG"}, formats)


@case
def fields_without_effect_are_accepted_and_named():
    warnings = draw(quality="high", background="auto", moderation="low").warnings
    expect(all(any(name in warning for warning in warnings) for name in ("quality", "background", "moderation")), warnings)
    return warnings


@case
def previews_stream_before_the_picture():
    events = list(client.images.generate(prompt=PROMPT, stream=True, partial_images=2, extra_body={"num_inference_steps": 12, "seed": 5}))
    kinds = [event.type for event in events]
    expect(kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"], kinds)
    expect([event.partial_image_index for event in events[:2]] == [0, 1], events[:2])
    sizes = [picture(event.b64_json).size for event in events]
    expect(len(set(sizes)) == 1, f"previews have other sizes than the picture: {sizes}")
    whole = client.images.generate(prompt=PROMPT, extra_body={"num_inference_steps": 12, "seed": 5})
    apart = distance(picture(events[-1].b64_json), picture(whole.data[0].b64_json))
    expect(apart == 0, "a streamed picture is not the one of a plain request")
    required = ("background", "created_at", "output_format", "quality", "size")
    missing = [name for event in events for name in required if getattr(event, name, None) is None]
    expect(not missing, f"the client's types have {sorted(set(missing))}, the events do not")
    return [{k: v for k, v in event.to_dict().items() if k != "b64_json"} for event in events]


@case
def an_error_before_a_stream_is_an_error_of_the_client():
    error = expect_error(openai.BadRequestError, lambda: client.images.generate(prompt=PROMPT, size="63x63", stream=True))
    expect(error.code == "size_not_supported", error)


def bad_request(code: str, param: str, extra=None, **values):
    error = expect_error(openai.BadRequestError, lambda: draw(extra, **values))
    expect((error.code, error.param, error.type) == (code, param, "invalid_request_error"), error.body)
    return error.message


@case
def a_size_it_cannot_draw_is_refused_with_those_it_can():
    message = bad_request("size_not_supported", "size", size="63x63")
    expect("64" in message, message)
    return message


@case
def an_unknown_field_is_refused_by_name():
    message = bad_request("unknown_field", "colour", {"colour": "red"})
    expect("colour" in message, message)
    return message


@case
def values_out_of_range_are_refused_by_name():
    cases = [({}, {"n": 0}, "n"), ({"num_inference_steps": 0}, {}, "num_inference_steps"), ({"scheduler": "magic"}, {}, "scheduler")]
    cases += [({"guidance_interval": [0.9, 0.1]}, {}, "guidance_interval"), ({}, {"partial_images": 4}, "partial_images")]
    return "\n".join(bad_request("invalid_value", param, extra, **values) for extra, values, param in cases)


@case
def a_wrong_key_is_an_authentication_error():
    wrong = openai.OpenAI(base_url=f"{BASE}/v1", api_key="plaudit_wrong", max_retries=0)
    error = expect_error(openai.AuthenticationError, lambda: wrong.images.generate(prompt=PROMPT))
    expect(error.code == "invalid_api_key", error.body)
    return error.message


@case
def an_unknown_model_is_not_found():
    error = expect_error(openai.NotFoundError, lambda: draw(model="dall-e-2000"))
    expect(error.code == "model_not_found", error.body)
    return error.message


@case
def a_key_of_ones_own_repeats_the_answer_instead_of_the_work():
    headers = {"Idempotency-Key": f"clients-{time.time_ns()}"}

    def ask(prompt):
        return client.images.generate(prompt=prompt, extra_body=FEW, extra_headers=headers)

    one, two = ask(PROMPT), ask(PROMPT)
    expect(one.id == two.id and one.data[0].b64_json == two.data[0].b64_json, f"{one.id} and {two.id}")
    error = expect_error(openai.UnprocessableEntityError, lambda: ask("another"))
    expect(error.code == "idempotency_mismatch", error.body)
    return error.message


@case
def an_edit_keeps_more_of_its_picture_the_weaker_it_is():
    start = gradient(*picture(draw().data[0].b64_json).size)

    def edit(strength):
        extra = {"strength": strength, "num_inference_steps": 10, "seed": 1}
        return picture(client.images.edit(image=("start.png", png(start), "image/png"), prompt=PROMPT, extra_body=extra).data[0].b64_json)

    weak, strong = (distance(edit(strength), start) for strength in (0.1, 1.0))
    expect(weak < strong, f"distance {weak:.1f} at strength 0.1, {strong:.1f} at 1.0")
    return f"distance to its picture {weak:.1f} at strength 0.1, {strong:.1f} at 1.0"


@case
def an_edit_streams_under_its_own_event_names():
    image = ("start.png", png(gradient(64, 64)), "image/png")
    extra = {"num_inference_steps": 10, "strength": 0.8}
    events = list(client.images.edit(image=image, prompt=PROMPT, stream=True, partial_images=1, extra_body=extra))
    kinds = [event.type for event in events]
    expect(kinds == ["image_edit.partial_image", "image_edit.completed"], kinds)


@case
def what_is_no_picture_cannot_be_edited():
    error = expect_error(openai.BadRequestError, lambda: client.images.edit(image=("start.png", b"no picture", "image/png"), prompt=PROMPT))
    expect(error.param == "image", error.body)
    return error.message


@case
def a_deadline_that_passes_is_said():
    headers = {"X-Request-Timeout": "0.05"}
    error = expect_error(openai.InternalServerError, lambda: client.images.generate(prompt=PROMPT, n=4, extra_body=LONG, extra_headers=headers))
    expect(error.status_code == 504 and error.body["code"] == "deadline_exceeded", error.body)
    return error.message


@case
def a_client_that_hangs_up_frees_the_engine():
    expect_error(openai.APITimeoutError, lambda: client.with_options(timeout=0.3).images.generate(prompt=PROMPT, n=8, extra_body=LONG))
    began = time.monotonic()
    while under_way() and time.monotonic() - began < 10:
        time.sleep(0.1)
    expect(not under_way(), "10 s after its client left a request is still under way")
    return f"idle {time.monotonic() - began:.1f} s after the client left"


def under_way() -> int:
    lines = httpx.get(f"{BASE}/metrics", headers=HEADERS).text.splitlines()
    values = [line.split()[1] for line in lines if line.startswith(("plaudit_requests_running ", "plaudit_requests_waiting "))]
    expect(len(values) == 2, "the gauges of running and waiting requests are not exported")
    return sum(int(float(value)) for value in values)


@case
def eight_async_clients_get_the_pictures_they_would_get_alone():
    async def together(count):
        async with openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key=KEY or "none", max_retries=0) as many:
            calls = [many.images.generate(prompt=PROMPT, extra_body={"num_inference_steps": 3 + i, "seed": i}) for i in range(count)]
            return [picture(answer.data[0].b64_json).tobytes() for answer in await asyncio.gather(*calls)]

    many = asyncio.run(together(8))
    alone = [picture(draw({"num_inference_steps": 3 + i, "seed": i}).data[0].b64_json).tobytes() for i in range(8)]
    expect(many == alone, [one == other for one, other in zip(many, alone)])


def strict_client(retries: int):
    url = needs(STRICT_BASE, "PLAUDIT_STRICT_URL")
    return openai.OpenAI(base_url=f"{url}/v1", api_key=STRICT_KEY or "none", max_retries=retries)


@case
def too_many_requests_say_when_to_come_back():
    strict = strict_client(0)
    error = expect_error(openai.RateLimitError, lambda: [strict.images.generate(prompt=PROMPT, extra_body=FEW) for _ in range(9)])
    wait = error.response.headers.get("retry-after", "")
    expect(error.code == "rate_limited" and wait.isdigit() and int(wait) >= 1, (error.body, error.response.headers))
    return f"{error.message} Retry-After: {wait}"


@case
def a_client_that_retries_gets_through():
    strict, began = strict_client(5), time.monotonic()
    answers = [strict.images.generate(prompt=PROMPT, extra_body=FEW) for _ in range(4)]
    expect(all(answer.data for answer in answers), answers)
    return f"4 pictures through a limit of 2 at once and one every 2 s, in {time.monotonic() - began:.1f} s"
