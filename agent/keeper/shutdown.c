#include "agent/keeper/shutdown.h"

#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"

#define WAIT_US 1000000

static void bus_free(sd_bus **bus)
{
	(void)sd_bus_close_unref(*bus);
}

bool shutdown_is_under_way(void)
{
	AUTO(bus_free) sd_bus *bus = NULL;
	AUTO(free_p) char *state = NULL;

	if (sd_booted() <= 0 || sd_bus_open_system(&bus) < 0 ||
	    sd_bus_set_method_call_timeout(bus, WAIT_US) < 0 ||
	    sd_bus_get_property_string(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				       "org.freedesktop.systemd1.Manager", "SystemState", NULL,
				       &state) < 0)
		return false;
	return strcmp(state, "stopping") == 0;
}
