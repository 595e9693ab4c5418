# Two commands for a fresh Debian/Ubuntu machine with Python 3.11+ and git:
#   make demo    set up, segment the sample CTs, print a table and the path of a report with pictures
#   make test    set up, install the system libraries of the GUI tests if missing, run all tests
# Where a test says that a page is not current: make docs. New pictures from the real window (needs Xvfb): make pictures.
# Hundreds of tests start the program anew: its modules are compiled once, as in every installation.
unexport PYTHONDONTWRITEBYTECODE
# One more than there are processors, up to four: tests of the window wait a part of their time.
WORKERS := $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$(( n < 3 ? n + 1 : 4 )))

.PHONY: demo test test-slow lint docs pictures benchmark setup clean

setup:
	@.ci/set-up

demo: setup
	@.venv/bin/workbench demo -o demo_out

test: setup
	@.ci/system-libraries
	.venv/bin/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile

test-slow: setup
	@.ci/system-libraries
	.venv/bin/python -m pytest -m slow

lint: setup
	.venv/bin/python -m pip install -q -c constraints.txt --group lint
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

docs: setup
	.venv/bin/python docs/make_reference.py
	.venv/bin/python docs/make_architecture.py

pictures: setup
	.venv/bin/python docs/make_pictures.py
	.venv/bin/python docs/make_scene_pictures.py
	.venv/bin/python docs/make_slide_pictures.py
	.venv/bin/python docs/make_recording_pictures.py

benchmark: setup
	.venv/bin/python tests/benchmarks/bench_volume_inference.py

clean:
	rm -rf .venv demo_out
