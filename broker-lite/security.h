/**
 * What the listeners show: certificates that the broker makes and renews, or files that the
 * administrator named.
 *
 * All is looked after while the broker runs: at the start, twice a day, on SIGHUP, and when the
 * addresses of the host change; where that fails, again every hour, with an error in the log, and
 * what was shown stays. New handshakes use what is new, connections stay. Files of the
 * administrator are read at the start and on SIGHUP alone. The work is done off the loop.
 *
 * DCV_SM_CERTIFICATE_TIME_SCALE in the environment, for tests: how many times faster the days of
 * certificates pass.
 */
#ifndef BROKER_SECURITY_H
#define BROKER_SECURITY_H

#include "broker-lite/config.h"
#include "common/buf.h"
#include "common/certificate.h"
#include "common/loop.h"
#include "common/tls.h"

enum security_listener { LISTENER_CLIENT, LISTENER_AGENT, LISTENER_GATEWAY, N_LISTENERS };

struct security;

/** Prepare all that the listeners in @config show. Blocks. @folder is copied, @config borrowed. */
int security_new(struct security **ret, struct loop *loop, const struct broker_config *config,
		 const char *folder, struct error *err);

/** When the loop is about to stop: nothing is looked after any more. Takes NULL. */
void security_stop(struct security *security);

/** After the loop has stopped, and the listeners are gone. Takes NULL. */
void security_free(struct security *security);

/** For the listener's options; borrowed. */
struct tls_server *security_tls(struct security *security, enum security_listener listener);

/** Look after everything now, and read the administrator's files anew. */
void security_reload(struct security *security);

/** How many days the certificate of a listener is still valid; negative once it has expired. */
double security_days_left(const struct security *security, enum security_listener listener);

/** The same of the broker's own authority; of no meaning (0) if it has none. */
double security_authority_days_left(const struct security *security);

/**
 * The SHA-256 of the authority of our own that signs now, in hex; "" if we have none. It stays as long as
 * nothing has been looked after.
 */
const char *security_signer(const struct security *security);

/** Have @changed called when that is another. */
void security_watch_signer(struct security *security, void (*changed)(void *userdata),
			   void *userdata);

/** For authority_sign(); @names are borrowed. */
struct certificate_terms security_terms(const struct security *security, const char *names);

/**
 * Is @entry (a name as in subject-names.h) the broker's own? @is_here: asked for a host that is the broker's,
 * whose names and addresses it may have; not so what stands in files of the administrator or in
 * certificate-extra-names.
 */
bool security_is_own_name(const struct security *security, const char *entry, bool is_here);

/** Is @address (of a peer) one of this machine, as far as our certificate tells its addresses? */
bool security_is_own_address(const struct security *security, const char *address);

/**
 * The certificates that agents must trust, as PEM text, and the SHA-256 of the one that leads to
 * what is shown to them now. ERR_UNSUPPORTED: the administrator's own file does not have it.
 */
int security_append_trust(const struct security *security, struct buf *ret,
			  unsigned char ret_fingerprint[32], struct error *err);

#endif
