/* A browser for the tests: commands come as lines of JSON, {"page", "do", ...arguments}, and each is
 * answered with a line, {"ok": value} or {"error": text}. Run with the path of playwright-core. */
import {createInterface} from "node:readline";
import {createRequire} from "node:module";

const {chromium} = createRequire(import.meta.url)(process.argv[2]);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
	"--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors"];
const PATIENCE_MS = 60000;

const browser = await chromium.launch({executablePath: "/usr/bin/chromium", headless: true, args: FLAGS});
const pages = new Map();

const commands = {
	async open({page, url, width = 1000, height = 700, dark = false, touch = false}) {
		const context = await browser.newContext({ignoreHTTPSErrors: true, viewport: {width, height},
			colorScheme: dark ? "dark" : "light", hasTouch: touch, acceptDownloads: true});
		const opened = await context.newPage();
		const problems = [];

		opened.setDefaultTimeout(PATIENCE_MS);
		opened.on("console", (message) => message.type() === "error" && problems.push(message.text()));
		opened.on("pageerror", (error) => problems.push(String(error)));
		pages.set(page, {context, page: opened, problems});
		const answer = await opened.goto(url);
		return answer.status();
	},
	/* the page's policy lets nobody evaluate text in it but the debugger */
	async wait(p, {text}) {
		const end = Date.now() + PATIENCE_MS;

		while (!await p.evaluate(text)) {
			if (Date.now() > end)
				throw new Error("it does not come true: " + text);
			await new Promise((go) => setTimeout(go, 30));
		}
		return true;
	},
	evaluate: (p, {text}) => p.evaluate(text),
	click: (p, {selector}) => p.click(selector).then(() => true),
	type: (p, {text}) => p.keyboard.type(text).then(() => true),
	press: (p, {text}) => p.keyboard.press(text).then(() => true),
	down: (p, {text}) => p.keyboard.down(text).then(() => true),
	up: (p, {text}) => p.keyboard.up(text).then(() => true),
	move: (p, {x, y}) => p.mouse.move(x, y).then(() => true),
	fill: (p, {selector, text}) => p.fill(selector, text).then(() => true),
	choose: (p, {selector, paths}) => p.setInputFiles(selector, paths).then(() => true),
	async download(p, {selector, path}) {
		const [download] = await Promise.all([p.waitForEvent("download"), p.click(selector)]);

		await download.saveAs(path);
		return download.suggestedFilename();
	},
	size: (p, {width, height}) => p.setViewportSize({width, height}).then(() => true),
	reload: (p) => p.reload().then((answer) => answer.status()),
	picture: (p, {path}) => p.screenshot({path}).then(() => true),
	problems: (p, _, {problems}) => problems.splice(0),
	close: (p, _, {context}) => context.close().then(() => true),
};

for await (const line of createInterface({input: process.stdin})) {
	const command = JSON.parse(line);
	const known = pages.get(command.page);

	try {
		const value = command.do === "open" ? await commands.open(command)
			: await commands[command.do](known.page, command, known);
		console.log(JSON.stringify({ok: value ?? null}));
	} catch (error) {
		console.log(JSON.stringify({error: String(error)}));
	}
}
await browser.close();
