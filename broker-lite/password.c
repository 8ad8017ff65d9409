#include "broker-lite/password.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/list.h"
#include "common/text.h"

#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MAX_BYTES (64UL * 1024 * 1024)
#define SALT_BYTES 16
#define HASH_BYTES 32

static int derive_scrypt(const char *password, const unsigned char *salt, unsigned char *ret)
{
	return EVP_PBE_scrypt(password, strlen(password), salt, SALT_BYTES, SCRYPT_N, SCRYPT_R,
			      SCRYPT_P, SCRYPT_MAX_BYTES, ret, HASH_BYTES) == 1
		       ? 0
		       : -1;
}

static int derive_sha256(const char *password, const unsigned char *salt, unsigned char *ret)
{
	unsigned len = HASH_BYTES;

	return HMAC(EVP_sha256(), salt, SALT_BYTES, (const unsigned char *)password,
		    strlen(password), ret, &len)
		       ? 0
		       : -1;
}

/* A hash as text is the name of its scheme, then salt and hash in base64 with '$' between. */
struct scheme {
	const char *name;
	int (*derive)(const char *password, const unsigned char *salt, unsigned char *ret);
};

static const struct scheme scrypt = {"scrypt$16384$8$1$", derive_scrypt};
static const struct scheme sha256 = {"hmac-sha256$", derive_sha256};

static char *write_hash(const struct scheme *scheme, const unsigned char salt[SALT_BYTES],
			const unsigned char hash[HASH_BYTES], struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (buf_append_text(&text, scheme->name, err) < 0 ||
	    base64_append(&text, salt, SALT_BYTES, err) < 0 ||
	    buf_append_text(&text, "$", err) < 0 || base64_append(&text, hash, HASH_BYTES, err) < 0)
		return NULL;
	return buf_steal(&text);
}

static char *hash_with(const struct scheme *scheme, const char *password, struct error *err)
{
	unsigned char salt[SALT_BYTES], hash[HASH_BYTES];

	if (RAND_bytes(salt, sizeof(salt)) == 1 && scheme->derive(password, salt, hash) == 0)
		return write_hash(scheme, salt, hash, err);
	(void)error_set(err, ERR_SYSTEM, "cannot hash a password");
	return NULL;
}

char *password_hash(const char *password, struct error *err)
{
	return hash_with(&scrypt, password, err);
}

char *password_hash_random(const char *secret, struct error *err)
{
	return hash_with(&sha256, secret, err);
}

char *password_hash_of_nobody(bool is_random, struct error *err)
{
	unsigned char salt[SALT_BYTES], hash[HASH_BYTES];

	if (RAND_bytes(salt, sizeof(salt)) == 1 && RAND_bytes(hash, sizeof(hash)) == 1)
		return write_hash(is_random ? &sha256 : &scrypt, salt, hash, err);
	(void)error_set(err, ERR_SYSTEM, "no random numbers");
	return NULL;
}

static bool is_of(const struct scheme *scheme, const char *hash)
{
	return strncmp(hash, scheme->name, strlen(scheme->name)) == 0;
}

bool password_matches(const char *hash, const char *password)
{
	const struct scheme *scheme = is_of(&scrypt, hash) ? &scrypt : &sha256;
	AUTO(buf_done) struct buf salt = {0};
	AUTO(buf_done) struct buf expected = {0};
	AUTO(free_p) char *salt_text = NULL;
	unsigned char found[HASH_BYTES];
	const char *dollar;
	struct error err;

	if (!is_of(scheme, hash))
		return false;
	hash += strlen(scheme->name);
	dollar = strchr(hash, '$');
	if (!dollar)
		return false;
	salt_text = strndup(hash, (size_t)(dollar - hash));
	if (!salt_text || base64_decode(salt_text, &salt, &err) < 0 ||
	    base64_decode(dollar + 1, &expected, &err) < 0 || salt.len != SALT_BYTES ||
	    expected.len != HASH_BYTES)
		return false;
	return scheme->derive(password, (unsigned char *)salt.data, found) == 0 &&
	       CRYPTO_memcmp(found, expected.data, HASH_BYTES) == 0;
}

/* --- the queue ---------------------------------------------------------------------------------
 */

struct job {
	struct list link; /* password_queue::jobs; the first one is running */
	struct password_queue *queue;
	char *password;
	char *hash; /* to check against, or made */
	bool is_check;
	bool matches;
	password_done_fn done;
	void *userdata;
};

struct password_queue {
	struct loop *loop;
	struct list jobs;
	size_t n_jobs;
};

struct password_queue *password_queue_new(struct loop *loop, struct error *err)
{
	struct password_queue *queue = calloc(1, sizeof(*queue));

	if (!queue) {
		(void)error_oom(err);
		return NULL;
	}
	queue->loop = loop;
	list_init(&queue->jobs);
	return queue;
}

void password_queue_free(struct password_queue *queue)
{
	free(queue);
}

static void job_free(struct job *job)
{
	if (job->password)
		OPENSSL_cleanse(job->password, strlen(job->password));
	free(job->password);
	free(job->hash);
	free(job);
}

static void run_job(void *userdata)
{
	struct job *job = userdata;
	struct error err;

	if (job->is_check)
		job->matches = password_matches(job->hash, job->password);
	else
		job->hash = password_hash(job->password, &err);
}

static void start_first(struct password_queue *queue);

static void finish_job(void *userdata)
{
	struct job *job = userdata;
	struct password_queue *queue = job->queue;

	/* It stays the first one until then: what done() submits is not to be started yet. */
	job->done(job->is_check ? NULL : TAKE(job->hash), job->matches, job->userdata);
	list_remove(&job->link);
	queue->n_jobs--;
	job_free(job);
	/* Give the 16 MiB back once nobody else is about to need them. */
	if (list_is_empty(&queue->jobs))
		(void)malloc_trim(0);
	start_first(queue);
}

static void start_first(struct password_queue *queue)
{
	struct job *job;
	struct error err;

	if (list_is_empty(&queue->jobs))
		return;
	job = list_entry(queue->jobs.next, struct job, link);
	if (loop_work(queue->loop, run_job, finish_job, job, &err) == 0)
		return;
	run_job(job); /* no thread: rather slow than never */
	finish_job(job);
}

int password_submit(struct password_queue *queue, const char *password, const char *hash,
		    password_done_fn done, void *userdata, struct error *err)
{
	struct job *job;

	if (queue->n_jobs >= PASSWORD_QUEUE_MAX)
		return error_set(err, ERR_LIMIT, "too many passwords to check, try again");
	job = calloc(1, sizeof(*job));
	if (!job)
		return error_oom(err);
	job->queue = queue;
	job->is_check = hash != NULL;
	job->password = strdup(password);
	job->hash = hash ? strdup(hash) : NULL;
	job->done = done;
	job->userdata = userdata;
	if (!job->password || (hash && !job->hash)) {
		job_free(job);
		return error_oom(err);
	}
	list_append(&queue->jobs, &job->link);
	if (queue->n_jobs++ == 0)
		start_first(queue);
	return 0;
}
