#include "agent/keeper/guard.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

/* A signal handler has nowhere else to look. */
static struct {
	int fds[GUARD_PEERS_MAX];
	size_t n_fds;
	char packet[2048];
	size_t len;
} last_word;

static void say_last_word(int number)
{
	static const char line[] = "a PAM module or name service hangs: this keeper gives up\n";

	(void)number;
	for (size_t i = 0; i < last_word.n_fds; i++)
		(void)send(last_word.fds[i], last_word.packet, last_word.len,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(1);
	_exit(1);
}

void guard_begin(unsigned seconds, const int *fds, size_t n_fds, const void *packet, size_t len)
{
	struct sigaction action = {.sa_handler = say_last_word};

	last_word.n_fds = n_fds < GUARD_PEERS_MAX ? n_fds : GUARD_PEERS_MAX;
	memcpy(last_word.fds, fds, last_word.n_fds * sizeof(*fds));
	last_word.len = len < sizeof(last_word.packet) ? len : 0;
	memcpy(last_word.packet, packet, last_word.len);
	(void)sigaction(SIGALRM, &action, NULL);
	(void)alarm(seconds);
}

void guard_end(void)
{
	(void)alarm(0);
	(void)signal(SIGALRM, SIG_DFL);
}
