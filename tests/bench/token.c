/* What a bearer token costs that has been seen before, beside the verification of a signature; and what parsing the
 * key would cost, which is done once for a key and never for a request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker-lite/authorization.h"
#include "common/cleanup.h"
#include "common/json.h"

#define ROUNDS 7
#define N_TOKENS 8 /* few: two that fall on one place of the cache push each other out */

struct bench {
	struct client_list clients;
	struct key_ring *keys;
	struct authorization authorization;
	char *headers[N_TOKENS]; /* "Bearer ..." */
	char *key_text;
};

__attribute__((noreturn)) static void fail(const char *what)
{
	(void)fprintf(stderr, "token: %s\n", what);
	exit(1);
}

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void prepare(struct bench *b, const char *algorithm)
{
	struct client *client;
	struct authorization_parts parts = {.clients = &b->clients};
	AUTO(buf_done) struct buf key_text = {0};
	struct token_key *key = NULL;
	struct error err;
	char id[UUID_SIZE];

	uuid_make(id);
	client_list_init(&b->clients, NULL);
	client = client_new(CLIENT_API, id, "bench", "", &err);
	if (!client || client_list_add(&b->clients, client, &err) < 0 ||
	    key_ring_open(&b->keys, NULL, "bench", algorithm, 3600, &err) < 0)
		fail(err.message);
	parts.keys = b->keys;
	if (authorization_init(&b->authorization, &parts, &err) < 0)
		fail(err.message);
	for (int i = 0; i < N_TOKENS; i++) {
		json_auto_t *claims = json_pack("{s:s}", "sub", id);
		struct buf header = {0};

		if (buf_append_text(&header, "Bearer ", &err) < 0 ||
		    key_ring_sign(b->keys, claims, "api", 3600, &header, &err) < 0)
			fail(err.message);
		b->headers[i] = buf_steal(&header);
	}
	if (token_key_make(&key, algorithm, &err) < 0 ||
	    token_key_write(key, false, &key_text, &err) < 0)
		fail(err.message);
	token_key_free(key);
	b->key_text = buf_steal(&key_text);
}

static void done(struct bench *b)
{
	for (int i = 0; i < N_TOKENS; i++)
		free(b->headers[i]);
	free(b->key_text);
	authorization_done(&b->authorization);
	key_ring_free(b->keys);
	client_list_done(&b->clients);
}

static void check_known(const struct bench *b, int i)
{
	const struct http_header *headers;
	struct client *client;
	struct error err;

	if (authorization_check((struct authorization *)&b->authorization, CLIENT_API, true,
				b->headers[i % N_TOKENS], &client, &headers, &err) < 0)
		fail(err.message);
}

static void verify(const struct bench *b, int i)
{
	json_auto_t *claims = NULL;
	struct error err;

	if (key_ring_verify(b->keys, b->headers[i % N_TOKENS] + strlen("Bearer "), "api", &claims,
			    &err) < 0)
		fail(err.message);
}

static void parse_key(const struct bench *b, int i)
{
	struct token_key *key;
	struct error err;

	(void)i;
	if (token_key_read(&key, b->key_text, &err) < 0)
		fail(err.message);
	token_key_free(key);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Seconds for one, the median of some rounds. */
static double measure(const struct bench *b, void (*fn)(const struct bench *b, int i), int n)
{
	double times[ROUNDS];

	for (int i = 0; i < N_TOKENS; i++)
		fn(b, i);
	for (int round = 0; round < ROUNDS; round++) {
		double start_s = now_s();

		for (int i = 0; i < n; i++)
			fn(b, i);
		times[round] = (now_s() - start_s) / n;
	}
	qsort(times, ROUNDS, sizeof(times[0]), compare);
	return times[ROUNDS / 2];
}

static void compare_with(const char *algorithm)
{
	struct bench b = {0};
	char name[64];
	double known_s, verified_s, parsed_s;

	prepare(&b, algorithm);
	known_s = measure(&b, check_known, 200000);
	verified_s = measure(&b, verify, 500);
	parsed_s = measure(&b, parse_key, 500);
	(void)snprintf(name, sizeof(name), "bearer token seen before / %s verification", algorithm);
	printf("%-58s %6.3f   (%.2f us / %.1f us, limit 0.050)\n", name, known_s / verified_s,
	       known_s * 1e6, verified_s * 1e6);
	(void)snprintf(name, sizeof(name), "  and with the key parsed for each / %s verification",
		       algorithm);
	printf("%-58s %6.3f   (%.1f us more)\n", name, (parsed_s + verified_s) / verified_s,
	       parsed_s * 1e6);
	done(&b);
}

int main(void)
{
	compare_with("ES256");
	compare_with("RS256");
	return 0;
}
