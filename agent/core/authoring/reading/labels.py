"""Labels and expressions of what a script prints, and names of metrics made of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.code.source import show_code

__all__ = ["Labelled", "direction_of", "is_held_out", "is_metric", "is_progress", "labelled", "slug"]

MOST_CHARS: Final = 80  # of a label or an expression

# "%.4f", "%(loss)s", "%5.1f%%"
_PERCENT: Final = re.compile(r"%(?:\(\w+\))?[-+ #0]{0,4}\d{0,3}(?:\.\d{1,3})?[a-zA-Z]")
# "{}", "{:.4f}", "{loss:>8.3f}"
_BRACES: Final = re.compile(r"\{[^{}]{0,40}\}")
# The words at the end of a text: "Average loss" of "Test set: Average loss: "
_TAIL: Final = re.compile(r"([A-Za-z][\w @/()-]{0,40}?)[\s=:|(]{0,6}$")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*|@\d+")
_SPLITS: Final = {"test": "test", "val": "val", "valid": "val", "validation": "val", "dev": "dev", "eval": "eval",
                  "evaluation": "eval", "train": "train", "training": "train"}  # fmt: skip
# Words that say nothing of what a number measures.
_FILLING: Final = frozenset(
    "set average avg mean the of on current is for in total overall after got at s".split()  # noqa: SIM905
)
# A word of a name: "loss" of "val_loss", "acc1"
_LOWER: Final = re.compile(
    r"(\w*loss|err|errors?|mse|mae|rmse|rmsle|mape|ppl|perplexity|bpb|bpc|bpd|nll|elbo|fid|kl|cer|wer|regret|cost|crps"
    r"|logloss|eer|lpips|ece|brier|residual|distance|fvu|divergence)\d?"
)
_HIGHER: Final = re.compile(
    r"(acc|accuracy|score|f1|auc|auroc|auprc|roc|precision|recall|r2|bleu|rouge\w?|return|returns|reward|rewards|iou|miou"
    r"|dice|psnr|ssim|ndcg|mrr|hits|fitness|success|win|winrate|mcc|kappa|top|top1|top5|sharpe|likelihood|episodic"
    r"|correlation|pearson|spearman|em|hit|modularity|nmi|ari|silhouette|inception|score_\w+)\d?"
)
# "map" is a metric, "weight_map" none
_MEAN_PRECISION: Final = re.compile(r"((test|val|eval)_)?map(_?\d+)?")
_PROGRESS_WORDS: Final = """
    epoch epochs step steps iter iteration iterations batch it i n lr rate eta time elapsed seconds sec secs s ms took
    speed seed fold rank device params parameters size shape len length num count number gpu memory mem world tokens
    samples sps fps update updates episode episodes timestep timesteps global idx index throughput mfu patience duration
    hours minutes date wall norm gradnorm temperature version
"""
_PROGRESS: Final = frozenset(_PROGRESS_WORDS.split())


@dataclass(frozen=True, slots=True)
class Labelled:
    """An expression that is printed, with the words before it."""

    name: str  # "test_loss"
    code: str  # "test_loss / len(loader)"


def slug(label: str) -> str:
    """A name for a metric: "Test set: Average loss" gives test_loss."""
    words = [w.lower().lstrip("@") for w in _WORD.findall(re.sub(r"([a-z])([A-Z])", r"\1_\2", label).replace("_", " "))]
    kept = [_SPLITS.get(w, w) for w in words if w not in _FILLING][-4:]
    if len(kept) > 1 and kept[-1] in _SPLITS.values():  # as in Loss/val
        kept = [kept[-1], *kept[:-1]]
    return "_".join(kept or words[-1:])


def is_metric(name: str) -> bool:
    """Whether a name says that a number measures quality."""
    return bool(direction_of(name))


def is_held_out(name: str) -> bool:
    """Whether a name says that a number is of data that the model was not trained on."""
    return not {"test", "val", "eval"}.isdisjoint(name.split("_"))


def is_progress(name: str) -> bool:
    """Whether a name says how far a run is, or how fast, and not how good."""
    words = name.split("_")
    return not is_metric(name) and any(w in _PROGRESS for w in words)


def direction_of(name: str) -> str:
    """ "lower", "higher", or "" if the name does not tell."""
    if _MEAN_PRECISION.fullmatch(name):
        return "higher"
    for word in reversed(name.lower().split("_")):
        if _LOWER.fullmatch(word):
            return "lower"
        if _HIGHER.fullmatch(word):
            return "higher"
    return ""


# Texts and expressions in turn, in the order in which they are printed.
_Piece = str | ast.expr


def labelled(arguments: Sequence[ast.expr]) -> list[Labelled]:
    """The expressions that a print or a call of a logger shows, with their labels. Progress is left out."""
    pieces = list(_pieces(arguments))
    found: list[Labelled] = []
    split = ""
    for number, piece in enumerate(pieces):
        if isinstance(piece, str):
            continue
        before = pieces[number - 1] if number and isinstance(pieces[number - 1], str) else ""
        after = pieces[number + 1] if number + 1 < len(pieces) and isinstance(pieces[number + 1], str) else ""
        assert isinstance(before, str) and isinstance(after, str)
        split = _split_in(before) or split
        if before.strip() in ("/", "of", "(", "/ "):
            continue  # a total, or a part that was taken with the count before it
        label, code = slug(_label(before)), _code_of(pieces, number, after)
        label = label if re.search("[a-z]", label) else slug(_own_name(piece))
        if split and label and not set(label.split("_")) & set(_SPLITS.values()):
            label = f"{split}_{label}"
        if label and code and not is_progress(label) and not isinstance(piece, ast.Constant):
            found.append(Labelled(label, code))
    return found


def _pieces(arguments: Sequence[ast.expr]) -> Iterator[_Piece]:
    """Texts and expressions, those in formatted texts too. Texts that stand beside each other are not joined."""
    first, rest = (arguments[0], arguments[1:]) if arguments else (None, ())
    match first:
        case None:
            return
        case ast.Constant(value=str(text)) if rest and _PERCENT.search(text):  # logger.info("%s", x)
            yield from _weave(_PERCENT.split(text), rest)
        case _:
            for argument in arguments[:20]:
                yield from _split_text(argument)


def _split_text(node: ast.expr) -> Iterator[_Piece]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            for value in values[:40]:
                inner = value.value if isinstance(value, ast.FormattedValue | ast.Constant) else None
                if isinstance(inner, ast.expr | str):
                    yield inner
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str(text)), right=right):
            values = list(right.elts) if isinstance(right, ast.Tuple) else [right]
            yield from _weave(_PERCENT.split(text.replace("%%", "\uff05")), values)
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str(text))), args=values):
            yield from _weave(_BRACES.split(text), values)
        case ast.BinOp(op=ast.Add()):
            yield from _split_sum(node)
        case _:
            yield node


def _split_sum(node: ast.expr) -> Iterator[_Piece]:
    """The parts of "loss: " + str(loss), if one is a text. Else the sum itself."""
    parts: list[ast.expr] = []
    rest = node
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Add) and len(parts) < 40:
        parts.append(rest.right)
        rest = rest.left
    parts = [rest, *reversed(parts)]
    if not any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts):
        yield node
        return
    for part in parts:
        match part:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Call(func=ast.Name(id="str" | "repr"), args=[inner]):
                yield inner
            case _:
                yield part


def _weave(texts: Sequence[str], values: Sequence[ast.expr]) -> Iterator[_Piece]:
    for number, text in enumerate(texts[:40]):
        yield text
        if number < len(values):
            yield values[number]


def _label(text: str) -> str:
    """The last words of a text: "acc" of "| lr 0.1, acc: "."""
    tail = re.split(r"[,;|\n\t\[{]|  ", text[-MOST_CHARS:])[-1]
    parts = [part for part in re.split(r"[:=]", tail) if part.strip(" ()")]
    found = _TAIL.search(parts[-1]) if parts else None
    return found[1] if found else ""


def _split_in(text: str) -> str:
    words = [w.lower() for w in _WORD.findall(text[-MOST_CHARS:].replace("_", " "))]
    return next((_SPLITS[w] for w in reversed(words) if w in _SPLITS), "")


def _own_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Attribute(attr="item" | "mean" | "cpu", value=inner)):
            return inner.id if isinstance(inner, ast.Name) else ""
        case ast.Call(args=[inner, *_]) if not isinstance(inner, ast.Call):
            return inner.id if isinstance(inner, ast.Name) else ""
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
        case _:
            return ""


def _code_of(pieces: Sequence[_Piece], number: int, after: str) -> str:
    """The expression that is printed. Of a count beside its total, as "correct/total (97%)", the share."""
    piece = pieces[number]
    assert not isinstance(piece, str)
    if after.strip() in ("/", "of") and number + 2 < len(pieces):
        total = pieces[number + 2]
        percent = pieces[number + 4] if number + 4 < len(pieces) else None
        end = pieces[number + 5] if number + 5 < len(pieces) else ""
        if isinstance(percent, ast.expr) and isinstance(end, str) and end.lstrip().startswith(("%", "\uff05")):
            return _show(percent)
        if isinstance(total, ast.expr) and not isinstance(total, ast.Constant):
            return f"({_show(piece)}) / ({_show(total)})" if _show(piece) and _show(total) else ""
        return ""
    return _show(piece)


def _show(node: ast.expr) -> str:
    shown = show_code(node)
    return shown if len(shown) <= MOST_CHARS and "\n" not in shown else ""
