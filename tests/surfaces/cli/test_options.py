"""Reading the words of a command line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.errors import UsageError
from pgusher.surfaces.cli import registry
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, number, read, whole


def nothing(values: Values, context: Any) -> int:
    del values, context
    return 0


OPTIONS = (
    Option("all", ("-a", "--all"), "", default=False),
    Option("verbose", ("-v", "--verbose"), "", default=False),
    Option("port", ("-p", "--port"), "", "PORT", parse=whole(1, 65535, "a port")),
    Option("host", ("-h", "--host"), "", "HOST"),
    Option("color", ("--color", "--colour"), "", "WHEN", choices=("auto", "always", "never"), default="auto"),
    Option("stop", ("--stop",), "", "PORT", parse=whole(1, 9, "a digit"), optional=True),
    Option("wait", ("--wait",), "", "N", parse=number(0.1, 10, "0.1 to 10")),
)
COMMAND = Command("try", "", "", OPTIONS, nothing, Argument("word", "WORD", ""))


def test_defaults_are_there() -> None:
    assert read(COMMAND, []) == {
        "all": False, "verbose": False, "port": None, "host": None, "color": "auto", "stop": None, "wait": None,
        "word": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--port", "5433"], {"port": 5433}),
        (["--port=5433"], {"port": 5433}),
        (["-p", "5433"], {"port": 5433}),
        (["-p5433"], {"port": 5433}),
        (["-avp5433", "x"], {"all": True, "verbose": True, "port": 5433, "word": "x"}),
        (["x", "-a"], {"all": True, "word": "x"}),
        (["-a", "--", "-v"], {"all": True, "verbose": False, "word": "-v"}),
        (["--host="], {"host": ""}),
        (["--host=a=b"], {"host": "a=b"}),
        (["-h", "-"], {"host": "-"}),
        (["-h", "-30min", "-a"], {"host": "-30min", "all": True}),
        (["--colour", "never"], {"color": "never"}),
        (["--stop"], {"stop": True}),
        (["--stop", "5"], {"stop": 5}),
        (["--stop", "-a"], {"stop": True, "all": True}),
        (["--port", "1", "--port", "2"], {"port": 2}),
        (["--wait", "1e0"], {"wait": 1.0}),
        (["-"], {"word": "-"}),
    ],
)
def test_words_are_read(words: list[str], found: dict[str, Any]) -> None:
    values = read(COMMAND, words)
    assert {name: values[name] for name in found} == found


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--prot", "1"], 'unknown option "--prot"', "did you mean --port?"),
        (["--xyzzy"], 'unknown option "--xyzzy"', "see: pgusher try --help"),
        (["-x"], 'unknown option "-x"', None),
        (["--port"], "option --port needs a value: PORT", None),
        (
            ["--port", "--all"],
            "option --port needs a value: PORT",
            "a value that begins with a dash is written --port=--all",
        ),
        (["-h"], "option -h needs a value: HOST", "-h is the host, as in psql; help is --help or -?"),
        (["--all=1"], "option --all takes no value", None),
        (["--port", "http"], 'option --port: expected a port, got "http"', None),
        (["--port", "0"], 'option --port: expected a port, got "0"', None),
        (["--port", "65536"], 'option --port: expected a port, got "65536"', None),
        (["--port", "٣"], 'option --port: expected a port, got "٣"', None),
        (["--wait", "nan"], 'option --wait: expected 0.1 to 10, got "nan"', None),
        (["--wait", "inf"], 'option --wait: expected 0.1 to 10, got "inf"', None),
        (["--wait", "soon"], 'option --wait: expected 0.1 to 10, got "soon"', None),
        (["--color", "alwys"], 'option --color: "alwys" is not one of auto, always, never', "did you mean always?"),
        (["a", "b"], 'unexpected word "b"', "usage: pgusher try [OPTION]... [WORD]; quote a name with blanks"),
        (["--stop", "77"], 'option --stop: expected a digit, got "77"', None),
    ],
)
def test_what_is_wrong_is_told(words: list[str], message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        read(COMMAND, words)
    assert caught.value.message == message
    assert hint is None or caught.value.hint == hint


def test_a_command_without_an_argument_takes_no_word() -> None:
    with pytest.raises(UsageError, match='unexpected word "x"'):
        read(Command("try", "", "", (), nothing), ["x"])


def test_an_argument_may_be_required_chosen_or_many() -> None:
    required = Command(
        "try", "", "", (), nothing, Argument("word", "A|B", "", required=True, choices=("alpha", "beta"))
    )
    assert read(required, ["beta"]) == {"word": "beta"}
    with pytest.raises(UsageError, match=r"A\|B is missing"):
        read(required, [])
    with pytest.raises(UsageError) as caught:
        read(required, ["bta"])
    assert caught.value.hint == "did you mean beta?"
    many = Command("try", "", "", (), nothing, Argument("word", "WORD", "", many=True))
    assert read(many, ["a", "--", "-b"]) == {"word": ["a", "-b"]}
    assert many.usage == "pgusher try [OPTION]... [WORD...]"


def test_nothing_near_is_no_guess() -> None:
    assert meant("zzz", ["who", "doctor"]) is None


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.sampled_from(["-p", "--port", "--", "-", "-av", "--stop", "5", "="])),
        max_size=8,
    )
)
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    for command in (COMMAND, *registry.every()):
        try:
            values = read(command, words)
        except UsageError:
            continue
        assert {option.name for option in command.options} <= values.keys()


def test_flags_are_unique_and_help_has_no_full_stop() -> None:
    for command in registry.every():
        flags = [flag for option in command.options for flag in option.flags]
        assert len(flags) == len(set(flags))
        assert not any(flag[1].isdecimal() for flag in flags), "a digit behind a dash is a value"
        assert all(
            option.help and not option.help.endswith(".") and option.help[0].islower() for option in command.options
        )
        assert command.examples
        assert all(typed.startswith(("pgusher", "sudo pgusher", "eval", "PGUSHER_")) for typed, _ in command.examples)


def test_every_file_of_a_command_is_registered() -> None:
    assert [command.name for command in registry.every()] == ["", *registry.NAMES]
