"""Which objects are raw samples (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import pytest

from headwater.domain.samples import is_sample

MEDIA = "png jpg jpeg bmp gif tif tiff webp ppm pgm mp4 mov avi mpg mpeg m4v mkv webm hevc wmv".split()


@pytest.mark.parametrize("suffix", MEDIA)
def test_documented_suffixes_are_samples_in_any_letter_case(suffix: str) -> None:
    for spelled in (suffix, suffix.upper(), suffix.title()):
        assert is_sample(f"a b/c.{spelled}", include_all_files=False)


@pytest.mark.parametrize("key", ["png", "a/png", "a.png/b", "a.txt", "a.png.txt", "a", "", "a.png ", "a.", "b.jpgx"])
def test_other_suffixes_are_no_samples(key: str) -> None:
    assert not is_sample(key, include_all_files=False)


@pytest.mark.parametrize("key", [".lightly/a.png", ".lightly/predictions/t/a.png", "a.png/", "folder/"])
def test_the_lightly_folder_and_folder_markers_are_never_samples(key: str) -> None:
    assert not is_sample(key, include_all_files=False)
    assert not is_sample(key, include_all_files=True)


@pytest.mark.parametrize("key", ["a/.lightly/a.png", ".lightlyx/a.png", ".lightly.png", "/.lightly/a.png"])
def test_a_lightly_folder_elsewhere_holds_samples(key: str) -> None:
    assert is_sample(key, include_all_files=False)


def test_a_dataset_that_includes_all_files_lists_other_suffixes() -> None:
    assert is_sample("labels.json", include_all_files=True)
    assert is_sample("no-suffix", include_all_files=True)
