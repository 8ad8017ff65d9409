/**
 * What Amazon EC2 tells an instance about itself.
 *
 * In two steps: the firmware says whether this can be an instance at all; where it can, or where no
 * firmware is to be seen, the metadata service is asked, with a token (IMDSv2). Only a well-formed
 * identity document counts: elsewhere something may answer at that address, too.
 *
 * Source: Amazon EC2 User Guide, "Instance identity documents", "Identify EC2 instances".
 */
#ifndef AGENT_EC2_H
#define AGENT_EC2_H

#include <jansson.h>

#include "common/loop.h"

struct ec2;

/** What the firmware says. */
enum ec2_firmware { EC2_IS_NOT, EC2_IS, EC2_UNKNOWN };

/** @root: see host-file.h. */
enum ec2_firmware ec2_look_at_firmware(const char *root);

/** The new "Aws" object of an identity document, or NULL with ERR_INVALID. */
json_t *ec2_read_document(const char *text, size_t len, struct error *err);

/** @aws is given away. Not called where this is no instance. */
typedef void (*ec2_fn)(json_t *aws, void *userdata);

/** Find out; @fn is called once, later. */
struct ec2 *ec2_new(struct loop *loop, ec2_fn fn, void *userdata, struct error *err);

/** When the loop stops, and when it has stopped. Both take NULL. */
void ec2_stop(struct ec2 *ec2);
void ec2_free(struct ec2 *ec2);

#endif
