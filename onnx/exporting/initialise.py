"""PyTorch's initial values as rules, so that a trainer can start from a seed alone."""

import torch
from transformers.models.clip import modeling_clip as clip

NORMS = (torch.nn.GroupNorm, torch.nn.LayerNorm)
AFFINE = (torch.nn.Linear, torch.nn.Conv2d)


def rules(module: torch.nn.Module, prefix: str = "") -> list[dict]:
    """One rule a parameter: `uniform` with bound (PyTorch's kaiming_uniform with a = √5 is ±1/√fan_in), `normal` with std, `zeros`, `ones`."""
    stds = clip_stds(module)
    found = []
    for owner_name, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            full = f"{owner_name}.{name}".removeprefix(".")
            rule = {"name": full.removeprefix(prefix), "shape": list(parameter.shape)}
            found.append(rule | rule_for(owner, name, stds.get(id(parameter)), bool(stds)))
    return found


def rule_for(owner, name: str, std: float | None, is_clip: bool) -> dict:
    if std is not None:
        return {"init": "normal", "std": std}
    if isinstance(owner, NORMS):
        return {"init": "ones" if name == "weight" else "zeros"}
    if isinstance(owner, AFFINE) and is_clip and name == "bias":
        return {"init": "zeros"}
    if isinstance(owner, AFFINE) and not is_clip:
        fan_in = owner.weight[0].numel()
        return {"init": "uniform", "bound": fan_in**-0.5}
    raise ValueError(f"no initialisation rule for {name} of {type(owner).__name__}")


def clip_stds(module: torch.nn.Module) -> dict[int, float]:
    """Standard deviations that transformers' CLIPPreTrainedModel._init_weights draws with, by parameter."""
    stds = {}
    for owner in module.modules():
        for parameter, std in clip_pairs(owner):
            stds[id(parameter)] = std
    return stds


def clip_pairs(owner) -> list[tuple[torch.nn.Parameter, float]]:
    if isinstance(owner, clip.CLIPTextEmbeddings):
        return [(owner.token_embedding.weight, 0.02), (owner.position_embedding.weight, 0.02)]
    if isinstance(owner, clip.CLIPVisionEmbeddings):
        spread = owner.config.initializer_range
        return [
            (owner.class_embedding, owner.embed_dim**-0.5),
            (owner.patch_embedding.weight, spread),
            (owner.position_embedding.weight, spread),
        ]
    if isinstance(owner, clip.CLIPAttention):
        inner = owner.embed_dim**-0.5 * (2 * owner.config.num_hidden_layers) ** -0.5
        outer = owner.embed_dim**-0.5
        return [
            (owner.q_proj.weight, inner),
            (owner.k_proj.weight, inner),
            (owner.v_proj.weight, inner),
            (owner.out_proj.weight, outer),
        ]
    if isinstance(owner, clip.CLIPMLP):
        width = owner.config.hidden_size
        return [
            (owner.fc1.weight, (2 * width) ** -0.5),
            (owner.fc2.weight, width**-0.5 * (2 * owner.config.num_hidden_layers) ** -0.5),
        ]
    if isinstance(owner, clip.CLIPTextModelWithProjection):
        return [(owner.text_projection.weight, owner.config.hidden_size**-0.5)]
    if isinstance(owner, clip.CLIPVisionModelWithProjection):
        return [(owner.visual_projection.weight, owner.config.hidden_size**-0.5)]
    return []


def check(rules: list[dict], parameters: dict[str, torch.Tensor]) -> None:
    """Refuses rules that do not describe a freshly built module: every parameter covered, spreads within 5 standard errors."""
    by_name = {rule["name"]: rule for rule in rules}
    wrong = sorted(set(by_name) ^ set(parameters))
    for name, value in parameters.items():
        rule = by_name.get(name, {})
        expected = {"ones": 0.0, "zeros": 0.0, "normal": rule.get("std"), "uniform": rule.get("bound", 0) * 3**-0.5}[rule["init"]]
        centre = 1.0 if rule["init"] == "ones" else 0.0
        found = (value.detach() - centre).square().mean().sqrt().item()
        slack = 5 * expected / max(2 * value.numel(), 1) ** 0.5
        if abs(found - expected) > slack:
            wrong.append(f"{name}: spread {found}, rule {rule}")
    if wrong:
        raise ValueError("initialisation rules do not fit:\n" + "\n".join(wrong))
