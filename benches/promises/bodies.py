"""Slow, large and hostile bodies: rows 18, 19 and 21 of the promises."""

import contextlib
import resource
import socket
import struct
import threading
import time
import zlib

import httpx

import watch

POST = "POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
# So many answers do not fit into the buffers of a connection.
ASKED_OFTEN = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 40
KINDS, UNREAD = 5, 4
BODY_SECONDS = 10
WRITE_SECONDS = 30
PLAIN_REQUESTS = 200


def latencies(server, count: int) -> list[float]:
    """Of the cheapest request that goes through everything but the engine, and of one picture of two steps, in turn."""
    seconds = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.post("/v1/images/generations", json=watch.body(2)).raise_for_status()
            seconds.append(time.perf_counter() - began)
    return seconds


def drippers(setting):
    """Clients that send nothing, a byte of the head a second, of a body of known length, or of a chunked one, or ask for much and read nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    count = setting.count(1000)
    with watch.serving(setting) as server:
        server.draw()
        alone = latencies(server, PLAIN_REQUESTS)
        sockets = [socket.create_connection(server.address) for _ in range(count)]
        opened = time.perf_counter()
        begin = ["", POST, POST + "Content-Length: 500\r\n\r\n{", POST + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", ASKED_OFTEN]
        for at, connection in enumerate(sockets):
            connection.setblocking(False)
            connection.send(begin[at % KINDS].encode())
        ended, stop = {}, threading.Event()
        dripping = threading.Thread(target=drip, args=(sockets, opened, ended, stop))
        dripping.start()
        company = latencies(server, PLAIN_REQUESTS)
        while len(ended) < count and time.perf_counter() - opened < BODY_SECONDS + 80:
            time.sleep(0.5)
        stop.set()
        dripping.join()
        [connection.close() for connection in sockets]
    bodies = [ended.get(at, float("inf")) for at in range(count) if at % KINDS in (2, 3)]
    unread = [ended.get(at, float("inf")) for at in range(count) if at % KINDS == UNREAD]
    ratio = watch.quantile(company, 0.99) / watch.quantile(alone, 0.99)
    yield f"others' p99 beside {count} of them, against alone", f"{ratio:.2f}×", "1.5×", ratio <= 1.5
    yield "longest life of a dripped body", f"{max(bodies):.1f} s", f"{BODY_SECONDS} s and closing", max(bodies) <= BODY_SECONDS + 5
    yield "longest life of a connection that reads nothing of its answers", f"{max(unread):.1f} s", f"{WRITE_SECONDS} s and closing", max(unread) <= WRITE_SECONDS + 30
    yield "drippers of all kinds that are gone in the end", f"{len(ended)} of {count}", "all", len(ended) == count


def closed(connection) -> bool:
    """Whether the kernel knows that the other side has reset the connection or closed it."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    established = 1
    return info[0] != established


def drip(sockets, opened, ended, stop) -> None:
    """A byte a second for each connection that is still open; notes when each ended."""
    while not stop.wait(1):
        for at, connection in enumerate(sockets):
            if at in ended:
                continue
            if at % KINDS == UNREAD:
                # A system that cut a connection off says so only when it is sent something.
                try:
                    connection.send(b" ")
                except BlockingIOError:
                    pass
                except OSError:
                    ended[at] = time.perf_counter() - opened
                if closed(connection):
                    ended.setdefault(at, time.perf_counter() - opened)
                continue
            with contextlib.suppress(BlockingIOError):
                try:
                    if connection.recv(65536) == b"":
                        ended[at] = time.perf_counter() - opened
                        continue
                except BlockingIOError:
                    pass
                except OSError:
                    ended[at] = time.perf_counter() - opened
                    continue
                try:
                    if at % KINDS:
                        connection.send(b"1\r\n \r\n" if at % KINDS == 3 else b" ")
                except (BrokenPipeError, ConnectionResetError):
                    ended[at] = time.perf_counter() - opened


def large(setting):
    """Bodies of a million one-byte chunks, one after another."""
    chunks = b"1\r\n \r\n" * 10_000
    with watch.serving(setting) as server:
        server.draw()
        send_large(server, chunks)
        before = server.memory_mib()
        statuses = [send_large(server, chunks) for _ in range(setting.count(100))]
        growth = server.memory_mib() - before
        alive = server.draw().status_code == 200
    refused = sum(b" 413 " in status for status in statuses)
    yield f"memory after {len(statuses)} bodies of a million chunks", f"{growth:+.2f} MiB", "below 1 MiB", growth < 1
    yield "refused with 413; the server draws afterwards", f"{refused} of {len(statuses)}; {alive}", "all; yes", refused == len(statuses) and alive


def send_large(server, chunks: bytes) -> bytes:
    """The status line; the rest of the body is not sent once the server has answered."""
    with socket.create_connection(server.address) as connection:
        connection.sendall((POST + "Transfer-Encoding: chunked\r\n\r\n").encode())
        for _ in range(200):
            try:
                connection.sendall(chunks)
            except OSError:
                break
        with contextlib.suppress(OSError):
            return connection.recv(64)
    return b"none"


def png(width: int, height: int, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def cmyk(side: int) -> bytes:
    """The head of a JPEG of four components, and no data."""
    components = b"".join(bytes([number, 0x11, 0]) for number in range(1, 5))
    frame = struct.pack(">BHHB", 8, side, side, 4) + components
    scan = bytes([4]) + b"".join(bytes([number, 0]) for number in range(1, 5)) + b"\x00\x3f\x00"
    segment = lambda marker, content: bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content  # noqa: E731
    tables = segment(0xDB, bytes([0]) + bytes([1] * 64)) + segment(0xC4, bytes([0]) + bytes([0] * 16)) + segment(0xC4, bytes([0x10]) + bytes([0] * 16))
    return b"\xff\xd8" + tables + segment(0xC0, frame) + segment(0xDA, scan) + b"\xff\xd9"


def bombs(setting):
    """Files that are small on the wire and large in memory."""
    text = zlib.compress(b"a" * (64 << 20), 9)
    itxt = b"iTXt" + b"k\0\1\0\0\0" + text
    zipped = struct.pack(">I", len(itxt) - 4) + itxt + struct.pack(">I", zlib.crc32(itxt))
    cases = {
        "PNG of 16384²": png(16384, 16384),
        "PNG with 64 MiB of compressed text": png(64, 64, zipped),
        "GIF of 65535²": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x00\x00\x00;",
        "CMYK JPEG of 16384²": cmyk(16384),
        "JPEG cut off": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00",
        "WebP cut off": b"RIFF\xff\xff\xff\x7fWEBPVP8L\xff\xff\xff\x7f\x2f\xff\xff\xff\x0f",
    }
    with watch.serving(setting) as server:
        form = {"prompt": "a star", "num_inference_steps": "2"}

        def send(content: bytes) -> httpx.Response:
            return httpx.post(f"{server.url}/v1/images/edits", data=form, files={"image": ("x.png", content)}, timeout=30)

        send(b"warm")
        for name, content in cases.items():
            before, began = server.memory_mib(), time.perf_counter()
            status = send(content).status_code
            milliseconds, growth = (time.perf_counter() - began) * 1e3, server.memory_mib() - before
            kept = 400 <= status < 500 and growth < 5
            yield f"{name}, {len(content)} bytes", f"{status}, {growth:+.1f} MiB, {milliseconds:.0f} ms", "4xx, below 5 MiB", kept
