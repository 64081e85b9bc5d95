"""What the peers' scripts share: medians of times, tensors of a .safetensors file, threads."""

import json
import statistics
import struct
import sys
import time

import torch


def arguments():
    """The JSON object on the command line; sets the number of threads that it names."""
    given = json.loads(sys.argv[1])
    torch.set_num_threads(given["threads"])
    return given


def answer(**values):
    print(json.dumps(values))


def median_ms(function, seconds, least):
    # Two take memory from the system; where one takes seconds the second changes nothing.
    for _ in range(2):
        start = time.perf_counter()
        function()
        if time.perf_counter() - start > 2:
            break
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def load_safetensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(entry["shape"])
    return tensors


def save_safetensors(tensors, path):
    header, parts, end = {}, [], 0
    for name, tensor in tensors.items():
        data = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    head = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + b"".join(parts))
