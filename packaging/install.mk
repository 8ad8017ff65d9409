# Where a program goes, with its manual and its settings. Included by the Makefile of the top level.

LIBEXECDIR ?= $(PREFIX)/libexec/dcv-session-manager
MANDIR ?= $(PREFIX)/share/man
VIEWER_SHARE = $(PREFIX)/share/dcv-session-viewer
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BROKER_SHARE = $(PREFIX)/share/dcv-session-manager-broker
BROKER_SETTINGS = $(SYSCONFDIR)/dcv-session-manager-broker/session-manager-broker.properties
AGENT_SETTINGS = $(SYSCONFDIR)/dcv-session-manager-agent/agent.conf
UNITS = $(wildcard packaging/systemd/*.service packaging/systemd/*.socket)
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

install: all manuals $(BUILD)/dcvctl.bash $(BUILD)/session-manager-broker.properties $(BUILD)/agent.conf
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SYSCONFDIR)/pam.d \
	    $(DESTDIR)$(dir $(BROKER_SETTINGS)) $(DESTDIR)$(dir $(AGENT_SETTINGS)) $(foreach n,1 5 7 8,$(DESTDIR)$(MANDIR)/man$(n)) \
	    $(DESTDIR)$(COMPLETIONDIR)
	install -m 755 $(BUILD)/dcv-session-manager-agent $(BUILD)/dcv-session-manager-broker \
	    $(BUILD)/dcvctl $(BUILD)/dcv-screenshot $(DESTDIR)$(PREFIX)/bin
	ln -sf dcvctl $(DESTDIR)$(PREFIX)/bin/dcvsm
	install -m 755 $(BUILD)/dcv-session-keeper $(BUILD)/dcv-session-files $(BUILD)/dcv-session-init \
	    $(BUILD)/dcv-session-viewer \
	    $(DESTDIR)$(LIBEXECDIR)
	install -d $(DESTDIR)$(VIEWER_SHARE)
	install -m 644 $(wildcard agent/viewer/page/*) $(DESTDIR)$(VIEWER_SHARE)
	install -m 644 packaging/pam/dcv-session-keeper $(DESTDIR)$(SYSCONFDIR)/pam.d
	install -d $(DESTDIR)$(BROKER_SHARE)/bin
	install -m 755 packaging/gen-gateway-certificates.sh $(DESTDIR)$(BROKER_SHARE)/bin
	install -m 644 $(filter %.1,$(MANUALS)) $(DESTDIR)$(MANDIR)/man1
	echo '.so man1/dcvctl.1' > $(DESTDIR)$(MANDIR)/man1/dcvsm.1
	install -m 644 $(BUILD)/dcvctl.bash $(DESTDIR)$(COMPLETIONDIR)/dcvctl
	install -m 644 $(filter %.5,$(MANUALS)) $(DESTDIR)$(MANDIR)/man5
	install -m 644 $(filter %.7,$(MANUALS)) $(DESTDIR)$(MANDIR)/man7
	install -m 644 $(filter %.8,$(MANUALS)) $(DESTDIR)$(MANDIR)/man8
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR)
	install -m 644 $(UNITS) $(DESTDIR)$(UNITDIR)
	$(foreach f,$(wildcard packaging/systemd/*.sysusers),install -m 644 $(f) \
	    $(DESTDIR)$(SYSUSERSDIR)/$(notdir $(f:.sysusers=.conf)) &&) true
	$(foreach f,$(wildcard packaging/systemd/*.tmpfiles),install -m 644 $(f) \
	    $(DESTDIR)$(TMPFILESDIR)/$(notdir $(f:.tmpfiles=.conf)) &&) true
	# What an administrator has written there stays.
	test -e $(DESTDIR)$(BROKER_SETTINGS) || \
	    install -m 640 $(BUILD)/session-manager-broker.properties $(DESTDIR)$(BROKER_SETTINGS)
	test -e $(DESTDIR)$(AGENT_SETTINGS) || \
	    install -m 644 $(BUILD)/agent.conf $(DESTDIR)$(AGENT_SETTINGS)

uninstall:
	rm -f $(foreach p,dcv-session-manager-agent dcv-session-manager-broker dcvctl dcvsm \
	    dcv-screenshot,$(DESTDIR)$(PREFIX)/bin/$(p))
	rm -f $(foreach m,$(notdir $(MANUALS)),$(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(m)))/$(m))
	rm -f $(DESTDIR)$(MANDIR)/man1/dcvsm.1 $(DESTDIR)$(COMPLETIONDIR)/dcvctl
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(BROKER_SHARE) $(DESTDIR)$(VIEWER_SHARE)
	rm -f $(DESTDIR)$(SYSCONFDIR)/pam.d/dcv-session-keeper
	rm -f $(foreach u,$(notdir $(UNITS)),$(DESTDIR)$(UNITDIR)/$(u))
	rm -f $(foreach f,$(wildcard packaging/systemd/*.sysusers),$(DESTDIR)$(SYSUSERSDIR)/$(notdir $(f:.sysusers=.conf)))
	rm -f $(foreach f,$(wildcard packaging/systemd/*.tmpfiles),$(DESTDIR)$(TMPFILESDIR)/$(notdir $(f:.tmpfiles=.conf)))

# --- packages ----------------------------------------------------------------------------------

# Of the files that git does not ignore, in a folder of their own: dpkg-buildpackage leaves much behind, and wants
# debian/ at the top. The packages are in build/deb/ then.
deb:
	test "$$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)" = $(VERSION)
	rm -rf $(BUILD)/deb
	mkdir -p $(BUILD)/deb/source
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t $(BUILD)/deb/source
	cp -R packaging/debian $(BUILD)/deb/source/debian
	cd $(BUILD)/deb/source && dpkg-buildpackage -b -us -uc -jauto
	rm -rf $(BUILD)/deb/source

# After make deb.
check-deb:
	lintian --allow-root --fail-on error,warning $(BUILD)/deb/*.changes

# For RHEL 9 and SUSE 15; built elsewhere, as here, it wants what it is linked with from that system.
# The packages are in build/rpm/RPMS/.
SOURCE_NAME = dcv-session-manager-lite-$(VERSION)
rpm:
	rm -rf $(BUILD)/rpm
	mkdir -p $(BUILD)/rpm/SOURCES $(BUILD)/rpm/$(SOURCE_NAME)
	git ls-files -z --cached --others --exclude-standard | \
	    xargs -0 cp --parents -t $(BUILD)/rpm/$(SOURCE_NAME)
	tar -C $(BUILD)/rpm -czf $(BUILD)/rpm/SOURCES/$(SOURCE_NAME).tar.gz $(SOURCE_NAME)
	rpmbuild -bb --nodeps --define '_topdir $(abspath $(BUILD))/rpm' \
	    --define 'version_of_source $(VERSION)' packaging/rpm/dcv-session-manager-lite.spec
	rm -rf $(BUILD)/rpm/BUILD $(BUILD)/rpm/BUILDROOT $(BUILD)/rpm/$(SOURCE_NAME)
