"""The table in tests/README.md is made from the tests, and no fault is missing."""

import fault_table


def test_every_fault_has_a_test():
    numbers = {number for number, *_ in fault_table.find_faults()}
    assert numbers == set(range(1, max(numbers) + 1))


def test_page_is_up_to_date():
    made = fault_table.render(fault_table.find_faults())
    assert fault_table.PAGE.read_text(encoding="utf-8") == made, "python tests/fault_table.py"


def test_cells_of_the_table_are_plain():
    for number, *texts in fault_table.find_faults():
        assert all(text and "|" not in text and "\n" not in text for text in texts), number
