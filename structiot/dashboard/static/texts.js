// What the scripts share. Texts read as the server writes them.
const LARGER = { W: "kW", Wh: "kWh", VA: "kVA", var: "kvar", kWh: "MWh" };
const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, given) => Object.assign(document.createElement(tag), given);
const hear = (kind, act) => document.addEventListener(kind, act);
// This clock may be wrong: the house's counts.
const ahead = Date.now() / 1000 - document.documentElement.dataset.now;
const now = () => Date.now() / 1000 - (Math.abs(ahead) < 5 ? 0 : ahead);

function figureText(value, unit, decimals) {
	const isLarge = unit in LARGER && Math.abs(value) >= (unit === "kWh" ? 100000 : 1000);
	const figure = isLarge ? value / 1000 : value;
	const most = Math.max(0, (isLarge ? 3 : 4) - String(Math.trunc(Math.abs(figure))).length);
	const places = isLarge ? most : Math.min(decimals ?? 2, most);
	const text = figure.toLocaleString("en-US", {
		minimumFractionDigits: isLarge || decimals !== undefined ? places : 0,
		maximumFractionDigits: places,
		signDisplay: "negative",
	});
	return `${text} ${(isLarge ? LARGER[unit] : unit) || ""}`.trimEnd();
}

function ago(at) {
	const passed = Math.max(0, now() - at);
	const [length, word] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([long]) => passed >= long) || [1, "s"];
	return `${Math.floor(passed / length)} ${word} ago`;
}
globalThis.structiot = { find, all, make, hear, now, figureText, ago };
