"""What the client tests share: cases, what they print, and the server they talk to."""

import base64
import io
import os
import sys
import time
import traceback

from PIL import Image

BASE = os.environ["PLAUDIT_URL"].rstrip("/")
# A key of the server at BASE; empty where it needs none.
KEY = os.environ.get("PLAUDIT_KEY", "")
HEADERS = {"Authorization": f"Bearer {KEY}"} if KEY else {}
# A second server that allows each key a burst of two requests and one more every two seconds.
STRICT_BASE = os.environ.get("PLAUDIT_STRICT_URL", "").rstrip("/")
STRICT_KEY = os.environ.get("PLAUDIT_STRICT_KEY", "")
# What one picture costs here: few steps, since nobody looks at it.
STEPS = 4
PROMPT = "two blue stars on the beach"


class Skipped(Exception):
    """A case that cannot run here; the message says why."""


class Cases:
    """The cases of one client, in the order in which they stand in its file."""

    def __init__(self, client: str):
        self.client, self.functions = client, []

    def __call__(self, function):
        self.functions.append(function)
        return function

    def run(self) -> dict[str, int]:
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        for function in self.functions:
            counts[self.run_one(function)] += 1
        return counts

    def run_one(self, function) -> str:
        name, began = f"{self.client}: {function.__name__.replace('_', ' ')}", time.perf_counter()
        try:
            said = function()
        except Skipped as reason:
            print(f"skipped  {name}: {reason}", flush=True)
            return "skipped"
        except Exception:
            print(f"FAILED   {name}\n{indented(traceback.format_exc(limit=-4))}", flush=True)
            return "failed"
        print(f"passed   {name} ({time.perf_counter() - began:.2f} s)" + (f"\n{indented(str(said))}" if said else ""), flush=True)
        return "passed"


def indented(text: str) -> str:
    return "\n".join(f"           {line}" for line in text.strip().splitlines())


def expect(holds, message) -> None:
    """An assertion that Python's -O does not remove and that says what it saw."""
    if not holds:
        raise AssertionError(str(message)[:2000])


def expect_error(kind, call):
    """The error of this kind that the call raises."""
    try:
        answer = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} but {str(answer)[:200]}")


def picture(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    image.load()
    return image


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    """A picture to start from."""
    image = Image.new("RGB", (width, height))
    image.putdata([(255 * x // width, 255 * y // height, 90) for y in range(height) for x in range(width)])
    return image


def distance(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference of bytes."""
    a, b = (image.convert("RGB").tobytes() for image in (a, b))
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)


def needs(value: str, name: str) -> str:
    if not value:
        raise Skipped(f"{name} is not set")
    return value


if __name__ == "__main__":
    sys.exit("run scripts/clients.sh")
