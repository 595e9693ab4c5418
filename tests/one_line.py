"""What an error looks like in the shell."""


def one_error_line(captured, *words):
    """The only line on standard error, which holds `words`; nothing is on standard output. `captured` is capsys's."""
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]
    assert captured.out == ""
    return lines[0]
