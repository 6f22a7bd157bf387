// The history between two times. Its words are the server's.
const MOVES = { earlier: [-1, -1], later: [1, 1], "zoom in": [0.25, -0.25], "zoom out": [-0.5, 0.5] }; // in spans
const SPANS = { hour: 3600, day: 86400, month: 31 * 86400, year: 366 * 86400 };
const { find, all, hear, figureText, now } = structiot;
const { dataset } = find("figure[data-key]");
const box = find(".plot");
const cursor = find(".cursor");
let view = {}; // from, to; range while it follows the time
let course, texts, plot, due, start;
let asked = 0;

const css = (name) => getComputedStyle(box).getPropertyValue(`--${name}`);
const ink = (name) => () => css(name);
const size = () => ({ width: box.clientWidth, height: box.clientHeight });
const isSwitch = () => course.is_step && !texts;

function textOf(value, decimals) {
	if (value === null || value === undefined) return "no data";
	if (texts) return texts[value] ?? "";
	if (isSwitch()) return { 0: dataset.off, 1: dataset.on }[value] ?? `${dataset.on} ${Math.round(value * 100)} %`;
	return figureText(value, dataset.unit, decimals && Number(decimals));
}

const short = (value) => textOf(value).replace(/(?<=^.{8}).{3,}/, "…");

let timeZone = dataset.zone;
let shift = 0;
try {
	new Intl.DateTimeFormat("en", { timeZone });
} catch {
	timeZone = "UTC";
	shift = dataset.offset * 60;
}
const minutes = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const house = new Intl.DateTimeFormat("en-GB", { ...minutes, timeZone });
const mine = new Intl.DateTimeFormat("en-GB", minutes);
const ms = (at) => (at + shift) * 1000;
const timeText = (at) => house.format(ms(at));

function ticks(u, times) {
	const days = (view.to - view.from) / 86400;
	return times.map((at) => {
		const [day, time] = timeText(at).split(", ");
		return days > 3 || time === "00:00" ? day : time;
	});
}

function hatch(ctx, x, y, width, height, color) {
	ctx.save();
	ctx.beginPath();
	ctx.rect(x, y, width, height);
	ctx.clip();
	ctx.beginPath();
	for (let at = x - height - ((x - height) % 12); at < x + width; at += 12) {
		ctx.moveTo(at, y + height);
		ctx.lineTo(at + height, y);
	}
	ctx.strokeStyle = color;
	ctx.stroke();
	ctx.restore();
}

// A bar is as wide as its time: a day may have 23 hours, and a gap many.
function areaOf(u, [since, until, value]) {
	const { left, top, width, height } = u.bbox;
	const [x, right] = [since, until].map((at) => Math.min(Math.max(left, u.valToPos(at, "x", true)), left + width));
	if (value === undefined) return [x, top, right - x, height];
	const y = u.valToPos(value ?? 0, "y", true);
	return [x + 1, y, Math.max(1, right - x - 2), u.valToPos(0, "y", true) - y];
}

function drawBars(u) {
	const { ctx } = u;
	const color = (ctx.fillStyle = ctx.strokeStyle = css("accent"));
	for (const bar of course.bars || []) ctx.fillRect(...areaOf(u, bar));
	for (const bar of course.gaps) {
		ctx.fillStyle = css("card");
		ctx.fillRect(...areaOf(u, bar));
		hatch(ctx, ...areaOf(u, bar), color);
		ctx.strokeRect(...areaOf(u, bar));
	}
	ctx.fillStyle = css("amber");
	for (const at of course.resets) ctx.fillRect(u.valToPos(at, "x", true), u.bbox.top, 2, u.bbox.height);
}

function limits(u, low, high) {
	if (texts) return [-0.5, texts.length - 0.5];
	if (isSwitch()) return [-0.15, 1.15];
	if (low === null) return [0, 1];
	for (const bar of course.gaps) high = Math.max(high, bar[2]);
	if (/^k?(W|VA|var|A|Wh|%)$/.test(dataset.unit)) [low, high] = [Math.min(0, low), Math.max(0, high)];
	const edge = (high - low || Math.abs(high) || 1) * 0.08;
	return [low && low - edge, high && high + edge];
}

// A line needs two: what is alone is a dot.
const alone = (u) => u.data[1].flatMap((one, i, all) => (one !== null && (all[i - 1] ?? all[i + 1] ?? null) === null ? [i] : []));

function build() {
	plot?.destroy();
	const axis = { stroke: ink("muted"), font: "12px system-ui", grid: { stroke: ink("line"), width: 1 }, ticks: { show: false } };
	const hidden = { stroke: "transparent", points: { show: false } };
	const line = { stroke: ink("accent"), width: 1.75, points: { size: 5, fill: ink("accent"), filter: alone } };
	if (course.is_step) line.paths = uPlot.paths.stepped({ align: 1 });
	if (course.bars) Object.assign(line, hidden, { paths: () => null });
	plot = new uPlot({
		...size(),
		legend: { show: false },
		tzDate: (at) => uPlot.tzDate(new Date(ms(at)), timeZone),
		cursor: { y: false, drag: { setScale: false } },
		scales: { x: { range: () => [view.from, view.to] }, y: { range: limits } },
		axes: [
			{ ...axis, values: ticks, space: 72, size: 30, label: `Time (${dataset.zone})`, labelSize: 20 },
			{ ...axis, values: (u, values) => values.map(short), size: 72, ...(course.is_step && { incrs: [1, 5, 25, 100] }) },
		],
		series: [{}, line, hidden, hidden],
		bands: course.is_step || course.bars ? [] : [{ series: [3, 2], fill: () => `${css("accent")}33` }],
		hooks: {
			drawClear: [(u) => course.silent.forEach((gap) => hatch(u.ctx, ...areaOf(u, gap), `${css("edge")}90`))],
			draw: [drawBars],
			setCursor: [hover],
			setSelect: [select],
		},
	}, null, box);
	for (const kind of ["down", "move", "up", "cancel"]) plot.over.addEventListener(`pointer${kind}`, touch);
	name();
}

function name() {
	const { canvas } = plot?.ctx || {};
	if (canvas) Object.assign(canvas, { role: "img", ariaLabel: find("figcaption").textContent });
}

function draw() {
	const sums = course.bars?.map((bar) => bar[2]);
	const middles = course.bars?.map(([since, until]) => (since + until) / 2);
	plot.setData(sums ? [middles, sums, sums, sums] : [course.t, course.mean, course.min, course.max]);
	Object.assign(dataset, { from: view.from, to: view.to, resolution: course.resolution_s });
}

function hover({ cursor: { left, idx }, posToVal }) {
	const at = posToVal(left, "x");
	const here = [...course.silent, ...course.gaps, ...(course.bars || [])].find(([since, until]) => since <= at && at < until);
	let text = "";
	if (here) text = `${textOf(here[2])} ${timeText(here[0])} to ${timeText(here[1])}`;
	else if (idx !== null && !course.bars) {
		const [t, mean, low, high] = plot.data.map((column) => column[idx]);
		text = `${textOf(mean, dataset.decimals)}, ${timeText(t)}`;
		if (low < high) text += `, ${textOf(low)} to ${textOf(high)}`;
		if (mine.format(t * 1000) !== timeText(t)) text += ` (${mine.format(t * 1000)} here)`;
	}
	if (course.resets.some((one) => Math.abs(one - at) < (view.to - view.from) / 100)) text += ", the counter began anew";
	cursor.textContent = left < 0 ? "" : text;
}

function select() {
	const { left, width } = plot.select;
	plot.setSelect({ width: 0, height: 0 }, false);
	if (width > 8) move(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}

// Of mice uPlot takes care. A finger selects sideways; up and down it scrolls the page.
function touch({ type, pointerType, clientX }) {
	if (pointerType === "mouse") return;
	const at = clientX - plot.over.getBoundingClientRect().left;
	if (type === "pointerup") select();
	if (type !== "pointermove") start = type === "pointerdown" ? at : null;
	else if (start !== null) plot.setSelect({ left: Math.min(start, at), width: Math.abs(at - start), top: 0, height: 999 }, false);
}

async function load() {
	const turn = ++asked;
	if (view.range) follow();
	const points = Math.max(200, box.clientWidth);
	const address = `/api/history/${dataset.key}?from=${view.from}&to=${view.to}&points=${points}`;
	const answer = await fetch(address).catch(() => null);
	const told = answer?.ok && (await answer.json());
	if (turn !== asked) return;
	cursor.textContent = told ? "" : "The history does not answer.";
	if (!told) return;
	course = { gaps: [], resets: [], ...told };
	texts = course.texts && [...new Set(course.texts)].filter((one) => one !== null);
	if (texts) course.mean = course.min = course.max = course.texts.map((one) => (one === null ? null : texts.indexOf(one)));
	build();
	draw();
}

function follow() {
	view.to = now();
	view.from = view.to - SPANS[view.range];
}

// What the address says.
function show() {
	const query = new URLSearchParams(location.search);
	const [from, to, range] = ["from", "to", "range"].map((one) => query.get(one));
	view = to > from ? { from: Number(from), to: Number(to) } : { range: range in SPANS ? range : "day" };
	for (const radio of all('[name="range"]')) radio.checked = radio.value === view.range;
	find('[data-move="later"]').classList.toggle("marked", !view.range);
	load();
}

function go(given) {
	const query = new URLSearchParams(location.search);
	for (const one of ["from", "to", "range"]) query.delete(one);
	for (const [key, value] of Object.entries(given)) query.set(key, value);
	history.pushState(null, "", `?${query}`);
	show();
	structiot.renew();
}

function move(from, to) {
	const end = Math.min(now(), to);
	go({ from: Math.round(end - Math.max(60, to - from)), to: Math.round(end) });
}

find(".tools").addEventListener("click", ({ target }) => {
	const name = target.dataset.move;
	const span = view.to - view.from;
	const [left, right] = MOVES[name] || [];
	if (name === "reset zoom" || (name === "later" && view.to + span / 2 > now())) go({});
	else if (name) move(view.from + left * span, view.to + right * span);
});
find(".range").addEventListener("change", ({ target }) => go({ range: target.value }));
find("select.series")?.addEventListener("change", ({ target }) => {
	const query = new URLSearchParams(location.search);
	query.set("series", target.value);
	location.search = query;
});

function grow() {
	due = null;
	if (!view.range || document.hidden) return;
	follow();
	draw();
}

structiot.grow = (batch) => {
	const told = batch.get(dataset.key);
	if (!told || !course || course.bars || !view.range || told.at <= course.t.at(-1)) return;
	let { value } = told;
	if (told.state !== "live") value = null;
	else if (!texts) value = { ON: 1, OFF: 0 }[value] ?? value;
	else value = texts.includes(value) ? texts.indexOf(value) : texts.push(value) - 1;
	for (const column of new Set([course.mean, course.min, course.max])) column.push(Number.isFinite(value) ? value : null);
	course.t.push(told.at || now());
	due ||= setTimeout(grow, 1000);
};
hear("renewed", name);
structiot.redraw = () => plot?.redraw();
new ResizeObserver(() => plot?.setSize(size())).observe(box);
addEventListener("popstate", () => {
	show();
	structiot.renew();
});
setInterval(() => document.hidden || !view.range || load(), 300000);
show();
