/* What a viewer can reach on a display, seen and done by an X client:
 *
 *     x-probe state        print as JSON where the pointer is, its buttons, how many keys are down,
 *                          and what is in the clipboard (null: nobody owns it)
 *     x-probe copy TEXT    own the clipboard, print "ready", and hand it out until killed */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/xcb.h>

#define TEXT_MAX_WORDS 65536
#define PATIENCE_MS 5000

struct probe {
	xcb_connection_t *x;
	xcb_window_t root, window;
	xcb_atom_t clipboard, utf8, targets, property;
};

static xcb_atom_t atom(xcb_connection_t *x, const char *name)
{
	xcb_intern_atom_reply_t *reply =
		xcb_intern_atom_reply(x, xcb_intern_atom(x, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t found = reply ? reply->atom : XCB_ATOM_NONE;

	free(reply);
	return found;
}

static int open_display(struct probe *p)
{
	const xcb_screen_t *screen;

	p->x = xcb_connect(NULL, NULL);
	if (xcb_connection_has_error(p->x))
		return -1;
	screen = xcb_setup_roots_iterator(xcb_get_setup(p->x)).data;
	p->root = screen->root;
	p->window = xcb_generate_id(p->x);
	xcb_create_window(p->x, XCB_COPY_FROM_PARENT, p->window, p->root, 0, 0, 1, 1, 0,
			  XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual, 0, NULL);
	p->clipboard = atom(p->x, "CLIPBOARD");
	p->utf8 = atom(p->x, "UTF8_STRING");
	p->targets = atom(p->x, "TARGETS");
	p->property = atom(p->x, "X_PROBE");
	return 0;
}

/* The next event, or NULL when none comes. */
static xcb_generic_event_t *next_event(const struct probe *p, int patience_ms)
{
	struct pollfd fd = {.fd = xcb_get_file_descriptor(p->x), .events = POLLIN};
	xcb_generic_event_t *event;

	(void)xcb_flush(p->x);
	while (!(event = xcb_poll_for_event(p->x)) && poll(&fd, 1, patience_ms) > 0 &&
	       !xcb_connection_has_error(p->x))
		;
	return event;
}

static json_t *read_property(const struct probe *p)
{
	xcb_get_property_reply_t *reply = xcb_get_property_reply(
		p->x,
		xcb_get_property(p->x, 0, p->window, p->property, XCB_ATOM_ANY, 0, TEXT_MAX_WORDS),
		NULL);
	json_t *text = reply ? json_stringn(xcb_get_property_value(reply),
					    (size_t)xcb_get_property_value_length(reply))
			     : json_null();

	free(reply);
	return text;
}

static json_t *clipboard(const struct probe *p)
{
	xcb_generic_event_t *event;
	json_t *text = NULL;

	xcb_convert_selection(p->x, p->window, p->clipboard, p->utf8, p->property,
			      XCB_CURRENT_TIME);
	while (!text && (event = next_event(p, PATIENCE_MS))) {
		const xcb_selection_notify_event_t *notify = (void *)event;

		if ((event->response_type & 0x7f) == XCB_SELECTION_NOTIFY)
			text = notify->property == XCB_ATOM_NONE ? json_null() : read_property(p);
		free(event);
	}
	return text ? text : json_null();
}

static int print_state(const struct probe *p)
{
	xcb_query_pointer_reply_t *pointer =
		xcb_query_pointer_reply(p->x, xcb_query_pointer(p->x, p->root), NULL);
	xcb_query_keymap_reply_t *keymap =
		xcb_query_keymap_reply(p->x, xcb_query_keymap(p->x), NULL);
	json_t *state;
	int n_keys = 0;

	if (!pointer || !keymap)
		return 1;
	for (size_t i = 0; i < sizeof(keymap->keys); i++)
		n_keys += __builtin_popcount(keymap->keys[i]);
	state = json_pack("{s:i,s:i,s:i,s:i,s:o}", "x", pointer->root_x, "y", pointer->root_y,
			  "buttons", pointer->mask >> 8, "keys", n_keys, "clipboard", clipboard(p));
	(void)json_dumpf(state, stdout, 0);
	json_decref(state);
	free(pointer);
	free(keymap);
	return 0;
}

static void hand_out(const struct probe *p, const xcb_selection_request_event_t *request,
		     const char *text)
{
	const xcb_atom_t targets[] = {p->utf8, XCB_ATOM_STRING};
	xcb_selection_notify_event_t answer = {.response_type = XCB_SELECTION_NOTIFY,
					       .requestor = request->requestor,
					       .selection = request->selection,
					       .target = request->target,
					       .property = request->property};

	if (request->target == p->targets)
		xcb_change_property(p->x, XCB_PROP_MODE_REPLACE, request->requestor,
				    request->property, XCB_ATOM_ATOM, 32, 2, targets);
	else
		xcb_change_property(p->x, XCB_PROP_MODE_REPLACE, request->requestor,
				    request->property, request->target, 8, (uint32_t)strlen(text),
				    text);
	xcb_send_event(p->x, 0, request->requestor, 0, (const char *)&answer);
}

static int copy(const struct probe *p, const char *text)
{
	xcb_generic_event_t *event;

	xcb_set_selection_owner(p->x, p->window, p->clipboard, XCB_CURRENT_TIME);
	(void)xcb_flush(p->x);
	puts("ready");
	(void)fflush(stdout);
	while ((event = next_event(p, -1))) {
		if ((event->response_type & 0x7f) == XCB_SELECTION_REQUEST)
			hand_out(p, (void *)event, text);
		free(event);
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct probe p;
	int status = 2;

	if (argc < 2 || open_display(&p) < 0)
		return status;
	if (strcmp(argv[1], "state") == 0)
		status = print_state(&p);
	else if (argc > 2 && strcmp(argv[1], "copy") == 0)
		status = copy(&p, argv[2]);
	xcb_disconnect(p.x);
	return status;
}
