// Keeps what the server has rendered fresh: one stream, one batch a frame, changed keys
// alone. It tells others on document: structiot:values, structiot:replaced.
"use strict";
(() => {
	const SILENT_MS = 25000; // after so much silence the stream is dead
	const DOUBT_MS = 12000; // back on the page or on the net: sooner
	const HIDDEN_MS = 60000; // a hidden tab gives its stream back
	const RENEW_MS = 60000; // what no stream carries
	const WORDS = { live: "Live", reconnecting: "Reconnecting", stopped: "Stopped: " };
	const { body } = document;
	const status = document.querySelector(".connection");
	const latest = new Map(); // what the gateway said last, by key
	const shownAt = new Map(); // the elements of a key
	const awaited = new Map(); // what is not shown yet
	const others = new Set(); // devices whose cards are others now
	let source, timer, heardAt, hiddenAt;
	let waitMs = 1000;
	let renewing = 0;

	function collect() {
		shownAt.clear();
		for (const element of document.querySelectorAll("[data-at], data[data-key], [data-control]:not(.act)")) {
			const { key } = element.dataset;
			shownAt.set(key, [...(shownAt.get(key) || []), element]);
		}
	}

	// ---- values

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
		const isCalm = batch.size < 50 && !matchMedia("(prefers-reduced-motion: reduce)").matches;
		for (const [key, state] of batch) {
			for (const element of shownAt.get(key) || []) {
				if (element.dataset.control) structiot.report(element, state);
				else showValue(element, state, isCalm);
				showAge(element, state);
			}
		}
		document.dispatchEvent(new CustomEvent("structiot:values", { detail: batch }));
	}

	function showValue(element, { value, text, state, at, fields }, isCalm) {
		const { dataset } = element;
		const { field, unit } = dataset;
		const told = fields?.[field];
		const words = !field || !fields ? text : typeof told === "number" ? structiot.figureText(told, unit) : told ?? "–";
		if (element.textContent !== words) {
			element.textContent = words;
			if (isCalm) element.animate([{ opacity: 0.5 }, { opacity: 1 }], 150);
		}
		element.value = (field ? told : value) ?? "";
		dataset.at = at ?? "";
		if (dataset.state === state) return;
		dataset.state = state;
		element.role = state === "unknown" ? "img" : null;
		element.ariaLabel = state === "unknown" ? "unknown" : null;
	}

	// In words how old it is: of what is stale, and of what has happened.
	function showAge(element, { state, at }) {
		const { field, reads, event } = element.dataset;
		const place = element.type === "range" ? element.nextElementSibling : element;
		let age = place.nextElementSibling?.matches(".age") ? place.nextElementSibling : null;
		if (field || reads || !at || !(state === "stale" || (state === "live" && event))) return age?.remove();
		if (!age) place.after((age = document.createElement("small")));
		age.className = "age";
		age.dataset.since = at;
		age.textContent = structiot.ago(at);
	}

	function showAges() {
		for (const age of document.querySelectorAll(".age")) age.textContent = structiot.ago(age.dataset.since);
	}

	// ---- the page itself, anew

	function renewSoon(devices) {
		for (const device of devices) others.add(device);
		renewing ||= setTimeout(renew, 500);
	}

	async function renew() {
		renewing = 0;
		if (structiot.isHeld()) return renewSoon([]);
		let page;
		try {
			const answer = await fetch(location.pathname + location.search);
			if (!answer.ok || answer.redirected) return;
			page = new DOMParser().parseFromString(await answer.text(), "text/html");
		} catch {
			return; // the stream says what is wrong
		}
		const places = (one) => [...one.querySelectorAll("h2, .card h3")].map((at) => at.textContent).join("\n");
		const isMoved = places(document) !== places(page);
		for (const part of document.querySelectorAll("[data-part]")) {
			const cards = [part, ...part.querySelectorAll(".card")].filter((one) => one.matches(".card"));
			if (!isMoved && cards.length) for (const card of cards) freshen(card, page);
			else replace(part, page.querySelector(`[data-part="${part.dataset.part}"]`));
		}
		others.clear();
		collect();
		document.dispatchEvent(new Event("structiot:replaced"));
	}

	function freshen(card, page) {
		const name = card.dataset.device;
		const other = page.querySelector(`.card[data-device="${CSS.escape(name)}"]`);
		if (other && others.has(name)) return replace(card, other);
		const line = other?.querySelector(".spark path")?.getAttribute("d");
		if (line) card.querySelector(".spark path")?.setAttribute("d", line);
	}

	// In its place, with the focus where it was and what was open.
	function replace(part, other) {
		if (!other) return;
		const held = part.contains(document.activeElement) ? document.activeElement : null;
		const opened = [...part.querySelectorAll("details")].map((one) => one.open);
		other.querySelectorAll("details").forEach((one, i) => (one.open = opened[i] ?? one.open));
		part.replaceWith(other);
		const marks = (one) => [one.href, one.name, one.value, ...Object.values(one.dataset).slice(0, 1), one.dataset.field].join();
		if (held) [...other.querySelectorAll(held.tagName)].find((one) => marks(one) === marks(held))?.focus({ preventScroll: true });
	}

	// ---- the stream

	function setConnection(state) {
		if (state === body.dataset.connection && status.textContent) return;
		body.dataset.connection = state;
		status.textContent = WORDS[state];
		if (state === "live") return;
		if (state === "stopped") {
			const href = `/login?next=${encodeURIComponent(location.pathname)}`;
			status.append(Object.assign(document.createElement("a"), { href, textContent: "Sign in" }));
		}
		// Nobody knows any more whether it is still so.
		for (const element of [...shownAt.values()].flat()) {
			if (element.dataset.state !== "live") continue;
			element.dataset.state = "stale";
			showAge(element, { state: "stale", at: element.dataset.at });
		}
	}

	function close() {
		clearTimeout(timer);
		source?.close();
		source = timer = null;
	}

	function open() {
		close();
		if (body.dataset.connection === "stopped") return;
		source = new EventSource(body.dataset.stream);
		const on = (name, act) => source.addEventListener(name, (event) => {
			heardAt = performance.now();
			act?.(event.data && JSON.parse(event.data));
		});
		heardAt = performance.now();
		source.onerror = lost;
		on("snapshot", (told) => {
			waitMs = 1000;
			setConnection("live");
			take(told);
		});
		on("state", take);
		on("ping");
		on("structure", ({ devices }) => renewSoon(devices));
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

	document.addEventListener("visibilitychange", doubt);
	addEventListener("online", doubt);
	addEventListener("pageshow", doubt);
	addEventListener("pagehide", close);
	setInterval(() => {
		if (performance.now() - hiddenAt > HIDDEN_MS) close();
		else if (source && performance.now() - heardAt > SILENT_MS) lost();
	}, 1000);
	setInterval(() => document.hidden || showAges(), 10000);
	setInterval(() => document.hidden || !source || renewSoon([]), RENEW_MS);
	document.querySelector(".skip").addEventListener("click", (event) => {
		event.preventDefault(); // the fragment is the search's
		document.querySelector("main").focus();
	});
	Object.assign(structiot, { latest, renew: () => renewSoon([]) });
	status.textContent = WORDS[body.dataset.connection];
	collect();
})();
