/* Who is in the session. */

/* The persons in the viewer's list, each once: somebody may be there with several windows. */
export function personsIn(list) {
	const persons = new Map();

	for (const {user, owner, you} of list) {
		const person = persons.get(user) || {user, owner, you: false, n: 0};

		person.you ||= you;
		person.n++;
		persons.set(user, person);
	}
	return [...persons.values()];
}

export function describe({user, owner, you, n}) {
	const notes = [owner && "owner", you && "you", n > 1 && n + " windows"].filter(Boolean);

	return user + (notes.length ? " (" + notes.join(", ") + ")" : "");
}

/* Who has come, and who has left: a sentence, "" if nobody. */
export function difference(before, now) {
	const names = (persons) => persons.map((person) => person.user);
	const without = (some, others) => names(some).filter((name) => !names(others).includes(name));

	return [...without(now, before).map((name) => name + " is here now"),
		...without(before, now).map((name) => name + " has left")].join(", ");
}
