# Where a program goes, with its manual and its settings. Included by the Makefile of the top level.

LIBEXECDIR ?= $(PREFIX)/libexec/dcv-session-manager
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
MANUALS = $(patsubst packaging/man/%.scd,$(BUILD)/man/%,$(wildcard packaging/man/*.scd))

broker = $(BUILD)/dcv-session-manager-broker
agent = $(BUILD)/dcv-session-manager-agent

upper = $(shell echo $(1) | tr a-z A-Z)

# The lists of a manual page come from the program itself: @SETTINGS@, @OPTIONS@ and
# @COMMANDS@ are lines of the page.
program_of = $(if $(findstring agent,$(1)),$(agent),$(if $(findstring dcvctl,$(1)),$(BUILD)/dcvctl,$(broker)))
$(BUILD)/man/%: packaging/man/%.scd $(broker) $(agent) $(BUILD)/dcvctl
	@mkdir -p $(@D)
	$(Q)sed -n 's/^@\([A-Z]*\)@$$/\1/p' $< | tr A-Z a-z | while read part; do \
	        $(call program_of,$@) --print-manual $$part > $@.$$part || exit 1; \
	    done && \
	    sed $(foreach part,settings options commands,-e '/^@$(call upper,$(part))@$$/{r $@.$(part)' -e 'd;}') \
	        $< | scdoc > $@
	@rm -f $@.settings $@.options $@.commands

$(BUILD)/dcvctl.bash: packaging/completion/dcvctl.bash $(BUILD)/dcvctl
	$(Q)$(BUILD)/dcvctl --print-manual completion > $@.words && \
	    sed -e '/^@COMPLETION@$$/{r $@.words' -e 'd;}' $< > $@
	@rm -f $@.words

$(BUILD)/session-manager-broker.properties: $(broker)
	$(Q)$(broker) --print-settings > $@

$(BUILD)/agent.conf: $(agent)
	$(Q)$(agent) --print-settings > $@

manuals: $(MANUALS)

# --- what goes where -----------------------------------------------------------------------------

# The packages, and what each is made of. debian/rules and the spec file install one after the other, and
# have no lists of their own.
PACKAGES = dcv-session-manager-agent-lite dcv-session-viewer dcv-session-manager-broker-lite dcvctl

dcv-session-manager-agent-lite_BIN = dcv-session-manager-agent dcv-screenshot
dcv-session-manager-agent-lite_LIBEXEC = dcv-session-keeper dcv-session-files dcv-session-init
dcv-session-manager-agent-lite_UNITS = dcv-session-manager-agent.service dcv-session-keeper.socket \
                                       dcv-session-keeper@.service
dcv-session-manager-agent-lite_SYSUSERS = dcv-session-manager-agent.conf
dcv-session-manager-agent-lite_TMPFILES = dcv-session-manager-agent.conf
dcv-session-manager-agent-lite_MAN = dcv-session-manager-agent.8 dcv-session-keeper.8 dcv-session-files.8 \
                                     dcv-session-init.8 agent.conf.5 dcv-permissions.5 dcv-screenshot.1

dcv-session-viewer_LIBEXEC = dcv-session-viewer
dcv-session-viewer_UNITS = dcv-session-viewer.service
dcv-session-viewer_SYSUSERS = dcv-session-viewer.conf
dcv-session-viewer_MAN = dcv-session-viewer.8

dcv-session-manager-broker-lite_BIN = dcv-session-manager-broker
dcv-session-manager-broker-lite_UNITS = dcv-session-manager-broker.service
dcv-session-manager-broker-lite_SYSUSERS = dcv-session-manager-broker.conf
dcv-session-manager-broker-lite_TMPFILES = dcv-session-manager-broker.conf
dcv-session-manager-broker-lite_MAN = dcv-session-manager-broker.8 session-manager-broker.properties.5 \
                                      dcv-session-manager-changeover.7

dcvctl_BIN = dcvctl
dcvctl_MAN = dcvctl.1

# The one of packaging/pam that suits the system.
PAM_SERVICE ?= packaging/pam/dcv-session-keeper

# MODE,FILES,FOLDER
put = $(if $(strip $(2)),install -d $(DESTDIR)$(3) && install -m $(1) $(2) $(DESTDIR)$(3))
# What an administrator has written there stays. MODE,FILE,FOLDER
put_settings = $(if $(wildcard $(DESTDIR)$(3)/$(notdir $(2))),,$(call put,$(1),$(2),$(3)))
pages = $(patsubst %,$(BUILD)/man/%,$(filter %.$(2),$($(1)_MAN)))

define package_rule
install-$(1):: $($(1)_BIN:%=$(BUILD)/%) $($(1)_LIBEXEC:%=$(BUILD)/%) $($(1)_MAN:%=$(BUILD)/man/%)
	$$(call put,755,$($(1)_BIN:%=$(BUILD)/%),$(PREFIX)/bin)
	$$(call put,755,$($(1)_LIBEXEC:%=$(BUILD)/%),$(LIBEXECDIR))
	$$(call put,644,$($(1)_UNITS:%=packaging/systemd/%),$(UNITDIR))
	$$(call put,644,$($(1)_SYSUSERS:%=packaging/sysusers.d/%),$(SYSUSERSDIR))
	$$(call put,644,$($(1)_TMPFILES:%=packaging/tmpfiles.d/%),$(TMPFILESDIR))
	$$(call put,644,$(call pages,$(1),1),$(MANDIR)/man1)
	$$(call put,644,$(call pages,$(1),5),$(MANDIR)/man5)
	$$(call put,644,$(call pages,$(1),7),$(MANDIR)/man7)
	$$(call put,644,$(call pages,$(1),8),$(MANDIR)/man8)
endef
$(foreach p,$(PACKAGES),$(eval $(call package_rule,$(p))))

install-dcv-session-manager-agent-lite:: $(BUILD)/agent.conf
	$(call put_settings,644,$<,$(SYSCONFDIR)/dcv-session-manager-agent)
	install -d $(DESTDIR)$(SYSCONFDIR)/pam.d
	install -m 644 $(PAM_SERVICE) $(DESTDIR)$(SYSCONFDIR)/pam.d/dcv-session-keeper

install-dcv-session-viewer::
	$(call put,644,$(wildcard agent/viewer/page/*),$(PREFIX)/share/dcv-session-viewer)

install-dcv-session-manager-broker-lite:: $(BUILD)/session-manager-broker.properties
	$(call put_settings,640,$<,$(SYSCONFDIR)/dcv-session-manager-broker)
	$(call put,755,packaging/gen-gateway-certificates.sh,$(PREFIX)/share/dcv-session-manager-broker/bin)

# One program under two names; see ctl/main.c.
install-dcvctl:: $(BUILD)/dcvctl.bash
	install -d $(DESTDIR)$(COMPLETIONDIR)
	install -m 644 $< $(DESTDIR)$(COMPLETIONDIR)/dcvctl
	ln -sf dcvctl $(DESTDIR)$(PREFIX)/bin/dcvsm
	ln -sf dcvctl.1 $(DESTDIR)$(MANDIR)/man1/dcvsm.1

install: $(PACKAGES:%=install-%)

# What install would put there, but for the settings.
uninstall:
	rm -rf $(BUILD)/installed
	$(MAKE) install DESTDIR=$(abspath $(BUILD))/installed
	cd $(BUILD)/installed && find . ! -type d ! -path '.$(SYSCONFDIR)/dcv-*' | (cd $(DESTDIR)/ && xargs rm -f)
	cd $(BUILD)/installed && find . -depth -type d -name 'dcv-session-*' ! -path '.$(SYSCONFDIR)/*' | \
	    (cd $(DESTDIR)/ && xargs rmdir --ignore-fail-on-non-empty)
	rm -rf $(BUILD)/installed

# --- packages ----------------------------------------------------------------------------------

# Of the files that git does not ignore, in a folder of their own: dpkg-buildpackage leaves much behind, and wants
# debian/ at the top. The packages are in build/deb/ then.
deb:
	test "$$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)" = $(VERSION)
	rm -rf $(BUILD)/deb
	mkdir -p $(BUILD)/deb/source
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp -p --parents -t $(BUILD)/deb/source
	cp -R packaging/debian $(BUILD)/deb/source/debian
	cd $(BUILD)/deb/source && dpkg-buildpackage -b -us -uc -jauto
	rm -rf $(BUILD)/deb/source

# After make deb.
check-deb:
	lintian --allow-root --fail-on error,warning $(BUILD)/deb/*.changes

# For RHEL 9 and SUSE 15; built elsewhere, as here, it wants what it is linked with from that system.
# The packages are in build/rpm/RPMS/. With RPM_PROGRAMS=FOLDER what was built there is packed, and nothing
# compiled: enough to look at what the packages are made of.
SOURCE_NAME = dcv-session-manager-lite-$(VERSION)
rpm:
	rm -rf $(BUILD)/rpm
	mkdir -p $(BUILD)/rpm/SOURCES $(BUILD)/rpm/$(SOURCE_NAME)
	git ls-files -z --cached --others --exclude-standard | \
	    xargs -0 cp -p --parents -t $(BUILD)/rpm/$(SOURCE_NAME)
	tar -C $(BUILD)/rpm -czf $(BUILD)/rpm/SOURCES/$(SOURCE_NAME).tar.gz $(SOURCE_NAME)
	rpmbuild -bb --nodeps --define '_topdir $(abspath $(BUILD))/rpm' \
	    --define 'version_of_source $(VERSION)' $(if $(RPM_PROGRAMS),--define 'programs $(abspath $(RPM_PROGRAMS))') \
	    packaging/rpm/dcv-session-manager-lite.spec
	rm -rf $(BUILD)/rpm/BUILD $(BUILD)/rpm/BUILDROOT $(BUILD)/rpm/$(SOURCE_NAME)

# After make rpm.
check-rpm:
	rpmlint -c packaging/rpm/rpmlint.toml $(BUILD)/rpm/RPMS/*/*.rpm

# After both: what is in them, and that a part compiled again gives the same bytes.
check-packages:
	@DCV_PACKAGES=$(abspath $(BUILD)) PYTEST='$(PYTEST)' sh tests/run-system.sh $(BUILD) tests/packages

# After both, made without RPM_PROGRAMS: makes all packages a second time, elsewhere and otherwise, which takes
# as long as the first time, and compares every byte.
check-reproducible:
	sh tests/packages/make-again.sh $(BUILD)
