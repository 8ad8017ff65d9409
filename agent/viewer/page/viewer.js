/* The page of a desktop. It opens one WebSocket and shows the token on it; after that noVNC gets the binary
 * messages, and what comes as text is for this page: see agent/viewer/client.h. What the page offers
 * follows what is allowed; that nothing else is done does not depend on it. */
import {files} from "./files.js";
import RFB from "./novnc/core/rfb.js";
import {describe, difference, personsIn} from "./people.js";
import {Quality} from "./quality.js";
import {followTouchKeys} from "./touch-keys.js";

const $ = (id) => document.getElementById(id);
const PROTOCOL = "dcv-session-viewer.1";
const SAID_MS = 5000;
const BACKOFF_LEAST_MS = 1000;
const BACKOFF_MOST_MS = 15000;

/* A title, a text, and whether it is tried again; by the number of the close. */
const LOST = ["The connection is lost", "Trying again …", true];
const REASONS = {
	4401: ["This address is not good any more", "Get a new one from where it came from.", false],
	4403: ["You may not enter this desktop", "Its owner or an administrator decides who may.", false],
	4429: ["This desktop is full", "Somebody has to leave before you can enter.", false],
	4501: ["This desktop cannot be shown", "Its host lacks the program that shows the desktop of its own screen. "
		+ "Its administrator is told more by: dcvctl doctor", false],
	4503: ["This desktop cannot be reached just now", "Trying again …", true],
	4900: ["The connection was ended", "What this browser sent was not understood.", false],
	4901: ["What shows this desktop has ended", "Trying again …", true],
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
	isConsole: false, // a real screen, of which the size stays and no clipboard is told
	persons: [],
	resizes: null, // null: as it is usual for who one is
	backoff: BACKOFF_LEAST_MS,
	timer: 0,
	word: "", // of the connection's quality
	saying: 0,
};

const quality = new Quality({
	send: (number) => state.socket.send(JSON.stringify({ping: number})),
	show: showQuality,
	lost: () => onClose({code: 1006}),
});

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

/* In passing, and to those who do not see the page. */
function say(text) {
	clearTimeout(state.saying);
	$("said").textContent = text;
	state.saying = setTimeout(() => $("said").textContent = "", SAID_MS);
}

function showQuality(word, ms) {
	$("quality").value = ms === null ? word : `${word} · ${ms} ms`;
	$("quality").dataset.word = word;
	if (state.word && state.word !== word)
		say("Connection: " + word.toLowerCase());
	state.word = word;
}

/* --- what is allowed ------------------------------------------------------------------------- */

function may(feature) {
	return state.features.has(feature);
}

function canResize() {
	return may("mouse") && !state.isConsole;
}

/* The one whose desktop it is has it in the size of the window; others see it as it is. */
function doesResize() {
	return canResize() && (state.resizes === null ? state.isOwner : state.resizes);
}

function applyFeatures() {
	const rfb = state.rfb;

	$("clipboard").hidden = state.isConsole || (!may("clipboard-copy") && !may("clipboard-paste"));
	$("clipboard-text").readOnly = !may("clipboard-paste");
	$("clipboard-clear").hidden = !may("clipboard-paste");
	$("keys").hidden = !may("keyboard");
	$("touch").hidden = !may("keyboard") || navigator.maxTouchPoints === 0;
	$("screenshot").hidden = !may("screenshot");
	$("resize").hidden = !canResize();
	$("resize").setAttribute("aria-pressed", String(doesResize()));
	if ($("clipboard").hidden)
		openPanel($("clipboard"), false);
	if ($("keys").hidden)
		openPanel($("keys"), false);
	files.allow();
	if ($("files").hidden)
		openPanel($("files"), false);
	for (const button of $("keys-panel").querySelectorAll("button"))
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
	quality.stop();
	state.rfb = null;
	state.channel = null;
	state.socket = null;
	files.leave();
	state.word = $("quality").value = "";
	state.persons = [];
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
	const reason = REASONS[event.code] || LOST;

	if (state.channel && state.channel.onclose) {
		state.channel.onclose(event);
		state.channel.onclose = null;
	}
	drop();
	notice(...reason);
	if (!reason[2])
		return;
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
		state.isConsole = message.console;
		state.features = new Set(message.features);
		files.enter(message.files, may);
		begin();
		break;
	case "features":
		state.features = new Set(message.features);
		applyFeatures();
		break;
	case "people":
		showPeople(personsIn(message.people));
		break;
	case "pong":
		quality.heard(message.ping);
		break;
	}
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
	quality.start();
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

function showPeople(persons) {
	const news = state.persons.length ? difference(state.persons, persons) : "";

	state.persons = persons;
	$("people").textContent = persons.length === 1 ? "1 person" : persons.length + " people";
	$("people-list").replaceChildren(...persons.map((person) => {
		const item = document.createElement("li");

		item.textContent = describe(person);
		return item;
	}));
	if (news)
		say(news);
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
	followTouchKeys($("touch-keys"), (keysym) => state.rfb && state.rfb.sendKey(keysym));
	$("touch").addEventListener("click", () => {
		showTools(false);
		$("touch-keys").focus();
	});
	for (const [event, isAway] of [["focus", true], ["blur", false]])
		$("touch-keys").addEventListener(event, () => {
			if (state.rfb)
				state.rfb.focusOnClick = !isAway; // a touch of the desktop leaves the keyboard there
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
