// Draws a course with uPlot: gaps hatched, what is lone a dot, switches as steps, energy
// as bars. Knows nothing of where it comes from; chart.js does.
"use strict";
(() => {
	const WITH_ZERO = ["W", "kW", "VA", "var", "A", "Wh", "kWh", "%"];
	const HOUR_S = 3600;
	const DAY_S = 86400;
	const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

	// The house's clock: by the name of its zone, else by its present offset.
	function clockOf({ zone, offset }) {
		let timeZone = zone;
		let shift = 0;
		try {
			new Intl.DateTimeFormat("en", { timeZone });
		} catch {
			timeZone = "UTC";
			shift = offset * 60;
		}
		const writer = (options, zoned) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options, timeZone: zoned });
		const long = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
		const [house, mine] = [writer(long, timeZone), writer(long)];
		const text = (s) => house.format((s + shift) * 1000);
		return {
			text,
			both: (s) => (mine.format(s * 1000) === text(s) ? text(s) : `${text(s)} ${zone}, ${mine.format(s * 1000)} here`),
			date: (s) => uPlot.tzDate(new Date((s + shift) * 1000), timeZone),
		};
	}

	// Where nothing was heard: from the last that was to the next.
	function gapsOf({ t, mean, resolution_s: step = 0 }, from, to) {
		const end = Math.min(to, Date.now() / 1000 - structiot.clockAhead);
		const gaps = [];
		let since = t.length && t[0] - from <= Math.max(2 * step, (to - from) / 50) ? null : from;
		t.forEach((at, i) => {
			if (mean[i] === null) since ??= i ? t[i - 1] + step : at;
			else if (since !== null) {
				gaps.push([since, at]);
				since = null;
			}
		});
		if (since !== null && since < end) gaps.push([since, end]);
		return gaps;
	}

	function hatch(ctx, x, y, width, height, ink) {
		const gap = 8 * devicePixelRatio;
		ctx.save();
		ctx.beginPath();
		ctx.rect(x, y, width, height);
		ctx.clip();
		ctx.beginPath();
		for (let at = x - height - ((x - height) % gap); at < x + width; at += gap) {
			ctx.moveTo(at, y + height);
			ctx.lineTo(at + height, y);
		}
		ctx.strokeStyle = ink;
		ctx.lineWidth = devicePixelRatio;
		ctx.stroke();
		ctx.restore();
	}

	function hatchGaps(u, gaps) {
		const { left, top, width, height } = u.bbox;
		for (const [since, until] of gaps) {
			const x = Math.max(left, u.valToPos(since, "x", true));
			const right = Math.min(left + width, u.valToPos(until, "x", true));
			if (right > x) hatch(u.ctx, x, top, right - x, height, color("line"));
		}
	}

	// Each as wide as its time: a day may have 23 hours, and a gap many.
	function drawBars(u, { bars = [], gaps = [], resets = [] }) {
		const { ctx } = u;
		const ground = u.valToPos(0, "y", true);
		const place = ([since, until, value]) => {
			const x = u.valToPos(since, "x", true) + devicePixelRatio;
			const y = u.valToPos(value, "y", true);
			return [x, y, Math.max(1, u.valToPos(until, "x", true) - x - devicePixelRatio), ground - y];
		};
		ctx.save();
		ctx.beginPath();
		ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
		ctx.clip();
		ctx.fillStyle = ctx.strokeStyle = color("accent");
		for (const bar of bars) if (bar[2] !== null) ctx.fillRect(...place(bar));
		for (const bar of gaps) {
			hatch(ctx, ...place(bar), color("accent"));
			ctx.strokeRect(...place(bar));
		}
		ctx.fillStyle = color("amber");
		for (const at of resets) ctx.fillRect(u.valToPos(at, "x", true), ground - 10 * devicePixelRatio, 2 * devicePixelRatio, 10 * devicePixelRatio);
		ctx.restore();
	}

	function lone(u, index) {
		const values = u.data[index];
		const isNone = (i) => values[i] === null || values[i] === undefined;
		return values.flatMap((_, i) => (!isNone(i) && isNone(i - 1) && isNone(i + 1) ? [i] : []));
	}

	function columnsOf(course) {
		if (!course.bars) return [course.t, course.mean, course.min, course.max];
		const values = course.bars.map((bar) => bar[2]);
		return [course.bars.map(([since, until]) => (since + until) / 2), values, values, values];
	}

	// `told`: selected(from, to) by dragging, hovered(time or null) under the cursor.
	structiot.draw = (figure, course, span, words, told) => {
		const box = figure.querySelector(".plot");
		const clock = clockOf(figure.dataset);
		const isTwo = words.isSwitch;
		const shown = { course, span, gaps: [] };
		const ink = () => color("muted");
		const axis = { stroke: ink, font: "12px system-ui", grid: { stroke: () => color("line"), width: 1 }, ticks: { show: false } };
		const hours = (u, splits) => splits.map((at) => {
			const date = clock.date(at);
			const wide = shown.span[1] - shown.span[0];
			const text = clock.text(at);
			if (wide > 60 * DAY_S) return `${text.split(" ")[1].slice(0, 3)} ${date.getFullYear()}`;
			if (wide > 3 * DAY_S || (date.getHours() === 0 && date.getMinutes() === 0)) return text.split(",")[0];
			return text.slice(-5);
		});
		const range = (u, low, high) => {
			if (isTwo) return [-0.15, 1.15];
			if (words.texts()) return [-0.5, words.texts().length - 0.5];
			if (low === null) return [0, 1];
			for (const bar of shown.course.gaps || []) high = Math.max(high, bar[2]);
			if (WITH_ZERO.includes(words.unit) || shown.course.bars) {
				low = Math.min(0, low);
				high = Math.max(0, high);
			}
			const edge = (high - low || Math.abs(high) || 1) * 0.08;
			return [low === 0 ? 0 : low - edge, high + edge];
		};
		const hidden = { stroke: "transparent", points: { show: false } };
		const line = {
			stroke: () => color("accent"),
			width: 1.75,
			points: { size: 5, fill: () => color("accent"), show: true, filter: lone },
			...(words.isStep && { paths: uPlot.paths.stepped({ align: 1 }) }),
			...(words.isEnergy && { paths: () => null, points: { show: false } }),
		};
		const plot = new uPlot({
			width: box.clientWidth,
			height: box.clientHeight,
			legend: { show: false },
			tzDate: clock.date,
			cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: !words.isEnergy, size: 7, fill: () => color("accent") } },
			scales: { x: { range: () => shown.span }, y: { range } },
			axes: [
				{ ...axis, values: hours, space: 72, size: 44, label: `Time (${figure.dataset.zone})`, labelSize: 18, labelFont: "12px system-ui" },
				{ ...axis, size: 68, values: (u, splits) => splits.map(words.tick), ...(isTwo && { splits: () => [0, 1] }) },
			],
			series: [{}, line, hidden, hidden],
			bands: words.isStep || words.isEnergy ? [] : [{ series: [3, 2], fill: () => `${color("accent")}33` }],
			hooks: {
				drawClear: [(u) => hatchGaps(u, shown.gaps)],
				draw: [(u) => shown.course.bars && drawBars(u, shown.course)],
				setCursor: [(u) => told.hovered(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null, u.cursor.idx)],
				setSelect: [(u) => u.select.width > 8 && select(u)],
			},
		}, null, box);

		function select(u) {
			const { left, width } = u.select;
			u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
			told.selected(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
		}

		// A finger selects sideways; upwards it scrolls the page.
		let start = null;
		const at = (event) => event.clientX - plot.over.getBoundingClientRect().left;
		plot.over.addEventListener("pointerdown", (event) => (start = event.pointerType === "touch" ? at(event) : null));
		plot.over.addEventListener("pointermove", (event) => {
			if (start === null) return;
			const [left, right] = [Math.min(start, at(event)), Math.max(start, at(event))];
			plot.setSelect({ left, width: right - left, top: 0, height: plot.over.clientHeight }, false);
		});
		plot.over.addEventListener("pointerup", () => {
			if (start !== null && plot.select.width > 8) select(plot);
			start = null;
		});
		plot.over.addEventListener("pointercancel", () => (start = null));

		function show(newCourse, newSpan) {
			Object.assign(shown, { course: newCourse, span: newSpan });
			shown.gaps = newCourse.bars ? [] : gapsOf(newCourse, ...newSpan);
			plot.setData(columnsOf(newCourse));
		}
		const watcher = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: box.clientHeight }));
		watcher.observe(box);
		show(course, span);
		return {
			canvas: plot.ctx.canvas,
			clock,
			show,
			gapAt: (s) => shown.gaps.find(([since, until]) => since < s && s < until),
			redraw: () => plot.redraw(),
			destroy: () => (watcher.disconnect(), plot.destroy()),
		};
	};
})();
