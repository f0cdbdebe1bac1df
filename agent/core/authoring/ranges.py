"""Search ranges to mark on a script's settings, and the setting that makes a run short."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from agent.core.authoring.reading.script import below_imports, read_tree
from agent.core.authoring.reading.settings import Setting, find_settings
from agent.core.text.remark import Remark

__all__ = ["find_length", "offer_ranges", "range_of"]

MOST_OFFERED: Final = 4

# Numbers just below 1 that say how much of the past stays: gamma, beta2, momentum, ema_decay, gae_lambda
_KEEPING: Final = re.compile(
    r"(\w+_)?(gamma|beta\d?|betas?|momentum|ema|ema_decay|ema_rate|decay_rate|discount|discount_factor|gae_lambda|rho"
    r"|polyak|lr_decay|lr_gamma|bn_momentum|tau_decay)(_\w+)?",
    re.IGNORECASE,
)
# Shares between 0 and 1: dropout, label_smoothing, mask_prob
_SHARE: Final = re.compile(
    r"(\w+_)?(dropout|drop|p_drop|drop_path|drop_rate|dropout_rate|dropout_p|label_smoothing|smoothing|mask_prob|prob"
    r"|mixup_prob|sparsity|mask_ratio)(_\w+)?",
    re.IGNORECASE,
)
# Positive numbers that are searched by factors: lr, weight_decay, ent_coef, max_grad_norm
_SCALE: Final = re.compile(
    r"(\w+_)?(lr|learning_rate|learningrate|base_lr|max_lr|step_size|stepsize|eta|weight_decay|wd|l1|l2|reg|lambda|lam"
    r"|alpha|coef|coeff|penalty|temperature|temp|sigma|noise|noise_std|grad_clip|clip|clip_grad|max_grad_norm"
    r"|clip_norm|margin|tau|beta_kl|kl_weight|loss_weight|aux_weight|ridge|c)(_\d)?",
    re.IGNORECASE,
)
_COUNT: Final = re.compile(
    r"(\w+_)?(batch_size|batch|bs|hidden|hidden_size|hidden_dim|hidden_units|width|units|channels|n_hidden|nhid"
    r"|num_layers|n_layers|nlayers|depth|warmup|warmup_steps|warmup_iters|warmup_epochs|n_estimators|max_depth"
    r"|num_leaves|n_neighbors|k)",
    re.IGNORECASE,
)
# What must stay as it is, whatever else its name holds: eval_batch_size, lr_step, test_dropout
_FIXED: Final = re.compile(
    r"(test|eval|val|valid|log|save|print|seed|num_classes|vocab|port|rank|world)(_\w+)?|\w+_(interval|every|freq|step"
    r"|steps_per_epoch|seed|gamma_step)|\w*(test|eval|val)_batch\w*",
    re.IGNORECASE,
)
# How long a run is: epochs, max_iters, num_train_epochs, total_timesteps, EPOCHS
_LENGTH: Final = re.compile(
    r"(?:(?:n|num|number|max|train|training|total|nb|of|pretrain)_?)*(epochs?|steps?|iters?|iterations?|timesteps"
    r"|updates|episodes|generations|rounds|batches)",
    re.IGNORECASE,
)
_KINDS: Final = ("option", "field", "constant", "keyword")


def range_of(name: str, value: float) -> str:
    """The range to search around a setting, as it is written behind "# search:". "" if it is none to search."""
    whole = isinstance(value, int)
    if value < 0 or _FIXED.fullmatch(name) or (_LENGTH.fullmatch(name) and not _KEEPING.fullmatch(name)):
        return ""
    if _SHARE.fullmatch(name) and value < 1:
        return "0..0.5" if value <= 0.4 else "0..0.9"
    if (_KEEPING.fullmatch(name) or name.lower() == "tau") and 0.5 <= value < 1:
        return _just_below_one(value)
    if _KEEPING.fullmatch(name) and 0 <= value <= 1:
        return "0..0.99" if re.search("momentum", name, re.IGNORECASE) and value == 0 else ""
    if _COUNT.fullmatch(name) and whole and value >= 1:
        return f"int {max(1, value // 4)}..{value * 4}" if value > 3 else f"int 1..{2 * value + 2}"
    if re.fullmatch(r"(\w+_)?(tau|clip_coef|clip_eps|c)", name, re.IGNORECASE) and 0 < value <= 1:
        return f"log {value / 10:.3g}..{min(1.0, value * 10):.3g}" if value < 1 else ""
    if _SCALE.fullmatch(name) and value > 0:
        return f"log {value / 10:.3g}..{value * 10:.3g}"
    if value == 0 and re.search(r"weight_decay|\bwd|l1|l2", name, re.IGNORECASE):
        return "0..0.1"
    return ""


def _just_below_one(value: float) -> str:
    """Ten times nearer to 1 up to ten times farther, and never 1 itself: 0.99 gives 0.9..0.999."""
    low = max(0.5 if value >= 0.75 else value / 2, 1 - 10 * (1 - value))
    return f"{low:.6g}..{1 - (1 - value) / 10:.6g}"


def offer_ranges(files: Mapping[str, str], folder: str) -> Iterator[Remark]:
    """For each of the first settings worth a search, the lines that let a sweep vary it."""
    offered: dict[str, Setting] = {}
    for setting in sorted(find_settings(files), key=lambda s: (_rank(s), _KINDS.index(s.kind))):
        is_new = setting.name.lower() not in {name.lower() for name in offered}
        if is_new and setting.kind != "keyword" and range_of(setting.name, setting.value):
            offered[setting.name] = setting
    for setting in list(offered.values())[:MOST_OFFERED]:
        yield _offer(files, folder, setting)


def _rank(setting: Setting) -> int:
    """Learning rates first, then regularisation, then the rest."""
    order = (r"(base_|max_)?(lr|learning_rate)", r"weight_decay|wd|(\w+_)?dropout\w*|momentum|gamma|beta\d")
    return next((n for n, p in enumerate(order) if re.fullmatch(p, setting.name, re.IGNORECASE)), len(order))


def _offer(files: Mapping[str, str], folder: str, setting: Setting) -> Remark:
    line = files[setting.file].split("\n")[setting.line - 1].rstrip("\r")
    raw = line.encode("utf-8", "surrogateescape")
    number = raw[setting.start : setting.stop].decode("utf-8", "replace")
    mark = f"  # search: {range_of(setting.name, setting.value)}"
    place = f"{folder}/{setting.file}:{setting.line}"
    if setting.kind == "constant":
        comment = raw[setting.stop :].decode("utf-8", "replace").strip()
        lines = (raw[: setting.stop].decode("utf-8", "replace") + mark,)
        above = (comment,) if comment.startswith("#") else ()
        if comment and not above:
            return Remark("note", f"{place}: {setting.name} shares its line; give it one of its own", lines=lines)
        return Remark("note", f"{place}: for offline/sweep write instead", lines=(*above, *lines))
    name = setting.name.upper()
    if re.search(rf"\b{re.escape(name)}\b", files[setting.file]):
        name += "_START"
    changed = (raw[: setting.start] + name.encode() + raw[setting.stop :]).decode("utf-8", "replace").strip()
    tree = read_tree(files[setting.file])
    at = 1 + (below_imports(tree) if isinstance(tree, ast.Module) else 0)
    text = f"{place}: for offline/sweep add the first line below the imports (line {at}), and write the second instead"
    return Remark("note", text, lines=(f"{name} = {number}{mark}", changed))


def find_length(files: Mapping[str, str]) -> Setting | None:
    """The setting that says how long a run is. A counter, as `step = 0`, is none."""
    found = [s for s in find_settings(files) if _LENGTH.fullmatch(s.name) and isinstance(s.value, int) and s.value > 1]
    return min(
        found, key=lambda s: (list(files).index(s.file), _KINDS.index(s.kind), not _is_total(s.name)), default=None
    )


def _is_total(name: str) -> bool:
    """Whether the name says epochs or the most steps, rather than some steps."""
    return bool(re.search(r"epoch|max|total|iters|num_|n_|timesteps", name, re.IGNORECASE))
