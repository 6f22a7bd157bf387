// What is switched and set. A wish is pending until the device reports it; the newest
// wish wins; what is refused says why, with Retry. One record a control, kept by its id.
"use strict";
(() => {
	const CONFIRM_MS = 10000; // for the report, once the device has the command
	const SAYING_MS = 6000;
	const ON_OFF = ["switch", "light", "fan", "siren"];
	const ACTS = {
		OPEN: ["open", "opening", "unlocked"],
		CLOSE: ["closed", "closing"],
		STOP: ["stopped", "open", "closed"],
	};
	const messages = document.querySelector(".messages");
	const dialog = document.querySelector(".ask");
	const token = document.querySelector('meta[name="csrf-token"]');
	const records = new Map();
	let held = null; // the slider under a finger
	let saying = 0;

	const labelOf = (e) => e.getAttribute("aria-label") ||
		`${e.closest("[aria-label]")?.getAttribute("aria-label") || ""} ${e.textContent}`.trim();
	const isSwitch = (e) => e.matches('[role="switch"]');
	const latestOf = (e) => structiot.latest.get(e.dataset.key);

	function idOf({ dataset: { key, field, reads, control, value } }) {
		return `${key}|${field || reads || ""}|${control === "act" ? value : ""}`;
	}

	function say(text) {
		messages.textContent = text;
		clearTimeout(saying);
		saying = setTimeout(() => (messages.textContent = ""), SAYING_MS);
	}

	// ---- what was reported, in the control's own words

	function reportedBy(element, { value, fields }) {
		const { field, reads, control } = element.dataset;
		let found = field || reads ? fields?.[field || reads] : value;
		if (!field && ON_OFF.includes(control)) found = fields?.state ?? value;
		if (found === null || found === undefined) return null;
		if (control === "lock") return ["locked", "locking"].includes(found) ? "LOCK" : "UNLOCK";
		if (isSwitch(element)) return found === true || String(found).toUpperCase() === "ON" ? "ON" : "OFF";
		if (control === "range") return Number(found) * (element.dataset.scale || 1);
		if (control === "color") {
			const hex = (part) => Math.round(part).toString(16).padStart(2, "0");
			return `#${hex(found.r)}${hex(found.g)}${hex(found.b)}`;
		}
		return String(found);
	}

	function isReported(element, wish, state) {
		if (state.state !== "live" && state.state !== "stale") return false;
		const { control, value } = element.dataset;
		if (control === "act") return (ACTS[value] || []).includes(state.value);
		if (element.type === "password") return false; // nobody reports a secret
		const told = reportedBy(element, state);
		if (control === "range") return told !== null && Math.abs(told - wish) <= element.step / 2;
		if (control === "lock" && String(state.value).endsWith("ing")) return false;
		return told === wish;
	}

	// ---- looks

	function disable(element, isAway) {
		if (isAway) element.setAttribute("aria-disabled", "true");
		else element.removeAttribute("aria-disabled");
	}

	function paint(element, state) {
		const record = records.get(idOf(element));
		const { dataset } = element;
		dataset.state = record?.isWaiting ? "pending" : record?.failure ? "failed" : state.state;
		if (state.at) dataset.at = state.at;
		disable(element, state.state === "unavailable");
		if (record?.isWaiting || element === held) return;
		const told = reportedBy(element, state);
		const isKnown = told !== null;
		if (isSwitch(element)) {
			if (isKnown) element.setAttribute("aria-checked", String(told !== "OFF" && told !== "UNLOCK"));
			const isPlain = ["switch", "lock"].includes(dataset.control) && !dataset.field;
			const word = isPlain || !isKnown ? state.text : told.toLowerCase();
			element.querySelector(".word").textContent = word;
		} else if (isKnown && document.activeElement !== element) element.value = told;
		else if (isKnown && dataset.control !== "text") element.value = told;
		if (dataset.control === "range") paintFigure(element, isKnown);
	}

	function paintFigure(element, isKnown = true) {
		const text = isKnown ? structiot.figureText(Number(element.value), element.dataset.unit) : "";
		element.setAttribute("aria-valuetext", text || "unknown");
		element.nextElementSibling.textContent = text || "–";
	}

	function report(element, state) {
		const record = records.get(idOf(element));
		// One that the device has rounded is confirmed by what it says afterwards.
		const isAnswer = record?.takenAt && state.at > record.takenAt && !isSwitch(element);
		if (record?.isWaiting && (isAnswer || isReported(element, record.wish, state))) settle(record, "");
		else paint(element, state);
	}

	document.addEventListener("structiot:values", ({ detail }) => {
		for (const record of records.values()) {
			const { element, isWaiting, wish } = record;
			if (!isWaiting || element.dataset.control !== "act") continue;
			const state = detail.get(element.dataset.key);
			if (state && isReported(element, wish, state)) settle(record, "");
		}
	});

	// ---- a wish, from the press to the report

	function want(element, wish) {
		const id = idOf(element);
		const record = records.get(id) || { id };
		records.set(id, record);
		record.element = element;
		if (record.isWaiting) record.next = wish === record.wish ? undefined : wish;
		else send(record, wish);
	}

	async function send(record, wish) {
		dismiss(record);
		Object.assign(record, { wish, next: undefined, isWaiting: true, takenAt: 0 });
		const round = (record.round = (record.round || 0) + 1);
		record.element.dataset.state = "pending";
		record.element.setAttribute("aria-busy", "true");
		const failure = await post(record.element.dataset.key, asSent(record.element, wish));
		if (!record.isWaiting || record.round !== round) return;
		if (failure) return settle(record, failure);
		const state = latestOf(record.element);
		const { control, value } = record.element.dataset;
		const isSilent = (control === "act" && !ACTS[value]) || record.element.type === "password";
		if (isSilent || (state && isReported(record.element, wish, state))) return settle(record, "");
		record.takenAt = Date.now() / 1000 - structiot.clockAhead;
		record.timer = setTimeout(settle, CONFIRM_MS, record, "The device has taken it, and has not reported it since.");
	}

	function asSent({ dataset: { field, control, scale } }, wish) {
		let value = wish;
		if (control === "range") value = wish / (scale || 1);
		if (control === "color") {
			const [r, g, b] = [1, 3, 5].map((at) => parseInt(wish.slice(at, at + 2), 16));
			value = { r, g, b };
		}
		if (!field) return value;
		return { [field]: field === "is_oscillating" ? wish === "ON" : value };
	}

	async function post(key, value, isAgain = false) {
		try {
			const answer = await fetch(`/api/set/${encodeURI(key)}`, {
				method: "POST",
				headers: { "Content-Type": "application/json", "X-CSRF-Token": token.content },
				body: JSON.stringify({ value }),
			});
			if (answer.ok) return "";
			if (answer.status === 403 && !isAgain) {
				const session = await fetch("/api/session", { cache: "no-store" });
				token.content = session.headers.get("X-CSRF-Token") || token.content;
				return post(key, value, true);
			}
			if (answer.status === 401) return "You are not signed in any more.";
			const told = await answer.json().catch(() => ({}));
			return told.error || `The gateway refused it (${answer.status}).`;
		} catch {
			return "The gateway cannot be reached.";
		}
	}

	function settle(record, failure) {
		clearTimeout(record.timer);
		const { element, next } = record;
		record.isWaiting = false;
		element.removeAttribute("aria-busy");
		const state = latestOf(element);
		if (next !== undefined) return send(record, next);
		if (failure) fail(record, failure);
		else records.delete(record.id);
		if (state && element.dataset.control !== "act") paint(element, state);
		else element.dataset.state = failure ? "failed" : "live";
		const isDone = element.dataset.control === "act" || !state;
		if (!failure) say(isDone ? `${labelOf(element)}: done` : `${labelOf(element)}: ${wordOf(element, state)}`);
	}

	function wordOf(element, state) {
		if (isSwitch(element)) return element.querySelector(".word").textContent;
		return element.getAttribute("aria-valuetext") || (element.type === "password" ? "set" : element.value || state.text);
	}

	// ---- failures

	function fail(record, sentence) {
		const { element, wish } = record;
		const alert = document.createElement("div");
		alert.className = "failure";
		alert.setAttribute("role", "alert");
		const text = document.createElement("p");
		text.textContent = `${labelOf(element)}: ${sentence}`;
		const button = (word, press) => {
			const made = document.createElement("button");
			made.type = "button";
			made.textContent = word;
			made.addEventListener("click", () => {
				record.element.focus();
				press();
			});
			return made;
		};
		alert.append(text, button("Retry", () => send(record, wish)), button("Dismiss", () => dismiss(record)));
		record.failure = alert;
		place(record);
	}

	function place({ element, failure }) {
		const row = element.closest(".row");
		if (row) row.append(failure);
		else element.closest(".card").append(failure);
	}

	function dismiss(record) {
		record.failure?.remove();
		record.failure = null;
		const state = latestOf(record.element);
		if (state && record.element.dataset.control !== "act") paint(record.element, state);
		else if (record.element.dataset.state === "failed") record.element.dataset.state = "live";
	}

	// ---- presses

	function isRefused(element) {
		if (element.getAttribute("aria-disabled") !== "true") return false;
		const why = element.closest(".card").querySelector(".reason:not([hidden]) span");
		say(`${labelOf(element)} is unavailable. ${why?.textContent || ""}`);
		const state = latestOf(element);
		if (element.matches("select, input")) element.value = element.dataset.before ?? element.value;
		if (state && element.dataset.control !== "act") paint(element, state);
		return true;
	}

	async function ask(question, verb) {
		dialog.querySelector("h2").textContent = question;
		dialog.querySelector(".go").textContent = verb;
		dialog.returnValue = "";
		dialog.showModal();
		await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
		return dialog.returnValue === "go";
	}

	async function press(element, wish, verb, question = `${verb} ${labelOf(element)}?`) {
		if (isRefused(element)) return;
		if (element.hasAttribute("data-confirm") && wish !== "LOCK" && !(await ask(question, verb))) {
			const state = latestOf(element);
			if (state && element.dataset.control !== "act") paint(element, state);
			return;
		}
		want(element, wish);
	}

	document.addEventListener("click", ({ target }) => {
		const element = target.closest("button[data-control]");
		if (!element) return;
		const { control, value } = element.dataset;
		if (control === "act") return press(element, value, element.textContent, `${labelOf(element)}?`);
		const record = records.get(idOf(element));
		const wished = record?.isWaiting ? record.next ?? record.wish : null;
		const isOn = wished ? ["ON", "LOCK"].includes(wished) : element.getAttribute("aria-checked") === "true";
		if (control === "lock") press(element, isOn ? "UNLOCK" : "LOCK", isOn ? "Unlock" : "Lock");
		else press(element, isOn ? "OFF" : "ON", isOn ? "Switch off" : "Switch on");
	});

	document.addEventListener("input", ({ target }) => {
		if (target.dataset.control !== "range") return;
		held = target;
		paintFigure(target);
	});

	const setTo = (element, wish, text) => press(element, wish, "Set", `Set ${labelOf(element)} to ${text}?`);

	document.addEventListener("change", ({ target }) => {
		const { control } = target.dataset;
		if (target === held) held = null;
		if (control === "range") setTo(target, Number(target.value), target.getAttribute("aria-valuetext"));
		else if ((control === "select" && target.value) || control === "color") setTo(target, target.value, target.value);
	});

	// A finger that leaves without a change holds nothing any more.
	for (const name of ["pointerup", "pointercancel"]) {
		addEventListener(name, () => setTimeout(() => {
			const left = held;
			held = null;
			const state = left && latestOf(left);
			if (state) paint(left, state);
		}));
	}

	document.addEventListener("submit", (event) => {
		const input = event.target.querySelector('[data-control="text"]');
		if (!input) return;
		event.preventDefault();
		setTo(input, input.value, input.type === "password" ? "this" : input.value);
		if (input.type === "password") input.value = "";
	});

	document.addEventListener("structiot:replaced", () => {
		for (const record of records.values()) {
			const all = document.querySelectorAll(`[data-key="${CSS.escape(record.element.dataset.key)}"][data-control]`);
			const element = [...all].find((one) => idOf(one) === record.id);
			if (!element) continue;
			record.element = element;
			if (record.isWaiting) element.setAttribute("aria-busy", "true");
			element.dataset.state = record.isWaiting ? "pending" : record.failure ? "failed" : element.dataset.state;
			if (record.failure) place(record);
		}
	});

	structiot.controls = { report, disable, isHeld: () => held !== null };
})();
