"""The usual initializers side by side, for a chain of equal layers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tqdm import tqdm

from .._activations import canonical_name
from ._layer_report import power
from ._layers import Activation, BatchNorm, Layer, LayerNorm, Residual, RMSNorm
from ._linear_layers import Dense
from ._propagate import propagate
from ._report import Report
from ._table import aligned, from_log10, markdown_lines, number, percent
from ._verdict import grade_of, gradient_grade

NORMS = {"none": None, "layer": LayerNorm, "rms": RMSNorm, "batch": BatchNorm}
#: A label, an initializer, its arguments.
SCHEMES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("zeros", "zeros", {}),
    ("small random, std 0.01", "normal", {"std": 0.01}),
    ("uniform [-1, 1]", "uniform", {"low": -1.0, "high": 1.0}),
    ("Xavier", "xavier_normal", {}),
    ("He", "he_normal", {}),
    ("LeCun", "lecun_normal", {}),
    ("orthogonal", "orthogonal", {}),
)
_GAIN_OF = {"relu": 2.0**0.5, "leaky_relu": 2.0**0.5}


class Chain(NamedTuple):
    """`depth` dense layers of `width` units."""

    depth: int
    width: int
    activation: str
    bias_std: float = 0.0
    residual: float | None = None  # factor of branches of one layer; None without them
    norm: str = "none"  # before every activation

    def layers(self, init: str, **kwargs: Any) -> list[Layer]:
        """With weights of an initializer."""
        norm = NORMS[self.norm]
        dense = Dense(self.width, init, bias_std=self.bias_std, **kwargs)
        active = [*([] if norm is None else [norm()]), Activation(self.activation)]
        if self.residual is not None:
            return [dense, *[Residual([*active, dense], scale=self.residual)] * (self.depth - 1)]
        return [dense, *active] * self.depth


def scheme_reports(chain: Chain, **kwargs: Any) -> list[tuple[str, Report]]:
    """What `propagate` says of each, with its `kwargs`; orthogonal weights have the gain of the activation's kind."""
    found = []
    for label, init, arguments in tqdm(SCHEMES, unit="initializer", delay=1.0, leave=False):
        if init == "orthogonal":
            arguments = {"gain": _GAIN_OF.get(canonical_name(chain.activation), 1.0)}
        found.append((label, propagate(chain.layers(init, **arguments), **kwargs)))
    return found


def compare_rows(reports: list[tuple[str, Report]]) -> list[dict[str, Any]]:
    """What the comparison shows of each."""
    rows = []
    for label, r in reports:
        last = [x for x in r.layers if x.sigma_w2 is not None][-1]
        shift = r.log10_signal_ratio / max(1, r.depth - 1)
        rows.append({
            "init": label, "sigma_w2": last.sigma_w2, "signal_log10": r.log10_signal_ratio,
            "signal_per_layer": power(shift), "gradient_log10": r.log10_gradient_ratio, "correlation": last.correlation,
            "dead": r.dead, "saturated": r.saturated, "phase": r.phase,
            "jacobian_mean": r.jacobian.mean, "jacobian_spread": _spread(r), "overflow": r.overflow[r.dtype],
            "symmetric": r.symmetric, "level": r.level, "words": _words(r),
        })  # fmt: skip
    return rows


def _spread(r: Report) -> float | None:
    """Largest over mean eigenvalue of J J^T."""
    return r.jacobian.largest / r.jacobian.mean if 0.0 < r.jacobian.mean < 1e300 else None


def _words(r: Report) -> str:
    """The verdict in a few words."""
    total = r.log10_gradient_ratio
    if r.symmetric:
        return "dead and symmetric" if total == -math.inf else "symmetric"
    grade = gradient_grade(r)
    if grade == 2:
        words = "vanishes" if total < 0 else "explodes"
        if grade_of(r.saturated or 0.0, "saturated"):
            words += ", saturated"
        return words + (f", overflows {r.dtype}" if grade_of(r.overflow[r.dtype], "overflow") else "")
    if r.level == "bad":
        return r.reasons[0].rstrip(".")
    words = "keeps signal and gradient"
    if r.level == "good":
        return words
    if grade == 1:
        way = "slowly vanishes" if total < 0 else "slowly explodes"
        words = f"{'stays critical' if r.phase == 'critical' else way}: gradient x10^{total:.1f}"
    spread = _spread(r)
    even = ", even spectrum" if spread is not None and spread < 10.0 else ""
    return words + even + (f", {r.dead:.0%} dead" if grade_of(r.dead, "dead") else "")


_COLUMNS = (
    ("init", "init", str),
    ("sigma_w2", "sigma_w2", number),
    ("signal_per_layer", "E x^2 per layer", lambda v: f"x{v:.3g}"),
    ("signal_log10", "E x^2 in all", from_log10),
    ("gradient_log10", "E g^2 in all", from_log10),
    ("correlation", "corr", lambda v: "-" if v is None else f"{abs(v):.2f}"),
    ("dead", "dead", percent),
    ("saturated", "flat", percent),
    ("jacobian_spread", "max/mean s^2", lambda v: number(v, 3)),
    ("phase", "phase", str),
    ("words", "verdict", str),
)


def compare_table(rows: list[dict[str, Any]], markdown: bool = False) -> str:
    """Aligned text or Markdown."""
    head = [title for _, title, _ in _COLUMNS]
    cells = [[show(row[key]) for key, _, show in _COLUMNS] for row in rows]
    lines = markdown_lines(head, cells) if markdown else aligned(head, cells, left=(0, len(head) - 2, len(head) - 1))
    return "\n".join(lines)
