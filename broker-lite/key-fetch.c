#include "broker-lite/key-fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker-lite/key-set.h"
#include "common/cleanup.h"

#define LIBRARY "libcurl.so.4"
#define RUNNING_MAX 2
#define REDIRECTS_MAX 3
#define HOST_MAX_BYTES 256

struct job {
	struct list link; /* fetcher::waiting */
	struct fetcher *fetcher;
	char *url;
	fetched_fn done;
	void *userdata;
	struct buf body;
	struct error err;
};

/* --- the library -------------------------------------------------------------------------------
 */

/* What is loaded once for the process and never changes after that. The names are others than the
 * library's, because curl.h has macros of those. */
static struct {
	CURLcode (*start)(long flags);
	CURL *(*make)(void);
	void (*end)(CURL *curl);
	CURLcode (*set)(CURL *curl, CURLoption option, ...);
	CURLcode (*run)(CURL *curl);
	CURLcode (*get)(CURL *curl, CURLINFO info, ...);
	const char *(*tell)(CURLcode code);
} curl;

static void *find(void *library, const char *name, bool *ret_is_lacking)
{
	void *found = dlsym(library, name);

	*ret_is_lacking = *ret_is_lacking || !found;
	return found;
}

#define FIND(member, name) (*(void **)&curl.member = find(library, name, &is_lacking))

/* Called on the loop; it is never unloaded. */
static int load_library(struct error *err)
{
	static bool is_loaded;
	bool is_lacking = false;
	void *library;

	if (is_loaded)
		return 0;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return error_set(err, ERR_SYSTEM, "cannot load %s (is libcurl4 installed?)",
				 LIBRARY);
	FIND(start, "curl_global_init");
	FIND(make, "curl_easy_init");
	FIND(end, "curl_easy_cleanup");
	FIND(set, "curl_easy_setopt");
	FIND(run, "curl_easy_perform");
	FIND(get, "curl_easy_getinfo");
	FIND(tell, "curl_easy_strerror");
	if (is_lacking || curl.start(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERR_SYSTEM, "cannot use %s", LIBRARY);
	is_loaded = true;
	return 0;
}

/* --- addresses ---------------------------------------------------------------------------------
 */

/* Scheme and authority of a URL: enough to tell whether two are of one server. */
struct origin {
	bool is_tls;
	char host[HOST_MAX_BYTES]; /* lower case, with the port if there is one, as it is written */
	const char *rest;          /* path and query; points into the URL */
};

static int read_origin(const char *url, struct origin *ret, struct error *err)
{
	const char *at = url;
	size_t len;

	if (strncasecmp(at, "https://", 8) == 0) {
		ret->is_tls = true;
		at += 8;
	} else if (strncasecmp(at, "http://", 7) == 0) {
		ret->is_tls = false;
		at += 7;
	} else {
		return error_set(err, ERR_INVALID, "the URL must begin with https://");
	}
	len = strcspn(at, "/?#");
	if (len == 0 || len >= sizeof(ret->host) ||
	    strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") <
		    len)
		return error_set(err, ERR_INVALID,
				 "the URL must have a host name or address after '//' and no "
				 "credentials");
	for (size_t i = 0; i < len; i++)
		ret->host[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]);
	ret->host[len] = '\0';
	ret->rest = at + len;
	return 0;
}

static bool is_loopback(const struct origin *origin)
{
	char name[HOST_MAX_BYTES];
	struct in_addr address;

	if (strcmp(origin->host, "[::1]") == 0 || strncmp(origin->host, "[::1]:", 6) == 0)
		return true;
	(void)strcpy(name, origin->host);
	name[strcspn(name, ":")] = '\0';
	return strcmp(name, "localhost") == 0 ||
	       (inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

int fetch_check_url(const char *url, struct error *err)
{
	struct origin origin;

	if (strlen(url) > FETCH_URL_MAX_BYTES)
		return error_set(err, ERR_INVALID, "the URL is longer than %d bytes",
				 FETCH_URL_MAX_BYTES);
	for (const char *p = url; *p; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || strchr("\"\\<>", *p))
			return error_set(err, ERR_INVALID,
					 "the URL has a character that no URL has");
	}
	if (read_origin(url, &origin, err) < 0)
		return -1;
	if (strchr(origin.rest, '#'))
		return error_set(err, ERR_INVALID, "the URL must have no fragment");
	if (!origin.is_tls && !is_loopback(&origin))
		return error_set(err, ERR_INVALID,
				 "the URL must begin with https://, but for one of this host");
	return 0;
}

/* May a server at @from send us on to @to? Only to another path of its own. */
static int check_redirect(const char *from, const char *to, struct error *err)
{
	struct origin a, b;

	if (fetch_check_url(to, err) < 0 || read_origin(from, &a, err) < 0 ||
	    read_origin(to, &b, err) < 0)
		return error_prefix(err, "redirected");
	if (a.is_tls != b.is_tls || strcmp(a.host, b.host) != 0)
		return error_set(err, ERR_INVALID, "redirected to another host");
	return 0;
}

/* --- on a thread -------------------------------------------------------------------------------
 */

static size_t on_bytes(char *bytes, size_t one, size_t len, void *userdata)
{
	struct job *job = userdata;

	(void)one; /* 1 */
	if (job->body.len + len > KEY_SET_MAX_BYTES) {
		(void)error_set(&job->err, ERR_TOO_LARGE, "the answer is larger than %d bytes",
				KEY_SET_MAX_BYTES);
		return 0;
	}
	return buf_append(&job->body, bytes, len, &job->err) < 0 ? 0 : len;
}

static int on_progress(void *userdata, curl_off_t total, curl_off_t now, curl_off_t up_total,
		       curl_off_t up_now)
{
	const struct job *job = userdata;

	(void)total, (void)now, (void)up_total, (void)up_now;
	return atomic_load(&job->fetcher->is_stopping);
}

/* Who is trusted: the system's authorities as OpenSSL finds them, and the broker's own. */
static CURLcode on_tls(CURL *handle, void *context, void *userdata)
{
	const struct job *job = userdata;
	SSL_CTX *tls = context;

	(void)handle;
	(void)SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	(void)SSL_CTX_set_default_verify_paths(tls);
	(void)X509_STORE_load_file(SSL_CTX_get_cert_store(tls), job->fetcher->authority_file);
	ERR_clear_error();
	return CURLE_OK;
}

static long long monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set_options(CURL *handle, struct job *job, const char *url, long left_ms,
			char *ret_problem)
{
	struct origin origin;
	struct error ignored;

	(void)curl.set(handle, CURLOPT_URL, url);
	(void)curl.set(handle, CURLOPT_PROTOCOLS_STR, "https,http"); /* the URL was checked */
	(void)curl.set(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl.set(handle, CURLOPT_NOSIGNAL, 1L);
	(void)curl.set(handle, CURLOPT_TIMEOUT_MS, left_ms);
	/* A name server that hangs holds its own thread, and not this one. */
	(void)curl.set(handle, CURLOPT_QUICK_EXIT, 1L);
	(void)curl.set(handle, CURLOPT_CAINFO, NULL);
	(void)curl.set(handle, CURLOPT_CAPATH, NULL);
	(void)curl.set(handle, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	(void)curl.set(handle, CURLOPT_SSL_CTX_DATA, job);
	(void)curl.set(handle, CURLOPT_USERAGENT, "dcv-session-manager-broker/" VERSION);
	(void)curl.set(handle, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl.set(handle, CURLOPT_WRITEDATA, job);
	(void)curl.set(handle, CURLOPT_NOPROGRESS, 0L);
	(void)curl.set(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl.set(handle, CURLOPT_XFERINFODATA, job);
	(void)curl.set(handle, CURLOPT_ERRORBUFFER, ret_problem);
	/* A proxy of the environment is used, but not to reach this host. */
	if (read_origin(url, &origin, &ignored) == 0 && is_loopback(&origin))
		(void)curl.set(handle, CURLOPT_PROXY, "");
}

/* One request; *@ret_next: where it redirects to, free() it, or NULL: job::body is there. */
static int get(struct job *job, CURL *handle, const char *url, long left_ms, char **ret_next)
{
	char problem[CURL_ERROR_SIZE] = "";
	const char *next = NULL;
	long status = 0;
	CURLcode code;

	buf_done(&job->body);
	set_options(handle, job, url, left_ms, problem);
	code = curl.run(handle);
	if (code != CURLE_OK)
		return job->err.code ? -1
				     : error_set(&job->err, ERR_UNREACHABLE, "%s",
						 *problem ? problem : curl.tell(code));
	(void)curl.get(handle, CURLINFO_RESPONSE_CODE, &status);
	(void)curl.get(handle, CURLINFO_REDIRECT_URL, &next);
	if (status == 200)
		return 0;
	if (!next)
		return error_set(&job->err, ERR_UNREACHABLE, "it answers with status %ld", status);
	if (check_redirect(url, next, &job->err) < 0)
		return -1;
	*ret_next = strdup(next);
	return *ret_next ? 0 : error_oom(&job->err);
}

static void follow(struct job *job, CURL *handle)
{
	long long until_ms = monotonic_ms() + FETCH_TIMEOUT_MS;

	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		AUTO(free_p) char *next = NULL;
		long left_ms = (long)(until_ms - monotonic_ms());

		if (get(job, handle, job->url, left_ms > 0 ? left_ms : 1, &next) < 0 || !next)
			return;
		free(job->url);
		job->url = TAKE(next);
	}
	(void)error_set(&job->err, ERR_UNREACHABLE, "more than %d redirects", REDIRECTS_MAX);
}

static void run(void *userdata)
{
	struct job *job = userdata;
	CURL *handle = curl.make();

	if (!handle) {
		(void)error_oom(&job->err);
		return;
	}
	follow(job, handle);
	curl.end(handle);
}

/* --- on the loop -------------------------------------------------------------------------------
 */

static void job_free(struct job *job)
{
	list_remove(&job->link);
	buf_done(&job->body);
	free(job->url);
	free(job);
}

static void start_waiting(struct fetcher *fetcher);

static void finish(void *userdata)
{
	struct job *job = userdata;
	struct fetcher *fetcher = job->fetcher;
	bool has_failed = job->err.code != ERR_NONE;

	fetcher->n_running--;
	job->done(has_failed ? NULL : &job->body, has_failed ? &job->err : NULL, job->userdata);
	job_free(job);
	start_waiting(fetcher);
}

static void start_waiting(struct fetcher *fetcher)
{
	while (!list_is_empty(&fetcher->waiting) && fetcher->n_running < RUNNING_MAX &&
	       !atomic_load(&fetcher->is_stopping)) {
		struct job *job = list_entry(fetcher->waiting.next, struct job, link);
		struct error ignored;

		if (loop_work(fetcher->loop, run, finish, job, &ignored) < 0)
			return; /* it waits for the next one that finishes, or begins */
		list_remove(&job->link);
		fetcher->n_running++;
	}
}

int fetcher_init(struct fetcher *fetcher, struct loop *loop, const char *authority_file,
		 struct error *err)
{
	fetcher->loop = loop;
	list_init(&fetcher->waiting);
	fetcher->authority_file = strdup(authority_file);
	return fetcher->authority_file ? 0 : error_oom(err);
}

void fetcher_stop(struct fetcher *fetcher)
{
	struct error err;

	if (atomic_exchange(&fetcher->is_stopping, true) || !fetcher->loop)
		return;
	(void)error_set(&err, ERR_UNAVAILABLE, "stopping");
	list_for_each_safe (job, &fetcher->waiting, struct job, link) {
		job->done(NULL, &err, job->userdata);
		job_free(job);
	}
}

void fetcher_done(struct fetcher *fetcher)
{
	free(fetcher->authority_file);
}

int fetch(struct fetcher *fetcher, const char *url, fetched_fn done, void *userdata,
	  struct error *err)
{
	struct job *job;

	if (atomic_load(&fetcher->is_stopping))
		return error_set(err, ERR_UNAVAILABLE, "stopping");
	if (load_library(err) < 0)
		return -1;
	job = calloc(1, sizeof(*job));
	if (!job)
		return error_oom(err);
	*job = (struct job){.fetcher = fetcher, .done = done, .userdata = userdata};
	job->url = strdup(url);
	if (!job->url) {
		free(job);
		return error_oom(err);
	}
	list_append(&fetcher->waiting, &job->link);
	start_waiting(fetcher);
	return 0;
}
