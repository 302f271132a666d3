"""From a PyTorch module to ONNX: the dynamo exporter, its optimiser kept away from the weights, and the file pair."""

import json
import logging
import struct
import warnings
from pathlib import Path

import onnx
import onnx_ir as ir
import onnxscript.optimizer
import torch
from onnx_ir.passes import common as passes

from .components import Component, parameters

OPSET = 18
SAFETENSORS_ALIGNMENT = 8  # the header is padded to this
DTYPES = {torch.float32: ("F32", onnx.TensorProto.FLOAT), torch.int64: ("I64", onnx.TensorProto.INT64)}


def trace(component: Component, exporter: str = "dynamo") -> onnx.ModelProto:
    """The component's graph with weights embedded under PyTorch's names (legacy: under the exporter's)."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"dynamo": trace_dynamo, "legacy": trace_legacy}[exporter](component)


def trace_dynamo(component: Component) -> onnx.ModelProto:
    axes = [component.axes[name] for name in component.inputs]
    program = torch.onnx.export(
        component.module,
        tuple(component.inputs.values()),
        dynamo=True,
        opset_version=OPSET,
        input_names=list(component.inputs),
        output_names=list(component.output_dims),
        dynamic_shapes=tuple(axes),
        optimize=False,
        verbose=False,
    )
    model = program.model
    names = {component.prefix + name: name for name in parameters(component)}
    optimise_around_weights(model, set(names))
    transpose_keys_directly(model)
    for old in list(model.graph.initializers):
        rename_initializer(model.graph, old, old.removeprefix(component.prefix))
    tidy(model, component)
    return embed(model, parameters(component))


def optimise_around_weights(model: ir.Model, weights: set[str]) -> None:
    """Folds constants, with the weights as inputs meanwhile: the optimiser would fold Transpose(weight) into a nameless copy."""
    held = [model.graph.initializers.pop(name) for name in list(model.graph.initializers) if name in weights]
    model.graph.inputs.extend(held)
    values = {value.name: value.const_value for value in held}
    for value in held:
        value.const_value = None
    onnxscript.optimizer.optimize_ir(model, num_iterations=2, onnx_shape_inference=True)
    passes.RemoveUnusedNodesPass()(model)
    del model.graph.inputs[len(model.graph.inputs) - len(held) :]
    for value in held:
        value.const_value = values[value.name]
        model.graph.initializers[value.name] = value


def transpose_keys_directly(model: ir.Model) -> None:
    """The exporter's SDPA transposes keys [rows, heads, tokens, width] through rank 3, with shapes read at run time. One Transpose does it."""
    for node in list(model.graph):
        if node.op_type != "Transpose" or list(node.attributes["perm"].as_ints()) != [0, 2, 1]:
            continue
        before, after = node.inputs[0].producer(), [use.node for use in node.outputs[0].uses()]
        if before is None or before.op_type != "Reshape" or [use.op_type for use in after] != ["Reshape"]:
            continue
        keys = before.inputs[0].producer()
        if keys is None or keys.op_type != "Transpose" or list(keys.attributes["perm"].as_ints()) != [0, 2, 1, 3]:
            continue
        direct = ir.node("Transpose", [keys.inputs[0]], attributes={"perm": [0, 2, 3, 1]})
        direct.outputs[0].name = after[0].outputs[0].name
        model.graph.insert_before(after[0], direct)
        after[0].outputs[0].replace_all_uses_with(direct.outputs[0])
    passes.RemoveUnusedNodesPass()(model)


def rename_initializer(graph: ir.Graph, old: str, new: str) -> None:
    value = graph.initializers.pop(old)
    value.name = new
    graph.initializers[new] = value


def tidy(model: ir.Model, component: Component) -> None:
    """Drops the exporter's traces and gives the outputs' axes the names a reader expects."""
    model.producer_name, model.producer_version, model.doc_string = "pytorch", torch.__version__.split("+")[0], None
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for output, dims in zip(model.graph.outputs, component.output_dims.values(), strict=True):
        output.shape = ir.Shape(dims)
    kept = {id(value) for value in [*model.graph.inputs, *model.graph.outputs]}
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            if id(value) not in kept:
                value.shape, value.type = None, None


def embed(model: ir.Model, weights: dict[str, torch.nn.Parameter]) -> onnx.ModelProto:
    """The model as protobuf, its weights left out (they may pass protobuf's 2 GB): names, dtypes and shapes stay."""
    for name, weight in weights.items():
        if name in model.graph.initializers:
            location = ir.ExternalTensor(
                "weights", 0, weight.numel() * weight.element_size(), ir.DataType.FLOAT,
                shape=ir.Shape(weight.shape), name=name, base_dir=".",
            )
            model.graph.initializers[name].const_value = location
    return ir.to_proto(model)


def trace_legacy(component: Component) -> onnx.ModelProto:
    import io

    file = io.BytesIO()
    axes = component.axes | {
        name: {i: dim for i, dim in enumerate(dims) if isinstance(dim, str)}
        for name, dims in component.output_dims.items()
    }
    torch.onnx.export(
        component.module,
        tuple(component.inputs.values()),
        file,
        dynamo=False,
        opset_version=OPSET,
        input_names=list(component.inputs),
        output_names=list(component.output_dims),
        dynamic_axes=axes,
        do_constant_folding=True,
        verbose=False,
    )
    return onnx.load_from_string(file.getvalue())


def safetensors_header(tensors: dict[str, torch.Tensor]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The header that the safetensors library writes for f32 tensors (names sorted), and each tensor's absolute (offset, length)."""
    entries, places, end = {}, {}, 0
    for name in sorted(tensors):
        tensor = tensors[name]
        length = tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": DTYPES[tensor.dtype][0], "shape": list(tensor.shape), "data_offsets": [end, end + length]}
        places[name] = (end, length)
        end += length
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % SAFETENSORS_ALIGNMENT)
    header = struct.pack("<Q", len(text)) + text
    return header, {name: (len(header) + start, length) for name, (start, length) in places.items()}


def write(model: onnx.ModelProto, tensors: dict[str, torch.Tensor], path: Path, with_weights: bool = True) -> None:
    """Writes `path` (*.onnx) with `tensors` external in the safetensors file of the same stem, one tensor in memory at a time."""
    used = {initializer.name for initializer in model.graph.initializer}
    tensors = {name: tensor for name, tensor in tensors.items() if name in used}
    header, places = safetensors_header(tensors)
    location = path.with_suffix(".safetensors").name
    for initializer in model.graph.initializer:
        if initializer.name in places:
            point_outside(initializer, location, *places[initializer.name])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    if with_weights:
        with (path.parent / location).open("wb") as file:
            file.write(header)
            for name in sorted(tensors):
                file.write(tensors[name].detach().contiguous().numpy().tobytes())


def point_outside(initializer: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    initializer.ClearField("raw_data")
    initializer.ClearField("external_data")
    initializer.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        initializer.external_data.add(key=key, value=str(value))
