"""run.toml: what is written is read again as it was, and mistakes are named."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from dlseg.checks import CommandError
from dlseg.commands.config import read_config, to_toml, write_config
from dlseg.commands.train import ENTRIES
from dlseg.schema import integer, listing, number, text
from dlseg.training import Recipe

CHECKS = {"seed": integer(), "crop_size": integer(1), "scale": listing(number()), "data": text()}
TEXTS = ["", "voc:/a b/c", 'quote " and \\ back', "é ☃ 😀", "\x7f\x00\x1f\t\n\u2028", "#[]='"]
NUMBERS = [0, -1, 2**63 - 1, 0.1, 1e-300, 1e22, -0.0, 5e-324, True, False]


@pytest.mark.parametrize("value", [*TEXTS, *NUMBERS, [], [1, 2.5], ["a", "b"], [[1], [2]]])
def test_what_is_written_is_read_again(value):
    found = tomllib.loads(to_toml({"name": value, "nothing": None}))
    assert found == {"name": value} and type(found["name"]) is type(value)


def test_a_recipe_survives(tmp_path):
    recipe = Recipe(scale=(0.5, 2.0), bootstrap_classes=(1, 2), class_weights=(1.0, 2.0, 0.5))
    write_config(tmp_path, vars(recipe))
    assert Recipe(**read_config(tmp_path / "run.toml", ENTRIES)) == recipe
    write_config(tmp_path, vars(replace(recipe, seed=2**60)))  # over the old one
    assert read_config(tmp_path / "run.toml", ENTRIES)["seed"] == 2**60


def test_half_a_character_is_refused(tmp_path):
    with pytest.raises(ValueError, match="surrogates not allowed"):
        write_config(tmp_path, {"data": "voc:\udcff"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"sed = 1", "there is no option sed; is it seed?"),
        (b"crop-size = 1", "there is no option crop-size; is it crop_size?"),
        (b"[recipe]\nseed = 1", "there is no option recipe"),
        (b"qqq = 1", "there is no option qqq; there are seed, crop_size, scale, data"),
        (b"seed = '1'", "seed must be an integer >= 0, got '1'"),
        (b"seed = 1.5", "seed must be an integer >= 0, got 1.5"),
        (b"seed = nan", "seed must be an integer"),
        (b"scale = [1, 'a']", r"scale\[1\] must be a finite number, got 'a'"),
        (b"seed = \n", "run.toml is no TOML: .*line 1"),
        (b"seed = 1\nseed = 2", "run.toml is no TOML"),
        (b"\xff\xfe", "run.toml is no TOML: .*can't decode"),
    ],
)
def test_a_mistake_is_named(tmp_path, content, words):
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(CommandError, match=words):
        read_config(tmp_path / "run.toml", CHECKS)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(CommandError, match=r"cannot read .*none: No such file"):
        read_config(Path(tmp_path / "none"), CHECKS)
    with pytest.raises(CommandError, match="Is a directory"):
        read_config(tmp_path, CHECKS)
