"""The table in tests/README.md is made from the tests, and no fault is missing."""

import fault_table
import pytest


def test_every_fault_has_a_test():
    numbers = {number for number, *_ in fault_table.find_faults()}
    assert numbers == set(range(1, max(numbers) + 1))


def test_page_is_up_to_date():
    made = fault_table.render(fault_table.find_faults())
    assert fault_table.PAGE.read_text(encoding="utf-8") == made, "python tests/fault_table.py"


def test_cells_of_the_table_are_plain():
    for number, *texts in fault_table.find_faults():
        assert all(text and "|" not in text and "\n" not in text for text in texts), number


MARKER = '@pytest.mark.fault(3, "cut", provoked="a server", outcome="a line")'


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [
        (MARKER, [(3, "cut", "a server", "a line", "check")]),
        (f"{MARKER}\n@pytest.mark.slow", [(3, "cut", "a server", "a line", "test")]),
        (f"{MARKER}\n@pytest.mark.weekly", [(3, "cut", "a server", "a line", "test-all")]),
        ("@pytest.mark.mnist", []),
    ],
)
def test_markers_are_found(tmp_path, monkeypatch, decorator, expected):
    monkeypatch.setattr(fault_table, "TESTS", tmp_path)
    source = f"import pytest\n\n\n{decorator}\ndef test_a():\n    pass\n"
    (tmp_path / "test_x.py").write_text(source, encoding="utf-8")
    rows = [(*fault, "test_x::test_a", command) for *fault, command in expected]
    assert fault_table.find_faults() == rows
