from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.text.redact import Redactor, collect_secrets

NASTY = 'ab"c\\d e/f%é1'
KEYS = {"sk-canary-5e8f2a71c0": "OPENAI_API_KEY", NASTY: "DB_PASSWORD", "canary": "SHORTER_KEY"}
TEXTS = st.lists(
    st.sampled_from([*KEYS, "[redacted: ", "key]", "OPENAI_API_KEY", " ", "\\", '"']) | st.text(max_size=9)
)


# Which values are keys


def test_variables_that_hold_keys_are_told_by_their_names() -> None:
    secret = "0a1b2c3d4e"
    held = ("X_API_KEY", "hf_token", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "DB_PASS", "KEY_2", "NPM_AUTH", "APIKEY2")
    held += ("GOOGLE_CREDENTIALS", "AUTHORIZATION")
    other = (
        "PATH",
        "KEYBOARD",
        "GIT_AUTHOR_NAME",
        "TOKENIZERS_PARALLELISM",
        "HF_TOKENIZER",
        "MONKEY",
        "COMPASS",
        "BYPASS",
    )
    for name in held:
        assert collect_secrets({name: secret}) == {secret: name}
    assert collect_secrets(dict.fromkeys(other, secret)) == {}


def test_words_of_code_are_keys_only_where_nothing_else_can_be_meant() -> None:
    assert collect_secrets({"SORT_KEY": "explained_variance", "AUTH_MODE": "not-needed-here"}) == {}
    assert collect_secrets({"DB_PASSWORD": "correct-horse-battery"}) == {"correct-horse-battery": "DB_PASSWORD"}
    assert collect_secrets({"SORT_KEY": "explained_variance2"}) != {}


@pytest.mark.parametrize(
    "value",
    ["", "short", "true", "disabled", "Anonymous", "EMPTY", "12345", "1_000_000", "0.25", "/run/user/0/ssh.sock",
     "~/.netrc", "./keys/a.pem", "https://login.example.org/v1", "C:\\keys\\a.pem"],
)  # fmt: skip
def test_what_stands_everywhere_is_no_key(value: str) -> None:
    assert collect_secrets({"X_API_KEY": value}) == {}


@pytest.mark.parametrize(
    "value",
    ["0123456789", "abcdefg8", "not-a-word", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "https://u:pw1@host/",
     "/JalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
)  # fmt: skip
def test_what_could_be_guessed_by_nobody_is_one(value: str) -> None:
    assert collect_secrets({"X_API_KEY": f" {value}\n"}) == {value: "X_API_KEY"}


# Values


@pytest.mark.parametrize(
    "form",
    [NASTY, json.dumps(NASTY), json.dumps(NASTY, ensure_ascii=False), json.dumps(json.dumps(NASTY)), repr(NASTY),
     repr(json.dumps(NASTY)), quote(NASTY), quote(NASTY, safe=""), f"--key={NASTY};"],
)  # fmt: skip
def test_a_key_is_found_in_whatever_form_it_stands(form: str) -> None:
    redacted = Redactor({NASTY: "DB_PASSWORD"})(f"before {form} after")
    assert redacted.startswith("before ") and redacted.endswith(" after") and "[redacted: DB_PASSWORD]" in redacted
    assert not any(part in redacted for part in ('ab"c', "d e", "ab\\", "ab%22"))


def test_json_stays_json_and_its_keys_are_texts_too() -> None:
    redact = Redactor({NASTY: "DB_PASSWORD"})
    assert json.loads(redact(json.dumps({"a": [NASTY, 1], NASTY: None}))) == redact.in_json(
        {"a": [NASTY, 1], NASTY: None}
    )
    assert redact.in_json({NASTY: [NASTY]}) == {"[redacted: DB_PASSWORD]": ["[redacted: DB_PASSWORD]"]}


def test_of_a_key_of_several_lines_each_long_line_is_one() -> None:
    lines = ("-----BEGIN SOMETHING", "q" * 19 + "1", "ab1")
    redacted = Redactor({"\n".join(lines): "X_KEY"})(f"found {lines[1]}, {lines[2]}")
    assert redacted == "found [redacted: X_KEY], ab1"


@given(TEXTS.map("".join))
def test_no_key_is_left_and_a_second_time_changes_nothing(text: str) -> None:
    redact = Redactor(KEYS)
    redacted = redact(text)
    assert not any(key in redacted for key in list(KEYS)[:2])
    assert redact(redacted) == redacted


def test_a_marker_that_somebody_else_wrote_hides_no_key() -> None:
    assert "5e8f" not in Redactor(KEYS)("[redacted: sk-canary-5e8f2a71c0]")


def test_the_redactor_itself_shows_no_key() -> None:
    assert "5e8f" not in repr(Redactor(KEYS))


# Forms


@pytest.mark.parametrize(
    "key",
    [
        "sk-0123456789abcdef0123456789abcdef",
        "sk-ant-api03-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9_St-Uv0",
        "sk-proj-Ab_C1d-E2f_G3h-I4j_K5l-M6n_O7p-Q8r_S9t-U0v",
        "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
        "AKIAIOSFODNN7EXAMPLE",
        "gsk_0123456789abcdefghijABCDEFGHIJ",
        "nvapi-Ab1_Cd2-Ef3Gh4Ij5Kl6Mn7Op8Qr9St0",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_11ABCDEFG0123456789abc_" + "x" * 40,
        "xoxb-123456789012-abcdefABCDEF",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.abcdefghij0123",
    ],
)
def test_the_form_of_a_key_is_enough(key: str) -> None:
    for text in ("key = {}", "'{}'", "{}\n", 'x="{}";', "https://host/?key={}&x=1", "({}).", "\\n{}\\n"):
        redacted = Redactor()(text.format(key))
        assert key not in redacted and redacted == text.format("[redacted: key]")


def test_tokens_of_headers_and_passwords_of_addresses_go_and_the_rest_stays() -> None:
    redact = Redactor()
    assert redact("Authorization: Bearer abcdef0123456789ABCDEF.gh") == "Authorization: Bearer [redacted: key]"
    assert redact("git clone https://jane:s3cr!t@host/x.git") == "git clone https://jane:[redacted: key]@host/x.git"


@pytest.mark.parametrize("end", ["-----END RSA PRIVATE KEY-----", ""])
def test_a_private_key_goes_also_within_json_and_without_its_end(end: str) -> None:
    lines = [
        "-----BEGIN RSA PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
        "",
        *["MIIEpAIBAAKCAQEA0Z3VS5JJ" * 2] * 4,
        end,
    ]
    redacted = Redactor()("before\n" + "\n".join(lines) + '"after"')
    assert redacted == 'before\n[redacted: key]"after"'
    stored = json.dumps({"a": "\n".join(lines), "b": "kept"})
    assert json.loads(Redactor()(stored)) == {"a": "[redacted: key]", "b": "kept"}


@pytest.mark.parametrize(
    "text",
    [
        "import sklearn  # sk-learn",
        "sk-learn-contrib-imbalanced-ensembles-and-more",
        "task-0123456789abcdef0123456789",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4AKIA/wIIAIDAIAAgAIDAI==",
        "headers = {'Authorization': f'Bearer {token}'}",
        "f'postgres://{user}:{password}@{host}/db'",
        "postgres://user:password@host/db and http://host:8080/a@b",
        "fw_baseline_squad_train_1000_eval_100_t5-large",
        "hf_model_name_or_path_from_the_hub_library",
        "hf_abcdefghijklmnopqrstuvwxyzabcdefghijkl",
        "AKIA_REGION = 'AKIA'",
        "eyJhbGciOiJIUzI1NiJ9",
        "the line -----BEGIN PRIVATE KEY----- is how it begins",
        "pk-fk-relation-and-other-database-words",
    ],
)
def test_code_hashes_and_names_stay(text: str) -> None:
    assert Redactor()(text) == text


def test_a_line_is_put_back_where_it_is_known_which_it_was() -> None:
    redact = Redactor({"0a1b2c3d4e": "X_KEY", "ffffffff11": "X_KEY"})
    code = "a = '0a1b2c3d4e'\n  b = '0a1b2c3d4e'\nb = 'ffffffff11'\nb = '0a1b2c3d4e'\n"
    put_back = redact.undo_in([code, "c = 1"])
    assert put_back(redact(code)) == code.splitlines(keepends=True)[0] + "".join(
        (code.splitlines(keepends=True)[1], *["b = '[redacted: X_KEY]'\n"] * 2)
    )
    assert put_back("print(a, '[redacted: X_KEY]')") == "print(a, '[redacted: X_KEY]')"
    told = f"They are these:\n  1 | {code.splitlines()[0]}\n  2 | {code.splitlines()[2]}"
    assert put_back(redact(told)) == told.replace("ffffffff11", "[redacted: X_KEY]")
