// The history of a device between two times, drawn with uPlot; the words beside it are
// the server's. Gaps are hatched, a lone reading is a dot, energy is bars.
"use strict";
(() => {
	const SPANS = { hour: 3600, day: 86400, month: 31 * 86400, year: 366 * 86400 };
	const RENEW_MS = 300000;
	const figure = document.querySelector("figure[data-key]");
	const { dataset } = figure;
	const box = figure.querySelector(".plot");
	const cursor = document.querySelector(".cursor");
	const choices = document.querySelector("select.series");
	const { figureText, now } = structiot;
	let view = {}; // from, to; range while it follows the time
	let course, texts, plot, asking, due, start;
	let drawnAt = 0;

	const color = (name) => getComputedStyle(figure).getPropertyValue(`--${name}`);
	const isSwitch = () => "step" in dataset && !texts;

	function textOf(value, decimals) {
		if (value === null || value === undefined) return "no data";
		if (texts) return texts[value] ?? "";
		if (isSwitch()) return value === 1 ? "on" : value === 0 ? "off" : "now and then";
		return figureText(value, dataset.unit, decimals && Number(decimals));
	}

	// ---- the house's clock: by its zone's name, else by its present offset

	let timeZone = dataset.zone;
	let shift = 0;
	try {
		new Intl.DateTimeFormat("en", { timeZone });
	} catch {
		timeZone = "UTC";
		shift = dataset.offset * 60;
	}
	const clock = (options, zone) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", timeZone: zone, ...options });
	const full = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
	const [house, mine] = [clock(full, timeZone), clock(full)];
	const month = clock({ month: "short", year: "numeric" }, timeZone);
	const ms = (at) => (at + shift) * 1000;
	const timeText = (at) => house.format(ms(at));

	function ticks(u, all) {
		const days = (view.to - view.from) / 86400;
		return all.map((at) => {
			if (days > 100) return month.format(ms(at));
			const [day, time] = timeText(at).split(", ");
			return days > 3 || time === "00:00" ? day : time;
		});
	}

	// ---- the picture

	// Where nothing was heard: from the last that was to the next.
	function gaps() {
		const { t, mean, resolution_s: step } = course;
		const found = [];
		const far = Math.max(2 * step, (view.to - view.from) / 50);
		let since = t[0] - view.from < far ? null : view.from;
		[...t, Math.min(view.to, now())].forEach((at, i) => {
			if (mean[i] === null) since ??= i ? t[i - 1] + step : view.from;
			else if (since !== null && (i < t.length || mean.at(-1) == null)) {
				found.push([since, at]);
				since = null;
			}
		});
		return course.bars ? [] : found;
	}

	function hatch(x, y, width, height, ink) {
		const { ctx } = plot;
		ctx.save();
		ctx.beginPath();
		ctx.rect(x, y, width, height);
		ctx.clip();
		ctx.beginPath();
		for (let at = x - height - ((x - height) % 12); at < x + width; at += 12) {
			ctx.moveTo(at, y + height);
			ctx.lineTo(at + height, y);
		}
		ctx.strokeStyle = ink;
		ctx.stroke();
		ctx.restore();
	}

	function drawGaps(u) {
		plot = u;
		for (const [since, until] of gaps()) {
			const x = Math.max(u.bbox.left, u.valToPos(since, "x", true));
			const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(until, "x", true));
			if (right > x) hatch(x, u.bbox.top, right - x, u.bbox.height, color("edge"));
		}
	}

	// Each as wide as its time: a day may have 23 hours, and a gap many.
	function drawBars(u) {
		const { ctx } = u;
		const y0 = u.valToPos(0, "y", true);
		const ink = (ctx.fillStyle = ctx.strokeStyle = color("accent"));
		for (const [kind, bars] of [["bar", course.bars || []], ["gap", course.gaps || []]]) {
			for (const [since, until, value] of bars) {
				const [x, right] = [since, until].map((at) => u.valToPos(Math.min(Math.max(at, view.from), view.to), "x", true));
				const area = [x + 1, u.valToPos(value ?? 0, "y", true), Math.max(1, right - x - 2)];
				area.push(y0 - area[1]);
				if (kind === "bar") ctx.fillRect(...area);
				else hatch(...area, ink), ctx.strokeRect(...area);
			}
		}
		ctx.fillStyle = color("amber");
		for (const at of course.resets || []) ctx.fillRect(u.valToPos(at, "x", true), y0 - 20, 3, 20);
	}

	function height(u, low, high) {
		if (texts) return [-0.5, texts.length - 0.5];
		if (isSwitch()) return [-0.15, 1.15];
		if (low === null) return [0, 1];
		for (const bar of course.gaps || []) high = Math.max(high, bar[2]);
		if (/^k?(W|VA|var|A|Wh|%)$/.test(dataset.unit)) [low, high] = [Math.min(0, low), Math.max(0, high)];
		const edge = (high - low || Math.abs(high) || 1) * 0.08;
		return [low && low - edge, high && high + edge];
	}

	// What is lone is a dot: a line needs two.
	const lone = (u) => u.data[1].flatMap((one, i, all) => (one !== null && (all[i - 1] ?? all[i + 1] ?? null) === null ? [i] : []));

	function build() {
		plot?.destroy();
		const axis = { stroke: () => color("muted"), font: "12px system-ui", grid: { stroke: () => color("line"), width: 1 }, ticks: { show: false } };
		const hidden = { stroke: "transparent", points: { show: false } };
		const line = { stroke: () => color("accent"), width: 1.75, points: { size: 5, fill: () => color("accent"), filter: lone } };
		if ("step" in dataset) line.paths = uPlot.paths.stepped({ align: 1 });
		if (course.bars) Object.assign(line, hidden, { paths: () => null });
		plot = new uPlot({
			width: box.clientWidth,
			height: box.clientHeight,
			legend: { show: false },
			tzDate: (at) => uPlot.tzDate(new Date(ms(at)), timeZone),
			cursor: { y: false, drag: { setScale: false }, points: { show: !course.bars, fill: () => color("accent") } },
			scales: { x: { range: () => [view.from, view.to] }, y: { range: height } },
			axes: [
				{ ...axis, values: ticks, space: 72, size: 30, label: `Time (${dataset.zone})`, labelSize: 20, labelFont: axis.font },
				{ ...axis, values: (u, all) => all.map((one) => textOf(one)), size: 72, ...((texts || isSwitch()) && { incrs: [1] }) },
			],
			series: [{}, line, hidden, hidden],
			bands: "step" in dataset || course.bars ? [] : [{ series: [3, 2], fill: () => `color-mix(in srgb, ${color("accent")} 20%, transparent)` }],
			hooks: { drawClear: [drawGaps], draw: [drawBars], setCursor: [hover], setSelect: [(u) => u.select.width > 8 && select()] },
		}, null, box);
		plot.ctx.canvas.role = "img";
		plot.over.addEventListener("pointerdown", touch);
		plot.over.addEventListener("pointermove", touch);
		plot.over.addEventListener("pointerup", touch);
		plot.over.addEventListener("pointercancel", () => (start = null));
		name();
	}

	function draw(isOther) {
		if (isOther || !plot) build();
		const middles = course.bars?.map(([since, until]) => (since + until) / 2);
		const sums = course.bars?.map((bar) => bar[2]);
		plot.setData(middles ? [middles, sums, sums, sums] : [course.t, course.mean, course.min, course.max]);
		drawnAt = now();
		Object.assign(dataset, { from: view.from, to: view.to, resolution: course.resolution_s });
	}

	const name = () => plot && (plot.ctx.canvas.ariaLabel = figure.querySelector("figcaption").textContent);

	// ---- the cursor, and what is selected with it

	function hover({ cursor: { left, idx }, posToVal }) {
		const at = posToVal(left, "x");
		const isAt = ([since, until]) => since <= at && at < until;
		const gap = gaps().find(isAt);
		const bar = course.bars && [...course.gaps, ...course.bars].find(isAt);
		let text = "";
		if (gap) text = `no data ${timeText(gap[0])} to ${timeText(gap[1])}`;
		else if (bar) text = `${textOf(bar[2])}, ${timeText(bar[0])} to ${timeText(bar[1])}`;
		else if (idx !== null && !course.bars) {
			const [t, mean, low, high] = plot.data.map((one) => one[idx]);
			text = `${textOf(mean, dataset.decimals)}, ${timeText(t)}`;
			if (low < high) text += `, ${textOf(low)} to ${textOf(high)}`;
			if (mine.format(t * 1000) !== timeText(t)) text += ` (${mine.format(t * 1000)} here)`;
		}
		cursor.textContent = left < 0 ? "" : text;
	}

	function select() {
		const { left, width } = plot.select;
		plot.setSelect({ width: 0, height: 0 }, false);
		move(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
	}

	// A finger selects sideways; up and down it scrolls the page.
	function touch(event) {
		const at = event.clientX - plot.over.getBoundingClientRect().left;
		if (event.pointerType !== "touch") start = null;
		else if (event.type === "pointerdown") start = at;
		else if (start !== null && event.type === "pointermove") {
			plot.setSelect({ left: Math.min(start, at), width: Math.abs(at - start), top: 0, height: plot.over.clientHeight }, false);
		} else if (start !== null && plot.select.width > 8) select();
	}

	// ---- from when to when

	async function load(isOther) {
		asking?.abort();
		asking = new AbortController();
		if (view.range) follow();
		const points = Math.min(1000, Math.max(200, box.clientWidth));
		try {
			const address = `/api/history/${encodeURI(dataset.key)}?from=${view.from}&to=${view.to}&points=${points}`;
			const answer = await fetch(address, { signal: asking.signal });
			if (!answer.ok) throw answer;
			course = await answer.json();
		} catch (error) {
			if (error.name !== "AbortError") cursor.textContent = "The history does not answer.";
			return;
		}
		texts = course.texts && [...new Set(course.texts)].filter((one) => one !== null);
		if (texts) course.mean = course.min = course.max = course.texts.map((one) => (one === null ? null : texts.indexOf(one)));
		draw(isOther);
	}

	function follow() {
		view.to = now();
		view.from = view.to - SPANS[view.range];
	}

	// What the address says; the page's words come from the server for the same address.
	function show(isOther) {
		const query = new URLSearchParams(location.search);
		view = { from: Number(query.get("from")), to: Number(query.get("to")) };
		if (!(view.to > view.from)) view.range = query.get("range") in SPANS ? query.get("range") : "day";
		for (const radio of document.querySelectorAll('[name="range"]')) radio.checked = radio.value === view.range;
		document.querySelector('[data-move="later"]').classList.toggle("marked", !view.range);
		load(isOther);
	}

	function go(given, isOther) {
		const query = new URLSearchParams(location.search);
		for (const one of ["from", "to", "range"]) if (!given.series) query.delete(one);
		for (const [key, value] of Object.entries(given)) query.set(key, value);
		history.pushState(null, "", `?${query}`);
		show(isOther);
		structiot.renew();
	}

	function move(from, to) {
		const span = Math.max(60, to - from);
		const end = Math.min(now(), to);
		go({ from: Math.round(end - span), to: Math.round(end) });
	}

	document.querySelector(".tools").addEventListener("click", ({ target }) => {
		const { from, to } = view;
		const half = (to - from) / 2;
		const isNear = to + half > now();
		const moves = {
			earlier: () => move(from - 2 * half, from),
			later: () => (isNear ? go({}) : move(to, to + 2 * half)),
			"zoom in": () => move(from + half / 2, to - half / 2),
			"zoom out": () => move(from - half, to + half),
			"reset zoom": () => go({}),
		};
		moves[target.dataset.move]?.();
	});
	document.querySelector(".range").addEventListener("change", ({ target }) => go({ range: target.value }));
	choices?.addEventListener("change", () => {
		const [chosen] = choices.selectedOptions;
		for (const one of ["unit", "decimals", "step"]) delete dataset[one];
		Object.assign(dataset, chosen.dataset, { key: chosen.value });
		go({ series: chosen.value }, true);
	});

	// ---- the newest, at most once a second

	function grow() {
		due = null;
		if (!view.range || document.hidden) return;
		follow();
		draw();
	}

	document.addEventListener("structiot:values", ({ detail }) => {
		const state = detail.get(dataset.key);
		if (!state || !course || course.bars || texts || !view.range || state.at <= course.t.at(-1)) return;
		const told = state.value === "ON" ? 1 : state.value === "OFF" ? 0 : state.value;
		const value = state.state === "live" && Number.isFinite(told) ? told : null;
		for (const column of ["mean", "min", "max"]) course[column].push(value);
		course.t.push(state.at || now());
		due ||= setTimeout(grow, Math.max(0, 1000 * (drawnAt + 1 - now())));
	});
	document.addEventListener("structiot:replaced", name);
	document.addEventListener("structiot:theme", () => plot?.redraw());
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot?.redraw());
	new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
	addEventListener("popstate", () => (show(true), structiot.renew()));
	setInterval(() => document.hidden || !view.range || load(), RENEW_MS);
	show(true);
})();
