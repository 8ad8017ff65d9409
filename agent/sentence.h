/** Texts that may hold anybody's bytes. */
#ifndef AGENT_SENTENCE_H
#define AGENT_SENTENCE_H

/** Put '?' for every control character and every byte that is not part of valid UTF-8, so that the
 * text can go into JSON. */
void sentence_make_valid(char *text);

#endif
