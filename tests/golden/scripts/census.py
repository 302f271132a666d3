"""Which operators the exports use, with attributes and input counts: census.json and census.md.

    python tests/golden/scripts/census.py

Exporters as named in the rows: `dynamo`, `legacy`, `optimum`; `+static` is the same graph after ONNX Runtime's basic optimisation with every free
dimension fixed and the parameters turned into inputs, which is what gradient rules see.
"""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import common
import onnx
import onnxruntime

ROWS = 2
MINIATURE_DIMS = {
    "unet": {"batch": ROWS, "height": 16, "width": 16, "sequence": 24},
    "vae_encoder": {"batch": ROWS, "height": 64, "width": 64},
    "vae_decoder": {"batch": ROWS, "latent_height": 16, "latent_width": 16},
}


def graphs():
    """Rows of (model, exporter, path, free dimensions or None)."""
    for path in sorted(common.GRADIENTS.glob("*/*/model.onnx")):
        shapes = fixture_dims(path)
        yield path.parts[-3], path.parts[-2], path, shapes
    pack = common.ROOT / "onnx/packs/miniature"
    for path in sorted(pack.glob("*/*.onnx")):
        name = path.parent.name if path.stem == "model" else f"clip_{path.stem.removesuffix('_model')}"
        yield f"miniature/{name}", "dynamo", path, MINIATURE_DIMS.get(name, {"batch": ROWS})
    for path in sorted((common.GOLDEN / "tiny_sd_optimum").glob("*/model.onnx")):
        yield f"tiny_sd/{path.parent.name}", "optimum", path, None


def fixture_dims(path: Path) -> dict[str, int]:
    from safetensors import safe_open

    dims = {}
    with safe_open(path.with_name("case.safetensors"), "np") as case:
        for value in onnx.load(path, load_external_data=False).graph.input:
            shape = case.get_slice(f"input/{value.name}").get_shape()
            dims |= {d.dim_param: n for d, n in zip(value.type.tensor_type.shape.dim, shape) if d.dim_param}
    return dims


def with_parameters_as_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Float initializers that live outside the graph become inputs; the rest are constants and stay."""
    outside = [i for i in model.graph.initializer if i.data_location == onnx.TensorProto.EXTERNAL]
    for initializer in outside:
        model.graph.input.append(onnx.helper.make_tensor_value_info(initializer.name, initializer.data_type, initializer.dims))
        model.graph.initializer.remove(initializer)
    return model


def specialised(path: Path, dims: dict[str, int]) -> onnx.ModelProto:
    model = with_parameters_as_inputs(onnx.load(path, load_external_data=False))
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = f"{folder}/optimised.onnx"
        for name, size in dims.items():
            options.add_free_dimension_override_by_name(name, size)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def plain(attribute: onnx.AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return f"tensor of type {value.data_type}, shape {list(value.dims)}"
    if isinstance(value, bytes):
        return value.decode()
    return str(list(value)) if hasattr(value, "__len__") else str(round(value, 9) if isinstance(value, float) else value)


def census(model: onnx.ModelProto) -> dict:
    found = defaultdict(lambda: {"count": 0, "attributes": defaultdict(set), "inputs": set()})
    for node in model.graph.node:
        row = found[f"{node.domain}.{node.op_type}".removeprefix(".")]
        row["count"] += 1
        row["inputs"].add(len(node.input))
        for attribute in node.attribute:
            row["attributes"][attribute.name].add(plain(attribute))
    return {
        name: {
            "count": row["count"],
            "attributes": {key: sorted(values) for key, values in sorted(row["attributes"].items())},
            "inputs": sorted(row["inputs"]),
        }
        for name, row in sorted(found.items())
    }


def table(counted: dict) -> str:
    """Operators down, exports across."""
    columns = [(model, exporter) for model, exporters in counted.items() for exporter in exporters]
    operators = sorted({operator for model, exporter in columns for operator in counted[model][exporter]})
    lines = ["# Operators by export", "", "Made by `scripts/census.py`; attributes are in `census.json`.", ""]
    for suffix in ("", "+static"):
        chosen = [column for column in columns if column[1].endswith("+static") == bool(suffix)]
        lines += ["| operator | " + " | ".join(f"{m} {e.removesuffix('+static')}" for m, e in chosen) + " |"]
        lines += ["|---|" + "---:|" * len(chosen)]
        for operator in operators:
            counts = [counted[m][e].get(operator, {}).get("count", "") for m, e in chosen]
            if any(counts):
                lines.append(f"| {operator} | " + " | ".join(map(str, counts)) + " |")
        lines += ["", "The same after fixing every dimension (parameters as inputs, basic optimisation):", ""] if not suffix else []
    return "\n".join(lines) + "\n"


def main():
    counted = defaultdict(dict)
    for model, exporter, path, dims in graphs():
        counted[model][exporter] = census(onnx.load(path, load_external_data=False))
        if dims:
            counted[model][f"{exporter}+static"] = census(specialised(path, dims))
    (common.GOLDEN / "census.json").write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    (common.GOLDEN / "census.md").write_text(table(counted), encoding="utf-8")


if __name__ == "__main__":
    main()
