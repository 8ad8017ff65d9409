/* What a browser would see: the certificate that the viewer shows now, and who has signed it. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/doctor/doctor.h"
#include "common/certificate.h"
#include "common/cleanup.h"
#include "common/finding.h"

#define LIMIT_S 10
#define SECONDS_PER_DAY 86400
#define DAYS_FEW 8 /* certificates of the broker are renewed before */

/* An address that stands for all of them is reached by loopback. */
static socklen_t make_address(const struct agent_config *config, struct sockaddr_storage *ret)
{
	const char *host = config->viewer_bind_host;
	struct sockaddr_in *ip4 = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)(void *)ret;
	in_port_t port = htons((in_port_t)config->viewer_port);

	*ret = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET6, host, &ip6->sin6_addr) == 1) {
		if (IN6_IS_ADDR_UNSPECIFIED(&ip6->sin6_addr))
			ip6->sin6_addr = in6addr_loopback;
		ip6->sin6_family = AF_INET6;
		ip6->sin6_port = port;
		return sizeof(*ip6);
	}
	if (inet_pton(AF_INET, host, &ip4->sin_addr) != 1)
		return 0;
	if (ip4->sin_addr.s_addr == htonl(INADDR_ANY))
		ip4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ip4->sin_family = AF_INET;
	ip4->sin_port = port;
	return sizeof(*ip4);
}

/* -1: nobody listens there. */
static int connect_viewer(const struct agent_config *config)
{
	const struct timeval limit = {.tv_sec = LIMIT_S};
	struct sockaddr_storage address;
	socklen_t len = make_address(config, &address);
	AUTO(close_p) int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (len == 0 || fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, len) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* NULL: that is no TLS. *ret_is_trusted: by those who trust the broker. */
static X509 *fetch(SSL_CTX *tls, const struct agent_config *config, int fd, bool *ret_is_trusted)
{
	SSL *ssl = SSL_new(tls);
	X509 *certificate = NULL;

	*ret_is_trusted = false;
	if (config->ca_file)
		(void)SSL_CTX_load_verify_file(tls, config->ca_file);
	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1) {
		certificate = SSL_get1_peer_certificate(ssl);
		*ret_is_trusted = config->ca_file && SSL_get_verify_result(ssl) == X509_V_OK;
		(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	ERR_clear_error();
	return certificate;
}

static void judge(struct doctor *d, X509 *certificate, bool is_trusted)
{
	const struct agent_config *config = &d->config;
	bool is_given = config->viewer_certificate != NULL;
	bool is_lacking = config->broker_host && !is_given && !is_trusted;
	long long days = certificate_left_s(certificate) / SECONDS_PER_DAY;
	const char *by = is_trusted                              ? "the broker's authority"
			 : X509_self_signed(certificate, 0) == 1 ? "itself"
								 : "another authority";
	const char *advice = NULL;

	if (is_lacking)
		advice = "Why the broker has not signed it is in the log of dcv-session-viewer.";
	else if (days < DAYS_FEW)
		advice = is_given ? "Replace viewer.certificate of agent.conf."
				  : "Why it is not renewed is in the log of dcv-session-viewer.";
	ERR_clear_error();
	finding_add(d->findings, "viewer", advice ? FINDING_WARNING : FINDING_OK, advice,
		    "the web viewer's certificate is signed by %s and good for %lld more days", by,
		    days);
}

/* Brokers like the same port, and their certificates tell what they are. */
static bool is_of_viewer(const struct agent_config *config, const X509 *certificate)
{
	char name[64] = "";

	(void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
					sizeof(name));
	return config->viewer_certificate || strcmp(name, CERTIFICATE_OF_VIEWER) == 0;
}

void doctor_check_viewer(struct doctor *d)
{
	AUTO(close_p) int fd = d->has_config ? connect_viewer(&d->config) : -1;
	AUTO(x509_p) X509 *certificate = NULL;
	SSL_CTX *tls = fd < 0 ? NULL : SSL_CTX_new(TLS_client_method());
	bool is_trusted = false;

	if (!d->has_config)
		return;
	if (tls)
		certificate = fetch(tls, &d->config, fd, &is_trusted);
	SSL_CTX_free(tls);
	if (certificate && is_of_viewer(&d->config, certificate))
		judge(d, certificate, is_trusted);
	else
		finding_add(d->findings, "viewer", FINDING_OK, NULL,
			    "no web viewer listens on port %lld: sessions are not seen in browsers",
			    d->config.viewer_port);
}
