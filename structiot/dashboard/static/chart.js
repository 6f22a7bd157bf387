// The history of one device: which series, from when to when, and the newest as it comes.
"use strict";
(() => {
	const SPANS = { hour: 3600, day: 86400, month: 30 * 86400, year: 365 * 86400 };
	const LEAST_S = 60;
	const MOST_POINTS = 1000;
	const RENEW_MS = 300000;
	const figure = document.querySelector("figure[data-key]");
	const cursor = document.querySelector(".cursor");
	const caption = figure.querySelector("figcaption");
	const table = document.querySelector("details.table");
	const choices = document.querySelector("select.series");
	const later = document.querySelector('[data-move="later"]');
	const now = () => Date.now() / 1000 - structiot.clockAhead;
	const view = { from: 0, to: 0, range: "day", isLive: true };
	let chart = null;
	let course = null;
	let asking = null;
	let texts = null;
	let drawnAt = 0;
	let due = 0;

	const isA = (kind) => figure.dataset[kind] !== undefined;
	const isSwitch = () => isA("step") && !texts;
	const decimals = () => (isA("decimals") ? Number(figure.dataset.decimals) : undefined);

	function text(value, unit = figure.dataset.unit) {
		if (value === null || value === undefined) return "no data";
		if (texts) return texts[Math.round(value)] ?? "";
		if (isSwitch()) return value > 0.5 ? "on" : value < 0.5 ? "off" : "partly on";
		return structiot.figureText(value, unit, decimals());
	}

	// ---- what is shown, in words

	function summary() {
		const { name, deviceName } = figure.dataset;
		const title = `${name} of ${deviceName}${view.range ? `, ${view.range}` : ""}`;
		if (course.bars) {
			const all = [...course.bars, ...course.gaps].reduce((sum, bar) => sum + (bar[2] || 0), 0);
			const notes = course.resets.map((at) => `; counter reset ${chart.clock.text(at)}`).join("");
			return `${title}: ${text(all)} in all${notes}`;
		}
		const told = course.mean.flatMap((value, i) => (value === null ? [] : [i]));
		if (!told.length) return `${title}: no data`;
		const latest = text(course.mean[told.at(-1)]);
		if (texts || isSwitch()) return `${title}: latest ${latest}`;
		let [sum, time] = [0, 0];
		for (const i of told) {
			const lasts = (course.t[i + 1] ?? course.t[i]) - course.t[i] || (told.length === 1 ? 1 : 0);
			sum += course.mean[i] * lasts;
			time += lasts;
		}
		const low = told.reduce((least, i) => Math.min(least, course.min[i] ?? least), Infinity);
		const high = told.reduce((most, i) => Math.max(most, course.max[i] ?? most), -Infinity);
		return `${title}: latest ${latest}, lowest ${text(low, "")}, highest ${text(high, "")}, average ${text(sum / time, "")}`;
	}

	function hovered(at, index) {
		if (at === null) return (cursor.textContent = "");
		const gap = chart.gapAt(at);
		const bar = [...(course.bars || []), ...(course.gaps || [])].find(([since, until]) => since <= at && at < until);
		if (gap) cursor.textContent = `no data ${chart.clock.text(gap[0])} to ${chart.clock.text(gap[1])}`;
		else if (bar) cursor.textContent = `${text(bar[2])} · ${chart.clock.both(bar[0])} to ${chart.clock.text(bar[1])}`;
		else if (!course.bars && index !== null && index !== undefined) {
			const [mean, low, high] = [course.mean[index], course.min[index], course.max[index]];
			const band = low !== null && low !== high && !isSwitch() && !texts ? ` (${text(low, "")} to ${text(high)})` : "";
			cursor.textContent = `${text(mean)}${band} · ${chart.clock.both(course.t[index])}`;
		}
	}

	function fillTable() {
		if (!table.open) return;
		const rows = course.bars
			? course.bars.map(([since, , value]) => [since, value, value, value])
			: course.t.map((at, i) => [at, course.mean[i], course.min[i], course.max[i]]);
		table.querySelector("tbody").replaceChildren(...rows.map(([at, ...values]) => {
			const row = document.createElement("tr");
			const head = document.createElement("th");
			head.scope = "row";
			head.textContent = chart.clock.text(at);
			row.append(head);
			for (const value of values) row.insertCell().textContent = text(value);
			return row;
		}));
	}

	// ---- the picture

	function draw(isOther) {
		if (isOther) chart?.destroy();
		const span = [view.from, view.to];
		if (isOther || !chart) {
			const words = {
				unit: figure.dataset.unit,
				isStep: isA("step"),
				isEnergy: Boolean(course.bars),
				isSwitch: isSwitch(),
				texts: () => texts,
				tick: (value) => (texts ? texts[value] ?? "" : text(value)),
			};
			chart = structiot.draw(figure, course, span, words, { hovered, selected: (from, to) => move(from, to) });
			chart.canvas.setAttribute("role", "img");
		} else chart.show(course, span);
		drawnAt = Date.now();
		const words = summary();
		if (caption.textContent !== words) caption.textContent = words;
		chart.canvas.setAttribute("aria-label", words);
		Object.assign(figure.dataset, { from: view.from, to: view.to, resolution: course.resolution_s });
		later.classList.toggle("marked", !view.isLive);
	}

	async function load(isOther = false) {
		asking?.abort();
		asking = new AbortController();
		const points = Math.min(MOST_POINTS, Math.max(100, Math.round(figure.clientWidth)));
		const query = new URLSearchParams({ from: view.from.toFixed(3), to: view.to.toFixed(3), points });
		try {
			const answer = await fetch(`/api/history/${encodeURI(figure.dataset.key)}?${query}`, { signal: asking.signal });
			if (!answer.ok) throw new Error();
			course = await answer.json();
		} catch (error) {
			if (error.name !== "AbortError") cursor.textContent = "The history does not answer.";
			return;
		}
		const hadTexts = Boolean(texts);
		texts = null;
		if (course.texts) {
			texts = [...new Set(course.texts.filter((one) => one !== null))];
			course.mean = course.texts.map((one) => (one === null ? null : texts.indexOf(one)));
			course.min = course.max = course.mean;
		}
		cursor.textContent = "";
		draw(isOther || hadTexts !== Boolean(texts));
		fillTable();
	}

	// ---- from when to when

	function follow() {
		const span = SPANS[view.range] || view.to - view.from;
		view.to = now();
		view.from = view.to - span;
	}

	function go(isKept = true) {
		if (view.isLive) follow();
		const query = new URLSearchParams(location.search);
		for (const name of ["from", "to", "range"]) query.delete(name);
		if (!view.isLive) {
			query.set("from", Math.round(view.from));
			query.set("to", Math.round(view.to));
		} else if (view.range !== "day") query.set("range", view.range);
		const url = `${location.pathname}${query.size ? `?${query}` : ""}`;
		if (isKept) history.pushState(null, "", url);
		for (const radio of document.querySelectorAll('[name="range"]')) radio.checked = radio.value === view.range;
		load();
	}

	function move(from, to) {
		const span = Math.max(LEAST_S, to - from);
		view.to = Math.min(now(), to);
		view.from = view.to - span;
		view.isLive = false;
		if (Math.abs(span - SPANS[view.range]) > 1) view.range = "";
		go();
	}

	function live(range) {
		Object.assign(view, { range, isLive: true });
		go();
	}

	function step(name) {
		const [span, middle] = [view.to - view.from, (view.from + view.to) / 2];
		if (name === "earlier") move(view.from - span, view.from);
		else if (name === "later" && view.to + span >= now() && view.range) live(view.range);
		else if (name === "later") move(view.to, Math.min(view.to + span, now()));
		else if (name === "zoom in") move(middle - span / 4, middle + span / 4);
		else if (name === "zoom out") move(middle - span, middle + span);
		else live(view.range || "day");
	}

	function restore() {
		const query = new URLSearchParams(location.search);
		const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
		view.isLive = !(from && to > from);
		view.range = query.get("range") in SPANS ? query.get("range") : "day";
		if (!view.isLive) Object.assign(view, { from, to, range: "" });
		go(false);
	}

	// ---- the newest, at most once a second

	document.addEventListener("structiot:values", ({ detail }) => {
		const state = detail.get(figure.dataset.key);
		if (!state || !course || course.bars || course.texts || !view.isLive) return;
		const at = state.at || now();
		if (course.t.length && at <= course.t.at(-1)) return;
		const isHeard = state.state === "live";
		const value = isSwitch() ? Number(state.value === "ON") : state.value;
		const told = isHeard && Number.isFinite(value) ? value : null;
		course.t.push(at);
		for (const name of ["mean", "min", "max"]) course[name].push(told);
		if (course.t.length > 2 * MOST_POINTS) return load();
		due ||= setTimeout(grow, Math.max(0, 1000 - (Date.now() - drawnAt)));
	});

	function grow() {
		due = 0;
		if (!view.isLive || document.hidden || !course) return;
		follow();
		draw(false);
	}

	document.querySelector(".tools").addEventListener("click", ({ target }) => {
		const name = target.dataset.move;
		if (name) step(name);
	});
	document.querySelector(".range").addEventListener("change", ({ target }) => live(target.value));
	choices?.addEventListener("change", () => {
		const { dataset, value, textContent } = choices.selectedOptions[0];
		for (const name of ["unit", "decimals", "step", "energy"]) delete figure.dataset[name];
		Object.assign(figure.dataset, dataset, { key: value, name: textContent });
		load(true);
	});
	table.addEventListener("toggle", () => course && fillTable());
	document.addEventListener("structiot:theme", () => chart?.redraw());
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart?.redraw());
	addEventListener("popstate", restore);
	setInterval(() => document.hidden || !view.isLive || load(), RENEW_MS);
	setInterval(() => view.isLive && course && Date.now() - drawnAt > (view.to - view.from) && grow(), 1000);
	restore();
})();
