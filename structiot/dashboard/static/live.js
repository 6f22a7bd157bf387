// Keeps what the server has rendered fresh.
const SILENT_MS = 25000; // then the stream is dead
const DOUBT_MS = 12000; // sooner, back on the page or on the net
const HIDDEN_MS = 60000; // then a hidden tab gives it back
const RENEW_MS = 60000; // what no stream carries
const { find, all, make, hear } = structiot;
const { body } = document;
const status = find(".connection");
const latest = new Map(); // what was said last, by key
const shownAt = new Map(); // elements, by key
const awaited = new Map(); // what is not shown yet
const others = new Set(); // devices with other cards
let source, timer, renewing, heardAt, hiddenAt;
let waitMs = 1000;

function collect() {
	shownAt.clear();
	for (const element of all("data[data-key], [data-control]")) {
		const { key } = element.dataset;
		shownAt.set(key, [...(shownAt.get(key) || []), element]);
	}
}

function take(told) {
	if (!awaited.size) requestAnimationFrame(show);
	for (const [key, state] of Object.entries(told)) {
		latest.set(key, state);
		awaited.set(key, state);
	}
}

function show() {
	const batch = new Map(awaited);
	awaited.clear();
	const isCalm = batch.size < 50;
	for (const [key, state] of batch) {
		for (const element of shownAt.get(key) || []) {
			if (element.dataset.control) structiot.report(element, state);
			else showValue(element, state, isCalm);
			showAge(element, state);
		}
	}
	structiot.grow?.(batch);
}

function showValue(element, { value, text, state, at, fields }, isCalm) {
	const { dataset } = element;
	const told = dataset.field && fields ? fields[dataset.field] : value;
	const words = !dataset.field || !fields ? text : dataset.unit && told !== null ? structiot.figureText(told, dataset.unit) : told ?? "–";
	if (element.textContent !== words) {
		element.textContent = words;
		if (isCalm) element.animate([{ opacity: 0.5 }, { opacity: 1 }], 150);
	}
	element.value = told ?? "";
	dataset.at = at ?? "";
	if (dataset.state === state) return;
	dataset.state = state;
	element.role = state === "unknown" ? "img" : null;
	element.ariaLabel = state === "unknown" ? state : null;
}

// How old it is: what is stale, and what has happened.
function showAge(element, { state, at }) {
	const { field, reads, value, event } = element.dataset;
	const place = element.type === "range" ? element.nextElementSibling : element;
	let age = place.nextElementSibling?.matches(".age") ? place.nextElementSibling : null;
	if (field || reads || value || !at || !(state === "stale" || (state === "live" && event))) return age?.remove();
	if (!age) place.after((age = make("small", { className: "age" })));
	age.dataset.since = at;
	showAges([age]);
}

function showAges(ages = all(".age")) {
	for (const age of ages) age.textContent = structiot.ago(age.dataset.since);
}

function renew(devices = []) {
	for (const device of devices) others.add(device);
	renewing ||= setTimeout(fetchAnew, 500);
}

async function fetchAnew() {
	renewing = null;
	if (structiot.isHeld()) return renew();
	const answer = await fetch(location.pathname + location.search).catch(() => null);
	if (!answer?.ok || answer.redirected) return; // the stream says what is wrong
	const page = new DOMParser().parseFromString(await answer.text(), "text/html");
	const places = (root) => all("h2, .card", root).map((one) => one.dataset.device || one.textContent).join();
	const isMoved = places(document) !== places(page);
	for (const part of all("[data-part]")) {
		const cards = part.matches(".card") ? [part] : all(".card", part);
		if (!isMoved && cards.length) for (const card of cards) freshen(card, page);
		else replace(part, find(`[data-part="${part.dataset.part}"]`, page));
	}
	others.clear();
	collect();
	document.dispatchEvent(new Event("renewed"));
}

function freshen(card, page) {
	const name = card.dataset.device;
	const other = find(`.card[data-device="${CSS.escape(name)}"]`, page);
	if (others.has(name)) return replace(card, other);
	const [line, fresh] = [card, other].map((one) => one && find(".spark", one));
	if (line && fresh) line.replaceWith(fresh);
}

// In its place, with the focus where it was and what was open.
function replace(part, other) {
	if (!other) return;
	const held = part.contains(document.activeElement) && document.activeElement;
	const opened = all("details", part).map((one) => one.open);
	all("details", other).forEach((one, i) => (one.open = opened[i] ?? one.open));
	part.replaceWith(other);
	const marks = ({ href, dataset: { key, field, value } }) => [href, key, field, value].join();
	if (held) all(held.tagName, other).find((one) => marks(one) === marks(held))?.focus({ preventScroll: true });
}

function setConnection(state) {
	if (state === body.dataset.connection) return;
	body.dataset.connection = state;
	status.textContent = state[0].toUpperCase() + state.slice(1);
	if (state === "live") return;
	if (state === "stopped") {
		const href = `/login?next=${encodeURIComponent(location.pathname)}`;
		status.append(": ", make("a", { href, textContent: "Sign in" }));
	}
	// Nobody knows any more whether it is still so.
	for (const element of [...shownAt.values()].flat()) {
		if (element.dataset.state !== "live" || element.dataset.value) continue;
		element.dataset.state = "stale";
		showAge(element, { state: "stale", at: element.dataset.at });
	}
}

function close() {
	clearTimeout(timer);
	source?.close();
	source = null;
}

function open() {
	close();
	if (body.dataset.connection === "stopped") return;
	heardAt = performance.now();
	source = new EventSource(body.dataset.stream);
	source.onerror = lost;
	const on = (kind, act) => source.addEventListener(kind, ({ data }) => {
		heardAt = performance.now();
		act?.(JSON.parse(data));
	});
	on("snapshot", (told) => {
		waitMs = 1000;
		setConnection("live");
		take(told);
	});
	on("state", take);
	on("structure", ({ devices }) => renew(devices));
	on("ping");
}

// EventSource gives up for ever where an answer is not 200, and hides which it was.
async function lost() {
	close();
	setConnection("reconnecting");
	timer = setTimeout(open, waitMs);
	waitMs = Math.min(waitMs * 1.6, 15000);
	const answer = await fetch("/api/session", { cache: "no-store" }).catch(() => null);
	if (answer?.status !== 401) return;
	close();
	setConnection("stopped");
}

function doubt() {
	hiddenAt = document.hidden ? performance.now() : Infinity;
	if (document.hidden || (source && performance.now() - heardAt < DOUBT_MS)) return;
	if (source) setConnection("reconnecting");
	waitMs = 1000;
	open();
}

hear("visibilitychange", doubt);
addEventListener("online", doubt);
addEventListener("pageshow", doubt);
addEventListener("pagehide", close);
setInterval(() => {
	if (performance.now() - hiddenAt > HIDDEN_MS) close();
	else if (source && performance.now() - heardAt > SILENT_MS) lost();
}, 1000);
setInterval(() => document.hidden || showAges(), 10000);
setInterval(() => document.hidden || !source || renew(), RENEW_MS);
find(".skip").addEventListener("click", (event) => {
	event.preventDefault(); // the fragment is the search's
	find("main").focus();
});
Object.assign(structiot, { latest, renew });
collect();
