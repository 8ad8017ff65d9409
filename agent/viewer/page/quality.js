/* How good the connection is: how long the viewer takes to answer, on the same stream as the pictures and
 * behind those that are on their way. The answer that does not come is also what tells of a network that
 * has broken without a word. */
const PING_MS = 2000;
const LATE_MS = 5000; // from then on it is said that nothing comes
const LOST_MS = 15000;
const KEPT = 5; // the middle one of so many counts, or the word would change all the time
const WORDS = [[100, "Good"], [250, "Fair"], [Infinity, "Poor"]];

export class Quality {
	/* `send(number)` has the viewer say it back; `show(word, ms)`: ms is null while no answer comes;
	 * `lost()`: it is not to be hoped for any more. */
	constructor({send, show, lost}) {
		Object.assign(this, {send, show, lost, timer: 0});
	}

	start() {
		this.stop();
		this.times = [];
		this.asked = null;
		this.timer = setInterval(() => this.tick(), PING_MS);
		this.tick();
	}

	stop() {
		clearInterval(this.timer);
	}

	/* One question at a time: of a window that is not looked at ticks are rare. */
	tick() {
		const now = Math.round(performance.now());

		if (this.asked === null) {
			this.asked = now;
			this.send(now);
		} else if (now - this.asked >= LOST_MS) {
			this.lost();
		} else if (now - this.asked >= LATE_MS) {
			this.show("No answer", null);
		}
	}

	heard(number) {
		if (number !== this.asked)
			return;
		this.asked = null;
		this.times = [...this.times.slice(1 - KEPT), Math.max(1, performance.now() - number)];
		const ms = [...this.times].sort((a, b) => a - b)[this.times.length >> 1];

		this.show(WORDS.find(([least]) => ms < least)[1], Math.round(ms));
	}
}
