"""How the choice of initial weights decides whether a network trains: ``python -m bench.convergence``.

Six initializers x three activations x three depths x several seeds on images of digits, by plain
stochastic gradient descent; beside each outcome what `fastinit.propagation` said of the same weights before training.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import fastinit as fi
from fastinit.propagation import Activation, Dense, propagate
from fastinit.propagation._plain import plain_json

from .data import Data, digits, mnist
from .network import ACTIVATIONS, Network, hessian_extremes
from .report import check_paths, insert, show

# Name: initializer and its arguments, of the activation.
INITS: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "zero": lambda f: ("zeros", {}),
    "uniform[-1,1]": lambda f: ("uniform", {"low": -1.0, "high": 1.0}),
    "N(0, 0.01^2)": lambda f: ("normal", {"std": 0.01}),
    "Xavier": lambda f: ("xavier_normal", {}),
    "He": lambda f: ("he_normal", {}),
    "orthogonal": lambda f: ("orthogonal", {"gain": 2**0.5 if f == "relu" else 1.0}),
}
DEPTHS = (2, 10, 30)
WIDTH = 64
BATCH = 64
CLASSES = 10
# The claim whose order is checked: steps and accuracy on MNIST; it names no network.
PUBLISHED = {
    "zero": "never, below 10%", "uniform[-1,1]": "3800, 87.2%, with oscillation",
    "Xavier": "1200, 98.1%", "He": "900, 98.6%",
}  # fmt: skip


def rate(depth: int) -> float:
    """Learning rate, one for all initializers: the curvature grows with depth."""
    return min(0.1, 0.6 / depth)


@dataclass
class Outcome:
    """One initializer at one activation and depth; lists hold one number a seed."""

    init: str
    activation: str
    depth: int
    steps_to_target: list[int | None] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    oscillation: list[float] = field(default_factory=list)  # deviation of the accuracy over the last quarter
    curve: list[float] = field(default_factory=list)  # mean accuracy at each test
    gradient_norms: list[float] = field(default_factory=list)  # of each layer at step 0, mean over seeds
    symmetric: int = 0  # hidden units with the weights and the gradient of another
    dead: int = 0  # hidden units that no gradient reaches
    units: int = 0
    hessian: list[tuple[float, float]] = field(default_factory=list)  # smallest and largest eigenvalue at step 0
    levels: list[str] = field(default_factory=list)  # fastinit.propagation's of the weights, before training
    reasons: list[str] = field(default_factory=list)
    log10_gradient_ratio: list[float] = field(default_factory=list)

    @property
    def reached(self) -> float:
        return float(np.mean([s is not None for s in self.steps_to_target]))

    @property
    def median_steps(self) -> float:
        """Over all seeds; infinite where half of them never arrive."""
        steps = sorted(math.inf if s is None else s for s in self.steps_to_target)
        return float(steps[len(steps) // 2])

    @property
    def level(self) -> str:
        """What the theory says of most seeds."""
        return Counter(self.levels).most_common(1)[0][0]

    @property
    def reason(self) -> str:
        return self.reasons[self.levels.index(self.level)]

    @property
    def verdict(self) -> str:
        """"right" or "WRONG": good should train, bad should not; a warning says neither."""
        trained = self.reached >= 0.5
        if self.level == "warn":
            return "warned"
        return "right" if trained == (self.level == "good") else "WRONG"


def draw(init: str, activation: str, widths: Sequence[int], seeds: int) -> list[np.ndarray]:
    """Weights of every layer, (seeds, in, out)."""
    name, kwargs = INITS[init](activation)
    layers = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        spec = fi.Spec(name, (fan_in, fan_out), **kwargs)
        layers.append(np.stack([spec.build(fi.Key(seed).fold_in(f"layer{i}")) for seed in range(seeds)]))
    return layers


def predict(outcome: Outcome, network: Network, inputs: np.ndarray) -> None:
    """What the theory says of every seed's weights and a batch of inputs; nothing is trained."""
    for seed in range(network.weights[0].shape[0]):
        first, *rest = (Dense(weight=w[seed]) for w in network.weights)
        report = propagate([first, *(x for w in rest for x in (Activation(outcome.activation), w))], batch=inputs)
        outcome.levels.append(report.level)
        outcome.reasons.append(report.reasons[0])
        outcome.log10_gradient_ratio.append(float(report.log10_gradient_ratio))


def at_start(outcome: Outcome, network: Network, x: np.ndarray, y: np.ndarray) -> None:
    """Gradient norms, symmetric and dead units, and the Hessian's ends at step 0."""
    n, x = len(network.weights), x.astype(np.float64)  # float32 loses squares of what has vanished
    network = Network([w.astype(np.float64) for w in network.weights], outcome.activation)
    grads, _ = network.gradient(x[None], y[None])
    outcome.gradient_norms = [float(np.sqrt((g * g).sum((1, 2))).mean()) for g in grads[:n]]
    copies = network.weights[0].shape[0]
    for w, g in zip(network.weights[: n - 1], grads[: n - 1], strict=True):
        for c in range(copies):
            columns = np.concatenate([w[c], g[c]]).T
            counts = np.unique(columns, axis=0, return_counts=True)[1]
            outcome.symmetric += int(counts[counts > 1].sum())
            outcome.dead += int((g[c] == 0).all(0).sum())
            outcome.units += len(columns)
    for c in range(copies):
        one = Network([w[c : c + 1] for w in network.weights], outcome.activation)
        outcome.hessian.append(hessian_extremes(one, x[None], y[None]))


def train(outcome: Outcome, network: Network, data: Data, steps: int, target: float, tick: Callable[[int], Any]) -> None:
    """Every seed's network at once, each with its own order of the batches."""
    copies = network.weights[0].shape[0]
    rngs = [np.random.default_rng([7, c]) for c in range(copies)]
    every, size = max(1, steps // 100), np.float32(rate(outcome.depth))
    curves: list[np.ndarray] = []
    reached: list[int | None] = [None] * copies
    with np.errstate(all="ignore"):  # a network that diverges shows it in its accuracy
        for step in range(steps + 1):
            if step % every == 0 or step == steps:
                right = (network.forward(data.test_x[None]).z[-1].argmax(-1) == data.test_y).mean(-1)
                right[~np.isfinite(network.loss(data.test_x[None], data.test_y[None]))] = 0.0
                curves.append(right)
                reached = [step if s is None and a >= target else s for s, a in zip(reached, right, strict=True)]
                tick(0 if step == 0 else min(every, step))
            pick = np.stack([rng.integers(0, len(data.x), BATCH) for rng in rngs])
            grads, _ = network.gradient(data.x[pick], data.y[pick])
            for parameter, g in zip(network.parameters, grads, strict=True):
                parameter -= size * g
    curve = np.array(curves)
    last = curve[-max(2, len(curve) // 4) :]
    outcome.steps_to_target = reached
    outcome.accuracy = [float(a) for a in curve[-1]]
    outcome.oscillation = [float(s) for s in last.std(0)]
    outcome.curve = [float(a) for a in curve.mean(1)]


def study(
    data: Data, *, depths: Sequence[int] = DEPTHS, seeds: int = 5, steps: int = 1500, target: float = 0.9,
    quiet: bool = False,
) -> list[Outcome]:  # fmt: skip
    """Every combination, in the order of activation, depth, initializer."""
    outcomes = [Outcome(i, f, d) for f, d, i in product(ACTIVATIONS, depths, INITS)]
    sample = np.random.default_rng(1).permutation(len(data.x))[:256]
    x, y = data.x[sample], data.y[sample]
    # The bar counts layer-steps, which take about the same time each.
    work = sum((o.depth + 1) * steps for o in outcomes)
    # Matrices of 64 x 64 are too small to share among threads.
    with threadpool_limits(1), tqdm(total=work, unit="", unit_scale=True, disable=quiet, mininterval=0.5) as bar:
        for outcome in outcomes:
            bar.set_description(f"{outcome.activation} {outcome.depth} {outcome.init}")
            widths = [data.x.shape[1], *[WIDTH] * outcome.depth, CLASSES]
            network = Network(draw(outcome.init, outcome.activation, widths, seeds), outcome.activation)
            predict(outcome, network, x)
            at_start(outcome, network, x, y)
            scale = outcome.depth + 1
            train(outcome, network, data, steps, target, lambda n, scale=scale: bar.update(n * scale))
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table, one row a combination."""
    lines = [
        "| activation | depth | init | steps to target | accuracy | oscillation | first / last gradient | symmetric | dead "
        "| Hessian min | max | min / max | theory, of the weights | |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for o in outcomes:
        steps = f"{o.median_steps:.0f}" if math.isfinite(o.median_steps) else "never"
        last = o.gradient_norms[-1]
        ratio = f"{o.gradient_norms[0] / last:.1e}" if last else "–"
        low, high = np.array(o.hessian).T
        with np.errstate(all="ignore"):  # an eigenvalue that was not found, or a Hessian of zero
            ends = " | ".join(f"{v.mean():.2g} ± {round(v.std(), 12):.1g}" for v in (low, high, low / high))
        agreed = o.levels.count(o.level)
        theory = o.level if agreed == len(o.levels) else f"{o.level} ({agreed} of {len(o.levels)})"
        lines.append(
            f"| {o.activation} | {o.depth} | {o.init} | {steps} ({o.reached:.0%}) | {np.mean(o.accuracy):.1%} "
            f"| {np.mean(o.oscillation):.1%} | {ratio} | {o.symmetric / o.units:.0%} | {o.dead / o.units:.0%} "
            f"| {ends} | {theory} | {o.verdict} |"
        )
    return "\n".join(lines)


def summary(outcomes: Sequence[Outcome], target: float) -> str:
    """Where the theory was right, and where not."""
    said = [o for o in outcomes if o.level != "warn"]
    right = [o for o in said if o.verdict == "right"]
    lines = [f"Reaching {target:.0%} was foretold rightly in {len(right)} of {len(said)} cases "
             f"({len(outcomes) - len(said)} more had a warning, "
             f"of which {sum(o.reached >= 0.5 for o in outcomes if o.level == 'warn')} trained)."]  # fmt: skip
    for o in said:
        if o.verdict == "WRONG":
            did = "trained" if o.reached >= 0.5 else "did not train"
            lines.append(f"- {o.activation}, depth {o.depth}, {o.init}: said {o.level} ({o.reason}), and it {did}.")
    return "\n".join(lines)


def against_published(outcomes: Sequence[Outcome]) -> str:
    """The published order, from worst to best, beside that of the shallowest networks here."""
    depth = min(o.depth for o in outcomes)
    lines = [f"| published order | published: steps, accuracy | {' | '.join(f'{f}, depth {depth}' for f in ACTIVATIONS)} |",
             "|---|---|" + "---|" * len(ACTIVATIONS)]  # fmt: skip
    found = {(o.init, o.activation): o for o in outcomes if o.depth == depth}
    for init, claim in PUBLISHED.items():
        here = []
        for activation in ACTIVATIONS:
            o = found[init, activation]
            steps = f"{o.median_steps:.0f}" if math.isfinite(o.median_steps) else "never"
            here.append(f"{steps}, {np.mean(o.accuracy):.1%}")
        lines.append(f"| {init} | {claim} | {' | '.join(here)} |")
    held = [f"{f}: {_order([found[i, f] for i in PUBLISHED])}" for f in ACTIVATIONS]
    return "\n".join(lines) + f"\n\nThe order by steps, then accuracy — {'; '.join(held)}."


def _order(outcomes: Sequence[Outcome]) -> str:
    """Whether each is better than the one before: by steps, else by accuracies that differ by two standard errors."""
    ties = []
    for a, b in pairwise(outcomes):
        if a.median_steps != b.median_steps:
            if b.median_steps > a.median_steps:
                return "does not hold"
            continue
        gap = float(np.mean(b.accuracy) - np.mean(a.accuracy))
        if abs(gap) <= 2.0 * math.sqrt((np.var(a.accuracy) + np.var(b.accuracy)) / max(1, len(a.accuracy) - 1)):
            ties.append(f"{a.init} and {b.init}")
        elif gap < 0.0:
            return "does not hold"
    return f"holds, but {', '.join(ties)} cannot be told apart" if ties else "holds"


def _draw_panel(panel: Any, name: str, outcomes: Sequence[Outcome], steps: int) -> None:
    none = []
    for color, o in enumerate(outcomes):
        # zero coincides with others that do not learn: dotted, above them
        over = {"linestyle": ":", "linewidth": 2.5, "zorder": 3} if o.init == "zero" else {}
        style: dict[str, Any] = {"color": f"C{color}", "label": o.init, **over}
        if name == "convergence":
            panel.plot(np.linspace(0, steps, len(o.curve)), o.curve, **style)
        else:
            norms = np.array(o.gradient_norms)
            panel.semilogy(range(1, len(norms) + 1), np.where(norms == 0, np.nan, norms), marker="o", markersize=3, **style)
            none += [o.init] if not norms.any() else []
    rest = f" ({', '.join(none)}: 0)" if none else ""
    panel.set_title(f"{outcomes[0].activation}, {outcomes[0].depth} hidden layers{rest}", fontsize=10)
    panel.grid(alpha=0.3)
    panel.xaxis.get_major_locator().set_params(integer=True)


def plots(outcomes: Sequence[Outcome], folder: Path, steps: int) -> list[Path]:
    """Accuracy against steps, and gradient norms against layers: a panel for each activation and depth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    depths = sorted({o.depth for o in outcomes})
    made = []
    for name, label, y in (
        ("convergence", "step", "test accuracy"),
        ("gradients", "layer", "gradient norm at step 0"),
    ):
        figure, axes = pyplot.subplots(len(ACTIVATIONS), len(depths), figsize=(4 * len(depths), 8.5), squeeze=False,
                                       layout="constrained", sharey=name == "convergence")  # fmt: skip
        for (row, activation), (column, depth) in product(enumerate(ACTIVATIONS), enumerate(depths)):
            here = [o for o in outcomes if (o.activation, o.depth) == (activation, depth)]
            _draw_panel(axes[row][column], name, here, steps)
        for panel in axes[-1]:
            panel.set_xlabel(label)
        for panel in axes[:, 0]:
            panel.set_ylabel(y)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(INITS), 2 * len(depths)))
        made.append(folder / f"{name}.png")
        figure.savefig(made[-1], dpi=110)
        pyplot.close(figure)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.convergence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python -m bench.convergence --mnist ~/mnist --output results", allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="MNIST's four IDX files; else scikit-learn's digits")
    parser.add_argument("--output", type=Path, default=Path("bench/plots"), metavar="DIR", help="default bench/plots")
    parser.add_argument("--seeds", type=int, help="default 5")
    parser.add_argument("--steps", type=int, help="default 1500")
    parser.add_argument("--target", type=float, default=0.9, help="accuracy to reach, in (0, 1]; default 0.9")
    parser.add_argument("--quick", action="store_true", help="depth 2 alone; by default 2 seeds, 60 steps")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the short tables between its marks")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    depths, seeds, steps = ((2,), 2, 60) if args.quick else (DEPTHS, 5, 1500)
    seeds, steps = (n if given is None else given for n, given in ((seeds, args.seeds), (steps, args.steps)))
    for name, number in (("seeds", seeds), ("steps", steps)):
        if number < 1:
            parser.error(f"--{name} must be at least 1, got {number}")
    if not 0.0 < args.target <= 1.0:
        parser.error(f"--target must be in (0, 1], got {args.target}")
    try:
        check_paths(args.output, args.readme, "convergence")
        data = digits() if args.mnist is None else mnist(args.mnist)
    except (OSError, ValueError) as error:
        print(f"convergence: error: {error}", file=sys.stderr)
        return 2
    outcomes = study(data, depths=depths, seeds=seeds, steps=steps, target=args.target)
    shown = {"data": data.name, "steps": steps, "seeds": seeds, "target": args.target, "batch": BATCH, "width": WIDTH,
             "rates": {d: rate(d) for d in depths},
             "outcomes": [asdict(o) | {n: getattr(o, n) for n in ("level", "reason", "verdict")}
                          for o in outcomes]}  # fmt: skip
    text = json.dumps(plain_json(shown), indent=1, allow_nan=False)
    (args.output / "convergence.json").write_text(text + "\n", encoding="utf-8")
    made = plots(outcomes, args.output, steps)
    words = [table(outcomes), summary(outcomes, args.target), against_published(outcomes)]
    (args.output / "convergence.md").write_text("\n\n".join(words) + "\n", encoding="utf-8")
    if args.readme is not None:
        insert(args.readme, "convergence", "\n\n".join([against_published(outcomes), summary(outcomes, args.target)]))
    show(text if args.json else "\n\n".join(words) + "\n")
    written = [args.output / "convergence.json", args.output / "convergence.md", *made]
    print(*(f"wrote {p}" for p in written), sep="\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
