#include "common/service.h"

#include <systemd/sd-daemon.h>

#include "common/log.h"

static void on_watchdog(void *userdata)
{
	(void)userdata;
	(void)sd_notify(0, "WATCHDOG=1");
}

void service_start(struct service *service, struct loop *loop)
{
	uint64_t allowed_us = 0;
	unsigned long long period_ms;

	(void)sd_notify(0, "READY=1");
	if (sd_watchdog_enabled(0, &allowed_us) <= 0)
		return;
	service->watchdog = timer_new(loop, on_watchdog, NULL);
	if (!service->watchdog) {
		log_warning("no memory to tell the watchdog with");
		return;
	}
	period_ms = allowed_us / 2000;
	timer_start(service->watchdog, 0, period_ms > 0 ? period_ms : 1);
}

void service_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			 (unsigned long long)(uv_hrtime() / 1000));
}

void service_reloaded(void)
{
	(void)sd_notify(0, "READY=1");
}

void service_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void service_stop(struct service *service)
{
	timer_free(service->watchdog);
	service->watchdog = NULL;
}
