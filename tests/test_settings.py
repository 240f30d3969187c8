"""Arguments beat the environment, which beats defaults; what is wrong is named; secrets never show."""

import dataclasses
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import LogshipError, SettingsError
from logship.settings import (
    BY_NAME,
    MIB,
    OPTIONS,
    Settings,
    as_text,
    child_environment,
    environment_name,
    load,
    loading,
    not_default,
    table,
)
from logship.settings.values import TAKEN_HEADERS

HOME = {"HOME": "/home/ada"}
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
VALUES: dict[type, st.SearchStrategy[object]] = {
    bool: st.booleans(),
    int: st.integers(0, 2**60),
    float: st.floats(0, 1, allow_nan=False),
    tuple: st.lists(WORDS).map(tuple),
}


def values(name: str) -> st.SearchStrategy[object]:
    choices = BY_NAME[name].metadata["choices"]
    if name == "request_id_header":  # a few words, such as Date, are headers with a meaning
        return WORDS.filter(lambda word: word.lower() not in TAKEN_HEADERS)
    return st.sampled_from(choices) if choices else VALUES.get(type(BY_NAME[name].default), WORDS)


def some_settings() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional={name: values(name) for name in BY_NAME})


@pytest.fixture(autouse=True)
def _nothing_was_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_warned", set())


@given(some_settings(), some_settings())
def test_arguments_beat_the_environment_which_beats_defaults(
    arguments: dict[str, object], around: dict[str, object]
) -> None:
    environment = HOME | {environment_name(name): as_text(value) for name, value in around.items()}
    loaded = load(arguments, environment)
    for name in set(BY_NAME) - {"service", "state_dir", "store_dir"}:
        assert getattr(loaded, name) == {name: BY_NAME[name].default, **around, **arguments}[name]
    for row in table(loaded):
        expected = "argument" if row.name in arguments else "environment" if row.name in around else "default"
        assert row.origin == expected


@pytest.mark.parametrize("name", list(BY_NAME))
def test_an_argument_that_is_none_was_not_given(name: str) -> None:
    assert load({name: None}, HOME) == load({}, HOME)


def test_an_unknown_argument_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(SettingsError, match=r"unknown setting 'jurnal_limit_bytes' \(did you mean journal_limit_bytes\?\)"):
        load({"jurnal_limit_bytes": 1}, HOME)
    assert issubclass(SettingsError, ValueError)
    assert issubclass(SettingsError, LogshipError)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("journal_limit_bytes", "a lot", "JOURNAL_LIMIT_BYTES: invalid value 'a lot': use a whole number of bytes, or a size"),
        ("journal_limit_bytes", "-1", "JOURNAL_LIMIT_BYTES: invalid value '-1': use a number of at least 0"),
        ("journal_limit_bytes", "5 parsecs", "invalid value '5 parsecs'"),
        ("sample_ratio", "1.5", "SAMPLE_RATIO: invalid value '1.5': use a number from 0 to 1"),
        ("slow_seconds", "1e300", "SLOW_SECONDS: invalid value '1e300': use a number from 0 to 1000000000"),
        ("service", "sh\udcffop", "SERVICE: invalid value 'sh\\udcffop': use UTF-8 text"),
        ("redact_names", "name,\udcff", "REDACT_NAMES: invalid value '\\udcff': use UTF-8 text"),
        ("slow_seconds", "nan", "SLOW_SECONDS: invalid value 'nan': use a number from 0 to 1000000000"),
        ("slow_seconds", "inf", "SLOW_SECONDS: invalid value 'inf': use a number from 0 to 1000000000"),
        ("mute_access", "perhaps", "MUTE_ACCESS: invalid value 'perhaps': use on or off"),
        (
            "level",
            "waring",
            "LEVEL: invalid value 'waring': use one of debug, info, warning, error, critical (did you mean warning?)",
        ),
    ],
)
def test_a_bad_value_is_named_as_it_was_said(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({}, HOME | {environment_name(name): value})
    assert sentence in str(raised.value)
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load({name: value}, HOME)


@pytest.mark.parametrize(
    ("name", "value"),
    [("workers", 1.5), ("workers", True), ("mute_access", 1), ("level", 7), ("probes", b"/x"), ("probes", [1])],
)
def test_an_argument_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: invalid value "):
        load({name: value}, HOME)


def test_bytes_may_carry_a_unit() -> None:
    assert load({"journal_limit_bytes": "64 MiB"}, HOME).journal_limit_bytes == 64 * MIB
    assert load({"retention_bytes": "2g"}, HOME).retention_bytes == 2 * 2**30
    assert load({"retention_bytes": "1_000"}, HOME).retention_bytes == 1000


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64Mi", 64 * MIB), ("1Gi", 2**30), ("512Ki", 2**19), ("1Ti", 2**40), ("2T", 2 * 2**40), ("3TB", 3 * 10**12),
        ("1.5Gi", 3 * 2**29), ("0.5 GiB", 2**29), ("2.5k", 2560), ("100B", 100), ("1.0mib", MIB),
    ],
)  # fmt: skip
def test_sizes_are_read_as_kubernetes_and_people_write_them(text: str, size: int) -> None:
    assert load({"retention_bytes": text}, HOME).retention_bytes == size


@pytest.mark.parametrize("text", ["1.5", "1.0001k", "64Mx", "Mi", "1e3", "1Pi6", "1..5G", "", " ", "-", "1,5G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"retention_bytes: invalid value .*: use a whole number of bytes"):
        load({"retention_bytes": text}, HOME)


def test_an_empty_variable_was_not_set_but_an_empty_list_is_one() -> None:
    loaded = load({}, HOME | {"LOGSHIP_LEVEL": "", "LOGSHIP_WORKERS": " ", "LOGSHIP_AGENT": "", "LOGSHIP_PROBES": ""})
    assert (loaded.level, loaded.workers, loaded.agent, loaded.probes) == ("info", 0, "127.0.0.1:24224", ())


def test_arguments_may_be_paths_and_lists(tmp_path: Path) -> None:
    loaded = load({"state_dir": tmp_path, "probes": ["/up"]}, {})
    assert (loaded.state_dir, loaded.store_dir, loaded.probes) == (str(tmp_path), str(tmp_path / "store"), ("/up",))


def test_unknown_names_in_the_environment_get_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    around = HOME | {"LOGSHIP_AGNET": "x", "LOGSHIP_NONSENSE_OF_MINE": "x"}
    with caplog.at_level(logging.WARNING, "logship"):
        load({}, around)
        load({}, around)
    (record,) = caplog.records
    assert "LOGSHIP_AGNET (did you mean LOGSHIP_AGENT?)" in record.getMessage()
    assert "LOGSHIP_NONSENSE_OF_MINE" in record.getMessage()


def test_service_links_and_our_own_messages_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    links = [
        "LOGSHIP_PORT",
        "LOGSHIP_PORT_24224_TCP",
        "LOGSHIP_PORT_24224_TCP_ADDR",
        "LOGSHIP_PORT_24224_TCP_PORT",
        "LOGSHIP_PORT_24224_TCP_PROTO",
        "LOGSHIP_SERVICE_HOST",
        "LOGSHIP_SERVICE_PORT",
        "LOGSHIP_SERVICE_PORT_FORWARD",
        "LOGSHIP_COLLECTOR_SERVICE_HOST",
        "LOGSHIP_COLLECTOR_SERVICE_PORT_HTTP",
        "LOGSHIP_COLLECTOR_PORT",
        "LOGSHIP_COLLECTOR_PORT_24280_TCP_ADDR",
    ]
    with caplog.at_level(logging.WARNING, "logship"):
        assert load({}, HOME | dict.fromkeys(links, "tcp://10.0.0.1:24224")) == load({}, HOME)
    assert caplog.records == []


@pytest.mark.parametrize("name", [one.name for one in OPTIONS if one.metadata["secret"]])
def test_secrets_are_never_shown(name: str) -> None:
    loaded = load({name: "hunter2"}, HOME)
    assert getattr(loaded, name) == "hunter2"
    for text in (repr(loaded), str(loaded), f"{loaded}", str(table(loaded))):
        assert "hunter2" not in text
        assert "[set]" in text
    with pytest.raises(SettingsError) as raised:
        load({name: ["hunter2"]}, HOME)
    assert "hunter2" not in str(raised.value)


@given(some_settings())
def test_what_the_table_shows_can_be_written_into_the_environment(arguments: dict[str, object]) -> None:
    loaded = load(arguments, HOME)
    again = load({}, HOME | {row.environment: row.value for row in table(loaded) if row.value != "[set]"})
    secret = {one.name for one in OPTIONS if one.metadata["secret"]}
    for name in set(BY_NAME) - secret:
        assert getattr(again, name) == getattr(loaded, name)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load({}, HOME).level = "debug"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("around", "uid", "expected"),
    [
        ({"HOME": "/home/ada"}, 1000, "/home/ada/.local/state/logship"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "/xdg"}, 1000, "/xdg/logship"),
        ({"HOME": "/root", "XDG_STATE_HOME": "/xdg"}, 0, "/var/lib/logship"),
        ({"HOME": "/root", "STATE_DIRECTORY": "/var/lib/shop:/var/lib/other"}, 0, "/var/lib/shop"),
        ({"HOME": "/root", "STATE_DIRECTORY": "/var/lib/shop", "LOGSHIP_STATE_DIR": "/here"}, 0, "/here"),
    ],
)
def test_the_state_directory_follows_the_machine(
    around: dict[str, str], uid: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    loaded = load({}, around)
    assert (loaded.state_dir, loaded.store_dir) == (expected, f"{expected}/store")


def test_a_user_without_a_home_has_a_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers that run under any number: no HOME, and no entry in the list of users."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_001)
    monkeypatch.setattr(os, "geteuid", lambda: 2_000_000_001)
    assert load({}, {}).state_dir.endswith("/logship-2000000001")


@pytest.mark.parametrize("name", ["", "a b", "x:", "x-é", "x" * 65, "a\r\nb", "x,y"])
def test_a_name_that_no_header_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="request_id_header: invalid name "):
        load({"request_id_header": name}, HOME)
    for setting in ("allow_headers", "allow_cookies"):
        with pytest.raises(SettingsError, match=f"{setting}: invalid name "):
            load({setting: ("fine", name)}, HOME)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "set-cookie", "date", "traceparent"])
def test_a_header_with_a_meaning_of_its_own_cannot_carry_the_request_id(name: str) -> None:
    with pytest.raises(SettingsError, match="has a meaning in HTTP"):
        load({"request_id_header": name}, HOME)
    load({"allow_headers": name}, HOME)


def test_the_service_is_named_after_otel_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    assert load({}, HOME).service == "shop"
    assert load({}, HOME | {"OTEL_SERVICE_NAME": "orders"}).service == "orders"
    assert load({}, HOME | {"OTEL_SERVICE_NAME": "orders", "LOGSHIP_SERVICE": "till"}).service == "till"


def test_the_environment_is_read_when_load_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGSHIP_SERVICE", "first")
    assert load().service == "first"
    monkeypatch.setenv("LOGSHIP_SERVICE", "second")
    assert load().service == "second"
    assert child_environment({"LOGSHIP_SERVICE": "third"})["LOGSHIP_SERVICE"] == "third"


def test_every_setting_has_a_sentence_and_a_unit_where_it_has_one() -> None:
    assert all(one.metadata["sentence"].endswith((".", "?")) for one in OPTIONS)
    assert isinstance(Settings().origins, dict)


def test_settings_of_a_worker_that_are_not_the_default_are_named_without_secrets() -> None:
    settings = load(
        {"level": "debug", "agent_shared_key": "hunter2", "allow_query": ["page", "sort"], "service": "shop", "http": "off"}, {}
    )
    assert not_default(settings) == ["agent_shared_key=[set]", "level=debug", "allow_query=page,sort"]
    assert not_default(load({}, {})) == []


def test_a_name_from_the_machine_that_is_not_utf_8_is_no_reason_not_to_start() -> None:
    assert load({}, HOME | {"OTEL_SERVICE_NAME": "sh\udcffop"}).service == "sh?op"
