// lint.mjs FILE: what the linter of Redocly finds wrong with an OpenAPI file, a line of JSON each.
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended"] });
for (const problem of await lint({ ref: process.argv[2], config })) {
	const { severity, ruleId, message, location } = problem;
	console.log(JSON.stringify({ severity, ruleId, message, at: location[0]?.pointer }));
}
