"""huggingface_hub's InferenceClient, its text-to-image task."""

import httpx
from harness import BASE, HEADERS, KEY, PROMPT, STEPS, Cases, distance, expect, expect_error
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

case = Cases("huggingface_hub")
# One is always given: without it the client looks for a token of its own.
TOKEN = KEY or "none"
client = InferenceClient(model=BASE, token=TOKEN)


def draw(at=client, **values):
    return at.text_to_image(PROMPT, **({"num_inference_steps": STEPS, "seed": 7} | values))


@case
def a_picture_comes_back():
    image = draw(guidance_scale=5.0, negative_prompt="red")
    expect(image.getbbox(), image)
    return image


@case
def the_models_own_address_draws_the_same():
    name = httpx.get(f"{BASE}/v1/models", headers=HEADERS).json()["data"][0]["id"]
    there = InferenceClient(model=f"{BASE}/models/{name}", token=TOKEN)
    expect(distance(draw(), draw(there)) == 0, "the same seed draws another picture there")


@case
def a_scheduler_is_named_as_diffusers_names_it():
    one, two = (draw(scheduler=name) for name in ("EulerDiscreteScheduler", "DDIMScheduler"))
    expect(distance(one, two) > 0, "both schedulers draw the same picture")


@case
def a_size_it_cannot_draw_falls_back_to_its_own():
    own, odd = draw(), draw(width=501, height=777)
    expect(own.size == odd.size, (own.size, odd.size))
    return own.size


@case
def the_answer_names_its_picture():
    answer = httpx.post(f"{BASE}/", json={"inputs": PROMPT, "parameters": {"num_inference_steps": STEPS}}, headers=HEADERS)
    expect(answer.headers.get("x-plaudit-image-id"), dict(answer.headers))
    return dict(answer.headers)


@case
def a_wrong_token_is_an_error_of_the_client():
    error = expect_error(HfHubHTTPError, lambda: draw(InferenceClient(model=BASE, token="plaudit_wrong")))
    expect(error.response.status_code == 401, error)
    return error


@case
def a_parameter_out_of_range_is_an_error_of_the_client():
    error = expect_error(HfHubHTTPError, lambda: draw(num_inference_steps=0))
    expect(error.response.status_code in (400, 422), error)
    return error
