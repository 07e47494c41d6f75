"""The pinned library, and what is said where there is none."""

import pytest

from supervisors.whatsapp import library


def test_the_pinned_library_is_there_and_quiet() -> None:
    pinned = library.load("auto")
    assert pinned.version == "4.6.0"
    script = pinned.injection("wasup")
    assert script.index('"disableGoogleAnalytics":true') < script.index("wa-js v4.6.0")
    assert '"linkPreviewApiServers":[]' in script
    assert "WPP_BINDING" not in script


def test_a_missing_library_says_what_to_do() -> None:
    with pytest.raises(library.LibraryMissingError, match=r"/nonexistent/wa\.js") as missing:
        library.load("/nonexistent/wa.js")
    assert "page_library" in missing.value.action
