#include "common/list.h"
#include "tests/unit/unit.h"

struct member {
	int value;
	struct list link;
};

static int sum(struct list *head)
{
	int n = 0;

	list_for_each (m, head, struct member, link)
		n = n * 10 + m->value;
	return n;
}

static void members_are_walked_in_the_order_of_appending(void **state)
{
	struct member one = {.value = 1}, two = {.value = 2}, three = {.value = 3};
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_int_equal(sum(&head), 0);
	list_append(&head, &one.link);
	list_append(&head, &two.link);
	list_append(&head, &three.link);
	assert_false(list_is_empty(&head));
	assert_int_equal(sum(&head), 123);
	assert_ptr_equal(list_entry(head.next, struct member, link), &one);
}

static void a_member_may_leave_while_the_list_is_walked_safely(void **state)
{
	struct member members[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
	struct list head;

	(void)state;
	list_init(&head);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		list_append(&head, &members[i].link);
	list_for_each_safe (m, &head, struct member, link) {
		if (m->value % 2 == 0)
			list_remove(&m->link);
	}
	assert_int_equal(sum(&head), 13);
	list_for_each_safe (m, &head, struct member, link)
		list_remove(&m->link);
	assert_true(list_is_empty(&head));
}

static void removing_what_is_in_no_list_is_harmless(void **state)
{
	struct member untouched = {0}, once = {.value = 1};
	struct list head;

	(void)state;
	list_init(&head);
	list_remove(&untouched.link);
	list_append(&head, &once.link);
	list_remove(&once.link);
	list_remove(&once.link);
	assert_true(list_is_empty(&head));
	list_append(&head, &once.link);
	assert_int_equal(sum(&head), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_walked_in_the_order_of_appending),
		cmocka_unit_test(a_member_may_leave_while_the_list_is_walked_safely),
		cmocka_unit_test(removing_what_is_in_no_list_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
