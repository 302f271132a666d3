"""Small exports in which PyTorch's exporters write what imports must mend.

Run in a folder of its own with torch and onnxscript: `python make.py`.
"""

from pathlib import Path

import torch

HERE = Path(__file__).parent
OPSET = 18
WIDTH = 8


class Attention(torch.nn.Module):
    """diffusers' Attention.get_attention_scores: baddbmm whose input is never read, because beta is 0."""

    def forward(self, query, key, value):
        unread = torch.empty(query.shape[0], query.shape[1], key.shape[1], dtype=query.dtype, device=query.device)
        scores = torch.baddbmm(unread, query, key.transpose(-1, -2), beta=0, alpha=WIDTH**-0.5)
        return torch.bmm(scores.softmax(dim=-1), value)


class TimeEmbedding(torch.nn.Module):
    """diffusers' UNet2DConditionModel.time_proj: one timestep for all rows."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(WIDTH, WIDTH)
        self.register_buffer("frequencies", torch.logspace(0, -3, WIDTH // 2))

    def forward(self, sample, timestep):
        timesteps = timestep.expand(sample.shape[0])
        angles = timesteps[:, None].float() * self.frequencies[None, :]
        return sample + self.linear(torch.cat([angles.sin(), angles.cos()], dim=-1))


def main():
    torch.manual_seed(0)
    batch, sequence = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("sequence", min=2, max=4096)
    query, key, value = (torch.randn(2, 5, WIDTH) for _ in range(3))
    sample = torch.randn(2, WIDTH)
    cases = {
        "attention": (Attention(), (query, key, value), ["query", "key", "value"], [{0: "batch", 1: "sequence"}] * 3),
        "time_scalar": (TimeEmbedding(), (sample, torch.tensor(500)), ["sample", "timestep"], [{0: "batch"}, {}]),
        "time_one": (TimeEmbedding(), (sample, torch.tensor([500])), ["sample", "timestep"], [{0: "batch"}, {0: "steps"}]),
    }
    for name, (module, inputs, names, dims) in cases.items():
        path = HERE / f"{name}_legacy.onnx"
        axes = dict(zip(names, dims))
        torch.onnx.export(module.eval(), inputs, path, opset_version=OPSET, input_names=names, output_names=["out"],
                          dynamic_axes=axes, dynamo=False)
        if name == "time_one":
            continue
        known = {"batch": batch, "sequence": sequence}
        shapes = [{axis: known[dim] for axis, dim in each.items()} for each in dims]
        path = HERE / f"{name}_dynamo.onnx"
        torch.onnx.export(module.eval(), inputs, path, opset_version=OPSET, input_names=names, output_names=["out"],
                          dynamic_shapes=tuple(shapes), dynamo=True, external_data=False)


if __name__ == "__main__":
    main()
