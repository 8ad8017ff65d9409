/* The page of a desktop. It opens one WebSocket and shows the token on it; after that noVNC gets the binary
 * messages, and what comes as text is for this page: see agent/viewer/client.h. What the page offers
 * follows what is allowed; that nothing else is done does not depend on it. */
import {files} from "./files.js";
import RFB from "./novnc/core/rfb.js";

const $ = (id) => document.getElementById(id);
const PROTOCOL = "dcv-session-viewer.1";
const PING_MS = 5000;
const BACKOFF_LEAST_MS = 1000;
const BACKOFF_MOST_MS = 15000;

/* By the number of the close: a title, a text, and whether trying again may help. */
const REASONS = {
	4401: ["This address is not good any more", "Get a new one from where it came from.", false],
	4403: ["You may not enter this desktop", "Its owner or an administrator decides who may.", false],
	4429: ["This desktop is full", "Somebody has to leave before you can enter.", false],
	4900: ["The connection was ended", "What this browser sent was not understood.", false],
	4910: ["This desktop has ended", "It was deleted, or its programs have ended.", false],
	4911: ["You may not see this desktop any more", "Its permissions have been changed.", false],
	4912: ["The owner has left", "You can be here only while the owner is.", false],
	4913: ["Connected elsewhere", "The same address was opened once more, and there is room for one.", false],
};

const KEYS = [
	["Ctrl+Alt+Del", "keyboard-sas", [[0xffe3, "ControlLeft"], [0xffe9, "AltLeft"], [0xffff, "Delete"]]],
	["Alt+Tab", "keyboard", [[0xffe9, "AltLeft"], [0xff09, "Tab"]]],
	["Alt+F4", "keyboard", [[0xffe9, "AltLeft"], [0xffc1, "F4"]]],
	["Ctrl+Esc", "keyboard", [[0xffe3, "ControlLeft"], [0xff1b, "Escape"]]],
	["Super", "keyboard", [[0xffeb, "MetaLeft"]]],
];

/* What noVNC takes for its connection. */
class Channel {
	binaryType = "arraybuffer";
	protocol = "";
	onopen = null;
	onclose = null;
	onerror = null;
	onmessage = null;

	constructor(socket) {
		this.socket = socket;
	}

	get readyState() {
		return this.socket.readyState;
	}

	send(bytes) {
		if (this.socket.readyState === WebSocket.OPEN)
			this.socket.send(bytes);
	}

	close() {
		this.socket.close();
	}
}

const state = {
	session: "",
	token: "",
	socket: null,
	channel: null,
	rfb: null,
	features: new Set(),
	isOwner: false,
	resizes: null, // null: as it is usual for who one is
	backoff: BACKOFF_LEAST_MS,
	timer: 0,
	ping: 0,
};

/* The token is needed again when the network breaks or the page is loaded anew. It stays in the memory of
 * this tab, and in no address that could be read, kept or handed on. */
function takeAddress() {
	const token = new URLSearchParams(location.search).get("authToken");

	try {
		state.session = decodeURIComponent(location.hash.slice(1));
	} catch {
		state.session = location.hash.slice(1);
	}
	if (token) {
		sessionStorage.setItem("token " + state.session, token);
		history.replaceState(null, "", "./view" + location.hash);
	}
	state.token = sessionStorage.getItem("token " + state.session) || "";
}

/* --- notices --------------------------------------------------------------------------------- */

function notice(title, text, canRetry) {
	$("notice-title").textContent = title;
	$("notice-text").textContent = text;
	$("again").hidden = !canRetry;
	$("notice").classList.toggle("is-passing", canRetry);
	$("notice").hidden = false;
	if (canRetry)
		$("again").focus();
}

/* --- what is allowed ------------------------------------------------------------------------- */

function may(feature) {
	return state.features.has(feature);
}

/* The one whose desktop it is has it in the size of the window; others see it as it is. */
function doesResize() {
	return may("mouse") && (state.resizes === null ? state.isOwner : state.resizes);
}

function applyFeatures() {
	const rfb = state.rfb;

	$("clipboard").hidden = !may("clipboard-copy") && !may("clipboard-paste");
	$("clipboard-text").readOnly = !may("clipboard-paste");
	$("clipboard-clear").hidden = !may("clipboard-paste");
	$("keys").hidden = !may("keyboard");
	$("screenshot").hidden = !may("screenshot");
	$("resize").hidden = !may("mouse");
	$("resize").setAttribute("aria-pressed", String(doesResize()));
	if ($("clipboard").hidden)
		openPanel($("clipboard"), false);
	if ($("keys").hidden)
		openPanel($("keys"), false);
	files.allow();
	if ($("files").hidden)
		openPanel($("files"), false);
	for (const button of $("keys-panel").children)
		button.hidden = !may(button.dataset.feature);
	if (!rfb)
		return;
	rfb.viewOnly = !may("keyboard") && !may("mouse");
	rfb.scaleViewport = true;
	rfb.resizeSession = doesResize();
}

/* --- the connection -------------------------------------------------------------------------- */

function drop() {
	const {rfb, channel, socket} = state;

	clearTimeout(state.timer);
	clearInterval(state.ping);
	state.rfb = null;
	state.channel = null;
	state.socket = null;
	$("quality").value = "";
	files.leave();
	if (socket) {
		socket.onclose = null;
		socket.close();
	}
	if (rfb && channel.onclose) /* it has not heard yet */
		rfb.disconnect();
	$("screen").replaceChildren();
}

function connect() {
	const url = new URL("./ws", location.href);

	drop();
	if (!state.token || !state.session) {
		notice(...REASONS[4401]);
		return;
	}
	url.protocol = "wss:";
	url.hash = "";
	state.socket = new WebSocket(url, [PROTOCOL]);
	state.socket.binaryType = "arraybuffer";
	state.socket.onopen = () => state.socket.send(JSON.stringify({token: state.token, session: state.session}));
	state.socket.onmessage = onMessage;
	state.socket.onclose = onClose;
}

function onClose(event) {
	const reason = REASONS[event.code];

	if (state.channel && state.channel.onclose) {
		state.channel.onclose(event);
		state.channel.onclose = null;
	}
	drop();
	if (reason) {
		notice(...reason);
		return;
	}
	notice("The connection is lost", "Trying again …", true);
	state.timer = setTimeout(connect, state.backoff * (0.8 + Math.random() * 0.4));
	state.backoff = Math.min(state.backoff * 2, BACKOFF_MOST_MS);
}

function onMessage(event) {
	if (typeof event.data === "string")
		onEvent(JSON.parse(event.data));
	else if (state.channel && state.channel.onmessage)
		state.channel.onmessage(event);
}

function onEvent(message) {
	switch (message.event) {
	case "admitted":
		state.isOwner = message.owner;
		state.features = new Set(message.features);
		files.enter(message.files, may);
		begin();
		break;
	case "features":
		state.features = new Set(message.features);
		applyFeatures();
		break;
	case "people":
		showPeople(message.people);
		break;
	case "pong":
		$("quality").value = Math.round(performance.now() - message.ping) + " ms";
		break;
	}
}

function ping() {
	state.socket.send(JSON.stringify({ping: Math.round(performance.now())}));
}

function begin() {
	state.channel = new Channel(state.socket);
	state.rfb = new RFB($("screen"), state.channel, {shared: true});
	state.rfb.background = "transparent";
	state.rfb.addEventListener("connect", () => {
		state.backoff = BACKOFF_LEAST_MS;
		$("notice").hidden = true;
		applyFeatures();
		state.rfb.focus();
	});
	state.rfb.addEventListener("clipboard", (event) => onCopied(event.detail.text));
	state.ping = setInterval(ping, PING_MS);
	ping();
}

/* --- the bar --------------------------------------------------------------------------------- */

function openPanel(button, isOpen) {
	button.setAttribute("aria-expanded", String(isOpen));
	$(button.getAttribute("aria-controls")).hidden = !isOpen;
}

function isOpen(button) {
	return button.getAttribute("aria-expanded") === "true";
}

const PANELS = ["clipboard", "keys", "files", "people"];

function togglePanel(button) {
	const opens = !isOpen(button);

	for (const id of PANELS)
		openPanel($(id), false);
	openPanel(button, opens);
	if (opens && button.id === "clipboard")
		$("clipboard-text").focus();
	if (opens && button.id === "files")
		files.open();
}

function showPeople(people) {
	$("people").textContent = people.length === 1 ? "1 person" : people.length + " people";
	$("people-list").replaceChildren(...people.map((person) => {
		const item = document.createElement("li");

		item.textContent = person.user + (person.owner ? " (owner)" : "") + (person.you ? " (you)" : "");
		return item;
	}));
}

/* A browser lets a page write to its clipboard only while it is used. The panel has it in any case. */
function onCopied(text) {
	$("clipboard-text").value = text;
	if (navigator.clipboard)
		navigator.clipboard.writeText(text).catch(() => {});
}

function paste(text) {
	if (state.rfb && may("clipboard-paste"))
		state.rfb.clipboardPasteFrom(text);
}

/* What was copied elsewhere while this window was not looked at. Not asked for where it is not granted. */
async function onFocus() {
	if (!may("clipboard-paste") || !navigator.clipboard || !navigator.permissions)
		return;
	try {
		const permission = await navigator.permissions.query({name: "clipboard-read"});

		if (permission.state !== "granted")
			return;
		const text = await navigator.clipboard.readText();

		if (text && text !== $("clipboard-text").value) {
			$("clipboard-text").value = text;
			paste(text);
		}
	} catch {
		/* then it is pasted by hand */
	}
}

function press(keys) {
	if (!state.rfb)
		return;
	for (const [keysym, code] of keys)
		state.rfb.sendKey(keysym, code, true);
	for (const [keysym, code] of [...keys].reverse())
		state.rfb.sendKey(keysym, code, false);
	state.rfb.focus();
}

/* The desktop takes every key while it has the focus, so one combination leads out of it. What is down of it
 * must not stay down there. */
const MODIFIERS = [[0xffe3, "ControlLeft"], [0xffe4, "ControlRight"], [0xffe9, "AltLeft"], [0xffea, "AltRight"],
	[0xffe1, "ShiftLeft"], [0xffe2, "ShiftRight"]];

function onKeyDown(event) {
	if (event.ctrlKey && event.altKey && event.shiftKey && state.rfb) {
		event.preventDefault();
		event.stopPropagation();
		for (const [keysym, code] of MODIFIERS)
			state.rfb.sendKey(keysym, code, false);
		showTools(true);
		document.querySelector("#tools button:not([hidden])").focus();
	} else if (event.key === "Escape" && event.target !== document.querySelector("#screen canvas")) {
		PANELS.forEach((id) => openPanel($(id), false));
		if (state.rfb)
			state.rfb.focus();
	}
}

function showTools(isShown) {
	$("menu").setAttribute("aria-expanded", String(isShown));
	$("tools").classList.toggle("is-open", isShown);
}

function savePicture() {
	const canvas = document.querySelector("#screen canvas");

	if (!canvas || !may("screenshot"))
		return;
	canvas.toBlob((blob) => {
		const link = document.createElement("a");

		link.href = URL.createObjectURL(blob);
		link.download = "desktop.png";
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 1000);
	});
}

function setUp() {
	for (const [name, feature, keys] of KEYS) {
		const button = document.createElement("button");

		button.textContent = name;
		button.dataset.feature = feature;
		button.addEventListener("click", () => press(keys));
		$("keys-panel").append(button);
	}
	for (const id of PANELS)
		$(id).addEventListener("click", () => togglePanel($(id)));
	files.setUp(() => {
		if (!isOpen($("files")))
			togglePanel($("files"));
	});
	$("menu").addEventListener("click", () => showTools(!isOpen($("menu"))));
	$("clipboard-text").addEventListener("input", () => paste($("clipboard-text").value));
	$("clipboard-clear").addEventListener("click", () => {
		$("clipboard-text").value = "";
		paste("");
	});
	$("screenshot").addEventListener("click", savePicture);
	$("resize").addEventListener("click", () => {
		state.resizes = !doesResize();
		applyFeatures();
	});
	$("fullscreen").hidden = !document.fullscreenEnabled;
	$("fullscreen").addEventListener("click", () => {
		if (document.fullscreenElement)
			document.exitFullscreen();
		else
			document.documentElement.requestFullscreen().catch(() => {});
	});
	document.addEventListener("fullscreenchange", () =>
		$("fullscreen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
	document.addEventListener("keydown", onKeyDown, true);
	$("again").addEventListener("click", connect);
	window.addEventListener("focus", onFocus);
	window.addEventListener("online", () => {
		if (!state.rfb && state.timer)
			connect();
	});
}

takeAddress();
setUp();
connect();
