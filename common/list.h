/**
 * Doubly linked lists whose links live in the members.
 *
 *     struct session { struct list link; }; // session_list::sessions
 *     list_for_each(s, &list->sessions, struct session, link) ...
 *
 * A head and an unlinked link both point to themselves. Nothing is owned.
 */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *list)
{
	list->prev = list->next = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

/** Link @link at the end of @head. */
static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/** Unlink; harmless on a link that is in no list (initialised, or never touched). */
static inline void list_remove(struct list *link)
{
	if (!link->next)
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#define list_entry(link_pointer, type, member)                                                     \
	((type *)(void *)((char *)(link_pointer)-offsetof(type, member)))

/** Walk; the body may not unlink the current member (use the _safe form). */
#define list_for_each(item, head, type, member)                                                    \
	for (type *item = list_entry((head)->next, type, member); &item->member != (head);         \
	     item = list_entry(item->member.next, type, member))

/** Walk; the body may unlink and free the current member, no other. */
#define list_for_each_safe(item, head, type, member)                                               \
	for (type *item = list_entry((head)->next, type, member),                                  \
		  *item##_next = list_entry(item->member.next, type, member);                      \
	     &item->member != (head);                                                              \
	     item = item##_next, item##_next = list_entry(item->member.next, type, member))

#endif
