// A portal in small: the whole life of a session through a client that is generated from the broker's own
// description of its API (openapi-typescript makes api.d.ts, openapi-fetch uses it). It is compiled with
// --strict, so a name or a type that a portal needs and the description lacks is an error here.
//
// Environment: BROKER_URL, CLIENT_ID, CLIENT_PASSWORD, OWNER, perhaps INIT_FILE; NODE_EXTRA_CA_CERTS for
// the authority.
// Prints what it saw as one JSON object; the same as portal.py does.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Session = components["schemas"]["Session"];
type Server = components["schemas"]["Server"];

function setting(name: string): string {
	const value = process.env[name];
	if (!value) throw new Error(`${name} is not set`);
	return value;
}

const baseUrl = setting("BROKER_URL");
const owner = setting("OWNER");

async function fetchToken(): Promise<string> {
	const credentials = `${setting("CLIENT_ID")}:${setting("CLIENT_PASSWORD")}`;
	const reply = await fetch(`${baseUrl}/oauth2/token?grant_type=client_credentials`, {
		method: "POST",
		headers: { Authorization: `Basic ${Buffer.from(credentials).toString("base64")}` },
	});
	if (reply.status !== 200) throw new Error(`token: ${reply.status} ${await reply.text()}`);
	const token = (await reply.json()) as { access_token: string; expires_in: number };
	return token.access_token;
}

const client = createClient<paths>({
	baseUrl,
	headers: { Authorization: `Bearer ${await fetchToken()}` },
});

/** The answer of a call that must succeed. */
function ok<T>(result: { data?: T; error?: unknown; response: Response }): T {
	if (result.data === undefined)
		throw new Error(`${result.response.url}: ${result.response.status} ${JSON.stringify(result.error)}`);
	return result.data;
}

async function listServers(): Promise<Server[]> {
	const servers: Server[] = [];
	let NextToken: string | undefined;
	do {
		const page = ok(await client.POST("/describeServers", { body: { MaxResults: 1, NextToken } }));
		servers.push(...(page.Servers ?? []));
		NextToken = page.NextToken;
	} while (NextToken);
	return servers;
}

async function findSession(id: string): Promise<Session | undefined> {
	const page = ok(await client.POST("/describeSessions", { body: { SessionIds: [id], Filters: [] } }));
	return page.Sessions?.[0];
}

async function awaitState(id: string, wanted: string): Promise<Session> {
	const end = Date.now() + 60_000;
	for (;;) {
		const session = await findSession(id);
		if (session?.State === wanted) return session;
		if (session?.State === "DELETED" || Date.now() > end)
			throw new Error(`${id} is not ${wanted} but ${JSON.stringify(session)}`);
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

function sessionUrl(session: Session, token: string): string | null {
	const { Ip, Port, WebUrlPath } = session.Server ?? {};
	return Ip && Port ? `https://${Ip}:${Port}${WebUrlPath}?authToken=${token}#${session.Id}` : null;
}

const servers = await listServers();

const created = ok(
	await client.POST("/createSessions", {
		body: [
			{
				Name: "portal",
				Owner: owner,
				Type: "VIRTUAL",
				InitFile: process.env.INIT_FILE,
				MaxConcurrentClients: 2,
				DcvGlEnabled: false,
			},
			{ Name: "nowhere", Owner: owner, Type: "Virtual", Requirements: "tag:purpose = 'nothing'" },
		],
	}),
);
const id = created.SuccessfulList?.[0]?.Id ?? "";
const first = created.SuccessfulList?.[0];
const session = await awaitState(id, "READY");
const mine = ok(await client.POST("/describeSessions", { body: { Filters: [{ Key: "owner", Value: owner }] } }));

const connection = ok(
	await client.GET("/sessionConnectionData/{sessionId}/{user}", {
		params: { path: { sessionId: id, user: "DOMAIN\\some@user" } },
	}),
);

const shots = ok(
	await client.POST("/getSessionScreenshots", {
		body: [{ SessionId: id, MaxWidth: 64, MaxHeight: null }, { SessionId: "gone" }],
	}),
);
const image = shots.SuccessfulList?.[0]?.SessionScreenshot?.Images?.find((each) => each.Primary);

const permissions = ok(
	await client.PUT("/sessionPermissions", {
		body: [{ SessionId: id, Owner: owner, PermissionsFile: Buffer.from("[permissions]\n").toString("base64") }],
	}),
);

const ServerId = session.Server?.Id;
const closed = ok(await client.POST("/closeServers", { body: [{ ServerId }] }));
const forced = ok(await client.POST("/closeServers", { body: [{ ServerId, Force: true }] }));
const whileClosed = (await listServers()).find((server) => server.Id === ServerId);
const opened = ok(await client.POST("/openServers", { body: [{ ServerId }, { ServerId: "nope" }] }));

const refused = await client.POST("/createSessions", { body: [{ Name: "x", Owner: owner, Type: "OTHER" }] });

const deleted = ok(await client.POST("/deleteSessions", { body: [{ SessionId: id, Owner: owner, Force: true }] }));
const last = await awaitState(id, "DELETED");
const again = ok(await client.POST("/deleteSessions", { body: [{ SessionId: id, Owner: owner }] }));

console.log(
	JSON.stringify({
		servers: servers.map((server) => server.Id),
		accepted: [first?.State, first?.Substate],
		failure: created.UnsuccessfulList?.map((entry) => [entry.CreateSessionRequestData?.Name, entry.FailureReason]),
		session: [session.Name, session.Owner, session.Type, session.NumOfConnections],
		server: ServerId,
		isMine: mine.Sessions?.some((each) => each.Id === id),
		sameSession: connection.Session?.Id === id,
		url: sessionUrl(connection.Session ?? {}, connection.ConnectionToken ?? ""),
		token: connection.ConnectionToken,
		format: image?.Format,
		image: Buffer.from(image?.Data ?? "", "base64").subarray(0, 4).toString("hex"),
		noImage: shots.UnsuccessfulList?.map((entry) => entry.FailureReason),
		permissions: [permissions.SuccessfulList?.length, permissions.UnsuccessfulList?.length],
		closed: closed.UnsuccessfulList?.map((entry) => [entry.CloseServerRequestData?.ServerId, entry.FailureCode]),
		forced: forced.SuccessfulList?.map((entry) => entry.ServerId),
		whileClosed: [whileClosed?.Availability, whileClosed?.UnavailabilityReason],
		opened: [opened.SuccessfulList?.length, opened.UnsuccessfulList?.[0]?.FailureReason],
		refused: [refused.response.status, refused.error?.error],
		deleted: deleted.SuccessfulList?.map((entry) => entry.State),
		last: last.State,
		again: again.UnsuccessfulList?.map((entry) => entry.FailureReason),
	}),
);
