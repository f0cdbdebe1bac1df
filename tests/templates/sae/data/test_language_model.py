"""sealed/language_model.py on random models of real architectures, against transformers' own hidden states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformer_lens")
pytestmark = [pytest.mark.sae, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[4]
SEALED = ROOT / "templates" / "sae" / "sealed"

# One process for all of it: importing transformer_lens takes seconds, and huggingface_hub reads HF_HOME but once.
MEASURE = """
import json, sys
from pathlib import Path
from data import language_model as lm
from tests.templates.sae.data import small_model as small
base = Path(sys.argv[1])
assets, data = base / "model", base / "data"
profile = small.small_profile(assets, data)
import torch
torch.set_num_threads(1)
tokenizer = small.save_tokenizer(assets)
reference = small.save_model(assets)
texts = list(small.sentences(300, seed=5))
small.save_documents(data, texts)
lm.use_stand_in(profile["hidden"]["model"], Path(__import__("os").environ["HF_HOME"]))
model = lm.load_model(small.NAME, torch.float32)
hook = profile["hidden"]["hook"]
found = {"d_model": model.cfg.d_model, "n_layers": model.cfg.n_layers, "stop": lm.layers_needed(model, hook)}

# The same activations as transformers', at every layer and for a sublayer's output, special tokens left out.
packed = list(lm.contexts(texts[:40], model.tokenizer, 32, "each_context"))
tokens = torch.tensor(packed[:6])
with torch.no_grad():
    states = reference(tokens, output_hidden_states=True).hidden_states
keep = tokens != tokenizer.bos_token_id
def distance(hook, layer):
    return (lm.rows_at_hook(model, hook, tokens) - states[layer][keep]).abs().max().item()
found["distance"] = [distance(f"blocks.{n}.hook_resid_post", n + 1) for n in range(3)]
found["distance_pre"] = distance("blocks.0.hook_resid_pre", 0)
found["distance_to_the_next_layer"] = distance("blocks.1.hook_resid_post", 3)
found["z_width"] = lm.rows_at_hook(model, "blocks.1.attn.hook_z", tokens).shape[1]

# The blocks after the hook never run.
calls = [0] * small.LAYERS
for n, block in enumerate(model.blocks):
    block.register_forward_hook(lambda *_, n=n: calls.__setitem__(n, calls[n] + 1))
calls_unembed = []
model.unembed.register_forward_hook(lambda *_: calls_unembed.append(1))
folder = base / "out"
folder.mkdir()
left_out = [lm.document_hash("  " + text.replace(" ", "\\n", 1)) for text in texts[:7]]
lm.load_model = lambda name, dtype: model  # the one whose calls are counted
meta = lm.write_training(profile, folder, left_out, lambda line: None)
found["calls"], found["calls_unembed"], found["meta"] = calls, len(calls_unembed), meta
found["files"] = sorted(path.name for path in folder.iterdir())

# The stored rows are a permutation of the rows in their own order, scaled.
stored = torch.from_file(str(folder / "activations.bin"), size=3000 * 32, dtype=torch.float16).view(3000, 32).float()
rest = list(lm.contexts(texts[7:], model.tokenizer, 32, "each_context"))
inorder = torch.cat([lm.rows_at_hook(model, hook, torch.tensor(rest[i : i + 8])) for i in range(0, len(rest), 8)])
inorder = (inorder[:3000] * meta["scale"]).half()
rows = [sorted(row.numpy().tobytes() for row in matrix) for matrix in (stored.half(), inorder)]
found["permutation"] = len(inorder), rows[0] == rows[1]
found["moved"] = ((stored - inorder).abs().amax(dim=1) > 0.1).float().mean().item()
found["mean_squared_norm"] = stored.pow(2).sum(dim=1).mean().item()
again = base / "again"
again.mkdir()
lm.write_training(profile, again, left_out, lambda line: None)
found["same_again"] = (again / "activations.bin").read_bytes() == (folder / "activations.bin").read_bytes()

# Packing.
ids = [list(lm.contexts(texts[:40], model.tokenizer, 32, rule)) for rule in ("each_context", "none")]
found["lengths"] = [sorted({len(context) for context in contexts}) for contexts in ids]
found["first"] = [sorted({context[0] for context in contexts}) for contexts in ids][0]
flat = [token for context in ids[0] for token in context[1:]]
found["text_kept"] = tokenizer.decode(flat).split("<|endoftext|>")[:39] == texts[:39]

# A Gemma 2 with other sizes through the same code: what transformer_lens builds for google/gemma-2-2b, made small.
import transformer_lens.loading_from_pretrained as loading
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gemma_weights
from transformers import Gemma2Config, Gemma2ForCausalLM
small_gemma = Gemma2Config(vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=4,
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8, sliding_window=4096,
    max_position_embeddings=64, initializer_range=0.2, attn_implementation="eager")
torch.manual_seed(1)
gemma = Gemma2ForCausalLM(small_gemma).eval()
cfg = loading.convert_hf_model_config("google/gemma-2-2b")
cfg |= {"d_model": 32, "d_head": 8, "n_heads": 4, "d_mlp": 64, "n_layers": 4, "n_ctx": 64, "d_vocab": 400,
    "n_key_value_heads": 2, "attn_types": ["local", "global"] * 2, "device": "cpu", "init_weights": False,
    "dtype": torch.float32, "tokenizer_name": None, "original_architecture": "Gemma2ForCausalLM"}
hooked = HookedTransformer(HookedTransformerConfig.from_dict(cfg), tokenizer=model.tokenizer)
hooked.load_and_process_state_dict(convert_gemma_weights(gemma, hooked.cfg), fold_ln=False,
    center_writing_weights=False, center_unembed=False, fold_value_biases=False)
with torch.no_grad():
    states = gemma(tokens, output_hidden_states=True).hidden_states
model = hooked.eval()
found["gemma"] = distance("blocks.1.hook_resid_post", 2)
found["gemma_size"] = states[2][keep].abs().max().item()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    base = tmp_path_factory.mktemp("language model")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(base),
        "HF_HOME": str(base / "hub home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": f"{SEALED}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", MEASURE, str(base)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False, cwd=base)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_sizes_come_from_the_saved_model(found: dict) -> None:
    assert (found["d_model"], found["n_layers"], found["stop"]) == (32, 4, 2)


def test_activations_equal_the_hidden_states_of_transformers(found: dict) -> None:
    assert max(*found["distance"], found["distance_pre"]) < 1e-4
    assert found["distance_to_the_next_layer"] > 0.1
    assert found["z_width"] == 32


def test_layers_after_the_hook_never_run(found: dict) -> None:
    assert found["calls"][0] == found["calls"][1] > 5
    assert found["calls"][2:] == [0, 0] and found["calls_unembed"] == 0


def test_rows_are_shuffled_scaled_and_all_there(found: dict) -> None:
    assert found["permutation"] == [3000, True]
    assert found["moved"] > 0.95
    assert found["mean_squared_norm"] == pytest.approx(32, rel=1e-3)
    assert found["files"] == ["activations.bin"]
    assert found["same_again"]


def test_documents_of_the_evaluation_are_left_out(found: dict) -> None:
    """They differ from the excluded ones in white space only, and the rows above are those of the rest alone."""
    assert found["meta"]["documents_left_out"] == 7


def test_contexts_are_full_begin_with_bos_and_lose_no_text(found: dict) -> None:
    assert found["lengths"] == [[32], [32]]
    assert found["first"] == [0]
    assert found["text_kept"]


def test_a_gemma_goes_through_the_same_code(found: dict) -> None:
    assert found["gemma"] < 1e-3 and found["gemma_size"] > 1
