// What is switched and set: pending until the device reports it.
const CONFIRM_MS = 10000;
const ACTS = { OPEN: ["open", "opening", "unlocked"], CLOSE: ["closed", "closing"], STOP: ["stopped", "open", "closed"] };
const { find, all, hear } = structiot;
const messages = find(".messages");
const dialog = find(".ask");
const token = find('meta[name="csrf-token"]');
const records = new Map(); // of a control, by its id
let held = null; // the slider under a finger
let saying;

const idOf = ({ dataset: { key, field, value } }) => `${key} ${field} ${value}`;
const isAct = (element) => element.matches(".act");
const isSwitch = (element) => element.role === "switch";
const stateOf = (element) => structiot.latest.get(element.dataset.key);
const placeOf = (element) => element.closest(".row, .card");
const labelOf = (element) => element.ariaLabel || `${element.closest("[aria-label]").ariaLabel} ${element.textContent}`;
const ownerOf = (element) => labelOf(element).slice(0, -element.textContent.length).trim() || labelOf(element);

function say(text) {
	messages.textContent = text;
	clearTimeout(saying);
	saying = setTimeout(say, text ? 6000 : 1e9, "");
}

function reportedBy(element, { value, fields }) {
	const { field, reads, control, scale } = element.dataset;
	let told = value;
	if (field || reads) told = fields?.[field || reads];
	else if (isSwitch(element) && fields) told = fields.state;
	if (told === null || told === undefined) return null;
	if (control === "lock") return { locked: "LOCK", unlocked: "UNLOCK" }[told] ?? null;
	if (isSwitch(element)) return /^(on|true)$/i.test(told) ? "ON" : "OFF";
	if (control === "range") return told * (scale || 1);
	if (control === "color") return `#${["r", "g", "b"].map((part) => told[part].toString(16).padStart(2, "0")).join("")}`;
	return String(told);
}

function isReported(element, wish, state) {
	if (!["live", "stale"].includes(state?.state)) return false;
	if (isAct(element)) return ACTS[wish]?.includes(state.value);
	const told = reportedBy(element, state);
	return element.type === "range" ? told !== null && Math.abs(told - wish) <= element.step / 2 : told === wish;
}

function paint(element, state = stateOf(element)) {
	const { isWaiting, failure } = records.get(idOf(element)) || {};
	const { dataset } = element;
	const plain = state?.state || (element.ariaDisabled ? "unavailable" : "live");
	dataset.state = isWaiting ? "pending" : failure ? "failed" : plain;
	element.ariaBusy = isWaiting || null;
	if (!state) return;
	element.ariaDisabled = state.state === "unavailable" || null;
	dataset.at = state.at ?? "";
	const told = reportedBy(element, state);
	if (isSwitch(element)) {
		if (told) element.ariaChecked = told === "ON" || told === "LOCK";
		const isPlain = !told || state.state === "unavailable" || dataset.control === "lock";
		find(".word", element).textContent = isPlain ? state.text : told.toLowerCase();
	} else if (!isAct(element) && !isWaiting && element !== held && told !== null) {
		if (element.type !== "text" || element !== document.activeElement) element.value = told;
		if (element.type === "range") paintFigure(element);
	}
}

function paintFigure(element) {
	element.ariaValueText = structiot.figureText(Number(element.value), element.dataset.unit);
	element.nextElementSibling.textContent = element.ariaValueText;
}

structiot.report = (element, state) => {
	const record = records.get(idOf(element));
	// What a device has rounded is confirmed by what it says afterwards.
	const isAnswer = record?.takenAt < state.at && !isSwitch(element);
	if (record?.isWaiting && (isAnswer || isReported(element, record.wish, state))) settle(record);
	else paint(element, state);
};

function want(element, wish) {
	const id = idOf(element);
	const record = records.get(id) || { id, round: 0 };
	records.set(id, record);
	record.element = element;
	if (record.isWaiting) record.next = wish === record.wish ? undefined : wish;
	else send(record, wish);
}

async function send(record, wish) {
	record.failure?.remove();
	Object.assign(record, { wish, next: undefined, isWaiting: true, failure: null, takenAt: Infinity });
	const round = ++record.round;
	const { element } = record;
	paint(element);
	const failure = await post(element.dataset.key, asSent(element.dataset, wish));
	if (!record.isWaiting || record.round !== round) return;
	const isSilent = (isAct(element) && !ACTS[wish]) || element.type === "password";
	if (failure || isSilent || isReported(element, wish, stateOf(element))) return settle(record, failure);
	record.takenAt = structiot.now();
	record.timer = setTimeout(settle, CONFIRM_MS, record, "It was taken, but not reported.");
}

function asSent({ field, control, scale }, wish) {
	let value = control === "range" ? wish / (scale || 1) : wish;
	if (control === "color") {
		const [r, g, b] = [1, 3, 5].map((at) => parseInt(wish.slice(at, at + 2), 16));
		value = { r, g, b };
	}
	return field ? { [field]: value } : value;
}

async function post(key, value, isAgain) {
	try {
		const answer = await fetch(`/api/set/${key}`, {
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
		return (await answer.json().catch(() => ({}))).error || `The gateway answers ${answer.status}.`;
	} catch {
		return "The gateway cannot be reached.";
	}
}

function settle(record, failure) {
	clearTimeout(record.timer);
	const { element, next } = record;
	record.isWaiting = false;
	if (next !== undefined) return send(record, next);
	if (failure) fail(record, failure);
	else records.delete(record.id);
	paint(element);
	if (!failure) say(`${labelOf(element)}: ${find(".word", element)?.textContent || element.ariaValueText || "done"}`);
}

function fail(record, sentence) {
	const alert = (record.failure = find(".failure", find("template").content).cloneNode(true));
	find("p", alert).textContent = `${labelOf(record.element)}: ${sentence}`;
	alert.onclick = ({ target }) => {
		if (target.type !== "button") return;
		record.element.focus();
		if (target.matches(".retry")) return send(record, record.wish);
		alert.remove();
		records.delete(record.id);
		paint(record.element);
	};
	placeOf(record.element).append(alert);
}

function ask(question, verb) {
	find("h2", dialog).textContent = question;
	find(".go", dialog).textContent = verb;
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((done) => (dialog.onclose = () => done(dialog.returnValue === "go")));
}

async function press(element, wish, verb, what = labelOf(element)) {
	if (element.ariaDisabled) {
		const why = find(".reason:not([hidden])", element.closest(".card"))?.textContent ?? "";
		say(`${labelOf(element)} is unavailable. ${why}`);
	} else if (!("confirm" in element.dataset) || wish === "LOCK" || (await ask(`${verb} ${what}?`, verb))) return want(element, wish);
	paint(element);
}

function set(element) {
	const { type, value, ariaValueText } = element;
	const text = type === "password" ? "this" : ariaValueText || value;
	press(element, value, "Set", `${labelOf(element)} to ${text}`);
}

hear("click", ({ target }) => {
	const element = target.closest("button[data-control]");
	if (!element) return;
	const { control, value } = element.dataset;
	if (isAct(element)) return press(element, value, element.textContent, ownerOf(element));
	const { isWaiting, next, wish } = records.get(idOf(element)) || {};
	const isOn = isWaiting ? ["ON", "LOCK"].includes(next ?? wish) : element.ariaChecked === "true";
	if (control === "lock") press(element, isOn ? "UNLOCK" : "LOCK", isOn ? "Unlock" : "Lock");
	else press(element, isOn ? "OFF" : "ON", isOn ? "Switch off" : "Switch on");
});

hear("input", ({ target }) => {
	if (!target.matches("[type=range]")) return;
	held = target;
	paintFigure(target);
});

hear("change", ({ target }) => {
	held = null;
	if (target.matches("select[data-control], [type=range], [type=color]") && target.value) set(target);
});

hear("submit", (event) => {
	const input = find("[data-control]", event.target);
	if (!input) return;
	event.preventDefault();
	set(input);
	if (input.type === "password") input.value = "";
});

hear("renewed", () => {
	for (const element of records.size ? all("[data-control]") : []) {
		const record = records.get(idOf(element));
		if (!record || record.element === element) continue;
		record.element = element;
		if (record.failure) placeOf(element).append(record.failure);
		paint(element);
	}
});

structiot.isHeld = () => held !== null;
