"""Networks of pages; they know no files."""
