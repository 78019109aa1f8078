"""Files that operators may change are read strictly: all faults at once, before anything is decided."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.referral_intake.settings_files import DUPLICATES, LIMITS, SettingsFileError, load_limits, load_scopes


def changed(tmp_path: Path, file: Path, **changes: object) -> Path:
    path = tmp_path / file.name
    path.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text("utf-8")), **changes}), "utf-8")
    return path


def test_files_that_come_with_the_service_are_sound() -> None:
    assert {scope.rule is not None for scope in load_scopes()} == {True, False}
    assert not next(scope for scope in load_scopes() if scope.name == "any_open_case").active
    assert load_limits().consent_working_days == 10


def test_faulty_scopes_are_told_all_at_once(tmp_path: Path) -> None:
    texts = {"zh": "相同", "en": "Same"}
    sound = {"name": "a", "subjects": ["enterprise"], "of": ["credit_code"], **texts}
    scopes = [
        sound,
        sound,
        {**sound, "name": "B!", "window": {"days": 10, "step": 30}},
        {**sound, "name": "c", "of": []},
    ]
    with pytest.raises(SettingsFileError) as caught:
        load_scopes(changed(tmp_path, DUPLICATES, scopes=scopes))
    assert str(caught.value).count("scopes: ") == 4


def test_unknown_part_and_field_are_refused_with_their_place(tmp_path: Path) -> None:
    scope = {"name": "a", "subjects": ["enterprise"], "of": ["shoe_size"], "zh": "相同", "en": "Same", "colour": "red"}
    with pytest.raises(SettingsFileError, match=r"scopes\.0\.of\.0.*scopes\.0\.colour"):
        load_scopes(changed(tmp_path, DUPLICATES, scopes=[scope]))


def test_limits_with_an_unknown_field_or_code_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match="colour"):
        load_limits(changed(tmp_path, LIMITS, colour="red"))
    with pytest.raises(SettingsFileError, match=r"outbound\.permitted\.0"):
        load_limits(changed(tmp_path, LIMITS, outbound={"permitted": ["moon"], "with_approval": []}))


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match=r"gone\.yaml"):
        load_limits(tmp_path / "gone.yaml")
