# Where a program goes. Included by the Makefile of the top level.

LIBEXECDIR ?= $(PREFIX)/libexec/dcv-session-manager

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SYSCONFDIR)/pam.d
	install -m 755 $(BUILD)/dcv-session-manager-agent $(BUILD)/dcv-session-manager-broker \
	    $(BUILD)/dcvctl $(BUILD)/dcv-screenshot $(DESTDIR)$(PREFIX)/bin
	ln -sf dcvctl $(DESTDIR)$(PREFIX)/bin/dcvsm
	install -m 755 $(BUILD)/dcv-session-keeper $(DESTDIR)$(LIBEXECDIR)
	install -m 644 packaging/pam/dcv-session-keeper $(DESTDIR)$(SYSCONFDIR)/pam.d

uninstall:
	rm -f $(foreach p,dcv-session-manager-agent dcv-session-manager-broker dcvctl dcvsm \
	    dcv-screenshot,$(DESTDIR)$(PREFIX)/bin/$(p))
	rm -rf $(DESTDIR)$(LIBEXECDIR)
	rm -f $(DESTDIR)$(SYSCONFDIR)/pam.d/dcv-session-keeper
