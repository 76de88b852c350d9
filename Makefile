# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
#   make demo [INPUT=path] [MODE=structure] [ARGS='...']   reconstruct a camera over a thin link
#   make test [ARGS='-k packet']                           run every test
#   make build                                             only install and build
#   make lint                                              check the style
#   make clean                                             remove what was built; also .venv: distclean
#
# PYTHON=python3.12 chooses the interpreter. Each step is skipped when it has been done.

PYTHON ?= python3
INPUT ?=
MODE ?=
ARGS ?=
export PYTHON

.PHONY: demo test build lint clean distclean

demo: build
	scripts/run gsc demo $(if $(INPUT),--input '$(INPUT)') \
	  $(if $(MODE),--mode '$(MODE)') $(ARGS)

test:
	scripts/provision full
	scripts/build
	scripts/run python -m pytest test $(ARGS)

build:
	scripts/provision base
	scripts/build

lint:
	scripts/provision lint
	.venv/bin/ruff check .

clean:
	rm -rf build install log out

distclean: clean
	rm -rf .venv
