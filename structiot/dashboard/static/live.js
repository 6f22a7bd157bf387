// Keeps what the server has rendered fresh: one stream, one batch a frame, changed keys
// alone. Tells others by events on document: structiot:values, structiot:replaced.
"use strict";
(() => {
	const SILENT_MS = 25000; // after that much silence the stream is dead
	const DOUBT_MS = 12000; // back on the page or on the net: dead sooner
	const HIDDEN_MS = 60000; // a hidden tab gives its stream back
	const MINUTE_MS = 60000;
	const body = document.body;
	const status = document.querySelector(".connection");
	const latest = new Map(); // what the gateway said last, by key
	const elements = new Map(); // where it is shown, by key
	const awaited = new Map(); // what is not shown yet
	let source = null;
	let heardAt = performance.now();
	let waitMs = 1000;
	let hiddenAt = 0;
	let timer = 0;
	let frame = 0;
	let wasLive = false;

	function collect() {
		elements.clear();
		for (const element of document.querySelectorAll("[data-key][data-state]")) {
			const { key, control } = element.dataset;
			if (control === "act") continue;
			if (!elements.has(key)) elements.set(key, []);
			elements.get(key).push(element);
		}
	}

	// ---- values

	function take(told) {
		for (const [key, state] of Object.entries(told)) {
			latest.set(key, state);
			awaited.set(key, state);
		}
		if (!frame) frame = requestAnimationFrame(show);
	}

	function show() {
		frame = 0;
		const isCalm = awaited.size < 50 && !matchMedia("(prefers-reduced-motion: reduce)").matches;
		for (const [key, state] of awaited) {
			for (const element of elements.get(key) || []) {
				if (element.matches("data")) showValue(element, state, isCalm);
				else structiot.controls.report(element, state);
				showAge(element, state);
			}
		}
		document.dispatchEvent(new CustomEvent("structiot:values", { detail: new Map(awaited) }));
		awaited.clear();
	}

	function showValue(element, { value, text, state, at }, isCalm) {
		const { dataset } = element;
		if (element.textContent !== text) {
			element.textContent = text;
			if (isCalm) element.animate([{ opacity: 0.5 }, { opacity: 1 }], 150);
		}
		element.value = value ?? "";
		if (dataset.state !== state) {
			dataset.state = state;
			if (state === "unknown") {
				element.setAttribute("role", "img");
				element.setAttribute("aria-label", "unknown");
			} else {
				element.removeAttribute("role");
				element.removeAttribute("aria-label");
			}
		}
		if (at) dataset.at = at;
	}

	// In words how old it is: of what is stale, and of what has happened.
	function showAge(element, { state, at }) {
		if (element.dataset.field || element.dataset.reads) return;
		const isEvent = element.hasAttribute("data-event");
		let age = element.nextElementSibling;
		if (!age?.matches(".age")) age = null;
		if (state === "stale" || (isEvent && state === "live")) {
			if (!age) {
				age = document.createElement("small");
				age.className = "age";
				element.after(age);
			}
			age.textContent = at ? structiot.ago(at) : "";
		} else age?.remove();
	}

	function showAges() {
		for (const age of document.querySelectorAll(".age")) {
			const { at } = age.previousElementSibling.dataset;
			if (at) age.textContent = structiot.ago(Number(at));
		}
	}

	// ---- the page itself, anew: the cards that are others, and what no stream carries

	const others = new Set();
	let renewing = 0;
	function renewSoon(devices) {
		for (const device of devices) others.add(device);
		renewing ||= setTimeout(renew, 500);
	}

	async function renew() {
		renewing = 0;
		if (structiot.controls.isHeld()) return renewSoon([]);
		let fresh;
		try {
			const answer = await fetch(location.pathname + location.search);
			if (!answer.ok || answer.redirected) return;
			fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
		} catch {
			return; // The stream says what is wrong with the connection.
		}
		const places = (page) => [...page.querySelectorAll(".card[data-device], .group > h2")]
			.map((one) => one.dataset.device || one.textContent).join("\n");
		const isMoved = places(document) !== places(fresh);
		for (const part of document.querySelectorAll("[data-part]")) {
			if (!isMoved && part.querySelector(".card")) part.querySelectorAll(".card").forEach(freshen);
			else if (part.matches(".card")) freshen(part);
			else replace(part, fresh.querySelector(`[data-part="${part.dataset.part}"]`));
		}
		others.clear();
		collect();
		document.dispatchEvent(new Event("structiot:replaced"));

		function freshen(card) {
			const name = card.dataset.device;
			const other = fresh.querySelector(`.card[data-device="${CSS.escape(name)}"]`);
			if (!other) return;
			if (others.has(name)) return replace(card, other);
			const line = other.querySelector(".spark path")?.getAttribute("d");
			if (line) card.querySelector(".spark path")?.setAttribute("d", line);
		}
	}

	// In its place, with the focus where it was and what was open.
	function replace(part, other) {
		if (!other) return;
		const held = part.contains(document.activeElement) ? document.activeElement : null;
		const opened = [...part.querySelectorAll("details")].map((one) => one.open);
		other.querySelectorAll("details").forEach((one, i) => (one.open = opened[i] ?? one.open));
		other.hidden = part.hidden;
		part.replaceWith(other);
		if (!held) return;
		const marks = (e) => [e.tagName, e.getAttribute("href"), e.dataset.key, e.dataset.field, e.dataset.value].join();
		const same = [...other.querySelectorAll(held.tagName)].find((one) => marks(one) === marks(held));
		same?.focus({ preventScroll: true });
	}

	// ---- the stream

	function setConnection(state) {
		if (body.dataset.connection === state && wasLive) return;
		body.dataset.connection = state;
		status.textContent = { live: "Live", reconnecting: "Reconnecting", stopped: "Stopped" }[state];
		if (state === "live") {
			wasLive = true;
			return;
		}
		if (state === "stopped") {
			const link = document.createElement("a");
			link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
			link.textContent = "Sign in";
			status.append(": ", link);
		}
		// Nobody knows any more whether it is still so.
		for (const shown of elements.values()) {
			for (const element of shown) {
				if (element.dataset.state !== "live") continue;
				element.dataset.state = "stale";
				showAge(element, { state: "stale", at: Number(element.dataset.at) });
			}
		}
	}

	function heard() {
		heardAt = performance.now();
	}

	function open() {
		close();
		if (body.dataset.connection === "stopped") return;
		heard();
		source = new EventSource(body.dataset.stream);
		source.onopen = heard;
		source.onerror = lost;
		source.addEventListener("snapshot", (event) => {
			heard();
			waitMs = 1000;
			setConnection("live");
			take(JSON.parse(event.data));
		});
		source.addEventListener("state", (event) => {
			heard();
			take(JSON.parse(event.data));
		});
		source.addEventListener("ping", heard);
		source.addEventListener("structure", (event) => {
			heard();
			renewSoon(JSON.parse(event.data).devices);
		});
	}

	function close() {
		clearTimeout(timer);
		timer = 0;
		source?.close();
		source = null;
	}

	// EventSource gives up for ever where an answer is not 200, and hides which it was.
	async function lost() {
		close();
		setConnection("reconnecting");
		const wait = waitMs;
		waitMs = Math.min(waitMs * 1.6, 15000);
		timer = setTimeout(open, wait);
		try {
			const { status: code } = await fetch("/api/session", { cache: "no-store" });
			if (code === 401) {
				close();
				setConnection("stopped");
			}
		} catch {
			// It is away; the next attempt comes by itself.
		}
	}

	function doubt() {
		if (document.hidden || body.dataset.connection === "stopped") return;
		if (!source && !timer) open();
		else if (performance.now() - heardAt > DOUBT_MS) {
			setConnection("reconnecting");
			waitMs = 1000;
			open();
		}
	}

	document.addEventListener("visibilitychange", () => {
		hiddenAt = document.hidden ? performance.now() : 0;
		doubt();
	});
	addEventListener("online", doubt);
	addEventListener("pageshow", ({ persisted }) => persisted && doubt());
	addEventListener("pagehide", close);

	setInterval(() => {
		const now = performance.now();
		if (document.hidden && now - hiddenAt > HIDDEN_MS) close();
		else if (source && now - heardAt > SILENT_MS) lost();
	}, 1000);
	setInterval(() => document.hidden || showAges(), 10000);
	setInterval(() => document.hidden || !source || renewSoon([]), MINUTE_MS);

	document.querySelector(".skip").addEventListener("click", (event) => {
		event.preventDefault(); // the fragment is the search's
		document.querySelector("main").focus();
	});

	structiot.latest = latest;
	structiot.showAges = showAges;
	collect();
	// Controls and charts listen from now on.
	addEventListener("DOMContentLoaded", open);
})();
