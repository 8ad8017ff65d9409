# make            every program, under build/
# make check      unit and system tests
# make asan       the same under AddressSanitizer and UndefinedBehaviorSanitizer
# make fuzz       every fuzz target, FUZZ_SECONDS each
# make bench      benchmarks, as ratios; bench-api for those of the API alone, bench-screenshot for
#                 those of screenshots, bench-viewer for those of the viewer
# make lint       format check, static analysis, a build with clang
# make manuals    the manual pages, under build/man
# make install    into DESTDIR, under PREFIX
# make deb rpm    packages, under build/deb and build/rpm
#
# One archive per folder of the source tree, so that a test links exactly the room it tests. A .c
# file that is put into a folder is built; main.c holds main() alone and stays out of the archive.

BUILD ?= build
CC ?= cc
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
FUZZ_SECONDS ?= 10
PYTEST ?= /usr/bin/python3 -m pytest

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes
HARDEN = -D_FORTIFY_SOURCE=3 -fstack-protector-strong
SAN = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPTIMIZE ?= -O2 -g $(HARDEN)
VERSION := $(shell cat packaging/VERSION)
# What starts the desktop of a host whose settings do not say it; Debian's.
DEFAULT_SESSION ?= /etc/X11/Xsession
ALL_CPPFLAGS = -I. -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DDEFAULT_SESSION='"$(DEFAULT_SESSION)"' $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARN) $(OPTIMIZE) -fPIE $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
# A warning of ours is an error; one of a compiler that we have not seen is the packager's choice.
WERROR ?=
ALL_CFLAGS += $(WERROR)

# V=1 shows the commands; without it each prints what it makes.
ifeq ($(V),1)
Q =
else
Q = @echo '  $@';
endif

# --- the rooms ---------------------------------------------------------------------------------

archive = $(BUILD)/lib$(1).a
sources = $(filter-out %/main.c,$(foreach dir,$(1),$(wildcard $(dir)/*.c)))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

ROOMS = common agent keeper files viewer broker-lite screenshot ctl fleet
common_DIRS = common
agent_DIRS = agent agent/engines agent/doctor
keeper_DIRS = agent/keeper
files_DIRS = agent/files
viewer_DIRS = agent/viewer
broker-lite_DIRS = broker-lite
screenshot_DIRS = screenshot
ctl_DIRS = ctl
fleet_DIRS = tests/doubles/fleet

# Programs: the room of main.c, the archives in link order, the libraries.
PROGRAMS = dcv-session-manager-agent dcv-session-keeper dcv-session-files dcv-session-viewer dcv-session-init dcv-session-manager-broker dcv-screenshot dcvctl
dcv-session-manager-agent_MAIN = agent
dcv-session-manager-agent_ROOMS = agent keeper common
dcv-session-keeper_MAIN = agent/keeper
dcv-session-keeper_ROOMS = keeper agent common
dcv-session-files_MAIN = agent/files
dcv-session-files_ROOMS = files common
dcv-session-viewer_MAIN = agent/viewer
dcv-session-viewer_ROOMS = viewer agent common
dcv-session-init_MAIN = agent/session-init
dcv-session-init_ROOMS = common
dcv-session-manager-broker_MAIN = broker-lite
dcv-session-manager-broker_ROOMS = broker-lite common
dcv-screenshot_MAIN = screenshot
dcv-screenshot_ROOMS = screenshot common
dcvctl_MAIN = ctl
dcvctl_ROOMS = ctl common

# Archives take only what is used and the linker drops libraries that nothing needs, so one list of
# libraries serves every program and none carries what it does not use.
LIBS = -lwebsockets -luv -ljansson -lssl -lcrypto -lcjose -lsqlite3 -lcurl -lsystemd -lpam \
       -lxcb -lxcb-shm -lxcb-randr -lxcb-damage -lXau -lpng -lturbojpeg -ldeflate -lm

BUILT = $(foreach p,$(PROGRAMS),$(if $(wildcard $($(p)_MAIN)/main.c),$(BUILD)/$(p)))

.PHONY: all doubles unit targets everything check check-unit check-system check-fuzz asan fuzz bench bench-api \
        bench-screenshot bench-viewer lint check-format format manuals install uninstall deb rpm check-deb check-rpm check-packages \
        check-reproducible check-neighbour check-boot clean
.DELETE_ON_ERROR:
.SECONDARY:
all: $(BUILT) $(if $(filter %/dcvctl,$(BUILT)),$(BUILD)/dcvsm)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# It contains the file, which the compiler does not list among what it has read.
$(BUILD)/broker-lite/api-file.o: broker-lite/dcv-session-manager-api.yaml

define room_rule
$(call archive,$(1)): $(call objects,$(call sources,$($(1)_DIRS)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach room,$(ROOMS),$(eval $(call room_rule,$(room))))

define program_rule
$(BUILD)/$(1): $(BUILD)/$($(1)_MAIN)/main.o $(foreach room,$($(1)_ROOMS),$(call archive,$(room)))
	@mkdir -p $$(@D)
	$$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $$^ $(LIBS) -o $$@
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

# One program under two names; see ctl/main.c.
$(BUILD)/dcvsm: $(BUILD)/dcvctl
	ln -sf dcvctl $@

# --- tests -------------------------------------------------------------------------------------

# tests/unit/ROOM/test-NOUN.c and tests/fuzz/ROOM/fuzz-NOUN.c link the room they are named after.
room_of = $(word 3,$(subst /, ,$(1)))
test_rooms = $(foreach room,$(sort $(call room_of,$(1)) $(if $(filter keeper viewer,$(call room_of,$(1))),agent) common),$(room))
UNIT_SOURCES = $(wildcard tests/unit/*/test-*.c)
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))
FUZZ_SOURCES = $(wildcard tests/fuzz/*/fuzz-*.c)
FUZZ_TARGETS = $(patsubst tests/fuzz/%.c,$(BUILD)/targets/%,$(FUZZ_SOURCES))

define test_rule
$(BUILD)/$(3)/$(patsubst tests/$(2)/%.c,%,$(1)): $(BUILD)/$(1:.c=.o) $(foreach room,$(call test_rooms,$(1)),$(call archive,$(room)))
	@mkdir -p $$(@D)
	$$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS) $(4) -o $$@
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call test_rule,$(t),unit,unit,-lcmocka)))
$(foreach t,$(FUZZ_SOURCES),$(eval $(call test_rule,$(t),fuzz,targets,-fsanitize=fuzzer)))

# Stand-ins used by the system tests and benchmarks, over common/: one source file each, or a room.
doubles/fleet_MAIN = tests/doubles/fleet
doubles/fleet_ROOMS = fleet common
$(eval $(call program_rule,doubles/fleet))
DOUBLES = $(patsubst tests/doubles/%.c,$(BUILD)/doubles/%,$(wildcard tests/doubles/*.c)) \
          $(BUILD)/doubles/fleet
$(BUILD)/doubles/%: $(BUILD)/tests/doubles/%.o $(call archive,common)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $^ $(LIBS) -o $@
# A module for glibc's name services, which loads it by its name. Loaded by programs without sanitizers
# as well.
DOUBLES += $(BUILD)/doubles/libnss_dcvdouble.so.2
$(BUILD)/doubles/libnss_dcvdouble.so.2: tests/doubles/nss/nss.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) -std=gnu11 $(WARN) $(WERROR) -O2 -g -fPIC -shared $< -o $@
doubles: $(DOUBLES)

unit: $(UNIT_TESTS)
targets: $(FUZZ_TARGETS)
everything: all doubles unit

check: check-unit check-system

check-unit: unit
	@sh tests/run-unit.sh $(UNIT_TESTS)

check-system: all doubles
	@PYTEST='$(PYTEST)' sh tests/run-system.sh $(BUILD)

# With the release before; see the script.
check-neighbour: all doubles
	@PYTEST='$(PYTEST)' sh tests/run-neighbour.sh $(BUILD)

# The packages that make deb has made; BURST=N: so many sessions at once.
check-boot:
	@DCV_PACKAGES=$(abspath $(BUILD)) PYTEST='$(PYTEST)' sh tests/run-system.sh $(BUILD) tests/boot

check-fuzz: targets
	@sh tests/run-fuzz.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# Flavours: "make asan-check-unit" is "make check-unit" with sanitizers, in a folder of its own.
ASAN = BUILD=build/asan OPTIMIZE='-O1 -g' CFLAGS='$(SAN)' LDFLAGS='$(SAN)'
FUZZ = BUILD=build/fuzz CC=clang OPTIMIZE='-O1 -g' CFLAGS='$(SAN) -fsanitize=fuzzer-no-link' \
       LDFLAGS='$(SAN)'
# For its warnings, which need no optimization.
CLANG = BUILD=build/clang CC=clang OPTIMIZE=-O0
asan-%: ; $(MAKE) $(ASAN) $*
fuzz-%: ; $(MAKE) $(FUZZ) $*
clang-%: ; $(MAKE) $(CLANG) $*

asan: asan-check
fuzz: fuzz-check-fuzz

# Peers that benchmarks compare with.
BENCHES = $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(call archive,broker-lite) $(call archive,screenshot) $(call archive,common)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

bench: all doubles $(BENCHES)
	DCV_BUILD=$(abspath $(BUILD)) sh tests/bench/run.sh

bench-api: all doubles $(BENCHES)
	DCV_BUILD=$(abspath $(BUILD)) sh tests/bench/api.sh

bench-screenshot: all doubles $(BENCHES)
	@DCV_BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/screenshot.py $(BENCH_PARTS)

bench-viewer: all $(BENCHES)
	@DCV_BUILD=$(abspath $(BUILD)) sh tests/bench/viewer.sh

# --- upkeep ------------------------------------------------------------------------------------

OURS = $(shell find $(common_DIRS) $(agent_DIRS) $(keeper_DIRS) $(broker-lite_DIRS) $(screenshot_DIRS) \
       $(files_DIRS) $(viewer_DIRS) $(ctl_DIRS) tests -name '*.[ch]' 2>/dev/null | sort -u)

lint: check-format
	$(MAKE) BUILD=build/gcc WERROR=-Werror everything
	$(MAKE) WERROR=-Werror clang-everything

check-format:
	clang-format --dry-run --Werror $(OURS)

format:
	clang-format -i $(OURS)

# From what make would do, so that it takes no compiler of a certain kind and no time.
compile_commands.json: FORCE
	@$(MAKE) -Bn V=1 everything | awk -v folder='$(CURDIR)' -f packaging/compile-commands.awk > $@
FORCE:

include packaging/install.mk

clean:
	rm -rf build compile_commands.json

-include $(shell find $(BUILD) \( -path $(BUILD)/deb -o -path $(BUILD)/rpm \) -prune -o -name '*.d' -print 2>/dev/null)
