/* The panel of a session's files: what is there, and what goes there and back. Requests are those of
 * agent/viewer/file-address.h; they show the key that came with the admission. Names are any bytes: they are
 * kept percent-encoded, as they come, and decoded only to be shown. */
const $ = (id) => document.getElementById(id);
const PIECE_BYTES = 8 * 1024 * 1024; // that are uploaded by one request
const RETRY_LEAST_MS = 1000;
const RETRY_MOST_MS = 15000;

const state = {
	key: "", // "": not connected, or the session has no files
	may: () => false,
	folder: [], // encoded names, from the storage folder on
	entries: [],
	hasMore: false,
	asked: 0, // lists that were asked for; the latest counts
	uploads: [],
	sending: null, // one at a time
};

/* --- names, sizes, addresses ----------------------------------------------------------------- */

function decode(name) {
	const bytes = [];

	for (let i = 0; i < name.length; i++) {
		bytes.push(name[i] === "%" ? parseInt(name.slice(i + 1, i + 3), 16) : name.charCodeAt(i));
		i += name[i] === "%" ? 2 : 0;
	}
	return new TextDecoder().decode(new Uint8Array(bytes));
}

/* Control characters as pictures of themselves, and nothing of a name turns what is beside it around. */
function shown(text) {
	const element = document.createElement("bdi");

	element.textContent = text.replace(/[\0-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));
	return element;
}

function sizeText(bytes) {
	const units = ["bytes", "kB", "MB", "GB", "TB"];
	let value = bytes, unit = 0;

	for (; value >= 1000 && unit < units.length - 1; unit++)
		value /= 1000;
	return (unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)) + " " + units[unit];
}

function address(kind, names, query = "") {
	return `./files/${state.key}/${kind}/${names.join("/")}${query}`;
}

function say(...words) {
	$("files-status").replaceChildren(...words);
}

/* --- what is there --------------------------------------------------------------------------- */

async function list() {
	const asked = ++state.asked;

	if (!state.key || $("files-panel").hidden)
		return;
	try {
		const answer = await fetch(address("list", state.folder), {cache: "no-store"});
		const found = await answer.json();

		if (asked !== state.asked)
			return;
		if (!answer.ok) {
			state.entries = [];
			show();
			say("This folder cannot be shown: " + found.error + ".");
			return;
		}
		state.entries = found.entries.map((entry) => ({...entry, text: decode(entry.name)}));
		state.entries.sort((a, b) => b.folder - a.folder ||
			a.text.localeCompare(b.text, undefined, {numeric: true}));
		state.hasMore = found.more;
		show();
	} catch {
		if (asked === state.asked)
			say("The files cannot be reached just now.");
	}
}

function show() {
	const entries = state.entries.filter((entry) => $("files-hidden").checked || entry.text[0] !== ".");

	showFolder();
	$("files-list").replaceChildren(...entries.map(rowOf));
	say(state.hasMore ? `Only ${state.entries.length} of the files are shown.`
		: entries.length === 0 ? "There is nothing here." : "");
}

function rowOf(entry) {
	const item = document.createElement("li");
	const button = document.createElement("button");
	const facts = document.createElement("small");

	button.append(shown(entry.text + (entry.folder ? "/" : "")), facts);
	facts.textContent = entry.folder ? "" : sizeText(entry.size) + ", " +
		new Date(entry.time).toLocaleString([], {dateStyle: "medium", timeStyle: "short"});
	button.classList.toggle("is-folder", entry.folder);
	button.disabled = !entry.folder && !state.may("file-download");
	button.title = entry.folder ? "Open this folder" : button.disabled ? "" : "Download this file";
	button.addEventListener("click", () => entry.folder ? enterFolder([...state.folder, entry.name])
		: download(entry));
	item.append(button);
	return item;
}

/* The way here, each step of which leads back. */
function showFolder() {
	const steps = ["Files", ...state.folder.map(decode)];

	$("files-folder").replaceChildren(...steps.map((step, i) => {
		const button = document.createElement("button");

		button.append(shown(step));
		if (i === steps.length - 1)
			button.setAttribute("aria-current", "location");
		button.addEventListener("click", () => enterFolder(state.folder.slice(0, i)));
		return button;
	}));
}

async function enterFolder(folder) {
	state.folder = folder;
	await list();
	$("files-folder").lastElementChild.focus();
}

/* The browser keeps the file and shows how far it is; that there will be one is asked before. */
async function download(entry) {
	const link = document.createElement("a");

	link.href = address("content", [...state.folder, entry.name]);
	link.download = "";
	try {
		const answer = await fetch(link.href, {method: "HEAD", cache: "no-store"});

		if (answer.ok)
			link.click();
		else
			say(shown(entry.text), answer.status === 404 ? " is not there any more."
				: answer.status === 403 ? " may not be downloaded."
					: " cannot be downloaded just now.");
	} catch {
		say("The files cannot be reached just now.");
	}
}

/* --- uploads --------------------------------------------------------------------------------- */

/* Why an upload stops: for good, or until it is tried again. */
class Failure extends Error {
	constructor(text, canWait) {
		super(text);
		this.canWait = canWait;
	}
}

class Upload {
	constructor(file, folder) {
		this.file = file;
		this.folder = folder;
		this.xhr = null;
		this.isOver = false; // whole, cancelled, or failed: not in the queue
		this.isLast = false; // the end of what was there in part is on its way
		this.retryMs = RETRY_LEAST_MS;
		this.timer = 0;
		this.makeRow();
	}

	makeRow() {
		this.row = document.createElement("li");
		this.bar = document.createElement("progress");
		this.text = document.createElement("small");
		this.again = document.createElement("button");
		this.cancel = document.createElement("button");
		this.bar.max = Math.max(this.file.size, 1);
		this.bar.value = 0;
		this.bar.setAttribute("aria-label", "Upload of " + this.file.name);
		this.again.textContent = "Try again";
		this.again.hidden = true;
		this.again.addEventListener("click", () => this.restart());
		this.cancel.textContent = "Cancel";
		this.cancel.addEventListener("click", () => this.end());
		this.row.append(shown(this.file.name), this.bar, this.text, this.again, this.cancel);
		this.tell("Waiting");
	}

	tell(...words) {
		this.text.replaceChildren(...words);
	}

	progress(bytes) {
		this.bar.value = bytes;
		this.tell(`${sizeText(bytes)} of ${sizeText(this.file.size)}`);
	}

	/* One request of it: the status, and the JSON that came. */
	ask(method, kind, more = "", body = null, onProgress = null) {
		const time = Math.max(0, Math.round(this.file.lastModified));
		const names = [...this.folder, encodeURIComponent(this.file.name)];

		return new Promise((resolve, reject) => {
			const xhr = new XMLHttpRequest();

			this.xhr = xhr;
			xhr.open(method, address(kind, names, `?size=${this.file.size}&time=${time}${more}`));
			xhr.responseType = "json";
			xhr.upload.onprogress = onProgress;
			xhr.onload = () => resolve({status: xhr.status, ...xhr.response});
			xhr.onerror = xhr.onabort = () => reject(new Failure("The connection is lost", true));
			xhr.send(body);
		});
	}

	/* What may pass is waited for; what will not is told. */
	static check(answer) {
		if (answer.status < 300)
			return;
		if (answer.status === 409 && answer.offset === undefined)
			throw new Failure("It is being uploaded already", true);
		if ([401, 429, 503].includes(answer.status))
			throw new Failure("The files cannot be reached just now", true);
		if (answer.status !== 409)
			throw new Failure("Not uploaded: " + (answer.error || "status " + answer.status), false);
	}

	/* What is whole is no part any more. If the answer to the end was lost, the file itself tells; of a file that
	 * is sent in one piece it could as well be an older one, and that is sent again. */
	async isThere() {
		const answer = await fetch(address("list", this.folder), {cache: "no-store"});

		return answer.ok && (await answer.json()).entries.some(({name, size}) =>
			decode(name) === this.file.name && size === this.file.size);
	}

	async send() {
		let answer = await this.ask("GET", "part");

		if (this.isLast && answer.offset === 0 && await this.isThere().catch(() => false))
			return encodeURIComponent(this.file.name);
		for (;;) {
			Upload.check(answer);
			if (answer.status === 201)
				return answer.name;
			this.retryMs = RETRY_LEAST_MS;
			const offset = answer.offset;
			const piece = await this.read(offset);

			this.progress(offset);
			this.isLast = offset > 0 && offset + piece.byteLength === this.file.size;
			answer = await this.ask("PUT", "content", `&offset=${offset}`, piece,
				(event) => this.progress(Math.min(offset + event.loaded, this.file.size)));
			this.isLast = false;
		}
	}

	async read(offset) {
		try {
			return await this.file.slice(offset, offset + PIECE_BYTES).arrayBuffer();
		} catch {
			throw new Failure("Not uploaded: this browser cannot read it. Is it a folder, or has it changed?",
				false);
		}
	}

	restart() {
		clearTimeout(this.timer);
		this.timer = 0;
		this.isOver = false;
		this.again.hidden = true;
		this.tell("Waiting");
		sendNext();
	}

	stop(failure) {
		this.again.hidden = false;
		if (!failure.canWait) {
			this.isOver = true;
			this.tell(failure.message + ".");
			return;
		}
		this.tell(failure.message + ", and it will be tried again.");
		this.timer = setTimeout(() => this.restart(), this.retryMs);
		this.retryMs = Math.min(this.retryMs * 2, RETRY_MOST_MS);
	}

	done(name) {
		const text = decode(name);

		this.isOver = true;
		this.bar.value = this.bar.max;
		this.cancel.textContent = "Clear";
		if (text === this.file.name)
			this.tell("Uploaded");
		else
			this.tell("Uploaded as ", shown(text), ", for there is one of its name");
	}

	/* By hand. What is there of it is dropped. */
	end() {
		const isWhole = this.cancel.textContent === "Clear";

		clearTimeout(this.timer);
		this.isOver = true;
		state.uploads.splice(state.uploads.indexOf(this), 1);
		this.row.remove();
		if (this.xhr)
			this.xhr.abort();
		if (!isWhole)
			this.drop();
	}

	/* The one that was broken off may not have been noticed yet. */
	async drop(tries = 5) {
		const answer = await this.ask("DELETE", "part").catch(() => ({status: 0}));

		if (answer.status === 409 && tries > 0)
			setTimeout(() => this.drop(tries - 1), RETRY_LEAST_MS);
	}
}

async function sendNext() {
	const upload = state.uploads.find((one) => !one.isOver && !one.timer);

	if (state.sending || !upload || !state.key)
		return;
	state.sending = upload;
	try {
		upload.done(await upload.send());
		list();
	} catch (failure) {
		if (!upload.isOver)
			upload.stop(failure instanceof Failure ? failure : new Failure(String(failure), false));
	}
	state.sending = null;
	sendNext();
}

function upload(files) {
	for (const file of files) {
		const one = new Upload(file, state.folder);

		state.uploads.push(one);
		$("files-uploads").append(one.row);
	}
	sendNext();
}

/* --- for the page ---------------------------------------------------------------------------- */

export const files = {
	/* Connected: @key as it came, undefined without files. */
	enter(key, may) {
		state.key = key || "";
		state.may = may;
		this.allow();
		list();
		for (const one of state.uploads) {
			if (one.timer)
				one.restart();
		}
		sendNext();
	},

	/* What is allowed has changed. */
	allow() {
		$("files").hidden = !state.key || !(state.may("file-upload") || state.may("file-download"));
		$("files-choose").hidden = !state.may("file-upload");
		if (!$("files-panel").hidden)
			show();
	},

	/* Not connected any more. */
	leave() {
		state.key = "";
		if (state.sending && state.sending.xhr)
			state.sending.xhr.abort();
	},

	/* The panel has been opened. */
	open() {
		showFolder();
		list();
		$("files-folder").lastElementChild.focus();
	},

	/* @openPanel: called when files are dropped. */
	setUp(openPanel) {
		const canTake = (event) => !$("files").hidden && state.may("file-upload") &&
			event.dataTransfer.types.includes("Files");

		$("files-choose").addEventListener("click", () => $("files-chosen").click());
		$("files-chosen").addEventListener("change", () => {
			upload($("files-chosen").files);
			$("files-chosen").value = "";
		});
		$("files-refresh").addEventListener("click", list);
		$("files-hidden").addEventListener("change", show);
		$("stage").addEventListener("dragover", (event) => {
			event.preventDefault();
			event.dataTransfer.dropEffect = canTake(event) ? "copy" : "none";
			$("stage").classList.toggle("is-target", canTake(event));
		});
		$("stage").addEventListener("dragleave", () => $("stage").classList.remove("is-target"));
		$("stage").addEventListener("drop", (event) => {
			event.preventDefault(); // nor does the browser open it in place of the desktop
			$("stage").classList.remove("is-target");
			if (!canTake(event))
				return;
			openPanel();
			upload(event.dataTransfer.files);
		});
		window.addEventListener("beforeunload", (event) => {
			if (state.uploads.some((one) => !one.isOver))
				event.preventDefault();
		});
	},
};
