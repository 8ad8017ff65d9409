/**
 * The servers' file: an array of servers in the shape of DescribeServers, each with an optional
 * "Behaviour". Each is a template that any number of simulated servers are made from.
 */
#ifndef FLEET_TEMPLATE_H
#define FLEET_TEMPLATE_H

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"
#include "tests/doubles/fleet/behaviour.h"

#define TEMPLATE_FILE_MAX_BYTES (64UL * 1024 * 1024)

struct template
{
	json_t *server; /* as in the file, without Behaviour */
	struct behaviour behaviour;
	char address[64]; /* that the last server made from it got; "" if Ip is none */
};

struct template_list {
	struct template *templates;
	size_t n_templates;
	json_t *taken; /* object: every Ip that a server has */
};

/** Read @path. ERR_INVALID with the element (counted from 0) and the key that is wrong. */
int template_list_read(struct template_list *ret, const char *path, struct error *err);

/** The same of the text of a file. */
int template_list_parse(struct template_list *ret, const char *text, size_t len, struct error *err);
void template_list_done(struct template_list *list);

/**
 * The server that is copy @number (from 1) of @count of a template. A single copy is as in the
 * file; of several each has "-<number>" at its Id and its Hostname (in the DefaultDnsName too) and
 * an address of its own, the next one after the template's that is free. What copies have in
 * common they share. NULL without memory.
 */
json_t *template_make_server(struct template_list *list, struct template *template, unsigned number,
			     unsigned count, struct error *err);

#endif
