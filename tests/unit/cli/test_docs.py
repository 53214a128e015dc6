"""The tables in docs/ say what the code says."""

import pytest

from workers import docs


@pytest.mark.parametrize("page", docs.PAGES)
def test_the_committed_page_is_the_one_that_the_code_makes(page: str) -> None:
    assert (docs.DOCS / page).read_text() == docs.PAGES[page](), "run: python -m workers.docs"
