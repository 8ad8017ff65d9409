#include <string.h>

#include "common/finding.h"
#include "common/json.h"
#include "ctl/doctor.h"
#include "tests/unit/unit.h"

/* The state of the only finding of that check. */
static enum finding_state state_of(const json_t *findings, const char *check)
{
	enum finding_state state = N_FINDING_STATES;
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		if (strcmp(json_get_text(finding, "Check"), check) != 0)
			continue;
		assert_int_equal(state, N_FINDING_STATES);
		state = finding_state(finding);
	}
	return state;
}

static void the_worst_finding_is_the_exit_status(void **state)
{
	json_auto_t *findings = json_array();

	(void)state;
	assert_int_equal(doctor_status(findings), DOCTOR_WELL);
	finding_add(findings, "a", FINDING_OK, NULL, "fine");
	finding_add(findings, "b", FINDING_NOT_CHECKED, "Ask as root.", "who knows");
	assert_int_equal(doctor_status(findings), DOCTOR_WELL);
	finding_add(findings, "c", FINDING_WARNING, "Do.", "%d days", 3);
	assert_int_equal(doctor_status(findings), DOCTOR_WARNINGS);
	finding_add(findings, "d", FINDING_ERROR, "Do.", "gone");
	finding_add(findings, "e", FINDING_WARNING, "Do.", "soon");
	assert_int_equal(doctor_status(findings), DOCTOR_ERRORS);
	assert_string_equal(json_get_text(json_array_get(findings, 2), "Text"), "3 days");
	assert_null(json_get_text(json_array_get(findings, 0), "Advice"));
}

static void a_finding_of_an_unknown_state_is_an_error(void **state)
{
	json_auto_t *findings = json_pack("[{s:s},{}]", "State", "FINE");

	(void)state;
	assert_int_equal(finding_count(findings).n[FINDING_ERROR], 2);
	assert_int_equal(doctor_status(findings), DOCTOR_ERRORS);
}

/* What is said of a server with this version, reason and link, in the order of the checks. */
static void assert_server(const char *version, const char *reason, const char *local,
			  enum finding_state agent, enum finding_state availability,
			  enum finding_state link)
{
	json_auto_t *server = json_object(), *findings = json_array();

	json_set_text(server, "SessionManagerAgentVersion", version);
	json_set_text(server, "UnavailabilityReason", reason);
	(void)json_object_set_new(server, "Local", json_loads(local, 0, NULL));
	doctor_read_server(server, findings);
	assert_int_equal(state_of(findings, "agent"), agent);
	assert_int_equal(state_of(findings, "availability"), availability);
	assert_int_equal(state_of(findings, "link"), link);
}

static void a_running_agent_tells_version_availability_and_link(void **state)
{
	(void)state;
	assert_server(VERSION, NULL, "{}", FINDING_OK, FINDING_OK, N_FINDING_STATES);
	assert_server("0.0.1", NULL, "{\"BrokerLinked\":true}", FINDING_WARNING, FINDING_OK,
		      FINDING_OK);
	assert_server(VERSION, "SERVER_CLOSED",
		      "{\"BrokerLinked\":false,\"BrokerTrouble\":\"refused\"}", FINDING_OK,
		      FINDING_WARNING, FINDING_ERROR);
	assert_server(VERSION, "SERVER_FULL", "{\"BrokerLinked\":false}", FINDING_OK, FINDING_OK,
		      FINDING_ERROR);
	assert_server(VERSION, "UNHEALTHY_DCV_SERVER", "{\"EngineTrouble\":\"no keeper\"}",
		      FINDING_OK, FINDING_ERROR, N_FINDING_STATES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worst_finding_is_the_exit_status),
		cmocka_unit_test(a_finding_of_an_unknown_state_is_an_error),
		cmocka_unit_test(a_running_agent_tells_version_availability_and_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
