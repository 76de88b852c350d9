# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
#   make demo                    reconstruct a camera over a thin link, on this machine
#        INPUT=path              drive, folder, video or bag; else see `gsc demo --help`
#        MODE= OUTPUT= LINK_BPS= LOSS= FPS=   the options of `gsc demo` of these names
#        REGIONS=1               code better where perception looks, or REGIONS=detector:net.onnx
#        ARGS='--seconds 20'     and any others
#   make test                    run every test
#        TESTS=test/test_cli.py  or some of them
#        ARGS='-k packet -x'     with options of pytest
#   make build                   only install what the demo needs, and build the messages
#   make fuzz                    throw damaged packets at the decoder
#        MINUTES=10              for so long
#   make bench-link              measure the link against its bars; half an hour
#        ARGS='--quick'          short runs, or --only budget,use,...
#   make bench-regions           compare with other codecs by what a detector sees; hours at first
#        ARGS='--only stills'    some groups, or another --detector, --data, ...
#   make lint                    check the style
#   make clean                   remove what was built and written
#   make distclean               remove the virtual environment, too
#
# PYTHON=python3.12 chooses the interpreter. What has been done and has not changed is skipped.

PYTHON ?= python3
TESTS ?= test
MINUTES ?= 10
export PYTHON

option = $(if $($(1)),$(2) '$($(1))')

.PHONY: demo test fuzz bench-link bench-regions build lint clean distclean

demo: build
	scripts/run gsc demo $(call option,INPUT,--input) $(call option,MODE,--mode) \
	  $(call option,OUTPUT,--output) $(call option,LINK_BPS,--link-bps) \
	  $(call option,LOSS,--loss) $(call option,FPS,--fps) \
	  $(if $(REGIONS),--regions $(if $(filter-out 1,$(REGIONS)),'$(REGIONS)')) $(ARGS)

test:
	scripts/provision full
	scripts/build
	scripts/run python -m pytest $(TESTS) $(ARGS)

fuzz: build
	scripts/run python test/hostile_packet.py --minutes $(MINUTES)

bench-link:
	scripts/provision full
	scripts/build
	scripts/run python benchmarks/link_bars.py $(ARGS)

bench-regions:
	scripts/provision full
	scripts/build
	scripts/run python benchmarks/region_bars.py $(ARGS)

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
