"""What a schema cannot tell schemathesis; and it writes down what each operation answered, which contract.py reads."""

import base64
import io
import json
import os
import re
import uuid

import httpx
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.core.parameters import ParameterLocation
from schemathesis.transport.serialization import Binary

# Seconds: longer than anything the generated requests ask for takes.
ENOUGH = 120.0


def file(size: tuple[int, int], colour: tuple[int, int, int], kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


sides, channels = st.integers(1, 16), st.integers(0, 255)
files = {kind: st.builds(file, st.tuples(sides, sides), st.tuples(channels, channels, channels), st.just(kind)) for kind in ("PNG", "JPEG", "WEBP")}
for kind, strategy in files.items():
    # Binary, not bytes: schemathesis 4.32 breaks down where it keeps bytes of one request for another.
    schemathesis.openapi.media_type(f"image/{kind.lower()}", strategy.map(Binary))
coded = st.one_of(*files.values()).map(lambda picture: base64.b64encode(picture).decode())
schemathesis.openapi.format("base64-picture", coded)
schemathesis.openapi.format("data-uri-picture", coded.map("data:image/png;base64,{}".format))


# A picture that is there, for the first of each operation that asks for one.
unseen = {operation: [os.environ["PLAUDIT_PICTURE"]] for operation in ("GET /v1/images/{id}", "POST /v1/admin/gold")}

# A version that is there, and the champion as it is at that moment.
unseen |= {"GET /v1/admin/versions/{kind}/{version}": [None], "POST /v1/admin/versions/{kind}/{version}/promote": [None], "POST /v1/admin/versions/{kind}/rollback": [None], "POST /v1/admin/versions/{kind}/{version}/trial": [None, None], "POST /v1/admin/trials/end": [None]}


def name_versions(case) -> None:
    """Fills in what nobody can guess."""
    is_trial = case.operation.label.endswith("/trial")
    # Both kinds are tried, one after the other.
    kind = "generator" if is_trial and unseen[case.operation.label] else "reward"
    champion, other = versions(kind)
    case.path_parameters["kind"] = kind
    if "version" in case.path_parameters:
        case.path_parameters["version"] = other
    if case.method == "POST" and isinstance(case.body, dict):
        case.body = trial(champion) if is_trial else {"expected": champion, "reason": case.body.get("reason", "for tests")}
        case._meta.update_validated_hash(ParameterLocation.BODY, case._hash_container(case.body))


def listed(kind: str) -> list:
    url, headers = os.environ["PLAUDIT_REGISTRY"], {"Authorization": f"Bearer {os.environ['PLAUDIT_REGISTRY_KEY']}"}
    return httpx.get(f"{url}/v1/admin/versions?kind={kind}", headers=headers).raise_for_status().json()["data"]


def versions(kind: str) -> tuple[str, str]:
    """The champion, and another version of it."""
    found = listed(kind)
    champion = next(version["version"] for version in found if version["alias"] == "champion")
    return champion, next(version["version"] for version in found if version["version"] != champion)


def trial(champion: str) -> dict:
    return {"expected": champion, "reason": "for tests", "shadow": 0, "share": 0.1}


def begin_trial() -> None:
    """Something to end; one may go on already."""
    champion, other = versions("generator")
    url, headers = os.environ["PLAUDIT_REGISTRY"], {"Authorization": f"Bearer {os.environ['PLAUDIT_REGISTRY_KEY']}"}
    httpx.post(f"{url}/v1/admin/versions/generator/{other}/trial", json=trial(champion), headers=headers, timeout=60)


def end_trial() -> None:
    """Room for one."""
    url, headers = os.environ["PLAUDIT_REGISTRY"], {"Authorization": f"Bearer {os.environ['PLAUDIT_REGISTRY_KEY']}"}
    httpx.post(f"{url}/v1/admin/trials/end", json={"reason": "for tests"}, headers=headers, timeout=60)


@schemathesis.hook
def before_call(context, case, kwargs):
    """What keeps the schema and cannot be meant: a key that another request has used (422, as documented), a deadline that
    cannot be met (504, as documented), a file that is no picture, and to go back to a version that is known and was never champion
    (400, as documented). They get what a client would send."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if positive and case.media_type == "multipart/form-data" and isinstance(case.body, dict):
        for name in {"image", "images"} & case.body.keys():
            image = case.body[name]
            # A copied Binary has lost its data, and a name of a picture found elsewhere is no picture.
            if not is_picture(getattr(image, "data", image)):
                case.body[name] = Binary(file((8, 8), (200, 100, 50), "PNG"))
                # Private, of the version that requirements.txt names: every body with a file that a hook changed is a wrong one to it.
                case._meta.update_validated_hash(ParameterLocation.BODY, case._hash_container(case.body))
    if positive and unseen.get(case.operation.label):
        picture = unseen[case.operation.label].pop()
        if case.operation.label.endswith("/trials/end"):
            begin_trial()
        elif "/versions/" in case.operation.label:
            if case.operation.label.endswith("/trial"):
                end_trial()
            name_versions(case)
        elif case.method == "GET":
            case.path_parameters["id"] = picture
        elif isinstance(case.body, dict):
            case.body["image_id"] = picture
            case._meta.update_validated_hash(ParameterLocation.BODY, case._hash_container(case.body))
    elif positive and case.operation.label.endswith("/rollback") and isinstance(case.body, dict) and case.body.pop("to", None):
        case._meta.update_validated_hash(ParameterLocation.BODY, case._hash_container(case.body))
    headers = case.headers or {}
    for name, value in list(headers.items()):
        if name.lower() == "idempotency-key" and re.fullmatch(r"[!-~]{1,255}", str(value)):
            headers[name] = uuid.uuid4().hex
        if name.lower() == "x-request-timeout" and is_short(value):
            headers[name] = str(ENOUGH)


def is_picture(value) -> bool:
    return isinstance(value, bytes) and value.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF"))


def is_short(value) -> bool:
    try:
        return 0.001 <= float(value) < ENOUGH
    except ValueError:
        return False


@schemathesis.hook
def after_call(context, case, response):
    with open(os.environ["PLAUDIT_STATUSES"], "a", encoding="utf-8") as file:
        file.write(json.dumps([case.operation.label, response.status_code]) + "\n")
