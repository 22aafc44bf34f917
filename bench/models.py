"""Layer shapes of three models, as specifications for `fastinit.initialize`; (in, out) layout."""

from __future__ import annotations

from collections.abc import Callable

import fastinit as fi

DTYPE = "bfloat16"


def _normal(shape: tuple[int, ...], std: float = 0.02) -> fi.Spec:
    return fi.Spec("normal", shape, std=std, dtype=DTYPE)


def _ones(n: int) -> fi.Spec:
    return fi.Spec("ones", n, dtype=DTYPE)


def _zeros(n: int) -> fi.Spec:
    return fi.Spec("zeros", n, dtype=DTYPE)


def _classic_block(d: int, hidden: int, depth: int) -> dict[str, fi.Spec]:
    """Pre-norm block with biases, as GPT-2 and ViT: the residual branches are scaled by depth."""
    residual = 0.02 / (2 * depth) ** 0.5
    return {
        "norm1.weight": _ones(d), "norm1.bias": _zeros(d),
        "qkv.weight": _normal((d, 3 * d)), "qkv.bias": _zeros(3 * d),
        "proj.weight": _normal((d, d), residual), "proj.bias": _zeros(d),
        "norm2.weight": _ones(d), "norm2.bias": _zeros(d),
        "up.weight": _normal((d, hidden)), "up.bias": _zeros(hidden),
        "down.weight": _normal((hidden, d), residual), "down.bias": _zeros(d),
    }  # fmt: skip


def _llama_block(d: int, hidden: int, depth: int) -> dict[str, fi.Spec]:
    residual = 0.02 / (2 * depth) ** 0.5
    return {
        "norm1.weight": _ones(d), "norm2.weight": _ones(d),
        "q.weight": _normal((d, d)), "k.weight": _normal((d, d)), "v.weight": _normal((d, d)),
        "o.weight": _normal((d, d), residual),
        "gate.weight": _normal((d, hidden)), "up.weight": _normal((d, hidden)),
        "down.weight": _normal((hidden, d), residual),
    }  # fmt: skip


Block = Callable[[int, int, int], dict[str, fi.Spec]]
# Width, hidden width, depth, block, what stands around the blocks.
_MODELS: dict[str, tuple[int, int, int, Block, dict[str, fi.Spec]]] = {
    "GPT-2-XL": (1600, 6400, 48, _classic_block, {
        "tokens.weight": _normal((50257, 1600)), "positions.weight": _normal((1024, 1600), 0.01),
        "norm.weight": _ones(1600), "norm.bias": _zeros(1600),
    }),
    "ViT-L": (1024, 4096, 24, _classic_block, {
        "patches.weight": _normal((16 * 16 * 3, 1024)), "patches.bias": _zeros(1024),
        "positions.weight": _normal((197, 1024)), "class": _zeros(1024),
        "norm.weight": _ones(1024), "norm.bias": _zeros(1024),
        "head.weight": _normal((1024, 1000)), "head.bias": _zeros(1000),
    }),
    "Llama-7B": (4096, 11008, 32, _llama_block, {
        "tokens.weight": _normal((32000, 4096)), "norm.weight": _ones(4096), "head.weight": _normal((4096, 32000)),
    }),
}  # fmt: skip
MODELS = tuple(_MODELS)


def specs(model: str, blocks: int | None = None, shrink: int = 1) -> dict[str, fi.Spec]:
    """The tensors of a model by name: all of them, or those of its first `blocks` blocks alone;
    widths divided by `shrink`."""
    width, hidden, depth, block, around = _MODELS[model]
    tensors = dict(around) if blocks is None else {}
    for i in range(depth if blocks is None else blocks):
        tensors |= {f"block{i}.{n}": s for n, s in block(width // shrink, hidden // shrink, depth).items()}
    return tensors
