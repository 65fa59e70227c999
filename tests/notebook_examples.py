"""Cells and outputs of small notebooks, for the tests of what pages show."""

from nbformat import v4


def code(source, tag=None, outputs=()):
    """An executed code cell."""
    cell = v4.new_code_cell(source, outputs=list(outputs), execution_count=1)
    cell.metadata.tags = [tag] if tag else []
    return cell


def printed(text):
    return v4.new_output("stream", name="stdout", text=text)


def markdown_output(text):
    return v4.new_output("display_data", data={"text/markdown": text, "text/plain": "<Markdown>"})


def picture_output(png):
    """A figure; png is its base64."""
    return v4.new_output("display_data", data={"image/png": png, "text/plain": "<Figure>"})
