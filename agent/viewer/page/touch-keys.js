/* The keyboard on a touch screen. It comes up for a text field, and what happens there are changes of a
 * text rather than keys: it may be corrected and completed as one writes. */
import keysyms from "./novnc/core/input/keysymdef.js";

const BACKSPACE = 0xff08;
const RETURN = 0xff0d;
const FILLER = "_".repeat(50); // to be deleted: of an empty field that would not be noticed
const MOST = 200;

function refill(field) {
	field.value = FILLER;
	field.setSelectionRange(FILLER.length, FILLER.length);
}

function keysymOf(character) {
	return character === "\n" ? RETURN : keysyms.lookup(character.codePointAt(0));
}

/* From now on `press(keysym)` is called for what is written into the field. */
export function followTouchKeys(field, press) {
	let before = [...FILLER];

	field.addEventListener("focus", () => {
		refill(field);
		before = [...FILLER];
	});
	field.addEventListener("input", (event) => {
		const now = [...field.value];
		let same = 0;

		while (same < before.length && before[same] === now[same])
			same++;
		for (let i = same; i < before.length; i++)
			press(BACKSPACE);
		for (const character of now.slice(same))
			press(keysymOf(character));
		before = now;
		if (!event.isComposing && (now.length < FILLER.length / 2 || now.length > MOST)) {
			refill(field);
			before = [...FILLER];
		}
	});
}
